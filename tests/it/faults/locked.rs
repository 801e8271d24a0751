//! A database that somebody else holds, takes away, damages, or wrote with a newer version.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use super::bench::{Bench, gaps, open_incidents, results, started, wait_store, wait_verdict};
use crate::peers::{Nginx, PATIENCE, poll};
use portalwatch::model::Verdict;

fn portal(nginx: &Nginx) -> String {
    format!(
        "portals: {{ acme: {{ url: '{}/', private: true, checks: {{ front: {{ http: {{ path: / }} }} }} }} }}",
        nginx.url()
    )
}

/// Runs statements on a connection of its own, and keeps it open until it is dropped.
struct Other {
    runtime: tokio::runtime::Runtime,
    connection: Option<SqliteConnection>,
}

impl Other {
    fn run(database: &Path, sql: &'static str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let connection = runtime.block_on(async {
            let mut connection = SqliteConnectOptions::new().filename(database).connect().await.unwrap();
            // The daemon may be in the middle of a commit.
            while sqlx::query(sql).execute(&mut connection).await.is_err() {
                tokio::task::yield_now().await;
            }
            connection
        });
        Self { runtime, connection: Some(connection) }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.runtime.block_on(connection.close()).unwrap();
        }
    }
}

fn wait_store_told_and_over(bench: &Bench) {
    bench.hook.wait("resolved", "monitor.store", PATIENCE);
    let monitor = "monitor.store _portalwatch/monitor";
    assert_eq!(bench.hook.lines(), [format!("opened {monitor}"), format!("resolved {monitor}")]);
}

#[test]
fn a_database_locked_by_another_process_is_waited_for_without_a_gap() {
    let nginx = Nginx::start("location / { return 200 fine; }");
    let bench = Bench::new(&portal(&nginx));
    let daemon = bench.start();
    wait_verdict(&daemon, "front", "pass", PATIENCE);
    let other = Other::run(&bench.database(), "BEGIN EXCLUSIVE");
    bench.hook.wait("opened", "monitor.store", PATIENCE);
    wait_store(&daemon, "degraded", PATIENCE);
    wait_verdict(&daemon, "front", "pass", PATIENCE);
    drop(other);
    wait_store(&daemon, "open", PATIENCE);
    wait_store_told_and_over(&bench);
    let runs = started(&daemon);
    assert!(daemon.terminate(PATIENCE).success());
    let rows = results(&bench.database(), "acme/front").len();
    assert!(rows >= runs, "{rows} of {runs} results are on disk");
}

#[test]
fn a_database_deleted_or_replaced_under_the_daemon_is_told_and_made_anew() {
    let mut nginx = Nginx::start("location / { return 502; }");
    let bench = Bench::new(&portal(&nginx));
    let daemon = bench.start();
    bench.hook.wait("opened", "http.status", PATIENCE);
    for replaced in [false, true] {
        let told = bench.hook.told().len();
        for end in ["", "-wal", "-shm"] {
            let mut name = bench.database().into_os_string();
            name.push(end);
            std::fs::remove_file(&name).unwrap();
        }
        if replaced {
            File::create(bench.database()).unwrap();
        }
        let both = poll(PATIENCE, || (bench.hook.told().len() == told + 2).then_some(()));
        assert!(both.is_some(), "{:#?}\n{}", bench.hook.told(), daemon.log());
        wait_store(&daemon, "open", PATIENCE);
        assert_eq!(open_incidents(&bench.database()), ["acme/front"], "what is open is in the new file");
    }
    nginx.reload("location / { return 200 fine; }");
    bench.hook.wait("resolved", "http.status", PATIENCE);
    let status = bench.hook.lines().iter().filter(|line| line.contains("http.status")).count();
    assert_eq!(status, 2, "{:#?}", bench.hook.told());
    assert!(daemon.terminate(PATIENCE).success());
    assert!(open_incidents(&bench.database()).is_empty());
}

#[test]
fn a_damaged_database_is_told_and_left_alone() {
    let nginx = Nginx::start("location / { return 200 fine; }");
    let bench = Bench::new(&portal(&nginx));
    std::fs::create_dir_all(bench.record()).unwrap();
    let notes = "somebody's notes ".repeat(999);
    std::fs::write(bench.database(), &notes).unwrap();
    let daemon = bench.start();
    wait_store(&daemon, "degraded", PATIENCE);
    let told = bench.hook.wait("opened", "monitor.store", PATIENCE);
    assert!(told.description.contains("damaged"), "{told:?}");
    wait_verdict(&daemon, "front", "pass", PATIENCE);
    assert_eq!(std::fs::read_to_string(bench.database()).unwrap(), notes);

    let aside = bench.record().join("aside");
    std::fs::rename(bench.database(), &aside).unwrap();
    wait_store(&daemon, "open", PATIENCE);
    wait_store_told_and_over(&bench);
    let runs = started(&daemon);
    assert!(daemon.terminate(PATIENCE).success());
    let rows = results(&bench.database(), "acme/front").len();
    assert!(rows >= runs, "{rows} of {runs} results are on disk");
    assert_eq!(std::fs::read_to_string(aside).unwrap(), notes);
}

