//! The typed settings. Defaults of the language stand here, and nowhere else.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::formats::yaml::{Fault, Node, Position};
use crate::model::database::Access;
use crate::model::{Host, Labels, LatencyKeys, Matcher, Part, Secret};

/// The whole config.
#[derive(Debug)]
pub struct Settings {
    /// `server`
    pub server: Server,
    /// `storage`
    pub storage: Storage,
    /// `defaults.limits`
    pub limits: Limits,
    /// `defaults.reference`: the own-network guard's targets; empty = off.
    pub reference: Vec<Reference>,
    /// `portals`, in the order of the files.
    pub portals: Vec<Portal>,
    /// `objectives`
    pub objectives: Vec<Objective>,
    /// `notify`
    pub notify: Notify,
    /// `metrics.per_check`: per-check series also beyond the limit; `None`: not set.
    pub per_check_metrics: Option<bool>,
    /// The files read, config and secrets, watched by content.
    pub watched: Vec<std::path::PathBuf>,
    /// What is wrong with it; see [`load_for_plan`](super::load_for_plan).
    pub faults: Vec<Fault>,
    /// Warnings, such as a secret file that others can read.
    pub warnings: Vec<String>,
    /// Every secret resolved so far, for the masker.
    pub secrets: Vec<Secret>,
    /// Resolves what stands in the subtrees of kinds and channels, when the plan reads them.
    pub resolver: super::Secrets,
}

impl Settings {
    /// Takes over what the resolver saw since: secrets, files to watch, warnings.
    pub fn absorb(&mut self) {
        self.secrets.append(&mut self.resolver.resolved);
        for path in std::mem::take(&mut self.resolver.watched) {
            if !self.watched.contains(&path) {
                self.watched.push(path);
            }
        }
        for warning in std::mem::take(&mut self.resolver.warnings) {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }
}

/// `server`
#[derive(Debug)]
pub struct Server {
    /// `listen`, default `127.0.0.1:9790`.
    pub listen: std::net::SocketAddr,
    /// `external_url`, default `http://` + listen.
    pub external_url: url::Url,
    /// `auth.tokens`
    pub tokens: Vec<Token>,
    /// `auth.basic`
    pub basic: Option<Basic>,
    /// `insecure_public`: listen beyond loopback without auth.
    pub insecure_public: bool,
}

/// `server.auth.tokens[]`
#[derive(Debug)]
pub struct Token {
    /// Who it is for; appears in logs.
    pub name: String,
    /// The bearer token.
    pub secret: Secret,
    /// What it may do.
    pub scope: TokenScope,
}

/// `scope` of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenScope {
    /// `/`, `/metrics`, `GET /api`, `/probe`.
    Read,
    /// Also everything that changes something.
    Operate,
}

/// `server.auth.basic`: HTTP Basic for people, scope operate.
#[derive(Debug)]
pub struct Basic {
    /// `username`
    pub username: String,
    /// `password`
    pub password: Secret,
}

/// `storage`
#[derive(Debug)]
pub struct Storage {
    /// `url`, `password` and `tls`.
    pub database: Database,
    /// `retention`
    pub retention: Retention,
    /// `synchronous`: `full` (default) or `normal`.
    pub synchronous_full: bool,
    /// What keeps the database from being used, where secrets are needed for some checks only: faults
    /// for whoever uses it.
    pub faults: Vec<Fault>,
}

/// `storage.url`, with what belongs to it.
#[derive(Clone, Debug)]
pub enum Database {
    /// `sqlite://PATH`, resolved already.
    Sqlite(PathBuf),
    /// `postgres://USER@HOST:PORT/DATABASE`.
    Postgres(Box<Access>),
}

impl Database {
    /// How messages name it; without the password.
    pub fn place(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite://{}", path.display()),
            Self::Postgres(access) => access.place(),
        }
    }
}

/// `storage.retention`
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// `results`, default 35d.
    pub results: Duration,
    /// `hours`, default 400d: figures by the hour.
    pub hours: Duration,
    /// `days`, default 5y: figures by the day.
    pub days: Duration,
    /// `incidents`, default 5y.
    pub incidents: Duration,
}

/// `defaults.limits`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `per_host`, default 16 concurrent connections.
    pub per_host: usize,
    /// `global`, default 512 concurrent connections.
    pub global: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { per_host: 16, global: 512 }
    }
}

/// A target of the own-network guard: `{tcp: "IP:PORT"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Where to connect to.
    pub tcp: std::net::SocketAddr,
}

/// `portals.NAME`
#[derive(Debug)]
pub struct Portal {
    /// Its name.
    pub name: String,
    /// `url`
    pub url: Option<url::Url>,
    /// `hosts`
    pub hosts: Vec<Host>,
    /// `private`
    pub private: bool,
    /// `labels`
    pub labels: Labels,
    /// `identities`
    pub identities: Vec<Identity>,
    /// `checks`
    pub checks: Vec<Check>,
}

