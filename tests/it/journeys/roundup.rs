//! Journeys against Roundup.

use super::{
    Peer, Scene, finds_a_session_that_outlives, leaves_a_lock_out_alone, shows_a_wrong_password_once,
    sweeps_after_an_outage, writes_and_removes,
};
use crate::peers::{Portal, Roundup};
use crate::portals::roundup_sign_in;

const EXAMPLE: &str = include_str!("../../../examples/journeys/roundup.yaml");

fn scene(roundup: &Roundup, password: &str) -> Scene {
    let mut scene = Scene::new(EXAMPLE, roundup, password);
    let insecure = "          session_cookies: { allow: [secure] }\n          steps:\n";
    scene.edit("          steps:\n", insecure);
    scene
}

impl Peer for Roundup {
    fn portal(&mut self) -> &mut Portal {
        self
    }

    fn titles(&self, text: &str) -> Vec<String> {
        self.issues(text).into_iter().filter(|issue| !issue.retired).map(|issue| issue.title).collect()
    }

    fn attempts(&self) -> usize {
        self.sign_ins()
    }
}

#[test]
fn an_issue_in_roundup_is_written_read_and_retired_whatever_happens_between() {
    let mut roundup = Roundup::start();
    let mut scene = scene(&roundup, Portal::PASSWORD);
    writes_and_removes(&scene, &roundup);
    let replayed = "GET /tracker/rest/data/issue 403";
    assert!(roundup.requests().iter().any(|line| line == replayed), "{:?}", roundup.requests());
    sweeps_after_an_outage(&scene, &mut roundup);
    finds_a_session_that_outlives(&mut scene, r#"{ get: "/tracker/?@action=logout","#, "{ get: /tracker/,");
}

#[test]
fn a_password_that_roundup_refuses_is_shown_once_and_its_lock_out_is_no_outage() {
    let roundup = Roundup::start();
    let scene = scene(&roundup, Portal::PASSWORD);
    let daemon = shows_a_wrong_password_once(&scene, &roundup);
    leaves_a_lock_out_alone(&scene, &roundup, &daemon, || {
        roundup_sign_in(&roundup, "wrong");
    });
}
