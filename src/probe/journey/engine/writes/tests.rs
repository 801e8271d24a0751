//! Writes where our own side fails in the middle: over real sockets, with a ledger that can be told to
//! fail.

use std::sync::Mutex;

use futures_util::future::BoxFuture;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::super::*;
use crate::model::ledger::Tally;
use crate::model::{Budget, Canary, CanaryState, CheckId, Entry, Finding, Ledger, LedgerError, Masker};
use crate::net::{Net, NetOptions, TlsOptions, within};
use crate::probe::journey::facts::Written;
use crate::probe::journey::verdict;
use crate::probe::{PortalScope, Scope};
use crate::record::memory::ledger::MemoryLedger;

/// The answer to a request line; none cuts the connection.
type Script = fn(&str) -> Option<(u16, &'static str)>;

/// A portal, and the request lines it saw.
struct Portal {
    url: Url,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Portal {
    async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&lines);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&seen), script));
            }
        });
        Self { url, lines }
    }

    /// How often a request line began so.
    fn asked(&self, beginning: &str) -> usize {
        self.lines.lock().unwrap().iter().filter(|line| line.starts_with(beginning)).count()
    }
}

async fn answer(mut stream: TcpStream, seen: Arc<Mutex<Vec<String>>>, script: Script) {
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
    seen.lock().unwrap().push(line.clone());
    if let Some((status, body)) = script(&line) {
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
        let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
    }
}

/// A ledger of which one call fails, or takes long.
#[derive(Default)]
struct Faulty {
    inner: MemoryLedger,
    fails: &'static str,
    takes: Duration,
}

impl Faulty {
    async fn before(&self, call: &str) -> Result<(), LedgerError> {
        tokio::time::sleep(self.takes).await;
        if call == self.fails {
            let (file, why) = ("test".to_owned(), "told to fail".to_owned());
            return Err(LedgerError::Unusable { file, why, way_out: "do not tell it" });
        }
        Ok(())
    }
}

impl Ledger for Faulty {
    fn enter<'a>(
        &'a self,
        check: &'a CheckId,
        run: &'a str,
        now: Timestamp,
        held_until: Timestamp,
        budget: Budget,
    ) -> BoxFuture<'a, Result<Entry, LedgerError>> {
        Box::pin(async move {
            self.before("enter").await?;
            self.inner.enter(check, run, now, held_until, budget).await
        })
    }

    fn keep<'a>(
        &'a self,
        run: &'a str,
        kept: &'a Map<String, Value>,
    ) -> BoxFuture<'a, Result<(), LedgerError>> {
        Box::pin(async move {
            self.before("keep").await?;
            self.inner.keep(run, kept).await
        })
    }

    fn settle<'a>(
        &'a self,
        run: &'a str,
        state: CanaryState,
        at: Timestamp,
    ) -> BoxFuture<'a, Result<(), LedgerError>> {
        Box::pin(async move {
            self.before("settle").await?;
            self.inner.settle(run, state, at).await
        })
    }

    fn take<'a>(
        &'a self,
        check: &'a CheckId,
        now: Timestamp,
        until: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<Canary>, LedgerError>> {
        Box::pin(async move {
            self.before("take").await?;
            self.inner.take(check, now, until).await
        })
    }

    fn failed<'a>(&'a self, run: &'a str, not_before: Timestamp) -> BoxFuture<'a, Result<(), LedgerError>> {
        Box::pin(async move {
            self.before("failed").await?;
            self.inner.failed(run, not_before).await
        })
    }

    fn release<'a>(&'a self, run: &'a str) -> BoxFuture<'a, Result<(), LedgerError>> {
        Box::pin(async move {
            self.before("release").await?;
            self.inner.release(run).await
        })
    }

    fn open<'a>(&'a self, check: &'a CheckId) -> BoxFuture<'a, Result<Vec<Canary>, LedgerError>> {
        Box::pin(async move {
            self.before("open").await?;
            self.inner.open(check).await
        })
    }

    fn tally<'a>(&'a self, check: &'a CheckId) -> BoxFuture<'a, Result<Tally, LedgerError>> {
        Box::pin(async move {
            self.before("tally").await?;
            self.inner.tally(check).await
        })
    }
}

