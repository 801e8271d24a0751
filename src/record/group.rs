//! Group commit of the ledgers of writes: what several runs want of one at the same time is one
//! transaction, synced once. Whoever gets the connection does the work of all who wait for it.

use std::future::Future;
use std::sync::PoisonError;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::sync::{MutexGuard, oneshot};

use super::canaries::{Done, Job, KEPT, Kept, Outcome};
use crate::model::CheckId;
use crate::model::ledger::{Budget, Canary, CanaryState, Entry, Ledger, LedgerError, Tally};
use crate::telemetry::telemetry;

/// A database that does jobs of a ledger.
pub trait Bench: Send + Sync {
    /// What its connection lies on, for one transaction at a time.
    type Desk: Send;

    /// How errors name it.
    fn place(&self) -> String;

    /// Waits for the desk, and sees to it that a connection lies there.
    fn sit(&self) -> impl Future<Output = Result<MutexGuard<'_, Self::Desk>, LedgerError>> + Send;

    /// Does all jobs or none; what they change is on disk, synced, when this returns.
    fn work(
        &self,
        desk: &mut Self::Desk,
        jobs: &[&Job],
    ) -> impl Future<Output = Result<Vec<Done>, LedgerError>> + Send;
}

/// A job, and who waits for it.
type Waiting = (Job, oneshot::Sender<Result<Done, LedgerError>>);

/// A ledger in a database.
pub struct Group<B> {
    /// The database.
    pub(super) bench: B,
    /// What is to be done by whoever sits down at the desk next.
    waiting: std::sync::Mutex<Vec<Waiting>>,
}

impl<B: Bench> Group<B> {
    pub(super) fn new(bench: B) -> Self {
        Self { bench, waiting: std::sync::Mutex::default() }
    }

    /// Has a job done.
    async fn ask(&self, job: impl Fn() -> Job) -> Result<Done, LedgerError> {
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
                desk = self.bench.sit() => match desk {
                    Ok(desk) => self.work(desk).await,
                    Err(why) => tell_all(self.wanted(), &why),
                },
            }
            if let Ok(done) = answer.await {
                return done;
            }
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All jobs that somebody still waits for.
    fn wanted(&self) -> Vec<Waiting> {
        let mut jobs = std::mem::take(&mut *self.waiting());
        jobs.retain(|(_, reply)| !reply.is_closed());
        jobs
    }

    /// The desk is left only when all are answered, so that none of them sits down at it meanwhile.
    async fn work(&self, mut desk: MutexGuard<'_, B::Desk>) {
        let waiting = self.wanted();
        let jobs: Vec<&Job> = waiting.iter().map(|(job, _)| job).collect();
        match self.bench.work(&mut desk, &jobs).await {
            Ok(done) => {
                for ((_, reply), done) in waiting.into_iter().zip(done) {
                    reply.send(Ok(done)).ok();
                }
            }
            Err(why) => tell_all(waiting, &why),
        }
    }

    fn not_entered(&self, run: &str) -> LedgerError {
        LedgerError::NotEntered { file: self.bench.place(), run: run.to_owned() }
    }

    /// The answer is not to the question; a fault of this program.
    fn mixed_up(&self) -> LedgerError {
        LedgerError::Unusable {
            file: self.bench.place(),
            why: "the answer belongs to another question, which is a bug of portalwatch".to_owned(),
            way_out: "report it",
        }
    }

    /// Has a canary changed. Says whether it was; one that had ended before is left as it is.
    async fn change(&self, run: &str, job: impl Fn() -> Job) -> Result<bool, LedgerError> {
        match self.ask(job).await? {
            Done::Changed(Outcome::Changed) => Ok(true),
            Done::Changed(Outcome::Over) => Ok(false),
            Done::Changed(Outcome::Unknown) => Err(self.not_entered(run)),
            _ => Err(self.mixed_up()),
        }
    }

    async fn canaries(&self, job: impl Fn() -> Job) -> Result<Vec<Canary>, LedgerError> {
        match self.ask(job).await? {
            Done::Canaries(canaries) => Ok(canaries),
            _ => Err(self.mixed_up()),
        }
    }
}

fn tell_all(waiting: Vec<Waiting>, why: &LedgerError) {
    for (_, reply) in waiting {
        reply.send(Err(why.clone())).ok();
    }
}

/// What had ended before is not counted twice.
fn count(changed: bool, outcome: &str) {
    if changed {
        telemetry().canaries.with_label_values(&[outcome]).inc();
    }
}

impl<B: Bench> Ledger for Group<B> {
    fn enter<'a>(
        &'a self,
        check: &'a CheckId,
        run: &'a str,
        now: Timestamp,
        held_until: Timestamp,
        budget: Budget,
    ) -> BoxFuture<'a, Result<Entry, LedgerError>> {
        let job = move || Job::Enter { check: check.clone(), run: run.to_owned(), now, held_until, budget };
        Box::pin(async move {
            match self.ask(job).await? {
                Done::Entered(entry) => Ok(entry),
                _ => Err(self.mixed_up()),
            }
        })
    }

    fn keep<'a>(
        &'a self,
        run: &'a str,
        kept: &'a Map<String, Value>,
    ) -> BoxFuture<'a, Result<(), LedgerError>> {
        Box::pin(async move {
            match self.ask(|| Job::Keep { run: run.to_owned(), kept: kept.clone() }).await? {
                Done::Kept(Kept::Done) => Ok(()),
                Done::Kept(Kept::NotEntered) => Err(self.not_entered(run)),
                Done::Kept(Kept::TooLarge(size)) => {
                    let (file, run) = (self.bench.place(), run.to_owned());
                    Err(LedgerError::TooLarge { file, run, size, limit: KEPT })
                }
                _ => Err(self.mixed_up()),
            }
        })
    }

    fn settle<'a>(
        &'a self,
        run: &'a str,
        state: CanaryState,
        at: Timestamp,
    ) -> BoxFuture<'a, Result<(), LedgerError>> {
        Box::pin(async move {
            let changed = self.change(run, || Job::Settle { run: run.to_owned(), state, at }).await?;
            count(changed, state.as_str());
            Ok(())
        })
    }

    fn take<'a>(
        &'a self,
        check: &'a CheckId,
        now: Timestamp,
        until: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<Canary>, LedgerError>> {
        Box::pin(self.canaries(move || Job::Take { check: check.clone(), now, until }))
    }

    fn failed<'a>(&'a self, run: &'a str, not_before: Timestamp) -> BoxFuture<'a, Result<(), LedgerError>> {
        Box::pin(async move {
            let changed = self.change(run, || Job::Failed { run: run.to_owned(), not_before }).await?;
            count(changed, "failed");
            Ok(())
        })
    }

    fn release<'a>(&'a self, run: &'a str) -> BoxFuture<'a, Result<(), LedgerError>> {
        Box::pin(async move {
            self.change(run, || Job::LetGo { run: run.to_owned() }).await?;
            Ok(())
        })
    }

    fn open<'a>(&'a self, check: &'a CheckId) -> BoxFuture<'a, Result<Vec<Canary>, LedgerError>> {
        Box::pin(self.canaries(|| Job::Open { check: check.clone() }))
    }

    fn tally<'a>(&'a self, check: &'a CheckId) -> BoxFuture<'a, Result<Tally, LedgerError>> {
        Box::pin(async move {
            match self.ask(|| Job::Tally { check: check.clone() }).await? {
                Done::Tally(tally) => Ok(tally),
                _ => Err(self.mixed_up()),
            }
        })
    }
}
