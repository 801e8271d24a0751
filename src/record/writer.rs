//! The group commit: what arrives within a moment is committed together.
//!
//! [`Writer::send`] never waits. When the queue is full (the disk takes longer than checks produce),
//! results without consequences are dropped and counted; states, incidents and messages are always
//! queued, since there are at most a few per check.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::{Store, StoreError, Transition};
use crate::telemetry::telemetry;

/// How long a quiet batch gathers.
const WINDOW: Duration = Duration::from_millis(200);
/// How long a batch with messages or incidents gathers: its siblings come at the same instant.
const URGENT: Duration = Duration::from_millis(3);
/// Transitions per transaction.
const BATCH: usize = 4_096;
/// Transitions that may wait.
const QUEUE: usize = 65_536;

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Transition>,
    urgent: bool,
    flushed: Vec<oneshot::Sender<()>>,
    /// Set together with the last flush, so that the task never ends before it has answered it.
    stopping: bool,
}

impl Queue {
    fn over(&self) -> bool {
        self.stopping && self.waiting.is_empty() && self.flushed.is_empty()
    }
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    arrived: Notify,
    hurry: Notify,
    outbox: Arc<Notify>,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way into the store. Clone it freely; the last step of a shutdown is [`Writer::flush`].
#[derive(Clone)]
pub struct Writer {
    shared: Arc<Shared>,
}

impl Writer {
    /// Starts the task that commits to `store`. It ends after [`Writer::stop`].
    pub fn spawn(store: Arc<dyn Store>) -> (Self, JoinHandle<()>) {
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(run(store, Arc::clone(&shared)));
        (Self { shared }, task)
    }

    /// Queues a transition. Never waits; false if its result was dropped because the queue is full.
    pub fn send(&self, mut transition: Transition) -> bool {
        let urgent = !transition.outbox.is_empty() || !transition.incidents.is_empty();
        let mut queue = self.shared.queue();
        let full = queue.waiting.len() >= QUEUE;
        if full && transition.result.take().is_some() {
            telemetry().dropped.with_label_values(&["result", "writer_full"]).inc();
        }
        if full && is_empty(&transition) {
            return false;
        }
        queue.waiting.push_back(transition);
        queue.urgent |= urgent;
        let hurry = queue.urgent || queue.waiting.len() >= BATCH;
        drop(queue);
        self.shared.arrived.notify_one();
        if hurry {
            self.shared.hurry.notify_one();
        }
        !full
    }

    /// Notified after each commit that held messages.
    pub fn outbox(&self) -> Arc<Notify> {
        Arc::clone(&self.shared.outbox)
    }

    /// Waits until everything sent before is committed.
    pub async fn flush(&self) {
        self.flushed(false).await;
    }

    /// Commits what waits and ends the task.
    pub async fn stop(&self) {
        self.flushed(true).await;
    }

