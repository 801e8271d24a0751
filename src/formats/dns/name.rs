//! Domain names: labels of bytes, compared without regard to ASCII case (RFC 1035 section 2.3.3,
//! RFC 4343).

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name in bytes on the wire (RFC 1035 section 2.3.4).
pub(super) const LONGEST: usize = 255;
/// The longest label in bytes.
const LONGEST_LABEL: usize = 63;

/// A name, always complete (it ends at the root). Keeps the case it was given in; equality, order and
/// hash do not see it. The order is the canonical one of RFC 4034 section 6.1. Serialized as its text.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Name {
    /// From left to right, the root's empty one left out.
    labels: Vec<Box<[u8]>>,
}

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no domain name: {why}")]
pub struct BadName {
    /// The text, printable and cut.
    pub text: String,
    /// The fault.
    pub why: &'static str,
}

impl Name {
    /// The root, `.`.
    pub fn root() -> Self {
        Self::default()
    }

    /// Labels that are known to fit.
    pub(super) fn of_labels(labels: Vec<Box<[u8]>>) -> Self {
        Self { labels }
    }

    /// The name by which an address is looked up backwards (RFC 1035 section 3.5, RFC 3596 section 2.5).
    pub fn reverse(address: IpAddr) -> Self {
        let (mut parts, zone): (Vec<String>, &str) = match address {
            IpAddr::V4(v4) => (v4.octets().iter().map(u8::to_string).collect(), "in-addr"),
            IpAddr::V6(v6) => {
                let digits = v6.octets().into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
                (digits.map(|digit| format!("{digit:x}")).collect(), "ip6")
            }
        };
        parts.reverse();
        parts.extend([zone.to_owned(), "arpa".to_owned()]);
        Self { labels: parts.into_iter().map(|part| part.into_bytes().into()).collect() }
    }

    /// The labels from left to right, without the root's.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &[u8]> + ExactSizeIterator {
        self.labels.iter().map(|label| &**label)
    }

    /// Whether it is the root.
    pub fn is_root(&self) -> bool {
        self.labels.is_empty()
    }

    /// The name without its first label; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let (_, rest) = self.labels.split_first()?;
        Some(Self { labels: rest.to_vec() })
    }

    /// The name one label below, as `child("_25._tcp")` with several.
    ///
    /// # Errors
    /// The labels cannot be read, or the whole becomes too long.
    pub fn child(&self, labels: &str) -> Result<Self, BadName> {
        let mut name: Self = labels.parse()?;
        name.labels.extend(self.labels.iter().cloned());
        name.bounded(labels)
    }

    /// Whether it is `ancestor` or below it.
    pub fn is_within(&self, ancestor: &Self) -> bool {
        let above = self.labels.len().checked_sub(ancestor.labels.len());
        let tail = above.and_then(|above| self.labels.get(above..)).unwrap_or_default();
        above.is_some() && tail.iter().zip(&ancestor.labels).all(|(a, b)| a.eq_ignore_ascii_case(b))
    }

    /// Whether its first label is `*`.
    pub fn is_wildcard(&self) -> bool {
        self.labels.first().is_some_and(|label| **label == *b"*")
    }

    /// The name in lower case.
    #[must_use]
    pub fn to_lowercase(&self) -> Self {
        Self { labels: self.labels.iter().map(|label| label.to_ascii_lowercase().into()).collect() }
    }

    /// The uncompressed form on the wire, in the case the name has. That of [`Name::to_lowercase`] is
    /// the canonical one of RFC 4034 section 6.2.
    pub fn to_wire(&self) -> Vec<u8> {
        let mut wire = Vec::with_capacity(self.wire_length());
        for label in &self.labels {
            // A label is at most 63 bytes long.
            wire.push(u8::try_from(label.len()).unwrap_or_default());
            wire.extend_from_slice(label);
        }
        wire.push(0);
        wire
    }

    fn wire_length(&self) -> usize {
        self.labels.iter().map(|label| label.len() + 1).sum::<usize>() + 1
    }

    fn bounded(self, text: &str) -> Result<Self, BadName> {
        if self.wire_length() > LONGEST {
            return Err(bad(text, "it is longer than 255 bytes"));
        }
        Ok(self)
    }

    /// The text without the dot at its end, as people write it; the root is `.`.
    pub fn without_dot(&self) -> String {
        let mut text = self.to_string();
        if text.len() > 1 {
            text.pop();
        }
        text
    }
}

