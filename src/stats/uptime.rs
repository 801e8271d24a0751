//! Uptime and coverage: verdicts weighed by time.
//!
//! A known result (pass and warn are up, fail is down) stands until the next result, at most two
//! intervals. What is unknown, or not covered by any result, counts neither for nor against: it is
//! left out of the uptime and missing from the coverage. Time of planned maintenance is known and left
//! out of the uptime. Re-checks add no weight.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::Verdict;

/// Known time, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uptime {
    /// Up.
    pub up: u64,
    /// Down.
    pub down: u64,
    /// In planned maintenance, whatever was measured meanwhile.
    pub planned: u64,
}

impl Uptime {
    /// The share of the known time that was up, `0.0..=1.0`; `None` when nothing is known.
    pub fn ratio(&self) -> Option<f64> {
        let known = self.up.saturating_add(self.down);
        (known > 0).then(|| self.up as f64 / known as f64)
    }

    /// The share of `total` milliseconds that is known, `0.0..=1.0`.
    pub fn coverage(&self, total: u64) -> f64 {
        let known = self.up.saturating_add(self.down).saturating_add(self.planned);
        if total == 0 { 0.0 } else { (known as f64 / total as f64).min(1.0) }
    }

    /// Adds the known time of another stretch.
    pub fn add(&mut self, other: Self) {
        self.up = self.up.saturating_add(other.up);
        self.down = self.down.saturating_add(other.down);
        self.planned = self.planned.saturating_add(other.planned);
    }
}

impl std::iter::Sum for Uptime {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, one| {
            sum.add(one);
            sum
        })
    }
}

/// A result that stands until the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// When its run started, milliseconds since the epoch.
    pub at: i64,
    /// Up, down, or (`None`) unknown.
    pub up: Option<bool>,
}

impl Standing {
    /// What a result says.
    pub fn of(at: Timestamp, verdict: Verdict) -> Self {
        let up = match verdict {
            Verdict::Pass | Verdict::Warn => Some(true),
            Verdict::Fail => Some(false),
            Verdict::Unknown => None,
        };
        Self { at: at.as_millisecond(), up }
    }

    /// Until when it stands if nothing comes after it.
    pub fn ends(&self, every: Duration) -> i64 {
        let every = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
        self.at.saturating_add(every.saturating_mul(2))
    }
}

/// A stretch of known time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// From when, milliseconds since the epoch.
    pub from: i64,
    /// Until when.
    pub to: i64,
    /// Up or down.
    pub up: bool,
}

/// Turns results into stretches, one result after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clockwork {
    /// The result that stands.
    pub standing: Option<Standing>,
}

impl Clockwork {
    /// Takes in the next result; returns what the one before it came to. A result from before the one
    /// that stands (a clock that was set back) takes its place from then on, and no time counts twice.
    pub fn next(&mut self, result: Standing, every: Duration) -> Option<Stretch> {
        let stretch = self.until(result.at, every);
        self.standing = Some(result);
        stretch
    }

    /// What the standing result comes to until `end`.
    pub fn until(&self, end: i64, every: Duration) -> Option<Stretch> {
        let standing = self.standing?;
        let to = standing.ends(every).min(end);
        let up = standing.up?;
        (to > standing.at).then_some(Stretch { from: standing.at, to, up })
    }
}

