//! The way to where TLS begins: a permit, a connection, and what is said before.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::TlsTarget;
use crate::formats::starttls::{Dialogue, Protocol, State};
use crate::model::{Phase, Timings};
use crate::net::dial::connect_any;
use crate::net::error::{Fault, tidy};
use crate::net::http::deadline_in;
use crate::net::limits::Permit;
use crate::net::{FailReason, Net, TransportError};

/// A connection on which TLS may begin.
pub(in crate::net) struct Opened {
    pub(in crate::net) stream: TcpStream,
    pub(in crate::net) deadline: Instant,
    pub(in crate::net) timings: Timings,
    pub(in crate::net) injected: usize,
    pub(in crate::net) starttls: Option<Duration>,
    _permit: Permit,
}

impl Net {
    /// Connects and speaks what has to be spoken before TLS.
    pub(in crate::net) async fn open_for_tls(&self, target: &TlsTarget) -> Result<Opened, TransportError> {
        let permit = self.limits.acquire(&target.host).await;
        let deadline = deadline_in(target.timeout);
        let mut timings = Timings::default();
        let started = Instant::now();
        let connected = connect_any(&[target.address], target.origin, deadline).await;
        timings.add(Phase::Connect, started.elapsed());
        let (mut stream, _) = connected.map_err(|fault| fault.into_error(timings))?;
        let (mut injected, mut starttls) = (0, None);
        if let Some(protocol) = target.starttls {
            let started = Instant::now();
            let talk = timeout_at(deadline, talk(&mut stream, protocol, target)).await;
            let talked = talk.unwrap_or_else(|_| Err(Fault::new(Phase::Tls, FailReason::Timeout)));
            starttls = Some(started.elapsed());
            injected = talked.map_err(|fault| {
                timings.add(Phase::Tls, started.elapsed());
                fault.of(&format!("before TLS, in {protocol}")).at(target.address).into_error(timings)
            })?;
        }
        Ok(Opened { stream, deadline, timings, injected, starttls, _permit: permit })
    }
}

/// Talks the server into TLS; gives how many bytes were slipped in.
async fn talk(stream: &mut TcpStream, protocol: Protocol, target: &TlsTarget) -> Result<usize, Fault> {
    let io = |error: std::io::Error| Fault::from_error(Phase::Tls, &error);
    let client = literal(stream.local_addr().map_err(io)?);
    let server = target.server_name.as_deref().unwrap_or(&target.host);
    let mut dialogue = Dialogue::new(protocol, &client, server);
    stream.write_all(dialogue.opening()).await.map_err(io)?;
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await.map_err(io)?;
        if read == 0 {
            return Err(Fault::new(Phase::Tls, FailReason::Closed));
        }
        let turn = dialogue.feed(buffer.get(..read).unwrap_or_default());
        stream.write_all(&turn.send).await.map_err(io)?;
        match turn.state {
            State::Wait => {}
            State::Ready { injected } => return Ok(injected),
            State::Refused(words) => {
                return Err(Fault::new(Phase::Tls, FailReason::NoStartTls(tidy(words.trim()))));
            }
            State::Garbage(why) => return Err(Fault::protocol(Phase::Tls, tidy(&why))),
        }
    }
}

/// RFC 5321 section 4.1.3.
fn literal(local: SocketAddr) -> String {
    match local.ip() {
        IpAddr::V4(ip) => format!("[{ip}]"),
        IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
    }
}
