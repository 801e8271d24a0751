//! Each finding: a chain that makes it, made from one that makes none.

use std::process::Command;

use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CidrSubnet, CrlDistributionPoint,
    CrlIssuingDistributionPoint, CrlScope, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    NameConstraints, RevocationReason, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};

use super::*;
use crate::formats::x509::pem;

/// What a chain is made from: leaf, intermediate, root.
struct World {
    leaf: CertificateParams,
    intermediate: CertificateParams,
    root: CertificateParams,
    /// Changes the leaf's encoding after it was signed.
    patch: fn(Vec<u8>) -> Vec<u8>,
    /// Puts together what is sent after the leaf.
    sent: fn(&Made) -> Vec<Vec<u8>>,
    /// Puts together what is trusted.
    trusted: fn(&Made) -> Vec<Vec<u8>>,
    crls: fn(&Made) -> Vec<Vec<u8>>,
    at: &'static str,
    name: &'static str,
    max_depth: Option<usize>,
    purpose: Purpose,
}

struct Made {
    leaf: Vec<u8>,
    intermediate: Vec<u8>,
    root: Vec<u8>,
    stranger: Vec<u8>,
    /// The root's name and key, signed by the stranger.
    crossed: Vec<u8>,
    intermediate_params: CertificateParams,
    intermediate_key: KeyPair,
}

const SERIAL: &[u8] = &[0x42, 0x17];

fn named(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

fn authority(common: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(common);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2035, 1, 1);
    params
}

impl World {
    fn new() -> Self {
        let mut leaf = CertificateParams::new(vec!["portal.example.com".to_owned()]).unwrap();
        leaf.distinguished_name = named("portal.example.com");
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        leaf.serial_number = Some(SerialNumber::from_slice(SERIAL));
        leaf.not_before = date_time_ymd(2026, 5, 1);
        leaf.not_after = date_time_ymd(2026, 7, 30);
        let mut intermediate = authority("Acme issuing");
        intermediate.use_authority_key_identifier_extension = true;
        Self {
            leaf,
            intermediate,
            root: authority("Acme root"),
            patch: |der| der,
            sent: |made| vec![made.intermediate.clone()],
            trusted: |made| vec![made.root.clone()],
            crls: |_| Vec::new(),
            at: "2026-06-01T00:00:00Z",
            name: "portal.example.com",
            max_depth: None,
            purpose: Purpose::Server,
        }
    }

    fn make(self) -> (Self, Made) {
        let keys: Vec<KeyPair> = (0..4).map(|_| KeyPair::generate().unwrap()).collect();
        let [leaf_key, intermediate_key, root_key, strange_key] = keys.try_into().unwrap();
        let root = self.root.self_signed(&root_key).unwrap();
        let strange = authority("Stranger");
        let stranger = strange.self_signed(&strange_key).unwrap();
        let crossed = self.root.signed_by(&root_key, &Issuer::from_params(&strange, &strange_key)).unwrap();
        let by_root = Issuer::from_params(&self.root, &root_key);
        let intermediate = self.intermediate.signed_by(&intermediate_key, &by_root).unwrap();
        let by_intermediate = Issuer::from_params(&self.intermediate, &intermediate_key);
        let leaf = self.leaf.signed_by(&leaf_key, &by_intermediate).unwrap();
        let made = Made {
            leaf: (self.patch)(leaf.der().to_vec()),
            intermediate: intermediate.der().to_vec(),
            root: root.der().to_vec(),
            stranger: stranger.der().to_vec(),
            crossed: crossed.der().to_vec(),
            intermediate_params: self.intermediate.clone(),
            intermediate_key,
        };
        (self, made)
    }

    fn judged(self) -> Judged {
        let (world, made) = self.make();
        judged(&world, &made)
    }
}

fn judged(world: &World, made: &Made) -> Judged {
    let anchors = Anchors::of((world.trusted)(made).iter().map(|der| Certificate::parse(der).unwrap()));
    let crls: Vec<Crl> = (world.crls)(made).iter().map(|der| Crl::parse(der).unwrap()).collect();
    let name = (!world.name.is_empty()).then(|| Wanted::parse(world.name).unwrap());
    judge_encoded(&Question {
        leaf: &made.leaf,
        sent: &(world.sent)(made),
        anchors: &anchors,
        crls: &crls,
        purpose: world.purpose,
        name: name.as_ref(),
        at: world.at.parse::<jiff::Timestamp>().unwrap().as_second(),
        max_depth: world.max_depth,
    })
}

