#![expect(clippy::disallowed_methods, reason = "peers on loopback are sockets too")]

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UdpSocket;

use super::super::fakes::{Authority, net, serve};
use super::*;
use crate::formats::dns::{Data, Name, Outcome, QueryEdns, Rcode, RecordType};

const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough for three sendings on a paused clock, or for what comes at once.
const SHORT: Duration = Duration::from_millis(300);

fn name() -> Name {
    "portal.example".parse().unwrap()
}

fn asked(server: SocketAddr, transport: Transport) -> Asked {
    Asked {
        host: "portal.example".into(),
        server,
        transport,
        origin: Origin::Operator,
        query: Query::new(name(), RecordType::A),
        timeout: PATIENCE,
    }
}

/// The answer to a question: its header turned round, and so many records of that data.
fn answer(query: &[u8], kind: RecordType, data: &[Vec<u8>]) -> Vec<u8> {
    let end = 12 + name().to_wire().len() + 4;
    let mut bytes = query[..end].to_vec();
    let count = u16::try_from(data.len()).unwrap().to_be_bytes();
    bytes[2..12].copy_from_slice(&[0x84, 0, 0, 1, count[0], count[1], 0, 0, 0, 0]);
    for data in data {
        bytes.extend([0xc0, 12]);
        bytes.extend(kind.0.to_be_bytes());
        bytes.extend([0, 1, 0, 0, 0, 60]);
        bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        bytes.extend(data);
    }
    bytes
}

fn address(query: &[u8]) -> Vec<u8> {
    answer(query, RecordType::A, &[vec![192, 0, 2, 1]])
}

fn coded(query: &[u8], rcode: u8) -> Vec<u8> {
    let mut bytes = answer(query, RecordType::A, &[]);
    bytes[3] |= rcode;
    bytes
}

/// A server on UDP that answers each datagram with what the function makes of it.
async fn over_udp(answers: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut query = [0; 2000];
        while let Ok((length, from)) = socket.recv_from(&mut query).await {
            for answer in answers(&query[..length]) {
                let _ = socket.send_to(&answer, from).await;
            }
        }
    });
    address
}

async fn speak<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, answers: impl Fn(&[u8]) -> Vec<Vec<u8>>) {
    while let Ok(length) = stream.read_u16().await {
        let mut query = vec![0; usize::from(length)];
        stream.read_exact(&mut query).await.unwrap();
        for answer in answers(&query) {
            stream.write_u16(u16::try_from(answer.len()).unwrap()).await.unwrap();
            stream.write_all(&answer).await.unwrap();
        }
    }
}

async fn over_tcp(answers: impl Fn(&[u8]) -> Vec<Vec<u8>> + Clone + Send + Sync + 'static) -> SocketAddr {
    serve(move |stream| speak(stream, answers.clone())).await
}

#[tokio::test]
async fn an_answer_comes_with_its_flags_and_times() {
    let server = over_udp(|query| vec![address(query)]).await;
    let reply = net().ask(&asked(server, Transport::UdpThenTcp)).await.unwrap();
    assert_eq!((reply.over, reply.truncated_over_udp, reply.server), (Over::Udp, false, server));
    assert!(reply.message.authoritative);
    assert_eq!(reply.message.answers[0].ttl, 60);
    assert_eq!(reply.message.answers[0].data, Ok(Data::A([192, 0, 2, 1].into())));
    assert_eq!(reply.message.outcome(&name(), RecordType::A), Outcome::Records);
}

#[tokio::test]
async fn what_anyone_may_send_over_udp_is_passed_over() {
    let wrong = |query: &[u8]| {
        let mut other_id = answer(query, RecordType::A, &[vec![192, 0, 2, 66]]);
        other_id[0] ^= 1;
        let mut other_question = answer(query, RecordType::A, &[vec![192, 0, 2, 66]]);
        other_question[13] ^= 1;
        vec![other_id, other_question, query.to_vec(), vec![1, 2, 3]]
    };
    let server = over_udp(move |query| {
        let mut all = wrong(query);
        all.push(address(query));
        all
    })
    .await;
    let reply = net().ask(&asked(server, Transport::Udp)).await.unwrap();
    assert_eq!(reply.message.answers[0].comparable(), "192.0.2.1");

    let liar = over_udp(wrong).await;
    let short = Asked { timeout: SHORT, ..asked(liar, Transport::Udp) };
    let error = net().ask(&short).await.unwrap_err();
    assert_eq!(error.reason, FailReason::Timeout);
    assert!(error.detail.contains("answer something else"), "{error}");
}

