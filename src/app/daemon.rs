//! The daemon, from the first line of the config to the last commit.

use std::path::Path;
use std::sync::Arc;

use sd_notify::NotifyState;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::load;
use super::reload::Reload;
use super::system::{self, Signals, Watchdog};
use crate::clock::{Clock, SystemClock};
use crate::config::settings;
use crate::expose::{self, Auth, Surface};
use crate::formats::yaml::Fault;
use crate::notify::deliver::{self, Deliver};
use crate::plan::Plan;
use crate::record::live::Live;
use crate::record::resilient::Resilient;
use crate::record::writer::Writer;
use crate::record::{Store, StoreError};
use crate::run::Surroundings;
use crate::run::book::Desk;
use crate::run::guard::OwnNetwork;
use crate::schedule::monitor::{Monitor, Signal};
use crate::schedule::time::{Time, suspended_by_kernel};
use crate::schedule::{Pulse, Scheduler};
use crate::telemetry::telemetry;

/// How often old results are dropped.
const PRUNE_EVERY: std::time::Duration = std::time::Duration::from_secs(3_600);

/// Why the daemon ended, or never started.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The config is bad.
    #[error("the config has {} faults", .0.len())]
    Config(Vec<Fault>),
    /// The store refuses for good.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address cannot be listened on.
    #[error("server.listen {address}: {why}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// The system's words.
        why: std::io::Error,
    },
    /// Signals cannot be taken over.
    #[error("signals: {0}")]
    Signals(std::io::Error),
}

/// Runs the daemon of a config until it is asked to stop.
///
/// # Errors
/// A bad config, a store of a newer version, or an address that cannot be listened on. A store that
/// does not work for another reason is no reason not to start.
pub async fn run(path: &Path) -> Result<(), RunError> {
    let (plan, server, storage) = load::plan(path).map_err(RunError::Config)?;
    let mut signals = Signals::take().map_err(RunError::Signals)?;
    system::raise_descriptor_limit();
    for warning in &plan.warnings {
        tracing::warn!("{warning}");
    }
    let listener = TcpListener::bind(server.listen)
        .await
        .map_err(|why| RunError::Listen { address: server.listen, why })?;
    let daemon = Daemon::start(path, plan, &server, storage, listener).await?;
    tracing::info!(listen = %server.listen, version = env!("CARGO_PKG_VERSION"), "started");
    system::tell_service_manager(&[NotifyState::Ready]);
    let signal = daemon.serve(&mut signals).await;
    tracing::info!(signal, "stopping");
    system::tell_service_manager(&[NotifyState::Stopping]);
    daemon.stop().await;
    tracing::info!("stopped");
    Ok(())
}

/// Everything that runs.
struct Daemon {
    reload: Reload,
    store: Arc<Resilient>,
    desk: Arc<Desk>,
    /// Ends the scheduler.
    stop_scheduler: CancellationToken,
    /// Ends what must outlive the scheduler: the sender and our own pages.
    stop_rest: CancellationToken,
    scheduler: tokio::task::JoinHandle<()>,
    rest: Vec<tokio::task::JoinHandle<()>>,
}

impl Daemon {
    async fn start(
        path: &Path,
        plan: Plan,
        server: &settings::Server,
        storage: settings::Storage,
        listener: TcpListener,
    ) -> Result<Self, RunError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        system::tell_service_manager(&[NotifyState::ExtendTimeoutUsec(600_000_000)]);
        let store = Resilient::open(&storage.url, storage.synchronous_full, Arc::clone(&clock)).await?;
        store.drop_leases().await?;
        let resumed = store.resume().await?;
        let writer = Writer::spawn(Arc::clone(&store) as Arc<dyn Store>);
        let live = Arc::new(Live::default());
        let desk = Arc::new(Desk { writer, live: Arc::clone(&live), clock: Arc::clone(&clock) });
        let net = load::net(plan.limits, Some(&plan.external_url));
        let own_network = OwnNetwork::new(Arc::clone(&plan.reference), Arc::clone(&net));
        let around = Arc::new(Surroundings { net: Arc::clone(&net), own_network, clock: Arc::clone(&clock) });
        let time = Time::start(&*clock, suspended_by_kernel());
        let monitor = Monitor::new(store.health(), Arc::clone(&plan.channels), Arc::clone(&plan.routes));
        let scheduler =
            Scheduler::new(&plan, resumed, Arc::clone(&around), Arc::clone(&desk), time, monitor);
        let pulse = scheduler.pulse();

