//! Results folded into hours and days, so that years stay small and are read fast.
//!
//! An hour of a check is a pure function of its results, of the result that stood at its beginning and
//! of the check's [`Rules`]; a day is the sum of its hours. So whatever is in doubt (a crash, results
//! that were written late) is rolled again, with the same outcome. Checks of six and more runs a
//! minute have minutes too; for all others the results are the minutes.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::time::Duration;

use super::samples::{Rules, Run, samples};
use super::sketch::{Sketch, SketchError};
use super::uptime::{Clockwork, Standing, Uptime, within};
use crate::model::{Part, Phase, Verdict};

/// How long a row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grain {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day of UTC.
    Day,
}

impl Grain {
    /// All of them, the finest first.
    pub const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    /// Its length in milliseconds.
    pub const fn millis(self) -> i64 {
        match self {
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
            Self::Day => 86_400_000,
        }
    }

    /// The last boundary up to `at`, milliseconds since the epoch.
    pub const fn floor(self, at: i64) -> i64 {
        at.div_euclid(self.millis()) * self.millis()
    }

    /// The first boundary from `at` on.
    pub const fn ceil(self, at: i64) -> i64 {
        let floor = self.floor(at);
        if floor == at { at } else { floor + self.millis() }
    }
}

/// Whether a check runs so often that its minutes are kept beside its results.
pub fn has_minutes(every: Duration) -> bool {
    every <= Duration::from_secs(10)
}

/// Parts of one check that are kept: the steps of a journey are bounded, so is what is read back.
const PARTS: usize = 256;
/// Bytes of one row's sketches, unpacked.
const UNPACKED: u64 = 4 * 1024 * 1024;

/// The durations of one check, by part.
#[derive(Clone, Debug, Default)]
pub struct Latencies(BTreeMap<Part, Sketch>);

impl Latencies {
    /// Adds the samples of a run.
    pub fn add(&mut self, run: Run<'_>, rules: Rules) {
        samples(run, rules, |part, sample| {
            if let Some(sketch) = self.0.get_mut(part) {
                sketch.add(sample.took, sample.censored, 1);
            } else if self.0.len() < PARTS {
                self.0.entry(part.clone()).or_default().add(sample.took, sample.censored, 1);
            }
        });
    }

    /// Adds all that the other one holds.
    pub fn merge(&mut self, other: &Self) {
        for (part, sketch) in &other.0 {
            if self.0.len() < PARTS || self.0.contains_key(part) {
                self.0.entry(part.clone()).or_default().merge(sketch);
            }
        }
    }

    /// Adds what the other one holds of one part.
    pub fn merge_part(&mut self, part: &Part, sketch: &Sketch) {
        self.0.entry(part.clone()).or_default().merge(sketch);
    }

    /// The durations of one part.
    pub fn get(&self, part: &Part) -> Option<&Sketch> {
        self.0.get(part)
    }

    /// All parts: the whole first, then phases, then steps by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Part, &Sketch)> {
        self.0.iter()
    }

    /// Whether there is no sample at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As bytes, packed (zlib, whose checksum tells damage).
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut plain = Vec::with_capacity(self.0.len() * 160);
        for (part, sketch) in &self.0 {
            let (tag, name) = match part {
                Part::Whole => (0, ""),
                Part::Phase(phase) => (1 + *phase as u8, ""),
                Part::Step(name) => (STEP, &**name),
            };
            let bytes = sketch.to_bytes();
            plain.push(tag);
            if tag == STEP {
                plain.extend_from_slice(&length(name.len()));
                plain.extend_from_slice(name.as_bytes());
            }
            plain.extend_from_slice(&length(bytes.len()));
            plain.extend_from_slice(&bytes);
        }
        let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        // Writing to memory does not fail.
        packed.write_all(&plain).ok();
        packed.finish().unwrap_or_default()
    }

    /// The reverse of [`Latencies::to_bytes`].
    ///
    /// # Errors
    /// Damaged bytes, or those of another version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SketchError> {
        let mut plain = Vec::new();
        let unpacked = flate2::read::ZlibDecoder::new(bytes).take(UNPACKED).read_to_end(&mut plain);
        unpacked.map_err(|error| SketchError(error.to_string()))?;
        let (mut parts, mut rest) = (BTreeMap::new(), &plain[..]);
        while !rest.is_empty() && parts.len() < PARTS {
            let (part, sketch) = take_part(&mut rest)?;
            parts.insert(part, sketch);
        }
        Ok(Self(parts))
    }
}

/// Marks a step; below it stand the whole and the phases.
const STEP: u8 = 16;

fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

fn take<'b>(bytes: &mut &'b [u8], length: usize) -> Result<&'b [u8], SketchError> {
    let (taken, rest) =
        bytes.split_at_checked(length).ok_or_else(|| SketchError("it ends too early".to_owned()))?;
    *bytes = rest;
    Ok(taken)
}

