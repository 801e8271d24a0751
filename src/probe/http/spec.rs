//! The settings of the kind. Everything that can be compiled is compiled while it is read, so that
//! a fault is reported at its key and a run only uses it. Rare options sit behind boxes: a config
//! has many plain checks.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::model::{Secret, Text};
use crate::probe::web::expect::Expect;
use crate::probe::web::oauth::ClientCredentials;
use crate::probe::web::scalars::{Connect, Size, Version};
use crate::probe::web::values::{Fields, Headers, HttpUrl, Verb};

/// One HTTP request and what its answer should be.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Spec {
    /// The whole address. Without `url` and `path` it is the portal's.
    pub url: Option<HttpUrl>,
    /// A path (with its query) that replaces the one of the portal's address.
    pub path: Option<Box<str>>,
    /// The method; GET, or POST where there is a body.
    pub method: Option<Verb>,
    /// Request headers: text or secret.
    pub headers: Option<Box<Headers>>,
    /// Query parameters, added to those of the address: text or secret.
    pub query: Option<Box<Fields>>,
    /// The body as text or secret.
    pub body: Option<Box<Text>>,
    /// The body as JSON.
    pub json: Option<Box<serde_json::Value>>,
    /// The body as form fields: text or secret.
    pub form: Option<Box<Fields>>,
    /// Credentials.
    pub auth: Option<Box<Auth>>,
    /// Which of the host's addresses are looked at.
    pub addresses: Addresses,
    /// The HTTP version: `auto`, `1.1` or `2`.
    pub version: Version,
    /// Connect to this `HOST:PORT` instead; the name in TLS and in `Host` stays.
    pub connect_to: Option<Box<Connect>>,
    /// A proxy.
    pub proxy: Option<Box<ProxySpec>>,
    /// Reading the body stops after this many bytes, such as 1048576 or "1MiB".
    pub max_body: Size,
    /// What the answer should be.
    pub expect: Expect,
}

/// Credentials of a request: one of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum Auth {
    /// `Authorization: Basic` (RFC 7617).
    Basic(Basic),
    /// `Authorization: Bearer` (RFC 6750).
    Bearer(Secret),
    /// A token by client credentials (RFC 6749 section 4.4), fetched for every run.
    Oauth2(ClientCredentials),
}

/// User name and password.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// Which of a host's addresses are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Addresses {
    /// The first that connects.
    #[default]
    First,
    /// Each by itself.
    All,
    /// The first IPv4 address.
    V4,
    /// The first IPv6 address.
    V6,
}

/// A proxy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProxySpec {
    /// `http://`, `https://` or `socks5h://` host and port.
    pub url: url::Url,
    /// The user name, where the proxy asks for one.
    pub username: Option<String>,
    /// The password, where the proxy asks for one.
    pub password: Option<Secret>,
}
