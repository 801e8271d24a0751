//! An authority, TLS servers at any loopback address, and a resolver that knows them.

use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use tempfile::TempDir;

/// Within the life of the leaves.
pub const GOOD: &str = "2026-06-01T00:00:00+02:00";

/// The names that the resolver knows.
pub const NAME: &str = "portal.test";
pub const GONE: &str = "gone.test";

/// A root in a folder as `root.pem`, and an intermediate authority below it.
pub struct Lab {
    pub dir: TempDir,
    root: Certificate,
    intermediate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

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
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2035, 1, 1));
    params
}

impl Lab {
    pub fn new() -> Self {
        // Another test may have been first.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let params = authority("Acme root");
        let by_root = Issuer::from_params(&params, &root_key);
        let intermediate = authority("Acme issuing").signed_by(&key, &by_root).unwrap();
        let root = params.self_signed(&root_key).unwrap();
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("root.pem"), root.pem()).unwrap();
        Self { dir, root, intermediate, issuer: Issuer::new(authority("Acme issuing"), key) }
    }

    /// The settings of a server with a leaf for these names, valid from 2026-05-01 to 2026-07-30.
    pub fn server(&self, names: &[&str]) -> ServerConfig {
        self.settings(names, None)
    }

    /// The same, of a server that demands a client certificate.
    pub fn demanding(&self, names: &[&str]) -> ServerConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.der().clone()).unwrap();
        self.settings(names, Some(roots))
    }

    fn settings(&self, names: &[&str], clients: Option<RootCertStore>) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut leaf = CertificateParams::new(names.clone()).unwrap();
        leaf.distinguished_name = named(&names[0]);
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        (leaf.not_before, leaf.not_after) = (date_time_ymd(2026, 5, 1), date_time_ymd(2026, 7, 30));
        let leaf: CertificateDer<'static> = leaf.signed_by(&key, &self.issuer).unwrap().into();
        let chain = vec![leaf, self.intermediate.der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let builder = ServerConfig::builder();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(roots) => builder
                .with_client_cert_verifier(WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap()),
        };
        builder.with_single_cert(chain, key).unwrap()
    }
}

/// Serves these settings at an address, on a port of its own where none is given; gives the port.
pub fn serve(address: Ipv4Addr, port: u16, settings: ServerConfig) -> u16 {
    let listener = TcpListener::bind((address, port)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let settings = Arc::new(settings);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let settings = Arc::clone(&settings);
            std::thread::spawn(move || talk(stream, settings));
        }
    });
    port
}

/// Shakes hands and listens until the client goes.
fn talk(mut stream: TcpStream, settings: Arc<ServerConfig>) {
    let patience = Some(Duration::from_secs(30));
    stream.set_read_timeout(patience).unwrap();
    let mut session = ServerConnection::new(settings).unwrap();
    let _ = rustls::Stream::new(&mut session, &mut stream).read(&mut [0; 64]);
}

/// Knows [`NAME`] at two addresses, says that there is no [`GONE`], and answers all else with nothing.
#[expect(clippy::disallowed_methods, reason = "a test's own socket, on loopback")]
pub fn resolver() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut query = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            let _ = socket.send_to(&answer(&query[..length]), from);
        }
    });
    address
}

fn answer(query: &[u8]) -> Vec<u8> {
    let mut labels = Vec::new();
    let mut at = 12;
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    let end = at + 5;
    let is_a = query[at + 1..at + 3] == [0, 1];
    let name = labels.join(".");
    let addresses: &[u8] = if name == NAME && is_a { &[1, 2] } else { &[] };
    let code = if name == GONE { 3 } else { 0 };
    let mut message = query[..end].to_vec();
    let count = u8::try_from(addresses.len()).unwrap();
    message[2..12].copy_from_slice(&[0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
    for last in addresses {
        message.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, *last]);
    }
    message
}
