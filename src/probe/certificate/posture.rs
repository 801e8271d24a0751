//! What an address accepts, as it is kept: without opinions, and by name where it is written down.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::formats::tls::{self, Version};
use crate::net::{Acceptance, TlsScan, VersionScan};

/// The most primes kept of one version.
const PRIMES: usize = 8;

/// What an address accepts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Posture {
    /// When it was found out.
    pub at: Timestamp,
    /// One entry for each version, oldest first.
    pub versions: Vec<VersionPosture>,
    /// RFC 7507: a needless fallback is refused; `None` where that could not be found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_scsv: Option<bool>,
    /// Why something was left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<String>,
}

/// What is accepted with one version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionPosture {
    /// `TLSv1.2`, `SSLv3`.
    pub version: String,
    /// Whether it is accepted; `None` where that could not be found out.
    pub accepted: Option<bool>,
    /// The suites. Those of one way of agreeing on keys are in the server's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "suite_names")]
    pub suites: Vec<u16>,
    /// Whether the server's order counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_preference: Option<bool>,
    /// The groups: all of them for TLS 1.3 and for the highest version below.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "group_names")]
    pub groups: Vec<u16>,
    /// The primes of finite-field Diffie-Hellman, at most eight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub primes: Vec<Prime>,
    /// The signature schemes (TLS 1.2 alone).
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "signature_names")]
    pub signatures: Vec<u16>,
    /// It compresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<bool>,
    /// RFC 5746.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secure_renegotiation: Option<bool>,
    /// RFC 7627.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended_master_secret: Option<bool>,
    /// Session tickets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tickets: Option<bool>,
}

/// A prime of finite-field Diffie-Hellman.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prime {
    /// Its size.
    pub bits: usize,
    /// Its name in RFC 7919 (`ffdhe2048`) or, after it, RFC 3526 (`modp_2048`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Posture {
    /// A scan as it is kept.
    pub fn of(scan: &TlsScan, at: Timestamp) -> Self {
        Self {
            at,
            versions: scan.versions.iter().map(VersionPosture::of).collect(),
            fallback_scsv: scan.fallback_scsv,
            incomplete: scan.incomplete.clone(),
        }
    }

    /// The versions that are accepted, oldest first.
    pub fn accepted(&self) -> impl DoubleEndedIterator<Item = &VersionPosture> {
        self.versions.iter().filter(|entry| entry.accepted == Some(true))
    }

    /// The accepted versions below TLS 1.3, oldest first.
    pub fn legacy(&self) -> impl DoubleEndedIterator<Item = &VersionPosture> {
        self.accepted().filter(|entry| entry.number() < Some(Version::Tls13))
    }

    /// Whether a version is accepted; `None` where that could not be found out.
    pub fn accepts(&self, version: Version) -> Option<bool> {
        self.versions.iter().find(|entry| entry.version == version.as_str())?.accepted
    }

    /// What is known after a scan that left something out: what it did not come to is as it was known
    /// before, since it cannot say that something is gone.
    pub fn after<'a>(&'a self, earlier: Option<&Self>) -> Cow<'a, Self> {
        let (Some(earlier), Some(_)) = (earlier, &self.incomplete) else { return Cow::Borrowed(self) };
        let mut known = self.clone();
        for entry in &mut known.versions {
            if let Some(before) = earlier.versions.iter().find(|before| before.version == entry.version) {
                entry.fill_from(before);
            }
        }
        known.fallback_scsv = known.fallback_scsv.or(earlier.fallback_scsv);
        Cow::Owned(known)
    }
}

impl VersionPosture {
    /// The version.
    pub fn number(&self) -> Option<Version> {
        Version::named(&self.version)
    }

    fn of(scan: &VersionScan) -> Self {
        let prime = |prime: &tls::Prime| Prime { bits: prime.bits(), name: prime.name().map(str::to_owned) };
        Self {
            version: scan.version.to_string(),
            accepted: match scan.accepted {
                Acceptance::Yes => Some(true),
                Acceptance::No(_) => Some(false),
                Acceptance::Unknown(_) | Acceptance::NotAsked => None,
            },
            suites: scan.suites.clone(),
            server_preference: scan.server_preference,
            groups: scan.groups.clone(),
            primes: scan.primes.iter().map(prime).collect(),
            signatures: scan.signatures.clone(),
            compression: scan.compression,
            secure_renegotiation: scan.secure_renegotiation,
            extended_master_secret: scan.extended_master_secret,
            tickets: scan.tickets,
        }
    }

    fn fill_from(&mut self, before: &Self) {
        self.accepted = self.accepted.or(before.accepted);
        if self.accepted != Some(true) {
            return;
        }
        add(&mut self.suites, &before.suites, usize::MAX);
        add(&mut self.groups, &before.groups, usize::MAX);
        add(&mut self.primes, &before.primes, PRIMES);
        add(&mut self.signatures, &before.signatures, usize::MAX);
        let fill = |known: &mut Option<bool>, before| *known = known.or(before);
        fill(&mut self.server_preference, before.server_preference);
        fill(&mut self.compression, before.compression);
        fill(&mut self.secure_renegotiation, before.secure_renegotiation);
        fill(&mut self.extended_master_secret, before.extended_master_secret);
        fill(&mut self.tickets, before.tickets);
    }
}

fn add<T: Clone + PartialEq>(known: &mut Vec<T>, more: &[T], most: usize) {
    for item in more {
        if known.len() < most && !known.contains(item) {
            known.push(item.clone());
        }
    }
}

