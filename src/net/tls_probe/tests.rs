//! Scans of servers of the library, and hellos to servers written by hand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustls::{ServerConfig, version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::formats::starttls::Protocol;
use crate::formats::tls::names;
use crate::model::Phase;
use crate::net::fakes::{Authority, net, serve, tls_server};
use crate::net::{FailReason, Origin};

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

fn names_of(numbers: &[u16], name: fn(u16) -> String) -> Vec<String> {
    let mut names: Vec<String> = numbers.iter().map(|number| name(*number)).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_modern_server_is_seen_whole() {
    let authority = Authority::new();
    let issued = authority.issue("a.example", |_| {});
    let address = tls_server(authority.server(&issued, &[], false)).await;
    let scan = net().scan_tls(&target(address), ScanOptions::default()).await.unwrap();
    assert_eq!(scan.incomplete, None);
    let accepted: Vec<Version> =
        scan.versions.iter().filter(|scan| scan.is_accepted()).map(|scan| scan.version).collect();
    assert_eq!(accepted, [Version::Tls12, Version::Tls13]);
    assert!(scan.connections < 50, "{}", scan.connections);

    let new = scan.version(Version::Tls13).unwrap();
    assert_eq!(
        names_of(&new.suites, names::suite),
        ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
    );
    let groups = ["X25519MLKEM768", "secp256r1", "secp384r1", "x25519"];
    assert_eq!(names_of(&new.groups, names::group), groups);

    let old = scan.version(Version::Tls12).unwrap();
    assert_eq!(
        names_of(&old.suites, names::suite),
        [
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        ]
    );
    assert_eq!(names_of(&old.groups, names::group), &groups[1..]);
    assert_eq!(names_of(&old.signatures, names::signature), ["ecdsa_secp256r1_sha256"]);
    assert_eq!(old.chains.len(), 1);
    assert_eq!((old.extended_master_secret, old.compression), (Some(true), Some(false)));
    assert_eq!(old.wants_client, Some(false));
}

#[tokio::test]
async fn a_server_of_one_version_has_nothing_to_fall_back_to() {
    let authority = Authority::new();
    let issued = authority.issue("a.example", |_| {});
    let config = authority.server(&issued, &[], false);
    let only = |version| {
        let mut only = ServerConfig::builder_with_protocol_versions(&[version])
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&config.cert_resolver));
        only.send_tls13_tickets = 0;
        Arc::new(only)
    };
    for (offered, wanted) in [(&version::TLS12, Version::Tls12), (&version::TLS13, Version::Tls13)] {
        let address = tls_server(only(offered)).await;
        let scan = net().scan_tls(&target(address), ScanOptions::default()).await.unwrap();
        let accepted: Vec<Version> =
            scan.versions.iter().filter(|scan| scan.is_accepted()).map(|scan| scan.version).collect();
        assert_eq!((accepted, scan.fallback_scsv), (vec![wanted], None));
    }
}

#[tokio::test]
async fn a_scan_stays_within_its_connections_and_says_so() {
    let authority = Authority::new();
    let issued = authority.issue("a.example", |_| {});
    let address = tls_server(authority.server(&issued, &[], false)).await;
    let options = ScanOptions { connections: 7, at_once: 1 };
    let scan = net().scan_tls(&target(address), options).await.unwrap();
    assert_eq!(scan.connections, 7);
    assert!(scan.incomplete.unwrap().contains("7 connections"));
    let one = ScanOptions { connections: 1, at_once: 1 };
    let scan = net().scan_tls(&target(address), one).await.unwrap();
    let not_asked = scan.versions.iter().filter(|scan| scan.accepted == Acceptance::NotAsked).count();
    assert_eq!(not_asked, 4, "what was not measured is not refused");
}

