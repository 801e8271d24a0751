//! Channels that refuse, hang or cannot be trusted.

use super::HOOK_SECRET;
use super::hook::{Hook, Received};
use super::relay::Relay;
use super::scene::{BROKEN, Scene, WELL, acme, exim, mails, notify};
use crate::peers::{Nginx, SmtpServer};

fn with_fallback(channel: &str) -> String {
    format!("{channel}      fallback: hook\n")
}

fn about_the_channel(received: &[Received], status: &str) -> usize {
    let about = |received: &&Received| {
        let json = received.json();
        json["commonLabels"]["alertname"] == "notify.channel_failing" && json["status"] == status
    };
    received.iter().filter(about).count()
}

#[test]
fn a_relay_that_refuses_now_and_for_good_gets_the_mail_when_it_is_well_and_the_fallback_is_told() {
    let mut page = Nginx::start(WELL);
    let relay = Relay::start(vec![
        vec![("RCPT", "451 4.7.1 greylisted")],
        vec![("greeting", "421 too busy")],
        vec![("end", "554 5.7.1 no")],
    ]);
    let hook = Hook::start([]);
    let channels = with_fallback(&relay.channel("tls: none")) + &hook.channel("hook", "");
    // The failing channel is no place to tell of it.
    let route = "{ match: { portal: acme }, to: [mail], group_wait: 0s }";
    let scene = Scene::start(&acme(&page, &["health"]), &notify(&channels, &[route]));
    page.reload(BROKEN);
    let told = hook.wait_for("the failing channel", |all| about_the_channel(all, "firing") == 1);
    let summary = told[0].json()["commonAnnotations"]["summary"].to_string();
    assert!(summary.contains("channel mail does not deliver") && summary.contains("554"), "{summary}");

    let taken = relay.taken(1).remove(0);
    assert!(taken.subject().starts_with("[acme] DOWN health"), "{}", taken.subject());
    for copy in relay.handed(2) {
        assert_eq!((copy.id(), copy.key()), (taken.id(), taken.key()));
    }
    hook.wait_for("the channel that works again", |all| about_the_channel(all, "resolved") == 1);
    scene.settle(&page, 3);
    assert_eq!((relay.taken(1).len(), hook.received().len()), (1, 2), "{}", scene.log());
}

#[test]
fn a_relay_that_hangs_delays_the_mail_and_nothing_else() {
    let mut page = Nginx::start(WELL);
    let relay = Relay::start(vec![vec![("greeting", "")]]);
    let hook = Hook::start([]);
    let channels = relay.channel("tls: none") + &hook.channel("hook", "");
    let scene = Scene::start(
        &acme(&page, &["health"]),
        &notify(&channels, &["{ to: [mail, hook], group_wait: 0s }"]),
    );
    page.reload(BROKEN);
    hook.wait(1);
    assert_eq!(relay.handed(0).len(), 0, "the other channel did not wait");
    scene.wait_pending();
    let taken = relay.taken(1).remove(0);
    assert!(taken.subject().starts_with("[acme] DOWN health"), "{}", taken.subject());
    assert_eq!(relay.connections(), 2);
    scene.settle(&page, 2);
    assert_eq!((relay.taken(1).len(), hook.received().len()), (1, 1));
}

#[test]
fn without_starttls_nothing_is_sent_unless_the_config_says_so() {
    let mut page = Nginx::start(WELL);
    let strict = Relay::start(Vec::new());
    let lax = Relay::start(Vec::new());
    let channels = strict.channel("username: alerts, password: { env: SMTP_PASSWORD }")
        + &lax.channel("tls: opportunistic").replace("    mail:", "    lax:");
    let route = "{ to: [mail, lax], group_wait: 0s }";
    let scene = Scene::start(&acme(&page, &["health"]), &notify(&channels, &[route]));
    page.reload(BROKEN);
    let taken = lax.taken(1).remove(0);
    assert!(taken.subject().starts_with("[acme] DOWN health"), "{}", taken.subject());
    scene.wait_pending();
    scene.wait_logged("does not offer STARTTLS");
    let said = strict.commands().join("\n");
    assert!(!said.contains("AUTH") && !said.contains("MAIL"), "{said}");
    assert_eq!(strict.handed(0).len(), 0);

    // Mended in the config, it arrives: nothing was lost.
    let mended =
        channels.replace("password: { env: SMTP_PASSWORD }", "password: { env: SMTP_PASSWORD }, tls: none");
    scene.write(&acme(&page, &["health"]), &notify(&mended, &[route]));
    let late = strict.taken(1).remove(0);
    assert_eq!(late.subject(), taken.subject());
    assert!(strict.commands().iter().any(|command| command.starts_with("AUTH PLAIN")));
}

