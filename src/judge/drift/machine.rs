//! What one set of values is, run after run, against what it should be.
//!
//! What nobody decided about is learned: the same at every poll for a while, it is provisional, and a
//! change of it is worth a word. What a person approved is held: a change that two polls and two who
//! know (or all of them) agree on is drift. What is announced beforehand is none. Values that come and go are one
//! drift and not one for each turn.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::decided::{Announced, Decided};
use super::turns::{FEW, Turns, Whole};

#[cfg(test)]
mod tests;

/// Counted no further.
const COUNTED: u32 = 100;
/// Changes within this time count as one coming and going …
const WINDOW: SignedDuration = SignedDuration::from_hours(24);
/// … if there are so many of them …
const COMINGS_AND_GOINGS: usize = 3;
/// … until the set kept still for so long.
const STILL: SignedDuration = SignedDuration::from_hours(6);
/// The most changes that are remembered.
const MOST_CHANGES: usize = 16;

/// What one run saw of the set.
#[derive(Clone, Copy, Debug)]
pub struct Poll<'a> {
    /// When.
    pub at: Timestamp,
    /// The sets, sorted, and who said so; none at all: nobody could be asked.
    pub said: &'a BTreeMap<Vec<String>, Vec<String>>,
    /// So many who should know did not say.
    pub silent: usize,
    /// How long a value may be kept by others.
    pub ttl: Duration,
}

impl Poll<'_> {
    /// How many said something.
    pub fn witnesses(&self) -> usize {
        self.said.values().map(Vec::len).sum()
    }

    fn is_enough(&self) -> bool {
        self.silent == 0 || self.witnesses() > 1
    }

    fn agreed(&self) -> Option<&Vec<String>> {
        self.said.keys().next().filter(|_| self.said.len() == 1)
    }
}

/// What a step is given.
#[derive(Clone, Debug)]
pub struct Given<'a> {
    /// What was seen.
    pub poll: Poll<'a>,
    /// What people decided.
    pub decided: Decided<'a>,
    /// The changes that were announced.
    pub announced: &'a [Announced],
    /// How the set is treated.
    pub policy: Policy,
}

/// How a set is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// So many equal polls of all who know make it provisional; with 0 it is never learned.
    pub polls: u32,
    /// It may be served in turns.
    pub turns: bool,
    /// What was learned is held until a person says otherwise; else the present is learned anew.
    pub holds: bool,
}

/// What is remembered of a set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// What enough of those who know agreed on last.
    pub present: Option<Present>,
    /// What was learned, and since when.
    pub learned: Option<Since>,
    /// An announced change that came.
    adopted: Option<Since>,
    turns: Turns,
    /// What it became, oldest first.
    changes: Vec<Since>,
    /// It drifted, and that is certain.
    pub drifted: bool,
    /// How the last poll went.
    pub last: Last,
}

/// How a poll went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Last {
    /// There was none.
    #[default]
    None,
    /// Those who know agreed.
    Agreed,
    /// They differed, or too few of them said something new.
    Differing,
    /// Nobody who knows could be asked.
    Silent,
}

/// What is, how long and how surely.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Present {
    /// The values.
    pub values: Vec<String>,
    /// Since when.
    pub since: Timestamp,
    /// At so many polls.
    polls: u32,
    /// Of which all who know were asked at so many in a row.
    whole: u32,
}

/// Values, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since {
    /// The values.
    pub values: Vec<String>,
    /// Since when.
    pub at: Timestamp,
}

/// How a set stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stand {
    /// Nothing is known of what it should be, and nothing is to be learned.
    Unwatched,
    /// Nobody who knows could be asked.
    Unmeasured,
    /// Those who know differ.
    Unsettled,
    /// It is not known for long enough.
    Learning,
    /// It is as it was learned; nobody approved it.
    Provisional,
    /// It is as approved.
    Same,
    /// It is as announced.
    Announced,
    /// It is something else.
    Changed(Changed),
}

/// How a set changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// What it should be; none where nothing was approved or learned.
    pub from: Option<Vec<String>>,
    /// What it is.
    pub to: Vec<String>,
    /// Since when.
    pub since: Timestamp,
    /// At two polls, and by two who know or all of them.
    pub certain: bool,
    /// A person approved or rejected what it should be.
    pub decided: bool,
    /// The values that come and go; fewer than two if it does not.
    pub alternating: Vec<Vec<String>>,
}

/// What a set should be.
#[derive(Clone, Debug)]
struct Base {
    values: Vec<String>,
    /// A person said so.
    decided: bool,
}

