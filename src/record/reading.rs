//! Figures of any stretch of time, put together from the coarsest rows that fit: days, hours, minutes,
//! and results at the edges and where nothing is rolled up yet.
//!
//! Stretches longer than [`EXACT`] begin at a full hour (the last one before), those beyond 400 days at a
//! full day of UTC. So they do where results, or hours, are not kept any more, and end so too;
//! [`Stretch::from`] and [`Stretch::to`] say where they begin and end.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::Timestamp;

use super::roll::rules_of;
use super::{Figures, KnownCheck, StoreError, UptimeRow};
use crate::model::CheckId;
use crate::stats::objective::{Promise, Spent};
use crate::stats::rollup::{Grain, Roll, Rolled, has_minutes};
use crate::stats::samples::{Rules, Run};
use crate::stats::track::runs;
use crate::stats::uptime::Standing;

/// Up to this length a stretch begins where it is asked to, to the millisecond.
pub const EXACT: Duration = Duration::from_secs(48 * 3_600);
/// Longer than this, the rows of hours are many, and days do.
const BY_DAY: i64 = 400 * 86_400_000;
/// Results of all checks are read in steps of this, milliseconds.
const STEP: i64 = 10 * 60 * 1_000;

/// A stretch of time, and how it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Where it begins, milliseconds since the epoch.
    pub from: i64,
    /// Where it ends.
    pub to: i64,
    pieces: Vec<Piece>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    /// `None`: results.
    grain: Option<Grain>,
    from: i64,
    to: i64,
}

/// Which rows are there.
#[derive(Clone, Copy, Debug)]
struct Marks {
    /// Until when there are hours, and days.
    hours: i64,
    days: i64,
    /// Before this results are not kept any more, and before that hours are not. The beginning of all time
    /// if they all are.
    results_from: i64,
    hours_from: i64,
}

impl Marks {
    async fn read(store: &dyn Figures) -> Result<Self, StoreError> {
        let millis = |at: Option<Timestamp>| at.map(Timestamp::as_millisecond);
        let hours = millis(store.rolled_until(Grain::Hour).await?).unwrap_or(0);
        let days = millis(store.rolled_until(Grain::Day).await?).unwrap_or(0);
        // Nothing is dropped that is not rolled up: what is younger is all there.
        let result = millis(store.next_result(Timestamp::MIN).await?).unwrap_or(i64::MAX).min(hours);
        let hour = millis(store.rolled_from(Grain::Hour).await?).unwrap_or(i64::MAX).min(days);
        let day = millis(store.rolled_from(Grain::Day).await?).unwrap_or(i64::MAX);
        // The coarser rows began with the finer ones, so that what begins later was dropped.
        let (results_begin, hours_begin) = (Grain::Hour.floor(result), Grain::Day.floor(hour));
        let results_from = if hour < results_begin { Grain::Hour.ceil(result) } else { i64::MIN };
        let hours_from = if day < hours_begin { Grain::Day.ceil(hour) } else { i64::MIN };
        Ok(Self { hours, days, results_from: results_from.max(hours_from), hours_from })
    }

    /// The finest rows there are of a time.
    fn finest(&self, at: i64) -> Option<Grain> {
        match at {
            at if at < self.hours_from => Some(Grain::Day),
            at if at < self.results_from => Some(Grain::Hour),
            _ => None,
        }
    }
}

impl Stretch {
    fn new(from: i64, to: i64, marks: Marks) -> Self {
        let length = to.saturating_sub(from);
        let wanted = match length {
            length if length > BY_DAY => Some(Grain::Day),
            length if length > i64::try_from(EXACT.as_millis()).unwrap_or(i64::MAX) => Some(Grain::Hour),
            _ => None,
        };
        let from = wanted.max(marks.finest(from)).map_or(from, |grain| grain.floor(from));
        let to = marks.finest(to).map_or(to, |grain| grain.ceil(to));
        let mut pieces = Vec::new();
        let mut add = |grain, from: i64, to: i64| {
            if from < to {
                pieces.push(Piece { grain, from, to });
            }
        };
        let hours_from = Grain::Hour.ceil(from).min(to);
        let hours_to = Grain::Hour.floor(to).min(marks.hours).max(hours_from);
        let days_from = Grain::Day.ceil(hours_from).min(hours_to);
        let days_to = Grain::Day.floor(hours_to).min(marks.days).max(days_from);
        add(None, from, hours_from);
        add(Some(Grain::Hour), hours_from, days_from);
        add(Some(Grain::Day), days_from, days_to);
        add(Some(Grain::Hour), days_to, hours_to);
        add(None, hours_to, to);
        Self { from, to, pieces }
    }

