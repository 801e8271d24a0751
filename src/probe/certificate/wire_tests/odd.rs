//! Peers that are no TLS server, or none that works.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::world::{Authority, NAME, Server, World, anywhere, says, serve_at, shows, tls};
use crate::model::Cause;
use crate::net::fakes::{Says, resolver};
use crate::probe::certificate::facts::AskedVersions;

fn world() -> World {
    World::trusting(&Authority::root("Test Root"))
}

#[tokio::test]
async fn what_is_not_tls_is_told_as_what_it_is_and_left_alone() {
    for (answer, words) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "plain HTTP"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "SSH"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff", "no TLS record"),
    ] {
        let server = says(answer, true).await;
        let run = world().at(&server).await;
        assert_eq!(run.broken(), ["cert.not_tls"], "{:#?}", run.findings);
        let summary = &run.finding("cert.not_tls").summary;
        assert!(summary.contains(words), "{summary}");
        assert_eq!(server.visits(), 1);
        assert!(!run.transport);
    }
}

/// Lets so many bytes of a server's answer through.
async fn stalls_after(server: &Server, bytes: u64) -> Server {
    let behind = server.address;
    serve_at(anywhere(), move |stream, _| async move {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        #[expect(clippy::disallowed_methods, reason = "peers on loopback are sockets too")]
        let there = socket.connect(behind).await.unwrap();
        forward(stream, there, bytes).await;
    })
    .await
}

async fn forward(mut here: TcpStream, mut there: TcpStream, bytes: u64) {
    let (mut client, mut to_client) = here.split();
    let (mut server, mut to_server) = there.split();
    let up = tokio::io::copy(&mut client, &mut to_server);
    let down = async {
        let _ = tokio::io::copy(&mut (&mut server).take(bytes), &mut to_client).await;
        std::future::pending::<()>().await;
    };
    tokio::select! { _ = up => {}, () = down => {} }
}

#[tokio::test]
async fn a_server_that_stalls_at_any_step_is_out_of_time() {
    let authority = Authority::root("Test Root");
    let leaf = authority.issue(|_| {});
    let behind = tls(shows(&[leaf.der], &leaf.key)).await;
    let one = |bytes: u64| {
        let (behind, mut world) = (&behind, World::trusting(&authority));
        async move {
            // Nothing, half a record, in the first message, within the chain.
            let server = stalls_after(behind, bytes).await;
            world.timeout = Duration::from_millis(300);
            let run = world.at(&server).await;
            assert_eq!(run.broken(), ["cert.unreachable"], "{bytes}: {:#?}", run.findings);
            let finding = run.finding("cert.unreachable");
            assert!(finding.summary.starts_with("timed out in the tls phase"), "{}", finding.summary);
            assert!(run.transport);
            // A lost packet is no finding: it was tried again.
            assert_eq!(server.visits(), 2);
        }
    };
    futures_util::future::join_all([0, 3, 100, 1400].map(one)).await;
}

#[tokio::test]
async fn an_address_that_refuses_is_told_and_not_looked_at_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let mut world = world();
    world.hosts = vec![(NAME.to_owned(), (1..=40).map(|last| [127, 0, 0, last].into()).collect())];
    let run = world.run(json!({ "hosts": [format!("{NAME}:{port}")] })).await;
    assert_eq!(run.broken(), ["cert.unreachable"]);
    assert!(run.finding("cert.unreachable").summary.contains("28 more"));
    assert!(run.transport);
    let (host, left_out) = (&run.facts.hosts[0], run.finding("cert.addresses_left_out"));
    assert_eq!((host.endpoints.len(), host.left_out.len()), (32, 8));
    assert!(left_out.summary.contains("127.0.0.33") && !left_out.broken, "{}", left_out.summary);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_broken_and_a_dead_resolver_is_not() {
    let mut world = world();
    world.timeout = Duration::from_millis(500);
    let nobody = resolver(|_, _| Says::Code(3)).await;
    world.resolvers = vec![nobody.to_string()];
    let settings = json!({ "hosts": ["gone.example.com"] });
    let run = world.run(settings.clone()).await;
    assert_eq!((run.broken(), run.transport), (vec!["cert.unresolvable"], true));
    let dead = resolver(|_, _| Says::Nothing).await;
    world.resolvers = vec![dead.to_string()];
    let unmeasured = world.look(&super::world::spec(settings)).await.err();
    assert_eq!(unmeasured.map(|unmeasured| unmeasured.cause), Some(Cause::LocalDns));
}

#[tokio::test]
async fn a_private_address_that_is_not_allowed_is_a_fault_of_the_config() {
    let server = says(b"", true).await;
    let mut world = world();
    world.private = false;
    let spec = super::world::spec(json!({ "hosts": [format!("{NAME}:{}", server.port())] }));
    assert_eq!(world.look(&spec).await.err().map(|unmeasured| unmeasured.cause), Some(Cause::Config));
    assert_eq!(server.visits(), 0);
}

#[tokio::test]
async fn a_certificate_that_is_none_is_told_and_so_is_one_in_the_middle() {
    let authority = Authority::root("Test Root");
    let leaf = authority.issue(|_| {});
    let server = tls(shows(&[b"not DER".to_vec()], &leaf.key)).await;
    let run = World::trusting(&authority).at(&server).await;
    assert_eq!(run.broken(), ["cert.unreadable"], "{:#?}", run.findings);
    let server = tls(shows(&[leaf.der.clone(), b"not DER".to_vec()], &leaf.key)).await;
    let run = World::trusting(&authority).at(&server).await;
    assert_eq!((run.broken(), run.alerting()), (vec![], vec!["cert.unreadable"]), "{:#?}", run.findings);
}

