//! What is remembered from run to run. Each part is kept by the file that uses it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::verdict::exposed::Exposed;
use super::verdict::views::Views;
use crate::judge::drift::{State, Ttl};

/// What is remembered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Who differed from whom, and since when.
    pub views: Views,
    /// How each record set was, by its key.
    pub sets: BTreeMap<String, State>,
    /// How long each may be kept by others.
    pub ttls: BTreeMap<String, Ttl>,
    /// The zone was signed, and its parent said so.
    pub secure: bool,
    /// What is exposed.
    pub exposed: Exposed,
}
