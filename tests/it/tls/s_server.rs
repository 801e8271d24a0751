//! `openssl s_server` with any options, and keys for it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tempfile::TempDir;

use crate::peers::{PATIENCE, Process, free_port, poll, program};

/// A self-signed certificate for `localhost` and its key, PEM.
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

impl Pair {
    /// The certificate as it goes over the wire.
    pub fn der(&self) -> Vec<u8> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap().to_vec()
    }
}

pub static RSA: LazyLock<Pair> = LazyLock::new(|| make(&["-newkey", "rsa:2048"]));
pub static EC: LazyLock<Pair> =
    LazyLock::new(|| make(&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]));
pub static P521: LazyLock<Pair> =
    LazyLock::new(|| make(&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"]));
pub static ED25519: LazyLock<Pair> = LazyLock::new(|| make(&["-newkey", "ed25519"]));
pub static ED448: LazyLock<Pair> = LazyLock::new(|| make(&["-newkey", "ed448"]));
pub static WEAK: LazyLock<Pair> = LazyLock::new(|| make(&["-newkey", "rsa:1024", "-sha1"]));

/// Runs `openssl` in a folder, without this machine's settings for it.
pub fn openssl(dir: &Path, arguments: &[&str]) {
    let mut command = Command::new(program("openssl"));
    command.args(arguments).current_dir(dir).env("OPENSSL_CONF", "/dev/null").stdin(Stdio::null());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn make(key: &[&str]) -> Pair {
    let dir = TempDir::new().unwrap();
    let config =
        "[req]\ndistinguished_name=dn\nx509_extensions=ext\n[dn]\n[ext]\nsubjectAltName=DNS:localhost\n";
    std::fs::write(dir.path().join("req.cnf"), config).unwrap();
    let request = ["req", "-x509", "-config", "req.cnf", "-nodes", "-subj", "/CN=localhost", "-days", "2"];
    let files = ["-keyout", "key.pem", "-out", "cert.pem"];
    openssl(dir.path(), &[&request[..], key, &files].concat());
    let read = |name| std::fs::read_to_string(dir.path().join(name)).unwrap();
    Pair { certificate: read("cert.pem"), key: read("key.pem") }
}

/// A running server, which answers HTTP.
pub struct SServer {
    _process: Process,
    _dir: TempDir,
    pub port: u16,
}

impl SServer {
    /// Serves the first pair, and the second beside it, with these options.
    pub fn start(pairs: &[&Pair], options: &[&str]) -> Self {
        Self::start_in(TempDir::new().unwrap(), pairs, options)
    }

    /// The same in a folder whose files the options may name.
    pub fn start_in(dir: TempDir, pairs: &[&Pair], options: &[&str]) -> Self {
        let port = free_port();
        let mut command = Command::new(program("openssl"));
        command.args(["s_server", "-www", "-accept", &format!("127.0.0.1:{port}")]);
        for (index, pair) in pairs.iter().enumerate() {
            let (certificate, key) = (format!("cert{index}.pem"), format!("key{index}.pem"));
            std::fs::write(dir.path().join(&certificate), &pair.certificate).unwrap();
            std::fs::write(dir.path().join(&key), &pair.key).unwrap();
            let flags = if index == 0 { ["-cert", "-key"] } else { ["-dcert", "-dkey"] };
            command.args([flags[0], &certificate, flags[1], &key]);
        }
        command.args(options).current_dir(dir.path()).env("OPENSSL_CONF", "/dev/null");
        let mut process = Process::start(&mut command, &dir.path().join("log"));
        let up = poll(PATIENCE, || {
            let ended = process.ended().is_some().then_some(false);
            let listens = || process.log().contains("ACCEPT").then_some(true);
            ended.or_else(listens)
        });
        assert_eq!(up, Some(true), "{command:?} does not start: {}", process.log());
        Self { _process: process, _dir: dir, port }
    }
}
