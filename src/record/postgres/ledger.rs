//! The ledger of writes, in the database.
//!
//! It has a connection of its own that waits for the disk at every commit, whatever
//! `storage.synchronous` says: a write must be on disk before it is sent. What decides on an entry
//! and makes it is one transaction under a lock of the ledger, so that several processes may use it;
//! `check --write` does, beside the daemon.
//!
//! Nothing is held in memory: what the database refuses is an error, and then nothing may be written
//! in a portal.

mod entries;

use std::fmt;
use std::sync::Arc;

use sqlx::{Connection as _, PgConnection, Postgres, Transaction};
use tokio::sync::{Mutex, MutexGuard};

use super::link::{Link, is_alive, part, patiently};
use super::{beside, error, lease};
use crate::model::database::Access;
use crate::model::ledger::LedgerError;
use crate::record::StoreError;
use crate::record::canaries::{Done, Holder, Job, KEPT, Write};
use crate::record::group::{Bench, Group};
use crate::record::tenure::Tenure;

/// The ledger in a database.
pub type PostgresLedger = Group<PostgresBench>;

/// The database of a ledger.
pub struct PostgresBench {
    link: Link,
    holder: Holder,
    desk: Mutex<Desk>,
}

impl fmt::Debug for PostgresLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresLedger({}, {:?})", self.bench.place(), self.bench.holder)
    }
}

/// What the connection to the database lies on.
#[derive(Debug, Default)]
pub struct Desk {
    /// The store of this process is open, or this is a command.
    allowed: bool,
    /// What a daemon before this one held is free.
    released: bool,
    /// What the daemon leads by; a command needs none.
    tenure: Option<Arc<Tenure>>,
    /// Taken away for each transaction, and put back if that went well.
    connection: Option<PgConnection>,
}

/// Begins a transaction; a daemon's only while it leads.
async fn begin<'c>(
    connection: &'c mut PgConnection,
    tenure: Option<&Tenure>,
) -> Result<Transaction<'c, Postgres>, sqlx::Error> {
    match tenure {
        Some(tenure) => lease::begin(connection, tenure.token()).await,
        None => connection.begin().await,
    }
}

impl PostgresLedger {
    /// The daemon's. It refuses everything until [`PostgresLedger::allow`].
    pub fn of_daemon(access: Access) -> Self {
        Self::at(access, Holder::Daemon, Desk::default())
    }

    /// A command's. Prepares the database at the first use if it is not.
    pub fn of_command(access: Access) -> Self {
        Self::at(access, Holder::Command, Desk { allowed: true, released: true, ..Desk::default() })
    }

    fn at(access: Access, holder: Holder, desk: Desk) -> Self {
        Self::new(PostgresBench { link: Link::new(access), holder, desk: Mutex::new(desk) })
    }

    /// The daemon has opened the store, so that the database is prepared, and leads there.
    /// What an earlier daemon held is let go of before the first use.
    pub async fn allow(&self, tenure: Arc<Tenure>) {
        let mut desk = self.bench.desk.lock().await;
        desk.allowed = true;
        desk.tenure = Some(tenure);
    }

    /// Closes the connection. The next use opens it again.
    pub async fn close(&self) {
        if let Some(connection) = self.bench.desk.lock().await.connection.take() {
            part(connection).await;
        }
    }
}

impl PostgresBench {
    async fn connect(&self) -> Result<PgConnection, StoreError> {
        if self.holder == Holder::Command {
            beside::prepare(&self.link).await?;
        }
        beside::promise(&self.link).await
    }

    async fn release(&self, desk: &Desk, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let mut transaction = begin(connection, desk.tenure.as_deref()).await?;
        entries::release(&mut transaction, self.holder.as_str()).await?;
        transaction.commit().await
    }

    fn fault(&self, why: &sqlx::Error) -> LedgerError {
        self.unusable(self.link.fault(why))
    }

    fn unusable(&self, fault: StoreError) -> LedgerError {
        let (why, way_out) = error::way_out(fault);
        LedgerError::Unusable { file: self.place(), why, way_out }
    }

    fn closed(&self) -> LedgerError {
        let why = "the daemon's store is not open".to_owned();
        LedgerError::Unusable { file: self.place(), why, way_out: "the log and /readyz say why" }
    }

    async fn commit(
        &self,
        connection: &mut PgConnection,
        tenure: Option<&Tenure>,
        jobs: &[&Job],
    ) -> Result<Vec<Done>, sqlx::Error> {
        let mut done = Vec::with_capacity(jobs.len());
        if jobs.iter().all(|job| job.only_reads()) {
            for job in jobs {
                done.push(self.job(connection, job).await?);
            }
            return Ok(done);
        }
        let mut transaction = begin(connection, tenure).await?;
        entries::alone(&mut transaction).await?;
        for job in jobs {
            done.push(self.job(&mut transaction, job).await?);
        }
        transaction.commit().await?;
        Ok(done)
    }

    async fn job(&self, connection: &mut PgConnection, job: &Job) -> Result<Done, sqlx::Error> {
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

impl Bench for PostgresBench {
    type Desk = Desk;

    fn place(&self) -> String {
        self.link.access.place()
    }

    async fn sit(&self) -> Result<MutexGuard<'_, Desk>, LedgerError> {
        let mut desk = self.desk.lock().await;
        if !desk.allowed {
            return Err(self.closed());
        }
        if let Some(mut connection) = desk.connection.take()
            && is_alive(&mut connection).await
        {
            desk.connection = Some(connection);
            return Ok(desk);
        }
        let mut connection = self.connect().await.map_err(|why| self.unusable(why))?;
        if !desk.released {
            let released = patiently(self.release(&desk, &mut connection)).await;
            released.map_err(|why| self.fault(&why))?;
            desk.released = true;
        }
        desk.connection = Some(connection);
        Ok(desk)
    }

    async fn work(&self, desk: &mut Desk, jobs: &[&Job]) -> Result<Vec<Done>, LedgerError> {
        let Some(mut connection) = desk.connection.take() else { return Err(self.closed()) };
        let done = patiently(self.commit(&mut connection, desk.tenure.as_deref(), jobs)).await;
        let done = done.map_err(|why| self.fault(&why))?;
        desk.connection = Some(connection);
        Ok(done)
    }
}

#[cfg(test)]
mod tests;