        let (stop_scheduler, stop_rest) = (CancellationToken::new(), CancellationToken::new());
        let (plans, new_plans) = mpsc::channel(1);
        let (signals, heard) = mpsc::channel(64);
        let (channels, current_channels) = watch::channel(Arc::clone(&plan.channels));
        let deliver = Deliver::new(
            Arc::clone(&store) as Arc<dyn Store>,
            desk.writer.wake(),
            current_channels,
            deliver::Context {
                net,
                clock: Arc::clone(&clock),
                external_url: plan.external_url.to_string(),
                timezone: plan.timezone.clone(),
                masker: plan.masker.clone(),
            },
            channel_events(signals),
        );
        let surface = Surface::new(
            Arc::clone(&live),
            Arc::clone(&store) as Arc<dyn Store>,
            Arc::clone(&clock),
            Auth::from_settings(&server.tokens, server.basic.as_ref()),
            plan.external_url.clone(),
            plan.timezone.clone(),
        );
        surface.plan_loaded(&plan);
        let reload = Reload::new(path, &plan, server, storage.clone(), Arc::clone(&surface), around, plans, channels);
        telemetry().config_reload_successful.set(1);
        telemetry().config_reload_timestamp.set(clock.now().as_second());

        let watchdog = Watchdog::default();
        let turned = {
            let (pulse, surface) = (Arc::clone(&pulse), Arc::clone(&surface));
            move || report(&pulse, &surface, &watchdog)
        };
        let scheduler = tokio::spawn(scheduler.run(new_plans, heard, stop_scheduler.clone(), turned));
        let rest = vec![
            tokio::spawn(deliver.run(stop_rest.clone())),
            tokio::spawn(expose::serve(listener, surface, stop_rest.clone())),
            tokio::spawn(prune(Arc::clone(&store), storage.retention, clock, stop_rest.clone())),
        ];
        Ok(Self { reload, store, desk, stop_scheduler, stop_rest, scheduler, rest })
    }

    /// Reloads when asked or when a file changed, until a signal asks to stop.
    async fn serve(&self, signals: &mut Signals) -> &'static str {
        let mut look = tokio::time::interval(super::reload::LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut seen = self.reload.fingerprint();
        loop {
            let asked = tokio::select! {
                signal = signals.asked_to_stop() => return signal,
                _ = signals.hangup.recv() => true,
                _ = look.tick() => false,
            };
            let now = self.reload.fingerprint();
            if asked || now != seen {
                self.reload.reload(if asked { "SIGHUP" } else { "a file changed" }).await;
                // The reload may have read other secret files.
                seen = self.reload.fingerprint();
            }
        }
    }

    /// No new runs, what is in flight ends, what is decided is committed.
    async fn stop(self) {
        self.stop_scheduler.cancel();
        let _ = self.scheduler.await;
        self.desk.writer.flush().await;
        self.stop_rest.cancel();
        for task in self.rest {
            let _ = task.await;
        }
        self.store.close().await;
    }
}

/// Passes the signs of life of the scheduler's loop on.
fn report(pulse: &Pulse, surface: &Surface, watchdog: &Watchdog) {
    surface.health().turned(pulse.last_turn(), pulse.lateness());
    watchdog.feed(pulse.last_turn());
}

/// Drops what is older than the retention, once an hour.
async fn prune(
    store: Arc<Resilient>,
    retention: settings::Retention,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) {
    let mut hourly = tokio::time::interval(PRUNE_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = hourly.tick() => {}
        }
        let now = clock.now();
        let before = |kept| now.saturating_sub(kept).unwrap_or(jiff::Timestamp::MIN);
        match store.prune(before(retention.results), before(retention.incidents)).await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "old results were dropped"),
            Err(error) => tracing::warn!(%error, "old results were not dropped"),
        }
    }
}
