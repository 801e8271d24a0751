//! What a browser remembers from one request to the next, and what it adds to each of them: cookies
//! (RFC 6265 and its revision, draft-ietf-httpbis-rfc6265bis), `Referer`, `Origin`, and what a
//! portal's own scripts add: a bearer token and the double submit of a CSRF cookie. Pure.
//!
//! `Sec-Fetch-*` is not sent: servers that look at it (such as Go's `CrossOriginProtection`) take a
//! request without it for one of an older browser and look at `Origin`.

pub mod jar;
pub mod referrer;

use std::cmp::Reverse;
use std::fmt;

use http::header::{AUTHORIZATION, COOKIE, ORIGIN, REFERER, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use url::Url;

use self::jar::{Held, Jar};
use self::referrer::Policy;
use super::cookies::CookieSeen;
use crate::formats::set_cookie::{SameSite, SetCookie};
use crate::judge::clip;
use crate::model::Secret;
use crate::probe::web::redirect::registrable_domain;

/// `Set-Cookie` lines of one answer that are read.
pub const MOST_LINES: usize = 100;
/// The `Cookie` header of one request, in bytes.
pub const LONGEST_COOKIE_HEADER: usize = 16 << 10;
/// Pages whose `Referrer-Policy` is remembered.
const MOST_POLICIES: usize = 64;
/// Values that a run remembers in order to mask them, and their bytes. Beyond it takes no cookies:
/// what it cannot mask it must not hold.
const MOST_VALUES: usize = 10_000;
const MOST_VALUE_BYTES: usize = 8 << 20;

/// Double submit: on methods that change something a header repeats the value of a cookie, as the
/// scripts of a portal do it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Csrf {
    /// The cookie's name, such as `XSRF-TOKEN`.
    pub cookie: String,
    /// The header's name, such as `X-XSRF-TOKEN`.
    #[serde(deserialize_with = "header_name")]
    #[schemars(with = "String")]
    pub header: HeaderName,
}

fn header_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HeaderName, D::Error> {
    let text = String::deserialize(deserializer)?;
    HeaderName::try_from(&text)
        .map_err(|_| serde::de::Error::custom(format!("{text:?} cannot be the name of a header")))
}

/// The memory of one run. A clone is a snapshot.
#[derive(Clone)]
pub struct Session {
    portal: url::Origin,
    csrf: Option<Csrf>,
    bearer: Option<Secret>,
    jar: Jar,
    policies: Vec<(Url, Policy)>,
    known: Known,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({} cookies)", self.jar.count())
    }
}

impl Session {
    /// An empty memory. Token and double submit go to the origin of `portal` alone.
    pub fn new(portal: &Url, csrf: Option<Csrf>) -> Self {
        Self {
            portal: portal.origin(),
            csrf,
            bearer: None,
            jar: Jar::default(),
            policies: Vec::new(),
            known: Known::default(),
        }
    }

    /// Adds to a request that is about to be sent what a browser would add. `from` is the page it
    /// comes from, none for a typed address. What `headers` holds already wins. Gives back notes for
    /// people about what was left out, without values.
    pub fn dress(
        &self,
        method: &Method,
        url: &Url,
        from: Option<&Url>,
        headers: &mut HeaderMap,
    ) -> Vec<String> {
        self.dress_redirected(method, url, from, &[], headers)
    }

    /// The same for a request that follows redirects: `hops` are the addresses that answered with
    /// one, in order, `from` is still the page that the first of them was asked from. Each hop starts
    /// from the step's own headers, not from those that were dressed for the hop before.
    pub fn dress_redirected(
        &self,
        method: &Method,
        url: &Url,
        from: Option<&Url>,
        hops: &[Url],
        headers: &mut HeaderMap,
    ) -> Vec<String> {
        let mut notes = Vec::new();
        self.add_cookies(method, url, from, headers, &mut notes);
        if let Some(from) = from {
            let policy = self.policy(from, hops);
            add(headers, REFERER, referrer::referer(policy, from, url).as_deref());
            add(headers, ORIGIN, referrer::origin(policy, method, from, hops, url).as_deref());
        }
        // Where another origin was on the way, a browser has dropped these (Fetch, "HTTP-redirect
        // fetch").
        if hops.iter().chain([url]).all(|at| self.is_portal(at)) {
            self.add_bearer(headers, &mut notes);
            self.add_csrf(method, url, from, headers, &mut notes);
        }
        notes
    }

    fn is_portal(&self, url: &Url) -> bool {
        url.origin() == self.portal
    }

    /// The policy of the page, unless a redirect stated another one.
    fn policy(&self, from: &Url, hops: &[Url]) -> Policy {
        let stated = |url: &Url| {
            self.policies.iter().find(|(page, _)| same_page(page, url)).map(|(_, policy)| *policy)
        };
        hops.iter().rev().chain([from]).find_map(stated).unwrap_or_default()
    }

