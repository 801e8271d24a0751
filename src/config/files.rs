//! The file, or the folder of files, as one tree.

use std::path::{Path, PathBuf};

use crate::formats::yaml::{Entry, Fault, Node, Position, Value, parse};

/// What was read, and from where.
pub(super) struct Loaded {
    pub root: Node,
    pub watched: Vec<PathBuf>,
    /// The folder the config stands in.
    pub folder: PathBuf,
}

/// Reads and merges.
pub(super) fn read(path: &Path) -> Result<Loaded, Vec<Fault>> {
    let meta =
        std::fs::metadata(path).map_err(|error| vec![outside(path, &format!("cannot be read: {error}"))])?;
    if !meta.is_dir() {
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        return Ok(Loaded { root: one(path)?, watched: vec![path.to_owned()], folder });
    }
    let said = |error: std::io::Error| vec![outside(path, &format!("cannot be listed: {error}"))];
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(said)? {
        let file = entry.map_err(said)?.path();
        if file.extension().is_some_and(|e| e == "yaml" || e == "yml") {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(vec![outside(path, "holds no *.yaml file; put one there")]);
    }
    let mut faults = Vec::new();
    let mut root: Option<Node> = None;
    for file in &files {
        match one(file) {
            Ok(node) => match &mut root {
                None => root = Some(node),
                Some(root) => merge(root, node, "", &mut faults),
            },
            Err(more) => faults.extend(more),
        }
    }
    let mut watched = vec![path.to_owned()];
    watched.extend(files);
    match root {
        Some(root) if faults.is_empty() => Ok(Loaded { root, watched, folder: path.to_owned() }),
        _ => Err(faults),
    }
}

fn outside(path: &Path, message: &str) -> Fault {
    Fault { at: None, path: String::new(), message: format!("{} {message}", path.display()) }
}

fn one(path: &Path) -> Result<Node, Vec<Fault>> {
    let bytes =
        std::fs::read(path).map_err(|error| vec![outside(path, &format!("cannot be read: {error}"))])?;
    let name = path.display().to_string();
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let lines = error.as_bytes().iter().take(good).filter(|byte| **byte == b'\n').count() + 1;
        let at = Position {
            file: name.as_str().into(),
            line: u32::try_from(lines).unwrap_or(u32::MAX),
            column: 1,
        };
        vec![Fault { at: Some(at), path: String::new(), message: "is not UTF-8; save it as UTF-8".into() }]
    })?;
    let node = parse(&name, &text)?;
    match &node.value {
        Value::Map(entries) if !entries.is_empty() => Ok(node),
        Value::Null | Value::Map(_) => {
            let message = "is empty; start from `portals: {acme: {url: https://portal.acme.example, checks: {home: {http: {}}}}}`";
            Err(vec![outside(path, message)])
        }
        _ => Err(vec![Fault {
            at: Some(node.at),
            path: String::new(),
            message: "expected a map of keys".into(),
        }]),
    }
}

fn merge(into: &mut Node, from: Node, path: &str, faults: &mut Vec<Fault>) {
    match (&mut into.value, from.value) {
        (Value::Map(entries), Value::Map(more)) => merge_maps(entries, more, path, faults),
        (Value::List(items), Value::List(more)) if path == "notify.routes" => items.extend(more),
        _ => faults.push(twice(&into.at, from.at, path)),
    }
}

fn merge_maps(entries: &mut Vec<Entry>, more: Vec<Entry>, path: &str, faults: &mut Vec<Fault>) {
    let known: std::collections::HashMap<String, usize> =
        entries.iter().enumerate().map(|(index, entry)| (entry.key.clone(), index)).collect();
    for entry in more {
        let below = if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
        match known.get(&entry.key).and_then(|index| entries.get_mut(*index)) {
            None => entries.push(entry),
            Some(first) if path == "portals" || path == "notify.channels" => {
                faults.push(twice(&first.at, entry.at, &below));
            }
            Some(first) => merge(&mut first.value, entry.value, &below, faults),
        }
    }
}

fn twice(first: &Position, second: Position, path: &str) -> Fault {
    let message = format!("stands already at {}:{}; remove one", first.file, first.line);
    Fault { at: Some(second), path: path.to_owned(), message }
}
