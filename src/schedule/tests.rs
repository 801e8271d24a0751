//! The loop with a paused clock: time goes on when everybody waits.

use std::sync::Mutex;

use tokio::task::JoinHandle;

use super::*;
use crate::clock::Clock;
use crate::model::{Cause, Verdict};
use crate::record::live::Live;
use crate::record::memory::Memory;
use crate::record::resilient::Health;
use crate::record::writer::Writer;
use crate::record::{Gap, Store as _};
use crate::run::fakes::{Does, Fake, planned, surroundings};

const EVERY: Duration = Duration::from_secs(30);
const QUICK: Duration = Duration::from_millis(100);

/// How long the host was suspended so far.
type Slept = Arc<Mutex<Duration>>;

/// The wall clock of a host whose monotonic clock is tokio's.
struct HostClock {
    start: Instant,
    slept: Slept,
}

impl Clock for HostClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_700_000_000).unwrap() + self.start.elapsed() + *self.slept.lock().unwrap()
    }
}

struct Loop {
    start: Instant,
    slept: Slept,
    plans: mpsc::Sender<Replan>,
    stop: CancellationToken,
    task: JoinHandle<()>,
    desk: Arc<Desk>,
    store: Arc<Memory>,
    _store_health: tokio::sync::watch::Sender<Health>,
    _signals: mpsc::Sender<monitor::Signal>,
}

fn plan(checks: Vec<PlannedCheck>) -> Plan {
    Plan {
        checks: checks.into_iter().map(Arc::new).collect(),
        routes: Arc::default(),
        channels: Arc::new(crate::notify::deliver::Channels {
            by_name: std::collections::BTreeMap::new(),
            external_url: String::new(),
            timezone: jiff::tz::TimeZone::UTC,
            masker: crate::model::Masker::default(),
        }),
        reference: Arc::default(),
        limits: crate::config::settings::Limits::default(),
        external_url: "http://localhost/".parse().unwrap(),
        timezone: jiff::tz::TimeZone::UTC,
        per_check_metrics: None,
        warnings: Vec::new(),
        watched: Vec::new(),
    }
}

impl Loop {
    fn start(checks: Vec<PlannedCheck>) -> Self {
        let (start, slept) = (Instant::now(), Slept::default());
        let clock: Arc<dyn Clock> = Arc::new(HostClock { start, slept: Arc::clone(&slept) });
        let store = Arc::new(Memory::default());
        let (writer, _) = Writer::spawn(Arc::clone(&store) as Arc<dyn crate::record::Store>);
        let desk = Arc::new(Desk {
            writer,
            live: Arc::new(Live::default()),
            clock: Arc::clone(&clock),
            figures: true,
        });
        let plan = plan(checks);
        let (store_health, health) = tokio::sync::watch::channel(Health::Ok);
        let asleep = Arc::clone(&slept);
        let time = Time::start(&*clock, Box::new(move || *asleep.lock().unwrap()));
        let around = Arc::new(surroundings(&[], clock));
        let monitor = Monitor::new(health, &plan);
        let scheduler = Scheduler::new(&plan, Vec::new(), around, Arc::clone(&desk), time, monitor);
        let ((plans, new_plans), (signals, heard)) = (mpsc::channel(1), mpsc::channel(1));
        let stop = CancellationToken::new();
        let task = tokio::spawn(scheduler.run(new_plans, heard, stop.clone(), || {}));
        let (_store_health, _signals) = (store_health, signals);
        Self { start, slept, plans, stop, task, desk, store, _store_health, _signals }
    }

    fn verdict(&self, check: &str) -> (Option<Verdict>, Option<Cause>) {
        let id = CheckId::new("acme", check);
        self.desk.live.read(|all| all.get(&id).map_or((None, None), |one| (one.verdict, one.cause)))
    }

    fn open(&self, check: &str) -> bool {
        let id = CheckId::new("acme", check);
        self.desk.live.read(|all| all.get(&id).is_some_and(|one| one.incident.is_some()))
    }

