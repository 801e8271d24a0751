//! Handshakes with OpenSSL: chains that the strict client never sees.

use std::sync::Arc;

use portalwatch::formats::tls::{Version, names};
use portalwatch::model::{Phase, Secret};
use portalwatch::net::{FailReason, Handshake, KeyType, Signature, TlsVersions};
use tempfile::TempDir;

use super::s_server::{EC, ED448, ED25519, P521, Pair, RSA, SServer, WEAK, openssl};
use super::{net, target};
use crate::peers::{Authority, Nginx};

const BOTH: [TlsVersions; 2] = [TlsVersions::Tls12, TlsVersions::Tls13];

fn to(port: u16) -> Handshake {
    Handshake::with(target(port))
}

#[tokio::test]
async fn each_of_two_certificates_is_seen_when_it_is_asked_for() {
    let server = SServer::start(&[&RSA, &EC], &[]);
    for versions in BOTH {
        for (key_type, der) in [(KeyType::Rsa, RSA.der()), (KeyType::Ecdsa, EC.der())] {
            let seen = net().handshake(&Handshake { versions, key_type, ..to(server.port) }).await.unwrap();
            assert_eq!(seen.chain.ders, [der], "{versions:?} {key_type:?}");
            assert_eq!(seen.signature, Signature::Verified);
        }
    }
}

#[tokio::test]
async fn keys_of_every_kind_are_seen_and_the_weak_ones_not_believed() {
    let cases: [(&Pair, bool); 3] = [(&ED25519, true), (&RSA, true), (&WEAK, false)];
    for (pair, verified) in cases {
        let server = SServer::start(&[pair], &["-cipher", "ALL:@SECLEVEL=0"]);
        for versions in BOTH {
            let seen = net().handshake(&Handshake { versions, ..to(server.port) }).await.unwrap();
            assert_eq!((&seen.chain.ders, seen.stopped), (&vec![pair.der()], None));
            assert_eq!(seen.signature == Signature::Verified, verified, "{versions:?} {:?}", seen.signature);
            assert_ne!(seen.signature, Signature::NotReached);
        }
    }
}

#[tokio::test]
async fn keys_that_the_library_does_not_know_are_seen_all_the_same() {
    // It cannot sign with Ed448, so that it gives up, but after it was shown the chain.
    let server = SServer::start(&[&ED448], &[]);
    for versions in BOTH {
        let seen = net().handshake(&Handshake { versions, ..to(server.port) }).await.unwrap();
        assert_eq!(seen.chain.ders, [ED448.der()]);
        assert_ne!(seen.signature, Signature::Verified, "{versions:?}");
    }
    // It has no group P-521, without which OpenSSL does not show such a certificate in TLS 1.2.
    let server = SServer::start(&[&P521], &[]);
    let seen = net().handshake(&to(server.port)).await.unwrap();
    assert_eq!((seen.chain.ders, seen.signature), (vec![P521.der()], Signature::Verified));
    let old = Handshake { versions: TlsVersions::Tls12, ..to(server.port) };
    let error = net().handshake(&old).await.unwrap_err();
    assert_eq!(error.reason, FailReason::TlsAlert("handshake_failure".into()));
    let clear = net().hello_in_clear(&target(server.port)).await.unwrap();
    assert_eq!(clear.answer.certificates.unwrap().ders, [P521.der()]);
}

#[tokio::test]
async fn a_demand_for_a_client_certificate_does_not_hide_the_chain() {
    let server = SServer::start(&[&RSA], &["-Verify", "1"]);
    for versions in BOTH {
        let seen = net().handshake(&Handshake { versions, ..to(server.port) }).await.unwrap();
        assert_eq!(seen.chain.ders, [RSA.der()]);
        assert!(seen.wants_client, "{versions:?}");
        let stopped = seen.stopped.unwrap();
        let alert = if versions == TlsVersions::Tls13 { "certificate_required" } else { "handshake_failure" };
        assert_eq!((stopped.phase, stopped.reason), (Phase::Tls, FailReason::TlsAlert(alert.into())));
        let client: Option<(Arc<str>, Secret)> =
            Some((EC.certificate.as_str().into(), Secret::new(EC.key.as_str(), "file:key.pem")));
        // It takes any certificate, only not none.
        let seen = net().handshake(&Handshake { versions, client, ..to(server.port) }).await.unwrap();
        assert_eq!((seen.wants_client, seen.stopped), (true, None), "{versions:?}");
    }
    let optional = SServer::start(&[&RSA], &["-verify", "1"]);
    let seen = net().handshake(&to(optional.port)).await.unwrap();
    assert_eq!((seen.wants_client, seen.stopped), (true, None));
    let clear = net().hello_in_clear(&target(server.port)).await.unwrap();
    assert!(clear.answer.wants_client);
}

