//! Dropping what is older than its retention.
//!
//! Nothing goes that is not rolled up yet. And the clock is not believed at once: one that is wrong by a
//! year would have everything dropped. It mostly is so right after a start, or leaps.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::settings::Retention;
use crate::record::resilient::Resilient;
use crate::record::tenure::running;
use crate::record::{Cutoffs, Figures as _, Gap, Store as _, StoreError};
use crate::stats::rollup::Grain;

/// How often.
const EVERY: Duration = Duration::from_secs(3_600);
/// So long after a start the clock is believed: whoever sets it has done so.
const SETTLED: Duration = Duration::from_secs(3_600);
/// What goes on by more than this in no time is a leap, and is believed after as long: somebody noticed, or
/// the daemon was away for that long.
const LEAP: Duration = Duration::from_secs(86_400);

/// Drops once an hour what is old, until `stop`. `away` is the gap before the start.
pub async fn prune(
    store: Arc<Resilient>,
    retention: Retention,
    clock: Arc<dyn Clock>,
    away: Option<Gap>,
    stop: CancellationToken,
) {
    let mut trust = Trust::new(clock.now(), running(), away.as_ref());
    let mut hourly = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = hourly.tick() => {}
        }
        let now = clock.now();
        if !trust.holds(now, running()) {
            continue;
        }
        match drop_old(&store, &retention, now).await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "old results were dropped"),
            Err(error) => tracing::warn!(%error, "old results were not dropped"),
        }
    }
}

async fn drop_old(store: &Resilient, retention: &Retention, now: Timestamp) -> Result<u64, StoreError> {
    let (hours, days) = (store.rolled_until(Grain::Hour).await?, store.rolled_until(Grain::Day).await?);
    store.prune(&cutoffs(retention, now, hours, days)).await
}

/// What may go, where everything is rolled up by the hour until `hours` and by the day until `days`.
fn cutoffs(
    retention: &Retention,
    now: Timestamp,
    hours: Option<Timestamp>,
    days: Option<Timestamp>,
) -> Cutoffs {
    let before = |kept: Duration| now.saturating_sub(kept).unwrap_or(Timestamp::MIN);
    Cutoffs {
        results: before(retention.results).min(hours.unwrap_or(Timestamp::UNIX_EPOCH)),
        hours: before(retention.hours).min(days.unwrap_or(Timestamp::UNIX_EPOCH)),
        days: before(retention.days),
        incidents: before(retention.incidents),
    }
}

/// Whether the wall clock is believed.
#[derive(Debug)]
struct Trust {
    /// The wall clock when it was last looked at, and the time since the machine was started.
    last: (Timestamp, Duration),
    /// From when on, by the time since the machine was started.
    from: Duration,
}

impl Trust {
    fn new(now: Timestamp, running: Duration, away: Option<&Gap>) -> Self {
        let absent = away.map_or(Duration::ZERO, |gap| gap.to.duration_since(gap.from).unsigned_abs());
        let wait = if absent > LEAP { LEAP } else { SETTLED };
        Self { last: (now, running), from: running.saturating_add(wait) }
    }

    fn holds(&mut self, now: Timestamp, running: Duration) -> bool {
        let (then, ran) = std::mem::replace(&mut self.last, (now, running));
        let expected = then.saturating_add(running.saturating_sub(ran)).unwrap_or(Timestamp::MAX);
        let ahead = now.duration_since(expected);
        if ahead.is_positive() && ahead.unsigned_abs() > LEAP {
            tracing::warn!(%then, %now, "the clock leapt forward: nothing is dropped as too old for a day");
            self.from = running.saturating_add(LEAP);
        }
        running >= self.from
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600;
    const DAY: u64 = 24 * HOUR;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + i64::try_from(seconds).unwrap()).unwrap()
    }

    fn ran(seconds: u64) -> Duration {
        Duration::from_secs(100 + seconds)
    }

    #[test]
    fn a_clock_is_believed_an_hour_after_the_start_and_a_day_after_a_leap() {
        let mut trust = Trust::new(at(0), ran(0), None);
        let year = 365 * DAY;
        assert!(!trust.holds(at(10), ran(10)));
        assert!(trust.holds(at(HOUR), ran(HOUR)));
        assert!(!trust.holds(at(year + 2 * HOUR), ran(2 * HOUR)));
        assert!(!trust.holds(at(year + 25 * HOUR), ran(25 * HOUR)));
        // Set right again, and right for a day.
        assert!(trust.holds(at(27 * HOUR), ran(27 * HOUR)));
        assert!(trust.holds(at(29 * HOUR), ran(28 * HOUR)), "an hour is no leap");
    }

    #[test]
    fn a_daemon_that_was_away_for_long_waits_for_a_day() {
        let gap =
            |hours: u64| Gap { check: None, from: at(0), to: at(hours * HOUR), why: "not_running".into() };
        let mut short = Trust::new(at(3 * HOUR), ran(0), Some(&gap(3)));
        assert!(short.holds(at(4 * HOUR), ran(HOUR)));
        let mut long = Trust::new(at(90 * HOUR), ran(0), Some(&gap(90)));
        assert!(!long.holds(at(91 * HOUR), ran(HOUR)));
        assert!(long.holds(at(114 * HOUR), ran(24 * HOUR)));
    }

    #[test]
    fn what_is_not_rolled_up_does_not_go() {
        let kept = |days: u64| Duration::from_secs(days * DAY);
        let retention =
            Retention { results: kept(35), hours: kept(400), days: kept(2_000), incidents: kept(2_000) };
        let of = |hours, days| cutoffs(&retention, at(0), hours, days);
        let back = |days: u64| at(0) - kept(days);
        assert_eq!(
            (of(Some(at(0)), Some(at(0))).results, of(Some(at(0)), Some(at(0))).hours),
            (back(35), back(400))
        );
        assert_eq!(of(Some(back(90)), Some(back(91))).results, back(90));
        assert_eq!(of(Some(back(900)), Some(back(901))).hours, back(901));
        assert_eq!(of(None, None).results, Timestamp::UNIX_EPOCH);
    }
}
