//! From text to nodes: the parser's events, put together with their positions.
//!
//! Supported: everything a config needs, anchors, aliases and merge keys (`<<`) among it. A document
//! that aliases blow up, or that nests too deep, is refused: [`MOST_NODES`], [`DEEPEST`].

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, Span};

use super::{Entry, Fault, Node, Position, Value};

/// The most nodes a document may have, aliases unfolded.
const MOST_NODES: usize = 20_000_000;
/// The most nodes that aliases may add.
const MOST_ALIASED: usize = 1_000_000;
/// The deepest nesting.
const DEEPEST: usize = 64;

/// Parses one document.
///
/// # Errors
/// The faults of its syntax. After a syntax error nothing further can be told; duplicate keys are
/// all reported.
pub fn parse(file: &str, text: &str) -> Result<Node, Vec<Fault>> {
    let mut builder = Builder {
        events: Parser::new_from_str(text),
        file: file.into(),
        anchors: HashMap::new(),
        nodes: 0,
        aliased: 0,
        faults: Vec::new(),
    };
    let document = builder.document();
    match document {
        Ok(node) if builder.faults.is_empty() => Ok(node),
        Ok(_) => Err(builder.faults),
        Err(fault) => {
            builder.faults.push(fault);
            Err(builder.faults)
        }
    }
}

struct Builder<'t> {
    events: Parser<'t, granit_parser::StrInput<'t>>,
    file: Arc<str>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    aliased: usize,
    faults: Vec<Fault>,
}

type Next<'t> = (Event<'t>, Position);

impl<'t> Builder<'t> {
    fn position(&self, span: &Span) -> Position {
        Position {
            file: Arc::clone(&self.file),
            line: u32::try_from(span.start.line()).unwrap_or(u32::MAX),
            column: u32::try_from(span.start.col() + 1).unwrap_or(u32::MAX),
        }
    }

    fn fault(&self, at: Position, message: impl Into<String>) -> Fault {
        Fault { at: Some(at), path: String::new(), message: message.into() }
    }