#[tokio::test]
async fn a_flood_of_forged_answers_does_not_outlast_the_timeout() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server = socket.local_addr().unwrap();
    let flood = tokio::spawn(async move {
        let mut query = [0; 2000];
        let (length, from) = socket.recv_from(&mut query).await.unwrap();
        query[0] ^= 1;
        loop {
            let _ = socket.send_to(&query[..length], from).await;
        }
    });
    let short = Asked { timeout: SHORT, ..asked(server, Transport::Udp) };
    let error = tokio::time::timeout(PATIENCE, net().ask(&short)).await.unwrap().unwrap_err();
    assert_eq!(error.reason, FailReason::Timeout);
    flood.abort();
}

#[tokio::test]
async fn an_answer_from_another_address_is_passed_over() {
    let real = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server = real.local_addr().unwrap();
    let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    tokio::spawn(async move {
        let mut query = [0; 2000];
        let (length, from) = real.recv_from(&mut query).await.unwrap();
        let forged = answer(&query[..length], RecordType::A, &[vec![192, 0, 2, 66]]);
        other.send_to(&forged, from).await.unwrap();
        real.send_to(&address(&query[..length]), from).await.unwrap();
    });
    let reply = net().ask(&asked(server, Transport::Udp)).await.unwrap();
    assert_eq!(reply.message.answers[0].comparable(), "192.0.2.1");
}

#[tokio::test]
async fn numbers_and_ports_are_not_to_be_guessed() {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server = socket.local_addr().unwrap();
    let noted = Arc::clone(&seen);
    tokio::spawn(async move {
        let mut query = [0; 2000];
        while let Ok((length, from)) = socket.recv_from(&mut query).await {
            noted.lock().unwrap().push(([query[0], query[1]], from.port()));
            socket.send_to(&address(&query[..length]), from).await.unwrap();
        }
    });
    let net = net();
    for _ in 0..20 {
        net.ask(&asked(server, Transport::Udp)).await.unwrap();
    }
    let seen = seen.lock().unwrap().clone();
    let distinct =
        |of: fn(&([u8; 2], u16)) -> u32| seen.iter().map(of).collect::<std::collections::BTreeSet<_>>().len();
    assert!(distinct(|(id, _)| u32::from(u16::from_be_bytes(*id))) > 15, "{seen:?}");
    assert!(distinct(|(_, port)| u32::from(*port)) > 10, "{seen:?}");
}

#[tokio::test]
async fn a_lost_packet_is_no_dead_server() {
    let count = AtomicUsize::new(0);
    let server =
        over_udp(
            move |query| {
                if count.fetch_add(1, Ordering::SeqCst) < 2 { Vec::new() } else { vec![address(query)] }
            },
        )
        .await;
    let patient = Asked { timeout: SHORT * 20, ..asked(server, Transport::Udp) };
    assert!(net().ask(&patient).await.is_ok());
}

#[tokio::test]
async fn a_server_that_is_gone_is_told_from_one_that_is_silent() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let gone = socket.local_addr().unwrap();
    drop(socket);
    for transport in [Transport::Udp, Transport::Tcp] {
        let error = net().ask(&asked(gone, transport)).await.unwrap_err();
        assert_eq!(error.reason, FailReason::Refused, "{error}");
        assert_eq!(error.address, Some(gone));
    }
    let silent = over_udp(|_| Vec::new()).await;
    let error = net().ask(&Asked { timeout: SHORT, ..asked(silent, Transport::Udp) }).await.unwrap_err();
    assert_eq!((error.reason.clone(), error.phase), (FailReason::Timeout, Phase::Ttfb));
    assert!(error.detail.is_empty(), "{error}");
}

#[tokio::test]
async fn a_private_server_that_an_answer_names_is_not_asked() {
    let server = over_udp(|query| vec![address(query)]).await;
    for transport in [Transport::Udp, Transport::Tcp] {
        let told = Asked { origin: Origin::Answer { private: false }, ..asked(server, transport) };
        let error = net().ask(&told).await.unwrap_err();
        assert_eq!(error.reason, FailReason::Guarded(server.ip()));
    }
    let allowed = Asked { origin: Origin::Answer { private: true }, ..asked(server, Transport::Udp) };
    assert!(net().ask(&allowed).await.is_ok());
}

