//! Name servers: Knot as authority, Unbound as resolver.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::process::Process;
use super::{PATIENCE, free_port, is_installed, poll, program};

/// An authority for some zones; tells its name (NSID) as `knot`.
pub struct Knot {
    process: Process,
    _dir: TempDir,
    address: SocketAddr,
}

/// A zone: its name without a dot at the end (empty for the root), its records, whether it is signed.
pub struct Zone<'a> {
    pub name: &'a str,
    pub records: &'a str,
    pub signed: bool,
}

impl Knot {
    /// Whether it is there; the test's name is told as skipped if not.
    pub fn is_here(test: &str) -> bool {
        ["knotd", "unbound", "kzonesign"].iter().all(|server| {
            let here = is_installed(server);
            if !here {
                println!("skipped: {test}: no {server}");
            }
            here
        })
    }

    /// Serves the zones. Each has a SOA, an NS and that one's address beside what the test gives.
    pub fn start(zones: &[Zone<'_>]) -> Self {
        let dir = TempDir::new().unwrap();
        let folder = dir.path().display();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let mut config = format!(
            "server:\n  rundir: \"{folder}\"\n  listen: 127.0.0.1@{}\n  nsid: \"knot\"\n\
             log:\n  - target: stderr\n    any: info\n\
             database:\n  storage: \"{folder}\"\n\
             policy:\n  - id: own\n    algorithm: ecdsap256sha256\n    single-type-signing: on\n    \
             cds-cdnskey-publish: always\n\
             template:\n  - id: default\n    storage: \"{folder}\"\n    semantic-checks: off\nzone:\n",
            address.port()
        );
        for (index, zone) in zones.iter().enumerate() {
            write!(config, "  - domain: {}.\n    file: {index}.zone\n", zone.name).unwrap();
            if zone.signed {
                config.push_str("    dnssec-signing: on\n    dnssec-policy: own\n");
            }
            let dot = if zone.name.is_empty() { "" } else { "." };
            let text = format!(
                "$ORIGIN {name}.\n$TTL 60\n@ SOA ns{dot}{name}. root{dot}{name}. 1 7200 900 1209600 60\n\
                 @ NS ns{dot}{name}.\nns{dot}{name}. A 127.0.0.1\n{records}\n",
                name = zone.name,
                records = zone.records
            );
            std::fs::write(dir.path().join(format!("{index}.zone")), text).unwrap();
        }
        std::fs::write(dir.path().join("knot.conf"), config).unwrap();
        let mut command = Command::new(program("knotd"));
        command.arg("-c").arg(dir.path().join("knot.conf"));
        let mut process = Process::start(&mut command, &dir.path().join("log"));
        await_answers(&mut process, address, zones.first().map_or("", |zone| zone.name));
        Self { process, _dir: dir, address }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it, so that it answers nothing more.
    pub fn kill(&mut self) {
        self.process.kill();
    }
}

/// A resolver that validates, and that knows no server but one authority.
pub struct Unbound {
    process: Process,
    _dir: TempDir,
    plain: SocketAddr,
    tls: SocketAddr,
    https: SocketAddr,
}

impl Unbound {
    /// `zones` are asked of the authority, the root among them; `anchors` are DS records as text.
    /// `certified` is a certificate and its key for TLS and HTTPS, both PEM.
    pub fn start(
        authority: SocketAddr,
        zones: &[&str],
        anchors: &[String],
        certified: &(String, String),
    ) -> Self {
        let stubs: Vec<(&str, SocketAddr)> = zones.iter().map(|zone| (*zone, authority)).collect();
        Self::asking(&stubs, anchors, certified)
    }

    /// Zones, and of which authority each is asked.
    pub fn asking(stubs: &[(&str, SocketAddr)], anchors: &[String], certified: &(String, String)) -> Self {
        let dir = TempDir::new().unwrap();
        let folder = dir.path().display();
        std::fs::write(dir.path().join("cert.pem"), &certified.0).unwrap();
        std::fs::write(dir.path().join("key.pem"), &certified.1).unwrap();
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let (plain, tls, https) = (local(free_port()), local(free_port()), local(free_port()));
        let mut config = format!(
            "server:\n directory: \"{folder}\"\n chroot: \"\"\n username: \"\"\n pidfile: \"\"\n \
             use-syslog: no\n logfile: \"\"\n do-daemonize: no\n do-not-query-localhost: no\n \
             module-config: \"validator iterator\"\n ede: yes\n num-threads: 1\n\
             \x20interface: 127.0.0.1@{}\n interface: 127.0.0.1@{}\n interface: 127.0.0.1@{}\n\
             \x20tls-port: {}\n https-port: {}\n tls-service-pem: cert.pem\n tls-service-key: key.pem\n",
            plain.port(),
            tls.port(),
            https.port(),
            tls.port(),
            https.port()
        );
        for anchor in anchors {
            writeln!(config, " trust-anchor: \"{anchor}\"").unwrap();
        }
        config.push_str("remote-control:\n control-enable: no\n");
        for (zone, at) in stubs {
            let (ip, port) = (at.ip(), at.port());
            write!(config, "stub-zone:\n name: \"{zone}.\"\n stub-addr: {ip}@{port}\n").unwrap();
        }
        std::fs::write(dir.path().join("unbound.conf"), config).unwrap();
        let mut command = Command::new(program("unbound"));
        command.arg("-d").arg("-c").arg(dir.path().join("unbound.conf"));
        let mut process = Process::start(&mut command, &dir.path().join("log"));
        await_answers(&mut process, plain, "");
        Self { process, _dir: dir, plain, tls, https }
    }

    /// Ends it, so that it answers nothing more.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    pub fn plain(&self) -> SocketAddr {
        self.plain
    }

    pub fn tls(&self) -> SocketAddr {
        self.tls
    }

    pub fn https(&self) -> SocketAddr {
        self.https
    }
}

/// Waits until the server answers for the SOA of a zone at all.
pub(super) fn await_answers(process: &mut Process, address: SocketAddr, zone: &str) {
    let mut query = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in zone.split('.').filter(|label| !label.is_empty()) {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, 6, 0, 1]);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    socket.connect(address).unwrap();
    let up = poll(PATIENCE, || {
        if process.ended().is_some() {
            return Some(false);
        }
        let mut answer = [0; 512];
        let answered = socket.send(&query).is_ok() && socket.recv(&mut answer).is_ok();
        (answered && answer[3] & 15 == 0).then_some(true)
    });
    assert_eq!(up, Some(true), "no answer from {address}: {}", process.log());
}
