//! Which server is asked about a domain.

use url::Url;

use super::memory::Bootstrapped;
use super::spec::Spec;
use crate::formats::rdap::is_under;

/// Base addresses and the top-level domains they serve.
const TABLE: &str = include_str!("servers.txt");

/// The server the config names for the domain.
pub fn configured(spec: &Spec) -> Option<Url> {
    if let Some(server) = &spec.server {
        return Some((*server.0).clone());
    }
    let fitting = spec.servers.0.iter().filter(|(suffix, _)| is_under(&spec.domain.ascii, suffix));
    let longest = fitting.max_by_key(|(suffix, _)| suffix.len());
    longest.map(|(_, server)| (*server.0).clone())
}

/// The server that is asked, by the config, the bootstrap file and the built-in table, in this order.
pub fn of(spec: &Spec, bootstrapped: Option<&Bootstrapped>) -> Option<Url> {
    configured(spec)
        .or_else(|| bootstrapped.and_then(|found| found.server.clone()))
        .or_else(|| built_in(&spec.domain.ascii))
}

/// The server of the domain in the built-in table.
pub fn built_in(domain: &str) -> Option<Url> {
    let fitting = table().filter(|(_, name)| is_under(domain, name));
    fitting.max_by_key(|(_, name)| name.len()).and_then(|(server, _)| Url::parse(server).ok())
}

/// The table's servers, each with one domain it serves.
fn table() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    let mut server = "";
    lines.flat_map(move |line| {
        let mut words = line.split_ascii_whitespace();
        if !line.starts_with(' ') {
            server = words.next().unwrap_or_default();
        }
        let of = server;
        words.map(move |name| (of, name))
    })
}

/// The address of what a server knows about a domain (RFC 9082 section 3.1.3).
pub fn lookup(base: &Url, domain: &str) -> Url {
    let mut url = base.clone();
    // An http address always has segments.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(["domain", domain]);
    }
    url
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn spec(text: &str) -> Spec {
        serde_json::from_str(text).unwrap()
    }

    fn asked(text: &str) -> Option<String> {
        of(&spec(text), None).map(String::from)
    }

    #[test]
    fn every_line_of_the_table_is_an_address_and_its_domains() {
        let mut names = BTreeSet::new();
        for (server, name) in table() {
            let url = Url::parse(server).unwrap();
            assert!(matches!(url.scheme(), "http" | "https") && server.ends_with('/'), "{server}");
            assert!(super::super::domain::ascii(name).as_deref() == Some(name), "{name}");
            assert!(names.insert(name), "{name} stands there twice");
        }
        assert!(names.len() > 1200, "{}", names.len());
    }

    #[test]
    fn the_table_knows_the_servers_people_need() {
        for (domain, server) in [
            ("acme.com", "https://rdap.verisign.com/com/v1/"),
            ("acme.org", "https://rdap.publicinterestregistry.org/rdap/"),
            ("acme.co.uk", "https://rdap.nominet.uk/uk/"),
            ("acme.nl", "https://rdap.sidn.nl/"),
            ("acme.io", "https://rdap.identitydigital.services/rdap/"),
            ("acme.de", "https://rdap.denic.de/"),
        ] {
            assert_eq!(built_in(domain).map(String::from).as_deref(), Some(server), "{domain}");
        }
        assert_eq!(built_in("acme.example"), None);
        assert_eq!(built_in("acme.eu"), None);
    }

    #[test]
    fn the_config_is_asked_before_the_file_and_the_file_before_the_table() {
        let servers = r#""servers": {"co.uk": "https://b.example/x", "uk": "https://a.example/", ".io": "https://c.example"}"#;
        let of_servers = |domain: &str| asked(&format!(r#"{{"domain": "{domain}", {servers}}}"#));
        assert_eq!(of_servers("acme.co.uk").as_deref(), Some("https://b.example/x"));
        assert_eq!(of_servers("acme.uk").as_deref(), Some("https://a.example/"));
        assert_eq!(of_servers("acme.io").as_deref(), Some("https://c.example/"));
        assert_eq!(of_servers("acme.com").as_deref(), Some("https://rdap.verisign.com/com/v1/"));
        let own = r#"{"domain": "acme.com", "server": "https://own.example/rdap"}"#;
        assert_eq!(asked(own).as_deref(), Some("https://own.example/rdap"));
        let file =
            Bootstrapped { server: Url::parse("https://file.example/").ok(), ..Bootstrapped::default() };
        let by_file = |text: &str| of(&spec(text), Some(&file)).map(String::from);
        assert_eq!(by_file(r#"{"domain": "acme.com"}"#).as_deref(), Some("https://file.example/"));
        assert_eq!(by_file(own).as_deref(), Some("https://own.example/rdap"));
        assert_eq!(
            of(&spec(r#"{"domain": "acme.com"}"#), Some(&Bootstrapped::default())),
            built_in("acme.com")
        );
    }

    #[test]
    fn a_lookup_has_one_slash_between_base_and_path() {
        for base in ["https://a.example/rdap", "https://a.example/rdap/"] {
            let url = lookup(&Url::parse(base).unwrap(), "acme.example");
            assert_eq!(url.as_str(), "https://a.example/rdap/domain/acme.example");
        }
        let root = lookup(&Url::parse("https://a.example").unwrap(), "acme.example");
        assert_eq!(root.as_str(), "https://a.example/domain/acme.example");
    }
}
