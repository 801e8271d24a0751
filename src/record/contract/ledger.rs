//! What every ledger of writes promises.

use serde_json::{Map, Value, json};

use super::time;
use crate::model::CheckId;
use crate::model::ledger::{Budget, CanaryState, Entry, LONGEST_WAIT, Ledger, LedgerError, Tally};

/// How long canaries are held here.
pub const HELD: i64 = 60_000;

/// As many writes as anybody wants.
pub const FREE: Budget = Budget { limit: 1_000, since: jiff::Timestamp::UNIX_EPOCH };

/// Enters a write at `now`.
pub async fn enter(ledger: &dyn Ledger, check: &str, run: &str, now: i64) -> Entry {
    ledger.enter(&check.into(), run, time(now), time(now + HELD), FREE).await.unwrap()
}

/// Takes at `now` what is open and free, by run.
pub async fn take(ledger: &dyn Ledger, check: &str, now: i64) -> Vec<String> {
    let taken = ledger.take(&check.into(), time(now), time(now + HELD)).await.unwrap();
    taken.into_iter().map(|canary| canary.run).collect()
}

/// The runs whose canaries are open.
pub async fn open(ledger: &dyn Ledger, check: &str) -> Vec<String> {
    let open = ledger.open(&check.into()).await.unwrap();
    open.into_iter().map(|canary| canary.run).collect()
}

fn busy(run: &str) -> Entry {
    Entry::Busy { run: run.into() }
}

fn unswept(run: &str, entered: i64) -> Entry {
    Entry::Unswept { run: run.into(), entered: time(entered) }
}

