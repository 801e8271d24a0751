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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::certificate::posture::Prime;
    use crate::probe::certificate::posture::tests::{entry, good, posture};
    use crate::probe::certificate::spec::Profile;

    type Rule = fn(&Posture, &Guideline) -> Vec<Finding>;

    fn told(rule: Rule, posture: &Posture) -> Vec<(&'static str, Severity, String)> {
        let findings = rule(posture, Guideline::of(Profile::Intermediate).unwrap());
        let known = |finding: &Finding| {
            let docs = crate::probe::certificate::docs::ALL;
            docs.iter().find(|doc| doc.id == finding.id.as_str()).unwrap().id
        };
        findings.into_iter().map(|finding| (known(&finding), finding.severity, finding.summary)).collect()
    }

    fn with_groups(groups: &[&str]) -> Posture {
        posture(&[(Version::Tls12, &["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"], groups)])
    }

    #[test]
    fn a_curve_is_as_bad_as_it_is_short() {
        for (group, expected) in [
            ("sect163k1", Severity::Error),
            ("secp192r1", Severity::Error),
            ("secp224r1", Severity::Warning),
            ("sect239k1", Severity::Warning),
            ("secp256k1", Severity::Notice),
            ("sect571r1", Severity::Notice),
        ] {
            let found = told(curves, &with_groups(&["x25519", group]));
            let summary = format!("accepts curves that are withdrawn: {group}");
            assert_eq!(found, [("tls.group_weak", expected, summary)]);
        }
        let fine = ["secp256r1", "secp384r1", "secp521r1", "x25519", "x448", "brainpoolP256r1", "ffdhe2048"];
        assert_eq!(told(curves, &with_groups(&fine)), []);
        assert_eq!(told(curves, &with_groups(&["sect163k1", "secp256k1"]))[0].1, Severity::Error);
    }

    #[test]
    fn a_prime_is_judged_by_its_size_and_by_who_made_it() {
        for (bits, name, expected) in [
            (1024, None, Some(("tls.dh_short", Severity::Error))),
            (1536, Some("modp_1536"), Some(("tls.dh_short", Severity::Error))),
            (2048, None, Some(("tls.dh_prime", Severity::Warning))),
            (2048, Some("modp_2048"), Some(("tls.dh_prime", Severity::Notice))),
            (2048, Some("ffdhe2048"), None),
        ] {
            let mut posture = good();
            let prime = Prime { bits, name: name.map(str::to_owned) };
            entry(&mut posture, Version::Tls12).primes = vec![prime.clone(), prime];
            let found: Vec<_> = told(primes, &posture).into_iter().map(|(id, how, _)| (id, how)).collect();
            assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{bits} {name:?}");
        }
    }

    #[test]
    fn post_quantum_keys_are_noted_and_their_absence_is_no_alarm() {
        let found = told(post_quantum, &good());
        let offered = "post-quantum key exchange is offered: X25519MLKEM768";
        assert_eq!(found, [("tls.post_quantum", Severity::Info, offered.to_owned())]);
        let mut without = good();
        entry(&mut without, Version::Tls13).groups = vec![0x001d];
        let found = told(post_quantum, &without);
        assert_eq!(found[0].1, Severity::Info);
        assert_eq!(found[0].2, "no post-quantum key exchange is offered");
        without.incomplete = Some("timed out".into());
        assert_eq!(told(post_quantum, &without), []);
        assert_eq!(told(post_quantum, &with_groups(&["x25519"])), []);
    }

    #[test]
    fn a_server_that_signs_with_an_old_hash_is_told_by_the_hash() {
        for (scheme, expected) in [
            ("rsa_pkcs1_md5", Some(Severity::Critical)),
            ("ecdsa_sha1", Some(Severity::Error)),
            ("rsa_pkcs1_sha224", Some(Severity::Warning)),
            ("rsa_pss_rsae_sha256", None),
        ] {
            let mut posture = good();
            entry(&mut posture, Version::Tls12).signatures =
                vec![0x0401, names::signature_number(scheme).unwrap()];
            let found: Vec<Severity> = told(hashes, &posture).into_iter().map(|found| found.1).collect();
            assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{scheme}");
        }
    }
}
