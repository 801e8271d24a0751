//! DNSSEC, layer by layer: what the parent says, the keys and signatures of each authority, and what
//! resolvers make of them.

mod chain;
mod resolvers;
mod strength;

use std::collections::BTreeMap;

use jiff::Timestamp;

use self::chain::{Served, Validity};
use super::Case;
use crate::formats::dns::{Data, Ds, Outcome, RecordType};
use crate::model::{Decision, Finding, Severity};
use crate::probe::dns::docs::dnssec as docs;
use crate::probe::dns::facts::{Facts, Question};
use crate::probe::dns::memory::Memory;

const DAY: i64 = 86_400;
/// With less left, signatures expire soon …
const SOON: i64 = 2 * DAY;
/// … unless they are made for less than this; then it is a share that counts.
const SHORT: i64 = 8 * DAY;

/// What the parent says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Delegation {
    /// Signed, with these keys.
    Secure(Vec<Ds>),
    /// Not signed.
    Insecure,
    /// Its servers gave no answer that counts.
    Unknown,
}

/// Looks.
pub fn look(case: &Case<'_>, memory: &mut Memory) -> Vec<Finding> {
    let zone = case.facts.zone.to_string();
    let now = case.now.as_second();
    let delegation = delegation(case.facts);
    let served: Vec<Served> = chain::served(case.facts, now);
    memory.exposed.expire(expiries(&served));
    let mut findings = Vec::new();
    let remembered = case.memory.secure && case.memory.exposed.is_of(&case.facts.zone);
    let was_secure = case.spec.signed.unwrap_or(remembered);
    memory.secure = remembered;
    match &delegation {
        Delegation::Secure(keys) => {
            memory.secure = true;
            findings.extend(chain(case, keys, &served));
            findings.extend(expiring(&zone, now, &served));
            findings.extend(strength::digests(&zone, keys));
            findings.extend(resolvers::not_validated(case.facts));
        }
        Delegation::Insecure => findings.extend(insecure(case, memory, was_secure, &served)),
        Delegation::Unknown if was_secure => {
            let summary = "no server of the parent says which keys the zone has";
            findings.push(Finding { measured: false, ..Finding::of(&docs::BOGUS, zone.clone(), summary) });
        }
        Delegation::Unknown => {}
    }
    if served.iter().any(|served| !served.keys.is_empty()) {
        findings.extend(strength::keys(&zone, &served));
        findings.extend(strength::nsec3(case.facts));
        findings.extend(strength::cds(case.facts, &served));
    }
    findings.extend(resolvers::bogus(case.facts));
    findings
}

/// The DS records that the servers of the parent agree on; where they differ, all of them (that they
/// differ is told by itself).
fn delegation(facts: &Facts) -> Delegation {
    let question = Question { name: facts.zone.clone(), kind: RecordType::DS };
    let mut keys: Vec<Ds> = Vec::new();
    let mut said = false;
    for server in facts.knowing(&question) {
        let Some(answer) = server.answer(&question.name, question.kind) else { continue };
        let counts = answer.authoritative
            && !answer.is_partial()
            && matches!(answer.outcome(&question), Outcome::Records | Outcome::NoData | Outcome::NxDomain);
        said |= counts;
        for record in answer.answers.iter().filter(|record| counts && record.name == facts.zone) {
            match &record.data {
                Ok(Data::Ds(ds)) if record.kind == RecordType::DS && !keys.contains(ds) => {
                    keys.push(ds.clone())
                }
                _ => {}
            }
        }
    }
    match (said, keys.is_empty()) {
        (false, _) => Delegation::Unknown,
        (true, true) => Delegation::Insecure,
        (true, false) => Delegation::Secure(keys),
    }
}

