//! What is kept: results, states, incidents and the outbox, committed together.
//!
//! [`Store`] is the seam. [`sqlite`] keeps it in a file, [`postgres`] in a PostgreSQL; [`memory`] keeps it
//! in memory, bounded; [`resilient`] puts memory behind either, so that a database that refuses costs
//! history and never a verdict or a message. [`live`] is the present: what the page and the metrics show.

mod canaries;
#[cfg(test)]
mod contract;
pub mod copy;
pub mod figures;
mod group;
pub mod live;
pub mod memory;
mod pack;
pub mod postgres;
pub mod reading;
pub mod resilient;
pub mod roll;
mod rows;
pub mod sqlite;
pub mod tenure;
pub mod writer;

use std::borrow::Cow;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use figures::{Figures, Judged, Judgements, KeptFacts, KnownCheck, Ran, RolledRow, UptimeRow};

use crate::alert;
use crate::model::{Cause, CheckId, Incident, OutboxRow, Outcome, StepTime, Timings, Verdict};

/// Everything that changed for one check at one instant. Committed whole or not at all.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Transition {
    /// Which check.
    pub check: CheckId,
    /// What was measured, if a run ended.
    pub result: Option<Recorded>,
    /// The alert state, when it changed.
    pub state: Option<alert::State>,
    /// The kind's memory, when it changed.
    pub memory: Option<Box<RawValue>>,
    /// The incidents that are new, changed or closed.
    pub incidents: Vec<Incident>,
    /// Messages to send.
    pub outbox: Vec<OutboxRow>,
    /// The check is gone from the config: its state and memory are dropped, its history stays.
    pub removed: bool,
}

impl Transition {
    /// Nothing changed for `check`, yet.
    pub fn of(check: CheckId) -> Self {
        Self {
            check,
            result: None,
            state: None,
            memory: None,
            incidents: Vec::new(),
            outbox: Vec::new(),
            removed: false,
        }
    }
}

/// What is recorded of one due time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Recorded {
    /// A run.
    Ran {
        /// What it came to.
        outcome: Outcome,
        /// Keep its facts and findings in full: the verdict changed or is not `pass`. The last
        /// facts of a check are kept in any case.
        in_full: bool,
    },
    /// No run, or one cut off: the time is not covered.
    NotCovered {
        /// When it was due.
        at: Timestamp,
        /// Why, such as `shutdown`, `missed`.
        why: Cow<'static, str>,
    },
}

/// What a check resumes from after a restart.
#[derive(Debug)]
pub struct Resumed {
    /// Which check.
    pub check: CheckId,
    /// Its alert state.
    pub state: alert::State,
    /// Its kind's memory.
    pub memory: Option<Box<RawValue>>,
    /// Its last result.
    pub last: Option<ResultRow>,
}

/// One kept result.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultRow {
    /// When the run started (millisecond precision).
    pub at: Timestamp,
    /// The verdict.
    pub verdict: Verdict,
    /// Why it is unknown.
    pub cause: Option<Cause>,
    /// The protocol's status.
    pub status: Option<u16>,
    /// How long it took.
    pub took: Duration,
    /// How long the phases took.
    pub timings: Timings,
    /// How long its steps took.
    pub steps: Box<[StepTime]>,
    /// What was found; only ids and subjects are promised for old rows.
    pub findings: Vec<crate::model::Finding>,
    /// It was a re-check.
    pub recheck: bool,
    /// It failed by its latency budgets alone.
    pub too_slow: bool,
}

/// What is older goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cutoffs {
    /// Results, their facts and minutes, gaps, canaries that have ended.
    pub results: Timestamp,
    /// Figures by the hour.
    pub hours: Timestamp,
    /// Figures by the day.
    pub days: Timestamp,
    /// Incidents, by their end.
    pub incidents: Timestamp,
}

/// A stretch of time that is not covered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Which check; `None` for all of them.
    pub check: Option<CheckId>,
    /// From when; a single missed run has `from == to`.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// Why, such as `shutdown`, `missed`, `not_running`, `not_recorded`.
    pub why: String,
}

/// An outbox row that this process may send until the lease ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    /// The row.
    pub row: OutboxRow,
    /// When the group of this (channel, group key) was last sent something.
    pub group_sent: Option<Timestamp>,
}

/// What became of a claimed row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Settled {
    /// Delivered; `answer` is the other side's.
    Sent {
        /// The row.
        key: String,
        /// When.
        at: Timestamp,
        /// What the other side said.
        answer: String,
    },
    /// Not now: released until `not_before`.
    Later {
        /// The row.
        key: String,
        /// The next attempt.
        not_before: Timestamp,
        /// Attempts made so far.
        attempts: u32,
        /// The message it was sent in, once there was an attempt.
        batch: Option<String>,
        /// What happened.
        why: String,
        /// Whether it may have been delivered all the same.
        unsure: bool,
    },
    /// Given up, after 24 h or because the other side will never take it.
    Dead {
        /// The row.
        key: String,
        /// When.
        at: Timestamp,
        /// What happened.
        why: String,
    },
    /// Merged into another message, because its time has passed.
    Collapsed {
        /// The row.
        key: String,
        /// The row it was merged into.
        into: String,
        /// When.
        at: Timestamp,
    },
}

