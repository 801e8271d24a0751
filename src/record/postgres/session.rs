//! What a session does before it writes: the schema, under a lock of whoever migrates; what is there already.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::PgConnection;
use sqlx::migrate::Migrator;

use super::link::{Link, patiently};
use super::{Backend, Known, Tables, error, lease};
use crate::model::CheckId;
use crate::record::copy::UNFINISHED;
use crate::record::{NO_STORE, StoreError};

pub static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// The class of the lock of whoever migrates a schema. Daemons of older versions hold it while they run.
const MIGRATION_LOCK: i32 = 0x706f_7274;
/// How long the lock is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
/// How long a migration may take.
const MIGRATION: Duration = Duration::from_secs(10 * 60);

/// Takes the lock of whoever migrates, until the session ends or [`migrate`] has migrated.
pub async fn lock(link: &Link, connection: &mut PgConnection) -> Result<(), StoreError> {
    let patience = LOCK_PATIENCE.as_millis().to_string();
    let taken = patiently(async {
        let before = put(connection, "lock_timeout", &patience).await?;
        let lock = sqlx::query("SELECT pg_advisory_lock($1, hashtext(current_schema()))");
        lock.bind(MIGRATION_LOCK).execute(&mut *connection).await?;
        put(connection, "lock_timeout", &before).await
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

/// Changes a setting of the session, and tells what it was.
async fn put(connection: &mut PgConnection, name: &str, value: &str) -> Result<String, sqlx::Error> {
    let before = sqlx::query_scalar::<_, String>("SELECT current_setting($1)").bind(name);
    let before = before.fetch_one(&mut *connection).await?;
    let change = sqlx::query("SELECT set_config($1, $2, false)").bind(name).bind(value);
    change.execute(connection).await?;
    Ok(before)
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

/// Brings the schema up to date, unless a daemon leads: it would not know the new one.
pub async fn migrate(link: &Link, connection: &mut PgConnection) -> Result<(), StoreError> {
    migrate_as(link, connection, None).await
}

/// As [`migrate`], for the daemon that leads with this token.
///
/// # Errors
/// [`StoreError::Fenced`] if it does not lead any more.
pub async fn migrate_leading(
    link: &Link,
    connection: &mut PgConnection,
    token: i64,
) -> Result<(), StoreError> {
    migrate_as(link, connection, Some(token)).await
}

async fn migrate_as(
    link: &Link,
    connection: &mut PgConnection,
    token: Option<i64>,
) -> Result<(), StoreError> {
    if schema(link, connection).await? == known_schema() {
        return Ok(());
    }
    lock(link, connection).await?;
    refuse_newer(link, connection).await?;
    let found = patiently(state(connection)).await.map_err(|why| link.fault(&why))?;
    // Else somebody else migrated it meanwhile.
    if found.schema < known_schema() {
        if found.leased {
            refuse_led(link, connection, token).await?;
        }
        run(link, connection).await?;
    }
    set(link, connection, "SELECT pg_advisory_unlock_all()").await
}

/// Refuses a database on which another daemon leads.
async fn refuse_led(
    link: &Link,
    connection: &mut PgConnection,
    token: Option<i64>,
) -> Result<(), StoreError> {
    let Some(token) = token else {
        let leads = sqlx::query_scalar::<_, String>("SELECT holder FROM lease WHERE until > now()");
        let leads = patiently(leads.fetch_optional(connection)).await.map_err(|why| link.fault(&why))?;
        return leads.map_or(Ok(()), |holder| {
            let why =
                format!("a daemon of an older version leads on this database ({holder}); stop it first");
            Err(StoreError::Locked { path: link.access.place(), why })
        });
    };
    let leads = patiently(async { lease::begin(connection, token).await?.rollback().await });
    leads.await.map_err(|why| link.fault(&why))
}

async fn run(link: &Link, connection: &mut PgConnection) -> Result<(), StoreError> {
    // A migration may rewrite a table.
    let before = patiently(put(connection, "statement_timeout", "0"));
    let before = before.await.map_err(|why| link.fault(&why))?;
    let migrated = MIGRATIONS.run_direct(None, &mut *connection, false);
    match tokio::time::timeout(MIGRATION, migrated).await {
        Ok(Ok(())) => {}
        Ok(Err(why)) => return Err(error::migrate(&link.access, why)),
        Err(_) => return Err(error::other(&link.access, "the migration took longer than 10 minutes")),
    }
    let back = patiently(put(connection, "statement_timeout", &before));
    back.await.map(drop).map_err(|why| link.fault(&why))
}

async fn set(link: &Link, connection: &mut PgConnection, sql: &'static str) -> Result<(), StoreError> {
    patiently(sqlx::query(sql).execute(connection)).await.map_err(|why| link.fault(&why))?;
    Ok(())
}

pub async fn refuse_newer(link: &Link, connection: &mut PgConnection) -> Result<(), StoreError> {
    let found = schema(link, connection).await?;
    if is_newer(found) { Err(newer(link, found)) } else { Ok(()) }
}

/// A database whose tables are not those of this version; a daemon brings it up to date.
pub async fn refuse_older(link: &Link, connection: &mut PgConnection) -> Result<(), StoreError> {
    match schema(link, connection).await? {
        0 => Err(error::other(&link.access, NO_STORE)),
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
    Ok(patiently(state(connection)).await.map_err(|why| link.fault(&why))?.unfinished)
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
    Ok(patiently(state(connection)).await.map_err(|why| link.fault(&why))?.schema)
}

/// How far a database is made.
#[derive(Debug)]
pub struct State {
    /// Its schema; 0 for an empty one.
    pub schema: i64,
    /// From where it is to be filled, if that began and did not end.
    pub unfinished: Option<String>,
    /// Whether it knows a lease, whatever its version.
    pub leased: bool,
}

pub async fn state(connection: &mut PgConnection) -> Result<State, sqlx::Error> {
    let sql = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL, to_regclass($1) IS NOT NULL, \
               to_regclass('lease') IS NOT NULL";
    let tables = sqlx::query_as::<_, (bool, bool, bool)>(sql).bind(UNFINISHED);
    let (migrated, filling, leased) = tables.fetch_one(&mut *connection).await?;
    let schema = if migrated { version(connection).await? } else { 0 };
    let mut unfinished = None;
    if filling {
        let sql = sqlx::AssertSqlSafe(format!("SELECT source FROM {UNFINISHED}"));
        unfinished = sqlx::query_scalar::<_, String>(sql).fetch_optional(connection).await?;
    }
    Ok(State { schema, unfinished, leased })
}

/// The schema of a database that has one.
pub async fn version(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    let found = sqlx::query_scalar::<_, Option<i64>>("SELECT max(version) FROM _sqlx_migrations");
    Ok(found.fetch_one(connection).await?.unwrap_or(0))
}

/// Whether a schema is of a version newer than this one.
pub fn is_newer(schema: i64) -> bool {
    schema > known_schema()
}

/// The error of such a schema.
pub fn newer(link: &Link, found: i64) -> StoreError {
    StoreError::Newer { path: link.access.place(), found, known: known_schema() }
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
