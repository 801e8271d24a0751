//! From text to the tree: anchors, merge keys, duplicate keys, and the budget that bounds them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, Span};

use super::{Entry, Fault, Node, Position, Value};

/// Deeper nesting is refused.
const DEEPEST: usize = 64;
/// How many nodes aliases may add to a document in all.
const ALIAS_NODES: usize = 100_000;

/// Parses one document. An empty document is [`Value::Null`].
///
/// # Errors
/// The syntax error, or every duplicate key.
pub fn parse(file: &str, text: &str) -> Result<Node, Vec<Fault>> {
    let mut builder = Builder {
        file: file.into(),
        stack: Vec::new(),
        anchors: HashMap::new(),
        alias_nodes: 0,
        root: None,
        documents: 0,
        faults: Vec::new(),
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for step in Parser::new_from_str(text) {
        let done = match step {
            Ok((event, span)) => builder.event(event, span),
            Err(error) => {
                let mark = error.marker();
                let at = builder.position(mark.line(), mark.col());
                Err(fault(at, format!("YAML syntax error: {}", error.info())))
            }
        };
        if let Err(fault) = done {
            builder.faults.push(fault);
            return Err(builder.faults);
        }
    }
    if !builder.faults.is_empty() {
        return Err(builder.faults);
    }
    let start = builder.position(1, 0);
    Ok(builder.root.unwrap_or(Node { at: start, value: Value::Null }))
}

fn fault(at: Position, message: String) -> Fault {
    Fault { at: Some(at), path: String::new(), message }
}

/// A collection that is still open.
enum Open {
    List {
        at: Position,
        anchor: usize,
        items: Vec<Node>,
    },
    Map {
        at: Position,
        anchor: usize,
        entries: Vec<Entry>,
        key: Option<(String, Position)>,
        merges: Vec<Node>,
    },
}

struct Builder {
    file: Arc<str>,
    stack: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    alias_nodes: usize,
    root: Option<Node>,
    documents: usize,
    faults: Vec<Fault>,
}

impl Builder {
    fn position(&self, line: usize, column: usize) -> Position {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Position { file: self.file.clone(), line: number(line.max(1)), column: number(column + 1) }
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        let at = self.position(span.start.line(), span.start.col());
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(fault(
                        at,
                        "a second document starts here; write one document per file".into(),
                    ));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let node = Node { at, value: scalar(text.into_owned(), style, tag.is_some()) };
                self.finish(node, anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.open(Open::List { at, anchor, items: Vec::new() }),
            Event::MappingStart(_, anchor, _) => {
                self.open(Open::Map { at, anchor, entries: Vec::new(), key: None, merges: Vec::new() })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(id) => self.alias(id, at),
            _ => Ok(()),
        }
    }

    fn open(&mut self, open: Open) -> Result<(), Fault> {
        let (Open::List { at, .. } | Open::Map { at, .. }) = &open;
        if self.stack.len() >= DEEPEST {
            return Err(fault(at.clone(), format!("nested deeper than {DEEPEST} levels")));
        }
        if let Some(Open::Map { key: None, .. }) = self.stack.last() {
            return Err(fault(at.clone(), "a key must be text, not a list or a map".into()));
        }
        self.stack.push(open);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        match self.stack.pop() {
            Some(Open::List { at, anchor, items }) => {
                self.finish(Node { at, value: Value::List(items) }, anchor)
            }
            Some(Open::Map { at, anchor, mut entries, merges, .. }) => {
                self.duplicates(&entries);
                merge(&mut entries, merges);
                entries.shrink_to_fit();
                self.finish(Node { at, value: Value::Map(entries) }, anchor)
            }
            None => Ok(()),
        }
    }

    fn duplicates(&mut self, entries: &[Entry]) {
        let mut seen: HashMap<&str, u32> = HashMap::with_capacity(entries.len());
        for entry in entries {
            if let Some(first) = seen.insert(&entry.key, entry.at.line) {
                let message = format!(
                    "duplicate key {:?}: line {first} and line {}; remove one",
                    entry.key, entry.at.line
                );
                self.faults.push(fault(entry.at.clone(), message));
            }
        }
    }

    fn alias(&mut self, id: usize, at: Position) -> Result<(), Fault> {
        let Some((node, size)) = self.anchors.get(&id) else {
            return Err(fault(at, "an alias inside its own anchor".into()));
        };
        self.alias_nodes = self.alias_nodes.saturating_add(*size);
        if self.alias_nodes > ALIAS_NODES {
            return Err(fault(at, format!("aliases add more than {ALIAS_NODES} nodes")));
        }
        if self.stack.len() + depth(node) > DEEPEST {
            return Err(fault(at, format!("nested deeper than {DEEPEST} levels")));
        }
        let node = node.clone();
        self.finish(node, 0)
    }

    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), Fault> {
        if anchor != 0 {
            let size = size(&node);
            self.alias_nodes = self.alias_nodes.saturating_add(size);
            if self.alias_nodes > ALIAS_NODES {
                return Err(fault(node.at, format!("anchors hold more than {ALIAS_NODES} nodes")));
            }
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, merges, .. }) => match key.take() {
                None => *key = Some((key_text(&node)?, node.at)),
                Some((name, at)) if name == "<<" => merge_sources(node, at, merges)?,
                Some((name, at)) => entries.push(Entry { key: name, at, value: node }),
            },
        }
        Ok(())
    }
}

