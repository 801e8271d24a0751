//! `portalwatch import har` as people meet it.

use std::path::Path;

use tempfile::TempDir;

use crate::command::{Said, portalwatch_with};

fn recording() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/har/form-login.har");
    std::fs::read_to_string(path).unwrap()
}

/// Imports a file with this text.
fn import(text: &str, arguments: &[&str]) -> (Said, TempDir) {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("login.har"), text).unwrap();
    let said = portalwatch_with(folder.path(), &[], &[&["import", "har", "login.har"], arguments].concat());
    (said, folder)
}

#[test]
fn a_recorded_sign_in_becomes_a_draft_without_its_secrets() {
    let (said, _folder) = import(&recording(), &["--portal", "shop", "--name", "staff-login"]);
    let said = said.ended(0);
    assert!(said.stdout.starts_with("# Draft of a journey"), "{said:?}");
    assert!(
        said.stdout.contains("\n  shop:\n") && said.stdout.contains("\n      staff-login:\n"),
        "{said:?}"
    );
    assert!(said.stdout.contains("submit: login"), "{said:?}");
    for planted in ["pl4nted-passw0rd", "pl4ntedc00kie", "Pl4ntedTok3n"] {
        assert!(!said.stdout.contains(planted) && !said.stderr.contains(planted), "{planted}: {said:?}");
    }
    assert!(said.stderr.starts_with("2 steps from 5 requests"), "{said:?}");
}

#[test]
fn a_draft_is_a_config_without_faults() {
    let (_, folder) = import(&recording(), &["-o", "monitor.yaml"]);
    let validate = |folder: &Path| {
        portalwatch_with(folder, &[("PORTAL_PASSWORD", "from the environment")], &["config", "validate"])
    };
    let said = validate(folder.path()).ended(0);
    assert!(said.stdout.contains("1 checks, no faults"), "{said:?}");
    let draft = std::fs::read_to_string(folder.path().join("monitor.yaml")).unwrap();
    std::fs::write(folder.path().join("monitor.yaml"), draft.replace("submit: login", "submit: other"))
        .unwrap();
    validate(folder.path()).ended(78);
}

#[test]
fn the_origin_decides_what_belongs_to_the_portal() {
    let (said, _folder) = import(&recording(), &["--origin", "https://login.other.example/x"]);
    assert!(said.ended(0).stdout.contains("url: \"https://login.other.example\"\n"));
}

#[test]
fn a_draft_never_replaces_a_file() {
    let (said, folder) = import(&recording(), &["-o", "draft.yaml"]);
    assert_eq!(said.ended(0).stdout, "");
    let draft = std::fs::read_to_string(folder.path().join("draft.yaml")).unwrap();
    assert!(draft.contains("submit: login"), "{draft}");
    std::fs::write(folder.path().join("draft.yaml"), "mine").unwrap();
    let again = ["import", "har", "login.har", "-o", "draft.yaml"];
    let said = portalwatch_with(folder.path(), &[], &again).ended(64);
    assert!(said.stderr.contains("draft.yaml is there already"), "{said:?}");
    assert_eq!(std::fs::read_to_string(folder.path().join("draft.yaml")).unwrap(), "mine");
}

#[test]
fn what_is_no_recording_is_refused_with_its_place() {
    let whole = recording();
    let half = &whole[..whole.len() / 2];
    for (text, expected) in [
        ("", "login.har: is empty"),
        (half, "ends in the middle (line "),
        ("<html>", "is no JSON (line 1, column 1)"),
        ("{\"log\": {}}", "is no HAR (line 1, column "),
        ("{\"log\": {\"entries\": []}}", "holds no page"),
    ] {
        let (said, _folder) = import(text, &[]);
        let said = said.ended(64);
        assert!(said.stderr.contains(expected) && said.stdout.is_empty(), "{expected}: {said:?}");
    }
}

#[test]
fn mistakes_in_the_arguments_are_64() {
    let folder = TempDir::new().unwrap();
    for (arguments, expected) in [
        (&["import", "har", "none.har"] as &[&str], "none.har: "),
        (&["import", "har", "x", "--portal", "Acme!"], "lower-case"),
        (&["import", "har", "x", "--name=-x"], "lower-case"),
        (&["import", "har", "x", "--origin", "ftp://a.example"], "https://"),
    ] {
        let said = portalwatch_with(folder.path(), &[], arguments).ended(64);
        assert!(said.stderr.contains(expected), "{arguments:?}: {said:?}");
    }
    let help = portalwatch_with(folder.path(), &[], &["import", "har", "--help"]).ended(0);
    assert!(help.stdout.contains("Exit codes: 0 "), "{help:?}");
}
