//! Logs made here, which sign certificates made here.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use rcgen::{CertificateParams, CustomExtension, Issuer, KeyPair, SerialNumber, date_time_ymd};

use super::*;
use crate::formats::x509::sequence;

/// A log that signs whatever it is given.
pub(in crate::probe::certificate) struct TestLog {
    key: EcdsaKeyPair,
    log: Log,
}

impl TestLog {
    pub(in crate::probe::certificate) fn new(operator: &str, name: &str) -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let point = key.public_key().as_ref().to_vec();
        let log = Log { operator: operator.to_owned(), name: name.to_owned(), until_ms: None, point };
        Self { key, log }
    }

    pub(in crate::probe::certificate) fn stamp(&self, entry: Entry<'_>, timestamp_ms: u64) -> Stamp {
        let mut stamp = Stamp {
            log: self.log.id(),
            timestamp_ms,
            extensions: b"\0\0\x05".as_slice().into(),
            algorithm: [4, 3],
            signature: Box::default(),
        };
        let signature = self.key.sign(&SystemRandom::new(), &stamp.signed(entry)).unwrap();
        stamp.signature = signature.as_ref().into();
        stamp
    }
}

/// Knows these logs.
pub(in crate::probe::certificate) fn known<'l>(logs: impl IntoIterator<Item = &'l TestLog>) -> Logs {
    Logs(logs.into_iter().map(|log| (log.log.id(), log.log.clone())).collect())
}

/// A list as TLS carries it.
pub(in crate::probe::certificate) fn encoded(stamps: &[Stamp]) -> Vec<u8> {
    let sized = |bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
        [&length, bytes].concat()
    };
    let items = stamps.iter().map(|stamp| {
        let time = stamp.timestamp_ms.to_be_bytes();
        let (extensions, signature) = (sized(&stamp.extensions), sized(&stamp.signature));
        sized(&[&[0][..], &stamp.log, &time, &extensions, &stamp.algorithm, &signature].concat())
    });
    sized(&items.collect::<Vec<_>>().concat())
}

const AT: i64 = 1_780_300_000;
const STAMPED_MS: u64 = 1_777_600_000_000;

struct Scene {
    logs: Vec<TestLog>,
    /// How many of the logs are known.
    known: usize,
    /// Which of them sign what becomes the certificate.
    inside: Vec<usize>,
    /// Which of them sign the certificate itself.
    beside: Vec<usize>,
    stamped_ms: u64,
    days: i64,
    /// The issuer's key is taken for another one.
    other_issuer: bool,
}

impl Scene {
    fn new(inside: &[usize]) -> Self {
        let logs = [("Acme", "1"), ("Acme", "2"), ("Beta", "1"), ("Gamma", "1")];
        Self {
            logs: logs.map(|(operator, name)| TestLog::new(operator, name)).into(),
            known: 4,
            inside: inside.to_vec(),
            beside: Vec::new(),
            stamped_ms: STAMPED_MS,
            days: 90,
            other_issuer: false,
        }
    }

