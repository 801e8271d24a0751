//! Going over to a changed config: the new plan is built whole or not at all.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::load;
use crate::config::settings;
use crate::config::watch::Fingerprint;
use crate::expose::{CheckInfo, Health, Infos};
use crate::formats::yaml::Fault;
use crate::notify::deliver::Channels;
use crate::plan::{Plan, PlannedCheck};
use crate::probe::kinds;
use crate::run::Surroundings;
use crate::schedule::Replan;
use crate::telemetry::telemetry;

/// How often the content of the files is looked at.
pub const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What a reload replaces.
pub struct Reload {
    path: PathBuf,
    watched: Mutex<Vec<PathBuf>>,
    fixed: Fixed,
    exposed: Exposed,
    around: Arc<Surroundings>,
    plans: mpsc::Sender<Replan>,
    channels: watch::Sender<Arc<Channels>>,
}

/// What only a restart changes.
#[derive(PartialEq)]
pub struct Fixed {
    listen: std::net::SocketAddr,
    storage: String,
    limits: settings::Limits,
    external_url: url::Url,
}

impl Fixed {
    /// What it is in a config.
    pub fn of(plan: &Plan, server: &settings::Server, storage: &settings::Storage) -> Self {
        Self {
            listen: server.listen,
            storage: storage.url.clone(),
            limits: plan.limits,
            external_url: plan.external_url.clone(),
        }
    }
}

/// What our pages know of the config.
pub struct Exposed {
    /// The labels of every check.
    pub infos: Arc<Infos>,
    /// How the daemon is.
    pub health: Arc<Health>,
}

impl Exposed {
    /// Shows a plan that was loaded at `now`.
    pub fn take_up(&self, plan: &Plan, now: jiff::Timestamp) {
        let info = |check: &Arc<PlannedCheck>| {
            (check.scope.check.clone(), CheckInfo { labels: (*check.policy.labels).clone() })
        };
        let infos = plan.checks.iter().map(info).collect();
        *self.infos.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(infos);
        let kinds = kinds().iter().map(|kind| kind.name);
        let channels = plan.channels.by_name.keys().map(String::as_str);
        telemetry().announce(kinds, channels);
        self.health.set_plan_loaded(true);
        self.health.reloaded(now, None);
    }
}

impl Reload {
    /// Reloads the config at `path`.
    pub fn new(
        path: &Path,
        watched: Vec<PathBuf>,
        fixed: Fixed,
        exposed: Exposed,
        around: Arc<Surroundings>,
        plans: mpsc::Sender<Replan>,
        channels: watch::Sender<Arc<Channels>>,
    ) -> Self {
        Self { path: path.to_owned(), watched: Mutex::new(watched), fixed, exposed, around, plans, channels }
    }

    /// The content of everything the plan rests on.
    pub fn fingerprint(&self) -> Fingerprint {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        Fingerprint::take(std::iter::once(&self.path).chain(watched.iter()))
    }

    /// Reads the config again. A bad one is logged, fault by fault, and the running plan goes on.
    pub async fn reload(&self, why: &str) {
        let path = self.path.clone();
        // Building a large plan takes a while; the runtime's threads have probes to run.
        let built = tokio::task::spawn_blocking(move || load::plan(&path)).await;
        match built {
            Ok(Ok((plan, server, storage))) => {
                if Fixed::of(&plan, &server, &storage) != self.fixed {
                    tracing::warn!(
                        "server.listen, server.external_url, storage.url and defaults.limits change with a restart only"
                    );
                }
                self.take_up(plan, why).await;
            }
            Ok(Err(faults)) => {
                for fault in &faults {
                    tracing::error!("{fault}");
                }
                self.refused(format!("{} faults, the first: {}", faults.len(), first(&faults)));
            }
            Err(error) => self.refused(error.to_string()),
        }
    }

    fn refused(&self, why: String) {
        tracing::error!(why, "the config was not reloaded; the running one goes on");
        self.exposed.health.reloaded(self.around.clock.now(), Some(why));
    }

    async fn take_up(&self, plan: Plan, why: &str) {
        for warning in &plan.warnings {
            tracing::warn!("{warning}");
        }
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&plan.watched);
        self.around.own_network.guard_by(Arc::clone(&plan.reference));
        self.exposed.take_up(&plan, self.around.clock.now());
        let checks = plan.checks.len();
        // Receivers live as long as the daemon; at its end a lost plan is no loss.
        let _ = self.channels.send(Arc::clone(&plan.channels));
        let _ = self.plans.send(Arc::new(plan)).await;
        tracing::info!(checks, why, "the config was reloaded");
    }
}

fn first(faults: &[Fault]) -> String {
    faults.first().map(ToString::to_string).unwrap_or_default()
}
