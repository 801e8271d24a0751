//! Strict templates: the text of a step with `{{ … }}` for what is only known during the run.
//!
//! A template is compiled once, when the config is read; a text without template syntax never meets
//! the engine. What a template may name are the [`Vars`] of the run, a few functions (`uuid()`,
//! `totp(secret)`, `now()`) and filters (`base64`, `urlencode`, `json`) beside minijinja's own. It
//! cannot include other templates, and its work and its output are bounded.

mod engine;
mod error;
mod expression;
mod json;
mod lint;
mod parts;
mod program;
mod shared;
mod sheet;
mod totp;
mod vars;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};

pub use self::error::{Refusal, RenderError};
pub use self::expression::Expression;
pub use self::json::JsonTemplate;
use self::parts::Part;
use self::program::Program;
use self::shared::Shared;
use self::sheet::Sheet;
pub use self::totp::{shown_codes, totp_step};
pub use self::vars::{IdentityVars, Vars, check_name};

/// The most a template may render to, in bytes.
pub const LARGEST: usize = 1 << 20;

/// Where a rendered text goes: decides how values are encoded and which are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A path, or a whole address, with or without a query. A value is percent-encoded as one segment;
    /// an empty one, `.`, `..` and control characters are refused, and so is a segment that values make
    /// `.` or `..`. From the first `?` of the literal text on, the rules of [`Place::Query`] hold.
    Path,
    /// A query that is appended as it is rendered: a value is percent-encoded. Names and values that
    /// are encoded as a whole afterwards belong in [`Place::Text`].
    Query,
    /// A header value: control characters are refused, in values and in the literal text.
    Header,
    /// A body, a form field, a text to compare with: as it is.
    Text,
}

/// A text of the config with `{{ … }}`.
pub struct Template(Body);

enum Body {
    /// No template syntax at all.
    Plain(Box<str>),
    /// Literal text and names.
    Names { source: Box<str>, parts: Box<[Part]> },
    /// Anything else.
    Program(Arc<Program>),
}

static PROGRAMS: Shared<Program> = Shared::new();

impl Template {
    /// Compiles a text.
    ///
    /// # Errors
    /// What is wrong with its syntax, and where if it has several lines.
    pub fn new(text: &str) -> Result<Self, String> {
        let parts = parts::parts(text);
        Ok(Self(match parts.as_deref() {
            Some([] | [Part::Literal(_)]) => Body::Plain(text.into()),
            Some(_) => Body::Names { source: text.into(), parts: parts.unwrap_or_default() },
            None => Body::Program(PROGRAMS.get(text, || Program::new(text))?),
        }))
    }

    /// The text as written; what may be shown in place of a rendered one.
    pub fn source(&self) -> &str {
        match &self.0 {
            Body::Plain(source) | Body::Names { source, .. } => source,
            Body::Program(program) => program.source(),
        }
    }

    /// Whether it has no template syntax, so that it renders to itself at no cost.
    pub fn is_plain(&self) -> bool {
        matches!(self.0, Body::Plain(_))
    }

    /// What it names beside functions, with attributes: `csrf`, `identity.password`, `run.id`. A name
    /// that is only asked about (`x is defined`, `x | default("")`) counts too.
    pub fn variables(&self) -> BTreeSet<String> {
        match &self.0 {
            Body::Plain(_) => BTreeSet::new(),
            Body::Names { parts, .. } => parts.iter().filter_map(Part::name).map(Into::into).collect(),
            Body::Program(program) => program.variables(),
        }
    }

    /// The text with its values.
    ///
    /// # Errors
    /// A variable that is not there, a value that must not stand in that place, or a template that
    /// cannot be evaluated. No error holds a value.
    pub fn render(&self, place: Place, vars: &Vars) -> Result<Cow<'_, str>, RenderError> {
        match &self.0 {
            Body::Plain(source) => {
                sheet::check_literal(place, source).map_err(|why| self.refused(why, vars))?;
                Ok(Cow::Borrowed(source))
            }
            Body::Names { parts, .. } => self
                .fill(place, vars, |sheet| parts.iter().try_for_each(|part| self.write(part, sheet, vars))),
            Body::Program(program) => self.fill(place, vars, |sheet| program.write(sheet, vars)),
        }
    }

    fn fill(
        &self,
        place: Place,
        vars: &Vars,
        write: impl FnOnce(&mut Sheet) -> Result<(), RenderError>,
    ) -> Result<Cow<'_, str>, RenderError> {
        let mut sheet = Sheet::new(place, self.source().len());
        write(&mut sheet)?;
        sheet.finish().map(Cow::Owned).map_err(|why| self.refused(why, vars))
    }

    /// The value for a JSON document: a lone `{{ x }}` keeps its type, all else is a string.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn value(&self, vars: &Vars) -> Result<serde_json::Value, RenderError> {
        let value = match &self.0 {
            Body::Names { parts, .. } => match &**parts {
                [Part::Name(name)] => Some(self.lookup(name, vars)?),
                _ => None,
            },
            Body::Program(program) => program.lone_value(vars)?,
            Body::Plain(_) => None,
        };
        match value {
            Some(value) => engine::to_json(&value).map_err(|why| RenderError::other(self.source(), why)),
            None => Ok(self.render(Place::Text, vars)?.into_owned().into()),
        }
    }

    fn write(&self, part: &Part, sheet: &mut Sheet, vars: &Vars) -> Result<(), RenderError> {
        match part {
            Part::Literal(text) => sheet.literal(text).map_err(|why| self.refused(why, vars)),
            Part::Name(name) => {
                let value = self.lookup(name, vars)?;
                let written = engine::text_of(&value).and_then(|text| sheet.value(&text));
                written.map_err(|why| RenderError::refused(self.source(), Some(name), why))
            }
        }
    }

    fn lookup(&self, name: &str, vars: &Vars) -> Result<minijinja::Value, RenderError> {
        vars.lookup(name).ok_or_else(|| RenderError::undefined(self.source(), name))
    }

    fn refused(&self, why: Refusal, vars: &Vars) -> RenderError {
        error::refused(self.source(), &self.variables(), vars, why)
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template").field(&self.source()).finish()
    }
}

/// Reads what a scalar says as text; `make` turns it into what is wanted.
struct ScalarVisitor<T> {
    make: fn(&str) -> Result<T, String>,
    expected: &'static str,
}

impl<T> Visitor<'_> for ScalarVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.make)(text).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<T, E> {
        self.visit_str(if truth { "true" } else { "false" })
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor { make: Self::new, expected: "a text" })
    }
}

impl JsonSchema for Template {
    fn schema_name() -> Cow<'static, str> {
        "Template".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "number", "boolean"],
            "description": "A text; `{{ name }}` stands for a value of the run.",
        })
    }
}
