use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::model::{Phase, Severity};
use crate::probe::journey::facts::{BlockedAt, Refused, SignedOut, Swept};
use crate::probe::journey::{Memory, remember};
use crate::probe::web::facts::{self, Failure, FailureKind, Match, Part, RedirectProblem, Skipped};

fn spec_of(steps: Value) -> Spec {
    serde_json::from_value(json!({ "steps": steps })).unwrap()
}

/// Page, sign-in, dashboard, list.
fn spec() -> Spec {
    spec_of(json!([
        { "name": "page", "get": "/login" },
        { "name": "sign in", "post": "/login", "form": { "p": "{{ identity.password }}" } },
        { "name": "dashboard", "get": "/dashboard" },
        { "name": "list", "get": "/list" },
    ]))
}

fn passed(name: &str) -> StepFacts {
    StepFacts {
        name: name.into(),
        request: format!("GET /{name}"),
        status: Some(200),
        requests: 1,
        ..StepFacts::default()
    }
}

fn failed_by(name: &str, status: impl Into<Option<u16>>, trouble: Trouble) -> StepFacts {
    StepFacts { status: status.into(), trouble: Some(trouble), ..passed(name) }
}

fn status() -> Trouble {
    Trouble::Status { expected: "200-299".into() }
}

fn unmet() -> Trouble {
    let found = Match {
        part: Part::Body,
        key: String::new(),
        held: facts::Held::No,
        rule: Some("contains \"Welcome\"".into()),
        value: None,
    };
    Trouble::Unmet(vec![found])
}

fn capture() -> Trouble {
    Trouble::Capture { name: "x".into(), why: "no form".into() }
}

fn timeout() -> Trouble {
    Trouble::Transport(Failure {
        phase: Phase::Ttfb,
        kind: FailureKind::Timeout,
        detail: "no answer".into(),
        address: None,
    })
}

fn ours() -> Trouble {
    Trouble::OurSide(Skipped { cause: Cause::Overload, why: "no descriptors".into(), no_route: false })
}

fn facts(steps: impl IntoIterator<Item = StepFacts>) -> Facts {
    Facts { run: "pw-1".into(), steps: steps.into_iter().collect(), ..Facts::default() }
}

/// A run that passed up to a step that failed.
fn up_to(step: StepFacts) -> Facts {
    let before = ["page", "sign in", "dashboard", "list"].into_iter().take_while(|name| *name != step.name);
    facts(before.map(passed).chain([step.clone()]).collect::<Vec<_>>())
}

fn ids(spec: &Spec, facts: &Facts) -> Vec<String> {
    findings(spec, facts).iter().map(|finding| finding.id.to_string()).collect()
}

fn is_refusal(step: StepFacts) -> bool {
    refusal(&spec(), &up_to(step)).is_some()
}

#[test]
fn each_trouble_has_its_finding_and_nothing_that_follows_from_it() {
    for (trouble, status, id) in [
        (timeout(), None, "journey.unreachable"),
        (
            Trouble::Redirect(RedirectProblem::Loop("https://a.example/".into())),
            Some(302),
            "journey.redirect",
        ),
        (status(), Some(500), "journey.status"),
        (unmet(), Some(200), "journey.expectation"),
        (capture(), Some(200), "journey.capture"),
        (Trouble::NotSent("x is empty".into()), None, "journey.not_sent"),
        (Trouble::Until("done did not hold".into()), Some(200), "journey.until"),
        (Trouble::OutOfTime, None, "journey.out_of_time"),
    ] {
        let mut facts = up_to(failed_by("list", status, trouble));
        facts.steps.push(failed_by("more", 500, self::status()));
        let told = findings(&spec(), &facts);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!((told[0].id.as_str(), told[0].subject.as_str()), (id, "list"));
        assert!(told[0].summary.starts_with("step 4 of 4, GET /list: "), "{}", told[0].summary);
        assert_eq!(unknown(&facts), None);
    }
    let authorize = failed_by("access token", 200, Trouble::NoToken("answered something".into()));
    let facts = Facts { authorize: Some(authorize), ..facts([]) };
    assert_eq!(ids(&spec(), &facts), ["journey.no_token"]);
    assert_eq!(ids(&spec(), &up_to(passed("list"))), Vec::<String>::new());
}

