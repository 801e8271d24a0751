//! Objectives: how much of what is promised is used up, and how fast.
//!
//! The *error budget* of a target of 99.9 % over 30 days is a thousandth of these 30 days (or of the runs
//! that fit into them). The *burn rate* is how many times faster than evenly it is used up: at 1 it lasts
//! exactly for the window. Both are measured against the whole of a window: time of which nothing is known
//! uses up nothing, and the little that is known right after a start does not stand for the rest.
//!
//! Two rules page (Site Reliability Workbook, chapter 5): 14.4 over an hour and over five minutes, which is
//! 2 % of a month's budget in an hour, and 6 over six hours and over thirty minutes, 5 % in six hours. The
//! short window makes them end soon after the trouble does. For windows other than 30 days it is the share
//! of the budget that stays the same: the long window is about in proportion, and the rate is what uses up
//! this share in it.

use std::time::Duration;

use super::chance::clearly_more;
use super::uptime::Uptime;
use crate::model::{Confirm, Finding, FindingDoc, HumanDuration, Part, Severity};

const AT_ONCE: Confirm = Confirm { failures: 1, successes: 1, recheck: None };

/// What objectives can find.
pub const FINDINGS: &[FindingDoc] = &[FAST, SLOW, EXHAUSTED];

const FAST: FindingDoc = FindingDoc {
    id: "objective.burn_fast",
    severity: Severity::Critical,
    broken: false,
    meaning: "A fiftieth of the error budget of an objective went within an hour (of a window of 30 days; for others in proportion).",
    why: "What is promised over the whole window is gone within a fifteenth of it if it goes on like this: two days of a month.",
    fix: "Look at the open incidents of its checks; `portalwatch report uptime` and `report latency` say which of them it is.",
    reference: Some("Site Reliability Workbook, chapter 5"),
    confirm: Some(AT_ONCE),
};

const SLOW: FindingDoc = FindingDoc {
    id: "objective.burn_slow",
    severity: Severity::Warning,
    broken: false,
    meaning: "A twentieth of the error budget of an objective went within six hours (of a window of 30 days; for others in proportion).",
    why: "What is promised over the whole window is gone within a sixth of it if it goes on like this: five days of a month.",
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

/// A rule about burn rates, for one objective.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The long window.
    pub long: Duration,
    /// The short one.
    pub short: Duration,
    /// The rate that both must reach, at least 1 and never more than there can be.
    pub limit: f64,
    doc: &'static FindingDoc,
}

/// How many rules an objective has.
pub const RULES: usize = 2;

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

const fn days(days: u64) -> Duration {
    minutes(days * 24 * 60)
}

/// The windows of the rules, long and short, fast and slow.
type Windows = [(Duration, Duration); RULES];

/// They, by the least length of an objective's window. Below a week the long ones are longer than in
/// proportion: two minutes of a day hold too few runs.
const WINDOWS: [(Duration, Windows); 5] = [
    (days(90), [(minutes(180), minutes(15)), (minutes(1_080), minutes(90))]),
    (days(28), [(minutes(60), minutes(5)), (minutes(360), minutes(30))]),
    (days(14), [(minutes(30), minutes(3)), (minutes(180), minutes(15))]),
    (days(7), [(minutes(15), minutes(2)), (minutes(90), minutes(10))]),
    (days(1), SHORTEST),
];
const SHORTEST: Windows = [(minutes(10), minutes(1)), (minutes(60), minutes(5))];
/// The share of the budget that is used up in the long window before a rule tells, and what it tells.
const SHARES: [(f64, &FindingDoc); RULES] = [(0.02, &FAST), (0.05, &SLOW)];
/// Of the rate of a total outage: a rule that needs more of it would hardly ever tell.
const REACH: f64 = 0.8;
/// So many bad results are needed before a rule tells. One may be anything.
const LEAST: u64 = 2;
/// Where a smaller share of the window is known, it is said how much.
const ALL_KNOWN: f64 = 0.99;

/// What is bad of what is known: milliseconds, or runs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// Bad.
    pub bad: f64,
    /// Known.
    pub known: f64,
    /// What would be known if nothing was missing.
    pub whole: f64,
    /// How many bad results it rests on, re-checks among them, where that is counted.
    pub results: u64,
}

impl Spent {
    /// Adds another part.
    pub fn add(&mut self, other: Self) {
        self.bad += other.bad;
        self.known += other.known;
        self.whole += other.whole;
        self.results += other.results;
    }

    /// The share of what is known that is good; `None` where nothing is.
    pub fn good(&self) -> Option<f64> {
        (self.known > 0.0).then(|| 1.0 - self.bad / self.known)
    }

