//! A reader of DER (X.690 section 10): definite, minimal lengths; no recursion, no allocation.

/// Why bytes are not what they should be: what was read, and what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct Malformed {
    /// The field.
    pub what: &'static str,
    /// The fault.
    pub why: &'static str,
}

/// Makes the error of a field.
pub(super) const fn bad(what: &'static str, why: &'static str) -> Malformed {
    Malformed { what, why }
}

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// The tag of a context-specific field, primitive.
pub(super) const fn context(number: u8) -> u8 {
    0x80 | number
}

/// The tag of a context-specific field, constructed.
pub(super) const fn constructed(number: u8) -> u8 {
    0xa0 | number
}

/// One element: its tag, its content, and all its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    pub tag: u8,
    pub value: &'a [u8],
    pub whole: &'a [u8],
}

/// What is left to read of a run of elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The tag of what comes next.
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next element, whatever it is.
    pub fn any(&mut self, what: &'static str) -> Result<Element<'a>, Malformed> {
        let (tag, header, length) = header(self.rest).map_err(|why| bad(what, why))?;
        let end = header.checked_add(length).filter(|end| *end <= self.rest.len());
        let end = end.ok_or(bad(what, "its length reaches past the end"))?;
        let (whole, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(Element { tag, value: whole.get(header..).unwrap_or_default(), whole })
    }

    /// The next element, which must have this tag.
    pub fn expect(&mut self, tag: u8, what: &'static str) -> Result<Element<'a>, Malformed> {
        let element = self.any(what)?;
        if element.tag == tag { Ok(element) } else { Err(bad(what, "it has another type")) }
    }

    /// The next element if it has this tag.
    pub fn optional(&mut self, tag: u8, what: &'static str) -> Result<Option<Element<'a>>, Malformed> {
        if self.peek() == Some(tag) { self.any(what).map(Some) } else { Ok(None) }
    }

    /// The content of the next element, which must have this tag.
    pub fn inside(&mut self, tag: u8, what: &'static str) -> Result<Reader<'a>, Malformed> {
        Ok(Reader::new(self.expect(tag, what)?.value))
    }

    /// Refuses what is left over.
    pub fn end(&self, what: &'static str) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(bad(what, "bytes follow its end")) }
    }
}

/// The one element that these bytes are.
pub(super) fn only<'a>(bytes: &'a [u8], tag: u8, what: &'static str) -> Result<Element<'a>, Malformed> {
    let mut reader = Reader::new(bytes);
    let element = reader.expect(tag, what)?;
    reader.end(what)?;
    Ok(element)
}

/// The tag, the size of the header and the length of the content.
fn header(bytes: &[u8]) -> Result<(u8, usize, usize), &'static str> {
    let [tag, first, rest @ ..] = bytes else {
        return Err("it is cut off");
    };
    if tag & 0x1f == 0x1f {
        return Err("it has a tag of several bytes");
    }
    if *first < 0x80 {
        return Ok((*tag, 2, usize::from(*first)));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > 4 {
        return Err("its length has no definite form");
    }
    let digits = rest.get(..count).ok_or("it is cut off")?;
    let length = digits.iter().fold(0_usize, |length, digit| (length << 8) | usize::from(*digit));
    if length < 0x80 || digits.first() == Some(&0) {
        return Err("its length is not minimal");
    }
    Ok((*tag, 2 + count, length))
}

/// A BOOLEAN's content (X.690 section 11.1: true is 0xff).
pub(super) fn boolean(value: &[u8], what: &'static str) -> Result<bool, Malformed> {
    match value {
        [0x00] => Ok(false),
        [0xff] => Ok(true),
        _ => Err(bad(what, "it is no boolean")),
    }
}

/// A small INTEGER's content, not negative.
pub(super) fn small(value: &[u8], what: &'static str) -> Result<u32, Malformed> {
    integer(value, what)?;
    let digits = match value {
        [0, rest @ ..] => rest,
        [first, ..] if first & 0x80 != 0 => return Err(bad(what, "it is negative")),
        digits => digits,
    };
    if digits.len() > 4 {
        return Err(bad(what, "it is too large"));
    }
    Ok(digits.iter().fold(0, |number, digit| (number << 8) | u32::from(*digit)))
}

/// Holds an INTEGER's content to the shortest form.
pub(super) fn integer<'a>(value: &'a [u8], what: &'static str) -> Result<&'a [u8], Malformed> {
    match value {
        [] => Err(bad(what, "it is empty")),
        [0, second, ..] if second & 0x80 == 0 => Err(bad(what, "it is not minimal")),
        [0xff, second, ..] if second & 0x80 != 0 => Err(bad(what, "it is not minimal")),
        _ => Ok(value),
    }
}

/// A BIT STRING's content: the bytes, and how many bits of the last are unused.
pub(super) fn bits<'a>(value: &'a [u8], what: &'static str) -> Result<(&'a [u8], u8), Malformed> {
    match value {
        [unused @ 0..=7, rest @ ..] if *unused == 0 || !rest.is_empty() => Ok((rest, *unused)),
        _ => Err(bad(what, "it is no bit string")),
    }
}

/// An OBJECT IDENTIFIER's content in dotted form.
pub(super) fn oid(value: &[u8], what: &'static str) -> Result<String, Malformed> {
    let complete = value.last().is_some_and(|last| last & 0x80 == 0);
    if !complete || value.len() > LONGEST_OID {
        return Err(bad(what, "it is no object identifier"));
    }
    let mut parts: Vec<u128> = Vec::new();
    let mut part: u128 = 0;
    for byte in value {
        part = part.checked_mul(128).ok_or(bad(what, "a part of it is too large"))? | u128::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if parts.is_empty() {
                let first = (part / 40).min(2);
                parts.extend([first, part - first * 40]);
            } else {
                parts.push(part);
            }
            part = 0;
        }
    }
    Ok(parts.iter().map(ToString::to_string).collect::<Vec<_>>().join("."))
}

/// Bounds the text that an object identifier becomes.
const LONGEST_OID: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_in_another_than_its_one_form_is_refused() {
        for (bytes, fine) in [
            (&[0x04, 0x01, 0x00][..], true),
            (&[0x04, 0x81, 0x01, 0x00], false),
            (&[0x04, 0x80, 0x00, 0x00], false),
            (&[0x04, 0x02, 0x00], false),
            (&[0x04], false),
            (&[0x04, 0x84, 0xff, 0xff, 0xff, 0xff], false),
        ] {
            assert_eq!(Reader::new(bytes).any("x").is_ok(), fine, "{bytes:02x?}");
        }
    }

    #[test]
    fn object_identifiers_read_as_people_write_them() {
        let rsa = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
        assert_eq!(oid(&rsa, "x").unwrap(), "1.2.840.113549.1.1.1");
        assert_eq!(oid(&[0x55, 0x1d, 0x11], "x").unwrap(), "2.5.29.17");
        assert!(oid(&[0x2a, 0x86], "x").is_err());
        assert!(oid(&[0xff; 40], "x").is_err());
    }

    #[test]
    fn numbers_keep_to_the_shortest_form() {
        assert_eq!(small(&[0x00, 0x80], "x"), Ok(128));
        assert!(small(&[0x00, 0x7f], "x").is_err());
        assert!(small(&[0x80], "x").is_err());
    }
}
