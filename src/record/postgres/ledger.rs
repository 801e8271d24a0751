//! The ledger of writes, in the database.
//!
//! It has a connection of its own that waits for the disk at every commit, whatever
//! `storage.synchronous` says: a write must be on disk before it is sent. What decides on an entry
//! and makes it is one transaction under a lock of the ledger, so that several processes may use it;
//! `check --write` does, beside the daemon.
//!
//! What several runs want at the same time is committed together (`batch`). Nothing is held in
//! memory: what the database refuses is an error, and then nothing may be written in a portal.

mod batch;
mod entries;

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::{Map, Value};
use sqlx::{Connection as _, PgConnection, Postgres, Transaction};
use tokio::sync::{Mutex, MutexGuard};

use super::link::{Link, is_alive, part, patiently};
use super::{beside, error, lease};
use crate::model::CheckId;
use crate::model::database::Access;
use crate::model::ledger::{Budget, Canary, CanaryState, Entry, Ledger, LedgerError, Tally};
use crate::record::StoreError;
use crate::record::canaries::{Done, Holder, Job, KEPT, Kept, Outcome, Waiting};
use crate::record::tenure::Tenure;
use crate::telemetry::telemetry;

/// The ledger in a database.
pub struct PostgresLedger {
    link: Link,
    holder: Holder,
    desk: Mutex<Desk>,
    /// What is to be done by whoever sits down at the desk next.
    waiting: std::sync::Mutex<Vec<Waiting>>,
}

impl fmt::Debug for PostgresLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresLedger({}, {:?})", self.link.access.place(), self.holder)
    }
}

#[derive(Debug, Default)]
struct Desk {
    /// The store of this process is open, or this is a command.
    allowed: bool,
    /// What a daemon before this one held is free.
    released: bool,
    /// What the daemon leads by; a command needs none.
    tenure: Option<Arc<Tenure>>,
    connection: Option<PgConnection>,
}

/// The connection, taken out for one transaction, and put back if it went well.
struct Sitting<'d> {
    desk: MutexGuard<'d, Desk>,
    connection: PgConnection,
}

