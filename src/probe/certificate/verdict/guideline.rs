//! The profiles of Mozilla's server-side TLS guidelines, version 5.8 of ssl-config.mozilla.org: facts
//! alone. 6.0 has the same for modern and intermediate, and no old. Stapling, which it asks for, is left
//! out: authorities no longer offer it.

use super::super::spec::Profile;
use crate::formats::tls::Version;
use crate::formats::x509::KeyKind;
use crate::model::{Finding, Severity};

/// One profile.
#[derive(Debug)]
pub struct Guideline {
    /// `modern`, `intermediate`, `old`.
    pub name: &'static str,
    /// The versions, all of which a server is to accept.
    pub versions: &'static [Version],
    /// The suites of TLS 1.3.
    pub suites: &'static [&'static str],
    /// The suites of TLS 1.2 and older.
    pub legacy_suites: &'static [&'static str],
    /// The groups, by IANA's names.
    pub groups: &'static [&'static str],
    /// The kinds of the certificate's key.
    pub keys: &'static [KeyKind],
    /// The curves of keys for ECDSA.
    pub curves: &'static [&'static str],
    /// How the certificate is signed.
    pub signatures: &'static [&'static str],
    /// The size of RSA keys, in bits.
    pub rsa_bits: Option<u32>,
    /// The size of primes for Diffie-Hellman, in bits.
    pub dh_bits: Option<usize>,
    /// Whether the server's order of suites is to count.
    pub server_order: bool,
    /// The longest lifetime of a certificate, in days.
    pub lifetime_days: i64,
}

