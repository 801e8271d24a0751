use std::time::Duration;

use super::*;
use crate::model::database::{Access, Encryption};

const WORDS: Vocabulary<'_> = Vocabulary { kinds: &["http"], channels: &["email", "webhook"] };
const PORTAL: &str = "portals: {acme: {url: https://a.example, checks: {home: {http: {}}}}}\n";

fn load_with(text: &[u8], variables: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.yaml");
    std::fs::write(&file, text).unwrap();
    let environment = Environment(variables.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect());
    let prefix = format!("{}/", folder.path().display());
    load(&file, &WORDS, &environment, SecretPolicy::Resolve)
        .map_err(|faults| faults.iter().map(|fault| fault.to_string().replace(&prefix, "")).collect())
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let faults = load_with(text.as_bytes(), &[]).unwrap_err();
    assert!(faults.len() == 1 && faults[0].contains(expected), "{expected}: {faults:#?}");
}

fn check(keys: &str) -> String {
    format!(
        "portals:\n  acme:\n    url: https://a.example\n    checks:\n      home: {{http: {{}}, {keys}}}\n"
    )
}

#[test]
fn bad_input_has_a_clear_answer_with_its_line() {
    refused("", "m.yaml is empty; start from");
    refused("portals: [", "YAML syntax error");
    refused("storage: {}", "there are no portals");
    refused(&check("every: 0s"), "m.yaml:5: portals.acme.checks.home.every: zero");
    refused(&check("every: 300y"), "longer than 100 years");
    refused(&check("every: 5s"), "every is shorter than timeout");
    refused(
        &check("evry: 5s"),
        "m.yaml:5: portals.acme.checks.home: unknown key \"evry\", did you mean \"every\"?",
    );
    refused(&check("latency: {pp95: 1s}"), "unknown key \"pp95\", did you mean \"p95\"?");
    refused(&check("latency: {p95: 0s}"), "m.yaml:5: portals.acme.checks.home.latency.p95: zero");
    refused(&check("counts: maybe"), "portals.acme.checks.home.counts");
    refused(
        "portals:\n  a:\n    hosts: [a.example, 'https://a.example']\n    checks: {x: {http: {}}}\n",
        "m.yaml:3: portals.a.hosts[1]: \"https://a.example\" is no host",
    );
    refused(&check("confirm: {failures: 0}"), "confirm.failures");
    refused(&check("resolvers: [nonsense]"), "is no resolver");
    refused("portals: {acme: {url: 'https://', checks: {home: {http: {}}}}}", "portals.acme.url");
    refused("portals: {acme: {checks: {home: {every: 60s}}}}", "expected exactly one of the keys http");
    refused("portals: {Acme: {checks: {}}}", "the name \"Acme\"");
    refused("portals:\n  a:\n    checks:\n      x: {http: {}}\n      x: {http: {}}\n", "line 4 and line 5");
}

#[test]
fn bad_settings_around_the_checks_are_refused() {
    let with = |text: &str| format!("{PORTAL}{text}");
    refused(&with("server: {listen: '0.0.0.0:80'}"), "listens beyond loopback");
    refused(&with("storage: {url: 'postgres://x'}"), "storage.url: names no user");
    refused(
        &with("storage: {url: 'mysql://u@h/d'}"),
        "must be sqlite://PATH or postgres://USER@HOST/DATABASE",
    );
    refused(&with("storage: {password: {insecure_literal: x}}"), "storage.password: belongs to postgres://");
    let at = |more: &str| with(&format!("storage: {{url: 'postgres://u@h/d{more}}}"));
    refused(&at("?sslmode=require'"), "write sslmode=verify-full");
    refused(&at("', password: {env: NOPE}"), "NOPE is not set");
    refused(&at("', tls: {ca_file: nope}"), "storage.tls.ca_file: cannot read");
    refused(&at("?sslmode=disable', tls: {ca_file: nope}"), "storage.tls: has no effect");
    refused(&at("', tls: {client: {cert: a, key: b}}"), "unknown key \"client\"");
    refused(&with("storage: {retention: {hours: 0d}}"), "storage.retention.hours: zero");
    refused(&with("defaults: {limits: {global: 0}}"), "defaults.limits.global");
    refused(&with("defaults: {reference: [{tcp: example.com}]}"), "defaults.reference[0].tcp");
    refused(&with("notify: {channels: {a: {slack: {}}}}"), "\"slack\" is not supported in this version");
    refused(
        &with("notify: {channels: {chat: {webhook: {}}}, routes: [{to: [chta]}]}"),
        "did you mean \"chat\"?",
    );
    refused(&with("server: {auth: {basic: {username: a, password: {env: NOPE}}}}"), "NOPE is not set");
    refused(&with("server: {auth: {basic: {username: a, password: {file: nope}}}}"), "cannot read");
}

