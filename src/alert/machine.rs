//! One check's state: `ok -> suspected -> open -> recovering -> ok`.
//!
//! - A **bad** result holds a finding that alerts; a **good** one holds none. Unknown results are
//!   neither: they change no count. Suspicion lapses after three intervals without a known result.
//! - Findings are counted by key (id, subject), each with its own confirmation. `failures` bad
//!   results in a row confirm a key. Before an incident is open, broken findings count together, so
//!   that a portal which answers 502 and refuses by turns is still down. While a key is suspected
//!   the check is run again `recheck` after the end of the run; so it is while an open incident may
//!   be over.
//! - The first confirmed key opens the incident, dated back to the first bad result. A key that is
//!   confirmed later is an update; a key that is good for `successes` results leaves, unless it is
//!   the last one while the check is still bad, so that a change of symptom closes nothing.
//! - A key rises after `failures` results in a row at the higher level and falls after `successes`
//!   below it. The incident's severity is that of its worst key.
//! - `successes` good results in a row close the incident, dated back to the first of them. A key
//!   that was not measured is not good.
//! - More than `flap_transitions` turns within `flap_window` make the incident flapping: one message
//!   says so, turns are not told, and the incident stays open until one window passes without a
//!   turn. Then it is resolved, or told as an update if the check is down.
//! - Reminders are due per channel. The earliest instant anything is due is `wake`.

mod count;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::count::Key;
use super::Policy;
use super::route::{self, Told, after};
use crate::model::{
    Cause, Closed, Finding, Incident, IncidentId, Notice, OutboxRow, Reason, Severity, Verdict,
};

/// Where a check stands. Persisted when it changes; the default is "all quiet".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The open incident.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<Incident>,
    /// When [`Event::Due`] is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wake: Option<Timestamp>,
    /// The findings that are bad or were lately.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keys: Vec<Key>,
    /// Who heard of the incident.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    told: Vec<Told>,
    /// How many notices the incident had.
    seq: u32,
    /// Broken results in a row, and the first of them.
    broken: u32,
    broken_since: Option<Timestamp>,
    /// Good results in a row while open, and the first of them.
    good: u32,
    first_good: Option<Timestamp>,
    /// The last known result while anything is suspected or open.
    known: Option<Timestamp>,
    /// The last good result before the suspicion.
    last_good: Option<Timestamp>,
    /// Flapping, and well at the moment.
    up: bool,
    /// Confirmed turns within the last flap window.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    turns: Vec<Timestamp>,
    confirmed: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reproduce: Vec<String>,
}

/// What happens to a check.
#[derive(Clone, Debug)]
pub enum Event {
    /// A run ended.
    Result(Seen),
    /// The instant of an earlier [`Effect::WakeAt`] has come.
    Due,
    /// The check is no longer in the config.
    Removed,
}

/// What the machine sees of a run.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When the run started; incidents start and end at these instants.
    pub at: Timestamp,
    /// When the run ended.
    pub ended: Timestamp,
    /// The verdict.
    pub verdict: Verdict,
    /// Why it is unknown.
    pub cause: Option<Cause>,
    /// What was found.
    pub findings: Vec<Finding>,
    /// Commands that reproduce it, for messages.
    pub reproduce: Vec<String>,
    /// The store does not work: incidents are marked "not recorded".
    pub not_recorded: bool,
    /// The last good result before this run, if one is known.
    pub previous_good: Option<Timestamp>,
}

/// What must be done. All of it is data.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "effects are few and short-lived; a box would burden every caller"
)]
pub enum Effect {
    /// Run the check again at this instant instead of its next due time.
    RunAt(Timestamp),
    /// Send [`Event::Due`] at this instant. Persisted within the state.
    WakeAt(Timestamp),
    /// Write the incident (new, changed or closed).
    Incident(Incident),
    /// Put a row into the outbox.
    Tell(OutboxRow),
}

/// One step of one check.
pub fn step(mut state: State, event: &Event, policy: &Policy, now: Timestamp) -> (State, Vec<Effect>) {
    let mut effects = Vec::new();
    let wake = state.wake;
    match event {
        Event::Result(seen) if seen.verdict == Verdict::Unknown => state.lapse(seen.at, policy),
        Event::Result(seen) => state.known(seen, policy, now, &mut effects),
        Event::Due => state.due(policy, now, &mut effects),
        Event::Removed => {
            if state.incident.is_some() {
                state.close(Closed::Removed, now, policy, now, &mut effects);
            }
            return (State::default(), effects);
        }
    }
    state.wake = state.next_wake(policy);
    if let Some(at) = state.wake
        && (state.wake != wake || matches!(event, Event::Due))
    {
        effects.push(Effect::WakeAt(at));
    }
    (state, effects)
}

