//! A private exim with STARTTLS and AUTH, which delivers everything into one maildir.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::process::Process;
use super::{Authority, PATIENCE, free_port, is_root, poll, program, read};

/// The relay. Mail is taken after STARTTLS and AUTH alone.
pub struct SmtpServer {
    process: Option<Process>,
    dir: TempDir,
    port: u16,
}

impl SmtpServer {
    pub const USERNAME: &str = "alerts";
    pub const PASSWORD: &str = "correct-horse-battery";

    pub fn start() -> Self {
        let authority = Authority::new();
        Self::certified(&authority, &authority.issue(&["localhost", "127.0.0.1"]))
    }

    /// With a certificate and its key, both PEM, of an authority.
    pub fn certified(authority: &Authority, certified: &(String, String)) -> Self {
        Self::at(free_port(), authority, certified)
    }

    /// The same, on a port.
    pub fn at(port: u16, authority: &Authority, (certificate, key): &(String, String)) -> Self {
        let dir = TempDir::new().unwrap();
        for (name, content) in [("ca.pem", authority.pem()), ("cert.pem", certificate), ("key.pem", key)] {
            std::fs::write(dir.path().join(name), content).unwrap();
        }
        // Deliveries run as exim's own user, who must get at the folder.
        open_up(dir.path());
        for name in ["spool", "log", "mail"] {
            let path = dir.path().join(name);
            std::fs::create_dir(&path).unwrap();
            open_up(&path);
        }
        std::fs::write(dir.path().join("exim.conf"), config(dir.path(), port)).unwrap();
        let mut server = Self { process: None, dir, port };
        server.restart();
        server
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The CA that signed its certificate, which names `localhost` and `127.0.0.1`.
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Where its mail goes.
    pub fn mailbox(&self) -> Mailbox {
        Mailbox { dir: self.dir.path().join("mail") }
    }

    /// Refuses connections from here on.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Listens again, on the same port.
    pub fn restart(&mut self) {
        let mut command = Command::new(program("exim4"));
        command.arg("-C").arg(self.dir.path().join("exim.conf")).arg("-bdf");
        let mut process = Process::start(&mut command, &self.dir.path().join("stderr"));
        let address = (std::net::Ipv4Addr::LOCALHOST, self.port);
        let up = poll(PATIENCE, || {
            let ended = process.ended().is_some().then_some(false);
            ended.or_else(|| std::net::TcpStream::connect(address).is_ok().then_some(true))
        });
        assert_eq!(up, Some(true), "exim does not start: {}{}", process.log(), self.log());
        self.process = Some(process);
    }

    /// What exim says it did.
    pub fn log(&self) -> String {
        ["mainlog", "rejectlog", "paniclog"]
            .map(|name| read(&self.dir.path().join("log").join(name)))
            .concat()
    }
}

/// Delivered mail.
pub struct Mailbox {
    dir: PathBuf,
}

impl Mailbox {
    /// The messages as they were delivered, oldest first.
    pub fn messages(&self) -> Vec<String> {
        let mut found: Vec<(SystemTime, PathBuf)> = std::fs::read_dir(self.dir.join("new"))
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.metadata().unwrap().modified().unwrap(), entry.path()))
            .collect();
        found.sort();
        found.iter().map(|(_, path)| read(path)).collect()
    }

    /// Waits until at least `n` messages are there, and returns all.
    pub fn wait_for(&self, n: usize, deadline: Duration) -> Vec<String> {
        poll(deadline, || Some(self.messages()).filter(|messages| messages.len() >= n))
            .unwrap_or_else(|| panic!("{} of {n} messages after {deadline:?}", self.messages().len()))
    }
}

pub(super) fn open_up(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
}

/// As root exim delivers as its own user; else it has no other user than the caller.
pub(super) fn owner() -> String {
    if is_root() { "Debian-exim".to_owned() } else { rustix::process::geteuid().as_raw().to_string() }
}

pub(super) fn group() -> String {
    if is_root() { "Debian-exim".to_owned() } else { rustix::process::getegid().as_raw().to_string() }
}

fn config(dir: &Path, port: u16) -> String {
    include_str!("exim.conf")
        .replace("@DIR@", &dir.display().to_string())
        .replace("@PORT@", &port.to_string())
        .replace("@USER@", &owner())
        .replace("@GROUP@", &group())
        .replace("@USERNAME@", SmtpServer::USERNAME)
        .replace("@PASSWORD@", SmtpServer::PASSWORD)
}
