//! What can only be judged with the whole journey in view.

use std::collections::BTreeSet;

use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING, UPGRADE};

use super::capture::Source;
use super::request::literal_origin;
use super::spec::{MOST_STEPS, Spec};
use super::step::{Action, MOST_REPEATS, Shown, Step};
use super::template::check_name;
use crate::formats::yaml::nearest;
use crate::model::Identity;
use crate::probe::web::tls;
use crate::probe::{Problem, Scope};

/// The longest name of a step, in characters: it is a label of metrics.
const LONGEST_NAME: usize = 64;

/// [`super::Journey`]'s problems.
pub fn problems(spec: &Spec, scope: &Scope) -> Vec<Problem> {
    let mut all = Problems::default();
    if scope.portal.url.is_none() {
        all.say(&[], "the portal has no url; give it one, journeys start there");
    }
    all.identity(spec, scope.identity.as_deref());
    all.steps(spec);
    all.names(spec);
    all.writes(spec);
    all.variables(spec, scope.identity.as_deref());
    all.times(spec, scope);
    for why in tls::faults(&scope.tls) {
        all.say(&[], why);
    }
    all.0
}

/// The hosts a run connects to.
pub fn hosts(spec: &Spec, scope: &Scope) -> Vec<String> {
    let portal = scope.portal.url.iter().cloned();
    let named = all_steps(spec).flat_map(|(_, step)| {
        let target = step.actions().find_map(|(_, action)| match action {
            Action::Request(_, target) => literal_origin(target.source()),
            Action::Submit(_) | Action::Follow(_) => None,
        });
        target.into_iter().chain(step.origin.iter().map(|origin| (*origin.0).clone()))
    });
    let oauth2 = scope.identity.iter().filter_map(|identity| identity.oauth2.as_ref());
    let token = oauth2.map(|client| client.token_url.clone());
    let urls = portal.chain(named).chain(token);
    let hosts = urls.filter_map(|url| Some(url.host_str()?.trim_matches(['[', ']']).to_owned()));
    hosts.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Every step of a journey, with the keys that lead to it.
fn all_steps(spec: &Spec) -> impl Iterator<Item = (Vec<String>, &Step)> {
    fn of<'a>(key: &'static str, steps: &'a [Step]) -> impl Iterator<Item = (Vec<String>, &'a Step)> {
        steps.iter().enumerate().map(move |(index, step)| (vec![key.to_owned(), format!("[{index}]")], step))
    }
    let sweep = spec.sweep.iter().enumerate().flat_map(|(index, rule)| {
        let path = vec!["sweep".to_owned(), format!("[{index}]")];
        let then = [path.clone(), vec!["then".to_owned()]].concat();
        let several = rule.then.0.len() > 1;
        let removals = rule.then.0.iter().enumerate().map(move |(index, step)| {
            let place = several.then(|| format!("[{index}]"));
            (then.iter().cloned().chain(place).collect(), step)
        });
        std::iter::once((path, &rule.search)).chain(removals)
    });
    let out = spec.sign_out.iter().flat_map(|out| std::iter::once(&out.step).chain(&out.replay));
    of("steps", &spec.steps)
        .chain(of("cleanup", &spec.cleanup))
        .chain(sweep)
        .chain(out.map(|step| (vec!["sign_out".to_owned()], step)))
}

