use proptest::prelude::*;

use super::*;
use crate::model::{Baseline, Decision};

fn set(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

fn hour(hour: u32) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_secs(3_600 * u64::from(hour))
}

fn decision(values: &[&str], at: u32, decision: Decision) -> Baseline {
    Baseline {
        key: "www.acme.example. A".into(),
        values: set(values),
        decision,
        by: "ada".into(),
        at: hour(at),
        why: String::new(),
    }
}

const TEXT: Policy = Policy { polls: 3, turns: false, holds: true };
const ADDRESSES: Policy = Policy { polls: 3, turns: true, holds: false };

/// One set over its runs, an hour apart.
struct Story {
    state: State,
    policy: Policy,
    decisions: Vec<Baseline>,
    announced: Vec<Announced>,
    hour: u32,
    silent: usize,
}

impl Story {
    fn new(policy: Policy) -> Self {
        let state = State::default();
        Self { state, policy, decisions: Vec::new(), announced: Vec::new(), hour: 0, silent: 0 }
    }

    /// One in which this was approved after it was learned.
    fn approved(policy: Policy, values: &[&str]) -> Self {
        let mut story = Self::new(policy);
        for _ in 0..4 {
            story.both(values);
        }
        story.decide(values, Decision::Approved);
        assert_eq!(story.both(values), Stand::Same);
        story
    }

    fn decide(&mut self, values: &[&str], what: Decision) {
        self.decisions.push(decision(values, self.hour, what));
    }

    /// Each authority says one of these.
    fn says(&mut self, sets: &[Vec<String>]) -> Stand {
        let mut said: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
        for (n, values) in sets.iter().enumerate() {
            let mut values = values.clone();
            values.sort();
            said.entry(values).or_default().push(format!("ns{n}"));
        }
        self.hour += 1;
        let poll =
            Poll { at: hour(self.hour), said: &said, silent: self.silent, ttl: Duration::from_secs(300) };
        let decided = Decided::about(&self.decisions, "www.acme.example. A");
        let given = Given { poll, decided, announced: &self.announced, policy: self.policy };
        let (state, stand) = step(&self.state, &given);
        let kept = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<State>(&kept).unwrap(), state);
        self.state = state;
        stand
    }

    fn both(&mut self, values: &[&str]) -> Stand {
        self.says(&[set(values), set(values)])
    }
}

/// The change, if it is one.
fn changed(stand: Stand) -> Changed {
    match stand {
        Stand::Changed(changed) => changed,
        other => panic!("{other:?} is no change"),
    }
}

#[test]
fn what_stays_the_same_at_three_polls_is_provisional_and_the_same_once_approved() {
    let mut story = Story::new(TEXT);
    assert_eq!(story.both(&["a"]), Stand::Learning);
    assert_eq!(story.both(&["a"]), Stand::Learning);
    assert_eq!(story.both(&["a"]), Stand::Provisional);
    story.decide(&["a"], Decision::Approved);
    assert_eq!(story.both(&["a"]), Stand::Same);
}

#[test]
fn a_poll_at_which_somebody_was_silent_teaches_nothing() {
    let mut story = Story::new(TEXT);
    story.silent = 1;
    for _ in 0..9 {
        assert_eq!(story.both(&["a"]), Stand::Learning);
    }
}

#[test]
fn a_value_is_not_learned_before_its_time_to_live_is_over() {
    let said = BTreeMap::from([(set(&["a"]), set(&["ns1"]))]);
    let (mut state, mut stands) = (State::default(), Vec::new());
    for second in [0, 60, 120, 180, 300] {
        let at = Timestamp::UNIX_EPOCH + Duration::from_secs(second);
        let poll = Poll { at, said: &said, silent: 0, ttl: Duration::from_secs(300) };
        let given = Given { poll, decided: Decided::default(), announced: &[], policy: TEXT };
        let (next, stand) = step(&state, &given);
        state = next;
        stands.push(stand);
    }
    assert_eq!(stands.pop(), Some(Stand::Provisional));
    assert!(stands.iter().all(|stand| *stand == Stand::Learning), "{stands:?}");
}

#[test]
fn a_change_of_what_was_approved_is_certain_at_the_second_poll_and_over_when_it_is_reverted() {
    let mut story = Story::approved(TEXT, &["a"]);
    let first = changed(story.both(&["b"]));
    assert!(!first.certain && first.decided && !story.state.drifted);
    let second = changed(story.both(&["b"]));
    assert!(second.certain && story.state.drifted);
    assert_eq!((second.from, second.to, second.since), (Some(set(&["a"])), set(&["b"]), first.since));
    assert_eq!(story.both(&["a"]), Stand::Same);
    assert!(!story.state.drifted);
}

#[test]
fn a_change_that_only_one_of_two_saw_is_never_certain() {
    let mut story = Story::approved(TEXT, &["a"]);
    story.silent = 1;
    for _ in 0..5 {
        assert!(!changed(story.says(&[set(&["b"])])).certain);
    }
    story.silent = 0;
    assert_eq!(story.both(&["a"]), Stand::Same);
}

