use serde_json::json;

use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};

use super::*;
use crate::model::CheckId;
use crate::model::ledger::{Budget, CanaryState, Entry, Ledger as _, Tally};
use crate::record::Cutoffs;
use crate::record::Store as _;
use crate::record::canaries::Outcome;
use crate::record::contract::figures::nothing_old;
use crate::record::contract::ledger::{FREE, HELD, enter, holds, open, take};
use crate::record::contract::time;
use crate::record::sqlite::MIGRATIONS;
use crate::record::sqlite::{Mode, Sqlite, reading, schema};
use crate::telemetry::telemetry;

const DAEMON: Mode = Mode::Daemon { full_sync: false };

fn command(folder: &tempfile::TempDir) -> SqliteLedger {
    SqliteLedger::of_command(&folder.path().join("record.db"))
}

/// The store and the ledger of a daemon.
async fn daemon(path: &Path) -> (Sqlite, SqliteLedger) {
    let store = loop {
        // A connection that was dropped lets go of its lock on its own thread.
        match Sqlite::open(path, DAEMON).await {
            Ok(store) => break store,
            Err(StoreError::Locked { .. }) => tokio::task::yield_now().await,
            Err(why) => panic!("{why}"),
        }
    };
    let ledger = SqliteLedger::of_daemon(path);
    ledger.allow().await;
    (store, ledger)
}

async fn refused(ledger: &SqliteLedger) -> String {
    let check = "a/b".into();
    ledger.enter(&check, "refused", time(1), time(2), FREE).await.unwrap_err().to_string()
}

#[tokio::test]
async fn sqlite_holds_the_contract_of_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    holds(&command(&folder)).await;
}

#[tokio::test]
async fn every_commit_is_synced_although_results_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let (_store, ledger) = daemon(&folder.path().join("record.db")).await;
    let mut desk = ledger.bench.sit().await.unwrap();
    let seat = desk.seat.as_mut().unwrap();
    let sync = sqlx::query_scalar::<_, i64>("PRAGMA synchronous");
    assert_eq!(sync.fetch_one(&mut seat.connection).await.unwrap(), 2, "FULL");
    let journal = sqlx::query_scalar::<_, String>("PRAGMA journal_mode");
    assert_eq!(journal.fetch_one(&mut seat.connection).await.unwrap(), "wal");
}

#[tokio::test]
async fn a_write_that_was_entered_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.db");
    let (store, ledger) = daemon(&path).await;
    assert_eq!(enter(&ledger, "a/b", "r1", 1_000).await, Entry::Entered);
    ledger.keep("r1", json!({ "ticket": 7 }).as_object().unwrap()).await.unwrap();
    // The files as a kill leaves them: copied while they are open.
    let copy = folder.path().join("copy.db");
    std::fs::copy(&path, &copy).unwrap();
    std::fs::copy(folder.path().join("record.db-wal"), folder.path().join("copy.db-wal")).unwrap();
    let (_, after) = daemon(&copy).await;
    let found = after.take(&"a/b".into(), time(1_001), time(9_000)).await.unwrap();
    assert_eq!((found.len(), &*found[0].run, &found[0].kept["ticket"]), (1, "r1", &json!(7)));
    drop((store, ledger));
}

#[tokio::test]
async fn a_daemon_frees_at_its_start_what_the_dead_one_held_and_not_what_a_command_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.db");
    let (store, ledger) = daemon(&path).await;
    enter(&ledger, "a/b", "of-daemon", 1_000).await;
    enter(&command(&folder), "a/c", "of-command", 1_000).await;
    drop((store, ledger));
    let (_store, next) = daemon(&path).await;
    assert_eq!(take(&next, "a/b", 1_001).await, ["of-daemon"]);
    assert!(take(&next, "a/c", 1_001).await.is_empty());
    // A connection made anew is no new start: what this daemon holds it goes on to hold.
    next.close().await;
    assert!(take(&next, "a/b", 1_002).await.is_empty());
}

#[tokio::test]
async fn a_daemon_without_its_store_enters_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.db");
    let (_store, ledger) = daemon(&path).await;
    enter(&ledger, "a/b", "r1", 1_000).await;
    assert!(matches!(Sqlite::open(&path, DAEMON).await, Err(StoreError::Locked { .. })));
    let second = SqliteLedger::of_daemon(&path);
    assert!(refused(&second).await.contains("the daemon's store is not open"));
    assert!(take(&ledger, "a/b", 1_001).await.is_empty(), "still held by the first");
}

