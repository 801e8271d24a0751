//! Objectives: how much of what is promised is used up, and how fast.
//!
//! The *error budget* of a target of 99.9 % over 30 days is a thousandth of these 30 days (of their
//! known time, or of their runs). The *burn rate* is how many times faster than evenly it is used up: at
//! 1 it lasts exactly for the window. Two rules page (Site Reliability Workbook, chapter 5): 14.4 over
//! an hour and over five minutes, which is 2 % of a month's budget in an hour, and 6 over six hours and
//! over thirty minutes, 5 % in six hours. The short window makes them end soon after the trouble does.
//! For windows other than 30 days the rates are scaled, so that the shares of the budget stay the same.

use std::time::Duration;

use super::samples::{Rules, Run, Sample, samples};
use super::uptime::{Clockwork, Standing, Stretch, Uptime, within};
use super::window::Window;
use crate::model::{Confirm, Finding, FindingDoc, HumanDuration, Part, Severity};

const AT_ONCE: Confirm = Confirm { failures: 1, successes: 1, recheck: None };

/// What objectives can find.
pub const FINDINGS: &[FindingDoc] = &[FAST, SLOW, EXHAUSTED];

const FAST: FindingDoc = FindingDoc {
    id: "objective.burn_fast",
    severity: Severity::Critical,
    broken: false,
    meaning: "The error budget of an objective is used up so fast that a fiftieth of it goes in an hour.",
    why: "What is promised over the whole window is gone within two days if it goes on like this.",
    fix: "Look at the open incidents of its checks; `portalwatch report uptime` and `report latency` say which of them it is.",
    reference: Some("Site Reliability Workbook, chapter 5"),
    confirm: Some(AT_ONCE),
};

const SLOW: FindingDoc = FindingDoc {
    id: "objective.burn_slow",
    severity: Severity::Warning,
    broken: false,
    meaning: "The error budget of an objective is used up so fast that a twentieth of it goes in six hours.",
    why: "What is promised over the whole window is gone within five days if it goes on like this.",
    fix: "Look for what fails now and then: `portalwatch report incidents`, `report uptime` and `report latency` of its checks.",
    reference: Some("Site Reliability Workbook, chapter 5"),
    confirm: Some(AT_ONCE),
};

const EXHAUSTED: FindingDoc = FindingDoc {
    id: "objective.exhausted",
    severity: Severity::Notice,
    broken: false,
    meaning: "The error budget of an objective is used up: over its window it is not met.",
    why: "What was promised was not kept. It stays so until the bad times leave the window.",
    fix: "Nothing can be done about the past; hold back what may break things until there is budget again.",
    reference: None,
    confirm: Some(AT_ONCE),
};

/// A rule about burn rates.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The long window.
    pub long: Duration,
    /// The short one.
    pub short: Duration,
    /// The rate, for a window of 30 days.
    rate: f64,
    doc: &'static FindingDoc,
}

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

/// The rules.
pub const RULES: [Rule; 2] = [
    Rule { long: minutes(60), short: minutes(5), rate: 14.4, doc: &FAST },
    Rule { long: minutes(360), short: minutes(30), rate: 6.0, doc: &SLOW },
];

/// How far back burn rates look.
pub const LOOK_BACK: Duration = minutes(360);

const MONTH: Duration = minutes(30 * 24 * 60);

/// What is bad of what is known: milliseconds, or runs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// Bad.
    pub bad: f64,
    /// Known.
    pub known: f64,
}

impl Spent {
    /// Adds another part.
    pub fn add(&mut self, other: Self) {
        self.bad += other.bad;
        self.known += other.known;
    }

    /// The share that is good; `None` where nothing is known.
    pub fn good(&self) -> Option<f64> {
        (self.known > 0.0).then(|| 1.0 - self.bad / self.known)
    }

    /// How many times faster than evenly the budget is used up; `None` where nothing is known.
    pub fn rate(&self, target: f64) -> Option<f64> {
        Some((1.0 - self.good()?) / (1.0 - target))
    }
}

