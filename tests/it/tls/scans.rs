//! Scans of OpenSSL with one thing changed each time.

use portalwatch::formats::tls::Version;
use portalwatch::net::{Acceptance, ScanOptions, TlsScan};

use super::s_server::{EC, RSA, SServer};
use super::{groups, net, signatures, suites, target};

async fn scan(server: &SServer) -> TlsScan {
    let scan = net().scan_tls(&target(server.port), ScanOptions::default()).await.unwrap();
    assert_eq!(scan.incomplete, None);
    scan
}

fn accepted(scan: &TlsScan) -> Vec<Version> {
    scan.versions.iter().filter(|scan| scan.is_accepted()).map(|scan| scan.version).collect()
}

#[tokio::test]
async fn each_old_version_is_told_from_the_others() {
    for (flag, version) in [
        ("-tls1", Version::Tls10),
        ("-tls1_1", Version::Tls11),
        ("-tls1_2", Version::Tls12),
        ("-tls1_3", Version::Tls13),
    ] {
        let server = SServer::start(&[&RSA], &[flag, "-cipher", "ALL:@SECLEVEL=0"]);
        let found = scan(&server).await;
        assert_eq!(accepted(&found), [version]);
        let other = found.versions.iter().find(|scan| scan.version != version).unwrap();
        assert!(matches!(&other.accepted, Acceptance::No(_)), "{:?}", other.accepted);
        assert_eq!(found.fallback_scsv, None);
    }
}

#[tokio::test]
async fn a_server_that_bears_everything_is_listed_in_full() {
    let server = SServer::start(&[&RSA, &EC], &["-cipher", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]);
    let found = scan(&server).await;
    assert_eq!(accepted(&found), [Version::Tls10, Version::Tls11, Version::Tls12, Version::Tls13]);
    assert_eq!(found.fallback_scsv, Some(true));
    let old = found.version(Version::Tls12).unwrap();
    let names = suites(&old.suites);
    for name in [
        "TLS_RSA_WITH_NULL_SHA",
        "TLS_DH_anon_WITH_AES_128_CBC_SHA",
        "TLS_RSA_WITH_AES_128_CBC_SHA",
        "TLS_DHE_RSA_WITH_AES_256_CCM_8",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_RSA_WITH_ARIA_128_GCM_SHA256",
    ] {
        assert!(names.iter().any(|found| found == name), "{name} is not among {names:?}");
    }
    assert_eq!(old.server_preference, Some(false));
    let mut leaves: Vec<_> = old.chains.iter().map(|chain| chain.ders[0].clone()).collect();
    leaves.sort();
    let mut both = vec![RSA.der(), EC.der()];
    both.sort();
    assert_eq!(leaves, both);
    assert_eq!((old.secure_renegotiation, old.extended_master_secret), (Some(true), Some(true)));
    assert_eq!((old.compression, old.wants_client, old.tickets), (Some(false), Some(false), Some(true)));
    assert!(signatures(&old.signatures).iter().any(|name| name == "rsa_pkcs1_sha1"), "{:?}", old.signatures);
}

#[tokio::test]
async fn the_prime_is_named_and_measured() {
    for (group, name, bits) in [("ffdhe2048", "ffdhe2048", 2048), ("modp_1536", "modp_1536", 1536)] {
        let dir = tempfile::TempDir::new().unwrap();
        let make = ["genpkey", "-genparam", "-algorithm", "DH", "-out", "dh.pem", "-pkeyopt"];
        super::s_server::openssl(dir.path(), &[&make[..], &[&format!("group:{group}")]].concat());
        let options = ["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0", "-dhparam", "dh.pem"];
        let server = SServer::start_in(dir, &[&RSA], &options);
        let found = scan(&server).await;
        let old = found.version(Version::Tls12).unwrap();
        assert_eq!(suites(&old.suites), ["TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"]);
        let primes: Vec<_> = old.primes.iter().map(|prime| (prime.name(), prime.bits())).collect();
        assert_eq!(primes, [(Some(name), bits)]);
        assert!(old.groups.is_empty());
    }
}

#[tokio::test]
async fn whose_order_counts_is_found_out() {
    for (options, preference) in [(&["-serverpref"][..], true), (&[], false)] {
        let server = SServer::start(&[&RSA], options);
        let found = scan(&server).await;
        for version in [Version::Tls12, Version::Tls13] {
            assert_eq!(found.version(version).unwrap().server_preference, Some(preference), "{version}");
        }
    }
}

#[tokio::test]
async fn the_groups_and_signatures_are_those_it_was_given() {
    let options =
        ["-groups", "P-384:X25519", "-sigalgs", "RSA+SHA1:RSA-PSS+SHA256", "-cipher", "ALL:@SECLEVEL=0"];
    let server = SServer::start(&[&RSA], &options);
    let found = scan(&server).await;
    let old = found.version(Version::Tls12).unwrap();
    assert_eq!(groups(&old.groups), ["secp384r1", "x25519"]);
    assert_eq!(signatures(&old.signatures), ["rsa_pkcs1_sha1", "rsa_pss_rsae_sha256"]);
    assert_eq!(groups(&found.version(Version::Tls13).unwrap().groups), ["secp384r1", "x25519"]);
    let strict = SServer::start(&[&RSA], &["-sigalgs", "RSA+SHA256"]);
    let found = scan(&strict).await;
    assert_eq!(signatures(&found.version(Version::Tls12).unwrap().signatures), ["rsa_pkcs1_sha256"]);
}

#[tokio::test]
async fn the_curve_of_the_certificate_does_not_hide_the_others() {
    let server = SServer::start(&[&EC], &["-tls1_2", "-groups", "X25519:P-256:P-384:P-521"]);
    let found = scan(&server).await;
    let old = found.version(Version::Tls12).unwrap();
    assert_eq!(groups(&old.groups), ["secp256r1", "secp384r1", "secp521r1", "x25519"]);
}
