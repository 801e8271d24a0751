//! A private nginx.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustix::process::Signal;
use tempfile::TempDir;

use super::process::Process;
use super::{PATIENCE, free_port, get, is_root, poll, program, read};

/// A certificate authority of the test's own.
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "portalwatch test CA");
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// Its certificate, for `ca_file`.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for these names and addresses, and its key; both PEM.
    pub fn issue(&self, names: &[&str]) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let params = CertificateParams::new(names).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// nginx with one server block, whose content the test gives.
pub struct Nginx {
    process: Process,
    dir: TempDir,
    port: u16,
    tls: bool,
}

impl Nginx {
    /// Serves plain HTTP. `server` is what stands inside `server { … }`, without `listen`.
    pub fn start(server: &str) -> Self {
        Self::launch(server, None)
    }

    /// Serves HTTPS with a certificate and key, both PEM.
    pub fn start_tls(server: &str, (certificate, key): &(String, String)) -> Self {
        Self::launch(server, Some((certificate, key)))
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// `http://127.0.0.1:PORT`, or `https://localhost:PORT`.
    pub fn url(&self) -> String {
        if self.tls {
            format!("https://localhost:{}", self.port)
        } else {
            format!("http://127.0.0.1:{}", self.port)
        }
    }

    /// The requests served so far, one a line: `METHOD PATH STATUS`.
    pub fn requests(&self) -> Vec<String> {
        read(&self.dir.path().join("access.log")).lines().map(str::to_owned).collect()
    }

    /// Replaces the content of the server block; returns when no worker serves the old one.
    pub fn reload(&mut self, server: &str) {
        let before = self.workers();
        self.write_config(server);
        self.process.signal(Signal::HUP);
        let replaced = poll(PATIENCE, || {
            let workers = self.workers();
            (!workers.is_empty() && workers.iter().all(|worker| !before.contains(worker))).then_some(())
        });
        assert!(replaced.is_some(), "nginx does not reload: {}", self.errors());
        assert!(self.errors_since_reload().is_empty(), "nginx refuses the config: {}", self.errors());
    }

    /// The folder the server runs in; `root` may name what a test puts there.
    pub fn dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    fn launch(server: &str, tls: Option<(&String, &String)>) -> Self {
        let dir = TempDir::new().unwrap();
        if let Some((certificate, key)) = tls {
            std::fs::write(dir.path().join("cert.pem"), certificate).unwrap();
            std::fs::write(dir.path().join("key.pem"), key).unwrap();
        }
        let port = free_port();
        write_config(&dir, port, tls.is_some(), server);
        let mut command = Command::new(program("nginx"));
        command.arg("-p").arg(dir.path()).arg("-c").arg(dir.path().join("nginx.conf"));
        let mut process = Process::start(&mut command, &dir.path().join("stderr"));
        let up = poll(PATIENCE, || {
            process.ended().is_some().then_some(false).or_else(|| get(port, "/").is_ok().then_some(true))
        });
        assert_eq!(up, Some(true), "nginx does not start: {}", process.log());
        Self { process, dir, port, tls: tls.is_some() }
    }

    fn write_config(&self, server: &str) {
        write_config(&self.dir, self.port, self.tls, server);
    }

    fn workers(&self) -> Vec<String> {
        let master = self.process.pid();
        let children = std::fs::read_to_string(format!("/proc/{master}/task/{master}/children"));
        children.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    }

    fn errors(&self) -> String {
        format!("{}{}", self.process.log(), read(&self.dir.path().join("error.log")))
    }

    fn errors_since_reload(&self) -> Vec<String> {
        self.errors().lines().filter(|line| line.contains("[emerg]")).map(str::to_owned).collect()
    }
}

fn write_config(dir: &TempDir, port: u16, tls: bool, server: &str) {
    let mut text = String::new();
    if is_root() {
        // The folder belongs to the test's user alone.
        text.push_str("user root;\n");
    }
    text.push_str("daemon off;\nworker_processes 1;\npid nginx.pid;\nerror_log error.log notice;\n");
    // An open connection must not keep an old worker alive after a reload.
    text.push_str("worker_shutdown_timeout 1s;\nevents { worker_connections 1024; }\nhttp {\n");
    text.push_str("log_format short '$request_method $request_uri $status';\naccess_log access.log short;\n");
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        writeln!(text, "{kind}_temp_path temp-{kind};").unwrap();
    }
    writeln!(text, "server {{\nlisten 127.0.0.1:{port}{};", if tls { " ssl http2" } else { "" }).unwrap();
    if tls {
        text.push_str("ssl_certificate cert.pem;\nssl_certificate_key key.pem;\n");
    }
    writeln!(text, "{server}\n}}\n}}").unwrap();
    std::fs::write(dir.path().join("nginx.conf"), text).unwrap();
}
