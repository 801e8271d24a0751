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
use crate::stats::sketch::Quantile;
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
    Usual(Vec<(Part, Option<Quantile>)>),
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
    // A run is cut off by whichever comes first.
    Rules { every: check.every, timeout: check.scope.timeout.min(check.scope.deadline) }
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
        if let Some(watch) = &mut self.watch {
            let at = outcome.at.as_millisecond();
            watch.take(at, Run::from(&*outcome), rules);
            let found = watch.judge(at);
            add(outcome, found);
        }
        // With what the budgets found, as it is recorded.
        let run = Run::from(&*outcome);
        if let Some(recent) = &mut self.recent {
            recent.take(outcome.at, run, rules);
        }
        if let Some(track) = &mut self.track {
            track.take(outcome.at, run, rules);
        }
        self.keep(outcome);
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
            too_slow: Run::from(outcome).too_slow,
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
                    parts.iter().for_each(|(part, usual)| watch.set_usual(part, *usual));
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
    use crate::model::latency::Budget;
    use crate::record::memory::Memory;
    use crate::record::{Figures as _, Recorded, Store as _, Transition};
    use crate::run::fakes::{Does, Fake, planned};
    use crate::stats::rollup::Latencies;
    use crate::stats::track::{self, Tracked};

    /// A run of second `at` that passed.
    fn passed(check: &PlannedCheck, at: i64, took: Duration) -> Outcome {
        Outcome {
            check: check.scope.check.clone(),
            at: Timestamp::from_second(at).unwrap(),
            took,
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
        }
    }

    #[test]
    fn results_that_came_while_a_long_past_was_read_are_kept() {
        let every = Duration::from_secs(1);
        let tracked = Tracked { parts: [].into(), look_back: track::LEAST };
        let fake = planned("home", every, true, Fake::new(Does::Pass, Duration::ZERO));
        let check = PlannedCheck { tracked: Some(tracked), ..fake };
        let mut pace = Pace::new(&check, &[], false);
        for second in 0..40 {
            pace.take(&mut passed(&check, 1_000 + second, Duration::ZERO), rules(&check));
        }
        let past = Update::Past { base: Base::default(), standing: None, runs: Vec::new() };
        pace.update(past, rules(&check));
        let spent = pace.spent(&Promise::Availability, 1_000_000, 1_040_000, rules(&check));
        assert_eq!(spent.known, 40_000.0);
    }

    #[tokio::test]
    async fn slow_runs_that_count_as_failures_are_samples_once_they_are_recorded() {
        let fake = planned("home", Duration::from_secs(1), true, Fake::new(Does::Pass, Duration::ZERO));
        let limit = Duration::from_millis(500);
        let budget = Budget {
            part: Part::Whole,
            limits: vec![(0.95, limit)],
            window: Duration::from_secs(60),
            min_samples: 20,
            fail: true,
            spike: false,
        };
        let check = PlannedCheck { budgets: vec![budget].into(), ..fake };
        let slow = |at| passed(&check, at, Duration::from_millis(700));
        let (mut pace, store) = (Pace::new(&check, &[], true), Memory::default());
        let mut failed = 0;
        for at in 1_000..1_060 {
            let mut outcome = slow(at);
            pace.take(&mut outcome, rules(&check));
            failed += u32::from(outcome.verdict == Verdict::Fail);
            let mut transition = Transition::of(outcome.check.clone());
            transition.result = Some(Recorded::Ran { in_full: true, outcome });
            store.commit(&[transition]).await.unwrap();
        }
        assert_eq!(failed, 41, "from the twentieth on");
        let now = Timestamp::from_second(1_060).unwrap();
        let runs = store.ran(None, Timestamp::UNIX_EPOCH, now).await.unwrap();
        let rolled = runs.iter().fold(Latencies::default(), |mut all, ran| {
            all.add(Run::from(ran), rules(&check));
            all
        });
        assert_eq!(rolled.get(&Part::Whole).unwrap().count(), 60);
        let mut later = Pace::new(&check, &[], true);
        later.update(Update::Past { base: Base::default(), standing: None, runs }, rules(&check));
        let mut next = slow(1_060);
        later.take(&mut next, rules(&check));
        assert_eq!(next.verdict, Verdict::Fail, "{:?}", next.findings);
        let up = |pace: &mut Pace| pace.figures(now, rules(&check)).uptimes.first().and_then(|one| one.1);
        assert_eq!(up(&mut pace), up(&mut later), "live and read back");
    }
}
