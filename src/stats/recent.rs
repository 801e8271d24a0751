//! The figures of one check as of now, for the metrics: kept from result to result over what is rolled
//! up already.
//!
//! Windows of uptime and coverage, and the latencies of a day, begin at a full hour: what is rolled up
//! until the last full hour ([`Base`]), and what came since. The latencies of the last hour are exact.

use std::collections::VecDeque;
use std::time::Duration;

use super::rollup::Grain;
use super::samples::{Rules, Run, Sample, samples};
use super::sketch::{Quantile, Sketch};
use super::uptime::{Clockwork, Standing, Stretch, Uptime, within};
use super::window::Window;
use crate::model::Part;

/// The windows of uptime and coverage, in hours.
pub const WINDOWS: [(&str, i64); 3] = [("24h", 24), ("7d", 7 * 24), ("30d", 30 * 24)];
/// The quantiles that are exposed.
pub const QUANTILES: [f64; 3] = [0.5, 0.95, 0.99];
/// Hours that are not rolled up yet: more than this only while the store refuses.
const HOURS: usize = 48;
/// Steps with latencies of their own.
const STEPS: usize = 64;

/// What is rolled up.
#[derive(Clone, Debug, Default)]
pub struct Base {
    /// Until when, milliseconds since the epoch, a full hour.
    pub until: i64,
    /// When the check was first seen.
    pub since: i64,
    /// By window of [`WINDOWS`].
    pub uptimes: [Uptime; WINDOWS.len()],
    /// The durations of the last 24 of these hours.
    pub day: Sketch,
}

#[derive(Clone, Debug)]
struct Hour {
    at: i64,
    uptime: Uptime,
    sketch: Sketch,
}

/// What is kept of one check.
#[derive(Clone, Debug, Default)]
pub struct Recent {
    clockwork: Clockwork,
    base: Base,
    hours: VecDeque<Hour>,
    parts: Vec<(Part, Window)>,
}

/// The figures of one check.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Uptime (`None` where nothing is known) and coverage, by window.
    pub uptimes: Vec<(&'static str, Option<f64>, f64)>,
    /// Latencies.
    pub latencies: Vec<Latency>,
}

/// The latencies of one part in one window.
#[derive(Clone, Debug, PartialEq)]
pub struct Latency {
    /// The step; `None` for the whole run.
    pub step: Option<Box<str>>,
    /// The window, as a label.
    pub window: Box<str>,
    /// How many samples there are.
    pub samples: u64,
    /// By [`QUANTILES`].
    pub quantiles: [Duration; QUANTILES.len()],
}

impl Recent {
    /// Starts anew from what is rolled up, the results since then, oldest first, and the one that stood
    /// before them. They reach back an hour at least.
    pub fn of<'r>(
        base: Base,
        standing: Option<Standing>,
        results: impl Iterator<Item = (jiff::Timestamp, Run<'r>)>,
        rules: Rules,
    ) -> Self {
        let mut recent = Self { base, clockwork: Clockwork { standing }, ..Self::default() };
        results.for_each(|(at, run)| recent.take(at, run, rules));
        recent.forget_rolled();
        recent
    }

    /// Goes on from what is rolled up now.
    pub fn rebase(&mut self, base: Base) {
        self.base = base;
        self.forget_rolled();
    }

    fn forget_rolled(&mut self) {
        while self.hours.front().is_some_and(|hour| hour.at < self.base.until) {
            self.hours.pop_front();
        }
    }

    /// Takes in a result.
    pub fn take(&mut self, at: jiff::Timestamp, run: Run<'_>, rules: Rules) {
        if run.recheck {
            return;
        }
        let standing = Standing::of(at, run.verdict);
        if let Some(stretch) = self.clockwork.next(standing, rules.every) {
            self.weigh(stretch);
        }
        let millis = standing.at;
        samples(run, rules, |part, sample| match part {
            Part::Whole => {
                let hour = Grain::Hour.floor(millis);
                self.hour(hour).sketch.add(sample.took, sample.censored, 1);
                self.keep(part, millis, sample);
            }
            Part::Step(_) => self.keep(part, millis, sample),
            Part::Phase(_) => {}
        });
    }

