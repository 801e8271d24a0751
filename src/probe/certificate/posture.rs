//! What an address accepts, as it is kept: the numbers of the wire, without opinions.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::facts::Der;
use crate::net::{Acceptance, TlsScan, VersionScan};

/// What an address accepts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Posture {
    /// When it was found out.
    pub at: Timestamp,
    /// One entry for each version, oldest first.
    pub versions: Vec<VersionPosture>,
    /// RFC 7507: a needless fallback is refused; `None` where that could not be found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_scsv: Option<bool>,
    /// Why something was left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<String>,
}

/// What is accepted with one version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionPosture {
    /// `TLSv1.2`, `SSLv3`.
    pub version: String,
    /// Whether it is accepted; `None` where that could not be found out.
    pub accepted: Option<bool>,
    /// The numbers of the suites, in the server's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suites: Vec<u16>,
    /// Whether the server's order counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_preference: Option<bool>,
    /// The numbers of the groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<u16>,
    /// The primes of finite-field Diffie-Hellman, big-endian.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub primes: Vec<Der>,
    /// The numbers of the signature schemes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<u16>,
    /// It compresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<bool>,
    /// RFC 5746.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secure_renegotiation: Option<bool>,
    /// RFC 7627.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended_master_secret: Option<bool>,
    /// Session tickets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tickets: Option<bool>,
}

impl Posture {
    /// A scan as it is kept.
    pub fn of(scan: &TlsScan, at: Timestamp) -> Self {
        Self {
            at,
            versions: scan.versions.iter().map(VersionPosture::of).collect(),
            fallback_scsv: scan.fallback_scsv,
            incomplete: scan.incomplete.clone(),
        }
    }
}

impl VersionPosture {
    fn of(scan: &VersionScan) -> Self {
        Self {
            version: scan.version.to_string(),
            accepted: match scan.accepted {
                Acceptance::Yes => Some(true),
                Acceptance::No(_) => Some(false),
                Acceptance::Unknown(_) | Acceptance::NotAsked => None,
            },
            suites: scan.suites.clone(),
            server_preference: scan.server_preference,
            groups: scan.groups.clone(),
            primes: scan.primes.iter().map(|prime| Der(prime.bytes.clone())).collect(),
            signatures: scan.signatures.clone(),
            compression: scan.compression,
            secure_renegotiation: scan.secure_renegotiation,
            extended_master_secret: scan.extended_master_secret,
            tickets: scan.tickets,
        }
    }
}