#[test]
fn a_zone_with_one_authority_can_drift() {
    let mut story = Story::approved(TEXT, &["a"]);
    story.says(&[set(&["b"])]);
    assert!(changed(story.says(&[set(&["b"])])).certain);
}

#[test]
fn a_change_on_its_way_is_no_drift_and_one_that_is_only_half_reverted_is_not_over() {
    let mut story = Story::approved(TEXT, &["a"]);
    for _ in 0..5 {
        assert_eq!(story.says(&[set(&["b"]), set(&["a"])]), Stand::Unsettled);
    }
    story.both(&["b"]);
    assert!(changed(story.both(&["b"])).certain);
    assert!(changed(story.says(&[set(&["a"]), set(&["b"])])).certain, "one of them still has it");
    assert_eq!(story.both(&["a"]), Stand::Same);
}

#[test]
fn nobody_to_ask_is_not_measured_and_changes_nothing() {
    let mut story = Story::approved(TEXT, &["a"]);
    story.both(&["b"]);
    story.both(&["b"]);
    let before = story.state.clone();
    assert_eq!(story.says(&[]), Stand::Unmeasured);
    assert_eq!(story.state, State { last: Last::Silent, ..before });
    assert!(changed(story.both(&["b"])).certain);
}

#[test]
fn values_that_come_and_go_are_one_drift_until_they_keep_still() {
    let mut story = Story::approved(TEXT, &["a"]);
    story.both(&["b"]);
    story.both(&["a"]);
    let third = changed(story.both(&["b"]));
    assert!(third.certain, "the second time within a day");
    assert_eq!(third.alternating, [set(&["a"]), set(&["b"])]);
    for _ in 0..5 {
        assert_eq!(changed(story.both(&["a"])).alternating.len(), 2, "it may come back");
        assert!(changed(story.both(&["b"])).certain);
    }
    let stands: Vec<Stand> = (0..8).map(|_| story.both(&["a"])).collect();
    assert_eq!(stands.last(), Some(&Stand::Same));
}

#[test]
fn approving_the_new_value_ends_the_drift_and_the_old_one_is_drift_from_then_on() {
    let mut story = Story::approved(TEXT, &["a"]);
    story.both(&["b"]);
    story.both(&["b"]);
    story.decide(&["b"], Decision::Approved);
    assert_eq!(story.both(&["b"]), Stand::Same);
    story.both(&["a"]);
    let back = changed(story.both(&["a"]));
    assert!(back.certain && back.alternating.is_empty());
}

#[test]
fn what_was_rejected_is_drift_although_nothing_was_approved() {
    let mut story = Story::new(TEXT);
    (0..3).for_each(|_| drop(story.both(&["evil"])));
    story.decide(&["evil"], Decision::Rejected);
    // It stays what was learned until the zone changes; the rejection is about its values.
    story.state.learned = None;
    let rejected = changed(story.both(&["evil"]));
    assert!(rejected.certain && rejected.decided && rejected.from.is_none());
    for _ in 0..3 {
        story.both(&["good"]);
    }
    assert_eq!(story.both(&["good"]), Stand::Provisional);
}

#[test]
fn what_nobody_approved_is_learned_anew_unless_it_is_held() {
    for (policy, stands) in [(TEXT, false), (Policy { holds: false, ..TEXT }, true)] {
        let mut story = Story::new(policy);
        (0..3).for_each(|_| drop(story.both(&["a"])));
        let change = changed(story.both(&["b"]));
        assert!(!change.certain && !change.decided);
        story.both(&["b"]);
        assert_eq!(story.both(&["b"]) == Stand::Provisional, stands);
    }
}

#[test]
fn an_announced_change_is_none_from_the_beginning_to_the_end_of_its_time() {
    let mut story = Story::approved(TEXT, &["a"]);
    let (from, until) = (hour(story.hour + 2), hour(story.hour + 5));
    story.announced = vec![Announced { values: set(&["b"]), from, until }];
    assert!(!changed(story.both(&["b"])).certain, "too early");
    assert_eq!(story.both(&["a"]), Stand::Same);
    assert_eq!(story.both(&["b"]), Stand::Announced);
    assert_eq!(story.both(&["a"]), Stand::Same, "back within its time");
    assert!(!changed(story.both(&["c"])).certain, "something else was not announced");
}

#[test]
fn an_announced_change_that_came_is_what_is_held_afterwards() {
    let mut story = Story::approved(TEXT, &["a"]);
    let (from, until) = (hour(story.hour), hour(story.hour + 3));
    story.announced = vec![Announced { values: set(&["b"]), from, until }];
    story.both(&["b"]);
    for _ in 0..9 {
        assert!(matches!(story.both(&["b"]), Stand::Same | Stand::Announced));
    }
    story.both(&["a"]);
    assert!(changed(story.both(&["a"])).certain);
    story.decide(&["a"], Decision::Approved);
    assert_eq!(story.both(&["a"]), Stand::Same, "who approves later is right");
}

