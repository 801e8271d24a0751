//! The names of a leaf.

use std::net::IpAddr;

use super::super::docs;
use super::super::fault::Fault;
use super::{Purpose, Role, Seen};
use crate::formats::x509::name::COMMON_NAME;
use crate::formats::x509::{GeneralName, oid};
use crate::judge::clip;

/// At most this many names are listed.
const LISTED: usize = 5;

fn is_server(seen: &Seen<'_>) -> bool {
    seen.role == Role::Leaf && seen.purpose == Purpose::Server
}

/// RFC 5280 section 4.2.1.6, BR 7.1.2.7.12.
pub fn alternative_names(seen: &Seen<'_>) -> Option<Fault> {
    if seen.role != Role::Leaf {
        return None;
    }
    if seen.certificate.extensions.sans.is_none() {
        let unreadable = seen.certificate.extensions.malformed.iter().any(|oid| oid == oid::SAN);
        let missing = is_server(seen) && !unreadable;
        return missing
            .then(|| Fault::strict(&docs::ALTERNATIVE_NAMES, seen.position, "has no alternative names"));
    }
    let wrong = |name: &GeneralName| Some(format!("{name} {}", trouble(name)?));
    let troubles: Vec<String> = seen.certificate.sans().iter().filter_map(wrong).take(LISTED).collect();
    (!troubles.is_empty())
        .then(|| Fault::strict(&docs::ALTERNATIVE_NAMES, seen.position, troubles.join("; ")))
}

fn trouble(name: &GeneralName) -> Option<&'static str> {
    match name {
        GeneralName::Dns(text) => text.plain().map_or(Some("is not in ASCII"), host_trouble),
        GeneralName::BadIp(_) => Some("is no address"),
        GeneralName::Email(text) => text.plain().map_or(Some("is not in ASCII"), mailbox_trouble),
        GeneralName::Uri(text) if text.plain().is_none() => Some("is not in ASCII"),
        _ => None,
    }
}

fn mailbox_trouble(mailbox: &str) -> Option<&'static str> {
    let parts =
        mailbox.split_once('@').filter(|(local, host)| !local.is_empty() && host_trouble(host).is_none());
    parts.is_none().then_some("is no mailbox")
}

fn host_trouble(host: &str) -> Option<&'static str> {
    const LONGEST: usize = 253;
    const LONGEST_LABEL: usize = 63;
    let bare = host.strip_prefix("*.").unwrap_or(host);
    if bare.contains('*') {
        return Some("has a wildcard that is not its whole first label");
    }
    if bare.parse::<IpAddr>().is_ok() {
        return Some("is an address given as a host name");
    }
    if bare.contains('_') {
        return Some("has an underscore");
    }
    let label = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (host.len() > LONGEST || !bare.split('.').all(label)).then_some("is no host name")
}

/// BR 3.2.2.6: of the public suffix list both parts, and what it does not know counts by its last
/// label.
pub fn public_suffix(seen: &Seen<'_>) -> Option<Fault> {
    if seen.role != Role::Leaf {
        return None;
    }
    let covers_suffix = |name: &&GeneralName| {
        let GeneralName::Dns(text) = name else { return false };
        let base = text.plain().and_then(|host| host.strip_prefix("*."));
        base.is_some_and(|base| {
            let base = base.to_ascii_lowercase();
            psl::suffix_str(&base).is_some_and(|suffix| suffix == base)
        })
    };
    let found = seen.certificate.sans().iter().find(covers_suffix)?;
    let summary = format!("{found} covers a whole public suffix");
    Some(Fault::strict(&docs::WILDCARD, seen.position, summary))
}

/// BR 4.2.2, for what public authorities issue.
pub fn internal(seen: &Seen<'_>) -> Option<Fault> {
    if seen.role != Role::Leaf || !seen.public {
        return None;
    }
    let is_internal = |name: &&GeneralName| match name {
        GeneralName::Dns(text) => text.plain().is_some_and(|host| {
            let host = host.strip_prefix("*.").unwrap_or(host).to_ascii_lowercase();
            !psl::suffix(host.as_bytes()).is_some_and(|suffix| suffix.is_known())
        }),
        GeneralName::Ip(IpAddr::V4(ip)) => {
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified()
        }
        GeneralName::Ip(IpAddr::V6(ip)) => {
            ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()
        }
        _ => false,
    };
    let found = seen.certificate.sans().iter().find(is_internal)?;
    Some(Fault::note(&docs::INTERNAL_NAME, seen.position, format!("{found} is not unique on the Internet")))
}

