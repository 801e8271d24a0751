//! What the daemon remembers of each check between runs, and what a result does to it: the alert
//! step, the transition to record, and what is shown.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::pace::{self, Pace, Update};
use super::{Pass, chronicle};
use crate::alert::{self, Effect, Event, Seen, State};
use crate::clock::Clock;
use crate::model::{Cause, CheckId, Closed, Finding, Incident, Outcome, Series, Verdict};
use crate::plan::PlannedCheck;
use crate::probe::Memory;
use crate::record::live::{Live, Present};
use crate::record::writer::Writer;
use crate::record::{Recorded, Resumed, Transition};
use crate::stats::coverage::Coverage;
use crate::stats::objective::{Promise, Spent};
use crate::stats::recent::Figures;

/// Where results go.
pub struct Desk {
    /// Commits transitions in groups.
    pub writer: Writer,
    /// What is shown.
    pub live: Arc<Live>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Whether figures of each check are exposed.
    pub figures: bool,
}

/// What is remembered of one check.
pub struct Entry {
    /// The check.
    pub check: Arc<PlannedCheck>,
    /// Its alert state; `None` is all quiet.
    state: Option<Box<State>>,
    /// Its kind's memory.
    memory: Memory,
    verdict: Option<Verdict>,
    cause: Option<Cause>,
    since: Option<Timestamp>,
    last_good: Option<Timestamp>,
    unknown_since: Option<Timestamp>,
    coverage: Coverage,
    pace: Pace,
}

/// When the machine wants to hear of the check again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Directions {
    /// Run the check at this instant, rather than at its next due time.
    pub run_at: Option<Timestamp>,
    /// Call [`Entry::wake`] at this instant.
    pub wake_at: Option<Timestamp>,
}

impl Entry {
    /// Starts (or, with what was recorded, resumes) a check and shows it.
    pub fn new(check: Arc<PlannedCheck>, resumed: Option<Resumed>, desk: &Desk) -> Self {
        let mut entry = Self {
            check,
            state: None,
            memory: None,
            verdict: None,
            cause: None,
            since: None,
            last_good: None,
            unknown_since: None,
            coverage: Coverage::new(desk.clock.now()),
            pace: Pace::default(),
        };
        let mut present = blank(entry.check.kind, entry.check.every);
        let open = resumed.iter().flat_map(found).cloned().collect::<Vec<_>>();
        entry.pace = Pace::new(&entry.check, &open, desk.figures);
        if let Some(resumed) = resumed {
            present.incident = resumed.state.incident.clone().map(Box::new);
            entry.set_state(resumed.state);
            entry.memory = resumed.memory;
            present.series = entry.series(desk);
            if let Some(last) = resumed.last {
                entry.verdict = Some(last.verdict);
                entry.cause = last.cause;
                // The verdict is older than its last result; how much is known of incidents alone.
                let bad = matches!(last.verdict, Verdict::Warn | Verdict::Fail);
                let started = present.incident.as_ref().filter(|_| bad).map(|incident| incident.started);
                entry.since = Some(started.unwrap_or(last.at));
                // Unknown until it is measured: a restart makes nothing known.
                entry.unknown_since = (last.verdict == Verdict::Unknown).then_some(last.at);
                if matches!(last.verdict, Verdict::Pass) {
                    entry.last_good = Some(last.at);
                }
                present.verdict = Some(last.verdict);
                present.cause = last.cause;
                present.since = entry.since;
                present.at = Some(last.at);
                present.took = last.took;
                present.status = last.status;
                present.timings = last.timings;
                present.steps = last.steps;
                present.findings = last.findings.into();
            }
        }
        desk.live.set(&entry.check.scope.check, present);
        entry
    }

    /// The name of the check.
    pub fn id(&self) -> &CheckId {
        &self.check.scope.check
    }

