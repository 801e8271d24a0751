//! Facts made by hand, around chains made by rcgen.

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

use super::super::facts::{AskedKey, AskedVersions, Endpoint, Facts, HostFacts, Shown, View};
use super::super::posture::{Posture, VersionPosture};
use crate::model::Phase;
use crate::probe::web::facts::{Failure, FailureKind};

/// The leaf is valid from 2026-05-01 to 2026-07-30; this lies between.
pub const GOOD: &str = "2026-06-01T00:00:00Z";
/// After its end.
pub const LATE: &str = "2026-08-02T00:00:00Z";

/// An instant.
pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn named(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

/// Leaf for these names, intermediate and root, DER.
pub fn chain(names: &[&str]) -> [Vec<u8>; 3] {
    let authority = |common: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(common);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.use_authority_key_identifier_extension = true;
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2035, 1, 1));
        params
    };
    let (root, intermediate) = (authority("Acme root"), authority("Acme issuing"));
    let [root_key, intermediate_key, leaf_key] = [(); 3].map(|()| KeyPair::generate().unwrap());
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut leaf = CertificateParams::new(names.clone()).unwrap();
    leaf.distinguished_name = named(&names[0]);
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    (leaf.not_before, leaf.not_after) = (date_time_ymd(2026, 5, 1), date_time_ymd(2026, 7, 30));
    let by_root = Issuer::from_params(&root, &root_key);
    let by_intermediate = Issuer::from_params(&intermediate, &intermediate_key);
    [
        leaf.signed_by(&leaf_key, &by_intermediate).unwrap().der().to_vec(),
        intermediate.signed_by(&intermediate_key, &by_root).unwrap().der().to_vec(),
        root.self_signed(&root_key).unwrap().der().to_vec(),
    ]
}

/// The usual handshake, in which these were sent.
pub fn view(facts: &mut Facts, sent: &[Vec<u8>]) -> View {
    let chain = sent.iter().map(|der| facts.keep(der.clone())).collect();
    let shown = Shown {
        chain,
        version: Some("TLSv1.3".into()),
        cipher: Some("TLS_AES_256_GCM_SHA384".into()),
        group: Some("X25519MLKEM768".into()),
        alpn: Some("h2".into()),
        ..Shown::default()
    };
    View {
        sni: true,
        key_type: AskedKey::Any,
        versions: AskedVersions::Both,
        shown: Some(shown),
        failure: None,
    }
}

/// A handshake that came to nothing.
pub fn failed(detail: &str) -> View {
    let kind = FailureKind::Refused;
    let failure = Failure { phase: Phase::Connect, kind, detail: detail.into(), address: None };
    View {
        sni: true,
        key_type: AskedKey::Any,
        versions: AskedVersions::Both,
        shown: None,
        failure: Some(failure),
    }
}

/// An address, by its last number.
pub fn endpoint(last: u8, views: Vec<View>) -> Endpoint {
    Endpoint { address: ([192, 0, 2, last], 443).into(), unmeasured: None, views, posture: None }
}

/// What a server with a past accepts.
pub fn posture() -> Posture {
    let version = |version: &str, accepted, suites: &[u16], groups: &[u16]| VersionPosture {
        version: version.into(),
        accepted,
        suites: suites.to_vec(),
        groups: groups.to_vec(),
        server_preference: None,
        primes: Vec::new(),
        signatures: Vec::new(),
        compression: None,
        secure_renegotiation: None,
        extended_master_secret: None,
        tickets: None,
    };
    Posture {
        at: at(GOOD),
        versions: vec![
            version("SSLv3", Some(false), &[], &[]),
            version("TLSv1.0", None, &[], &[]),
            version("TLSv1.1", Some(true), &[0xc013, 0x000a], &[0x0017]),
            version("TLSv1.2", Some(true), &[0xc02f, 0xc013, 0x009c], &[0x001d, 0x0017]),
            version("TLSv1.3", Some(true), &[0x1301, 0x1302], &[0x11ec, 0x001d]),
        ],
        fallback_scsv: None,
        incomplete: None,
    }
}

/// One host with these addresses; the root of the chain is trusted.
pub fn facts(make: impl FnOnce(&mut Facts, &[Vec<u8>; 3]) -> Vec<Endpoint>) -> Facts {
    let chain = chain(&["portal.example"]);
    let mut facts = Facts::default();
    facts.trusted = vec![facts.keep(chain[2].clone())];
    let endpoints = make(&mut facts, &chain);
    let host = HostFacts {
        host: "portal.example".into(),
        port: 443,
        server_name: Some("portal.example".into()),
        endpoints,
        ..HostFacts::default()
    };
    facts.hosts.push(host);
    facts
}
