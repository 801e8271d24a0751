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
    /// The worst of all findings that it held in its time, without evidence: what it holds at its end is
    /// often the least of it. `None` in what an older version wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst: Option<Finding>,
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

    /// Holds these findings from now on, worst first.
    pub fn hold(&mut self, findings: Vec<Finding>, severity: Severity) {
        let rank = |finding: &Finding| (finding.broken, finding.severity);
        if let Some(first) = findings.first()
            && self.worst.as_ref().is_none_or(|worst| rank(first) > rank(worst))
        {
            let evidence = serde_json::Map::new();
            self.worst = Some(Finding { evidence, ..first.clone() });
        }
        (self.findings, self.severity) = (findings, severity);
    }

    /// The worst finding it held, as far as is known.
    pub fn worst(&self) -> Option<&Finding> {
        self.worst.as_ref().or_else(|| self.findings.first())
    }

    /// The severity it had at its worst.
    pub fn worst_severity(&self) -> Severity {
        match self.worst() {
            Some(finding) if finding.broken => Severity::Critical,
            Some(finding) => finding.severity.max(self.severity),
            None => self.severity,
        }
    }

    /// The id of the worst finding it held.
    pub fn worst_id(&self) -> &str {
        self.worst().map_or(&self.alertname, |finding| finding.id.as_str())
    }

    /// Whether it is still open.
    pub fn is_open(&self) -> bool {
        self.ended.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(id: &'static str, severity: Severity, broken: bool) -> Finding {
        Finding {
            id: id.into(),
            subject: String::new(),
            severity,
            broken,
            measured: true,
            summary: String::new(),
            evidence: [("seen".to_owned(), true.into())].into_iter().collect(),
            reference: None,
        }
    }

    #[test]
    fn the_worst_an_incident_was_outlives_what_it_holds() {
        let check = CheckId::new("acme", "front");
        let mut incident = Incident {
            id: IncidentId::new(&check, Timestamp::UNIX_EPOCH),
            check,
            kind: "http".to_owned(),
            labels: Labels::new(),
            alertname: "latency.budget".to_owned(),
            severity: Severity::Warning,
            started: Timestamp::UNIX_EPOCH,
            opened: Timestamp::UNIX_EPOCH,
            last_good: None,
            findings: Vec::new(),
            worst: None,
            ended: None,
            closed: None,
            flapping: false,
            not_recorded: false,
        };
        assert_eq!((incident.worst_id(), incident.worst_severity()), ("latency.budget", Severity::Warning));
        for (held, severity, id, worst) in [
            (
                finding("latency.budget", Severity::Warning, false),
                Severity::Warning,
                "latency.budget",
                Severity::Warning,
            ),
            (
                finding("http.status", Severity::Error, true),
                Severity::Critical,
                "http.status",
                Severity::Critical,
            ),
            (
                finding("tls.expiry", Severity::Critical, false),
                Severity::Critical,
                "http.status",
                Severity::Critical,
            ),
            (
                finding("latency.budget", Severity::Warning, false),
                Severity::Warning,
                "http.status",
                Severity::Critical,
            ),
        ] {
            incident.hold(vec![held], severity);
            assert_eq!((incident.severity, incident.worst_id()), (severity, id));
            assert_eq!(incident.worst_severity(), worst);
        }
        let kept = incident.worst.expect("it held something");
        assert!(kept.broken && kept.evidence.is_empty(), "{kept:?}");
    }
}
