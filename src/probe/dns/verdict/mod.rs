//! Thinks: a list of small functions, each of which looks at the facts for one kind of thing.

pub mod aliases;
pub mod consensus;
pub mod declared;
pub mod dnssec;
pub mod drift;
pub mod exposed;
pub mod health;
pub mod reach;
pub mod soa;
mod takeover;
pub mod ttl;
pub mod views;
pub mod watched;

use jiff::Timestamp;

use super::facts::Facts;
use super::memory::Memory;
use super::spec::Spec;
use crate::model::{Baseline, Finding};

/// What there is to think about.
pub struct Case<'a> {
    /// The settings.
    pub spec: &'a Spec,
    /// What was seen.
    pub facts: &'a Facts,
    /// What is remembered of earlier runs.
    pub memory: &'a Memory,
    /// What people decided; `Err` says why that could not be read.
    pub baselines: &'a Result<Vec<Baseline>, String>,
    /// The present.
    pub now: Timestamp,
}

/// What one look gives: findings, and its part of the memory.
type Look = fn(&Case<'_>, &mut Memory) -> Vec<Finding>;

/// Everything that is looked at. Each look writes only its own part of the memory.
const LOOKS: &[Look] = &[
    reach::look,
    views::look,
    health::look,
    soa::look,
    aliases::look,
    declared::look,
    drift::look,
    ttl::look,
    dnssec::look,
    exposed::look,
];

/// All that is found, and what is to be remembered.
pub fn judge(case: &Case<'_>) -> (Vec<Finding>, Memory) {
    let mut memory = case.memory.clone();
    let findings = LOOKS.iter().flat_map(|look| look(case, &mut memory)).collect();
    (findings, memory)
}