impl Sitting<'_> {
    async fn begin(&mut self) -> Result<Transaction<'_, Postgres>, sqlx::Error> {
        begin(&mut self.connection, self.desk.tenure.as_deref()).await
    }
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
        Self::new(access, Holder::Daemon, Desk::default())
    }

    /// A command's. Prepares the database at the first use if it is not.
    pub fn of_command(access: Access) -> Self {
        Self::new(access, Holder::Command, Desk { allowed: true, released: true, ..Desk::default() })
    }

    fn new(access: Access, holder: Holder, desk: Desk) -> Self {
        Self { link: Link::new(access), holder, desk: Mutex::new(desk), waiting: Default::default() }
    }

    /// The daemon has opened the store, so that the database is prepared, and leads there.
    /// What an earlier daemon held is let go of before the first use.
    pub async fn allow(&self, tenure: Arc<Tenure>) {
        let mut desk = self.desk.lock().await;
        desk.allowed = true;
        desk.tenure = Some(tenure);
    }

    /// Closes the connection. The next use opens it again.
    pub async fn close(&self) {
        if let Some(connection) = self.desk.lock().await.connection.take() {
            part(connection).await;
        }
    }

    async fn sit(&self) -> Result<Sitting<'_>, LedgerError> {
        let mut desk = self.desk.lock().await;
        if !desk.allowed {
            let why = "the daemon's store is not open".to_owned();
            return Err(LedgerError::Unusable {
                file: self.file(),
                why,
                way_out: "the log and /readyz say why",
            });
        }
        if let Some(mut connection) = desk.connection.take()
            && is_alive(&mut connection).await
        {
            return Ok(Sitting { desk, connection });
        }
        let mut connection = self.connect().await.map_err(|why| self.unusable(why))?;
        if !desk.released {
            let released = patiently(async {
                let mut transaction = begin(&mut connection, desk.tenure.as_deref()).await?;
                entries::release(&mut transaction, self.holder.as_str()).await?;
                transaction.commit().await
            });
            let released = released.await;
            released.map_err(|why| self.fault(&why))?;
            desk.released = true;
        }
        Ok(Sitting { desk, connection })
    }

    async fn connect(&self) -> Result<PgConnection, StoreError> {
        if self.holder == Holder::Command {
            beside::prepare(&self.link).await?;
        }
        beside::promise(&self.link).await
    }

    fn done<T>(&self, mut sitting: Sitting<'_>, done: Result<T, sqlx::Error>) -> Result<T, LedgerError> {
        let done = done.map_err(|why| self.fault(&why))?;
        sitting.desk.connection = Some(sitting.connection);
        Ok(done)
    }

    fn fault(&self, why: &sqlx::Error) -> LedgerError {
        self.unusable(self.link.fault(why))
    }

    fn unusable(&self, fault: StoreError) -> LedgerError {
        let (why, way_out) = error::way_out(fault);
        LedgerError::Unusable { file: self.file(), why, way_out }
    }

    fn file(&self) -> String {
        self.link.access.place()
    }

    fn not_entered(&self, run: &str) -> LedgerError {
        LedgerError::NotEntered { file: self.file(), run: run.to_owned() }
    }

    /// The answer is not to the question; a fault of this program.
    fn mixed_up(&self) -> LedgerError {
        LedgerError::Unusable {
            file: self.file(),
            why: "the answer belongs to another question, which is a bug of portalwatch".to_owned(),
            way_out: "report it",
        }
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

impl Ledger for PostgresLedger {
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
                _ => Err(self.mixed_up()),
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
                _ => Err(self.mixed_up()),
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
                _ => Err(self.mixed_up()),
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
            let mut sitting = self.sit().await?;
            let holder = self.holder.as_str();
            let taken = patiently(async {
                let mut transaction = sitting.begin().await?;
                let taken = entries::take(&mut transaction, check, now, until, holder).await?;
                transaction.commit().await?;
                Ok(taken)
            });
            let taken = taken.await;
            self.done(sitting, taken)
        })
    }

    fn failed<'a>(&'a self, run: &'a str, not_before: Timestamp) -> BoxFuture<'a, Result<(), LedgerError>> {
        Box::pin(async move {
            let mut sitting = self.sit().await?;
            let done = patiently(async {
                let mut transaction = sitting.begin().await?;
                let done = entries::failed(&mut transaction, run, not_before).await?;
                transaction.commit().await?;
                Ok(done)
            });
            let done = done.await;
            let outcome = self.done(sitting, done)?;
            self.counted(run, outcome, "failed")
        })
    }

    fn release<'a>(&'a self, run: &'a str) -> BoxFuture<'a, Result<(), LedgerError>> {
        Box::pin(async move {
            let mut sitting = self.sit().await?;
            let done = patiently(async {
                let mut transaction = sitting.begin().await?;
                let done = entries::let_go(&mut transaction, run).await?;
                transaction.commit().await?;
                Ok(done)
            });
            let done = done.await;
            match self.done(sitting, done)? {
                Outcome::Unknown => Err(self.not_entered(run)),
                Outcome::Changed | Outcome::Over => Ok(()),
            }
        })
    }

    fn open<'a>(&'a self, check: &'a CheckId) -> BoxFuture<'a, Result<Vec<Canary>, LedgerError>> {
        Box::pin(async move {
            match self.ask(|| Job::Open { check: check.clone() }).await? {
                Done::Open(open) => Ok(open),
                _ => Err(self.mixed_up()),
            }
        })
    }

    fn tally<'a>(&'a self, check: &'a CheckId) -> BoxFuture<'a, Result<Tally, LedgerError>> {
        Box::pin(async move {
            let mut sitting = self.sit().await?;
            let tally = patiently(entries::tally(&mut sitting.connection, check)).await;
            self.done(sitting, tally)
        })
    }
}

#[cfg(test)]
mod tests;
