//! Databases of older schemas, and what happens to one whose migration does not come to its end.

use std::borrow::Cow;

use sqlx::Connection as _;
use sqlx::migrate::Migrator;

use super::super::link::{Link, Purpose};
use super::super::server::{PATIENCE, TestServer, run, scalar};
use super::super::session::MIGRATIONS;
use super::super::*;
use crate::record::contract::schemas::{BESIDE, beside, kept, rows};

const DAEMON: Mode = Mode::Daemon { full_sync: true };

/// A database with the first so many migrations, and rows in all of its tables.
async fn old(access: &Access, migrations: usize) {
    let mut connection = Link::new(access.clone()).connect(Purpose::Promise).await.unwrap();
    let first = Cow::Owned(MIGRATIONS.iter().take(migrations).cloned().collect());
    let migrator = Migrator { migrations: first, ..Migrator::DEFAULT };
    migrator.run_direct(None, &mut connection, false).await.unwrap();
    if migrations > 0 {
        days::make(&mut connection, 0).await.unwrap();
    }
    for sql in rows(version(migrations), |digits| format!("'\\x{digits}'")) {
        run(&mut connection, &sql).await;
    }
    connection.close().await.unwrap();
}

fn version(migrations: usize) -> i64 {
    i64::try_from(migrations).unwrap()
}

#[tokio::test]
async fn a_migration_that_is_killed_at_its_end_has_not_happened() {
    let server = TestServer::start(&[], &[]);
    for migrations in 0..MIGRATIONS.iter().count() {
        for crash in [false, true] {
            let access = server.database().await;
            old(&access, migrations).await;
            // What a migration writes last is that it was done.
            let mut other = server.root(&access.database).await;
            let mut held = other.begin().await.unwrap();
            run(&mut held, "LOCK TABLE _sqlx_migrations IN SHARE MODE").await;
            let opening = tokio::spawn({
                let access = access.clone();
                async move { Postgres::open(access, DAEMON).await.map(drop) }
            });
            let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                         AND wait_event_type = 'Lock'";
            let mut watch = server.root(&access.database).await;
            let begun = tokio::time::Instant::now();
            while scalar(&mut watch, waits).await == 0 {
                assert!(begun.elapsed() < PATIENCE && !opening.is_finished(), "does not come to it");
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            // Of the process that migrates, or of the server.
            opening.abort();
            assert!(opening.await.unwrap_err().is_cancelled());
            if crash {
                server.kill();
                server.start_again();
            } else {
                held.rollback().await.unwrap();
            }
            let store = Postgres::open(access.clone(), DAEMON).await.unwrap();
            kept(&store, version(migrations)).await;
            let mut root = server.root(&access.database).await;
            assert_eq!(scalar(&mut root, BESIDE).await, beside(version(migrations)));
            let done = "SELECT count(*) FROM _sqlx_migrations WHERE success";
            assert_eq!(scalar(&mut root, done).await, session::known_schema());
            store.close().await;
        }
    }
}
