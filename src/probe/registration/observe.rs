//! Looks: at the bootstrap file where it is due, at the registry's answer, at the registrar's.

use bytes::Bytes;
use http::header::{ACCEPT, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method};
use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use url::Url;

use super::facts::{Bootstrap, Facts, Look, Registration, Said, Silence};
use super::memory::{BOOTSTRAP_LASTS, Bootstrapped, Memory, origin};
use super::spec::Spec;
use super::{domain, servers};
use crate::formats::rdap::{self, Answer};
use crate::judge::{StatusSet, clip};
use crate::model::{Cause, Timings};
use crate::net::{Family, HttpVersion, Origin, Request, Response, Via};
use crate::probe::web::expect::Redirects;
use crate::probe::web::facts::{Failure, FailureKind, RedirectProblem, failure};
use crate::probe::web::walk::{End, Trip, Walked, foreign_tls, walk};
use crate::probe::web::{mask, words};
use crate::probe::{Ctx, Observed};

/// The most bytes of an answer.
const MOST_BYTES: usize = 1024 * 1024;
/// The most redirects of one question.
const MOST_REDIRECTS: u8 = 3;
/// The longest that a server is left alone because it asks for it.
const LONGEST_HOLD: SignedDuration = SignedDuration::from_hours(7 * 24);

/// [`super::RegistrationKind`]'s look. What fails is a fact, so that what was learned before is kept.
pub async fn observe(spec: &Spec, ctx: &Ctx<'_>, memory: &Memory) -> Observed<Facts> {
    let memory = memory.of(&spec.domain.ascii);
    let mut run = Run {
        spec,
        ctx,
        memory: &memory,
        ends: Instant::now() + ctx.scope.deadline,
        facts: Facts { domain: spec.domain.ascii.to_string(), ..Facts::default() },
        timings: Timings::default(),
    };
    run.look().await;
    let Run { facts, timings, .. } = run;
    let registry = facts.registry.as_ref();
    let transport = registry.is_some_and(|look| matches!(&look.said, Said::Nothing(none) if none.transport));
    Observed { status: registry.and_then(|look| look.status), timings, steps: Vec::new(), transport, facts }
}

struct Run<'a> {
    spec: &'a Spec,
    ctx: &'a Ctx<'a>,
    memory: &'a Memory,
    /// When the run ends, whatever is still to follow.
    ends: Instant,
    facts: Facts,
    /// Of the question to the registry.
    timings: Timings,
}

