//! One request of a step: sent, judged, and what is kept of its answer.

use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, ORIGIN, REFERER};
use http::{HeaderMap, HeaderName};
use jiff::Timestamp;
use tokio::time::Instant;
use url::Url;

use super::Run;
use crate::judge::clip;
use crate::model::Secret;
use crate::net::{Request, Response};
use crate::probe::journey::blocked::blocked;
use crate::probe::journey::capture::{Answer, Captured, Page, capture};
use crate::probe::journey::cookies::CookieSeen;
use crate::probe::journey::facts::{BlockedAt, StepFacts, Trouble};
use crate::probe::journey::html::looks_like_login;
use crate::probe::journey::request::{Found, Rendered, render};
use crate::probe::journey::session::Session;
use crate::probe::journey::spec::Evidence;
use crate::probe::journey::step::Step;
use crate::probe::web::expect::Expect;
use crate::probe::web::facts::{Held, failure};
use crate::probe::web::walk::{End, Traveller, Trip, Walked, walk};
use crate::probe::web::{mask, matches};

/// The most header lines that evidence holds.
const MOST_HEADERS: usize = 32;
/// The most settings of cookies that are kept of a run.
const MOST_COOKIES: usize = 100;

impl Run<'_> {
    /// Sends the request of a step once and judges its answer.
    pub(super) async fn attempt(&mut self, step: &Step, seen: &mut StepFacts, ends: Instant) {
        if Instant::now() >= ends {
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
            End::Answer(response) => self.answered(step, &expect, &walked.url, &response, seen),
            End::Astray(response, problem) => {
                seen.status = response.map(|response| response.status);
                seen.trouble = Some(Trouble::Redirect(problem));
            }
            End::Failed(failure) => seen.trouble = Some(Trouble::Transport(failure)),
            End::Skipped(skipped) => self.facts.our_side = Some(skipped),
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
            secret_parameters: &[],
        };
        let request = Request {
            method: rendered.method,
            url: rendered.url,
            headers: rendered.headers,
            body: rendered.body,
            timeout,
            max_body: usize::try_from(step.max_body.0).unwrap_or(usize::MAX),
        };
        let mut browser = Browser {
            session: &mut self.session,
            from: self.page.as_ref(),
            own: request.headers.keys().cloned().collect(),
            csrf: self.spec.csrf.as_ref().map(|csrf| csrf.header.clone()),
            hops: Vec::new(),
            cookies: Vec::new(),
            at: self.ctx.at,
            began: self.began,
        };
        let walked = walk(request, self.via.clone(), &trip, &mut browser).await;
        let room = MOST_COOKIES.saturating_sub(self.facts.cookies.len());
        let cookies = browser.cookies.into_iter().take(room);
        self.facts.cookies.extend(cookies.map(|cookie| CookieSeen { signing_in, ..cookie }));
        walked
    }

    /// Whether an answer to this step may set the cookies of the session: up to the last step that
    /// shows a credential.
    fn signing_in(&self, step: &Step) -> bool {
        let here = self.spec.steps.iter().position(|known| std::ptr::eq(known, step));
        here.zip(self.spec.signing_in()).is_some_and(|(here, (_, last))| here <= last)
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
        let cookies = self.cookies(url);
        let cookies: Vec<(&str, &str)> =
            cookies.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let page = page(url, response, &cookies);
        for (name, wanted) in &step.capture {
            match capture(&wanted.source, &page) {
                Ok(captured) => {
                    self.keep(name, captured, wanted.keep);
                    if !seen.captured.iter().any(|known| **known == **name) {
                        seen.captured.push(name.to_string());
                    }
                }
                Err(missing) => return Some(Trouble::Capture { name: name.to_string(), why: missing.why }),
            }
        }
        None
    }

    pub(super) fn cookies(&self, url: &Url) -> Vec<(String, String)> {
        let names = self.session.cookie_names(url).into_iter();
        names.filter_map(|name| self.session.cookie(url, &name).map(|value| (name, value))).collect()
    }

    fn keep(&mut self, name: &str, captured: Captured, keep: bool) {
        let value = match captured {
            Captured::Form(form) => {
                let fields = form.fields.iter().filter(|(_, value)| !is_word(value));
                self.secrets.extend(fields.map(|(field, value)| Secret::new(value.as_str(), field)));
                self.forms.insert(name.into(), form);
                return;
            }
            Captured::Link(url) => {
                let query = url.query_pairs();
                self.secrets.extend(query.map(|(_, value)| Secret::new(value, name)));
                self.links.insert(name.into(), url);
                return;
            }
            Captured::Value(value) => value,
        };
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if self.spec.bearer.as_deref() == Some(name) {
            self.session.set_bearer(Secret::new(text.as_str(), name));
        }
        self.vars.set(name, &value);
        if keep {
            self.kept.insert(name.to_owned(), value);
        } else {
            self.secrets.push(Secret::new(text, name));
        }
    }

    /// What helps whoever looks into a failed step.
    fn evidence(&mut self, step: &Step, response: &Response, seen: &mut StepFacts) {
        let credentials = step.shows_credential() || self.session.bearer().is_some();
        let found = blocked(response.status, &response.headers, &response.body, credentials, self.now());
        if let Some(found) = found {
            self.facts.blocked = Some(BlockedAt::at(&seen.name, found));
        }
        seen.headers.clear();
        for (name, value) in response.headers.iter().take(MOST_HEADERS) {
            let shown = mask::header(name, &String::from_utf8_lossy(value.as_bytes()));
            seen.headers.entry(name.as_str().to_owned()).or_default().push(shown);
        }
        seen.asks_for_password = is_page(&response.headers) && looks_like_login(&response.body);
        let before_sign_in = self.spec.signing_in().is_some_and(|(first, _)| self.facts.steps.len() < first);
        let told = before_sign_in || self.spec.evidence == Evidence::Body;
        // What was not read is marked, so that the beginning of a secret at the end is known as one.
        let cut = if response.truncated || response.body_error.is_some() { "…" } else { "" };
        let text = || format!("{}{cut}", String::from_utf8_lossy(&response.body).trim());
        seen.excerpt = told.then(|| clip(&text()));
    }
}

/// Whether a form's field holds a word such as `login`, which tells nothing, and without which no
/// address could be read.
fn is_word(value: &str) -> bool {
    /// Tokens are longer, or have digits.
    const LONGEST: usize = 11;
    let small = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'_' | b' ');
    let mut bytes = value.bytes();
    value.len() <= LONGEST && bytes.next().is_none_or(|first| first.is_ascii_alphabetic()) && bytes.all(small)
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

fn is_page(headers: &HeaderMap) -> bool {
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
    }
}
