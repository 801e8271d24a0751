//! Cookies, credentials and what a browser would add.

use super::*;

#[tokio::test]
async fn cookies_of_every_hop_go_along_and_are_judged() {
    let portal = Portal::start(|asked| match asked.line.as_str() {
        "POST /login" => moved(302, "/hop", &["first=1; Path=/"]),
        "GET /hop" => moved(303, "/dashboard", &["second=2; Path=/", "first=3; Path=/"]),
        _ => html("ok"),
    })
    .await;
    let steps = json!([
        { "name": "sign in", "post": "/login", "form": { "p": "{{ identity.password }}" } },
        { "name": "later", "get": "/later" },
    ]);
    let seen = Stage::of(staff(PASSWORD)).run(&portal, json!({ "steps": steps })).await;
    assert_eq!(seen.ids(), Vec::<&str>::new());
    assert_eq!(portal.last("GET /hop").header("cookie"), Some("first=1"));
    for line in ["GET /dashboard", "GET /later"] {
        assert_eq!(portal.last(line).header("cookie"), Some("first=3; second=2"), "{line}");
    }
    assert_eq!(portal.last("GET /dashboard").header("content-type"), None);
    let cookies = &seen.facts().cookies;
    assert_eq!(cookies.len(), 3);
    assert!(cookies.iter().all(|cookie| cookie.signing_in));
    assert!(seen.findings.iter().any(|finding| finding.id.as_str() == "journey.cookie_http_only"));
}

#[tokio::test]
async fn no_credential_follows_a_redirect_to_another_origin() {
    let other = Portal::start(|_| html("other")).await;
    let (found, kept) = (other.url("/found"), other.url("/kept"));
    let portal = Portal::start(move |asked| match asked.line.as_str() {
        "POST /found" => moved(302, &found, &[]),
        "POST /kept" => moved(307, &kept, &[]),
        "GET /start" => answer(
            200,
            &[
                "set-cookie: sid=s3ssion-value; Path=/",
                "set-cookie: xsrf=x5rf; Path=/",
                "content-type: text/html",
            ],
            "x",
        ),
        _ => html("own"),
    })
    .await;
    let post = |name: &str| {
        json!({ "name": name, "post": format!("/{name}"), "form": { "p": "{{ identity.password }}" },
            "headers": { "x-api-key": "k3y-value", "x-own": "{{ identity.password }}", "x-plain": "stays" } })
    };
    let spec = |name: &str| {
        json!({ "csrf": { "cookie": "xsrf", "header": "x-csrf" },
            "steps": [{ "name": "start", "get": "/start" }, post(name)] })
    };
    let identity = Identity { token: Some(Secret::new("t0ken-value", "env:T")), ..staff(PASSWORD) };
    let stage = Stage::of(identity);
    let seen = stage.run(&portal, spec("found")).await;
    assert_eq!(seen.ids(), Vec::<&str>::new());
    let sent = portal.last("POST /found");
    for (name, value) in [
        ("cookie", "sid=s3ssion-value; xsrf=x5rf"),
        ("authorization", "Bearer t0ken-value"),
        ("x-csrf", "x5rf"),
        ("x-own", PASSWORD),
    ] {
        assert_eq!(sent.header(name), Some(value), "{sent:?}");
    }
    let got = other.last("GET /found");
    for secret in ["s3ssion", "t0ken", "x5rf", "hunter2", "k3y"] {
        assert!(!format!("{got:?}").contains(secret), "{secret}: {got:?}");
    }
    assert_eq!(got.header("x-plain"), Some("stays"));
    let seen = stage.run(&portal, spec("kept")).await;
    assert_eq!(
        (seen.ids(), other.lines().len()),
        (vec!["journey.redirect"], 1),
        "the body would have gone along"
    );
}

#[tokio::test]
async fn what_a_page_of_another_origin_asks_for_gets_no_token() {
    let other = Portal::start(|_| html("other")).await;
    let portal = Portal::start(|_| html("own")).await;
    let identity = Identity { token: Some(Secret::new("t0ken-value", "env:T")), ..staff(PASSWORD) };
    let steps =
        json!([{ "name": "own", "get": "/" }, { "name": "other", "post": other.url("/x"), "body": "x" }]);
    let seen = Stage::of(identity).run(&portal, json!({ "steps": steps })).await;
    assert_eq!(seen.ids(), Vec::<&str>::new());
    assert_eq!(portal.last("GET /").header("authorization"), Some("Bearer t0ken-value"));
    assert_eq!(other.last("POST /x").header("authorization"), None);
}

#[tokio::test]
async fn a_form_is_submitted_as_from_its_page() {
    let portal = Portal::start(usual).await;
    let spec = signing_in(&[json!({ "name": "dashboard", "get": "/dashboard" })]);
    let seen = Stage::of(staff(PASSWORD)).run(&portal, spec).await;
    assert_eq!(seen.ids(), Vec::<&str>::new());
    let first = portal.last("GET /login");
    assert_eq!((first.header("referer"), first.header("origin")), (None, None));
    let sent = portal.last("POST /login");
    assert_eq!(sent.header("referer"), Some(portal.url("/login").as_str()));
    assert_eq!(sent.header("origin"), Some(portal.url("").as_str()));
    assert_eq!(sent.body, "csrf=t0k-of-the-form&user=probe&password=hunter2%2Bhunter2");
    let next = portal.last("GET /dashboard");
    assert_eq!(
        (next.header("referer"), next.header("origin")),
        (Some(portal.url("/dashboard").as_str()), None)
    );
    assert!(!seen.everything().contains("t0k-of-the-form") && !seen.everything().contains("hunter2"));
}

