//! From a recorded value to what a journey says in its place.

use serde_json::Value;
use url::Url;

use super::body::{Body, percent_decoded};
use super::build::Builder;
use super::draft::{Capture, Field, Payload};
use super::secrets::REMOVED;
use super::sources::Source;
use super::words;

pub const USERNAME: &str = "{{ identity.username }}";
pub const PASSWORD: &str = "{{ identity.password }}";
pub const TOTP: &str = "{{ totp(identity.totp) }}";
const UUID: &str = "{{ uuid() }}";
/// Shorter values, such as `en` or `1`, are everywhere.
const SHORTEST: usize = 6;

impl Builder<'_> {
    /// What stands for a value that step sent under this name.
    pub fn value(&mut self, step: usize, name: &str, value: &str, notes: &mut Vec<String>) -> String {
        if let Some(known) = self.known(value) {
            return known;
        }
        let named = (words::is_csrf(name) || words::is_secret(name)) && value.len() >= SHORTEST;
        let random = words::looks_random(value);
        if !named && !random {
            return words::literal(value);
        }
        if let Some(captured) = self.captured(step, name, value) {
            return captured;
        }
        if words::is_csrf(name)
            && let Some(page) = self.blank_page_before(step)
        {
            let note = format!(
                "the page's body is not in the recording: that a field is called {name} is guessed from what was sent"
            );
            let capture = self.capture(page, Source::Field(name.to_owned()), name, vec![note]);
            return format!("{{{{ {capture} }}}}");
        }
        unexplained(name, value, random, notes)
    }

    /// What a person typed or this journey made.
    fn known(&self, value: &str) -> Option<String> {
        if value.is_empty() {
            return Some(String::new());
        }
        let is = |typed: &Option<String>| typed.as_deref() == Some(value);
        if is(&self.typed.password) {
            return Some(PASSWORD.to_owned());
        }
        if self.typed.codes.iter().any(|code| code == value) {
            return Some(TOTP.to_owned());
        }
        if is(&self.typed.username) {
            return Some(USERNAME.to_owned());
        }
        if let Some(created) = self.created.iter().rev().find(|created| created.value == value) {
            return Some(format!("{{{{ {} }}}}", created.expression));
        }
        self.prose.get(value).cloned()
    }

    /// A reference to the earlier answer that held the value.
    pub fn captured(&mut self, step: usize, name: &str, value: &str) -> Option<String> {
        let (at, source) = self.sources.find(value, name, step)?;
        if self.skipped(at) {
            return None;
        }
        let mut notes = Vec::new();
        if let Source::Json(path) = &source
            && path.contains('[')
        {
            notes.push(
                "taken from where it stood in the recorded list; choose the item by what it is".to_owned(),
            );
        }
        let capture = self.capture(at, source, name, notes);
        Some(format!("{{{{ {capture} }}}}"))
    }

    /// The name of a capture in the step; one there already is used again.
    pub fn capture(&mut self, step: usize, source: Source, hint: &str, notes: Vec<String>) -> String {
        if let Some(same) =
            self.captures.get(&step).and_then(|all| all.iter().find(|one| one.source == source))
        {
            return same.name.clone();
        }
        let name = self.unique(hint);
        self.captures.entry(step).or_default().push(Capture {
            name: name.clone(),
            source,
            keep: false,
            notes,
        });
        name
    }

    /// An identifier that nothing else has.
    pub fn unique(&mut self, hint: &str) -> String {
        let base = words::identifier(hint);
        let mut name = base.clone();
        let mut number = 2;
        while !self.names.insert(name.clone()) {
            name = format!("{base}_{number}");
            number += 1;
        }
        name
    }

    /// The address of a step as a template: a path, or whole where it leads elsewhere.
    pub fn target(&mut self, step: usize, url: &Url, notes: &mut Vec<String>) -> String {
        let mut target = if url.origin() == self.picked.origin.origin() {
            String::new()
        } else {
            url.origin().ascii_serialization()
        };
        let mut before = "";
        for segment in url.path().trim_start_matches('/').split('/') {
            target.push('/');
            target.push_str(&self.segment(step, before, segment, notes));
            before = segment;
        }
        let mut mark = '?';
        for pair in url.query().into_iter().flat_map(|query| query.split('&')).filter(|pair| !pair.is_empty())
        {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let plain = percent_decoded(&value.replace('+', " "));
            if words::is_cache_buster(name, &plain) {
                continue;
            }
            let said = self.value(step, &percent_decoded(name), &plain, notes);
            target.push(mark);
            mark = '&';
            target.push_str(&words::literal(name));
            if pair.contains('=') {
                target.push('=');
                target.push_str(&in_address(&said, &plain, value));
            }
        }
        target
    }

    fn segment(&mut self, step: usize, before: &str, segment: &str, notes: &mut Vec<String>) -> String {
        let plain = percent_decoded(segment);
        if let Some(known) =
            self.known(&plain).filter(|_| plain.len() > 2 || self.created.iter().any(|c| c.value == plain))
        {
            return in_address(&known, &plain, segment);
        }
        let number = plain.bytes().all(|byte| byte.is_ascii_digit()) && !plain.is_empty();
        if !words::looks_random(&plain) {
            if number {
                notes.push(format!("{plain} in the path is of the recording; see that it stays there"));
            }
            return words::literal(segment);
        }
        let hint =
            if before.is_empty() { "id".to_owned() } else { format!("{}_id", words::singular(before)) };
        if let Some(captured) = self.captured(step, &hint, &plain) {
            return captured;
        }
        notes.push(format!(
            "the part after /{before}/ looks random and came from no earlier answer; see that it stays valid"
        ));
        words::literal(segment)
    }

    /// What a step sends.
    pub fn payload(&mut self, step: usize, body: &Body, write: bool, notes: &mut Vec<String>) -> Payload {
        match body {
            Body::Empty => Payload::Empty,
            Body::Form(fields) => Payload::Form(self.fields(step, fields, write, notes)),
            Body::Json(value) => Payload::Json(self.json(step, "", value, write, notes)),
            Body::Text(text) => {
                let mut said = words::literal(text);
                if let Some(password) = self.typed.password.as_ref().filter(|password| password.len() > 3) {
                    said = said.replace(password.as_str(), PASSWORD);
                }
                Payload::Text(said)
            }
            Body::Multipart(parts) => {
                let mut fields = Vec::new();
                for part in parts {
                    let field = match &part.file {
                        None => Field::Text(self.typed_text(step, &part.name, &part.content, write, notes)),
                        Some(file_name) => Field::File {
                            file_name: file_name.clone(),
                            content_type: if part.mime.is_empty() {
                                "application/octet-stream".to_owned()
                            } else {
                                part.mime.clone()
                            },
                            content: self.upload(&part.name, notes),
                        },
                    };
                    once(&mut fields, &part.name, field, notes);
                }
                Payload::Multipart(fields)
            }
        }
    }

    /// Recordings garble files, and files are long.
    fn upload(&self, name: &str, notes: &mut Vec<String>) -> String {
        notes.push(format!(
            "the file of {name} is not taken from the recording; write content of the right kind"
        ));
        "portalwatch {{ run.id }}".to_owned()
    }

    /// A form's fields; of several with one name the last.
    pub fn fields(
        &mut self,
        step: usize,
        fields: &[(String, String)],
        write: bool,
        notes: &mut Vec<String>,
    ) -> Vec<(String, String)> {
        let mut said = Vec::new();
        for (name, value) in fields {
            let text = self.typed_text(step, name, value, write, notes);
            once(&mut said, name, text, notes);
        }
        said
    }

    /// A value of a body; texts of a write carry the run, so that people and the sweep can find them.
    fn typed_text(
        &mut self,
        step: usize,
        name: &str,
        value: &str,
        write: bool,
        notes: &mut Vec<String>,
    ) -> String {
        let prose = write && words::is_prose(name) && !value.trim().is_empty() && !words::looks_random(value);
        if !prose || self.known(value).is_some() {
            return self.value(step, name, value, notes);
        }
        let said = format!("{} {{{{ run.id }}}}", words::literal(value.trim_end()));
        self.prose.insert(value.to_owned(), said.clone());
        self.marked = true;
        said
    }

    fn json(
        &mut self,
        step: usize,
        name: &str,
        value: &Value,
        write: bool,
        notes: &mut Vec<String>,
    ) -> Value {
        match value {
            Value::Object(members) => Value::Object(
                members
                    .iter()
                    .map(|(name, value)| (name.clone(), self.json(step, name, value, write, notes)))
                    .collect(),
            ),
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.json(step, name, item, write, notes)).collect())
            }
            Value::String(text) => Value::String(self.typed_text(step, name, text, write, notes)),
            Value::Number(number) => match self.known(&number.to_string()) {
                Some(known) => Value::String(known),
                None => value.clone(),
            },
            Value::Null | Value::Bool(_) => value.clone(),
        }
    }
}

