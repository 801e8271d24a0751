//! Configs with mistakes in them: each is named with its place and the way out, all at once, and
//! no secret is shown.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use crate::command::{Said, portalwatch_with};

const SECRET: &str = "s3cr3t-that-nobody-may-see";

pub fn validate_with(text: &str, environment: &[(&str, &str)]) -> Said {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("monitor.yaml"), text).unwrap();
    let said = portalwatch_with(folder.path(), environment, &["config", "validate"]);
    let all = format!("{}{}", said.stdout, said.stderr);
    assert!(!all.contains(SECRET) && !all.contains("panicked"), "{all}");
    said
}

/// The faults, which must be as many as expected; each line must start as its expectation says
/// and hold what stands after ` … `.
#[track_caller]
pub fn refused(text: &str, expected: &[&str]) {
    refused_with(text, &[], expected);
}

#[track_caller]
pub fn refused_with(text: &str, environment: &[(&str, &str)], expected: &[&str]) {
    let said = validate_with(text, environment).ended(78);
    let lines: Vec<&str> = said.stdout.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{text}\n{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        let mut parts = expected.split(" … ");
        assert!(line.starts_with(parts.next().unwrap()), "expected {expected}\n   found {line}");
        for part in parts {
            assert!(line.contains(part), "expected {expected}\n   found {line}");
        }
    }
}

/// A config with these keys in its one check.
fn check(keys: &str) -> String {
    format!("portals:\n  acme:\n    url: https://a.example\n    checks:\n      health: {{{keys}}}\n")
}

/// A config whose check has this under `http`.
fn http(keys: &str) -> String {
    check(&format!("http: {{{keys}}}"))
}

/// A good config and more below it.
fn beside(more: &str) -> String {
    format!("{}{more}\n", http(""))
}

#[test]
fn what_is_no_config_at_all_is_said_so() {
    refused("", &["monitor.yaml is empty; start from `portals:"]);
    refused("# a comment\n", &["monitor.yaml is empty"]);
    refused("portals: {acme: [}\n", &["monitor.yaml:1: … YAML"]);
    refused("portals:\n  acme:\n\turl: x\n", &["monitor.yaml:3: … YAML"]);
    refused("- a\n- b\n", &["monitor.yaml:1: expected a map"]);
    refused("server: {}\n", &["monitor.yaml:1: portals: there are no portals"]);
}

#[test]
fn an_unknown_key_names_its_line_its_place_and_the_key_that_was_meant() {
    let long = format!(
        "{}portals:\n  acme:\n    url: https://a.example\n    checks:\n      health:\n        http:\n          expect: {{ staus: 200 }}\n",
        "# filled\n".repeat(34)
    );
    refused(
        &long,
        &[
            "monitor.yaml:41: portals.acme.checks.health.http.expect: unknown key \"staus\", did you mean \"status\"?",
        ],
    );
    refused(
        "portlas: {}\n",
        &[
            "monitor.yaml:1: unknown key \"portlas\", did you mean \"portals\"?",
            "monitor.yaml:1: portals: there are no",
        ],
    );
    refused(
        "portals: {a: {ulr: x, checks: {}}}",
        &["monitor.yaml:1: portals.a: unknown key \"ulr\", did you mean \"url\"?"],
    );
    refused(
        &beside("server: {lisen: x}"),
        &["monitor.yaml:6: server: unknown key \"lisen\", did you mean \"listen\"?"],
    );
    refused(
        &beside("server: {auth: {tokens: [{name: a, scop: read, secret: {insecure_literal: x}}]}}"),
        &["monitor.yaml:6: server.auth.tokens[0]: unknown key \"scop\", did you mean \"scope\"?"],
    );
    refused(
        &beside("storage: {retention: {result: 1d}}"),
        &["monitor.yaml:6: storage.retention: unknown key \"result\", did you mean \"results\"?"],
    );
    refused(
        &beside("defaults: {limits: {perhost: 1}}"),
        &["monitor.yaml:6: defaults.limits: unknown key \"perhost\", did you mean \"per_host\"?"],
    );
    refused(
        &check("http: {}, confirm: {failure: 1}"),
        &[
            "monitor.yaml:5: portals.acme.checks.health.confirm: unknown key \"failure\", did you mean \"failures\"?",
        ],
    );
    refused(
        &http("auth: {basic: {username: a, pasword: {env: X}}}"),
        &[
            "monitor.yaml:5: portals.acme.checks.health.http.auth.basic: unknown key \"pasword\", did you mean \"password\"?",
        ],
    );
    refused(
        &http("expect: {json: {'$.a': {gte_: 1}}}"),
        &["monitor.yaml:5: portals.acme.checks.health.http.expect.json … gte_"],
    );
    refused(
        &http("expect: {redirects: {maxx: 1}}"),
        &[
            "monitor.yaml:5: portals.acme.checks.health.http.expect.redirects: unknown key \"maxx\", did you mean \"max\"?",
        ],
    );
    refused(
        &beside("notify: {chanels: {}}"),
        &["monitor.yaml:6: notify: unknown key \"chanels\", did you mean \"channels\"?"],
    );
    refused(
        &beside(
            "notify: {channels: {a: {webhook: {url: 'https://a.example', secrt: {insecure_literal: x}}}}}",
        ),
        &["monitor.yaml:6: notify.channels.a.webhook: unknown key \"secrt\", did you mean \"secret\"?"],
    );
    refused(
        &beside("notify: {channels: {a: {email: {from: a@a.example, to: [b@a.example], smtp: {ulr: x}}}}}"),
        &["monitor.yaml:6: notify.channels.a.email.smtp … unknown key \"ulr\", did you mean \"url\"?"],
    );
    refused(
        &beside("notify: {routes: [{too: [a]}]}"),
        &[
            "monitor.yaml:6: notify.routes[0]: unknown key \"too\", did you mean \"to\"?",
            "monitor.yaml:6: notify.routes[0]: missing key \"to\"",
        ],
    );
}

