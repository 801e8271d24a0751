//! What people decided, in the database's own file, so that a command can decide while a daemon runs.
//!
//! A decision is on disk, synced, when it returns; the daemon reads before each run that compares.

use std::fmt;
use std::path::{Path, PathBuf};

use futures_util::future::BoxFuture;
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::Mutex;

use super::beside::{self, Seat};
use super::error;
use crate::model::baseline::holding;
use crate::model::{Baseline, BaselineError, Baselines, CheckId};
use crate::record::StoreError;
use crate::record::rows::{Decided, MOST_BYTES, MOST_DECISIONS as MOST, baseline};

/// The decisions on disk.
pub struct SqliteBaselines {
    path: PathBuf,
    reader: Mutex<Option<Seat>>,
}

impl fmt::Debug for SqliteBaselines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqliteBaselines({:?})", self.path)
    }
}

const COLUMNS: &str = "key, entries, decision, decided_by, at, why";

impl SqliteBaselines {
    /// Those of this file. It is made at the first decision if there is none.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), reader: Mutex::default() }
    }

    fn fault(&self, fault: StoreError) -> BaselineError {
        let (why, way_out) = match fault {
            StoreError::Newer { found, known, .. } => (
                format!("it was written by a newer portalwatch (schema {found}, this version knows {known})"),
                "run that version",
            ),
            StoreError::Unfinished { from, .. } => {
                (format!("a migration from {from} is unfinished"), "finish it with portalwatch store migrate")
            }
            StoreError::Full { why, .. } => (format!("the disk is full: {why}"), "make room on it"),
            StoreError::ReadOnly { why, .. } => {
                (why, "let the user of this process write the file and its folder")
            }
            StoreError::Locked { why, .. } => (format!("locked by another process: {why}"), "try again"),
            fault @ StoreError::Fenced { .. } => (fault.to_string(), "ask the daemon that leads"),
            StoreError::Corrupt { why, .. } => (format!("the file is damaged: {why}"), "restore a backup"),
            StoreError::Rejected { why, .. } | StoreError::Other { why, .. } => {
                (why, "check storage.url and its disk")
            }
        };
        BaselineError { place: self.path.display().to_string(), why: format!("{why}; {way_out}") }
    }

    fn of_statement(&self, why: &sqlx::Error) -> BaselineError {
        self.fault(error::of(&self.path, why))
    }

    /// The last so many decisions of a check, oldest first.
    async fn read(&self, check: &CheckId, most: i64) -> Result<Vec<Baseline>, BaselineError> {
        let mut reader = self.reader.lock().await;
        let usable = match &mut *reader {
            Some(seat) => seat.is_usable(&self.path).await,
            None => false,
        };
        if !usable {
            // Nothing was decided in a file that is not there, or that an older version wrote.
            if !self.path.exists() || !beside::is_prepared(&self.path).await.map_err(|why| self.fault(why))? {
                return Ok(Vec::new());
            }
            *reader = Some(Seat::of_reader(&self.path).await.map_err(|why| self.fault(why))?);
        }
        let Some(seat) = &mut *reader else { return Ok(Vec::new()) };
        let read = select(&mut seat.connection, check, most).await;
        read.map_err(|why| {
            seat.failed = true;
            self.of_statement(&why)
        })
    }

    async fn write(&self, check: &CheckId, baselines: &[Baseline]) -> Result<(), BaselineError> {
        let mut rows = Vec::new();
        for baseline in baselines {
            let entries = serde_json::json!(baseline.values).to_string();
            if entries.len() > MOST_BYTES {
                let why =
                    format!("{} takes {} bytes, and {MOST_BYTES} is the most", baseline.key, entries.len());
                return Err(BaselineError { place: self.path.display().to_string(), why });
            }
            rows.push((baseline, entries));
        }
        beside::prepare(&self.path).await.map_err(|why| self.fault(why))?;
        let mut seat = Seat::of_writer(&self.path).await.map_err(|why| self.fault(why))?;
        let written = insert(&mut seat.connection, check, &rows).await;
        seat.connection.close().await.ok();
        written.map_err(|why| self.of_statement(&why))
    }
}

