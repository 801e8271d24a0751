//! Coverage of the last hour: the share of its time for which a check's result was known.

use std::time::Duration;

use jiff::Timestamp;

const MINUTES: i64 = 60;

/// The known minutes of the last hour, small enough to keep for every check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// The minutes (since the epoch) that the last known result stands for, first and last.
    last: Option<(i64, i64)>,
    /// Known minutes before `last.0`: bit 0 is the minute just before it, older ones follow.
    bits: u64,
    /// The minute from which on the check was watched.
    born: i64,
}

fn minute(at: Timestamp) -> i64 {
    at.as_second().div_euclid(60)
}

impl Coverage {
    /// Watched from `now` on.
    pub fn new(now: Timestamp) -> Self {
        Self { last: None, bits: 0, born: minute(now) }
    }

    /// Notes a known result. It stands until the next due time.
    pub fn known(&mut self, at: Timestamp, every: Duration) {
        let from = minute(at);
        self.stands(from, minute(at.saturating_add(every).unwrap_or(at)).max(from));
    }

    /// What the record holds of the last hour and more: the check was first seen at `since`
    /// (milliseconds since the epoch), and had these known results, oldest first.
    pub fn recall(&mut self, since: i64, known: impl Iterator<Item = Timestamp>, every: Duration) {
        let own = std::mem::replace(self, Self { last: None, bits: 0, born: since.div_euclid(60_000) });
        known.for_each(|at| self.known(at, every));
        // What came while the record was read is not in it.
        if let Some((from, until)) = own.last.filter(|own| self.last.is_none_or(|last| last.0 < own.0)) {
            self.stands(from, until);
        }
    }

    fn stands(&mut self, from: i64, until: i64) {
        if let Some((first, last)) = self.last
            && from > first
        {
            let known_until = last.min(from - 1);
            self.push(known_until - first + 1, true);
            self.push(from - 1 - known_until, false);
        }
        self.last = Some((from, until));
    }

    /// Appends minutes at the young end.
    fn push(&mut self, minutes: i64, known: bool) {
        let by = u32::try_from(minutes.max(0)).unwrap_or(u32::MAX);
        self.bits = self.bits.checked_shl(by).unwrap_or(0);
        if known {
            self.bits |= 1_u64.checked_shl(by).map_or(u64::MAX, |bit| bit - 1);
        }
    }

    fn is_known(&self, at: i64) -> bool {
        let Some((first, last)) = self.last else { return false };
        if at >= first {
            return at <= last;
        }
        u32::try_from(first - 1 - at).is_ok_and(|age| age < 64 && self.bits >> age & 1 == 1)
    }

    /// The share of the last hour, or of the time watched if that is shorter, that was known.
    pub fn ratio(&self, now: Timestamp) -> f64 {
        let last = minute(now);
        let first = (last - MINUTES + 1).max(self.born);
        let known = (first..=last).filter(|&at| self.is_known(at)).count();
        known as f64 / (last - first + 1).max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(minutes * 60 + 30).unwrap()
    }

    #[test]
    fn a_check_that_ran_each_minute_is_covered_and_one_that_stopped_is_not() {
        let mut coverage = Coverage::new(at(1_000));
        for minute in 1_000..1_060 {
            coverage.known(at(minute), Duration::from_secs(60));
        }
        assert_eq!(coverage.ratio(at(1_059)), 1.0);
        assert!(coverage.ratio(at(1_090)) < 0.6);
        assert_eq!(coverage.ratio(at(1_200)), 0.0);
    }

    #[test]
    fn nothing_known_is_no_coverage() {
        assert_eq!(Coverage::new(at(5)).ratio(at(20)), 0.0);
    }

    #[test]
    fn a_slow_check_covers_its_interval() {
        let mut coverage = Coverage::new(at(0));
        coverage.known(at(0), Duration::from_secs(1_800));
        assert_eq!(coverage.ratio(at(29)), 1.0);
        let mut coverage = Coverage::new(at(0));
        coverage.known(at(0), Duration::from_secs(12 * 3_600));
        assert_eq!(coverage.ratio(at(700)), 1.0);
        assert_eq!(coverage.ratio(at(800)), 0.0);
    }

    #[test]
    fn an_outage_of_the_monitor_stays_a_gap_after_it_is_back() {
        let mut coverage = Coverage::new(at(0));
        coverage.known(at(0), Duration::from_secs(60));
        coverage.known(at(59), Duration::from_secs(60));
        assert!((coverage.ratio(at(59)) - 3.0 / 60.0).abs() < 1e-9);
    }

    #[test]
    fn a_gap_before_the_daemon_began_is_in_the_record() {
        let mut coverage = Coverage::new(at(1_050));
        coverage.known(at(1_050), Duration::from_secs(60));
        coverage.known(at(1_059), Duration::from_secs(60));
        let recorded = (990..1_040).chain(1_050..1_055).map(at);
        coverage.recall(900 * 60_000, recorded, Duration::from_secs(60));
        // Known are 1,000 to 1,040, 1,050 to 1,055, and what came while the record was read.
        let known: Vec<i64> = (1_000..1_060).filter(|&minute| coverage.is_known(minute)).collect();
        assert_eq!(known, (1_000..=1_040).chain(1_050..=1_055).chain([1_059]).collect::<Vec<_>>());
        assert!((coverage.ratio(at(1_059)) - 48.0 / 60.0).abs() < 1e-9);
    }

    #[test]
    fn a_check_that_is_new_in_the_record_counts_from_then_on() {
        let mut coverage = Coverage::new(at(1_050));
        coverage.recall(1_040 * 60_000, (1_040..1_050).map(at), Duration::from_secs(60));
        assert_eq!(coverage.ratio(at(1_050)), 1.0);
        assert!((coverage.ratio(at(1_059)) - 11.0 / 20.0).abs() < 1e-9);
    }
}
