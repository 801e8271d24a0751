//! Traffic that is not a measurement: messages to channels, tokens, mail. It takes the same way as
//! what is measured, so the guard, the limits and the settings of TLS are the same.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;

use super::dial::Place;
use super::http::deadline_in;
use super::limits::Permit;
use super::{Family, Net, Origin, Request, TlsOptions, TransportError, Via, tls};
use crate::model::Timings;

/// One HTTP request that is not a measurement.
#[derive(Clone, Debug)]
pub struct HttpCall {
    /// The method.
    pub method: http::Method,
    /// The whole URL, `http` or `https`.
    pub url: url::Url,
    /// Headers; `Host`, `User-Agent` and lengths are added where absent.
    pub headers: http::HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Bounds the whole call.
    pub timeout: Duration,
    /// Reading the answer stops after this many bytes.
    pub max_body: usize,
    /// TLS settings.
    pub tls: Arc<TlsOptions>,
    /// Who wrote the URL down.
    pub origin: Origin,
}

/// The answer to an [`HttpCall`].
#[derive(Clone, Debug)]
pub struct HttpReply {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The decoded body, at most `max_body` bytes.
    pub body: Bytes,
    /// The body was longer, or ended too early.
    pub incomplete: bool,
}

/// A connection for protocols other than HTTP.
pub struct Connected {
    /// The connection.
    pub stream: TcpStream,
    /// The address it was made to.
    pub peer: SocketAddr,
    /// Keep it until the connection is closed.
    pub permit: Permit,
}

impl Net {
    /// Sends one request by the system's resolvers, without a proxy. Follows no redirect. An answer
    /// whose body breaks off still is an answer: the peer has acted on the request.
    pub async fn send(&self, call: HttpCall) -> Result<HttpReply, TransportError> {
        let HttpCall { method, url, headers, body, timeout, max_body, tls, origin } = call;
        let request = Request { method, url, headers, body, timeout, max_body };
        let via = Via { origin, ..Via::to_operators_choice(tls) };
        let response = self.exchange(&request, &via).await?;
        Ok(HttpReply {
            status: response.status,
            headers: response.headers,
            body: response.body,
            incomplete: response.truncated || response.body_error.is_some(),
        })
    }

    /// How our traffic names itself.
    pub fn user_agent(&self) -> &str {
        self.user_agent.to_str().unwrap_or("portalwatch")
    }

    /// Opens a TCP connection to `host` (a name or an address) by the system's resolvers. Waiting
    /// for the permit is not part of the timeout.
    pub async fn connect_stream(
        &self,
        host: &str,
        port: u16,
        origin: Origin,
        timeout: Duration,
    ) -> Result<Connected, TransportError> {
        let permit = self.limits.acquire(host).await;
        let deadline = deadline_in(timeout);
        let mut timings = Timings::default();
        let place = Place::of(host, port, None);
        match self.dial(&place, origin, &[], Family::Any, deadline, &mut timings).await {
            Ok((stream, peer)) => Ok(Connected { stream, peer, permit }),
            Err(fault) => Err(fault.into_error(timings)),
        }
    }

    /// Client settings for a protocol that speaks TLS by itself, without ALPN. `Err` says what is
    /// wrong with the PEM texts.
    pub fn tls_config(&self, options: &TlsOptions) -> Result<Arc<rustls::ClientConfig>, String> {
        self.tls.config(options, tls::Alpn::None)
    }
}
