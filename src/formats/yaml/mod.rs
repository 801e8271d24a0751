//! YAML as a tree that knows where each node stands, and typed reading from it that reports *all*
//! faults of a document, each with file, line and path.
//!
//! Typed reading is serde's: any `Deserialize` type can be read. Where serde stops at the first
//! fault, [`Reader::read`] notes the fault at its node, takes the node out and reads again, until
//! nothing more is wrong.

use std::sync::Arc;

use serde::de::DeserializeOwned;

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

/// Reads typed values from nodes and collects what is wrong.
pub struct Reader<'a> {
    /// The path of the node read next, for faults.
    pub path: String,
    /// What was wrong so far.
    pub faults: &'a mut Vec<Fault>,
    /// Where secrets come from.
    pub secrets: &'a mut dyn ResolveSecret,
}

impl Reader<'_> {
    /// Reads a value. `None` when anything in it was wrong: every fault is then in `faults`.
    pub fn read<T: DeserializeOwned>(&mut self, _node: &Node) -> Option<T> {
        todo!("formats::yaml")
    }

    /// Notes a fault at `node`, whose path is `self.path` followed by `path`.
    pub fn fault(&mut self, _node: &Node, _path: &[String], _message: String) {
        todo!("formats::yaml")
    }
}
