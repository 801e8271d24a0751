//! Over TCP (RFC 7766) and TLS (RFC 7858): each message with its length before it.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::Sent;
use crate::formats::dns::Message;
use crate::model::{Phase, Timings};
use crate::net::dial::connect_any;
use crate::net::error::Fault;
use crate::net::{Net, TlsOptions, tls};

pub(super) async fn over_tcp(sent: &Sent<'_>, timings: &mut Timings) -> Result<Message, Fault> {
    let stream = connected(sent, timings).await?;
    converse(sent, stream, timings).await
}

impl Net {
    pub(super) async fn over_tls(
        &self,
        sent: &Sent<'_>,
        name: &str,
        options: &TlsOptions,
        timings: &mut Timings,
    ) -> Result<Message, Fault> {
        let config = self.tls.config(options, tls::Alpn::None);
        let config = config.map_err(|why| Fault::protocol(Phase::Tls, why).at(sent.asked.server))?;
        let name = options.server_name.as_deref().unwrap_or(name);
        let stream = connected(sent, timings).await?;
        let started = Instant::now();
        let shaken = tls::handshake(stream, config, name, sent.deadline).await;
        timings.add(Phase::Tls, started.elapsed());
        converse(sent, shaken.map_err(|fault| fault.at(sent.asked.server))?, timings).await
    }
}

async fn connected(sent: &Sent<'_>, timings: &mut Timings) -> Result<TcpStream, Fault> {
    let started = Instant::now();
    let connected = connect_any(&[sent.asked.server], sent.asked.origin, sent.deadline).await;
    timings.add(Phase::Connect, started.elapsed());
    Ok(connected?.0)
}

async fn converse<S>(sent: &Sent<'_>, stream: S, timings: &mut Timings) -> Result<Message, Fault>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let started = Instant::now();
    let mut strays = 0;
    let answer = timeout_at(sent.deadline, exchange(sent, stream, &mut strays)).await;
    timings.add(Phase::Ttfb, started.elapsed());
    match answer {
        Err(_) => Err(sent.timed_out(strays)),
        Ok(Err(error)) => Err(Fault::from_error(Phase::Ttfb, &error).at(sent.asked.server)),
        Ok(Ok(message)) => Ok(message),
    }
}

async fn exchange<S>(sent: &Sent<'_>, mut stream: S, strays: &mut usize) -> std::io::Result<Message>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let wire = sent.wire();
    // A question is a name, at most 255 bytes long, and little else.
    let length = u16::try_from(wire.len()).unwrap_or_default();
    // In one piece: some servers want both in one segment (RFC 7766 section 8).
    stream.write_all(&[&length.to_be_bytes()[..], &wire].concat()).await?;
    stream.flush().await?;
    loop {
        let length = stream.read_u16().await?;
        let mut message = vec![0; usize::from(length)];
        stream.read_exact(&mut message).await?;
        match sent.answer(&message) {
            Some(message) => return Ok(message),
            None => *strays += 1,
        }
    }
}
