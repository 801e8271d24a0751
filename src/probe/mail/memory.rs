//! What is remembered from run to run. Each part is kept by the file that uses it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::judge::drift::State;

/// What is remembered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Of which domain: the settings may have named another one before.
    pub domain: String,
    /// How each record set was, by its key.
    pub sets: BTreeMap<String, State>,
    /// The key of each selector, and since when it is the same.
    pub keys: BTreeMap<String, KeySeen>,
    /// The policy of MTA-STS.
    pub policy: Option<PolicySeen>,
    /// What was found last and alerts: ids and subjects.
    pub standing: Vec<(String, String)>,
    /// What is exposed: whether each policy is as it should be.
    pub exposed: BTreeMap<String, bool>,
}

/// A key that was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeySeen {
    /// Its fingerprint.
    pub fingerprint: String,
    /// Since when.
    pub since: Timestamp,
}

/// A policy that was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicySeen {
    /// The id in the record.
    pub id: String,
    /// The digest of the policy when that id came.
    pub sha256: String,
    /// Its mode.
    pub mode: String,
    /// Since when it has that mode.
    pub since: Timestamp,
}

impl Memory {
    /// What is remembered of this domain.
    pub fn of(&self, domain: &str) -> Self {
        if self.domain == domain {
            return self.clone();
        }
        Self { domain: domain.to_owned(), ..Self::default() }
    }
}