#[test]
fn times_that_make_no_sense_are_refused() {
    for key in ["every", "timeout", "deadline", "unknown_after"] {
        let place = format!("monitor.yaml:5: portals.acme.checks.health.{key}: … ");
        refused(&check(&format!("http: {{}}, {key}: 0s")), &[&format!("{place}zero")]);
        refused(&check(&format!("http: {{}}, {key}: 300y")), &[&format!("{place}100 years")]);
        refused(&check(&format!("http: {{}}, {key}: soon")), &[&format!("{place}soon")]);
    }
    refused(
        &beside("storage: {retention: {results: 0s}}"),
        &["monitor.yaml:6: storage.retention.results: … zero"],
    );
    refused(
        &check("http: {}, every: 5s"),
        &["monitor.yaml:5: portals.acme.checks.health: every is shorter than timeout"],
    );
    refused(
        &check("http: {}, timeout: 2m"),
        &["monitor.yaml:5: portals.acme.checks.health: every is shorter than timeout"],
    );
    refused(&beside("defaults: {every: 1s}"), &["monitor.yaml:6: defaults: every is shorter than timeout"]);
}

#[test]
fn names_are_used_once() {
    refused(
        "portals:\n  acme:\n    url: https://a.example\n    checks:\n      health: {http: {}}\n      health: {http: {}}\n",
        &["monitor.yaml:6: … health … line 5"],
    );
    refused(
        "portals: {Acme: {url: 'https://a.example', checks: {c: {http: {}}}}}",
        &["monitor.yaml:1: portals: the name \"Acme\" must be"],
    );
}

