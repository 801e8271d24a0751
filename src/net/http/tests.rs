//! Fakes, because no real server can be made to break the protocol at a chosen byte.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_compression::tokio::write::{BrotliEncoder, DeflateEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::super::fakes::{
    Authority, Says, answering, get, head as read_head, impatient, net, net_with, resolver, serve,
    tls_server, via,
};
use super::super::{ConnectTo, NetOptions, Origin, Proxy, TlsOptions};
use super::*;
use crate::model::Secret;

async fn fetch(address: SocketAddr) -> Result<Response, TransportError> {
    net().exchange(&get(&format!("http://{address}/")), &via()).await
}

async fn fetch_impatiently(address: SocketAddr) -> Result<Response, TransportError> {
    net().exchange(&impatient(&format!("http://{address}/")), &via()).await
}

fn told(error: &TransportError) -> (Phase, &FailReason) {
    (error.phase, &error.reason)
}

#[tokio::test]
async fn a_plain_answer_comes_back_whole_and_measured() {
    let address = answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Seen: yes\r\n\r\nhello").await;
    let response = fetch(address).await.unwrap();
    assert_eq!((response.status, &response.body[..], response.wire_bytes), (200, &b"hello"[..], 5));
    assert_eq!((response.peer, response.truncated, response.version), (address, false, Version::HTTP_11));
    assert!(response.body_error.is_none() && response.tls.is_none());
    let phases: Vec<Phase> = response.timings.iter().map(|(phase, _)| phase).collect();
    assert_eq!(phases, [Phase::Connect, Phase::Ttfb, Phase::Transfer]);
}

#[tokio::test]
async fn old_empty_and_provisional_answers_are_answers() {
    let old = fetch(answering("HTTP/1.0 200 OK\r\n\r\nuntil the end").await).await.unwrap();
    assert_eq!((old.version, &old.body[..]), (Version::HTTP_10, &b"until the end"[..]));
    let empty = fetch(answering("HTTP/1.1 204 No Content\r\n\r\n").await).await.unwrap();
    assert_eq!((empty.status, empty.body.len()), (204, 0));
    let hints =
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    assert_eq!(fetch(answering(hints).await).await.unwrap().status, 200);
    let address = answering("HTTP/1.1 200 OK\r\nContent-Length: 99\r\nContent-Encoding: gzip\r\n\r\n").await;
    let request = Request { method: http::Method::HEAD, ..get(&format!("http://{address}/")) };
    let response = net().exchange(&request, &via()).await.unwrap();
    assert_eq!((response.status, response.body_error), (200, None));
}

