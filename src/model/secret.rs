//! A value that must never be printed.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

/// A secret, resolved. In a config it is a reference, `{env: X}`, `{file: P}`, `{credential: NAME}`
/// or `{insecure_literal: S}`; the config's deserializer resolves the reference wherever this type
/// stands (it knows it by [`Secret::TOKEN`]) and hands the value over. It has no `Display` and no
/// `Serialize`, and `Debug` shows no value.
#[derive(Clone)]
pub struct Secret {
    value: Arc<SecretString>,
    shown: Arc<str>,
}

impl Secret {
    /// The newtype name by which the config's deserializer knows that a secret is asked for.
    pub const TOKEN: &'static str = "$portalwatch::Secret";

    /// Wraps a value; `shown` is what may be printed in its stead, such as `env:SMTP_PASSWORD`.
    pub fn new(value: impl Into<String>, shown: &str) -> Self {
        Self { value: Arc::new(SecretString::from(value.into())), shown: shown.into() }
    }

    /// The value. Call it where the value leaves for its purpose, nowhere else.
    pub fn expose(&self) -> &str {
        self.value.expose_secret()
    }

    /// What may be printed in its stead: the reference it came from.
    pub fn shown(&self) -> &str {
        &self.shown
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.shown)
    }
}

/// What the config's deserializer hands over for a resolved reference.
#[derive(Deserialize)]
struct Resolved {
    value: String,
    shown: String,
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Secret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a secret: {env: X}, {file: P}, {credential: NAME} or {insecure_literal: S}")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Secret, D::Error> {
                let resolved = Resolved::deserialize(deserializer)?;
                Ok(Secret::new(resolved.value, &resolved.shown))
            }
        }
        deserializer.deserialize_newtype_struct(Self::TOKEN, Visitor)
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let one = |key: &str, what: &str| {
            serde_json::json!({
                "type": "object",
                "properties": { key: { "type": "string", "description": what } },
                "required": [key],
                "additionalProperties": false,
            })
        };
        json_schema!({
            "description": "A secret, by reference.",
            "oneOf": [
                one("env", "The environment variable that holds it."),
                one("file", "The file that holds it; one trailing newline is dropped."),
                one("credential", "The file of that name in $CREDENTIALS_DIRECTORY."),
                one("insecure_literal", "The value itself, readable to whoever reads this file."),
            ],
        })
    }
}
