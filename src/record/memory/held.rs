//! What is held, and how it changes.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::Bounds;
use super::figures::Figures;
use crate::alert;
use crate::model::{CheckId, Incident, IncidentId, OutboxRow, Outcome, Reason, Verdict};
use crate::record::{
    Claimed, Cutoffs, Gap, KeptFacts, KnownCheck, Ran, Recorded, ResultRow, Resumed, Settled, Transition,
    pack,
};
use crate::stats::budget::is_too_slow_alone;
use crate::stats::samples::Rules;
use crate::telemetry::telemetry;

#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) checks: HashMap<CheckId, Check>,
    pub(super) results: VecDeque<(CheckId, ResultRow)>,
    pub(super) incidents: BTreeMap<IncidentId, Incident>,
    /// How many incidents there are before closed ones are looked for again.
    pub(super) look_at: usize,
    pub(super) outbox: VecDeque<Waiting>,
    /// Keys of what waits in `outbox`.
    pub(super) keys: HashSet<String>,
    pub(super) settled: Recent,
    pub(super) group_sent: HashMap<(String, String), Timestamp>,
    /// The key of the first message sent, by channel and open incident.
    pub(super) roots: HashMap<(String, IncidentId), String>,
    /// By beginning and check, oldest first: a standstill makes one for each check at once.
    pub(super) gaps: BTreeMap<(Timestamp, Option<CheckId>), Gap>,
    pub(super) seen: Option<Timestamp>,
    /// Facts kept with results, the oldest first.
    pub(super) facts: VecDeque<(CheckId, Timestamp, Box<RawValue>)>,
    pub(super) figures: Figures,
}

#[derive(Debug, Default)]
pub(super) struct Check {
    pub(super) state: Option<alert::State>,
    pub(super) memory: Option<Box<RawValue>>,
    pub(super) facts: Option<(Timestamp, Box<RawValue>)>,
    pub(super) last: Option<ResultRow>,
    pub(super) since: Option<Timestamp>,
    pub(super) rules: Option<Rules>,
    pub(super) removed: bool,
}

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) row: OutboxRow,
    pub(super) lease_until: Option<Timestamp>,
}

/// The waiting rows of one incident for one channel.
#[derive(Default)]
struct Queue {
    due: bool,
    leased: bool,
    tried: bool,
}

/// Keys of settled rows, against a repeated commit.
#[derive(Debug, Default)]
pub(super) struct Recent {
    pub(super) order: VecDeque<String>,
    pub(super) keys: HashSet<String>,
}

impl Recent {
    fn add(&mut self, key: &str, bound: usize) {
        if self.keys.insert(key.to_owned()) {
            self.order.push_back(key.to_owned());
        }
        while self.order.len() > bound {
            if let Some(oldest) = self.order.pop_front() {
                self.keys.remove(&oldest);
            }
        }
    }
}

/// Facts of results that are held.
const FACTS: usize = 1_000;

/// How long it matters when a group was last sent something: no `group_interval` is longer in earnest.
const GROUPS_KEPT: Duration = Duration::from_hours(7 * 24);

fn dropped(what: &str) {
    telemetry().dropped.with_label_values(&[what, "memory_full"]).inc();
}

impl Held {
    pub(super) fn apply(&mut self, transition: &Transition, bounds: &Bounds) {
        match &transition.result {
            Some(Recorded::Ran { outcome, in_full }) => {
                self.seen = self.seen.max(Some(outcome.at));
                self.result(outcome, *in_full, bounds);
            }
            Some(Recorded::NotCovered { at, why }) => {
                let gap =
                    Gap { check: Some(transition.check.clone()), from: *at, to: *at, why: why.to_string() };
                self.gap(gap, bounds);
            }
            None => {}
        }
        self.apply_rest(transition, bounds);
    }