#[test]
fn an_outage_that_is_over_before_mail_works_is_told_in_one_message() {
    let mut page = Nginx::start(WELL);
    let mut server = SmtpServer::start();
    let hook = Hook::start([]);
    let channels = exim(&server) + &hook.channel("hook", "");
    let route = "{ to: [mail, hook], group_wait: 0s }";
    let scene = Scene::start(&acme(&page, &["health"]), &notify(&channels, &[route]));
    server.stop();
    page.reload(BROKEN);
    hook.wait(1);
    page.reload(WELL);
    hook.wait(2);
    server.restart();
    let told = mails(&server, 1, &scene);
    let subject = told[0].subject();
    assert!(subject.starts_with("[acme] RESOLVED health: "), "{subject}");
    let time = told[0].fact("Time").unwrap();
    assert!(time.starts_with("was down from ") && time.contains(" to "), "{time}");
    assert!(told[0].text.contains("this one tells it all"), "{}", told[0].text);
    assert_eq!(told[0].parent(), None, "there is nothing to reply to");
    scene.settle(&page, 3);
    assert_eq!(server.mailbox().messages().len(), 1, "{}", scene.log());
}

#[test]
fn a_webhook_gets_signed_alertmanager_json_under_one_id_however_often_it_refuses() {
    let mut page = Nginx::start(WELL);
    let hook = Hook::start([503, 429]);
    let channels = hook.channel("hook", "headers: { x-team: ops }, secret: { env: HOOK_SECRET }");
    let portals = acme(&page, &["health"]).replace("    private", "    labels: { team: ops }\n    private");
    let scene = Scene::start(&portals, &notify(&channels, &["{ to: [hook], group_wait: 0s }"]));
    page.reload(BROKEN);
    let opened = hook.wait(3);
    page.reload(WELL);
    let received = hook.wait(4);
    for one in &received {
        assert!(one.is_signed_with(HOOK_SECRET), "{one:?}");
        assert!(!one.is_signed_with("whsec_b3RoZXI="));
        assert_eq!((one.header("x-team"), one.header("content-type")), ("ops", "application/json"));
    }
    let ids: Vec<_> = received.iter().map(|one| one.header("webhook-id")).collect();
    assert!(ids[0] == ids[1] && ids[1] == ids[2] && ids[2] != ids[3], "{ids:?}");
    assert!(opened[0].body == opened[1].body && opened[1].body == opened[2].body);

    let (fired, ended) = (received[2].json(), received[3].json());
    assert_eq!(
        (&fired["version"], &fired["status"], &fired["receiver"]),
        (&"4".into(), &"firing".into(), &"hook".into())
    );
    assert_eq!(fired["alerts"].as_array().unwrap().len(), 1);
    let labels = &fired["alerts"][0]["labels"];
    for (name, value) in [
        ("alertname", "http.status"),
        ("portal", "acme"),
        ("check", "health"),
        ("kind", "http"),
        ("severity", "critical"),
        ("team", "ops"),
    ] {
        assert_eq!(labels[name], value, "{labels}");
    }
    assert_eq!(fired["alerts"][0]["endsAt"], "0001-01-01T00:00:00Z");
    let (first, last) = (&fired["alerts"][0], &ended["alerts"][0]);
    assert_eq!((&ended["status"], &last["status"]), (&"resolved".into(), &"resolved".into()));
    assert_eq!(
        (&first["labels"], &first["fingerprint"], &first["startsAt"]),
        (&last["labels"], &last["fingerprint"], &last["startsAt"])
    );
    let time = |alert: &serde_json::Value, name: &str| {
        alert[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap()
    };
    assert!(time(last, "endsAt") > time(last, "startsAt"), "{last}");
    scene.settle(&page, 2);
    assert_eq!(hook.received().len(), 4);
}

#[test]
fn a_message_that_a_webhook_refuses_for_good_is_not_repeated_and_its_fallback_is_told() {
    let mut page = Nginx::start(WELL);
    let (gone, hook) = (Hook::start([410]), Hook::start([]));
    let channels =
        gone.channel("gone", "").replace(" } }\n", " }, fallback: hook }\n") + &hook.channel("hook", "");
    let scene = Scene::start(
        &acme(&page, &["health"]),
        &notify(&channels, &["{ match: { portal: acme }, to: [gone], group_wait: 0s }"]),
    );
    page.reload(BROKEN);
    hook.wait_for("the failing channel", |all| about_the_channel(all, "firing") == 1);
    scene.settle(&page, 2);
    assert_eq!(gone.received().len(), 1);
}
