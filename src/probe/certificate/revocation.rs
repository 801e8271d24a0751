//! Revocation lists, condensed to what is asked of them: the lists of large authorities have tens of
//! MiB, and a run asks for a handful of certificates.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What one list says of the certificates of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condensed {
    /// When it was made, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub this_update: Option<i64>,
    /// When the next one is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_update: Option<i64>,
    /// What it says of each certificate that names its URL, by the certificate's SHA-256.
    pub answers: BTreeMap<String, Answer>,
}

/// What a list says of one certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It is not on the list.
    Good,
    /// It is.
    Revoked {
        /// Since when, in seconds since 1970.
        since: Option<i64>,
        /// The reason's number (RFC 5280 section 5.3.1).
        reason: Option<u8>,
    },
    /// The list is of a form that is not judged, or its signer's certificate is not known: why.
    Unsupported(String),
    /// The list breaks a rule, such as that its signature does not hold: why.
    Invalid(String),
}
