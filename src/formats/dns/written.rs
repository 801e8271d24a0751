//! The data of a record as people write it in zone files and settings, brought into the form in which
//! records are compared ([`Record::comparable`](super::Record::comparable)). Names count as complete
//! whether or not they end with a dot.

use std::fmt;

use super::{Caa, Data, Name, RecordType, Srv};

/// Reads the data of one record.
///
/// # Errors
/// What is wrong, and what would be right.
pub fn comparable(kind: RecordType, text: &str) -> Result<String, String> {
    let text = text.trim();
    let wrong = |example: &str| format!("{text:?} is no data of a {kind} record; write it as {example}");
    let words = || text.split_whitespace().collect::<Vec<_>>();
    let data = match kind {
        RecordType::A => Data::A(text.parse().map_err(|_| wrong("192.0.2.1"))?),
        RecordType::AAAA => Data::Aaaa(text.parse().map_err(|_| wrong("2001:db8::1"))?),
        RecordType::CNAME | RecordType::NS | RecordType::PTR | RecordType::DNAME => {
            Data::Name(name(text).ok_or_else(|| wrong("host.example."))?)
        }
        RecordType::MX => {
            let example = "10 mx.example.";
            let [preference, exchange] = words()[..] else { return Err(wrong(example)) };
            let preference = preference.parse().map_err(|_| wrong(example))?;
            Data::Mx { preference, exchange: name(exchange).ok_or_else(|| wrong(example))? }
        }
        RecordType::SRV => {
            let example = "1 10 443 host.example.";
            let [priority, weight, port, target] = words()[..] else { return Err(wrong(example)) };
            let number = |text: &str| text.parse().map_err(|_| wrong(example));
            let target = name(target).ok_or_else(|| wrong(example))?;
            Data::Srv(Srv {
                priority: number(priority)?,
                weight: number(weight)?,
                port: number(port)?,
                target,
            })
        }
        RecordType::TXT if !text.starts_with('"') => Data::Txt(vec![text.as_bytes().to_vec()]),
        RecordType::TXT => Data::Txt(strings(text).ok_or_else(|| wrong("\"v=spf1 -all\""))?),
        RecordType::CAA => {
            let example = "0 issue \"letsencrypt.org\"";
            let mut parts = text.splitn(3, char::is_whitespace);
            let flags = parts.next().and_then(|flags| flags.parse().ok()).ok_or_else(|| wrong(example))?;
            let tag = parts.next().filter(|tag| !tag.is_empty()).ok_or_else(|| wrong(example))?;
            let value = parts.next().map(str::trim).ok_or_else(|| wrong(example))?;
            let value = if value.starts_with('"') {
                strings(value).and_then(|mut all| all.pop()).ok_or_else(|| wrong(example))?
            } else {
                value.as_bytes().to_vec()
            };
            Data::Caa(Caa { flags, tag: tag.as_bytes().to_vec(), value })
        }
        // Numbers, then digits that may be parted by blanks; names do not stand in them.
        RecordType::TLSA | RecordType::DS | RecordType::CDS => {
            let [first, second, third, digits @ ..] = &words()[..] else {
                return Err(wrong("3 1 1 0a1b…"));
            };
            let digits = digits.concat().to_ascii_lowercase();
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(wrong("3 1 1 0a1b…"));
            }
            return Ok(format!("{first} {second} {third} {digits}"));
        }
        _ => return Ok(words().join(" ")),
    };
    Ok(data.comparable())
}

fn name(text: &str) -> Option<Name> {
    text.parse().ok().filter(|_| !text.is_empty())
}

/// Strings between quotation marks, `\"`, `\\` and `\DDD` within them (RFC 1035 section 5.1).
fn strings(text: &str) -> Option<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    let mut rest = text.bytes().peekable();
    while let Some(byte) = rest.next() {
        match byte {
            b' ' | b'\t' => {}
            b'"' => all.push(string(&mut rest)?),
            _ => return None,
        }
    }
    Some(all)
}

/// What is left of a string after its first quotation mark.
fn string(rest: &mut impl Iterator<Item = u8>) -> Option<Vec<u8>> {
    let mut string = Vec::new();
    loop {
        match rest.next()? {
            b'"' => return Some(string),
            b'\\' => {
                let next = rest.next()?;
                if next.is_ascii_digit() {
                    let digits = [next, rest.next()?, rest.next()?];
                    let digits = std::str::from_utf8(&digits).ok()?;
                    string.push(digits.parse().ok()?);
                } else {
                    string.push(next);
                }
            }
            byte => string.push(byte),
        }
    }
}

/// Values as a list for people.
pub struct Listed<'a>(pub &'a [String]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("nothing") } else { f.write_str(&self.0.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_the_same_is_the_same_however_it_is_written() {
        for (kind, text, expected) in [
            ("A", "192.0.2.1", "192.0.2.1"),
            ("AAAA", "2001:DB8:0::1", "2001:db8::1"),
            ("CNAME", "CDN.Example.net", "cdn.example.net."),
            ("MX", "10  MX.example.", "10 mx.example."),
            ("SRV", "1 2 443 Host.example", "1 2 443 host.example."),
            ("TXT", "v=spf1 -all", "\"v=spf1 -all\""),
            ("TXT", "\"v=spf1 \" \"-all\"", "\"v=spf1 -all\""),
            ("TXT", "\"a\\\"b\\065\"", "\"a\\\"bA\""),
            ("CAA", "0 ISSUE \"ca.example\"", "0 issue \"ca.example\""),
            ("CAA", "0 issue ca.example", "0 issue \"ca.example\""),
            ("TLSA", "3 1 1 0A1B 2C", "3 1 1 0a1b2c"),
            ("HTTPS", "1  .  alpn=h2", "1 . alpn=h2"),
        ] {
            assert_eq!(comparable(kind.parse().unwrap(), text).as_deref(), Ok(expected), "{kind} {text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_an_example() {
        for (kind, text) in [
            ("A", "2001:db8::1"),
            ("AAAA", "192.0.2.1"),
            ("MX", "mx.example."),
            ("SRV", "1 2 host.example."),
            ("TXT", "\"open"),
            ("CAA", "issue ca.example"),
            ("TLSA", "3 1 1 xyz"),
            ("CNAME", ""),
        ] {
            let why = comparable(kind.parse().unwrap(), text).unwrap_err();
            assert!(why.contains("write it as"), "{why}");
        }
    }
}
