//! Answers that are not what they should be.

use super::*;

async fn seen(portal: &Portal, steps: Value) -> Seen {
    Stage::of(staff(PASSWORD)).run(portal, json!({ "steps": steps })).await
}

/// A page with a form behind so many bytes.
fn large(filler: &str, bytes: usize) -> Option<String> {
    html(&format!("<html><body>{}{LOGIN_PAGE}", filler.repeat(bytes / filler.len())))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_page_of_ten_megabytes_is_read_as_far_as_the_step_says() {
    let step = |most: &str| {
        let capture = json!({ "login": { "form": "form#login" } });
        json!([{ "name": "a", "get": "/", "max_body": most, "capture": capture }])
    };
    let portal = Portal::start(|_| large("<p>filler &amp; more", 400_000)).await;
    assert_eq!(seen(&portal, step("1MiB")).await.ids(), Vec::<&str>::new());
    let cut = seen(&portal, step("300KiB")).await;
    assert_eq!(cut.ids(), ["journey.capture"]);
    assert_eq!(cut.step("a").size, Some(300 << 10));
    let many = Portal::start(|_| large("<br>", 10_000_000)).await;
    let refused = seen(&many, step("11MiB")).await;
    assert_eq!(refused.ids(), ["journey.capture"]);
    assert!(refused.summary().contains("elements"), "{}", refused.summary());
}

#[tokio::test]
async fn two_fields_of_one_name_with_different_values_are_a_fault() {
    let portal = Portal::start(|_| {
        html("<form><input name=csrf value=one></form><form><input name=csrf value=two></form>")
    })
    .await;
    let seen =
        seen(&portal, json!([{ "name": "a", "get": "/", "capture": { "csrf": { "field": "csrf" } } }])).await;
    assert_eq!(seen.ids(), ["journey.capture"]);
    assert!(!seen.summary().contains("one"), "{}", seen.summary());
}

#[tokio::test]
async fn a_page_of_another_user_is_found() {
    let portal = Portal::start(|asked| match asked.line.as_str() {
        "GET /api/me" => data(json!({ "name": "somebody", "id": 8 })),
        "GET /dashboard" => html("Signed in as somebody"),
        _ => usual(asked),
    })
    .await;
    for (expect, part) in [
        (json!({ "body": { "contains": "Signed in as {{ identity.username }}" } }), "/dashboard"),
        (json!({ "json": { "$.name": "{{ identity.username }}" } }), "/api/me"),
    ] {
        let mut spec = signing_in(&[json!({ "name": "home", "get": "/home" })]);
        spec["steps"][1].as_object_mut().unwrap().remove("expect");
        spec["steps"][2] = json!({ "name": "mine", "get": part, "expect": expect });
        let seen = Stage::of(staff(PASSWORD)).run(&portal, spec).await;
        assert_eq!(seen.ids(), ["journey.expectation"]);
        assert!(seen.summary().contains("probe"), "{}", seen.summary());
    }
}

#[tokio::test]
async fn an_expectation_compares_with_a_capture_of_its_own_type() {
    let portal = Portal::start(|_| data(json!({ "id": 7, "text": "7" }))).await;
    let steps = |path: &str| {
        json!([
            { "name": "a", "get": "/", "capture": { "id": { "json": "$.id" } } },
            { "name": "b", "get": "/", "expect": { "json": { path: "{{ id }}" } } },
        ])
    };
    assert_eq!(seen(&portal, steps("$.id")).await.ids(), Vec::<&str>::new());
    assert_eq!(seen(&portal, steps("$.text")).await.ids(), ["journey.expectation"]);
}

#[tokio::test]
async fn a_body_that_is_cut_off_is_no_answer() {
    let portal = Portal::start(|_| Some("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf".into())).await;
    for step in [
        json!({ "name": "a", "get": "/" }),
        json!({ "name": "a", "get": "/", "expect": { "body": { "contains": "whole" } } }),
    ] {
        let seen = seen(&portal, json!([step])).await;
        assert_eq!(seen.ids(), ["journey.unreachable"]);
        assert!(seen.summary().contains("after status 200"), "{}", seen.summary());
    }
}

#[tokio::test]
async fn what_a_server_says_of_itself_is_shown_without_secrets() {
    let portal = Portal::start(|asked| match asked.line.as_str() {
        "GET /start" => data(json!({ "id": { "inner": "n3sted-secret" } })),
        "GET /a" => {
            moved(302, "/end/n3sted-secret?state=st4te-value&ticket=ST-1-abcdef", &["sid=s3ssion-value"])
        }
        _ => answer(
            500,
            &["x-echo: s3ssion-value", "set-cookie: sid=0ther-session"],
            "n3sted-secret s3ssion-value",
        ),
    })
    .await;
    let steps = json!([
        { "name": "start", "get": "/start", "capture": { "id": { "json": "$.id" } } },
        { "name": "a", "get": "/a" },
    ]);
    let seen = Stage::of(None).run(&portal, json!({ "evidence": "body", "steps": steps })).await;
    assert_eq!(seen.ids(), ["journey.status"]);
    let everything = seen.everything();
    for secret in ["n3sted-secret", "s3ssion-value", "0ther-session", "st4te-value", "ST-1-abcdef"] {
        assert!(!everything.contains(secret), "{secret}: {everything}");
    }
    assert!(everything.contains("x-echo") && everything.contains("/end/"), "{everything}");
}

#[tokio::test]
async fn a_body_is_shown_before_the_sign_in_and_not_after_it() {
    let portal = Portal::start(|asked| match asked.line.as_str() {
        "GET /broken" => answer(500, &[], "Traceback of the portal"),
        _ => usual(asked),
    })
    .await;
    let broken = json!({ "name": "broken", "get": "/broken" });
    let mut before = signing_in(&[]);
    before["steps"].as_array_mut().unwrap().insert(0, broken.clone());
    let stage = Stage::of(staff(PASSWORD));
    assert!(stage.run(&portal, before).await.everything().contains("Traceback"));
    assert!(!stage.run(&portal, signing_in(&[broken])).await.everything().contains("Traceback"));
}

#[tokio::test]
async fn ordinary_fields_of_a_form_leave_every_address_readable_and_its_token_does_not() {
    let page = "<form id=f method=post action='/issue1?step=login'><input type=hidden name='@action' value=login>\
        <input type=hidden name=size value=2024><input type=hidden name=__came_from value='/issue1'>\
        <input type=hidden name=csrf value='8f14e45fceea167a'></form>";
    let portal = Portal::start(move |asked| match asked.line.as_str() {
        "GET /issue1" => html(page),
        _ => answer(500, &["x-echo: 8f14e45fceea167a"], "login at issue1 in 2024 failed: 8f14e45fceea167a"),
    })
    .await;
    let steps = json!([
        { "name": "page", "get": "/issue1", "capture": { "f": { "form": "form#f" } } },
        { "name": "send", "submit": "f" },
    ]);
    let seen = Stage::of(None).run(&portal, json!({ "evidence": "body", "steps": steps })).await;
    assert_eq!(seen.ids(), ["journey.status"]);
    assert_eq!(seen.step("send").final_url, portal.url("/issue1?step=login"));
    let said = seen.step("send").excerpt.as_deref();
    assert_eq!(said, Some("login at issue1 in 2024 failed: <csrf>"));
    assert!(!seen.everything().contains("8f14e45fceea167a"), "{}", seen.everything());
}
