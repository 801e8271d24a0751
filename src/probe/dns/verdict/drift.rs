//! Drift proper: what the authorities agree on, against what was learned and approved.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;

use super::Case;
use super::consensus::Votes;
use super::declared::severity;
use super::watched::{Set, decisions, sets, settled};
use crate::formats::dns::RecordType;
use crate::formats::dns::written::Listed;
use crate::judge::drift::{Announced, Changed, Decided, Given, Poll, Stand, State, step};
use crate::model::{Baseline, Finding};
use crate::probe::dns::docs::drift as docs;
use crate::probe::dns::facts::{Facts, Question};
use crate::probe::dns::memory::Memory;
use crate::probe::standing::diff;

/// A change of so many of a zone's record sets …
const MASS: usize = 10;
/// … and of more than so many in a hundred is one of the whole.
const SHARE: usize = 30;
/// For so long it is told that an announced change did not come.
const REMINDED: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Looks.
pub fn look(case: &Case<'_>, memory: &mut Memory) -> Vec<Finding> {
    let zone = case.facts.zone.to_string();
    let baselines = match case.baselines {
        Ok(baselines) => baselines.as_slice(),
        Err(why) => return unread(case, &zone, why),
    };
    let before = std::mem::take(&mut memory.sets);
    let mut findings = Vec::new();
    let (mut decided, mut changed, mut provisional) = (0, 0, 0);
    for set in sets(case.spec) {
        let (votes, seen) = Seen::of(case.facts, &set);
        let state = before.get(&set.question.key()).cloned().unwrap_or_default();
        let own = decisions(baselines, &set.question);
        let outcome = seen.step(case, &set, &state, &own);
        decided += usize::from(outcome.decided);
        changed += usize::from(outcome.state.drifted);
        provisional += usize::from(outcome.stand == Stand::Provisional);
        if let Some(drifted) = outcome.exposed() {
            memory.exposed.record(&set.question, drifted);
        }
        findings.extend(outcome.findings(&set.question, &votes, &own));
        memory.sets.insert(set.question.key(), outcome.state);
    }
    if decided >= MASS && changed * 100 > decided * SHARE {
        let summary = format!("{changed} of {decided} approved record sets are something else at once");
        findings.push(Finding::of(&docs::MASS_CHANGE, zone.clone(), summary));
    }
    if provisional > 0 {
        let sets = if provisional == 1 { "record set was" } else { "record sets were" };
        let summary = format!("{provisional} {sets} learned and can be approved");
        findings.push(Finding::of(&docs::TO_APPROVE, zone, summary));
    }
    findings
}

/// Nothing can be compared; what was open stays so.
fn unread(case: &Case<'_>, zone: &str, why: &str) -> Vec<Finding> {
    let not_measured = |key: &String| Finding {
        measured: false,
        ..Finding::of(&docs::DRIFT, key.clone(), "what was approved could not be read")
    };
    let open = case.memory.sets.iter().filter(|(_, state)| state.drifted).map(|(key, _)| not_measured(key));
    let unread = Finding { measured: false, ..Finding::of(&docs::BASELINES_UNREAD, zone, why) };
    open.chain([unread]).collect()
}

/// What the authorities say of one set, as it is compared over time.
struct Seen {
    said: BTreeMap<Vec<String>, Vec<String>>,
    silent: usize,
    ttl: Duration,
}

/// What became of one set.
struct After {
    state: State,
    stand: Stand,
    /// A person said what it should be, or must not be.
    decided: bool,
    was_open: bool,
    missed: Option<Announced>,
}

impl Seen {
    fn of(facts: &Facts, set: &Set<'_>) -> (Votes, Self) {
        let question = &set.question;
        let votes = Votes::of(facts, question);
        let mut said: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
        for (values, servers) in &votes.groups {
            said.entry(settled(question, values)).or_default().extend(servers.iter().cloned());
        }
        let ttl = ttl(facts, question);
        let silent = votes.silent.len();
        (votes, Self { said, silent, ttl })
    }

    fn step(&self, case: &Case<'_>, set: &Set<'_>, before: &State, own: &[Baseline]) -> After {
        let announced = announced(case, &set.question);
        let decided = Decided::about(own, &set.question.key());
        let poll = Poll { at: case.now, said: &self.said, silent: self.silent, ttl: self.ttl };
        let policy = set.policy(case.spec);
        let given = Given { poll, decided, announced: &announced, policy };
        let (state, stand) = step(before, &given);
        if set.declared.is_some() {
            // Judged by what is declared of it; only what it was is remembered.
            return After { state, stand: Stand::Unwatched, decided: false, was_open: false, missed: None };
        }
        let is_decided = state.expected(&given.decided).is_some_and(|(_, decided)| decided)
            || !given.decided.rejected.is_empty();
        let over = |one: &&Announced| one.until <= case.now && case.now.duration_since(one.until) < REMINDED;
        let now = state.present.as_ref().map(|present| &present.values);
        let missed =
            announced.iter().find(over).filter(|one| !state.adopted(one) && now != Some(&one.values));
        After { missed: missed.cloned(), was_open: before.drifted, decided: is_decided, state, stand }
    }
}

