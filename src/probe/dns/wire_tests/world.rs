//! Name servers on loopback that answer what a test says, byte by byte, and runs of the kind against
//! them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::formats::dns::{Message, Name, RecordType};
use crate::model::{CheckId, Finding, Masker};
use crate::net::{Net, NetOptions, TlsOptions};
use crate::probe::dns::facts::{Authority, Over};
use crate::probe::dns::{Dns, Facts, Memory, Spec};
use crate::probe::{Ctx, Kind as _, Observed, Past, PortalScope, Scope, Unmeasured};

pub const ZONE: &str = "acme.example.";
/// What is found about reaching servers; the tests here are about nothing else.
const REACH: &[&str] = &[
    "dns.authority_unreachable",
    "dns.tcp_fails",
    "dns.no_authority_answers",
    "dns.lame",
    "dns.no_delegation",
    "dns.parent_unreachable",
    "dns.resolver_unmeasured",
    "dns.not_asked",
    "dns.no_route",
    "dns.addresses_left_out",
    "dns.undecodable",
];
/// More than this does not go into our datagrams.
const DATAGRAM: usize = 1232;

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A record as its owner, type and data.
#[derive(Clone)]
pub struct Entry(pub Name, pub RecordType, pub Vec<u8>);

pub fn a(owner: &str, address: &str) -> Entry {
    let address: Ipv4Addr = address.parse().unwrap();
    Entry(name(owner), RecordType::A, address.octets().to_vec())
}

pub fn to(owner: &str, kind: RecordType, target: &str) -> Entry {
    Entry(name(owner), kind, name(target).to_wire())
}

pub fn mx(owner: &str, target: &str) -> Entry {
    Entry(name(owner), RecordType::MX, [vec![0, 10], name(target).to_wire()].concat())
}

/// Text in strings of 255 bytes.
pub fn txt(owner: &str, text: &[u8]) -> Entry {
    let strings = text.chunks(255).flat_map(|chunk| [&[u8::try_from(chunk.len()).unwrap()], chunk].concat());
    Entry(name(owner), RecordType::TXT, strings.collect())
}

pub fn soa(owner: &str, serial: u32) -> Entry {
    let names = [name("ns1.acme.example.").to_wire(), name("root.acme.example.").to_wire()].concat();
    let numbers = [serial, 7200, 900, 1_209_600, 60].into_iter().flat_map(u32::to_be_bytes);
    Entry(name(owner), RecordType::SOA, names.into_iter().chain(numbers).collect())
}

/// A question that came.
pub struct Query {
    pub over: Over,
    pub bytes: Vec<u8>,
    pub name: Name,
    pub kind: RecordType,
}

/// An answer to be.
#[derive(Clone, Default)]
pub struct Say {
    pub no_authority: bool,
    pub rcode: u8,
    pub recursion: bool,
    pub answers: Vec<Entry>,
    pub authorities: Vec<Entry>,
    pub additionals: Vec<Entry>,
}

impl Say {
    pub fn code(rcode: u8) -> Self {
        Self { rcode, no_authority: true, ..Self::default() }
    }

    pub fn bytes(&self, query: &Query) -> Vec<u8> {
        let whole = self.written(query, false);
        let long = query.over == Over::Udp && whole.len() > DATAGRAM;
        if long { self.written(query, true) } else { whole }
    }

    fn written(&self, query: &Query, cut: bool) -> Vec<u8> {
        let sections = [&self.answers, &self.authorities, &self.additionals];
        let mut bytes = query.bytes[..2].to_vec();
        let authority = if self.no_authority { 0 } else { 4 };
        bytes.push(0x80 | authority | (query.bytes[2] & 1) | if cut { 2 } else { 0 });
        bytes.push(self.rcode | if self.recursion { 0x80 } else { 0 });
        bytes.extend([0, 1]);
        for section in sections {
            bytes.extend(if cut { 0 } else { u16::try_from(section.len()).unwrap() }.to_be_bytes());
        }
        bytes.extend(query.name.to_wire());
        bytes.extend(query.kind.0.to_be_bytes());
        bytes.extend([0, 1]);
        for Entry(owner, kind, data) in sections.into_iter().flatten().filter(|_| !cut) {
            bytes.extend(owner.to_wire());
            bytes.extend(kind.0.to_be_bytes());
            bytes.extend([0, 1, 0, 0, 1, 44]);
            bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            bytes.extend(data);
        }
        bytes
    }
}