#[tokio::test]
async fn the_request_says_who_asks_and_for_what() {
    let echo = serve(|mut stream| async move {
        let head = read_head(&mut stream).await;
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}", head.len());
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await;
    let url = format!("http://user:pw@portal.example:{}/a%20b?c=d#e", echo.port());
    let net = net_with(&[("portal.example", &[echo.ip()])]);
    let response = net.exchange(&get(&url), &via()).await.unwrap();
    let seen = String::from_utf8(response.body.to_vec()).unwrap().to_lowercase();
    assert!(seen.starts_with("get /a%20b?c=d http/1.1\r\n"), "{seen}");
    assert!(seen.contains(&format!("host: portal.example:{}\r\n", echo.port())), "{seen}");
    assert!(seen.contains("user-agent: portalwatch/test\r\n"), "{seen}");
    assert!(seen.contains("accept-encoding: gzip, br, deflate, zstd\r\n"), "{seen}");

    let mut request = get(&url);
    request.headers.insert(USER_AGENT, HeaderValue::from_static("mine"));
    request.headers.insert(HOST, HeaderValue::from_static("other.example"));
    let response = net.exchange(&request, &via()).await.unwrap();
    let seen = String::from_utf8(response.body.to_vec()).unwrap().to_lowercase();
    assert!(seen.contains("host: other.example\r\n") && seen.contains("user-agent: mine\r\n"), "{seen}");
    assert!(!seen.contains("portal.example"), "{seen}");
}

#[test]
fn an_ipv6_literal_is_bracketed_in_the_host_header_alone() {
    let url = "http://[2001:db8::1]:8080/".parse().unwrap();
    let target = Target::of(&url).unwrap();
    assert_eq!((target.authority(), target.host.as_str()), ("[2001:db8::1]:8080", "2001:db8::1"));
}

#[test]
fn whatever_a_url_may_hold_can_be_sent() {
    for c in (b' '..=b'~').map(char::from) {
        let url = format!("https://portal.example/a{c}b?c{c}d").parse().unwrap();
        let target = Target::of(&url).unwrap();
        assert!(Uri::try_from(target.path()).is_ok(), "{url}");
        assert!(whole(&target, target.authority().as_bytes()).is_ok(), "{url}");
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_a_timeout_before_the_first_byte() {
    let address = serve(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.read(&mut [0; 16]).await;
    })
    .await;
    let error = fetch_impatiently(address).await.unwrap_err();
    assert_eq!(told(&error), (Phase::Ttfb, &FailReason::Timeout));
    assert_eq!(error.address, Some(address));
    assert!(error.timings.get(Phase::Ttfb).unwrap() >= Duration::from_millis(150));
}

#[tokio::test]
async fn a_dripping_body_ends_with_the_timeout_and_keeps_the_status() {
    let address = serve(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nd").await;
        let mut drip = tokio::time::interval(Duration::from_millis(20));
        loop {
            drip.tick().await;
            if stream.write_all(b"r").await.is_err() {
                return;
            }
        }
    })
    .await;
    let response = fetch_impatiently(address).await.unwrap();
    assert_eq!(response.status, 200);
    assert!(response.body.starts_with(b"dr"));
    assert_eq!(told(&response.body_error.unwrap()), (Phase::Transfer, &FailReason::Timeout));
}

#[tokio::test]
async fn an_endless_body_costs_no_more_than_the_limit() {
    let address = serve(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&[b'x'; 65536]).await.is_ok() {}
    })
    .await;
    let response = fetch(address).await.unwrap();
    assert_eq!((response.body.len(), response.truncated), (1024 * 1024, true));
    assert!(response.body_error.is_none() && response.wire_bytes < 3 * 1024 * 1024);
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_whole() {
    let address = answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await;
    let of = |max_body| Request { max_body, ..get(&format!("http://{address}/")) };
    let whole = net().exchange(&of(5), &via()).await.unwrap();
    assert_eq!((whole.body.len(), whole.truncated), (5, false));
    let cut = net().exchange(&of(4), &via()).await.unwrap();
    assert_eq!((&cut.body[..], cut.truncated), (&b"hell"[..], true));
}

async fn encoded<W, F>(encoder: F, text: &[u8]) -> Vec<u8>
where
    F: FnOnce(Vec<u8>) -> W,
    W: AsyncWrite + Unpin + Into2,
{
    let mut writer = encoder(Vec::new());
    writer.write_all(text).await.unwrap();
    writer.shutdown().await.unwrap();
    writer.into2()
}

/// Encoders give back what they wrote, each by a method of its own.
trait Into2 {
    fn into2(self) -> Vec<u8>;
}

macro_rules! into2 {
    ($($encoder:ident)*) => {$(
        impl Into2 for $encoder<Vec<u8>> {
            fn into2(self) -> Vec<u8> {
                self.into_inner()
            }
        }
    )*};
}
into2!(GzipEncoder BrotliEncoder ZlibEncoder DeflateEncoder ZstdEncoder);

async fn answering_encoded(coding: &str, body: &[u8]) -> SocketAddr {
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut answer = head.into_bytes();
    answer.extend_from_slice(body);
    answering(answer).await
}

#[tokio::test]
async fn every_coding_we_offer_is_undone() {
    let text = b"the same text, compressed in every way a server may choose";
    let gzip = encoded(GzipEncoder::new, text).await;
    for (coding, body) in [
        ("gzip", gzip.clone()),
        ("br", encoded(BrotliEncoder::new, text).await),
        ("deflate", encoded(ZlibEncoder::new, text).await),
        ("deflate", encoded(DeflateEncoder::new, text).await),
        ("zstd", encoded(ZstdEncoder::new, text).await),
        ("gzip, br", encoded(BrotliEncoder::new, &gzip).await),
    ] {
        let response = fetch(answering_encoded(coding, &body).await).await.unwrap();
        assert_eq!(response.body_error, None, "{coding}");
        assert_eq!(&response.body[..], text, "{coding}");
        assert_eq!(response.wire_bytes, body.len() as u64, "{coding}");
    }
    let unknown = fetch(answering_encoded("compress", b"raw").await).await.unwrap();
    assert_eq!(&unknown.body[..], b"raw");
}

