//! Rolling results up, hour by hour and day by day, in the background.
//!
//! An hour is rolled once every run that began in it has ended and is committed, which [`SETTLED`]
//! after its end is all but certain; a result that is written later takes the mark back
//! ([`Figures::put_rolled`]), and the hours from there on are rolled again. Where nothing is recorded for
//! long (a clock that was not set yet wrote a result of 1970), nothing is walked through.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use super::{Figures, Ran, RolledRow, StoreError};
use crate::model::CheckId;
use crate::stats::rollup::{Grain, Roll, has_minutes};
use crate::stats::samples::{Rules, Run};
use crate::stats::uptime::Standing;

/// How long after its end an hour is rolled: a run may take five minutes.
pub const SETTLED: Duration = Duration::from_secs(360);
/// Results read at a time.
const STEP: i64 = 10 * 60 * 1_000;
/// How checks ran of which nothing is noted: those of before it was.
const USUAL: Rules = Rules { every: Duration::from_secs(60), timeout: Duration::from_secs(10) };

/// The rules of a check.
pub fn rules_of(rules: &HashMap<CheckId, Rules>, check: &CheckId) -> Rules {
    rules.get(check).copied().unwrap_or(USUAL)
}

/// Rolls up what is complete at `now`; returns how many hours. Ends early, without a fault, if somebody
/// else wrote meanwhile.
///
/// # Errors
/// What the store says.
pub async fn roll(store: &dyn Figures, now: Timestamp) -> Result<u32, StoreError> {
    let checks = store.known_checks().await?;
    let Some(first) = checks.iter().filter_map(|known| known.since).min() else { return Ok(0) };
    let rules: HashMap<CheckId, Rules> =
        checks.into_iter().filter_map(|known| Some((known.check, known.rules?))).collect();
    let mut mark = store.rolled_until(Grain::Hour).await?;
    let mut hour = mark.map_or_else(|| Grain::Hour.floor(first.as_millisecond()), |at| at.as_millisecond());
    let mut standing: HashMap<CheckId, Standing> = store.standings(time(hour)).await?.into_iter().collect();
    let settled = i64::try_from(SETTLED.as_millis()).unwrap_or(i64::MAX);
    let end = Grain::Hour.floor(now.as_millisecond().saturating_sub(settled));
    let mut rolled = 0;
    while hour < end {
        let before = standing.clone();
        let (rows, results) =
            hour_of(store, &rules, &mut standing, hour, hour + Grain::Hour.millis()).await?;
        let next = following(store, Grain::Hour, hour, &rows, end).await?;
        if !store.put_rolled(Grain::Hour, &rows, mark, time(next)).await? {
            return Ok(rolled);
        }
        // What was written late into this time, after it was read, took no mark back.
        let same = results_in(store, hour).await? == results
            && following(store, Grain::Hour, hour, &rows, end).await? == next;
        if !same {
            if !store.put_rolled(Grain::Hour, &[], Some(time(next)), time(hour)).await? {
                return Ok(rolled);
            }
            (mark, standing) = (Some(time(hour)), before);
            continue;
        }
        (mark, hour) = (Some(time(next)), next);
        rolled += 1;
        tokio::task::yield_now().await;
    }
    days(store).await?;
    Ok(rolled)
}

/// Where to go on after a time that came to these rows. Of none, that is where the next result is, but not
/// beyond `end`.
async fn following(
    store: &dyn Figures,
    grain: Grain,
    at: i64,
    rows: &[RolledRow],
    end: i64,
) -> Result<i64, StoreError> {
    let next = at + grain.millis();
    if !rows.is_empty() {
        return Ok(next);
    }
    let found = store.next_result(time(next)).await?;
    Ok(found.map_or(end, |found| grain.floor(found.as_millisecond())).min(end).max(next))
}

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
}

