//! Keeps the figures of long times: rolls up what is complete, and tells the scheduler what is new.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::model::{CheckId, Part};
use crate::plan::{Plan, PlannedCheck};
use crate::record::reading::Reading;
use crate::record::resilient::Health;
use crate::record::writer::Writer;
use crate::record::{Figures, KnownCheck, Ran, StoreError, roll};
use crate::run::pace::{News, Update, rules};
use crate::stats::budget;
use crate::stats::objective::Spent;
use crate::stats::recent::{Base, WINDOWS};
use crate::stats::rollup::Grain;
use crate::stats::samples::Rules;
use crate::stats::uptime::Standing;

/// How often it is looked whether an hour is complete.
const LOOK: Duration = Duration::from_secs(60);
/// At least so much of the past is told.
const HOUR: Duration = Duration::from_secs(3_600);
/// Results of all checks are read in steps of this, milliseconds.
const STEP: i64 = 10 * 60 * 1_000;
/// Reading goes on until the results of no more than this are missing, milliseconds.
const RECENT: i64 = 2_000;
/// It is tried so often: a store that takes longer than that has to be lived with.
const ROUNDS: u32 = 5;

/// Who keeps them.
pub struct Keeper {
    /// Where they are kept.
    pub store: Arc<dyn Figures>,
    /// Told to commit what waits before the past is read.
    pub writer: Writer,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// The scheduler.
    pub news: mpsc::Sender<News>,
    /// Whether figures of every check are exposed.
    pub figures: bool,
    /// Whether all that is recorded can be read.
    pub health: watch::Receiver<Health>,
}

/// What was told last.
#[derive(Default)]
struct Told {
    /// The plan whose checks know their past.
    plan: Option<Arc<Plan>>,
    /// Part of the past could not be read.
    partial: bool,
    /// The store refused what was to be kept.
    refused: bool,
    /// The hour whose usual durations are known.
    hour: i64,
}

