//! The name of a check.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// User labels of a check, in name order.
pub type Labels = BTreeMap<String, String>;

/// The kind of objectives, a label of their messages.
pub const OBJECTIVE: &str = "objective";

/// The `portal` label of objectives.
const OBJECTIVES: &str = "_objectives";

/// The full name of a check, `portal/check`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CheckId(Arc<str>);

impl CheckId {
    /// Joins a portal's and a check's short name.
    pub fn new(portal: &str, check: &str) -> Self {
        Self(format!("{portal}/{check}").into())
    }

    /// The check under which the daemon reports about itself. No user's check can have this id:
    /// names of portals start with a letter or a digit.
    pub fn monitor() -> Self {
        Self::new("_portalwatch", "monitor")
    }

    /// Whether this is [`CheckId::monitor`].
    pub fn is_monitor(&self) -> bool {
        self.portal() == "_portalwatch"
    }

    /// The name under which an objective reports. No user's check can have it.
    pub fn objective(name: &str) -> Self {
        Self::new(OBJECTIVES, name)
    }

    /// Whether this is [`CheckId::objective`].
    pub fn is_objective(&self) -> bool {
        self.portal() == OBJECTIVES
    }

    /// The `portal` label.
    pub fn portal(&self) -> &str {
        self.0.split_once('/').map_or(&*self.0, |(portal, _)| portal)
    }

    /// The `check` label: the short name.
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or(&*self.0, |(_, check)| check)
    }

    /// `portal/check`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for CheckId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
