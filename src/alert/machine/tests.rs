use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::alert::Route;
use crate::model::{CheckId, Confirm, FindingId, Matcher};

pub(crate) fn route(matchers: &[&str], to: &[&str]) -> Route {
    Route {
        matchers: matchers.iter().map(|text| text.parse::<Matcher>().unwrap()).collect(),
        to: to.iter().map(|name| (*name).to_owned()).collect(),
        go_on: false,
        group_by: Vec::new(),
        group_wait: None,
        group_interval: Duration::from_secs(300),
        repeat: None,
    }
}

pub(crate) fn policy(routes: Vec<Route>) -> Policy {
    Policy {
        check: CheckId::new("acme", "front"),
        kind: "http",
        labels: Arc::new(BTreeMap::new()),
        every: Duration::from_secs(60),
        confirm: Confirm { failures: 3, successes: 2, recheck: Some(Duration::from_secs(10)) },
        common: &[],
        findings: &[],
        failures: None,
        successes: None,
        recheck: None,
        unknown_after: Duration::from_secs(600),
        flap_transitions: 6,
        flap_window: Duration::from_secs(3600),
        routes: routes.into(),
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

fn finding(id: &'static str, severity: Severity, broken: bool) -> Finding {
    Finding {
        id: FindingId::new(id),
        subject: "front".into(),
        severity,
        broken,
        measured: true,
        summary: id.into(),
        evidence: serde_json::Map::new(),
        reference: None,
    }
}

/// `.` good, `5` 502, `r` refused, `w` a warning, `W` that warning critical, `?` unknown, `m` 502 not measured.
fn seen(what: char, seconds: i64) -> Event {
    let findings = match what {
        '5' => vec![finding("http.status", Severity::Error, true)],
        'r' => vec![finding("http.refused", Severity::Error, true)],
        'w' => vec![finding("http.slow", Severity::Warning, false)],
        'W' => vec![finding("http.slow", Severity::Critical, false)],
        'm' => vec![Finding { measured: false, ..finding("http.status", Severity::Error, true) }],
        _ => vec![],
    };
    let verdict = match what {
        '?' => Verdict::Unknown,
        '5' | 'r' => Verdict::Fail,
        'w' | 'W' => Verdict::Warn,
        _ => Verdict::Pass,
    };
    Event::Result(Seen {
        at: at(seconds),
        ended: at(seconds + 1),
        verdict,
        cause: None,
        findings,
        reproduce: vec![],
        not_recorded: false,
        previous_good: Some(at(seconds - 60)),
    })
}

fn told(effects: &[Effect]) -> Vec<&OutboxRow> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Tell(row) => Some(row),
            _ => None,
        })
        .collect()
}

/// Runs one result a minute; returns the state and every effect.
fn run(script: &str, policy: &Policy) -> (State, Vec<Effect>) {
    let mut state = State::default();
    let mut all = Vec::new();
    for (index, what) in script.chars().enumerate() {
        let seconds = i64::try_from(index).unwrap() * 60;
        let (next, effects) = step(state, &seen(what, seconds), policy, at(seconds + 1));
        state = next;
        all.extend(effects);
    }
    (state, all)
}

fn reasons(script: &str) -> Vec<Reason> {
    let (_, effects) = run(script, &policy(vec![route(&[], &["mail"])]));
    told(&effects).iter().map(|row| row.notice.reason).collect()
}

#[test]
fn a_script_of_results_tells_people_what_it_should_and_no_more() {
    use Reason::{Fell, Opened, Resolved, Rose, Updated};
    for (script, wanted) in [
        ("", vec![]),
        ("55.55.", vec![]),
        ("555", vec![Opened]),
        ("5?5?5", vec![Opened]),
        ("?????????", vec![]),
        ("55????5", vec![]),
        ("www", vec![Opened]),
        ("5r5", vec![Opened]),
        ("555.", vec![Opened]),
        ("555..", vec![Opened, Resolved]),
        ("555.?.", vec![Opened, Resolved]),
        ("555.5.5.5", vec![Opened]),
        ("555mmmm", vec![Opened]),
        ("555rr", vec![Opened]),
        ("555rrr", vec![Opened, Updated]),
        ("555rrr..", vec![Opened, Updated, Resolved]),
        ("5555r5r5r5r", vec![Opened]),
        ("wwwWW", vec![Opened]),
        ("wwwWWW", vec![Opened, Rose]),
        ("wwwWWWw", vec![Opened, Rose]),
        ("wwwWWWww", vec![Opened, Rose, Fell]),
    ] {
        assert_eq!(reasons(script), wanted, "{script:?}");
    }
}

