//! Latency budgets: whether a quantile is over its limit, beyond doubt.
//!
//! - A budget is exceeded once so many samples of its window took longer than the limit that chance
//!   hardly explains it ([`SIGNIFICANCE`](super::chance::SIGNIFICANCE)): the lower confidence bound of the quantile lies
//!   beyond the limit. It is met again once the quantile itself is within it, so that what hovers about
//!   the limit is told once.
//! - Fewer samples than `min_samples` say nothing; what was over budget then stays open, unmeasured.
//! - A spike is a p95 that is much beyond that of the same hour of the past four weeks, the slowest of
//!   them left out, with the same certainty.

use std::time::Duration;

use super::chance::clearly_more;
use super::samples::{Rules, Run, samples};
use super::sketch::{Quantile, Sketch};
use super::window::Window;
use crate::model::latency::Budget;
use crate::model::{Confirm, Finding, FindingDoc, HumanDuration, Part, Severity, Verdict};

const AT_ONCE: Confirm = Confirm { failures: 1, successes: 1, recheck: None };

/// What budgets can find, whatever the kind of the check.
pub const FINDINGS: &[FindingDoc] = &[OVER_BUDGET, SPIKE];

const OVER_BUDGET: FindingDoc = FindingDoc {
    id: "latency.over_budget",
    severity: Severity::Warning,
    broken: false,
    meaning: "A percentile of the durations in the budget's window is over its limit, beyond what chance explains.",
    why: "The page works and people wait. With `latency.fail: true` that counts as broken.",
    fix: "Look which phase or step takes the time (`portalwatch report latency NAME`). If the target is meant to be this slow, raise the budget.",
    reference: None,
    confirm: Some(AT_ONCE),
};

const SPIKE: FindingDoc = FindingDoc {
    id: "latency.spike",
    severity: Severity::Warning,
    broken: false,
    meaning: "The 95th percentile is more than half again of what it was at the same hour of the past four weeks (the slowest of them left out), beyond what chance explains.",
    why: "Something changed, though the budget still holds: a release, a missing index, a noisy neighbour.",
    fix: "Compare with what was changed since. `latency: {spike: false}` turns the comparison off.",
    reference: None,
    confirm: Some(AT_ONCE),
};

/// Whether what makes a result a failure is what budgets found and nothing else: people were served, slowly.
pub fn is_too_slow_alone(verdict: Verdict, findings: &[Finding]) -> bool {
    let is_own = |finding: &Finding| FINDINGS.iter().any(|doc| doc.id == finding.id.as_str());
    let mut broken = findings.iter().filter(|finding| finding.measured && finding.broken).peekable();
    verdict == Verdict::Fail && broken.peek().is_some() && broken.all(is_own)
}

/// The quantile that is compared with the weeks before.
const SPIKE_QUANTILE: f64 = 0.95;
/// How much slower is much slower; what differs by less than [`NOTICEABLE`] never is.
const FACTOR: f64 = 1.5;
const NOTICEABLE: Duration = Duration::from_millis(50);

/// Of so many of the past four weeks the hour must be known to be compared with.
const WEEKS: usize = 3;

/// What a part took at this hour of the past four weeks: its p95 in the slowest but one of them, so that
/// neither a bad week passes for the usual nor a quiet one. `None` if too few of them are known.
pub fn usual<'s>(weeks: impl IntoIterator<Item = &'s Sketch>) -> Option<Quantile> {
    let mut weeks: Vec<_> = weeks.into_iter().filter_map(|week| week.quantile(SPIKE_QUANTILE)).collect();
    weeks.sort_by_key(|week| std::cmp::Reverse(week.value));
    weeks.get(1).copied().filter(|_| weeks.len() >= WEEKS)
}

/// The budgets of one check, and the samples they are judged by.
#[derive(Clone, Debug)]
pub struct Watch(Vec<Watched>);

#[derive(Clone, Debug)]
struct Watched {
    budget: Budget,
    window: Window,
    /// By limit, whether it is exceeded.
    over: Vec<bool>,
    /// What the part took at this hour of the weeks before.
    usual: Option<Quantile>,
    spiking: bool,
}

impl Watch {
    /// The budgets of a check, without samples; `None` if it has none. `before` is what the last result
    /// found: what is open stays so until it is measured.
    pub fn new(budgets: &[Budget], before: &[Finding]) -> Option<Self> {
        let open = |id: &str, subject: &str| {
            before.iter().any(|finding| finding.id.as_str() == id && finding.subject == subject)
        };
        let watched = |budget: &Budget| Watched {
            window: Window::new(budget.window),
            over: budget
                .limits
                .iter()
                .map(|(q, _)| open(OVER_BUDGET.id, &subject(*q, &budget.part)))
                .collect(),
            usual: None,
            spiking: open(SPIKE.id, &subject(SPIKE_QUANTILE, &budget.part)),
            budget: budget.clone(),
        };
        (!budgets.is_empty()).then(|| Self(budgets.iter().map(watched).collect()))
    }

