//! The sockets that delivery needs, as a seam: the program implements it with its one network
//! root, tests with what they like.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::net::TcpStream;

use crate::net::TlsOptions;

/// Opens connections and exchanges HTTP, to places that an operator wrote down.
pub trait Wire: Send + Sync {
    /// A TCP connection to `host` (a name or an address).
    ///
    /// # Errors
    /// Why there is none, in one line.
    fn dial<'a>(
        &'a self,
        host: &'a str,
        port: u16,
        timeout: Duration,
    ) -> BoxFuture<'a, Result<Dialed, String>>;
    /// One HTTP exchange; redirects are not followed.
    ///
    /// # Errors
    /// Why there is no answer.
    fn exchange(&self, call: Call) -> BoxFuture<'_, Result<Reply, Broken>>;
}

/// A connection, and what must live as long as it does.
pub struct Dialed {
    /// The connection.
    pub stream: TcpStream,
    /// The permit that counts it.
    pub permit: Box<dyn Send + Sync>,
}

/// An HTTP request.
pub struct Call {
    /// The method.
    pub method: http::Method,
    /// The URL; it may hold secrets.
    pub url: url::Url,
    /// The headers; they may hold secrets.
    pub headers: http::HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Bounds the whole exchange.
    pub timeout: Duration,
    /// Reading the answer stops here.
    pub max_body: usize,
    /// The channel's TLS settings.
    pub tls: Arc<TlsOptions>,
}

/// An exchange without an answer.
#[derive(Debug)]
pub struct Broken {
    /// Why, in one line without the URL.
    pub why: String,
    /// The request, or a part of it, was sent: the other side may have acted on it.
    pub sent: bool,
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body, at most `max_body` bytes.
    pub body: Bytes,
}
