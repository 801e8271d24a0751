//! The way from a request to the answer that is judged: redirects are followed by our own hand, each
//! hop seen, and what was meant for one origin stays there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, header};
use tokio::time::Instant;
use url::Url;

use super::expect::Redirects;
use super::facts::{Failure, Hop, RedirectProblem, Skipped, failure, our_side};
use super::mask;
use super::redirect::{Way, is_redirect};
use crate::judge::StatusSet;
use crate::model::Timings;
use crate::net::{
    ConnectTo, FailReason, Line, Net, Origin, Request, Response, TlsOptions, TransportError, Via, waited,
};

/// What holds for the whole way.
pub struct Trip<'a> {
    /// All sockets.
    pub net: &'a Net,
    /// When the run ends, whatever is still to follow.
    pub ends: Instant,
    /// Bounds one request.
    pub timeout: Duration,
    /// The portal's `private`.
    pub private: bool,
    /// The statuses that end the way, redirects among them.
    pub wanted: &'a StatusSet,
    /// Rules for redirects.
    pub rules: Redirects,
    /// The headers that must not reach another origin.
    pub private_headers: &'a [HeaderName],
    /// The body holds secrets and must not reach another origin.
    pub secret_body: bool,
    /// Query parameters that are masked wherever an address is shown.
    pub secret_parameters: &'a [&'a str],
}

/// Whoever keeps something from hop to hop, such as cookies.
pub trait Traveller {
    /// Dresses a request that is about to be sent.
    fn leaving(&mut self, _request: &mut Request) {}
    /// Sees an answer, redirects included.
    fn seen(&mut self, _url: &Url, _response: &Response) {}
}

/// Keeps nothing.
impl Traveller for () {}

/// What came of the way.
pub struct Walked {
    /// The redirects followed.
    pub hops: Vec<Hop>,
    /// Where it ended.
    pub url: Url,
    /// The same, as it may be shown.
    pub final_url: String,
    /// How long the phases took, all requests together.
    pub timings: Timings,
    /// How it ended.
    pub end: End,
}

/// How a way ended.
pub enum End {
    /// The answer that is judged.
    Answer(Response),
    /// A redirect that is not followed, and the answer that asked for it.
    Astray(Option<Response>, RedirectProblem),
    /// The target's fault: no answer came.
    Failed(Failure),
    /// Our side's fault.
    Skipped(Skipped),
}

/// Goes from a request to the answer that is judged; on the kept line, where there is one, else over a
/// new connection for each request.
pub async fn walk(
    mut asked: Request,
    mut via: Via,
    trip: &Trip<'_>,
    traveller: &mut (impl Traveller + Send),
    mut line: Option<&mut Line>,
) -> Walked {
    let mut way = Way::new(asked.method.clone(), asked.url.clone(), trip.rules, trip.secret_body);
    let mut hops = Vec::new();
    let mut timings = Timings::default();
    let end = loop {
        let left = (trip.ends + waited()).saturating_duration_since(Instant::now());
        asked.timeout = trip.timeout.min(left.max(Duration::from_millis(1)));
        traveller.leaving(&mut asked);
        let answer = match &mut line {
            Some(line) => trip.net.exchange_on(line, &asked, &via).await,
            None => trip.net.exchange(&asked, &via).await,
        };
        let response = match answer {
            Ok(response) => response,
            Err(error) => {
                sum(&mut timings, &error.timings);
                break failed(&error, (!hops.is_empty()).then(|| shown(&asked.url, trip)));
            }
        };
        sum(&mut timings, &response.timings);
        traveller.seen(&asked.url, &response);
        if trip.wanted.contains(response.status) || !is_redirect(response.status) {
            break match response.body_error.as_ref().and_then(our_side) {
                Some(skipped) => End::Skipped(skipped),
                None => End::Answer(response),
            };
        }
        let locations: Vec<&[u8]> =
            response.headers.get_all(header::LOCATION).iter().map(|value| value.as_bytes()).collect();
        let step = match way.step(response.status, &locations) {
            Ok(step) => step,
            Err(problem) => break End::Astray(Some(response), problem),
        };
        hops.push(Hop { status: response.status, to: shown(&step.url, trip) });
        if step.other_origin {
            leave_origin(&mut asked, trip.private_headers);
            redirected(&mut via, &asked.url, &step.url);
        }
        via.origin = Origin::Answer { private: trip.private };
        if step.drop_body {
            drop_body(&mut asked);
        }
        asked.method = step.method;
        asked.url = step.url;
    };
    Walked { hops, final_url: shown(&asked.url, trip), url: asked.url, timings, end }
}

