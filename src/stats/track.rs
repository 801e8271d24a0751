//! What is kept of a check for the objectives it belongs to: what it was of late, and how slow.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::objective::{Promise, Spent};
use super::samples::{Rules, Run, Sample, samples};
use super::uptime::{Clockwork, Standing, Stretch, Uptime, within};
use super::window::Window;
use crate::model::Part;

/// At least so much is kept: what is rolled up of an objective's window ends up to two hours ago.
pub const LEAST: Duration = Duration::from_secs(6 * 3_600);

/// What objectives want of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// The parts whose durations they look at.
    pub parts: Arc<[Part]>,
    /// How far back, at least [`LEAST`].
    pub look_back: Duration,
}

/// What is kept of one check.
#[derive(Clone, Debug)]
pub struct Track {
    clockwork: Clockwork,
    /// How many bad results the one that stands is made of: its run, and the re-checks of it.
    bad: u64,
    stretches: VecDeque<Known>,
    parts: Vec<(Part, Window)>,
    look_back: i64,
}

/// A stretch, and how many bad results it is made of.
#[derive(Clone, Copy, Debug)]
struct Known {
    stretch: Stretch,
    bad: u64,
}

impl Track {
    /// Nothing yet.
    pub fn new(wanted: &Tracked) -> Self {
        let window = |part: &Part| (part.clone(), Window::new(wanted.look_back));
        Self {
            clockwork: Clockwork::default(),
            bad: 0,
            stretches: VecDeque::new(),
            parts: wanted.parts.iter().map(window).collect(),
            look_back: millis(wanted.look_back),
        }
    }

    /// Forgets all, and begins anew from the result that stood before these, oldest first.
    pub fn refill<'r>(
        &mut self,
        standing: Option<Standing>,
        results: impl Iterator<Item = (jiff::Timestamp, Run<'r>)>,
        rules: Rules,
    ) {
        self.clockwork = Clockwork { standing };
        self.bad = standing.map_or(0, bad);
        self.stretches.clear();
        let length = Duration::from_millis(self.look_back.unsigned_abs());
        self.parts.iter_mut().for_each(|(_, window)| *window = Window::new(length));
        results.for_each(|(at, run)| self.take(at, run, rules));
    }

    /// Takes in a result.
    pub fn take(&mut self, at: jiff::Timestamp, run: Run<'_>, rules: Rules) {
        let standing = Standing::of(at, run.verdict);
        if run.recheck {
            if self.bad > 0 {
                self.bad += bad(standing);
            }
            return;
        }
        if let Some(last) = self.clockwork.standing
            && standing.at < last.at
        {
            self.set_back(last.at.saturating_sub(standing.at).saturating_add(millis(rules.every)));
        }
        let bad = std::mem::replace(&mut self.bad, bad(standing));
        if let Some(stretch) = self.clockwork.next(standing, rules.every) {
            self.keep(stretch, bad);
        }
        let parts = &mut self.parts;
        samples(run, rules, |part, sample: Sample| {
            if let Some((_, window)) = parts.iter_mut().find(|(wanted, _)| wanted == part) {
                window.take(standing.at, sample);
            }
        });
    }

    /// The clock was set back by about this much. What is kept is as old as it was: otherwise an outage
    /// that is long over would be one of now again.
    fn set_back(&mut self, by: i64) {
        if let Some(standing) = &mut self.clockwork.standing {
            standing.at = standing.at.saturating_sub(by);
        }
        for Known { stretch, .. } in &mut self.stretches {
            stretch.from = stretch.from.saturating_sub(by);
            stretch.to = stretch.to.saturating_sub(by);
        }
        self.parts.iter_mut().for_each(|(_, window)| window.set_back(by));
    }

    fn keep(&mut self, stretch: Stretch, bad: u64) {
        match self.stretches.back_mut() {
            Some(Known { stretch: last, bad: all }) if last.up == stretch.up && last.to == stretch.from => {
                last.to = stretch.to;
                *all += bad;
            }
            _ => self.stretches.push_back(Known { stretch, bad }),
        }
        let from = stretch.to.saturating_sub(self.look_back);
        while self.stretches.front().is_some_and(|oldest| oldest.stretch.to < from) {
            self.stretches.pop_front();
        }
    }