    async fn gaps(&self) -> Vec<Gap> {
        self.desk.writer.flush().await;
        self.store.gaps(Timestamp::MIN, Timestamp::MAX).await.unwrap()
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

async fn pass_time(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn counted(outcome: &str) -> u64 {
    telemetry().scheduler_runs.with_label_values(&[outcome]).get()
}

#[tokio::test(start_paused = true)]
async fn an_interval_stays_what_it_is_whatever_runs_take() {
    let fake = Fake::new(Does::Pass, Duration::from_secs(7));
    let it = Loop::start(vec![planned("slow", EVERY, true, Arc::clone(&fake))]);
    pass_time(50 * 30).await;
    let runs = fake.seconds(it.start);
    assert!(runs.len() >= 49, "{runs:?}");
    for (index, pair) in runs[1..].windows(2).enumerate() {
        assert!((pair[1] - pair[0] - 30.0).abs() < 0.1, "run {index} of {runs:?}");
    }
    // Nothing adds up: the last is as much on the grid as the first.
    let drift = runs[runs.len() - 1] - runs[1] - 30.0 * (runs.len() - 2) as f64;
    assert!(drift.abs() < 0.1, "{drift}");
    it.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_check_never_overlaps_itself_and_what_it_skips_is_counted() {
    let fake = Fake::new(Does::Pass, Duration::from_secs(70));
    let before = counted("skipped");
    let it = Loop::start(vec![planned("slow", EVERY, true, Arc::clone(&fake))]);
    pass_time(30 * 30).await;
    assert_eq!(fake.most.load(Ordering::SeqCst), 1);
    assert!((9..=11).contains(&fake.count()), "every third due time: {}", fake.count());
    assert!(counted("skipped") - before >= 18, "{}", counted("skipped") - before);
    it.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_looked_at_again_soon_and_the_interval_returns() {
    let fake = Fake::new(Does::Refused, QUICK);
    let it = Loop::start(vec![planned("front", EVERY, true, Arc::clone(&fake))]);
    pass_time(150).await;
    let runs = fake.seconds(it.start);
    assert!((runs[1] - runs[0] - 1.1).abs() < 0.1, "a second after its end: {runs:?}");
    assert!(it.open("front"));
    assert!(runs[2..].windows(2).all(|pair| (pair[1] - pair[0] - 30.0).abs() < 0.1), "{runs:?}");
    *fake.does.lock().unwrap() = (Does::Pass, QUICK);
    pass_time(31).await;
    assert!(!it.open("front"));
    it.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_suspend_makes_no_burst_and_is_recorded_as_missed() {
    let fakes: Vec<_> = (0..50).map(|_| Fake::new(Does::Pass, QUICK)).collect();
    let checks = fakes.iter().enumerate();
    let it = Loop::start(
        checks.map(|(index, fake)| planned(&format!("c{index}"), EVERY, true, Arc::clone(fake))).collect(),
    );
    pass_time(95).await;
    let ran = || fakes.iter().map(|fake| fake.count()).sum::<usize>();
    let (before, missed) = (ran(), counted("missed"));
    *it.slept.lock().unwrap() = Duration::from_secs(600);
    pass_time(2).await;
    assert!(ran() - before < 15, "{} runs in two seconds", ran() - before);
    pass_time(31).await;
    assert!((40..=70).contains(&(ran() - before)), "each goes on: {}", ran() - before);
    assert!(counted("missed") - missed >= 50 * 19, "{}", counted("missed") - missed);
    let gaps = it.gaps().await;
    assert_eq!(gaps.iter().filter(|gap| gap.why == "missed").count(), 50);
    it.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_schedule_and_state_and_forgets_what_is_gone() {
    let (down, gone, new) =
        (Fake::new(Does::Refused, QUICK), Fake::new(Does::Refused, QUICK), Fake::new(Does::Pass, QUICK));
    let stays = || planned("down", EVERY, true, Arc::clone(&down));
    let it = Loop::start(vec![stays(), planned("gone", EVERY, true, Arc::clone(&gone))]);
    pass_time(100).await;
    assert!(it.open("down") && it.open("gone"));
    let next = plan(vec![stays(), planned("new", EVERY, true, Arc::clone(&new))]);
    it.plans.send(Arc::new(next)).await.unwrap();
    pass_time(1).await;
    assert!(it.open("down"), "its incident goes on");
    let ids: Vec<CheckId> = it.desk.live.read(|all| all.keys().cloned().collect());
    assert!(!ids.contains(&CheckId::new("acme", "gone")), "{ids:?}");
    let (runs_gone, runs_before) = (gone.count(), down.count());
    pass_time(90).await;
    assert_eq!(gone.count(), runs_gone);
    assert_eq!(down.count(), runs_before + 3);
    assert!(new.count() >= 3);
    let runs = down.seconds(it.start);
    assert!(runs[2..].windows(2).all(|pair| (pair[1] - pair[0] - 30.0).abs() < 0.1), "{runs:?}");
    it.desk.writer.flush().await;
    let open = it.store.open_incidents().await.unwrap();
    assert_eq!(open.iter().map(|one| one.check.as_str()).collect::<Vec<_>>(), ["acme/down"]);
    it.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_panics_is_unknown_and_everything_goes_on() {
    let (broken, well) = (Fake::new(Does::Panic, QUICK), Fake::new(Does::Pass, QUICK));
    let it = Loop::start(vec![
        planned("broken", EVERY, true, Arc::clone(&broken)),
        planned("well", EVERY, true, Arc::clone(&well)),
    ]);
    pass_time(100).await;
    assert_eq!(it.verdict("broken"), (Some(Verdict::Unknown), Some(Cause::Config)));
    assert_eq!(it.verdict("well"), (Some(Verdict::Pass), None));
    assert!(broken.count() >= 3 && well.count() >= 3);
    assert!(!it.open("broken"));
    it.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_runs_only_so_long() {
    let (quick, silent) = (Fake::new(Does::Pass, QUICK), Fake::new(Does::Pass, Duration::from_secs(100)));
    let it = Loop::start(vec![
        planned("quick", EVERY, true, Arc::clone(&quick)),
        planned("silent", EVERY, true, Arc::clone(&silent)),
    ]);
    pass_time(40).await;
    let (asked, desk, store) = (Instant::now(), Arc::clone(&it.desk), Arc::clone(&it.store));
    it.end().await;
    assert!((asked.elapsed().as_secs_f64() - GRACE.as_secs_f64()).abs() < 0.1, "{:?}", asked.elapsed());
    desk.writer.flush().await;
    let gaps = store.gaps(Timestamp::MIN, Timestamp::MAX).await.unwrap();
    let cut: Vec<_> =
        gaps.iter().map(|gap| (gap.why.as_str(), gap.check.as_ref().unwrap().as_str())).collect();
    assert_eq!(cut, [("shutdown", "acme/silent")]);
}
