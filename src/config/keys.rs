//! The keys of the language as serde sees them; the JSON Schema comes from the same types.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use crate::model::{Host, HumanDuration, Labels, LatencyKeys, Secret, Span};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerKeys {
    /// Where to listen, 127.0.0.1:9790 if not set.
    #[schemars(with = "Option<String>")]
    pub listen: Option<SocketAddr>,
    /// The address people use, http:// and `listen` if not set.
    pub external_url: Option<url::Url>,
    /// Who may ask.
    #[serde(default)]
    pub auth: AuthKeys,
    /// Listen beyond loopback without auth.
    #[serde(default)]
    pub insecure_public: bool,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AuthKeys {
    /// Bearer tokens.
    #[serde(default)]
    pub tokens: Vec<TokenKeys>,
    /// HTTP Basic for people.
    pub basic: Option<BasicKeys>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenKeys {
    /// Who it is for.
    pub name: String,
    /// The token.
    pub secret: Secret,
    /// What it may do.
    pub scope: ScopeKey,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum ScopeKey {
    Read,
    Operate,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BasicKeys {
    /// The user's name.
    pub username: String,
    /// The password.
    pub password: Secret,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StorageKeys {
    /// sqlite://PATH or postgres://USER@HOST:PORT/DATABASE
    pub url: Option<String>,
    /// The password of the role, for postgres://.
    pub password: Option<Secret>,
    /// How the server is trusted, for postgres://.
    pub tls: Option<StorageTlsKeys>,
    /// How long things are kept.
    #[serde(default)]
    pub retention: RetentionKeys,
    /// Whether a committed result survives power loss (full) or only a crash (normal).
    pub synchronous: Option<SynchronousKey>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StorageTlsKeys {
    /// Trusted beside the usual authorities, PEM.
    pub ca_file: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum SynchronousKey {
    Full,
    Normal,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RetentionKeys {
    /// Results, 35d if not set.
    pub results: Option<Span>,
    /// Percentiles and uptime by the hour, 400d if not set.
    pub hours: Option<Span>,
    /// Percentiles and uptime by the day, 5y if not set.
    pub days: Option<Span>,
    /// Incidents, 5y if not set.
    pub incidents: Option<Span>,
}

/// What may stand in the defaults, in a portal and in a check.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Layer {
    /// How often, 60s if not set.
    pub every: Option<Span>,
    /// Bounds one operation, 10s if not set.
    pub timeout: Option<Span>,
    /// Bounds a run; `every`, at most 5m, if not set.
    pub deadline: Option<Span>,
    /// Moves each run by up to this much.
    pub jitter: Option<HumanDuration>,
    /// When a finding becomes an incident.
    #[serde(default)]
    pub confirm: ConfirmKeys,
    /// Unknown for longer is an incident about the monitor; 10 × every if not set.
    pub unknown_after: Option<Span>,
    /// When a check flaps.
    #[serde(default)]
    pub flap: FlapKeys,
    /// system, IP:PORT, tls://…, https://…
    pub resolvers: Option<Vec<Resolver>>,
    /// How peers are trusted.
    pub tls: Option<TlsKeys>,
}

pub(super) const LAYER: &[&str] =
    &["every", "timeout", "deadline", "jitter", "confirm", "unknown_after", "flap", "resolvers", "tls"];

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfirmKeys {
    /// So many failures in a row.
    pub failures: Option<NonZeroU32>,
    /// So many successes in a row.
    pub successes: Option<NonZeroU32>,
    /// How soon to look again.
    pub recheck: Option<HumanDuration>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FlapKeys {
    /// More turns than this, 6 if not set,
    pub transitions: Option<NonZeroU32>,
    /// in this time, 1h if not set.
    pub window: Option<Span>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsKeys {
    /// Trusted beside the system's roots, PEM.
    pub ca_file: Option<String>,
    /// The name asked for and verified.
    pub server_name: Option<String>,
    /// Our own certificate.
    pub client: Option<ClientKeys>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ClientKeys {
    /// The file of the certificate, PEM.
    pub cert: String,
    /// The file of the private key, PEM.
    pub key: String,
}

/// A resolver as written, its syntax checked.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(transparent)]
pub(super) struct Resolver(pub String);

impl<'de> Deserialize<'de> for Resolver {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let good = if let Some(rest) = text.strip_prefix("tls://") {
            let (host, name) = rest.split_once('#').map_or((rest, None), |(host, name)| (host, Some(name)));
            name != Some("")
                && url::Url::parse(&format!("tls://{host}")).is_ok_and(|url| url.host().is_some())
        } else if text.starts_with("https://") {
            url::Url::parse(&text).is_ok_and(|url| url.host().is_some())
        } else {
            text == "system" || text.parse::<SocketAddr>().is_ok()
        };
        if !good {
            return Err(de::Error::custom(format!(
                "{text:?} is no resolver; write system, IP:PORT, tls://IP[:PORT]#name or https://…"
            )));
        }
        Ok(Self(text))
    }
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GlobalKeys {
    /// The own-network guard; empty is off.
    #[serde(default)]
    pub reference: Vec<ReferenceKeys>,
    /// How many connections at once.
    #[serde(default)]
    pub limits: LimitKeys,
}

pub(super) const GLOBAL: &[&str] = &["reference", "limits"];

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReferenceKeys {
    /// IP:PORT
    #[schemars(with = "String")]
    pub tcp: SocketAddr,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitKeys {
    /// To one host, 16 if not set.
    pub per_host: Option<NonZeroUsize>,
    /// In all, 512 if not set.
    pub global: Option<NonZeroUsize>,
}

/// An http or https address with a host.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(transparent)]
pub(super) struct WebUrl(pub url::Url);

impl<'de> Deserialize<'de> for WebUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let url = url::Url::parse(&text).map_err(|error| {
            de::Error::custom(format!("{text:?} is no URL: {error}; write https://HOST/"))
        })?;
        // The URL standard reads `http:///path` as if one slash less stood there.
        let hostless =
            text.split_once(':').is_some_and(|(_, rest)| !rest.starts_with("//") || rest.starts_with("///"));
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() || hostless {
            return Err(de::Error::custom(format!("{text:?} must be an http or https URL with a host")));
        }
        Ok(Self(url))
    }
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PortalKeys {
    /// The portal's address.
    pub url: Option<WebUrl>,
    /// All its hosts, `NAME`, `NAME:PORT` or an address; checks of certificates look at each.
    #[serde(default)]
    pub hosts: Vec<Host>,
    /// Whether its addresses may be private.
    #[serde(default)]
    pub private: bool,
    /// Labels of all its checks.
    #[serde(default)]
    pub labels: Labels,
}

pub(super) const PORTAL: &[&str] = &["url", "hosts", "private", "labels"];

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckKeys {
    /// Labels, over the portal's.
    #[serde(default)]
    pub labels: Labels,
    /// How fast it should be.
    pub latency: Option<LatencyKeys>,
    /// Whether it counts for the uptime of its portal; http and journey do if not set.
    pub counts: Option<bool>,
}

pub(super) const CHECK: &[&str] = &["labels", "latency", "counts"];

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChannelKeys {
    /// The channel told when this one keeps failing.
    pub fallback: Option<String>,
    /// How the peer is trusted.
    pub tls: Option<TlsKeys>,
}

pub(super) const CHANNEL: &[&str] = &["fallback", "tls"];

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MetricsKeys {
    /// Series of each check, also when there are very many.
    pub per_check: Option<bool>,
}

/// What is promised of some checks together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ObjectiveKeys {
    /// Its name.
    #[schemars(regex(pattern = "^[a-z0-9][a-z0-9-]*$"))]
    pub name: String,
    /// Of which checks: globs over `portal/check`.
    pub of: OneOrMore,
    /// The share that must be good, such as 99.9%.
    pub target: Percent,
    /// Over this time, 30d if not set.
    pub window: Option<Span>,
    /// Of what.
    pub kind: ObjectiveKindKey,
    /// Only of latency: what takes longer is bad.
    pub threshold: Option<Span>,
    /// Only of latency: of this step, and not of the whole run.
    pub step: Option<Box<str>>,
    /// Labels, for routes.
    #[serde(default)]
    pub labels: Labels,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum ObjectiveKindKey {
    Availability,
    Latency,
}

/// One text or a list of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a glob such as acme/*, or a list of them")]
pub(super) enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// A share, written as `99.9%`.
#[derive(Clone, Copy, Debug, JsonSchema)]
#[schemars(with = "String", extend("pattern" = "^[0-9]+(\\.[0-9]+)?%$"))]
pub(super) struct Percent(pub f64);

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
        match number.filter(|number| *number > 0.0 && *number < 100.0) {
            // 99.9 has no binary fraction: the quotient is that of the decimal one.
            Some(number) => Ok(Self((number * 1e10).round() / 1e12)),
            None => Err(de::Error::custom(format!(
                "{text:?} is no target; write a share below 100%, as in 99.9%"
            ))),
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteKeys {
    /// All of these.
    #[serde(default, rename = "match")]
    pub matchers: MatchKeys,
    /// The channels.
    pub to: Vec<String>,
    /// Also look at the routes after this one.
    #[serde(default, rename = "continue")]
    pub go_on: bool,
    /// Labels that make a group.
    #[serde(default)]
    pub group_by: Vec<String>,
    /// How long the first message of a group waits.
    pub group_wait: Option<HumanDuration>,
    /// The least time between two messages of a group, 5m if not set.
    pub group_interval: Option<Span>,
    /// How often it is said again.
    pub repeat: Option<Span>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a map of labels, or a list of matchers such as 'team=~\"ops|web\"'")]
pub(super) enum MatchKeys {
    Equal(BTreeMap<String, String>),
    List(Vec<String>),
}

impl Default for MatchKeys {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}
