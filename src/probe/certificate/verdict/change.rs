//! Certificates over time and across addresses.

use serde::{Deserialize, Serialize};

use super::{Case, Note};

/// Each host's certificates over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {}

/// What changed, and what differs from address to address.
pub fn notes<'a>(_case: &Case<'a>) -> Vec<Note<'a>> {
    Vec::new()
}

/// Takes what was seen into the history.
pub fn remember(_case: &Case<'_>, _history: &mut History) {}
