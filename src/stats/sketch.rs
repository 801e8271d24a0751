//! Many durations in a few bytes, mergeable: DDSketch (Masson, Rim, Lee; VLDB 2019).
//!
//! A value read back is within [`ACCURACY`] of the order statistic itself, whatever the distribution
//! and however often sketches were merged. Censored durations (a run that was cut off took *at least*
//! this long) are counted like the others and remembered: a quantile that reaches them is a lower
//! bound and says so.

use std::time::Duration;

use sketches_ddsketch::{Config, DDSketch};

/// The relative error of a quantile. A little below one percent, so that rounding stays within it.
pub const ACCURACY: f64 = 0.0099;
/// Bins: from a nanosecond to longer than any run, so that none is ever collapsed.
const BINS: u32 = 2_048;
/// What is shorter counts as zero, seconds.
const SHORTEST: f64 = 1e-9;

/// Durations, sketched.
#[derive(Clone)]
pub struct Sketch {
    inner: DDSketch,
    censored: u64,
    /// The shortest censored one, seconds.
    least: f64,
}

/// A quantile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantile {
    /// The duration.
    pub value: Duration,
    /// It may be longer: runs that were cut off are among those it rests on.
    pub at_least: bool,
}

/// Bytes that are no sketch of this version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sketch cannot be read: {0}")]
pub struct SketchError(pub String);

impl Default for Sketch {
    fn default() -> Self {
        let inner = DDSketch::new(Config::new(ACCURACY, BINS, SHORTEST));
        Self { inner, censored: 0, least: f64::INFINITY }
    }
}

impl std::fmt::Debug for Sketch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sketch({} samples, {} censored)", self.count(), self.censored)
    }
}

impl Sketch {
    /// Adds a duration `times` times; `censored`: it was at least this long.
    pub fn add(&mut self, took: Duration, censored: bool, times: u64) {
        let seconds = took.as_secs_f64();
        self.inner.add_with_count(seconds, times);
        if censored && times > 0 {
            self.censored = self.censored.saturating_add(times);
            self.least = self.least.min(seconds);
        }
    }

    /// Adds all that the other one holds.
    pub fn merge(&mut self, other: &Self) {
        // All sketches have one config, so that this cannot fail.
        if self.inner.merge(&other.inner).is_ok() {
            self.censored = self.censored.saturating_add(other.censored);
            self.least = self.least.min(other.least);
        }
    }

    /// How many durations.
    pub fn count(&self) -> u64 {
        u64::try_from(self.inner.count()).unwrap_or(u64::MAX)
    }

    /// How many of them were at least as long as counted.
    pub fn censored(&self) -> u64 {
        self.censored
    }

    /// Their sum.
    pub fn sum(&self) -> Duration {
        seconds(self.inner.sum().unwrap_or(0.0))
    }

    /// The longest, exact.
    pub fn max(&self) -> Option<Quantile> {
        self.inner.max().map(|longest| self.quantile_of(longest))
    }

    /// The `rank`th shortest, from 1.
    pub fn nth(&self, rank: u64) -> Option<Quantile> {
        let count = self.count();
        if rank == 0 || rank > count {
            return None;
        }
        let (min, max) = (self.inner.min()?, self.inner.max()?);
        if rank == 1 || rank == count {
            return Some(self.quantile_of(if rank == 1 { min } else { max }));
        }
        // The library looks up the rank `floor(q (n - 1))`, from 0; the middle between two ranks is
        // beyond rounding.
        let q = (rank as f64 - 0.5) / (count as f64 - 1.0);
        let found = self.inner.quantile(q.min(1.0)).ok().flatten()?;
        Some(self.quantile_of(found.clamp(min, max)))
    }

    /// The smallest duration that at least the share `q` of all do not exceed (the inverse of the
    /// empirical distribution function): the order statistic of rank `ceil(q n)`.
    pub fn quantile(&self, q: f64) -> Option<Quantile> {
        self.nth(rank(self.count(), q))
    }

