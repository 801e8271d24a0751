//! Certificates and runs for tests: an authority, leaves of it, and a story of runs that remember.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SerialNumber, date_time_ymd,
};

use super::Case;
use crate::formats::x509::Certificate;
use crate::model::Finding;
use crate::model::Phase;
use crate::probe::certificate::facts::{AskedKey, AskedVersions, Endpoint, Facts, HostFacts, Shown, View};
use crate::probe::certificate::judge::Anchors;
use crate::probe::certificate::memory::Memory;
use crate::probe::certificate::spec::Spec;
use crate::probe::web::facts::{Failure, FailureKind};

pub const NAME: &str = "portal.example.com";
pub const DAY: i64 = 86_400;

/// An authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub der: Vec<u8>,
}

impl Authority {
    pub fn new(organisation: &str, common: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, organisation);
        params.distinguished_name.push(DnType::CommonName, common);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2039, 1, 1);
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { issuer: Issuer::new(params, key), der }
    }

    /// A leaf for [`NAME`], valid from an instant for so many seconds.
    pub fn leaf(&self, key: &KeyPair, from: i64, lifetime: i64) -> Vec<u8> {
        let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, NAME);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        // Positive, and another for each leaf.
        let seed = aws_lc_rs::digest::digest(
            &aws_lc_rs::digest::SHA256,
            &[&from.to_be_bytes(), key.public_key_raw()].concat(),
        );
        let mut serial = seed.as_ref()[..12].to_vec();
        serial[0] = serial[0] & 0x7f | 0x40;
        params.serial_number = Some(SerialNumber::from(serial));
        let at = |seconds: i64| date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds.unsigned_abs());
        params.not_before = at(from);
        params.not_after = at(from + lifetime - 1);
        params.signed_by(key, &self.issuer).unwrap().der().to_vec()
    }
}

pub fn key() -> KeyPair {
    KeyPair::generate().unwrap()
}

pub fn at(day: &str) -> Timestamp {
    format!("{day}T12:00:00Z").parse().unwrap()
}

pub fn address(last: u8) -> SocketAddr {
    ([192, 0, 2, last], 443).into()
}

/// What an address does in a run.
#[derive(Clone)]
pub enum Does {
    /// It shows these leaves, one in each handshake.
    Shows(Vec<Vec<u8>>),
    /// It does not answer.
    Fails,
    /// Our side could not ask it.
    Unmeasured,
}

pub fn shows(leaf: &[u8]) -> Does {
    Does::Shows(vec![leaf.to_vec()])
}

/// Runs of one check, one after the other.
pub struct Story {
    pub spec: Spec,
    pub memory: Memory,
    pub anchors: Anchors,
    /// Added to the facts of each run.
    pub ct: Vec<crate::probe::certificate::ct::Watched>,
}

impl Story {
    pub fn new(authorities: &[&Authority]) -> Self {
        let anchors = Anchors::of(authorities.iter().map(|one| Certificate::parse(&one.der).unwrap()));
        Self { spec: Spec::default(), memory: Memory::default(), anchors, ct: Vec::new() }
    }

    pub fn facts(&self, addresses: &[(u8, Does)]) -> Facts {
        let mut facts = Facts { ct: self.ct.clone(), ..Facts::default() };
        let mut host = HostFacts {
            host: NAME.into(),
            port: 443,
            server_name: Some(NAME.into()),
            ..HostFacts::default()
        };
        for (last, does) in addresses {
            host.endpoints.push(endpoint(&mut facts, *last, does));
        }
        facts.hosts.push(host);
        facts
    }

    /// One run: what it finds. The memory goes through its written form, as between two starts.
    pub fn run(&mut self, now: Timestamp, addresses: &[(u8, Does)]) -> Vec<Finding> {
        let facts = self.facts(addresses);
        self.judge(now, &facts)
    }

    pub fn judge(&mut self, now: Timestamp, facts: &Facts) -> Vec<Finding> {
        let case = Case::new(&self.spec, facts, &self.memory, now, &self.anchors);
        let findings = super::findings(&case);
        let memory = super::remember(&case);
        let written = serde_json::to_string(&memory).unwrap();
        self.memory = serde_json::from_str(&written).unwrap();
        assert_eq!(self.memory, memory);
        findings
    }
}

fn endpoint(facts: &mut Facts, last: u8, does: &Does) -> Endpoint {
    let mut endpoint =
        Endpoint { address: address(last), unmeasured: None, views: Vec::new(), posture: None };
    match does {
        Does::Shows(leaves) => {
            for leaf in leaves {
                let chain = vec![facts.keep(leaf.clone())];
                endpoint.views.push(view(Some(Shown { chain, ..Shown::default() })));
            }
        }
        Does::Fails => endpoint.views.push(view(None)),
        Does::Unmeasured => {
            endpoint.unmeasured = Some(crate::probe::web::facts::Skipped {
                cause: crate::model::Cause::LocalNetwork,
                why: "no route".into(),
                no_route: true,
            });
        }
    }
    endpoint
}

fn view(shown: Option<Shown>) -> View {
    let failure = shown.is_none().then(|| Failure {
        phase: Phase::Connect,
        kind: FailureKind::Refused,
        detail: String::new(),
        address: None,
    });
    View { sni: true, key_type: AskedKey::Any, versions: AskedVersions::Both, shown, failure }
}

/// The ids of the findings that alert.
pub fn alerting(findings: &[Finding]) -> Vec<&str> {
    findings.iter().filter(|finding| finding.alerts()).map(|finding| finding.id.as_str()).collect()
}

/// The finding of an id.
pub fn found<'f>(findings: &'f [Finding], id: &str) -> Option<&'f Finding> {
    findings.iter().find(|finding| finding.id.as_str() == id)
}
