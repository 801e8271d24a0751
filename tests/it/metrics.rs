//! The live pages: what Prometheus and people get, and who may have it.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;

use tempfile::TempDir;

use crate::peers::{Daemon, Nginx, PATIENCE, Prometheus, free_port, poll, promtool_check};

fn start(nginx: &Nginx, server: &str) -> (Daemon, TempDir, u16) {
    let folder = TempDir::new().unwrap();
    let port = free_port();
    let file: PathBuf = folder.path().join("monitor.yaml");
    let text = format!(
        "server: {{listen: '127.0.0.1:{port}'{server}}}
defaults: {{every: 1s, timeout: 1s, confirm: {{failures: 1, successes: 1}}}}
portals:
  acme:
    url: {url}
    private: true
    labels: {{team: ops}}
    checks:
      good: {{http: {{path: /good}}}}
      bad: {{http: {{path: /bad}}}}
      refused: {{http: {{url: 'http://127.0.0.1:1/'}}}}
  guarded: {{url: '{url}', checks: {{home: {{http: {{}}}}}}}}
",
        url = nginx.url()
    );
    std::fs::write(&file, text).unwrap();
    let mut daemon =
        Daemon::start(&file, port, &[("TOKEN", "a-read-token"), ("OPERATE", "an-operate-token")]);
    daemon.wait_ready(PATIENCE);
    (daemon, folder, port)
}

fn server() -> Nginx {
    Nginx::start("location = /bad { return 502; }\nlocation / { return 200 fine; }")
}

