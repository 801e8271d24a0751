//! YAML as a tree that knows where each node stands, and typed reading from it that reports *all*
//! faults of a document, each with file, line and path.
//!
//! Typed reading is serde's: any `Deserialize` type can be read. Where serde stops at the first
//! fault, [`Reader::read`] notes the fault at its node, takes the node out and reads again, until
//! nothing more is wrong.

mod de;
mod parse;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde::de::DeserializeOwned;

pub use self::parse::parse;
pub(crate) use self::parse::plain;
use crate::model::Secret;

/// A node of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it stands.
    pub at: Position,
    /// What it holds.
    pub value: Value,
}

/// Where a node stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The file as the user named it.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    String(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the document.
    Map(Vec<Entry>),
}

impl std::hash::Hash for Value {
    /// What is written, wherever it stands.
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Self::Null => {}
            Self::Bool(truth) => truth.hash(state),
            Self::Int(number) => number.hash(state),
            Self::Float(number) => number.to_bits().hash(state),
            Self::String(text) => text.hash(state),
            Self::List(items) => {
                items.len().hash(state);
                items.iter().for_each(|item| item.value.hash(state));
            }
            Self::Map(entries) => {
                entries.len().hash(state);
                entries.iter().for_each(|entry| (&entry.key, &entry.value.value).hash(state));
            }
        }
    }
}

/// One entry of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub at: Position,
    /// The value.
    pub value: Node,
}

/// One thing wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where; `None` for faults outside files, such as of an environment variable.
    pub at: Option<Position>,
    /// The path of keys, `portals.acme.checks.health.http.expect`; may be empty.
    pub path: String,
    /// What is wrong and the way out.
    pub message: String,
}

impl std::fmt::Display for Fault {
    /// `monitor.yaml:41: portals.acme.checks.health.http.expect: unknown key "staus", did you mean "status"?`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(at) = &self.at {
            write!(f, "{}:{}: ", at.file, at.line)?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// Turns references to secrets into values. The one that touches files and the environment lives
/// in `config`.
pub trait ResolveSecret {
    /// The value of the reference `{key: name}`, such as `{env: SMTP_PASSWORD}`.
    ///
    /// # Errors
    /// One sentence that names the reference and the way out.
    fn resolve(&mut self, key: &str, name: &str) -> Result<crate::model::Secret, String>;
}

/// The value of a key whose capability this version lacks: whatever it is, it is refused.
#[derive(Clone, Copy, Debug)]
pub enum NotYet {}

impl<'de> serde::Deserialize<'de> for NotYet {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("not supported in this version"))
    }
}

/// Reads typed values from nodes and collects what is wrong.
pub struct Reader<'a> {
    /// The path of the node read next, for faults.
    pub path: String,
    /// What was wrong so far.
    pub faults: &'a mut Vec<Fault>,
    /// Where secrets come from.
    pub secrets: &'a mut dyn ResolveSecret,
}

impl<'a> Reader<'a> {
    /// A reader for the node at `path`.
    pub fn new(path: &str, faults: &'a mut Vec<Fault>, secrets: &'a mut dyn ResolveSecret) -> Self {
        Self { path: path.to_owned(), faults, secrets }
    }

    /// Reads a value. `None` when anything in it was wrong: every fault is then in `faults`.
    pub fn read<T: DeserializeOwned>(&mut self, node: &Node) -> Option<T> {
        let mut pruned = HashSet::new();
        let before = self.faults.len();
        let mut excused: HashSet<(usize, String)> = HashSet::new();
        loop {
            let mut shared = de::Shared { pruned: &pruned, secrets: &mut *self.secrets };
            let error = match T::deserialize(de::NodeDe { node, shared: &mut shared }) {
                Ok(value) => return pruned.is_empty().then_some(value),
                Err(error) => error,
            };
            let address = error.steps.first().map_or_else(|| de::address(node), |(address, _)| *address);
            let steps: Vec<&str> = error.steps.iter().rev().map(|(_, name)| name.as_str()).collect();
            let path = join(&self.path, &steps.concat());
            let target = find(node, &error);
            // An enum has but one key: without it, reading ends at the same fault again.
            let again = pruned.contains(&address);
            if !again && !follows(&error.kind, target, &pruned, &excused) {
                let at = if matches!(error.kind, de::Kind::UnknownKey { .. }) {
                    key_position(node, &error).unwrap_or_else(|| target.at.clone())
                } else {
                    target.at.clone()
                };
                // The key itself is in the message, so the path ends at its map.
                let path = match &error.kind {
                    de::Kind::UnknownKey { .. } => join(
                        &self.path,
                        &steps.split_last().map_or(String::new(), |(_, above)| above.concat()),
                    ),
                    _ => path,
                };
                let fault = Fault { at: Some(at), path, message: error.to_string() };
                // What is read in two steps (a choice of forms) fails twice.
                if !self.faults.iter().skip(before).any(|known| *known == fault) {
                    self.faults.push(fault);
                }
            }
            if let de::Kind::UnknownKey { key, valid } = &error.kind
                && let Some(meant) = nearest(key, valid.iter().copied())
            {
                let parent = error.steps.get(1).map_or_else(|| de::address(node), |(address, _)| *address);
                excused.insert((parent, meant.to_owned()));
            }
            if error.steps.is_empty() || !pruned.insert(address) {
                return None;
            }
        }
    }

