//! In a PostgreSQL: one writer, a few read-only readers.
//!
//! Of the daemons on one database one leads (`lease`); each transaction of the writer makes sure of
//! that. A connection that broke is made again at the next use, behind what is left of the one before.
//!
//! Nobody may know whether a commit took effect whose connection was cut. It is repeated, and each of
//! its rows has a key under which the repetition finds what is there.
//!
//! Results are in one partition for each day (`days`), keyed by check and time: the history of one
//! check is read without those of others, and an old day goes whole.

pub mod bare;
pub mod baselines;
mod beside;
mod commit;
mod days;
mod error;
mod figures;
mod guard;
pub mod lease;
pub mod ledger;
mod link;
mod outbox;
mod past;
mod prune;
mod session;
pub mod upkeep;
mod write;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex as StdMutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use sqlx::{PgConnection, Transaction};
use tokio::sync::{Mutex, MutexGuard};

use self::lease::Lease;
use self::link::{Link, Purpose, Readers, is_alive, part, patiently};
use self::session::{
    backend, end, known, migrate_leading, refuse_newer, refuse_older, refuse_unfinished, tables,
};
use super::rows::without_nul;
use super::tenure::{Tenure, running};
use super::{Claimed, Cutoffs, Gap, LastFacts, ResultRow, Resumed, Settled, Store, StoreError, Transition};
use crate::model::database::Access;
use crate::model::{CheckId, Incident};

/// What the database is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Writes: migrates it and takes the lease, unless another daemon has it. It does not renew it.
    Daemon {
        /// Wait for the disk at every commit (`storage.synchronous: full`), or leave the last commits
        /// to the system's mercy in a power cut (`normal`).
        full_sync: bool,
    },
    /// Only reads: needs no lock and never migrates.
    Reader,
}

/// The store in a database.
#[derive(Debug)]
pub struct Postgres {
    link: Arc<Link>,
    seat: Mutex<Seat>,
    readers: Readers,
    /// Who writes leads.
    tenure: Arc<Tenure>,
    /// The lease, where the store took it itself.
    lease: Mutex<Option<Lease>>,
    /// The days that have a partition, as far as is known.
    days: StdMutex<BTreeSet<i64>>,
}

/// The place of the one connection that writes.
#[derive(Debug, Default)]
struct Seat {
    /// How to write; `None` for a reader, and after the end.
    how: Option<Purpose>,
    writer: Option<Writer>,
    /// The server's process behind the last connection.
    last: Option<Backend>,
    /// Which tables these are: another database under the same name knows nothing.
    tables: Option<Tables>,
    /// The start of this daemon's row in `runs`, and the last sign of life noted there.
    run: Option<(i64, i64)>,
}

/// The one connection that writes, and what it knows of the rows it wrote.
#[derive(Debug)]
struct Writer {
    connection: PgConnection,
    tenure: Arc<Tenure>,
    checks: HashMap<CheckId, Known>,
    run: Option<(i64, i64)>,
}

/// A process of the server: its number, and when it began.
type Backend = (i32, String);
/// The numbers of the database and of one of its tables.
type Tables = (i64, Option<i64>);

/// A check's row, as far as commits need it.
#[derive(Clone, Copy, Debug)]
struct Known {
    id: i64,
    removed: bool,
    /// The start of the newest result its row knows of.
    noted: Option<i64>,
}

/// The writer, taken out of its seat for one transaction. Put back by [`Sitting::done`] alone: a
/// connection that anything happened to is closed.
struct Sitting<'s> {
    seat: MutexGuard<'s, Seat>,
    writer: Writer,
    link: &'s Link,
}

impl Sitting<'_> {
    fn done<T>(mut self, done: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        match done {
            Ok(done) => {
                self.seat.run = self.writer.run;
                self.seat.writer = Some(self.writer);
                Ok(done)
            }
            Err(why) => Err(self.link.fault(&why)),
        }
    }
}

impl Writer {
    /// Begins a transaction, unless another daemon leads.
    async fn begin(&mut self) -> Result<Transaction<'_, sqlx::Postgres>, sqlx::Error> {
        lease::begin(&mut self.connection, self.tenure.token()).await
    }
}

