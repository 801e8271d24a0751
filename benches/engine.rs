//! What the engine costs apart from the network and the disk: `cargo bench --bench engine`.
//!
//! Each part stands beside a floor that does the same with less: reading a config beside the bare
//! event parser, a step of the alert machine on a quiet check beside one with an open incident, a
//! due time beside a bare heap. The ratios of the medians, taken in turns in one run, are printed
//! first.
#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first fault")]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use divan::Bencher;
use jiff::Timestamp;
use portalwatch::alert::{Event, Policy, Seen, State, step};
use portalwatch::formats::yaml::parse;
use portalwatch::model::{Confirm, Finding, FindingDoc, Severity, Verdict};
use portalwatch::schedule::due::{self, Tick};

const CHECKS: usize = 10_000;
const MINUTE: Duration = Duration::from_secs(60);
const START: Tick = 1_790_000_000_000;

const DOWN: FindingDoc = FindingDoc {
    id: "bench.down",
    severity: Severity::Critical,
    broken: true,
    meaning: "",
    why: "",
    fix: "",
    reference: None,
    confirm: None,
};

fn main() {
    let config = Config::write();
    let [events, tree, plan] = in_turns(
        9,
        [
            &mut || bare_events(&config.text),
            &mut || {
                black_box(parse("monitor.yaml", &config.text).unwrap());
            },
            &mut || config.plan(),
        ],
    );
    println!("{CHECKS} checks: bare events {events:?}, tree {tree:?}, plan {plan:?}");
    println!("ratios: tree {:.2} of the events, plan {:.2}", ratio(tree, events), ratio(plan, events));

    let policy = policy();
    let open = opened(&policy);
    let (pass, fail) = (result(Verdict::Pass), result(Verdict::Fail));
    let [quiet, down] = in_turns(
        99,
        [&mut || steps(&State::default(), &pass, &policy), &mut || {
            steps(&open, &fail, &policy);
        }],
    );
    println!("1,000 steps: quiet {quiet:?}, with an open incident {down:?}, ratio {:.3}", ratio(quiet, down));

    let (mut bare, mut ours) = (heap(), heap());
    let [floor, fires] = in_turns(99, [&mut || bare_fires(&mut bare), &mut || fires_of(&mut ours)]);
    println!("1,000 due times: bare heap {floor:?}, decided {fires:?}, ratio {:.2}", ratio(fires, floor));
    divan::main();
}

fn ratio(ours: Duration, floor: Duration) -> f64 {
    ours.as_secs_f64() / floor.as_secs_f64()
}

/// The medians of some pieces of work, each done once in every round.
fn in_turns<const N: usize>(rounds: usize, mut work: [&mut dyn FnMut(); N]) -> [Duration; N] {
    let mut times = [const { Vec::new() }; N];
    for _ in 0..rounds {
        for (work, times) in work.iter_mut().zip(&mut times) {
            let begun = Instant::now();
            work();
            times.push(begun.elapsed());
        }
    }
    times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    })
}

/// A config of many checks, as text and as a file.
struct Config {
    folder: tempfile::TempDir,
    text: String,
}

impl Config {
    fn write() -> Self {
        let mut text = String::from(
            "portals:\n  bench:\n    url: http://127.0.0.1:8080/\n    private: true\n    checks:\n",
        );
        for number in 0..CHECKS {
            writeln!(text, "      c{number}: {{ every: 60s, http: {{ expect: {{ status: 2xx }} }} }}")
                .unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("monitor.yaml"), &text).unwrap();
        Self { folder, text }
    }

    fn plan(&self) {
        let built = portalwatch::app::plan(&self.folder.path().join("monitor.yaml"));
        let (plan, ..) = built.map_err(|faults| faults.first().map(ToString::to_string)).unwrap();
        assert_eq!(black_box(plan).checks.len(), CHECKS);
    }
}

fn bare_events(text: &str) {
    for event in granit_parser::Parser::new_from_str(text) {
        black_box(event.unwrap());
    }
}

fn policy() -> Policy {
    Policy {
        check: "bench/check".into(),
        kind: "http",
        labels: Arc::default(),
        every: MINUTE,
        confirm: Confirm { failures: 1, successes: 2, recheck: None },
        common: &[],
        findings: &[],
        failures: None,
        successes: None,
        recheck: None,
        unknown_after: MINUTE * 10,
        flap_transitions: 6,
        flap_window: MINUTE * 60,
        routes: Arc::default(),
    }
}

fn now() -> Timestamp {
    Timestamp::from_millisecond(START.cast_signed()).unwrap()
}

fn result(verdict: Verdict) -> Event {
    let findings = match verdict {
        Verdict::Fail => vec![Finding::of(&DOWN, "portal.example", "answers 502")],
        _ => Vec::new(),
    };
    Event::Result(Seen {
        at: now(),
        ended: now(),
        verdict,
        cause: None,
        findings,
        reproduce: Vec::new(),
        not_recorded: false,
        previous_good: Some(now()),
    })
}

fn opened(policy: &Policy) -> State {
    let (state, _) = step(State::default(), &result(Verdict::Fail), policy, now());
    assert!(state.incident.is_some());
    state
}

fn steps(state: &State, event: &Event, policy: &Policy) {
    for _ in 0..1_000 {
        black_box(step(state.clone(), black_box(event), policy, now()));
    }
}

type Heap = BinaryHeap<Reverse<(Tick, usize)>>;

fn heap() -> Heap {
    (0..CHECKS * 10).map(|place| Reverse((due::grid_after(hash(place), MINUTE, START), place))).collect()
}

fn hash(place: usize) -> u64 {
    (place as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn bare_fires(heap: &mut Heap) {
    for _ in 0..1_000 {
        let Reverse((tick, place)) = heap.pop().unwrap();
        heap.push(Reverse((tick + 60_000, place)));
    }
}

fn fires_of(heap: &mut Heap) {
    for _ in 0..1_000 {
        let Reverse((tick, place)) = heap.pop().unwrap();
        let hash = hash(place);
        assert_eq!(due::notice(hash, MINUTE, tick, tick), due::Noticed::Run);
        let next = due::next(hash, MINUTE, tick, tick);
        heap.push(Reverse((due::jittered(hash, Duration::ZERO, next), place)));
    }
}

#[divan::bench]
fn plan_of_10000_checks(bencher: Bencher<'_, '_>) {
    let config = Config::write();
    bencher.bench_local(|| config.plan());
}

#[divan::bench]
fn steps_of_a_quiet_check(bencher: Bencher<'_, '_>) {
    let (policy, event) = (policy(), result(Verdict::Pass));
    bencher.bench_local(|| steps(&State::default(), &event, &policy));
}

#[divan::bench]
fn due_times(bencher: Bencher<'_, '_>) {
    let mut heap = heap();
    bencher.bench_local(|| fires_of(&mut heap));
}
