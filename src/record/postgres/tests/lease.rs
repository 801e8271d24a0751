//! Two daemons on one database: who leads, and what the other one may still do.

use super::super::lease::{Lease, Renewal, Standing};
use super::super::ledger::PostgresLedger;
use super::super::server::{SHARED, TestServer, run, scalar};
use super::super::*;
use crate::model::Ledger as _;
use crate::record::contract::figures::{HOUR, before};
use crate::record::contract::ledger::{FREE, enter, open};
use crate::record::contract::{LEASE, bare, outcome, ran, row, sent, time};
use crate::record::resilient::{Health, Resilient};
use crate::record::{Figures, Recorded};
use crate::stats::rollup::Grain;
use crate::stats::samples::Rules;

fn lease(access: &Access, holder: &str) -> Lease {
    Lease::new(access.clone(), holder.into())
}

/// A daemon that just won the lease.
async fn leader(lease: &mut Lease) -> Arc<Tenure> {
    lease.look().await.unwrap();
    let token = lease.take().await.unwrap().unwrap();
    Arc::new(Tenure::new(token, running() + super::super::lease::LEASE))
}

async fn store(access: &Access, tenure: &Arc<Tenure>) -> Result<Postgres, StoreError> {
    Postgres::lead(access.clone(), true, Arc::clone(tenure)).await
}

/// Lets the lease run out.
async fn expire(access: &Access) {
    run(&mut SHARED.root(&access.database).await, "UPDATE lease SET until = now() - interval '1 s'").await;
}

#[tokio::test]
async fn of_two_daemons_that_want_to_lead_one_does_until_it_lets_go() {
    let access = SHARED.database().await;
    let (mut one, mut two) = (lease(&access, "one"), lease(&access, "two"));
    let looked = tokio::join!(one.look(), two.look());
    assert_eq!((looked.0.unwrap(), looked.1.unwrap()), (Standing::Free, Standing::Free));
    assert!(!Postgres::daemon_at_work(access.clone()).await.unwrap());
    let (first, second) = tokio::join!(one.take(), two.take());
    let (first, second) = (first.unwrap(), second.unwrap());
    assert!(first.is_some() != second.is_some(), "{first:?} {second:?}");
    let (mut leads, mut waits, token) = match (first, second) {
        (Some(token), _) => (one, two, token),
        (_, token) => (two, one, token.unwrap()),
    };
    assert_eq!(waits.look().await.unwrap(), Standing::Held(leads.holder().to_owned()));
    assert!(Postgres::daemon_at_work(access.clone()).await.unwrap());
    assert!(matches!(leads.renew(token).await, Renewal::Kept { others: true }));
    leads.release(token).await.unwrap();
    assert_eq!(waits.look().await.unwrap(), Standing::Free);
    let next = waits.take().await.unwrap().unwrap();
    assert!(next > token);
    let Renewal::Taken(by) = leads.renew(token).await else { panic!("it leads again") };
    assert!(by.contains(waits.holder()) && by.contains('T'), "{by}");
    assert!(matches!(waits.renew(next).await, Renewal::Kept { others: false }), "the first one left");
}

#[tokio::test]
async fn a_lease_that_ran_out_is_renewed_if_nobody_took_it() {
    let access = SHARED.database().await;
    let mut one = lease(&access, "one");
    let tenure = leader(&mut one).await;
    let writes = store(&access, &tenure).await.unwrap();
    expire(&access).await;
    writes.commit(&[ran(outcome("a/b", 1_000))]).await.unwrap();
    assert_eq!(lease(&access, "two").look().await.unwrap(), Standing::Expired);
    assert!(matches!(one.renew(tenure.token()).await, Renewal::Kept { .. }));
    assert_eq!(lease(&access, "two").take().await.unwrap(), None);
}

