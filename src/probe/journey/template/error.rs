//! What can go wrong, told without a single value.

use std::collections::BTreeSet;
use std::error::Error as _;

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};
use thiserror::Error;

use super::Vars;

/// Why a template was not rendered. It names the template by its source, clipped if it is long, and
/// never holds a value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RenderError {
    /// It names something that is not there.
    #[error("{name} is not there and the template {template:?} needs it; {}", way_out(name))]
    Undefined {
        /// The template as written.
        template: Box<str>,
        /// What is missing.
        name: Box<str>,
    },
    /// A value must not stand where the template puts it.
    #[error("{} {why} (template {template:?})", name.as_deref().unwrap_or("a value"))]
    Refused {
        /// The template as written.
        template: Box<str>,
        /// The variable, where it is one.
        name: Option<Box<str>>,
        /// What is wrong with the value.
        why: Refusal,
    },
    /// It cannot be evaluated.
    #[error("the template {template:?} cannot be rendered: {why}")]
    Other {
        /// The template as written.
        template: Box<str>,
        /// One sentence.
        why: Box<str>,
    },
}

impl RenderError {
    pub(super) fn undefined(template: &str, name: &str) -> Self {
        Self::Undefined { template: clipped(template), name: name.into() }
    }

    pub(super) fn refused(template: &str, name: Option<&str>, why: Refusal) -> Self {
        Self::Refused { template: clipped(template), name: name.map(Into::into), why }
    }

    pub(super) fn other(template: &str, why: impl Into<Box<str>>) -> Self {
        Self::Other { template: clipped(template), why: why.into() }
    }
}

fn way_out(name: &str) -> &'static str {
    if name.starts_with("identity.") {
        "add it to the identity that `as` names"
    } else {
        "capture it in an earlier step"
    }
}

/// Why a value is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Empty where a path needs something.
    #[error("is empty, which would change the path; the request was not sent")]
    Empty,
    /// Null where a text is needed.
    #[error("is null where a text is needed; check for it with `when`, or use `default(\"\", true)`")]
    Null,
    /// An `if` without `else` whose condition is false.
    #[error("has no value here; give the `if` an `else`")]
    NoValue,
    /// A segment `.` or `..`.
    #[error("makes a path segment \".\" or \"..\", which would lead elsewhere; the request was not sent")]
    Dots,
    /// A control character in a path or header.
    #[error("holds a control character or line break, which cannot stand there; the request was not sent")]
    Control,
    /// A list or map.
    #[error("is a list or map where a text is needed; use the `json` filter or name a part of it")]
    Structured,
    /// Above [`super::LARGEST`].
    #[error("makes the text longer than 1 MiB")]
    TooLarge,
}

impl Refusal {
    /// Whether a variable's value is one that is refused so.
    fn fits(self, value: &Value) -> bool {
        let text = || value.as_str().unwrap_or_default();
        match self {
            Self::Empty => value.as_str() == Some(""),
            Self::Null => value.is_none(),
            Self::NoValue | Self::TooLarge => false,
            Self::Dots => matches!(text(), "." | ".."),
            Self::Control => text().chars().any(char::is_control),
            Self::Structured => {
                matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::Iterable)
            }
        }
    }
}

/// What our own functions and the output say, carried through the engine's error.
#[derive(Debug, Error)]
pub(super) enum Fault {
    #[error("{0}")]
    Refused(Refusal),
    #[error("{0}")]
    Why(Box<str>),
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::from(ErrorKind::InvalidOperation).with_source(fault)
    }
}

/// What is wrong with the syntax of a text, and where.
pub(super) fn syntax(error: &Error, text: &str) -> String {
    let why = error.detail().map_or_else(|| error.kind().to_string(), ToOwned::to_owned);
    let start = error.range().map(|range| range.start);
    let before = start.and_then(|start| text.get(..start));
    let column = before.map(|before| before.rsplit('\n').next().unwrap_or_default().chars().count() + 1);
    match (error.line(), column) {
        (Some(line), Some(column)) if text.trim_end().contains('\n') => {
            format!("the template is wrong at line {line}, column {column}: {why}")
        }
        (Some(line), None) if text.trim_end().contains('\n') => {
            format!("the template is wrong at line {line}: {why}")
        }
        (_, Some(column)) => format!("the template is wrong at column {column}: {why}"),
        _ => format!("the template is wrong: {why}"),
    }
}

/// An expression came to nothing: a variable is missing, or a branch.
pub(super) fn without_value(source: &str, variables: &BTreeSet<String>, vars: &Vars) -> RenderError {
    match variables.iter().find(|name| !vars.has(name)) {
        Some(name) => RenderError::undefined(source, name),
        None => refused(source, variables, vars, Refusal::NoValue),
    }
}

/// A value is refused; the first variable with such a value is named.
pub(super) fn refused(source: &str, variables: &BTreeSet<String>, vars: &Vars, why: Refusal) -> RenderError {
    let name = variables.iter().find(|name| vars.lookup(name).is_some_and(|value| why.fits(&value)));
    RenderError::refused(source, name.map(String::as_str), why)
}

/// A template as far as a message needs it: a body may be long.
fn clipped(source: &str) -> Box<str> {
    /// The longest that is shown whole, in characters.
    const LONGEST: usize = 160;
    match source.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", source.get(..end).unwrap_or_default()).into(),
        None => source.into(),
    }
}

/// Turns the engine's error into ours. The engine's own words are left out: they quote values.
pub(super) fn explain(
    error: &Error,
    source: &str,
    parsed: &str,
    variables: &BTreeSet<String>,
    vars: &Vars,
) -> RenderError {
    if let Some(fault) = fault_in(error) {
        return match fault {
            Fault::Refused(why) => refused(source, variables, vars, *why),
            Fault::Why(why) => RenderError::other(source, why.clone()),
        };
    }
    let part = error.range().and_then(|range| parsed.get(range)).map(str::trim);
    match error.kind() {
        ErrorKind::UndefinedError => {
            let missing = || variables.iter().filter(|name| !vars.has(name)).map(String::as_str);
            // The failing part may be an attribute of a loop's variable, or but a filter's name.
            let within =
                |part: &str| missing().filter(|name| part.contains(name)).max_by_key(|name| name.len());
            let path = part.filter(|part| part.contains('.'));
            let name = part.and_then(within).or(path).or_else(|| missing().next()).or(part);
            RenderError::undefined(source, name.unwrap_or("a value"))
        }
        ErrorKind::OutOfFuel => {
            RenderError::other(source, "it takes more work than a template may; make it simpler")
        }
        kind => RenderError::other(
            source,
            match part {
                Some(part) => format!("{kind} in `{part}`"),
                None => kind.to_string(),
            },
        ),
    }
}

fn fault_in(error: &Error) -> Option<&Fault> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(fault) = cause.downcast_ref() {
            return Some(fault);
        }
        source = cause.source();
    }
    None
}