fn extension(oid: &[u64], critical: bool, content: &[u8]) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(oid, content.to_vec());
    extension.set_criticality(critical);
    extension
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn replace(mut der: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = der.windows(from.len()).position(|window| window == from).unwrap();
    der[at..at + to.len()].copy_from_slice(to);
    der
}

fn crl(made: &Made, change: impl FnOnce(&mut CertificateRevocationListParams)) -> Vec<u8> {
    let mut params = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 5, 25),
        next_update: date_time_ymd(2026, 6, 5),
        crl_number: SerialNumber::from(7),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    change(&mut params);
    let issuer = Issuer::from_params(&made.intermediate_params, &made.intermediate_key);
    params.signed_by(&issuer).unwrap().der().to_vec()
}

fn revoked(params: &mut CertificateRevocationListParams) {
    params.revoked_certs.push(RevokedCertParams {
        serial_number: SerialNumber::from_slice(SERIAL),
        revocation_time: date_time_ymd(2026, 5, 20),
        reason_code: Some(RevocationReason::KeyCompromise),
        invalidity_date: None,
    });
}

#[test]
fn a_chain_in_order_gives_no_finding() {
    let judged = World::new().judged();
    assert_eq!(judged.findings, []);
    assert!(judged.valid && judged.browser.accepts, "{:?}", judged.browser);
    assert_eq!((judged.trust, judged.name_matches), (Trust::Trusted, Some(true)));
    let roles: Vec<&str> = judged.chain.iter().map(|link| link.role).collect();
    assert_eq!(roles, ["leaf", "intermediate", "root"]);
    assert_eq!(judged.chain[0].days_left, Some(59));
}

type Change = fn(&mut World);

/// What one change to that chain must give.
struct Row {
    id: &'static str,
    subject: &'static str,
    /// Whether users are cut off.
    broken: bool,
    /// Whether a strict client still accepts it.
    valid: bool,
    change: Change,
}

const fn row(id: &'static str, subject: &'static str, [broken, valid]: [bool; 2], change: Change) -> Row {
    Row { id, subject, broken, valid, change }
}

const BROKEN: [bool; 2] = [true, false];
/// Browsers accept it, strict clients do not.
const STRICT: [bool; 2] = [false, false];
const NOTED: [bool; 2] = [false, true];
const NAME_CONSTRAINTS: &[u64] = &[2, 5, 29, 30];
const SAN: &[u64] = &[2, 5, 29, 17];
const BASIC: &[u64] = &[2, 5, 29, 19];
const AKI: &[u64] = &[2, 5, 29, 35];
const EKU: &[u64] = &[2, 5, 29, 37];
const AIA: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 1];
const SERVER_AUTH: &[u8] = b"\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01";
const CA_ISSUERS: &[u8] = b"\x30\x1d\x30\x1b\x06\x08\x2b\x06\x01\x05\x05\x07\x30\x02\x86\x0fhttp://a.test/c";

