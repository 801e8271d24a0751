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

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm, date_time_ymd};

    use super::super::posture::tests::{World, merged};
    use super::*;
    use crate::probe::certificate::facts::{AskedKey, AskedVersions, Shown, View};
    use crate::probe::certificate::posture::Prime;
    use crate::probe::certificate::posture::tests::{entry, good, posture};
    use crate::probe::certificate::spec::Profile;

    /// What the profile says, by subject.
    fn told(posture: Posture, profile: Profile) -> Vec<(String, Severity, String)> {
        in_world(&World::of(vec![("192.0.2.1", Some(posture))]).by(profile))
    }

    fn in_world(world: &World) -> Vec<(String, Severity, String)> {
        let found = world.look(|case| merged(notes(case)));
        let told = |finding: Finding| {
            assert_eq!(finding.id.as_str(), "tls.profile");
            let summary = finding.summary.replace(" (at 192.0.2.1)", "");
            (finding.subject.replace("portal.example ", ""), finding.severity, summary)
        };
        found.into_iter().map(told).collect()
    }

    fn row(subject: &str, severity: Severity, summary: &str) -> (String, Severity, String) {
        (subject.to_owned(), severity, summary.to_owned())
    }

    #[test]
    fn a_server_by_the_profile_is_left_alone() {
        assert_eq!(told(good(), Profile::Intermediate), []);
        assert_eq!(told(posture(&[]), Profile::Intermediate), []);
        let stricter = posture(&[
            (Version::Tls12, &["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"], &["x25519"]),
            (Version::Tls13, &["TLS_AES_256_GCM_SHA384"], &["x25519"]),
        ]);
        assert_eq!(told(stricter, Profile::Intermediate), []);
    }

    #[test]
    fn each_kind_of_departure_is_one_finding_that_names_what_and_the_profile() {
        let mut beyond = posture(&[
            (Version::Tls10, &["TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"], &[]),
            (Version::Tls12, &["TLS_RSA_WITH_AES_128_GCM_SHA256"], &["x25519", "secp224r1"]),
            (Version::Tls13, &["TLS_AES_128_GCM_SHA256"], &["x25519"]),
        ]);
        entry(&mut beyond, Version::Tls12).primes = vec![Prime { bits: 1024, name: None }];
        assert_eq!(
            told(beyond, Profile::Intermediate),
            [
                row("versions", Severity::Warning, "accepts TLSv1.0 beyond profile intermediate"),
                row(
                    "suites",
                    Severity::Warning,
                    "accepts TLS_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA beyond profile intermediate"
                ),
                row(
                    "groups",
                    Severity::Warning,
                    "accepts secp224r1, Diffie-Hellman of 1024 bits beyond profile intermediate"
                ),
            ]
        );
    }

    #[test]
    fn what_is_beyond_but_not_weak_pages_no_one() {
        let usual = posture(&[
            (Version::Tls12, &["TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"], &["x25519", "x448", "secp521r1"]),
            (Version::Tls13, &["TLS_AES_128_CCM_SHA256"], &["x25519", "ffdhe2048"]),
        ]);
        let severities: Vec<_> =
            told(usual, Profile::Intermediate).into_iter().map(|(subject, how, _)| (subject, how)).collect();
        let notice = |subject: &str| (subject.to_owned(), Severity::Notice);
        assert_eq!(severities, [notice("suites"), notice("groups")]);
    }

    #[test]
    fn a_version_is_beyond_one_profile_and_needed_by_another() {
        assert_eq!(
            told(good(), Profile::Modern)[0],
            row("versions", Severity::Warning, "accepts TLSv1.2 beyond profile modern")
        );
        assert_eq!(
            told(good(), Profile::Old),
            [row(
                "missing versions",
                Severity::Notice,
                "does not accept TLSv1.0 and TLSv1.1, which profile old has"
            )]
        );
        let mut unknown = good();
        entry(&mut unknown, Version::Tls10).accepted = None;
        entry(&mut unknown, Version::Tls11).accepted = None;
        assert_eq!(told(unknown, Profile::Old), []);
    }

    #[test]
    fn the_order_of_suites_counts_where_the_profile_wants_it() {
        let mut free = good();
        entry(&mut free, Version::Tls12).server_preference = Some(false);
        assert_eq!(told(free.clone(), Profile::Intermediate), []);
        let found = told(free, Profile::Old);
        let summary = "leaves the order of suites to the client, against profile old";
        assert_eq!(found[0], row("order", Severity::Warning, summary));
    }

    /// An address that shows a leaf with such a key for so many years.
    fn with_leaf(algorithm: &'static SignatureAlgorithm, years: i32) -> World {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let mut params = CertificateParams::new(vec!["portal.example".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2026 + years, 1, 1);
        let mut world = World::of(vec![("192.0.2.1", Some(good()))]);
        let leaf = world.facts.keep(params.self_signed(&key).unwrap().der().to_vec());
        let view = |key_type| View {
            sni: true,
            key_type,
            versions: AskedVersions::Both,
            shown: Some(Shown { chain: vec![leaf.clone()], ..Shown::default() }),
            failure: None,
        };
        world.facts.hosts[0].endpoints[0].views = vec![view(AskedKey::Any), view(AskedKey::Ecdsa)];
        world
    }

    #[test]
    fn a_usual_certificate_is_by_the_profile() {
        assert_eq!(in_world(&with_leaf(&rcgen::PKCS_ECDSA_P256_SHA256, 1)), []);
        assert_eq!(in_world(&with_leaf(&rcgen::PKCS_RSA_SHA256, 1)), []);
    }

    #[test]
    fn a_certificate_of_another_kind_is_told_with_its_key_and_lifetime() {
        let found = in_world(&with_leaf(&rcgen::PKCS_ECDSA_P521_SHA512, 2));
        let summary =
            "has a key ECDSA P-521, a lifetime of 730 days (at most 366) beyond profile intermediate";
        assert_eq!(found, [row("certificate", Severity::Warning, summary)]);
        let found = in_world(&with_leaf(&rcgen::PKCS_RSA_SHA256, 1).by(Profile::Modern));
        assert_eq!(found.last().unwrap().0, "certificate");
        assert!(found.last().unwrap().2.starts_with("has a key RSA 2048, a signature RSA with SHA-256"));
    }

    #[test]
    fn a_signature_that_is_merely_stronger_pages_no_one() {
        let found = in_world(&with_leaf(&rcgen::PKCS_RSA_SHA512, 1));
        let summary = "has a signature RSA with SHA-512 beyond profile intermediate";
        assert_eq!(found, [row("certificate", Severity::Notice, summary)]);
    }
}