#[test]
fn secrets_that_cannot_be_had_are_named_and_those_that_can_are_not_shown() {
    refused(
        &http("auth: {bearer: {env: UNSET}}"),
        &["monitor.yaml:5: portals.acme.checks.health.http.auth.bearer: … UNSET is not set"],
    );
    refused(
        &http("auth: {bearer: {file: absent}}"),
        &["monitor.yaml:5: portals.acme.checks.health.http.auth.bearer: cannot read … absent"],
    );
    refused(
        &http("auth: {bearer: {credential: token}}"),
        &[
            "monitor.yaml:5: portals.acme.checks.health.http.auth.bearer: $CREDENTIALS_DIRECTORY is not set; add LoadCredential=token",
        ],
    );
    refused_with(
        &http("auth: {bearer: {env: EMPTY}}"),
        &[("EMPTY", "")],
        &["monitor.yaml:5: portals.acme.checks.health.http.auth.bearer: the secret env:EMPTY is empty"],
    );
    refused(
        &http("auth: {bearer: {evn: X}}"),
        &[
            "monitor.yaml:5: portals.acme.checks.health.http.auth.bearer … unknown key \"evn\", did you mean \"env\"?",
        ],
    );
    // A secret where a reference should stand is not repeated.
    refused(
        &http(&format!("auth: {{bearer: {SECRET}}}")),
        &["monitor.yaml:5: portals.acme.checks.health.http.auth.bearer: … {env: X}"],
    );
    refused(
        &http(&format!("auth: {{basic: {{username: a, password: [{SECRET}]}}}}")),
        &["monitor.yaml:5: portals.acme.checks.health.http.auth.basic.password: … {env: X}"],
    );
    // A good secret beside another fault.
    refused_with(
        &http("auth: {bearer: {env: GOOD}}, expect: {staus: 200}"),
        &[("GOOD", SECRET)],
        &["monitor.yaml:5: portals.acme.checks.health.http.expect: unknown key"],
    );
    refused_with(
        &beside("notify: {channels: {a: {webhook: {url: {env: URL}}}}}"),
        &[("URL", &format!("not-a-url-{SECRET}"))],
        &["monitor.yaml:6: notify.channels.a.webhook"],
    );
    refused_with(
        &http("headers: {X-A: {env: BROKEN}}"),
        &[("BROKEN", &format!("{SECRET}\nX-Forged: 1"))],
        &["monitor.yaml:5: portals.acme.checks.health.http.headers"],
    );
}

#[test]
fn a_secret_file_that_may_not_be_read_is_a_fault_and_one_that_all_may_read_a_warning() {
    let folder = TempDir::new().unwrap();
    let text = http("auth: {bearer: {file: token}}, headers: {X-A: {file: token}}");
    std::fs::write(folder.path().join("monitor.yaml"), text).unwrap();
    let token = folder.path().join("token");
    let validate = || portalwatch_with(folder.path(), &[], &["config", "validate"]);
    // A folder cannot be read as a file, by root neither.
    std::fs::create_dir(&token).unwrap();
    let said = validate().ended(78);
    assert!(said.stdout.contains("cannot read ") && said.stdout.contains("token"), "{said:?}");
    std::fs::remove_dir(&token).unwrap();
    std::fs::write(&token, vec![b'x'; (1 << 20) + 1]).unwrap();
    assert!(validate().ended(78).stdout.contains("larger than 1 MiB"));
    std::fs::write(&token, [0xff, 0xfe]).unwrap();
    assert!(validate().ended(78).stdout.contains("cannot read "));

    std::fs::write(&token, format!("{SECRET}\n")).unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o644)).unwrap();
    let said = validate().ended(0);
    let warnings = said.stdout.lines().filter(|line| line.contains("token")).count();
    assert!(warnings == 1 && !said.stdout.contains(SECRET), "{said:?}");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(!validate().ended(0).stdout.contains("token"));
}

#[test]
fn what_does_not_compile_is_refused_at_its_key() {
    refused(
        &http("expect: {body: {matches: '(unclosed'}}"),
        &["monitor.yaml:5: portals.acme.checks.health.http.expect.body … (unclosed"],
    );
    refused(
        &http("expect: {headers: {a: {matches: '['}}}"),
        &["monitor.yaml:5: portals.acme.checks.health.http.expect.headers"],
    );
    refused(
        &http("expect: {json: {'$.[': 1}}"),
        &["monitor.yaml:5: portals.acme.checks.health.http.expect.json … $.["],
    );
    refused(
        &http("expect: {json: {'a.b': 1}}"),
        &["monitor.yaml:5: portals.acme.checks.health.http.expect.json … a.b"],
    );
    refused(
        &http("expect: {status: 99}"),
        &["monitor.yaml:5: portals.acme.checks.health.http.expect.status … 99"],
    );
    refused(
        &http("expect: {status: '300-200'}"),
        &["monitor.yaml:5: portals.acme.checks.health.http.expect.status"],
    );
    refused(&http("method: 'GE T'"), &["monitor.yaml:5: portals.acme.checks.health.http.method"]);
    refused(&http("max_body: lots"), &["monitor.yaml:5: portals.acme.checks.health.http.max_body"]);
    refused(
        &beside("notify: {timezone: Mars/Olympus}"),
        &["monitor.yaml:6: notify.timezone: … Mars/Olympus"],
    );
    refused(
        &beside(
            "notify: {channels: {a: {webhook: {url: 'https://a.example'}}}, routes: [{match: ['team=~\"(\"'], to: [a]}]}",
        ),
        &["monitor.yaml:6: notify.routes[0].match"],
    );
}

