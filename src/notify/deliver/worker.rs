//! One channel's turn: sends the messages that are due for it, one after the other.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::wire::Wire;
use super::{Channel, Channels, SEND_TIMEOUT, count, send};
use crate::alert::outbox::{Batch, backoff, given_up};
use crate::clock::Clock;
use crate::model::{Delivery, IncidentId, Masker, Notice, Notification, OutboxRow};
use crate::record::tenure::{Tenure, while_sure};
use crate::record::{Settled, Store, StoreError};
use crate::telemetry::telemetry;

/// The stretch in which messages are counted against a channel's rate.
const MINUTE: Duration = Duration::from_secs(60);

/// When a channel's last messages were sent.
#[derive(Default)]
pub(super) struct Budget(VecDeque<Instant>);

impl Budget {
    /// Takes one message out of the budget, or tells how long there is none.
    fn take(&mut self, per_minute: u32, now: Instant) -> Result<(), Duration> {
        while self.0.front().is_some_and(|sent| now.duration_since(*sent) >= MINUTE) {
            self.0.pop_front();
        }
        let most = usize::try_from(per_minute.max(1)).unwrap_or(usize::MAX);
        match self.0.front() {
            Some(oldest) if self.0.len() >= most => Err(MINUTE.saturating_sub(now.duration_since(*oldest))),
            _ => {
                self.0.push_back(now);
                Ok(())
            }
        }
    }
}

/// What a channel's turn needs.
pub(super) struct Job {
    pub channel: Channel,
    pub channels: Arc<Channels>,
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub wire: Arc<dyn Wire>,
    pub tenure: Option<Arc<Tenure>>,
    pub lease_until: Instant,
    pub stop: CancellationToken,
}

/// What came of a channel's turn.
pub(super) struct Report {
    pub channel: String,
    pub budget: Budget,
    /// One for each attempt, in order: why it failed.
    pub attempts: Vec<Result<(), Failure>>,
}

/// A failed attempt.
pub(super) struct Failure {
    /// Why, in one line without secrets.
    pub why: String,
    /// The message is given up.
    pub lost: bool,
}

impl Job {
    pub(super) async fn run(self, batches: Vec<Batch>, mut budget: Budget) -> Report {
        let mut attempts = Vec::new();
        let mut held: BTreeSet<IncidentId> = BTreeSet::new();
        let mut not_before: Option<Timestamp> = None;
        for batch in batches {
            let overtakes = batch.rows.iter().any(|row| held.contains(&row.incident));
            let late = Instant::now() + SEND_TIMEOUT > self.lease_until;
            if not_before.is_none() && !overtakes && !late && !self.stop.is_cancelled() {
                match budget.take(self.channel.per_minute, Instant::now()) {
                    Ok(()) => {
                        // What another daemon sends is no failure of the channel.
                        let Some(outcome) = self.attempt(&batch).await else { break };
                        if outcome.is_err() {
                            held.extend(batch.rows.iter().map(|row| row.incident.clone()));
                        }
                        attempts.push(outcome);
                        continue;
                    }
                    Err(wait) => not_before = self.clock.now().checked_add(wait).ok(),
                }
            }
            held.extend(batch.rows.iter().map(|row| row.incident.clone()));
            let released: Vec<_> = all_rows(&batch)
                .map(|row| released(row, not_before.unwrap_or(row.not_before).max(row.not_before)))
                .collect();
            settle(&*self.store, &released).await;
        }
        Report { channel: self.channel.name, budget, attempts }
    }

    /// Sends one message and settles its rows; none if another daemon sends it.
    async fn attempt(&self, batch: &Batch) -> Option<Result<(), Failure>> {
        let keys: Vec<_> = batch.rows.iter().map(|row| row.key.clone()).collect();
        if let Err(error) = self.store.mark(&batch.key, &keys).await {
            if let StoreError::Fenced { .. } = error {
                tracing::warn!(%error, key = batch.key, "not sent: it is not this daemon's any more");
                return None;
            }
            tracing::warn!(%error, key = batch.key, "the outbox cannot be written; the message goes out all the same");
        }
        let now = self.clock.now();
        let Some(notification) = self.notification(batch, now) else { return Some(Ok(())) };
        let outgoing = self.channel.notifier.render(&notification);
        let masker = &self.channels.masker;
        let sending = send(&*self.wire, &self.channel, &outgoing, &batch.key, now, masker);
        // Another daemon may have taken over since the mark. Else the rows come back when the lease ends.
        let Some(delivery) = while_sure(self.tenure.as_deref(), sending).await else {
            tracing::warn!(
                key = batch.key,
                "cut off: another daemon may lead, and send it under the same key"
            );
            return None;
        };
        let now = self.clock.now();
        let mut settled: Vec<_> =
            batch.rows.iter().map(|row| self.verdict(batch, row, &delivery, now)).collect();
        if let Some(first) = settled.first() {
            count(&self.channel.name, outcome(first));
            settled.extend(self.absorb(batch, first, now));
        }
        let lost = settled.iter().any(|settled| matches!(settled, Settled::Dead { .. }));
        settle(&*self.store, &settled).await;
        match delivery {
            Delivery::Sent { answer } => {
                tracing::info!(channel = self.channel.name, key = batch.key, answer, "sent");
                Some(Ok(()))
            }
            Delivery::Retry { why, .. } | Delivery::Dead { why } => {
                tracing::warn!(channel = self.channel.name, key = batch.key, why, "not sent");
                Some(Err(Failure { why, lost }))
            }
        }
    }

