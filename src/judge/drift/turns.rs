//! Sets of which every answer is a part: pools that are served in turns. What counts is which members
//! are seen at all, not which of them are in one answer.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::machine::Poll;

/// After so many polls without a member that was new, the members are all there are. Of a pool of
/// eight of which three are served at random, one in a thousand is not complete by then.
const COMPLETE: u32 = 20;
/// So many polls confirm a change …
pub(super) const FEW: u32 = 2;
/// … and so many one that may be chance.
const MANY: u32 = 10;
/// A member that should not be there is remembered for so many polls.
const REMEMBERED: u32 = 10;
/// The most members.
const MOST: usize = 256;

/// What is remembered of a set's members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Turns {
    /// It is served in turns.
    pub on: bool,
    /// Answers differed while it was learned.
    pub varied: bool,
    /// Every member that was seen while it was learned.
    pool: BTreeSet<String>,
    /// So many polls brought no new one.
    quiet: u32,
    /// What it should be, once one answer was that.
    whole: Option<Vec<String>>,
    /// Members that should not be there.
    outside: BTreeMap<String, Outside>,
}

/// A member that should not be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Outside {
    /// Who served it.
    by: BTreeSet<String>,
    /// For so many polls it is still remembered.
    left: u32,
}

/// What a poll says of the whole set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Its values, as far as they are known.
    pub values: Vec<String>,
    /// Enough say so.
    pub sure: bool,
}

impl Turns {
    /// Counts the members of a set that is being learned. Returns all of them once they are complete
    /// and answers differed.
    pub fn learn(&mut self, poll: &Poll<'_>, before: Option<&[String]>) -> Option<Vec<String>> {
        let known = self.pool.len();
        let members = poll.said.keys().flatten().cloned();
        self.pool.extend(members.take(MOST));
        let grew = self.pool.len() > known;
        self.quiet = if grew { 0 } else { self.quiet.saturating_add(1).min(COMPLETE) };
        let other = |before: &[String]| poll.said.keys().any(|values| values != before);
        self.varied |= poll.said.len() > 1 || before.is_some_and(other);
        let complete = self.varied && self.quiet >= COMPLETE;
        if complete {
            self.on = true;
        }
        complete.then(|| self.pool.iter().cloned().collect())
    }

    /// Whether so many equal answers in a row cannot be chance.
    pub const fn is_settled(&self, polls: u32) -> bool {
        !self.varied || polls >= COMPLETE
    }

    /// So many equal polls make it certain that a set which should be `base` is these values. Parts of a set
    /// that was never seen as a whole may be equal by chance.
    pub fn confirming(&self, base: &[String], values: &[String]) -> u32 {
        let part = !values.is_empty() && values.iter().all(|value| base.contains(value));
        let by_chance = part && self.whole.as_deref() != Some(base);
        if by_chance { MANY } else { FEW }
    }

    /// What a poll says of a set that should be `base`. `None`: it is not served in turns, or not yet
    /// known to be.
    pub fn compare(&mut self, poll: &Poll<'_>, base: &[String], before: Option<&[String]>) -> Option<Whole> {
        if poll.said.keys().any(|values| values == base) {
            self.whole = Some(base.to_vec());
        }
        let is_part = |values: &[String]| !values.is_empty() && values.iter().all(|one| base.contains(one));
        let all_parts = poll.said.keys().all(|values| is_part(values));
        let parts_differ = poll.said.len() > 1
            || before.is_some_and(|before| {
                let other = |values: &Vec<String>| values.as_slice() != before && values.as_slice() != base;
                before != base && is_part(before) && poll.said.keys().any(other)
            });
        self.on |= all_parts && parts_differ;
        if !self.on || poll.said.keys().any(Vec::is_empty) {
            return None;
        }
        self.look_outside(poll, base);
        let mut values: Vec<String> = base.iter().chain(self.outside.keys()).cloned().collect();
        values.sort_unstable();
        let enough = poll.silent == 0 && poll.witnesses() < 2;
        let sure = self.outside.values().all(|outside| enough || outside.by.len() > 1);
        Some(Whole { values, sure })
    }

    /// Forgets what was learned, so that it is learned anew.
    pub fn unlearn(&mut self) {
        *self = Self { varied: true, pool: std::mem::take(&mut self.pool), ..Self::default() };
    }

    fn look_outside(&mut self, poll: &Poll<'_>, base: &[String]) {
        self.outside.retain(|value, outside| {
            outside.left = outside.left.saturating_sub(1);
            outside.left > 0 && !base.contains(value)
        });
        for (values, servers) in poll.said {
            for value in values.iter().filter(|value| !base.contains(value)).take(MOST) {
                let fresh = || Outside { by: BTreeSet::new(), left: 0 };
                let outside = self.outside.entry(value.clone()).or_insert_with(fresh);
                outside.by.extend(servers.iter().cloned());
                outside.left = REMEMBERED;
            }
        }
    }
}
