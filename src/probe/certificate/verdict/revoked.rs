//! Whether certificates of the paths that are used are revoked, by the lists that they name.

use super::{Case, Note, part};
use crate::formats::x509::Certificate;
use crate::model::{Finding, FindingDoc};
use crate::probe::certificate::docs::staple::{CRL_NONE, CRL_REFUSED, CRL_UNREACHABLE};
use crate::probe::certificate::facts::{FetchFailure, FetchedCrl};
use crate::probe::certificate::judge::docs::{CRL_INVALID, CRL_STALE, CRL_UNSUPPORTED, REVOKED};
use crate::probe::certificate::judge::expiry::SHORT_LIVED;
use crate::probe::certificate::judge::revocation::{revoked_words, stale};
use crate::probe::certificate::revocation::Answer;

/// What revocation lists say.
pub fn notes<'a>(case: &Case<'a>) -> Vec<Note<'a>> {
    let mut notes = Vec::new();
    for chain in &case.judged {
        let best = chain.best();
        for link in best.chain.iter().filter(|link| link.role != "root" && !link.certificate.self_issued) {
            let certificate = &link.certificate;
            let told = if certificate.extensions.crl_urls.is_empty() {
                let must = best.public && link.position == 0;
                must.then(|| irrevocable(certificate)).flatten().into_iter().collect()
            } else {
                by_lists(case, certificate)
            };
            for Told { doc, measured, summary } in told {
                let summary = format!("{}: {summary}", certificate.short_name());
                let mut finding = Finding::of(doc, part(link.position), summary)
                    .with("sha256", certificate.sha256.as_str());
                finding.measured = measured;
                notes.push(Note { host: chain.host, address: Some(chain.address), finding });
            }
        }
    }
    notes
}

/// One thing about one certificate.
struct Told {
    doc: &'static FindingDoc,
    measured: bool,
    summary: String,
}

impl Told {
    const fn of(doc: &'static FindingDoc, summary: String) -> Self {
        Self { doc, measured: true, summary }
    }

    const fn unmeasured(doc: &'static FindingDoc, summary: String) -> Self {
        Self { doc, measured: false, summary }
    }
}

/// The places that a certificate names are alternatives: one that answers will do.
fn by_lists(case: &Case<'_>, certificate: &Certificate) -> Vec<Told> {
    if !case.spec.fetch {
        return Vec::new();
    }
    let mut troubles = Vec::new();
    let mut known = false;
    let tried = certificate.extensions.crl_urls.iter().filter_map(|url| case.facts.crls.get_key_value(url));
    for (url, fetched) in tried {
        match by_list(url, fetched, certificate, case.now.as_second()) {
            None => known = true,
            Some(told) if told.doc.id == REVOKED.id => return vec![told],
            Some(told) => troubles.push(told),
        }
    }
    match (known, troubles.is_empty()) {
        (true, _) => Vec::new(),
        (false, true) => vec![untried(&certificate.extensions.crl_urls)],
        (false, false) => troubles,
    }
}

fn untried(urls: &[String]) -> Told {
    let first = urls.first().map(String::as_str).unwrap_or_default();
    if urls.iter().any(|url| url.starts_with("http:") || url.starts_with("https:")) {
        return Told::unmeasured(
            &CRL_UNREACHABLE,
            format!("its authority's revocation list at {first} was not fetched"),
        );
    }
    let summary = format!("its authority's revocation list is at {first}, which is not of HTTP");
    Told::of(&CRL_REFUSED, summary)
}

/// Public authorities must make revocation possible, but for short-lived certificates; internal ones
/// do as they please.
fn irrevocable(certificate: &Certificate) -> Option<Told> {
    let long = certificate.lifetime().is_none_or(|lifetime| lifetime > SHORT_LIVED);
    let told = long && certificate.extensions.ocsp.is_empty();
    told.then(|| Told::of(&CRL_NONE, "names neither a revocation list nor an OCSP responder".to_owned()))
}

/// `None`: it is not revoked.
fn by_list(url: &str, fetched: &FetchedCrl, certificate: &Certificate, at: i64) -> Option<Told> {
    let its = format!("its authority's revocation list at {url}");
    let Some(list) = &fetched.list else { return Some(failed(&its, fetched.failure.as_ref())) };
    match list.answers.get(&certificate.sha256) {
        None => Some(Told::unmeasured(&CRL_UNREACHABLE, format!("{its} was not asked about it yet"))),
        Some(Answer::Revoked { since, reason }) => Some(Told::of(&REVOKED, revoked_words(*since, *reason))),
        Some(Answer::Unsupported(why)) => {
            Some(Told::unmeasured(&CRL_UNSUPPORTED, format!("{its} is not judged: {why}")))
        }
        Some(Answer::Invalid(why)) => Some(Told::of(&CRL_INVALID, format!("{its} cannot be used: {why}"))),
        Some(Answer::Good) => stale(list.this_update, list.next_update, at)
            .map(|why| Told::of(&CRL_STALE, format!("{its} {why}"))),
    }
}

fn failed(its: &str, failure: Option<&FetchFailure>) -> Told {
    match failure {
        Some(FetchFailure::Refused(why)) => Told::of(&CRL_REFUSED, format!("{its} is not fetched: {why}")),
        Some(FetchFailure::Failed(why)) => {
            Told::of(&CRL_UNREACHABLE, format!("{its} cannot be fetched: {why}"))
        }
        Some(FetchFailure::Malformed(why)) => Told::of(&CRL_INVALID, format!("{its} cannot be read: {why}")),
        Some(FetchFailure::OurSide(why)) => {
            Told::unmeasured(&CRL_UNREACHABLE, format!("{its} could not be fetched from here: {why}"))
        }
        None => Told::unmeasured(&CRL_UNREACHABLE, format!("{its} was not fetched")),
    }
}
