//! Whether the cookies that hold a session are set as they should be: seen on the whole chain of
//! redirects, judged by their attributes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::session::jar;
use crate::formats::set_cookie::{SameSite, SetCookie};
use crate::judge::clip;
use crate::model::{Finding, FindingDoc, Severity};

/// A cookie as an answer set it; never its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CookieSeen {
    /// Its name, cut to what may be shown.
    pub name: String,
    /// The host that set it.
    pub host: String,
    /// The path it is for.
    pub path: String,
    /// Its `Domain` as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// `Secure`.
    pub secure: bool,
    /// `HttpOnly`.
    pub http_only: bool,
    /// `SameSite`: `Strict`, `Lax` or `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_site: Option<String>,
    /// It has an end beyond the session's.
    pub persistent: bool,
    /// The answer deleted it: it is empty or has ended.
    pub deleted: bool,
    /// Why a browser would refuse it, and we did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// It came over https.
    pub https: bool,
    /// It was set while signing in. Whoever knows which step that was says so.
    #[serde(default)]
    pub signing_in: bool,
}

impl CookieSeen {
    /// A cookie that could be read.
    pub fn of(url: &Url, set: &SetCookie, now: Timestamp, refused: Option<String>) -> Self {
        let ends = set.ends(now);
        Self {
            name: clip(&set.name),
            path: clip(&jar::path(url, set)),
            domain: set.domain.as_deref().map(clip),
            secure: set.secure,
            http_only: set.http_only,
            same_site: set.same_site.map(|same_site| same_site.as_str().to_owned()),
            persistent: ends.is_some(),
            deleted: set.value.expose().is_empty() || ends.is_some_and(|ends| ends <= now),
            ..Self::unread(url, String::new())
        }
        .with_refusal(refused)
    }

    fn with_refusal(mut self, refused: Option<String>) -> Self {
        self.refused = refused;
        self
    }

    /// A line that was not read as a cookie.
    pub fn unread(url: &Url, why: String) -> Self {
        Self {
            name: String::new(),
            host: url.host_str().unwrap_or_default().to_owned(),
            path: String::new(),
            domain: None,
            secure: false,
            http_only: false,
            same_site: None,
            persistent: false,
            deleted: false,
            refused: Some(why),
            https: url.scheme() == "https",
            signing_in: false,
        }
    }

    fn has_none_without_secure(&self) -> bool {
        !self.secure && self.same_site.as_deref() == Some(SameSite::None.as_str())
    }
}

/// Which cookies hold the session, and what of them is meant to be as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SessionCookies {
    /// Their names; by default those set while signing in, but for CSRF tokens, which scripts have
    /// to read.
    pub names: Vec<String>,
    /// Attributes that may be missing.
    pub allow: Vec<Attribute>,
}

/// An attribute of a cookie that protects a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Attribute {
    /// `Secure`
    Secure,
    /// `HttpOnly`
    HttpOnly,
    /// `SameSite`
    SameSite,
}