    fn judged(&self) -> Opinion {
        let (key, issuer_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let authority = CertificateParams::default();
        let issuer = Issuer::from_params(&authority, &issuer_key);
        let mut params = CertificateParams::new(vec!["portal.example".to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from(7));
        params.not_before = date_time_ymd(2026, 5, 1);
        params.not_after =
            params.not_before + std::time::Duration::from_secs(86_400 * self.days.unsigned_abs());
        let made = |params: &CertificateParams| {
            Certificate::parse(params.signed_by(&key, &issuer).unwrap().der()).unwrap()
        };
        let issuer_spki =
            Certificate::parse(authority.clone().self_signed(&issuer_key).unwrap().der()).unwrap();
        let precertificate = made(&params);
        let entry = Entry::Precertificate { issuer: sha256(issuer_spki.spki()), tbs: precertificate.tbs() };
        let signed = |numbers: &[usize], entry| -> Vec<Stamp> {
            numbers.iter().map(|number| self.logs[*number].stamp(entry, self.stamped_ms)).collect()
        };
        let inside = signed(&self.inside, entry);
        if !inside.is_empty() {
            // An OCTET STRING is written as a SEQUENCE is, but for its tag.
            let mut content = sequence(&encoded(&inside));
            content[0] = 4;
            let oid = [1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];
            params.custom_extensions.push(CustomExtension::from_oid_content(&oid, content));
        }
        let leaf = made(&params);
        let beside = signed(&self.beside, Entry::Certificate(leaf.der()));
        let other = leaf.spki();
        judge(&Question {
            logs: &known(self.logs.iter().take(self.known)),
            leaf: &leaf,
            issuer_spki: if self.other_issuer { other } else { issuer_spki.spki() },
            beside: &beside,
            at: AT,
        })
        .unwrap()
    }
}

#[test]
fn every_built_in_log_can_be_read_and_is_found_by_its_id() {
    let logs = &Logs::known().0;
    assert_eq!(logs.len(), include_str!("logs.tsv").lines().count());
    let id = STANDARD.decode("1219ENGn9XfCx+lf1wC/+YLJM1pl4dCzAXMXwMjFaXc=").unwrap();
    let log = &logs[&<[u8; 32]>::try_from(id).unwrap()];
    assert_eq!((log.operator.as_str(), log.name.as_str()), ("Google", "Argon2026h2"));
    assert_eq!(logs.values().filter(|log| log.until_ms.is_some()).count(), 1);
}

#[test]
fn two_timestamps_of_two_operators_are_enough_wherever_they_are() {
    let inside = Scene::new(&[0, 2]).judged();
    assert_eq!((inside.enough, inside.bad.len()), (Some(true), 0));
    assert_eq!(inside.good.into_iter().collect::<Vec<_>>(), ["Acme 1", "Beta 1"]);
    let beside = Scene { beside: vec![0, 2], ..Scene::new(&[]) }.judged();
    assert_eq!((beside.enough, beside.bad.len()), (Some(true), 0));
}

#[test]
fn one_operator_or_one_log_twice_is_not_enough() {
    for inside in [&[][..], &[0], &[0, 1], &[0, 0]] {
        assert_eq!(Scene::new(inside).judged().enough, Some(false), "{inside:?}");
    }
    assert_eq!(Scene { beside: vec![2], ..Scene::new(&[0]) }.judged().enough, Some(false));
}

#[test]
fn a_certificate_that_lives_longer_needs_a_third() {
    for (days, inside, enough) in [(180, &[0, 2][..], true), (181, &[0, 2], false), (181, &[0, 1, 2], true)] {
        let opinion = Scene { days, ..Scene::new(inside) }.judged();
        assert_eq!(opinion.enough, Some(enough), "{days} {inside:?}");
    }
}

#[test]
fn a_signature_over_something_else_does_not_count() {
    let opinion = Scene { other_issuer: true, ..Scene::new(&[0, 2]) }.judged();
    assert_eq!(opinion.enough, Some(false));
    assert_eq!(
        opinion.bad,
        [
            ("Acme 1".to_owned(), "its signature does not hold"),
            ("Beta 1".to_owned(), "its signature does not hold"),
        ]
    );
}

#[test]
fn a_log_that_this_version_does_not_know_is_no_alarm() {
    let opinion = Scene { known: 1, ..Scene::new(&[0, 2]) }.judged();
    assert_eq!((opinion.enough, opinion.unknown), (None, 1));
    let too_few = Scene { known: 0, ..Scene::new(&[2]) }.judged();
    assert_eq!((too_few.enough, too_few.unknown), (Some(false), 1));
}

#[test]
fn a_timestamp_of_the_future_or_of_a_log_past_its_end_does_not_count() {
    let latest = 1_000 * (AT + SKEW).unsigned_abs();
    assert_eq!(Scene { stamped_ms: latest, ..Scene::new(&[0, 2]) }.judged().enough, Some(true));
    for stamped_ms in [latest + 1, u64::MAX] {
        let future = Scene { stamped_ms, ..Scene::new(&[0, 2]) }.judged();
        assert_eq!((future.enough, future.bad[0].1), (Some(false), "it is of the future"));
    }
    for (until, enough) in [(STAMPED_MS, false), (STAMPED_MS + 1, true)] {
        let mut scene = Scene::new(&[0, 2]);
        scene.logs[2].log.until_ms = Some(until);
        assert_eq!(scene.judged().enough, Some(enough), "{until}");
    }
}
