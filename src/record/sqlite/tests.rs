mod schemas;

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::record::contract::figures::nothing_old;
use crate::record::contract::{LEASE, bare, claim, holds, incident, outcome, ran, row, sent, time};

const DAEMON: Mode = Mode::Daemon { full_sync: true };

async fn scalar(path: &Path, sql: &'static str) -> i64 {
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    let found = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    found
}

#[tokio::test]
async fn sqlite_holds_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    holds(&Sqlite::open(&folder.path().join("new/folder/record.db"), DAEMON).await.unwrap()).await;
}

#[tokio::test]
async fn nobody_else_may_read_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.db");
    let store = Sqlite::open(&path, DAEMON).await.unwrap();
    store.commit(&[ran(outcome("a/b", 1_000))]).await.unwrap();
    for name in ["record.db", "record.db-wal", "record.db-shm", "record.db.lock"] {
        let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    store.close().await;
}

#[tokio::test]
async fn what_is_committed_survives_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.db");
    let store = Sqlite::open(&path, DAEMON).await.unwrap();
    let batch = Transition {
        incidents: vec![incident("a/b", 1_000)],
        outbox: vec![row("k1", "a/b", "mail", 0)],
        ..ran(outcome("a/b", 1_000))
    };
    store.commit(&[batch]).await.unwrap();
    assert_eq!(claim(&store, 5_000).await, ["k1"]);
    // The files as a kill leaves them: copied while they are open.
    let copy = folder.path().join("copy.db");
    std::fs::copy(&path, &copy).unwrap();
    std::fs::copy(folder.path().join("record.db-wal"), folder.path().join("copy.db-wal")).unwrap();
    let after = Sqlite::open(&copy, DAEMON).await.unwrap();
    assert_eq!(after.history(&"a/b".into(), time(0), time(9_000), 9).await.unwrap().len(), 1);
    assert_eq!(after.open_incidents().await.unwrap(), [incident("a/b", 1_000)]);
    assert!(claim(&after, 5_001).await.is_empty(), "leased by the dead one");
    after.drop_leases().await.unwrap();
    assert_eq!(claim(&after, 5_001).await, ["k1"]);
    after.settle(&[sent("k1", 6_000)]).await.unwrap();
    assert_eq!(after.pending().await.unwrap().0, 0);
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.db");
    Sqlite::open(&path, DAEMON).await.unwrap().close().await;
    let mut connection = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (99, 'later', 1, x'00', 0)";
    sqlx::query(newer).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let before = std::fs::read(&path).unwrap();
    for mode in [DAEMON, Mode::Reader] {
        let refused = Sqlite::open(&path, mode).await.unwrap_err();
        assert!(matches!(refused, StoreError::Newer { found: 99, known: 4, .. }), "{refused}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_second_daemon_is_refused_and_a_reader_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.db");
    let store = Sqlite::open(&path, DAEMON).await.unwrap();
    store.commit(&[ran(outcome("a/b", 1_000))]).await.unwrap();
    let refused = Sqlite::open(&path, DAEMON).await.unwrap_err();
    assert!(matches!(refused, StoreError::Locked { .. }), "{refused}");
    let reader = Sqlite::open(&path, Mode::Reader).await.unwrap();
    assert_eq!(reader.resume().await.unwrap().len(), 1);
    let refused = reader.commit(&[ran(outcome("a/b", 2_000))]).await.unwrap_err();
    assert!(matches!(refused, StoreError::ReadOnly { .. }), "{refused}");
    store.close().await;
    Sqlite::open(&path, DAEMON).await.unwrap();
}

#[tokio::test]
async fn a_reader_makes_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.db");
    let refused = Sqlite::open(&path, Mode::Reader).await.unwrap_err().to_string();
    assert!(
        refused.ends_with("record.db: there is no such file; a daemon makes it when it starts"),
        "{refused}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    std::fs::write(&path, "").unwrap();
    let refused = Sqlite::open(&path, Mode::Reader).await.unwrap_err().to_string();
    assert!(refused.contains("holds no store of portalwatch"), "{refused}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.db");
    std::fs::write(&path, "somebody's notes, not a database, long enough for a header".repeat(99)).unwrap();
    let refused = Sqlite::open(&path, DAEMON).await.unwrap_err();
    assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused:?}");
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("somebody's notes"));
}

