//! What receivers make of a message (RFC 9989 section 5.3).

use super::Choice;
use super::align::aligned;
use super::walk::{Walked, walk};
use crate::formats::dmarc::{Alignment, Policy};

/// What an authentication came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authenticated {
    /// It passed.
    Pass,
    /// It did not, or there was none.
    Fail,
    /// It could not be found out.
    Unknown,
}

impl Authenticated {
    /// The best of several: one that passes is enough, and one that may have passed leaves it open.
    fn best(all: impl IntoIterator<Item = Self>) -> Self {
        all.into_iter().fold(Self::Fail, |best, one| match (best, one) {
            (Self::Pass, _) | (_, Self::Pass) => Self::Pass,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            _ => Self::Fail,
        })
    }
}

/// An authenticated domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity<'a> {
    /// The domain: `d=` of a signature, or that of MAIL FROM.
    pub domain: &'a str,
    /// What came of it.
    pub result: Authenticated,
}

/// What came of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Result {
    /// Something aligned passed.
    Pass,
    /// Nothing did.
    Fail,
    /// Nothing did, and something aligned, or the policy, could not be found out.
    TempError,
    /// The domain has no DMARC.
    None,
}

impl Result {
    /// As in `Authentication-Results` (RFC 8601).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::TempError => "temperror",
            Self::None => "none",
        }
    }
}

/// What receivers make of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// What came of it.
    pub result: Result,
    /// Whether SPF passed for a domain that is near enough.
    pub spf: Authenticated,
    /// Whether a signature of a domain that is near enough passed.
    pub dkim: Authenticated,
    /// What the domain wants done with it, if it fails.
    pub policy: Option<Policy>,
    /// How the record was found.
    pub walked: Walked,
}

/// Evaluates a message `from` a domain.
pub fn evaluate(
    from: &str,
    signatures: &[Identity<'_>],
    sender: Option<&Identity<'_>>,
    look: &dyn Fn(&str) -> Choice,
) -> Evaluation {
    let walked = walk(from, look);
    let record =
        walked.policy.as_ref().map(|(_, _, record)| record).filter(|record| record.applied().is_some());
    let (dkim_mode, spf_mode) =
        record.map_or((Alignment::Relaxed, Alignment::Relaxed), |one| (one.dkim, one.spf));
    let organizational = |domain: &str| walk(domain, look).organizational;
    let of = |one: &Identity<'_>, mode| {
        let near = record.is_some() && aligned(from, one.domain, mode, &organizational);
        // Which organization a domain belongs to is not known if the walk from it broke off.
        let may_be = || walked.failed.is_some() || walk(one.domain, look).failed.is_some();
        match (one.result, near) {
            (Authenticated::Fail, _) => Authenticated::Fail,
            (result, true) => result,
            (_, false) if mode == Alignment::Relaxed && may_be() => Authenticated::Unknown,
            (_, false) => Authenticated::Fail,
        }
    };
    let dkim = Authenticated::best(signatures.iter().map(|one| of(one, dkim_mode)));
    let spf = Authenticated::best(sender.map(|one| of(one, spf_mode)));
    let result = match (record, Authenticated::best([dkim, spf])) {
        (None, _) if walked.failed.is_some() => Result::TempError,
        (None, _) => Result::None,
        (_, Authenticated::Pass) => Result::Pass,
        (_, Authenticated::Unknown) => Result::TempError,
        (_, Authenticated::Fail) => Result::Fail,
    };
    Evaluation { result, spf, dkim, policy: walked.applied(from, true), walked }
}
