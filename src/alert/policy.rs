//! What the machine must know of a check besides its results.

use std::sync::Arc;
use std::time::Duration;

use super::Route;
use crate::model::{CheckId, Confirm, FindingDoc, Labels};

/// The rules one check is alerted by.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Which check.
    pub check: CheckId,
    /// Its kind's name.
    pub kind: &'static str,
    /// Its user labels.
    pub labels: Arc<Labels>,
    /// `every`.
    pub every: Duration,
    /// The kind's confirmation.
    pub confirm: Confirm,
    /// The kind's documentation of findings, whose own confirmation goes before the kind's.
    pub findings: &'static [FindingDoc],
    /// The same of findings that any kind can make.
    pub common: &'static [FindingDoc],
    /// What the config says on top of both, key by key.
    pub failures: Option<u32>,
    /// See `failures`.
    pub successes: Option<u32>,
    /// See `failures`.
    pub recheck: Option<Duration>,
    /// Unknown for longer than this is an incident about the monitor.
    pub unknown_after: Duration,
    /// More turns than this in `flap_window` is flapping.
    pub flap_transitions: u32,
    /// See `flap_transitions`.
    pub flap_window: Duration,
    /// The routes of the whole config.
    pub routes: Arc<[Route]>,
}

impl Policy {
    /// The policy of a check that is in no config: enough to close its incident, which keeps its own
    /// labels and remembers whom it told.
    pub fn of_removed(check: CheckId) -> Self {
        let minute = Duration::from_secs(60);
        Self {
            check,
            kind: "",
            labels: Arc::default(),
            every: minute,
            confirm: Confirm { failures: 1, successes: 1, recheck: None },
            findings: &[],
            common: &[],
            failures: None,
            successes: None,
            recheck: None,
            unknown_after: Duration::MAX,
            flap_transitions: u32::MAX,
            flap_window: minute,
            routes: Arc::default(),
        }
    }

    /// The confirmation of one kind of finding: its own, else the kind's, with the config on top.
    /// Never less than one result.
    pub fn confirm_of(&self, finding: &str) -> Confirm {
        let mut docs = self.findings.iter().chain(self.common);
        let own = docs.find(|doc| doc.id == finding).and_then(|doc| doc.confirm);
        let base = own.unwrap_or(self.confirm);
        Confirm {
            failures: self.failures.unwrap_or(base.failures).max(1),
            successes: self.successes.unwrap_or(base.successes).max(1),
            recheck: self.recheck.or(base.recheck),
        }
    }
}
