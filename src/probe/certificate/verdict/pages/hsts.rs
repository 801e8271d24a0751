//! HSTS: whether browsers learn from the host's answers to come back over HTTPS alone.

use std::net::{IpAddr, SocketAddr};

use super::{unmeasured, unverified, why_none};
use crate::formats::hsts::{self, Policy, YEAR};
use crate::judge::clip;
use crate::model::{Finding, FindingDoc, Severity};
use crate::probe::certificate::docs::pages as docs;
use crate::probe::certificate::pages::{Came, Page, Pages};

const HSTS: &str = "HSTS";
/// What pages.
const PAGING: [&FindingDoc; 3] = [&docs::HSTS_MISSING, &docs::HSTS_SHORT, &docs::HSTS_INVALID];

type Found = (Option<SocketAddr>, Finding);

/// What is wrong with a host's HSTS headers, and at which address. An address has no HSTS (RFC 6797
/// section 8.1.1).
pub(super) fn findings(pages: &Pages) -> Vec<Found> {
    if pages.name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return Vec::new();
    }
    let mut found: Vec<Found> = over_http(pages).into_iter().map(|finding| (None, finding)).collect();
    let seen = pages.secure.iter().any(|secure| matches!(secure.came, Came::Page(_)));
    for secure in &pages.secure {
        let said = match &secure.came {
            Came::Page(page) => of_page(pages, page),
            came if unverified(came) || (seen && no_route(came)) => Vec::new(),
            came => unknown(why_none(came).unwrap_or_default()),
        };
        found.extend(said.into_iter().map(|finding| (Some(secure.address), finding)));
    }
    if pages.private {
        for (_, finding) in &mut found {
            finding.severity = finding.severity.min(Severity::Notice);
        }
    }
    found
}

/// Whether we have no such family at all. A row that cannot be measured holds an incident open; one that
/// never can would hold it for ever, after the family that is seen was put right.
fn no_route(came: &Came) -> bool {
    matches!(came, Came::Skipped(skipped) if skipped.no_route)
}

fn unknown(why: String) -> Vec<Finding> {
    unmeasured(&PAGING, HSTS, &format!("could not be looked at: {why}"))
}

fn over_http(pages: &Pages) -> Option<Finding> {
    let header = pages.plain.as_ref()?.hsts.as_ref()?;
    let summary = format!("is sent over plain HTTP, where browsers ignore it: {:?}", clip(header));
    Some(Finding::of(&docs::HSTS_OVER_HTTP, HSTS, summary))
}

fn of_page(pages: &Pages, page: &Page) -> Vec<Finding> {
    match (&page.hsts, page.same_host) {
        (Some(header), _) => judged(header),
        // Many servers leave their own headers out of errors, which pass.
        (None, _) if errs(page) => unknown(format!("it answers {}", page.status)),
        (None, true) => behind_redirect(pages, page),
        (None, false) => {
            let to = page.redirect.as_ref().map(|to| format!(", a redirect to {to},")).unwrap_or_default();
            let summary =
                format!("is missing: the answer with status {}{to} has no such header", page.status);
            vec![Finding::of(&docs::HSTS_MISSING, HSTS, summary)]
        }
    }
}

/// A redirect within the host without the header: what the page behind it says.
fn behind_redirect(pages: &Pages, page: &Page) -> Vec<Finding> {
    let to = page.redirect.as_deref().unwrap_or_default();
    let bare = || {
        let summary = format!("is missing on the redirect to {to}, with status {}", page.status);
        Finding::of(&docs::HSTS_ON_REDIRECT, HSTS, summary)
    };
    // The page behind one family's redirect stands for the other's, if both lead to the same place.
    let first = pages.secure.iter().find_map(|secure| match &secure.came {
        Came::Page(page) if page.same_host && page.hsts.is_none() => page.redirect.as_deref(),
        _ => None,
    });
    let landing = pages.landing.as_ref().filter(|_| first == Some(to)).map(|landing| &landing.came);
    let mut found = match landing {
        Some(Came::Page(Page { hsts: Some(header), .. })) => judged(header),
        Some(Came::Page(landing)) if errs(landing) => unknown(format!("{to} answers {}", landing.status)),
        Some(Came::Page(landing)) if !landing.same_host => {
            let summary = format!(
                "is missing: neither the redirect to {to} nor the answer there, with status {}, has such a header",
                landing.status
            );
            return vec![Finding::of(&docs::HSTS_MISSING, HSTS, summary)];
        }
        Some(Came::Page(_)) => unknown("it redirects once more within the host".to_owned()),
        Some(came) => unknown(why_none(came).unwrap_or_default()),
        None => unknown(format!("{to} was not asked for")),
    };
    found.push(bare());
    found
}

const fn errs(page: &Page) -> bool {
    page.status == 429 || page.status >= 500
}

fn judged(header: &str) -> Vec<Finding> {
    match hsts::parse(header) {
        Ok(policy) => [short(&policy), preload(&policy)].into_iter().flatten().collect(),
        Err(invalid) => {
            let header = clip(header);
            let summary = format!("is ignored by browsers, the header {header:?} is invalid: {invalid}");
            vec![Finding::of(&docs::HSTS_INVALID, HSTS, summary)]
        }
    }
}

fn short(policy: &Policy) -> Option<Finding> {
    (policy.max_age < YEAR).then(|| {
        let summary = match policy.max_age {
            0 => "is switched off: max-age=0 makes browsers forget it".to_owned(),
            seconds => format!("lasts {seconds} seconds ({} days), under a year", seconds / 86_400),
        };
        Finding::of(&docs::HSTS_SHORT, HSTS, summary)
    })
}

fn preload(policy: &Policy) -> Option<Finding> {
    let faults: Vec<String> = policy.not_preloadable().iter().map(ToString::to_string).collect();
    (policy.preload && !faults.is_empty()).then(|| {
        let summary = format!("asks to be built into browsers, but cannot be: {}", faults.join(", "));
        Finding::of(&docs::HSTS_PRELOAD, HSTS, summary)
    })
}
