//! The ledger of writes, used beside the daemon by another process.

use jiff::Timestamp;
use portalwatch::model::ledger::{Budget, Entry, Ledger as _};
use portalwatch::record::sqlite::ledger::SqliteLedger;

use super::bench::{Bench, results, started};
use crate::peers::{Nginx, PATIENCE, poll};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[test]
fn a_command_enters_writes_beside_a_daemon_that_records_and_a_kill_loses_neither() {
    let nginx = Nginx::start("location / { return 200 fine; }");
    let bench = Bench::new(&format!(
        "portals: {{ acme: {{ url: '{}/', private: true, checks: {{ front: {{ http: {{ path: / }} }} }} }} }}",
        nginx.url()
    ));
    let daemon = bench.start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ledger = SqliteLedger::of_command(&bench.database());
    let check = "acme/front".into();
    let budget = Budget { limit: 1_000, since: at(0) };
    let enter = |second| runtime.block_on(ledger.enter(&check, "by hand", at(second), at(second), budget));
    let mut writes = 0;
    let recorded = poll(PATIENCE, || {
        writes += 1;
        assert_eq!(enter(i64::from(writes)).unwrap(), Entry::Entered);
        (results(&bench.database(), "acme/front").len() >= 2).then_some(())
    });
    assert!(recorded.is_some(), "{}", daemon.log());
    daemon.kill9();

    let daemon = bench.start();
    let open = runtime.block_on(ledger.open(&check)).unwrap();
    assert_eq!((open.len(), open[0].writes), (1, writes));
    let before = results(&bench.database(), "acme/front").len();
    let goes_on = poll(PATIENCE, || (results(&bench.database(), "acme/front").len() > before).then_some(()));
    assert!(goes_on.is_some() && started(&daemon) > 0, "{}", daemon.log());
    assert!(daemon.terminate(PATIENCE).success());
}
