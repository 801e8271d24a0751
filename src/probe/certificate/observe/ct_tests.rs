//! A service on loopback that searches logs, and what it may do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::look;
use crate::model::{CheckId, Masker, Secret};
use crate::net::{Net, NetOptions, TlsOptions};
use crate::probe::certificate::ct::{Settings, Watched};
use crate::probe::certificate::memory::Memory;
use crate::probe::{Ctx, PortalScope, Scope};

const AT: &str = "2026-06-01T12:00:00Z";

/// Answers each request's target, and keeps what came.
struct Service {
    url: url::Url,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Service {
    async fn start(answer: impl Fn(&str) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api/", listener.local_addr().unwrap()).parse().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut read = Vec::new();
                while !read.ends_with(b"\r\n\r\n") && stream.read_buf(&mut read).await.unwrap_or(0) > 0 {}
                let request = String::from_utf8_lossy(&read).into_owned();
                let said = answer(request.split(' ').nth(1).unwrap_or_default());
                kept.lock().unwrap().push(request);
                let _ = stream.write_all(said.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { url, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    fn settings(&self) -> Settings {
        Settings { url: self.url.clone(), ..Settings::default() }
    }

    async fn asked(&self, memory: &Memory, hosts: &[&str]) -> Vec<Watched> {
        asked(&self.settings(), memory, hosts, true).await
    }
}

async fn asked(settings: &Settings, memory: &Memory, hosts: &[&str], private: bool) -> Vec<Watched> {
    let net = Net::new(NetOptions {
        per_host: 4,
        global: 4,
        user_agent: "portalwatch/test".into(),
        hosts: BTreeMap::new(),
    });
    let scope = Scope {
        check: CheckId::new("acme", "certificates"),
        portal: Arc::new(PortalScope { private, ..PortalScope::default() }),
        timeout: Duration::from_secs(5),
        deadline: Duration::from_secs(30),
        resolvers: Arc::new(["system".to_owned()]),
        tls: Arc::new(TlsOptions::default()),
        identity: None,
        triggered: None,
    };
    let ctx = Ctx {
        scope: &scope,
        net: &net,
        masker: &Masker::default(),
        at: AT.parse().unwrap(),
        everything: false,
        ledger: None,
        baselines: None,
        writes: false,
    };
    look(Some(settings), &ctx, hosts.iter().copied(), memory, Duration::from_secs(20)).await
}

fn json(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn issuance(id: u32) -> String {
    format!(
        r#"{{"id":"{id}","tbs_sha256":"{id:064x}","cert_sha256":"{id:064x}","dns_names":["a.example.com","b.example.com"],"pubkey_sha256":"{:064X}","issuer":{{"friendly_name":"Let's Encrypt","website":"https://letsencrypt.org/","caa_domains":["letsencrypt.org"],"pubkey_sha256":"00","name":"C=US, O=Let's Encrypt, CN=E8"}},"not_before":"2026-03-21T14:42:02Z","not_after":"2026-06-19T14:42:01-00:00","revoked":false}}"#,
        id + 0xabc000
    )
}

fn page(ids: std::ops::Range<u32>) -> String {
    let all: Vec<String> = ids.map(issuance).collect();
    json("200 OK", "", &format!("[{}]", all.join(",\n")))
}

/// Remembers an answer as a run does.
fn remembered(service: &Service, watched: Vec<Watched>, at: Timestamp) -> Memory {
    let spec = crate::probe::certificate::Spec { ct: Some(service.settings()), ..Default::default() };
    let host = |name: &str| crate::probe::certificate::facts::HostFacts {
        host: name.to_owned(),
        port: 443,
        ..Default::default()
    };
    let hosts = watched.iter().map(|watched| host(&format!("portal.{}", watched.domain))).collect();
    let facts = crate::probe::certificate::Facts { hosts, ct: watched, ..Default::default() };
    let (memory, anchors) = (Memory::default(), crate::probe::certificate::judge::Anchors::default());
    let case = crate::probe::certificate::verdict::Case::new(&spec, &facts, &memory, at, &anchors);
    crate::probe::certificate::verdict::remember(&case)
}

#[tokio::test]
async fn pages_are_read_to_their_end_and_of_what_is_known_only_digests_are_kept() {
    let service = Service::start(|target| match target.split_once("&after=") {
        None => page(1..3),
        Some((_, "2")) => page(3..4),
        Some(_) => page(4..4),
    })
    .await;
    let watched = service.asked(&Memory::default(), &["portal.example.com", "www.example.com"]).await;
    assert_eq!(watched.len(), 1);
    let watched = &watched[0];
    assert!(watched.finished && watched.failure.is_none(), "{watched:?}");
    assert_eq!((watched.domain.as_str(), watched.last.as_deref()), ("example.com", Some("3")));
    let digests: Vec<&str> = watched.issuances.iter().map(|one| &one.tbs_sha256[62..]).collect();
    assert_eq!(digests, ["01", "02", "03"]);
    assert!(watched.issuances.iter().all(|one| one.names.is_empty()));
    let requests = service.requests();
    let first = "GET /api/v1/issuances?domain=example.com&include_subdomains=true&expand=dns_names&expand=issuer HTTP/1.1";
    assert!(requests[0].starts_with(first), "{}", requests[0]);
    assert_eq!(requests.len(), 3);
}

#[tokio::test]
async fn the_next_question_comes_six_hours_later_and_goes_on_where_the_last_ended() {
    let service = Service::start(|target| match target.split_once("&after=") {
        None => page(1..2),
        Some((_, "1")) => page(2..2),
        Some(_) => page(9..9),
    })
    .await;
    let watched = service.asked(&Memory::default(), &["portal.example.com"]).await;
    let now: Timestamp = AT.parse().unwrap();
    let early = remembered(&service, watched.clone(), now - jiff::SignedDuration::from_mins(359));
    assert!(service.asked(&early, &["portal.example.com"]).await.is_empty());
    let due = remembered(&service, watched, now - jiff::SignedDuration::from_hours(6));
    let seen = service.requests().len();
    let again = service.asked(&due, &["portal.example.com"]).await;
    assert!(again[0].finished);
    assert_eq!(again[0].last.as_deref(), Some("1"));
    assert!(service.requests()[seen].contains("&after=1 HTTP/1.1"));
}

#[tokio::test]
async fn what_is_new_is_kept_with_names_issuer_and_dates() {
    let service = Service::start(|target| match target.split_once("&after=") {
        None => page(1..2),
        Some((_, "1")) => page(2..2),
        Some(_) => page(9..9),
    })
    .await;
    let first = service.asked(&Memory::default(), &["portal.example.com"]).await;
    let memory = remembered(&service, first, "2026-01-01T00:00:00Z".parse().unwrap());
    let other = Service::start(|target| match target.split_once("&after=") {
        Some((_, "1")) => page(5..6),
        _ => page(9..9),
    })
    .await;
    // The same service in a new place: its numbers go on.
    let text = serde_json::to_string(&memory).unwrap().replace(service.url.as_str(), other.url.as_str());
    let memory: Memory = serde_json::from_str(&text).unwrap();
    let watched = other.asked(&memory, &["portal.example.com"]).await;
    let new = &watched[0].issuances[0];
    assert_eq!(new.names, ["a.example.com", "b.example.com"]);
    assert_eq!(new.issuer, "Let's Encrypt");
    assert_eq!(new.not_before, Some("2026-03-21T14:42:02Z".parse::<Timestamp>().unwrap().as_second()));
    assert_eq!(new.not_after, Some("2026-06-19T14:42:01Z".parse::<Timestamp>().unwrap().as_second()));
    assert_eq!(new.pubkey_sha256, format!("{:064x}", 5 + 0xabc000));
}

#[tokio::test]
async fn who_asks_for_patience_is_left_alone_for_all_domains() {
    let service = Service::start(|_| json("429 Too Many Requests", "retry-after: 86400\r\n", "")).await;
    let hosts = ["portal.example.com", "portal.example.net"];
    let watched = service.asked(&Memory::default(), &hosts).await;
    assert_eq!(watched.len(), 1, "the second domain is not asked for: {watched:?}");
    assert_eq!(watched[0].retry_at, Some("2026-06-02T12:00:00Z".parse().unwrap()));
    let now: Timestamp = AT.parse().unwrap();
    let memory = remembered(&service, watched, now);
    assert!(service.asked(&memory, &hosts).await.is_empty());
    assert_eq!(service.requests().len(), 1);
}

#[test]
fn a_wait_may_be_a_date_and_is_never_endless() {
    let at = |value: &str| {
        let mut headers = http::HeaderMap::new();
        headers.insert(http::header::RETRY_AFTER, value.parse().unwrap());
        super::retry_at(&headers, AT.parse().unwrap()).to_string()
    };
    assert_eq!(at("7200"), "2026-06-01T14:00:00Z");
    assert_eq!(at("Mon, 01 Jun 2026 15:30:00 GMT"), "2026-06-01T15:30:00Z");
    assert_eq!(at("soon"), "2026-06-01T13:00:00Z");
    assert_eq!(at("99999999999"), "2026-06-08T12:00:00Z");
    assert_eq!(at("-5"), "2026-06-01T12:01:00Z");
}

#[tokio::test]
async fn what_is_no_answer_is_said_and_nothing_is_taken_in() {
    let huge = format!("[{}]", vec![issuance(1); 12_000].join(","));
    for (answer, why) in [
        (json("200 OK", "", "<html>"), "cannot be read"),
        (json("200 OK", "", r#"{"code":"x"}"#), "cannot be read"),
        (json("200 OK", "", r#"[{"id":"1","tbs_sha256":"zz","pubkey_sha256":"00"}]"#), "digests"),
        (json("200 OK", "", &huge), "too long"),
        (json("401 Unauthorized", "", ""), "refuses the token"),
        (json("500 Oops", "", ""), "status 500"),
        (json("302 Found", "location: http://127.0.0.1:1/\r\n", ""), "status 302"),
        (String::new(), "closed"),
    ] {
        let service = Service::start(move |_| answer.clone()).await;
        let watched = service.asked(&Memory::default(), &["portal.example.com"]).await;
        let failure = watched[0].failure.as_deref().unwrap();
        assert!(failure.contains(why), "{why}: {failure}");
        assert!(!watched[0].finished && watched[0].issuances.is_empty());
    }
}

#[tokio::test]
async fn a_service_that_never_ends_does_not_keep_us() {
    let same = Service::start(|_| page(1..2)).await;
    let watched = same.asked(&Memory::default(), &["portal.example.com"]).await;
    assert!(watched[0].failure.as_deref().unwrap().contains("again and again"));
    let endless = Service::start(|target| {
        let after: u32 = target.split_once("&after=").map_or(0, |(_, id)| id.parse().unwrap());
        page(after + 1..after + 2)
    })
    .await;
    let watched = endless.asked(&Memory::default(), &["portal.example.com"]).await;
    assert_eq!(endless.requests().len(), super::MOST_PAGES);
    assert!(!watched[0].finished && watched[0].failure.is_none());
}

#[tokio::test]
async fn the_token_goes_to_the_service_and_nowhere_else() {
    let service = Service::start(|_| json("403 Forbidden", "", "s3cret-token")).await;
    let token = Some(Secret::new("s3cret-token", "env:CT"));
    let settings = Settings { token, include_subdomains: false, ..service.settings() };
    let watched = asked(&settings, &Memory::default(), &["portal.example.com"], true).await;
    let request = service.requests()[0].to_ascii_lowercase();
    assert!(request.contains("authorization: bearer s3cret-token\r\n"), "{request}");
    assert!(request.contains("include_subdomains=false"));
    assert!(!serde_json::to_string(&watched).unwrap().contains("s3cret"));
}

#[tokio::test]
async fn a_private_service_needs_the_portals_word() {
    let service = Service::start(|_| page(1..1)).await;
    let watched = asked(&service.settings(), &Memory::default(), &["portal.example.com"], false).await;
    assert!(watched[0].failure.as_deref().unwrap().contains("guard"), "{watched:?}");
    assert!(service.requests().is_empty());
}
