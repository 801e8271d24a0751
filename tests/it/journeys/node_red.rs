//! Journeys against Node-RED.

use super::{
    Peer, Scene, finds_a_session_that_outlives, ids, leaves_a_lock_out_alone, shows_a_wrong_password_once,
    sweeps_after_an_outage, writes_and_removes,
};
use crate::peers::{NodeRed, Portal};
use crate::portals::node_red_sign_in;

const EXAMPLE: &str = include_str!("../../../examples/journeys/node-red.yaml");

impl Peer for NodeRed {
    fn portal(&mut self) -> &mut Portal {
        self
    }

    fn titles(&self, text: &str) -> Vec<String> {
        self.flows(text).into_iter().map(|flow| flow.label).collect()
    }

    fn attempts(&self) -> usize {
        self.sign_ins()
    }
}

#[test]
fn a_flow_in_node_red_is_written_read_and_deleted_whatever_happens_between() {
    let mut node_red = NodeRed::start();
    let mut scene = Scene::new(EXAMPLE, &node_red, Portal::PASSWORD);
    // Another's flow, which the sweep goes past: the portal has no search.
    node_red.create_flow("portalwatch of somebody else");
    writes_and_removes(&scene, &node_red);
    let replayed = "GET /settings 401";
    assert!(node_red.requests().iter().any(|line| line == replayed), "{:?}", node_red.requests());
    sweeps_after_an_outage(&scene, &mut node_red);
    assert_eq!(node_red.titles("portalwatch"), ["portalwatch of somebody else"]);
    let revoke = r#"{ timeout: 30s, post: /auth/revoke, form: { token: "{{ token }}" },"#;
    finds_a_session_that_outlives(&mut scene, revoke, "{ get: /settings,");
}

#[test]
fn a_password_that_node_red_refuses_is_shown_once_and_its_lock_out_is_no_outage() {
    let node_red = NodeRed::start();
    let scene = Scene::new(EXAMPLE, &node_red, Portal::PASSWORD);
    let daemon = shows_a_wrong_password_once(&scene, &node_red);
    leaves_a_lock_out_alone(&scene, &node_red, &daemon, || {
        node_red_sign_in(&node_red, "wrong");
    });
}

/// The example, with the token from the identity's own grant.
fn by_grant(node_red: &NodeRed) -> Scene {
    let mut scene = Scene::new(EXAMPLE, node_red, Portal::PASSWORD);
    let grant = format!(
        "{{ username: probe, oauth2: {{ token_url: '{}/auth/token', client_id: node-red-admin, grant: password, scopes: ['*'] }},",
        node_red.url()
    );
    scene.edit("{ username: probe,", &grant);
    scene.cut("          bearer: token\n", "          steps:\n");
    scene.cut("            - name: sign in\n", "            - name: dashboard\n");
    scene.cut("          sign_out:", "\n");
    scene
}

#[test]
fn an_identity_gets_its_token_from_node_red_by_the_password_grant() {
    let node_red = NodeRed::start();
    let scene = by_grant(&node_red);
    let check = scene.check_and_look(|| assert_eq!(node_red.canaries().len(), 1));
    assert_eq!((check["verdict"].as_str(), ids(&check)), (Some("pass"), vec![]), "{check:#}");
    assert_eq!((node_red.canaries().len(), node_red.attempts()), (0, 1));

    scene.password("no such password");
    let check = scene.check(&["--write"]).json()["checks"][0].clone();
    assert_eq!(
        (check["verdict"].as_str(), ids(&check)),
        (Some("fail"), vec!["journey.refused"]),
        "{check:#}"
    );
    assert_eq!(node_red.attempts(), 2);

    assert!((0..20).any(|_| node_red_sign_in(&node_red, "wrong").status == 500));
    scene.password(Portal::PASSWORD);
    let check = scene.check(&["--write"]).json()["checks"][0].clone();
    assert_eq!(
        (check["verdict"].as_str(), check["cause"].as_str()),
        (Some("unknown"), Some("blocked")),
        "{check:#}"
    );
}
