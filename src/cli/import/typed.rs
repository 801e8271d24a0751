//! What a person typed to sign in, and what else of the recording is secret.

use base64::Engine as _;

use super::body::{self, Body};
use super::draft::Grant;
use super::html;
use super::pick::Taken;
use super::secrets::Secrets;
use super::sources::{self, json_paths};
use super::words;
use crate::formats::har::{Entry, Har, Request};

/// After the password, so many requests that change something may still belong to signing in.
const MOST_SIGN_IN: usize = 4;

/// What a person typed.
#[derive(Default)]
pub struct Typed {
    pub username: Option<String>,
    pub password: Option<String>,
    pub codes: Vec<String>,
    /// The first step that sends the password.
    pub password_step: Option<usize>,
    /// The last step of signing in.
    pub signed_in: Option<usize>,
    /// HTTP's own Basic credentials.
    pub basic: bool,
    /// A token endpoint that took the password, and the step that asked it.
    pub grant: Option<(usize, Grant)>,
}

impl Typed {
    pub fn find(steps: &[Taken<'_>]) -> Self {
        let mut typed = Self::default();
        let at = steps.iter().position(|step| step.is_unsafe() && password_of(step, steps).is_some());
        let Some(at) = at else {
            typed.read_basic(steps);
            return typed;
        };
        typed.password_step = Some(at);
        typed.password = steps.get(at).and_then(|step| password_of(step, steps));
        let sign_in = steps.get(..=at).unwrap_or_default().iter().rev().filter(|step| step.is_unsafe());
        // Some portals ask for the name first, on a page of its own.
        typed.username = sign_in.take(2).find_map(username_of);
        typed.grant = steps.get(at).and_then(grant_of).map(|grant| (at, grant));
        typed.signed_in = Some(at);
        let later = steps.iter().enumerate().skip(at).filter(|(_, step)| step.is_unsafe());
        for (index, step) in later.take(MOST_SIGN_IN) {
            let codes = step.body.leaves().into_iter().filter(|(name, value)| words::is_code(name, value));
            let codes: Vec<String> = codes.map(|(_, value)| value).collect();
            if !codes.is_empty() {
                typed.codes.extend(codes);
                typed.signed_in = Some(index);
            }
        }
        typed
    }

    fn read_basic(&mut self, steps: &[Taken<'_>]) {
        let credentials = steps.iter().find_map(|step| basic(step.request));
        if let Some((username, password)) = credentials {
            self.username = Some(username);
            self.password = Some(password);
            self.basic = true;
        }
    }
}

/// The credentials of `Authorization: Basic` (RFC 7617).
pub fn basic(request: &Request) -> Option<(String, String)> {
    let encoded = scheme(request, "basic")?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    text.split_once(':').map(|(username, password)| (username.to_owned(), password.to_owned()))
}

/// The token of `Authorization: Bearer` (RFC 6750).
pub fn bearer(request: &Request) -> Option<&str> {
    scheme(request, "bearer")
}

fn scheme<'a>(request: &'a Request, wanted: &str) -> Option<&'a str> {
    let (scheme, value) = request.header("authorization")?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case(wanted).then(|| value.trim())
}

/// The password of a request: by the field's name, or by the kind of input it was typed into.
fn password_of(step: &Taken<'_>, steps: &[Taken<'_>]) -> Option<String> {
    let leaves = step.body.leaves();
    let named = leaves.iter().find(|(name, value)| words::is_password(name) && !value.is_empty());
    if let Some((_, value)) = named {
        return Some(value.clone());
    }
    let Body::Form(fields) = &step.body else { return None };
    let pages = steps.iter().filter(|page| page.document && page.landed.origin() == step.url.origin());
    let texts = pages.flat_map(|page| page.answers.iter().filter_map(|answer| answer.text()));
    let inputs = texts.flat_map(|text| html::scan(&text).forms).flat_map(|form| form.inputs);
    let names: Vec<String> =
        inputs.filter(|input| input.kind == "password").map(|input| input.name).collect();
    fields
        .iter()
        .find(|(name, value)| names.contains(name) && !value.is_empty())
        .map(|(_, value)| value.clone())
}

fn username_of(step: &Taken<'_>) -> Option<String> {
    let leaves = step.body.leaves();
    let typed = leaves.into_iter().find(|(name, value)| words::is_username(name) && !value.is_empty());
    typed.map(|(_, value)| value)
}

fn grant_of(step: &Taken<'_>) -> Option<Grant> {
    let leaves = step.body.leaves();
    let get = |wanted: &str| leaves.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    if get("grant_type").as_deref() != Some("password") || step.status >= 400 {
        return None;
    }
    let client = basic(step.request);
    let client_id = get("client_id").or_else(|| client.as_ref().map(|(id, _)| id.clone()))?;
    Some(Grant {
        token_url: step.url.to_string(),
        client_id,
        client_secret: get("client_secret").is_some() || client.is_some_and(|(_, secret)| !secret.is_empty()),
        scopes: get("scope").unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
    })
}

