//! From settings to a plan: what is run, how it is judged, and who is told. The config ends here.
//!
//! A plan is built whole or not at all. What the kinds and the channels think of their own keys is
//! found out here, and reported together.

mod fingerprint;
mod identities;
mod objectives;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub use self::objectives::of as objectives_of;
use crate::alert::{Policy, Route};
use crate::config::{SecretPolicy, Secrets, Settings, in_order, settings};
use crate::formats::yaml::{Fault, Reader, Value};
use crate::model::latency::Budget;
use crate::model::{CheckId, Identity, Labels, Masker, Part};
use crate::net::TlsOptions;
use crate::notify::deliver::{Channel, Channels, PER_MINUTE};
use crate::notify::notifiers;
use crate::probe::journey::Journey;
use crate::probe::{Kind as _, KindEntry, PortalScope, Probe, Scope, Triggered, kinds};
use crate::stats::objective::Objective;
use crate::stats::track::Tracked;

/// Above this many requests a second to one host that is not loopback, `config validate` warns.
const POLITE_RATE: f64 = 10.0;

/// The least time between two messages of a group, where no route says otherwise.
const GROUP_INTERVAL: Duration = Duration::from_secs(300);

/// Everything that is run and how.
pub struct Plan {
    /// The checks, in the order of the config.
    pub checks: Vec<Arc<PlannedCheck>>,
    /// What is promised of checks together.
    pub objectives: Vec<PlannedObjective>,
    /// The routes, never empty when there is a channel.
    pub routes: Arc<[Route]>,
    /// The channels.
    pub channels: Arc<Channels>,
    /// The own-network guard's targets.
    pub reference: Arc<[SocketAddr]>,
    /// Caps on concurrent connections.
    pub limits: settings::Limits,
    /// The daemon's address, for links.
    pub external_url: url::Url,
    /// The time zone of times in messages.
    pub timezone: jiff::tz::TimeZone,
    /// Whether every check has its own series in `/metrics`; `None` decides by their number.
    pub per_check_metrics: Option<bool>,
    /// What is allowed and yet worth a word.
    pub warnings: Vec<String>,
    /// The files whose content the plan rests on.
    pub watched: Vec<std::path::PathBuf>,
}

/// An objective, and how it is alerted.
#[derive(Clone, Debug)]
pub struct PlannedObjective {
    /// What is promised.
    pub objective: Objective,
    /// Of which checks.
    pub checks: Vec<CheckId>,
    /// How it is alerted.
    pub policy: Policy,
}

/// One check, ready to run.
pub struct PlannedCheck {
    /// Its surroundings, its id among them.
    pub scope: Scope,
    /// The name of its kind.
    pub kind: &'static str,
    /// Its kind and settings.
    pub probe: Arc<dyn Probe>,
    /// How it is alerted.
    pub policy: Policy,
    /// The interval.
    pub every: Duration,
    /// How far a run may be moved, either way.
    pub jitter: Duration,
    /// Its latency budgets.
    pub budgets: Arc<[Budget]>,
    /// What objectives look at, if it belongs to any.
    pub tracked: Option<Tracked>,
    /// Whether it counts for the uptime of its portal.
    pub counts: bool,
    /// Stands for the check's settings, the values of its secrets and its identity included: where a
    /// reload brings another one, they changed.
    pub fingerprint: u64,
    /// Knows the secrets of this check.
    pub masker: Masker,
}

/// Builds the plan of a config. `wanted` picks checks by id: the secrets of others are not needed.
/// `with_channels` also builds the channels, which need theirs.
///
/// # Errors
/// Everything that is wrong with it, each fault with its place.
pub fn build(
    settings: Settings,
    wanted: &dyn Fn(&CheckId) -> bool,
    with_channels: bool,
) -> Result<(Plan, settings::Server, settings::Storage), Vec<Fault>> {
    build_of(kinds(), settings, wanted, with_channels, SecretPolicy::Resolve)
}

/// [`build`] for judging what is recorded: no check is run and nobody told, so that no secret is needed.
///
/// # Errors
/// As [`build`].
pub fn build_for_replay(settings: Settings, wanted: &dyn Fn(&CheckId) -> bool) -> Result<Plan, Vec<Fault>> {
    build_of(kinds(), settings, wanted, false, SecretPolicy::Leave).map(|(plan, ..)| plan)
}