/// What to say of a value that came from nowhere.
fn unexplained(name: &str, value: &str, random: bool, notes: &mut Vec<String>) -> String {
    if ["state", "nonce"].contains(&name) && random {
        notes.push(format!("{name} was made by the page's script; a new UUID stands in its place"));
        return UUID.to_owned();
    }
    if words::is_jwt(value) || (words::is_secret(name) && random) {
        notes.push(format!(
            "{name} came from no earlier answer and may be a secret, so it was removed; capture it where it comes from, or take it out"
        ));
        return REMOVED.to_owned();
    }
    if words::is_uuid(value) {
        notes.push(format!("{name} was a UUID that came from no earlier answer; a new one stands in its place, write the old one if it names something"));
        return UUID.to_owned();
    }
    if random {
        notes.push(format!("{name} looks random and came from no earlier answer; see that it stays valid"));
    }
    words::literal(value)
}

/// The recorded spelling where nothing was replaced.
fn in_address(said: &str, plain: &str, recorded: &str) -> String {
    if said == words::literal(plain) {
        return words::literal(recorded);
    }
    // A title in a search: the run alone finds it, and needs no encoding.
    if said.ends_with(" {{ run.id }}") { "{{ run.id }}".to_owned() } else { said.to_owned() }
}

/// A map has each name once.
fn once<T>(fields: &mut Vec<(String, T)>, name: &str, value: T, notes: &mut Vec<String>) {
    if let Some((_, known)) = fields.iter_mut().find(|(known, _)| known == name) {
        *known = value;
        notes.push(format!("{name} was sent several times; only its last value is kept"));
    } else {
        fields.push((name.to_owned(), value));
    }
}
