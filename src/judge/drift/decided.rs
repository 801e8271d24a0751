//! What people said that a set should be.

use jiff::Timestamp;

use crate::model::{Baseline, Decision};

/// What people decided about one set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decided<'a> {
    /// What was approved last.
    pub approved: Option<&'a Baseline>,
    /// What it must not be.
    pub rejected: Vec<&'a Baseline>,
}

impl<'a> Decided<'a> {
    /// Those of all decisions that are about this set.
    pub fn about(baselines: &'a [Baseline], key: &str) -> Self {
        let own = || baselines.iter().filter(|baseline| baseline.key == key);
        let approved = own().filter(|baseline| baseline.decision == Decision::Approved);
        Self {
            approved: approved.max_by_key(|baseline| baseline.at),
            rejected: own().filter(|baseline| baseline.decision == Decision::Rejected).collect(),
        }
    }

    /// Who said that it must not be these values.
    pub fn rejects(&self, values: &[String]) -> Option<&'a Baseline> {
        self.rejected.iter().find(|baseline| baseline.values == values).copied()
    }
}

/// A change that was announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The values the set will have, sorted.
    pub values: Vec<String>,
    /// From when it may have them.
    pub from: Timestamp,
    /// Until when it may still have the old ones.
    pub until: Timestamp,
}

impl Announced {
    /// Whether it may happen now.
    pub fn is_under_way(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }
}