#[tokio::test]
async fn a_double_submit_repeats_the_newest_cookie_on_methods_that_change_something() {
    let portal = Portal::start(|asked| match asked.line.as_str() {
        "GET /" => answer(200, &["set-cookie: XSRF-TOKEN=a%2Bb; Path=/"], ""),
        _ => answer(200, &["set-cookie: XSRF-TOKEN=second; Path=/"], ""),
    })
    .await;
    let spec = json!({
        "csrf": { "cookie": "XSRF-TOKEN", "header": "X-XSRF-TOKEN" },
        "steps": [{ "name": "a", "get": "/" }, { "name": "b", "post": "/b", "json": {} },
                  { "name": "c", "delete": "/c" }, { "name": "d", "get": "/d" }],
    });
    let seen = Stage::of(None).run(&portal, spec).await;
    assert_eq!(seen.ids(), Vec::<&str>::new());
    let tokens: Vec<Option<String>> =
        portal.requests().iter().map(|asked| asked.header("x-xsrf-token").map(str::to_owned)).collect();
    assert_eq!(tokens, [None, Some("a+b".into()), Some("second".into()), None]);
}

#[tokio::test]
async fn a_redirect_loop_through_the_sign_in_page_ends_and_shows_the_credential_once() {
    let portal = Portal::start(|asked| match asked.line.as_str() {
        "POST /login" => moved(302, "/dashboard", &["sid=not-accepted; Secure"]),
        "GET /dashboard" => moved(302, "/login", &[]),
        _ => moved(302, "/dashboard", &[]),
    })
    .await;
    let steps = json!([{ "name": "sign in", "post": "/login", "form": { "p": "{{ identity.password }}" } }]);
    let seen = Stage::of(staff(PASSWORD)).run(&portal, json!({ "steps": steps })).await;
    assert_eq!(seen.ids(), ["journey.redirect"]);
    assert_eq!(portal.count("POST /login"), 1);
    assert!(seen.memory.stop.is_none(), "the portal said nothing of the credential");
}

#[tokio::test]
async fn a_cookie_bomb_neither_fills_the_run_nor_hides_the_session() {
    let portal = Portal::start(|asked| {
        let number: usize = asked.line.rsplit('/').next().unwrap().parse().unwrap();
        let many: Vec<String> = (0..90)
            .map(|index| format!("set-cookie: c{number}-{index}={}; Path=/", "x".repeat(500)))
            .collect();
        answer(200, &many.iter().map(String::as_str).collect::<Vec<_>>(), "")
    })
    .await;
    let steps: Vec<Value> =
        (0..20).map(|n| json!({ "name": n.to_string(), "get": format!("/{n}") })).collect();
    let seen = Stage::of(None).run(&portal, json!({ "steps": steps })).await;
    assert_eq!(seen.names().len(), 20);
    assert!(seen.facts().cookies.len() <= 100, "{}", seen.facts().cookies.len());
    let longest = portal.requests().iter().filter_map(|asked| asked.header("cookie").map(str::len)).max();
    assert!(longest.unwrap() <= super::super::session::LONGEST_COOKIE_HEADER);
}

fn out(replay: &str) -> Value {
    let mut spec = signing_in(&[json!({ "name": "dashboard", "get": "/dashboard" })]);
    spec["sign_out"] = json!({ "post": "/logout", "replay": replay });
    spec
}

#[tokio::test]
async fn a_session_that_lives_on_after_its_sign_out_is_found() {
    // It deletes the cookie and forgets to end the session.
    let portal = Portal::start(usual).await;
    let seen = Stage::of(staff(PASSWORD)).run(&portal, out("/dashboard")).await;
    assert_eq!(seen.ids(), ["journey.session_outlives"]);
    assert!(portal.last("GET /dashboard").header("cookie").unwrap().contains("sid=s3ssion-value"));
    let mut by_default = out("/dashboard");
    by_default["sign_out"].as_object_mut().unwrap().remove("replay");
    assert_eq!(Stage::of(staff(PASSWORD)).run(&portal, by_default).await.ids(), ["journey.session_outlives"]);
}

#[tokio::test]
async fn a_dead_session_is_proven_and_an_outage_proves_nothing() {
    let ended = std::sync::atomic::AtomicBool::new(false);
    let portal = Portal::start(move |asked| {
        use std::sync::atomic::Ordering::SeqCst;
        if asked.line == "POST /logout" {
            ended.store(true, SeqCst);
        }
        match asked.line.as_str() {
            "POST /login" => {
                ended.store(false, SeqCst);
                usual(asked)
            }
            "GET /down" => answer(503, &[], ""),
            "GET /dashboard" if ended.load(SeqCst) => moved(302, "/login", &[]),
            _ => usual(asked),
        }
    })
    .await;
    let seen = Stage::of(staff(PASSWORD)).run(&portal, out("/dashboard")).await;
    assert_eq!(seen.ids(), Vec::<&str>::new());
    assert!(seen.facts().sign_out.as_ref().unwrap().unproven.is_none());
    let seen = Stage::of(staff(PASSWORD)).run(&portal, out("/down")).await;
    assert_eq!(seen.ids(), ["journey.sign_out"]);
    assert!(seen.summary().contains("answered 503"), "{}", seen.summary());
}

#[tokio::test]
async fn nobody_signs_out_who_did_not_get_in() {
    let portal = Portal::start(usual).await;
    let seen = Stage::of(staff("wrong")).run(&portal, out("/dashboard")).await;
    assert_eq!(seen.ids(), ["journey.refused"]);
    assert!(seen.facts().sign_out.is_none() && portal.count("POST /logout") == 0);
}