#[tokio::test]
async fn of_two_processes_that_write_at_once_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (_store, one) = daemon(&folder.path().join("record.db")).await;
    let two = command(&folder);
    for round in 0..20 {
        let (check, a, b) = (format!("a/c{round}"), format!("a{round}"), format!("b{round}"));
        let both = tokio::join!(enter(&one, &check, &a, 1_000), enter(&two, &check, &b, 1_000));
        let expected = match &both {
            (Entry::Entered, refused) => (refused.clone(), Entry::Busy { run: a }),
            (refused, _) => (refused.clone(), Entry::Busy { run: b }),
        };
        assert_eq!(expected.0, expected.1, "{both:?}");
        assert_eq!(open(&one, &check).await, open(&two, &check).await);
        let later = 1_000 + HELD;
        let (mine, theirs) = tokio::join!(take(&one, &check, later), take(&two, &check, later));
        assert_eq!(mine.len() + theirs.len(), 1, "swept by one alone: {mine:?} {theirs:?}");
    }
}

#[tokio::test]
async fn two_commands_make_the_database_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (command(&folder), command(&folder));
    let both = tokio::join!(enter(&one, "a/b", "r1", 1_000), enter(&two, "a/c", "r2", 1_000));
    assert_eq!(both, (Entry::Entered, Entry::Entered));
    // Neither keeps the lock of the daemon, which may start now.
    drop(daemon(&folder.path().join("record.db")).await);
}

#[tokio::test]
async fn a_full_disk_enters_nothing_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = command(&folder);
    enter(&ledger, "a/b", "r1", 1_000).await;
    {
        let mut desk = ledger.bench.sit().await.unwrap();
        let seat = desk.seat.as_mut().unwrap();
        let pages = sqlx::query_scalar::<_, i64>("PRAGMA page_count");
        let pages = pages.fetch_one(&mut seat.connection).await.unwrap();
        let limit = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
        sqlx::query(limit).execute(&mut seat.connection).await.unwrap();
    }
    let large = json!({ "body": "x".repeat(20_000) });
    let said = ledger.keep("r1", large.as_object().unwrap()).await.unwrap_err().to_string();
    assert!(said.contains("record.db") && said.contains("the disk is full"), "{said}");
    // There is room again: with a connection of its own, without the limit.
    ledger.keep("r1", large.as_object().unwrap()).await.unwrap();
    assert_eq!(open(&ledger, "a/b").await, ["r1"]);
}

#[tokio::test]
async fn a_file_that_is_no_database_or_cannot_be_made_refuses_every_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.db");
    std::fs::write(&path, "no database, but long enough to be looked at closely".repeat(40)).unwrap();
    let said = refused(&command(&folder)).await;
    assert!(said.contains("damaged") && said.contains("move it away"), "{said}");
    let below = SqliteLedger::of_command(&path.join("below.db"));
    let said = refused(&below).await;
    assert!(said.contains("below.db") && said.contains("check storage.url"), "{said}");
}

#[tokio::test]
async fn a_replaced_file_is_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.db");
    let (store, ledger) = daemon(&path).await;
    enter(&ledger, "a/b", "r1", 1_000).await;
    for name in ["record.db", "record.db-wal", "record.db-shm"] {
        std::fs::rename(folder.path().join(name), folder.path().join(format!("old-{name}"))).unwrap();
    }
    assert!(refused(&ledger).await.contains("record.db"), "the daemon alone makes it anew");
    drop(store);
    let (_store, _) = daemon(&path).await;
    assert_eq!(enter(&ledger, "a/b", "r2", 1_000).await, Entry::Entered);
    assert_eq!(open(&ledger, "a/b").await, ["r2"]);
}

#[tokio::test]
async fn a_write_cut_off_in_the_middle_leaves_the_ledger_usable() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = command(&folder);
    enter(&ledger, "a/b", "r1", 1_000).await;
    {
        let mut desk = ledger.bench.sit().await.unwrap();
        let seat = desk.seat.as_mut().unwrap();
        let transaction = seat.connection.begin_with("BEGIN IMMEDIATE").await.unwrap();
        drop(transaction);
    }
    assert_eq!(enter(&ledger, "a/b", "r1", 2_000).await, Entry::Entered);
    assert_eq!(enter(&command(&folder), "a/c", "r2", 2_000).await, Entry::Entered);
}

