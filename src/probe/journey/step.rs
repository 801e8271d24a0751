//! The settings of one step: a request, what its answer should be, and what is kept of it.

use std::collections::BTreeMap;

use http::Method;
use schemars::JsonSchema;
use serde::Deserialize;

use super::capture::Capture;
use super::fields::{Expected, HeaderFields, Multipart, WordFields, Words};
use super::template::{Expression, JsonTemplate, Template};
use crate::model::{LatencyKeys, Span};
use crate::probe::web::scalars::Size;
use crate::probe::web::values::HttpUrl;

/// One step. It has one of `get`, `head`, `options`, `post`, `put`, `patch`, `delete`, `submit` and
/// `follow`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Step {
    /// What the step is called wherever it is shown; unique in a journey.
    pub name: Option<Box<str>>,
    /// GET this path of the portal, or this address.
    pub get: Option<Template>,
    /// HEAD this path or address.
    pub head: Option<Template>,
    /// OPTIONS of this path or address.
    pub options: Option<Template>,
    /// POST to this path or address.
    pub post: Option<Template>,
    /// PUT to this path or address.
    pub put: Option<Template>,
    /// PATCH this path or address.
    pub patch: Option<Template>,
    /// DELETE this path or address.
    pub delete: Option<Template>,
    /// Submit the form that a step before captured under this name; `form` adds to its fields.
    pub submit: Option<Box<str>>,
    /// Follow the link that a step before captured under this name.
    pub follow: Option<Box<str>>,
    /// Where a form or link may lead beside the portal's own origin, `https://host[:port]`.
    pub origin: Option<Box<HttpUrl>>,
    /// Query parameters, added to those of the address.
    pub query: Option<Box<WordFields>>,
    /// Request headers.
    pub headers: Option<Box<HeaderFields>>,
    /// The body as form fields.
    pub form: Option<Box<WordFields>>,
    /// The body as JSON.
    pub json: Option<Box<JsonTemplate>>,
    /// The body as text.
    pub body: Option<Box<Words>>,
    /// The body as parts, files among them.
    pub multipart: Option<Box<Multipart>>,
    /// What the answer should be: everything the `http` kind can expect. Texts may be templates.
    pub expect: Expected,
    /// What is kept of the answer, by name, for the steps that follow.
    pub capture: BTreeMap<Box<str>, Capture>,
    /// The step writes: it is entered in the ledger before it is sent, and cleaned up after.
    pub write: bool,
    /// Ask again until the expectations hold.
    pub eventually: Option<Eventually>,
    /// Its failure is noted and the journey goes on.
    pub optional: bool,
    /// Only if this holds.
    pub when: Option<Box<Expression>>,
    /// More than once.
    pub repeat: Option<Box<Repeat>>,
    /// Only in `sign_out`: the path that the old session must not open afterwards; that of the first
    /// step after the sign-in if not set.
    pub replay: Option<Box<Template>>,
    /// Bounds each request of the step; the check's `timeout` if not set.
    pub timeout: Option<Span>,
    /// Reading a body stops after this many bytes, such as 1048576 or "1MiB".
    pub max_body: Size,
    /// How fast it should be.
    pub latency: Option<LatencyKeys>,
}

/// Ask again until the expectations hold.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Eventually {
    /// For this long.
    pub within: Span,
    /// With this pause.
    pub every: Span,
}

/// Do the step more than once; `repeat.index` counts from 1.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    /// At most so often, 20 at most.
    #[schemars(range(min = 1, max = 20))]
    pub times: u8,
    /// Stop once this holds; it must hold in the end.
    pub until: Option<Expression>,
}

/// The most often a step is repeated.
pub const MOST_REPEATS: u8 = 20;