impl Keeper {
    /// Works until `stop`. What the store refuses is tried again.
    pub async fn keep(self, mut plan: watch::Receiver<Arc<Plan>>, stop: CancellationToken) {
        let mut often = tokio::time::interval(LOOK);
        often.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut told = Told::default();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = often.tick() => {}
                changed = plan.changed() => if changed.is_err() { return },
            }
            let current = Arc::clone(&plan.borrow_and_update());
            tokio::select! {
                () = stop.cancelled() => return,
                looked = self.look(&current, &mut told) => if let Err(error) = looked {
                    tracing::warn!(%error, "figures of long times are not up to date");
                },
            }
        }
    }

    async fn look(&self, plan: &Arc<Plan>, told: &mut Told) -> Result<(), StoreError> {
        let now = self.clock.now();
        let works = *self.health.borrow() == Health::Ok;
        let known = self.store.known_checks().await?;
        let hours = self.roll(plan, &known, now, told).await;
        let known = known.into_iter().map(|known| (known.check.clone(), known)).collect();
        let hour = Grain::Hour.floor(now.as_millisecond());
        let other = told.plan.as_ref().is_none_or(|old| !Arc::ptr_eq(old, plan));
        let new = other || (told.partial && works);
        if new || hours > 0 {
            let bases = self.bases(plan, &known, now).await?;
            let checks = if new { self.past(plan, bases).await? } else { rolled(bases) };
            let objectives = self.objectives(plan, now).await?;
            self.tell(News { checks, objectives }).await;
            told.plan = Some(Arc::clone(plan));
            told.partial = if new { !works } else { told.partial };
        } else if told.refused && hour != told.hour {
            let objectives = self.objectives(plan, now).await?;
            self.tell(News { checks: Vec::new(), objectives }).await;
        }
        if new || hour != told.hour {
            let checks = self.usual(plan, now).await?;
            self.tell(News { checks, objectives: Vec::new() }).await;
            told.hour = hour;
        }
        Ok(())
    }

    /// Keeps what is complete; returns how many hours that are. A store that takes nothing can be read
    /// all the same.
    async fn roll(&self, plan: &Plan, known: &[KnownCheck], now: Timestamp, told: &mut Told) -> u32 {
        let kept = async {
            note_rules(&*self.store, plan, known).await?;
            roll::roll(&*self.store, now).await
        };
        match kept.await {
            Ok(hours) => {
                told.refused = false;
                hours
            }
            Err(error) => {
                if !std::mem::replace(&mut told.refused, true) {
                    tracing::warn!(%error, "no hours are rolled up until the store takes them; figures are read all the same");
                }
                0
            }
        }
    }

    async fn tell(&self, news: News) {
        if !news.checks.is_empty() || !news.objectives.is_empty() {
            // At the end of the daemon nobody wants to know any more.
            let _ = self.news.send(news).await;
        }
    }

    /// The checks that need to know their past.
    fn wanted<'p>(&'p self, plan: &'p Plan) -> impl Iterator<Item = &'p Arc<PlannedCheck>> {
        let needed =
            |check: &&Arc<PlannedCheck>| self.figures || !check.budgets.is_empty() || check.tracked.is_some();
        plan.checks.iter().filter(needed)
    }

    /// What is rolled up, by check.
    async fn bases(
        &self,
        plan: &Plan,
        known: &HashMap<CheckId, KnownCheck>,
        now: Timestamp,
    ) -> Result<HashMap<CheckId, Base>, StoreError> {
        let mark = self.store.rolled_until(Grain::Hour).await?.map(Timestamp::as_millisecond);
        let until = mark.unwrap_or_else(|| Grain::Hour.floor(now.as_millisecond()));
        let mut bases = HashMap::new();
        for check in self.wanted(plan) {
            let id = &check.scope.check;
            let since = known.get(id).and_then(|known| known.since).unwrap_or(now).as_millisecond();
            bases.insert(id.clone(), Base { until, since, ..Base::default() });
        }
        if !self.figures {
            return Ok(bases);
        }
        for (index, (_, hours)) in WINDOWS.iter().enumerate() {
            let from = time(until - hours * Grain::Hour.millis());
            for row in self.store.uptimes(Grain::Hour, from, time(until)).await? {
                if let Some(place) = bases.get_mut(&row.check).and_then(|base| base.uptimes.get_mut(index)) {
                    *place = row.uptime;
                }
            }
        }
        for (check, base) in &mut bases {
            let from = time(until - Grain::Day.millis());
            for row in self.store.rolled(Grain::Hour, check, from, time(until)).await? {
                if let Some(sketch) = row.rolled.latencies.get(&Part::Whole) {
                    base.day.merge(sketch);
                }
            }
        }
        Ok(bases)
    }

    /// What every check has to know of its past. Results are read once, for all checks.
    async fn past(
        &self,
        plan: &Plan,
        mut bases: HashMap<CheckId, Base>,
    ) -> Result<Vec<(CheckId, Update)>, StoreError> {
        let now = self.clock.now().as_millisecond();
        let mut pasts: HashMap<CheckId, Past> = HashMap::new();
        for check in self.wanted(plan) {
            let Some(base) = bases.remove(&check.scope.check) else { continue };
            let tracked = check.tracked.as_ref().map(|tracked| tracked.look_back);
            let windows = check.budgets.iter().map(|budget| budget.window).chain(tracked);
            let longest = windows.max().unwrap_or_default().max(HOUR);
            let window = now.saturating_sub(i64::try_from(longest.as_millis()).unwrap_or(i64::MAX));
            let from = if self.figures { window.min(base.until) } else { window };
            let past = Past { base, from, standing: None, runs: Vec::new() };
            pasts.insert(check.scope.check.clone(), past);
        }
        let Some(from) = pasts.values().map(|past| past.from.min(past.base.until)).min() else {
            return Ok(Vec::new());
        };
        // What stands is known at full hours that are rolled up.
        let from = Grain::Hour.floor(from);
        for (check, standing) in self.store.standings(time(from)).await? {
            if let Some(past) = pasts.get_mut(&check) {
                past.standing = Some(standing);
            }
        }
        self.read(from, &mut pasts).await?;
        let update = |past: Past| Update::Past { base: past.base, standing: past.standing, runs: past.runs };
        Ok(pasts.into_iter().map(|(check, past)| (check, update(past))).collect())
    }

    /// Reads the results since `from`, and those that came while it read.
    async fn read(&self, from: i64, pasts: &mut HashMap<CheckId, Past>) -> Result<(), StoreError> {
        let mut step = from;
        for _ in 0..ROUNDS {
            self.writer.flush().await;
            let to = self.clock.now().as_millisecond() + 1_000;
            if step > to - RECENT {
                break;
            }
            while step < to {
                let next = (step + STEP).min(to);
                for ran in self.store.ran(None, time(step), time(next)).await? {
                    if let Some(past) = pasts.get_mut(&ran.check) {
                        past.take(ran);
                    }
                }
                step = next;
            }
        }
        Ok(())
    }

    /// What is rolled up of each objective's window.
    async fn objectives(&self, plan: &Plan, now: Timestamp) -> Result<Vec<(String, i64, Spent)>, StoreError> {
        if plan.objectives.is_empty() {
            return Ok(Vec::new());
        }
        let mark = self.store.rolled_until(Grain::Hour).await?;
        // What checks keep reaches back some hours: the rest is read here, rolled up or not.
        let hour = Grain::Hour.floor(now.as_millisecond());
        let until = mark.map_or(time(hour), |mark| mark.max(time(hour - Grain::Hour.millis())));
        let all = plan.checks.iter().map(|check| (check.scope.check.clone(), rules(check)));
        let reading = Reading::new(&*self.store, all.collect()).await?;
        let mut spent = Vec::new();
        for planned in &plan.objectives {
            let from = until.saturating_sub(planned.objective.window).unwrap_or(Timestamp::MIN);
            let sum = reading.spent(&planned.objective.of, &planned.checks, from, until).await?;
            spent.push((planned.objective.name.clone(), until.as_millisecond(), sum));
        }
        Ok(spent)
    }

    /// What the compared parts took at this hour of the past four weeks.
    async fn usual(&self, plan: &Plan, now: Timestamp) -> Result<Vec<(CheckId, Update)>, StoreError> {
        let hours = same_hours(now, &plan.timezone);
        let mut news = Vec::new();
        for check in &plan.checks {
            let id = &check.scope.check;
            let parts: Vec<&Part> =
                check.budgets.iter().filter(|budget| budget.spike).map(|budget| &budget.part).collect();
            if parts.is_empty() {
                continue;
            }
            let mut weeks = Vec::new();
            for hour in &hours {
                let next = time(hour.as_millisecond() + Grain::Hour.millis());
                weeks.extend(self.store.rolled(Grain::Hour, id, *hour, next).await?);
            }
            let usual = parts.into_iter().map(|part| {
                let weeks = weeks.iter().filter_map(|week| week.rolled.latencies.get(part));
                (part.clone(), budget::usual(weeks))
            });
            news.push((id.clone(), Update::Usual(usual.collect())));
        }
        Ok(news)
    }
}

