//! What is remembered from run to run. Each part is kept by the file that uses it.

use serde::{Deserialize, Serialize};

use super::verdict::exposed::Exposed;
use super::verdict::views::Views;

/// What is remembered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Who differed from whom, and since when.
    pub views: Views,
    /// What is exposed.
    pub exposed: Exposed,
}