#[test]
fn urls_need_a_scheme_that_is_known_and_a_host() {
    for url in ["https://", "http:///path", "nonsense", "ftp://a.example/"] {
        refused(&http(&format!("url: '{url}'")), &["monitor.yaml:5: portals.acme.checks.health.http.url"]);
        refused(
            &format!("portals: {{acme: {{url: '{url}', checks: {{health: {{http: {{}}}}}}}}}}"),
            &["monitor.yaml:1: portals.acme.url"],
        );
    }
    refused(
        "portals: {acme: {checks: {health: {http: {}}}}}",
        &["monitor.yaml:1: portals.acme.checks.health.http … url"],
    );
    refused(&beside("server: {external_url: 'ftp://x'}"), &["monitor.yaml:6: server.external_url"]);
}

#[test]
fn several_faults_come_at_once_each_with_its_line() {
    let text = "server:
  listen: 127.0.0.1:99999
portals:
  acme:
    url: https://a.example
    checks:
      one: {every: 0s, http: {}}
      two: {http: {expect: {staus: 200, body: {matches: '('}}}}
      three: {http: {auth: {bearer: {env: UNSET}}}}
notify:
  routes: [{to: [nobody]}]
";
    let said = validate_with(text, &[]).ended(78);
    for expected in [
        "monitor.yaml:2: server.listen",
        "monitor.yaml:7: portals.acme.checks.one.every",
        "monitor.yaml:8: portals.acme.checks.two.http.expect: unknown key \"staus\"",
        "monitor.yaml:8: portals.acme.checks.two.http.expect.body",
        "monitor.yaml:9: portals.acme.checks.three.http.auth.bearer",
        "monitor.yaml:11: notify.routes[0].to",
    ] {
        assert!(said.stdout.lines().any(|line| line.starts_with(expected)), "{expected}: {}", said.stdout);
    }
    assert_eq!(said.stdout.lines().count(), 6, "{}", said.stdout);
}

#[test]
fn what_is_not_built_is_refused_and_not_ignored() {
    let unbuilt = |key: &str| format!("\"{key}\" is not supported in this version");
    let say = |text: &str, key: &str| {
        let said = validate_with(text, &[]).ended(78);
        assert!(said.stdout.contains(&unbuilt(key)), "{text}: {said:#?}");
        assert!(!said.stdout.contains("expected exactly one"), "{said:#?}");
    };
    say(&check("heartbeat: {}"), "heartbeat");
    for key in ["maintenance", "heartbeat_out"] {
        say(&beside(&format!("notify: {{{key}: []}}")), key);
    }
    say(&beside("notify: {channels: {a: {slack: {}}}}"), "slack");
    say(
        &beside(
            "notify: {channels: {a: {webhook: {url: 'https://a.example'}}}, routes: [{to: [a], escalate: []}]}",
        ),
        "escalate",
    );
    refused(
        &beside("storage: {url: 'postgres://u:p@h/d?sslmode=require'}"),
        &["monitor.yaml:6: storage.url: sslmode=require encrypts without making sure of the server"],
    );
}

#[test]
fn a_latency_budget_that_cannot_be_judged_is_refused_at_its_key() {
    refused(
        &check("every: 60s, http: {}, latency: {p95: 1s, window: 15m}"),
        &[
            "monitor.yaml:5: portals.acme.checks.health.latency.window: a run every 1m gives no 20 samples within 15m; make window 20m or longer, or min_samples smaller",
        ],
    );
    refused(
        &check("http: {}, latency: {window: 1h}"),
        &[
            "monitor.yaml:5: portals.acme.checks.health.latency: limits nothing; write p95: 500ms, or p50, p90, p99 or max",
        ],
    );
}

