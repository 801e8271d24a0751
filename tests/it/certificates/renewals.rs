//! A renewal that reached one of two servers.

use std::net::Ipv4Addr;

use serde_json::Value;

use super::server::{Root, Server};
use crate::inspect_cert::lab::{NAME, resolver};
use crate::peers::{Daemon, PATIENCE, free_port, poll};
use crate::telling::hook::{Hook, Received};

/// The alerts of a message, with the ids of their findings.
fn told(received: &[Received]) -> Vec<Value> {
    received.iter().flat_map(|one| one.json()["alerts"].as_array().cloned().unwrap_or_default()).collect()
}

#[test]
fn a_renewal_that_reached_one_of_two_addresses_is_told_once_and_over_when_it_reached_both() {
    let root = Root::new();
    // Less than half of its life is left, more than a third: renewed now it is renewed in time.
    let old = root.leaf(NAME, -55, 35);
    let first = Server::start(Ipv4Addr::LOCALHOST, 0, old.clone());
    let second = Server::start(Ipv4Addr::new(127, 0, 0, 2), first.port, old);
    let hook = Hook::start([]);
    let (folder, port) = (tempfile::TempDir::new().unwrap(), free_port());
    std::fs::write(folder.path().join("root.pem"), &root.pem).unwrap();
    let config = folder.path().join("monitor.yaml");
    let text = format!(
        "server: {{listen: '127.0.0.1:{port}'}}
portals:
  acme:
    private: true
    hosts: ['{NAME}:{tls}']
    tls: {{ca_file: '{ca}'}}
    checks:
      tls: {{every: 2s, timeout: 2s, resolvers: ['{resolver}'], certificate: {{profile: off, web: false, dns: false, fetch: false}}}}
notify:
  channels:
{channel}  routes: [{{to: [hook], group_wait: 1s, group_interval: 1s}}]
",
        tls = first.port,
        ca = folder.path().join("root.pem").display(),
        resolver = resolver(),
        channel = hook.channel("hook", ""),
    );
    std::fs::write(&config, text).unwrap();
    let mut daemon = Daemon::start(&config, port, &[]);
    daemon.wait_ready(PATIENCE);
    let verdict = |word: &str| {
        let series =
            format!("portalwatch_check_verdict{{portal=\"acme\",check=\"tls\",verdict=\"{word}\"}} 1");
        poll(PATIENCE, || daemon.metrics().contains(&series).then_some(()))
            .unwrap_or_else(|| panic!("never {word}: {}\n{}", daemon.metrics(), daemon.log()));
    };
    verdict("pass");
    assert!(hook.received().is_empty(), "{:?}", hook.received());

    let new = root.leaf(NAME, -1, 89);
    first.install(new.clone());
    let opening = hook.wait(1);
    let page = daemon.metrics();
    let alerting: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("portalwatch_findings{"))
        .filter(|line| !line.contains("severity=\"info\"") && !line.contains("severity=\"notice\""))
        .collect();
    assert_eq!(alerting.len(), 1, "{alerting:?}");
    assert!(alerting[0].contains("id=\"cert.addresses_differ\""), "{alerting:?}");
    let alert = told(&opening).remove(0).to_string();
    for words in ["cert.addresses_differ", "127.0.0.1 has ", "127.0.0.2 still has "] {
        assert!(alert.contains(words), "{words}: {alert}");
    }

    second.install(new);
    let both = hook.wait(2);
    assert_eq!(both[1].json()["status"], "resolved", "{both:#?}");
    verdict("pass");
    assert_eq!(hook.received().len(), 2, "{:#?}", hook.received());
}
