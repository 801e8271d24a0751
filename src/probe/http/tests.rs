//! Settings, extraction and judgement on constructed facts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use url::Url;

use super::*;
use crate::model::{Cause, CheckId, Finding, Phase, Secret, Severity, Timings, Verdict};
use crate::net::{Response, TlsOptions};
use crate::probe::PortalScope;
use crate::probe::web::facts::{Failure, FailureKind, Held, Part, RedirectProblem, Skipped, Tls};
use crate::probe::web::{scalars, values};

fn spec(value: Value) -> Spec {
    serde_json::from_value(value).unwrap()
}

fn refused(value: Value) -> String {
    serde_json::from_value::<Spec>(value).unwrap_err().to_string()
}

fn scope(url: Option<&str>) -> Scope {
    Scope {
        check: CheckId::new("acme", "site"),
        portal: Arc::new(PortalScope {
            name: "acme".into(),
            url: url.map(|url| Url::parse(url).unwrap()),
            ..PortalScope::default()
        }),
        timeout: Duration::from_secs(10),
        deadline: Duration::from_secs(30),
        resolvers: Arc::new(["system".to_owned()]),
        tls: Arc::new(TlsOptions::default()),
        identity: None,
        triggered: None,
    }
}

fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Response {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    Response {
        status,
        version: http::Version::HTTP_11,
        headers: map,
        body: body.to_owned().into(),
        truncated: false,
        body_error: None,
        wire_bytes: body.len() as u64,
        peer: SocketAddr::from(([192, 0, 2, 1], 443)),
        tls: None,
        timings: Timings::default(),
    }
}

fn seen(spec: &Spec, response: &Response) -> Facts {
    let mut facts =
        Facts { subject: "h.example".into(), final_url: "https://h.example/".into(), ..Facts::default() };
    extract::session(&mut facts, response);
    extract::response(&mut facts, &spec.expect, response, &Url::parse("https://h.example/").unwrap(), false);
    facts
}

fn judged(value: Value, response: &Response) -> Vec<Finding> {
    let spec = spec(value);
    let facts = seen(&spec, response);
    verdict::findings(&spec, &facts)
}

fn ids(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.id.as_str()).collect()
}

#[test]
fn an_unexpected_status_says_what_came_and_what_should_have() {
    let findings = judged(json!({}), &answer(502, &[], ""));
    assert_eq!(ids(&findings), ["http.status"]);
    let finding = &findings[0];
    assert_eq!(finding.summary, "answered 502, expected 200–299");
    assert_eq!((finding.subject.as_str(), finding.broken), ("h.example", true));
    assert!(judged(json!({}), &answer(204, &[], "")).is_empty());
    assert!(judged(json!({ "expect": { "status": 429 } }), &answer(429, &[], "")).is_empty());
}

