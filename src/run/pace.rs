//! How fast a check is over time: its latency budgets, and the figures that are exposed of it.
//!
//! Between runs it lives here; at the start of the daemon, and after a reload, it is filled from what
//! is recorded ([`Update::Past`]). Results that came meanwhile may not be recorded yet when the past is
//! read, so the latest are kept and taken in once more.

use std::cmp::Reverse;
use std::collections::VecDeque;

use jiff::Timestamp;

use crate::model::{Finding, Outcome, Part, Verdict};
use crate::plan::PlannedCheck;
use crate::record::Ran;
use crate::stats::budget::Watch;
use crate::stats::recent::{Base, Figures, Recent, latency};
use crate::stats::samples::{Rules, Run};
use crate::stats::sketch::Sketch;

/// Results that may not be recorded when the past is read.
const LATEST: usize = 8;

/// What of the record is new to a check.
#[derive(Debug)]
pub enum Update {
    /// What is rolled up, and every result since then; at least those of the last hour and of the
    /// longest window of its budgets.
    Past {
        /// What is rolled up.
        base: Base,
        /// The results, oldest first.
        runs: Vec<Ran>,
    },
    /// An hour more is rolled up.
    Rolled(Base),
    /// What its parts took at this hour of the weeks before.
    Usual(Vec<(Part, Option<Sketch>)>),
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
    latest: VecDeque<Ran>,
}

impl Pace {
    /// Nothing is known yet but what the last result, or the open incident, found.
    pub fn new(check: &PlannedCheck, found: &[Finding], figures: bool) -> Self {
        Self {
            recent: figures.then(Recent::default),
            watch: Watch::new(&check.budgets, found),
            latest: VecDeque::new(),
        }
    }

    /// Takes in the result of a run and adds what the budgets find.
    pub fn take(&mut self, outcome: &mut Outcome, rules: Rules) {
        if self.recent.is_none() && self.watch.is_none() {
            return;
        }
        let run = Run::from(&*outcome);
        let at = outcome.at.as_millisecond();
        if let Some(recent) = &mut self.recent {
            recent.take(outcome.at, run, rules);
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
        if self.latest.len() >= LATEST {
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
            Update::Past { base, mut runs } => {
                let last = runs.last().map_or(Timestamp::MIN, |ran| ran.at);
                runs.extend(self.latest.iter().filter(|ran| ran.at > last).cloned());
                let all = runs.iter().map(|ran| (ran.at, Run::from(ran)));
                if let Some(watch) = &mut self.watch {
                    watch.refill(all.clone().map(|(at, run)| (at.as_millisecond(), run)), rules);
                }
                if let Some(recent) = &mut self.recent {
                    *recent = Recent::of(base, all, rules);
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
    pace.update(Update::Past { base: Base::default(), runs: past }, rules);
    pace.take(outcome, rules);
}