/// The longest time to live that those who know give the set.
pub(super) fn ttl(facts: &Facts, question: &Question) -> Duration {
    let answers = facts.knowing(question);
    let answers = answers.iter().filter_map(|server| server.answer(&question.name, question.kind));
    let own = answers.flat_map(|answer| &answer.answers).filter(|record| record.name == question.name);
    Duration::from_secs(own.map(|record| u64::from(record.ttl)).max().unwrap_or_default())
}

/// The changes of a set that were announced.
pub(super) fn announced(case: &Case<'_>, question: &Question) -> Vec<Announced> {
    let own = case.spec.announced.iter().filter(|one| {
        one.kind.0 == question.kind && one.name.within(&case.spec.zone.0).as_ref() == Ok(&question.name)
    });
    own.map(|one| Announced { values: settled(question, &one.change.values), ..one.change.clone() }).collect()
}

impl After {
    /// Whether it drifted, where that is known and a person said what it should be.
    fn exposed(&self) -> Option<bool> {
        match &self.stand {
            Stand::Unmeasured => None,
            _ => self.decided.then_some(self.state.drifted),
        }
    }

    fn findings(&self, question: &Question, votes: &Votes, own: &[Baseline]) -> Vec<Finding> {
        let key = question.key();
        let mut findings = Vec::new();
        if let Some(missed) = &self.missed {
            let summary = format!("was to be {} by {}, and is not", Listed(&missed.values), missed.until);
            findings.push(Finding::of(&docs::ANNOUNCED_MISSED, key.clone(), summary));
        }
        match &self.stand {
            Stand::Changed(changed) => findings.push(of_change(question, votes, changed, own)),
            Stand::Unmeasured if self.decided || self.was_open => {
                let summary = "no authority gave an answer that counts";
                let finding = Finding { measured: false, ..Finding::of(&docs::DRIFT, key, summary) };
                findings.push(finding.with("vantages", votes.vantages()));
            }
            _ => {}
        }
        findings
    }
}

fn of_change(question: &Question, votes: &Votes, changed: &Changed, own: &[Baseline]) -> Finding {
    let doc = match (changed.decided, changed.certain) {
        (true, true) => &docs::DRIFT,
        (true, false) => &docs::SUSPECTED,
        (false, _) => &docs::UNAPPROVED_CHANGE,
    };
    let from = changed.from.clone().unwrap_or_default();
    let mut finding = Finding::of(doc, question.key(), summary(question, changed, own))
        .with("diff", diff(&from, &changed.to))
        .with("first_seen", changed.since.to_string())
        .with("vantages", votes.vantages());
    if changed.alternating.len() > 1 {
        let values: Vec<String> = changed.alternating.iter().map(|set| Listed(set).to_string()).collect();
        finding = finding.with("alternating", values);
    }
    if changed.decided && changed.certain {
        let weighed: Vec<String> = from.iter().chain(&changed.to).cloned().collect();
        finding.severity = severity(question, &weighed);
        // AAAA records may go while users still have the A records.
        let resolves = matches!(question.kind, RecordType::A | RecordType::CNAME);
        finding.broken = resolves && changed.to.is_empty();
    }
    finding
}

/// One line: which layer says what since when, and what it should be.
fn summary(question: &Question, changed: &Changed, own: &[Baseline]) -> String {
    let who = if question.kind == RecordType::DS { "the parent zone says" } else { "the authorities say" };
    if changed.alternating.len() > 1 {
        let values: Vec<String> = changed.alternating.iter().map(|set| Listed(set).to_string()).collect();
        return format!("{who} now one and now another: {}", values.join("; then "));
    }
    let to = Listed(&changed.to);
    let since = changed.since.round(jiff::Unit::Second).unwrap_or(changed.since);
    let decided = Decided::about(own, &question.key());
    if let Some(rejected) = decided.rejects(&changed.to) {
        return format!("{who} {to} since {since}, which {} rejected", rejected.by);
    }
    let Some(from) = &changed.from else { return format!("{who} {to} since {since}") };
    let what = match (changed.decided, decided.approved) {
        (true, Some(approved)) if settled(question, &approved.values) == *from => {
            format!("{} approved", approved.by)
        }
        (true, _) => "it was announced to be".to_owned(),
        (false, _) => "it was".to_owned(),
    };
    format!("{who} {to} since {since}; {what} {}", Listed(from))
}