/// The known time of a stretch within `from..to`. `planned` are the times of maintenance, in order and
/// apart.
pub fn within(stretch: Stretch, from: i64, to: i64, planned: &[(i64, i64)]) -> Uptime {
    let (from, to) = (stretch.from.max(from), stretch.to.min(to));
    if from >= to {
        return Uptime::default();
    }
    let overlap = |(start, end): &(i64, i64)| (*end).min(to).saturating_sub((*start).max(from)).max(0);
    let planned: i64 = planned.iter().map(overlap).sum();
    let known = (to - from).saturating_sub(planned).max(0).unsigned_abs();
    let (up, down) = if stretch.up { (known, 0) } else { (0, known) };
    Uptime { up, down, planned: planned.unsigned_abs() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn stretches(results: &[(i64, Verdict)], to: i64) -> Vec<Stretch> {
        let mut clockwork = Clockwork::default();
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        let mut stretches: Vec<_> = results
            .iter()
            .filter_map(|(seconds, verdict)| clockwork.next(Standing::of(at(*seconds), *verdict), MINUTE))
            .collect();
        stretches.extend(clockwork.until(to * 1_000, MINUTE));
        stretches
    }

    fn uptime(results: &[(i64, Verdict)], from: i64, to: i64) -> Uptime {
        let all = stretches(results, to);
        all.into_iter().map(|stretch| within(stretch, from * 1_000, to * 1_000, &[])).sum()
    }

    use Verdict::{Fail, Pass, Unknown, Warn};

    #[test]
    fn time_weighs_and_not_the_number_of_results() {
        let seen = uptime(&[(0, Pass), (60, Fail), (70, Fail), (80, Fail), (90, Warn), (150, Pass)], 0, 180);
        assert_eq!(seen, Uptime { up: 150_000, down: 30_000, planned: 0 });
        assert!((seen.ratio().unwrap() - 150.0 / 180.0).abs() < 1e-12);
        assert_eq!(seen.coverage(180_000), 1.0);
    }

    #[test]
    fn what_is_unknown_is_no_downtime_and_no_uptime() {
        let seen = uptime(&[(0, Pass), (60, Unknown), (120, Unknown), (180, Pass)], 0, 240);
        assert_eq!(seen, Uptime { up: 120_000, down: 0, planned: 0 });
        assert_eq!((seen.ratio(), seen.coverage(240_000)), (Some(1.0), 0.5));
        assert_eq!(Uptime::default().ratio(), None);
    }

    #[test]
    fn a_result_stands_for_two_intervals_and_no_longer() {
        assert_eq!(uptime(&[(0, Fail)], 0, 600).down, 120_000);
        assert_eq!(uptime(&[(0, Pass), (600, Pass)], 0, 600).up, 120_000);
    }

    #[test]
    fn a_clock_set_back_counts_nothing_twice_beyond_the_known() {
        let seen = uptime(&[(3_600, Pass), (3_660, Pass), (120, Pass), (180, Pass)], 0, 240);
        assert_eq!(seen.up, 120_000);
    }

    #[test]
    fn maintenance_is_covered_and_out_of_the_ratio() {
        let stretch = Stretch { from: 0, to: 100, up: false };
        let seen = within(stretch, 0, 100, &[(10, 30), (90, 200)]);
        assert_eq!(seen, Uptime { up: 0, down: 70, planned: 30 });
        assert_eq!(within(stretch, 10, 30, &[(10, 30)]).ratio(), None);
        assert_eq!(within(stretch, 10, 30, &[(10, 30)]).coverage(20), 1.0);
    }

    proptest! {
        #[test]
        fn parts_of_a_window_sum_up_to_the_window(
            results in proptest::collection::vec((1_i64..200, 0_usize..4), 1..40),
            cut in 0_i64..4_000,
        ) {
            let mut at = 0;
            let results: Vec<_> = results.iter().map(|(gap, verdict)| {
                at += gap;
                (at, Verdict::ALL[*verdict])
            }).collect();
            let (end, cut) = (at + 200, cut.min(at + 200));
            let whole = uptime(&results, 0, end);
            let mut parts = Uptime::default();
            for stretch in stretches(&results, end) {
                parts.add(within(stretch, 0, cut * 1_000, &[]));
                parts.add(within(stretch, cut * 1_000, end * 1_000, &[]));
            }
            prop_assert_eq!(parts, whole);
            prop_assert!(whole.coverage(u64::try_from(end * 1_000).unwrap()) <= 1.0);
        }
    }
}