/// What a step does.
#[derive(Clone, Debug)]
pub enum Action<'a> {
    /// A request.
    Request(Method, &'a Template),
    /// Submit a captured form.
    Submit(&'a str),
    /// Follow a captured link.
    Follow(&'a str),
}

impl Step {
    /// All actions that are written; a step is to have one.
    pub fn actions(&self) -> impl Iterator<Item = (&'static str, Action<'_>)> {
        let verbs = [
            ("get", Method::GET, &self.get),
            ("head", Method::HEAD, &self.head),
            ("options", Method::OPTIONS, &self.options),
            ("post", Method::POST, &self.post),
            ("put", Method::PUT, &self.put),
            ("patch", Method::PATCH, &self.patch),
            ("delete", Method::DELETE, &self.delete),
        ];
        let requests = verbs
            .into_iter()
            .filter_map(|(key, method, target)| Some((key, Action::Request(method, target.as_ref()?))));
        let submit = self.submit.iter().map(|name| ("submit", Action::Submit(name)));
        let follow = self.follow.iter().map(|name| ("follow", Action::Follow(name)));
        requests.chain(submit).chain(follow)
    }

    /// What the step does: its only action, once the config is read.
    pub fn action(&self) -> Option<Action<'_>> {
        self.actions().next().map(|(_, action)| action)
    }

    /// The request as it is written: `POST /login`, `submit login`. Never rendered.
    pub fn written(&self) -> String {
        match self.action() {
            Some(Action::Request(method, target)) => format!("{method} {}", target.source()),
            Some(Action::Submit(name)) => format!("submit {name}"),
            Some(Action::Follow(name)) => format!("follow {name}"),
            None => String::new(),
        }
    }

    /// The bodies that are written, of which a step may have one.
    pub fn bodies(&self) -> impl Iterator<Item = &'static str> {
        let written = [
            ("form", self.form.is_some()),
            ("json", self.json.is_some()),
            ("body", self.body.is_some()),
            ("multipart", self.multipart.is_some()),
        ];
        written.into_iter().filter(|(_, given)| *given).map(|(key, _)| key)
    }

    /// The variables that the request and its expectations name, each with the key it stands under;
    /// captured forms and links among them, `when` and `repeat` not.
    pub fn named(&self) -> Vec<(&'static str, String)> {
        let mut all = Vec::new();
        let mut add = |key, names: &mut dyn Iterator<Item = String>| {
            all.extend(names.map(|name| (key, name)));
        };
        for (key, action) in self.actions() {
            match action {
                Action::Request(_, target) => add(key, &mut target.variables().into_iter()),
                Action::Submit(name) | Action::Follow(name) => {
                    add(key, &mut std::iter::once(name.to_owned()));
                }
            }
        }
        add("query", &mut self.query.iter().flat_map(|fields| fields.variables()));
        add("headers", &mut self.headers.iter().flat_map(|fields| fields.variables()));
        add("form", &mut self.form.iter().flat_map(|fields| fields.variables()));
        add("json", &mut self.json.iter().flat_map(|json| json.variables()));
        add("body", &mut self.body.iter().flat_map(|words| words.variables()));
        add("multipart", &mut self.multipart.iter().flat_map(|parts| parts.variables()));
        add("expect", &mut self.expect.variables());
        all
    }

    /// The same without the keys.
    pub fn variables(&self) -> impl Iterator<Item = String> {
        self.named().into_iter().map(|(_, name)| name)
    }

    /// The credentials of the identity that the step shows.
    pub fn shown(&self) -> Shown {
        let sent = self.named().into_iter().filter(|(key, _)| *key != "expect");
        sent.fold(Shown::default(), |shown, (_, name)| match name.as_str() {
            "identity.password" => Shown { password: true, ..shown },
            "identity.totp" => Shown { code: true, ..shown },
            "identity.token" => Shown { token: true, ..shown },
            "identity" => Shown { password: true, code: true, token: true },
            _ => shown,
        })
    }
}

/// Which credentials of the identity are shown to the portal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Its password.
    pub password: bool,
    /// A one-time code.
    pub code: bool,
    /// Its token, by a template.
    pub token: bool,
}

impl Shown {
    /// Whether any is.
    pub const fn any(self) -> bool {
        self.password || self.code || self.token
    }

    /// Whether someone signs in with it: a token is good for any request.
    pub const fn signs_in(self) -> bool {
        self.password || self.code
    }

    /// Those of either.
    pub const fn and(self, other: Self) -> Self {
        Self {
            password: self.password || other.password,
            code: self.code || other.code,
            token: self.token || other.token,
        }
    }

    /// Those that are not among the others.
    pub const fn without(self, other: Self) -> Self {
        Self {
            password: self.password && !other.password,
            code: self.code && !other.code,
            token: self.token && !other.token,
        }
    }
}
