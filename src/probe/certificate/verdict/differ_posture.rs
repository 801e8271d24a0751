//! Addresses of one host that accept different things: one of them was forgotten, or IPv6 was. What
//! could not be found out at an address is no difference.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::super::docs::posture::ADDRESSES_DIFFER;
use super::super::facts::HostFacts;
use super::super::posture::Posture;
use super::guideline::Guideline;
use super::posture::{Known, known, listed};
use super::{Case, Note};
use crate::formats::tls::{Version, names};
use crate::model::Finding;

/// At most so many places are written out.
const PLACES: usize = 6;

/// Something that an address may have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trait {
    Version(Version),
    Suite(Version, u16),
    Group(Version, u16),
    Prime(Version, usize, Option<String>),
    Signature(u16),
    OwnOrder(Version),
    Compression,
    SecureRenegotiation,
    ExtendedMasterSecret,
    FallbackNoticed,
}

/// What differs between the addresses of a host.
pub fn notes<'a>(case: &Case<'a>) -> Vec<Note<'a>> {
    if Guideline::of(case.spec.profile).is_none() {
        return Vec::new();
    }
    let all = known(case);
    let of = |host: &'a HostFacts| {
        let those: Vec<&Known<'_>> = all.iter().filter(|one| std::ptr::eq(one.host, host)).collect();
        let finding = difference(&those)?;
        Some(Note { host, address: None, finding })
    };
    case.facts.hosts.iter().filter_map(of).collect()
}

