//! The daemon ends in the middle.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::scene::{BRISK, PATIENCE, Pace, Scene, metric};
use crate::peers::{Daemon, Writes, poll};

const SWEPT: &str = "portalwatch_canaries_total{outcome=\"swept\"}";
const ABSENT: &str = "portalwatch_canaries_total{outcome=\"absent\"}";

/// What a sweep found after a restart: the canary of `run` is gone, told and counted.
#[track_caller]
fn assert_swept(scene: &Scene, daemon: &Daemon, run: &str) {
    scene.wait_gone(run, daemon);
    let tally = scene.wait_tally(|tally| tally.swept > 0);
    assert_eq!((tally.swept, tally.absent), (1, 0));
    assert_eq!(metric(daemon, SWEPT), 1);
    scene.wait_found("journey.swept", jiff::Timestamp::MIN);
    assert_eq!(scene.desk.most_and_stored().0, 1, "never two canaries at once");
    assert!(!scene.found("journey.orphan") && !scene.found("journey.left_behind"));
}

#[test]
fn a_kill_between_the_write_and_its_clean_up_leaves_nothing_behind() {
    let scene = Scene::new(BRISK, "");
    scene.desk.set(|ways| ways.holds = Some("GET /api/tickets/"));
    let daemon = scene.bench.start();
    let run = scene.wait_written(&daemon);
    scene.desk.wait_asked("GET /api/tickets/", 1, PATIENCE);
    daemon.kill9();
    assert!(scene.stands(&run));
    scene.desk.set(|ways| ways.holds = None);
    let daemon = scene.bench.start();
    assert_swept(&scene, &daemon, &run);
    scene.wait_tally(|tally| tally.cleaned > 0);
}

#[test]
fn a_kill_before_the_answer_was_read_leaves_nothing_behind() {
    let scene = Scene::new(BRISK, "");
    scene.desk.set(|ways| ways.writes = Writes::StoredAndHeld);
    let daemon = scene.bench.start();
    let run = scene.wait_written(&daemon);
    assert!(poll(PATIENCE, || scene.stands(&run).then_some(())).is_some());
    daemon.kill9();
    scene.desk.set(|ways| ways.writes = Writes::Work);
    let daemon = scene.bench.start();
    assert_swept(&scene, &daemon, &run);
    scene.desk.wait_asked(&format!("GET /api/tickets?q={run}"), 1, PATIENCE);
}

#[test]
fn a_kill_before_anything_was_stored_is_no_canary_and_no_fault() {
    let scene = Scene::new(Pace { deadline: 4, step: 2 }, "");
    scene.desk.set(|ways| ways.writes = Writes::Swallowed);
    let daemon = scene.bench.start();
    scene.wait_written(&daemon);
    daemon.kill9();
    scene.desk.set(|ways| ways.writes = Writes::Work);
    let daemon = scene.bench.start();
    let tally = scene.wait_tally(|tally| tally.absent > 0 && tally.cleaned > 0);
    assert_eq!((tally.absent, tally.swept), (1, 0));
    assert_eq!(metric(&daemon, ABSENT), 1);
    let known = ["journey.swept", "journey.not_written"];
    let rows = scene.rows();
    let other = rows.iter().flat_map(|row| &row.findings).find(|found| !known.contains(&found.id.as_str()));
    assert!(other.is_none(), "{other:#?}");
}

#[test]
fn a_portal_that_stores_the_write_after_the_daemon_died_is_looked_at_again() {
    let scene = Scene::new(BRISK, "");
    scene.desk.set(|ways| ways.writes = Writes::Late);
    let daemon = scene.bench.start();
    let run = scene.wait_written(&daemon);
    daemon.kill9();
    let daemon = scene.bench.start();
    scene.desk.wait_asked(&format!("GET /api/tickets?q={run}"), 1, PATIENCE);
    assert_eq!(scene.tally().open, 1, "nothing found so soon proves nothing");
    scene.desk.set(|ways| ways.writes = Writes::Work);
    assert!(poll(PATIENCE, || (scene.desk.most_and_stored().1 > 0).then_some(())).is_some());
    assert_swept(&scene, &daemon, &run);
}

fn ask_to_end(daemon: &Daemon) {
    let pid = Pid::from_raw(i32::try_from(daemon.pid()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert!(poll(PATIENCE, || daemon.log().contains("stopping").then_some(())).is_some(), "{}", daemon.log());
}

#[test]
fn a_run_in_flight_at_the_end_cleans_up_while_it_may() {
    let scene = Scene::new(BRISK, "");
    scene.desk.set(|ways| ways.holds = Some("GET /api/tickets/"));
    let daemon = scene.bench.start();
    let run = scene.wait_written(&daemon);
    scene.desk.wait_asked("GET /api/tickets/", 1, PATIENCE);
    ask_to_end(&daemon);
    scene.desk.set(|ways| ways.holds = None);
    let ended = poll(PATIENCE, || (!scene.stands(&run)).then_some(()));
    assert!(ended.is_some(), "{:#?}", scene.desk.asked(""));
    scene.wait_tally(|tally| tally.cleaned == 1 && tally.open == 0);
}

#[test]
fn a_run_cut_off_at_the_end_is_swept_at_the_next_start() {
    let scene = Scene::new(Pace { deadline: 60, step: 60 }, "");
    scene.desk.set(|ways| ways.holds = Some("GET /api/tickets/"));
    let daemon = scene.bench.start();
    let run = scene.wait_written(&daemon);
    scene.desk.wait_asked("GET /api/tickets/", 1, PATIENCE);
    assert_eq!(daemon.terminate(Duration::from_secs(60)).code(), Some(0));
    assert!(scene.stands(&run));
    assert_eq!(scene.tally().open, 1);
    scene.desk.set(|ways| ways.holds = None);
    let daemon = scene.bench.start();
    assert_swept(&scene, &daemon, &run);
}
