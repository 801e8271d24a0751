//! From picked requests to the draft: one pass in the order of the recording, in which later requests
//! put captures into earlier steps.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;
use url::{Host, Url};

use super::body::Body;
use super::draft::{Ask, Capture, Draft, Identity, Landing, Payload, Step};
use super::pick::{Picked, Taken};
use super::sources::{self, Source, Sources};
use super::typed::Typed;
use super::words;
use super::writes::{Created, Undo, name_the_run};

/// A journey has at most so many steps.
const MOST_STEPS: usize = 50;

/// What the draft is called.
pub struct Names {
    pub portal: Option<String>,
    pub check: Option<String>,
}

/// The work in progress.
pub struct Builder<'a> {
    pub(super) picked: &'a Picked<'a>,
    pub(super) sources: Sources,
    pub(super) typed: Typed,
    pub(super) captures: BTreeMap<usize, Vec<Capture>>,
    pub(super) names: HashSet<String>,
    pub(super) created: Vec<Created>,
    /// Typed texts and what stands for them, with the run's id.
    pub(super) prose: HashMap<String, String>,
    /// The header that the journey itself sends.
    pub(super) csrf_header: Option<String>,
    /// The capture that the journey itself sends.
    pub(super) bearer_name: Option<String>,
    /// Whether a text of the step at hand carries the run's id.
    pub(super) marked: bool,
    pub(super) undo: Undo,
    /// What is no step of the journey, though it was one of the recording: its answer gives nothing.
    gone: HashSet<usize>,
    /// How many steps have a name.
    step_names: HashMap<String, usize>,
}

/// Turns the picked requests into a draft.
pub fn draft(picked: &Picked<'_>, typed: Typed, names: Names) -> Draft {
    let builder = Builder {
        picked,
        sources: Sources::of(&picked.steps),
        typed,
        captures: BTreeMap::new(),
        names: HashSet::new(),
        created: Vec::new(),
        prose: HashMap::new(),
        csrf_header: None,
        bearer_name: None,
        marked: false,
        undo: Undo::default(),
        gone: HashSet::new(),
        step_names: HashMap::new(),
    };
    builder.build(names)
}

