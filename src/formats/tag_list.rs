//! Lists of tags and values with semicolons between (RFC 6376 section 3.2), as DKIM, DMARC, BIMI,
//! MTA-STS and TLS-RPT write their records.

use super::Fault;

/// What stands between two semicolons, without the white space around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// The byte of the record at which it begins.
    pub at: usize,
    /// The text; empty where nothing stands.
    pub text: &'a str,
}

/// A tag and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag<'a> {
    /// The byte at which its name begins.
    pub at: usize,
    /// The name as written.
    pub name: &'a str,
    /// The byte at which its value begins.
    pub value_at: usize,
    /// The value without the white space around it.
    pub value: &'a str,
}

const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Text without the white space around it, and where that begins.
pub fn trimmed(at: usize, text: &str) -> (usize, &str) {
    let rest = text.trim_start_matches(SPACE);
    (at + text.len() - rest.len(), rest.trim_end_matches(SPACE))
}

/// The parts of a list, and where each begins.
pub fn parts(at: usize, text: &str, separator: char) -> impl Iterator<Item = (usize, &str)> {
    let mut next = at;
    text.split(separator).map(move |part| {
        let at = next;
        next += part.len() + 1;
        trimmed(at, part)
    })
}

/// The elements of a record. One semicolon at its end ends the last of them.
pub fn elements(record: &str) -> impl Iterator<Item = Element<'_>> {
    let record = record.trim_end_matches(SPACE);
    let record = record.strip_suffix(';').unwrap_or(record);
    parts(0, record, ';').map(|(at, text)| Element { at, text })
}

impl<'a> Element<'a> {
    /// Reads the element as a tag.
    ///
    /// # Errors
    /// It is empty or has no `=`, or its name is none.
    pub fn tag(self) -> Result<Tag<'a>, Fault> {
        if self.text.is_empty() {
            return Err(Fault::new(self.at, "nothing stands between two semicolons; remove one"));
        }
        let Some((name, value)) = self.text.split_once('=') else {
            return Err(Fault::new(self.at, format!("{:?} has no =; write tag=value", self.text)));
        };
        let (value_at, value) = trimmed(self.at + name.len() + 1, value);
        let name = name.trim_end_matches(SPACE);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' || byte == b'.';
        if name.is_empty()
            || !name.bytes().all(plain)
            || !name.starts_with(|first: char| first.is_ascii_alphanumeric())
        {
            return Err(Fault::new(self.at, format!("{name:?} is no name of a tag")));
        }
        Ok(Tag { at: self.at, name, value_at, value })
    }
}

/// A field of an extension of MTA-STS or TLS-RPT (RFC 8461 section 3.1, RFC 8460 section 3).
///
/// # Errors
/// The name or the value is none.
pub fn extension(tag: Tag<'_>) -> Result<(String, String), Fault> {
    if tag.name.len() > 32 {
        return Err(Fault::new(tag.at, format!("the name {:?} is longer than 32 characters", tag.name)));
    }
    let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'=' && byte != b';';
    if tag.value.is_empty() {
        return Err(Fault::new(tag.value_at, format!("{} has no value", tag.name)));
    }
    match tag.value.bytes().position(|byte| !allowed(byte)) {
        Some(at) => Err(Fault::new(
            tag.value_at + at,
            format!("the value of {} may hold neither spaces nor = nor what is no ASCII", tag.name),
        )),
        None => Ok((tag.name.to_owned(), tag.value.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_know_where_they_begin() {
        let all: Vec<_> = elements("v=X ; a = b;\t;c").map(|one| (one.at, one.text)).collect();
        assert_eq!(all, [(0, "v=X"), (6, "a = b"), (13, ""), (14, "c")]);
        assert_eq!(elements("v=X; ").count(), 1);
        let tag = Element { at: 6, text: "a = b" }.tag().unwrap();
        assert_eq!(tag, Tag { at: 6, name: "a", value_at: 10, value: "b" });
        assert_eq!(Element { at: 3, text: "=b" }.tag().unwrap_err().at, 3);
    }
}
