//! Several daemons on one PostgreSQL: one leads, the others stand by.
//!
//! A daemon stands by until it wins the lease, runs everything from what the store holds, and stands by
//! again when another one took over. A daemon that never reached the database goes on in memory, as a
//! single one does: it knows of no other.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::daemon::{Daemon, House, RunError};
use super::load;
use super::reload::{Fixed, LOOK_EVERY, credentials};
use super::system::{self, Asked, Signals, Watchdog};
use crate::config::watch::Fingerprint;
use crate::expose::{Role, StoreState};
use crate::plan::Plan;
use crate::record::StoreError;
use crate::record::postgres::lease::{GRACE, LEASE, Lease, RENEW, Renewal, Standing};
use crate::record::tenure::{Tenure, running};
use crate::telemetry::telemetry;

/// How often whoever stands by looks at the lease.
const WATCH: Duration = Duration::from_secs(2);
/// How often a server that does not answer is asked again by the one that leads.
const RETRY: Duration = Duration::from_secs(1);

/// A name that no other daemon has.
pub fn name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let mut random = [0; 4];
    // Without it the name is still told apart by host and process.
    let _ = aws_lc_rs::rand::fill(&mut random);
    format!("{}:{}:{:08x}", host.trim(), std::process::id(), u32::from_be_bytes(random))
}

