use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex as StdMutex;

use serde_json::value::RawValue;
use sqlx::{ConnectOptions, SqliteConnection, sqlite::SqliteConnectOptions};

use super::*;
use crate::record::Store;
use crate::record::contract::{LEASE, bare, claim, holds, incident, outcome, ran, row, sent, time};
use crate::record::sqlite::{
    Mode, Sqlite,
    tests::{limit_pages, pragma},
};

const DAEMON: Mode = Mode::Daemon { full_sync: true };

type Opened = Arc<StdMutex<Option<Arc<Sqlite>>>>;

/// Opens the file, and shows the test what was opened last.
fn opener(path: &Path) -> (Opener, Opened) {
    let opened = Opened::default();
    let (path, shown) = (path.to_owned(), Arc::clone(&opened));
    let open: Opener = Box::new(move || {
        let (path, shown) = (path.clone(), Arc::clone(&shown));
        Box::pin(async move {
            let store = Arc::new(Sqlite::open(&path, DAEMON).await?);
            *shown.lock().unwrap() = Some(Arc::clone(&store));
            Ok(store as Arc<dyn Figures>)
        })
    });
    (open, opened)
}

struct Fixture {
    _folder: tempfile::TempDir,
    path: PathBuf,
    store: Resilient,
    opened: Opened,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.db");
        let (open, opened) = opener(&path);
        let store = Resilient::open(open).await.unwrap();
        Self { _folder: folder, path, store, opened }
    }

    fn disk(&self) -> Arc<Sqlite> {
        self.opened.lock().unwrap().clone().unwrap()
    }

    fn degraded(&self) -> bool {
        matches!(*self.store.health().borrow(), Health::Degraded { .. })
    }

    /// Something of everything, at `at`.
    async fn live_through(&self, key: &str, at: i64) {
        let batch = Transition {
            incidents: vec![incident("a/b", at)],
            outbox: vec![row(key, "a/b", "mail", 0)],
            ..ran(outcome("a/b", at))
        };
        self.store.commit(&[batch]).await.unwrap();
    }

    /// What is on disk, past the memory.
    async fn on_disk(&self) -> Vec<i64> {
        let rows = self.disk().history(&"a/b".into(), time(0), time(999_999), 999).await.unwrap();
        rows.iter().map(|row| row.at.as_millisecond()).collect()
    }

    async fn in_all(&self) -> Vec<i64> {
        let rows = self.store.history(&"a/b".into(), time(0), time(999_999), 999).await.unwrap();
        rows.iter().map(|row| row.at.as_millisecond()).collect()
    }
}

async fn exclusive(path: &Path) -> SqliteConnection {
    let mut other = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    other
}

#[tokio::test]
async fn resilient_holds_the_contract() {
    holds(&Fixture::new().await.store).await;
}

#[tokio::test]
async fn resilient_holds_the_contract_without_a_disk() {
    let open: Opener = Box::new(|| {
        Box::pin(async { Err(StoreError::Full { path: "record.db".into(), why: "no space".into() }) })
    });
    holds(&Resilient::open(open).await.unwrap()).await;
}

/// An outage of an hour and more, of which most is held in the temporary file.
#[tokio::test]
async fn a_long_outage_is_written_in_order_and_once() {
    let fixture = Fixture::new().await;
    let other = exclusive(&fixture.path).await;
    for part in 0..12 {
        let batch: Vec<_> = (0..1_000).map(|at| ran(outcome("a/b", part * 1_000 + at))).collect();
        fixture.store.commit(&batch).await.unwrap();
    }
    fixture.live_through("k1", 20_000).await;
    assert!(fixture.degraded());
    assert_eq!(claim(&fixture.store, 30_000).await, ["k1"]);
    fixture.store.settle(&[sent("k1", 31_000)]).await.unwrap();
    assert!(fixture.store.try_recover().await.is_err());
    assert!(fixture.store.core.lock().await.chunk < CHUNK, "less at once the next time");
    drop(other);
    fixture.store.try_recover().await.unwrap();
    let rows = fixture.disk().history(&"a/b".into(), time(0), time(999_999), 99_999).await.unwrap();
    let starts: Vec<i64> = rows.iter().map(|row| row.at.as_millisecond()).collect();
    assert!(starts.into_iter().eq((0..12_000).chain([20_000])));
    assert_eq!(fixture.disk().pending().await.unwrap().0, 0, "what was sent is settled");
}

