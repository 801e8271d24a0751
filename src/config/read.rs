//! From the tree to the settings, layer over layer.

mod notify;
mod objectives;
pub(super) mod storage;

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::keys::*;
use super::secrets::{SecretPolicy, Secrets};
use super::settings::*;
use super::{Vocabulary, identity};
use crate::formats::yaml::{Entry, Fault, Node, Position, Reader, Value, unknown_key};
use crate::model::Secret;

const TOP: &[&str] = &["server", "storage", "defaults", "portals", "objectives", "notify", "metrics"];
/// Keys and kinds of the language whose capability is not built.
const UNBUILT: &[&str] = &[
    "journey",
    "heartbeat",
    "maintenance",
    "heartbeat_out",
    "escalate",
    "slack",
    "active",
    "mute",
    "depends_on",
];
const DAY: u64 = 86_400;

pub(super) struct Build<'b> {
    pub secrets: Secrets,
    pub faults: Vec<Fault>,
    pub vocabulary: &'b Vocabulary<'b>,
}

/// The per-check settings of one level, its TLS files read.
#[derive(Clone, Default)]
struct Level {
    layer: Layer,
    tls: Tls,
}

impl Build<'_> {
    fn say(&mut self, at: &Position, path: &str, message: impl Into<String>) {
        self.faults.push(Fault { at: Some(at.clone()), path: path.to_owned(), message: message.into() });
    }

    fn read<T: DeserializeOwned>(&mut self, node: &Node, path: &str) -> Option<T> {
        Reader::new(path, &mut self.faults, &mut self.secrets).read(node)
    }

    /// The entries of a map, without those that are not known here.
    fn entries(&mut self, node: Node, path: &str, known: &[&[&str]]) -> Vec<Entry> {
        let entries = match node.value {
            Value::Map(entries) => entries,
            Value::Null => return Vec::new(),
            _ => {
                self.say(&node.at, path, "expected a map of keys");
                return Vec::new();
            }
        };
        let known = || known.iter().copied().flatten().copied();
        let mut kept = Vec::with_capacity(entries.len());
        for entry in entries {
            if known().any(|key| key == entry.key) {
                kept.push(entry);
            } else if UNBUILT.contains(&entry.key.as_str()) {
                self.say(
                    &entry.at,
                    path,
                    format!("{:?} is not supported in this version; remove it", entry.key),
                );
            } else {
                self.say(&entry.at, path, unknown_key(&entry.key, known()));
            }
        }
        kept
    }

    fn named(&mut self, node: Node, path: &str) -> Vec<Entry> {
        let entries = match node.value {
            Value::Map(entries) => entries,
            Value::Null => Vec::new(),
            _ => {
                self.say(&node.at, path, "expected a map of names");
                Vec::new()
            }
        };
        for entry in &entries {
            let good = entry.key.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
                && entry.key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
            if !good {
                let message =
                    format!("the name {:?} must be of a-z, 0-9 and -, and not begin with -", entry.key);
                self.say(&entry.at, path, message);
            }
        }
        entries
    }

    pub(super) fn settings(&mut self, root: Node) -> Option<Settings> {
        let at = root.at.clone();
        let mut top = self.entries(root, "", &[TOP]);
        // What cannot be read counts as absent, so that the rest is read and all faults come together.
        let absent = || Node { at: at.clone(), value: Value::Null };
        let server = self.server(&part(&mut top, "server", &at)).or_else(|| self.server(&absent()));
        let storage = self.storage(part(&mut top, "storage", &at)).or_else(|| self.storage(absent()));
        let metrics: Option<MetricsKeys> = self.read(&part(&mut top, "metrics", &at), "metrics");
        let metrics = metrics.or_else(|| self.read(&absent(), "metrics"));
        let defaults = part(&mut top, "defaults", &at);
        let defaults_at = defaults.at.clone();
        let mut defaults = self.entries(defaults, "defaults", &[LAYER, GLOBAL]);
        let global = self.read::<GlobalKeys>(&some(&mut defaults, GLOBAL, &defaults_at), "defaults");
        let global = global.or_else(|| self.read(&some(&mut Vec::new(), GLOBAL, &at), "defaults"));
        let level = self.level(&mut defaults, "defaults", &defaults_at, &Level::default());
        let portals = part(&mut top, "portals", &at);
        let portals = self.portals(portals, &level);
        let objectives = part(&mut top, "objectives", &at);
        let objectives = self.objectives(objectives);
        let notify = part(&mut top, "notify", &at);
        let notify = self.notify(notify).or_else(|| self.notify(absent()));
        let global = global?;
        Some(Settings {
            server: server?,
            storage: storage?,
            limits: Limits {
                per_host: global.limits.per_host.map_or(16, Into::into),
                global: global.limits.global.map_or(512, Into::into),
            },
            reference: global.reference.into_iter().map(|r| Reference { tcp: r.tcp }).collect(),
            portals,
            objectives,
            notify: notify?,
            per_check_metrics: metrics?.per_check,
            watched: Vec::new(),
            faults: Vec::new(),
            warnings: Vec::new(),
            secrets: Vec::new(),
            resolver: Secrets::new(Default::default(), Default::default(), SecretPolicy::Leave),
        })
    }

    fn server(&mut self, node: &Node) -> Option<Server> {
        let keys: ServerKeys = self.read(node, "server")?;
        let listen = keys.listen.unwrap_or_else(|| std::net::SocketAddr::from(([127, 0, 0, 1], 9790)));
        let open = keys.auth.tokens.is_empty() && keys.auth.basic.is_none();
        let at = node.get("listen").map_or(&node.at, |listen| &listen.at);
        if !listen.ip().is_loopback() && open && !keys.insecure_public {
            let message = format!(
                "{listen} listens beyond loopback without auth; set server.auth, or insecure_public: true"
            );
            self.say(at, "server.listen", message);
        }
        let external_url = match keys.external_url {
            Some(url) => url,
            None => url::Url::parse(&format!("http://{listen}")).ok()?,
        };
        if !matches!(external_url.scheme(), "http" | "https") || external_url.host().is_none() {
            let at = node.get("external_url").map_or(&node.at, |url| &url.at);
            self.say(at, "server.external_url", "must be an http or https URL with a host");
        }
        let token = |t: TokenKeys| Token {
            name: t.name,
            secret: t.secret,
            scope: match t.scope {
                ScopeKey::Read => TokenScope::Read,
                ScopeKey::Operate => TokenScope::Operate,
            },
        };
        Some(Server {
            listen,
            external_url,
            tokens: keys.auth.tokens.into_iter().map(token).collect(),
            basic: keys.auth.basic.map(|b| Basic { username: b.username, password: b.password }),
            insecure_public: keys.insecure_public,
        })
    }

    /// This level's settings over those of the level above.
    fn level(&mut self, entries: &mut Vec<Entry>, path: &str, at: &Position, above: &Level) -> Level {
        let node = some(entries, LAYER, at);
        if node.value == Value::Map(Vec::new()) {
            return above.clone();
        }
        let Some(own) = self.read::<Layer>(&node, path) else { return above.clone() };
        let base = &above.layer;
        let tls = match &own.tls {
            Some(keys) => self.tls(keys, node.get("tls").unwrap_or(&node), &format!("{path}.tls")),
            None => above.tls.clone(),
        };
        let timed = own.every.is_some() || own.timeout.is_some();
        let layer = Layer {
            every: own.every.or(base.every),
            timeout: own.timeout.or(base.timeout),
            deadline: own.deadline.or(base.deadline),
            jitter: own.jitter.or(base.jitter),
            confirm: ConfirmKeys {
                failures: own.confirm.failures.or(base.confirm.failures),
                successes: own.confirm.successes.or(base.confirm.successes),
                recheck: own.confirm.recheck.or(base.confirm.recheck),
            },
            unknown_after: own.unknown_after.or(base.unknown_after),
            flap: FlapKeys {
                transitions: own.flap.transitions.or(base.flap.transitions),
                window: own.flap.window.or(base.flap.window),
            },
            resolvers: own.resolvers.or_else(|| base.resolvers.clone()),
            tls: None,
        };
        if timed && every(&layer) < timeout(&layer) {
            let at = node.get("every").or(node.get("timeout")).map_or(at, |node| &node.at).clone();
            let message = "every is shorter than timeout; make every longer or timeout shorter";
            self.say(&at, path, message);
        }
        Level { layer, tls }
    }

    fn tls(&mut self, keys: &TlsKeys, node: &Node, path: &str) -> Tls {
        let policy = std::mem::replace(&mut self.secrets.policy, SecretPolicy::Resolve);
        let mut tls = self.tls_files(keys, node, path);
        self.secrets.policy = policy;
        if policy == SecretPolicy::Resolve {
            self.faults.append(&mut tls.faults);
        }
        tls
    }

    fn tls_files(&mut self, keys: &TlsKeys, node: &Node, path: &str) -> Tls {
        use crate::formats::yaml::ResolveSecret as _;
        let mut tls = Tls { server_name: keys.server_name.clone(), ..Tls::default() };
        let mut say = |key: &str, message: String| {
            let at = node.get(key).map_or(&node.at, |node| &node.at).clone();
            tls.faults.push(Fault { at: Some(at), path: format!("{path}.{key}"), message });
        };
        if let Some(file) = &keys.ca_file {
            match self.secrets.read_file(file) {
                Ok(pem) if pem.contains("-----BEGIN CERTIFICATE-----") => tls.ca_pem = Some(pem.into()),
                Ok(_) => say("ca_file", format!("{file} holds no PEM certificate")),
                Err(message) => say("ca_file", message),
            }
        }
        if let Some(client) = &keys.client {
            match (self.secrets.read_file(&client.cert), self.secrets.resolve("file", &client.key)) {
                (Ok(cert), Ok(key)) => tls.client = Some((Arc::<str>::from(cert), Secret::clone(&key))),
                (cert, key) => {
                    cert.err().into_iter().chain(key.err()).for_each(|message| say("client", message));
                }
            }
        }
        tls
    }

    fn portals(&mut self, node: Node, defaults: &Level) -> Vec<Portal> {
        let at = node.at.clone();
        let entries = self.named(node, "portals");
        if entries.is_empty() {
            self.say(&at, "portals", "there are no portals; name at least one, with its checks");
        }
        entries.into_iter().filter_map(|entry| self.portal(entry, defaults)).collect()
    }

    fn portal(&mut self, entry: Entry, defaults: &Level) -> Option<Portal> {
        let path = format!("portals.{}", entry.key);
        let mut entries = self.entries(entry.value, &path, &[PORTAL, LAYER, &["identities", "checks"]]);
        let checks = part(&mut entries, "checks", &entry.at);
        let identities = part(&mut entries, "identities", &entry.at);
        let level = self.level(&mut entries, &path, &entry.at, defaults);
        let keys = self.read::<PortalKeys>(&some(&mut entries, PORTAL, &entry.at), &path);
        let labels = keys.as_ref().map(|keys| keys.labels.clone()).unwrap_or_default();
        let checks_path = format!("{path}.checks");
        let checks = self.named(checks, &checks_path);
        let checks =
            checks.into_iter().filter_map(|check| self.check(check, &checks_path, &level, &labels)).collect();
        let identities = self.named(identities, &format!("{path}.identities"));
        let (readable, keys) = (keys.is_some(), keys.unwrap_or_default());
        let portal = Portal {
            name: entry.key,
            url: keys.url.map(|url| url.0),
            hosts: keys.hosts,
            // What cannot be read is no reason for more faults.
            private: keys.private || !readable,
            labels: keys.labels,
            identities: identities
                .into_iter()
                .map(|entry| Identity { name: entry.key, spec: entry.value })
                .collect(),
            checks,
        };
        self.check_identities(&portal);
        readable.then_some(portal)
    }

    /// What is wrong with identities whoever uses them; their secrets are not needed for that.
    fn check_identities(&mut self, portal: &Portal) {
        let policy = std::mem::replace(&mut self.secrets.policy, SecretPolicy::Leave);
        for one in &portal.identities {
            identity::read(portal, one, &mut self.secrets, &mut self.faults);
        }
        self.secrets.policy = policy;
    }

    fn check(
        &mut self,
        entry: Entry,
        path: &str,
        above: &Level,
        labels: &crate::model::Labels,
    ) -> Option<Check> {
        let path = format!("{path}.{}", entry.key);
        let kinds = self.vocabulary.kinds;
        let mut entries = self.entries(entry.value, &path, &[LAYER, CHECK, kinds]);
        let level = self.level(&mut entries, &path, &entry.at, above);
        let own = some(&mut entries, CHECK, &entry.at);
        let keys = self.read::<CheckKeys>(&own, &path);
        let (kind, spec) = self.only(entries, &path, &entry.at, kinds)?;
        let keys = keys?;
        let layer = level.layer;
        let (interval, minutes) = (every(&layer), Duration::from_secs(300));
        let mut all = labels.clone();
        all.extend(keys.labels);
        Some(Check {
            name: entry.key,
            at: entry.at,
            labels: all,
            every: interval,
            timeout: timeout(&layer),
            deadline: layer.deadline.map_or(interval.min(minutes), |span| span.0),
            jitter: layer.jitter.map_or(Duration::ZERO, |jitter| jitter.0),
            confirm: ConfirmOverride {
                failures: layer.confirm.failures.map(Into::into),
                successes: layer.confirm.successes.map(Into::into),
                recheck: layer.confirm.recheck.map(|recheck| recheck.0),
            },
            unknown_after: layer.unknown_after.map_or(interval.saturating_mul(10), |span| span.0),
            flap: Flap {
                transitions: layer.flap.transitions.map_or(6, Into::into),
                window: layer.flap.window.map_or(Duration::from_secs(3600), |span| span.0),
            },
            resolvers: layer
                .resolvers
                .map_or_else(|| vec!["system".into()], |all| all.into_iter().map(|r| r.0).collect()),
            tls: level.tls,
            latency: keys.latency.map(|keys| (keys, own.get("latency").unwrap_or(&own).clone())),
            counts: keys.counts,
            kind,
            spec,
        })
    }

    /// The one entry that is left.
    fn only(
        &mut self,
        entries: Vec<Entry>,
        path: &str,
        at: &Position,
        valid: &[&str],
    ) -> Option<(String, Node)> {
        let mut entries = entries.into_iter();
        match (entries.next(), entries.next()) {
            (Some(entry), None) => Some((entry.key, entry.value)),
            (first, _) => {
                // A key that was refused already explains why none is left.
                if first.is_some() || !self.faults.iter().rev().take(8).any(|fault| fault.path == path) {
                    self.say(at, path, format!("expected exactly one of the keys {}", valid.join(", ")));
                }
                None
            }
        }
    }
}

fn every(layer: &Layer) -> Duration {
    layer.every.map_or(Duration::from_secs(60), |span| span.0)
}

fn timeout(layer: &Layer) -> Duration {
    layer.timeout.map_or(Duration::from_secs(10), |span| span.0)
}

/// Takes one entry out; an absent one is null, standing at `at`.
fn part(entries: &mut Vec<Entry>, key: &str, at: &Position) -> Node {
    match entries.iter().position(|entry| entry.key == key) {
        Some(index) => entries.remove(index).value,
        None => Node { at: at.clone(), value: Value::Null },
    }
}

/// Takes the entries with these keys out, as a map of their own.
fn some(entries: &mut Vec<Entry>, keys: &[&str], at: &Position) -> Node {
    let taken = entries.extract_if(.., |entry| keys.contains(&entry.key.as_str())).collect();
    Node { at: at.clone(), value: Value::Map(taken) }
}
