use super::*;
use crate::model::{Outcome, Part, Verdict};
use crate::record::contract::{outcome, ran, time};
use crate::record::memory::Memory;
use crate::record::postgres::server::SHARED;
use crate::record::postgres::{self, Postgres};
use crate::record::sqlite::{self, Sqlite};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 3_600_000;
/// The first hour of a day.
const START: i64 = 20_000 * 24 * HOUR;

fn result(check: &str, at: i64, verdict: Verdict) -> crate::record::Transition {
    ran(Outcome { verdict, ..outcome(check, at) })
}

/// Every store there is, empty.
struct Stores {
    all: Vec<Box<dyn Figures>>,
    _folder: tempfile::TempDir,
}

impl Stores {
    async fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mode = sqlite::Mode::Daemon { full_sync: false };
        let file = Sqlite::open(&folder.path().join("r.db"), mode).await.unwrap();
        let mode = postgres::Mode::Daemon { full_sync: false };
        let database = Postgres::open(SHARED.database().await, mode).await.unwrap();
        Self { all: vec![Box::new(Memory::default()), Box::new(file), Box::new(database)], _folder: folder }
    }

    fn each(&self) -> impl Iterator<Item = &dyn Figures> {
        self.all.iter().map(|store| &**store)
    }
}

/// One check a minute for some hours, down in the second half of each.
async fn half_down(store: &dyn Figures, from: i64, hours: i64) {
    let batch: Vec<_> = (0..hours * 60)
        .map(|minute| {
            let verdict = if minute % 60 < 30 { Verdict::Pass } else { Verdict::Fail };
            result("a/b", from + minute * MINUTE, verdict)
        })
        .collect();
    store.commit(&batch).await.unwrap();
}

async fn hours(store: &dyn Figures) -> Vec<(i64, u64, u64, u64)> {
    let rows = store.rolled(Grain::Hour, &"a/b".into(), time(0), time(START * 2)).await.unwrap();
    let told = |row: RolledRow| {
        let samples = row.rolled.latencies.get(&Part::Whole).map_or(0, |sketch| sketch.count());
        ((row.at - START) / HOUR, row.rolled.uptime.up / 60_000, row.rolled.uptime.down / 60_000, samples)
    };
    rows.into_iter().map(told).collect()
}

#[tokio::test]
async fn an_hour_is_rolled_when_its_runs_are_over_and_not_before() {
    for store in Stores::empty().await.each() {
        half_down(store, START, 2).await;
        assert_eq!(roll(store, time(START + HOUR + 5 * MINUTE)).await.unwrap(), 0);
        assert_eq!(roll(store, time(START + HOUR + 6 * MINUTE)).await.unwrap(), 1);
        assert_eq!(hours(store).await, [(0, 30, 30, 30)]);
        assert_eq!(roll(store, time(START + 5 * HOUR)).await.unwrap(), 3);
        // The last result stands for two intervals, into the third hour.
        assert_eq!(hours(store).await, [(0, 30, 30, 30), (1, 30, 30, 30), (2, 0, 1, 0)]);
        assert_eq!(roll(store, time(START + 5 * HOUR)).await.unwrap(), 0, "nothing twice");
    }
}

#[tokio::test]
async fn what_is_written_late_is_rolled_again() {
    for store in Stores::empty().await.each() {
        half_down(store, START, 1).await;
        half_down(store, START + 2 * HOUR, 1).await;
        assert_eq!(roll(store, time(START + 3 * HOUR + 6 * MINUTE)).await.unwrap(), 3);
        assert_eq!(hours(store).await, [(0, 30, 30, 30), (1, 0, 1, 0), (2, 30, 30, 30)]);
        // What waited in memory while the disk refused.
        half_down(store, START + HOUR, 1).await;
        assert_eq!(roll(store, time(START + 3 * HOUR + 6 * MINUTE)).await.unwrap(), 2);
        assert_eq!(hours(store).await, [(0, 30, 30, 30), (1, 30, 30, 30), (2, 30, 30, 30)]);
    }
}

