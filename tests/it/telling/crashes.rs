//! `kill -9` at each moment at which a message could be lost or told twice.

use super::relay::Relay;
use super::scene::{BROKEN, Scene, TO_MAIL, WELL, acme, exim, mails, notify};
use crate::peers::{Nginx, SmtpServer};

#[test]
fn killed_after_the_opening_it_neither_repeats_it_nor_forgets_the_end() {
    let mut page = Nginx::start(WELL);
    let server = SmtpServer::start();
    let mut scene = Scene::start(&acme(&page, &["health"]), &notify(&exim(&server), &[TO_MAIL]));
    page.reload(BROKEN);
    let opening = mails(&server, 1, &scene).remove(0);
    scene.settle(&page, 1);
    scene.kill9();
    scene.launch();
    scene.settle(&page, 4);
    assert_eq!(server.mailbox().messages().len(), 1, "no second opening: {}", scene.log());

    scene.kill9();
    page.reload(WELL);
    scene.launch();
    let told = mails(&server, 2, &scene);
    assert!(told[1].subject().starts_with("[acme] RESOLVED health"), "{}", told[1].subject());
    assert_eq!(told[1].parent(), Some(opening.id()));
    scene.settle(&page, 3);
    assert_eq!(server.mailbox().messages().len(), 2, "{}", scene.log());
}

#[test]
fn killed_between_commit_and_delivery_it_tells_after_the_restart() {
    let mut page = Nginx::start(WELL);
    let mut server = SmtpServer::start();
    let mut scene = Scene::start(&acme(&page, &["health"]), &notify(&exim(&server), &[TO_MAIL]));
    server.stop();
    page.reload(BROKEN);
    scene.wait_pending();
    scene.kill9();
    server.restart();
    scene.launch();
    let told = mails(&server, 1, &scene);
    assert!(told[0].subject().starts_with("[acme] DOWN health"), "{}", told[0].subject());
    scene.settle(&page, 3);
    page.reload(WELL);
    let told = mails(&server, 2, &scene);
    assert_eq!(told[1].parent(), Some(told[0].id()));
    scene.settle(&page, 3);
    assert_eq!(server.mailbox().messages().len(), 2, "{}", scene.log());
}

#[test]
fn killed_while_a_mail_is_in_the_air_it_repeats_it_under_the_same_key_before_the_end() {
    let mut page = Nginx::start(WELL);
    // After the restart the end of the incident is there before the relay is well again.
    let relay = Relay::start(vec![vec![("end", "")], vec![("greeting", "421 starting")]]);
    let mut scene = Scene::start(&acme(&page, &["health"]), &notify(&relay.channel("tls: none"), &[TO_MAIL]));
    page.reload(BROKEN);
    let first = relay.handed(1).remove(0);
    assert!(first.subject().starts_with("[acme] DOWN health"), "{}", first.subject());
    scene.kill9();
    page.reload(WELL);
    scene.launch();
    let told = relay.handed(3);
    assert_eq!((told[1].id(), told[1].key()), (first.id(), first.key()));
    assert_eq!(told[1].subject(), first.subject());
    assert!(told[2].subject().starts_with("[acme] RESOLVED health"), "{}", told[2].subject());
    assert_ne!(told[2].key(), first.key());
    assert_eq!(told[2].parent(), Some(first.id()));
    scene.settle(&page, 3);
    assert_eq!(relay.handed(3).len(), 3, "{}", scene.log());
}