    fn add_cookies(
        &self,
        method: &Method,
        url: &Url,
        from: Option<&Url>,
        headers: &mut HeaderMap,
        notes: &mut Vec<String>,
    ) {
        if headers.contains_key(COOKIE) {
            return;
        }
        let mut cookies = self.jar.matching(url);
        cookies.retain(|cookie| goes_along(cookie.same_site, method, url, from));
        for name in shorten(&mut cookies) {
            notes.push(format!(
                "cookie {} left out: the Cookie header would be longer than {LONGEST_COOKIE_HEADER} bytes",
                clip(&name)
            ));
        }
        let pairs: Vec<String> = cookies.into_iter().map(pair).collect();
        if !pairs.is_empty() {
            add(headers, COOKIE, Some(&pairs.join("; ")));
        }
    }

    fn add_bearer(&self, headers: &mut HeaderMap, notes: &mut Vec<String>) {
        let Some(token) = &self.bearer else { return };
        if !headers.contains_key(AUTHORIZATION)
            && !add(headers, AUTHORIZATION, Some(&format!("Bearer {}", token.expose())))
        {
            notes.push("bearer token left out: it holds characters that no header can hold".to_owned());
        }
    }

    /// The value as Angular and axios send it: decoded by `decodeURIComponent`, or as it is where it
    /// cannot be decoded.
    fn add_csrf(
        &self,
        method: &Method,
        url: &Url,
        from: Option<&Url>,
        headers: &mut HeaderMap,
        notes: &mut Vec<String>,
    ) {
        let changing = matches!(*method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE);
        let Some(Csrf { cookie: name, header }) = self.csrf.as_ref().filter(|_| changing) else { return };
        if headers.contains_key(header) {
            return;
        }
        // A script sees the cookies of the page it runs in.
        let page = from.filter(|from| self.is_portal(from)).unwrap_or(url);
        let found = self.jar.matching(page).into_iter().find(|cookie| cookie.name == *name);
        let why = match found {
            None => "is not set",
            Some(cookie) if cookie.http_only => "is HttpOnly, so that no script can read it",
            Some(cookie) => {
                let raw = cookie.value.expose();
                let value = decode_uri_component(raw);
                if add(headers, header.clone(), Some(value.as_deref().unwrap_or(raw))) {
                    return;
                }
                "holds characters that no header can hold"
            }
        };
        notes.push(format!("header {header} left out: cookie {name} {why}"));
    }

    /// Takes in the answer from `url`: of every hop, in order. Only the first [`MOST_LINES`] cookies
    /// are read; the first beyond is told as refused.
    pub fn seen(&mut self, url: &Url, headers: &HeaderMap, now: Timestamp) -> Vec<CookieSeen> {
        self.forget(now);
        self.note_policy(url, headers);
        let mut seen = Vec::new();
        for (index, line) in headers.get_all(SET_COOKIE).iter().enumerate() {
            if index == MOST_LINES {
                let why = format!("only the first {MOST_LINES} cookies of an answer are read");
                seen.push(CookieSeen::unread(url, why));
                break;
            }
            seen.push(self.take(url, line, now));
        }
        seen
    }

    fn take(&mut self, url: &Url, line: &HeaderValue, now: Timestamp) -> CookieSeen {
        let Ok(line) = std::str::from_utf8(line.as_bytes()) else {
            return CookieSeen::unread(url, "it is not UTF-8, which is all we read".to_owned());
        };
        let set = match SetCookie::parse(line) {
            Ok(set) => set,
            Err(why) => return CookieSeen::unread(url, why.to_string()),
        };
        let stored = if self.known.add(&set.value) {
            self.jar.store(url, &set, now).map_err(|refused| refused.to_string())
        } else {
            Err("the run has seen more cookie values than it can remember".to_owned())
        };
        CookieSeen::of(url, &set, now, stored.err())
    }

    fn note_policy(&mut self, url: &Url, headers: &HeaderMap) {
        self.policies.retain(|(page, _)| !same_page(page, url));
        if let Some(policy) = Policy::of(headers) {
            if self.policies.len() >= MOST_POLICIES {
                self.policies.remove(0);
            }
            self.policies.push((url.clone(), policy));
        }
    }

    /// Forgets the cookies that have ended by now. [`Self::seen`] does so too; call it where time
    /// passed without an answer.
    pub fn forget(&mut self, now: Timestamp) {
        self.jar.forget(now);
    }

    /// The value of a cookie that would go to `url`.
    pub fn cookie(&self, url: &Url, name: &str) -> Option<String> {
        let mut cookies = self.jar.matching(url).into_iter();
        cookies.find(|cookie| cookie.name == name).map(|cookie| cookie.value.expose().to_owned())
    }

    /// The names of the cookies that would go to `url`, in the order of the header.
    pub fn cookie_names(&self, url: &Url) -> Vec<String> {
        self.jar.matching(url).into_iter().map(|cookie| cookie.name.clone()).collect()
    }

