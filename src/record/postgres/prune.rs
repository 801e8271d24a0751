//! Dropping what is old.
//!
//! A day that is over for good goes as a whole: its partition is let go of with
//! `DETACH … CONCURRENTLY`, which waits for whoever still reads instead of locking them out, and its
//! table is dropped. What has to wait for too long is left as it is, said, and taken up again by the
//! next pruning: a day let go of by half (`FINALIZE`), or whose table is still there.
//!
//! It has a connection of its own, so that commits wait for none of this.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection};

use super::days::{self, DAY, Partition};
use super::link::{Purpose, part, patiently, within};
use super::{Postgres, StoreError, lease};
use crate::record::Cutoffs;
use crate::record::rows::{BUDGET, PRUNE, SETTLED};

/// How much of a day goes in one statement.
const SLICE: i64 = 5 * 60 * 1000;
/// Up to how large the rows of a dropped day are counted; beyond it the server's estimate is told.
const COUNTED: i64 = 64 << 20;
/// How long one step may take. Longer than the limits of the server, which leave an answer.
const STEP: Duration = Duration::from_secs(70);

macro_rules! drop_sql {
    ($table:literal, $span:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE (span, check_id, at) IN (SELECT o.span, o.check_id, o.at FROM checks c \
             CROSS JOIN LATERAL (SELECT span, check_id, at FROM ",
            $table,
            " WHERE span = ",
            $span,
            " AND check_id = c.id AND at < $1 LIMIT $2) o LIMIT $2)"
        )
    };
}

impl Postgres {
    pub(super) async fn drop_old(&self, cutoffs: &Cutoffs) -> Result<u64, StoreError> {
        if self.seat.lock().await.how.is_none() {
            return Err(self.closed());
        }
        let results = cutoffs.results.as_millisecond();
        let mut connection = self.link.connect(Purpose::Prune).await?;
        let mut kept_back = None;
        // Dropping what is old twice does no harm; who does not lead need not begin.
        let leads = patiently(async {
            let transaction = lease::begin(&mut connection, self.tenure.token()).await?;
            transaction.rollback().await
        });
        leads.await.map_err(|why| self.link.fault(&why))?;
        let dropped = self.drop_results(&mut connection, results, &mut kept_back).await;
        let dropped = match dropped {
            Ok(dropped) => drop_rest(&mut connection, cutoffs).await.map(|more| dropped + more),
            Err(why) => Err(why),
        };
        let dropped = dropped.map_err(|why| self.link.fault(&why))?;
        part(connection).await;
        match kept_back {
            None => Ok(dropped),
            Some(why) => Err(self.link.fault(&why)),
        }
    }

    /// A day that somebody keeps from going is kept back, and the others go.
    async fn drop_results(
        &self,
        connection: &mut PgConnection,
        before: i64,
        kept_back: &mut Option<sqlx::Error>,
    ) -> Result<u64, sqlx::Error> {
        let mut dropped = 0;
        for one in patiently(days::partitions(connection)).await? {
            if one.pending || one.begin.saturating_add(DAY) <= before {
                // Before it goes, so that no commit believes in it.
                self.days().remove(&days::of(one.begin));
                match detach(connection, &one).await {
                    Ok(()) => {}
                    Err(why) if is_lock(&why) => *kept_back = Some(why),
                    Err(why) => return Err(why),
                }
            } else if one.begin < before {
                dropped += drop_part(connection, one.begin, before).await?;
            }
        }
        let first_kept = days::name(days::of(before));
        let old = patiently(let_go(connection)).await?.into_iter().filter(|table| *table < first_kept);
        for table in old {
            match drop_table(connection, &table).await {
                Ok(rows) => dropped += rows,
                Err(why) if is_lock(&why) => *kept_back = Some(why),
                Err(why) => return Err(why),
            }
        }
        Ok(dropped)
    }
}

fn is_lock(why: &sqlx::Error) -> bool {
    let code = why.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| matches!(&*code, "55P03" | "57014" | "40P01"))
}

async fn run(connection: &mut PgConnection, sql: String) -> Result<u64, sqlx::Error> {
    let done = within(STEP, sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(connection)).await?;
    Ok(done.rows_affected())
}

async fn detach(connection: &mut PgConnection, day: &Partition) -> Result<(), sqlx::Error> {
    let how = if day.pending { "FINALIZE" } else { "CONCURRENTLY" };
    let detached =
        run(connection, format!("ALTER TABLE results DETACH PARTITION \"{}\" {how}", day.name)).await;
    detached.map(drop)
}

/// The tables of days that were let go of and not dropped: they look like days and are no partitions.
async fn let_go(connection: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    let sql = "SELECT c.relname::text FROM pg_class c WHERE c.relkind = 'r' \
               AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'results'::regclass) \
               AND c.relname ~ '^results_[0-9]{8}$' \
               AND NOT EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhrelid = c.oid) ORDER BY 1";
    sqlx::query_scalar::<_, String>(sql).fetch_all(connection).await
}