#[test]
fn an_answer_to_the_sign_in_that_is_a_verdict_refuses() {
    for (status_code, trouble) in [
        (401, status()),
        (403, status()),
        (400, status()),
        (422, status()),
        (200, unmet()),
        (200, capture()),
        (200, status()),
    ] {
        let facts = up_to(failed_by("sign in", status_code, trouble.clone()));
        assert_eq!(ids(&spec(), &facts), ["journey.refused"], "{status_code} {trouble:?}");
        let told = &findings(&spec(), &facts)[0];
        assert!(told.evidence.contains_key("transcript"), "{told:?}");
    }
}

#[test]
fn an_outage_a_broken_form_and_our_own_faults_refuse_nothing() {
    for (status_code, trouble) in [
        (Some(500), status()),
        (Some(503), status()),
        (Some(404), status()),
        (Some(405), status()),
        (Some(415), status()),
        (Some(500), unmet()),
        (None, timeout()),
        (Some(200), timeout()),
        (None, Trouble::OutOfTime),
        (None, Trouble::NotSent("no form".into())),
        (Some(302), Trouble::Redirect(RedirectProblem::Loop("https://a.example/login".into()))),
        (None, ours()),
    ] {
        assert!(
            !is_refusal(failed_by("sign in", status_code, trouble.clone())),
            "{status_code:?} {trouble:?}"
        );
    }
    let csrf = StepFacts { about_csrf: true, ..failed_by("sign in", 403, status()) };
    assert_eq!(ids(&spec(), &up_to(csrf)), ["journey.status"]);
    assert!(!is_refusal(failed_by("page", 401, status())), "nothing was shown yet");
}

#[test]
fn the_first_page_behind_the_sign_in_shows_whether_it_worked() {
    let login = StepFacts { asks_for_password: true, ..failed_by("dashboard", 200, unmet()) };
    assert!(is_refusal(login.clone()));
    assert!(is_refusal(failed_by("dashboard", 401, status())));
    assert!(is_refusal(failed_by("dashboard", 403, status())));
    assert!(!is_refusal(failed_by("dashboard", 404, status())));
    assert!(!is_refusal(failed_by("dashboard", 200, unmet())), "the dashboard is what is wrong");
    let mut back = up_to(failed_by("dashboard", 200, unmet()));
    back.steps[0].final_url = "https://a.example/login?next=/".into();
    back.steps[2].final_url = "https://a.example/login".into();
    assert!(refusal(&spec(), &back).is_some());
    // Later the session is what was lost.
    assert!(!is_refusal(StepFacts { name: "list".into(), ..login.clone() }));
    let mut left_out = up_to(StepFacts { name: "list".into(), ..login });
    left_out.steps[2] =
        StepFacts { requests: 0, status: None, left_out: Some("not: x".into()), ..passed("dashboard") };
    assert!(refusal(&spec(), &left_out).is_some());
}

#[test]
fn an_optional_step_that_failed_hides_no_refusal() {
    let mut facts = up_to(failed_by("sign in", 401, status()));
    facts.steps[0] = StepFacts { optional: true, ..failed_by("page", 404, status()) };
    assert_eq!(ids(&spec(), &facts), ["journey.refused", "journey.optional"]);
    let optional = StepFacts { optional: true, ..failed_by("sign in", 401, status()) };
    assert_eq!(ids(&spec(), &up_to(optional)), ["journey.refused"]);
}

