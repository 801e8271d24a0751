//! Going over to a changed config: the new plan is built whole or not at all.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::load;
use crate::config::settings;
use crate::config::watch::Fingerprint;
use crate::expose::auth::Token;
use crate::expose::{Auth, CheckInfo, Health, Infos, Scope};
use crate::formats::yaml::Fault;
use crate::model::Secret;
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
    current: watch::Sender<Arc<Plan>>,
    channels: watch::Sender<Arc<Channels>>,
}

/// Who is told of a new plan.
pub struct Tell {
    /// The scheduler.
    pub plans: mpsc::Sender<Replan>,
    /// Whoever wants to know the plan that holds.
    pub current: watch::Sender<Arc<Plan>>,
    /// The sender of messages.
    pub channels: watch::Sender<Arc<Channels>>,
}

/// What only a restart changes, key by key.
pub struct Fixed {
    listen: std::net::SocketAddr,
    keys: Vec<(&'static str, String)>,
}

impl Fixed {
    /// What it is in a config.
    pub fn of(plan: &Plan, server: &settings::Server, storage: &settings::Storage) -> Self {
        let timezone = plan.timezone.iana_name().unwrap_or_default().to_owned();
        let keys = vec![
            ("server.listen", server.listen.to_string()),
            ("server.external_url", plan.external_url.to_string()),
            ("storage.url", storage.database.place()),
            ("storage.password or storage.tls", protection(&storage.database)),
            ("storage.retention", format!("{:?}", storage.retention)),
            ("storage.synchronous", storage.synchronous_full.to_string()),
            ("defaults.limits", format!("{:?}", plan.limits)),
            ("metrics.per_check", format!("{:?}", plan.per_check_metrics)),
            ("notify.timezone (of the page)", timezone),
        ];
        Self { listen: server.listen, keys }
    }

    /// The keys that are another in `new`.
    pub fn changed(&self, new: &Self) -> Vec<&'static str> {
        self.keys.iter().zip(&new.keys).filter(|(old, new)| old != new).map(|(old, _)| old.0).collect()
    }
}

/// What a connection to the database is protected by, told apart and not told: this is compared.
fn protection(database: &settings::Database) -> String {
    let settings::Database::Postgres(access) = database else { return String::new() };
    let mut hasher = DefaultHasher::new();
    access.password.as_ref().map(Secret::expose).hash(&mut hasher);
    format!("{} {:?} {:?}", hasher.finish(), access.encryption, access.schema)
}

/// Who may see our pages: the tokens, the user, and whether everyone may without either. `listen` is
/// where the daemon listens, which only a restart changes.
pub fn credentials(
    server: &settings::Server,
    listen: std::net::SocketAddr,
) -> (Vec<Token>, Option<(String, Secret)>, bool) {
    let scope = |scope| match scope {
        settings::TokenScope::Read => Scope::Read,
        settings::TokenScope::Operate => Scope::Operate,
    };
    let tokens = server
        .tokens
        .iter()
        .map(|token| (token.name.clone(), token.secret.clone(), scope(token.scope)))
        .collect();
    let basic = server.basic.as_ref().map(|basic| (basic.username.clone(), basic.password.clone()));
    (tokens, basic, listen.ip().is_loopback() || server.insecure_public)
}

/// What our pages know of the config.
pub struct Exposed {
    /// The labels of every check.
    pub infos: Arc<Infos>,
    /// How the daemon is.
    pub health: Arc<Health>,
    /// Who may see them.
    pub auth: Auth,
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
        tell: Tell,
    ) -> Self {
        let Tell { plans, current, channels } = tell;
        let (path, watched) = (path.to_owned(), Mutex::new(watched));
        Self { path, watched, fixed, exposed, around, plans, current, channels }
    }

    /// The plan that holds.
    pub fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.current.borrow())
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
                let changed = self.fixed.changed(&Fixed::of(&plan, &server, &storage));
                if !changed.is_empty() {
                    tracing::warn!(keys = changed.join(", "), "these change with a restart only");
                }
                let (tokens, basic, open) = credentials(&server, self.fixed.listen);
                self.exposed.auth.replace(tokens, basic, open);
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
        let plan = Arc::new(plan);
        self.current.send_replace(Arc::clone(&plan));
        let _ = self.plans.send(plan).await;
        tracing::info!(checks, why, "the config was reloaded");
    }
}

fn first(faults: &[Fault]) -> String {
    faults.first().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(more: &str) -> (Fixed, settings::Server) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("monitor.yaml");
        let text =
            format!("portals: {{a: {{url: 'https://a.example', checks: {{c: {{http: {{}}}}}}}}}}\n{more}\n");
        std::fs::write(&file, text.replace("DB", "/nonexistent/db")).unwrap();
        let (plan, server, storage) = load::plan(&file).unwrap();
        (Fixed::of(&plan, &server, &storage), server)
    }

    #[test]
    fn what_a_reload_leaves_as_it_was_is_named() {
        let before = fixed("storage: {url: sqlite://DB}").0;
        assert!(before.changed(&fixed("storage: {url: sqlite://DB}").0).is_empty());
        let after =
            fixed("storage: {url: sqlite://DB, retention: {results: 1d}}\nserver: {listen: '127.0.0.1:1'}").0;
        assert_eq!(before.changed(&after), ["server.listen", "server.external_url", "storage.retention"]);
    }

    #[test]
    fn a_listener_beyond_loopback_is_not_opened_by_a_config_that_moves_it() {
        let server = fixed("server: {listen: '127.0.0.1:1'}").1;
        let (_, _, open) = credentials(&server, "0.0.0.0:9790".parse().unwrap());
        assert!(!open, "the daemon still listens where it did");
    }
}