#[tokio::test]
async fn a_server_is_asked_no_more_often_at_once_than_its_permits_allow() {
    let silent = over_udp(|_| Vec::new()).await;
    let net = Net::new(super::super::NetOptions {
        per_host: 1,
        global: 10,
        user_agent: "portalwatch/test".into(),
        hosts: std::collections::BTreeMap::new(),
    });
    let slow = asked(silent, Transport::Udp);
    let mut first = std::pin::pin!(net.ask(&slow));
    assert!(tokio::time::timeout(Duration::from_millis(10), &mut first).await.is_err());
    let server = over_udp(|query| vec![address(query)]).await;
    let same_host = asked(server, Transport::Udp);
    assert!(tokio::time::timeout(Duration::from_millis(50), net.ask(&same_host)).await.is_err());
    let other_host = Asked { host: "other.example".into(), ..same_host };
    assert!(net.ask(&other_host).await.is_ok());
}

/// One server on one port of both protocols.
async fn cut_off_over_udp(
    answers: impl Fn(&[u8]) -> Vec<Vec<u8>> + Clone + Send + Sync + 'static,
) -> SocketAddr {
    let address = over_tcp(answers).await;
    let socket = UdpSocket::bind(address).await.unwrap();
    tokio::spawn(async move {
        let mut query = [0; 2000];
        while let Ok((length, from)) = socket.recv_from(&mut query).await {
            let mut cut = answer(&query[..length], RecordType::A, &[]);
            cut[2] |= 2;
            let _ = socket.send_to(&cut, from).await;
        }
    });
    address
}

#[tokio::test]
async fn what_is_cut_off_over_udp_is_asked_for_over_tcp() {
    let string = [&[255][..], &[b'x'; 255]].concat();
    let text: Vec<u8> = string.iter().copied().cycle().take(254 * 256).collect();
    let long = text.clone();
    let server =
        cut_off_over_udp(move |query| vec![answer(query, RecordType::TXT, std::slice::from_ref(&long))])
            .await;
    let mut asked = asked(server, Transport::UdpThenTcp);
    asked.query = Query::new(name(), RecordType::TXT);
    let reply = net().ask(&asked).await.unwrap();
    assert_eq!((reply.over, reply.truncated_over_udp), (Over::Tcp, true));
    assert_eq!(reply.message.answers[0].rdata, text);
    assert!(reply.message.size > 65_000);

    asked.transport = Transport::Udp;
    let reply = net().ask(&asked).await.unwrap();
    assert!(reply.message.truncated && reply.message.answers.is_empty());
}

#[tokio::test]
async fn three_hundred_records_all_arrive() {
    let records: Vec<Vec<u8>> = (0..300_u16)
        .map(|index| {
            let [high, low] = index.to_be_bytes();
            vec![10, 0, high, low]
        })
        .collect();
    let server = cut_off_over_udp(move |query| vec![answer(query, RecordType::A, &records)]).await;
    let reply = net().ask(&asked(server, Transport::UdpThenTcp)).await.unwrap();
    assert_eq!((reply.message.answers.len(), reply.message.faults.len()), (300, 0));
}