#[test]
fn a_credential_that_was_accepted_is_refused_by_401_alone() {
    let basic = json!({ "authorization": "Basic {{ identity.password | base64 }}" });
    let spec = spec_of(json!([
        { "name": "page", "get": "/a", "headers": basic },
        { "name": "sign in", "get": "/b", "headers": basic },
    ]));
    let refused = |step: StepFacts| refusal(&spec, &up_to(step)).is_some();
    assert!(refused(failed_by("page", 403, status())) && refused(failed_by("page", 200, unmet())));
    assert!(refused(failed_by("sign in", 401, status())));
    assert!(!refused(failed_by("sign in", 403, status())) && !refused(failed_by("sign in", 200, unmet())));
    let code = spec_of(json!([
        { "name": "page", "post": "/a", "form": { "p": "{{ identity.password }}" } },
        { "name": "sign in", "post": "/b", "form": { "c": "{{ totp(identity.totp) }}" } },
    ]));
    assert!(refusal(&code, &up_to(failed_by("sign in", 200, unmet()))).is_some(), "the code is new");
    let compares = spec_of(
        json!([{ "name": "page", "get": "/a", "expect": { "body": { "not_contains": "{{ identity.password }}" } } }]),
    );
    assert!(refusal(&compares, &up_to(failed_by("page", 403, status()))).is_none(), "nothing was sent");
}

