//! Ways through a proxy: HTTP and HTTPS (forwarding, or `CONNECT` for `https`, RFC 9110 section
//! 9.3.6) and SOCKS5 with the name resolved by the proxy (RFC 1928, RFC 1929). A failure of the
//! proxy names it.

use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use http::HeaderValue;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout_at};

use super::dial::Place;
use super::error::{Fault, tidy};
use super::stream::Stream;
use super::{FailReason, Family, Net, Origin, Proxy, TlsOptions, Via, guard, tls};
use crate::model::{Phase, Timings};

/// The largest answer to `CONNECT` accepted, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// Whether the proxy is one that forwards plain requests.
pub(super) fn forwards(proxy: &Proxy) -> bool {
    matches!(proxy.url.scheme(), "http" | "https")
}

/// The value of `Proxy-Authorization`, if there are credentials.
pub(super) fn authorization(proxy: &Proxy) -> Option<HeaderValue> {
    let (user, password) = proxy.credentials.as_ref()?;
    let pair = format!("{user}:{}", password.expose());
    let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
    let mut value = HeaderValue::from_str(&format!("Basic {encoded}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Opens a connection through the proxy: a tunnel to `place`, or for plain HTTP over an HTTP proxy
/// the connection to the proxy itself.
pub(super) async fn open(
    net: &Net,
    proxy: &Proxy,
    place: &Place<'_>,
    tunnel: bool,
    via: &Via,
    deadline: Instant,
    timings: &mut Timings,
) -> Result<(Stream, SocketAddr), Fault> {
    if let Some(address) = place.literal() {
        guard::judge(address, via.origin).map_err(|refused| {
            Fault::new(Phase::Connect, FailReason::Guarded(refused.address()))
                .with_detail(refused.to_string())
        })?;
    }
    let opened = through(net, proxy, place, tunnel, via, deadline, timings).await;
    opened.map_err(|fault| fault.of(&name(proxy)))
}

fn name(proxy: &Proxy) -> String {
    let host = proxy.url.host_str().unwrap_or_default();
    format!("the proxy {}://{host}:{}", proxy.url.scheme(), port(proxy))
}

fn port(proxy: &Proxy) -> u16 {
    let usual = match proxy.url.scheme() {
        "https" => 443,
        "http" => 80,
        _ => 1080,
    };
    proxy.url.port().unwrap_or(usual)
}

async fn through(
    net: &Net,
    proxy: &Proxy,
    place: &Place<'_>,
    tunnel: bool,
    via: &Via,
    deadline: Instant,
    timings: &mut Timings,
) -> Result<(Stream, SocketAddr), Fault> {
    let host = proxy.url.host_str().ok_or_else(|| Fault::protocol(Phase::Connect, "no host in the URL"))?;
    let stop = Place::of(host, port(proxy), None);
    let (tcp, peer) =
        net.dial(&stop, Origin::Operator, &via.resolvers, Family::Any, deadline, timings).await?;
    let started = Instant::now();
    let work = async {
        match proxy.url.scheme() {
            "https" => {
                let mut stream = Stream::Tls(Box::new(encrypt(net, tcp, host, via, deadline).await?));
                if tunnel {
                    connect(&mut stream, proxy, place).await?;
                }
                Ok(stream)
            }
            "http" => {
                let mut stream = Stream::Plain(tcp);
                if tunnel {
                    connect(&mut stream, proxy, place).await?;
                }
                Ok(stream)
            }
            "socks5h" | "socks5" => {
                let mut stream = Stream::Plain(tcp);
                socks5(&mut stream, proxy, place).await?;
                Ok(stream)
            }
            other => Err(Fault::protocol(
                Phase::Connect,
                format!("`{other}` is no kind of proxy; use http, https or socks5h"),
            )),
        }
    };
    let done = timeout_at(deadline, work).await;
    timings.add(Phase::Connect, started.elapsed());
    let done = done.unwrap_or_else(|_| Err(Fault::new(Phase::Connect, FailReason::Timeout)));
    done.map(|stream| (stream, peer)).map_err(|fault| fault.at(peer))
}

async fn encrypt(
    net: &Net,
    tcp: tokio::net::TcpStream,
    host: &str,
    via: &Via,
    deadline: Instant,
) -> Result<tokio_rustls::client::TlsStream<tokio::net::TcpStream>, Fault> {
    // The private CA counts for the proxy too; the name and the client certificate are the target's.
    let options = TlsOptions { ca_pem: via.tls.ca_pem.clone(), ..TlsOptions::default() };
    let config =
        net.tls.config(&options, tls::Alpn::Http1).map_err(|why| Fault::protocol(Phase::Connect, why))?;
    tls::handshake(tcp, config, host, deadline).await
}

fn io_fault(error: std::io::Error) -> Fault {
    Fault::from_error(Phase::Connect, &error)
}

async fn connect<S>(stream: &mut S, proxy: &Proxy, place: &Place<'_>) -> Result<(), Fault>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let authority = place.authority();
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
    if let Some(value) = authorization(proxy) {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(value.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).await.map_err(io_fault)?;
    let head = read_head(stream).await?;
    match status(&head) {
        Some(200..=299) => Ok(()),
        Some(code) => {
            Err(Fault::protocol(Phase::Connect, format!("it answers {code} to CONNECT {authority}")))
        }
        None => Err(Fault::protocol(Phase::Connect, "its answer to CONNECT is not HTTP")),
    }
}

/// Reads up to the empty line. Nothing may follow it: the target speaks after we do.
async fn read_head<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Vec<u8>, Fault> {
    let mut head = Vec::with_capacity(512);
    loop {
        if stream.read_buf(&mut head).await.map_err(io_fault)? == 0 {
            return Err(Fault::new(Phase::Connect, FailReason::Closed));
        }
        let end = head.windows(4).position(|window| window == b"\r\n\r\n");
        match end {
            Some(end) if end + 4 == head.len() || !matches!(status(&head), Some(200..=299)) => {
                return Ok(head);
            }
            Some(_) => {
                return Err(Fault::protocol(Phase::Connect, "it sends data before it was asked for any"));
            }
            None if head.len() > MAX_HEAD => {
                return Err(Fault::protocol(Phase::Connect, "its answer to CONNECT is too large"));
            }
            None => {}
        }
    }
}

fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let rest = line.strip_prefix("HTTP/1.")?;
    rest.split(' ').nth(1)?.parse().ok()
}

async fn socks5<S>(stream: &mut S, proxy: &Proxy, place: &Place<'_>) -> Result<(), Fault>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // RFC 1928 section 3: no authentication, and user and password where we have them.
    let greeting: &[u8] = if proxy.credentials.is_some() { &[5, 2, 0, 2] } else { &[5, 1, 0] };
    stream.write_all(greeting).await.map_err(io_fault)?;
    match read_array(stream).await? {
        [5, 0] => {}
        [5, 2] if proxy.credentials.is_some() => log_in(stream, proxy).await?,
        [5, _] => return Err(Fault::protocol(Phase::Connect, "it accepts none of our ways to log in")),
        _ => return Err(Fault::protocol(Phase::Connect, "it does not speak SOCKS5")),
    }
    stream.write_all(&socks5_request(place)?).await.map_err(io_fault)?;
    let [version, reply, _, kind] = read_array(stream).await?;
    if version != 5 {
        return Err(Fault::protocol(Phase::Connect, "it does not speak SOCKS5"));
    }
    if reply != 0 {
        let why = format!("it refuses to connect to {}: {}", tidy(&place.authority()), socks5_words(reply));
        return Err(Fault::protocol(Phase::Connect, why));
    }
    let bound = match kind {
        1 => 4,
        4 => 16,
        3 => usize::from(read_array::<1, _>(stream).await?[0]),
        _ => return Err(Fault::protocol(Phase::Connect, "it answers with an unknown kind of address")),
    };
    let mut rest = vec![0; bound + 2];
    stream.read_exact(&mut rest).await.map_err(io_fault)?;
    Ok(())
}

async fn read_array<const N: usize, S: AsyncRead + Unpin>(stream: &mut S) -> Result<[u8; N], Fault> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await.map_err(io_fault)?;
    Ok(bytes)
}

/// RFC 1929 section 2.
async fn log_in<S>(stream: &mut S, proxy: &Proxy) -> Result<(), Fault>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some((user, password)) = &proxy.credentials else { return Ok(()) };
    let too_long = || Fault::protocol(Phase::Connect, "SOCKS5 user and password hold at most 255 bytes each");
    let mut message = vec![1];
    for part in [user.as_str(), password.expose()] {
        message.push(u8::try_from(part.len()).map_err(|_| too_long())?);
        message.extend_from_slice(part.as_bytes());
    }
    stream.write_all(&message).await.map_err(io_fault)?;
    match read_array(stream).await? {
        [_, 0] => Ok(()),
        _ => Err(Fault::protocol(Phase::Connect, "it refuses the user name and password")),
    }
}

/// RFC 1928 section 4.
fn socks5_request(place: &Place<'_>) -> Result<Vec<u8>, Fault> {
    let mut message = vec![5, 1, 0];
    match place.literal() {
        Some(IpAddr::V4(ip)) => {
            message.push(1);
            message.extend_from_slice(&ip.octets());
        }
        Some(IpAddr::V6(ip)) => {
            message.push(4);
            message.extend_from_slice(&ip.octets());
        }
        None => {
            let name = place.host();
            let length = u8::try_from(name.len())
                .map_err(|_| Fault::protocol(Phase::Connect, "the name is longer than 255 bytes"))?;
            message.extend_from_slice(&[3, length]);
            message.extend_from_slice(name.as_bytes());
        }
    }
    message.extend_from_slice(&place.port().to_be_bytes());
    Ok(message)
}

/// RFC 1928 section 6.
const fn socks5_words(reply: u8) -> &'static str {
    match reply {
        1 => "general failure",
        2 => "not allowed by its rules",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "TTL expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => "unknown reply",
    }
}
