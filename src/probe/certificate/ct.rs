//! What public logs of certificates (Certificate Transparency, RFC 9162) say of the hosts' domains, as
//! a service tells it that searches them: Cert Spotter by SSLMate, or one that speaks as it does.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::Secret;

/// So many domains are watched.
const MOST_DOMAINS: usize = 16;

/// Watches public logs for certificates that were issued for the hosts' domains and are none of theirs.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The service, asked at most every six hours for each domain: Cert Spotter, or what speaks as it
    /// does.
    pub url: url::Url,
    /// The service's API key. Without one, Cert Spotter answers a few questions an hour.
    pub token: Option<Secret>,
    /// Names below the domains too.
    pub include_subdomains: bool,
}

impl Default for Settings {
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "a literal; a test reads it")]
        let url = url::Url::parse("https://api.certspotter.com").expect("the default is a URL");
        Self { url, token: None, include_subdomains: true }
    }
}

impl Settings {
    /// What is wrong with the URL and the way out: a token must not travel in the clear.
    pub fn problem(&self) -> Option<String> {
        let on_loopback = match self.url.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            _ => false,
        };
        let fine = match self.url.scheme() {
            "https" => self.url.host().is_some(),
            "http" => on_loopback,
            _ => false,
        };
        let plain = self.url.username().is_empty() && self.url.password().is_none();
        let bare = plain && self.url.query().is_none() && self.url.fragment().is_none();
        (!fine || !bare).then(|| {
            "it must be an https URL without user, query and fragment; give the API key under token"
                .to_owned()
        })
    }
}

/// The registrable domains of hosts, each once. Addresses have none, and neither have names that are
/// not below a public suffix: no public authority issues for them.
pub fn domains<'h>(hosts: impl IntoIterator<Item = &'h str>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for host in hosts {
        if let Some(domain) = domain(host)
            && found.len() < MOST_DOMAINS
            && !found.contains(&domain)
        {
            found.push(domain);
        }
    }
    found
}

/// The registrable domain of one host.
pub fn domain(host: &str) -> Option<String> {
    if host.parse::<std::net::IpAddr>().is_ok() {
        return None;
    }
    let host = host.to_ascii_lowercase();
    let known = psl::suffix(host.as_bytes()).is_some_and(|suffix| suffix.is_known());
    psl::domain_str(&host).filter(|_| known).map(str::to_owned)
}

/// What the service said of one domain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Watched {
    /// The domain.
    pub domain: String,
    /// What is new since the last question, in the service's order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub issuances: Vec<Issuance>,
    /// Where the next question goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// There is no more for the time being.
    pub finished: bool,
    /// Why there was no answer, or none beyond what is here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The service asks not to be asked before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
}

/// One certificate that was issued; the certificate and what was logged before it are one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Issuance {
    /// SHA-256 of what was signed without what logs add (RFC 6962 section 3.2), in hex.
    pub tbs_sha256: String,
    /// SHA-256 of the public key, in hex.
    pub pubkey_sha256: String,
    /// For which names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// For how many more.
    #[serde(skip_serializing_if = "is_zero")]
    pub left_out: usize,
    /// Who issued it: the organisation.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub issuer: String,
    /// The beginning of its validity, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<i64>,
    /// The end of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after: Option<i64>,
}

/// Where a domain's look goes on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor<'m> {
    /// The last certificate that was told of.
    pub after: Option<&'m str>,
    /// What there was at first is known.
    pub learned: bool,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_domain_is_asked_for_once_and_what_no_authority_issues_for_is_not() {
        let hosts = [
            "portal.example.com",
            "mail.example.com",
            "WWW.example.co.uk",
            "192.0.2.1",
            "db.internal",
            "localhost",
            "::1",
        ];
        assert_eq!(domains(hosts), ["example.com", "example.co.uk"]);
    }

    #[test]
    fn a_token_never_travels_in_the_clear() {
        let problem = |url: &str| Settings { url: url.parse().unwrap(), ..Settings::default() }.problem();
        assert_eq!(Settings::default().problem(), None);
        assert_eq!(problem("https://ct.example.com/mirror"), None);
        assert_eq!(problem("http://127.0.0.1:8080"), None);
        for wrong in [
            "http://ct.example.com",
            "https://u:p@ct.example.com",
            "https://ct.example.com/?a=b",
            "ftp://ct.example.com",
        ] {
            assert!(problem(wrong).is_some(), "{wrong}");
        }
    }
}