impl State {
    /// What the set should be, by the newest of what people said, else by what was learned.
    fn base(&self, decided: &Decided<'_>) -> Option<Base> {
        let of = |values: &[String], decided| Base { values: values.to_vec(), decided };
        match (&decided.approved, &self.adopted) {
            (Some(approved), Some(adopted)) if adopted.at > approved.at => Some(of(&adopted.values, true)),
            (Some(approved), _) => Some(of(&approved.values, true)),
            (None, Some(adopted)) => Some(of(&adopted.values, true)),
            (None, None) => self.learned.as_ref().map(|learned| of(&learned.values, false)),
        }
    }

    /// What it should be, where that is known, and whether a person said so.
    pub fn expected(&self, decided: &Decided<'_>) -> Option<(Vec<String>, bool)> {
        self.base(decided).map(|base| (base.values, base.decided))
    }

    /// Whether a change that was announced came.
    pub fn adopted(&self, announced: &Announced) -> bool {
        self.adopted.as_ref().is_some_and(|adopted| adopted.values == announced.values)
    }

    /// Notes what enough of those who know agree on.
    fn note(&mut self, at: Timestamp, values: &[String], by_all: bool) {
        match &mut self.present {
            Some(present) if present.values == values => {
                present.polls = (present.polls + 1).min(COUNTED);
                present.whole = if by_all { (present.whole + 1).min(COUNTED) } else { 0 };
            }
            present => {
                if present.is_some() {
                    self.changes.push(Since { values: values.to_vec(), at });
                }
                let whole = u32::from(by_all);
                *present = Some(Present { values: values.to_vec(), since: at, polls: 1, whole });
            }
        }
        self.changes.retain(|change| at.duration_since(change.at) < WINDOW);
        let surplus = self.changes.len().saturating_sub(MOST_CHANGES);
        self.changes.drain(..surplus);
    }

