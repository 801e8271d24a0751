//! An authority, servers on loopback, and runs of the kind against them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::formats::x509::sequence;
use crate::model::{CheckId, Finding, Masker};
use crate::net::{Net, NetOptions, TlsOptions};
use crate::probe::certificate::{CertificateKind, Facts, Memory, Spec};
use crate::probe::{Ctx, Kind as _, Observed, Past, PortalScope, Scope, Unmeasured};

pub const NAME: &str = "portal.example.com";

/// A certificate and its key, DER.
#[derive(Clone)]
pub struct Issued {
    pub der: Vec<u8>,
    pub key: Vec<u8>,
}

/// An authority, perhaps below another.
pub struct Authority {
    pub der: Vec<u8>,
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

fn named(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

fn authority_params(common: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(common);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2039, 1, 1);
    params
}

impl Authority {
    pub fn root(common: &str) -> Self {
        let params = authority_params(common);
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap();
        Self { der: root.der().to_vec(), pem: root.pem(), issuer: Issuer::new(params, key) }
    }

    /// An authority below this one, changed by `edit`.
    pub fn below(&self, common: &str, edit: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = authority_params(common);
        params.use_authority_key_identifier_extension = true;
        edit(&mut params);
        let key = KeyPair::generate().unwrap();
        let own = params.signed_by(&key, &self.issuer).unwrap();
        Self { der: own.der().to_vec(), pem: own.pem(), issuer: Issuer::new(params, key) }
    }

    /// A certificate for [`NAME`] that is good all through 2026, changed by `edit`.
    pub fn issue(&self, edit: impl FnOnce(&mut CertificateParams)) -> Issued {
        let mut params = leaf_params();
        params.use_authority_key_identifier_extension = true;
        edit(&mut params);
        let key = KeyPair::generate().unwrap();
        let der = params.signed_by(&key, &self.issuer).unwrap().der().to_vec();
        Issued { der, key: key.serialize_der() }
    }

    /// An empty revocation list.
    pub fn list(&self) -> Vec<u8> {
        let list = rcgen::CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 5, 1),
            next_update: date_time_ymd(2026, 7, 1),
            crl_number: rcgen::SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().der().to_vec()
    }
}

fn leaf_params() -> CertificateParams {
    let mut params = CertificateParams::new([NAME.to_owned()]).unwrap();
    params.distinguished_name = named(NAME);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = date_time_ymd(2026, 5, 1);
    params.not_after = date_time_ymd(2026, 7, 31);
    params
}

/// A certificate signed by its own key.
pub fn self_signed(edit: impl FnOnce(&mut CertificateParams)) -> Issued {
    let mut params = leaf_params();
    edit(&mut params);
    let key = KeyPair::generate().unwrap();
    Issued { der: params.self_signed(&key).unwrap().der().to_vec(), key: key.serialize_der() }
}

/// The extension that names where the issuer's certificate is.
pub fn issuer_at(url: &str) -> rcgen::CustomExtension {
    let mut location = vec![0x86, u8::try_from(url.len()).unwrap()];
    location.extend(url.as_bytes());
    let method = [0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x02];
    let content = sequence(&sequence(&[&method[..], &location].concat()));
    rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content)
}

/// Shows one chain, and to those who ask for no name another.
#[derive(Debug)]
struct Shows {
    named: Arc<CertifiedKey>,
    nameless: Arc<CertifiedKey>,
}

impl ResolvesServerCert for Shows {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = if hello.server_name().is_some() { &self.named } else { &self.nameless };
        Some(Arc::clone(shown))
    }
}

fn certified(chain: &[Vec<u8>], key: &[u8]) -> Arc<CertifiedKey> {
    let key = PrivateKeyDer::try_from(key.to_vec()).unwrap();
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
    Arc::new(CertifiedKey::new(chain.iter().cloned().map(CertificateDer::from).collect(), key))
}

/// Settings of a server that shows any chain with any key.
pub fn shows(chain: &[Vec<u8>], key: &[u8]) -> Arc<ServerConfig> {
    shows_both((chain, key), (chain, key))
}

pub fn shows_both(named: (&[Vec<u8>], &[u8]), nameless: (&[Vec<u8>], &[u8])) -> Arc<ServerConfig> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let shows = Shows { named: certified(named.0, named.1), nameless: certified(nameless.0, nameless.1) };
    Arc::new(ServerConfig::builder().with_no_client_auth().with_cert_resolver(Arc::new(shows)))
}

/// The same, of a server that demands a client certificate of an authority.
pub fn demands(
    issued: &Issued,
    authority: &Authority,
    version: &'static SupportedProtocolVersion,
) -> Arc<ServerConfig> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(authority.der.clone())).unwrap();
    let verifier = rustls::server::WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
    let config = ServerConfig::builder_with_protocol_versions(&[version]).with_client_cert_verifier(verifier);
    let key = PrivateKeyDer::try_from(issued.key.clone()).unwrap();
    Arc::new(config.with_single_cert(vec![CertificateDer::from(issued.der.clone())], key).unwrap())
}

/// Serves each connection with `handler`, which is given its number.
pub async fn serve_at<F, Fut>(place: SocketAddr, handler: F) -> Server
where
    F: Fn(TcpStream, usize) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(place).await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let number = {
                let mut count = counted.lock().unwrap();
                *count += 1;
                *count
            };
            tokio::spawn(handler(stream, number));
        }
    });
    Server { address, count }
}