impl Run<'_> {
    async fn look(&mut self) {
        let private = self.ctx.scope.portal.private;
        let bootstrapped = self.bootstrapped().await;
        let Some(base) = servers::of(self.spec, bootstrapped.as_ref()) else { return };
        let url = servers::lookup(&base, &self.spec.domain.ascii);
        let (look, related) = self.ask_about_domain(&url, Origin::Portal { private }).await;
        self.facts.registry = Some(look);
        if let Some(related) = related.filter(|related| *related != url) {
            let kept = self.timings;
            let (look, _) = self.ask_about_domain(&related, Origin::Answer { private }).await;
            self.timings = kept;
            self.facts.registrar = Some(look);
        }
    }

    /// What the bootstrap file says, fetched if it is due.
    async fn bootstrapped(&mut self) -> Option<Bootstrapped> {
        let file = &self.spec.bootstrap.as_ref().filter(|_| servers::configured(self.spec).is_none())?.0;
        let known = self.memory.bootstrapped(file).cloned();
        let fresh = |known: &Bootstrapped| {
            let age = self.ctx.at.duration_since(known.fetched);
            (SignedDuration::ZERO..BOOTSTRAP_LASTS).contains(&age)
        };
        if known.as_ref().is_some_and(fresh) {
            return known;
        }
        let (found, used) = match self.fetch(file).await {
            Ok(fetched) => (Bootstrap::Fetched(fetched.clone()), Some(fetched)),
            Err(silence) => (Bootstrap::Failed(silence), known),
        };
        self.facts.bootstrap = Some(found);
        used
    }

    async fn fetch(&mut self, file: &Url) -> Result<Bootstrapped, Silence> {
        let private = self.ctx.scope.portal.private;
        let accept = HeaderValue::from_static("application/json");
        let walked = self.ask(file, Origin::Portal { private }, accept).await?;
        let response = answered(walked.end)?;
        whole(&response)?;
        if response.status != 200 {
            return Err(self.refused(file, &response));
        }
        let read = rdap::Bootstrap::parse(&response.body).map_err(|why| unusable(why.to_string()))?;
        Ok(Bootstrapped {
            file: file.to_string(),
            fetched: self.ctx.at,
            publication: read.publication,
            server: read.server(&self.spec.domain.ascii),
        })
    }

    /// Asks a server about the domain; also gives where the registrar's own answer is.
    async fn ask_about_domain(&mut self, url: &Url, from: Origin) -> (Look, Option<Url>) {
        let mut look = Look {
            url: mask::url(url, &[]),
            status: None,
            redirects: Vec::new(),
            said: Said::NotFound(String::new()),
        };
        // Some servers know no other media type than that of JSON.
        let accept = HeaderValue::from_static("application/rdap+json, application/json;q=0.9");
        let end = match self.ask(url, from, accept).await {
            Ok(walked) => {
                look.redirects = walked.hops;
                self.timings = walked.timings;
                answered(walked.end)
            }
            Err(silence) => Err(silence),
        };
        let said = end.and_then(|response| {
            look.status = Some(response.status);
            self.said(url, &response)
        });
        let (said, related) = said.unwrap_or_else(|silence| (Said::Nothing(silence), None));
        look.said = said;
        (look, related)
    }

    /// One question and its redirects, unless the server wants to be left alone.
    async fn ask(&self, url: &Url, from: Origin, accept: HeaderValue) -> Result<Walked, Silence> {
        if let Some(until) = self.memory.held_until(url, self.ctx.at) {
            let why = format!("the server asked not to be asked before {until}");
            return Err(Silence { cause: Cause::Blocked, why, transport: false });
        }
        let scope = self.ctx.scope;
        // The check's TLS settings were written for servers of the config.
        let own = matches!(from, Origin::Portal { .. });
        let via = Via {
            origin: from,
            resolvers: scope.resolvers.clone(),
            tls: if own { scope.tls.clone() } else { foreign_tls(&scope.tls) },
            family: Family::Any,
            connect_to: None,
            proxy: None,
            version: HttpVersion::Auto,
        };
        let trip = Trip {
            net: self.ctx.net,
            ends: self.ends,
            timeout: scope.timeout,
            private: scope.portal.private,
            wanted: &StatusSet::default(),
            rules: Redirects { max: MOST_REDIRECTS, https_only: url.scheme() == "https", same_site: false },
            private_headers: &[],
            secret_body: false,
            secret_parameters: &[],
        };
        let asked = Request {
            method: Method::GET,
            url: url.clone(),
            headers: HeaderMap::from_iter([(ACCEPT, accept)]),
            body: Bytes::new(),
            timeout: scope.timeout,
            max_body: MOST_BYTES,
        };
        Ok(walk(asked, via, &trip, &mut (), None).await)
    }

    /// What an answer says of the domain.
    fn said(&mut self, url: &Url, response: &Response) -> Result<(Said, Option<Url>), Silence> {
        match response.status {
            200 => {
                whole(response)?;
                match rdap::parse(&response.body).map_err(|why| unusable(format!("the answer is {why}")))? {
                    Answer::Domain(found) => {
                        self.is_asked_for(&found)?;
                        let related = found.related().and_then(|link| url.join(link).ok());
                        let related = related.filter(|link| matches!(link.scheme(), "http" | "https"));
                        Ok((Said::Registration(Box::new(Registration::of(&found))), related))
                    }
                    Answer::Error(error) if error.code == Some(404) => {
                        Ok((Said::NotFound(error.words), None))
                    }
                    Answer::Error(error) => Err(unusable(format!("the answer is an error: {}", error.words))),
                }
            }
            404 => {
                whole(response)?;
                not_found(response).map(|words| (Said::NotFound(words), None))
            }
            _ => Err(self.refused(url, response)),
        }
    }

    /// An answer about another domain is none.
    fn is_asked_for(&self, found: &rdap::Domain) -> Result<(), Silence> {
        let Some(name) = found.ldh_name.as_ref().or(found.unicode_name.as_ref()) else { return Ok(()) };
        if domain::ascii(name).as_deref() == Some(&*self.spec.domain.ascii) {
            return Ok(());
        }
        Err(unusable(format!("the answer is about {name:?}")))
    }

    /// A status that says nothing of the domain; notes when the server may be asked again.
    fn refused(&mut self, url: &Url, response: &Response) -> Silence {
        let mut why = format!("the server answered {}", response.status);
        if let Some(until) = retry_after(&response.headers, self.ctx.at) {
            self.facts.held.insert(origin(url), until);
            why.push_str(&format!(" and asks not to be asked before {until}"));
        }
        if let Ok(Answer::Error(error)) = rdap::parse(&response.body)
            && !error.words.is_empty()
        {
            why.push_str(&format!(": {}", error.words));
        }
        unusable(why)
    }
}

