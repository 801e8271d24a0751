//! What people decided, in the database, so that a command can decide while a daemon runs.
//!
//! A decision is on disk, synced, when it returns; the daemon reads before each run that compares.

use std::fmt;

use futures_util::future::BoxFuture;
use sqlx::{Connection as _, PgConnection};
use tokio::sync::Mutex;

use super::link::{Link, is_alive, part, patiently};
use super::{beside, error, without_nul};
use crate::model::baseline::holding;
use crate::model::database::Access;
use crate::model::{Baseline, BaselineError, Baselines, CheckId};
use crate::record::StoreError;
use crate::record::rows::{Decided, MOST_BYTES, MOST_DECISIONS as MOST, baseline};

/// The decisions in a database.
pub struct PostgresBaselines {
    link: Link,
    reader: Mutex<Option<PgConnection>>,
}

impl fmt::Debug for PostgresBaselines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresBaselines({})", self.link.access.place())
    }
}

impl PostgresBaselines {
    /// Those of this database. It is prepared at the first decision if it is not.
    pub fn new(access: Access) -> Self {
        Self { link: Link::new(access), reader: Mutex::default() }
    }

    fn fault(&self, fault: StoreError) -> BaselineError {
        let (why, way_out) = error::way_out(fault);
        BaselineError { place: self.link.access.place(), why: format!("{why}; {way_out}") }
    }

    fn of_statement(&self, why: &sqlx::Error) -> BaselineError {
        self.fault(self.link.fault(why))
    }

    /// The last so many decisions of a check, oldest first.
    async fn read(&self, check: &CheckId, most: i64) -> Result<Vec<Baseline>, BaselineError> {
        let mut reader = self.reader.lock().await;
        let kept = match reader.take() {
            Some(mut kept) => is_alive(&mut kept).await.then_some(kept),
            None => None,
        };
        let opened = match kept {
            Some(kept) => Some(kept),
            None => beside::reader(&self.link).await.map_err(|why| self.fault(why))?,
        };
        // Nothing was decided in a database that no version has prepared, or an older one.
        let Some(mut connection) = opened else { return Ok(Vec::new()) };
        let read = patiently(select(&mut connection, check, most)).await;
        let read = read.map_err(|why| self.of_statement(&why))?;
        *reader = Some(connection);
        Ok(read)
    }

    async fn write(&self, check: &CheckId, baselines: &[Baseline]) -> Result<(), BaselineError> {
        let mut rows = Vec::new();
        for baseline in baselines {
            let entries = serde_json::json!(baseline.values).to_string();
            if entries.len() > MOST_BYTES {
                let why =
                    format!("{} takes {} bytes, and {MOST_BYTES} is the most", baseline.key, entries.len());
                return Err(BaselineError { place: self.link.access.place(), why });
            }
            rows.push((baseline, entries));
        }
        beside::prepare(&self.link).await.map_err(|why| self.fault(why))?;
        let mut connection = beside::promise(&self.link).await.map_err(|why| self.fault(why))?;
        let written = patiently(insert(&mut connection, check, &rows)).await;
        part(connection).await;
        written.map_err(|why| self.of_statement(&why))
    }
}

async fn select(
    connection: &mut PgConnection,
    check: &CheckId,
    most: i64,
) -> Result<Vec<Baseline>, sqlx::Error> {
    let rows = sqlx::query_as::<_, Decided>(
        "SELECT key, entries, decision, decided_by, at, why FROM decisions WHERE check_name = $1 \
         ORDER BY id DESC LIMIT $2",
    );
    let rows = rows.bind(check.as_str()).bind(most).fetch_all(connection).await?;
    rows.into_iter().rev().map(baseline).collect()
}

