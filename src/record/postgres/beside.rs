//! Connections beside the store's own, for what is written before the store's next commit, or by a
//! command while a daemon has the store.

use std::time::Duration;

use sqlx::PgConnection;
use tokio::time::Instant;

use super::link::{Link, Purpose, part};
use super::session::{LOCK_PATIENCE, known_schema, refuse_newer, refuse_unfinished, schema};
use super::{Mode, Postgres};
use crate::record::{Store as _, StoreError};

/// How often a database that another process is about to prepare is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// A connection that waits for the disk at every commit, to a prepared database.
pub async fn promise(link: &Link) -> Result<PgConnection, StoreError> {
    let mut connection = link.connect(Purpose::Promise).await?;
    refuse_newer(link, &mut connection).await?;
    refuse_unfinished(link, &mut connection).await?;
    Ok(connection)
}

/// A connection that only reads; none if the database has not the schema of this version.
pub async fn reader(link: &Link) -> Result<Option<PgConnection>, StoreError> {
    let mut connection = link.connect(Purpose::Read).await?;
    refuse_newer(link, &mut connection).await?;
    refuse_unfinished(link, &mut connection).await?;
    if schema(link, &mut connection).await? < known_schema() {
        part(connection).await;
        return Ok(None);
    }
    Ok(Some(connection))
}

/// Brings the database up to date, as the daemon would: under its lock.
pub async fn prepare(link: &Link) -> Result<(), StoreError> {
    if is_prepared(link).await? {
        return Ok(());
    }
    let patience = Instant::now() + LOCK_PATIENCE;
    loop {
        match Postgres::open(link.access.clone(), Mode::Daemon { full_sync: true }).await {
            Ok(store) => {
                store.close().await;
                return Ok(());
            }
            // Another command, or a daemon that starts, may be doing the same.
            Err(StoreError::Locked { path, why }) => {
                if is_prepared(link).await? {
                    return Ok(());
                }
                if Instant::now() >= patience {
                    return Err(StoreError::Locked { path, why });
                }
                tokio::time::sleep(LOOK).await;
            }
            Err(why) => return Err(why),
        }
    }
}

/// Whether the database has the schema of this version.
async fn is_prepared(link: &Link) -> Result<bool, StoreError> {
    let mut connection = link.connect(Purpose::Read).await?;
    let prepared = schema(link, &mut connection).await? >= known_schema();
    part(connection).await;
    Ok(prepared)
}