async fn drop_table(connection: &mut PgConnection, table: &str) -> Result<u64, sqlx::Error> {
    let sql = "SELECT pg_relation_size(oid), reltuples::bigint FROM pg_class WHERE oid = to_regclass($1)";
    let size = sqlx::query_as::<_, (i64, i64)>(sql).bind(table).fetch_optional(&mut *connection);
    let Some((size, estimate)) = patiently(size).await? else { return Ok(0) };
    let rows = if size <= COUNTED {
        let count = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM \"{table}\""));
        within(STEP, sqlx::query_scalar::<_, i64>(count).fetch_one(&mut *connection)).await?
    } else {
        estimate
    };
    // A result that is written late makes a day of it again.
    let mut transaction = connection.begin().await?;
    run(&mut transaction, format!("LOCK TABLE \"{table}\" IN ACCESS EXCLUSIVE MODE")).await?;
    let sql = "SELECT count(*) FROM pg_inherits WHERE inhrelid = to_regclass($1)";
    let attached = sqlx::query_scalar::<_, i64>(sql).bind(table).fetch_one(&mut *transaction);
    if within(STEP, attached).await? > 0 {
        transaction.rollback().await?;
        return Ok(0);
    }
    run(&mut transaction, format!("DROP TABLE \"{table}\"")).await?;
    transaction.commit().await?;
    Ok(u64::try_from(rows).unwrap_or(0))
}

/// Drops the first part of a day, slice by slice.
async fn drop_part(connection: &mut PgConnection, begin: i64, before: i64) -> Result<u64, sqlx::Error> {
    let mut dropped = 0;
    let mut from = begin;
    while from < before {
        let to = from.saturating_add(SLICE).min(before);
        let slice = sqlx::query("DELETE FROM results WHERE at >= $1 AND at < $2").bind(from).bind(to);
        dropped += within(STEP, slice.execute(&mut *connection)).await?.rows_affected();
        from = to;
    }
    Ok(dropped)
}

async fn drop_rest(connection: &mut PgConnection, cutoffs: &Cutoffs) -> Result<u64, sqlx::Error> {
    let (results, incidents) = (cutoffs.results.as_millisecond(), cutoffs.incidents.as_millisecond());
    let facts = "DELETE FROM facts WHERE (check_id, at) IN \
                 (SELECT check_id, at FROM facts WHERE at < $1 ORDER BY at LIMIT $2)";
    let gaps = "DELETE FROM gaps WHERE (at, check_id) IN \
                (SELECT at, check_id FROM gaps WHERE until < $1 ORDER BY at, check_id LIMIT $2)";
    let ended = "DELETE FROM incidents WHERE id IN (SELECT id FROM incidents WHERE ended < $1 LIMIT $2)";
    let mut dropped = drop_some(connection, facts, results).await?;
    dropped += drop_some(connection, gaps, results).await?;
    dropped += drop_some(connection, ended, incidents).await?;
    dropped += drop_ended(connection, results).await?;
    dropped += drop_rolled(connection, cutoffs).await?;
    Ok(dropped + drop_settled(connection).await?)
}

/// Rows of figures before a time, minutes with the results: found check by check, by their key.
async fn drop_rolled(connection: &mut PgConnection, cutoffs: &Cutoffs) -> Result<u64, sqlx::Error> {
    let mut dropped = 0;
    for (uptimes, latencies, before) in [
        (drop_sql!("uptimes", 60), drop_sql!("latencies", 60), cutoffs.results),
        (drop_sql!("uptimes", 3600), drop_sql!("latencies", 3600), cutoffs.hours),
        (drop_sql!("uptimes", 86400), drop_sql!("latencies", 86400), cutoffs.days),
    ] {
        dropped += drop_some(connection, latencies, before.as_millisecond()).await?;
        dropped += drop_some(connection, uptimes, before.as_millisecond()).await?;
    }
    Ok(dropped)
}

/// Canaries that have ended go with the results, but not while they count for a budget; what is
/// open stays. The age counts from the newest end: the store has no clock.
async fn drop_ended(connection: &mut PgConnection, before: i64) -> Result<u64, sqlx::Error> {
    let Some(counted) = newest(connection, "SELECT max(ended) FROM canaries", BUDGET).await? else {
        return Ok(0);
    };
    let ended = "DELETE FROM canaries WHERE run IN \
                 (SELECT run FROM canaries WHERE ended < $1 ORDER BY ended LIMIT $2)";
    drop_some(connection, ended, before.min(counted)).await
}

/// Settled messages count from the newest one.
async fn drop_settled(connection: &mut PgConnection) -> Result<u64, sqlx::Error> {
    let Some(before) = newest(connection, "SELECT max(settled_at) FROM outbox", SETTLED).await? else {
        return Ok(0);
    };
    let settled = "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox WHERE settled_at < $1 \
                   AND incident NOT IN (SELECT id FROM incidents WHERE ended IS NULL) LIMIT $2)";
    let groups = "DELETE FROM group_sent WHERE (channel, group_key) IN \
                  (SELECT channel, group_key FROM group_sent WHERE at < $1 LIMIT $2)";
    Ok(drop_some(connection, settled, before).await? + drop_some(connection, groups, before).await?)
}

/// So long before the newest time that a statement finds.
async fn newest(
    connection: &mut PgConnection,
    sql: &'static str,
    kept: Duration,
) -> Result<Option<i64>, sqlx::Error> {
    let newest = patiently(sqlx::query_scalar::<_, Option<i64>>(sql).fetch_one(connection)).await?;
    let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
    Ok(newest.map(|newest| newest.saturating_sub(kept)))
}

async fn drop_some(
    connection: &mut PgConnection,
    sql: &'static str,
    before: i64,
) -> Result<u64, sqlx::Error> {
    let mut dropped = 0;
    loop {
        let some = sqlx::query(sql).bind(before).bind(PRUNE).execute(&mut *connection);
        let done = within(STEP, some).await?.rows_affected();
        dropped += done;
        if done < PRUNE as u64 {
            return Ok(dropped);
        }
    }
}