fn key_text(node: &Node) -> Result<String, Fault> {
    match &node.value {
        Value::String(text) => Ok(text.clone()),
        Value::Int(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        _ => Err(fault(node.at.clone(), "a key must be text".into())),
    }
}

/// The maps that a `<<` names, the first one winning.
fn merge_sources(node: Node, at: Position, merges: &mut Vec<Node>) -> Result<(), Fault> {
    match node.value {
        Value::Map(_) => merges.push(node),
        Value::List(items) if items.iter().all(|item| matches!(item.value, Value::Map(_))) => {
            merges.extend(items)
        }
        _ => return Err(fault(at, "<< merges a map or a list of maps".into())),
    }
    Ok(())
}

fn merge(entries: &mut Vec<Entry>, merges: Vec<Node>) {
    if merges.is_empty() {
        return;
    }
    let mut known: HashSet<String> = entries.iter().map(|entry| entry.key.clone()).collect();
    for source in merges {
        if let Value::Map(more) = source.value {
            entries.extend(more.into_iter().filter(|entry| known.insert(entry.key.clone())));
        }
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(items) => items.iter().map(size).sum(),
        Value::Map(entries) => entries.iter().map(|entry| size(&entry.value)).sum(),
        _ => 0,
    }
}

fn depth(node: &Node) -> usize {
    match &node.value {
        Value::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Map(entries) => 1 + entries.iter().map(|entry| depth(&entry.value)).max().unwrap_or(0),
        _ => 0,
    }
}

fn scalar(text: String, style: ScalarStyle, tagged: bool) -> Value {
    if style != ScalarStyle::Plain || tagged { Value::String(text) } else { plain(text) }
}

/// A plain scalar by the core schema of YAML 1.2.
pub(crate) fn plain(text: String) -> Value {
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".inf" | "+.inf" => return Value::Float(f64::INFINITY),
        "-.inf" => return Value::Float(f64::NEG_INFINITY),
        ".nan" => return Value::Float(f64::NAN),
        _ => {}
    }
    let numeric = text.bytes().next().is_some_and(|b| b.is_ascii_digit() || b"+-.".contains(&b));
    if numeric {
        if let Ok(number) = text.parse() {
            return Value::Int(number);
        }
        let digits = text.bytes().any(|b| b.is_ascii_digit());
        if digits
            && text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b))
            && let Ok(number) = text.parse()
        {
            return Value::Float(number);
        }
    }
    Value::String(text)
}
