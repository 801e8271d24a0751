//! A host as people write it: a name or an address, perhaps with a port.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer};

/// A name (in A-labels, lower case) or an address without brackets, and the port where one is
/// written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema)]
#[schemars(with = "String")]
pub struct Host {
    /// The name or address.
    pub name: String,
    /// The port.
    pub port: Option<u16>,
}

impl Host {
    /// Reads `NAME`, `NAME:PORT`, `IP`, `IP:PORT` or `[IPv6]:PORT`.
    ///
    /// # Errors
    /// What is wrong and the way out.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no host; write NAME, NAME:PORT, an address or [IPv6]:PORT");
        let text = text.trim();
        if let Ok(address) = text.parse::<std::net::IpAddr>() {
            return Ok(Self { name: address.to_string(), port: None });
        }
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) if !name.contains(':') || name.ends_with(']') => {
                (name, Some(port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?))
            }
            _ => (text, None),
        };
        let bare = name.strip_suffix('.').unwrap_or(name);
        let name = match url::Host::parse(bare).map_err(|_| wrong())? {
            url::Host::Domain(name) => name,
            url::Host::Ipv4(address) => address.to_string(),
            url::Host::Ipv6(address) => address.to_string(),
        };
        Ok(Self { name, port })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            None => f.write_str(&self.name),
            Some(port) if self.name.contains(':') => write!(f, "[{}]:{port}", self.name),
            Some(port) => write!(f, "{}:{port}", self.name),
        }
    }
}

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        Host::parse(text).map_or_else(|_| "wrong".to_owned(), |host| host.to_string())
    }

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for (text, expected) in [
            ("Portal.Example", "portal.example"),
            ("portal.example.", "portal.example"),
            ("portal.example:8443", "portal.example:8443"),
            ("b\u{fc}cher.example", "xn--bcher-kva.example"),
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1:465", "192.0.2.1:465"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:465", "[2001:db8::1]:465"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        for text in ["", "a b", "portal.example:0", "portal.example:x", "https://portal.example", "a:b:1"] {
            assert_eq!(read(text), "wrong", "{text}");
        }
    }
}
