//! The file that says which server answers for which domains (RFC 9224).

use jiff::Timestamp;
use serde_json::Value;
use url::Url;

use super::{RdapError, line};

/// At most this many services are looked at; IANA's file has some 600.
const MOST_SERVICES: usize = 10_000;
/// At most this many names or addresses of one service are.
const MOST_ENTRIES: usize = 10_000;

/// A bootstrap file for domains.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    /// When it was published.
    pub publication: Option<Timestamp>,
    services: Value,
}

impl Bootstrap {
    /// Reads a file.
    ///
    /// # Errors
    /// It is no JSON object with a list of services.
    pub fn parse(body: &[u8]) -> Result<Self, RdapError> {
        let mut value: Value =
            serde_json::from_slice(body).map_err(|error| RdapError::Json(line(&error.to_string())))?;
        let publication = value.get("publication").and_then(Value::as_str).and_then(super::date::read);
        let object = value.as_object_mut().ok_or(RdapError::NoObject)?;
        let services = object.remove("services").filter(Value::is_array).ok_or(RdapError::NoServices)?;
        Ok(Self { publication, services })
    }

    /// The base address for a domain: that of the entry with the most labels that end the domain's
    /// name (section 4), of several addresses an `https` one. It ends with a slash.
    pub fn server(&self, domain: &str) -> Option<Url> {
        let services = self.services.as_array().into_iter().flatten().take(MOST_SERVICES);
        let fitting = services.filter_map(|service| {
            let names = service.get(0)?.as_array()?.iter().take(MOST_ENTRIES).filter_map(Value::as_str);
            let labels = names.filter(|name| is_under(domain, name)).map(labels).max()?;
            Some((labels, base(service.get(1)?)?))
        });
        fitting.max_by_key(|(labels, _)| *labels).map(|(_, url)| url)
    }
}

/// Whether a domain is `name` or stands below it; both without a final dot, in any case.
pub fn is_under(domain: &str, name: &str) -> bool {
    let name = name.trim_matches('.');
    let Some(start) = domain.len().checked_sub(name.len()) else { return false };
    let same = domain.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(name));
    same && !name.is_empty() && (start == 0 || domain.as_bytes().get(start - 1) == Some(&b'.'))
}

fn labels(name: &str) -> usize {
    name.trim_matches('.').split('.').count()
}

fn base(addresses: &Value) -> Option<Url> {
    let read = |address: &Value| {
        let mut url = Url::parse(address.as_str()?.trim()).ok()?;
        let usable = matches!(url.scheme(), "http" | "https") && url.username().is_empty();
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        (usable && url.password().is_none()).then_some(url)
    };
    let addresses: Vec<Url> = addresses.as_array()?.iter().take(16).filter_map(read).collect();
    let secure = addresses.iter().find(|url| url.scheme() == "https");
    secure.or(addresses.first()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{
        "version": "1.0",
        "publication": "2026-07-23T02:00:03Z",
        "description": "RDAP bootstrap file for Domain Name System registrations",
        "services": [
            [["com", "net"], ["https://rdap.verisign.com/com/v1/"]],
            [["uk"], ["http://rdap.example.uk/", "https://rdap.example.uk/uk"]],
            [["co.uk"], ["https://rdap.co.example.uk/"]],
            [["broken"], "https://a.example/"], [7], {"a": 1}, [["ftp"], ["ftp://a.example/"]]
        ]
    }"#;

    fn server(domain: &str) -> Option<String> {
        Bootstrap::parse(FILE.as_bytes()).unwrap().server(domain).map(String::from)
    }

    #[test]
    fn the_longest_label_match_wins_and_https_before_http() {
        assert_eq!(server("acme.net").as_deref(), Some("https://rdap.verisign.com/com/v1/"));
        assert_eq!(server("acme.uk").as_deref(), Some("https://rdap.example.uk/uk/"));
        assert_eq!(server("acme.co.uk").as_deref(), Some("https://rdap.co.example.uk/"));
        assert_eq!(server("ACME.CO.UK").as_deref(), Some("https://rdap.co.example.uk/"));
    }

    #[test]
    fn a_name_that_merely_ends_alike_is_not_served() {
        for domain in ["acme.xcom", "acme.telecom", "acme.broken", "acme.ftp", "m", ""] {
            assert_eq!(server(domain), None, "{domain}");
        }
    }

    #[test]
    fn a_file_without_services_is_refused() {
        for text in ["", "<html>", "[]", "{}", r#"{"services": {}}"#] {
            assert!(Bootstrap::parse(text.as_bytes()).is_err(), "{text}");
        }
        let file = Bootstrap::parse(FILE.as_bytes()).unwrap();
        assert_eq!(file.publication.map(|date| date.to_string()).as_deref(), Some("2026-07-23T02:00:03Z"));
    }
}
