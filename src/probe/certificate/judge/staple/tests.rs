//! Responses that `openssl ocsp` makes.

use std::process::Command;

use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer as Signer, KeyPair, SerialNumber, date_time_ymd,
};

use super::*;
use crate::formats::x509::sct;

/// An authority, what it issued, and its responder.
pub(in crate::probe::certificate) struct Desk {
    folder: tempfile::TempDir,
    pub authority: Certificate,
    pub leaf: Certificate,
}

fn named(common: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common);
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2049, 1, 1));
    params
}

/// What the responder is told of the leaf with the serial number 4217.
const VALID: &str = "V\t491231235959Z\t\t4217\tunknown\t/CN=x\n";
const REVOKED: &str = "R\t491231235959Z\t260501000000Z,keyCompromise\t4217\tunknown\t/CN=x\n";
const NOBODY: &str = "V\t491231235959Z\t\t01\tunknown\t/CN=x\n";

impl Desk {
    pub(in crate::probe::certificate) fn new(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let [key, leaf_key, own_key, strange_key] = [(); 4].map(|()| KeyPair::generate().unwrap());
        let mut authority = named("Acme issuing");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let signer = Signer::from_params(&authority, &key);
        let mut leaf = named("portal.example");
        leaf.subject_alt_names = vec![rcgen::SanType::DnsName("portal.example".try_into().unwrap())];
        leaf.serial_number = Some(SerialNumber::from_slice(&[0x42, 0x17]));
        change(&mut leaf);
        let leaf = leaf.signed_by(&leaf_key, &signer).unwrap();
        let mut other = named("other.example");
        other.serial_number = Some(SerialNumber::from_slice(&[0x01]));
        write("other.pem", &other.signed_by(&leaf_key, &signer).unwrap().pem());
        for (name, usage, until) in [
            ("responder", vec![ExtendedKeyUsagePurpose::OcspSigning], 2049),
            ("server", vec![ExtendedKeyUsagePurpose::ServerAuth], 2049),
            ("expired", vec![ExtendedKeyUsagePurpose::OcspSigning], 2021),
        ] {
            let mut params = named(name);
            params.extended_key_usages = usage;
            params.not_after = date_time_ymd(until, 1, 1);
            write(&format!("{name}.pem"), &params.signed_by(&own_key, &signer).unwrap().pem());
            write(&format!("{name}.key"), &own_key.serialize_pem());
        }
        // Of the same name as the authority, and with the right usage, but of another key.
        let mut stranger = authority.clone();
        stranger.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
        write("stranger.pem", &stranger.self_signed(&strange_key).unwrap().pem());
        write("stranger.key", &strange_key.serialize_pem());
        let mut self_made = named("responder");
        self_made.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
        write("selfmade.pem", &self_made.self_signed(&strange_key).unwrap().pem());
        write("selfmade.key", &strange_key.serialize_pem());
        let authority = authority.self_signed(&key).unwrap();
        write("ca.pem", &authority.pem());
        write("ca.key", &key.serialize_pem());
        write("leaf.pem", &leaf.pem());
        let read = |der: &[u8]| Certificate::parse(der).unwrap();
        Self { authority: read(authority.der()), leaf: read(leaf.der()), folder }
    }

    /// What a responder answers; `about` is the certificate's file.
    fn response(&self, index: &str, signer: &str, about: &str, options: &[&str]) -> Vec<u8> {
        std::fs::write(self.folder.path().join("index.txt"), index).unwrap();
        let (certificate, key) = (format!("{signer}.pem"), format!("{signer}.key"));
        let mut arguments = vec!["ocsp", "-index", "index.txt", "-CA", "ca.pem", "-noverify"];
        arguments.extend(["-rsigner", &certificate, "-rkey", &key, "-respout", "response.der"]);
        arguments.extend(options);
        arguments.extend(["-issuer", "ca.pem", "-cert", about]);
        let said = Command::new("openssl")
            .current_dir(&self.folder)
            .env("OPENSSL_CONF", "/dev/null")
            .args(&arguments)
            .output()
            .unwrap();
        assert!(said.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said.stderr));
        std::fs::read(self.folder.path().join("response.der")).unwrap()
    }

    /// A good staple for the leaf, and the moment it was made.
    pub(in crate::probe::certificate) fn staple(&self) -> (Vec<u8>, i64) {
        let staple = self.response(VALID, "ca", "leaf.pem", &["-ndays", "7"]);
        let made = made(&staple);
        (staple, made)
    }

    fn issuer(&self) -> Issuer<'_> {
        Issuer { spki: self.authority.spki(), certificate: Some(&self.authority) }
    }

    fn weighed(&self, staple: &[u8], after: i64) -> Opinion {
        weigh(staple, &self.leaf, &self.issuer(), made(staple) + after)
    }
}