fn take_counted<'b>(bytes: &mut &'b [u8]) -> Result<&'b [u8], SketchError> {
    let count = take(bytes, 4)?.iter().rev().fold(0_usize, |count, byte| count << 8 | usize::from(*byte));
    take(bytes, count)
}

fn take_part(bytes: &mut &[u8]) -> Result<(Part, Sketch), SketchError> {
    let tag = take(bytes, 1)?.first().copied().unwrap_or_default();
    let part = match tag {
        0 => Part::Whole,
        STEP => {
            let name = std::str::from_utf8(take_counted(bytes)?);
            Part::Step(name.map_err(|error| SketchError(error.to_string()))?.into())
        }
        phase => {
            let known = Phase::ALL.get(usize::from(phase) - 1).copied();
            Part::Phase(known.ok_or_else(|| SketchError(format!("part {phase} is not known")))?)
        }
    };
    Ok((part, Sketch::from_bytes(take_counted(bytes)?)?))
}

/// What one check's results of some time came to.
#[derive(Clone, Debug, Default)]
pub struct Rolled {
    /// Known time.
    pub uptime: Uptime,
    /// Runs, re-checks left out.
    pub runs: u64,
    /// Those that failed.
    pub failed: u64,
    /// The last result, re-checks left out, which stands into the next hour.
    pub standing: Option<Standing>,
    /// Durations.
    pub latencies: Latencies,
}

impl Rolled {
    /// Adds a later stretch of time.
    pub fn add(&mut self, later: &Self) {
        self.uptime.add(later.uptime);
        self.runs = self.runs.saturating_add(later.runs);
        self.failed = self.failed.saturating_add(later.failed);
        self.standing = later.standing.or(self.standing);
        self.latencies.merge(&later.latencies);
    }
}

/// Rolls up what one check did in `from..to` (milliseconds since the epoch), result by result.
#[derive(Clone, Debug)]
pub struct Roll {
    clockwork: Clockwork,
    rules: Rules,
    from: i64,
    to: i64,
    rolled: Rolled,
}

impl Roll {
    /// Begins with the result that stood before `from`.
    pub fn new(standing: Option<Standing>, rules: Rules, from: i64, to: i64) -> Self {
        Self { clockwork: Clockwork { standing }, rules, from, to, rolled: Rolled::default() }
    }

    /// Takes in the next result, in the order of their starts; those from before `from` are weighed as far
    /// as they stand into it. Re-checks are passed over.
    pub fn take(&mut self, at: jiff::Timestamp, run: Run<'_>) {
        self.judge(at, run.verdict, run.recheck);
        if !run.recheck && at.as_millisecond() >= self.from {
            self.rolled.latencies.add(run, self.rules);
        }
    }

    /// As [`Roll::take`], where durations do not matter.
    pub fn judge(&mut self, at: jiff::Timestamp, verdict: Verdict, recheck: bool) {
        if recheck {
            return;
        }
        let standing = Standing::of(at, verdict);
        if let Some(stretch) = self.clockwork.next(standing, self.rules.every) {
            self.rolled.uptime.add(within(stretch, self.from, self.to, &[]));
        }
        self.rolled.standing = Some(standing);
        // What ran before only stands into this time.
        if standing.at >= self.from {
            self.rolled.runs += 1;
            self.rolled.failed += u64::from(standing.up == Some(false));
        }
    }

