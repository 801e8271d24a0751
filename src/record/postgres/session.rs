//! What a session does before it writes: the schema, under a lock of whoever migrates; what is there already.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::PgConnection;
use sqlx::migrate::Migrator;

use super::link::{Link, patiently};
use super::{Backend, Known, Tables, error};
use crate::model::CheckId;
use crate::record::StoreError;
use crate::record::copy::UNFINISHED;

pub static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// The class of the lock of whoever migrates a schema. Daemons of older versions hold it while they run.
const MIGRATION_LOCK: i32 = 0x706f_7274;
/// How long the lock is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
/// How long a migration may take.
const MIGRATION: Duration = Duration::from_secs(10 * 60);

/// Takes the lock of whoever migrates, until the session ends or [`migrate`] has migrated.
pub async fn lock(link: &Link, connection: &mut PgConnection) -> Result<(), StoreError> {
    let wait = sqlx::AssertSqlSafe(format!("SET lock_timeout = {}", LOCK_PATIENCE.as_millis()));
    let taken = patiently(async {
        sqlx::query(wait).execute(&mut *connection).await?;
        let lock = sqlx::query("SELECT pg_advisory_lock($1, hashtext(current_schema()))");
        lock.bind(MIGRATION_LOCK).execute(&mut *connection).await?;
        sqlx::query("RESET lock_timeout").execute(&mut *connection).await
    });
    match taken.await.map_err(|why| link.fault(&why)) {
        Ok(_) => Ok(()),
        Err(StoreError::Locked { path, .. }) => Err(StoreError::Locked {
            path,
            why: "a daemon of an older version uses this database, or another one migrates it".into(),
        }),
        Err(why) => Err(why),
    }
}

/// Ends what is left of a session of this process, such as one whose end the network swallowed. What
/// it had begun is undone or has happened by the time its lock is free.
pub async fn end(connection: &mut PgConnection, (pid, began): &Backend) -> Result<(), sqlx::Error> {
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE pid = $1 AND backend_start::text = $2 AND pid <> pg_backend_pid()";
    sqlx::query(sql).bind(pid).bind(began).execute(connection).await?;
    Ok(())
}

pub async fn backend(connection: &mut PgConnection) -> Result<Backend, sqlx::Error> {
    let sql = "SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()";
    sqlx::query_as::<_, Backend>(sql).fetch_one(connection).await
}

pub async fn tables(connection: &mut PgConnection) -> Result<Tables, sqlx::Error> {
    let sql = "SELECT oid::bigint, to_regclass('checks')::oid::bigint FROM pg_database \
               WHERE datname = current_database()";
    sqlx::query_as::<_, Tables>(sql).fetch_one(connection).await
}

pub async fn migrate(link: &Link, connection: &mut PgConnection) -> Result<(), StoreError> {
    if schema(link, connection).await? == known_schema() {
        return Ok(());
    }
    lock(link, connection).await?;
    refuse_newer(link, connection).await?;
    // Else somebody else migrated it meanwhile.
    if schema(link, connection).await? < known_schema() {
        run(link, connection).await?;
    }
    set(link, connection, "SELECT pg_advisory_unlock_all()").await
}

async fn run(link: &Link, connection: &mut PgConnection) -> Result<(), StoreError> {
    // A migration may rewrite a table.
    set(link, connection, "SET statement_timeout = 0").await?;
    let migrated = MIGRATIONS.run_direct(None, &mut *connection, false);
    match tokio::time::timeout(MIGRATION, migrated).await {
        Ok(Ok(())) => {}
        Ok(Err(why)) => return Err(error::migrate(&link.access, why)),
        Err(_) => return Err(error::other(&link.access, "the migration took longer than 10 minutes")),
    }
    set(link, connection, "RESET statement_timeout").await
}

async fn set(link: &Link, connection: &mut PgConnection, sql: &'static str) -> Result<(), StoreError> {
    patiently(sqlx::query(sql).execute(connection)).await.map_err(|why| link.fault(&why))?;
    Ok(())
}

pub async fn refuse_newer(link: &Link, connection: &mut PgConnection) -> Result<(), StoreError> {
    let (found, known) = (schema(link, connection).await?, known_schema());
    if found > known {
        return Err(StoreError::Newer { path: link.access.place(), found, known });
    }
    Ok(())
}

/// A database whose tables are not those of this version; a daemon brings it up to date.
pub async fn refuse_older(link: &Link, connection: &mut PgConnection) -> Result<(), StoreError> {
    match schema(link, connection).await? {
        0 => Err(error::other(&link.access, "holds no store of portalwatch")),
        found if found < known_schema() => Err(error::other(
            &link.access,
            &format!(
                "was written by an older portalwatch (schema {found}); a daemon of this version brings it up to date"
            ),
        )),
        _ => Ok(()),
    }
}

/// From where the database is to be filled, if that began and did not end.
pub async fn unfinished(link: &Link, connection: &mut PgConnection) -> Result<Option<String>, StoreError> {
    let found = patiently(async {
        let table = sqlx::query_scalar::<_, bool>("SELECT to_regclass($1) IS NOT NULL").bind(UNFINISHED);
        if !table.fetch_one(&mut *connection).await? {
            return Ok(None);
        }
        let sql = sqlx::AssertSqlSafe(format!("SELECT source FROM {UNFINISHED}"));
        sqlx::query_scalar::<_, String>(sql).fetch_optional(connection).await
    });
    found.await.map_err(|why| link.fault(&why))
}

pub async fn refuse_unfinished(link: &Link, connection: &mut PgConnection) -> Result<(), StoreError> {
    match unfinished(link, connection).await? {
        Some(from) => Err(StoreError::Unfinished { path: link.access.place(), from }),
        None => Ok(()),
    }
}

/// The schema this version writes.
pub fn known_schema() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// The schema of the database; 0 for an empty one.
pub async fn schema(link: &Link, connection: &mut PgConnection) -> Result<i64, StoreError> {
    let found = patiently(async {
        let table = sqlx::query_scalar::<_, bool>("SELECT to_regclass('_sqlx_migrations') IS NOT NULL");
        if !table.fetch_one(&mut *connection).await? {
            return Ok(None);
        }
        let found = sqlx::query_scalar::<_, Option<i64>>("SELECT max(version) FROM _sqlx_migrations");
        found.fetch_one(connection).await
    });
    Ok(found.await.map_err(|why| link.fault(&why))?.unwrap_or(0))
}

pub async fn known(connection: &mut PgConnection) -> Result<HashMap<CheckId, Known>, sqlx::Error> {
    let rows = sqlx::query_as::<_, (i64, String, bool, Option<i64>)>(
        "SELECT id, name, removed, last_at FROM checks",
    );
    let rows = rows.fetch_all(connection).await?;
    let known = |(id, name, removed, noted): (i64, String, bool, Option<i64>)| {
        (CheckId::from(name.as_str()), Known { id, removed, noted })
    };
    Ok(rows.into_iter().map(known).collect())
}