/// When a response was made; 0 where it says nothing.
fn made(staple: &[u8]) -> i64 {
    match Response::parse(staple) {
        Ok(Response::Answered(basic)) => basic.singles[0].this_update.seconds.unwrap(),
        _ => 0,
    }
}

const WEEK: &[&str] = &["-ndays", "7"];
const DAY: i64 = 86_400;

#[track_caller]
fn bad(opinion: &Opinion) -> Trouble {
    match opinion {
        Opinion::Bad(trouble, _) => *trouble,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_good_staple_is_good_whoever_may_have_signed_it() {
    let desk = Desk::new(|_| {});
    for (signer, options) in [
        ("ca", &[][..]),
        ("ca", &["-resp_key_id"]),
        ("ca", &["-sha256"]),
        ("responder", &[]),
        ("responder", &["-resp_key_id"]),
    ] {
        let staple = desk.response(VALID, signer, "leaf.pem", &[WEEK, options].concat());
        assert_eq!(desk.weighed(&staple, 60), Opinion::Good, "{signer} {options:?}");
    }
}

#[test]
fn what_the_responder_says_of_the_certificate_is_told() {
    let desk = Desk::new(|_| {});
    let staple = desk.response(REVOKED, "ca", "leaf.pem", WEEK);
    let since = Some("2026-05-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap().as_second());
    let revoked = Opinion::Revoked { since, reason: Some(1) };
    assert_eq!(desk.weighed(&staple, 60), revoked);
    assert_eq!(desk.weighed(&staple, 30 * DAY), revoked, "old news of a revocation still hold");
    let staple = desk.response(NOBODY, "ca", "leaf.pem", WEEK);
    assert_eq!(desk.weighed(&staple, 60), Opinion::Unknown);
}

#[test]
fn a_staple_holds_from_its_beginning_to_its_end_and_no_longer() {
    let desk = Desk::new(|_| {});
    let staple = desk.response(VALID, "ca", "leaf.pem", WEEK);
    assert_eq!(desk.weighed(&staple, 7 * DAY), Opinion::Good);
    assert_eq!(bad(&desk.weighed(&staple, 7 * DAY + 1)), Trouble::Late);
    assert_eq!(desk.weighed(&staple, -SKEW), Opinion::Good);
    assert_eq!(bad(&desk.weighed(&staple, -SKEW - 1)), Trouble::Early);
    let endless = desk.response(VALID, "ca", "leaf.pem", &[]);
    assert_eq!(desk.weighed(&endless, DAY), Opinion::Good);
    assert_eq!(bad(&desk.weighed(&endless, DAY + 1)), Trouble::Late);
}

#[test]
fn a_staple_left_from_another_certificate_is_not_taken_for_this_ones() {
    let desk = Desk::new(|_| {});
    let staple = desk.response(NOBODY, "ca", "other.pem", WEEK);
    assert_eq!(bad(&desk.weighed(&staple, 60)), Trouble::Other);
    let elsewhere = Desk::new(|_| {});
    let staple = elsewhere.response(VALID, "ca", "leaf.pem", WEEK);
    assert_eq!(bad(&desk.weighed(&staple, 60)), Trouble::Other, "of an authority of the same name");
}

#[test]
fn a_responder_that_was_not_appointed_is_not_believed() {
    let desk = Desk::new(|_| {});
    for (signer, words) in [
        ("server", "not for signing OCSP responses"),
        ("expired", "outside its validity"),
        ("selfmade", "did not appoint"),
    ] {
        let opinion = desk.weighed(&desk.response(VALID, signer, "leaf.pem", WEEK), 60);
        assert_eq!(bad(&opinion), Trouble::Unauthorized, "{signer}");
        assert!(matches!(&opinion, Opinion::Bad(_, why) if why.contains(words)), "{opinion:?}");
    }
    // Without its certificate nobody knows who signed.
    let alone = desk.response(VALID, "responder", "leaf.pem", &[WEEK, &["-resp_no_certs"]].concat());
    assert_eq!(bad(&desk.weighed(&alone, 60)), Trouble::Unauthorized);
}

#[test]
fn a_forged_staple_is_not_believed() {
    let desk = Desk::new(|_| {});
    let by_name = desk.response(VALID, "stranger", "leaf.pem", WEEK);
    assert_eq!(bad(&desk.weighed(&by_name, 60)), Trouble::Signature);
    // Good in the place of revoked, under the old signature.
    let mut staple = desk.response(VALID, "ca", "leaf.pem", WEEK);
    let last = staple.windows(4).position(|window| window == [0x42, 0x17, 0x80, 0x00]).unwrap();
    staple[last + 2] = 0x82;
    assert_eq!(bad(&desk.weighed(&staple, 60)), Trouble::Signature);
}

#[test]
fn errors_of_the_responder_and_rubbish_are_told_apart() {
    let desk = Desk::new(|_| {});
    let refused = desk.weighed(&[0x30, 3, 0x0a, 1, 3], 0);
    assert_eq!(refused, Opinion::Bad(Trouble::Refused, "is an error of the responder: try later".into()));
    for rubbish in [&b""[..], b"\x30\x03\x0a\x01\x00", b"<html>"] {
        assert_eq!(bad(&desk.weighed(rubbish, 0)), Trouble::Malformed, "{rubbish:?}");
    }
}

#[test]
fn a_certificate_of_the_responder_is_read_with_the_response() {
    let desk = Desk::new(|change| {
        change.custom_extensions.push(CustomExtension::from_oid_content(&[1, 2, 3], vec![5, 0]));
    });
    let staple = desk.response(VALID, "responder", "leaf.pem", WEEK);
    let Response::Answered(basic) = Response::parse(&staple).unwrap() else { panic!("it is an error") };
    assert_eq!(basic.certificates.len(), 1);
    assert!(matches!(&basic.responder, Responder::Name(name) if name.to_string() == "CN=responder"));
    assert_eq!((basic.singles.len(), &basic.singles[0].timestamps), (1, &None));
    assert_eq!(*basic.singles[0].certificate.serial, [0x42, 0x17]);
    assert!(sct::wrapped_list(&[4, 2, 0, 0]).unwrap().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_mutation_of_a_staple_makes_the_reader_panic_or_is_believed(at: prop::sample::Index, byte: u8) {
        static MADE: std::sync::LazyLock<(Desk, Vec<u8>, i64)> = std::sync::LazyLock::new(|| {
            let desk = Desk::new(|_| {});
            let (staple, made) = desk.staple();
            (desk, staple, made)
        });
        let (desk, staple, made) = &*MADE;
        let Response::Answered(basic) = Response::parse(staple).unwrap() else { unreachable!() };
        let tbs = staple.windows(basic.tbs().len()).position(|window| window == basic.tbs()).unwrap();
        let at = at.index(staple.len());
        let mut changed = staple.clone();
        changed[at] = byte;
        let opinion = weigh(&changed, &desk.leaf, &desk.issuer(), made + 60);
        let signed = (tbs..tbs + basic.tbs().len()).contains(&at);
        prop_assert!(opinion != Opinion::Good || !signed || changed == *staple, "{at}");
        let _ = Response::parse(&staple[..at]);
    }
}
