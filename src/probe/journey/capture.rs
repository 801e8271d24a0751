//! What a step takes from an answer for later steps: which source reads what, and what to say when
//! it is not there. The settings are in `source`.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;

use http::{HeaderMap, HeaderName, Method, header};
use serde_json::Value;
use url::Url;

use super::form;
use super::html::Document;
pub use super::source::{Capture, Each, Source};
use crate::judge::{JsonPath, Pattern, clip, lossy};

/// The longest value, in bytes (of a list or an object: as JSON text).
const LONGEST: usize = 64 << 10;

/// How many names a message lists, and how long one may be.
const MOST_NAMES: usize = 10;
const LONGEST_NAME: usize = 40;

/// How many characters of a selector, path or pattern a message repeats.
const LONGEST_WRITTEN: usize = 80;

/// How many values [`each`] gives.
pub const MOST_ITEMS: usize = 100;

/// What was found.
#[derive(Clone, PartialEq, Eq)]
pub enum Captured {
    /// A value.
    Value(Value),
    /// A form to submit.
    Form(Form),
    /// A link to follow, without fragment.
    Link(Url),
}

impl fmt::Debug for Captured {
    /// Shows no value: any may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value(_) => "Value(***)",
            Self::Form(_) => "Form(***)",
            Self::Link(_) => "Link(***)",
        })
    }
}

/// A form as a browser would submit it without anyone typing.
#[derive(Clone, PartialEq, Eq)]
pub struct Form {
    /// GET or POST.
    pub method: Method,
    /// Where to, without fragment.
    pub action: Url,
    /// The fields that have a value, in the order of the page. Line breaks are as in the page.
    pub fields: Vec<(String, String)>,
    /// Sent as `multipart/form-data`, else urlencoded.
    pub multipart: bool,
}

/// Nothing usable was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Missing {
    /// What was there instead: names, never values. At most [`crate::judge::LONGEST_VALUE`] bytes.
    pub why: String,
}

impl Missing {
    pub(super) fn new(why: impl AsRef<str>) -> Self {
        let readable = |char: char| if char.is_control() { '\u{fffd}' } else { char };
        Self { why: clip(&why.as_ref().chars().map(readable).collect::<String>()) }
    }
}

/// One answer, as it came.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    /// The address it came from.
    pub url: &'a Url,
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body, decoded.
    pub body: &'a [u8],
    /// The body is whole: neither cut at the limit nor broken off.
    pub whole: bool,
    /// The cookies of the jar that a request to [`Self::url`] would carry, by name.
    pub cookies: &'a [(&'a str, &'a str)],
}

/// An answer that captures are taken from. Its body is parsed at most once, when first needed. Not
/// `Send`: take all captures of an answer at one go, between two awaits.
pub struct Page<'a> {
    answer: Answer<'a>,
    text: OnceCell<Cow<'a, str>>,
    json: OnceCell<Result<Value, Missing>>,
    html: OnceCell<Result<Document, Missing>>,
    forms: OnceCell<Option<Document>>,
}

impl<'a> Page<'a> {
    /// A page of this answer.
    pub fn new(answer: Answer<'a>) -> Self {
        Self {
            answer,
            text: OnceCell::new(),
            json: OnceCell::new(),
            html: OnceCell::new(),
            forms: OnceCell::new(),
        }
    }

    /// The body as text; what is no UTF-8 is replaced.
    fn text(&self) -> &str {
        self.text.get_or_init(|| lossy(self.answer.body))
    }

    fn json(&self) -> Result<&Value, Missing> {
        let parse = || {
            if !self.answer.whole {
                return Err(Missing::new(format!(
                    "the body is not whole, so not read as JSON ({})",
                    self.kind()
                )));
            }
            // The error tells a place and what was expected there, nothing of the body.
            serde_json::from_slice(self.answer.body)
                .map_err(|error| Missing::new(format!("the body is not JSON ({}): {error}", self.kind())))
        };
        self.json.get_or_init(parse).as_ref().map_err(Clone::clone)
    }

