//! Who says what: the parent against the zone, authority against authority, resolvers against the authorities.

use serde::{Deserialize, Serialize};

use super::Case;
use crate::model::Finding;
use crate::probe::dns::memory::Memory;

/// What each vantage said last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Views {}

/// Looks.
pub fn look(_case: &Case<'_>, _memory: &mut Memory) -> Vec<Finding> {
    Vec::new()
}
