//! Servers as they are found: invalid, demanding, silent, and no TLS at all.

use std::sync::Mutex;

use rcgen::date_time_ymd;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::*;
use crate::formats::tls::names;
use crate::net::fakes::{Authority, Issued, net, serve, tls_server};

fn target(address: SocketAddr) -> TlsTarget {
    TlsTarget {
        host: "a.example".into(),
        address,
        origin: Origin::Operator,
        server_name: Some("a.example".into()),
        starttls: None,
        timeout: Duration::from_secs(10),
    }
}

fn to(address: SocketAddr) -> Handshake {
    Handshake::with(target(address))
}

/// To a server that will not answer.
fn impatient(address: SocketAddr) -> Handshake {
    Handshake::with(TlsTarget { timeout: Duration::from_millis(200), ..target(address) })
}

fn der(issued: &Issued) -> Vec<u8> {
    CertificateDer::from_pem_slice(issued.cert.as_bytes()).unwrap().to_vec()
}

fn pair(issued: &Issued) -> Option<(Arc<str>, Secret)> {
    Some((issued.cert.as_str().into(), Secret::new(issued.key.as_str(), "file:key.pem")))
}

/// Shows any chain with any key, and notes the names asked for.
#[derive(Debug)]
struct Shows {
    key: Arc<CertifiedKey>,
    names: Mutex<Vec<Option<String>>>,
}

impl ResolvesServerCert for Shows {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.names.lock().unwrap().push(hello.server_name().map(str::to_owned));
        Some(Arc::clone(&self.key))
    }
}

async fn showing(chain: Vec<Vec<u8>>, key: &str) -> (SocketAddr, Arc<Shows>) {
    crate::net::tls::install_provider();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let chain = chain.into_iter().map(CertificateDer::from).collect();
    let shows = Arc::new(Shows { key: Arc::new(CertifiedKey::new(chain, key)), names: Mutex::default() });
    let resolver = Arc::clone(&shows);
    let config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(resolver);
    (tls_server(Arc::new(config)).await, shows)
}