    fn result(&mut self, outcome: &Outcome, in_full: bool, bounds: &Bounds) {
        let check = self.checks.entry(outcome.check.clone()).or_default();
        check.removed = false;
        check.since.get_or_insert(outcome.at);
        self.figures.take_back(outcome.at);
        if let Some(facts) = &outcome.facts {
            check.facts = Some((outcome.at, facts.clone()));
            if in_full {
                self.facts.push_back((outcome.check.clone(), outcome.at, facts.clone()));
                if self.facts.len() > FACTS {
                    self.facts.pop_front();
                }
            }
        }
        let row = ResultRow {
            at: outcome.at,
            verdict: outcome.verdict,
            cause: outcome.cause,
            status: outcome.status,
            took: outcome.took,
            timings: outcome.timings,
            steps: outcome.steps.as_slice().into(),
            findings: pack::findings(outcome, in_full || outcome.verdict != Verdict::Pass),
            recheck: outcome.recheck,
            too_slow: is_too_slow_alone(outcome.verdict, &outcome.findings),
        };
        let repeated = check.last.as_ref().is_some_and(|last| last.at >= row.at);
        if check.last.as_ref().is_none_or(|last| last.at <= row.at) {
            check.last = Some(row.clone());
        }
        if repeated {
            let same = |(check, kept): &(CheckId, ResultRow)| *check == outcome.check && kept.at == row.at;
            if let Some((_, kept)) = self.results.iter_mut().rev().find(|kept| same(kept)) {
                *kept = row;
                return;
            }
        }
        self.results.push_back((outcome.check.clone(), row));
        while self.results.len() > bounds.results {
            self.results.pop_front();
            dropped("result");
        }
    }

    pub(super) fn apply_rest(&mut self, transition: &Transition, bounds: &Bounds) {
        if transition.state.is_some() || transition.memory.is_some() {
            let check = self.checks.entry(transition.check.clone()).or_default();
            if let Some(state) = &transition.state {
                check.state = Some(state.clone());
            }
            if let Some(memory) = &transition.memory {
                check.memory = Some(memory.clone());
            }
        }
        for incident in &transition.incidents {
            self.incidents.insert(incident.id.clone(), incident.clone());
        }
        self.forget_closed(bounds);
        for row in &transition.outbox {
            self.enqueue(row, bounds);
        }
        if transition.removed
            && let Some(check) = self.checks.get_mut(&transition.check)
        {
            *check = Check { since: check.since, rules: check.rules, removed: true, ..Check::default() };
        }
    }

    fn forget_closed(&mut self, bounds: &Bounds) {
        if self.incidents.len() <= bounds.incidents.max(self.look_at) {
            return;
        }
        let mut closed: Vec<_> = self
            .incidents
            .values()
            .filter_map(|incident| incident.ended.map(|ended| (ended, incident.id.clone())))
            .collect();
        if closed.len() > bounds.incidents {
            closed.sort();
            for (_, id) in closed.iter().take(closed.len() - bounds.incidents / 2) {
                self.incidents.remove(id);
                dropped("incident");
            }
        }
        // With many open ones, looking again at each change would take longer than the change.
        self.look_at = self.incidents.len() + self.incidents.len() / 4;
    }

    pub(super) fn enqueue(&mut self, row: &OutboxRow, bounds: &Bounds) {
        if self.settled.keys.contains(&row.key) || self.keys.contains(&row.key) {
            return;
        }
        if self.outbox.len() >= bounds.outbox {
            dropped("message");
            return;
        }
        self.keys.insert(row.key.clone());
        self.outbox.push_back(Waiting { row: row.clone(), lease_until: None });
    }

    pub(super) fn gap(&mut self, gap: Gap, bounds: &Bounds) {
        self.gaps.insert((gap.from, gap.check.clone()), gap);
        while self.gaps.len() > bounds.gaps {
            self.gaps.pop_first();
            dropped("gap");
        }
    }

    pub(super) fn claimed(&self, mut row: OutboxRow) -> Claimed {
        let group = (row.channel.clone(), row.group_key.clone());
        row.root = self.roots.get(&(row.channel.clone(), row.incident.clone())).cloned();
        Claimed { group_sent: self.group_sent.get(&group).copied(), row }
    }