#[tokio::test]
async fn no_more_connections_are_open_at_once_than_allowed() {
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, peak) = (Arc::clone(&open), Arc::clone(&most));
    let address = serve(move |mut stream| {
        let (open, most) = (Arc::clone(&counted), Arc::clone(&peak));
        async move {
            let present = open.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(present, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 4096]).await;
            tokio::task::yield_now().await;
            open.fetch_sub(1, Ordering::SeqCst);
            let _ = stream.write_all(&[21, 3, 3, 0, 2, 2, 40]).await;
        }
    })
    .await;
    let options = ScanOptions { at_once: 2, ..ScanOptions::default() };
    let scan = net().scan_tls(&target(address), options).await.unwrap();
    assert!(scan.versions.iter().all(|scan| scan.accepted == Acceptance::No("handshake_failure".into())));
    assert!((1..=2).contains(&most.load(Ordering::SeqCst)), "{most:?}");
}

#[tokio::test]
async fn a_dead_or_foreign_address_is_an_error_and_no_refusal() {
    let stalled = serve(|mut stream| async move {
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
    });
    let impatient = TlsTarget { timeout: Duration::from_millis(100), ..target(stalled.await) };
    let error = net().scan_tls(&impatient, ScanOptions::default()).await.unwrap_err();
    assert_eq!((error.phase, error.reason), (Phase::Tls, FailReason::Timeout));

    let http = serve(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    });
    let error = net().scan_tls(&target(http.await), ScanOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("plain HTTP"), "{error}");
}

#[tokio::test]
async fn an_address_is_never_asked_for_as_a_name() {
    let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = Arc::clone(&heard);
    let address = serve(move |mut stream| {
        let kept = Arc::clone(&kept);
        async move {
            let mut buffer = [0; 4096];
            let read = stream.read(&mut buffer).await.unwrap_or(0);
            kept.lock().unwrap().extend_from_slice(&buffer[..read]);
            let _ = stream.write_all(&[21, 3, 3, 0, 2, 2, 40]).await;
        }
    })
    .await;
    for name in ["127.0.0.1", "b.example."] {
        let target = TlsTarget { server_name: Some(name.into()), ..target(address) };
        assert_eq!(net().hello_in_clear(&target).await.unwrap().answer.alert, Some(40));
    }
    let heard = heard.lock().unwrap().clone();
    let has = |part: &[u8]| heard.windows(part.len()).any(|window| window == part);
    assert!(has(b"\x00\x09b.example\x00") && !has(b"127.0.0.1"));
    let wrong = TlsTarget { server_name: Some("a b".into()), ..target(address) };
    assert!(net().hello_in_clear(&wrong).await.is_err());
}

#[tokio::test]
async fn a_mail_server_that_turns_us_away_has_not_refused_a_version() {
    let closing = serve(|stream| async move { drop(stream) });
    let mail = TlsTarget { starttls: Some(Protocol::Smtp), ..target(closing.await) };
    let error = net().scan_tls(&mail, ScanOptions::default()).await.unwrap_err();
    assert_eq!(error.reason, FailReason::Closed);
    assert!(error.detail.contains("before TLS, in smtp"), "{error}");
    // The same end after the hello is a refusal.
    let silent = serve(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
    });
    let scan = net().scan_tls(&target(silent.await), ScanOptions::default()).await.unwrap();
    assert!(scan.versions.iter().all(|scan| scan.accepted == Acceptance::No("closes the connection".into())));
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind], &length[1..], body].concat()
}

/// A flight of TLS 1.0 with static RSA and this chain, which ends before ServerHelloDone if it is cut.
fn old_flight(ders: &[Vec<u8>], cut: bool) -> Vec<u8> {
    let hello = [&[3, 1][..], &[7; 32], &[0, 0, 0x2f, 0]].concat();
    let mut list = Vec::new();
    for der in ders {
        list.extend_from_slice(&u32::try_from(der.len()).unwrap().to_be_bytes()[1..]);
        list.extend_from_slice(der);
    }
    let list = [&u32::try_from(list.len()).unwrap().to_be_bytes()[1..], &list].concat();
    let mut all = [message(2, &hello), message(11, &list)].concat();
    if !cut {
        all.extend(message(14, &[]));
    }
    let records = all.chunks(16000).map(|chunk| {
        let length = u16::try_from(chunk.len()).unwrap().to_be_bytes();
        [&[22, 3, 1], &length[..], chunk].concat()
    });
    records.collect::<Vec<_>>().concat()
}

