//! The outbox: rows wait, are leased, and are settled.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::{Connection, SqliteConnection};

use super::{Sqlite, Writer};
use crate::model::OutboxRow;
use crate::record::rows::{Waiting, json};
use crate::record::{Claimed, Settled, StoreError};

const COLUMNS: &str = "SELECT o.seq, o.not_before, o.attempts, o.batch, o.unsure, o.body, g.at, \
    (SELECT coalesce(s.batch, s.key) FROM outbox s WHERE s.outcome = 'sent' AND s.incident = o.incident \
     AND s.channel = o.channel ORDER BY s.seq LIMIT 1) FROM outbox o \
    LEFT JOIN group_sent g ON g.channel = o.channel AND g.group_key = o.group_key ";

type Columns = (i64, i64, u32, Option<String>, bool, String, Option<i64>, Option<String>);

pub(super) async fn insert(connection: &mut SqliteConnection, row: &OutboxRow) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO outbox (key, channel, group_key, incident, at, not_before, attempts, batch, unsure, body) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING";
    sqlx::query(sql)
        .bind(&row.key)
        .bind(&row.channel)
        .bind(&row.group_key)
        .bind(row.incident.as_str())
        .bind(row.notice.at.as_millisecond())
        .bind(row.not_before.as_millisecond())
        .bind(row.attempts)
        .bind(&row.batch)
        .bind(row.unsure)
        .bind(json(row)?)
        .execute(connection)
        .await?;
    Ok(())
}

impl Sqlite {
    pub(super) async fn claim_due(
        &self,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<Claimed>, StoreError> {
        self.still_there()?;
        let mut writer = self.seat().await?;
        writer.claim(now, lease).await.map_err(|why| self.fault(&why))
    }

    pub(super) async fn write_marks(&self, batch: &str, keys: &[String]) -> Result<(), StoreError> {
        self.still_there()?;
        let mut writer = self.seat().await?;
        writer.mark(batch, keys).await.map_err(|why| self.fault(&why))
    }

    pub(super) async fn write_settled(&self, settled: &[Settled]) -> Result<(), StoreError> {
        if settled.is_empty() {
            return Ok(());
        }
        self.still_there()?;
        let mut writer = self.seat().await?;
        writer.settle(settled).await.map_err(|why| self.fault(&why))
    }

    pub(super) async fn forget_leases(&self) -> Result<(), StoreError> {
        let mut writer = self.seat().await?;
        let sql = "UPDATE outbox SET lease_until = NULL WHERE settled_at IS NULL AND lease_until IS NOT NULL";
        sqlx::query(sql).execute(&mut writer.connection).await.map_err(|why| self.fault(&why))?;
        Ok(())
    }

    pub(super) async fn count_waiting(&self) -> Result<(u64, Option<Timestamp>), StoreError> {
        let sql = "SELECT count(*), min(at) FROM outbox WHERE settled_at IS NULL";
        let found = sqlx::query_as::<_, (i64, Option<i64>)>(sql).fetch_one(&self.readers).await;
        let (count, oldest) = found.map_err(|why| self.fault(&why))?;
        let oldest = oldest.and_then(|oldest| Timestamp::from_millisecond(oldest).ok());
        Ok((u64::try_from(count).unwrap_or(0), oldest))
    }

    pub(super) async fn read_waiting(&self) -> Result<Vec<Claimed>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE o.settled_at IS NULL ORDER BY o.seq"));
        let rows = sqlx::query_as::<_, Columns>(sql).fetch_all(&self.readers).await;
        let rows = rows.map_err(|why| self.fault(&why))?;
        rows.into_iter().map(|row| claimed(row).map_err(|why| self.fault(&why))).collect()
    }
}

impl Writer {
    async fn claim(&mut self, now: Timestamp, lease: Duration) -> Result<Vec<Claimed>, sqlx::Error> {
        let now = now.as_millisecond();
        let until = now.saturating_add(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX));
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        let sql = sqlx::AssertSqlSafe(format!(
            "WITH free AS (SELECT incident, channel, min(not_before) <= ?1 AS due, \
             max(attempts > 0 OR batch IS NOT NULL) AS tried FROM outbox WHERE settled_at IS NULL \
             GROUP BY incident, channel HAVING max(coalesce(lease_until, 0)) <= ?1) \
             {COLUMNS} JOIN free ON free.incident = o.incident AND free.channel = o.channel \
             WHERE o.settled_at IS NULL AND (free.due OR NOT free.tried AND free.channel IN \
             (SELECT channel FROM free WHERE due AND NOT tried)) ORDER BY o.seq"
        ));
        let rows = sqlx::query_as::<_, Columns>(sql).bind(now).fetch_all(&mut *transaction).await?;
        for row in &rows {
            let lease = sqlx::query("UPDATE outbox SET lease_until = ? WHERE seq = ?");
            lease.bind(until).bind(row.0).execute(&mut *transaction).await?;
        }
        let rows = rows.into_iter().map(claimed).collect::<Result<Vec<_>, _>>()?;
        // Nothing claimed leaves nothing to sync.
        if rows.is_empty() {
            transaction.rollback().await?
        } else {
            transaction.commit().await?
        }
        Ok(rows)
    }

    async fn mark(&mut self, batch: &str, keys: &[String]) -> Result<(), sqlx::Error> {
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        for key in keys {
            let sql = "UPDATE outbox SET batch = ?, unsure = 1 WHERE key = ? AND settled_at IS NULL";
            sqlx::query(sql).bind(batch).bind(key).execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }

    async fn settle(&mut self, settled: &[Settled]) -> Result<(), sqlx::Error> {
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        for settled in settled {
            match settled {
                Settled::Sent { key, at, answer } => {
                    let sql = "INSERT INTO group_sent (channel, group_key, at) \
                               SELECT channel, group_key, ?2 FROM outbox WHERE key = ?1 \
                               ON CONFLICT DO UPDATE SET at = max(at, excluded.at)";
                    let sent = sqlx::query(sql).bind(key).bind(at.as_millisecond());
                    sent.execute(&mut *transaction).await?;
                    end(&mut transaction, key, *at, "sent", answer).await?;
                }
                Settled::Later { key, not_before, attempts, batch, why, unsure } => {
                    let sql = "UPDATE outbox SET not_before = ?, attempts = ?, batch = ?, answer = ?, unsure = ?, \
                               lease_until = NULL WHERE key = ? AND settled_at IS NULL";
                    let later = sqlx::query(sql).bind(not_before.as_millisecond()).bind(attempts);
                    later.bind(batch).bind(why).bind(unsure).bind(key).execute(&mut *transaction).await?;
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
    connection: &mut SqliteConnection,
    key: &str,
    at: Timestamp,
    outcome: &str,
    answer: &str,
) -> Result<(), sqlx::Error> {
    let sql = "UPDATE outbox SET settled_at = ?, outcome = ?, answer = ?, lease_until = NULL \
               WHERE key = ? AND settled_at IS NULL";
    let ended = sqlx::query(sql).bind(at.as_millisecond()).bind(outcome).bind(answer).bind(key);
    ended.execute(connection).await?;
    Ok(())
}

fn claimed(
    (_, not_before, attempts, batch, unsure, body, sent, root): Columns,
) -> Result<Claimed, sqlx::Error> {
    Waiting { not_before, attempts, batch, unsure, body, sent, root }.claimed()
}
