//! The only sender. It claims due rows of the outbox, makes messages of them, hands each to its
//! channel's transport, and settles the rows with the answer.
//!
//! - **At least once, under one key.** The key of a message is written onto its rows before each
//!   attempt, with a note that they may have been delivered; whatever happens between sending and
//!   settling, the same rows go out again under the same key. The note stays while no answer came.
//! - **No channel waits for another.** Each channel has at most one task at work; what is due for a
//!   busy channel is left in the outbox.
//! - **Order.** The rows of one (incident, channel) go out in the order in which they were written;
//!   a failed one holds back those after it.
//! - **Nothing is dropped.** What exceeds a channel's rate waits in the outbox and is merged with what
//!   comes meanwhile. A row is given up after 24 hours of failures, or when the other side says it
//!   will never take it.

mod smtp;
mod web;
mod wire;
mod worker;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use self::wire::{Broken, Call, Dialed, Reply, Wire};
use self::worker::{Budget, Failure, Job, Report};
use super::{Notifier, Transport};
use crate::alert::outbox::{Batch, plan_batches};
use crate::clock::Clock;
use crate::model::{
    CheckId, Delivery, Incident, IncidentId, Labels, Masker, Notice, Notification, OutboxRow, Outgoing,
    Reason, Severity,
};
use crate::net::TlsOptions;
use crate::record::tenure::Tenure;
use crate::record::{Claimed, Settled, Store};
use crate::telemetry::telemetry;

/// How long claimed rows are ours.
pub const LEASE: Duration = Duration::from_secs(30);
/// Bounds one attempt; shorter than [`LEASE`].
pub const SEND_TIMEOUT: Duration = Duration::from_secs(25);
/// How long the outbox is left alone when nobody says that there is something new.
const IDLE: Duration = Duration::from_secs(2);
/// Failed attempts in a row after which a channel is reported as failing; at once where a message is
/// lost.
const FAILING_AFTER: u32 = 3;

/// A channel, ready to send.
#[derive(Clone)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// Its type, such as `email`.
    pub kind: &'static str,
    /// What renders for it.
    pub notifier: Arc<dyn Notifier>,
    /// The channel told when this one keeps failing.
    pub fallback: Option<String>,
    /// Its TLS settings.
    pub tls: Arc<TlsOptions>,
    /// The most messages in any minute.
    pub per_minute: u32,
}

/// The usual [`Channel::per_minute`].
pub const PER_MINUTE: u32 = 30;

/// All channels, and what all messages share. Replaced as a whole when the config is loaded anew.
#[derive(Clone)]
pub struct Channels {
    /// By name.
    pub by_name: BTreeMap<String, Channel>,
    /// `server.external_url`
    pub external_url: String,
    /// `notify.timezone`
    pub timezone: jiff::tz::TimeZone,
    /// Knows all secrets of the config.
    pub masker: Masker,
}

/// What the engine is told about a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelEvent {
    /// It failed several times in a row, or a message was given up.
    Failing {
        /// Which.
        channel: String,
        /// The last failure, without secrets.
        why: String,
    },
    /// It works again.
    Working {
        /// Which.
        channel: String,
    },
}

/// The sender's parts.
pub struct Deliver {
    /// Where rows come from.
    pub store: Arc<dyn Store>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// The sockets.
    pub wire: Arc<dyn Wire>,
    /// The lead, where daemons share the store: nothing is sent while it is not sure.
    pub tenure: Option<Arc<Tenure>>,
    /// The channels; a new value replaces them.
    pub channels: watch::Receiver<Arc<Channels>>,
    /// Rung (`notify_one`) by whoever wrote rows.
    pub wake: Arc<Notify>,
    /// Where news about channels goes.
    pub events: mpsc::Sender<ChannelEvent>,
}

/// What is known of a channel between its tasks.
#[derive(Default)]
struct Health {
    failures: u32,
    /// What the engine was told last; `None` since the start, when it may still know a channel as
    /// failing that works by now.
    reported: Option<bool>,
    last_why: String,
}

/// What is at work.
#[derive(Default)]
struct AtWork {
    tasks: JoinSet<Report>,
    /// The channel of each task, for one that ends by itself.
    names: HashMap<tokio::task::Id, String>,
    /// Rows that came for a channel while it was at work: they stay leased until it is done, since
    /// giving them back at once would be one write after the other.
    parked: BTreeMap<String, Vec<Settled>>,
    channels: BTreeSet<String>,
    rows: BTreeSet<(String, IncidentId)>,
    budgets: BTreeMap<String, Budget>,
    health: BTreeMap<String, Health>,
}

