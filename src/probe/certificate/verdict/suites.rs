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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tls::Version;
    use crate::formats::tls::names::SUITES;
    use crate::model::Severity;
    use crate::probe::certificate::posture::tests::{entry, good, posture};
    use crate::probe::certificate::spec::Profile;

    fn judged(suites: &[&str], profile: Profile) -> Vec<(String, Severity)> {
        let posture = posture(&[(Version::Tls12, suites, &[])]);
        let findings = accepted(&posture, Guideline::of(profile).unwrap());
        findings.iter().map(|finding| (finding.id.as_str().to_owned(), finding.severity)).collect()
    }

    #[test]
    fn well_known_suites_have_the_class_that_the_guidelines_give_them() {
        use Class::{Good, Insufficient, PhaseOut, Sufficient};
        for (name, expected) in [
            ("TLS_AES_256_GCM_SHA384", Good),
            ("TLS_CHACHA20_POLY1305_SHA256", Good),
            ("TLS_AES_128_GCM_SHA256", Sufficient),
            ("TLS_AES_128_CCM_SHA256", Sufficient),
            ("TLS_AES_128_CCM_8_SHA256", Insufficient),
            ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", Sufficient),
            ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", Sufficient),
            ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", Sufficient),
            ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", Sufficient),
            ("TLS_ECDHE_ECDSA_WITH_AES_256_CCM", Sufficient),
            ("TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8", Insufficient),
            ("TLS_ECDHE_RSA_WITH_CAMELLIA_256_GCM_SHA384", PhaseOut),
            ("TLS_ECDHE_RSA_WITH_CAMELLIA_128_CBC_SHA256", PhaseOut),
            ("TLS_ECDHE_ECDSA_WITH_ARIA_128_GCM_SHA256", PhaseOut),
            ("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384", PhaseOut),
            ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", PhaseOut),
            ("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", Insufficient),
            ("TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", Insufficient),
            ("TLS_ECDHE_RSA_WITH_RC4_128_SHA", Insufficient),
            ("TLS_ECDHE_ECDSA_WITH_NULL_SHA", Insufficient),
            ("TLS_ECDH_anon_WITH_AES_128_CBC_SHA", Insufficient),
            ("TLS_ECDH_RSA_WITH_AES_256_GCM_SHA384", Insufficient),
            ("TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256", PhaseOut),
            ("TLS_DHE_RSA_WITH_AES_256_GCM_SHA384", PhaseOut),
            ("TLS_DHE_RSA_WITH_AES_128_CCM", PhaseOut),
            ("TLS_DHE_RSA_WITH_AES_128_CBC_SHA256", PhaseOut),
            ("TLS_DHE_RSA_WITH_AES_256_CBC_SHA", Insufficient),
            ("TLS_DHE_DSS_WITH_AES_256_GCM_SHA384", Insufficient),
            ("TLS_DH_RSA_WITH_AES_128_GCM_SHA256", Insufficient),
            ("TLS_DH_anon_WITH_AES_256_GCM_SHA384", Insufficient),
            ("TLS_DHE_RSA_EXPORT_WITH_DES40_CBC_SHA", Insufficient),
            ("TLS_RSA_WITH_AES_256_GCM_SHA384", Insufficient),
            ("TLS_RSA_WITH_AES_128_CBC_SHA", Insufficient),
            ("TLS_RSA_WITH_SEED_CBC_SHA", Insufficient),
            ("TLS_RSA_WITH_IDEA_CBC_SHA", Insufficient),
            ("TLS_RSA_WITH_NULL_SHA256", Insufficient),
            ("TLS_RSA_WITH_RC4_128_MD5", Insufficient),
        ] {
            assert_eq!(class(names::suite_number(name).unwrap()), expected, "{name}");
        }
    }

    #[test]
    fn the_classes_and_the_dangers_of_all_suites_agree() {
        let count = |wanted| SUITES.iter().filter(|(suite, _)| class(*suite) == wanted).count();
        // Appendix B: 2 good, and 12 sufficient but for the CCM suites with RSA, which have no number here.
        assert_eq!((count(Class::Good), count(Class::Sufficient)), (2, 10));
        assert_eq!(count(Class::PhaseOut), 35);
        for (suite, name) in SUITES {
            match class(*suite) {
                Class::Good | Class::Sufficient => assert_eq!(danger(*suite), None, "{name}"),
                Class::PhaseOut => assert!(danger(*suite) <= Some(Danger::Weak), "{name}"),
                Class::Insufficient => assert!(danger(*suite).is_some(), "{name}"),
            }
        }
        assert_eq!(class(0x0a0a), Class::Insufficient);
    }

    #[test]
    fn a_suite_is_as_bad_as_what_it_does_to_users() {
        let critical = [("tls.suite_unprotected".to_owned(), Severity::Critical)];
        for name in [
            "TLS_RSA_WITH_NULL_SHA256",
            "TLS_ECDH_anon_WITH_AES_128_CBC_SHA",
            "TLS_RSA_EXPORT_WITH_RC4_40_MD5",
            "TLS_DHE_RSA_WITH_DES_CBC_SHA",
            "TLS_DH_anon_WITH_3DES_EDE_CBC_SHA",
        ] {
            assert_eq!(judged(&[name], Profile::Intermediate), critical, "{name}");
        }
        let error = [("tls.suite_broken".to_owned(), Severity::Error)];
        for name in ["TLS_RSA_WITH_RC4_128_SHA", "TLS_RSA_WITH_3DES_EDE_CBC_SHA", "TLS_RSA_WITH_IDEA_CBC_SHA"]
        {
            assert_eq!(judged(&[name], Profile::Intermediate), error, "{name}");
        }
        let warning = [("tls.suite_weak".to_owned(), Severity::Warning)];
        for name in [
            "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
            "TLS_RSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDH_RSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8",
        ] {
            assert_eq!(judged(&[name], Profile::Intermediate), warning, "{name}");
        }
        for name in ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"] {
            assert_eq!(judged(&[name], Profile::Intermediate), [], "{name}");
        }
    }

    #[test]
    fn who_chose_to_serve_old_clients_is_not_alarmed_about_their_suites() {
        let meant = judged(&["TLS_RSA_WITH_3DES_EDE_CBC_SHA", "TLS_RSA_WITH_AES_128_CBC_SHA"], Profile::Old);
        assert_eq!(
            meant,
            [
                ("tls.suite_broken".to_owned(), Severity::Notice),
                ("tls.suite_weak".to_owned(), Severity::Notice)
            ]
        );
        let unmeant = judged(&["TLS_RSA_WITH_RC4_128_SHA"], Profile::Old);
        assert_eq!(unmeant, [("tls.suite_broken".to_owned(), Severity::Error)]);
    }

    #[test]
    fn many_suites_do_not_fill_a_mail() {
        let cbc: Vec<&str> =
            SUITES.iter().map(|(_, name)| *name).filter(|name| name.contains("WITH_AES_128_CBC")).collect();
        let posture = posture(&[(Version::Tls12, &cbc, &[])]);
        let findings = accepted(&posture, Guideline::of(Profile::Intermediate).unwrap());
        let weak = findings.iter().find(|finding| finding.id.as_str() == "tls.suite_weak").unwrap();
        assert!(weak.summary.ends_with(" more") && weak.summary.len() < 250, "{}", weak.summary);
        assert!(weak.evidence["suites"].as_array().unwrap().len() > 10);
    }

    #[test]
    fn a_client_may_choose_among_suites_of_one_strength() {
        let summaries = |suites: &[&str], preference| {
            let mut posture = posture(&[(Version::Tls12, suites, &[])]);
            entry(&mut posture, Version::Tls12).server_preference = Some(preference);
            let findings = order(&posture, Guideline::of(Profile::Intermediate).unwrap());
            findings.into_iter().map(|finding| finding.summary).collect::<Vec<String>>()
        };
        let good = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
        let weak = "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA";
        assert_eq!(summaries(&[good, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"], false), [""; 0]);
        assert_eq!(
            summaries(&[good, weak], false),
            ["lets clients of TLSv1.2 choose the weaker of two suites"]
        );
        assert_eq!(summaries(&[good, weak], true), [""; 0]);
        assert_eq!(summaries(&[weak, good], true), [format!("chooses {weak} before {good} with TLSv1.2")]);
        // Suites of another way of agreeing on keys were asked for apart from these.
        assert_eq!(summaries(&["TLS_RSA_WITH_AES_128_CBC_SHA", good], true), [""; 0]);
    }

    #[test]
    fn a_good_server_is_left_alone() {
        for profile in [Profile::Modern, Profile::Intermediate, Profile::Old] {
            let guideline = Guideline::of(profile).unwrap();
            assert_eq!(accepted(&good(), guideline), []);
            assert_eq!(order(&good(), guideline), []);
        }
    }
}
