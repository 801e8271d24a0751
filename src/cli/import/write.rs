//! The draft as YAML. Nothing recorded gets in here without being searched for secrets.

use serde_json::Value;

use super::build::is_private;
use super::draft::{Ask, Capture, Draft, Field, Identity, Landing, Payload, Step, Sweep, Text};
use super::secrets::Secrets;
use super::sources::Source;

const IDENTITY: &str = "staff";
/// Comments are wrapped at this column.
const WIDTH: usize = 100;

enum Node {
    /// One line.
    Line(String),
    Map(Vec<Entry>),
    List(Vec<(Vec<String>, Node)>),
}

struct Entry {
    notes: Vec<String>,
    key: String,
    node: Node,
}

/// Writes the draft. `about` stands on top.
pub fn write(draft: &Draft, secrets: &Secrets, about: &[String]) -> String {
    let writer = Writer { secrets };
    let mut text = String::new();
    for line in about {
        comment(&mut text, 0, &writer.clean(line));
    }
    for note in &draft.notes {
        comment(&mut text, 0, &format!("look at this: {}", writer.clean(note)));
    }
    print(&mut text, 0, &writer.config(draft));
    text
}

struct Writer<'a> {
    secrets: &'a Secrets,
}

impl Writer<'_> {
    fn config(&self, draft: &Draft) -> Node {
        let mut portal =
            vec![entry("url", Node::Line(self.text(draft.origin.as_str().trim_end_matches('/'))))];
        if is_private(&draft.origin) {
            portal.push(entry("private", Node::Line("true".to_owned())));
        }
        if let Some(identity) = &draft.identity {
            let node = map(vec![noted(IDENTITY, &identity.notes, self.identity(identity), self)]);
            portal.push(entry("identities", node));
        }
        let check =
            map(vec![entry("every", Node::Line("5m".to_owned())), entry("journey", self.journey(draft))]);
        portal.push(entry("checks", map(vec![entry(&draft.check, check)])));
        map(vec![entry("portals", map(vec![entry(&draft.portal, map(portal))]))])
    }

    fn identity(&self, identity: &Identity) -> Node {
        let mut keys = Vec::new();
        if let Some(username) = &identity.username {
            keys.push(entry("username", Node::Line(self.value(username))));
        }
        let secrets = [
            ("password", identity.password, "PORTAL_PASSWORD"),
            ("totp", identity.totp, "PORTAL_TOTP"),
            ("token", identity.token, "PORTAL_TOKEN"),
        ];
        keys.extend(
            secrets.into_iter().filter(|(_, is, _)| *is).map(|(key, _, name)| entry(key, variable(name))),
        );
        if let Some(grant) = &identity.oauth2 {
            let mut keys_of_grant = vec![
                entry("token_url", Node::Line(self.text(&grant.token_url))),
                entry("client_id", Node::Line(self.text(&grant.client_id))),
            ];
            if grant.client_secret {
                keys_of_grant.push(entry("client_secret", variable("PORTAL_CLIENT_SECRET")));
            }
            if !grant.scopes.is_empty() {
                let scopes: Vec<String> = grant.scopes.iter().map(|scope| self.text(scope)).collect();
                keys_of_grant.push(entry("scopes", Node::Line(format!("[{}]", scopes.join(", ")))));
            }
            keys_of_grant.push(entry("grant", Node::Line("password".to_owned())));
            keys.push(entry("oauth2", map(keys_of_grant)));
        }
        map(keys)
    }

    fn journey(&self, draft: &Draft) -> Node {
        let mut keys = Vec::new();
        if draft.identity.is_some() {
            keys.push(entry("as", Node::Line(IDENTITY.to_owned())));
        }
        if let Some(csrf) = &draft.csrf {
            let (cookie, header) = &csrf.what;
            let line = format!("{{ cookie: {}, header: {} }}", self.text(cookie), self.text(header));
            keys.push(noted("csrf", &csrf.notes, Node::Line(line), self));
        }
        if let Some(bearer) = &draft.bearer {
            keys.push(noted("bearer", &bearer.notes, Node::Line(scalar(&bearer.what)), self));
        }
        keys.push(entry("steps", self.steps(&draft.steps)));
        if !draft.cleanup.is_empty() {
            keys.push(entry("cleanup", self.steps(&draft.cleanup)));
        }
        if !draft.sweep.is_empty() {
            let items =
                draft.sweep.iter().map(|sweep| (self.notes(&sweep.notes), self.sweep(sweep))).collect();
            keys.push(entry("sweep", Node::List(items)));
        }
        if let Some(sign_out) = &draft.sign_out {
            keys.push(self.sign_out(draft, sign_out));
        }
        map(keys)
    }

    /// Where no page of the recording shows that the session is dead afterwards, one is guessed.
    fn sign_out(&self, draft: &Draft, sign_out: &Step) -> Entry {
        let written: Vec<String> = draft.steps.iter().map(|step| self.printed(step)).collect();
        let after = written.iter().rposition(|step| step.contains("identity.")).map_or(0, |last| last + 1);
        let pages = draft.steps.iter().skip(after);
        let shown =
            pages.into_iter().any(|step| matches!(&step.ask, Ask::Request(method, _) if method == "get"));
        let mut notes = sign_out.notes.clone();
        let mut node = self.step(sign_out);
        if let (Node::Map(keys), false) = (&mut node, shown) {
            keys.push(entry("replay", Node::Line("/".to_owned())));
            notes.push(
                "look at this: replay has to be a page that only a session opens; the recording shows none after the sign-in"
                    .to_owned(),
            );
        }
        noted("sign_out", &notes, node, self)
    }

    fn printed(&self, step: &Step) -> String {
        let mut text = String::new();
        print(&mut text, 0, &self.step(step));
        text
    }

    fn steps(&self, steps: &[Step]) -> Node {
        Node::List(steps.iter().map(|step| (self.notes(&step.notes), self.step(step))).collect())
    }

    fn sweep(&self, sweep: &Sweep) -> Node {
        let Node::Map(mut keys) = self.step(&sweep.find) else { return self.step(&sweep.find) };
        keys.push(entry("each", Node::Line(self.source(&sweep.each, false))));
        keys.push(noted("then", &sweep.then.notes, self.step(&sweep.then), self));
        Node::Map(keys)
    }

    fn step(&self, step: &Step) -> Node {
        let mut keys = Vec::new();
        if let Some(name) = &step.name {
            keys.push(entry("name", Node::Line(self.text(name))));
        }
        if step.write {
            keys.push(entry("write", Node::Line("true".to_owned())));
        }
        match &step.ask {
            Ask::Request(method, target) => keys.push(entry(method, Node::Line(self.template(target)))),
            Ask::Submit(form) => keys.push(entry("submit", Node::Line(scalar(form)))),
        }
        if let Some(origin) = &step.origin {
            keys.push(entry("origin", Node::Line(self.text(origin))));
        }
        if !step.query.is_empty() {
            let pairs = step.query.iter();
            let pairs = pairs.map(|(name, text)| entry(&self.clean(name), Node::Line(self.template(text))));
            keys.push(entry("query", map(pairs.collect())));
        }
        if !step.headers.is_empty() {
            let header = |(name, text): &(String, Text)| {
                let value = match text {
                    Text::Template(text) => Node::Line(self.template(text)),
                    Text::Env(name) => variable(name),
                };
                entry(&self.clean(name), value)
            };
            keys.push(entry("headers", map(step.headers.iter().map(header).collect())));
        }
        keys.extend(self.payload(&step.payload));
        keys.extend(self.expect(step));
        if !step.captures.is_empty() {
            let captures = step.captures.iter();
            let captures =
                captures.map(|one| noted(&one.name, &one.notes, Node::Line(self.capture(one)), self));
            keys.push(entry("capture", map(captures.collect())));
        }
        map(keys)
    }

    fn payload(&self, payload: &Payload) -> Option<Entry> {
        let fields = |fields: &[(String, String)]| {
            map(fields
                .iter()
                .map(|(name, text)| entry(&self.clean(name), Node::Line(self.template(text))))
                .collect())
        };
        match payload {
            Payload::Empty => None,
            Payload::Form(list) if list.is_empty() => None,
            Payload::Form(list) => Some(entry("form", fields(list))),
            Payload::Json(value) => Some(entry("json", self.json(value))),
            Payload::Text(text) => Some(entry("body", Node::Line(self.template(text)))),
            Payload::Multipart(parts) => {
                let part = |(name, field): &(String, Field)| entry(&self.clean(name), self.field(field));
                Some(entry("multipart", map(parts.iter().map(part).collect())))
            }
        }
    }

    fn field(&self, field: &Field) -> Node {
        match field {
            Field::Text(text) => Node::Line(self.template(text)),
            Field::File { file_name, content_type, content } => map(vec![
                entry("file_name", Node::Line(self.text(file_name))),
                entry("content_type", Node::Line(self.text(content_type))),
                entry("content", Node::Line(self.template(content))),
            ]),
        }
    }

    fn json(&self, value: &Value) -> Node {
        match value {
            Value::Object(members) if !members.is_empty() => {
                map(members.iter().map(|(name, value)| entry(&self.clean(name), self.json(value))).collect())
            }
            Value::Array(items) if !items.is_empty() => {
                Node::List(items.iter().map(|item| (Vec::new(), self.json(item))).collect())
            }
            Value::String(text) => Node::Line(self.template(text)),
            Value::Number(number) => Node::Line(self.secrets.scrub(&number.to_string())),
            other => Node::Line(other.to_string()),
        }
    }

    fn expect(&self, step: &Step) -> Option<Entry> {
        let mut parts = Vec::new();
        if let [one] = step.status.as_slice() {
            parts.push(format!("status: {one}"));
        } else if !step.status.is_empty() {
            let all: Vec<String> = step.status.iter().map(ToString::to_string).collect();
            parts.push(format!("status: [{}]", all.join(", ")));
        }
        match &step.final_url {
            Some(Landing::Equals(url)) => parts.push(format!("final_url: {}", self.template(url))),
            Some(Landing::Contains(url)) => {
                parts.push(format!("final_url: {{ contains: {} }}", self.template(url)))
            }
            None => {}
        }
        (!parts.is_empty()).then(|| entry("expect", Node::Line(format!("{{ {} }}", parts.join(", ")))))
    }

    fn capture(&self, capture: &Capture) -> String {
        self.source(&capture.source, capture.keep)
    }

    fn source(&self, source: &Source, keep: bool) -> String {
        let said = match source {
            Source::Field(name) => format!("field: {}", self.text(name)),
            Source::Css(selector, attribute) => {
                format!("css: {}, attr: {}", self.text(selector), self.text(attribute))
            }
            Source::Cookie(name) => format!("cookie: {}", self.text(name)),
            Source::Json(path) => format!("json: {}", self.text(path)),
            Source::Header(name) => format!("header: {}", self.text(name)),
            Source::Regex(pattern) => format!("regex: {}", self.text(pattern)),
            Source::Form(selector) => format!("form: {}", self.text(selector)),
        };
        if keep { format!("{{ {said}, keep: true }}") } else { format!("{{ {said} }}") }
    }

    fn notes(&self, notes: &[String]) -> Vec<String> {
        notes.iter().map(|note| self.clean(note)).collect()
    }

    fn clean(&self, text: &str) -> String {
        self.secrets.scrub_name(text)
    }

    /// A name that the portal gave.
    fn text(&self, text: &str) -> String {
        scalar(&self.clean(text))
    }

    /// What a person may have typed.
    fn value(&self, text: &str) -> String {
        scalar(&self.secrets.scrub(text))
    }

    /// What stands before or after an expression: `SECRET {{ run.id }}`.
    fn part(&self, text: &str) -> String {
        match text.strip_suffix(' ') {
            Some(value) => format!("{} ", self.secrets.scrub(value)),
            None => self.secrets.scrub(text),
        }
    }

    /// Our own expressions name no secret; only what stands around them was recorded.
    fn template(&self, text: &str) -> String {
        if !text.contains("{{ ") {
            return self.value(text);
        }
        let mut clean = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{ ") {
            let Some((expression, after)) = after.split_once(" }}") else { break };
            clean.push_str(&self.part(before));
            // A recorded path stands in these alone.
            let expression = if expression.contains(" replace('") {
                self.clean(expression)
            } else {
                expression.to_owned()
            };
            clean.push_str(&format!("{{{{ {expression} }}}}"));
            rest = after;
        }
        clean.push_str(&self.part(rest));
        scalar(&clean)
    }
}