pub type Answers = Arc<dyn Fn(&Query) -> Vec<Vec<u8>> + Send + Sync>;

/// What an authority for a zone says from its records.
pub fn from_zone(zone: &str, records: Vec<Entry>) -> Answers {
    let zone = name(zone);
    Arc::new(move |query| vec![look_up(&zone, &records, query).bytes(query)])
}

pub fn look_up(zone: &Name, records: &[Entry], query: &Query) -> Say {
    if !query.name.is_within(zone) {
        return Say::code(5);
    }
    let of_name: Vec<&Entry> = records.iter().filter(|entry| entry.0 == query.name).collect();
    let of = |kind: RecordType| -> Vec<Entry> {
        of_name.iter().filter(|entry| entry.1 == kind).map(|entry| (*entry).clone()).collect()
    };
    let own = of(query.kind);
    let answers = if own.is_empty() { of(RecordType::CNAME) } else { own };
    let authorities = match answers.is_empty() {
        true => records.iter().filter(|entry| entry.1 == RecordType::SOA).cloned().collect(),
        false => Vec::new(),
    };
    Say { rcode: if of_name.is_empty() { 3 } else { 0 }, answers, authorities, ..Say::default() }
}

/// A parent that refers to these servers, with their addresses.
pub fn refers(zone: &'static str, servers: &[(&'static str, Option<IpAddr>)]) -> Answers {
    let servers = servers.to_vec();
    Arc::new(move |query| {
        let say = if !query.name.is_within(&name(zone)) {
            Say { authorities: vec![soa(".", 1)], rcode: 3, ..Say::default() }
        } else if query.kind == RecordType::DS && query.name == name(zone) {
            Say { authorities: vec![soa("example.", 1)], ..Say::default() }
        } else {
            Say {
                no_authority: true,
                authorities: servers.iter().map(|(server, _)| to(zone, RecordType::NS, server)).collect(),
                additionals: servers
                    .iter()
                    .filter_map(|(server, ip)| Some(a(server, &(*ip)?.to_string())))
                    .collect(),
                ..Say::default()
            }
        };
        vec![say.bytes(query)]
    })
}

/// A resolver that finds only what these records say.
pub fn resolves(records: Vec<Entry>) -> Answers {
    Arc::new(move |query| {
        let mut say = look_up(&Name::root(), &records, query);
        if query.name.is_root() {
            say = Say { answers: vec![to(".", RecordType::NS, "a.root.example.")], ..say };
            say.rcode = 0;
        }
        vec![Say { recursion: true, no_authority: true, ..say }.bytes(query)]
    })
}

pub fn silent() -> Answers {
    Arc::new(|_| Vec::new())
}

/// Over which transports a server can be reached.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Both,
    Udp,
    Tcp,
}

/// Servers on 127.0.0.1 and up, all on one port.
pub struct World {
    pub port: u16,
}

impl World {
    /// One server for each of these, the first on 127.0.0.1.
    pub async fn of(servers: Vec<(Reach, Answers)>) -> Self {
        let count = u8::try_from(servers.len()).unwrap();
        for _ in 0..50 {
            if let Some(sockets) = bind(count).await {
                let port = sockets[0].0.local_addr().unwrap().port();
                for ((udp, tcp), (reach, answers)) in sockets.into_iter().zip(servers) {
                    if reach != Reach::Tcp {
                        tokio::spawn(over_udp(udp, Arc::clone(&answers)));
                    }
                    if reach != Reach::Udp {
                        tokio::spawn(over_tcp(tcp, answers));
                    }
                }
                return Self { port };
            }
        }
        panic!("no port is free on all addresses");
    }