#[tokio::test]
async fn one_result_that_the_disk_does_not_take_is_lost_alone() {
    let fixture = Fixture::new().await;
    fixture.live_through("k1", 1_000).await;
    let mut other = SqliteConnectOptions::new().filename(&fixture.path).connect().await.unwrap();
    let never = "CREATE TRIGGER never BEFORE INSERT ON results WHEN NEW.at IN (2500, 4000) \
                 BEGIN SELECT RAISE(ABORT, 'no such time'); END";
    sqlx::query(never).execute(&mut other).await.unwrap();
    let batch = [2_000, 2_500, 3_000, 3_500].map(|at| ran(outcome("a/b", at)));
    fixture.store.commit(&batch).await.unwrap();
    fixture.live_through("k2", 4_000).await;
    fixture.live_through("k3", 5_000).await;
    assert!(fixture.degraded());
    fixture.store.try_recover().await.unwrap();
    assert!(!fixture.degraded());
    assert_eq!(fixture.on_disk().await, [1_000, 2_000, 3_000, 3_500, 5_000]);
    assert_eq!(claim(&fixture.store, 9_000).await, ["k1", "k2", "k3"], "what came with it has to be told");
    let gap =
        sqlx::query_as::<_, (i64, i64)>("SELECT at, until FROM gaps WHERE why = 'not_recorded' ORDER BY at");
    assert_eq!(gap.fetch_all(&mut other).await.unwrap(), [(2_500, 2_500), (4_000, 4_000)]);
}

#[tokio::test]
async fn a_disk_that_takes_no_result_at_all_costs_a_few_and_the_others_are_held() {
    let fixture = Fixture::new().await;
    let mut other = SqliteConnectOptions::new().filename(&fixture.path).connect().await.unwrap();
    let never = "CREATE TRIGGER never BEFORE INSERT ON results BEGIN SELECT RAISE(ABORT, 'none'); END";
    sqlx::query(never).execute(&mut other).await.unwrap();
    let batch: Vec<_> = (0..50).map(|at| ran(outcome("a/b", at))).collect();
    fixture.store.commit(&batch).await.unwrap();
    for _ in 0..3 {
        assert!(matches!(fixture.store.try_recover().await, Err(StoreError::Rejected { .. })));
    }
    sqlx::query("DROP TRIGGER never").execute(&mut other).await.unwrap();
    fixture.store.try_recover().await.unwrap();
    assert!(fixture.on_disk().await.into_iter().eq(10..50));
}

#[tokio::test]
async fn a_full_disk_loses_nothing() {
    let fixture = Fixture::new().await;
    fixture.live_through("k1", 1_000).await;
    limit_pages(&fixture.disk(), 1).await;
    let many: Vec<_> = (0..5_000).map(|at| ran(outcome("a/many", at))).collect();
    fixture.store.commit(&many).await.unwrap();
    assert!(fixture.degraded());
    fixture.live_through("k2", 2_000).await;
    assert_eq!(fixture.in_all().await, [1_000, 2_000]);
    assert!(fixture.store.try_recover().await.is_err());
    limit_pages(&fixture.disk(), 1_000_000).await;
    fixture.store.try_recover().await.unwrap();
    assert!(!fixture.degraded());
    assert_eq!(fixture.on_disk().await, [1_000, 2_000]);
    let many = fixture.disk().history(&"a/many".into(), time(0), time(9_000), 9_999).await.unwrap();
    assert_eq!(many.len(), 5_000);
}

