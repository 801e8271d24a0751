//! The disk with the memory behind it: a disk that refuses costs history, never a verdict or a
//! message.
//!
//! While the disk works, memory follows what is needed to go on alone: open incidents, states and
//! messages that wait. When a commit fails, memory takes over and everything is also put into a
//! bounded backlog, in order, most of it in a temporary file; [`Resilient::try_recover`] writes it when the disk works again. What
//! does not fit in the backlog is counted, its results become one gap per check, and states,
//! incidents and messages are written as memory holds them. A fault is never passed on to who
//! commits, claims or settles, except [`StoreError::Newer`] and [`StoreError::Unfinished`] when opening.
//!
//! Where several daemons share a database ([`Tenure`]), one of them leads. That another one took over is no
//! fault of the disk: it is passed on, what was held back is dropped and counted, and nothing is written,
//! claimed or marked from then on. While nobody knows, nothing is claimed from memory.
//!
//! A result that the disk works without, and does not take for what it is, is lost alone: it becomes a gap, and
//! what came with it is written. A disk that takes none of many in a row is at fault itself: all are held.
//!
//! A damaged file is left alone: when a person has moved it away, a new one is made.
//!
//! A daemon that began without the disk learns late what its predecessor left there:
//! [`Resilient::found`] says it once, for whoever takes incidents further.

mod backlog;
mod store;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::backlog::{Backlog, Dropped, Late, Marked};
use super::memory::{Bounds, Memory};
use super::tenure::Tenure;
use super::{Figures, Gap, Recorded, Resumed, Settled, StoreError, Transition};
use crate::model::CheckId;
use crate::telemetry::telemetry;

/// Transitions per transaction while the backlog is written.
const CHUNK: usize = 1_000;
/// Transitions and settlements the backlog holds.
const BACKLOG: usize = 200_000;

/// Results in a row that may be lost since they are refused.
const REFUSED: usize = 10;

/// Opens the store, as often as asked.
pub type Opener = Box<dyn Fn() -> BoxFuture<'static, Result<Arc<dyn Figures>, StoreError>> + Send + Sync>;

/// Whether things are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// They are.
    Ok,
    /// They are held in memory.
    Degraded {
        /// Since when, for waiting and measuring; the wall clock is the reader's.
        since: Instant,
        /// The first fault, with its way out.
        why: String,
        /// What waits to be written.
        backlog: usize,
        /// Results that did not fit.
        lost: u64,
    },
}

/// The store of the daemon.
pub struct Resilient {
    open: Opener,
    core: Mutex<Core>,
    /// Memory in front of the readers while the disk does not work.
    memory: Memory,
    health: watch::Sender<Health>,
    limit: usize,
    /// Where several daemons share the disk.
    tenure: Option<Arc<Tenure>>,
}

struct Core {
    /// `None` while it cannot be opened.
    disk: Option<Arc<dyn Figures>>,
    /// The disk refuses.
    degraded: bool,
    backlog: Backlog,
    /// Entries of the backlog that are written in one transaction.
    chunk: usize,
    /// Results in a row that were refused for what they are.
    refused: usize,
    /// What did not fit: the first and last time, by check.
    lost: HashMap<CheckId, (Timestamp, Timestamp)>,
    /// Something other than a result did not fit.
    overflowed: bool,
    /// The disk was opened anew: it may be another file, which knows nothing.
    anew: bool,
    /// The daemon's start, until it is noted on disk.
    begun: Option<Timestamp>,
    /// Nobody has read yet what checks resume from.
    blind: bool,
    /// What lay on a disk that was opened late, and that nobody knew of.
    found: Vec<Resumed>,
}

impl Resilient {
    /// Opens the store, or begins in memory if the disk refuses.
    ///
    /// # Errors
    /// [`StoreError::Newer`] and [`StoreError::Unfinished`] alone: waiting does not help, and writing would do harm.
    pub async fn open(open: Opener) -> Result<Self, StoreError> {
        Self::open_with(open, Bounds::default(), BACKLOG, None).await
    }

    /// As [`Resilient::open`], for the one of several daemons that leads.
    ///
    /// # Errors
    /// As [`Resilient::open`], and [`StoreError::Fenced`] if it does not lead any more.
    pub async fn lead(open: Opener, tenure: Arc<Tenure>) -> Result<Self, StoreError> {
        Self::open_with(open, Bounds::default(), BACKLOG, Some(tenure)).await
    }

    /// As [`Resilient::open`], with the bounds of the memory and of the backlog.
    ///
    /// # Errors
    /// As [`Resilient::open`].
    pub async fn open_bounded(open: Opener, bounds: Bounds, backlog: usize) -> Result<Self, StoreError> {
        Self::open_with(open, bounds, backlog, None).await
    }

