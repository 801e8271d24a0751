//! Journeys against real portals, by the examples that users start from: the portal itself is asked
//! what was done in it.

mod gate;
mod node_red;
mod roundup;
mod wagtail;
mod waits;

use std::path::PathBuf;

use portalwatch::model::{Cause, Finding, Incident, Verdict};
use portalwatch::record::{ResultRow, Store as _};
use serde_json::Value;
use tempfile::TempDir;

use self::gate::Gate;
use crate::command::{Said, portalwatch_with};
use crate::faults::bench::{on_disk, results, wait_metric};
use crate::peers::{Daemon, PATIENCE, Portal, free_port, poll};

const CHECK: &str = "acme/work";

/// An example, fitted to a portal of the tests, in a folder of its own.
struct Scene {
    folder: TempDir,
    port: u16,
    gate: Gate,
    config: String,
}

/// The example as it stands, and what is specific to the tests: where things are, how soon, and patience
/// with a portal on a busy machine.
fn fitted(example: &str, portal: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in example.lines() {
        let content = line.trim_start_matches([' ', '-']);
        let begins = |key: &str| content.starts_with(key);
        let indent = " ".repeat(line.len() - content.len());
        if begins("url: https://") {
            lines.push(format!("{indent}url: {portal}"));
            lines.push(format!("{indent}private: true"));
        } else if begins("every: 5m") {
            lines.push(format!("{indent}every: 2s"));
        } else if begins("name: ") || begins("each: ") {
            lines.extend([line.to_owned(), format!("{indent}timeout: 30s")]);
        } else {
            let removal = |key: &str| (format!("{{ {key}: "), format!("{{ timeout: 30s, {key}: "));
            let (post, delete) = (removal("post"), removal("delete"));
            lines.push(line.replace(&post.0, &post.1).replace(&delete.0, &delete.1));
        }
    }
    let text = lines.join("\n");
    let secret = text.split_once("file: /run/secrets/").and_then(|(_, rest)| rest.split(' ').next());
    let secret = format!("/run/secrets/{}", secret.unwrap_or_else(|| panic!("no secret in {text}")));
    text.replace(&secret, "password")
}

impl Scene {
    /// The example for a portal, which the account knows by this password. A journey waits at the gate
    /// between its write and what follows.
    fn new(example: &str, portal: &Portal, password: &str) -> Self {
        let (folder, port, gate) = (TempDir::new().unwrap(), free_port(), Gate::start());
        let before = format!(
            "server: {{ listen: '127.0.0.1:{port}' }}\n\
             storage: {{ url: 'sqlite://portalwatch.db' }}\n\
             defaults: {{ timeout: 2s, deadline: 2m }}\n"
        );
        let wait = format!(
            "            - {{ name: wait, get: '{}', timeout: 90s }}\n            - name: read back\n",
            gate.url()
        );
        let config = before + &fitted(example, &portal.url()) + "\n";
        let mut scene = Self { folder, port, gate, config };
        scene.edit("            - name: read back\n", &wait);
        scene.password(password);
        scene
    }

    /// Replaces a text of the config, which must stand there once.
    #[track_caller]
    fn edit(&mut self, old: &str, new: &str) {
        assert_eq!(self.config.matches(old).count(), 1, "{old:?} in {}", self.config);
        self.config = self.config.replace(old, new);
        std::fs::write(self.file(), &self.config).unwrap();
    }

    /// Takes a part out of the config, from one text up to the next.
    #[track_caller]
    fn cut(&mut self, from: &str, to: &str) {
        let (before, rest) = self.config.split_once(from).unwrap_or_else(|| panic!("no {from:?}"));
        let after = rest.find(to).and_then(|at| rest.get(at..)).unwrap_or_default();
        self.config = format!("{before}{after}");
        std::fs::write(self.file(), &self.config).unwrap();
    }

    /// Puts a password where the config refers to.
    fn password(&self, password: &str) {
        std::fs::write(self.folder.path().join("password"), format!("{password}\n")).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("monitor.yaml")
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("portalwatch.db")
    }

    fn start(&self) -> Daemon {
        let mut daemon = Daemon::start(&self.file(), self.port, &[]);
        daemon.wait_ready(PATIENCE);
        daemon
    }

    /// `portalwatch check --format json` with more arguments.
    fn check(&self, arguments: &[&str]) -> Said {
        portalwatch_with(
            self.folder.path(),
            &[],
            &[&["check", "--format", "json", "--timeout", "30s"], arguments].concat(),
        )
    }

