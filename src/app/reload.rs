//! Going over to a changed config: the new plan is built whole or not at all.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::load;
use crate::clock::Clock;
use crate::config::settings;
use crate::config::watch::Fingerprint;
use crate::expose::Surface;
use crate::notify::Channels;
use crate::plan::Plan;
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
    surface: Arc<Surface>,
    around: Arc<Surroundings>,
    plans: mpsc::Sender<Replan>,
    channels: watch::Sender<Arc<Channels>>,
}

/// What only a restart changes.
#[derive(PartialEq)]
struct Fixed {
    listen: std::net::SocketAddr,
    storage: String,
    limits: settings::Limits,
}

impl Reload {
    /// Reloads the config at `path`, of which `plan` runs now.
    #[expect(clippy::too_many_arguments, reason = "it ties together all that a config decides")]
    pub fn new(
        path: &Path,
        plan: &Plan,
        server: &settings::Server,
        storage: &settings::Storage,
        surface: Arc<Surface>,
        around: Arc<Surroundings>,
        plans: mpsc::Sender<Replan>,
        channels: watch::Sender<Arc<Channels>>,
    ) -> Self {
        Self {
            path: path.to_owned(),
            watched: Mutex::new(plan.watched.clone()),
            fixed: Fixed { listen: server.listen, storage: storage.url.clone(), limits: plan.limits },
            surface,
            around,
            plans,
            channels,
        }
    }

    /// The content of everything the plan rests on.
    pub fn fingerprint(&self) -> Fingerprint {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        Fingerprint::take(&self.path, &watched)
    }

    /// Reads the config again. A bad one is logged, fault by fault, and the running plan goes on.
    pub async fn reload(&self, why: &str) {
        let path = self.path.clone();
        // Building a large plan takes a while; the runtime's threads have probes to run.
        let built = tokio::task::spawn_blocking(move || load::plan(&path)).await;
        match built {
            Ok(Ok((plan, server, storage))) => {
                let fixed = Fixed { listen: server.listen, storage: storage.url, limits: plan.limits };
                if fixed != self.fixed {
                    tracing::warn!("server.listen, storage.url and defaults.limits change with a restart only");
                }
                self.take_up(plan, &server, why).await;
            }
            Ok(Err(faults)) => {
                for fault in &faults {
                    tracing::error!("{fault}");
                }
                tracing::error!(faults = faults.len(), "the config was not reloaded; the running one goes on");
                telemetry().config_reload_successful.set(0);
            }
            Err(error) => {
                tracing::error!(%error, "the config was not reloaded; the running one goes on");
                telemetry().config_reload_successful.set(0);
            }
        }
    }

    async fn take_up(&self, plan: Plan, server: &settings::Server, why: &str) {
        for warning in &plan.warnings {
            tracing::warn!("{warning}");
        }
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&plan.watched);
        self.around.own_network.guard_by(Arc::clone(&plan.reference));
        self.surface.plan_loaded(&plan, server);
        let checks = plan.checks.len();
        // Receivers live as long as the daemon; at its end a lost plan is no loss.
        let _ = self.channels.send(Arc::clone(&plan.channels));
        let _ = self.plans.send(Arc::new(plan)).await;
        telemetry().config_reload_successful.set(1);
        telemetry().config_reload_timestamp.set(self.around.clock.now().as_second());
        tracing::info!(checks, why, "the config was reloaded");
    }
}