#[test]
fn an_incident_runs_from_its_first_bad_to_its_first_good_result() {
    let (state, effects) = run("..555..", &policy(vec![route(&[], &["mail"])]));
    assert_eq!(state.incident, None);
    let last = told(&effects).last().unwrap().notice.clone();
    assert_eq!(last.incident.started, at(120));
    assert_eq!(last.incident.ended, Some(at(300)));
    assert_eq!(last.incident.last_good, Some(at(60)));
    assert_eq!(last.confirmed, "3/3");
}

#[test]
fn suspicion_looks_again_soon_and_unknown_does_not() {
    let policy = policy(vec![]);
    let (state, effects) = step(State::default(), &seen('5', 0), &policy, at(1));
    assert_eq!(effects, vec![Effect::RunAt(at(11))]);
    let (after, effects) = step(state.clone(), &seen('?', 11), &policy, at(12));
    assert_eq!((after, effects), (state, vec![]));
}

#[test]
fn people_do_not_wait_an_interval_to_hear_that_it_is_over() {
    let policy = policy(vec![]);
    let (open, _) = run("555", &policy);
    let (recovering, effects) = step(open, &seen('.', 180), &policy, at(181));
    assert!(effects.contains(&Effect::RunAt(at(191))), "{effects:?}");
    let (closed, effects) = step(recovering, &seen('.', 191), &policy, at(192));
    assert_eq!(closed.incident, None);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::RunAt(_))), "{effects:?}");
}

#[test]
fn a_suspicion_that_cannot_be_measured_again_neither_hurries_nor_stays() {
    let (state, effects) = run("5mmmmm", &policy(vec![]));
    let hurried = effects.iter().filter(|effect| matches!(effect, Effect::RunAt(_))).count();
    assert_eq!((state, hurried), (State::default(), 1));
}

#[test]
fn a_passing_check_changes_nothing() {
    let (state, effects) = step(State::default(), &seen('.', 0), &policy(vec![]), at(1));
    assert_eq!((state, effects), (State::default(), vec![]));
}

#[test]
fn a_removed_check_resolves_what_it_opened() {
    let policy = policy(vec![route(&[], &["mail"])]);
    let (state, _) = run("555", &policy);
    let (state, effects) = step(state, &Event::Removed, &policy, at(500));
    assert_eq!(state, State::default());
    assert_eq!(told(&effects)[0].notice.incident.closed, Some(Closed::Removed));
}

#[test]
fn a_reminder_comes_when_due_and_not_before() {
    let policy = policy(vec![route(&[], &["mail"])]);
    let (state, _) = run("555", &policy);
    let wake = state.wake.unwrap();
    assert_eq!(wake, at(121 + 4 * 3600));
    let (state, early) = step(state, &Event::Due, &policy, at(200));
    assert!(told(&early).is_empty());
    let (_, due) = step(state, &Event::Due, &policy, wake);
    assert_eq!(told(&due)[0].notice.reason, Reason::Repeated);
}

#[test]
fn flapping_is_told_once_and_resolved_after_a_quiet_window() {
    let policy = policy(vec![route(&[], &["mail"])]);
    let (state, effects) = run(&"555..".repeat(8), &policy);
    let reasons: Vec<_> = told(&effects).iter().map(|row| row.notice.reason).collect();
    use Reason::{Flapping, Opened, Resolved};
    assert_eq!(reasons, [Opened, Resolved, Opened, Resolved, Opened, Resolved, Flapping]);
    let (state, effects) = step(state.clone(), &Event::Due, &policy, state.wake.unwrap());
    assert_eq!(told(&effects)[0].notice.reason, Resolved);
    assert_eq!(state, State::default());
}