    pub fn at(&self, host: u8) -> SocketAddr {
        SocketAddr::new(ip(host), self.port)
    }

    /// The settings: the parent at the first server.
    pub fn spec(&self, more: Value) -> Spec {
        let mut settings = json!({ "zone": ZONE, "parent": [self.at(1)], "port": self.port });
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(settings).unwrap()
    }

    pub async fn look(&self, spec: &Spec, resolver: SocketAddr) -> Result<Observed<Facts>, Unmeasured> {
        self.look_as(spec, resolver, true, Duration::from_secs(60)).await
    }

    pub async fn look_as(
        &self,
        spec: &Spec,
        resolver: SocketAddr,
        private: bool,
        deadline: Duration,
    ) -> Result<Observed<Facts>, Unmeasured> {
        let net = Net::new(NetOptions {
            per_host: 10,
            global: 50,
            user_agent: "portalwatch/test".into(),
            hosts: BTreeMap::new(),
        });
        let scope = Scope {
            check: CheckId::new("acme", "dns"),
            portal: Arc::new(PortalScope { private, ..PortalScope::default() }),
            timeout: Duration::from_millis(900),
            deadline,
            resolvers: Arc::new([resolver.to_string()]),
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
        Dns::observe(spec, &ctx, &Past::of(Memory::default())).await
    }
}

pub fn ip(host: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, host).into()
}

async fn bind(count: u8) -> Option<Vec<(UdpSocket, TcpListener)>> {
    let mut sockets = Vec::new();
    let mut port = 0;
    for host in 1..=count {
        let udp = UdpSocket::bind((ip(host), port)).await.ok()?;
        port = udp.local_addr().ok()?.port();
        sockets.push((udp, TcpListener::bind((ip(host), port)).await.ok()?));
    }
    Some(sockets)
}

fn read(over: Over, bytes: &[u8]) -> Query {
    let question = Message::parse(bytes).unwrap().questions.remove(0);
    Query { over, bytes: bytes.to_vec(), name: question.name, kind: question.kind }
}

async fn over_udp(socket: UdpSocket, answers: Answers) {
    let mut buffer = [0; 2000];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        for answer in answers(&read(Over::Udp, &buffer[..length])) {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

async fn over_tcp(listener: TcpListener, answers: Answers) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(speak(stream, Arc::clone(&answers)));
    }
}

async fn speak(mut stream: TcpStream, answers: Answers) {
    while let Ok(length) = stream.read_u16().await {
        let mut query = vec![0; usize::from(length)];
        if stream.read_exact(&mut query).await.is_err() {
            return;
        }
        for answer in answers(&read(Over::Tcp, &query)) {
            let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
            let _ = stream.write_all(&[&length[..], &answer].concat()).await;
        }
    }
}

/// What the kind makes of the facts; they survive being kept.
pub fn judge(spec: &Spec, facts: &Facts) -> Vec<Finding> {
    let kept: Facts = serde_json::from_str(&serde_json::to_string(facts).unwrap()).unwrap();
    assert_eq!(kept, *facts);
    Dns::judge(spec, &kept, &Past::of(Memory::default()), Timestamp::UNIX_EPOCH).findings
}

/// Ids and subjects of what is found about reaching servers, sorted.
pub fn found(spec: &Spec, facts: &Facts) -> Vec<String> {
    let own = |finding: &Finding| REACH.contains(&finding.id.as_str());
    let mut found: Vec<String> = judge(spec, facts)
        .into_iter()
        .filter(own)
        .map(|finding| {
            let measured = if finding.measured { "" } else { " (not measured)" };
            format!("{} {}{measured}", finding.id, finding.subject)
        })
        .collect();
    found.sort();
    found
}

pub fn at(facts: &Facts, host: u8) -> &Authority {
    facts.authorities.iter().find(|authority| authority.server.address.ip() == ip(host)).unwrap()
}