    /// The kind's memory, for the next run.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    fn series(&self, desk: &Desk) -> Box<[Series]> {
        self.check.probe.series(&self.memory, desk.clock.now()).into()
    }

    /// When the machine wants to be woken, as its state says.
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.state.as_ref().and_then(|state| state.wake)
    }

    /// Why and since when the check is unknown, if it is.
    pub fn unknown(&self) -> Option<(Cause, Timestamp)> {
        self.cause.zip(self.unknown_since)
    }

    /// Whether any result is known at all.
    pub fn has_run(&self) -> bool {
        self.verdict.is_some()
    }

    /// Takes over the new settings of a check that stays. Its kind forgets what was only true of the
    /// old ones, also on disk.
    pub fn replan(&mut self, check: Arc<PlannedCheck>, desk: &Desk) {
        desk.live.update(&check.scope.check, |present| {
            present.kind = check.kind;
            present.every = check.every;
        });
        let old = std::mem::replace(&mut self.check, check);
        if old.budgets != self.check.budgets || old.tracked != self.check.tracked {
            let open = self.state.iter().filter_map(|state| state.incident.as_ref());
            let open: Vec<Finding> = open.flat_map(|incident| incident.findings.clone()).collect();
            self.pace = Pace::new(&self.check, &open, desk.figures);
        }
        if old.fingerprint == self.check.fingerprint || self.memory.is_none() {
            return;
        }
        let same_kind = old.kind == self.check.kind;
        self.memory = self.memory.take().filter(|_| same_kind).and_then(|memory| self.still_true(memory));
        let mut transition = Transition::of(self.id().clone());
        transition.memory = Some(self.memory.clone().unwrap_or_else(|| RawValue::NULL.to_owned()));
        desk.writer.send(transition);
        let series = self.series(desk);
        desk.live.update(self.id(), |present| present.series = series);
    }

    /// What of a memory of other settings holds under the check's.
    fn still_true(&self, memory: Box<RawValue>) -> Memory {
        self.check.probe.settings_changed(&Some(memory))
    }

    /// Takes in the result of a run.
    pub fn result(&mut self, pass: Pass, not_recorded: bool, desk: &Desk) -> Directions {
        let Pass { mut outcome, ended, mut memory, fingerprint } = pass;
        self.pace.take(&mut outcome, pace::rules(&self.check));
        if fingerprint != self.check.fingerprint {
            // The run began before a reload.
            memory =
                memory.map(|memory| self.still_true(memory).unwrap_or_else(|| RawValue::NULL.to_owned()));
        }
        let seen = Seen {
            at: outcome.at,
            ended,
            verdict: outcome.verdict,
            cause: outcome.cause,
            findings: outcome.findings.clone(),
            reproduce: self.reproduce(&outcome),
            previous_good: self.last_good,
            not_recorded,
        };
        let changed = self.verdict != Some(outcome.verdict);
        self.note(&outcome, changed);
        if memory.is_some() {
            self.memory.clone_from(&memory);
        }
        let (mut transition, directions) = self.advance(&Event::Result(seen), desk);
        transition.memory = memory;
        self.show(&outcome, desk);
        transition.result =
            Some(Recorded::Ran { in_full: changed || outcome.verdict != Verdict::Pass, outcome });
        desk.writer.send(transition);
        directions
    }

    fn reproduce(&self, outcome: &Outcome) -> Vec<String> {
        if matches!(outcome.verdict, Verdict::Pass | Verdict::Unknown) {
            return Vec::new();
        }
        self.check.probe.reproduce(&self.check.scope)
    }

    fn note(&mut self, outcome: &Outcome, changed: bool) {
        if changed {
            self.since = Some(outcome.at);
        }
        self.verdict = Some(outcome.verdict);
        self.cause = outcome.cause;
        match outcome.verdict {
            Verdict::Unknown => self.unknown_since = self.unknown_since.or(Some(outcome.at)),
            Verdict::Pass | Verdict::Warn | Verdict::Fail => {
                self.unknown_since = None;
                self.coverage.known(outcome.at, self.check.every);
            }
        }
        if outcome.verdict == Verdict::Pass {
            self.last_good = Some(outcome.at);
        }
    }

    /// When the check was first seen; `None` until the record is read.
    pub fn watched_since(&self) -> Option<i64> {
        self.pace.since()
    }

    /// What of a promise was broken since `from`, as far back as is kept (milliseconds since the epoch).
    pub fn spent(&self, of: &Promise, from: i64, now: i64) -> Spent {
        self.pace.spent(of, from, now, pace::rules(&self.check))
    }

    /// Takes in what is new of the record.
    pub fn update(&mut self, update: Update, desk: &Desk) {
        if let Update::Past { base, standing, runs } = &update {
            let before = standing.filter(|standing| standing.up.is_some());
            let before = before.and_then(|standing| Timestamp::from_millisecond(standing.at).ok());
            let known = runs.iter().filter(|ran| ran.verdict != Verdict::Unknown).map(|ran| ran.at);
            self.coverage.recall(base.since, before.into_iter().chain(known), self.check.every);
        }
        self.pace.update(update, pace::rules(&self.check));
        self.refresh_figures(desk);
    }

    fn show(&mut self, outcome: &Outcome, desk: &Desk) {
        let incident = self.state.as_ref().and_then(|state| state.incident.clone()).map(Box::new);
        let coverage = self.coverage.ratio(desk.clock.now());
        let series = self.series(desk);
        let figures = self.pace.figures(desk.clock.now(), pace::rules(&self.check));
        desk.live.update(self.id(), |present| {
            present.series = series;
            present.figures = figures;
            present.verdict = Some(outcome.verdict);
            present.cause = outcome.cause;
            present.why = outcome.why.as_deref().map(Into::into);
            present.since = self.since;
            present.at = Some(outcome.at);
            present.took = outcome.took;
            present.status = outcome.status;
            present.timings = outcome.timings;
            present.steps = outcome.steps.as_slice().into();
            present.findings = outcome.findings.as_slice().into();
            present.incident = incident;
            present.coverage_1h = Some(coverage);
        });
    }

    /// The instant the machine asked for has come.
    pub fn wake(&mut self, desk: &Desk) -> Directions {
        let (transition, directions) = self.advance(&Event::Due, desk);
        self.file(transition, desk);
        directions
    }

    /// Shows coverage and figures as they are now, for checks that do not run often.
    pub fn refresh_figures(&mut self, desk: &Desk) {
        let now = desk.clock.now();
        let coverage = self.coverage.ratio(now);
        let figures = self.pace.figures(now, pace::rules(&self.check));
        desk.live.update(self.id(), |present| {
            present.coverage_1h = Some(coverage);
            present.figures = figures;
        });
    }

    /// A due time without a run: recorded as not covered.
    pub fn not_covered(&self, at: Timestamp, why: &'static str, desk: &Desk) {
        let mut transition = Transition::of(self.id().clone());
        transition.result = Some(Recorded::NotCovered { at, why: why.into() });
        desk.writer.send(transition);
    }

    /// Takes up what an earlier daemon left, learned of only now because the store could not be read
    /// at the start. An incident that was open then still is: one that was opened meanwhile is part of
    /// it.
    pub fn adopt(&mut self, found: Resumed, desk: &Desk) {
        let mut transition = Transition::of(self.id().clone());
        if self.memory.is_none() {
            self.memory = found.memory;
        }
        if let Some(since) = found.last.filter(|last| last.verdict == Verdict::Pass).map(|last| last.at) {
            self.last_good = self.last_good.or(Some(since));
        }
        if found.state.incident.is_some() {
            transition.incidents.extend(self.state.take().and_then(|own| merged(*own, desk)));
            transition.state = Some(found.state.clone());
            self.set_state(found.state);
        }
        self.file(transition, desk);
    }

    /// The check is gone from the config: closes its incident, forgets its state.
    pub fn remove(mut self, desk: &Desk) {
        let (mut transition, _) = self.advance(&Event::Removed, desk);
        transition.removed = true;
        desk.live.remove(self.id());
        desk.writer.send(transition);
    }

    fn file(&self, transition: Transition, desk: &Desk) {
        if transition.state.is_none() && transition.incidents.is_empty() && transition.outbox.is_empty() {
            return;
        }
        let incident = self.state.as_ref().and_then(|state| state.incident.clone()).map(Box::new);
        desk.live.update(self.id(), |present| present.incident = incident);
        desk.writer.send(transition);
    }

    fn set_state(&mut self, state: State) {
        self.state = (state != State::default()).then(|| Box::new(state));
    }

    fn advance(&mut self, event: &Event, desk: &Desk) -> (Transition, Directions) {
        let before = self.state.take().map(|state| *state).unwrap_or_default();
        let was = (before != State::default()).then(|| before.clone());
        let (after, effects) = alert::step(before, event, &self.check.policy, desk.clock.now());
        let mut transition = Transition::of(self.id().clone());
        let changed = was.as_ref().map_or_else(|| after != State::default(), |was| after.says_more_than(was));
        transition.state = changed.then(|| after.clone());
        chronicle::log(was.as_ref().and_then(|was| was.incident.as_ref()), after.incident.as_ref());
        self.set_state(after);
        let directions = file_effects(effects, &mut transition);
        (transition, directions)
    }
}

