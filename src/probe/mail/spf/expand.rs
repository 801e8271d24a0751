//! Macros filled in (RFC 7208 section 7).

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::formats::spf::{Macro, MacroString, Part};

/// What is filled in.
pub struct Values<'a> {
    pub local: &'a str,
    pub sender_domain: &'a str,
    pub domain: &'a str,
    pub helo: &'a str,
    pub ip: IpAddr,
    /// `%{p}`: a name of the address that was verified.
    pub verified: &'a str,
    pub receiver: &'a str,
    pub time: i64,
}

/// Whether a string needs the verified name of the address, which costs lookups.
pub fn needs_name(string: &MacroString) -> bool {
    string.0.iter().any(|part| matches!(part, Part::Macro(one) if one.letter == 'p'))
}

/// The string.
pub fn expand(string: &MacroString, values: &Values<'_>) -> String {
    let part = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Macro(one) => of_macro(one, values),
    };
    string.0.iter().map(part).collect()
}

fn of_macro(one: &Macro, values: &Values<'_>) -> String {
    let value = match one.letter {
        's' => format!("{}@{}", values.local, values.sender_domain),
        'l' => values.local.to_owned(),
        'o' => values.sender_domain.to_owned(),
        'd' => values.domain.to_owned(),
        'i' => dotted(values.ip),
        'p' => values.verified.to_owned(),
        'v' => if values.ip.is_ipv4() { "in-addr" } else { "ip6" }.to_owned(),
        'h' => values.helo.to_owned(),
        'c' => values.ip.to_string(),
        'r' => values.receiver.to_owned(),
        't' => values.time.to_string(),
        _ => String::new(),
    };
    let value = transformed(&value, one);
    if one.escaped { escaped(&value) } else { value }
}

/// IPv6 as hexadecimal digits with dots between them.
fn dotted(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let digits = format!("{:032X}", u128::from(v6));
            digits.chars().map(String::from).collect::<Vec<_>>().join(".")
        }
    }
}

fn transformed(value: &str, one: &Macro) -> String {
    if one.keep.is_none() && !one.reversed && one.delimiters.is_empty() {
        return value.to_owned();
    }
    let delimiters = if one.delimiters.is_empty() { "." } else { &one.delimiters };
    let mut parts: Vec<&str> = value.split(|letter| delimiters.contains(letter)).collect();
    if one.reversed {
        parts.reverse();
    }
    let surplus = parts.len().saturating_sub(one.keep.unwrap_or(usize::MAX));
    parts.get(surplus..).unwrap_or_default().join(".")
}

/// All but the unreserved characters of RFC 3986.
fn escaped(value: &str) -> String {
    let mut escaped = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            escaped.push(char::from(byte));
        } else {
            // Writing into a string never fails.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}