    /// Its length in milliseconds.
    pub fn length(&self) -> u64 {
        u64::try_from(self.to.saturating_sub(self.from)).unwrap_or(0)
    }
}

/// The figures of a store, with what is known of its checks.
pub struct Reading<'s> {
    store: &'s dyn Figures,
    known: Vec<KnownCheck>,
    rules: HashMap<CheckId, Rules>,
    marks: Marks,
    /// The first hour of which anything is known.
    first: i64,
}

impl<'s> Reading<'s> {
    /// Begins to read. `rules` go before those that are noted in the store.
    ///
    /// # Errors
    /// What the store says.
    pub async fn new(store: &'s dyn Figures, rules: HashMap<CheckId, Rules>) -> Result<Self, StoreError> {
        let known = store.known_checks().await?;
        let first = known.iter().filter_map(|known| known.since).min();
        let first = first.map_or(i64::MAX, |first| Grain::Hour.floor(first.as_millisecond()));
        let mut all: HashMap<CheckId, Rules> =
            known.iter().filter_map(|known| Some((known.check.clone(), known.rules?))).collect();
        all.extend(rules);
        Ok(Self { store, known, rules: all, marks: Marks::read(store).await?, first })
    }

    /// Every check that was ever recorded, by name.
    pub fn known(&self) -> &[KnownCheck] {
        &self.known
    }

    /// How a stretch of time is read.
    pub fn stretch(&self, from: Timestamp, to: Timestamp) -> Stretch {
        Stretch::new(from.as_millisecond(), to.as_millisecond(), self.marks)
    }

    /// The known time and the runs of all checks in a stretch, by name.
    ///
    /// # Errors
    /// What the store says.
    pub async fn uptimes(&self, stretch: &Stretch) -> Result<Vec<UptimeRow>, StoreError> {
        let mut sums: BTreeMap<CheckId, UptimeRow> = BTreeMap::new();
        let mut add = |row: UptimeRow| match sums.get_mut(&row.check) {
            Some(sum) => {
                sum.uptime.add(row.uptime);
                sum.runs += row.runs;
                sum.failed += row.failed;
            }
            None => {
                sums.insert(row.check.clone(), row);
            }
        };
        for piece in &stretch.pieces {
            match piece.grain {
                Some(grain) => {
                    let rows = self.store.uptimes(grain, time(piece.from), time(piece.to)).await?;
                    rows.into_iter().for_each(&mut add);
                }
                None => {
                    for (check, rolled) in self.judged(*piece).await? {
                        let Rolled { uptime, runs, failed, .. } = rolled;
                        add(UptimeRow { check, uptime, runs, failed });
                    }
                }
            }
        }
        Ok(sums.into_values().collect())
    }

    /// Everything about one check in a stretch.
    ///
    /// # Errors
    /// What the store says.
    pub async fn whole(&self, check: &CheckId, stretch: &Stretch) -> Result<Rolled, StoreError> {
        let mut sum = Rolled::default();
        for piece in &stretch.pieces {
            match piece.grain {
                Some(grain) => {
                    let rows = self.store.rolled(grain, check, time(piece.from), time(piece.to)).await?;
                    rows.iter().for_each(|row| sum.add(&row.rolled));
                }
                None => {
                    for (_, rolled) in self.results(Some(check), *piece).await? {
                        sum.add(&rolled);
                    }
                }
            }
        }
        Ok(sum)
    }