impl From<Uptime> for Spent {
    #[expect(clippy::cast_precision_loss, reason = "centuries in milliseconds fit a float")]
    fn from(uptime: Uptime) -> Self {
        Self { bad: uptime.down as f64, known: uptime.up as f64 + uptime.down as f64 }
    }
}

/// What an objective promises.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// Its name.
    pub name: String,
    /// The share that must be good, above 0 and below 1.
    pub target: f64,
    /// Over this time.
    pub window: Duration,
    /// Of what.
    pub of: Promise,
}

/// Of what something is promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Promise {
    /// Of time that was up.
    Availability,
    /// Of runs that did not take longer than the threshold.
    Latency {
        /// The whole run, or a step.
        part: Part,
        /// What takes longer is bad.
        threshold: Duration,
    },
}

/// What is seen of an objective.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seen {
    /// Over its window; `None` until the record is read.
    pub window: Option<Spent>,
    /// By rule of [`RULES`], over the long window and over the short one.
    pub rates: [(Spent, Spent); RULES.len()],
    /// Since when its checks are watched.
    pub history: Duration,
}

impl Objective {
    /// The share of the error budget that is left: 1 if nothing was bad, negative if it is overdrawn.
    pub fn left(&self, seen: &Seen) -> Option<f64> {
        Some(1.0 - seen.window?.rate(self.target)?)
    }

    /// What is wrong. `open` says whether a finding of this id is open: what is open and cannot be
    /// measured stays.
    pub fn judge(&self, seen: &Seen, open: impl Fn(&str) -> bool) -> Vec<Finding> {
        let mut found: Vec<Finding> = RULES
            .iter()
            .zip(seen.rates)
            .filter_map(|(rule, rates)| self.burning(rule, rates, seen, &open))
            .collect();
        if let Some(left) = self.left(seen).filter(|left| *left <= 0.0) {
            let summary = format!(
                "{}: the error budget of {} is used up ({:.1} % of it): {}",
                self.name,
                HumanDuration(self.window),
                (1.0 - left) * 100.0,
                self.met(seen.window)
            );
            found.push(Finding::of(&EXHAUSTED, &self.name, summary).with("left", left));
        }
        found
    }

    fn met(&self, window: Option<Spent>) -> String {
        let good = window.and_then(|spent| spent.good());
        let good = good.map_or("nothing is known".to_owned(), |good| format!("{:.3} %", good * 100.0));
        format!("{good} of {:.3} %", self.target * 100.0)
    }

    fn burning(
        &self,
        rule: &Rule,
        (long, short): (Spent, Spent),
        seen: &Seen,
        open: &impl Fn(&str) -> bool,
    ) -> Option<Finding> {
        if seen.history < rule.long {
            return None;
        }
        let (Some(over_long), Some(over_short)) = (long.rate(self.target), short.rate(self.target)) else {
            let summary = format!("{}: nothing is known of the last while", self.name);
            return open(rule.doc.id)
                .then(|| Finding { measured: false, ..Finding::of(rule.doc, &self.name, summary) });
        };
        let limit = rule.rate * self.window.as_secs_f64() / MONTH.as_secs_f64();
        if over_long < limit || over_short < limit {
            return None;
        }
        let left =
            self.left(seen).map_or(String::new(), |left| format!(", {:.1} % of it is left", left * 100.0));
        let summary = format!(
            "{}: the error budget of {} goes {over_long:.1} times too fast over {} and {over_short:.1} times over {}{left}",
            self.name,
            HumanDuration(self.window),
            HumanDuration(rule.long),
            HumanDuration(rule.short),
        );
        let finding = Finding::of(rule.doc, &self.name, summary)
            .with("burn_rate", over_long)
            .with("burn_rate_short", over_short)
            .with("limit", limit);
        Some(finding)
    }
}

/// What is kept of one check for the objectives it belongs to: the last [`LOOK_BACK`].
#[derive(Clone, Debug)]
pub struct Track {
    clockwork: Clockwork,
    stretches: std::collections::VecDeque<Stretch>,
    parts: Vec<(Part, Window)>,
}