#[test]
fn an_objective_that_promises_nothing_is_refused_at_its_key() {
    let objective = |keys: &str| beside(&format!("objectives:\n  - {{name: up, {keys}}}"));
    for (keys, expected) in [
        (
            "of: 'acme/*', target: 100%, kind: availability",
            "objectives[0].target: \"100%\" is no target; write a share below 100%, as in 99.9%",
        ),
        ("of: 'nope/*', target: 99%, kind: availability", "objectives[0].of: no check matches nope/*"),
        (
            "of: '*', target: 99%, kind: latency",
            "objectives[0]: of kind latency needs a threshold, as in threshold: 500ms",
        ),
        (
            "of: '*', target: 99%, kind: availability, threshold: 1s",
            "objectives[0].threshold: only an objective of kind latency has it",
        ),
        (
            "of: '*', target: 99%, kind: latency, threshold: 1s, step: sign in",
            "objectives[0].step: none of its checks has a step \"sign in\"",
        ),
        (
            "of: '*', target: 99%, kind: availability, window: 1h",
            "objectives[0].window: must be 1d or longer",
        ),
    ] {
        refused(&objective(keys), &[&format!("monitor.yaml:7: {expected}")]);
    }
}

#[test]
fn the_environment_overrides_scalars_and_says_what_it_does_not() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("monitor.yaml"), http("")).unwrap();
    let environment = [
        ("PORTALWATCH__SERVER__LISTEN", "127.0.0.1:4242"),
        ("PORTALWATCH__STORAGE__RETENTION__RESULTS", "7d"),
        ("PORTALWATCH__DEFAULTS__EVERY", "90s"),
        ("PORTALWATCH__DEFAULTS__CONFIRM__FAILURES", "5"),
        ("PORTALWATCH__SERVER__INSECURE_PUBLIC", "true"),
    ];
    let shown = portalwatch_with(folder.path(), &environment, &["config", "show", "--format", "json"])
        .ended(0)
        .json();
    assert_eq!(shown["server"]["listen"], "127.0.0.1:4242");
    assert_eq!(shown["storage"]["retention"]["results"], "7d");
    assert_eq!(shown["defaults"]["every"], "90s");
    assert_eq!(shown["defaults"]["confirm"]["failures"], 5);
    assert_eq!(shown["server"]["insecure_public"], true);

    let cases = [
        ("PORTALWATCH__SERVER__LISTEN", "nowhere"),
        ("PORTALWATCH__DEFAULTS__EVERY", "0s"),
        ("PORTALWATCH__DEFAULTS__CONFIRM__FAILURES", "many"),
        ("PORTALWATCH__SERVER__LISEN", "127.0.0.1:1"),
        ("PORTALWATCH__PORTALS__ACME__URL", "https://b.example"),
        ("PORTALWATCH__SERVER__AUTH__TOKENS", "x"),
        ("PORTALWATCH__", "x"),
    ];
    for (name, value) in cases {
        let said = validate_with(&http(""), &[(name, value)]).ended(78);
        let line = said.stdout.lines().next().unwrap();
        assert!(said.stdout.lines().count() == 1 && line.contains(name), "{name}: {said:#?}");
        assert!(
            line.starts_with("environment variable ") || line.contains(": environment variable "),
            "{line}"
        );
    }
}

#[test]
fn a_folder_is_merged_in_the_order_of_names_and_faults_name_their_file() {
    let folder = TempDir::new().unwrap();
    let conf = folder.path().join("conf");
    std::fs::create_dir(&conf).unwrap();
    let write = |name: &str, text: &str| std::fs::write(conf.join(name), text).unwrap();
    let validate = || portalwatch_with(folder.path(), &[], &["config", "validate", "-c", "conf"]);
    assert!(validate().ended(78).stdout.contains("conf holds no *.yaml file"));
    write("10-base.yaml", "defaults: {every: 2m}\n");
    write("20-acme.yml", &http(""));
    write("30-beta.yaml", "portals: {beta: {url: 'https://b.example', checks: {home: {http: {}}}}}\n");
    write("notes.txt", "not: [yaml");
    assert!(validate().ended(0).stdout.contains("conf: 2 checks, no faults"));
    write("30-beta.yaml", "\nportals: {acme: {url: 'https://b.example', checks: {home: {http: {}}}}}\n");
    let said = validate().ended(78);
    assert!(
        said.stdout.starts_with("conf/30-beta.yaml:2: portals.acme: stands already at conf/20-acme.yml:2"),
        "{said:?}"
    );
    write("30-beta.yaml", "portals: {beta: {ulr: x}}\n");
    let said = validate().ended(78);
    assert!(said.stdout.contains("conf/30-beta.yaml:1: portals.beta: unknown key \"ulr\""), "{said:?}");
}