    /// How many durations are longer than `limit`, as far as the accuracy tells them apart. One that was
    /// at least so long is.
    pub fn beyond(&self, limit: Duration) -> u64 {
        let count = self.count();
        let (mut within, mut end) = (0, count);
        // The durations are in order by rank.
        while within < end {
            let middle = within + (end - within).div_ceil(2);
            let longer = self.nth(middle).is_some_and(|found| found.value > limit);
            if longer { end = middle - 1 } else { within = middle }
        }
        let beyond = count - within;
        // A bin's value may lie below what was cut off just at the limit.
        if self.least >= limit.as_secs_f64() { beyond.max(self.censored.min(count)) } else { beyond }
    }

    fn quantile_of(&self, found: f64) -> Quantile {
        // A bin holds durations of up to this much less than what stands for it.
        let at_least = self.censored > 0 && found >= self.least * (1.0 - 2.0 * ACCURACY);
        Quantile { value: seconds(found), at_least }
    }

    /// As bytes: the censored ones, then DDSketch's own encoding, which its libraries in other
    /// languages read.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(&self.censored.to_le_bytes());
        if self.censored > 0 {
            bytes.extend_from_slice(&self.least.to_le_bytes());
        }
        bytes.extend_from_slice(&self.inner.to_java_bytes());
        bytes
    }

    /// The reverse of [`Sketch::to_bytes`].
    ///
    /// # Errors
    /// Bytes of another shape, or of a sketch of another accuracy.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SketchError> {
        let short = || SketchError("it ends too early".to_owned());
        let (censored, rest) = bytes.split_first_chunk::<8>().ok_or_else(short)?;
        let censored = u64::from_le_bytes(*censored);
        let (least, rest) = if censored == 0 {
            (f64::INFINITY, rest)
        } else {
            let (least, rest) = rest.split_first_chunk::<8>().ok_or_else(short)?;
            (f64::from_le_bytes(*least), rest)
        };
        let inner = DDSketch::from_java_bytes(rest).map_err(|error| SketchError(error.to_string()))?;
        let mut sketch = Self { inner: Self::default().inner, censored, least };
        sketch.inner.merge(&inner).map_err(|_| SketchError("it is of another accuracy".to_owned()))?;
        Ok(sketch)
    }
}

/// The rank, from 1, of the quantile `q` among `count` values.
pub fn rank(count: u64, q: f64) -> u64 {
    let exact = q * count as f64;
    // 0.95 × 20 is 19 and not a little more.
    let up = (exact - 1e-9).ceil().max(1.0);
    (up as u64).min(count)
}

fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn micros(values: &[u64]) -> Sketch {
        let mut sketch = Sketch::default();
        values.iter().for_each(|value| sketch.add(Duration::from_micros(*value), false, 1));
        sketch
    }

    /// The largest relative error of all the quantiles that are looked at, exact sorting the judge.
    fn worst_error(mut values: Vec<u64>) -> f64 {
        let sketch = micros(&values);
        values.sort_unstable();
        let error = |thousandth: u32| {
            let q = f64::from(thousandth) / 1_000.0;
            let exact = values[usize::try_from(rank(values.len() as u64, q)).unwrap() - 1] as f64 / 1e6;
            let found = sketch.quantile(q).unwrap().value.as_secs_f64();
            if exact == 0.0 { found } else { (found - exact).abs() / exact }
        };
        (0..=1_000).map(error).fold(0.0, f64::max)
    }

    #[test]
    fn what_was_cut_off_at_the_limit_is_beyond_it() {
        let mut sketch = Sketch::default();
        let limit = Duration::from_secs(30);
        sketch.add(Duration::from_millis(200), false, 1_000);
        for more in 0..30 {
            sketch.add(limit + Duration::from_micros(more * 50), true, 1);
        }
        assert_eq!(sketch.beyond(limit), 30);
        assert_eq!(sketch.beyond(Duration::from_secs(29)), 30);
        assert_eq!(sketch.beyond(Duration::from_millis(100)), 1_030);
        assert_eq!(sketch.beyond(Duration::from_secs(31)), 0);
    }

    #[test]
    fn a_million_samples_are_within_one_percent_of_exact_sorting() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        // Log-normal, as response times are.
        let values = (0..1_000_000).map(|_| {
            let normal = (-2.0 * random().max(1e-12).ln()).sqrt() * (std::f64::consts::TAU * random()).cos();
            (80_000.0 * (0.6 * normal).exp()) as u64
        });
        let worst = worst_error(values.collect());
        assert!(worst <= 0.01, "{worst}");
    }

    #[test]
    fn adversarial_series_are_within_one_percent_too() {
        let halves = (0..10_000).map(|i| if i % 2 == 0 { 1_000 } else { 10_000_000 }).collect();
        let steps = (0..10_000_u64).map(|i| i + 1).collect();
        let powers = (0..10_000_u32).map(|i| 1_u64 << (i % 40)).collect();
        let constant = vec![123_457; 10_000];
        let spike = (0..10_000).map(|i| if i == 9_999 { 3_600_000_000 } else { 17 }).collect();
        let zeros = (0..10_000).map(|i| if i % 3 == 0 { 0 } else { 5 }).collect();
        for (name, values) in [
            ("two modes", halves),
            ("every value", steps),
            ("powers", powers),
            ("constant", constant),
            ("one spike", spike),
            ("zeros", zeros),
        ] {
            let worst = worst_error(values);
            assert!(worst <= 0.01, "{name}: {worst}");
        }
    }

    #[test]
    fn a_quantile_that_reaches_runs_cut_off_says_that_it_may_be_more() {
        let mut sketch = micros(&[100_000; 90]);
        sketch.add(Duration::from_secs(10), true, 10);
        let at = |q| sketch.quantile(q).unwrap();
        assert!(!at(0.5).at_least && !at(0.9).at_least);
        assert!(at(0.95).at_least && at(0.95).value.as_secs_f64() > 9.9);
        assert_eq!((sketch.count(), sketch.censored()), (100, 10));
        let read = Sketch::from_bytes(&sketch.to_bytes()).unwrap();
        assert_eq!(read.quantile(0.95), Some(at(0.95)));
    }

    #[test]
    fn the_rank_of_a_round_share_is_not_one_too_many() {
        assert_eq!([rank(20, 0.95), rank(100, 0.99), rank(7, 0.5), rank(1, 0.01)], [19, 99, 4, 1]);
        assert_eq!((rank(10, 0.0), rank(10, 1.0), rank(0, 0.5)), (1, 10, 0));
    }

    #[test]
    fn what_is_beyond_a_limit_is_counted() {
        let sketch = micros(&(1..=1_000).map(|milli| milli * 1_000).collect::<Vec<_>>());
        let beyond = sketch.beyond(Duration::from_millis(500));
        assert!((490..=510).contains(&beyond), "{beyond}");
        assert_eq!((sketch.beyond(Duration::ZERO), sketch.beyond(Duration::from_secs(2))), (1_000, 0));
    }

    #[test]
    fn nothing_has_no_quantile() {
        assert_eq!((Sketch::default().quantile(0.5), Sketch::default().max()), (None, None));
    }

    proptest! {
        #[test]
        fn any_series_is_within_one_percent(
            values in proptest::collection::vec(0_u64..20_000_000_000, 1..400),
        ) {
            prop_assert!(worst_error(values) <= 0.01);
        }

        #[test]
        fn merged_parts_say_what_the_whole_says(
            parts in proptest::collection::vec(proptest::collection::vec(1_u64..60_000_000, 0..60), 1..8),
        ) {
            let whole = micros(&parts.concat());
            let mut merged = Sketch::default();
            for part in &parts {
                merged.merge(&Sketch::from_bytes(&micros(part).to_bytes()).unwrap());
            }
            for q in [0.0, 0.5, 0.9, 0.95, 0.99, 1.0] {
                prop_assert_eq!(merged.quantile(q), whole.quantile(q));
            }
            prop_assert_eq!(merged.count(), whole.count());
        }

        #[test]
        fn cut_bytes_are_an_error_or_another_sketch_and_never_a_panic(
            values in proptest::collection::vec(1_u64..60_000_000, 1..60),
            cut in 0_usize..200,
        ) {
            let bytes = micros(&values).to_bytes();
            let _ = Sketch::from_bytes(&bytes[..cut.min(bytes.len())]);
        }
    }
}
