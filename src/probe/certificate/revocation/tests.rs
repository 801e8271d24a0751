//! Lists made here, and what is left of them.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    CrlIssuingDistributionPoint, DistinguishedName, DnType, IsCa, Issuer as Signer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevocationReason, RevokedCertParams, SerialNumber, date_time_ymd,
};

use super::*;

struct Desk {
    authority: CertificateParams,
    key: KeyPair,
    own: Certificate,
    leaf: Certificate,
}

fn named(common: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common);
    params
}

impl Desk {
    fn new(usages: Vec<KeyUsagePurpose>) -> Self {
        let (key, leaf_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut authority = named("Acme issuing");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = usages;
        let mut leaf = named("portal.example");
        leaf.serial_number = Some(SerialNumber::from_slice(&[0x42, 0x17]));
        leaf.crl_distribution_points = vec![place("http://crl.test/1")];
        let leaf = leaf.signed_by(&leaf_key, &Signer::from_params(&authority, &key)).unwrap();
        let read = |der: &[u8]| Certificate::parse(der).unwrap();
        let own = read(authority.self_signed(&key).unwrap().der());
        Self { authority, key, own, leaf: read(leaf.der()) }
    }

    fn list(&self, change: impl FnOnce(&mut CertificateRevocationListParams)) -> Vec<u8> {
        let mut params = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 5, 1),
            next_update: date_time_ymd(2026, 5, 8),
            crl_number: SerialNumber::from(7),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        change(&mut params);
        let mut signer = self.authority.clone();
        signer.key_usages = vec![KeyUsagePurpose::CrlSign];
        params.signed_by(&Signer::from_params(&signer, &self.key)).unwrap().der().to_vec()
    }

    fn condensed(&self, list: &[u8]) -> Condensed {
        condense(list, &[&self.leaf], &[&self.own], &Anchors::default()).unwrap()
    }

    fn answer(&self, list: &[u8]) -> Answer {
        self.condensed(list).answers.remove(&self.leaf.sha256).unwrap()
    }
}

fn usual() -> Desk {
    Desk::new(vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign])
}

fn place(uri: &str) -> CrlDistributionPoint {
    CrlDistributionPoint { uris: vec![uri.to_owned()] }
}

fn entry(serial: &[u8]) -> RevokedCertParams {
    RevokedCertParams {
        serial_number: SerialNumber::from_slice(serial),
        revocation_time: date_time_ymd(2026, 4, 1),
        reason_code: Some(RevocationReason::KeyCompromise),
        invalidity_date: None,
    }
}

fn at(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_second()
}

#[test]
fn a_revoked_certificate_is_found_and_others_are_left_out() {
    let desk = usual();
    let others = || (0_u8..=200).map(|number| entry(&[0x10, number]));
    let list = desk.list(|list| list.revoked_certs = others().chain([entry(&[0x42, 0x17])]).collect());
    let condensed = desk.condensed(&list);
    let revoked = Answer::Revoked { since: Some(at("2026-04-01T00:00:00Z")), reason: Some(1) };
    assert_eq!(condensed.answers, BTreeMap::from([(desk.leaf.sha256.clone(), revoked)]));
    assert_eq!(condensed.this_update, Some(at("2026-05-01T00:00:00Z")));
    assert_eq!(condensed.next_update, Some(at("2026-05-08T00:00:00Z")));
    assert!(serde_json::to_string(&condensed).unwrap().len() < 300);
    let list = desk.list(|list| list.revoked_certs = others().collect());
    assert_eq!(desk.answer(&list), Answer::Good);
}

#[test]
fn a_list_in_pem_is_read_too_and_rubbish_is_an_error() {
    let desk = usual();
    let list = desk.list(|list| list.revoked_certs = vec![entry(&[0x42, 0x17])]);
    let body = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &list);
    let text = format!("\n-----BEGIN X509 CRL-----\n{body}\n-----END X509 CRL-----\n");
    assert_eq!(desk.condensed(text.as_bytes()), desk.condensed(&list));
    for rubbish in [&b""[..], b"<html>gone</html>", b"-----BEGIN X509 CRL-----\n!", &list[..list.len() - 1]] {
        assert!(condense(rubbish, &[&desk.leaf], &[&desk.own], &Anchors::default()).is_err());
    }
}

#[test]
fn a_list_that_breaks_a_rule_clears_nobody() {
    let desk = usual();
    let mut forged = desk.list(|_| {});
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(desk.answer(&forged), Answer::Invalid("its signature does not hold".into()));
    let desk = Desk::new(vec![KeyUsagePurpose::KeyCertSign]);
    let answer = desk.answer(&desk.list(|_| {}));
    assert_eq!(answer, Answer::Invalid("its signer's key usage lacks cRLSign".into()));
}

#[test]
fn a_list_of_someone_else_says_nothing() {
    let (desk, namesake) = (usual(), usual());
    let list = desk.list(|_| {});
    let unknown = Answer::Unsupported("the certificate of its signer is not known".into());
    for issuers in [&[][..], &[&namesake.own]] {
        let condensed = condense(&list, &[&desk.leaf], issuers, &Anchors::default()).unwrap();
        assert_eq!(condensed.answers[&desk.leaf.sha256], unknown);
    }
    let anchors = Anchors::of([desk.own.clone()]);
    let condensed = condense(&list, &[&desk.leaf], &[], &anchors).unwrap();
    assert_eq!(condensed.answers[&desk.leaf.sha256], Answer::Good);
}

#[test]
fn a_part_of_a_split_list_speaks_of_what_names_it_alone() {
    let desk = usual();
    for (uri, expected) in [
        ("http://crl.test/1", Answer::Good),
        ("http://crl.test/2", Answer::Unsupported("it is not about this certificate".into())),
    ] {
        let list = desk.list(|list| {
            list.issuing_distribution_point =
                Some(CrlIssuingDistributionPoint { distribution_point: place(uri), scope: None });
        });
        assert_eq!(desk.answer(&list), expected, "{uri}");
    }
}
