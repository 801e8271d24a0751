//! The keys and signatures of one authority, and whether they hold (RFC 4035 section 5).

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::formats::dns::{Data, Dnskey, Ds, Name, Outcome, Record, RecordType, Rrsig};
use crate::formats::dnssec::{Checked, is_zone_key, key_tag, matches, set, time, verify};
use crate::probe::dns::facts::{Answer, Asked, Authority, Facts, Resolver};

/// What one authority serves.
pub struct Served<'a> {
    /// Its name and address.
    pub place: String,
    /// The keys of the zone.
    pub keys: Vec<&'a Dnskey>,
    /// Its answer for the keys; none: it did not give one that counts.
    answer: Option<&'a Answer>,
    /// Every set that it gave, with its signatures.
    sets: Vec<Set<'a>>,
}

/// One record set.
struct Set<'a> {
    name: &'a Name,
    kind: RecordType,
    records: Vec<&'a Record>,
    signatures: Vec<&'a Rrsig>,
    /// Of the signatures that are right, the one that lasts longest.
    validity: Option<Validity>,
    /// Why none holds.
    fault: Option<String>,
}

/// From when to when a signature holds, in seconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub begins: i64,
    pub expires: i64,
}

/// What each authority that serves the zone gave.
pub fn served(facts: &Facts, now: i64) -> Vec<Served<'_>> {
    let serving = facts.authorities.iter().filter(|authority| authority.is_authoritative(&facts.zone));
    serving.map(|authority| of(facts, authority, now)).collect()
}

fn of<'a>(facts: &'a Facts, authority: &'a Authority, now: i64) -> Served<'a> {
    let zone = &facts.zone;
    let answer = authority.server.answer(zone, RecordType::DNSKEY).filter(|answer| {
        let question = crate::probe::dns::facts::Question { name: zone.clone(), kind: RecordType::DNSKEY };
        let outcome = answer.outcome(&question);
        answer.authoritative && !answer.is_partial() && matches!(outcome, Outcome::Records | Outcome::NoData)
    });
    let keys: Vec<&Dnskey> = answer
        .into_iter()
        .flat_map(|answer| set(&answer.answers, zone, RecordType::DNSKEY).1)
        .filter_map(|record| match &record.data {
            Ok(Data::Dnskey(key)) => Some(key),
            _ => None,
        })
        .collect();
    let sets = if keys.is_empty() { Vec::new() } else { sets(facts, authority, &keys, now) };
    Served { place: authority.server.place(), keys, answer, sets }
}

/// Every set of the zone in the answers with authority.
fn sets<'a>(facts: &Facts, authority: &'a Authority, keys: &[&Dnskey], now: i64) -> Vec<Set<'a>> {
    let zone = &facts.zone;
    let answers = authority.server.asked.iter().filter_map(|asked| asked.answer.as_ref());
    let whole = answers.filter(|answer| answer.authoritative && !answer.is_partial());
    let mut seen = BTreeSet::new();
    let mut sets = Vec::new();
    for answer in whole {
        for record in answer.answers.iter().filter(|record| record.kind != RecordType::RRSIG) {
            let fresh = record.name.is_within(zone) && seen.insert((record.name.to_lowercase(), record.kind));
            if fresh && !is_of_child(facts, answer, record) {
                sets.push(checked(zone, answer, record, keys, now));
            }
        }
    }
    sets
}

/// Whether a set belongs to a zone below this one that the same server serves: another zone signed it, or
/// it is not signed and a resolver that validates found that to be right.
fn is_of_child(facts: &Facts, answer: &Answer, record: &Record) -> bool {
    if record.name == facts.zone {
        return false;
    }
    let (signatures, _) = set(&answer.answers, &record.name, record.kind);
    let below =
        |signature: &&Rrsig| signature.signer.is_within(&facts.zone) && signature.signer != facts.zone;
    if signatures.iter().any(below) {
        return true;
    }
    let validates = |resolver: &&Resolver| {
        let checked = |asked: &Asked| asked.answer.as_ref().is_some_and(|answer| answer.authentic_data);
        resolver.asked.iter().any(checked)
    };
    let takes_it = |resolver: &Resolver| {
        let own =
            resolver.asked.iter().filter(|asked| !asked.unchecked && asked.question.name == record.name);
        own.filter_map(|asked| Some((asked, asked.answer.as_ref()?))).any(|(asked, answer)| {
            answer.outcome(&asked.question) == Outcome::Records && !answer.authentic_data
        })
    };
    signatures.is_empty() && facts.resolvers.iter().filter(validates).any(takes_it)
}

