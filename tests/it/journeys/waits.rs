//! How long a portal wants to be left alone.

use portalwatch::model::Cause;
use tempfile::TempDir;

use crate::faults::bench::results;
use crate::peers::{Daemon, Nginx, PATIENCE, free_port, poll};

/// It says so with the redirect, and why on the page behind it.
const LOCKS_OUT: &str = "
location = /login { add_header Retry-After 3600 always; return 302 /said; }
location = /said { return 200 'Too many login attempts.'; }";

#[test]
fn a_wait_that_is_asked_for_on_the_way_to_a_page_holds() {
    let (nginx, folder, port) = (Nginx::start(LOCKS_OUT), TempDir::new().unwrap(), free_port());
    let text = format!(
        "server: {{ listen: '127.0.0.1:{port}' }}
storage: {{ url: 'sqlite://portalwatch.db' }}
defaults: {{ every: 1s, timeout: 1s }}
portals:
  acme:
    url: {}
    private: true
    identities: {{ probe: {{ username: probe, password: {{ insecure_literal: x }} }} }}
    checks:
      work:
        journey:
          as: probe
          lockout_guard: 1s
          steps:
            - name: sign in
              timeout: 30s
              post: /login
              form: {{ password: '{{{{ identity.password }}}}' }}
              expect: {{ body: {{ contains: Hello }} }}
",
        nginx.url()
    );
    let file = folder.path().join("monitor.yaml");
    std::fs::write(&file, text).unwrap();
    let mut daemon = Daemon::start(&file, port, &[]);
    daemon.wait_ready(PATIENCE);
    let rows = || results(&folder.path().join("portalwatch.db"), "acme/work");
    let looked = poll(PATIENCE, || Some(rows()).filter(|rows| rows.len() >= 4));
    let looked = looked.unwrap_or_else(|| panic!("no results: {}", daemon.log()));
    assert!(looked.iter().all(|row| row.cause == Some(Cause::Blocked)), "{looked:#?}");
    let asked = nginx.requests();
    assert_eq!(asked.iter().filter(|line| line.contains("/login")).count(), 1, "{asked:?}");
}
