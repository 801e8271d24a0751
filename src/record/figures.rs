//! The past in figures: what stores keep for percentiles, uptime and looking back, and the results it
//! is made of. `roll` fills it, reports and the daemon's own figures read it.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::value::RawValue;

use super::{Store, StoreError};
use crate::model::{CheckId, StepTime, Timings, Verdict};
use crate::stats::rollup::{Grain, Rolled};
use crate::stats::samples::{Rules, Run};
use crate::stats::uptime::{Standing, Uptime};

/// What figures need of a kept result.
#[derive(Clone, Debug, PartialEq)]
pub struct Ran {
    /// Which check.
    pub check: CheckId,
    /// When the run started.
    pub at: Timestamp,
    /// The verdict.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
    /// How long the phases took.
    pub timings: Timings,
    /// How long its steps took.
    pub steps: Box<[StepTime]>,
    /// It was a re-check.
    pub recheck: bool,
    /// It failed by its latency budgets alone.
    pub too_slow: bool,
}

impl<'r> From<&'r Ran> for Run<'r> {
    fn from(ran: &'r Ran) -> Self {
        let Ran { verdict, took, ref timings, ref steps, recheck, too_slow, .. } = *ran;
        Self { verdict, took, timings, steps, recheck, too_slow }
    }
}

/// What the store knows of a check besides its results.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownCheck {
    /// Which check.
    pub check: CheckId,
    /// When it was first seen.
    pub since: Option<Timestamp>,
    /// How it ran last ([`Figures::note_rules`]).
    pub rules: Option<Rules>,
    /// It is gone from the config.
    pub removed: bool,
}

/// When a run started and what it came to, of which uptime is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// When it started.
    pub at: Timestamp,
    /// The verdict.
    pub verdict: Verdict,
    /// It was a re-check.
    pub recheck: bool,
}

/// By check, oldest first.
pub type Judgements = HashMap<CheckId, Vec<Judged>>;

/// What the results of one check came to in a minute, an hour or a day.
#[derive(Clone, Debug)]
pub struct RolledRow {
    /// Which check.
    pub check: CheckId,
    /// How long it stands for.
    pub grain: Grain,
    /// Its beginning, milliseconds since the epoch.
    pub at: i64,
    /// What it came to.
    pub rolled: Rolled,
}

/// The known time of one check, and its runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UptimeRow {
    /// Which check.
    pub check: CheckId,
    /// Known time.
    pub uptime: Uptime,
    /// Runs, re-checks left out.
    pub runs: u64,
    /// Those that failed.
    pub failed: u64,
}

/// Facts that were kept with results, and when they were seen.
pub type KeptFacts = Vec<(Timestamp, Box<RawValue>)>;

/// A store that keeps figures.
pub trait Figures: Store {
    /// The facts of one check that were kept with results of `from..to`, oldest first, at most `limit`.
    fn facts<'a>(
        &'a self,
        check: &'a CheckId,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> BoxFuture<'a, Result<KeptFacts, StoreError>>;
    /// Notes how checks run.
    fn note_rules<'a>(&'a self, rules: &'a [(CheckId, Rules)]) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Every check that was ever recorded, by name.
    fn known_checks(&self) -> BoxFuture<'_, Result<Vec<KnownCheck>, StoreError>>;
    /// The results, of one check or of all, that started in `from..to`, oldest first. All of them: the
    /// caller goes in steps of time.
    fn ran<'a>(
        &'a self,
        check: Option<&'a CheckId>,
        from: Timestamp,
        to: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<Ran>, StoreError>>;
    /// The verdicts of the results of all checks that started in `from..to`, by check, oldest first.
    fn judged(&self, from: Timestamp, to: Timestamp) -> BoxFuture<'_, Result<Judgements, StoreError>> {
        Box::pin(async move {
            let mut all = Judgements::new();
            for ran in self.ran(None, from, to).await? {
                let Ran { check, at, verdict, recheck, .. } = ran;
                all.entry(check).or_default().push(Judged { at, verdict, recheck });
            }
            Ok(all)
        })
    }
    /// When the first result at or after `from` started.
    fn next_result(&self, from: Timestamp) -> BoxFuture<'_, Result<Option<Timestamp>, StoreError>>;
    /// Where the first row of this grain begins.
    fn rolled_from(&self, grain: Grain) -> BoxFuture<'_, Result<Option<Timestamp>, StoreError>>;
    /// Until when everything is rolled up to this grain; `None` before the first time.
    fn rolled_until(&self, grain: Grain) -> BoxFuture<'_, Result<Option<Timestamp>, StoreError>>;
    /// The result of each check that stood last before `before`, as far as hours are rolled.
    fn standings(&self, before: Timestamp) -> BoxFuture<'_, Result<Vec<(CheckId, Standing)>, StoreError>>;
    /// Writes rows and, in the same transaction, that everything is rolled up to `grain` until `until`.
    /// Nothing is written, and false returned, unless it was rolled up until `expected` before: a result
    /// was written late meanwhile, or another process was faster.
    fn put_rolled<'a>(
        &'a self,
        grain: Grain,
        rows: &'a [RolledRow],
        expected: Option<Timestamp>,
        until: Timestamp,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;
    /// The rows of one check that begin in `from..to`, oldest first.
    fn rolled<'a>(
        &'a self,
        grain: Grain,
        check: &'a CheckId,
        from: Timestamp,
        to: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<RolledRow>, StoreError>>;
    /// The known time of every check in the rows that begin in `from..to`.
    fn uptimes(
        &self,
        grain: Grain,
        from: Timestamp,
        to: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<UptimeRow>, StoreError>>;
}
