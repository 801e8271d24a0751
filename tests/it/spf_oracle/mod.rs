//! pyspf and spftrace judge five thousand worlds that chance made; where they say something else than we do,
//! a class with its clause of RFC 7208 says why.

mod differences;
mod generate;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use tempfile::TempDir;

use self::differences::{CLASSES, Compared, class};
use self::generate::{Dice, world};
use self::world::{Question, World};

const HOME: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/pyspf");
const JUDGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/spf_oracle/judge.py");
const WORLDS: usize = 5_000;
const SEED: u64 = 7208;

/// What one of them says.
#[derive(Debug, Deserialize)]
struct Theirs {
    result: String,
    why: String,
    /// Of pyspf alone.
    explanation: Option<String>,
    /// Which lookups it counts as void.
    void: Vec<Question>,
    /// What pyspf would say, result and explanation, were it mended in one way.
    #[serde(default)]
    mended: BTreeMap<String, (String, Option<String>)>,
    /// And in all of them.
    whole: Option<Box<Theirs>>,
    /// Of spftrace alone.
    #[serde(default)]
    lookups: usize,
    /// Of spftrace alone.
    #[serde(default)]
    asked: BTreeSet<Question>,
}

#[derive(Debug, Deserialize)]
struct Judged {
    pyspf: Theirs,
    spftrace: Theirs,
}

fn ask(worlds: &[World]) -> Vec<Judged> {
    let home = Path::new(HOME);
    assert!(
        home.join("stamp").is_file(),
        "pyspf is not installed in {HOME}; ./scripts/pyspf does it, and ./scripts/test runs that"
    );
    let dir = TempDir::new().unwrap();
    let (given, said) = (dir.path().join("given.json"), dir.path().join("said.json"));
    std::fs::write(&given, serde_json::to_string(worlds).unwrap()).unwrap();
    let python = home.join("venv/bin/python");
    let output = Command::new(python).arg("-B").arg(JUDGE).arg(given).arg(&said).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&std::fs::read(said).unwrap()).unwrap()
}

#[test]
fn pyspf_and_spftrace_say_what_we_say_of_thousands_of_worlds() {
    let mut dice = Dice(SEED);
    let worlds: Vec<World> = (0..WORLDS).map(|_| world(&mut dice)).collect();
    let judged = ask(&worlds);
    assert_eq!(judged.len(), worlds.len());
    let mut used: BTreeMap<&str, usize> = BTreeMap::new();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut faults, mut explained) = (Vec::new(), 0);
    for (index, (world, Judged { pyspf, spftrace })) in worlds.iter().zip(&judged).enumerate() {
        let (ours, asked) = world.check();
        *seen.entry(ours.verdict.as_str()).or_default() += 1;
        let failed = ours.verdict.as_str() == "fail" && pyspf.result == "fail";
        explained += usize::from(failed && ours.explanation.is_some());
        let same = spftrace.result == ours.verdict.as_str();
        let beside_ptr = |asked: &BTreeSet<Question>| world.beside_ptr(asked);
        let differ = [
            ("pyspf", "result", pyspf.result != ours.verdict.as_str()),
            ("pyspf", "explanation", failed && pyspf.explanation != ours.explanation),
            ("spftrace", "result", !same),
            ("spftrace", "lookups", same && spftrace.lookups != ours.lookups),
            ("spftrace", "questions", same && beside_ptr(&spftrace.asked) != beside_ptr(&asked)),
        ];
        for (who, what, _) in differ.into_iter().filter(|(.., differs)| *differs) {
            let theirs = if who == "pyspf" { pyspf } else { spftrace };
            match class(&Compared { world, ours: &ours, asked: &asked, who, what, theirs }) {
                Some(class) => *used.entry(class).or_default() += 1,
                None => faults.push(format!(
                    "world {index}: {who} differs in {what}: {} ({}, {:?}), we say {} ({}, {:?})",
                    theirs.result,
                    theirs.why,
                    theirs.explanation,
                    ours.verdict.as_str(),
                    ours.why,
                    ours.explanation
                )),
            }
        }
    }
    println!("{seen:?}, {explained} explained; differences: {used:?}");
    assert!(faults.is_empty(), "{} unexplained:\n{}", faults.len(), faults.join("\n"));
    // A world without such cases would show nothing.
    assert!(
        seen.len() == 7 && seen.values().all(|count| *count >= 20) && explained >= 20,
        "{seen:?} {explained}"
    );
    for (class, clause) in CLASSES {
        assert!(used.contains_key(class), "{class} ({clause}) explains nothing any more");
    }
}