    /// A run by hand that writes; `look` is called while it waits between its write and the rest.
    #[track_caller]
    fn check_and_look(&self, look: impl FnOnce()) -> Value {
        self.gate.close();
        let said = std::thread::scope(|scope| {
            let run = scope.spawn(|| self.check(&["--write"]));
            let there = poll(PATIENCE, || (self.gate.is_waited_at() || run.is_finished()).then_some(()));
            if there.is_some() && self.gate.is_waited_at() {
                look();
            }
            self.gate.open();
            run.join().unwrap()
        });
        said.json()["checks"][0].clone()
    }

    /// What the runs of the daemon came to so far, oldest first.
    fn results(&self) -> Vec<ResultRow> {
        let mut rows = results(&self.database(), CHECK);
        rows.sort_by_key(|row| row.at);
        rows
    }

    /// Waits for a result that the condition holds for.
    #[track_caller]
    fn wait_result(&self, daemon: &Daemon, what: &str, condition: impl Fn(&ResultRow) -> bool) -> ResultRow {
        let found = poll(2 * PATIENCE, || self.results().into_iter().find(&condition));
        found.unwrap_or_else(|| panic!("no {what} in {:#?}\n{}", self.results(), daemon.log()))
    }

    /// The check's open incident.
    fn incident(&self) -> Option<Incident> {
        let open = on_disk(&self.database(), |store| async move { store.open_incidents().await.unwrap() });
        open.into_iter().find(|incident| incident.check.to_string() == CHECK)
    }
}

fn found<'a>(row: &'a ResultRow, id: &str) -> Option<&'a Finding> {
    row.findings.iter().find(|finding| finding.id.as_str() == id)
}

/// The ids of the findings of a run by hand.
fn ids(check: &Value) -> Vec<&str> {
    let findings = check["findings"].as_array().into_iter().flatten();
    findings.filter_map(|finding| finding["id"].as_str()).collect()
}

/// A portal, asked by its own means.
trait Peer {
    fn portal(&mut self) -> &mut Portal;
    /// The titles of what is there and contains a text.
    fn titles(&self, text: &str) -> Vec<String>;
    /// The attempts to sign in, right or wrong.
    fn attempts(&self) -> usize;
    /// The canaries that are there.
    fn canaries(&self) -> Vec<String> {
        self.titles("portalwatch pw-")
    }
}

/// The id of the run whose canary is the only one there.
#[track_caller]
fn only_run(peer: &impl Peer) -> String {
    let titles = peer.canaries();
    let [title] = &titles[..] else { panic!("not one canary: {titles:?}") };
    title.strip_prefix("portalwatch ").unwrap().to_owned()
}

/// By hand and by the daemon: what is written stands in the portal, and is gone after.
#[track_caller]
fn writes_and_removes(scene: &Scene, peer: &impl Peer) {
    let check = scene.check_and_look(|| {
        only_run(peer);
    });
    assert_eq!((check["verdict"].as_str(), ids(&check)), (Some("pass"), vec![]), "{check:#}");
    assert_eq!(peer.canaries(), Vec::<String>::new());

    scene.gate.close();
    let daemon = scene.start();
    scene.gate.wait(|| daemon.log());
    let run = only_run(peer);
    assert_eq!(scene.results(), [], "a run that waits is not over");
    scene.gate.open();
    let row = scene.wait_result(&daemon, "result", |_| true);
    assert_eq!((row.verdict, row.findings), (Verdict::Pass, vec![]), "{}", daemon.log());
    let steps: Vec<&str> = row.steps.iter().map(|step| &*step.name).collect();
    assert!(steps.ends_with(&["create", "wait", "read back"]), "{steps:?}");
    assert_eq!(peer.titles(&run), Vec::<String>::new());
    assert!(daemon.terminate(PATIENCE).success());
}

