//! This machine at its limits.

use std::fmt::Write as _;

use super::bench::{Bench, SLOW, results, wait_store, wait_verdict};
use super::hook::SlowServer;
use crate::peers::{PATIENCE, poll};
use portalwatch::model::{Cause, Verdict};
use std::time::Duration;

/// More connections at once than there are descriptors.
const CHECKS: usize = 120;

#[test]
fn running_out_of_descriptors_is_told_once_as_ours_and_the_daemon_lives_through_it() {
    let target = SlowServer::start(Duration::from_secs(3));
    let mut config = format!(
        "defaults:\n  every: 6s\n  timeout: 6s\n  confirm: {{ failures: 2, successes: 1, recheck: 1s }}\n  \
         limits: {{ per_host: 512 }}\n\
         portals:\n  acme:\n    url: 'http://127.0.0.1:{}/'\n    private: true\n    checks:\n",
        target.port()
    );
    for number in 0..CHECKS {
        writeln!(config, "      c{number}: {{ http: {{ path: /{number} }} }}").unwrap();
    }
    let bench = Bench::new(&config);
    let daemon = bench.start_after("ulimit -Sn 56; ulimit -Hn 56");
    let unknown = poll(PATIENCE, || {
        let metrics = daemon.metrics();
        let unknown = |line: &&str| {
            line.starts_with("portalwatch_check_verdict") && line.ends_with("verdict=\"unknown\"} 1")
        };
        (metrics.lines().filter(unknown).count() > CHECKS / 2).then_some(())
    });
    assert!(unknown.is_some(), "{}\n{}", daemon.metrics(), daemon.log());
    let told = bench.hook.wait("opened", "monitor.impaired", SLOW);
    assert!(told.description.contains("overload"), "{told:?}");
    assert_eq!(daemon.get("/").status, 200);
    wait_store(&daemon, "open", PATIENCE);

    target.hurry();
    bench.hook.wait("resolved", "monitor.impaired", SLOW);
    wait_verdict(&daemon, "c7", "pass", PATIENCE);
    let monitor = "monitor.impaired _portalwatch/monitor";
    assert_eq!(bench.hook.lines(), [format!("opened {monitor}"), format!("resolved {monitor}")]);
    assert!(daemon.terminate(PATIENCE).success());
    let mut overloaded = 0;
    for number in 0..CHECKS {
        for row in results(&bench.database(), &format!("acme/c{number}")) {
            assert_ne!(row.verdict, Verdict::Fail, "{row:?}");
            overloaded += usize::from(row.cause == Some(Cause::Overload));
        }
    }
    assert!(overloaded > CHECKS / 2, "{overloaded}");
}