#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn say(&mut self, path: &[&str], message: impl Into<String>) {
        let path = path.iter().map(|key| (*key).to_owned()).collect();
        self.0.push(Problem { path, message: message.into() });
    }

    fn at(&mut self, path: &[String], key: &str, message: impl Into<String>) {
        let mut path = path.to_vec();
        if !key.is_empty() {
            path.push(key.to_owned());
        }
        self.0.push(Problem { path, message: message.into() });
    }

    fn identity(&mut self, spec: &Spec, identity: Option<&Identity>) {
        let Some(identity) = identity else { return };
        if spec.bearer.is_some() && (identity.token.is_some() || identity.oauth2.is_some()) {
            let message = "the identity brings a token of its own; leave bearer out";
            self.say(&["bearer"], message);
        }
    }

    fn steps(&mut self, spec: &Spec) {
        if spec.steps.is_empty() || spec.steps.len() > MOST_STEPS {
            self.say(&["steps"], format!("a journey has 1 to {MOST_STEPS} steps"));
        }
        // Only the steps themselves can be the first to show something.
        let mut new = spec.newly_shown();
        for (path, step) in all_steps(spec) {
            let signs_in = is_main(&path) && new.next().is_some_and(Shown::signs_in);
            self.action(&path, step);
            self.headers(&path, step);
            self.body(&path, step);
            self.again(&path, step, signs_in);
            if step.replay.is_some() {
                self.at(&path, "replay", "replay belongs in sign_out");
            }
            for name in step.capture.keys() {
                if let Err(why) = check_name(name) {
                    self.at(&[path.clone(), vec!["capture".to_owned()]].concat(), name, why);
                }
            }
        }
        if spec.sign_out.is_some() && spec.replayed().is_none() {
            let message = "nothing shows that the session is dead: no step after the sign-in is a get; write replay: PATH of a page that only a session opens";
            self.say(&["sign_out"], message);
        }
    }

    fn headers(&mut self, path: &[String], step: &Step) {
        let own = [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, UPGRADE];
        for name in step.headers.iter().flat_map(|headers| headers.names()) {
            let message = if own.contains(name) {
                format!("{name} is set by the connection itself; leave it out")
            } else if *name == CONTENT_TYPE && step.multipart.is_some() {
                "a multipart body brings its own content-type, with its boundary; leave it out".to_owned()
            } else {
                continue;
            };
            self.at(&[path, &["headers".to_owned()]].concat(), name.as_str(), message);
        }
    }

    fn action(&mut self, path: &[String], step: &Step) {
        let actions: Vec<_> = step.actions().collect();
        match actions.as_slice() {
            [] => self.at(
                path,
                "",
                "a step needs one of get, head, options, post, put, patch, delete, submit and follow",
            ),
            [(key, Action::Request(_, target))] => {
                let source = target.source();
                if source.contains("://") && !source.starts_with('/') {
                    if literal_origin(source).is_none() {
                        let message = format!(
                            "{source:?} is no address with a literal origin; write https://host/path"
                        );
                        self.at(path, key, message);
                    }
                } else if !source.starts_with('/') {
                    self.at(
                        path,
                        key,
                        format!("{source:?} does not start with a slash; write \"/{source}\""),
                    );
                }
            }
            [_] => {}
            [_, (second, _), ..] => {
                self.at(path, second, "a step makes one request; make this another step");
            }
        }
        if step.origin.is_some() && step.submit.is_none() && step.follow.is_none() {
            let message =
                "origin says where a form or link may lead; write the whole address in the step instead";
            self.at(path, "origin", message);
        }
    }

    fn body(&mut self, path: &[String], step: &Step) {
        let bodies: Vec<&str> = step.bodies().collect();
        if let [first, second, ..] = bodies.as_slice() {
            self.at(path, second, format!("a request has one body; keep {first} or {second}"));
        }
        let Some(body) = bodies.first() else { return };
        if step.submit.is_some() && *body != "form" {
            self.at(path, body, "a submitted form has fields; write them under form");
        }
        let bodiless = [&step.get, &step.head, &step.options].iter().any(|target| target.is_some());
        if bodiless || step.follow.is_some() {
            self.at(path, body, "this request has no body; write parameters under query");
        }
    }

    fn again(&mut self, path: &[String], step: &Step, signs_in: bool) {
        let repeats = step.repeat.as_ref().map(|repeat| repeat.times);
        if repeats.is_some_and(|times| !(1..=MOST_REPEATS).contains(&times)) {
            self.at(path, "repeat", format!("a step is repeated 1 to {MOST_REPEATS} times"));
        }
        for (key, given) in [("eventually", step.eventually.is_some()), ("repeat", repeats.is_some())] {
            if given && step.write {
                self.at(
                    path,
                    key,
                    "a write is sent once; wait for its effect in the step that reads it back",
                );
            }
            if given && signs_in {
                self.at(path, key, "a credential is shown once; another attempt could lock the account");
            }
        }
    }

    fn names(&mut self, spec: &Spec) {
        let mut known = BTreeSet::new();
        for (index, step) in spec.steps.iter().enumerate() {
            let path = ["steps".to_owned(), format!("[{index}]")];
            let Some(name) = step.name.as_deref().filter(|name| !name.trim().is_empty()) else {
                self.at(&path, "name", "a step needs a name; it stands in findings and metrics");
                continue;
            };
            if name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
                self.at(&path, "name", format!("a name is one line of at most {LONGEST_NAME} characters"));
            }
            if !known.insert(name) {
                self.at(&path, "name", format!("another step is called {name:?} already"));
            }
        }
    }

    fn writes(&mut self, spec: &Spec) {
        let first = spec.first_write();
        if let Some(first) = first {
            let path = ["steps".to_owned(), format!("[{first}]")];
            if spec.sweep.is_empty() {
                let message =
                    "a journey that writes needs a sweep, which finds and removes what a crash leaves behind";
                self.at(&path, "write", message);
            }
            if spec.cleanup.is_empty() {
                self.at(&path, "write", "a journey that writes needs a cleanup, which removes what it wrote");
            }
            if spec.daily_writes == 0 {
                self.say(&["daily_writes"], "no write is allowed; leave the step out instead");
            }
            if !spec.steps.iter().filter(|step| step.write).any(names_run) {
                let message = "no write carries {{ run.id }}, by which a sweep could find it; put it into a title or name";
                self.at(&path, "write", message);
            }
        }
        for (path, _) in all_steps(spec).filter(|(path, step)| step.write && !is_main(path)) {
            self.at(&path, "write", "what is done here only removes; leave write out");
        }
        for (index, rule) in spec.sweep.iter().enumerate() {
            let path = ["sweep".to_owned(), format!("[{index}]")];
            let by_run = rule.each.variables().iter().any(|name| is_of("run", name));
            if !names_run(&rule.search) && !by_run {
                self.at(
                    &path,
                    "get",
                    "a sweep searches by {{ run.id }}, here or in each; else it would remove what others wrote",
                );
            }
            let names_item = |step: &Step| step.variables().any(|name| is_of("item", &name));
            if !rule.then.0.iter().any(names_item) {
                self.at(&path, "then", "no step names {{ item }}, what the search has found");
            }
        }
    }

    fn variables(&mut self, spec: &Spec, identity: Option<&Identity>) {
        let later: BTreeSet<&str> =
            spec.steps.iter().flat_map(|step| step.capture.keys()).map(|name| &**name).collect();
        let known = self.list(&["steps"], &spec.steps, Known::of(identity), &later);
        self.list(&["cleanup"], &spec.cleanup, known.clone(), &later);
        let sweeping = Known::when_sweeping(spec, identity);
        for (index, rule) in spec.sweep.iter().enumerate() {
            let path = ["sweep".to_owned(), format!("[{index}]")];
            for name in rule.each.variables().iter().filter(|name| !sweeping.has(name)) {
                self.at(&path, "each", sweeping.missing(name, &later));
            }
            self.known(&path, &rule.search, &sweeping, &later);
            let mut here = sweeping.clone();
            here.values.insert("item".to_owned());
            let [sweep, index] = &path;
            self.list(&[sweep, index, "then"], &rule.then.0, here, &later);
        }
        for step in spec.sign_out.iter().flat_map(|out| std::iter::once(&out.step).chain(&out.replay)) {
            self.known(&["sign_out".to_owned()], step, &known, &later);
        }
        if let Some(bearer) = spec.bearer.as_deref().filter(|bearer| !later.contains(bearer)) {
            self.say(&["bearer"], unknown(bearer, &later));
        }
    }

    /// Steps that are done one after the other: each knows what those before it captured. What is
    /// known after the last.
    fn list(&mut self, path: &[&str], steps: &[Step], known: Known, later: &BTreeSet<&str>) -> Known {
        let mut known = known;
        for (index, step) in steps.iter().enumerate() {
            let mut path: Vec<String> = path.iter().map(|key| (*key).to_owned()).collect();
            // What removes an item may be written as one step that is no list.
            if steps.len() > 1 || path.last().is_none_or(|key| key != "then") {
                path.push(format!("[{index}]"));
            }
            self.known(&path, step, &known, later);
            known.learn(step);
        }
        known
    }

    fn known(&mut self, path: &[String], step: &Step, known: &Known, later: &BTreeSet<&str>) {
        for (key, action) in step.actions() {
            let (name, what, there) = match action {
                Action::Submit(name) => (name, "form", &known.forms),
                Action::Follow(name) => (name, "link", &known.links),
                Action::Request(..) => continue,
            };
            if !there.contains(name) {
                let message = format!(
                    "no step before captures a {what} as {name:?}; write capture: {{{name}: {{{what}: SELECTOR}}}}"
                );
                self.at(path, key, message);
            }
        }
        let submitted = [step.submit.as_deref(), step.follow.as_deref()];
        let mut named = step.named();
        named.retain(|(_, name)| !submitted.contains(&Some(name.as_str())));
        let when = step.when.iter().flat_map(|when| when.variables());
        named.extend(when.map(|name| ("when", name)));
        let until = step.repeat.iter().flat_map(|repeat| &repeat.until).flat_map(|until| until.variables());
        // It is asked once the step has taken its captures.
        let until = until.filter(|name| !step.capture.keys().any(|own| is_of(own, name)));
        named.extend(until.map(|name| ("repeat", name)));
        let mut told = BTreeSet::new();
        for (key, name) in named {
            let repeats = step.repeat.is_some() && is_of("repeat", &name);
            if !known.has(&name) && !repeats && told.insert(name.clone()) {
                self.at(path, key, known.missing(&name, later));
            }
        }
    }

    fn times(&mut self, spec: &Spec, scope: &Scope) {
        for (path, step) in all_steps(spec) {
            let Some(again) = step.eventually else { continue };
            if again.within.0 >= scope.deadline {
                let message =
                    "this alone takes as long as the whole journey may; raise deadline or lower within";
                self.at(&path, "eventually", message);
            }
            if again.every.0 > again.within.0 {
                self.at(&path, "eventually", "every is longer than within: the step would be tried once");
            }
        }
    }
}

