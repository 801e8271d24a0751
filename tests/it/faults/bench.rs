//! What every scenario needs: a config, a daemon on it, and somebody who is told.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use portalwatch::record::sqlite::{Mode, Sqlite};
use portalwatch::record::{Gap, ResultRow, Store};
use tempfile::TempDir;

use super::hook::Hook;
use crate::peers::{Daemon, PATIENCE, free_port, poll};

/// The longest that anything told through the monitor's own evaluations may take: four of them,
/// fifteen seconds apart, and a busy machine.
pub const SLOW: Duration = Duration::from_secs(150);

/// A config that tells a webhook, in a folder of its own.
pub struct Bench {
    dir: TempDir,
    port: u16,
    pub hook: Hook,
}

impl Bench {
    /// `rest` is the rest of the config: `portals`, and `defaults` if others than these are wanted.
    pub fn new(rest: &str) -> Self {
        let bench = Self { dir: TempDir::new().unwrap(), port: free_port(), hook: Hook::start() };
        bench.write(rest);
        bench
    }

    /// Replaces the config.
    pub fn write(&self, rest: &str) {
        let defaults = if rest.contains("defaults:") {
            ""
        } else {
            "defaults: { every: 1s, timeout: 1s, confirm: { failures: 2, successes: 2, recheck: 100ms } }\n"
        };
        let text = format!(
            "server: {{ listen: '127.0.0.1:{}' }}\n\
             storage: {{ url: 'sqlite://record/portalwatch.db' }}\n\
             notify:\n  channels: {{ hook: {{ webhook: {{ url: 'http://127.0.0.1:{}/' }} }} }}\n  \
             routes: [ {{ to: [hook], group_wait: 0s, group_interval: 1s }} ]\n{defaults}{rest}\n",
            self.port,
            self.hook.port(),
        );
        std::fs::write(self.config(), text).unwrap();
    }

    pub fn config(&self) -> PathBuf {
        self.dir.path().join("monitor.yaml")
    }

    /// The folder of the database.
    pub fn record(&self) -> PathBuf {
        self.dir.path().join("record")
    }

    pub fn database(&self) -> PathBuf {
        self.record().join("portalwatch.db")
    }

    /// Starts the daemon, and waits until it is ready.
    pub fn start(&self) -> Daemon {
        let mut daemon = Daemon::start(&self.config(), self.port, &[]);
        daemon.wait_ready(PATIENCE);
        daemon
    }

    /// Starts it by a shell that runs `before` first.
    pub fn start_after(&self, before: &str) -> Daemon {
        let mut daemon = Daemon::start_after(before, &self.config(), self.port);
        daemon.wait_ready(PATIENCE);
        daemon
    }
}

/// Waits until the metrics page holds the line.
pub fn wait_metric(daemon: &Daemon, line: &str, deadline: Duration) {
    let found = poll(deadline, || daemon.metrics().lines().any(|found| found == line).then_some(()));
    assert!(found.is_some(), "no {line:?} in {}\n{}", daemon.metrics(), daemon.log());
}

/// Waits until the verdict of a check of portal `acme` is shown.
pub fn wait_verdict(daemon: &Daemon, check: &str, verdict: &str, deadline: Duration) {
    let series = "portalwatch_check_verdict";
    let line = format!("{series}{{portal=\"acme\",check=\"{check}\",verdict=\"{verdict}\"}} 1");
    wait_metric(daemon, &line, deadline);
}

/// How often runs started.
pub fn started(daemon: &Daemon) -> usize {
    let metrics = daemon.metrics();
    let line = "portalwatch_scheduler_runs_total{outcome=\"started\"} ";
    let count = metrics.lines().find_map(|found| found.strip_prefix(line));
    count.map_or(0, |count| count.parse().unwrap())
}

/// What `/readyz` says of the store.
pub fn wait_store(daemon: &Daemon, state: &str, deadline: Duration) {
    let want = format!("\"store\":\"{state}\"");
    let found = poll(deadline, || daemon.get("/readyz").body.replace(' ', "").contains(&want).then_some(()));
    assert!(found.is_some(), "no {want} in {}\n{}", daemon.get("/readyz").body, daemon.log());
}

/// Reads what is on disk, as `report` would.
pub fn on_disk<T, F>(database: &Path, read: impl FnOnce(Sqlite) -> F) -> T
where
    F: Future<Output = T>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { read(Sqlite::open(database, Mode::Reader).await.unwrap()).await })
}

/// All results of a check.
pub fn results(database: &Path, check: &str) -> Vec<ResultRow> {
    on_disk(database, |store| async move {
        store.history(&check.into(), Timestamp::MIN, Timestamp::MAX, usize::MAX >> 1).await.unwrap()
    })
}

/// All gaps.
pub fn gaps(database: &Path) -> Vec<Gap> {
    on_disk(database, |store| async move { store.gaps(Timestamp::MIN, Timestamp::MAX).await.unwrap() })
}

/// The checks whose incidents are open.
pub fn open_incidents(database: &Path) -> Vec<String> {
    let open = on_disk(database, |store| async move { store.open_incidents().await.unwrap() });
    open.iter().map(|incident| incident.check.to_string()).collect()
}
