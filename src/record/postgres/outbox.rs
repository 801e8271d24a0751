//! The outbox: rows wait, are leased, and are settled.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::PgConnection;

use super::link::patiently;
use super::{Postgres, Writer, without_nul};
use crate::record::rows::Waiting;
use crate::record::{Claimed, Settled, StoreError};

const COLUMNS: &str = "SELECT o.seq, o.not_before, o.attempts, o.batch, o.unsure, o.body, g.at, \
    (SELECT coalesce(s.batch, s.key) FROM outbox s WHERE s.outcome = 'sent' AND s.incident = o.incident \
     AND s.channel = o.channel ORDER BY s.seq LIMIT 1) FROM outbox o \
    LEFT JOIN group_sent g ON g.channel = o.channel AND g.group_key = o.group_key ";

type Columns = (i64, i64, i64, Option<String>, bool, String, Option<i64>, Option<String>);

impl Postgres {
    pub(super) async fn claim_due(
        &self,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<Claimed>, StoreError> {
        let mut sitting = self.sit().await?;
        let done = patiently(sitting.writer.claim(now, lease)).await;
        sitting.done(done)
    }

    pub(super) async fn write_marks(&self, batch: &str, keys: &[String]) -> Result<(), StoreError> {
        let mut sitting = self.sit().await?;
        let done = patiently(sitting.writer.mark(batch, keys)).await;
        sitting.done(done)
    }

    pub(super) async fn write_settled(&self, settled: &[Settled]) -> Result<(), StoreError> {
        if settled.is_empty() {
            return Ok(());
        }
        let mut sitting = self.sit().await?;
        let done = patiently(sitting.writer.settle(settled)).await;
        sitting.done(done)
    }

    pub(super) async fn forget_leases(&self) -> Result<(), StoreError> {
        let mut sitting = self.sit().await?;
        let done = patiently(sitting.writer.drop_leases()).await;
        sitting.done(done)
    }

    pub(super) async fn count_waiting(&self) -> Result<(u64, Option<Timestamp>), StoreError> {
        let mut reader = self.readers.take().await?;
        let sql = "SELECT count(*), min(at) FROM outbox WHERE settled_at IS NULL";
        let found = sqlx::query_as::<_, (i64, Option<i64>)>(sql).fetch_one(&mut reader.connection);
        let found = patiently(found).await;
        let (count, oldest) = reader.done(found)?;
        let oldest = oldest.and_then(|oldest| Timestamp::from_millisecond(oldest).ok());
        Ok((u64::try_from(count).unwrap_or(0), oldest))
    }

    pub(super) async fn read_waiting(&self) -> Result<Vec<Claimed>, StoreError> {
        let mut reader = self.readers.take().await?;
        let sql = sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE o.settled_at IS NULL ORDER BY o.seq"));
        let rows = patiently(sqlx::query_as::<_, Columns>(sql).fetch_all(&mut reader.connection)).await;
        reader.done(rows.and_then(|rows| rows.into_iter().map(claimed).collect()))
    }
}

impl Writer {
    async fn mark(&mut self, batch: &str, keys: &[String]) -> Result<(), sqlx::Error> {
        let mut transaction = self.begin().await?;
        let sql = "UPDATE outbox SET batch = $1, unsure = TRUE WHERE key = ANY($2) AND settled_at IS NULL";
        sqlx::query(sql).bind(batch).bind(keys).execute(&mut *transaction).await?;
        transaction.commit().await
    }

    async fn drop_leases(&mut self) -> Result<(), sqlx::Error> {
        let mut transaction = self.begin().await?;
        let sql = "UPDATE outbox SET lease_until = NULL WHERE settled_at IS NULL AND lease_until IS NOT NULL";
        sqlx::query(sql).execute(&mut *transaction).await?;
        transaction.commit().await
    }