async fn insert(
    connection: &mut PgConnection,
    check: &CheckId,
    rows: &[(&Baseline, String)],
) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    // Their order is what holds, so that two that decide at once do it one after the other.
    sqlx::query("LOCK TABLE decisions IN SHARE ROW EXCLUSIVE MODE").execute(&mut *transaction).await?;
    for (baseline, entries) in rows {
        sqlx::query(
            "INSERT INTO decisions (check_name, key, entries, decision, decided_by, at, why) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(check.as_str())
        .bind(without_nul(&baseline.key))
        .bind(entries)
        .bind(baseline.decision.as_str())
        .bind(without_nul(&baseline.by))
        .bind(baseline.at.as_millisecond())
        .bind(without_nul(&baseline.why))
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await
}

impl Baselines for PostgresBaselines {
    fn of<'a>(&'a self, check: &'a CheckId) -> BoxFuture<'a, Result<Vec<Baseline>, BaselineError>> {
        Box::pin(async { Ok(holding(self.read(check, MOST).await?)) })
    }

    fn decide<'a>(
        &'a self,
        check: &'a CheckId,
        baselines: &'a [Baseline],
    ) -> BoxFuture<'a, Result<(), BaselineError>> {
        Box::pin(self.write(check, baselines))
    }

    fn history<'a>(
        &'a self,
        check: &'a CheckId,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Baseline>, BaselineError>> {
        Box::pin(async move {
            let mut all = self.read(check, i64::try_from(limit).unwrap_or(MOST).min(MOST)).await?;
            all.reverse();
            Ok(all)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Decision;
    use crate::record::Store as _;
    use crate::record::postgres::server::SHARED;
    use crate::record::postgres::{Mode, Postgres};

    fn decided(value: &str, decision: Decision) -> Baseline {
        Baseline {
            key: "www.acme.example. A".into(),
            values: vec![value.into(), "ü \"quoted\" \0".into()],
            decision,
            by: "ada".into(),
            at: "2026-11-25T10:00:00.123Z".parse().unwrap(),
            why: "moved".into(),
        }
    }

    #[tokio::test]
    async fn what_was_decided_is_there_for_everybody_at_once_and_nothing_is_forgotten() {
        let access = SHARED.database().await;
        let (check, other) = (CheckId::new("acme", "dns"), CheckId::new("acme", "other"));
        let reader = PostgresBaselines::new(access.clone());
        assert_eq!(reader.of(&check).await.unwrap(), [], "nothing was decided in an empty database");
        let daemon = Postgres::open(access.clone(), Mode::Daemon { full_sync: false }).await.unwrap();
        assert_eq!(reader.of(&check).await.unwrap(), []);
        let (first, second) =
            (decided("192.0.2.1", Decision::Approved), decided("192.0.2.2", Decision::Approved));
        // By another process, so to speak, while the daemon has the store.
        let command = PostgresBaselines::new(access);
        command.decide(&check, std::slice::from_ref(&first)).await.unwrap();
        assert_eq!(reader.of(&check).await.unwrap(), std::slice::from_ref(&first));
        command.decide(&check, &[second.clone(), decided("192.0.2.3", Decision::Rejected)]).await.unwrap();
        let held = reader.of(&check).await.unwrap();
        assert_eq!(held, [second.clone(), decided("192.0.2.3", Decision::Rejected)]);
        assert_eq!(reader.of(&other).await.unwrap(), []);
        let history = reader.history(&check, 2).await.unwrap();
        assert_eq!(history, [decided("192.0.2.3", Decision::Rejected), second]);
        assert_eq!(reader.history(&check, 9).await.unwrap().last(), Some(&first));
        daemon.close().await;
    }

    #[tokio::test]
    async fn a_command_prepares_the_database_and_too_much_is_refused() {
        let access = SHARED.database().await;
        let check = CheckId::new("acme", "dns");
        let baselines = PostgresBaselines::new(access.clone());
        let one = decided("192.0.2.1", Decision::Approved);
        baselines.decide(&check, std::slice::from_ref(&one)).await.unwrap();
        assert_eq!(baselines.of(&check).await.unwrap(), [one]);
        let large = Baseline { values: vec!["x".repeat(MOST_BYTES)], ..decided("", Decision::Approved) };
        let why = baselines.decide(&check, &[large]).await.unwrap_err().to_string();
        assert!(why.contains("is the most") && why.contains(&access.place()), "{why}");
    }
}