impl Track {
    /// Nothing yet; the latencies of these parts are wanted.
    pub fn new(parts: &[Part]) -> Self {
        let window = |part: &Part| (part.clone(), Window::new(LOOK_BACK));
        Self {
            clockwork: Clockwork::default(),
            stretches: std::collections::VecDeque::new(),
            parts: parts.iter().map(window).collect(),
        }
    }

    /// Forgets all results.
    pub fn clear(&mut self) {
        let parts: Vec<Part> = self.parts.iter().map(|(part, _)| part.clone()).collect();
        *self = Self::new(&parts);
    }

    /// Takes in a result.
    pub fn take(&mut self, at: jiff::Timestamp, run: Run<'_>, rules: Rules) {
        if run.recheck {
            return;
        }
        let standing = Standing::of(at, run.verdict);
        if let Some(stretch) = self.clockwork.next(standing, rules.every) {
            self.keep(stretch);
        }
        let parts = &mut self.parts;
        samples(run, rules, |part, sample: Sample| {
            if let Some((_, window)) = parts.iter_mut().find(|(wanted, _)| wanted == part) {
                window.take(standing.at, sample);
            }
        });
    }

    fn keep(&mut self, stretch: Stretch) {
        match self.stretches.back_mut() {
            Some(last) if last.up == stretch.up && last.to == stretch.from => last.to = stretch.to,
            _ => self.stretches.push_back(stretch),
        }
        let from = stretch.to.saturating_sub(i64::try_from(LOOK_BACK.as_millis()).unwrap_or(i64::MAX));
        while self.stretches.front().is_some_and(|oldest| oldest.to < from) {
            self.stretches.pop_front();
        }
    }

