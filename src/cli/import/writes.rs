//! What a write made, and drafts of how to remove it: after the run, and after a crash.

use serde_json::{Value, json};

use super::body::Body;
use super::build::Builder;
use super::draft::{Ask, Field, Payload, Step, Sweep, Text};
use super::pick::Taken;
use super::sources::{Source, json_paths};
use super::words;

/// What a removal may be answered; what is gone already is well too.
const REMOVED_STATUS: [i64; 4] = [200, 202, 204, 404];
const CHECK_CLEANUP: &str = "a guess: see how this portal removes what the step made";
const CHECK_SWEEP: &str = "a guess: see how this portal finds by a text, and where its answer has the ids";

/// A thing that a step of the journey made.
pub struct Created {
    /// Its id in the recording.
    pub value: String,
    /// Its id in a template.
    pub expression: String,
    /// The path before the id, and what follows the id.
    prefix: String,
    suffix: &'static str,
    /// Where the id was.
    source: Source,
    /// Which of the drafts removes it.
    slot: usize,
}

/// Drafts of cleanup and sweep.
#[derive(Default)]
pub struct Undo {
    cleanup: Vec<Step>,
    sweep: Vec<Sweep>,
}

impl Undo {
    /// Cleanup (the last made goes first) and sweep.
    pub fn finish(mut self) -> (Vec<Step>, Vec<Sweep>) {
        self.cleanup.reverse();
        self.sweep.reverse();
        (self.cleanup, self.sweep)
    }
}

impl Builder<'_> {
    /// Whether a request removes what an earlier step made.
    pub fn undoes(&self, taken: &Taken<'_>) -> bool {
        let path = taken.url.path().to_ascii_lowercase();
        let words = ["delete", "destroy", "remove", "retire", "archive", "trash"];
        let removes = taken.request.method.eq_ignore_ascii_case("DELETE")
            || (taken.is_unsafe() && path.split('/').any(|part| words.contains(&part)));
        removes && self.created.iter().any(|created| has_segment(taken, &created.value))
    }

    /// The person removed it too: that is the cleanup.
    pub fn recorded_undo(&mut self, index: usize, taken: &Taken<'_>) {
        let Some(at) = self.created.iter().rposition(|created| has_segment(taken, &created.value)) else {
            return;
        };
        let Some(created) = self.created.get_mut(at) else { return };
        let slot = created.slot;
        let expression = std::mem::replace(&mut created.expression, "item".to_owned());
        let mut then = self.plain(index, taken);
        then.status = REMOVED_STATUS.to_vec();
        keep_only_items(&mut then);
        if let Some(created) = self.created.get_mut(at) {
            created.expression = expression;
        }
        let mut cleanup = self.plain(index, taken);
        cleanup.status = REMOVED_STATUS.to_vec();
        cleanup.notes.push("as recorded; see that it works right after the write, too".to_owned());
        if let Some(guess) = self.undo.cleanup.get_mut(slot) {
            *guess = cleanup;
        }
        if let Some(guess) = self.undo.sweep.get_mut(slot) {
            guess.then = then;
        }
    }

    /// Looks for what the write made, and drafts its removal.
    pub fn after_write(&mut self, index: usize, taken: &Taken<'_>, step: &mut Step) {
        if !self.marked {
            step.notes.push("no title or text was found to carry `{{ run.id }}`, by which people and the sweep know it; put it into one".to_owned());
        }
        step.notes.push("take `write: true` away if this changes nothing".to_owned());
        let making = taken.request.method.eq_ignore_ascii_case("POST");
        let graphql = matches!(&taken.body, Body::Json(value) if value.get("query").is_some());
        let made = if making { self.made(index, taken) } else { None };
        let (cleanup, sweep) = match made {
            Some(created) => {
                let drafts = if graphql { graphql_drafts(taken, &created) } else { self.drafts(&created) };
                self.created.push(created);
                drafts
            }
            None => put_back(step, taken, making),
        };
        self.undo.cleanup.push(cleanup);
        self.undo.sweep.push(sweep);
    }
}

