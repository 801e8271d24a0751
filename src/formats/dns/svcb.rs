//! SVCB and HTTPS (RFC 9460).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Svcb;
use super::cursor::{Cursor, Malformed};
use super::show::{Quoted, Unquoted};

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const IPV4_HINT: u16 = 4;
const IPV6_HINT: u16 = 6;
const PORT: u16 = 3;
const ECH: u16 = 5;
/// RFC 9460 section 14.3.2 and the registry after it, by number.
const KEYS: [&str; 8] =
    ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath"];

pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Svcb, Malformed> {
    let (priority, target) = (cursor.u16()?, cursor.whole_name()?);
    let mut params: Vec<(u16, Vec<u8>)> = Vec::new();
    while !cursor.is_empty() {
        let key = cursor.u16()?;
        let length = cursor.u16()?;
        if params.last().is_some_and(|(last, _)| *last >= key) {
            return Err(cursor.bad("parameters that are not in ascending order"));
        }
        params.push((key, cursor.take(usize::from(length))?.to_vec()));
    }
    Ok(Svcb { priority, target, params })
}

impl Svcb {
    /// The value of a parameter, as on the wire.
    pub fn param(&self, key: u16) -> Option<&[u8]> {
        self.params.iter().find(|(own, _)| *own == key).map(|(_, value)| &**value)
    }

    /// The protocols of `alpn`; none where it is absent or broken.
    pub fn alpn(&self) -> Vec<Vec<u8>> {
        self.param(ALPN).and_then(protocols).unwrap_or_default()
    }

    /// Whether the protocol that is usual for the service is not meant (RFC 9460 section 7.1.1).
    pub fn no_default_alpn(&self) -> bool {
        self.param(NO_DEFAULT_ALPN).is_some()
    }

    /// The port; `None` where it is absent or broken.
    pub fn port(&self) -> Option<u16> {
        Some(u16::from_be_bytes(self.param(PORT)?.try_into().ok()?))
    }

    /// The addresses of `ipv4hint`; none where it is absent or broken.
    pub fn ipv4_hints(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.param(IPV4_HINT).and_then(numbers::<4>).into_iter().flatten().map(Ipv4Addr::from)
    }

    /// The addresses of `ipv6hint`; none where it is absent or broken.
    pub fn ipv6_hints(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.param(IPV6_HINT).and_then(numbers::<16>).into_iter().flatten().map(Ipv6Addr::from)
    }

    /// Whether it has keys for an encrypted greeting (ECH).
    pub fn has_ech(&self) -> bool {
        self.param(ECH).is_some_and(|keys| !keys.is_empty())
    }
}

fn protocols(value: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut cursor = Cursor::new(value, "alpn");
    let mut found = Vec::new();
    while !cursor.is_empty() {
        found.push(cursor.string().ok()?.to_vec());
    }
    Some(found)
}

impl fmt::Display for Svcb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.priority, self.target.to_lowercase())?;
        for (key, value) in &self.params {
            f.write_str(" ")?;
            name(*key, f)?;
            if let Some(text) = text(*key, value) {
                write!(f, "={text}")?;
            } else if !value.is_empty() {
                write!(f, "={}", Quoted(value))?;
            }
        }
        Ok(())
    }
}

fn name(key: u16, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match KEYS.get(usize::from(key)) {
        Some(name) => f.write_str(name),
        None => write!(f, "key{key}"),
    }
}

struct Key(u16);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        name(self.0, f)
    }
}

/// The value in its key's own form; `None` where the key has none, or the value does not fit it.
fn text(key: u16, value: &[u8]) -> Option<String> {
    let listed = |items: Vec<String>| (!items.is_empty()).then(|| items.join(","));
    match key {
        MANDATORY => {
            listed(numbers::<2>(value)?.map(|key| Key(u16::from_be_bytes(key)).to_string()).collect())
        }
        ALPN => {
            let protocols = protocols(value)?;
            // A comma within a protocol would need two layers of escapes; the quoted bytes are plainer.
            let plain = protocols.iter().all(|protocol| !protocol.contains(&b','));
            plain
                .then(|| listed(protocols.iter().map(|protocol| Unquoted(protocol).to_string()).collect()))?
        }
        PORT => Some(u16::from_be_bytes(value.try_into().ok()?).to_string()),
        IPV4_HINT => listed(numbers::<4>(value)?.map(|octets| Ipv4Addr::from(octets).to_string()).collect()),
        IPV6_HINT => listed(numbers::<16>(value)?.map(|octets| Ipv6Addr::from(octets).to_string()).collect()),
        ECH => Some(STANDARD.encode(value)),
        _ => None,
    }
}

fn numbers<const N: usize>(value: &[u8]) -> Option<impl Iterator<Item = [u8; N]>> {
    let (whole, rest) = value.as_chunks::<N>();
    rest.is_empty().then(|| whole.iter().copied())
}
