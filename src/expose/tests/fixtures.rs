//! A surface to ask, and values to put on it.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use tower::ServiceExt as _;

use super::parser::{Sample, parse};
use super::store::Incidents;
use crate::clock::FixedClock;
use crate::expose::*;
use crate::model::{Finding, FindingId, IncidentId, Phase, Secret, Severity, Timings, Verdict};
use crate::record::live::Present;

pub const HOSTILE: &str = "</td><script>alert(\"x\")</script>\n\\ ünï & 'q'";

pub fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

pub fn finding(id: String, severity: Severity, summary: &str) -> Finding {
    let id: FindingId = serde_json::from_value(id.into()).unwrap();
    Finding {
        id,
        subject: HOSTILE.into(),
        severity,
        broken: false,
        measured: true,
        summary: summary.into(),
        evidence: serde_json::Map::new(),
        reference: None,
    }
}

pub fn present(verdict: Option<Verdict>) -> Present {
    let mut timings = Timings::default();
    Phase::ALL.into_iter().for_each(|phase| timings.add(phase, Duration::from_millis(2)));
    Present {
        kind: "http",
        every: Duration::from_secs(60),
        verdict,
        cause: None,
        why: None,
        since: verdict.map(|_| now() - Duration::from_secs(3_720)),
        at: verdict.map(|_| now() - Duration::from_secs(5)),
        took: Duration::from_millis(120),
        status: Some(200),
        timings,
        steps: Box::default(),
        findings: Box::default(),
        incident: None,
        coverage_1h: None,
        series: Box::default(),
        figures: Default::default(),
    }
}

pub fn incident(check: &CheckId, severity: Severity) -> Incident {
    Incident {
        id: IncidentId::new(check, now()),
        check: check.clone(),
        kind: "http".into(),
        labels: Labels::new(),
        alertname: "http.status".into(),
        severity,
        started: now() - Duration::from_secs(90),
        opened: now(),
        last_good: None,
        findings: vec![finding("http.status".into(), severity, HOSTILE)],
        worst: None,
        ended: None,
        closed: None,
        flapping: false,
        not_recorded: false,
    }
}

pub fn surface() -> Surface {
    let health = Health::new(now());
    health.set_plan_loaded(true);
    health.set_store(StoreState::Open);
    Surface {
        live: Arc::default(),
        store: Arc::new(Incidents(Some(Vec::new()))),
        clock: Arc::new(FixedClock::new(now())),
        auth: Auth::new(Vec::new(), None, true),
        external_url: "https://watch.example:8443/".parse().unwrap(),
        per_check_metrics: None,
        timezone: TimeZone::get("Europe/Amsterdam").unwrap(),
        health: Arc::new(health),
        infos: Arc::default(),
    }
}

pub fn secret(value: &str) -> Secret {
    Secret::new(value, "env:TEST")
}

pub fn guarded() -> Surface {
    let tokens = vec![
        ("prometheus".to_owned(), secret("read-token"), Scope::Read),
        ("deploy".to_owned(), secret("operate-token"), Scope::Operate),
    ];
    Surface { auth: Auth::new(tokens, Some(("ann".into(), secret("pass:word"))), false), ..surface() }
}

pub fn basic(user: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(user))
}

pub struct Answer {
    pub status: u16,
    pub headers: axum::http::HeaderMap,
    pub body: String,
}

pub async fn ask(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Answer { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

pub async fn get(router: &Router, path: &str) -> Answer {
    ask(router, Request::get(path).header("host", "localhost:9790").body(Body::empty()).unwrap()).await
}

pub async fn get_as(router: &Router, path: &str, authorization: &str) -> Answer {
    let request = Request::get(path).header("host", "localhost").header("authorization", authorization);
    ask(router, request.body(Body::empty()).unwrap()).await
}

pub async fn samples(router: &Router) -> Vec<Sample> {
    let page = get(router, "/metrics").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    parse(&page.body).unwrap()
}

pub fn value(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let fits = |sample: &&Sample| {
        sample.name == name && labels.iter().all(|(k, v)| sample.labels.get(*k).is_some_and(|x| x == v))
    };
    samples.iter().find(fits).map(|sample| sample.value)
}
