//! Group commit: what several runs want of the ledger at the same time is one transaction, synced
//! once. Whoever gets the connection does the work of all who wait for it.

use std::sync::{MutexGuard, PoisonError};

use sqlx::PgConnection;
use tokio::sync::oneshot;

use super::super::link::patiently;
use super::{PostgresLedger, Sitting, entries};
use crate::model::ledger::LedgerError;
use crate::record::canaries::{Done, Job, KEPT, Waiting, Write};

/// Does one job.
async fn work(job: &Job, connection: &mut PgConnection, holder: &'static str) -> Result<Done, sqlx::Error> {
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

impl PostgresLedger {
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
                sitting = self.sit() => match sitting {
                    Ok(sitting) => self.work(sitting).await,
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

    /// The desk is left only when all are answered, so that none of them sits down at it meanwhile.
    async fn work(&self, mut sitting: Sitting<'_>) {
        let jobs = self.wanted();
        match patiently(commit(&mut sitting, &jobs, self.holder.as_str())).await {
            Ok(done) => {
                for ((_, reply), done) in jobs.into_iter().zip(done) {
                    reply.send(Ok(done)).ok();
                }
                sitting.desk.connection = Some(sitting.connection);
            }
            Err(why) => {
                let why = self.fault(&why);
                for (_, reply) in jobs {
                    reply.send(Err(why.clone())).ok();
                }
            }
        }
    }
}

/// Does all jobs or none.
async fn commit(
    sitting: &mut Sitting<'_>,
    jobs: &[Waiting],
    holder: &'static str,
) -> Result<Vec<Done>, sqlx::Error> {
    let mut done = Vec::with_capacity(jobs.len());
    if jobs.iter().all(|(job, _)| job.only_reads()) {
        for (job, _) in jobs {
            done.push(work(job, &mut sitting.connection, holder).await?);
        }
        return Ok(done);
    }
    let mut transaction = sitting.begin().await?;
    entries::alone(&mut transaction).await?;
    for (job, _) in jobs {
        done.push(work(job, &mut transaction, holder).await?);
    }
    transaction.commit().await?;
    Ok(done)
}
