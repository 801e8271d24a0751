//! One check's state: `ok -> suspected -> open -> recovering -> ok`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Policy;
use crate::model::{Cause, Finding, Incident, OutboxRow, Verdict};

/// Where a check stands. Persisted when it changes; the default is "all quiet".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The open incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<Incident>,
    // The rest belongs to the machine.
}

/// What happens to a check.
#[derive(Clone, Debug)]
pub enum Event {
    /// A run ended.
    Result(Seen),
    /// The instant of an earlier [`Effect::WakeAt`] has come.
    Due,
    /// The check is no longer in the config.
    Removed,
}

/// What the machine sees of a run.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When the run started; incidents start and end at these instants.
    pub at: Timestamp,
    /// When the run ended.
    pub ended: Timestamp,
    /// The verdict.
    pub verdict: Verdict,
    /// Why it is unknown.
    pub cause: Option<Cause>,
    /// What was found.
    pub findings: Vec<Finding>,
    /// Commands that reproduce it, for messages.
    pub reproduce: Vec<String>,
    /// The store does not work: incidents are marked "not recorded".
    pub not_recorded: bool,
}

/// What must be done. All of it is data.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Run the check again at this instant instead of its next due time.
    RunAt(Timestamp),
    /// Send [`Event::Due`] at this instant. Persisted within the state.
    WakeAt(Timestamp),
    /// Write the incident (new, changed or closed).
    Incident(Incident),
    /// Put a row into the outbox.
    Tell(OutboxRow),
}

/// One step of one check.
pub fn step(_state: State, _event: &Event, _policy: &Policy, _now: Timestamp) -> (State, Vec<Effect>) {
    todo!("alert")
}
