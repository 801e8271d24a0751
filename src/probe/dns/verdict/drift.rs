//! Drift proper: what the authorities agree on against what was declared or approved.

use super::Case;
use crate::model::Finding;
use crate::probe::dns::memory::Memory;

/// Looks.
pub fn look(_case: &Case<'_>, _memory: &mut Memory) -> Vec<Finding> {
    Vec::new()
}
