//! What a year costs: `cargo bench --bench figures`.
//!
//! A store as it is after a year of 100 checks every 30 s at the default retention: 35 days of results,
//! 400 days of hours, every day. Then its size, and how long what dashboards ask takes: 30-day percentiles
//! of one check, uptime of all. Last, 2,000 results a second for a while, and how long commits took; also
//! into a PostgreSQL, if the URL of an empty database is given behind `--`.
#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first fault")]

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use portalwatch::model::database::{Access, Encryption, Server};
use portalwatch::model::{CheckId, Outcome, Part, Phase, Timings, Verdict};
use portalwatch::record::postgres::{self, Postgres};
use portalwatch::record::reading::Reading;
use portalwatch::record::sqlite::{Mode, Sqlite};
use portalwatch::record::{Figures, Recorded, RolledRow, Store, Transition, roll};
use portalwatch::stats::rollup::{Grain, Rolled};
use portalwatch::stats::samples::Rules;
use tokio::runtime::Runtime;

const CHECKS: usize = 100;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// The first hour of a day, so that days are whole.
const NOW: i64 = 20_700 * DAY;
const RESULTS: i64 = 35;
const YEAR: i64 = 365;

fn main() {
    let runtime = Runtime::new().unwrap();
    let days = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(RESULTS);
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("year.db");
        fill(&path, days).await;
        size(&path, days);
        ask(&path).await;
        let mode = Mode::Daemon { full_sync: true };
        sustain("SQLite", &Sqlite::open(&folder.path().join("fast.db"), mode).await.unwrap()).await;
        if let Some(url) = std::env::args().find(|argument| argument.starts_with("postgres://")) {
            let access = access(&url.parse().unwrap());
            let mode = postgres::Mode::Daemon { full_sync: true };
            sustain("PostgreSQL", &Postgres::open(access, mode).await.unwrap()).await;
        }
    });
}

/// A database on this machine that asks for no password.
fn access(url: &url::Url) -> Access {
    let host = url.host_str().unwrap().to_owned();
    Access {
        server: Server::Tcp { host, port: url.port().unwrap_or(5432) },
        user: url.username().to_owned(),
        database: url.path().trim_matches('/').to_owned(),
        schema: None,
        password: None,
        encryption: Encryption::Off,
    }
}

fn check(number: usize) -> CheckId {
    CheckId::new(&format!("portal-{}", number / 10), &format!("check-{number}"))
}

/// Durations spread as they are in life, a failure now and then.
fn outcome(number: usize, at: i64, random: &mut impl FnMut() -> f64) -> Outcome {
    let mut timings = Timings::default();
    for (phase, millis) in Phase::ALL.into_iter().zip([0.8, 13.4, 25.0, 73.1, 0.6]) {
        let normal = (-2.0 * random().max(1e-12).ln()).sqrt() * (std::f64::consts::TAU * random()).cos();
        timings.add(phase, Duration::from_secs_f64(millis / 1_000.0 * (0.25 * normal).exp()));
    }
    Outcome {
        check: check(number),
        at: Timestamp::from_millisecond(at).unwrap(),
        took: timings.iter().map(|(_, took)| took).sum(),
        verdict: if random() < 0.001 { Verdict::Fail } else { Verdict::Pass },
        cause: None,
        why: None,
        findings: Vec::new(),
        status: Some(200),
        timings,
        steps: Vec::new(),
        facts: None,
        transport: false,
        recheck: false,
    }
}

