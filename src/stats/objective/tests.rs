//! When objectives tell, from the results of one check.

use jiff::Timestamp;

use super::*;
use crate::model::{Timings, Verdict};
use crate::stats::samples::{Rules, Run};
use crate::stats::track::{self, Track, Tracked};

const RULES: Rules = Rules { every: Duration::from_secs(60), timeout: Duration::from_secs(10) };
const START: i64 = 1_800_000_000_000;
const SLOW_BEYOND: Duration = Duration::from_millis(500);

fn objective(target: f64, window_days: u64) -> Objective {
    Objective { name: "up".into(), target, window: days(window_days), of: Promise::Availability }
}

fn latency(target: f64) -> Objective {
    let of = Promise::Latency { part: Part::Whole, threshold: SLOW_BEYOND };
    Objective { of, ..objective(target, 30) }
}

/// A check, result by result; seconds since the start.
struct Story {
    track: Track,
    since: i64,
}

impl Story {
    fn new() -> Self {
        let tracked = Tracked { parts: [Part::Whole].into(), look_back: track::LEAST };
        Self { track: Track::new(&tracked), since: 0 }
    }

    fn run(&mut self, second: i64, good: bool, recheck: bool, of: &Promise) {
        let up = good || *of != Promise::Availability;
        let run = Run {
            verdict: if up { Verdict::Pass } else { Verdict::Fail },
            took: Duration::from_millis(if good { 100 } else { 900 }),
            timings: &Timings::EMPTY,
            steps: &[],
            recheck,
            too_slow: false,
        };
        self.track.take(Timestamp::from_millisecond(START + second * 1_000).unwrap(), run, RULES);
    }

    /// A run each minute of these.
    fn minutes(mut self, minutes: std::ops::Range<i64>, good: impl Fn(i64) -> bool, of: &Promise) -> Self {
        minutes.for_each(|minute| self.run(minute * 60, good(minute), false, of));
        self
    }

    fn seen(&self, objective: &Objective, second: i64) -> Seen {
        let now = START + second * 1_000;
        let spent = |window: Duration| {
            self.track.spent(&objective.of, now - i64::try_from(window.as_millis()).unwrap(), now, RULES)
        };
        Seen {
            window: None,
            rates: objective.rules().map(|rule| (spent(rule.long), spent(rule.short))),
            history: Duration::from_secs(u64::try_from(second - self.since).unwrap()),
        }
    }

    fn found(&self, objective: &Objective, second: i64) -> Vec<String> {
        let found = objective.judge(&self.seen(objective, second), |_| false);
        found.into_iter().map(|one| one.id.to_string()).collect()
    }
}

/// What is found after so many minutes, of which some were bad.
fn found(objective: &Objective, minutes: i64, bad: impl Fn(i64) -> bool) -> Vec<String> {
    let story = Story::new().minutes(0..minutes, |minute| !bad(minute), &objective.of);
    story.found(objective, minutes * 60)
}

#[test]
fn an_outage_burns_fast_and_is_over_soon_after_it_is() {
    let month = objective(0.999, 30);
    let down = |from: i64, to: i64| move |minute: i64| (from..to).contains(&minute);
    assert!(found(&month, 400, |_| false).is_empty());
    // 14.4 × 0.1 % of an hour are 52 seconds.
    assert_eq!(found(&month, 400, down(398, 400)), ["objective.burn_fast"]);
    assert_eq!(found(&month, 400, down(390, 400)), ["objective.burn_fast", "objective.burn_slow"]);
    assert!(!found(&month, 400, down(380, 394)).contains(&"objective.burn_fast".into()));
}

#[test]
fn a_little_all_the_time_burns_slowly() {
    // One minute of an hour: 16.7 times too fast, but for the last five minutes.
    let found = found(&objective(0.999, 30), 420, |minute| minute % 60 == 40);
    assert_eq!(found, ["objective.burn_slow"]);
}