    /// The values that come and go.
    fn alternating(&self, at: Timestamp) -> Vec<Vec<String>> {
        let still = self.changes.last().is_none_or(|last| at.duration_since(last.at) >= STILL);
        if still || self.changes.len() < COMINGS_AND_GOINGS {
            return Vec::new();
        }
        let mut all: Vec<Vec<String>> = self.changes.iter().map(|change| change.values.clone()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    fn changed(&self, base: Option<Base>, to: &[String], at: Timestamp, certain: bool) -> Stand {
        let decided = base.as_ref().is_some_and(|base| base.decided);
        self.changed_of(base, decided, to, at, certain)
    }

    fn changed_of(
        &self,
        base: Option<Base>,
        decided: bool,
        to: &[String],
        at: Timestamp,
        certain: bool,
    ) -> Stand {
        let same = self.present.as_ref().filter(|present| present.values == to);
        Stand::Changed(Changed {
            to: to.to_vec(),
            since: same.map_or(at, |present| present.since),
            certain,
            decided,
            from: base.map(|base| base.values),
            alternating: self.alternating(at),
        })
    }
}

/// One step. Pure.
pub fn step(before: &State, given: &Given<'_>) -> (State, Stand) {
    let (mut state, poll) = (before.clone(), &given.poll);
    if let Some(approved) = given.decided.approved {
        state.changes.retain(|change| change.at > approved.at);
        state.adopted = state.adopted.filter(|adopted| adopted.at > approved.at);
    }
    if poll.said.is_empty() {
        state.last = Last::Silent;
        return (state, Stand::Unmeasured);
    }
    state.last = Last::Differing;
    let base = state.base(&given.decided);
    let Some(Whole { values, sure }) = whole(&mut state, poll, base.as_ref(), given.policy) else {
        let stand = unsettled(&mut state, before, given, base);
        return (state, stand);
    };
    if !sure {
        let stand = unsure(&state, poll, base, &values);
        if !matches!(stand, Stand::Changed(_)) {
            state.last = Last::Agreed;
        }
        return (state, stand);
    }
    state.last = Last::Agreed;
    state.note(poll.at, &values, poll.silent == 0);
    let stand = settled(&mut state, before, given, &values);
    state.drifted = matches!(&stand, Stand::Changed(changed) if changed.certain && changed.decided);
    (state, stand)
}

/// What the poll says of the whole set, where that can be told.
fn whole(state: &mut State, poll: &Poll<'_>, base: Option<&Base>, policy: Policy) -> Option<Whole> {
    let before = state.present.as_ref().map(|present| present.values.clone());
    if let Some(base) = base.filter(|_| policy.turns)
        && let Some(whole) = state.turns.compare(poll, &base.values, before.as_deref())
    {
        return Some(whole);
    }
    Some(Whole { values: poll.agreed()?.clone(), sure: poll.is_enough() })
}

/// Too few say so for it to count.
fn unsure(state: &State, poll: &Poll<'_>, base: Option<Base>, values: &[String]) -> Stand {
    if let Some(present) = state.present.clone().filter(|_| state.drifted) {
        return state.changed(base, &present.values, poll.at, true);
    }
    match base {
        None => Stand::Learning,
        Some(base) if base.values == values => as_base(&base),
        base => state.changed(base, values, poll.at, false),
    }
}

/// Those who know differ. A drift that was certain lasts until they agree that it is over.
fn unsettled(state: &mut State, before: &State, given: &Given<'_>, base: Option<Base>) -> Stand {
    if let Some(present) = state.present.clone().filter(|_| state.drifted) {
        return state.changed(base, &present.values, given.poll.at, true);
    }
    let undecided = base.as_ref().is_none_or(|base| !base.decided);
    if given.policy.turns && given.policy.polls > 0 && undecided {
        return learn_pool(state, before, &given.poll, base.is_some());
    }
    if let Some(present) = &mut state.present {
        present.whole = 0;
    }
    Stand::Unsettled
}

const fn as_base(base: &Base) -> Stand {
    if base.decided { Stand::Same } else { Stand::Provisional }
}

/// How a set stands on which enough of those who know agree.
fn settled(state: &mut State, before: &State, given: &Given<'_>, values: &[String]) -> Stand {
    if let Some(stand) = announced(state, given, values) {
        return stand;
    }
    let at = given.poll.at;
    let base = state.base(&given.decided);
    let polls = state.present.as_ref().map_or(0, |present| present.polls);
    let alternating = state.alternating(at).len() > 1;
    let confirming = match &base {
        Some(base) if given.policy.turns => state.turns.confirming(&base.values, values),
        _ => FEW,
    };
    let certain = polls >= confirming || alternating || before.drifted;
    match base {
        Some(base) if base.values == values && !(alternating && base.decided) => as_base(&base),
        Some(base) if base.decided => state.changed(Some(base), values, at, certain),
        base if given.decided.rejects(values).is_some() => state.changed_of(base, true, values, at, certain),
        base => learn(state, before, given, base, values),
    }
}

/// How it stands by a change that is under way.
fn announced(state: &mut State, given: &Given<'_>, values: &[String]) -> Option<Stand> {
    let at = given.poll.at;
    let mut under_way = given.announced.iter().filter(|announced| announced.is_under_way(at)).peekable();
    under_way.peek()?;
    if under_way.any(|announced| announced.values == values) {
        state.changes.clear();
        state.adopted = Some(Since { values: values.to_vec(), at });
        return Some(Stand::Announced);
    }
    // Back to what it was before; that is allowed until the time is over.
    let approved = given.decided.approved.is_some_and(|approved| approved.values == values);
    if !approved {
        return None;
    }
    state.changes.clear();
    state.adopted = None;
    Some(Stand::Same)
}

/// How a set stands about which nobody decided.
fn learn(
    state: &mut State,
    before: &State,
    given: &Given<'_>,
    base: Option<Base>,
    values: &[String],
) -> Stand {
    let (poll, policy) = (&given.poll, given.policy);
    if policy.polls == 0 {
        return base.map_or(Stand::Unwatched, |base| state.changed(Some(base), values, poll.at, true));
    }
    let Some(present) = state.present.clone() else { return Stand::Learning };
    let known = base.is_some();
    if policy.turns && known && state.turns.on {
        // The pool has more members than were known.
        return learned(state, values, poll.at);
    }
    if policy.turns
        && !(known && state.changes.len() < COMINGS_AND_GOINGS)
        && learn_pool(state, before, poll, known) == Stand::Provisional
    {
        return Stand::Provisional;
    }
    let lasting = Duration::try_from(poll.at.duration_since(present.since)).unwrap_or_default();
    let long_enough = present.whole >= policy.polls && lasting >= poll.ttl;
    if long_enough && !(known && policy.holds) && state.turns.is_settled(present.whole) {
        return learned(state, values, poll.at);
    }
    base.map_or(Stand::Learning, |base| state.changed(Some(base), values, poll.at, false))
}

/// Looks at the members of a set that may be served in turns; `again` where what was learned does not
/// hold.
fn learn_pool(state: &mut State, before: &State, poll: &Poll<'_>, again: bool) -> Stand {
    if again {
        state.turns.unlearn();
        state.learned = None;
    }
    let present = before.present.as_ref().map(|present| present.values.as_slice());
    let Some(values) = state.turns.learn(poll, present) else { return Stand::Learning };
    state.present = Some(Present { values: values.clone(), since: poll.at, polls: 1, whole: 1 });
    learned(state, &values, poll.at)
}

fn learned(state: &mut State, values: &[String], at: Timestamp) -> Stand {
    state.changes.clear();
    state.learned = Some(Since { values: values.to_vec(), at });
    Stand::Provisional
}