#[test]
fn ten_thousand_checks_in_one_file_are_a_plan_and_so_are_their_mistakes() {
    let many = |keys: &str| {
        let mut text = "portals:\n  acme:\n    url: http://127.0.0.1:1\n    checks:\n".to_owned();
        for n in 0..10_000 {
            writeln!(text, "      c{n}: {{http: {{path: /{n}, {keys}}}}}").unwrap();
        }
        text
    };
    let said = validate_with(&many(""), &[]).ended(0);
    assert!(said.stdout.contains("10000 checks, no faults"), "{said:?}");
    let said = validate_with(&many("mthod: GET"), &[]).ended(78);
    assert_eq!(said.stdout.lines().count(), 10_000);
    assert!(
        said.stdout
            .lines()
            .last()
            .unwrap()
            .starts_with("monitor.yaml:10004: portals.acme.checks.c9999.http: unknown key")
    );
}

/// A config whose portal has this identity, and a check that does not use it.
fn identity(keys: &str) -> String {
    with_identities(&format!("staff: {{{keys}}}"), false)
}

fn with_identities(identities: &str, private: bool) -> String {
    format!(
        "portals:\n  acme:\n    url: https://a.example\n    private: {private}\n    identities: {{{identities}}}\n    checks: {{home: {{http: {{}}}}}}\n"
    )
}

#[test]
fn an_identity_that_cannot_sign_in_is_refused_also_where_nobody_uses_it() {
    let at = |key: &str| format!("monitor.yaml:5: portals.acme.identities.staff{key}");
    let bad = |keys: &str, key: &str, message: &str| {
        refused(&identity(keys), &[&format!("{}: … {message}", at(key))]);
    };
    bad("", "", "the identity is empty; give it username and password");
    bad("usrname: a", "", "unknown key \"usrname\", did you mean \"username\"?");
    bad("username: ''", ".username", "is empty");
    bad(&format!("username: a, password: {SECRET}"), ".password", "expected a secret");
    bad("totp: {env: T}", ".totp", "goes with a sign-in; add username");
    bad("client: {cert: a.pem}", ".client", "missing key \"key\"");
    let oauth2 =
        |more: &str| format!("oauth2: {{token_url: 'https://id.example/token', client_id: x{more}}}");
    let secret = ", client_secret: {env: S}";
    bad(&format!("token: {{env: T}}, {}", oauth2(secret)), ".token", "keep one of the two");
    bad(&oauth2(""), ".oauth2", "grant client_credentials needs client_secret");
    bad(&oauth2(", grant: password"), ".oauth2.grant", "needs username and password");
    bad(&format!("username: a, {}", oauth2(", grant: password")), ".oauth2.grant", "needs username and");
    bad(&oauth2(", grant: refresh_token"), ".oauth2.grant", "needs oauth2.refresh_token");
    bad(&oauth2(", grant: pasword"), ".oauth2.grant", "did you mean \"password\"?");
    let kept = format!("{secret}, refresh_token: {{env: R}}");
    bad(&oauth2(&kept), ".oauth2.refresh_token", "only grant refresh_token uses it");
    bad(&oauth2(&format!("{secret}, scopes: [a, 'b c']")), ".oauth2.scopes[1]", "is no scope");
}