fn checked<'a>(zone: &Name, answer: &'a Answer, record: &'a Record, keys: &[&Dnskey], now: i64) -> Set<'a> {
    let (signatures, records) = set(&answer.answers, &record.name, record.kind);
    let mut checked =
        Set { name: &record.name, kind: record.kind, validity: None, fault: None, records, signatures };
    let mut why = "is not signed".to_owned();
    let mut holds = false;
    for signature in &checked.signatures {
        let validity =
            Validity { begins: time(signature.inception, now), expires: time(signature.expiration, now) };
        let right = if signature.signer == *zone {
            best(keys.iter().map(|key| verify(signature, &checked.records, key)))
        } else {
            Checked::Wrong
        };
        match right {
            Checked::Unknown => holds = true,
            Checked::Wrong => why = format!("has a signature by key {} that is wrong", signature.key_tag),
            Checked::Right if now > validity.expires => {
                why = format!("has a signature that expired at {}", written(validity.expires));
            }
            Checked::Right if now < validity.begins => {
                why = format!("has a signature that holds only from {} on", written(validity.begins));
            }
            Checked::Right => {
                holds = true;
                let longer = checked.validity.is_none_or(|known| validity.expires > known.expires);
                checked.validity = if longer { Some(validity) } else { checked.validity };
            }
        }
    }
    checked.fault = (!holds).then_some(why);
    checked
}

fn written(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |at| at.to_string())
}

/// Right if one is, unknown if one may be.
fn best(all: impl Iterator<Item = Checked>) -> Checked {
    let mut best = Checked::Wrong;
    for one in all {
        match one {
            Checked::Right => return Checked::Right,
            Checked::Unknown => best = Checked::Unknown,
            Checked::Wrong => {}
        }
    }
    best
}

impl Served<'_> {
    /// What does not hold, given the keys that the parent names; `None`: it did not say.
    pub fn faults(&self, zone: &Name, parent: &[Ds], now: i64) -> Option<Vec<String>> {
        self.answer?;
        if self.keys.is_empty() {
            return Some(vec!["the parent says that the zone is signed, and it has no DNSKEY".to_owned()]);
        }
        let fits = |key: &&&Dnskey| {
            is_zone_key(key) && best(parent.iter().map(|ds| matches(ds, zone, key))) != Checked::Wrong
        };
        let trusted: Vec<&Dnskey> = self.keys.iter().filter(fits).copied().collect();
        if trusted.is_empty() {
            let named: Vec<String> =
                parent.iter().map(|ds| format!("{} (algorithm {})", ds.key_tag, ds.algorithm)).collect();
            let has: Vec<String> = self
                .keys
                .iter()
                .map(|key| format!("{} (algorithm {})", key_tag(key), key.algorithm))
                .collect();
            return Some(vec![format!(
                "the DS at the parent names key {}, and the zone has {}",
                named.join(", "),
                has.join(", ")
            )]);
        }
        let keys = self.sets.iter().find(|set| set.kind == RecordType::DNSKEY && set.name == zone);
        let mut faults = Vec::new();
        if let Some(set) = keys.filter(|set| set.fault.is_none() && !set.is_signed_by(&trusted, now)) {
            faults.push(format!(
                "the keys are signed by none that the DS at the parent names ({} signatures)",
                set.signatures.len()
            ));
        }
        faults.extend(self.sets.iter().filter_map(Set::words));
        Some(faults)
    }

    /// Of the signatures that hold, the first to expire.
    pub fn first_to_expire(&self) -> Option<Validity> {
        self.sets.iter().filter_map(|set| set.validity).min_by_key(|validity| validity.expires)
    }
}

impl Set<'_> {
    fn is_signed_by(&self, keys: &[&Dnskey], now: i64) -> bool {
        self.signatures.iter().any(|signature| {
            let holds = time(signature.inception, now) <= now && now <= time(signature.expiration, now);
            holds && best(keys.iter().map(|key| verify(signature, &self.records, key))) != Checked::Wrong
        })
    }

    fn words(&self) -> Option<String> {
        self.fault.as_ref().map(|fault| format!("{} {} {fault}", self.name, self.kind))
    }
}