/// All that must not be written, of the whole recording: what was dropped too.
pub fn secrets(har: &Har, typed: &Typed) -> Secrets {
    let mut gathered = Gathered { secrets: Secrets::default(), username: typed.username.as_deref() };
    for secret in typed.password.iter().chain(&typed.codes) {
        gathered.secrets.add(secret);
    }
    for entry in &har.log.entries {
        gathered.read(entry);
    }
    gathered.secrets
}

struct Gathered<'a> {
    secrets: Secrets,
    username: Option<&'a str>,
}

impl Gathered<'_> {
    /// A value under the name of a secret. Words such as `enabled` are none.
    fn named(&mut self, name: &str, value: &str) {
        let telling =
            value.len() >= 6 && (value.bytes().any(|byte| byte.is_ascii_digit()) || value.len() >= 16);
        if words::is_jwt(value) || (words::is_secret(name) && telling && !value.contains(' ')) {
            self.add(value);
        }
    }

    fn add(&mut self, value: &str) {
        if self.username != Some(value) {
            self.secrets.add(value);
            let plain = body::percent_decoded(value);
            if plain != value {
                self.secrets.add(&plain);
            }
        }
    }

    /// Cookies of people's choices (`theme=midnight`, `tz=Europe/Paris`) are no secrets; what is named
    /// like one is, and what looks random.
    fn cookie(&mut self, name: &str, value: &str) {
        let lower = name.to_ascii_lowercase();
        let words = ["sess", "sid", "auth", "token", "remember", "login", "csrf", "xsrf", "ticket"];
        let named = words.iter().any(|word| lower.contains(word)) && value.len() >= 6;
        if named || words::looks_random(value) {
            self.add(value);
        }
    }

    fn read(&mut self, entry: &Entry) {
        let request = &entry.request;
        for header in &request.headers {
            self.header(&header.name, &header.value);
        }
        for cookie in &request.cookies {
            self.cookie(&cookie.name, &cookie.value);
        }
        for (name, value) in sources::cookies(&entry.response) {
            self.cookie(&name, &value);
        }
        for header in &entry.response.headers {
            self.named(&header.name, &header.value);
        }
        if let Ok(url) = url::Url::parse(&request.url) {
            url.query_pairs().for_each(|(name, value)| self.sent(&name, &value));
            url.path().split('/').filter(|part| words::is_jwt(part)).for_each(|part| self.add(part));
            self.secrets.add(url.password().unwrap_or_default());
        }
        if let Ok(url) = url::Url::parse(&entry.response.redirect) {
            url.query_pairs().for_each(|(name, value)| self.named(&name, &value));
        }
        for (name, value) in body::read(request).leaves() {
            self.sent(&name, &value);
        }
        self.answer(entry);
    }

    fn sent(&mut self, name: &str, value: &str) {
        if words::is_password(name) {
            self.secrets.add(value);
            self.secrets.add(&body::percent_decoded(value));
        } else if words::is_code(name, value) {
            self.add(value);
        } else {
            self.named(name, value);
        }
    }

    fn header(&mut self, name: &str, value: &str) {
        if name.eq_ignore_ascii_case("cookie") {
            for pair in value.split(';') {
                if let Some((name, value)) = pair.trim().split_once('=') {
                    self.cookie(name, value);
                }
            }
        } else if name.eq_ignore_ascii_case("authorization")
            || name.eq_ignore_ascii_case("proxy-authorization")
        {
            let value = value.trim();
            self.add(value.split_once(' ').map_or(value, |(_, credentials)| credentials.trim()));
            if let Ok(bytes) =
                base64::engine::general_purpose::STANDARD.decode(value.get(6..).unwrap_or_default().trim())
                && let Some((_, password)) =
                    String::from_utf8(bytes).ok().as_deref().and_then(|text| text.split_once(':'))
            {
                self.secrets.add(password);
            }
        } else {
            self.named(name, value);
        }
    }

    fn answer(&mut self, entry: &Entry) {
        let Some(text) = entry.response.text() else { return };
        let mime = entry.response.content.mime_type.to_ascii_lowercase();
        if mime.contains("html") {
            let page = html::scan(&text);
            page.metas.iter().for_each(|(name, value)| self.named(name, value));
            let inputs = page.forms.iter().flat_map(|form| &form.inputs);
            inputs.for_each(|input| self.named(&input.name, &input.value));
        } else if mime.contains("json")
            && let Ok(value) = serde_json::from_str(&text)
        {
            let mut left = 20_000;
            json_paths("$", &value, &mut left, &mut |path, value| {
                self.named(path.rsplit(['.', '\'']).find(|part| part.len() > 1).unwrap_or(path), value);
            });
        }
    }
}
