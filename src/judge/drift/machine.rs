//! The machine of one watched thing.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::Baseline;

/// What one run saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poll {
    /// When.
    pub at: Timestamp,
    /// What.
    pub seen: Seen,
}

/// What one run saw of a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// All who know agree, or enough of them: the values, sorted; none if it does not exist.
    Agreed {
        /// The values.
        values: Vec<String>,
        /// Every authority said so, not only most.
        by_all: bool,
    },
    /// They disagree: a change is on its way, or they are split.
    Unsettled,
    /// Too few answered to tell.
    Unmeasured,
}

/// How a thing is to be treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether what is not declared is learned.
    pub learn: bool,
    /// So many agreeing polls make a value provisional.
    pub polls: u32,
    /// Members of a pool served in turns are learned as one set.
    pub pool: bool,
}

/// A change that was announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The values it will have.
    pub values: Vec<String>,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

/// What is remembered of a thing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {}

/// How a thing stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is what it should be.
    Same,
}

/// One step. Pure.
pub fn step(
    state: &State,
    _poll: &Poll,
    _approved: Option<&Baseline>,
    _announced: &[Announced],
    _policy: Policy,
) -> (State, Standing) {
    (state.clone(), Standing::Same)
}
