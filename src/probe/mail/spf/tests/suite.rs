//! The YAML of the test suite of openspf.org for RFC 7208, release 2014.04: worlds of names, and what is
//! asked of them.

use std::collections::HashMap;

use super::super::{Checked, Sender};
use crate::formats::vectors;
use crate::formats::yaml::{Node as Yaml, Value, parse};

/// What a name of the suite has.
enum Entry {
    Record(String, Vec<String>),
    /// What is not there is not answered for.
    Timeout,
}

/// What one question finds.
pub enum Found {
    /// The data of the records, each as its parts.
    Records(Vec<Vec<String>>),
    Alias(String),
    /// Nothing of that type, but the name is there.
    Nothing,
    NoName,
    /// No answer.
    Silence,
}

/// Names in lower case without a dot at their end, and what they have.
#[derive(Default)]
pub struct Zone(HashMap<String, Vec<Entry>>);

/// One question about a sender, and the answers that are allowed.
pub struct Case {
    pub name: String,
    ip: String,
    mail_from: String,
    helo: String,
    results: Vec<String>,
    /// `DEFAULT` if the domain explains nothing.
    explanation: Option<String>,
}

/// A document: the DNS, and what is asked.
pub struct World {
    pub zone: Zone,
    pub cases: Vec<Case>,
}

/// The suite, or none, told, where it is not there.
pub fn suite(test: &str) -> Option<Vec<World>> {
    let text = vectors::text("rfc7208-tests.yml", test)?;
    Some(text.split("\n---\n").skip(1).map(World::read).collect())
}

impl World {
    fn read(document: &str) -> Self {
        let document = parse("rfc7208-tests.yml", document).unwrap();
        let cases = entries(get(&document, "tests").unwrap());
        Self {
            zone: Zone::read(get(&document, "zonedata").unwrap()),
            cases: cases.map(|(name, case)| Case::read(name, case)).collect(),
        }
    }
}

impl Case {
    fn read(name: &str, case: &Yaml) -> Self {
        let text = |key: &str| get(case, key).map(|node| texts(node).concat());
        Self {
            name: name.to_owned(),
            ip: text("host").unwrap(),
            mail_from: text("mailfrom").unwrap_or_default(),
            helo: text("helo").unwrap_or_default(),
            results: texts(get(case, "result").unwrap()),
            explanation: text("explanation"),
        }
    }

    pub fn sender(&self) -> Sender<'_> {
        Sender {
            ip: self.ip.parse().unwrap(),
            mail_from: &self.mail_from,
            helo: &self.helo,
            receiver: "receiver.example",
            time: 0,
        }
    }
}

/// Fails if a case came out otherwise than the suite allows, or if not all of them were asked.
pub fn assert_all(cases: &[(&Case, Checked)]) {
    let mut faults = Vec::new();
    for (Case { name, results, explanation, .. }, checked) in cases {
        let result = checked.verdict.as_str();
        if !results.iter().any(|allowed| allowed == result) {
            faults.push(format!("{name}: {result} ({}), not {results:?}", checked.why));
        }
        let said = checked.explanation.as_deref().unwrap_or("DEFAULT");
        if let Some(wanted) = explanation.as_deref().filter(|wanted| *wanted != said) {
            faults.push(format!("{name}: explained as {said:?}, not {wanted:?}"));
        }
    }
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), cases.len(), faults.join("\n"));
    let explained = cases.iter().filter(|(case, _)| case.explanation.is_some()).count();
    assert_eq!((cases.len(), explained), (203, 22));
}

impl Zone {
    /// From YAML: names, each with a list of records.
    pub fn of(text: &str) -> Self {
        Self::read(&parse("zone", text).unwrap())
    }

    /// A record more.
    pub fn add(&mut self, name: &str, kind: &str, data: Vec<String>) {
        self.0.entry(name.to_lowercase()).or_default().push(Entry::Record(kind.to_owned(), data));
    }

    /// From now on nothing that the name does not have yet is answered for.
    pub fn silence(&mut self, name: &str) {
        self.0.entry(name.to_lowercase()).or_default().push(Entry::Timeout);
    }

    fn read(data: &Yaml) -> Self {
        let mut zone = Self::default();
        for (name, records) in entries(data) {
            let Value::List(records) = &records.value else { panic!("{name} has no list") };
            let mut all: Vec<Entry> = Vec::new();
            for record in records {
                match &record.value {
                    Value::String(word) if word == "TIMEOUT" => all.push(Entry::Timeout),
                    _ => all.extend(
                        entries(record).map(|(kind, data)| Entry::Record(kind.to_owned(), texts(data))),
                    ),
                }
            }
            // Records of type SPF stand for those of TXT, unless there are some.
            let has_text = all.iter().any(|entry| matches!(entry, Entry::Record(kind, _) if kind == "TXT"));
            if !has_text {
                for entry in &mut all {
                    match entry {
                        Entry::Record(kind, _) if kind == "SPF" => *kind = "TXT".to_owned(),
                        _ => {}
                    }
                }
            }
            zone.0.insert(name.to_lowercase(), all);
        }
        zone
    }

    /// What a question finds. Aliases are for the caller to follow.
    pub fn find(&self, name: &str, kind: &str) -> Found {
        let Some(all) = self.0.get(&name.to_lowercase()) else { return Found::NoName };
        let mut found = Vec::new();
        let mut alias = None;
        for entry in all {
            match entry {
                Entry::Timeout if found.is_empty() => return Found::Silence,
                Entry::Timeout => break,
                Entry::Record(own, values) if own == kind => {
                    found.extend(Some(values).filter(|values| *values != &["NONE"]).cloned());
                }
                Entry::Record(own, values) if own == "CNAME" => alias = values.first(),
                Entry::Record(..) => {}
            }
        }
        match alias {
            _ if !found.is_empty() => Found::Records(found),
            Some(alias) => Found::Alias(alias.trim_end_matches('.').to_owned()),
            None => Found::Nothing,
        }
    }
}

fn texts(node: &Yaml) -> Vec<String> {
    match &node.value {
        Value::String(text) => vec![text.clone()],
        Value::Int(number) => vec![number.to_string()],
        Value::Float(number) => vec![number.to_string()],
        Value::List(items) => items.iter().flat_map(texts).collect(),
        other => panic!("{other:?} stands where text should"),
    }
}

fn entries(node: &Yaml) -> impl Iterator<Item = (&str, &Yaml)> {
    let Value::Map(entries) = &node.value else { panic!("{:?} is no map", node.at) };
    entries.iter().map(|entry| (entry.key.as_str(), &entry.value))
}

fn get<'a>(node: &'a Yaml, key: &str) -> Option<&'a Yaml> {
    entries(node).find(|(known, _)| *known == key).map(|(_, value)| value)
}
