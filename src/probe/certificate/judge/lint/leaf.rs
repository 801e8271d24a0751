//! What only a leaf can have wrong.

use super::super::docs;
use super::super::fault::Fault;
use super::super::rules::ANY_USAGE;
use super::{Purpose, Role, Seen};
use crate::formats::x509::{Certificate, oid};

/// BR 7.1.2.7.8.
pub fn authority(seen: &Seen<'_>) -> Option<Fault> {
    let wrong = seen.role == Role::Leaf && seen.certificate.is_ca();
    wrong.then(|| Fault::strict(&docs::CA_AS_LEAF, seen.position, "is an authority's certificate (CA:TRUE)"))
}

/// Extended key usages that no server's certificate may have (BR 7.1.2.7.10).
const FORBIDDEN: &[(&str, &str)] = &[
    (ANY_USAGE, "any usage"),
    ("1.3.6.1.5.5.7.3.3", "code signing"),
    ("1.3.6.1.5.5.7.3.4", "e-mail protection"),
    ("1.3.6.1.5.5.7.3.8", "time stamping"),
    ("1.3.6.1.5.5.7.3.9", "OCSP signing"),
    ("1.3.6.1.4.1.11129.2.4.4", "precertificate signing"),
];

/// RFC 5280 sections 4.2.1.3, 4.2.1.9 and 4.2.1.10, BR 7.1.2.7.
pub fn usage(seen: &Seen<'_>) -> Option<Fault> {
    if seen.role != Role::Leaf {
        return None;
    }
    let certificate = seen.certificate;
    let mut troubles = contradictions(certificate);
    if seen.purpose == Purpose::Server {
        let unreadable = certificate.extensions.malformed.iter().any(|oid| oid == oid::EKU);
        match &certificate.extensions.eku {
            None if !unreadable => troubles.push("it has no extended key usage".to_owned()),
            None => {}
            Some(usages) => {
                let forbidden = FORBIDDEN.iter().filter(|(oid, _)| usages.iter().any(|usage| usage == oid));
                troubles.extend(forbidden.map(|(_, name)| format!("its extended key usage allows {name}")));
            }
        }
    }
    if !troubles.is_empty() {
        return Some(Fault::strict(&docs::USAGE, seen.position, troubles.join("; ")));
    }
    let signs = certificate.extensions.key_usage.is_none_or(|usage| usage.digital_signature());
    (!signs).then(|| {
        Fault::note(
            &docs::USAGE,
            seen.position,
            "its key usage lacks digitalSignature, which TLS 1.3 and ECDHE need",
        )
    })
}

fn contradictions(certificate: &Certificate) -> Vec<String> {
    let extensions = &certificate.extensions;
    let mut troubles = Vec::new();
    if !certificate.is_ca() && extensions.key_usage.is_some_and(|usage| usage.cert_sign()) {
        troubles.push("its key usage has keyCertSign, but it is no authority".to_owned());
    }
    if !certificate.is_ca() && extensions.basic.is_some_and(|basic| basic.path_len.is_some()) {
        troubles.push("it has a path length, but is no authority".to_owned());
    }
    if extensions.critical(oid::NAME_CONSTRAINTS).is_some() {
        troubles.push("it has name constraints, which are for authorities".to_owned());
    }
    troubles
}

const DAY: i64 = 86_400;

/// The longest lifetimes in days, by the first moment of issuing under them (BR 6.3.2, SC-081v3).
const LIMITS: &[(i64, i64)] = &[
    // 2029-03-15, 2027-03-15, 2026-03-15, 2020-09-01, 2018-03-01
    (1_868_227_200, 47),
    (1_805_068_800, 100),
    (1_773_532_800, 200),
    (1_598_918_400, 398),
    (1_519_862_400, 825),
];

/// The longest lifetime in days of a public certificate issued at an instant; `None` where none was
/// set.
fn limit(issued: i64) -> Option<i64> {
    LIMITS.iter().find(|(from, _)| issued >= *from).map(|(_, days)| *days)
}

/// BR 6.3.2, for what public authorities issue.
pub fn lifetime(seen: &Seen<'_>) -> Option<Fault> {
    if seen.role != Role::Leaf || !seen.public {
        return None;
    }
    let allowed = limit(seen.certificate.not_before.seconds?)?;
    let lifetime = seen.certificate.lifetime()?;
    let days = (lifetime + DAY - 1) / DAY;
    let summary = || format!("is valid for {days} days; at most {allowed} were allowed when it was issued");
    (lifetime > allowed * DAY).then(|| Fault::note(&docs::LIFETIME, seen.position, summary()))
}

/// BR 7.1.2.7.10.
pub fn client_auth(seen: &Seen<'_>) -> Option<Fault> {
    let usages = seen.certificate.extensions.eku.as_ref()?;
    let both = [Purpose::Server, Purpose::Client]
        .iter()
        .all(|purpose| usages.iter().any(|usage| usage == purpose.oid()));
    let told = seen.role == Role::Leaf && seen.public && seen.purpose == Purpose::Server && both;
    told.then(|| Fault::note(&docs::CLIENT_AUTH, seen.position, "may also be used as a client's certificate"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_that_of_the_day_of_issue() {
        let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_second();
        for (issued, expected) in [
            ("2018-02-28T23:59:59Z", None),
            ("2018-03-01T00:00:00Z", Some(825)),
            ("2020-08-31T23:59:59Z", Some(825)),
            ("2020-09-01T00:00:00Z", Some(398)),
            ("2026-03-14T23:59:59Z", Some(398)),
            ("2026-03-15T00:00:00Z", Some(200)),
            ("2027-03-15T00:00:00Z", Some(100)),
            ("2029-03-15T00:00:00Z", Some(47)),
        ] {
            assert_eq!(limit(at(issued)), expected, "{issued}");
        }
    }
}
