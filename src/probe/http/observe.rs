//! Looks: the request, its redirects, and each address where that is asked for.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::header;
use tokio::time::Instant;
use url::Url;

use super::extract;
use super::facts::{Facts, Failure, FailureKind, Hop, RedirectProblem, Skipped};
use super::mask;
use super::oauth;
use super::redirect::{Way, is_redirect};
use super::request::{self, Prepared};
use super::spec::{Addresses, Auth, Spec};
use crate::judge::clip;
use crate::model::{Cause, Masker, Timings};
use crate::net::{
    ConnectTo, FailReason, Family, HttpVersion, Origin, Request, Response, TlsOptions, TransportError, Via,
    waited,
};
use crate::probe::{Ctx, Observed, Unmeasured};

/// The most addresses that are looked at in one run.
const MOST_ADDRESSES: usize = 16;

/// [`super::Http`]'s look.
///
/// # Errors
/// Our side failed.
pub async fn observe(spec: &Spec, ctx: &Ctx<'_>) -> Result<Observed<Facts>, Unmeasured> {
    let config = |why: String| Unmeasured { cause: Cause::Config, why };
    let ends = Instant::now() + ctx.scope.deadline;
    let target = request::target(spec, ctx.scope).map_err(|(_, why)| config(why))?;
    let subject = subject(&target);
    let token = match spec.auth.as_deref() {
        Some(Auth::Oauth2(client)) => {
            match oauth::token(client, token_via(spec, ctx), ctx).await.map_err(unmeasured)? {
                Ok(token) => Some(token),
                Err(why) => {
                    let facts = Facts { subject, auth: Some(clip(&why)), ..Facts::default() };
                    return Ok(observed(facts));
                }
            }
        }
        _ => None,
    };
    let prepared = request::prepare(spec, ctx.scope, token.as_ref()).map_err(config)?;
    let look = Look { spec, ctx, prepared: &prepared, ends };
    let mut facts = if spec.addresses == Addresses::All && spec.proxy.is_none() {
        look.every_address(subject).await.map_err(unmeasured)?
    } else {
        look.once(request::via(spec, ctx.scope), subject).await.map_err(unmeasured)?
    };
    if let Some(token) = &token {
        // The config's secrets are masked by whoever runs the check; only this run knows the token.
        facts.mask(&Masker::new([token]));
    }
    Ok(observed(facts))
}

/// Host and, where it is not the scheme's, port: what findings are about.
fn subject(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn unmeasured(skipped: Skipped) -> Unmeasured {
    Unmeasured { cause: skipped.cause, why: skipped.why }
}

fn observed(facts: Facts) -> Observed<Facts> {
    let silent = |look: &Facts| {
        look.failure.is_some() && look.status.is_none() && look.redirects.is_empty() && look.auth.is_none()
    };
    let transport = facts.looks().iter().filter(|look| look.unmeasured.is_none()).all(silent);
    Observed { status: facts.status, timings: facts.phases, steps: Vec::new(), transport, facts }
}

/// Whether a transport error is our own side's fault, and how.
pub fn our_side(error: &TransportError) -> Option<Skipped> {
    let cause = match error.reason {
        FailReason::OwnResolver => Cause::LocalDns,
        FailReason::NoRoute => Cause::LocalNetwork,
        FailReason::Exhausted => Cause::Overload,
        FailReason::Guarded(_) => Cause::Config,
        _ => return None,
    };
    let why = match error.reason {
        FailReason::Guarded(address) => format!(
            "the address guard refuses {address}; if the portal's address is private, set private: true for the portal"
        ),
        _ => clip(&error.to_string()),
    };
    Some(Skipped { cause, why, no_route: error.reason == FailReason::NoRoute })
}

/// The target's fault, as a fact.
pub fn failure(error: &TransportError) -> Failure {
    let (kind, detail) = match &error.reason {
        FailReason::Unresolvable => (FailureKind::Unresolvable, error.detail.clone()),
        FailReason::Refused => (FailureKind::Refused, error.detail.clone()),
        FailReason::Reset => (FailureKind::Reset, error.detail.clone()),
        FailReason::Timeout => (FailureKind::Timeout, error.detail.clone()),
        FailReason::Unreachable => (FailureKind::Unreachable, error.detail.clone()),
        FailReason::TlsAlert(alert) => (FailureKind::Tls, alert.clone()),
        FailReason::Certificate(why) => (FailureKind::Certificate, why.clone()),
        FailReason::Protocol(why) => (FailureKind::Protocol, why.clone()),
        FailReason::Closed
        | FailReason::Guarded(_)
        | FailReason::OwnResolver
        | FailReason::NoRoute
        | FailReason::Exhausted => (FailureKind::Closed, error.detail.clone()),
    };
    Failure { phase: error.phase, kind, detail: clip(&detail), address: error.address }
}

struct Look<'a> {
    spec: &'a Spec,
    ctx: &'a Ctx<'a>,
    prepared: &'a Prepared,
    /// When the run ends, whatever is still to follow.
    ends: Instant,
}

