//! Looks over real sockets on loopback, at servers that answer what registries and registrars answer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::facts::Said;
use super::*;
use crate::model::{Cause, CheckId, Finding, Masker, Severity};
use crate::net::{Net, NetOptions, TlsOptions};
use crate::probe::PortalScope;

const VERISIGN: &str = include_str!("../../formats/rdap/samples/verisign.json");
const REGISTRAR: &str = include_str!("../../formats/rdap/samples/registrar.json");
const PIR: &str = include_str!("../../formats/rdap/samples/pir.json");
const NOMINET: &str = include_str!("../../formats/rdap/samples/nominet.json");
const DENIC: &str = include_str!("../../formats/rdap/samples/denic.json");
const REDEMPTION: &str = include_str!("../../formats/rdap/samples/redemption.json");
/// A day on which none of the samples is about to expire but Nominet's.
const NOW: &str = "2026-11-25T10:00:00Z";

/// A server whose answer can be exchanged; none never answers.
struct Server {
    address: SocketAddr,
    answer: Arc<Mutex<Option<String>>>,
    requests: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start(answer: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (answer, requests) = (Arc::new(Mutex::new(answer)), Arc::<Mutex<Vec<String>>>::default());
        let (says, seen) = (answer.clone(), requests.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, seen.clone(), says.clone()));
            }
        });
        Self { address, answer, requests, task }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn says(&self, answer: impl Into<Option<String>>) {
        *self.answer.lock().unwrap() = answer.into();
    }

    /// The request lines since the last time they were asked for.
    fn asked(&self) -> Vec<String> {
        let requests = std::mem::take(&mut *self.requests.lock().unwrap());
        requests.iter().map(|request| request.lines().next().unwrap_or_default().to_owned()).collect()
    }
}

async fn serve(mut stream: TcpStream, seen: Arc<Mutex<Vec<String>>>, says: Arc<Mutex<Option<String>>>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    seen.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
    let answer = says.lock().unwrap().clone();
    match answer {
        Some(answer) => {
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
            let _ = stream.read(&mut [0; 16]).await;
        }
        None => std::future::pending().await,
    }
}

fn answer(status: &str, headers: &str, body: &str) -> Option<String> {
    let length = body.len();
    Some(format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}"))
}

fn rdap(body: &str) -> Option<String> {
    answer("200 OK", "content-type: application/rdap+json\r\n", body)
}

fn moved(to: &str) -> Option<String> {
    answer("302 Found", &format!("location: {to}\r\n"), "")
}

struct Ran {
    facts: Facts,
    transport: bool,
    findings: Vec<Finding>,
    unknown: Option<Unmeasured>,
    memory: Memory,
}

impl Ran {
    /// The measured findings.
    fn ids(&self) -> Vec<&str> {
        self.findings.iter().filter(|found| found.measured).map(|found| found.id.as_str()).collect()
    }

    fn unmeasured(&self) -> Vec<&str> {
        self.findings.iter().filter(|found| !found.measured).map(|found| found.id.as_str()).collect()
    }

    #[track_caller]
    fn found(&self, id: &str) -> &Finding {
        self.findings
            .iter()
            .find(|found| found.id.as_str() == id)
            .unwrap_or_else(|| panic!("{:#?}", self.findings))
    }

    fn cause(&self) -> Option<Cause> {
        self.unknown.as_ref().map(|unknown| unknown.cause)
    }

    fn why(&self) -> &str {
        self.unknown.as_ref().map_or("", |unknown| &unknown.why)
    }

    /// Nothing is said of the domain, and why.
    #[track_caller]
    fn says_nothing_because(&self, cause: Cause, why: &str) {
        assert_eq!(self.cause(), Some(cause), "{:?}", self.unknown);
        assert_eq!((self.ids(), self.unmeasured()), (vec![], vec!["registration.unreachable"]));
        assert!(self.why().contains(why), "{}", self.why());
    }
}