    /// The longest window.
    pub fn longest(&self) -> Duration {
        self.0.iter().map(|watched| watched.budget.window).max().unwrap_or_default()
    }

    /// The window of the whole run's budget.
    pub fn of_whole(&self) -> Option<(&Window, Duration)> {
        let whole = self.0.iter().find(|watched| watched.budget.part == Part::Whole)?;
        Some((&whole.window, whole.budget.window))
    }

    /// Sets what a part took at this hour of the weeks before ([`usual`]); `None` if too few are known.
    pub fn set_usual(&mut self, part: &Part, usual: Option<Quantile>) {
        for watched in self.0.iter_mut().filter(|watched| watched.budget.part == *part) {
            watched.usual = usual;
        }
    }

    /// Goes over to the samples of another one and keeps what is open and usual here.
    pub fn refill<'r>(&mut self, runs: impl Iterator<Item = (i64, Run<'r>)>, rules: Rules) {
        for watched in &mut self.0 {
            watched.window = Window::new(watched.budget.window);
        }
        runs.for_each(|(at, run)| self.take(at, run, rules));
    }

    /// Takes in a run that started at `at` (milliseconds since the epoch).
    pub fn take(&mut self, at: i64, run: Run<'_>, rules: Rules) {
        samples(run, rules, |part, sample| {
            for watched in self.0.iter_mut().filter(|watched| watched.budget.part == *part) {
                watched.window.take(at, sample);
            }
        });
    }

    /// What there is to say at `now` (milliseconds since the epoch).
    pub fn judge(&mut self, now: i64) -> Vec<Finding> {
        self.0.iter_mut().flat_map(|watched| watched.judge(now)).collect()
    }
}

/// What a finding is about: it must not change while the thing stays the same.
fn subject(q: f64, part: &Part) -> String {
    let name = name(q);
    match part {
        Part::Whole => name,
        part => format!("{name} of {part}"),
    }
}

/// `p95`, or `max`.
pub fn name(q: f64) -> String {
    if q >= 1.0 { "max".to_owned() } else { format!("p{}", (q * 1_000.0).round() / 10.0) }
}

/// A duration for people, to three digits.
pub fn told(took: Duration) -> String {
    let micros = took.as_micros();
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..100_000 => format!("{:.1} ms", took.as_secs_f64() * 1e3),
        100_000..10_000_000 => format!("{:.0} ms", took.as_secs_f64() * 1e3),
        _ => format!("{:.1} s", took.as_secs_f64()),
    }
}

fn told_quantile(quantile: Quantile) -> String {
    let least = if quantile.at_least { "at least " } else { "" };
    format!("{least}{}", told(quantile.value))
}

impl Watched {
    fn judge(&mut self, now: i64) -> Vec<Finding> {
        self.window.expire(now);
        let mut found = Vec::new();
        for index in 0..self.over.len() {
            found.extend(self.judge_limit(index));
        }
        found.extend(self.judge_spike());
        found
    }

    fn enough(&self) -> bool {
        self.window.count() >= u64::from(self.budget.min_samples)
    }

    /// What stays open since nobody can say whether it is over.
    fn unmeasured(&self, doc: &'static FindingDoc, subject: String) -> Finding {
        let why = if self.enough() {
            "of the past four weeks too few are known at this hour to compare with".to_owned()
        } else {
            format!(
                "{} samples in the last {} are too few to say whether it is fast again",
                self.window.count(),
                HumanDuration(self.budget.window)
            )
        };
        Finding { measured: false, ..self.weighed(Finding::of(doc, subject, why)) }
    }

    fn weighed(&self, finding: Finding) -> Finding {
        if self.budget.fail && finding.id.as_str() == OVER_BUDGET.id {
            return Finding { severity: Severity::Critical, broken: true, ..finding };
        }
        finding
    }

    fn judge_limit(&mut self, index: usize) -> Option<Finding> {
        let (q, limit) = *self.budget.limits.get(index)?;
        let subject = subject(q, &self.budget.part);
        let before = self.over.get(index).copied().unwrap_or_default();
        if !self.enough() {
            return before.then(|| self.unmeasured(&OVER_BUDGET, subject));
        }
        let (count, beyond) = (self.window.count(), self.window.beyond(limit));
        let [quantile] = self.window.quantiles([q])?;
        let over = if before { quantile.value > limit } else { clearly_more(beyond, count, 1.0 - q) };
        if let Some(place) = self.over.get_mut(index) {
            *place = over;
        }
        over.then(|| {
            let bound = self.window.lower_bound(q);
            let sure = bound.map(|bound| format!(" (99 % sure: over {})", told(bound))).unwrap_or_default();
            let summary = format!(
                "{subject} of the last {} is {}{sure}, over the budget of {}: {beyond} of {count} took longer",
                HumanDuration(self.budget.window),
                told_quantile(quantile),
                HumanDuration(limit),
            );
            let finding = Finding::of(&OVER_BUDGET, subject, summary)
                .with("quantile", q)
                .with("seconds", quantile.value.as_secs_f64())
                .with("at_least", quantile.at_least)
                .with("budget_seconds", limit.as_secs_f64())
                .with("samples", count)
                .with("beyond", beyond)
                .with("window_seconds", self.budget.window.as_secs());
            self.weighed(match bound {
                Some(bound) => finding.with("lower_bound_seconds", bound.as_secs_f64()),
                None => finding,
            })
        })
    }

