//! What the portals have in common: where they are installed, prepared sites of which each test gets
//! a copy, and a server that can be stopped and started again.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::process::Process;
use super::{get, poll, read};

const HOME: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/portals");

/// How long a portal may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running portal; [`super::Roundup`], [`super::Wagtail`] and [`super::NodeRed`] are some.
pub struct Portal {
    process: Option<Process>,
    command: Command,
    dir: TempDir,
    port: u16,
    ready: &'static str,
}

impl Portal {
    /// Who signs in.
    pub const USERNAME: &str = "probe";
    /// Their password. Each encoding writes it differently, so that a search for it means something.
    pub const PASSWORD: &str = "pw 7&\"<é>+%/x";

    /// Runs the command, which serves the folder on the port, and waits until `ready` answers 200.
    pub(super) fn start(dir: TempDir, port: u16, command: Command, ready: &'static str) -> Self {
        let mut portal = Self { process: None, command, dir, port, ready };
        portal.start_again();
        portal
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// `http://127.0.0.1:PORT`, its origin.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Refuses connections from here on. What was written stays.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Serves again, on the same port and with what was written before.
    pub fn start_again(&mut self) {
        self.stop();
        let mut process = Process::start(&mut self.command, &self.dir.path().join("output"));
        let up = poll(PATIENCE, || {
            let ended = process.ended().is_some().then_some(false);
            ended.or_else(|| {
                get(self.port, self.ready).is_ok_and(|answer| answer.status == 200).then_some(true)
            })
        });
        assert_eq!(up, Some(true), "{:?} does not start: {}", self.command, process.log());
        self.process = Some(process);
    }

    /// The requests answered so far, one a line: `METHOD PATH STATUS`. A request is there before its
    /// answer is sent. Those that waited for the start are among them.
    pub fn requests(&self) -> Vec<String> {
        read(&self.access_log()).lines().filter_map(request).collect()
    }

    /// Everything it wrote to its outputs.
    pub fn log(&self) -> String {
        read(&self.dir.path().join("output"))
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn count(&self, request: &str) -> usize {
        self.requests().iter().filter(|line| line.starts_with(request)).count()
    }

    fn access_log(&self) -> PathBuf {
        access_log(self.dir.path())
    }
}

/// Where the portal of a folder writes a line `… "METHOD PATH HTTP/VERSION" STATUS …` per request.
pub(super) fn access_log(dir: &Path) -> PathBuf {
    dir.join("access.log")
}

fn request(line: &str) -> Option<String> {
    let (request, rest) = line.split_once('"')?.1.split_once("\" ")?;
    let (request, _) = request.rsplit_once(" HTTP/")?;
    Some(format!("{request} {}", rest.split_whitespace().next()?))
}

/// A file of the installation.
pub(super) fn installed(path: &str) -> PathBuf {
    let home = Path::new(HOME);
    assert!(
        home.join("stamp").is_file(),
        "the portals are not installed in {HOME}; ./scripts/portals does it, and ./scripts/test runs that"
    );
    home.join(path)
}

/// A command that runs in the folder and knows nothing of this environment but where programs are.
pub(super) fn command(program: &Path, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(dir).env_clear().env("HOME", dir).env("LANG", "C.UTF-8");
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// Runs a command to its end; returns what it wrote to its standard output.
pub(super) fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {said}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// A copy of a site. It is built once and kept with the installation until its recipe changes.
pub(super) fn site(name: &str, recipe: &str, build: impl FnOnce(&Path)) -> TempDir {
    let sites = installed("sites");
    std::fs::create_dir_all(&sites).unwrap();
    let lock = File::create(sites.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    let (built, mark) = (sites.join(name), sites.join(format!("{name}.recipe")));
    if read(&mark) != recipe {
        std::fs::write(&mark, "").unwrap();
        if built.exists() {
            std::fs::remove_dir_all(&built).unwrap();
        }
        std::fs::create_dir(&built).unwrap();
        build(&built);
        std::fs::write(&mark, recipe).unwrap();
    }
    let copy = TempDir::new().unwrap();
    copy_content(&built, copy.path());
    copy
}

fn copy_content(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy_content(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
