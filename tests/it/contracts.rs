//! What every kind and every channel owes: an example that is read, unknown keys that are refused,
//! findings that are documented once.

use std::collections::BTreeSet;

use portalwatch::model::FindingDoc;
use portalwatch::notify::notifiers;
use portalwatch::{alert, probe, run};

/// A config with one check of which `body` is the YAML, and one channel.
fn config_with(check: &str, channel: &str) -> String {
    let indent = |text: &str, by: usize| -> String {
        text.lines().map(|line| format!("{:by$}{line}\n", "")).collect()
    };
    format!(
        "portals:\n  acme:\n    url: https://portal.example\n    checks:\n      example:\n{}notify:\n  channels:\n    example:\n{}",
        indent(check, 8),
        indent(channel, 6)
    )
}

const CHECK: &str = "http: { path: / }";
const CHANNEL: &str = "webhook: { url: https://hooks.example/x }";

/// The faults of a config, each as it is printed.
fn faults(text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("monitor.yaml");
    std::fs::write(&path, text).unwrap();
    match portalwatch::app::plan(&path) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

/// What stands under a key.
fn under(key: &str, body: &str) -> String {
    let lines: Vec<String> = body.lines().map(|line| format!("  {line}")).collect();
    format!("{key}:\n{}", lines.join("\n"))
}

#[test]
fn every_example_is_read() {
    for kind in probe::kinds() {
        let found = faults(&config_with(kind.example, CHANNEL));
        assert!(found.is_empty(), "{}: {found:#?}", kind.name);
    }
    for notifier in notifiers() {
        let found = faults(&config_with(CHECK, &under(notifier.name, notifier.example)));
        assert!(found.is_empty(), "{}: {found:#?}", notifier.name);
    }
}

#[test]
fn every_unknown_key_is_refused() {
    for kind in probe::kinds() {
        let found = faults(&config_with(&under(kind.name, "staus: 1"), CHANNEL));
        assert!(
            found.iter().any(|fault| fault.contains("unknown key \"staus\"")),
            "{}: {found:#?}",
            kind.name
        );
    }
    for notifier in notifiers() {
        let found = faults(&config_with(CHECK, &under(notifier.name, "staus: 1")));
        assert!(
            found.iter().any(|fault| fault.contains("unknown key \"staus\"")),
            "{}: {found:#?}",
            notifier.name
        );
    }
}

fn catalogue() -> impl Iterator<Item = &'static FindingDoc> {
    let kinds = probe::kinds().iter().flat_map(|kind| kind.findings);
    kinds.chain(run::FINDINGS).chain(alert::daemon::FINDINGS)
}

#[test]
fn every_finding_has_a_name_of_its_own_and_is_explained() {
    let mut seen = BTreeSet::new();
    for doc in catalogue() {
        assert!(seen.insert(doc.id), "{} is documented twice", doc.id);
        assert!(doc.id.contains('.'), "{} has no family", doc.id);
        for text in [doc.meaning, doc.why, doc.fix] {
            assert!(text.len() > 20, "{} is not explained: {text:?}", doc.id);
        }
    }
    assert!(seen.len() > 10);
}

#[test]
fn every_kind_and_channel_is_in_the_schema() {
    let schema = portalwatch::app::schema().to_string();
    for name in probe::kinds().iter().map(|kind| kind.name).chain(notifiers().iter().map(|entry| entry.name))
    {
        assert!(schema.contains(&format!("\"{name}\"")), "{name}");
    }
}

#[test]
fn every_kind_and_channel_has_settings_of_its_own_in_the_schema() {
    let schema = portalwatch::app::schema();
    let own = |place: &str, names: Vec<&'static str>| {
        let mut seen = BTreeSet::new();
        for name in names {
            let one = schema.pointer(&format!("{place}/additionalProperties/properties/{name}")).unwrap();
            let target = one["$ref"].as_str().unwrap_or_else(|| panic!("{name}: {one}"));
            assert!(seen.insert(target.to_owned()), "{name} has the settings of another: {target}");
            let settings = schema.pointer(target.trim_start_matches('#')).unwrap();
            assert!(settings["properties"].is_object(), "{name}: {settings}");
        }
    };
    let checks = "/properties/portals/additionalProperties/properties/checks";
    own(checks, probe::kinds().iter().map(|kind| kind.name).collect());
    own("/properties/notify/properties/channels", notifiers().iter().map(|entry| entry.name).collect());
}

#[test]
fn the_shipped_config_is_read_without_a_fault() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("monitor.yaml");
    let (plan, ..) = portalwatch::app::plan(&path).map_err(|faults| format!("{faults:#?}")).unwrap();
    assert!(!plan.checks.is_empty());
}

#[test]
fn the_shipped_schema_is_the_programs() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitor.schema.json");
    let shipped: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(
        shipped == portalwatch::app::schema(),
        "docs/monitor.schema.json is old; run: portalwatch config schema > docs/monitor.schema.json"
    );
}