#[test]
fn a_database_of_a_newer_version_is_refused_and_not_touched() {
    let nginx = Nginx::start("location / { return 200 fine; }");
    let bench = Bench::new(&portal(&nginx));
    assert!(bench.start().terminate(PATIENCE).success());
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (9999, 'newer', 1, x'00', 0)";
    drop(Other::run(&bench.database(), newer));
    let before = std::fs::read(bench.database()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_portalwatch"));
    command
        .arg("run")
        .arg("-c")
        .arg(bench.config())
        .env_clear()
        .env("STATE_DIRECTORY", bench.record().parent().unwrap());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(70), "{said}");
    assert!(said.contains("written by a newer portalwatch (schema 9999"), "{said}");
    assert_eq!(std::fs::read(bench.database()).unwrap(), before);
}

/// A daemon that ended while the portal was down, and its database in hands that let nobody even read.
fn left_open(bench: &Bench) -> Other {
    let daemon = bench.start();
    bench.hook.wait("opened", "http.status", PATIENCE);
    let delivered =
        poll(PATIENCE, || daemon.metrics().contains("portalwatch_outbox_pending 0").then_some(()));
    assert!(delivered.is_some(), "{}", daemon.metrics());
    daemon.kill9();
    assert_eq!(open_incidents(&bench.database()), ["acme/front"]);
    Other::run(&bench.database(), "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE")
}

#[test]
fn an_incident_open_before_a_start_without_the_store_is_resolved_when_the_portal_is_well() {
    let mut nginx = Nginx::start("location / { return 502; }");
    let bench = Bench::new(&portal(&nginx));
    let other = left_open(&bench);
    nginx.reload("location / { return 200 fine; }");
    let daemon = bench.start();
    bench.hook.wait("opened", "monitor.store", PATIENCE);
    wait_verdict(&daemon, "front", "pass", PATIENCE);
    drop(other);
    bench.hook.wait("resolved", "monitor.store", PATIENCE);
    bench.hook.wait("resolved", "http.status", PATIENCE);
    assert!(daemon.terminate(PATIENCE).success());
    assert!(open_incidents(&bench.database()).is_empty());
    assert!(gaps(&bench.database()).iter().any(|gap| gap.why == "not_running"));
}

#[test]
fn an_incident_open_before_a_start_without_the_store_goes_on_while_the_portal_is_down() {
    let mut nginx = Nginx::start("location / { return 502; }");
    let bench = Bench::new(&portal(&nginx));
    let other = left_open(&bench);
    let daemon = bench.start();
    bench.hook.wait("opened", "monitor.store", PATIENCE);
    let opened = |wanted| {
        let count = bench.hook.lines().iter().filter(|line| *line == "opened http.status acme/front").count();
        (count == wanted).then_some(())
    };
    assert!(
        poll(PATIENCE, || opened(2)).is_some(),
        "nobody knows yet that it was told: {:#?}",
        bench.hook.told()
    );
    drop(other);
    bench.hook.wait("resolved", "monitor.store", PATIENCE);
    let one = poll(PATIENCE, || (open_incidents(&bench.database()) == ["acme/front"]).then_some(()));
    assert!(one.is_some(), "{:?}", open_incidents(&bench.database()));
    nginx.reload("location / { return 200 fine; }");
    bench.hook.wait("resolved", "http.status", PATIENCE);
    assert!(daemon.terminate(PATIENCE).success());
    assert!(open_incidents(&bench.database()).is_empty());
    let lines = bench.hook.lines();
    assert_eq!(
        lines.iter().filter(|line| *line == "resolved http.status acme/front").count(),
        1,
        "{lines:#?}"
    );
}

#[test]
fn time_without_a_daemon_is_a_gap_and_what_was_open_stays_open() {
    let mut nginx = Nginx::start("location / { return 502; }");
    let bench = Bench::new(&portal(&nginx));
    drop(left_open(&bench));
    let before = results(&bench.database(), "acme/front").len();
    let daemon = bench.start();
    let again =
        poll(PATIENCE, || (results(&bench.database(), "acme/front").len() > before + 2).then_some(()));
    assert!(again.is_some(), "{}", daemon.log());
    assert_eq!(open_incidents(&bench.database()), ["acme/front"]);
    assert_eq!(bench.hook.lines(), ["opened http.status acme/front"], "told once, over the restart too");
    nginx.reload("location / { return 200 fine; }");
    bench.hook.wait("resolved", "http.status", PATIENCE);
    assert!(daemon.terminate(PATIENCE).success());
    let gaps = gaps(&bench.database());
    assert!(gaps.iter().any(|gap| gap.why == "not_running" && gap.check.is_none()), "{gaps:#?}");
    let rows = results(&bench.database(), "acme/front");
    assert!(rows.iter().all(|row| row.verdict != Verdict::Unknown), "{rows:#?}");
}
