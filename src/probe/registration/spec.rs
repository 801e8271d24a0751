//! The settings of the kind.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::civil;
use jiff::tz::TimeZone;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use super::domain::{self, Domain};
use crate::probe::web::values::HttpUrl;

/// A domain, and how its registration should be.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The registered domain; international names may be written as they are.
    pub domain: Domain,
    /// The base address of the RDAP server that is asked, whatever the tables say.
    #[serde(default)]
    pub server: Option<HttpUrl>,
    /// Base addresses of RDAP servers by suffix, before those that are known.
    #[serde(default)]
    pub servers: Servers,
    /// A bootstrap file (RFC 9224) that is fetched at most once a day and asked before the built-in
    /// table, such as <https://data.iana.org/rdap/dns.json>.
    #[serde(default)]
    pub bootstrap: Option<HttpUrl>,
    /// The day of expiry, YYYY-MM-DD, for registries that do not tell it.
    #[serde(default)]
    pub expires: Option<Day>,
    /// Whether the domain must be locked against transfers.
    #[serde(default)]
    pub lock: Lock,
    /// The registrar it should be with: its name, or its IANA Registrar ID.
    #[serde(default)]
    pub registrar: Option<Box<str>>,
}

/// Whether a missing lock against transfers is a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Lock {
    /// A warning.
    Required,
    /// A notice, which tells nobody.
    #[default]
    Noticed,
    /// No finding.
    Ignored,
}

/// A calendar day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day(pub civil::Date);

impl Day {
    /// Its beginning in UTC.
    pub fn begins(self) -> Timestamp {
        self.0.to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |begins| begins.timestamp())
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let day = (text.len() == 10).then(|| civil::Date::strptime("%Y-%m-%d", &text).ok()).flatten();
        day.map(Self).ok_or_else(|| {
            de::Error::custom(format!(
                "{text:?} is no day of the calendar; write YYYY-MM-DD, such as 2027-08-13"
            ))
        })
    }
}

impl JsonSchema for Day {
    fn schema_name() -> Cow<'static, str> {
        "Day".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date", "description": "A day, YYYY-MM-DD." })
    }
}

/// Suffixes (in A-labels, without dots at their ends) and the base addresses of their RDAP servers.
#[derive(Clone, Debug, Default)]
pub struct Servers(pub Box<[(Box<str>, HttpUrl)]>);

struct Suffix(Box<str>);

impl<'de> Deserialize<'de> for Suffix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        domain::ascii(text.trim_matches('.')).map(|name| Self(name.into())).ok_or_else(|| {
            de::Error::custom(format!("{text:?} is no suffix of a domain; write such as io or co.uk"))
        })
    }
}

struct ServersVisitor;

impl<'de> Visitor<'de> for ServersVisitor {
    type Value = Servers;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a map from suffix to the base address of its RDAP server")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Servers, A::Error> {
        let mut servers = Vec::new();
        while let Some(suffix) = map.next_key::<Suffix>()? {
            servers.push((suffix.0, map.next_value()?));
        }
        Ok(Servers(servers.into()))
    }
}

impl<'de> Deserialize<'de> for Servers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ServersVisitor)
    }
}

impl JsonSchema for Servers {
    fn schema_name() -> Cow<'static, str> {
        "RdapServers".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let url = generator.subschema_for::<HttpUrl>();
        json_schema!({
            "type": "object",
            "description": "Suffix of domains to the base address of its RDAP server.",
            "additionalProperties": url,
        })
    }
}