    fn keep(&mut self, part: &Part, at: i64, sample: Sample) {
        if let Some((_, window)) = self.parts.iter_mut().find(|(known, _)| known == part) {
            window.take(at, sample);
        } else if self.parts.len() <= STEPS {
            let mut window = Window::new(Duration::from_secs(3_600));
            window.take(at, sample);
            self.parts.push((part.clone(), window));
        }
    }

    /// The hour that begins then, made if there is none. Hours come in order but for a clock that was
    /// set back.
    fn hour(&mut self, at: i64) -> &mut Hour {
        let place = match self.hours.binary_search_by_key(&at, |hour| hour.at) {
            Ok(place) => place,
            Err(place) => {
                self.hours.insert(place, Hour { at, uptime: Uptime::default(), sketch: Sketch::default() });
                if self.hours.len() > HOURS {
                    self.hours.pop_front();
                    place.saturating_sub(1)
                } else {
                    place
                }
            }
        };
        &mut self.hours[place]
    }

    fn weigh(&mut self, stretch: Stretch) {
        for (at, uptime) in by_hour(stretch) {
            if at >= self.base.until {
                self.hour(at).uptime.add(uptime);
            }
        }
    }

    /// The figures at `now` (milliseconds since the epoch).
    pub fn figures(&mut self, now: i64, rules: Rules) -> Figures {
        let since = self.hours.iter().map(|hour| hour.uptime).sum::<Uptime>();
        let standing = self.clockwork.until(now, rules.every);
        let standing = standing.map(|stretch| within(stretch, self.base.until.max(stretch.from), now, &[]));
        let mut later = since;
        later.add(standing.unwrap_or_default());
        let uptimes = WINDOWS.iter().zip(self.base.uptimes).map(|((name, hours), mut uptime)| {
            uptime.add(later);
            let from = (self.base.until - hours * Grain::Hour.millis()).max(self.base.since);
            let total = u64::try_from(now.saturating_sub(from)).unwrap_or(0);
            (*name, uptime.ratio(), uptime.coverage(total))
        });
        let uptimes = if self.base.until > 0 { uptimes.collect() } else { Vec::new() };
        let mut latencies: Vec<Latency> = Vec::new();
        for (part, window) in &mut self.parts {
            window.expire(now);
            latencies.extend(latency(part, "1h", window));
        }
        let mut day = self.base.day.clone();
        self.hours.iter().for_each(|hour| day.merge(&hour.sketch));
        let quantiles: Option<Vec<Duration>> =
            QUANTILES.iter().map(|q| day.quantile(*q).map(|found| found.value)).collect();
        if let Some(Ok(quantiles)) = quantiles.map(<[Duration; QUANTILES.len()]>::try_from)
            && self.base.until > 0
        {
            latencies.push(Latency { step: None, window: "24h".into(), samples: day.count(), quantiles });
        }
        Figures { uptimes, latencies }
    }
}

/// The latencies of a window.
pub fn latency(part: &Part, name: &str, window: &Window) -> Option<Latency> {
    let quantiles = window.quantiles(QUANTILES)?.map(|Quantile { value, .. }| value);
    let step = match part {
        Part::Step(step) => Some(step.clone()),
        Part::Whole | Part::Phase(_) => None,
    };
    Some(Latency { step, window: name.into(), samples: window.count(), quantiles })
}