#[tokio::test]
async fn messages_are_sent_while_the_disk_is_locked_and_never_twice() {
    let fixture = Fixture::new().await;
    fixture.live_through("before", 1_000).await;
    fixture.live_through("claimed", 1_000).await;
    assert_eq!(claim(&fixture.store, 1_000).await, ["before", "claimed"]);
    let other = exclusive(&fixture.path).await;
    fixture.store.settle(&[sent("before", 2_000)]).await.unwrap();
    assert!(fixture.degraded());
    fixture.live_through("during", 2_000).await;
    assert!(claim(&fixture.store, 2_001).await.is_empty(), "the queue is leased");
    assert_eq!(claim(&fixture.store, 31_000).await, ["claimed", "during"]);
    let told = fixture.store.waiting().await.unwrap();
    let marks: Vec<_> = told.iter().map(|claimed| claimed.row.notice.incident.not_recorded).collect();
    assert_eq!(marks, [false, true]);
    fixture.store.settle(&[sent("claimed", 31_500)]).await.unwrap();
    drop(other);
    while fixture.store.try_recover().await.is_err() {
        tokio::task::yield_now().await;
    }
    // "during" is on its way under memory's lease.
    assert!(claim(&fixture.store, 32_000).await.is_empty());
    fixture.store.settle(&[sent("during", 33_000)]).await.unwrap();
    assert!(claim(&fixture.store, 99_000).await.is_empty());
    assert_eq!(fixture.disk().pending().await.unwrap().0, 0);
    let kept = fixture.disk().open_incidents().await.unwrap();
    let marks: Vec<_> = kept.iter().map(|incident| incident.not_recorded).collect();
    assert_eq!(marks, [false, true]);
}

#[tokio::test]
async fn a_disk_that_refuses_at_the_start_is_caught_up_with() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.db");
    let (first, _) = opener(&path);
    let first = first().await.unwrap();
    first.commit(&[Transition { outbox: vec![row("old", "a/b", "mail", 0)], ..bare("a/b") }]).await.unwrap();
    let (open, opened) = opener(&path);
    let store = Resilient::open(open).await.unwrap();
    let fixture = Fixture { _folder: folder, path, store, opened };
    assert!(fixture.degraded());
    fixture.store.begin(time(500)).await.unwrap();
    fixture.live_through("new", 1_000).await;
    first.close().await;
    fixture.store.try_recover().await.unwrap();
    assert!(!fixture.degraded());
    assert_eq!(fixture.on_disk().await, [1_000]);
    assert_eq!(fixture.disk().pending().await.unwrap().0, 2);
    assert_eq!(fixture.store.claim(time(5_000), LEASE).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_alone_until_a_person_moves_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.db");
    std::fs::write(&path, "somebody's notes ".repeat(999)).unwrap();
    let (open, opened) = opener(&path);
    let store = Resilient::open(open).await.unwrap();
    let fixture = Fixture { _folder: folder, path, store, opened };
    fixture.live_through("k1", 1_000).await;
    assert!(fixture.store.try_recover().await.is_err());
    assert_eq!(claim(&fixture.store, 1_000).await, ["k1"]);
    assert!(std::fs::read_to_string(&fixture.path).unwrap().starts_with("somebody's notes"));
    std::fs::rename(&fixture.path, fixture.path.with_extension("old")).unwrap();
    fixture.store.try_recover().await.unwrap();
    assert_eq!(fixture.on_disk().await, [1_000]);
}

#[tokio::test]
async fn a_file_damaged_in_the_middle_is_told_and_outlived() {
    let fixture = Fixture::new().await;
    fixture.live_through("k1", 1_000).await;
    let many: Vec<_> = (2_000..9_000).map(|at| ran(outcome("a/many", at))).collect();
    fixture.store.commit(&many).await.unwrap();
    fixture.store.close().await;
    let length = std::fs::metadata(&fixture.path).unwrap().len();
    let mut file = std::fs::OpenOptions::new().write(true).open(&fixture.path).unwrap();
    file.seek(SeekFrom::Start(4_096)).unwrap();
    file.write_all(&vec![0xa5; usize::try_from(length - 4_096).unwrap()]).unwrap();
    drop(file);

    let (open, opened) = opener(&fixture.path);
    let again = Resilient::open(open).await.unwrap();
    let fixture = Fixture { store: again, opened, ..fixture };
    assert!(fixture.degraded());
    fixture.live_through("k2", 10_000).await;
    assert_eq!(claim(&fixture.store, 10_000).await, ["k2"]);
    assert_eq!(fixture.in_all().await, [10_000]);
    assert!(fixture.store.try_recover().await.is_err());
    assert_eq!(std::fs::metadata(&fixture.path).unwrap().len(), length, "nobody deletes a user's file");
    for end in ["", "-wal", "-shm"] {
        let mut name = fixture.path.clone().into_os_string();
        name.push(end);
        std::fs::rename(&name, fixture.path.with_extension(format!("old{end}"))).ok();
    }
    fixture.store.try_recover().await.unwrap();
    assert_eq!(fixture.on_disk().await, [10_000]);
}

