//! Thinks: a list of small functions, each of which looks at the facts for one kind of thing and
//! gives [`Note`]s; [`merge`] puts those of many addresses together.

pub mod alpn;
mod authorities;
pub mod caa;
pub mod chain;
#[cfg(test)]
mod chain_tests;
pub mod change;
pub mod ct;
#[cfg(test)]
mod ct_tests;
pub mod differ;
pub mod differ_posture;
#[cfg(test)]
mod differ_tests;
#[cfg(test)]
mod fixtures;
pub mod groups;
pub mod guideline;
pub mod https_record;
pub mod issuer;
pub mod judged;
pub mod leaves;
#[cfg(test)]
mod looks_tests;
pub mod merge;
pub mod pages;
pub mod posture;
pub mod profile;
pub mod reach;
#[cfg(test)]
mod reach_tests;
#[cfg(test)]
mod records_tests;
pub mod revoked;
pub mod served;
pub mod served_leaf;
#[cfg(test)]
mod served_tests;
pub mod staple;
pub mod suites;
pub mod timestamps;
pub mod tlsa;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use jiff::Timestamp;

use self::judged::JudgedChain;
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
    /// Every chain that was shown to a handshake that asked for the name, judged.
    pub judged: Vec<JudgedChain<'a>>,
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
const LOOKS: &[Look] = &[
    reach::notes,
    chain::notes,
    change::notes,
    posture::notes,
    profile::notes,
    differ_posture::notes,
    alpn::notes,
    differ::notes,
    ct::notes,
    pages::notes,
    revoked::notes,
    staple::notes,
    timestamps::notes,
    caa::notes,
    tlsa::notes,
    https_record::notes,
];

impl<'a> Case<'a> {
    /// The case of a run; judges the chains.
    pub fn new(
        spec: &'a Spec,
        facts: &'a Facts,
        memory: &'a Memory,
        now: Timestamp,
        anchors: &'a Anchors,
    ) -> Self {
        let certificates = facts.parsed();
        let mut case = Self { spec, facts, memory, now, certificates, anchors, judged: Vec::new() };
        case.judged = judged::chains(&case);
        case
    }

    /// A certificate that can be read.
    pub fn certificate(&self, key: &str) -> Option<&Certificate> {
        self.certificates.get(key)?.as_ref().ok()
    }

    /// Every certificate that can be read.
    pub fn readable(&self) -> impl Iterator<Item = &Certificate> {
        self.certificates.values().filter_map(|reading| reading.as_ref().ok())
    }

    /// Every address of every host.
    pub fn endpoints(&self) -> impl Iterator<Item = (&'a HostFacts, &'a Endpoint)> {
        self.facts.hosts.iter().flat_map(|host| host.endpoints.iter().map(move |endpoint| (host, endpoint)))
    }
}

/// How findings name a certificate by its number in the path: 0 is the leaf.
pub fn part(position: usize) -> String {
    if position == 0 { "leaf".to_owned() } else { format!("issuer {position}") }
}

/// All that is found.
pub fn findings(case: &Case<'_>) -> Vec<Finding> {
    merge::merge(LOOKS.iter().flat_map(|look| look(case)).collect())
}

/// What is to be remembered.
pub fn remember(case: &Case<'_>) -> Memory {
    let mut memory = case.memory.clone();
    posture::remember(case, &mut memory.postures);
    memory.fetched.issuers.clone_from(&case.facts.issuers);
    memory.fetched.crls.clone_from(&case.facts.crls);
    let fetched = case.facts.issuers.values().flat_map(|issuer| &issuer.certificates);
    memory.fetched.certificates =
        fetched.filter_map(|key| Some((key.clone(), case.facts.certificates.get(key)?.clone()))).collect();
    served::remember(case, &mut memory.served);
    change::remember(case, &mut memory.history);
    memory.ct = ct::after(case, &memory.history);
    memory
}

/// Rows of records that say nothing: one for each thing that may be open, which then stays so.
fn unasked<'a>(
    host: &'a HostFacts,
    rows: &[(&'static crate::model::FindingDoc, &str)],
    why: &str,
) -> Vec<Note<'a>> {
    let row = |(doc, subject): &(&'static crate::model::FindingDoc, &str)| {
        let finding = Finding { measured: false, ..Finding::of(doc, *subject, why) };
        Note { host, address: None, finding }
    };
    rows.iter().map(row).collect()
}

fn no_answer(kind: &str, why: &str) -> String {
    format!("the {kind} records could not be asked for: {why}")
}
