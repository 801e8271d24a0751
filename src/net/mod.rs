//! All sockets. Nothing else in the program opens one to the outside (bans in `clippy.toml`).
//!
//! An exchange passes, in this order: `limits` (a permit; the clock starts after it), `dns`,
//! `guard` and `dial` (each address judged as it is dialed), `proxy` if there is one, `tls`, `http`
//! and `body`. `error` gives every failure its typed reason; `client` is the same way for traffic
//! that is not a measurement; `handshake` and `tls_probe` look at TLS servers as they are, whether
//! their certificates verify or not, and send them nothing; `ask` puts single questions to DNS servers
//! and gives the answers as they are. Not supported: HTTP/2 without TLS, HTTP/3, revocation checks.

mod ask;
mod body;
mod client;
mod dial;
mod dns;
mod error;
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "peers on loopback are sockets too")]
pub(crate) mod fakes;
pub mod guard;
mod handshake;
mod http;
mod kept;
mod limits;
pub mod post;
mod proxy;
mod stream;
mod tls;
mod tls_probe;
mod verify;
mod waits;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ::http::HeaderValue;
use bytes::Bytes;

pub use self::ask::{Asked, Over, Reply, Transport};
pub use self::client::{Connected, HttpCall, HttpReply};
pub use self::dns::check_resolver;
pub use self::handshake::{Handshake, Handshaken, KeyType, Signature, TlsTarget, TlsVersions};
pub use self::kept::Line;
pub use self::limits::Permit;
pub use self::tls::system_roots;
pub use self::tls_probe::{Acceptance, ClearHandshake, ScanOptions, TlsScan, VersionScan};
pub use self::waits::{aside, waited, within};
use tokio::time::Instant;

use crate::model::{Phase, Secret, Timings};

/// The root of everything that touches the network: resolvers, TLS settings, permits.
pub struct Net {
    limits: limits::Limits,
    dns: dns::Dns,
    tls: tls::TlsCache,
    user_agent: HeaderValue,
}

/// TLS settings of one destination.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    /// PEM certificates trusted beside the usual roots.
    pub ca_pem: Option<Arc<str>>,
    /// The name asked for (SNI) and verified, where it is not the host's.
    pub server_name: Option<String>,
    /// Client certificate chain and key, PEM.
    pub client: Option<(Arc<str>, Secret)>,
}

/// Who wrote the destination down; the address guard judges by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An operator, outside portals (channels, resolvers, proxies, CLI targets): private addresses
    /// are allowed.
    Operator,
    /// A portal's config; private addresses need `private: true`, given here.
    Portal {
        /// The portal's `private`.
        private: bool,
    },
    /// An answer of a portal (redirect, AIA, links); private addresses need `private: true`.
    Answer {
        /// The portal's `private`.
        private: bool,
    },
}

/// Which of a name's addresses are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Family {
    /// The first that connects, IPv6 and IPv4 in the resolver's order.
    #[default]
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

/// How to reach one HTTP origin.
#[derive(Clone, Debug)]
pub struct Via {
    /// Who wrote the destination down.
    pub origin: Origin,
    /// The resolvers, as written; none means `system`.
    pub resolvers: Arc<[String]>,
    /// TLS settings.
    pub tls: Arc<TlsOptions>,
    /// Which addresses.
    pub family: Family,
    /// Connect to this instead of what the URL's host resolves to; the name in TLS and `Host` stays.
    pub connect_to: Option<ConnectTo>,
    /// An HTTP(S) or SOCKS5 proxy; the target's name is then resolved by the proxy.
    pub proxy: Option<Proxy>,
    /// The protocol versions offered.
    pub version: HttpVersion,
}

impl Via {
    /// The plain way to a destination that an operator wrote down.
    pub fn to_operators_choice(tls: Arc<TlsOptions>) -> Self {
        Self {
            origin: Origin::Operator,
            resolvers: Arc::default(),
            tls,
            family: Family::Any,
            connect_to: None,
            proxy: None,
            version: HttpVersion::Auto,
        }
    }
}

