//! Reading numbers and length-prefixed fields off a slice; running out is an error, never a panic.

use super::record::Malformed;

/// What is left to read.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Cursor<'a> {
    /// `what` names the message in errors.
    pub(super) const fn new(rest: &'a [u8], what: &'static str) -> Self {
        Self { rest, what }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed::Short(self.what))?;
        self.rest = rest;
        Ok(taken)
    }

    fn number(&mut self, bytes: usize) -> Result<usize, Malformed> {
        Ok(self.take(bytes)?.iter().fold(0, |number, byte| (number << 8) | usize::from(*byte)))
    }

    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?.iter().fold(0, |_, byte| *byte))
    }

    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(self.take(2)?.iter().fold(0, |number, byte| (number << 8) | u16::from(*byte)))
    }

    /// A field with its length in front, in so many bytes.
    pub(super) fn field(&mut self, length_bytes: usize) -> Result<&'a [u8], Malformed> {
        let length = self.number(length_bytes)?;
        self.take(length)
    }

    /// The same, to be read on.
    pub(super) fn within(&mut self, length_bytes: usize) -> Result<Self, Malformed> {
        Ok(Self { rest: self.field(length_bytes)?, what: self.what })
    }
}
