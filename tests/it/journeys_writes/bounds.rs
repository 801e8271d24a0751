//! What is written, how often, by whom, and in what time.

use std::process::{Child, Command, Stdio};

use jiff::Timestamp;
use portalwatch::model::{Cause, Verdict};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

use super::scene::{BRISK, PATIENCE, Pace, Scene};
use crate::command::portalwatch_with;
use crate::faults::bench::wait_verdict;
use crate::peers::{Writes, poll};

/// Keeps everybody else from writing to a database until it is dropped.
struct Lock {
    runtime: tokio::runtime::Runtime,
    connection: Option<SqliteConnection>,
}

impl Lock {
    fn of(scene: &Scene) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let connection = runtime.block_on(async {
            let options = SqliteConnectOptions::new().filename(scene.bench.database());
            let mut connection = options.connect().await.unwrap();
            // The daemon may be in the middle of a commit.
            while sqlx::query("BEGIN EXCLUSIVE").execute(&mut connection).await.is_err() {
                tokio::task::yield_now().await;
            }
            connection
        });
        Self { runtime, connection: Some(connection) }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.runtime.block_on(connection.close()).unwrap();
        }
    }
}

#[test]
fn without_a_ledger_nothing_is_written_and_the_rest_is_looked_at() {
    let scene = Scene::new(BRISK, "");
    let daemon = scene.bench.start();
    wait_verdict(&daemon, "work", "pass", PATIENCE);
    let lock = Lock::of(&scene);
    wait_verdict(&daemon, "work", "unknown", PATIENCE);
    let (written, looked) = (scene.desk.asked("POST /api/tickets").len(), scene.desk.asked("GET /new").len());
    scene.desk.wait_asked("GET /new", looked + 2, PATIENCE);
    assert_eq!(scene.desk.asked("POST /api/tickets").len(), written, "nothing is written without a ledger");
    drop(lock);
    wait_verdict(&daemon, "work", "pass", PATIENCE);
    scene.desk.wait_asked("POST /api/tickets", written + 1, PATIENCE);
    let rows = poll(PATIENCE, || {
        Some(scene.rows()).filter(|rows| rows.iter().any(|row| row.cause == Some(Cause::LocalStorage)))
    });
    let rows = rows.unwrap_or_else(|| panic!("{:#?}", scene.rows()));
    assert!(rows.iter().all(|row| row.verdict != Verdict::Fail), "{rows:#?}");
}

#[test]
fn used_up_writes_are_said_and_are_no_fault() {
    let scene = Scene::new(BRISK, "daily_writes: 2");
    let daemon = scene.bench.start();
    scene.wait_found("journey.not_written", Timestamp::MIN);
    let said = check(&scene, true).ended(0);
    assert!(said.stdout.contains("2 writes in 24 hours are all that daily_writes allows"), "{said:?}");
    daemon.kill9();
    let daemon = scene.bench.start();
    scene.wait_rows(3);
    wait_verdict(&daemon, "work", "pass", PATIENCE);
    assert_eq!(scene.desk.asked("POST /api/tickets").len(), 2, "a restart gives no new writes");
    assert!(scene.rows().iter().all(|row| row.verdict == Verdict::Pass), "{:#?}", scene.rows());
}

fn check(scene: &Scene, write: bool) -> crate::command::Said {
    let config = scene.bench.config();
    let mut arguments = vec!["check", "-c", config.to_str().unwrap(), "--format", "json"];
    arguments.extend(write.then_some("--write"));
    let folder = config.parent().unwrap();
    portalwatch_with(folder, &[("STATE_DIRECTORY", folder.to_str().unwrap())], &arguments)
}

#[test]
fn a_check_by_hand_writes_only_if_told_to() {
    let scene = Scene::new(BRISK, "");
    let said = check(&scene, false).ended(0);
    assert!(said.stdout.contains("--write"), "{}", said.stdout);
    assert!(scene.desk.asked("POST /api/tickets").is_empty() && scene.desk.asked("DELETE").is_empty());
    let said = check(&scene, true).ended(0);
    assert!(!said.stdout.contains("journey.not_written"), "{}", said.stdout);
    assert_eq!((scene.desk.asked("POST /api/tickets").len(), scene.desk.asked("DELETE").len()), (1, 1));
    assert!(scene.desk.tickets().is_empty());
}