/// [`build`] with these kinds.
fn build_of(
    kinds: &'static [KindEntry],
    mut settings: Settings,
    wanted: &dyn Fn(&CheckId) -> bool,
    with_channels: bool,
    secrets: SecretPolicy,
) -> Result<(Plan, settings::Server, settings::Storage), Vec<Fault>> {
    settings.resolver.policy = secrets;
    let mut faults = std::mem::take(&mut settings.faults);
    let objectives = objectives_of(&settings);
    let mut builder = Builder {
        kinds,
        faults: &mut faults,
        secrets: &mut settings.resolver,
        shared: Shared::default(),
        routes: routes(&settings.notify).into(),
        objectives,
    };
    let by_name = if with_channels { builder.channels(&settings.notify) } else { BTreeMap::new() };
    let mut checks = Vec::new();
    for portal in &settings.portals {
        builder.portal(portal, wanted, &mut checks);
    }
    let planned_objectives = builder.planned_objectives(&settings.objectives, &checks);
    let routes = Arc::clone(&builder.routes);
    if !faults.is_empty() {
        return Err(in_order(faults));
    }
    settings.absorb();
    let mut warnings = settings.warnings;
    warnings.extend(rate_warnings(&checks));
    warnings.extend(objectives::warnings(&planned_objectives, &checks));
    warnings.extend(guard_warning(&settings.reference, &checks));
    if with_channels && by_name.is_empty() {
        warnings
            .push("notify.channels is empty: incidents are shown and logged, and nobody is told".to_owned());
    }
    let channels = Channels {
        by_name,
        external_url: settings.server.external_url.to_string(),
        timezone: settings.notify.timezone.clone(),
        masker: Masker::new(&settings.secrets),
    };
    let plan = Plan {
        checks,
        objectives: planned_objectives,
        routes,
        channels: Arc::new(channels),
        reference: settings.reference.iter().map(|reference| reference.tcp).collect(),
        limits: settings.limits,
        external_url: settings.server.external_url.clone(),
        timezone: settings.notify.timezone,
        per_check_metrics: settings.per_check_metrics,
        warnings,
        watched: settings.watched,
    };
    Ok((plan, settings.server, settings.storage))
}

/// The routes of a config; without any, every incident goes to every channel.
fn routes(notify: &settings::Notify) -> Vec<Route> {
    if notify.routes.is_empty() && !notify.channels.is_empty() {
        return vec![Route {
            matchers: Vec::new(),
            to: notify.channels.keys().cloned().collect(),
            go_on: false,
            group_by: Vec::new(),
            group_wait: None,
            group_interval: GROUP_INTERVAL,
            repeat: None,
        }];
    }
    notify
        .routes
        .iter()
        .map(|route| Route {
            matchers: route.matchers.clone(),
            to: route.to.clone(),
            go_on: route.go_on,
            group_by: route.group_by.clone(),
            group_wait: route.group_wait,
            group_interval: route.group_interval,
            repeat: route.repeat,
        })
        .collect()
}

/// Values that many checks have in common, kept once.
#[derive(Default)]
struct Shared {
    resolvers: HashMap<Vec<String>, Arc<[String]>>,
    labels: HashMap<Labels, Arc<Labels>>,
    tls: HashMap<u64, Arc<TlsOptions>>,
    identities: identities::Identities,
}

/// As whom a check acts, if as anybody.
#[derive(Default)]
struct Actor<'p> {
    written: Option<&'p Value>,
    identity: Option<Arc<Identity>>,
}

struct Builder<'a> {
    kinds: &'static [KindEntry],
    faults: &'a mut Vec<Fault>,
    secrets: &'a mut Secrets,
    shared: Shared,
    routes: Arc<[Route]>,
    objectives: Vec<(Objective, Vec<CheckId>)>,
}

