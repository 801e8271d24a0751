//! TLS in the clear, SSL 3.0 to TLS 1.3: what a client says first and what a server answers before
//! anything is encrypted. Written by hand, since the libraries leave out what is looked for here:
//! old versions, weak suites, chains that no one should accept. Everything read is bounded; keys are
//! agreed on with no one and nothing is decrypted.

mod answer;
mod cursor;
mod hello;
mod message;
pub mod names;
mod record;
#[cfg(test)]
mod tests;

pub use self::answer::{Answer, Progress};
pub use self::hello::{ClientHello, DOWNGRADE_SCSV};
pub use self::message::{Certificates, KeyShare, Prime, ServerHello};
pub use self::record::{Malformed, Stranger, looks_like};

use std::fmt;

/// A protocol version, in the order of age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// SSL 3.0 (RFC 6101).
    Ssl3,
    /// TLS 1.0 (RFC 2246).
    Tls10,
    /// TLS 1.1 (RFC 4346).
    Tls11,
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

impl Version {
    /// All versions, oldest first.
    pub const ALL: [Self; 5] = [Self::Ssl3, Self::Tls10, Self::Tls11, Self::Tls12, Self::Tls13];

    /// The number on the wire.
    pub const fn number(self) -> u16 {
        match self {
            Self::Ssl3 => 0x0300,
            Self::Tls10 => 0x0301,
            Self::Tls11 => 0x0302,
            Self::Tls12 => 0x0303,
            Self::Tls13 => 0x0304,
        }
    }

    /// The version of that number.
    pub fn of(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.number() == number)
    }

    /// The name: `TLSv1.2`, `SSLv3`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ssl3 => "SSLv3",
            Self::Tls10 => "TLSv1.0",
            Self::Tls11 => "TLSv1.1",
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        }
    }

    /// The version of a name that [`Self::as_str`] gave.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.as_str() == name)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