#[tokio::test]
async fn a_chain_of_a_hundred_is_judged_and_of_more_only_so_far() {
    let authority = Authority::root("Test Root");
    let leaf = authority.issue(|_| {});
    for (length, truncated) in [(100, false), (101, true)] {
        let server = tls(shows(&vec![leaf.der.clone(); length], &leaf.key)).await;
        let run = World::trusting(&authority).at(&server).await;
        assert_eq!(run.broken(), Vec::<&str>::new(), "{:#?}", run.findings);
        assert!(run.has("cert.duplicate"));
        assert_eq!(run.has("cert.truncated_chain"), truncated);
    }
}

#[tokio::test]
async fn a_certificate_of_64_kib_is_a_failed_handshake_and_the_leaf_is_judged_all_the_same() {
    let authority = Authority::root("Test Root");
    let leaf = authority.issue(|params| params.not_after = rcgen::date_time_ymd(2026, 5, 20));
    let server = tls(shows(&[leaf.der, vec![7; 64 * 1024]], &leaf.key)).await;
    let run = World::trusting(&authority).at(&server).await;
    assert_eq!(run.broken(), ["cert.expired", "cert.handshake"], "{:#?}", run.findings);
}

/// A server of TLS 1.0 with RSA encryption: it refuses the library's hello and takes the prober's.
async fn of_old(chain: Vec<Vec<u8>>) -> Server {
    let record = |kind: u8, body: &[u8]| {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&[kind, 3, 1], &length[..], body].concat()
    };
    let message = |kind: u8, body: &[u8]| {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[kind], &length[1..], body].concat()
    };
    let long = |body: &[u8]| [&u32::try_from(body.len()).unwrap().to_be_bytes()[1..], body].concat();
    let hello = message(2, &[&[3, 1][..], &[7; 32], &[0, 0, 0x2f, 0]].concat());
    let chain: Vec<u8> = chain.iter().flat_map(|der| long(der)).collect();
    let flight = [hello, message(11, &long(&chain)), message(14, &[])].concat();
    let (alert, flight) = (record(21, &[2, 70]), record(22, &flight));
    serve_at(anywhere(), move |mut stream, number| {
        let answer = if number == 1 { alert.clone() } else { flight.clone() };
        async move {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(&answer).await;
            let _ = stream.read(&mut [0; 64]).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_server_of_old_is_seen_although_nobody_can_connect() {
    let authority = Authority::root("Test Root");
    let leaf = authority.issue(|params| params.not_after = rcgen::date_time_ymd(2026, 5, 20));
    let server = of_old(vec![leaf.der]).await;
    let run = World::trusting(&authority).at(&server).await;
    assert_eq!(run.broken(), ["cert.expired", "cert.old_tls_only"], "{:#?}", run.findings);
    let summary = &run.finding("cert.old_tls_only").summary;
    assert!(summary.contains("TLSv1.0 with TLS_RSA_WITH_AES_128_CBC_SHA"), "{summary}");
    let versions: Vec<AskedVersions> =
        run.facts.hosts[0].endpoints[0].views.iter().map(|view| view.versions).collect();
    assert_eq!(versions, [AskedVersions::Both, AskedVersions::Old]);
}

#[tokio::test]
async fn a_handshake_that_ends_with_an_alert_names_it() {
    let server = says(&[21, 3, 3, 0, 2, 2, 40], true).await;
    let run = world().at(&server).await;
    assert_eq!(run.broken(), ["cert.handshake"], "{:#?}", run.findings);
    assert!(run.finding("cert.handshake").summary.contains("handshake_failure"));
}

/// A mail server that begins TLS after slipping in these bytes; without a config it does not.
async fn mail_server(config: Option<std::sync::Arc<rustls::ServerConfig>>, extra: &'static [u8]) -> Server {
    let acceptor = config.map(tokio_rustls::TlsAcceptor::from);
    serve_at(anywhere(), move |mut stream, _| {
        let acceptor = acceptor.clone();
        async move {
            let offer: &[u8] =
                if acceptor.is_some() { b"250-mail\r\n250 STARTTLS\r\n" } else { b"250 mail\r\n" };
            let go = [b"220 go\r\n", extra].concat();
            for say in [&b"220 hi\r\n"[..], offer, &go] {
                let _ = stream.write_all(say).await;
                if say != go {
                    let _ = stream.read(&mut [0; 512]).await;
                }
            }
            if let Some(acceptor) = acceptor
                && let Ok(mut stream) = acceptor.accept(stream).await
            {
                let _ = stream.read(&mut [0; 64]).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn tls_after_starttls_is_looked_at_and_what_is_wrong_before_it_too() {
    let authority = Authority::root("Test Root");
    let leaf = authority.issue(|_| {});
    let config = || Some(shows(std::slice::from_ref(&leaf.der), &leaf.key));
    let world = World::trusting(&authority);
    // A web server waits for a request, the client for a greeting.
    let (patient, impatient) = (Duration::from_secs(10), Duration::from_millis(300));
    for (server, timeout, alerting) in [
        (mail_server(config(), b"").await, patient, vec![]),
        (mail_server(config(), b"250 evil\r\n").await, patient, vec!["cert.starttls_injection"]),
        (mail_server(None, b"").await, patient, vec!["cert.starttls"]),
        (says(b"HTTP/1.1 400 Bad\r\n\r\n", true).await, impatient, vec!["cert.unreachable"]),
    ] {
        let settings = json!({ "hosts": [format!("{NAME}:{}", server.port())], "starttls": "smtp" });
        let world = World { timeout, ca: world.ca.clone(), ..self::world() };
        let run = world.run(settings).await;
        assert_eq!(run.alerting(), alerting, "{:#?}", run.findings);
    }
}