impl Builder<'_> {
    fn portal(
        &mut self,
        portal: &settings::Portal,
        wanted: &dyn Fn(&CheckId) -> bool,
        checks: &mut Vec<Arc<PlannedCheck>>,
    ) {
        let scope = Arc::new(PortalScope {
            name: portal.name.clone(),
            url: portal.url.clone(),
            hosts: portal.hosts.clone(),
            private: portal.private,
        });
        for check in &portal.checks {
            let id = CheckId::new(&portal.name, &check.name);
            if wanted(&id)
                && let Some(planned) = self.check(id, portal, &scope, check)
            {
                checks.push(Arc::new(planned));
            }
        }
    }

    fn check(
        &mut self,
        id: CheckId,
        portal: &settings::Portal,
        shared: &Arc<PortalScope>,
        check: &settings::Check,
    ) -> Option<PlannedCheck> {
        let kind = self.kinds.iter().find(|kind| kind.name == check.kind)?;
        for fault in &check.tls.faults {
            if !self.faults.contains(fault) {
                self.faults.push(fault.clone());
            }
        }
        let known = self.secrets.resolved.len();
        let path = format!("portals.{}.checks.{}.{}", portal.name, check.name, check.kind);
        let probe = (kind.read)(&check.spec, &mut Reader::new(&path, self.faults, self.secrets))?;
        let mut secrets = self.secrets.resolved[known..].to_vec();
        let actor = self.actor(&*probe, portal, check, &path)?;
        secrets.extend(actor.identity.iter().flat_map(|identity| identity.secrets()));
        let triggered = match probe.triggers() {
            None => None,
            Some(name) => Some(self.triggered(name, portal, shared, check, &path)?),
        };
        let scope = Scope {
            check: id.clone(),
            portal: Arc::clone(shared),
            timeout: check.timeout,
            deadline: check.deadline,
            resolvers: self.shared.resolvers(&check.resolvers),
            tls: self.shared.tls(&check.tls, actor.identity.as_deref()),
            identity: actor.identity,
            triggered,
        };
        let problems = probe.validate(&scope);
        let budgets = self.budgets(portal, check, &*probe);
        let mut reader = Reader::new(&path, self.faults, self.secrets);
        for problem in &problems {
            reader.fault(&check.spec, &problem.path, problem.message.clone());
        }
        problems.is_empty().then(|| PlannedCheck {
            fingerprint: fingerprint::fingerprint(check, &scope, actor.written, &secrets),
            policy: self.policy(id.clone(), kind, check),
            scope,
            kind: kind.name,
            probe,
            every: check.every,
            jitter: check.jitter,
            budgets,
            tracked: self.tracked(&id),
            counts: check.counts.unwrap_or(kind.counts),
            masker: Masker::new(&secrets),
        })
    }

    /// The latency budgets of a check and of its parts.
    fn budgets(
        &mut self,
        portal: &settings::Portal,
        check: &settings::Check,
        probe: &dyn Probe,
    ) -> Arc<[Budget]> {
        let path = format!("portals.{}.checks.{}", portal.name, check.name);
        let mut budgets = Vec::new();
        if let Some((keys, node)) = &check.latency {
            match keys.budget(Part::Whole, check.every) {
                Ok(budget) => budgets.push(budget),
                Err((key, message)) => {
                    let mut reader = Reader::new(&format!("{path}.latency"), self.faults, self.secrets);
                    reader.fault(node, &below(&[], key), message);
                }
            }
        }
        for (place, part, keys) in probe.budgets() {
            match keys.budget(part, check.every) {
                Ok(budget) => budgets.push(budget),
                Err((key, message)) => {
                    let path = format!("{path}.{}", check.kind);
                    let mut reader = Reader::new(&path, self.faults, self.secrets);
                    reader.fault(&check.spec, &below(&place, key), message);
                }
            }
        }
        budgets.into()
    }

    /// The journey that a check runs within its own runs; `None` where that cannot be, which is a fault.
    fn triggered(
        &mut self,
        name: &str,
        portal: &settings::Portal,
        shared: &Arc<PortalScope>,
        check: &settings::Check,
        path: &str,
    ) -> Option<Arc<Triggered>> {
        let journey = portal.checks.iter().find(|other| other.name == name && other.kind == Journey::NAME);
        let known = self.faults.len();
        let planned = journey.and_then(|journey| {
            self.check(CheckId::new(&portal.name, &journey.name), portal, shared, journey)
        });
        // Its own faults are told where it stands, and the first of them here, if that is not looked at.
        let first = self.faults.get(known).map(|fault| fault.message.clone()).unwrap_or_default();
        self.faults.truncate(known);
        let Some(PlannedCheck { probe, scope, masker, .. }) = planned else {
            let message = match journey {
                Some(_) => format!("the journey {name:?} has faults of its own: {first}"),
                None => format!("portal {} has no journey {name:?}", portal.name),
            };
            let key = ["loop", "trigger", "journey"].map(str::to_owned);
            Reader::new(path, self.faults, self.secrets).fault(&check.spec, &key, message);
            return None;
        };
        Some(Arc::new(Triggered { probe, scope, masker }))
    }

    /// As whom a check acts; `None` where that cannot be, which is a fault.
    fn actor<'p>(
        &mut self,
        probe: &dyn Probe,
        portal: &'p settings::Portal,
        check: &settings::Check,
        path: &str,
    ) -> Option<Actor<'p>> {
        let Some(name) = probe.identity() else { return Some(Actor::default()) };
        let Some(found) = portal.identities.iter().find(|identity| identity.name == name) else {
            let message = identities::unknown(portal, name);
            let mut reader = Reader::new(path, self.faults, self.secrets);
            reader.fault(&check.spec, &["as".to_owned()], message);
            return None;
        };
        let identity = self.shared.identities.get(portal, found, self.secrets, self.faults)?;
        Some(Actor { written: Some(&found.spec.value), identity: Some(identity) })
    }

    fn policy(&mut self, id: CheckId, kind: &KindEntry, check: &settings::Check) -> Policy {
        Policy {
            check: id,
            kind: kind.name,
            labels: self.shared.labels(&check.labels),
            every: check.every,
            confirm: kind.confirm,
            findings: kind.findings,
            common: crate::stats::budget::FINDINGS,
            failures: check.confirm.failures,
            successes: check.confirm.successes,
            recheck: check.confirm.recheck,
            unknown_after: check.unknown_after,
            flap_transitions: check.flap.transitions,
            flap_window: check.flap.window,
            routes: Arc::clone(&self.routes),
        }
    }

    fn channels(&mut self, notify: &settings::Notify) -> BTreeMap<String, Channel> {
        let mut channels = BTreeMap::new();
        for (name, channel) in &notify.channels {
            let Some(entry) = notifiers().iter().find(|entry| entry.name == channel.kind) else { continue };
            let path = format!("notify.channels.{name}.{}", channel.kind);
            let mut reader = Reader::new(&path, self.faults, self.secrets);
            if let Some(notifier) = (entry.read)(&channel.spec, &mut reader) {
                let channel = Channel {
                    name: name.clone(),
                    kind: entry.name,
                    notifier,
                    fallback: channel.fallback.clone(),
                    tls: self.shared.tls(&channel.tls, None),
                    per_minute: PER_MINUTE,
                };
                channels.insert(name.clone(), channel);
            }
        }
        channels
    }
}

