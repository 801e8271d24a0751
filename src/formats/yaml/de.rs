//! serde's view of a tree, with errors that know where they happened and why.

use std::collections::HashSet;
use std::fmt::{self, Display};

use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, Unexpected, Visitor};

use super::{Entry, Node, ResolveSecret, Value};
use crate::model::Secret;

/// A step from a node to one below it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'n> {
    Key(&'n Entry),
    Item(usize, &'n Node),
}

/// What went wrong.
#[derive(Debug)]
pub(super) enum Kind {
    UnknownKey { key: String, valid: &'static [&'static str] },
    Missing(&'static str),
    Other(String),
}

/// Where and what. The steps are owned addresses and names, innermost first.
#[derive(Debug)]
pub(super) struct Error {
    pub kind: Kind,
    /// Address and name of each node from the faulty one outwards.
    pub steps: Vec<(usize, String)>,
}

impl Error {
    fn within(mut self, step: Step<'_>) -> Self {
        self.steps.push(match step {
            Step::Key(entry) => (address(&entry.value), format!(".{}", entry.key)),
            Step::Item(index, node) => (address(node), format!("[{index}]")),
        });
        self
    }
}

/// The identity of a node while its tree stands still.
pub(super) fn address(node: &Node) -> usize {
    std::ptr::from_ref(node).addr()
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::UnknownKey { key, valid } => f.write_str(&super::unknown_key(key, valid.iter().copied())),
            Kind::Missing(key) => write!(f, "missing key {key:?}"),
            Kind::Other(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Error {}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Self {
        Self { kind, steps: Vec::new() }
    }
}

impl de::Error for Error {
    fn custom<T: Display>(message: T) -> Self {
        Kind::Other(message.to_string()).into()
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Kind::Other(format!("expected {expected}, found {}", found(unexpected))).into()
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Kind::UnknownKey { key: field.to_owned(), valid: expected }.into()
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Kind::Other(super::unknown("value", variant, expected.iter().copied())).into()
    }

    fn missing_field(field: &'static str) -> Self {
        Kind::Missing(field).into()
    }
}

fn found(unexpected: Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Bool(truth) => format!("{truth}"),
        Unexpected::Signed(number) => format!("the number {number}"),
        Unexpected::Unsigned(number) => format!("the number {number}"),
        Unexpected::Float(number) => format!("the number {number}"),
        Unexpected::Str(text) => format!("the text {text:?}"),
        Unexpected::Unit => "nothing".into(),
        Unexpected::Seq => "a list".into(),
        Unexpected::Map => "a map".into(),
        other => other.to_string(),
    }
}

/// What every level of the reading shares.
pub(super) struct Shared<'s> {
    /// Nodes taken out.
    pub pruned: &'s HashSet<usize>,
    pub secrets: &'s mut dyn ResolveSecret,
}

/// Reads one node.
pub(super) struct NodeDe<'n, 'c, 's> {
    pub node: &'n Node,
    pub shared: &'c mut Shared<'s>,
}

impl<'n> NodeDe<'n, '_, '_> {
    fn list<V: Visitor<'n>>(self, items: &'n [Node], visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Items { items: items.iter().enumerate(), shared: self.shared })
    }

    fn map<V: Visitor<'n>>(self, entries: &'n [Entry], visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(Entries { entries: entries.iter(), current: None, shared: self.shared })
    }
}

macro_rules! any {
    ($($method:ident)*) => { $(
        fn $method<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
            self.deserialize_any(visitor)
        }
    )* };
}

