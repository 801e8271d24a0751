//! How a session begins: the same through a pooler, and whatever the environment says.

use sqlx::postgres::PgConnectOptions;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use super::super::link::{Heard, Link, Purpose, heard};
use super::super::server::{SHARED, run};
use super::super::*;
use crate::model::database::Server;

async fn setting(connection: &mut PgConnection, name: &str) -> String {
    let shown = sqlx::query_scalar::<_, String>("SELECT current_setting($1)").bind(name);
    shown.fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn nothing_is_asked_at_the_start_that_a_pooler_refuses() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = Server::Tcp { host: "127.0.0.1".into(), port };
    let access = Access { server, schema: Some("own".into()), ..SHARED.access("a", "b") };
    let connecting = tokio::spawn(async move { Link::new(access).connect(Purpose::Read).await.map(drop) });
    let (mut stream, _) = listener.accept().await.unwrap();
    let length = stream.read_u32().await.unwrap();
    let mut packet = vec![0; usize::try_from(length).unwrap() - 4];
    stream.read_exact(&mut packet).await.unwrap();
    drop(stream);
    assert!(connecting.await.unwrap().is_err());
    // The version of the protocol, then names and values.
    let words: Vec<_> = packet[4..].split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    let mut names: Vec<_> = words.iter().step_by(2).filter(|name| !name.is_empty()).collect();
    names.sort();
    let known = ["DateStyle", "TimeZone", "application_name", "client_encoding", "database", "user"];
    assert_eq!(names, known, "PgBouncer knows these alone");
}

#[tokio::test]
async fn a_session_has_its_limits_before_and_after_a_migration() {
    let access = SHARED.database().await;
    let mut promise = Link::new(access.clone()).connect(Purpose::Promise).await.unwrap();
    for migrated in [false, true] {
        if migrated {
            session::migrate(&Link::new(access.clone()), &mut promise).await.unwrap();
        }
        for (name, expected) in [
            ("lock_timeout", "2s"),
            ("statement_timeout", "10s"),
            ("synchronous_commit", "on"),
            ("tcp_keepalives_idle", "10"),
            ("tcp_user_timeout", "25000"),
            ("idle_in_transaction_session_timeout", "10s"),
        ] {
            assert_eq!(setting(&mut promise, name).await, expected, "{name}, {migrated}");
        }
    }
    let mut copies = Link::new(access).connect(Purpose::Copy).await.unwrap();
    assert_eq!(setting(&mut copies, "idle_in_transaction_session_timeout").await, "0");
}

#[tokio::test]
async fn the_environment_does_not_choose_the_schema() {
    let access = SHARED.database().await;
    // What the library makes of PGOPTIONS.
    let given = || PgConnectOptions::new_without_pgpass().options([("search_path", "elsewhere")]);
    let path = async |access: &Access| {
        let mut connection = Link::from(given(), access.clone()).connect(Purpose::Read).await.unwrap();
        setting(&mut connection, "search_path").await
    };
    assert_eq!(path(&access).await, "\"$user\", public");
    let mut root = SHARED.root("postgres").await;
    for (whose, expected) in [
        (format!("DATABASE {}", access.database), "of_database"),
        (format!("ROLE {}", access.user), "of_role"),
        (format!("ROLE {} IN DATABASE {}", access.user, access.database), "of_both"),
    ] {
        run(&mut root, &format!("ALTER {whose} SET search_path = {expected}, public")).await;
        assert_eq!(path(&access).await, format!("{expected}, public"));
        let mut usual = Link::new(access.clone()).connect(Purpose::Read).await.unwrap();
        assert_eq!(setting(&mut usual, "search_path").await, format!("{expected}, public"));
    }
    assert_eq!(path(&Access { schema: Some("own".into()), ..access }).await, "own");
}

#[test]
fn a_certificate_that_is_not_trusted_is_a_refusal_and_a_cut_connection_says_nothing() {
    use std::io::ErrorKind;
    for (kind, expected) in [
        (ErrorKind::InvalidData, Heard::Refusal),
        (ErrorKind::ConnectionRefused, Heard::Down),
        (ErrorKind::NotFound, Heard::Down),
        (ErrorKind::TimedOut, Heard::Nothing),
        (ErrorKind::UnexpectedEof, Heard::Nothing),
        (ErrorKind::HostUnreachable, Heard::Nothing),
    ] {
        assert_eq!(heard(&sqlx::Error::Io(kind.into())), expected, "{kind:?}");
    }
    assert_eq!(heard(&sqlx::Error::Tls("does not support TLS".into())), Heard::Refusal);
}
