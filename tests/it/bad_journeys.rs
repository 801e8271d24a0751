//! Journeys with mistakes in them: each is named at its line and key, before anything is sent.

use crate::bad_config::{refused, refused_with, validate_with};

/// A config of one journey whose steps begin at line 14; `more` stands beside them.
fn config(identity: &str, steps: &str, more: &str) -> String {
    let indented = |text: &str, by: usize| {
        let lines = text.lines().map(|line| format!("{}{line}\n", " ".repeat(by)));
        lines.collect::<String>()
    };
    format!(
        "portals:\n  acme:\n    url: https://portal.acme.example\n    identities:\n      staff: {{{identity}}}\n    checks:\n      x:\n        every: 5m\n        journey:\n          as: staff\n          lockout_guard: 15m\n          evidence: body\n          steps:\n{}{}",
        indented(steps, 12),
        indented(more, 10)
    )
}

const STAFF: &str = "username: probe, password: {insecure_literal: not-a-real-one}";

/// Two good steps, lines 14 to 19.
const TWO: &str = "- name: page
  get: /login
  capture: {login: {form: 'form#login'}, csrf: {field: token}}
- name: sign in
  submit: login
  form: {password: '{{ identity.password }}'}
";

const AT: &str = "portals.acme.checks.x.journey";

/// One fault in a third step, whose lines are numbered from 20.
#[track_caller]
fn third(step: &str, line: u32, place: &str, message: &str) {
    let text = config(STAFF, &format!("{TWO}{step}"), "");
    refused(&text, &[&format!("monitor.yaml:{line}: {AT}.steps[2]{place}: {message}")]);
}

#[test]
fn a_good_journey_is_accepted() {
    validate_with(&config(STAFF, TWO, "sign_out: {post: /logout, replay: /dashboard}"), &[]).ended(0);
}

#[test]
fn an_identity_that_is_not_there_is_named_with_the_one_that_was_meant() {
    let text = config(STAFF, TWO, "").replace("as: staff", "as: stuff");
    refused(&text, &[&format!("monitor.yaml:10: {AT}.as: … \"stuff\", did you mean \"staff\"?")]);
    let nobody = config(STAFF, TWO, "").replace("          as: staff\n", "");
    refused(
        &nobody,
        &[&format!(
            "monitor.yaml:18: {AT}.steps[1].form: identity.password needs an identity; write `as: NAME`"
        )],
    );
    let lacking = "- name: api\n  get: /\n  headers:\n    x-token: '{{ identity.token }}'\n";
    third(lacking, 23, ".headers", "the identity \"staff\" has no token");
}

#[test]
fn a_totp_secret_that_is_no_base32_is_refused_without_being_shown() {
    let secret = "n0t-base32-s3cr3t";
    let identity = format!("{STAFF}, totp: {{env: TOTP}}");
    let said = validate_with(&config(&identity, TWO, ""), &[("TOTP", secret)]).ended(78);
    let start = "monitor.yaml:5: portals.acme.identities.staff.totp: the secret is no base32";
    assert!(said.stdout.starts_with(start), "{said:?}");
    assert!(!said.stdout.contains(secret), "{said:?}");
    validate_with(&config(&identity, TWO, ""), &[("TOTP", "mzxw 6ytb")]).ended(0);
}

#[test]
fn a_template_that_cannot_be_read_is_named_at_its_line() {
    third("- name: a\n  get: '/{{ csrf'\n", 21, ".get", "");
    third(
        "- name: a\n  post: /\n  json:\n    title: '{% if %}'\n",
        23,
        ".json.title",
        "the template is wrong",
    );
    third("- name: a\n  get: /\n  when: 'csrf =='\n", 22, ".when", "");
    third("- name: a\n  get: /\n  expect:\n    body: {contains: '{{ csrf | nope }}'}\n", 23, ".expect", "");
}

#[test]
fn a_variable_that_no_step_before_captures_is_named_at_its_key() {
    third(
        "- name: a\n  get: '/{{ crsf }}'\n",
        21,
        ".get",
        "unknown variable \"crsf\", did you mean \"csrf\"?",
    );
    third(
        "- name: a\n  post: /\n  body: '{{ ticket }}'\n",
        22,
        ".body",
        "unknown variable \"ticket\"; no step before captures it",
    );
    third(
        "- name: a\n  get: '/{{ id }}'\n- {name: b, get: /, capture: {id: {json: $.id}}}\n",
        21,
        ".get",
        "\"id\" is captured only by a later step",
    );
    third("- name: a\n  submit: lgin\n", 21, ".submit", "no step before captures a form as \"lgin\"");
}

#[test]
fn unknown_keys_are_named_with_the_one_that_was_meant() {
    third("- name: a\n  gte: /\n  get: /\n", 21, "", "unknown key \"gte\", did you mean \"get\"?");
    third(
        "- name: a\n  get: /\n  capture:\n    id: {jsn: $.id}\n",
        23,
        ".capture.id",
        "unknown key \"jsn\", did you mean \"json\"?",
    );
    third(
        "- name: a\n  get: /\n  expect: {staus: 200}\n",
        22,
        ".expect",
        "unknown key \"staus\", did you mean \"status\"?",
    );
    let sweep = "sweep:\n  - get: /t?q={{ run.id }}\n    each: $[*].id\n    thn: {delete: '/t/{{ item }}'}\n    then: {delete: '/t/{{ item }}'}\n";
    refused(
        &config(STAFF, TWO, sweep),
        &[&format!("monitor.yaml:23: {AT}.sweep[0]: unknown key \"thn\", did you mean \"then\"?")],
    );
}

#[test]
fn a_steps_latency_budget_that_cannot_be_judged_is_refused_at_its_key() {
    third(
        "- name: a\n  get: /\n  latency: {p95: 2s, window: 20m}\n",
        22,
        ".latency.window",
        "a run every 5m gives no 20 samples within 20m; make window 1h40m or longer, or min_samples smaller",
    );
    third(
        "- name: a\n  get: /\n  latency: {window: 6h}\n",
        22,
        ".latency",
        "limits nothing; write p95: 500ms, or p50, p90, p99 or max",
    );
}

#[test]
fn mistakes_in_captures_and_bodies_stand_at_their_keys() {
    third(
        "- name: a\n  get: /\n  capture:\n    id: {css: 'a[['}\n",
        23,
        ".capture.id.css",
        "\"a[[\" is no CSS selector",
    );
    third("- name: a\n  get: /\n  capture:\n    id: {regex: '('}\n", 23, ".capture.id.regex", "");
    third("- name: a\n  get: /\n  capture:\n    id: {json: 'id'}\n", 23, ".capture.id.json", "");
    third(
        "- name: a\n  post: /\n  json: {}\n  body: x\n",
        23,
        ".body",
        "a request has one body; keep json or body",
    );
    third("- name: a\n  get: login\n", 21, ".get", "\"login\" does not start with a slash");
    third("- name: page\n  get: /\n", 20, ".name", "another step is called \"page\" already");
}

#[test]
fn all_mistakes_of_a_journey_are_told_at_once() {
    let step = "- name: create\n  write: true\n  post: /t\n  json: {title: x}\n";
    refused_with(
        &config(STAFF, &format!("{TWO}{step}"), ""),
        &[],
        &[
            &format!("monitor.yaml:21: {AT}.steps[2].write: a journey that writes needs a sweep"),
            &format!("monitor.yaml:21: {AT}.steps[2].write: a journey that writes needs a cleanup"),
            &format!("monitor.yaml:21: {AT}.steps[2].write: no write carries {{{{ run.id }}}}"),
        ],
    );
}
