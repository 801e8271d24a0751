//! On disk: one SQLite file in WAL mode, one writer, a few read-only readers.
//!
//! Results are kept in key order (time, check), see `migrations/sqlite`: rows arrive in time order,
//! so a commit touches the right edge of the tree alone. The price is that the history of one check
//! reads the range of all of them.
//!
//! The last facts of a check reach the disk when a result is kept in full and else at most every
//! ten minutes, so that an uneventful run costs one small row; after a crash they may be that old.
//! The last result of each check is not written twice: [`Store::resume`] finds it among the newest
//! results, or where the check's row points to.

pub mod bare;
pub mod baselines;
mod beside;
mod commit;
mod error;
mod figures;
pub mod ledger;
mod outbox;
mod past;
pub mod upkeep;

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};
use tokio::time::Instant;

use super::copy::UNFINISHED;
use super::{
    Claimed, Cutoffs, Figures, Gap, Judgements, KeptFacts, KnownCheck, LastFacts, NO_STORE, Ran, ResultRow,
    Resumed, RolledRow, Settled, Store, StoreError, Transition, UptimeRow,
};
use crate::model::{CheckId, Incident};
use crate::stats::rollup::Grain;
use crate::stats::samples::Rules;
use crate::stats::uptime::Standing;
use figures::Marks;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// How long a statement waits for a lock another process holds.
const BUSY: Duration = Duration::from_secs(2);
/// How long a daemon that starts waits for one that ends.
const ENDING: Duration = Duration::from_secs(5);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(50);
/// Connections that read for pages and reports.
const READERS: u32 = 3;

/// What the file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Writes: creates the file (0600), migrates it, and holds `<file>.lock` so that no second
    /// daemon does the same.
    Daemon {
        /// Sync on every commit (`storage.synchronous: full`), or leave the last commits to the
        /// system's mercy in a power cut (`normal`).
        full_sync: bool,
    },
    /// Only reads: needs no lock, never migrates, and finds the file or fails.
    Reader,
}

/// The store on disk.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    identity: (u64, u64),
    writer: Mutex<Option<Writer>>,
    readers: SqlitePool,
}

/// The one connection that writes, and what it knows of the rows it wrote.
#[derive(Debug)]
struct Writer {
    connection: SqliteConnection,
    options: SqliteConnectOptions,
    checks: HashMap<CheckId, Known>,
    /// The start of this daemon's row in `runs`, and the last sign of life noted there.
    run: Option<(i64, i64)>,
    /// Until when everything is rolled up.
    marks: Marks,
    _lock: File,
}

/// A check's row, as far as commits need it.
#[derive(Clone, Copy, Debug)]
struct Known {
    id: i64,
    removed: bool,
    /// The start of the newest result its row knows of.
    noted: Option<i64>,
}

impl Sqlite {
    /// Opens the file.
    ///
    /// # Errors
    /// [`StoreError::Newer`] for a schema this version does not know, [`StoreError::Locked`] while
    /// another daemon has the file, and whatever the disk refuses.
    pub async fn open(path: &Path, mode: Mode) -> Result<Self, StoreError> {
        match mode {
            Mode::Daemon { full_sync } => Self::open_daemon(path, full_sync).await,
            Mode::Reader => Self::open_reader(path).await,
        }
    }

    async fn open_reader(path: &Path) -> Result<Self, StoreError> {
        if !path.try_exists().unwrap_or(true) {
            return Err(error::other(path, "there is no such file; a daemon makes it when it starts"));
        }
        let mut connection = reading(path).connect().await.map_err(|why| error::of(path, &why))?;
        refuse_newer(path, &mut connection).await?;
        refuse_older(path, &mut connection).await?;
        refuse_unfinished(path, &mut connection).await?;
        let identity = identity(path).map_err(|why| error::io(path, &why))?;
        let readers = pool(path);
        Ok(Self { path: path.to_owned(), identity, writer: Mutex::new(None), readers })
    }

    async fn open_daemon(path: &Path, full_sync: bool) -> Result<Self, StoreError> {
        let lock = lock(path)?;
        create(path).map_err(|why| error::io(path, &why))?;
        let (mut connection, options) = prepared(path, full_sync).await?;
        refuse_unfinished(path, &mut connection).await?;
        let checks = known(&mut connection).await.map_err(|why| error::of(path, &why))?;
        let marks = Marks::read(&mut connection).await.map_err(|why| error::of(path, &why))?;
        let identity = identity(path).map_err(|why| error::io(path, &why))?;
        let writer = Writer { connection, options, checks, run: None, marks, _lock: lock };
        Ok(Self { path: path.to_owned(), identity, writer: Mutex::new(Some(writer)), readers: pool(path) })
    }

