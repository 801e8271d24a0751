//! The loop that starts every run and takes in every result.
//!
//! One task owns everything that changes (when a check is due, what its alert state is), so no
//! decision needs a lock. Runs are tasks of their own; a check has at most one. When a check is due
//! is decided by [`due`], a pure module.

pub mod due;
pub mod monitor;
pub mod time;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::due::{Noticed, Tick};
use self::monitor::Monitor;
use self::time::Time;
use crate::model::CheckId;
use crate::plan::{Plan, PlannedCheck};
use crate::record::Resumed;
use crate::run::book::{Desk, Directions, Entry, close_orphan};
use crate::run::pace::Update;
use crate::run::{Pass, Surroundings, pass};
use crate::telemetry::telemetry;

/// Due times are rounded up to this, so that one wake-up starts all that is due about now.
const QUANTUM: u64 = 10;

/// The loop turns at least this often, so that a watchdog can tell that it lives.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// How long runs in flight may go on after the daemon was asked to stop.
const GRACE: Duration = Duration::from_secs(8);

/// Checks with a longer interval have their coverage renewed between runs.
const SLOW: Duration = Duration::from_secs(300);

/// How often what concerns several checks is looked at.
const MONITOR_EVERY: Duration = crate::alert::daemon::EVALUATE_EVERY;

/// Signs of life of the loop, for health pages and the watchdog.
#[derive(Debug, Default)]
pub struct Pulse {
    last_turn: AtomicI64,
    lateness_micros: AtomicU64,
}

impl Pulse {
    /// When the loop last turned, milliseconds since the epoch; 0 before the first turn.
    pub fn last_turn(&self) -> i64 {
        self.last_turn.load(Ordering::Relaxed)
    }

    /// How late the last run started.
    pub fn lateness(&self) -> Duration {
        Duration::from_micros(self.lateness_micros.load(Ordering::Relaxed))
    }
}

/// A new plan to go by.
pub type Replan = Arc<Plan>;

struct Slot {
    entry: Entry,
    hash: u64,
    /// The due time on the check's grid.
    due: Tick,
    /// When it is started: the due time, moved by jitter or by the machine's wish.
    fire: Tick,
    /// When the machine wants to be woken.
    wake: Option<Timestamp>,
    /// When the run in flight started.
    running: Option<Timestamp>,
    /// Tells results of this check from those of one that had the place before.
    generation: u32,
}

struct Finished {
    place: usize,
    generation: u32,
    pass: Pass,
}

/// The loop's state.
pub struct Scheduler {
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    places: HashMap<CheckId, usize>,
    due: BinaryHeap<Reverse<(Tick, usize)>>,
    wakes: BinaryHeap<Reverse<(Timestamp, usize)>>,
    in_flight: usize,
    generation: u32,
    time: Time,
    around: Arc<Surroundings>,
    desk: Arc<Desk>,
    monitor: Monitor,
    next_monitor: Tick,
    finished: mpsc::UnboundedSender<Finished>,
    results: mpsc::UnboundedReceiver<Finished>,
    pulse: Arc<Pulse>,
    found: mpsc::Receiver<Vec<Resumed>>,
    updates: mpsc::Receiver<Vec<(CheckId, Update)>>,
}

impl Scheduler {
    /// Takes up a plan, with what earlier runs of the daemon recorded.
    pub fn new(
        plan: &Plan,
        resumed: Vec<Resumed>,
        around: Arc<Surroundings>,
        desk: Arc<Desk>,
        time: Time,
        mut monitor: Monitor,
    ) -> Self {
        let (finished, results) = mpsc::unbounded_channel();
        let mut resumed: HashMap<CheckId, Resumed> =
            resumed.into_iter().map(|resumed| (resumed.check.clone(), resumed)).collect();
        monitor.resume(resumed.remove(&CheckId::monitor()));
        let mut scheduler = Self {
            slots: Vec::with_capacity(plan.checks.len()),
            free: Vec::new(),
            places: HashMap::with_capacity(plan.checks.len()),
            due: BinaryHeap::with_capacity(plan.checks.len()),
            wakes: BinaryHeap::new(),
            in_flight: 0,
            generation: 0,
            time,
            around,
            desk,
            monitor,
            next_monitor: 0,
            finished,
            results,
            pulse: Arc::default(),
            found: mpsc::channel(1).1,
            updates: mpsc::channel(1).1,
        };
        for check in &plan.checks {
            let resumed = resumed.remove(&check.scope.check);
            scheduler.add(Arc::clone(check), resumed);
        }
        for orphan in resumed.into_values() {
            close_orphan(orphan, &scheduler.desk);
        }
        scheduler
    }

    /// Also takes up what is found late, in a store that could not be read at the start.
    #[must_use]
    pub fn finding(mut self, found: mpsc::Receiver<Vec<Resumed>>) -> Self {
        self.found = found;
        self
    }

    /// Also takes up what is new of the record.
    #[must_use]
    pub fn updated(mut self, updates: mpsc::Receiver<Vec<(CheckId, Update)>>) -> Self {
        self.updates = updates;
        self
    }