    async fn claim(&mut self, now: Timestamp, lease: Duration) -> Result<Vec<Claimed>, sqlx::Error> {
        let now = now.as_millisecond();
        let until = now.saturating_add(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX));
        let mut transaction = self.begin().await?;
        let sql = sqlx::AssertSqlSafe(format!(
            "WITH free AS (SELECT incident, channel, min(not_before) <= $1 AS due, \
             bool_or(attempts > 0 OR batch IS NOT NULL) AS tried FROM outbox WHERE settled_at IS NULL \
             GROUP BY incident, channel HAVING max(coalesce(lease_until, 0)) <= $1) \
             {COLUMNS} JOIN free ON free.incident = o.incident AND free.channel = o.channel \
             WHERE o.settled_at IS NULL AND (free.due OR NOT free.tried AND free.channel IN \
             (SELECT channel FROM free WHERE due AND NOT tried)) ORDER BY o.seq"
        ));
        let rows = sqlx::query_as::<_, Columns>(sql).bind(now).fetch_all(&mut *transaction).await?;
        if rows.is_empty() {
            // Nothing claimed leaves nothing to sync.
            transaction.rollback().await?;
            return Ok(Vec::new());
        }
        let claimed_rows: Vec<i64> = rows.iter().map(|row| row.0).collect();
        let lease = sqlx::query("UPDATE outbox SET lease_until = $1 WHERE seq = ANY($2)");
        lease.bind(until).bind(claimed_rows).execute(&mut *transaction).await?;
        let rows = rows.into_iter().map(claimed).collect::<Result<Vec<_>, _>>()?;
        transaction.commit().await?;
        Ok(rows)
    }

    async fn settle(&mut self, settled: &[Settled]) -> Result<(), sqlx::Error> {
        let mut transaction = self.begin().await?;
        for settled in settled {
            match settled {
                Settled::Sent { key, at, answer } => {
                    let sql = "INSERT INTO group_sent (channel, group_key, at) \
                               SELECT channel, group_key, $2 FROM outbox WHERE key = $1 \
                               ON CONFLICT (channel, group_key) DO UPDATE \
                               SET at = greatest(group_sent.at, excluded.at)";
                    let sent = sqlx::query(sql).bind(key).bind(at.as_millisecond());
                    sent.execute(&mut *transaction).await?;
                    end(&mut transaction, key, *at, "sent", answer).await?;
                }
                Settled::Later { key, not_before, attempts, batch, why, unsure } => {
                    let sql = "UPDATE outbox SET not_before = $1, attempts = $2, batch = $3, answer = $4, \
                               unsure = $5, lease_until = NULL WHERE key = $6 AND settled_at IS NULL";
                    let later = sqlx::query(sql).bind(not_before.as_millisecond()).bind(i64::from(*attempts));
                    let later = later.bind(batch).bind(without_nul(why)).bind(unsure).bind(key);
                    later.execute(&mut *transaction).await?;
                }
                Settled::Dead { key, at, why } => end(&mut transaction, key, *at, "dead", why).await?,
                Settled::Collapsed { key, into, at } => {
                    end(&mut transaction, key, *at, "collapsed", into).await?;
                }
            }
        }
        transaction.commit().await
    }
}

async fn end(
    connection: &mut PgConnection,
    key: &str,
    at: Timestamp,
    outcome: &str,
    answer: &str,
) -> Result<(), sqlx::Error> {
    let sql = "UPDATE outbox SET settled_at = $1, outcome = $2, answer = $3, lease_until = NULL \
               WHERE key = $4 AND settled_at IS NULL";
    let ended = sqlx::query(sql).bind(at.as_millisecond()).bind(outcome).bind(without_nul(answer)).bind(key);
    ended.execute(connection).await?;
    Ok(())
}

fn claimed(
    (_, not_before, attempts, batch, unsure, body, sent, root): Columns,
) -> Result<Claimed, sqlx::Error> {
    let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
    Waiting { not_before, attempts, batch, unsure, body, sent, root }.claimed()
}