async fn old_server(flight: Vec<u8>, stall: bool) -> SocketAddr {
    let flight = Arc::new(flight);
    serve(move |mut stream| {
        let flight = Arc::clone(&flight);
        async move {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(&flight).await;
            if stall {
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn what_a_server_chooses_and_fails_at_does_not_hide_the_rest() {
    // Takes the client's favourite, as Dovecot does, and closes at finite fields for want of a prime.
    let address = serve(|mut stream| async move {
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).await.unwrap_or(0);
        // After headers, version, random and an empty session id: the suites.
        let length = usize::from(u16::from_be_bytes([buffer[44], buffer[45]]));
        let offered: Vec<u16> =
            buffer[46..read][..length].chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        let is_tls12 = buffer[9..11] == [3, 3];
        let known = [0x009e, 0x002f, 0x003c];
        match offered.iter().find(|suite| is_tls12 && known.contains(*suite)) {
            Some(0x009e) => {}
            Some(suite) => {
                let hello = [&[3, 3][..], &[7; 32], &[0], &suite.to_be_bytes(), &[0]].concat();
                let flight = [message(2, &hello), message(11, &[0, 0, 0]), message(14, &[])].concat();
                let length = u16::try_from(flight.len()).unwrap().to_be_bytes();
                let _ = stream.write_all(&[&[22, 3, 3], &length[..], &flight].concat()).await;
            }
            None => {
                let _ = stream.write_all(&[21, 3, 3, 0, 2, 2, 40]).await;
            }
        }
    })
    .await;
    let scan = net().scan_tls(&target(address), ScanOptions::default()).await.unwrap();
    let old = scan.version(Version::Tls12).unwrap();
    assert_eq!(
        names_of(&old.suites, names::suite),
        ["TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_RSA_WITH_AES_128_CBC_SHA256"]
    );
}

#[tokio::test]
async fn the_chain_of_a_server_too_old_for_the_library_is_seen() {
    let ders = vec![vec![1; 800], vec![2; 900]];
    let seen = net().hello_in_clear(&target(old_server(old_flight(&ders, false), true).await)).await.unwrap();
    assert_eq!(seen.answer.certificates.unwrap().ders, ders);
    let hello = seen.answer.hello.unwrap();
    assert_eq!((Version::of(hello.version), hello.suite), (Some(Version::Tls10), 0x2f));
    assert!(seen.stopped.is_none());
}

#[tokio::test]
async fn a_chain_that_is_followed_by_nothing_is_kept() {
    let flight = old_flight(&[vec![1; 800]], true);
    let cut = net().hello_in_clear(&target(old_server(flight.clone(), false).await)).await.unwrap();
    assert_eq!(cut.stopped.unwrap().reason, FailReason::Closed);
    assert_eq!(cut.answer.certificates.unwrap().ders.len(), 1);
    let stalled = TlsTarget { timeout: Duration::from_millis(300), ..target(old_server(flight, true).await) };
    let cut = net().hello_in_clear(&stalled).await.unwrap();
    assert_eq!(cut.stopped.unwrap().reason, FailReason::Timeout);
    assert_eq!(cut.answer.certificates.unwrap().ders.len(), 1);
}

#[tokio::test]
async fn a_flood_of_large_certificates_is_bounded() {
    let flood = old_flight(&vec![vec![1; 60_000]; 110], false);
    let seen = net().hello_in_clear(&target(old_server(flood, true).await)).await.unwrap();
    let chain = seen.answer.certificates.unwrap();
    assert_eq!((chain.ders.len(), chain.left_out), (100, 10));
    let flood = old_flight(&vec![vec![1; 64 * 1024]; 130], false);
    let seen = net().hello_in_clear(&target(old_server(flood, true).await)).await.unwrap();
    assert!(seen.answer.certificates.is_none());
    assert!(seen.stopped.unwrap().to_string().contains("too long"));
}