impl Deliver {
    /// Delivers until `stop`; messages in the air are then given the time they need.
    pub async fn run(self, stop: CancellationToken) {
        let mut at_work = AtWork::default();
        while !stop.is_cancelled() {
            let rest = self.turn(&mut at_work, &stop).await;
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.wake.notified() => {}
                () = tokio::time::sleep(rest) => {}
                Some(done) = at_work.tasks.join_next() => self.note(&mut at_work, done),
            }
            while let Some(done) = at_work.tasks.try_join_next() {
                self.note(&mut at_work, done);
            }
            worker::settle(&*self.store, &at_work.unpark()).await;
        }
        let drain = async { while at_work.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(SEND_TIMEOUT, drain).await.is_err() {
            tracing::warn!("stopped while a message was in the air; it goes out again under the same key");
        }
    }

    /// Claims, plans, starts what can start. Returns how long to rest.
    async fn turn(&self, at_work: &mut AtWork, stop: &CancellationToken) -> Duration {
        let now = self.clock.now();
        let lease_until = tokio::time::Instant::now() + LEASE;
        let claimed = match self.store.claim(now, LEASE).await {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::warn!(%error, "the outbox cannot be read");
                return IDLE;
            }
        };
        let rows = claimed.into_iter().filter(|claimed| !at_work.holds(&claimed.row)).collect();
        let rest = self.dispatch(rows, at_work, lease_until, stop).await;
        self.measure().await;
        rest
    }

    async fn dispatch(
        &self,
        claimed: Vec<Claimed>,
        at_work: &mut AtWork,
        lease_until: tokio::time::Instant,
        stop: &CancellationToken,
    ) -> Duration {
        let now = self.clock.now();
        let rows: Vec<_> = claimed.into_iter().map(|claimed| (claimed.row, claimed.group_sent)).collect();
        let channels = self.channels.borrow().clone();
        let plan = plan_batches(&rows, now);
        let by_key: BTreeMap<&str, &OutboxRow> =
            rows.iter().map(|(row, _)| (row.key.as_str(), row)).collect();
        let mut settled = Vec::new();
        for (key, into) in plan.collapse {
            if let Some(row) = by_key.get(key.as_str()) {
                count(&row.channel, "collapsed");
            }
            settled.push(Settled::Collapsed { key, into, at: now });
        }
        let mut rest = IDLE;
        for (key, at) in plan.later {
            if let Some(row) = by_key.get(key.as_str()) {
                settled.push(worker::released(row, at));
            }
            let until = Duration::try_from(at.duration_since(now)).unwrap_or_default();
            rest = rest.min(until.max(Duration::from_millis(100)));
        }
        let mut jobs: BTreeMap<String, Vec<Batch>> = BTreeMap::new();
        for batch in plan.send {
            let Some(name) = batch.rows.first().map(|row| row.channel.clone()) else { continue };
            if !channels.by_name.contains_key(&name) {
                settled.extend(worker::all_rows(&batch).map(|row| {
                    count(&name, "dead");
                    let why = format!("channel {name} is no longer in the config");
                    Settled::Dead { key: row.key.clone(), at: now, why }
                }));
            } else if at_work.channels.contains(&name) {
                let waiting = worker::all_rows(&batch).map(|row| worker::released(row, row.not_before));
                at_work.parked.entry(name).or_default().extend(waiting);
            } else {
                jobs.entry(name).or_default().push(batch);
            }
        }
        worker::settle(&*self.store, &settled).await;
        for (name, batches) in jobs {
            let Some(channel) = channels.by_name.get(&name) else { continue };
            let budget = at_work.budgets.remove(&name).unwrap_or_default();
            at_work.channels.insert(name.clone());
            at_work.rows.extend(
                batches.iter().flat_map(|batch| &batch.rows).map(|row| (name.clone(), row.incident.clone())),
            );
            let task = at_work.tasks.spawn(
                Job {
                    channel: channel.clone(),
                    channels: channels.clone(),
                    store: self.store.clone(),
                    clock: self.clock.clone(),
                    wire: self.wire.clone(),
                    tenure: self.tenure.clone(),
                    lease_until,
                    stop: stop.clone(),
                }
                .run(batches, budget),
            );
            at_work.names.insert(task.id(), name);
        }
        rest
    }

    async fn measure(&self) {
        if let Ok((rows, oldest)) = self.store.pending().await {
            telemetry().outbox_pending.set(i64::try_from(rows).unwrap_or(i64::MAX));
            let age = oldest.map_or(0, |oldest| self.clock.now().as_second() - oldest.as_second());
            telemetry().outbox_oldest.set(age.max(0));
        }
    }

    fn note(&self, at_work: &mut AtWork, done: Result<Report, tokio::task::JoinError>) {
        let report = match done {
            Ok(report) => report,
            Err(error) => {
                tracing::error!(%error, "a sender task ended by itself");
                if let Some(channel) = at_work.names.remove(&error.id()) {
                    at_work.release(&channel);
                }
                return;
            }
        };
        at_work.release(&report.channel);
        at_work.budgets.insert(report.channel.clone(), report.budget);
        // Messages that waited say nothing about the channel.
        if report.attempts.is_empty() {
            return;
        }
        let health = at_work.health.entry(report.channel.clone()).or_default();
        for attempt in report.attempts {
            match attempt {
                Ok(()) => health.failures = 0,
                Err(Failure { why, lost }) => {
                    // A message that is lost is no accident to wait for the next of.
                    let least = if lost { FAILING_AFTER } else { 1 };
                    health.failures = health.failures.saturating_add(1).max(least);
                    health.last_why = why;
                }
            }
        }
        self.tell(&report.channel, health);
    }

    /// Tells the engine about a turn. A turn that could not be told is told after the next attempt.
    fn tell(&self, channel: &str, health: &mut Health) {
        let failing = if health.failures >= FAILING_AFTER {
            true
        } else if health.failures == 0 {
            false
        } else {
            return;
        };
        if health.reported == Some(failing) {
            return;
        }
        let channel = channel.to_owned();
        let event = if failing {
            tracing::warn!(channel, why = health.last_why, "the channel keeps failing");
            ChannelEvent::Failing { channel, why: health.last_why.clone() }
        } else {
            ChannelEvent::Working { channel }
        };
        if self.events.try_send(event).is_ok() {
            health.reported = Some(failing);
        }
    }
}

