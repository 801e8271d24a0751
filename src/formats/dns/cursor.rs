//! Reading off a message; running out is an error, never a panic.

use serde::Serialize;

use super::name::{LONGEST, Name};

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{what}, byte {at}: {why}")]
pub struct Malformed {
    /// What was read.
    pub what: &'static str,
    /// Where: counted from the start of the message, within a record's data from the data's start.
    pub at: usize,
    /// The fault.
    pub why: &'static str,
}

/// A part of a message that is read on, within the whole message that names point into.
#[derive(Clone)]
pub(super) struct Cursor<'a> {
    message: &'a [u8],
    at: usize,
    end: usize,
    what: &'static str,
    origin: usize,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(message: &'a [u8], what: &'static str) -> Self {
        Self { message, at: 0, end: message.len(), what, origin: 0 }
    }

    /// The same place, under another name in errors.
    pub(super) const fn named(mut self, what: &'static str) -> Self {
        self.what = what;
        self
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.at >= self.end
    }

    pub(super) const fn bad(&self, why: &'static str) -> Malformed {
        Malformed { what: self.what, at: self.at.saturating_sub(self.origin), why }
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.end);
        let taken = end.and_then(|end| self.message.get(self.at..end));
        let taken = taken.ok_or_else(|| self.bad("it ends too early"))?;
        self.at += length;
        Ok(taken)
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        let rest = self.message.get(self.at..self.end).unwrap_or_default();
        self.at = self.end;
        rest
    }

    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?.iter().fold(0, |_, byte| *byte))
    }

    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(self.take(2)?.iter().fold(0, |number, byte| (number << 8) | u16::from(*byte)))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(self.take(4)?.iter().fold(0, |number, byte| (number << 8) | u32::from(*byte)))
    }

    /// A character string (RFC 1035 section 3.3): its length in one byte, then so many bytes.
    pub(super) fn string(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    /// The next `length` bytes, to be read on by themselves; places in errors count from there.
    pub(super) fn within(&mut self, length: usize, what: &'static str) -> Result<Self, Malformed> {
        let start = self.at;
        self.take(length)?;
        Ok(Self { message: self.message, at: start, end: self.at, what, origin: start })
    }

    /// Everything has to be read by then.
    pub(super) fn finish(&self) -> Result<(), Malformed> {
        if self.is_empty() { Ok(()) } else { Err(self.bad("bytes are left over")) }
    }

    /// Steps over a name, whatever its compression points to.
    pub(super) fn skip_name(&mut self) -> Result<(), Malformed> {
        loop {
            let length = self.u8()?;
            match length >> 6 {
                0 if length == 0 => return Ok(()),
                0 => self.take(usize::from(length)).map(drop)?,
                3 => return self.take(1).map(drop),
                _ => return Err(self.bad("a label of an unknown type")),
            }
        }
    }

    /// A name (RFC 1035 section 4.1.4). A pointer has to point before everything read so far of the
    /// name: that is where a prior occurrence is, and it rules out loops.
    pub(super) fn name(&mut self) -> Result<Name, Malformed> {
        let mut labels: Vec<Box<[u8]>> = Vec::new();
        let mut room = LONGEST - 1;
        let mut here = self.clone();
        let mut floor = here.at;
        let mut jumped = false;
        loop {
            let first = here.u8()?;
            match first >> 6 {
                0 if first == 0 => break,
                0 => {
                    let label = here.take(usize::from(first))?;
                    let left = room.checked_sub(label.len() + 1);
                    room = left.ok_or_else(|| self.bad("a name longer than 255 bytes"))?;
                    labels.push(label.into());
                }
                3 => {
                    let target = (usize::from(first & 0x3f) << 8) | usize::from(here.u8()?);
                    if !jumped {
                        self.at = here.at;
                        jumped = true;
                    }
                    if target >= floor {
                        return Err(self.bad("a compressed name that does not point backwards"));
                    }
                    floor = target;
                    here.at = target;
                    here.end = here.message.len();
                }
                _ => return Err(here.bad("a label of an unknown type")),
            }
        }
        if !jumped {
            self.at = here.at;
        }
        Ok(Name::of_labels(labels))
    }

    /// A name in data whose standard forbids compression.
    pub(super) fn whole_name(&mut self) -> Result<Name, Malformed> {
        let start = self.at;
        let name = self.name()?;
        if self.at - start == name.to_wire().len() {
            return Ok(name);
        }
        Err(self.bad("a compressed name where none may be"))
    }
}
