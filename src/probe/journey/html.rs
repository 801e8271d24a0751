//! One HTML page: elements by CSS selector, their texts, attributes and links, and what to say of a
//! page that lacks them. Forms are in `form`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use scraper::ElementRef;
use serde::Deserialize;
use serde::de::{self, Deserializer};
use url::Url;

use super::capture::{Missing, clip_written, names};
use super::sink::{NodeId, TooMuch, parse, parse_beginning};
use super::skim;

/// A group of CSS selectors, compiled when the config is read, and how it was written.
#[derive(Clone)]
pub struct Selector {
    written: Box<str>,
    compiled: scraper::Selector,
}

impl Selector {
    /// Compiles a selector.
    ///
    /// # Errors
    /// What is wrong with it and the way out.
    pub fn new(written: &str) -> Result<Self, String> {
        let compiled = scraper::Selector::parse(written).map_err(|error| {
            // Some of its messages have several lines.
            let why = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            format!("{written:?} is no CSS selector, write for example form#login or a[rel=next]: {why}")
        })?;
        Ok(Self { written: written.into(), compiled })
    }

    /// The selector as written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Whether an element matches by its own name and attributes alone, whatever is around it.
    pub(super) fn is_lone(&self) -> bool {
        let own = |char: char| char.is_ascii_alphanumeric() || "-_#.[]='\"/".contains(char);
        self.written.chars().all(own)
    }

    /// The selector for a message.
    pub(super) fn shown(&self) -> String {
        clip_written(&self.written)
    }
}

impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Selector({:?})", self.written)
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl JsonSchema for Selector {
    fn schema_name() -> Cow<'static, str> {
        "Selector".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "A CSS selector such as form#login." })
    }
}

type Node<'a> = <ElementRef<'a> as Deref>::Target;

/// A parsed page.
pub struct Document {
    html: scraper::Html,
    owners: HashMap<NodeId, NodeId>,
    whole: bool,
}

impl Document {
    /// Parses a page; `whole` is false for one that was cut off.
    ///
    /// # Errors
    /// Which bound it exceeds.
    pub fn new(text: &str, whole: bool) -> Result<Self, TooMuch> {
        let parsed = parse(text)?;
        Ok(Self { html: parsed.html, owners: parsed.owners, whole })
    }

    /// The part of a whole page that its forms stand in. `None` where that cannot be told, or little
    /// would be left out.
    pub fn of_forms(text: &str) -> Option<Self> {
        let beginning = text.get(..skim::end(text)?)?;
        let parsed = parse_beginning(beginning).ok()??;
        Some(Self { html: parsed.html, owners: parsed.owners, whole: true })
    }