#[tokio::test]
async fn captures_without_end_are_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = command(&folder);
    enter(&ledger, "a/b", "r1", 1_000).await;
    let half = |name: &str| json!({ name: "x".repeat(KEPT / 2) });
    ledger.keep("r1", half("a").as_object().unwrap()).await.unwrap();
    let said = ledger.keep("r1", half("b").as_object().unwrap()).await.unwrap_err();
    assert!(matches!(said, LedgerError::TooLarge { limit: KEPT, .. }), "{said}");
    let kept = &ledger.open(&"a/b".into()).await.unwrap()[0].kept;
    assert_eq!(kept.keys().collect::<Vec<_>>(), ["a"]);
}

#[tokio::test]
async fn ended_canaries_go_with_the_results_and_open_ones_never() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ledger) = daemon(&folder.path().join("record.db")).await;
    let day = 24 * 3_600_000;
    for (run, at) in [("old", 0), ("counted", 2 * day), ("new", 3 * day)] {
        enter(&ledger, "a/b", run, at).await;
        ledger.settle(run, CanaryState::Cleaned, time(at + 1)).await.unwrap();
    }
    enter(&ledger, "a/c", "open", 0).await;
    assert_eq!(
        store.prune(&Cutoffs { results: time(1), ..nothing_old() }).await.unwrap(),
        0,
        "younger than the retention"
    );
    assert_eq!(store.prune(&Cutoffs { results: time(9 * day), ..nothing_old() }).await.unwrap(), 1);
    let tally = ledger.tally(&"a/b".into()).await.unwrap();
    assert_eq!(tally, Tally { cleaned: 2, ..Tally::default() }, "a budget still counts these");
    assert_eq!(open(&ledger, "a/c").await, ["open"]);
}

/// A database of the first schema, with one result.
async fn first_schema(path: &Path) {
    let first = std::borrow::Cow::Owned(MIGRATIONS.iter().take(1).cloned().collect());
    let migrator = sqlx::migrate::Migrator { migrations: first, ..sqlx::migrate::Migrator::DEFAULT };
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = options.journal_mode(SqliteJournalMode::Wal).connect().await.unwrap();
    migrator.run_direct(None, &mut connection, false).await.unwrap();
    let check = sqlx::query("INSERT INTO checks (id, name, last_at) VALUES (1, 'a/b', 1000)");
    check.execute(&mut connection).await.unwrap();
    let result =
        "INSERT INTO results (at, check_id, verdict, status, times) VALUES (1000, 1, 0, 200, x'640164')";
    sqlx::query(result).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_database_of_the_first_schema_is_brought_up_to_date_and_keeps_its_results() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.db");
    first_schema(&path).await;
    assert_eq!(enter(&command(&folder), "a/b", "r1", 1_000).await, Entry::Entered);
    let (store, ledger) = daemon(&path).await;
    let rows = store.history(&"a/b".into(), time(0), time(9_000), 9).await.unwrap();
    assert_eq!((rows.len(), rows[0].took, rows[0].steps.len()), (1, Duration::from_micros(100), 0));
    assert_eq!(open(&ledger, "a/b").await, ["r1"]);
}

#[tokio::test(start_paused = true)]
async fn a_command_does_not_change_the_file_under_a_daemon_of_an_older_version() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.db");
    first_schema(&path).await;
    let _older = super::super::lock(&path).unwrap();
    let said = refused(&command(&folder)).await;
    assert!(said.contains("locked by another process") && said.contains("older version"), "{said}");
    let mut connection = reading(&path).connect().await.unwrap();
    assert_eq!(schema(&path, &mut connection).await.unwrap(), 1);
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = command(&folder);
    enter(&ledger, "a/b", "r1", 1_000).await;
    {
        let mut desk = ledger.bench.sit().await.unwrap();
        let seat = desk.seat.as_mut().unwrap();
        let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                     VALUES (9999, 'later', 1, x'00', 0)";
        sqlx::query(newer).execute(&mut seat.connection).await.unwrap();
    }
    let said = refused(&command(&folder)).await;
    assert!(said.contains("newer portalwatch"), "{said}");
}