#[tokio::test]
async fn a_gzip_bomb_is_cut_off() {
    let bomb = encoded(GzipEncoder::new, &vec![0; 32 * 1024 * 1024]).await;
    assert!(bomb.len() < 64 * 1024, "{}", bomb.len());
    let response = fetch(answering_encoded("gzip", &bomb).await).await.unwrap();
    assert_eq!((response.body.len(), response.truncated), (1024 * 1024, true));
}

#[tokio::test]
async fn a_broken_coding_is_an_error_of_the_body() {
    let response = fetch(answering_encoded("gzip", b"this is not gzip at all").await).await.unwrap();
    let error = response.body_error.unwrap();
    assert!(matches!(told(&error), (Phase::Transfer, FailReason::Protocol(_))), "{error}");
}

#[tokio::test]
async fn answers_that_break_the_protocol_say_so() {
    let long = format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\n\r\n", "x".repeat(1024 * 1024));
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!".to_owned(),
        "SSH-2.0-OpenSSH_9.9\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok".to_owned(),
        long,
    ] {
        let error = fetch(answering(answer.clone()).await).await.unwrap_err();
        assert!(matches!(told(&error), (Phase::Ttfb, FailReason::Protocol(_))), "{error}: {answer:.60}");
    }
}

#[tokio::test]
async fn a_header_that_is_not_utf8_is_kept_as_it_came() {
    let answer = b"HTTP/1.1 200 OK\r\nX-Raw: a\xff\xfeb\r\nContent-Length: 2\r\n\r\nok".to_vec();
    let response = fetch(answering(answer).await).await.unwrap();
    assert_eq!(response.headers["x-raw"].as_bytes(), b"a\xff\xfeb");
}

#[tokio::test]
async fn a_folded_header_is_one_header() {
    let response = fetch(answering("HTTP/1.1 200 OK\r\nX-Old: a\r\n b\r\nContent-Length: 2\r\n\r\nok").await);
    assert_eq!(response.await.unwrap().headers["x-old"], "a b");
}

#[tokio::test]
async fn a_reset_is_told_from_a_close_in_each_phase() {
    let reset = serve(|mut stream| async move {
        read_head(&mut stream).await;
        stream.set_zero_linger().unwrap();
    });
    let error = fetch(reset.await).await.unwrap_err();
    assert_eq!(told(&error), (Phase::Ttfb, &FailReason::Reset));

    let closed = answering("").await;
    let error = fetch(closed).await.unwrap_err();
    assert_eq!(told(&error), (Phase::Ttfb, &FailReason::Closed));

    let reset = serve(|mut stream| async move {
        stream.read_exact(&mut [0; 16]).await.unwrap();
        stream.set_zero_linger().unwrap();
    })
    .await;
    let error = net().exchange(&get(&format!("https://{reset}/")), &via()).await.unwrap_err();
    assert_eq!(told(&error), (Phase::Tls, &FailReason::Reset));

    let closed = serve(|mut stream| async move {
        let _ = stream.read(&mut [0; 65536]).await;
    })
    .await;
    let error = net().exchange(&get(&format!("https://{closed}/")), &via()).await.unwrap_err();
    assert_eq!(told(&error), (Phase::Tls, &FailReason::Closed));
}