async fn select(
    connection: &mut SqliteConnection,
    check: &CheckId,
    most: i64,
) -> Result<Vec<Baseline>, sqlx::Error> {
    let rows = sqlx::query_as::<_, Decided>(sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM decisions WHERE check_name = ? ORDER BY id DESC LIMIT ?"
    )));
    let rows = rows.bind(check.as_str()).bind(most).fetch_all(connection).await?;
    rows.into_iter().rev().map(baseline).collect()
}

async fn insert(
    connection: &mut SqliteConnection,
    check: &CheckId,
    rows: &[(&Baseline, String)],
) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for (baseline, entries) in rows {
        sqlx::query(
            "INSERT INTO decisions (check_name, key, entries, decision, decided_by, at, why) VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(check.as_str())
        .bind(&baseline.key)
        .bind(entries)
        .bind(baseline.decision.as_str())
        .bind(&baseline.by)
        .bind(baseline.at.as_millisecond())
        .bind(&baseline.why)
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await
}

impl Baselines for SqliteBaselines {
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
    use crate::record::sqlite::{Mode, Sqlite};

    fn decided(value: &str, decision: Decision) -> Baseline {
        Baseline {
            key: "www.acme.example. A".into(),
            values: vec![value.into(), "ü \"quoted\"".into()],
            decision,
            by: "ada".into(),
            at: "2026-11-25T10:00:00.123Z".parse().unwrap(),
            why: "moved".into(),
        }
    }

    #[tokio::test]
    async fn what_was_decided_is_there_for_everybody_at_once_and_nothing_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.db");
        let (check, other) = (CheckId::new("acme", "dns"), CheckId::new("acme", "other"));
        let reader = SqliteBaselines::new(&path);
        assert_eq!(reader.of(&check).await.unwrap(), [], "nothing was decided in a file that is not there");
        assert!(!path.exists(), "and it is not made to look");
        let daemon = Sqlite::open(&path, Mode::Daemon { full_sync: false }).await.unwrap();
        assert_eq!(reader.of(&check).await.unwrap(), []);
        let (first, second) =
            (decided("192.0.2.1", Decision::Approved), decided("192.0.2.2", Decision::Approved));
        // By another process, so to speak, while the daemon has the store.
        let command = SqliteBaselines::new(&path);
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
    async fn a_command_makes_the_file_and_a_file_that_was_replaced_is_read_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.db");
        let check = CheckId::new("acme", "dns");
        let baselines = SqliteBaselines::new(&path);
        let one = decided("192.0.2.1", Decision::Approved);
        baselines.decide(&check, std::slice::from_ref(&one)).await.unwrap();
        assert_eq!(baselines.of(&check).await.unwrap(), [one]);
        for name in ["p.db", "p.db-wal", "p.db-shm"] {
            std::fs::remove_file(folder.path().join(name)).ok();
        }
        assert_eq!(baselines.of(&check).await.unwrap(), []);
    }

    #[tokio::test]
    async fn what_cannot_be_read_or_is_too_much_is_an_error_that_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.db");
        let check = CheckId::new("acme", "dns");
        std::fs::write(&path, vec![7; 8192]).unwrap();
        let broken = SqliteBaselines::new(&path);
        let why = broken.of(&check).await.unwrap_err().to_string();
        assert!(why.contains("p.db") && why.contains("damaged"), "{why}");
        let large = Baseline { values: vec!["x".repeat(MOST_BYTES)], ..decided("", Decision::Approved) };
        let why =
            SqliteBaselines::new(&folder.path().join("q.db")).decide(&check, &[large]).await.unwrap_err();
        assert!(why.to_string().contains("is the most"), "{why}");
    }
}
