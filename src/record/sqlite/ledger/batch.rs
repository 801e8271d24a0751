//! Group commit: what several runs want of the ledger at the same time is one transaction, synced
//! once. Whoever gets the connection does the work of all who wait for it.

use std::sync::{MutexGuard, PoisonError};

use sqlx::{Connection, SqliteConnection};
use tokio::sync::oneshot;

use super::{Seat, SqliteLedger, entries};
use crate::model::ledger::LedgerError;
use crate::record::canaries::{Done, Job, KEPT, Waiting, Write};

/// Does one job.
async fn work(
    job: &Job,
    connection: &mut SqliteConnection,
    holder: &'static str,
) -> Result<Done, sqlx::Error> {
    match job {
        Job::Enter { check, run, now, held_until, budget } => {
            let write = Write { check, run, now: *now, held_until: *held_until, holder, budget: *budget };
            entries::enter(connection, &write).await.map(Done::Entered)
        }
        Job::Keep { run, kept } => entries::keep(connection, run, kept, KEPT).await.map(Done::Kept),
        Job::Settle { run, state, at } => {
            entries::settle(connection, run, *state, *at).await.map(Done::Settled)
        }
        Job::Open { check } => entries::open(connection, check).await.map(Done::Open),
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
            done.push(work(job, connection, holder).await?);
        }
        return Ok(done);
    }
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for (job, _) in jobs {
        done.push(work(job, &mut transaction, holder).await?);
    }
    transaction.commit().await?;
    Ok(done)
}
