//! What every store must do, run over each of them; and the values the tests write.

pub(super) mod figures;
pub(super) mod ledger;
pub(super) mod schemas;

use std::time::Duration;

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::{Cutoffs, Figures, Gap, Recorded, Settled, Store, Transition};
use crate::alert;
use crate::model::{
    Cause, CheckId, Finding, FindingId, Incident, IncidentId, Labels, Notice, OutboxRow, Outcome, Phase,
    Reason, Severity, StepTime, Timings, Verdict,
};

pub(super) const LEASE: Duration = Duration::from_secs(30);

pub(super) fn time(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap()
}

pub(super) fn bare(check: &str) -> Transition {
    Transition {
        check: check.into(),
        result: None,
        state: None,
        memory: None,
        incidents: Vec::new(),
        outbox: Vec::new(),
        removed: false,
    }
}

pub(super) fn outcome(check: &str, at: i64) -> Outcome {
    let mut timings = Timings::default();
    timings.add(Phase::Dns, Duration::from_micros(812));
    timings.add(Phase::Connect, Duration::from_micros(13_402));
    timings.add(Phase::Tls, Duration::from_micros(25_003));
    timings.add(Phase::Ttfb, Duration::from_micros(73_120));
    timings.add(Phase::Transfer, Duration::from_micros(0));
    Outcome {
        check: check.into(),
        at: time(at),
        took: Duration::from_micros(112_337),
        verdict: Verdict::Pass,
        cause: None,
        why: None,
        findings: Vec::new(),
        status: Some(200),
        timings,
        steps: Vec::new(),
        facts: Some(RawValue::from_string(format!("{{\"at\":{at}}}")).unwrap()),
        transport: false,
        recheck: false,
    }
}

pub(super) fn ran(outcome: Outcome) -> Transition {
    Transition {
        result: Some(Recorded::Ran { outcome: outcome.clone(), in_full: outcome.verdict != Verdict::Pass }),
        ..bare(outcome.check.as_str())
    }
}

pub(super) fn finding() -> Finding {
    Finding {
        id: FindingId::new("http.status"),
        subject: "https://acme.example/".into(),
        severity: Severity::Critical,
        broken: true,
        measured: true,
        summary: "answered 502".into(),
        evidence: serde_json::Map::new(),
        reference: None,
    }
}

pub(super) fn incident(check: &str, start: i64) -> Incident {
    let check = CheckId::from(check);
    Incident {
        id: IncidentId::new(&check, time(start)),
        check,
        kind: "http".into(),
        labels: Labels::new(),
        alertname: "http.status".into(),
        severity: Severity::Critical,
        started: time(start),
        opened: time(start + 60),
        last_good: None,
        findings: vec![finding()],
        worst: None,
        ended: None,
        closed: None,
        flapping: false,
        not_recorded: false,
    }
}

pub(super) fn row(key: &str, check: &str, channel: &str, not_before: i64) -> OutboxRow {
    let incident = incident(check, 1_000);
    OutboxRow {
        key: key.into(),
        channel: channel.into(),
        group_key: "{}".into(),
        group_labels: Labels::new(),
        incident: incident.id.clone(),
        not_before: time(not_before),
        paced: None,
        notice: Notice {
            reason: Reason::Opened,
            incident,
            severity_before: None,
            at: time(500),
            confirmed: "3/3".into(),
            reproduce: Vec::new(),
            collapsed: false,
        },
        attempts: 0,
        batch: None,
        unsure: false,
        root: None,
    }
}

pub(super) fn sent(key: &str, at: i64) -> Settled {
    Settled::Sent { key: key.into(), at: time(at), answer: "250 ok".into() }
}

pub(super) async fn claim(store: &dyn Store, now: i64) -> Vec<String> {
    let claimed = store.claim(time(now), LEASE).await.unwrap();
    claimed.into_iter().map(|claimed| claimed.row.key).collect()
}

/// Runs all of it; `store` is empty.
pub(super) async fn holds(store: &dyn Figures) {
    results_read_back(store).await;
    steps_read_back_in_their_order(store).await;
    facts_and_memory_survive(store).await;
    incidents_keep_their_order(store).await;
    rows_are_claimed_in_order(store).await;
    settled_rows_stay_settled(store).await;
    a_marked_row_may_have_been_delivered(store).await;
    later_rows_know_the_message_that_came_first(store).await;
    what_is_not_covered_is_a_gap(store).await;
    old_rows_go(store).await;
    a_removed_check_starts_anew(store).await;
    figures::holds(store).await;
    store.close().await;
}

