//! A daemon while another one leads, or while it may be so.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Expiry;
use crate::app::daemon::{LAST_STEP, RunError};
use crate::app::house::House;
use crate::app::load;
use crate::app::reload::{Fixed, LOOK_EVERY, credentials};
use crate::app::system::{Asked, Signals, Watchdog};
use crate::config::watch::Fingerprint;
use crate::expose::{Role, StoreState};
use crate::plan::Plan;
use crate::record::StoreError;
use crate::record::postgres::lease::{LEASE, Lease, Standing};
use crate::record::tenure::{Tenure, running};

/// How often whoever stands by looks at the lease.
const WATCH: Duration = Duration::from_secs(2);
/// How often somebody is told that this daemon is at work on something long.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// What comes after standing by.
pub enum Next {
    Lead(Arc<Tenure>),
    Stop(&'static str),
}

/// A daemon while another one leads.
pub struct Standby<'h> {
    pub house: &'h House,
    pub plan: Arc<Plan>,
    /// What the plan was read from.
    pub read: Fingerprint,
    /// The database answered at least once, or was gone on without.
    reached: bool,
    expiry: Expiry,
    /// What is wrong with the database, as it was said.
    wrong: Option<String>,
    watchdog: Watchdog,
    pages: Option<(JoinHandle<()>, CancellationToken)>,
}

impl<'h> Standby<'h> {
    /// `read` is what the plan was read from.
    pub fn new(house: &'h House, plan: Arc<Plan>, read: &Fingerprint) -> Self {
        let (expiry, watchdog) = (Expiry::default(), Watchdog::default());
        let seen = fingerprint(house, &plan).as_seen_before(read);
        Self { house, plan, read: seen, reached: false, expiry, wrong: None, watchdog, pages: None }
    }

    /// Waits for the lead, or for a signal to stop.
    pub async fn wait(&mut self, lease: &mut Lease, signals: &mut Signals) -> Result<Next, RunError> {
        let mut pause = Duration::ZERO;
        let mut looked = running();
        self.expiry = Expiry::default();
        loop {
            let mut asked = tokio::select! {
                asked = signals.asked() => Some(asked),
                () = sleep(pause) => None,
            };
            let mut won = None;
            if asked.is_none() {
                (won, asked) = self.look_to_the_end(lease, signals).await?;
            }
            match asked {
                Some(Asked::Stop(signal)) => {
                    if let Some(tenure) = won.filter(|tenure| tenure.token() != 0) {
                        // Else it runs out.
                        lease.release(tenure.token()).await.ok();
                    }
                    return Ok(Next::Stop(signal));
                }
                Some(Asked::Reload) => self.reload("SIGHUP").await,
                None => {}
            }
            if let Some(tenure) = won {
                return Ok(Next::Lead(tenure));
            }
            if asked.is_some() {
                continue;
            }
            pause = WATCH;
            if self.pages.is_none() {
                let stop = CancellationToken::new();
                self.pages = Some((self.house.serve_standby(&self.plan, stop.clone())?, stop));
                self.house.started();
                tracing::info!("this daemon stands by");
            }
            self.sign();
            if running() >= looked + LOOK_EVERY {
                looked = running();
                if fingerprint(self.house, &self.plan) != self.read {
                    self.reload("a file changed").await;
                }
            }
        }
    }

    /// Does something long, with signs of life meanwhile.
    pub async fn feeding<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let mut often = interval(SIGN_OF_LIFE);
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = often.tick() => self.sign(),
            }
        }
    }

    fn sign(&self) {
        self.house.health.turned();
        self.watchdog.feed(self.house.clock.now().as_millisecond());
    }

    /// As [`Standby::look`], which is cut off only where it keeps us from stopping: nobody would know of a
    /// take whose answer is not waited for. Returns what was asked for meanwhile, too.
    async fn look_to_the_end(
        &mut self,
        lease: &mut Lease,
        signals: &mut Signals,
    ) -> Result<(Option<Arc<Tenure>>, Option<Asked>), RunError> {
        let (house, watchdog) = (self.house, Watchdog::default());
        let mut looking = std::pin::pin!(self.look(lease));
        let mut often = interval(SIGN_OF_LIFE);
        let (mut asked, mut until) = (None, None);
        loop {
            let last = until.unwrap_or_else(Instant::now);
            tokio::select! {
                won = &mut looking => return Ok((won?, asked)),
                one = signals.asked(), if until.is_none() => {
                    asked = Some(one);
                    if let Asked::Stop(_) = one {
                        until = Some(Instant::now() + LAST_STEP);
                    }
                }
                () = sleep_until(last), if until.is_some() => return Ok((None, asked)),
                _ = often.tick() => {
                    house.health.turned();
                    watchdog.feed(house.clock.now().as_millisecond());
                }
            }
        }
    }

    /// Looks at the lease once, and takes it if that is due.
    async fn look(&mut self, lease: &mut Lease) -> Result<Option<Arc<Tenure>>, RunError> {
        let begun = running();
        let standing = match lease.look().await {
            Ok(standing) => standing,
            Err(unseen) if unseen.is_final() => return Err(unseen.why.into()),
            Err(unseen) if !self.reached && !unseen.refused => {
                tracing::error!(why = %unseen.why, "nobody knows whether another daemon leads: this one does");
                self.reached = true;
                return Ok(Some(Arc::new(Tenure::new(0, begun + LEASE))));
            }
            Err(unseen) => {
                self.cannot(&unseen.why, "the lease cannot be seen");
                return Ok(None);
            }
        };
        self.reached = true;
        let by = match &standing {
            Standing::Held(by) => Some(by.clone()),
            _ => None,
        };
        self.house.health.set_role(Role::StandsBy(by));
        let begun = running();
        let taken = match self.expiry.is_due(&standing, begun) {
            true => lease.take().await,
            false => Ok(None),
        };
        match taken {
            Ok(token) => {
                self.wrong = None;
                self.house.health.set_store(StoreState::Open);
                Ok(token.map(|token| Arc::new(Tenure::new(token, begun + LEASE))))
            }
            Err(unseen) if unseen.is_final() => Err(unseen.why.into()),
            Err(unseen) => {
                self.cannot(&unseen.why, "the lead could not be taken");
                Ok(None)
            }
        }
    }

    /// Stands by because of a fault: what was seen before it says nothing any more.
    fn cannot(&mut self, why: &StoreError, what: &'static str) {
        self.reached = true;
        self.expiry = Expiry::default();
        let why = why.to_string();
        self.house.health.set_role(Role::StandsBy(None));
        self.house.health.set_store(StoreState::Degraded { why: why.clone() });
        if self.wrong.as_ref() == Some(&why) {
            tracing::debug!(why, "{what}");
            return;
        }
        tracing::error!(why, "{what}: this daemon stands by");
        self.wrong = Some(why);
    }

    /// Reads the config again, for when this daemon leads.
    async fn reload(&mut self, why: &str) {
        let (house, path) = (self.house, self.house.path.clone());
        let before = fingerprint(house, &self.plan);
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
        self.read = fingerprint(house, &self.plan).as_seen_before(&before);
    }

    /// Ends the pages that are served while it stands by.
    pub async fn close_pages(&mut self) {
        if let Some((pages, stop)) = self.pages.take() {
            stop.cancel();
            let _ = pages.await;
        }
    }
}

fn fingerprint(house: &House, plan: &Plan) -> Fingerprint {
    Fingerprint::take(std::iter::once(&house.path).chain(plan.watched.iter()))
}
