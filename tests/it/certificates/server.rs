//! An authority whose leaves are valid today, and TLS servers whose certificate can be replaced.

use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection};

const DAY: u64 = 86_400;

/// A root.
pub struct Root {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

fn named(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

#[expect(clippy::disallowed_methods, reason = "certificates that are valid now")]
fn days_from_now(days: i64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let shift = Duration::from_secs(days.unsigned_abs() * DAY);
    if days < 0 { now - shift } else { now + shift }
}

impl Root {
    pub fn new() -> Self {
        // Another test may have been first.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut params = CertificateParams::default();
        params.distinguished_name = named("Acme root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2045, 1, 1));
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// The settings of a server with a new key and leaf for the name, valid between these days from
    /// now.
    pub fn leaf(&self, name: &str, from: i64, until: i64) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let mut leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
        leaf.distinguished_name = named(name);
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        let epoch = date_time_ymd(1970, 1, 1);
        (leaf.not_before, leaf.not_after) = (epoch + days_from_now(from), epoch + days_from_now(until));
        let chain = vec![leaf.signed_by(&key, &self.issuer).unwrap().into()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let builder = ServerConfig::builder().with_no_client_auth();
        Arc::new(builder.with_single_cert(chain, key).unwrap())
    }
}

/// A server of TLS that says nothing. Its threads end with the test's process.
pub struct Server {
    pub port: u16,
    settings: Arc<RwLock<Option<Arc<ServerConfig>>>>,
}

impl Server {
    /// Serves at an address, on a port of its own where none is given.
    pub fn start(address: Ipv4Addr, port: u16, settings: Arc<ServerConfig>) -> Self {
        let listener = TcpListener::bind((address, port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let settings = Arc::new(RwLock::new(Some(settings)));
        let current = Arc::clone(&settings);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Without a certificate it only hangs up.
                if let Some(settings) = current.read().unwrap().clone() {
                    std::thread::spawn(move || talk(stream, settings));
                }
            }
        });
        Self { port, settings }
    }

    /// Installs another certificate.
    pub fn install(&self, settings: Arc<ServerConfig>) {
        *self.settings.write().unwrap() = Some(settings);
    }

    /// Hangs up on everybody from now on.
    pub fn go_silent(&self) {
        *self.settings.write().unwrap() = None;
    }
}

fn talk(mut stream: TcpStream, settings: Arc<ServerConfig>) {
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut session = ServerConnection::new(settings).unwrap();
    let _ = rustls::Stream::new(&mut session, &mut stream).read(&mut [0; 64]);
}
