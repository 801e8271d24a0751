//! A connection that is kept from one exchange to the next (RFC 9112 section 9.3), for a caller that
//! acts like one browser.
//!
//! Only HTTP/1.1 without a proxy is kept. The address was judged by the guard when it was dialed, and
//! the permit is held as long as the connection. A server may close an idle connection at any time, so
//! one that was idle for long is not used, and a request that is safe to repeat is repeated over a new
//! one where the kept one fails before it answers (RFC 9112 section 9.3.1).

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::poll_fn;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use tokio::time::{Instant, timeout_at};

use super::error::Fault;
use super::http::{
    Afterwards, Driver, Form, Http1, Outgoing, Reading, Target, asked_codings, deadline_in, head, http1,
};
use super::limits::Permit;
use super::{FailReason, Net, Request, Response, TlsInfo, TransportError, Via};
use crate::model::{Phase, Timings};

/// A connection that was idle for longer is not used again: the server may be closing it.
const LONGEST_IDLE: Duration = Duration::from_secs(1);

/// Place for one kept connection.
#[derive(Default)]
pub struct Line(Option<Kept>);

impl Line {
    /// Closes the connection: before a pause, so that others may have its place.
    pub fn hang_up(&mut self) {
        self.0 = None;
    }
}

struct Kept {
    sender: SendRequest<Full<Bytes>>,
    connection: Pin<Box<Http1>>,
    origin: url::Origin,
    via: Via,
    peer: SocketAddr,
    tls: Option<TlsInfo>,
    idle_since: Instant,
    _permit: Permit,
}

impl Kept {
    fn leads_to(&self, target: &Target<'_>, via: &Via) -> bool {
        self.origin == target.url.origin()
            && Arc::ptr_eq(&self.via.tls, &via.tls)
            && self.via.connect_to == via.connect_to
            && self.via.family == via.family
            && self.via.version == via.version
            && via.proxy.is_none()
    }

    /// Whether it is still open and nothing is under way on it.
    async fn is_ready(&mut self) -> bool {
        let connection = &mut self.connection;
        let over = poll_fn(|cx| Poll::Ready(connection.as_mut().poll(cx).is_ready())).await;
        !over && self.sender.is_ready()
    }

    /// Asks, and gives itself back if it can be used once more.
    async fn ask(
        mut self,
        outgoing: Outgoing,
        max_body: usize,
        deadline: Instant,
        timings: &mut Timings,
    ) -> Result<(Response, Option<Self>), Unanswered> {
        let asked = asked_codings(&outgoing);
        let mut driver = Driver { connection: self.connection.as_mut(), over: false };
        let started = Instant::now();
        let answer = timeout_at(deadline, driver.run(self.sender.send_request(outgoing))).await;
        timings.add(Phase::Ttfb, started.elapsed());
        let answer = head(answer).map_err(|fault| Unanswered(fault.at(self.peer)))?;
        let reading = Reading { asked, max_body, deadline, peer: self.peer, tls: self.tls.clone() };
        let read = reading.finish(answer, &mut driver, timings).await;
        let response = read.map_err(|fault| Unanswered(fault.at(self.peer)))?;
        let whole = !driver.over && !response.truncated && response.body_error.is_none();
        self.idle_since = Instant::now();
        let again = whole && self.is_ready().await;
        Ok((response, again.then_some(self)))
    }
}

/// No head of an answer came.
struct Unanswered(Fault);

impl Unanswered {
    /// Whether the server may just have closed the idle connection.
    fn is_closed(&self) -> bool {
        matches!(self.0.reason, FailReason::Closed | FailReason::Reset)
    }
}

impl Net {
    /// One HTTP exchange over the kept connection if it leads there, else over a new one, which is kept
    /// in its stead. Follows nothing. The phases before the request are absent where nothing was dialed.
    ///
    /// # Errors
    /// No answer came.
    pub async fn exchange_on(
        &self,
        line: &mut Line,
        request: &Request,
        via: &Via,
    ) -> Result<Response, TransportError> {
        let target = Target::of(&request.url).map_err(|fault| fault.into_error(Timings::default()))?;
        let mut timings = Timings::default();
        let kept = line.0.take().filter(|kept| kept.idle_since.elapsed() < LONGEST_IDLE);
        if let Some(mut kept) = kept.filter(|kept| kept.leads_to(&target, via))
            && kept.is_ready().await
        {
            match self.ask_kept(kept, request, via, &target, deadline_in(request.timeout), &mut timings).await
            {
                Ok((response, again)) => {
                    line.0 = again;
                    return Ok(response);
                }
                Err(unanswered) if request.method.is_safe() && unanswered.is_closed() => {}
                Err(Unanswered(fault)) => return Err(fault.into_error(timings)),
            }
        }
        let permit = self.limits.acquire(&target.host).await;
        let deadline = deadline_in(request.timeout);
        let done = self.ask_anew(permit, request, via, &target, deadline, &mut timings).await;
        let (response, kept) = done.map_err(|fault| fault.into_error(timings))?;
        line.0 = kept;
        Ok(response)
    }

