//! The parts of a step that hold templates: texts or secrets, maps of them, and expectations.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use http::HeaderName;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::template::{Place, RenderError, Template, Vars};
use crate::model::{Secret, Text};
use crate::probe::web::expect::Expect;
use crate::probe::web::values::Name;

/// A template, or a secret by reference.
#[derive(Debug)]
pub enum Words {
    /// Text of the config, perhaps with `{{ … }}`.
    Template(Template),
    /// A secret, sent as it is.
    Secret(Secret),
}

impl Words {
    /// The text as it is sent.
    ///
    /// # Errors
    /// See [`Template::render`].
    pub fn render<'a>(&'a self, place: Place, vars: &Vars) -> Result<Cow<'a, str>, RenderError> {
        match self {
            Self::Template(template) => template.render(place, vars),
            Self::Secret(secret) => Ok(Cow::Borrowed(secret.expose())),
        }
    }

    /// The text as it may be shown: as written.
    pub fn shown(&self) -> Cow<'_, str> {
        match self {
            Self::Template(template) => Cow::Borrowed(template.source()),
            Self::Secret(secret) => Cow::Owned(format!("<{}>", secret.shown())),
        }
    }

    /// The variables it names.
    pub fn variables(&self) -> Vec<String> {
        match self {
            Self::Template(template) => template.variables().into_iter().collect(),
            Self::Secret(_) => Vec::new(),
        }
    }

    /// Whether it is text without any template syntax.
    pub fn is_plain(&self) -> bool {
        matches!(self, Self::Template(template) if template.is_plain())
    }

    /// Whether it is a secret by reference.
    pub const fn is_secret(&self) -> bool {
        matches!(self, Self::Secret(_))
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Text::deserialize(deserializer)? {
            Text::Plain(text) => Template::new(&text).map(Self::Template).map_err(de::Error::custom),
            Text::Secret(secret) => Ok(Self::Secret(secret)),
        }
    }
}

impl JsonSchema for Words {
    fn schema_name() -> Cow<'static, str> {
        "TemplateOrSecret".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let text = generator.subschema_for::<Text>();
        json_schema!({ "description": "A template, or a secret by reference.", "allOf": [text] })
    }
}

/// Names and their words, in the order of the config.
#[derive(Debug)]
pub struct Fields<K, V>(pub Box<[(K, V)]>);

/// Query parameters, form fields.
pub type WordFields = Fields<Box<str>, Words>;
/// Parts of a multipart body.
pub type Multipart = Fields<Box<str>, Part>;
/// Request headers.
pub type HeaderFields = Fields<Name, Words>;

struct FieldsVisitor<K, V>(std::marker::PhantomData<(K, V)>);

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Visitor<'de> for FieldsVisitor<K, V> {
    type Value = Fields<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map from name to text or secret")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(name) = map.next_key()? {
            fields.push((name, map.next_value()?));
        }
        Ok(Fields(fields.into()))
    }
}

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for Fields<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor(std::marker::PhantomData))
    }
}

impl<K, V: JsonSchema> JsonSchema for Fields<K, V> {
    fn schema_name() -> Cow<'static, str> {
        format!("FieldsOf{}", V::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<V>();
        json_schema!({ "type": "object", "additionalProperties": value })
    }
}

impl<K> Fields<K, Words> {
    /// The variables they name.
    pub fn variables(&self) -> impl Iterator<Item = String> {
        self.0.iter().flat_map(|(_, words)| words.variables())
    }
}

impl HeaderFields {
    /// The headers' names.
    pub fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.0.iter().map(|(Name(name), _)| name)
    }
}

/// One part of a multipart body: a text, or a file.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub enum Part {
    /// A field.
    Field(Template),
    /// A file.
    File(FilePart),
}

struct PartVisitor;

impl<'de> Visitor<'de> for PartVisitor {
    type Value = Part;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or a file: {file_name: a.txt, content: …}")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Part, E> {
        Template::new(text).map(Part::Field).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Part, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Part, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Part, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Part, E> {
        self.visit_str(if truth { "true" } else { "false" })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Part, A::Error> {
        FilePart::deserialize(MapAccessDeserializer::new(map)).map(Part::File)
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PartVisitor)
    }
}

/// A file that is uploaded.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilePart {
    /// Its name.
    pub file_name: Template,
    /// Its media type, `application/octet-stream` if not set.
    pub content_type: Option<Box<str>>,
    /// What is in it.
    pub content: Template,
}

impl Multipart {
    /// The variables they name.
    pub fn variables(&self) -> Vec<String> {
        let of = |part: &Part| -> Vec<String> {
            match part {
                Part::Field(text) => text.variables().into_iter().collect(),
                Part::File(file) => {
                    file.file_name.variables().into_iter().chain(file.content.variables()).collect()
                }
            }
        };
        self.0.iter().flat_map(|(_, part)| of(part)).collect()
    }
}

/// What an answer should be, its texts perhaps templates.
#[derive(Debug, Default)]
pub struct Expected {
    rules: Expect,
    /// The texts that are templates, by how they are written.
    templates: BTreeMap<Box<str>, Template>,
}

impl Expected {
    /// The rules as written, for whatever in them is no template.
    pub const fn rules(&self) -> &Expect {
        &self.rules
    }

    /// The rules, filled in.
    ///
    /// # Errors
    /// See [`Template::render`].
    pub fn fill(&self, vars: &Vars) -> Result<Cow<'_, Expect>, RenderError> {
        if self.templates.is_empty() {
            return Ok(Cow::Borrowed(&self.rules));
        }
        let mut rules = self.rules.clone();
        for text in rules.texts_mut() {
            if let Some(template) = self.templates.get(text.as_str()) {
                *text = template.render(Place::Text, vars)?.into_owned();
            }
        }
        for value in rules.values_mut() {
            self.fill_value(value, vars)?;
        }
        rules.tidy_final_url();
        Ok(Cow::Owned(rules))
    }

    fn fill_value(&self, value: &mut Value, vars: &Vars) -> Result<(), RenderError> {
        match value {
            Value::String(text) => {
                if let Some(template) = self.templates.get(text.as_str()) {
                    *value = template.value(vars)?;
                }
                Ok(())
            }
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.fill_value(item, vars)),
            Value::Object(entries) => entries.values_mut().try_for_each(|entry| self.fill_value(entry, vars)),
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        }
    }

    /// The variables it names.
    pub fn variables(&self) -> impl Iterator<Item = String> {
        self.templates.values().flat_map(Template::variables)
    }
}

impl<'de> Deserialize<'de> for Expected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut rules = Expect::deserialize(deserializer)?;
        let mut texts: Vec<String> = rules.texts_mut().map(|text| text.clone()).collect();
        rules.values_mut().for_each(|value| strings(value, &mut texts));
        let mut templates = BTreeMap::new();
        for text in texts {
            let template = Template::new(&text).map_err(de::Error::custom)?;
            if !template.is_plain() {
                templates.insert(text.into(), template);
            }
        }
        Ok(Self { rules, templates })
    }
}

fn strings(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, into)),
        Value::Object(entries) => entries.values().for_each(|entry| strings(entry, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl JsonSchema for Expected {
    fn schema_name() -> Cow<'static, str> {
        Expect::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Expect::json_schema(generator)
    }
}
