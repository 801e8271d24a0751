//! `portalwatch inspect chain`, as a user types it.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

use crate::command::{Said, portalwatch_with};

fn named(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

/// Leaf, intermediate and root as files; the leaf is valid from 2026-05-01 to 2026-07-30.
fn folder() -> tempfile::TempDir {
    let authority = |common: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(common);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.use_authority_key_identifier_extension = true;
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2035, 1, 1));
        params
    };
    let (root, intermediate) = (authority("Acme root"), authority("Acme issuing"));
    let [root_key, intermediate_key, leaf_key] = [(); 3].map(|()| KeyPair::generate().unwrap());
    let mut leaf = CertificateParams::new(vec!["portal.example.com".to_owned()]).unwrap();
    leaf.distinguished_name = named("portal.example.com");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    (leaf.not_before, leaf.not_after) = (date_time_ymd(2026, 5, 1), date_time_ymd(2026, 7, 30));
    let by_root = Issuer::from_params(&root, &root_key);
    let by_intermediate = Issuer::from_params(&intermediate, &intermediate_key);
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let leaf = leaf.signed_by(&leaf_key, &by_intermediate).unwrap().pem();
    let intermediate = intermediate.signed_by(&intermediate_key, &by_root).unwrap().pem();
    write("fullchain.pem", &format!("{leaf}{intermediate}"));
    write("leaf.pem", &leaf);
    write("intermediate.pem", &intermediate);
    write("root.pem", &root.self_signed(&root_key).unwrap().pem());
    write("cut.pem", "\n-----BEGIN CERTIFICATE-----\nAAAA\n");
    write("broken.pem", "\n\n-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n");
    write("broken.crl", "-----BEGIN X509 CRL-----\nMAMCAQE=\n-----END X509 CRL-----\n");
    folder
}

const GOOD: &[&str] = &["--leaf", "fullchain.pem", "--root", "root.pem", "--name", "portal.example.com"];

fn inspect(folder: &Path, arguments: &[&str]) -> Said {
    portalwatch_with(folder, &[], &[&["inspect", "chain"], arguments].concat())
}

fn at<'a>(arguments: &[&'a str], at: &'a str) -> Vec<&'a str> {
    [arguments, &["--at", at]].concat()
}

#[test]
fn a_good_chain_passes_and_is_shown_whole() {
    let folder = folder();
    let arguments = at(GOOD, "2026-06-01T00:00:00+02:00");
    let json = inspect(folder.path(), &[&arguments[..], &["--format", "json"]].concat()).ended(0).json();
    assert_eq!((&json["verdict"], &json["findings"]), (&"pass".into(), &serde_json::json!([])));
    let seen = &json["observation"];
    assert_eq!((&seen["valid"], &seen["trust"]), (&true.into(), &"trusted".into()));
    let leaf = &seen["chain"][0];
    assert_eq!(leaf["sans"], serde_json::json!(["portal.example.com"]));
    assert_eq!(leaf["not_after"], "2026-07-30T00:00:00Z");
    assert_eq!((&leaf["key"]["curve"], &leaf["key"]["bits"]), (&"P-256".into(), &256.into()));
    assert_eq!(leaf["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(seen["chain"][2]["subject"], "CN=Acme root");

    let text = inspect(folder.path(), &arguments).ended(0).stdout;
    let words = [
        "└─ root: CN=Acme root",
        "59 days, 66 % left",
        "strict clients: accept it",
        "is for portal.example.com",
    ];
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
    let nagios = inspect(folder.path(), &[&arguments[..], &["--format", "nagios"]].concat()).ended(0).stdout;
    assert!(nagios.starts_with("PORTALWATCH OK: "), "{nagios}");
}

#[test]
fn time_alone_takes_a_chain_from_good_over_late_to_broken() {
    let folder = folder();
    for (instant, code, id) in [
        ("2026-06-29T00:00:00Z", 0, None),
        ("2026-07-02T00:00:00Z", 1, Some("cert.expiring")),
        ("2026-07-30T00:00:00Z", 1, Some("cert.expiring")),
        ("2026-07-30T00:00:01Z", 2, Some("cert.expired")),
        ("2026-04-30T00:00:00Z", 2, Some("cert.not_yet_valid")),
    ] {
        let arguments = [&at(GOOD, instant)[..], &["--format", "json"]].concat();
        let json = inspect(folder.path(), &arguments).ended(code).json();
        assert_eq!(json["findings"][0]["id"].as_str(), id, "{instant}");
    }
}

#[test]
fn what_is_wrong_says_what_to_do() {
    let folder = folder();
    let arguments = [
        "--leaf",
        "leaf.pem",
        "--root",
        "root.pem",
        "--name",
        "other.example.com",
        "--at",
        "2026-06-01T00:00:00Z",
    ];
    let text = inspect(folder.path(), &arguments).ended(2).stdout;
    for words in [
        "cert.name",
        "not for other.example.com",
        "cert.unknown_issuer",
        "its issuer CN=Acme issuing is neither sent",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(text.contains("lists the name among its alternative names"), "{text}");
    let nagios = inspect(folder.path(), &[&arguments[..], &["--format", "nagios"]].concat()).ended(2).stdout;
    assert!(nagios.starts_with("PORTALWATCH CRITICAL: "), "{nagios}");
}

#[test]
fn a_damaged_leaf_is_judged_and_a_damaged_root_is_a_usage_error() {
    let folder = folder();
    let json = inspect(folder.path(), &["--leaf", "broken.pem", "--root", "root.pem", "--format", "json"])
        .ended(2)
        .json();
    assert_eq!(json["findings"][0]["id"], "cert.unreadable");
    assert_eq!(json["observation"]["valid"], false);
    let said = inspect(folder.path(), &["--leaf", "leaf.pem", "--root", "broken.pem"]).ended(64);
    assert!(said.stderr.contains("--root broken.pem: line 3: "), "{said:?}");
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_the_place() {
    let folder = folder();
    for (arguments, words) in [
        (&["--leaf", "absent.pem", "--root", "root.pem"][..], "--leaf absent.pem: "),
        (&["--leaf", "cut.pem", "--root", "root.pem"], "--leaf cut.pem: line 2: the block does not end"),
        (&["--leaf", "leaf.pem", "--root", "root.pem", "--crl", "broken.crl"], "--crl broken.crl: line 1: "),
        (&["--leaf", "leaf.pem", "--root", "root.pem", "--crl", "root.pem"], "X509 CRL"),
        (&["--leaf", "leaf.pem"], "--root"),
        (&["--leaf", "leaf.pem", "--root", "root.pem", "--name", "a b"], "host name"),
        (&["--leaf", "leaf.pem", "--root", "root.pem", "--name", "a@b.example"], "--client"),
        (&["--leaf", "leaf.pem", "--root", "root.pem", "--at", "yesterday"], "--at"),
    ] {
        let said = inspect(folder.path(), arguments).ended(64);
        assert!(said.stderr.contains(words), "{words}: {said:?}");
        assert_eq!(said.stdout, "");
    }
}

#[test]
fn every_finding_of_a_chain_is_explained() {
    let said = portalwatch_with(Path::new("/"), &[], &["explain", "cert.common_name"]).ended(0);
    assert!(said.stdout.contains("7.1.4.3"), "{said:?}");
}
