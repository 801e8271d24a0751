mod fixtures;
mod parser;
mod store;

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::model::{Cause, Series, SeriesDoc, Severity, StepTime, Timings, Verdict};
use crate::record::live::Present;
use crate::stats::recent::{Figures, Latency};
use fixtures::{
    HOSTILE, ask, basic, finding, get, get_as, guarded, incident, now, present, samples, secret, surface,
    value,
};
use parser::parse;
use store::Incidents;

#[tokio::test]
async fn a_check_at_its_worst_stays_within_forty_series() {
    let surface = surface();
    let id = CheckId::new("acme", "home");
    let all = [Severity::Info, Severity::Notice, Severity::Warning, Severity::Error, Severity::Critical];
    let many = (0..100).map(|n| finding(format!("http.f{n}"), all[n % 5], "x"));
    let latency = |window: &str| Latency {
        step: None,
        window: window.into(),
        samples: 9,
        quantiles: [Duration::from_millis(5); 3],
    };
    let figures = Figures {
        uptimes: ["24h", "7d", "30d"].map(|window| (window, Some(0.999), 1.0)).into(),
        latencies: vec![latency("6h"), latency("24h")],
    };
    let findings = many.collect();
    let worst = Present { findings, coverage_1h: Some(0.5), figures, ..present(Some(Verdict::Fail)) };
    surface.live.set(&id, worst);
    let samples = samples(&router(surface)).await;
    let own: Vec<_> = samples.iter().filter(|sample| sample.labels.contains_key("check")).collect();
    assert!(own.len() <= 40, "{} series", own.len());
    let found = own.iter().filter(|sample| sample.name == "portalwatch_findings");
    let total: f64 = found.map(|sample| sample.value).sum();
    assert_eq!(total, 100.0, "no finding is lost");
    assert_eq!(value(&samples, "portalwatch_coverage_ratio", &[("window", "1h")]), Some(0.5));
    assert_eq!(value(&samples, "portalwatch_uptime_ratio", &[("window", "7d")]), Some(0.999));
    assert_eq!(value(&samples, "portalwatch_latency_samples", &[("window", "6h"), ("step", "")]), Some(9.0));
    let p95 = [("q", "0.95"), ("window", "24h")];
    assert_eq!(value(&samples, "portalwatch_latency_quantile_seconds", &p95), Some(0.005));
}

#[tokio::test]
async fn each_step_has_one_series_and_a_removed_check_has_none() {
    let surface = surface();
    let id = CheckId::new("acme", "sign-in");
    let step = |name: &str, millis| StepTime { name: name.into(), took: Duration::from_millis(millis) };
    let steps = [step("sign in", 250), step(HOSTILE, 10), step("sign in", 999)].into();
    surface.live.set(&id, Present { steps, ..present(Some(Verdict::Pass)) });
    let live = Arc::clone(&surface.live);
    let router = router(surface);
    let found = samples(&router).await;
    let name = "portalwatch_step_duration_seconds";
    let labels = [("portal", "acme"), ("check", "sign-in"), ("step", "sign in")];
    assert_eq!(value(&found, name, &labels), Some(0.25));
    assert_eq!(value(&found, name, &[("step", HOSTILE)]), Some(0.01));
    assert_eq!(found.iter().filter(|sample| sample.name == name).count(), 2, "no two of one name");
    live.remove(&id);
    assert_eq!(value(&samples(&router).await, name, &[]), None);
}

#[tokio::test]
async fn the_page_says_how_long_each_step_took_and_takes_no_markup_from_its_name() {
    let surface = surface();
    let step = |name: &str| StepTime { name: name.into(), took: Duration::from_millis(250) };
    let steps: Vec<_> =
        std::iter::once(step(HOSTILE)).chain((1..60).map(|n| step(&format!("s{n}")))).collect();
    let id = CheckId::new("acme", "sign-in");
    surface.live.set(&id, Present { steps: steps.into(), ..present(Some(Verdict::Pass)) });
    let router = router(surface);
    let page = get(&router, "/").await.body;
    assert!(page.contains("<li>s49, 250 ms</li>") && !page.contains("<li>s50,"), "{page}");
    assert!(page.contains("steps: 60") && page.contains("and 10 more"), "{page}");
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script"), "{page}");
}

