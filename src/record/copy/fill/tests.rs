use std::path::{Path, PathBuf};

use super::*;
use crate::model::{Baseline, Baselines as _, Decision, Outcome, Verdict};
use crate::record::contract::{bare, incident, outcome, ran, row, sent, time};
use crate::record::postgres::bare::Bare as Database;
use crate::record::postgres::server::{SHARED, run, scalar};
use crate::record::postgres::{self, Postgres};
use crate::record::resilient::Resilient;
use crate::record::sqlite::bare::Bare as FileSide;
use crate::record::sqlite::baselines::SqliteBaselines;
use crate::record::sqlite::ledger::SqliteLedger;
use crate::record::sqlite::{self, Sqlite};
use crate::record::{Figures, Gap, Store as _, Transition, contract, roll};

const HOUR: i64 = 3_600_000;
const MODE: sqlite::Mode = sqlite::Mode::Daemon { full_sync: false };

/// A file with everything in it: what the contracts write, and a few thousand results.
async fn filled(path: &Path) {
    contract::holds(&Sqlite::open(path, MODE).await.unwrap()).await;
    let ledger = SqliteLedger::of_command(path);
    contract::ledger::holds(&ledger).await;
    ledger.close().await;
    let decided = Baseline {
        key: "www.acme.example A".into(),
        values: vec!["192.0.2.1".into()],
        decision: Decision::Approved,
        by: "jo".into(),
        at: time(5),
        why: "it's \"ours\" — é".into(),
    };
    SqliteBaselines::new(path).decide(&"a/b".into(), &[decided]).await.unwrap();
    let store = Sqlite::open(path, MODE).await.unwrap();
    store.begin(time(100 * HOUR)).await.unwrap();
    let gap = |check: Option<&str>| Gap {
        check: check.map(Into::into),
        from: time(99 * HOUR),
        to: time(100 * HOUR),
        why: "not_running".into(),
    };
    store.note_gaps(&[gap(None), gap(Some("p/c0"))]).await.unwrap();
    let batch: Vec<_> = (0..4_000)
        .map(|minute| {
            let verdict = if minute % 97 == 0 { Verdict::Fail } else { Verdict::Pass };
            let check = format!("p/c{}", minute % 3);
            ran(Outcome { verdict, ..outcome(&check, 100 * HOUR + minute * 60_000) })
        })
        .collect();
    store.commit(&batch).await.unwrap();
    let late = Transition {
        incidents: vec![incident("p/c1", 100 * HOUR)],
        outbox: vec![row("m1", "p/c1", "mail", 0), row("m2", "p/c1", "mail", 0)],
        ..bare("p/c1")
    };
    store.commit(&[late]).await.unwrap();
    store.settle(&[sent("m1", 7)]).await.unwrap();
    roll::roll(&store, time(180 * HOUR)).await.unwrap();
    store.close().await;
}

async fn copied(from: &mut dyn Side, to: &mut dyn Side) -> Result<Vec<Sum>, CopyError> {
    fill(from, to, &mut |_| {}).await
}

fn in_folder() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one.db"), folder.path().join("two.db"));
    (folder, one, two)
}

#[tokio::test]
async fn there_and_back_again_nothing_is_lost_and_the_stores_work() {
    let (_folder, one, two) = in_folder();
    filled(&one).await;
    let access = SHARED.database().await;
    let mut from = FileSide::source(&one).await.unwrap();
    let mut to = Database::target(access.clone()).await.unwrap();
    let there = copied(&mut from, &mut to).await.unwrap();
    assert!(there.iter().all(|sum| sum.rows > 0), "every table has rows: {there:?}");
    Box::new(from).close().await;
    Box::new(to).close().await;

    let mut from = Database::source(access.clone()).await.unwrap();
    let mut to = FileSide::target(&two).await.unwrap();
    assert_eq!(copied(&mut from, &mut to).await.unwrap(), there);
    Box::new(from).close().await;
    Box::new(to).close().await;

    let before = Sqlite::open(&one, sqlite::Mode::Reader).await.unwrap();
    let mode = postgres::Mode::Daemon { full_sync: false };
    let database = Postgres::open(access, mode).await.unwrap();
    let file = Sqlite::open(&two, MODE).await.unwrap();
    let check = "p/c1".into();
    for store in [&database as &dyn Figures, &file] {
        let history = store.history(&check, time(0), time(999 * HOUR), 9_999).await.unwrap();
        assert_eq!(history, before.history(&check, time(0), time(999 * HOUR), 9_999).await.unwrap());
        // What counts up goes on: new checks and messages get numbers of their own.
        let new = Transition { outbox: vec![row("new", "p/new", "mail", 0)], ..ran(outcome("p/new", 5)) };
        store.commit(&[new]).await.unwrap();
        let new = store.history(&"p/new".into(), time(0), time(9), 9).await.unwrap();
        assert_eq!(new.len(), 1);
        assert_eq!(store.waiting().await.unwrap().last().unwrap().row.key, "new");
    }
}

