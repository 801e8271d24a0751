//! Settings that are one scalar: a zone, a name within it, a type.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer};

use crate::formats::dns::{Name, RecordType};

/// A domain name, complete whether or not it ends with a dot; IDN is turned into A-labels.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub struct DomainName(pub Name);

impl<'de> Deserialize<'de> for DomainName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

/// A name within the zone, as written: `@`, `www`, or with a final dot a whole name.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub struct Owner(pub String);

impl Owner {
    /// The whole name.
    ///
    /// # Errors
    /// It is no name, or too long below the zone.
    pub fn within(&self, zone: &Name) -> Result<Name, String> {
        let whole = match self.0.as_str() {
            "@" => return Ok(zone.clone()),
            whole if whole.ends_with('.') => whole.to_owned(),
            label if zone.to_string() == "." => format!("{label}."),
            label => format!("{label}.{zone}"),
        };
        whole.parse().map_err(|why| format!("{:?} is no name within {zone}: {why}", self.0))
    }
}

impl<'de> Deserialize<'de> for Owner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Err(de::Error::custom("a name must not be empty; the zone itself is \"@\""));
        }
        Ok(Self(text))
    }
}

/// The type of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub struct Type(pub RecordType);

impl<'de> Deserialize<'de> for Type {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(de::Error::custom)
    }
}
