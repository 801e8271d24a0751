//! What was seen. Certificates are kept once each, by the SHA-256 of their encoding, since many
//! addresses and handshakes show the same; what reads them is in [`Facts::parsed`].

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::formats::x509::{Certificate, Malformed};
use crate::probe::web::facts::{Failure, Skipped};

/// What a run saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// One entry for each host, in the order of the settings.
    pub hosts: Vec<HostFacts>,
    /// Every certificate seen, sent or fetched or trusted by `ca_file`: DER by its SHA-256 in hex.
    pub certificates: BTreeMap<String, Der>,
    /// The certificates of `ca_file`, trusted beside the usual roots: keys of `certificates`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trusted: Vec<String>,
    /// Those of the system's roots whose name is the issuer of a certificate that was shown: keys of
    /// `certificates`. `None` where the system has no store of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Vec<String>>,
    /// Issuers' certificates fetched from where leaves say (RFC 5280 section 4.2.2.1), by URL.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub issuers: BTreeMap<String, FetchedIssuer>,
    /// What revocation lists say, by URL.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub crls: BTreeMap<String, FetchedCrl>,
    /// What public logs hold of the hosts' domains that were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ct: Vec<super::ct::Watched>,
}

/// Bytes, in base64 where they are written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Der(pub Vec<u8>);

impl Der {
    /// The certificate, if it can be read.
    pub fn read(&self) -> Option<Certificate> {
        Certificate::parse(&self.0).ok()
    }
}

impl Serialize for Der {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use base64::Engine as _;
        serializer.serialize_str(&base64::engine::general_purpose::STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Der {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use base64::Engine as _;
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(text.as_bytes());
        bytes.map(Self).map_err(serde::de::Error::custom)
    }
}

/// One host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HostFacts {
    /// The name or address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The name asked for (SNI) and verified; none where the host is an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// The protocol spoken before TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starttls: Option<String>,
    /// The name does not resolve, while our resolver answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Nothing could be seen of it, and that is our side's fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmeasured: Option<Skipped>,
    /// Addresses beyond those that are looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<IpAddr>,
    /// One entry for each address.
    pub endpoints: Vec<Endpoint>,
    /// What DNS says of its certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<super::records::Records>,
    /// What plain HTTP and HTTPS say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web: Option<super::pages::Pages>,
}

/// One address of a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The address.
    pub address: SocketAddr,
    /// Nothing could be seen of it, and that is our side's fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmeasured: Option<Skipped>,
    /// The handshakes, the usual one (any key, any version, with SNI) first.
    pub views: Vec<View>,
    /// What it accepts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub posture: Option<super::posture::Posture>,
}

/// One handshake: what was asked for, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// Whether a name was asked for.
    pub sni: bool,
    /// The kind of key asked for.
    pub key_type: AskedKey,
    /// The versions offered.
    pub versions: AskedVersions,
    /// What was shown. Absent if no certificate came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Shown>,
    /// Why nothing was shown, or why the handshake ended early though something was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// The kind of key asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words say it")]
pub enum AskedKey {
    Any,
    Rsa,
    Ecdsa,
}

/// The versions offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskedVersions {
    /// TLS 1.3 and 1.2.
    Both,
    /// TLS 1.2 alone.
    Tls12,
    /// TLS 1.3 alone.
    Tls13,
    /// TLS 1.2 and below, in the clear, by the prober: the handshake was not finished.
    Old,
}

/// What a server showed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// The chain as it was sent: keys of [`Facts::certificates`].
    pub chain: Vec<String>,
    /// How many more certificates were sent.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: usize,
    /// The stapled OCSP response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staple: Option<Der>,
    /// The SignedCertificateTimestampList of the TLS extension; empty where it was asked for and none
    /// came. The usual handshakes do not ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamps: Option<Der>,
    /// The version agreed on: `TLSv1.3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The suite's IANA name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cipher: Option<String>,
    /// The group's IANA name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The protocol agreed on by ALPN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpn: Option<String>,
    /// It asked for a client certificate.
    #[serde(default)]
    pub wants_client: bool,
    /// Whether the server proved that it holds the leaf's key; `None` where the handshake did not come
    /// so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// Bytes slipped in between the go-ahead of STARTTLS and TLS.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub injected: usize,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// Whether a server proved that it holds its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// It did.
    Good,
    /// The signature does not verify, or by a key or scheme too weak to be verified: why.
    Bad(String),
}

/// An issuer's certificate that was fetched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FetchedIssuer {
    /// When.
    pub at: Timestamp,
    /// The certificates it gave (one, or a PKCS #7 bag of some): keys of [`Facts::certificates`].
    pub certificates: Vec<String>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FetchFailure>,
}

/// A revocation list that was fetched, condensed to what is asked of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FetchedCrl {
    /// When.
    pub at: Timestamp,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FetchFailure>,
    /// The list, its entries but for those of certificates in [`Facts::certificates`] left out once its
    /// signature was checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<super::revocation::Condensed>,
}

/// Why something was not fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FetchFailure {
    /// The URL leads to an address that answers must not lead to, or is of no scheme that is fetched.
    Refused(String),
    /// It could not be fetched: why.
    Failed(String),
    /// Our own side could not fetch.
    OurSide(String),
    /// What came cannot be read.
    Malformed(String),
}

impl Facts {
    /// Every certificate, read.
    pub fn parsed(&self) -> BTreeMap<&str, Result<Certificate, Malformed>> {
        self.certificates.iter().map(|(key, der)| (key.as_str(), Certificate::parse(&der.0))).collect()
    }

    /// Keeps a certificate and gives its key.
    pub fn keep(&mut self, der: Vec<u8>) -> String {
        let key = key_of(&der);
        self.certificates.entry(key.clone()).or_insert(Der(der));
        key
    }
}

/// The key of a certificate in [`Facts::certificates`].
pub fn key_of(der: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
    crate::formats::x509::hex(digest.as_ref())
}

impl HostFacts {
    /// How findings name it: the host, with its port unless that is 443.
    pub fn subject(&self) -> String {
        let host =
            crate::model::Host { name: self.host.clone(), port: (self.port != 443).then_some(self.port) };
        host.to_string()
    }

    /// Whether a handshake asked for all that there is to ask for: a host that is an address has no
    /// name. What is shown to others is not for users.
    pub fn asked_fully(&self, view: &View) -> bool {
        view.sni || self.server_name.is_none()
    }
}

impl Endpoint {
    /// The usual handshake: what browsers get.
    pub fn usual(&self) -> Option<&View> {
        let usual = |view: &&View| view.key_type == AskedKey::Any && view.versions == AskedVersions::Both;
        self.views.iter().find(usual)
    }
}
