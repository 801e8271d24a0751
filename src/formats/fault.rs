//! What is wrong with a record, and where.

/// What is wrong with a record, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {at}: {why}")]
pub struct Fault {
    /// The byte, from 0.
    pub at: usize,
    /// What is wrong and what would be right.
    pub why: String,
}

impl Fault {
    /// A fault.
    pub fn new(at: usize, why: impl Into<String>) -> Self {
        Self { at, why: why.into() }
    }
}
