//! A step as a person would repeat it: its request as written, never rendered, the answer's head, and
//! a command.

use super::facts::StepFacts;
use super::fields::{Part, Words};
use super::spec::Spec;
use super::step::{Action, Step};
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
    lines.extend(step.json.iter().map(|json| format!("json: {}", json.source())));
    for (name, part) in step.multipart.iter().flat_map(|parts| parts.0.iter()) {
        lines.push(match part {
            Part::Field(template) => format!("part {name}: {}", template.source()),
            Part::File(file) => format!("part {name}: file {}", file.file_name.source()),
        });
    }
    lines.into_iter()
}

/// The words as written; what looks like a secret and was written down in plain is not shown.
fn shown(name: &str, words: &Words) -> String {
    if words.is_plain() && mask::looks_secret(name) { "***".to_owned() } else { words.shown().into_owned() }
}

/// The request as a command; what is known only in a run stands there as it is written.
fn curl(step: &Step) -> Option<String> {
    let Some(Action::Request(method, target)) = step.action() else { return None };
    let mut parts = vec!["curl -sS -i".to_owned()];
    if method != http::Method::GET {
        parts.push(format!("-X {}", quote(method.as_str())));
    }
    for (name, words) in step.headers.iter().flat_map(|headers| headers.0.iter()) {
        parts.push(format!("-H {}", quote(&format!("{}: {}", name.0, shown(name.0.as_str(), words)))));
    }
    for (name, words) in step.form.iter().flat_map(|form| form.0.iter()) {
        parts.push(format!("--data-urlencode {}", quote(&format!("{name}={}", shown(name, words)))));
    }
    if let Some(json) = &step.json {
        parts.push(format!(
            "-H 'Content-Type: application/json' --data-raw {}",
            quote(&json.source().to_string())
        ));
    }
    if let Some(words) = &step.body {
        parts.push(format!("--data-raw {}", quote(&words.shown())));
    }
    let mut address = target.source().to_owned();
    for (name, words) in step.query.iter().flat_map(|query| query.0.iter()) {
        address.push(if address.contains('?') { '&' } else { '?' });
        address.push_str(&format!("{name}={}", shown(name, words)));
    }
    let origin = if address.starts_with('/') { "$PORTAL" } else { "" };
    let portal = if origin.is_empty() { String::new() } else { format!("\"{origin}\"") };
    parts.push(format!("{portal}{}", quote(&address)));
    Some(parts.join(" "))
}

/// [`super::Journey`]'s commands.
pub fn commands(spec: &Spec, scope: &Scope) -> Vec<String> {
    let write = if spec.first_write().is_some() { " --write" } else { "" };
    vec![format!("portalwatch check {} --explain{write}", quote(scope.check.as_str()))]
}
