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
use crate::record::writer::Writer;
use crate::record::{Figures, KnownCheck, Ran, StoreError, roll};
use crate::run::pace::{Update, rules};
use crate::stats::recent::{Base, WINDOWS};
use crate::stats::rollup::Grain;
use crate::stats::samples::Rules;
use crate::stats::sketch::Sketch;

/// How often it is looked whether an hour is complete.
const LOOK: Duration = Duration::from_secs(60);
/// Results of all checks are read in steps of this, milliseconds.
const STEP: i64 = 10 * 60 * 1_000;
/// Of so many of the past four weeks the hour must be known to be compared with.
const WEEKS: usize = 3;

/// Checks and what is new of their record.
type News = Vec<(CheckId, Update)>;

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
}

/// What was told last.
#[derive(Default)]
struct Told {
    /// The plan whose checks know their past.
    plan: Option<Arc<Plan>>,
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
        let known = note_rules(&*self.store, plan).await?;
        let hours = roll::roll(&*self.store, now).await?;
        let new = told.plan.as_ref().is_none_or(|old| !Arc::ptr_eq(old, plan));
        if new || hours > 0 {
            let bases = self.bases(plan, &known, now).await?;
            self.tell(if new { self.past(plan, bases, now).await? } else { rolled(bases) }).await;
            told.plan = Some(Arc::clone(plan));
        }
        let hour = Grain::Hour.floor(now.as_millisecond());
        if new || hour != told.hour {
            self.tell(self.usual(plan, now).await?).await;
            told.hour = hour;
        }
        Ok(())
    }

    async fn tell(&self, news: News) {
        if !news.is_empty() {
            // At the end of the daemon nobody wants to know any more.
            let _ = self.news.send(news).await;
        }
    }

    /// The checks that need to know their past.
    fn wanted<'p>(&'p self, plan: &'p Plan) -> impl Iterator<Item = &'p Arc<PlannedCheck>> {
        plan.checks.iter().filter(|check| self.figures || !check.budgets.is_empty())
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

    /// What every check has to know of its past.
    async fn past(
        &self,
        plan: &Plan,
        mut bases: HashMap<CheckId, Base>,
        now: Timestamp,
    ) -> Result<News, StoreError> {
        self.writer.flush().await;
        let to = now.as_millisecond() + 1_000;
        let hour_ago = to - Grain::Hour.millis() - 1_000;
        let from = bases.values().map(|base| base.until).min().unwrap_or(hour_ago).min(hour_ago);
        let mut runs: HashMap<CheckId, Vec<Ran>> = HashMap::new();
        let mut step = from;
        while step < to && !bases.is_empty() {
            let next = (step + STEP).min(to);
            for ran in self.store.ran(None, time(step), time(next)).await? {
                runs.entry(ran.check.clone()).or_default().push(ran);
            }
            step = next;
        }
        let mut news = News::new();
        for check in self.wanted(plan) {
            let id = &check.scope.check;
            let Some(base) = bases.remove(id) else { continue };
            let mut runs = runs.remove(id).unwrap_or_default();
            let longest = check.budgets.iter().map(|budget| budget.window).max().unwrap_or_default();
            let window_from = to - i64::try_from(longest.as_millis()).unwrap_or(i64::MAX);
            if window_from < from {
                let mut earlier = self.store.ran(Some(id), time(window_from), time(from)).await?;
                earlier.append(&mut runs);
                runs = earlier;
            }
            news.push((id.clone(), Update::Past { base, runs }));
        }
        Ok(news)
    }

    /// What the compared parts took at this hour of the past four weeks.
    async fn usual(&self, plan: &Plan, now: Timestamp) -> Result<News, StoreError> {
        let hours = same_hours(now, &plan.timezone);
        let mut news = News::new();
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
                let known: Vec<&Sketch> =
                    weeks.iter().filter_map(|week| week.rolled.latencies.get(part)).collect();
                let sum = known.iter().fold(Sketch::default(), |mut sum, sketch| {
                    sum.merge(sketch);
                    sum
                });
                (part.clone(), (known.len() >= WEEKS).then_some(sum))
            });
            news.push((id.clone(), Update::Usual(usual.collect())));
        }
        Ok(news)
    }
}

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn rolled(bases: HashMap<CheckId, Base>) -> News {
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

/// Notes how checks run where that changed; returns what is known of all. Looked at each time: a check
/// has a row once it ran, and the store may be another file by now.
async fn note_rules(store: &dyn Figures, plan: &Plan) -> Result<HashMap<CheckId, KnownCheck>, StoreError> {
    let wanted: HashMap<&CheckId, Rules> =
        plan.checks.iter().map(|check| (&check.scope.check, rules(check))).collect();
    let known = store.known_checks().await?;
    let changed = |known: &KnownCheck| {
        let rules = *wanted.get(&known.check)?;
        (known.rules != Some(rules)).then(|| (known.check.clone(), rules))
    };
    let changed: Vec<_> = known.iter().filter_map(changed).collect();
    if !changed.is_empty() {
        store.note_rules(&changed).await?;
    }
    Ok(known.into_iter().map(|known| (known.check.clone(), known)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_hour_is_that_of_the_clock_on_the_wall() {
        let zone = TimeZone::get("Europe/Amsterdam").unwrap();
        // Two days after the clocks went back: nine o'clock is another hour of UTC than a week before.
        let now: Timestamp = "2026-10-27T09:40:00+01:00".parse().unwrap();
        let hours: Vec<String> = same_hours(now, &zone).iter().map(ToString::to_string).collect();
        let before = |day| format!("2026-{day}T07:00:00Z");
        assert_eq!(hours, [before("10-20"), before("10-13"), before("10-06"), before("09-29")]);
    }
}