/// The place of a key below another; an empty one is that place itself.
fn below(place: &[String], key: &str) -> Vec<String> {
    let key = (!key.is_empty()).then(|| key.to_owned());
    place.iter().cloned().chain(key).collect()
}

impl Shared {
    fn resolvers(&mut self, resolvers: &Vec<String>) -> Arc<[String]> {
        if let Some(known) = self.resolvers.get(resolvers) {
            return Arc::clone(known);
        }
        let new: Arc<[String]> = resolvers.as_slice().into();
        self.resolvers.insert(resolvers.clone(), Arc::clone(&new));
        new
    }

    fn labels(&mut self, labels: &Labels) -> Arc<Labels> {
        if let Some(known) = self.labels.get(labels) {
            return Arc::clone(known);
        }
        let new = Arc::new(labels.clone());
        self.labels.insert(labels.clone(), Arc::clone(&new));
        new
    }

    /// TLS settings; the client certificate of an identity comes before theirs.
    fn tls(&mut self, tls: &settings::Tls, identity: Option<&Identity>) -> Arc<TlsOptions> {
        let own = identity.and_then(|identity| identity.client.as_ref());
        let options = TlsOptions {
            ca_pem: tls.ca_pem.clone(),
            server_name: tls.server_name.clone(),
            client: own.or(tls.client.as_ref()).cloned(),
        };
        let key = fingerprint::tls(&options);
        Arc::clone(self.tls.entry(key).or_insert_with(|| Arc::new(options)))
    }
}

/// Warnings about hosts that would be asked very often. Loopback may be.
fn rate_warnings(checks: &[Arc<PlannedCheck>]) -> Vec<String> {
    let mut rates: HashMap<String, f64> = HashMap::new();
    for check in checks {
        for host in check.probe.hosts(&check.scope) {
            *rates.entry(host).or_default() += 1.0 / check.every.as_secs_f64();
        }
    }
    let mut warnings: Vec<String> = rates
        .into_iter()
        .filter(|(host, rate)| *rate > POLITE_RATE && !is_loopback(host))
        .map(|(host, rate)| {
            format!("{host} would be asked {rate:.0} times a second; above {POLITE_RATE:.0} this can look like an attack: raise `every`")
        })
        .collect();
    warnings.sort();
    warnings
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn guard_warning(reference: &[settings::Reference], checks: &[Arc<PlannedCheck>]) -> Option<String> {
    let guarded = checks.iter().any(|check| !check.scope.portal.private);
    (reference.is_empty() && guarded).then(|| {
        "defaults.reference is not set: the own-network guard is off, and an outage of this host's own network would be reported as an outage of the portals".to_owned()
    })
}
