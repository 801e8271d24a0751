//! What a config declares about a set of values.

/// What a set should be.
#[derive(Clone, Debug)]
pub enum Expectation {
    /// Exactly these.
    Equals(Vec<String>),
    /// These among others.
    Contains(Vec<String>),
    /// One of these sets.
    AnyOf(Vec<Vec<String>>),
    /// Nothing.
    Absent,
    /// Anything: it is looked at and never judged.
    Unmanaged,
}

/// Why a set is not what was declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unexpected {
    /// What is there and should not be.
    pub extra: Vec<String>,
    /// What should be there and is not.
    pub missing: Vec<String>,
    /// In words.
    pub why: String,
}
