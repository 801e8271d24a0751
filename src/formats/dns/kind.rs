//! The numbers of record types, classes and return codes, and their names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The type of a record (RFC 1035 section 3.2.2 and the IANA registry).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RecordType(pub u16);

macro_rules! numbers {
    ($of:ident, $names:ident: $($name:ident = $number:literal, $text:literal, $doc:literal;)*) => {
        impl $of {
            $(#[doc = $doc] pub const $name: Self = Self($number);)*
        }
        const $names: &[($of, &str)] = &[$(($of::$name, $text)),*];
    };
}

numbers! { RecordType, TYPES:
    A = 1, "A", "An IPv4 address (RFC 1035).";
    NS = 2, "NS", "A name server (RFC 1035).";
    CNAME = 5, "CNAME", "An alias (RFC 1035).";
    SOA = 6, "SOA", "The start of a zone (RFC 1035).";
    PTR = 12, "PTR", "A name, mostly of an address (RFC 1035).";
    MX = 15, "MX", "A mail exchange (RFC 1035).";
    TXT = 16, "TXT", "Text (RFC 1035).";
    AAAA = 28, "AAAA", "An IPv6 address (RFC 3596).";
    SRV = 33, "SRV", "A service (RFC 2782).";
    NAPTR = 35, "NAPTR", "A rewriting rule (RFC 3403).";
    DNAME = 39, "DNAME", "An alias of a subtree (RFC 6672).";
    OPT = 41, "OPT", "EDNS, no record of a zone (RFC 6891).";
    DS = 43, "DS", "The digest of a child's key (RFC 4034).";
    RRSIG = 46, "RRSIG", "A signature (RFC 4034).";
    NSEC = 47, "NSEC", "What does not exist (RFC 4034).";
    DNSKEY = 48, "DNSKEY", "A key of a zone (RFC 4034).";
    NSEC3 = 50, "NSEC3", "What does not exist, hashed (RFC 5155).";
    NSEC3PARAM = 51, "NSEC3PARAM", "How NSEC3 hashes (RFC 5155).";
    TLSA = 52, "TLSA", "A certificate of a TLS server (RFC 6698).";
    CDS = 59, "CDS", "The DS that a child wants (RFC 7344).";
    CDNSKEY = 60, "CDNSKEY", "The DNSKEY that a child wants a DS of (RFC 7344).";
    SVCB = 64, "SVCB", "How a service is reached (RFC 9460).";
    HTTPS = 65, "HTTPS", "How a web server is reached (RFC 9460).";
    ANY = 255, "ANY", "A question for all types (RFC 1035, 8482).";
    CAA = 257, "CAA", "Who may issue certificates (RFC 8659).";
}

impl fmt::Display for RecordType {
    /// The mnemonic, else `TYPE123` (RFC 3597 section 5).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match TYPES.iter().find(|(kind, _)| kind == self) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

impl FromStr for RecordType {
    type Err = String;

    /// Reads what [`fmt::Display`] writes, in either case.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((kind, _)) = TYPES.iter().find(|(_, name)| name.eq_ignore_ascii_case(text)) {
            return Ok(*kind);
        }
        let number = text.get(..4).filter(|start| start.eq_ignore_ascii_case("TYPE"));
        let number = number.and_then(|start| text.get(start.len()..)?.parse().ok());
        number.map(Self).ok_or_else(|| {
            format!(
                "`{}` is no record type; write one as `MX`, or by number as `TYPE65280`",
                text.escape_debug()
            )
        })
    }
}

impl From<RecordType> for String {
    fn from(kind: RecordType) -> Self {
        kind.to_string()
    }
}

impl TryFrom<String> for RecordType {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// The classes of records (RFC 1035 section 3.2.4).
pub mod class {
    /// The Internet.
    pub const IN: u16 = 1;
    /// Chaos, in which servers tell of themselves (RFC 4892).
    pub const CH: u16 = 3;
}

/// A return code with its extension by EDNS (RFC 6895 section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Rcode(pub u16);

numbers! { Rcode, CODES:
    NOERROR = 0, "NOERROR", "The question is answered, perhaps by nothing.";
    FORMERR = 1, "FORMERR", "The server cannot read the question.";
    SERVFAIL = 2, "SERVFAIL", "The server failed.";
    NXDOMAIN = 3, "NXDOMAIN", "The name does not exist.";
    NOTIMP = 4, "NOTIMP", "The server cannot do this.";
    REFUSED = 5, "REFUSED", "The server will not answer this.";
    NOTAUTH = 9, "NOTAUTH", "The server is not authoritative, or not authorized.";
    BADVERS = 16, "BADVERS", "The server does not know the version of EDNS (RFC 6891).";
    BADCOOKIE = 23, "BADCOOKIE", "The server wants a cookie (RFC 7873).";
}

impl fmt::Display for Rcode {
    /// The mnemonic, else `RCODE123`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match CODES.iter().find(|(code, _)| code == self) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "RCODE{}", self.0),
        }
    }
}

impl From<Rcode> for String {
    fn from(code: Rcode) -> Self {
        code.to_string()
    }
}

impl TryFrom<String> for Rcode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Some((code, _)) = CODES.iter().find(|(_, name)| *name == text) {
            return Ok(*code);
        }
        let number = text.strip_prefix("RCODE").and_then(|number| number.parse().ok());
        number.map(Self).ok_or_else(|| format!("`{}` is no return code", text.escape_debug()))
    }
}
