//! The daemon, from the first line of the config to the last commit.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use sd_notify::NotifyState;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::figures::Keeper;
use super::house::House;
use super::prune::prune;
use super::reload::{Fixed, Reload, Tell};
use super::store::{self, StoreLedger};
use super::system::{self, Asked, Signals, Watchdog};
use super::wire::NetWire;
use super::{lead, load};
use crate::alert::daemon::CHANNEL_FAILURES;
use crate::clock::Clock;
use crate::config::settings::{self, Database};
use crate::config::watch::Fingerprint;
use crate::expose::{self, Health, StoreState};
use crate::formats::yaml::Fault;
use crate::notify::deliver::{ChannelEvent, Deliver};
use crate::plan::Plan;
use crate::record::postgres::lease::{self, Lease};
use crate::record::resilient::{Health as StoreHealth, Opener, Resilient};
use crate::record::sqlite;
use crate::record::tenure::Tenure;
use crate::record::writer::Writer;
use crate::record::{Figures, Resumed, Store, StoreError};
use crate::run::Surroundings;
use crate::run::book::Desk;
use crate::run::guard::OwnNetwork;
use crate::schedule::monitor::{Monitor, Signal};
use crate::schedule::time::{Time, suspended_by_kernel};
use crate::schedule::{Pulse, Scheduler};

/// How often the health pages' view of store and outbox is renewed.
const VITALS_EVERY: Duration = Duration::from_secs(2);

/// How often a store that refuses is tried again.
const RECOVER_EVERY: Duration = Duration::from_secs(3);

/// How long each step of the end may take once no check runs: the commit of the last results,
/// messages in the air, the store. A message cut off goes out again under its key.
pub(super) const LAST_STEP: Duration = Duration::from_secs(2);

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
/// does not work for another reason is no reason not to start. A PostgreSQL that refuses makes the
/// daemon stand by, since another one may lead there.
pub async fn run(path: &Path) -> Result<(), RunError> {
    let read = Fingerprint::take([path]);
    let (plan, server, storage) = load::plan(path).map_err(RunError::Config)?;
    let mut signals = Signals::take().map_err(RunError::Signals)?;
    system::raise_descriptor_limit();
    for warning in &plan.warnings {
        tracing::warn!("{warning}");
    }
    let listener = TcpListener::bind(server.listen)
        .await
        .map_err(|why| RunError::Listen { address: server.listen, why })?;
    let house = House::new(path, server, storage, listener)?;
    if let Database::Postgres(access) = &house.storage.database {
        let lease = Lease::new((**access).clone(), lease::name());
        return lead::run(&house, Arc::new(plan), lease, &mut signals, read).await;
    }
    if let Database::Sqlite(path) = &house.storage.database {
        // Two that alert beside each other are worse than one that does not start.
        sqlite::refuse_used(path).await?;
    }
    let daemon = Daemon::start(&house, Arc::new(plan), None).await?;
    house.started();
    let signal = daemon.serve(&mut signals, &read).await;
    daemon.stop_at(signal, &mut signals).await;
    Ok(())
}

pub(super) async fn asked_to_stop(signals: &mut Signals) -> &'static str {
    loop {
        if let Asked::Stop(signal) = signals.asked().await {
            return signal;
        }
    }
}

/// Waits for a step of the end, but not for ever: what the store or a peer keeps us from doing is
/// done by the next start.
async fn within(limit: Duration, what: &'static str, step: impl Future<Output = ()>) {
    if tokio::time::timeout(limit, step).await.is_err() {
        tracing::error!(what, "took too long and was abandoned");
    }
}

/// Everything that runs.
pub(super) struct Daemon {
    reload: Reload,
    store: Arc<Resilient>,
    ledger: StoreLedger,
    desk: Arc<Desk>,
    /// Ends the scheduler.
    stop_scheduler: CancellationToken,
    /// Ends what must outlive the scheduler: the sender and our own pages.
    stop_rest: CancellationToken,
    scheduler: JoinHandle<()>,
    writing: JoinHandle<()>,
    recovery: JoinHandle<()>,
    rest: Vec<JoinHandle<()>>,
}

