//! What a host's pages say of its TLS: a few requests as any browser makes them, their certificates
//! verified. Redirects are followed on plain HTTP alone, until one leads to `https`.

mod digest;
#[cfg(test)]
mod wire_tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue, Method, header};
use tokio::time::Instant;
use url::Url;

use super::{AT_ONCE, Look, out_of_time, some_at_once};
use crate::judge::clip;
use crate::net::{
    ConnectTo, FailReason, Family, HttpVersion, Origin, Request, Response, TlsOptions, TransportError, Via,
    waited,
};
use crate::probe::Ctx;
use crate::probe::certificate::facts::{Facts, HostFacts};
use crate::probe::certificate::pages::{Came, Page, Pages, Plain, PlainEnd, PlainHop, Secure};
use crate::probe::web::expect::Redirects;
use crate::probe::web::facts::{RedirectProblem, Skipped, failure, our_side};
use crate::probe::web::mask;
use crate::probe::web::redirect::{Way, is_redirect};

/// So many requests are made to one host in a run.
const REQUESTS: u8 = 4;
/// So many bytes of a body are looked at.
const MOST_BODY: usize = 256 * 1024;
/// What browsers ask for, in short.
const ACCEPT: &str = "text/html, */*;q=0.8";
/// So many bytes of a header are kept.
const MOST_HEADER: usize = 1024;

/// Whose pages.
pub(super) struct Site<'a> {
    /// The host, a name or an address without brackets.
    pub(super) host: &'a str,
    /// The name asked for and verified, where it is not the host's; it stands in URLs too.
    pub(super) server_name: Option<&'a str>,
    /// Where HTTPS is; the first of each family is asked, and the very first for plain HTTP.
    pub(super) addresses: &'a [SocketAddr],
    /// The port of plain HTTP; `None` does not ask, as where a fixed place to
    /// connect to stands for HTTPS alone.
    pub(super) plain_port: Option<u16>,
}

/// Looks at the pages of every host that has HTTPS on its usual port.
pub(super) async fn pages(look: &Look<'_>, facts: &mut Facts) {
    let looks = facts.hosts.iter().map(|host| of_host(look, host).boxed()).collect();
    let seen = some_at_once(looks, AT_ONCE).await;
    for (host, pages) in facts.hosts.iter_mut().zip(seen) {
        host.web = pages;
    }
}

async fn of_host(look: &Look<'_>, host: &HostFacts) -> Option<Pages> {
    if host.port != 443 || host.starttls.is_some() || host.endpoints.is_empty() {
        return None;
    }
    // Those first that are known to answer.
    let mut endpoints: Vec<_> = host.endpoints.iter().collect();
    endpoints.sort_by_key(|endpoint| endpoint.views.iter().all(|view| view.shown.is_none()));
    let addresses: Vec<SocketAddr> = endpoints.iter().map(|endpoint| endpoint.address).collect();
    let site = Site {
        host: &host.host,
        server_name: host.server_name.as_deref(),
        addresses: &addresses,
        plain_port: look.spec.connect_to.is_none().then_some(80),
    };
    Some(self::look(&site, look.ctx, look.ends).await)
}

/// Looks at the pages of a host with HTTPS on its usual port.
pub(super) async fn look(site: &Site<'_>, ctx: &Ctx<'_>, ends: Instant) -> Pages {
    let name = site.server_name.unwrap_or(site.host).to_owned();
    let mut pages = Pages { private: ctx.scope.portal.private, name, ..Pages::default() };
    let (Some(plain), Some(secure)) = (url("http", &pages.name), url("https", &pages.name)) else {
        return pages;
    };
    let families = [SocketAddr::is_ipv4, SocketAddr::is_ipv6];
    let asked: Vec<SocketAddr> = families
        .iter()
        .filter_map(|family| site.addresses.iter().find(|address| family(address)))
        .copied()
        .collect();
    let mut visit = Visit { ctx, ends, made: BTreeMap::new(), tls: tls(site, ctx) };
    if let (Some(first), Some(port)) = (site.addresses.first(), site.plain_port) {
        let address = SocketAddr::new(first.ip(), port);
        let reserved = u8::try_from(asked.len()).unwrap_or(REQUESTS);
        pages.plain = Some(visit.plain(plain, address, reserved).await);
    }
    let mut onward = None;
    for address in asked {
        let (seen, to) = visit.secure(&secure, address).await;
        onward = onward.or_else(|| leads_on(&seen, to));
        pages.secure.push(seen);
    }
    if let Some((address, to)) = onward
        && visit.left(&to) > 0
    {
        pages.landing = Some(visit.secure(&to, address).await.0);
    }
    pages
}

