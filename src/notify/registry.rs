//! The list of channel types, and the one generic bridge from typed settings to a [`Notifier`].

use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;

use super::Notifier;
use crate::formats::yaml::{Node, Reader};

/// One type of channel.
pub trait ChannelType: Notifier + Sized + 'static {
    /// The key in a channel's config.
    const NAME: &'static str;
    /// A complete channel as YAML (what stands under [`ChannelType::NAME`]).
    const EXAMPLE: &'static str;
    /// Its settings; unknown keys are refused.
    type Settings: DeserializeOwned + JsonSchema;

    /// What is read in the place of what was written; for settings that serde cannot tell apart.
    fn prepare(node: &Node) -> Node {
        node.clone()
    }

    /// Checks the settings and makes the channel.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    fn build(settings: Self::Settings) -> Result<Self, Vec<Problem>>;
}

/// One thing wrong with a channel's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The keys that lead to it from the channel's settings.
    pub path: Vec<String>,
    /// What is wrong and the way out.
    pub message: String,
}

impl Problem {
    /// A problem at the given keys.
    pub fn at(path: &[&str], message: impl Into<String>) -> Self {
        Self { path: path.iter().map(|&key| key.to_owned()).collect(), message: message.into() }
    }
}

/// A channel type without its types.
pub struct NotifierEntry {
    /// The key in a channel's config.
    pub name: &'static str,
    /// A complete channel as YAML (what stands under its name).
    pub example: &'static str,
    /// The JSON Schema of its settings.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    /// Reads its settings; faults go to the reader.
    pub read: fn(&Node, &mut Reader<'_>) -> Option<Arc<dyn Notifier>>,
}

impl NotifierEntry {
    const fn of<C: ChannelType>() -> Self {
        Self {
            name: C::NAME,
            example: C::EXAMPLE,
            schema: |generator| generator.subschema_for::<C::Settings>(),
            read: |node, reader| match C::build(reader.read::<C::Settings>(&C::prepare(node))?) {
                Ok(channel) => Some(Arc::new(channel) as Arc<dyn Notifier>),
                Err(problems) => {
                    for problem in problems {
                        reader.fault(node, &problem.path, problem.message);
                    }
                    None
                }
            },
        }
    }
}

/// All channel types, in the order of the docs.
pub fn notifiers() -> &'static [NotifierEntry] {
    const { &[NotifierEntry::of::<super::email::Email>(), NotifierEntry::of::<super::webhook::Webhook>()] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_refuses_unknown_keys_and_hides_inner_names() {
        for entry in notifiers() {
            let mut generator = SchemaGenerator::default();
            let root = (entry.schema)(&mut generator);
            let all = serde_json::json!([root, generator.definitions()]).to_string();
            assert!(all.contains("\"additionalProperties\":false"), "{}: {all}", entry.name);
            assert!(!all.contains("$url") && !all.contains("$headers"), "{}: {all}", entry.name);
        }
    }

    #[test]
    fn a_schema_names_what_must_be_written() {
        for (settings, key) in [
            (schemars::schema_for!(super::super::webhook::Settings), "url"),
            (schemars::schema_for!(super::super::email::Settings), "smtp"),
        ] {
            let required = settings.get("required").unwrap().to_string();
            assert!(required.contains(key), "{required}");
        }
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<_> = notifiers().iter().map(|entry| entry.name).collect();
        assert_eq!(names.len(), notifiers().len());
    }
}