/// Whether the keys lead to a step of the journey itself.
fn is_main(path: &[String]) -> bool {
    path.first().is_some_and(|key| key == "steps")
}

fn names_run(step: &Step) -> bool {
    step.variables().any(|name| name == "run.id" || name == "run")
}

fn is_of(root: &str, name: &str) -> bool {
    name.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn unknown(name: &str, captured: &BTreeSet<&str>) -> String {
    match nearest(name, captured.iter().copied()) {
        Some(meant) => format!("nothing is captured as {name:?}, did you mean {meant:?}?"),
        None => format!("nothing is captured as {name:?}"),
    }
}

/// What the templates of a step may name.
#[derive(Clone)]
struct Known {
    values: BTreeSet<String>,
    forms: BTreeSet<String>,
    links: BTreeSet<String>,
    identity: Option<String>,
}

impl Known {
    fn of(identity: Option<&Identity>) -> Self {
        let run = ["run", "run.id", "run.started"];
        let mut values: BTreeSet<String> = run.into_iter().map(str::to_owned).collect();
        if let Some(identity) = identity {
            let fields = [
                ("identity.username", identity.username.is_some()),
                ("identity.password", identity.password.is_some()),
                ("identity.totp", identity.totp.is_some()),
                ("identity.token", identity.token.is_some()),
            ];
            values.extend(fields.into_iter().filter(|(_, given)| *given).map(|(name, _)| name.to_owned()));
        }
        let identity = identity.map(|identity| identity.name.clone());
        Self { values, forms: BTreeSet::new(), links: BTreeSet::new(), identity }
    }

    /// What a sweep may name: it stands right before the first write, and what that write and later
    /// steps captured is what the ledger kept of it.
    fn when_sweeping(spec: &Spec, identity: Option<&Identity>) -> Self {
        let mut known = Self::of(identity);
        let before = spec.steps.iter().take(spec.first_write().unwrap_or_default());
        before.for_each(|step| known.learn(step));
        let captures = spec.steps.iter().flat_map(|step| &step.capture);
        let kept = captures.filter(|(_, capture)| capture.keep).map(|(name, _)| name.to_string());
        known.values.extend(kept);
        known
    }

    fn learn(&mut self, step: &Step) {
        for (name, capture) in &step.capture {
            match capture.source {
                Source::Form(_) => self.forms.insert(name.to_string()),
                Source::Link(_) => self.links.insert(name.to_string()),
                _ => self.values.insert(name.to_string()),
            };
        }
    }

    fn has(&self, name: &str) -> bool {
        let own = ["identity", "run"].iter().any(|root| is_of(root, name));
        if own { self.values.contains(name) } else { self.values.iter().any(|known| is_of(known, name)) }
    }

    fn missing(&self, name: &str, later: &BTreeSet<&str>) -> String {
        let root = name.split('.').next().unwrap_or_default();
        if root == "identity" {
            return match &self.identity {
                Some(identity) => {
                    format!("the identity {identity:?} has no {}", name.trim_start_matches("identity."))
                }
                None => format!("{name} needs an identity; write `as: NAME` in the journey"),
            };
        }
        if self.forms.contains(root) || self.links.contains(root) {
            return format!("{root:?} is a form or link: it is used by submit or follow, not in a template");
        }
        if later.contains(root) {
            return format!("{root:?} is captured only by a later step");
        }
        let names = self.values.iter().map(String::as_str).chain(later.iter().copied());
        match nearest(name, names) {
            Some(meant) => format!("unknown variable {name:?}, did you mean {meant:?}?"),
            None => format!("unknown variable {name:?}; no step before captures it"),
        }
    }
}

#[cfg(test)]
mod tests;