    async fn open_with(
        open: Opener,
        bounds: Bounds,
        backlog: usize,
        tenure: Option<Arc<Tenure>>,
    ) -> Result<Self, StoreError> {
        let store = Self {
            core: Mutex::new(Core {
                disk: None,
                degraded: false,
                backlog: Backlog::default(),
                chunk: CHUNK,
                refused: 0,
                lost: HashMap::new(),
                overflowed: false,
                anew: false,
                begun: None,
                blind: true,
                found: Vec::new(),
            }),
            memory: Memory::new(bounds),
            health: watch::Sender::new(Health::Ok),
            limit: backlog,
            tenure,
            open,
        };
        let opened = match (store.open)().await {
            Ok(disk) => store.load(&*disk).await.map(|()| disk),
            Err(why) => Err(why),
        };
        let mut core = store.core.lock().await;
        match opened {
            Ok(disk) => core.disk = Some(disk),
            Err(why @ (StoreError::Newer { .. } | StoreError::Unfinished { .. })) => return Err(why),
            Err(why @ StoreError::Fenced { .. }) => return Err(store.fenced(&mut core, why)),
            Err(why) => {
                core.anew = true;
                store.degrade(&mut core, &why);
            }
        }
        drop(core);
        Ok(store)
    }

    /// Whether things are recorded, and each change of it.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// What checks can resume from that was not known at the start, because the disk could not be
    /// read. Told once, when all is recorded again.
    pub async fn found(&self) -> Vec<Resumed> {
        let mut core = self.core.lock().await;
        if core.degraded { Vec::new() } else { std::mem::take(&mut core.found) }
    }