#[tokio::test]
async fn what_a_kind_exposes_stays_while_the_check_is_unknown_and_a_double_does_not_empty_the_page() {
    const DAYS: SeriesDoc = SeriesDoc { name: "portalwatch_test_days", help: "Days." };
    let one = |host: &str, value| Series { doc: &DAYS, labels: vec![("host", host.to_owned())], value };
    let surface = surface();
    let series = vec![one("a", 3.0), one("a", 4.0), one("b", 5.0), one("c", f64::NAN)];
    let unknown = Present { series: series.into(), ..present(Some(Verdict::Unknown)) };
    surface.live.set(&CheckId::new("acme", "tls"), unknown);
    let samples = samples(&router(surface)).await;
    let days = |host| value(&samples, DAYS.name, &[("portal", "acme"), ("check", "tls"), ("host", host)]);
    assert_eq!(["a", "b", "c"].map(days), [Some(3.0), Some(5.0), None]);
}

#[tokio::test]
async fn up_is_absent_while_a_check_is_unknown_or_has_not_run() {
    let surface = surface();
    for (name, verdict) in [
        ("pass", Some(Verdict::Pass)),
        ("warn", Some(Verdict::Warn)),
        ("fail", Some(Verdict::Fail)),
        ("unknown", Some(Verdict::Unknown)),
        ("new", None),
    ] {
        surface.live.set(&CheckId::new("acme", name), present(verdict));
    }
    let samples = samples(&router(surface)).await;
    let up = |check| value(&samples, "portalwatch_check_up", &[("check", check)]);
    assert_eq!(
        ["pass", "warn", "fail", "unknown", "new"].map(up),
        [Some(1.0), Some(1.0), Some(0.0), None, None]
    );
    let verdict = |v| value(&samples, "portalwatch_check_verdict", &[("check", "unknown"), ("verdict", v)]);
    assert_eq!(["pass", "warn", "fail", "unknown"].map(verdict), [0.0, 0.0, 0.0, 1.0].map(Some));
    assert_eq!(value(&samples, "portalwatch_check_verdict", &[("check", "new")]), None);
    assert_eq!(value(&samples, "portalwatch_checks", &[("verdict", "pending")]), Some(1.0));
    assert_eq!(value(&samples, "portalwatch_check_last_duration_seconds", &[("check", "fail")]), Some(0.12));
    let ran = value(&samples, "portalwatch_check_last_run_timestamp_seconds", &[("check", "fail")]);
    assert_eq!(ran, Some(1_772_366_395.0));
}

#[tokio::test]
async fn open_incidents_have_both_severities_even_when_there_are_none() {
    let surface = surface();
    let live = Arc::clone(&surface.live);
    let router = router(surface);
    let open = async |severity| {
        value(&samples(&router).await, "portalwatch_incidents_open", &[("severity", severity)])
    };
    assert_eq!((open("critical").await, open("warning").await), (Some(0.0), Some(0.0)));
    let id = CheckId::new("acme", "home");
    let bad = Present {
        incident: Some(Box::new(incident(&id, Severity::Critical))),
        ..present(Some(Verdict::Fail))
    };
    live.set(&id, bad);
    assert_eq!((open("critical").await, open("warning").await), (Some(1.0), Some(0.0)));
}

#[tokio::test]
async fn a_removed_check_leaves_no_series_behind() {
    let surface = surface();
    let live = Arc::clone(&surface.live);
    let router = router(surface);
    let id = CheckId::new("acme", "home");
    live.set(&id, present(Some(Verdict::Pass)));
    assert!(value(&samples(&router).await, "portalwatch_check_up", &[("check", "home")]).is_some());
    live.remove(&id);
    assert!(!samples(&router).await.iter().any(|sample| sample.labels.contains_key("check")));
}