/// A fixed place to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectTo {
    /// This very address. Used for `addresses: all`, where each address is tried by itself.
    Address(SocketAddr),
    /// Another name or address, and port.
    Host(String, u16),
}

/// A proxy.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// `http://`, `https://` or `socks5h://` host and port.
    pub url: url::Url,
    /// `Proxy-Authorization: Basic`, or SOCKS5 user and password.
    pub credentials: Option<(String, Secret)>,
}

/// The HTTP versions offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum HttpVersion {
    /// HTTP/2 if ALPN agrees on it, else HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only (over TLS by ALPN).
    Http2,
}

/// One HTTP exchange: a new connection, one request, one response.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: ::http::Method,
    /// The whole URL, `http` or `https`.
    pub url: url::Url,
    /// Headers; `Host`, `User-Agent`, `Accept-Encoding` and lengths are added where absent.
    pub headers: ::http::HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Bounds the whole exchange from name resolution to the last byte.
    pub timeout: Duration,
    /// Reading the (decoded) body stops after this many bytes.
    pub max_body: usize,
}

/// A response, read as far as the limit allows.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// `HTTP/1.0`, `HTTP/1.1` or `HTTP/2`.
    pub version: ::http::Version,
    /// The headers.
    pub headers: ::http::HeaderMap,
    /// The decoded body, at most `max_body` bytes.
    pub body: Bytes,
    /// The body was longer than `max_body` and the rest was left unread.
    pub truncated: bool,
    /// The body could not be read to its end: why. The status and the headers stand.
    pub body_error: Option<TransportError>,
    /// How many bytes of body came over the wire, before decoding.
    pub wire_bytes: u64,
    /// The address that answered.
    pub peer: SocketAddr,
    /// The TLS session, for `https`.
    pub tls: Option<TlsInfo>,
    /// How long the phases took.
    pub timings: Timings,
}

/// What a TLS handshake agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsInfo {
    /// `TLSv1.3`, `TLSv1.2`.
    pub version: String,
    /// The suite's IANA name.
    pub cipher: String,
    /// The ALPN protocol agreed on.
    pub alpn: Option<String>,
    /// The leaf certificate's end of validity, seconds since the epoch.
    pub not_after: Option<i64>,
}

/// No answer came: why. A failure by itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} in the {phase} phase{}{}", display_address(.address), display_detail(.detail))]
pub struct TransportError {
    /// In which phase it ended.
    pub phase: Phase,
    /// Why, typed.
    pub reason: FailReason,
    /// The address tried last.
    pub address: Option<SocketAddr>,
    /// The library's or the peer's words, one line.
    pub detail: String,
    /// How long the phases took until then.
    pub timings: Timings,
}

fn display_address(address: &Option<SocketAddr>) -> String {
    address.map(|address| format!(" at {address}")).unwrap_or_default()
}

fn display_detail(detail: &str) -> String {
    if detail.is_empty() { String::new() } else { format!(": {detail}") }
}

/// Why no answer came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailReason {
    /// The name does not resolve, and our resolver answers its control query.
    Unresolvable,
    /// The address refuses connections.
    Refused,
    /// The peer (or something on the way) reset the connection.
    Reset,
    /// The peer closed the connection before it answered in full.
    Closed,
    /// The time ran out in this phase.
    Timeout,
    /// A router says the target cannot be reached (ICMP), while other destinations can.
    Unreachable,
    /// The peer ended the handshake with this TLS alert.
    TlsAlert(String),
    /// The certificate does not verify: why, in words (`expired`, `not valid for name`, …).
    Certificate(String),
    /// The server does not begin TLS where it is asked to by STARTTLS: its words.
    NoStartTls(String),
    /// The peer does not keep to the protocol (two lengths, too long a header, garbage).
    Protocol(String),
    /// The address guard refuses the destination.
    Guarded(IpAddr),
    /// Our side: the resolver fails its control query too.
    OwnResolver,
    /// Our side: no route for this family or none at all.
    NoRoute,
    /// Our side: out of descriptors, ports or memory.
    Exhausted,
}