fn random() -> impl FnMut() -> f64 {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn transition(outcome: Outcome) -> Transition {
    let mut transition = Transition::of(outcome.check.clone());
    transition.result = Some(Recorded::Ran { in_full: false, outcome });
    transition
}

async fn fill(path: &Path, days: i64) {
    let begun = Instant::now();
    let store = Sqlite::open(path, Mode::Daemon { full_sync: false }).await.unwrap();
    let mut random = random();
    let start = NOW - days * DAY;
    for step in 0..days * DAY / 300_000 {
        let mut batch = Vec::with_capacity(1_000);
        for turn in 0..10 {
            for number in 0..CHECKS {
                let spread = i64::try_from(number * 7_919 % 30_000).unwrap();
                let at = start + step * 300_000 + turn * 30_000 + spread;
                batch.push(transition(outcome(number, at, &mut random)));
            }
        }
        store.commit(&batch).await.unwrap();
    }
    let rules = Rules { every: Duration::from_secs(30), timeout: Duration::from_secs(10) };
    let all: Vec<_> = (0..CHECKS).map(|number| (check(number), rules)).collect();
    store.note_rules(&all).await.unwrap();
    println!("{days} days of results in {:.0} s", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    let hours = roll::roll(&store, Timestamp::from_millisecond(NOW + HOUR).unwrap()).await.unwrap();
    println!(
        "rolled up: {:.1} ms an hour of {CHECKS} checks",
        begun.elapsed().as_secs_f64() * 1e3 / f64::from(hours)
    );
    earlier(&store, days).await;
    store.close().await;
}

/// The months of which only hours and days are left: those of the results once more.
async fn earlier(store: &Sqlite, days: i64) {
    let mut known: Vec<Vec<RolledRow>> = Vec::new();
    for number in 0..CHECKS {
        let (from, to) = (Timestamp::from_millisecond(NOW - days * DAY), Timestamp::from_millisecond(NOW));
        known.push(store.rolled(Grain::Hour, &check(number), from.unwrap(), to.unwrap()).await.unwrap());
    }
    let day = |own: &Vec<RolledRow>| {
        own.iter().take(24).fold(Rolled::default(), |mut sum, row| {
            sum.add(&row.rolled);
            sum
        })
    };
    let days_of: Vec<Rolled> = known.iter().map(day).collect();
    for (grain, length) in [(Grain::Hour, HOUR), (Grain::Day, DAY)] {
        let mut mark = store.rolled_until(grain).await.unwrap();
        for day in days..YEAR {
            let mut rows = Vec::new();
            for (number, own) in known.iter().enumerate() {
                for (place, at) in (NOW - (day + 1) * DAY..NOW - day * DAY)
                    .step_by(usize::try_from(length).unwrap())
                    .enumerate()
                {
                    let hour = usize::try_from(day).unwrap() * 24 + place;
                    let rolled = match grain {
                        Grain::Day => days_of[number].clone(),
                        _ => own[hour % own.len()].rolled.clone(),
                    };
                    rows.push(RolledRow { check: check(number), grain, at, rolled });
                }
            }
            let until = mark.unwrap();
            assert!(store.put_rolled(grain, &rows, mark, until).await.unwrap());
            mark = Some(until);
        }
    }
}

fn size(path: &Path, days: i64) {
    let bytes = std::fs::metadata(path).unwrap().len();
    let part = if days == RESULTS { String::new() } else { format!(" (with {days} days of results only)") };
    println!("size of a year{part}: {:.2} GiB, budget 1.5", bytes as f64 / f64::from(1 << 30));
}

/// The 95th percentile of how long it took, in milliseconds.
fn p95(mut all: Vec<Duration>) -> f64 {
    all.sort();
    all[(all.len() * 95).div_ceil(100) - 1].as_secs_f64() * 1e3
}

async fn ask(path: &Path) {
    let store = Sqlite::open(path, Mode::Reader).await.unwrap();
    let store: Arc<dyn Figures> = Arc::new(store);
    // In the middle of an hour that is not rolled up.
    let now = Timestamp::from_millisecond(NOW - 1).unwrap();
    let (mut one, mut all) = (Vec::new(), Vec::new());
    for turn in 0..200 {
        let begun = Instant::now();
        let reading = Reading::new(&*store, HashMap::new()).await.unwrap();
        let stretch = reading.stretch(Timestamp::from_millisecond(NOW - 30 * DAY).unwrap(), now);
        let whole = reading.whole(&check(turn % CHECKS), &stretch).await.unwrap();
        assert!(whole.latencies.get(&Part::Whole).unwrap().quantile(0.95).is_some());
        one.push(begun.elapsed());
        let begun = Instant::now();
        let reading = Reading::new(&*store, HashMap::new()).await.unwrap();
        let stretch = reading.stretch(Timestamp::from_millisecond(NOW - 30 * DAY).unwrap(), now);
        assert_eq!(reading.uptimes(&stretch).await.unwrap().len(), CHECKS);
        all.push(begun.elapsed());
    }
    println!("30-day percentiles of one check: p95 {:.1} ms, budget 50", p95(one));
    println!("30-day uptime of all {CHECKS} checks: p95 {:.1} ms, budget 50", p95(all));
}

/// Results in groups of 200 ms, as the writer commits them, at 2,000 a second.
async fn sustain(name: &str, store: &dyn Store) {
    const SECONDS: i64 = 20;
    let mut random = random();
    let mut commits = Vec::new();
    let begun = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    for group in 0..SECONDS * 5 {
        ticks.tick().await;
        let one = |index: usize| {
            let at = NOW + group * 200 + i64::try_from(index / 2).unwrap();
            transition(outcome(index + usize::try_from(group % 5).unwrap() * 400, at, &mut random))
        };
        let batch: Vec<_> = (0..400).map(one).collect();
        let commit = Instant::now();
        store.commit(&batch).await.unwrap();
        commits.push(commit.elapsed());
    }
    commits.sort();
    let p99 = commits[commits.len() * 99 / 100].as_secs_f64() * 1e3;
    let rate = f64::from(u32::try_from(SECONDS * 2_000).unwrap()) / begun.elapsed().as_secs_f64();
    println!("{name}: {rate:.0} results a second, synced: commit p99 {p99:.1} ms, budget 250");
    store.close().await;
}
