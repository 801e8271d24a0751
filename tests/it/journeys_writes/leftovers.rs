//! The portal is at fault: what a run wrote stays for a while.

use std::time::Duration;

use jiff::Timestamp;

use super::scene::{BRISK, PATIENCE, Pace, Scene};
use crate::peers::{Refusal, Writes, poll};

/// A run that was cut from its write's answer, and a sweep that comes at once.
fn cut(more: &str) -> (Scene, crate::peers::Daemon, String) {
    let scene = Scene::new(Pace { deadline: 5, step: 2 }, more);
    scene.desk.set(|ways| ways.writes = Writes::StoredAndCut);
    let daemon = scene.bench.start();
    let run = scene.wait_written(&daemon);
    (scene, daemon, run)
}

/// When the last result so far began.
fn last(scene: &Scene) -> Timestamp {
    scene.rows().iter().map(|row| row.at).max().unwrap_or(Timestamp::MIN)
}

#[test]
fn a_portal_that_goes_down_after_the_write_is_swept_when_it_is_back() {
    let scene = Scene::new(BRISK, "");
    scene.desk.set(|ways| ways.writes = Writes::StoredAndDown);
    let daemon = scene.bench.start();
    let run = scene.wait_written(&daemon);
    assert!(scene.wait_found("journey.left_behind", Timestamp::MIN).contains(&run));
    scene.wait_rows(4);
    scene.desk.set(|ways| (ways.writes, ways.down) = (Writes::Work, false));
    scene.wait_gone(&run, &daemon);
    let tally = scene.wait_tally(|tally| tally.swept == 1 && tally.cleaned > 0);
    assert_eq!(tally.absent, 0);
    assert_eq!(scene.desk.most_and_stored().0, 1, "nothing was written before it was swept");
    assert!(!scene.found("journey.orphan"), "a portal that is down refuses no sweep");
}

#[test]
fn what_three_tries_cannot_remove_is_told_and_nothing_more_is_written_until_it_is_gone() {
    let scene = Scene::new(Pace { deadline: 4, step: 2 }, "");
    scene.desk.set(|ways| ways.refuses_deletes = true);
    let daemon = scene.bench.start();
    let run = scene.wait_written(&daemon);
    scene.bench.hook.wait("opened", "journey.left_behind", PATIENCE);
    let told = scene.wait_found("journey.orphan", Timestamp::MIN);
    assert!(told.contains(&run) && told.contains("3 tries") && told.contains("500"), "{told}");
    let alerted = poll(PATIENCE, || {
        scene.bench.hook.told().into_iter().find(|told| told.description.contains("3 tries"))
    });
    assert!(alerted.is_some(), "{:#?}", scene.bench.hook.told());
    let tries = scene.desk.asked("DELETE");
    assert_eq!(tries.len(), 3, "each try asks once: {:#?}", scene.desk.asked(""));
    assert!(tries[2].at - tries[1].at >= Duration::from_secs(4), "a sweep that failed waits: {tries:#?}");
    assert_eq!(scene.desk.most_and_stored(), (1, 1), "nothing more was written");

    scene.desk.set(|ways| ways.refuses_deletes = false);
    scene.wait_gone(&run, &daemon);
    scene.bench.hook.wait("resolved", "journey.left_behind", PATIENCE);
    let tally = scene.wait_tally(|tally| tally.cleaned > 0);
    assert_eq!((tally.swept, tally.absent), (1, 0));
}

#[test]
fn an_answer_that_was_cut_off_is_swept_by_the_next_run() {
    let (scene, daemon, run) = cut("");
    assert!(scene.wait_found("journey.left_behind", Timestamp::MIN).contains(&run));
    scene.desk.set(|ways| ways.writes = Writes::Work);
    scene.wait_gone(&run, &daemon);
    scene.wait_tally(|tally| tally.swept > 0 && tally.cleaned > 0);
    assert_eq!(scene.desk.most_and_stored().0, 1);
}

#[test]
fn a_journey_that_does_not_come_so_far_still_says_what_is_left() {
    let (scene, daemon, run) = cut("");
    scene.desk.set(|ways| (ways.writes, ways.other_user) = (Writes::Work, true));
    scene.wait_found("journey.expectation", Timestamp::MIN);
    let first = last(&scene);
    scene.wait_rows(5);
    let rows = scene.rows();
    for row in rows.iter().filter(|row| row.at > first) {
        let found = row.findings.iter().find(|found| found.id.as_str() == "journey.left_behind");
        assert!(found.is_some_and(|found| found.summary.contains(&run)), "{row:#?}");
    }
    assert!(!scene.found("journey.orphan"), "no sweep was tried");
    scene.desk.set(|ways| ways.other_user = false);
    scene.wait_gone(&run, &daemon);
    assert_eq!(scene.wait_tally(|tally| tally.swept > 0).absent, 0);
}

#[test]
fn a_lock_out_or_throttle_does_not_hide_what_is_left() {
    for refusal in [Refusal::LockedOut, Refusal::Throttled] {
        let (scene, daemon, run) = cut("lockout_guard: 3s");
        scene.desk.set(|ways| (ways.writes, ways.refusal) = (Writes::Work, Some(refusal)));
        let blocked =
            |row: &portalwatch::record::ResultRow| row.cause.is_some_and(|cause| cause.as_str() == "blocked");
        let rows = poll(PATIENCE, || {
            Some(scene.rows()).filter(|rows| rows.iter().filter(|row| blocked(row)).count() >= 3)
        });
        for row in rows.unwrap().iter().filter(|row| blocked(row)) {
            let left = row.findings.iter().any(|found| found.id.as_str() == "journey.left_behind");
            assert!(left, "{refusal:?}: {row:#?}");
        }
        scene.desk.set(|ways| ways.refusal = None);
        scene.wait_gone(&run, &daemon);
    }
}

#[test]
fn a_sweep_that_finds_what_others_wrote_removes_nothing() {
    for strangers in [1, 9] {
        let (scene, daemon, run) = cut("");
        scene.desk.set(|ways| (ways.writes, ways.lists_all) = (Writes::Work, true));
        (0..strangers).for_each(|number| scene.desk.store(&format!("a real ticket {number}")));
        let failed = || {
            let rows = scene.rows();
            let mut all = rows.iter().flat_map(|row| &row.findings);
            all.any(|found| found.subject == "sweep" && found.id.as_str() == "journey.left_behind")
                .then_some(())
        };
        assert!(poll(PATIENCE, failed).is_some(), "{:#?}", scene.rows());
        assert!(scene.stands(&run));
        assert_eq!(scene.desk.tickets().len(), strangers + 1);
        assert!(scene.desk.asked("DELETE").is_empty(), "{:#?}", scene.desk.asked("DELETE"));
        scene.desk.set(|ways| ways.lists_all = false);
        scene.wait_gone(&run, &daemon);
        scene.wait_tally(|tally| tally.swept == 1);
        assert!(scene.desk.tickets().len() >= strangers, "{:?}", scene.desk.tickets());
    }
}
