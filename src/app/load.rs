//! What commands need built: plans, networks, lone checks.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::store::{self, StoreLedger};
use super::user_agent;
use super::wire::NetWire;
use crate::alert::Policy;
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Environment, SecretPolicy, Settings, Vocabulary, settings};
use schemars::{Schema, SchemaGenerator};

use crate::formats::yaml::Fault;
use crate::model::{Baselines, CheckId, Delivery, Ledger, Masker};
use crate::net::{Net, NetOptions, TlsOptions};
use crate::notify::{deliver, notifiers};
use crate::plan::{self, Plan, PlannedCheck};
use crate::probe::{Memory, PortalScope, Probe, Scope, kinds};
use crate::record::{Figures, Ran, StoreError};
use crate::run::Surroundings;
use crate::run::guard::OwnNetwork;
use crate::stats::objective::Objective;
use crate::stats::samples::Rules;

/// The memories that the daemon's store holds for each check's kind.
pub type Memories = HashMap<CheckId, Memory>;

/// The settings of a config.
fn for_plan(path: &Path, policy: SecretPolicy) -> Result<Settings, Vec<Fault>> {
    with_vocabulary(|vocabulary| config::load_for_plan(path, vocabulary, &Environment::of_process(), policy))
}

fn settings(path: &Path, policy: SecretPolicy) -> Result<Settings, Vec<Fault>> {
    with_vocabulary(|vocabulary| config::load(path, vocabulary, &Environment::of_process(), policy))
}

