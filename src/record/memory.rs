//! In memory, bounded: behind the disk while it refuses, and for runs that record nothing.
//!
//! What does not fit is counted (`portalwatch_dropped_total`): the oldest results, the oldest closed
//! incidents, and new messages once the outbox is full.

mod figures;
mod held;
#[cfg(test)]
pub mod ledger;

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, ready};
use jiff::Timestamp;

use super::{
    Claimed, Cutoffs, Figures, Gap, KeptFacts, KnownCheck, LastFacts, Ran, ResultRow, Resumed, RolledRow,
    Settled, Store, StoreError, Transition, UptimeRow,
};
use crate::model::{CheckId, Incident};
use crate::stats::rollup::Grain;
use crate::stats::samples::Rules;
use crate::stats::uptime::Standing;
use held::{Held, Waiting};

/// How much is held.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Results of all checks together.
    pub results: usize,
    /// Closed incidents; the open ones are held in any case, one per check at most.
    pub incidents: usize,
    /// Waiting messages.
    pub outbox: usize,
    /// Gaps.
    pub gaps: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { results: 200_000, incidents: 10_000, outbox: 50_000, gaps: 50_000 }
    }
}

/// The store in memory.
#[derive(Debug, Default)]
pub struct Memory {
    bounds: Bounds,
    held: Mutex<Held>,
}

impl Memory {
    /// An empty store.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a batch.
    pub fn apply(&self, batch: &[Transition]) {
        let mut held = self.held();
        for transition in batch {
            held.apply(transition, &self.bounds);
        }
    }

    /// Takes in a batch without its results: what is needed to go on alone.
    pub fn follow(&self, batch: &[Transition]) {
        let mut held = self.held();
        for transition in batch {
            held.apply_rest(transition, &self.bounds);
        }
    }

    /// Takes over what another store holds: open incidents and rows that wait. What is known already
    /// stays as it is.
    pub fn load(&self, open: Vec<Incident>, waiting: Vec<Claimed>) {
        let mut held = self.held();
        for incident in open {
            held.incidents.entry(incident.id.clone()).or_insert(incident);
        }
        for Claimed { row, group_sent } in waiting {
            if let Some(root) = &row.root {
                let thread = (row.channel.clone(), row.incident.clone());
                held.roots.entry(thread).or_insert_with(|| root.clone());
            }
            if let Some(at) = group_sent {
                held.group_sent.entry((row.channel.clone(), row.group_key.clone())).or_insert(at);
            }
            held.enqueue(&row, &self.bounds);
        }
    }

    /// Takes over what checks resume from, so that it is not lost with the other store. What is known
    /// already stays as it is.
    pub fn remember(&self, resumed: &[Resumed]) {
        let mut held = self.held();
        for resumed in resumed {
            if resumed.state == crate::alert::State::default() && resumed.memory.is_none() {
                continue;
            }
            let check = held.checks.entry(resumed.check.clone()).or_default();
            check.state.get_or_insert_with(|| resumed.state.clone());
            if check.memory.is_none() {
                check.memory.clone_from(&resumed.memory);
            }
        }
    }

    /// Notes a lease that another store gave.
    pub fn lease(&self, rows: &[Claimed], until: Timestamp) {
        let keys: HashSet<&str> = rows.iter().map(|claimed| claimed.row.key.as_str()).collect();
        for waiting in &mut self.held().outbox {
            if keys.contains(waiting.row.key.as_str()) {
                waiting.lease_until = Some(until);
            }
        }
    }

    /// Takes out the rows of every (incident, channel) that is leased here.
    pub fn without_leased(&self, rows: &mut Vec<Claimed>, now: Timestamp) {
        let held = self.held();
        let leased = |waiting: &&Waiting| waiting.lease_until.is_some_and(|until| until > now);
        let queues: HashSet<_> = held
            .outbox
            .iter()
            .filter(leased)
            .map(|waiting| (&waiting.row.incident, waiting.row.channel.as_str()))
            .collect();
        rows.retain(|claimed| !queues.contains(&(&claimed.row.incident, claimed.row.channel.as_str())));
    }

