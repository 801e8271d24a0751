//! The monitor's view of itself: gathers what concerns several checks and lets the pure
//! [`alert::daemon`] decide.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::alert::daemon::{self, FailingChannel, LongUnknown, Summary, daemon_step};
use crate::alert::{self, Event, Policy, Route, State};
use crate::model::{Cause, CheckId, Confirm, Verdict};
use crate::plan::Plan;
use crate::record::resilient::Health;
use crate::record::{Resumed, Transition};
use crate::run::book::{Desk, Entry, file_effects, merged};
use crate::run::chronicle;

/// What the sender tells of its channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// An attempt through this channel failed.
    Failing {
        /// Its name.
        channel: String,
        /// Failures in a row.
        failures: u32,
        /// The last one, masked, one line.
        why: String,
    },
    /// A message went out through this channel.
    Working {
        /// Its name.
        channel: String,
    },
}

/// What the monitor knows of itself.
pub struct Monitor {
    state: State,
    policy: Policy,
    store: watch::Receiver<Health>,
    failing: BTreeMap<String, FailingChannel>,
    /// The channels there are.
    channels: BTreeSet<String>,
    /// The checks' part of the last summary.
    checks: Summary,
}

impl Monitor {
    /// Watches over the checks of a plan and the store's health.
    pub fn new(store: watch::Receiver<Health>, plan: &Plan) -> Self {
        Self {
            state: State::default(),
            policy: policy(routes(plan)),
            store,
            failing: BTreeMap::new(),
            channels: plan.channels.by_name.keys().cloned().collect(),
            checks: Summary::default(),
        }
    }

    /// Goes on from where an earlier run of the daemon stopped.
    pub fn resume(&mut self, resumed: Option<Resumed>) {
        if let Some(resumed) = resumed {
            self.state = resumed.state;
            self.remember_failing();
        }
    }

    /// A channel that was failing when the daemon stopped is failing until a message goes through it.
    fn remember_failing(&mut self) {
        let findings = self.state.incident.iter().flat_map(|incident| &incident.findings);
        for failing in findings.filter_map(daemon::failing_channel) {
            if self.channels.contains(&failing.channel) {
                self.failing.entry(failing.channel.clone()).or_insert(failing);
            }
        }
    }

    /// Goes on from what an earlier run of the daemon left, learned of late. An incident that was open
    /// then is still open; the next look at the checks ends it if all is well.
    pub fn adopt(&mut self, found: Resumed, desk: &Desk) {
        if found.state.incident.is_none() {
            return;
        }
        let own = std::mem::replace(&mut self.state, found.state);
        self.remember_failing();
        let mut transition = Transition::of(CheckId::monitor());
        transition.incidents.extend(merged(own, desk));
        transition.state = Some(self.state.clone());
        show(&self.state, desk);
        desk.writer.send(transition);
    }

    /// Goes over to a new plan.
    pub fn replan(&mut self, plan: &Plan) {
        self.policy.routes = routes(plan);
        self.channels = plan.channels.by_name.keys().cloned().collect();
        self.failing.retain(|channel, _| self.channels.contains(channel));
    }

    /// Whether what is decided now is not recorded.
    pub fn not_recorded(&self) -> bool {
        matches!(*self.store.borrow(), Health::Degraded { .. })
    }

    /// Resolves when the store's health changed and [`Monitor::step`] should be called.
    pub async fn store_changed(&mut self) {
        if self.store.changed().await.is_err() {
            // The store is gone: the daemon is stopping.
            std::future::pending::<()>().await;
        }
    }

    /// Takes in what the sender tells.
    pub fn signal(&mut self, signal: Signal, desk: &Desk) {
        match signal {
            Signal::Failing { channel, failures, why } => {
                self.failing.insert(channel.clone(), FailingChannel { channel, failures, why });
            }
            Signal::Working { channel } => {
                if self.failing.remove(&channel).is_none() {
                    return;
                }
            }
        }
        self.step(desk);
    }