    /// What of a promise about these checks was broken in a stretch.
    ///
    /// # Errors
    /// What the store says.
    #[expect(clippy::cast_precision_loss, reason = "counts of samples fit a float")]
    pub async fn spent(
        &self,
        of: &Promise,
        checks: &[CheckId],
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Spent, StoreError> {
        let stretch = self.stretch(from, to);
        let mut sum = Spent::default();
        match of {
            Promise::Availability => {
                for row in self.uptimes(&stretch).await? {
                    if checks.contains(&row.check) {
                        sum.add(Spent::of(row.uptime, 0));
                    }
                }
                sum.whole = stretch.length() as f64 * checks.len() as f64;
            }
            Promise::Latency { part, threshold } => {
                for check in checks {
                    let whole = self.whole(check, &stretch).await?;
                    if let Some(sketch) = whole.latencies.get(part) {
                        let (bad, known) = (sketch.beyond(*threshold) as f64, sketch.count() as f64);
                        sum.add(Spent { bad, known, ..Spent::default() });
                    }
                    sum.whole += runs(stretch.length(), rules_of(&self.rules, check).every);
                }
            }
        }
        Ok(sum)
    }

    /// One check in a stretch, in slices that begin at these instants, the first of which is not after
    /// the stretch's beginning. For charts: where slices are days or longer, a day of UTC falls whole
    /// into the slice in which it begins.
    ///
    /// # Errors
    /// What the store says.
    pub async fn slices(
        &self,
        check: &CheckId,
        stretch: &Stretch,
        bounds: &[i64],
    ) -> Result<Vec<Rolled>, StoreError> {
        let mut slices = vec![Rolled::default(); bounds.len()];
        let shortest = bounds.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap_or(i64::MAX);
        // Where hours are not kept any more, nothing is finer than days.
        let days = if shortest >= Grain::Day.millis() { self.marks.days } else { self.marks.hours_from };
        let pieces = Stretch::new(stretch.from, stretch.to, Marks { days, ..self.marks }).pieces;
        let mut add = |at: i64, rolled: &Rolled| {
            let place = bounds.partition_point(|bound| *bound <= at).saturating_sub(1);
            if let Some(slice) = slices.get_mut(place) {
                slice.add(rolled);
            }
        };
        for piece in pieces {
            let Some(grain) = piece.grain else {
                let inner = bounds.iter().copied().filter(|bound| (piece.from + 1..piece.to).contains(bound));
                let mut from = piece.from;
                for to in inner.chain([piece.to]) {
                    for rolled in self.results(Some(check), Piece { from, to, ..piece }).await?.values() {
                        add(from, rolled);
                    }
                    from = to;
                }
                continue;
            };
            for row in self.store.rolled(grain, check, time(piece.from), time(piece.to)).await? {
                add(row.at, &row.rolled);
            }
        }
        Ok(slices)
    }

    /// What results of a piece come to, by check.
    async fn results(
        &self,
        check: Option<&CheckId>,
        piece: Piece,
    ) -> Result<HashMap<CheckId, Rolled>, StoreError> {
        if let Some(minutes) = self.minutes(check, piece).await? {
            return Ok(minutes);
        }
        let begins = self.begins(piece);
        let mut rolls = self.begun(check, piece).await?;
        for (from, to) in steps(begins, piece.to) {
            for ran in self.store.ran(check, from, to).await? {
                let roll =
                    rolls.entry(ran.check.clone()).or_insert_with(|| self.begin(&ran.check, None, piece));
                roll.take(ran.at, Run::from(&ran));
            }
        }
        Ok(rolls.into_iter().map(|(check, roll)| (check, roll.finish())).collect())
    }

    /// As [`Reading::results`] of all checks, without durations.
    async fn judged(&self, piece: Piece) -> Result<HashMap<CheckId, Rolled>, StoreError> {
        let mut rolls = self.begun(None, piece).await?;
        for (from, to) in steps(self.begins(piece), piece.to) {
            for (check, all) in self.store.judged(from, to).await? {
                let begin = || self.begin(&check, None, piece);
                let roll = rolls.entry(check.clone()).or_insert_with(begin);
                all.iter().for_each(|one| roll.judge(one.at, one.verdict, one.recheck));
            }
        }
        Ok(rolls.into_iter().map(|(check, roll)| (check, roll.finish())).collect())
    }

    /// Where results of a piece are read from: what stands there is known up to the mark, from there on
    /// results say it.
    fn begins(&self, piece: Piece) -> i64 {
        Grain::Hour.floor(piece.from).min(self.marks.hours).max(self.first)
    }

    fn begin(&self, check: &CheckId, standing: Option<Standing>, piece: Piece) -> Roll {
        Roll::new(standing, rules_of(&self.rules, check), piece.from, piece.to)
    }

    /// What stands where a piece begins.
    async fn begun(
        &self,
        check: Option<&CheckId>,
        piece: Piece,
    ) -> Result<HashMap<CheckId, Roll>, StoreError> {
        let standings = self.store.standings(time(self.begins(piece))).await?;
        let wanted = standings.into_iter().filter(|(of, _)| check.is_none_or(|check| of == check));
        Ok(wanted
            .map(|(check, standing)| (check.clone(), self.begin(&check, Some(standing), piece)))
            .collect())
    }

    /// A piece of a check that runs very often, whose minutes are kept; the seconds about them are left
    /// to its results.
    async fn minutes(
        &self,
        check: Option<&CheckId>,
        piece: Piece,
    ) -> Result<Option<HashMap<CheckId, Rolled>>, StoreError> {
        let Some(check) = check.filter(|check| has_minutes(rules_of(&self.rules, check).every)) else {
            return Ok(None);
        };
        let whole =
            piece.from == Grain::Minute.floor(piece.from) && piece.to == Grain::Minute.floor(piece.to);
        if !whole || piece.to > self.marks.hours {
            return Ok(None);
        }
        let rows = self.store.rolled(Grain::Minute, check, time(piece.from), time(piece.to)).await?;
        if rows.is_empty() {
            // It did not run so often then.
            return Ok(None);
        }
        let sum = rows.into_iter().map(|row| row.rolled).reduce(|mut sum, minute| {
            sum.add(&minute);
            sum
        });
        Ok(Some(sum.into_iter().map(|sum| (check.clone(), sum)).collect()))
    }
}

/// The steps in which results are read.
fn steps(from: i64, to: i64) -> impl Iterator<Item = (Timestamp, Timestamp)> {
    let starts = std::iter::successors(Some(from), |at| at.checked_add(STEP)).take_while(move |at| *at < to);
    starts.map(move |at| (time(at), time(at.saturating_add(STEP).min(to))))
}

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Outcome, Part, Verdict};
    use crate::record::Store as _;
    use crate::record::contract::{outcome, ran};
    use crate::record::memory::Memory;
    use crate::record::roll::roll;

    const MINUTE: i64 = 60_000;
    const HOUR: i64 = 3_600_000;
    const DAY: i64 = 24 * HOUR;
    const START: i64 = 20_000 * DAY;

    #[test]
    fn a_stretch_is_read_in_the_coarsest_rows_that_fit() {
        let marks = Marks {
            hours: 10 * DAY + 5 * HOUR,
            days: 10 * DAY,
            results_from: i64::MIN,
            hours_from: i64::MIN,
        };
        let grains = |from, to| {
            let stretch = Stretch::new(from, to, marks);
            let told = |piece: &Piece| (piece.grain, piece.from, piece.to);
            (stretch.from, stretch.pieces.iter().map(told).collect::<Vec<_>>())
        };
        let (from, pieces) = grains(2 * DAY - HOUR + 5, 10 * DAY + 6 * HOUR);
        assert_eq!(from, 2 * DAY - HOUR, "longer than two days: from the full hour on");
        let expected = [
            (Some(Grain::Hour), 2 * DAY - HOUR, 2 * DAY),
            (Some(Grain::Day), 2 * DAY, 10 * DAY),
            (Some(Grain::Hour), 10 * DAY, 10 * DAY + 5 * HOUR),
            (None, 10 * DAY + 5 * HOUR, 10 * DAY + 6 * HOUR),
        ];
        assert_eq!(pieces, expected);
        let (from, pieces) = grains(10 * DAY + 5, 10 * DAY + 2 * HOUR);
        assert_eq!(from, 10 * DAY + 5);
        let expected = [
            (None, 10 * DAY + 5, 10 * DAY + HOUR),
            (Some(Grain::Hour), 10 * DAY + HOUR, 10 * DAY + 2 * HOUR),
        ];
        assert_eq!(pieces, expected);
        assert_eq!(grains(12 * DAY, 12 * DAY + 5).1, [(None, 12 * DAY, 12 * DAY + 5)]);
        assert!(grains(5, 5).1.is_empty());
    }

    #[test]
    fn what_is_not_kept_any_more_is_read_in_what_is() {
        let marks = Marks { hours: 99 * DAY, days: 99 * DAY, results_from: 90 * DAY, hours_from: 50 * DAY };
        let told = |from, to| {
            let stretch = Stretch::new(from, to, marks);
            (stretch.from, stretch.to, stretch.pieces)
        };
        let piece = |grain, from, to| Piece { grain: Some(grain), from, to };
        let (from, to) = (60 * DAY + HOUR, 60 * DAY + 3 * HOUR);
        let hours = vec![piece(Grain::Hour, from, to)];
        assert_eq!(told(from + 5 * MINUTE, to - 7 * MINUTE), (from, to, hours), "results are gone");
        let days = vec![piece(Grain::Day, 20 * DAY, 21 * DAY)];
        assert_eq!(told(20 * DAY + HOUR, 20 * DAY + 3 * HOUR), (20 * DAY, 21 * DAY, days), "hours are gone");
        let (from, to) = (49 * DAY + HOUR, 60 * DAY + HOUR);
        let both = vec![piece(Grain::Day, 49 * DAY, 60 * DAY), piece(Grain::Hour, 60 * DAY, to)];
        assert_eq!(told(from, to), (49 * DAY, to, both));
    }

    #[tokio::test]
    async fn a_stretch_says_the_same_once_results_and_hours_are_gone() {
        let store = filled().await;
        roll(&store, time(START + 36 * HOUR)).await.unwrap();
        let check = CheckId::from("a/b");
        let seen = async || {
            let reading = Reading::new(&store, HashMap::new()).await.unwrap();
            let stretch = reading.stretch(time(START + HOUR), time(START + 30 * HOUR));
            let whole = reading.whole(&check, &stretch).await.unwrap();
            let bounds: Vec<i64> = (1..30).map(|hour| START + hour * HOUR).collect();
            let slices = reading.slices(&check, &stretch, &bounds).await.unwrap();
            let sum: u64 = slices.iter().map(|slice| slice.runs).sum();
            assert_eq!(sum, whole.runs);
            (stretch.from, stretch.to, whole.runs)
        };
        assert_eq!(seen().await, (START + HOUR, START + 30 * HOUR, 29 * 60));
        let gone = |results, hours| crate::record::Cutoffs {
            results: time(results),
            hours: time(hours),
            ..crate::record::contract::figures::nothing_old()
        };
        store.prune(&gone(START + 34 * HOUR, 0)).await.unwrap();
        assert_eq!(seen().await, (START + HOUR, START + 30 * HOUR, 29 * 60));
        store.prune(&gone(START + 34 * HOUR, START + 24 * HOUR)).await.unwrap();
        let from_the_day_on = (START, START + 30 * HOUR, 30 * 60);
        assert_eq!(seen().await, from_the_day_on);
        store.prune(&gone(START + 40 * HOUR, START + 24 * HOUR)).await.unwrap();
        assert_eq!(seen().await, from_the_day_on, "no result is left at all");
    }

    #[tokio::test]
    async fn what_runs_more_often_now_is_read_as_it_ran_then() {
        let store = filled().await;
        roll(&store, time(START + 36 * HOUR)).await.unwrap();
        let check = CheckId::from("a/b");
        let often = Rules { every: Duration::from_secs(5), timeout: Duration::from_secs(1) };
        let reading = Reading::new(&store, HashMap::from([(check.clone(), often)])).await.unwrap();
        let stretch = reading.stretch(time(START + HOUR), time(START + HOUR + 30 * MINUTE));
        assert_eq!(reading.whole(&check, &stretch).await.unwrap().runs, 30);
    }

    /// A day and a half of results every minute, of which each eleventh failed.
    async fn filled() -> Memory {
        let store = Memory::default();
        let batch: Vec<_> = (0..36 * 60)
            .map(|minute| {
                let verdict = if minute % 11 == 0 { Verdict::Fail } else { Verdict::Pass };
                let took = Duration::from_micros(u64::try_from(1_000 + minute * 7_919 % 90_000).unwrap());
                ran(Outcome { verdict, took, ..outcome("a/b", START + minute * MINUTE + 17) })
            })
            .collect();
        store.commit(&batch).await.unwrap();
        store
    }

    #[tokio::test]
    async fn however_it_is_stored_a_stretch_says_the_same() {
        let (raw, rolled) = (filled().await, filled().await);
        roll(&rolled, time(START + 36 * HOUR)).await.unwrap();
        let check = CheckId::from("a/b");
        for (from, to) in
            [(0, 36 * HOUR), (5 * MINUTE + 3, 30 * HOUR + 7), (HOUR, 2 * HOUR), (90, 91 * MINUTE)]
        {
            let mut seen = Vec::new();
            for store in [&raw, &rolled] {
                let reading = Reading::new(store, HashMap::new()).await.unwrap();
                let stretch = reading.stretch(time(START + from), time(START + to));
                let uptimes = reading.uptimes(&stretch).await.unwrap();
                let whole = reading.whole(&check, &stretch).await.unwrap();
                assert_eq!((uptimes[0].uptime, uptimes[0].runs), (whole.uptime, whole.runs));
                let sketch = whole.latencies.get(&Part::Whole).unwrap().clone();
                seen.push((whole.uptime, whole.runs, whole.failed, sketch.count(), sketch.quantile(0.95)));
            }
            assert_eq!(seen[0], seen[1], "{from} {to}");
        }
    }

    #[tokio::test]
    async fn a_promise_is_measured_against_all_that_could_be_known() {
        let store = filled().await;
        roll(&store, time(START + 36 * HOUR)).await.unwrap();
        let reading = Reading::new(&store, HashMap::new()).await.unwrap();
        let checks = ["a/b".into(), "a/never-ran".into()];
        let month = async |of: Promise| {
            reading.spent(&of, &checks, time(START - 684 * HOUR), time(START + 36 * HOUR)).await.unwrap()
        };
        let up = month(Promise::Availability).await;
        assert!((up.known - 36.0 * 3_600_000.0).abs() < 60_000.0, "{up:?}");
        assert_eq!(up.whole, 2.0 * 720.0 * 3_600_000.0);
        let threshold = Duration::from_secs(1);
        let fast = month(Promise::Latency { part: Part::Whole, threshold }).await;
        assert_eq!((fast.bad, fast.whole), (0.0, 2.0 * 720.0 * 60.0));
    }

    #[tokio::test]
    async fn slices_sum_up_to_the_stretch() {
        let store = filled().await;
        roll(&store, time(START + 36 * HOUR)).await.unwrap();
        let reading = Reading::new(&store, HashMap::new()).await.unwrap();
        let stretch = reading.stretch(time(START + 30 * MINUTE), time(START + 30 * HOUR));
        let bounds: Vec<i64> = (0..30).map(|hour| START + hour * HOUR).collect();
        let slices = reading.slices(&"a/b".into(), &stretch, &bounds).await.unwrap();
        let whole = reading.whole(&"a/b".into(), &stretch).await.unwrap();
        let runs: u64 = slices.iter().map(|slice| slice.runs).sum();
        assert_eq!((slices.len(), runs), (30, whole.runs));
    }
}