#[tokio::test]
async fn a_body_that_breaks_off_keeps_the_status() {
    // Reset only after the client has the head, else the kernel throws the head away with the rest.
    let (seen, wait) = tokio::sync::watch::channel(false);
    let reset = serve(move |mut stream| {
        let mut wait = wait.clone();
        async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await;
            let _ = wait.wait_for(|seen| *seen).await;
            stream.set_zero_linger().unwrap();
        }
    })
    .await;
    let net = net();
    let (request, via) = (get(&format!("http://{reset}/")), via());
    let exchange = net.exchange(&request, &via);
    tokio::pin!(exchange);
    // The client is polled until it waits for more of the body; then the server may reset.
    let early = tokio::time::timeout(Duration::from_millis(100), &mut exchange).await;
    assert!(early.is_err(), "{early:?}");
    seen.send(true).unwrap();
    let response = exchange.await.unwrap();
    assert_eq!((response.status, &response.body[..]), (200, &b"half"[..]));
    assert_eq!(told(&response.body_error.unwrap()), (Phase::Transfer, &FailReason::Reset));

    let short = fetch(answering("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await).await.unwrap();
    assert_eq!(told(&short.body_error.unwrap()), (Phase::Transfer, &FailReason::Closed));
}

#[tokio::test]
async fn a_refused_connection_names_the_address() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = fetch(address).await.unwrap_err();
    assert_eq!(told(&error), (Phase::Connect, &FailReason::Refused));
    assert_eq!(error.address, Some(address));
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[tokio::test]
async fn a_name_that_turns_private_after_its_first_answer_is_not_dialed() {
    let reached = std::sync::Arc::new(AtomicBool::new(false));
    let flag = std::sync::Arc::clone(&reached);
    let inside = serve(move |_| {
        flag.store(true, Ordering::SeqCst);
        async {}
    })
    .await;
    let turn = AtomicUsize::new(0);
    let server = resolver(move |_, kind| {
        let turn = if kind == 1 { turn.fetch_add(1, Ordering::SeqCst) } else { 1 };
        Says::Addresses(vec![IpAddr::from(if turn == 0 { [192, 0, 2, 1] } else { [127, 0, 0, 1] })])
    })
    .await;
    let net = net();
    let resolvers: Arc<[String]> = Arc::new([server.to_string()]);
    let first = net.resolve("rebinding.example", &resolvers, Duration::from_secs(5)).await.unwrap();
    assert_eq!(first.addresses, [IpAddr::from([192, 0, 2, 1])]);
    let strict = Via { origin: Origin::Portal { private: false }, resolvers, ..via() };
    let url = format!("http://rebinding.example:{}/", inside.port());
    let error = net.exchange(&get(&url), &strict).await.unwrap_err();
    assert_eq!(told(&error), (Phase::Connect, &FailReason::Guarded(inside.ip())));
    assert!(!reached.load(Ordering::SeqCst));
    let lax = Via { origin: Origin::Portal { private: true }, ..strict };
    let _ = net.exchange(&get(&url), &lax).await;
    assert!(reached.load(Ordering::SeqCst));
}

#[tokio::test]
async fn literal_addresses_are_judged_too() {
    let strict = Via { origin: Origin::Answer { private: false }, ..via() };
    for url in ["http://127.0.0.1:1/", "http://[::ffff:7f00:1]:1/", "http://[::1]:1/", "http://0x7f.1:1/"] {
        let error = net().exchange(&get(url), &strict).await.unwrap_err();
        assert!(matches!(error.reason, FailReason::Guarded(_)), "{url}: {error}");
    }
    let error = net().exchange(&get("http://169.254.169.254/"), &via()).await.unwrap_err();
    assert!(matches!(error.reason, FailReason::Guarded(_)), "{error}");
}

#[tokio::test]
async fn permits_cap_the_connections_and_waiting_is_not_measured() {
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, peak) = (Arc::clone(&open), Arc::clone(&most));
    let address = serve(move |mut stream| {
        let (now, peak) = (Arc::clone(&now), Arc::clone(&peak));
        async move {
            peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            read_head(&mut stream).await;
            now.fetch_sub(1, Ordering::SeqCst);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        }
    })
    .await;
    let net =
        Net::new(NetOptions { per_host: 2, global: 10, user_agent: "t".into(), hosts: Default::default() });
    let (request, via) = (get(&format!("http://{address}/")), via());
    let all = (0..20).map(|_| net.exchange(&request, &via));
    assert!(futures_util::future::join_all(all).await.iter().all(Result::is_ok));
    assert!((1..=2).contains(&most.load(Ordering::SeqCst)), "{most:?}");

    let held = [net.limits.acquire("127.0.0.1").await, net.limits.acquire("127.0.0.1").await];
    let request = impatient(&format!("http://{address}/"));
    let waiting = net.exchange(&request, &via);
    tokio::pin!(waiting);
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut waiting).await.is_err());
    drop(held);
    assert_eq!(waiting.await.unwrap().status, 200);
}