    /// What is bad of what is known since `from`, at `now` (milliseconds since the epoch).
    pub fn spent(&self, of: &Promise, from: i64, now: i64, rules: Rules) -> Spent {
        let length = u64::try_from(now.saturating_sub(from)).unwrap_or(0);
        match of {
            Promise::Availability => {
                let running = self.clockwork.until(now, rules.every);
                let running = running.map(|stretch| Known { stretch, bad: self.bad });
                let (mut sum, mut results) = (Uptime::default(), 0);
                for known in self.stretches.iter().copied().chain(running) {
                    let part = within(known.stretch, from, now, &[]);
                    if part.down > 0 {
                        results += known.bad;
                    }
                    sum.add(part);
                }
                Spent { results, ..Spent::of(sum, length) }
            }
            Promise::Latency { part, threshold } => {
                let Some((_, window)) = self.parts.iter().find(|(wanted, _)| wanted == part) else {
                    return Spent::default();
                };
                let (known, bad, results) = window.since(from, *threshold);
                Spent { bad: bad as f64, known: known as f64, whole: runs(length, rules.every), results }
            }
        }
    }
}

/// How many runs fit into so many milliseconds.
pub fn runs(length: u64, every: Duration) -> f64 {
    if every.is_zero() { 0.0 } else { length as f64 / (every.as_secs_f64() * 1_000.0) }
}

fn bad(standing: Standing) -> u64 {
    u64::from(standing.up == Some(false))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::{Timings, Verdict};

    const MINUTE: i64 = 60_000;
    const HOUR: i64 = 60 * MINUTE;
    const START: i64 = 500_000 * HOUR;
    const RULES: Rules = Rules { every: Duration::from_secs(60), timeout: Duration::from_secs(10) };

    fn track() -> Track {
        Track::new(&Tracked { parts: [Part::Whole].into(), look_back: LEAST })
    }

    fn time(at: i64) -> Timestamp {
        Timestamp::from_millisecond(START + at).unwrap()
    }

    fn run(verdict: Verdict, millis: u64) -> Run<'static> {
        let took = Duration::from_millis(millis);
        Run { verdict, took, timings: &Timings::EMPTY, steps: &[], recheck: false, too_slow: false }
    }

    fn latency() -> Promise {
        Promise::Latency { part: Part::Whole, threshold: Duration::from_millis(500) }
    }

    #[test]
    fn an_outage_that_is_over_stays_over_when_the_clock_is_set_back() {
        for (of, bad) in
            [(Promise::Availability, run(Verdict::Fail, 900)), (latency(), run(Verdict::Pass, 900))]
        {
            let mut track = track();
            for minute in 0..91 {
                let result = if minute < 30 { bad } else { run(Verdict::Pass, 100) };
                track.take(time(minute * MINUTE), result, RULES);
            }
            // An hour back: right after the end of the outage, as the clock has it.
            let now = 31 * MINUTE;
            track.take(time(now), run(Verdict::Pass, 100), RULES);
            for back in [5 * MINUTE, HOUR] {
                let spent = track.spent(&of, START + now - back, START + now, RULES);
                assert_eq!(spent.bad, 0.0, "{of:?} {spent:?}");
                assert!(spent.known <= spent.whole + 1.0, "nothing counts twice: {spent:?}");
                assert!(spent.known > spent.whole * 0.9, "what came before is known: {spent:?}");
            }
        }
    }

    #[test]
    fn an_outage_goes_on_when_the_clock_is_set_back() {
        let mut track = track();
        (0..60).for_each(|minute| track.take(time(minute * MINUTE), run(Verdict::Fail, 1), RULES));
        (30..40).for_each(|minute| track.take(time(minute * MINUTE), run(Verdict::Fail, 1), RULES));
        let now = START + 40 * MINUTE;
        let hour = track.spent(&Promise::Availability, now - HOUR, now, RULES);
        assert_eq!(hour.bad, hour.whole, "{hour:?}");
    }

    #[test]
    fn what_stood_before_the_results_counts() {
        let seldom = Rules { every: Duration::from_secs(12 * 3_600), ..RULES };
        let mut track = track();
        track.take(time(0), run(Verdict::Pass, 1), RULES);
        let standing = Standing { at: START - 7 * HOUR, up: Some(false) };
        track.refill(Some(standing), std::iter::empty(), seldom);
        let hour = track.spent(&Promise::Availability, START - HOUR, START, seldom);
        assert_eq!((hour.bad, hour.whole, hour.results), (3_600_000.0, 3_600_000.0, 1));
    }

    #[test]
    fn samples_that_are_made_up_are_of_one_run() {
        let mut track = track();
        (0..10).for_each(|minute| track.take(time(minute * MINUTE), run(Verdict::Pass, 100), RULES));
        track.take(time(10 * MINUTE), run(Verdict::Pass, 200_000), RULES);
        let spent = track.spent(&latency(), START, START + 15 * MINUTE, RULES);
        assert_eq!((spent.bad, spent.known, spent.whole, spent.results), (3.0, 13.0, 15.0, 1));
    }
}
