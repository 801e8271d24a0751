//! What an address accepts, in names.

use jiff::Timestamp;
use serde::Serialize;

use super::super::posture::{Posture, VersionPosture};
use crate::formats::tls::Version;
use crate::formats::tls::names::{self, KeyExchange};

/// What an address accepts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PostureSeen {
    /// When it was found out.
    pub at: Timestamp,
    /// One entry for each version, oldest first.
    pub versions: Vec<VersionSeen>,
    /// Whether it agrees on a key that a quantum computer would not find out later; `None` where no
    /// groups are known.
    pub post_quantum: Option<bool>,
    /// Whether a needless fallback is refused (RFC 7507).
    pub fallback_scsv: Option<bool>,
    /// Why something was left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<String>,
}

/// What is accepted with one version.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VersionSeen {
    /// `TLSv1.2`, `SSLv3`.
    pub version: String,
    /// Whether it is accepted; `None` where that could not be found out.
    pub accepted: Option<bool>,
    /// The suites in the server's order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suites: Vec<SuiteSeen>,
    /// Whether the server's order counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_preference: Option<bool>,
    /// The groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// The sizes of the primes of finite-field Diffie-Hellman, in bits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prime_bits: Vec<usize>,
    /// The signature schemes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<String>,
    /// It compresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<bool>,
    /// Secure renegotiation (RFC 5746).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secure_renegotiation: Option<bool>,
    /// The extended master secret (RFC 7627).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extended_master_secret: Option<bool>,
    /// Session tickets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tickets: Option<bool>,
}

/// A suite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SuiteSeen {
    /// The IANA name, or the number.
    pub name: String,
    /// How good it is.
    pub class: SuiteClass,
}

/// How good a suite is, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SuiteClass {
    /// Forward secret, with authenticated encryption.
    Modern,
    /// Forward secret, with CBC.
    Cbc,
    /// Whoever gets the server's key reads what was recorded.
    NoForwardSecrecy,
    /// Without encryption or authentication, or with a cipher that is broken.
    Broken,
    /// Of no name that is known here.
    Unknown,
}

impl SuiteClass {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Modern => "modern",
            Self::Cbc => "with CBC",
            Self::NoForwardSecrecy => "without forward secrecy",
            Self::Broken => "broken",
            Self::Unknown => "unknown",
        }
    }

    /// The class of a suite.
    pub fn of(suite: u16) -> Self {
        const BROKEN: [&str; 7] = ["_NULL_", "_anon_", "_EXPORT_", "_RC4_", "_RC2_", "_DES_", "_3DES_"];
        let name = names::suite(suite);
        match names::key_exchange(suite) {
            None => Self::Unknown,
            Some(_) if BROKEN.iter().any(|part| name.contains(part)) => Self::Broken,
            Some(KeyExchange::Rsa | KeyExchange::Static) => Self::NoForwardSecrecy,
            Some(_) if name.contains("_CBC_") => Self::Cbc,
            Some(_) => Self::Modern,
        }
    }
}

impl PostureSeen {
    pub(super) fn of(posture: &Posture) -> Self {
        let groups = || posture.versions.iter().flat_map(|version| &version.groups);
        let any = groups().next().is_some();
        Self {
            at: posture.at,
            versions: posture.versions.iter().map(VersionSeen::of).collect(),
            post_quantum: any.then(|| groups().any(|group| names::group(*group).contains("MLKEM"))),
            fallback_scsv: posture.fallback_scsv,
            incomplete: posture.incomplete.clone(),
        }
    }

    /// The versions whose acceptance is as given.
    pub fn accepting(&self, accepted: Option<bool>) -> impl Iterator<Item = &VersionSeen> {
        self.versions.iter().filter(move |version| version.accepted == accepted)
    }

    /// How many suites of each class are accepted, the best class first; one that several versions
    /// accept counts once.
    pub fn classes(&self) -> Vec<(SuiteClass, usize)> {
        let mut suites: Vec<(SuiteClass, &str)> = self
            .versions
            .iter()
            .flat_map(|version| &version.suites)
            .map(|suite| (suite.class, suite.name.as_str()))
            .collect();
        suites.sort_unstable();
        suites.dedup();
        let mut classes: Vec<(SuiteClass, usize)> = Vec::new();
        for (class, _) in suites {
            match classes.last_mut() {
                Some((last, count)) if *last == class => *count += 1,
                _ => classes.push((class, 1)),
            }
        }
        classes
    }

    /// Every group, of the newest version first.
    pub fn groups(&self) -> Vec<&str> {
        let mut groups: Vec<&str> = Vec::new();
        for group in self.versions.iter().rev().flat_map(|version| &version.groups) {
            if !groups.contains(&group.as_str()) {
                groups.push(group);
            }
        }
        groups
    }
}

impl VersionSeen {
    fn of(version: &VersionPosture) -> Self {
        let suite = |number: &u16| SuiteSeen { name: names::suite(*number), class: SuiteClass::of(*number) };
        let primes = version.primes.iter().map(|prime| prime.bits);
        Self {
            version: version.version.clone(),
            accepted: version.accepted,
            suites: version.suites.iter().map(suite).collect(),
            server_preference: version.server_preference,
            groups: version.groups.iter().map(|group| names::group(*group)).collect(),
            prime_bits: primes.collect(),
            signatures: version.signatures.iter().map(|scheme| names::signature(*scheme)).collect(),
            compression: version.compression,
            secure_renegotiation: version.secure_renegotiation,
            extended_master_secret: version.extended_master_secret,
            tickets: version.tickets,
        }
    }

    /// Whether it is a version that nobody should accept any more (RFC 8996).
    pub fn is_old(&self) -> bool {
        let newer = [Version::Tls12, Version::Tls13];
        !newer.iter().any(|version| version.as_str() == self.version)
    }
}