#[tokio::test]
async fn decades_without_a_result_are_not_walked_through() {
    for store in Stores::empty().await.each() {
        // By a clock that was not set yet.
        store.commit(&[result("a/b", 5 * HOUR, Verdict::Pass)]).await.unwrap();
        half_down(store, START + HOUR, 1).await;
        half_down(store, START + 49 * HOUR, 1).await;
        let rolled = roll(store, time(START + 74 * HOUR)).await.unwrap();
        assert!(rolled < 40, "{rolled}");
        let seen: Vec<i64> = hours(store).await.into_iter().map(|hour| hour.0).collect();
        assert_eq!(seen, [5 - START / HOUR, 1, 2, 49, 50]);
        let days = store.rolled(Grain::Day, &"a/b".into(), time(0), time(START * 2)).await.unwrap();
        let days: Vec<_> = days.iter().map(|day| (day.at, day.rolled.runs)).collect();
        assert_eq!(days, [(0, 1), (START, 60), (START + 48 * HOUR, 60)]);
        // A result of a time that was passed over is rolled up all the same.
        half_down(store, START + 30 * HOUR, 1).await;
        roll(store, time(START + 74 * HOUR)).await.unwrap();
        let seen: Vec<i64> = hours(store).await.into_iter().map(|hour| hour.0).collect();
        assert_eq!(seen, [5 - START / HOUR, 1, 2, 30, 31, 49, 50]);
    }
}

#[tokio::test]
async fn a_day_is_the_sum_of_its_hours() {
    for store in Stores::empty().await.each() {
        half_down(store, START, 26).await;
        roll(store, time(START + 27 * HOUR)).await.unwrap();
        let days = store.rolled(Grain::Day, &"a/b".into(), time(0), time(START * 2)).await.unwrap();
        assert_eq!(days.len(), 1);
        let day = &days[0].rolled;
        assert_eq!((days[0].at, day.uptime.up, day.uptime.down), (START, 12 * 3_600_000, 12 * 3_600_000));
        assert_eq!((day.runs, day.failed), (1_440, 720));
        assert_eq!(day.latencies.get(&Part::Whole).unwrap().count(), 720);
    }
}

#[tokio::test]
async fn a_check_that_runs_seldom_is_known_all_the_time() {
    for store in Stores::empty().await.each() {
        store.commit(&[result("a/b", START + MINUTE, Verdict::Pass)]).await.unwrap();
        let rules = Rules { every: Duration::from_secs(12 * 3_600), timeout: Duration::from_secs(10) };
        store.note_rules(&[("a/b".into(), rules)]).await.unwrap();
        roll(store, time(START + 12 * HOUR)).await.unwrap();
        // A daemon that starts anew goes on from what stands.
        store.commit(&[result("a/b", START + 12 * HOUR + MINUTE, Verdict::Fail)]).await.unwrap();
        roll(store, time(START + 14 * HOUR)).await.unwrap();
        let sum = &store.uptimes(Grain::Hour, time(START), time(START + 13 * HOUR)).await.unwrap()[0];
        assert_eq!((sum.uptime.up, sum.uptime.down), (12 * 3_600_000, 59 * 60_000));
    }
}

#[tokio::test]
async fn checks_of_many_runs_a_minute_have_minutes_and_others_have_not() {
    for store in Stores::empty().await.each() {
        let batch: Vec<_> = (0..180)
            .flat_map(|second| {
                let at = START + second * 1_000;
                [
                    Some(result("a/fast", at, Verdict::Pass)),
                    (second % 30 == 0).then(|| result("a/slow", at, Verdict::Pass)),
                ]
            })
            .flatten()
            .collect();
        store.commit(&batch).await.unwrap();
        let timeout = Duration::from_secs(1);
        let rules = |every| Rules { every: Duration::from_secs(every), timeout };
        store.note_rules(&[("a/fast".into(), rules(1)), ("a/slow".into(), rules(30))]).await.unwrap();
        roll(store, time(START + 2 * HOUR)).await.unwrap();
        let minutes = async |check: &str| {
            let rows =
                store.rolled(Grain::Minute, &check.into(), time(START), time(START + HOUR)).await.unwrap();
            rows.into_iter().map(|row| (row.rolled.runs, row.rolled.uptime.up)).collect::<Vec<_>>()
        };
        assert_eq!(minutes("a/fast").await, [(60, 60_000), (60, 60_000), (60, 60_000)]);
        assert!(minutes("a/slow").await.is_empty());
    }
}

#[tokio::test]
async fn results_that_are_written_while_their_hour_is_rolled_are_not_lost() {
    let stores = Stores::empty().await;
    for store in stores.each() {
        half_down(store, START, 3).await;
        let late = async {
            for minute in 0..180 {
                store.commit(&[result("a/late", START + minute * MINUTE, Verdict::Pass)]).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let rolling = async {
            for _ in 0..20 {
                roll(store, time(START + 4 * HOUR)).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(late, rolling);
        roll(store, time(START + 4 * HOUR)).await.unwrap();
        let sums = store.uptimes(Grain::Hour, time(START), time(START + 4 * HOUR)).await.unwrap();
        let late = sums.iter().find(|sum| sum.check.as_str() == "a/late").unwrap();
        assert_eq!(late.runs, 180);
    }
}
