//! What can only be judged with the portal in view.

use std::net::IpAddr;
use std::time::Duration;

use super::spec::{Profile, Spec};
use super::verdict::change::pins;
use crate::model::Host;
use crate::probe::web::tls;
use crate::probe::{Problem, Scope};

/// A scan opens many connections; more often than this it is a load test.
const SHORTEST_SCAN: Duration = Duration::from_secs(300);

/// The hosts that are looked at: of the settings, else of the portal, else that of its URL.
pub fn hosts(spec: &Spec, scope: &Scope) -> Vec<Host> {
    if !spec.hosts.is_empty() {
        return spec.hosts.clone();
    }
    if !scope.portal.hosts.is_empty() {
        return scope.portal.hosts.clone();
    }
    let url = scope.portal.url.as_ref();
    let host = url.and_then(|url| {
        let mut host = Host::parse(url.host_str()?).ok()?;
        host.port = url.port();
        Some(host)
    });
    host.into_iter().collect()
}

fn problem(path: &[&str], message: impl Into<String>) -> Problem {
    Problem { path: path.iter().map(|key| (*key).to_owned()).collect(), message: message.into() }
}

type Rule = fn(&Spec, &Scope) -> Vec<Problem>;

const RULES: &[Rule] = &[
    no_host,
    |spec, _| repeated(spec),
    |spec, _| {
        let zero = spec.port == Some(0);
        zero.then(|| problem(&["port"], "no server listens on port 0; write 1 to 65535"))
            .into_iter()
            .collect()
    },
    |spec, _| spec.server_name.iter().filter_map(server_name).collect(),
    |spec, _| {
        let often = spec.profile != Profile::Off && spec.scan_every.0 < SHORTEST_SCAN;
        let message = "a scan opens 40 to 80 connections; write 5m or more, or profile: off for none";
        often.then(|| problem(&["scan_every"], message)).into_iter().collect()
    },
    |spec, _| {
        let unread = spec.pins.iter().filter_map(|pin| pins::digest(pin).err());
        unread.map(|why| problem(&["pins"], why)).collect()
    },
    |_, scope| tls::faults(&scope.tls).map(|why| problem(&[], why)).collect(),
];

/// What is wrong with the settings.
pub fn problems(spec: &Spec, scope: &Scope) -> Vec<Problem> {
    RULES.iter().flat_map(|rule| rule(spec, scope)).collect()
}

fn no_host(spec: &Spec, scope: &Scope) -> Vec<Problem> {
    let message = "no host to look at: name them under hosts here or in the portal, or give the portal a url";
    hosts(spec, scope).is_empty().then(|| problem(&[], message)).into_iter().collect()
}

/// `portal.example` and `portal.example:443` are one.
fn repeated(spec: &Spec) -> Vec<Problem> {
    let place = |host: &Host| (host.name.clone(), host.port.unwrap_or_else(|| spec.default_port()));
    let again = |(index, host): (usize, &Host)| {
        spec.hosts.iter().take(index).find(|before| place(before) == place(host))?;
        let message = format!("{host} is named twice; leave one of them out");
        Some(problem(&["hosts"], message))
    };
    spec.hosts.iter().enumerate().filter_map(again).collect()
}

fn server_name(name: &Host) -> Option<Problem> {
    let message = if name.name.parse::<IpAddr>().is_ok() {
        format!("{name} is an address, which no client asks for by SNI (RFC 6066 section 3); write a name")
    } else if name.port.is_some() {
        format!("{name} has a port, which is no part of a name; leave it out")
    } else {
        return None;
    };
    Some(problem(&["server_name"], message))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::model::CheckId;
    use crate::net::TlsOptions;
    use crate::probe::PortalScope;

    fn scope(url: Option<&str>, ca: Option<&str>) -> Scope {
        let url = url.map(|url| url.parse().unwrap());
        Scope {
            check: CheckId::new("acme", "tls"),
            portal: Arc::new(PortalScope { url, ..PortalScope::default() }),
            timeout: Duration::from_secs(10),
            deadline: Duration::from_secs(60),
            resolvers: Arc::new([]),
            tls: Arc::new(TlsOptions { ca_pem: ca.map(Into::into), ..TlsOptions::default() }),
            identity: None,
            triggered: None,
        }
    }

    fn faults(settings: Value, scope: &Scope) -> Vec<(String, String)> {
        let spec: Spec = serde_json::from_value(settings).unwrap();
        problems(&spec, scope).into_iter().map(|fault| (fault.path.join("."), fault.message)).collect()
    }

    #[test]
    fn each_fault_of_the_settings_is_told_at_its_key() {
        let with = scope(Some("https://portal.example"), None);
        for (settings, key, words) in [
            (json!({ "hosts": ["a.example", "a.example:443"] }), "hosts", "twice"),
            (json!({ "hosts": ["a.example", "a.example:25"], "starttls": "smtp" }), "hosts", "twice"),
            (json!({ "port": 0 }), "port", "port 0"),
            (json!({ "server_name": "192.0.2.1" }), "server_name", "address"),
            (json!({ "server_name": "2001:db8::1" }), "server_name", "address"),
            (json!({ "server_name": "a.example:443" }), "server_name", "port"),
            (json!({ "scan_every": "10s" }), "scan_every", "5m"),
            (json!({ "pins": ["abc"] }), "pins", "SHA-256"),
        ] {
            let found = faults(settings.clone(), &with);
            assert!(
                matches!(&found[..], [(at, why)] if at == key && why.contains(words)),
                "{settings}: {found:?}"
            );
        }
    }

    #[test]
    fn what_is_fine_is_not_complained_about() {
        let with = scope(Some("https://portal.example:8443"), None);
        for settings in [
            json!({}),
            json!({ "hosts": ["a.example", "a.example:8443", "192.0.2.1", "[2001:db8::1]:25"] }),
            json!({ "starttls": "smtp", "profile": "modern", "server_name": "mail.example" }),
            json!({ "profile": "off", "scan_every": "10s" }),
            json!({ "pins": ["47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "ab".repeat(32)] }),
        ] {
            assert_eq!(faults(settings.clone(), &with), [], "{settings}");
        }
    }

    #[test]
    fn a_check_without_any_host_or_with_an_unreadable_authority_is_refused() {
        assert!(faults(json!({}), &scope(None, None))[0].1.contains("no host to look at"));
        let found = faults(json!({ "hosts": ["a.example"] }), &scope(None, Some("no PEM")));
        assert!(found[0].1.contains("ca_file"), "{found:?}");
    }

    #[test]
    fn the_portals_hosts_stand_in_for_the_checks_and_its_url_for_them() {
        let spec = |settings| serde_json::from_value::<Spec>(settings).unwrap();
        let named = |spec: &Spec, scope: &Scope| {
            hosts(spec, scope).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let mut with = scope(Some("https://portal.example:8443"), None);
        assert_eq!(named(&spec(json!({})), &with), ["portal.example:8443"]);
        let portal = PortalScope { hosts: vec![Host::parse("b.example").unwrap()], ..(*with.portal).clone() };
        with.portal = Arc::new(portal);
        assert_eq!(named(&spec(json!({})), &with), ["b.example"]);
        assert_eq!(named(&spec(json!({ "hosts": ["c.example"] })), &with), ["c.example"]);
    }
}
