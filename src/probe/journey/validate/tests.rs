use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::model::{CheckId, Secret};
use crate::net::TlsOptions;
use crate::probe::journey::Journey;
use crate::probe::{Kind, PortalScope};

fn scope(identity: Option<Identity>) -> Scope {
    let url = Some(url::Url::parse("https://portal.example/").unwrap());
    Scope {
        check: CheckId::new("acme", "work"),
        portal: Arc::new(PortalScope { url, ..PortalScope::default() }),
        timeout: Duration::from_secs(10),
        deadline: Duration::from_secs(60),
        resolvers: Arc::new([]),
        tls: Arc::new(TlsOptions::default()),
        identity: identity.map(Arc::new),
        triggered: None,
    }
}

fn staff() -> Identity {
    Identity {
        name: "staff".into(),
        username: Some("probe".into()),
        password: Some(Secret::new("hunter2", "env:P")),
        totp: Some(Secret::new("MZXW 6YTB", "env:T")),
        token: None,
        oauth2: None,
        client: None,
    }
}

fn told_of(spec: Value, identity: Option<Identity>) -> Vec<String> {
    let spec: Spec = serde_json::from_value(spec).unwrap();
    let problems = problems(&spec, &scope(identity));
    problems.iter().map(|problem| format!("{}: {}", problem.path.join("."), problem.message)).collect()
}

/// The one problem of a journey, which begins as expected.
#[track_caller]
fn refused(spec: Value, expected: &str) {
    let told = told_of(spec.clone(), Some(staff()));
    assert_eq!(told.len(), 1, "{spec}\n{told:#?}");
    let (start, inside) = expected.split_once(" … ").unwrap_or((expected, ""));
    assert!(
        told[0].starts_with(start) && told[0].contains(inside),
        "expected {expected}\n   found {}",
        told[0]
    );
}

fn steps(steps: Value) -> Value {
    json!({ "steps": steps })
}

/// A journey of one step.
fn one(step: Value) -> Value {
    let mut named = json!({ "name": "a" });
    named.as_object_mut().unwrap().extend(step.as_object().unwrap().clone());
    steps(json!([named]))
}

/// A journey that writes as it should, changed in one key.
fn writing(key: &str, value: Value) -> Value {
    let mut spec = json!({
        "steps": [
            { "name": "list", "get": "/t", "capture": { "csrf": { "header": "x" } } },
            { "name": "create", "write": true, "post": "/t", "json": { "title": "pw {{ run.id }}" },
              "capture": { "ticket": { "json": "$.id", "keep": true }, "etag": { "header": "etag" } } },
        ],
        "cleanup": [{ "delete": "/t/{{ ticket }}", "headers": { "if-match": "{{ etag }}" } }],
        "sweep": [{ "get": "/t?q={{ run.id }}", "each": "$[*].id", "then": { "delete": "/t/{{ item }}" } }],
    });
    let place = key.split('.').fold(&mut spec, |at, key| match key.parse::<usize>() {
        Ok(index) => &mut at[index],
        Err(_) => &mut at[key],
    });
    *place = value;
    spec
}

