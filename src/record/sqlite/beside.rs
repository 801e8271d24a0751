//! Connections beside the store's own, for what is written before the store's next commit, or by a
//! command while a daemon has the store.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};
use tokio::time::Instant;

use super::{
    BUSY, LOOK, Mode, Sqlite, error, identity, known_schema, reading, refuse_newer, refuse_unfinished, schema,
};
use crate::record::{Store as _, StoreError};

/// A connection to a file of this very identity.
#[derive(Debug)]
pub struct Seat {
    pub connection: SqliteConnection,
    identity: (u64, u64),
    /// A statement failed: the next use begins with a new connection.
    pub failed: bool,
}

impl Seat {
    /// A connection that syncs every commit, to a prepared file.
    pub async fn of_writer(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(BUSY)
            .disable_statement_logging()
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        Self::of(path, options.connect().await.map_err(|why| error::of(path, &why))?).await
    }

    /// A connection that only reads.
    pub async fn of_reader(path: &Path) -> Result<Self, StoreError> {
        Self::of(path, reading(path).connect().await.map_err(|why| error::of(path, &why))?).await
    }

    async fn of(path: &Path, mut connection: SqliteConnection) -> Result<Self, StoreError> {
        refuse_newer(path, &mut connection).await?;
        refuse_unfinished(path, &mut connection).await?;
        let identity = identity(path).map_err(|why| error::io(path, &why))?;
        Ok(Self { connection, identity, failed: false })
    }

    /// Whether it can be used: it leads to the file that is there now, and is in no transaction. One that was dropped
    /// in the middle is rolled back before the ping.
    pub async fn is_usable(&mut self, path: &Path) -> bool {
        if self.failed || identity(path).ok() != Some(self.identity) {
            return false;
        }
        if self.connection.is_in_transaction() && self.connection.ping().await.is_err() {
            return false;
        }
        !self.connection.is_in_transaction()
    }
}

/// Makes the file or brings it up to date, as the daemon would: under its lock.
pub async fn prepare(path: &Path) -> Result<(), StoreError> {
    if is_prepared(path).await? {
        return Ok(());
    }
    let patience = Instant::now() + BUSY;
    loop {
        match Sqlite::open(path, Mode::Daemon { full_sync: true }).await {
            Ok(store) => {
                store.close().await;
                return Ok(());
            }
            // Another command, or a daemon that starts, may be doing the same.
            Err(StoreError::Locked { .. }) if Instant::now() < patience => {
                tokio::time::sleep(LOOK).await;
                if is_prepared(path).await? {
                    return Ok(());
                }
            }
            Err(why) => return Err(why),
        }
    }
}

/// Whether the file has the schema of this version.
pub async fn is_prepared(path: &Path) -> Result<bool, StoreError> {
    // Without a file there is nothing to read; what else is wrong is said by who writes.
    let Ok(mut connection) = reading(path).connect().await else { return Ok(false) };
    Ok(schema(path, &mut connection).await? >= known_schema())
}
