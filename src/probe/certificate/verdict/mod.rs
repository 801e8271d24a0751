//! Thinks: a list of small functions, each of which looks at the facts for one kind of thing and
//! gives [`Note`]s; [`merge`] puts those of many addresses together.

pub mod chain;
pub mod change;
pub mod merge;
pub mod reach;
pub mod served;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use jiff::Timestamp;

use super::facts::{Endpoint, Facts, HostFacts};
use super::judge::Anchors;
use super::memory::Memory;
use super::spec::Spec;
use crate::formats::x509::{Certificate, Malformed};
use crate::model::Finding;

/// What there is to think about.
pub struct Case<'a> {
    /// The settings.
    pub spec: &'a Spec,
    /// What was seen.
    pub facts: &'a Facts,
    /// What is remembered of earlier runs.
    pub memory: &'a Memory,
    /// The present.
    pub now: Timestamp,
    /// Every certificate of the facts, read.
    pub certificates: BTreeMap<&'a str, Result<Certificate, Malformed>>,
    /// What is trusted: Mozilla's store and `ca_file`.
    pub anchors: &'a Anchors,
}

/// One thing about one host, at one address or at all.
pub struct Note<'a> {
    /// Which host.
    pub host: &'a HostFacts,
    /// At which address; `None`: the host as a whole.
    pub address: Option<SocketAddr>,
    /// The finding. Its subject is the part of the host that it is about (`leaf`, `issuer 1`, `chain`,
    /// `server`, `CAA`); the host is put before it.
    pub finding: Finding,
}

type Look = for<'a> fn(&Case<'a>) -> Vec<Note<'a>>;

/// Everything that is looked at.
const LOOKS: &[Look] = &[reach::notes, chain::notes, change::notes];

impl<'a> Case<'a> {
    /// A certificate that can be read.
    pub fn certificate(&self, key: &str) -> Option<&Certificate> {
        self.certificates.get(key)?.as_ref().ok()
    }

    /// Every address of every host.
    pub fn endpoints(&self) -> impl Iterator<Item = (&'a HostFacts, &'a Endpoint)> {
        self.facts.hosts.iter().flat_map(|host| host.endpoints.iter().map(move |endpoint| (host, endpoint)))
    }
}

/// All that is found.
pub fn findings(case: &Case<'_>) -> Vec<Finding> {
    merge::merge(LOOKS.iter().flat_map(|look| look(case)).collect())
}

/// What is to be remembered.
pub fn remember(case: &Case<'_>) -> Memory {
    let mut memory = case.memory.clone();
    for (host, endpoint) in case.endpoints() {
        if let Some(posture) = &endpoint.posture {
            memory
                .postures
                .insert(super::memory::endpoint_key(&host.subject(), endpoint.address), posture.clone());
        }
    }
    memory.fetched.issuers.clone_from(&case.facts.issuers);
    memory.fetched.crls.clone_from(&case.facts.crls);
    let fetched = case.facts.issuers.values().flat_map(|issuer| &issuer.certificates);
    memory.fetched.certificates =
        fetched.filter_map(|key| Some((key.clone(), case.facts.certificates.get(key)?.clone()))).collect();
    served::remember(case, &mut memory.served);
    change::remember(case, &mut memory.history);
    memory
}
