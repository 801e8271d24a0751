//! One request of a step: sent, judged, and what is kept of its answer.

use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, ORIGIN, REFERER, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use serde_json::Value;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::Run;
use super::made::{made, of_address};
use crate::model::{Cause, Phase, Secret, Timings};
use crate::net::{Request, Response};
use crate::probe::journey::capture::{Answer, Captured, Page, Source, capture};
use crate::probe::journey::cookies::CookieSeen;
use crate::probe::journey::facts::{StepFacts, Trouble};
use crate::probe::journey::request::{Found, Rendered, render};
use crate::probe::journey::session::Session;
use crate::probe::journey::step::Step;
use crate::probe::web::expect::Expect;
use crate::probe::web::facts::{Failure, Held, Skipped, failure};
use crate::probe::web::matches;
use crate::probe::web::walk::{End, Traveller, Trip, Walked, walk};

/// Query parameters of single sign-on that are as good as a password for a while, beside those whose
/// names tell (OpenID Connect, SAML, CAS).
const SECRET_PARAMETERS: [&str; 6] =
    ["state", "nonce", "ticket", "SAMLResponse", "SAMLRequest", "RelayState"];
/// Bodies beyond this many bytes are parsed where nobody else waits for the thread.
const HEAVY: usize = 256 << 10;
/// The most settings of cookies that are kept of a run.
const MOST_COOKIES: usize = 100;