/// What one check has to know.
struct Past {
    base: Base,
    /// From when on all its results, milliseconds since the epoch.
    from: i64,
    /// The result that stood before them.
    standing: Option<Standing>,
    runs: Vec<Ran>,
}

impl Past {
    fn take(&mut self, ran: Ran) {
        if ran.at.as_millisecond() >= self.from {
            self.runs.push(ran);
        } else if !ran.recheck {
            self.standing = Some(Standing::of(ran.at, ran.verdict));
        }
    }
}

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn rolled(bases: HashMap<CheckId, Base>) -> Vec<(CheckId, Update)> {
    bases.into_iter().map(|(check, base)| (check, Update::Rolled(base))).collect()
}

/// The beginning of the present hour one to four weeks ago, as the clock on the wall has it.
fn same_hours(now: Timestamp, zone: &TimeZone) -> Vec<Timestamp> {
    let now = now.to_zoned(zone.clone());
    let before = |weeks: i64| {
        let then = now.checked_sub(weeks.weeks()).ok()?.timestamp();
        Some(time(Grain::Hour.floor(then.as_millisecond())))
    };
    (1..=4).filter_map(before).collect()
}

/// Notes how checks run where that changed. Looked at each time: a check has a row once it ran, and the
/// store may be another file by now.
async fn note_rules(store: &dyn Figures, plan: &Plan, known: &[KnownCheck]) -> Result<(), StoreError> {
    let wanted: HashMap<&CheckId, Rules> =
        plan.checks.iter().map(|check| (&check.scope.check, rules(check))).collect();
    let changed = |known: &KnownCheck| {
        let rules = *wanted.get(&known.check)?;
        (known.rules != Some(rules)).then(|| (known.check.clone(), rules))
    };
    let changed: Vec<_> = known.iter().filter_map(changed).collect();
    if !changed.is_empty() {
        store.note_rules(&changed).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
