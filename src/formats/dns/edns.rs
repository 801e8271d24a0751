//! EDNS (RFC 6891): what a message carries in its OPT record.

use serde::{Deserialize, Serialize};

use super::cursor::{Cursor, Malformed};

/// NSID (RFC 5001).
pub(super) const NSID: u16 = 3;
/// Extended DNS errors (RFC 8914).
const EDE: u16 = 15;
/// DNSSEC OK (RFC 3225), among the flags of the TTL field.
pub(super) const DO: u32 = 0x8000;

/// The OPT record of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edns {
    /// The largest datagram the sender takes.
    pub udp_size: u16,
    /// The version, 0.
    pub version: u8,
    /// The sender wants, or sends, the records of DNSSEC.
    pub dnssec_ok: bool,
    /// Numbers and contents, in the order sent.
    pub options: Vec<(u16, Vec<u8>)>,
}

/// An extended error (RFC 8914): why a resolver failed, or what it adds to an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ede {
    /// INFO-CODE.
    pub code: u16,
    /// EXTRA-TEXT, its control characters escaped; often empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// The registry of RFC 8914 section 5.2 as of 2025, by code.
const MEANINGS: [&str; 31] = [
    "Other Error",
    "Unsupported DNSKEY Algorithm",
    "Unsupported DS Digest Type",
    "Stale Answer",
    "Forged Answer",
    "DNSSEC Indeterminate",
    "DNSSEC Bogus",
    "Signature Expired",
    "Signature Not Yet Valid",
    "DNSKEY Missing",
    "RRSIGs Missing",
    "No Zone Key Bit Set",
    "NSEC Missing",
    "Cached Error",
    "Not Ready",
    "Blocked",
    "Censored",
    "Filtered",
    "Prohibited",
    "Stale NXDOMAIN Answer",
    "Not Authoritative",
    "Not Supported",
    "No Reachable Authority",
    "Network Error",
    "Invalid Data",
    "Signature Expired before Valid",
    "Too Early",
    "Unsupported NSEC3 Iterations Value",
    "Unable to conform to policy",
    "Synthesized",
    "Invalid Query Type",
];

impl Ede {
    /// The name of the code in the registry; `None` for one that is not there.
    pub fn meaning(&self) -> Option<&'static str> {
        MEANINGS.get(usize::from(self.code)).copied()
    }
}

impl std::fmt::Display for Ede {
    /// `6 (DNSSEC Bogus): text`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(meaning) = self.meaning() {
            write!(f, " ({meaning})")?;
        }
        if self.text.is_empty() { Ok(()) } else { write!(f, ": {}", self.text) }
    }
}

impl Edns {
    /// From the fields of an OPT record; the second is what its options cannot be read for, after
    /// those that could.
    pub(super) fn read(class: u16, ttl: u32, mut options: Cursor<'_>) -> (Self, Option<Malformed>) {
        let [_, version, ..] = ttl.to_be_bytes();
        let mut edns = Self { udp_size: class, version, dnssec_ok: ttl & DO != 0, options: Vec::new() };
        while !options.is_empty() {
            match option(&mut options) {
                Ok(option) => edns.options.push(option),
                Err(fault) => return (edns, Some(fault)),
            }
        }
        (edns, None)
    }

    /// The extended errors, in the order sent.
    pub fn errors(&self) -> Vec<Ede> {
        let contents = self.options.iter().filter(|(code, _)| *code == EDE);
        contents.filter_map(|(_, content)| extended_error(content)).collect()
    }

    /// How the server names itself (RFC 5001); any bytes.
    pub fn nsid(&self) -> Option<&[u8]> {
        self.options.iter().find(|(code, _)| *code == NSID).map(|(_, content)| &**content)
    }
}

fn option(cursor: &mut Cursor<'_>) -> Result<(u16, Vec<u8>), Malformed> {
    let code = cursor.u16()?;
    let length = cursor.u16()?;
    Ok((code, cursor.take(usize::from(length))?.to_vec()))
}

fn extended_error(content: &[u8]) -> Option<Ede> {
    let mut cursor = Cursor::new(content, "extended error");
    let code = cursor.u16().ok()?;
    let text = String::from_utf8_lossy(cursor.rest());
    // RFC 8914 section 2 allows a NUL at the end.
    let text = text.trim_end_matches('\0');
    let shown = text.chars().flat_map(|char| {
        let control = char.is_control();
        let escaped: Vec<char> = if control { char.escape_default().collect() } else { vec![char] };
        escaped
    });
    Some(Ede { code, text: shown.collect() })
}
