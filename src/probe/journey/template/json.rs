//! JSON documents whose strings are templates.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{RenderError, Template, Vars};

/// A JSON document whose strings are templates; keys are literal.
#[derive(Debug)]
pub struct JsonTemplate(Node);

#[derive(Debug)]
enum Node {
    /// A part without any template.
    Plain(Value),
    Text(Template),
    List(Box<[Node]>),
    Map(Box<[(Box<str>, Node)]>),
}

impl JsonTemplate {
    /// The document with its values; a lone `{{ x }}` keeps its type.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render(&self, vars: &Vars) -> Result<Value, RenderError> {
        self.0.render(vars)
    }

    /// The document if it holds no template.
    pub fn as_plain(&self) -> Option<&Value> {
        match &self.0 {
            Node::Plain(value) => Some(value),
            _ => None,
        }
    }

    /// What its templates name; see [`Template::variables`].
    pub fn variables(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        self.0.add_variables(&mut found);
        found
    }

    /// The document as written, to be shown in place of a rendered one.
    pub fn source(&self) -> Value {
        self.0.source()
    }
}

impl Node {
    fn render(&self, vars: &Vars) -> Result<Value, RenderError> {
        Ok(match self {
            Self::Plain(value) => value.clone(),
            Self::Text(template) => template.value(vars)?,
            Self::List(items) => {
                Value::Array(items.iter().map(|item| item.render(vars)).collect::<Result<_, _>>()?)
            }
            Self::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(key, node)| Ok((key.to_string(), node.render(vars)?)))
                    .collect::<Result<_, RenderError>>()?,
            ),
        })
    }

    fn source(&self) -> Value {
        match self {
            Self::Plain(value) => value.clone(),
            Self::Text(template) => Value::String(template.source().to_owned()),
            Self::List(items) => Value::Array(items.iter().map(Self::source).collect()),
            Self::Map(entries) => {
                Value::Object(entries.iter().map(|(key, node)| (key.to_string(), node.source())).collect())
            }
        }
    }

    fn add_variables(&self, found: &mut BTreeSet<String>) {
        match self {
            Self::Plain(_) => {}
            Self::Text(template) => found.extend(template.variables()),
            Self::List(items) => items.iter().for_each(|item| item.add_variables(found)),
            Self::Map(entries) => entries.iter().for_each(|(_, node)| node.add_variables(found)),
        }
    }

    fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    fn list(items: Vec<Self>) -> Self {
        if items.iter().all(Self::is_plain) {
            return Self::Plain(Value::Array(items.iter().map(Self::source).collect()));
        }
        Self::List(items.into())
    }

    fn map(entries: Vec<(Box<str>, Self)>) -> Self {
        if entries.iter().all(|(_, node)| node.is_plain()) {
            let plain: Map<String, Value> =
                entries.into_iter().map(|(key, node)| (key.into(), node.source())).collect();
            return Self::Plain(Value::Object(plain));
        }
        Self::Map(entries.into())
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Plain(Value::Null))
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Node, E> {
        Ok(Node::Plain(truth.into()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Node, E> {
        Ok(Node::Plain(number.into()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Node, E> {
        Ok(Node::Plain(number.into()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Node, E> {
        let number = Number::from_f64(number)
            .ok_or_else(|| E::custom("JSON knows no infinity and no NaN; write a number or a text"))?;
        Ok(Node::Plain(Value::Number(number)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Node, E> {
        let template = Template::new(text).map_err(E::custom)?;
        Ok(if template.is_plain() { Node::Plain(text.into()) } else { Node::Text(template) })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = items.next_element()? {
            nodes.push(node);
        }
        Ok(Node::list(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::map(entries))
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

impl<'de> Deserialize<'de> for JsonTemplate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Node::deserialize(deserializer).map(Self)
    }
}

impl JsonSchema for JsonTemplate {
    fn schema_name() -> Cow<'static, str> {
        "JsonTemplate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "A JSON document; its strings are templates." })
    }
}
