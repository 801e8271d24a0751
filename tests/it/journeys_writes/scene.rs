//! A journey that writes at a desk, and what can be asked about it.

use std::time::Duration;

use jiff::Timestamp;
use portalwatch::model::ledger::{Ledger as _, Tally};
use portalwatch::record::ResultRow;
use portalwatch::record::sqlite::ledger::SqliteLedger;

use crate::faults::bench::{Bench, results};
use crate::peers::{Daemon, Desk, poll};

/// Several runs, sweeps and back-offs on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

const CHECK: &str = "acme/work";

pub struct Scene {
    pub desk: Desk,
    pub bench: Bench,
}

/// The times of the check, in seconds.
#[derive(Clone, Copy)]
pub struct Pace {
    pub deadline: u32,
    /// Bounds the requests from the first write on.
    pub step: u32,
}

/// Runs follow each other closely and have time.
pub const BRISK: Pace = Pace { deadline: 10, step: 3 };

impl Scene {
    /// `more` are further settings of the journey.
    pub fn new(pace: Pace, more: &str) -> Self {
        let desk = Desk::start();
        let bench = Bench::new(&config(&desk, pace, more));
        Self { desk, bench }
    }

    /// Waits until the write of a run has arrived, and is stored or not as the desk wants it; the run
    /// id it carries.
    #[track_caller]
    pub fn wait_written(&self, daemon: &Daemon) -> String {
        let written = poll(PATIENCE, || self.runs().pop());
        written.unwrap_or_else(|| panic!("nothing is written: {:#?}\n{}", self.desk.asked(""), daemon.log()))
    }

    /// The ids of the runs whose writes arrived.
    pub fn runs(&self) -> Vec<String> {
        let writes = self.desk.asked("POST /api/tickets");
        let title = |body: &str| serde_json::from_str::<serde_json::Value>(body).unwrap()["title"].clone();
        let run = |title: serde_json::Value| {
            title.as_str().unwrap().strip_prefix("portalwatch ").unwrap().to_owned()
        };
        writes.iter().map(|asked| run(title(&asked.body))).collect()
    }

    /// Whether something of the run stands in the portal.
    pub fn stands(&self, run: &str) -> bool {
        self.desk.tickets().iter().any(|title| title.contains(run))
    }

    /// Waits until nothing of the run stands in the portal.
    #[track_caller]
    pub fn wait_gone(&self, run: &str, daemon: &Daemon) {
        let gone = poll(PATIENCE, || (!self.stands(run)).then_some(()));
        assert!(gone.is_some(), "{run} is still there: {:#?}\n{}", self.desk.asked(""), daemon.log());
    }

    pub fn tally(&self) -> Tally {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ledger = SqliteLedger::of_command(&self.bench.database());
        runtime.block_on(ledger.tally(&CHECK.into())).unwrap()
    }

    /// Waits until the ledger counts as wanted.
    #[track_caller]
    pub fn wait_tally(&self, wanted: impl Fn(&Tally) -> bool) -> Tally {
        poll(PATIENCE, || Some(self.tally()).filter(&wanted))
            .unwrap_or_else(|| panic!("{:?}; {:#?}", self.tally(), self.rows()))
    }

    /// The results so far.
    pub fn rows(&self) -> Vec<ResultRow> {
        results(&self.bench.database(), CHECK)
    }

    /// Waits for a result that began at or after `since` and has the finding; its summary, which results
    /// that pass are kept without.
    #[track_caller]
    pub fn wait_found(&self, finding: &str, since: Timestamp) -> String {
        let summary = |row: &ResultRow| {
            let found = row.findings.iter().find(|found| found.id.as_str() == finding);
            found.map(|found| found.summary.to_string())
        };
        let found = poll(PATIENCE, || {
            let rows = self.rows();
            rows.iter().filter(|row| row.at >= since).find_map(summary)
        });
        found.unwrap_or_else(|| panic!("no {finding}: {:#?}\n{:#?}", self.rows(), self.desk.asked("")))
    }

    /// Waits for so many more results.
    #[track_caller]
    pub fn wait_rows(&self, more: usize) {
        let before = self.rows().len();
        let there = poll(PATIENCE, || (self.rows().len() >= before + more).then_some(()));
        assert!(there.is_some(), "{:#?}", self.rows());
    }

    /// Whether any result so far has the finding.
    pub fn found(&self, finding: &str) -> bool {
        self.rows().iter().flat_map(|row| &row.findings).any(|found| found.id.as_str() == finding)
    }
}

/// The value of a series on the metrics page; zero if it is not there.
pub fn metric(daemon: &Daemon, series: &str) -> u64 {
    let metrics = daemon.metrics();
    let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse().unwrap())
}

fn config(desk: &Desk, pace: Pace, more: &str) -> String {
    format!(
        r##"
defaults: {{ every: 2s, timeout: 2s, deadline: {deadline}s, confirm: {{ failures: 1, successes: 1 }} }}
portals:
  acme:
    url: {url}
    private: true
    identities: {{ staff: {{ username: {user}, password: {{ insecure_literal: {password} }} }} }}
    checks:
      work:
        journey:
          as: staff
          session_cookies: {{ allow: [secure] }}
          {more}
          steps:
            - {{ name: login page, get: /login, capture: {{ login: {{ form: "form#login" }} }} }}
            - name: sign in
              submit: login
              form: {{ username: "{{{{ identity.username }}}}", password: "{{{{ identity.password }}}}" }}
              expect: {{ final_url: {{ contains: /dashboard }} }}
            - name: dashboard
              get: /dashboard
              expect: {{ body: {{ contains: "Signed in as {{{{ identity.username }}}}" }} }}
            - {{ name: form, get: /new }}
            - name: create
              write: true
              post: /api/tickets
              json: {{ title: "portalwatch {{{{ run.id }}}}" }}
              expect: {{ status: 201 }}
              capture: {{ ticket: {{ json: $.id, keep: true }} }}
              timeout: {step}s
            - name: read it back
              get: "/api/tickets/{{{{ ticket }}}}"
              expect: {{ json: {{ $.title: "portalwatch {{{{ run.id }}}}" }} }}
              timeout: {step}s
          cleanup:
            - delete: "/api/tickets/{{{{ ticket }}}}"
              expect: {{ status: [204, 404] }}
              timeout: {step}s
          sweep:
            - get: "/api/tickets?q={{{{ run.id }}}}"
              each: "$[*].id"
              then: {{ delete: "/api/tickets/{{{{ item }}}}", expect: {{ status: [204, 404] }} }}
          sign_out: {{ post: /logout, replay: /dashboard }}
"##,
        deadline = pace.deadline,
        step = pace.step,
        url = desk.url(),
        user = Desk::USERNAME,
        password = Desk::PASSWORD,
    )
}
