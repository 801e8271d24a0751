//! Which recorded requests belong to the journey.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use url::Url;

use super::body::{self, Body};
use super::words;
use crate::formats::har::{Entry, Har, Request, Response};

/// Why a request is no step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dropped {
    Asset,
    ThirdParty,
    Preflight,
    Socket,
    Prefetch,
    Aborted,
    Counting,
    Repeated,
    Refused,
    FailedSignIn,
    Refresh,
    AfterSignOut,
}

impl Dropped {
    /// What was dropped, in the plural.
    pub fn what(self) -> &'static str {
        match self {
            Self::Asset => "images, scripts, styles, frames and the like",
            Self::ThirdParty => "requests to other sites",
            Self::Preflight => "CORS preflights",
            Self::Socket => "websockets and event streams",
            Self::Prefetch => "prefetches",
            Self::Aborted => "requests without an answer",
            Self::Counting => "requests that only count people",
            Self::Repeated => "repetitions",
            Self::Refused => "requests answered 4xx or 5xx",
            Self::FailedSignIn => "earlier attempts to sign in",
            Self::Refresh => "refreshes of a token",
            Self::AfterSignOut => "requests after signing out",
        }
    }
}

/// One request that is a step; what it was redirected to is part of it.
pub struct Taken<'a> {
    pub request: &'a Request,
    pub url: Url,
    pub body: Body,
    pub document: bool,
    /// The answers on the way and the last; what repetitions of it were answered follows.
    pub answers: Vec<&'a Response>,
    /// Where the redirects ended.
    pub landed: Url,
    /// The status of the answer that counts.
    pub status: i64,
}

impl Taken<'_> {
    pub fn is_unsafe(&self) -> bool {
        !matches!(self.request.method.as_str(), "GET" | "HEAD" | "OPTIONS" | "get" | "head")
    }

    /// Whether a password is sent with it.
    pub fn has_password(&self) -> bool {
        self.is_unsafe()
            && self.body.leaves().iter().any(|(name, value)| words::is_password(name) && !value.is_empty())
    }
}

/// The steps, and what became of the rest.
pub struct Picked<'a> {
    /// The portal's address, without a path.
    pub origin: Url,
    pub steps: Vec<Taken<'a>>,
    pub dropped: BTreeMap<Dropped, usize>,
    pub third_parties: BTreeSet<String>,
}

/// Chooses the steps. `None` if nothing was recorded that could be one.
pub fn pick<'a>(har: &'a Har, origin: Option<&Url>) -> Option<Picked<'a>> {
    let entries = har.log.entries.iter().filter_map(|entry| Some((entry, web_url(&entry.request.url)?)));
    let entries: Vec<(&Entry, Url)> = entries.collect();
    let origin = origin.cloned().or_else(|| first_origin(&entries))?;
    let mut picker = Picker {
        picked: Picked {
            origin,
            steps: Vec::new(),
            dropped: BTreeMap::new(),
            third_parties: BTreeSet::new(),
        },
        redirects: HashMap::new(),
        seen: HashMap::new(),
    };
    for (entry, url) in entries {
        picker.take(entry, url);
    }
    let mut picked = picker.picked;
    keep_last_attempt(&mut picked);
    stop_at_sign_out(&mut picked);
    (!picked.steps.is_empty()).then_some(picked)
}

struct Picker<'a> {
    picked: Picked<'a>,
    /// Which step waits for the answer of this address.
    redirects: HashMap<String, usize>,
    /// Requests since the last that changed something.
    seen: HashMap<String, usize>,
}

impl<'a> Picker<'a> {
    fn take(&mut self, entry: &'a Entry, url: Url) {
        if entry.response.status > 0
            && let Some(step) = self.redirects.remove(&without_fragment(&url))
        {
            return self.hop(step, entry, url);
        }
        match self.judge(entry, &url) {
            Err(Dropped::ThirdParty) => {
                self.picked.third_parties.extend(url.host_str().map(str::to_owned));
                self.count(Dropped::ThirdParty);
            }
            Err(reason) => self.count(reason),
            Ok(body) => self.add(entry, url, body),
        }
    }

    fn count(&mut self, reason: Dropped) {
        *self.picked.dropped.entry(reason).or_default() += 1;
    }

    /// The next answer of a step that was redirected.
    fn hop(&mut self, step: usize, entry: &'a Entry, url: Url) {
        if let Some(target) = redirect_of(entry, &url) {
            self.redirects.insert(target, step);
        }
        if let Some(taken) = self.picked.steps.get_mut(step) {
            taken.answers.push(&entry.response);
            taken.status = entry.response.status;
            taken.landed = url;
        }
    }

