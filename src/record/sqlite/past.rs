//! Reading what was written, and dropping what is old.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use futures_util::TryStreamExt;
use jiff::Timestamp;
use serde_json::value::RawValue;

use super::Sqlite;
use crate::alert;
use crate::model::{CheckId, Incident};
use crate::record::rows::{self, BUDGET, PRUNE, SETTLED, parsed, time};
use crate::record::{Cutoffs, Gap, LastFacts, ResultRow, Resumed, StoreError};

type Columns = (i64, i64, i64, Option<u16>, Vec<u8>, Option<String>);
type CheckColumns = (i64, String, Option<String>, Option<String>, Option<i64>);

fn result((at, _, packed, status, times, findings): Columns) -> Result<ResultRow, sqlx::Error> {
    rows::result(at, packed, status, &times, findings.as_deref())
}

impl Sqlite {
    pub(super) async fn read_resumed(&self) -> Result<Vec<Resumed>, StoreError> {
        self.resumed().await.map_err(|why| self.fault(&why))
    }

    async fn resumed(&self) -> Result<Vec<Resumed>, sqlx::Error> {
        let sql = "SELECT id, name, state, memory, last_at FROM checks WHERE removed = 0";
        let checks = sqlx::query_as::<_, CheckColumns>(sql).fetch_all(&self.readers).await?;
        let mut newest = self.newest(checks.len()).await?;
        let mut resumed = Vec::with_capacity(checks.len());
        for (id, name, state, memory, noted) in checks {
            let last = match (newest.remove(&id), noted) {
                (Some(last), _) => Some(last),
                (None, Some(noted)) => self.result_at(noted, id).await?,
                (None, None) => None,
            };
            resumed.push(Resumed {
                check: CheckId::from(name.as_str()),
                state: state.as_deref().map(parsed::<alert::State>).transpose()?.unwrap_or_default(),
                memory: memory
                    .map(RawValue::from_string)
                    .transpose()
                    .map_err(|why| sqlx::Error::Decode(why.into()))?,
                last,
            });
        }
        Ok(resumed)
    }

    /// The newest result of each check that is among the newest results of all. Checks that run
    /// rarely are not; their rows point to their last result (within ten minutes).
    async fn newest(&self, checks: usize) -> Result<HashMap<i64, ResultRow>, sqlx::Error> {
        let mut found = HashMap::with_capacity(checks);
        let limit = i64::try_from(checks.saturating_mul(4).max(10_000)).unwrap_or(i64::MAX);
        let sql = "SELECT at, check_id, verdict, status, times, findings FROM results \
                   ORDER BY at DESC, check_id DESC LIMIT ?";
        let mut rows = sqlx::query_as::<_, Columns>(sql).bind(limit).fetch(&self.readers);
        while found.len() < checks {
            let Some(row) = rows.try_next().await? else { break };
            let check = row.1;
            if let Entry::Vacant(place) = found.entry(check) {
                place.insert(result(row)?);
            }
        }
        Ok(found)
    }

    async fn result_at(&self, at: i64, check: i64) -> Result<Option<ResultRow>, sqlx::Error> {
        let sql = "SELECT at, check_id, verdict, status, times, findings FROM results WHERE at = ? AND check_id = ?";
        let row =
            sqlx::query_as::<_, Columns>(sql).bind(at).bind(check).fetch_optional(&self.readers).await?;
        row.map(result).transpose()
    }

    pub(super) async fn read_history(
        &self,
        check: &CheckId,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Vec<ResultRow>, StoreError> {
        let sql = "SELECT at, check_id, verdict, status, times, findings FROM results \
                   WHERE at >= ? AND at < ? AND check_id = (SELECT id FROM checks WHERE name = ?) \
                   ORDER BY at LIMIT ?";
        let rows = sqlx::query_as::<_, Columns>(sql)
            .bind(from.as_millisecond())
            .bind(to.as_millisecond())
            .bind(check.as_str())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.readers)
            .await;
        let rows = rows.and_then(|rows| rows.into_iter().map(result).collect());
        rows.map_err(|why| self.fault(&why))
    }

    pub(super) async fn read_facts(&self, check: &CheckId) -> Result<LastFacts, StoreError> {
        let sql = "SELECT facts_at, facts FROM checks WHERE name = ? AND facts IS NOT NULL AND facts_at IS NOT NULL";
        let found =
            sqlx::query_as::<_, (i64, String)>(sql).bind(check.as_str()).fetch_optional(&self.readers).await;
        let Some((at, facts)) = found.map_err(|why| self.fault(&why))? else { return Ok(None) };
        let facts =
            RawValue::from_string(facts).map_err(|why| self.fault(&sqlx::Error::Decode(why.into())))?;
        Ok(Some((time(at), facts)))
    }

    pub(super) async fn read_open_incidents(&self) -> Result<Vec<Incident>, StoreError> {
        let sql = "SELECT body FROM incidents WHERE ended IS NULL ORDER BY started, id";
        let rows = sqlx::query_scalar::<_, String>(sql).fetch_all(&self.readers).await;
        let rows = rows.and_then(|rows| rows.iter().map(|body| parsed(body)).collect());
        rows.map_err(|why| self.fault(&why))
    }

