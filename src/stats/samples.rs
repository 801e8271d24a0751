//! What of a run is a sample of how long users wait.
//!
//! - A run that passed or warned is one sample of the whole, of each of its phases and steps; so is one
//!   that its latency budgets alone made a failure.
//! - A run that failed *fast* is none: an error page says nothing of how long the page takes. One that
//!   failed after its `timeout` is counted as at least that long (censored), and so is the step it
//!   ended in and its longest phase; what was done before that is a sample like any other.
//! - What could not be measured is none. So is a re-check: it comes when things are bad, and would
//!   weigh bad times more.
//! - Coordinated omission: due times that passed while a run was still going had no run of their own.
//!   Whoever had come then would have waited until its end, so each counts as such a sample, censored
//!   if the run was; what is left below an interval is no wait worth telling (as HdrHistogram has it).

use std::time::Duration;

use super::budget::is_too_slow_alone;
use crate::model::{Outcome, Part, StepTime, Timings, Verdict};

/// Due times within one run that are made up for: a run has a deadline.
const MADE_UP: u32 = 1_000;

/// One sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// How long it took.
    pub took: Duration,
    /// It was at least this long: the run was cut off.
    pub censored: bool,
}

/// What of a check's settings decides about its samples and how long its results stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The interval.
    pub every: Duration,
    /// Bounds one operation.
    pub timeout: Duration,
}

/// What is known of a run, live or recorded.
#[derive(Clone, Copy, Debug)]
pub struct Run<'r> {
    /// What it came to.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
    /// Its phases.
    pub timings: &'r Timings,
    /// Its steps, those that were begun, in their order.
    pub steps: &'r [StepTime],
    /// It was a re-check.
    pub recheck: bool,
    /// It failed by its latency budgets alone ([`is_too_slow_alone`]).
    pub too_slow: bool,
}

impl<'r> From<&'r Outcome> for Run<'r> {
    fn from(outcome: &'r Outcome) -> Self {
        Self {
            verdict: outcome.verdict,
            took: outcome.took,
            timings: &outcome.timings,
            steps: &outcome.steps,
            recheck: outcome.recheck,
            too_slow: is_too_slow_alone(outcome.verdict, &outcome.findings),
        }
    }
}

/// Calls `take` with each sample of a run, in no promised order.
pub fn samples(run: Run<'_>, rules: Rules, mut take: impl FnMut(&Part, Sample)) {
    let cut = match run.verdict {
        _ if run.recheck => return,
        Verdict::Unknown => return,
        Verdict::Fail if run.too_slow => false,
        Verdict::Fail if run.took < rules.timeout => return,
        Verdict::Fail => true,
        Verdict::Pass | Verdict::Warn => false,
    };
    take(&Part::Whole, Sample { took: run.took, censored: cut });
    for missed in 1..=MADE_UP {
        let Some(waited) = run.took.checked_sub(rules.every.saturating_mul(missed)) else { break };
        if waited < rules.every || rules.every.is_zero() {
            break;
        }
        take(&Part::Whole, Sample { took: waited, censored: cut });
    }
    let longest = run.timings.iter().map(|(_, took)| took).max();
    for (phase, took) in run.timings.iter() {
        take(&Part::Phase(phase), Sample { took, censored: cut && Some(took) == longest });
    }
    let last = run.steps.len().saturating_sub(1);
    for (index, step) in run.steps.iter().enumerate() {
        let ended_here = cut && index == last;
        if ended_here && step.took < rules.timeout {
            continue;
        }
        take(&Part::Step(step.name.clone()), Sample { took: step.took, censored: ended_here });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Phase;

    const RULES: Rules = Rules { every: Duration::from_secs(60), timeout: Duration::from_secs(10) };

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn of(run: Run<'_>, rules: Rules) -> Vec<(String, u64, bool)> {
        let mut all = Vec::new();
        samples(run, rules, |part, sample| {
            all.push((part.to_string(), u64::try_from(sample.took.as_millis()).unwrap(), sample.censored));
        });
        all
    }

    fn run<'r>(verdict: Verdict, took: Duration, timings: &'r Timings, steps: &'r [StepTime]) -> Run<'r> {
        Run { verdict, took, timings, steps, recheck: false, too_slow: false }
    }

    #[test]
    fn a_good_run_is_a_sample_of_all_its_parts() {
        let mut timings = Timings::default();
        timings.add(Phase::Ttfb, ms(30));
        let steps = [StepTime { name: "sign in".into(), took: ms(40) }];
        let expected = [
            ("whole run".to_owned(), 50, false),
            ("phase ttfb".to_owned(), 30, false),
            ("step \"sign in\"".to_owned(), 40, false),
        ];
        assert_eq!(of(run(Verdict::Pass, ms(50), &timings, &steps), RULES), expected);
        assert_eq!(of(run(Verdict::Warn, ms(50), &timings, &steps), RULES).len(), 3);
    }

    #[test]
    fn an_error_page_at_once_makes_nothing_faster() {
        let timings = Timings::default();
        assert!(of(run(Verdict::Fail, ms(3), &timings, &[]), RULES).is_empty());
        assert!(of(run(Verdict::Unknown, ms(20_000), &timings, &[]), RULES).is_empty());
        let recheck = Run { recheck: true, ..run(Verdict::Pass, ms(3), &timings, &[]) };
        assert!(of(recheck, RULES).is_empty());
    }

    #[test]
    fn a_timeout_took_at_least_as_long_as_we_waited() {
        let mut timings = Timings::default();
        timings.add(Phase::Connect, ms(20));
        timings.add(Phase::Ttfb, ms(10_000));
        let step = |name: &str, millis| StepTime { name: name.into(), took: ms(millis) };
        let steps = [step("first", 5), step("last", 10_000)];
        let expected = [
            ("whole run".to_owned(), 10_025, true),
            ("phase connect".to_owned(), 20, false),
            ("phase ttfb".to_owned(), 10_000, true),
            ("step \"first\"".to_owned(), 5, false),
            ("step \"last\"".to_owned(), 10_000, true),
        ];
        assert_eq!(of(run(Verdict::Fail, ms(10_025), &timings, &steps), RULES), expected);
    }

    #[test]
    fn due_times_within_a_long_run_are_made_up_for() {
        let rules = Rules { every: Duration::from_secs(1), ..RULES };
        let timings = Timings::default();
        let whole: Vec<_> = of(run(Verdict::Pass, ms(3_500), &timings, &[]), rules);
        assert_eq!(whole.iter().map(|sample| sample.1).collect::<Vec<_>>(), [3_500, 2_500, 1_500]);
        let hung = of(run(Verdict::Fail, ms(1_002), &timings, &[]), Rules { timeout: ms(1_000), ..rules });
        assert_eq!(hung, [("whole run".to_owned(), 1_002, true)], "a timeout as long as the interval");
        let none = Rules { every: Duration::ZERO, ..RULES };
        assert_eq!(of(run(Verdict::Pass, ms(3_500), &timings, &[]), none).len(), 1);
    }
}
