//! What a host's pages say of its TLS. A page that was not served because the certificate does not
//! verify is not spoken of here: the chain's own findings say so.

mod hsts;
#[cfg(test)]
mod tests;

use super::{Case, Note};
use crate::model::{Finding, FindingDoc, Severity};
use crate::probe::certificate::docs::pages as docs;
use crate::probe::certificate::facts::HostFacts;
use crate::probe::certificate::pages::{Came, Page, Pages, Plain, PlainEnd, Secure};
use crate::probe::web::facts::FailureKind;
use crate::probe::web::words;

/// What the findings are about.
const PLAIN: &str = "plain HTTP";
const FAMILIES: &str = "IPv4 and IPv6";

/// What is thought of the pages.
pub fn notes<'a>(case: &Case<'a>) -> Vec<Note<'a>> {
    case.facts.hosts.iter().flat_map(of_host).collect()
}

fn of_host(host: &HostFacts) -> Vec<Note<'_>> {
    let Some(pages) = &host.web else { return Vec::new() };
    let whole = |finding| Note { host, address: None, finding };
    let mut notes: Vec<Note<'_>> = pages.plain.iter().flat_map(redirect).map(whole).collect();
    notes.extend(families(pages).map(whole));
    let hsts = hsts::findings(pages).into_iter();
    notes.extend(hsts.map(|(address, finding)| Note { host, address, finding }));
    notes
}

/// Rows that could not be measured, one for each thing that would have paged.
fn unmeasured(docs: &[&'static FindingDoc], subject: &str, why: &str) -> Vec<Finding> {
    let row = |doc: &&'static FindingDoc| {
        let mut finding = Finding::of(doc, subject, why);
        (finding.measured, finding.severity) = (false, Severity::Info);
        finding
    };
    docs.iter().map(row).collect()
}

/// Where plain HTTP leads.
fn redirect(plain: &Plain) -> Vec<Finding> {
    let of = |doc, summary| Finding::of(doc, PLAIN, summary);
    let way = way(plain);
    let missing = |severity, summary| {
        let mut finding = of(&docs::NO_HTTPS_REDIRECT, summary);
        finding.severity = severity;
        vec![finding]
    };
    let unknown =
        |why: String| unmeasured(&[&docs::NO_HTTPS_REDIRECT, &docs::REDIRECT_OTHER_HOST_FIRST], PLAIN, &why);
    match &plain.end {
        PlainEnd::Secure => beginning(plain).into_iter().collect(),
        PlainEnd::Answered(status @ 200..=299) => {
            missing(Severity::Warning, format!("{way}answers {status} itself and does not lead to https"))
        }
        PlainEnd::Answered(status) => {
            missing(Severity::Notice, format!("{way}answers {status} and does not lead to https"))
        }
        PlainEnd::Astray(problem) => missing(
            Severity::Warning,
            format!("{way}does not lead to https: its {}", words::redirect(problem, None)),
        ),
        PlainEnd::Unfinished => missing(
            Severity::Notice,
            format!("{way}was not followed further: the first step should be https"),
        ),
        PlainEnd::Failed(failure) if failure.kind == FailureKind::Refused && plain.hops.is_empty() => {
            vec![of(&docs::PLAIN_CLOSED, "is not answered: connection refused".to_owned())]
        }
        PlainEnd::Failed(failure) => {
            unknown(format!("{way}could not be looked at: {}", words::failure(failure, None)))
        }
        PlainEnd::Skipped(skipped) => unknown(format!("{way}was not looked at: {}", skipped.why)),
    }
}

/// The redirects, as the beginning of a sentence.
fn way(plain: &Plain) -> String {
    let tos: Vec<&str> = plain.hops.iter().map(|hop| hop.to.as_str()).collect();
    if tos.is_empty() { String::new() } else { format!("redirects to {} and there ", tos.join(", then ")) }
}

/// What is wrong with a way that ends at `https`.
fn beginning(plain: &Plain) -> Option<Finding> {
    let first = plain.hops.first()?;
    if let Some(foreign) = plain.hops.iter().find(|hop| !hop.same_host) {
        let summary = format!(
            "redirects to {} before https on the host itself, so that its HSTS header is never seen",
            foreign.to
        );
        return Some(Finding::of(&docs::REDIRECT_OTHER_HOST_FIRST, PLAIN, summary));
    }
    (!first.secure).then(|| {
        let summary = format!("redirects to {} first, in the clear, and only then to https", first.to);
        let mut finding = Finding::of(&docs::NO_HTTPS_REDIRECT, PLAIN, summary);
        finding.severity = Severity::Notice;
        finding
    })
}

/// Whether IPv4 and IPv6 answer the same.
fn families(pages: &Pages) -> Option<Finding> {
    let [first, second] = pages.secure.as_slice() else { return None };
    let unknown = |why: String| unmeasured(&[&docs::FAMILIES_DIFFER], FAMILIES, &why).pop();
    match (&first.came, &second.came) {
        (Came::Page(one), Came::Page(other)) if one.cut || other.cut => {
            unknown("could not be compared: a page broke off".to_owned())
        }
        (Came::Page(one), Came::Page(other)) => {
            let different = difference(one, other)?;
            let family = |of: &Secure| if of.address.is_ipv4() { "IPv4" } else { "IPv6" };
            let summary = format!(
                "answer differently: {different} ({} at {}, {} at {})",
                family(first),
                first.address.ip(),
                family(second),
                second.address.ip(),
            );
            Some(Finding::of(&docs::FAMILIES_DIFFER, FAMILIES, summary))
        }
        (one, other) if unverified(one) || unverified(other) => None,
        (one, other) => [one, other].into_iter().find_map(why_none).and_then(|why| {
            let why = format!("could not be compared: {why}");
            unknown(why)
        }),
    }
}

/// What differs, the first figure of IPv4.
fn difference(one: &Page, other: &Page) -> Option<String> {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
    if one.status != other.status {
        return Some(format!("status {} against {}", one.status, other.status));
    }
    if one.redirect != other.redirect {
        return Some(format!("a redirect to {} against {}", text(&one.redirect), text(&other.redirect)));
    }
    if one.content_type != other.content_type {
        return Some(format!(
            "content type {} against {}",
            text(&one.content_type),
            text(&other.content_type)
        ));
    }
    if one.sha256 == other.sha256 {
        return None;
    }
    if one.title != other.title {
        return Some(format!("the title {:?} against {:?}", text(&one.title), text(&other.title)));
    }
    let (less, more) = (one.size.min(other.size), one.size.max(other.size));
    // 20 % of the longer one; sizes are bounded, so that nothing overflows.
    (less.saturating_mul(5) < more.saturating_mul(4))
        .then(|| format!("a page of {} bytes against one of {}", one.size, other.size))
}

/// Whether there is no page because the certificate does not verify.
fn unverified(came: &Came) -> bool {
    matches!(came, Came::Failed(failure) if failure.kind == FailureKind::Certificate)
}

/// Why there is no page.
fn why_none(came: &Came) -> Option<String> {
    match came {
        Came::Page(_) => None,
        Came::Failed(failure) => Some(words::failure(failure, None)),
        Came::Skipped(skipped) => Some(skipped.why.clone()),
    }
}
