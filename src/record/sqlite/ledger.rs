//! The ledger of writes, in the database's own file.
//!
//! It has a connection of its own that syncs every commit, whatever `storage.synchronous` says: a
//! write must be on disk before it is sent. SQLite's locks make it safe for several processes;
//! `check --write` uses it beside the daemon.
//!
//! What several runs want at the same time is committed together (`batch`).
//!
//! The connection is opened at the first use and again when the file was replaced. Nothing is held
//! in memory: what the file refuses is an error, and then nothing may be written in a portal.

mod batch;
mod entries;
mod fault;

use std::fmt;
use std::path::{Path, PathBuf};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::{Map, Value};
use sqlx::Connection as _;
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};

use super::beside::{self, Seat};
use super::error;
use crate::model::CheckId;
use crate::model::ledger::{Budget, Canary, CanaryState, Entry, Ledger, LedgerError, Tally};
use crate::record::StoreError;
use crate::record::canaries::{Done, Holder, Job, KEPT, Kept, Outcome, Waiting};
use crate::telemetry::telemetry;

/// The ledger on disk.
pub struct SqliteLedger {
    path: PathBuf,
    holder: Holder,
    desk: Mutex<Desk>,
    /// What is to be done by whoever sits down at the desk next.
    waiting: std::sync::Mutex<Vec<Waiting>>,
}

impl fmt::Debug for SqliteLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqliteLedger({:?}, {:?})", self.path, self.holder)
    }
}

#[derive(Debug, Default)]
struct Desk {
    /// The store of this process is open, or this is a command.
    allowed: bool,
    /// What a daemon before this one held is free.
    released: bool,
    seat: Option<Seat>,
}

impl SqliteLedger {
    /// The daemon's. It refuses everything until [`SqliteLedger::allow`].
    pub fn of_daemon(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            holder: Holder::Daemon,
            desk: Mutex::default(),
            waiting: Default::default(),
        }
    }

    /// A command's. Makes the database at the first use if there is none.
    pub fn of_command(path: &Path) -> Self {
        let desk = Desk { allowed: true, released: true, seat: None };
        Self {
            path: path.to_owned(),
            holder: Holder::Command,
            desk: Mutex::new(desk),
            waiting: Default::default(),
        }
    }

    /// The daemon has opened the store, so that the file is prepared and no other daemon uses it.
    /// What an earlier daemon held is let go of before the first use.
    pub async fn allow(&self) {
        self.desk.lock().await.allowed = true;
    }

    /// Closes the connection. The next use opens it again.
    pub async fn close(&self) {
        if let Some(seat) = self.desk.lock().await.seat.take() {
            seat.connection.close().await.ok();
        }
    }

    /// The connection, for one transaction.
    async fn seat(&self) -> Result<MappedMutexGuard<'_, Seat>, LedgerError> {
        let mut desk = self.desk.lock().await;
        if !desk.allowed {
            return Err(fault::closed(&self.path));
        }
        if !desk.is_seated(&self.path).await {
            desk.seat = None;
            let mut seat = self.connect().await.map_err(|why| fault::of(&self.path, why))?;
            if !desk.released {
                let released = entries::release(&mut seat.connection, self.holder.as_str()).await;
                released.map_err(|why| self.fault(&why))?;
                desk.released = true;
            }
            desk.seat = Some(seat);
        }
        MutexGuard::try_map(desk, |desk| desk.seat.as_mut()).map_err(|_| fault::closed(&self.path))
    }

    async fn connect(&self) -> Result<Seat, StoreError> {
        if self.holder == Holder::Command {
            beside::prepare(&self.path).await?;
        }
        Seat::of_writer(&self.path).await
    }

    fn fault(&self, why: &sqlx::Error) -> LedgerError {
        fault::of(&self.path, error::of(&self.path, why))
    }

    fn done<T>(&self, seat: &mut Seat, done: Result<T, sqlx::Error>) -> Result<T, LedgerError> {
        done.map_err(|why| {
            seat.failed = true;
            self.fault(&why)
        })
    }

    fn file(&self) -> String {
        self.path.display().to_string()
    }

    fn not_entered(&self, run: &str) -> LedgerError {
        LedgerError::NotEntered { file: self.file(), run: run.to_owned() }
    }

    /// Counts what ended or failed; what had ended before is not counted twice.
    fn counted(&self, run: &str, outcome: Outcome, name: &str) -> Result<(), LedgerError> {
        match outcome {
            Outcome::Changed => telemetry().canaries.with_label_values(&[name]).inc(),
            Outcome::Over => {}
            Outcome::Unknown => return Err(self.not_entered(run)),
        }
        Ok(())
    }
}

