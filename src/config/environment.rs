//! `PORTALWATCH__SERVER__LISTEN=…`: scalars under `server`, `storage` and `defaults`, over the file's.

use std::collections::HashMap;

use config::Source as _;

use super::secrets::Environment;
use crate::formats::yaml::{Entry, Fault, Node, Position, Value, plain, unknown};

/// How a variable that is ours begins.
pub(super) const PREFIX: &str = "PORTALWATCH__";

const TEXTS: &[&str] = &[
    "server.listen",
    "server.external_url",
    "server.auth.basic.username",
    "storage.url",
    "storage.synchronous",
    "storage.retention.results",
    "storage.retention.incidents",
    "defaults.every",
    "defaults.timeout",
    "defaults.deadline",
    "defaults.jitter",
    "defaults.unknown_after",
    "defaults.confirm.recheck",
    "defaults.flap.window",
    "defaults.tls.ca_file",
    "defaults.tls.server_name",
];

const OTHERS: &[&str] = &[
    "server.insecure_public",
    "defaults.confirm.failures",
    "defaults.confirm.successes",
    "defaults.flap.transitions",
    "defaults.limits.per_host",
    "defaults.limits.global",
];

/// Writes the variables into the tree.
pub(super) fn apply(root: &mut Node, environment: &Environment, faults: &mut Vec<Fault>) {
    let ours: HashMap<String, String> = environment
        .0
        .iter()
        .filter(|(name, _)| name.starts_with(PREFIX))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let source = config::Environment::with_prefix("PORTALWATCH")
        .prefix_separator("__")
        .separator("__")
        .source(Some(ours));
    let mut values: Vec<_> = match source.collect() {
        Ok(values) => values.into_iter().collect(),
        Err(error) => {
            faults.push(Fault { at: None, path: String::new(), message: error.to_string() });
            return;
        }
    };
    values.sort_by(|a, b| a.0.cmp(&b.0));
    for (key, value) in values {
        let name = format!("{PREFIX}{}", key.to_uppercase().replace('.', "__"));
        let text = value.into_string().unwrap_or_default();
        let value = if TEXTS.contains(&key.as_str()) {
            Value::String(text)
        } else if OTHERS.contains(&key.as_str()) {
            plain(text)
        } else {
            let known = unknown("key", &key, TEXTS.iter().chain(OTHERS).copied());
            let message = format!(
                "environment variable {name}: only scalars under server, storage and defaults can be overridden: {known}"
            );
            faults.push(Fault { at: None, path: String::new(), message });
            continue;
        };
        let at = Position { file: name.into(), line: 0, column: 0 };
        put(root, &key, Node { at, value });
    }
}

/// Puts a node at a dotted path, making the maps on the way.
pub(super) fn put(root: &mut Node, path: &str, node: Node) {
    let (key, rest) = path.split_once('.').map_or((path, None), |(key, rest)| (key, Some(rest)));
    if root.value == Value::Null {
        root.value = Value::Map(Vec::new());
    }
    let Value::Map(entries) = &mut root.value else { return };
    let index = entries.iter().position(|entry| entry.key == key).unwrap_or_else(|| {
        let value = Node { at: node.at.clone(), value: Value::Null };
        entries.push(Entry { key: key.to_owned(), at: node.at.clone(), value });
        entries.len() - 1
    });
    let Some(entry) = entries.get_mut(index) else { return };
    match rest {
        Some(rest) => put(&mut entry.value, rest, node),
        None => entry.value = node,
    }
}