#[test]
fn a_header_that_is_wrong_or_missing_is_named() {
    let expect = json!({ "expect": { "headers": { "Content-Type": { "contains": "json" }, "x-frame-options": "DENY" } } });
    let findings = judged(expect.clone(), &answer(200, &[("content-type", "text/html")], ""));
    assert_eq!(ids(&findings), ["http.header", "http.header"]);
    assert_eq!(findings[0].subject, "h.example content-type");
    assert_eq!(findings[0].summary, r#"header content-type is "text/html", expected contains "json""#);
    assert!(findings[1].summary.contains("is absent"), "{}", findings[1].summary);
    let good = answer(200, &[("content-type", "application/json"), ("x-frame-options", "DENY")], "");
    assert!(judged(expect, &good).is_empty());
}

#[test]
fn an_error_page_is_one_finding_and_not_one_per_expectation() {
    let expect = json!({ "expect": { "body": { "contains": "ok" }, "json": { "$.ok": true } } });
    assert_eq!(ids(&judged(expect, &answer(500, &[], "<html>"))), ["http.status"]);
}

#[test]
fn bodies_and_documents_that_say_otherwise_are_findings() {
    let expect = json!({ "expect": { "body": { "contains": "ok" } } });
    assert!(judged(expect.clone(), &answer(200, &[], "all ok")).is_empty());
    assert_eq!(ids(&judged(expect, &answer(200, &[], "down"))), ["http.body"]);
    let expect = json!({ "expect": { "json": { "$.ok": true, "$.n": { "lt": 3 } } } });
    assert!(judged(expect.clone(), &answer(200, &[], r#"{"ok":true,"n":2}"#)).is_empty());
    let findings = judged(expect.clone(), &answer(200, &[], r#"{"ok":false,"n":2}"#));
    assert_eq!(ids(&findings), ["http.json"]);
    assert_eq!(findings[0].summary, "$.ok is false, expected equals true");
    let findings = judged(expect, &answer(200, &[], "<html>"));
    assert!(findings[0].summary.contains("is JSON"), "{}", findings[0].summary);
}

#[test]
fn a_body_beyond_the_limit_fails_only_what_is_undecided() {
    let mut response = answer(200, &[], "ok and more");
    response.truncated = true;
    let findings = judged(json!({ "expect": { "body": { "contains": "ok" } } }), &response);
    assert_eq!(ids(&findings), ["http.truncated"]);
    assert_eq!(Verdict::of(&findings), Verdict::Pass);
    let findings =
        judged(json!({ "expect": { "body": { "contains": "end" }, "json": { "$.a": 1 } } }), &response);
    assert_eq!(ids(&findings), ["http.body", "http.json", "http.truncated"]);
    assert!(judged(json!({}), &response).is_empty());
}

#[test]
fn the_final_url_is_compared_as_addresses_are() {
    assert!(
        judged(json!({ "expect": { "final_url": "https://H.example" } }), &answer(200, &[], "")).is_empty()
    );
    let findings =
        judged(json!({ "expect": { "final_url": "https://other.example/" } }), &answer(200, &[], ""));
    assert_eq!(ids(&findings), ["http.final_url"]);
    assert!(
        judged(json!({ "expect": { "final_url": { "contains": "h.ex" } } }), &answer(200, &[], ""))
            .is_empty()
    );
}

#[test]
fn no_body_and_no_cookie_becomes_a_fact() {
    let spec = spec(
        json!({ "expect": { "body": { "contains": "hidden" }, "headers": { "set-cookie": { "matches": "sid=" } } } }),
    );
    let facts = seen(&spec, &answer(200, &[("set-cookie", "sid=c00kie; Secure")], "hidden body text"));
    let text = serde_json::to_string(&facts).unwrap();
    assert!(!text.contains("hidden") && !text.contains("c00kie"), "{text}");
    assert_eq!(
        facts.matches.iter().map(|found| (found.part, found.held)).collect::<Vec<_>>(),
        [(Part::Header, Held::Yes), (Part::Body, Held::Yes)]
    );
    assert_eq!(serde_json::from_str::<Facts>(&text).unwrap(), facts);
}

#[test]
fn a_plain_passing_look_is_kept_in_few_bytes() {
    let mut facts = seen(&spec(json!({})), &answer(200, &[("server", "x")], "hello"));
    for phase in Phase::ALL {
        facts.phases.add(phase, Duration::from_micros(123_457));
    }
    facts.tls = Some(Tls {
        version: "TLSv1.3".into(),
        cipher: "TLS_AES_256_GCM_SHA384".into(),
        alpn: Some("h2".into()),
        not_after: Some(1_900_000_000),
    });
    let text = serde_json::to_string(&facts).unwrap();
    assert!(text.len() < 600, "{}: {text}", text.len());
}

#[test]
fn a_plain_check_takes_little_memory() {
    assert!(size_of::<Spec>() <= 512, "{}", size_of::<Spec>());
}

#[test]
fn every_transport_failure_has_its_own_name_and_phase() {
    for (kind, id) in [
        (FailureKind::Unresolvable, "http.unresolvable"),
        (FailureKind::Refused, "http.refused"),
        (FailureKind::Reset, "http.reset"),
        (FailureKind::Closed, "http.closed"),
        (FailureKind::Timeout, "http.timeout"),
        (FailureKind::Unreachable, "http.unreachable"),
        (FailureKind::Tls, "http.tls"),
        (FailureKind::Certificate, "http.certificate"),
        (FailureKind::Protocol, "http.protocol"),
    ] {
        let failure = Failure {
            phase: Phase::Tls,
            kind,
            detail: "expired".into(),
            address: Some(([192, 0, 2, 1], 443).into()),
        };
        let facts = Facts { subject: "h".into(), failure: Some(failure), ..Facts::default() };
        let findings = verdict::findings(&spec(json!({})), &facts);
        assert_eq!(ids(&findings), [id]);
        assert_eq!((findings[0].broken, findings[0].severity), (true, Severity::Critical));
        assert_eq!(findings[0].evidence["phase"], "tls");
        assert_eq!(findings[0].evidence["address"], "192.0.2.1:443");
        assert!(
            findings[0].summary.ends_with("in the tls phase at 192.0.2.1:443: expired"),
            "{}",
            findings[0].summary
        );
    }
}

#[test]
fn a_redirect_that_ends_early_is_one_finding() {
    let facts = Facts {
        subject: "h".into(),
        status: Some(302),
        redirect: Some(RedirectProblem::TooMany(2)),
        ..Facts::default()
    };
    let findings = verdict::findings(&spec(json!({})), &facts);
    assert_eq!(ids(&findings), ["http.redirect"]);
    assert_eq!(findings[0].summary, "redirect 302 is one more than the 2 allowed");
}

#[test]
fn one_bad_address_is_named_and_a_family_without_a_route_hides_nothing() {
    let row = |subject: &str, status| Facts { subject: subject.into(), status, ..Facts::default() };
    let skipped = Facts {
        subject: "2001:db8::1".into(),
        unmeasured: Some(Skipped { cause: Cause::LocalNetwork, why: "no route".into(), no_route: true }),
        ..Facts::default()
    };
    let rows = vec![row("192.0.2.1", Some(200)), row("192.0.2.2", Some(503)), skipped];
    let mut facts = Facts { subject: "h".into(), status: Some(200), rows, ..Facts::default() };
    let findings = verdict::findings(&spec(json!({})), &facts);
    assert_eq!(ids(&findings), ["http.status", "http.family_skipped"]);
    assert_eq!((findings[0].subject.as_str(), findings[1].subject.as_str()), ("192.0.2.2", "IPv6"));
    assert!(!findings[1].measured);
    facts.rows[1].status = Some(200);
    facts.left_out = vec![[192, 0, 2, 99].into()];
    let findings = verdict::findings(&spec(json!({})), &facts);
    assert_eq!(Verdict::of(&findings), Verdict::Pass);
    assert!(findings.iter().any(|finding| finding.summary.contains("192.0.2.99")));
}

#[test]
fn a_fault_in_the_settings_is_refused_at_load() {
    for (value, part) in [
        (json!({ "urll": "x" }), "unknown field"),
        (json!({ "url": "https://" }), "address"),
        (json!({ "url": "ftp://h.example/" }), "scheme ftp"),
        (json!({ "url": "https://u:p@h.example/" }), "auth"),
        (json!({ "expect": { "staus": 200 } }), "unknown field"),
        (json!({ "expect": { "body": { "matches": "(" } } }), "does not compile"),
        (json!({ "expect": { "json": { "ok": 1 } } }), "JSONPath"),
        (json!({ "expect": { "redirects": { "max": 11 } } }), "at most 10"),
        (json!({ "expect": { "headers": { "a b": "x" } } }), "no header name"),
        (json!({ "connect_to": "host" }), "HOST:PORT"),
        (json!({ "connect_to": "::1:443" }), "HOST:PORT"),
        (json!({ "version": 3 }), "auto, 1.1 or 2"),
        (json!({ "max_body": 0 }), "64MiB"),
        (json!({ "max_body": "1GB" }), "no size"),
        (json!({ "method": "G T" }), "no method"),
        (json!({ "addresses": "some" }), "unknown variant"),
    ] {
        let error = refused(value.clone());
        assert!(error.contains(part), "{value}: {error}");
    }
    let good =
        spec(json!({ "connect_to": "[::1]:8443", "max_body": "512KiB", "version": 1.1, "method": "put" }));
    assert_eq!(good.max_body, scalars::Size(512 << 10));
    assert_eq!(good.connect_to.unwrap().to_string(), "[::1]:8443");
    assert_eq!(spec(json!({ "max_body": 1000 })).max_body, scalars::Size(1000));
}

#[test]
fn what_only_the_whole_shows_is_a_problem_at_its_key() {
    let with = scope(Some("https://h.example/start?x=1"));
    let find = |value: Value, scope: &Scope| -> Vec<Vec<String>> {
        Http::validate(&spec(value), scope).into_iter().map(|problem| problem.path).collect()
    };
    assert!(find(json!({ "path": "/health" }), &with).is_empty());
    for (value, key) in [
        (json!({ "path": "health" }), "path"),
        (json!({ "path": "/a", "url": "https://h.example" }), "path"),
        (json!({ "body": "a", "json": {} }), "json"),
        (json!({ "url": "http://h.example/", "version": 2 }), "version"),
        (json!({ "headers": { "content-length": "3" } }), "headers"),
        (json!({ "proxy": { "url": "ftp://p.example" } }), "proxy"),
        (json!({ "proxy": { "url": "http://p.example" }, "addresses": "all" }), "addresses"),
    ] {
        assert_eq!(find(value.clone(), &with).first().and_then(|path| path.first()).unwrap(), key, "{value}");
    }
    assert_eq!(find(json!({ "path": "/health" }), &scope(None)), [["path"]]);
    let mut bad = scope(Some("https://h.example/"));
    bad.tls = Arc::new(TlsOptions { ca_pem: Some("no pem".into()), ..TlsOptions::default() });
    assert!(Http::validate(&spec(json!({})), &bad)[0].message.contains("ca_file"));
}

#[test]
fn the_path_replaces_the_portals_and_cannot_leave_its_host() {
    let scope = scope(Some("https://h.example/start?x=1#f"));
    let at = |value: Value| request::target(&spec(value), &scope).unwrap().to_string();
    assert_eq!(at(json!({ "path": "/health?full=1" })), "https://h.example/health?full=1");
    assert_eq!(at(json!({ "path": "//evil.example/" })), "https://h.example//evil.example/");
    assert_eq!(at(json!({ "url": "https://o.example/" })), "https://o.example/");
    assert_eq!(Http::hosts(&spec(json!({ "path": "/" })), &scope), ["h.example"]);
    assert_eq!(Http::hosts(&spec(json!({ "connect_to": "10.0.0.1:443" })), &scope), ["10.0.0.1"]);
}

fn secretive() -> Spec {
    let secret = || crate::model::Text::Secret(Secret::new("s3cr3t-value", "env:TOKEN"));
    Spec {
        url: Some(values::HttpUrl::new("https://h.example/a").unwrap()),
        query: Some(Box::new(values::Fields(Box::new([("pin".into(), secret())])))),
        form: Some(Box::new(values::Fields(Box::new([
            ("user".into(), crate::model::Text::Plain("it's".into())),
            ("pw".into(), secret()),
        ])))),
        auth: Some(Box::new(spec::Auth::Bearer(Secret::new("b34rer", "file:/run/t")))),
        ..Spec::default()
    }
}

#[test]
fn a_request_carries_its_secrets_and_the_commands_only_their_names() {
    let spec = secretive();
    let scope = scope(None);
    let prepared = request::prepare(&spec, &scope, None).unwrap();
    assert_eq!(prepared.url.as_str(), "https://h.example/a?pin=s3cr3t-value");
    assert_eq!(prepared.headers["authorization"], "Bearer b34rer");
    assert_eq!(prepared.headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(&prepared.body[..], b"user=it%27s&pw=s3cr3t-value");
    assert!(prepared.secret_body && prepared.method == http::Method::POST);
    let commands = Http::reproduce(&spec, &scope);
    let text = commands.join("\n");
    assert!(!text.contains("s3cr3t") && !text.contains("b34rer"), "{text}");
    assert!(text.contains("'https://h.example/a?pin=<env:TOKEN>'"), "{text}");
    assert!(text.contains(r"--data-urlencode 'user=it'\''s'"), "{text}");
    assert!(text.contains("-H 'Authorization: Bearer <file:/run/t>'"), "{text}");
    assert_eq!(commands.last().unwrap(), "portalwatch check 'acme/site' --explain");
    assert!(!format!("{spec:?}").contains("s3cr3t"));
}

#[test]
fn a_secret_written_in_plain_is_not_printed_either() {
    let spec = spec(json!({
        "url": "https://h.example/", "headers": { "x-api-key": "pl41n", "accept": "text/html" },
        "query": { "token": "pl41n", "q": "a b" }, "form": { "password": "pl41n", "user": "me" },
    }));
    let text = Http::reproduce(&spec, &scope(None)).join("\n");
    assert!(!text.contains("pl41n"), "{text}");
    assert!(text.contains("'https://h.example/?token=***&q=a+b'"), "{text}");
    assert!(text.contains("'user=me'") && text.contains("'accept: text/html'"), "{text}");
}

#[test]
fn a_secret_written_in_plain_does_not_follow_a_redirect_elsewhere() {
    let spec = spec(json!({
        "url": "https://h.example/", "headers": { "x-api-key": "pl41n", "accept": "text/html" },
        "form": { "password": "pl41n" },
    }));
    let prepared = request::prepare(&spec, &scope(None), None).unwrap();
    assert!(prepared.private_headers.iter().any(|name| name == "x-api-key"));
    assert!(prepared.private_headers.iter().all(|name| name != "accept"));
    assert!(prepared.secret_body);
}

#[test]
fn one_look_needs_no_config() {
    let plain = inspect_spec("h.example/x").unwrap();
    assert_eq!(plain.url.unwrap().0.as_str(), "https://h.example/x");
    assert!(inspect_spec("ftp://h.example").unwrap_err().to_string().contains("http and https"));
}

#[test]
fn every_finding_is_documented_once() {
    let mut ids: Vec<&str> = Http::FINDINGS.iter().map(|doc| doc.id).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
    for doc in Http::FINDINGS {
        assert!(!doc.meaning.is_empty() && !doc.why.is_empty() && !doc.fix.is_empty(), "{}", doc.id);
    }
}

#[test]
fn the_example_is_a_check_that_can_be_read() {
    let check: Value = crate::formats::yaml::from_str("example.yaml", Http::EXAMPLE).unwrap();
    let example = spec(check["http"].clone());
    assert_eq!(Http::validate(&example, &scope(None)), []);
    assert_eq!(example.max_body, scalars::Size(256 << 10));
}

#[test]
fn the_schema_describes_every_setting() {
    let schema = schemars::schema_for!(Spec).to_value();
    let settings = schema["properties"].as_object().unwrap();
    assert_eq!(settings.len(), 15);
    for (name, setting) in settings {
        assert!(setting.get("description").is_some(), "{name}: {setting}");
    }
    assert_eq!(schema["additionalProperties"], false);
}