async fn hour_of(
    store: &dyn Figures,
    rules: &HashMap<CheckId, Rules>,
    standing: &mut HashMap<CheckId, Standing>,
    from: i64,
    to: i64,
) -> Result<(Vec<RolledRow>, usize), StoreError> {
    let mut results = 0;
    let mut hours: HashMap<CheckId, Roll> = HashMap::new();
    let mut minutes = Minutes::default();
    let begin =
        |check: &CheckId, standing: Option<Standing>| Roll::new(standing, rules_of(rules, check), from, to);
    for (check, stands) in standing.iter() {
        if stands.ends(rules_of(rules, check).every) > from {
            hours.insert(check.clone(), begin(check, Some(*stands)));
        }
    }
    let mut step = from;
    while step < to {
        let next = (step + STEP).min(to);
        for ran in store.ran(None, time(step), time(next)).await? {
            results += 1;
            let before = standing.get(&ran.check).copied();
            minutes.take(&ran, rules_of(rules, &ran.check), before);
            let roll = hours.entry(ran.check.clone()).or_insert_with(|| begin(&ran.check, before));
            roll.take(ran.at, Run::from(&ran));
        }
        step = next;
    }
    let mut rows = minutes.finish();
    for (check, roll) in hours {
        let rolled = roll.finish();
        if let Some(stands) = rolled.standing {
            standing.insert(check.clone(), stands);
        }
        rows.push(RolledRow { check, grain: Grain::Hour, at: from, rolled });
    }
    Ok((rows, results))
}

async fn results_in(store: &dyn Figures, hour: i64) -> Result<usize, StoreError> {
    let (mut count, mut step, to) = (0, hour, hour + Grain::Hour.millis());
    while step < to {
        let next = (step + STEP).min(to);
        count += store.ran(None, time(step), time(next)).await?.len();
        step = next;
    }
    Ok(count)
}

/// The minutes of checks that run very often.
#[derive(Default)]
struct Minutes {
    open: HashMap<CheckId, (i64, Roll)>,
    rows: Vec<RolledRow>,
}

impl Minutes {
    fn take(&mut self, ran: &Ran, rules: Rules, before: Option<Standing>) {
        if !has_minutes(rules.every) {
            return;
        }
        let minute = Grain::Minute.floor(ran.at.as_millisecond());
        let mut stands = before;
        if let Some((at, _)) = self.open.get(&ran.check)
            && *at != minute
            && let Some((at, roll)) = self.open.remove(&ran.check)
        {
            let rolled = roll.finish();
            stands = rolled.standing;
            self.rows.push(RolledRow { check: ran.check.clone(), grain: Grain::Minute, at, rolled });
        }
        let begin = || (minute, Roll::new(stands, rules, minute, minute + Grain::Minute.millis()));
        let (_, roll) = self.open.entry(ran.check.clone()).or_insert_with(begin);
        roll.take(ran.at, Run::from(ran));
    }

    fn finish(mut self) -> Vec<RolledRow> {
        for (check, (at, roll)) in self.open {
            self.rows.push(RolledRow { check, grain: Grain::Minute, at, rolled: roll.finish() });
        }
        self.rows
    }
}

/// Sums up the days whose hours are all there.
async fn days(store: &dyn Figures) -> Result<(), StoreError> {
    let Some(hours) = store.rolled_until(Grain::Hour).await? else { return Ok(()) };
    let end = Grain::Day.floor(hours.as_millisecond());
    loop {
        let mark = store.rolled_until(Grain::Day).await?;
        let checks = store.known_checks().await?;
        let first = checks.iter().filter_map(|known| known.since).min().map(Timestamp::as_millisecond);
        let Some(day) = mark.map(Timestamp::as_millisecond).or(first.map(|at| Grain::Day.floor(at))) else {
            return Ok(());
        };
        if day + Grain::Day.millis() > end {
            return Ok(());
        }
        let mut rows = Vec::new();
        for known in checks {
            let until = time(day + Grain::Day.millis());
            let hours = store.rolled(Grain::Hour, &known.check, time(day), until).await?;
            let Some(rolled) = hours.into_iter().map(|hour| hour.rolled).reduce(|mut sum, hour| {
                sum.add(&hour);
                sum
            }) else {
                continue;
            };
            rows.push(RolledRow { check: known.check, grain: Grain::Day, at: day, rolled });
        }
        let next = following(store, Grain::Day, day, &rows, end).await?;
        if !store.put_rolled(Grain::Day, &rows, mark, time(next)).await? {
            return Ok(());
        }
        // What was written late meanwhile, after the hours were read, took no mark of days back.
        if store.rolled_until(Grain::Hour).await?.is_none_or(|hours| hours < time(next)) {
            store.put_rolled(Grain::Day, &[], Some(time(next)), time(day)).await?;
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests;
