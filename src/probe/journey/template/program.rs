//! Templates that the engine evaluates: all that is more than literal text and names.

use std::collections::BTreeSet;

use self_cell::self_cell;

use super::engine::{self, ENGINE};
use super::error::{self, RenderError};
use super::sheet::Sheet;
use super::{Vars, lint};

/// What the engine evaluates.
pub(super) enum Program {
    /// Nothing but one `{{ … }}`, whose value keeps its type in JSON.
    Lone { source: Box<str>, expression: minijinja::Expression<'static, 'static> },
    /// Anything else.
    Mixed(Compiled),
}

type Parsed<'source> = minijinja::Template<'source, 'source>;

self_cell!(
    /// A compiled template beside the text it borrows from.
    pub(super) struct Compiled {
        owner: Box<str>,
        #[covariant]
        dependent: Parsed,
    }
);

impl Program {
    pub fn new(text: &str) -> Result<Self, String> {
        lint::too_deep(text)?;
        let compiled = Compiled::try_new(text.into(), |text| ENGINE.template_from_str(text))
            .map_err(|error| error::syntax(&error, text))?;
        lint::unknown_names(text)?;
        let lone = lone(text).and_then(|inner| ENGINE.compile_expression_owned(inner.to_owned()).ok());
        Ok(match lone {
            Some(expression) => Self::Lone { source: text.into(), expression },
            None => Self::Mixed(compiled),
        })
    }

    pub fn source(&self) -> &str {
        match self {
            Self::Lone { source, .. } => source,
            Self::Mixed(compiled) => compiled.borrow_owner(),
        }
    }

    pub fn variables(&self) -> BTreeSet<String> {
        engine::variables(match self {
            Self::Lone { expression, .. } => expression.undeclared_variables(true),
            Self::Mixed(compiled) => compiled.borrow_dependent().undeclared_variables(true),
        })
    }

    pub fn write(&self, sheet: &mut Sheet, vars: &Vars) -> Result<(), RenderError> {
        let refused = |why| error::refused(self.source(), &self.variables(), vars, why);
        if let Some(value) = self.lone_value(vars)? {
            return engine::text_of(&value).and_then(|text| sheet.value(&text)).map_err(refused);
        }
        let Self::Mixed(compiled) = self else { return Ok(()) };
        match compiled.borrow_dependent().render_captured_to(vars.context(), &mut *sheet) {
            Ok(_) => Ok(()),
            Err(error) => Err(sheet.refusal().map_or_else(|| self.explain(&error, vars), refused)),
        }
    }

    /// The value of a lone expression.
    pub fn lone_value(&self, vars: &Vars) -> Result<Option<minijinja::Value>, RenderError> {
        let Self::Lone { expression, .. } = self else { return Ok(None) };
        let value = expression.eval(vars.context()).map_err(|error| self.explain(&error, vars))?;
        if value.is_undefined() {
            return Err(error::without_value(self.source(), &self.variables(), vars));
        }
        Ok(Some(value))
    }

    fn explain(&self, error: &minijinja::Error, vars: &Vars) -> RenderError {
        let source = self.source();
        // The engine's positions count from where its own text begins.
        let parsed = match self {
            Self::Lone { .. } => lone(source).unwrap_or(source),
            Self::Mixed(_) => source,
        };
        error::explain(error, source, parsed, &self.variables(), vars)
    }
}

/// What stands between the braces if a text begins with `{{` and ends with `}}`, without the signs
/// for whitespace. The engine decides whether it is one expression.
fn lone(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("{{")?.strip_suffix("}}")?;
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    Some(inner.strip_suffix(['-', '+']).unwrap_or(inner))
}