#[tokio::test]
async fn a_lock_that_lasts_is_told_apart_and_a_short_one_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.db");
    let store = Sqlite::open(&path, DAEMON).await.unwrap();
    let mut other = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    let refused = store.commit(&[ran(outcome("a/b", 1_000))]).await.unwrap_err();
    assert!(matches!(refused, StoreError::Locked { .. }), "{refused:?}");
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    store.commit(&[ran(outcome("a/b", 1_000))]).await.unwrap();
}

#[tokio::test]
async fn a_file_taken_away_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.db");
    let store = Sqlite::open(&path, DAEMON).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(store.commit(&[ran(outcome("a/b", 1_000))]).await.is_err());
    std::fs::write(&path, "").unwrap();
    assert!(store.commit(&[ran(outcome("a/b", 1_000))]).await.is_err());
    assert!(store.claim(time(1_000), LEASE).await.is_err());
}

#[tokio::test]
async fn a_failed_batch_leaves_no_part_of_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.db");
    let store = Sqlite::open(&path, DAEMON).await.unwrap();
    limit_pages(&store, 40).await;
    let batch: Vec<_> = (0..20_000).map(|at| ran(outcome("a/b", at))).collect();
    let refused = store.commit(&batch).await.unwrap_err();
    assert!(matches!(refused, StoreError::Full { .. }), "{refused:?}");
    assert!(store.resume().await.unwrap().is_empty());
    // The check's row went with the batch, and is made again.
    limit_pages(&store, 1_000_000).await;
    store.commit(&batch).await.unwrap();
    assert_eq!(store.history(&"a/b".into(), time(0), time(99_999), 99_999).await.unwrap().len(), 20_000);
}

/// A full disk, as the database sees it.
pub(in crate::record) async fn limit_pages(store: &Sqlite, pages: u32) {
    pragma(store, format!("PRAGMA max_page_count = {pages}")).await;
}

pub(in crate::record) async fn pragma(store: &Sqlite, sql: String) {
    let connection = &mut store.seat().await.unwrap().connection;
    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(connection).await.unwrap();
}

#[tokio::test]
async fn an_uneventful_result_takes_less_than_sixty_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.db");
    let store = Sqlite::open(&path, Mode::Daemon { full_sync: false }).await.unwrap();
    let checks: Vec<_> = (0..1_000).map(|number| format!("portal-{}/check-{number}", number / 10)).collect();
    let minute = |at: i64| -> Vec<_> {
        let one = |(number, check): (usize, &String)| {
            // Late and early arrivals, as in life.
            let spread = i64::try_from(number * 7_919 % 60_000).unwrap();
            ran(outcome(check, 1_790_000_000_000 + at * 60_000 + spread))
        };
        checks.iter().enumerate().map(one).collect()
    };
    store.commit(&minute(0)).await.unwrap();
    pragma(&store, "PRAGMA wal_checkpoint(TRUNCATE)".into()).await;
    let before = std::fs::metadata(&path).unwrap().len();
    for at in 1..=60 {
        let mut rows = minute(at);
        rows.sort_by_key(|transition| match &transition.result {
            Some(crate::record::Recorded::Ran { outcome, .. }) => outcome.at,
            _ => Timestamp::MIN,
        });
        for chunk in rows.chunks(333) {
            store.commit(chunk).await.unwrap();
        }
    }
    store.close().await;
    let bytes = (std::fs::metadata(&path).unwrap().len() - before) / 60_000;
    println!("{bytes} bytes per row");
    assert!(bytes < 60, "{bytes} bytes per row");
    assert_eq!(scalar(&path, "SELECT count(*) FROM results").await, 61_000);
}

#[tokio::test]
async fn facts_of_quiet_checks_reach_the_disk_every_ten_minutes() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("record.db"), DAEMON).await.unwrap();
    for minute in 0..=11 {
        store.commit(&[ran(outcome("a/b", minute * 60_000))]).await.unwrap();
    }
    let (at, _) = store.last_facts(&"a/b".into()).await.unwrap().unwrap();
    assert_eq!(at, time(600_000));
}

#[tokio::test]
async fn a_rare_check_resumes_although_many_results_came_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("record.db"), DAEMON).await.unwrap();
    store.commit(&[ran(outcome("a/rare", 500))]).await.unwrap();
    let batch: Vec<_> = (1_000..12_000).map(|at| ran(outcome("a/often", at))).collect();
    store.commit(&batch).await.unwrap();
    let resumed = store.resume().await.unwrap();
    let rare = resumed.iter().find(|resumed| resumed.check.as_str() == "a/rare").unwrap();
    assert_eq!(rare.last.as_ref().unwrap().at, time(500));
}

