//! Keys of DKIM.

use jiff::SignedDuration;

use super::{Case, Report};
use crate::formats::dkim::{KeyRecord, KeyType, is_key};
use crate::model::Finding;
use crate::probe::mail::docs::dkim as docs;
use crate::probe::mail::facts::{Dkim, Key};
use crate::probe::mail::memory::KeySeen;

const FAMILY: &str = "dkim.";
/// A key that is older should be replaced.
const OLD: SignedDuration = SignedDuration::from_hours(24 * 366);

pub(super) fn look(case: &Case<'_>, report: &mut Report) {
    let Some(dkim) = &case.facts.dkim else { return };
    if dkim.selectors.is_empty() {
        undeclared(case, dkim, report);
    }
    let mut seen: Vec<(&str, String)> = Vec::new();
    for key in &dkim.selectors {
        report.blind(FAMILY, &key.texts);
        if key.texts.unmeasured.is_some() {
            continue;
        }
        let Some(record) = record(key, report) else { continue };
        of_record(key, &record, report);
        if let Some(published) = &record.key {
            let fingerprint = published.fingerprint();
            if let Some((other, _)) = seen.iter().find(|(_, known)| *known == fingerprint) {
                let summary = format!("its key is that of {other} too");
                report.find(&docs::SAME_KEY, &key.texts.name, summary);
            }
            aged(case, key, &fingerprint, report);
            seen.push((&key.selector, fingerprint));
        }
    }
    let declared = |selector: &String| dkim.selectors.iter().any(|key| key.selector == *selector);
    report.memory.keys.retain(|selector, _| declared(selector));
}

/// Guessed selectors would prove nothing, so it is not known whether there are keys.
fn undeclared(case: &Case<'_>, dkim: &Dkim, report: &mut Report) {
    let below = &dkim.below;
    let hint = match (below.unmeasured.is_some(), below.exists) {
        (true, _) => String::new(),
        (false, true) => format!("; {} exists, so there is something below it", below.name),
        (false, false) => format!("; {} does not exist, so there seem to be none (RFC 8020)", below.name),
    };
    let summary = format!("no selector is declared, so no key was looked at{hint}");
    let finding = Finding::of(&docs::UNDECLARED, case.facts.domain.clone(), summary);
    report.findings.push(Finding { measured: false, ..finding });
}

/// The one record of a selector, if it can be used.
pub(super) fn usable(key: &Key) -> Option<KeyRecord> {
    let mut all = key.texts.known()?.iter().filter(|text| is_key(text));
    let record = KeyRecord::parse(all.next()?).ok()?;
    all.next().is_none().then_some(record)
}

fn record(key: &Key, report: &mut Report) -> Option<KeyRecord> {
    let name = key.texts.name.as_str();
    let texts = &key.texts.values;
    let own: Vec<&String> = texts.iter().filter(|text| is_key(text)).collect();
    match own.as_slice() {
        [] if texts.is_empty() => {
            let summary = match key.texts.aliases.last() {
                Some(target) => format!("it is an alias of {target}, which has no TXT record"),
                None => "there is no TXT record".to_owned(),
            };
            report.find(&docs::MISSING, name, summary);
            None
        }
        [] => {
            report.find(&docs::INVALID, name, "there is a TXT record, but it is no key of DKIM");
            None
        }
        [one] => match KeyRecord::parse(one) {
            Ok(record) => Some(record),
            Err(fault) => {
                report.find(&docs::INVALID, name, fault.to_string());
                None
            }
        },
        several => {
            report.find(&docs::INVALID, name, format!("there are {} key records", several.len()));
            None
        }
    }
}

fn of_record(key: &Key, record: &KeyRecord, report: &mut Report) {
    let name = key.texts.name.as_str();
    match &record.key {
        None => report.find(&docs::REVOKED, name, "p= is empty"),
        Some(published) if record.kind == KeyType::Rsa && published.bits < 1024 => {
            report.find(&docs::TOO_SHORT, name, format!("its RSA key has {} bits", published.bits));
        }
        Some(published) if record.kind == KeyType::Rsa && published.bits < 2048 => {
            report.find(&docs::WEAK, name, format!("its RSA key has {} bits", published.bits));
        }
        Some(_) => {}
    }
    if !record.allows_sha256() {
        report.find(&docs::SHA1, name, format!("h={}", record.hashes.join(":")));
    }
    if !record.is_for_mail() {
        report.find(&docs::NOT_FOR_MAIL, name, format!("s={}", record.services.join(":")));
    }
    if record.is_tested() {
        report.find(&docs::TESTING, name, format!("t={}", record.flags.join(":")));
    }
    if !record.unknown.is_empty() {
        report.find(&docs::UNKNOWN_TAGS, name, record.unknown.join(", "));
    }
}

/// Remembers since when the key is the same.
fn aged(case: &Case<'_>, key: &Key, fingerprint: &str, report: &mut Report) {
    let before = report.memory.keys.get(&key.selector).filter(|seen| seen.fingerprint == fingerprint);
    let since = before.map_or(case.now, |seen| seen.since);
    if case.now.duration_since(since) > OLD {
        let summary = format!("it has been the same since {:.0}", since);
        report.find(&docs::OLD_KEY, &key.texts.name, summary);
    }
    let seen = KeySeen { fingerprint: fingerprint.to_owned(), since };
    report.memory.keys.insert(key.selector.clone(), seen);
}