    /// How many times faster than evenly the budget of the whole is used up; `None` where nothing is
    /// known.
    pub fn rate(&self, target: f64) -> Option<f64> {
        (self.known > 0.0).then(|| self.bad / self.all() / (1.0 - target))
    }

    /// What there is or should be: runs that were made up for may be more than those that fit.
    fn all(&self) -> f64 {
        self.known.max(self.whole)
    }

    /// Known time, of so many milliseconds.
    pub fn of(uptime: Uptime, whole: u64) -> Self {
        let (up, down) = (uptime.up as f64, uptime.down as f64);
        Self { bad: down, known: up + down, whole: whole as f64, results: 0 }
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
    /// By rule of [`Objective::rules`], over the long window and over the short one.
    pub rates: [(Spent, Spent); RULES],
    /// Since when its checks are watched.
    pub history: Duration,
}

impl Objective {
    /// The rules about its burn rates.
    pub fn rules(&self) -> [Rule; RULES] {
        let windows = WINDOWS.iter().find(|(least, _)| self.window >= *least);
        let windows = windows.map_or(SHORTEST, |(_, windows)| *windows);
        std::array::from_fn(|index| {
            let ((long, short), (share, doc)) = (windows[index], SHARES[index]);
            let rate = share * self.window.as_secs_f64() / long.as_secs_f64();
            let outage = 1.0 / (1.0 - self.target);
            Rule { long, short, limit: rate.min(REACH * outage).max(1.0), doc }
        })
    }

    /// How far back its burn rates look.
    pub fn look_back(&self) -> Duration {
        self.rules().map(|rule| rule.long).into_iter().max().unwrap_or_default()
    }

    /// The ids of the findings that cannot come, since its checks, which run this often, run too seldom
    /// to tell slow from chance.
    pub fn out_of_reach(&self, every: &[Duration]) -> Vec<(&'static str, Duration)> {
        if self.of == Promise::Availability {
            // A result stands until the next one, and re-checks confirm it.
            return Vec::new();
        }
        let runs = |long: Duration| -> u64 {
            let of = |every: &Duration| long.as_millis().checked_div(every.as_millis()).unwrap_or(0);
            u64::try_from(every.iter().map(of).sum::<u128>()).unwrap_or(u64::MAX)
        };
        let rules = self.rules().into_iter();
        let out = rules.filter(|rule| {
            // More of them change nothing.
            let all = runs(rule.long).min(1_000);
            !self.beyond_chance(&Spent { known: all as f64, results: all, ..Spent::default() })
        });
        out.map(|rule| (rule.doc.id, rule.long)).collect()
    }

    /// The share of the error budget that is left: 1 if nothing was bad, negative if it is overdrawn.
    pub fn left(&self, seen: &Seen) -> Option<f64> {
        Some(1.0 - seen.window?.rate(self.target)?)
    }

    /// How much of its window is known, where that is clearly not all of it.
    pub fn watched(&self, window: &Spent) -> Option<String> {
        let share = window.known / window.whole;
        (share < ALL_KNOWN).then(|| {
            let known = self.window.mul_f64(share.max(0.0)).as_secs();
            let unit = match known {
                0..60 => 1,
                60..86_400 => 60,
                _ => 3_600,
            };
            let known = HumanDuration(Duration::from_secs(known - known % unit));
            format!("watched for {known} of {}", HumanDuration(self.window))
        })
    }

    /// What is wrong. `open` says whether a finding of this id is open: what is open and cannot be
    /// measured stays.
    pub fn judge(&self, seen: &Seen, open: impl Fn(&str) -> bool) -> Vec<Finding> {
        let mut found: Vec<Finding> = self
            .rules()
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
        format!("{good} of {:.3} %{}", self.target * 100.0, self.aside(window))
    }

    fn aside(&self, window: Option<Spent>) -> String {
        let watched = window.and_then(|window| self.watched(&window));
        watched.map_or(String::new(), |watched| format!(" ({watched})"))
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
        if over_long < rule.limit || over_short < rule.limit {
            return None;
        }
        if !open(rule.doc.id) && !self.beyond_chance(&long) {
            return None;
        }
        let left = self.left(seen).map_or(String::new(), |left| {
            format!(", {:.1} % of it is left{}", left * 100.0, self.aside(seen.window))
        });
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
            .with("limit", rule.limit);
        Some(finding)
    }

    /// Whether what is bad is more than one result, and of runs more than the target lets happen by
    /// chance.
    fn beyond_chance(&self, long: &Spent) -> bool {
        let clear = match self.of {
            Promise::Availability => true,
            Promise::Latency { .. } => {
                clearly_more(long.results, (long.all().ceil() as u64).max(long.results), 1.0 - self.target)
            }
        };
        clear && long.results >= LEAST
    }
}

#[cfg(test)]
mod tests;
