//! What is wrong with one check for a while.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{CheckId, Finding, Labels, Severity};

/// The stable name of an incident: its check and the millisecond of its first bad result. One
/// check has one incident at a time, so this is unique without a random number.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IncidentId(String);

impl IncidentId {
    /// Names the incident of `check` that started at `start`.
    pub fn new(check: &CheckId, start: Timestamp) -> Self {
        Self(format!("{check}@{}", start.as_millisecond()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for IncidentId {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why an incident is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closed {
    /// The check is well again.
    Recovered,
    /// The check is no longer in the config.
    Removed,
    /// It is part of an incident that was open before, and that the daemon learned of late, because
    /// its store could not be read.
    Merged,
}

/// What is wrong with one check from its first bad result to the first good one of the run of
/// results that closed it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Stable name.
    pub id: IncidentId,
    /// Which check.
    pub check: CheckId,
    /// The kind of the check, a label of every message.
    pub kind: String,
    /// The labels fixed at opening: user labels only; `alertname`, `portal`, `check`, `kind` and
    /// `severity` are added by [`Incident::outgoing_labels`].
    pub labels: Labels,
    /// The id of the finding it opened with; the `alertname` label, fixed at opening.
    pub alertname: String,
    /// `Critical` if it holds a broken or critical finding, else `Warning`.
    pub severity: Severity,
    /// The first bad result.
    pub started: Timestamp,
    /// When it was confirmed and opened.
    pub opened: Timestamp,
    /// The last good result before it, if one is known.
    pub last_good: Option<Timestamp>,
    /// The confirmed findings it holds now, worst first. After closing: those it held last.
    pub findings: Vec<Finding>,
    /// The first good result of the run that closed it.
    pub ended: Option<Timestamp>,
    /// Why it is over.
    pub closed: Option<Closed>,
    /// It goes up and down too often to tell each turn.
    pub flapping: bool,
    /// It was (partly) never written to the store.
    #[serde(default)]
    pub not_recorded: bool,
}

impl Incident {
    /// The labels that go out with every message, Alertmanager's way.
    pub fn outgoing_labels(&self) -> Labels {
        let mut labels = self.labels.clone();
        labels.insert("alertname".into(), self.alertname.clone());
        labels.insert("portal".into(), self.check.portal().into());
        labels.insert("check".into(), self.check.name().into());
        labels.insert("kind".into(), self.kind.clone());
        labels.insert("severity".into(), self.severity.as_str().into());
        labels
    }

    /// Whether it is still open.
    pub fn is_open(&self) -> bool {
        self.ended.is_none()
    }
}
