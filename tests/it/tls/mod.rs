//! What is seen of real TLS servers: OpenSSL in all its ages, nginx, exim (GnuTLS), PostgreSQL, with
//! sslyze as a second opinion.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod handshakes;
pub mod s_server;
mod scans;
mod second_opinion;
mod staples;
mod starttls;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use portalwatch::formats::tls::names;
use portalwatch::net::{Net, NetOptions, Origin, TlsTarget};

fn net() -> Net {
    Net::new(NetOptions {
        per_host: 10,
        global: 50,
        user_agent: "portalwatch/test".into(),
        hosts: std::collections::BTreeMap::new(),
    })
}

fn target(port: u16) -> TlsTarget {
    TlsTarget {
        host: "localhost".into(),
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        origin: Origin::Operator,
        server_name: Some("localhost".into()),
        starttls: None,
        timeout: Duration::from_secs(20),
    }
}

fn suites(numbers: &[u16]) -> Vec<String> {
    sorted(numbers.iter().map(|number| names::suite(*number)))
}

fn groups(numbers: &[u16]) -> Vec<String> {
    sorted(numbers.iter().map(|number| names::group(*number)))
}

fn signatures(numbers: &[u16]) -> Vec<String> {
    sorted(numbers.iter().map(|number| names::signature(*number)))
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}
