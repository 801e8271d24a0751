//! Connections that are cut, servers that go away, and what is left of it: everything, once.

use std::sync::atomic::{AtomicU8, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::super::server::{PATIENCE, SHARED, TestServer, run, scalar};
use super::super::*;
use crate::model::OutboxRow;
use crate::model::database::Server;
use crate::record::Figures;
use crate::record::contract::{LEASE, bare, claim, holds, incident, outcome, ran, row, sent, time};
use crate::record::resilient::{Health, Opener, Resilient};

const DAEMON: Mode = Mode::Daemon { full_sync: true };

/// Opens it as a daemon that goes on leading.
fn opener(access: &Access) -> Opener {
    let access = access.clone();
    let led = Arc::new(Mutex::new(None));
    Box::new(move || {
        let (access, led) = (access.clone(), Arc::clone(&led));
        Box::pin(async move {
            let mut led = led.lock().await;
            let tenure = match led.as_mut() {
                None => {
                    let mut lease = Lease::new(access.clone(), "first".into());
                    lease.look().await?;
                    let token = lease.take().await?.unwrap();
                    let tenure = Arc::new(Tenure::new(token, running() + lease::LEASE));
                    *led = Some((lease, Arc::clone(&tenure)));
                    tenure
                }
                Some((lease, tenure)) => {
                    let tenure: &Arc<Tenure> = tenure;
                    lease.renew(tenure.token()).await;
                    Arc::clone(tenure)
                }
            };
            Ok(Arc::new(Postgres::lead(access, true, tenure).await?) as Arc<dyn Figures>)
        })
    })
}

/// As if the daemon had given its lead back.
async fn free(root: &mut PgConnection) {
    run(root, "UPDATE lease SET holder = NULL, until = '-infinity'").await;
}

#[tokio::test]
async fn with_memory_behind_it_it_holds_the_contract() {
    holds(&Resilient::open(opener(&SHARED.database().await)).await.unwrap()).await;
}

/// Tries again until the store works.
async fn recovered(store: &Resilient) {
    let begun = Instant::now();
    while let Err(why) = store.try_recover().await {
        assert!(begun.elapsed() < PATIENCE, "{why}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(*store.health().borrow(), Health::Ok);
}

/// Something of everything, at `at`.
fn life(key: &str, at: i64) -> Transition {
    let outbox: Vec<OutboxRow> = vec![row(key, "a/b", "mail", 0)];
    Transition { incidents: vec![incident("a/b", at)], outbox, ..ran(outcome("a/b", at)) }
}

async fn starts(store: &dyn Store) -> Vec<i64> {
    let rows = store.history(&"a/b".into(), time(0), time(999_999), 999).await.unwrap();
    rows.iter().map(|row| row.at.as_millisecond()).collect()
}

#[tokio::test]
async fn a_session_that_ended_between_two_commits_is_made_again() {
    let access = SHARED.database().await;
    let store = Postgres::open(access.clone(), DAEMON).await.unwrap();
    store.begin(time(0)).await.unwrap();
    store.commit(&[ran(outcome("a/b", 1_000))]).await.unwrap();
    assert_eq!(starts(&store).await, [1_000]);
    end_sessions(&access).await;
    store.commit(&[ran(outcome("a/b", 20_000))]).await.unwrap();
    assert_eq!(starts(&store).await, [1_000, 20_000]);
    let mut root = SHARED.root(&access.database).await;
    assert_eq!(scalar(&mut root, "SELECT seen FROM runs").await, 20_000, "it is still the same daemon");
    let refused = Postgres::open(access, DAEMON).await.unwrap_err();
    assert!(matches!(refused, StoreError::Locked { .. }), "{refused}");
}

async fn end_sessions(access: &Access) {
    let mut root = SHARED.root(&access.database).await;
    let end = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE datname = '{}' AND pid <> pg_backend_pid()",
        access.database
    );
    assert!(scalar(&mut root, &end).await > 0);
}

#[tokio::test]
async fn a_lock_that_lasts_is_told_apart_and_the_next_commit_works() {
    let access = SHARED.database().await;
    let store = Postgres::open(access.clone(), DAEMON).await.unwrap();
    let mut other = SHARED.root(&access.database).await;
    run(&mut other, "BEGIN; LOCK TABLE outbox").await;
    let refused = store.commit(&[life("k1", 1_000)]).await.unwrap_err();
    assert!(matches!(refused, StoreError::Locked { .. }), "{refused:?}");
    run(&mut other, "ROLLBACK").await;
    store.commit(&[life("k1", 1_000)]).await.unwrap();
    assert_eq!(claim(&store, 5_000).await, ["k1"]);
}

#[tokio::test]
async fn another_database_under_the_same_name_is_noticed_and_gets_what_memory_holds() {
    let access = SHARED.database().await;
    let store = Resilient::open(opener(&access)).await.unwrap();
    store.commit(&[life("k1", 1_000)]).await.unwrap();
    let mut root = SHARED.root("postgres").await;
    run(&mut root, &format!("DROP DATABASE {} WITH (FORCE)", access.database)).await;
    run(&mut root, &format!("CREATE DATABASE {0} OWNER {1}", access.database, access.user)).await;
    store.commit(&[life("k2", 2_000)]).await.unwrap();
    assert!(matches!(*store.health().borrow(), Health::Degraded { .. }));
    recovered(&store).await;
    let mut kept = store.open_incidents().await.unwrap();
    kept.sort_by_key(|one| one.started);
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert_eq!(claim(&store, 9_000).await, ["k1", "k2"]);
}

#[tokio::test]
async fn a_server_that_goes_away_and_comes_back_loses_nothing() {
    let server = TestServer::start(&[], &[]);
    let access = server.database().await;
    let store = Resilient::open(opener(&access)).await.unwrap();
    store.begin(time(0)).await.unwrap();
    store.commit(&[life("k1", 1_000)]).await.unwrap();
    server.stop();
    store.commit(&[life("k2", 2_000)]).await.unwrap();
    assert!(store.try_recover().await.is_err());
    let why = match &*store.health().borrow() {
        Health::Degraded { why, .. } => why.clone(),
        Health::Ok => panic!("nothing is said"),
    };
    assert!(why.contains(&access.place()), "{why}");
    assert_eq!(claim(&store, 5_000).await, ["k1", "k2"], "messages go out meanwhile");
    store.settle(&[sent("k1", 6_000)]).await.unwrap();
    server.start_again();
    recovered(&store).await;
    // And a crash.
    server.kill();
    store.commit(&[life("k3", 3_000)]).await.unwrap();
    server.start_again();
    recovered(&store).await;
    store.close().await;
    free(&mut server.root(&access.database).await).await;
    let after = Postgres::open(access.clone(), DAEMON).await.unwrap();
    assert_eq!(starts(&after).await, [1_000, 2_000, 3_000]);
    after.drop_leases().await.unwrap();
    assert_eq!(claim(&after, 9_000).await, ["k2", "k3"]);
    let mut root = server.root(&access.database).await;
    assert_eq!(scalar(&mut root, "SELECT count(*) FROM outbox").await, 3);
}

/// What a proxy does to the next COMMIT.
const NOTHING: u8 = 0;
/// The connection is cut before the server gets it.
const BEFORE: u8 = 1;
/// The connection is cut when the server has answered, before the answer arrives.
const AFTER: u8 = 2;
/// The connection that says anything next is heard no more, and stays open on both sides.
const SWALLOW: u8 = 3;

/// A proxy that cuts connections in the middle of a commit.
struct Proxy {
    port: u16,
    cut: Arc<AtomicU8>,
}

impl Proxy {
    async fn start(to: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut = Arc::new(AtomicU8::new(NOTHING));
        let shared = Arc::clone(&cut);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, to, Arc::clone(&shared)));
            }
        });
        Self { port, cut }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's own proxy")]