    fn add(&mut self, entry: &'a Entry, url: Url, body: Body) {
        let document = kind(entry, &url) == Kind::Document;
        let taken = Taken {
            request: &entry.request,
            landed: url.clone(),
            body,
            document,
            answers: vec![&entry.response],
            status: entry.response.status,
            url,
        };
        let key = without_fragment(&taken.url);
        if taken.is_unsafe() {
            self.seen.clear();
        } else if let Some(step) = self.seen.get(&key).copied() {
            self.count(Dropped::Repeated);
            if let Some(first) = self.picked.steps.get_mut(step) {
                first.answers.push(&entry.response);
            }
            return;
        } else {
            self.seen.insert(key, self.picked.steps.len());
        }
        if let Some(target) = redirect_of(entry, &taken.url) {
            self.redirects.insert(target, self.picked.steps.len());
        }
        self.picked.steps.push(taken);
    }

    fn judge(&self, entry: &Entry, url: &Url) -> Result<Body, Dropped> {
        let changes = !matches!(entry.request.method.to_ascii_uppercase().as_str(), "GET" | "HEAD");
        let kind = kind(entry, url);
        match kind {
            Kind::Preflight => return Err(Dropped::Preflight),
            Kind::Socket => return Err(Dropped::Socket),
            Kind::Prefetch => return Err(Dropped::Prefetch),
            Kind::Ping => return Err(Dropped::Counting),
            _ if entry.response.status <= 0 => return Err(Dropped::Aborted),
            Kind::Asset => return Err(Dropped::Asset),
            Kind::Document | Kind::Data => {}
        }
        let body = body::read(&entry.request);
        let password =
            body.leaves().iter().any(|(name, value)| words::is_password(name) && !value.is_empty());
        if !same_site(url, &self.picked.origin) && kind != Kind::Document && !password {
            return Err(Dropped::ThirdParty);
        }
        if words::is_counting(url.path()) && !password {
            return Err(Dropped::Counting);
        }
        if entry.response.status >= 400 && !password {
            return Err(Dropped::Refused);
        }
        if changes && is_refresh(url, &body) {
            return Err(Dropped::Refresh);
        }
        Ok(body)
    }
}

/// A second attempt shows that the first was refused: the last counts. What the refused one was
/// answered, such as a page with a new token, is what the page before it shows too.
fn keep_last_attempt(picked: &mut Picked<'_>) {
    let mut seen = HashSet::new();
    let mut index = picked.steps.len();
    while index > 0 {
        index -= 1;
        let Some(step) = picked.steps.get(index) else { return };
        if !step.has_password() || seen.insert(step.url.path().to_owned()) {
            continue;
        }
        let refused = picked.steps.remove(index);
        *picked.dropped.entry(Dropped::FailedSignIn).or_default() += 1;
        let before = picked.steps.get_mut(..index).unwrap_or_default();
        if let Some(page) = before.iter_mut().rev().find(|step| step.document && !step.is_unsafe()) {
            page.answers.extend(refused.answers);
        }
    }
}

