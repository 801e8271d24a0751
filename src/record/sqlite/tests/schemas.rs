//! Files of older schemas, and processes that are killed while they bring them up to date.

use std::borrow::Cow;

use super::super::*;
use super::{DAEMON, scalar};
use crate::record::contract::schemas::{BESIDE, beside, kept, rows};

/// A file with the first so many migrations, and rows in all of its tables.
async fn old(path: &Path, migrations: usize) {
    let first = Cow::Owned(MIGRATIONS.iter().take(migrations).cloned().collect());
    let migrator = Migrator { migrations: first, ..Migrator::DEFAULT };
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = options.journal_mode(SqliteJournalMode::Wal).connect().await.unwrap();
    migrator.run_direct(None, &mut connection, false).await.unwrap();
    for sql in rows(version(migrations), |digits| format!("x'{digits}'")) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
}

fn version(migrations: usize) -> i64 {
    i64::try_from(migrations).unwrap()
}

/// Opens it as a daemon does, and looks for what was in it.
async fn nothing_is_lost(path: &Path, migrations: usize) {
    let store = Sqlite::open(path, DAEMON).await.unwrap();
    kept(&store, version(migrations)).await;
    assert_eq!(scalar(path, BESIDE).await, beside(version(migrations)));
    let mut connection = reading(path).connect().await.unwrap();
    assert_eq!(schema(path, &mut connection).await.unwrap(), known_schema());
    store.close().await;
}

/// The log in front of the file as it was after each write: a header, then pages, each with a header
/// (<https://www.sqlite.org/fileformat2.html#the_write_ahead_log>). And cut in the middle of each page,
/// as a kill in the middle of a write leaves it.
fn cuts(log: &[u8]) -> Vec<usize> {
    let page = usize::try_from(u32::from_be_bytes(log[8..12].try_into().unwrap())).unwrap();
    let ends = (0..).map(|pages| 32 + pages * (24 + page)).take_while(|end| *end <= log.len());
    [0].into_iter().chain(ends.flat_map(|end| [end, (end + page / 2).min(log.len())])).collect()
}

#[tokio::test]
async fn a_kill_at_any_write_of_a_migration_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for migrations in 0..MIGRATIONS.iter().count() {
        let path = folder.path().join(format!("old-{migrations}.db"));
        old(&path, migrations).await;
        let before = std::fs::read(&path).unwrap();
        // Open: nothing is moved out of the log.
        let store = Sqlite::open(&path, DAEMON).await.unwrap();
        let log = std::fs::read(path.with_extension("db-wal")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), before, "all of it is in the log");
        store.close().await;
        let cuts = cuts(&log);
        assert!(cuts.len() > 10, "{migrations}: {}", log.len());
        for cut in cuts {
            let killed = folder.path().join("killed.db");
            std::fs::write(&killed, &before).unwrap();
            std::fs::write(killed.with_extension("db-wal"), &log[..cut]).unwrap();
            nothing_is_lost(&killed, migrations).await;
            for file in ["db", "db-wal", "db-shm"] {
                std::fs::remove_file(killed.with_extension(file)).ok();
            }
        }
    }
}
