//! The effective config as YAML: defaults filled in, the environment applied, secrets masked.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value as Json;

use super::environment::put;
use crate::formats::yaml::{Entry, Node, Value};
use crate::model::CheckId;

/// What the language sets where nothing is written.
const DEFAULTS: &[(&str, &str)] = &[
    ("server.listen", "127.0.0.1:9790"),
    ("storage.url", "sqlite://portalwatch.db"),
    ("storage.synchronous", "full"),
    ("storage.retention.results", "35d"),
    ("storage.retention.hours", "400d"),
    ("storage.retention.days", "5y"),
    ("storage.retention.incidents", "5y"),
    ("defaults.every", "60s"),
    ("defaults.timeout", "10s"),
    ("defaults.jitter", "0s"),
    ("defaults.flap.window", "1h"),
    ("notify.timezone", "UTC"),
];
const NUMBERS: &[(&str, i64)] =
    &[("defaults.flap.transitions", 6), ("defaults.limits.per_host", 16), ("defaults.limits.global", 512)];
/// Header and key names whose plain text value is a secret all the same.
const SENSITIVE: &[&str] =
    &["authorization", "proxy-authorization", "cookie", "x-api-key", "x-auth-token", "password", "token"];
const MASK: &str = "***";

/// A tree as YAML.
pub(super) fn text(root: &Node) -> String {
    let mut out = String::new();
    block(root, 0, &mut out);
    out
}

/// A tree as JSON.
pub(super) fn json(node: &Node) -> Json {
    match &node.value {
        Value::Map(entries) => {
            let shown = |entry: &Entry| {
                let value = if hides(entry) { Json::from(MASK) } else { json(&entry.value) };
                (entry.key.clone(), value)
            };
            Json::Object(entries.iter().map(shown).collect())
        }
        Value::List(items) => items.iter().map(json).collect(),
        Value::Bool(truth) => (*truth).into(),
        Value::Int(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::String(text) => without_userinfo(text).into(),
        _ => Json::Null,
    }
}

/// Each check as YAML.
pub(super) fn checks(root: &Node) -> BTreeMap<CheckId, String> {
    let entries = |node: Option<&Node>| match node.map(|node| &node.value) {
        Some(Value::Map(entries)) => entries.clone(),
        _ => Vec::new(),
    };
    let portals = entries(root.get("portals"));
    let of_portal = |portal: Entry| {
        let checks = entries(portal.value.get("checks"));
        checks.into_iter().map(move |check| (CheckId::new(&portal.key, &check.key), text(&check.value)))
    };
    portals.into_iter().flat_map(of_portal).collect()
}

/// Whether an entry's value is a secret that was written down.
fn hides(entry: &Entry) -> bool {
    let scalar = matches!(entry.value.value, Value::String(_) | Value::Int(_) | Value::Float(_));
    scalar && (is_sensitive(&entry.key) || entry.key == "insecure_literal")
}

/// Fills the defaults in.
pub(super) fn fill(root: &mut Node) {
    let at = root.at.clone();
    let mut set = |path: &str, value: Value| {
        let there = path.split('.').try_fold(&*root, |node, key| node.get(key));
        if there.is_none_or(|node| node.value == Value::Null) {
            put(root, path, Node { at: at.clone(), value });
        }
    };
    for (path, text) in DEFAULTS {
        set(path, Value::String((*text).to_owned()));
    }
    for (path, number) in NUMBERS {
        set(path, Value::Int(*number));
    }
    let system = Node { at: at.clone(), value: Value::String("system".into()) };
    set("defaults.resolvers", Value::List(vec![system]));
    let listen = root.get("server").and_then(|server| server.get("listen")).map(|node| node.value.clone());
    let external = root.get("server").and_then(|server| server.get("external_url"));
    if let (Some(Value::String(listen)), None) = (listen, external) {
        put(root, "server.external_url", Node { at, value: Value::String(format!("http://{listen}")) });
    }
}

fn block(node: &Node, depth: usize, out: &mut String) {
    let pad = "  ".repeat(depth);
    match &node.value {
        Value::Map(entries) => {
            for entry in entries {
                let _ = write!(out, "{pad}{}:", quoted(&entry.key));
                if hides(entry) {
                    let _ = writeln!(out, " {MASK:?}");
                } else {
                    below(&entry.value, depth, out);
                }
            }
        }
        Value::List(items) => {
            for item in items {
                let _ = write!(out, "{pad}-");
                below(item, depth, out);
            }
        }
        _ => {
            let _ = writeln!(out, "{pad}{}", scalar(&node.value));
        }
    }
}

fn below(node: &Node, depth: usize, out: &mut String) {
    match &node.value {
        Value::Map(entries) if entries.is_empty() => out.push_str(" {}\n"),
        Value::List(items) if items.is_empty() => out.push_str(" []\n"),
        Value::Map(_) | Value::List(_) => {
            out.push('\n');
            block(node, depth + 1, out);
        }
        value => {
            let _ = writeln!(out, " {}", scalar(value));
        }
    }
}

fn is_sensitive(key: &str) -> bool {
    SENSITIVE.contains(&key.to_ascii_lowercase().as_str())
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::String(text) => quoted(&without_userinfo(text)),
        _ => "null".into(),
    }
}

/// JSON's quoting is YAML's too; plain words stay plain.
fn quoted(text: &str) -> String {
    let word = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_/.".contains(c))
        && matches!(crate::formats::yaml::plain(text.to_owned()), Value::String(_));
    if word { text.to_owned() } else { serde_json::to_string(text).unwrap_or_default() }
}

fn without_userinfo(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{MASK}@{host}{tail}"),
        None => text.to_owned(),
    }
}