    /// What becomes of the rows a message stands for: they end with it, or wait beside it.
    fn absorb(&self, batch: &Batch, message: &Settled, now: Timestamp) -> Vec<Settled> {
        let fate = |row: &OutboxRow| match message {
            Settled::Later { not_before, .. } => released(row, *not_before),
            _ => {
                count(&self.channel.name, "collapsed");
                Settled::Collapsed { key: row.key.clone(), into: batch.key.clone(), at: now }
            }
        };
        batch.absorbed.iter().map(fate).collect()
    }

    fn notification(&self, batch: &Batch, now: Timestamp) -> Option<Notification> {
        let first = batch.rows.first()?;
        Some(Notification {
            key: batch.key.clone(),
            channel: self.channel.name.clone(),
            group_key: first.group_key.clone(),
            group_labels: first.group_labels.clone(),
            notices: batch.rows.iter().map(|row| masked(&row.notice, &self.channels.masker)).collect(),
            replies_to: batch.rows.iter().find_map(|row| row.root.clone()),
            shares: batch.shares.as_deref().map(|shares| self.channels.masker.mask(shares).into_owned()),
            external_url: self.channels.external_url.clone(),
            timezone: self.channels.timezone.clone(),
            now,
        })
    }

    /// What becomes of a row. A message is given up as a whole, by the age of its youngest row.
    fn verdict(&self, batch: &Batch, row: &OutboxRow, delivery: &Delivery, now: Timestamp) -> Settled {
        let key = row.key.clone();
        match delivery {
            Delivery::Sent { answer } => {
                let delay = now.duration_since(row.notice.at).as_secs_f64();
                telemetry().notification_delay.observe(delay.max(0.0));
                Settled::Sent { key, at: now, answer: answer.clone() }
            }
            Delivery::Dead { why } => Settled::Dead { key, at: now, why: why.clone() },
            Delivery::Retry { why, .. } if batch.rows.iter().all(|row| given_up(row, now)) => {
                Settled::Dead { key, at: now, why: format!("given up after 24 h: {why}") }
            }
            Delivery::Retry { after, why, unsure } => {
                let most = batch.rows.iter().map(|row| row.attempts).max().unwrap_or(0).saturating_add(1);
                let wait = backoff(&batch.key, most, *after);
                Settled::Later {
                    key,
                    not_before: now.checked_add(wait).unwrap_or(now),
                    attempts: row.attempts.saturating_add(1),
                    batch: Some(batch.key.clone()),
                    why: why.clone(),
                    // A clear refusal says nothing about the attempt before it.
                    unsure: row.unsure || *unsure,
                }
            }
        }
    }
}

/// The rows of a message, and those it stands for.
pub(super) fn all_rows(batch: &Batch) -> impl Iterator<Item = &OutboxRow> {
    batch.rows.iter().chain(&batch.absorbed)
}

/// The `outcome` label of what became of a message.
fn outcome(settled: &Settled) -> &'static str {
    match settled {
        Settled::Sent { .. } => "sent",
        Settled::Later { .. } => "retried",
        Settled::Dead { .. } => "dead",
        Settled::Collapsed { .. } => "collapsed",
    }
}

/// Gives a row back as it is, to be looked at from `not_before`.
pub(super) fn released(row: &OutboxRow, not_before: Timestamp) -> Settled {
    Settled::Later {
        key: row.key.clone(),
        not_before,
        attempts: row.attempts,
        batch: row.batch.clone(),
        why: String::new(),
        unsure: row.unsure,
    }
}

/// Settles, or logs why not: the rows then come back under their key when the lease ends.
pub(super) async fn settle(store: &dyn Store, settled: &[Settled]) {
    if settled.is_empty() {
        return;
    }
    if let Err(error) = store.settle(settled).await {
        tracing::warn!(%error, rows = settled.len(), "the outbox cannot be written; messages may go out twice, under the same key");
    }
}

/// The notice without secrets. They are masked where texts are made; this is the last door.
fn masked(notice: &Notice, masker: &Masker) -> Notice {
    let Ok(json) = serde_json::to_string(notice) else { return notice.clone() };
    let masked = masker.mask(&json);
    if masked == json {
        return notice.clone();
    }
    serde_json::from_str(&masked).unwrap_or_else(|_| {
        let mut bare = notice.clone();
        bare.incident.findings.clear();
        bare.reproduce.clear();
        bare
    })
}
