//! What Prometheus sees of certificates, also of those that have expired.

use std::net::Ipv4Addr;
use std::path::Path;

use super::server::{Root, Server};
use crate::inspect_cert::lab::{NAME, resolver};
use crate::peers::{Daemon, PATIENCE, free_port, poll, promtool_check};

fn start(config: &Path, port: u16) -> Daemon {
    let mut daemon = Daemon::start(config, port, &[]);
    daemon.wait_ready(PATIENCE);
    daemon
}

/// The value of the leaf's series at 127.0.0.1.
fn of_leaf(page: &str, family: &str) -> Option<f64> {
    let leaf = |line: &&str| {
        line.starts_with(&format!("{family}{{"))
            && ["address=\"127.0.0.1\"", "position=\"0\"", "sni=\"portal.test\""]
                .iter()
                .all(|one| line.contains(one))
    };
    page.lines().find(leaf)?.rsplit_once(' ')?.1.parse().ok()
}

const NOT_AFTER: &str = "portalwatch_certificate_not_after_timestamp_seconds";
const LEFT: &str = "portalwatch_certificate_lifetime_left_ratio";

#[test]
fn an_expired_certificate_keeps_its_series_and_so_does_one_that_cannot_be_seen_for_a_while() {
    let root = Root::new();
    let server = Server::start(Ipv4Addr::LOCALHOST, 0, root.leaf(NAME, -100, -10));
    let _second = Server::start(Ipv4Addr::new(127, 0, 0, 2), server.port, root.leaf(NAME, -10, 80));
    let (folder, port) = (tempfile::TempDir::new().unwrap(), free_port());
    let config = folder.path().join("monitor.yaml");
    let write = |every: &str| {
        let text = format!(
            "server: {{listen: '127.0.0.1:{port}'}}
portals:
  acme:
    private: true
    hosts: ['{NAME}:{tls}']
    checks:
      tls: {{every: {every}, timeout: 1s, resolvers: ['{resolver}'], certificate: {{profile: off, web: false, dns: false, fetch: false}}}}
",
            tls = server.port,
            resolver = resolver(),
        );
        std::fs::write(&config, text).unwrap();
    };
    write("2s");
    let daemon = start(&config, port);
    // Expired, and of a root that nobody trusts.
    let page = poll(PATIENCE, || Some(daemon.metrics()).filter(|page| of_leaf(page, LEFT).is_some()))
        .unwrap_or_else(|| panic!("{}\n{}", daemon.metrics(), daemon.log()));
    let left = of_leaf(&page, LEFT).unwrap();
    assert!((-0.2..-0.05).contains(&left), "ten of ninety days past the end: {left}");
    assert!(of_leaf(&page, NOT_AFTER).is_some() && of_leaf(&page, "portalwatch_certificate_info").is_some());
    assert!(page.contains("portalwatch_certificate_trusted{"), "{page}");
    promtool_check(&page).unwrap();
    let mut names: Vec<&str> = page
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.rsplit_once(' ')?.0))
        .collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "two series have equal labels");

    // A restart knows it before anything was measured again: the server shows nothing any more.
    daemon.terminate(PATIENCE);
    server.go_silent();
    write("1h");
    let daemon = start(&config, port);
    assert!(of_leaf(&daemon.metrics(), NOT_AFTER).is_some(), "{}", daemon.metrics());
    daemon.terminate(PATIENCE);

    // After three runs without it, it is gone; the other address stays.
    write("2s");
    let daemon = start(&config, port);
    poll(PATIENCE * 2, || of_leaf(&daemon.metrics(), NOT_AFTER).is_none().then_some(()))
        .unwrap_or_else(|| panic!("{}", daemon.metrics()));
    assert!(daemon.metrics().contains("address=\"127.0.0.2\""), "{}", daemon.metrics());
}