const fn doc(
    id: &'static str,
    severity: Severity,
    text: [&'static str; 3],
    clause: &'static str,
) -> FindingDoc {
    let [meaning, why, fix] = text;
    FindingDoc { id, severity, broken: false, meaning, why, fix, reference: Some(clause), confirm: None }
}

/// A session cookie without `Secure`.
pub const SECURE: FindingDoc = doc(
    "journey.cookie_secure",
    Severity::Warning,
    [
        "A session cookie is set without Secure. Over plain http it is a notice: there it could not be set to any use.",
        "Browsers send the cookie over plain http too, where anyone on the way can read it and take over the session.",
        "Set Secure (Django: SESSION_COOKIE_SECURE, Express: cookie.secure, PHP: session.cookie_secure); behind a proxy the application may have to be told that users come by https. If it is meant, name it under `session_cookies.allow`.",
    ],
    "RFC 6265 section 8.3",
);
/// A session cookie without `HttpOnly`.
pub const HTTP_ONLY: FindingDoc = doc(
    "journey.cookie_http_only",
    Severity::Warning,
    [
        "A session cookie is set without HttpOnly.",
        "Any script in the page can read it, so that one injected script takes over the session.",
        "Set HttpOnly. If the portal's scripts have to read this cookie, it should not be the one that holds the session; if it is no session cookie, name the real one under `session_cookies.names`.",
    ],
    "RFC 6265 section 4.1.2.6",
);
/// A session cookie without `SameSite`, or with one that browsers refuse.
pub const SAME_SITE: FindingDoc = doc(
    "journey.cookie_same_site",
    Severity::Notice,
    [
        "A session cookie is set without SameSite (a notice), or with SameSite=None but without Secure (a warning).",
        "Without it browsers differ in whether other sites can use the session. Chromium refuses SameSite=None without Secure: its users cannot sign in.",
        "Set SameSite=Lax, or Strict where nobody comes from another site; SameSite=None only together with Secure.",
    ],
    "draft-ietf-httpbis-rfc6265bis section 5.7",
);

/// All that is found here.
pub const DOCS: [FindingDoc; 3] = [SECURE, HTTP_ONLY, SAME_SITE];

/// Judges the session's cookies in the order in which they were set. Each setting counts; of several
/// with the same fault the worst is named, once.
pub fn judge(seen: &[CookieSeen], rules: &SessionCookies) -> Vec<Finding> {
    let mut worst: BTreeMap<(String, Attribute), Finding> = BTreeMap::new();
    for cookie in seen.iter().filter(|cookie| holds_session(cookie, rules)) {
        for (attribute, finding) in faults(cookie) {
            if rules.allow.contains(&attribute) {
                continue;
            }
            let known = worst.entry((finding.subject.clone(), attribute)).or_insert_with(|| finding.clone());
            if known.severity < finding.severity {
                *known = finding;
            }
        }
    }
    worst.into_values().collect()
}

/// A cookie that browsers refuse holds no session, unless one of the attributes is why they do.
fn holds_session(cookie: &CookieSeen, rules: &SessionCookies) -> bool {
    if cookie.deleted || (cookie.refused.is_some() && !cookie.has_none_without_secure()) {
        return false;
    }
    if rules.names.is_empty() {
        cookie.signing_in && !is_csrf(&cookie.name)
    } else {
        rules.names.contains(&cookie.name)
    }
}

fn is_csrf(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["csrf", "xsrf"].iter().any(|part| name.contains(part))
}

fn faults(cookie: &CookieSeen) -> Vec<(Attribute, Finding)> {
    let CookieSeen { name, host, .. } = cookie;
    let mut found = Vec::new();
    let mut add = |attribute, doc: &'static FindingDoc, severity, what: &str| {
        let mut finding =
            Finding::of(doc, format!("{name} @ {host}"), format!("session cookie {name} of {host} {what}"));
        finding.severity = severity;
        let finding = finding.with("cookie", serde_json::to_value(cookie).unwrap_or_default());
        found.push((attribute, finding));
    };
    match (cookie.secure, cookie.https) {
        (true, _) => {}
        (false, true) => add(Attribute::Secure, &SECURE, SECURE.severity, "is set without Secure"),
        (false, false) => {
            add(Attribute::Secure, &SECURE, Severity::Notice, "is set over plain http, without Secure");
        }
    }
    if !cookie.http_only {
        add(Attribute::HttpOnly, &HTTP_ONLY, HTTP_ONLY.severity, "is set without HttpOnly");
    }
    if cookie.has_none_without_secure() {
        let what = "has SameSite=None without Secure, which browsers refuse";
        add(Attribute::SameSite, &SAME_SITE, Severity::Warning, what);
    } else if cookie.same_site.is_none() {
        add(Attribute::SameSite, &SAME_SITE, SAME_SITE.severity, "is set without SameSite");
    }
    found
}

#[cfg(test)]
mod tests;
