//! What one run of one check came to.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{CheckId, Finding, Severity};

/// The result of a run in one word. `Unknown` is no downtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing worse than notice.
    Pass,
    /// A finding of severity warning or worse, none broken.
    Warn,
    /// A broken finding.
    Fail,
    /// Nothing, or a row marked `require`, could be measured.
    Unknown,
}

impl Verdict {
    /// All verdicts, in the order of the state set in `/metrics`.
    pub const ALL: [Self; 4] = [Self::Pass, Self::Warn, Self::Fail, Self::Unknown];

    /// The verdict of the worst measured finding. Judges the findings alone; a run that measured
    /// nothing at all is made `Unknown` by its caller.
    pub fn of(findings: &[Finding]) -> Self {
        let mut verdict = Self::Pass;
        for finding in findings.iter().filter(|finding| finding.measured) {
            if finding.broken {
                return Self::Fail;
            }
            if finding.severity >= Severity::Warning {
                verdict = Self::Warn;
            }
        }
        verdict
    }

    /// The lower-case name, as in JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
        }
    }

    /// The exit code of `check` and `inspect` (the Nagios plugin codes).
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Warn => 1,
            Self::Fail => 2,
            Self::Unknown => 3,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a run is `unknown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// This host has no way out: no route, or every reference target fails too.
    LocalNetwork,
    /// Our resolver fails its control query.
    LocalDns,
    /// The store is needed for this run and does not work.
    LocalStorage,
    /// This host is out of descriptors, memory or time.
    Overload,
    /// The target throttles or challenges us.
    Blocked,
    /// The config does not allow the run, or the address guard refuses the target.
    Config,
}

impl Cause {
    /// The snake-case name, as in JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LocalNetwork => "local_network",
            Self::LocalDns => "local_dns",
            Self::LocalStorage => "local_storage",
            Self::Overload => "overload",
            Self::Blocked => "blocked",
            Self::Config => "config",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A stretch of one network operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Name resolution.
    Dns,
    /// TCP connection establishment.
    Connect,
    /// TLS handshake.
    Tls,
    /// From the request sent to the first byte of the response.
    Ttfb,
    /// From the first to the last byte of the response.
    Transfer,
}

impl Phase {
    /// All phases, in the order in which they happen.
    pub const ALL: [Self; 5] = [Self::Dns, Self::Connect, Self::Tls, Self::Ttfb, Self::Transfer];

    /// The name, as in JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Ttfb => "ttfb",
            Self::Transfer => "transfer",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How long each phase took, in microseconds; a phase that did not happen is absent. Small enough
/// to copy: there is one for every result kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Timings([Option<std::num::NonZeroU32>; 5]);

impl Timings {
    /// No phase happened.
    pub const EMPTY: Self = Self([None; 5]);

    /// The time of one phase, if it happened.
    pub fn get(&self, phase: Phase) -> Option<Duration> {
        self.0[phase as usize].map(|stored| Duration::from_micros(u64::from(stored.get() - 1)))
    }

    /// Adds to the time of one phase (redirects and retries sum up).
    pub fn add(&mut self, phase: Phase, took: Duration) {
        let total = self.get(phase).unwrap_or_default() + took;
        let micros = u32::try_from(total.as_micros()).unwrap_or(u32::MAX - 1).min(u32::MAX - 1);
        self.0[phase as usize] = std::num::NonZeroU32::new(micros + 1);
    }

    /// The phases that happened, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Phase, Duration)> + '_ {
        Phase::ALL.into_iter().filter_map(|phase| self.get(phase).map(|took| (phase, took)))
    }
}

impl Serialize for Timings {
    /// A map from phase to seconds.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(phase, took)| (phase, took.as_secs_f64())))
    }
}

impl<'de> Deserialize<'de> for Timings {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = std::collections::BTreeMap::<Phase, f64>::deserialize(deserializer)?;
        let mut timings = Self::default();
        for (phase, seconds) in map {
            let took = Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)?;
            timings.add(phase, took);
        }
        Ok(timings)
    }
}

/// How long one step of a run took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTime {
    /// The step's name, unique in its check.
    pub name: Box<str>,
    /// How long it took, waiting for permits left out.
    pub took: Duration,
}

/// What one run of one check came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Which check.
    pub check: CheckId,
    /// When the run started.
    pub at: Timestamp,
    /// How long it took, waiting for permits left out.
    pub took: Duration,
    /// The result in one word.
    pub verdict: Verdict,
    /// Why it is unknown; `None` for every other verdict.
    pub cause: Option<Cause>,
    /// One sentence that explains the cause.
    pub why: Option<String>,
    /// What was seen, worst first.
    pub findings: Vec<Finding>,
    /// The protocol's status (for HTTP the status code of the judged response).
    pub status: Option<u16>,
    /// How long the phases took.
    pub timings: Timings,
    /// How long the steps took that were begun, in their order; empty for kinds without steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepTime>,
    /// The kind's facts as JSON; `None` when nothing was observed.
    pub facts: Option<Box<serde_json::value::RawValue>>,
    /// The run ended in a transport failure (no answer). Only such a run may become `unknown`
    /// through a guard.
    pub transport: bool,
    /// The run was made besides those that were due, because something was suspected: it adds no
    /// weight to what is counted over time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recheck: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(steps: Vec<StepTime>) -> Outcome {
        Outcome {
            check: CheckId::new("acme", "home"),
            at: Timestamp::UNIX_EPOCH,
            took: Duration::from_millis(3),
            verdict: Verdict::Pass,
            cause: None,
            why: None,
            findings: Vec::new(),
            status: None,
            timings: Timings::default(),
            steps,
            facts: None,
            transport: false,
            recheck: false,
        }
    }

    #[test]
    fn an_outcome_from_before_there_were_steps_still_reads() {
        let text = serde_json::to_string(&outcome(Vec::new())).unwrap();
        assert!(!text.contains("steps"), "{text}");
        let read: Outcome = serde_json::from_str(&text).unwrap();
        assert_eq!((read.took, read.steps), (Duration::from_millis(3), Vec::new()));
    }

    #[test]
    fn steps_keep_their_order() {
        let step = |name: &str, millis| StepTime { name: name.into(), took: Duration::from_millis(millis) };
        let steps = vec![step("sign in", 30), step("create", 20)];
        let text = serde_json::to_string(&outcome(steps.clone())).unwrap();
        assert_eq!(serde_json::from_str::<Outcome>(&text).unwrap().steps, steps);
    }
}