/// `portals.NAME.identities.NAME`, to be read when a check uses it.
#[derive(Debug)]
pub struct Identity {
    /// Its name.
    pub name: String,
    /// What stands under its name.
    pub spec: Node,
}

/// `portals.NAME.checks.NAME`, with the portal's and the file's defaults already applied.
#[derive(Debug)]
pub struct Check {
    /// Its short name.
    pub name: String,
    /// Where it stands.
    pub at: Position,
    /// The labels of the portal and of the check, the check's on top.
    pub labels: Labels,
    /// `every`, default 60s.
    pub every: Duration,
    /// `timeout`, default 10s.
    pub timeout: Duration,
    /// `deadline`, default `every`, at most 5m.
    pub deadline: Duration,
    /// `jitter`, default 0: each run is moved by up to this much, either way.
    pub jitter: Duration,
    /// `confirm`, as far as it is written anywhere; the rest belongs to the finding.
    pub confirm: ConfirmOverride,
    /// `unknown_after`, default 10 × every.
    pub unknown_after: Duration,
    /// `flap`
    pub flap: Flap,
    /// `resolvers`, default `[system]`.
    pub resolvers: Vec<String>,
    /// `tls` of the check, else of the portal, else of the defaults.
    pub tls: Tls,
    /// `latency`, and where it stands.
    pub latency: Option<(LatencyKeys, Node)>,
    /// `counts`: whether it counts for its portal's uptime, where it is said.
    pub counts: Option<bool>,
    /// The key of the kind, such as `http`.
    pub kind: String,
    /// What stands under that key.
    pub spec: Node,
}

/// `confirm`, key by key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConfirmOverride {
    /// `failures`
    pub failures: Option<u32>,
    /// `successes`
    pub successes: Option<u32>,
    /// `recheck`
    pub recheck: Option<Duration>,
}

/// `flap`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flap {
    /// `transitions`, default 6.
    pub transitions: u32,
    /// `window`, default 1h.
    pub window: Duration,
}

/// `tls`
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// `ca_file`: trusted beside the system's roots; content, PEM.
    pub ca_pem: Option<std::sync::Arc<str>>,
    /// `server_name`: the name asked for (SNI) and verified.
    pub server_name: Option<String>,
    /// `client: {cert, key}`: content, PEM.
    pub client: Option<(std::sync::Arc<str>, Secret)>,
    /// What is wrong with the files, where secrets are needed for some checks only: faults for
    /// those that use them.
    pub faults: Vec<crate::formats::yaml::Fault>,
}

/// `objectives[]`
#[derive(Clone, Debug)]
pub struct Objective {
    /// Its name.
    pub name: String,
    /// Where its checks are named, for faults.
    pub at: Position,
    /// `of`: globs.
    pub of: Vec<String>,
    /// `target`, above 0 and below 1.
    pub target: f64,
    /// `window`, default 30d.
    pub window: Duration,
    /// `kind`
    pub kind: ObjectiveKind,
    /// `labels`
    pub labels: Labels,
}

/// `objectives[].kind`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectiveKind {
    /// Time that was up.
    Availability,
    /// Runs that did not take longer.
    Latency {
        /// The whole run, or a step.
        part: Part,
        /// `threshold`
        threshold: Duration,
    },
}

/// `notify`
#[derive(Debug)]
pub struct Notify {
    /// `timezone`, default UTC.
    pub timezone: jiff::tz::TimeZone,
    /// `channels`
    pub channels: BTreeMap<String, Channel>,
    /// `routes`, first match wins. Empty: every incident goes to every channel.
    pub routes: Vec<Route>,
}

/// `notify.channels.NAME`
#[derive(Debug)]
pub struct Channel {
    /// Where it stands.
    pub at: Position,
    /// The key of the channel's type, such as `email`.
    pub kind: String,
    /// What stands under that key.
    pub spec: Node,
    /// `fallback`: the channel told when this one keeps failing.
    pub fallback: Option<String>,
    /// `tls`
    pub tls: Tls,
}

/// `notify.routes[]`
#[derive(Clone, Debug)]
pub struct Route {
    /// `match`: all of these; empty matches everything.
    pub matchers: Vec<Matcher>,
    /// `to`
    pub to: Vec<String>,
    /// `continue`
    pub go_on: bool,
    /// `group_by`; empty: each incident is a group of its own.
    pub group_by: Vec<String>,
    /// `group_wait`; default 5s for critical, 30s else.
    pub group_wait: Option<Duration>,
    /// `group_interval`, default 5m.
    pub group_interval: Duration,
    /// `repeat`; default 4h for critical, 7d for warning.
    pub repeat: Option<Duration>,
}