async fn look_as(settings: Value, private: bool, memory: Memory, at: &str) -> Ran {
    let spec: Spec = serde_json::from_value(settings).unwrap();
    let at: Timestamp = at.parse().unwrap();
    let net = Net::new(NetOptions {
        per_host: 16,
        global: 64,
        user_agent: "portalwatch/test".into(),
        hosts: BTreeMap::new(),
    });
    let scope = Scope {
        check: CheckId::new("acme", "registration"),
        portal: Arc::new(PortalScope { private, ..PortalScope::default() }),
        timeout: Duration::from_secs(2),
        deadline: Duration::from_secs(30),
        resolvers: Arc::new(["system".to_owned()]),
        tls: Arc::new(TlsOptions::default()),
        identity: None,
        triggered: None,
    };
    let masker = Masker::default();
    let ctx = Ctx {
        scope: &scope,
        net: &net,
        masker: &masker,
        at,
        everything: false,
        ledger: None,
        baselines: None,
        writes: false,
    };
    let past = Past::of(memory);
    let observed = RegistrationKind::observe(&spec, &ctx, &past).await.unwrap();
    let judged = RegistrationKind::judge(&spec, &observed.facts, &past, at);
    Ran {
        facts: observed.facts,
        transport: observed.transport,
        findings: judged.findings,
        unknown: judged.unknown,
        memory: judged.memory,
    }
}

async fn look(settings: Value, memory: Memory, at: &str) -> Ran {
    look_as(settings, true, memory, at).await
}

fn at_server(server: &Server, domain: &str) -> Value {
    json!({ "domain": domain, "server": server.url("/rdap"), "lock": "ignored" })
}

async fn first(server: &Server, domain: &str) -> Ran {
    look(at_server(server, domain), Memory::default(), NOW).await
}

#[tokio::test]
async fn the_registrys_date_wins_over_the_registrars_and_each_is_asked_once() {
    let registrar = Server::start(rdap(REGISTRAR)).await;
    let registry =
        Server::start(rdap(&VERISIGN.replace("https://registrar.example", &registrar.url("")))).await;
    let ran = first(&registry, "acme-portal.com").await;
    // The registrar's date has passed: only the registry's counts.
    assert_eq!(ran.ids(), ["registration.date_disagrees"]);
    let found = ran.found("registration.date_disagrees");
    assert_eq!(found.severity, Severity::Info);
    assert!(
        found.summary.contains("2027-08-13") && found.summary.contains("2026-08-13"),
        "{}",
        found.summary
    );
    assert_eq!((&ran.unknown, ran.transport), (&None, false));
    assert_eq!(ran.memory.expires.unwrap().to_string(), "2027-08-13T04:00:00Z");
    assert!(registry.requests.lock().unwrap()[0].to_lowercase().contains("accept: application/rdap+json"));
    assert_eq!(registry.asked(), ["GET /rdap/domain/acme-portal.com HTTP/1.1"]);
    assert_eq!(registrar.asked(), ["GET /rdap/domain/ACME-PORTAL.COM HTTP/1.1"]);
}

#[tokio::test]
async fn a_registrar_that_does_not_answer_changes_nothing() {
    let registrar = Server::start(answer("500 Oops", "", "")).await;
    let registry =
        Server::start(rdap(&VERISIGN.replace("https://registrar.example", &registrar.url("")))).await;
    let ran = first(&registry, "acme-portal.com").await;
    assert_eq!((ran.ids(), ran.unmeasured()), (vec![], vec!["registration.registrar_silent"]));
    assert_eq!(ran.unknown, None);
    registrar.says(answer("404 Not Found", "", ""));
    let ran = first(&registry, "acme-portal.com").await;
    assert_eq!((ran.ids(), ran.unmeasured()), (vec![], vec!["registration.registrar_silent"]));
}

#[tokio::test]
async fn a_registrar_at_a_metadata_address_is_not_asked() {
    let registry =
        Server::start(rdap(&VERISIGN.replace("https://registrar.example", "http://169.254.169.254"))).await;
    let ran = first(&registry, "acme-portal.com").await;
    assert!(ran.found("registration.registrar_silent").summary.contains("169.254.169.254"));
    assert_eq!(ran.ids(), Vec::<&str>::new());
}

#[tokio::test]
async fn a_domain_in_redemption_is_down_and_its_date_has_passed() {
    let registry = Server::start(rdap(REDEMPTION)).await;
    let ran = first(&registry, "acme-portal.com").await;
    assert_eq!(ran.ids(), ["registration.hold", "registration.redemption", "registration.expired"]);
    assert!(ran.findings.iter().all(|found| found.broken && found.severity == Severity::Critical));
    assert_eq!(ran.unknown, None);
}

