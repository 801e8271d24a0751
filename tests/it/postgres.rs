//! The daemon and its commands with a PostgreSQL.

use std::time::Duration;

use tempfile::TempDir;

use crate::command::portalwatch_with;
use crate::peers::{Daemon, PATIENCE, Postgres, free_port, get, poll};

/// A daemon that watches itself and keeps it in a PostgreSQL.
struct Scene {
    folder: TempDir,
    server: Postgres,
    port: u16,
}

impl Scene {
    fn new() -> Self {
        let server = Postgres::start(&["fsync=off"], &[]);
        server.query("postgres", "CREATE ROLE portalwatch LOGIN");
        server.query("postgres", "CREATE DATABASE portalwatch OWNER portalwatch");
        let (folder, port) = (TempDir::new().unwrap(), free_port());
        let config = format!(
            "server: {{ listen: '127.0.0.1:{port}' }}\n\
             storage: {{ url: 'postgres://portalwatch@127.0.0.1:{}/portalwatch', password: {{ env: DB }} }}\n\
             portals:\n  own:\n    url: http://127.0.0.1:{port}\n    private: true\n    checks:\n      \
             health: {{ every: 1s, timeout: 1s, http: {{ path: /healthz }} }}\n      \
             zone: {{ every: 1h, timeout: 1s, resolvers: ['127.0.0.1:1'], dns: {{ zone: acme.example, \
             parent: ['127.0.0.1:1'], records: [{{ name: www, type: A, learned: true }}] }} }}\n",
            server.port()
        );
        std::fs::write(folder.path().join("monitor.yaml"), config).unwrap();
        Self { folder, server, port }
    }

    fn daemon(&self) -> Daemon {
        let mut daemon =
            Daemon::start(&self.folder.path().join("monitor.yaml"), self.port, &[("DB", "hunter2")]);
        daemon.wait_ready(PATIENCE);
        daemon
    }

    fn results(&self) -> u64 {
        self.server.query("portalwatch", "SELECT count(*) FROM results").parse().unwrap()
    }

    fn wait_for_results(&self, more_than: u64) -> u64 {
        poll(PATIENCE, || Some(self.results()).filter(|count| *count > more_than)).unwrap()
    }

    /// What `/readyz` answers, 0 for nothing.
    fn ready(&self) -> u16 {
        get(self.port, "/readyz").map_or(0, |answer| answer.status)
    }
}

#[test]
fn a_daemon_records_in_it_and_the_time_between_two_of_them_is_not_covered() {
    let scene = Scene::new();
    let daemon = scene.daemon();
    let before = scene.wait_for_results(1);
    daemon.kill9();
    let daemon = scene.daemon();
    scene.wait_for_results(before);
    let gaps = scene.server.query("portalwatch", "SELECT count(*) FROM gaps WHERE why = 'not_running'");
    assert_eq!(gaps, "1", "the time between the two is not covered");
    assert!(!daemon.log().contains("hunter2"), "{}", daemon.log());
    assert!(daemon.terminate(PATIENCE).success());
}

#[test]
fn a_server_that_dies_stops_no_check_and_what_was_held_back_is_recorded() {
    let mut scene = Scene::new();
    let daemon = scene.daemon();
    let before = scene.wait_for_results(0);
    scene.server.kill();
    let degraded = poll(PATIENCE, || daemon.get("/readyz").body.contains("degraded").then_some(()));
    assert!(degraded.is_some(), "{}", daemon.get("/readyz").body);
    assert!(daemon.log().contains("going on in memory"), "{}", daemon.log());
    scene.server.start_again();
    let well = poll(PATIENCE, || (!daemon.get("/readyz").body.contains("degraded")).then_some(()));
    assert!(well.is_some() && scene.ready() == 200, "{}", daemon.log());
    scene.wait_for_results(before + 2);
    let longest = scene.server.query(
        "portalwatch",
        "SELECT max(gap) FROM (SELECT at - lag(at) OVER (ORDER BY at) AS gap FROM results) g",
    );
    assert!(longest.parse::<u64>().unwrap() < 5_000, "no run is missing: {longest} ms");
    assert!(daemon.terminate(Duration::from_secs(30)).success());
}

#[test]
fn commands_use_it_beside_the_daemon_and_without_one() {
    let scene = Scene::new();
    let folder = scene.folder.path();
    let run = |arguments: &[&str]| portalwatch_with(folder, &[("DB", "hunter2")], arguments);
    std::fs::write(folder.join("acme.zone"), "$TTL 60\nwww A 192.0.2.1\n").unwrap();
    let decisions = || scene.server.query("portalwatch", "SELECT count(*) FROM decisions");
    run(&["baseline", "import", "own/zone", "acme.zone", "--by", "ada"]).ended(0);
    assert_eq!(decisions(), "1", "a command makes the tables");
    let daemon = scene.daemon();
    run(&["check", "own/health"]).ended(0);
    run(&["baseline", "import", "own/zone", "acme.zone", "--by", "ada", "--why", "again"]).ended(0);
    assert_eq!(decisions(), "2");
    let history = run(&["baseline", "history"]).ended(0).stdout;
    assert!(history.contains("again"), "{history}");
    let shown = run(&["config", "show"]).ended(0);
    assert!(shown.stdout.contains("/portalwatch") && !shown.stdout.contains("hunter2"), "{shown:#?}");
    let said = portalwatch_with(folder, &[], &["check", "own/health"]).ended(78);
    assert!(said.stdout.contains("DB is not set") || said.stderr.contains("DB is not set"), "{said:#?}");
    assert!(daemon.terminate(PATIENCE).success());
}
