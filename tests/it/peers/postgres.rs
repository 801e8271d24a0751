//! Debian's PostgreSQL, run by `nobody` where the tests are root's.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::process::Process;
use super::{PATIENCE, free_port, poll};

/// PostgreSQL refuses root.
const NOBODY: u32 = 65534;

/// A server on loopback that trusts everybody.
pub struct Postgres {
    process: Process,
    dir: TempDir,
    settings: Vec<String>,
    port: u16,
}

/// Where Debian keeps its programs, newest first.
fn programs() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut found: Vec<PathBuf> = folders
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").is_file())
        .collect();
    found.sort();
    found.pop().unwrap_or_else(|| panic!("postgresql is not installed; scripts/test installs it"))
}

fn command(program: &str, dir: &TempDir) -> Command {
    let mut command = Command::new(programs().join(program));
    command.current_dir(dir.path()).env_clear().env("LANG", "C").env("PATH", "/usr/bin:/bin");
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

fn own(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    if rustix::process::geteuid().is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

impl Postgres {
    /// Starts one with settings and files of its own.
    pub fn start(settings: &[&str], files: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().unwrap();
        own(dir.path(), 0o700);
        let made =
            command("initdb", &dir).args(["-D", "data", "-N", "-A", "trust", "-U", "postgres"]).output();
        let made = made.unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        for (name, content) in files {
            std::fs::write(dir.path().join(name), content).unwrap();
            own(&dir.path().join(name), 0o600);
        }
        let (port, settings) = (free_port(), settings.iter().map(|&one| one.to_owned()).collect());
        let process = launch(&dir, port, &settings);
        Self { process, dir, settings, port }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs a statement as the one who may do everything; what it prints.
    pub fn query(&self, database: &str, sql: &str) -> String {
        let port = self.port.to_string();
        let mut psql = command("psql", &self.dir);
        psql.args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-d", database, "-XAtq", "-c", sql]);
        let said = psql.stdin(Stdio::null()).output().unwrap();
        assert!(said.status.success(), "{sql}: {}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8(said.stdout).unwrap().trim().to_owned()
    }

    /// Ends it without warning.
    pub fn kill(&mut self) {
        // Its children end with it, and let go of what they share.
        self.process.signal(rustix::process::Signal::QUIT);
        assert!(poll(PATIENCE, || self.process.ended()).is_some());
    }

    /// Starts it again after [`Postgres::kill`].
    pub fn start_again(&mut self) {
        std::fs::write(self.dir.path().join("log"), "").unwrap();
        self.process = launch(&self.dir, self.port, &self.settings);
    }
}

fn launch(dir: &TempDir, port: u16, settings: &Vec<String>) -> Process {
    let mut server = command("postgres", dir);
    server.args(["-D", "data", "-p", &port.to_string(), "-h", "127.0.0.1", "-k", ""]);
    for setting in settings {
        server.args(["-c", setting]);
    }
    let mut process = Process::start(&mut server, &dir.path().join("log"));
    let up = poll(PATIENCE, || {
        let ended = process.ended().is_some().then_some(false);
        ended.or_else(|| process.log().contains("ready to accept").then_some(true))
    });
    assert_eq!(up, Some(true), "PostgreSQL does not start: {}", process.log());
    process
}
