//! Identities with a token: given, or got by OAuth2.

use super::*;
use crate::model::{Grant, OAuth2};

fn api(token: &str) -> Identity {
    Identity { token: Some(Secret::new(token, "env:T")), ..staff(PASSWORD) }
}

fn steps() -> Value {
    json!({ "steps": [
        { "name": "public", "get": "/public" },
        { "name": "list", "get": "/api", "eventually": { "within": "5s", "every": "10ms" } },
    ] })
}

fn guarded(asked: &Asked) -> Option<String> {
    let known = asked.header("authorization") == Some("Bearer t0ken-value");
    match asked.line.as_str() {
        "GET /api" if !known => answer(401, &["www-authenticate: Bearer error=\"invalid_token\""], ""),
        _ => data(json!([])),
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_shown_no_more() {
    let portal = Portal::start(guarded).await;
    let seen = Stage::of(api("0ld-token-value")).run(&portal, steps()).await;
    assert_eq!((seen.ids(), portal.count("GET /api")), (vec!["journey.refused"], 1));
    assert!(seen.memory.stop.as_ref().is_some_and(|stop| stop.refused));
    assert!(!seen.everything().contains("0ld-token-value"));
    assert_eq!(Stage::of(api("t0ken-value")).run(&portal, steps()).await.ids(), Vec::<&str>::new());
    let nobody = Stage::of(None).run(&portal, json!({ "steps": [{ "name": "list", "get": "/api" }] })).await;
    assert_eq!(
        (nobody.ids(), nobody.memory.stop.is_none()),
        (vec!["journey.status"], true),
        "nothing was shown"
    );
}

#[tokio::test]
async fn a_captured_bearer_goes_to_the_portal_from_then_on() {
    let portal = Portal::start(|asked| match asked.line.as_str() {
        "POST /session" => data(json!({ "auth": { "token": "t0ken-value" } })),
        _ => guarded(asked),
    })
    .await;
    let spec = json!({ "bearer": "token", "steps": [
        { "name": "sign in", "post": "/session", "json": { "password": "{{ identity.password }}" },
          "capture": { "token": { "json": "$.auth.token" } } },
        { "name": "list", "get": "/api", "expect": { "status": 200 } },
    ] });
    let seen = Stage::of(staff(PASSWORD)).run(&portal, spec).await;
    assert_eq!(seen.ids(), Vec::<&str>::new());
    assert_eq!(portal.last("POST /session").header("authorization"), None);
    assert!(!seen.everything().contains("t0ken-value"));
}

fn service(tokens: &Portal, grant: Grant) -> Identity {
    let oauth2 = OAuth2 {
        token_url: Url::parse(&tokens.url("/token")).unwrap(),
        client_id: "me".into(),
        client_secret: Some(Secret::new("cl1ent-secret", "env:S")),
        scopes: Vec::new(),
        grant,
        refresh_token: Some(Secret::new("r3fresh-value", "env:R")),
    };
    Identity { oauth2: Some(oauth2), ..staff(PASSWORD) }
}

async fn with_tokens(grant: Grant, script: fn(&Asked) -> Option<String>) -> (Seen, Portal, Portal) {
    let tokens = Portal::start(script).await;
    let portal = Portal::start(guarded).await;
    let seen = Stage::of(service(&tokens, grant)).run(&portal, steps()).await;
    (seen, tokens, portal)
}

#[tokio::test]
async fn a_token_is_got_before_the_first_step_and_never_told() {
    for grant in [Grant::ClientCredentials, Grant::Password, Grant::RefreshToken] {
        let (seen, tokens, portal) =
            with_tokens(grant, |_| data(json!({ "access_token": "t0ken-value", "token_type": "bearer" })))
                .await;
        assert_eq!((seen.ids(), tokens.lines().len()), (vec![], 1), "{grant:?}");
        assert_eq!(portal.last("GET /api").header("authorization"), Some("Bearer t0ken-value"));
        assert_eq!(tokens.last("POST /token").body.contains("hunter2"), grant == Grant::Password);
        for secret in ["t0ken-value", "cl1ent-secret", "r3fresh-value", PASSWORD] {
            assert!(!seen.everything().contains(secret), "{secret}");
        }
    }
}

#[tokio::test]
async fn a_rotated_refresh_token_is_told_because_the_next_run_may_be_refused() {
    let (seen, ..) = with_tokens(Grant::RefreshToken, |_| {
        data(json!({ "access_token": "t0ken-value", "refresh_token": "n3w-refresh-value" }))
    })
    .await;
    assert_eq!(seen.ids(), ["journey.token_rotated"]);
    assert!(!seen.everything().contains("n3w-refresh-value"));
}

#[tokio::test]
async fn a_refused_client_is_held_and_the_portal_is_not_asked() {
    let (seen, tokens, portal) =
        with_tokens(Grant::ClientCredentials, |_| answer(401, &[], r#"{"error":"invalid_client"}"#)).await;
    assert_eq!((seen.ids(), seen.unknown), (vec!["journey.refused"], None));
    assert!(seen.summary().contains("invalid_client"), "{}", seen.summary());
    assert!(portal.lines().is_empty());
    let again = Stage::of(service(&tokens, Grant::ClientCredentials)).after(seen, 60);
    assert_eq!(again.run(&portal, steps()).await.ids(), ["journey.refused"]);
    assert_eq!(tokens.lines().len(), 1);
}

#[tokio::test]
async fn an_endpoint_that_throttles_is_unknown_and_one_that_is_broken_is_what_fails() {
    let (seen, ..) = with_tokens(Grant::Password, |_| answer(429, &["retry-after: 30"], "")).await;
    assert_eq!((seen.ids(), seen.unknown), (vec![], Some(Cause::Blocked)));
    for script in [
        (|_| answer(500, &[], "oops")) as fn(&Asked) -> _,
        |_| html("a page"),
        |_| answer(400, &[], r#"{"error":"invalid_scope"}"#),
    ] {
        let (seen, _, portal) = with_tokens(Grant::Password, script).await;
        assert_eq!((seen.ids(), seen.unknown), (vec!["journey.no_token"], None));
        assert!(seen.memory.stop.is_none() && portal.lines().is_empty());
        assert!(!seen.observed.transport);
    }
    let (seen, ..) = with_tokens(Grant::Password, |_| Some(String::new())).await;
    assert_eq!(seen.ids(), ["journey.unreachable"]);
    assert!(seen.observed.transport);
}
