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
mod sheet;
mod totp;
mod vars;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use self_cell::self_cell;
use serde::de::{self, Deserialize, Deserializer, Visitor};

use self::engine::ENGINE;
pub use self::error::{Refusal, RenderError};
pub use self::expression::Expression;
pub use self::json::JsonTemplate;
use self::sheet::Sheet;
pub use self::totp::{check_totp_secret, totp_step};
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
    /// Nothing but one `{{ … }}`: keeps the type of its value in JSON.
    Lone { source: Box<str>, expression: minijinja::Expression<'static, 'static> },
    /// Anything else.
    Mixed(Compiled),
}

type Parsed<'source> = minijinja::Template<'source, 'source>;

self_cell!(
    /// A compiled template beside the text it borrows from.
    struct Compiled {
        owner: Box<str>,
        #[covariant]
        dependent: Parsed,
    }
);

impl Template {
    /// Compiles a text.
    ///
    /// # Errors
    /// What is wrong with its syntax, and where if it has several lines.
    pub fn new(text: &str) -> Result<Self, String> {
        if !["{{", "{%", "{#"].iter().any(|start| text.contains(start)) {
            return Ok(Self(Body::Plain(text.into())));
        }
        let wrong = |error| error::syntax(&error, text);
        let compiled =
            Compiled::try_new(text.into(), |text| ENGINE.template_from_str(text)).map_err(wrong)?;
        lint::unknown_names(text)?;
        let lone = lone(text).and_then(|inner| ENGINE.compile_expression_owned(inner.to_owned()).ok());
        Ok(Self(match lone {
            Some(expression) => Body::Lone { source: text.into(), expression },
            None => Body::Mixed(compiled),
        }))
    }

    /// The text as written; what may be shown in place of a rendered one.
    pub fn source(&self) -> &str {
        match &self.0 {
            Body::Plain(source) | Body::Lone { source, .. } => source,
            Body::Mixed(compiled) => compiled.borrow_owner(),
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
            Body::Lone { expression, .. } => engine::variables(expression.undeclared_variables(true)),
            Body::Mixed(compiled) => {
                engine::variables(compiled.borrow_dependent().undeclared_variables(true))
            }
        }
    }

    /// The text with its values.
    ///
    /// # Errors
    /// A variable that is not there, a value that must not stand in that place, or a template that
    /// cannot be evaluated. No error holds a value.
    pub fn render(&self, place: Place, vars: &Vars) -> Result<Cow<'_, str>, RenderError> {
        let mut sheet = Sheet::new(place);
        match &self.0 {
            Body::Plain(source) => {
                sheet::check_literal(place, source).map_err(|why| self.refused(why, vars))?;
                return Ok(Cow::Borrowed(source));
            }
            Body::Lone { .. } => {
                let value = self.evaluate(vars)?;
                engine::text_of(&value)
                    .and_then(|text| sheet.value(&text))
                    .map_err(|why| self.refused(why, vars))?;
            }
            Body::Mixed(compiled) => {
                let written = compiled.borrow_dependent().render_captured_to(vars.context(), &mut sheet);
                if let Err(error) = written {
                    return Err(match sheet.refusal() {
                        Some(why) => self.refused(why, vars),
                        None => self.explain(&error, vars),
                    });
                }
            }
        }
        sheet.finish().map(Cow::Owned).map_err(|why| self.refused(why, vars))
    }

    /// The value for a JSON document: a lone `{{ x }}` keeps its type, all else is a string.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn value(&self, vars: &Vars) -> Result<serde_json::Value, RenderError> {
        if !matches!(self.0, Body::Lone { .. }) {
            return Ok(serde_json::Value::String(self.render(Place::Text, vars)?.into_owned()));
        }
        let value = self.evaluate(vars)?;
        serde_json::to_value(&value)
            .map_err(|_| RenderError::other(self.source(), "its value has no JSON form"))
    }

    /// The value of a lone expression. Only called for such.
    fn evaluate(&self, vars: &Vars) -> Result<minijinja::Value, RenderError> {
        let Body::Lone { expression, .. } = &self.0 else {
            return Ok(minijinja::Value::UNDEFINED);
        };
        let value = expression.eval(vars.context()).map_err(|error| self.explain(&error, vars))?;
        if value.is_undefined() {
            return Err(error::without_value(self.source(), &self.variables(), vars));
        }
        Ok(value)
    }

    fn refused(&self, why: Refusal, vars: &Vars) -> RenderError {
        error::refused(self.source(), &self.variables(), vars, why)
    }

    fn explain(&self, error: &minijinja::Error, vars: &Vars) -> RenderError {
        // The engine's positions count from where its own text begins.
        let parsed = match &self.0 {
            Body::Lone { source, .. } => lone(source).unwrap_or(source),
            _ => self.source(),
        };
        error::explain(error, self.source(), parsed, &self.variables(), vars)
    }
}

/// What stands between the braces if a text begins with `{{` and ends with `}}`, without the signs
/// for whitespace. The engine decides whether it is one expression.
fn lone(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("{{")?.strip_suffix("}}")?;
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    Some(inner.strip_suffix(['-', '+']).unwrap_or(inner))
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
