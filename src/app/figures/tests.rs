//! What the scheduler is told of the past, from stores that hold it.

use tempfile::TempDir;

use super::*;
use crate::app::load;
use crate::clock::FixedClock;
use crate::model::{Outcome, Timings, Verdict};
use crate::record::memory::Memory;
use crate::record::sqlite::{Mode, Sqlite};
use crate::record::{Recorded, Store, Transition};
use crate::run::pace::Pace;
use crate::stats::objective::Promise;

const MINUTE: i64 = 60_000;
const HOUR_MILLIS: i64 = 60 * MINUTE;
const NOW: i64 = 500_000 * HOUR_MILLIS + 20 * MINUTE;

fn plan(folder: &TempDir) -> Arc<Plan> {
    let file = folder.path().join("monitor.yaml");
    let text = "portals:\n  acme:\n    url: https://a.example\n    checks:\n      \
                home: { every: 60s, http: {} }\n      other: { every: 60s, http: {} }\n      \
                seldom: { every: 12h, http: {} }\nobjectives:\n  \
                - { name: up, of: [acme/home, acme/seldom], target: 99.9%, kind: availability }\n";
    std::fs::write(&file, text).unwrap();
    Arc::new(load::plan(&file).map_err(|faults| format!("{faults:?}")).unwrap().0)
}

fn result(check: &str, at: i64, verdict: Verdict) -> Transition {
    let check = CheckId::from(check);
    let outcome = Outcome {
        check: check.clone(),
        at: time(at),
        took: Duration::from_millis(5),
        verdict,
        cause: None,
        why: None,
        findings: Vec::new(),
        status: Some(200),
        timings: Timings::default(),
        steps: Vec::new(),
        facts: None,
        transport: false,
        recheck: false,
    };
    let mut transition = Transition::of(check);
    transition.result = Some(Recorded::Ran { outcome, in_full: false });
    transition
}

/// Twenty hours of results each minute, and two of a check that runs seldom: the last of them failed.
fn recorded() -> Vec<Transition> {
    let minutes = (1..20 * 60).rev().flat_map(|ago| {
        ["acme/home", "acme/other"].map(|check| result(check, NOW - ago * MINUTE, Verdict::Pass))
    });
    let seldom = [(19, Verdict::Pass), (7, Verdict::Fail)];
    let seldom = seldom.map(|(ago, verdict)| result("acme/seldom", NOW - ago * HOUR_MILLIS, verdict));
    minutes.chain(seldom).collect()
}

struct Daemon {
    keeper: Keeper,
    clock: Arc<FixedClock>,
    told: mpsc::Receiver<News>,
    health: watch::Sender<Health>,
    plan: Arc<Plan>,
    state: Told,
    _folder: TempDir,
}

impl Daemon {
    fn new(store: Arc<dyn Figures>, figures: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (writer, _) = Writer::spawn(Arc::new(Memory::default()) as Arc<dyn Store>);
        let (news, told) = mpsc::channel(4);
        let (health, seen) = watch::channel(Health::Ok);
        let clock = Arc::new(FixedClock::new(time(NOW)));
        let keeper = Keeper {
            store,
            writer,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            news,
            figures,
            health: seen,
        };
        let plan = plan(&folder);
        Self { keeper, clock, told, health, plan, state: Told::default(), _folder: folder }
    }

    /// What is told of the past of each check, and of the objective's window: until when, and what.
    async fn look(&mut self) -> (HashMap<CheckId, Update>, Option<(i64, Spent)>) {
        self.keeper.look(&self.plan, &mut self.state).await.unwrap();
        let (mut checks, mut objectives) = (HashMap::new(), Vec::new());
        while let Ok(news) = self.told.try_recv() {
            checks.extend(news.checks);
            objectives.extend(news.objectives);
        }
        (checks, objectives.pop().map(|(_, until, spent)| (until, spent)))
    }
}

fn runs(update: &Update) -> usize {
    match update {
        Update::Past { runs, .. } => runs.len(),
        Update::Rolled(_) | Update::Usual(_) => 0,
    }
}

