//! From a config to a plan.

use std::path::PathBuf;

use portalwatch::app;
use portalwatch::formats::yaml::Fault;
use portalwatch::model::CheckId;
use portalwatch::plan::Plan;

struct Written {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn written(text: &str) -> Written {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("monitor.yaml");
    std::fs::write(&path, text).unwrap();
    Written { _folder: folder, path }
}

fn plan(text: &str) -> Plan {
    let written = written(text);
    app::plan(&written.path).map_err(|faults| format!("{faults:#?}")).unwrap().0
}

/// `count` checks a second of `host`.
fn busy(host: &str, count: usize) -> String {
    let checks: String = (0..count)
        .map(|index| format!("      c{index}: {{ every: 1s, timeout: 1s, http: {{ path: /{index} }} }}\n"))
        .collect();
    format!(
        "defaults: {{ reference: [ {{ tcp: \"192.0.2.1:443\" }} ] }}\nportals:\n  acme:\n    url: http://{host}\n    private: true\n    checks:\n{checks}"
    )
}

#[test]
fn a_host_that_would_be_hammered_is_warned_about() {
    let warnings = plan(&busy("portal.example", 11)).warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("portal.example would be asked 11 times a second"), "{warnings:?}");
    assert_eq!(plan(&busy("portal.example", 10)).warnings, Vec::<String>::new());
}

#[test]
fn loopback_may_be_asked_as_often_as_one_likes() {
    for host in ["127.0.0.1:8080", "localhost", "[::1]:80"] {
        assert_eq!(plan(&busy(host, 30)).warnings, Vec::<String>::new(), "{host}");
    }
}

#[test]
fn a_guard_that_is_off_is_said_only_where_it_would_help() {
    let check = |private: bool| {
        format!(
            "portals: {{ acme: {{ url: http://portal.example, private: {private}, checks: {{ home: {{ http: {{}} }} }} }} }}"
        )
    };
    let warnings = plan(&check(false)).warnings;
    assert!(warnings.iter().any(|warning| warning.contains("own-network guard is off")), "{warnings:?}");
    assert_eq!(plan(&check(true)).warnings, Vec::<String>::new());
}

#[test]
fn without_routes_everybody_is_told() {
    let plan = plan(
        "portals: { acme: { url: http://portal.example, checks: { home: { http: {} } } } }
notify:
  channels:
    one: { webhook: { url: https://one.example/ } }
    two: { webhook: { url: https://two.example/ } }
",
    );
    assert_eq!(plan.routes.len(), 1);
    assert_eq!(plan.routes[0].to, ["one", "two"]);
}

const TWO_SECRETS: &str = "portals:
  acme:
    url: http://portal.example
    checks:
      open: { http: {} }
      closed: { http: { auth: { bearer: { env: PORTALWATCH_TEST_NO_SUCH_VARIABLE } } } }
notify:
  channels:
    hook: { webhook: { url: { env: PORTALWATCH_TEST_NO_SUCH_VARIABLE } } }
";

#[test]
fn a_check_needs_no_secret_but_its_own() {
    let written = written(TWO_SECRETS);
    let plan =
        app::plan_for_check(&written.path, &|id: &CheckId| id.name() == "open").map_err(shown).unwrap();
    assert_eq!(plan.checks.len(), 1);
    let faults = app::plan_for_check(&written.path, &|_| true).err().map(shown).unwrap();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].contains("monitor.yaml:6: portals.acme.checks.closed.http.auth.bearer"), "{faults:?}");
}

#[test]
fn faults_of_checks_and_channels_are_reported_together() {
    let written = written(TWO_SECRETS);
    let faults = app::plan(&written.path).err().map(shown).unwrap();
    assert_eq!(faults.len(), 2, "{faults:?}");
}

fn shown(faults: Vec<Fault>) -> Vec<String> {
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn a_key_of_later_is_refused_by_that_name() {
    let text = "portals: { acme: { url: http://portal.example, checks: { queue: { http: { expect: { metrics: [ 'x < 5' ] } } } } } }\n";
    let faults = app::plan(&written(text).path).err().map(shown).unwrap();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].contains("http.expect.metrics: not supported in this version"), "{faults:?}");
}