#[tokio::test]
async fn hostile_labels_cannot_break_the_page() {
    let surface = surface();
    let id = CheckId::new("acme", "home");
    surface.live.set(&id, present(Some(Verdict::Pass)));
    let labels: Labels = [
        ("team", HOSTILE),
        ("portal", "mine"),
        ("a-b", "1"),
        ("a.b", "2"),
        ("a_b", "3"),
        ("__name__", "x"),
        ("9lives", "cat"),
        ("größe", "xl"),
        ("empty", ""),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    *surface.infos.write().unwrap() = Arc::new(HashMap::from([(id, CheckInfo { labels })]));
    let samples = samples(&router(surface)).await;
    let info = samples.iter().find(|sample| sample.name == "portalwatch_check_info").unwrap();
    let label = |name: &str| info.labels.get(name).map(String::as_str);
    assert_eq!(label("team"), Some(HOSTILE));
    assert_eq!((label("portal"), label("label_portal")), (Some("acme"), Some("mine")));
    assert_eq!((label("a_b"), label("a_b_2"), label("a_b_3")), (Some("3"), Some("1"), Some("2")));
    assert_eq!((label("label___name__"), label("_9lives")), (Some("x"), Some("cat")));
    assert_eq!((label("gr__e"), label("empty")), (Some("xl"), None));
}

#[tokio::test]
async fn per_check_series_stop_above_five_thousand_unless_asked_for() {
    for (checks, wanted, expected) in
        [(5_000, None, true), (5_001, None, false), (5_001, Some(true), true), (1, Some(false), false)]
    {
        let surface = Surface { per_check_metrics: wanted, ..surface() };
        for number in 0..checks {
            let plain = Present { timings: Timings::default(), ..present(Some(Verdict::Pass)) };
            surface.live.set(&CheckId::new("p", &format!("c{number}")), plain);
        }
        let samples = samples(&router(surface)).await;
        let there = samples.iter().any(|sample| sample.labels.contains_key("check"));
        assert_eq!(there, expected, "{checks} {wanted:?}");
        assert_eq!(value(&samples, "portalwatch_checks", &[("verdict", "pass")]), Some(f64::from(checks)));
    }
}

#[test]
fn a_broken_source_never_empties_the_page() {
    let sources = [
        Source::new("broken", || panic!("a collector fails")),
        Source::new("fine", metrics::build_info),
        Source::new("again", metrics::build_info),
        Source::new("doubled", || {
            let mut families = metrics::totals(std::iter::empty());
            for family in &mut families {
                let twice = family.get_metric().iter().chain(family.get_metric()).cloned().collect();
                family.set_metric(twice);
            }
            families
        }),
    ];
    let dropped = |reason| telemetry().dropped.with_label_values(&["metrics", reason]).get();
    let before = dropped("panic");
    let samples = parse(&exposition::render(&sources)).unwrap();
    assert_eq!(samples.len(), 1 + 5 + 2);
    assert!(dropped("panic") > before);
    assert!(dropped("family_twice") > 0 && dropped("label_set_twice") > 0);
}

#[tokio::test(start_paused = true)]
async fn a_scheduler_that_stands_still_is_not_alive() {
    let surface = surface();
    let health = Arc::clone(&surface.health);
    let router = router(surface);
    let alive = get(&router, "/healthz").await;
    assert_eq!((alive.status, &*alive.body), (200, r#"{"status":"ok"}"#));
    tokio::time::advance(Duration::from_secs(31)).await;
    let stalled = get(&router, "/healthz").await;
    assert_eq!((stalled.status, &*stalled.body), (503, r#"{"status":"stalled"}"#));
    health.turned();
    assert_eq!(get(&router, "/healthz").await.status, 200);
}

#[tokio::test]
async fn ready_needs_a_plan_and_a_store_but_not_a_healthy_disk() {
    let surface = surface();
    let health = Arc::clone(&surface.health);
    let router = router(surface);
    let state = async || {
        let answer = get(&router, "/readyz").await;
        let json: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        (answer.status, json)
    };
    health.set_plan_loaded(false);
    assert_eq!(state().await.0, 503);
    health.set_plan_loaded(true);
    health.set_store(StoreState::Opening);
    assert_eq!(state().await.0, 503);
    health.set_store(StoreState::Degraded { why: "the disk is full".into() });
    health.set_outbox(3, Some(now() - Duration::from_secs(90)), now());
    health.started_late_by(Duration::from_millis(250));
    let (status, json) = state().await;
    assert_eq!((status, &json["store"]), (200, &"degraded".into()));
    assert_eq!((&json["outbox_pending"], &json["outbox_oldest_seconds"]), (&3.into(), &90.0.into()));
    assert_eq!(json["scheduler_lateness_seconds"], 0.25);
}

#[tokio::test]
async fn a_foreign_host_gets_no_page() {
    let router = router(surface());
    for (host, expected) in [
        ("localhost", 200),
        ("LOCALHOST.:9790", 200),
        ("127.0.0.1:9790", 200),
        ("127.9.9.9", 200),
        ("[::1]:9790", 200),
        ("watch.example:8443", 200),
        ("Watch.Example", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("watch.example.evil.example", 421),
        ("evil.example@localhost", 421),
        ("192.0.2.7:9790", 421),
        ("", 421),
    ] {
        let request = |path: &str| Request::get(path).header("host", host).body(Body::empty()).unwrap();
        assert_eq!(ask(&router, request("/metrics")).await.status, expected, "{host}");
        assert_eq!(ask(&router, request("/healthz")).await.status, 200, "{host}");
    }
    let none = ask(&router, Request::get("/").body(Body::empty()).unwrap()).await;
    assert_eq!(none.status, 421);
    assert!(none.body.contains("server.external_url"));
    let two = Request::get("/").header("host", "localhost").header("host", "evil.example");
    assert_eq!(ask(&router, two.body(Body::empty()).unwrap()).await.status, 421);
    let absolute = Request::get("http://evil.example/").header("host", "localhost");
    assert_eq!(ask(&router, absolute.body(Body::empty()).unwrap()).await.status, 421);
}

#[tokio::test]
async fn pages_need_credentials_where_they_are_configured() {
    let router = router(guarded());
    for path in ["/", "/metrics"] {
        for (given, expected) in [
            ("Bearer read-token", 200),
            ("bearer operate-token", 200),
            (&*basic("ann:pass:word"), 200),
            ("Bearer read-toke", 401),
            ("Bearer ", 401),
            ("Bearer", 401),
            ("Digest read-token", 401),
            (&*basic("ann:pass"), 401),
            (&*basic("bob:pass:word"), 401),
            (&*basic("ann"), 401),
            ("Basic %%%", 401),
        ] {
            assert_eq!(get_as(&router, path, given).await.status, expected, "{path} {given}");
        }
        let refused = get(&router, path).await;
        assert_eq!(refused.status, 401);
        let challenges: Vec<_> = refused.headers.get_all("www-authenticate").iter().collect();
        assert_eq!(challenges.len(), 2);
    }
    assert_eq!(get(&router, "/healthz").await.status, 200);
    assert_eq!(get(&router, "/readyz").await.status, 200);
}

#[test]
fn a_read_token_cannot_operate() {
    let auth = guarded().auth;
    let with = |value: &str| {
        let value = axum::http::HeaderValue::from_str(value).unwrap();
        axum::http::HeaderMap::from_iter([(header::AUTHORIZATION, value)])
    };
    assert_eq!(auth.check(&with("Bearer read-token"), Scope::Operate), Err(auth::Denied::Forbidden));
    assert_eq!(auth.check(&with("Bearer operate-token"), Scope::Operate), Ok(()));
    assert_eq!(auth.check(&with(&basic("ann:pass:word")), Scope::Operate), Ok(()));
    assert!(!format!("{auth:?}").contains("-token"), "the debug form shows no secret");
}

#[tokio::test]
async fn a_token_that_was_taken_away_opens_nothing_any_more() {
    let surface = guarded();
    let auth = surface.auth.clone();
    let router = router(surface);
    assert_eq!(get_as(&router, "/metrics", "Bearer read-token").await.status, 200);
    auth.replace(vec![("new".to_owned(), secret("new-token"), Scope::Read)], None, false);
    assert_eq!(get_as(&router, "/metrics", "Bearer read-token").await.status, 401);
    assert_eq!(get_as(&router, "/metrics", "Bearer new-token").await.status, 200);
    auth.replace(Vec::new(), None, false);
    assert_eq!(get_as(&router, "/metrics", "Bearer new-token").await.status, 403);
}

#[tokio::test]
async fn an_empty_secret_opens_nothing() {
    let tokens = vec![("empty".to_owned(), secret(""), Scope::Operate)];
    let auth = Auth::new(tokens, Some(("ann".into(), secret(""))), true);
    let router = router(Surface { auth, ..surface() });
    for given in ["Bearer ", "Bearer", &*basic("ann:"), &*basic(":")] {
        assert_eq!(get_as(&router, "/metrics", given).await.status, 401, "{given}");
    }
}

#[tokio::test]
async fn without_credentials_configured_only_an_open_listener_serves() {
    let closed = Surface { auth: Auth::new(Vec::new(), None, false), ..surface() };
    assert_eq!(get(&router(closed), "/").await.status, 403);
    assert_eq!(get(&router(surface()), "/").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn refusals_are_logged_once_a_minute() {
    let auth = guarded().auth;
    assert_eq!(auth.refuse(), Some(1));
    assert_eq!((auth.refuse(), auth.refuse()), (None, None));
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(auth.refuse(), Some(3));
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused() {
    let router = router(surface());
    assert_eq!(get(&router, "/admin").await.status, 404);
    for path in ["/", "/metrics", "/healthz", "/readyz"] {
        let post = Request::post(path).header("host", "localhost").body(Body::empty()).unwrap();
        assert_eq!(ask(&router, post).await.status, 405, "{path}");
        let head = Request::head(path).header("host", "localhost").body(Body::empty()).unwrap();
        assert_eq!(ask(&router, head).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn hostile_texts_stay_texts_on_the_page() {
    let id = CheckId::new("acme", HOSTILE);
    let surface =
        Surface { store: Arc::new(Incidents(Some(vec![incident(&id, Severity::Critical)]))), ..surface() };
    surface.health.set_store(StoreState::Degraded { why: HOSTILE.into() });
    surface.health.reloaded(now(), Some(HOSTILE.into()));
    let shown = Present {
        findings: Box::new([finding("http.status".into(), Severity::Critical, HOSTILE)]),
        cause: Some(Cause::LocalDns),
        why: Some(HOSTILE.into()),
        ..present(Some(Verdict::Unknown))
    };
    surface.live.set(&id, shown);
    let page = get(&router(surface), "/").await;
    assert_eq!(page.status, 200);
    assert!(!page.body.contains("<script"), "{}", page.body);
    assert_eq!(page.body.matches("&lt;script&gt;").count(), 9);
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("style-src 'sha256-"));
    assert!(policy.contains("frame-ancestors 'none'"));
    assert_eq!(page.headers["x-content-type-options"], "nosniff");
    assert_eq!(page.headers["referrer-policy"], "no-referrer");
}

#[tokio::test]
async fn the_page_says_since_when_with_offset_and_how_long_ago() {
    let surface = surface();
    surface.live.set(&CheckId::new("acme", "home"), present(Some(Verdict::Fail)));
    let body = get(&router(surface), "/").await.body;
    assert!(body.contains("2026-03-01 11:58:00 +01:00</time> (1 h 2 min ago)"), "{body}");
    assert!(body.contains("1 failing"));
}

#[tokio::test]
async fn a_store_that_fails_does_not_hide_open_incidents() {
    let surface = Surface { store: Arc::new(Incidents(None)), ..surface() };
    let id = CheckId::new("acme", "home");
    let bad = Present {
        incident: Some(Box::new(incident(&id, Severity::Critical))),
        ..present(Some(Verdict::Fail))
    };
    surface.live.set(&id, bad);
    let body = get(&router(surface), "/").await.body;
    assert!(body.contains("(1 open)") && body.contains("acme/home"), "{body}");
}

#[tokio::test]
async fn a_long_list_shows_the_worst_first_and_counts_the_rest() {
    let surface = surface();
    for number in 0..600 {
        surface.live.set(&CheckId::new("a", &format!("c{number}")), present(Some(Verdict::Pass)));
    }
    surface.live.set(&CheckId::new("z", "broken"), present(Some(Verdict::Fail)));
    let body = get(&router(surface), "/").await.body;
    assert!(body.contains("and more: 101 passing"));
    assert!(body.contains("1 failing, 600 passing"));
    let place = |text: &str| body.find(text).unwrap();
    assert!(place(">broken <") < place(">c0 <"), "the failing check comes first");
}

#[expect(clippy::disallowed_methods, reason = "the test is the client")]
async fn exchange(address: std::net::SocketAddr, sent: &[u8]) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(sent).await.unwrap();
    let mut answer = Vec::new();
    // A refused head may be answered with a reset; what came before it counts.
    let _ended = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn the_listener_answers_refuses_oversized_heads_and_ends_in_order() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = tokio_util::sync::CancellationToken::new();
    let serving = tokio::spawn(serve(listener, router(surface()), shutdown.clone()));
    let fine = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert!(exchange(address, fine).await.starts_with("HTTP/1.1 200"));
    let large = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx-large: {}\r\n\r\n", "a".repeat(64 * 1024));
    assert!(!exchange(address, large.as_bytes()).await.starts_with("HTTP/1.1 200"));
    let many = format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{}\r\n", "x: y\r\n".repeat(80));
    assert!(exchange(address, many.as_bytes()).await.starts_with("HTTP/1.1 431"));
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(20), serving).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_is_let_go() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = tokio_util::sync::CancellationToken::new();
    let _serving = tokio::spawn(serve(listener, router(surface()), shutdown));
    for sent in [&b""[..], b"GET /healthz HTTP/1.1\r\nx-slow: "] {
        let before = tokio::time::Instant::now();
        assert!(!exchange(address, sent).await.starts_with("HTTP/1.1 200"));
        assert!(before.elapsed() < Duration::from_secs(60), "the clock is paused: this is the timeout");
    }
}
