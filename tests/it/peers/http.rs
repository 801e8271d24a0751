//! The least HTTP that asks a peer something. HTTP/1.0, so that the answer ends with the connection.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);
/// A portal works longer for its first pages.
const PORTAL_PATIENCE: Duration = Duration::from_secs(60);
const LONGEST: u64 = 64 << 20;

/// An answer.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// In lower case.
    pub head: String,
    pub body: String,
    fields: Vec<(String, String)>,
}

impl Response {
    /// The values of a header field, which is named in lower case.
    pub fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

/// GET from a port on loopback.
pub fn get(port: u16, path: &str) -> io::Result<Response> {
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost:{port}\r\nAccept: */*\r\n\r\n");
    exchange(port, PATIENCE, &request)
}

/// Any request to a port on loopback, with `127.0.0.1:PORT` as its host.
pub fn send(
    port: u16,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<Response> {
    let fields: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {length}\r\n{fields}\r\n{body}"
    );
    exchange(port, PORTAL_PATIENCE, &request)
}

fn exchange(port: u16, patience: Duration, request: &str) -> io::Result<Response> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.take(LONGEST).read_to_end(&mut bytes)?;
    parse(&String::from_utf8_lossy(&bytes)).ok_or_else(|| io::Error::other("no HTTP answer"))
}

fn parse(text: &str) -> Option<Response> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let fields = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    Some(Response { status, head: head.to_ascii_lowercase(), body: body.to_owned(), fields })
}