impl Postgres {
    /// Opens the database.
    ///
    /// # Errors
    /// [`StoreError::Newer`] for a schema this version does not know, [`StoreError::Locked`] while
    /// another daemon uses the database, and whatever the server refuses.
    pub async fn open(access: Access, mode: Mode) -> Result<Self, StoreError> {
        match mode {
            Mode::Daemon { full_sync } => {
                let mut lease = Lease::new(access.clone(), lease::name());
                lease.look().await?;
                let Some(token) = lease.take().await? else {
                    let why = "another portalwatch daemon uses this database".into();
                    return Err(StoreError::Locked { path: access.place(), why });
                };
                let tenure = Arc::new(Tenure::new(token, running() + lease::LEASE));
                let mut store = Self::lead(access, full_sync, tenure).await?;
                *store.lease.get_mut() = Some(lease);
                Ok(store)
            }
            Mode::Reader => {
                let store = Self::at(access, Arc::new(Tenure::new(0, Duration::ZERO)));
                let mut reader = store.readers.take().await?;
                refuse_newer(&store.link, &mut reader.connection).await?;
                refuse_older(&store.link, &mut reader.connection).await?;
                refuse_unfinished(&store.link, &mut reader.connection).await?;
                reader.done(Ok(()))?;
                Ok(store)
            }
        }
    }

    /// Opens it for the daemon that leads.
    ///
    /// # Errors
    /// As [`Postgres::open`], and [`StoreError::Fenced`] if it does not lead any more.
    pub async fn lead(access: Access, full_sync: bool, tenure: Arc<Tenure>) -> Result<Self, StoreError> {
        let mut store = Self::at(access, tenure);
        store.begin_writing(Purpose::Write { full_sync }).await?;
        Ok(store)
    }

    fn at(access: Access, tenure: Arc<Tenure>) -> Self {
        let link = Arc::new(Link::new(access));
        let readers = Readers::new(Arc::clone(&link));
        let (seat, lease, days) = (Mutex::default(), Mutex::default(), StdMutex::default());
        Self { link, seat, readers, tenure, lease, days }
    }

    async fn begin_writing(&mut self, how: Purpose) -> Result<(), StoreError> {
        let mut seat = Seat { how: Some(how), ..Seat::default() };
        let mut connection = self.link.connect(how).await?;
        refuse_newer(&self.link, &mut connection).await?;
        refuse_unfinished(&self.link, &mut connection).await?;
        migrate_leading(&self.link, &mut connection, self.tenure.token()).await?;
        let fenced = patiently(async {
            let transaction = lease::begin(&mut connection, self.tenure.token()).await?;
            transaction.rollback().await
        });
        fenced.await.map_err(|why| self.link.fault(&why))?;
        seat.tables = Some(patiently(tables(&mut connection)).await.map_err(|why| self.link.fault(&why))?);
        seat.writer = Some(self.settle_in(&mut seat.last, connection, None).await?);
        *self.seat.get_mut() = seat;
        Ok(())
    }

    /// What a connection has to know before it writes.
    async fn settle_in(
        &self,
        last: &mut Option<Backend>,
        mut connection: PgConnection,
        run: Option<(i64, i64)>,
    ) -> Result<Writer, StoreError> {
        let learned = patiently(async {
            let backend = backend(&mut connection).await?;
            Ok((backend, known(&mut connection).await?, days::attached(&mut connection).await?))
        });
        let (backend, checks, days) = learned.await.map_err(|why| self.link.fault(&why))?;
        *self.days() = days;
        *last = Some(backend);
        Ok(Writer { connection, tenure: Arc::clone(&self.tenure), checks, run })
    }