fn map(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

/// Runs all of it; `ledger` is empty.
pub async fn holds(ledger: &dyn Ledger) {
    a_run_may_write_more_than_once(ledger).await;
    a_write_in_the_middle_keeps_others_out(ledger).await;
    what_was_left_is_swept_before_anything_more_is_written(ledger).await;
    a_canary_is_swept_by_one_alone(ledger).await;
    a_failed_clean_up_stops_the_run_itself(ledger).await;
    a_failed_sweep_waits(ledger).await;
    what_was_not_tried_waits_for_nothing(ledger).await;
    a_clock_that_went_back_keeps_nobody_waiting(ledger).await;
    what_has_ended_stays_as_it_is(ledger).await;
    a_spent_budget_refuses_and_comes_back(ledger).await;
    captures_are_kept_for_the_sweep(ledger).await;
    a_run_nobody_entered_is_an_error(ledger).await;
}

async fn a_run_may_write_more_than_once(ledger: &dyn Ledger) {
    assert_eq!(enter(ledger, "l/more", "more-1", 1_000).await, Entry::Entered);
    assert_eq!(enter(ledger, "l/more", "more-1", 2_000).await, Entry::Entered);
    let open = ledger.open(&"l/more".into()).await.unwrap();
    assert_eq!((open.len(), open[0].writes, open[0].entered), (1, 2, time(1_000)));
    assert_eq!((open[0].check.as_str(), open[0].attempts), ("l/more", 0));
    ledger.settle("more-1", CanaryState::Cleaned, time(3_000)).await.unwrap();
    assert_eq!(ledger.tally(&"l/more".into()).await.unwrap(), Tally { cleaned: 1, ..Tally::default() });
    assert_eq!(enter(ledger, "l/more", "more-2", 4_000).await, Entry::Entered);
}

async fn a_write_in_the_middle_keeps_others_out(ledger: &dyn Ledger) {
    assert_eq!(enter(ledger, "l/mid", "mid-1", 1_000).await, Entry::Entered);
    assert_eq!(enter(ledger, "l/mid", "mid-2", 1_000 + HELD - 1).await, busy("mid-1"));
    assert!(take(ledger, "l/mid", 1_000 + HELD - 1).await.is_empty(), "nor is it swept");
    assert_eq!(enter(ledger, "l/other", "mid-3", 1_000).await, Entry::Entered, "another check");
    assert_eq!(open(ledger, "l/mid").await, ["mid-1"]);
}

async fn what_was_left_is_swept_before_anything_more_is_written(ledger: &dyn Ledger) {
    enter(ledger, "l/left", "left-1", 1_000).await;
    let later = 1_000 + HELD;
    assert_eq!(enter(ledger, "l/left", "left-2", later).await, unswept("left-1", 1_000));
    assert_eq!(take(ledger, "l/left", later).await, ["left-1"]);
    assert_eq!(enter(ledger, "l/left", "left-2", later).await, busy("left-1"));
    ledger.settle("left-1", CanaryState::Swept, time(later)).await.unwrap();
    assert_eq!(enter(ledger, "l/left", "left-2", later).await, Entry::Entered);
}

async fn a_canary_is_swept_by_one_alone(ledger: &dyn Ledger) {
    enter(ledger, "l/one", "one-1", 1_000).await;
    let later = 1_000 + HELD;
    assert_eq!(take(ledger, "l/one", later).await, ["one-1"]);
    assert!(take(ledger, "l/one", later + HELD - 1).await.is_empty());
    assert_eq!(enter(ledger, "l/one", "one-1", later).await, busy("one-1"), "its run came back");
    assert_eq!(take(ledger, "l/one", later + HELD).await, ["one-1"], "who took it is gone");
    ledger.settle("one-1", CanaryState::Absent, time(later + HELD)).await.unwrap();
    let tally = ledger.tally(&"l/one".into()).await.unwrap();
    assert_eq!(tally, Tally { absent: 1, ..Tally::default() });
    let late = enter(ledger, "l/one", "one-1", later + HELD).await;
    assert_eq!(late, busy("one-1"), "who looked has gone by");
}

async fn a_failed_clean_up_stops_the_run_itself(ledger: &dyn Ledger) {
    enter(ledger, "l/self", "self-1", 1_000).await;
    ledger.failed("self-1", time(1_000)).await.unwrap();
    assert_eq!(enter(ledger, "l/self", "self-1", 1_001).await, unswept("self-1", 1_000));
    assert_eq!(take(ledger, "l/self", 1_001).await, ["self-1"], "held by nobody");
}

async fn a_failed_sweep_waits(ledger: &dyn Ledger) {
    enter(ledger, "l/wait", "wait-1", 1_000).await;
    let later = 1_000 + HELD;
    assert_eq!(take(ledger, "l/wait", later).await, ["wait-1"]);
    ledger.failed("wait-1", time(later + 5_000)).await.unwrap();
    assert_eq!(enter(ledger, "l/wait", "wait-2", later).await, unswept("wait-1", 1_000));
    assert!(take(ledger, "l/wait", later + 4_999).await.is_empty());
    let open = ledger.open(&"l/wait".into()).await.unwrap();
    assert_eq!((open[0].attempts, open[0].not_before), (1, Some(time(later + 5_000))));
    assert_eq!(take(ledger, "l/wait", later + 5_000).await, ["wait-1"]);
}

async fn what_was_not_tried_waits_for_nothing(ledger: &dyn Ledger) {
    enter(ledger, "l/try", "try-1", 1_000).await;
    let later = 1_000 + HELD;
    assert_eq!(take(ledger, "l/try", later).await, ["try-1"]);
    ledger.release("try-1").await.unwrap();
    let open = ledger.open(&"l/try".into()).await.unwrap();
    assert_eq!((open[0].attempts, open[0].not_before), (0, None));
    assert_eq!(take(ledger, "l/try", later).await, ["try-1"]);
    assert_eq!(enter(ledger, "l/try", "try-1", later).await, busy("try-1"), "its run is over");
}

async fn a_clock_that_went_back_keeps_nobody_waiting(ledger: &dyn Ledger) {
    let ahead = i64::try_from(LONGEST_WAIT.as_millis()).unwrap() * 2;
    enter(ledger, "l/back", "back-1", ahead).await;
    assert_eq!(take(ledger, "l/back", 1_000).await, ["back-1"], "held until long after");
    ledger.failed("back-1", time(ahead)).await.unwrap();
    assert_eq!(take(ledger, "l/back", 1_000).await, ["back-1"], "told to wait until long after");
}

async fn what_has_ended_stays_as_it_is(ledger: &dyn Ledger) {
    enter(ledger, "l/end", "end-1", 1_000).await;
    ledger.settle("end-1", CanaryState::Cleaned, time(2_000)).await.unwrap();
    ledger.settle("end-1", CanaryState::Absent, time(3_000)).await.unwrap();
    ledger.failed("end-1", time(3_000)).await.unwrap();
    let tally = ledger.tally(&"l/end".into()).await.unwrap();
    assert_eq!(tally, Tally { cleaned: 1, ..Tally::default() });
    assert!(open(ledger, "l/end").await.is_empty());
    assert_eq!(enter(ledger, "l/end", "end-1", 4_000).await, Entry::Entered, "it writes again");
    assert_eq!(open(ledger, "l/end").await, ["end-1"], "and is open again");
}

async fn a_spent_budget_refuses_and_comes_back(ledger: &dyn Ledger) {
    let check = CheckId::from("l/budget");
    let day = |since| Budget { limit: 3, since: time(since) };
    for (run, at) in [("budget-1", 1_000), ("budget-1", 1_100), ("budget-2", 2_000)] {
        let entered = ledger.enter(&check, run, time(at), time(at + HELD), day(0)).await.unwrap();
        assert_eq!(entered, Entry::Entered, "{run} at {at}");
        ledger.settle(run, CanaryState::Cleaned, time(at)).await.unwrap();
    }
    let spent = ledger.enter(&check, "budget-3", time(3_000), time(9_000), day(1_100)).await.unwrap();
    assert_eq!(spent, Entry::Spent { written: 3 });
    assert!(open(ledger, "l/budget").await.is_empty(), "nothing was entered");
    let back = ledger.enter(&check, "budget-3", time(3_000), time(9_000), day(1_101)).await.unwrap();
    assert_eq!(back, Entry::Entered);
}

async fn captures_are_kept_for_the_sweep(ledger: &dyn Ledger) {
    enter(ledger, "l/keep", "keep-1", 1_000).await;
    ledger.keep("keep-1", &map(json!({ "ticket": 7, "name": "ä \"x\"" }))).await.unwrap();
    ledger.keep("keep-1", &map(json!({ "ticket": [8], "none": null }))).await.unwrap();
    let taken = ledger.take(&"l/keep".into(), time(1_000 + HELD), time(999_999)).await.unwrap();
    assert_eq!(taken[0].kept, map(json!({ "ticket": [8], "name": "ä \"x\"", "none": null })));
}

async fn a_run_nobody_entered_is_an_error(ledger: &dyn Ledger) {
    let said = [
        ledger.keep("nobody", &Map::new()).await,
        ledger.settle("nobody", CanaryState::Cleaned, time(1)).await,
        ledger.failed("nobody", time(1)).await,
        ledger.release("nobody").await,
    ];
    for said in said {
        assert!(matches!(&said, Err(LedgerError::NotEntered { run, .. }) if run == "nobody"), "{said:?}");
    }
    assert_eq!(ledger.tally(&"l/nothing".into()).await.unwrap(), Tally::default());
}