    /// The writer's seat, taken for one transaction at a time. SQLite rolls back by itself when a
    /// commit finds the disk full, which the library does not notice: such a connection begins
    /// nothing any more, and is replaced.
    async fn seat(&self) -> Result<MappedMutexGuard<'_, Writer>, StoreError> {
        let seat = self.writer.lock().await;
        let mut writer = MutexGuard::try_map(seat, Option::as_mut).map_err(|_| self.closed())?;
        if writer.connection.is_in_transaction() {
            // The rollback may still be on its way.
            writer.connection.ping().await.map_err(|why| self.fault(&why))?;
        }
        if writer.connection.is_in_transaction() {
            writer.connection = writer.options.connect().await.map_err(|why| self.fault(&why))?;
        }
        Ok(writer)
    }

    fn fault(&self, why: &sqlx::Error) -> StoreError {
        error::of(&self.path, why)
    }

    fn closed(&self) -> StoreError {
        StoreError::ReadOnly {
            path: self.path.display().to_string(),
            why: "opened for reading only, or closed".into(),
        }
    }

    /// A file that was moved away or replaced takes writes that nobody will ever read.
    fn still_there(&self) -> Result<(), StoreError> {
        match identity(&self.path) {
            Ok(found) if found == self.identity => Ok(()),
            Ok(_) => Err(error::other(&self.path, "the file was replaced while it was open")),
            Err(why) => Err(error::other(&self.path, &format!("the file is gone: {why}"))),
        }
    }
}

/// A connection that writes, to a file with the schema of this version.
async fn prepared(
    path: &Path,
    full_sync: bool,
) -> Result<(SqliteConnection, SqliteConnectOptions), StoreError> {
    let sync = if full_sync { SqliteSynchronous::Full } else { SqliteSynchronous::Normal };
    // The schema is looked at before anything is written, WAL mode included.
    let plain = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY).disable_statement_logging();
    let mut first = plain.clone().connect().await.map_err(|why| error::of(path, &why))?;
    refuse_newer(path, &mut first).await?;
    first.close().await.map_err(|why| error::of(path, &why))?;
    let options = plain.journal_mode(SqliteJournalMode::Wal).synchronous(sync);
    let mut connection = options.connect().await.map_err(|why| error::of(path, &why))?;
    MIGRATIONS.run_direct(None, &mut connection, false).await.map_err(|why| error::migrate(path, why))?;
    Ok((connection, options))
}

fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    std::fs::metadata(path).map(|found| (found.dev(), found.ino()))
}

fn reading(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(BUSY).disable_statement_logging()
}

fn pool(path: &Path) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(Duration::from_secs(10))
        .connect_lazy_with(reading(path))
}

fn create(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(why) if why.kind() != std::io::ErrorKind::AlreadyExists => Err(why),
        _ => Ok(()),
    }
}

/// Holds `<file>.lock` for as long as the returned file is open; the system lets go of it when the
/// process dies, however it dies.
fn lock(path: &Path) -> Result<File, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    if let Some(folder) = name.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|why| error::io(path, &why))?;
    }
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&name);
    let file = file.map_err(|why| error::io(&name, &why))?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::Locked {
            path: path.display().to_string(),
            why: format!("another portalwatch daemon holds {}; stop it first", name.display()),
        }),
        Err(why) => Err(error::io(&name, &why.into())),
    }
}

/// Refuses a file that another daemon uses. Whatever else is wrong with it is said by who opens it.
///
/// # Errors
/// [`StoreError::Locked`].
pub async fn refuse_used(path: &Path) -> Result<(), StoreError> {
    // A command that prepares the file holds it for a moment, and a daemon that ends until it has.
    let patience = Instant::now() + ENDING;
    loop {
        match lock(path) {
            Err(StoreError::Locked { .. }) if Instant::now() < patience => tokio::time::sleep(LOOK).await,
            Err(why @ StoreError::Locked { .. }) => return Err(why),
            _ => return Ok(()),
        }
    }
}

async fn refuse_newer(path: &Path, connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let (found, known) = (schema(path, connection).await?, known_schema());
    if found > known {
        return Err(StoreError::Newer { path: path.display().to_string(), found, known });
    }
    Ok(())
}

/// A file whose tables are not those of this version; a daemon brings it up to date.
async fn refuse_older(path: &Path, connection: &mut SqliteConnection) -> Result<(), StoreError> {
    match schema(path, connection).await? {
        0 => Err(error::other(path, NO_STORE)),
        found if found < known_schema() => Err(error::other(
            path,
            &format!(
                "was written by an older portalwatch (schema {found}); a daemon of this version brings it up to date"
            ),
        )),
        _ => Ok(()),
    }
}