#[tokio::test]
async fn a_cut_off_answer_is_never_taken_for_the_whole() {
    let server = cut_off_over_udp(|_| Vec::new()).await;
    let short = Asked { timeout: SHORT, ..asked(server, Transport::UdpThenTcp) };
    let error = net().ask(&short).await.unwrap_err();
    assert_eq!(error.reason, FailReason::Timeout);
    assert!(error.detail.contains("cut off over UDP"), "{error}");
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_told() {
    let server = serve(|mut stream| async move {
        let length = stream.read_u16().await.unwrap();
        stream.read_exact(&mut vec![0; usize::from(length)]).await.unwrap();
        stream.write_all(&[0, 200, 1, 2, 3]).await.unwrap();
    })
    .await;
    let error = net().ask(&asked(server, Transport::Tcp)).await.unwrap_err();
    assert_eq!(error.reason, FailReason::Closed);
}

#[tokio::test]
async fn answers_to_something_else_are_passed_over_on_a_stream() {
    let server = over_tcp(|query| {
        let mut other = address(query);
        other[1] ^= 1;
        vec![other, address(query)]
    })
    .await;
    assert!(net().ask(&asked(server, Transport::Tcp)).await.is_ok());
}

async fn tls_server(authority: &Authority, certified: &str) -> SocketAddr {
    let config = authority.server(&authority.issue(certified, |_| {}), &[], false);
    let acceptor = tokio_rustls::TlsAcceptor::from(config);
    serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                speak(stream, |query| vec![address(query)]).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_resolver_over_tls_has_to_prove_its_name() {
    let authority = Authority::new();
    let server = tls_server(&authority, "dns.example").await;
    let over = |name: &str, tls: TlsOptions| Transport::Tls { name: name.into(), tls: Arc::new(tls) };
    let reply = net().ask(&asked(server, over("dns.example", authority.trusted()))).await.unwrap();
    assert_eq!(reply.over, Over::Tls);
    for (name, tls) in [("other.example", authority.trusted()), ("dns.example", TlsOptions::default())] {
        let error = net().ask(&asked(server, over(name, tls))).await.unwrap_err();
        assert!(matches!(error.reason, FailReason::Certificate(_)), "{error}");
    }
}

/// A server of DNS over HTTPS, by HTTP/1.1; `content` is its answers' type.
async fn https_server(authority: &Authority, status: u16, content: &'static str) -> SocketAddr {
    let config = authority.server(&authority.issue("dns.example", |_| {}), &["http/1.1"], false);
    let acceptor = tokio_rustls::TlsAcceptor::from(config);
    serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let mut request = Vec::new();
            let split = b"\r\n\r\n";
            let query = Query::new(name(), RecordType::A).to_wire(0);
            while !request.ends_with(&query) {
                request.push(stream.read_u8().await.unwrap());
            }
            let head = request.windows(4).position(|window| window == split).unwrap();
            let head = String::from_utf8_lossy(&request[..head]).to_lowercase();
            assert!(head.starts_with("post /dns-query http/1.1"), "{head}");
            assert!(head.contains("content-type: application/dns-message"), "{head}");
            assert!(head.contains("host: dns.example"), "{head}");
            let body = address(&query);
            let head = format!(
                "HTTP/1.1 {status} x\r\nContent-Type: {content}\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
            let _ = stream.shutdown().await;
        }
    })
    .await
}

#[tokio::test]
async fn a_resolver_over_https_has_to_speak_dns_and_prove_its_name() {
    let authority = Authority::new();
    let over = |tls: TlsOptions| Transport::Https {
        url: "https://dns.example/dns-query".parse().unwrap(),
        tls: Arc::new(tls),
    };
    let server = https_server(&authority, 200, "application/dns-message").await;
    let reply = net().ask(&asked(server, over(authority.trusted()))).await.unwrap();
    assert_eq!(reply.over, Over::Https);
    assert_eq!(reply.message.answers[0].comparable(), "192.0.2.1");
    let error = net().ask(&asked(server, over(TlsOptions::default()))).await.unwrap_err();
    assert!(matches!(error.reason, FailReason::Certificate(_)), "{error}");

    for (status, content, words) in
        [(200, "text/html", "text/html"), (404, "application/dns-message", "status 404")]
    {
        let server = https_server(&authority, status, content).await;
        let error = net().ask(&asked(server, over(authority.trusted()))).await.unwrap_err();
        let FailReason::Protocol(why) = &error.reason else { panic!("{error}") };
        assert!(why.contains(words), "{why}");
    }
}

/// A resolver that answers its control query, and `others` to all else.
async fn sane(others: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> String {
    over_udp(move |query| {
        if query[12] == 0 {
            let mut root = query[..17].to_vec();
            root[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0]);
            return vec![root];
        }
        others(query)
    })
    .await
    .to_string()
}

async fn look(resolvers: &[String]) -> Result<Reply, TransportError> {
    net().lookup(&name(), RecordType::A, resolvers, SHORT * 3).await
}

#[tokio::test]
async fn a_lookup_asks_for_all_that_a_resolver_knows() {
    let resolver = sane(|query| {
        assert_eq!(query[2..4], [0x01, 0x20], "RD and AD");
        assert_eq!(query[query.len() - 11..], [0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0, 0, 0], "DO");
        let mut answer = address(query);
        answer[3] |= 0x20;
        vec![answer]
    })
    .await;
    let reply = look(&[resolver]).await.unwrap();
    assert!(reply.message.authentic_data);
}