#[tokio::test]
async fn who_was_replaced_writes_claims_and_sends_nothing_any_more() {
    let access = SHARED.database().await;
    let (mut one, mut two) = (lease(&access, "one"), lease(&access, "two"));
    let old = leader(&mut one).await;
    let replaced = store(&access, &old).await.unwrap();
    replaced.begin(time(0)).await.unwrap();
    let waiting = vec![row("k1", "a/b", "mail", 0)];
    replaced.commit(&[Transition { outbox: waiting, ..ran(outcome("a/b", 1_000)) }]).await.unwrap();
    let ledger = PostgresLedger::of_daemon(access.clone());
    ledger.allow(Arc::clone(&old)).await;
    enter(&ledger, "a/b", "r1", 1_000).await;
    expire(&access).await;
    let new = leader(&mut two).await;
    let leads = store(&access, &new).await.unwrap();

    let fenced = |said: Result<(), StoreError>| {
        let said = said.unwrap_err();
        assert!(matches!(said, StoreError::Fenced { .. }), "{said:?}");
        assert!(said.to_string().contains("another daemon took over: two at "), "{said}");
    };
    let late = Transition { outbox: vec![row("k2", "a/b", "mail", 0)], ..ran(outcome("a/new", 2_000)) };
    fenced(replaced.commit(&[late]).await);
    fenced(replaced.claim(time(5_000), LEASE).await.map(drop));
    fenced(replaced.mark("k1", &["k1".into()]).await);
    fenced(replaced.settle(&[sent("k1", 6_000)]).await);
    fenced(replaced.drop_leases().await);
    fenced(replaced.begin(time(9_000)).await.map(drop));
    fenced(replaced.note_gaps(&[Gap { check: None, from: time(1), to: time(2), why: "x".into() }]).await);
    fenced(replaced.prune(&before(time(99_000))).await.map(drop));
    fenced(replaced.put_rolled(Grain::Hour, &[], None, time(9 * HOUR)).await.map(drop));
    let rules = Rules { every: Duration::from_secs(1), timeout: Duration::from_secs(1) };
    fenced(replaced.note_rules(&[("a/b".into(), rules)]).await);
    fenced(store(&access, &old).await.map(drop));
    let check = "a/c".into();
    let said = ledger.enter(&check, "r2", time(1), time(2), FREE).await.unwrap_err().to_string();
    assert!(said.contains("another daemon took over"), "{said}");
    assert!(ledger.take(&check, time(1), time(2)).await.is_err() && ledger.release("r1").await.is_err());
    assert!(ledger.failed("r1", time(2)).await.is_err());

    let mut root = SHARED.root(&access.database).await;
    for (sql, expected) in [
        ("SELECT count(*) FROM results", 1),
        ("SELECT count(*) FROM checks WHERE name = 'a/new'", 0),
        ("SELECT count(*) FROM checks WHERE every IS NOT NULL", 0),
        ("SELECT count(*) FROM outbox", 1),
        ("SELECT count(*) FROM outbox WHERE settled_at IS NULL AND batch IS NULL AND lease_until IS NULL", 1),
        ("SELECT count(*) FROM gaps", 0),
        ("SELECT count(*) FROM runs", 1),
        ("SELECT count(*) FROM marks", 0),
        ("SELECT count(*) FROM canaries WHERE attempts = 0", 1),
    ] {
        assert_eq!(scalar(&mut root, sql).await, expected, "{sql}");
    }
    let claimed = leads.claim(time(5_000), LEASE).await.unwrap();
    assert_eq!(claimed.len(), 1, "it is the other one's to send");
    let swept = PostgresLedger::of_daemon(access.clone());
    swept.allow(new).await;
    assert_eq!(open(&swept, "a/b").await, ["r1"]);
}

#[tokio::test]
async fn a_take_over_waits_for_the_commit_that_is_under_way_and_a_renewal_does_not() {
    let access = SHARED.database().await;
    let (mut one, mut two) = (lease(&access, "one"), lease(&access, "two"));
    let tenure = leader(&mut one).await;
    two.look().await.unwrap();
    let mut commits = SHARED.root(&access.database).await;
    let mut commit = super::super::lease::begin(&mut commits, tenure.token()).await.unwrap();
    assert!(matches!(one.renew(tenure.token()).await, Renewal::Kept { .. }));
    super::super::lease::fence(&mut commit, tenure.token()).await.unwrap();
    expire(&access).await;
    let said = two.take().await.unwrap_err();
    assert!(matches!(said.why, StoreError::Locked { .. }), "{said:?}");
    commit.commit().await.unwrap();
    assert!(two.take().await.unwrap().is_some());
}