/// BR 7.1.4.3. It speaks of certificates that name hosts or addresses; others have a common name of
/// their own.
pub fn common_name(seen: &Seen<'_>) -> Option<Fault> {
    let sans = seen.certificate.sans();
    let names_hosts = sans.iter().any(|name| matches!(name, GeneralName::Dns(_) | GeneralName::Ip(_)));
    if !is_server(seen) || !names_hosts {
        return None;
    }
    let common: Vec<&str> = seen.certificate.subject.values(COMMON_NAME).collect();
    let (strict, summary) = match common.as_slice() {
        [] => return None,
        [only] if sans.iter().any(|name| repeats(name, only)) => return None,
        [only] => {
            let summary = format!(
                "its common name {:?} is not, letter for letter, one of its alternative names",
                clip(only)
            );
            (misleads(only, sans), summary)
        }
        several => (true, format!("it has {} common names", several.len())),
    };
    Some(Fault { strict, ..Fault::note(&docs::COMMON_NAME, seen.position, summary) })
}

fn repeats(name: &GeneralName, common: &str) -> bool {
    match name {
        GeneralName::Dns(text) => text.plain() == Some(common),
        GeneralName::Ip(ip) => ip.to_string() == common,
        _ => false,
    }
}

/// Whether a common name that repeats no alternative name is to be refused for it: a second spelling
/// of a name or an address, no host name at all, or a host of somebody else's. Another host below the
/// same registrable domain, or beside addresses alone, claims nothing that the owner has not.
fn misleads(common: &str, sans: &[GeneralName]) -> bool {
    let host = common.to_ascii_lowercase();
    let is_address = matches!(url::Host::parse(common), Ok(url::Host::Ipv4(_)))
        || common.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    if is_address || host_trouble(&host).is_some() {
        return true;
    }
    let hosts = || {
        sans.iter().filter_map(|name| match name {
            GeneralName::Dns(text) => text.plain().map(str::to_ascii_lowercase),
            _ => None,
        })
    };
    let same_owner =
        |other: &str| psl::domain_str(other).is_some_and(|domain| psl::domain_str(&host) == Some(domain));
    let respelled = hosts().any(|other| other == host);
    let foreign = hosts().next().is_some() && !hosts().any(|other| same_owner(&other));
    respelled || foreign
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_stand_in_a_certificate_is_a_host_name() {
        for (host, fine) in [
            ("a.example", true),
            ("*.a.example", true),
            ("xn--bcher-kva.example", true),
            ("localhost", true),
            ("a_b.example", false),
            ("*", false),
            ("a*.example", false),
            ("a.*.example", false),
            ("192.0.2.1", false),
            ("-a.example", false),
            ("a..example", false),
            ("a.example.", false),
            ("a b.example", false),
            ("", false),
        ] {
            assert_eq!(host_trouble(host).is_none(), fine, "{host}");
        }
    }

    #[test]
    fn a_common_name_may_be_another_host_of_the_owner_and_nothing_else() {
        let san = |text: &str| GeneralName::dns(text);
        let ip = || GeneralName::Ip([192, 0, 2, 1].into());
        for (common, names, refused) in [
            ("example.com", vec![san("*.example.com")], false),
            ("example.com", vec![san("a.example.org"), san("a.b.example.com")], false),
            ("example.com", vec![ip()], false),
            ("Example.com", vec![san("example.com")], true),
            ("example.org", vec![san("example.com")], true),
            ("b\u{fc}cher.example.com", vec![san("xn--bcher-kva.example.com")], true),
            ("192.000.002.001", vec![ip()], true),
            ("0xc0.0.2.1", vec![ip()], true),
            ("2001:DB8::1", vec![GeneralName::Ip("2001:db8::1".parse().unwrap())], true),
            ("Acme portal", vec![san("example.com")], true),
        ] {
            assert_eq!(misleads(common, &names), refused, "{common} {names:?}");
        }
    }
}
