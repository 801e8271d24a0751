//! Counting: which findings are bad, for how many results in a row, and what that confirms.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Seen, State};
use crate::alert::Policy;
use crate::alert::route::after;
use crate::model::{Finding, Severity};

/// One finding's counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Key {
    /// As last seen bad.
    pub(super) finding: Finding,
    pub(super) since: Timestamp,
    pub(super) last: Timestamp,
    pub(super) bad: u32,
    /// Results in a row at the critical level.
    pub(super) critical: u32,
    pub(super) good: u32,
    /// Results in a row below the confirmed level.
    pub(super) below: u32,
    /// The confirmed level; `None` while suspected.
    pub(super) level: Option<Severity>,
}

/// Broken and critical findings are of one level, all others of another.
pub(super) fn level(finding: &Finding) -> Severity {
    if finding.broken || finding.severity >= Severity::Critical {
        Severity::Critical
    } else {
        Severity::Warning
    }
}

impl State {
    /// Drops suspicion that no known result has renewed for three intervals.
    pub(super) fn lapse(&mut self, at: Timestamp, policy: &Policy) {
        if self.known.is_none_or(|known| at <= after(known, policy.every.saturating_mul(3))) {
            return;
        }
        self.keys.retain(|key| key.level.is_some());
        (self.broken, self.broken_since) = (0, None);
        for key in &mut self.keys {
            key.critical = 0;
        }
        if self.keys.is_empty() && self.incident.is_none() {
            (self.known, self.last_good) = (None, None);
        }
    }

    pub(super) fn count(&mut self, seen: &Seen, policy: &Policy) {
        if seen.findings.iter().any(|finding| finding.measured && finding.broken) {
            self.broken = self.broken.saturating_add(1).min(u32::from(u16::MAX));
            self.broken_since.get_or_insert(seen.at);
        } else {
            (self.broken, self.broken_since) = (0, None);
        }
        for key in &mut self.keys {
            let same = || seen.findings.iter().filter(|finding| finding.key() == key.finding.key());
            if same().any(Finding::alerts) || same().any(|finding| !finding.measured) {
                continue;
            }
            let most = policy.confirm_of(key.finding.id.as_str()).successes;
            (key.bad, key.critical, key.below) = (0, 0, 0);
            key.good = key.good.saturating_add(1).min(most);
        }
        self.keys.retain(|key| key.level.is_some() || key.good == 0);
        let mut counted: Vec<(&str, &str)> = Vec::new();
        let mut bad: Vec<&Finding> = seen.findings.iter().filter(|finding| finding.alerts()).collect();
        bad.sort_by_key(|finding| std::cmp::Reverse((level(finding), finding.severity)));
        for finding in bad {
            if !counted.contains(&finding.key()) {
                counted.push(finding.key());
                self.count_bad(finding, seen.at, policy);
            }
        }
    }

    fn count_bad(&mut self, finding: &Finding, at: Timestamp, policy: &Policy) {
        let confirm = policy.confirm_of(finding.id.as_str());
        let index = self.keys.iter().position(|key| key.finding.key() == finding.key());
        let mut key = match index {
            Some(index) => self.keys.swap_remove(index),
            None => Key {
                finding: finding.clone(),
                since: at,
                last: at,
                bad: 0,
                critical: 0,
                good: 0,
                below: 0,
                level: None,
            },
        };
        let here = level(finding);
        key.bad = key.bad.saturating_add(1).min(confirm.failures);
        key.critical =
            if here == Severity::Critical { key.critical.saturating_add(1).min(confirm.failures) } else { 0 };
        key.below = if key.level.is_some_and(|confirmed| here < confirmed) {
            key.below.saturating_add(1).min(confirm.successes)
        } else {
            0
        };
        key.good = 0;
        key.last = at;
        key.finding = finding.clone();
        self.keys.push(key);
        self.keys.sort_by(|a, b| {
            (level(&b.finding), b.finding.severity)
                .cmp(&(level(&a.finding), a.finding.severity))
                .then_with(|| a.finding.key().cmp(&b.finding.key()))
        });
    }

    /// Confirms keys, rises and falls. `together`: broken findings count as one.
    pub(super) fn confirm(&mut self, policy: &Policy, together: bool) {
        for key in self.keys.iter_mut().filter(|key| key.good == 0 && key.bad > 0) {
            let confirm = policy.confirm_of(key.finding.id.as_str());
            let shared = if together && key.finding.broken { self.broken } else { 0 };
            let critical = key.critical.max(shared) >= confirm.failures;
            match key.level {
                None if critical => key.level = Some(Severity::Critical),
                None if key.bad >= confirm.failures => key.level = Some(Severity::Warning),
                Some(Severity::Warning) if critical => key.level = Some(Severity::Critical),
                Some(Severity::Critical) if key.below >= confirm.successes => {
                    (key.level, key.below) = (Some(Severity::Warning), 0);
                }
                _ => continue,
            }
            self.confirmed = format!("{0}/{0}", confirm.failures);
        }
    }

    /// Lets keys go that are good for long enough, unless none would stay.
    pub(super) fn leave(&mut self, policy: &Policy) {
        let gone = |key: &Key| key.good >= policy.confirm_of(key.finding.id.as_str()).successes;
        if self.keys.iter().any(|key| key.level.is_some() && !gone(key)) {
            self.keys.retain(|key| key.level.is_none() || !gone(key));
        }
    }

    /// How soon to look again: the shortest wish of what is bad and not confirmed at its level.
    pub(super) fn recheck(&self, policy: &Policy) -> Option<Duration> {
        self.keys
            .iter()
            .filter(|key| {
                Some(key.last) == self.known
                    && key.level.is_none_or(|confirmed| level(&key.finding) > confirmed)
            })
            .filter_map(|key| policy.confirm_of(key.finding.id.as_str()).recheck)
            .min()
            .filter(|recheck| *recheck < policy.every)
    }
}
