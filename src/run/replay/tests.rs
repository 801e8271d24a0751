use std::sync::Arc;
use std::time::Duration;

use serde_json::value::to_raw_value;

use super::*;
use crate::alert::Route;
use crate::model::latency::Budget;
use crate::model::{FindingId, Part, Severity, Timings};
use crate::probe::http::Http;
use crate::probe::{Kind as _, probe};
use crate::run::fakes::{Does, Fake, planned};

const MINUTE: i64 = 60;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

fn route() -> Route {
    Route {
        matchers: Vec::new(),
        to: vec!["mail".into()],
        go_on: false,
        group_by: Vec::new(),
        group_wait: None,
        group_interval: Duration::from_secs(300),
        repeat: None,
    }
}

/// A check of the http kind that expects these statuses.
fn check(expect: &str) -> PlannedCheck {
    let fake = planned("home", Duration::from_secs(60), true, Fake::new(Does::Pass, Duration::ZERO));
    let spec = serde_json::json!({"url": "https://portal.example/", "expect": {"status": expect}});
    let probe = probe::<Http>(serde_json::from_value(spec).unwrap());
    let mut policy = fake.policy.clone();
    policy.findings = Http::FINDINGS;
    policy.failures = Some(2);
    policy.routes = Arc::new([route()]);
    PlannedCheck { probe, policy, ..fake }
}

fn finding() -> Finding {
    Finding {
        id: FindingId::new("http.status"),
        subject: "portal.example".into(),
        severity: Severity::Critical,
        broken: true,
        measured: true,
        summary: String::new(),
        evidence: serde_json::Map::new(),
        reference: None,
    }
}

fn row(minute: i64, status: u16, verdict: Verdict) -> ResultRow {
    ResultRow {
        at: at(minute * MINUTE),
        verdict,
        cause: None,
        status: Some(status),
        took: Duration::from_millis(100),
        timings: Timings::default(),
        steps: Box::default(),
        findings: if verdict == Verdict::Fail { vec![finding()] } else { Vec::new() },
        recheck: false,
        too_slow: false,
    }
}

/// Ten good minutes, ten of 503, ten good ones.
fn outage() -> Vec<ResultRow> {
    let one = |minute| match minute {
        10..20 => row(minute, 503, Verdict::Fail),
        _ => row(minute, 200, Verdict::Pass),
    };
    (0..30).map(one).collect()
}

fn facts(rows: &[ResultRow]) -> KeptFacts {
    let bad = rows.iter().filter(|row| row.verdict == Verdict::Fail);
    let facts = |row: &ResultRow| {
        let facts = serde_json::json!({"subject": "portal.example", "status": row.status});
        (row.at, to_raw_value(&facts).unwrap())
    };
    bad.map(facts).collect()
}

fn replayed(check: &PlannedCheck, rows: &[ResultRow], facts: KeptFacts) -> Replayed {
    let mut replay = Replay::new(check, facts);
    rows.iter().for_each(|row| replay.take(row));
    replay.finish(at(100 * MINUTE))
}

#[test]
fn the_same_rules_say_what_was_said_then() {
    let rows = outage();
    let seen = replayed(&check("2xx"), &rows, facts(&rows));
    let incident = seen.incidents.values().next().unwrap();
    assert_eq!((incident.started, incident.ended), (at(10 * MINUTE), Some(at(20 * MINUTE))));
    let told: Vec<_> = seen.notices.iter().map(|notice| (notice.reason, &*notice.channels[0])).collect();
    assert_eq!(told, [("opened", "mail"), ("resolved", "mail")]);
    assert_eq!((seen.results, seen.judged, seen.taken), (30, 10, 20));
}

#[test]
fn a_status_that_is_expected_now_would_not_have_paged() {
    let rows = outage();
    let both = serde_json::from_str::<serde_json::Value>("[200, 503]").unwrap();
    let mut lenient = check("2xx");
    let spec = serde_json::json!({"url": "https://portal.example/", "expect": {"status": both}});
    lenient.probe = probe::<Http>(serde_json::from_value(spec).unwrap());
    assert!(replayed(&lenient, &rows, facts(&rows)).notices.is_empty());
}

#[test]
fn a_status_that_is_not_expected_any_more_would_have_paged_although_it_passed() {
    let rows: Vec<_> = (0..5).map(|minute| row(minute, 204, Verdict::Pass)).collect();
    let seen = replayed(&check("200"), &rows, Vec::new());
    assert_eq!(seen.notices[0].reason, "opened");
    assert_eq!(seen.incidents.values().next().unwrap().alertname, "http.status");
}

#[test]
fn other_confirmation_and_other_budgets_are_applied_to_what_was_recorded() {
    let rows = outage();
    let mut patient = check("2xx");
    patient.policy.failures = Some(11);
    assert!(replayed(&patient, &rows, facts(&rows)).notices.is_empty());
    let mut strict = check("2xx");
    strict.budgets = Arc::new([Budget {
        part: Part::Whole,
        limits: vec![(0.5, Duration::from_millis(50))],
        window: Duration::from_secs(1_800),
        min_samples: 8,
        fail: false,
        spike: false,
    }]);
    let seen = replayed(&strict, &rows, facts(&rows));
    let names: Vec<_> = seen.incidents.values().map(|incident| incident.alertname.as_str()).collect();
    assert_eq!(names, ["latency.over_budget"], "it was slow before it was down");
}

#[test]
fn a_reminder_would_have_come_in_its_time() {
    let rows: Vec<_> = (0..600).map(|minute| row(minute, 503, Verdict::Fail)).collect();
    let seen = replayed(&check("2xx"), &rows, facts(&rows));
    let repeated: Vec<_> = seen.notices.iter().filter(|notice| notice.reason == "repeated").collect();
    assert_eq!(repeated.len(), 2, "every four hours");
}

#[test]
fn facts_of_another_version_are_counted_and_what_was_found_stands() {
    let rows = outage();
    let odd = facts(&rows).into_iter().map(|(at, _)| (at, to_raw_value("no facts").unwrap())).collect();
    let seen = replayed(&check("2xx"), &rows, odd);
    assert_eq!((seen.unreadable, seen.judged), (10, 0));
    assert_eq!(seen.notices.len(), 2);
}