#[test]
fn a_file_that_is_not_utf8_or_missing_is_named() {
    assert!(load_with(b"a: 1\nb: \xff", &[]).unwrap_err()[0].starts_with("m.yaml:2: is not UTF-8"));
    let faults = load(Path::new("/nonexistent.yaml"), &WORDS, &Environment::default(), SecretPolicy::Resolve);
    assert!(faults.unwrap_err()[0].to_string().contains("/nonexistent.yaml cannot be read"));
}

#[test]
fn a_check_stands_over_its_portal_over_the_defaults() {
    let text = "defaults: {every: 2m, timeout: 5s, confirm: {failures: 4}}\nportals:\n  a:\n    timeout: 6s\n    labels: {t: x, u: y}\n    checks: {c: {every: 3m, labels: {t: z}, http: {}}}\n";
    let settings = load_with(text.as_bytes(), &[]).unwrap();
    let check = &settings.portals[0].checks[0];
    assert_eq!((check.every.as_secs(), check.timeout.as_secs()), (180, 6));
    assert_eq!((check.confirm.failures, check.deadline), (Some(4), Duration::from_secs(180)));
    assert_eq!((check.labels["t"].as_str(), check.labels["u"].as_str()), ("z", "y"));
}

#[test]
fn the_environment_overrides_scalars_and_nothing_else() {
    let settings = load_with(PORTAL.as_bytes(), &[("PORTALWATCH__SERVER__LISTEN", "127.0.0.1:1")]).unwrap();
    assert_eq!(settings.server.listen.port(), 1);
    for (name, value) in [("PORTALWATCH__PORTALS__A", "1"), ("PORTALWATCH__DEFAULTS__EVERY", "0s")] {
        let faults = load_with(PORTAL.as_bytes(), &[(name, value)]).unwrap_err();
        assert!(faults.len() == 1 && faults[0].contains(name), "{faults:?}");
    }
}

#[test]
fn a_secret_file_others_can_read_is_one_warning() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("s"), "hush\n").unwrap();
    let mut secrets = Secrets::new(Environment::default(), folder.path().into(), SecretPolicy::Resolve);
    use crate::formats::yaml::ResolveSecret as _;
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder.path().join("s"), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(secrets.resolve("file", "s").unwrap().expose(), "hush");
    secrets.resolve("file", "s").unwrap();
    assert_eq!((secrets.warnings.len(), secrets.watched.len()), (1, 1));
}

#[test]
fn a_portal_in_two_files_names_both_places() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.yaml"), PORTAL).unwrap();
    std::fs::write(folder.path().join("b.yml"), PORTAL).unwrap();
    let faults = load(folder.path(), &WORDS, &Environment::default(), SecretPolicy::Resolve).unwrap_err();
    let said = faults[0].to_string();
    assert!(faults.len() == 1 && said.contains("b.yml:1") && said.contains("a.yaml:1"), "{said}");
}

#[test]
fn ten_thousand_checks_in_one_file_are_read() {
    let mut text = "portals:\n  a:\n    url: https://a.example\n    checks:\n".to_owned();
    for n in 0..10_000 {
        text.push_str(&format!("      c{n}: {{every: 60s, http: {{path: /{n}}}}}\n"));
    }
    assert_eq!(load_with(text.as_bytes(), &[]).unwrap().portals[0].checks.len(), 10_000);
}

