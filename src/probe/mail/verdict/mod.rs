//! Thinks: a list of small functions, each of which looks at the facts for one standard.

mod bimi;
mod dane;
mod dkim;
mod dmarc;
mod drift;
mod exchanges;
pub mod exposed;
mod mta_sts;
mod parked;
mod receivers;
mod require;
mod round_trip;
mod senders;
mod spf;
mod tls_rpt;
pub mod watched;

use jiff::Timestamp;

pub use self::dmarc::walked as dmarc_walked;
pub use self::exchanges::words as failed;

use super::docs;
use super::facts::{Facts, Looked, Spf};
use super::memory::Memory;
use super::spec::Spec;
use crate::model::{Baseline, Cause, Finding, FindingDoc};
use crate::probe::Unmeasured;
use crate::probe::web::facts::Skipped;

/// What there is to think about.
pub struct Case<'a> {
    /// The settings.
    pub spec: &'a Spec,
    /// What was seen.
    pub facts: &'a Facts,
    /// What people decided; `Err` says why that could not be read.
    pub baselines: &'a Result<Vec<Baseline>, String>,
    /// The present.
    pub now: Timestamp,
}

/// What is thought so far.
pub struct Report {
    /// What was found.
    pub findings: Vec<Finding>,
    /// What is remembered: of earlier runs, and more and more of this one.
    pub memory: Memory,
    /// Beginnings of the ids of what could not be looked at, or not whole.
    blind: Vec<&'static str>,
    /// Something that is required could not be looked at: why.
    required: Option<Unmeasured>,
}

impl Report {
    fn find(&mut self, doc: &'static FindingDoc, subject: &str, summary: impl Into<String>) {
        self.findings.push(Finding::of(doc, subject, summary));
    }

    /// The family of ids cannot be judged because a question was not answered.
    fn blind(&mut self, family: &'static str, looked: &Looked) {
        if let Some(skipped) = &looked.unmeasured {
            self.unanswered(family, &looked.key(), skipped);
        }
    }

    fn unanswered(&mut self, family: &'static str, subject: &str, skipped: &Skipped) {
        self.blind.push(family);
        let known = |finding: &Finding| {
            finding.id.as_str() == docs::whole::UNANSWERED.id && finding.subject == subject
        };
        if !self.findings.iter().any(known) {
            let finding = Finding::of(&docs::whole::UNANSWERED, subject, skipped.why.clone());
            self.findings.push(Finding { measured: false, ..finding });
        }
    }

    fn is_blind(&self, family: &str) -> bool {
        self.blind.iter().any(|blind| family.starts_with(blind))
    }
}

/// One look.
type Look = fn(&Case<'_>, &mut Report);

/// Everything that is looked at of a domain with mail …
const LOOKS: &[Look] = &[
    spf::look,
    senders::look,
    dkim::look,
    dmarc::look,
    exchanges::look,
    mta_sts::look,
    tls_rpt::look,
    dane::look,
    bimi::look,
    receivers::look,
    require::look,
    round_trip::look,
    drift::look,
];
/// … and of one without.
const PARKED: &[Look] = &[parked::look, drift::look];

/// All that is found, what is to be remembered, and why the run says nothing of the domain.
pub fn judge(case: &Case<'_>, past: &Memory) -> (Vec<Finding>, Memory, Option<Unmeasured>) {
    let memory = past.of(&case.facts.domain);
    let mut report = Report { findings: Vec::new(), memory, blind: Vec::new(), required: None };
    if let Some(unmeasured) = nothing(case.facts) {
        report.blind.push("");
        let finding =
            Finding::of(&docs::whole::UNANSWERED, case.facts.domain.clone(), unmeasured.why.clone());
        report.findings.push(Finding { measured: false, ..finding });
        standing(&mut report);
        return (report.findings, report.memory, Some(unmeasured));
    }
    let gone = |spf: &Spf| spf.texts.unmeasured.is_none() && !spf.texts.exists;
    if case.spec.only.is_none() && case.facts.spf.as_ref().is_some_and(gone) {
        report.find(&docs::whole::NO_DOMAIN, &case.facts.domain, "the name does not exist (NXDOMAIN)");
        standing(&mut report);
        return (report.findings, report.memory, None);
    }
    let looks = if case.spec.parked { PARKED } else { LOOKS };
    for look in looks {
        look(case, &mut report);
    }
    exposed::keep(case, &mut report);
    if case.spec.only.is_some() && !report.blind.is_empty() {
        part(&mut report);
    }
    standing(&mut report);
    let worse = report.findings.iter().any(Finding::alerts);
    (report.findings, report.memory, report.required.filter(|_| !worse))
}

/// Who asks about one part alone is told if that is not wholly known.
fn part(report: &mut Report) {
    let unmeasured = report.findings.iter().find(|finding| !finding.measured);
    let why = unmeasured.map(|finding| format!("{}: {}", finding.subject, finding.summary));
    let why = why.unwrap_or_else(|| "a question was not answered".to_owned());
    report.required.get_or_insert(Unmeasured { cause: Cause::Blocked, why });
}

/// Why nothing at all is known: none of the first questions was answered.
fn nothing(facts: &Facts) -> Option<Unmeasured> {
    let first = [
        facts.spf.as_ref().map(|spf| &spf.texts),
        facts.dmarc.as_ref().and_then(|dmarc| dmarc.walk.first()),
        facts.mx.as_ref().map(|mx| &mx.records),
        facts.dkim.as_ref().map(|dkim| &dkim.below),
        facts.mta_sts.as_ref().map(|mta_sts| &mta_sts.record),
    ];
    let asked: Vec<&Looked> = first.into_iter().flatten().collect();
    let silent: Option<Vec<&Skipped>> = asked.iter().map(|looked| looked.unmeasured.as_ref()).collect();
    let skipped = silent?.into_iter().next()?;
    Some(Unmeasured { cause: skipped.cause, why: skipped.why.clone() })
}

/// What was found last and could not be looked at again is not over.
fn standing(report: &mut Report) {
    let found = |id: &str, subject: &str| {
        let same = |finding: &Finding| finding.id.as_str() == id && finding.subject == subject;
        report.findings.iter().any(same)
    };
    let mut open: Vec<Finding> = Vec::new();
    for (id, subject) in &report.memory.standing {
        let doc = docs::ALL.iter().find(|doc| doc.id == id);
        if let Some(doc) = doc.filter(|_| report.is_blind(id) && !found(id, subject)) {
            let finding = Finding::of(doc, subject.clone(), "found last, could not be looked at again");
            open.push(Finding { measured: false, ..finding });
        }
    }
    let alerting = report.findings.iter().filter(|finding| finding.alerts());
    let all = alerting.chain(&open).map(|finding| (finding.id.to_string(), finding.subject.clone()));
    report.memory.standing = all.collect();
    report.findings.extend(open);
}

#[cfg(test)]
mod tests;