async fn fetch_tls(
    address: SocketAddr,
    tls: TlsOptions,
    version: HttpVersion,
) -> Result<Response, TransportError> {
    let net = net_with(&[("portal.example", &[address.ip()])]);
    let via = Via { tls: Arc::new(tls), version, ..via() };
    net.exchange(&get(&format!("https://portal.example:{}/", address.port())), &via).await
}

#[tokio::test]
async fn a_private_ca_is_trusted_where_it_is_named() {
    let authority = Authority::new();
    let issued = authority.issue("portal.example", |_| {});
    let address = tls_server(authority.server(&issued, &["http/1.1"], false)).await;
    let response = fetch_tls(address, authority.trusted(), HttpVersion::Auto).await.unwrap();
    let tls = response.tls.unwrap();
    assert_eq!((response.status, tls.version.as_str()), (200, "TLSv1.3"));
    assert_eq!(tls.alpn.as_deref(), Some("http/1.1"));
    assert!(tls.cipher.starts_with("TLS_") && tls.not_after.is_some(), "{tls:?}");
    assert!(response.timings.get(Phase::Tls).is_some());

    let error = fetch_tls(address, TlsOptions::default(), HttpVersion::Auto).await.unwrap_err();
    assert_eq!(told(&error), (Phase::Tls, &FailReason::Certificate("from an unknown issuer".into())));
}

#[tokio::test]
async fn a_bad_certificate_says_what_is_bad() {
    let authority = Authority::new();
    let expired =
        authority.issue("portal.example", |params| params.not_after = rcgen::date_time_ymd(2020, 1, 2));
    let future =
        authority.issue("portal.example", |params| params.not_before = rcgen::date_time_ymd(3000, 1, 2));
    let other = authority.issue("other.example", |_| {});
    for (issued, words) in [
        (expired, "expired on 2020-01-02T00:00:00Z"),
        (future, "not yet valid, it starts on 3000-01-02T00:00:00Z"),
        (other, "not valid for name portal.example, it is for other.example"),
    ] {
        let address = tls_server(authority.server(&issued, &[], false)).await;
        let error = fetch_tls(address, authority.trusted(), HttpVersion::Auto).await.unwrap_err();
        assert_eq!(told(&error), (Phase::Tls, &FailReason::Certificate(words.into())));
    }
    let other = authority.issue("other.example", |_| {});
    let address = tls_server(authority.server(&other, &[], false)).await;
    let named = TlsOptions { server_name: Some("other.example".into()), ..authority.trusted() };
    assert_eq!(fetch_tls(address, named, HttpVersion::Auto).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_missing_client_certificate_is_the_servers_alert() {
    let authority = Authority::new();
    let issued = authority.issue("portal.example", |_| {});
    let address = tls_server(authority.server(&issued, &[], true)).await;
    let error = fetch_tls(address, authority.trusted(), HttpVersion::Auto).await.unwrap_err();
    assert_eq!(told(&error), (Phase::Tls, &FailReason::TlsAlert("certificate_required".into())));

    let ours = authority.issue("probe.example", |_| {});
    let client = Some((ours.cert.into(), Secret::new(ours.key, "file:key.pem")));
    let with = TlsOptions { client, ..authority.trusted() };
    assert_eq!(fetch_tls(address, with, HttpVersion::Auto).await.unwrap().status, 200);
}

/// A server that speaks HTTP/2, by hyper.
async fn http2_server(authority: &Authority) -> SocketAddr {
    let issued = authority.issue("portal.example", |_| {});
    let acceptor = tokio_rustls::TlsAcceptor::from(authority.server(&issued, &["h2"], false));
    serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = hyper::service::service_fn(|request: http::Request<Incoming>| async move {
                let seen = format!("{} {:?}", request.uri(), request.headers().get(HOST));
                Ok::<_, std::convert::Infallible>(http::Response::new(Full::new(Bytes::from(seen))))
            });
            let executor = hyper_util::rt::TokioExecutor::new();
            let builder = hyper::server::conn::http2::Builder::new(executor);
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        }
    })
    .await
}

