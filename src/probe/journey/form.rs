//! Forms as a browser would submit them without anyone typing: target, method and the fields that
//! have a value already (HTML standard, "constructing the entry list").

use std::collections::HashMap;

use http::Method;
use scraper::ElementRef;
use url::Url;

use super::capture::{Form, Missing, names};
use super::html::{Document, Selector, target};
use super::sink::NodeId;

/// The most fields of a form, and the most bytes of all their names and values.
const MOST_FIELDS: usize = 2_000;
const LARGEST_FORM: usize = 1 << 20;

/// How many forms that match one selector are compared.
const MOST_MATCHES: usize = 20;

/// A field of the page: its element, its form, and what would be sent of it.
struct Field<'a> {
    name: &'a str,
    owner: Option<NodeId>,
    values: Vec<String>,
}

/// Reads the form a selector names.
///
/// # Errors
/// No form matches, several different ones do, or it cannot be submitted.
pub fn form(document: &Document, selector: &Selector, page: &Url) -> Result<Form, Missing> {
    let written = selector.shown();
    let matching: Vec<_> = document.select(selector).take(MOST_MATCHES).collect();
    let forms: Vec<_> = matching.iter().copied().filter(|element| element.value().name() == "form").collect();
    let Some((first, others)) = forms.split_first() else {
        let found = match matching.first() {
            Some(other) => format!("{written} selects an element {}, no form", other.value().name()),
            None => format!("no form matches {written}"),
        };
        return Err(Missing::new(format!("{found}; {}", forms_there(document))));
    };
    let fields = fields(document);
    let chosen = read(document, *first, &fields, selector, page)?;
    let differs =
        |other: &&ElementRef<'_>| read(document, **other, &fields, selector, page).as_ref() != Ok(&chosen);
    if others.iter().any(|other| differs(&other)) {
        return Err(Missing::new(format!(
            "{written} selects {} different forms; name one: {}",
            forms.len(),
            names(forms.iter().map(|form| described(*form)))
        )));
    }
    Ok(chosen)
}

fn read(
    document: &Document,
    form: ElementRef<'_>,
    fields: &[Field<'_>],
    selector: &Selector,
    page: &Url,
) -> Result<Form, Missing> {
    let fault = |why: String| Missing::new(format!("the form {} {why}", selector.shown()));
    if document.is_cut(form) {
        return Err(fault("is not whole: the page was cut off inside it".into()));
    }
    let is = |attr: &str, wanted: &str| {
        form.attr(attr).is_some_and(|value| value.trim().eq_ignore_ascii_case(wanted))
    };
    if is("method", "dialog") {
        return Err(fault("closes a dialog and sends nothing".into()));
    }
    let post = is("method", "post");
    if post && is("enctype", "text/plain") {
        return Err(fault("is sent as text/plain, which is not supported".into()));
    }
    let action = match form.attr("action").map(str::trim) {
        None | Some("") => target(page, ""),
        Some(action) => target(&document.base(page), action),
    };
    let mut sent = Vec::new();
    let mut size = 0;
    for field in fields.iter().filter(|field| field.owner == Some(form.id())) {
        for value in &field.values {
            size += field.name.len() + value.len();
            if size > LARGEST_FORM || sent.len() == MOST_FIELDS {
                return Err(fault(format!("has more than {MOST_FIELDS} fields or {LARGEST_FORM} bytes")));
            }
            sent.push((field.name.to_owned(), value.clone()));
        }
    }
    Ok(Form {
        method: if post { Method::POST } else { Method::GET },
        action: action.map_err(fault)?,
        fields: sent,
        multipart: post && is("enctype", "multipart/form-data"),
    })
}

/// The value of the field of a name, in whichever form it is.
///
/// # Errors
/// There is none, it would not be sent, or there are several with different values.
pub fn field(document: &Document, name: &str) -> Result<String, Missing> {
    let fields = fields(document);
    let named: Vec<_> = fields.iter().filter(|field| field.name == name).collect();
    if named.is_empty() {
        let there = names(fields.iter().map(|field| field.name));
        return Err(Missing::new(match fields.is_empty() {
            true => format!("no input is named {name}; the page has no fields"),
            false => format!("no input is named {name}; the page has the fields {there}"),
        }));
    }
    let mut values = named.iter().flat_map(|field| field.values.iter().map(|value| (field.owner, value)));
    let Some((owner, value)) = values.next() else {
        return Err(Missing::new(format!(
            "the input {name} has nothing to send: it is disabled, not checked, or a button"
        )));
    };
    let Some((other, _)) = values.find(|(_, other)| *other != value) else {
        return Ok(value.clone());
    };
    if owner == other {
        return Err(Missing::new(format!(
            "a form has several fields {name} with different values; name one by css: and attr: value"
        )));
    }
    let forms =
        document.elements().filter(|element| named.iter().any(|field| field.owner == Some(element.id())));
    Err(Missing::new(format!(
        "two forms have a field {name} with different values; name the form, such as css: \"{} [name={name}]\" with \
         attr: value",
        forms.map(described).next().unwrap_or_else(|| "form".into())
    )))
}

fn forms_there(document: &Document) -> String {
    let mut forms = document.elements().filter(|element| element.value().name() == "form").peekable();
    match forms.peek() {
        None => "the page has no form".into(),
        Some(_) => format!("the page has the forms {}", names(forms.map(described))),
    }
}

/// A selector for a form, as good as its attributes allow.
fn described(form: ElementRef<'_>) -> String {
    match (form.attr("id"), form.attr("name")) {
        (Some(id), _) => format!("form#{id}"),
        (None, Some(name)) => format!("form[name={name}]"),
        (None, None) => "form".into(),
    }
}

fn fields(document: &Document) -> Vec<Field<'_>> {
    let mut forms: HashMap<&str, NodeId> = HashMap::new();
    for form in document.elements().filter(|element| element.value().name() == "form") {
        if let Some(id) = form.attr("id") {
            forms.entry(id).or_insert(form.id());
        }
    }
    let listed = document.elements().filter_map(|element| {
        let name = element.attr("name").filter(|name| !name.is_empty())?;
        matches!(element.value().name(), "input" | "select" | "textarea").then_some((element, name))
    });
    listed
        .map(|(element, name)| Field {
            name,
            owner: match element.attr("form") {
                Some(id) => forms.get(id).copied(),
                None => document.parsed_owner(element).map(|form| form.id()),
            },
            values: if is_disabled(element) { Vec::new() } else { values(element, name) },
        })
        .collect()
}

