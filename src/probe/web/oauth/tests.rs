//! Token endpoints on loopback that answer by hand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::model::{Cause, CheckId, Masker};
use crate::net::{Family, HttpVersion, Net, NetOptions, Origin, TlsOptions};
use crate::probe::web::facts::FailureKind;
use crate::probe::{PortalScope, Scope};

const GOOD: &str = r#"{"access_token":"t0ken","token_type":"Bearer","expires_in":3600}"#;

fn status(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// An endpoint that reads one request, writes its answer and closes.
struct Endpoint {
    url: Url,
    request: tokio::task::JoinHandle<String>,
}

async fn endpoint(answer: String) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/token", listener.local_addr().unwrap())).unwrap();
    let request = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = String::new();
        let mut buffer = [0; 4096];
        while !is_whole(&request) {
            let read = stream.read(&mut buffer).await.unwrap();
            assert_ne!(read, 0, "the request broke off: {request}");
            request.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.shutdown().await.ok();
        request
    });
    Endpoint { url, request }
}

fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    body.len() >= length.parse().unwrap()
}

async fn ask(identity: &Identity, private: bool) -> Result<Result<Token, Refusal>, Skipped> {
    let net = Net::new(NetOptions {
        per_host: 4,
        global: 4,
        user_agent: "portalwatch/test".into(),
        hosts: BTreeMap::new(),
    });
    let scope = Scope {
        check: CheckId::new("acme", "sign-in"),
        portal: Arc::new(PortalScope { private, ..PortalScope::default() }),
        timeout: Duration::from_secs(5),
        deadline: Duration::from_secs(5),
        resolvers: Arc::default(),
        tls: Arc::new(TlsOptions::default()),
        identity: None,
        triggered: None,
    };
    let ctx = Ctx {
        scope: &scope,
        net: &net,
        masker: &Masker::default(),
        at: Timestamp::UNIX_EPOCH,
        everything: false,
        ledger: None,
        baselines: None,
        writes: false,
    };
    let via = Via {
        origin: Origin::Portal { private },
        resolvers: Arc::default(),
        tls: Arc::default(),
        family: Family::Any,
        connect_to: None,
        proxy: None,
        version: HttpVersion::Auto,
    };
    token(Grant::of(identity).unwrap(), via, &ctx).await
}

fn identity(grant: model::Grant, token_url: &Url) -> Identity {
    Identity {
        name: "staff".into(),
        username: Some("me & you".into()),
        password: Some(Secret::new("p=ss wörd", "env:P")),
        totp: None,
        token: None,
        oauth2: Some(OAuth2 {
            token_url: token_url.clone(),
            client_id: "app".into(),
            client_secret: None,
            scopes: vec!["read".into(), "write".into()],
            grant,
            refresh_token: Some(Secret::new("r3fresh", "env:R")),
        }),
        client: None,
    }
}

async fn refused(grant: model::Grant, answer: String) -> Refusal {
    let endpoint = endpoint(answer).await;
    ask(&identity(grant, &endpoint.url), true).await.unwrap().unwrap_err()
}

async fn given(grant: model::Grant, answer: String) -> (Token, String) {
    let endpoint = endpoint(answer).await;
    let token = ask(&identity(grant, &endpoint.url), true).await.unwrap().unwrap();
    (token, endpoint.request.await.unwrap())
}

#[tokio::test]
async fn a_user_signs_in_by_a_client_without_a_secret() {
    let (token, request) = given(model::Grant::Password, status(200, GOOD)).await;
    assert_eq!((token.access.expose(), token.rotated), ("t0ken", false));
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("POST /token ") && !head.to_ascii_lowercase().contains("authorization"),
        "{head}"
    );
    let form =
        "grant_type=password&username=me+%26+you&password=p%3Dss+w%C3%B6rd&client_id=app&scope=read+write";
    assert_eq!(body, form);
}

#[tokio::test]
async fn a_client_with_a_secret_shows_it_in_the_header_alone() {
    let endpoint = endpoint(status(200, GOOD)).await;
    let mut identity = identity(model::Grant::RefreshToken, &endpoint.url);
    let client = identity.oauth2.as_mut().unwrap();
    client.client_secret = Some(Secret::new("pa:ss", "env:S"));
    client.scopes.clear();
    assert!(ask(&identity, true).await.unwrap().is_ok());
    let request = endpoint.request.await.unwrap();
    // The base64 of app:pa%3Ass.
    assert!(request.contains("Basic YXBwOnBhJTNBc3M="), "{request}");
    assert!(request.ends_with("\r\n\r\ngrant_type=refresh_token&refresh_token=r3fresh"), "{request}");
}

