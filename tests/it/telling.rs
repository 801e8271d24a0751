//! People are told, once, and nothing is lost: the daemon as a process, with real and with scripted
//! peers.
#![expect(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod crashes;
mod groups;
pub mod hook;
mod mail;
mod refusals;
mod relay;
mod scene;

use std::process::Command;

use crate::peers::{Nginx, SmtpServer};
pub use scene::{BROKEN, WELL};
use scene::{Scene, TO_MAIL, acme, exim, mails, notify};

/// The secret webhooks are signed with.
pub const HOOK_SECRET: &str = "whsec_ZXhhbXBsZSBrZXkgb2YgdGhlIHRlc3Rz";

#[test]
fn a_page_that_breaks_is_told_once_and_so_is_its_repair_in_the_same_thread() {
    let mut page = Nginx::start(WELL);
    let server = SmtpServer::start();
    let scene = Scene::start(&acme(&page, &["health"]), &notify(&exim(&server), &[TO_MAIL]));
    scene.settle(&page, 3);
    assert!(server.mailbox().messages().is_empty(), "a healthy page is no news");

    page.reload(BROKEN);
    let told = mails(&server, 1, &scene);
    let opening = &told[0];
    let subject = opening.subject();
    assert!(subject.starts_with("[acme] DOWN health: ") && subject.ends_with("(3/3)"), "{subject}");
    assert!(subject.contains("answered 502"), "{subject}");
    let text = &opening.text;
    assert_eq!(opening.fact("Check"), Some("acme/health"));
    assert_eq!(opening.fact("Severity"), Some("critical"));
    let since = opening.fact("Since").unwrap();
    assert!(since.contains(" +01:00 (") || since.contains(" +02:00 ("), "{since}");
    let finding = opening.fact("Finding").unwrap();
    assert!(finding.contains("http.status") && finding.contains("502"), "{finding}");
    let evidence = opening.fact("Evidence").unwrap();
    assert!(
        evidence.contains("200") && evidence.contains(&format!("127.0.0.1:{}", page.port())),
        "{evidence}"
    );
    assert!(opening.fact("Last good").unwrap().contains("ago"), "{text}");
    assert!(text.contains("portalwatch check 'acme/health'"), "{text}");
    assert!(text.contains("  curl -sS -i") && text.contains(&format!("'{}/health'", page.url())), "{text}");
    assert!(text.contains("portalwatch explain http.status"), "{text}");
    let dashboard = format!("http://localhost:{}/", scene.port());
    assert_eq!(opening.fact("Dashboard"), Some(dashboard.as_str()));
    assert!(opening.html.contains("answered 502") && opening.html.contains(&dashboard), "{}", opening.html);
    assert_eq!(opening.header("Auto-Submitted").as_deref(), Some("auto-generated"));
    assert!(opening.id().starts_with('<') && opening.id().ends_with("@acme.example>"));
    assert_eq!(opening.parent(), None);
    assert!(!text.contains(SmtpServer::PASSWORD));

    scene.settle(&page, 4);
    assert_eq!(server.mailbox().messages().len(), 1, "told once");
    page.reload(WELL);
    let told = mails(&server, 2, &scene);
    let subject = told[1].subject();
    assert!(subject.starts_with("[acme] RESOLVED health: ") && subject.contains("(after "), "{subject}");
    assert_eq!(told[1].parent(), Some(told[0].id()));
    assert!(told[1].fact("Time").unwrap().starts_with("was down from "), "{}", told[1].text);
    scene.settle(&page, 4);
    assert_eq!(server.mailbox().messages().len(), 2, "{}", scene.log());
}

#[test]
fn a_test_message_goes_out_for_real_or_says_why_not() {
    let page = Nginx::start(WELL);
    let mut server = SmtpServer::start();
    let scene = Scene::start(&acme(&page, &["health"]), &notify(&exim(&server), &[TO_MAIL]));
    let run = |channel: &str, password: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_portalwatch"))
            .args(["notify", "test", channel, "-c"])
            .arg(scene.config())
            .env_clear()
            .env("SMTP_PASSWORD", password)
            .output()
            .unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, said) = run("mail", SmtpServer::PASSWORD);
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("mail: sent: ") && said.contains("250 "), "{said}");
    let sent = mails(&server, 1, &scene);
    assert!(sent[0].subject().starts_with("[portalwatch] TEST mail: "), "{}", sent[0].subject());

    let (code, said) = run("mail", "a wrong password");
    assert_eq!(code, 2, "{said}");
    assert!(said.starts_with("mail: NOT sent: ") && said.contains("AUTH as alerts"), "{said}");
    assert!(!said.contains("a wrong password"), "{said}");
    assert_eq!(run("nobody", SmtpServer::PASSWORD).0, 64);
    server.stop();
    let (code, said) = run("mail", SmtpServer::PASSWORD);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("refused"), "{said}");
    assert_eq!(server.mailbox().messages().len(), 1);
}
