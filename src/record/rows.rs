//! What the databases have in common: how long things stay, and how their columns read back.

pub mod figures;

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Claimed, ResultRow, pack};
use crate::model::{Baseline, OutboxRow};

/// How old the stored facts may be while nothing happens, in milliseconds.
pub const FACTS_AGE: u64 = 10 * 60 * 1000;
/// How far apart the daemon's signs of life are, in milliseconds.
pub const SIGN_OF_LIFE: i64 = 10 * 1000;
/// Rows per transaction of a pruning, so that commits slip in between.
pub const PRUNE: i64 = 5_000;
/// How long settled outbox rows stay, for looking back and against repeated keys. Those of an open
/// incident stay as long as it is open: its next message replies to the first one.
pub const SETTLED: Duration = Duration::from_hours(7 * 24);
/// How far back a budget of writes may reach ([`Budget::since`](crate::model::ledger::Budget)).
pub const BUDGET: Duration = Duration::from_hours(48);
/// The most bytes of one decision's values, as JSON.
pub const MOST_BYTES: usize = 64 * 1024;
/// The most decisions of one check that are read.
pub const MOST_DECISIONS: i64 = 100_000;

pub fn time(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A text that PostgreSQL takes: one from another side may hold a NUL, which it refuses.
pub fn without_nul(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

pub fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, sqlx::Error> {
    serde_json::from_str(text).map_err(|why| sqlx::Error::Decode(why.into()))
}

pub fn json<T: Serialize>(value: &T) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|why| sqlx::Error::Encode(why.into()))
}

/// A result as its columns hold it.
pub fn result(
    at: i64,
    packed: i64,
    status: Option<u16>,
    times: &[u8],
    findings: Option<&str>,
) -> Result<ResultRow, sqlx::Error> {
    let (verdict, cause, pack::Marks { recheck, too_slow }) = pack::unpack_verdict(packed);
    let (took, timings, steps) = pack::unpack_times(times);
    let findings = findings.map(parsed).transpose()?.unwrap_or_default();
    Ok(ResultRow { at: time(at), verdict, cause, status, took, timings, steps, findings, recheck, too_slow })
}

/// An outbox row: what was written of it at first, under what has changed since.
pub struct Waiting {
    pub not_before: i64,
    pub attempts: u32,
    pub batch: Option<String>,
    pub unsure: bool,
    pub body: String,
    /// When the group was last sent something.
    pub sent: Option<i64>,
    /// The first message of the incident on the channel.
    pub root: Option<String>,
}

impl Waiting {
    pub fn claimed(self) -> Result<Claimed, sqlx::Error> {
        let mut row: OutboxRow = parsed(&self.body)?;
        row.not_before = Timestamp::from_millisecond(self.not_before).unwrap_or(row.not_before);
        row.attempts = self.attempts;
        row.batch = self.batch;
        row.unsure = self.unsure;
        row.root = self.root;
        let group_sent = self.sent.and_then(|sent| Timestamp::from_millisecond(sent).ok());
        Ok(Claimed { row, group_sent })
    }
}

/// The columns of a decision: key, entries, decision, who, when, why.
pub type Decided = (String, String, String, String, i64, String);

pub fn baseline((key, entries, decision, by, at, why): Decided) -> Result<Baseline, sqlx::Error> {
    Ok(Baseline {
        key,
        values: parsed(&entries)?,
        decision: decision.parse().map_err(|why: String| sqlx::Error::Decode(why.into()))?,
        by,
        at: time(at),
        why,
    })
}
