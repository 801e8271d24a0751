//! What is remembered from run to run. Each part is kept by the file that uses it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::judge::drift;

/// What is remembered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// The record sets that are compared, by [`Question::key`](super::facts::Question::key).
    pub drift: BTreeMap<String, drift::State>,
    /// What each authority and each resolver said last, and since when they differ.
    pub views: super::verdict::views::Views,
    /// What is exposed.
    pub exposed: super::verdict::exposed::Exposed,
}
