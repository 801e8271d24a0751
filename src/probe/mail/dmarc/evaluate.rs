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
    /// An aligned SPF identity passed.
    pub spf: bool,
    /// An aligned signature passed.
    pub dkim: bool,
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
    let near = |domain: &str, mode| record.is_some() && aligned(from, domain, mode, &organizational);
    let of = |wanted: Authenticated| {
        let dkim = signatures.iter().any(|one| one.result == wanted && near(one.domain, dkim_mode));
        let spf = sender.is_some_and(|one| one.result == wanted && near(one.domain, spf_mode));
        (dkim, spf)
    };
    let ((dkim, spf), unknown) = (of(Authenticated::Pass), of(Authenticated::Unknown));
    let result = match (record, unknown) {
        (None, _) if walked.failed.is_some() => Result::TempError,
        (None, _) => Result::None,
        _ if dkim || spf => Result::Pass,
        (_, (false, false)) => Result::Fail,
        _ => Result::TempError,
    };
    Evaluation { result, spf, dkim, policy: walked.applied(from, true), walked }
}
