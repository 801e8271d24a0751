//! How well a zone is signed: algorithms, keys, digests, NSEC3, and what it tells its parent.

use std::collections::{BTreeMap, BTreeSet};

use super::chain::Served;
use crate::formats::dns::{Data, Dnskey, Ds, Record, RecordType};
use crate::formats::dnssec::{Algorithm, Checked, Standing, key_tag, matches, rsa_bits};
use crate::model::{Finding, Severity};
use crate::probe::dns::docs::dnssec as docs;
use crate::probe::dns::facts::Facts;

/// Shorter RSA keys can be broken …
const WEAK: usize = 1_024;
/// … and shorter ones are no longer made.
const SHORT: usize = 2_048;

/// Each key once, whoever serves it.
pub fn keys(zone: &str, served: &[Served<'_>]) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    let all = served.iter().flat_map(|served| served.keys.iter().copied());
    all.filter(|key| seen.insert(key.key.clone())).filter_map(|key| of_key(zone, key)).collect()
}

fn of_key(zone: &str, key: &Dnskey) -> Option<Finding> {
    let algorithm = Algorithm(key.algorithm);
    let (severity, why) = match (algorithm.standing(), rsa_bits(key)) {
        (Standing::Broken, _) => (Severity::Error, "which is broken".to_owned()),
        (_, Some(bits)) if bits < WEAK => (Severity::Error, format!("with only {bits} bits")),
        (Standing::Fading, _) => (Severity::Warning, "which resolvers give up".to_owned()),
        (_, Some(bits)) if bits < SHORT => (Severity::Notice, format!("with {bits} bits")),
        _ => return None,
    };
    let tag = key_tag(key);
    let summary = format!("key {tag} is {}, {why}", algorithm.name());
    let mut finding = Finding::of(&docs::ALGORITHM, format!("{zone} key {tag}"), summary);
    finding.severity = severity;
    Some(finding)
}

/// The digests of the parent's records.
pub fn digests(zone: &str, keys: &[Ds]) -> Option<Finding> {
    let old = keys.iter().all(|ds| ds.digest_type == 1);
    old.then(|| {
        Finding::of(&docs::DIGEST, zone.to_owned(), "all DS records at the parent were made with SHA-1")
    })
}

/// The records of a type at the apex, by what they say, with who says so.
fn at_apex(facts: &Facts, kind: RecordType) -> BTreeMap<BTreeSet<String>, (Vec<&Record>, Vec<String>)> {
    let mut all: BTreeMap<BTreeSet<String>, (Vec<&Record>, Vec<String>)> = BTreeMap::new();
    for authority in facts.authorities.iter().filter(|authority| authority.is_authoritative(&facts.zone)) {
        let Some(answer) = authority.server.answer(&facts.zone, kind) else { continue };
        let records: Vec<&Record> = answer.answers.iter().filter(|record| record.kind == kind).collect();
        let values = records.iter().map(|record| record.comparable()).collect();
        let entry = all.entry(values).or_insert((records, Vec::new()));
        entry.1.push(authority.server.place());
    }
    all
}

/// How NSEC3 is used.
pub fn nsec3(facts: &Facts) -> Option<Finding> {
    let all = at_apex(facts, RecordType::NSEC3PARAM);
    let mut parameters =
        all.values().flat_map(|(records, _)| records).filter_map(|record| match &record.data {
            Ok(Data::Nsec3param(parameters)) => Some((parameters.iterations, parameters.salt.len())),
            _ => None,
        });
    let (iterations, salt) = parameters.find(|(iterations, salt)| *iterations > 0 || *salt > 0)?;
    let summary = format!("NSEC3 with {iterations} additional iterations and a salt of {salt} bytes");
    let mut finding = Finding::of(&docs::NSEC3, facts.zone.to_string(), summary);
    if iterations == 0 {
        finding.severity = Severity::Notice;
    }
    Some(finding)
}

/// What the zone tells its parent: the same at every authority, and keys it has, or that all are to go
/// (RFC 8078 section 4).
pub fn cds(facts: &Facts, served: &[Served<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let keys: Vec<&Dnskey> = served.iter().flat_map(|served| served.keys.iter().copied()).collect();
    for kind in [RecordType::CDS, RecordType::CDNSKEY] {
        let all = at_apex(facts, kind);
        let subject = format!("{} {kind}", facts.zone);
        if all.len() > 1 {
            let who: Vec<String> = all
                .values()
                .map(|(records, places)| format!("{} at {}", records.len(), places.join(", ")))
                .collect();
            let summary = format!("differ between authorities: {}", who.join("; "));
            findings.push(Finding::of(&docs::CDS, subject, summary));
            continue;
        }
        let records = all.values().flat_map(|(records, _)| records);
        let unknown = records.filter(|record| !is_of(facts, record, &keys)).count();
        if unknown > 0 {
            findings.push(Finding::of(
                &docs::CDS,
                subject,
                format!("{unknown} of them name no key of the zone"),
            ));
        }
    }
    findings
}

fn is_of(facts: &Facts, record: &Record, keys: &[&Dnskey]) -> bool {
    match &record.data {
        Ok(Data::Ds(ds)) if ds.algorithm == 0 => true,
        Ok(Data::Ds(ds)) => keys.iter().any(|key| matches(ds, &facts.zone, key) != Checked::Wrong),
        Ok(Data::Dnskey(key)) if key.algorithm == 0 => true,
        Ok(Data::Dnskey(key)) => keys.contains(&key),
        _ => true,
    }
}
