//! What it costs to look at a certificate: `cargo bench --bench certificates`.
//!
//! CPU of this thread for one usual handshake with a server on another thread, and for the whole
//! judgement of what all handshakes of a check saw, facts written and read included. Compare their sum
//! with blackbox_exporter's figure of `scripts/bench-peers` on the same machine.
#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first fault")]

use std::hint::black_box;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use portalwatch::clock::{Clock as _, SystemClock};
use portalwatch::net::{Handshake, Net, NetOptions, Origin, TlsTarget};
use portalwatch::probe::certificate::facts::{
    AskedKey, AskedVersions, Endpoint, Facts, HostFacts, Shown, View,
};
use portalwatch::probe::certificate::{CertificateKind, Memory, Spec};
use portalwatch::probe::{Kind as _, Past};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustix::time::{ClockId, clock_gettime};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection};

const ROUNDS: u32 = 500;

fn main() {
    let made = Made::new();
    let address = made.serve();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let net = Net::new(NetOptions {
        per_host: 8,
        global: 8,
        user_agent: "portalwatch/bench".to_owned(),
        hosts: std::collections::BTreeMap::new(),
    });
    let wanted = Handshake::with(TlsTarget {
        host: "localhost".to_owned(),
        address,
        origin: Origin::Operator,
        server_name: Some("localhost".to_owned()),
        starttls: None,
        timeout: Duration::from_secs(10),
    });
    let handshake = each(|| {
        runtime.block_on(net.handshake(&wanted)).unwrap();
    });
    let facts = made.facts(address);
    let spec = Spec::default();
    let now = SystemClock.now();
    let judgement = each(|| {
        let written = serde_json::to_string(&facts).unwrap();
        let past = Past::of(Memory::default());
        black_box(CertificateKind::judge(&spec, &facts, &past, now));
        black_box(written);
    });
    println!("one usual handshake {handshake:?}, the judgement of a check {judgement:?}");
    println!("together {:?}", handshake + judgement);
}

/// CPU of this thread for one turn.
fn each(mut turn: impl FnMut()) -> Duration {
    for _ in 0..ROUNDS / 10 {
        turn();
    }
    let before = cpu();
    for _ in 0..ROUNDS {
        turn();
    }
    (cpu() - before) / ROUNDS
}

fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs().try_into().unwrap())
}

/// A root, an authority below it, and a leaf.
struct Made {
    root: Vec<u8>,
    chain: Vec<Vec<u8>>,
    key: KeyPair,
}

impl Made {
    fn new() -> Self {
        let authority = |common: &str| {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(rcgen::DnType::CommonName, common);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            params
        };
        let (root_key, middle_key, key) =
            (KeyPair::generate().unwrap(), KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let root = authority("Root").self_signed(&root_key).unwrap();
        let by_root = Issuer::new(authority("Root"), root_key);
        let middle = authority("Middle").signed_by(&middle_key, &by_root).unwrap();
        let by_middle = Issuer::new(authority("Middle"), middle_key);
        let mut leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let leaf = leaf.signed_by(&key, &by_middle).unwrap();
        Self { root: root.der().to_vec(), chain: vec![leaf.der().to_vec(), middle.der().to_vec()], key }
    }

    fn serve(&self) -> SocketAddr {
        // There may be one already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let chain = self.chain.iter().map(|der| der.clone().into()).collect();
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut session = ServerConnection::new(Arc::clone(&config)).unwrap();
                let _ = rustls::Stream::new(&mut session, &mut stream).read(&mut [0; 64]);
            }
        });
        address
    }

    /// What six handshakes of a check show.
    fn facts(&self, address: SocketAddr) -> Facts {
        let mut facts = Facts::default();
        let chain: Vec<String> = self.chain.iter().map(|der| facts.keep(der.clone())).collect();
        let root = facts.keep(self.root.clone());
        facts.trusted = vec![root];
        let view = |sni, key_type, versions| View {
            sni,
            key_type,
            versions,
            shown: Some(Shown { chain: chain.clone(), version: Some("TLSv1.3".into()), ..Shown::default() }),
            failure: None,
        };
        let views = vec![
            view(true, AskedKey::Any, AskedVersions::Both),
            view(true, AskedKey::Ecdsa, AskedVersions::Tls13),
            view(true, AskedKey::Ecdsa, AskedVersions::Tls12),
            view(false, AskedKey::Any, AskedVersions::Both),
        ];
        let endpoint = Endpoint { address, unmeasured: None, views, posture: None };
        facts.hosts.push(HostFacts {
            host: "localhost".into(),
            port: 443,
            server_name: Some("localhost".into()),
            endpoints: vec![endpoint],
            ..HostFacts::default()
        });
        facts
    }
}
