//! The statements of the ledger.

use jiff::Timestamp;
use serde_json::{Map, Value};
use sqlx::SqliteConnection;

use crate::model::CheckId;
use crate::model::ledger::{Canary, CanaryState, Entry, Tally};
use crate::record::canaries::{self, COLUMNS, Kept, LONGEST, MOST, Outcome, Write, canary, captures};
use crate::record::rows::{json, time};

type Columns = (String, String, i64, u32, u32, Option<i64>, Option<String>);

/// Enters a write, or says why not and changes nothing. The caller has begun a transaction.
pub async fn enter(connection: &mut SqliteConnection, write: &Write<'_>) -> Result<Entry, sqlx::Error> {
    if enter_first(connection, write).await? {
        return Ok(Entry::Entered);
    }
    let refused = match own(connection, write).await? {
        Some(refused) => Some(refused),
        None => match another(connection, write).await? {
            Some(refused) => Some(refused),
            None => spent(connection, write).await?,
        },
    };
    match refused {
        Some(refused) => Ok(refused),
        None => insert(connection, write).await.map(|()| Entry::Entered),
    }
}

/// The usual case in one statement: the first write of a run, with nothing against it. Says whether
/// it was that.
async fn enter_first(connection: &mut SqliteConnection, write: &Write<'_>) -> Result<bool, sqlx::Error> {
    let sql = "INSERT INTO canaries (run, check_name, entered, written, writes, holder, held_until) \
               SELECT ?1, ?2, ?3, ?3, 1, ?4, ?5 \
               WHERE NOT EXISTS (SELECT 1 FROM canaries WHERE run = ?1) \
               AND NOT EXISTS (SELECT 1 FROM canaries WHERE check_name = ?2 AND ended IS NULL) \
               AND (SELECT coalesce(sum(writes), 0) FROM canaries WHERE check_name = ?2 AND written >= ?6) < ?7";
    let done = sqlx::query(sql)
        .bind(write.run)
        .bind(write.check.as_str())
        .bind(write.now.as_millisecond())
        .bind(write.holder)
        .bind(write.held_until.as_millisecond())
        .bind(write.budget.since.as_millisecond())
        .bind(i64::try_from(write.budget.limit).unwrap_or(i64::MAX))
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// What the run's own canary has against another write: a sweep took it, or its clean-up failed.
async fn own(connection: &mut SqliteConnection, write: &Write<'_>) -> Result<Option<Entry>, sqlx::Error> {
    let sql = "SELECT entered, taken, attempts > 0 AND ended IS NULL FROM canaries WHERE run = ?";
    let found = sqlx::query_as::<_, (i64, bool, bool)>(sql).bind(write.run);
    let Some((entered, taken, failed)) = found.fetch_optional(connection).await? else { return Ok(None) };
    Ok(canaries::own(write.run, entered, taken, failed))
}

async fn another(connection: &mut SqliteConnection, write: &Write<'_>) -> Result<Option<Entry>, sqlx::Error> {
    let sql = "SELECT run, entered, coalesce(held_until > ?, 0) FROM canaries \
               WHERE check_name = ? AND ended IS NULL AND run <> ? ORDER BY entered, run LIMIT 1";
    let found = sqlx::query_as::<_, (String, i64, bool)>(sql)
        .bind(write.now.as_millisecond())
        .bind(write.check.as_str())
        .bind(write.run)
        .fetch_optional(connection)
        .await?;
    Ok(found.map(
        |(run, entered, held)| {
            if held { Entry::Busy { run } } else { Entry::Unswept { run, entered: time(entered) } }
        },
    ))
}

async fn spent(connection: &mut SqliteConnection, write: &Write<'_>) -> Result<Option<Entry>, sqlx::Error> {
    let sql = "SELECT coalesce(sum(writes), 0) FROM canaries WHERE check_name = ? AND written >= ?";
    let written = sqlx::query_scalar::<_, i64>(sql)
        .bind(write.check.as_str())
        .bind(write.budget.since.as_millisecond())
        .fetch_one(connection)
        .await?;
    let written = u64::try_from(written).unwrap_or(0);
    Ok((written >= write.budget.limit).then_some(Entry::Spent { written }))
}

async fn insert(connection: &mut SqliteConnection, write: &Write<'_>) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO canaries (run, check_name, entered, written, writes, holder, held_until) \
               VALUES (?1, ?2, ?3, ?3, 1, ?4, ?5) ON CONFLICT (run) DO UPDATE SET written = ?3, \
               writes = writes + 1, holder = ?4, held_until = ?5, ended = NULL, outcome = NULL \
               WHERE check_name = ?2";
    let done = sqlx::query(sql)
        .bind(write.run)
        .bind(write.check.as_str())
        .bind(write.now.as_millisecond())
        .bind(write.holder)
        .bind(write.held_until.as_millisecond())
        .execute(connection)
        .await?;
    if done.rows_affected() == 0 {
        return Err(sqlx::Error::Protocol(format!("the run {} belongs to another check", write.run)));
    }
    Ok(())
}

/// Adds to what is kept, or says why not and changes nothing. The caller has begun a transaction.
pub async fn keep(
    connection: &mut SqliteConnection,
    run: &str,
    kept: &Map<String, Value>,
    limit: usize,
) -> Result<Kept, sqlx::Error> {
    let found = sqlx::query_scalar::<_, Option<String>>("SELECT kept FROM canaries WHERE run = ?");
    let Some(found) = found.bind(run).fetch_optional(&mut *connection).await? else {
        return Ok(Kept::NotEntered);
    };
    let mut all = captures(found)?;
    all.extend(kept.clone());
    let text = json(&all)?;
    if text.len() > limit {
        return Ok(Kept::TooLarge(text.len()));
    }
    let set = sqlx::query("UPDATE canaries SET kept = ? WHERE run = ?");
    set.bind(text).bind(run).execute(connection).await?;
    Ok(Kept::Done)
}

pub async fn settle(
    connection: &mut SqliteConnection,
    run: &str,
    state: CanaryState,
    at: Timestamp,
) -> Result<Outcome, sqlx::Error> {
    let sql = "UPDATE canaries SET ended = ?, outcome = ?, holder = NULL, held_until = NULL, not_before = NULL \
               WHERE run = ? AND ended IS NULL";
    let done = sqlx::query(sql).bind(at.as_millisecond()).bind(state.as_str()).bind(run);
    let done = done.execute(&mut *connection).await?;
    outcome(connection, run, done.rows_affected()).await
}

pub async fn failed(
    connection: &mut SqliteConnection,
    run: &str,
    not_before: Timestamp,
) -> Result<Outcome, sqlx::Error> {
    let sql = "UPDATE canaries SET attempts = attempts + 1, not_before = ?, holder = NULL, held_until = NULL \
               WHERE run = ? AND ended IS NULL";
    let done = sqlx::query(sql).bind(not_before.as_millisecond()).bind(run);
    let done = done.execute(&mut *connection).await?;
    outcome(connection, run, done.rows_affected()).await
}

pub async fn let_go(connection: &mut SqliteConnection, run: &str) -> Result<Outcome, sqlx::Error> {
    let sql = "UPDATE canaries SET holder = NULL, held_until = NULL WHERE run = ? AND ended IS NULL";
    let done = sqlx::query(sql).bind(run).execute(&mut *connection).await?;
    outcome(connection, run, done.rows_affected()).await
}

async fn outcome(connection: &mut SqliteConnection, run: &str, changed: u64) -> Result<Outcome, sqlx::Error> {
    if changed > 0 {
        return Ok(Outcome::Changed);
    }
    let found = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM canaries WHERE run = ?");
    let found = found.bind(run).fetch_one(connection).await?;
    Ok(if found > 0 { Outcome::Over } else { Outcome::Unknown })
}

/// Hands out canaries to be swept. The caller has begun a transaction.
pub async fn take(
    connection: &mut SqliteConnection,
    check: &CheckId,
    now: Timestamp,
    until: Timestamp,
    holder: &'static str,
) -> Result<Vec<Canary>, sqlx::Error> {
    let sql = format!(
        "UPDATE canaries SET taken = 1, holder = ?1, held_until = ?2 WHERE run IN \
         (SELECT run FROM canaries WHERE check_name = ?3 AND ended IS NULL AND coalesce(held_until NOT BETWEEN ?4 + 1 AND ?6, 1) \
          AND coalesce(not_before NOT BETWEEN ?4 + 1 AND ?6, 1) ORDER BY entered, run LIMIT ?5) RETURNING {COLUMNS}"
    );
    let rows = sqlx::query_as::<_, Columns>(sqlx::AssertSqlSafe(sql))
        .bind(holder)
        .bind(until.as_millisecond())
        .bind(check.as_str())
        .bind(now.as_millisecond())
        .bind(MOST)
        .bind(now.as_millisecond().saturating_add(LONGEST))
        .fetch_all(connection)
        .await?;
    let mut taken = rows.into_iter().map(canary).collect::<Result<Vec<_>, _>>()?;
    taken.sort_by(|a, b| (a.entered, &a.run).cmp(&(b.entered, &b.run)));
    Ok(taken)
}

pub async fn open(connection: &mut SqliteConnection, check: &CheckId) -> Result<Vec<Canary>, sqlx::Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM canaries WHERE check_name = ? AND ended IS NULL ORDER BY entered, run LIMIT ?"
    );
    let rows = sqlx::query_as::<_, Columns>(sqlx::AssertSqlSafe(sql)).bind(check.as_str()).bind(MOST);
    rows.fetch_all(connection).await?.into_iter().map(canary).collect()
}

pub async fn tally(connection: &mut SqliteConnection, check: &CheckId) -> Result<Tally, sqlx::Error> {
    let sql =
        "SELECT iif(ended IS NULL, '', outcome), count(*) FROM canaries WHERE check_name = ? GROUP BY 1";
    let rows = sqlx::query_as::<_, (String, i64)>(sql).bind(check.as_str()).fetch_all(connection).await?;
    Ok(canaries::tally(&rows))
}

/// Lets go of what a dead process held.
pub async fn release(connection: &mut SqliteConnection, holder: &'static str) -> Result<(), sqlx::Error> {
    let sql = "UPDATE canaries SET holder = NULL, held_until = NULL WHERE ended IS NULL AND holder = ?";
    sqlx::query(sql).bind(holder).execute(connection).await?;
    Ok(())
}
