//! The form of any certificate.

use super::super::docs;
use super::super::fault::Fault;
use super::{Role, Seen};
use crate::formats::x509::oid;
use crate::model::Severity;

/// At most this many extensions are listed.
const LISTED: usize = 8;

/// RFC 5280 section 4.1.2.1.
pub fn version(seen: &Seen<'_>) -> Option<Fault> {
    let version = seen.certificate.version;
    let summary = || format!("is of X.509 version {version}, not 3");
    (version != 3).then(|| Fault::strict(&docs::VERSION, seen.position, summary()))
}

/// RFC 5280 section 4.1.2.2. Trusted roots are many years old, some with the number zero; nothing is
/// looked up by it.
pub fn serial(seen: &Seen<'_>) -> Option<Fault> {
    const LONGEST: usize = 20;
    let bytes = seen.certificate.serial_bytes();
    let summary = match bytes {
        [] | [0] => "its serial number is zero".to_owned(),
        [first, ..] if first & 0x80 != 0 => "its serial number is negative".to_owned(),
        _ if bytes.len() > LONGEST => {
            format!("its serial number has {} bytes, at most {LONGEST} are allowed", bytes.len())
        }
        _ => return None,
    };
    let strict = seen.role != Role::Root;
    Some(Fault { strict, ..Fault::note(&docs::SERIAL, seen.position, summary) })
}

/// RFC 5280 section 4.1.2.5. Without a readable date there is no telling whether it is valid.
pub fn dates(seen: &Seen<'_>) -> Option<Fault> {
    let certificate = seen.certificate;
    for (word, moment) in [("beginning", &certificate.not_before), ("end", &certificate.not_after)] {
        if moment.seconds.is_none() {
            let fault =
                Fault::strict(&docs::VALIDITY, seen.position, format!("its {word} is no time: {moment}"));
            return Some(Fault { severity: Severity::Error, ..fault });
        }
        if let Some(why) = moment.irregular {
            return Some(Fault::strict(
                &docs::VALIDITY,
                seen.position,
                format!("its {word}, {moment}, is written wrongly: {why}"),
            ));
        }
    }
    let (from, until) = (certificate.not_before.seconds?, certificate.not_after.seconds?);
    let summary =
        || format!("its end {} lies before its beginning {}", certificate.not_after, certificate.not_before);
    (until < from).then(|| Fault::strict(&docs::VALIDITY, seen.position, summary()))
}

/// RFC 5280 sections 4.1.1.2 and 4.2.
pub fn unreadable(seen: &Seen<'_>) -> Option<Fault> {
    let extensions = &seen.certificate.extensions;
    let mut troubles = Vec::new();
    if !extensions.malformed.is_empty() {
        let some: Vec<&str> = extensions.malformed.iter().take(LISTED).map(String::as_str).collect();
        troubles.push(format!("extension {} cannot be read", some.join(", ")));
    }
    let ids: Vec<&str> = extensions.present.iter().map(|present| present.oid.as_str()).collect();
    let twice =
        ids.iter().enumerate().find(|(index, oid)| ids.iter().take(*index).any(|before| before == *oid));
    if let Some((_, oid)) = twice {
        troubles.push(format!("extension {oid} is there twice"));
    }
    if !seen.certificate.algorithms_agree() {
        troubles.push("it names its signature's algorithm in two ways".to_owned());
    }
    (!troubles.is_empty()).then(|| Fault::strict(&docs::MALFORMED, seen.position, troubles.join("; ")))
}

/// RFC 5280 sections 4.1.2.4 and 4.1.2.6.
pub fn empty_names(seen: &Seen<'_>) -> Option<Fault> {
    let summary = if seen.certificate.issuer.is_empty() {
        "names no issuer"
    } else if seen.certificate.subject.is_empty() && (seen.is_authority() || seen.certificate.is_ca()) {
        "is an authority without a name"
    } else {
        return None;
    };
    Some(Fault::strict(&docs::SUBJECT, seen.position, summary))
}

/// Extensions that must not be critical, and those that must be.
///
/// Name constraints that are not critical are let through: the baseline requirements (7.1.2.5.2)
/// allow them where RFC 5280 section 4.2.1.10 does not.
pub fn criticality(seen: &Seen<'_>) -> Option<Fault> {
    const NEVER: &[(&str, &str)] = &[
        (oid::AKI, "authority key identifier"),
        (oid::SKI, "subject key identifier"),
        (oid::AIA, "authority information access"),
    ];
    const ALWAYS_IN_AUTHORITIES: &[(&str, &str)] = &[
        (oid::BASIC, "basic constraints"),
        (oid::POLICY_CONSTRAINTS, "policy constraints"),
        (oid::INHIBIT_ANY, "inhibit any-policy"),
    ];
    let is = |oid: &str| seen.certificate.extensions.critical(oid);
    let mut troubles: Vec<String> = Vec::new();
    troubles.extend(
        NEVER
            .iter()
            .filter(|(oid, _)| is(oid) == Some(true))
            .map(|(_, name)| format!("{name} must not be critical")),
    );
    if seen.is_authority() {
        let must = ALWAYS_IN_AUTHORITIES.iter().filter(|(oid, _)| is(oid) == Some(false));
        troubles.extend(must.map(|(_, name)| format!("{name} must be critical")));
    } else {
        match (is(oid::SAN), seen.certificate.subject.is_empty()) {
            (Some(true), false) => {
                troubles.push("alternative names must not be critical beside a subject".to_owned())
            }
            (Some(false), true) => {
                troubles.push("alternative names must be critical without a subject".to_owned())
            }
            _ => {}
        }
        if is(oid::EKU) == Some(true) && seen.purpose == super::Purpose::Server {
            troubles.push("extended key usage must not be critical".to_owned());
        }
    }
    if !troubles.is_empty() {
        return Some(Fault::strict(&docs::CRITICALITY, seen.position, troubles.join("; ")));
    }
    let loose = seen.is_authority() && is(oid::NAME_CONSTRAINTS) == Some(false);
    loose.then(|| Fault::note(&docs::CRITICALITY, seen.position, "name constraints should be critical"))
}

/// RFC 5280 section 4.2.1.1, and BR 7.1.2.1.3 for roots. What signs itself needs none.
pub fn authority_key(seen: &Seen<'_>) -> Option<Fault> {
    let certificate = seen.certificate;
    let own = certificate.extensions.ski.as_ref();
    let signs_itself = certificate.self_issued && seen.role != Role::Intermediate;
    let Some(named) = &certificate.extensions.aki else {
        let unreadable = certificate.extensions.malformed.iter().any(|oid| oid == oid::AKI);
        let missing = !signs_itself && !unreadable;
        return missing
            .then(|| Fault::strict(&docs::AUTHORITY_KEY, seen.position, "has no authority key identifier"));
    };
    let summary = match &named.key {
        None => "its authority key identifier names no key",
        Some(_) if named.issuer || named.serial => "its authority key identifier names more than a key",
        Some(key) if signs_itself && own.is_some_and(|own| own != key) => {
            "signs itself, but its authority key identifier is another's"
        }
        Some(_) => {
            let differs =
                seen.issuer.is_some_and(|issuer| !super::super::path::keys_match(certificate, issuer));
            let summary = "its authority key identifier is not that of its issuer";
            return differs.then(|| Fault::note(&docs::AUTHORITY_KEY, seen.position, summary));
        }
    };
    Some(Fault::strict(&docs::AUTHORITY_KEY, seen.position, summary))
}