async fn results_read_back(store: &dyn Figures) {
    let mut failed = outcome("r/one", 3_000);
    failed.verdict = Verdict::Fail;
    failed.findings = vec![finding()];
    let mut unknown = outcome("r/one", 2_000);
    (unknown.verdict, unknown.cause, unknown.status) = (Verdict::Unknown, Some(Cause::LocalDns), None);
    let batch = [ran(failed), ran(unknown), ran(outcome("r/two", 2_000)), ran(outcome("r/one", 1_000))];
    store.commit(&batch).await.unwrap();
    // An ambiguous failure is answered by writing the same batch again.
    store.commit(&batch).await.unwrap();

    let check = CheckId::from("r/one");
    let rows = store.history(&check, time(1_000), time(4_000), 10).await.unwrap();
    let seen: Vec<_> = rows.iter().map(|row| (row.at, row.verdict, row.cause, row.status)).collect();
    let expected = [
        (time(1_000), Verdict::Pass, None, Some(200)),
        (time(2_000), Verdict::Unknown, Some(Cause::LocalDns), None),
        (time(3_000), Verdict::Fail, None, Some(200)),
    ];
    assert_eq!(seen, expected);
    let written = outcome("r/one", 1_000);
    assert_eq!((rows[0].took, rows[0].timings), (written.took, written.timings));
    assert_eq!(rows[2].findings, [finding()]);
    assert_eq!(store.history(&check, time(1_000), time(3_000), 10).await.unwrap().len(), 2);
    assert_eq!(store.history(&check, time(1_000), time(4_000), 1).await.unwrap()[0].at, time(1_000));

    let resumed = store.resume().await.unwrap();
    let last = |name: &str| {
        resumed.iter().find(|resumed| resumed.check.as_str() == name).unwrap().last.as_ref().unwrap().at
    };
    assert_eq!((last("r/one"), last("r/two")), (time(3_000), time(2_000)));
}

async fn steps_read_back_in_their_order(store: &dyn Figures) {
    let step = |name: &str, micros| StepTime { name: name.into(), took: Duration::from_micros(micros) };
    let steps = vec![step("sign in", 120_007), step("créer", 0), step("read it back", 9_000_000)];
    let with = Outcome { steps: steps.clone(), ..outcome("s/one", 2_000) };
    store.commit(&[ran(outcome("s/one", 1_000)), ran(with)]).await.unwrap();
    let rows = store.history(&"s/one".into(), time(0), time(9_000), 9).await.unwrap();
    assert_eq!((&*rows[0].steps, &*rows[1].steps), (&[][..], &*steps));
    assert_eq!(rows[1].timings, rows[0].timings);
    let resumed = store.resume().await.unwrap();
    let resumed = resumed.into_iter().find(|resumed| resumed.check.as_str() == "s/one").unwrap();
    assert_eq!(&*resumed.last.unwrap().steps, &*steps);
}

fn state_with(incident: Incident) -> alert::State {
    serde_json::from_value(serde_json::json!({ "incident": incident })).unwrap()
}

async fn facts_and_memory_survive(store: &dyn Figures) {
    let check = CheckId::from("m/one");
    assert!(store.last_facts(&check).await.unwrap().is_none());
    let memory = RawValue::from_string("{\"seen\":3}".into()).unwrap();
    let state = state_with(incident("m/one", 7_000));
    let first =
        Transition { state: Some(state.clone()), memory: Some(memory), ..ran(outcome("m/one", 10_000)) };
    store.commit(&[first]).await.unwrap();
    let mut failed = outcome("m/one", 20_000);
    failed.verdict = Verdict::Fail;
    store.commit(&[ran(failed)]).await.unwrap();
    let (at, facts) = store.last_facts(&check).await.unwrap().unwrap();
    assert_eq!((at, facts.get()), (time(20_000), "{\"at\":20000}"));
    let resumed = store.resume().await.unwrap();
    let resumed = resumed.into_iter().find(|resumed| resumed.check == check).unwrap();
    assert_eq!(resumed.state, state);
    assert_eq!(resumed.memory.unwrap().get(), "{\"seen\":3}");
}

async fn incidents_keep_their_order(store: &dyn Figures) {
    let open = incident("i/one", 1_000);
    let closed = Incident { ended: Some(time(5_000)), ..open.clone() };
    let later = incident("i/two", 2_000);
    let batch = [
        Transition { incidents: vec![later.clone(), open], ..bare("i/one") },
        Transition { incidents: vec![closed.clone()], ..bare("i/one") },
    ];
    store.commit(&batch).await.unwrap();
    store.commit(&batch).await.unwrap();
    assert_eq!(plain(store.open_incidents().await.unwrap()), std::slice::from_ref(&later));
    let within = async |from, to| plain(store.incidents(time(from), time(to)).await.unwrap());
    assert_eq!(within(0, 9_000).await, [closed.clone(), later.clone()]);
    assert_eq!(within(5_001, 9_000).await, [later]);
    assert_eq!(within(0, 2_000).await, [closed]);
}

