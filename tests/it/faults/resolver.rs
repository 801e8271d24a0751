//! Names that do not resolve: whose fault it is.

use super::bench::{Bench, SLOW, results, wait_verdict};
use super::dns::{NameServer, closed_port};
use crate::peers::{Nginx, PATIENCE};
use portalwatch::model::{Cause, Verdict};

fn portal(target: u16, name: &str, resolver: u16) -> String {
    format!(
        "defaults:\n  every: 2s\n  timeout: 2s\n  confirm: {{ failures: 2, successes: 1, recheck: 100ms }}\n  \
         resolvers: ['127.0.0.1:{resolver}']\n\
         portals: {{ acme: {{ url: 'http://{name}:{target}/', private: true, checks: {{ \
         front: {{ http: {{ path: / }} }}, help: {{ http: {{ path: /help }} }} }} }} }}"
    )
}

#[test]
fn a_dead_resolver_is_told_once_as_ours_and_is_over_when_it_is_back() {
    let nginx = Nginx::start("location / { return 200 fine; }");
    let resolver = closed_port();
    let bench = Bench::new(&portal(nginx.port(), "known.example", resolver));
    let daemon = bench.start();
    wait_verdict(&daemon, "front", "unknown", PATIENCE);
    let told = bench.hook.wait("opened", "monitor.impaired", SLOW);
    assert!(told.description.contains("local_dns"), "{told:?}");
    assert_eq!(nginx.requests(), ["GET / 200"], "only the test itself got through");

    let server = NameServer::start(resolver);
    wait_verdict(&daemon, "front", "pass", PATIENCE);
    bench.hook.wait("resolved", "monitor.impaired", SLOW);
    let monitor = "monitor.impaired _portalwatch/monitor";
    assert_eq!(bench.hook.lines(), [format!("opened {monitor}"), format!("resolved {monitor}")]);
    assert!(daemon.terminate(PATIENCE).success());
    drop(server);
    let rows = results(&bench.database(), "acme/front");
    assert_eq!((rows[0].verdict, rows[0].cause), (Verdict::Unknown, Some(Cause::LocalDns)));
    assert!(rows.iter().all(|row| row.verdict != Verdict::Fail), "{rows:#?}");
    assert_eq!(rows.last().unwrap().verdict, Verdict::Pass);
}

#[test]
fn a_name_that_does_not_exist_while_the_resolver_works_is_the_targets_fault() {
    let resolver = closed_port();
    let _server = NameServer::start(resolver);
    let bench = Bench::new(&portal(80, "gone.example", resolver));
    let daemon = bench.start();
    let told = bench.hook.wait("opened", "http.unresolvable", PATIENCE);
    assert!(told.check.starts_with("acme/"), "{told:?}");
    wait_verdict(&daemon, "front", "fail", PATIENCE);
    assert!(bench.hook.told().iter().all(|told| told.alert == "http.unresolvable"));
}
