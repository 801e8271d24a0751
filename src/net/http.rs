//! One HTTP exchange, with the times of its phases.
//!
//! The connection is driven by the very task that waits for the answer; only HTTP/2 needs a task
//! of its own, which ends with the exchange. Trailers and informational responses are skipped.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::poll_fn;
use http::header::{ACCEPT_ENCODING, CONNECTION, HOST, USER_AGENT};
use http::{HeaderValue, Uri, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};
use url::Position;

use super::body::{self, Wire};
use super::dial::Place;
use super::error::Fault;
use super::stream::Stream;
use super::{FailReason, HttpVersion, Net, Request, Response, TlsInfo, TransportError, Via, proxy, tls};
use crate::model::{Phase, Timings};

/// The largest response head accepted, in bytes.
const MAX_HEAD: usize = 128 * 1024;
/// No operation waits longer than this, whatever its timeout says; also keeps deadlines in range.
const FOREVER: Duration = Duration::from_secs(30 * 24 * 3600);

/// When an operation that starts at this moment has to be over.
pub(super) fn deadline_in(timeout: Duration) -> Instant {
    Instant::now() + timeout.min(FOREVER)
}

pub(super) type Outgoing = http::Request<Full<Bytes>>;

/// Where a URL points.
pub(super) struct Target<'a> {
    pub(super) url: &'a url::Url,
    /// A name, or an address without brackets.
    pub(super) host: String,
    port: u16,
    tls: bool,
}

impl<'a> Target<'a> {
    pub(super) fn of(url: &'a url::Url) -> Result<Self, Fault> {
        let wrong = |why: &str| Fault::protocol(Phase::Dns, format!("{why} in the URL"));
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(wrong("neither http nor https")),
        };
        let host = match url.host() {
            Some(url::Host::Domain(name)) => name.to_owned(),
            Some(url::Host::Ipv4(ip)) => ip.to_string(),
            Some(url::Host::Ipv6(ip)) => ip.to_string(),
            None => return Err(wrong("no host")),
        };
        let port = url.port_or_known_default().ok_or_else(|| wrong("no port"))?;
        Ok(Self { url, host, port, tls })
    }

    /// `host:port` as written in `Host` and `:authority`: without user, without a default port.
    fn authority(&self) -> &'a str {
        &self.url[Position::BeforeHost..Position::AfterPort]
    }

    fn path(&self) -> &'a str {
        &self.url[Position::BeforePath..Position::AfterQuery]
    }
}

/// A connection ready for a request.
pub(super) struct Opened {
    pub(super) stream: Stream,
    pub(super) peer: std::net::SocketAddr,
    pub(super) tls: Option<TlsInfo>,
    /// How the request's target is written.
    pub(super) form: Form,
}

/// RFC 9112 section 3.2: how the target is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Origin,
    /// To a proxy that forwards.
    Absolute,
    Http2,
}

impl Net {
    pub(super) async fn run_exchange(
        &self,
        request: &Request,
        via: &Via,
    ) -> Result<Response, TransportError> {
        let target = Target::of(&request.url).map_err(|fault| fault.into_error(Timings::default()))?;
        let _permit = self.limits.acquire(&target.host).await;
        let deadline = deadline_in(request.timeout);
        let mut timings = Timings::default();
        let done = self.measure(request, via, &target, deadline, &mut timings).await;
        done.map_err(|fault| fault.into_error(timings))
    }

    /// An exchange without a permit of its own.
    pub(super) async fn measure(
        &self,
        request: &Request,
        via: &Via,
        target: &Target<'_>,
        deadline: Instant,
        timings: &mut Timings,
    ) -> Result<Response, Fault> {
        let opened = self.open(target, via, deadline, timings).await?;
        self.once(opened, request, via, target, deadline, timings).await
    }

    /// An exchange over a connection that is closed after it.
    pub(super) async fn once(
        &self,
        opened: Opened,
        request: &Request,
        via: &Via,
        target: &Target<'_>,
        deadline: Instant,
        timings: &mut Timings,
    ) -> Result<Response, Fault> {
        let outgoing = self.outgoing(request, via, target, opened.form, Afterwards::Close)?;
        let peer = opened.peer;
        let sent = if opened.form == Form::Http2 {
            over_http2(opened, outgoing, request.max_body, deadline, timings).await
        } else {
            over_http1(opened, outgoing, request.max_body, deadline, timings).await
        };
        sent.map_err(|fault| fault.at(peer))
    }

    pub(super) async fn open(
        &self,
        target: &Target<'_>,
        via: &Via,
        deadline: Instant,
        timings: &mut Timings,
    ) -> Result<Opened, Fault> {
        let place = Place::of(&target.host, target.port, via.connect_to.as_ref());
        let (stream, peer) = match &via.proxy {
            Some(proxy) => proxy::open(self, proxy, &place, target.tls, via, deadline, timings).await?,
            None => {
                let (stream, peer) =
                    self.dial(&place, via.origin, &via.resolvers, via.family, deadline, timings).await?;
                (Stream::Plain(stream), peer)
            }
        };
        if target.tls {
            let opened = self.encrypt(stream, peer, target, via, deadline, timings).await;
            return opened.map_err(|fault| fault.at(peer));
        }
        let forwarded = via.proxy.as_ref().is_some_and(proxy::forwards);
        let form = if forwarded { Form::Absolute } else { Form::Origin };
        Ok(Opened { stream, peer, tls: None, form })
    }

