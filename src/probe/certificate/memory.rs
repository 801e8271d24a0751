//! What is remembered from run to run. Each part is kept by the file that uses it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::facts::{Der, FetchedCrl, FetchedIssuer};
use super::posture::Posture;
use super::verdict::change::History;
use super::verdict::ct::Ct;
use super::verdict::served::Served;

/// What is remembered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// What addresses accepted when it was last found out, by [`endpoint_key`].
    pub postures: BTreeMap<String, Posture>,
    /// What was fetched, as long as it need not be fetched again.
    pub fetched: Fetched,
    /// What each address served last: what is exposed.
    pub served: Served,
    /// Each host's certificates over time.
    pub history: History,
    /// What public logs held.
    pub ct: Ct,
}

/// What was fetched from where certificates say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fetched {
    /// Issuers, by URL.
    pub issuers: BTreeMap<String, FetchedIssuer>,
    /// Their certificates.
    pub certificates: BTreeMap<String, Der>,
    /// Revocation lists, by URL.
    pub crls: BTreeMap<String, FetchedCrl>,
}

/// One address of a host.
pub fn endpoint_key(host: &str, address: std::net::SocketAddr) -> String {
    format!("{host} {address}")
}