impl Builder<'_> {
    /// What the step made: its id in the answer's JSON, in `Location`, or in the page it led to.
    fn made(&mut self, index: usize, taken: &Taken<'_>) -> Option<Created> {
        let answer = taken.answers.first()?;
        let path = taken.url.path().trim_end_matches('/').to_owned();
        let collection = path.rsplit('/').next().unwrap_or_default().to_owned();
        let slot = self.undo.cleanup.len();
        let suffix = if taken.url.path().ends_with('/') { "/" } else { "" };
        let text = taken.answers.iter().rev().find_map(|answer| answer.text());
        let json = text.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
        if let Some((at, value)) = json.as_ref().and_then(|json| self.id_in(index, json)) {
            let prefix = self.prefix_of(index, &value).unwrap_or(path);
            let expression = self.keep(index, Source::Json(at.clone()), &hint(&collection, &at), Vec::new());
            return Some(Created { value, expression, prefix, suffix, source: Source::Json(at), slot });
        }
        if let Some(location) = answer.header("location").filter(|_| answer.status == 201) {
            let target = taken.url.join(location).ok()?;
            let (prefix, value) = target.path().trim_end_matches('/').rsplit_once('/')?;
            let name =
                self.keep(index, Source::Header("location".to_owned()), &hint(&collection, ""), Vec::new());
            let origin = target.origin().ascii_serialization();
            let expression = format!("{name} | replace('{origin}{prefix}/', '') | replace('{prefix}/', '')");
            let source = Source::Json("$[*].id".to_owned());
            return Some(Created {
                value: value.to_owned(),
                expression,
                prefix: prefix.to_owned(),
                suffix,
                source,
                slot,
            });
        }
        if taken.landed.path() != taken.url.path() {
            return self.made_page(index, taken, slot, text.as_deref());
        }
        if !self.sources.is_blank(index) || taken.document {
            return None;
        }
        let note =
            "the answer's body is not in the recording; where the id of what was made stands is guessed"
                .to_owned();
        let source = Source::Json("$.id".to_owned());
        let expression = self.keep(index, source.clone(), &hint(&collection, ""), vec![note]);
        Some(Created { value: String::new(), expression, prefix: path, suffix, source, slot })
    }

    /// A form led to the page of what it made; journeys capture from the page, not from its address.
    fn made_page(
        &mut self,
        index: usize,
        taken: &Taken<'_>,
        slot: usize,
        text: Option<&str>,
    ) -> Option<Created> {
        let parts: Vec<&str> = taken.landed.path().split('/').collect();
        let is_id = |part: &&str| words::looks_random(part) || part.bytes().any(|byte| byte.is_ascii_digit());
        let at = parts.iter().rposition(is_id)?;
        let value = (*parts.get(at)?).to_owned();
        let prefix = parts.get(..at)?.join("/");
        let digits = value.bytes().all(|byte| byte.is_ascii_digit());
        let pattern =
            format!("{}/({})", regex::escape(&prefix), if digits { "[0-9]+" } else { "[A-Za-z0-9_-]+" });
        let shown = text.is_some_and(|text| text.contains(&format!("{prefix}/{value}")));
        let note = "the id stood in the address after the redirect; that the page names it first of its kind is guessed".to_owned();
        let notes = if shown { Vec::new() } else { vec![note] };
        let collection = prefix.rsplit('/').next().unwrap_or_default().to_owned();
        let source = Source::Regex(pattern);
        let expression = self.keep(index, source.clone(), &hint(&collection, ""), notes);
        Some(Created { value, expression, prefix, suffix: "", source, slot })
    }

    fn keep(&mut self, index: usize, source: Source, hint: &str, notes: Vec<String>) -> String {
        let name = self.capture(index, source, hint, notes);
        if let Some(capture) =
            self.captures.get_mut(&index).and_then(|all| all.iter_mut().find(|one| one.name == name))
        {
            capture.keep = true;
        }
        name
    }

    /// The id in an answer: what later addresses use, else what is named so and stands highest.
    fn id_in(&self, index: usize, json: &Value) -> Option<(String, String)> {
        let mut found: Vec<(bool, usize, String, String)> = Vec::new();
        json_paths("$", json, &mut 2_000, &mut |path, value| {
            let last = path.rsplit('.').next().unwrap_or_default();
            if ["id", "_id", "uuid", "key", "slug", "iid", "number", "guid"].contains(&last)
                && !value.is_empty()
            {
                let unused = self.prefix_of(index, value).is_none();
                found.push((unused, path.matches(['.', '[']).count(), path.to_owned(), value.to_owned()));
            }
        });
        found.into_iter().min().map(|(_, _, path, value)| (path, value))
    }

    /// The path before this id in a later address.
    fn prefix_of(&self, index: usize, value: &str) -> Option<String> {
        let later = self.picked.steps.iter().skip(index + 1);
        later.map(|step| step.url.path()).find_map(|path| {
            let parts: Vec<&str> = path.split('/').collect();
            let at = parts.iter().position(|part| *part == value)?;
            Some(parts.get(..at)?.join("/"))
        })
    }

    fn drafts(&self, created: &Created) -> (Step, Sweep) {
        let Created { expression, prefix, suffix, source, .. } = created;
        let prefix = words::literal(prefix);
        let page = matches!(source, Source::Regex(_));
        let remove = |id: &str| {
            let (method, after) = if page { ("post", "/delete") } else { ("delete", *suffix) };
            let mut step = Step::request(method, format!("{prefix}/{{{{ {id} }}}}{after}"));
            step.status = REMOVED_STATUS.to_vec();
            step
        };
        let mut cleanup = remove(expression);
        cleanup.notes.push(CHECK_CLEANUP.to_owned());
        let each = if page { source.clone() } else { Source::Json(self.list_path(&created.prefix)) };
        let sweep = Sweep {
            notes: vec![CHECK_SWEEP.to_owned()],
            find: Step::request("get", format!("{prefix}{suffix}?q={{{{ run.id }}}}")),
            each,
            then: remove("item"),
        };
        (cleanup, sweep)
    }

    /// Where a recorded list of the same collection has its ids.
    fn list_path(&self, prefix: &str) -> String {
        let lists = self
            .picked
            .steps
            .iter()
            .filter(|step| !step.is_unsafe() && step.url.path().trim_end_matches('/') == prefix);
        let bodies = lists.flat_map(|step| step.answers.iter().filter_map(|answer| answer.text()));
        let found = bodies
            .filter_map(|text| serde_json::from_str::<Value>(&text).ok())
            .find_map(|list| ids_path(&list));
        found.unwrap_or_else(|| "$[*].id".to_owned())
    }
}