async fn relay(mut client: TcpStream, to: u16, cut: Arc<AtomicU8>) -> std::io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", to)).await?;
    let (mut asked, mut said) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let read = read?;
                if read == 0 {
                    return Ok(());
                }
                let bytes = &asked[..read];
                if cut.compare_exchange(SWALLOW, NOTHING, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                    std::future::pending::<()>().await;
                }
                let commits = bytes.windows(7).any(|window| window == b"COMMIT\0");
                match if commits { cut.swap(NOTHING, Ordering::SeqCst) } else { NOTHING } {
                    BEFORE => return Ok(()),
                    AFTER => {
                        server.write_all(bytes).await?;
                        let answered = server.read(&mut said).await?;
                        assert!(answered > 0);
                        return Ok(());
                    }
                    _ => server.write_all(bytes).await?,
                }
            }
            read = server.read(&mut said) => {
                let read = read?;
                if read == 0 {
                    return Ok(());
                }
                client.write_all(&said[..read]).await?;
            }
        }
    }
}

#[tokio::test]
async fn a_commit_of_which_nobody_knows_how_it_ended_is_there_exactly_once() {
    for how in [BEFORE, AFTER] {
        let access = SHARED.database().await;
        let proxy = Proxy::start(SHARED.port).await;
        let through =
            Access { server: Server::Tcp { host: "127.0.0.1".into(), port: proxy.port }, ..access.clone() };
        let store = Resilient::open(opener(&through)).await.unwrap();
        store.commit(&[life("k1", 1_000)]).await.unwrap();
        proxy.cut.store(how, Ordering::SeqCst);
        let mut closed = incident("a/b", 1_000);
        closed.ended = Some(time(1_500));
        store.commit(&[Transition { incidents: vec![closed], ..life("k2", 2_000) }]).await.unwrap();
        assert_eq!(proxy.cut.load(Ordering::SeqCst), NOTHING, "it was cut");
        assert!(matches!(*store.health().borrow(), Health::Degraded { .. }));
        store.commit(&[life("k3", 3_000)]).await.unwrap();
        recovered(&store).await;
        store.close().await;
        free(&mut SHARED.root(&access.database).await).await;
        let after = Postgres::open(access.clone(), DAEMON).await.unwrap();
        assert_eq!(starts(&after).await, [1_000, 2_000, 3_000], "{how}");
        assert_eq!(claim(&after, 9_000).await, ["k1", "k2", "k3"], "{how}");
        let open: Vec<_> = after.open_incidents().await.unwrap().iter().map(|one| one.started).collect();
        assert_eq!(open, [time(3_000)], "{how}: what ended stays so");
        let mut root = SHARED.root(&access.database).await;
        assert_eq!(scalar(&mut root, "SELECT count(*) FROM checks").await, 1);
        after.close().await;
    }
}