    /// Looks at all checks, and decides.
    pub fn look<'a>(&mut self, entries: impl Iterator<Item = &'a Entry>, desk: &Desk) {
        self.checks = summary(entries, desk);
        self.step(desk);
    }

    /// Decides by what is known now.
    pub fn step(&mut self, desk: &Desk) {
        let store = match &*self.store.borrow_and_update() {
            Health::Ok => None,
            Health::Degraded { why, .. } => Some(why.clone()),
        };
        let summary =
            Summary { store, channels: self.failing.values().cloned().collect(), ..self.checks.clone() };
        let before = self.state.clone();
        let (after, effects) = daemon_step(before.clone(), &summary, &self.policy, desk.clock.now());
        self.file(&before, after, effects, desk);
    }

    /// Wakes the machine if its time has come.
    pub fn wake(&mut self, now: Timestamp, desk: &Desk) {
        if self.state.wake.is_some_and(|at| at <= now) {
            let before = self.state.clone();
            let (after, effects) = alert::step(before.clone(), &Event::Due, &self.policy, now);
            self.file(&before, after, effects, desk);
        }
    }

    fn file(&mut self, before: &State, after: State, effects: Vec<alert::Effect>, desk: &Desk) {
        let mut transition = Transition::of(CheckId::monitor());
        file_effects(effects, &mut transition);
        transition.state = after.says_more_than(before).then(|| after.clone());
        let worth_it = transition.state.is_some() || !transition.outbox.is_empty();
        chronicle::log(before.incident.as_ref(), after.incident.as_ref());
        show(&after, desk);
        self.state = after;
        if worth_it || !transition.incidents.is_empty() {
            desk.writer.send(transition);
        }
    }
}

/// Shows the monitor among the checks while it has an incident.
fn show(state: &State, desk: &Desk) {
    let id = CheckId::monitor();
    let Some(incident) = &state.incident else {
        desk.live.remove(&id);
        return;
    };
    let mut present = crate::run::book::blank(daemon::KIND, daemon::EVALUATE_EVERY);
    present.verdict = Some(Verdict::of(&incident.findings));
    present.since = Some(incident.started);
    present.at = Some(desk.clock.now());
    present.findings = incident.findings.clone().into();
    present.incident = Some(Box::new(incident.clone()));
    desk.live.set(&id, present);
}

/// The config's routes, after those that take a failing channel to its fallback.
fn routes(plan: &Plan) -> Arc<[Route]> {
    let channels = plan.channels.by_name.values();
    let pairs = channels.filter_map(|channel| Some((channel.name.as_str(), channel.fallback.as_deref()?)));
    let mut routes = daemon::fallback_routes(pairs);
    routes.extend(plan.routes.iter().cloned());
    routes.into()
}

fn policy(routes: Arc<[Route]>) -> Policy {
    Policy {
        check: CheckId::monitor(),
        kind: daemon::KIND,
        labels: Arc::default(),
        every: daemon::EVALUATE_EVERY,
        confirm: Confirm { failures: 1, successes: 1, recheck: None },
        findings: daemon::FINDINGS,
        common: &[],
        failures: None,
        successes: None,
        recheck: None,
        unknown_after: Duration::MAX,
        flap_transitions: 6,
        flap_window: Duration::from_secs(3_600),
        routes,
    }
}

fn summary<'a>(entries: impl Iterator<Item = &'a Entry>, desk: &Desk) -> Summary {
    let now = desk.clock.now();
    let mut unknown: BTreeMap<Cause, usize> = BTreeMap::new();
    let mut summary = Summary::default();
    let mut furthest = 0.0;
    for entry in entries.filter(|entry| entry.has_run()) {
        summary.checks += 1;
        let Some((cause, since)) = entry.unknown() else { continue };
        *unknown.entry(cause).or_default() += 1;
        let lasted = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        let limit = entry.check.policy.unknown_after;
        let share = lasted.as_secs_f64() / limit.as_secs_f64();
        if share >= furthest {
            furthest = share;
            let check = entry.id().clone();
            summary.longest_unknown = Some(LongUnknown { check, lasted, limit, cause: Some(cause) });
        }
    }
    summary.unknown = unknown.into_iter().collect();
    summary
}
