//! Changing the config under a running daemon.

use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::peers::{Daemon, Nginx, PATIENCE, free_port, poll};

/// A daemon whose config stands in a folder.
struct Running {
    daemon: Daemon,
    folder: TempDir,
    nginx: Nginx,
    port: u16,
}

impl Running {
    fn start(place: fn(&Path, &str) -> PathBuf, checks: &str) -> Self {
        let nginx = Nginx::start("location = /bad { return 502; }\nlocation / { return 200 fine; }");
        let (folder, port) = (TempDir::new().unwrap(), free_port());
        let file = place(folder.path(), &config(port, &nginx, checks));
        let mut daemon = Daemon::start(&file, port, &[]);
        daemon.wait_ready(PATIENCE);
        let running = Self { daemon, folder, nginx, port };
        running
            .wait_for("has run", |page| page.contains("portalwatch_check_up{portal=\"acme\",check=\"one\""));
        running
    }

    fn config(&self, checks: &str) -> String {
        config(self.port, &self.nginx, checks)
    }

    fn write(&self, text: &str) {
        std::fs::write(self.folder.path().join("monitor.yaml"), text).unwrap();
    }

    fn wait_for(&self, what: &str, condition: impl Fn(&str) -> bool) {
        let met = poll(PATIENCE, || condition(&self.daemon.metrics()).then_some(()));
        assert!(met.is_some(), "{what}: {}\n{}", self.daemon.metrics(), self.daemon.log());
    }

    fn wait_for_check(&self, name: &str, there: bool) {
        let series = format!("check=\"{name}\"");
        self.wait_for(&format!("{name} {there}"), |page| page.contains(&series) == there);
    }

    fn wait_for_success(&self, success: u8) {
        let line = format!("portalwatch_config_last_reload_successful {success}\n");
        self.wait_for(&line, |page| page.contains(&line));
    }
}

fn config(port: u16, nginx: &Nginx, checks: &str) -> String {
    format!(
        "server: {{listen: '127.0.0.1:{port}'}}
defaults: {{every: 1s, timeout: 1s, confirm: {{failures: 1, successes: 1}}}}
portals:
  acme:
    url: {}
    private: true
    checks:
{checks}",
        nginx.url()
    )
}

const ONE: &str = "      one: {http: {}}\n";
const TWO: &str = "      one: {http: {}}\n      two: {http: {}}\n";

fn plainly(folder: &Path, text: &str) -> PathBuf {
    let file = folder.join("monitor.yaml");
    std::fs::write(&file, text).unwrap();
    file
}

#[test]
fn a_write_and_a_rename_are_noticed_and_what_is_gone_leaves_no_series() {
    let running = Running::start(plainly, ONE);
    running.write(&running.config(TWO));
    running.wait_for_check("two", true);
    let new = running.folder.path().join("new");
    std::fs::write(&new, running.config(ONE)).unwrap();
    std::fs::rename(&new, running.folder.path().join("monitor.yaml")).unwrap();
    running.wait_for_check("two", false);
    running.wait_for_check("one", true);
}

/// As Kubernetes does: the file is a link into `..data`, which is a link to a folder.
fn as_kubernetes_does(folder: &Path, text: &str) -> PathBuf {
    std::fs::create_dir(folder.join("..1")).unwrap();
    plainly(&folder.join("..1"), text);
    std::os::unix::fs::symlink("..1", folder.join("..data")).unwrap();
    std::os::unix::fs::symlink("..data/monitor.yaml", folder.join("monitor.yaml")).unwrap();
    folder.join("monitor.yaml")
}

#[test]
fn a_swapped_link_is_noticed() {
    let running = Running::start(as_kubernetes_does, ONE);
    let folder = running.folder.path();
    std::fs::create_dir(folder.join("..2")).unwrap();
    plainly(&folder.join("..2"), &running.config(TWO));
    std::os::unix::fs::symlink("..2", folder.join("..data_tmp")).unwrap();
    std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    running.wait_for_check("two", true);
}

#[test]
fn sighup_reloads_without_a_change() {
    let running = Running::start(plainly, ONE);
    let before = running.daemon.log().matches("the config was reloaded").count();
    let pid = Pid::from_raw(i32::try_from(running.daemon.pid()).unwrap()).unwrap();
    kill_process(pid, Signal::HUP).unwrap();
    running.wait_for("SIGHUP", |_| {
        running.daemon.log().matches("the config was reloaded").count() == before + 1
    });
    assert!(running.daemon.log().contains("SIGHUP"));
}

#[test]
fn a_bad_edit_changes_nothing_and_says_everything_that_is_wrong_with_it() {
    let running = Running::start(plainly, ONE);
    running.wait_for_success(1);
    running.write(&running.config("      one: {htpp: {}}\n      two: {http: {expect: {staus: 200}}}\n"));
    running.wait_for_success(0);
    let log = running.daemon.log();
    assert!(log.contains("htpp") && log.contains("staus"), "{log}");
    // The running plan goes on: the check is asked again.
    let asked = running.nginx.requests().len();
    running.wait_for("goes on", |_| running.nginx.requests().len() > asked + 1);
    running.wait_for_check("one", true);
    running.wait_for_check("two", false);
    running.write(&running.config(TWO));
    running.wait_for_success(1);
    running.wait_for_check("two", true);
}

#[test]
fn what_stays_keeps_its_state_and_its_schedule_and_what_goes_closes_its_incident() {
    let checks = "      one: {http: {}}\n      hourly: {every: 1h, http: {path: /hourly}}\n      bad: {http: {path: /bad}}\n";
    let running = Running::start(plainly, checks);
    running
        .wait_for("incident", |page| page.contains("portalwatch_incidents_open{severity=\"critical\"} 1\n"));
    // It first runs within half a minute.
    let hourly = || running.nginx.requests().iter().filter(|line| line.contains("/hourly")).count();
    running.wait_for("hourly", |_| hourly() == 1);
    let since = |page: &str| -> Vec<String> {
        page.lines()
            .filter(|line| line.contains("check=\"hourly\"") && line.contains("last_duration"))
            .map(str::to_owned)
            .collect()
    };
    running.wait_for("hourly is shown", |page| !since(page).is_empty());
    let before = since(&running.daemon.metrics());
    running.write(&running.config(&format!("{checks}      more: {{http: {{}}}}\n")));
    running.wait_for_check("more", true);
    assert_eq!(since(&running.daemon.metrics()), before);
    running.wait_for("still open", |page| {
        page.contains("portalwatch_incidents_open{severity=\"critical\"} 1\n")
    });

    running.write(&running.config(&checks.replace("      bad: {http: {path: /bad}}\n", "")));
    running.wait_for_check("bad", false);
    running.wait_for("closed", |page| page.contains("portalwatch_incidents_open{severity=\"critical\"} 0\n"));
    assert_eq!(hourly(), 1, "a reload is no reason to run");
}

#[test]
fn a_changed_secret_file_is_taken_up() {
    let place = |folder: &Path, text: &str| {
        std::fs::write(folder.join("token"), "first-token\n").unwrap();
        plainly(folder, text)
    };
    let running = Running::start(place, "      one: {http: {query: {t: {file: token}}}}\n");
    let asked = |token: &str| running.nginx.requests().iter().any(|line| line.contains(token));
    assert!(asked("first-token") && !asked("second-token"));
    std::fs::write(running.folder.path().join("token"), "second-token\n").unwrap();
    running.wait_for("second token", |_| asked("second-token"));
}
