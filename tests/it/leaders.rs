//! Two daemons on one PostgreSQL: one leads, the other one stands by and takes over.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::peers::{Daemon, PATIENCE, Postgres, free_port, poll};
use crate::telling::hook::Hook;

/// Within which another daemon has to be at work.
const TAKE_OVER: Duration = Duration::from_secs(30);
/// Longer than the lease lasts.
const OUTLASTS: Duration = Duration::from_secs(18);
/// How long a daemon is stopped.
const PAUSE: Duration = Duration::from_secs(45);

/// A page that counts who comes, and answers as it is told.
struct Page {
    port: u16,
    asked: Arc<AtomicU64>,
    status: Arc<AtomicU16>,
}

impl Page {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, status) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU16::new(200)));
        let (count, answer) = (Arc::clone(&asked), Arc::clone(&status));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                let status = answer.load(Ordering::SeqCst);
                std::thread::spawn(move || {
                    BufReader::new(&stream).read_line(&mut String::new()).ok();
                    let head =
                        format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                    stream.write_all(head.as_bytes()).ok();
                });
            }
        });
        Self { port, asked, status }
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// Waits until somebody came so many times more.
    #[track_caller]
    fn wait_asked(&self, more: u64, deadline: Duration) {
        let before = self.asked();
        let came = poll(deadline, || (self.asked() >= before + more).then_some(()));
        assert!(came.is_some(), "nobody probes: {} of {more} within {deadline:?}", self.asked() - before);
    }
}

struct Scene {
    server: Postgres,
    page: Page,
    hook: Hook,
    folders: [TempDir; 2],
    ports: [u16; 2],
}

impl Scene {
    fn new() -> Self {
        let server = Postgres::start(&["fsync=off"], &[]);
        server.query("postgres", "CREATE ROLE portalwatch LOGIN");
        server.query("postgres", "CREATE DATABASE portalwatch OWNER portalwatch");
        let (page, hook) = (Page::start(), Hook::start([]));
        let folders = [TempDir::new().unwrap(), TempDir::new().unwrap()];
        let ports = [free_port(), free_port()];
        for (folder, port) in folders.iter().zip(ports) {
            let config = format!(
                "server: {{ listen: '127.0.0.1:{port}' }}\n\
                 storage: {{ url: 'postgres://portalwatch@127.0.0.1:{}/portalwatch' }}\n\
                 notify:\n  channels: {{ hook: {{ webhook: {{ url: '{}' }} }} }}\n  \
                 routes: [ {{ to: [hook], group_wait: 0s, group_interval: 1s }} ]\n\
                 defaults: {{ every: 1s, timeout: 1s, confirm: {{ failures: 2, successes: 2, recheck: 100ms }} }}\n\
                 portals: {{ acme: {{ url: 'http://127.0.0.1:{}', private: true, checks: {{ home: {{ http: {{}} }} }} }} }}\n",
                server.port(),
                hook.url(),
                page.port,
            );
            std::fs::write(folder.path().join("monitor.yaml"), config).unwrap();
        }
        Self { server, page, hook, folders, ports }
    }

    fn daemon(&self, which: usize) -> Daemon {
        Daemon::start(&self.folders[which].path().join("monitor.yaml"), self.ports[which], &[])
    }

    /// One that leads and one that stands by.
    fn both(&self) -> (Daemon, Daemon) {
        let mut leads = self.daemon(0);
        leads.wait_ready(PATIENCE);
        let waits = self.daemon(1);
        wait_standby(&waits, PATIENCE);
        (leads, waits)
    }

    fn query(&self, sql: &str) -> String {
        self.server.query("portalwatch", sql)
    }

    /// What was told so far of the page: `opened` or `resolved`.
    fn told(&self) -> Vec<String> {
        let bodies = self.hook.received().into_iter().map(|one| one.json());
        let of_page = |body: &Value| body["alerts"].to_string().contains("\"home\"");
        let reason = |body: Value| body["notification_reason"].as_str().unwrap_or_default().to_owned();
        bodies.filter(of_page).map(reason).collect()
    }

    #[track_caller]
    fn wait_told(&self, expected: &[&str]) {
        let told = poll(PATIENCE, || (self.told().len() >= expected.len()).then_some(()));
        assert!(told.is_some(), "{:?}", self.told());
        assert_eq!(self.told(), expected);
    }

    /// No due time was probed twice: runs are a second apart, and re-checks 100 ms.
    fn assert_no_run_twice(&self) {
        let closest = self.query(
            "SELECT count(*) FROM (SELECT at - lag(at) OVER (ORDER BY at) AS gap FROM results r \
             JOIN checks c ON c.id = r.check_id WHERE c.name = 'acme/home') g WHERE gap < 50",
        );
        assert_eq!(closest, "0", "two daemons probed at the same due time");
    }
}

fn readyz(daemon: &Daemon) -> Value {
    serde_json::from_str(&daemon.get("/readyz").body).unwrap()
}

#[track_caller]
fn wait_standby(daemon: &Daemon, deadline: Duration) {
    // Its port may not be open yet.
    let stands_by = poll(deadline, || {
        let said = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| readyz(daemon))).ok()?;
        (said["status"] == "standby").then_some(())
    });
    assert!(stands_by.is_some(), "it does not stand by: {}", daemon.log());
}