#[tokio::test]
async fn what_ends_and_what_fails_is_counted_once() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = command(&folder);
    let counts =
        || ["absent", "failed"].map(|outcome| telemetry().canaries.with_label_values(&[outcome]).get());
    let before = counts();
    enter(&ledger, "a/b", "r1", 1_000).await;
    ledger.failed("r1", time(1_000)).await.unwrap();
    ledger.settle("r1", CanaryState::Absent, time(2_000)).await.unwrap();
    // Other tests of this process count, too.
    let after = counts();
    assert!(after[0] > before[0] && after[1] > before[1], "{before:?} {after:?}");
    let mut desk = ledger.bench.sit().await.unwrap();
    let seat = desk.seat.as_mut().unwrap();
    let again = entries::settle(&mut seat.connection, "r1", CanaryState::Absent, time(3_000)).await.unwrap();
    assert!(matches!(again, Outcome::Over), "and is not counted");
}

#[tokio::test]
async fn of_writes_that_come_together_each_gets_its_own_answer() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = command(&folder);
    enter(&ledger, "a/busy", "held", 1_000).await;
    let spent = Budget { limit: 0, ..FREE };
    let (budgetless, busy) = ("a/spent".into(), "a/busy".into());
    let checks: Vec<CheckId> = (0..40).map(|number| format!("a/c{number}").as_str().into()).collect();
    let runs: Vec<String> = (0..40).map(|number| format!("r{number}")).collect();
    let all = checks.iter().zip(&runs);
    let writes = futures_util::future::join_all(
        all.clone().map(|(check, run)| ledger.enter(check, run, time(1_000), time(9_000), FREE)),
    );
    let (entered, refused, other) = tokio::join!(
        writes,
        ledger.enter(&budgetless, "poor", time(1_000), time(9_000), spent),
        ledger.enter(&busy, "late", time(1_000), time(9_000), FREE),
    );
    assert!(entered.iter().all(|entry| *entry == Ok(Entry::Entered)), "{entered:?}");
    assert_eq!(refused, Ok(Entry::Spent { written: 0 }));
    assert_eq!(other, Ok(Entry::Busy { run: "held".into() }));
    let kept = json!({ "ticket": 7 });
    let kept = kept.as_object().unwrap();
    let unknown = tokio::join!(ledger.keep("nobody", kept), ledger.keep("r0", kept)).0;
    assert!(matches!(unknown, Err(LedgerError::NotEntered { .. })), "{unknown:?}");
    // Another process sees all of it.
    let other = command(&folder);
    for (check, run) in all {
        assert_eq!(open(&other, check.as_str()).await, [run.as_str()]);
    }
    assert_eq!(other.open(&checks[0]).await.unwrap()[0].kept, *kept);
}

#[tokio::test]
async fn whoever_is_cut_off_while_working_for_all_takes_nobodys_write_along() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = command(&folder);
    enter(&ledger, "a/before", "r0", 1_000).await;
    let check: CheckId = "a/b".into();
    for polls in 0..12 {
        let (doomed, kept) = (format!("doomed-{polls}"), format!("kept-{polls}"));
        let other: CheckId = format!("a/c{polls}").as_str().into();
        let mut first = ledger.enter(&check, &doomed, time(1_000), time(9_000), FREE);
        let mut second = ledger.enter(&other, &kept, time(1_000), time(9_000), FREE);
        for _ in 0..=polls {
            if futures_util::poll!(&mut first).is_ready() {
                break;
            }
            let _ = futures_util::poll!(&mut second).is_ready();
            tokio::task::yield_now().await;
        }
        drop(first);
        drop(second);
        // The next one is entered whatever the two before left in the middle.
        let third = format!("third-{polls}");
        let fresh: CheckId = format!("a/d{polls}").as_str().into();
        assert_eq!(ledger.enter(&fresh, &third, time(1_000), time(9_000), FREE).await, Ok(Entry::Entered));
    }
}

#[tokio::test]
async fn a_write_whose_worker_was_cut_off_is_entered_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = command(&folder);
    enter(&ledger, "a/before", "r0", 1_000).await;
    let (one, two): (CheckId, CheckId) = ("a/b".into(), "a/c".into());
    let seat = ledger.bench.sit().await.unwrap();
    let mut first = ledger.enter(&one, "doomed", time(1_000), time(9_000), FREE);
    let mut second = ledger.enter(&two, "kept", time(1_000), time(9_000), FREE);
    assert!(futures_util::poll!(&mut first).is_pending() && futures_util::poll!(&mut second).is_pending());
    drop(seat);
    // The first has both jobs in hand, and is dropped with them.
    assert!(futures_util::poll!(&mut first).is_pending());
    drop(first);
    assert_eq!(second.await, Ok(Entry::Entered));
    assert_eq!(open(&command(&folder), "a/c").await, ["kept"]);
}