    /// Tries to recover every few seconds, until the task is aborted.
    pub fn spawn_recovery(self: Arc<Self>, every: Duration) -> JoinHandle<()> {
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                if let Err(why) = self.try_recover().await {
                    tracing::debug!(%why, "the store still refuses");
                }
            }
        })
    }

    /// Writes what is held back, if the disk works again. Nothing to do is a success.
    ///
    /// # Errors
    /// What the disk still says; what was not written stays held.
    pub async fn try_recover(&self) -> Result<(), StoreError> {
        let mut core = self.core.lock().await;
        if !core.degraded {
            return Ok(());
        }
        self.leads()?;
        let disk = match self.reach(&mut core).await {
            Ok(disk) => disk,
            Err(why @ StoreError::Fenced { .. }) => return Err(self.fenced(&mut core, why)),
            Err(why) => return Err(why),
        };
        let recovered = self.catch_up(core, &*disk).await;
        if let Err(why @ StoreError::Fenced { .. }) = recovered {
            return Err(self.fenced(&mut *self.core.lock().await, why));
        }
        if let Err(why) = &recovered {
            self.let_go_if_unusable(why).await;
        }
        recovered
    }

    /// The disk, opened if it is not.
    async fn reach(&self, core: &mut Core) -> Result<Arc<dyn Figures>, StoreError> {
        if let Some(disk) = &core.disk {
            return Ok(Arc::clone(disk));
        }
        let disk = (self.open)().await?;
        self.load(&*disk).await?;
        if core.blind {
            // Before memory's own states are written over them.
            let resumed = disk.resume().await?;
            self.memory.remember(&resumed);
            core.found = resumed;
            core.blind = false;
        }
        core.anew = true;
        core.disk = Some(Arc::clone(&disk));
        Ok(disk)
    }

    /// Takes over what the disk knows and memory does not.
    async fn load(&self, disk: &dyn Figures) -> Result<(), StoreError> {
        let (open, waiting) = (disk.open_incidents().await?, disk.waiting().await?);
        self.memory.load(open, waiting);
        Ok(())
    }

    async fn catch_up<'a>(
        &'a self,
        mut core: MutexGuard<'a, Core>,
        disk: &dyn Figures,
    ) -> Result<(), StoreError> {
        if let Some(now) = core.begun {
            disk.begin(now).await?;
            core.begun = None;
        }
        if core.anew {
            write_all(&self.memory, disk).await?;
            core.anew = false;
        }
        // The lock is let go between chunks, so that checks and messages go on meanwhile.
        while !core.backlog.is_empty() {
            write_some(&mut core, disk).await?;
            drop(core);
            tokio::task::yield_now().await;
            core = self.core.lock().await;
        }
        if core.overflowed {
            write_all(&self.memory, disk).await?;
            core.overflowed = false;
        }
        let gaps: Vec<_> =
            core.lost.iter().map(|(check, (from, to))| not_recorded(check, *from, *to)).collect();
        if !gaps.is_empty() {
            disk.note_gaps(&gaps).await?;
            core.lost.clear();
        }
        core.degraded = false;
        self.health.send_replace(Health::Ok);
        tracing::info!("the store works again, and everything held back is recorded");
        Ok(())
    }

    /// A full or locked disk is kept open and tried again; anything else is opened anew, since the
    /// file may be another one by then.
    async fn let_go_if_unusable(&self, why: &StoreError) {
        if matches!(why, StoreError::Full { .. } | StoreError::Locked { .. }) {
            return;
        }
        let mut core = self.core.lock().await;
        if let Some(disk) = core.disk.take() {
            disk.close().await;
        }
    }

    /// Refuses who does not lead any more.
    fn leads(&self) -> Result<(), StoreError> {
        match &self.tenure {
            Some(tenure) if tenure.is_lost() => Err(self.replaced(tenure)),
            _ => Ok(()),
        }
    }

    /// Refuses who may not lead any more, as far as can be known without the disk.
    fn surely_leads(&self) -> Result<(), StoreError> {
        match &self.tenure {
            Some(tenure) if !tenure.is_sure() => Err(self.replaced(tenure)),
            _ => Ok(()),
        }
    }

    fn replaced(&self, tenure: &Tenure) -> StoreError {
        StoreError::Fenced { path: "memory".into(), by: tenure.why() }
    }

    /// What the disk refuses: what is passed on, once it is dealt with, or nothing.
    fn refused(&self, core: &mut Core, why: StoreError) -> Result<(), StoreError> {
        if let StoreError::Fenced { .. } = why {
            return Err(self.fenced(core, why));
        }
        self.degrade(core, &why);
        Ok(())
    }

    /// Another daemon leads: what was held back is not this one's to write.
    fn fenced(&self, core: &mut Core, why: StoreError) -> StoreError {
        if let (Some(tenure), StoreError::Fenced { by, .. }) = (&self.tenure, &why) {
            tenure.lose(by.clone());
        }
        self.drop_held(core);
        why
    }

    /// Drops what was held back, and counts it.
    fn drop_held(&self, core: &mut Core) {
        let Dropped { results, messages } = core.backlog.clear();
        core.lost.clear();
        (core.overflowed, core.anew, core.begun) = (false, false, None);
        if results + messages > 0 {
            tracing::warn!(results, messages, "held back in memory, and dropped: another daemon leads");
            telemetry().dropped.with_label_values(&["result", "fenced"]).inc_by(results);
            telemetry().dropped.with_label_values(&["message", "fenced"]).inc_by(messages);
        }
    }

    /// What the disk said beside commits, where a take-over is noticed too.
    fn noticed<T>(&self, said: Result<T, StoreError>) -> Result<T, StoreError> {
        if let (Some(tenure), Err(StoreError::Fenced { by, .. })) = (&self.tenure, &said) {
            tenure.lose(by.clone());
        }
        said
    }

    fn degrade(&self, core: &mut Core, why: &StoreError) {
        if !core.degraded {
            core.degraded = true;
            let why = why.to_string();
            tracing::error!(%why, "not recorded: going on in memory");
            self.health.send_replace(Health::Degraded { since: Instant::now(), why, backlog: 0, lost: 0 });
        }
    }

    fn hold(&self, core: &mut Core, batch: &[Transition]) {
        let mut lost = 0;
        for transition in batch {
            let mut marked = transition.clone();
            mark(&mut marked);
            self.memory.apply(std::slice::from_ref(&marked));
            // Removals are rare, and memory could not tell of them later.
            if core.backlog.len() < self.limit || marked.removed {
                core.backlog.push(Late::Transition(Box::new(marked)));
                continue;
            }
            core.overflowed = true;
            let Some(at) = started(&marked) else { continue };
            lost += 1;
            telemetry().dropped.with_label_values(&["result", "store"]).inc();
            let span = core.lost.entry(marked.check).or_insert((at, at));
            *span = (span.0.min(at), span.1.max(at));
        }
        self.tell(core, lost);
    }

    fn hold_settled(&self, core: &mut Core, settled: &[Settled]) {
        // Bounded by the messages there are; forgetting one would send it twice.
        settled.iter().cloned().map(Late::Settled).for_each(|late| core.backlog.push(late));
        self.tell(core, 0);
    }

    fn tell(&self, core: &Core, more: u64) {
        self.health.send_modify(|health| {
            if let Health::Degraded { backlog, lost, .. } = health {
                *backlog = core.backlog.len();
                *lost += more;
            }
        });
    }

    /// The disk, while it works.
    async fn disk(&self) -> Option<Arc<dyn Figures>> {
        let core = self.core.lock().await;
        core.disk.as_ref().filter(|_| !core.degraded).map(Arc::clone)
    }

    /// The disk, whether it takes writes or not: figures of long times stand there alone. Memory where
    /// there is none.
    async fn figures(&self) -> Past<'_> {
        let disk = self.core.lock().await.disk.clone();
        disk.map_or(Past::Held(&self.memory), Past::Kept)
    }

    /// Where to read: the disk if it is open, and memory while the disk refuses.
    async fn sources(&self) -> (Option<Arc<dyn Figures>>, Option<&Memory>) {
        let core = self.core.lock().await;
        (core.disk.clone(), core.degraded.then_some(&self.memory))
    }
}