#[tokio::test]
async fn http2_is_spoken_where_alpn_agrees_on_it() {
    let authority = Authority::new();
    let address = http2_server(&authority).await;
    let response = fetch_tls(address, authority.trusted(), HttpVersion::Auto).await.unwrap();
    assert_eq!((response.status, response.version), (200, Version::HTTP_2));
    assert_eq!(response.body, format!("https://portal.example:{}/ None", address.port()));
    assert_eq!(response.tls.unwrap().alpn.as_deref(), Some("h2"));

    let error = fetch_tls(address, authority.trusted(), HttpVersion::Http1).await.unwrap_err();
    assert_eq!(told(&error), (Phase::Tls, &FailReason::TlsAlert("no_application_protocol".into())));
    let issued = authority.issue("portal.example", |_| {});
    let old = tls_server(authority.server(&issued, &[], false)).await;
    let error = fetch_tls(old, authority.trusted(), HttpVersion::Http2).await.unwrap_err();
    assert!(matches!(told(&error), (Phase::Tls, FailReason::Protocol(_))), "{error}");
}

#[tokio::test]
async fn a_fixed_place_keeps_the_name() {
    let authority = Authority::new();
    let issued = authority.issue("portal.example", |_| {});
    let address = tls_server(authority.server(&issued, &[], false)).await;
    let tls = Arc::new(authority.trusted());
    let host = ConnectTo::Host("127.0.0.1".into(), address.port());
    for connect_to in [ConnectTo::Address(address), host] {
        let via = Via { tls: Arc::clone(&tls), connect_to: Some(connect_to), ..via() };
        let response = net().exchange(&get("https://portal.example/"), &via).await.unwrap();
        assert_eq!((response.status, response.peer), (200, address));
    }
}

fn proxied(scheme: &str, address: SocketAddr, tls: TlsOptions) -> Via {
    let proxy = Proxy {
        url: format!("{scheme}://{address}").parse().unwrap(),
        credentials: Some(("user".into(), Secret::new("pass", "env:PASS"))),
    };
    // The target's name is for the proxy to resolve; the guard has nothing to judge here.
    Via { proxy: Some(proxy), tls: Arc::new(tls), origin: Origin::Portal { private: false }, ..via() }
}