fn stop_at_sign_out(picked: &mut Picked<'_>) {
    let signs_out = |step: &Taken<'_>| words::is_sign_out(step.url.path());
    if let Some(last) = picked.steps.iter().rposition(signs_out).filter(|last| *last > 0) {
        let after = picked.steps.len() - last - 1;
        if after > 0 {
            picked.dropped.insert(Dropped::AfterSignOut, after);
            picked.steps.truncate(last + 1);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Document,
    Data,
    Asset,
    Preflight,
    Socket,
    Prefetch,
    Ping,
}

/// What a request is for: by what Chrome says, by the fetch metadata that both browsers send, and
/// else by what came back.
fn kind(entry: &Entry, url: &Url) -> Kind {
    let request = &entry.request;
    let purpose = request
        .header("sec-purpose")
        .or_else(|| request.header("purpose"))
        .or_else(|| request.header("x-moz"));
    let resource = entry.resource.as_deref().unwrap_or_default();
    if request.method.eq_ignore_ascii_case("OPTIONS") || resource == "preflight" {
        return Kind::Preflight;
    }
    if purpose.is_some_and(|purpose| purpose.contains("prefetch")) || resource == "prefetch" {
        return Kind::Prefetch;
    }
    let upgrade = request.header("upgrade").is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"));
    if matches!(resource, "websocket" | "eventsource") || upgrade || entry.response.status == 101 {
        return Kind::Socket;
    }
    let changes = !matches!(request.method.to_ascii_uppercase().as_str(), "GET" | "HEAD");
    let destination = request.header("sec-fetch-dest").unwrap_or_default();
    match (resource, destination) {
        ("ping" | "cspviolationreport" | "csp-violation-report", _) => Kind::Ping,
        (_, "iframe" | "frame" | "object" | "embed") if !changes => Kind::Asset,
        ("document", _) | (_, "document" | "iframe" | "frame") => Kind::Document,
        ("xhr" | "fetch", _) | (_, "empty") => data(entry, url, changes),
        ("" | "other", "") => by_answer(entry, url, changes),
        _ => Kind::Asset,
    }
}

/// Scripts fetch pieces of pages, templates and pictures too; only JSON is data.
fn data(entry: &Entry, url: &Url, changes: bool) -> Kind {
    let mime = entry.response.content.mime_type.to_ascii_lowercase();
    if mime.contains("event-stream") {
        return Kind::Socket;
    }
    let blank = mime.is_empty() || mime.contains("x-unknown") || mime.contains("octet-stream");
    let json = mime.contains("json") || (blank && !has_asset_name(url)) || redirects(entry.response.status);
    if (json && !has_asset_name(url)) || changes { Kind::Data } else { Kind::Asset }
}

fn by_answer(entry: &Entry, url: &Url, changes: bool) -> Kind {
    let mime = entry.response.content.mime_type.to_ascii_lowercase();
    if mime.contains("event-stream") {
        return Kind::Socket;
    }
    if has_asset_name(url) && !changes {
        return Kind::Asset;
    }
    if mime.contains("html") || (redirects(entry.response.status) && !mime.contains("json")) {
        return Kind::Document;
    }
    if mime.contains("json") || changes { Kind::Data } else { Kind::Asset }
}

fn has_asset_name(url: &Url) -> bool {
    const ENDINGS: [&str; 24] = [
        "js",
        "mjs",
        "css",
        "map",
        "png",
        "jpg",
        "jpeg",
        "gif",
        "svg",
        "webp",
        "avif",
        "ico",
        "woff",
        "woff2",
        "ttf",
        "otf",
        "eot",
        "mp4",
        "webm",
        "mp3",
        "wasm",
        "webmanifest",
        "pdf",
        "txt",
    ];
    let last = url.path().rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    last == "manifest.json" || last.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending))
}

fn is_refresh(url: &Url, body: &Body) -> bool {
    let refreshes =
        body.leaves().iter().any(|(name, value)| name == "grant_type" && value == "refresh_token");
    let last = url.path().trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    refreshes || ["refresh", "refresh-token", "refresh_token", "token-refresh"].contains(&last.as_str())
}

fn redirects(status: i64) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// Where an answer leads, absolute.
fn redirect_of(entry: &Entry, url: &Url) -> Option<String> {
    if !redirects(entry.response.status) {
        return None;
    }
    let said = Some(entry.response.redirect.as_str()).filter(|said| !said.is_empty());
    let target = url.join(said.or_else(|| entry.response.header("location"))?).ok()?;
    Some(without_fragment(&target))
}

fn without_fragment(url: &Url) -> String {
    let mut url = url.clone();
    url.set_fragment(None);
    url.into()
}

fn web_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let http = matches!(url.scheme(), "http" | "https") && url.host_str().is_some();
    // The upgraded connection is looked at so that it can be counted.
    (http || matches!(url.scheme(), "ws" | "wss")).then_some(url)
}

/// The origin of the first page; where that only leads to https, of what it leads to.
fn first_origin(entries: &[(&Entry, Url)]) -> Option<Url> {
    let wanted = |kinds: &[Kind]| {
        entries.iter().find(|(entry, url)| entry.response.status > 0 && kinds.contains(&kind(entry, url)))
    };
    let (entry, url) = wanted(&[Kind::Document]).or_else(|| wanted(&[Kind::Data]))?;
    let target = redirect_of(entry, url).and_then(|target| Url::parse(&target).ok());
    let upgraded = target.filter(|target| target.host_str() == url.host_str() && target.scheme() == "https");
    Some(only_origin(&upgraded.unwrap_or_else(|| url.clone())))
}

/// The address without path, query, fragment and credentials.
pub fn only_origin(url: &Url) -> Url {
    let mut origin = url.clone();
    origin.set_path("/");
    origin.set_query(None);
    origin.set_fragment(None);
    // These fail only for addresses without a host.
    let _ = origin.set_username("");
    let _ = origin.set_password(None);
    origin
}

/// Whether two addresses are of one registrable domain.
pub fn same_site(a: &Url, b: &Url) -> bool {
    fn site(url: &Url) -> Option<&str> {
        let host = url.host_str()?;
        match url.host()? {
            url::Host::Domain(_) => psl::domain_str(host).or(Some(host)),
            _ => Some(host),
        }
    }
    site(a) == site(b)
}