/// Three of eight, from here on.
fn three(from: usize) -> Vec<String> {
    (0..3).map(|n| format!("192.0.2.{}", 1 + (from + n) % 8)).collect()
}

fn all_eight() -> Vec<String> {
    (1..=8).map(|n| format!("192.0.2.{n}")).collect()
}

#[test]
fn a_pool_that_is_served_in_turns_is_learned_as_a_whole_and_a_stranger_in_it_is_drift() {
    let mut story = Story::new(ADDRESSES);
    for turn in 0..40 {
        assert!(!matches!(story.says(&[three(turn), three(turn * 5 + 2)]), Stand::Changed(_)));
    }
    let eight = all_eight();
    assert_eq!(story.state.learned.as_ref().unwrap().values, eight);
    let eight: Vec<&str> = eight.iter().map(String::as_str).collect();
    story.decide(&eight, Decision::Approved);
    for turn in 0..100 {
        assert_eq!(story.says(&[three(turn), three(turn * 3 + 1)]), Stand::Same, "turn {turn}");
    }
    let stranger = || [set(&["198.51.100.9", "192.0.2.1"]), set(&["198.51.100.9", "192.0.2.2"])];
    assert!(!changed(story.says(&stranger())).certain);
    let drift = changed(story.says(&stranger()));
    assert!(drift.certain && drift.to.len() == 9);
    // The next answers do not show it, which says nothing.
    assert!(changed(story.says(&[three(1), three(2)])).certain);
    let over = (0..12).map(|turn| story.says(&[three(turn), three(turn)])).last();
    assert_eq!(over, Some(Stand::Same));
}

#[test]
fn a_whole_pool_that_is_served_in_parts_from_some_day_on_has_not_drifted() {
    let eight = all_eight();
    let eight: Vec<&str> = eight.iter().map(String::as_str).collect();
    let mut story = Story::approved(ADDRESSES, &eight);
    let certain = |stand| matches!(stand, Stand::Changed(Changed { certain: true, .. }));
    for turn in 0..20 {
        assert!(!certain(story.says(&[three(turn), three(turn)])), "turn {turn}");
    }
    assert_eq!(story.says(&[three(1), three(1)]), Stand::Same);
}

#[test]
fn addresses_of_which_one_is_missing_for_good_have_drifted() {
    let mut story = Story::approved(ADDRESSES, &["192.0.2.1", "192.0.2.2"]);
    story.both(&["192.0.2.1"]);
    assert!(changed(story.both(&["192.0.2.1"])).certain);
    let mut story = Story::approved(ADDRESSES, &["192.0.2.1"]);
    story.both(&[]);
    assert!(changed(story.both(&[])).certain, "and a name that is gone has, too");
}

#[test]
fn addresses_that_moved_once_while_they_were_learned_are_learned_as_they_are() {
    let mut story = Story::new(ADDRESSES);
    story.both(&["192.0.2.1"]);
    story.says(&[set(&["192.0.2.2"]), set(&["192.0.2.1"])]);
    let last = (0..25).map(|_| story.both(&["192.0.2.2"])).last();
    assert_eq!(last, Some(Stand::Provisional));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever three of eight are served at a hundred polls, by one authority or by two.
    #[test]
    fn no_way_to_serve_a_pool_in_turns_is_drift(
        rounds in prop::collection::vec(prop::array::uniform2(prop::sample::subsequence(all_eight(), 3)), 100),
        authorities in 1_usize..=2,
    ) {
        let eight = all_eight();
        let whole: Vec<&str> = eight.iter().map(String::as_str).collect();
        // Approved as a whole, such as out of a zone file; and learned from turns.
        let mut told = Story::new(ADDRESSES);
        told.decide(&whole, Decision::Approved);
        let mut learned = Story::new(ADDRESSES);
        for sets in &rounds {
            for story in [&mut told, &mut learned] {
                let stand = story.says(&sets[..authorities]);
                prop_assert!(!story.state.drifted, "{:?}", stand);
            }
        }
    }

    /// Whatever is said, nothing panics, memory is bounded, and what is not certain is no drift.
    #[test]
    fn any_story_is_survived(
        rounds in prop::collection::vec(prop::collection::vec(prop::sample::subsequence(all_eight(), 0..=8), 0..4), 1..60),
        turns in any::<bool>(), holds in any::<bool>(), approve in any::<bool>(),
    ) {
        let mut story = Story::new(Policy { polls: 3, turns, holds });
        if approve {
            story.decide(&["192.0.2.1"], Decision::Approved);
        }
        for sets in &rounds {
            let stand = story.says(sets);
            prop_assert_eq!(stand == Stand::Unmeasured, sets.is_empty());
            prop_assert!(approve || !story.state.drifted);
            prop_assert!(story.state.changes.len() <= MOST_CHANGES);
        }
    }
}
