//! The ledger of writes, in the database's own file.
//!
//! It has a connection of its own that syncs every commit, whatever `storage.synchronous` says: a
//! write must be on disk before it is sent. SQLite's locks make it safe for several processes;
//! `check --write` uses it beside the daemon.
//!
//! The connection is opened at the first use and again when the file was replaced. Nothing is held
//! in memory: what the file refuses is an error, and then nothing may be written in a portal.

mod entries;
mod fault;

use std::fmt;
use std::path::{Path, PathBuf};

use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::{Mutex, MutexGuard};

use super::beside::{self, Seat};
use super::error;
use crate::model::ledger::LedgerError;
use crate::record::StoreError;
use crate::record::canaries::{Done, Holder, Job, KEPT, Write};
use crate::record::group::{Bench, Group};

/// The ledger on disk.
pub type SqliteLedger = Group<SqliteBench>;

/// The file of a ledger.
pub struct SqliteBench {
    path: PathBuf,
    holder: Holder,
    desk: Mutex<Desk>,
}

impl fmt::Debug for SqliteLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqliteLedger({:?}, {:?})", self.bench.path, self.bench.holder)
    }
}

/// What the connection to the file lies on.
#[derive(Debug, Default)]
pub struct Desk {
    /// The store of this process is open, or this is a command.
    allowed: bool,
    /// What a daemon before this one held is free.
    released: bool,
    seat: Option<Seat>,
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

impl SqliteLedger {
    /// The daemon's. It refuses everything until [`SqliteLedger::allow`].
    pub fn of_daemon(path: &Path) -> Self {
        Self::new(SqliteBench { path: path.to_owned(), holder: Holder::Daemon, desk: Mutex::default() })
    }

    /// A command's. Makes the database at the first use if there is none.
    pub fn of_command(path: &Path) -> Self {
        let desk = Mutex::new(Desk { allowed: true, released: true, seat: None });
        Self::new(SqliteBench { path: path.to_owned(), holder: Holder::Command, desk })
    }

    /// The daemon has opened the store, so that the file is prepared and no other daemon uses it.
    /// What an earlier daemon held is let go of before the first use.
    pub async fn allow(&self) {
        self.bench.desk.lock().await.allowed = true;
    }

    /// Closes the connection. The next use opens it again.
    pub async fn close(&self) {
        if let Some(seat) = self.bench.desk.lock().await.seat.take() {
            seat.connection.close().await.ok();
        }
    }
}

impl SqliteBench {
    async fn connect(&self) -> Result<Seat, StoreError> {
        if self.holder == Holder::Command {
            beside::prepare(&self.path).await?;
        }
        Seat::of_writer(&self.path).await
    }

    fn fault(&self, why: &sqlx::Error) -> LedgerError {
        fault::of(&self.path, error::of(&self.path, why))
    }

    async fn commit(
        &self,
        connection: &mut SqliteConnection,
        jobs: &[&Job],
    ) -> Result<Vec<Done>, sqlx::Error> {
        let mut done = Vec::with_capacity(jobs.len());
        if jobs.iter().all(|job| job.only_reads()) {
            for job in jobs {
                done.push(self.job(connection, job).await?);
            }
            return Ok(done);
        }
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        for job in jobs {
            done.push(self.job(&mut transaction, job).await?);
        }
        transaction.commit().await?;
        Ok(done)
    }

    async fn job(&self, connection: &mut SqliteConnection, job: &Job) -> Result<Done, sqlx::Error> {
        let holder = self.holder.as_str();
        match job {
            Job::Enter { check, run, now, held_until, budget } => {
                let write = Write { check, run, now: *now, held_until: *held_until, holder, budget: *budget };
                entries::enter(connection, &write).await.map(Done::Entered)
            }
            Job::Keep { run, kept } => entries::keep(connection, run, kept, KEPT).await.map(Done::Kept),
            Job::Settle { run, state, at } => {
                entries::settle(connection, run, *state, *at).await.map(Done::Changed)
            }
            Job::Take { check, now, until } => {
                entries::take(connection, check, *now, *until, holder).await.map(Done::Canaries)
            }
            Job::Failed { run, not_before } => {
                entries::failed(connection, run, *not_before).await.map(Done::Changed)
            }
            Job::LetGo { run } => entries::let_go(connection, run).await.map(Done::Changed),
            Job::Open { check } => entries::open(connection, check).await.map(Done::Canaries),
            Job::Tally { check } => entries::tally(connection, check).await.map(Done::Tally),
        }
    }
}

impl Bench for SqliteBench {
    type Desk = Desk;

    fn place(&self) -> String {
        self.path.display().to_string()
    }

    async fn sit(&self) -> Result<MutexGuard<'_, Desk>, LedgerError> {
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
        Ok(desk)
    }

    async fn work(&self, desk: &mut Desk, jobs: &[&Job]) -> Result<Vec<Done>, LedgerError> {
        let Some(seat) = desk.seat.as_mut() else { return Err(fault::closed(&self.path)) };
        self.commit(&mut seat.connection, jobs).await.map_err(|why| {
            seat.failed = true;
            self.fault(&why)
        })
    }
}

#[cfg(test)]
mod tests;
