//! How the daemon itself is: written by the engine, read by the pages.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::wire::{Healthz, Readyz};
use crate::telemetry::telemetry;

/// How long the scheduler's loop may stand still before the daemon counts as stalled.
pub const STALLED_AFTER: Duration = Duration::from_secs(30);

/// The state of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreState {
    /// Not open yet.
    Opening,
    /// It takes what it is given.
    Open,
    /// It refuses; results go to memory, verdicts and messages go on.
    Degraded {
        /// What it says.
        why: String,
    },
}

impl StoreState {
    /// The lower-case name, as in JSON.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Open => "open",
            Self::Degraded { .. } => "degraded",
        }
    }
}

/// What a daemon is among those that share its database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// The database is its own.
    #[default]
    Alone,
    /// It leads; its name.
    Leads(String),
    /// Another one leads, if its name is known.
    StandsBy(Option<String>),
}

/// What became of the last attempt to load the config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reload {
    /// When.
    pub at: Timestamp,
    /// Why it failed, without secrets; `None` for success.
    pub error: Option<String>,
}

/// A copy of everything [`Health`] knows.
#[derive(Clone, Debug)]
pub struct Vitals {
    /// When the daemon started.
    pub started_at: Timestamp,
    /// Whether a plan is loaded.
    pub plan_loaded: bool,
    /// The state of the store.
    pub store: StoreState,
    /// What it is among several daemons.
    pub role: Role,
    /// How late the last run started.
    pub lateness: Option<Duration>,
    /// Messages that wait to be sent.
    pub outbox_pending: u64,
    /// Since when the oldest of them waits.
    pub outbox_oldest: Option<Timestamp>,
    /// The last attempt to load the config.
    pub reload: Option<Reload>,
    turned: Instant,
}

/// How the daemon itself is. Every method is cheap and may be called from any task.
#[derive(Debug)]
pub struct Health(Mutex<Vitals>);

impl Health {
    /// The health of a daemon that started at `started_at` and has loaded nothing yet.
    pub fn new(started_at: Timestamp) -> Self {
        Self(Mutex::new(Vitals {
            started_at,
            plan_loaded: false,
            store: StoreState::Opening,
            role: Role::Alone,
            lateness: None,
            outbox_pending: 0,
            outbox_oldest: None,
            reload: None,
            turned: Instant::now(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Vitals> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The scheduler's loop turned. It must do so at least every few seconds, work or no work.
    pub fn turned(&self) {
        self.lock().turned = Instant::now();
    }

    /// A run started this long after its due time.
    pub fn started_late_by(&self, lateness: Duration) {
        self.lock().lateness = Some(lateness);
    }

    /// A plan is loaded, or is not.
    pub fn set_plan_loaded(&self, loaded: bool) {
        self.lock().plan_loaded = loaded;
    }

    /// The store opened, refuses or recovered.
    pub fn set_store(&self, state: StoreState) {
        self.lock().store = state;
    }

    /// It leads, or stands by; sets the gauge too.
    pub fn set_role(&self, role: Role) {
        telemetry().leader.set(i64::from(!matches!(role, Role::StandsBy(_))));
        self.lock().role = role;
    }

    /// What waits in the outbox; sets the gauges too.
    pub fn set_outbox(&self, pending: u64, oldest: Option<Timestamp>, now: Timestamp) {
        let mut vitals = self.lock();
        vitals.outbox_pending = pending;
        vitals.outbox_oldest = oldest;
        telemetry().outbox_pending.set(i64::try_from(pending).unwrap_or(i64::MAX));
        telemetry()
            .outbox_oldest
            .set(oldest.map_or(0, |oldest| (now.as_second() - oldest.as_second()).max(0)));
    }

    /// The config was loaded, or could not be; sets the gauges too. `error` must hold no secret.
    pub fn reloaded(&self, at: Timestamp, error: Option<String>) {
        telemetry().config_reload_successful.set(i64::from(error.is_none()));
        if error.is_none() {
            telemetry().config_reload_timestamp.set(at.as_second());
        }
        self.lock().reload = Some(Reload { at, error });
    }

    /// A copy of all of it.
    pub fn vitals(&self) -> Vitals {
        self.lock().clone()
    }
}

impl Vitals {
    /// Whether the scheduler's loop turned lately. Monotonic time: a suspended host is not stalled.
    pub fn alive(&self) -> bool {
        self.turned.elapsed() <= STALLED_AFTER
    }

    /// Whether there is a plan and a store. A degraded store is ready: verdicts and messages go on,
    /// and a restart by whoever asks would lose the results held in memory.
    pub fn ready(&self) -> bool {
        self.plan_loaded && !self.stands_by() && self.store != StoreState::Opening
    }

    /// Whether another daemon leads.
    pub fn stands_by(&self) -> bool {
        matches!(self.role, Role::StandsBy(_))
    }

    /// How long the oldest message has waited.
    pub fn outbox_age(&self, now: Timestamp) -> Option<Duration> {
        let oldest = self.outbox_oldest?;
        Some(Duration::try_from(now.duration_since(oldest)).unwrap_or_default())
    }

    /// The answer of `/healthz`.
    pub fn healthz(&self) -> Healthz {
        Healthz { status: if self.alive() { "ok" } else { "stalled" } }
    }

    /// The answer of `/readyz`.
    pub fn readyz(&self, now: Timestamp) -> Readyz {
        Readyz {
            status: match self.ready() {
                true => "ready",
                false if self.stands_by() => "standby",
                false => "not_ready",
            },
            leader: match &self.role {
                Role::Alone => None,
                Role::Leads(name) => Some(Some(name.clone())),
                Role::StandsBy(leader) => Some(leader.clone()),
            },
            plan_loaded: self.plan_loaded,
            store: self.store.as_str(),
            scheduler_lateness_seconds: self.lateness.map(|lateness| lateness.as_secs_f64()),
            outbox_pending: self.outbox_pending,
            outbox_oldest_seconds: self.outbox_age(now).map(|age| age.as_secs_f64()),
            config_last_reload_successful: self.reload.as_ref().map(|reload| reload.error.is_none()),
            started_at: self.started_at.to_string(),
        }
    }
}