/// Where figures of long times are.
enum Past<'s> {
    Kept(Arc<dyn Figures>),
    Held(&'s Memory),
}

impl Past<'_> {
    fn store(&self) -> &dyn Figures {
        match self {
            Self::Kept(disk) => &**disk,
            Self::Held(memory) => *memory,
        }
    }
}

fn not_recorded(check: &CheckId, from: Timestamp, to: Timestamp) -> Gap {
    Gap { check: Some(check.clone()), from, to, why: "not_recorded".into() }
}

/// When the result of a transition was measured, if it has one.
fn started(transition: &Transition) -> Option<Timestamp> {
    match transition.result.as_ref()? {
        Recorded::Ran { outcome, .. } => Some(outcome.at),
        Recorded::NotCovered { at, .. } => Some(*at),
    }
}

/// Marks what could not be written when it happened, in messages too.
fn mark(transition: &mut Transition) {
    for incident in &mut transition.incidents {
        incident.not_recorded = true;
    }
    for row in &mut transition.outbox {
        row.notice.incident.not_recorded = true;
    }
}

/// Writes the front of the backlog: as many of one sort as stand in a row.
async fn write_some(core: &mut Core, disk: &dyn Figures) -> Result<(), StoreError> {
    let run = core.backlog.run(core.chunk);
    // What memory knows of it is written at the end.
    core.overflowed |= core.backlog.was_torn();
    let written = write(&run, disk).await;
    core.chunk = match &written {
        Ok(()) => (core.chunk * 2).min(CHUNK),
        // A disk that is slow just now may manage less at once.
        Err(_) => (run.len() / 2).max(1),
    };
    match written {
        // At once, down to the one that is refused.
        Err(StoreError::Rejected { .. }) if run.len() > 1 => return Ok(()),
        Err(why @ StoreError::Rejected { .. }) => return write_without_result(core, &run, why, disk).await,
        written => written?,
    }
    core.refused = 0;
    // Of marks one alone was written.
    let marked = matches!(run.first(), Some(Late::Marked(_)));
    core.backlog.written(if marked { 1 } else { run.len() });
    Ok(())
}

/// Writes an entry that is refused, but for its result. Is it refused all the same, it stays where it is:
/// what has to be told is told from memory.
async fn write_without_result(
    core: &mut Core,
    run: &[Late],
    why: StoreError,
    disk: &dyn Figures,
) -> Result<(), StoreError> {
    let [Late::Transition(refused)] = run else { return Err(why) };
    let Some(at) = started(refused).filter(|_| core.refused < REFUSED) else { return Err(why) };
    disk.commit(&[Transition { result: None, ..(**refused).clone() }]).await?;
    tracing::error!(check = %refused.check, %at, %why, "a result is lost");
    telemetry().dropped.with_label_values(&["result", "rejected"]).inc();
    core.refused += 1;
    core.backlog.written(1);
    core.backlog.push(Late::Gap(not_recorded(&refused.check, at, at)));
    Ok(())
}

async fn write(run: &[Late], disk: &dyn Figures) -> Result<(), StoreError> {
    let (mut transitions, mut settled, mut gaps) = (Vec::new(), Vec::new(), Vec::new());
    for late in run {
        match late {
            Late::Transition(transition) => transitions.push((**transition).clone()),
            Late::Settled(one) => settled.push(one.clone()),
            Late::Marked(Marked { batch, keys }) => return disk.mark(batch, keys).await,
            Late::Gap(gap) => gaps.push(gap.clone()),
        }
    }
    disk.commit(&transitions).await?;
    disk.settle(&settled).await?;
    if gaps.is_empty() { Ok(()) } else { disk.note_gaps(&gaps).await }
}

/// Writes what memory holds, in parts: each is about checks of its own.
async fn write_all(memory: &Memory, disk: &dyn Figures) -> Result<(), StoreError> {
    for part in memory.snapshot().chunks(CHUNK) {
        disk.commit(part).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