#[tokio::test]
async fn an_expired_certificate_of_a_stranger_is_seen_byte_by_byte() {
    let authority = Authority::new();
    let expired = authority.issue("other.example", |params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    let address = tls_server(authority.server(&expired, &["h2", "http/1.1"], false)).await;
    let wanted = Handshake { alpn: vec!["http/1.1".into()], ..to(address) };
    let seen = net().handshake(&wanted).await.unwrap();
    assert_eq!(seen.chain.ders, [der(&expired)]);
    assert_eq!(seen.signature, Signature::Verified);
    assert_eq!((seen.version, seen.alpn.as_deref()), (Some(Version::Tls13), Some("http/1.1")));
    assert_eq!(seen.group.map(names::group).as_deref(), Some("X25519MLKEM768"));
    assert!(names::suite(seen.suite.unwrap()).starts_with("TLS_AES_"));
    assert!(!seen.wants_client && seen.stopped.is_none() && seen.staple.is_none());
    assert!(seen.timings.get(Phase::Connect).is_some() && seen.timings.get(Phase::Tls).is_some());
}

#[tokio::test]
async fn only_the_versions_asked_for_are_offered() {
    let authority = Authority::new();
    let issued = authority.issue("a.example", |_| {});
    let address = tls_server(authority.server(&issued, &[], false)).await;
    for (versions, got) in [(TlsVersions::Tls12, Version::Tls12), (TlsVersions::Tls13, Version::Tls13)] {
        let seen = net().handshake(&Handshake { versions, ..to(address) }).await.unwrap();
        assert_eq!(seen.version, Some(got));
        assert_eq!((seen.chain.ders.len(), seen.signature), (1, Signature::Verified));
    }
    let wanted = Handshake { key_type: KeyType::Rsa, ..to(address) };
    let error = net().handshake(&wanted).await.unwrap_err();
    assert!(matches!(error.reason, FailReason::TlsAlert(_)), "{error}");
}

#[tokio::test]
async fn the_name_is_asked_for_or_kept_silent() {
    let authority = Authority::new();
    let issued = authority.issue("a.example", |_| {});
    let (address, shows) = showing(vec![der(&issued)], &issued.key).await;
    net().handshake(&to(address)).await.unwrap();
    let silent = Handshake::with(TlsTarget { server_name: None, ..target(address) });
    net().handshake(&silent).await.unwrap();
    assert_eq!(*shows.names.lock().unwrap(), [Some("a.example".to_owned()), None]);
}

#[tokio::test]
async fn a_server_without_the_key_of_its_certificate_is_noticed() {
    let authority = Authority::new();
    let (shown, other) = (authority.issue("a.example", |_| {}), authority.issue("a.example", |_| {}));
    let (address, _) = showing(vec![der(&shown)], &other.key).await;
    for versions in [TlsVersions::Tls12, TlsVersions::Tls13] {
        let seen = net().handshake(&Handshake { versions, ..to(address) }).await.unwrap();
        assert!(matches!(seen.signature, Signature::Invalid(_)), "{:?}", seen.signature);
        assert_eq!(seen.chain.ders, [der(&shown)]);
    }
}

#[tokio::test]
async fn a_certificate_that_is_none_is_still_shown() {
    let issued = Authority::new().issue("a.example", |_| {});
    let (address, _) = showing(vec![b"not DER".to_vec()], &issued.key).await;
    let seen = net().handshake(&to(address)).await.unwrap();
    assert_eq!(seen.chain.ders, [b"not DER"]);
    assert!(matches!(seen.signature, Signature::Invalid(_)));
}

#[tokio::test]
async fn a_chain_of_a_hundred_and_one_is_cut_and_one_above_the_limit_is_an_error() {
    let issued = Authority::new().issue("a.example", |_| {});
    let (address, _) = showing(vec![der(&issued); 101], &issued.key).await;
    let seen = net().handshake(&to(address)).await.unwrap();
    assert_eq!((seen.chain.ders.len(), seen.chain.left_out), (100, 1));

    let (address, _) = showing(vec![der(&issued), vec![7; 64 * 1024]], &issued.key).await;
    let error = net().handshake(&to(address)).await.unwrap_err();
    assert!(matches!(error.reason, FailReason::Protocol(_)), "{error}");
    assert_eq!(error.phase, Phase::Tls);
}

#[tokio::test]
async fn a_portal_that_demands_a_client_certificate_is_seen_without_one() {
    let authority = Authority::new();
    let issued = authority.issue("a.example", |_| {});
    let address = tls_server(authority.server(&issued, &[], true)).await;
    for versions in [TlsVersions::Tls12, TlsVersions::Tls13] {
        let seen = net().handshake(&Handshake { versions, ..to(address) }).await.unwrap();
        assert_eq!(seen.chain.ders, [der(&issued)], "{versions:?}");
        assert!(seen.wants_client);
        let reason = seen.stopped.unwrap().reason;
        assert!(
            matches!(&reason, FailReason::TlsAlert(alert) if alert.contains("certificate") || alert == "handshake_failure"),
            "{reason:?}"
        );

        let client = authority.issue("client.example", |_| {});
        let seen =
            net().handshake(&Handshake { versions, client: pair(&client), ..to(address) }).await.unwrap();
        assert!(seen.wants_client && seen.stopped.is_none(), "{versions:?} {:?}", seen.stopped);

        let stranger = Authority::new().issue("client.example", |_| {});
        let wanted = Handshake { versions, client: pair(&stranger), ..to(address) };
        let seen = net().handshake(&wanted).await.unwrap();
        let reason = seen.stopped.unwrap().reason;
        assert!(matches!(&reason, FailReason::TlsAlert(_)), "{reason:?}");
    }
}

#[tokio::test]
async fn a_client_key_that_does_not_fit_is_told_before_anything_is_sent() {
    let authority = Authority::new();
    let (one, other) = (authority.issue("a", |_| {}), authority.issue("b", |_| {}));
    let client = Some((one.cert.as_str().into(), Secret::new(other.key.as_str(), "file:key.pem")));
    let nowhere = "127.0.0.1:9".parse().unwrap();
    let error = net().handshake(&Handshake { client, ..to(nowhere) }).await.unwrap_err();
    assert!(error.to_string().contains("client certificate"), "{error}");
    let mut wanted = to(nowhere);
    wanted.target.server_name = Some("a b".into());
    assert!(net().handshake(&wanted).await.unwrap_err().to_string().contains("server name"));
}

#[tokio::test]
async fn a_private_address_is_guarded_here_too() {
    let mut wanted = to("127.0.0.1:443".parse().unwrap());
    wanted.target.origin = Origin::Portal { private: false };
    let error = net().handshake(&wanted).await.unwrap_err();
    assert!(matches!(error.reason, FailReason::Guarded(_)), "{error}");
}

/// Reads the hello, answers with these bytes, and does as told then.
#[derive(Clone, Copy)]
enum Then {
    Stall,
    Close,
    Reset,
}

async fn answers(bytes: Vec<u8>, then: Then) -> SocketAddr {
    serve(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            if matches!(then, Then::Reset) {
                // Closing with bytes unread resets the connection.
                let _ = stream.readable().await;
                let _ = stream.write_all(&bytes).await;
                return;
            }
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(&bytes).await;
            if matches!(then, Then::Stall) {
                let _ = stream.read(&mut [0; 1]).await;
            }
        }
    })
    .await
}

/// The start of a ServerHello of TLS 1.2, whole but for its last byte.
const CUT: &[u8] = &[22, 3, 3, 0, 42, 2, 0, 0, 38, 3, 3, 7, 7, 7];