/// What is said of an empty database to who would read it.
const NO_STORE: &str = "holds no store of portalwatch; a daemon makes one when it starts";

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database was written by a newer version.
    #[error(
        "{path}: this database was written by a newer portalwatch (schema {found}, this version knows {known}); run that version, or point storage.url at another database"
    )]
    Newer {
        /// The file, or the server and database.
        path: String,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// It was to be filled from another database, and is not yet.
    #[error(
        "{path}: a migration from {from} is unfinished; finish it (portalwatch store migrate --from {from} --to {path}), or point storage.url at another database"
    )]
    Unfinished {
        /// The file, or the server and database.
        path: String,
        /// The database it is filled from.
        from: String,
    },
    /// The disk is full.
    #[error("{path}: the disk is full: {why}")]
    Full {
        /// The file, or the server and database.
        path: String,
        /// The library's words.
        why: String,
    },
    /// The file or folder, or the tables, cannot be written.
    #[error("{path}: cannot be written: {why}")]
    ReadOnly {
        /// The file, or the server and database.
        path: String,
        /// The library's words.
        why: String,
    },
    /// Another process holds the database, or a part of it.
    #[error("{path}: locked by another process: {why}")]
    Locked {
        /// The file, or the server and database.
        path: String,
        /// The library's words.
        why: String,
    },
    /// Another daemon leads on the database, and this one may not write any more.
    #[error("{path}: another daemon took over: {by}; this one stands by")]
    Fenced {
        /// The server and database.
        path: String,
        /// Which, and since when.
        by: String,
    },
    /// The database is damaged, or is none.
    #[error("{path}: damaged: {why}; move it away to start a new one, or restore a backup")]
    Corrupt {
        /// The file, or the server and database.
        path: String,
        /// The library's words.
        why: String,
    },
    /// The database does not take what is to be written: the fault of a row, and not of the disk.
    #[error("{path}: does not take a row: {why}")]
    Rejected {
        /// The file, or the server and database.
        path: String,
        /// The library's words.
        why: String,
    },
    /// Anything else.
    #[error("{path}: {why}")]
    Other {
        /// The file, or the server and database.
        path: String,
        /// The library's words.
        why: String,
    },
}

/// The last facts kept of a check, and when they were seen.
pub type LastFacts = Option<(Timestamp, Box<RawValue>)>;

/// Where things are kept.
pub trait Store: Send + Sync {
    /// Writes all of it in one transaction, in order.
    fn commit<'a>(&'a self, batch: &'a [Transition]) -> BoxFuture<'a, Result<(), StoreError>>;
    /// What every known check resumes from.
    fn resume(&self) -> BoxFuture<'_, Result<Vec<Resumed>, StoreError>>;
    /// Claims rows to send. Returned are *all* unsettled rows of every (incident, channel) that has
    /// a row due at `now`, in the order they were written, unless another process leases one. With
    /// them come the untried rows that wait on the same channels: they may join what is due.
    fn claim(&self, now: Timestamp, lease: Duration) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>>;
    /// Notes, before an attempt, in which message claimed rows go out. They stay claimed, and until
    /// they are settled they may have been delivered.
    fn mark<'a>(&'a self, batch: &'a str, keys: &'a [String]) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Notes what became of claimed rows, and releases them.
    fn settle<'a>(&'a self, settled: &'a [Settled]) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Drops all leases: for a daemon that is alone on its store and just started.
    fn drop_leases(&self) -> BoxFuture<'_, Result<(), StoreError>>;
    /// How many rows wait, and since when the oldest.
    fn pending(&self) -> BoxFuture<'_, Result<(u64, Option<Timestamp>), StoreError>>;
    /// The open incidents, oldest first.
    fn open_incidents(&self) -> BoxFuture<'_, Result<Vec<Incident>, StoreError>>;
    /// The incidents that touch the range, oldest first.
    fn incidents(&self, from: Timestamp, to: Timestamp) -> BoxFuture<'_, Result<Vec<Incident>, StoreError>>;
    /// The results of one check that started in `from..to`, oldest first, at most `limit`.
    fn history<'a>(
        &'a self,
        check: &'a CheckId,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<ResultRow>, StoreError>>;
    /// The last facts kept of one check, and when they were seen.
    fn last_facts<'a>(&'a self, check: &'a CheckId) -> BoxFuture<'a, Result<LastFacts, StoreError>>;
    /// Drops what is older than the retention, in small transactions. Returns how many rows.
    fn prune<'a>(&'a self, cutoffs: &'a Cutoffs) -> BoxFuture<'a, Result<u64, StoreError>>;
    /// All unsettled rows in the order they were written, whoever leases them. Changes nothing.
    fn waiting(&self) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
    /// Notes that a daemon begins its work at `now`. Records and returns the gap since the last
    /// sign of life of the one before.
    fn begin(&self, _now: Timestamp) -> BoxFuture<'_, Result<Option<Gap>, StoreError>> {
        Box::pin(async { Ok(None) })
    }
    /// Records gaps.
    fn note_gaps<'a>(&'a self, _gaps: &'a [Gap]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }
    /// The gaps that touch the range, oldest first.
    fn gaps(&self, _from: Timestamp, _to: Timestamp) -> BoxFuture<'_, Result<Vec<Gap>, StoreError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
    /// Folds the log into the database and closes it.
    fn close(&self) -> BoxFuture<'_, ()>;
}
