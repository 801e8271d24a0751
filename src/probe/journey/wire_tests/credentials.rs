//! Refusals, lock-outs and throttles.

use super::*;
use crate::net::fakes::{Authority, tls_server};

#[tokio::test]
async fn a_wrong_password_is_shown_once_and_not_again_before_the_guard_is_over() {
    let portal = Portal::start(usual).await;
    let spec = || signing_in(&[json!({ "name": "dashboard", "get": "/dashboard" })]);
    let mut stage = Stage::of(staff("wrong-password"));
    let seen = stage.run(&portal, spec()).await;
    assert_eq!((seen.ids(), seen.unknown), (vec!["journey.refused"], None));
    assert_eq!((seen.names(), portal.count("POST /login")), (vec!["page", "sign in"], 1));
    assert!(!seen.everything().contains("wrong-password"));
    stage = stage.after(seen, 300);
    let held = stage.run(&portal, spec()).await;
    assert_eq!((held.ids(), held.facts().steps.len()), (vec!["journey.refused"], 0));
    assert_eq!(portal.lines().len(), 2, "nothing was sent");
    // Whoever changes the password is looked at at once.
    let changed = Stage {
        memory: Journey::settings_changed(held.memory.clone()),
        identity: Some(staff(PASSWORD)),
        ..Stage::of(None)
    };
    assert_eq!(changed.run(&portal, spec()).await.ids(), Vec::<&str>::new());
    stage = stage.after(held, 601);
    assert_eq!(stage.run(&portal, spec()).await.ids(), ["journey.refused"]);
    assert_eq!(portal.count("POST /login"), 3);
}

#[tokio::test]
async fn the_page_behind_a_sign_in_that_says_nothing_tells_of_the_refusal() {
    let portal = Portal::start(usual).await;
    let steps = json!([
        { "name": "page", "get": "/login", "capture": { "login": { "form": "form" } } },
        { "name": "sign in", "submit": "login", "form": { "password": "{{ identity.password }}" } },
        { "name": "dashboard", "get": "/dashboard", "expect": { "body": { "contains": "Signed in as" } } },
    ]);
    let seen = Stage::of(staff("wrong")).run(&portal, json!({ "steps": steps })).await;
    assert_eq!(seen.ids(), ["journey.refused"]);
    assert_eq!(seen.findings[0].subject, "dashboard");
    assert!(seen.memory.stop.is_some());
}

async fn answered_by(script: fn() -> Option<String>) -> (Seen, usize) {
    let portal =
        Portal::start(move |asked| if asked.line == "POST /login" { script() } else { usual(asked) }).await;
    let seen = Stage::of(staff(PASSWORD)).run(&portal, signing_in(&[])).await;
    (seen, portal.count("POST /login"))
}

#[tokio::test]
async fn a_broken_sign_in_is_no_refused_credential() {
    for (script, id) in [
        ((|| answer(500, &[], "oops")) as fn() -> _, "journey.status"),
        (|| answer(404, &[], ""), "journey.status"),
        (|| answer(403, &[], "Forbidden: CSRF verification failed."), "journey.status"),
        (|| Some(String::new()), "journey.unreachable"),
    ] {
        let (seen, shown) = answered_by(script).await;
        assert_eq!((seen.ids(), shown), (vec![id], 1));
        assert!(seen.memory.stop.is_none(), "{id}");
    }
}

#[tokio::test]
async fn a_throttle_a_lock_out_and_a_challenge_are_unknown_and_waited_for() {
    for (script, wait) in [
        ((|| answer(429, &["retry-after: 120"], "slow down")) as fn() -> _, Some(120)),
        (|| answer(429, &[], ""), None),
        (|| html("Too many failed login attempts. Try again later."), Some(900)),
        (|| answer(403, &["cf-mitigated: challenge"], "<html>"), None),
    ] {
        let (seen, shown) = answered_by(script).await;
        assert_eq!((seen.ids(), seen.unknown, shown), (vec![], Some(Cause::Blocked), 1));
        let start = Stage::of(None).at;
        let until = seen.memory.stop.map(|stop| stop.until.duration_since(start).as_secs());
        assert_eq!(until, wait);
    }
}

#[tokio::test]
async fn a_held_block_sends_nothing_and_stays_unknown() {
    let portal = Portal::start(|_| answer(429, &["retry-after: 120"], "")).await;
    let spec = || json!({ "steps": [{ "name": "a", "get": "/" }] });
    let mut stage = Stage::of(None);
    let seen = stage.run(&portal, spec()).await;
    stage = stage.after(seen, 60);
    let held = stage.run(&portal, spec()).await;
    assert_eq!((held.ids(), held.unknown, portal.lines().len()), (vec![], Some(Cause::Blocked), 1));
    stage = stage.after(held, 61);
    stage.run(&portal, spec()).await;
    assert_eq!(portal.lines().len(), 2);
}

#[tokio::test]
async fn a_throttled_clean_up_does_not_make_an_outage_unknown() {
    let portal = Portal::start(|asked| match asked.line.as_str() {
        "POST /t" => data(json!({ "id": 7 })),
        "DELETE /t/7" => answer(429, &["retry-after: 600"], ""),
        _ => answer(500, &[], ""),
    })
    .await;
    let spec = json!({
        "steps": [
            { "name": "create", "write": true, "post": "/t", "json": { "t": "{{ run.id }}" },
              "capture": { "id": { "json": "$.id", "keep": true } } },
            { "name": "read", "get": "/t/{{ id }}" },
        ],
        "cleanup": [{ "delete": "/t/{{ id }}" }],
        "sweep": [{ "get": "/t?q={{ run.id }}", "each": "$[*].id", "then": { "delete": "/t/{{ item }}" } }],
    });
    let stage = Stage { ledger: Some(MemoryLedger::default()), ..Stage::of(None) };
    let seen = stage.run(&portal, spec).await;
    assert_eq!((seen.ids(), seen.unknown), (vec!["journey.status", "journey.left_behind"], None));
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_a_portal_that_asks_for_one() {
    let authority = Authority::new();
    let server = authority.issue("127.0.0.1", |_| {});
    let address = tls_server(authority.server(&server, &["http/1.1"], true)).await;
    let spec = || json!({ "steps": [{ "name": "a", "get": "/", "expect": { "body": "ok" } }] });
    let device = authority.issue("device.example", |_| {});
    let client = Some((device.cert.as_str().into(), Secret::new(device.key, "file:device.key")));
    let shown = Stage { tls: TlsOptions { client, ..authority.trusted() }, ..Stage::of(None) };
    let url = format!("https://{address}/");
    assert_eq!(shown.run_at(&url, spec()).await.ids(), Vec::<&str>::new());
    let without = Stage { tls: authority.trusted(), ..Stage::of(None) };
    let seen = without.run_at(&url, spec()).await;
    assert_eq!((seen.ids(), seen.observed.transport), (vec!["journey.unreachable"], true));
}