/// Gives the reader of the config the names of kinds and channel types.
fn with_vocabulary<R>(read: impl FnOnce(&Vocabulary<'_>) -> R) -> R {
    let kinds: Vec<&str> = kinds().iter().map(|kind| kind.name).collect();
    let channels: Vec<&str> = notifiers().iter().map(|notifier| notifier.name).collect();
    read(&Vocabulary { kinds: &kinds, channels: &channels })
}

/// The database of a config, with its secrets, whatever else they are needed for.
pub(super) fn database(path: &Path) -> Result<settings::Database, Vec<Fault>> {
    let storage = settings(path, SecretPolicy::Leave)?.storage;
    if storage.faults.is_empty() { Ok(storage.database) } else { Err(storage.faults) }
}

/// The whole plan of a config, and the settings that are the daemon's own.
///
/// # Errors
/// Everything that is wrong with the config.
pub fn plan(path: &Path) -> Result<(Plan, settings::Server, settings::Storage), Vec<Fault>> {
    plan::build(for_plan(path, SecretPolicy::Resolve)?, &|_| true, true)
}

/// The plan of some checks, without channels: needs the secrets of those checks only.
///
/// # Errors
/// Everything that is wrong with the config or these checks.
pub fn plan_for_check(path: &Path, wanted: &dyn Fn(&CheckId) -> bool) -> Result<Plan, Vec<Fault>> {
    plan::build(for_plan(path, SecretPolicy::Leave)?, wanted, false).map(|(plan, ..)| plan)
}

/// Where the daemon of this config listens.
///
/// # Errors
/// Everything that is wrong with the config.
pub fn listen_address(path: &Path) -> Result<SocketAddr, Vec<Fault>> {
    Ok(settings(path, SecretPolicy::Leave)?.server.listen)
}

/// The effective config as YAML, secrets masked.
///
/// # Errors
/// Everything that is wrong with the config.
pub fn show(path: &Path) -> Result<String, Vec<Fault>> {
    with_vocabulary(|vocabulary| config::show(path, vocabulary, &Environment::of_process()))
}

/// The effective config as JSON, secrets masked.
///
/// # Errors
/// Everything that is wrong with the config.
pub fn show_json(path: &Path) -> Result<serde_json::Value, Vec<Fault>> {
    with_vocabulary(|vocabulary| config::show_json(path, vocabulary, &Environment::of_process()))
}

/// What the config says of each check, as YAML, secrets masked.
///
/// # Errors
/// Everything that is wrong with the config.
pub fn show_checks(path: &Path) -> Result<BTreeMap<CheckId, String>, Vec<Fault>> {
    with_vocabulary(|vocabulary| config::show_checks(path, vocabulary, &Environment::of_process()))
}

/// The JSON Schema of the config.
pub fn schema() -> serde_json::Value {
    // One generator for all, so that types of the same name get definitions of their own.
    let mut generator = SchemaGenerator::default();
    let mut of = |schema: fn(&mut SchemaGenerator) -> Schema| schema(&mut generator).to_value();
    let kinds: Vec<_> = kinds().iter().map(|kind| (kind.name, of(kind.schema))).collect();
    let channels: Vec<_> = notifiers().iter().map(|notifier| (notifier.name, of(notifier.schema))).collect();
    config::schema(kinds, channels, generator.take_definitions(true))
}

/// A network with the limits of a config, whose traffic names the operator's public address.
pub fn net(limits: settings::Limits, external_url: Option<&url::Url>) -> Arc<Net> {
    Arc::new(Net::new(NetOptions {
        per_host: limits.per_host,
        global: limits.global,
        user_agent: user_agent(external_url),
        hosts: BTreeMap::new(),
    }))
}

/// A network with the usual limits.
pub fn plain_net() -> Arc<Net> {
    net(settings::Limits::default(), None)
}

/// What the passes of `check` need. They write only if there is a ledger to enter it in.
pub fn surroundings(
    plan: &Plan,
    ledger: Option<Arc<dyn Ledger>>,
    baselines: Arc<dyn Baselines>,
) -> Surroundings {
    let net = net(plan.limits, Some(&plan.external_url));
    let own_network = OwnNetwork::new(Arc::clone(&plan.reference), Arc::clone(&net));
    let writes = ledger.is_some();
    let (clock, baselines) = (Arc::new(SystemClock), Some(baselines));
    Surroundings { net, own_network, clock, ledger, baselines, writes }
}

/// What the pass of `inspect` needs.
pub fn lone_surroundings() -> Surroundings {
    let net = plain_net();
    let own_network = OwnNetwork::new(Arc::default(), Arc::clone(&net));
    Surroundings {
        net,
        own_network,
        clock: Arc::new(SystemClock),
        ledger: None,
        baselines: None,
        writes: false,
    }
}

/// What the command line says of a lone target.
pub struct Target {
    /// Bounds one operation.
    pub timeout: Duration,
    /// The resolvers; none means the system's.
    pub resolvers: Vec<String>,
    /// Certificates trusted beside the usual.
    pub ca_pem: Option<Arc<str>>,
}

/// A check that stands in no config. An operator named its target, so it may be private.
pub fn lone_check(probe: Arc<dyn Probe>, target: Target) -> PlannedCheck {
    let kind = probe.kind();
    let id = CheckId::new("inspect", kind);
    let resolvers = if target.resolvers.is_empty() { vec!["system".to_owned()] } else { target.resolvers };
    let scope = Scope {
        check: id.clone(),
        portal: Arc::new(PortalScope { name: "inspect".to_owned(), private: true, ..PortalScope::default() }),
        timeout: target.timeout,
        deadline: target.timeout.saturating_mul(12),
        resolvers: resolvers.into(),
        tls: Arc::new(TlsOptions { ca_pem: target.ca_pem, ..TlsOptions::default() }),
        identity: None,
        triggered: None,
    };
    let every = Duration::from_secs(60);
    PlannedCheck {
        policy: Policy::of_removed(id),
        scope,
        kind,
        probe,
        every,
        jitter: Duration::ZERO,
        budgets: Arc::default(),
        tracked: None,
        counts: false,
        fingerprint: 0,
        masker: Masker::default(),
    }
}

/// What the store of a config remembers for each check's kind; nothing where there is no store yet
/// or it cannot be read, which `check` gets along without.
pub async fn memories(path: &Path) -> Memories {
    let Ok(database) = database(path) else { return Memories::new() };
    let Ok(store) = store::open(&database, store::Mode::Reader, None).await else { return Memories::new() };
    let resumed = store.resume().await.unwrap_or_default();
    resumed.into_iter().map(|resumed| (resumed.check, resumed.memory)).collect()
}

/// The results that the latency budgets of these checks look back at; none where there is no store yet
/// or it cannot be read.
pub async fn pasts(path: &Path, checks: &[Arc<PlannedCheck>], now: Timestamp) -> HashMap<CheckId, Vec<Ran>> {
    let mut pasts = HashMap::new();
    let longest = |check: &PlannedCheck| check.budgets.iter().map(|budget| budget.window).max();
    if checks.iter().all(|check| longest(check).is_none()) {
        return pasts;
    }
    let Ok(database) = database(path) else { return pasts };
    let Ok(store) = store::open(&database, store::Mode::Reader, None).await else { return pasts };
    for check in checks {
        let Some(window) = longest(check) else { continue };
        let from = now.saturating_sub(window).unwrap_or(Timestamp::MIN);
        let id = &check.scope.check;
        if let Ok(past) = store.ran(Some(id), from, now).await {
            pasts.insert(id.clone(), past);
        }
    }
    pasts
}

/// The ledger of writes in a config's store, for a command that writes. The database is made or opened
/// once something is entered.
///
/// # Errors
/// Everything that is wrong with the config.
pub fn ledger(path: &Path) -> Result<StoreLedger, Vec<Fault>> {
    Ok(StoreLedger::of_command(&database(path)?))
}

/// What people decided, in a config's store.
///
/// # Errors
/// Everything that is wrong with the config.
pub fn baselines(path: &Path) -> Result<Arc<dyn Baselines>, Vec<Fault>> {
    Ok(store::baselines(&database(path)?))
}

/// The checks of a config, for judging what is recorded of them: needs no secrets.
///
/// # Errors
/// Everything that is wrong with the config.
pub fn plan_for_replay(path: &Path, wanted: &dyn Fn(&CheckId) -> bool) -> Result<Plan, Vec<Fault>> {
    plan::build_for_replay(for_plan(path, SecretPolicy::Leave)?, wanted)
}

/// What reports are made of.
pub struct Recorded {
    /// The store.
    pub store: Arc<dyn Figures>,
    /// `notify.timezone`.
    pub timezone: jiff::tz::TimeZone,
    /// The checks of the config, in its order.
    pub checks: Vec<ConfiguredCheck>,
    /// What is promised of which checks together.
    pub objectives: Vec<(Objective, Vec<CheckId>)>,
}

/// What a report has to know of a check.
pub struct ConfiguredCheck {
    /// Which.
    pub id: CheckId,
    /// Whether it counts for the uptime of its portal.
    pub counts: bool,
    /// How it runs.
    pub rules: Rules,
}

/// Why there is nothing to report from.
#[derive(Debug, thiserror::Error)]
pub enum RecordedError {
    /// The config is bad.
    #[error("the config has faults")]
    Config(Vec<Fault>),
    /// The store cannot be read.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// The record of a config, for reading. Needs no secrets of checks.
///
/// # Errors
/// A bad config, or a store that cannot be read.
pub async fn recorded(path: &Path) -> Result<Recorded, RecordedError> {
    let settings = settings(path, SecretPolicy::Leave).map_err(RecordedError::Config)?;
    if !settings.storage.faults.is_empty() {
        return Err(RecordedError::Config(settings.storage.faults));
    }
    let store = store::open(&settings.storage.database, store::Mode::Reader, None).await?;
    let counts = |kind: &str| kinds().iter().any(|entry| entry.name == kind && entry.counts);
    let check = |portal: &settings::Portal, check: &settings::Check| ConfiguredCheck {
        id: CheckId::new(&portal.name, &check.name),
        counts: check.counts.unwrap_or_else(|| counts(&check.kind)),
        rules: Rules { every: check.every, timeout: check.timeout.min(check.deadline) },
    };
    let checks =
        settings.portals.iter().flat_map(|portal| portal.checks.iter().map(move |one| (portal, one)));
    let checks = checks.map(|(portal, one)| check(portal, one)).collect();
    let objectives = plan::objectives_of(&settings);
    Ok(Recorded { store, timezone: settings.notify.timezone, checks, objectives })
}

/// Why no test message was sent.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    /// The config is bad.
    #[error("the config has faults")]
    Config(Vec<Fault>),
    /// There is no such channel.
    #[error("no channel is called {name:?}; the config has {}", if known.is_empty() { "none".to_owned() } else { known.join(", ") })]
    NoChannel {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
}

/// Sends a real test message through a channel.
///
/// # Errors
/// A bad config, or no such channel. A message that could not be sent is a [`Delivery`].
pub async fn notify_test(path: &Path, channel: &str) -> Result<Delivery, TestError> {
    let (plan, ..) = plan(path).map_err(TestError::Config)?;
    let Some(found) = plan.channels.by_name.get(channel) else {
        let known = plan.channels.by_name.keys().cloned().collect();
        return Err(TestError::NoChannel { name: channel.to_owned(), known });
    };
    let wire = NetWire(net(plan.limits, Some(&plan.external_url)));
    Ok(deliver::send_test(found, &plan.channels, &wire, SystemClock.now()).await)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::model::ledger::{Budget, Entry};

    const CA: &str = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";

    fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("monitor.yaml");
        std::fs::write(&file, text.replace("DIR", &folder.path().display().to_string())).unwrap();
        std::fs::write(folder.path().join("ca.pem"), CA).unwrap();
        (folder, file)
    }

    #[test]
    fn a_check_by_hand_trusts_what_the_daemon_trusts() {
        let (_folder, file) = written(
            "portals: {a: {url: 'https://a.example', tls: {ca_file: DIR/ca.pem}, checks: {c: {http: {}}}}}",
        );
        let plan = plan_for_check(&file, &|_| true).unwrap();
        assert_eq!(plan.checks[0].scope.tls.ca_pem.as_deref(), Some(CA));
    }

    #[test]
    fn a_check_by_hand_needs_the_files_of_the_checks_it_runs_alone() {
        let (_folder, file) = written(
            "portals: {a: {url: 'https://a.example', checks: {bad: {http: {}, tls: {ca_file: DIR/none.pem}}, good: {http: {}}}}}",
        );
        assert_eq!(plan_for_check(&file, &|id| id.name() == "good").unwrap().checks.len(), 1);
        let faults = plan_for_check(&file, &|id| id.name() == "bad").map(drop).unwrap_err();
        assert!(faults.len() == 1 && faults[0].to_string().contains("none.pem"), "{faults:?}");
    }

    #[tokio::test]
    async fn a_check_that_writes_enters_it_in_the_store_of_the_config_and_makes_it_only_then() {
        let portals = "portals: {a: {url: 'https://a.example', checks: {c: {http: {}}}}}";
        let (folder, file) = written(&format!("storage: {{url: 'sqlite://DIR/new/record.db'}}\n{portals}"));
        let database = folder.path().join("new/record.db");
        let ledger = ledger(&file).unwrap();
        assert!(!database.exists());
        let (now, check) = (SystemClock.now(), CheckId::new("a", "c"));
        let budget = Budget { limit: 1, since: now };
        assert_eq!(ledger.shared().enter(&check, "r1", now, now, budget).await.unwrap(), Entry::Entered);
        ledger.close().await;
        let database = settings::Database::Sqlite(database);
        let store = store::open(&database, store::Mode::Daemon { full_sync: true }, None).await.unwrap();
        assert!(store.resume().await.unwrap().is_empty(), "the daemon can start on it");
    }

    #[test]
    fn faults_of_kinds_and_channels_come_with_all_others_in_the_order_of_the_lines() {
        let (_folder, file) = written(
            "portals:\n  a:\n    url: https://a.example\n    checks:\n      c: {http: {pth: /}}\n      d: {evry: 5s, http: {}}\nnotify: {channels: {w: {webhook: {ulr: x}}}}\nserver: {lsten: 1}\n",
        );
        let faults = plan(&file).map(drop).unwrap_err();
        let lines: Vec<_> = faults.iter().map(|fault| fault.at.as_ref().unwrap().line).collect();
        assert!(lines.is_sorted(), "{faults:#?}");
        assert_eq!(std::collections::BTreeSet::from_iter(lines), [5, 6, 7, 8].into());
    }
}
