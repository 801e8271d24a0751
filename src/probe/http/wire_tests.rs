//! Looks over real sockets on loopback, at servers that write bytes by hand.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use super::*;
use crate::model::{Cause, CheckId, Finding, Masker, Phase, Secret, Text};
use crate::net::{Net, NetOptions, TlsOptions};
use crate::probe::PortalScope;
use crate::probe::web::facts::RedirectProblem;
use crate::probe::web::oauth::ClientCredentials;
use crate::probe::web::values::{self, Headers};

/// What a server does with a request: the bytes it writes before it closes; `None` never answers.
type Script = fn(&str, &str) -> Option<String>;

struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// `other` is handed to the script, such as the address of another server.
    async fn start(other: &str, script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, other) = (requests.clone(), other.to_owned());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, seen.clone(), other.clone(), script));
            }
        });
        Self { address, requests, task }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, seen: Arc<Mutex<Vec<String>>>, other: String, script: Script) {
    let request = read_request(&mut stream).await;
    seen.lock().unwrap().push(request.clone());
    match script(&request, &other) {
        Some(answer) => {
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
        None => std::future::pending().await,
    }
}

/// Reads head and body; lower-case head, so that tests can look for headers.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .and_then(|length| length.parse::<usize>().ok())
                .unwrap_or(0);
            if body.len() >= length {
                return format!("{head}\r\n\r\n{body}");
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return text,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}

fn ok(body: &str) -> Option<String> {
    Some(format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\ncontent-type: text/plain\r\n\r\n{body}",
        body.len()
    ))
}

fn moved(status: u16, location: &str) -> Option<String> {
    Some(format!("HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"))
}

struct Seen {
    result: Result<Observed<Facts>, Unmeasured>,
    findings: Vec<Finding>,
}

impl Seen {
    fn facts(&self) -> &Facts {
        &self.result.as_ref().unwrap().facts
    }

    fn transport(&self) -> bool {
        self.result.as_ref().unwrap().transport
    }

    fn ids(&self) -> Vec<&str> {
        self.findings.iter().map(|finding| finding.id.as_str()).collect()
    }
}

fn settings(value: Value) -> Spec {
    serde_json::from_value(value).unwrap()
}

async fn look(spec: &Spec, private: bool, everything: bool) -> Seen {
    let both = vec![[127, 0, 0, 1].into(), [127, 0, 0, 2].into()];
    let net = Net::new(NetOptions {
        per_host: 16,
        global: 64,
        user_agent: "portalwatch/test".into(),
        hosts: BTreeMap::from([("two.test".to_owned(), both)]),
    });
    let scope = Scope {
        check: CheckId::new("acme", "site"),
        portal: Arc::new(PortalScope { private, ..PortalScope::default() }),
        timeout: Duration::from_secs(2),
        deadline: Duration::from_secs(30),
        resolvers: Arc::new(["system".to_owned()]),
        tls: Arc::new(TlsOptions::default()),
        identity: None,
        triggered: None,
    };
    let result = Http::observe(
        spec,
        &Ctx {
            scope: &scope,
            net: &net,
            masker: &Masker::default(),
            at: Timestamp::UNIX_EPOCH,
            everything,
            ledger: None,
            baselines: None,
            writes: false,
        },
        &Past::of(()),
    )
    .await;
    let findings = result.as_ref().map(|seen| verdict::findings(spec, &seen.facts)).unwrap_or_default();
    Seen { result, findings }
}

async fn seen(value: Value) -> Seen {
    look(&settings(value), true, false).await
}

