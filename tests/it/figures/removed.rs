//! What is recorded of things that are not in the config.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use portalwatch::model::{CheckId, Incident, IncidentId, Verdict};
use portalwatch::record::sqlite::{Mode, Sqlite};
use portalwatch::record::{Figures as _, Store as _, Transition};
use portalwatch::stats::samples::Rules;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{CHECKS, config, end, of, report, result};

/// An hour of trouble, long over.
fn trouble(check: &CheckId, end: Timestamp) -> Transition {
    let started = end - SignedDuration::from_hours(5);
    let finding = json!({
        "id": "http.status", "subject": "", "severity": "critical", "broken": true, "measured": true,
        "summary": "status 502",
    });
    let incident: Incident = serde_json::from_value(json!({
        "id": IncidentId::new(check, started), "check": check, "kind": "http", "labels": {},
        "alertname": "http.status", "severity": "critical", "started": started, "opened": started,
        "last_good": null, "findings": [finding], "ended": end - SignedDuration::from_hours(4),
        "closed": "recovered", "flapping": false,
    }))
    .unwrap();
    Transition { incidents: vec![incident], ..Transition::of(check.clone()) }
}

fn checks(said: &Value) -> String {
    let all = said["incidents"].as_array().unwrap();
    let mut checks: Vec<&str> = all.iter().map(|one| one["check"].as_str().unwrap()).collect();
    checks.sort_unstable();
    checks.join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_in_the_config_any_more_is_not_gone_from_the_record() {
    let dir = TempDir::new().unwrap();
    config(dir.path(), CHECKS, "");
    let (end, old) = (end(), CheckId::from("acme/old"));
    let store = Sqlite::open(&dir.path().join("record.db"), Mode::Daemon { full_sync: false }).await.unwrap();
    let at = |minute: i64| end - SignedDuration::from_mins(300 - minute);
    let results: Vec<_> = (0..120).map(|minute| result("acme/old", at(minute), Verdict::Pass, 20)).collect();
    store.commit(&results).await.unwrap();
    let rules = Rules { every: Duration::from_secs(60), timeout: Duration::from_secs(10) };
    store.note_rules(&[(old.clone(), rules)]).await.unwrap();
    let troubled = [old, CheckId::objective("up"), CheckId::monitor(), CheckId::from("acme/home")];
    store.commit(&troubled.map(|check| trouble(&check, end))).await.unwrap();
    store.close().await;

    let incidents = |globs: &[&str]| {
        checks(&report(dir.path(), &[&["incidents", "--format", "json"], globs].concat()).ended(0).json())
    };
    assert_eq!(incidents(&[]), "_objectives/up _portalwatch/monitor acme/home acme/old");
    assert_eq!(incidents(&["acme/*"]), "acme/home acme/old");
    assert_eq!(incidents(&["old", "monitor"]), "_portalwatch/monitor acme/old");
    assert_eq!(incidents(&["up"]), "_objectives/up", "an objective that is not in the config");

    let said = report(dir.path(), &["uptime", "old", "--format", "json"]).ended(0).json();
    // The last one stands for two intervals.
    assert_eq!(of(&said["checks"], "name", "acme/old")["up_seconds"].as_f64(), Some(7_260.0));
    let said = report(dir.path(), &["latency", "old", "--format", "json"]).ended(0).json();
    assert_eq!(said["checks"][0]["parts"][0]["samples"], 120);
    let all = report(dir.path(), &["uptime"]).ended(0).stdout;
    assert!(!all.contains("acme/old"), "{all}");
    for nothing in [["incidents", "older"], ["uptime", "monitor"], ["latency", "up"], ["objectives", "old"]] {
        let refused = report(dir.path(), &nothing).ended(64);
        assert!(refused.stderr.contains("matches"), "{refused:?}");
    }
}
