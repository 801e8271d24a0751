//! What templates may name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use minijinja::Value;
use minijinja::value::{DynObject, Object, Serde};

use super::engine::{CLOCK, FUNCTIONS};
use crate::model::Secret;

/// Names that a run fills itself.
const OWN: &[&str] = &["identity", "run", "repeat", "item"];

/// Words of the language that stand for themselves inside an expression.
pub(super) const WORDS: &[&str] = &[
    "true", "false", "none", "True", "False", "None", "not", "and", "or", "in", "is", "if", "else", "loop",
    "self",
];

/// Checks that templates can name a capture so.
///
/// # Errors
/// Why not, and what can be.
pub fn check_name(name: &str) -> Result<(), String> {
    let mut letters = name.chars();
    let starts = letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    if !starts || !letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
        return Err(format!(
            "{name:?} cannot be named in a template; use letters, digits and underscores, such as ticket_id"
        ));
    }
    if OWN.contains(&name) || WORDS.contains(&name) || FUNCTIONS.contains(&name) {
        return Err(format!("{name:?} already means something in templates; choose another name"));
    }
    Ok(())
}

/// The fields of an identity that templates may name; those that are absent stay undefined.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdentityVars<'a> {
    /// `identity.username`.
    pub username: Option<&'a str>,
    /// `identity.password`.
    pub password: Option<&'a Secret>,
    /// `identity.totp`: the base32 secret.
    pub totp: Option<&'a Secret>,
    /// `identity.token`.
    pub token: Option<&'a Secret>,
}

/// What templates may name: the identity, the run, captures as they come. `Debug` shows names only.
#[derive(Clone)]
pub struct Vars(Arc<Root>);

#[derive(Clone)]
struct Root {
    names: BTreeMap<Box<str>, Value>,
    at: Timestamp,
}

impl Vars {
    /// The variables of a run as it starts: `identity.*`, `run.id` and `run.started`. The clock of
    /// `totp()` and `now()` stands at the start until [`Vars::set_time`].
    pub fn new(run: &str, started: Timestamp, identity: IdentityVars<'_>) -> Self {
        let fields = [
            ("username", identity.username),
            ("password", identity.password.map(Secret::expose)),
            ("totp", identity.totp.map(Secret::expose)),
            ("token", identity.token.map(Secret::expose)),
        ];
        let identity = Value::from_pairs(fields.into_iter().filter_map(|(key, text)| Some((key, text?))));
        let names = [("identity", identity), ("run", run_value(run, started))];
        let names = names.into_iter().map(|(name, value)| (name.into(), value)).collect();
        Self(Arc::new(Root { names, at: started }))
    }

    /// Puts another run in the place of this one: what it left behind is to be swept.
    pub fn set_run(&mut self, run: &str, started: Timestamp) {
        self.insert("run", run_value(run, started));
    }

    /// Sets the clock of `totp()` and `now()`.
    pub fn set_time(&mut self, now: Timestamp) {
        Arc::make_mut(&mut self.0).at = now;
    }

    /// Gives a name a value, such as a capture; an earlier one is replaced.
    pub fn set(&mut self, name: &str, value: &serde_json::Value) {
        self.insert(name, Value::from(Serde(value)));
    }

    /// Takes a name away again.
    pub fn unset(&mut self, name: &str) {
        Arc::make_mut(&mut self.0).names.remove(name);
    }

    /// Sets `repeat.index`, which counts from 1.
    pub fn set_repeat(&mut self, index: u32) {
        self.insert("repeat", Value::from_pairs([("index", index)]));
    }

    /// Sets `item`, what a sweep has found.
    pub fn set_item(&mut self, value: &serde_json::Value) {
        self.set("item", value);
    }

    /// Whether a name, dotted or not, has a value; null is one.
    pub fn has(&self, name: &str) -> bool {
        self.lookup(name).is_some()
    }

    /// The value of a name such as `run.id`.
    pub(super) fn lookup(&self, name: &str) -> Option<Value> {
        let mut parts = name.split('.');
        let mut value = self.0.names.get(parts.next()?)?.clone();
        for part in parts {
            value = value.get_attr(part).ok().filter(|value| !value.is_undefined())?;
        }
        Some(value)
    }

    /// The variables as the engine takes them.
    pub(super) fn context(&self) -> Value {
        Value::from_dyn_object(DynObject::new(Arc::clone(&self.0)))
    }

    fn insert(&mut self, name: &str, value: Value) {
        Arc::make_mut(&mut self.0).names.insert(name.into(), value);
    }
}

/// `run.id` and `run.started`.
fn run_value(run: &str, started: Timestamp) -> Value {
    let started = started.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    Value::from_pairs([("id", run), ("started", &started)])
}

impl Object for Root {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        match self.names.get(key) {
            Some(value) => Some(value.clone()),
            None => (key == CLOCK).then(|| Value::from(self.at.as_microsecond())),
        }
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names.keys()).finish()
    }
}

impl fmt::Debug for Vars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vars({:?})", self.0)
    }
}