impl fmt::Display for FailReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unresolvable => f.write_str("the name does not resolve"),
            Self::Refused => f.write_str("connection refused"),
            Self::Reset => f.write_str("connection reset"),
            Self::Closed => f.write_str("connection closed early"),
            Self::Timeout => f.write_str("timed out"),
            Self::Unreachable => f.write_str("unreachable"),
            Self::TlsAlert(alert) => write!(f, "TLS alert {alert}"),
            Self::Certificate(why) => write!(f, "certificate {why}"),
            Self::NoStartTls(words) => write!(f, "no STARTTLS, {words}"),
            Self::Protocol(why) => write!(f, "protocol error, {why}"),
            Self::Guarded(address) => write!(f, "the address guard refuses {address}"),
            Self::OwnResolver => f.write_str("our resolver does not answer"),
            Self::NoRoute => f.write_str("this host has no route"),
            Self::Exhausted => f.write_str("this host is out of resources"),
        }
    }
}

/// The addresses of a name, family by family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// In the resolver's order, both families.
    pub addresses: Vec<IpAddr>,
    /// How long it took.
    pub took: Duration,
}

/// What [`Net`] is built from.
#[derive(Clone, Debug)]
pub struct NetOptions {
    /// Concurrent connections to one host.
    pub per_host: usize,
    /// Concurrent connections in all.
    pub global: usize,
    /// How our traffic names itself, `portalwatch/VERSION (+URL)`.
    pub user_agent: String,
    /// Fixed names, for tests: name to addresses, as in `/etc/hosts`.
    pub hosts: BTreeMap<String, Vec<IpAddr>>,
}

impl Net {
    /// Builds it. Installs the TLS provider if no one has.
    pub fn new(options: NetOptions) -> Self {
        tls::install_provider();
        Self {
            limits: limits::Limits::new(options.per_host, options.global),
            dns: dns::Dns::new(&options.hosts),
            tls: tls::TlsCache::default(),
            user_agent: HeaderValue::try_from(options.user_agent)
                .unwrap_or(HeaderValue::from_static("portalwatch")),
        }
    }

    /// The addresses of `host` (a name or an address) by the given resolvers, after their control
    /// query if they fail. Not yet judged by the guard: that happens at dial time.
    pub async fn resolve(
        &self,
        host: &str,
        resolvers: &[String],
        timeout: Duration,
    ) -> Result<Resolved, TransportError> {
        let started = Instant::now();
        let place = dial::Place::of(host, 0, None);
        if let Some(address) = place.literal() {
            return Ok(Resolved { addresses: vec![address], took: Duration::ZERO });
        }
        let deadline = http::deadline_in(timeout);
        let found = self.dns.resolve(place.host(), resolvers, Family::Any, deadline).await;
        let took = started.elapsed();
        found.map(|addresses| Resolved { addresses, took }).map_err(|fault| {
            let mut timings = Timings::default();
            timings.add(Phase::Dns, took);
            fault.into_error(timings)
        })
    }

    /// One HTTP exchange over a new connection. Follows nothing, keeps nothing. Waits for its
    /// permits before the timeout starts.
    pub async fn exchange(&self, request: &Request, via: &Via) -> Result<Response, TransportError> {
        self.run_exchange(request, via).await
    }

    /// Whether a TCP connection to `address` can be made: the own-network guard's question. Takes
    /// no permit and asks no address guard: an operator wrote the address down.
    pub async fn reachable(&self, address: SocketAddr, timeout: Duration) -> bool {
        dial::connect(address, http::deadline_in(timeout)).await.is_ok()
    }
}