    async fn encrypt(
        &self,
        stream: Stream,
        peer: std::net::SocketAddr,
        target: &Target<'_>,
        via: &Via,
        deadline: Instant,
        timings: &mut Timings,
    ) -> Result<Opened, Fault> {
        let config =
            self.tls.config(&via.tls, via.version.into()).map_err(|why| Fault::protocol(Phase::Tls, why))?;
        let name = via.tls.server_name.as_deref().unwrap_or(&target.host);
        let started = Instant::now();
        let (stream, info) = match stream {
            Stream::Plain(tcp) => {
                let shaken = tls::handshake(tcp, config, name, deadline).await;
                timings.add(Phase::Tls, started.elapsed());
                let stream = shaken?;
                let info = tls::info(stream.get_ref().1);
                (Stream::Tls(Box::new(stream)), info)
            }
            tunnel => {
                let shaken = tls::handshake(tunnel, config, name, deadline).await;
                timings.add(Phase::Tls, started.elapsed());
                let stream = shaken?;
                let info = tls::info(stream.get_ref().1);
                (Stream::Nested(Box::new(stream)), info)
            }
        };
        let agreed = info.alpn.as_deref() == Some("h2");
        if via.version == HttpVersion::Http2 && !agreed {
            return Err(Fault::protocol(Phase::Tls, "the server does not agree on HTTP/2"));
        }
        let form = if agreed { Form::Http2 } else { Form::Origin };
        Ok(Opened { stream, peer, tls: Some(info), form })
    }

    pub(super) fn outgoing(
        &self,
        request: &Request,
        via: &Via,
        target: &Target<'_>,
        form: Form,
        afterwards: Afterwards,
    ) -> Result<Outgoing, Fault> {
        let bad = |error: &dyn std::fmt::Display| {
            Fault::protocol(Phase::Ttfb, format!("the request cannot be sent: {error}"))
        };
        let mut headers = request.headers.clone();
        let host = match headers.remove(HOST) {
            Some(host) => host,
            None => HeaderValue::from_str(target.authority()).map_err(|error| bad(&error))?,
        };
        let uri = match form {
            Form::Origin => Uri::try_from(target.path()).map_err(|error| bad(&error))?,
            Form::Absolute => whole(target, target.authority().as_bytes()).map_err(|error| bad(&error))?,
            Form::Http2 => whole(target, host.as_bytes()).map_err(|error| bad(&error))?,
        };
        if form != Form::Http2 {
            headers.insert(HOST, host);
        }
        if form != Form::Http2 && afterwards == Afterwards::Close {
            headers.entry(CONNECTION).or_insert(HeaderValue::from_static("close"));
        }
        headers.entry(USER_AGENT).or_insert_with(|| self.user_agent.clone());
        headers.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static(body::OFFERED));
        if form == Form::Absolute
            && let Some(value) = via.proxy.as_ref().and_then(proxy::authorization)
        {
            headers.insert(http::header::PROXY_AUTHORIZATION, value);
        }
        let mut outgoing = http::Request::new(Full::new(request.body.clone()));
        *outgoing.method_mut() = request.method.clone();
        *outgoing.uri_mut() = uri;
        *outgoing.headers_mut() = headers;
        if form == Form::Http2 {
            *outgoing.version_mut() = Version::HTTP_2;
        }
        Ok(outgoing)
    }
}

/// What becomes of a connection after the exchange.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Afterwards {
    Close,
    Keep,
}

fn whole(target: &Target<'_>, authority: &[u8]) -> Result<Uri, http::Error> {
    Uri::builder().scheme(target.url.scheme()).authority(authority).path_and_query(target.path()).build()
}

async fn over_http1(
    opened: Opened,
    outgoing: Outgoing,
    max_body: usize,
    deadline: Instant,
    timings: &mut Timings,
) -> Result<Response, Fault> {
    let asked = asked_codings(&outgoing);
    let (mut sender, connection) = http1(opened.stream).await?;
    tokio::pin!(connection);
    let mut driver = Driver { connection, over: false };
    let started = Instant::now();
    let answer = timeout_at(deadline, driver.run(sender.send_request(outgoing))).await;
    timings.add(Phase::Ttfb, started.elapsed());
    let reading = Reading { asked, max_body, deadline, peer: opened.peer, tls: opened.tls };
    reading.finish(head(answer)?, &mut driver, timings).await
}

pub(super) type Http1 = hyper::client::conn::http1::Connection<TokioIo<Stream>, Full<Bytes>>;