    /// What it came to; the last result stands until `to` at most.
    pub fn finish(mut self) -> Rolled {
        if let Some(stretch) = self.clockwork.until(self.to, self.rules.every) {
            self.rolled.uptime.add(within(stretch, self.from, self.to, &[]));
        }
        self.rolled
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::model::{StepTime, Timings, Verdict};

    const RULES: Rules = Rules { every: Duration::from_secs(30), timeout: Duration::from_secs(10) };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    /// An hour of a usual check: durations spread as they are in life.
    fn hour(number: u64) -> Latencies {
        let mut latencies = Latencies::default();
        let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        for _ in 0..120 {
            let mut timings = Timings::default();
            for (phase, millis) in Phase::ALL.into_iter().zip([0.8, 13.4, 25.0, 73.1, 0.6]) {
                let normal =
                    (-2.0 * random().max(1e-12).ln()).sqrt() * (std::f64::consts::TAU * random()).cos();
                timings.add(phase, Duration::from_secs_f64(millis / 1_000.0 * (0.25 * normal).exp()));
            }
            let took = timings.iter().map(|(_, took)| took).sum();
            let run = Run {
                verdict: Verdict::Pass,
                took,
                timings: &timings,
                steps: &[],
                recheck: false,
                too_slow: false,
            };
            latencies.add(run, RULES);
        }
        latencies
    }

    #[test]
    fn an_hour_of_a_check_takes_less_than_a_kilobyte_and_a_day_less_than_two() {
        let hours: Vec<_> = (0..24).map(hour).collect();
        let bytes: usize = hours.iter().map(|hour| hour.to_bytes().len()).sum::<usize>() / 24;
        let mut day = Latencies::default();
        hours.iter().for_each(|hour| day.merge(&Latencies::from_bytes(&hour.to_bytes()).unwrap()));
        let whole = day.to_bytes().len();
        println!("{bytes} bytes an hour, {whole} a day");
        assert!(bytes < 1_000 && whole < 2_000, "{bytes} {whole}");
        assert_eq!(day.get(&Part::Whole).unwrap().count(), 24 * 120);
    }

    #[test]
    fn every_part_reads_back() {
        let mut latencies = hour(1);
        let steps = [StepTime { name: "créer".into(), took: Duration::from_secs(2) }];
        let (verdict, took) = (Verdict::Pass, Duration::from_secs(3));
        latencies.add(
            Run {
                verdict,
                took,
                timings: &Timings::default(),
                steps: &steps,
                recheck: false,
                too_slow: false,
            },
            RULES,
        );
        let read = Latencies::from_bytes(&latencies.to_bytes()).unwrap();
        let told = |latencies: &Latencies| {
            let of = |(part, sketch): (&Part, &Sketch)| (part.clone(), sketch.count(), sketch.quantile(0.5));
            latencies.iter().map(of).collect::<Vec<_>>()
        };
        assert_eq!(told(&read), told(&latencies));
        assert_eq!(told(&read).len(), 7);
    }

    #[test]
    fn damage_is_told_and_nothing_is_made_up() {
        let mut bytes = hour(1).to_bytes();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        assert!(Latencies::from_bytes(&bytes).is_err());
        assert!(Latencies::from_bytes(&bytes[..middle]).is_err());
    }

    #[test]
    fn an_hour_begins_with_what_stood_before_it() {
        let timings = Timings::default();
        let run = |verdict| Run {
            verdict,
            took: Duration::ZERO,
            timings: &timings,
            steps: &[],
            recheck: false,
            too_slow: false,
        };
        let before = Some(Standing::of(at(3_590), Verdict::Fail));
        let mut roll = Roll::new(before, RULES, 3_600_000, 7_200_000);
        roll.take(at(3_620), run(Verdict::Pass));
        roll.take(at(3_625), Run { recheck: true, ..run(Verdict::Fail) });
        let rolled = roll.finish();
        assert_eq!(rolled.uptime, Uptime { up: 60_000, down: 20_000, planned: 0 });
        assert_eq!((rolled.runs, rolled.failed), (1, 0));
        assert_eq!(rolled.standing, Some(Standing::of(at(3_620), Verdict::Pass)));
    }

    #[test]
    fn boundaries_are_those_of_utc() {
        let hour = Grain::Hour.millis();
        assert_eq!((Grain::Hour.floor(hour + 1), Grain::Hour.ceil(hour + 1)), (hour, 2 * hour));
        assert_eq!((Grain::Day.floor(hour), Grain::Minute.ceil(hour)), (0, hour));
        assert_eq!(Grain::Hour.floor(-1), -hour);
    }

    proptest! {
        #[test]
        fn hours_sum_up_to_what_one_pass_over_everything_says(
            gaps in proptest::collection::vec((1_i64..900, 0_usize..4, 0_u64..20_000), 1..60),
        ) {
            let timings = Timings::default();
            let mut results = Vec::new();
            let mut time = 0;
            for (gap, verdict, millis) in gaps {
                time += gap;
                results.push((time, Verdict::ALL[verdict], Duration::from_millis(millis)));
            }
            let end = Grain::Hour.ceil((time + 120) * 1_000);
            let roll = |standing, from: i64, to: i64| {
                let mut roll = Roll::new(standing, RULES, from, to);
                for (second, verdict, took) in &results {
                    if (from..to).contains(&(second * 1_000)) {
                        let run = Run { verdict: *verdict, took: *took, timings: &timings, steps: &[], recheck: false, too_slow: false };
                        roll.take(at(*second), run);
                    }
                }
                roll.finish()
            };
            let whole = roll(None, 0, end);
            let mut sum = Rolled::default();
            for hour in 0..end / Grain::Hour.millis() {
                let from = hour * Grain::Hour.millis();
                sum.add(&roll(sum.standing, from, from + Grain::Hour.millis()));
            }
            prop_assert_eq!(sum.uptime, whole.uptime);
            prop_assert_eq!((sum.runs, sum.failed, sum.standing), (whole.runs, whole.failed, whole.standing));
            let q = |rolled: &Rolled| rolled.latencies.get(&Part::Whole).and_then(|sketch| sketch.quantile(0.95));
            prop_assert_eq!(q(&sum), q(&whole));
        }
    }
}