/// What a check had found when it was last looked at.
fn found(resumed: &Resumed) -> impl Iterator<Item = &Finding> {
    let last = resumed.last.iter().flat_map(|last| &last.findings);
    last.chain(resumed.state.incident.iter().flat_map(|incident| &incident.findings))
}

/// What is shown of a check before its first run.
pub fn blank(kind: &'static str, every: Duration) -> Present {
    Present {
        kind,
        every,
        verdict: None,
        cause: None,
        why: None,
        since: None,
        at: None,
        took: Duration::ZERO,
        status: None,
        timings: crate::model::Timings::default(),
        steps: Box::default(),
        findings: Box::default(),
        incident: None,
        coverage_1h: None,
        series: Box::default(),
        figures: Figures::default(),
    }
}

/// Puts the machine's effects into the transition; the rest are directions to the scheduler.
pub fn file_effects(effects: Vec<Effect>, transition: &mut Transition) -> Directions {
    let mut directions = Directions::default();
    for effect in effects {
        match effect {
            Effect::RunAt(at) => directions.run_at = Some(at),
            Effect::WakeAt(at) => directions.wake_at = Some(at),
            Effect::Incident(incident) => transition.incidents.push(incident),
            Effect::Tell(row) => transition.outbox.push(row),
        }
    }
    directions
}

/// Ends an incident that is part of another one. Nobody is told: the other one goes on.
pub fn merged(own: State, desk: &Desk) -> Option<Incident> {
    let incident = own.incident?;
    let ended = Some(desk.clock.now().max(incident.started));
    Some(Incident { ended, closed: Some(Closed::Merged), ..incident })
}

/// Closes the open incident of a check that left the config while the daemon was not running.
pub fn close_orphan(resumed: Resumed, desk: &Desk) {
    let policy = alert::Policy::of_removed(resumed.check.clone());
    let mut transition = Transition::of(resumed.check);
    let (_, effects) = alert::step(resumed.state, &Event::Removed, &policy, desk.clock.now());
    file_effects(effects, &mut transition);
    transition.removed = true;
    desk.writer.send(transition);
}