#[tokio::test]
async fn a_server_that_is_down_is_told_from_one_that_cannot_be_reached() {
    let server = TestServer::start(&[], &[]);
    let access = server.database().await;
    let mut one = lease(&access, "one");
    let tenure = leader(&mut one).await;
    server.stop();
    assert!(matches!(one.renew(tenure.token()).await, Renewal::Unclear(_)), "a connection that broke");
    assert!(matches!(one.renew(tenure.token()).await, Renewal::Down));
    server.start_again();
    assert!(matches!(one.renew(tenure.token()).await, Renewal::Kept { .. }));
}

#[tokio::test]
async fn what_was_held_back_by_a_daemon_that_was_replaced_is_dropped_and_nothing_of_it_is_sent() {
    let access = SHARED.database().await;
    let (mut one, mut two) = (lease(&access, "one"), lease(&access, "two"));
    let old = leader(&mut one).await;
    let (to, tenure) = (access.clone(), Arc::clone(&old));
    let opener: crate::record::resilient::Opener = Box::new(move || {
        let (to, tenure) = (to.clone(), Arc::clone(&tenure));
        Box::pin(async move { Ok(Arc::new(Postgres::lead(to, true, tenure).await?) as Arc<dyn Figures>) })
    });
    let held = Resilient::lead(opener, Arc::clone(&old)).await.unwrap();
    let mut root = SHARED.root(&access.database).await;
    let full = "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$";
    run(&mut root, full).await;
    run(&mut root, "CREATE TRIGGER full_disk BEFORE INSERT ON outbox EXECUTE FUNCTION full_disk()").await;
    held.commit(&[Transition { outbox: vec![row("k1", "a/b", "mail", 0)], ..bare("a/b") }]).await.unwrap();
    assert!(matches!(*held.health().borrow(), Health::Degraded { .. }));
    assert_eq!(held.claim(time(1_000), LEASE).await.unwrap().len(), 1, "messages go out meanwhile");
    run(&mut root, "DROP TRIGGER full_disk ON outbox").await;
    expire(&access).await;
    let new = leader(&mut two).await;
    let said = held.try_recover().await.unwrap_err();
    assert!(matches!(said, StoreError::Fenced { .. }), "{said:?}");
    assert!(old.is_lost(), "the daemon is told");
    let missed = Transition {
        result: Some(Recorded::NotCovered { at: time(1), why: "missed".into() }),
        ..bare("a/b")
    };
    assert!(held.commit(&[missed]).await.is_err());
    assert!(held.claim(time(99_000), LEASE).await.is_err());
    assert!(held.mark("k1", &["k1".into()]).await.is_err(), "a message under way is not sent");
    held.close().await;
    assert!(store(&access, &new).await.unwrap().resume().await.unwrap().is_empty());
    assert_eq!(scalar(&mut root, "SELECT count(*) FROM outbox").await, 0);
}