fn check() -> CheckId {
    CheckId::new("acme", "work")
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A journey of one write.
fn spec(changes: Value) -> Spec {
    let mut all = json!({
        "steps": [{ "name": "create", "write": true, "post": "/t", "json": { "title": "{{ run.id }}" },
                    "capture": { "ticket": { "json": "$.id", "keep": true } } }],
        "cleanup": [{ "delete": "/t/{{ ticket }}" }],
        "sweep": [{ "get": "/t?q={{ run.id }}", "each": { "regex": "id=([0-9]+)" },
                    "then": { "delete": "/t/{{ item }}" } }],
    });
    all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

const DEADLINE: Duration = Duration::from_secs(20);

fn net() -> Net {
    let user_agent = "portalwatch/test".into();
    Net::new(NetOptions { per_host: 16, global: 64, user_agent, hosts: BTreeMap::new() })
}

fn scope(portal: &Portal, deadline: Duration) -> Scope {
    Scope {
        check: check(),
        portal: Arc::new(PortalScope {
            url: Some(portal.url.clone()),
            private: true,
            ..PortalScope::default()
        }),
        timeout: Duration::from_secs(5),
        deadline,
        // Nobody resolves names there.
        resolvers: Arc::new(["127.0.0.1:1".to_owned()]),
        tls: Arc::new(TlsOptions::default()),
        identity: None,
        triggered: None,
    }
}

/// A run at second 1000.
async fn run(spec: &Spec, portal: &Portal, ledger: &dyn Ledger, deadline: Duration) -> Facts {
    let (scope, net) = (scope(portal, deadline), net());
    let ledger = Some(ledger);
    let ctx = Ctx {
        scope: &scope,
        net: &net,
        masker: &Masker::default(),
        at: at(1_000),
        everything: false,
        ledger,
        baselines: None,
        writes: true,
    };
    let (ended, _) = within(deadline, observe(spec, &ctx, &Memory::default())).await;
    ended.expect("the journey ends by itself").unwrap().facts
}

fn ids(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.id.as_str()).collect()
}

fn works(line: &str) -> Option<(u16, &'static str)> {
    Some(match line {
        "POST /t" => (201, r#"{"id":7}"#),
        _ => (200, ""),
    })
}

fn cuts_writes(line: &str) -> Option<(u16, &'static str)> {
    if line == "POST /t" { None } else { Some((200, "")) }
}

#[tokio::test]
async fn a_clean_up_that_our_own_side_could_not_send_proves_nothing() {
    let portal = Portal::start(works).await;
    let ledger = MemoryLedger::default();
    let spec = spec(json!({ "cleanup": [{ "delete": "http://elsewhere.test/t/{{ ticket }}" }] }));
    let facts = run(&spec, &portal, &ledger, DEADLINE).await;
    assert_eq!(ids(&verdict::findings(&spec, &facts)), ["journey.left_behind"], "{facts:#?}");
    assert_eq!(ledger.tally(&check()).await.unwrap(), Tally { open: 1, ..Tally::default() });
}

#[tokio::test]
async fn captures_that_cannot_be_kept_end_the_run_and_the_write_is_cleaned_up() {
    let portal = Portal::start(works).await;
    let ledger = Faulty { fails: "keep", ..Faulty::default() };
    let facts = run(&spec(json!({})), &portal, &ledger, DEADLINE).await;
    assert_eq!(portal.asked("DELETE /t/7"), 1);
    let unknown = verdict::unknown(&facts).unwrap();
    assert!(unknown.cause == Cause::LocalStorage && unknown.why.contains("told to fail"), "{unknown:?}");
    assert_eq!(ledger.tally(&check()).await.unwrap(), Tally { cleaned: 1, ..Tally::default() });
}

#[tokio::test]
async fn a_clean_up_that_cannot_be_noted_is_our_fault_and_is_looked_at_again() {
    let portal = Portal::start(works).await;
    let ledger = Faulty { fails: "settle", ..Faulty::default() };
    let spec = spec(json!({}));
    let facts = run(&spec, &portal, &ledger, DEADLINE).await;
    assert_eq!(ids(&verdict::findings(&spec, &facts)), <[&str; 0]>::default());
    assert_eq!(verdict::unknown(&facts).unwrap().cause, Cause::LocalStorage);
    assert_eq!(ledger.tally(&check()).await.unwrap().open, 1);
}

#[tokio::test]
async fn a_fault_of_our_ledger_hides_no_failure_of_the_portal() {
    let portal = Portal::start(|line| Some((if line == "POST /t" { 500 } else { 200 }, ""))).await;
    let ledger = Faulty { fails: "settle", ..Faulty::default() };
    let spec = spec(json!({ "cleanup": [{ "delete": "/all" }] }));
    let facts = run(&spec, &portal, &ledger, DEADLINE).await;
    assert!(verdict::unknown(&facts).is_none());
    assert!(ids(&verdict::findings(&spec, &facts)).contains(&"journey.status"));
}

#[tokio::test]
async fn a_slow_disk_of_ours_is_not_the_portals_time() {
    let portal = Portal::start(works).await;
    let ledger = Faulty { takes: Duration::from_millis(600), ..Faulty::default() };
    let spec = spec(json!({}));
    let facts = run(&spec, &portal, &ledger, Duration::from_secs(2)).await;
    assert_eq!(ids(&verdict::findings(&spec, &facts)), <[&str; 0]>::default());
    assert_eq!(facts.written, Some(Written::Cleaned));
}

#[tokio::test]
async fn nothing_is_sent_any_more_once_others_may_take_over() {
    let portal = Portal::start(works).await;
    let (ledger, spec) = (MemoryLedger::default(), spec(json!({})));
    let (scope, net) = (scope(&portal, DEADLINE), net());
    let ctx = Ctx {
        scope: &scope,
        net: &net,
        masker: &Masker::default(),
        at: at(1_000),
        everything: false,
        ledger: Some(&ledger),
        baselines: None,
        writes: true,
    };
    let mut run = Run::new(&spec, &ctx, &portal.url, "pw-own".into());
    assert!(run.enter().await);
    let step = &spec.steps[0];
    // The run waited for a connection until its hold was over.
    run.hold = Some(Instant::now());
    let mut seen = StepFacts::of(step, "");
    run.repeated(step, &mut seen, run.all_end).await;
    assert!(matches!(seen.trouble, Some(Trouble::OurSide(_))), "{seen:#?}");
    run.hold();
    run.repeated(step, &mut seen, run.all_end).await;
    assert_eq!((&seen.trouble, portal.asked("POST")), (&None, 1));
}

#[tokio::test]
async fn a_clean_up_that_leaves_itself_out_proves_nothing_of_a_write_whose_answer_was_lost() {
    let portal = Portal::start(cuts_writes).await;
    for cleanup in [
        json!([{ "delete": "/t/{{ ticket }}", "when": "ticket is defined" }]),
        json!([{ "delete": "/t/{{ ticket }}", "optional": true }]),
        json!([{ "delete": "/all" }]),
    ] {
        let ledger = MemoryLedger::default();
        let facts = run(&spec(json!({ "cleanup": cleanup })), &portal, &ledger, DEADLINE).await;
        assert!(matches!(facts.written, Some(Written::LeftBehind(_))), "{cleanup}: {facts:#?}");
        assert_eq!(ledger.tally(&check()).await.unwrap().open, 1, "{cleanup}");
    }
}

#[tokio::test]
async fn a_step_of_the_clean_up_that_fails_keeps_the_others_from_nothing() {
    let portal = Portal::start(works).await;
    let ledger = MemoryLedger::default();
    let cleanup = json!([{ "delete": "/x/{{ nothing }}" }, { "delete": "/t/{{ ticket }}" }]);
    let facts = run(&spec(json!({ "cleanup": cleanup })), &portal, &ledger, DEADLINE).await;
    assert_eq!(portal.asked("DELETE /t/7"), 1);
    assert!(matches!(facts.written, Some(Written::LeftBehind(_))), "{facts:#?}");
}

/// Leaves a canary, written at a second by a run that died.
async fn leave(ledger: &MemoryLedger, second: i64) {
    let budget = Budget { limit: 9, since: Timestamp::MIN };
    let entered = ledger.enter(&check(), "pw-before", at(second), at(second), budget).await;
    assert_eq!(entered.unwrap(), Entry::Entered);
}

#[tokio::test]
async fn a_search_that_is_sent_to_the_sign_in_does_not_prove_that_nothing_is_there() {
    let portal = Portal::start(|line| {
        let page = "<form method=post><input name=u><input type=password name=p></form>";
        if line.starts_with("GET /t?q=") { Some((200, page)) } else { works(line) }
    })
    .await;
    let ledger = MemoryLedger::default();
    leave(&ledger, 100).await;
    let spec = spec(json!({}));
    let facts = run(&spec, &portal, &ledger, DEADLINE).await;
    assert_eq!(ids(&verdict::findings(&spec, &facts)), ["journey.left_behind", "journey.not_written"]);
    assert_eq!(portal.asked("POST"), 0);
    let open = ledger.open(&check()).await.unwrap();
    assert_eq!((open[0].attempts, open[0].not_before.is_some()), (1, true));
}

#[tokio::test]
async fn a_sweep_that_our_own_side_could_not_send_is_no_try() {
    let portal = Portal::start(works).await;
    let ledger = MemoryLedger::default();
    leave(&ledger, 100).await;
    let search = json!({ "get": "http://elsewhere.test/t?q={{ run.id }}", "each": "$[*]",
                         "then": { "delete": "/t/{{ item }}" } });
    let spec = spec(json!({ "sweep": [search] }));
    let facts = run(&spec, &portal, &ledger, DEADLINE).await;
    assert_eq!(ids(&verdict::findings(&spec, &facts)), ["journey.left_behind", "journey.not_written"]);
    let open = ledger.open(&check()).await.unwrap();
    assert_eq!((open.len(), open[0].attempts, open[0].not_before), (1, 0, None));
}

#[tokio::test]
async fn nothing_found_is_nothing_left_only_once_the_write_cannot_come_any_more() {
    // The last was written before the clock went back.
    for (second, settled) in [(999, false), (100, true), (500_000, true)] {
        let portal = Portal::start(works).await;
        let ledger = MemoryLedger::default();
        leave(&ledger, second).await;
        let spec = spec(json!({}));
        let facts = run(&spec, &portal, &ledger, DEADLINE).await;
        let tally = ledger.tally(&check()).await.unwrap();
        assert_eq!((tally.absent == 1, tally.open == 0), (settled, settled), "{second}: {facts:#?}");
        assert_eq!(portal.asked("POST"), usize::from(settled), "{second}");
        let wanted = if settled { "journey.swept" } else { "journey.not_written" };
        assert_eq!(ids(&verdict::findings(&spec, &facts)), [wanted], "{second}");
    }
}

#[tokio::test]
async fn a_fault_of_the_ledger_before_the_write_sends_nothing() {
    for fails in ["enter", "take"] {
        let portal = Portal::start(works).await;
        let ledger = Faulty { fails, ..Faulty::default() };
        leave(&ledger.inner, 100).await;
        let facts = run(&spec(json!({})), &portal, &ledger, DEADLINE).await;
        assert_eq!(portal.asked("POST"), 0, "{fails}: {facts:#?}");
        assert_eq!(verdict::unknown(&facts).unwrap().cause, Cause::LocalStorage, "{fails}");
    }
}