impl<'n> Deserializer<'n> for NodeDe<'n, '_, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(truth) => visitor.visit_bool(*truth),
            Value::Int(number) => match u64::try_from(*number) {
                Ok(number) => visitor.visit_u64(number),
                Err(_) => visitor.visit_i64(*number),
            },
            Value::Float(number) => visitor.visit_f64(*number),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::List(items) => self.list(items, visitor),
            Value::Map(entries) => self.map(entries, visitor),
        }
    }

    any! { deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
    deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32
    deserialize_f64 deserialize_char deserialize_str deserialize_string deserialize_bytes
    deserialize_byte_buf deserialize_unit deserialize_seq deserialize_map deserialize_identifier }

    fn deserialize_option<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.node.value == Value::Null { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit_struct<V: Visitor<'n>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'n>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name != Secret::TOKEN {
            return visitor.visit_newtype_struct(self);
        }
        let Value::Map(entries) = &self.node.value else {
            // Text where a secret may stand instead. The fault must not show it: it may be one.
            return self.deserialize_any(visitor).map_err(|_| Kind::Other(SECRET.into()).into());
        };
        let [Entry { key, value: Node { value: Value::String(name), .. }, .. }] = entries.as_slice() else {
            return Err(Kind::Other(SECRET.into()).into());
        };
        let secret = self.shared.secrets.resolve(key, name).map_err(Kind::Other)?;
        let pairs = [("value", secret.expose().to_owned()), ("shown", secret.shown().to_owned())];
        visitor.visit_newtype_struct(de::value::MapDeserializer::new(pairs.into_iter()))
    }

    fn deserialize_tuple<V: Visitor<'n>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_any(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'n>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'n>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.node.value {
            // A key with nothing under it is a struct of which nothing is set.
            Value::Null => self.map(&[], visitor),
            // serde would take a list as the fields in order; in a config that is a mistake.
            Value::List(_) => Err(Kind::Other("expected a map, found a list".into()).into()),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'n>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::String(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            Value::Map(entries) => match entries.as_slice() {
                [entry] => visitor.visit_enum(Variant { entry, shared: self.shared }),
                _ => {
                    Err(Kind::Other(format!("expected exactly one of the keys {}", variants.join(", ")))
                        .into())
                }
            },
            _ => Err(Kind::Other(format!("expected one of {}", variants.join(", "))).into()),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

const SECRET: &str = "expected a secret with exactly one key: {env: X}, {file: P}, {credential: NAME} or {insecure_literal: S}";

struct Items<'n, 'c, 's> {
    items: std::iter::Enumerate<std::slice::Iter<'n, Node>>,
    shared: &'c mut Shared<'s>,
}

impl<'n> de::SeqAccess<'n> for Items<'n, '_, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'n>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        for (index, node) in self.items.by_ref() {
            if !self.shared.pruned.contains(&address(node)) {
                let read = seed.deserialize(NodeDe { node, shared: self.shared });
                return read.map(Some).map_err(|error| error.within(Step::Item(index, node)));
            }
        }
        Ok(None)
    }
}

struct Entries<'n, 'c, 's> {
    entries: std::slice::Iter<'n, Entry>,
    current: Option<&'n Entry>,
    shared: &'c mut Shared<'s>,
}

impl<'n> de::MapAccess<'n> for Entries<'n, '_, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'n>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        for entry in self.entries.by_ref() {
            if !self.shared.pruned.contains(&address(&entry.value)) {
                self.current = Some(entry);
                let key = de::value::BorrowedStrDeserializer::new(&entry.key);
                return seed
                    .deserialize(key)
                    .map(Some)
                    .map_err(|error: Error| error.within(Step::Key(entry)));
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'n>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let Some(entry) = self.current.take() else {
            return Err(Kind::Other("a value without a key".into()).into());
        };
        let read = seed.deserialize(NodeDe { node: &entry.value, shared: self.shared });
        read.map_err(|error| error.within(Step::Key(entry)))
    }
}

struct Variant<'n, 'c, 's> {
    entry: &'n Entry,
    shared: &'c mut Shared<'s>,
}

impl<'n, 'c, 's> de::EnumAccess<'n> for Variant<'n, 'c, 's> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'n>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let name = de::value::BorrowedStrDeserializer::new(&self.entry.key);
        let read = seed.deserialize(name).map_err(|error: Error| error.within(Step::Key(self.entry)))?;
        Ok((read, self))
    }
}

impl<'n> de::VariantAccess<'n> for Variant<'n, '_, '_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.entry.value.value {
            Value::Null => Ok(()),
            _ => Err(Error::from(Kind::Other("takes no value".into())).within(Step::Key(self.entry))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'n>>(self, seed: T) -> Result<T::Value, Error> {
        let read = seed.deserialize(NodeDe { node: &self.entry.value, shared: self.shared });
        read.map_err(|error| error.within(Step::Key(self.entry)))
    }

    fn tuple_variant<V: Visitor<'n>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        let de = NodeDe { node: &self.entry.value, shared: self.shared };
        de.deserialize_tuple(len, visitor).map_err(|error| error.within(Step::Key(self.entry)))
    }

    fn struct_variant<V: Visitor<'n>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let de = NodeDe { node: &self.entry.value, shared: self.shared };
        de.deserialize_struct("", fields, visitor).map_err(|error| error.within(Step::Key(self.entry)))
    }
}