#[test]
fn credentials_are_sent_in_the_clear_only_where_nobody_listens() {
    let token = |url: &str| {
        format!("staff: {{oauth2: {{token_url: '{url}', client_id: x, client_secret: {{env: S}}}}}}")
    };
    let at = "monitor.yaml:5: portals.acme.identities.staff.oauth2.token_url";
    for url in ["http://id.example/token", "http://192.0.2.1/token", "http://localhost.example/token"] {
        let said = format!("{at}: credentials would be sent in clear text; use https");
        refused(&with_identities(&token(url), false), &[&said]);
        validate_with(&with_identities(&token(url), true), &[]).ended(0);
    }
    for url in ["http://127.0.0.1:1/t", "http://[::1]/t", "http://localhost:8080/t", "https://id.example/t"] {
        validate_with(&with_identities(&token(url), false), &[]).ended(0);
    }
    refused(
        &with_identities(&token("https://u:p@id.example/t"), false),
        &[&format!("{at}: credentials do not belong in an address")],
    );
    refused(
        &with_identities(&token("https://id.example/t#x"), false),
        &[&format!("{at}: a token endpoint has no fragment")],
    );
    refused(&with_identities(&token("id.example"), false), &[&format!("{at}: \"id.example\" is no URL")]);
}

#[test]
fn identities_nobody_uses_need_no_secret_and_are_shown_without_one() {
    let text = with_identities(
        &format!(
            "staff: {{username: a, password: {{env: UNSET}}, totp: {{insecure_literal: {SECRET}}}}}, device: {{client: {{cert: none.pem, key: {{file: none.key}}}}}}"
        ),
        false,
    );
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("monitor.yaml"), &text).unwrap();
    let shown = portalwatch_with(folder.path(), &[], &["config", "show"]).ended(0).stdout;
    assert!(shown.contains("username: a") && shown.contains("UNSET"), "{shown}");
    assert!(!shown.contains(SECRET), "{shown}");
    validate_with(&text, &[]).ended(0);
    refused(&with_identities("Staff: {username: a}", false), &["monitor.yaml:5: … the name \"Staff\""]);
}

/// A journey that writes, with this clean-up and sweep.
fn journey(cleanup: &str, sweep: &str) -> String {
    format!(
        "portals:
  acme:
    url: https://a.example
    checks:
      work:
        journey:
          steps:
            - {{name: page, get: /, capture: {{early: {{form: form}}}}}}
            - {{name: write, write: true, post: '/{{{{ run.id }}}}', capture: {{id: {{json: $.id, keep: true}}, late: {{json: $.late}}}}}}
            - {{name: read, get: /, capture: {{behind: {{form: form}}}}}}
          cleanup: {cleanup}
          sweep: [{{get: '/?q={{{{ run.id }}}}', each: '$[*].id', then: {sweep}}}]
"
    )
}

#[test]
fn the_steps_of_a_clean_up_and_of_a_sweep_know_what_those_before_them_captured() {
    let removes = "[{get: '/{{ id }}', capture: {gone: {form: form}}}, {submit: gone}]";
    let item =
        "[{get: '/{{ item }}/{{ id }}', capture: {gone: {form: form}}}, {submit: gone}, {submit: early}]";
    let said = validate_with(&journey(removes, item), &[]).ended(0);
    assert!(said.stdout.ends_with("1 checks, no faults\n"), "{said:?}");
    // Neither before it is captured, nor from one list to another, nor what only a whole run has.
    refused(
        &journey(
            "[{submit: gone}, {get: '/{{ id }}', capture: {gone: {form: form}}}]",
            "[{submit: gone}, {submit: behind}, {post: '/{{ item }}/{{ late }}'}]",
        ),
        &[
            "monitor.yaml:11: portals.acme.checks.work.journey.cleanup[0].submit: no step before captures a form as \"gone\"",
            "monitor.yaml:12: portals.acme.checks.work.journey.sweep[0].then[0].submit: no step before captures a form as \"gone\"",
            "monitor.yaml:12: portals.acme.checks.work.journey.sweep[0].then[1].submit: no step before captures a form as \"behind\"",
            "monitor.yaml:12: portals.acme.checks.work.journey.sweep[0].then[2] … \"late\" is captured only by a later step",
        ],
    );
    refused(
        &journey("[{get: '/{{ id }}', capture: {gone: {form: form, keep: true}}}, {submit: gone}]", item),
        &["monitor.yaml:11: … the ledger keeps values, no form and no link; leave keep out"],
    );
    refused(
        &journey(removes, "{submit: gone, form: {item: '{{ item }}'}}"),
        &["monitor.yaml:12: portals.acme.checks.work.journey.sweep[0].then … captures a form as \"gone\""],
    );
}