    /// The body as HTML.
    ///
    /// # Errors
    /// It is too large or too intricate to be parsed.
    pub fn html(&self) -> Result<&Document, Missing> {
        let parse = || {
            Document::new(self.text(), self.answer.whole)
                .map_err(|error| Missing::new(format!("{error} ({})", self.kind())))
        };
        self.html.get_or_init(parse).as_ref().map_err(Clone::clone)
    }

    /// The part of the page that its forms stand in, unless all of it is parsed already or has to be.
    fn forms(&self) -> Option<&Document> {
        if !self.answer.whole || self.html.get().is_some() {
            return None;
        }
        self.forms.get_or_init(|| Document::of_forms(self.text())).as_ref()
    }

    /// What kind of body came, such as `status 502, text/html, 5120 bytes`.
    fn kind(&self) -> String {
        let Answer { status, headers, body, whole, .. } = self.answer;
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = content_type.map(|value| value.split(';').next().unwrap_or_default().trim());
        let is_type = |char: char| char.is_ascii_alphanumeric() || "/.+-".contains(char);
        let kind = match essence {
            Some(essence) if essence.len() <= LONGEST_NAME && essence.chars().all(is_type) => essence,
            Some(_) => "an odd content-type",
            None => "no content-type",
        };
        let cut = if whole { "" } else { ", cut off" };
        format!("status {status}, {kind}, {} bytes{cut}", body.len())
    }
}

/// Takes one capture from a page.
///
/// # Errors
/// Nothing usable is there; the message names what is.
pub fn capture(source: &Source, page: &Page<'_>) -> Result<Captured, Missing> {
    let value = match source {
        Source::Form(selector) => {
            // Where nothing is found there, the whole page says what is there instead.
            let part = selector.is_lone().then(|| page.forms()).flatten();
            if let Some(Ok(form)) = part.map(|part| form::form(part, selector, page.answer.url)) {
                return Ok(Captured::Form(form));
            }
            return form::form(page.html()?, selector, page.answer.url).map(Captured::Form);
        }
        Source::Link(selector) => return page.html()?.link(selector, page.answer.url).map(Captured::Link),
        Source::Json(path) => first_of_json(path, page.json()?)?,
        Source::Header(name) => header_value(name, page.answer.headers)?.into(),
        Source::Cookie(name) => cookie(name, page.answer.cookies)?.into(),
        Source::Regex(pattern) => first_match(pattern, page)?.into(),
        Source::Css { selector, attr } => page.html()?.first(selector, attr.as_deref())?.into(),
        Source::Field(name) => match page.forms().map(|part| form::field(part, name)) {
            Some(Ok(value)) => value.into(),
            _ => form::field(page.html()?, name)?.into(),
        },
    };
    bounded(value).map(Captured::Value)
}

/// The values of a sweep.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Items {
    /// The first [`MOST_ITEMS`] of them.
    pub values: Vec<Value>,
    /// How many more there are.
    pub more: usize,
}

/// All values of one kind on a page. None at all is no error: there is nothing to sweep.
///
/// # Errors
/// The page cannot be read as what it should be.
pub fn each(each: &Each, page: &Page<'_>) -> Result<Items, Missing> {
    let mut values: Vec<Value> = match each {
        Each::Json(path) => path.select(page.json()?).map_err(Missing::new)?.into_iter().cloned().collect(),
        Each::Css { selector, attr } => {
            let found = page.html()?.all(selector, attr.as_deref())?;
            found.into_iter().map(Value::from).collect()
        }
        Each::Regex(pattern) => {
            let found = pattern.captures(page.text()).filter(|(_, end)| !may_go_on(page, *end));
            found.filter_map(|(value, _)| value).map(Value::from).collect()
        }
    };
    let more = values.len().saturating_sub(MOST_ITEMS);
    values.truncate(MOST_ITEMS);
    let values = values.into_iter().map(bounded).collect::<Result<_, _>>()?;
    Ok(Items { values, more })
}