/// Leads and stands by in turns, until a signal asks to stop.
///
/// # Errors
/// As [`super::run`].
pub async fn run(
    house: &House,
    plan: Arc<Plan>,
    mut lease: Lease,
    signals: &mut Signals,
    read: Fingerprint,
) -> Result<(), RunError> {
    telemetry().show_leader();
    let mut standby = Standby { house, plan, read, reached: false, expired: None, pages: None };
    standby.read = standby.fingerprint().as_seen_before(&standby.read);
    standby.house.exposed().take_up(&standby.plan, house.clock.now());
    loop {
        let tenure = match standby.wait(&mut lease, signals).await {
            Ok(Next::Lead(tenure)) => tenure,
            Ok(Next::Stop(signal)) => {
                tracing::info!(signal, "stopping");
                system::tell_service_manager(&[NotifyState::Stopping]);
                standby.close_pages().await;
                lease.forget().await;
                return Ok(());
            }
            Err(why) => return Err(why),
        };
        standby.close_pages().await;
        house.health.set_role(Role::Leads(lease.holder().to_owned()));
        let stop_keeping = CancellationToken::new();
        let keeping = tokio::spawn(keep(lease, Arc::clone(&tenure), stop_keeping.clone()));
        let led = lead(&mut standby, &tenure, signals).await;
        stop_keeping.cancel();
        lease = match keeping.await {
            Ok(lease) => lease,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        if !matches!(led, Ok(Led::Lost)) {
            if !tenure.is_lost()
                && tenure.token() != 0
                && let Err(why) = lease.release(tenure.token()).await
            {
                tracing::warn!(%why, "the lead was not given back: another daemon takes over once it has run out");
            }
            lease.close().await;
            return led.map(drop);
        }
        tracing::warn!(why = tenure.why(), "this daemon does not lead any more, and stands by");
        house.health.set_role(Role::StandsBy(None));
    }
}

/// How leading ended.
enum Led {
    Stopped,
    Lost,
}

async fn lead(
    standby: &mut Standby<'_>,
    tenure: &Arc<Tenure>,
    signals: &mut Signals,
) -> Result<Led, RunError> {
    let house = standby.house;
    let daemon = match Daemon::start(house, Arc::clone(&standby.plan), Some(Arc::clone(tenure))).await {
        Ok(daemon) => daemon,
        Err(RunError::Store(StoreError::Fenced { by, .. })) => {
            tenure.lose(by);
            return Ok(Led::Lost);
        }
        Err(why) => return Err(why),
    };
    house.started();
    tracing::info!("this daemon leads");
    let signal = tokio::select! {
        signal = daemon.serve(signals, &standby.read) => Some(signal),
        _ = tenure.lost() => None,
    };
    match signal {
        Some(signal) => {
            daemon.stop_at(signal, signals).await;
            Ok(Led::Stopped)
        }
        None => {
            standby.plan = daemon.plan();
            daemon.abandon().await;
            Ok(Led::Lost)
        }
    }
}

/// Renews the lease until `stop`, or until it is lost.
async fn keep(mut lease: Lease, tenure: Arc<Tenure>, stop: CancellationToken) -> Lease {
    let mut others = false;
    let mut expired = None;
    loop {
        let begun = running();
        let pause = if tenure.token() == 0 {
            prove(&mut lease, &tenure, begun, &mut expired).await;
            RETRY
        } else {
            match lease.renew(tenure.token()).await {
                Renewal::Kept { others: seen } => {
                    others = seen;
                    tenure.extend(begun + LEASE);
                    RENEW
                }
                Renewal::Taken(by) => {
                    tenure.lose(by);
                    return lease;
                }
                // Nobody takes over a server that is down, nor at once when it is back.
                Renewal::Down => {
                    tenure.extend(begun + if others { GRACE } else { LEASE });
                    RETRY
                }
                Renewal::Unclear(why) => {
                    tracing::debug!(%why, "the lead could not be renewed");
                    if !others {
                        tenure.extend(begun + LEASE);
                    }
                    RETRY
                }
            }
        };
        if !tenure.is_sure() {
            tenure.lose("the database did not answer for as long as the lead lasts".into());
        }
        tokio::select! {
            () = stop.cancelled() => return lease,
            _ = tenure.lost() => return lease,
            () = sleep(pause) => {}
        }
    }
}

/// Takes the lease for a daemon that began without the database.
async fn prove(lease: &mut Lease, tenure: &Tenure, begun: Duration, expired: &mut Option<Duration>) {
    let free = match lease.look().await {
        Ok(Standing::Held(by)) => return tenure.lose(by),
        // Somebody is at work there, and knows no lease.
        Err(why @ StoreError::Locked { .. }) => return tenure.lose(why.to_string()),
        Ok(Standing::Free) => true,
        // Less patient than those that stand by: what happened meanwhile is known here alone.
        Ok(Standing::Expired) => running() >= *expired.get_or_insert(begun) + GRACE / 2,
        Err(_) => {
            *expired = None;
            false
        }
    };
    tenure.extend(begun + LEASE);
    if free && let Ok(Some(token)) = lease.take().await {
        tenure.proven(token);
    }
}

/// What comes after standing by.
enum Next {
    Lead(Arc<Tenure>),
    Stop(&'static str),
}

/// A daemon while another one leads.
struct Standby<'h> {
    house: &'h House,
    plan: Arc<Plan>,
    /// What the plan was read from.
    read: Fingerprint,
    /// The database answered at least once.
    reached: bool,
    /// Since when the lease is seen expired.
    expired: Option<Duration>,
    pages: Option<(JoinHandle<()>, CancellationToken)>,
}

impl Standby<'_> {
    /// Waits for the lead, or for a signal to stop.
    async fn wait(&mut self, lease: &mut Lease, signals: &mut Signals) -> Result<Next, RunError> {
        let watchdog = Watchdog::default();
        let mut pause = Duration::ZERO;
        let mut looked = running();
        self.expired = None;
        loop {
            let won = tokio::select! {
                asked = signals.asked() => {
                    match asked {
                        Asked::Stop(signal) => return Ok(Next::Stop(signal)),
                        Asked::Reload => self.reload("SIGHUP").await,
                    }
                    continue;
                }
                won = async { sleep(pause).await; self.look(lease).await } => won?,
            };
            if let Some(tenure) = won {
                return Ok(Next::Lead(tenure));
            }
            pause = WATCH;
            if self.pages.is_none() {
                let stop = CancellationToken::new();
                self.pages = Some((self.house.serve_standby(&self.plan, stop.clone())?, stop));
                self.house.started();
                tracing::info!("another daemon leads, and this one stands by");
            }
            self.house.health.turned();
            watchdog.feed(self.house.clock.now().as_millisecond());
            if running() >= looked + LOOK_EVERY {
                looked = running();
                if self.fingerprint() != self.read {
                    self.reload("a file changed").await;
                }
            }
        }
    }

    /// Looks at the lease once, and takes it if that is due.
    async fn look(&mut self, lease: &mut Lease) -> Result<Option<Arc<Tenure>>, RunError> {
        let health = &self.house.health;
        let begun = running();
        let due = match lease.look().await {
            Ok(standing) => {
                self.reached = true;
                health.set_store(StoreState::Open);
                let by = match &standing {
                    Standing::Held(by) => Some(by.clone()),
                    _ => None,
                };
                health.set_role(Role::StandsBy(by));
                if standing != Standing::Expired {
                    self.expired = None;
                }
                match standing {
                    Standing::Free => true,
                    Standing::Expired => begun >= *self.expired.get_or_insert(begun) + GRACE,
                    Standing::Held(_) => false,
                }
            }
            Err(why @ StoreError::Newer { .. }) => return Err(why.into()),
            // Somebody is at work there, and knows no lease.
            Err(why @ StoreError::Locked { .. }) => {
                if !std::mem::replace(&mut self.reached, true) {
                    tracing::error!(%why, "the lease cannot be seen");
                }
                self.expired = None;
                health.set_role(Role::StandsBy(None));
                health.set_store(StoreState::Degraded { why: why.to_string() });
                false
            }
            Err(why) if !self.reached => {
                tracing::error!(%why, "nobody knows whether another daemon leads: this one does");
                self.reached = true;
                return Ok(Some(Arc::new(Tenure::new(0, begun + LEASE))));
            }
            Err(why) => {
                self.expired = None;
                health.set_store(StoreState::Degraded { why: why.to_string() });
                tracing::debug!(%why, "the lease cannot be seen");
                false
            }
        };
        if !due {
            return Ok(None);
        }
        let begun = running();
        match lease.take().await {
            Ok(Some(token)) => Ok(Some(Arc::new(Tenure::new(token, begun + LEASE)))),
            Ok(None) => Ok(None),
            Err(why) => {
                tracing::warn!(%why, "the lead could not be taken");
                Ok(None)
            }
        }
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::take(std::iter::once(&self.house.path).chain(self.plan.watched.iter()))
    }

    /// Reads the config again, for when this daemon leads.
    async fn reload(&mut self, why: &str) {
        let (house, path) = (self.house, self.house.path.clone());
        let before = self.fingerprint();
        let now = house.clock.now();
        match tokio::task::spawn_blocking(move || load::plan(&path)).await {
            Ok(Ok((plan, server, storage))) => {
                let fixed = Fixed::of(&self.plan, &house.server, &house.storage);
                let changed = fixed.changed(&Fixed::of(&plan, &server, &storage));
                if !changed.is_empty() {
                    tracing::warn!(keys = changed.join(", "), "these change with a restart only");
                }
                let (tokens, basic, open) = credentials(&server, house.server.listen);
                house.auth.replace(tokens, basic, open);
                house.exposed().take_up(&plan, now);
                self.plan = Arc::new(plan);
                tracing::info!(checks = self.plan.checks.len(), why, "the config was reloaded");
            }
            Ok(Err(faults)) => {
                for fault in &faults {
                    tracing::error!("{fault}");
                }
                let first = faults.first().map(ToString::to_string).unwrap_or_default();
                house.health.reloaded(now, Some(format!("{} faults, the first: {first}", faults.len())));
            }
            Err(error) => house.health.reloaded(now, Some(error.to_string())),
        }
        self.read = self.fingerprint().as_seen_before(&before);
    }

    async fn close_pages(&mut self) {
        if let Some((pages, stop)) = self.pages.take() {
            stop.cancel();
            let _ = pages.await;
        }
    }
}