#[test]
fn the_example_and_a_journey_with_every_key_are_accepted() {
    let whole = json!({
        "as": "staff", "lockout_guard": "15m", "daily_writes": 400, "evidence": "body",
        "csrf": { "cookie": "XSRF-TOKEN", "header": "X-XSRF-TOKEN" }, "bearer": "token",
        "session_cookies": { "names": ["sessionid"], "allow": ["secure"] },
        "steps": [
            { "name": "login page", "get": "/login", "capture": {
                "login": { "form": "form#login" }, "csrf": { "field": "authenticity_token" },
                "more": { "link": "a.more" }, "token": { "json": "$.token" }, "count": { "json": "$.n" } } },
            { "name": "sign in", "submit": "login", "origin": "https://id.acme.example",
              "form": { "username": "{{ identity.username }}", "password": "{{ identity.password }}",
                        "code": "{{ totp(identity.totp) }}" } },
            { "name": "next", "follow": "more" },
            { "name": "create", "write": true, "post": "/api/tickets", "query": { "a": "{{ run.id }}" },
              "headers": { "x-api-key": "k" }, "json": { "title": "pw {{ run.id }}", "n": "{{ count }}" },
              "expect": { "status": 201 }, "capture": { "ticket": { "json": "$.id", "keep": true } },
              "timeout": "5s", "max_body": "2MiB" },
            { "name": "read it back", "get": "/api/tickets/{{ ticket }}",
              "eventually": { "within": "10s", "every": "1s" }, "optional": true, "when": "ticket is defined" },
            { "name": "again", "get": "/jobs?turn={{ repeat.index }}", "capture": { "done": { "json": "$.done" } },
              "repeat": { "times": 3, "until": "done" } },
        ],
        "cleanup": [{ "delete": "/api/tickets/{{ ticket }}", "expect": { "status": [200, 204, 404] } }],
        "sweep": [
            { "get": "/api/tickets?q={{ run.id }}", "each": { "css": "tr", "attr": "id" },
              "then": [{ "delete": "/api/tickets/{{ item }}" }, { "get": "/done" }] },
            { "get": "/api/tickets", "each": "$[?@.title == 'pw {{ run.id }}'].id", "then": { "delete": "/t/{{ item }}" } },
        ],
        "sign_out": { "post": "/logout", "replay": "/dashboard" },
    });
    assert_eq!(told_of(whole, Some(staff())), Vec::<String>::new());
    let mut check: Value = crate::formats::yaml::from_str("example.yaml", Journey::EXAMPLE).unwrap();
    // Secrets are resolved by the reader of configs.
    check["journey"]["steps"][1]["form"]["password"] = json!("not-a-real-one");
    assert_eq!(told_of(check["journey"].take(), None), Vec::<String>::new());
    assert_eq!(told_of(writing("daily_writes", json!(1)), None), Vec::<String>::new());
}

#[test]
fn a_step_is_one_request_with_one_body() {
    refused(one(json!({})), "steps.[0]: a step needs one of get,");
    refused(one(json!({ "get": "/", "post": "/" })), "steps.[0].post: a step makes one request");
    refused(
        one(json!({ "get": "login" })),
        "steps.[0].get: \"login\" does not start with a slash; write \"/login\"",
    );
    refused(
        one(json!({ "get": "https://{{ run.id }}/x" })),
        "steps.[0].get: … no address with a literal origin",
    );
    refused(one(json!({ "post": "/", "json": {}, "body": "x" })), "steps.[0].body: … keep json or body");
    refused(one(json!({ "get": "/", "json": {} })), "steps.[0].json: this request has no body");
    refused(
        one(json!({ "get": "/", "origin": "https://a.example" })),
        "steps.[0].origin: origin says where a form",
    );
    refused(one(json!({ "get": "/", "replay": "/x" })), "steps.[0].replay: replay belongs in sign_out");
    refused(
        one(json!({ "post": "/", "headers": { "Content-Length": "1" } })),
        "steps.[0].headers.content-length: content-length is set by the connection",
    );
    refused(
        one(
            json!({ "post": "/", "multipart": { "a": "b" }, "headers": { "content-type": "multipart/form-data" } }),
        ),
        "steps.[0].headers.content-type: a multipart body brings its own",
    );
    refused(steps(json!([])), "steps: a journey has 1 to 50 steps");
    let many: Vec<Value> = (0..51).map(|n| json!({ "name": n.to_string(), "get": "/" })).collect();
    refused(steps(many.into()), "steps: a journey has 1 to 50 steps");
}

#[test]
fn every_step_has_a_name_of_its_own() {
    refused(steps(json!([{ "get": "/" }])), "steps.[0].name: a step needs a name");
    refused(steps(json!([{ "name": " ", "get": "/" }])), "steps.[0].name: a step needs a name");
    refused(
        steps(json!([{ "name": "a", "get": "/" }, { "name": "a", "get": "/" }])),
        "steps.[1].name: another step is called \"a\" already",
    );
    refused(steps(json!([{ "name": "a".repeat(65), "get": "/" }])), "steps.[0].name: a name is one line");
    refused(steps(json!([{ "name": "a\nb", "get": "/" }])), "steps.[0].name: a name is one line");
}

