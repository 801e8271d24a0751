//! The ledger of writes: what a check is about to leave in a portal is entered here first, so that
//! it is found and removed whatever happens to the run.
//!
//! A *canary* is what one run wrote. It is open from the moment before the first write is sent until
//! somebody has proved that nothing of it is left.

use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::CheckId;

/// Nobody holds a canary or makes it wait for longer.
pub const LONGEST_WAIT: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// What one run wrote, or was about to write.
#[derive(Clone, Debug, PartialEq)]
pub struct Canary {
    /// The id of the run; stands in what it wrote.
    pub run: String,
    /// Which check.
    pub check: CheckId,
    /// When the first write was entered.
    pub entered: Timestamp,
    /// How many writes were entered.
    pub writes: u32,
    /// Clean-ups and sweeps that failed.
    pub attempts: u32,
    /// Before this nobody takes it, because an attempt failed.
    pub not_before: Option<Timestamp>,
    /// The captures marked `keep`, by name.
    pub kept: Map<String, Value>,
}

/// How a canary ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CanaryState {
    /// The run removed it itself.
    Cleaned,
    /// A sweep found and removed it.
    Swept,
    /// A sweep looked, and nothing was there.
    Absent,
}

impl CanaryState {
    /// The name, as in the database and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cleaned => "cleaned",
            Self::Swept => "swept",
            Self::Absent => "absent",
        }
    }
}

/// The answer to a write that wants to be entered. Only [`Entry::Entered`] allows it to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It is on disk.
    Entered,
    /// Another canary of the check is held: its run, or a sweep of it, is in the middle, in this
    /// process or another one. Also said of the run's own canary once a sweep has taken it.
    Busy {
        /// The run of that canary.
        run: String,
    },
    /// Another canary of the check is open and nobody holds it: it must be swept first.
    Unswept {
        /// The run of that canary.
        run: String,
        /// When it was entered.
        entered: Timestamp,
    },
    /// The check has written as often as it may.
    Spent {
        /// How often.
        written: u64,
    },
}

/// How often a check may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// So many writes …
    pub limit: u64,
    /// … since this instant, at most two days ago (older entries may be gone).
    pub since: Timestamp,
}

/// How many canaries of a check there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Open.
    pub open: u64,
    /// Ended as [`CanaryState::Cleaned`], while the ledger remembers.
    pub cleaned: u64,
    /// Ended as [`CanaryState::Swept`], while the ledger remembers.
    pub swept: u64,
    /// Ended as [`CanaryState::Absent`], while the ledger remembers.
    pub absent: u64,
}

/// Why the ledger could not do it. Without the ledger nothing may be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The file cannot be read or written.
    #[error("the ledger of writes in {file} does not work: {why}; {way_out}")]
    Unusable {
        /// The file.
        file: String,
        /// What happened.
        why: String,
        /// What helps.
        way_out: &'static str,
    },
    /// The run was never entered.
    #[error("the ledger of writes in {file} knows no run {run}; enter a write before it is sent")]
    NotEntered {
        /// The file.
        file: String,
        /// The run.
        run: String,
    },
    /// The kept captures are too large.
    #[error(
        "the kept captures of run {run} take {size} bytes, and the ledger of writes in {file} holds {limit}; keep less"
    )]
    TooLarge {
        /// The file.
        file: String,
        /// The run.
        run: String,
        /// How large they are, as JSON.
        size: usize,
        /// How large they may be.
        limit: usize,
    },
}

/// Where writes are entered. What a call did is on disk, synced, when it returns; the same file may
/// be used by other processes at the same time.
pub trait Ledger: Send + Sync {
    /// Enters a write of `run`, before it is sent; the canary is held until `held_until`, which is
    /// not before the run's deadline. A run may enter as many as its budget allows. Refused while another canary of the check is open.
    fn enter<'a>(
        &'a self,
        check: &'a CheckId,
        run: &'a str,
        now: Timestamp,
        held_until: Timestamp,
        budget: Budget,
    ) -> BoxFuture<'a, Result<Entry, LedgerError>>;

    /// Adds kept captures to a canary, replacing those of the same name.
    fn keep<'a>(
        &'a self,
        run: &'a str,
        kept: &'a Map<String, Value>,
    ) -> BoxFuture<'a, Result<(), LedgerError>>;

    /// Ends a canary. One that has ended stays as it is.
    fn settle<'a>(
        &'a self,
        run: &'a str,
        state: CanaryState,
        at: Timestamp,
    ) -> BoxFuture<'a, Result<(), LedgerError>>;

    /// Takes the check's open canaries that nobody holds and whose time has come, oldest first; what
    /// waits longer than [`LONGEST_WAIT`] was noted before the clock went back, and waits no more. They
    /// are held until `until` (not before the sweep must have ended), so that two instances never sweep the same one, and their runs can
    /// enter nothing more.
    fn take<'a>(
        &'a self,
        check: &'a CheckId,
        now: Timestamp,
        until: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<Canary>, LedgerError>>;

    /// Notes that a clean-up or sweep failed, and lets go of the canary: it can be taken again from
    /// `not_before` on.
    fn failed<'a>(&'a self, run: &'a str, not_before: Timestamp) -> BoxFuture<'a, Result<(), LedgerError>>;

    /// Lets go of a canary that was taken and not tried: it can be taken again at once.
    fn release<'a>(&'a self, run: &'a str) -> BoxFuture<'a, Result<(), LedgerError>>;

    /// The check's open canaries, whoever holds them, oldest first. Changes nothing.
    fn open<'a>(&'a self, check: &'a CheckId) -> BoxFuture<'a, Result<Vec<Canary>, LedgerError>>;

    /// How many canaries the check has.
    fn tally<'a>(&'a self, check: &'a CheckId) -> BoxFuture<'a, Result<Tally, LedgerError>>;
}
