//! What was recorded, judged by other rules: what would have been told when.
//!
//! Pure: results and facts go in, incidents and notices come out. What can be judged anew is (in this
//! order) a run whose facts are kept, and whose kind judges facts without its memory; the status of a run
//! without them; latency budgets, from the durations of all runs. Everything else stands as it was
//! recorded, and is counted. Re-checks come when they came then, whatever the rules now say.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::pace::rules;
use crate::alert::{self, Effect, Event, Policy, Seen, State};
use crate::model::{Finding, Incident, IncidentId, Verdict};
use crate::plan::PlannedCheck;
use crate::probe::Recalled;
use crate::record::{KeptFacts, Ran, ResultRow};
use crate::stats::budget::{FINDINGS as BUDGETS, Watch};
use crate::stats::samples::Run;

/// What became of a check's record under a plan.
#[derive(Debug, Default)]
pub struct Replayed {
    /// The incidents there would have been, by their start.
    pub incidents: BTreeMap<IncidentId, Incident>,
    /// What would have been told, and through which channels.
    pub notices: Vec<Told>,
    /// How many results there are.
    pub results: u64,
    /// How many of them were judged anew from their facts.
    pub judged: u64,
    /// How many of them could only be taken as they were recorded.
    pub taken: u64,
    /// How many had facts that this version cannot read.
    pub unreadable: u64,
}

/// A notice that would have gone out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    /// When it would have been decided.
    pub at: Timestamp,
    /// Of which incident.
    pub incident: String,
    /// Why.
    pub reason: &'static str,
    /// Through which channels.
    pub channels: Vec<String>,
}

/// Replays one check's results, oldest first.
pub struct Replay<'p> {
    check: &'p PlannedCheck,
    facts: BTreeMap<Timestamp, Box<RawValue>>,
    watch: Option<Watch>,
    state: State,
    last_good: Option<Timestamp>,
    replayed: Replayed,
}

impl<'p> Replay<'p> {
    /// Begins with the facts that are kept of the check.
    pub fn new(check: &'p PlannedCheck, facts: KeptFacts) -> Self {
        Self {
            check,
            facts: facts.into_iter().collect(),
            watch: Watch::new(&check.budgets, &[]),
            state: State::default(),
            last_good: None,
            replayed: Replayed::default(),
        }
    }

    /// Takes in the next result.
    pub fn take(&mut self, row: &ResultRow) {
        self.wake_until(row.at);
        self.replayed.results += 1;
        let mut findings = self.judged(row);
        if let Some(watch) = &mut self.watch {
            let ran = ran(self.check, row);
            watch.take(row.at.as_millisecond(), Run::from(&ran), rules(self.check));
            if row.verdict != Verdict::Unknown {
                findings.extend(watch.judge(row.at.as_millisecond()));
            }
        }
        findings.sort_by_key(|finding| Reverse((finding.measured, finding.broken, finding.severity)));
        let unknown = row.verdict == Verdict::Unknown;
        let verdict = if unknown { Verdict::Unknown } else { Verdict::of(&findings) };
        let ended = row.at.saturating_add(row.took).unwrap_or(row.at);
        let seen = Seen {
            at: row.at,
            ended,
            verdict,
            cause: row.cause,
            findings,
            reproduce: Vec::new(),
            not_recorded: false,
            previous_good: self.last_good,
        };
        self.step(&Event::Result(seen), ended);
        if verdict == Verdict::Pass {
            self.last_good = Some(row.at);
        }
    }

    /// What it came to until `end`.
    pub fn finish(mut self, end: Timestamp) -> Replayed {
        self.wake_until(end);
        self.replayed
    }

    /// The findings of a result under the plan's rules, budgets left out.
    fn judged(&mut self, row: &ResultRow) -> Vec<Finding> {
        let recorded = || {
            let budget = |finding: &&Finding| BUDGETS.iter().all(|doc| doc.id != finding.id.as_str());
            row.findings.iter().filter(budget).cloned().collect::<Vec<_>>()
        };
        if row.verdict == Verdict::Unknown {
            return Vec::new();
        }
        if !self.check.probe.replays() {
            self.replayed.taken += 1;
            return recorded();
        }
        if let Some(facts) = self.facts.get(&row.at) {
            if let Ok(findings) = self.check.probe.rejudge(facts, &None, row.at) {
                self.replayed.judged += 1;
                return findings;
            }
            self.replayed.unreadable += 1;
        }
        let recalled = Recalled { status: row.status, timings: row.timings };
        self.replayed.taken += 1;
        let anew = self.check.probe.recall(&self.check.scope, &recalled, row.at);
        match anew {
            // Of a run that passed the status is all that is kept; what else was right stays so.
            Some(findings) if row.verdict == Verdict::Pass => findings,
            _ => recorded(),
        }
    }

    /// Wakes the machine at the instants that it asked for.
    fn wake_until(&mut self, until: Timestamp) {
        // Reminders are at least a second apart, and each wake asks for a later one.
        while let Some(at) = self.state.wake.filter(|at| *at <= until) {
            self.step(&Event::Due, at);
            if self.state.wake == Some(at) {
                break;
            }
        }
    }

    fn step(&mut self, event: &Event, now: Timestamp) {
        let policy: &Policy = &self.check.policy;
        let (after, effects) = alert::step(std::mem::take(&mut self.state), event, policy, now);
        self.state = after;
        let mut told: BTreeMap<(IncidentId, &'static str), BTreeSet<String>> = BTreeMap::new();
        for effect in effects {
            match effect {
                Effect::Incident(incident) => {
                    self.replayed.incidents.insert(incident.id.clone(), incident);
                }
                Effect::Tell(row) => {
                    told.entry((row.incident, row.notice.reason.as_str())).or_default().insert(row.channel);
                }
                Effect::RunAt(_) | Effect::WakeAt(_) => {}
            }
        }
        for ((incident, reason), channels) in told {
            self.replayed.notices.push(Told {
                at: now,
                incident: incident.to_string(),
                reason,
                channels: channels.into_iter().collect(),
            });
        }
    }
}

fn ran(check: &PlannedCheck, row: &ResultRow) -> Ran {
    Ran {
        check: check.scope.check.clone(),
        at: row.at,
        verdict: row.verdict,
        took: row.took,
        timings: row.timings,
        steps: row.steps.clone(),
        recheck: row.recheck,
        too_slow: row.too_slow,
    }
}

#[cfg(test)]
mod tests;
