//! Checks that do as a test says, without a network.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::Surroundings;
use super::guard::OwnNetwork;
use crate::alert::Policy;
use crate::clock::Clock;
use crate::model::{
    Baseline, CheckId, Confirm, Finding, FindingDoc, Masker, Series, Severity, StepTime, Timings,
};
use crate::net::{Net, NetOptions};
use crate::plan::PlannedCheck;
use crate::probe::{Ctx, Memory, PortalScope, Probe, ProbeOutput, Problem, Scope, Unmeasured, Watched};

/// What a run of a fake comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// All is well.
    Pass,
    /// The target answers, and wrongly.
    Answer502,
    /// No answer comes.
    Refused,
    /// A bug of ours.
    Panic,
}

/// A probe that does what it is told and remembers when.
pub struct Fake {
    /// What it does, and how long that takes.
    pub does: Mutex<(Does, Duration)>,
    /// When its runs started.
    pub runs: Mutex<Vec<Instant>>,
    now: AtomicUsize,
    /// The most runs there were at once.
    pub most: AtomicUsize,
    /// Whether its last run might write, and had a ledger to enter it in.
    pub might_write: Mutex<(bool, bool)>,
}

impl Fake {
    /// One that does this, and takes so long over it.
    pub fn new(does: Does, takes: Duration) -> Arc<Self> {
        Arc::new(Self {
            does: Mutex::new((does, takes)),
            runs: Mutex::default(),
            now: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            might_write: Mutex::default(),
        })
    }

    /// Seconds since `start` at which its runs started.
    pub fn seconds(&self, start: Instant) -> Vec<f64> {
        self.runs.lock().unwrap().iter().map(|run| run.duration_since(start).as_secs_f64()).collect()
    }

    /// How often it ran.
    pub fn count(&self) -> usize {
        self.runs.lock().unwrap().len()
    }
}

const BAD: FindingDoc = FindingDoc {
    id: "fake.bad",
    severity: Severity::Critical,
    broken: true,
    meaning: "",
    why: "",
    fix: "",
    reference: None,
    confirm: None,
};

impl Probe for Fake {
    fn kind(&self) -> &'static str {
        "fake"
    }

    fn identity(&self) -> Option<&str> {
        None
    }

    fn triggers(&self) -> Option<&str> {
        None
    }

    fn budgets(&self) -> Vec<(Vec<String>, crate::model::Part, crate::model::LatencyKeys)> {
        Vec::new()
    }

    fn settings_changed(&self, _: &Memory) -> Memory {
        None
    }

    fn validate(&self, _: &Scope) -> Vec<Problem> {
        Vec::new()
    }

    fn hosts(&self, _: &Scope) -> Vec<String> {
        Vec::new()
    }

    fn reproduce(&self, _: &Scope) -> Vec<String> {
        Vec::new()
    }

    fn series(&self, _: &Memory, _: Timestamp) -> Vec<Series> {
        Vec::new()
    }

    fn tell(&self, _: &RawValue) -> Option<Vec<String>> {
        None
    }

    fn run<'a>(
        &'a self,
        ctx: Ctx<'a>,
        _: &'a Memory,
        _: Timestamp,
    ) -> BoxFuture<'a, Result<ProbeOutput, Unmeasured>> {
        async move {
            self.runs.lock().unwrap().push(Instant::now());
            *self.might_write.lock().unwrap() = (ctx.writes, ctx.ledger.is_some());
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            let (does, takes) = *self.does.lock().unwrap();
            tokio::time::sleep(takes).await;
            self.now.fetch_sub(1, Ordering::SeqCst);
            assert_ne!(does, Does::Panic, "a bug");
            let bad = does != Does::Pass;
            Ok(ProbeOutput {
                findings: bad.then(|| Finding::of(&BAD, "it", "bad".to_owned())).into_iter().collect(),
                status: None,
                timings: Timings::default(),
                steps: vec![StepTime { name: "only".into(), took: takes }],
                transport: does == Does::Refused,
                facts: RawValue::NULL.to_owned(),
                unknown: None,
                memory: None,
            })
        }
        .boxed()
    }

    fn learns(&self) -> bool {
        false
    }

    fn standings(&self, _: &Memory, _: &[Baseline]) -> Vec<Watched> {
        Vec::new()
    }

    fn rejudge(&self, _: &RawValue, _: &Memory, _: Timestamp) -> Result<Vec<Finding>, serde_json::Error> {
        Ok(Vec::new())
    }
}

/// The check `acme/NAME`, run every `every`, rechecked after a second, confirmed by the second
/// failure.
pub fn planned(name: &str, every: Duration, private: bool, probe: Arc<Fake>) -> PlannedCheck {
    let check = CheckId::new("acme", name);
    let confirm = Confirm { failures: 2, successes: 1, recheck: Some(Duration::from_secs(1)) };
    PlannedCheck {
        policy: Policy { kind: "fake", every, confirm, ..Policy::of_removed(check.clone()) },
        scope: Scope {
            check,
            portal: Arc::new(PortalScope { name: "acme".to_owned(), private, ..PortalScope::default() }),
            timeout: every,
            deadline: every.saturating_mul(10),
            resolvers: Arc::default(),
            tls: Arc::default(),
            identity: None,
            triggered: None,
        },
        kind: "fake",
        probe,
        every,
        jitter: Duration::ZERO,
        budgets: Arc::default(),
        counts: true,
        fingerprint: 0,
        masker: Masker::default(),
    }
}

/// What runs need, with these reference targets.
pub fn surroundings(reference: &[SocketAddr], clock: Arc<dyn Clock>) -> Surroundings {
    let options =
        NetOptions { per_host: 9, global: 99, user_agent: "test".to_owned(), hosts: BTreeMap::new() };
    let net = Arc::new(Net::new(options));
    let own_network = OwnNetwork::new(reference.into(), Arc::clone(&net));
    Surroundings { own_network, net, clock, ledger: None, baselines: None, writes: false }
}