#[tokio::test]
async fn a_stapled_response_is_seen_with_every_version() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("ca.pem"), &RSA.certificate).unwrap();
    std::fs::write(dir.path().join("ca.key"), &RSA.key).unwrap();
    std::fs::write(dir.path().join("index.txt"), "").unwrap();
    let responder = ["-index", "index.txt", "-CA", "ca.pem", "-rsigner", "ca.pem", "-rkey", "ca.key"];
    let request = ["-issuer", "ca.pem", "-serial", "0x01", "-respout", "staple.der", "-ndays", "1"];
    openssl(dir.path(), &[&["ocsp"], &responder[..], &request].concat());
    let staple = Some(std::fs::read(dir.path().join("staple.der")).unwrap());
    let server = SServer::start_in(dir, &[&RSA], &["-status_file", "staple.der"]);
    for versions in BOTH {
        let seen = net().handshake(&Handshake { versions, ..to(server.port) }).await.unwrap();
        assert_eq!(seen.staple, staple, "{versions:?}");
    }
    assert_eq!(net().hello_in_clear(&target(server.port)).await.unwrap().answer.staple, staple);
    let bare = SServer::start(&[&RSA], &[]);
    assert_eq!(net().handshake(&to(bare.port)).await.unwrap().staple, None);
}

#[tokio::test]
async fn servers_the_library_cannot_speak_to_still_show_their_chain() {
    for (options, alert, version) in [
        (&["-tls1", "-cipher", "ALL:@SECLEVEL=0"][..], "protocol_version", Version::Tls10),
        (&["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], "protocol_version", Version::Tls11),
        (&["-tls1_2", "-cipher", "AES128-SHA"], "handshake_failure", Version::Tls12),
        (&["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA"], "handshake_failure", Version::Tls12),
        (&["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"], "handshake_failure", Version::Tls12),
    ] {
        let server = SServer::start(&[&RSA], options);
        let error = net().handshake(&to(server.port)).await.unwrap_err();
        assert_eq!(error.reason, FailReason::TlsAlert(alert.into()), "{options:?}");
        let seen = net().hello_in_clear(&target(server.port)).await.unwrap();
        assert_eq!(seen.answer.certificates.unwrap().ders, [RSA.der()], "{options:?}");
        assert_eq!(seen.answer.hello.map(|hello| Version::of(hello.version)), Some(Some(version)));
        assert_eq!(seen.stopped, None);
    }
    let modern = SServer::start(&[&RSA], &["-tls1_3"]);
    let alert = net().hello_in_clear(&target(modern.port)).await.unwrap();
    assert_eq!(alert.stopped.unwrap().reason, FailReason::TlsAlert("protocol_version".into()));
    assert!(alert.answer.certificates.is_none());
}

#[tokio::test]
async fn nginx_is_seen_with_its_whole_chain_and_alpn() {
    let authority = Authority::new();
    let (leaf, key) = authority.issue(&["localhost"]);
    let nginx = Nginx::start_tls(
        "ssl_protocols TLSv1.2; location / { return 200 ok; }",
        &(format!("{leaf}{}", authority.pem()), key),
    );
    let wanted = Handshake { alpn: vec!["h2".into(), "http/1.1".into()], ..to(nginx.port()) };
    let seen = net().handshake(&wanted).await.unwrap();
    assert_eq!((seen.chain.ders.len(), seen.alpn.as_deref()), (2, Some("h2")));
    assert_eq!((seen.signature, seen.stopped), (Signature::Verified, None));
    assert_eq!(seen.group.map(names::group).as_deref(), Some("x25519"));
    // Not one byte was sent over the connection: there was no request.
    assert_eq!(nginx.requests().iter().filter(|line| !line.starts_with("GET / ")).count(), 0);
}

#[tokio::test]
async fn a_server_of_plain_http_is_told_as_such() {
    let nginx = Nginx::start("location / { return 200 ok; }");
    for error in [
        net().handshake(&to(nginx.port())).await.unwrap_err(),
        net().hello_in_clear(&target(nginx.port())).await.unwrap_err(),
    ] {
        assert_eq!(error.phase, Phase::Tls);
        assert!(error.to_string().contains("plain HTTP"), "{error}");
    }
}
