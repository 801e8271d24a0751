//! What holds the session together beside cookies: a bearer token, a double-submit header.

use super::build::Builder;
use super::draft::{Identity, Noted, Text};
use super::pick::Taken;
use super::sources::{self, Source};
use super::typed;
use super::words;

impl Builder<'_> {
    /// The capture sent as bearer token, or word to the identity that it holds a token.
    pub fn bearer(&mut self, identity: &mut Identity) -> Option<Noted<String>> {
        let picked = self.picked;
        let sent = picked
            .steps
            .iter()
            .enumerate()
            .find_map(|(step, taken)| Some((step, typed::bearer(taken.request)?)));
        let Some((step, token)) = sent else { return self.unseen_bearer() };
        if self.typed.grant.is_some() {
            return None;
        }
        if let Some((at, source)) = self.sources.find(token, "token", step).filter(|(at, _)| self.stays(*at))
        {
            return Some(Noted { what: self.capture(at, source, "token", Vec::new()), notes: Vec::new() });
        }
        if let Some(at) = self.typed.signed_in.filter(|at| *at < step && self.sources.is_blank(*at)) {
            let note =
                "the answer's body is not in the recording; the name of the token is guessed".to_owned();
            let what = self.capture(at, Source::Json("$.access_token".to_owned()), "token", vec![note]);
            return Some(Noted { what, notes: Vec::new() });
        }
        identity.token = true;
        identity.notes.push(
            "a bearer token was sent that no recorded answer held; set PORTAL_TOKEN, or record the sign-in from its start".to_owned(),
        );
        None
    }

    /// Chrome leaves `Authorization` and cookies out of what it exports, unless told otherwise; an answer
    /// to the password with a token in it tells as much.
    fn unseen_bearer(&mut self) -> Option<Noted<String>> {
        if self.has_cookies() || self.typed.grant.is_some() {
            return None;
        }
        let at = self.typed.signed_in?;
        let taken = self.picked.steps.get(at)?;
        let text = taken.answers.iter().rev().find_map(|answer| answer.text())?;
        let answer = serde_json::from_str(&text).ok()?;
        let mut path = None;
        sources::json_paths("$", &answer, &mut 1_000, &mut |at, _| {
            let last = at.rsplit('.').next().unwrap_or_default();
            if ["access_token", "accessToken", "token", "jwt", "idToken", "id_token"].contains(&last)
                && path.is_none()
            {
                path = Some(at.to_owned());
            }
        });
        let what = self.capture(at, Source::Json(path?), "token", Vec::new());
        let note = "the recording holds no Authorization headers (Chrome leaves them out unless told otherwise); that the token is sent so is guessed".to_owned();
        Some(Noted { what, notes: vec![note] })
    }

    /// A removal becomes cleanup, from which nothing is captured.
    fn stays(&self, step: usize) -> bool {
        self.picked.steps.get(step).is_some_and(|taken| !taken.request.method.eq_ignore_ascii_case("DELETE"))
    }

    fn has_cookies(&self) -> bool {
        self.picked.steps.iter().any(|step| {
            !step.request.cookies.is_empty()
                || step.request.header("cookie").is_some()
                || step.answers.iter().any(|answer| !sources::cookies(answer).is_empty())
        })
    }

    /// A cookie that requests repeat in a header.
    pub fn double_submit(&mut self) -> Option<Noted<(String, String)>> {
        let picked = self.picked;
        for (step, taken) in picked.steps.iter().enumerate().filter(|(_, taken)| taken.is_unsafe()) {
            for header in taken.request.headers.iter().filter(|header| is_csrf_header(&header.name)) {
                if let Some(cookie) = self.cookie_of(step, taken, &header.value) {
                    return Some(Noted { what: (cookie, header.name.clone()), notes: Vec::new() });
                }
                let cookie = match header.name.to_ascii_lowercase().as_str() {
                    "x-xsrf-token" => "XSRF-TOKEN",
                    "x-csrftoken" => "csrftoken",
                    _ => continue,
                };
                if !self.has_cookies() && self.sources.find(&header.value, &header.name, step).is_none() {
                    let note = "the recording holds no cookies (Chrome leaves them out unless told otherwise); the cookie's name is guessed from the header's".to_owned();
                    return Some(Noted { what: (cookie.to_owned(), header.name.clone()), notes: vec![note] });
                }
            }
        }
        None
    }

    fn cookie_of(&self, step: usize, taken: &Taken<'_>, value: &str) -> Option<String> {
        if let Some(name) = self.sources.cookie(value, step) {
            return Some(name.to_owned());
        }
        let alike = |cookie: &str| cookie == value || super::body::percent_decoded(cookie) == value;
        let header = taken.request.header("cookie").unwrap_or_default();
        let pairs = header.split(';').filter_map(|pair| pair.trim().split_once('='));
        let recorded =
            taken.request.cookies.iter().map(|cookie| (cookie.name.as_str(), cookie.value.as_str()));
        recorded.chain(pairs).find(|(_, cookie)| alike(cookie)).map(|(name, _)| name.to_owned())
    }

    /// The header fields that mean something to the portal.
    pub fn headers(
        &mut self,
        step: usize,
        taken: &Taken<'_>,
        notes: &mut Vec<String>,
    ) -> Vec<(String, Text)> {
        let mut kept = Vec::new();
        for header in &taken.request.headers {
            let name = header.name.to_ascii_lowercase();
            if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
                continue;
            }
            if self.csrf_header.as_deref().is_some_and(|csrf| csrf.eq_ignore_ascii_case(&name)) {
                continue;
            }
            let text = match name.as_str() {
                "authorization" => self.authorization(taken, notes),
                "accept" if header.value.contains("json") => {
                    Some(Text::Template(words::literal(&header.value)))
                }
                "content-type" => content_type(taken, &header.value).map(Text::Template),
                _ if is_own(&name) => Some(self.own_header(step, &name, &header.value, notes)),
                _ => None,
            };
            if let Some(text) = text
                && !kept.iter().any(|(known, _)| known == &name)
            {
                kept.push((name, text));
            }
        }
        kept
    }

    fn own_header(&mut self, step: usize, name: &str, value: &str, notes: &mut Vec<String>) -> Text {
        let key = words::is_secret(name) && !words::is_csrf(name);
        if key && self.sources.find(value, name, step).is_none() {
            let variable = format!("PORTAL_{}", words::identifier(name).to_ascii_uppercase());
            notes.push(format!("{name} came from no earlier answer; set {variable}, or capture it"));
            return Text::Env(variable);
        }
        Text::Template(self.value(step, name, value, notes))
    }

    /// The journey sends the token to the portal's origin by itself.
    fn authorization(&mut self, taken: &Taken<'_>, notes: &mut Vec<String>) -> Option<Text> {
        if self.typed.basic && typed::basic(taken.request).is_some() {
            let pair = "{{ (identity.username ~ ':' ~ identity.password) | base64 }}";
            return Some(Text::Template(format!("Basic {pair}")));
        }
        let elsewhere = taken.url.origin() != self.picked.origin.origin();
        match (&self.bearer_name, typed::bearer(taken.request)) {
            (Some(name), Some(_)) if elsewhere => Some(Text::Template(format!("Bearer {{{{ {name} }}}}"))),
            (_, Some(_)) if elsewhere => {
                notes.push("a bearer token was sent to another origin than the portal's; choose that origin by --origin if it is the portal's API".to_owned());
                None
            }
            (_, Some(_)) => None,
            (_, None) => {
                notes.push(
                    "a kind of Authorization that cannot be imported was sent; see how this portal signs in"
                        .to_owned(),
                );
                None
            }
        }
    }
}

fn is_csrf_header(name: &str) -> bool {
    name.to_ascii_lowercase().starts_with("x-") && words::is_csrf(name)
}

/// A body's type is implied, unless it is a special one.
fn content_type(taken: &Taken<'_>, value: &str) -> Option<String> {
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let implied = match taken.body {
        super::body::Body::Json(_) => essence == "application/json",
        super::body::Body::Text(_) => false,
        _ => true,
    };
    (!implied).then(|| words::literal(value))
}

/// Fields of the portal's own, without those that browsers, proxies and tracing add.
fn is_own(name: &str) -> bool {
    const FOREIGN: [&str; 14] = [
        "x-request-id",
        "x-correlation-id",
        "x-client-data",
        "x-b3-",
        "x-datadog-",
        "x-newrelic-",
        "x-amzn-",
        "x-moz",
        "x-purpose",
        "x-goog-",
        "x-sentry-",
        "x-forwarded-",
        "x-devtools-",
        "x-browser-",
    ];
    let foreign = FOREIGN.iter().any(|prefix| name.starts_with(prefix));
    (name.starts_with("x-") && !foreign) || words::is_csrf(name) || name == "apollo-require-preflight"
}