fn shown(url: &Url, trip: &Trip<'_>) -> String {
    mask::url(url, trip.secret_parameters)
}

/// `redirected_to` is where a redirect led, if one did: then the guard's refusal is the portal's fault.
fn failed(error: &TransportError, redirected_to: Option<String>) -> End {
    if let (FailReason::Guarded(address), Some(to)) = (&error.reason, redirected_to) {
        return End::Astray(None, RedirectProblem::Guarded { to, address: *address });
    }
    our_side(error).map_or_else(|| End::Failed(failure(error)), End::Skipped)
}

/// Credentials and secrets were meant for the first origin and stay there.
fn leave_origin(asked: &mut Request, private_headers: &[HeaderName]) {
    for name in private_headers {
        asked.headers.remove(name);
    }
    asked.headers.remove(header::HOST);
}

/// How another origin is reached. On the same host (from http to https) an address that is looked
/// at by itself stays the one looked at, and the TLS settings stay; another host gets neither.
fn redirected(via: &mut Via, from: &Url, to: &Url) {
    let same_host = from.host() == to.host();
    via.connect_to = match (&via.connect_to, to.port_or_known_default()) {
        (Some(ConnectTo::Address(address)), Some(port)) if same_host => {
            Some(ConnectTo::Address(SocketAddr::new(address.ip(), port)))
        }
        _ => None,
    };
    if !same_host {
        via.tls = foreign_tls(&via.tls);
    }
}

/// TLS settings for a host they were not written for: the authorities, neither the name nor the
/// client certificate.
pub fn foreign_tls(tls: &Arc<TlsOptions>) -> Arc<TlsOptions> {
    if tls.server_name.is_none() && tls.client.is_none() {
        return tls.clone();
    }
    Arc::new(TlsOptions { ca_pem: tls.ca_pem.clone(), ..TlsOptions::default() })
}

fn drop_body(asked: &mut Request) {
    asked.body = bytes::Bytes::new();
    for name in [
        header::CONTENT_TYPE,
        header::CONTENT_LENGTH,
        header::CONTENT_ENCODING,
        header::CONTENT_LANGUAGE,
        header::CONTENT_LOCATION,
    ] {
        asked.headers.remove(name);
    }
}

fn sum(total: &mut Timings, part: &Timings) {
    for (phase, took) in part.iter() {
        total.add(phase, took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Family, HttpVersion};

    #[test]
    fn another_host_gets_neither_the_client_certificate_nor_the_fixed_address() {
        let url = |text: &str| Url::parse(text).unwrap();
        let client = Some((Arc::from("chain"), crate::model::Secret::new("key", "file:/k")));
        let start = Via {
            origin: Origin::Portal { private: false },
            resolvers: Arc::new([]),
            tls: Arc::new(TlsOptions { ca_pem: Some("ca".into()), server_name: Some("n".into()), client }),
            family: Family::Any,
            connect_to: Some(ConnectTo::Address(([192, 0, 2, 1], 80).into())),
            proxy: None,
            version: HttpVersion::Auto,
        };
        let mut via = start.clone();
        redirected(&mut via, &url("http://h.example/"), &url("https://h.example/"));
        assert_eq!(via.connect_to, Some(ConnectTo::Address(([192, 0, 2, 1], 443).into())));
        assert!(via.tls.client.is_some());
        let mut via = start;
        redirected(&mut via, &url("http://h.example/"), &url("https://other.example/"));
        assert_eq!(via.connect_to, None);
        assert!(via.tls.client.is_none() && via.tls.server_name.is_none() && via.tls.ca_pem.is_some());
    }
}
