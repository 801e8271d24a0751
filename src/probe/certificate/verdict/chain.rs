//! The chains, judged certificate by certificate, as findings.

use std::collections::HashSet;
use std::sync::Arc;

use super::judged::JudgedChain;
use super::{Case, Note};
use crate::model::Finding;
use crate::probe::certificate::docs::reach;
use crate::probe::certificate::facts::{Facts, FetchFailure};
use crate::probe::certificate::judge::{Judged, Trust, docs};

/// Findings of a chain that fetched issuers complete: what they say of its order is of our making.
const OF_WHAT_IS_SENT: [&str; 5] =
    [docs::ORDER.id, docs::DUPLICATE.id, docs::EXTRA.id, docs::ROOT_SENT.id, docs::BROWSER.id];

/// What is thought of the chains.
pub fn notes<'a>(case: &Case<'a>) -> Vec<Note<'a>> {
    // The handshakes with one address mostly show the same chain.
    let mut told = HashSet::new();
    let mut notes = Vec::new();
    for chain in &case.judged {
        if told.insert((chain.host.subject(), chain.address, Arc::as_ptr(&chain.judged))) {
            let note = |finding| Note { host: chain.host, address: Some(chain.address), finding };
            notes.extend(findings(case.facts, chain).into_iter().map(note));
        }
    }
    notes
}

fn findings(facts: &Facts, chain: &JudgedChain<'_>) -> Vec<Finding> {
    let judged = &*chain.judged;
    let trusted = judged.trust == Trust::Trusted;
    if !trusted && let Some(by_platform) = &chain.by_platform {
        return platform_only(by_platform);
    }
    let mut findings = judged.findings.clone();
    match chain.completed.as_deref().filter(|completed| completed.trust == Trust::Trusted) {
        Some(_) => complete(&mut findings, judged),
        None => {
            if let Some(finding) = of_id(&mut findings, docs::INCOMPLETE.id) {
                let why = why_not(facts, judged, chain.completed.as_deref());
                finding.summary.push_str(&format!("; {why}"));
            }
        }
    }
    let leads = |judged: &&Judged| matches!(judged.trust, Trust::Trusted | Trust::Untrusted);
    if let Some(completed) = chain.completed.as_deref().filter(leads) {
        of_fetched(&mut findings, completed);
    }
    if trusted && chain.platform == Some(false) {
        let summary = "Mozilla's store trusts the chain, the roots of this system do not";
        findings.push(Finding::of(&reach::PLATFORM_DISTRUSTS, "chain", summary));
    }
    findings
}

fn of_id<'f>(findings: &'f mut [Finding], id: &str) -> Option<&'f mut Finding> {
    findings.iter_mut().find(|finding| finding.id.as_str() == id)
}

fn platform_only(judged: &Judged) -> Vec<Finding> {
    let top = judged.chain.last().map(|link| link.certificate.short_name()).unwrap_or_default();
    let summary = format!("only the roots of this system trust it, by {top}; Mozilla's store does not");
    let mut findings = judged.findings.clone();
    findings.push(Finding::of(&reach::PLATFORM_ONLY, "chain", summary));
    findings
}

/// Tells what the fetched issuers come to. The chain stays incomplete: most programs fetch nothing.
fn complete(findings: &mut [Finding], judged: &Judged) {
    let words = "with what was fetched from there the chain is trusted";
    if let Some(finding) = of_id(findings, docs::INCOMPLETE.id) {
        finding.summary.push_str(&format!("; {words}"));
    } else if let Some(finding) = of_id(findings, docs::UNKNOWN_ISSUER.id) {
        let top = judged.chain.last().map(|link| link.certificate.issuer.to_string()).unwrap_or_default();
        let summary = format!("the certificate of {top} is not sent, but can be fetched; {words}");
        let incomplete = Finding::of(&docs::INCOMPLETE, finding.subject.clone(), summary);
        *finding = Finding { evidence: std::mem::take(&mut finding.evidence), ..incomplete };
    }
}

/// What is wrong with the certificates that were fetched.
fn of_fetched(findings: &mut Vec<Finding>, completed: &Judged) {
    let more: Vec<Finding> = completed
        .findings
        .iter()
        .filter(|more| !OF_WHAT_IS_SENT.contains(&more.id.as_str()))
        .filter(|more| findings.iter().all(|known| known.key() != more.key()))
        .cloned()
        .collect();
    findings.extend(more);
}

/// Why fetching did not complete a chain.
fn why_not(facts: &Facts, judged: &Judged, completed: Option<&Judged>) -> String {
    let top = judged.chain.last().map(|link| &link.certificate);
    let urls = top.into_iter().flat_map(|top| &top.extensions.ca_issuers);
    let tried: Vec<_> = urls.filter_map(|url| facts.issuers.get(url)).collect();
    if tried.is_empty() {
        return "that was not tried".to_owned();
    }
    let came = tried.iter().any(|issuer| issuer.failure.is_none());
    let failure = tried.into_iter().find_map(|issuer| issuer.failure.as_ref()).filter(|_| !came);
    match failure {
        Some(FetchFailure::Refused(why)) => format!("that is refused: {why}"),
        Some(FetchFailure::Failed(why)) => format!("that fails: {why}"),
        Some(FetchFailure::OurSide(why)) => format!("that was not possible here: {why}"),
        Some(FetchFailure::Malformed(why)) => format!("what comes from there cannot be read: {why}"),
        None if completed.is_some_and(|completed| completed.trust == Trust::Untrusted) => {
            "with it the chain leads to a trusted root, but breaks a rule".to_owned()
        }
        None => "with it the chain leads to no trusted root either".to_owned(),
    }
}
