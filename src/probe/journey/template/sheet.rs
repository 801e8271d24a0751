//! What a template is rendered onto: knows the literal text from the values, encodes the values for
//! their place and refuses those that would change what a request means.

use std::cell::Cell;
use std::io;

use url::form_urlencoded::byte_serialize;

use super::error::Refusal;
use super::{LARGEST, Place};

/// A value percent-encoded, in pieces: all but letters, digits and `*-._`. It is the form in which the
/// masker looks for secrets.
pub(super) fn encoded(value: &str) -> impl Iterator<Item = &str> {
    byte_serialize(value.as_bytes()).map(|piece| if piece == "+" { "%20" } else { piece })
}

thread_local! {
    /// Whether the engine writes a value. It tells its output nothing but the text; of a value that it
    /// keeps for later (`{% set %}`) the sheet sees nothing until it is emitted.
    static VALUE: Cell<bool> = const { Cell::new(false) };
}

/// Marks what `write` writes as a value.
pub(super) fn as_value<T>(write: impl FnOnce() -> T) -> T {
    VALUE.set(true);
    let written = write();
    VALUE.set(false);
    written
}

/// Refuses a literal text that cannot stand in its place.
pub(super) fn check_literal(place: Place, text: &str) -> Result<(), Refusal> {
    if place == Place::Header && breaks_header(text) {
        return Err(Refusal::Control);
    }
    if text.len() > LARGEST {
        return Err(Refusal::TooLarge);
    }
    Ok(())
}

/// A header value holds no control character but the tab (RFC 9110, section 5.5).
fn breaks_header(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t')
}

/// A text being written.
pub(super) struct Sheet {
    text: String,
    place: Place,
    /// Where the path's last segment begins, and whether a value is in it.
    segment: usize,
    filled: bool,
    refusal: Option<Refusal>,
}

impl Sheet {
    /// An empty one for a template of that length.
    pub fn new(place: Place, length: usize) -> Self {
        // Identifiers and tokens are mostly longer than their names.
        Self {
            text: String::with_capacity(length.min(LARGEST) + 32),
            place,
            segment: 0,
            filled: false,
            refusal: None,
        }
    }

    /// Why writing ended, if it was refused.
    pub fn refusal(&self) -> Option<Refusal> {
        self.refusal
    }

    /// The whole text.
    pub fn finish(mut self) -> Result<String, Refusal> {
        self.end_segment()?;
        Ok(self.text)
    }

    /// Adds a value.
    pub fn value(&mut self, value: &str) -> Result<(), Refusal> {
        match self.place {
            Place::Path => {
                check_segment(value)?;
                self.filled = true;
                self.encoded(value)
            }
            Place::Query => self.encoded(value),
            Place::Header | Place::Text => {
                check_literal(self.place, value)?;
                self.push(value)
            }
        }
    }

    /// Adds literal text.
    pub fn literal(&mut self, text: &str) -> Result<(), Refusal> {
        check_literal(self.place, text)?;
        let mut rest = text;
        while self.place == Place::Path {
            // The URL standard reads a backslash as a slash.
            let Some(at) = rest.find(['/', '\\', '?', '#']) else { break };
            let (before, after) = rest.split_at(at);
            self.push(before)?;
            self.end_segment()?;
            let (delimiter, after) = after.split_at(1);
            self.push(delimiter)?;
            self.segment = self.text.len();
            rest = after;
            if matches!(delimiter, "?" | "#") {
                self.place = Place::Query;
            }
        }
        self.push(rest)
    }

    fn encoded(&mut self, value: &str) -> Result<(), Refusal> {
        encoded(value).try_for_each(|piece| self.push(piece))
    }

    fn push(&mut self, text: &str) -> Result<(), Refusal> {
        if self.text.len() + text.len() > LARGEST {
            return Err(Refusal::TooLarge);
        }
        self.text.push_str(text);
        Ok(())
    }

    /// Refuses a segment that a value made one of `.` and `..`; what is written so is meant so.
    fn end_segment(&mut self) -> Result<(), Refusal> {
        let segment = self.text.get(self.segment..).unwrap_or_default();
        if self.place == Place::Path && std::mem::take(&mut self.filled) && is_dots(segment) {
            return Err(Refusal::Dots);
        }
        Ok(())
    }
}

/// Refuses a value that cannot be a segment of its own.
fn check_segment(value: &str) -> Result<(), Refusal> {
    if value.is_empty() {
        return Err(Refusal::Empty);
    }
    if matches!(value, "." | "..") {
        return Err(Refusal::Dots);
    }
    if value.chars().any(char::is_control) {
        return Err(Refusal::Control);
    }
    Ok(())
}

/// Whether a URL parser takes a segment for `.` or `..`, also as `%2e`; it drops tabs and line breaks
/// anywhere and spaces at the end.
fn is_dots(segment: &str) -> bool {
    let seen: String = segment.chars().filter(|c| !c.is_control() && *c != ' ').collect();
    matches!(seen.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
}

impl io::Write for Sheet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        // The engine hands over whole strings.
        let text = std::str::from_utf8(bytes).map_err(io::Error::other)?;
        let written = if VALUE.get() { self.value(text) } else { self.literal(text) };
        written.map_err(|why| {
            self.refusal = Some(why);
            io::ErrorKind::InvalidData.into()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
