//! What docs/journeys.md and monitor.yaml promise of journeys is what the program takes and finds.

use std::collections::BTreeSet;
use std::path::Path;

use portalwatch::probe::{Kind as _, journey::Journey, kinds};
use schemars::SchemaGenerator;
use serde_json::Value;

use crate::command::{Said, portalwatch_with};
use crate::peers::Authority;

const PAGE: &str = include_str!("../../docs/journeys.md");
const EXAMPLE: &str = include_str!("../../monitor.yaml");

/// The secrets that the recipes refer to; the last is base32, as it has to be.
const ENVIRONMENT: [(&str, &str); 8] = [
    ("ACME_PASSWORD", "not-a-real-password"),
    ("ACME_TOKEN", "not-a-real-token"),
    ("ACME_API_TOKEN", "not-a-real-token"),
    ("ACME_CLIENT_SECRET", "not-a-real-secret"),
    ("ACME_REFRESH_TOKEN", "not-a-real-token"),
    ("SMTP_PASSWORD", "not-a-real-password"),
    ("CHAT_HOOK_SECRET", "whsec_bm90LWEtcmVhbC1zZWNyZXQtYXQtYWxs"),
    ("ACME_TOTP", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"),
];

/// The blocks of YAML on the page, with the lines they begin at.
fn recipes() -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in PAGE.lines().enumerate() {
        match &mut open {
            None if line == "```yaml" => open = Some((index + 2, String::new())),
            Some(_) if line == "```" => found.extend(open.take()),
            Some((_, text)) => {
                text.push_str(line);
                text.push('\n');
            }
            None => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    found
}

fn validate(text: &str) -> Said {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = Authority::new().issue(&["probe.example"]);
    std::fs::write(folder.path().join("probe.pem"), certificate).unwrap();
    std::fs::write(folder.path().join("probe.key"), key).unwrap();
    let here = folder.path().display().to_string();
    let text = text.replace("/etc/portalwatch/", &format!("{here}/"));
    std::fs::write(folder.path().join("monitor.yaml"), text).unwrap();
    let hook = [("CHAT_HOOK_URL", "https://chat.example/hook")];
    portalwatch_with(folder.path(), &[&ENVIRONMENT[..], &hook].concat(), &["config", "validate"])
}

#[test]
fn every_recipe_is_a_config_that_works() {
    let recipes = recipes();
    assert!(recipes.len() >= 10, "only {} recipes were found", recipes.len());
    for (line, text) in recipes {
        let said = validate(&text);
        assert_eq!(said.code, 0, "docs/journeys.md:{line}: {said:#?}");
        assert!(text.contains("journey:"), "docs/journeys.md:{line} is about something else");
    }
}

#[test]
fn a_recipe_with_a_mistake_would_be_noticed() {
    let (_, text) = recipes().remove(0);
    for (right, wrong) in
        [("submit: login", "submit: logon"), ("as: staff", "as: stuff"), ("steps:", "stpes:")]
    {
        assert_ne!(text, text.replace(right, wrong));
        assert_eq!(validate(&text.replace(right, wrong)).code, 78, "{wrong}");
    }
}

#[test]
fn the_commented_example_is_a_config_that_works() {
    let lines = EXAMPLE.lines().skip_while(|line| *line != "# defaults:");
    let text: String = lines.map(|line| format!("{}\n", line.strip_prefix("# ").unwrap_or(""))).collect();
    assert!(text.contains("journey:"), "{text}");
    let said = validate(&text);
    assert_eq!(said.code, 0, "{said:#?}\n{text}");
}

#[test]
fn every_finding_stands_in_the_table_as_the_program_reports_it() {
    let rows: BTreeSet<String> = PAGE
        .lines()
        .filter(|line| line.starts_with("| `journey."))
        .map(|line| line.split('|').take(4).map(str::trim).collect::<Vec<_>>().join(" "))
        .collect();
    let findings = Journey::FINDINGS.iter().map(|doc| {
        let broken = if doc.broken { " yes" } else { "" };
        format!(" `{}` {}{}", doc.id, doc.severity.as_str(), if broken.is_empty() { " " } else { broken })
    });
    assert_eq!(rows, findings.collect());
}

/// The names of all settings in a schema.
fn settings(schema: &Value, names: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Object(properties)) = members.get("properties") {
                names.extend(properties.keys().cloned());
            }
            members.values().for_each(|member| settings(member, names));
        }
        Value::Array(items) => items.iter().for_each(|item| settings(item, names)),
        _ => {}
    }
}

#[test]
fn no_key_of_the_grammar_is_left_out_of_the_page() {
    let kind = kinds().iter().find(|kind| kind.name == Journey::NAME).unwrap();
    let mut generator = SchemaGenerator::default();
    let mut names = BTreeSet::new();
    settings(&(kind.schema)(&mut generator).to_value(), &mut names);
    let parts = ["Step", "Capture", "Sweep", "Csrf", "SessionCookies", "Eventually", "Repeat", "FilePart"];
    for (name, part) in generator.definitions() {
        // The settings themselves have a name that other kinds use as well.
        if parts.contains(&name.as_str()) || part["properties"]["lockout_guard"].is_object() {
            settings(part, &mut names);
        }
    }
    assert!(
        names.contains("lockout_guard") && names.contains("eventually") && names.contains("each"),
        "{names:?}"
    );
    let words: BTreeSet<&str> = PAGE.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let missing: Vec<_> = names.iter().filter(|name| !words.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "not in docs/journeys.md: {missing:?}");
}

#[test]
fn every_page_that_is_linked_to_is_there() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let links = PAGE.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    for link in links.filter(|link| !link.starts_with("http")) {
        let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
        let text = if file.is_empty() {
            PAGE.to_owned()
        } else {
            std::fs::read_to_string(docs.join(file)).unwrap_or_else(|why| panic!("{link}: {why}"))
        };
        let headings = text.lines().filter(|line| line.starts_with('#')).map(slug);
        assert!(anchor.is_empty() || headings.into_iter().any(|slug| slug == anchor), "{link}");
    }
}

/// How a heading is linked to.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}
