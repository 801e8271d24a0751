//! CAA: which authorities may issue certificates for a name (RFC 8659, with RFC 8657, RFC 9495 and the
//! contact properties of the CA/Browser Forum's baseline requirements, appendix A).
//!
//! Read with [`Property::parse`], judged with [`allows`]; [`climb`] finds the records that count.

mod climb;
mod property;
#[cfg(test)]
mod tests;
mod value;

pub use climb::{Relevant, climb};
pub use property::{Issuer, Kind, Parameter, Property, UNKNOWN_WAY};
pub use value::Fault;

use super::dns::Caa;

/// Whether an authority may issue, and by which records: indices into what [`allows`] was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No record restricts certificates of this sort: anyone may.
    Unrestricted,
    /// A record names the authority.
    Allowed {
        /// Which.
        by: usize,
        /// What else has to hold and cannot be seen from outside: the account, the way of validation.
        conditions: Vec<Parameter>,
    },
    /// There are records that count, and none names the authority. A value that cannot be read names
    /// nobody (RFC 8659 section 4.2).
    Forbidden {
        /// Those records.
        by: Vec<usize>,
    },
    /// A property that nobody knows is marked critical: no authority may issue at all.
    UnknownCritical {
        /// Which.
        by: usize,
        /// Its tag, printable.
        tag: String,
    },
}

impl Verdict {
    /// Whether the authority may issue, as far as can be seen from outside.
    pub const fn allowed(&self) -> bool {
        matches!(self, Self::Unrestricted | Self::Allowed { .. })
    }
}

/// Whether the authority that goes by these domains (any of them, in any case) may issue for a name
/// with these relevant records, or for the wildcard below it (RFC 8659 sections 4.2 and 4.3).
pub fn allows(records: &[Caa], issuer_domains: &[&str], wildcard: bool) -> Verdict {
    let unknown = |record: &Caa| property::is_critical(record.flags) && !property::is_known(&record.tag);
    if let Some((by, record)) = records.iter().enumerate().find(|(_, record)| unknown(record)) {
        return Verdict::UnknownCritical { by, tag: value::printable(&record.tag) };
    }
    let tagged = |tag: &str| -> Vec<usize> {
        let own = |record: &Caa| record.tag.eq_ignore_ascii_case(tag.as_bytes());
        records.iter().enumerate().filter(|(_, record)| own(record)).map(|(index, _)| index).collect()
    };
    let wild = if wildcard { tagged("issuewild") } else { Vec::new() };
    let relevant = if wild.is_empty() { tagged("issue") } else { wild };
    if relevant.is_empty() {
        return Verdict::Unrestricted;
    }
    let named = relevant.iter().filter_map(|by| Some((*by, conditions(records.get(*by)?, issuer_domains)?)));
    match named.min_by_key(|(_, conditions)| conditions.len()) {
        Some((by, conditions)) => Verdict::Allowed { by, conditions },
        None => Verdict::Forbidden { by: relevant },
    }
}

/// On what conditions a record names one of the domains; `None` if it names none.
fn conditions(record: &Caa, issuer_domains: &[&str]) -> Option<Vec<Parameter>> {
    let property = Property::parse(record).ok()?;
    let (Kind::Issue(issuer) | Kind::IssueWild(issuer)) = property.kind else { return None };
    let named = issuer.domain?;
    let bare = |domain: &&str| named.eq_ignore_ascii_case(domain.strip_suffix('.').unwrap_or(domain));
    issuer_domains.iter().any(bare).then_some(issuer.parameters)
}