#[test]
fn one_failed_run_tells_nothing_unless_its_recheck_fails_too() {
    let month = objective(0.999, 30);
    // It weighs a minute: 16.7 times too fast over an hour, and 200 times over five minutes.
    for (passes, expected) in [(true, &[] as &[&str]), (false, &["objective.burn_fast"])] {
        let mut story = Story::new().minutes(0..100, |minute| minute != 99, &month.of);
        story.run(99 * 60 + 10, passes, true, &month.of);
        assert!(story.seen(&month, 6_000).rates[0].0.rate(0.999).unwrap() > 16.0);
        assert_eq!(story.found(&month, 6_000), expected);
    }
}

#[test]
fn what_is_open_stays_while_it_burns_whatever_it_rests_on() {
    let month = objective(0.999, 30);
    let seen = Story::new().minutes(0..100, |minute| minute != 99, &month.of).seen(&month, 6_000);
    let found = month.judge(&seen, |id| id == "objective.burn_fast");
    assert_eq!((found.len(), found[0].measured), (1, true));
}

#[test]
fn the_first_runs_after_a_gap_do_not_stand_for_all_of_it() {
    let month = objective(0.999, 30);
    // Nobody looked for two hours; then it fails twice, and fifteen seconds of this are known.
    let mut story = Story::new().minutes(0..100, |_| true, &month.of);
    story.run(13_200, false, false, &month.of);
    story.run(13_210, false, true, &month.of);
    assert!(story.found(&month, 13_215).is_empty());
    story.run(13_260, false, false, &month.of);
    assert_eq!(story.found(&month, 13_270), ["objective.burn_fast"], "70 seconds of the hour are bad");
}

#[test]
fn one_slow_run_is_chance() {
    let month = latency(0.999);
    assert!(found(&month, 100, |minute| minute == 99).is_empty());
    assert_eq!(found(&month, 100, |minute| minute >= 98), ["objective.burn_fast"]);
    // After a gap it is the only one of the hour.
    let mut story = Story::new().minutes(0..100, |_| true, &month.of);
    story.run(13_200, false, false, &month.of);
    assert!(story.found(&month, 13_215).is_empty());
}

#[test]
fn slow_runs_burn_an_objective_of_latency() {
    let month = latency(0.95);
    let story = Story::new().minutes(0..400, |minute| minute < 330, &month.of);
    assert_eq!(story.found(&month, 24_000), ["objective.burn_fast"]);
    let hour = story.seen(&month, 24_000).rates[0].0;
    assert_eq!(hour, Spent { bad: 60.0, known: 60.0, whole: 60.0, results: 60 });
}

#[test]
fn without_an_hour_of_history_nothing_is_said() {
    let month = objective(0.999, 30);
    assert!(found(&month, 59, |_| true).is_empty());
    assert_eq!(found(&month, 61, |_| true), ["objective.burn_fast"]);
}

#[test]
fn the_rules_of_a_month_are_those_of_the_workbook() {
    let told = objective(0.999, 30).rules().map(|rule| (rule.long, rule.short, rule.limit));
    let close = |(long, short, limit): (Duration, Duration, f64), expected: (u64, u64, f64)| {
        (long, short) == (minutes(expected.0), minutes(expected.1)) && (limit - expected.2).abs() < 1e-9
    };
    assert!(close(told[0], (60, 5, 14.4)) && close(told[1], (360, 30, 6.0)), "{told:?}");
}