impl Daemon {
    /// Starts everything from what the store holds; where daemons share it, as the one that leads.
    pub async fn start(
        house: &House,
        plan: Arc<Plan>,
        tenure: Option<Arc<Tenure>>,
    ) -> Result<Self, RunError> {
        let House { path, server, storage, .. } = house;
        let clock = Arc::clone(&house.clock);
        house.tell_migrating();
        let ledger = StoreLedger::of_daemon(&storage.database);
        let opener = opener(storage, &ledger, tenure.clone());
        let store = Arc::new(match tenure.clone() {
            Some(tenure) => Resilient::lead(opener, tenure).await?,
            None => Resilient::open(opener).await?,
        });
        let away = store.begin(clock.now()).await?;
        store.drop_leases().await?;
        let resumed = store.resume().await?;
        let shared = Arc::clone(&store) as Arc<dyn Store>;
        let (writer, writing) = Writer::spawn(Arc::clone(&shared));
        let figures = figures_wanted(&plan);
        let desk = Desk { writer, live: Arc::default(), clock: Arc::clone(&clock), figures };
        let desk = Arc::new(desk);
        let net = load::net(plan.limits, Some(&plan.external_url));
        let around = Arc::new(Surroundings {
            own_network: OwnNetwork::new(Arc::clone(&plan.reference), Arc::clone(&net)),
            net: Arc::clone(&net),
            clock: Arc::clone(&clock),
            ledger: Some(ledger.shared()),
            baselines: Some(store::baselines(&storage.database)),
            writes: true,
        });
        let monitor = Monitor::new(store.health(), &plan);
        let time = Time::start(&*clock, suspended_by_kernel());
        let scheduler = Scheduler::new(&plan, resumed, Arc::clone(&around), Arc::clone(&desk), time, monitor);
        let (late, found) = mpsc::channel(1);
        let (news, updates) = mpsc::channel(4);
        let scheduler = scheduler.finding(found).hearing(updates);

        let (stop_scheduler, stop_rest) = (CancellationToken::new(), CancellationToken::new());
        let (plans, new_plans) = mpsc::channel(1);
        let (signals, heard) = mpsc::channel(64);
        let (channels, current_channels) = watch::channel(Arc::clone(&plan.channels));
        let (events, told) = mpsc::channel(64);
        let deliver = Deliver {
            store: Arc::clone(&shared),
            clock: Arc::clone(&clock),
            wire: Arc::new(NetWire(net)),
            tenure,
            channels: current_channels,
            wake: desk.writer.outbox(),
            events,
        };
        let health = Arc::clone(&house.health);
        let surface = house.surface(&plan, Arc::clone(&desk.live), Arc::clone(&shared));
        let exposed = house.exposed();
        exposed.take_up(&plan, clock.now());
        let fixed = Fixed::of(&plan, server, storage);
        let watched = plan.watched.clone();
        let (current, plan) = watch::channel(plan);
        let tell = Tell { plans, current, channels };
        let reload = Reload::new(path, watched, fixed, exposed, around, tell);

        let keeper = Keeper {
            store: Arc::clone(&store) as Arc<dyn Figures>,
            writer: desk.writer.clone(),
            clock: Arc::clone(&clock),
            news,
            figures: desk.figures,
            health: store.health(),
        };
        let turned = turned(scheduler.pulse(), Arc::clone(&health));
        let vitals = watch_vitals(Arc::clone(&store), health, Arc::clone(&clock), stop_rest.clone());
        let pages = house.serve(surface, stop_rest.clone())?;
        let scheduler = tokio::spawn(scheduler.run(new_plans, heard, stop_scheduler.clone(), turned));
        let rest = vec![
            tokio::spawn(deliver.run(stop_rest.clone())),
            pages,
            tokio::spawn(pass_on(told, signals)),
            tokio::spawn(tell_found(Arc::clone(&store), late, stop_rest.clone())),
            tokio::spawn(vitals),
            tokio::spawn(prune(Arc::clone(&store), storage.retention, clock, away, stop_rest.clone())),
            tokio::spawn(keeper.keep(plan, stop_rest.clone())),
        ];
        let recovery = Arc::clone(&store).spawn_recovery(RECOVER_EVERY);
        Ok(Self {
            reload,
            store,
            ledger,
            desk,
            stop_scheduler,
            stop_rest,
            scheduler,
            writing,
            recovery,
            rest,
        })
    }

    /// Reloads when asked or when a file changed, until a signal asks to stop. `read` is what the
    /// running plan was read from.
    pub async fn serve(&self, signals: &mut Signals, read: &Fingerprint) -> &'static str {
        let mut look = tokio::time::interval(super::reload::LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut seen = self.reload.fingerprint().as_seen_before(read);
        loop {
            let asked = tokio::select! {
                asked = signals.asked() => Some(asked),
                _ = look.tick() => None,
            };
            if let Some(Asked::Stop(signal)) = asked {
                return signal;
            }
            let now = self.reload.fingerprint();
            if asked.is_some() || now != seen {
                self.reload.reload(if asked.is_some() { "SIGHUP" } else { "a file changed" }).await;
                // The reload may have read other secret files.
                seen = self.reload.fingerprint().as_seen_before(&now);
            }
        }
    }

    /// The plan that holds.
    pub fn plan(&self) -> Arc<Plan> {
        self.reload.plan()
    }

