//! Group commit: what several runs want of the ledger at the same time is one transaction, synced
//! once. Whoever gets the connection does the work of all who wait for it.

use std::sync::{MutexGuard, PoisonError};

use jiff::Timestamp;
use serde_json::{Map, Value};
use sqlx::{Connection, SqliteConnection};
use tokio::sync::oneshot;

use super::entries::{self, Kept, Outcome, Write};
use super::{KEPT, Seat, SqliteLedger};
use crate::model::CheckId;
use crate::model::ledger::{Budget, Canary, CanaryState, Entry, LedgerError};

/// What a run wants.
pub enum Job {
    Enter { check: CheckId, run: String, now: Timestamp, held_until: Timestamp, budget: Budget },
    Keep { run: String, kept: Map<String, Value> },
    Settle { run: String, state: CanaryState, at: Timestamp },
    Open { check: CheckId },
}

/// What became of it.
pub enum Done {
    Entered(Entry),
    Kept(Kept),
    Settled(Outcome),
    Open(Vec<Canary>),
}

/// A job, and who waits for it.
pub type Waiting = (Job, oneshot::Sender<Result<Done, LedgerError>>);

impl Job {
    async fn work(
        &self,
        connection: &mut SqliteConnection,
        holder: &'static str,
    ) -> Result<Done, sqlx::Error> {
        match self {
            Self::Enter { check, run, now, held_until, budget } => {
                let write = Write { check, run, now: *now, held_until: *held_until, holder, budget: *budget };
                entries::enter(connection, &write).await.map(Done::Entered)
            }
            Self::Keep { run, kept } => entries::keep(connection, run, kept, KEPT).await.map(Done::Kept),
            Self::Settle { run, state, at } => {
                entries::settle(connection, run, *state, *at).await.map(Done::Settled)
            }
            Self::Open { check } => entries::open(connection, check).await.map(Done::Open),
        }
    }

    const fn only_reads(&self) -> bool {
        matches!(self, Self::Open { .. })
    }
}

impl SqliteLedger {
    /// Has a job done; what it changed is on disk, synced, when this returns.
    pub(super) async fn ask(&self, job: impl Fn() -> Job) -> Result<Done, LedgerError> {
        loop {
            let (reply, mut answer) = oneshot::channel();
            self.waiting().push((job(), reply));
            tokio::select! {
                biased;
                answered = &mut answer => match answered {
                    Ok(done) => return done,
                    // Whoever did it was cut off in the middle, and nothing of it was answered.
                    Err(_) => continue,
                },
                seat = self.seat() => match seat {
                    Ok(mut seat) => self.work(&mut seat).await,
                    Err(why) => self.tell_all(&why),
                },
            }
            if let Ok(done) = answer.await {
                return done;
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All jobs that somebody still waits for.
    fn wanted(&self) -> Vec<Waiting> {
        let mut jobs = std::mem::take(&mut *self.waiting());
        jobs.retain(|(_, reply)| !reply.is_closed());
        jobs
    }

    fn tell_all(&self, why: &LedgerError) {
        for (_, reply) in self.wanted() {
            reply.send(Err(why.clone())).ok();
        }
    }

    async fn work(&self, seat: &mut Seat) {
        let jobs = self.wanted();
        let done = commit(&mut seat.connection, &jobs, self.holder.as_str()).await;
        match self.done(seat, done) {
            Ok(done) => {
                for ((_, reply), done) in jobs.into_iter().zip(done) {
                    reply.send(Ok(done)).ok();
                }
            }
            Err(why) => {
                for (_, reply) in jobs {
                    reply.send(Err(why.clone())).ok();
                }
            }
        }
    }
}

/// Does all jobs or none.
async fn commit(
    connection: &mut SqliteConnection,
    jobs: &[Waiting],
    holder: &'static str,
) -> Result<Vec<Done>, sqlx::Error> {
    let mut done = Vec::with_capacity(jobs.len());
    if jobs.iter().all(|(job, _)| job.only_reads()) {
        for (job, _) in jobs {
            done.push(job.work(connection, holder).await?);
        }
        return Ok(done);
    }
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for (job, _) in jobs {
        done.push(job.work(&mut transaction, holder).await?);
    }
    transaction.commit().await?;
    Ok(done)
}