/// The value of a series, written as on the page.
fn value(page: &str, series: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn a_live_page_with_every_verdict_is_clean_small_and_true() {
    let nginx = server();
    let (daemon, _folder, _) = start(&nginx, "");
    let verdicts = [
        ("acme", "good", "pass"),
        ("acme", "bad", "fail"),
        ("acme", "refused", "fail"),
        ("guarded", "home", "unknown"),
    ];
    let seen = poll(PATIENCE, || {
        let page = daemon.metrics();
        verdicts
            .iter()
            .all(|(portal, check, verdict)| {
                let series = format!(
                    "portalwatch_check_verdict{{portal=\"{portal}\",check=\"{check}\",verdict=\"{verdict}\"}}"
                );
                value(&page, &series) == Some(1.0)
            })
            .then_some(page)
    });
    let page = seen.unwrap_or_else(|| panic!("{}", daemon.metrics()));
    promtool_check(&page).unwrap();
    let up = |portal: &str, check: &str| {
        value(&page, &format!("portalwatch_check_up{{portal=\"{portal}\",check=\"{check}\"}}"))
    };
    assert_eq!((up("acme", "good"), up("acme", "bad"), up("guarded", "home")), (Some(1.0), Some(0.0), None));
    for (portal, check, _) in verdicts {
        let labels = format!("portal=\"{portal}\",check=\"{check}\"");
        let series = page.lines().filter(|line| line.contains(&labels)).count();
        assert!((3..=40).contains(&series), "{portal}/{check} has {series} series");
    }
    assert!(page.contains("portalwatch_check_info{") && page.contains("team=\"ops\""), "{page}");
}

#[test]
fn each_step_of_a_journey_that_was_begun_has_its_time_and_the_page_stays_clean() {
    let nginx = server();
    let (folder, port) = (TempDir::new().unwrap(), free_port());
    let file = folder.path().join("monitor.yaml");
    let text = format!(
        r#"server: {{listen: '127.0.0.1:{port}'}}
defaults: {{every: 1s, timeout: 1s}}
portals:
  acme:
    url: {url}
    private: true
    checks:
      work:
        journey:
          steps:
            - {{name: 'the "first" \ page', get: /good}}
            - {{name: look, get: /bad}}
            - {{name: never begun, get: /good}}
"#,
        url = nginx.url()
    );
    std::fs::write(&file, text).unwrap();
    let mut daemon = Daemon::start(&file, port, &[]);
    daemon.wait_ready(PATIENCE);
    let of = |step: &str| {
        format!("portalwatch_step_duration_seconds{{portal=\"acme\",check=\"work\",step=\"{step}\"}}")
    };
    let seen = poll(PATIENCE, || {
        let page = daemon.metrics();
        value(&page, &of("look")).is_some().then_some(page)
    });
    let page = seen.unwrap_or_else(|| panic!("{}", daemon.metrics()));
    promtool_check(&page).unwrap();
    assert!(value(&page, &of(r#"the \"first\" \\ page"#)).is_some(), "{page}");
    assert_eq!(page.matches("portalwatch_step_duration_seconds{").count(), 2, "{page}");
    let series = page.lines().filter(|line| line.contains("portal=\"acme\",check=\"work\"")).count();
    assert!((3..=42).contains(&series), "{series} series: {page}");
}

#[test]
fn prometheus_scrapes_the_daemon() {
    let nginx = server();
    let (_daemon, _folder, port) = start(&nginx, "");
    let prometheus = Prometheus::start(port);
    let up = prometheus.wait_for("up == 1", PATIENCE);
    assert_eq!(up.len(), 1);
    let good = prometheus.wait_for("portalwatch_check_up{portal=\"acme\",check=\"good\"} == 1", PATIENCE);
    assert_eq!(good.len(), 1);
    prometheus.wait_for("portalwatch_check_up{portal=\"acme\",check=\"bad\"} == 0", PATIENCE);
}

#[test]
fn the_page_shows_what_fails_and_the_open_incident() {
    let nginx = server();
    let (daemon, _folder, _) = start(&nginx, "");
    let shown = poll(PATIENCE, || {
        let page = daemon.page();
        (page.contains("http.status")
            && page.contains("502")
            && daemon.metrics().contains("portalwatch_incidents_open{severity=\"critical\"} 2"))
        .then_some(page)
    });
    let page = shown.unwrap_or_else(|| panic!("{}\n{}", daemon.page(), daemon.metrics()));
    let lower = page.to_lowercase();
    assert!(lower.contains("incident") && page.contains("acme") && page.contains("bad"), "{page}");
    assert!(!lower.contains("<script"), "{page}");
}

/// The status of an answer.
#[expect(clippy::disallowed_methods, reason = "the request is written by hand, for its headers")]
fn status(port: u16, method: &str, path: &str, host: &str, authorization: &str) -> u16 {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{authorization}\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn tokens_scopes_and_the_host_header_guard_the_pages() {
    let nginx = server();
    let auth = ", external_url: 'https://watch.acme.example', auth: {tokens: [{name: r, scope: read, secret: {env: TOKEN}}, {name: o, scope: operate, secret: {env: OPERATE}}]}";
    let (_daemon, _folder, port) = start(&nginx, auth);
    let (read, operate) =
        ("Authorization: Bearer a-read-token\r\n", "Authorization: Bearer an-operate-token\r\n");
    let ask = |path, authorization| status(port, "GET", path, "localhost", authorization);
    for path in ["/", "/metrics"] {
        assert_eq!(ask(path, ""), 401, "{path}");
        assert_eq!(ask(path, "Authorization: Bearer wrong\r\n"), 401, "{path}");
        assert_eq!((ask(path, read), ask(path, operate)), (200, 200), "{path}");
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(ask(path, ""), 200, "{path}");
    }
    assert_eq!(status(port, "POST", "/", "localhost", ""), 401);
    assert_eq!(status(port, "POST", "/", "localhost", read), 403);
    assert_eq!(status(port, "POST", "/", "localhost", operate), 405);
    for (host, expected) in [
        ("watch.acme.example", 200),
        ("127.0.0.1:1", 200),
        ("[::1]", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
    ] {
        assert_eq!(status(port, "GET", "/metrics", host, read), expected, "{host}");
    }
}
