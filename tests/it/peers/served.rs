//! Knot on an address of its own, whose zones are replaced while it runs; and zones signed beforehand.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use portalwatch::clock::{Clock as _, SystemClock};
use rustix::process::Signal;
use tempfile::TempDir;

use super::names::await_answers;
use super::process::Process;
use super::program;

/// An authority of zones that are given as whole files.
pub struct Served {
    process: Process,
    dir: TempDir,
    address: SocketAddr,
    zones: Vec<String>,
}

impl Served {
    /// Serves these zones: a name without a dot at its end, and the file.
    pub fn start(address: SocketAddr, zones: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().unwrap();
        let folder = dir.path().display();
        let mut config = format!(
            "server:\n  rundir: \"{folder}\"\n  listen: {}@{}\n\
             log:\n  - target: stderr\n    any: info\n\
             database:\n  storage: \"{folder}\"\n\
             template:\n  - id: default\n    storage: \"{folder}\"\n    semantic-checks: off\n    journal-content: none\n\
             zone:\n",
            address.ip(),
            address.port()
        );
        for (index, (name, text)) in zones.iter().enumerate() {
            write!(config, "  - domain: {name}.\n    file: {index}.zone\n").unwrap();
            std::fs::write(dir.path().join(format!("{index}.zone")), text).unwrap();
        }
        std::fs::write(dir.path().join("knot.conf"), config).unwrap();
        let mut command = Command::new(program("knotd"));
        command.arg("-c").arg(dir.path().join("knot.conf"));
        let mut process = Process::start(&mut command, &dir.path().join("log"));
        await_answers(&mut process, address, zones.first().map_or("", |zone| zone.0));
        let zones = zones.iter().map(|(name, _)| (*name).to_owned()).collect();
        Self { process, dir, address, zones }
    }

    /// Serves another file from here on.
    pub fn replace(&mut self, zone: &str, text: &str) {
        let index = self.zones.iter().position(|known| known == zone).unwrap();
        std::fs::write(self.dir.path().join(format!("{index}.zone")), text).unwrap();
        self.process.signal(Signal::HUP);
    }

    /// Ends it.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// The keys of a zone, and what is signed with them.
pub struct Signer {
    dir: TempDir,
    zone: String,
}

impl Signer {
    /// Of a zone without a dot at the end of its name, with lines for Knot's policy.
    pub fn new(zone: &str, policy: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        let folder = dir.path().display();
        let lines: String = policy.iter().map(|line| format!("    {line}\n")).collect();
        let config = format!(
            "database:\n  storage: \"{folder}\"\n\
             policy:\n  - id: own\n    algorithm: ecdsap256sha256\n    single-type-signing: on\n{lines}\
             template:\n  - id: default\n    storage: \"{folder}\"\n    semantic-checks: off\n\
             zone:\n  - domain: {zone}.\n    file: zone\n    dnssec-signing: on\n    dnssec-policy: own\n"
        );
        std::fs::write(dir.path().join("knot.conf"), config).unwrap();
        Self { dir, zone: zone.to_owned() }
    }

    /// The file with signatures, as if made so many seconds from now.
    pub fn signed(&self, text: &str, from_now: i64) -> String {
        std::fs::write(self.dir.path().join("zone"), text).unwrap();
        let out = TempDir::new().unwrap();
        let run = |arguments: &[&str]| {
            let mut command = Command::new(program("kzonesign"));
            let output =
                command.arg("-c").arg(self.dir.path().join("knot.conf")).args(arguments).output().unwrap();
            assert!(output.status.success(), "{output:?}");
        };
        let time = (SystemClock.now().as_second() + from_now).to_string();
        let folder = out.path().display().to_string();
        run(&["-o", &folder, "-t", &time, &format!("{}.", self.zone)]);
        let written = std::fs::read_dir(out.path()).unwrap().next().unwrap().unwrap().path();
        super::read(&written)
    }

    /// The DS records of its keys, as lines `TAG ALGORITHM DIGEST-TYPE DIGEST`, SHA-256.
    pub fn ds(&self) -> Vec<String> {
        let mut command = Command::new(program("keymgr"));
        let folder: &Path = self.dir.path();
        let output = command.arg("-c").arg(folder.join("knot.conf")).args([&format!("{}.", self.zone), "ds"]);
        let output = String::from_utf8(output.output().unwrap().stdout).unwrap();
        let records = output.lines().filter_map(|line| line.split_once(" DS ").map(|(_, ds)| ds.to_owned()));
        records.filter(|ds| ds.split(' ').nth(2) == Some("2")).collect()
    }
}
