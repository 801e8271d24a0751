//! Where a value that was sent had come from: an earlier answer's page, cookies, headers or JSON.

use std::collections::HashMap;

use serde_json::Value;
use url::Url;

use super::body::percent_decoded;
use super::html::{self, Form, Page};
use super::pick::Taken;
use super::words;
use crate::formats::har::Response;

/// So many values of one answer are looked at.
const MOST_VALUES: usize = 20_000;

/// A place in an answer, as a journey captures it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Field(String),
    /// A CSS selector and the attribute that holds the value.
    Css(String, String),
    Cookie(String),
    Json(String),
    Header(String),
    Regex(String),
    Form(String),
}

/// A form, and the address of the page that showed it.
pub struct Shown {
    pub form: Form,
    pub page: Url,
}

/// All values of all answers.
#[derive(Default)]
pub struct Sources {
    found: HashMap<String, Vec<(usize, Source)>>,
    /// The forms of each step's page.
    forms: HashMap<usize, Vec<Shown>>,
    /// Steps whose answer is a page or JSON, but was recorded without a body.
    blank: Vec<usize>,
}

impl Sources {
    pub fn of(steps: &[Taken<'_>]) -> Self {
        let mut sources = Self::default();
        for (index, step) in steps.iter().enumerate() {
            for answer in &step.answers {
                sources.read(index, answer, &step.landed);
            }
            let has_text = step.answers.iter().any(|answer| answer.text().is_some());
            if !has_text && step.status != 204 {
                sources.blank.push(index);
            }
        }
        sources
    }

    /// Whether this step's answer was recorded without its body.
    pub fn is_blank(&self, step: usize) -> bool {
        self.blank.contains(&step)
    }

    /// The latest place before `step` where the value was; of several in one answer the one named
    /// alike, then the most telling.
    pub fn find(&self, value: &str, name: &str, step: usize) -> Option<(usize, Source)> {
        let rank = |source: &Source| match source {
            Source::Field(field) if field == name => 0,
            Source::Field(_) | Source::Form(_) => 2,
            Source::Css(..) => 1,
            Source::Json(_) => 3,
            Source::Header(_) => 4,
            Source::Cookie(_) | Source::Regex(_) => 5,
        };
        let places = self.found.get(value)?.iter().filter(|(at, _)| *at < step);
        places.min_by_key(|(at, source)| (std::cmp::Reverse(*at), rank(source))).cloned()
    }

    /// The cookie that held this value before `step`.
    pub fn cookie(&self, value: &str, step: usize) -> Option<&str> {
        self.found.get(value)?.iter().filter(|(at, _)| *at < step).find_map(|(_, source)| match source {
            Source::Cookie(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The latest form before `step` that leads to this address, with the step that shows it.
    pub fn form(&self, step: usize, target: &Url) -> Option<(usize, &Form, &[Shown])> {
        (0..step).rev().find_map(|at| {
            let forms = self.forms.get(&at)?;
            let leads = |Shown { form, page }: &&Shown| {
                let action = form.action.as_deref().unwrap_or_default();
                let action = if action.is_empty() { Some(page.clone()) } else { page.join(action).ok() };
                action.is_some_and(|action| same_place(&action, target))
            };
            // The first is what stands outside of forms.
            let Shown { form, .. } = forms.iter().skip(1).rev().find(leads)?;
            Some((at, form, forms.as_slice()))
        })
    }

    fn put(&mut self, step: usize, value: &str, source: Source) {
        if value.is_empty() || value.len() > 4_096 {
            return;
        }
        let places = self.found.entry(value.to_owned()).or_default();
        // A value that is everywhere says nothing about where it came from.
        if places.len() < 64 {
            places.push((step, source));
        }
    }

    fn read(&mut self, step: usize, answer: &Response, page: &Url) {
        for (name, value) in cookies(answer) {
            self.put(step, &percent_decoded(&value), Source::Cookie(name.clone()));
            self.put(step, &value, Source::Cookie(name));
        }
        for header in &answer.headers {
            let name = header.name.to_ascii_lowercase();
            if name.starts_with("x-") || words::is_csrf(&name) || name == "authorization" {
                self.put(step, &header.value, Source::Header(name));
            }
        }
        let Some(text) = answer.text() else { return };
        let mime = answer.content.mime_type.to_ascii_lowercase();
        if mime.contains("html") {
            self.read_page(step, html::scan(&text), page);
        } else if mime.contains("json") || text.trim_start().starts_with(['{', '[']) {
            let mut left = MOST_VALUES;
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                json_paths("$", &value, &mut left, &mut |path, value| {
                    self.put(step, value, Source::Json(path.to_owned()));
                });
            }
        }
    }

    fn read_page(&mut self, step: usize, page: Page, url: &Url) {
        for (name, content) in &page.metas {
            let selector = format!("meta[name={}]", css_string(name));
            self.put(step, content, Source::Css(selector, "content".to_owned()));
        }
        let fields = page.forms.iter().flat_map(|form| form.inputs.iter().map(move |input| (form, input)));
        for (form, input) in fields {
            let alike =
                |other: &Form| other.input(&input.name).is_none_or(|other| other.value == input.value);
            // `field:` refuses a name with two values.
            let source = match selector(form, &page.forms) {
                Some(form) if !page.forms.iter().all(alike) => {
                    let css = format!("{form} input[name={}]", css_string(&input.name));
                    Source::Css(css, "value".to_owned())
                }
                _ => Source::Field(input.name.clone()),
            };
            self.put(step, &input.value, source);
        }
        let forms = page.forms.into_iter().map(|form| Shown { form, page: url.clone() });
        // The latest page of a step is the one that was filled in.
        self.forms.insert(step, forms.collect());
    }
}

fn same_place(a: &Url, b: &Url) -> bool {
    a.origin() == b.origin() && a.path() == b.path()
}

/// A CSS selector for one form of a page, if one tells it from the others.
pub fn selector(form: &Form, all: &[Form]) -> Option<String> {
    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let alone = |same: &dyn Fn(&Form) -> bool| all.iter().filter(|form| same(form)).count() == 1;
    if let Some(id) = form.id.as_ref().filter(|id| !id.is_empty() && !words::looks_random(id)) {
        let simple = id.chars().all(named) && id.starts_with(|c: char| c.is_ascii_alphabetic());
        return Some(if simple { format!("form#{id}") } else { format!("form[id={}]", css_string(id)) });
    }
    if let Some(name) =
        form.name.as_ref().filter(|name| !name.is_empty() && alone(&|form| form.name.as_ref() == Some(name)))
    {
        return Some(format!("form[name={}]", css_string(name)));
    }
    if form.has_password() && alone(&Form::has_password) {
        return Some("form:has(input[type=password])".to_owned());
    }
    let action = form.action.as_ref().filter(|action| !action.is_empty() && !action.contains('?'))?;
    alone(&|form| form.action.as_ref() == Some(action))
        .then(|| format!("form[action={}]", css_string(action)))
}

/// A string of CSS; bare where that is allowed.
fn css_string(text: &str) -> String {
    let bare = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if bare { text.to_owned() } else { format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")) }
}

/// The cookies an answer sets. Firefox joins several fields by newlines.
pub fn cookies(answer: &Response) -> Vec<(String, String)> {
    let fields = answer.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("set-cookie"));
    let lines = fields.flat_map(|field| field.value.lines());
    let mut found: Vec<(String, String)> = lines
        .filter_map(|line| line.split(';').next()?.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().trim_matches('"').to_owned()))
        .collect();
    found.extend(answer.cookies.iter().map(|cookie| (cookie.name.clone(), cookie.value.clone())));
    found
}

/// Calls `each` with the path (RFC 9535) and the text of every string and number.
pub fn json_paths(path: &str, value: &Value, left: &mut usize, each: &mut dyn FnMut(&str, &str)) {
    if *left == 0 {
        return;
    }
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                json_paths(&format!("{path}{}", json_step(name)), value, left, each);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                json_paths(&format!("{path}[{index}]"), value, left, each);
            }
        }
        Value::String(text) => {
            *left -= 1;
            each(path, text);
        }
        Value::Number(number) => {
            *left -= 1;
            each(path, &number.to_string());
        }
        Value::Null | Value::Bool(_) => {}
    }
}

/// One member as a step of a path.
fn json_step(name: &str) -> String {
    let simple = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if simple {
        format!(".{name}")
    } else {
        format!("['{}']", name.replace('\\', "\\\\").replace('\'', "\\'"))
    }
}