#[test]
fn every_rule_can_tell_and_none_does_while_the_objective_is_met() {
    for days in [1, 2, 6, 7, 13, 14, 28, 30, 31, 89, 90, 180, 365, 1_000] {
        for target in [0.05, 0.5, 0.9, 0.95, 0.99, 0.999, 0.99999] {
            let objective = objective(target, days);
            let (outage, share) = (1.0 / (1.0 - target), [0.02, 0.05]);
            for (rule, share) in objective.rules().iter().zip(share) {
                let told = format!("{target} over {days}d: {rule:?}");
                assert!(rule.limit >= 1.0 && rule.limit < outage, "{told}");
                assert!(rule.short < rule.long && rule.long <= objective.look_back(), "{told}");
                let used = rule.limit * rule.long.as_secs_f64() / objective.window.as_secs_f64();
                let reached = rule.limit >= outage * 0.8 - 1e-9 || rule.limit == 1.0;
                assert!((used - share).abs() < 1e-9 || reached, "{told}: {used}");
            }
            let spent = |share: f64| {
                let of = |long: Duration| {
                    let whole = long.as_secs_f64();
                    Spent { bad: whole * share, known: whole, whole, results: 9 }
                };
                let rates = objective.rules().map(|rule| (of(rule.long), of(rule.short)));
                let seen = Seen { rates, history: objective.window, ..Seen::default() };
                objective.judge(&seen, |_| false).len()
            };
            assert_eq!((spent(1.0), spent((1.0 - target) * 0.99)), (2, 0), "{target} over {days}d");
        }
    }
}

#[test]
fn runs_that_are_too_few_for_a_rule_are_known_beforehand() {
    let hours = |hours: u64| Duration::from_secs(hours * 3_600);
    assert!(latency(0.99).out_of_reach(&[minutes(1)]).is_empty());
    assert_eq!(latency(0.99).out_of_reach(&[hours(1)]), [("objective.burn_fast", hours(1))]);
    assert_eq!(latency(0.99).out_of_reach(&[hours(12)]).len(), 2);
    assert!(latency(0.99).out_of_reach(&[hours(1), hours(1)]).is_empty(), "both of them slow are clear");
    assert!(objective(0.99, 30).out_of_reach(&[hours(12)]).is_empty());
}

#[test]
fn what_is_left_of_the_budget_goes_below_nothing() {
    let month = objective(0.999, 30);
    let of = |bad: f64| {
        let window = Spent { bad, known: 1_000.0, whole: 1_000.0, results: 0 };
        Seen { window: Some(window), ..Seen::default() }
    };
    assert!((month.left(&of(0.5)).unwrap() - 0.5).abs() < 1e-9);
    assert!((month.left(&of(2.0)).unwrap() + 1.0).abs() < 1e-9);
    let found = month.judge(&of(2.0), |_| false);
    assert_eq!((found[0].id.as_str(), found[0].alerts()), ("objective.exhausted", false));
    assert_eq!(month.left(&Seen::default()), None);
}

#[test]
fn the_budget_is_that_of_the_whole_window_from_the_first_run_on() {
    let day = Objective { window: days(1), ..latency(0.95) };
    // 36 runs, one a second, of which nearly all were slow: 5 % of a day's are 4,320.
    let window = Spent { bad: 32.0, known: 36.0, whole: 86_400.0, results: 0 };
    let seen = Seen { window: Some(window), ..Seen::default() };
    assert!(day.left(&seen).unwrap() > 0.99);
    assert!(day.judge(&seen, |_| false).is_empty());
    assert_eq!(day.watched(&window).unwrap(), "watched for 36s of 1d");
    let spent = Spent { bad: 5_000.0, known: 6_000.0, ..window };
    let found = day.judge(&Seen { window: Some(spent), ..seen }, |_| false);
    let summary = &found[0].summary;
    assert!(summary.contains("(115.7 % of it)") && summary.contains("watched for 1h40m of 1d"), "{summary}");
    assert_eq!(day.watched(&Spent { known: 86_400.0, ..window }), None);
    assert_eq!(day.watched(&Spent::default()), None);
}

#[test]
fn what_is_open_and_unknown_now_stays_open() {
    let seen = Seen { history: minutes(900), ..Seen::default() };
    let found = objective(0.999, 30).judge(&seen, |id| id == "objective.burn_fast");
    assert_eq!((found.len(), found[0].measured), (1, false));
}