fn difference(addresses: &[&Known<'_>]) -> Option<Finding> {
    let traits: BTreeSet<Trait> = addresses.iter().flat_map(|one| traits(&one.posture)).collect();
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for what in &traits {
        let those = |wanted| -> BTreeSet<IpAddr> {
            let fit = addresses.iter().filter(|one| what.is_at(&one.posture) == Some(wanted));
            fit.map(|one| one.endpoint.address.ip()).collect()
        };
        let (with, without) = (those(true), those(false));
        if with.is_empty() || without.is_empty() {
            continue;
        }
        let labels = places.entry(place(&with, &without)).or_default();
        let label = what.label();
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    if places.is_empty() {
        return None;
    }
    let mut parts: Vec<String> =
        places.iter().take(PLACES).map(|(place, labels)| format!("{} {place}", listed(labels))).collect();
    if places.len() > PLACES {
        parts.push(format!("{} more differences", places.len() - PLACES));
    }
    let summary = format!("its addresses accept different things: {}", parts.join("; "));
    let evidence = serde_json::to_value(&places).unwrap_or_default();
    Some(Finding::of(&ADDRESSES_DIFFER, "addresses", summary).with("differences", evidence))
}

/// Where something is: by family if that says it, else by whichever addresses are fewer.
fn place(with: &BTreeSet<IpAddr>, without: &BTreeSet<IpAddr>) -> String {
    let named = |some: &BTreeSet<IpAddr>| listed(&some.iter().map(ToString::to_string).collect::<Vec<_>>());
    let family = |some: &BTreeSet<IpAddr>, is_v4| some.iter().all(|address| address.is_ipv4() == is_v4);
    for (name, is_v4) in [("IPv4", true), ("IPv6", false)] {
        if family(with, is_v4) && family(without, !is_v4) {
            return format!("only over {name} ({})", named(with));
        }
    }
    if with.len() <= without.len() {
        format!("only at {}", named(with))
    } else {
        format!("not at {}", named(without))
    }
}

fn traits(posture: &Posture) -> Vec<Trait> {
    let mut traits = vec![
        Trait::Compression,
        Trait::SecureRenegotiation,
        Trait::ExtendedMasterSecret,
        Trait::FallbackNoticed,
    ];
    for entry in posture.accepted() {
        let Some(version) = entry.number() else { continue };
        traits.extend([Trait::Version(version), Trait::OwnOrder(version)]);
        traits.extend(entry.suites.iter().map(|suite| Trait::Suite(version, *suite)));
        traits.extend(entry.groups.iter().map(|group| Trait::Group(version, *group)));
        let prime = entry.primes.iter().map(|prime| Trait::Prime(version, prime.bits, prime.name.clone()));
        traits.extend(prime);
        traits.extend(entry.signatures.iter().map(|scheme| Trait::Signature(*scheme)));
    }
    traits
}

impl Trait {
    /// Whether an address has it; `None` where that is not known, or where it lacks the version that it
    /// belongs to.
    fn is_at(&self, posture: &Posture) -> Option<bool> {
        let is_whole = posture.incomplete.is_none();
        let among = |found: bool| (found || is_whole).then_some(found);
        let entry = |version: Version| posture.accepted().find(|entry| entry.number() == Some(version));
        let top = || posture.legacy().next_back();
        match self {
            Self::Version(version) => posture.accepts(*version),
            Self::Suite(version, suite) => among(entry(*version)?.suites.contains(suite)),
            Self::Group(version, group) => {
                let entry = entry(*version)?;
                let is_all =
                    *version == Version::Tls13 || top().is_some_and(|top| top.version == entry.version);
                among(entry.groups.contains(group)).filter(|_| is_all)
            }
            Self::Prime(version, bits, name) => {
                let mut primes = entry(*version)?.primes.iter();
                among(primes.any(|prime| prime.bits == *bits && prime.name == *name))
            }
            Self::Signature(scheme) => among(entry(Version::Tls12)?.signatures.contains(scheme)),
            Self::OwnOrder(version) => entry(*version)?.server_preference,
            Self::Compression => top()?.compression,
            Self::SecureRenegotiation => top()?.secure_renegotiation,
            Self::ExtendedMasterSecret => top()?.extended_master_secret,
            Self::FallbackNoticed => posture.fallback_scsv,
        }
    }

    fn label(&self) -> String {
        match self {
            Self::Version(version) => version.to_string(),
            Self::Suite(_, suite) => names::suite(*suite),
            Self::Group(_, group) => format!("group {}", names::group(*group)),
            Self::Prime(_, bits, None) => format!("a Diffie-Hellman prime of {bits} bits"),
            Self::Prime(_, _, Some(name)) => format!("Diffie-Hellman prime {name}"),
            Self::Signature(scheme) => format!("signatures {}", names::signature(*scheme)),
            Self::OwnOrder(version) => format!("an own order of suites with {version}"),
            Self::Compression => "compression".to_owned(),
            Self::SecureRenegotiation => "secure renegotiation".to_owned(),
            Self::ExtendedMasterSecret => "the extended master secret".to_owned(),
            Self::FallbackNoticed => "refusal of needless fallbacks".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::posture::tests::{World, merged};
    use super::*;
    use crate::model::Severity;
    use crate::probe::certificate::posture::Prime;
    use crate::probe::certificate::posture::tests::{entry, good};
    use crate::probe::certificate::spec::Profile;

    fn told(addresses: &[(&str, &Posture)]) -> Vec<String> {
        let endpoints = addresses.iter().map(|(address, posture)| (*address, Some((*posture).clone())));
        let found = World::of(endpoints.collect()).look(|case| merged(notes(case)));
        let told = |finding: Finding| {
            assert_eq!(finding.id.as_str(), "tls.addresses_differ");
            assert_eq!(finding.subject, "portal.example addresses");
            assert_eq!((finding.severity, finding.broken), (Severity::Warning, false));
            finding.summary
        };
        found.into_iter().map(told).collect()
    }

    fn with_old() -> Posture {
        let mut posture = good();
        let old = entry(&mut posture, Version::Tls10);
        old.accepted = Some(true);
        old.suites = vec![0x002f];
        posture
    }

    #[test]
    fn equal_addresses_are_told_of_nothing() {
        assert_eq!(told(&[("192.0.2.1", &good()), ("2001:db8::1", &good())]), [""; 0]);
        assert_eq!(told(&[("192.0.2.1", &with_old())]), [""; 0]);
    }

    #[test]
    fn the_one_address_that_was_forgotten_is_named() {
        let (new, old) = (good(), with_old());
        assert_eq!(
            told(&[("192.0.2.1", &new), ("192.0.2.2", &new), ("192.0.2.7", &old)]),
            ["its addresses accept different things: TLSv1.0 only at 192.0.2.7"]
        );
        assert_eq!(
            told(&[("192.0.2.1", &old), ("192.0.2.2", &old), ("192.0.2.7", &new)]),
            ["its addresses accept different things: TLSv1.0 not at 192.0.2.7"]
        );
    }

    #[test]
    fn a_family_that_was_forgotten_is_named() {
        let (new, old) = (good(), with_old());
        assert_eq!(
            told(&[("192.0.2.1", &new), ("192.0.2.2", &new), ("2001:db8::1", &old)]),
            ["its addresses accept different things: TLSv1.0 only over IPv6 (2001:db8::1)"]
        );
        assert_eq!(
            told(&[("192.0.2.1", &old), ("2001:db8::1", &new)]),
            ["its addresses accept different things: TLSv1.0 only over IPv4 (192.0.2.1)"]
        );
    }

    #[test]
    fn everything_that_users_get_is_compared() {
        type Change = fn(&mut Posture);
        let changes: [(Change, &str); 9] = [
            (|it| entry(it, Version::Tls12).suites.push(0x000a), "TLS_RSA_WITH_3DES_EDE_CBC_SHA"),
            (|it| entry(it, Version::Tls13).groups.push(0x001e), "group x448"),
            (
                |it| entry(it, Version::Tls12).primes.push(Prime { bits: 1024, name: None }),
                "a Diffie-Hellman prime of 1024 bits",
            ),
            (|it| entry(it, Version::Tls12).signatures.push(0x0201), "signatures rsa_pkcs1_sha1"),
            (|it| entry(it, Version::Tls12).compression = Some(true), "compression"),
            (|it| entry(it, Version::Tls12).secure_renegotiation = Some(true), "secure renegotiation"),
            (
                |it| entry(it, Version::Tls12).server_preference = Some(true),
                "an own order of suites with TLSv1.2",
            ),
            (
                |it| entry(it, Version::Tls12).extended_master_secret = Some(true),
                "the extended master secret",
            ),
            (|it| it.fallback_scsv = Some(true), "refusal of needless fallbacks"),
        ];
        for (change, label) in changes {
            let mut plain = good();
            let tls12 = entry(&mut plain, Version::Tls12);
            tls12.compression = Some(false);
            tls12.secure_renegotiation = Some(false);
            tls12.server_preference = Some(false);
            tls12.extended_master_secret = Some(false);
            plain.fallback_scsv = Some(false);
            let mut changed = plain.clone();
            change(&mut changed);
            let expected = format!("its addresses accept different things: {label} only at 192.0.2.2");
            assert_eq!(told(&[("192.0.2.1", &plain), ("192.0.2.2", &changed)]), [expected]);
        }
    }

    #[test]
    fn what_could_not_be_found_out_is_no_difference() {
        let mut partial = with_old();
        partial.incomplete = Some("timed out".into());
        let tls12 = entry(&mut partial, Version::Tls12);
        tls12.suites.truncate(1);
        tls12.server_preference = None;
        tls12.secure_renegotiation = None;
        entry(&mut partial, Version::Tls13).accepted = None;
        let found = told(&[("192.0.2.1", &with_old()), ("192.0.2.2", &partial)]);
        assert_eq!(found, [""; 0]);
        let found = told(&[("192.0.2.1", &good()), ("192.0.2.2", &partial)]);
        assert_eq!(found, ["its addresses accept different things: TLSv1.0 only at 192.0.2.2"]);
    }

    #[test]
    fn tickets_and_groups_met_by_chance_are_no_difference() {
        let mut chance = with_old();
        entry(&mut chance, Version::Tls12).tickets = Some(true);
        entry(&mut chance, Version::Tls10).groups.push(0x0017);
        assert_eq!(told(&[("192.0.2.1", &with_old()), ("192.0.2.2", &chance)]), [""; 0]);
    }

    #[test]
    fn without_a_profile_nothing_is_compared() {
        let world = World::of(vec![("192.0.2.1", Some(good())), ("192.0.2.2", Some(with_old()))]);
        assert!(world.by(Profile::Off).look(|case| merged(notes(case))).is_empty());
    }
}
