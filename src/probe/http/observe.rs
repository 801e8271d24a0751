//! Looks: the request, its redirects, and each address where that is asked for.

use std::net::{IpAddr, SocketAddr};

use tokio::time::Instant;
use url::Url;

use super::extract;
use super::facts::Facts;
use super::request::{self, Prepared};
use super::spec::{Addresses, Auth, Spec};
use crate::judge::clip;
use crate::model::Cause;
use crate::net::{ConnectTo, Family, HttpVersion, Request, TransportError, Via};
use crate::probe::web::facts::{Skipped, failure, our_side};
use crate::probe::web::oauth;
use crate::probe::web::walk::{End, Trip, foreign_tls, walk};
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
            match oauth::token(client.into(), token_via(spec, ctx), ctx).await.map_err(unmeasured)? {
                Ok(token) => Some(token.access),
                Err(refusal) => {
                    let facts = Facts { subject, auth: Some(clip(&refusal.why)), ..Facts::default() };
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
        // Only this run knows the token.
        facts.mask(&ctx.masker.and([token]));
    }
    Ok(observed(facts))
}

/// What findings of a check are about; `None` where its target cannot be told.
pub fn subject_of(spec: &Spec, scope: &crate::probe::Scope) -> Option<String> {
    request::target(spec, scope).ok().map(|url| subject(&url))
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
    async fn once(&self, via: Via, subject: String) -> Result<Facts, Skipped> {
        let expect = &self.spec.expect;
        let trip = Trip {
            net: self.ctx.net,
            ends: self.ends,
            timeout: self.ctx.scope.timeout,
            private: self.ctx.scope.portal.private,
            wanted: &expect.status,
            rules: expect.redirects,
            private_headers: &self.prepared.private_headers,
            secret_body: self.prepared.secret_body,
            secret_parameters: &request::secret_parameters(self.spec),
        };
        let asked = Request {
            method: self.prepared.method.clone(),
            url: self.prepared.url.clone(),
            headers: self.prepared.headers.clone(),
            body: self.prepared.body.clone(),
            timeout: self.ctx.scope.timeout,
            max_body: usize::try_from(self.spec.max_body.0).unwrap_or(usize::MAX),
        };
        let walked = walk(asked, via, &trip, &mut (), None).await;
        let mut facts = Facts {
            subject,
            final_url: walked.final_url,
            redirects: walked.hops,
            phases: walked.timings,
            ..Facts::default()
        };
        match walked.end {
            End::Answer(response) => {
                extract::session(&mut facts, &response);
                extract::response(&mut facts, expect, &response, &walked.url, self.ctx.everything);
                facts.failure = response.body_error.as_ref().map(failure);
            }
            End::Astray(response, problem) => {
                if let Some(response) = response {
                    extract::session(&mut facts, &response);
                }
                facts.redirect = Some(problem);
            }
            End::Failed(failure) => facts.failure = Some(failure),
            End::Skipped(skipped) => return Err(skipped),
        }
        Ok(facts)
    }
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
    use crate::model::Timings;
    use crate::net::FailReason;
    use crate::probe::web::facts::Hop;

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