#[tokio::test]
async fn other_registries_write_it_differently() {
    let registry = Server::start(rdap(&PIR.replace("\"Related\"", "\"about\""))).await;
    let ran = first(&registry, "acme-portal.org").await;
    assert_eq!(ran.findings, []);
    assert_eq!(ran.memory.expires.unwrap().to_string(), "2027-02-11T16:07:21.82Z");
    registry.says(rdap(NOMINET));
    let ran = first(&registry, "acme-portal.co.uk").await;
    assert_eq!(ran.ids(), ["registration.expiring"]);
    let found = ran.found("registration.expiring");
    assert_eq!((found.severity, found.broken), (Severity::Error, false));
    assert!(found.summary.contains("2026-12-15, in 19 days"), "{}", found.summary);
}

#[tokio::test]
async fn a_registry_that_tells_no_date_leaves_that_to_the_config() {
    let registry = Server::start(rdap(DENIC)).await;
    let ran = first(&registry, "acme-portal.de").await;
    assert_eq!((ran.ids(), ran.unmeasured()), (vec![], vec!["registration.no_date"]));
    assert_eq!((ran.unknown, ran.memory.expires), (None, None));
    let mut settings = at_server(&registry, "acme-portal.de");
    settings["expires"] = "2026-11-30".into();
    let ran = look(settings, Memory::default(), NOW).await;
    assert_eq!(ran.ids(), ["registration.expiring"]);
    assert_eq!(ran.found("registration.expiring").severity, Severity::Critical);
    let undated = r#"{"ldhName": "acme-portal.de", "events": [{"eventAction": "expiration"}]}"#;
    registry.says(rdap(undated));
    assert_eq!(first(&registry, "acme-portal.de").await.unmeasured(), ["registration.no_date"]);
}

