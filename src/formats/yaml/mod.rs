//! YAML as a tree that knows where each node stands, and typed reading from it that reports *all*
//! faults of a document, each with file, line and path.
//!
//! Typed reading is serde's: any `Deserialize` type can be read. Where serde stops at the first
//! fault, [`Reader::read`] notes the fault at its node, takes the node out and reads again, until
//! nothing more is wrong.

mod de;
mod emit;
mod parse;

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use self::de::{NodeReader, Shared, Step};
pub use self::de::unknown;
pub use self::emit::emit;
pub use self::parse::{parse, scalar};
use crate::model::Secret;

/// The most faults reported of one subtree.
const MOST_FAULTS: usize = 200;

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
    /// The line, from 1; 0 for what stands in no file.
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
            // Values from the environment have no line.
            match at.line {
                0 => write!(f, "{}: ", at.file)?,
                line => write!(f, "{}:{line}: ", at.file)?,
            }
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
    fn resolve(&mut self, key: &str, name: &str) -> Result<Secret, String>;
}

/// Reads typed values from nodes and collects what is wrong.
pub struct Reader<'a> {
    /// The path of the node read next, for faults.
    pub path: String,
    /// What was wrong so far.
    pub faults: &'a mut Vec<Fault>,
    /// Where secrets come from.
    pub secrets: &'a mut dyn ResolveSecret,
    /// Keys of the language that this version does not support: refused by that name.
    pub later: &'a [&'a str],
}

impl<'a> Reader<'a> {
    /// Reads nodes below `path`.
    pub fn new(path: String, faults: &'a mut Vec<Fault>, secrets: &'a mut dyn ResolveSecret) -> Self {
        Self { path, faults, secrets, later: &[] }
    }

    /// Reads a value. `None` when anything in it was wrong: every fault is then in `faults`.
    pub fn read<T: DeserializeOwned>(&mut self, node: &Node) -> Option<T> {
        let mut removed: HashSet<*const Node> = HashSet::new();
        let mut clean = true;
        for _ in 0..MOST_FAULTS {
            let secrets = RefCell::new(&mut *self.secrets as &mut dyn ResolveSecret);
            let shared = Shared { removed: &removed, secrets: &secrets };
            let error = match T::deserialize(NodeReader { node, shared: &shared }) {
                Ok(value) => return clean.then_some(value),
                Err(error) => error,
            };
            clean = false;
            if !error.follows {
                let path = error.path.iter().fold(self.path.clone(), joined);
                let later = error.unknown.filter(|key| self.later.contains(&key.as_str()));
                let message = later.map_or(error.message, |key| not_supported(&key));
                self.faults.push(Fault { at: error.at.or_else(|| Some(node.at.clone())), path, message });
            }
            match error.culprit {
                Some(culprit) if culprit != std::ptr::from_ref(node) && removed.insert(culprit) => {}
                _ => return None,
            }
        }
        None
    }

    /// Notes a fault at the node that `path` leads to from `node`, or as near to it as there is one.
    pub fn fault(&mut self, node: &Node, path: &[String], message: String) {
        let mut at = &node.at;
        let mut place = node;
        for key in path {
            let Value::Map(entries) = &place.value else { break };
            let Some(entry) = entries.iter().find(|entry| entry.key == *key) else { break };
            (at, place) = (&entry.at, &entry.value);
        }
        let steps = path.iter().map(|key| Step::Key(key.clone()));
        let path = steps.fold(self.path.clone(), |path, step| joined(path, &step));
        self.faults.push(Fault { at: Some(at.clone()), path, message });
    }
}

/// The fault of a key whose capability this version lacks.
pub fn not_supported(key: &str) -> String {
    format!("{key:?} is not supported in this version")
}

fn joined(mut path: String, step: &Step) -> String {
    match step {
        Step::Key(key) => {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(key);
        }
        Step::Index(index) => path.push_str(&format!("[{index}]")),
    }
    path
}

/// Knows no secret but those written out: for texts that stand in the program, such as examples.
pub struct LiteralsOnly;

impl ResolveSecret for LiteralsOnly {
    fn resolve(&mut self, key: &str, name: &str) -> Result<Secret, String> {
        match key {
            "insecure_literal" => Ok(Secret::new(name, "insecure_literal")),
            _ => Err(format!("{{{key}: {name}}} is not available here")),
        }
    }
}