fn ids_path(list: &Value) -> Option<String> {
    let has_ids = |items: &Value| {
        items.as_array().is_some_and(|items| items.iter().any(|item| item.get("id").is_some()))
    };
    if has_ids(list) {
        return Some("$[*].id".to_owned());
    }
    let members = list.as_object()?;
    let simple = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let (name, _) = members.iter().find(|(name, items)| simple(name) && has_ids(items))?;
    Some(format!("$.{name}[*].id"))
}

/// A name for what was made: `tickets` makes a `ticket`, `$.data.createTicket.id` too.
fn hint(collection: &str, path: &str) -> String {
    if let Some(field) = path.strip_prefix("$.data.") {
        let field = field.split('.').next().unwrap_or(field);
        let thing = ["create", "add", "new", "insert"].iter().find_map(|word| field.strip_prefix(word));
        return thing.unwrap_or(field).to_owned();
    }
    if words::looks_random(collection) || collection.is_empty() {
        "created".to_owned()
    } else {
        words::singular(collection)
    }
}

/// A mutation that removes, named after the one that made.
fn graphql_drafts(taken: &Taken<'_>, created: &Created) -> (Step, Sweep) {
    let thing = match &created.source {
        Source::Json(path) => hint("", path),
        _ => "created".to_owned(),
    };
    let plain: String = thing.chars().filter(char::is_ascii_alphanumeric).collect();
    let path = words::literal(taken.url.path());
    let remove = |id: &str| {
        let query = format!("mutation ($id: ID!) {{ delete{plain}(id: $id) {{ id }} }}");
        let mut step = Step::request("post", path.clone());
        step.payload =
            Payload::Json(json!({ "query": query, "variables": { "id": format!("{{{{ {id} }}}}") } }));
        step
    };
    let mut cleanup = remove(&created.expression);
    cleanup.notes.push(CHECK_CLEANUP.to_owned());
    let field = format!("{}s", plain.to_lowercase());
    let mut find = Step::request("get", path.clone());
    let query = format!("{{ {field}(search: \"{{{{ run.id }}}}\") {{ id }} }}");
    find.query = vec![("query".to_owned(), query)];
    let each = Source::Json(format!("$.data.{field}[*].id"));
    (cleanup, Sweep { notes: vec![CHECK_SWEEP.to_owned()], find, each, then: remove("item") })
}