    async fn flushed(&self, stopping: bool) {
        let (done, flushed) = oneshot::channel();
        {
            let mut queue = self.shared.queue();
            queue.flushed.push(done);
            queue.stopping |= stopping;
        }
        self.shared.arrived.notify_one();
        self.shared.hurry.notify_one();
        flushed.await.ok();
    }
}

fn is_empty(transition: &Transition) -> bool {
    transition.result.is_none()
        && transition.state.is_none()
        && transition.memory.is_none()
        && transition.incidents.is_empty()
        && transition.outbox.is_empty()
        && !transition.removed
}

async fn run(store: Arc<dyn Store>, shared: Arc<Shared>) {
    loop {
        if shared.queue().waiting.is_empty() && shared.queue().flushed.is_empty() {
            shared.arrived.notified().await;
        }
        gather(&shared).await;
        let (batch, flushed) = take(&shared);
        if !batch.is_empty() {
            commit(&*store, &shared, &batch).await;
        }
        flushed.into_iter().for_each(|done| {
            done.send(()).ok();
        });
        if shared.queue().over() {
            return;
        }
    }
}

/// Waits for company: the window, cut short by whatever cannot wait.
async fn gather(shared: &Shared) {
    let hurried = |queue: &Queue| !queue.flushed.is_empty() || queue.waiting.len() >= BATCH;
    let window = Instant::now() + WINDOW;
    loop {
        if hurried(&shared.queue()) {
            return;
        }
        if shared.queue().urgent {
            sleep(URGENT).await;
            return;
        }
        tokio::select! {
            () = tokio::time::sleep_until(window) => return,
            () = shared.hurry.notified() => {}
        }
    }
}

/// The next batch, and who waits for the queue to be empty if this batch empties it.
fn take(shared: &Shared) -> (Vec<Transition>, Vec<oneshot::Sender<()>>) {
    let mut queue = shared.queue();
    let size = queue.waiting.len().min(BATCH);
    let batch: Vec<_> = queue.waiting.drain(..size).collect();
    let empty = queue.waiting.is_empty();
    queue.urgent &= !empty;
    let flushed = if empty { std::mem::take(&mut queue.flushed) } else { Vec::new() };
    (batch, flushed)
}

async fn commit(store: &dyn Store, shared: &Shared, batch: &[Transition]) {
    let started = Instant::now();
    let committed = store.commit(batch).await;
    telemetry().store_commit_duration.observe(started.elapsed().as_secs_f64());
    if let Err(why) = committed {
        let lost = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let reason = if matches!(why, StoreError::Fenced { .. }) { "fenced" } else { "store" };
        telemetry().dropped.with_label_values(&["transition", reason]).inc_by(lost);
        tracing::error!(%why, lost, "not recorded");
    }
    if batch.iter().any(|transition| !transition.outbox.is_empty()) {
        shared.outbox.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::record::contract::{bare, outcome, ran, row, time};
    use crate::record::memory::Memory;
    use crate::record::sqlite::{Mode, Sqlite};

    #[tokio::test(start_paused = true)]
    async fn a_quiet_result_waits_for_company_and_a_message_does_not() {
        let store = Arc::new(Memory::default());
        let (writer, task) = Writer::spawn(store.clone());
        let begun = Instant::now();
        writer.send(Transition { outbox: vec![row("k1", "a/b", "mail", 0)], ..bare("a/b") });
        writer.outbox().notified().await;
        assert!(begun.elapsed() < Duration::from_millis(50), "{:?}", begun.elapsed());
        assert_eq!(store.pending().await.unwrap().0, 1);

        writer.send(ran(outcome("a/b", 1_000)));
        sleep(Duration::from_millis(100)).await;
        let check = "a/b".into();
        assert!(store.history(&check, time(0), time(9_000), 9).await.unwrap().is_empty());
        sleep(Duration::from_millis(150)).await;
        assert_eq!(store.history(&check, time(0), time(9_000), 9).await.unwrap().len(), 1);
        writer.stop().await;
        task.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_flush_leaves_nothing_behind() {
        let store = Arc::new(Memory::default());
        let (writer, task) = Writer::spawn(store.clone());
        for at in 0..10_000 {
            assert!(writer.send(ran(outcome("a/b", at))));
        }
        writer.stop().await;
        task.await.unwrap();
        let kept = store.history(&"a/b".into(), time(0), time(99_000), 99_999).await.unwrap();
        assert_eq!(kept.len(), 10_000);
    }

    #[tokio::test]
    async fn a_stop_during_a_commit_ends() {
        let folder = tempfile::tempdir().unwrap();
        let mode = Mode::Daemon { full_sync: false };
        let store = Arc::new(Sqlite::open(&folder.path().join("w.db"), mode).await.unwrap());
        let (writer, task) = Writer::spawn(store);
        writer.send(Transition { outbox: vec![row("k1", "a/b", "mail", 0)], ..bare("a/b") });
        while !writer.shared.queue().waiting.is_empty() {
            tokio::task::yield_now().await;
        }
        // One thread runs all: the task has taken the batch and waits for the disk.
        tokio::time::timeout(Duration::from_secs(20), writer.stop()).await.expect("the stop hangs");
        task.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_costs_results_and_never_a_message() {
        let store = Arc::new(Memory::default());
        let (writer, task) = Writer::spawn(store.clone());
        for at in 0..i64::try_from(QUEUE).unwrap() {
            assert!(writer.send(ran(outcome("a/b", at))));
        }
        assert!(!writer.send(ran(outcome("a/b", 99_999))));
        writer.send(Transition { outbox: vec![row("k1", "a/b", "mail", 0)], ..ran(outcome("a/b", 99_999)) });
        writer.stop().await;
        task.await.unwrap();
        assert_eq!(store.pending().await.unwrap().0, 1);
        assert!(store.history(&"a/b".into(), time(99_999), time(100_000), 9).await.unwrap().is_empty());
    }
}