impl State {
    /// Whether it is worth writing over `before`. While an incident is open, a result that says what
    /// the last one said moves instants and counts on and changes nothing that a restart needs: what
    /// is stored may lag behind by such results.
    pub fn says_more_than(&self, before: &Self) -> bool {
        if self.incident.is_none() || before.incident.is_none() {
            return self != before;
        }
        let mut then = before.clone();
        then.known = self.known;
        if then.broken > 0 && self.broken > 0 {
            then.broken = self.broken;
        }
        for (then, key) in then.keys.iter_mut().zip(&self.keys) {
            if key.level.is_some() {
                then.last = key.last;
            }
        }
        then != *self
    }

    fn known(&mut self, seen: &Seen, policy: &Policy, now: Timestamp, effects: &mut Vec<Effect>) {
        let any_bad = seen.findings.iter().any(Finding::alerts);
        if !any_bad && self.keys.is_empty() && self.incident.is_none() {
            // A check that has been well for a window is all quiet again, and costs no memory.
            self.turns.retain(|turn| after(*turn, policy.flap_window) > seen.at);
            return;
        }
        self.lapse(seen.at, policy);
        // What was suspected and is no longer measured is forgotten after the same time.
        let kept = policy.every.saturating_mul(3);
        self.keys.retain(|key| key.level.is_some() || seen.at <= after(key.last, kept));
        if self.keys.is_empty() && self.incident.is_none() {
            self.last_good = seen.previous_good;
        }
        self.count(seen, policy);
        if let Some(incident) = &mut self.incident {
            incident.not_recorded |= seen.not_recorded;
            self.advance(seen, any_bad, policy, now, effects);
        } else {
            self.confirm(policy, true);
            if self.keys.iter().any(|key| key.level.is_some()) {
                self.open(seen, policy, now, effects);
            }
        }
        self.known = (!self.keys.is_empty() || self.incident.is_some()).then_some(seen.at);
        if self.known.is_none() {
            (self.last_good, self.broken, self.broken_since) = (None, 0, None);
        }
        if let Some(recheck) = self.recheck(policy) {
            effects.push(Effect::RunAt(after(seen.ended, recheck)));
        }
    }

    fn held(&self) -> (Vec<Finding>, Severity) {
        let held: Vec<&Key> = self.keys.iter().filter(|key| key.level.is_some()).collect();
        let severity = held.iter().filter_map(|key| key.level).max().unwrap_or(Severity::Warning);
        (held.iter().map(|key| key.finding.clone()).collect(), severity)
    }

    fn open(&mut self, seen: &Seen, policy: &Policy, now: Timestamp, effects: &mut Vec<Effect>) {
        let (findings, severity) = self.held();
        let started = self
            .keys
            .iter()
            .filter(|key| key.level.is_some())
            .flat_map(|key| [Some(key.since), self.broken_since.filter(|_| key.finding.broken)])
            .flatten()
            .min()
            .unwrap_or(seen.at);
        self.turn(seen.at, policy);
        let flapping = self.flaps(policy);
        let mut incident = Incident {
            id: IncidentId::new(&policy.check, started),
            check: policy.check.clone(),
            kind: policy.kind.to_owned(),
            labels: (*policy.labels).clone(),
            alertname: findings.first().map(|finding| finding.id.to_string()).unwrap_or_default(),
            severity,
            started,
            opened: now,
            last_good: self.last_good,
            findings: Vec::new(),
            worst: None,
            ended: None,
            closed: None,
            flapping,
            not_recorded: seen.not_recorded,
        };
        incident.hold(findings, severity);
        self.incident = Some(incident);
        (self.seq, self.good, self.first_good, self.up) = (0, 0, None, false);
        self.told.clear();
        self.reproduce.clone_from(&seen.reproduce);
        let reason = if flapping { Reason::Flapping } else { Reason::Opened };
        self.tell(reason, None, policy, now, effects);
    }