#[test]
fn the_shown_config_holds_no_secret_and_reads_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.yaml");
    let text = "server: {auth: {basic: {username: a, password: {insecure_literal: hush1}}}}\nportals:\n  a:\n    url: https://u:hush2@a.example/x\n    checks: {c: {http: {headers: {Authorization: hush3, X: {env: UNSET}}}}}\n";
    std::fs::write(&file, text).unwrap();
    let environment = Environment([("PORTALWATCH__DEFAULTS__EVERY".into(), "90s".into())].into());
    let shown = show(&file, &WORDS, &environment).unwrap();
    assert!(!shown.contains("hush") && shown.contains("env: UNSET") && shown.contains("90s"), "{shown}");
    assert!(shown.contains("global: 512") && shown.contains("https://***@a.example/x"), "{shown}");
    let settings = load_with(shown.as_bytes(), &[]).unwrap();
    assert_eq!(settings.portals[0].checks[0].every.as_secs(), 90);
}

fn access(storage: &str, variables: &[(&str, &str)], policy: SecretPolicy) -> (Access, Settings) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.yaml");
    std::fs::write(folder.path().join("ca.pem"), "-----BEGIN CERTIFICATE-----\n").unwrap();
    std::fs::write(&file, format!("{PORTAL}storage: {storage}\n")).unwrap();
    let environment = Environment(variables.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect());
    let settings = load(&file, &WORDS, &environment, policy).unwrap();
    match settings.storage.database.clone() {
        settings::Database::Postgres(access) => (*access, settings),
        settings::Database::Sqlite(path) => panic!("a file: {path:?}"),
    }
}

#[test]
fn the_way_to_another_host_is_verified_and_that_to_this_one_is_not_unless_said() {
    let encryption = |storage: &str| access(storage, &[], SecretPolicy::Resolve).0.encryption;
    let ca_pem = Some("-----BEGIN CERTIFICATE-----\n".into());
    assert_eq!(encryption("{url: 'postgres://u@h/d'}"), Encryption::Verified { ca_pem: None });
    assert_eq!(
        encryption("{url: 'postgres://u@h/d', tls: {ca_file: ca.pem}}"),
        Encryption::Verified { ca_pem: ca_pem.clone() }
    );
    assert_eq!(encryption("{url: 'postgres://u@localhost/d'}"), Encryption::Off);
    assert_eq!(
        encryption("{url: 'postgres://u@localhost/d', tls: {ca_file: ca.pem}}"),
        Encryption::Verified { ca_pem }
    );
    assert_eq!(encryption("{url: 'postgres://u@h/d?sslmode=disable'}"), Encryption::Off);
}

#[test]
fn a_command_has_the_password_of_the_database_although_it_leaves_other_secrets_alone() {
    let storage = "{url: 'postgres://u@localhost/d', password: {env: DB}}";
    for policy in [SecretPolicy::Resolve, SecretPolicy::Leave] {
        let (found, settings) = access(storage, &[("DB", "hunter2")], policy);
        assert_eq!(found.password.unwrap().expose(), "hunter2", "{policy:?}");
        assert!(settings.secrets.iter().any(|secret| secret.expose() == "hunter2"), "it is masked");
        assert!(!format!("{:?}", settings.storage).contains("hunter2"));
    }
    let (_, settings) = access(storage, &[], SecretPolicy::Leave);
    assert_eq!(settings.storage.faults.len(), 1, "{:?}", settings.storage.faults);
    assert!(settings.storage.faults[0].to_string().contains("DB is not set"));
    let (found, settings) = access("{url: 'postgres://u:hunter2@localhost/d'}", &[], SecretPolicy::Leave);
    assert_eq!(found.password.unwrap().expose(), "hunter2");
    assert!(settings.secrets.iter().any(|secret| secret.expose() == "hunter2"), "it is masked");
}

#[test]
fn the_effective_config_shows_no_password_of_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.yaml");
    for storage in [
        "{url: 'postgres://u:hunter2@localhost/d'}",
        "{url: 'postgres://u@localhost/d', password: {insecure_literal: hunter2}}",
    ] {
        std::fs::write(&file, format!("{PORTAL}storage: {storage}\n")).unwrap();
        let shown = show(&file, &WORDS, &Environment::default()).unwrap();
        assert!(shown.contains("@localhost/d") && !shown.contains("hunter2"), "{shown}");
    }
}
