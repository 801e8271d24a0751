use serde_json::json;

use super::*;
use crate::model::CheckId;
use crate::model::ledger::{Budget, CanaryState, Entry, Ledger as _, Tally};
use crate::record::Store as _;
use crate::record::contract::figures::before;
use crate::record::contract::ledger::{FREE, HELD, enter, holds, open, take};
use crate::record::contract::time;
use crate::record::postgres::server::{SHARED, run};
use crate::record::postgres::{Mode, Postgres};

const DAEMON: Mode = Mode::Daemon { full_sync: false };

/// The store and the ledger of a daemon.
async fn daemon(access: &Access) -> (Postgres, PostgresLedger) {
    let store = Postgres::open(access.clone(), DAEMON).await.unwrap();
    let ledger = PostgresLedger::of_daemon(access.clone());
    ledger.allow(Arc::clone(&store.tenure)).await;
    (store, ledger)
}

async fn command() -> PostgresLedger {
    PostgresLedger::of_command(SHARED.database().await)
}

async fn refused(ledger: &PostgresLedger) -> String {
    let check = "a/b".into();
    ledger.enter(&check, "refused", time(1), time(2), FREE).await.unwrap_err().to_string()
}

#[tokio::test]
async fn postgres_holds_the_contract_of_the_ledger() {
    holds(&command().await).await;
}

#[tokio::test]
async fn every_commit_waits_for_the_disk_although_results_do_not() {
    let access = SHARED.database().await;
    let (_store, ledger) = daemon(&access).await;
    let mut sitting = ledger.bench.sit().await.unwrap();
    let sync = sqlx::query_scalar::<_, String>("SHOW synchronous_commit");
    assert_eq!(sync.fetch_one(sitting.connection.as_mut().unwrap()).await.unwrap(), "on");
}

#[tokio::test]
async fn a_daemon_frees_at_its_start_what_the_dead_one_held_and_not_what_a_command_holds() {
    let access = SHARED.database().await;
    let (store, ledger) = daemon(&access).await;
    enter(&ledger, "a/b", "of-daemon", 1_000).await;
    enter(&PostgresLedger::of_command(access.clone()), "a/c", "of-command", 1_000).await;
    store.close().await;
    drop(ledger);
    let (_store, next) = daemon(&access).await;
    assert_eq!(take(&next, "a/b", 1_001).await, ["of-daemon"]);
    assert!(take(&next, "a/c", 1_001).await.is_empty());
    // A connection made anew is no new start: what this daemon holds it goes on to hold.
    next.close().await;
    assert!(take(&next, "a/b", 1_002).await.is_empty());
}

#[tokio::test]
async fn a_daemon_without_its_store_enters_nothing() {
    let access = SHARED.database().await;
    let (_store, ledger) = daemon(&access).await;
    enter(&ledger, "a/b", "r1", 1_000).await;
    let second = PostgresLedger::of_daemon(access);
    assert!(refused(&second).await.contains("the daemon's store is not open"));
    assert!(take(&ledger, "a/b", 1_001).await.is_empty(), "still held by the first");
}

