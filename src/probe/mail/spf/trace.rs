//! What was asked for on the way, as a tree.

use serde::Serialize;

use super::Verdict;

/// A domain whose record was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// The domain.
    pub domain: String,
    /// Its record; none if there is none that can be used.
    pub record: Option<String>,
    /// Its terms that were looked at, in their order.
    pub steps: Vec<Step>,
}

/// A term that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// As written.
    pub term: String,
    /// Whether it matched.
    pub matched: bool,
    /// Lookups that it and what is behind it cost.
    pub lookups: usize,
    /// What is behind it: of include and redirect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behind: Option<(Node, Verdict)>,
}

impl Node {
    /// One of which nothing is known yet.
    pub const fn of(domain: String) -> Self {
        Self { domain, record: None, steps: Vec::new() }
    }
}