#[track_caller]
fn wait_leads(daemon: &Daemon, deadline: Duration) {
    let leads = poll(deadline, || {
        let said = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| readyz(daemon))).ok()?;
        (said["status"] == "ready").then_some(())
    });
    assert!(leads.is_some(), "it does not lead: {}", daemon.log());
}

fn signal(daemon: &Daemon, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(daemon.pid()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

#[test]
fn a_leader_that_dies_during_an_outage_is_followed_by_one_that_tells_its_end_and_not_its_beginning_again() {
    let scene = Scene::new();
    let (leads, waits) = scene.both();
    scene.page.wait_asked(3, PATIENCE);
    assert!(leads.metrics().contains("portalwatch_leader 1"), "{}", leads.metrics());
    let idle = waits.metrics();
    assert!(idle.contains("portalwatch_leader 0"), "{idle}");
    assert!(idle.contains("portalwatch_scheduler_runs_total{outcome=\"started\"} 0"), "{idle}");
    assert!(waits.page().contains("stands by"), "{}", waits.page());
    assert_eq!((waits.get("/readyz").status, waits.get("/healthz").status), (503, 200));
    assert_eq!(readyz(&waits)["leader"], readyz(&leads)["leader"]);

    scene.page.answer(502);
    scene.wait_told(&["opened"]);
    let open = || scene.query("SELECT id FROM incidents WHERE ended IS NULL AND body LIKE '%acme/home%'");
    let incident = open();
    assert!(!incident.is_empty());
    leads.kill9();
    let asked = scene.page.asked();
    let probed = poll(TAKE_OVER, || (scene.page.asked() > asked).then_some(()));
    assert!(probed.is_some(), "nobody took over: {}", waits.log());
    wait_leads(&waits, PATIENCE);
    scene.page.wait_asked(4, PATIENCE);
    assert_eq!(open(), incident, "it is the same outage");
    assert_eq!(scene.told(), ["opened"]);
    scene.page.answer(200);
    scene.wait_told(&["opened", "resolved"]);
    scene.assert_no_run_twice();
    assert!(waits.terminate(PATIENCE).success());
}

#[test]
fn a_leader_that_was_stopped_for_a_while_finds_itself_replaced_and_tells_nothing_twice() {
    let scene = Scene::new();
    let (first, second) = scene.both();
    scene.page.wait_asked(3, PATIENCE);
    signal(&first, Signal::STOP);
    let begun = std::time::Instant::now();
    wait_leads(&second, TAKE_OVER);
    scene.page.answer(502);
    scene.wait_told(&["opened"]);
    // The one deliberate pause: what this is about.
    std::thread::sleep(PAUSE.saturating_sub(begun.elapsed()));
    signal(&first, Signal::CONT);
    wait_standby(&first, PATIENCE);
    scene.page.wait_asked(4, PATIENCE);
    assert_eq!(scene.told(), ["opened"], "{}\n{}", first.log(), second.log());
    scene.page.answer(200);
    scene.wait_told(&["opened", "resolved"]);
    scene.assert_no_run_twice();
    assert_eq!(scene.query("SELECT count(*) FROM incidents WHERE body LIKE '%acme/home%'"), "1");

    assert!(second.terminate(PATIENCE).success());
    wait_leads(&first, Duration::from_secs(10));
    scene.page.wait_asked(3, PATIENCE);
    assert_eq!(scene.told(), ["opened", "resolved"]);
    assert!(first.terminate(PATIENCE).success());
}

#[test]
fn a_server_that_is_started_again_under_both_leaves_the_lead_where_it_was() {
    let mut scene = Scene::new();
    let (leads, waits) = scene.both();
    scene.page.wait_asked(3, PATIENCE);
    scene.server.kill();
    // An outage of the page that begins meanwhile is told from memory, and kept.
    scene.page.answer(502);
    scene.wait_told(&["opened"]);
    let held =
        poll(PATIENCE, || readyz(&leads)["store"].as_str().unwrap().contains("degraded").then_some(()));
    assert!(held.is_some(), "{}", leads.log());
    // A deliberate pause: the lease has run out when the server is back.
    std::thread::sleep(OUTLASTS);
    assert_eq!(readyz(&waits)["status"], "standby");
    scene.server.start_again();
    let well = poll(PATIENCE, || (readyz(&leads)["store"] == "open").then_some(()));
    assert!(well.is_some(), "{}", leads.log());
    scene.page.wait_asked(8, PATIENCE);
    assert_eq!((&readyz(&leads)["status"], &readyz(&waits)["status"]), (&"ready".into(), &"standby".into()));
    assert_eq!(
        scene.query("SELECT count(*) FROM incidents WHERE ended IS NULL AND body LIKE '%acme/home%'"),
        "1"
    );
    scene.page.answer(200);
    scene.wait_told(&["opened", "resolved"]);
    scene.assert_no_run_twice();
    assert!(leads.terminate(PATIENCE).success());
    wait_leads(&waits, Duration::from_secs(10));
}