    fn next(&mut self) -> Result<Next<'t>, Fault> {
        match self.events.next() {
            Some(Ok((event, span))) => Ok((event, self.position(&span))),
            Some(Err(error)) => {
                let at = self.position(&Span::empty(*error.marker()));
                Err(self.fault(at, format!("is not valid YAML: {}", error.info())))
            }
            None => {
                let at = Position { file: Arc::clone(&self.file), line: 1, column: 1 };
                Err(self.fault(at, "ends too early"))
            }
        }
    }

    fn document(&mut self) -> Result<Node, Fault> {
        loop {
            let (event, at) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentStart(..) => {}
                Event::StreamEnd | Event::DocumentEnd => return Ok(Node { at, value: Value::Null }),
                event => {
                    let node = self.node((event, at), 0)?;
                    self.no_second_document()?;
                    return Ok(node);
                }
            }
        }
    }

    fn no_second_document(&mut self) -> Result<(), Fault> {
        loop {
            let (event, at) = self.next()?;
            match event {
                Event::DocumentEnd => {}
                Event::StreamEnd => return Ok(()),
                Event::DocumentStart(..) => {
                    return Err(self.fault(at, "starts a second document; a file holds one"));
                }
                _ => {}
            }
        }
    }

    fn node(&mut self, (event, at): Next<'t>, depth: usize) -> Result<Node, Fault> {
        if depth > DEEPEST {
            return Err(self.fault(at, format!("nests deeper than {DEEPEST} levels")));
        }
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(self.fault(at, format!("has more than {MOST_NODES} values")));
        }
        let before = self.nodes;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => (value_of(&text, style, tag.is_some()), anchor),
            Event::SequenceStart(_, anchor, _) => (Value::List(self.list(depth)?), anchor),
            Event::MappingStart(_, anchor, _) => (Value::Map(self.map(depth)?), anchor),
            Event::Alias(anchor) => return self.alias(anchor, at),
            _ => return Err(self.fault(at, "has no value here")),
        };
        let node = Node { at, value };
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - before + 1));
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, at: Position) -> Result<Node, Fault> {
        let Some((node, size)) = self.anchors.get(&anchor) else {
            return Err(self.fault(at, "is an alias of itself"));
        };
        self.aliased += size;
        self.nodes += size;
        if self.aliased > MOST_ALIASED {
            return Err(self.fault(at, format!("aliases unfold to more than {MOST_ALIASED} values")));
        }
        Ok(node.clone())
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, Fault> {
        let mut items = Vec::new();
        loop {
            let next = self.next()?;
            if matches!(next.0, Event::SequenceEnd) {
                return Ok(items);
            }
            items.push(self.node(next, depth + 1)?);
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<Entry>, Fault> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged: Vec<Entry> = Vec::new();
        let mut known: HashMap<String, u32> = HashMap::new();
        loop {
            let next = self.next()?;
            if matches!(next.0, Event::MappingEnd) {
                break;
            }
            let at = next.1.clone();
            let Event::Scalar(key, ..) = next.0 else {
                return Err(self.fault(at, "a key must be plain text"));
            };
            let key = key.into_owned();
            let next = self.next()?;
            let value = self.node(next, depth + 1)?;
            if key == "<<" {
                merged.extend(self.merge(value, &at)?);
            } else if let Some(line) = known.get(&key) {
                let message = format!("the key {key:?} stands here a second time; the first is in line {line}");
                let fault = self.fault(at, message);
                self.faults.push(fault);
            } else {
                // Small maps are the rule; a set pays off for the large ones, and costs little.
                known.insert(key.clone(), at.line);
                entries.push(Entry { key, at, value });
            }
        }
        for entry in merged {
            if !known.contains_key(&entry.key) {
                known.insert(entry.key.clone(), entry.at.line);
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    /// The entries of a merge key's value: a map, or a list of maps of which the first wins.
    fn merge(&self, value: Node, at: &Position) -> Result<Vec<Entry>, Fault> {
        let wrong = || self.fault(at.clone(), "the merge key << wants a map or a list of maps");
        match value.value {
            Value::Map(entries) => Ok(entries),
            Value::List(items) => {
                let mut all = Vec::new();
                for item in items {
                    let Value::Map(entries) = item.value else { return Err(wrong()) };
                    all.extend(entries);
                }
                Ok(all)
            }
            _ => Err(wrong()),
        }
    }
}

/// Quoted text, and text with a tag, stays text.
fn value_of(text: &str, style: ScalarStyle, tagged: bool) -> Value {
    if style != ScalarStyle::Plain || tagged { Value::String(text.to_owned()) } else { scalar(text) }
}

/// A plain scalar's value by the YAML 1.2 core schema.
pub fn scalar(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    if numeric {
        if let Ok(number) = text.parse::<i64>() {
            return Value::Int(number);
        }
        let plain = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
        if text.chars().all(plain)
            && let Ok(number) = text.parse::<f64>()
        {
            return Value::Float(number);
        }
    }
    Value::String(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        parse("m.yaml", text).unwrap_err().iter().map(ToString::to_string).collect()
    }

    fn get<'n>(node: &'n Node, key: &str) -> &'n Node {
        let Value::Map(entries) = &node.value else { panic!("no map: {node:?}") };
        &entries.iter().find(|entry| entry.key == key).unwrap().value
    }

    #[test]
    fn nodes_know_their_line() {
        let node = parse("m.yaml", "a: 1\nb:\n  c: [x, 2.5, true, ~, \"200\"]\n").unwrap();
        let list = get(get(&node, "b"), "c");
        assert_eq!((list.at.line, list.at.column), (3, 6));
        let Value::List(items) = &list.value else { panic!() };
        let values: Vec<&Value> = items.iter().map(|item| &item.value).collect();
        assert_eq!(
            values,
            [
                &Value::String("x".into()),
                &Value::Float(2.5),
                &Value::Bool(true),
                &Value::Null,
                &Value::String("200".into())
            ]
        );
    }

    #[test]
    fn a_duplicate_key_names_both_lines_and_hides_no_other() {
        let found = faults("a: 1\nb: 2\na: 3\nb: 4\n");
        assert_eq!(
            found,
            [
                "m.yaml:3: the key \"a\" stands here a second time; the first is in line 1",
                "m.yaml:4: the key \"b\" stands here a second time; the first is in line 2"
            ]
        );
    }

    #[test]
    fn a_syntax_error_names_its_line() {
        let found = faults("a: 1\nb: [1, 2\nc: 3\n");
        assert!(found[0].starts_with("m.yaml:"), "{found:?}");
        assert!(found[0].contains("is not valid YAML"), "{found:?}");
    }

    #[test]
    fn anchors_and_merge_keys_work() {
        let node = parse("m.yaml", "base: &b { every: 30s, timeout: 5s }\nc: { <<: *b, every: 1m }\n").unwrap();
        assert_eq!(get(get(&node, "c"), "every").value, Value::String("1m".into()));
        assert_eq!(get(get(&node, "c"), "timeout").value, Value::String("5s".into()));
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..9 {
            let items = vec![format!("*a{}", level - 1); 10].join(",");
            text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
        }
        assert!(faults(&text)[0].contains("aliases unfold"));
    }

    #[test]
    fn an_endless_nest_is_refused() {
        assert!(faults(&"[".repeat(1_000))[0].starts_with("m.yaml:"));
    }
}