#[tokio::test]
async fn a_file_deleted_under_the_daemon_is_made_anew_with_what_is_open() {
    let fixture = Fixture::new().await;
    fixture.live_through("k1", 1_000).await;
    for end in ["", "-wal", "-shm"] {
        let mut name = fixture.path.clone().into_os_string();
        name.push(end);
        std::fs::remove_file(name).unwrap();
    }
    fixture.live_through("k2", 2_000).await;
    assert!(fixture.degraded());
    while fixture.store.try_recover().await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(fixture.on_disk().await, [2_000]);
    assert_eq!(fixture.disk().open_incidents().await.unwrap().len(), 2, "the one from before is still open");
    assert_eq!(claim(&fixture.store, 5_000).await, ["k1", "k2"]);
}

#[tokio::test]
async fn a_newer_file_stops_the_start() {
    let open: Opener = Box::new(|| {
        Box::pin(async { Err(StoreError::Newer { path: "record.db".into(), found: 9, known: 1 }) })
    });
    assert!(matches!(Resilient::open(open).await, Err(StoreError::Newer { .. })));
}

#[tokio::test]
async fn what_does_not_fit_is_a_gap_and_states_and_messages_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.db");
    let (first, _) = opener(&path);
    let holder = first().await.unwrap();
    let (open, opened) = opener(&path);
    let store = Resilient::open_bounded(open, Bounds::default(), 2).await.unwrap();
    let fixture = Fixture { _folder: folder, path, store, opened };
    for (key, at) in [("k1", 1_000), ("k2", 2_000), ("k3", 3_000), ("k4", 4_000)] {
        fixture.live_through(key, at).await;
    }
    let health = fixture.store.health().borrow().clone();
    assert!(matches!(health, Health::Degraded { backlog: 2, lost: 2, .. }), "{health:?}");
    holder.close().await;
    fixture.store.try_recover().await.unwrap();
    assert_eq!(fixture.on_disk().await, [1_000, 2_000]);
    let gap =
        Gap { check: Some("a/b".into()), from: time(3_000), to: time(4_000), why: "not_recorded".into() };
    assert_eq!(fixture.disk().gaps(time(0), time(9_000)).await.unwrap(), [gap]);
    assert_eq!(fixture.disk().open_incidents().await.unwrap().len(), 4);
    assert_eq!(claim(&fixture.store, 5_000).await, ["k1", "k2", "k3", "k4"]);
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_told_and_outlived() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::new().await;
    fixture.live_through("k1", 1_000).await;
    fixture.store.close().await;
    let folder = fixture.path.parent().unwrap().to_owned();
    let set = |mode, file_mode| {
        std::fs::set_permissions(&fixture.path, std::fs::Permissions::from_mode(file_mode)).unwrap();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set(0o500, 0o400);
    if std::fs::File::create(folder.join("probe")).is_ok() {
        println!("skipped: the superuser writes anyway");
        set(0o700, 0o600);
        return;
    }
    let (open, opened) = opener(&fixture.path);
    let store = Resilient::open(open).await.unwrap();
    assert!(matches!(*store.health().borrow(), Health::Degraded { .. }));
    store.commit(&[ran(outcome("a/b", 2_000))]).await.unwrap();
    set(0o700, 0o600);
    store.try_recover().await.unwrap();
    let disk = opened.lock().unwrap().clone().unwrap();
    assert_eq!(disk.history(&"a/b".into(), time(0), time(9_000), 9).await.unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn recovery_comes_by_itself_and_is_told() {
    let disk = Arc::new(Memory::default());
    let tries = Arc::new(StdMutex::new(0));
    let (disk_again, count) = (Arc::clone(&disk), Arc::clone(&tries));
    let open: Opener = Box::new(move || {
        let disk = Arc::clone(&disk_again) as Arc<dyn Figures>;
        *count.lock().unwrap() += 1;
        let works = *count.lock().unwrap() > 3;
        Box::pin(async move {
            let full = StoreError::Full { path: "record.db".into(), why: "no space".into() };
            if works { Ok(disk) } else { Err(full) }
        })
    });
    let store = Arc::new(Resilient::open(open).await.unwrap());
    let mut health = store.health();
    assert!(matches!(&*health.borrow(), Health::Degraded { why, .. } if why.contains("the disk is full")));
    store.commit(&[ran(outcome("a/b", 1_000))]).await.unwrap();
    assert!(matches!(*health.borrow_and_update(), Health::Degraded { backlog: 1, .. }));
    let task = Arc::clone(&store).spawn_recovery(Duration::from_secs(5));
    health.wait_for(|health| *health == Health::Ok).await.unwrap();
    task.abort();
    assert_eq!(*tries.lock().unwrap(), 4);
    assert_eq!(disk.history(&"a/b".into(), time(0), time(9_000), 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_removed_check_is_removed_on_disk_although_the_backlog_was_full() {
    let fixture = Fixture::new().await;
    fixture.store.commit(&[ran(outcome("a/gone", 1_000))]).await.unwrap();
    fixture.store.close().await;
    let (first, _) = opener(&fixture.path);
    let holder = first().await.unwrap();
    let (open, opened) = opener(&fixture.path);
    let store = Resilient::open_bounded(open, Bounds::default(), 0).await.unwrap();
    store.commit(&[Transition { removed: true, ..bare("a/gone") }]).await.unwrap();
    holder.close().await;
    store.try_recover().await.unwrap();
    let disk = opened.lock().unwrap().clone().unwrap();
    assert!(disk.resume().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_database_that_turns_read_only_is_opened_anew_once_it_can_be_written() {
    let fixture = Fixture::new().await;
    fixture.live_through("k1", 1_000).await;
    pragma(&fixture.disk(), "PRAGMA query_only = ON".into()).await;
    fixture.live_through("k2", 2_000).await;
    let health = fixture.store.health().borrow().clone();
    assert!(
        matches!(&health, Health::Degraded { why, .. } if why.contains("cannot be written")),
        "{health:?}"
    );
    assert_eq!(fixture.in_all().await, [1_000, 2_000]);
    assert!(fixture.store.try_recover().await.is_err());
    // The refusing connection was let go, and the next one is asked afresh.
    fixture.store.try_recover().await.unwrap();
    assert_eq!(fixture.on_disk().await, [1_000, 2_000]);
    assert_eq!(claim(&fixture.store, 5_000).await, ["k1", "k2"]);
}

#[tokio::test]
async fn what_was_resumed_is_not_lost_with_the_file() {
    let fixture = Fixture::new().await;
    let memory = RawValue::from_string("7".into()).unwrap();
    let learned = Transition { memory: Some(memory), ..bare("a/b") };
    fixture.store.commit(&[learned]).await.unwrap();
    fixture.store.close().await;
    let (open, opened) = opener(&fixture.path);
    let store = Resilient::open(open).await.unwrap();
    assert_eq!(store.resume().await.unwrap().len(), 1);
    std::fs::rename(&fixture.path, fixture.path.with_extension("old")).unwrap();
    store.commit(&[ran(outcome("a/c", 1_000))]).await.unwrap();
    while store.try_recover().await.is_err() {
        tokio::task::yield_now().await;
    }
    let disk = opened.lock().unwrap().clone().unwrap();
    let resumed = disk.resume().await.unwrap();
    let kept = resumed.iter().find(|resumed| resumed.check.as_str() == "a/b").unwrap();
    assert_eq!(kept.memory.as_ref().unwrap().get(), "7");
}
