//! The small types of settings, each refused at its own key when it is wrong.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use http::{HeaderName, HeaderValue, Method};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use url::Url;

use crate::model::{Secret, Text};

/// An absolute `http` or `https` address without user name and fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl(pub Box<Url>);

impl HttpUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it and the way out.
    pub fn new(text: &str) -> Result<Self, String> {
        let url = Url::parse(text)
            .map_err(|error| format!("{text:?} is no address, write https://host/path: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("{text:?} has the scheme {}; http and https are supported", url.scheme()));
        }
        // The URL standard reads `http:///path` as if one slash less stood there.
        let hostless =
            text.split_once(':').is_some_and(|(_, rest)| !rest.starts_with("//") || rest.starts_with("///"));
        if hostless || url.host_str().is_none_or(str::is_empty) {
            return Err(format!("{text:?} names no host"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "credentials do not belong in an address; use auth: {basic: {username, password}}".into()
            );
        }
        Ok(Self(Box::new(url)))
    }
}

impl<'de> Deserialize<'de> for HttpUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// A method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verb(pub Method);

impl<'de> Deserialize<'de> for Verb {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?.to_ascii_uppercase();
        match Method::from_bytes(text.as_bytes()) {
            Ok(Method::CONNECT) | Err(_) => Err(de::Error::custom(format!(
                "{text:?} is no method a request can have; write GET, POST, …"
            ))),
            Ok(method) => Ok(Self(method)),
        }
    }
}

/// A header name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(pub HeaderName);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        HeaderName::from_bytes(text.as_bytes()).map(Self).map_err(|_| {
            de::Error::custom(format!("{text:?} is no header name; letters, digits and hyphens are"))
        })
    }
}

/// Names and values in the order of the config: query parameters, form fields.
#[derive(Clone, Debug, Default)]
pub struct Fields(pub Box<[(Box<str>, Text)]>);

/// Request headers, in the order of the config.
#[derive(Clone, Debug, Default)]
pub struct Headers(pub Box<[(HeaderName, HeaderValue, Text)]>);

/// The value of `Authorization: Basic` (RFC 7617).
pub fn basic_credentials(username: &str, password: &Secret) -> String {
    let pair = format!("{username}:{}", password.expose());
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map from name to text or secret")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Vec::new();
        while let Some(name) = map.next_key::<Box<str>>()? {
            fields.push((name, map.next_value()?));
        }
        Ok(Fields(fields.into()))
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct HeadersVisitor;

/// A header value and what it came from.
struct Value(HeaderValue, Text);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        let mut value = HeaderValue::from_str(text.expose()).map_err(|_| {
            de::Error::custom("a header value cannot hold line breaks or control characters; take them out")
        })?;
        value.set_sensitive(text.is_secret());
        Ok(Self(value, text))
    }
}

impl<'de> Visitor<'de> for HeadersVisitor {
    type Value = Headers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map from header name to text or secret")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
        let mut headers = Vec::new();
        while let Some(name) = map.next_key::<Name>()? {
            let Value(value, text) = map.next_value()?;
            headers.push((name.0, value, text));
        }
        Ok(Headers(headers.into()))
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeadersVisitor)
    }
}

/// The JSON Schema of a type that is read by hand.
macro_rules! schema {
    ($type:ty, $name:literal, |$generator:ident| $schema:expr) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}
pub(super) use schema;

schema!(HttpUrl, "HttpUrl", |_g| json_schema!({
    "type": "string", "format": "uri", "pattern": "^https?://", "description": "An http or https address.",
}));
schema!(Verb, "Method", |_g| json_schema!({ "type": "string", "description": "An HTTP method." }));
schema!(Fields, "Fields", |g| {
    let text = g.subschema_for::<Text>();
    json_schema!({ "type": "object", "additionalProperties": text })
});
schema!(Headers, "RequestHeaders", |g| {
    let text = g.subschema_for::<Text>();
    json_schema!({ "type": "object", "additionalProperties": text })
});
