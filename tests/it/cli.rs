//! The command line as people and scripts meet it.

use serde_json::Value;
use tempfile::TempDir;

use crate::command::{Said, portalwatch, portalwatch_with};
use crate::peers::{Authority, Daemon, Nginx, PATIENCE, free_port};

fn folder_with(text: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("monitor.yaml"), text).unwrap();
    folder
}

/// A portal whose checks pass, fail, and cannot be run; the guard refuses the last.
fn mixed(nginx: &Nginx) -> TempDir {
    folder_with(&format!(
        "portals:
  acme:
    url: {url}
    private: true
    checks:
      good: {{http: {{path: /good}}}}
      bad: {{http: {{path: /bad}}}}
  guarded:
    url: {url}
    checks:
      good: {{http: {{path: /good}}}}
",
        url = nginx.url().replace("127.0.0.1", "localhost")
    ))
}

fn server() -> Nginx {
    Nginx::start(
        "location = /bad { return 502 broken; }\nlocation / { add_header X-Seen yes; return 200 fine; }",
    )
}

fn check(folder: &TempDir, arguments: &[&str]) -> Said {
    portalwatch_with(folder.path(), &[], &[&["check"], arguments].concat())
}

#[test]
fn the_exit_code_is_the_worst_verdict() {
    let nginx = server();
    let folder = mixed(&nginx);
    check(&folder, &["acme/good"]).ended(0);
    check(&folder, &["acme/bad"]).ended(2);
    let said = check(&folder, &["guarded/*"]).ended(3);
    assert!(said.stdout.contains("config: "), "{said:?}");
    check(&folder, &["good"]).ended(3);
    check(&folder, &[]).ended(2);
}

#[test]
fn a_mistake_in_the_arguments_is_64() {
    let folder =
        folder_with("portals: {a: {url: 'http://127.0.0.1:1', private: true, checks: {c: {http: {}}}}}");
    let ca = folder.path().join("empty.pem").display().to_string();
    std::fs::write(&ca, "nothing").unwrap();
    let cases: &[(&[&str], &str)] = &[
        (&[], "Usage:"),
        (&["chekc"], "check"),
        (&["check", "--nonsense"], "--nonsense"),
        (&["check", "--format", "xml"], "possible values"),
        (&["check", "nothing-like-it/*"], "no check matches nothing-like-it/*"),
        (&["check", "--resolver", "nonsense"], "is no resolver"),
        (&["check", "--timeout", "0s"], "longer than zero"),
        (&["check", "--timeout", "soon"], "soon"),
        (&["check", "--ca-file", "absent.pem"], "absent.pem"),
        (&["check", "--ca-file", &ca], "holds no PEM certificate"),
        (&["inspect", "http", "ftp://a.example/"], "ftp"),
        (&["inspect", "http", "http://"], "http://"),
        (&["notify", "test", "chat"], "no channel is called \"chat\"; the config has none"),
        (&["completions", "dosshell"], "possible values"),
    ];
    for (arguments, expected) in cases {
        let said = portalwatch_with(folder.path(), &[], arguments).ended(64);
        assert!(said.stdout.is_empty() && said.stderr.contains(expected), "{arguments:?}: {said:#?}");
    }
}

#[test]
fn a_bad_config_is_78_everywhere() {
    let folder = folder_with("portals: {acme: {chekcs: {}}}");
    for arguments in [
        &["check"] as &[&str],
        &["config", "validate"],
        &["config", "show"],
        &["healthcheck"],
        &["notify", "test", "x"],
        &["run"],
        &["check", "-c", "absent.yaml"],
    ] {
        let said = portalwatch_with(folder.path(), &[], arguments).ended(78);
        let all = format!("{}{}", said.stdout, said.stderr);
        assert!(all.contains("chekcs") || all.contains("absent.yaml cannot be read"), "{arguments:?} {all}");
    }
}

#[test]
fn a_port_in_use_is_70_and_named() {
    let nginx = server();
    let text = format!(
        "server: {{listen: '127.0.0.1:{}'}}\nportals: {{a: {{url: 'http://127.0.0.1:1', private: true, checks: {{c: {{http: {{}}}}}}}}}}",
        nginx.port()
    );
    let folder = folder_with(&text);
    let said = portalwatch_with(folder.path(), &[], &["run"]).ended(70);
    let expected = format!("server.listen 127.0.0.1:{}: ", nginx.port());
    assert!(said.stderr.contains(&expected) && said.stderr.contains("in use"), "{said:?}");
}