impl Look<'_> {
    async fn every_address(&self, subject: String) -> Result<Facts, Skipped> {
        let url = &self.prepared.url;
        let (host, port) = match &self.spec.connect_to {
            Some(to) => (to.host.clone(), to.port),
            None => (
                url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned(),
                url.port_or_known_default().unwrap_or(443),
            ),
        };
        let scope = self.ctx.scope;
        let resolved = match self.ctx.net.resolve(&host, &scope.resolvers, scope.timeout).await {
            Ok(resolved) => resolved,
            Err(error) => return self.unresolved(subject, &error),
        };
        let mut addresses: Vec<IpAddr> = resolved.addresses;
        let left_out = addresses.split_off(addresses.len().min(MOST_ADDRESSES));
        let looks = addresses.iter().map(|address| self.address(SocketAddr::new(*address, port)));
        let rows: Vec<Facts> = futures_util::future::join_all(looks).await;
        summary(subject, rows, left_out)
    }

    fn unresolved(&self, subject: String, error: &TransportError) -> Result<Facts, Skipped> {
        match our_side(error) {
            Some(skipped) => Err(skipped),
            None => Ok(Facts {
                subject,
                phases: error.timings,
                failure: Some(failure(error)),
                ..Facts::default()
            }),
        }
    }

    async fn address(&self, address: SocketAddr) -> Facts {
        let subject = address.ip().to_string();
        let mut via = request::via(self.spec, self.ctx.scope);
        via.connect_to = Some(ConnectTo::Address(address));
        match self.once(via, subject.clone()).await {
            Ok(facts) => facts,
            Err(skipped) => Facts { subject, unmeasured: Some(skipped), ..Facts::default() },
        }
    }

    /// One request and its redirects.
    async fn once(&self, mut via: Via, subject: String) -> Result<Facts, Skipped> {
        let Prepared { method, url, headers, body, secret_body, .. } = self.prepared;
        let names = request::secret_parameters(self.spec);
        let expect = &self.spec.expect;
        let mut facts = Facts { subject, ..Facts::default() };
        let mut way = Way::new(method.clone(), url.clone(), expect.redirects, *secret_body);
        let mut asked = Request {
            method: method.clone(),
            url: url.clone(),
            headers: headers.clone(),
            body: body.clone(),
            timeout: self.ctx.scope.timeout,
            max_body: usize::try_from(self.spec.max_body.0).unwrap_or(usize::MAX),
        };
        loop {
            facts.final_url = mask::url(&asked.url, &names);
            let left = (self.ends + waited()).saturating_duration_since(Instant::now());
            asked.timeout = self.ctx.scope.timeout.min(left.max(Duration::from_millis(1)));
            let response = match self.ctx.net.exchange(&asked, &via).await {
                Ok(response) => response,
                Err(error) => return self.failed(facts, &error),
            };
            sum(&mut facts.phases, &response.timings);
            if expect.status.contains(response.status) || !is_redirect(response.status) {
                if let Some(skipped) = response.body_error.as_ref().and_then(our_side) {
                    return Err(skipped);
                }
                self.answered(&mut facts, &response, &asked.url);
                return Ok(facts);
            }
            let locations: Vec<&[u8]> =
                response.headers.get_all(header::LOCATION).iter().map(|value| value.as_bytes()).collect();
            let step = match way.step(response.status, &locations) {
                Ok(step) => step,
                Err(problem) => {
                    extract::session(&mut facts, &response);
                    facts.redirect = Some(problem);
                    return Ok(facts);
                }
            };
            facts.redirects.push(Hop { status: response.status, to: mask::url(&step.url, &names) });
            if step.other_origin {
                self.leave_origin(&mut asked);
                redirected(&mut via, &asked.url, &step.url);
            }
            via.origin = Origin::Answer { private: self.ctx.scope.portal.private };
            if step.drop_body {
                drop_body(&mut asked);
            }
            asked.method = step.method;
            asked.url = step.url;
        }
    }

    fn answered(&self, facts: &mut Facts, response: &Response, url: &Url) {
        extract::session(facts, response);
        extract::response(facts, &self.spec.expect, response, url, self.ctx.everything);
        facts.failure = response.body_error.as_ref().map(failure);
    }

    fn failed(&self, mut facts: Facts, error: &TransportError) -> Result<Facts, Skipped> {
        sum(&mut facts.phases, &error.timings);
        if let (FailReason::Guarded(address), false) = (&error.reason, facts.redirects.is_empty()) {
            facts.redirect =
                Some(RedirectProblem::Guarded { to: facts.final_url.clone(), address: *address });
            return Ok(facts);
        }
        if let Some(skipped) = our_side(error) {
            return Err(skipped);
        }
        facts.failure = Some(failure(error));
        Ok(facts)
    }

    /// Credentials and secrets were meant for the first origin and stay there.
    fn leave_origin(&self, asked: &mut Request) {
        for name in &self.prepared.private_headers {
            asked.headers.remove(name);
        }
        asked.headers.remove(header::HOST);
    }
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
fn foreign_tls(tls: &Arc<TlsOptions>) -> Arc<TlsOptions> {
    if tls.server_name.is_none() && tls.client.is_none() {
        return tls.clone();
    }
    Arc::new(TlsOptions { ca_pem: tls.ca_pem.clone(), ..TlsOptions::default() })
}

