//! Journeys over real sockets on loopback, at portals that write bytes by hand.

mod answers;
mod credentials;
mod session;
mod steps;
mod tokens;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use super::facts::{Facts, StepFacts};
use super::*;
use crate::model::{Cause, CheckId, Finding, Identity, Masker, Secret};
use crate::net::{Net, NetOptions, TlsOptions};
use crate::probe::PortalScope;
use crate::record::memory::ledger::MemoryLedger;

const PASSWORD: &str = "hunter2+hunter2";

/// A request as a portal got it.
#[derive(Clone, Debug)]
struct Asked {
    /// `POST /login`.
    line: String,
    /// The header lines.
    head: String,
    body: String,
}

impl Asked {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

type Script = dyn Fn(&Asked) -> Option<String> + Send + Sync;

/// A portal that does what its script says: the bytes it writes before it closes; `None` never answers.
struct Portal {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Asked>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Portal {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Portal {
    async fn start(script: impl Fn(&Asked) -> Option<String> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, script): (_, Arc<Script>) = (requests.clone(), Arc::new(script));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, seen.clone(), script.clone()));
            }
        });
        Self { address, requests, task }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn requests(&self) -> Vec<Asked> {
        self.requests.lock().unwrap().clone()
    }

    /// The request lines.
    fn lines(&self) -> Vec<String> {
        self.requests().into_iter().map(|asked| asked.line).collect()
    }

    /// How often it was asked this.
    fn count(&self, line: &str) -> usize {
        self.lines().iter().filter(|asked| *asked == line).count()
    }

    /// The last request of this line.
    fn last(&self, line: &str) -> Asked {
        self.requests().into_iter().rfind(|asked| asked.line == line).unwrap()
    }
}

async fn serve(mut stream: TcpStream, seen: Arc<Mutex<Vec<Asked>>>, script: Arc<Script>) {
    let asked = read(&mut stream).await;
    seen.lock().unwrap().push(asked.clone());
    match script(&asked) {
        Some(answer) => {
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
            let _ = stream.read(&mut [0; 16]).await;
        }
        None => std::future::pending().await,
    }
}

async fn read(stream: &mut TcpStream) -> Asked {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let (line, head) = head.split_once("\r\n").unwrap();
            let line = line.trim_end_matches(" HTTP/1.1").to_owned();
            let asked = Asked { line, head: head.to_owned(), body: body.to_owned() };
            let length = asked.header("content-length").map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return asked;
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return Asked { line: text, head: String::new(), body: String::new() };
        }
    }
}

fn answer(status: u16, headers: &[&str], body: &str) -> Option<String> {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    Some(format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()))
}

fn html(body: &str) -> Option<String> {
    answer(200, &["content-type: text/html"], body)
}

fn data(value: Value) -> Option<String> {
    answer(200, &["content-type: application/json"], &value.to_string())
}

fn moved(status: u16, to: &str, cookies: &[&str]) -> Option<String> {
    let mut headers = vec![format!("location: {to}")];
    headers.extend(cookies.iter().map(|cookie| format!("set-cookie: {cookie}")));
    answer(status, &headers.iter().map(String::as_str).collect::<Vec<_>>(), "")
}

const LOGIN_PAGE: &str = "<form id=login method=post action='/login'><input type=hidden name=csrf value=t0k-of-the-form>\
    <input name=user><input type=password name=password></form>";

/// A portal with a sign-in, a dashboard behind it and a way out.
fn usual(asked: &Asked) -> Option<String> {
    let signed_in = asked.header("cookie").is_some_and(|cookie| cookie.contains("sid=s3ssion-value"));
    match asked.line.as_str() {
        "GET /login" => html(LOGIN_PAGE),
        "POST /login" if asked.body.contains("password=hunter2%2Bhunter2") => {
            moved(302, "/dashboard", &["sid=s3ssion-value; Path=/; HttpOnly; SameSite=Lax"])
        }
        "POST /login" => html(&format!("Wrong password {LOGIN_PAGE}")),
        "GET /dashboard" if signed_in => html("Signed in as probe"),
        "POST /logout" => moved(302, "/login", &["sid=; Max-Age=0"]),
        _ => moved(302, "/login", &[]),
    }
}