#[test]
fn a_variable_that_is_not_there_is_told_at_its_key_with_the_one_that_was_meant() {
    let captures = |step: Value| {
        steps(
            json!([{ "name": "a", "get": "/", "capture": { "ticket": { "json": "$" }, "f": { "form": "form" } } }, step]),
        )
    };
    let b = |key: &str, value: Value| captures(json!({ "name": "b", "post": "/", key: value }));
    refused(
        b("json", json!({ "x": "{{ tickt }}" })),
        "steps.[1].json: unknown variable \"tickt\", did you mean \"ticket\"?",
    );
    refused(
        b("query", json!({ "x": "{{ zzzzzz }}" })),
        "steps.[1].query: unknown variable \"zzzzzz\"; no step before",
    );
    refused(b("headers", json!({ "x": "{{ tickt }}" })), "steps.[1].headers: unknown variable");
    refused(b("form", json!({ "x": "{{ tickt }}" })), "steps.[1].form: unknown variable");
    refused(b("body", json!("{{ tickt }}")), "steps.[1].body: unknown variable");
    refused(b("multipart", json!({ "x": "{{ tickt }}" })), "steps.[1].multipart: unknown variable");
    refused(b("when", json!("tickt is defined")), "steps.[1].when: unknown variable");
    refused(b("repeat", json!({ "times": 2, "until": "tickt" })), "steps.[1].repeat: unknown variable");
    refused(b("expect", json!({ "json": { "$.a": "{{ tickt }}" } })), "steps.[1].expect: unknown variable");
    refused(b("body", json!("{{ repeat.index }}")), "steps.[1].body: unknown variable \"repeat.index\"");
    refused(b("body", json!("{{ item }}")), "steps.[1].body: unknown variable \"item\"");
    refused(
        b("body", json!("{{ run.ids }}")),
        "steps.[1].body: unknown variable \"run.ids\", did you mean \"run.id\"?",
    );
    refused(b("body", json!("{{ f }}")), "steps.[1].body: \"f\" is a form or link");
    refused(captures(json!({ "name": "b", "get": "/{{ tickt }}" })), "steps.[1].get: unknown variable");
    refused(
        captures(json!({ "name": "b", "submit": "ticket" })),
        "steps.[1].submit: no step before captures a form",
    );
    refused(
        captures(json!({ "name": "b", "follow": "f" })),
        "steps.[1].follow: no step before captures a link",
    );
    refused(
        steps(
            json!([{ "name": "a", "get": "/{{ x }}" }, { "name": "b", "get": "/", "capture": { "x": { "json": "$" } } }]),
        ),
        "steps.[0].get: \"x\" is captured only by a later step",
    );
    refused(
        one(json!({ "get": "/", "capture": { "a-b": { "json": "$" } } })),
        "steps.[0].capture.a-b: \"a-b\" cannot be named in a template",
    );
    refused(
        json!({ "bearer": "tokn", "steps": [{ "name": "a", "get": "/", "capture": { "token": { "json": "$" } } }] }),
        "bearer: nothing is captured as \"tokn\", did you mean \"token\"?",
    );
}

#[test]
fn what_the_identity_lacks_is_said() {
    let asks = |name: &str| one(json!({ "post": "/", "form": { "x": format!("{{{{ {name} }}}}") } }));
    refused(asks("identity.token"), "steps.[0].form: the identity \"staff\" has no token");
    let nobody = told_of(asks("identity.password"), None);
    assert_eq!(
        nobody,
        ["steps.[0].form: identity.password needs an identity; write `as: NAME` in the journey"]
    );
    let api = Identity { token: Some(Secret::new("t0k", "env:T")), ..staff() };
    let told = told_of(
        json!({ "bearer": "t", "steps": [{ "name": "a", "get": "/", "capture": { "t": { "json": "$" } } }] }),
        Some(api),
    );
    assert_eq!(told, ["bearer: the identity brings a token of its own; leave bearer out"]);
}

#[test]
fn a_credential_is_shown_once_but_one_that_goes_along_with_every_request_may_be_polled_with() {
    let password = json!({ "p": "{{ identity.password }}" });
    refused(
        one(json!({ "post": "/", "form": password, "repeat": { "times": 2 } })),
        "steps.[0].repeat: a credential is shown once",
    );
    let again = json!({ "within": "5s", "every": "1s" });
    refused(
        one(json!({ "post": "/", "form": password, "eventually": again })),
        "steps.[0].eventually: a credential",
    );
    let basic =
        json!({ "authorization": "Basic {{ (identity.username ~ ':' ~ identity.password) | base64 }}" });
    let api = steps(json!([
        { "name": "a", "get": "/", "headers": basic },
        { "name": "b", "get": "/b", "headers": basic, "eventually": again },
    ]));
    assert_eq!(told_of(api, Some(staff())), Vec::<String>::new());
}