    /// The token that goes to the portal's origin.
    pub fn bearer(&self) -> Option<&Secret> {
        self.bearer.as_ref()
    }

    /// Sends this token from here on.
    pub fn set_bearer(&mut self, token: Secret) {
        self.known.insert(&token);
        self.bearer = Some(token);
    }

    /// All values of cookies and all tokens of the run, those too that were replaced or refused,
    /// also without quotes and percent-decoded, for a [`crate::model::Masker`].
    pub fn secrets(&self) -> Vec<Secret> {
        let mut all = Vec::new();
        for secret in &self.known.values {
            let raw = secret.expose();
            let bare = raw.trim_matches('"');
            if bare != raw {
                all.push(Secret::new(bare, secret.shown()));
            }
            if let Some(decoded) = decode_uri_component(bare).filter(|decoded| decoded != bare) {
                all.push(Secret::new(decoded, secret.shown()));
            }
            all.push(secret.clone());
        }
        all
    }
}

fn same_page(left: &Url, right: &Url) -> bool {
    left[..url::Position::AfterQuery] == right[..url::Position::AfterQuery]
}

/// Adds a header unless it is there. False if the value cannot stand in a header.
fn add(headers: &mut HeaderMap, name: HeaderName, value: Option<&str>) -> bool {
    let Some(value) = value.filter(|_| !headers.contains_key(&name)) else { return true };
    let Ok(mut value) = HeaderValue::from_bytes(value.as_bytes()) else { return false };
    value.set_sensitive(name != ORIGIN);
    headers.insert(name, value);
    true
}

/// Whether a cookie goes along when a person navigates (rfc6265bis sections 5.2 and 5.6.7): from
/// elsewhere `Strict` stays behind, and `Lax` where the method changes something. Who redirected on
/// the way does not count, in browsers as in the draft. A cookie without `SameSite` goes along: to
/// Firefox it is `None`; Chromium holds it back from a POST from elsewhere only once it is two minutes
/// old ("Lax-allowing-unsafe", section 5.6.7.2).
fn goes_along(same_site: Option<SameSite>, method: &Method, url: &Url, from: Option<&Url>) -> bool {
    let elsewhere = from.is_some_and(|from| site(from) != site(url));
    match same_site {
        _ if !elsewhere => true,
        Some(SameSite::Strict) => false,
        Some(SameSite::Lax) => method.is_safe(),
        Some(SameSite::None) | None => true,
    }
}

/// The site of an address (HTML section 7.1.1, "same site").
fn site(url: &Url) -> (&str, &str) {
    (url.scheme(), registrable_domain(url))
}

fn pair(cookie: &Held) -> String {
    match cookie.name.as_str() {
        "" => cookie.value.expose().to_owned(),
        name => format!("{name}={}", cookie.value.expose()),
    }
}

/// Takes out the earliest created cookies until the rest fits into the header; gives back their names.
fn shorten(cookies: &mut Vec<&Held>) -> Vec<String> {
    let mut newest: Vec<&Held> = cookies.clone();
    newest.sort_by_key(|cookie| Reverse(cookie.created));
    let mut length = 0;
    let fits = newest.iter().take_while(|cookie| {
        let separator = if length == 0 { 0 } else { 2 };
        length += separator + pair(cookie).len();
        length <= LONGEST_COOKIE_HEADER
    });
    let kept = fits.count();
    let dropped = newest.split_off(kept);
    cookies.retain(|cookie| dropped.iter().all(|gone| gone.created != cookie.created));
    dropped.into_iter().map(|cookie| cookie.name.clone()).collect()
}

/// `decodeURIComponent` of ECMAScript; none where that throws.
pub(super) fn decode_uri_component(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let mut digit = || (bytes.next()? as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        decoded.push(if byte == b'%' { digit()? << 4 | digit()? } else { byte });
    }
    String::from_utf8(decoded).ok()
}

/// The values that must not be shown, sorted, each once.
#[derive(Clone, Default)]
struct Known {
    values: Vec<Secret>,
    bytes: usize,
}

impl Known {
    /// Takes in what a server chose. False if there is no room left for it.
    fn add(&mut self, secret: &Secret) -> bool {
        let value = secret.expose();
        let room = self.values.len() < MOST_VALUES && self.bytes + value.len() <= MOST_VALUE_BYTES;
        if room {
            self.insert(secret);
        }
        room || self.place(value).is_ok()
    }

    fn place(&self, value: &str) -> Result<usize, usize> {
        self.values.binary_search_by(|known| known.expose().cmp(value))
    }

    fn insert(&mut self, secret: &Secret) {
        /// JSON's own words say nothing, and masking them would garble every document.
        const WORDS: [&str; 4] = ["", "true", "false", "null"];
        let value = secret.expose();
        if WORDS.contains(&value) {
            return;
        }
        if let Err(place) = self.place(value) {
            self.bytes += value.len();
            self.values.insert(place, secret.clone());
        }
    }
}

#[cfg(test)]
mod tests;