fn bounded(value: Value) -> Result<Value, Missing> {
    let size = match &value {
        Value::String(text) => text.len(),
        Value::Array(_) | Value::Object(_) => value.to_string().len(),
        _ => 0,
    };
    if size > LONGEST {
        return Err(Missing::new(format!("the value has {size} bytes; at most {LONGEST} are captured")));
    }
    Ok(value)
}

fn first_of_json(path: &JsonPath, document: &Value) -> Result<Value, Missing> {
    let selected = path.select(document).map_err(Missing::new)?;
    if let Some(first) = selected.first() {
        return Ok((*first).clone());
    }
    let (place, value) = path.nearest(document);
    let place = if place == "$" { "the document".into() } else { place };
    let there = match value {
        Value::Object(members) if members.is_empty() => format!("{place} is an empty object"),
        Value::Object(members) => {
            format!("{place} has the keys {}", names(members.keys().map(String::as_str)))
        }
        Value::Array(list) => format!("{place} is a list of {}", list.len()),
        Value::String(_) => format!("{place} is a string"),
        Value::Number(_) => format!("{place} is a number"),
        Value::Bool(_) => format!("{place} is a boolean"),
        Value::Null => format!("{place} is null"),
    };
    Err(Missing::new(format!("{} is absent; {there}", clip_written(path.as_str()))))
}

fn header_value(name: &HeaderName, headers: &HeaderMap) -> Result<String, Missing> {
    let Some(value) = headers.get(name) else {
        let there = names(headers.keys().map(HeaderName::as_str));
        return Err(Missing::new(format!("no header {name}; the answer has {there}")));
    };
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(Missing::new(format!("the header {name} is no UTF-8"))),
    }
}

fn cookie(name: &str, jar: &[(&str, &str)]) -> Result<String, Missing> {
    match jar.iter().find(|(other, _)| *other == name) {
        Some((_, value)) => Ok((*value).to_owned()),
        None => {
            let there = names(jar.iter().map(|(name, _)| *name));
            Err(Missing::new(format!("no cookie {name}; the jar has {there}")))
        }
    }
}

fn first_match(pattern: &Pattern, page: &Page<'_>) -> Result<String, Missing> {
    let fault = |what: &str| {
        Missing::new(format!(
            "the pattern {} {what} the body ({})",
            clip_written(pattern.as_str()),
            page.kind()
        ))
    };
    match pattern.captures(page.text()).next() {
        None => Err(fault("matches nothing in")),
        Some((_, end)) if may_go_on(page, end) => Err(fault("matches only at the cut end of")),
        Some((None, _)) => Err(fault("matches without its group in")),
        Some((Some(value), _)) => Ok(value.to_owned()),
    }
}

/// Whether a match that ends here could be longer if the body were whole.
fn may_go_on(page: &Page<'_>, end: usize) -> bool {
    !page.answer.whole && end == page.text().len()
}

/// A list of names for a message: a few, each once, none of them long.
pub(super) fn names<T: AsRef<str>>(all: impl Iterator<Item = T>) -> String {
    let mut shown: Vec<String> = Vec::new();
    let mut more = 0_usize;
    for name in all {
        let name = clip_name(name.as_ref());
        if shown.contains(&name) {
            continue;
        }
        if shown.len() < MOST_NAMES { shown.push(name) } else { more += 1 }
    }
    match (shown.is_empty(), more) {
        (true, _) => "none".into(),
        (false, 0) => shown.join(", "),
        (false, more) => format!("{} and {more} more", shown.join(", ")),
    }
}

fn clip_name(name: &str) -> String {
    clip_to(name, LONGEST_NAME)
}

/// A selector, path or pattern for a message.
pub(super) fn clip_written(written: &str) -> String {
    clip_to(written, LONGEST_WRITTEN)
}

fn clip_to(text: &str, length: usize) -> String {
    match text.char_indices().nth(length) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
#[path = "capture_tests.rs"]
mod tests;
