//! Typed reading: serde's deserializer over nodes, with errors that know their place.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use serde::de::value::MapDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};

use super::{Entry, Node, Position, ResolveSecret, Value};
use crate::model::Secret;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// Why a node could not be read, and which.
#[derive(Debug)]
pub(super) struct ReadError {
    pub message: String,
    /// The innermost node that is at fault: taken out before the next reading.
    pub culprit: Option<*const Node>,
    pub at: Option<Position>,
    /// From the root to the place the message is about.
    pub path: Vec<Step>,
    /// A consequence of a fault noted before.
    pub follows: bool,
    /// The field whose absence this is about.
    missing: Option<&'static str>,
    /// The unknown key this is about.
    pub unknown: Option<String>,
}

impl ReadError {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            culprit: None,
            at: None,
            path: Vec::new(),
            follows: false,
            missing: None,
            unknown: None,
        }
    }

    fn at(mut self, node: &Node) -> Self {
        if self.culprit.is_none() {
            self.culprit = Some(std::ptr::from_ref(node));
            self.at.get_or_insert_with(|| node.at.clone());
        }
        self
    }

    fn below(mut self, step: Step) -> Self {
        self.path.insert(0, step);
        self
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format!("expected {expected}, found {}", shown(found)))
    }

    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format!("expected {expected}, found {}", shown(found)))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self { unknown: Some(field.to_owned()), ..Self::new(unknown("key", field, expected)) }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(unknown("value", variant, expected))
    }

    fn missing_field(field: &'static str) -> Self {
        Self { missing: Some(field), ..Self::new(format!("the key {field:?} is missing")) }
    }
}

/// A found value in words that match the file rather than Rust.
fn shown(found: de::Unexpected<'_>) -> String {
    match found {
        de::Unexpected::Unit | de::Unexpected::Option => "nothing".to_owned(),
        de::Unexpected::Bool(value) => value.to_string(),
        de::Unexpected::Signed(value) => format!("the number {value}"),
        de::Unexpected::Unsigned(value) => format!("the number {value}"),
        de::Unexpected::Float(value) => format!("the number {value}"),
        de::Unexpected::Str(value) => format!("the text {value:?}"),
        de::Unexpected::Seq => "a list".to_owned(),
        de::Unexpected::Map | de::Unexpected::StructVariant => "a map".to_owned(),
        other => other.to_string(),
    }
}

/// `unknown key "staus", did you mean "status"?`, or the valid ones where none is near.
pub fn unknown(what: &str, found: &str, expected: &[&str]) -> String {
    let nearest = expected
        .iter()
        .map(|valid| (strsim::damerau_levenshtein(found, valid), valid))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, valid)| *distance <= 1 + valid.len() / 4);
    match nearest {
        Some((_, valid)) => format!("unknown {what} {found:?}, did you mean {valid:?}?"),
        None if expected.is_empty() => format!("unknown {what} {found:?}, none is allowed here"),
        None => format!("unknown {what} {found:?}, expected one of {}", expected.join(", ")),
    }
}

/// What one reading shares.
pub(super) struct Shared<'s> {
    /// The nodes at fault, by address: the tree does not move while it is read.
    pub removed: &'s HashSet<*const Node>,
    pub secrets: &'s RefCell<&'s mut dyn ResolveSecret>,
}

/// Reads one node.
#[derive(Clone, Copy)]
pub(super) struct NodeReader<'n, 's> {
    pub node: &'n Node,
    pub shared: &'s Shared<'s>,
}

impl<'n, 's> NodeReader<'n, 's> {
    fn below(self, node: &'n Node) -> Self {
        Self { node, shared: self.shared }
    }

    fn any<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) => match u64::try_from(*value) {
                Ok(value) => visitor.visit_u64(value),
                Err(_) => visitor.visit_i64(*value),
            },
            Value::Float(value) => visitor.visit_f64(*value),
            Value::String(value) => visitor.visit_str(value),
            Value::List(items) => visitor.visit_seq(Items { reader: self, items: items.iter().enumerate() }),
            Value::Map(entries) => self.map(entries, visitor),
        }
    }

    fn map<'de, V: Visitor<'de>>(self, entries: &'n [Entry], visitor: V) -> Result<V::Value, ReadError> {
        let fields = Fields { reader: self, entries: entries.iter(), current: None };
        visitor.visit_map(fields).map_err(|mut error| {
            // The key is there, it was only taken out because its value was at fault.
            if let Some(missing) = error.missing.take()
                && entries.iter().any(|entry| entry.key == missing)
            {
                error.follows = true;
            }
            error
        })
    }

    fn secret<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let Value::Map(entries) = &self.node.value else { return self.any(visitor) };
        let [Entry { key, value: Node { value: Value::String(name), .. }, .. }] = entries.as_slice() else {
            return Err(ReadError::new(
                "a secret has one key, as in {env: X}, {file: P}, {credential: NAME} or {insecure_literal: S}",
            ));
        };
        const KEYS: [&str; 4] = ["env", "file", "credential", "insecure_literal"];
        if !KEYS.contains(&key.as_str()) {
            return Err(ReadError::new(unknown("key", key, &KEYS)));
        }
        let secret = self.shared.secrets.borrow_mut().resolve(key, name).map_err(ReadError::new)?;
        visitor.visit_newtype_struct(SecretReader(&secret))
    }
}