/// From where the file is to be filled, if that began and did not end.
async fn unfinished(path: &Path, connection: &mut SqliteConnection) -> Result<Option<String>, StoreError> {
    let found = async {
        let table = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM sqlite_schema WHERE name = ?");
        if table.bind(UNFINISHED).fetch_all(&mut *connection).await? == [0] {
            return Ok(None);
        }
        let sql = sqlx::AssertSqlSafe(format!("SELECT source FROM {UNFINISHED}"));
        // Read to its end: a statement in the middle of a table would keep it from going.
        Ok(sqlx::query_scalar::<_, String>(sql).fetch_all(connection).await?.pop())
    };
    found.await.map_err(|why| error::of(path, &why))
}

async fn refuse_unfinished(path: &Path, connection: &mut SqliteConnection) -> Result<(), StoreError> {
    match unfinished(path, connection).await? {
        Some(from) => Err(StoreError::Unfinished { path: format!("sqlite://{}", path.display()), from }),
        None => Ok(()),
    }
}

/// The schema this version writes.
fn known_schema() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// The schema of the file; 0 for an empty one.
async fn schema(path: &Path, connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    let table =
        sqlx::query_scalar::<_, i64>("SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'");
    let table = table.fetch_one(&mut *connection).await.map_err(|why| error::of(path, &why))?;
    if table == 0 {
        return Ok(0);
    }
    let found = sqlx::query_scalar::<_, Option<i64>>("SELECT max(version) FROM _sqlx_migrations");
    Ok(found.fetch_one(connection).await.map_err(|why| error::of(path, &why))?.unwrap_or(0))
}

async fn known(connection: &mut SqliteConnection) -> Result<HashMap<CheckId, Known>, sqlx::Error> {
    let rows = sqlx::query_as::<_, (i64, String, bool, Option<i64>)>(
        "SELECT id, name, removed, last_at FROM checks",
    );
    let rows = rows.fetch_all(connection).await?;
    let known = |(id, name, removed, noted): (i64, String, bool, Option<i64>)| {
        (CheckId::from(name.as_str()), Known { id, removed, noted })
    };
    Ok(rows.into_iter().map(known).collect())
}

impl Store for Sqlite {
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
        Box::pin(async {
            self.readers.close().await;
            if let Some(mut writer) = self.writer.lock().await.take() {
                let folded =
                    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut writer.connection).await;
                if let Err(why) = folded {
                    tracing::warn!(path = %self.path.display(), %why, "the log stays beside the database");
                }
                writer.connection.close().await.ok();
            }
        })
    }
}

impl Figures for Sqlite {
    fn facts<'a>(
        &'a self,
        check: &'a CheckId,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> BoxFuture<'a, Result<KeptFacts, StoreError>> {
        Box::pin(self.read_kept_facts(check, from, to, limit))
    }

    fn note_rules<'a>(&'a self, rules: &'a [(CheckId, Rules)]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.write_rules(rules))
    }

    fn known_checks(&self) -> BoxFuture<'_, Result<Vec<KnownCheck>, StoreError>> {
        Box::pin(self.read_known_checks())
    }

    fn ran<'a>(
        &'a self,
        check: Option<&'a CheckId>,
        from: Timestamp,
        to: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<Ran>, StoreError>> {
        Box::pin(self.read_ran(check, from, to))
    }

    fn judged(&self, from: Timestamp, to: Timestamp) -> BoxFuture<'_, Result<Judgements, StoreError>> {
        Box::pin(self.read_judged(from, to))
    }

    fn next_result(&self, from: Timestamp) -> BoxFuture<'_, Result<Option<Timestamp>, StoreError>> {
        Box::pin(self.read_next_result(from))
    }

    fn rolled_from(&self, grain: Grain) -> BoxFuture<'_, Result<Option<Timestamp>, StoreError>> {
        Box::pin(self.read_rolled_from(grain))
    }

    fn rolled_until(&self, grain: Grain) -> BoxFuture<'_, Result<Option<Timestamp>, StoreError>> {
        Box::pin(self.read_mark(grain))
    }

    fn standings(&self, before: Timestamp) -> BoxFuture<'_, Result<Vec<(CheckId, Standing)>, StoreError>> {
        Box::pin(self.read_standings(before))
    }

    fn put_rolled<'a>(
        &'a self,
        grain: Grain,
        rows: &'a [RolledRow],
        expected: Option<Timestamp>,
        until: Timestamp,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(self.write_rolled(grain, rows, expected, until))
    }

    fn rolled<'a>(
        &'a self,
        grain: Grain,
        check: &'a CheckId,
        from: Timestamp,
        to: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<RolledRow>, StoreError>> {
        Box::pin(self.read_rolled(grain, check, from, to))
    }

    fn uptimes(
        &self,
        grain: Grain,
        from: Timestamp,
        to: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<UptimeRow>, StoreError>> {
        Box::pin(self.read_uptimes(grain, from, to))
    }
}

#[cfg(test)]
pub(in crate::record) mod tests;