#[test]
fn a_token_that_is_not_taken_is_a_refused_credential() {
    let mut facts = up_to(failed_by("page", 401, status()));
    assert_eq!(ids(&spec(), &facts), ["journey.status"]);
    facts.token_shown = true;
    assert_eq!(ids(&spec(), &facts), ["journey.refused"]);
    facts.steps[0] = failed_by("page", 403, status());
    assert_eq!(ids(&spec(), &facts), ["journey.status"], "the token is known and may not do this");
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn remembered(facts: &Facts) -> Memory {
    remember(&spec(), facts, &Memory { totp_step: Some(7), stop: None }, at(1000))
}

#[test]
fn a_refused_credential_is_held_for_the_guard_and_told_again() {
    let memory = remembered(&up_to(failed_by("sign in", 401, status())));
    let held = memory.stop.clone().unwrap();
    assert_eq!((held.until, held.refused, memory.totp_step), (at(1900), true, Some(7)));
    let silent = Facts { held: Some(held), ..facts([]) };
    let told = findings(&spec(), &silent);
    assert_eq!((told.len(), told[0].id.as_str(), unknown(&silent)), (1, "journey.refused", None));
    assert!(told[0].summary.contains("not shown again before"), "{}", told[0].summary);
    assert_eq!(remember(&spec(), &silent, &memory, at(1500)), memory, "a held run changes nothing");
    assert_eq!(<crate::probe::journey::Journey as crate::probe::Kind>::settings_changed(memory).stop, None);
    let at_endpoint =
        Facts { refused: Some(Refused { step: "access token".into(), why: "401".into() }), ..facts([]) };
    assert_eq!(ids(&spec(), &at_endpoint), ["journey.refused"]);
    assert!(remembered(&at_endpoint).stop.is_some());
    assert_eq!(remembered(&up_to(failed_by("sign in", 500, status()))).stop, None);
    let used = Facts { totp_step: Some(9), ..facts([]) };
    assert_eq!(remembered(&used).totp_step, Some(9));
}

fn blocked_for(lock_out: bool, retry_after: Option<u64>) -> Facts {
    let blocked = BlockedAt { step: "sign in".into(), why: "429".into(), lock_out, retry_after };
    Facts { blocked: Some(blocked), ..up_to(failed_by("sign in", 429, status())) }
}

#[test]
fn a_block_is_unknown_and_held_as_long_as_it_asks() {
    for (lock_out, retry_after, until) in [
        (false, Some(30), Some(1030)),
        (false, None, None),
        (true, None, Some(1900)),
        (true, Some(3600), Some(4600)),
    ] {
        let facts = blocked_for(lock_out, retry_after);
        assert_eq!(ids(&spec(), &facts), Vec::<String>::new());
        assert_eq!(unknown(&facts).map(|unmeasured| unmeasured.cause), Some(Cause::Blocked));
        let held = remembered(&facts).stop;
        assert_eq!(held.as_ref().map(|held| held.until), until.map(at));
        let silent = Facts { held: held.clone(), ..self::facts([]) };
        assert_eq!(unknown(&silent).is_some(), held.is_some());
        assert_eq!(ids(&spec(), &silent), Vec::<String>::new());
    }
}

#[test]
fn our_own_faults_are_unknown_with_their_cause() {
    let skipped = Skipped { cause: Cause::Overload, why: "no descriptors".into(), no_route: false };
    let facts = Facts { our_side: Some(skipped), ..up_to(failed_by("list", None, ours())) };
    assert_eq!(ids(&spec(), &facts), Vec::<String>::new());
    assert_eq!(unknown(&facts).map(|unmeasured| unmeasured.cause), Some(Cause::Overload));
    let optional = up_to(StepFacts { optional: true, ..failed_by("list", None, ours()) });
    assert_eq!(ids(&spec(), &optional), Vec::<String>::new());
    let no_ledger = Facts { not_written: Some(NotWritten::NoLedger("no space".into())), ..self::facts([]) };
    assert_eq!(unknown(&no_ledger).map(|unmeasured| unmeasured.cause), Some(Cause::LocalStorage));
    assert_eq!(ids(&spec(), &no_ledger), Vec::<String>::new());
}

#[test]
fn a_failed_clean_up_neither_hides_the_step_that_failed_nor_is_hidden_by_it() {
    let clean_up =
        StepFacts { blocked: blocked_for(false, None).blocked, ..failed_by("cleanup", 429, status()) };
    let facts = Facts {
        cleanup: vec![clean_up],
        written: Some(Written::LeftBehind("answered 429".into())),
        ..up_to(failed_by("list", 500, status()))
    };
    assert_eq!(ids(&spec(), &facts), ["journey.status", "journey.left_behind"]);
    assert_eq!(unknown(&facts), None);
}

#[test]
fn what_became_of_writes_and_leftovers_is_told() {
    for (not_written, inside) in [
        (NotWritten::ByHand, "--write"),
        (NotWritten::Spent { written: 400 }, "400 writes in 24 hours"),
        (NotWritten::Unswept { run: "pw-0".into() }, "pw-0 wrote has to be swept"),
        (NotWritten::Busy { run: "pw-0".into() }, "pw-0 of this check"),
    ] {
        let told = findings(&spec(), &Facts { not_written: Some(not_written), ..facts([]) });
        assert!(
            told[0].id.as_str() == "journey.not_written"
                && !told[0].measured
                && told[0].summary.contains(inside),
            "{told:?}"
        );
    }
    let swept = |end: SweepEnd, attempts| {
        let swept = Swept { run: "pw-0".into(), entered: at(0), end, attempts };
        ids(&spec(), &Facts { swept: vec![swept], ..facts([]) })
    };
    assert_eq!(swept(SweepEnd::Removed(1), 0), ["journey.swept"]);
    assert_eq!(swept(SweepEnd::Absent, 2), ["journey.swept"]);
    assert_eq!(swept(SweepEnd::Failed("500".into()), 2), ["journey.left_behind"]);
    assert_eq!(swept(SweepEnd::Failed("500".into()), 3), ["journey.orphan"]);
    assert_eq!(swept(SweepEnd::Waiting, 1), ["journey.left_behind"]);
}

#[test]
fn a_session_that_outlives_its_sign_out_is_an_error_and_one_unproven_a_warning() {
    let out = |still_opens, unproven: Option<&str>, trouble| {
        let step = StepFacts { trouble, ..passed("sign out") };
        let sign_out = Some(SignedOut { step, still_opens, unproven: unproven.map(str::to_owned) });
        findings(&spec(), &Facts { sign_out, ..facts([]) })
    };
    let alive = out(Some(("GET /dashboard".into(), 200)), None, None);
    assert_eq!((alive[0].id.as_str(), alive[0].severity), ("journey.session_outlives", Severity::Error));
    assert_eq!(out(None, Some("no answer"), None)[0].id.as_str(), "journey.sign_out");
    assert_eq!(out(None, Some("failed"), Some(status()))[0].id.as_str(), "journey.sign_out");
    assert_eq!(out(None, None, None), []);
}
