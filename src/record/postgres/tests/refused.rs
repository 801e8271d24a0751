//! Who is not let in, and what is said to them.

use super::super::server::{SHARED, TestServer, run, scalar};
use super::super::session::known_schema;
use super::super::*;
use crate::model::Secret;
use crate::model::database::{Encryption, Server};
use crate::record::contract::figures::before;
use crate::record::contract::{outcome, ran, time};

const DAEMON: Mode = Mode::Daemon { full_sync: true };

async fn said(access: &Access) -> String {
    Postgres::open(access.clone(), DAEMON).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_second_daemon_is_refused_and_a_reader_is_not() {
    let access = SHARED.database().await;
    let store = Postgres::open(access.clone(), DAEMON).await.unwrap();
    store.commit(&[ran(outcome("a/b", 1_000))]).await.unwrap();
    let refused = Postgres::open(access.clone(), DAEMON).await.unwrap_err();
    assert!(matches!(refused, StoreError::Locked { .. }), "{refused}");
    assert!(refused.to_string().contains("another portalwatch daemon uses this database"), "{refused}");
    let reader = Postgres::open(access.clone(), Mode::Reader).await.unwrap();
    assert_eq!(reader.resume().await.unwrap().len(), 1);
    let refused = reader.commit(&[ran(outcome("a/b", 2_000))]).await.unwrap_err();
    assert!(matches!(refused, StoreError::ReadOnly { .. }), "{refused}");
    assert!(reader.prune(&before(time(9_000))).await.is_err());
    store.close().await;
    Postgres::open(access, DAEMON).await.unwrap().close().await;
}

#[tokio::test]
async fn two_daemons_may_share_a_database_in_schemas_of_their_own() {
    let access = SHARED.database().await;
    let mut root = SHARED.root(&access.database).await;
    run(&mut root, &format!("CREATE SCHEMA monitor AUTHORIZATION {}", access.user)).await;
    let own = Access { schema: Some("monitor".into()), ..access.clone() };
    let (one, two) =
        (Postgres::open(access.clone(), DAEMON).await.unwrap(), Postgres::open(own, DAEMON).await.unwrap());
    one.commit(&[ran(outcome("a/b", 1_000))]).await.unwrap();
    assert!(two.resume().await.unwrap().is_empty());
    assert_eq!(scalar(&mut root, "SELECT count(*) FROM public.checks").await, 1);
    let missing = Access { schema: Some("nowhere".into()), ..access };
    let said = said(&missing).await;
    assert!(said.contains("CREATE SCHEMA nowhere AUTHORIZATION"), "{said}");
    one.close().await;
    two.close().await;
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_as_it_is() {
    let access = SHARED.database().await;
    Postgres::open(access.clone(), DAEMON).await.unwrap().close().await;
    let mut root = SHARED.root(&access.database).await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (99, 'later', TRUE, '', 0)";
    run(&mut root, newer).await;
    for mode in [DAEMON, Mode::Reader] {
        let refused = Postgres::open(access.clone(), mode).await.unwrap_err();
        assert!(matches!(refused, StoreError::Newer { found: 99, .. }), "{refused}");
    }
    assert_eq!(scalar(&mut root, "SELECT count(*) FROM _sqlx_migrations").await, known_schema() + 1);
}

#[tokio::test]
async fn a_reader_of_an_empty_database_learns_who_makes_the_tables() {
    let said = Postgres::open(SHARED.database().await, Mode::Reader).await.unwrap_err().to_string();
    assert!(said.ends_with("holds no store of portalwatch; a daemon makes one when it starts"), "{said}");
}

#[tokio::test]
async fn who_cannot_connect_learns_why_and_never_reads_the_password() {
    let mut root = SHARED.root("postgres").await;
    run(&mut root, "DROP ROLE IF EXISTS locked").await;
    run(&mut root, "CREATE ROLE locked LOGIN PASSWORD 'correct'").await;
    let secret = |password: &str| Some(Secret::new(password, "test"));
    let wrong = Access { password: secret("hunter2"), ..SHARED.access("locked", "postgres") };
    let none = Access { password: None, ..wrong.clone() };
    let missing = Access { password: secret("hunter2"), ..SHARED.access("postgres", "nowhere") };
    let port = free_port();
    let refused = Access { server: Server::Tcp { host: "127.0.0.1".into(), port }, ..wrong.clone() };
    let folder = SHARED.dir.join("empty");
    let no_socket = Access { server: Server::Socket { folder, port: 5432 }, ..wrong.clone() };
    let no_name =
        Access { server: Server::Tcp { host: "nowhere.invalid".into(), port: 5432 }, ..wrong.clone() };
    let cases = [
        (&wrong, "password authentication failed for user \"locked\"; check the user in storage.url"),
        (&none, "password authentication failed"),
        (&missing, "make it: createdb -O postgres nowhere"),
        (&refused, "connection refused; is PostgreSQL running there?"),
        (&no_socket, "no such socket; is PostgreSQL running there?"),
        (&no_name, "connect to nowhere.invalid:5432: "),
    ];
    for (access, expected) in cases {
        let said = said(access).await;
        assert!(said.contains(expected) && !said.contains("hunter2"), "{expected}: {said}");
        assert!(said.starts_with(&access.place()), "{said}");
    }
    let right = Access { password: secret("correct"), ..wrong };
    Link::new(right).connect(Purpose::Read).await.unwrap();
}

/// A port that nothing listens on.
fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn a_role_that_may_not_make_tables_is_told_so() {
    let access = SHARED.database().await;
    let mut root = SHARED.root("postgres").await;
    run(&mut root, &format!("CREATE ROLE poor_{} LOGIN", access.database)).await;
    let poor = Access { user: format!("poor_{}", access.database), ..access };
    let refused = Postgres::open(poor, DAEMON).await.unwrap_err();
    assert!(matches!(refused, StoreError::ReadOnly { .. }), "{refused:?}");
    assert!(refused.to_string().contains("permission denied for schema public"), "{refused}");
}

#[tokio::test]
async fn a_server_that_shows_no_certificate_of_ours_gets_no_word_of_us() {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    let ca = params.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::new(params, key);
    let leaf_key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
    let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap();
    let files = [("data/server.crt", leaf.pem()), ("data/server.key", leaf_key.serialize_pem())];
    let server = TestServer::start(&["ssl=on"], &files.each_ref().map(|(name, text)| (*name, text.as_str())));
    let plain = server.database().await;
    let at = |host: &str, ca_pem: Option<&str>| Access {
        server: Server::Tcp { host: host.into(), port: server.port },
        encryption: Encryption::Verified { ca_pem: ca_pem.map(Into::into) },
        ..plain.clone()
    };
    let unknown = said(&at("localhost", None)).await;
    assert!(unknown.contains("certificate") && unknown.contains("write storage.tls.ca_file"), "{unknown}");
    let misnamed = said(&at("127.0.0.1", Some(&ca.pem()))).await;
    assert!(misnamed.contains("which has to name the host"), "{misnamed}");
    let trusted = at("localhost", Some(&ca.pem()));
    let store = Postgres::open(trusted, DAEMON).await.unwrap();
    let mut root = server.root(&plain.database).await;
    let encrypted = "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) \
                     WHERE s.ssl AND a.application_name = 'portalwatch'";
    assert!(scalar(&mut root, encrypted).await > 0);
    store.close().await;
    // A server without TLS is no server for who wants it.
    let clear = Access {
        server: Server::Tcp { host: "localhost".into(), port: SHARED.port },
        encryption: Encryption::Verified { ca_pem: None },
        ..SHARED.access("postgres", "postgres")
    };
    let clear = said(&clear).await;
    assert!(clear.contains("does not support TLS"), "{clear}");
}