/// Why a 404 means that the domain is not registered: it has no body or one of RDAP. A page that is
/// not found is something else.
fn not_found(response: &Response) -> Result<String, Silence> {
    if response.body.is_empty() {
        return Ok(String::new());
    }
    match rdap::parse(&response.body) {
        Ok(Answer::Error(error)) if error.code.is_none_or(|code| code == 404) => Ok(error.words),
        _ => Err(unusable(
            "the server answered 404, but not as an RDAP server does; check its base address".to_owned(),
        )),
    }
}

fn answered(end: End) -> Result<Response, Silence> {
    match end {
        End::Answer(response) => Ok(response),
        End::Failed(failure) => Err(silent(&failure)),
        End::Skipped(skipped) => Err(Silence { cause: skipped.cause, why: skipped.why, transport: true }),
        End::Astray(_, problem) => {
            let guarded = matches!(problem, RedirectProblem::Guarded { .. });
            let cause = if guarded { Cause::Config } else { Cause::Blocked };
            Err(Silence { cause, why: clip(&words::redirect(&problem, None)), transport: false })
        }
    }
}

fn whole(response: &Response) -> Result<(), Silence> {
    if let Some(error) = &response.body_error {
        return Err(silent(&failure(error)));
    }
    if response.truncated {
        return Err(unusable("the answer is longer than 1 MiB".to_owned()));
    }
    Ok(())
}

fn silent(failure: &Failure) -> Silence {
    let cause = match failure.kind {
        // Our resolver works: the server has another name by now.
        FailureKind::Unresolvable => Cause::Config,
        FailureKind::Tls | FailureKind::Certificate | FailureKind::Protocol | FailureKind::NoStarttls => {
            Cause::Blocked
        }
        FailureKind::Refused
        | FailureKind::Reset
        | FailureKind::Closed
        | FailureKind::Timeout
        | FailureKind::Unreachable => Cause::LocalNetwork,
    };
    Silence { cause, why: clip(&words::failure(failure, None)), transport: true }
}

/// The server answers, but not what was asked.
fn unusable(why: String) -> Silence {
    Silence { cause: Cause::Blocked, why: clip(&why), transport: false }
}

/// Seconds or a date (RFC 9110 section 10.2.3); within [`LONGEST_HOLD`].
fn retry_after(headers: &HeaderMap, at: Timestamp) -> Option<Timestamp> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u32>() {
        Ok(seconds) => SignedDuration::from_secs(seconds.into()),
        Err(_) => rfc2822::parse(text).ok()?.timestamp().duration_since(at),
    };
    let until = at.checked_add(wait.min(LONGEST_HOLD)).ok()?;
    (until > at).then_some(until)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(text: &'static str) -> Option<String> {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
        let at = "2026-11-25T10:00:00Z".parse().unwrap();
        retry_after(&headers, at).map(|until| until.to_string())
    }

    #[test]
    fn a_server_is_left_alone_for_as_long_as_it_asks_but_not_for_ever() {
        assert_eq!(until("120").as_deref(), Some("2026-11-25T10:02:00Z"));
        assert_eq!(until("Wed, 25 Nov 2026 12:30:00 GMT").as_deref(), Some("2026-11-25T12:30:00Z"));
        assert_eq!(until("4294967295").as_deref(), Some("2026-12-02T10:00:00Z"));
        for past_or_nonsense in
            ["0", "-5", "soon", "", "Wed, 25 Nov 2020 12:30:00 GMT", "99999999999999999999"]
        {
            assert_eq!(until(past_or_nonsense), None, "{past_or_nonsense}");
        }
    }
}
