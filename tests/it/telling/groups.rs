//! Several incidents, several channels: what is told together, to whom, and how often.

use super::hook::{Hook, Received};
use super::mail::Mail;
use super::scene::{BROKEN, Scene, TO_MAIL, WELL, acme, exim, mails, notify};
use crate::peers::{Nginx, SmtpServer, free_port};

/// A server block whose paths answer 502 where they are named.
fn broken_at(paths: &[&str]) -> String {
    let broken: String = paths.iter().map(|path| format!("location = /{path} {{ return 502; }} ")).collect();
    format!("{broken}{WELL}")
}

/// `reason check` of each message, sorted.
fn told(received: &[Received]) -> Vec<String> {
    let mut told: Vec<String> = received
        .iter()
        .map(|one| {
            let json = one.json();
            let mut checks: Vec<_> = json["alerts"]
                .as_array()
                .unwrap()
                .iter()
                .map(|alert| alert["labels"]["check"].as_str().unwrap().to_owned())
                .collect();
            checks.sort();
            format!("{} {}", json["notification_reason"].as_str().unwrap(), checks.join(","))
        })
        .collect();
    told.sort();
    told
}

#[test]
fn checks_that_lose_their_server_together_are_one_mail_that_names_what_they_share() {
    let page = Nginx::start(WELL);
    let server = SmtpServer::start();
    let route = "{ to: [mail], group_wait: 3s }";
    let scene = Scene::start(&acme(&page, &["health", "login"]), &notify(&exim(&server), &[route]));
    scene.settle(&page, 4);
    let address = format!("127.0.0.1:{}", page.port());
    drop(page);
    let opening = mails(&server, 1, &scene).remove(0);
    assert!(opening.subject().starts_with("[acme] DOWN 2 checks: "), "{}", opening.subject());
    assert_eq!(opening.fact("Shared cause"), Some(format!("connect to {address}").as_str()));
    for check in ["health", "login"] {
        assert!(opening.text.contains(&format!("DOWN acme/{check}\n")), "{}", opening.text);
        assert!(opening.text.contains(&format!("portalwatch check 'acme/{check}'")), "{}", opening.text);
    }
    assert!(opening.html.contains("Shared cause"));

    // Gone from the config, both end in the thread of the message they were told in.
    scene.write(
        &format!(
            "  other:\n    url: http://127.0.0.1:{}\n    private: true\n    checks: {{}}\n",
            free_port()
        ),
        &notify(&exim(&server), &[route]),
    );
    let told = mails(&server, 3, &scene);
    for over in &told[1..] {
        assert!(over.subject().starts_with("[acme] RESOLVED "), "{}", over.subject());
        assert!(over.text.contains("no longer in the config, not because it is well"), "{}", over.text);
        assert_eq!(over.parent(), Some(opening.id()));
    }
    assert_ne!(told[1].fact("Check"), told[2].fact("Check"));
}

#[test]
fn routes_choose_by_labels_go_on_where_told_to_and_group() {
    let mut page = Nginx::start(WELL);
    let hooks = [Hook::start([]), Hook::start([]), Hook::start([])];
    let channels: String =
        ["api", "all", "rest"].iter().zip(&hooks).map(|(name, hook)| hook.channel(name, "")).collect();
    let routes = [
        "{ match: [ 'check=~\"a.*\"', 'kind!=\"dns\"' ], to: [api], group_wait: 0s, continue: true }",
        "{ match: { portal: acme, severity: critical, finding: http.status }, to: [all], group_by: [portal], group_wait: 3s, group_interval: 1s }",
        "{ to: [rest], group_wait: 0s }",
    ];
    let scene = Scene::start(&acme(&page, &["api", "login"]), &notify(&channels, &routes));
    scene.settle(&page, 4);
    page.reload(&broken_at(&["api", "login"]));
    assert_eq!(told(&hooks[0].wait(1)), ["opened api"]);
    let grouped = hooks[1].wait(1);
    assert_eq!(told(&grouped), ["opened api,login"]);
    assert_eq!(grouped[0].json()["groupLabels"], serde_json::json!({ "portal": "acme" }));
    page.reload(WELL);
    assert_eq!(told(&hooks[0].wait(2)), ["opened api", "resolved api"]);
    let ended = |received: &[Received]| {
        let alerts = received.iter().flat_map(|one| one.json()["alerts"].as_array().unwrap().clone());
        alerts.filter(|alert| alert["status"] == "resolved").count()
    };
    hooks[1].wait_for("the end of both", |received| ended(received) == 2);
    scene.settle(&page, 4);
    assert_eq!(told(&hooks[0].received()).len(), 2);
    assert!(hooks[2].received().is_empty(), "the first route that matches wins: {:?}", hooks[2].received());
}

#[test]
fn what_stays_broken_is_said_again_and_its_end_once() {
    let mut page = Nginx::start(WELL);
    let server = SmtpServer::start();
    let route = "{ to: [mail], group_wait: 0s, group_interval: 1s, repeat: 3s }";
    let scene = Scene::start(&acme(&page, &["health"]), &notify(&exim(&server), &[route]));
    page.reload(BROKEN);
    let told = mails(&server, 3, &scene);
    for again in &told[1..] {
        assert!(again.subject().starts_with("[acme] STILL DOWN health: "), "{}", again.subject());
        assert_eq!(again.parent(), Some(told[0].id()));
    }
    assert_ne!(told[1].key(), told[2].key());
    page.reload(WELL);
    let over = |mail: &Mail| mail.subject().starts_with("[acme] RESOLVED health: ");
    let mut seen = 3;
    while !mails(&server, seen, &scene).iter().any(over) {
        seen += 1;
    }
    scene.settle(&page, 5);
    let all = mails(&server, seen, &scene);
    assert_eq!(
        (all.iter().filter(|mail| over(mail)).count(), all.iter().position(over)),
        (1, Some(all.len() - 1))
    );
}

#[test]
fn a_page_that_flaps_is_told_as_that_and_not_turn_by_turn() {
    let mut page = Nginx::start(WELL);
    let server = SmtpServer::start();
    let portals = acme(&page, &["health"]).replace(
        "health: {",
        "health: { every: 1s, flap: { transitions: 2, window: 15s }, confirm: { failures: 1, successes: 1 },",
    );
    let scene = Scene::start(
        &portals,
        &notify(&exim(&server), &[TO_MAIL.replace("0s", "0s, group_interval: 1s").as_str()]),
    );
    page.reload(BROKEN);
    let opening = mails(&server, 1, &scene).remove(0);
    page.reload(WELL);
    mails(&server, 2, &scene);
    page.reload(BROKEN);
    let flapping = mails(&server, 3, &scene).remove(2);
    assert!(flapping.subject().starts_with("[acme] FLAPPING health: "), "{}", flapping.subject());
    assert!(flapping.text.contains("turns are not told one by one"), "{}", flapping.text);
    assert_ne!(flapping.id(), opening.id());
    for block in [WELL, BROKEN, WELL] {
        page.reload(block);
        scene.settle(&page, 2);
    }
    assert_eq!(server.mailbox().messages().len(), 3, "turns are not told: {}", scene.log());
    let told = mails(&server, 4, &scene);
    assert!(told[3].subject().starts_with("[acme] RESOLVED health: "), "{}", told[3].subject());
    assert_eq!(told[3].parent(), Some(flapping.id()));
}