#[tokio::test]
async fn only_a_registrys_404_says_that_a_domain_is_gone() {
    let error = r#"{"errorCode": 404, "title": "Not Found", "description": ["no such domain"]}"#;
    let registry =
        Server::start(answer("404 Not Found", "content-type: application/rdap+json\r\n", error)).await;
    let ran = first(&registry, "acme-portal.com").await;
    assert_eq!(ran.ids(), ["registration.not_found"]);
    let found = ran.found("registration.not_found");
    assert!(found.broken && found.severity == Severity::Critical && found.summary.contains("no such domain"));
    registry.says(answer("404 Not Found", "", ""));
    assert_eq!(first(&registry, "acme-portal.com").await.ids(), ["registration.not_found"]);
    for (status, body) in [
        ("404 Not Found", "<html>nginx</html>"),
        ("404 Not Found", r#"{"message": "no route"}"#),
        ("404 Not Found", r#"{"errorCode": 500}"#),
        ("400 Bad Request", error),
    ] {
        registry.says(answer(status, "", body));
        first(&registry, "acme-portal.com").await.says_nothing_because(Cause::Blocked, "answered 40");
    }
}

#[tokio::test]
async fn a_server_that_asks_for_patience_is_left_alone_for_as_long() {
    let registry = Server::start(answer("429 Too Many Requests", "retry-after: 90000\r\n", "")).await;
    let settings = || at_server(&registry, "acme-portal.com");
    let ran = first(&registry, "acme-portal.com").await;
    ran.says_nothing_because(Cause::Blocked, "429 and asks not to be asked before 2026-11-26T11:00:00Z");
    assert_eq!(registry.asked().len(), 1);
    registry.says(rdap(&VERISIGN.replace("\"related\"", "\"about\"")));
    let ran = look(settings(), ran.memory, "2026-11-25T22:00:00Z").await;
    ran.says_nothing_because(Cause::Blocked, "asked not to be asked before 2026-11-26T11:00:00Z");
    assert_eq!(registry.asked().len(), 0);
    let ran = look(settings(), ran.memory, "2026-11-26T11:00:00Z").await;
    assert_eq!((ran.findings, ran.unknown), (vec![], None));
    assert_eq!(registry.asked().len(), 1);
    assert_eq!(ran.memory.held, BTreeMap::new());
}

#[tokio::test]
async fn what_cannot_be_read_says_nothing_of_the_domain() {
    let registry = Server::start(None).await;
    let large = format!(r#"{{"ldhName": "acme-portal.com", "x": "{}"}}"#, "x".repeat(2 * 1024 * 1024));
    let gone = r#"{"errorCode": 503, "title": "Busy"}"#;
    for (says, cause, why) in [
        (answer("200 OK", "content-type: text/html\r\n", "<!doctype html><p>hi"), Cause::Blocked, "no JSON"),
        (rdap(&large), Cause::Blocked, "longer than 1 MiB"),
        (rdap(&REGISTRAR.replace("acme-portal.com", "other.com")), Cause::Blocked, "about \"other.com\""),
        (answer("503 Busy", "", gone), Cause::Blocked, "answered 503: Busy"),
        (moved("/rdap/domain/acme-portal.com"), Cause::Blocked, "leads back"),
        (moved("http://169.254.169.254/latest"), Cause::Config, "address guard refuses"),
        (moved("ftp://a.example/"), Cause::Blocked, "scheme ftp"),
        (
            Some("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_owned()),
            Cause::LocalNetwork,
            "closed early",
        ),
        (Some("SSH-2.0-OpenSSH_9.2\r\n".to_owned()), Cause::Blocked, "protocol error"),
    ] {
        registry.says(says);
        first(&registry, "acme-portal.com").await.says_nothing_because(cause, why);
    }
}

#[tokio::test]
async fn more_than_three_redirects_are_not_followed() {
    let last = Server::start(rdap(&VERISIGN.replace("\"related\"", "\"about\""))).await;
    let mut servers = vec![last];
    for _ in 0..4 {
        let to = servers.last().map(|next| next.url("/rdap/domain/acme-portal.com")).unwrap();
        servers.push(Server::start(moved(&to)).await);
    }
    let three = first(&servers[3], "acme-portal.com").await;
    assert_eq!((three.findings, three.unknown), (vec![], None));
    assert_eq!(three.facts.registry.unwrap().redirects.len(), 3);
    first(&servers[4], "acme-portal.com").await.says_nothing_because(Cause::Blocked, "3 allowed");
}

#[tokio::test]
async fn a_dead_server_is_unknown_and_never_an_expiry() {
    let server = Server::start(rdap(&VERISIGN.replace("\"related\"", "\"about\""))).await;
    let known = first(&server, "acme-portal.com").await.memory;
    let settings = || at_server(&server, "acme-portal.com");
    server.says(answer("502 Bad Gateway", "", ""));
    // Known to be far away, then near, then passed.
    let far = look(settings(), known.clone(), NOW).await;
    far.says_nothing_because(Cause::Blocked, "502");
    let near = look(settings(), known.clone(), "2027-08-08T04:00:00Z").await;
    assert_eq!((near.ids(), &near.unknown), (vec!["registration.expiring"], &None));
    let found = near.found("registration.expiring");
    assert_eq!(found.severity, Severity::Critical);
    assert!(found.summary.ends_with("in 5 days, by the registry, as of 2026-11-25"), "{}", found.summary);
    let passed = look(settings(), known.clone(), "2027-08-13T04:00:01Z").await;
    passed.says_nothing_because(Cause::Blocked, "502");
    assert_eq!(passed.memory.expires, known.expires);
}

#[tokio::test]
async fn a_server_that_is_down_or_refused_is_unknown_with_its_cause() {
    let server = Server::start(None).await;
    let silent = first(&server, "acme-portal.com").await;
    silent.says_nothing_because(Cause::LocalNetwork, "timed out");
    assert!(silent.transport);
    let settings = at_server(&server, "acme-portal.com");
    let guarded = look_as(settings.clone(), false, Memory::default(), NOW).await;
    guarded.says_nothing_because(Cause::Config, "private: true");
    drop(server);
    // The port is free once the server's task has ended.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        let refused = look(settings.clone(), Memory::default(), NOW).await;
        if refused.why().contains("refused") {
            break refused.says_nothing_because(Cause::LocalNetwork, "connection refused");
        }
        assert!(tokio::time::Instant::now() < deadline, "{}", refused.why());
    }
}

#[tokio::test]
async fn what_was_found_is_not_over_because_nobody_answers() {
    let server = Server::start(rdap(REDEMPTION)).await;
    let found = first(&server, "acme-portal.com").await;
    server.says(answer("503 Busy", "", ""));
    let ran = look(at_server(&server, "acme-portal.com"), found.memory, NOW).await;
    assert_eq!(ran.ids(), Vec::<&str>::new());
    for id in ["registration.hold", "registration.redemption", "registration.expired"] {
        assert!(ran.unmeasured().contains(&id), "{:?}", ran.unmeasured());
    }
    assert_eq!(ran.cause(), Some(Cause::Blocked));
}

#[tokio::test]
async fn no_server_for_the_suffix_is_told_with_the_way_out() {
    let ran = look(json!({ "domain": "acme.example" }), Memory::default(), NOW).await;
    assert_eq!((ran.ids(), ran.unmeasured()), (vec![], vec!["registration.no_rdap"]));
    assert_eq!(ran.cause(), Some(Cause::Config));
    assert!(ran.why().contains("expires: YYYY-MM-DD"));
    let declared = |day: &str| json!({ "domain": "acme.example", "expires": day });
    let ran = look(declared("2027-08-13"), Memory::default(), NOW).await;
    assert_eq!((ran.findings, ran.unknown), (vec![], None));
    assert_eq!(ran.memory.expires.unwrap().to_string(), "2027-08-13T00:00:00Z");
    let ran = look(declared("2026-11-20"), Memory::default(), NOW).await;
    assert_eq!(ran.ids(), ["registration.expired"]);
    let found = ran.found("registration.expired");
    assert_eq!((found.severity, found.broken), (Severity::Critical, false));
}

fn bootstrap(tld: &str, server: &Server) -> Option<String> {
    let file = json!({
        "version": "1.0",
        "publication": "2026-11-20T00:00:00Z",
        "services": [[["example-not"], ["https://a.example/"]], [[tld], [server.url("/rdap/")]]],
    });
    answer("200 OK", "content-type: application/json\r\n", &file.to_string())
}

#[tokio::test]
async fn a_bootstrap_file_is_fetched_once_a_day_and_outlives_its_server() {
    let registry = Server::start(rdap(&VERISIGN.replace("\"related\"", "\"about\""))).await;
    let files = Server::start(bootstrap("com", &registry)).await;
    let settings =
        || json!({ "domain": "acme-portal.com", "bootstrap": files.url("/dns.json"), "lock": "ignored" });
    let ran = look(settings(), Memory::default(), "2026-11-25T10:00:00Z").await;
    assert_eq!((ran.ids(), &ran.unknown), (vec![], &None));
    assert_eq!(files.asked(), ["GET /dns.json HTTP/1.1"]);
    let kept = ran.memory.bootstrap.clone().unwrap();
    assert_eq!(kept.publication.unwrap().to_string(), "2026-11-20T00:00:00Z");
    let ran = look(settings(), ran.memory, "2026-11-26T09:59:59Z").await;
    assert_eq!((files.asked().len(), registry.asked().len()), (0, 2));
    files.says(answer("200 OK", "", "<html>"));
    let ran = look(settings(), ran.memory, "2026-11-26T10:00:00Z").await;
    assert_eq!((ran.ids(), ran.unmeasured()), (vec![], vec!["registration.bootstrap"]));
    assert_eq!((files.asked().len(), registry.asked().len()), (1, 1));
    assert_eq!((ran.unknown, ran.memory.bootstrap), (None, Some(kept)));
}

#[tokio::test]
async fn without_the_file_and_without_a_server_the_network_is_to_blame() {
    let files = Server::start(answer("503 Busy", "", "")).await;
    let settings = json!({ "domain": "acme.example", "bootstrap": files.url("/dns.json") });
    let ran = look(settings, Memory::default(), NOW).await;
    assert_eq!(ran.cause(), Some(Cause::Blocked));
    assert!(ran.why().contains("503"), "{}", ran.why());
}

#[tokio::test]
async fn the_servers_of_the_config_are_asked_by_suffix() {
    let registry = Server::start(rdap(NOMINET)).await;
    let settings = json!({
        "domain": "acme-portal.co.uk", "lock": "ignored",
        "servers": { "co.uk": registry.url("/uk"), "com": "https://a.example/" },
    });
    let ran = look(settings, Memory::default(), "2026-01-01T00:00:00Z").await;
    assert_eq!(ran.ids(), Vec::<&str>::new());
    assert!(matches!(ran.facts.registry.unwrap().said, Said::Registration(_)));
    assert_eq!(registry.asked(), ["GET /uk/domain/acme-portal.co.uk HTTP/1.1"]);
}
