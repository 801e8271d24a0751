//! What each address accepts, judged rule by rule. None of it cuts browsers off, so that nothing here is
//! `broken`. What the chosen profile lists is told as a notice.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::super::docs::posture::{
    COMPRESSION, EXTENDED_MASTER_SECRET, FALLBACK, NO_TLS13, RENEGOTIATION, SCAN_INCOMPLETE,
    VERSION_INSECURE, VERSION_OLD,
};
use super::super::facts::{Endpoint, HostFacts};
use super::super::memory::endpoint_key;
use super::super::posture::{Posture, VersionPosture};
use super::guideline::Guideline;
use super::{Case, Note, groups, suites};
use crate::formats::tls::Version;
use crate::model::Finding;

/// The part of a host that these findings are about.
pub(super) const SERVER: &str = "server";

/// At most so many addresses are remembered.
const REMEMBERED: usize = 256;

/// At most so many names are written out.
const NAMED: usize = 4;

type Rule = fn(&Posture, &Guideline) -> Vec<Finding>;

const RULES: &[Rule] = &[
    versions,
    suites::accepted,
    suites::order,
    groups::curves,
    groups::primes,
    groups::post_quantum,
    groups::hashes,
    compression,
    renegotiation,
    extended_master_secret,
    fallback,
    incomplete,
];

/// What is known of one address.
pub struct Known<'a> {
    /// Which host.
    pub host: &'a HostFacts,
    /// Its address.
    pub endpoint: &'a Endpoint,
    /// What it accepts.
    pub posture: Cow<'a, Posture>,
}

/// What is known of each address: between scans, what the last one found out.
pub fn known<'a>(case: &Case<'a>) -> Vec<Known<'a>> {
    let of = |(host, endpoint): (&'a HostFacts, &'a Endpoint)| {
        let earlier = case.memory.postures.get(&endpoint_key(&host.subject(), endpoint.address));
        let posture = match &endpoint.posture {
            Some(seen) => seen.after(earlier),
            None => Cow::Borrowed(earlier?),
        };
        Some(Known { host, endpoint, posture })
    };
    case.endpoints().filter_map(of).collect()
}

/// What is thought of each address.
pub fn notes<'a>(case: &Case<'a>) -> Vec<Note<'a>> {
    let Some(guideline) = Guideline::of(case.spec.profile) else { return Vec::new() };
    let of = |Known { host, endpoint, posture }: Known<'a>| {
        let findings: Vec<Finding> = RULES.iter().flat_map(|rule| rule(&posture, guideline)).collect();
        findings.into_iter().map(move |finding| Note { host, address: Some(endpoint.address), finding })
    };
    known(case).into_iter().flat_map(of).collect()
}

/// Takes in what was found out. An address that is gone is forgotten when it would be scanned anew.
pub fn remember(case: &Case<'_>, postures: &mut BTreeMap<String, Posture>) {
    if Guideline::of(case.spec.profile).is_none() {
        postures.clear();
        return;
    }
    let seen: BTreeMap<String, Posture> = known(case)
        .into_iter()
        .map(|one| (endpoint_key(&one.host.subject(), one.endpoint.address), one.posture.into_owned()))
        .collect();
    let age = |posture: &Posture| u64::try_from(case.now.as_second() - posture.at.as_second()).unwrap_or(0);
    postures.retain(|_, posture| age(posture) < case.spec.scan_every.0.as_secs());
    postures.extend(seen);
    while postures.len() > REMEMBERED {
        let oldest = postures.iter().min_by_key(|(_, posture)| posture.at).map(|(key, _)| key.clone());
        let Some(oldest) = oldest else { break };
        postures.remove(&oldest);
    }
}

/// Names with commas between, the last ones counted if they are many.
pub(super) fn listed(names: &[String]) -> String {
    let named: Vec<&str> = names.iter().take(NAMED).map(String::as_str).collect();
    match names.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

fn versions(posture: &Posture, guideline: &Guideline) -> Vec<Finding> {
    let mut findings = Vec::new();
    if posture.accepts(Version::Ssl3) == Some(true) {
        findings.push(Finding::of(&VERSION_INSECURE, SERVER, "accepts SSLv3"));
    }
    let old = [Version::Tls10, Version::Tls11].into_iter();
    let old = old.filter(|version| posture.accepts(*version) == Some(true));
    let (meant, unmeant): (Vec<_>, Vec<_>) = old.partition(|version| guideline.versions.contains(version));
    for (versions, is_meant) in [(unmeant, false), (meant, true)] {
        if !versions.is_empty() {
            let names: Vec<String> = versions.iter().map(ToString::to_string).collect();
            let summary = format!("accepts {}", names.join(" and "));
            findings.push(guideline.meant(is_meant, Finding::of(&VERSION_OLD, SERVER, summary)));
        }
    }
    if posture.accepts(Version::Tls13) == Some(false) && posture.accepted().next().is_some() {
        findings.push(Finding::of(&NO_TLS13, SERVER, "does not accept TLSv1.3"));
    }
    findings
}

/// The accepted versions, TLS 1.0 to 1.2, of which something holds.
fn with(posture: &Posture, holds: impl Fn(&VersionPosture) -> bool) -> Vec<String> {
    let entries = posture.legacy().filter(|entry| entry.number() > Some(Version::Ssl3) && holds(entry));
    entries.map(|entry| entry.version.clone()).collect()
}

fn compression(posture: &Posture, _: &Guideline) -> Vec<Finding> {
    let compressing = |entry: &&VersionPosture| entry.compression == Some(true);
    let found = posture.legacy().find(compressing);
    let finding = |entry: &VersionPosture| {
        Finding::of(&COMPRESSION, SERVER, format!("compresses with {}", entry.version))
    };
    found.map(finding).into_iter().collect()
}

fn renegotiation(posture: &Posture, _: &Guideline) -> Vec<Finding> {
    let versions = with(posture, |entry| entry.secure_renegotiation == Some(false));
    let summary = || format!("does not secure renegotiation with {}", versions.join(", "));
    (!versions.is_empty()).then(|| Finding::of(&RENEGOTIATION, SERVER, summary())).into_iter().collect()
}

fn extended_master_secret(posture: &Posture, _: &Guideline) -> Vec<Finding> {
    let versions = with(posture, |entry| entry.extended_master_secret == Some(false));
    let summary = || format!("has no extended master secret with {}", versions.join(", "));
    let finding = || Finding::of(&EXTENDED_MASTER_SECRET, SERVER, summary());
    (!versions.is_empty()).then(finding).into_iter().collect()
}

/// TLS 1.3 has a mark of its own against falling back (RFC 8446 section 4.1.3).
fn fallback(posture: &Posture, _: &Guideline) -> Vec<Finding> {
    let versions: Vec<&str> = posture.legacy().map(|entry| entry.version.as_str()).collect();
    if posture.fallback_scsv != Some(false) || versions.len() < 2 {
        return Vec::new();
    }
    let summary = format!("lets clients fall back needlessly between {}", versions.join(", "));
    vec![Finding::of(&FALLBACK, SERVER, summary)]
}

fn incomplete(posture: &Posture, _: &Guideline) -> Vec<Finding> {
    let finding = |why: &String| {
        let summary = format!("not everything that is accepted could be found out: {why}");
        Finding { measured: false, ..Finding::of(&SCAN_INCOMPLETE, "scan", summary) }
    };
    posture.incomplete.iter().map(finding).collect()
}

#[cfg(test)]
pub(super) mod tests;