#[test]
fn a_resolution_goes_to_who_heard_of_the_opening_even_if_the_routes_changed() {
    let old = policy(vec![route(&["severity=critical"], &["pager"]), route(&[], &["mail"])]);
    let (state, effects) = run("wwwWWW", &old);
    let heard: Vec<_> = told(&effects).iter().map(|row| row.channel.clone()).collect();
    assert_eq!(heard, ["mail", "mail", "pager"]);
    let (state, _) = step(state, &seen('.', 400), &policy(vec![]), at(401));
    let (_, effects) = step(state, &seen('.', 460), &policy(vec![]), at(461));
    let channels: Vec<_> = told(&effects).iter().map(|row| row.channel.as_str()).collect();
    assert_eq!(channels, ["mail", "pager"]);
}

proptest! {
    #[test]
    fn generated_results_never_break_the_promises(
        script in proptest::collection::vec(proptest::sample::select(vec!['.', '.', '5', '5', 'r', 'w', 'W', '?', 'm', 'D']), 0..120),
        failures in 1_u32..4,
        successes in 1_u32..3,
        flap_transitions in 1_u32..7,
        flap_minutes in 2_u64..60,
    ) {
        let mut policy = policy(vec![route(&["severity=critical"], &["pager"]), route(&[], &["mail"])]);
        (policy.failures, policy.successes) = (Some(failures), Some(successes));
        (policy.flap_transitions, policy.flap_window) = (flap_transitions, Duration::from_secs(flap_minutes * 60));
        let mut state = State::default();
        let (mut bad, mut open) = (0_u32, None::<IncidentId>);
        let mut heard: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut keys = std::collections::BTreeSet::new();
        for (index, what) in script.into_iter().enumerate() {
            let seconds = i64::try_from(index).unwrap() * 60;
            let event = if what == 'D' { Event::Due } else { seen(what, seconds) };
            let kept: State = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
            prop_assert_eq!(&kept, &state);
            let (next, effects) = step(state, &event, &policy, at(seconds + 1));
            prop_assert_eq!(&step(kept, &event, &policy, at(seconds + 1)), &(next.clone(), effects.clone()));
            state = next;
            match what {
                '5' | 'r' | 'w' | 'W' => bad += 1,
                '.' => bad = 0,
                _ => {}
            }
            let now_open = state.incident.as_ref().map(|incident| incident.id.clone());
            if now_open.is_some() && open.is_none() {
                prop_assert!(bad >= failures && "5rwW".contains(what), "opened after {} bad results by {}", bad, what);
            }
            for row in told(&effects) {
                prop_assert!(keys.insert(row.key.clone()), "key {} twice", row.key);
                let channels = heard.entry(row.incident.to_string()).or_default();
                if row.notice.reason == Reason::Resolved {
                    let place = channels.iter().position(|channel| *channel == row.channel);
                    prop_assert!(place.is_some(), "{} resolved without an opening", row.key);
                    channels.remove(place.unwrap());
                } else if !channels.contains(&row.channel) {
                    channels.push(row.channel.clone());
                }
            }
            if now_open.is_none() {
                prop_assert!(heard.values().all(Vec::is_empty), "closed without a resolution: {:?}", heard);
            }
            open = now_open;
        }
    }
}

fn after_results(letters: &str) -> Vec<State> {
    let policy = policy(vec![route(&[], &["mail"])]);
    let mut states = vec![State::default()];
    for (seconds, letter) in (0..).step_by(60).zip(letters.chars()) {
        let state = states.last().cloned().unwrap_or_default();
        states.push(step(state, &seen(letter, seconds), &policy, at(seconds + 1)).0);
    }
    states
}

#[test]
fn an_open_incident_is_not_written_again_for_a_result_that_says_nothing_more() {
    let states = after_results("55555.5r");
    let news: Vec<bool> = states.windows(2).map(|pair| pair[1].says_more_than(&pair[0])).collect();
    // Counting, opening; twice the same; the first good result; bad again; another symptom.
    assert_eq!(news, [true, true, true, false, false, true, true, true]);
}

#[test]
fn a_check_that_has_been_well_for_a_window_keeps_no_state() {
    let recovered = after_results("555..").pop().unwrap();
    assert_ne!(recovered, State::default(), "its turns count towards flapping for a while");
    let policy = policy(vec![route(&[], &["mail"])]);
    let (later, _) = step(recovered, &seen('.', 8_000), &policy, at(8_001));
    assert_eq!(later, State::default());
}
