//! Journeys against Wagtail.

use super::{
    Peer, Scene, finds_a_session_that_outlives, shows_a_wrong_password_once, sweeps_after_an_outage,
    writes_and_removes,
};
use crate::peers::{Portal, Wagtail};

const EXAMPLE: &str = include_str!("../../../examples/journeys/wagtail.yaml");

fn scene(wagtail: &Wagtail, password: &str) -> Scene {
    let mut scene = Scene::new(EXAMPLE, wagtail, password);
    let insecure = "          session_cookies: { names: [sessionid], allow: [secure] }\n";
    scene.edit("          session_cookies: { names: [sessionid] }\n", insecure);
    scene
}

impl Peer for Wagtail {
    fn portal(&mut self) -> &mut Portal {
        self
    }

    fn titles(&self, text: &str) -> Vec<String> {
        self.pages(text).into_iter().map(|page| page.title).collect()
    }

    fn attempts(&self) -> usize {
        self.sign_ins()
    }
}

#[test]
fn a_page_in_wagtail_is_written_read_and_deleted_whatever_happens_between() {
    let mut wagtail = Wagtail::start();
    let mut scene = scene(&wagtail, Portal::PASSWORD);
    writes_and_removes(&scene, &wagtail);
    let replayed = "GET /admin/ 302";
    assert!(wagtail.requests().iter().any(|line| line == replayed), "{:?}", wagtail.requests());
    sweeps_after_an_outage(&scene, &mut wagtail);
    // It answers 405 and takes the cookie away, which is all that a browser shows.
    let by_get = "{ get: /admin/logout/, expect: { status: 405 },";
    finds_a_session_that_outlives(&mut scene, "{ timeout: 30s, post: /admin/logout/,", by_get);
}

#[test]
fn a_password_that_wagtail_refuses_is_shown_once() {
    let wagtail = Wagtail::start();
    let scene = scene(&wagtail, Portal::PASSWORD);
    shows_a_wrong_password_once(&scene, &wagtail);
}
