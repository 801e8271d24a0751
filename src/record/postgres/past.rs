//! Reading what was written.

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::Postgres;
use super::link::reading;
use crate::alert;
use crate::model::{CheckId, Incident};
use crate::record::rows::{self, parsed, time};
use crate::record::{Gap, LastFacts, ResultRow, Resumed, StoreError};

type Columns = (i64, i16, Option<i32>, Vec<u8>, Option<String>);

fn result((at, packed, status, times, findings): Columns) -> Result<ResultRow, sqlx::Error> {
    let status = status.and_then(|status| u16::try_from(status).ok());
    rows::result(at, packed.into(), status, &times, findings.as_deref())
}

/// A check and its last result, whose columns are null together.
#[derive(sqlx::FromRow)]
struct CheckColumns {
    name: String,
    state: Option<String>,
    memory: Option<String>,
    at: Option<i64>,
    verdict: Option<i16>,
    status: Option<i32>,
    times: Option<Vec<u8>>,
    findings: Option<String>,
}

fn resumed(row: CheckColumns) -> Result<Resumed, sqlx::Error> {
    let last = match (row.at, row.verdict, row.times) {
        (Some(at), Some(verdict), Some(times)) => Some((at, verdict, row.status, times, row.findings)),
        _ => None,
    };
    let memory = row.memory.map(RawValue::from_string).transpose();
    Ok(Resumed {
        check: CheckId::from(row.name.as_str()),
        state: row.state.as_deref().map(parsed::<alert::State>).transpose()?.unwrap_or_default(),
        memory: memory.map_err(|why| sqlx::Error::Decode(why.into()))?,
        last: last.map(result).transpose()?,
    })
}

impl Postgres {
    pub(super) async fn read_resumed(&self) -> Result<Vec<Resumed>, StoreError> {
        let mut reader = self.readers.take().await?;
        // By the key, from the newest day backwards: a few pages for each check.
        let sql = "SELECT c.name, c.state, c.memory, r.at, r.verdict, r.status, r.times, r.findings \
                   FROM checks c LEFT JOIN LATERAL (SELECT * FROM results WHERE check_id = c.id \
                   ORDER BY at DESC LIMIT 1) r ON TRUE WHERE NOT c.removed";
        let rows = sqlx::query_as::<_, CheckColumns>(sql).fetch_all(&mut reader.connection);
        let rows = reading(rows).await;
        reader.done(rows.and_then(|rows| rows.into_iter().map(resumed).collect()))
    }

    pub(super) async fn read_history(
        &self,
        check: &CheckId,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Vec<ResultRow>, StoreError> {
        let mut reader = self.readers.take().await?;
        let sql = "SELECT at, verdict, status, times, findings FROM results \
                   WHERE at >= $1 AND at < $2 AND check_id = (SELECT id FROM checks WHERE name = $3) \
                   ORDER BY at LIMIT $4";
        let rows = sqlx::query_as::<_, Columns>(sql)
            .bind(from.as_millisecond())
            .bind(to.as_millisecond())
            .bind(check.as_str())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&mut reader.connection);
        let rows = reading(rows).await;
        reader.done(rows.and_then(|rows| rows.into_iter().map(result).collect()))
    }

    pub(super) async fn read_facts(&self, check: &CheckId) -> Result<LastFacts, StoreError> {
        let mut reader = self.readers.take().await?;
        let sql = "SELECT facts_at, facts FROM checks \
                   WHERE name = $1 AND facts IS NOT NULL AND facts_at IS NOT NULL";
        let found = sqlx::query_as::<_, (i64, String)>(sql).bind(check.as_str());
        let found = reading(found.fetch_optional(&mut reader.connection)).await;
        let Some((at, facts)) = reader.done(found)? else { return Ok(None) };
        let facts = RawValue::from_string(facts);
        let facts = facts.map_err(|why| self.link.fault(&sqlx::Error::Decode(why.into())))?;
        Ok(Some((time(at), facts)))
    }

    pub(super) async fn read_open_incidents(&self) -> Result<Vec<Incident>, StoreError> {
        let mut reader = self.readers.take().await?;
        let sql = "SELECT body FROM incidents WHERE ended IS NULL ORDER BY started, id COLLATE \"C\"";
        let rows = reading(sqlx::query_scalar::<_, String>(sql).fetch_all(&mut reader.connection)).await;
        reader.done(rows.and_then(|rows| rows.iter().map(|body| parsed(body)).collect()))
    }

    pub(super) async fn read_incidents(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Incident>, StoreError> {
        let mut reader = self.readers.take().await?;
        let sql = "SELECT body FROM incidents WHERE started < $2 AND (ended IS NULL OR ended >= $1) \
                   ORDER BY started, id COLLATE \"C\"";
        let rows = sqlx::query_scalar::<_, String>(sql)
            .bind(from.as_millisecond())
            .bind(to.as_millisecond())
            .fetch_all(&mut reader.connection);
        let rows = reading(rows).await;
        reader.done(rows.and_then(|rows| rows.iter().map(|body| parsed(body)).collect()))
    }

    pub(super) async fn read_gaps(&self, from: Timestamp, to: Timestamp) -> Result<Vec<Gap>, StoreError> {
        let mut reader = self.readers.take().await?;
        let sql = "SELECT g.at, g.until, c.name, g.why FROM gaps g LEFT JOIN checks c ON c.id = g.check_id \
                   WHERE g.at < $2 AND g.until >= $1 ORDER BY g.at, g.check_id";
        let rows = sqlx::query_as::<_, (i64, i64, Option<String>, String)>(sql)
            .bind(from.as_millisecond())
            .bind(to.as_millisecond())
            .fetch_all(&mut reader.connection);
        let gap = |(from, to, check, why): (i64, i64, Option<String>, String)| Gap {
            check: check.map(|check| CheckId::from(check.as_str())),
            from: time(from),
            to: time(to),
            why,
        };
        let rows = reading(rows).await;
        Ok(reader.done(rows)?.into_iter().map(gap).collect())
    }
}