    async fn ask_kept(
        &self,
        kept: Kept,
        request: &Request,
        via: &Via,
        target: &Target<'_>,
        deadline: Instant,
        timings: &mut Timings,
    ) -> Result<(Response, Option<Kept>), Unanswered> {
        let outgoing = self.outgoing(request, via, target, Form::Origin, Afterwards::Keep);
        kept.ask(outgoing.map_err(Unanswered)?, request.max_body, deadline, timings).await
    }

    async fn ask_anew(
        &self,
        permit: Permit,
        request: &Request,
        via: &Via,
        target: &Target<'_>,
        deadline: Instant,
        timings: &mut Timings,
    ) -> Result<(Response, Option<Kept>), Fault> {
        let opened = self.open(target, via, deadline, timings).await?;
        let peer = opened.peer;
        if opened.form != Form::Origin || via.proxy.is_some() {
            let response = self.once(opened, request, via, target, deadline, timings).await?;
            return Ok((response, None));
        }
        let tls = opened.tls;
        let (sender, connection) = http1(opened.stream).await.map_err(|fault| fault.at(peer))?;
        let kept = Kept {
            sender,
            connection: Box::pin(connection),
            origin: target.url.origin(),
            via: via.clone(),
            peer,
            tls,
            idle_since: Instant::now(),
            _permit: permit,
        };
        let asked = self.ask_kept(kept, request, via, target, deadline, timings).await;
        asked.map_err(|Unanswered(fault)| fault)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpStream;

    use super::super::fakes::{get, head as read_head, net, serve, via};
    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    /// Answers requests of one connection, each with the same bytes, `times` times; then it closes.
    async fn answers(mut stream: TcpStream, times: usize, answer: &[u8]) {
        for _ in 0..times {
            if read_head(&mut stream).await.is_empty() || stream.write_all(answer).await.is_err() {
                return;
            }
        }
    }

    /// A server, and how many connections it got.
    async fn server(times: usize, answer: &'static [u8]) -> (SocketAddr, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        let address = serve(move |stream| {
            counter.fetch_add(1, Ordering::SeqCst);
            answers(stream, times, answer)
        })
        .await;
        (address, count)
    }

    async fn ask(net: &Net, line: &mut Line, via: &Via, address: SocketAddr) -> Response {
        net.exchange_on(line, &get(&format!("http://{address}/")), via).await.unwrap()
    }

    #[tokio::test]
    async fn one_connection_serves_one_request_after_the_other() {
        let (address, connections) = server(9, ANSWER).await;
        let (net, mut line, via) = (net(), Line::default(), via());
        let asked = get(&format!("http://{address}/"));
        let first = net.exchange_on(&mut line, &asked, &via).await.unwrap();
        let second = net.exchange_on(&mut line, &asked, &via).await.unwrap();
        assert_eq!(connections.load(Ordering::SeqCst), 1);
        assert!(first.timings.get(Phase::Connect).is_some());
        assert_eq!((second.timings.get(Phase::Connect), &second.body[..]), (None, &b"ok"[..]));
        line.hang_up();
        net.exchange_on(&mut line, &asked, &via).await.unwrap();
        assert_eq!(connections.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_connection_that_the_server_closed_is_no_outage() {
        let (address, connections) = server(1, ANSWER).await;
        let (net, mut line, via) = (net(), Line::default(), via());
        for _ in 0..5 {
            assert_eq!(ask(&net, &mut line, &via, address).await.status, 200);
        }
        assert_eq!(connections.load(Ordering::SeqCst), 5);
    }

    #[tokio::test]
    async fn what_is_not_to_be_used_again_is_not() {
        const CLOSED: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
        const OLD: &[u8] = b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok";
        for answer in [CLOSED, OLD] {
            let (address, connections) = server(9, answer).await;
            let (net, mut line, via) = (net(), Line::default(), via());
            ask(&net, &mut line, &via, address).await;
            assert!(line.0.is_none());
            ask(&net, &mut line, &via, address).await;
            assert_eq!(connections.load(Ordering::SeqCst), 2);
        }
        let (address, _) = server(9, ANSWER).await;
        let (net, mut line, via) = (net(), Line::default(), via());
        let cut = Request { max_body: 1, ..get(&format!("http://{address}/")) };
        assert!(net.exchange_on(&mut line, &cut, &via).await.unwrap().truncated);
        assert!(line.0.is_none());
    }

    #[tokio::test]
    async fn another_origin_is_dialed_anew() {
        let (one, _) = server(9, ANSWER).await;
        let (other, connections) = server(9, ANSWER).await;
        let (net, mut line, via) = (net(), Line::default(), via());
        ask(&net, &mut line, &via, one).await;
        ask(&net, &mut line, &via, other).await;
        assert_eq!(connections.load(Ordering::SeqCst), 1);
    }
}