    /// The writer's seat, taken for one transaction at a time.
    async fn sit(&self) -> Result<Sitting<'_>, StoreError> {
        let mut seat = self.seat.lock().await;
        let Some(how) = seat.how else { return Err(self.closed()) };
        if let Some(mut writer) = seat.writer.take()
            && is_alive(&mut writer.connection).await
        {
            return Ok(Sitting { seat, writer, link: &self.link });
        }
        let writer = self.sit_down_again(&mut seat, how).await?;
        Ok(Sitting { seat, writer, link: &self.link })
    }

    async fn sit_down_again(&self, seat: &mut Seat, how: Purpose) -> Result<Writer, StoreError> {
        let mut connection = self.link.connect(how).await?;
        if let Some(last) = &seat.last {
            patiently(end(&mut connection, last)).await.map_err(|why| self.link.fault(&why))?;
        }
        // Whoever led meanwhile may have been of a newer version.
        refuse_newer(&self.link, &mut connection).await?;
        refuse_unfinished(&self.link, &mut connection).await?;
        let found = patiently(tables(&mut connection)).await.map_err(|why| self.link.fault(&why))?;
        if seat.tables != Some(found) {
            return Err(error::other(&self.link.access, "the database was replaced while it was in use"));
        }
        let run = seat.run;
        self.settle_in(&mut seat.last, connection, run).await
    }

    fn closed(&self) -> StoreError {
        let why = "opened for reading only, or closed".into();
        StoreError::ReadOnly { path: self.link.access.place(), why }
    }

    async fn leave(&self) {
        self.readers.close().await;
        let mut seat = self.seat.lock().await;
        seat.how = None;
        if let Some(writer) = seat.writer.take() {
            part(writer.connection).await;
        }
        if let Some(mut lease) = self.lease.lock().await.take() {
            // Else it runs out.
            lease.release(self.tenure.token()).await.ok();
            lease.close().await;
        }
    }
}

impl Store for Postgres {
    fn commit<'a>(&'a self, batch: &'a [Transition]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.write_batch(batch))
    }

    fn resume(&self) -> BoxFuture<'_, Result<Vec<Resumed>, StoreError>> {
        Box::pin(self.read_resumed())
    }

    fn claim(&self, now: Timestamp, lease: Duration) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>> {
        Box::pin(self.claim_due(now, lease))
    }

    fn mark<'a>(&'a self, batch: &'a str, keys: &'a [String]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.write_marks(batch, keys))
    }

    fn settle<'a>(&'a self, settled: &'a [Settled]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.write_settled(settled))
    }

    fn drop_leases(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.forget_leases())
    }

    fn pending(&self) -> BoxFuture<'_, Result<(u64, Option<Timestamp>), StoreError>> {
        Box::pin(self.count_waiting())
    }

    fn open_incidents(&self) -> BoxFuture<'_, Result<Vec<Incident>, StoreError>> {
        Box::pin(self.read_open_incidents())
    }

    fn incidents(&self, from: Timestamp, to: Timestamp) -> BoxFuture<'_, Result<Vec<Incident>, StoreError>> {
        Box::pin(self.read_incidents(from, to))
    }

    fn history<'a>(
        &'a self,
        check: &'a CheckId,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<ResultRow>, StoreError>> {
        Box::pin(self.read_history(check, from, to, limit))
    }

    fn last_facts<'a>(&'a self, check: &'a CheckId) -> BoxFuture<'a, Result<LastFacts, StoreError>> {
        Box::pin(self.read_facts(check))
    }

    fn prune<'a>(&'a self, cutoffs: &'a Cutoffs) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(self.drop_old(cutoffs))
    }

    fn waiting(&self) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>> {
        Box::pin(self.read_waiting())
    }

    fn begin(&self, now: Timestamp) -> BoxFuture<'_, Result<Option<Gap>, StoreError>> {
        Box::pin(self.note_start(now))
    }

    fn note_gaps<'a>(&'a self, gaps: &'a [Gap]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.write_gaps(gaps))
    }

    fn gaps(&self, from: Timestamp, to: Timestamp) -> BoxFuture<'_, Result<Vec<Gap>, StoreError>> {
        Box::pin(self.read_gaps(from, to))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.leave())
    }
}

#[cfg(test)]
pub(in crate::record) mod server;
#[cfg(test)]
mod tests;
