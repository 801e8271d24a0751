//! Connections beside the store's own, for what is written before the store's next commit, or by a
//! command while a daemon has the store.

use sqlx::PgConnection;

use super::link::{Link, Purpose, part};
use super::session::{known_schema, migrate, refuse_newer, refuse_unfinished, schema};
use crate::record::StoreError;

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

/// Brings the database up to date, as the daemon would, unless one leads on it.
pub async fn prepare(link: &Link) -> Result<(), StoreError> {
    if is_prepared(link).await? {
        return Ok(());
    }
    let mut connection = link.connect(Purpose::Write { full_sync: true }).await?;
    refuse_newer(link, &mut connection).await?;
    migrate(link, &mut connection).await?;
    part(connection).await;
    Ok(())
}

/// Whether the database has the schema of this version.
async fn is_prepared(link: &Link) -> Result<bool, StoreError> {
    let mut connection = link.connect(Purpose::Read).await?;
    let prepared = schema(link, &mut connection).await? >= known_schema();
    part(connection).await;
    Ok(prepared)
}
