//! The dialogues of one request and one answer in bytes: LDAP, PostgreSQL, MySQL.

use super::Turn;

/// RFC 4511 section 4.14.1: an ExtendedRequest with the object identifier 1.3.6.1.4.1.1466.20037.
pub(super) const LDAP_REQUEST: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

/// PostgreSQL: a length and the number 80877103.
pub(super) const POSTGRES_REQUEST: &[u8] = &[0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f];

/// CLIENT_SSL among the capabilities of MySQL.
const MYSQL_SSL: u16 = 0x0800;

struct NotBer;

/// A value's tag, its content and what follows.
type Value<'a> = (u8, &'a [u8], &'a [u8]);

/// A BER value with a definite length; `None` when more has to be read.
fn ber(bytes: &[u8]) -> Result<Option<Value<'_>>, NotBer> {
    let [tag, first, rest @ ..] = bytes else { return Ok(None) };
    let (length, rest) = match *first {
        // 0x80 is the indefinite length, which LDAP forbids (RFC 4511 section 5.1).
        short @ 0..=0x7f => (usize::from(short), rest),
        long @ 0x81..=0x84 => {
            let count = usize::from(long & 0x7f);
            let Some((digits, rest)) = rest.split_at_checked(count) else { return Ok(None) };
            (digits.iter().fold(0, |length, digit| (length << 8) | usize::from(*digit)), rest)
        }
        _ => return Err(NotBer),
    };
    Ok(rest.split_at_checked(length).map(|(content, rest)| (*tag, content, rest)))
}

/// A value that has to be whole and of this tag.
fn part(bytes: &[u8], wanted: u8) -> Result<(&[u8], &[u8]), NotBer> {
    match ber(bytes)? {
        Some((tag, content, rest)) if tag == wanted => Ok((content, rest)),
        _ => Err(NotBer),
    }
}

/// Result code and diagnostic message of an ExtendedResponse.
fn ldap_result(message: &[u8]) -> Result<(u8, String), NotBer> {
    let (_, rest) = part(message, 0x02)?;
    let (response, _) = part(rest, 0x78)?;
    let (code, rest) = part(response, 0x0a)?;
    let (_, rest) = part(rest, 0x04)?;
    let (words, _) = part(rest, 0x04)?;
    let [code] = code else { return Err(NotBer) };
    Ok((*code, String::from_utf8_lossy(words).into_owned()))
}

pub(super) fn ldap(input: &[u8]) -> Turn {
    let garbage = || Turn::garbage("no answer of LDAP");
    if input.first().is_some_and(|tag| *tag != 0x30) {
        return garbage();
    }
    match ber(input) {
        Ok(None) => Turn::wait(),
        Ok(Some((_, message, rest))) => match ldap_result(message) {
            Ok((0, _)) => Turn::ready(rest),
            Ok((code, words)) => Turn::refused(format!("result code {code} {words}")),
            Err(NotBer) => garbage(),
        },
        Err(NotBer) => garbage(),
    }
}

pub(super) fn postgres(input: &[u8]) -> Turn {
    match input {
        [] => Turn::wait(),
        [b'S', rest @ ..] => Turn::ready(rest),
        [b'N', ..] => Turn::refused("the answer N: no TLS"),
        // A server before 7.0, or one that turns us away, sends an error instead.
        [b'E', rest @ ..] => {
            let words: String =
                String::from_utf8_lossy(rest).chars().filter(|c| !c.is_control()).take(200).collect();
            Turn::refused(words)
        }
        _ => Turn::garbage("no answer of PostgreSQL"),
    }
}

pub(super) fn mysql(input: &[u8]) -> Turn {
    let [a, b, c, sequence, rest @ ..] = input else { return Turn::wait() };
    let length = usize::from(*a) | (usize::from(*b) << 8) | (usize::from(*c) << 16);
    if *sequence != 0 || length > 1024 {
        return Turn::garbage("no greeting of MySQL");
    }
    let Some((packet, rest)) = rest.split_at_checked(length) else { return Turn::wait() };
    match packet.split_first() {
        Some((10, greeting)) => mysql_greeting(greeting, rest),
        Some((0xff, error)) => {
            Turn::refused(String::from_utf8_lossy(error.get(2..).unwrap_or_default()).into_owned())
        }
        _ => Turn::garbage("no greeting of MySQL's protocol 10"),
    }
}

fn mysql_greeting(greeting: &[u8], rest: &[u8]) -> Turn {
    let end = greeting.iter().position(|byte| *byte == 0);
    // After the version: a thread's number, eight bytes of a challenge, a filler, the capabilities.
    let capabilities = end.and_then(|end| greeting.get(end + 14..end + 16));
    let (Some(end), Some([low, high])) = (end, capabilities) else {
        return Turn::garbage("a greeting of MySQL that ends too early");
    };
    if u16::from_le_bytes([*low, *high]) & MYSQL_SSL == 0 {
        let version = String::from_utf8_lossy(greeting.get(..end).unwrap_or_default());
        return Turn::refused(format!("not offered by version {version}"));
    }
    // CLIENT_PROTOCOL_41, CLIENT_SSL, CLIENT_SECURE_CONNECTION; 16 MiB packets; utf8mb4.
    let mut request = vec![32, 0, 0, 1, 0x00, 0x8a, 0, 0, 0, 0, 0, 1, 45];
    request.resize(36, 0);
    Turn { send: request, ..Turn::ready(rest) }
}
