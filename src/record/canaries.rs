//! What the ledgers of writes have in common: what is asked of them, and how a canary reads back.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::rows::{parsed, time};
use crate::model::CheckId;
use crate::model::ledger::{Budget, Canary, CanaryState, Entry, LONGEST_WAIT, Tally};

/// How large the kept captures of one run may be, as JSON.
pub const KEPT: usize = 64 * 1024;
/// [`LONGEST_WAIT`] in milliseconds.
pub const LONGEST: i64 = LONGEST_WAIT.as_secs().cast_signed() * 1_000;
/// Canaries handed out at once.
pub const MOST: i64 = 100;

/// Who uses the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// The daemon, which is alone on its store.
    Daemon,
    /// A command, beside the daemon or without one.
    Command,
}

impl Holder {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Daemon => "daemon",
            Self::Command => "command",
        }
    }
}

/// A write that wants to be entered.
pub struct Write<'a> {
    pub check: &'a CheckId,
    pub run: &'a str,
    pub now: Timestamp,
    pub held_until: Timestamp,
    pub holder: &'static str,
    pub budget: Budget,
}

/// What became of a canary that was to end or to be let go of.
pub enum Outcome {
    /// It did.
    Changed,
    /// It had ended before.
    Over,
    /// There is none.
    Unknown,
}

/// What became of captures to keep.
pub enum Kept {
    Done,
    NotEntered,
    /// They would take so many bytes.
    TooLarge(usize),
}

/// What a run wants, as [`crate::model::ledger::Ledger`] words it.
pub enum Job {
    Enter { check: CheckId, run: String, now: Timestamp, held_until: Timestamp, budget: Budget },
    Keep { run: String, kept: Map<String, Value> },
    Settle { run: String, state: CanaryState, at: Timestamp },
    Take { check: CheckId, now: Timestamp, until: Timestamp },
    Failed { run: String, not_before: Timestamp },
    LetGo { run: String },
    Open { check: CheckId },
    Tally { check: CheckId },
}

impl Job {
    pub const fn only_reads(&self) -> bool {
        matches!(self, Self::Open { .. } | Self::Tally { .. })
    }
}

/// What became of it.
pub enum Done {
    Entered(Entry),
    Kept(Kept),
    Changed(Outcome),
    Canaries(Vec<Canary>),
    Tally(Tally),
}

/// The columns of a canary, and their order in a row.
pub const COLUMNS: &str = "run, check_name, entered, writes, attempts, not_before, kept";

/// What is kept of a run.
pub fn captures(kept: Option<String>) -> Result<Map<String, Value>, sqlx::Error> {
    kept.map_or_else(|| Ok(Map::new()), |kept| parsed(&kept))
}

/// A canary as its columns hold it.
pub fn canary(
    (run, check, entered, writes, attempts, not_before, kept): (
        String,
        String,
        i64,
        u32,
        u32,
        Option<i64>,
        Option<String>,
    ),
) -> Result<Canary, sqlx::Error> {
    Ok(Canary {
        run,
        check: CheckId::from(check.as_str()),
        entered: time(entered),
        writes,
        attempts,
        not_before: not_before.map(time),
        kept: captures(kept)?,
    })
}

/// What another write may not be entered for: a sweep took the run's own canary, or its clean-up failed.
pub fn own(run: &str, entered: i64, taken: bool, failed: bool) -> Option<Entry> {
    let run = run.to_owned();
    match (taken, failed) {
        (true, _) => Some(Entry::Busy { run }),
        (_, true) => Some(Entry::Unswept { run, entered: time(entered) }),
        _ => None,
    }
}

/// The counts of canaries by outcome; that of the open ones stands under the empty name.
pub fn tally(rows: &[(String, i64)]) -> Tally {
    let count = |state: &str| {
        let found = rows.iter().find(|(found, _)| found == state);
        found.map_or(0, |(_, count)| u64::try_from(*count).unwrap_or(0))
    };
    Tally {
        open: count(""),
        cleaned: count(CanaryState::Cleaned.as_str()),
        swept: count(CanaryState::Swept.as_str()),
        absent: count(CanaryState::Absent.as_str()),
    }
}