    /// Everything another store needs to take over, results left out: messages that wait in their
    /// order, incidents, states and memories.
    pub fn snapshot(&self) -> Vec<Transition> {
        let held = self.held();
        let bare = |check: &CheckId| Transition::of(check.clone());
        let incidents = held
            .incidents
            .values()
            .map(|incident| Transition { incidents: vec![incident.clone()], ..bare(&incident.check) });
        let rows = held.outbox.iter().map(|waiting| Transition {
            outbox: vec![waiting.row.clone()],
            ..bare(&waiting.row.notice.incident.check)
        });
        let checks = held.checks.iter().filter(|(_, check)| check.state.is_some() || check.memory.is_some());
        let checks = checks.map(|(id, check)| Transition {
            state: check.state.clone(),
            memory: check.memory.clone(),
            ..bare(id)
        });
        incidents.chain(rows).chain(checks).collect()
    }
}

fn done<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, Result<T, StoreError>> {
    Box::pin(ready(Ok(value)))
}

impl Store for Memory {
    fn commit<'a>(&'a self, batch: &'a [Transition]) -> BoxFuture<'a, Result<(), StoreError>> {
        self.apply(batch);
        done(())
    }

    fn resume(&self) -> BoxFuture<'_, Result<Vec<Resumed>, StoreError>> {
        done(self.held().resume())
    }

    fn claim(&self, now: Timestamp, lease: Duration) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>> {
        done(self.held().claim(now, lease))
    }

    fn mark<'a>(&'a self, batch: &'a str, keys: &'a [String]) -> BoxFuture<'a, Result<(), StoreError>> {
        self.held().mark(batch, keys);
        done(())
    }

    fn settle<'a>(&'a self, settled: &'a [Settled]) -> BoxFuture<'a, Result<(), StoreError>> {
        let mut held = self.held();
        settled.iter().for_each(|settled| held.settle(settled, &self.bounds));
        done(())
    }

    fn drop_leases(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.held().outbox.iter_mut().for_each(|waiting| waiting.lease_until = None);
        done(())
    }

    fn pending(&self) -> BoxFuture<'_, Result<(u64, Option<Timestamp>), StoreError>> {
        let held = self.held();
        let oldest = held.outbox.iter().map(|waiting| waiting.row.notice.at).min();
        done((u64::try_from(held.outbox.len()).unwrap_or(u64::MAX), oldest))
    }

    fn open_incidents(&self) -> BoxFuture<'_, Result<Vec<Incident>, StoreError>> {
        done(self.held().incidents(Incident::is_open))
    }

    fn incidents(&self, from: Timestamp, to: Timestamp) -> BoxFuture<'_, Result<Vec<Incident>, StoreError>> {
        let touches =
            |incident: &Incident| incident.started < to && incident.ended.is_none_or(|ended| ended >= from);
        done(self.held().incidents(touches))
    }

    fn history<'a>(
        &'a self,
        check: &'a CheckId,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<ResultRow>, StoreError>> {
        done(self.held().history(check, from, to, limit))
    }

    fn last_facts<'a>(&'a self, check: &'a CheckId) -> BoxFuture<'a, Result<LastFacts, StoreError>> {
        done(self.held().checks.get(check).and_then(|check| check.facts.clone()))
    }

    fn prune<'a>(&'a self, cutoffs: &'a Cutoffs) -> BoxFuture<'a, Result<u64, StoreError>> {
        done(self.held().prune(cutoffs))
    }

    fn waiting(&self) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>> {
        let held = self.held();
        done(held.outbox.iter().map(|waiting| held.claimed(waiting.row.clone())).collect())
    }

    fn begin(&self, now: Timestamp) -> BoxFuture<'_, Result<Option<Gap>, StoreError>> {
        let mut held = self.held();
        let before = held.seen.filter(|before| *before < now);
        held.seen = Some(now);
        let gap = before.map(|from| Gap { check: None, from, to: now, why: "not_running".into() });
        if let Some(gap) = &gap {
            held.gap(gap.clone(), &self.bounds);
        }
        done(gap)
    }

    fn note_gaps<'a>(&'a self, gaps: &'a [Gap]) -> BoxFuture<'a, Result<(), StoreError>> {
        let mut held = self.held();
        gaps.iter().for_each(|gap| held.gap(gap.clone(), &self.bounds));
        done(())
    }

    fn gaps(&self, from: Timestamp, to: Timestamp) -> BoxFuture<'_, Result<Vec<Gap>, StoreError>> {
        let held = self.held();
        done(held.gaps.values().filter(|gap| gap.from < to && gap.to >= from).cloned().collect())
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }
}

impl Figures for Memory {
    fn facts<'a>(
        &'a self,
        check: &'a CheckId,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> BoxFuture<'a, Result<KeptFacts, StoreError>> {
        done(self.held().facts(check, from, to, limit))
    }

