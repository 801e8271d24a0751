//! How fast a check is over time: its latency budgets, and the figures that are exposed of it.
//!
//! Between runs it lives here; at the start of the daemon, and after a reload, it is filled from what
//! is recorded ([`Update::Past`]). Results that came meanwhile may not be recorded yet when the past is
//! read, so the latest are kept and taken in once more.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::{CheckId, Finding, Outcome, Part, Verdict};
use crate::plan::PlannedCheck;
use crate::record::Ran;
use crate::stats::budget::Watch;
use crate::stats::objective::{Promise, Spent};
use crate::stats::recent::{Base, Figures, Recent, latency};
use crate::stats::samples::{Rules, Run};
use crate::stats::sketch::Sketch;
use crate::stats::track::Track;
use crate::stats::uptime::Standing;

/// Results that may not be recorded when the past is read: so many at least.
const LATEST: usize = 8;
/// And those of so long: a check may run every second, and the past is long.
const LATEST_FOR: Duration = Duration::from_secs(60);

/// What of the record is new to a check.
#[derive(Debug)]
pub enum Update {
    /// What is rolled up, and every result since then; at least those of the last hour and of the
    /// longest window of its budgets.
    Past {
        /// What is rolled up.
        base: Base,
        /// The result that stood before those that follow.
        standing: Option<Standing>,
        /// The results, oldest first.
        runs: Vec<Ran>,
    },
    /// An hour more is rolled up.
    Rolled(Base),
    /// What its parts took at this hour of the weeks before.
    Usual(Vec<(Part, Option<Sketch>)>),
}

/// What is new of the record.
#[derive(Debug, Default)]
pub struct News {
    /// Of checks.
    pub checks: Vec<(CheckId, Update)>,
    /// Of objectives, by name: what is rolled up of their window, and until when (milliseconds since the
    /// epoch).
    pub objectives: Vec<(String, i64, Spent)>,
}

/// What decides about a check's samples.
pub fn rules(check: &PlannedCheck) -> Rules {
    Rules { every: check.every, timeout: check.scope.timeout }
}

/// The figures of one check between runs.
#[derive(Debug, Default)]
pub struct Pace {
    recent: Option<Recent>,
    watch: Option<Watch>,
    track: Option<Track>,
    /// When the check was first seen, once the record is read.
    since: Option<i64>,
    latest: VecDeque<Ran>,
}

impl Pace {
    /// Nothing is known yet but what the last result, or the open incident, found.
    pub fn new(check: &PlannedCheck, found: &[Finding], figures: bool) -> Self {
        Self {
            recent: figures.then(Recent::default),
            watch: Watch::new(&check.budgets, found),
            track: check.tracked.as_ref().map(Track::new),
            since: None,
            latest: VecDeque::new(),
        }
    }

    /// Takes in the result of a run and adds what the budgets find.
    pub fn take(&mut self, outcome: &mut Outcome, rules: Rules) {
        if self.recent.is_none() && self.watch.is_none() && self.track.is_none() {
            return;
        }
        let run = Run::from(&*outcome);
        let at = outcome.at.as_millisecond();
        if let Some(recent) = &mut self.recent {
            recent.take(outcome.at, run, rules);
        }
        if let Some(track) = &mut self.track {
            track.take(outcome.at, run, rules);
        }
        let found = match &mut self.watch {
            Some(watch) => {
                watch.take(at, run, rules);
                watch.judge(at)
            }
            None => Vec::new(),
        };
        self.keep(outcome);
        add(outcome, found);
    }

    fn keep(&mut self, outcome: &Outcome) {
        let old = outcome.at.saturating_sub(LATEST_FOR).unwrap_or(Timestamp::MIN);
        while self.latest.len() >= LATEST && self.latest.front().is_some_and(|oldest| oldest.at < old) {
            self.latest.pop_front();
        }
        self.latest.push_back(Ran {
            check: outcome.check.clone(),
            at: outcome.at,
            verdict: outcome.verdict,
            took: outcome.took,
            timings: outcome.timings,
            steps: outcome.steps.as_slice().into(),
            recheck: outcome.recheck,
        });
    }