    /// Stops in order, or at once if asked again.
    pub async fn stop_at(self, signal: &'static str, signals: &mut Signals) {
        tracing::info!(signal, "stopping");
        system::tell_service_manager(&[NotifyState::Stopping]);
        tokio::select! {
            () = self.stop() => tracing::info!("stopped"),
            signal = asked_to_stop(signals) => tracing::warn!(signal, "stopping at once"),
        }
    }

    /// Another daemon leads: nothing more is probed, written or sent.
    pub async fn abandon(self) {
        self.stop_scheduler.cancel();
        self.stop_rest.cancel();
        // What is in the air is cut off: it is the other daemon's to do.
        for task in self.rest.iter().chain([&self.scheduler, &self.recovery]) {
            task.abort();
        }
        let _ = self.scheduler.await;
        for task in self.rest {
            let _ = task.await;
        }
        within(LAST_STEP, "closing the store", async {
            // What was decided and not committed is dropped, and counted.
            self.desk.writer.stop().await;
            let _ = self.writing.await;
            self.ledger.close().await;
            self.store.close().await;
        })
        .await;
    }

    /// No new runs, what is in flight ends, what is decided is committed.
    async fn stop(self) {
        self.stop_scheduler.cancel();
        let _ = self.scheduler.await;
        within(LAST_STEP, "the commit of the last results", self.desk.writer.flush()).await;
        self.stop_rest.cancel();
        within(LAST_STEP, "messages and pages", async {
            for task in self.rest {
                let _ = task.await;
            }
        })
        .await;
        within(LAST_STEP, "closing the store", async {
            self.desk.writer.stop().await;
            let _ = self.writing.await;
            self.recovery.abort();
            self.ledger.close().await;
            // Says itself what it could not write.
            self.store.close().await;
        })
        .await;
    }
}

/// Opens the store, now and whenever it went away. From then on writes can be entered there.
fn opener(storage: &settings::Storage, ledger: &StoreLedger, tenure: Option<Arc<Tenure>>) -> Opener {
    let mode = store::Mode::Daemon { full_sync: storage.synchronous_full };
    let (database, ledger) = (storage.database.clone(), ledger.clone());
    Box::new(move || {
        let (database, ledger, tenure) = (database.clone(), ledger.clone(), tenure.clone());
        async move {
            let store = store::open(&database, mode, tenure.clone()).await?;
            ledger.allow(tenure).await;
            Ok(store)
        }
        .boxed()
    })
}

/// Whether the metrics hold series of each check, and so figures of it.
fn figures_wanted(plan: &Plan) -> bool {
    plan.per_check_metrics.unwrap_or(plan.checks.len() <= expose::PER_CHECK_LIMIT)
}

/// Passes what the sender tells of its channels on to the monitor.
async fn pass_on(mut told: mpsc::Receiver<ChannelEvent>, signals: mpsc::Sender<Signal>) {
    while let Some(event) = told.recv().await {
        let signal = match event {
            ChannelEvent::Failing { channel, why } => {
                Signal::Failing { channel, failures: CHANNEL_FAILURES, why }
            }
            ChannelEvent::Working { channel } => Signal::Working { channel },
        };
        if signals.send(signal).await.is_err() {
            return;
        }
    }
}

/// Passes on what a store that could not be read at the start holds, once it can be read.
async fn tell_found(store: Arc<Resilient>, late: mpsc::Sender<Vec<Resumed>>, stop: CancellationToken) {
    let mut health = store.health();
    loop {
        let works = health.wait_for(|health| *health == StoreHealth::Ok);
        tokio::select! {
            () = stop.cancelled() => return,
            works = works => if works.is_err() { return },
        }
        let found = store.found().await;
        if !found.is_empty() && late.send(found).await.is_err() {
            return;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = health.changed() => if changed.is_err() { return },
        }
    }
}

/// Passes the signs of life of the scheduler's loop on.
fn turned(pulse: Arc<Pulse>, health: Arc<Health>) -> impl Fn() + Send {
    let watchdog = Watchdog::default();
    move || {
        health.turned();
        health.started_late_by(pulse.lateness());
        watchdog.feed(pulse.last_turn());
    }
}

/// Keeps what the health pages say of store and outbox true.
async fn watch_vitals(
    store: Arc<Resilient>,
    health: Arc<Health>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) {
    let state = store.health();
    let mut often = tokio::time::interval(VITALS_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = often.tick() => {}
        }
        health.set_store(match &*state.borrow() {
            StoreHealth::Ok => StoreState::Open,
            StoreHealth::Degraded { why, .. } => StoreState::Degraded { why: why.clone() },
        });
        if let Ok((pending, oldest)) = store.pending().await {
            health.set_outbox(pending, oldest, clock.now());
        }
    }
}