    /// What is bad of what is known since `from`, at `now` (milliseconds since the epoch).
    #[expect(clippy::cast_precision_loss, reason = "counts of samples fit a float")]
    pub fn spent(&self, of: &Promise, from: i64, now: i64, rules: Rules) -> Spent {
        match of {
            Promise::Availability => {
                let running = self.clockwork.until(now, rules.every);
                let stretches = self.stretches.iter().copied().chain(running);
                stretches.map(|stretch| within(stretch, from, now, &[])).sum::<Uptime>().into()
            }
            Promise::Latency { part, threshold } => {
                let Some((_, window)) = self.parts.iter().find(|(wanted, _)| wanted == part) else {
                    return Spent::default();
                };
                let (known, bad) = window.since(from, *threshold);
                Spent { bad: bad as f64, known: known as f64 }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::{Timings, Verdict};

    const EVERY: Rules = Rules { every: Duration::from_secs(60), timeout: Duration::from_secs(10) };
    const HOUR: i64 = 3_600_000;
    const START: i64 = 500_000 * HOUR;

    fn objective(window_days: u64) -> Objective {
        Objective {
            name: "up".into(),
            target: 0.999,
            window: Duration::from_secs(window_days * 86_400),
            of: Promise::Availability,
        }
    }

    /// Minutes of results, failing where `bad` says so, and what is seen after them.
    fn seen(minutes: i64, bad: impl Fn(i64) -> bool, of: &Promise) -> Seen {
        const TIMINGS: &Timings = &Timings::EMPTY;
        let mut track = Track::new(&[Part::Whole]);
        for minute in 0..minutes {
            let verdict = if bad(minute) { Verdict::Fail } else { Verdict::Pass };
            let took = Duration::from_millis(if bad(minute) { 900 } else { 100 });
            let verdict = if *of == Promise::Availability { verdict } else { Verdict::Pass };
            let at = Timestamp::from_millisecond(START + minute * 60_000).unwrap();
            track.take(at, Run { verdict, took, timings: TIMINGS, steps: &[], recheck: false }, EVERY);
        }
        let now = START + minutes * 60_000;
        let spent =
            |window: Duration| track.spent(of, now - i64::try_from(window.as_millis()).unwrap(), now, EVERY);
        Seen {
            window: Some(spent(LOOK_BACK)),
            rates: RULES.map(|rule| (spent(rule.long), spent(rule.short))),
            history: super::minutes(u64::try_from(minutes).unwrap()),
        }
    }

    fn ids(objective: &Objective, seen: &Seen) -> Vec<String> {
        let found = objective.judge(seen, |_| false);
        found
            .into_iter()
            .filter(|one| one.id.as_str() != "objective.exhausted")
            .map(|one| one.id.to_string())
            .collect()
    }

    #[test]
    fn an_outage_burns_fast_and_is_over_soon_after_it_is() {
        let up = |_| false;
        let down = |from: i64, to: i64| move |minute: i64| (from..to).contains(&minute);
        let of = Promise::Availability;
        assert!(ids(&objective(30), &seen(400, up, &of)).is_empty());
        // 14.4 × 0.1 % of an hour are 52 seconds.
        assert_eq!(ids(&objective(30), &seen(400, down(398, 400), &of)), ["objective.burn_fast"]);
        assert_eq!(
            ids(&objective(30), &seen(400, down(390, 400), &of)),
            ["objective.burn_fast", "objective.burn_slow"]
        );
        assert!(
            !ids(&objective(30), &seen(400, down(380, 394), &of)).contains(&"objective.burn_fast".into())
        );
    }

    #[test]
    fn a_little_all_the_time_burns_slowly() {
        // One minute of an hour: 16.7 times too fast, but for the last five minutes.
        let now_and_then = |minute: i64| minute % 60 == 40;
        let seen = seen(420, now_and_then, &Promise::Availability);
        let found = ids(&objective(30), &seen);
        assert_eq!(found, ["objective.burn_slow"]);
    }

    #[test]
    fn rates_are_scaled_so_that_a_short_window_has_the_same_share() {
        let down = |minute: i64| minute >= 399;
        let month = seen(400, down, &Promise::Availability);
        assert_eq!(ids(&objective(30), &month), ["objective.burn_fast"]);
        assert!(ids(&objective(90), &month).is_empty(), "a third of the share");
    }

    #[test]
    fn without_an_hour_of_history_nothing_is_said() {
        let of = Promise::Availability;
        assert!(ids(&objective(30), &seen(59, |_| true, &of)).is_empty());
        assert_eq!(ids(&objective(30), &seen(61, |_| true, &of)), ["objective.burn_fast"]);
    }

    #[test]
    fn slow_runs_burn_an_objective_of_latency_and_what_is_down_does_not() {
        let of = Promise::Latency { part: Part::Whole, threshold: Duration::from_millis(500) };
        let objective = Objective { of: of.clone(), target: 0.95, ..objective(30) };
        let seen = seen(400, |minute| minute >= 330, &of);
        assert_eq!(ids(&objective, &seen), ["objective.burn_fast"]);
        assert_eq!(seen.rates[0].0, Spent { bad: 60.0, known: 60.0 });
    }

    #[test]
    fn what_is_left_of_the_budget_goes_below_nothing() {
        let half = Seen { window: Some(Spent { bad: 0.5, known: 1_000.0 }), ..Seen::default() };
        assert!((objective(30).left(&half).unwrap() - 0.5).abs() < 1e-9);
        let over = Seen { window: Some(Spent { bad: 2.0, known: 1_000.0 }), ..Seen::default() };
        assert!((objective(30).left(&over).unwrap() + 1.0).abs() < 1e-9);
        let found = objective(30).judge(&over, |_| false);
        assert_eq!((found[0].id.as_str(), found[0].alerts()), ("objective.exhausted", false));
        assert_eq!(objective(30).left(&Seen::default()), None);
    }

    #[test]
    fn what_is_open_and_unknown_now_stays_open() {
        let seen = Seen { history: minutes(900), ..Seen::default() };
        let found = objective(30).judge(&seen, |id| id == "objective.burn_fast");
        assert_eq!((found.len(), found[0].measured), (1, false));
    }
}
