//! Percentiles, uptime and reports: the daemon as a process, and the command beside its store.
#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

mod removed;
mod slow;

use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use portalwatch::clock::{Clock as _, SystemClock};
use portalwatch::model::{CheckId, Outcome, StepTime, Timings, Verdict};
use portalwatch::record::sqlite::{Mode, Sqlite};
use portalwatch::record::{Recorded, Store as _, Transition, roll};
use serde_json::Value;
use tempfile::TempDir;

use crate::command::portalwatch_with;
use crate::peers::{Daemon, Nginx, PATIENCE, free_port, poll};
use crate::telling::hook::Hook;
use crate::telling::{BROKEN, WELL};
use slow::Slow;

fn config(folder: &Path, checks: &str, more: &str) -> std::path::PathBuf {
    let file = folder.join("monitor.yaml");
    let text = format!(
        "storage: {{ url: 'sqlite://record.db' }}\nportals:\n  acme:\n    url: https://portal.acme.example\n    checks:\n{checks}\n{more}\n"
    );
    std::fs::write(&file, text).unwrap();
    file
}

#[test]
fn a_page_that_became_slow_is_told_and_so_is_its_end_and_a_restart_between_changes_nothing() {
    let (page, hook, dir) = (Slow::start(Duration::ZERO), Hook::start([]), TempDir::new().unwrap());
    let port = free_port();
    let text = format!(
        "server: {{ listen: '127.0.0.1:{port}' }}\nportals:\n  acme:\n    url: {}\n    private: true\n    checks:\n      \
         home: {{ every: 1s, timeout: 900ms, http: {{ path: / }}, latency: {{ p95: 100ms, window: 20s, min_samples: 10 }} }}\n\
         notify:\n  channels:\n{}  routes: [ {{ to: [hook], group_wait: 0s, group_interval: 1s }} ]\n",
        page.url(),
        hook.channel("hook", "format: alertmanager"),
    );
    let config = dir.path().join("monitor.yaml");
    std::fs::write(&config, text).unwrap();
    let mut daemon = Daemon::start(&config, port, &[]);
    daemon.wait_ready(PATIENCE);
    let samples = || {
        let page = daemon.metrics();
        let line = page.lines().find(|line| {
            line.starts_with("portalwatch_latency_samples{") && line.contains("window=\"20s\"")
        })?;
        line.rsplit(' ').next()?.parse::<f64>().ok()
    };
    assert!(
        poll(PATIENCE * 3, || samples().filter(|samples| *samples >= 10.0)).is_some(),
        "{}",
        daemon.metrics()
    );
    assert!(hook.received().is_empty(), "it is fast");

    page.answer_after(Duration::from_millis(250));
    let told = hook.wait(1);
    let alert = &told[0].json()["alerts"][0];
    assert_eq!(alert["labels"]["alertname"], "latency.over_budget");
    assert_eq!(alert["labels"]["severity"], "warning");
    let metrics = daemon.metrics();
    assert!(
        metrics.contains("portalwatch_check_up{portal=\"acme\",check=\"home\"} 1"),
        "slow is not down: {metrics}"
    );
    assert!(metrics.contains("portalwatch_latency_quantile_seconds{portal=\"acme\",check=\"home\",step=\"\",q=\"0.95\",window=\"20s\"} 0.25"), "{metrics}");
    daemon.terminate(PATIENCE);

    let mut daemon = Daemon::start(&config, port, &[]);
    daemon.wait_ready(PATIENCE);
    page.answer_after(Duration::ZERO);
    let told = hook.wait(2);
    assert_eq!(told[1].json()["status"], "resolved", "{told:#?}");
    assert_eq!(hook.received().len(), 2, "one message about it, and one about its end");
    daemon.terminate(PATIENCE);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_objective_pages_when_its_budget_burns_and_knows_the_hours_before_the_daemon() {
    let (mut page, hook, dir) = (Nginx::start(WELL), Hook::start([]), TempDir::new().unwrap());
    let port = free_port();
    let text = format!(
        "server: {{ listen: '127.0.0.1:{port}' }}\nstorage: {{ url: 'sqlite://record.db' }}\nportals:\n  acme:\n    url: {}\n    private: true\n    checks:\n      \
         home: {{ every: 1s, timeout: 900ms, confirm: {{ failures: 1000 }}, http: {{ path: / }} }}\n\
         objectives: [ {{ name: up, of: 'acme/*', target: 99.98%, window: 30d, kind: availability, labels: {{ team: ops }} }} ]\n\
         notify:\n  channels:\n{}  routes: [ {{ match: {{ team: ops }}, to: [hook], group_wait: 0s }} ]\n",
        page.url(),
        hook.channel("hook", "format: alertmanager"),
    );
    let config = dir.path().join("monitor.yaml");
    std::fs::write(&config, text).unwrap();
    {
        let file = dir.path().join("record.db");
        let store = Sqlite::open(&file, Mode::Daemon { full_sync: false }).await.unwrap();
        let now = SystemClock.now();
        let seconds = (0..7_200).rev();
        let past =
            seconds.map(|ago| result("acme/home", now - SignedDuration::from_secs(ago), Verdict::Pass, 5));
        store.commit(&past.collect::<Vec<_>>()).await.unwrap();
        store.close().await;
    }
    let mut daemon = Daemon::start(&config, port, &[]);
    daemon.wait_ready(PATIENCE);
    let shown = |daemon: &Daemon, name: &str, label: &str| {
        let name = format!("portalwatch_objective_{name}{{portal=\"_objectives\",check=\"up\"{label}}} ");
        daemon.metrics().lines().find_map(|line| line.strip_prefix(&*name)?.parse::<f64>().ok())
    };
    let left = |daemon: &Daemon| shown(daemon, "error_budget_left_ratio", "");
    let rate = |daemon: &Daemon| shown(daemon, "burn_rate", ",window=\"1h\"");
    let known = poll(PATIENCE * 3, || left(&daemon));
    assert!(known.is_some_and(|left| left > 0.9), "{known:?} {}", daemon.metrics());
    let said = report(dir.path(), &["objectives", "--format", "json"]).ended(0).json();
    assert_eq!(said["objectives"][0]["good"].as_f64(), Some(1.0), "{said}");

    // 14.4 times too fast are ten seconds of an hour: a few of them page nobody.
    page.reload(BROKEN);
    let fails = "portalwatch_check_up{portal=\"acme\",check=\"home\"} 0";
    assert!(poll(PATIENCE, || daemon.metrics().contains(fails).then_some(())).is_some());
    page.reload(WELL);
    let little = poll(PATIENCE * 3, || rate(&daemon).filter(|rate| *rate > 0.0));
    assert!(little.is_some_and(|rate| rate < 14.4), "{little:?}");
    assert!(hook.received().is_empty(), "{:#?}", hook.received());

    page.reload(BROKEN);
    let told = hook.wait(1);
    let alert = &told[0].json()["alerts"][0];
    assert_eq!(alert["labels"]["alertname"], "objective.burn_fast", "{alert}");
    assert_eq!((&alert["labels"]["severity"], &alert["labels"]["team"]), (&"critical".into(), &"ops".into()));
    assert!(rate(&daemon).is_some_and(|rate| rate >= 14.4), "{:?}", rate(&daemon));
    // The budget is that of thirty days, of which two hours are known.
    assert!(left(&daemon).is_some_and(|left| left > 0.9 && left < 0.99), "{:?}", left(&daemon));
    daemon.terminate(PATIENCE);
}

/// A result of a check, and how long it took.
fn result(check: &str, at: Timestamp, verdict: Verdict, millis: u64) -> Transition {
    let check = CheckId::from(check);
    let mut transition = Transition::of(check.clone());
    let step = StepTime { name: "sign in".into(), took: Duration::from_millis(millis / 2) };
    transition.result = Some(Recorded::Ran {
        outcome: Outcome {
            check,
            at,
            took: Duration::from_millis(millis),
            verdict,
            cause: None,
            why: None,
            findings: Vec::new(),
            status: Some(200),
            timings: Timings::default(),
            steps: vec![step],
            facts: None,
            transport: false,
            recheck: false,
        },
        in_full: false,
    });
    transition
}

/// Ten days of a check each minute: it takes 1 to 1,000 ms in turn, and fails in the first half of
/// every tenth hour; of another one nothing is known in every second hour.
async fn recorded(folder: &Path, end: Timestamp) {
    let store = Sqlite::open(&folder.join("record.db"), Mode::Daemon { full_sync: false }).await.unwrap();
    let start = end - SignedDuration::from_hours(240);
    for hour in 0..240 {
        let mut batch = Vec::new();
        for minute in 0..60 {
            let at = start + SignedDuration::from_mins(hour * 60 + minute);
            let number = u64::try_from(hour * 60 + minute).unwrap();
            let down = hour % 10 == 0 && minute < 30;
            let verdict = if down { Verdict::Fail } else { Verdict::Pass };
            batch.push(result("acme/home", at, verdict, 1 + number * 37 % 1_000));
            let verdict = if hour % 2 == 0 { Verdict::Pass } else { Verdict::Unknown };
            batch.push(result("acme/other", at, verdict, 10));
        }
        store.commit(&batch).await.unwrap();
    }
    roll::roll(&store, end).await.unwrap();
    store.close().await;
}

const CHECKS: &str =
    "      home: { http: {} }\n      other: { http: {} }\n      certificates: { certificate: {} }\n";

/// The last full hour, so that what is asked for is what was written.
fn end() -> Timestamp {
    let now = SystemClock.now().as_second();
    Timestamp::from_second(now - now % 3_600).unwrap()
}

fn report(folder: &Path, arguments: &[&str]) -> crate::command::Said {
    portalwatch_with(folder, &[], &[&["report"], arguments].concat())
}

fn of<'v>(rows: &'v Value, key: &str, name: &str) -> &'v Value {
    rows.as_array().unwrap().iter().find(|row| row[key] == name).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_says_what_was_recorded_to_the_second() {
    let dir = TempDir::new().unwrap();
    config(dir.path(), CHECKS, "notify: { timezone: Europe/Amsterdam }");
    let end = end();
    recorded(dir.path(), end).await;
    let (since, until) = ((end - SignedDuration::from_hours(240)).to_string(), end.to_string());
    let window = ["--since", &since, "--until", &until, "--format", "json"];

    let said = report(dir.path(), &[&["uptime"], &window[..]].concat()).ended(0).json();
    let home = of(&said["checks"], "name", "acme/home");
    assert_eq!(
        (home["down_seconds"].as_f64(), home["up_seconds"].as_f64()),
        (Some(43_200.0), Some(820_800.0))
    );
    assert_eq!((home["uptime"].as_f64(), home["coverage"].as_f64()), (Some(0.95), Some(1.0)));
    assert_eq!((home["runs"].as_u64(), home["failed"].as_u64()), (Some(14_400), Some(720)));
    let other = of(&said["checks"], "name", "acme/other");
    assert_eq!((other["uptime"].as_f64(), other["coverage"].as_f64()), (Some(1.0), Some(0.5)));
    assert_eq!(of(&said["checks"], "name", "acme/certificates")["uptime"], Value::Null, "nothing is known");
    let acme = of(&said["portals"], "name", "acme");
    let weighed = 1_252_800.0 / 1_296_000.0;
    assert!((acme["uptime"].as_f64().unwrap() - weighed).abs() < 1e-12, "{acme}");
    assert_eq!(acme["worst"]["check"], "acme/home");

    let said = report(dir.path(), &[&["latency", "acme/home"], &window[..]].concat()).ended(0).json();
    let parts = &said["checks"][0]["parts"];
    let whole = of(parts, "part", "whole");
    assert_eq!(whole["samples"].as_u64(), Some(14_400 - 720), "what failed fast is no sample");
    let mut sorted: Vec<u32> =
        (0..14_400).filter(|run| run % 600 >= 30).map(|run| 1 + run * 37 % 1_000).collect();
    sorted.sort_unstable();
    for (q, rank) in [("p50", 6_840), ("p90", 12_312), ("p95", 12_996), ("p99", 13_544), ("max", 13_680)] {
        let (found, exact) = (whole["seconds"][q].as_f64().unwrap(), f64::from(sorted[rank - 1]) / 1e3);
        assert!((found - exact).abs() / exact <= 0.01, "{q}: {found}, exactly {exact}");
    }
    assert_eq!(of(parts, "part", "step:sign in")["samples"].as_u64(), Some(13_680));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_young_record_is_read_without_looking_through_all_the_years_before_it() {
    let dir = TempDir::new().unwrap();
    config(dir.path(), CHECKS, "");
    let store = Sqlite::open(&dir.path().join("record.db"), Mode::Daemon { full_sync: false }).await.unwrap();
    store.commit(&[result("acme/home", SystemClock.now(), Verdict::Pass, 5)]).await.unwrap();
    store.close().await;
    // Commands are bounded in time: nothing is rolled up yet, and a year has 52,560 steps.
    report(dir.path(), &["uptime", "--windows"]).ended(0);
    report(dir.path(), &["latency", "--since", "5y"]).ended(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_reads_well_in_every_format() {
    let dir = TempDir::new().unwrap();
    config(dir.path(), CHECKS, "notify: { timezone: Europe/Amsterdam }");
    recorded(dir.path(), end()).await;
    let text = report(dir.path(), &["uptime"]).ended(0).stdout;
    assert!(text.contains("acme/home") && text.contains("coverage") && text.contains("+0"), "{text}");
    let windows = report(dir.path(), &["uptime", "--windows"]).ended(0).stdout;
    assert!(windows.contains("365d") && windows.contains("24h"), "{windows}");
    let csv = report(dir.path(), &["latency", "--format", "csv"]).ended(0).stdout;
    assert!(csv.starts_with("check,part,samples,cut_off,p50_seconds"), "{csv}");
    assert!(csv.contains("acme/home,step:sign in,13680,0,"), "{csv}");
    for what in ["latency", "uptime", "incidents"] {
        let page = report(dir.path(), &[what, "--format", "html"]).ended(0).stdout;
        assert!(page.starts_with("<!DOCTYPE html>") && page.contains("</html>"), "{page}");
        assert!(!page.contains("<script") && !page.contains("src=") && !page.contains("href="), "{page}");
        assert_eq!(page.contains("<svg"), what != "incidents", "{what}");
        assert_eq!(page.contains("class=\"scale\""), what == "latency", "{what}");
    }
    let none = report(dir.path(), &["incidents"]).ended(0).stdout;
    assert!(none.starts_with("Incidents from ") && none.trim_end().ends_with(": 0"), "{none}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_rules_are_tried_on_what_was_recorded() {
    let dir = TempDir::new().unwrap();
    config(dir.path(), CHECKS, "");
    recorded(dir.path(), end()).await;
    let checks = "      home: { http: { expect: { status: 204, json: { $.ok: true } } }, confirm: { failures: 2 } }\n      new: { http: {} }\n";
    let other = "portals:\n  acme:\n    url: https://portal.acme.example\n    checks:\n".to_owned()
        + checks
        + "notify: { channels: { hook: { webhook: { url: { env: NOT_SET } } } } }\n";
    std::fs::write(dir.path().join("other.yaml"), other).unwrap();
    let arguments =
        ["replay", "-c", "other.yaml", "--record", "monitor.yaml", "--since", "10d", "--format", "json"];
    let said = portalwatch_with(dir.path(), &[], &arguments).ended(0).json();
    let home = of(&said["checks"], "check", "acme/home");
    assert!(home["results"].as_u64().unwrap() > 14_000, "{home}");
    let incident = &home["incidents"][0];
    assert_eq!(
        (&incident["would"], &incident["did"]),
        (&true.into(), &false.into()),
        "200 is not expected any more"
    );
    assert_eq!(home["notices"][0]["channels"][0], "hook");
    let not = home["not_replayable"].to_string();
    assert!(not.contains("expect.json") && not.contains("not recorded"), "{not}");
    let new = of(&said["checks"], "check", "acme/new");
    assert_eq!(new["not_replayable"][0], "nothing is recorded of it in this time");
    let arguments = [&arguments[..7], &["--timezone", "Asia/Kolkata"]].concat();
    let text = portalwatch_with(dir.path(), &[], &arguments).ended(0).stdout;
    assert!(text.contains("tells hook from ") && text.contains("+05:30 on)"), "{text}");
    let text = portalwatch_with(dir.path(), &[], &["replay", "--since", "10d"]).ended(0).stdout;
    assert!(text.contains("acme/home: 14") && text.contains("Not replayable:"), "{text}");
    assert!(text.contains("acme/certificates: nothing is recorded of it in this time"), "{text}");
}

#[test]
fn what_cannot_be_reported_is_said_with_the_way_out() {
    let dir = TempDir::new().unwrap();
    config(dir.path(), CHECKS, "");
    let refused = report(dir.path(), &["uptime"]).ended(70);
    assert!(
        refused.stderr.contains("nothing to report from")
            && refused.stderr.contains("record.db: there is no such file"),
        "{refused:?}"
    );
    let refused = report(dir.path(), &["uptime", "--since", "yesterday"]).ended(70);
    assert!(!refused.stderr.is_empty());
    let refused = report(dir.path(), &["weather"]).ended(64);
    assert!(refused.stderr.contains("latency"), "{refused:?}");
}