/// A portal that goes away between a write and its clean-up: the write is not forgotten, and the daemon
/// removes it once the portal is back.
#[track_caller]
fn sweeps_after_an_outage(scene: &Scene, peer: &mut impl Peer) {
    scene.gate.close();
    let daemon = scene.start();
    scene.gate.wait(|| daemon.log());
    let run = only_run(peer);
    peer.portal().stop();
    scene.gate.open();

    let is_about = |row: &ResultRow, run: &str| {
        let left_behind = found(row, "journey.left_behind");
        left_behind.is_some_and(|finding| finding.summary.contains(run))
    };
    let row = scene.wait_result(&daemon, "left behind", |row| is_about(row, &run));
    let unreachable = found(&row, "journey.unreachable").map(|finding| finding.subject.as_str());
    assert_eq!((row.verdict, unreachable), (Verdict::Fail, Some("read back")), "{row:#?}");
    // However long the outage, it is no reason to give up, or to wait longer than it takes.
    let down = |rows: Vec<ResultRow>| rows.into_iter().skip_while(|next| next.at <= row.at);
    let rows = poll(PATIENCE, || Some(down(scene.results())).filter(|rows| rows.clone().count() >= 3));
    for row in rows.unwrap_or_else(|| panic!("no results: {}", daemon.log())) {
        assert!(is_about(&row, &run) && found(&row, "journey.orphan").is_none(), "{row:#?}");
        assert_eq!(row.verdict, Verdict::Fail);
    }
    wait_metric(&daemon, "portalwatch_canaries_total{outcome=\"failed\"} 1", PATIENCE);
    wait_metric(&daemon, "portalwatch_canaries_total{outcome=\"swept\"} 0", PATIENCE);

    peer.portal().start_again();
    let row = scene.wait_result(&daemon, "sweep", |row| found(row, "journey.swept").is_some());
    let swept = found(&row, "journey.swept").map(|finding| finding.summary.clone());
    assert_eq!(swept, Some(format!("1 thing of run {run} was found and removed")));
    assert_eq!(row.verdict, Verdict::Pass, "it writes again: {row:#?}");
    assert_eq!(peer.titles(&run), Vec::<String>::new());
    wait_metric(&daemon, "portalwatch_canaries_total{outcome=\"swept\"} 1", PATIENCE);
    let closed = poll(PATIENCE, || scene.incident().is_none().then_some(()));
    assert!(closed.is_some(), "{:?}", scene.incident());
    assert!(daemon.terminate(PATIENCE).success());
}

/// A wrong password is shown once; the right one at once. Returns the daemon, which goes on with that.
#[track_caller]
fn shows_a_wrong_password_once(scene: &Scene, peer: &impl Peer) -> Daemon {
    scene.password("no such password");
    let daemon = scene.start();
    let rows = poll(PATIENCE, || Some(scene.results()).filter(|rows| rows.len() >= 3));
    let rows = rows.unwrap_or_else(|| panic!("no results: {}", daemon.log()));
    let second = rows[1].at;
    for row in rows {
        let refused: Vec<_> =
            row.findings.iter().map(|finding| (finding.id.as_str(), finding.subject.as_str())).collect();
        assert_eq!((row.verdict, refused), (Verdict::Fail, vec![("journey.refused", "sign in")]), "{row:#?}");
    }
    assert_eq!(peer.attempts(), 1, "{}", daemon.log());
    let incident = scene.incident().unwrap_or_else(|| panic!("no incident: {}", daemon.log()));
    assert_eq!(incident.alertname, "journey.refused");
    assert!(incident.opened < second, "not by the first refusal: {incident:#?}");
    assert_eq!(peer.canaries(), Vec::<String>::new());

    scene.password(Portal::PASSWORD);
    scene.gate.wait(|| daemon.log());
    assert_eq!(peer.attempts(), 2, "{}", daemon.log());
    scene.gate.open();
    scene.wait_result(&daemon, "pass", |row| row.verdict == Verdict::Pass);
    let closed = poll(PATIENCE, || scene.incident().is_none().then_some(()));
    assert!(closed.is_some(), "{:?}", scene.incident());
    daemon
}

/// A portal that locks sign-ins out is not down; nobody knocks while it does.
#[track_caller]
fn leaves_a_lock_out_alone(scene: &Scene, peer: &impl Peer, daemon: &Daemon, knock: impl Fn()) {
    let blocked = |row: &ResultRow| row.cause == Some(Cause::Blocked);
    // A portal forgives with time, which a slow machine may give it.
    let row = poll(2 * PATIENCE, || {
        knock();
        scene.results().into_iter().find(blocked)
    });
    let row = row.unwrap_or_else(|| panic!("no lock-out in {:#?}", scene.results()));
    assert_eq!((row.verdict, &row.findings), (Verdict::Unknown, &vec![]), "{row:#?}");
    let attempts = peer.attempts();
    let held =
        poll(PATIENCE, || (scene.results().iter().filter(|row| blocked(row)).count() >= 3).then_some(()));
    assert!(held.is_some(), "{:#?}", scene.results());
    assert_eq!(peer.attempts(), attempts, "{}", daemon.log());
    assert!(scene.results().iter().skip_while(|next| next.at < row.at).all(blocked));
    assert_eq!(scene.incident(), None);
}

/// What a run by hand finds in another way out.
#[track_caller]
fn finds_a_session_that_outlives(scene: &mut Scene, sign_out: &str, other: &str) {
    scene.edit(sign_out, other);
    let said = scene.check(&[]).json();
    let found = ids(&said["checks"][0]);
    assert!(found.contains(&"journey.session_outlives"), "{said:#}");
}
