//! The usual template: literal text and names, such as `/api/tickets/{{ ticket }}`. It needs no
//! engine, which spares each some 12 KB and most of the time of a render.

use super::engine::FUNCTIONS;
use super::vars::WORDS;

/// A part of a template.
pub(super) enum Part {
    /// Written as it stands.
    Literal(Box<str>),
    /// A name with attributes, such as `run.id`.
    Name(Box<str>),
}

impl Part {
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Name(name) => Some(name),
        }
    }
}

/// The parts of a text, if it holds nothing but literal text and names.
pub(super) fn parts(text: &str) -> Option<Box<[Part]>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(start) = ["{{", "{%", "{#"].iter().filter_map(|sign| rest.find(sign)).min() {
        let (literal, tag) = rest.split_at(start);
        let (inside, after) = tag.strip_prefix("{{")?.split_once("}}")?;
        let name = inside.trim_matches([' ', '\t', '\n']);
        if !is_path(name) {
            return None;
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal.into()));
        }
        parts.push(Part::Name(name.into()));
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Literal(rest.into()));
    }
    Some(parts.into())
}

/// Whether it is a name with attributes, and means nothing else to the engine.
fn is_path(text: &str) -> bool {
    text.split('.').all(|name| {
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        starts && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !is_word(name)
    })
}

fn is_word(name: &str) -> bool {
    WORDS.contains(&name) || FUNCTIONS.contains(&name)
}
