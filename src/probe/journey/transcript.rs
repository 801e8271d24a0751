//! A step as a person would repeat it: its request as written, never rendered, the answer's head, and
//! a command.

use serde_json::Value;

use super::facts::StepFacts;
use super::fields::{Part, Words};
use super::spec::Spec;
use super::step::{Action, Step};
use super::template::Template;
use crate::probe::Scope;
use crate::probe::web::mask;
use crate::probe::web::shell::quote;

/// The transcript of a step, line by line: `>` is what was sent, `<` what came, `$` a command.
pub fn of(spec: &Spec, seen: &StepFacts) -> Option<Vec<String>> {
    let step = spec.steps.iter().find(|step| step.name.as_deref() == Some(seen.name.as_str()))?;
    let mut lines = vec![format!("> {}", seen.request)];
    lines.extend(written(step).map(|line| format!("> {line}")));
    if let Some(status) = seen.status {
        lines.push(format!("< {status}"));
    }
    for (name, values) in &seen.headers {
        lines.extend(values.iter().map(|value| format!("< {name}: {value}")));
    }
    if let Some(excerpt) = seen.excerpt.as_ref().filter(|excerpt| !excerpt.is_empty()) {
        lines.push("<".to_owned());
        lines.extend(excerpt.lines().map(|line| format!("< {line}")));
    }
    lines.extend(curl(step).map(|command| format!("$ {command}")));
    Some(lines)
}

/// What the config says of a request beside its first line.
fn written(step: &Step) -> impl Iterator<Item = String> {
    let mut lines = Vec::new();
    let mut fields = |kind: &str, name: &str, words: &Words| {
        lines.push(format!("{kind} {name}: {}", shown(name, words)));
    };
    for (name, words) in step.query.iter().flat_map(|query| query.0.iter()) {
        fields("query", name, words);
    }
    for (name, words) in step.headers.iter().flat_map(|headers| headers.0.iter()) {
        fields("header", name.0.as_str(), words);
    }
    for (name, words) in step.form.iter().flat_map(|form| form.0.iter()) {
        fields("form", name, words);
    }
    if let Some(words) = &step.body {
        fields("body", "text", words);
    }
    lines.extend(step.json.iter().map(|json| format!("json: {}", json_shown(&json.source()))));
    for (name, part) in step.multipart.iter().flat_map(|parts| parts.0.iter()) {
        lines.push(match part {
            Part::Field(template) => format!("part {name}: {}", template_shown(name, template)),
            Part::File(file) => format!("part {name}: file {}", file.file_name.source()),
        });
    }
    lines.into_iter()
}

/// The words as written; what looks like a secret and was written down in plain is not shown.
fn shown(name: &str, words: &Words) -> String {
    if words.is_plain() && mask::looks_secret(name) { "***".to_owned() } else { words.shown().into_owned() }
}

fn template_shown<'t>(name: &str, template: &'t Template) -> &'t str {
    if template.is_plain() && mask::looks_secret(name) { "***" } else { template.source() }
}

/// The JSON as written, without what looks like a secret and was written down in plain.
fn json_shown(json: &Value) -> String {
    fn hide(value: &mut Value) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    match member {
                        Value::String(text) if mask::looks_secret(name) && !text.contains("{{") => {
                            "***".clone_into(text);
                        }
                        other => hide(other),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(hide),
            _ => {}
        }
    }
    let mut shown = json.clone();
    hide(&mut shown);
    shown.to_string()
}

/// The request as a command; what is known only in a run stands there as it is written. `PORTAL` is the
/// portal's address.
fn curl(step: &Step) -> Option<String> {
    let Some(Action::Request(method, target)) = step.action() else { return None };
    // Braces and brackets in an address are no patterns.
    let mut parts = vec!["curl -sS -g -i".to_owned()];
    match method {
        http::Method::GET => {}
        http::Method::HEAD => parts.push("-I".to_owned()),
        other => parts.push(format!("-X {other}")),
    }
    for (name, words) in step.headers.iter().flat_map(|headers| headers.0.iter()) {
        parts.push(format!("-H {}", quote(&format!("{}: {}", name.0, shown(name.0.as_str(), words)))));
    }
    parts.extend(body(step));
    let address = address(target.source(), step);
    let portal = if address.starts_with('/') { "\"$PORTAL\"" } else { "" };
    parts.push(format!("{portal}{}", quote(&address)));
    Some(parts.join(" "))
}