#[tokio::test]
async fn a_store_that_takes_nothing_is_read_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("record.db");
    let store = Sqlite::open(&file, Mode::Daemon { full_sync: false }).await.unwrap();
    store.commit(&recorded()).await.unwrap();
    roll::roll(&store, time(NOW - 10 * HOUR_MILLIS)).await.unwrap();
    store.close().await;
    let store = Sqlite::open(&file, Mode::Reader).await.unwrap();
    let mut daemon = Daemon::new(Arc::new(store), false);
    let (checks, objective) = daemon.look().await;
    assert_eq!(runs(&checks[&"acme/home".into()]), 6 * 60);
    assert!(daemon.state.refused);
    // Checks keep some hours of what comes; what is older is read, though it is not rolled up.
    let (until, spent) = objective.unwrap();
    assert_eq!(until, Grain::Hour.floor(NOW) - HOUR_MILLIS);
    assert!((spent.bad - 5.67 * 3_600_000.0).abs() < 60_000.0, "{spent:?}");
    assert!(daemon.look().await.1.is_none(), "all is told");
    daemon.clock.set(time(NOW + HOUR_MILLIS));
    let (checks, objective) = daemon.look().await;
    assert_eq!((checks.len(), objective.unwrap().0), (0, Grain::Hour.floor(NOW)));
}

#[tokio::test]
async fn each_check_is_told_what_it_needs_and_what_stood_before() {
    let store = Arc::new(Memory::default());
    store.commit(&recorded()).await.unwrap();
    let mut daemon = Daemon::new(store, true);
    let (mut checks, _) = daemon.look().await;
    // Six hours of who belongs to an objective; of others, what is not rolled up yet, and an hour.
    assert_eq!(runs(&checks[&"acme/home".into()]), 6 * 60);
    assert_eq!(runs(&checks[&"acme/other".into()]), 60);
    let seldom = checks.remove(&"acme/seldom".into()).unwrap();
    assert_eq!(runs(&seldom), 0);
    let check = daemon.plan.checks.iter().find(|check| check.scope.check.name() == "seldom").unwrap();
    let mut pace = Pace::new(check, &[], true);
    pace.update(seldom, rules(check));
    let hour = pace.spent(&Promise::Availability, NOW - HOUR_MILLIS, NOW, rules(check));
    assert_eq!(hour.bad, 3_600_000.0, "it failed seven hours ago, and still stands");
    let day = pace.figures(time(NOW), rules(check)).uptimes[0];
    assert!((day.1.unwrap() - 12.0 / 19.0).abs() < 0.05, "{day:?}");
}

/// A clock by which everything takes three seconds.
struct Slow(std::sync::atomic::AtomicI64);

impl Clock for Slow {
    fn now(&self) -> Timestamp {
        time(self.0.fetch_add(3_000, std::sync::atomic::Ordering::Relaxed))
    }
}

#[tokio::test]
async fn what_came_while_the_past_was_read_is_read_too() {
    let store = Arc::new(Memory::default());
    let seconds = (0..60).map(|second| result("acme/home", NOW + second * 1_000, Verdict::Pass));
    store.commit(&seconds.collect::<Vec<_>>()).await.unwrap();
    let mut daemon = Daemon::new(store, false);
    daemon.keeper.clock = Arc::new(Slow(NOW.into()));
    let (checks, _) = daemon.look().await;
    assert!(runs(&checks[&"acme/home".into()]) > 15, "{checks:?}");
}

#[tokio::test]
async fn the_past_is_told_again_once_all_of_it_can_be_read() {
    let mut daemon = Daemon::new(Arc::new(Memory::default()), false);
    let since = tokio::time::Instant::now();
    let refuses = Health::Degraded { since, why: "no disk".to_owned(), backlog: 0, lost: 0 };
    daemon.health.send_replace(refuses);
    let mut told = Vec::new();
    for works in [false, false, true, true] {
        if works {
            daemon.health.send_replace(Health::Ok);
        }
        told.push(daemon.look().await.0.len());
    }
    assert_eq!(told, [2, 0, 2, 0]);
}

#[test]
fn the_same_hour_is_that_of_the_clock_on_the_wall() {
    let zone = TimeZone::get("Europe/Amsterdam").unwrap();
    // Two days after the clocks went back: nine o'clock is another hour of UTC than a week before.
    let now: Timestamp = "2026-10-27T09:40:00+01:00".parse().unwrap();
    let hours: Vec<String> = same_hours(now, &zone).iter().map(ToString::to_string).collect();
    let before = |day| format!("2026-{day}T07:00:00Z");
    assert_eq!(hours, [before("10-20"), before("10-13"), before("10-06"), before("09-29")]);
}
