//! Real peers on loopback: each runs from a folder of its own on a free port, and ends when it is
//! dropped. All waiting polls a condition with a deadline.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "helpers of tests: a peer that does not start ends the test, and they speak to it directly"
)]

mod daemon;
mod desk;
mod http;
mod names;
mod nginx;
mod node_red;
mod portal;
mod post;
mod postgres;
mod process;
mod prometheus;
mod roundup;
mod served;
mod smtp;
mod tests;
mod wagtail;

pub use daemon::Daemon;
pub use desk::{Desk, Refusal, Writes};
pub use http::{Response, get, send};
pub use names::{Knot, Unbound, Zone};
pub use nginx::{Authority, Nginx};
pub use node_red::NodeRed;
pub use portal::Portal;
pub use post::{Onward, PostOffice};
pub use postgres::Postgres;
pub use process::Process;
pub use prometheus::{Prometheus, promtool_check};
pub use roundup::Roundup;
pub use served::{Served, Signer};
pub use smtp::{Mailbox, SmtpServer};
pub use wagtail::Wagtail;

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a peer may take to start or to stop on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A port that nothing listens on.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Polls until the condition gives a value; none at the deadline.
pub fn poll<T>(deadline: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return Some(value);
        }
        if start.elapsed() >= deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
}

/// Finds a program in `PATH` and where Debian keeps servers.
pub fn program(name: &str) -> PathBuf {
    find(name).unwrap_or_else(|| panic!("{name} is not installed; scripts/test installs it"))
}

fn is_installed(name: &str) -> bool {
    find(name).is_some()
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}
