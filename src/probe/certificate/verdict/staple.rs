//! Stapled OCSP responses. A certificate without an OCSP responder needs none.
//!
//! What is `broken` follows Firefox, the browser that is strictest about staples: it refuses the
//! connection where must-staple is not met, and where a staple is unreadable, forged, or says that the
//! certificate is unknown or revoked; it lets pass one that is old, or about another certificate.

use super::served_leaf::{ServedLeaf, leaves};
use super::{Case, Note};
use crate::model::{Finding, FindingDoc};
use crate::probe::certificate::docs::staple::{
    STAPLE_INVALID, STAPLE_NONE, STAPLE_OTHER, STAPLE_REQUIRED, STAPLE_STALE, STAPLE_UNKNOWN,
};
use crate::probe::certificate::judge::docs::REVOKED;
use crate::probe::certificate::judge::revocation::revoked_words;
use crate::probe::certificate::judge::staple::{Opinion, Trouble, weigh};
use crate::probe::certificate::revocation::issuers_of;

/// What is thought of staples.
pub fn notes<'a>(case: &Case<'a>) -> Vec<Note<'a>> {
    leaves(case).iter().flat_map(|served| of_leaf(case, served)).collect()
}

fn of_leaf<'a>(case: &Case<'a>, served: &ServedLeaf<'_, 'a>) -> Vec<Note<'a>> {
    let staples = served.staples();
    if staples.is_empty() {
        return served.staple_was_asked_for().then(|| missing(served)).flatten().into_iter().collect();
    }
    let opinions = opinions(case, served, &staples);
    let finding = |opinion: Option<Opinion>| {
        let mut unmeasured = || {
            let summary =
                "has a stapled response that cannot be verified: the issuer's certificate is not known";
            let mut finding = Finding::of(&STAPLE_OTHER, "leaf", named(served, summary));
            finding.measured = false;
            Some(finding)
        };
        opinion.map_or_else(&mut unmeasured, |opinion| told(served, &opinion))
    };
    opinions.into_iter().filter_map(finding).map(|finding| served.note(finding)).collect()
}

/// What each staple comes to; `None` where nobody is known who could have signed it.
pub fn opinions(case: &Case<'_>, served: &ServedLeaf<'_, '_>, staples: &[&[u8]]) -> Vec<Option<Opinion>> {
    let known: Vec<_> = case.readable().collect();
    let issuers = issuers_of(served.leaf, &known, case.anchors);
    let now = case.now.as_second();
    let opinion = |staple: &&[u8]| issuers.first().map(|issuer| weigh(staple, served.leaf, issuer, now));
    staples.iter().map(opinion).collect()
}

fn named(served: &ServedLeaf<'_, '_>, summary: &str) -> String {
    format!("{}: {summary}", served.leaf.short_name())
}

fn missing<'a>(served: &ServedLeaf<'_, 'a>) -> Option<Note<'a>> {
    let extensions = &served.leaf.extensions;
    let (doc, summary) = if extensions.must_staple {
        (&STAPLE_REQUIRED, "demands a stapled OCSP response (must-staple), and none is sent")
    } else if !extensions.ocsp.is_empty() {
        (&STAPLE_NONE, "names an OCSP responder, and no response of it is stapled")
    } else {
        return None;
    };
    Some(served.note(Finding::of(doc, "leaf", named(served, summary))))
}

fn told(served: &ServedLeaf<'_, '_>, opinion: &Opinion) -> Option<Finding> {
    let (doc, summary): (&'static FindingDoc, String) = match opinion {
        Opinion::Good => return None,
        Opinion::Revoked { since, reason } => {
            (&REVOKED, format!("{}, says the stapled response", revoked_words(*since, *reason)))
        }
        Opinion::Unknown => {
            (&STAPLE_UNKNOWN, "is unknown to its authority's responder, says the stapled response".to_owned())
        }
        Opinion::Bad(trouble, why) => {
            let doc = match trouble {
                Trouble::Malformed | Trouble::Signature => &STAPLE_INVALID,
                Trouble::Other | Trouble::Refused | Trouble::Unauthorized => &STAPLE_OTHER,
                Trouble::Early | Trouble::Late => &STAPLE_STALE,
            };
            (doc, format!("the stapled response {why}"))
        }
    };
    Some(Finding::of(doc, "leaf", named(served, &summary)))
}