#[tokio::test]
async fn a_daemon_that_cannot_know_whether_it_leads_sends_nothing_from_memory() {
    let access = Access {
        server: crate::model::database::Server::Tcp { host: "127.0.0.1".into(), port: 1 },
        ..SHARED.access("a", "b")
    };
    for (sure, leads) in [(Duration::from_secs(60), true), (Duration::ZERO, false)] {
        let tenure = Arc::new(Tenure::new(7, running() + sure));
        let (to, under) = (access.clone(), Arc::clone(&tenure));
        let opener: crate::record::resilient::Opener = Box::new(move || {
            let (to, tenure) = (to.clone(), Arc::clone(&under));
            Box::pin(async move { Ok(Arc::new(Postgres::lead(to, true, tenure).await?) as Arc<dyn Figures>) })
        });
        let held = Resilient::lead(opener, Arc::clone(&tenure)).await.unwrap();
        let waiting = vec![row("k1", "a/b", "mail", 0)];
        held.commit(&[Transition { outbox: waiting, ..bare("a/b") }]).await.unwrap();
        assert!(!tenure.is_lost(), "the results are held back all the same");
        assert_eq!(held.claim(time(1_000), LEASE).await.is_ok(), leads);
        assert_eq!(held.mark("k1", &["k1".into()]).await.is_ok(), leads);
        tenure.lose("no answer".into());
        assert!(held.claim(time(99_000), LEASE).await.is_err());
        assert!(held.settle(&[sent("k1", 1_000)]).await.is_err());
        held.close().await;
    }
}

#[tokio::test]
async fn a_server_that_refuses_is_told_from_one_that_cannot_be_reached() {
    use crate::model::database::{Encryption, Server};
    let nowhere = |port| Server::Tcp { host: "127.0.0.1".into(), port };
    let known = SHARED.database().await;
    let verified = Encryption::Verified { ca_pem: None };
    let cases = [
        (SHARED.access("locked", "postgres"), true, "password authentication failed"),
        (SHARED.access("postgres", "nowhere"), true, "make it: createdb"),
        (Access { encryption: verified, ..known.clone() }, true, "does not support TLS"),
        (Access { schema: Some("missing".into()), ..known.clone() }, false, ""),
        (Access { server: nowhere(1), ..known.clone() }, false, "connection refused"),
        (
            Access { server: Server::Tcp { host: "nowhere.invalid".into(), port: 1 }, ..known },
            false,
            "connect",
        ),
    ];
    for (access, refused, expected) in cases {
        let mut one = lease(&access, "one");
        if expected.is_empty() {
            assert_eq!(one.look().await.unwrap(), Standing::Free);
            let said = one.take().await.unwrap_err();
            assert!(said.refused && said.why.to_string().contains("CREATE SCHEMA missing"), "{said:?}");
            continue;
        }
        let said = one.look().await.unwrap_err();
        assert!(said.refused == refused && said.why.to_string().contains(expected), "{said:?}");
    }
}

#[tokio::test]
async fn a_server_that_takes_no_write_refuses_the_renewal_and_the_take_alike() {
    let access = SHARED.database().await;
    let (mut one, mut two) = (lease(&access, "one"), lease(&access, "two"));
    let token = leader(&mut one).await.token();
    two.look().await.unwrap();
    let mut root = SHARED.root(&access.database).await;
    run(&mut root, "BEGIN; SELECT * FROM lease FOR UPDATE").await;
    let said = one.renew(token).await;
    assert!(matches!(said, Renewal::Refused(StoreError::Locked { .. })), "{said:?}");
    run(&mut root, "ROLLBACK").await;
    let full = "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$";
    run(&mut root, full).await;
    expire(&access).await;
    run(&mut root, "CREATE TRIGGER full_disk BEFORE UPDATE ON lease EXECUTE FUNCTION full_disk()").await;
    let said = one.renew(token).await;
    assert!(matches!(said, Renewal::Refused(StoreError::Full { .. })), "{said:?}");
    assert_eq!(two.look().await.unwrap(), Standing::Expired);
    let said = two.take().await.unwrap_err();
    assert!(said.refused && matches!(said.why, StoreError::Full { .. }), "{said:?}");
    run(&mut root, "DROP TRIGGER full_disk ON lease").await;
    assert!(matches!(one.renew(token).await, Renewal::Kept { others: true }));
    // Whoever is not let in knows nothing of who is.
    run(&mut root, &format!("ALTER ROLE {} NOLOGIN", access.user)).await;
    one.close().await;
    let said = one.renew(token).await;
    assert!(matches!(said, Renewal::Unclear(_)), "{said:?}");
}

