//! Figures over time, held in memory.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use crate::model::CheckId;
use crate::record::{RolledRow, UptimeRow};
use crate::stats::rollup::{Grain, Rolled};
use crate::stats::uptime::Standing;

#[derive(Debug, Default)]
pub(super) struct Figures {
    rows: BTreeMap<(Grain, CheckId, i64), Rolled>,
    /// Until when everything is rolled up; minutes go with their hours.
    marks: HashMap<Grain, i64>,
}

impl Figures {
    pub(super) fn mark(&self, grain: Grain) -> Option<Timestamp> {
        self.marks.get(&grain).and_then(|until| Timestamp::from_millisecond(*until).ok())
    }

    /// Where the first row of a grain begins.
    pub(super) fn from(&self, grain: Grain) -> Option<Timestamp> {
        let first = self.of(grain, i64::MIN, i64::MAX).map(|(_, at, _)| at).min();
        first.and_then(|first| Timestamp::from_millisecond(first).ok())
    }

    /// What was rolled up must be again, since a result of this time is written.
    pub(super) fn take_back(&mut self, written: Timestamp) {
        for (grain, until) in &mut self.marks {
            *until = (*until).min(grain.floor(written.as_millisecond()));
        }
    }

    pub(super) fn put(
        &mut self,
        grain: Grain,
        rows: &[RolledRow],
        expected: Option<Timestamp>,
        until: Timestamp,
    ) -> bool {
        if self.mark(grain) != expected {
            return false;
        }
        for row in rows {
            self.rows.insert((row.grain, row.check.clone(), row.at), row.rolled.clone());
        }
        self.marks.insert(grain, until.as_millisecond());
        true
    }

    fn of(&self, wanted: Grain, from: i64, to: i64) -> impl Iterator<Item = (&CheckId, i64, &Rolled)> {
        let within =
            move |(grain, _, at): &(Grain, CheckId, i64)| *grain == wanted && (from..to).contains(at);
        self.rows
            .iter()
            .filter(move |(key, _)| within(key))
            .map(|((_, check, at), rolled)| (check, *at, rolled))
    }

    pub(super) fn standings(&self, before: i64) -> Vec<(CheckId, Standing)> {
        let found = self.of(Grain::Hour, i64::MIN, before);
        let found = found.filter_map(|(check, _, rolled)| Some((check.clone(), rolled.standing?)));
        // The last of each check, since its rows come in order.
        found.collect::<HashMap<_, _>>().into_iter().collect()
    }

    pub(super) fn rows(&self, grain: Grain, check: &CheckId, from: i64, to: i64) -> Vec<RolledRow> {
        let own = self.of(grain, from, to).filter(|(of, ..)| *of == check);
        own.map(|(check, at, rolled)| RolledRow { check: check.clone(), grain, at, rolled: rolled.clone() })
            .collect()
    }

    pub(super) fn uptimes(&self, grain: Grain, from: i64, to: i64) -> Vec<UptimeRow> {
        let mut sums: BTreeMap<CheckId, Rolled> = BTreeMap::new();
        for (check, _, rolled) in self.of(grain, from, to) {
            let sum = sums.entry(check.clone()).or_default();
            sum.uptime.add(rolled.uptime);
            sum.runs += rolled.runs;
            sum.failed += rolled.failed;
        }
        let row = |(check, Rolled { uptime, runs, failed, .. })| UptimeRow { check, uptime, runs, failed };
        sums.into_iter().map(row).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn prune(&mut self, minutes: Timestamp, hours: Timestamp, days: Timestamp) {
        self.rows.retain(|(grain, _, at), _| {
            let before = match grain {
                Grain::Minute => minutes,
                Grain::Hour => hours,
                Grain::Day => days,
            };
            *at >= before.as_millisecond()
        });
    }
}