/// Numbers of the wire are written by the names that IANA gave them.
macro_rules! written_by_name {
    ($module:ident, $name:path, $number:path) => {
        mod $module {
            use serde::de::Error as _;
            use serde::{Deserialize as _, Deserializer, Serializer};

            pub(super) fn serialize<S: Serializer>(numbers: &[u16], to: S) -> Result<S::Ok, S::Error> {
                to.collect_seq(numbers.iter().map(|number| $name(*number)))
            }

            pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u16>, D::Error> {
                let names = Vec::<String>::deserialize(from)?;
                let number = |name: &String| {
                    $number(name).ok_or_else(|| D::Error::custom(format!("{name:?} is not known")))
                };
                names.iter().map(number).collect()
            }
        }
    };
}

written_by_name!(suite_names, crate::formats::tls::names::suite, crate::formats::tls::names::suite_number);
written_by_name!(group_names, crate::formats::tls::names::group, crate::formats::tls::names::group_number);
written_by_name!(
    signature_names,
    crate::formats::tls::names::signature,
    crate::formats::tls::names::signature_number
);

#[cfg(test)]
pub(in crate::probe::certificate) mod tests {
    use super::*;

    /// An address that accepts these versions, each with its suites and groups.
    pub fn posture(versions: &[(Version, &[&str], &[&str])]) -> Posture {
        let entry = |version: Version| {
            let given = versions.iter().find(|(given, ..)| *given == version);
            let numbers = |names: &[&str], number: fn(&str) -> Option<u16>| {
                names.iter().map(|name| number(name).expect(name)).collect()
            };
            let legacy = given.is_some() && version < Version::Tls13;
            VersionPosture {
                version: version.to_string(),
                accepted: Some(given.is_some()),
                suites: given.map_or_else(Vec::new, |given| numbers(given.1, tls::names::suite_number)),
                server_preference: given.filter(|given| given.1.len() > 1).map(|_| true),
                groups: given.map_or_else(Vec::new, |given| numbers(given.2, tls::names::group_number)),
                primes: Vec::new(),
                signatures: Vec::new(),
                compression: None,
                secure_renegotiation: legacy.then_some(true),
                extended_master_secret: (legacy && version > Version::Ssl3).then_some(true),
                tickets: None,
            }
        };
        Posture {
            at: Timestamp::UNIX_EPOCH,
            versions: Version::ALL.map(entry).into(),
            fallback_scsv: None,
            incomplete: None,
        }
    }

    /// An address about which there is nothing to say by profile intermediate.
    pub fn good() -> Posture {
        posture(&[
            (
                Version::Tls12,
                &["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"],
                &["x25519", "secp256r1"],
            ),
            (
                Version::Tls13,
                &["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256"],
                &["X25519MLKEM768", "x25519", "secp256r1"],
            ),
        ])
    }

    /// The entry of a version.
    pub fn entry(posture: &mut Posture, version: Version) -> &mut VersionPosture {
        posture.versions.iter_mut().find(|entry| entry.version == version.as_str()).expect("of all versions")
    }

    #[test]
    fn who_reads_the_json_sees_names_and_gets_back_what_was_kept() {
        let mut kept = good();
        let tls12 = entry(&mut kept, Version::Tls12);
        tls12.suites.push(0x0a0a);
        tls12.signatures = vec![0x0804, 0x0201];
        tls12.primes = vec![Prime { bits: 2048, name: Some("ffdhe2048".into()) }];
        let json = serde_json::to_value(&kept).unwrap();
        let shown = &json["versions"][3];
        assert_eq!(shown["version"], "TLSv1.2");
        assert_eq!(shown["suites"][0], "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
        assert_eq!(shown["suites"][2], "0x0a0a");
        assert_eq!(shown["groups"][0], "x25519");
        assert_eq!(shown["signatures"][1], "rsa_pkcs1_sha1");
        assert_eq!(serde_json::from_value::<Posture>(json).unwrap(), kept);
    }

    #[test]
    fn a_name_that_no_one_gave_is_refused() {
        let mut json = serde_json::to_value(good()).unwrap();
        json["versions"][3]["suites"][0] = "TLS_NO_SUCH".into();
        assert!(serde_json::from_value::<Posture>(json).unwrap_err().to_string().contains("TLS_NO_SUCH"));
    }

    #[test]
    fn a_scan_that_broke_off_does_not_make_a_weakness_go_away() {
        let mut before = posture(&[
            (Version::Tls10, &["TLS_RSA_WITH_AES_128_CBC_SHA"], &[]),
            (Version::Tls12, &["TLS_RSA_WITH_3DES_EDE_CBC_SHA"], &["secp256r1"]),
        ]);
        before.fallback_scsv = Some(false);
        let mut broken_off = good();
        broken_off.incomplete = Some("timed out".into());
        entry(&mut broken_off, Version::Tls10).accepted = None;
        let known = broken_off.after(Some(&before));
        assert_eq!(known.accepts(Version::Tls10), Some(true));
        assert_eq!(known.versions[1].suites, [0x002f]);
        assert_eq!(known.versions[3].suites, [0xc02f, 0xc030, 0x000a]);
        assert_eq!(known.fallback_scsv, Some(false));
        assert_eq!(*broken_off.after(None), broken_off);
        let whole = good();
        assert_eq!(*whole.after(Some(&before)), whole);
    }

    #[test]
    fn a_version_that_was_refused_is_gone_whatever_else_broke_off() {
        let before = posture(&[(Version::Tls10, &["TLS_RSA_WITH_AES_128_CBC_SHA"], &[])]);
        let mut broken_off = good();
        broken_off.incomplete = Some("timed out".into());
        let known = broken_off.after(Some(&before));
        assert_eq!(known.accepts(Version::Tls10), Some(false));
        assert!(known.versions[1].suites.is_empty());
    }
}