    /// The loop's signs of life.
    pub fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    /// Runs until `stop`, then lets what is in flight end. `turned` is called once in each turn.
    pub async fn run(
        mut self,
        mut plans: mpsc::Receiver<Replan>,
        mut signals: mpsc::Receiver<monitor::Signal>,
        stop: CancellationToken,
        turned: impl Fn() + Send,
    ) {
        let mut batch = Vec::new();
        loop {
            let next = self.turn();
            self.pulse.last_turn.store(self.desk.clock.now().as_millisecond(), Ordering::Relaxed);
            turned();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(plan) = plans.recv() => self.replan(&plan),
                Some(signal) = signals.recv() => self.monitor.signal(signal, &self.desk),
                Some(found) = self.found.recv() => self.adopt(found),
                Some(updates) = self.updates.recv() => self.update(updates),
                () = self.monitor.store_changed() => self.monitor.step(&self.desk),
                _ = self.results.recv_many(&mut batch, 1_024) => {
                    for finished in batch.drain(..) {
                        self.take_in(finished);
                    }
                }
                () = tokio::time::sleep_until(next) => {}
            }
        }
        self.drain(&turned).await;
    }

    /// Starts what is due and wakes what asked for it; returns when to turn again.
    fn turn(&mut self) -> Instant {
        let now = self.time.now();
        self.start_due(now);
        self.wake_due();
        if now >= self.next_monitor {
            self.next_monitor = now + due::millis(MONITOR_EVERY);
            let entries = self.slots.iter().flatten().map(|slot| &slot.entry);
            self.monitor.look(entries, &self.desk);
            self.refresh_slow();
        }
        let next = self.due.peek().map_or(u64::MAX, |Reverse((tick, _))| tick.next_multiple_of(QUANTUM));
        let longest = Instant::now() + LONGEST_SLEEP;
        self.time.instant(next).min(longest)
    }

    /// Checks that run seldom show their coverage as it is now.
    fn refresh_slow(&mut self) {
        for slot in self.slots.iter_mut().flatten() {
            if slot.entry.check.every > SLOW {
                slot.entry.refresh_figures(&self.desk);
            }
        }
    }

    fn start_due(&mut self, now: Tick) {
        while let Some(&Reverse((tick, place))) = self.due.peek() {
            if tick > now {
                break;
            }
            self.due.pop();
            self.fire(tick, place, now);
        }
    }

    /// Deals with one entry of the queue. Entries that a later decision made stale are passed over.
    fn fire(&mut self, tick: Tick, place: usize, now: Tick) {
        let Some(Some(slot)) = self.slots.get_mut(place) else { return };
        if slot.fire != tick {
            return;
        }
        let every = slot.entry.check.every;
        let runs = &telemetry().scheduler_runs;
        match due::notice(slot.hash, every, tick, now) {
            Noticed::Missed { again, missed } => {
                runs.with_label_values(&["missed"]).inc_by(missed);
                if missed > 0 {
                    slot.entry.not_covered(time::timestamp(tick), "missed", &self.desk);
                }
                (slot.due, slot.fire) = (again, again);
            }
            Noticed::Run => {
                let due = slot.due;
                slot.due = due::next(slot.hash, every, due.min(now), now);
                slot.fire = due::jittered(slot.hash, slot.entry.check.jitter, slot.due).max(now + 1);
                if slot.running.is_some() {
                    runs.with_label_values(&["skipped"]).inc();
                } else {
                    let late = Duration::from_millis(now - tick);
                    telemetry().scheduler_lateness.observe(late.as_secs_f64());
                    self.pulse.lateness_micros.store(due::millis(late) * 1_000, Ordering::Relaxed);
                    runs.with_label_values(&["started"]).inc();
                    slot.running = Some(self.desk.clock.now());
                    self.in_flight += 1;
                    // A run that takes the place of the one that was due is none.
                    let recheck = tick < due && slot.due == due;
                    spawn(slot, recheck, place, &self.around, &self.finished);
                }
            }
        }
        self.due.push(Reverse((slot.fire, place)));
    }

    fn wake_due(&mut self) {
        let now = self.desk.clock.now();
        while let Some(&Reverse((at, place))) = self.wakes.peek() {
            if at > now {
                break;
            }
            self.wakes.pop();
            let Some(Some(slot)) = self.slots.get_mut(place) else { continue };
            if slot.wake != Some(at) {
                continue;
            }
            slot.wake = None;
            let directions = slot.entry.wake(&self.desk);
            self.follow(place, directions);
        }
        self.monitor.wake(now, &self.desk);
    }

    /// Does what the alert machine asked for.
    fn follow(&mut self, place: usize, directions: Directions) {
        let Some(Some(slot)) = self.slots.get_mut(place) else { return };
        if let Some(at) = directions.run_at {
            let tick = self.time.tick_of(at, self.desk.clock.now());
            if tick < slot.fire {
                slot.fire = tick;
                self.due.push(Reverse((tick, place)));
            }
        }
        if slot.entry.wake_at() != slot.wake {
            slot.wake = slot.entry.wake_at();
            if let Some(at) = slot.wake {
                self.wakes.push(Reverse((at, place)));
            }
        }
    }

    fn take_in(&mut self, finished: Finished) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let Some(Some(slot)) = self.slots.get_mut(finished.place) else { return };
        if slot.generation != finished.generation {
            return;
        }
        slot.running = None;
        let took = finished.pass.outcome.took;
        telemetry().probe_duration.with_label_values(&[slot.entry.check.kind]).observe(took.as_secs_f64());
        let directions = slot.entry.result(finished.pass, self.monitor.not_recorded(), &self.desk);
        self.follow(finished.place, directions);
    }

    fn add(&mut self, check: Arc<PlannedCheck>, resumed: Option<Resumed>) {
        self.generation = self.generation.wrapping_add(1);
        let hash = due::hash(check.scope.check.as_str());
        let due = due::first(hash, check.every, self.time.now());
        let id = check.scope.check.clone();
        let entry = Entry::new(check, resumed, &self.desk);
        let slot =
            Slot { entry, hash, due, fire: due, wake: None, running: None, generation: self.generation };
        let place = self.free.pop().unwrap_or(self.slots.len());
        if place == self.slots.len() {
            self.slots.push(Some(slot));
        } else {
            self.slots[place] = Some(slot);
        }
        self.places.insert(id, place);
        self.due.push(Reverse((due, place)));
        self.follow(place, Directions::default());
    }

    /// Goes over to a new plan. Checks that stay keep their state, and their schedule unless their
    /// interval changed; the incidents of those that go are closed.
    fn replan(&mut self, plan: &Plan) {
        let mut gone = std::mem::take(&mut self.places);
        let mut new = Vec::new();
        for check in &plan.checks {
            match gone.remove(&check.scope.check) {
                Some(place) => {
                    self.places.insert(check.scope.check.clone(), place);
                    self.keep(place, check);
                }
                None => new.push(check),
            }
        }
        for place in gone.into_values() {
            if let Some(slot) = self.slots.get_mut(place).and_then(Option::take) {
                slot.entry.remove(&self.desk);
                self.free.push(place);
            }
        }
        for check in new {
            self.add(Arc::clone(check), None);
        }
        self.monitor.replan(plan);
    }

    fn adopt(&mut self, found: Vec<Resumed>) {
        for found in found {
            if found.check.is_monitor() {
                self.monitor.adopt(found, &self.desk);
                continue;
            }
            let Some(&place) = self.places.get(&found.check) else {
                close_orphan(found, &self.desk);
                continue;
            };
            if let Some(Some(slot)) = self.slots.get_mut(place) {
                slot.entry.adopt(found, &self.desk);
            }
            self.follow(place, Directions::default());
        }
    }

    fn update(&mut self, updates: Vec<(CheckId, Update)>) {
        for (check, update) in updates {
            let place = self.places.get(&check);
            if let Some(Some(slot)) = place.and_then(|place| self.slots.get_mut(*place)) {
                slot.entry.update(update, &self.desk);
            }
        }
    }

    fn keep(&mut self, place: usize, check: &Arc<PlannedCheck>) {
        let now = self.time.now();
        let Some(Some(slot)) = self.slots.get_mut(place) else { return };
        let same_interval = slot.entry.check.every == check.every;
        slot.entry.replan(Arc::clone(check), &self.desk);
        if !same_interval {
            slot.due = due::first(slot.hash, check.every, now);
            slot.fire = slot.due;
            self.due.push(Reverse((slot.fire, place)));
        }
    }

    /// No new runs; those in flight may end within [`GRACE`], the rest is not covered.
    async fn drain(mut self, turned: &impl Fn()) {
        let until = Instant::now() + GRACE;
        while self.in_flight > 0 {
            turned();
            let tick = until.min(Instant::now() + LONGEST_SLEEP);
            match tokio::time::timeout_at(tick, self.results.recv()).await {
                Ok(Some(finished)) => self.take_in(finished),
                Ok(None) => break,
                Err(_) if Instant::now() >= until => break,
                Err(_) => {}
            }
        }
        for slot in self.slots.iter().flatten() {
            if let Some(at) = slot.running {
                slot.entry.not_covered(at, "shutdown", &self.desk);
            }
        }
    }
}

fn spawn(
    slot: &Slot,
    recheck: bool,
    place: usize,
    around: &Arc<Surroundings>,
    finished: &mpsc::UnboundedSender<Finished>,
) {
    let check = Arc::clone(&slot.entry.check);
    let memory = slot.entry.memory().clone();
    let (around, finished, generation) = (Arc::clone(around), finished.clone(), slot.generation);
    tokio::spawn(async move {
        let mut pass = pass(&check, &memory, &around, false).await;
        pass.outcome.recheck = recheck;
        // The receiver is gone only when the daemon stops; the run is then recorded as not covered.
        let _ = finished.send(Finished { place, generation, pass });
    });
}

#[cfg(test)]
mod tests;
