//! A ledger for tests. It outlives nothing, so that no run of the program may write on its word.

use std::sync::Mutex;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::model::CheckId;
use crate::model::ledger::{Budget, Canary, CanaryState, Entry, LONGEST_WAIT, Ledger, LedgerError, Tally};

/// The ledger in memory.
#[derive(Debug, Default)]
pub struct MemoryLedger(Mutex<Vec<Kept>>);

#[derive(Debug)]
struct Kept {
    canary: Canary,
    written: Timestamp,
    held_until: Option<Timestamp>,
    taken: bool,
    ended: Option<CanaryState>,
}

impl Kept {
    fn is_held(&self, now: Timestamp) -> bool {
        self.held_until.is_some_and(|until| until > now)
    }

    fn is_due(&self, now: Timestamp) -> bool {
        let longest = now + LONGEST_WAIT;
        let over = |until: Option<Timestamp>| until.is_none_or(|until| until <= now || until > longest);
        over(self.held_until) && over(self.canary.not_before)
    }

    fn unswept(&self) -> Entry {
        Entry::Unswept { run: self.canary.run.clone(), entered: self.canary.entered }
    }

    fn busy(&self) -> Entry {
        Entry::Busy { run: self.canary.run.clone() }
    }
}

impl MemoryLedger {
    fn change<R>(&self, run: &str, change: impl FnOnce(&mut Kept) -> R) -> Result<R, LedgerError> {
        let mut all = self.0.lock().unwrap();
        let found = all.iter_mut().find(|kept| kept.canary.run == run);
        let missing = || LedgerError::NotEntered { file: "memory".into(), run: run.into() };
        found.map(change).ok_or_else(missing)
    }

    fn open_of(&self, check: &CheckId, mut wanted: impl FnMut(&mut Kept) -> bool) -> Vec<Canary> {
        let mut all = self.0.lock().unwrap();
        let open = all.iter_mut().filter(|kept| kept.ended.is_none() && kept.canary.check == *check);
        open.filter_map(|kept| wanted(kept).then(|| kept.canary.clone())).collect()
    }
}

impl Ledger for MemoryLedger {
    fn enter<'a>(
        &'a self,
        check: &'a CheckId,
        run: &'a str,
        now: Timestamp,
        held_until: Timestamp,
        budget: Budget,
    ) -> BoxFuture<'a, Result<Entry, LedgerError>> {
        let mut all = self.0.lock().unwrap();
        let mine = || all.iter().filter(|kept| kept.canary.check == *check);
        let own = all.iter().find(|kept| kept.canary.run == run);
        let another = mine().find(|kept| kept.ended.is_none() && kept.canary.run != run);
        let spent = mine().filter(|kept| kept.written >= budget.since);
        let written: u64 = spent.map(|kept| u64::from(kept.canary.writes)).sum();
        let refused = match (own, another) {
            (Some(own), _) if own.taken => Some(own.busy()),
            (Some(own), _) if own.canary.attempts > 0 && own.ended.is_none() => Some(own.unswept()),
            (_, Some(other)) if other.is_held(now) => Some(other.busy()),
            (_, Some(other)) => Some(other.unswept()),
            _ => (written >= budget.limit).then_some(Entry::Spent { written }),
        };
        if let Some(refused) = refused {
            return ready(Ok(refused)).boxed();
        }
        if let Some(own) = all.iter_mut().find(|kept| kept.canary.run == run) {
            own.canary.writes += 1;
            (own.written, own.held_until, own.ended) = (now, Some(held_until), None);
        } else {
            let canary = Canary {
                run: run.to_owned(),
                check: check.clone(),
                entered: now,
                writes: 1,
                attempts: 0,
                not_before: None,
                kept: Map::new(),
            };
            let held_until = Some(held_until);
            all.push(Kept { canary, written: now, held_until, taken: false, ended: None });
        }
        ready(Ok(Entry::Entered)).boxed()
    }

    fn keep<'a>(
        &'a self,
        run: &'a str,
        kept: &'a Map<String, Value>,
    ) -> BoxFuture<'a, Result<(), LedgerError>> {
        ready(self.change(run, |found| found.canary.kept.extend(kept.clone()))).boxed()
    }

    fn settle<'a>(
        &'a self,
        run: &'a str,
        state: CanaryState,
        _: Timestamp,
    ) -> BoxFuture<'a, Result<(), LedgerError>> {
        let end = |found: &mut Kept| found.ended = found.ended.or(Some(state));
        ready(self.change(run, end)).boxed()
    }

    fn take<'a>(
        &'a self,
        check: &'a CheckId,
        now: Timestamp,
        until: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<Canary>, LedgerError>> {
        let take = |kept: &mut Kept| {
            let due = kept.is_due(now);
            if due {
                (kept.taken, kept.held_until) = (true, Some(until));
            }
            due
        };
        ready(Ok(self.open_of(check, take))).boxed()
    }

    fn failed<'a>(&'a self, run: &'a str, not_before: Timestamp) -> BoxFuture<'a, Result<(), LedgerError>> {
        let note = |found: &mut Kept| {
            if found.ended.is_none() {
                found.canary.attempts += 1;
                (found.canary.not_before, found.held_until) = (Some(not_before), None);
            }
        };
        ready(self.change(run, note)).boxed()
    }

    fn release<'a>(&'a self, run: &'a str) -> BoxFuture<'a, Result<(), LedgerError>> {
        ready(self.change(run, |found| found.held_until = None)).boxed()
    }

    fn open<'a>(&'a self, check: &'a CheckId) -> BoxFuture<'a, Result<Vec<Canary>, LedgerError>> {
        ready(Ok(self.open_of(check, |_| true))).boxed()
    }

    fn tally<'a>(&'a self, check: &'a CheckId) -> BoxFuture<'a, Result<Tally, LedgerError>> {
        let all = self.0.lock().unwrap();
        let count = |state| {
            let of = all.iter().filter(|kept| kept.canary.check == *check && kept.ended == state);
            u64::try_from(of.count()).unwrap()
        };
        let tally = Tally {
            open: count(None),
            cleaned: count(Some(CanaryState::Cleaned)),
            swept: count(Some(CanaryState::Swept)),
            absent: count(Some(CanaryState::Absent)),
        };
        ready(Ok(tally)).boxed()
    }
}

#[tokio::test]
async fn memory_holds_the_contract_of_the_ledger() {
    crate::record::contract::ledger::holds(&MemoryLedger::default()).await;
}
