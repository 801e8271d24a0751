//! The suites that an address accepts.

use std::collections::BTreeSet;

use serde::Serialize;

use super::super::docs::posture::{SUITE_BROKEN, SUITE_ORDER, SUITE_UNPROTECTED, SUITE_WEAK};
use super::super::posture::{Posture, VersionPosture};
use super::guideline::Guideline;
use super::posture::{SERVER, listed};
use crate::formats::tls::names::{self, KeyExchange, key_exchange};
use crate::model::{Finding, FindingDoc};

/// How good a suite is in the eyes of NCSC-NL (IT Security Guidelines for TLS, 2025, appendix B).
/// Ordered from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Will stay safe for years.
    Good,
    /// Safe.
    Sufficient,
    /// Safe for the present, and known to be ageing.
    PhaseOut,
    /// Not safe.
    Insufficient,
}

/// The class of a suite. One without a name here is insufficient, as all that the guidelines do not list.
pub fn class(suite: u16) -> Class {
    let name = names::suite(suite);
    let has = |part: &str| name.contains(part);
    let is_dated = danger(suite).is_some_and(|danger| danger != Danger::Weak)
        || ["_DSS_", "_SEED_", "_CCM_8"].iter().any(|part| has(part))
        || name.ends_with("_SHA");
    match key_exchange(suite) {
        _ if is_dated => Class::Insufficient,
        Some(KeyExchange::Tls13) if has("_256_") || has("_CHACHA20_") => Class::Good,
        Some(KeyExchange::Tls13) => Class::Sufficient,
        Some(KeyExchange::Ecdhe) if !(has("_CBC_") || has("_CAMELLIA_") || has("_ARIA_")) => {
            Class::Sufficient
        }
        Some(KeyExchange::Ecdhe | KeyExchange::Dhe) => Class::PhaseOut,
        Some(KeyExchange::Rsa | KeyExchange::Static) | None => Class::Insufficient,
    }
}

/// What a suite does to those who use it. Ordered from bad to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Danger {
    /// CBC, no forward secrecy, DSA, a short tag.
    Weak,
    /// RC4 and blocks of 64 bits.
    Broken,
    /// No encryption, no certificate, or keys that break in hours.
    Unprotected,
}

/// What is wrong with a suite, if anything is.
pub fn danger(suite: u16) -> Option<Danger> {
    let name = names::suite(suite);
    let any = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    if any(&["_NULL_", "_anon_", "_EXPORT_", "_DES_", "_DES40_", "_RC2_"]) {
        Some(Danger::Unprotected)
    } else if any(&["_RC4_", "_3DES_", "_IDEA_"]) {
        Some(Danger::Broken)
    } else if any(&["_CBC_", "_CCM_8", "_DSS_"])
        || matches!(key_exchange(suite), Some(KeyExchange::Rsa | KeyExchange::Static))
    {
        Some(Danger::Weak)
    } else {
        None
    }
}

/// The names of the suites of all accepted versions that are so dangerous.
fn dangerous(posture: &Posture, wanted: Danger) -> Vec<String> {
    let numbers: BTreeSet<u16> = posture.accepted().flat_map(|entry| &entry.suites).copied().collect();
    let fit = numbers.into_iter().filter(|suite| danger(*suite) == Some(wanted));
    fit.map(names::suite).collect()
}

/// Suites that are no longer safe.
pub fn accepted(posture: &Posture, guideline: &Guideline) -> Vec<Finding> {
    let told: [(Danger, &FindingDoc, &str); 3] = [
        (Danger::Unprotected, &SUITE_UNPROTECTED, "protect nothing"),
        (Danger::Broken, &SUITE_BROKEN, "are broken"),
        (Danger::Weak, &SUITE_WEAK, "are to be phased out"),
    ];
    let mut findings = Vec::new();
    for (danger, doc, words) in told {
        let (meant, unmeant): (Vec<String>, Vec<String>) =
            dangerous(posture, danger).into_iter().partition(|name| guideline.has_suite(name));
        for (names, meant) in [(unmeant, false), (meant, true)] {
            if names.is_empty() {
                continue;
            }
            let summary = format!("accepts suites that {words}: {}", listed(&names));
            findings.push(guideline.meant(meant, Finding::of(doc, SERVER, summary)).with("suites", names));
        }
    }
    findings
}

/// Whether a good suite is chosen where both sides have one.
pub fn order(posture: &Posture, _: &Guideline) -> Vec<Finding> {
    let troubles: Vec<String> = posture.legacy().filter_map(order_of).collect();
    if troubles.is_empty() {
        return Vec::new();
    }
    vec![Finding::of(&SUITE_ORDER, SERVER, troubles.join("; "))]
}

fn order_of(entry: &VersionPosture) -> Option<String> {
    let classes = || entry.suites.iter().map(|suite| class(*suite));
    let (best, worst) = (classes().min()?, classes().max()?);
    match entry.server_preference? {
        false if best < worst && worst > Class::Sufficient => {
            Some(format!("lets clients of {} choose the weaker of two suites", entry.version))
        }
        true => {
            let (first, second) = preferred_weaker(&entry.suites)?;
            let (first, second) = (names::suite(first), names::suite(second));
            Some(format!("chooses {first} before {second} with {}", entry.version))
        }
        false => None,
    }
}

/// A weaker suite and the better one that comes after it. The order is known among the usual suites of
/// one way of agreeing on keys alone; AES and ChaCha20 with ECDHE are those.
fn preferred_weaker(suites: &[u16]) -> Option<(u16, u16)> {
    let usual = |suite: &u16| {
        let name = names::suite(*suite);
        key_exchange(*suite) == Some(KeyExchange::Ecdhe)
            && danger(*suite) != Some(Danger::Unprotected)
            && (name.contains("_AES_") || name.contains("_CHACHA20_"))
    };
    let usual: Vec<u16> = suites.iter().copied().filter(usual).collect();
    let mut pairs = usual.iter().zip(usual.iter().skip(1));
    let (first, second) = pairs.find(|(first, second)| class(**first) > class(**second))?;
    Some((*first, *second))
}