/// How the token endpoint is reached: as the target is, proxy and resolvers included, without what
/// only fits the target.
fn token_via(spec: &Spec, ctx: &Ctx<'_>) -> Via {
    let via = request::via(spec, ctx.scope);
    Via {
        tls: foreign_tls(&via.tls),
        family: Family::Any,
        connect_to: None,
        version: HttpVersion::Auto,
        ..via
    }
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

/// The facts of a run over all addresses. Where no row could be measured, the run could not.
fn summary(subject: String, rows: Vec<Facts>, left_out: Vec<IpAddr>) -> Result<Facts, Skipped> {
    let Some(first) = rows.iter().find(|row| row.unmeasured.is_none()) else {
        return Err(rows.into_iter().find_map(|row| row.unmeasured).unwrap_or(Skipped {
            cause: Cause::LocalDns,
            why: "the resolver gave no address".to_owned(),
            no_route: false,
        }));
    };
    Ok(Facts {
        subject,
        status: first.status,
        version: first.version.clone(),
        final_url: first.final_url.clone(),
        redirects: first.redirects.clone(),
        phases: first.phases,
        peer: first.peer,
        tls: first.tls.clone(),
        left_out,
        rows,
        ..Facts::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Phase;

    fn error(reason: FailReason) -> TransportError {
        TransportError {
            phase: Phase::Connect,
            reason,
            address: None,
            detail: "words".into(),
            timings: Timings::default(),
        }
    }

    fn skipped(no_route: bool) -> Facts {
        let unmeasured = Some(Skipped { cause: Cause::LocalNetwork, why: "no route".into(), no_route });
        Facts { subject: "2001:db8::1".into(), unmeasured, ..Facts::default() }
    }

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

    #[test]
    fn our_own_faults_are_never_the_targets() {
        for (reason, cause) in [
            (FailReason::OwnResolver, Cause::LocalDns),
            (FailReason::NoRoute, Cause::LocalNetwork),
            (FailReason::Exhausted, Cause::Overload),
            (FailReason::Guarded([10, 0, 0, 1].into()), Cause::Config),
        ] {
            assert_eq!(our_side(&error(reason)).map(|skipped| skipped.cause), Some(cause));
        }
        for reason in [FailReason::Unresolvable, FailReason::Refused, FailReason::Timeout, FailReason::Closed]
        {
            assert_eq!(our_side(&error(reason)), None);
        }
    }

    #[test]
    fn a_family_without_a_route_hides_nothing_and_no_row_at_all_is_unknown() {
        let good = Facts { subject: "192.0.2.1".into(), status: Some(200), ..Facts::default() };
        let facts = summary("h".into(), vec![skipped(true), good], vec![]).unwrap();
        assert_eq!((facts.status, facts.rows.len()), (Some(200), 2));
        assert!(!observed(facts).transport);
        assert!(summary("h".into(), vec![skipped(true)], vec![]).is_err());
    }

    #[test]
    fn only_a_run_without_any_answer_is_a_transport_failure() {
        let failed = Facts { failure: Some(failure(&error(FailReason::Refused))), ..Facts::default() };
        assert!(observed(failed.clone()).transport);
        assert!(!observed(Facts { status: Some(200), ..failed.clone() }).transport);
        let hop = Hop { status: 302, to: "https://b.example/".into() };
        assert!(!observed(Facts { redirects: vec![hop], ..failed }).transport);
        assert!(!observed(Facts { auth: Some("no token".into()), ..Facts::default() }).transport);
    }
}