/// Breaks a copy off after so many chunks, as a kill does: everything is dropped in the middle.
async fn broken_off(from: &mut dyn Side, to: &mut dyn Side, after: u64) -> bool {
    let stop = tokio::sync::Notify::new();
    let mut chunks = 0;
    let mut count = |progress| {
        if matches!(progress, Progress::Copied { .. }) {
            chunks += 1;
            if chunks == after {
                stop.notify_one();
            }
        }
    };
    tokio::select! {
        biased;
        () = stop.notified() => true,
        done = fill(from, to, &mut count) => { done.unwrap(); false }
    }
}

#[tokio::test]
async fn a_copy_that_is_broken_off_again_and_again_is_complete_in_the_end() {
    let (_folder, one, two) = in_folder();
    filled(&one).await;
    let access = SHARED.database().await;
    let mut breaks = 0;
    for to_file in [false, true] {
        loop {
            let mut from = FileSide::source(&one).await.unwrap();
            let mut to: Box<dyn Side> = if to_file {
                Box::new(FileSide::target(&two).await.unwrap())
            } else {
                Box::new(Database::target(access.clone()).await.unwrap())
            };
            let broken = broken_off(&mut from, &mut *to, 2).await;
            drop(to);
            Box::new(from).close().await;
            if !broken {
                break;
            }
            breaks += 1;
            assert!(breaks < 200, "it does not get on");
            let refused = if to_file {
                Sqlite::open(&two, MODE).await.map(drop).unwrap_err()
            } else {
                // The server may still be ending the session before.
                let open = || Postgres::open(access.clone(), postgres::Mode::Daemon { full_sync: false });
                open().await.map(drop).unwrap_err()
            };
            let said = refused.to_string();
            assert!(said.contains("a migration from sqlite://") && said.contains("is unfinished"), "{said}");
        }
    }
    assert!(breaks > 10, "{breaks}");
    let mut sides: Vec<Box<dyn Side>> = vec![
        Box::new(FileSide::reader(&one).await.unwrap()),
        Box::new(FileSide::reader(&two).await.unwrap()),
        Box::new(Database::reader(access).await.unwrap()),
    ];
    for table in &TABLES {
        let mut sums = Vec::new();
        for side in &mut sides {
            if sums.is_empty() || side.place().starts_with("sqlite") {
                sums.push(sum(&mut **side, table).await.unwrap());
            } else {
                side.freeze().await.ok();
                sums.push(sum(&mut **side, table).await.unwrap());
            }
        }
        assert!(sums.windows(2).all(|two| two[0] == two[1]), "{sums:?}");
    }
}

#[tokio::test]
async fn what_is_not_empty_is_not_copied_into() {
    let (_folder, one, two) = in_folder();
    for path in [&one, &two] {
        let store = Sqlite::open(path, MODE).await.unwrap();
        store.commit(&[ran(outcome("a/b", 1)), ran(outcome("a/b", 2))]).await.unwrap();
        store.close().await;
    }
    let mut from = FileSide::source(&one).await.unwrap();
    let mut to = FileSide::target(&two).await.unwrap();
    let said = copied(&mut from, &mut to).await.unwrap_err().to_string();
    assert!(said.contains("two.db: not empty (checks 1, results 2)"), "{said}");
}

#[tokio::test]
async fn what_a_daemon_uses_is_not_moved() {
    let (_folder, one, two) = in_folder();
    let file = Sqlite::open(&one, MODE).await.unwrap();
    let access = SHARED.database().await;
    let mode = postgres::Mode::Daemon { full_sync: false };
    let database = Postgres::open(access.clone(), mode).await.unwrap();
    for refused in [
        FileSide::source(&one).await.map(drop),
        FileSide::target(&one).await.map(drop),
        Database::source(access.clone()).await.map(drop),
        Database::target(access).await.map(drop),
    ] {
        assert!(matches!(refused, Err(StoreError::Locked { .. })), "{refused:?}");
    }
    assert!(FileSide::source(&two).await.is_err() && !two.exists(), "nothing is made of nothing");
    file.close().await;
    database.close().await;
}