/// A change of what was there before is undone by writing it as it was.
fn put_back(step: &Step, taken: &Taken<'_>, making: bool) -> (Step, Sweep) {
    let (method, target) = match &step.ask {
        Ask::Request(method, target) => (method.clone(), target.clone()),
        Ask::Submit(_) => ("post".to_owned(), words::literal(taken.url.path())),
    };
    let path = target.split('?').next().unwrap_or(&target).trim_end_matches('/');
    // What is changed is named by its own address; what is made, by one below.
    let is_id = |part: &str| {
        part.contains("{{") || words::looks_random(part) || part.bytes().any(|b| b.is_ascii_digit())
    };
    let collection = match path.rsplit_once('/') {
        Some((before, last)) if !making && is_id(last) => before,
        _ => path,
    };
    let method = if making { "delete" } else { method.as_str() };
    let undo = |target: String| {
        let mut undo = Step::request(method, target);
        undo.payload = if making { Payload::Empty } else { plain_payload(&taken.body) };
        undo
    };
    let mut cleanup = undo(if making { format!("{path}/{{{{ run.id }}}}") } else { target.clone() });
    cleanup.status = REMOVED_STATUS.to_vec();
    cleanup.notes.push(if making {
        "the answer held no id, so this is a blind guess: write how the thing is removed".to_owned()
    } else {
        "write what stood there before".to_owned()
    });
    let sweep = Sweep {
        notes: vec![CHECK_SWEEP.to_owned()],
        find: Step::request("get", format!("{collection}?q={{{{ run.id }}}}")),
        each: Source::Json("$[*].id".to_owned()),
        then: undo(format!("{collection}/{{{{ item }}}}")),
    };
    (cleanup, sweep)
}

/// A recorded JSON body, each text as it was.
fn plain_payload(body: &Body) -> Payload {
    fn plain(value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                members.iter().map(|(name, value)| (name.clone(), plain(value))).collect()
            }
            Value::Array(items) => items.iter().map(plain).collect(),
            Value::String(text) => Value::String(words::literal(text)),
            _ => value.clone(),
        }
    }
    match body {
        Body::Json(value) => Payload::Json(plain(value)),
        _ => Payload::Empty,
    }
}

/// A sweep knows what it found and nothing of the run that left it.
fn keep_only_items(step: &mut Step) {
    let known = |text: &str| !text.contains("{{") || text == "{{ item }}" || text.contains("identity.");
    let before = step.headers.len();
    step.headers.retain(|(_, text)| !matches!(text, Text::Template(text) if !known(text)));
    let mut missing = step.headers.len() < before;
    match &mut step.payload {
        Payload::Form(fields) => {
            let before = fields.len();
            fields.retain(|(_, text)| known(text));
            missing |= fields.len() < before;
        }
        Payload::Json(Value::Object(members)) => {
            let before = members.len();
            members
                .retain(|_, value| value.as_str().map_or_else(|| !value.to_string().contains("{{"), known));
            missing |= members.len() < before;
        }
        _ => {}
    }
    if missing {
        step.notes
            .push("what came from a page is missing here: get the page first, and capture it".to_owned());
    }
}

/// A journey that writes names its run in a write; where no text was found for it, a header does.
pub fn name_the_run(steps: &mut [(usize, Step)]) {
    let writes = || steps.iter().filter(|(_, step)| step.write);
    if writes().any(|(_, step)| names_run(&step.payload)) {
        return;
    }
    if let Some((_, step)) = steps.iter_mut().find(|(_, step)| step.write) {
        step.notes.push(
            "the header x-run-id only stands in for a text that people and the sweep can find".to_owned(),
        );
        step.headers.push(("x-run-id".to_owned(), Text::Template("{{ run.id }}".to_owned())));
    }
}

fn names_run(payload: &Payload) -> bool {
    let names = |text: &str| text.contains("{{ run.id }}");
    match payload {
        Payload::Empty => false,
        Payload::Form(fields) => fields.iter().any(|(_, text)| names(text)),
        Payload::Json(value) => names(&value.to_string()),
        Payload::Multipart(parts) => parts.iter().any(|(_, field)| match field {
            Field::Text(text) => names(text),
            Field::File { content, .. } => names(content),
        }),
        Payload::Text(text) => names(text),
    }
}

fn has_segment(taken: &Taken<'_>, value: &str) -> bool {
    !value.is_empty() && taken.url.path().split('/').any(|part| part == value)
}
