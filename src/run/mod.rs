//! One pass over one check, used by the daemon, `check` and `inspect` alike: observe, judge, guard.
//! What the daemon does with the result (alert step, record, show) is in [`book`].

pub mod book;
pub mod chronicle;
#[cfg(test)]
pub mod fakes;
pub mod guard;
mod mask;
pub mod pace;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use serde_json::value::RawValue;

use self::guard::OwnNetwork;
use crate::clock::Clock;
use crate::model::{
    Baselines, Cause, Confirm, Finding, FindingDoc, Ledger, Outcome, Severity, Timings, Verdict,
};
use crate::net::{Net, within};
use crate::plan::PlannedCheck;
use crate::probe::{Ctx, Memory, ProbeOutput, Unmeasured};

/// What any run can find, whatever its kind.
pub const FINDINGS: &[FindingDoc] = &[DEADLINE];

const DEADLINE: FindingDoc = FindingDoc {
    id: "run.deadline",
    severity: Severity::Critical,
    broken: true,
    meaning: "The run did not end within its deadline, although each of its operations kept to its own timeout.",
    why: "Whoever does the same by hand waits at least as long.",
    fix: "Find out which step takes so long (`portalwatch check NAME --explain`). If the target is meant to be this slow, raise `deadline` (default: `every`, at most 5m).",
    reference: None,
    confirm: Some(Confirm { failures: 3, successes: 2, recheck: Some(Duration::from_secs(10)) }),
};

/// What one pass gave.
#[derive(Debug)]
pub struct Pass {
    /// What it came to.
    pub outcome: Outcome,
    /// When it ended.
    pub ended: Timestamp,
    /// The kind's memory, if it changed.
    pub memory: Option<Box<RawValue>>,
    /// [`PlannedCheck::fingerprint`] of the check as it ran.
    pub fingerprint: u64,
}

/// What a pass needs besides the check.
pub struct Surroundings {
    /// All sockets.
    pub net: Arc<Net>,
    /// The own-network guard.
    pub own_network: OwnNetwork,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Where writes are entered before they are sent.
    pub ledger: Option<Arc<dyn Ledger>>,
    /// What people decided about learned values.
    pub baselines: Option<Arc<dyn Baselines>>,
    /// Whether runs may write.
    pub writes: bool,
}

/// Runs a check once. Never fails and never panics: what goes wrong on our side is `unknown`.
/// `everything` keeps what only a person who looks wants to see.
pub async fn pass(check: &PlannedCheck, memory: &Memory, around: &Surroundings, everything: bool) -> Pass {
    let at = around.clock.now();
    let started = tokio::time::Instant::now();
    let ledger = around.ledger.as_deref();
    let ctx = Ctx {
        scope: &check.scope,
        net: &around.net,
        masker: &check.masker,
        at,
        everything,
        ledger,
        baselines: around.baselines.as_deref(),
        writes: around.writes,
    };
    let run = AssertUnwindSafe(check.probe.run(ctx, memory, at)).catch_unwind();
    let (ended, took) = within(check.scope.deadline, run).await;
    let caught = ended.unwrap_or_else(|| Ok(Ok(late(check.scope.deadline))));
    let mut memory = None;
    let result = caught.unwrap_or_else(|_| {
        Err(Unmeasured {
            cause: Cause::Config,
            why: "the probe hit a bug of portalwatch and was stopped; the log has the place".to_owned(),
        })
    });
    let mut outcome = match result {
        Ok(output) => {
            memory = output.memory.clone();
            measured(check, at, took, output)
        }
        Err(unmeasured) => unknown(check, at, took, unmeasured),
    };
    if let Some(why) = around.own_network.excuses(check, &outcome, started).await {
        outcome.verdict = Verdict::Unknown;
        outcome.cause = Some(Cause::LocalNetwork);
        outcome.why = Some(why);
        outcome.findings.clear();
        memory = None;
    }
    mask::outcome(&mut outcome, &check.masker);
    mask::memory(&mut memory, &check.masker);
    tracing::debug!(
        check = %outcome.check,
        verdict = outcome.verdict.as_str(),
        milliseconds = outcome.took.as_millis(),
        why = outcome.why.as_deref(),
        "ran"
    );
    Pass { outcome, ended: around.clock.now(), memory, fingerprint: check.fingerprint }
}

/// The output of a run that was cut off.
fn late(deadline: Duration) -> ProbeOutput {
    let summary = format!("did not end within {}", crate::model::HumanDuration(deadline));
    ProbeOutput {
        findings: vec![Finding::of(&DEADLINE, "run", summary)],
        status: None,
        unknown: None,
        timings: Timings::default(),
        steps: Vec::new(),
        transport: true,
        facts: RawValue::NULL.to_owned(),
        memory: None,
    }
}

fn measured(check: &PlannedCheck, at: Timestamp, took: Duration, output: ProbeOutput) -> Outcome {
    let verdict = output.unknown.as_ref().map_or_else(|| Verdict::of(&output.findings), |_| Verdict::Unknown);
    Outcome {
        check: check.scope.check.clone(),
        at,
        took,
        verdict,
        cause: output.unknown.as_ref().map(|unknown| unknown.cause),
        why: output.unknown.map(|unknown| unknown.why),
        findings: output.findings,
        status: output.status,
        timings: output.timings,
        steps: output.steps,
        facts: Some(output.facts),
        transport: output.transport,
        recheck: false,
    }
}

fn unknown(check: &PlannedCheck, at: Timestamp, took: Duration, unmeasured: Unmeasured) -> Outcome {
    Outcome {
        check: check.scope.check.clone(),
        at,
        took,
        verdict: Verdict::Unknown,
        cause: Some(unmeasured.cause),
        why: Some(unmeasured.why),
        findings: Vec::new(),
        status: None,
        timings: Timings::default(),
        steps: Vec::new(),
        facts: None,
        transport: false,
        recheck: false,
    }
}

#[cfg(test)]
mod tests {
    use super::fakes::{Does, Fake, planned, surroundings};
    use super::*;
    use crate::clock::SystemClock;
    use crate::record::memory::ledger::MemoryLedger;

    #[tokio::test]
    async fn a_run_may_write_only_where_its_surroundings_say_so() {
        let fake = Fake::new(Does::Pass, Duration::ZERO);
        let check = planned("front", Duration::from_secs(60), false, Arc::clone(&fake));
        let mut around = surroundings(&[], Arc::new(SystemClock));
        pass(&check, &None, &around, false).await;
        assert_eq!(*fake.might_write.lock().unwrap(), (false, false));
        around.ledger = Some(Arc::new(MemoryLedger::default()));
        around.writes = true;
        pass(&check, &None, &around, false).await;
        assert_eq!(*fake.might_write.lock().unwrap(), (true, true));
    }

    #[tokio::test(start_paused = true)]
    async fn steps_reach_the_outcome_and_a_run_cut_off_has_none() {
        let fake = Fake::new(Does::Pass, Duration::from_secs(3));
        let mut check = planned("front", Duration::from_secs(60), false, fake);
        let around = surroundings(&[], Arc::new(SystemClock));
        let steps = pass(&check, &None, &around, false).await.outcome.steps;
        assert_eq!(steps, [crate::model::StepTime { name: "only".into(), took: Duration::from_secs(3) }]);
        check.scope.deadline = Duration::from_secs(2);
        let late = pass(&check, &None, &around, false).await.outcome;
        assert_eq!((late.findings[0].id.as_str(), late.steps.len()), ("run.deadline", 0));
    }
}