#[tokio::test]
async fn a_refresh_token_that_is_replaced_is_told() {
    let with = |token: &str| {
        status(200, &format!(r#"{{"access_token":"t0ken","token_type":"bearer","refresh_token":"{token}"}}"#))
    };
    assert!(given(model::Grant::RefreshToken, with("n3w")).await.0.rotated);
    assert!(!given(model::Grant::RefreshToken, with("r3fresh")).await.0.rotated);
    assert!(!given(model::Grant::RefreshToken, status(200, GOOD)).await.0.rotated);
    // A first refresh token replaces none.
    assert!(!given(model::Grant::Password, with("n3w")).await.0.rotated);
}

#[tokio::test]
async fn refused_credentials_are_no_outage() {
    let described = r#"{"error":"invalid_grant","error_description":"Invalid user credentials"}"#;
    let password = "the user's name or password was refused (\"Invalid user credentials\")";
    for (grant, status_of, body, part) in [
        (model::Grant::Password, 400, described, password),
        (model::Grant::RefreshToken, 400, described, "the refresh token was refused"),
        (
            model::Grant::Password,
            401,
            r#"{"error":"invalid_client"}"#,
            "the client's id or secret was refused",
        ),
        (model::Grant::Password, 401, "<h1>No</h1>", "answered 401"),
        (
            model::Grant::Password,
            200,
            r#"{"error":"invalid_grant"}"#,
            "answered 200, error \"invalid_grant\"",
        ),
    ] {
        let refusal = refused(grant, status(status_of, body)).await;
        assert!(refusal.credentials && refusal.failure.is_none(), "{refusal:?}");
        assert!(refusal.why.contains(part) && refusal.why.contains("/token "), "{}", refusal.why);
        assert_eq!(refusal.answer.unwrap().status, status_of);
    }
}

#[tokio::test]
async fn what_says_nothing_of_the_credentials_does_not_count_as_refused() {
    for (status_of, body, part) in [
        (400, r#"{"error":"invalid_scope"}"#, "invalid_scope"),
        (429, "slow down", "answered 429"),
        (429, r#"{"error":"invalid_grant"}"#, "answered 429"),
        (500, "oops", "answered 500"),
        (302, "", "answered 302"),
        (200, "oops", "no token response"),
        (200, r#"{"access_token":""}"#, "without an access_token"),
        (200, r#"{"access_token":"x","token_type":"mac"}"#, "no bearer"),
    ] {
        let refusal = refused(model::Grant::Password, status(status_of, body)).await;
        assert!(!refusal.credentials && refusal.failure.is_none(), "{refusal:?}");
        assert!(refusal.why.contains(part), "{}", refusal.why);
        assert_eq!(refusal.answer.unwrap().status, status_of);
    }
}

#[tokio::test]
async fn an_endpoint_that_breaks_off_refuses_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/token", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let refusal = ask(&identity(model::Grant::Password, &url), true).await.unwrap().unwrap_err();
    assert_eq!(refusal.failure.map(|failure| failure.kind), Some(FailureKind::Refused));
    assert!(!refusal.credentials && refusal.answer.is_none());

    let torn = "HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{\"access_token\":\"t".to_owned();
    let refusal = refused(model::Grant::Password, torn).await;
    assert_eq!(refusal.failure.map(|failure| failure.kind), Some(FailureKind::Closed));
    assert!(!refusal.credentials);
}

#[tokio::test]
async fn an_endpoint_that_the_guard_refuses_is_our_sides_fault() {
    let url = Url::parse("http://127.0.0.1:9/token").unwrap();
    let skipped = ask(&identity(model::Grant::Password, &url), false).await.unwrap_err();
    assert_eq!(skipped.cause, Cause::Config);
}

#[test]
fn an_identity_without_what_its_grant_shows_asks_for_nothing() {
    let url = Url::parse("https://id.example/token").unwrap();
    let mut staff = identity(model::Grant::Password, &url);
    assert!(Grant::of(&staff).is_some());
    staff.password = None;
    assert!(Grant::of(&staff).is_none());
    staff.oauth2 = None;
    assert!(Grant::of(&staff).is_none());
}