#[tokio::test]
async fn a_server_that_falls_silent_anywhere_is_a_timeout_of_tls() {
    for start in [&b""[..], &[22], &CUT[..5], CUT] {
        let error =
            net().handshake(&impatient(answers(start.to_vec(), Then::Stall).await)).await.unwrap_err();
        assert_eq!((error.phase, error.reason), (Phase::Tls, FailReason::Timeout), "{start:?}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_off_is_told_from_one_that_is_reset() {
    for start in [&b""[..], CUT] {
        let error = net().handshake(&to(answers(start.to_vec(), Then::Close).await)).await.unwrap_err();
        assert_eq!((error.phase, error.reason), (Phase::Tls, FailReason::Closed));
    }
    let error = net().handshake(&to(answers(Vec::new(), Then::Reset).await)).await.unwrap_err();
    assert_eq!((error.phase, error.reason), (Phase::Tls, FailReason::Reset));
}

#[tokio::test]
async fn what_is_not_tls_is_told_by_what_it_is() {
    for (bytes, words) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "plain HTTP"),
        (b"220 mail ESMTP\r\n", "STARTTLS"),
        (b"SSH-2.0-x\r\n", "SSH"),
        (&[0xff; 100], "no TLS record"),
        (&[22, 3, 3, 0, 4, 99, 0, 0, 0], "protocol error"),
    ] {
        let error = net().handshake(&to(answers(bytes.to_vec(), Then::Stall).await)).await.unwrap_err();
        assert_eq!(error.phase, Phase::Tls);
        assert!(matches!(error.reason, FailReason::Protocol(_)), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    let alert = answers(vec![21, 3, 3, 0, 2, 2, 112], Then::Stall).await;
    let error = net().handshake(&to(alert)).await.unwrap_err();
    assert_eq!(error.reason, FailReason::TlsAlert("unrecognized_name".into()));
}

/// A mail server that begins TLS, after slipping in these bytes.
async fn mail_server(config: Arc<ServerConfig>, extra: &'static [u8]) -> SocketAddr {
    let acceptor = tokio_rustls::TlsAcceptor::from(config);
    serve(move |mut stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut buffer = [0; 512];
            let go = [b"220 go\r\n", extra].concat();
            for say in [&b"220 hi\r\n"[..], b"250-mail\r\n250 STARTTLS\r\n", &go] {
                stream.write_all(say).await.unwrap();
                if say != go {
                    let _ = stream.read(&mut buffer).await;
                }
            }
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _ = stream.read(&mut buffer).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn tls_begins_after_the_dialogue_and_what_was_slipped_in_is_counted() {
    let authority = Authority::new();
    let issued = authority.issue("a.example", |_| {});
    for (extra, injected) in [(&b""[..], 0), (b"250 evil\r\n", 10)] {
        let address = mail_server(authority.server(&issued, &[], false), extra).await;
        let mut wanted = to(address);
        wanted.target.starttls = Some(Protocol::Smtp);
        let seen = net().handshake(&wanted).await.unwrap();
        assert_eq!((seen.chain.ders, seen.injected), (vec![der(&issued)], injected));
        assert!(seen.starttls.is_some());
    }
}

#[tokio::test]
async fn a_dialogue_that_fails_says_where_and_in_whose_words() {
    let smtp = |mut wanted: Handshake| {
        wanted.target.starttls = Some(Protocol::Smtp);
        wanted
    };
    let refusing = serve(|mut stream| async move {
        let _ = stream.write_all(b"554 go away\r\n").await;
        let _ = stream.read(&mut [0; 1]).await;
    });
    let error = net().handshake(&smtp(to(refusing.await))).await.unwrap_err();
    assert_eq!(error.reason, FailReason::NoStartTls("554 go away".into()));
    let garbage = answers(b"HTTP/1.1 400 Bad\r\n".to_vec(), Then::Stall);
    // Nobody speaks first: the client waits for a greeting, the server for a request.
    let error = net().handshake(&smtp(impatient(garbage.await))).await.unwrap_err();
    assert_eq!((error.phase, &error.reason), (Phase::Tls, &FailReason::Timeout));
    assert!(error.to_string().contains("before TLS, in smtp"), "{error}");
    let talking = serve(|mut stream| async move {
        let _ = stream.write_all(b"+OK POP3 ready\r\n").await;
        let _ = stream.read(&mut [0; 1]).await;
    });
    let error = net().handshake(&smtp(to(talking.await))).await.unwrap_err();
    assert!(matches!(error.reason, FailReason::Protocol(_)), "{error}");
    let closing = serve(|stream| async move { drop(stream) });
    let error = net().handshake(&smtp(to(closing.await))).await.unwrap_err();
    assert_eq!((error.phase, &error.reason), (Phase::Tls, &FailReason::Closed));
}
