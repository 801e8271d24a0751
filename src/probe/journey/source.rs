//! The settings of captures: where in an answer a value is. All are compiled while they are read, so
//! that a fault is reported at its key.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use http::HeaderName;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use super::html::Selector;
use super::template::{Place, Template, Vars};
use crate::judge::{JsonPath, Pattern};

/// One capture of a step, as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "WrittenCapture")]
pub struct Capture {
    /// Where the value is.
    pub source: Source,
    /// The value is no secret: it is shown, and kept in the ledger for clean-up.
    pub keep: bool,
}

/// Where in an answer a value is.
#[derive(Clone, Debug)]
pub enum Source {
    /// The first value a JSONPath selects.
    Json(JsonPath),
    /// The first header of a name.
    Header(HeaderName),
    /// A cookie of the jar.
    Cookie(String),
    /// What a regular expression captures in the body: its group `value`, else its first group,
    /// else all it matches.
    Regex(Pattern),
    /// The text or an attribute of the first element a CSS selector selects.
    Css {
        /// Which element.
        selector: Selector,
        /// Which attribute, else its text.
        attr: Option<String>,
    },
    /// The value of the input, select or text area of a name.
    Field(String),
    /// A form: its target, method and the fields that have a value.
    Form(Selector),
    /// Where the first link a CSS selector selects leads to.
    Link(Selector),
}

/// A capture: exactly one source, and `keep`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WrittenCapture {
    /// The first value this JSONPath (RFC 9535) selects in the body.
    json: Option<JsonPath>,
    /// The first header of this name.
    header: Option<Name>,
    /// The cookie of this name, from the jar.
    cookie: Option<String>,
    /// A regular expression on the body: its group `value`, else its first group, else all.
    regex: Option<Pattern>,
    /// The first element this CSS selector selects: its text, or the attribute `attr`.
    css: Option<Selector>,
    /// The attribute that `css` takes.
    attr: Option<String>,
    /// The value of the input, select or text area of this name.
    field: Option<String>,
    /// The form this CSS selector selects, for `submit`.
    form: Option<Selector>,
    /// The link this CSS selector selects, for `follow`.
    link: Option<Selector>,
    /// The value is no secret: it is shown, and kept in the ledger for clean-up.
    #[serde(default)]
    keep: bool,
}

const SOURCES: &str = "json, header, cookie, regex, css, field, form or link";

impl TryFrom<WrittenCapture> for Capture {
    type Error = String;

    fn try_from(written: WrittenCapture) -> Result<Self, String> {
        let keep = written.keep;
        if written.attr.is_some() && written.css.is_none() {
            return Err("attr belongs to css; write css: SELECTOR beside it".into());
        }
        if keep && (written.form.is_some() || written.link.is_some()) {
            return Err("the ledger keeps values, no form and no link; leave keep out".into());
        }
        let empty = [("cookie", &written.cookie), ("field", &written.field), ("attr", &written.attr)];
        if let Some((key, _)) = empty.iter().find(|(_, name)| name.as_deref() == Some("")) {
            return Err(format!("{key} names nothing; write a name"));
        }
        let attr = written.attr;
        let given = [
            written.json.map(Source::Json),
            written.header.map(|name| Source::Header(name.0)),
            written.cookie.map(Source::Cookie),
            written.regex.map(Source::Regex),
            written.css.map(|selector| Source::Css { selector, attr }),
            written.field.map(Source::Field),
            written.form.map(Source::Form),
            written.link.map(Source::Link),
        ];
        Ok(Self { source: only(given, SOURCES)?, keep })
    }
}

impl JsonSchema for Capture {
    fn schema_name() -> Cow<'static, str> {
        "Capture".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        WrittenCapture::json_schema(generator)
    }
}

/// The one that is given.
fn only<T>(given: impl IntoIterator<Item = Option<T>>, valid: &str) -> Result<T, String> {
    let mut given = given.into_iter().flatten();
    match (given.next(), given.count()) {
        (Some(one), 0) => Ok(one),
        (None, _) => Err(format!("there is no source; write one of {valid}")),
        (Some(_), more) => Err(format!("there are {} sources; write only one of {valid}", more + 1)),
    }
}

#[derive(JsonSchema)]
#[schemars(with = "String")]
struct Name(HeaderName);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        HeaderName::try_from(&*text).map(Self).map_err(|_| {
            de::Error::custom(format!("{text:?} is no header name; letters, digits and - make one"))
        })
    }
}

/// Which values of an answer a sweep goes through: a JSONPath, or `{json}`, `{css, attr}` or
/// `{regex}`.
#[derive(Clone, Debug)]
pub enum Each {
    /// All values a JSONPath selects.
    Json(JsonPath),
    /// The texts or an attribute of all elements a CSS selector selects.
    Css {
        /// Which elements.
        selector: Selector,
        /// Which attribute, else their texts.
        attr: Option<String>,
    },
    /// What each match of a regular expression captures.
    Regex(Pattern),
}

impl Each {
    /// With a JSONPath that is a template filled in, such as `$[?@.label=='portalwatch {{ run.id }}'].id`.
    ///
    /// # Errors
    /// The template names what is not there, or makes no JSONPath.
    pub fn fill(&self, vars: &Vars) -> Result<Cow<'_, Self>, String> {
        match self {
            Self::Json(path) if path.as_str().contains("{{") => {
                let template = Template::new(path.as_str())?;
                let filled = template.render(Place::Text, vars).map_err(|error| error.to_string())?;
                JsonPath::new(&filled).map(|path| Cow::Owned(Self::Json(path)))
            }
            _ => Ok(Cow::Borrowed(self)),
        }
    }

    /// The variables it names.
    pub fn variables(&self) -> BTreeSet<String> {
        match self {
            Self::Json(path) => Template::new(path.as_str()).map(|path| path.variables()).unwrap_or_default(),
            Self::Css { .. } | Self::Regex(_) => BTreeSet::new(),
        }
    }
}

/// All values of one kind in an answer: exactly one source.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WrittenEach {
    /// All values this JSONPath (RFC 9535) selects.
    json: Option<JsonPath>,
    /// All elements this CSS selector selects: their texts, or the attribute `attr`.
    css: Option<Selector>,
    /// The attribute that `css` takes.
    attr: Option<String>,
    /// Each match: its group `value`, else its first group, else all.
    regex: Option<Pattern>,
}

impl TryFrom<WrittenEach> for Each {
    type Error = String;

    fn try_from(written: WrittenEach) -> Result<Self, String> {
        if written.attr.is_some() && written.css.is_none() {
            return Err("attr belongs to css; write css: SELECTOR beside it".into());
        }
        let attr = written.attr;
        let given = [
            written.json.map(Self::Json),
            written.css.map(|selector| Self::Css { selector, attr }),
            written.regex.map(Self::Regex),
        ];
        only(given, "json, css or regex")
    }
}

struct EachVisitor;

impl<'de> Visitor<'de> for EachVisitor {
    type Value = Each;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSONPath such as $[*].id, or a map with json, css or regex")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Each, E> {
        Template::new(text).map_err(E::custom)?;
        JsonPath::new(text).map(Each::Json).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Each, A::Error> {
        let written = WrittenEach::deserialize(MapAccessDeserializer::new(map))?;
        Each::try_from(written).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Each {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EachVisitor)
    }
}

impl JsonSchema for Each {
    fn schema_name() -> Cow<'static, str> {
        "Each".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let path = generator.subschema_for::<JsonPath>();
        let map = WrittenEach::json_schema(generator);
        json_schema!({ "description": "A JSONPath, or where the values are.", "anyOf": [path, map] })
    }
}