    pub(super) async fn read_incidents(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Incident>, StoreError> {
        let sql = "SELECT body FROM incidents WHERE started < ?2 AND (ended IS NULL OR ended >= ?1) \
                   ORDER BY started, id";
        let rows = sqlx::query_scalar::<_, String>(sql)
            .bind(from.as_millisecond())
            .bind(to.as_millisecond())
            .fetch_all(&self.readers)
            .await;
        let rows = rows.and_then(|rows| rows.iter().map(|body| parsed(body)).collect());
        rows.map_err(|why| self.fault(&why))
    }

    pub(super) async fn read_gaps(&self, from: Timestamp, to: Timestamp) -> Result<Vec<Gap>, StoreError> {
        let sql = "SELECT g.at, g.until, c.name, g.why FROM gaps g LEFT JOIN checks c ON c.id = g.check_id \
                   WHERE g.at < ?2 AND g.until >= ?1 ORDER BY g.at, g.check_id";
        let rows = sqlx::query_as::<_, (i64, i64, Option<String>, String)>(sql)
            .bind(from.as_millisecond())
            .bind(to.as_millisecond())
            .fetch_all(&self.readers)
            .await;
        let gap = |(from, to, check, why): (i64, i64, Option<String>, String)| Gap {
            check: check.map(|check| CheckId::from(check.as_str())),
            from: time(from),
            to: time(to),
            why,
        };
        Ok(rows.map_err(|why| self.fault(&why))?.into_iter().map(gap).collect())
    }

    pub(super) async fn drop_old(&self, cutoffs: &Cutoffs) -> Result<u64, StoreError> {
        let Cutoffs { results, hours, days, incidents } = cutoffs;
        let (results, incidents) = (results.as_millisecond(), incidents.as_millisecond());
        let mut dropped = 0;
        for sql in [
            "DELETE FROM results WHERE (at, check_id) IN \
             (SELECT at, check_id FROM results WHERE at < ? ORDER BY at, check_id LIMIT ?)",
            "DELETE FROM facts WHERE (at, check_id) IN \
             (SELECT at, check_id FROM facts WHERE at < ? ORDER BY at, check_id LIMIT ?)",
            "DELETE FROM gaps WHERE (at, check_id) IN \
             (SELECT at, check_id FROM gaps WHERE until < ? ORDER BY at, check_id LIMIT ?)",
        ] {
            dropped += self.drop_some(sql, results).await?;
        }
        let incidents_sql =
            "DELETE FROM incidents WHERE id IN (SELECT id FROM incidents WHERE ended < ? LIMIT ?)";
        dropped += self.drop_some(incidents_sql, incidents).await?;
        dropped += self.drop_rolled(results, hours.as_millisecond(), days.as_millisecond()).await?;
        dropped += self.drop_ended(results).await?;
        Ok(dropped + self.drop_settled().await?)
    }

    /// Canaries that have ended go with the results, but not while they count for a budget; what is
    /// open stays. The age counts from the newest end: the store has no clock.
    async fn drop_ended(&self, before: i64) -> Result<u64, StoreError> {
        let newest = sqlx::query_scalar::<_, Option<i64>>("SELECT max(ended) FROM canaries");
        let newest = newest.fetch_one(&self.readers).await.map_err(|why| self.fault(&why))?;
        let Some(newest) = newest else { return Ok(0) };
        let counted = newest.saturating_sub(i64::try_from(BUDGET.as_millis()).unwrap_or(i64::MAX));
        self.drop_some(
            "DELETE FROM canaries WHERE run IN \
             (SELECT run FROM canaries WHERE ended < ? ORDER BY ended LIMIT ?)",
            before.min(counted),
        )
        .await
    }

    /// Settled messages count from the newest one: the store has no clock.
    async fn drop_settled(&self) -> Result<u64, StoreError> {
        let newest = sqlx::query_scalar::<_, Option<i64>>("SELECT max(settled_at) FROM outbox");
        let newest = newest.fetch_one(&self.readers).await.map_err(|why| self.fault(&why))?;
        let Some(newest) = newest else { return Ok(0) };
        let before = newest.saturating_sub(i64::try_from(SETTLED.as_millis()).unwrap_or(i64::MAX));
        let mut dropped = self
            .drop_some(
                "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox WHERE settled_at < ? AND incident NOT IN \
                 (SELECT id FROM incidents WHERE ended IS NULL) LIMIT ?)",
                before,
            )
            .await?;
        dropped += self
            .drop_some(
                "DELETE FROM group_sent WHERE (channel, group_key) IN \
                 (SELECT channel, group_key FROM group_sent WHERE at < ? LIMIT ?)",
                before,
            )
            .await?;
        Ok(dropped)
    }

    pub(super) async fn drop_some(&self, sql: &'static str, before: i64) -> Result<u64, StoreError> {
        let mut dropped = 0;
        loop {
            let mut writer = self.seat().await?;
            let done = sqlx::query(sql).bind(before).bind(PRUNE).execute(&mut writer.connection).await;
            let done = done.map_err(|why| self.fault(&why))?.rows_affected();
            dropped += done;
            if done < PRUNE as u64 {
                return Ok(dropped);
            }
        }
    }
}
