//! What a daemon has for as long as its process lives.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sd_notify::NotifyState;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::daemon::RunError;
use super::reload::{Exposed, credentials};
use super::system;
use crate::clock::{Clock, SystemClock};
use crate::config::settings;
use crate::expose::{self, Auth, Health, Infos, Surface};
use crate::plan::Plan;
use crate::record::Store;
use crate::record::live::Live;
use crate::record::memory::Memory;

/// How long a migration may take before the service manager gives up on us, in microseconds.
const MIGRATION_MICROS: u32 = 600_000_000;

/// What lasts from the first line of the config to the end, whether the daemon leads or stands by.
pub(super) struct House {
    pub path: PathBuf,
    pub server: settings::Server,
    pub storage: settings::Storage,
    pub clock: Arc<dyn Clock>,
    pub health: Arc<Health>,
    pub infos: Arc<Infos>,
    pub auth: Auth,
    listener: std::net::TcpListener,
}

impl House {
    pub fn new(
        path: &Path,
        server: settings::Server,
        storage: settings::Storage,
        listener: TcpListener,
    ) -> Result<Self, RunError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let health = Arc::new(Health::new(clock.now()));
        let (tokens, basic, open) = credentials(&server, server.listen);
        let auth = Auth::new(tokens, basic, open);
        let listener = listener.into_std().map_err(|why| RunError::Listen { address: server.listen, why })?;
        let (path, infos) = (path.to_owned(), Arc::default());
        Ok(Self { path, server, storage, clock, health, infos, auth, listener })
    }

    /// The listener, for as long as one thing is served.
    fn listener(&self) -> Result<TcpListener, RunError> {
        let listener = self.listener.try_clone().and_then(TcpListener::from_std);
        listener.map_err(|why| RunError::Listen { address: self.server.listen, why })
    }

    /// What our pages show.
    pub fn surface(&self, plan: &Plan, live: Arc<Live>, store: Arc<dyn Store>) -> Surface {
        Surface {
            live,
            store,
            clock: Arc::clone(&self.clock),
            auth: self.auth.clone(),
            external_url: plan.external_url.clone(),
            per_check_metrics: plan.per_check_metrics,
            timezone: plan.timezone.clone(),
            health: Arc::clone(&self.health),
            infos: Arc::clone(&self.infos),
        }
    }

    /// Serves our pages until `stop`.
    pub fn serve(&self, surface: Surface, stop: CancellationToken) -> Result<JoinHandle<()>, RunError> {
        Ok(tokio::spawn(expose::serve(self.listener()?, expose::router(surface), stop)))
    }

    /// Serves our pages until `stop`, with no check on them.
    pub fn serve_standby(&self, plan: &Plan, stop: CancellationToken) -> Result<JoinHandle<()>, RunError> {
        self.serve(self.surface(plan, Arc::default(), Arc::new(Memory::default())), stop)
    }

    pub fn exposed(&self) -> Exposed {
        Exposed { infos: Arc::clone(&self.infos), health: Arc::clone(&self.health), auth: self.auth.clone() }
    }

    /// Tells that a migration may have to come first, which takes longer than a start otherwise does.
    pub fn tell_migrating(&self) {
        system::tell_service_manager(&[NotifyState::ExtendTimeoutUsec(MIGRATION_MICROS)]);
    }

    /// Tells that the daemon is at work.
    pub fn started(&self) {
        tracing::info!(listen = %self.server.listen, version = env!("CARGO_PKG_VERSION"), "started");
        system::tell_service_manager(&[NotifyState::Ready]);
    }
}
