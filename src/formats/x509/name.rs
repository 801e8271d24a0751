//! Distinguished names: as text (RFC 4514), and in the form in which they are compared (RFC 5280
//! section 7.1).

use std::fmt;

use serde::{Serialize, Serializer};

use super::der::{self, Malformed, Reader, SEQUENCE, SET, bad};
use super::text::{LONGEST_TEXT, clip};

/// One attribute of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its type, as a dotted object identifier.
    pub oid: String,
    /// Its value as text; the escaped bytes where it is no text.
    pub value: String,
    /// How the value takes part in comparisons.
    normal: Vec<u8>,
}

/// A distinguished name.
#[derive(Clone, Debug)]
pub struct Name {
    /// The relative names, the most general first; mostly of one attribute each.
    pub relative: Vec<Vec<Attribute>>,
    /// The whole encoding.
    der: Box<[u8]>,
    text: String,
}

/// The common name's type.
pub const COMMON_NAME: &str = "2.5.4.3";
/// The type of an e-mail address in a name.
pub const EMAIL: &str = "1.2.840.113549.1.9.1";

/// Short names of attribute types (RFC 4514 section 3, RFC 4519).
const SHORT: &[(&str, &str)] = &[
    (COMMON_NAME, "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.97", "organizationIdentifier"),
    (EMAIL, "emailAddress"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
];

/// More attributes than this in one relative name are refused; real ones have one or two.
const MOST: usize = 16;

impl Name {
    pub(super) fn read(reader: &mut Reader<'_>, what: &'static str) -> Result<Self, Malformed> {
        let element = reader.expect(SEQUENCE, what)?;
        let mut sets = Reader::new(element.value);
        let mut relative = Vec::new();
        while !sets.is_empty() {
            relative.push(relative_name(sets.inside(SET, what)?, what)?);
        }
        let text = written(&relative);
        Ok(Self { relative, der: element.whole.into(), text })
    }

    /// Reads a name's whole encoding.
    ///
    /// # Errors
    /// The bytes are no name.
    pub fn parse(der: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(der);
        let name = Self::read(&mut reader, "name")?;
        reader.end("name")?;
        Ok(name)
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.relative.is_empty()
    }

    /// The whole encoding.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The values of one type of attribute.
    pub fn values<'a>(&'a self, oid: &'a str) -> impl Iterator<Item = &'a str> {
        self.attributes()
            .filter(move |attribute| attribute.oid == oid)
            .map(|attribute| attribute.value.as_str())
    }

    /// All attributes.
    pub fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.relative.iter().flatten()
    }

    /// Whether it lies at or below another (RFC 5280 section 4.2.1.10, directory names).
    pub fn is_within(&self, above: &Self) -> bool {
        self.relative.len() >= above.relative.len()
            && self.relative.iter().zip(&above.relative).all(|(own, other)| same(own, other))
    }
}

impl PartialEq for Name {
    /// As RFC 5280 section 7.1 compares: letter case and repeated blanks do not count.
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der || (self.relative.len() == other.relative.len() && self.is_within(other))
    }
}

impl Eq for Name {}

