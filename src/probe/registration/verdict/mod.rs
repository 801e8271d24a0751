//! Thinks: facts in, findings and what is remembered out.

mod change;
mod expiry;
mod status;

use jiff::Timestamp;

use self::expiry::Due;
use super::docs;
use super::facts::{Bootstrap, Facts, Registrar, Registration, Said, Silence};
use super::memory::{Memory, Watched};
use super::spec::Spec;
use crate::model::{Cause, Finding};
use crate::probe::Unmeasured;

/// What is thought of a run.
pub struct Thought {
    /// What was found.
    pub findings: Vec<Finding>,
    /// What is remembered.
    pub memory: Memory,
    /// Why the run says nothing of the domain.
    pub unknown: Option<Unmeasured>,
}

/// Judges a run at `now`.
pub fn think(spec: &Spec, facts: &Facts, past: &Memory, now: Timestamp) -> Thought {
    let mut memory = past.of(&spec.domain.ascii);
    memory.note(facts, now);
    let mut thought = match facts.registry.as_ref().map(|look| &look.said) {
        Some(Said::Registration(registration)) => registered(spec, facts, registration, memory, now),
        Some(Said::NotFound(words)) => missing(spec, words, memory),
        Some(Said::Nothing(silence)) => unanswered(spec, silence, memory, now),
        None => match &facts.bootstrap {
            Some(Bootstrap::Failed(silence)) => unanswered(spec, silence, memory, now),
            _ => unserved(spec, memory, now),
        },
    };
    thought.findings.extend(bootstrap(spec, facts));
    thought
}

/// A finding about the domain.
fn finding(doc: &'static crate::model::FindingDoc, spec: &Spec, summary: impl Into<String>) -> Finding {
    Finding::of(doc, &*spec.domain.ascii, summary)
}

fn unmeasured(mut finding: Finding) -> Finding {
    finding.measured = false;
    finding
}

fn registered(
    spec: &Spec,
    facts: &Facts,
    seen: &Registration,
    mut memory: Memory,
    now: Timestamp,
) -> Thought {
    let declared = spec.expires.map(|day| day.begins());
    let due = seen.expires.map(Due::Registry).or(declared.map(Due::Declared));
    memory.expires = due.map(Due::at);
    memory.told = seen.expires.map(|_| now);
    let same: fn(&Vec<String>, &Vec<String>) -> bool = |a, b| a == b;
    memory.registrar =
        Watched::after(memory.registrar.as_ref(), seen.registrar.as_ref(), Registrar::same, now);
    memory.nameservers = Watched::after(memory.nameservers.as_ref(), seen.nameservers.as_ref(), same, now);
    memory.ds = Watched::after(memory.ds.as_ref(), seen.ds.as_ref(), same, now);

    let mut findings = status::findings(spec, seen);
    findings.extend(due.and_then(|due| expiry::finding(spec, due, now)));
    findings.extend(due.is_none().then(|| no_date(spec)));
    findings.extend(expiry::disagreements(spec, facts, seen));
    findings.extend(change::findings(spec, seen, &memory));
    memory.standing =
        findings.iter().filter(|finding| finding.alerts()).map(|finding| finding.id.to_string()).collect();
    Thought { findings, memory, unknown: None }
}

fn no_date(spec: &Spec) -> Finding {
    let summary = format!(
        "the registry does not tell when {} expires; declare it: expires: YYYY-MM-DD",
        spec.domain.shown
    );
    unmeasured(finding(&docs::NO_DATE, spec, summary))
}

fn missing(spec: &Spec, words: &str, mut memory: Memory) -> Thought {
    let mut summary = format!("the registry says that {} is not registered", spec.domain.shown);
    if !words.is_empty() {
        summary.push_str(&format!(": {words}"));
    }
    let finding = finding(&docs::NOT_FOUND, spec, summary);
    (memory.expires, memory.told) = (None, None);
    memory.standing = vec![finding.id.to_string()];
    Thought { findings: vec![finding], memory, unknown: None }
}

/// Without an answer nothing is new. What is known of the expiry is judged as long as it lies ahead:
/// whether a date that has passed was put off, only the registry can say.
fn unanswered(spec: &Spec, silence: &Silence, mut memory: Memory, now: Timestamp) -> Thought {
    let declared = spec.expires.map(|day| day.begins());
    let due = match (memory.expires.zip(memory.told), declared) {
        (Some((at, told)), _) => Some(Due::Told { at, told }),
        (None, Some(day)) => Some(Due::Declared(day)),
        (None, None) => None,
    };
    if memory.told.is_none() {
        memory.expires = declared;
    }
    let ahead = due.filter(|due| due.at() > now).and_then(|due| expiry::finding(spec, due, now));
    let summary =
        format!("the registration of {} could not be looked at: {}", spec.domain.shown, silence.why);
    let mut findings = vec![unmeasured(finding(&docs::UNREACHABLE, spec, summary.clone()))];
    findings.extend(standing(spec, &memory, ahead.as_ref()));
    let unknown = ahead.is_none().then_some(Unmeasured { cause: silence.cause, why: summary });
    findings.extend(ahead);
    Thought { findings, memory, unknown }
}

/// What was found last and could not be looked at again is not over.
fn standing(spec: &Spec, memory: &Memory, but: Option<&Finding>) -> Vec<Finding> {
    let but = but.map(|finding| finding.id.as_str());
    let docs = docs::ALL.iter().filter(|doc| memory.standing.iter().any(|id| id == doc.id));
    let docs = docs.filter(|doc| Some(doc.id) != but);
    docs.map(|doc| unmeasured(finding(doc, spec, "found last, could not be looked at again"))).collect()
}

/// No server is known: what is declared is all there is.
fn unserved(spec: &Spec, mut memory: Memory, now: Timestamp) -> Thought {
    let declared = spec.expires.map(|day| day.begins());
    (memory.expires, memory.told) = (declared, None);
    memory.standing = Vec::new();
    let Some(day) = declared else {
        let summary = format!(
            "no RDAP server is known for {}; name one (server: https://…), or declare the day of expiry (expires: YYYY-MM-DD)",
            spec.domain.shown
        );
        let unknown = Some(Unmeasured { cause: Cause::Config, why: summary.clone() });
        return Thought {
            findings: vec![unmeasured(finding(&docs::NO_RDAP, spec, summary))],
            memory,
            unknown,
        };
    };
    let findings = expiry::finding(spec, Due::Declared(day), now).into_iter().collect();
    Thought { findings, memory, unknown: None }
}

fn bootstrap(spec: &Spec, facts: &Facts) -> Option<Finding> {
    let Some(Bootstrap::Failed(silence)) = &facts.bootstrap else { return None };
    let summary = format!("the bootstrap file was not read: {}", silence.why);
    Some(unmeasured(finding(&docs::BOOTSTRAP, spec, summary)))
}