#[test]
fn json_stands_on_standard_output_alone() {
    let nginx = server();
    let folder = mixed(&nginx);
    // With all logs on, what is on standard output must stay one document.
    let arguments = ["check", "--format", "json"];
    let said = portalwatch_with(folder.path(), &[("RUST_LOG", "trace")], &arguments).ended(2);
    assert!(!said.stderr.is_empty(), "the logs are on");
    let json = said.json();
    assert_eq!(json["verdict"], "fail");
    let verdicts: Vec<(&str, &str)> = json["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| (check["check"].as_str().unwrap(), check["verdict"].as_str().unwrap()))
        .collect();
    assert_eq!(verdicts, [("acme/good", "pass"), ("acme/bad", "fail"), ("guarded/good", "unknown")]);
    let bad = &json["checks"][1];
    assert_eq!((bad["status"].as_u64(), bad["findings"][0]["id"].as_str()), (Some(502), Some("http.status")));
    assert_eq!(json["checks"][2]["cause"], "config");
    assert!(json["checks"][0]["phases"]["ttfb"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_check_by_hand_leaves_no_database_unless_it_writes() {
    let nginx = server();
    let folder = mixed(&nginx);
    for arguments in [&["acme/good"] as &[&str], &["acme/good", "--write"]] {
        check(&folder, arguments).ended(0);
        assert!(!folder.path().join("portalwatch.db").exists(), "{arguments:?} wrote nothing in a portal");
    }
    assert!(check(&folder, &["--help"]).stdout.contains("entered in the store's ledger first"));
}

#[test]
fn text_has_no_colours_in_a_pipe() {
    let nginx = server();
    let folder = mixed(&nginx);
    for environment in [&[] as &[(&str, &str)], &[("NO_COLOR", "1"), ("TERM", "xterm-256color")]] {
        let said = portalwatch_with(folder.path(), environment, &["check"]).ended(2);
        assert!(said.stdout.contains("pass    acme/good  200"), "{said:#?}");
        assert!(said.stdout.contains("fail    acme/bad  502"), "{said:#?}");
        assert!(said.stdout.ends_with("3 checks: 1 pass, 1 fail, 1 unknown\n"), "{said:#?}");
        assert!(!said.stdout.contains('\u{1b}') && said.stderr.is_empty(), "{said:#?}");
    }
    let forced = portalwatch_with(folder.path(), &[("FORCE_COLOR", "1")], &["check"]);
    assert!(forced.stdout.contains('\u{1b}'), "colours exist: {forced:?}");
}

#[test]
fn nagios_gets_a_status_line_with_performance_data() {
    let nginx = server();
    let folder = mixed(&nginx);
    let said = check(&folder, &["acme/good", "--format", "nagios"]).ended(0);
    assert!(said.stdout.starts_with("PORTALWATCH OK: answered 200 in "), "{said:?}");
    assert!(said.stdout.contains(" | 'acme/good time'=0."), "{said:?}");
    let said = check(&folder, &["--format", "nagios"]).ended(2);
    assert!(
        said.stdout.starts_with("PORTALWATCH CRITICAL: 3 checks: 1 pass, 1 fail, 1 unknown | "),
        "{said:?}"
    );
    assert!(said.stdout.lines().any(|line| line.starts_with("critical http.status")), "{said:?}");
}

#[test]
fn explain_shows_settings_facts_and_clauses_in_every_format() {
    let nginx = server();
    let folder = mixed(&nginx);
    let said = check(&folder, &["acme/bad", "--explain"]).ended(2);
    for expected in [
        "settings: kind http, every 1m, timeout 10s",
        "path: \"/bad\"",
        "status: 502",
        "http.status: RFC 9110 section 15",
        "means: ",
        "fix: ",
        "curl -sS -i",
        "+00:00",
    ] {
        assert!(said.stdout.contains(expected), "{expected}: {}", said.stdout);
    }
    let json = check(&folder, &["acme/bad", "--explain", "--format", "json"]).ended(2).json();
    let explained = &json["checks"][0]["explained"];
    assert_eq!(explained["findings"][0]["id"], "http.status");
    assert!(explained["reproduce"][0].as_str().unwrap().starts_with("curl "), "{explained}");
    let plain = check(&folder, &["acme/bad", "--format", "json"]).json();
    assert!(plain["checks"][0].get("explained").is_none());
    let nagios = check(&folder, &["acme/bad", "--explain", "--format", "nagios"]).ended(2);
    assert!(nagios.stdout.contains("means: "), "{nagios:?}");
}

#[test]
fn a_check_needs_its_own_secrets_only() {
    let nginx = server();
    let folder = folder_with(&format!(
        "server: {{auth: {{tokens: [{{name: t, scope: read, secret: {{env: UNSET_TOKEN}}}}]}}}}
portals:
  acme:
    url: {url}
    private: true
    checks:
      own: {{http: {{auth: {{bearer: {{env: OWN}}}}}}}}
      other: {{http: {{auth: {{bearer: {{env: UNSET_OTHER}}}}}}}}
  secured:
    url: {url}
    private: true
    tls: {{ca_file: absent.pem, client: {{cert: absent.crt, key: absent.key}}}}
    checks:
      home: {{http: {{}}}}
notify: {{channels: {{chat: {{webhook: {{url: {{env: UNSET_URL}}}}}}}}}}
",
        url = nginx.url()
    ));
    let run = |glob| portalwatch_with(folder.path(), &[("OWN", "own-secret")], &["check", glob]);
    run("acme/own").ended(0);
    let said = run("acme/other").ended(78);
    assert!(said.stderr.contains("UNSET_OTHER") && !said.stderr.contains("UNSET_URL"), "{said:?}");
    let said = run("secured/*").ended(78);
    assert!(said.stderr.contains("absent.pem") && said.stderr.contains("absent.key"), "{said:?}");
}

/// An HTTPS server, and a folder that holds its CA's certificate and a config that names it.
fn secured(authority: &Authority) -> (Nginx, TempDir) {
    let server = "location = /old { return 301 /new; }\nlocation / { return 200 fine; }";
    let nginx = Nginx::start_tls(server, &authority.issue(&["localhost", "127.0.0.1"]));
    let folder = folder_with(&format!(
        "portals:
  plain: {{url: 'https://127.0.0.1:{port}', private: true, checks: {{home: {{http: {{}}}}}}}}
  trusting: {{url: 'https://127.0.0.1:{port}', private: true, tls: {{ca_file: ca.pem}}, checks: {{home: {{http: {{}}}}}}}}
",
        port = nginx.port()
    ));
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    (nginx, folder)
}

#[test]
fn a_private_ca_is_trusted_from_the_config_and_from_the_command_line() {
    let (_nginx, folder) = secured(&Authority::new());
    let said = check(&folder, &["plain/*"]).ended(2);
    assert!(said.stdout.contains("http.certificate"), "{said:?}");
    check(&folder, &["trusting/*"]).ended(0);
    check(&folder, &["plain/*", "--ca-file", "ca.pem"]).ended(0);
}

#[test]
fn the_resolver_of_the_command_line_is_asked() {
    let nginx = server();
    let folder = folder_with(&format!(
        "portals: {{a: {{url: 'http://portal.test:{}', private: true, checks: {{c: {{http: {{}}}}}}}}}}",
        nginx.port()
    ));
    // Nobody answers there, so that it is our own fault.
    let dead = format!("127.0.0.1:{}", free_port());
    let json = check(&folder, &["--resolver", &dead, "--timeout", "1s", "--format", "json"]).ended(3).json();
    assert_eq!(json["checks"][0]["cause"], "local_dns", "{json}");
    let json = portalwatch(&[
        "inspect",
        "http",
        "http://portal.test/",
        "--resolver",
        &dead,
        "--timeout",
        "1s",
        "--format",
        "json",
    ])
    .ended(3)
    .json();
    assert_eq!((json["verdict"].as_str(), json["cause"].as_str()), (Some("unknown"), Some("local_dns")));
}

fn assert_phases(json: &Value, expected: &[&str]) {
    let phases = json["observation"]["phases"].as_object().unwrap();
    let names: Vec<&str> = phases.keys().map(String::as_str).collect();
    assert_eq!(names, expected, "{json:#}");
    assert!(phases.values().all(|seconds| seconds.as_f64().is_some_and(|s| (0.0..60.0).contains(&s))));
}

#[test]
fn inspect_shows_everything_of_a_plain_answer() {
    let nginx = server();
    let url = format!("{}/x", nginx.url());
    let json = portalwatch(&["inspect", "http", &url, "--format", "json"]).ended(0).json();
    assert_eq!(json["verdict"], "pass");
    assert_eq!(json["findings"], serde_json::json!([]));
    let seen = &json["observation"];
    assert_eq!(seen["status"], 200);
    assert_eq!(seen["redirects"], serde_json::json!([]));
    assert_eq!(seen["headers"]["x-seen"], serde_json::json!(["yes"]));
    assert_eq!(seen["peer"], format!("127.0.0.1:{}", nginx.port()));
    assert_phases(&json, &["connect", "ttfb", "transfer"]);
    let bad = format!("{}/bad", nginx.url());
    let json = portalwatch(&["inspect", "http", &bad, "--format", "json"]).ended(2).json();
    assert_eq!(json["findings"][0]["id"], "http.status");
    let text = portalwatch(&["inspect", "http", &bad]).ended(2);
    assert!(text.stdout.contains("status: 502") && text.stdout.contains("http.status"), "{text:?}");
    let nagios = portalwatch(&["inspect", "http", &bad, "--format", "nagios"]).ended(2);
    assert!(nagios.stdout.starts_with("PORTALWATCH CRITICAL: "), "{nagios:?}");
}

#[test]
fn inspect_shows_redirects_and_the_handshake_over_https() {
    let (nginx, folder) = secured(&Authority::new());
    let url = format!("{}/old", nginx.url());
    let json = portalwatch_with(
        folder.path(),
        &[],
        &["inspect", "http", &url, "--ca-file", "ca.pem", "--format", "json"],
    )
    .ended(0)
    .json();
    let seen = &json["observation"];
    assert_eq!(seen["redirects"][0]["status"], 301);
    assert!(seen["redirects"][0]["to"].as_str().unwrap().ends_with("/new"), "{seen}");
    assert!(seen["tls"]["version"].as_str().unwrap().starts_with("TLSv1."), "{seen}");
    assert_eq!(seen["tls"]["alpn"], "h2");
    assert_phases(&json, &["dns", "connect", "tls", "ttfb", "transfer"]);
    portalwatch(&["inspect", "http", &url]).ended(2);
}

#[test]
fn explain_knows_every_finding_and_guesses_what_was_meant() {
    let said = portalwatch(&["explain", "http.status"]).ended(0);
    for part in ["What it means", "Why it matters", "How to fix it", "RFC 9110"] {
        assert!(said.stdout.contains(part), "{said:?}");
    }
    let said = portalwatch(&["explain", "http.staus"]).ended(64);
    assert!(said.stderr.contains("did you mean \"http.status\"?"), "{said:?}");
    let said = portalwatch(&["explain", "zzz"]).ended(64);
    assert!(!said.stderr.contains("did you mean") && said.stderr.contains("lists them all"), "{said:?}");
    let all = portalwatch(&["explain", "--format", "json"]).ended(0).json();
    for doc in all.as_array().unwrap() {
        portalwatch(&["explain", doc["id"].as_str().unwrap()]).ended(0);
    }
}

#[test]
fn the_config_is_validated_shown_and_described() {
    let folder = folder_with("portals: {a: {url: 'https://a.example', checks: {c: {http: {}}}}}");
    let run = |arguments: &[&str]| portalwatch_with(folder.path(), &[], arguments).ended(0);
    let said = run(&["config", "validate"]);
    assert!(said.stdout.contains("monitor.yaml: 1 checks, no faults"), "{said:?}");
    assert!(said.stdout.contains("warning: defaults.reference is not set"), "{said:?}");
    let json = run(&["config", "validate", "--format", "json"]).json();
    assert_eq!((&json["valid"], &json["checks"]), (&true.into(), &1.into()));
    let shown = run(&["config", "show"]).stdout;
    assert!(shown.contains("listen: \"127.0.0.1:9790\""), "{shown}");
    let json = run(&["config", "show", "--format", "json"]).json();
    assert_eq!(json["server"]["listen"], "127.0.0.1:9790");
    assert_eq!(json["portals"]["a"]["checks"]["c"]["http"], serde_json::json!({}));
    // What is shown is a config again, with the same meaning.
    let again = folder_with(&shown);
    let second = portalwatch_with(again.path(), &[], &["config", "show"]).ended(0).stdout;
    assert_eq!(shown, second);
    let schema = run(&["config", "schema"]).json();
    assert!(schema["$schema"].is_string() && schema["properties"]["portals"].is_object());

    std::fs::write(folder.path().join("monitor.yaml"), "portals: {a: {chekcs: {}}}").unwrap();
    let bad =
        portalwatch_with(folder.path(), &[], &["config", "validate", "--format", "json"]).ended(78).json();
    assert_eq!(bad["valid"], false);
    assert!(bad["faults"][0].as_str().unwrap().contains("did you mean \"checks\"?"), "{bad}");
}

#[test]
fn healthcheck_asks_the_daemon_wherever_it_listens() {
    let folder = TempDir::new().unwrap();
    let port = free_port();
    let config = folder.path().join("monitor.yaml");
    let text = format!(
        "server: {{listen: '0.0.0.0:{port}', insecure_public: true}}\nportals: {{a: {{url: 'http://127.0.0.1:1', private: true, checks: {{c: {{every: 1h, http: {{}}}}}}}}}}"
    );
    std::fs::write(&config, text).unwrap();
    let ask =
        |arguments: &[&str]| portalwatch_with(folder.path(), &[], &[&["healthcheck"], arguments].concat());
    let said = ask(&[]).ended(1);
    assert!(said.stderr.contains("refused"), "{said:?}");
    let mut daemon = Daemon::start(&config, port, &[]);
    daemon.wait_ready(PATIENCE);
    assert!(ask(&[]).ended(0).stdout.contains("ok"));
    ask(&["--url", &format!("http://localhost:{port}/readyz")]).ended(0);
    let said = ask(&["--url", &format!("http://localhost:{port}/no-such-page")]).ended(1);
    assert!(said.stderr.contains("404"), "{said:?}");
}

#[test]
fn the_daemon_logs_json_lines_where_nobody_watches() {
    let folder = TempDir::new().unwrap();
    let port = free_port();
    let config = folder.path().join("monitor.yaml");
    let text = format!(
        "server: {{listen: '127.0.0.1:{port}'}}\nportals: {{a: {{url: 'http://127.0.0.1:1', checks: {{c: {{every: 1h, http: {{}}}}}}}}}}"
    );
    std::fs::write(&config, text).unwrap();
    let mut daemon = Daemon::start(&config, port, &[]);
    daemon.wait_ready(PATIENCE);
    let log = daemon.log();
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
    }
    assert!(log.contains("\"message\":\"started\""), "{log}");
    assert!(daemon.terminate(PATIENCE).success());
}

#[test]
fn help_says_what_the_exit_codes_mean() {
    for arguments in [
        &["--help"] as &[&str],
        &["run", "--help"],
        &["check", "--help"],
        &["inspect", "http", "--help"],
        &["inspect", "cert", "--help"],
        &["inspect", "chain", "--help"],
        &["explain", "--help"],
        &["config", "validate", "--help"],
        &["config", "show", "--help"],
        &["healthcheck", "--help"],
        &["notify", "test", "--help"],
    ] {
        let said = portalwatch(arguments).ended(0);
        assert!(said.stdout.contains("Exit codes: 0 "), "{arguments:?}: {}", said.stdout);
    }
    assert!(portalwatch(&["--version"]).ended(0).stdout.starts_with("portalwatch "));
}

#[test]
fn bash_takes_the_completions() {
    let script = portalwatch(&["completions", "bash"]).ended(0).stdout;
    assert!(script.contains("healthcheck"));
    let checked = assert_cmd::Command::new("bash").arg("-n").write_stdin(script).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
    for shell in ["zsh", "fish"] {
        assert!(portalwatch(&["completions", shell]).ended(0).stdout.contains("portalwatch"));
    }
}
