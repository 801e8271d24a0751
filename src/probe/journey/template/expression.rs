//! Conditions: an expression without braces.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer};

use super::engine::{self, ENGINE};
use super::error::{self, RenderError};
use super::shared::Shared;
use super::{ScalarVisitor, Vars, lint};

/// A condition of `when` or `until`, such as `ticket is defined`.
pub struct Expression {
    source: Box<str>,
    compiled: Arc<minijinja::Expression<'static, 'static>>,
}

static CONDITIONS: Shared<minijinja::Expression<'static, 'static>> = Shared::new();

impl Expression {
    /// Compiles an expression.
    ///
    /// # Errors
    /// What is wrong with its syntax.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.trim_start().starts_with("{{") {
            return Err("a condition is written without braces, such as: ticket is defined".into());
        }
        if text.trim().is_empty() {
            return Err("a condition is empty; write one such as: ticket is defined".into());
        }
        let compiled = CONDITIONS.get(text, || {
            lint::long_expression(text)?;
            let compiled = ENGINE.compile_expression_owned(text.to_owned());
            let compiled = compiled.map_err(|error| error::syntax(&error, text))?;
            lint::unknown_names_of_expression(text).map(|()| compiled)
        })?;
        Ok(Self { source: text.into(), compiled })
    }

    /// The expression as written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What it names; see [`super::Template::variables`].
    pub fn variables(&self) -> BTreeSet<String> {
        engine::variables(self.compiled.undeclared_variables(true))
    }

    /// Whether it is true: not false, null, zero or empty.
    ///
    /// # Errors
    /// A variable that is not there and not asked about with `is defined`, or an expression that cannot
    /// be evaluated.
    pub fn holds(&self, vars: &Vars) -> Result<bool, RenderError> {
        let value = self
            .compiled
            .eval(vars.context())
            .map_err(|error| error::explain(&error, &self.source, &self.source, &self.variables(), vars))?;
        if value.is_undefined() {
            return Err(error::without_value(&self.source, &self.variables(), vars));
        }
        Ok(value.is_true())
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.source).finish()
    }
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor { make: Self::new, expected: "a condition" })
    }
}

impl JsonSchema for Expression {
    fn schema_name() -> Cow<'static, str> {
        "Condition".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "boolean"],
            "description": "A condition without braces, such as `ticket is defined`.",
        })
    }
}