    fn advance(
        &mut self,
        seen: &Seen,
        any_bad: bool,
        policy: &Policy,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let unmeasured = self.keys.iter().any(|key| key.level.is_some() && key.good == 0);
        if any_bad || unmeasured {
            (self.good, self.first_good) = (0, None);
        } else if !self.up {
            self.good = self.good.saturating_add(1);
            self.first_good.get_or_insert(seen.at);
            let needed =
                self.keys.iter().map(|key| policy.confirm_of(key.finding.id.as_str()).successes).max();
            if self.good >= needed.unwrap_or(1) {
                return self.recovered(seen, policy, now, effects);
            }
        }
        let before: Vec<(String, String)> = self.held_keys();
        self.confirm(policy, self.up);
        self.leave(policy);
        if self.keys.iter().all(|key| key.level.is_none()) {
            return;
        }
        if self.up {
            self.up = false;
            self.turn(seen.at, policy);
        }
        if !seen.reproduce.is_empty() {
            self.reproduce.clone_from(&seen.reproduce);
        }
        let same_keys = before == self.held_keys();
        let (findings, severity) = self.held();
        let Some(incident) = &mut self.incident else { return };
        let old = incident.severity;
        incident.hold(findings, severity);
        let reason = match severity.cmp(&old) {
            std::cmp::Ordering::Greater => Reason::Rose,
            std::cmp::Ordering::Less => Reason::Fell,
            std::cmp::Ordering::Equal if same_keys => return,
            std::cmp::Ordering::Equal => Reason::Updated,
        };
        if reason != Reason::Rose && incident.flapping {
            effects.push(Effect::Incident(incident.clone()));
            return;
        }
        self.tell(reason, (severity != old).then_some(old), policy, now, effects);
    }

    fn held_keys(&self) -> Vec<(String, String)> {
        let mut keys: Vec<_> = self
            .keys
            .iter()
            .filter(|key| key.level.is_some())
            .map(|key| (key.finding.id.to_string(), key.finding.subject.clone()))
            .collect();
        keys.sort();
        keys
    }

    fn recovered(&mut self, seen: &Seen, policy: &Policy, now: Timestamp, effects: &mut Vec<Effect>) {
        self.turn(seen.at, policy);
        let ended = self.first_good.unwrap_or(seen.at);
        let flaps = self.flaps(policy);
        let Some(incident) = &mut self.incident else { return };
        if !incident.flapping && !flaps {
            return self.close(Closed::Recovered, ended, policy, now, effects);
        }
        let first = !incident.flapping;
        incident.flapping = true;
        self.up = true;
        self.keys.clear();
        if first {
            self.tell(Reason::Flapping, None, policy, now, effects);
        }
    }

    fn close(
        &mut self,
        why: Closed,
        ended: Timestamp,
        policy: &Policy,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(incident) = &mut self.incident {
            incident.ended = Some(ended.max(incident.started));
            incident.closed = Some(why);
        }
        self.tell(Reason::Resolved, None, policy, now, effects);
        *self = Self { turns: std::mem::take(&mut self.turns), ..Self::default() };
    }

    fn due(&mut self, policy: &Policy, now: Timestamp, effects: &mut Vec<Effect>) {
        let quiet = self.quiet_at(policy).is_some_and(|at| at <= now);
        let Some(incident) = &mut self.incident else { return };
        if quiet && self.up {
            let ended = self.first_good.or_else(|| self.turns.last().copied()).unwrap_or(now);
            self.close(Closed::Recovered, ended, policy, now, effects);
            self.turns.clear();
        } else if quiet {
            incident.flapping = false;
            self.turns.clear();
            self.tell(Reason::Updated, None, policy, now, effects);
        } else if self.told.iter().any(|told| told.next <= now) {
            self.tell(Reason::Repeated, None, policy, now, effects);
        }
    }

    fn tell(
        &mut self,
        reason: Reason,
        before: Option<Severity>,
        policy: &Policy,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let Some(incident) = &self.incident else { return };
        effects.push(Effect::Incident(incident.clone()));
        let notice = Notice {
            reason,
            incident: incident.clone(),
            severity_before: before,
            at: now,
            confirmed: self.confirmed.clone(),
            reproduce: self.reproduce.clone(),
            collapsed: false,
        };
        self.seq = self.seq.saturating_add(1);
        effects.extend(
            route::rows(&policy.routes, &notice, self.seq, &mut self.told).into_iter().map(Effect::Tell),
        );
    }

    fn turn(&mut self, at: Timestamp, policy: &Policy) {
        self.turns.retain(|turn| after(*turn, policy.flap_window) > at);
        self.turns.push(at);
        let most = usize::try_from(policy.flap_transitions).unwrap_or(usize::MAX).saturating_add(1);
        let excess = self.turns.len().saturating_sub(most);
        self.turns.drain(..excess);
    }

    fn flaps(&self, policy: &Policy) -> bool {
        u32::try_from(self.turns.len()).unwrap_or(u32::MAX) > policy.flap_transitions
    }

    /// When a flapping incident has been quiet for one window.
    fn quiet_at(&self, policy: &Policy) -> Option<Timestamp> {
        let flapping = self.incident.as_ref().is_some_and(|incident| incident.flapping);
        self.turns.last().filter(|_| flapping).map(|turn| after(*turn, policy.flap_window))
    }

    fn next_wake(&self, policy: &Policy) -> Option<Timestamp> {
        self.incident.as_ref()?;
        self.told.iter().map(|told| told.next).chain(self.quiet_at(policy)).min()
    }
}

#[cfg(test)]
pub(super) mod tests;
