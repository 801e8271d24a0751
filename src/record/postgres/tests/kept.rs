//! What is kept, for how long, and how it goes.

use super::super::server::{SHARED, run, scalar};
use super::super::*;
use crate::record::contract::figures::before;
use crate::record::contract::{bare, holds, incident, outcome, ran, row, sent, time};
use crate::record::{Recorded, Settled};

const DAEMON: Mode = Mode::Daemon { full_sync: true };
const DAY: i64 = 24 * 3_600_000;

async fn opened() -> (Access, Postgres) {
    let access = SHARED.database().await;
    let store = Postgres::open(access.clone(), DAEMON).await.unwrap();
    (access, store)
}

async fn starts(store: &Postgres, check: &str) -> Vec<i64> {
    let rows = store.history(&check.into(), time(-9 * DAY), time(99 * DAY), 99_999).await.unwrap();
    rows.iter().map(|row| row.at.as_millisecond()).collect()
}

#[tokio::test]
async fn postgres_holds_the_contract() {
    holds(&opened().await.1).await;
}

#[tokio::test]
async fn commits_wait_for_the_disk_if_that_is_wanted() {
    for (full_sync, expected) in [(true, "on"), (false, "off")] {
        let access = SHARED.database().await;
        let store = Postgres::open(access, Mode::Daemon { full_sync }).await.unwrap();
        let mut sitting = store.sit().await.unwrap();
        let sync = sqlx::query_scalar::<_, String>("SHOW synchronous_commit");
        assert_eq!(sync.fetch_one(&mut sitting.writer.connection).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn facts_of_quiet_checks_reach_the_disk_every_ten_minutes() {
    let (_, store) = opened().await;
    for minute in 0..=11 {
        store.commit(&[ran(outcome("a/b", minute * 60_000))]).await.unwrap();
    }
    let (at, _) = store.last_facts(&"a/b".into()).await.unwrap().unwrap();
    assert_eq!(at, time(600_000));
}

#[tokio::test]
async fn ten_thousand_checks_resume_with_their_last_results() {
    let (_, store) = opened().await;
    for minute in 0..3 {
        let one = |number: i64| ran(outcome(&format!("p/c{number}"), minute * 60_000 + number));
        let batch: Vec<_> = (0..10_000).map(one).collect();
        store.commit(&batch).await.unwrap();
    }
    store.commit(&[ran(outcome("p/rare", -3 * DAY))]).await.unwrap();
    let resumed = store.resume().await.unwrap();
    assert_eq!(resumed.len(), 10_001);
    let late = |one: &&Resumed| one.last.as_ref().is_some_and(|last| last.at >= time(120_000));
    assert_eq!(resumed.iter().filter(late).count(), 10_000);
    let rare = resumed.iter().find(|one| one.check.as_str() == "p/rare").unwrap();
    assert_eq!(rare.last.as_ref().unwrap().at, time(-3 * DAY));
}

#[tokio::test]
async fn two_thousand_results_a_second_are_a_small_part_of_what_it_takes() {
    let (_, store) = opened().await;
    let batch = |second: i64| -> Vec<_> {
        (0..2_000)
            .map(|number| ran(outcome(&format!("p/c{number}"), second * 1_000 + number % 1_000)))
            .collect()
    };
    store.commit(&batch(0)).await.unwrap();
    let begun = tokio::time::Instant::now();
    for second in 1..=10 {
        store.commit(&batch(second)).await.unwrap();
    }
    let took = begun.elapsed();
    println!("20,000 results in {took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test]
async fn the_time_the_daemon_was_away_is_a_gap_and_no_downtime() {
    let (access, store) = opened().await;
    assert_eq!(store.begin(time(1_000)).await.unwrap(), None);
    store.commit(&[ran(outcome("a/b", 60_000))]).await.unwrap();
    store.close().await;
    let store = Postgres::open(access, DAEMON).await.unwrap();
    let gap = Gap { check: None, from: time(60_000), to: time(900_000), why: "not_running".into() };
    assert_eq!(store.begin(time(900_000)).await.unwrap(), Some(gap.clone()));
    assert_eq!(store.gaps(time(0), time(999_999)).await.unwrap(), [gap]);
}

#[tokio::test]
async fn settled_messages_go_after_a_week_and_waiting_ones_never() {
    let (access, store) = opened().await;
    let rows =
        vec![row("old", "a/b", "mail", 0), row("new", "a/b", "mail", 0), row("waits", "a/c", "mail", 0)];
    store.commit(&[Transition { outbox: rows, ..bare("a/b") }]).await.unwrap();
    store.settle(&[sent("old", 1_000), sent("new", 1_001 + 7 * DAY)]).await.unwrap();
    assert_eq!(store.prune(&before(time(0))).await.unwrap(), 1);
    let mut root = SHARED.root(&access.database).await;
    assert_eq!(scalar(&mut root, "SELECT count(*) FROM outbox").await, 2);
    assert_eq!(store.pending().await.unwrap().0, 1);
}

#[tokio::test]
async fn the_messages_of_an_open_incident_stay_so_that_its_end_can_reply() {
    let (_, store) = opened().await;
    let rows = vec![row("opened", "a/b", "mail", 0), row("other", "a/c", "mail", 0)];
    let incidents = vec![incident("a/b", 1_000)];
    store.commit(&[Transition { outbox: rows, incidents, ..bare("a/b") }]).await.unwrap();
    store.settle(&[sent("opened", 1_000), sent("other", 1_001 + 7 * DAY)]).await.unwrap();
    store.prune(&before(time(0))).await.unwrap();
    store.commit(&[Transition { outbox: vec![row("over", "a/b", "mail", 0)], ..bare("a/b") }]).await.unwrap();
    let claimed = store.claim(time(0), Duration::from_secs(30)).await.unwrap();
    assert_eq!(claimed[0].row.root.as_deref(), Some("opened"));
}

#[tokio::test]
async fn an_answer_with_a_zero_byte_settles_its_message_all_the_same() {
    let (_, store) = opened().await;
    let rows =
        vec![row("one", "a/b", "mail", 0), row("two", "a/b", "mail", 0), row("three", "a/b", "mail", 0)];
    store.commit(&[Transition { outbox: rows, ..bare("a/b") }]).await.unwrap();
    let answer = "250 ok\0".to_owned();
    let later = Settled::Later {
        key: "two".into(),
        not_before: time(1_000),
        attempts: 1,
        batch: None,
        why: answer.clone(),
        unsure: false,
    };
    let dead = Settled::Dead { key: "three".into(), at: time(1), why: answer.clone() };
    store.settle(&[Settled::Sent { key: "one".into(), at: time(1), answer }, later, dead]).await.unwrap();
    assert_eq!(store.pending().await.unwrap().0, 1);
}

#[tokio::test]
async fn in_one_batch_the_last_word_about_a_check_holds() {
    let (_, store) = opened().await;
    let gone = || Transition { removed: true, ..bare("a/b") };
    let missed = |why: &'static str| Recorded::NotCovered { at: time(5_000), why: why.into() };
    let batch = [
        ran(outcome("a/b", 1_000)),
        gone(),
        ran(outcome("a/b", 2_000)),
        ran(outcome("a/b", 2_000)),
        Transition { result: Some(missed("shutdown")), ..bare("a/b") },
        Transition { result: Some(missed("missed")), ..bare("a/b") },
    ];
    store.commit(&batch).await.unwrap();
    let (at, facts) = store.last_facts(&"a/b".into()).await.unwrap().unwrap();
    assert_eq!((at, facts.get()), (time(2_000), "{\"at\":2000}"));
    assert_eq!(starts(&store, "a/b").await, [1_000, 2_000]);
    assert_eq!(store.gaps(time(0), time(9_000)).await.unwrap()[0].why, "missed");
    store.commit(&[ran(outcome("a/b", 3_000)), gone()]).await.unwrap();
    assert!(store.resume().await.unwrap().is_empty());
    store.commit(&[ran(outcome("a/b", 4_000))]).await.unwrap();
    assert_eq!(store.resume().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_failed_batch_leaves_no_part_of_itself() {
    let (access, store) = opened().await;
    let mut root = SHARED.root(&access.database).await;
    let full = "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$";
    run(&mut root, full).await;
    run(&mut root, "CREATE TRIGGER full_disk BEFORE INSERT ON outbox EXECUTE FUNCTION full_disk()").await;
    let batch =
        [ran(outcome("a/b", 1_000)), Transition { outbox: vec![row("k", "a/b", "mail", 0)], ..bare("a/b") }];
    let refused = store.commit(&batch).await.unwrap_err();
    assert!(matches!(refused, StoreError::Full { .. }), "{refused:?}");
    assert!(store.resume().await.unwrap().is_empty());
    run(&mut root, "DROP TRIGGER full_disk ON outbox").await;
    // The check's row went with the batch, and is made again.
    store.commit(&batch).await.unwrap();
    assert_eq!(starts(&store, "a/b").await, [1_000]);
}

#[tokio::test]
async fn a_part_of_a_day_goes_in_small_steps_and_the_rest_of_it_stays() {
    let (_, store) = opened().await;
    let batch: Vec<_> = (0..12_345).map(|at| ran(outcome("a/b", at * 100))).collect();
    store.commit(&batch).await.unwrap();
    assert_eq!(store.prune(&before(time(1_200_000))).await.unwrap(), 12_000);
    assert_eq!(starts(&store, "a/b").await.len(), 345);
}

#[tokio::test]
async fn days_that_are_over_go_whole_and_come_back_for_what_arrives_late() {
    let (access, store) = opened().await;
    let batch: Vec<_> = [0, DAY - 1, DAY, 2 * DAY, 3 * DAY].map(|at| ran(outcome("a/b", at))).into();
    store.commit(&batch).await.unwrap();
    let mut root = SHARED.root(&access.database).await;
    let tables = "SELECT count(*) FROM pg_class WHERE relname ~ '^results_[0-9]{8}$' AND relkind = 'r'";
    assert_eq!(scalar(&mut root, tables).await, 4);
    assert_eq!(store.prune(&before(time(2 * DAY))).await.unwrap(), 3);
    assert_eq!(scalar(&mut root, tables).await, 2);
    assert_eq!(starts(&store, "a/b").await, [2 * DAY, 3 * DAY]);
    store.commit(&[ran(outcome("a/b", 5))]).await.unwrap();
    assert_eq!(starts(&store, "a/b").await, [5, 2 * DAY, 3 * DAY]);
}

#[tokio::test]
async fn who_reads_for_long_holds_up_neither_commits_nor_the_dropping_of_other_things() {
    let (access, store) = opened().await;
    store.begin(time(0)).await.unwrap();
    let gap = Gap { check: None, from: time(1), to: time(2), why: "old".into() };
    store.note_gaps(&[gap]).await.unwrap();
    store.commit(&[ran(outcome("a/b", 1_000)), ran(outcome("a/b", 5 * DAY))]).await.unwrap();
    let mut reading = SHARED.root(&access.database).await;
    run(&mut reading, "BEGIN").await;
    assert_eq!(scalar(&mut reading, "SELECT count(*) FROM results").await, 2);
    let begun = tokio::time::Instant::now();
    let refused = store.prune(&before(time(4 * DAY))).await.unwrap_err();
    assert!(matches!(refused, StoreError::Locked { .. }), "{refused:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(store.gaps(time(0), time(9)).await.unwrap().is_empty(), "the rest went");
    // Meanwhile everybody else reads and writes, also what belongs to the day that is going.
    let batch = [ran(outcome("a/b", 5 * DAY + 1)), ran(outcome("a/b", 2_000)), ran(outcome("a/b", 9 * DAY))];
    store.commit(&batch).await.unwrap();
    assert_eq!(starts(&store, "a/b").await, [5 * DAY, 5 * DAY + 1, 9 * DAY]);
    assert!(store.prune(&before(time(4 * DAY))).await.is_err(), "still read");
    run(&mut reading, "COMMIT").await;
    assert_eq!(store.prune(&before(time(4 * DAY))).await.unwrap(), 1);
    let mut root = SHARED.root(&access.database).await;
    assert_eq!(scalar(&mut root, "SELECT (to_regclass('results_19700101') IS NULL)::int::bigint").await, 1);
}