fn bad(text: &str, why: &'static str) -> BadName {
    BadName { text: text.chars().take(80).flat_map(char::escape_debug).collect(), why }
}

impl FromStr for Name {
    type Err = BadName;

    /// Reads the text form (RFC 1035 section 5.1): labels parted by dots, `\.` and `\DDD` as escapes, a
    /// dot at the end or none. Text beyond ASCII becomes A-labels by the rules of URLs (UTS #46).
    fn from_str(text: &str) -> Result<Self, BadName> {
        if text.is_ascii() {
            return parse_ascii(text);
        }
        // The converter would decode `%` as URLs do.
        let domain = if text.contains('%') { None } else { url::Host::parse(text).ok() };
        match domain {
            Some(url::Host::Domain(ascii)) => parse_ascii(&ascii).map_err(|error| bad(text, error.why)),
            _ => Err(bad(text, "it has no form in ASCII (IDNA)")),
        }
    }
}

fn parse_ascii(text: &str) -> Result<Name, BadName> {
    if text.is_empty() {
        return Err(bad(text, "it is empty; the root is `.`"));
    }
    if text == "." {
        return Ok(Name::root());
    }
    let mut labels = Vec::new();
    let mut label = Vec::new();
    let mut bytes = text.bytes();
    let mut closed = false;
    while let Some(byte) = bytes.next() {
        closed = byte == b'.';
        match byte {
            b'.' => labels.push(finished(&mut label, text)?),
            b'\\' => label.push(escaped(&mut bytes).ok_or_else(|| bad(text, "an escape is incomplete"))?),
            byte => label.push(byte),
        }
    }
    if !closed {
        labels.push(finished(&mut label, text)?);
    }
    Name { labels }.bounded(text)
}

fn finished(label: &mut Vec<u8>, text: &str) -> Result<Box<[u8]>, BadName> {
    match label.len() {
        0 => Err(bad(text, "a label is empty")),
        1..=LONGEST_LABEL => Ok(std::mem::take(label).into()),
        _ => Err(bad(text, "a label is longer than 63 bytes")),
    }
}

/// What follows a backslash: three decimal digits, or one character that stands for itself.
fn escaped(bytes: &mut std::str::Bytes<'_>) -> Option<u8> {
    let first = bytes.next()?;
    if !first.is_ascii_digit() {
        return Some(first);
    }
    let digits = [first, bytes.next()?, bytes.next()?];
    let number = digits.iter().try_fold(0_u16, |number, digit| {
        Some(number * 10 + u16::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?))
    });
    u8::try_from(number?).ok()
}

impl fmt::Display for Name {
    /// The text form in the case the name has, with a dot at its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.labels.is_empty() {
            return f.write_str(".");
        }
        for label in &self.labels {
            for byte in label {
                match byte {
                    b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => {
                        write!(f, "\\{}", char::from(*byte))?;
                    }
                    b'!'..=b'~' => write!(f, "{}", char::from(*byte))?,
                    _ => write!(f, "\\{byte:03}")?,
                }
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.to_string()
    }
}

impl TryFrom<String> for Name {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.labels.len() == other.labels.len() && self.is_within(other)
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for label in &self.labels {
            label.to_ascii_lowercase().hash(state);
        }
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        let lower =
            |name: &Self| -> Vec<Vec<u8>> { name.labels().rev().map(<[u8]>::to_ascii_lowercase).collect() };
        lower(self).cmp(&lower(other))
    }
}