/// Whether it was recorded is not the contract's concern: it holds without a disk too.
fn plain(incidents: Vec<Incident>) -> Vec<Incident> {
    incidents.into_iter().map(|incident| Incident { not_recorded: false, ..incident }).collect()
}

async fn rows_are_claimed_in_order(store: &dyn Figures) {
    let rows = vec![
        row("a1", "o/a", "mail", 1_000),
        row("a2", "o/a", "mail", 90_000),
        row("a3", "o/a", "hook", 90_000),
        row("b1", "o/b", "mail", 90_000),
    ];

    store.commit(&[Transition { outbox: rows, ..bare("o/a") }]).await.unwrap();
    assert_eq!(store.pending().await.unwrap(), (4, Some(time(500))));
    assert!(claim(store, 999).await.is_empty());
    // The second row of the queue goes with the first, due or not; so does what waits untried on the
    // channel.
    assert_eq!(claim(store, 1_000).await, ["a1", "a2", "b1"]);
    assert!(claim(store, 30_999).await.is_empty(), "leased");
    assert_eq!(claim(store, 31_000).await, ["a1", "a2", "b1"], "the lease ended");
    store.drop_leases().await.unwrap();
    assert_eq!(claim(store, 31_001).await, ["a1", "a2", "b1"], "the lease was dropped");
    let later = Settled::Later {
        key: "a1".into(),
        not_before: time(50_000),
        attempts: 2,
        batch: Some("batch".into()),
        why: "451".into(),
        unsure: false,
    };
    store.settle(&[later]).await.unwrap();
    assert!(claim(store, 40_000).await.is_empty());
    store.drop_leases().await.unwrap();
    let claimed = store.claim(time(50_000), LEASE).await.unwrap();
    assert_eq!(claimed.len(), 2, "nothing joins what was tried before");
    let first = &claimed[0];
    assert_eq!((first.row.attempts, first.row.batch.as_deref()), (2, Some("batch")));
    assert_eq!(first.row.not_before, time(50_000));
    assert_eq!(first.group_sent, None);
    store.drop_leases().await.unwrap();
}

async fn settled_rows_stay_settled(store: &dyn Figures) {
    let collapsed = Settled::Collapsed { key: "a2".into(), into: "a1".into(), at: time(60_000) };
    let dead = Settled::Dead { key: "a3".into(), at: time(60_000), why: "550".into() };
    store.settle(&[sent("a1", 60_000), collapsed, dead]).await.unwrap();
    assert_eq!(store.pending().await.unwrap().0, 1);
    // A repeated commit does not bring a sent message back.
    let again = Transition { outbox: vec![row("a1", "o/a", "mail", 1_000)], ..bare("o/a") };
    store.commit(&[again]).await.unwrap();
    let claimed = store.claim(time(100_000), LEASE).await.unwrap();
    let seen: Vec<_> = claimed.iter().map(|claimed| (claimed.row.key.as_str(), claimed.group_sent)).collect();
    assert_eq!(seen, [("b1", Some(time(60_000)))]);
    assert_eq!(store.waiting().await.unwrap().len(), 1);
    store.settle(&[sent("b1", 100_000)]).await.unwrap();
    assert_eq!(store.pending().await.unwrap(), (0, None));
}

async fn a_marked_row_may_have_been_delivered(store: &dyn Figures) {
    let rows = vec![row("u1", "o/u", "mail", 1_000), row("u2", "o/u", "mail", 1_000)];
    store.commit(&[Transition { outbox: rows, ..bare("o/u") }]).await.unwrap();
    assert_eq!(claim(store, 1_000).await, ["u1", "u2"]);
    store.mark("first", &["u1".into()]).await.unwrap();
    assert!(claim(store, 1_001).await.is_empty(), "it stays leased");
    store.drop_leases().await.unwrap();
    let marks = async |now| {
        let rows = store.claim(time(now), LEASE).await.unwrap();
        rows.into_iter().map(|one| (one.row.batch, one.row.unsure)).collect::<Vec<_>>()
    };
    assert_eq!(marks(1_002).await, [(Some("first".into()), true), (None, false)]);
    let refused = |unsure| Settled::Later {
        key: "u1".into(),
        not_before: time(1_003),
        attempts: 1,
        batch: Some("first".into()),
        why: "451".into(),
        unsure,
    };
    store.settle(&[refused(true)]).await.unwrap();
    store.drop_leases().await.unwrap();
    assert_eq!(marks(1_003).await[0], (Some("first".into()), true));
    store.settle(&[refused(false)]).await.unwrap();
    store.drop_leases().await.unwrap();
    assert_eq!(marks(1_004).await[0], (Some("first".into()), false));
    store.settle(&[sent("u1", 2_000), sent("u2", 2_000)]).await.unwrap();
    store.mark("other", &["u1".into()]).await.unwrap();
    assert_eq!(store.pending().await.unwrap().0, 0, "what is settled stays so");
}