/// The parts of a stretch by the hour they fall into.
fn by_hour(stretch: Stretch) -> impl Iterator<Item = (i64, Uptime)> {
    let hour = Grain::Hour.millis();
    let first = Grain::Hour.floor(stretch.from);
    (0..)
        .map(move |index| first + index * hour)
        .take_while(move |at| *at < stretch.to)
        .map(move |at| (at, within(stretch, at, at + hour, &[])))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::{Timings, Verdict};

    const RULES: Rules = Rules { every: Duration::from_secs(60), timeout: Duration::from_secs(10) };
    const HOUR: i64 = 3_600_000;
    const START: i64 = 500_000 * HOUR;

    fn run(verdict: Verdict, millis: u64) -> Run<'static> {
        const TIMINGS: &Timings = &Timings::EMPTY;
        let took = Duration::from_millis(millis);
        Run { verdict, took, timings: TIMINGS, steps: &[], recheck: false, too_slow: false }
    }

    fn minute(minute: i64) -> Timestamp {
        Timestamp::from_millisecond(START + minute * 60_000).unwrap()
    }

    fn base(until: i64, up: u64, down: u64) -> Base {
        let uptime = Uptime { up, down, planned: 0 };
        Base { until, since: START - 1_000 * HOUR, uptimes: [uptime; 3], day: Sketch::default() }
    }

    #[test]
    fn what_came_since_is_added_to_what_is_rolled_up() {
        let day = u64::try_from(24 * HOUR).unwrap();
        let results =
            (0..60).map(|at| (minute(at), run(if at < 30 { Verdict::Pass } else { Verdict::Fail }, 100)));
        let mut recent = Recent::of(base(START, day, 0), None, results, RULES);
        let figures = recent.figures(START + HOUR, RULES);
        let (name, ratio, coverage) = figures.uptimes[0];
        assert_eq!((name, coverage), ("24h", 1.0));
        assert!((ratio.unwrap() - 24.5 / 25.0).abs() < 1e-9, "{ratio:?}");
        // The hour is rolled up meanwhile.
        recent.rebase(base(START + HOUR, day, 1_800_000));
        let figures = recent.figures(START + HOUR, RULES);
        assert!((figures.uptimes[0].1.unwrap() - 24.0 / 24.5).abs() < 1e-9, "{figures:?}");
    }

    #[test]
    fn a_check_that_is_new_is_covered_since_it_is_there() {
        let results = (0..60).map(|at| (minute(at), run(Verdict::Pass, 100)));
        let new = Base { since: START, uptimes: [Uptime::default(); 3], ..base(START, 0, 0) };
        let mut recent = Recent::of(new, None, results, RULES);
        assert_eq!(recent.figures(START + HOUR, RULES).uptimes[2], ("30d", Some(1.0), 1.0));
        let later = recent.figures(START + 3 * HOUR, RULES).uptimes[2];
        assert!((later.2 - 61.0 / 180.0).abs() < 1e-9, "{later:?}");
    }

    #[test]
    fn percentiles_are_of_the_last_hour_and_the_last_day() {
        let mut day = Sketch::default();
        day.add(Duration::from_millis(900), false, 1_000);
        let results = (0..120).map(|at| (minute(at), run(Verdict::Pass, 100)));
        let mut recent = Recent::of(Base { day, ..base(START, 1, 0) }, None, results, RULES);
        let figures = recent.figures(START + 119 * 60_000, RULES);
        let told: Vec<_> = figures.latencies.iter().map(|one| (&*one.window, one.samples)).collect();
        assert_eq!(told, [("1h", 60), ("24h", 1_120)]);
        assert_eq!(figures.latencies[0].quantiles[1], Duration::from_millis(100));
        assert!(figures.latencies[1].quantiles[0] > Duration::from_millis(880));
    }

    #[test]
    fn before_anything_is_rolled_up_no_long_window_is_claimed() {
        let mut recent = Recent::default();
        recent.take(minute(0), run(Verdict::Pass, 100), RULES);
        let figures = recent.figures(START + 60_000, RULES);
        assert!(figures.uptimes.is_empty());
        assert_eq!(figures.latencies.len(), 1);
    }
}