    pub(super) fn claim(&mut self, now: Timestamp, lease: Duration) -> Vec<Claimed> {
        let until = now.saturating_add(lease).unwrap_or(Timestamp::MAX);
        let mut queues: HashMap<(IncidentId, String), Queue> = HashMap::new();
        for Waiting { row, lease_until } in &self.outbox {
            let queue = queues.entry((row.incident.clone(), row.channel.clone())).or_default();
            queue.due |= row.not_before <= now;
            queue.leased |= lease_until.is_some_and(|until| until > now);
            queue.tried |= row.attempts > 0 || row.batch.is_some();
        }
        queues.retain(|_, queue| !queue.leased);
        let news = queues.iter().filter(|(_, queue)| queue.due && !queue.tried);
        let news: HashSet<_> = news.map(|((_, channel), _)| channel.clone()).collect();
        let mut rows = Vec::new();
        for waiting in &mut self.outbox {
            let name = (waiting.row.incident.clone(), waiting.row.channel.clone());
            let Some(queue) = queues.get(&name) else { continue };
            if queue.due || (!queue.tried && news.contains(&name.1)) {
                waiting.lease_until = Some(until);
                rows.push(waiting.row.clone());
            }
        }
        rows.into_iter().map(|row| self.claimed(row)).collect()
    }

    pub(super) fn mark(&mut self, batch: &str, keys: &[String]) {
        for waiting in self.outbox.iter_mut().filter(|waiting| keys.contains(&waiting.row.key)) {
            waiting.row.batch = Some(batch.to_owned());
            waiting.row.unsure = true;
        }
    }

    pub(super) fn settle(&mut self, settled: &Settled, bounds: &Bounds) {
        match settled {
            Settled::Later { key, not_before, attempts, batch, unsure, .. } => {
                if let Some(waiting) = self.outbox.iter_mut().find(|waiting| waiting.row.key == *key) {
                    waiting.row.not_before = *not_before;
                    waiting.row.attempts = *attempts;
                    waiting.row.batch.clone_from(batch);
                    waiting.row.unsure = *unsure;
                    waiting.lease_until = None;
                }
            }
            Settled::Sent { key, at, .. } => {
                if let Some(row) = self.end(key, bounds) {
                    if row.notice.reason != Reason::Resolved {
                        let root = row.batch.unwrap_or(row.key);
                        self.roots.entry((row.channel.clone(), row.incident)).or_insert(root);
                    }
                    let sent = self.group_sent.entry((row.channel, row.group_key)).or_insert(*at);
                    *sent = (*sent).max(*at);
                }
            }
            Settled::Dead { key, .. } | Settled::Collapsed { key, .. } => {
                self.end(key, bounds);
            }
        }
    }

    fn end(&mut self, key: &str, bounds: &Bounds) -> Option<OutboxRow> {
        self.settled.add(key, bounds.outbox);
        if !self.keys.remove(key) {
            return None;
        }
        let position = self.outbox.iter().position(|waiting| waiting.row.key == key)?;
        let row = self.outbox.remove(position)?.row;
        if row.notice.reason == Reason::Resolved {
            self.roots.remove(&(row.channel.clone(), row.incident.clone()));
        }
        Some(row)
    }

    pub(super) fn resume(&self) -> Vec<Resumed> {
        let resumed = |(check, kept): (&CheckId, &Check)| Resumed {
            check: check.clone(),
            state: kept.state.clone().unwrap_or_default(),
            memory: kept.memory.clone(),
            last: kept.last.clone(),
        };
        self.checks.iter().filter(|(_, check)| !check.removed).map(resumed).collect()
    }

    pub(super) fn note_rules(&mut self, rules: &[(CheckId, Rules)]) {
        for (check, rules) in rules {
            if let Some(check) = self.checks.get_mut(check) {
                check.rules = Some(*rules);
            }
        }
    }