#[tokio::test]
async fn of_two_processes_that_write_at_once_one_is_refused() {
    let access = SHARED.database().await;
    let (_store, one) = daemon(&access).await;
    let two = PostgresLedger::of_command(access);
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
async fn two_commands_prepare_the_database_at_once() {
    let access = SHARED.database().await;
    let (one, two) = (PostgresLedger::of_command(access.clone()), PostgresLedger::of_command(access.clone()));
    let both = tokio::join!(enter(&one, "a/b", "r1", 1_000), enter(&two, "a/c", "r2", 1_000));
    assert_eq!(both, (Entry::Entered, Entry::Entered));
    // Neither keeps the lock of the daemon, which may start now.
    daemon(&access).await.0.close().await;
}

#[tokio::test]
async fn a_full_disk_enters_nothing_and_says_so() {
    let access = SHARED.database().await;
    let ledger = PostgresLedger::of_command(access.clone());
    enter(&ledger, "a/b", "r1", 1_000).await;
    let mut root = SHARED.root(&access.database).await;
    let full = "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                RAISE EXCEPTION 'No space left on device' USING ERRCODE = '53100'; END $$";
    run(&mut root, full).await;
    run(&mut root, "CREATE TRIGGER full_disk BEFORE UPDATE ON canaries EXECUTE FUNCTION full_disk()").await;
    let kept = json!({ "ticket": 7 });
    let said = ledger.keep("r1", kept.as_object().unwrap()).await.unwrap_err().to_string();
    assert!(said.contains(&access.place()) && said.contains("the disk is full"), "{said}");
    run(&mut root, "DROP TRIGGER full_disk ON canaries").await;
    ledger.keep("r1", kept.as_object().unwrap()).await.unwrap();
    assert_eq!(open(&ledger, "a/b").await, ["r1"]);
}

#[tokio::test]
async fn a_connection_that_ended_is_made_again() {
    let access = SHARED.database().await;
    let ledger = PostgresLedger::of_command(access.clone());
    enter(&ledger, "a/b", "r1", 1_000).await;
    let mut root = SHARED.root(&access.database).await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    run(&mut root, end).await;
    assert_eq!(enter(&ledger, "a/b", "r1", 2_000).await, Entry::Entered);
    assert_eq!(ledger.open(&"a/b".into()).await.unwrap()[0].writes, 2);
}

#[tokio::test]
async fn captures_without_end_are_not_kept() {
    let ledger = command().await;
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
    let access = SHARED.database().await;
    let (store, ledger) = daemon(&access).await;
    let day = 24 * 3_600_000;
    for (run, at) in [("old", 0), ("counted", 2 * day), ("new", 3 * day)] {
        enter(&ledger, "a/b", run, at).await;
        ledger.settle(run, CanaryState::Cleaned, time(at + 1)).await.unwrap();
    }
    enter(&ledger, "a/c", "open", 0).await;
    assert_eq!(store.prune(&before(time(1))).await.unwrap(), 0, "younger than the retention");
    assert_eq!(store.prune(&before(time(9 * day))).await.unwrap(), 1);
    let tally = ledger.tally(&"a/b".into()).await.unwrap();
    assert_eq!(tally, Tally { cleaned: 2, ..Tally::default() }, "a budget still counts these");
    assert_eq!(open(&ledger, "a/c").await, ["open"]);
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_left_alone() {
    let access = SHARED.database().await;
    enter(&PostgresLedger::of_command(access.clone()), "a/b", "r1", 1_000).await;
    let mut root = SHARED.root(&access.database).await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (9999, 'later', TRUE, '', 0)";
    run(&mut root, newer).await;
    let said = refused(&PostgresLedger::of_command(access)).await;
    assert!(said.contains("newer portalwatch"), "{said}");
}

#[tokio::test]
async fn of_writes_that_come_together_each_gets_its_own_answer() {
    let access = SHARED.database().await;
    let ledger = PostgresLedger::of_command(access.clone());
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
    let other = PostgresLedger::of_command(access);
    for (check, run) in all {
        assert_eq!(open(&other, check.as_str()).await, [run.as_str()]);
    }
}

#[tokio::test]
async fn a_write_whose_worker_was_cut_off_is_entered_all_the_same() {
    let access = SHARED.database().await;
    let ledger = PostgresLedger::of_command(access.clone());
    enter(&ledger, "a/before", "r0", 1_000).await;
    let (one, two): (CheckId, CheckId) = ("a/b".into(), "a/c".into());
    let sitting = ledger.bench.sit().await.unwrap();
    let mut first = ledger.enter(&one, "doomed", time(1_000), time(9_000), FREE);
    let mut second = ledger.enter(&two, "kept", time(1_000), time(9_000), FREE);
    assert!(futures_util::poll!(&mut first).is_pending() && futures_util::poll!(&mut second).is_pending());
    drop(sitting);
    assert!(futures_util::poll!(&mut first).is_pending());
    drop(first);
    assert_eq!(second.await, Ok(Entry::Entered));
    assert_eq!(open(&PostgresLedger::of_command(access), "a/c").await, ["kept"]);
}