#[tokio::test]
async fn a_take_whose_answer_was_lost_is_made_again_at_once() {
    let access = SHARED.database().await;
    let (mut one, mut two) = (lease(&access, "one"), lease(&access, "two"));
    let lost = leader(&mut one).await;
    assert_eq!(one.look().await.unwrap(), Standing::Ours);
    assert_eq!(two.look().await.unwrap(), Standing::Held("one".into()));
    assert_eq!(two.take().await.unwrap(), None);
    let token = one.take().await.unwrap().unwrap();
    assert!(token > lost.token());
    assert!(matches!(one.renew(token).await, Renewal::Kept { .. }));
    assert!(store(&access, &lost).await.is_err(), "one token leads");
}

#[tokio::test]
async fn whoever_died_is_not_heard_of_by_the_one_that_took_over() {
    let access = SHARED.database().await;
    let (mut died, mut next, mut third) = (lease(&access, "a"), lease(&access, "b"), lease(&access, "c"));
    leader(&mut died).await;
    expire(&access).await;
    let token = leader(&mut next).await.token();
    assert!(matches!(next.renew(token).await, Renewal::Kept { others: false }));
    third.look().await.unwrap();
    expire(&access).await;
    assert!(third.take().await.unwrap().is_some());
    let alive = "SELECT count(*) FROM daemons WHERE name = 'c'";
    assert_eq!(scalar(&mut SHARED.root(&access.database).await, alive).await, 1);
}

#[tokio::test]
async fn nobody_brings_the_schema_up_to_date_while_another_daemon_leads() {
    let access = SHARED.database().await;
    let (mut one, mut two) = (lease(&access, "one"), lease(&access, "two"));
    let mut root = SHARED.root(&access.database).await;
    assert_eq!(one.look().await.unwrap(), Standing::Free);
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(scalar(&mut root, tables).await, 0, "who only looks makes nothing");
    let old = leader(&mut one).await;
    // As a daemon of the version before left it.
    run(&mut root, "DELETE FROM _sqlx_migrations WHERE version = 5").await;
    let schema = "SELECT max(version) FROM _sqlx_migrations";
    assert_eq!(two.look().await.unwrap(), Standing::Held("one".into()));
    assert_eq!(two.take().await.unwrap(), None);
    let said = super::super::beside::prepare(&Link::new(access.clone())).await.unwrap_err().to_string();
    assert!(said.contains("a daemon of an older version leads on this database (one)"), "{said}");
    expire(&access).await;
    let token = two.take().await.unwrap().unwrap();
    assert_eq!(scalar(&mut root, schema).await, 4, "the lease comes first");
    let said = store(&access, &old).await.unwrap_err();
    assert!(matches!(said, StoreError::Fenced { .. }), "{said:?}");
    assert_eq!(scalar(&mut root, schema).await, 4);
    // Who leads migrates. Here that fails, since the tables are there.
    let new = Arc::new(Tenure::new(token, running() + super::super::lease::LEASE));
    let said = store(&access, &new).await.unwrap_err().to_string();
    assert!(said.contains("already exists"), "{said}");
}

#[tokio::test]
async fn a_leader_under_which_the_schema_became_newer_learns_it_and_gives_the_lead_back() {
    let access = SHARED.database().await;
    let (mut one, mut two) = (lease(&access, "one"), lease(&access, "two"));
    let token = leader(&mut one).await.token();
    two.look().await.unwrap();
    let mut root = SHARED.root(&access.database).await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (99, 'later', TRUE, '', 0)";
    run(&mut root, newer).await;
    let said = one.renew(token).await;
    assert!(matches!(said, Renewal::Newer(StoreError::Newer { found: 99, .. })), "{said:?}");
    for unseen in [two.look().await.unwrap_err(), two.take().await.unwrap_err()] {
        assert!(unseen.is_final(), "{unseen:?}");
    }
    // Also on a connection of its own.
    one.close().await;
    one.release(token).await.unwrap();
    assert_eq!(scalar(&mut root, "SELECT count(*) FROM lease WHERE holder IS NULL").await, 1);
}
