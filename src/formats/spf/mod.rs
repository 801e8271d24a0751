//! SPF records (RFC 7208 section 12): which hosts may send mail in the name of a domain.

pub mod macros;
mod terms;

use std::net::{Ipv4Addr, Ipv6Addr};

pub use self::macros::{Macro, MacroString, Part};
pub use super::Fault;

/// A record, its terms in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The directives.
    pub directives: Vec<Directive>,
    /// Where it goes on if none matches.
    pub redirect: Option<Target>,
    /// Where the reason of a refusal stands.
    pub explanation: Option<Target>,
    /// Modifiers that no standard knows; they are ignored (section 6).
    pub unknown: Vec<String>,
}

/// A name that is made anew for each check (`domain-spec`), and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The name.
    pub name: MacroString,
    /// The byte at which its term begins.
    pub at: usize,
}

/// What to do when a mechanism matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qualifier {
    /// `+`
    Pass,
    /// `-`
    Fail,
    /// `~`
    SoftFail,
    /// `?`
    Neutral,
}

/// A mechanism with its qualifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// What to do when it matches.
    pub qualifier: Qualifier,
    /// What matches.
    pub mechanism: Mechanism,
    /// The byte at which it begins.
    pub at: usize,
    /// As written.
    pub text: String,
}

/// How many leading bits of an address count, by family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DualCidr {
    /// Of IPv4, at most 32.
    pub v4: u8,
    /// Of IPv6, at most 128.
    pub v6: u8,
}

/// What is compared with the sender's address (section 5). A missing name is the domain itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the standard")]
pub enum Mechanism {
    All,
    Include(MacroString),
    A { name: Option<MacroString>, cidr: DualCidr },
    Mx { name: Option<MacroString>, cidr: DualCidr },
    Ptr(Option<MacroString>),
    Ip4 { address: Ipv4Addr, bits: u8 },
    Ip6 { address: Ipv6Addr, bits: u8 },
    Exists(MacroString),
}

impl Mechanism {
    /// Whether it costs one of the ten lookups (section 4.6.4).
    pub const fn looks_up(&self) -> bool {
        !matches!(self, Self::All | Self::Ip4 { .. } | Self::Ip6 { .. })
    }
}

/// Whether a TXT record is one of SPF (section 4.5).
pub fn is_spf(text: &[u8]) -> bool {
    let version = text.get(..6).is_some_and(|version| version.eq_ignore_ascii_case(b"v=spf1"));
    version && text.get(6).is_none_or(|next| *next == b' ')
}

impl Record {
    /// Reads a record: the strings of its TXT record put together (section 3.3).
    ///
    /// # Errors
    /// The first thing that is wrong; such a record is as good as none (`permerror`).
    pub fn parse(text: &[u8]) -> Result<Self, Fault> {
        if !is_spf(text) {
            return Err(Fault { at: 0, why: "does not begin with v=spf1".to_owned() });
        }
        if let Some(at) = text.iter().position(|byte| !byte.is_ascii()) {
            return Err(Fault {
                at,
                why: "a byte that is no ASCII; names are written as A-labels".to_owned(),
            });
        }
        let text =
            std::str::from_utf8(text).map_err(|why| Fault { at: why.valid_up_to(), why: why.to_string() })?;
        terms::record(text)
    }
}

#[cfg(test)]
mod tests;