#[tokio::test]
async fn a_forwarding_proxy_is_given_the_whole_url() {
    let proxy = serve(|mut stream| async move {
        let head = read_head(&mut stream).await;
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}", head.len());
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await;
    let via = proxied("http", proxy, TlsOptions::default());
    let response = net().exchange(&get("http://portal.example/a?b"), &via).await.unwrap();
    let seen = String::from_utf8(response.body.to_vec()).unwrap();
    assert!(seen.starts_with("GET http://portal.example/a?b HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("proxy-authorization: Basic dXNlcjpwYXNz\r\n"), "{seen}");
    let error = net().exchange(&get("http://169.254.169.254/"), &via).await.unwrap_err();
    assert!(matches!(error.reason, FailReason::Guarded(_)), "{error}");
}

#[tokio::test]
async fn https_goes_through_a_tunnel() {
    let authority = Authority::new();
    let issued = authority.issue("portal.example", |_| {});
    let target = tls_server(authority.server(&issued, &[], false)).await;
    let tunnel = serve(move |mut stream| async move {
        let head = read_head(&mut stream).await;
        assert!(
            head.starts_with("CONNECT portal.example:443 HTTP/1.1\r\nHost: portal.example:443\r\n"),
            "{head}"
        );
        assert!(head.contains("Proxy-Authorization: Basic dXNlcjpwYXNz\r\n"), "{head}");
        let _ = stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await;
        relay(stream, target).await;
    })
    .await;
    let via = proxied("http", tunnel, authority.trusted());
    let response = net().exchange(&get("https://portal.example/"), &via).await.unwrap();
    assert_eq!((response.status, response.peer), (200, tunnel));
}

async fn relay<S: tokio::io::AsyncRead + AsyncWrite + Unpin>(mut stream: S, target: SocketAddr) {
    let mut onward = super::super::dial::connect(target, deadline_in(Duration::from_secs(5))).await.unwrap();
    let _ = tokio::io::copy_bidirectional(&mut stream, &mut onward).await;
}

#[tokio::test]
async fn a_proxy_over_tls_carries_tls() {
    let authority = Authority::new();
    let issued = authority.issue("portal.example", |_| {});
    let target = tls_server(authority.server(&issued, &[], false)).await;
    let own = authority.issue("127.0.0.1", |_| {});
    let acceptor = tokio_rustls::TlsAcceptor::from(authority.server(&own, &[], false));
    let tunnel = serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(stream).await.unwrap();
            read_head(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            relay(stream, target).await;
        }
    })
    .await;
    let via = proxied("https", tunnel, authority.trusted());
    let response = net().exchange(&get("https://portal.example/"), &via).await.unwrap();
    assert_eq!(response.status, 200);
}

#[tokio::test]
async fn a_socks_proxy_resolves_the_name() {
    let target = answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let socks = serve(move |mut stream| async move {
        let mut greeting = [0; 4];
        stream.read_exact(&mut greeting).await.unwrap();
        assert_eq!(greeting, [5, 2, 0, 2]);
        stream.write_all(&[5, 2]).await.unwrap();
        let mut login = [0; 11];
        stream.read_exact(&mut login).await.unwrap();
        assert_eq!(&login, b"\x01\x04user\x04pass");
        stream.write_all(&[1, 0]).await.unwrap();
        let mut wanted = [0; 21];
        stream.read_exact(&mut wanted).await.unwrap();
        assert_eq!(&wanted, b"\x05\x01\x00\x03\x0eportal.example\x00\x50");
        stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
        relay(stream, target).await;
    })
    .await;
    let via = proxied("socks5h", socks, TlsOptions::default());
    let response = net().exchange(&get("http://portal.example/"), &via).await.unwrap();
    assert_eq!((response.status, &response.body[..]), (200, &b"ok"[..]));
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named() {
    let refusing = answering("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n").await;
    let via = proxied("http", refusing, TlsOptions::default());
    let error = net().exchange(&get("https://portal.example/"), &via).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("the proxy http://{refusing}")) && text.contains("407"), "{text}");
    assert!(!text.contains("pass"), "{text}");

    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let via = proxied("socks5h", gone, TlsOptions::default());
    let error = net().exchange(&get("http://portal.example/"), &via).await.unwrap_err();
    assert_eq!(told(&error), (Phase::Connect, &FailReason::Refused));
    assert!(error.to_string().contains(&format!("the proxy socks5h://{gone}")), "{error}");
}

#[tokio::test]
async fn messages_take_the_same_guarded_way() {
    use super::super::HttpCall;
    let address = answering("HTTP/1.1 202 Accepted\r\nContent-Length: 4\r\n\r\nbusy").await;
    let call = |origin| HttpCall {
        method: http::Method::POST,
        url: format!("http://{address}/hook").parse().unwrap(),
        headers: http::HeaderMap::new(),
        body: Bytes::from_static(b"{}"),
        timeout: Duration::from_secs(5),
        max_body: 2,
        tls: Arc::default(),
        origin,
    };
    let reply = net().send(call(Origin::Operator)).await.unwrap();
    assert_eq!((reply.status, &reply.body[..], reply.incomplete), (202, &b"bu"[..], true));
    let error = net().send(call(Origin::Answer { private: false })).await.unwrap_err();
    assert!(matches!(error.reason, FailReason::Guarded(_)), "{error}");
}

#[tokio::test]
async fn a_raw_connection_is_guarded_and_reachability_is_told() {
    let address = answering("").await;
    let net = net();
    let wait = Duration::from_secs(5);
    let connected = net.connect_stream("127.0.0.1", address.port(), Origin::Operator, wait).await.unwrap();
    assert_eq!(connected.peer, address);
    let strict =
        net.connect_stream("127.0.0.1", address.port(), Origin::Portal { private: false }, wait).await;
    assert!(matches!(strict.err().unwrap().reason, FailReason::Guarded(_)));
    assert!(net.reachable(address, wait).await);
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(!net.reachable(gone, wait).await);
}

#[test]
fn an_exchange_may_move_between_threads_and_is_small_enough_to_have_many() {
    fn bytes_of_sendable<T: Send>(future: &T) -> usize {
        std::mem::size_of_val(future)
    }
    let net = net();
    let (request, via) = (get("http://portal.example/"), via());
    let size = bytes_of_sendable(&net.exchange(&request, &via));
    assert!(size < 16 * 1024, "{size}");
}
