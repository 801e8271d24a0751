//! What was asked for on the way, as a tree.

use serde::{Deserialize, Serialize};

use super::Verdict;

/// A domain whose record was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// The domain.
    pub domain: String,
    /// Its record; none if there is none that can be used.
    pub record: Option<String>,
    /// Its terms that were looked at, in their order.
    pub steps: Vec<Step>,
}

/// A term that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// As written.
    pub term: String,
    /// Whether it matched.
    pub matched: bool,
    /// Lookups that it and what is behind it cost.
    pub lookups: usize,
    /// What is behind it: of include and redirect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<(Node, Verdict)>,
}

impl Node {
    /// Every domain whose record was looked at, from here on.
    pub fn all(&self) -> Vec<&Self> {
        let behind = self.steps.iter().filter_map(|step| step.behind.as_ref());
        std::iter::once(self).chain(behind.flat_map(|(node, _)| node.all())).collect()
    }

    /// One of which nothing is known yet.
    pub const fn of(domain: String) -> Self {
        Self { domain, record: None, steps: Vec::new() }
    }
}