    /// All elements in document order, without the contents of templates, which are no part of the
    /// page.
    pub fn elements(&self) -> impl Iterator<Item = ElementRef<'_>> {
        walk(*self.html.root_element(), |node| !node.value().is_fragment()).filter_map(ElementRef::wrap)
    }

    /// The elements that match, in document order.
    pub fn select<'a>(&'a self, selector: &'a Selector) -> impl Iterator<Item = ElementRef<'a>> {
        let root = self.html.root_element();
        let itself = Some(root).filter(|root| selector.compiled.matches(root));
        let in_template =
            |element: &ElementRef<'_>| element.ancestors().any(|node| node.value().is_fragment());
        itself.into_iter().chain(root.select(&selector.compiled).filter(move |found| !in_template(found)))
    }

    /// Which form the parser gave a field to.
    pub fn parsed_owner(&self, field: ElementRef<'_>) -> Option<ElementRef<'_>> {
        let owner = self.owners.get(&field.id())?;
        ElementRef::wrap(self.html.tree.get(*owner)?)
    }

    /// Whether an element may go on behind the place where the page was cut off.
    pub fn is_cut(&self, element: ElementRef<'_>) -> bool {
        if self.whole {
            return false;
        }
        let mut last = self.html.tree.root();
        while let Some(child) = last.last_child() {
            last = child;
        }
        last.id() == element.id() || last.ancestors().any(|node| node.id() == element.id())
    }

    /// The address that relative ones start from.
    pub fn base(&self, page: &Url) -> Url {
        let href = self
            .elements()
            .filter(|element| element.value().name() == "base")
            .find_map(|base| base.attr("href"));
        match href.and_then(|href| page.join(href.trim()).ok()) {
            Some(base) if is_web(&base) => base,
            _ => page.clone(),
        }
    }

    /// The value of an attribute, else the text, of an element.
    ///
    /// # Errors
    /// There is no such attribute, or the element is cut off.
    pub fn value(
        &self,
        element: ElementRef<'_>,
        selector: &Selector,
        attr: Option<&str>,
    ) -> Result<String, Missing> {
        let Some(attr) = attr else {
            if self.is_cut(element) {
                return Err(Missing::new(format!(
                    "the page was cut off inside the element that {} selects",
                    selector.shown()
                )));
            }
            return Ok(element.text().collect::<String>().trim().to_owned());
        };
        element.attr(&attr.to_ascii_lowercase()).map(str::to_owned).ok_or_else(|| {
            let there = names(element.value().attrs().map(|(name, _)| name));
            let element = element.value().name();
            Missing::new(format!(
                "{} selects an element {element} without the attribute {attr}; it has {there}",
                selector.shown()
            ))
        })
    }

    /// The value of the first element that matches.
    ///
    /// # Errors
    /// None matches, or it has no such attribute.
    pub fn first(&self, selector: &Selector, attr: Option<&str>) -> Result<String, Missing> {
        match self.select(selector).next() {
            Some(element) => self.value(element, selector, attr),
            None => Err(Missing::new(format!("nothing matches {}; {}", selector.shown(), self.contents()))),
        }
    }

    /// The values of all elements that match. Elements without the attribute are passed over.
    ///
    /// # Errors
    /// Elements match, and none has the attribute.
    pub fn all(&self, selector: &Selector, attr: Option<&str>) -> Result<Vec<String>, Missing> {
        let mut values = Vec::new();
        let mut fault = None;
        for element in self.select(selector) {
            match self.value(element, selector, attr) {
                Ok(value) => values.push(value),
                Err(missing) => fault = fault.or(Some(missing)),
            }
        }
        match fault {
            Some(missing) if values.is_empty() => Err(missing),
            _ => Ok(values),
        }
    }

    /// Where the first element that matches leads to.
    ///
    /// # Errors
    /// None matches, it is no link, or it leads to something else than a web page.
    pub fn link(&self, selector: &Selector, page: &Url) -> Result<Url, Missing> {
        let written = selector.shown();
        let Some(element) = self.select(selector).next() else {
            return Err(Missing::new(format!("no link matches {written}; {}", self.contents())));
        };
        let name = element.value().name();
        if !matches!(name, "a" | "area" | "link") {
            return Err(Missing::new(format!("{written} selects an element {name}, which is no link")));
        }
        let Some(href) = element.attr("href") else {
            let there = names(element.value().attrs().map(|(name, _)| name));
            return Err(Missing::new(format!("{written} selects a link without href; it has {there}")));
        };
        target(&self.base(page), href).map_err(|fault| Missing::new(format!("the link {written} {fault}")))
    }

    /// Whether someone is asked for a password here.
    pub fn asks_for_password(&self) -> bool {
        self.elements().any(|element| {
            is_password(element)
                && element.attr("disabled").is_none()
                && !element.ancestors().chain([*element]).filter_map(ElementRef::wrap).any(is_hidden)
        })
    }

    /// What a reader sees: texts without scripts, styles and hidden parts, white space as one space.
    pub fn visible_text(&self) -> String {
        let is_seen = |node: Node<'_>| {
            ElementRef::wrap(node).is_none_or(|element| {
                let name = element.value().name();
                !matches!(name, "script" | "style" | "template" | "noscript") && !is_hidden(element)
            })
        };
        let mut text = String::new();
        for node in walk(*self.html.root_element(), is_seen) {
            match node.value().as_text() {
                Some(piece) => text.push_str(piece),
                // Inline markup does not part words, other elements do.
                None if !is_inline(node) => text.push(' '),
                None => {}
            }
        }
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// What the page has, by names and counts.
    fn contents(&self) -> String {
        let count = |name: &str| self.elements().filter(|element| element.value().name() == name).count();
        let (forms, links, all) = (count("form"), count("a"), self.elements().count());
        if all <= 3 {
            return "the body holds no HTML elements".into();
        }
        let ids = names(self.elements().filter_map(|element| element.attr("id")));
        format!("the page has {all} elements, {forms} forms, {links} links; ids: {ids}")
    }
}

/// Whether some page asks for a password: an enabled, visible `<input type=password>`. Of a long
/// page the first MiB is read.
pub fn looks_like_login(body: &[u8]) -> bool {
    const READ: usize = 1 << 20;
    let head = String::from_utf8_lossy(body.get(..READ).unwrap_or(body));
    // Most answers are told by a search, which is cheaper than a tree.
    let mentions = head.as_bytes().windows(8).any(|window| window.eq_ignore_ascii_case(b"password"));
    mentions && Document::new(&head, false).is_ok_and(|document| document.asks_for_password())
}

/// The nodes below and including one, in document order; those under a node that is not to be
/// entered are left out.
fn walk<'a>(root: Node<'a>, enters: impl Fn(Node<'a>) -> bool) -> impl Iterator<Item = Node<'a>> {
    std::iter::successors(Some(root), move |node| {
        if enters(*node)
            && let Some(child) = node.first_child()
        {
            return Some(child);
        }
        let mut node = *node;
        while node.id() != root.id() {
            match node.next_sibling() {
                Some(next) => return Some(next),
                None => node = node.parent()?,
            }
        }
        None
    })
}

fn is_inline(node: Node<'_>) -> bool {
    ElementRef::wrap(node).is_none_or(|element| {
        matches!(element.value().name(), "a" | "b" | "em" | "i" | "small" | "span" | "strong" | "u")
    })
}

fn is_password(element: ElementRef<'_>) -> bool {
    element.value().name() == "input"
        && element.attr("type").is_some_and(|kind| kind.trim().eq_ignore_ascii_case("password"))
}

fn is_hidden(element: ElementRef<'_>) -> bool {
    element.attr("hidden").is_some()
        || element.attr("style").is_some_and(|style| {
            let style: String = style.chars().filter(|char| !char.is_whitespace()).collect();
            style.to_ascii_lowercase().contains("display:none")
        })
}

fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

/// Resolves what a link or a form leads to; the fragment is dropped.
///
/// # Errors
/// What is wrong with it, to follow the name of the link or form. Names no part of the address but
/// its scheme.
pub fn target(base: &Url, href: &str) -> Result<Url, String> {
    let mut url = base.join(href.trim()).map_err(|error| format!("leads to no address ({error})"))?;
    if !is_web(&url) {
        return Err(format!("leads to a {}: address, not to a web page", url.scheme()));
    }
    url.set_fragment(None);
    Ok(url)
}