    /// Takes in what is new of the record.
    pub fn update(&mut self, update: Update, rules: Rules) {
        match update {
            Update::Past { base, standing, mut runs } => {
                let last = runs.last().map_or(Timestamp::MIN, |ran| ran.at);
                runs.extend(self.latest.iter().filter(|ran| ran.at > last).cloned());
                let all = runs.iter().map(|ran| (ran.at, Run::from(ran)));
                if let Some(watch) = &mut self.watch {
                    watch.refill(all.clone().map(|(at, run)| (at.as_millisecond(), run)), rules);
                }
                if let Some(track) = &mut self.track {
                    track.refill(standing, all.clone(), rules);
                }
                self.since = Some(base.since);
                if let Some(recent) = &mut self.recent {
                    *recent = Recent::of(base, standing, all, rules);
                }
            }
            Update::Rolled(base) => {
                if let Some(recent) = &mut self.recent {
                    recent.rebase(base);
                }
            }
            Update::Usual(parts) => {
                if let Some(watch) = &mut self.watch {
                    parts.iter().for_each(|(part, usual)| watch.set_usual(part, usual.as_ref()));
                }
            }
        }
    }

    /// When the check was first seen; `None` until the record is read.
    pub fn since(&self) -> Option<i64> {
        self.since
    }

    /// What of a promise was broken since `from`, as far back as is kept (milliseconds since the epoch).
    pub fn spent(&self, of: &Promise, from: i64, now: i64, rules: Rules) -> Spent {
        self.track.as_ref().map(|track| track.spent(of, from, now, rules)).unwrap_or_default()
    }

    /// The figures at `now`.
    pub fn figures(&mut self, now: Timestamp, rules: Rules) -> Figures {
        let Some(recent) = &mut self.recent else { return Figures::default() };
        let mut figures = recent.figures(now.as_millisecond(), rules);
        if let Some((window, length)) = self.watch.as_ref().and_then(Watch::of_whole) {
            let name = crate::model::HumanDuration(length).to_string();
            // The budget's own window stands instead of the hour: a check has few series.
            let known = figures.latencies.iter().any(|one| one.step.is_none() && *one.window == *name);
            if !known {
                figures.latencies.retain(|one| one.step.is_some() || &*one.window != "1h");
                figures.latencies.extend(latency(&Part::Whole, &name, window));
            }
        }
        figures
    }
}

/// Adds findings to a result, and the verdict that follows. What could not be measured stays so.
fn add(outcome: &mut Outcome, found: Vec<Finding>) {
    if found.is_empty() || outcome.verdict == Verdict::Unknown {
        return;
    }
    outcome.findings.extend(found);
    outcome.findings.sort_by_key(|finding| Reverse((finding.measured, finding.broken, finding.severity)));
    outcome.verdict = Verdict::of(&outcome.findings);
}

/// Judges one run by hand, after the results of the budgets' windows.
pub fn judge_once(check: &PlannedCheck, past: Vec<Ran>, outcome: &mut Outcome) {
    let mut pace = Pace::new(check, &[], false);
    let rules = rules(check);
    pace.update(Update::Past { base: Base::default(), standing: None, runs: past }, rules);
    pace.take(outcome, rules);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timings;
    use crate::run::fakes::{Does, Fake, planned};
    use crate::stats::track::{self, Tracked};

    #[test]
    fn results_that_came_while_a_long_past_was_read_are_kept() {
        let every = Duration::from_secs(1);
        let tracked = Tracked { parts: [].into(), look_back: track::LEAST };
        let fake = planned("home", every, true, Fake::new(Does::Pass, Duration::ZERO));
        let check = PlannedCheck { tracked: Some(tracked), ..fake };
        let mut pace = Pace::new(&check, &[], false);
        for second in 0..40 {
            let mut outcome = Outcome {
                check: check.scope.check.clone(),
                at: Timestamp::from_second(1_000 + second).unwrap(),
                took: Duration::ZERO,
                verdict: Verdict::Pass,
                cause: None,
                why: None,
                findings: Vec::new(),
                status: None,
                timings: Timings::default(),
                steps: Vec::new(),
                facts: None,
                transport: false,
                recheck: false,
            };
            pace.take(&mut outcome, rules(&check));
        }
        let past = Update::Past { base: Base::default(), standing: None, runs: Vec::new() };
        pace.update(past, rules(&check));
        let spent = pace.spent(&Promise::Availability, 1_000_000, 1_040_000, rules(&check));
        assert_eq!(spent.known, 40_000.0);
    }
}
