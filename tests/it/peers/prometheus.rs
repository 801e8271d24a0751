//! Debian's Prometheus and promtool.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use url::form_urlencoded::byte_serialize;

use super::process::Process;
use super::{PATIENCE, free_port, get, poll, program};

/// A Prometheus that scrapes one port every second.
pub struct Prometheus {
    _process: Process,
    _dir: TempDir,
    port: u16,
}

impl Prometheus {
    pub fn start(target: u16) -> Self {
        let dir = TempDir::new().unwrap();
        let config = dir.path().join("prometheus.yml");
        let text = format!(
            "scrape_configs:\n- job_name: portalwatch\n  scrape_interval: 1s\n  scrape_timeout: 1s\n  \
             static_configs: [{{targets: ['127.0.0.1:{target}']}}]\n"
        );
        std::fs::write(&config, text).unwrap();
        let port = free_port();
        let mut command = Command::new(program("prometheus"));
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let mut process = Process::start(&mut command, &dir.path().join("log"));
        let up = poll(PATIENCE, || {
            let ended = process.ended().is_some().then_some(false);
            ended.or_else(|| get(port, "/-/ready").is_ok_and(|answer| answer.status == 200).then_some(true))
        });
        assert_eq!(up, Some(true), "prometheus does not start: {}", process.log());
        Self { _process: process, _dir: dir, port }
    }

    /// The result of an instant query: a list of series.
    pub fn query(&self, expression: &str) -> Vec<Value> {
        let query: String = byte_serialize(expression.as_bytes()).collect();
        let answer = get(self.port, &format!("/api/v1/query?query={query}")).unwrap();
        let parsed: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(parsed["status"], "success", "{expression}: {}", answer.body);
        parsed["data"]["result"].as_array().cloned().unwrap_or_default()
    }

    /// Waits until the query has a result.
    pub fn wait_for(&self, expression: &str, deadline: Duration) -> Vec<Value> {
        poll(deadline, || Some(self.query(expression)).filter(|series| !series.is_empty()))
            .unwrap_or_else(|| panic!("no result of {expression} after {deadline:?}"))
    }
}

/// Asks promtool about a metrics page.
///
/// # Errors
/// Everything it has to say.
pub fn promtool_check(text: &str) -> Result<(), String> {
    let mut child = Command::new(program("promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    if output.status.success() && said.is_empty() {
        return Ok(());
    }
    Err(format!("{}: {}", output.status, String::from_utf8_lossy(&said)))
}
