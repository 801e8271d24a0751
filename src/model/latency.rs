//! How fast something should be.

use std::num::NonZeroU32;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{HumanDuration, Phase, Span};

/// A part of a run that takes time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The whole run.
    Whole,
    /// A phase of it.
    Phase(Phase),
    /// A step of it, by name.
    Step(Box<str>),
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole => f.write_str("whole run"),
            Self::Phase(phase) => write!(f, "phase {phase}"),
            Self::Step(step) => write!(f, "step {step:?}"),
        }
    }
}

/// `latency` of a check or a step: budgets for its percentiles over a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LatencyKeys {
    /// The median at most.
    pub p50: Option<Span>,
    /// Nine of ten at most.
    pub p90: Option<Span>,
    /// 95 of 100 at most.
    pub p95: Option<Span>,
    /// 99 of 100 at most.
    pub p99: Option<Span>,
    /// Each at most.
    pub max: Option<Span>,
    /// Over this time; 15m, or 30 × every if that is longer, if not set.
    pub window: Option<Span>,
    /// Fewer samples than this say nothing, 20 if not set.
    pub min_samples: Option<NonZeroU32>,
    /// Over budget is a failure and not a warning.
    pub fail: bool,
    /// Warn when it is much slower than at the same hour of the past four weeks; so it is if not set.
    pub spike: Option<bool>,
}

/// Budgets for the percentiles of one part of a check.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// Of what.
    pub part: Part,
    /// Quantiles and what they may be at most, at least one.
    pub limits: Vec<(f64, Duration)>,
    /// Over this time.
    pub window: Duration,
    /// Fewer samples say nothing.
    pub min_samples: u32,
    /// Over budget is a failure.
    pub fail: bool,
    /// Whether it is compared with the weeks before.
    pub spike: bool,
}

/// The shortest window.
const SHORTEST: Duration = Duration::from_secs(15 * 60);
/// Intervals in the usual window.
const INTERVALS: u32 = 30;
const MIN_SAMPLES: u32 = 20;
/// A window keeps each of its samples, and is judged after every run; longer times are for objectives.
const MOST_SAMPLES: u32 = 10_000;

impl LatencyKeys {
    /// The budget of a part of a check that runs this often.
    ///
    /// # Errors
    /// The key that is wrong, and why: nothing is limited, or more of a higher percentile than of a lower
    /// one, or the window cannot hold so many samples, or
    /// would hold too many.
    pub fn budget(&self, part: Part, every: Duration) -> Result<Budget, (&'static str, String)> {
        let all = [
            ("p50", 0.5, self.p50),
            ("p90", 0.9, self.p90),
            ("p95", 0.95, self.p95),
            ("p99", 0.99, self.p99),
            ("max", 1.0, self.max),
        ];
        let set: Vec<_> = all.into_iter().filter_map(|(key, q, limit)| Some((key, q, limit?.0))).collect();
        if set.is_empty() {
            return Err(("", "limits nothing; write p95: 500ms, or p50, p90, p99 or max".to_owned()));
        }
        for pair in set.windows(2) {
            if let [(lower, _, allowed), (key, _, limit)] = *pair
                && limit < allowed
            {
                let (limit, allowed) = (HumanDuration(limit), HumanDuration(allowed));
                let message = format!(
                    "{limit} is less than {lower} may be ({allowed}), so that {lower} would never be what is over; \
                     make {key} longer or {lower} shorter"
                );
                return Err((key, message));
            }
        }
        let limits = set.into_iter().map(|(_, q, limit)| (q, limit)).collect();
        let usual = SHORTEST.max(every.saturating_mul(INTERVALS));
        let window = self.window.map_or(usual, |window| window.0);
        let min_samples = self.min_samples.map_or(MIN_SAMPLES, NonZeroU32::get);
        let least = every.saturating_mul(min_samples);
        if window < least {
            let key = if self.window.is_some() { "window" } else { "min_samples" };
            let message = format!(
                "a run every {} gives no {min_samples} samples within {}; make window {} or longer, or min_samples smaller",
                HumanDuration(every),
                HumanDuration(window),
                HumanDuration(least),
            );
            return Err((key, message));
        }
        let most = every.saturating_mul(MOST_SAMPLES);
        if window > most {
            let message = format!(
                "a run every {} gives more than {MOST_SAMPLES} samples within {}; make it {} or shorter, or write an \
                 objective of kind latency for longer times",
                HumanDuration(every),
                HumanDuration(window),
                HumanDuration(most),
            );
            return Err(("window", message));
        }
        let (fail, spike) = (self.fail, self.spike.unwrap_or(true));
        Ok(Budget { part, limits, window, min_samples, fail, spike })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(text: &str, every: u64) -> Result<Budget, (&'static str, String)> {
        let keys: LatencyKeys = serde_json::from_str(text).unwrap();
        keys.budget(Part::Whole, Duration::from_secs(every))
    }

    #[test]
    fn the_usual_window_holds_thirty_runs_and_a_quarter_of_an_hour_at_least() {
        let minutes = |every| budget(r#"{"p95": "500ms"}"#, every).unwrap().window.as_secs() / 60;
        assert_eq!((minutes(1), minutes(30), minutes(300)), (15, 15, 150));
    }

    #[test]
    fn a_window_too_short_for_its_samples_is_refused_at_its_key() {
        let (key, message) = budget(r#"{"p95": "1s", "window": "15m"}"#, 60).unwrap_err();
        assert_eq!(key, "window");
        assert!(message.contains("every 1m") && message.contains("20m or longer"), "{message}");
        assert_eq!(budget(r#"{"p95": "1s", "min_samples": 90}"#, 60).unwrap_err().0, "min_samples");
        assert!(budget(r#"{"p95": "1s", "window": "15m", "min_samples": 15}"#, 60).is_ok());
    }

    #[test]
    fn a_window_of_more_samples_than_can_be_judged_after_every_run_is_refused() {
        assert!(budget(r#"{"p95": "1s", "window": "3d"}"#, 30).is_ok());
        let (key, message) = budget(r#"{"p95": "1s", "window": "30d"}"#, 5).unwrap_err();
        assert_eq!(key, "window");
        assert!(message.contains("make it 13h53m20s or shorter"), "{message}");
    }

    #[test]
    fn a_percentile_may_not_be_less_than_a_lower_one() {
        let (key, message) = budget(r#"{"p50": "500ms", "p99": "300ms"}"#, 60).unwrap_err();
        assert_eq!(key, "p99");
        assert!(message.starts_with("300ms is less than p50 may be (500ms)"), "{message}");
        assert!(budget(r#"{"p50": "300ms", "p95": "300ms", "max": "1s"}"#, 60).is_ok());
    }

    #[test]
    fn a_budget_without_a_limit_is_none() {
        assert!(budget(r#"{"window": "1h"}"#, 60).unwrap_err().1.contains("limits nothing"));
        let all = budget(r#"{"p50": "1s", "p90": "2s", "p95": "3s", "p99": "4s", "max": "5s"}"#, 60).unwrap();
        assert_eq!(all.limits.iter().map(|limit| limit.0).collect::<Vec<_>>(), [0.5, 0.9, 0.95, 0.99, 1.0]);
        assert!(!all.fail && all.spike);
    }
}
