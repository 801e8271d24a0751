//! Steps: optional, conditional, repeated, awaited, out of time.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[tokio::test]
async fn an_optional_step_is_noted_and_the_journey_goes_on() {
    let portal =
        Portal::start(|asked| if asked.line == "GET /news" { answer(500, &[], "") } else { html("ok") })
            .await;
    let steps = json!([
        { "name": "news", "get": "/news", "optional": true, "capture": { "x": { "header": "etag" } } },
        { "name": "skipped", "get": "/{{ x }}", "when": "x is defined" },
        { "name": "home", "get": "/" },
    ]);
    let seen = Stage::of(None).run(&portal, json!({ "steps": steps })).await;
    assert_eq!(seen.ids(), ["journey.optional"]);
    assert_eq!(portal.lines(), ["GET /news", "GET /"]);
    assert_eq!(seen.step("skipped").left_out.as_deref(), Some("not: x is defined"));
    let times: Vec<&str> = seen.observed.steps.iter().map(|time| &*time.name).collect();
    assert_eq!(times, ["news", "home"]);
    assert_eq!(seen.observed.status, Some(200));
}

#[tokio::test]
async fn the_first_failing_step_ends_the_journey() {
    let portal =
        Portal::start(|asked| if asked.line == "GET /b" { answer(500, &[], "") } else { html("ok") }).await;
    let steps: Vec<Value> =
        ["a", "b", "c"].map(|name| json!({ "name": name, "get": format!("/{name}") })).to_vec();
    let seen = Stage::of(None).run(&portal, json!({ "steps": steps })).await;
    assert_eq!(
        (seen.ids(), portal.lines()),
        (vec!["journey.status"], vec!["GET /a".to_owned(), "GET /b".to_owned()])
    );
    assert_eq!(seen.summary(), "step 2 of 3, GET /b: answered 500, expected 200–299");
    assert_eq!(seen.observed.status, Some(500));
}

fn counting(
    script: impl Fn(usize) -> Option<String> + Send + Sync + 'static,
) -> impl Fn(&Asked) -> Option<String> + Send + Sync {
    let count = AtomicUsize::new(0);
    move |_| script(count.fetch_add(1, Ordering::SeqCst) + 1)
}

#[tokio::test]
async fn a_step_is_asked_again_until_its_expectations_hold() {
    let portal = Portal::start(counting(|turn| match turn {
        1 => answer(404, &["x-turn: first"], "nothing yet"),
        2 => Some(String::new()),
        _ => data(json!({ "state": "done" })),
    }))
    .await;
    let step = json!({ "name": "a", "get": "/", "expect": { "json": { "$.state": "done" } },
        "eventually": { "within": "20s", "every": "10ms" } });
    let seen = Stage::of(None).run(&portal, json!({ "steps": [step] })).await;
    assert_eq!(seen.ids(), Vec::<&str>::new());
    let step = seen.step("a");
    assert_eq!(
        (step.requests, step.status, step.headers.len()),
        (3, Some(200), 0),
        "of the last attempt only"
    );
}

#[tokio::test]
async fn waiting_ends_and_tells_what_was_last_seen() {
    let portal = Portal::start(counting(|turn| {
        if turn == 1 { answer(404, &["x-turn: first"], "") } else { Some(String::new()) }
    }))
    .await;
    let step = json!({ "name": "a", "get": "/", "eventually": { "within": "50ms", "every": "20ms" } });
    let seen = Stage::of(None).run(&portal, json!({ "steps": [step] })).await;
    assert_eq!(seen.ids(), ["journey.unreachable"]);
    assert!(seen.step("a").requests > 1 && !seen.summary().contains("status"), "{}", seen.summary());
}

#[tokio::test]
async fn a_step_is_repeated_until_it_is_done_and_no_further() {
    let spec = |until: &str| {
        json!({ "steps": [{ "name": "a", "get": "/?turn={{ repeat.index }}",
            "capture": { "left": { "json": "$.left" } }, "repeat": { "times": 5, "until": until } }] })
    };
    let start = || Portal::start(counting(|turn| data(json!({ "left": 3_usize.saturating_sub(turn) }))));
    let portal = start().await;
    let seen = Stage::of(None).run(&portal, spec("left == 0")).await;
    assert_eq!(seen.ids(), Vec::<&str>::new());
    assert_eq!(portal.lines(), ["GET /?turn=1", "GET /?turn=2", "GET /?turn=3"]);
    let portal = start().await;
    let seen = Stage::of(None).run(&portal, spec("left == 9")).await;
    assert_eq!((seen.ids(), portal.lines().len()), (vec!["journey.until"], 5));
    let portal = start().await;
    let seen = Stage::of(None).run(&portal, spec("left.x.y == 9")).await;
    assert_eq!((seen.ids(), portal.lines().len()), (vec!["journey.until"], 1), "it will not change");
}

#[tokio::test]
async fn a_journey_that_is_longer_than_its_time_ends_before_it_is_cut_off() {
    let portal = Portal::start(|_| answer(404, &[], "")).await;
    let steps = json!([
        { "name": "a", "get": "/", "optional": true, "eventually": { "within": "900ms", "every": "50ms" } },
        { "name": "b", "get": "/b" },
    ]);
    let spec = json!({ "steps": steps, "cleanup": [{ "delete": "/x" }] });
    let stage = Stage { deadline: Duration::from_millis(600), ..Stage::of(None) };
    let seen = stage.run(&portal, spec).await;
    assert!(seen.step("a").requests > 1);
    // The steps end early enough for what follows them.
    let last = seen.facts().steps.last().unwrap();
    assert!(last.took < 0.6, "{last:?}");
}

#[tokio::test]
async fn a_request_that_the_config_alone_spoils_is_not_the_portals_fault() {
    let portal = Portal::start(|_| data(json!({ "id": ".." }))).await;
    let first = json!({ "name": "a", "get": "/", "headers": { "x": "{{ identity.password }}" } });
    let seen = Stage::of(staff("line\nbreak")).run(&portal, json!({ "steps": [first] })).await;
    assert_eq!((seen.ids(), seen.unknown, portal.lines().len()), (vec![], Some(Cause::Config), 0));
    let steps = json!([
        { "name": "a", "get": "/", "capture": { "id": { "json": "$.id" } } },
        { "name": "b", "delete": "/t/{{ id }}" },
    ]);
    let seen = Stage::of(None).run(&portal, json!({ "steps": steps })).await;
    assert_eq!(
        (seen.ids(), seen.unknown, portal.lines()),
        (vec!["journey.not_sent"], None, vec!["GET /".to_owned()])
    );
}
