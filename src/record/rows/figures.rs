//! How the columns of figures read back.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::time;
use crate::model::CheckId;
use crate::record::{Judged, KnownCheck, Ran, RolledRow, UptimeRow, pack};
use crate::stats::rollup::{Grain, Latencies, Rolled};
use crate::stats::samples::Rules;
use crate::stats::uptime::{Standing, Uptime};

/// The seconds of a grain.
pub fn span(grain: Grain) -> i64 {
    grain.millis() / 1_000
}

pub fn count(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}

pub fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The columns of a row: at, up, down, planned, runs, failed, the standing's start and state, sketches.
pub type RolledColumns = (i64, i64, i64, i64, i64, i64, Option<i64>, Option<i64>, Option<Vec<u8>>);

/// Sketches that are damaged are of no sample: the figures of all other times are to be read.
pub fn rolled(grain: Grain, check: &CheckId, row: RolledColumns) -> RolledRow {
    let (at, up, down, planned, runs, failed, standing_at, standing, sketches) = row;
    let latencies = sketches.map(|bytes| Latencies::from_bytes(&bytes)).transpose();
    if let Err(why) = &latencies {
        let at = time(at);
        tracing::warn!(%check, %at, %why, "durations that were rolled up are damaged, and left out");
    }
    let rolled = Rolled {
        uptime: Uptime { up: count(up), down: count(down), planned: count(planned) },
        runs: count(runs),
        failed: count(failed),
        standing: standing_at.map(|at| Standing { at, up: standing.map(|up| up == 1) }),
        latencies: latencies.ok().flatten().unwrap_or_default(),
    };
    RolledRow { check: check.clone(), grain, at, rolled }
}

/// The columns of a sum: name, up, down, planned, runs, failed.
pub type SumColumns = (String, i64, i64, i64, i64, i64);

pub fn sum((name, up, down, planned, runs, failed): SumColumns) -> UptimeRow {
    UptimeRow {
        check: CheckId::from(name.as_str()),
        uptime: Uptime { up: count(up), down: count(down), planned: count(planned) },
        runs: count(runs),
        failed: count(failed),
    }
}

/// The columns of a check: name, since, every, timeout, removed.
pub type KnownColumns = (String, Option<i64>, Option<i64>, Option<i64>, bool);

pub fn known((name, since, every, timeout, removed): KnownColumns) -> KnownCheck {
    let rules = every.zip(timeout).map(|(every, timeout)| Rules {
        every: Duration::from_millis(count(every)),
        timeout: Duration::from_millis(count(timeout)),
    });
    KnownCheck { check: CheckId::from(name.as_str()), since: since.map(time), rules, removed }
}

/// The columns of what stands: name, start, 1 up and 0 down.
pub type StandingColumns = (String, i64, Option<i64>);

pub fn standing((name, at, up): StandingColumns) -> (CheckId, Standing) {
    (CheckId::from(name.as_str()), Standing { at, up: up.map(|up| up == 1) })
}

pub fn ran(check: &CheckId, at: i64, packed: i64, times: &[u8]) -> Ran {
    let (verdict, _, pack::Marks { recheck, too_slow }) = pack::unpack_verdict(packed);
    let (took, timings, steps) = pack::unpack_times(times);
    Ran { check: check.clone(), at: time(at), verdict, took, timings, steps, recheck, too_slow }
}

/// Verdicts of one check, from their starts and as they are packed.
pub fn judged(starts: &[i64], packed: impl IntoIterator<Item = i64>) -> Vec<Judged> {
    let judged = |(at, packed): (&i64, i64)| {
        let (verdict, _, marks) = pack::unpack_verdict(packed);
        Judged { at: time(*at), verdict, recheck: marks.recheck }
    };
    let mut all: Vec<_> = starts.iter().zip(packed).map(judged).collect();
    all.sort_by_key(|judged| judged.at);
    all
}

/// Kept facts; none if they are damaged.
pub fn kept((at, facts): (i64, Vec<u8>)) -> Option<(Timestamp, Box<RawValue>)> {
    Some((time(at), RawValue::from_string(pack::unpack_text(&facts)?).ok()?))
}