    /// Notes a fault at `node`, whose path is `self.path` followed by `path`.
    pub fn fault(&mut self, node: &Node, path: &[String], message: String) {
        let mut at = node;
        let mut full = self.path.clone();
        for key in path {
            full = join(&full, &if key.starts_with('[') { key.clone() } else { format!(".{key}") });
            at = at.get(key).unwrap_or(at);
        }
        self.faults.push(Fault { at: Some(at.at.clone()), path: full, message });
    }
}

/// Whether an error only follows from what was taken out before.
fn follows(
    kind: &de::Kind,
    node: &Node,
    pruned: &HashSet<usize>,
    excused: &HashSet<(usize, String)>,
) -> bool {
    let gone = |child: &Node| pruned.contains(&de::address(child));
    match (kind, &node.value) {
        (de::Kind::Missing(key), Value::Map(entries)) => {
            excused.contains(&(de::address(node), (*key).to_owned()))
                || entries.iter().any(|entry| entry.key == *key && gone(&entry.value))
        }
        (de::Kind::Other(_), Value::Map(entries)) => entries.iter().any(|entry| gone(&entry.value)),
        (de::Kind::Other(_), Value::List(items)) => items.iter().any(gone),
        _ => false,
    }
}

/// The node an error is about.
fn find<'n>(root: &'n Node, error: &de::Error) -> &'n Node {
    error.steps.iter().rev().fold(root, |node, (address, _)| child(node, *address).unwrap_or(node))
}

fn child(node: &Node, address: usize) -> Option<&Node> {
    match &node.value {
        Value::Map(entries) => entries.iter().map(|e| &e.value).find(|n| de::address(n) == address),
        Value::List(items) => items.iter().find(|n| de::address(n) == address),
        _ => None,
    }
}

fn key_position(root: &Node, error: &de::Error) -> Option<Position> {
    let (last, above) = error.steps.split_first()?;
    let parent = above.iter().rev().fold(root, |node, (address, _)| child(node, *address).unwrap_or(node));
    let Value::Map(entries) = &parent.value else { return None };
    entries.iter().find(|entry| de::address(&entry.value) == last.0).map(|entry| entry.at.clone())
}

fn join(path: &str, more: &str) -> String {
    if path.is_empty() { more.trim_start_matches('.').to_owned() } else { format!("{path}{more}") }
}

impl Node {
    /// What stands under a key of a map, or at `[n]` of a list.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value),
            Value::List(items) => {
                items.get(key.trim_start_matches('[').trim_end_matches(']').parse::<usize>().ok()?)
            }
            _ => None,
        }
    }
}

/// The valid name closest to a wrong one, if any is close.
pub fn nearest<'v>(name: &str, valid: impl IntoIterator<Item = &'v str>) -> Option<&'v str> {
    valid
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(distance, known)| *distance <= (known.len().max(name.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// `unknown key "staus", did you mean "status"?`, or the list of valid keys.
pub fn unknown_key<'v>(key: &str, valid: impl IntoIterator<Item = &'v str> + Clone) -> String {
    unknown("key", key, valid)
}

/// [`unknown_key`] for anything that has a name.
pub fn unknown<'v>(what: &str, name: &str, valid: impl IntoIterator<Item = &'v str> + Clone) -> String {
    if let Some(meant) = nearest(name, valid.clone()) {
        return format!("unknown {what} {name:?}, did you mean {meant:?}?");
    }
    let valid: Vec<&str> = valid.into_iter().collect();
    if valid.is_empty() {
        format!("unknown {what} {name:?}; there are none here")
    } else {
        format!("unknown {what} {name:?}; valid: {}", valid.join(", "))
    }
}

/// Secrets from a map, keyed `env:NAME`, `file:PATH` …; literals stand for themselves.
#[derive(Debug, Default)]
pub struct MapSecrets(pub BTreeMap<String, String>);

impl ResolveSecret for MapSecrets {
    fn resolve(&mut self, key: &str, name: &str) -> Result<Secret, String> {
        if key == "insecure_literal" {
            return Ok(Secret::new(name, "insecure_literal"));
        }
        let shown = format!("{key}:{name}");
        let value = self.0.get(&shown).ok_or_else(|| format!("no secret {shown}"))?;
        Ok(Secret::new(value.clone(), &shown))
    }
}

/// Parses and reads a text whose only secrets are literals.
///
/// # Errors
/// Every fault of the text.
pub fn from_str<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, Vec<Fault>> {
    let node = parse(file, text)?;
    let mut faults = Vec::new();
    let read = Reader::new("", &mut faults, &mut MapSecrets::default()).read(&node);
    read.filter(|_| faults.is_empty()).ok_or(faults)
}