#[test]
fn repetitions_are_bounded_and_fit_into_the_journey() {
    for times in [0, 21] {
        refused(
            one(json!({ "get": "/", "repeat": { "times": times } })),
            "steps.[0].repeat: a step is repeated 1 to 20",
        );
    }
    let eventually = |within: &str, every: &str| {
        one(json!({ "get": "/", "eventually": { "within": within, "every": every } }))
    };
    refused(eventually("60s", "1s"), "steps.[0].eventually: this alone takes as long");
    refused(eventually("1s", "2s"), "steps.[0].eventually: every is longer than within");
}

#[test]
fn a_write_needs_a_way_to_be_found_and_removed() {
    refused(writing("sweep", json!([])), "steps.[1].write: a journey that writes needs a sweep");
    refused(writing("cleanup", json!([])), "steps.[1].write: a journey that writes needs a cleanup");
    refused(writing("daily_writes", json!(0)), "daily_writes: no write is allowed");
    refused(
        writing("steps.1.json", json!({ "title": "x" })),
        "steps.[1].write: no write carries {{ run.id }}",
    );
    refused(writing("steps.1.repeat", json!({ "times": 2 })), "steps.[1].repeat: a write is sent once");
    refused(writing("cleanup.0.write", json!(true)), "cleanup.[0].write: what is done here only removes");
    refused(
        writing("cleanup.0.delete", json!("/t/{{ tickt }}")),
        "cleanup.[0].delete: unknown variable \"tickt\"",
    );
    refused(writing("sweep.0.get", json!("/t")), "sweep.[0].get: a sweep searches by {{ run.id }}");
    refused(writing("sweep.0.then", json!({ "delete": "/t" })), "sweep.[0].then: no step names {{ item }}");
    refused(
        writing("sweep.0.then", json!([{ "get": "/x" }, { "delete": "/t/{{ item }}/{{ etg }}" }])),
        "sweep.[0].then.[1].delete: unknown variable \"etg\"",
    );
    // The ledger keeps what is marked; what came before the write, this run has of its own.
    refused(
        writing(
            "sweep.0.then",
            json!({ "delete": "/t/{{ item }}", "headers": { "if-match": "{{ etag }}" } }),
        ),
        "sweep.[0].then.headers: \"etag\" is captured only by a later step",
    );
    let known = json!({ "delete": "/t/{{ item }}/{{ ticket }}", "headers": { "x": "{{ csrf }}" } });
    assert_eq!(told_of(writing("sweep.0.then", known), None), Vec::<String>::new());
    refused(
        writing("sweep.0.each", json!("$[?@.t == '{{ rnu.id }}'].id")),
        "sweep.[0].each: unknown variable \"rnu.id\", did you mean \"run.id\"?",
    );
}

#[test]
fn a_sign_out_proves_something() {
    let login = json!({ "name": "a", "post": "/login", "form": { "p": "{{ identity.password }}" } });
    let out = |step: Value, out: Value| json!({ "steps": [login.clone(), step], "sign_out": out });
    let post = json!({ "name": "b", "post": "/x" });
    refused(
        out(post.clone(), json!({ "post": "/logout" })),
        "sign_out: nothing shows that the session is dead",
    );
    for good in [
        out(post, json!({ "post": "/logout", "replay": "/dashboard" })),
        out(json!({ "name": "b", "get": "/x" }), json!({ "post": "/logout" })),
    ] {
        assert_eq!(told_of(good, Some(staff())), Vec::<String>::new());
    }
}

#[test]
fn the_hosts_of_a_run_are_those_it_may_send_to() {
    let spec: Spec = serde_json::from_value(steps(json!([
        { "name": "a", "get": "/x" },
        { "name": "b", "get": "https://id.example/{{ run.id }}" },
        { "name": "c", "submit": "f", "origin": "https://[2001:db8::1]/" },
    ])))
    .unwrap();
    assert_eq!(hosts(&spec, &scope(None)), ["2001:db8::1", "id.example", "portal.example"]);
    let mut nowhere = scope(None);
    nowhere.portal = Arc::default();
    assert!(problems(&spec, &nowhere).iter().any(|problem| problem.message.contains("no url")));
}
