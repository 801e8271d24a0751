//! Name servers that answer what a test says, byte by byte.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::formats::dns::{Message, Name, RecordType};
use crate::net::Over;

/// More than this does not go into the servers' datagrams.
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

/// A server that says nothing.
pub fn silent() -> Answers {
    Arc::new(|_| Vec::new())
}

fn read(over: Over, bytes: &[u8]) -> Query {
    let question = Message::parse(bytes).unwrap().questions.remove(0);
    Query { over, bytes: bytes.to_vec(), name: question.name, kind: question.kind }
}

/// Answers each datagram.
pub async fn over_udp(socket: UdpSocket, answers: Answers) {
    let mut buffer = [0; 2000];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        for answer in answers(&read(Over::Udp, &buffer[..length])) {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

/// Answers on each connection.
pub async fn over_tcp(listener: TcpListener, answers: Answers) {
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

/// A server on one port of both transports.
pub async fn server(answers: Answers) -> SocketAddr {
    loop {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = tcp.local_addr().unwrap();
        // Somebody else may have the port of UDP.
        let Ok(udp) = UdpSocket::bind(address).await else { continue };
        tokio::spawn(over_udp(udp, Arc::clone(&answers)));
        tokio::spawn(over_tcp(tcp, answers));
        return address;
    }
}
