//! TLS servers as they are: one handshake that looks at what is sent and trusts nothing.
//!
//! This is the one place that does not verify certificates, and it has to be: an invalid certificate
//! is what is looked for, and a verifier that refuses it throws the evidence away. What makes that
//! harmless is that nothing is ever sent over such a connection but the handshake: [`Session`] has
//! no way to write application data, and it never leaves this module. Whether the chain is any good
//! is judged by who called, from the bytes.
//!
//! Not seen: SCTs of the TLS extension in TLS 1.3 (the library does not ask for them; those of TLS 1.2
//! are in [`Net::hello_in_clear`]), chains above 64 KiB in TLS 1.3 (the library's limit).
//!
//! [`Session`]: session::Session

pub(super) mod open;
mod recorder;
mod session;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use self::open::Opened;
pub use self::recorder::{KeyType, Signature};
use self::session::Session;
use super::error::Fault;
use super::{FailReason, Net, Origin, TransportError};
use crate::formats::starttls::Protocol;
use crate::formats::tls::{Certificates, Version, looks_like};
use crate::model::{Phase, Secret, Timings};

/// After the handshake of TLS 1.3 is over for us, the server's verdict on a client certificate that
/// it asked for is waited for at most this long; servers that say nothing have accepted.
const VERDICT: Duration = Duration::from_secs(1);

/// One address of a TLS server.
#[derive(Clone, Debug)]
pub struct TlsTarget {
    /// Whose permits are used: the host as written in the config.
    pub host: String,
    /// The address to connect to.
    pub address: SocketAddr,
    /// Who wrote the destination down.
    pub origin: Origin,
    /// The name asked for (SNI); none asks for no name.
    pub server_name: Option<String>,
    /// What is spoken before TLS.
    pub starttls: Option<Protocol>,
    /// Bounds one connection from its first packet to its last.
    pub timeout: Duration,
}

/// The versions offered in a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum TlsVersions {
    /// TLS 1.3 and 1.2.
    #[default]
    Both,
    /// TLS 1.2 alone.
    Tls12,
    /// TLS 1.3 alone.
    Tls13,
}

/// One handshake.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// With whom.
    pub target: TlsTarget,
    /// The versions offered.
    pub versions: TlsVersions,
    /// The kind of certificate asked for.
    pub key_type: KeyType,
    /// The protocols offered by ALPN, the favourite first; none offers none.
    pub alpn: Vec<String>,
    /// Client certificate chain and key, PEM.
    pub client: Option<(Arc<str>, Secret)>,
}

impl Handshake {
    /// A handshake with any kind of key, TLS 1.3 or 1.2, and no more.
    pub fn with(target: TlsTarget) -> Self {
        Self { target, versions: TlsVersions::Both, key_type: KeyType::Any, alpn: Vec::new(), client: None }
    }
}

/// What a server showed in a handshake. None of it is trusted.
#[derive(Clone, Debug)]
pub struct Handshaken {
    /// The chain exactly as it was sent.
    pub chain: Certificates,
    /// The stapled OCSP response, DER.
    pub staple: Option<Vec<u8>>,
    /// The version agreed on.
    pub version: Option<Version>,
    /// The suite's number; [`names::suite`](crate::formats::tls::names::suite) names it.
    pub suite: Option<u16>,
    /// The number of the key exchange's group.
    pub group: Option<u16>,
    /// The protocol agreed on by ALPN.
    pub alpn: Option<String>,
    /// It asked for a client certificate.
    pub wants_client: bool,
    /// Whether the server holds the key of its certificate.
    pub signature: Signature,
    /// Bytes that came in the clear between the go-ahead of STARTTLS and TLS, thrown away: see
    /// [`State::Ready`](crate::formats::starttls::State::Ready).
    pub injected: usize,
    /// How long the dialogue before TLS took.
    pub starttls: Option<Duration>,
    /// How long connecting and the handshake took.
    pub timings: Timings,
    /// Why the handshake ended early, though the chain was seen.
    pub stopped: Option<TransportError>,
}

impl Net {
    /// Shakes hands with one address and ends the connection. `Err` when no certificate was seen;
    /// what fails afterwards is told in [`Handshaken::stopped`]. Waits for its permits before the
    /// timeout starts.
    pub async fn handshake(&self, wanted: &Handshake) -> Result<Handshaken, TransportError> {
        let target = &wanted.target;
        let session = Session::new(wanted).map_err(|why| {
            Fault::protocol(Phase::Tls, why).at(target.address).into_error(Timings::default())
        });
        let mut session = session?;
        let mut opened = self.open_for_tls(target).await?;
        let started = Instant::now();
        let ended = shake(&mut session, &mut opened).await;
        opened.timings.add(Phase::Tls, started.elapsed());
        finish(session, &opened, ended.err().map(|fault| fault.at(target.address)))
    }
}

/// A handshake, with the server's verdict on a client certificate.
async fn shake(session: &mut Session, opened: &mut Opened) -> Result<(), Fault> {
    let timeout = || Fault::new(Phase::Tls, FailReason::Timeout);
    let (stream, deadline) = (&mut opened.stream, opened.deadline);
    timeout_at(deadline, hands(session, stream)).await.map_err(|_| timeout())??;
    if session.verdict_is_due() {
        let patience = deadline.min(Instant::now() + VERDICT);
        // Silence says that nothing is wrong.
        if let Ok(verdict) = timeout_at(patience, step(session, stream, &mut [0; 4096])).await {
            verdict?;
        }
    }
    let _ = timeout_at(deadline, flush(session, stream, true)).await;
    Ok(())
}

async fn hands(session: &mut Session, stream: &mut TcpStream) -> Result<(), Fault> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        flush(session, stream, false).await?;
        if !session.goes_on() {
            return Ok(());
        }
        if let Err(fault) = step(session, stream, &mut buffer).await {
            // The alert that says what we cannot read; the fault stands whether it arrives or not.
            let _ = flush(session, stream, false).await;
            return Err(fault);
        }
    }
}

async fn flush(session: &mut Session, stream: &mut TcpStream, close: bool) -> Result<(), Fault> {
    let bytes = session.outgoing(close).map_err(|error| Fault::from_error(Phase::Tls, &error))?;
    stream.write_all(&bytes).await.map_err(|error| Fault::from_error(Phase::Tls, &error))
}

/// Reads once.
async fn step(session: &mut Session, stream: &mut TcpStream, buffer: &mut [u8]) -> Result<(), Fault> {
    let read = stream.read(buffer).await.map_err(|error| Fault::from_error(Phase::Tls, &error))?;
    let bytes = buffer.get(..read).unwrap_or_default();
    if bytes.is_empty() {
        return Err(Fault::new(Phase::Tls, FailReason::Closed).with_detail("in the handshake"));
    }
    if session.heard_nothing()
        && let Some(stranger) = looks_like(bytes)
    {
        return Err(Fault::protocol(Phase::Tls, format!("not TLS: {stranger}")));
    }
    session.take(bytes).map_err(|error| Fault::from_error(Phase::Tls, &error))
}

fn finish(session: Session, opened: &Opened, fault: Option<Fault>) -> Result<Handshaken, TransportError> {
    let timings = opened.timings;
    let stopped = fault.map(|fault| fault.into_error(timings));
    let seen = session.finish();
    match stopped {
        Some(error) if seen.chain.ders.is_empty() && seen.chain.left_out == 0 => Err(error),
        stopped => {
            Ok(Handshaken { injected: opened.injected, starttls: opened.starttls, timings, stopped, ..seen })
        }
    }
}
