//! One question to one DNS server, and its answer as it is: with its flags, its return code, its
//! extended errors and its times to live, which resolvers keep to themselves.
//!
//! Answers with another number, to another question or from another address are passed over (RFC 5452
//! section 9): over UDP anyone may send them. The number and the port are chosen at random.

mod https;
mod lookup;
mod stream;
#[cfg(test)]
mod tests;
mod udp;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::error::Fault;
use super::http::deadline_in;
use super::{FailReason, Net, Origin, TlsOptions, TransportError};
use crate::formats::dns::{Message, Query, Question};
use crate::model::{Phase, Timings};

/// A question to one server.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Whose permits are used: the zone, or the server's name.
    pub host: String,
    /// The server.
    pub server: SocketAddr,
    /// How it is spoken to.
    pub transport: Transport,
    /// Who wrote the server down; addresses from answers are those of [`Origin::Answer`].
    pub origin: Origin,
    /// The question.
    pub query: Query,
    /// Bounds it all, from the first packet to the answer.
    pub timeout: Duration,
}

/// How a server is spoken to.
#[derive(Clone, Debug)]
pub enum Transport {
    /// UDP alone (RFC 1035); an answer that is cut off is given as it is.
    Udp,
    /// TCP alone (RFC 7766).
    Tcp,
    /// UDP, and TCP if the answer is cut off.
    UdpThenTcp,
    /// DNS over TLS (RFC 7858), verified.
    Tls {
        /// The name, or the address, that the certificate has to be for.
        name: String,
        /// TLS settings; its `server_name` goes before `name`.
        tls: Arc<TlsOptions>,
    },
    /// DNS over HTTPS by POST (RFC 8484), verified.
    Https {
        /// The whole URL. Its host is what the certificate has to be for; it is not resolved.
        url: url::Url,
        /// TLS settings.
        tls: Arc<TlsOptions>,
    },
}

/// Over what an answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Over {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// DNS over TLS.
    Tls,
    /// DNS over HTTPS.
    Https,
}

impl Over {
    /// The name, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Https => "https",
        }
    }
}

impl std::fmt::Display for Over {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An answer, whatever its return code.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The message.
    pub message: Message,
    /// Who answered.
    pub server: SocketAddr,
    /// Over what.
    pub over: Over,
    /// From the first packet to the whole answer, connections included.
    pub took: Duration,
    /// The answer over UDP was cut off, and this is the one over TCP.
    pub truncated_over_udp: bool,
}

/// A question on its way.
struct Sent<'a> {
    asked: &'a Asked,
    id: u16,
    question: Question,
    deadline: Instant,
}

impl<'a> Sent<'a> {
    fn new(asked: &'a Asked, deadline: Instant) -> Result<Self, Fault> {
        // RFC 8484 section 4.1: always the same number, so that caches on the way can answer.
        let id = match asked.transport {
            Transport::Https { .. } => 0,
            _ => random_id()?,
        };
        Ok(Self { asked, id, question: asked.query.question(), deadline })
    }

    fn wire(&self) -> Vec<u8> {
        self.asked.query.to_wire(self.id)
    }

    /// The message, if it answers the question.
    fn answer(&self, bytes: &[u8]) -> Option<Message> {
        Message::parse(bytes).ok().filter(|message| message.answers_question(self.id, &self.question))
    }

    /// No answer in time; `strays` answers were to something else.
    fn timed_out(&self, strays: usize) -> Fault {
        let fault = Fault::new(Phase::Ttfb, FailReason::Timeout).at(self.asked.server);
        match strays {
            0 => fault,
            count => fault.with_detail(format!("{count} messages that answer something else came")),
        }
    }
}

fn random_id() -> Result<u16, Fault> {
    let mut id = [0; 2];
    aws_lc_rs::rand::fill(&mut id).map_err(|_| {
        Fault::new(Phase::Connect, FailReason::Exhausted).with_detail("the system gives no random numbers")
    })?;
    Ok(u16::from_be_bytes(id))
}

impl Net {
    /// Asks one question. Any answer to it is one, `SERVFAIL` and `REFUSED` too; `Err` is that none
    /// came. Waits for its permits before the timeout starts.
    pub async fn ask(&self, asked: &Asked) -> Result<Reply, TransportError> {
        let _permit = self.limits.acquire(&asked.host).await;
        self.ask_unlimited(asked, deadline_in(asked.timeout)).await
    }

    /// The same without a permit.
    async fn ask_unlimited(&self, asked: &Asked, deadline: Instant) -> Result<Reply, TransportError> {
        let mut timings = Timings::default();
        let started = Instant::now();
        let answered = match Sent::new(asked, deadline) {
            Ok(sent) => self.answered(&sent, &mut timings).await,
            Err(fault) => Err(fault),
        };
        let (message, over, truncated_over_udp) = answered.map_err(|fault| fault.into_error(timings))?;
        Ok(Reply { message, server: asked.server, over, took: started.elapsed(), truncated_over_udp })
    }

    async fn answered(&self, sent: &Sent<'_>, timings: &mut Timings) -> Result<(Message, Over, bool), Fault> {
        match &sent.asked.transport {
            Transport::Udp => Ok((udp::ask(sent, timings).await?, Over::Udp, false)),
            Transport::Tcp => Ok((stream::over_tcp(sent, timings).await?, Over::Tcp, false)),
            Transport::UdpThenTcp => {
                let message = udp::ask(sent, timings).await?;
                if !message.truncated {
                    return Ok((message, Over::Udp, false));
                }
                let whole = stream::over_tcp(sent, timings).await;
                let whole = whole.map_err(|fault| fault.of("over TCP, after an answer cut off over UDP"))?;
                Ok((whole, Over::Tcp, true))
            }
            Transport::Tls { name, tls } => {
                let message = self.over_tls(sent, name, tls, timings).await?;
                Ok((message, Over::Tls, false))
            }
            Transport::Https { url, tls } => {
                let message = self.over_https(sent, url, tls, timings).await?;
                Ok((message, Over::Https, false))
            }
        }
    }
}
