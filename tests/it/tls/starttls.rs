//! Real servers that begin in the clear.

use std::path::Path;
use std::process::Command;

use portalwatch::formats::starttls::Protocol;
use portalwatch::formats::tls::Version;
use portalwatch::model::Phase;
use portalwatch::net::{FailReason, Handshake, ScanOptions, Signature, TlsTarget};
use tempfile::TempDir;

use super::s_server::{RSA, SServer};
use super::{net, target};
use crate::peers::{PATIENCE, Postgres, Process, SmtpServer, free_port, poll};

fn spoken(port: u16, protocol: Protocol) -> TlsTarget {
    TlsTarget { starttls: Some(protocol), ..target(port) }
}

#[tokio::test]
async fn exim_is_talked_into_tls_and_scanned() {
    let exim = SmtpServer::start();
    let smtp = spoken(exim.port(), Protocol::Smtp);
    let seen = net().handshake(&Handshake::with(smtp.clone())).await.unwrap();
    assert_eq!((seen.chain.ders.len(), seen.injected), (1, 0));
    assert_eq!((seen.signature, seen.version), (Signature::Verified, Some(Version::Tls13)));
    assert!(seen.starttls.is_some());
    let clear = net().hello_in_clear(&smtp).await.unwrap();
    assert_eq!(clear.answer.certificates.unwrap().ders, seen.chain.ders);
    // exim keeps each connection half a second after a handshake that was not finished; whoever does not
    // wait for its end soon meets "too many connections".
    let options = ScanOptions { connections: 24, at_once: 2 };
    let scan = net().scan_tls(&smtp, options).await.unwrap();
    assert_eq!(scan.incomplete.as_deref(), Some("24 connections are used up"));
    assert!(scan.version(Version::Tls13).unwrap().is_accepted());
    assert!(!scan.version(Version::Tls12).unwrap().suites.is_empty());
}

#[tokio::test]
async fn a_server_of_tls_is_no_server_of_mail() {
    let server = SServer::start(&[&RSA], &[]);
    let impatient =
        TlsTarget { timeout: std::time::Duration::from_millis(300), ..spoken(server.port, Protocol::Smtp) };
    let error = net().handshake(&Handshake::with(impatient)).await.unwrap_err();
    assert_eq!((error.phase, &error.reason), (Phase::Tls, &FailReason::Timeout));
    assert!(error.to_string().contains("before TLS, in smtp"), "{error}");
}

fn postgres(ssl: &str) -> Postgres {
    let files = [("data/server.crt", &*RSA.certificate), ("data/server.key", &*RSA.key)];
    Postgres::start(&[&format!("ssl={ssl}")], &files)
}

#[tokio::test]
async fn postgresql_is_talked_into_tls_and_quoted_when_it_will_not() {
    let server = postgres("on");
    let wanted = spoken(server.port(), Protocol::Postgres);
    let seen = net().handshake(&Handshake::with(wanted.clone())).await.unwrap();
    assert_eq!((seen.chain.ders, seen.signature), (vec![RSA.der()], Signature::Verified));
    let clear = net().hello_in_clear(&wanted).await.unwrap();
    assert_eq!(clear.answer.certificates.unwrap().ders, [RSA.der()]);

    let server = postgres("off");
    let error =
        net().handshake(&Handshake::with(spoken(server.port(), Protocol::Postgres))).await.unwrap_err();
    assert!(matches!(error.reason, FailReason::NoStartTls(_)), "{error}");
}

/// Dovecot with its mail servers on two ports; it has to be started as root.
fn dovecot() -> Option<(Process, TempDir, u16, u16)> {
    let program = Path::new("/usr/sbin/dovecot");
    if !program.is_file() || !rustix::process::geteuid().is_root() {
        return None;
    }
    let dir = TempDir::new().unwrap();
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(dir.path().join("cert.pem"), &RSA.certificate).unwrap();
    std::fs::write(dir.path().join("key.pem"), &RSA.key).unwrap();
    let (imap, pop3) = (free_port(), free_port());
    let config = include_str!("dovecot.conf")
        .replace("@DIR@", dir.path().to_str().unwrap())
        .replace("@IMAP@", &imap.to_string())
        .replace("@POP3@", &pop3.to_string());
    std::fs::write(dir.path().join("dovecot.conf"), config).unwrap();
    let mut command = Command::new(program);
    command.arg("-F").arg("-c").arg(dir.path().join("dovecot.conf"));
    let mut process = Process::start(&mut command, &dir.path().join("log"));
    let up = poll(PATIENCE, || {
        let ended = process.ended().is_some().then_some(false);
        ended.or_else(|| process.log().contains("starting up").then_some(true))
    });
    assert_eq!(up, Some(true), "Dovecot does not start: {}", process.log());
    Some((process, dir, imap, pop3))
}

#[tokio::test]
async fn dovecot_is_seen_whole_although_it_has_no_prime() {
    let Some((server, _dir, imap, pop3)) = dovecot() else {
        println!("skipped: Dovecot is not installed, or this is not root");
        return;
    };
    for (port, protocol) in [(imap, Protocol::Imap), (pop3, Protocol::Pop3)] {
        let wanted = spoken(port, protocol);
        let seen = net().handshake(&Handshake::with(wanted.clone())).await.unwrap();
        assert_eq!((seen.chain.ders, seen.signature), (vec![RSA.der()], Signature::Verified));
        let clear = net().hello_in_clear(&wanted).await.unwrap();
        assert_eq!(clear.answer.certificates.unwrap().ders, [RSA.der()], "{}", server.log());
        let scan = net().scan_tls(&wanted, ScanOptions::default()).await.unwrap();
        assert_eq!(scan.incomplete, None);
        let old = scan.version(Version::Tls12).unwrap();
        // It closes the connection over any suite with a finite field.
        assert!(old.suites.len() > 3 && old.primes.is_empty(), "{:?}", old.suites);
        assert_eq!(scan.fallback_scsv, Some(true));
    }
}