#[tokio::test]
async fn one_resolver_that_fails_does_not_speak_for_the_next() {
    for rcode in [2, 5] {
        let failing = sane(move |query| vec![coded(query, rcode)]).await;
        let good = sane(|query| vec![address(query)]).await;
        let reply = look(&[failing, good.clone()]).await.unwrap();
        assert_eq!(reply.server.to_string(), good);
    }
    let silent = sane(|_| Vec::new()).await;
    let good = sane(|query| vec![coded(query, 3)]).await;
    assert_eq!(look(&[silent, good]).await.unwrap().message.rcode, Rcode::NXDOMAIN);
}

#[tokio::test]
async fn a_failure_that_all_resolvers_report_is_an_answer_with_its_reason() {
    let failing = sane(|query| {
        let mut bytes = coded(query, 2);
        bytes[11] = 1;
        bytes.extend([0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 6, 0, 15, 0, 2, 0, 6]);
        vec![bytes]
    })
    .await;
    let refusing = sane(|query| vec![coded(query, 5)]).await;
    let reply = look(&[failing, refusing]).await.unwrap();
    assert_eq!(reply.message.outcome(&name(), RecordType::A), Outcome::ServFail);
    assert_eq!(reply.message.errors()[0].code, 6);
}

#[tokio::test]
async fn a_resolver_that_fails_for_everything_says_nothing_of_a_name() {
    let failing = over_udp(|query| {
        let mut bytes = query.to_vec();
        bytes[2] = 0x81;
        bytes[3] = 0x82;
        vec![bytes]
    });
    let silent = over_udp(|_| Vec::new());
    for resolver in [failing.await, silent.await] {
        let error = look(&[resolver.to_string()]).await.unwrap_err();
        assert_eq!((error.phase, error.reason.clone()), (Phase::Dns, FailReason::OwnResolver), "{error}");
        assert!(error.detail.contains("control query"), "{error}");
    }
}

#[tokio::test]
async fn a_name_about_which_resolvers_are_silent_is_at_fault_itself() {
    let silent = sane(|_| Vec::new()).await;
    let error = look(&[silent]).await.unwrap_err();
    assert_eq!((error.phase, error.reason.clone()), (Phase::Dns, FailReason::Unresolvable), "{error}");
}

#[tokio::test]
async fn what_is_no_resolver_is_our_own_fault() {
    for resolver in ["dns.example", "169.254.169.254:53"] {
        let error = look(&[resolver.to_owned()]).await.unwrap_err();
        assert_eq!(error.reason, FailReason::OwnResolver, "{error}");
    }
}

#[tokio::test]
async fn checking_can_be_switched_off_to_see_what_does_not_validate() {
    let resolver = sane(|query| {
        let unchecked = query[3] & 0x10 != 0;
        vec![if unchecked { address(query) } else { coded(query, 2) }]
    })
    .await;
    let resolvers = [resolver];
    let checked = Query::to_resolver(name(), RecordType::A);
    let net = net();
    let reply = net.lookup_with(&checked, &resolvers, SHORT * 3).await.unwrap();
    assert_eq!(reply.message.rcode, Rcode::SERVFAIL);
    let unchecked = Query { checking_disabled: true, ..checked };
    let reply = net.lookup_with(&unchecked, &resolvers, SHORT * 3).await.unwrap();
    assert_eq!(reply.message.rcode, Rcode::NOERROR);
}

#[tokio::test]
async fn a_server_is_asked_to_name_itself() {
    let server = over_udp(|query| {
        assert_eq!(query[query.len() - 4..], [0, 3, 0, 0]);
        let mut bytes = address(query);
        bytes[11] = 1;
        bytes.extend([0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 6, 0, 3, 0, 2, b'n', b'1']);
        vec![bytes]
    })
    .await;
    let mut asked = asked(server, Transport::Udp);
    asked.query.edns = Some(QueryEdns { nsid: true, ..QueryEdns::default() });
    let reply = net().ask(&asked).await.unwrap();
    assert_eq!(reply.message.edns.unwrap().nsid(), Some(&b"n1"[..]));
}