/// Hands a resolved secret to [`Secret`]'s own `Deserialize`.
struct SecretReader<'a>(&'a Secret);

impl<'de> Deserializer<'de> for SecretReader<'_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let fields = [("value", self.0.expose()), ("shown", self.0.shown())];
        visitor.visit_map(MapDeserializer::<_, ReadError>::new(fields.into_iter()))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> Deserializer<'de> for NodeReader<'_, '_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.any(visitor).map_err(|error| error.at(self.node))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        if name == Secret::TOKEN {
            return self.secret(visitor).map_err(|error| error.at(self.node));
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let read = match &self.node.value {
            Value::String(variant) => visitor.visit_enum(variant.as_str().into_deserializer()),
            Value::Map(entries) => match entries.as_slice() {
                [entry] => visitor.visit_enum(Variant { reader: self, entry }),
                _ => Err(ReadError::new(format!("expected one key, found {}", entries.len()))),
            },
            _ => Err(ReadError::new("expected a name or a map of one key")),
        };
        read.map_err(|error| error.at(self.node))
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_any(visitor)
    }

    /// A map may stand empty: `http:` is `http: {}`.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match &self.node.value {
            Value::Null => self.map(&[], visitor).map_err(|error| error.at(self.node)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit_struct seq tuple tuple_struct map identifier
    }
}

struct Items<'n, 's> {
    reader: NodeReader<'n, 's>,
    items: std::iter::Enumerate<std::slice::Iter<'n, Node>>,
}

impl<'de> de::SeqAccess<'de> for Items<'_, '_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        let removed = self.reader.shared.removed;
        let Some((index, item)) = self.items.find(|(_, item)| !removed.contains(&std::ptr::from_ref(*item)))
        else {
            return Ok(None);
        };
        let read = seed.deserialize(self.reader.below(item));
        read.map(Some).map_err(|error| error.at(item).below(Step::Index(index)))
    }
}

struct Fields<'n, 's> {
    reader: NodeReader<'n, 's>,
    entries: std::slice::Iter<'n, Entry>,
    current: Option<&'n Entry>,
}

impl<'de> de::MapAccess<'de> for Fields<'_, '_> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        let removed = self.reader.shared.removed;
        let kept = |entry: &&Entry| !removed.contains(&std::ptr::from_ref(&entry.value));
        self.current = self.entries.find(kept);
        let Some(entry) = self.current else { return Ok(None) };
        let key: de::value::StrDeserializer<'_, ReadError> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|mut error| {
            error.culprit = Some(std::ptr::from_ref(&entry.value));
            error.at = Some(entry.at.clone());
            error
        })
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let Some(entry) = self.current else { return Err(ReadError::new("a value without a key")) };
        let read = seed.deserialize(self.reader.below(&entry.value));
        read.map_err(|error| error.at(&entry.value).below(Step::Key(entry.key.clone())))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}

struct Variant<'n, 's> {
    reader: NodeReader<'n, 's>,
    entry: &'n Entry,
}

impl<'de> de::EnumAccess<'de> for Variant<'_, '_> {
    type Error = ReadError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), ReadError> {
        let key: de::value::StrDeserializer<'_, ReadError> = self.entry.key.as_str().into_deserializer();
        Ok((seed.deserialize(key)?, self))
    }
}

impl Variant<'_, '_> {
    fn located<T>(&self, read: Result<T, ReadError>) -> Result<T, ReadError> {
        read.map_err(|error| error.at(&self.entry.value).below(Step::Key(self.entry.key.clone())))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_, '_> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        Err(ReadError::new(format!("{:?} takes no value; write it as plain text", self.entry.key)))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, ReadError> {
        self.located(seed.deserialize(self.reader.below(&self.entry.value)))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, ReadError> {
        self.located(self.reader.below(&self.entry.value).deserialize_any(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.located(self.reader.below(&self.entry.value).deserialize_struct("", fields, visitor))
    }
}
