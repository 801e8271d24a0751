//! How keys are agreed on: curves, finite fields, and the hash that is signed.

use std::collections::BTreeSet;

use super::super::docs::posture::{DH_PRIME, DH_SHORT, GROUP_WEAK, POST_QUANTUM, SIGNATURE_HASH};
use super::super::posture::Posture;
use super::guideline::Guideline;
use super::posture::{SERVER, listed};
use crate::formats::tls::Version;
use crate::formats::tls::names;
use crate::model::{Finding, Severity};

/// RFC 9325 section 4.5.
const DH_BITS: usize = 2048;

/// How bad it is to accept a group; `None` where it is fine. Brainpool's curves are (RFC 8734, NCSC-NL
/// 2025 section 3.3.2.1), the others beside NIST's three and X25519 and X448 are withdrawn.
pub fn weakness(group: u16) -> Option<Severity> {
    let name = names::group(group);
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    if starts(&["sect16", "sect19", "secp16", "secp19"]) {
        Some(Severity::Error)
    } else if starts(&["sect23", "secp224"]) {
        Some(Severity::Warning)
    } else if starts(&["sect", "secp256k1"]) {
        Some(Severity::Notice)
    } else {
        None
    }
}

/// Curves that are withdrawn.
pub fn curves(posture: &Posture, _: &Guideline) -> Vec<Finding> {
    let groups: BTreeSet<u16> = posture.accepted().flat_map(|entry| &entry.groups).copied().collect();
    let weak: Vec<(u16, Severity)> =
        groups.into_iter().filter_map(|group| Some((group, weakness(group)?))).collect();
    let Some(severity) = weak.iter().map(|(_, severity)| *severity).max() else { return Vec::new() };
    let names: Vec<String> = weak.iter().map(|(group, _)| names::group(*group)).collect();
    let summary = format!("accepts curves that are withdrawn: {}", listed(&names));
    let finding = Finding::of(&GROUP_WEAK, SERVER, summary).with("groups", names);
    vec![Finding { severity, ..finding }]
}

/// The primes of finite-field Diffie-Hellman.
pub fn primes(posture: &Posture, _: &Guideline) -> Vec<Finding> {
    let mut findings = Vec::new();
    for prime in posture.legacy().flat_map(|entry| &entry.primes) {
        let bits = prime.bits;
        let found = match prime.name.as_deref() {
            _ if bits < DH_BITS => {
                let summary = format!("agrees on keys by a Diffie-Hellman prime of {bits} bits");
                Finding::of(&DH_SHORT, SERVER, summary).with("bits", bits)
            }
            Some(name) if name.starts_with("ffdhe") => continue,
            Some(name) => {
                let number = name.trim_start_matches("modp_");
                let summary = format!("uses the Diffie-Hellman prime of {number} bits of RFC 3526");
                Finding { severity: Severity::Notice, ..Finding::of(&DH_PRIME, SERVER, summary) }
            }
            None => {
                let summary = format!("uses a Diffie-Hellman prime of its own, of {bits} bits");
                Finding::of(&DH_PRIME, SERVER, summary)
            }
        };
        if !findings.contains(&found) {
            findings.push(found);
        }
    }
    findings
}

/// Whether keys can be agreed on that a quantum computer does not break.
pub fn post_quantum(posture: &Posture, _: &Guideline) -> Vec<Finding> {
    let Some(tls13) = posture.accepted().find(|entry| entry.number() == Some(Version::Tls13)) else {
        return Vec::new();
    };
    let names: Vec<String> = tls13.groups.iter().map(|group| names::group(*group)).collect();
    let hybrids: Vec<String> = names.iter().filter(|name| name.contains("MLKEM")).cloned().collect();
    if hybrids.is_empty() && (names.is_empty() || posture.incomplete.is_some()) {
        return Vec::new();
    }
    let summary = if hybrids.is_empty() {
        "no post-quantum key exchange is offered".to_owned()
    } else {
        format!("post-quantum key exchange is offered: {}", listed(&hybrids))
    };
    vec![Finding::of(&POST_QUANTUM, SERVER, summary)]
}

/// Hashes with which the server signs its keys in TLS 1.2.
pub fn hashes(posture: &Posture, _: &Guideline) -> Vec<Finding> {
    let schemes: BTreeSet<String> = posture
        .accepted()
        .flat_map(|entry| &entry.signatures)
        .map(|scheme| names::signature(*scheme))
        .collect();
    let told = [("_md5", Severity::Critical), ("_sha1", Severity::Error), ("_sha224", Severity::Warning)];
    let of = |(hash, severity): (&str, Severity)| {
        let fit: Vec<String> = schemes.iter().filter(|name| name.ends_with(hash)).cloned().collect();
        let summary = format!("signs its keys with {}", listed(&fit));
        let finding = Finding::of(&SIGNATURE_HASH, SERVER, summary).with("schemes", fit.clone());
        (!fit.is_empty()).then_some(Finding { severity, ..finding })
    };
    told.into_iter().filter_map(of).collect()
}