impl Run<'_> {
    /// Sends the request of a step once and judges its answer.
    pub(super) async fn attempt(&mut self, step: &Step, seen: &mut StepFacts, ends: Instant) {
        seen.begin();
        if self.is_over(ends) {
            seen.trouble = Some(Trouble::OutOfTime);
            return;
        }
        self.vars.set_time(self.now());
        let rendered = self.render(step);
        let expect = step.expect.fill(&self.vars).map_err(|error| error.to_string());
        let (rendered, expect) = match (rendered, expect) {
            (Ok(rendered), Ok(expect)) => (rendered, expect),
            (Err(why), _) | (_, Err(why)) => {
                seen.trouble = Some(Trouble::NotSent(why));
                return;
            }
        };
        let walked = self.send(step, rendered, &expect, ends).await;
        seen.requests += 1;
        for (phase, took) in walked.timings.iter() {
            seen.phases.add(phase, took);
        }
        seen.redirects = walked.hops;
        seen.final_url = walked.final_url;
        match walked.end {
            End::Answer(response) => aside(response.body.len(), || {
                self.answered(step, &expect, &walked.url, &response, seen);
            }),
            End::Astray(response, problem) => {
                seen.status = response.map(|response| response.status);
                seen.trouble = Some(Trouble::Redirect(problem));
            }
            End::Failed(failure) if self.is_over(ends) && is_sent(&failure) => {
                seen.trouble = Some(Trouble::OutOfTime);
            }
            End::Failed(failure) => seen.trouble = Some(Trouble::Transport(failure)),
            End::Skipped(skipped) => seen.trouble = Some(Trouble::OurSide(skipped)),
        }
    }

    pub(super) fn render(&self, step: &Step) -> Result<Rendered, String> {
        let found = Found {
            vars: &self.vars,
            form: &|name| self.forms.get(name).cloned(),
            link: &|name| self.links.get(name).cloned(),
            portal: self.portal,
        };
        render(step, &found)
    }

    /// Sends a request and follows its redirects, dressed as a browser would.
    pub(super) async fn send(
        &mut self,
        step: &Step,
        rendered: Rendered,
        expect: &Expect,
        ends: Instant,
    ) -> Walked {
        let signing_in = self.signing_in(step);
        let timeout = step.timeout.map_or(self.ctx.scope.timeout, |timeout| timeout.0);
        let trip = Trip {
            net: self.ctx.net,
            ends,
            timeout,
            private: self.ctx.scope.portal.private,
            wanted: &expect.status,
            rules: expect.redirects,
            private_headers: &rendered.private_headers,
            secret_body: !rendered.body.is_empty(),
            secret_parameters: &SECRET_PARAMETERS,
        };
        let request = Request {
            method: rendered.method,
            url: rendered.url,
            headers: rendered.headers,
            body: rendered.body,
            timeout,
            max_body: usize::try_from(step.max_body.0).unwrap_or(usize::MAX),
        };
        if self.hold.is_some_and(|end| Instant::now() >= end) {
            return too_late(self.portal);
        }
        let mut browser = Browser {
            session: &mut self.session,
            from: self.page.as_ref(),
            own: request.headers.keys().cloned().collect(),
            csrf: self.spec.csrf.as_ref().map(|csrf| csrf.header.clone()),
            hops: Vec::new(),
            cookies: Vec::new(),
            retry_after: None,
            at: self.ctx.at,
            began: self.began,
        };
        let walking = walk(request, self.via.clone(), &trip, &mut browser, Some(&mut self.line));
        let walked = match self.hold {
            None => walking.await,
            Some(end) => timeout_at(end, walking).await.unwrap_or_else(|_| too_late(self.portal)),
        };
        self.retry_after = browser.retry_after;
        let room = MOST_COOKIES.saturating_sub(self.facts.cookies.len());
        let cookies = browser.cookies.into_iter().take(room);
        self.facts.cookies.extend(cookies.map(|cookie| CookieSeen { signing_in, ..cookie }));
        walked
    }

    /// Whether an answer to this step may set the cookies of the session: up to the last step that
    /// shows a credential.
    fn signing_in(&self, step: &Step) -> bool {
        let here = self.spec.steps.iter().position(|known| std::ptr::eq(known, step));
        here.zip(self.signing_in).is_some_and(|(here, (_, last))| here <= last)
    }

    fn answered(
        &mut self,
        step: &Step,
        expect: &Expect,
        url: &Url,
        response: &Response,
        seen: &mut StepFacts,
    ) {
        seen.status = Some(response.status);
        seen.size = Some(response.body.len() as u64);
        seen.trouble = trouble(expect, url, response).or_else(|| self.captures(step, url, response, seen));
        if seen.trouble.is_some() {
            self.evidence(step, response, seen);
        } else if is_page(&response.headers) {
            self.page = Some(url.clone());
        }
    }

    /// Takes the captures of a step, as far as none is missing.
    fn captures(
        &mut self,
        step: &Step,
        url: &Url,
        response: &Response,
        seen: &mut StepFacts,
    ) -> Option<Trouble> {
        if step.capture.is_empty() {
            return None;
        }
        let wants_cookies = step.capture.values().any(|wanted| matches!(wanted.source, Source::Cookie(_)));
        let cookies = if wants_cookies { self.cookies(url) } else { Vec::new() };
        let cookies: Vec<(&str, &str)> =
            cookies.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let page = page(url, response, &cookies);
        for (name, wanted) in &step.capture {
            match capture(&wanted.source, &page) {
                Ok(captured) => {
                    self.keep(name, captured, wanted.keep, url);
                    if !seen.captured.iter().any(|known| **known == **name) {
                        seen.captured.push(name.to_string());
                    }
                }
                Err(missing) => return Some(Trouble::Capture { name: name.to_string(), why: missing.why }),
            }
        }
        None
    }

    fn cookies(&self, url: &Url) -> Vec<(String, String)> {
        let names = self.session.cookie_names(url).into_iter();
        names.filter_map(|name| self.session.cookie(url, &name).map(|value| (name, value))).collect()
    }

    /// Keeps what was captured on a page for later steps, and what of it is not to be shown.
    fn keep(&mut self, name: &str, captured: Captured, keep: bool, page: &Url) {
        let value = match captured {
            Captured::Form(form) => {
                for (field, value) in &form.fields {
                    let made = made(value, page).into_iter();
                    self.secrets.extend(made.map(|value| Secret::new(value, field)));
                }
                let action = of_address(&form.action).into_iter();
                self.secrets.extend(action.map(|value| Secret::new(value, name)));
                self.forms.insert(name.into(), form);
                return;
            }
            Captured::Link(url) => {
                self.secrets.extend(of_address(&url).into_iter().map(|value| Secret::new(value, name)));
                self.links.insert(name.into(), url);
                return;
            }
            Captured::Value(value) => value,
        };
        if self.spec.bearer.as_deref() == Some(name) {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            self.session.set_bearer(Secret::new(text, name));
        }
        self.vars.set(name, &value);
        if keep {
            self.kept.insert(name.to_owned(), value);
            self.unnoted = true;
        } else {
            scalars(&value, &mut |text| self.secrets.push(Secret::new(text, name)));
        }
    }
}

