//! One hello and what a server answers in the clear.

use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::offers::Offer;
use crate::formats::tls::{Answer, Progress, names};
use crate::model::{Phase, Timings};
use crate::net::error::Fault;
use crate::net::handshake::TlsTarget;
use crate::net::handshake::open::Opened;
use crate::net::tls::server_name;
use crate::net::{FailReason, TransportError};

/// The alert of RFC 8446 section 6.1 that tells the server we are done: `user_canceled`, then
/// `close_notify`, both warnings.
const GOODBYE: &[u8] = &[21, 3, 1, 0, 2, 1, 90, 21, 3, 1, 0, 2, 1, 0];

/// How long the server may take to close after us. Until then it counts the connection as open, and
/// the next may be one too many (mail servers allow few from one host).
const CLOSING: Duration = Duration::from_millis(500);
/// What is read of a server that goes on talking meanwhile.
const LAST_WORDS: u64 = 64 * 1024;

/// What a server said before anything was encrypted. None of it is trusted, and no signature in it
/// was verified.
#[derive(Debug)]
pub struct ClearHandshake {
    /// What it said.
    pub answer: Answer,
    /// Bytes slipped in before TLS; see
    /// [`State::Ready`](crate::formats::starttls::State::Ready).
    pub injected: usize,
    /// How long connecting and the answer took.
    pub timings: Timings,
    /// Why the answer ended early, if it did: an alert, a connection cut off.
    pub stopped: Option<TransportError>,
}

/// Says hello over a connection. `Err` when the answer holds neither a ServerHello nor an alert.
pub(super) async fn say_over(
    mut opened: Opened,
    target: &TlsTarget,
    offer: &Offer,
) -> Result<ClearHandshake, TransportError> {
    let name = asked_for(target).map_err(|fault| fault.at(target.address).into_error(opened.timings))?;
    let bytes = offer.hello(name.as_deref()).to_bytes();
    let mut answer = Answer::default();
    let started = Instant::now();
    let read = timeout_at(opened.deadline, exchange(&mut opened.stream, &bytes, &mut answer)).await;
    opened.timings.add(Phase::Tls, started.elapsed());
    let fault = match read {
        Err(_) => Some(Fault::new(Phase::Tls, FailReason::Timeout)),
        Ok(read) => read.err(),
    };
    let told = answer.alert.map(|alert| Fault::new(Phase::Tls, FailReason::TlsAlert(names::alert(alert))));
    let silent = answer.hello.is_none() && told.is_none();
    let stopped = told.or(fault).map(|fault| fault.at(target.address).into_error(opened.timings));
    match stopped {
        Some(error) if silent => Err(error),
        stopped => Ok(ClearHandshake { answer, injected: opened.injected, timings: opened.timings, stopped }),
    }
}

/// The name for SNI, without a final dot; an address is none (RFC 6066 section 3).
fn asked_for(target: &TlsTarget) -> Result<Option<String>, Fault> {
    let Some(name) = &target.server_name else { return Ok(None) };
    match server_name(name).map_err(|why| Fault::protocol(Phase::Tls, why))? {
        ServerName::DnsName(name) => Ok(Some(name.as_ref().to_owned())),
        _ => Ok(None),
    }
}

async fn exchange(stream: &mut TcpStream, hello: &[u8], answer: &mut Answer) -> Result<(), Fault> {
    let io = |error: std::io::Error| Fault::from_error(Phase::Tls, &error);
    stream.write_all(hello).await.map_err(io)?;
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = stream.read(&mut buffer).await.map_err(io)?;
        if read == 0 {
            return Err(Fault::new(Phase::Tls, FailReason::Closed).with_detail("in the handshake"));
        }
        match answer.feed(buffer.get(..read).unwrap_or_default()) {
            Ok(Progress::More) => {}
            Ok(Progress::Done) => break,
            Err(why) => return Err(Fault::protocol(Phase::Tls, why.to_string())),
        }
    }
    if answer.alert.is_none() {
        // A courtesy to the server's log; the answer is complete without it.
        let _ = stream.write_all(GOODBYE).await;
    }
    let _ = timeout(CLOSING, close(stream)).await;
    Ok(())
}

/// Closes our side and waits for the other's.
async fn close(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(LAST_WORDS), &mut tokio::io::sink()).await.map(drop)
}
