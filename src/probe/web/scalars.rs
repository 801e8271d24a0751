//! Settings that are one scalar: a place to connect to, a size, a version.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use super::values::schema;
use crate::net::HttpVersion;

/// A place to connect to, `HOST:PORT`, `IP:PORT` or `[IPv6]:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// The name or address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Connect {
    /// Reads `HOST:PORT`.
    ///
    /// # Errors
    /// What is wrong and the way out.
    pub fn new(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no place to connect to; write HOST:PORT or [IPv6]:PORT");
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port: u16 = port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?;
        if host.contains(':') && !host.starts_with('[') {
            return Err(wrong());
        }
        let host = url::Host::parse(host).map_err(|_| wrong())?;
        let host = match host {
            url::Host::Domain(name) => name,
            url::Host::Ipv4(address) => address.to_string(),
            url::Host::Ipv6(address) => address.to_string(),
        };
        Ok(Self { host, port })
    }
}

impl fmt::Display for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl<'de> Deserialize<'de> for Connect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// The HTTP version asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Version(pub HttpVersion);

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u32);

impl Default for Size {
    /// 1 MiB.
    fn default() -> Self {
        Self(1 << 20)
    }
}

/// The most a body limit can be: bodies of many checks are in memory at the same time.
const LARGEST: u64 = 64 << 20;

impl Size {
    fn bytes<E: de::Error>(bytes: Option<u64>) -> Result<Self, E> {
        bytes
            .filter(|bytes| (1..=LARGEST).contains(bytes))
            .and_then(|bytes| u32::try_from(bytes).ok())
            .map(Self)
            .ok_or_else(|| E::custom("a body limit is 1 to 67108864 bytes (64MiB)"))
    }
}

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size: a number of bytes, or a text such as \"512KiB\" or \"1MiB\"")
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
        Size::bytes(Some(bytes))
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Size, E> {
        Size::bytes(u64::try_from(bytes).ok())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
        let text = text.trim();
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let factor = match unit.trim() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "KB" | "kB" => 1_000,
            "MB" => 1_000_000,
            _ => return Err(E::custom(format!("{text:?} is no size; write bytes, \"512KiB\" or \"1MiB\""))),
        };
        let number: Option<u64> = number.parse().ok();
        Size::bytes(number.and_then(|number| number.checked_mul(factor)))
    }
}

struct SizeVisitor;

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct VersionVisitor;

impl Visitor<'_> for VersionVisitor {
    type Value = Version;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an HTTP version: auto, 1.1 or 2")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Version, E> {
        match text {
            "auto" => Ok(Version(HttpVersion::Auto)),
            "1.1" => Ok(Version(HttpVersion::Http1)),
            "2" | "2.0" => Ok(Version(HttpVersion::Http2)),
            _ => Err(E::custom(format!("{text:?} is no supported HTTP version; write auto, 1.1 or 2"))),
        }
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Version, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Version, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Version, E> {
        self.visit_str(&number.to_string())
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VersionVisitor)
    }
}

schema!(Connect, "ConnectTo", |_g| json_schema!({
    "type": "string", "description": "HOST:PORT or [IPv6]:PORT.", "pattern": "^.+:[0-9]+$",
}));
schema!(Size, "Size", |_g| json_schema!({
    "description": "A number of bytes, or a text such as 512KiB or 1MiB.",
    "anyOf": [
        { "type": "integer", "minimum": 1, "maximum": LARGEST },
        { "type": "string", "pattern": "^[0-9]+ ?(B|KiB|MiB|KB|kB|MB)?$" },
    ],
}));
schema!(Version, "HttpVersion", |_g| json_schema!({
    "description": "auto (HTTP/2 if agreed on, else 1.1), 1.1 or 2.",
    "enum": ["auto", "1.1", "2", 1.1, 2],
}));