/// Every text and number in a value: templates can name each of them.
fn scalars(value: &Value, each: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => each(text),
        Value::Number(number) => each(&number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| scalars(item, each)),
        Value::Object(members) => members.values().for_each(|member| scalars(member, each)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// Whether the request was on its way when it failed.
fn is_sent(failure: &Failure) -> bool {
    matches!(failure.phase, Phase::Ttfb | Phase::Transfer)
}

/// A request that was not sent, or not to its end, because others may take over what this run holds.
fn too_late(portal: &Url) -> Walked {
    let why = "the run waited so long for a free connection that it could hold its write no longer";
    Walked {
        hops: Vec::new(),
        url: portal.clone(),
        final_url: String::new(),
        timings: Timings::default(),
        end: End::Skipped(Skipped { cause: Cause::Overload, why: why.to_owned(), no_route: false }),
    }
}

/// Does work on a body. On a large one it takes long, which other runs must not wait for.
pub(super) fn aside<R>(size: usize, work: impl FnOnce() -> R) -> R {
    let several = || Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
    if size > HEAVY && several() { block_in_place(work) } else { work() }
}

/// An answer to take captures from.
pub(super) fn page<'a>(url: &'a Url, response: &'a Response, cookies: &'a [(&'a str, &'a str)]) -> Page<'a> {
    Page::new(Answer {
        url,
        status: response.status,
        headers: &response.headers,
        body: &response.body,
        whole: !response.truncated && response.body_error.is_none(),
        cookies,
    })
}

/// Why the answer is not the expected one.
pub(super) fn trouble(expect: &Expect, url: &Url, response: &Response) -> Option<Trouble> {
    if !expect.status.contains(response.status) {
        return Some(Trouble::Status { expected: expect.status.to_string() });
    }
    let mut unmet = matches::matches(expect, response, url, None);
    unmet.retain(|found| match found.held {
        Held::Yes => false,
        Held::No => true,
        Held::Undecided => response.body_error.is_none(),
    });
    if !unmet.is_empty() {
        return Some(Trouble::Unmet(unmet));
    }
    response.body_error.as_ref().map(|error| Trouble::Transport(failure(error)))
}

pub(super) fn is_page(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.starts_with("text/html") || kind.starts_with("application/xhtml+xml")
}

/// Dresses each request of a step as a browser would, and takes in each answer's cookies.
struct Browser<'a> {
    session: &'a mut Session,
    from: Option<&'a Url>,
    /// The headers that the step wrote itself.
    own: Vec<HeaderName>,
    csrf: Option<HeaderName>,
    hops: Vec<Url>,
    cookies: Vec<CookieSeen>,
    /// What an answer on the way said of waiting: some portals redirect to the page that tells why.
    retry_after: Option<HeaderValue>,
    at: Timestamp,
    began: Instant,
}

impl Traveller for Browser<'_> {
    fn leaving(&mut self, request: &mut Request) {
        let dressed = [COOKIE, REFERER, ORIGIN, AUTHORIZATION];
        for name in dressed.iter().chain(&self.csrf).filter(|name| !self.own.contains(name)) {
            request.headers.remove(name);
        }
        self.session.dress_redirected(
            &request.method,
            &request.url,
            self.from,
            &self.hops,
            &mut request.headers,
        );
    }

    fn seen(&mut self, url: &Url, response: &Response) {
        let now = self.at.checked_add(self.began.elapsed()).unwrap_or(self.at);
        self.cookies.extend(self.session.seen(url, &response.headers, now));
        self.hops.push(url.clone());
        let wait = response.headers.get(RETRY_AFTER).cloned();
        self.retry_after = wait.or(self.retry_after.take());
    }
}
