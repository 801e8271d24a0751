//! Names in checks: whose record is asked for, and what a name may be.

use std::net::IpAddr;

/// Local part and domain of the sender; of a bounce those of HELO (RFC 7208 sections 2.4 and 4.3).
pub fn parted(mail_from: &str, helo: &str) -> (String, String) {
    let sender = mail_from.trim();
    let (local, domain) = match sender.rsplit_once('@') {
        _ if sender.is_empty() => ("", helo),
        Some(parts) => parts,
        None => ("", sender),
    };
    let local = if local.is_empty() { "postmaster" } else { local };
    (local.to_owned(), without_dot(domain).to_owned())
}

/// Without the dot at its end.
pub fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// Whether a name could have a record: several labels of at most 63 bytes (section 4.3).
pub fn is_checkable(name: &str) -> bool {
    name.contains('.') && is_name(name) && !name.starts_with('[')
}

/// Whether it can be asked for at all.
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 253 && name.split('.').all(|label| (1..=63).contains(&label.len()))
}

/// A name that is not too long: labels are dropped from the left (section 7.3).
pub fn shortened(name: &str) -> &str {
    let mut rest = without_dot(name);
    while rest.len() > 253 {
        match rest.split_once('.') {
            Some((_, behind)) => rest = behind,
            None => return rest,
        }
    }
    rest
}

/// Whether one name is the other or below it, whatever the case.
pub fn is_within(name: &str, above: &str) -> bool {
    let (name, above) = (without_dot(name).to_ascii_lowercase(), without_dot(above).to_ascii_lowercase());
    name == above || name.strip_suffix(&above).is_some_and(|rest| rest.ends_with('.'))
}

/// Whether the leading bits of two addresses of one family are the same.
pub fn matches(one: IpAddr, other: IpAddr, bits: u8) -> bool {
    let shifted =
        |value: u128, width: u32| value.checked_shr(width - u32::from(bits).min(width)).unwrap_or_default();
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            shifted(u32::from(one).into(), 32) == shifted(u32::from(other).into(), 32)
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => shifted(one.into(), 128) == shifted(other.into(), 128),
        _ => false,
    }
}

/// An IPv4 address that is written as one of IPv6 is one of IPv4 (section 5).
pub fn plain(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(ip, IpAddr::V4),
        IpAddr::V4(_) => ip,
    }
}