/// Readies a connection for HTTP/1.1.
pub(super) async fn http1(
    stream: Stream,
) -> Result<(hyper::client::conn::http1::SendRequest<Full<Bytes>>, Http1), Fault> {
    hyper::client::conn::http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .max_header_size(MAX_HEAD)
        // RFC 9112 section 5.2: a user agent reads a folded header as one line.
        .allow_obsolete_multiline_headers_in_responses(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| Fault::from_error(Phase::Ttfb, &error))
}

async fn over_http2(
    opened: Opened,
    outgoing: Outgoing,
    max_body: usize,
    deadline: Instant,
    timings: &mut Timings,
) -> Result<Response, Fault> {
    let asked = asked_codings(&outgoing);
    let tasks = Tasks::default();
    let _ended_with_us = AbortOnDrop(tasks.clone());
    let started = Instant::now();
    let list_size = u32::try_from(MAX_HEAD).unwrap_or(u32::MAX);
    let mut builder = hyper::client::conn::http2::Builder::new(tasks);
    builder.max_header_list_size(list_size);
    let handshake = timeout_at(deadline, builder.handshake(TokioIo::new(opened.stream))).await;
    let (mut sender, connection) = match handshake {
        Err(_) => return Err(Fault::new(Phase::Ttfb, FailReason::Timeout)),
        Ok(shaken) => shaken.map_err(|error| Fault::from_error(Phase::Ttfb, &error))?,
    };
    tokio::pin!(connection);
    let mut driver = Driver { connection, over: false };
    let answer = timeout_at(deadline, driver.run(sender.send_request(outgoing))).await;
    timings.add(Phase::Ttfb, started.elapsed());
    let reading = Reading { asked, max_body, deadline, peer: opened.peer, tls: opened.tls };
    reading.finish(head(answer)?, &mut driver, timings).await
}

pub(super) fn asked_codings(outgoing: &Outgoing) -> http::HeaderMap {
    outgoing.headers().get_all(ACCEPT_ENCODING).iter().map(|value| (ACCEPT_ENCODING, value.clone())).collect()
}

pub(super) type Answer = Result<Result<http::Response<Incoming>, hyper::Error>, tokio::time::error::Elapsed>;

pub(super) fn head(answer: Answer) -> Result<http::Response<Incoming>, Fault> {
    match answer {
        Err(_) => Err(Fault::new(Phase::Ttfb, FailReason::Timeout)),
        Ok(Err(error)) => Err(Fault::from_error(Phase::Ttfb, &error)),
        Ok(Ok(response)) => Ok(response),
    }
}

/// What is needed to read a response to its end.
pub(super) struct Reading {
    pub(super) asked: http::HeaderMap,
    pub(super) max_body: usize,
    pub(super) deadline: Instant,
    pub(super) peer: std::net::SocketAddr,
    pub(super) tls: Option<TlsInfo>,
}

impl Reading {
    pub(super) async fn finish<C: Future>(
        self,
        response: http::Response<Incoming>,
        driver: &mut Driver<'_, C>,
        timings: &mut Timings,
    ) -> Result<Response, Fault> {
        let (parts, incoming) = response.into_parts();
        let codings = body::codings(&self.asked, &parts.headers);
        let mut wire = Wire::new(incoming);
        let mut read = Vec::new();
        let started = Instant::now();
        let reading = driver.run(wire.read(&codings, self.max_body, &mut read));
        let result = timeout_at(self.deadline, reading).await;
        timings.add(Phase::Transfer, started.elapsed());
        let (truncated, fault) = match result {
            Err(_) => (false, Some(Fault::new(Phase::Transfer, FailReason::Timeout))),
            Ok(Err(error)) => (false, Some(Fault::from_error(Phase::Transfer, &error))),
            Ok(Ok(truncated)) => (truncated, None),
        };
        Ok(Response {
            status: parts.status.as_u16(),
            version: parts.version,
            headers: parts.headers,
            body: Bytes::from(read),
            truncated,
            body_error: fault.map(|fault| fault.at(self.peer).into_error(*timings)),
            wire_bytes: wire.bytes,
            peer: self.peer,
            tls: self.tls,
            timings: *timings,
        })
    }
}

/// Polls a connection beside whatever waits for something from it.
pub(super) struct Driver<'c, C> {
    pub(super) connection: Pin<&'c mut C>,
    pub(super) over: bool,
}

impl<C: Future> Driver<'_, C> {
    pub(super) async fn run<F: Future>(&mut self, wanted: F) -> F::Output {
        tokio::pin!(wanted);
        poll_fn(|cx| {
            // An error of the connection reaches who waits through what he waits for.
            if !self.over && self.connection.as_mut().poll(cx).is_ready() {
                self.over = true;
            }
            wanted.as_mut().poll(cx)
        })
        .await
    }
}

/// The tasks hyper starts for HTTP/2.
#[derive(Clone, Default)]
struct Tasks(Arc<Mutex<Vec<AbortHandle>>>);

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, task: F) {
        let handle = tokio::spawn(task).abort_handle();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(handle);
    }
}

struct AbortOnDrop(Tasks);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        for task in self.0.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests;