const ROWS: &[Row] = &[
    row("cert.expired", "leaf", BROKEN, |world| world.at = "2026-07-30T00:00:01Z"),
    row("cert.expired", "issuer 1", BROKEN, |world| {
        world.intermediate.not_after = date_time_ymd(2026, 5, 30)
    }),
    row("cert.root_expired", "issuer 2", STRICT, |world| world.root.not_after = date_time_ymd(2026, 5, 30)),
    row("cert.not_yet_valid", "leaf", BROKEN, |world| world.at = "2026-04-30T23:59:59Z"),
    row("cert.expiring", "leaf", NOTED, |world| world.at = "2026-07-20T00:00:00Z"),
    row("cert.expiring", "issuer 1", NOTED, |world| {
        world.intermediate.not_after = date_time_ymd(2026, 6, 20)
    }),
    row("cert.name", "leaf", BROKEN, |world| world.name = "other.example.com"),
    row("cert.name", "leaf", BROKEN, |world| world.name = "192.0.2.1"),
    row("cert.self_signed", "leaf", BROKEN, |world| {
        world.sent = |_| Vec::new();
        world.patch = |_| alone();
    }),
    row("cert.unknown_issuer", "issuer 1", BROKEN, |world| {
        world.trusted = |made| vec![made.stranger.clone()]
    }),
    row("cert.unknown_issuer", "issuer 2", BROKEN, |world| {
        world.trusted = |made| vec![made.stranger.clone()];
        world.sent = |made| vec![made.intermediate.clone(), made.root.clone()];
    }),
    row("cert.unknown_issuer", "leaf", BROKEN, |world| world.sent = |_| Vec::new()),
    row("cert.unknown_issuer", "issuer 1", BROKEN, |world| {
        world.trusted = |made| vec![made.stranger.clone()];
        world.intermediate.custom_extensions.push(extension(AIA, false, CA_ISSUERS));
    }),
    row("cert.incomplete", "leaf", BROKEN, |world| {
        world.sent = |_| Vec::new();
        world.leaf.custom_extensions.push(extension(AIA, false, CA_ISSUERS));
    }),
    row("cert.signature", "leaf", BROKEN, |world| {
        world.patch = |der| replace(der, b"portal.example.com", b"p0rtal.example.com");
    }),
    row("cert.unreadable", "leaf", BROKEN, |world| world.patch = |der| der[..200].to_vec()),
    row("cert.unreadable", "chain", NOTED, |world| {
        world.sent = |made| vec![made.intermediate.clone(), b"nonsense".to_vec()];
    }),
    row("cert.malformed", "issuer 1", STRICT, |world| {
        let permitted_subtrees = vec![GeneralSubtree::DnsName(".example.com".to_owned())];
        world.intermediate.name_constraints =
            Some(NameConstraints { permitted_subtrees, excluded_subtrees: vec![] });
    }),
    row("cert.malformed", "issuer 1", STRICT, |world| {
        world.intermediate.custom_extensions.push(extension(NAME_CONSTRAINTS, true, b"\x30\0"));
    }),
    row("cert.malformed", "issuer 1", STRICT, |world| {
        let holes = b"\x30\x0e\xa1\x0c\x30\x0a\x87\x08\xc0\0\x02\0\xff\0\xff\0";
        world.intermediate.custom_extensions.push(extension(NAME_CONSTRAINTS, true, holes));
    }),
    row("cert.name_constraints", "leaf", BROKEN, |world| {
        // Names of another form, such as those of Windows accounts, are excluded whatever they say.
        let excluded = b"\x30\x0f\xa1\x0d\x30\x0b\xa0\x09\x06\x03\x2a\x03\x04\xa0\x02\x0c\0";
        world.intermediate.custom_extensions.push(extension(NAME_CONSTRAINTS, true, excluded));
        world.leaf.subject_alt_names.push(SanType::OtherName((vec![1, 2, 3, 4], "x".to_owned().into())));
    }),
    row("cert.ca_as_leaf", "leaf", BROKEN, |world| {
        world.leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }),
    row("cert.not_a_ca", "issuer 1", BROKEN, |world| world.intermediate.is_ca = IsCa::ExplicitNoCa),
    row("cert.not_a_ca", "issuer 1", STRICT, |world| {
        world.intermediate.key_usages = vec![KeyUsagePurpose::CrlSign];
    }),
    row("cert.path_length", "issuer 2", STRICT, |world| {
        world.root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    }),
    row("cert.path_length", "chain", STRICT, |world| world.max_depth = Some(0)),
    row("cert.name_constraints", "leaf", BROKEN, |world| {
        let permitted_subtrees = vec![GeneralSubtree::DnsName("example.org".to_owned())];
        world.intermediate.name_constraints =
            Some(NameConstraints { permitted_subtrees, excluded_subtrees: vec![] });
    }),
    row("cert.name_constraints", "leaf", BROKEN, |world| {
        let excluded_subtrees =
            vec![GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([192, 0, 2, 0], 24))];
        world.leaf.subject_alt_names.push(SanType::IpAddress([192, 0, 2, 9].into()));
        world.root.name_constraints = Some(NameConstraints { permitted_subtrees: vec![], excluded_subtrees });
    }),
    row("cert.purpose", "leaf", BROKEN, |world| {
        world.leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    }),
    row("cert.purpose", "issuer 1", BROKEN, |world| {
        world.intermediate.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
    }),
    row("cert.purpose", "leaf", BROKEN, |world| {
        world.purpose = Purpose::Client;
        world.name = "";
    }),
    row("cert.critical_extension", "leaf", BROKEN, |world| {
        world.leaf.custom_extensions.push(extension(&[1, 3, 6, 1, 4, 1, 55738, 1], true, b"\x05\0"));
    }),
    row("cert.policy", "leaf", BROKEN, |world| {
        let explicit = extension(&[2, 5, 29, 36], true, b"\x30\x03\x80\x01\x00");
        world.intermediate.custom_extensions.push(explicit);
    }),
    row("cert.browser", "chain", NOTED, |world| {
        // Webpki does not know policy constraints, which are critical.
        world.intermediate.custom_extensions.push(extension(&[2, 5, 29, 36], true, b"\x30\x03\x80\x01\x7f"));
    }),
    row("cert.revoked", "leaf", BROKEN, |world| world.crls = |made| vec![crl(made, revoked)]),
    row("cert.crl_stale", "leaf", STRICT, |world| {
        world.crls = |made| vec![crl(made, |list| list.next_update = date_time_ymd(2026, 5, 31))];
    }),
    row("cert.crl_invalid", "leaf", STRICT, |world| {
        world.crls = |made| {
            let mut damaged = crl(made, |_| {});
            *damaged.last_mut().unwrap() ^= 1;
            vec![damaged]
        };
    }),
    row("cert.version", "leaf", BROKEN, |world| {
        world.patch = |der| replace(der, b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x01");
    }),
    row("cert.serial", "leaf", STRICT, |world| {
        world.leaf.serial_number = Some(SerialNumber::from_slice(&[0]))
    }),
    row("cert.serial", "leaf", STRICT, |world| {
        world.leaf.serial_number = Some(SerialNumber::from_slice(&[0x11; 21]));
    }),
    row("cert.subject", "issuer 1", STRICT, |world| {
        world.intermediate.distinguished_name = DistinguishedName::new();
    }),
    row("cert.validity", "leaf", BROKEN, |world| {
        world.patch = |der| replace(der, b"260501000000Z", b"260501000000?")
    }),
    row("cert.malformed", "leaf", STRICT, |world| {
        world.leaf.custom_extensions.push(extension(AIA, false, b"x"))
    }),
    row("cert.malformed", "leaf", BROKEN, |world| {
        world.leaf.custom_extensions.push(extension(SAN, false, b"\x30\x03\x82\x01a"));
    }),
    row("cert.criticality", "leaf", STRICT, |world| {
        world.leaf.extended_key_usages.clear();
        world.leaf.custom_extensions.push(extension(EKU, true, SERVER_AUTH));
    }),
    row("cert.browser", "chain", BROKEN, |world| {
        world.leaf.custom_extensions.push(extension(AIA, true, CA_ISSUERS));
    }),
    row("cert.criticality", "issuer 1", STRICT, |world| {
        world.intermediate.is_ca = IsCa::NoCa;
        world.intermediate.custom_extensions.push(extension(BASIC, false, b"\x30\x03\x01\x01\xff"));
    }),
    row("cert.authority_key", "leaf", STRICT, |world| {
        world.leaf.use_authority_key_identifier_extension = false
    }),
    row("cert.authority_key", "issuer 2", STRICT, |world| {
        world.root.custom_extensions.push(extension(AKI, false, b"\x30\x04\x80\x02ab"));
    }),
    row("cert.authority_key", "leaf", NOTED, |world| {
        world.leaf.use_authority_key_identifier_extension = false;
        world.leaf.custom_extensions.push(extension(AKI, false, b"\x30\x04\x80\x02ab"));
    }),
    row("cert.subject_key", "issuer 1", STRICT, |world| {
        world.intermediate.is_ca = IsCa::NoCa;
        world.intermediate.custom_extensions.push(extension(BASIC, true, b"\x30\x03\x01\x01\xff"));
    }),
    row("cert.alternative_names", "leaf", BROKEN, |world| world.leaf.subject_alt_names.clear()),
    row("cert.alternative_names", "leaf", STRICT, |world| {
        world.leaf.subject_alt_names.push(dns("a_b.example.com"))
    }),
    row("cert.alternative_names", "leaf", STRICT, |world| {
        world.leaf.subject_alt_names.push(dns("192.0.2.1"))
    }),
    row("cert.wildcard", "leaf", STRICT, |world| world.leaf.subject_alt_names.push(dns("*.co.uk"))),
    row("cert.wildcard", "leaf", STRICT, |world| {
        world.leaf.subject_alt_names.push(dns("*.s3.amazonaws.com"))
    }),
    row("cert.common_name", "leaf", STRICT, |world| {
        world.leaf.distinguished_name = named("portal.example.org")
    }),
    row("cert.common_name", "leaf", NOTED, |world| world.leaf.distinguished_name = named("example.com")),
    row("cert.usage", "leaf", STRICT, |world| world.leaf.extended_key_usages.clear()),
    row("cert.usage", "leaf", STRICT, |world| {
        world.leaf.extended_key_usages.push(ExtendedKeyUsagePurpose::Any);
    }),
    row("cert.usage", "leaf", STRICT, |world| world.leaf.key_usages.push(KeyUsagePurpose::KeyCertSign)),
    row("cert.usage", "leaf", NOTED, |world| world.leaf.key_usages = vec![KeyUsagePurpose::KeyAgreement]),
    row("cert.usage", "leaf", STRICT, |world| {
        world.leaf.custom_extensions.push(extension(
            NAME_CONSTRAINTS,
            true,
            b"\x30\x09\xa0\x07\x30\x05\x82\x03com",
        ));
    }),
    row("cert.usage", "issuer 2", STRICT, |world| {
        world.root.custom_extensions.push(extension(EKU, false, SERVER_AUTH));
    }),
    row("cert.order", "chain", NOTED, |world| {
        world.root.use_authority_key_identifier_extension = true;
        world.sent = |made| vec![made.crossed.clone(), made.intermediate.clone()];
        world.trusted = |made| vec![made.stranger.clone()];
    }),
    row("cert.duplicate", "chain", NOTED, |world| {
        world.sent = |made| vec![made.intermediate.clone(), made.intermediate.clone()];
    }),
    row("cert.duplicate", "chain", NOTED, |world| {
        world.sent = |made| vec![made.leaf.clone(), made.intermediate.clone()];
    }),
    row("cert.root_sent", "chain", NOTED, |world| {
        world.sent = |made| vec![made.intermediate.clone(), made.root.clone()];
    }),
    row("cert.root_sent", "chain", NOTED, |world| {
        world.sent = |made| vec![made.intermediate.clone(), made.stranger.clone()];
    }),
];