/// Whether each authority serves what the parent's keys lead to.
fn chain(case: &Case<'_>, keys: &[Ds], served: &[Served<'_>]) -> Vec<Finding> {
    let zone = &case.facts.zone;
    let judged: Vec<(&Served, Option<Vec<String>>)> =
        served.iter().map(|served| (served, served.faults(zone, keys, case.now.as_second()))).collect();
    let measured: Vec<(&Served, &Vec<String>)> =
        judged.iter().filter_map(|(served, faults)| Some((*served, faults.as_ref()?))).collect();
    let faulty: Vec<_> = measured.iter().filter(|(_, faults)| !faults.is_empty()).collect();
    if measured.is_empty() {
        let summary = "no authority answered for the zone's keys";
        return vec![Finding { measured: false, ..Finding::of(&docs::BOGUS, zone.to_string(), summary) }];
    }
    let lines = |(served, faults): &&(&Served, &Vec<String>)| -> Vec<String> {
        faults.iter().map(|fault| format!("{}: {fault}", served.place)).collect()
    };
    if faulty.len() == measured.len() {
        let first = faulty.first().and_then(|(_, faults)| faults.first()).cloned().unwrap_or_default();
        let more = if faulty.len() > 1 { " at every authority" } else { "" };
        let finding = Finding::of(&docs::BOGUS, zone.to_string(), format!("{first}{more}"));
        let vantages: Vec<String> = faulty.iter().flat_map(lines).take(32).collect();
        return vec![finding.with("vantages", vantages)];
    }
    let of_server = |(served, faults): &(&Served, Option<Vec<String>>)| {
        let of = |summary: String| Finding::of(&docs::SERVER, served.place.clone(), summary);
        match faults {
            None => Some(Finding { measured: false, ..of("did not answer for the zone's keys".to_owned()) }),
            Some(faults) => {
                let first = faults.first()?;
                let more = faults.len() - 1;
                let summary = if more > 0 { format!("{first}; and {more} more") } else { first.clone() };
                Some(of(summary).with("faults", faults.clone()))
            }
        }
    };
    judged.iter().filter_map(of_server).collect()
}

/// The parent has no DS.
fn insecure(case: &Case<'_>, memory: &mut Memory, was_secure: bool, served: &[Served<'_>]) -> Vec<Finding> {
    let zone = case.facts.zone.to_string();
    let key = Question { name: case.facts.zone.clone(), kind: RecordType::DS }.key();
    let accepted = case.baselines.as_ref().is_ok_and(|all| {
        all.iter().any(|one| one.key == key && one.values.is_empty() && one.decision == Decision::Approved)
    });
    if case.spec.signed == Some(false) || (accepted && case.spec.signed.is_none()) {
        memory.secure = false;
        return Vec::new();
    }
    if was_secure {
        let summary = match case.spec.signed {
            Some(true) => "the parent has no DS for it, and it is to be signed",
            _ => "the parent no longer has a DS for it",
        };
        return vec![Finding::of(&docs::LOST, zone, summary)];
    }
    let signed = served.iter().any(|served| !served.keys.is_empty());
    signed
        .then(|| Finding::of(&docs::ISLAND, zone, "it has keys, and its parent has no DS for it"))
        .into_iter()
        .collect()
}

/// The first signature to expire at each authority, of those that hold.
fn first<'a>(served: &'a [Served<'a>]) -> impl Iterator<Item = (&'a str, Validity)> {
    served.iter().filter_map(|served| Some((served.place.as_str(), served.first_to_expire()?)))
}

fn expiries(served: &[Served<'_>]) -> BTreeMap<String, i64> {
    first(served).map(|(place, validity)| (place.to_owned(), validity.expires)).collect()
}

/// The signatures of which least is left. What has expired is told as a fault of its server.
fn expiring(zone: &str, now: i64, served: &[Served<'_>]) -> Option<Finding> {
    let soon = |validity: &Validity| severity(validity.expires - now, validity.expires - validity.begins);
    let lasting = first(served).filter(|(_, validity)| validity.expires > now);
    let (place, validity) = lasting
        .filter(|(_, validity)| soon(validity).is_some())
        .min_by_key(|(_, validity)| validity.expires)?;
    let at = Timestamp::from_second(validity.expires).ok()?;
    let hours = (validity.expires - now) / 3_600;
    let of = (validity.expires - validity.begins) / 3_600;
    let summary = format!("signatures expire at {at}: {hours} of {of} hours are left, at {place}");
    let mut finding = Finding::of(&docs::EXPIRING, zone.to_owned(), summary);
    finding.severity = soon(&validity)?;
    Some(finding)
}

/// How bad it is that so many seconds of so many are left.
fn severity(left: i64, whole: i64) -> Option<Severity> {
    let error = if whole < SHORT { left * 5 < whole } else { left < SOON };
    if error {
        return Some(Severity::Error);
    }
    (whole >= SHORT && left * 100 < whole * 15).then_some(Severity::Warning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_judged_by_days_and_for_short_signatures_by_their_share() {
        for (left, whole, expected) in [
            (30 * DAY, 30 * DAY, None),
            (3 * DAY, 14 * DAY, None),
            (2 * DAY - 1, 14 * DAY, Some(Severity::Error)),
            (4 * DAY, 30 * DAY, Some(Severity::Warning)),
            (DAY, 2 * DAY, None),
            (3_600, 2 * DAY, Some(Severity::Error)),
            (30, 60, None),
        ] {
            assert_eq!(severity(left, whole), expected, "{left} of {whole}");
        }
    }
}
