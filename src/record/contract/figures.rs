//! What every store promises of figures over time.

use std::time::Duration;

use jiff::Timestamp;

use super::{bare, outcome, ran, time};
use crate::model::{CheckId, Outcome, Part, Verdict};
use crate::record::{Cutoffs, Figures, RolledRow, Transition};
use crate::stats::rollup::{Grain, Latencies, Rolled};
use crate::stats::samples::{Rules, Run};
use crate::stats::uptime::{Standing, Uptime};

pub const HOUR: i64 = 3_600_000;

/// Runs all of it; `store` holds no figures yet.
pub async fn holds(store: &dyn Figures) {
    results_of_all_checks_come_in_order(store).await;
    checks_are_known_with_how_they_run(store).await;
    facts_are_kept_with_what_went_wrong(store).await;
    rows_read_back(store).await;
    a_late_result_takes_the_mark_back(store).await;
    each_grain_goes_in_its_time(store).await;
}

/// Forgets nothing.
pub fn nothing_old() -> Cutoffs {
    let never = time(0);
    Cutoffs { results: never, hours: never, days: never, incidents: never }
}

/// Forgets results of before a time.
pub fn before(results: Timestamp) -> Cutoffs {
    Cutoffs { results, ..nothing_old() }
}

async fn results_of_all_checks_come_in_order(store: &dyn Figures) {
    let recheck = Outcome { recheck: true, verdict: Verdict::Fail, ..outcome("f/one", 7_000_020_000) };
    let batch = [ran(outcome("f/two", 7_000_010_000)), ran(recheck), ran(outcome("f/one", 7_000_000_000))];
    store.commit(&batch).await.unwrap();
    let seen = async |check: Option<&CheckId>| {
        let found = store.ran(check, time(7_000_000_000), time(7_000_020_001)).await.unwrap();
        let seen = |one: crate::record::Ran| (one.check.to_string(), one.at, one.verdict, one.recheck);
        found.into_iter().map(seen).collect::<Vec<_>>()
    };
    let expected = [
        ("f/one".to_owned(), time(7_000_000_000), Verdict::Pass, false),
        ("f/two".to_owned(), time(7_000_010_000), Verdict::Pass, false),
        ("f/one".to_owned(), time(7_000_020_000), Verdict::Fail, true),
    ];
    assert_eq!(seen(None).await, expected);
    assert_eq!(seen(Some(&"f/one".into())).await, [expected[0].clone(), expected[2].clone()]);
    assert!(seen(Some(&"f/none".into())).await.is_empty());
    let judged = store.judged(time(7_000_000_000), time(7_000_020_001)).await.unwrap();
    let of = |check: &str| {
        let of = judged[&CheckId::from(check)].iter();
        of.map(|one| (check.to_owned(), one.at, one.verdict, one.recheck)).collect::<Vec<_>>()
    };
    assert_eq!(of("f/one"), [expected[0].clone(), expected[2].clone()]);
    assert_eq!((of("f/two"), judged.len()), (vec![expected[1].clone()], 2));
    let next = async |from| store.next_result(time(from)).await.unwrap();
    assert_eq!(next(7_000_000_000).await, Some(time(7_000_000_000)));
    assert_eq!(next(7_000_000_001).await, Some(time(7_000_010_000)));
    assert_eq!(next(7_000_020_001).await, None);
    let one = &store.ran(None, time(7_000_000_000), time(7_000_000_001)).await.unwrap()[0];
    let written = outcome("f/one", 7_000_000_000);
    assert_eq!((one.took, one.timings), (written.took, written.timings));
    let history = store.history(&"f/one".into(), time(7_000_020_000), time(7_000_020_001), 9).await.unwrap();
    assert!(history[0].recheck);
}

async fn checks_are_known_with_how_they_run(store: &dyn Figures) {
    let rules = Rules { every: Duration::from_secs(5), timeout: Duration::from_millis(1_500) };
    store.note_rules(&[("f/one".into(), rules), ("f/never-ran".into(), rules)]).await.unwrap();
    let known = store.known_checks().await.unwrap();
    let of = |name: &str| known.iter().find(|known| known.check.as_str() == name);
    let one = of("f/one").unwrap();
    assert_eq!((one.rules, one.removed), (Some(rules), false));
    assert!(one.since.is_some_and(|since| since <= time(7_000_020_000)));
    assert_eq!(of("f/two").unwrap().rules, None);
    assert!(of("f/never-ran").is_none(), "nothing was recorded of it");
    store.commit(&[Transition { removed: true, ..bare("f/two") }]).await.unwrap();
    let known = store.known_checks().await.unwrap();
    let two = known.iter().find(|known| known.check.as_str() == "f/two").unwrap();
    assert!(two.removed && two.since.is_some(), "its history stays");
}

async fn facts_are_kept_with_what_went_wrong(store: &dyn Figures) {
    let failed = Outcome { verdict: Verdict::Fail, ..outcome("f/facts", 7_100_000_000) };
    store.commit(&[ran(failed), ran(outcome("f/facts", 7_100_060_000))]).await.unwrap();
    let kept = store.facts(&"f/facts".into(), time(7_100_000_000), time(7_200_000_000), 9).await.unwrap();
    let kept: Vec<_> = kept.iter().map(|(at, facts)| (*at, facts.get())).collect();
    assert_eq!(kept, [(time(7_100_000_000), "{\"at\":7100000000}")]);
}