impl AtWork {
    fn release(&mut self, channel: &str) {
        self.channels.remove(channel);
        self.rows.retain(|(name, _)| name != channel);
        self.names.retain(|_, name| name != channel);
    }

    /// The parked rows of channels that are free.
    fn unpark(&mut self) -> Vec<Settled> {
        let free = self.parked.extract_if(.., |channel, _| !self.channels.contains(channel));
        free.flat_map(|(_, rows)| rows).collect()
    }

    fn holds(&self, row: &OutboxRow) -> bool {
        self.rows.contains(&(row.channel.clone(), row.incident.clone()))
    }
}

fn count(channel: &str, outcome: &str) {
    telemetry().notifications.with_label_values(&[channel, outcome]).inc();
}

/// Sends a rendered message through its channel's transport; the answer holds no secret.
async fn send(
    wire: &dyn Wire,
    channel: &Channel,
    outgoing: &Outgoing,
    key: &str,
    now: jiff::Timestamp,
    masker: &Masker,
) -> Delivery {
    let delivery = match (channel.notifier.transport(), outgoing) {
        (Transport::Smtp(smtp), Outgoing::Mail(mail)) => {
            smtp::send(wire, smtp, &channel.tls, mail, key, SEND_TIMEOUT).await
        }
        (Transport::Http(target), Outgoing::Http(message)) => {
            web::send(wire, target, &channel.tls, message, key, now, SEND_TIMEOUT).await
        }
        _ => Delivery::Dead { why: format!("channel {} renders for another transport", channel.name) },
    };
    let mask = |text: String| masker.mask(&text).into_owned();
    match delivery {
        Delivery::Sent { answer } => Delivery::Sent { answer: mask(answer) },
        Delivery::Retry { after, why, unsure } => Delivery::Retry { after, why: mask(why), unsure },
        Delivery::Dead { why } => Delivery::Dead { why: mask(why) },
    }
}

/// Sends a real test message, once, and tells what came of it.
pub async fn send_test(
    channel: &Channel,
    channels: &Channels,
    wire: &dyn Wire,
    now: jiff::Timestamp,
) -> Delivery {
    let check = CheckId::monitor();
    let incident = Incident {
        id: IncidentId::new(&check, now),
        check,
        kind: "monitor".into(),
        labels: Labels::new(),
        alertname: "notify.test".into(),
        severity: Severity::Info,
        started: now,
        opened: now,
        last_good: None,
        findings: Vec::new(),
        worst: None,
        ended: None,
        closed: None,
        flapping: false,
        not_recorded: false,
    };
    let notice = Notice {
        reason: Reason::Test,
        incident,
        severity_before: None,
        at: now,
        confirmed: String::new(),
        reproduce: Vec::new(),
        collapsed: false,
    };
    let key = format!("test/{}/{}", channel.name, now.as_millisecond());
    let notification = Notification {
        key: key.clone(),
        channel: channel.name.clone(),
        group_key: "test".into(),
        group_labels: Labels::new(),
        notices: vec![notice],
        shares: None,
        replies_to: None,
        external_url: channels.external_url.clone(),
        timezone: channels.timezone.clone(),
        now,
    };
    let outgoing = channel.notifier.render(&notification);
    send(wire, channel, &outgoing, &key, now, &channels.masker).await
}