/// Reads a value from a text of its own, in which secrets are written out.
///
/// # Errors
/// Everything that is wrong with it.
pub fn from_str<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, Vec<Fault>> {
    let node = parse(file, text)?;
    let mut faults = Vec::new();
    let mut secrets = LiteralsOnly;
    let mut reader = Reader::new(String::new(), &mut faults, &mut secrets);
    reader.read(&node).ok_or(faults)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;
    use crate::model::HumanDuration;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Expect {
        status: Option<Status>,
        #[serde(default)]
        headers: BTreeMap<String, String>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(untagged)]
    enum Status {
        One(u16),
        Many(Vec<u16>),
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Check {
        every: HumanDuration,
        expect: Option<Expect>,
        password: Option<Secret>,
        #[serde(default)]
        kind: Kind,
        #[serde(default)]
        list: Vec<u8>,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        #[default]
        Plain,
        Rich {
            depth: u32,
        },
    }

    fn faults(text: &str) -> Vec<String> {
        from_str::<Check>("m.yaml", text).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_good_text_is_read() {
        let text = "every: 30s\nexpect: { status: [200, 204], headers: { a: b } }\npassword: { insecure_literal: hush }\nkind: { rich: { depth: 3 } }\n";
        let check: Check = from_str("m.yaml", text).unwrap();
        assert_eq!(check.every.0.as_secs(), 30);
        let expect = check.expect.unwrap();
        assert_eq!(expect.status, Some(Status::Many(vec![200, 204])));
        assert_eq!(expect.headers["a"], "b");
        assert_eq!(check.password.unwrap().expose(), "hush");
        assert_eq!(check.kind, Kind::Rich { depth: 3 });
        let check: Check = from_str("m.yaml", "every: 1m\nkind: plain\nexpect:\nlist: []\n").unwrap();
        assert_eq!((check.kind, check.list.len(), check.expect.is_none()), (Kind::Plain, 0, true));
    }

    #[test]
    fn all_faults_are_reported_at_once_each_with_its_place() {
        let text = "every: soon\nexpect:\n  staus: 200\n  headers: { a: 1 }\nlist: [1, 300, x]\ncolour: red\n";
        assert_eq!(
            faults(text),
            [
                "m.yaml:1: every: \"soon\" is not a duration; write a number and a unit, as in 500ms, 30s, 5m, 12h or 1d",
                "m.yaml:3: expect: unknown key \"staus\", did you mean \"status\"?",
                "m.yaml:4: expect.headers.a: expected a string, found the number 1",
                "m.yaml:5: list[1]: expected u8, found the number 300",
                "m.yaml:5: list[2]: expected u8, found the text \"x\"",
                "m.yaml:6: unknown key \"colour\", expected one of every, expect, password, kind, list",
            ]
        );
    }

    #[test]
    fn a_missing_key_is_a_fault_and_a_wrong_one_is_not_missing_too() {
        assert_eq!(faults("expect: {}\n"), ["m.yaml:1: the key \"every\" is missing"]);
        assert_eq!(faults("every: soon\n").len(), 1);
    }

    #[test]
    fn a_secret_that_cannot_be_had_is_a_fault_at_its_place() {
        assert_eq!(
            faults("every: 1m\npassword: { env: X }\n"),
            ["m.yaml:2: password: {env: X} is not available here"]
        );
        assert!(faults("every: 1m\npassword: hush\n")[0].contains("expected a secret"));
        assert!(faults("every: 1m\npassword: { evn: X }\n")[0].contains("did you mean \"env\"?"));
    }

    #[test]
    fn a_fault_can_be_noted_deep_in_a_node() {
        let node = parse("m.yaml", "a:\n  b: 1\n").unwrap();
        let mut faults = Vec::new();
        let mut secrets = LiteralsOnly;
        let mut reader = Reader::new("x".into(), &mut faults, &mut secrets);
        reader.fault(&node, &["a".into(), "b".into(), "c".into()], "is wrong".into());
        assert_eq!(faults[0].to_string(), "m.yaml:2: x.a.b.c: is wrong");
    }
}