#[test]
fn each_change_to_a_good_chain_gives_its_finding() {
    let mut wrong = Vec::new();
    for (number, row) in ROWS.iter().enumerate() {
        let mut world = World::new();
        (row.change)(&mut world);
        let judged = world.judged();
        let found = judged.findings.iter().find(|finding| finding.key() == (row.id, row.subject));
        let as_expected = found.is_some_and(|finding| {
            let broken = judged.findings.iter().any(|finding| finding.broken);
            finding.measured && broken == row.broken && judged.valid == row.valid
        });
        if !as_expected {
            wrong.push(format!(
                "row {number}, {} [{}]: valid {}, {:?}, {:#?}",
                row.id, row.subject, judged.valid, judged.browser, judged.findings
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn independent_faults_are_all_told_at_once() {
    let mut world = World::new();
    world.at = "2027-01-01T00:00:00Z";
    world.name = "other.example.com";
    world.trusted = |made| vec![made.stranger.clone()];
    let judged = world.judged();
    let ids: Vec<&str> = judged.findings.iter().map(|finding| finding.id.as_str()).collect();
    for id in ["cert.expired", "cert.name", "cert.unknown_issuer"] {
        assert!(ids.contains(&id), "{id}: {ids:?}");
    }
}

#[test]
fn a_list_of_a_form_that_is_not_judged_says_nothing() {
    let (world, made) = World::new().make();
    let mut list = Crl::parse(&crl(&made, revoked)).unwrap();
    list.unsupported = Some("it is a delta");
    let leaf = Certificate::parse(&made.leaf).unwrap();
    let sent = [Certificate::parse(&made.intermediate).unwrap()];
    let anchors = Anchors::of([Certificate::parse(&made.root).unwrap()]);
    let at = world.at.parse::<jiff::Timestamp>().unwrap().as_second();
    let question = Question {
        leaf: &leaf,
        sent: &sent,
        anchors: &anchors,
        crls: &[list],
        purpose: Purpose::Server,
        name: None,
        at,
        max_depth: None,
    };
    let judged = judge(&question);
    let [finding] = judged.findings.as_slice() else { panic!("{:?}", judged.findings) };
    assert_eq!((finding.id.as_str(), finding.measured, judged.valid), ("cert.crl_unsupported", false, true));
}

#[test]
fn a_good_list_clears_what_a_bad_one_leaves_open() {
    let mut world = World::new();
    world.crls = |made| {
        let stale = crl(made, |list| list.next_update = date_time_ymd(2026, 5, 31));
        vec![stale, crl(made, |_| {})]
    };
    assert_eq!(world.judged().findings, []);
}

#[test]
fn an_expired_root_that_is_not_needed_is_no_matter() {
    let mut world = World::new();
    world.sent = |made| vec![made.intermediate.clone(), expired_root()];
    let judged = world.judged();
    assert!(judged.valid);
    assert!(!judged.findings.iter().any(Finding::alerts), "{:?}", judged.findings);
}

fn expired_root() -> Vec<u8> {
    let mut params = authority("Old root");
    params.not_after = date_time_ymd(2021, 9, 30);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

/// A certificate for the portal that signs itself.
fn alone() -> Vec<u8> {
    let mut params = World::new().leaf;
    params.use_authority_key_identifier_extension = false;
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

#[test]
fn a_self_signed_certificate_that_is_trusted_is_fine() {
    let der = alone();
    let (world, mut made) = World::new().make();
    made.leaf = der.clone();
    made.root = der;
    let judged = judged(&World { sent: |_| Vec::new(), ..world }, &made);
    assert_eq!(judged.trust, Trust::Trusted);
    assert!(!judged.findings.iter().any(|finding| finding.broken), "{:?}", judged.findings);
    assert_eq!(judged.chain.len(), 1);
}

#[test]
fn mozillas_store_is_read_whole() {
    let anchors = Anchors::mozilla().unwrap();
    assert_eq!(anchors.iter().count(), webpki_roots::TLS_SERVER_ROOTS.len());
    assert!(anchors.iter().all(|anchor| anchor.public && !anchor.name.is_empty()));
    let (world, made) = World::new().make();
    let leaf = Certificate::parse(&made.leaf).unwrap();
    let at = world.at.parse::<jiff::Timestamp>().unwrap().as_second();
    let sent = [Certificate::parse(&made.intermediate).unwrap()];
    let (purpose, name, max_depth) = (Purpose::Server, None, None);
    let judged = judge(&Question {
        leaf: &leaf,
        sent: &sent,
        anchors: &anchors,
        crls: &[],
        purpose,
        name,
        at,
        max_depth,
    });
    assert_eq!(judged.trust, Trust::UnknownIssuer);
}

/// A leaf and its root as openssl makes them, for keys and hashes that nothing else makes.
fn by_openssl(key: &[&str], digest: &str) -> Judged {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let said = Command::new("openssl").current_dir(&folder).args(arguments).output().unwrap();
        assert!(said.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said.stderr));
    };
    std::fs::write(
        folder.path().join("leaf.cnf"),
        "subjectAltName=DNS:portal.example.com\nextendedKeyUsage=serverAuth\nauthorityKeyIdentifier=keyid\n",
    )
    .unwrap();
    let root = "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=root -days 3650 -addext keyUsage=critical,keyCertSign";
    run(&root.split(' ').collect::<Vec<_>>());
    run(&[&["genpkey", "-out", "leaf.key"], key].concat());
    run(&"req -new -key leaf.key -out leaf.csr -subj /CN=portal.example.com".split(' ').collect::<Vec<_>>());
    let sign = "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -out leaf.pem -days 90 -extfile leaf.cnf";
    run(&[&sign.split(' ').collect::<Vec<_>>()[..], &[digest]].concat());
    let der = |name: &str| {
        pem::blocks(&std::fs::read_to_string(folder.path().join(name)).unwrap()).unwrap().remove(0).bytes
    };
    let anchors = Anchors::of([Certificate::parse(&der("ca.pem")).unwrap()]);
    let leaf = Certificate::parse(&der("leaf.pem")).unwrap();
    let name = Wanted::parse("portal.example.com").unwrap();
    judge(&Question {
        at: leaf.not_before.seconds.unwrap(),
        leaf: &leaf,
        sent: &[],
        anchors: &anchors,
        crls: &[],
        purpose: Purpose::Server,
        name: Some(&name),
        max_depth: None,
    })
}

#[test]
fn old_keys_and_hashes_are_told_by_name() {
    let curve = |name: &str| format!("ec_paramgen_curve:{name}");
    let rsa = |bits: &str| format!("rsa_keygen_bits:{bits}");
    for (key, digest, expected, valid) in [
        (["-algorithm", "RSA", "-pkeyopt", &rsa("2048")], "-sha256", "cert.key_short", true),
        (["-algorithm", "RSA", "-pkeyopt", &rsa("2048")], "-sha1", "cert.signature_weak", false),
        (["-algorithm", "RSA", "-pkeyopt", &rsa("2048")], "-sha224", "cert.signature_unsupported", false),
        (["-algorithm", "RSA", "-pkeyopt", &rsa("1024")], "-sha256", "cert.key_weak", false),
        (["-algorithm", "RSA", "-pkeyopt", &rsa("2052")], "-sha256", "cert.key_weak", false),
        (["-algorithm", "EC", "-pkeyopt", &curve("prime192v1")], "-sha256", "cert.key_weak", false),
        (["-algorithm", "EC", "-pkeyopt", &curve("secp256k1")], "-sha256", "cert.key_weak", false),
    ] {
        let judged = by_openssl(&key, digest);
        let ids: Vec<&str> = judged.findings.iter().map(|finding| finding.id.as_str()).collect();
        assert!(ids.contains(&expected) && judged.valid == valid, "{key:?} {digest}: {ids:?}");
    }
    let fine = by_openssl(&["-algorithm", "EC", "-pkeyopt", &curve("secp521r1")], "-sha384");
    assert_eq!(fine.chain[0].certificate.key.bits, Some(521));
    assert!(fine.valid && fine.findings.is_empty(), "{:?}", fine.findings);
}

/// Lints that apply below roots of Mozilla's store alone, with a root that is taken for one.
fn public_lints(world: World, public: bool) -> Vec<&'static str> {
    let (_, made) = world.make();
    let [leaf, intermediate, root] =
        [&made.leaf, &made.intermediate, &made.root].map(|der| Certificate::parse(der).unwrap());
    let (name, spki) = (root.subject.clone(), root.spki().into());
    let anchor = Anchor { name, spki, certificate: Some(root), constraints: None, public };
    let path =
        Path { certificates: vec![&leaf, &intermediate], signatures: Vec::new(), anchor: Some(&anchor) };
    lint::faults(&path, Purpose::Server).iter().map(|fault| fault.doc.id).collect()
}

#[test]
fn rules_of_public_authorities_do_not_bind_private_ones() {
    let changes: [(&str, Change); 4] = [
        ("cert.lifetime", |world| world.leaf.not_before = date_time_ymd(2026, 1, 1)),
        ("cert.internal_name", |world| world.leaf.subject_alt_names.push(dns("portal.internal"))),
        ("cert.internal_name", |world| {
            world.leaf.subject_alt_names.push(SanType::IpAddress([192, 168, 0, 1].into()));
        }),
        ("cert.client_auth", |world| {
            world.leaf.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        }),
    ];
    for (id, change) in changes {
        for public in [true, false] {
            let mut world = World::new();
            change(&mut world);
            if id == "cert.lifetime" {
                world.leaf.not_after = date_time_ymd(2027, 3, 1);
            }
            let expected: &[&str] = if public { &[id] } else { &[] };
            assert_eq!(public_lints(world, public), expected, "{id}, public {public}");
        }
    }
}

#[test]
fn a_chain_made_to_keep_us_busy_is_given_up() {
    let key = KeyPair::generate().unwrap();
    let params = authority("Maze");
    let by_itself = Issuer::from_params(&params, &key);
    let maze: Vec<Vec<u8>> = (0..40)
        .map(|number| {
            let mut params = authority("Maze");
            params.serial_number = Some(SerialNumber::from(number));
            params.signed_by(&key, &by_itself).unwrap().der().to_vec()
        })
        .collect();
    let mut leaf = World::new().leaf;
    leaf.use_authority_key_identifier_extension = true;
    let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &by_itself).unwrap().der().to_vec();
    let anchors = Anchors::of([Certificate::parse(&expired_root()).unwrap()]);
    let at = date_time_ymd(2026, 6, 1).unix_timestamp();
    let (purpose, name, max_depth) = (Purpose::Server, None, None);
    let judged = judge_encoded(&Question {
        leaf: &leaf,
        sent: &maze,
        anchors: &anchors,
        crls: &[],
        purpose,
        name,
        at,
        max_depth,
    });
    assert_eq!((judged.trust, judged.valid), (Trust::TooComplex, false));
}

/// Policies as the content of their extension, by the last number of identifiers of ours.
fn policies(numbers: &[u8]) -> CustomExtension {
    let of = |number: &u8| match number {
        0 => vec![0x30, 6, 0x06, 4, 0x55, 0x1d, 0x20, 0],
        number => vec![0x30, 5, 0x06, 3, 0x2a, 3, *number],
    };
    let content: Vec<u8> = numbers.iter().flat_map(of).collect();
    extension(&[2, 5, 29, 32], false, &crate::formats::x509::sequence(&content))
}

#[test]
fn a_policy_that_is_asked_for_must_be_valid_all_the_way_down() {
    const ANY: u8 = 0;
    const EXPLICIT: &[u8] = b"\x30\x03\x80\x01\x00";
    const MAPPING: &[u8] = b"\x30\x0c\x30\x0a\x06\x03\x2a\x03\x01\x06\x03\x2a\x03\x02";
    let judged = |above: &[u8], below: &[u8], more: Option<CustomExtension>| {
        let mut world = World::new();
        let constraints = extension(&[2, 5, 29, 36], true, EXPLICIT);
        world.intermediate.custom_extensions = vec![policies(above), constraints];
        world.intermediate.custom_extensions.extend(more);
        world.leaf.custom_extensions = vec![policies(below)];
        let judged = world.judged();
        !judged.findings.iter().any(|finding| finding.id.as_str() == "cert.policy")
    };
    let mapping = || Some(extension(&[2, 5, 29, 33], true, MAPPING));
    let inhibit = || Some(extension(&[2, 5, 29, 54], true, b"\x02\x01\x00"));
    assert!(judged(&[1], &[1, 2], None));
    assert!(!judged(&[1], &[2], None));
    assert!(judged(&[ANY], &[2], None));
    assert!(judged(&[1], &[ANY], None));
    assert!(!judged(&[1], &[ANY], inhibit()));
    assert!(judged(&[1], &[2], mapping()));
    assert!(!judged(&[1], &[1], mapping()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_mutation_of_a_chain_makes_the_judge_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        which in 0..3_usize,
    ) {
        static MADE: std::sync::OnceLock<[Vec<u8>; 3]> = std::sync::OnceLock::new();
        let mut chain = MADE
            .get_or_init(|| {
                let (_, made) = World::new().make();
                [made.leaf, made.intermediate, made.root]
            })
            .clone();
        for (at, byte) in changes {
            let at = at.index(chain[which].len());
            chain[which][at] = byte;
        }
        let [leaf, intermediate, root] = chain;
        let anchors = Anchors::of(Certificate::parse(&root));
        let name = Wanted::parse("portal.example.com").unwrap();
        let at = date_time_ymd(2026, 6, 1).unix_timestamp();
        let (purpose, max_depth) = (Purpose::Server, None);
        let sent = [intermediate, root];
        let question =
            Question { leaf: &leaf, sent: &sent, anchors: &anchors, crls: &[], purpose, name: Some(&name), at, max_depth };
        let judged = judge_encoded(&question);
        serde_json::to_string(&judged).unwrap();
        // A certificate below the root that was changed is no longer what was signed.
        prop_assert!(which == 2 || !judged.valid || [&leaf, &sent[0]] == [&MADE.get().unwrap()[0], &MADE.get().unwrap()[1]]);
    }
}

#[test]
fn a_part_of_a_split_list_speaks_of_what_names_it_alone() {
    let places = |uri: &str| CrlDistributionPoint { uris: vec![uri.to_owned()] };
    for (own, covered) in [("http://crl.test/1", true), ("http://crl.test/2", false)] {
        let mut world = World::new();
        world.leaf.crl_distribution_points = vec![places(own)];
        world.crls = |made| {
            let part = CrlDistributionPoint { uris: vec!["http://crl.test/1".to_owned()] };
            vec![crl(made, |list| {
                revoked(list);
                let scope = Some(CrlScope::UserCertsOnly);
                list.issuing_distribution_point =
                    Some(CrlIssuingDistributionPoint { distribution_point: part, scope });
            })]
        };
        let judged = world.judged();
        let told = judged.findings.iter().any(|finding| finding.id.as_str() == "cert.revoked");
        assert_eq!(told, covered, "{own}: {:?}", judged.findings);
    }
}