pub fn rolled(up: u64, samples: u64) -> Rolled {
    let mut latencies = Latencies::default();
    let outcome = outcome("any/any", 0);
    let rules = Rules { every: Duration::from_secs(60), timeout: Duration::from_secs(10) };
    (0..samples).for_each(|_| latencies.add(Run::from(&outcome), rules));
    let standing = (samples > 0).then_some(Standing { at: 77, up: Some(false) });
    Rolled { uptime: Uptime { up, down: 7, planned: 3 }, runs: samples, failed: 1, standing, latencies }
}

fn row(check: &str, grain: Grain, at: i64, rolled: Rolled) -> RolledRow {
    RolledRow { check: check.into(), grain, at, rolled }
}

const START: i64 = 2_000 * HOUR;

async fn rows_read_back(store: &dyn Figures) {
    assert_eq!(store.rolled_until(Grain::Hour).await.unwrap(), None);
    let rows = [
        row("f/one", Grain::Hour, START, rolled(1_000, 5)),
        row("f/one", Grain::Minute, START, rolled(10, 2)),
        row("f/two", Grain::Hour, START, rolled(500, 0)),
    ];
    let until = time(START + HOUR);
    assert!(store.put_rolled(Grain::Hour, &rows, None, until).await.unwrap());
    assert!(!store.put_rolled(Grain::Hour, &rows, None, until).await.unwrap(), "somebody was faster");
    assert_eq!(store.rolled_until(Grain::Hour).await.unwrap(), Some(until));
    assert_eq!(store.rolled_until(Grain::Day).await.unwrap(), None);

    assert_eq!(store.rolled_from(Grain::Hour).await.unwrap(), Some(time(START)));
    assert_eq!(store.rolled_from(Grain::Day).await.unwrap(), None);

    let later = [row("f/one", Grain::Hour, START + HOUR, rolled(2_000, 4))];
    assert!(store.put_rolled(Grain::Hour, &later, Some(until), time(START + 2 * HOUR)).await.unwrap());
    let one = CheckId::from("f/one");
    let read = store.rolled(Grain::Hour, &one, time(START), time(START + 2 * HOUR)).await.unwrap();
    assert_eq!(read.iter().map(|row| row.at).collect::<Vec<_>>(), [START, START + HOUR]);
    let first = &read[0].rolled;
    assert_eq!((first.uptime, first.runs, first.failed), (Uptime { up: 1_000, down: 7, planned: 3 }, 5, 1));
    assert_eq!(first.standing, Some(Standing { at: 77, up: Some(false) }));
    let sketch = first.latencies.get(&Part::Whole).unwrap();
    assert_eq!(sketch.count(), 5);
    assert_eq!(read[1].rolled.latencies.get(&Part::Whole).unwrap().count(), 4);
    assert_eq!(store.rolled(Grain::Minute, &one, time(START), time(START + 1)).await.unwrap().len(), 1);

    let sums = store.uptimes(Grain::Hour, time(START), time(START + 2 * HOUR)).await.unwrap();
    let sums: Vec<_> = sums.iter().map(|sum| (sum.check.as_str(), sum.uptime.up, sum.runs)).collect();
    assert_eq!(sums, [("f/one", 3_000, 9), ("f/two", 500, 0)]);
    let standings = store.standings(time(START + 2 * HOUR)).await.unwrap();
    assert_eq!(standings, [("f/one".into(), Standing { at: 77, up: Some(false) })]);
    assert!(store.standings(time(START)).await.unwrap().is_empty());
}

async fn a_late_result_takes_the_mark_back(store: &dyn Figures) {
    let until = async |grain| store.rolled_until(grain).await.unwrap().map(Timestamp::as_millisecond);
    let day = Grain::Day.floor(START);
    assert!(store.put_rolled(Grain::Day, &[], None, time(day + Grain::Day.millis())).await.unwrap());
    store.commit(&[ran(outcome("f/one", START + 2 * HOUR + 5))]).await.unwrap();
    assert_eq!(until(Grain::Hour).await, Some(START + 2 * HOUR));
    store.commit(&[ran(outcome("f/one", START + HOUR + 5))]).await.unwrap();
    assert_eq!((until(Grain::Hour).await, until(Grain::Day).await), (Some(START + HOUR), Some(day)));
    assert!(
        !store
            .put_rolled(Grain::Hour, &[], Some(time(START + 2 * HOUR)), time(START + 3 * HOUR))
            .await
            .unwrap(),
        "what was read before is out of date"
    );
}

async fn each_grain_goes_in_its_time(store: &dyn Figures) {
    let days = [row("f/one", Grain::Day, Grain::Day.floor(START), rolled(1, 1))];
    let day = Grain::Day.floor(START);
    assert!(
        store.put_rolled(Grain::Day, &days, Some(time(day)), time(day + Grain::Day.millis())).await.unwrap()
    );
    let one = CheckId::from("f/one");
    let left = async |grain| store.rolled(grain, &one, time(0), time(START * 2)).await.unwrap().len();
    store.prune(&Cutoffs { results: time(START + HOUR), ..nothing_old() }).await.unwrap();
    assert_eq!((left(Grain::Minute).await, left(Grain::Hour).await, left(Grain::Day).await), (0, 2, 1));
    store.prune(&Cutoffs { hours: time(START + HOUR), ..nothing_old() }).await.unwrap();
    assert_eq!((left(Grain::Hour).await, left(Grain::Day).await), (1, 1));
    store.prune(&Cutoffs { days: time(START + HOUR), ..nothing_old() }).await.unwrap();
    assert_eq!((left(Grain::Hour).await, left(Grain::Day).await), (1, 0));
}