#[tokio::test]
async fn half_of_something_else_is_not_gone_on_with_and_no_daemon_begins_on_it() {
    let (folder, one, two) = in_folder();
    let other = folder.path().join("other.db");
    for path in [&one, &other] {
        let store = Sqlite::open(path, MODE).await.unwrap();
        store.commit(&[ran(outcome("a/b", 1))]).await.unwrap();
        store.close().await;
    }
    let mut from = FileSide::source(&one).await.unwrap();
    let mut to = FileSide::target(&two).await.unwrap();
    assert!(broken_off(&mut from, &mut to, 1).await);
    drop(to);
    let mut to = FileSide::target(&two).await.unwrap();
    let mut elsewhere = FileSide::source(&other).await.unwrap();
    let said = copied(&mut elsewhere, &mut to).await.unwrap_err().to_string();
    assert!(said.contains("unfinished migration from sqlite://") && said.contains("one.db"), "{said}");
    drop(to);
    assert!(FileSide::source(&two).await.unwrap_err().to_string().contains("unfinished"));
    let path = two.clone();
    let opener: crate::record::resilient::Opener = Box::new(move || {
        let path = path.clone();
        Box::pin(async move {
            let store = Sqlite::open(&path, MODE).await?;
            Ok(std::sync::Arc::new(store) as std::sync::Arc<dyn Figures>)
        })
    });
    let begun = Resilient::open(opener).await;
    assert!(matches!(begun, Err(StoreError::Unfinished { .. })), "memory is no way around it");
}

#[tokio::test]
async fn a_source_that_was_written_to_meanwhile_is_noticed() {
    let (_folder, one, two) = in_folder();
    let commit = async |at| {
        let store = Sqlite::open(&one, MODE).await.unwrap();
        store.commit(&[ran(outcome("a/b", at))]).await.unwrap();
        store.close().await;
    };
    commit(1_000).await;
    let mut from = FileSide::source(&one).await.unwrap();
    let mut to = FileSide::target(&two).await.unwrap();
    assert!(broken_off(&mut from, &mut to, 2).await);
    Box::new(from).close().await;
    drop(to);
    commit(500).await;
    let mut from = FileSide::source(&one).await.unwrap();
    let mut to = FileSide::target(&two).await.unwrap();
    let differs = copied(&mut from, &mut to).await.unwrap_err();
    let CopyError::Differs { table: "results", rows: 2, copied: 1, .. } = differs else {
        panic!("{differs}");
    };
}

#[tokio::test]
async fn what_a_newer_version_wrote_is_left_alone() {
    let (_folder, one, two) = in_folder();
    let access = SHARED.database().await;
    Sqlite::open(&one, MODE).await.unwrap().close().await;
    Postgres::open(access.clone(), postgres::Mode::Daemon { full_sync: false }).await.unwrap().close().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (99, 'later', TRUE, ''";
    let mut root = SHARED.root(&access.database).await;
    run(&mut root, &format!("{newer}::bytea, 0)")).await;
    let mut file =
        <sqlx::SqliteConnection as sqlx::Connection>::connect(one.to_str().unwrap()).await.unwrap();
    let sql = sqlx::AssertSqlSafe(format!("{newer}, 0)"));
    sqlx::query(sql).execute(&mut file).await.unwrap();
    for refused in [
        FileSide::source(&one).await.map(drop),
        FileSide::target(&one).await.map(drop),
        FileSide::reader(&one).await.map(drop),
        Database::source(access.clone()).await.map(drop),
        Database::target(access.clone()).await.map(drop),
        Database::reader(access).await.map(drop),
        sqlite::upkeep::vacuum(&one).await.map(drop),
        sqlite::upkeep::backup(&one, &two, false).await.map(drop),
    ] {
        assert!(matches!(refused, Err(StoreError::Newer { found: 99, .. })), "{refused:?}");
    }
    assert_eq!(
        scalar(&mut root, "SELECT count(*) FROM pg_class WHERE relname = 'unfinished_migration'").await,
        0
    );
}
