//! Where a server departs from the profile that it is held to. To accept less is no departure, unless
//! a version is missing that clients of the profile need.

use std::collections::BTreeSet;

use super::super::docs::posture::PROFILE;
use super::super::facts::{Endpoint, HostFacts};
use super::super::posture::Posture;
use super::guideline::Guideline;
use super::posture::{Known, known, listed};
use super::{Case, Note, groups, suites};
use crate::formats::tls::{Version, names};
use crate::formats::x509::{Certificate, Hash, KeyKind};
use crate::model::{Finding, Severity};

/// Where addresses depart from the profile.
pub fn notes<'a>(case: &Case<'a>) -> Vec<Note<'a>> {
    let Some(guideline) = Guideline::of(case.spec.profile) else { return Vec::new() };
    let of = |Known { host, endpoint, posture }: Known<'a>| {
        let mut findings = departures(&posture, guideline);
        let leaves = leaves(case, host, endpoint);
        findings.extend(leaves.iter().filter_map(|leaf| certificate(leaf, guideline)));
        findings.into_iter().map(move |finding| Note { host, address: Some(endpoint.address), finding })
    };
    known(case).into_iter().flat_map(of).collect()
}

/// Something that is beyond the profile.
struct Beyond {
    what: String,
    /// It is not weak: the profile asks for less than what is usual, or for something else.
    is_fine: bool,
}

impl Beyond {
    const fn weak(what: String) -> Self {
        Self { what, is_fine: false }
    }
}

fn finding(subject: &str, verb: &str, guideline: &Guideline, beyond: Vec<Beyond>) -> Option<Finding> {
    let is_fine = beyond.iter().all(|one| one.is_fine);
    let names: Vec<String> = beyond.into_iter().map(|one| one.what).collect();
    let (first, profile) = (names.first()?, guideline.name);
    let what = if names.len() == 1 { first.clone() } else { listed(&names) };
    let summary = format!("{verb} {what} beyond profile {profile}");
    let mut finding = Finding::of(&PROFILE, subject, summary).with("beyond", names).with("profile", profile);
    if is_fine {
        finding.severity = Severity::Notice;
    }
    Some(finding)
}

fn departures(posture: &Posture, guideline: &Guideline) -> Vec<Finding> {
    let groups = [
        finding("versions", "accepts", guideline, versions(posture, guideline)),
        finding("suites", "accepts", guideline, suites_beyond(posture, guideline)),
        finding("groups", "accepts", guideline, groups_beyond(posture, guideline)),
        order(posture, guideline),
        missing(posture, guideline),
    ];
    groups.into_iter().flatten().collect()
}

fn versions(posture: &Posture, guideline: &Guideline) -> Vec<Beyond> {
    let beyond = posture
        .accepted()
        .filter(|entry| entry.number().is_some_and(|version| !guideline.versions.contains(&version)));
    beyond.map(|entry| Beyond::weak(entry.version.clone())).collect()
}

fn suites_beyond(posture: &Posture, guideline: &Guideline) -> Vec<Beyond> {
    let all: BTreeSet<u16> = posture.accepted().flat_map(|entry| &entry.suites).copied().collect();
    let all = all.into_iter().map(|suite| (suite, names::suite(suite)));
    let beyond = all.filter(|(_, name)| !guideline.has_suite(name));
    beyond.map(|(suite, what)| Beyond { what, is_fine: suites::danger(suite).is_none() }).collect()
}

fn groups_beyond(posture: &Posture, guideline: &Guideline) -> Vec<Beyond> {
    let all: BTreeSet<u16> = posture.accepted().flat_map(|entry| &entry.groups).copied().collect();
    let all = all.into_iter().map(|group| (group, names::group(group)));
    let beyond = all.filter(|(_, name)| !guideline.groups.contains(&name.as_str()));
    let mut beyond: Vec<Beyond> =
        beyond.map(|(group, what)| Beyond { what, is_fine: groups::weakness(group).is_none() }).collect();
    let sizes: BTreeSet<usize> =
        posture.legacy().flat_map(|entry| &entry.primes).map(|prime| prime.bits).collect();
    let short = sizes.into_iter().filter(|bits| guideline.dh_bits.is_some_and(|least| *bits < least));
    beyond.extend(short.map(|bits| Beyond::weak(format!("Diffie-Hellman of {bits} bits"))));
    beyond
}

fn order(posture: &Posture, guideline: &Guideline) -> Option<Finding> {
    let is_left = posture.legacy().any(|entry| entry.server_preference == Some(false));
    let summary = || format!("leaves the order of suites to the client, against profile {}", guideline.name);
    (guideline.server_order && is_left)
        .then(|| Finding::of(&PROFILE, "order", summary()).with("profile", guideline.name))
}

/// Versions that clients of the profile need; that TLS 1.3 is missing is told by itself.
fn missing(posture: &Posture, guideline: &Guideline) -> Option<Finding> {
    posture.accepted().next()?;
    let refused = guideline.versions.iter().filter(|version| posture.accepts(**version) == Some(false));
    let names: Vec<String> =
        refused.filter(|version| **version != Version::Tls13).map(ToString::to_string).collect();
    if names.is_empty() {
        return None;
    }
    let summary = format!("does not accept {}, which profile {} has", names.join(" and "), guideline.name);
    let finding = Finding::of(&PROFILE, "missing versions", summary).with("profile", guideline.name);
    Some(Finding { severity: Severity::Notice, ..finding })
}

/// The leaves that an address shows to those who ask as users do.
fn leaves<'c>(case: &'c Case<'_>, host: &HostFacts, endpoint: &Endpoint) -> Vec<&'c Certificate> {
    let usual = endpoint.views.iter().filter(|view| view.sni == host.server_name.is_some());
    let keys: BTreeSet<&String> =
        usual.filter_map(|view| view.shown.as_ref()).filter_map(|shown| shown.chain.first()).collect();
    keys.into_iter().filter_map(|key| case.certificate(key)).collect()
}

fn certificate(leaf: &Certificate, guideline: &Guideline) -> Option<Finding> {
    let key = &leaf.key;
    let mut beyond = Vec::new();
    let is_curve_listed =
        || key.curve.as_ref().is_none_or(|curve| guideline.curves.contains(&curve.as_str()));
    if !guideline.keys.contains(&key.algorithm) || !is_curve_listed() {
        beyond.push(Beyond::weak(format!("a key {}", key.words())));
    } else if key.algorithm == KeyKind::Rsa && key.bits < guideline.rsa_bits {
        let least = guideline.rsa_bits.unwrap_or_default();
        beyond.push(Beyond::weak(format!("a key {} (at least {least})", key.words())));
    }
    if !guideline.signatures.contains(&leaf.signature.name.as_str()) {
        let is_fine = matches!(leaf.signature.hash, Some(Hash::Sha256 | Hash::Sha384 | Hash::Sha512));
        beyond.push(Beyond { what: format!("a signature {}", leaf.signature.name), is_fine });
    }
    let days = leaf.lifetime().map(|seconds| seconds / 86_400);
    if let Some(days) = days.filter(|days| *days > guideline.lifetime_days) {
        let most = guideline.lifetime_days;
        beyond.push(Beyond::weak(format!("a lifetime of {days} days (at most {most})")));
    }
    finding("certificate", "has", guideline, beyond)
}
