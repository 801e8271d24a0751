//! The end of the daemon.

use std::net::TcpListener;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::bench::{Bench, gaps, results};
use crate::peers::{Daemon, Nginx, PATIENCE, poll};

/// Longer than the grace of eight seconds, and shorter than the target takes.
const END: Duration = Duration::from_secs(20);

/// A portal with a check that passes and one whose target accepts and says nothing, and the second
/// in flight.
fn in_flight(bench: &Bench, silent: &TcpListener) -> (Daemon, std::net::TcpStream) {
    let daemon = bench.start();
    let (held, _) = silent.accept().unwrap();
    let committed = poll(PATIENCE, || (!results(&bench.database(), "acme/front").is_empty()).then_some(()));
    assert!(committed.is_some(), "{}", daemon.log());
    (daemon, held)
}

fn bench(nginx: &Nginx, silent: &TcpListener) -> Bench {
    Bench::new(&format!(
        "portals: {{ acme: {{ url: '{}/', private: true, checks: {{ front: {{ http: {{ path: / }} }}, \
         silent: {{ every: 60s, timeout: 60s, http: {{ url: 'http://{}/' }} }} }} }} }}",
        nginx.url(),
        silent.local_addr().unwrap(),
    ))
}

#[test]
fn a_run_in_flight_at_the_end_is_not_covered_and_keeps_nobody_waiting() {
    let nginx = Nginx::start("location / { return 200 fine; }");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let bench = bench(&nginx, &silent);
    let (daemon, _held) = in_flight(&bench, &silent);
    assert_eq!(daemon.terminate(END).code(), Some(0));
    let gaps = gaps(&bench.database());
    let cut: Vec<_> = gaps.iter().filter(|gap| gap.why == "shutdown").collect();
    assert_eq!(cut.len(), 1, "{gaps:#?}");
    assert_eq!(cut[0].check.as_ref().unwrap().as_str(), "acme/silent");
    assert!(results(&bench.database(), "acme/silent").is_empty());
    assert!(!results(&bench.database(), "acme/front").is_empty());
    assert!(bench.hook.told().is_empty(), "{:#?}", bench.hook.told());
}

#[test]
fn a_second_signal_ends_the_waiting_and_loses_nothing_committed() {
    let nginx = Nginx::start("location / { return 200 fine; }");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let bench = bench(&nginx, &silent);
    let (daemon, _held) = in_flight(&bench, &silent);
    let pid = Pid::from_raw(i32::try_from(daemon.pid()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert!(poll(PATIENCE, || daemon.log().contains("stopping").then_some(())).is_some(), "{}", daemon.log());
    let committed = results(&bench.database(), "acme/front").len();
    let log = bench.config().with_file_name("daemon.log");
    assert_eq!(daemon.terminate(END).code(), Some(0));
    assert!(std::fs::read_to_string(log).unwrap().contains("stopping at once"));
    assert!(results(&bench.database(), "acme/front").len() >= committed);
}