#[tokio::test]
async fn ten_thousand_checks_resume_with_their_last_results() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("record.db"), DAEMON).await.unwrap();
    for minute in 0..3 {
        let one = |number: i64| ran(outcome(&format!("p/c{number}"), minute * 60_000 + number));
        let batch: Vec<_> = (0..10_000).map(one).collect();
        store.commit(&batch).await.unwrap();
    }
    let resumed = store.resume().await.unwrap();
    assert_eq!(resumed.len(), 10_000);
    assert!(resumed.iter().all(|resumed| resumed.last.as_ref().is_some_and(|last| last.at >= time(120_000))));
}

#[tokio::test]
async fn the_time_the_daemon_was_away_is_a_gap_and_no_downtime() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.db");
    let store = Sqlite::open(&path, DAEMON).await.unwrap();
    assert_eq!(store.begin(time(1_000)).await.unwrap(), None);
    store.commit(&[ran(outcome("a/b", 60_000))]).await.unwrap();
    drop(store);
    let store = loop {
        // The connection lets go of its lock on its own thread.
        if let Ok(store) = Sqlite::open(&path, DAEMON).await {
            break store;
        }
        tokio::task::yield_now().await;
    };
    let gap = Gap { check: None, from: time(60_000), to: time(900_000), why: "not_running".into() };
    assert_eq!(store.begin(time(900_000)).await.unwrap(), Some(gap.clone()));
    assert_eq!(store.gaps(time(0), time(999_999)).await.unwrap(), [gap]);
}

#[tokio::test]
async fn settled_messages_go_after_a_week_and_waiting_ones_never() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.db");
    let store = Sqlite::open(&path, DAEMON).await.unwrap();
    let week = 7 * 24 * 3_600_000;
    let rows =
        vec![row("old", "a/b", "mail", 0), row("new", "a/b", "mail", 0), row("waits", "a/c", "mail", 0)];
    store.commit(&[Transition { outbox: rows, ..bare("a/b") }]).await.unwrap();
    store.settle(&[sent("old", 1_000), sent("new", 1_001 + week)]).await.unwrap();
    assert_eq!(store.prune(&Cutoffs { results: time(0), ..nothing_old() }).await.unwrap(), 1);
    assert_eq!(scalar(&path, "SELECT count(*) FROM outbox").await, 2);
    assert_eq!(store.pending().await.unwrap().0, 1);
}

#[tokio::test]
async fn the_messages_of_an_open_incident_stay_so_that_its_end_can_reply() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("record.db"), DAEMON).await.unwrap();
    let week = 7 * 24 * 3_600_000;
    let rows = vec![row("opened", "a/b", "mail", 0), row("other", "a/c", "mail", 0)];
    let incidents = vec![incident("a/b", 1_000)];
    store.commit(&[Transition { outbox: rows, incidents, ..bare("a/b") }]).await.unwrap();
    store.settle(&[sent("opened", 1_000), sent("other", 1_001 + week)]).await.unwrap();
    store.prune(&Cutoffs { results: time(0), ..nothing_old() }).await.unwrap();
    store.commit(&[Transition { outbox: vec![row("over", "a/b", "mail", 0)], ..bare("a/b") }]).await.unwrap();
    let claimed = store.claim(time(0), Duration::from_secs(30)).await.unwrap();
    assert_eq!(claimed[0].row.root.as_deref(), Some("opened"));
}

#[tokio::test]
async fn a_long_past_goes_in_small_steps() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("record.db"), DAEMON).await.unwrap();
    let batch: Vec<_> = (0..12_345).map(|at| ran(outcome("a/b", at))).collect();
    store.commit(&batch).await.unwrap();
    assert_eq!(store.prune(&Cutoffs { results: time(12_000), ..nothing_old() }).await.unwrap(), 12_000);
    assert_eq!(store.history(&"a/b".into(), time(0), time(99_999), 99_999).await.unwrap().len(), 345);
}

#[tokio::test]
async fn a_rollback_the_library_did_not_ask_for_leaves_no_dead_connection() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("record.db"), DAEMON).await.unwrap();
    {
        // What SQLite does by itself when a commit finds the disk full.
        let mut writer = store.seat().await.unwrap();
        let mut transaction = writer.connection.begin().await.unwrap();
        sqlx::query("ROLLBACK").execute(&mut *transaction).await.unwrap();
    }
    store.commit(&[ran(outcome("a/b", 1_000))]).await.unwrap();
    assert_eq!(store.resume().await.unwrap().len(), 1);
}
