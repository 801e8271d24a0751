//! portalwatch itself, as a process.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use super::http::{Response, get};
use super::poll;
use super::process::Process;

const PROGRAM: &str = env!("CARGO_BIN_EXE_portalwatch");

/// A running daemon.
pub struct Daemon {
    process: Process,
    port: u16,
}

impl Daemon {
    /// Starts `portalwatch run -c config` with nothing of this environment but what is given. The
    /// config's folder is where it keeps its state; `port` is the one its config listens on.
    pub fn start(config: &Path, port: u16, environment: &[(&str, &str)]) -> Self {
        Self::launch(Command::new(PROGRAM), config, port, environment)
    }

    /// As [`Daemon::start`], by a shell that runs `before` first, such as `ulimit -Hn 64`.
    pub fn start_after(before: &str, config: &Path, port: u16) -> Self {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(format!("{before}; exec \"$0\" \"$@\"")).arg(PROGRAM);
        Self::launch(command, config, port, &[])
    }

    fn launch(mut command: Command, config: &Path, port: u16, environment: &[(&str, &str)]) -> Self {
        let folder = config.parent().map_or_else(PathBuf::new, Path::to_owned);
        command.arg("run").arg("-c").arg(config);
        command.env_clear().env("STATE_DIRECTORY", &folder).envs(environment.iter().copied());
        Self { process: Process::start(&mut command, &folder.join("daemon.log")), port }
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Waits for 200 from `/readyz`; panics with the log if it ends or the time is over.
    pub fn wait_ready(&mut self, deadline: Duration) {
        let ready = poll(deadline, || {
            let ended = self.process.ended().is_some().then_some(false);
            ended.or_else(|| {
                get(self.port, "/readyz").is_ok_and(|answer| answer.status == 200).then_some(true)
            })
        });
        assert_eq!(ready, Some(true), "portalwatch is not ready: {}", self.log());
    }

    pub fn get(&self, path: &str) -> Response {
        get(self.port, path).unwrap_or_else(|error| panic!("{path}: {error}; {}", self.log()))
    }

    /// The metrics page.
    pub fn metrics(&self) -> String {
        self.get("/metrics").body
    }

    /// The page for people.
    pub fn page(&self) -> String {
        self.get("/").body
    }

    /// Everything it logged, of earlier starts with the same config too.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Ends it without warning.
    pub fn kill9(mut self) {
        self.process.kill();
    }

    /// Asks it to end; panics with the log if it does not.
    pub fn terminate(mut self, deadline: Duration) -> ExitStatus {
        let status = self.process.terminate(deadline);
        status.unwrap_or_else(|| panic!("portalwatch does not end: {}", self.log()))
    }
}