impl Desk {
    /// Whether there is a connection that can be used.
    async fn is_seated(&mut self, path: &Path) -> bool {
        match &mut self.seat {
            Some(seat) => seat.is_usable(path).await,
            None => false,
        }
    }
}

impl Ledger for SqliteLedger {
    fn enter<'a>(
        &'a self,
        check: &'a CheckId,
        run: &'a str,
        now: Timestamp,
        held_until: Timestamp,
        budget: Budget,
    ) -> BoxFuture<'a, Result<Entry, LedgerError>> {
        let job = move || Job::Enter { check: check.clone(), run: run.to_owned(), now, held_until, budget };
        Box::pin(async move {
            match self.ask(job).await? {
                Done::Entered(entry) => Ok(entry),
                _ => Err(fault::mixed_up(&self.path)),
            }
        })
    }

    fn keep<'a>(
        &'a self,
        run: &'a str,
        kept: &'a Map<String, Value>,
    ) -> BoxFuture<'a, Result<(), LedgerError>> {
        Box::pin(async move {
            match self.ask(|| Job::Keep { run: run.to_owned(), kept: kept.clone() }).await? {
                Done::Kept(Kept::Done) => Ok(()),
                Done::Kept(Kept::NotEntered) => Err(self.not_entered(run)),
                Done::Kept(Kept::TooLarge(size)) => {
                    let (file, run) = (self.file(), run.to_owned());
                    Err(LedgerError::TooLarge { file, run, size, limit: KEPT })
                }
                _ => Err(fault::mixed_up(&self.path)),
            }
        })
    }

    fn settle<'a>(
        &'a self,
        run: &'a str,
        state: CanaryState,
        at: Timestamp,
    ) -> BoxFuture<'a, Result<(), LedgerError>> {
        Box::pin(async move {
            match self.ask(|| Job::Settle { run: run.to_owned(), state, at }).await? {
                Done::Settled(outcome) => self.counted(run, outcome, state.as_str()),
                _ => Err(fault::mixed_up(&self.path)),
            }
        })
    }

    fn take<'a>(
        &'a self,
        check: &'a CheckId,
        now: Timestamp,
        until: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<Canary>, LedgerError>> {
        Box::pin(async move {
            let mut seat = self.seat().await?;
            let taken = entries::take(&mut seat.connection, check, now, until, self.holder.as_str()).await;
            self.done(&mut seat, taken)
        })
    }

    fn failed<'a>(&'a self, run: &'a str, not_before: Timestamp) -> BoxFuture<'a, Result<(), LedgerError>> {
        Box::pin(async move {
            let mut seat = self.seat().await?;
            let done = entries::failed(&mut seat.connection, run, not_before).await;
            let outcome = self.done(&mut seat, done)?;
            self.counted(run, outcome, "failed")
        })
    }

    fn release<'a>(&'a self, run: &'a str) -> BoxFuture<'a, Result<(), LedgerError>> {
        Box::pin(async move {
            let mut seat = self.seat().await?;
            let done = entries::let_go(&mut seat.connection, run).await;
            match self.done(&mut seat, done)? {
                Outcome::Unknown => Err(self.not_entered(run)),
                Outcome::Changed | Outcome::Over => Ok(()),
            }
        })
    }

    fn open<'a>(&'a self, check: &'a CheckId) -> BoxFuture<'a, Result<Vec<Canary>, LedgerError>> {
        Box::pin(async move {
            match self.ask(|| Job::Open { check: check.clone() }).await? {
                Done::Open(open) => Ok(open),
                _ => Err(fault::mixed_up(&self.path)),
            }
        })
    }

    fn tally<'a>(&'a self, check: &'a CheckId) -> BoxFuture<'a, Result<Tally, LedgerError>> {
        Box::pin(async move {
            let mut seat = self.seat().await?;
            let tally = entries::tally(&mut seat.connection, check).await;
            self.done(&mut seat, tally)
        })
    }
}

#[cfg(test)]
mod tests;