fn map(entries: Vec<Entry>) -> Node {
    Node::Map(entries)
}

fn entry(key: &str, node: Node) -> Entry {
    Entry { notes: Vec::new(), key: key.to_owned(), node }
}

fn noted(key: &str, notes: &[String], node: Node, writer: &Writer<'_>) -> Entry {
    Entry { notes: writer.notes(notes), key: key.to_owned(), node }
}

fn variable(name: &str) -> Node {
    Node::Line(format!("{{ env: {name} }}"))
}

/// A scalar that reads as this text: plain where no reader could take it for anything else.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-' | ' ' | '$');
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '$' | '_'));
    let word = WORDS.iter().any(|word| text.eq_ignore_ascii_case(word));
    if first && !word && !text.ends_with(' ') && text.chars().all(plain) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

fn quoted(text: &str) -> String {
    let mut said = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => said.push_str("\\\""),
            '\\' => said.push_str("\\\\"),
            '\n' => said.push_str("\\n"),
            '\r' => said.push_str("\\r"),
            '\t' => said.push_str("\\t"),
            c if c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') =>
            {
                said.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => said.push(c),
        }
    }
    said.push('"');
    said
}

fn print(text: &mut String, depth: usize, node: &Node) {
    match node {
        Node::Line(line) => {
            indent(text, depth);
            text.push_str(line);
            text.push('\n');
        }
        Node::Map(entries) => entries.iter().for_each(|entry| print_entry(text, depth, entry)),
        Node::List(items) => {
            for (notes, item) in items {
                notes.iter().for_each(|note| comment(text, depth, &format!("look at this: {note}")));
                // The item is printed deeper; its first line starts with the dash.
                let mut inner = String::new();
                print(&mut inner, depth + 1, item);
                let body = inner.get(2 * depth + 2..).unwrap_or_default();
                indent(text, depth);
                text.push_str("- ");
                text.push_str(body);
            }
        }
    }
}

fn print_entry(text: &mut String, depth: usize, entry: &Entry) {
    entry.notes.iter().for_each(|note| comment(text, depth, &format!("look at this: {note}")));
    indent(text, depth);
    text.push_str(&scalar(&entry.key));
    text.push(':');
    match &entry.node {
        Node::Line(line) => {
            text.push(' ');
            text.push_str(line);
            text.push('\n');
        }
        node => {
            text.push('\n');
            print(text, depth + 1, node);
        }
    }
}

fn indent(text: &mut String, depth: usize) {
    text.extend(std::iter::repeat_n("  ", depth));
}

/// A comment, wrapped; line breaks in it would end it.
fn comment(text: &mut String, depth: usize, note: &str) {
    let room = WIDTH.saturating_sub(2 * depth + 2);
    let mut line = String::new();
    let flush = |line: &mut String, text: &mut String| {
        if !line.is_empty() {
            indent(text, depth);
            text.push_str("# ");
            text.push_str(line);
            text.push('\n');
            line.clear();
        }
    };
    for word in note.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > room {
            flush(&mut line, text);
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    flush(&mut line, text);
}