#[tokio::test]
async fn a_network_that_swallows_a_session_costs_seconds_and_locks_nobody_out() {
    let access = SHARED.database().await;
    let proxy = Proxy::start(SHARED.port).await;
    let through =
        Access { server: Server::Tcp { host: "127.0.0.1".into(), port: proxy.port }, ..access.clone() };
    let store = Postgres::open(through, DAEMON).await.unwrap();
    store.commit(&[life("k1", 1_000)]).await.unwrap();
    proxy.cut.store(SWALLOW, Ordering::SeqCst);
    let begun = Instant::now();
    // The server still believes in the session, and in its lock.
    store.commit(&[life("k2", 2_000)]).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(proxy.cut.load(Ordering::SeqCst), NOTHING, "one was swallowed");
    assert_eq!(starts(&store).await, [1_000, 2_000]);
    let mut root = SHARED.root(&access.database).await;
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted \
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    assert_eq!(scalar(&mut root, locks).await, 0);
    proxy.cut.store(SWALLOW, Ordering::SeqCst);
    let reader = starts(&store).await;
    assert_eq!(reader, [1_000, 2_000], "a page is read all the same");
}

#[tokio::test]
async fn a_settlement_of_which_nobody_knows_how_it_ended_sends_nothing_twice() {
    let access = SHARED.database().await;
    let proxy = Proxy::start(SHARED.port).await;
    let through = Access { server: Server::Tcp { host: "127.0.0.1".into(), port: proxy.port }, ..access };
    let store = Resilient::open(opener(&through)).await.unwrap();
    let rows = vec![row("k1", "a/b", "mail", 0), row("k2", "a/c", "mail", 0)];
    store.commit(&[Transition { outbox: rows, ..bare("a/b") }]).await.unwrap();
    for (how, key) in [(BEFORE, "k1"), (AFTER, "k2")] {
        proxy.cut.store(how, Ordering::SeqCst);
        store.settle(&[sent(key, 1_000)]).await.unwrap();
        recovered(&store).await;
    }
    assert_eq!(store.pending().await.unwrap(), (0, None));
    assert!(store.claim(time(9_000), LEASE).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_caller_that_goes_away_in_the_middle_leaves_nothing_half_done() {
    let access = SHARED.database().await;
    let store = Postgres::open(access, DAEMON).await.unwrap();
    store.commit(&[ran(outcome("a/b", 500))]).await.unwrap();
    for polls in 0..12 {
        let batch = [life(&format!("k{polls}"), 1_000 + polls)];
        let mut commit = store.commit(&batch);
        for _ in 0..=polls {
            if futures_util::poll!(&mut commit).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(commit);
        store.commit(&batch).await.unwrap();
    }
    assert_eq!(starts(&store).await.len(), 13);
    assert_eq!(store.pending().await.unwrap().0, 12);
}