/// Where to look for HSTS that a redirect within the host lacks.
fn leads_on(seen: &Secure, to: Option<Url>) -> Option<(SocketAddr, Url)> {
    let Came::Page(page) = &seen.came else { return None };
    let to = to.filter(|to| page.same_host && page.hsts.is_none() && to.port().is_none())?;
    Some((seen.address, to))
}

fn url(scheme: &str, name: &str) -> Option<Url> {
    let bare = name.trim_matches(['[', ']']);
    let host = if bare.parse::<Ipv6Addr>().is_ok() { format!("[{bare}]") } else { name.to_owned() };
    Url::parse(&format!("{scheme}://{host}/")).ok()
}

/// The check's TLS settings; the name verified is the one in the URL.
fn tls(site: &Site<'_>, ctx: &Ctx<'_>) -> Arc<TlsOptions> {
    let own = &ctx.scope.tls;
    match (own.server_name.as_deref(), site.server_name) {
        (Some(other), Some(name)) if other != name => {
            Arc::new(TlsOptions { server_name: None, ..TlsOptions::clone(own) })
        }
        _ => own.clone(),
    }
}

struct Visit<'a> {
    ctx: &'a Ctx<'a>,
    /// When the run ends, time spent waiting for permits left out.
    ends: Instant,
    /// How many requests each host got.
    made: BTreeMap<String, u8>,
    tls: Arc<TlsOptions>,
}

/// No answer came: whose fault.
enum Missed {
    Target(TransportError),
    Ours(Skipped),
    /// The address guard's refusal: our settings' fault, unless a redirect led there.
    Guarded(IpAddr, Skipped),
}

impl Visit<'_> {
    /// The way from `http://NAME/`; `reserved` requests to NAME are left for what follows.
    async fn plain(&mut self, start: Url, address: SocketAddr, reserved: u8) -> Plain {
        let mut way = Way::new(Method::GET, start.clone(), Redirects::default(), false);
        let mut plain = Plain { address, hops: Vec::new(), hsts: None, end: PlainEnd::Unfinished };
        let mut at = start.clone();
        let mut via = self.via(Origin::Portal { private: self.ctx.scope.portal.private }, Some(address));
        loop {
            let reserved = if at.host() == start.host() { reserved } else { 0 };
            if self.left(&at) <= reserved {
                return plain;
            }
            let response = match self.ask(&at, &via).await {
                Ok(response) => response,
                Err(missed) => {
                    plain.end = ended(missed, (!plain.hops.is_empty()).then_some(&at));
                    return plain;
                }
            };
            if at.host() == start.host() && plain.hsts.is_none() {
                plain.hsts = hsts(&response.headers);
            }
            if !is_redirect(response.status) {
                plain.end = PlainEnd::Answered(response.status);
                return plain;
            }
            let step = match way.step(response.status, &locations(&response.headers)) {
                Ok(step) => step,
                Err(mut problem) => {
                    if let Some(to) = problem.target() {
                        *to = clip(to);
                    }
                    plain.end = PlainEnd::Astray(problem);
                    return plain;
                }
            };
            let hop = PlainHop {
                status: response.status,
                to: clip(&mask::url(&step.url, &[])),
                secure: step.url.scheme() == "https",
                same_host: step.url.host() == start.host(),
            };
            let (secure, same_host) = (hop.secure, hop.same_host);
            plain.hops.push(hop);
            if secure {
                plain.end = PlainEnd::Secure;
                return plain;
            }
            // Only NAME itself on the usual port is known to be at this address.
            let known = same_host && step.url.port().is_none();
            let fixed = known.then_some(address);
            via = self.via(Origin::Answer { private: self.ctx.scope.portal.private }, fixed);
            at = step.url;
        }
    }

    /// One request over `https`, and where its answer redirects to.
    async fn secure(&mut self, url: &Url, address: SocketAddr) -> (Secure, Option<Url>) {
        let via = self.via(Origin::Portal { private: self.ctx.scope.portal.private }, Some(address));
        match self.ask(url, &via).await {
            Ok(response) => {
                let (page, to) = page(url, &response);
                (Secure { address, came: Came::Page(page) }, to)
            }
            Err(Missed::Target(error)) => (Secure { address, came: Came::Failed(failure(&error)) }, None),
            Err(Missed::Ours(skipped) | Missed::Guarded(_, skipped)) => {
                (Secure { address, came: Came::Skipped(skipped) }, None)
            }
        }
    }

    fn via(&self, origin: Origin, address: Option<SocketAddr>) -> Via {
        Via {
            origin,
            resolvers: self.ctx.scope.resolvers.clone(),
            tls: self.tls.clone(),
            family: Family::Any,
            connect_to: address.map(ConnectTo::Address),
            proxy: None,
            version: HttpVersion::Auto,
        }
    }

    /// How many requests a URL's host may still get.
    fn left(&self, url: &Url) -> u8 {
        let made = self.made.get(url.host_str().unwrap_or_default()).copied().unwrap_or_default();
        REQUESTS.saturating_sub(made)
    }

    async fn ask(&mut self, url: &Url, via: &Via) -> Result<Response, Missed> {
        let left = (self.ends + waited()).saturating_duration_since(Instant::now());
        let patience = self.ctx.scope.timeout;
        if left.is_zero() {
            return Err(Missed::Ours(out_of_time()));
        }
        *self.made.entry(url.host_str().unwrap_or_default().to_owned()).or_default() += 1;
        let request = Request {
            method: Method::GET,
            url: url.clone(),
            headers: HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(ACCEPT))]),
            body: bytes::Bytes::new(),
            timeout: patience.min(left),
            max_body: MOST_BODY,
        };
        let answer = self.ctx.net.exchange(&request, via).await;
        answer.map_err(|error| missed(error, left < patience))
    }
}

