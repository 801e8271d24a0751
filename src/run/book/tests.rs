//! What a kind remembers when a reload changes its check.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::value::to_raw_value;

use super::*;
use crate::clock::SystemClock;
use crate::model::{Confirm, FindingDoc, Timings};
use crate::probe::{Ctx, Judgement, Kind, Observed, Past, Problem, Scope, Unmeasured, probe};
use crate::record::{Ran, Store, memory};
use crate::run::fakes::{Does, Fake, planned};
use crate::stats::recent::Base;

/// Remembers a refused password, and something that has nothing to do with it.
struct Guarded;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Learned {
    refused: bool,
    seen: u32,
}

impl Kind for Guarded {
    const NAME: &'static str = "guarded";
    const EXAMPLE: &'static str = "guarded: {}\n";
    const FINDINGS: &'static [FindingDoc] = &[];
    const CONFIRM: Confirm = Confirm { failures: 1, successes: 1, recheck: None };
    type Spec = ();
    type Facts = ();
    type Memory = Learned;

    fn settings_changed(memory: Learned) -> Learned {
        Learned { refused: false, ..memory }
    }

    fn validate((): &(), _: &Scope) -> Vec<Problem> {
        Vec::new()
    }

    fn hosts((): &(), _: &Scope) -> Vec<String> {
        Vec::new()
    }

    async fn observe((): &(), _: &Ctx<'_>, _: &Past<Self>) -> Result<Observed<()>, Unmeasured> {
        Err(Unmeasured { cause: Cause::Config, why: "nothing is looked at here".to_owned() })
    }

    fn judge((): &(), (): &(), past: &Past<Self>, _: Timestamp) -> Judgement<Self> {
        Judgement { findings: Vec::new(), memory: past.memory.clone(), unknown: None }
    }

    fn reproduce((): &(), _: &Scope) -> Vec<String> {
        Vec::new()
    }
}

fn fake() -> Arc<Fake> {
    Fake::new(Does::Pass, Duration::ZERO)
}

fn guarded(fingerprint: u64) -> Arc<PlannedCheck> {
    let fake = planned("home", Duration::from_secs(60), true, fake());
    Arc::new(PlannedCheck { kind: "guarded", probe: probe::<Guarded>(()), fingerprint, ..fake })
}

fn other_kind(fingerprint: u64) -> Arc<PlannedCheck> {
    Arc::new(PlannedCheck { fingerprint, ..planned("home", Duration::from_secs(60), true, fake()) })
}

fn learned(memory: &Memory) -> Learned {
    memory.as_ref().and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

/// The end of a run of a check with that fingerprint, that learned something.
fn refused(fingerprint: u64) -> Pass {
    let at = Timestamp::UNIX_EPOCH;
    let outcome = Outcome {
        check: CheckId::new("acme", "home"),
        at,
        took: Duration::ZERO,
        verdict: Verdict::Pass,
        cause: None,
        why: None,
        findings: Vec::new(),
        status: None,
        timings: Timings::default(),
        steps: Vec::new(),
        facts: None,
        transport: false,
        recheck: false,
    };
    let memory = to_raw_value(&Learned { refused: true, seen: 7 }).ok();
    Pass { outcome, ended: at, memory, fingerprint }
}

struct Books {
    store: Arc<memory::Memory>,
    desk: Desk,
}

impl Books {
    fn open() -> Self {
        let store = Arc::new(memory::Memory::default());
        let (writer, _) = Writer::spawn(Arc::clone(&store) as Arc<dyn Store>);
        Self {
            store,
            desk: Desk { writer, live: Arc::default(), clock: Arc::new(SystemClock), figures: true },
        }
    }

    /// What a daemon that starts after this one would find.
    async fn kept(self) -> Learned {
        self.desk.writer.flush().await;
        let resumed = self.store.resume().await.unwrap();
        resumed.first().map(|resumed| learned(&resumed.memory)).unwrap_or_default()
    }
}

#[tokio::test]
async fn a_new_password_ends_what_the_old_one_was_refused_for_also_after_a_restart() {
    let books = Books::open();
    let mut entry = Entry::new(guarded(1), None, &books.desk);
    entry.result(refused(1), false, &books.desk);
    assert_eq!(learned(entry.memory()), Learned { refused: true, seen: 7 });
    entry.replan(guarded(2), &books.desk);
    assert_eq!(learned(entry.memory()), Learned { refused: false, seen: 7 });
    assert_eq!(books.kept().await, Learned { refused: false, seen: 7 });
}

#[tokio::test]
async fn a_reload_that_leaves_the_settings_as_they_were_ends_no_guard() {
    let books = Books::open();
    let mut entry = Entry::new(guarded(1), None, &books.desk);
    entry.result(refused(1), false, &books.desk);
    entry.replan(guarded(1), &books.desk);
    assert!(learned(entry.memory()).refused);
    assert!(books.kept().await.refused);
}

#[tokio::test]
async fn a_run_that_began_before_the_reload_says_nothing_of_the_new_password() {
    let books = Books::open();
    let mut entry = Entry::new(guarded(1), None, &books.desk);
    entry.replan(guarded(2), &books.desk);
    entry.result(refused(1), false, &books.desk);
    assert_eq!(learned(entry.memory()), Learned { refused: false, seen: 7 });
    assert_eq!(books.kept().await, Learned { refused: false, seen: 7 });
}

#[tokio::test]
async fn another_kind_under_the_same_name_begins_anew() {
    let books = Books::open();
    let mut entry = Entry::new(guarded(1), None, &books.desk);
    entry.result(refused(1), false, &books.desk);
    entry.replan(other_kind(2), &books.desk);
    assert!(entry.memory().is_none());
    assert_eq!(books.kept().await, Learned::default());
}

#[tokio::test]
async fn the_hour_before_the_daemon_began_is_covered_as_far_as_the_record_says() {
    let books = Books::open();
    let mut entry = Entry::new(guarded(1), None, &books.desk);
    let now = books.desk.clock.now();
    let ran = |ago: i64| Ran {
        check: entry.id().clone(),
        at: now - SignedDuration::from_mins(ago),
        verdict: Verdict::Pass,
        took: Duration::ZERO,
        timings: Timings::default(),
        steps: Box::default(),
        recheck: false,
        too_slow: false,
    };
    let runs = (20..30).rev().map(ran).collect();
    let since = (now - SignedDuration::from_mins(39)).as_millisecond();
    let past = Update::Past { base: Base { since, ..Base::default() }, standing: None, runs };
    entry.update(past, &books.desk);
    let shown = books.desk.live.read(|all| all.get(entry.id()).and_then(|one| one.coverage_1h));
    // Eleven minutes of the forty since it was first seen.
    assert!(shown.is_some_and(|shown| (shown - 11.0 / 40.0).abs() < 0.03), "{shown:?}");
}