impl fmt::Display for Name {
    /// RFC 4514: the most particular part first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

fn same(own: &[Attribute], other: &[Attribute]) -> bool {
    let has = |wanted: &Attribute| own.iter().any(|a| a.oid == wanted.oid && a.normal == wanted.normal);
    own.len() == other.len() && other.iter().all(has)
}

fn relative_name(mut set: Reader<'_>, what: &'static str) -> Result<Vec<Attribute>, Malformed> {
    let mut attributes = Vec::new();
    while !set.is_empty() {
        let mut pair = set.inside(SEQUENCE, what)?;
        let oid = der::oid(pair.expect(der::OID, what)?.value, what)?;
        let value = pair.any(what)?;
        pair.end(what)?;
        let (text, normal) = match decoded(value.tag, value.value) {
            Some(text) => (text.clone(), folded(&text)),
            None => (value.value.escape_ascii().to_string(), value.whole.to_vec()),
        };
        attributes.push(Attribute { oid, value: text, normal });
        if attributes.len() > MOST {
            return Err(bad(what, "a part of it has too many attributes"));
        }
    }
    if attributes.is_empty() { Err(bad(what, "a part of it is empty")) } else { Ok(attributes) }
}

/// The text of a directory string: UTF8String, the ASCII types, TeletexString as Latin-1, BMPString
/// and UniversalString.
fn decoded(tag: u8, value: &[u8]) -> Option<String> {
    match tag {
        0x0c => String::from_utf8(value.to_vec()).ok(),
        0x12 | 0x13 | 0x16 | 0x1a => {
            value.is_ascii().then(|| value.iter().copied().map(char::from).collect())
        }
        0x14 => Some(value.iter().copied().map(char::from).collect()),
        0x1e => {
            let units: Vec<u16> = value
                .chunks(2)
                .map(|pair| pair.try_into().map(u16::from_be_bytes))
                .collect::<Result<_, _>>()
                .ok()?;
            String::from_utf16(&units).ok()
        }
        0x1c => value
            .chunks(4)
            .map(|four| four.try_into().map(u32::from_be_bytes).ok().and_then(char::from_u32))
            .collect(),
        _ => None,
    }
}

/// Letter case folded, blanks trimmed and each run of them one (RFC 4518 section 2.6.1).
fn folded(text: &str) -> Vec<u8> {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase().into_bytes()
}

fn written(relative: &[Vec<Attribute>]) -> String {
    let mut text = String::new();
    for set in relative.iter().rev() {
        for (index, attribute) in set.iter().enumerate() {
            if !text.is_empty() {
                text.push(if index == 0 { ',' } else { '+' });
            }
            let short = SHORT.iter().find(|(oid, _)| *oid == attribute.oid).map(|(_, short)| *short);
            text.push_str(short.unwrap_or(&attribute.oid));
            text.push('=');
            escaped(&mut text, &attribute.value);
        }
        if text.len() > LONGEST_TEXT {
            return clip(&text);
        }
    }
    text
}

/// RFC 4514 section 2.4; what could act on a terminal as `\XX` too.
fn escaped(text: &mut String, value: &str) {
    let last = value.chars().count().saturating_sub(1);
    for (index, c) in value.chars().enumerate() {
        match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => text.extend(['\\', c]),
            '#' if index == 0 => text.push_str("\\#"),
            ' ' if index == 0 || index == last => text.push_str("\\ "),
            c if acts_on_terminals(c) => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    text.push_str(&format!("\\{byte:02X}"));
                }
            }
            c => text.push(c),
        }
    }
}

/// Control characters, and those that change the direction of what follows or cannot be seen.
fn acts_on_terminals(c: char) -> bool {
    let unseen =
        matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    c.is_control() || unseen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(tag: u8, value: &[u8]) -> Vec<u8> {
        let mut pair = vec![0x06, 3, 0x55, 0x04, 0x03, tag, value.len() as u8];
        pair.extend(value);
        let mut der = vec![0x30, pair.len() as u8 + 4, 0x31, pair.len() as u8 + 2, 0x30, pair.len() as u8];
        der.extend(pair);
        der
    }

    fn name(tag: u8, value: &[u8]) -> Name {
        Name::parse(&attribute(tag, value)).unwrap()
    }

    #[test]
    fn text_of_a_name_cannot_be_mistaken_for_another_part() {
        assert_eq!(name(0x0c, b" a,O=b\\").to_string(), "CN=\\ a\\,O=b\\\\");
        assert_eq!(name(0x0c, b"#a\0\x1b").to_string(), "CN=\\#a\\00\\1B");
        assert_eq!(name(0x13, b"plain").to_string(), "CN=plain");
        assert_eq!(name(0x0c, "a\u{202e}b".as_bytes()).to_string(), "CN=a\\E2\\80\\AEb");
    }

    #[test]
    fn the_string_type_and_the_case_do_not_make_another_authority() {
        assert_eq!(name(0x13, b"Acme  CA "), name(0x0c, b"acme CA"));
        assert_ne!(name(0x13, b"Acme CA"), name(0x0c, b"acme CB"));
        assert_eq!(name(0x1e, b"\0A\0b"), name(0x0c, b"ab"));
    }

    #[test]
    fn bytes_that_are_no_text_are_kept_apart_and_shown_escaped() {
        assert_eq!(name(0x0c, &[0xff, 0x41]).to_string(), "CN=\\\\xffA");
        assert_ne!(name(0x0c, &[0xff, 0x41]), name(0x0c, &[0xff, 0x42]));
    }
}