/// `cut`: the run would have ended before the request's own time was up.
fn missed(error: TransportError, cut: bool) -> Missed {
    if cut && error.reason == FailReason::Timeout {
        return Missed::Ours(out_of_time());
    }
    match (our_side(&error), &error.reason) {
        (Some(skipped), FailReason::Guarded(address)) => Missed::Guarded(*address, skipped),
        (Some(skipped), _) => Missed::Ours(skipped),
        (None, _) => Missed::Target(error),
    }
}

/// How a way over plain HTTP ends without an answer. `redirected_to` is where a redirect led, if one
/// did: then the guard's refusal is the portal's fault.
fn ended(missed: Missed, redirected_to: Option<&Url>) -> PlainEnd {
    match (missed, redirected_to) {
        (Missed::Target(error), _) => PlainEnd::Failed(failure(&error)),
        (Missed::Guarded(address, _), Some(to)) => {
            PlainEnd::Astray(RedirectProblem::Guarded { to: clip(&mask::url(to, &[])), address })
        }
        (Missed::Ours(skipped) | Missed::Guarded(_, skipped), _) => PlainEnd::Skipped(skipped),
    }
}

/// What is kept of an answer, and where it redirects to.
fn page(url: &Url, response: &Response) -> (Page, Option<Url>) {
    let to = redirect(url, response);
    let text = |name| response.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let content_type = text(header::CONTENT_TYPE)
        .map(|value| clip(&value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()));
    let page = Page {
        status: response.status,
        redirect: to.as_ref().map(steady),
        same_host: to.as_ref().is_some_and(|to| to.scheme() == "https" && to.host() == url.host()),
        hsts: hsts(&response.headers),
        content_type: content_type.filter(|kind| !kind.is_empty()),
        title: digest::title(&response.body),
        size: response.body.len(),
        sha256: digest::steady(&response.body),
        cut: response.body_error.is_some(),
    };
    (page, to)
}

fn redirect(url: &Url, response: &Response) -> Option<Url> {
    if !is_redirect(response.status) {
        return None;
    }
    let mut way = Way::new(Method::GET, url.clone(), Redirects::default(), false);
    way.step(response.status, &locations(&response.headers)).ok().map(|step| step.url)
}

fn locations(headers: &HeaderMap) -> Vec<&[u8]> {
    headers.get_all(header::LOCATION).iter().map(HeaderValue::as_bytes).collect()
}

/// An address without its query and parameters of its path: sign-in pages are redirected to with a
/// session or a nonce in them.
fn steady(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    let path = url.path().split(';').next().unwrap_or_default().to_owned();
    url.set_path(&path);
    clip(url.as_str())
}

/// The first header, which alone counts (RFC 6797 section 8.1). One too long to be kept ends where a
/// directive does, so that it is not made invalid.
fn hsts(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::STRICT_TRANSPORT_SECURITY)?;
    let text = String::from_utf8_lossy(value.as_bytes());
    if text.len() <= MOST_HEADER {
        return Some(text.into_owned());
    }
    let kept = text.get(..text.floor_char_boundary(MOST_HEADER)).unwrap_or_default();
    Some(kept.rsplit_once(';').map_or(kept, |(whole, _)| whole).to_owned())
}
