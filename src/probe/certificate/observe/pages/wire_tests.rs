//! Looks over real sockets on loopback.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::model::{CheckId, Finding, Masker};
use crate::net::fakes::Authority;
use crate::net::{Net, NetOptions};
use crate::probe::certificate::judge::Anchors;
use crate::probe::certificate::verdict::{Case, findings};
use crate::probe::certificate::{Memory, Spec};
use crate::probe::{PortalScope, Scope};

const HSTS: &str = "strict-transport-security: max-age=31536000\r\n";

/// What is written after a request for a path; `None` never answers.
type Script = fn(&str) -> Option<String>;

fn answer(status: u16, headers: &str, body: &str) -> Option<String> {
    Some(format!(
        "HTTP/1.1 {status} Said\r\n{headers}content-type: text/html; charset=utf-8\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ))
}

fn good(_: &str) -> Option<String> {
    answer(200, HSTS, "<title>Portal</title>")
}

fn upgraded(path: &str) -> Option<String> {
    answer(301, &format!("location: https://portal.test{path}\r\n"), "")
}

type Requests = Arc<Mutex<Vec<String>>>;

async fn listen(on: &str, secure: Option<TlsAcceptor>, script: Script, seen: &Requests) -> SocketAddr {
    let listener = TcpListener::bind(on).await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = seen.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (secure, seen) = (secure.clone(), seen.clone());
            tokio::spawn(async move {
                match secure {
                    None => serve(stream, script, &seen, "http").await,
                    Some(secure) => {
                        if let Ok(stream) = secure.accept(stream).await {
                            serve(stream, script, &seen, "https").await;
                        }
                    }
                }
            });
        }
    });
    address
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    script: Script,
    seen: &Requests,
    scheme: &str,
) {
    let mut read = Vec::new();
    while !read.windows(4).any(|window| window == b"\r\n\r\n") {
        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let text = String::from_utf8_lossy(&read).to_ascii_lowercase();
    let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    seen.lock().unwrap().push(format!("{scheme}://{host}{path}"));
    let Some(answer) = script(&path) else { return std::future::pending().await };
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
    // Until the client is done: closing with bytes unread would reset the connection.
    let _ = stream.read(&mut [0; 16]).await;
}

/// A portal: what each of its servers says.
struct Portal {
    /// `None`: nobody listens.
    plain: Option<Script>,
    v4: Script,
    v6: Option<Script>,
    private: bool,
    trusted: bool,
    timeout: Duration,
}

const PORTAL: Portal = Portal {
    plain: Some(upgraded),
    v4: good,
    v6: None,
    private: true,
    trusted: true,
    timeout: Duration::from_secs(10),
};

struct Seen {
    pages: Pages,
    requests: Vec<String>,
    findings: Vec<Finding>,
}

impl Seen {
    /// What was measured.
    fn ids(&self) -> Vec<&str> {
        let measured = self.findings.iter().filter(|finding| finding.measured);
        measured.map(|finding| finding.id.as_str()).collect()
    }
}

impl Portal {
    async fn look(self) -> Seen {
        let (authority, requests) = (Authority::new(), Requests::default());
        let issued = authority.issue("portal.test", |_| ());
        let acceptor = TlsAcceptor::from(authority.server(&issued, &[], false));
        let mut addresses = vec![listen("127.0.0.1:0", Some(acceptor.clone()), self.v4, &requests).await];
        if let Some(script) = self.v6 {
            addresses.push(listen("[::1]:0", Some(acceptor), script, &requests).await);
        }
        let plain = match self.plain {
            Some(script) => listen("127.0.0.1:0", None, script, &requests).await,
            // Bound, then released.
            None => TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap(),
        };
        let tls = if self.trusted { authority.trusted() } else { TlsOptions::default() };
        let site = Site {
            host: "backend.test",
            server_name: Some("portal.test"),
            addresses: &addresses,
            plain_port: Some(plain.port()),
        };
        let pages = looked(&site, tls, &self).await;
        let requests = requests.lock().unwrap().clone();
        Seen { findings: judged(pages.clone()), pages, requests }
    }
}

async fn looked(site: &Site<'_>, tls: TlsOptions, portal: &Portal) -> Pages {
    let scope = Scope {
        check: CheckId::new("acme", "tls"),
        portal: Arc::new(PortalScope { private: portal.private, ..PortalScope::default() }),
        timeout: portal.timeout,
        deadline: Duration::from_secs(60),
        resolvers: Arc::new(["system".to_owned()]),
        tls: Arc::new(tls),
        identity: None,
        triggered: None,
    };
    let net = Net::new(NetOptions {
        per_host: 16,
        global: 64,
        user_agent: "portalwatch/test".into(),
        hosts: BTreeMap::new(),
    });
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
    look(site, &ctx, Instant::now() + Duration::from_secs(60)).await
}

/// As for a portal that is not private, whose HSTS pages.
fn judged(pages: Pages) -> Vec<Finding> {
    let web = Some(Pages { private: false, ..pages });
    let host = HostFacts { host: "portal.test".into(), port: 443, web, ..HostFacts::default() };
    let facts = Facts { hosts: vec![host], ..Facts::default() };
    let (spec, memory, anchors) = (Spec::default(), Memory::default(), Anchors::of(std::iter::empty()));
    findings(&Case::new(&spec, &facts, &memory, Timestamp::UNIX_EPOCH, &anchors))
}

#[tokio::test]
async fn a_good_portal_gets_three_requests_and_no_finding() {
    let seen = Portal { v6: Some(good), ..PORTAL }.look().await;
    assert_eq!(seen.findings, []);
    assert_eq!(seen.requests, ["http://portal.test/", "https://portal.test/", "https://portal.test/"]);
    assert_eq!(seen.pages.plain.unwrap().end, PlainEnd::Secure);
    let Came::Page(page) = &seen.pages.secure[1].came else { panic!("{:?}", seen.pages.secure) };
    assert!(seen.pages.secure[1].address.is_ipv6());
    assert_eq!((page.status, page.title.as_deref(), page.size), (200, Some("Portal"), 21));
    assert_eq!(page.content_type.as_deref(), Some("text/html"));
}

#[tokio::test]
async fn plain_http_that_answers_itself_is_found_and_its_hsts_ignored() {
    let seen = Portal { plain: Some(good), ..PORTAL }.look().await;
    assert_eq!(seen.ids(), ["tls.no_https_redirect", "tls.hsts_over_http"]);
}

#[tokio::test]
async fn a_redirect_to_another_host_is_found_without_asking_that_host() {
    let away: Script = |_| answer(301, "location: https://www.elsewhere.test/?token=abc\r\n", "");
    let seen = Portal { plain: Some(away), ..PORTAL }.look().await;
    assert_eq!(seen.ids(), ["tls.redirect_other_host_first"]);
    assert_eq!(seen.requests.len(), 2);
    assert!(!seen.findings[0].summary.contains("abc"), "{}", seen.findings[0].summary);
}

#[tokio::test]
async fn redirects_in_the_clear_are_followed_at_the_same_address() {
    let detour: Script = |path| {
        if path == "/" { answer(302, "location: /en\r\n", "") } else { upgraded(path) }
    };
    let seen = Portal { plain: Some(detour), ..PORTAL }.look().await;
    assert_eq!(seen.requests, ["http://portal.test/", "http://portal.test/en", "https://portal.test/"]);
    let tos: Vec<String> = seen.pages.plain.unwrap().hops.into_iter().map(|hop| hop.to).collect();
    assert_eq!(tos, ["http://portal.test/en", "https://portal.test/en"]);
    assert_eq!(
        seen.findings.iter().map(|found| found.id.as_str()).collect::<Vec<_>>(),
        ["tls.no_https_redirect"]
    );
}

#[tokio::test]
async fn no_host_gets_more_than_four_requests() {
    let on_and_on: Script = |path| answer(302, &format!("location: {path}a\r\n"), "");
    let seen = Portal { plain: Some(on_and_on), v4: on_and_on, v6: Some(on_and_on), ..PORTAL }.look().await;
    assert_eq!(seen.requests.len(), 4, "{:?}", seen.requests);
    assert_eq!(seen.pages.plain.unwrap().end, PlainEnd::Unfinished);
    assert_eq!(seen.pages.secure.len(), 2);
}

#[tokio::test]
async fn a_private_address_is_asked_only_where_the_settings_say_so() {
    let seen = Portal { private: false, ..PORTAL }.look().await;
    assert_eq!(seen.requests, Vec::<String>::new());
    assert_eq!(seen.ids(), Vec::<&str>::new());
    assert!(matches!(seen.pages.plain.unwrap().end, PlainEnd::Skipped(_)));
    assert!(matches!(seen.pages.secure[0].came, Came::Skipped(_)));
}

#[test]
fn a_redirect_into_the_inner_network_is_the_portals_fault() {
    let refused = || Missed::Guarded([10, 0, 0, 1].into(), out_of_time());
    assert!(matches!(ended(refused(), None), PlainEnd::Skipped(_)));
    let to = Url::parse("http://inside.test/").unwrap();
    let PlainEnd::Astray(RedirectProblem::Guarded { to, address }) = ended(refused(), Some(&to)) else {
        panic!("it is taken for ours")
    };
    assert_eq!((to.as_str(), address.to_string().as_str()), ("http://inside.test/", "10.0.0.1"));
}

#[tokio::test]
async fn a_name_for_other_kinds_is_not_asked_for_here() {
    let (authority, requests) = (Authority::new(), Requests::default());
    let issued = authority.issue("portal.test", |_| ());
    let acceptor = TlsAcceptor::from(authority.server(&issued, &[], false));
    let addresses = [listen("127.0.0.1:0", Some(acceptor), good, &requests).await];
    let tls = TlsOptions { server_name: Some("other.test".into()), ..authority.trusted() };
    let site =
        Site { host: "10.0.0.1", server_name: Some("portal.test"), addresses: &addresses, plain_port: None };
    let pages = looked(&site, tls, &PORTAL).await;
    assert_eq!(judged(pages.clone()), []);
    assert_eq!(
        (pages.plain, requests.lock().unwrap().as_slice()),
        (None, &["https://portal.test/".to_owned()][..])
    );
}

#[tokio::test]
async fn a_closed_port_is_told_from_a_silent_one() {
    let closed = Portal { plain: None, ..PORTAL }.look().await;
    assert_eq!(closed.ids(), ["tls.plain_http_closed"]);
    let silent: Script = |_| None;
    let seen = Portal { plain: Some(silent), timeout: Duration::from_millis(700), ..PORTAL }.look().await;
    let plain = seen.findings.iter().filter(|found| found.subject.ends_with("plain HTTP"));
    assert_eq!(plain.map(|found| found.measured).collect::<Vec<_>>(), [false, false]);
}

#[tokio::test]
async fn headers_are_judged_as_they_come_over_the_wire() {
    for (script, wanted) in [
        ((|_| answer(200, "", "")) as Script, "tls.hsts_missing"),
        (|_| answer(200, "strict-transport-security: max-age=60\r\n", ""), "tls.hsts_short"),
        (|_| answer(200, "strict-transport-security: max-age=\r\n", ""), "tls.hsts_invalid"),
        (|_| answer(200, "strict-transport-security: max-age=99999999; preload\r\n", ""), "tls.hsts_preload"),
        (
            |path| match path {
                "/" => answer(302, "location: /login\r\n", ""),
                _ => good(path),
            },
            "tls.hsts_on_redirect",
        ),
    ] {
        assert_eq!(Portal { v4: script, ..PORTAL }.look().await.ids(), [wanted]);
    }
}

#[tokio::test]
async fn another_page_over_ipv6_is_found_and_another_nonce_is_not() {
    let old: Script = |_| answer(200, HSTS, "<title>Welcome to nginx!</title>");
    assert_eq!(Portal { v6: Some(old), ..PORTAL }.look().await.ids(), ["tls.families_differ"]);
    let page: Script = |_| answer(200, HSTS, "<title>Portal</title><p nonce=\"0123456789abcdef0\">");
    let again: Script = |_| answer(200, HSTS, "<title>Portal</title><p nonce=\"fedcba98765432100\">");
    let seen = Portal { v4: page, v6: Some(again), ..PORTAL }.look().await;
    assert_eq!(seen.findings, []);
    let (Came::Page(one), Came::Page(other)) = (&seen.pages.secure[0].came, &seen.pages.secure[1].came)
    else {
        panic!("{:?}", seen.pages.secure)
    };
    assert_eq!(one.sha256, other.sha256);
}

#[tokio::test]
async fn sign_in_pages_with_another_state_each_time_are_the_same() {
    let first: Script = |_| answer(302, &format!("{HSTS}location: https://id.test/a;s=1?state=x\r\n"), "");
    let second: Script = |_| answer(302, &format!("{HSTS}location: https://id.test/a;s=2?state=y\r\n"), "");
    assert_eq!(Portal { v4: first, v6: Some(second), ..PORTAL }.look().await.findings, []);
    let other: Script = |_| answer(302, &format!("{HSTS}location: https://id.test/b\r\n"), "");
    let seen = Portal { v4: first, v6: Some(other), ..PORTAL }.look().await;
    assert_eq!(seen.ids(), ["tls.families_differ"]);
}

#[tokio::test]
async fn a_certificate_that_does_not_verify_says_nothing_of_the_page() {
    let bare: Script = |_| answer(200, "", "");
    let seen = Portal { v4: bare, v6: Some(good), trusted: false, ..PORTAL }.look().await;
    assert_eq!(seen.findings, []);
    assert_eq!(seen.requests, ["http://portal.test/"]);
}

#[tokio::test]
async fn an_endless_page_is_cut_off_and_compared_as_far_as_it_was_read() {
    let long: Script = |_| answer(200, HSTS, &"x".repeat(MOST_BODY + 1));
    let seen = Portal { v4: long, v6: Some(long), ..PORTAL }.look().await;
    assert_eq!(seen.findings, []);
    let Came::Page(page) = &seen.pages.secure[0].came else { panic!("{:?}", seen.pages.secure) };
    assert_eq!(page.size, MOST_BODY);
}
