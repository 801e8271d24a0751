//! What a restart of the daemon must not turn around: what could not be known before it is not known
//! because of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use portalwatch::alert::State;
use portalwatch::app;
use portalwatch::clock::{Clock, SystemClock};
use portalwatch::model::{Cause, CheckId, Incident, IncidentId, Labels, Severity, Timings, Verdict};
use portalwatch::plan::Plan;
use portalwatch::record::memory::Memory;
use portalwatch::record::resilient::Health;
use portalwatch::record::writer::Writer;
use portalwatch::record::{ResultRow, Resumed, Store};
use portalwatch::run::book::{Desk, Entry};
use portalwatch::schedule::monitor::{Monitor, Signal};
use tokio::sync::watch;

const CONFIG: &str = r#"
portals: { acme: { url: "https://portal.acme.example", checks: { home: { http: {} } } } }
notify: { channels: { hook: { webhook: { url: "https://hook.acme.example/" } } } }
"#;

fn plan(folder: &Path) -> Plan {
    let file = folder.join("monitor.yaml");
    std::fs::write(&file, CONFIG).unwrap();
    app::plan(&file).unwrap().0
}

fn desk(store: &Arc<dyn Store>) -> Desk {
    let (writer, _) = Writer::spawn(Arc::clone(store));
    Desk { writer, live: Arc::default(), clock: Arc::new(SystemClock), figures: true }
}

fn is_open(desk: &Desk) -> bool {
    desk.live.read(|checks| checks.get(&CheckId::monitor()).is_some_and(|now| now.incident.is_some()))
}

#[tokio::test]
async fn a_channel_that_failed_before_a_restart_is_not_told_well_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path());
    let store: Arc<dyn Store> = Arc::new(Memory::default());
    let (_health, watched) = watch::channel(Health::Ok);

    let before = desk(&store);
    let mut monitor = Monitor::new(watched.clone(), &plan);
    let failing = Signal::Failing { channel: "hook".into(), failures: 3, why: "HTTP 503".into() };
    monitor.signal(failing, &before);
    before.writer.flush().await;
    assert!(is_open(&before));

    let after = desk(&store);
    let mut monitor = Monitor::new(watched, &plan);
    let resumed = store.resume().await.unwrap().into_iter().find(|one| one.check.is_monitor());
    monitor.resume(resumed);
    monitor.look(std::iter::empty(), &after);
    assert!(is_open(&after), "nothing was sent since");
    monitor.signal(Signal::Working { channel: "hook".into() }, &after);
    assert!(!is_open(&after));
}

#[tokio::test]
async fn a_check_that_was_unknown_before_a_restart_is_unknown_until_it_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path());
    let store: Arc<dyn Store> = Arc::new(Memory::default());
    let desk = desk(&store);
    let at: Timestamp = SystemClock.now() - Duration::from_secs(3_600);
    let last = |verdict, cause| ResultRow {
        at,
        verdict,
        cause,
        status: None,
        took: Duration::ZERO,
        timings: Timings::default(),
        steps: Box::default(),
        findings: Vec::new(),
        recheck: false,
        too_slow: false,
    };
    let resumed = |last| {
        let check = CheckId::new("acme", "home");
        Some(Resumed { check, state: State::default(), memory: None, last: Some(last) })
    };
    let check = &plan.checks[0];
    let unknown = resumed(last(Verdict::Unknown, Some(Cause::LocalDns)));
    assert_eq!(
        Entry::new(Arc::clone(check), unknown, &desk).unknown(),
        Some((Cause::LocalDns, at)),
        "so that an incident about the monitor is not over before anything was measured"
    );
    let known = resumed(last(Verdict::Pass, None));
    assert_eq!(Entry::new(Arc::clone(check), known, &desk).unknown(), None);
}

#[tokio::test]
async fn a_portal_that_was_down_before_a_restart_is_not_down_since_the_restart() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path());
    let store: Arc<dyn Store> = Arc::new(Memory::default());
    let desk = desk(&store);
    let check = CheckId::new("acme", "home");
    let at = SystemClock.now() - Duration::from_secs(60);
    let started = at - Duration::from_secs(7_200);
    let incident = Incident {
        id: IncidentId::new(&check, started),
        check: check.clone(),
        kind: "http".into(),
        labels: Labels::new(),
        alertname: "http.status".into(),
        severity: Severity::Critical,
        started,
        opened: started,
        last_good: None,
        findings: Vec::new(),
        worst: None,
        ended: None,
        closed: None,
        flapping: false,
        not_recorded: false,
    };
    let last = ResultRow {
        at,
        verdict: Verdict::Fail,
        cause: None,
        status: Some(502),
        took: Duration::ZERO,
        timings: Timings::default(),
        steps: Box::default(),
        findings: Vec::new(),
        recheck: false,
        too_slow: false,
    };
    let mut state = State::default();
    state.incident = Some(incident);
    let resumed = Resumed { check: check.clone(), state, memory: None, last: Some(last) };
    Entry::new(Arc::clone(&plan.checks[0]), Some(resumed), &desk);
    assert_eq!(desk.live.read(|checks| checks[&check].since), Some(started));
}