    fn judge_spike(&mut self) -> Option<Finding> {
        let subject = subject(SPIKE_QUANTILE, &self.budget.part);
        let Some(usual) = self.usual.filter(|_| self.budget.spike && self.enough()) else {
            let open = self.spiking && self.budget.spike;
            return open.then(|| self.unmeasured(&SPIKE, subject));
        };
        let limit = usual.value.mul_f64(FACTOR).max(usual.value + NOTICEABLE);
        let (count, beyond) = (self.window.count(), self.window.beyond(limit));
        let [quantile] = self.window.quantiles([SPIKE_QUANTILE])?;
        self.spiking = if self.spiking {
            quantile.value > limit
        } else {
            clearly_more(beyond, count, 1.0 - SPIKE_QUANTILE)
        };
        self.spiking.then(|| {
            let summary = format!(
                "{subject} of the last {} is {}; at this hour of the past four weeks it was {}",
                HumanDuration(self.budget.window),
                told_quantile(quantile),
                told_quantile(usual),
            );
            Finding::of(&SPIKE, subject, summary)
                .with("seconds", quantile.value.as_secs_f64())
                .with("usual_seconds", usual.value.as_secs_f64())
                .with("samples", count)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Timings, Verdict};

    const RULES: Rules = Rules { every: Duration::from_secs(30), timeout: Duration::from_secs(10) };
    const TIMINGS: &Timings = &Timings::EMPTY;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn budget(q: f64, millis: u64) -> Budget {
        Budget {
            part: Part::Whole,
            limits: vec![(q, ms(millis))],
            window: Duration::from_secs(900),
            min_samples: 20,
            fail: false,
            spike: true,
        }
    }

    fn watch(budget: &Budget) -> Watch {
        Watch::new(std::slice::from_ref(budget), &[]).unwrap()
    }

    fn run<'r>(verdict: Verdict, took: Duration) -> Run<'r> {
        Run { verdict, took, timings: TIMINGS, steps: &[], recheck: false, too_slow: false }
    }

    /// Runs every 30 s of these durations (ms), and what was found after each.
    fn found(watch: &mut Watch, from: i64, runs: impl IntoIterator<Item = u64>) -> Vec<Vec<Finding>> {
        let mut all = Vec::new();
        for (index, millis) in (0..).zip(runs) {
            let at = from + index * 30_000;
            watch.take(at, run(Verdict::Pass, ms(millis)), RULES);
            all.push(watch.judge(at));
        }
        all
    }

    fn ids(found: &[Vec<Finding>]) -> Vec<usize> {
        found.iter().map(Vec::len).collect()
    }

    #[test]
    fn one_slow_run_is_no_breach_of_a_p95_and_many_are() {
        let mut one = watch(&budget(0.95, 500));
        let slow_once = (0..60).map(|run| if run % 30 == 7 { 3_000 } else { 100 });
        assert_eq!(ids(&found(&mut one, 0, slow_once)), [0; 60]);
        let mut many = watch(&budget(0.95, 500));
        let seen = found(&mut many, 0, (0..60).map(|run| if run % 3 == 0 { 700 } else { 100 }));
        let first = seen.iter().position(|found| !found.is_empty()).unwrap();
        assert!((19..30).contains(&first), "{first}");
        let finding = &seen[first][0];
        assert_eq!((finding.id.as_str(), finding.subject.as_str()), ("latency.over_budget", "p95"));
        assert!(finding.summary.contains("over the budget of 500ms"), "{}", finding.summary);
        assert_eq!((finding.severity, finding.broken), (Severity::Warning, false));
    }

    #[test]
    fn what_hovers_about_the_limit_is_told_once_and_over_when_it_is_within() {
        let mut watch = watch(&budget(0.5, 500));
        let runs =
            std::iter::repeat_n(700, 30).chain((0..30).map(|run| if run % 2 == 0 { 499 } else { 501 }));
        let seen = found(&mut watch, 0, runs.chain(std::iter::repeat_n(100, 40)));
        let told: Vec<bool> = seen.iter().map(|found| !found.is_empty()).collect();
        let turns = told.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert_eq!((told[0], told[99], turns), (false, false, 2), "{told:?}");
    }

    #[test]
    fn runs_that_were_cut_off_count_and_fast_failures_do_not() {
        let mut slow = watch(&budget(0.95, 500));
        for at in 0..30 {
            slow.take(at * 30_000, run(Verdict::Fail, Duration::from_secs(10)), RULES);
        }
        let found = slow.judge(29 * 30_000);
        assert!(found[0].summary.contains("at least 10.0 s"), "{}", found[0].summary);
        let mut down = watch(&budget(0.95, 500));
        for at in 0..30 {
            down.take(at * 30_000, run(Verdict::Fail, ms(2)), RULES);
        }
        assert!(down.judge(29 * 30_000).is_empty(), "what is down is not slow");
    }

    #[test]
    fn too_few_samples_close_nothing() {
        let mut watch = watch(&budget(0.95, 500));
        let seen = found(&mut watch, 0, std::iter::repeat_n(900, 30));
        assert!(seen[29][0].measured);
        let later = watch.judge(29 * 30_000 + 880_000);
        assert!(!later[0].measured && later[0].summary.contains("too few"), "{later:?}");
        let again = Watch::new(&[budget(0.95, 500)], &seen[29]).unwrap().judge(0);
        assert!(!again[0].measured, "nor does a restart");
        assert_eq!(again[0].key(), seen[29][0].key());
    }

    #[test]
    fn a_budget_may_fail_the_check() {
        let mut watch = watch(&Budget { fail: true, ..budget(1.0, 500) });
        let seen = found(&mut watch, 0, std::iter::repeat_n(100, 20).chain([501]));
        assert_eq!((seen[19].len(), seen[20].len()), (0, 1));
        assert!(seen[20][0].broken);
        assert_eq!(seen[20][0].subject, "max");
    }

    #[test]
    fn a_spike_is_slower_than_the_weeks_before_and_not_than_a_limit() {
        let usual = Some(Quantile { value: ms(108), at_least: false });
        let spiking = |runs: u64| {
            let mut watch = watch(&budget(0.95, 5_000));
            watch.set_usual(&Part::Whole, usual);
            found(&mut watch, 0, std::iter::repeat_n(runs, 30)).pop().unwrap()
        };
        assert!(spiking(150).is_empty(), "not much slower");
        let found = spiking(400);
        assert_eq!((found[0].id.as_str(), found[0].subject.as_str()), ("latency.spike", "p95"));
        assert!(found[0].summary.contains("at this hour of the past four weeks"), "{}", found[0].summary);
        let mut off = watch(&Budget { spike: false, ..budget(0.95, 5_000) });
        off.set_usual(&Part::Whole, usual);
        assert!(self::found(&mut off, 0, std::iter::repeat_n(400, 30)).pop().unwrap().is_empty());
    }

    #[test]
    fn one_bad_week_does_not_hide_a_spike_and_unknown_weeks_do_not_end_one() {
        let week = |millis: u64| {
            let mut week = Sketch::default();
            (0..100).for_each(|sample| week.add(ms(millis + sample % 20), false, 1));
            week
        };
        let weeks = [week(100), week(9_000), week(100), week(90)];
        let told = usual(&weeks).unwrap();
        assert!((ms(117)..ms(121)).contains(&told.value), "{told:?}");
        assert_eq!(usual(&weeks[..2]), None, "two of four weeks");
        let mut watch = watch(&budget(0.95, 5_000));
        watch.set_usual(&Part::Whole, Some(told));
        assert_eq!(found(&mut watch, 0, std::iter::repeat_n(400, 30))[29].len(), 1);
        watch.set_usual(&Part::Whole, None);
        let open = &watch.judge(29 * 30_000)[0];
        assert!(
            !open.measured && open.summary.contains("of the past four weeks too few"),
            "{}",
            open.summary
        );
    }

    #[test]
    fn steps_have_budgets_of_their_own() {
        let part = Part::Step("sign in".into());
        let mut watch = watch(&Budget { part, ..budget(0.5, 100) });
        let steps = [crate::model::StepTime { name: "sign in".into(), took: ms(300) }];
        for at in 0..30 {
            let run = Run { steps: &steps, ..run(Verdict::Pass, ms(310)) };
            watch.take(at * 30_000, run, RULES);
        }
        assert_eq!(watch.judge(29 * 30_000)[0].subject, "p50 of step \"sign in\"");
    }

    #[test]
    fn durations_are_told_to_three_digits() {
        let all = [ms(0), Duration::from_micros(812), ms(7), ms(640), ms(12_340)].map(told);
        assert_eq!(all, ["0 µs", "812 µs", "7.0 ms", "640 ms", "12.3 s"]);
    }
}