    pub(super) fn known_checks(&self) -> Vec<KnownCheck> {
        let known = |(id, check): (&CheckId, &Check)| KnownCheck {
            check: id.clone(),
            since: check.since,
            rules: check.rules,
            removed: check.removed,
        };
        let mut all: Vec<_> = self.checks.iter().map(known).collect();
        all.sort_by(|a, b| a.check.cmp(&b.check));
        all
    }

    pub(super) fn ran(&self, check: Option<&CheckId>, from: Timestamp, to: Timestamp) -> Vec<Ran> {
        let wanted = |(of, row): &&(CheckId, ResultRow)| {
            check.is_none_or(|check| of == check) && row.at >= from && row.at < to
        };
        let ran = |(check, row): &(CheckId, ResultRow)| Ran {
            check: check.clone(),
            at: row.at,
            verdict: row.verdict,
            took: row.took,
            timings: row.timings,
            steps: row.steps.clone(),
            recheck: row.recheck,
            too_slow: row.too_slow,
        };
        let mut all: Vec<_> = self.results.iter().filter(wanted).map(ran).collect();
        all.sort_by(|a, b| (a.at, &a.check).cmp(&(b.at, &b.check)));
        all
    }

    pub(super) fn next_result(&self, from: Timestamp) -> Option<Timestamp> {
        self.results.iter().map(|(_, row)| row.at).filter(|at| *at >= from).min()
    }

    pub(super) fn facts(&self, check: &CheckId, from: Timestamp, to: Timestamp, limit: usize) -> KeptFacts {
        let wanted =
            |(of, at, _): &&(CheckId, Timestamp, Box<RawValue>)| of == check && (from..to).contains(at);
        let found = self.facts.iter().filter(wanted).map(|(_, at, facts)| (*at, facts.clone()));
        // Of facts that were written twice the later ones stay.
        let found: BTreeMap<_, _> = found.collect();
        found.into_iter().take(limit).collect()
    }

    pub(super) fn incidents(&self, wanted: impl Fn(&Incident) -> bool) -> Vec<Incident> {
        let mut found: Vec<_> =
            self.incidents.values().filter(|incident| wanted(incident)).cloned().collect();
        found.sort_by(|a, b| (a.started, &a.id).cmp(&(b.started, &b.id)));
        found
    }

    pub(super) fn history(
        &self,
        check: &CheckId,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Vec<ResultRow> {
        let wanted = |(of, row): &&(CheckId, ResultRow)| of == check && row.at >= from && row.at < to;
        let mut rows: Vec<_> = self.results.iter().filter(wanted).map(|(_, row)| row.clone()).collect();
        rows.sort_by_key(|row| row.at);
        rows.truncate(limit);
        rows
    }

    pub(super) fn prune(&mut self, cutoffs: &Cutoffs) -> u64 {
        let Cutoffs { results, hours, days, incidents } = *cutoffs;
        let count = |held: &Self| {
            held.results.len()
                + held.incidents.len()
                + held.gaps.len()
                + held.facts.len()
                + held.figures.len()
        };
        let before = count(self);
        self.results.retain(|(_, row)| row.at >= results);
        self.facts.retain(|(_, at, _)| *at >= results);
        self.gaps.retain(|_, gap| gap.to >= results);
        self.incidents.retain(|_, incident| incident.ended.is_none_or(|ended| ended >= incidents));
        self.figures.prune(results, hours, days);
        // Most groups are one incident each; counted from the newest, since the store has no clock.
        if let Some(newest) = self.group_sent.values().max().copied() {
            self.group_sent.retain(|_, at| newest.duration_since(*at).unsigned_abs() <= GROUPS_KEPT);
        }
        u64::try_from(before - count(self)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_incidents_long_over_are_forgotten() {
        let mut held = Held::default();
        let at = |days: i64| Timestamp::from_second(days * 86_400).unwrap();
        for day in 0..30 {
            held.group_sent.insert(("mail".into(), format!("acme/home@{day}")), at(day));
        }
        let never = Timestamp::MIN;
        held.prune(&Cutoffs { results: never, hours: never, days: never, incidents: never });
        assert_eq!(held.group_sent.len(), 8, "a week and the newest");
    }
}