const SUITES: &[&str] = &["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];
const GROUPS: &[&str] = &["X25519MLKEM768", "x25519", "secp256r1", "secp384r1"];
const CURVES: &[&str] = &["P-256", "P-384"];

static MODERN: Guideline = Guideline {
    name: "modern",
    versions: &[Version::Tls13],
    suites: SUITES,
    legacy_suites: &[],
    groups: GROUPS,
    keys: &[KeyKind::Ecdsa],
    curves: CURVES,
    signatures: &["ECDSA with SHA-256", "ECDSA with SHA-384", "ECDSA with SHA-512"],
    rsa_bits: None,
    dh_bits: None,
    server_order: false,
    lifetime_days: 90,
};

static INTERMEDIATE: Guideline = Guideline {
    name: "intermediate",
    versions: &[Version::Tls12, Version::Tls13],
    suites: SUITES,
    legacy_suites: &[
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    ],
    groups: GROUPS,
    keys: &[KeyKind::Ecdsa, KeyKind::Rsa],
    curves: CURVES,
    signatures: &["RSA with SHA-256", "ECDSA with SHA-256", "ECDSA with SHA-384", "ECDSA with SHA-512"],
    rsa_bits: Some(2048),
    dh_bits: Some(2048),
    server_order: false,
    lifetime_days: 366,
};

static OLD: Guideline = Guideline {
    name: "old",
    versions: &[Version::Tls10, Version::Tls11, Version::Tls12, Version::Tls13],
    suites: SUITES,
    legacy_suites: &[
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
        "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
        "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384",
        "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384",
        "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
        "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
        "TLS_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_RSA_WITH_AES_128_CBC_SHA256",
        "TLS_RSA_WITH_AES_256_CBC_SHA256",
        "TLS_RSA_WITH_AES_128_CBC_SHA",
        "TLS_RSA_WITH_AES_256_CBC_SHA",
        "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    ],
    groups: GROUPS,
    keys: &[KeyKind::Rsa],
    curves: CURVES,
    signatures: &["RSA with SHA-256"],
    rsa_bits: Some(2048),
    dh_bits: Some(2048),
    server_order: true,
    lifetime_days: 366,
};

impl Guideline {
    /// The profile of the settings; `None` where there is to be none.
    pub const fn of(profile: Profile) -> Option<&'static Self> {
        match profile {
            Profile::Modern => Some(&MODERN),
            Profile::Intermediate => Some(&INTERMEDIATE),
            Profile::Old => Some(&OLD),
            Profile::Off => None,
        }
    }

    /// Whether it lists a suite.
    pub fn has_suite(&self, name: &str) -> bool {
        self.suites.contains(&name) || self.legacy_suites.contains(&name)
    }

    /// What the profile lists is wanted: it is told as a notice at most.
    pub fn meant(&self, is_listed: bool, mut finding: Finding) -> Finding {
        if is_listed {
            finding.severity = finding.severity.min(Severity::Notice);
            finding.summary = format!("{} (as profile {} allows)", finding.summary, self.name);
        }
        finding
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::Value;

    use super::*;

    /// A version of the guidelines; `None`, told, where the vectors are not there.
    #[expect(clippy::disallowed_methods, reason = "tests find their vectors by the environment")]
    fn published(version: &str, test: &str) -> Option<Value> {
        let named = std::env::var_os("PORTALWATCH_VECTORS").map(PathBuf::from);
        let folder =
            named.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"));
        if !folder.is_dir() {
            println!("skipped: {test}: no folder {}", folder.display());
            return None;
        }
        let text = std::fs::read_to_string(folder.join(format!("mozilla-tls/{version}.json"))).unwrap();
        Some(serde_json::from_str(&text).unwrap())
    }

    fn words(list: &Value, told: impl Fn(&str) -> &str) -> Vec<String> {
        list.as_array().unwrap().iter().map(|word| told(word.as_str().unwrap()).to_owned()).collect()
    }

    fn owned(list: &[&str]) -> Vec<String> {
        list.iter().map(|word| (*word).to_owned()).collect()
    }

    /// Mozilla writes with the words of OpenSSL.
    fn told(word: &str) -> &str {
        match word {
            "TLSv1" => "TLSv1.0",
            "X25519" => "x25519",
            "prime256v1" => "secp256r1",
            "sha256WithRSAEncryption" => "RSA with SHA-256",
            "ecdsa-with-SHA256" => "ECDSA with SHA-256",
            "ecdsa-with-SHA384" => "ECDSA with SHA-384",
            "ecdsa-with-SHA512" => "ECDSA with SHA-512",
            other => other,
        }
    }

    fn compare(table: &Guideline, published: &Value) {
        let all = &published["configurations"][table.name];
        let versions: Vec<String> = table.versions.iter().map(ToString::to_string).collect();
        assert_eq!(versions, words(&all["tls_versions"], told));
        assert_eq!(owned(table.suites), words(&all["ciphersuites"], told));
        assert_eq!(owned(table.legacy_suites), words(&all["ciphers"]["iana"], told));
        assert_eq!(owned(table.groups), words(&all["tls_curves"], told));
        let keys = table.keys.iter().map(|key| serde_json::to_value(key).unwrap()).collect::<Value>();
        assert_eq!(keys, all["certificate_types"]);
        let of_keys = |word: &str| match word {
            "prime256v1" => "P-256".to_owned(),
            "secp384r1" => "P-384".to_owned(),
            other => other.to_owned(),
        };
        let curves = all["certificate_curves"].as_array().unwrap();
        let curves: Vec<String> = curves.iter().map(|curve| of_keys(curve.as_str().unwrap())).collect();
        assert_eq!(owned(table.curves), curves);
        assert_eq!(owned(table.signatures), words(&all["certificate_signatures"], told));
        assert_eq!(serde_json::to_value(table.rsa_bits).unwrap(), all["rsa_key_size"]);
        assert_eq!(serde_json::to_value(table.dh_bits).unwrap(), all["dh_param_size"]);
        assert_eq!(table.server_order, all["server_preferred_order"]);
        assert_eq!(table.lifetime_days, all["maximum_certificate_lifespan"]);
    }

    #[test]
    fn the_profiles_are_those_that_mozilla_published() {
        let Some(published) = published("5.8", "Mozilla's guidelines 5.8") else { return };
        assert_eq!(published["configurations"].as_object().unwrap().len(), 3);
        for profile in [Profile::Modern, Profile::Intermediate, Profile::Old] {
            compare(Guideline::of(profile).unwrap(), &published);
        }
        assert!(Guideline::of(Profile::Off).is_none());
    }

    #[test]
    fn the_next_version_changes_nothing_but_that_it_has_no_profile_for_old_clients() {
        let Some(published) = published("6.0", "Mozilla's guidelines 6.0") else { return };
        for profile in [Profile::Modern, Profile::Intermediate] {
            compare(Guideline::of(profile).unwrap(), &published);
        }
        assert!(published["configurations"]["old"].is_null());
    }
}
