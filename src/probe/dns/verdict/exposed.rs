//! What is exposed as metrics.

use serde::{Deserialize, Serialize};

use super::Case;
use crate::model::Finding;
use crate::probe::dns::memory::Memory;

/// What is exposed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Exposed {}

/// Looks.
pub fn look(_case: &Case<'_>, _memory: &mut Memory) -> Vec<Finding> {
    Vec::new()
}