/// The options that make the body.
fn body(step: &Step) -> Vec<String> {
    let mut options = Vec::new();
    for (name, words) in step.form.iter().flat_map(|form| form.0.iter()) {
        options.push(format!(
            "--data-urlencode {}",
            quote(&format!("{}={}", encoded(name), shown(name, words)))
        ));
    }
    if let Some(json) = &step.json {
        options.push(format!(
            "-H 'Content-Type: application/json' --data-raw {}",
            quote(&json_shown(&json.source()))
        ));
    }
    if let Some(words) = &step.body {
        options.push(format!("--data-raw {}", quote(&words.shown())));
    }
    for (name, part) in step.multipart.iter().flat_map(|parts| parts.0.iter()) {
        options.push(match part {
            Part::Field(template) => {
                format!("--form-string {}", quote(&format!("{name}={}", template_shown(name, template))))
            }
            Part::File(file) => format!("-F {}", quote(&format!("{name}=@{}", file.file_name.source()))),
        });
    }
    options
}

/// The target with the query; what is written in plain is encoded as it is sent.
fn address(target: &str, step: &Step) -> String {
    let mut address = target.to_owned();
    for (name, words) in step.query.iter().flat_map(|query| query.0.iter()) {
        address.push(if address.contains('?') { '&' } else { '?' });
        let value = shown(name, words);
        let value = if words.is_plain() { encoded(&value) } else { value };
        address.push_str(&format!("{}={value}", encoded(name)));
    }
    address
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// [`super::Journey`]'s commands.
pub fn commands(spec: &Spec, scope: &Scope) -> Vec<String> {
    let write = if spec.first_write().is_some() { " --write" } else { "" };
    vec![format!("portalwatch check {} --explain{write}", quote(scope.check.as_str()))]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn transcript(step: &Value) -> Vec<String> {
        let mut step = step.clone();
        step["name"] = "look".into();
        let spec: Spec = serde_json::from_value(json!({ "steps": [step] })).unwrap();
        let seen = StepFacts { name: "look".into(), request: "as written".into(), ..StepFacts::default() };
        of(&spec, &seen).unwrap()
    }

    fn command(step: &Value) -> String {
        transcript(step).pop().unwrap()
    }

    #[test]
    fn the_command_is_one_that_a_shell_runs_as_written() {
        let step = json!({ "get": "/a/{{ x }}", "query": { "q": "a b&c", "it's": "{{ x }}" } });
        assert_eq!(command(&step), r#"$ curl -sS -g -i "$PORTAL"'/a/{{ x }}?q=a+b%26c&it%27s={{ x }}'"#);
        let step = json!({ "head": "https://h.example/", "headers": { "accept": "$HOME `id`" } });
        assert_eq!(command(&step), "$ curl -sS -g -i -I -H 'accept: $HOME `id`' 'https://h.example/'");
        let step =
            json!({ "post": "/", "multipart": { "a": "b", "f": { "file_name": "x.txt", "content": "c" } } });
        assert_eq!(
            command(&step),
            r#"$ curl -sS -g -i -X POST --form-string 'a=b' -F 'f=@x.txt' "$PORTAL"'/'"#
        );
        let step = json!({ "put": "/", "body": "two\nlines" });
        assert_eq!(command(&step), r#"$ curl -sS -g -i -X PUT --data-raw $'two\nlines' "$PORTAL"'/'"#);
    }

    #[test]
    fn a_password_that_was_written_in_plain_is_not_shown() {
        for body in [
            json!({ "form": { "password": "hunter2" } }),
            json!({ "json": { "deep": [{ "password": "hunter2", "name": "x" }] } }),
            json!({ "multipart": { "password": "hunter2" } }),
        ] {
            let mut step = body;
            step["post"] = "/login".into();
            let all = transcript(&step).join("\n");
            assert!(!all.contains("hunter2") && all.matches("***").count() == 2, "{all}");
        }
        let templates =
            transcript(&json!({ "post": "/", "json": { "password": "{{ identity.password }}" } }));
        assert!(templates[1].contains("{{ identity.password }}"), "{templates:?}");
    }
}