impl Builder<'_> {
    fn build(mut self, names: Names) -> Draft {
        let picked = self.picked;
        let mut identity = self.identity();
        let bearer = self.bearer(&mut identity);
        self.bearer_name = bearer.as_ref().map(|bearer| bearer.what.clone());
        let csrf = self.double_submit();
        self.csrf_header = csrf.as_ref().map(|csrf| csrf.what.1.clone());
        let mut notes = Vec::new();
        let mut steps: Vec<(usize, Step)> = Vec::new();
        let mut sign_out = None;
        for (index, taken) in picked.steps.iter().enumerate() {
            if self.skipped(index) {
                continue;
            }
            if index > 0 && index + 1 == picked.steps.len() && words::is_sign_out(taken.url.path()) {
                sign_out = Some(self.plain(index, taken));
            } else if self.undoes(taken) {
                self.gone.insert(index);
                self.recorded_undo(index, taken);
            } else if taken.request.method.eq_ignore_ascii_case("DELETE") {
                self.gone.insert(index);
                notes.push(format!(
                    "a DELETE of {} was left out: this journey did not make what it removes",
                    taken.url.path()
                ));
            } else {
                let step = self.step(index, taken);
                steps.push((index, step));
            }
        }
        name_the_run(&mut steps);
        let writes = steps.iter().any(|(_, step)| step.write);
        let (cleanup, sweep) = std::mem::take(&mut self.undo).finish();
        let mut draft = Draft {
            portal: names.portal.unwrap_or_else(|| portal_name(&picked.origin)),
            check: names
                .check
                .unwrap_or_else(|| if writes { "sign-in-and-write" } else { "sign-in" }.to_owned()),
            origin: picked.origin.clone(),
            notes,
            identity: identity.is_some().then_some(identity),
            csrf,
            bearer,
            steps: Vec::new(),
            cleanup,
            sweep,
            sign_out,
        };
        self.finish(&mut draft, steps);
        draft
    }

    /// Gives the steps their captures, and keeps to the number of steps a journey may have.
    fn finish(mut self, draft: &mut Draft, mut steps: Vec<(usize, Step)>) {
        for (index, step) in &mut steps {
            step.captures = self.captures.remove(index).unwrap_or_default();
        }
        let too_many = steps.len().saturating_sub(MOST_STEPS);
        if too_many > 0 {
            draft
                .notes
                .push(format!("{too_many} steps were left out, since a journey has at most {MOST_STEPS}"));
            for _ in 0..too_many {
                let idle = |(index, step): &(usize, Step)| {
                    let signing_in = self.typed.signed_in.is_some_and(|signed_in| *index <= signed_in);
                    step.captures.is_empty() && !step.write && !signing_in
                };
                let at = steps.iter().rposition(idle).unwrap_or(steps.len() - 1);
                steps.remove(at);
            }
        }
        draft.steps = steps.into_iter().map(|(_, step)| step).collect();
        if draft.steps.is_empty() {
            let mut step = Step::request("get", "/".to_owned());
            step.name = Some("home".to_owned());
            step.notes.push(
                "nothing but the sign-in was recorded; ask for something that only this identity sees"
                    .to_owned(),
            );
            draft.steps.push(step);
        }
        if self.typed.password_step.is_none() && !self.typed.basic {
            draft.notes.push("no password was typed in this recording; record from before the sign-in, in a private window".to_owned());
        }
    }

    /// Whether this is no step: the identity or the cleanup does what it did.
    pub(super) fn skipped(&self, step: usize) -> bool {
        self.gone.contains(&step) || self.typed.grant.as_ref().is_some_and(|(at, _)| *at == step)
    }

    fn identity(&self) -> Identity {
        let mut identity = Identity {
            username: self.typed.username.clone(),
            password: self.typed.password.is_some(),
            totp: !self.typed.codes.is_empty(),
            oauth2: self.typed.grant.as_ref().map(|(_, grant)| grant.clone()),
            ..Identity::default()
        };
        if identity.password && identity.username.is_none() {
            identity.notes.push(
                "no user name was found beside the password; add `username:` if there is one".to_owned(),
            );
        }
        if identity.totp {
            identity.notes.push("the code is taken for one of an authenticator app; PORTAL_TOTP is its base32 secret. Codes by mail or text message cannot be automated".to_owned());
        }
        identity
    }

    /// A page before the step whose body was not recorded.
    pub(super) fn blank_page_before(&self, step: usize) -> Option<usize> {
        let before = self.picked.steps.get(..step)?.iter().enumerate().rev();
        let mut pages = before.filter(|(_, taken)| taken.document && !taken.is_unsafe());
        pages.next().map(|(index, _)| index).filter(|index| self.sources.is_blank(*index))
    }

    fn step(&mut self, index: usize, taken: &Taken<'_>) -> Step {
        self.marked = false;
        let write = taken.is_unsafe()
            && self.typed.signed_in.is_none_or(|signed_in| index > signed_in)
            && !is_graphql_query(&taken.body);
        let mut step = match self.submit(index, taken, write) {
            Some(step) => step,
            None => self.requested(index, taken, write),
        };
        step.write = write;
        step.name = Some(self.step_name(index, taken));
        self.expect(index, taken, &mut step);
        if write {
            self.after_write(index, taken, &mut step);
        }
        step
    }

    /// A step without a name: a cleanup, a sweep, a sign-out.
    pub(super) fn plain(&mut self, index: usize, taken: &Taken<'_>) -> Step {
        self.requested(index, taken, false)
    }

    fn requested(&mut self, index: usize, taken: &Taken<'_>, write: bool) -> Step {
        let mut notes = Vec::new();
        let target = self.target(index, &taken.url, &mut notes);
        let mut step = Step::request(&taken.request.method, target);
        if !matches!(taken.request.method.to_ascii_uppercase().as_str(), "GET" | "HEAD") {
            step.payload = self.payload(index, &taken.body, write, &mut notes);
        }
        step.headers = self.headers(index, taken, &mut notes);
        step.notes = notes;
        step
    }

    /// A form that an earlier page showed: its address and hidden fields need not be written.
    fn submit(&mut self, index: usize, taken: &Taken<'_>, write: bool) -> Option<Step> {
        let Body::Form(fields) = &taken.body else { return None };
        let (at, form, all) = self.sources.form(index, &taken.url)?;
        let signing_in = self.typed.signed_in.is_some_and(|signed_in| index <= signed_in);
        let hidden = |name: &str, value: &str| {
            form.inputs
                .iter()
                .any(|input| input.kind == "hidden" && input.name == name && input.value == value)
        };
        let filled = fields.iter().any(|(name, value)| hidden(name, value));
        if self.skipped(at) || !(signing_in || filled) {
            return None;
        }
        let forms: Vec<_> = all.iter().map(|shown| shown.form.clone()).collect();
        let selector = sources::selector(form, &forms)?;
        let typed: Vec<_> = fields.iter().filter(|(name, value)| !hidden(name, value)).cloned().collect();
        let hint = if form.has_password() && signing_in {
            "login".to_owned()
        } else {
            form.id.clone().unwrap_or_else(|| "form".to_owned())
        };
        let name = self.capture(at, Source::Form(selector), &hint, Vec::new());
        let mut notes = Vec::new();
        let mut step = Step::request("post", String::new());
        step.ask = Ask::Submit(name);
        step.payload = Payload::Form(self.fields(index, &typed, write, &mut notes));
        step.headers = self.headers(index, taken, &mut notes);
        step.notes = notes;
        if taken.url.origin() != self.picked.origin.origin() {
            step.origin = Some(taken.url.origin().ascii_serialization());
        }
        Some(step)
    }

    fn expect(&self, index: usize, taken: &Taken<'_>, step: &mut Step) {
        match taken.status {
            201 | 202 | 204 if step.write => step.status = vec![taken.status],
            300..=399 if taken.status != 304 => {
                step.notes.push("where this redirect leads is not in the recording".to_owned())
            }
            400.. => {
                step.notes.push("this was refused in the recording; record a sign-in that works".to_owned())
            }
            _ => {}
        }
        let moved = taken.landed.origin() != taken.url.origin() || taken.landed.path() != taken.url.path();
        let made = self.created.iter().any(|created| taken.landed.path().contains(&created.value));
        let random = taken
            .landed
            .path()
            .split('/')
            .any(|part| words::looks_random(part) || part.bytes().any(|byte| byte.is_ascii_digit()));
        if moved && !made && !(random || (step.write && taken.is_unsafe())) {
            let place = format!("{}{}", taken.landed.origin().ascii_serialization(), taken.landed.path());
            let place = words::literal(&place);
            step.final_url = Some(if taken.landed.query().is_some() {
                Landing::Contains(place)
            } else {
                Landing::Equals(place)
            });
        }
        if Some(index) == self.typed.signed_in {
            step.notes.push("add to `expect:` what only a person who is signed in sees, such as `body: { contains: \"Sign out\" }`".to_owned());
        }
    }

    fn step_name(&mut self, index: usize, taken: &Taken<'_>) -> String {
        let base = if Some(index) == self.typed.password_step {
            "sign in".to_owned()
        } else if self.typed.signed_in == Some(index) {
            "one-time code".to_owned()
        } else {
            let parts: Vec<&str> = taken.url.path().split('/').filter(|part| !part.is_empty()).collect();
            let short = parts.iter().skip(parts.len().saturating_sub(3)).map(|part| name_part(part));
            let path: String = short.flat_map(|part| ["/".to_owned(), part]).collect();
            format!(
                "{} {}",
                taken.request.method.to_ascii_lowercase(),
                if path.is_empty() { "/" } else { &path }
            )
        };
        let number = self.step_names.entry(base.clone()).or_default();
        *number += 1;
        // No path ends in a space and a number, so that no two names meet.
        if *number == 1 { base } else { format!("{base} {number}") }
    }
}

