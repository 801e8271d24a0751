//! Two daemons on one PostgreSQL: one leads, the other one stands by and takes over.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::peers::{Daemon, PATIENCE, Postgres, free_port, poll};

/// Within which another daemon has to be at work.
const TAKE_OVER: Duration = Duration::from_secs(30);
/// Longer than the lease lasts.
const OUTLASTS: Duration = Duration::from_secs(18);
/// How long a daemon is stopped.
const PAUSE: Duration = Duration::from_secs(45);
/// The stretch in which requests are counted.
const STRETCH: Duration = Duration::from_secs(10);
/// The most that one daemon asks in a stretch: once a second, and a few re-checks. Two ask 20 times.
const MOST: usize = 15;
/// The password of the role.
const PASSWORD: &str = "hunter2";

/// A server that keeps who came and what they brought, and answers as it is told, or not yet.
struct Peer {
    port: u16,
    came: Arc<Mutex<Vec<Came>>>,
    status: Arc<AtomicU16>,
    withholds: Arc<AtomicBool>,
}

#[derive(Clone)]
struct Came {
    at: Instant,
    /// The key of a message.
    key: String,
    body: String,
}

impl Peer {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let peer = Self {
            port,
            came: Arc::default(),
            status: Arc::new(AtomicU16::new(200)),
            withholds: Arc::default(),
        };
        let (log, status, withholds) =
            (Arc::clone(&peer.came), Arc::clone(&peer.status), Arc::clone(&peer.withholds));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, status) = (Arc::clone(&log), Arc::clone(&status));
                let withholds = Arc::clone(&withholds);
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(stream);
                    let Some(came) = read(&mut reader) else { return };
                    log.lock().unwrap_or_else(PoisonError::into_inner).push(came);
                    while withholds.load(Ordering::SeqCst) {
                        std::thread::sleep(Duration::from_millis(50));
                    }
                    let status = status.load(Ordering::SeqCst);
                    let head =
                        format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                    reader.into_inner().write_all(head.as_bytes()).ok();
                });
            }
        });
        peer
    }

    fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn asked(&self) -> usize {
        self.came().len()
    }

    fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    fn withhold(&self, withholds: bool) {
        self.withholds.store(withholds, Ordering::SeqCst);
    }

    /// Waits until somebody came so many times more.
    #[track_caller]
    fn wait_asked(&self, more: usize, deadline: Duration) {
        let before = self.asked();
        let came = poll(deadline, || (self.asked() >= before + more).then_some(()));
        assert!(came.is_some(), "nobody probes: {} of {more} within {deadline:?}", self.asked() - before);
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Came> {
    let (mut length, mut key) = (0, String::new());
    for number in 0.. {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        if line.trim_end().is_empty() {
            break;
        }
        let (name, value) = line.trim_end().split_once(':').filter(|_| number > 0).unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "webhook-id" => value.trim().clone_into(&mut key),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Came { at: Instant::now(), key, body: String::from_utf8(body).ok()? })
}

struct Scene {
    server: Postgres,
    page: Peer,
    hook: Peer,
    folders: [TempDir; 2],
    ports: [u16; 2],
}

impl Scene {
    fn new() -> Self {
        let rules = "host all portalwatch 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n";
        let server = Postgres::start(&["fsync=off"], &[("data/pg_hba.conf", rules)]);
        server.query("postgres", &format!("CREATE ROLE portalwatch LOGIN PASSWORD '{PASSWORD}'"));
        server.query("postgres", "CREATE DATABASE portalwatch OWNER portalwatch");
        let (page, hook) = (Peer::start(), Peer::start());
        let folders = [TempDir::new().unwrap(), TempDir::new().unwrap()];
        let ports = [free_port(), free_port()];
        for (folder, port) in folders.iter().zip(ports) {
            let config = format!(
                "server: {{ listen: '127.0.0.1:{port}' }}\n\
                 storage: {{ url: 'postgres://portalwatch@127.0.0.1:{}/portalwatch', password: {{ env: DB }} }}\n\
                 notify:\n  channels: {{ hook: {{ webhook: {{ url: 'http://127.0.0.1:{}/hook' }} }} }}\n  \
                 routes: [ {{ to: [hook], group_wait: 0s, group_interval: 1s }} ]\n\
                 defaults: {{ every: 1s, timeout: 1s, confirm: {{ failures: 2, successes: 2, recheck: 100ms }} }}\n\
                 portals: {{ acme: {{ url: 'http://127.0.0.1:{}', private: true, checks: {{ home: {{ http: {{}} }} }} }} }}\n",
                server.port(),
                hook.port,
                page.port,
            );
            std::fs::write(folder.path().join("monitor.yaml"), config).unwrap();
        }
        Self { server, page, hook, folders, ports }
    }

    fn daemon(&self, which: usize) -> Daemon {
        self.daemon_with(which, PASSWORD)
    }

    fn daemon_with(&self, which: usize, password: &str) -> Daemon {
        let config = self.folders[which].path().join("monitor.yaml");
        Daemon::start(&config, self.ports[which], &[("DB", password)])
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

    /// The messages about the page so far: why they were sent, and their keys.
    fn messages(&self) -> Vec<(String, String)> {
        let of_page = |came: Came| {
            let body: Value = serde_json::from_str(&came.body).unwrap();
            let reason = body["notification_reason"].as_str().unwrap_or_default().to_owned();
            body["alerts"].to_string().contains("\"home\"").then_some((reason, came.key))
        };
        self.hook.came().into_iter().filter_map(of_page).collect()
    }

    /// What was told so far of the page: `opened` or `resolved`.
    fn told(&self) -> Vec<String> {
        self.messages().into_iter().map(|(reason, _)| reason).collect()
    }

    #[track_caller]
    fn wait_told(&self, expected: &[&str]) {
        let told = poll(PATIENCE, || (self.told().len() >= expected.len()).then_some(()));
        assert!(told.is_some(), "{:?}", self.told());
        assert_eq!(self.told(), expected);
    }

    /// At no time did more than one daemon probe for long.
    #[track_caller]
    fn assert_one_probed(&self) {
        let came = self.page.came();
        for (place, first) in came.iter().enumerate() {
            let within = came[place..].iter().take_while(|one| one.at < first.at + STRETCH).count();
            assert!(within <= MOST, "{within} requests within {STRETCH:?}");
        }
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
    let page = daemon.get("/").body;
    assert!(page.contains("Not known here: this daemon stands by") && !page.contains("None."), "{page}");
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
    scene.assert_one_probed();
    assert!(waits.terminate(PATIENCE).success());
}

#[test]
fn a_leader_that_was_stopped_in_the_middle_of_a_message_finds_itself_replaced_and_tells_nothing_more() {
    let scene = Scene::new();
    let (first, second) = scene.both();
    scene.page.wait_asked(3, PATIENCE);
    scene.hook.withhold(true);
    scene.page.answer(502);
    scene.wait_told(&["opened"]);
    signal(&first, Signal::STOP);
    let begun = Instant::now();
    wait_leads(&second, TAKE_OVER);
    // The next one cannot know whether it arrived.
    scene.wait_told(&["opened", "opened"]);
    // The one deliberate pause: what this is about.
    std::thread::sleep(PAUSE.saturating_sub(begun.elapsed()));
    scene.hook.withhold(false);
    signal(&first, Signal::CONT);
    wait_standby(&first, PATIENCE);
    scene.page.wait_asked(4, PATIENCE);
    let messages = scene.messages();
    assert!(messages.iter().all(|(_, key)| *key == messages[0].1), "one message under one key: {messages:?}");
    // The second one's answer may have come too late for it; then it goes out under its key once more.
    assert!(messages.len() <= 3, "{messages:?}\n{}\n{}", first.log(), second.log());
    scene.page.answer(200);
    let resolved = |scene: &Scene| scene.told().iter().filter(|told| *told == "resolved").count();
    assert!(poll(PATIENCE, || (resolved(&scene) > 0).then_some(())).is_some(), "{:?}", scene.told());
    scene.assert_one_probed();
    assert_eq!(scene.query("SELECT count(*) FROM incidents WHERE body LIKE '%acme/home%'"), "1");

    let told = scene.told();
    assert!(second.terminate(PATIENCE).success());
    wait_leads(&first, Duration::from_secs(10));
    scene.page.wait_asked(3, PATIENCE);
    assert_eq!((scene.told(), resolved(&scene)), (told, 1));
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
    scene.assert_one_probed();
    assert!(leads.terminate(PATIENCE).success());
    wait_leads(&waits, Duration::from_secs(10));
}

#[test]
fn a_server_that_takes_no_writes_for_long_leaves_the_lead_where_it_was() {
    let scene = Scene::new();
    let (leads, waits) = scene.both();
    scene.page.wait_asked(3, PATIENCE);
    scene.query(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$",
    );
    for table in ["lease", "daemons", "results", "incidents", "outbox"] {
        scene.query(&format!(
            "CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON {table} EXECUTE FUNCTION full_disk()"
        ));
    }
    scene.page.answer(502);
    scene.wait_told(&["opened"]);
    // A deliberate pause: the lease has run out, and the grace too.
    std::thread::sleep(OUTLASTS + Duration::from_secs(10));
    assert_eq!((&readyz(&leads)["status"], &readyz(&waits)["status"]), (&"ready".into(), &"standby".into()));
    assert_eq!(readyz(&waits)["store"], "degraded", "it says so");
    for table in ["lease", "daemons", "results", "incidents", "outbox"] {
        scene.query(&format!("DROP TRIGGER full_disk ON {table}"));
    }
    let well = poll(PATIENCE, || (readyz(&leads)["store"] == "open").then_some(()));
    assert!(well.is_some(), "{}", leads.log());
    assert_eq!(
        scene.query("SELECT count(*) FROM incidents WHERE ended IS NULL AND body LIKE '%acme/home%'"),
        "1"
    );
    assert_eq!(scene.told(), ["opened"]);
    scene.assert_one_probed();
    assert!(leads.terminate(PATIENCE).success());
    wait_leads(&waits, Duration::from_secs(10));
}

#[test]
fn a_daemon_that_the_database_refuses_stands_by_and_says_why() {
    let scene = Scene::new();
    let refused = scene.daemon_with(1, "wrong");
    wait_standby(&refused, PATIENCE);
    let mut leads = scene.daemon(0);
    leads.wait_ready(PATIENCE);
    scene.page.wait_asked(3, PATIENCE);
    assert_eq!(
        (&readyz(&refused)["status"], &readyz(&refused)["store"]),
        (&"standby".into(), &"degraded".into())
    );
    assert!(refused.page().contains("password authentication failed"), "{}", refused.page());
    assert!(refused.log().contains("the lease cannot be seen: this daemon stands by"), "{}", refused.log());
    let idle = refused.metrics();
    assert!(idle.contains("portalwatch_scheduler_runs_total{outcome=\"started\"} 0"), "{idle}");
    assert!(refused.terminate(PATIENCE).success());
    // One that the other one knows of.
    let again = scene.daemon(1);
    wait_standby(&again, PATIENCE);
    assert_eq!(readyz(&again)["leader"], readyz(&leads)["leader"]);

    scene.query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (99, 'later', TRUE, '', 0)",
    );
    let ended = poll(PATIENCE, || {
        let log = format!("{}{}", leads.log(), again.log());
        (log.matches("written by a newer portalwatch (schema 99").count() >= 2).then_some(())
    });
    assert!(ended.is_some(), "{}\n{}", leads.log(), again.log());
    let free = poll(PATIENCE, || (scene.query("SELECT holder IS NULL FROM lease") == "t").then_some(()));
    assert!(free.is_some(), "the lead was not given back: {}", leads.log());
}

#[test]
fn a_daemon_that_began_without_the_database_and_is_refused_by_it_stands_by() {
    let mut scene = Scene::new();
    scene.server.kill();
    let mut began = scene.daemon_with(0, "wrong");
    began.wait_ready(PATIENCE);
    scene.page.wait_asked(3, PATIENCE);
    scene.server.start_again();
    wait_standby(&began, TAKE_OVER + PATIENCE);
    assert!(began.log().contains("did not confirm the lead for as long as it lasts"), "{}", began.log());
    assert!(began.page().contains("password authentication failed"), "{}", began.page());
    let mut leads = scene.daemon(1);
    leads.wait_ready(PATIENCE);
    assert_eq!(readyz(&began)["status"], "standby");
    assert!(leads.terminate(PATIENCE).success() && began.terminate(PATIENCE).success());
}