#[test]
fn a_check_by_hand_leaves_alone_what_the_daemon_is_writing() {
    let scene = Scene::new(Pace { deadline: 50, step: 50 }, "");
    scene.desk.set(|ways| ways.writes = Writes::StoredAndHeld);
    let daemon = scene.bench.start();
    let run = scene.wait_written(&daemon);
    assert!(poll(PATIENCE, || scene.stands(&run).then_some(())).is_some());
    let said = check(&scene, true).ended(0);
    assert!(said.stdout.contains("is writing"), "{}", said.stdout);
    assert!(!said.stdout.contains("journey.left_behind"), "{}", said.stdout);
    assert!(scene.stands(&run), "it was swept while it was written");
    scene.desk.set(|ways| ways.writes = Writes::Work);
    scene.wait_gone(&run, &daemon);
    scene.wait_tally(|tally| tally.cleaned > 1);
    assert_eq!(scene.desk.most_and_stored().0, 1);
    assert_eq!(scene.tally().swept, 0);
}

/// `portalwatch check --write`, ended by its owner.
struct ByHand(Child);

impl ByHand {
    fn start(scene: &Scene) -> Self {
        let config = scene.bench.config();
        let mut command = Command::new(env!("CARGO_BIN_EXE_portalwatch"));
        command.args(["check", "--write", "-c"]).arg(&config);
        command.env_clear().env("STATE_DIRECTORY", config.parent().unwrap());
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for ByHand {
    fn drop(&mut self) {
        let _ = self.0.kill();
        self.0.wait().unwrap();
    }
}

#[test]
fn the_daemon_leaves_alone_what_a_check_by_hand_is_writing() {
    let scene = Scene::new(Pace { deadline: 50, step: 50 }, "");
    scene.desk.set(|ways| ways.writes = Writes::StoredAndHeld);
    let mut by_hand = ByHand::start(&scene);
    let arrived = poll(PATIENCE, || scene.runs().pop().filter(|run| scene.stands(run)));
    let run = arrived.unwrap_or_else(|| panic!("{:#?}", scene.desk.asked("")));
    let daemon = scene.bench.start();
    scene.wait_found("journey.not_written", Timestamp::MIN);
    scene.wait_rows(2);
    assert!(scene.stands(&run) && !scene.found("journey.left_behind"), "{:#?}", scene.rows());
    scene.desk.set(|ways| ways.writes = Writes::Work);
    scene.wait_gone(&run, &daemon);
    assert!(by_hand.0.wait().unwrap().success());
    let tally = scene.wait_tally(|tally| tally.cleaned > 1);
    assert_eq!((tally.swept, tally.absent), (0, 0));
    assert_eq!(scene.desk.most_and_stored().0, 1);
}

#[test]
fn a_journey_longer_than_its_interval_ends_by_itself_and_cleans_up() {
    let scene = Scene::new(Pace { deadline: 6, step: 50 }, "");
    scene.desk.set(|ways| ways.holds = Some("GET /api/tickets/"));
    let daemon = scene.bench.start();
    scene.wait_found("journey.out_of_time", Timestamp::MIN);
    let tally = scene.wait_tally(|tally| tally.cleaned > 1);
    assert_eq!((tally.swept, tally.absent), (0, 0), "{}", daemon.log());
    assert!(!scene.found("run.deadline"), "{:#?}", scene.rows());
    assert_eq!(scene.desk.most_and_stored().0, 1);
    let mut inside = false;
    for asked in scene.desk.asked("") {
        let (begins, ends) = (asked.line.starts_with("POST /login"), asked.line.starts_with("DELETE"));
        assert!(!(begins && inside), "a run began inside another: {:#?}", scene.desk.asked(""));
        inside = (inside || begins) && !ends;
    }
}

#[test]
fn a_portal_that_forgets_a_write_fails_at_its_reading() {
    let scene = Scene::new(BRISK, "");
    scene.desk.set(|ways| ways.writes = Writes::Forgotten);
    let _daemon = scene.bench.start();
    let said = scene.wait_found("journey.status", Timestamp::MIN);
    assert!(said.contains("404") && said.contains("step 6 of 6"), "{said}");
    let tally = scene.wait_tally(|tally| tally.cleaned > 1);
    assert_eq!((tally.swept, tally.absent), (0, 0));
    assert!(!scene.found("journey.left_behind"), "a clean-up that finds nothing is one");
}

#[test]
fn a_write_that_found_no_connection_is_no_canary() {
    let scene = Scene::new(BRISK, "");
    scene.desk.set(|ways| ways.closes_after = Some("GET /new"));
    let daemon = scene.bench.start();
    let said = scene.wait_found("journey.unreachable", Timestamp::MIN);
    assert!(said.contains("step 5 of 6"), "{said}");
    let tally = scene.wait_tally(|tally| tally.absent == 1 && tally.open == 0);
    assert_eq!(tally.swept, 0);
    assert!(!scene.found("journey.left_behind"), "{:#?}", scene.rows());
    scene.desk.reopen();
    wait_verdict(&daemon, "work", "pass", PATIENCE);
}
