//! What each address serves: remembered, so that it is exposed right after a restart and while an
//! address does not answer; one unseen for three runs goes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Case;
use crate::model::Series;

/// What each address served last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Served {}

/// Takes in what a run saw.
pub fn remember(_case: &Case<'_>, _served: &mut Served) {}

/// What is exposed.
pub fn series(_served: &Served, _now: Timestamp) -> Vec<Series> {
    Vec::new()
}