impl Identity {
    fn is_some(&self) -> bool {
        self.username.is_some() || self.password || self.token
    }
}

/// A part of a path as part of a name: ids would make a new name each time.
fn name_part(part: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if words::looks_random(part) || part.bytes().all(|byte| byte.is_ascii_digit()) || !part.chars().all(plain)
    {
        return "id".to_owned();
    }
    part.chars().take(16).collect()
}

/// A GraphQL request that only reads.
fn is_graphql_query(body: &Body) -> bool {
    fn reads(value: &Value) -> bool {
        match value {
            Value::Array(items) => !items.is_empty() && items.iter().all(reads),
            _ => value.get("query").and_then(Value::as_str).is_some_and(|query| {
                let query = query.trim_start();
                query.starts_with("query") || query.starts_with('{')
            }),
        }
    }
    matches!(body, Body::Json(value) if reads(value))
}

/// Whether the guard would refuse the host unless the portal is private.
pub fn is_private(origin: &Url) -> bool {
    match origin.host() {
        Some(Host::Ipv4(address)) => address.is_private() || address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback() || address.is_unique_local(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// A name for the portal from its host: `portal.acme.example` is `acme`.
fn portal_name(origin: &Url) -> String {
    let name = match origin.host() {
        Some(Host::Domain(host)) => {
            psl::domain_str(host).unwrap_or(host).split('.').next().unwrap_or_default()
        }
        _ => "",
    };
    let name: String =
        name.to_ascii_lowercase().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "portal".to_owned() } else { name.to_owned() }
}
