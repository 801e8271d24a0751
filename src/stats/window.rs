//! The samples of the last while, each of them: for budgets, whose counts are to be exact.

use std::collections::VecDeque;
use std::time::Duration;

use super::chance::lower_rank;
use super::samples::Sample;
use super::sketch::{Quantile, rank};

/// Samples within a sliding window, oldest first.
#[derive(Clone, Debug)]
pub struct Window {
    length: i64,
    samples: VecDeque<Kept>,
}

#[derive(Clone, Copy, Debug)]
struct Kept {
    at: i64,
    micros: u32,
    censored: bool,
}

impl Window {
    /// An empty window of this length.
    pub fn new(length: Duration) -> Self {
        Self { length: i64::try_from(length.as_millis()).unwrap_or(i64::MAX), samples: VecDeque::new() }
    }

    /// Takes in a sample of a run that started at `at` (milliseconds since the epoch), and lets go of
    /// those that are too old by then. One from before the last was taken by a clock that was set back.
    pub fn take(&mut self, at: i64, sample: Sample) {
        if let Some(last) = self.samples.back().map(|last| last.at)
            && at < last
        {
            self.set_back(last.saturating_sub(at));
        }
        let micros = u32::try_from(sample.took.as_micros()).unwrap_or(u32::MAX);
        self.samples.push_back(Kept { at, micros, censored: sample.censored });
        self.expire(at);
    }

    /// Lets go of what is too old at `now`.
    pub fn expire(&mut self, now: i64) {
        let from = now.saturating_sub(self.length);
        while self.samples.front().is_some_and(|oldest| oldest.at <= from) {
            self.samples.pop_front();
        }
    }

    /// How many samples there are.
    pub fn count(&self) -> u64 {
        self.samples.len() as u64
    }

    /// How many of them took longer than this.
    pub fn beyond(&self, limit: Duration) -> u64 {
        let limit = u32::try_from(limit.as_micros()).unwrap_or(u32::MAX);
        self.samples.iter().filter(|kept| is_beyond(kept, limit)).count() as u64
    }

    /// How many samples there are since `from`, how many of them took longer than this, and of how many
    /// runs these are.
    pub fn since(&self, from: i64, limit: Duration) -> (u64, u64, u64) {
        let limit = u32::try_from(limit.as_micros()).unwrap_or(u32::MAX);
        let (mut all, mut beyond, mut runs, mut last) = (0, 0, 0, None);
        for kept in self.samples.iter().rev().take_while(|kept| kept.at >= from) {
            all += 1;
            if is_beyond(kept, limit) {
                beyond += 1;
                // Samples that are made up stand beside that of their run.
                runs += u64::from(last != Some(kept.at));
                last = Some(kept.at);
            }
        }
        (all, beyond, runs)
    }

    /// The clock was set back by this many milliseconds: what is there stays as old as it was.
    pub fn set_back(&mut self, by: i64) {
        self.samples.iter_mut().for_each(|kept| kept.at = kept.at.saturating_sub(by));
    }

    /// Quantiles, exact ([`Sketch::quantile`](super::sketch::Sketch::quantile) says which).
    pub fn quantiles<const N: usize>(&self, wanted: [f64; N]) -> Option<[Quantile; N]> {
        if self.samples.is_empty() {
            return None;
        }
        let sorted = self.sorted();
        Some(wanted.map(|q| self.nth(&sorted, rank(self.count(), q))))
    }

    /// What the quantile of whatever the samples were taken from is beyond doubt not below; `None` if
    /// they are too few to say.
    pub fn lower_bound(&self, q: f64) -> Option<Duration> {
        let rank = lower_rank(self.count(), q)?;
        Some(self.nth(&self.sorted(), rank).value)
    }

    fn sorted(&self) -> Vec<u32> {
        let mut sorted: Vec<u32> = self.samples.iter().map(|kept| kept.micros).collect();
        sorted.sort_unstable();
        sorted
    }

    fn nth(&self, sorted: &[u32], rank: u64) -> Quantile {
        let index = usize::try_from(rank.saturating_sub(1)).unwrap_or(usize::MAX);
        let micros = sorted.get(index).copied().unwrap_or_default();
        let least = self.samples.iter().filter(|kept| kept.censored).map(|kept| kept.micros).min();
        Quantile {
            value: Duration::from_micros(u64::from(micros)),
            at_least: least.is_some_and(|least| micros >= least),
        }
    }
}

/// Who was cut off at the limit itself took longer.
fn is_beyond(kept: &Kept, limit: u32) -> bool {
    kept.micros > limit || (kept.censored && kept.micros == limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(millis: u64) -> Sample {
        Sample { took: Duration::from_millis(millis), censored: false }
    }

    #[test]
    fn a_clock_that_was_set_back_leaves_samples_as_old_as_they_were() {
        let mut window = Window::new(Duration::from_secs(900));
        let hour = 3_600_000;
        let sample = Sample { took: Duration::from_millis(100), censored: false };
        (0..15).for_each(|minute| window.take(11 * hour + minute * 60_000, sample));
        // A quarter of an hour later by a clock an hour behind.
        (15..40).for_each(|minute| window.take(10 * hour + minute * 60_000, sample));
        assert_eq!(window.count(), 15);
        let early = Duration::from_millis(99);
        assert_eq!(window.since(10 * hour + 35 * 60_000, early).0, 5);
    }

    #[test]
    fn what_is_too_old_does_not_count() {
        let mut window = Window::new(Duration::from_secs(60));
        for second in 0..120 {
            window.take(second * 1_000, sample(u64::try_from(second).unwrap()));
        }
        assert_eq!((window.count(), window.beyond(Duration::from_millis(100))), (60, 19));
        window.expire(179_000);
        assert_eq!((window.count(), window.quantiles([0.5])), (0, None));
    }

    #[test]
    fn quantiles_are_order_statistics_and_know_what_was_cut_off() {
        let mut window = Window::new(Duration::from_secs(3_600));
        (1..=19).for_each(|at| window.take(at, sample(10 * u64::try_from(at).unwrap())));
        window.take(20, Sample { took: Duration::from_secs(10), censored: true });
        let [half, p95, max] = window.quantiles([0.5, 0.95, 1.0]).unwrap();
        assert_eq!([half.value, p95.value], [Duration::from_millis(100), Duration::from_millis(190)]);
        assert!(!p95.at_least && max.at_least);
        assert_eq!(window.beyond(Duration::from_secs(10)), 1, "it was cut off there");
        assert!(window.lower_bound(0.95).unwrap() < p95.value);
        assert_eq!(Window::new(Duration::from_secs(1)).lower_bound(0.5), None);
    }
}