    fn note_rules<'a>(&'a self, rules: &'a [(CheckId, Rules)]) -> BoxFuture<'a, Result<(), StoreError>> {
        self.held().note_rules(rules);
        done(())
    }

    fn known_checks(&self) -> BoxFuture<'_, Result<Vec<KnownCheck>, StoreError>> {
        done(self.held().known_checks())
    }

    fn ran<'a>(
        &'a self,
        check: Option<&'a CheckId>,
        from: Timestamp,
        to: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<Ran>, StoreError>> {
        done(self.held().ran(check, from, to))
    }

    fn next_result(&self, from: Timestamp) -> BoxFuture<'_, Result<Option<Timestamp>, StoreError>> {
        done(self.held().next_result(from))
    }

    fn rolled_from(&self, grain: Grain) -> BoxFuture<'_, Result<Option<Timestamp>, StoreError>> {
        done(self.held().figures.from(grain))
    }

    fn rolled_until(&self, grain: Grain) -> BoxFuture<'_, Result<Option<Timestamp>, StoreError>> {
        done(self.held().figures.mark(grain))
    }

    fn standings(&self, before: Timestamp) -> BoxFuture<'_, Result<Vec<(CheckId, Standing)>, StoreError>> {
        done(self.held().figures.standings(before.as_millisecond()))
    }

    fn put_rolled<'a>(
        &'a self,
        grain: Grain,
        rows: &'a [RolledRow],
        expected: Option<Timestamp>,
        until: Timestamp,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        done(self.held().figures.put(grain, rows, expected, until))
    }

    fn rolled<'a>(
        &'a self,
        grain: Grain,
        check: &'a CheckId,
        from: Timestamp,
        to: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<RolledRow>, StoreError>> {
        done(self.held().figures.rows(grain, check, from.as_millisecond(), to.as_millisecond()))
    }

    fn uptimes(
        &self,
        grain: Grain,
        from: Timestamp,
        to: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<UptimeRow>, StoreError>> {
        done(self.held().figures.uptimes(grain, from.as_millisecond(), to.as_millisecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::contract::{bare, incident, outcome, ran, row, sent, time};
    use crate::telemetry::telemetry;

    const SMALL: Bounds = Bounds { results: 3, incidents: 4, outbox: 2, gaps: 2 };

    #[tokio::test]
    async fn results_beyond_the_bound_push_out_the_oldest_and_are_counted() {
        let store = Memory::new(SMALL);
        let counter = telemetry().dropped.with_label_values(&["result", "memory_full"]);
        let before = counter.get();
        let batch: Vec<_> = (1..=5).map(|at| ran(outcome("a/b", at))).collect();
        store.commit(&batch).await.unwrap();
        let rows = store.history(&"a/b".into(), time(0), time(9), 9).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.at).collect::<Vec<_>>(), [time(3), time(4), time(5)]);
        assert!(counter.get() >= before + 2);
    }

    #[tokio::test]
    async fn a_full_outbox_takes_messages_again_once_some_are_sent() {
        let store = Memory::new(SMALL);
        let rows = |keys: &[&str]| Transition {
            outbox: keys.iter().map(|key| row(key, "a/b", "mail", 0)).collect(),
            ..bare("a/b")
        };
        store.commit(&[rows(&["k1", "k2", "k3"])]).await.unwrap();
        assert_eq!(store.pending().await.unwrap().0, 2);
        store.settle(&[sent("k1", 1_000)]).await.unwrap();
        store.commit(&[rows(&["k1", "k3"])]).await.unwrap();
        let waiting = store.waiting().await.unwrap();
        let keys: Vec<_> = waiting.iter().map(|claimed| claimed.row.key.as_str()).collect();
        assert_eq!(keys, ["k2", "k3"], "what was sent does not come back");
    }

    #[tokio::test]
    async fn open_incidents_are_never_pushed_out() {
        let store = Memory::new(SMALL);
        let closed = |at: i64| Incident { ended: Some(time(at + 10)), ..incident("a/closed", at) };
        let opened = (0..20).map(|at| incident("a/open", at));
        let incidents = (100..140).map(closed).chain(opened).collect();
        store.commit(&[Transition { incidents, ..bare("a/b") }]).await.unwrap();
        store.commit(&[Transition { incidents: vec![closed(200)], ..bare("a/b") }]).await.unwrap();
        assert_eq!(store.open_incidents().await.unwrap().len(), 20);
        assert!(store.incidents(time(0), time(999)).await.unwrap().len() < 40);
    }
}
