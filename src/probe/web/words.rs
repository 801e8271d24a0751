//! What was seen, in words: the sentences of findings that kinds share.

use super::facts::{Failure, FailureKind, Held, Match, Part, RedirectProblem};

/// A failed look in one sentence. `status` is that of an answer that broke off.
pub fn failure(failure: &Failure, status: Option<u16>) -> String {
    let what = match failure.kind {
        FailureKind::Unresolvable => "the name does not resolve",
        FailureKind::Refused => "connection refused",
        FailureKind::Reset => "connection reset",
        FailureKind::Closed => "connection closed early",
        FailureKind::Timeout => "timed out",
        FailureKind::Unreachable => "unreachable",
        FailureKind::Tls => "TLS alert",
        FailureKind::Certificate => "certificate does not verify",
        FailureKind::Protocol => "protocol error",
        FailureKind::NoStarttls => "no STARTTLS",
    };
    let mut summary = format!("{what} in the {} phase", failure.phase);
    if let Some(address) = failure.address {
        summary.push_str(&format!(" at {address}"));
    }
    if let Some(status) = status {
        summary.push_str(&format!(" after status {status}"));
    }
    if !failure.detail.is_empty() {
        summary.push_str(&format!(": {}", failure.detail));
    }
    summary
}

/// A redirect that was not followed, in one sentence.
pub fn redirect(problem: &RedirectProblem, status: Option<u16>) -> String {
    let what = match problem {
        RedirectProblem::NoLocation => "has no Location".to_owned(),
        RedirectProblem::BadLocation(why) => format!("has a Location that is no address ({why})"),
        RedirectProblem::Scheme(scheme) => format!("leads to the scheme {scheme}, expected http or https"),
        RedirectProblem::Loop(to) => format!("leads back to {to}"),
        RedirectProblem::TooMany(max) => format!("is one more than the {max} allowed"),
        RedirectProblem::Insecure(to) => format!("leads to {to}, expected https only"),
        RedirectProblem::OtherSite(to) => format!("leads to {to}, expected the same site"),
        RedirectProblem::SecretBody(to) => format!("would carry the body's secrets to another origin, {to}"),
        RedirectProblem::Guarded { to, address } => {
            format!("leads to {to} at {address}, which the address guard refuses")
        }
    };
    let status = status.map(|status| format!(" {status}")).unwrap_or_default();
    format!("redirect{status} {what}")
}

/// An unmet expectation in one sentence. `size` is that of the body read, `ended_at` the address of the
/// answer as it may be shown.
pub fn unmet(found: &Match, size: u64, ended_at: &str) -> String {
    let rule = found.rule.as_deref().unwrap_or("holds");
    let seen = found.value.as_deref().map_or_else(|| "absent".to_owned(), |value| format!("{value:?}"));
    match (found.part, found.held) {
        (Part::Header, _) => format!("header {} is {seen}, expected {rule}", found.key),
        (Part::FinalUrl, _) => format!("ended at {ended_at}, expected {rule}"),
        (Part::Body, Held::Undecided) => {
            format!("{rule} is undecided after the first {size} bytes of the body")
        }
        (Part::Body, _) => format!("body of {size} bytes does not hold: {rule}"),
        (Part::Json, Held::Undecided) => {
            format!("{} is undecided: the body is longer than {size} bytes", found.key)
        }
        (Part::Json, _) if found.key.is_empty() => format!("body of {size} bytes, expected that it {rule}"),
        (Part::Json, _) => {
            let seen = found.value.as_deref().unwrap_or("absent");
            format!("{} is {seen}, expected {rule}", found.key)
        }
    }
}
