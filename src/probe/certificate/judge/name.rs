//! Whether a certificate is for the name that is asked for (RFC 9525): by its alternative names
//! alone.

use std::fmt;
use std::net::IpAddr;

use crate::formats::x509::name::COMMON_NAME;
use crate::formats::x509::{Certificate, GeneralName};

/// Whom the certificate should be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A host name in A-labels, lower case, without a final dot.
    Host(String),
    /// An address.
    Ip(IpAddr),
    /// A mailbox, of a client's certificate.
    Mailbox(String),
}

impl Wanted {
    /// Reads a host name (U-labels become A-labels), an IP address or a mailbox.
    ///
    /// # Errors
    /// The text is none of them.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let unbracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(ip) = unbracketed.parse() {
            return Ok(Self::Ip(ip));
        }
        if text.matches('@').count() == 1 && !text.starts_with('@') && !text.ends_with('@') {
            return Ok(Self::Mailbox(text.to_owned()));
        }
        let bare = text.strip_suffix('.').unwrap_or(text);
        let host = match url::Host::parse(bare) {
            Ok(url::Host::Domain(host)) => host,
            // A name that IDNA does not know but that is ASCII can still be asked for.
            _ if is_hostname(bare) => bare.to_ascii_lowercase(),
            _ => return Err(format!("{text:?} is no host name, no IP address and no mailbox")),
        };
        Ok(Self::Host(host))
    }
}

fn is_hostname(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    // An all-numeric last label would be an address of the old kind.
    text.split('.').all(label) && !text.ends_with(|last: char| last.is_ascii_digit())
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(text) | Self::Mailbox(text) => f.write_str(text),
            Self::Ip(ip) => write!(f, "{ip}"),
        }
    }
}

/// At most this many names are listed in a reason.
const LISTED: usize = 5;

/// The alternative name that covers what is wanted.
///
/// # Errors
/// None does: why, in words.
pub fn covering<'a>(certificate: &'a Certificate, wanted: &Wanted) -> Result<&'a GeneralName, String> {
    let names = certificate.sans();
    if let Some(found) = names.iter().find(|name| covers(name, wanted)) {
        return Ok(found);
    }
    let common = certificate.subject.values(COMMON_NAME).any(|common| same_text(common, wanted));
    if common {
        return Err(format!(
            "{wanted} stands in the common name alone, which clients ignore (RFC 9525 section 2)"
        ));
    }
    if names.is_empty() {
        return Err(format!("it has no alternative names, {wanted} among them"));
    }
    if names.iter().any(|name| matches!((name, wanted), (GeneralName::Dns(dns), Wanted::Ip(ip)) if dns.plain() == Some(&ip.to_string()))) {
        return Err(format!("{wanted} stands there as a host name, not as an address (RFC 5280 section 4.2.1.6)"));
    }
    let mut listed: Vec<String> = names.iter().take(LISTED).map(ToString::to_string).collect();
    if names.len() > LISTED {
        listed.push(format!("{} more", names.len() - LISTED));
    }
    Err(format!("it is for {}, not for {wanted}", listed.join(", ")))
}

fn same_text(common: &str, wanted: &Wanted) -> bool {
    common.eq_ignore_ascii_case(&wanted.to_string())
        || matches!(wanted, Wanted::Host(host) if covers_host(common, host))
}

fn covers(name: &GeneralName, wanted: &Wanted) -> bool {
    match (name, wanted) {
        (GeneralName::Dns(pattern), Wanted::Host(host)) => {
            pattern.plain().is_some_and(|pattern| covers_host(pattern, host))
        }
        (GeneralName::Ip(ip), Wanted::Ip(wanted)) => ip == wanted,
        (GeneralName::Email(own), Wanted::Mailbox(wanted)) => {
            own.plain().is_some_and(|own| same_mailbox(own, wanted))
        }
        _ => false,
    }
}

/// A wildcard stands for exactly one whole label, the first, above at least two (RFC 9525 section
/// 6.3).
fn covers_host(pattern: &str, host: &str) -> bool {
    let Some(base) = pattern.strip_prefix("*.") else {
        return !pattern.contains('*') && pattern.eq_ignore_ascii_case(host);
    };
    let rest = host.split_once('.').filter(|(label, _)| !label.is_empty()).map(|(_, rest)| rest);
    base.contains('.') && !base.contains('*') && rest.is_some_and(|rest| rest.eq_ignore_ascii_case(base))
}

/// The part before the @ is compared exactly (RFC 5280 section 7.5).
fn same_mailbox(own: &str, wanted: &str) -> bool {
    match (own.rsplit_once('@'), wanted.rsplit_once('@')) {
        (Some((local, host)), Some((other, wanted))) => local == other && host.eq_ignore_ascii_case(wanted),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_is_one_whole_first_label() {
        for (pattern, host, covered) in [
            ("a.example", "a.example", true),
            ("A.Example", "a.example", true),
            ("*.a.example", "b.a.example", true),
            ("*.a.example", "a.example", false),
            ("*.a.example", "c.b.a.example", false),
            ("*.example", "a.example", false),
            ("*", "example", false),
            ("b*.a.example", "bc.a.example", false),
            ("b.*.example", "b.a.example", false),
            ("*.*.example", "b.a.example", false),
            ("*.a.example", ".a.example", false),
        ] {
            assert_eq!(covers_host(pattern, host), covered, "{pattern} {host}");
        }
    }

    #[test]
    fn names_are_asked_for_as_people_write_them() {
        let host = |text: &str| Wanted::Host(text.to_owned());
        assert_eq!(Wanted::parse("Bücher.Example."), Ok(host("xn--bcher-kva.example")));
        assert_eq!(Wanted::parse("a_b.example"), Ok(host("a_b.example")));
        assert_eq!(Wanted::parse("[2001:db8::1]"), Ok(Wanted::Ip("2001:db8::1".parse().unwrap())));
        assert_eq!(Wanted::parse("a@b.example"), Ok(Wanted::Mailbox("a@b.example".to_owned())));
        assert!(Wanted::parse("").is_err());
        assert!(Wanted::parse("a b").is_err());
    }

    #[test]
    fn only_the_host_of_a_mailbox_may_differ_in_case() {
        assert!(same_mailbox("a@B.example", "a@b.example"));
        assert!(!same_mailbox("A@b.example", "a@b.example"));
    }
}