/// Where a server listens, and how many came.
pub struct Server {
    pub address: SocketAddr,
    count: Arc<Mutex<usize>>,
}

impl Server {
    pub fn visits(&self) -> usize {
        *self.count.lock().unwrap()
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

pub fn anywhere() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

pub async fn tls_at(place: SocketAddr, config: Arc<ServerConfig>) -> Server {
    let acceptor = tokio_rustls::TlsAcceptor::from(config);
    serve_at(place, move |stream, _| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let _ = stream.read(&mut [0; 64]).await;
        }
    })
    .await
}

pub async fn tls(config: Arc<ServerConfig>) -> Server {
    tls_at(anywhere(), config).await
}

/// Reads what the client says first, answers with these bytes, and then nothing more, or closes.
pub async fn says(bytes: &[u8], stall: bool) -> Server {
    let bytes = bytes.to_vec();
    serve_at(anywhere(), move |mut stream, _| {
        let bytes = bytes.clone();
        async move {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(&bytes).await;
            if stall {
                let _ = stream.read(&mut [0; 1]).await;
            }
        }
    })
    .await
}

/// What a run is made in.
pub struct World {
    pub hosts: Vec<(String, Vec<IpAddr>)>,
    pub resolvers: Vec<String>,
    pub private: bool,
    pub ca: Option<String>,
    pub timeout: Duration,
    pub deadline: Duration,
    pub memory: Memory,
}

impl World {
    /// [`NAME`] is at 127.0.0.1, and the authority is trusted.
    pub fn trusting(authority: &Authority) -> Self {
        Self {
            hosts: vec![(NAME.to_owned(), vec![[127, 0, 0, 1].into()])],
            resolvers: vec!["system".to_owned()],
            private: true,
            ca: Some(authority.pem.clone()),
            timeout: Duration::from_secs(10),
            deadline: Duration::from_secs(60),
            memory: Memory::default(),
        }
    }

    pub fn net(&self) -> Net {
        Net::new(NetOptions {
            per_host: 100,
            global: 100,
            user_agent: "portalwatch/test".into(),
            hosts: BTreeMap::from_iter(self.hosts.clone()),
        })
    }

    pub fn scope(&self) -> Scope {
        Scope {
            check: CheckId::new("acme", "tls"),
            portal: Arc::new(PortalScope { private: self.private, ..PortalScope::default() }),
            timeout: self.timeout,
            deadline: self.deadline,
            resolvers: self.resolvers.clone().into(),
            tls: Arc::new(TlsOptions { ca_pem: self.ca.as_deref().map(Into::into), ..TlsOptions::default() }),
            identity: None,
            triggered: None,
        }
    }

    pub async fn look(&self, spec: &Spec) -> Result<Observed<Facts>, Unmeasured> {
        let (net, scope) = (self.net(), self.scope());
        let ctx = Ctx {
            scope: &scope,
            net: &net,
            masker: &Masker::default(),
            at: now(),
            everything: false,
            ledger: None,
            baselines: None,
            writes: false,
        };
        CertificateKind::observe(spec, &ctx, &Past::of(self.memory.clone())).await
    }

    /// A run whose facts are written down and read again before they are judged.
    pub async fn run(&self, settings: Value) -> Run {
        let spec = spec(settings);
        let observed = self.look(&spec).await.unwrap();
        let written = serde_json::to_string(&observed.facts).unwrap();
        let facts: Facts = serde_json::from_str(&written).unwrap();
        assert_eq!(facts, observed.facts);
        let judged = CertificateKind::judge(&spec, &facts, &Past::of(self.memory.clone()), now());
        Run { facts, findings: judged.findings, memory: judged.memory, transport: observed.transport }
    }

    /// A look at [`NAME`] at a server's port.
    pub async fn at(&self, server: &Server) -> Run {
        self.run(json!({ "hosts": [format!("{NAME}:{}", server.port())] })).await
    }
}

/// The settings, what asks others than the server left out where it is not asked for.
pub fn spec(settings: Value) -> Spec {
    let mut all = json!({ "profile": "off", "dns": false, "web": false });
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

pub fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

pub struct Run {
    pub facts: Facts,
    pub findings: Vec<Finding>,
    pub memory: Memory,
    pub transport: bool,
}

impl Run {
    /// The ids of what is broken.
    pub fn broken(&self) -> Vec<&str> {
        self.ids(|finding| finding.broken && finding.measured)
    }

    /// The ids of what someone is told of.
    pub fn alerting(&self) -> Vec<&str> {
        self.ids(Finding::alerts)
    }

    pub fn ids(&self, which: impl Fn(&Finding) -> bool) -> Vec<&str> {
        let mut ids: Vec<&str> = self
            .findings
            .iter()
            .filter(|finding| which(finding))
            .map(|finding| finding.id.as_str())
            .collect();
        ids.sort_unstable();
        ids
    }

    pub fn finding(&self, id: &str) -> &Finding {
        let found = self.findings.iter().find(|finding| finding.id.as_str() == id);
        found.unwrap_or_else(|| panic!("no {id} in {:#?}", self.findings))
    }

    pub fn has(&self, id: &str) -> bool {
        self.findings.iter().any(|finding| finding.id.as_str() == id)
    }
}