#[tokio::test]
async fn a_page_that_works_passes_and_says_how_long_it_took() {
    let server = Server::start("", |_, _| ok(r#"{"ok":true}"#)).await;
    let expect = json!({ "json": { "$.ok": true }, "headers": { "content-type": "text/plain" } });
    let spec = settings(json!({ "url": server.url("/health"), "expect": expect }));
    let seen = look(&spec, true, true).await;
    assert_eq!(seen.findings, []);
    let facts = seen.facts();
    assert_eq!((facts.status, facts.peer, facts.size), (Some(200), Some(server.address), Some(11)));
    assert!(facts.phases.get(Phase::Connect).is_some() && facts.phases.get(Phase::Ttfb).is_some());
    assert_eq!(facts.headers["content-length"], ["11"]);
    assert!(server.requests()[0].starts_with("get /health http/1.1"));
}

#[tokio::test]
async fn an_address_that_refuses_is_a_transport_failure_of_the_target() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let seen = seen(json!({ "url": format!("http://{address}/") })).await;
    assert_eq!(seen.ids(), ["http.refused"]);
    assert!(seen.transport());
}

#[tokio::test]
async fn a_server_that_never_answers_times_out_in_the_right_phase() {
    let server = Server::start("", |_, _| None).await;
    let seen = seen(json!({ "url": server.url("/") })).await;
    assert_eq!(seen.ids(), ["http.timeout"]);
    assert_eq!(seen.findings[0].evidence["phase"], "ttfb");
    assert!(seen.transport());
}

#[tokio::test]
async fn a_torn_body_is_a_failure_but_an_answer() {
    let server =
        Server::start("", |_, _| Some("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf".into())).await;
    let seen = seen(json!({ "url": server.url("/"), "expect": { "body": { "contains": "whole" } } })).await;
    assert_eq!(seen.ids(), ["http.closed"]);
    assert_eq!(seen.facts().status, Some(200));
    assert!(!seen.transport());
}

#[tokio::test]
async fn two_lengths_are_a_protocol_error() {
    let server = Server::start("", |_, _| {
        Some("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc".into())
    })
    .await;
    assert_eq!(seen(json!({ "url": server.url("/") })).await.ids(), ["http.protocol"]);
}

#[tokio::test]
async fn reading_stops_at_the_limit_and_only_the_undecided_fails() {
    let server = Server::start("", |_, _| ok(&format!("start{}end", "x".repeat(5000)))).await;
    let at = |contains: &str| json!({ "url": server.url("/"), "max_body": 100, "expect": { "body": { "contains": contains } } });
    assert_eq!(seen(at("start")).await.ids(), ["http.truncated"]);
    assert_eq!(seen(at("end")).await.ids(), ["http.body", "http.truncated"]);
}

#[tokio::test]
async fn credentials_and_secrets_stay_at_their_origin() {
    let other = Server::start("", |_, _| ok("there")).await;
    let first = Server::start(&other.url("/there"), |request, other| {
        if request.starts_with("get /a") { moved(302, "/b") } else { moved(302, other) }
    })
    .await;
    let mut spec =
        settings(json!({ "url": first.url("/a"), "headers": { "x-plain": "stays", "cookie": "a=b" } }));
    let secret = Secret::new("k3y-value", "env:KEY");
    spec.auth = Some(Box::new(spec::Auth::Bearer(secret.clone())));
    let mut headers = spec.headers.take().unwrap().0.into_vec();
    headers.push(("x-extra".parse().unwrap(), "k3y-value".parse().unwrap(), Text::Secret(secret)));
    spec.headers = Some(Box::new(Headers(headers.into())));
    let seen = look(&spec, true, false).await;
    assert_eq!(seen.findings, []);
    for request in first.requests() {
        assert!(
            request.contains("authorization: bearer k3y-value") && request.contains("cookie: a=b"),
            "{request}"
        );
    }
    let request = &other.requests()[0];
    assert!(!request.contains("k3y-value") && !request.contains("cookie"), "{request}");
    assert!(request.contains("x-plain: stays"), "{request}");
    assert_eq!(seen.facts().redirects.len(), 2);
    assert_eq!(seen.facts().final_url, other.url("/there"));
}

#[tokio::test]
async fn a_post_becomes_a_get_after_303_and_stays_after_307() {
    let server = Server::start("", |request, _| match request {
        request if request.starts_with("post /see") => moved(303, "/end"),
        request if request.starts_with("post /keep") => moved(307, "/end"),
        _ => ok("end"),
    })
    .await;
    for (path, method, body) in [("/see", "get", ""), ("/keep", "post", r#"{"a":1}"#)] {
        let seen = seen(json!({ "url": server.url(path), "json": { "a": 1 } })).await;
        assert_eq!(seen.findings, []);
        let last = server.requests().pop().unwrap();
        assert!(
            last.starts_with(&format!("{method} /end")) && last.ends_with(&format!("\r\n\r\n{body}")),
            "{last}"
        );
        assert_eq!(last.contains("content-type"), !body.is_empty());
    }
}

#[tokio::test]
async fn a_redirect_loop_ends_and_an_expected_redirect_is_not_followed() {
    let server = Server::start("", |_, _| moved(302, "/")).await;
    let looped = seen(json!({ "url": server.url("/") })).await;
    assert_eq!(looped.ids(), ["http.redirect"]);
    assert!(matches!(looped.facts().redirect, Some(RedirectProblem::Loop(_))));
    assert_eq!(server.requests().len(), 1);
    let expected = seen(json!({ "url": server.url("/"), "expect": { "status": [302] } })).await;
    assert_eq!((expected.ids(), expected.facts().status), (vec![], Some(302)));
}

#[tokio::test]
async fn a_redirect_to_the_metadata_service_fails_and_is_not_followed() {
    let server = Server::start("", |_, _| moved(302, "http://169.254.169.254/latest/")).await;
    let seen = seen(json!({ "url": server.url("/") })).await;
    assert_eq!(seen.ids(), ["http.redirect"]);
    assert!(matches!(seen.facts().redirect, Some(RedirectProblem::Guarded { .. })));
}

#[tokio::test]
async fn a_private_target_of_a_public_portal_is_a_fault_of_the_config() {
    let server = Server::start("", |_, _| ok("")).await;
    for addresses in ["first", "all"] {
        let spec = settings(json!({ "url": server.url("/"), "addresses": addresses }));
        let seen = look(&spec, false, false).await;
        assert_eq!(seen.result.err().map(|unmeasured| unmeasured.cause), Some(Cause::Config));
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn with_all_addresses_the_bad_one_is_named() {
    let server = Server::start("", |_, _| ok("")).await;
    let url = format!("http://two.test:{}/", server.address.port());
    let all = seen(json!({ "url": url, "addresses": "all" })).await;
    assert_eq!(all.ids(), ["http.refused"]);
    assert_eq!(all.findings[0].subject, "127.0.0.2");
    assert_eq!((all.facts().rows.len(), all.facts().status, all.transport()), (2, Some(200), false));
    assert_eq!(seen(json!({ "url": url })).await.findings, []);
}

#[tokio::test]
async fn a_fixed_place_to_connect_to_keeps_the_name() {
    let server = Server::start("", |_, _| ok("")).await;
    let seen =
        seen(json!({ "url": "http://portal.example/", "connect_to": server.address.to_string() })).await;
    assert_eq!(seen.findings, []);
    assert!(server.requests()[0].contains("host: portal.example"), "{:?}", server.requests());
}

fn client_of(tokens: &Server, api: &Server) -> Spec {
    let mut spec = settings(json!({ "url": api.url("/api") }));
    spec.auth = Some(Box::new(spec::Auth::Oauth2(ClientCredentials {
        token_url: values::HttpUrl(Box::new(Url::parse(&tokens.url("/token")).unwrap())),
        client_id: "me".into(),
        client_secret: Secret::new("pa:ss", "env:CLIENT"),
        scopes: vec!["read".into(), "write".into()],
    })));
    spec
}

#[tokio::test]
async fn a_token_is_fetched_and_used() {
    let tokens = Server::start("", |_, _| ok(r#"{"access_token":"t0k","token_type":"bearer"}"#)).await;
    let api = Server::start("", |_, _| ok("")).await;
    assert_eq!(look(&client_of(&tokens, &api), true, false).await.findings, []);
    let asked = &tokens.requests()[0];
    assert!(asked.ends_with("grant_type=client_credentials&scope=read+write"), "{asked}");
    assert!(asked.contains("authorization: basic bwu6cgelm0fzcw=="), "{asked}");
    assert!(api.requests()[0].contains("authorization: bearer t0k"));
}

#[tokio::test]
async fn a_token_endpoint_that_refuses_is_what_is_broken() {
    let tokens = Server::start("", |_, _| {
        Some("HTTP/1.1 401 No\r\ncontent-length: 26\r\n\r\n{\"error\":\"invalid_client\"}".into())
    })
    .await;
    let api = Server::start("", |_, _| ok("")).await;
    let seen = look(&client_of(&tokens, &api), true, false).await;
    assert_eq!(seen.ids(), ["http.auth"]);
    assert!(seen.findings[0].summary.contains("invalid_client"), "{}", seen.findings[0].summary);
    assert!(api.requests().is_empty() && !seen.transport());
}