async fn later_rows_know_the_message_that_came_first(store: &dyn Figures) {
    let roots = async |check: &str, key: &str, channel: &str, at| {
        let mut row = row(key, check, channel, at);
        row.notice.reason = Reason::Updated;
        store.commit(&[Transition { outbox: vec![row], ..bare(check) }]).await.unwrap();
        let claimed = store.claim(time(at), LEASE).await.unwrap();
        claimed.into_iter().map(|one| one.row.root).collect::<Vec<_>>()
    };
    assert_eq!(roots("o/t", "t1", "mail", 1_000).await, [None]);
    store.mark("message", &["t1".into()]).await.unwrap();
    store.settle(&[sent("t1", 1_100)]).await.unwrap();
    assert_eq!(roots("o/t", "t2", "mail", 2_000).await, [Some("message".into())]);
    store.settle(&[sent("t2", 2_100)]).await.unwrap();
    assert_eq!(roots("o/t", "t3", "mail", 3_000).await, [Some("message".into())], "the first, not the last");
    assert_eq!(roots("o/t", "t4", "hook", 3_000).await, [None], "another channel");
    let dead = Settled::Dead { key: "t4".into(), at: time(3_100), why: "550".into() };
    store.settle(&[sent("t3", 3_100), dead]).await.unwrap();
    assert_eq!(roots("o/t", "t5", "hook", 4_000).await, [None], "nothing was delivered");
    store.settle(&[sent("t5", 4_100)]).await.unwrap();
}

async fn what_is_not_covered_is_a_gap(store: &dyn Figures) {
    let missed = Recorded::NotCovered { at: time(200_000), why: "missed".into() };
    store.commit(&[Transition { result: Some(missed), ..bare("g/one") }]).await.unwrap();
    store.begin(time(300_000)).await.unwrap();
    let gap = Gap { check: None, from: time(400_000), to: time(500_000), why: "not_recorded".into() };
    store.note_gaps(std::slice::from_ref(&gap)).await.unwrap();
    let one =
        Gap { check: Some("g/one".into()), from: time(200_000), to: time(200_000), why: "missed".into() };
    let gaps = store.gaps(time(150_000), time(600_000)).await.unwrap();
    assert!(gaps.contains(&one) && gaps.contains(&gap), "{gaps:?}");
    assert_eq!(store.gaps(time(450_000), time(600_000)).await.unwrap(), [gap]);
    assert!(store.history(&"g/one".into(), time(0), time(900_000), 9).await.unwrap().is_empty());
}

async fn old_rows_go(store: &dyn Figures) {
    store.commit(&[ran(outcome("p/one", 1_000)), ran(outcome("p/one", 9_000))]).await.unwrap();
    let cutoffs = Cutoffs { results: time(5_000), incidents: time(5_001), ..figures::nothing_old() };
    assert!(store.prune(&cutoffs).await.unwrap() > 0);
    let rows = store.history(&"p/one".into(), time(0), time(99_000), 9).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.at).collect::<Vec<_>>(), [time(9_000)]);
    let left = store.incidents(time(0), time(9_000)).await.unwrap();
    assert!(!left.is_empty() && left.iter().all(Incident::is_open), "{left:?}");
    assert_eq!(store.prune(&cutoffs).await.unwrap(), 0);
}

async fn a_removed_check_starts_anew(store: &dyn Figures) {
    let check = CheckId::from("m/one");
    store.commit(&[Transition { removed: true, ..bare("m/one") }]).await.unwrap();
    assert!(store.resume().await.unwrap().iter().all(|resumed| resumed.check != check));
    assert!(store.last_facts(&check).await.unwrap().is_none());
    assert_eq!(store.history(&check, time(0), time(99_000), 9).await.unwrap().len(), 2, "its history stays");
    store.commit(&[ran(outcome("m/one", 30_000))]).await.unwrap();
    let resumed = store.resume().await.unwrap();
    let back = resumed.iter().find(|resumed| resumed.check == check).unwrap();
    assert_eq!(back.state, alert::State::default());
    assert!(back.memory.is_none());
}

#[tokio::test]
async fn memory_holds_the_contract() {
    holds(&super::memory::Memory::default()).await;
}