fn values(element: ElementRef<'_>, name: &str) -> Vec<String> {
    match element.value().name() {
        "input" => input(element, name).into_iter().collect(),
        "select" => options(element),
        _ => vec![element.text().collect()],
    }
}

fn input(element: ElementRef<'_>, name: &str) -> Option<String> {
    let kind = element.attr("type").unwrap_or("text").trim().to_ascii_lowercase();
    let value = element.attr("value");
    match &*kind {
        "submit" | "button" | "reset" | "image" | "file" => None,
        "checkbox" | "radio" => element.attr("checked").is_some().then(|| value.unwrap_or("on").to_owned()),
        "hidden" if name == "_charset_" => Some("UTF-8".into()),
        _ => Some(value.unwrap_or_default().to_owned()),
    }
}

/// The values of the selected options; of a drop-down list one is always selected.
fn options(select: ElementRef<'_>) -> Vec<String> {
    let all: Vec<_> = select
        .descendants()
        .filter_map(ElementRef::wrap)
        .filter(|element| element.value().name() == "option")
        .collect();
    let enabled = |option: &&ElementRef<'_>| {
        let group = option.parent().and_then(ElementRef::wrap);
        option.attr("disabled").is_none() && group.is_none_or(|group| group.attr("disabled").is_none())
    };
    let is_selected = |option: &&ElementRef<'_>| option.attr("selected").is_some();
    let list =
        select.attr("size").and_then(|size| size.trim().parse::<u32>().ok()).is_some_and(|size| size > 1);
    if select.attr("multiple").is_some() {
        return all.iter().filter(is_selected).filter(enabled).map(option).collect();
    }
    let chosen = match all.iter().rfind(is_selected) {
        None if !list => all.iter().find(enabled),
        selected => selected.filter(enabled),
    };
    chosen.map(option).into_iter().collect()
}

fn option(option: &ElementRef<'_>) -> String {
    match option.attr("value") {
        Some(value) => value.to_owned(),
        None => option.text().collect::<String>().split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

/// Disabled itself, by a fieldset around it (whose first legend stays enabled), or in a data list.
fn is_disabled(element: ElementRef<'_>) -> bool {
    if element.attr("disabled").is_some() {
        return true;
    }
    let mut inner = element;
    for outer in element.ancestors().filter_map(ElementRef::wrap) {
        let name = outer.value().name();
        if name == "datalist" {
            return true;
        }
        if name == "fieldset" && outer.attr("disabled").is_some() {
            let legend = outer.child_elements().find(|child| child.value().name() == "legend");
            if legend.is_none_or(|legend| legend.id() != inner.id()) {
                return true;
            }
        }
        inner = outer;
    }
    false
}