/// The steps that sign in there, and more.
fn signing_in(more: &[Value]) -> Value {
    let mut steps = vec![
        json!({ "name": "page", "get": "/login", "capture": { "login": { "form": "form#login" } } }),
        json!({ "name": "sign in", "submit": "login",
                "form": { "user": "{{ identity.username }}", "password": "{{ identity.password }}" },
                "expect": { "final_url": { "contains": "/dashboard" } } }),
    ];
    steps.extend(more.iter().cloned());
    json!({ "steps": steps })
}

fn staff(password: &str) -> Identity {
    Identity {
        name: "staff".into(),
        username: Some("probe".into()),
        password: Some(Secret::new(password, "env:P")),
        totp: None,
        token: None,
        oauth2: None,
        client: None,
    }
}

/// What is around a run.
struct Stage {
    identity: Option<Identity>,
    memory: Memory,
    at: Timestamp,
    deadline: Duration,
    ledger: Option<MemoryLedger>,
    tls: TlsOptions,
}

impl Stage {
    fn of(identity: impl Into<Option<Identity>>) -> Self {
        Self {
            identity: identity.into(),
            memory: Memory::default(),
            at: Timestamp::from_second(1_000_000_000).unwrap(),
            deadline: Duration::from_secs(30),
            ledger: None,
            tls: TlsOptions::default(),
        }
    }

    /// The same some seconds later, with what a run remembered.
    fn after(self, seen: Seen, seconds: u64) -> Self {
        let at = self.at.checked_add(Duration::from_secs(seconds)).unwrap();
        Self { memory: seen.memory, at, ..self }
    }

    async fn run(&self, portal: &Portal, spec: Value) -> Seen {
        self.run_at(&portal.url("/"), spec).await
    }

    async fn run_at(&self, portal: &str, spec: Value) -> Seen {
        let spec: Spec = serde_json::from_value(spec).unwrap();
        let net = Net::new(NetOptions {
            per_host: 16,
            global: 64,
            user_agent: "portalwatch/test".into(),
            hosts: BTreeMap::new(),
        });
        let url = Url::parse(portal).unwrap();
        let scope = Scope {
            check: CheckId::new("acme", "work"),
            portal: Arc::new(PortalScope {
                name: "acme".into(),
                url: Some(url),
                private: true,
                ..PortalScope::default()
            }),
            timeout: Duration::from_secs(5),
            deadline: self.deadline,
            resolvers: Arc::new(["system".to_owned()]),
            tls: Arc::new(self.tls.clone()),
            identity: self.identity.clone().map(Arc::new),
            triggered: None,
        };
        let past = Past::of(self.memory.clone());
        let ledger = self.ledger.as_ref().map(|ledger| ledger as &dyn crate::model::Ledger);
        let ctx = Ctx {
            scope: &scope,
            net: &net,
            masker: &Masker::default(),
            at: self.at,
            everything: false,
            ledger,
            baselines: None,
            writes: true,
        };
        let observed = Journey::observe(&spec, &ctx, &past).await.unwrap();
        let Judgement { findings, memory, unknown } = Journey::judge(&spec, &observed.facts, &past, self.at);
        Seen { observed, findings, memory, unknown: unknown.map(|unmeasured| unmeasured.cause) }
    }
}

struct Seen {
    observed: Observed<Facts>,
    findings: Vec<Finding>,
    memory: Memory,
    unknown: Option<Cause>,
}

impl Seen {
    fn facts(&self) -> &Facts {
        &self.observed.facts
    }

    fn step(&self, name: &str) -> &StepFacts {
        self.facts().steps.iter().find(|step| step.name == name).unwrap()
    }

    fn names(&self) -> Vec<&str> {
        self.facts().steps.iter().map(|step| step.name.as_str()).collect()
    }

    /// What was found, cookies left out.
    fn ids(&self) -> Vec<&str> {
        let ids = self.findings.iter().map(|finding| finding.id.as_str());
        ids.filter(|id| !id.starts_with("journey.cookie_")).collect()
    }

    /// The summary of the first finding.
    fn summary(&self) -> &str {
        &self.findings[0].summary
    }

    /// Everything that is kept or told, for secrets to be sought in.
    fn everything(&self) -> String {
        format!("{} {:?}", serde_json::to_string(&self.observed.facts).unwrap(), self.findings)
    }
}
