//! The test suite of openspf.org for RFC 7208, release 2014.04.

use std::collections::HashMap;
use std::path::PathBuf;

use futures_util::FutureExt as _;

use super::*;
use crate::formats::yaml::{Node as Yaml, Value, parse};

/// What a name of the suite has.
enum Entry {
    Record(String, Vec<String>),
    /// What is not there is not answered for.
    Timeout,
}

#[derive(Default)]
struct Zone(HashMap<String, Vec<Entry>>);

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

impl Zone {
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

    fn look_up(&self, name: &str, kind: &'static str, depth: usize) -> Result<Vec<Vec<String>>, Temporary> {
        let timeout = || Temporary { name: name.to_owned(), kind, why: "no answer".to_owned() };
        let Some(all) = self.0.get(&name.to_lowercase()) else { return Ok(Vec::new()) };
        let is = |values: &[String], word: &str| values.first().is_some_and(|first| first == word);
        let mut found = Vec::new();
        let mut alias = None;
        for entry in all {
            match entry {
                Entry::Timeout if found.is_empty() => return Err(timeout()),
                Entry::Timeout => break,
                Entry::Record(own, values) if own == kind && is(values, "TIMEOUT") => return Err(timeout()),
                Entry::Record(own, values) if own == kind && !is(values, "NONE") => {
                    found.push(values.clone())
                }
                Entry::Record(own, values) if own == "CNAME" => alias = Some(values[0].clone()),
                Entry::Record(..) => {}
            }
        }
        match alias.filter(|_| found.is_empty() && depth < 10) {
            Some(alias) => self.look_up(alias.trim_end_matches('.'), kind, depth + 1),
            None => Ok(found),
        }
    }

    fn firsts<T: std::str::FromStr>(&self, name: &str, kind: &'static str) -> Result<Vec<T>, Temporary> {
        let found = self.look_up(name, kind, 0)?;
        Ok(found.iter().filter_map(|values| values[0].parse().ok()).collect())
    }
}

impl Resolver for Zone {
    fn txt<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<Vec<u8>>, Temporary>> {
        async move { Ok(self.look_up(name, "TXT", 0)?.iter().map(|texts| texts.concat().into_bytes()).collect()) }.boxed()
    }

    fn a<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<Ipv4Addr>, Temporary>> {
        async move { self.firsts(name, "A") }.boxed()
    }

    fn aaaa<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<Ipv6Addr>, Temporary>> {
        async move { self.firsts(name, "AAAA") }.boxed()
    }

    fn mx<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<String>, Temporary>> {
        async move {
            let mut found = self.look_up(name, "MX", 0)?;
            found.sort_by_key(|values| values[0].parse::<u16>().unwrap());
            Ok(found.into_iter().map(|values| values[1].clone()).collect())
        }
        .boxed()
    }

    fn ptr(&self, address: IpAddr) -> BoxFuture<'_, Result<Vec<String>, Temporary>> {
        let name = crate::formats::dns::Name::reverse(address).without_dot();
        async move { Ok(self.look_up(&name, "PTR", 0)?.into_iter().map(|values| values[0].clone()).collect()) }.boxed()
    }
}

/// The suite, or none, told, where it is not there.
#[expect(clippy::disallowed_methods, reason = "tests find their vectors by the environment")]
fn suite(test: &str) -> Option<Vec<Yaml>> {
    let named = std::env::var_os("PORTALWATCH_VECTORS").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"));
    if !folder.is_dir() {
        println!("skipped: {test}: no folder {}", folder.display());
        return None;
    }
    let text = std::fs::read_to_string(folder.join("rfc7208-tests.yml")).unwrap();
    let documents = text.split("\n---\n").skip(1);
    Some(documents.map(|text| parse("rfc7208-tests.yml", text).unwrap()).collect())
}

#[tokio::test]
async fn the_suite_of_the_standard_passes_whole() {
    let Some(suite) = suite("the_suite_of_the_standard_passes_whole") else { return };
    let (mut cases, mut explained, mut faults) = (0, 0, Vec::new());
    for document in &suite {
        let zone = Zone::read(get(document, "zonedata").unwrap());
        for (name, case) in entries(get(document, "tests").unwrap()) {
            let text = |key: &str| get(case, key).map(|node| texts(node).concat()).unwrap_or_default();
            let (mail_from, helo) = (text("mailfrom"), text("helo"));
            let sender = Sender {
                ip: text("host").parse().unwrap(),
                mail_from: &mail_from,
                helo: &helo,
                receiver: "receiver.example",
                time: 0,
            };
            let checked = check_host(&zone, &sender).await;
            cases += 1;
            let allowed = texts(get(case, "result").unwrap());
            if !allowed.contains(&checked.verdict.as_str().to_owned()) {
                faults.push(format!(
                    "{name}: {} ({}), not {allowed:?}",
                    checked.verdict.as_str(),
                    checked.why
                ));
            }
            if let Some(wanted) = get(case, "explanation") {
                explained += 1;
                let wanted = texts(wanted).concat();
                let said = checked.explanation.unwrap_or_else(|| "DEFAULT".to_owned());
                if said != wanted {
                    faults.push(format!("{name}: explained as {said:?}, not {wanted:?}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{} of {cases}:\n{}", faults.len(), faults.join("\n"));
    assert_eq!((cases, explained), (203, 22));
}

fn zone(text: &str) -> Zone {
    Zone::read(&parse("zone", text).unwrap())
}

async fn check(zone: &Zone, ip: &str) -> Checked {
    let sender = Sender {
        ip: ip.parse().unwrap(),
        mail_from: "ada@acme.example",
        helo: "mail.acme.example",
        receiver: "receiver.example",
        time: 0,
    };
    check_host(zone, &sender).await
}

#[tokio::test]
async fn the_way_to_an_answer_is_told_with_what_each_term_costs() {
    let zone = zone(
        "acme.example:\n  - TXT: v=spf1 a include:_spf.other.example -all\n  - A: 192.0.2.1\n\
         _spf.other.example:\n  - TXT: v=spf1 mx ip4:198.51.100.0/24 ?all\n  - MX: [10, mx.other.example]\n\
         mx.other.example:\n  - A: 203.0.113.9\n",
    );
    let pass = check(&zone, "198.51.100.7").await;
    assert_eq!((pass.verdict, pass.lookups, pass.voids), (Verdict::Pass, 3, 0));
    assert_eq!(pass.why, "include:_spf.other.example of acme.example matches");
    let steps: Vec<_> =
        pass.trace.steps.iter().map(|step| (step.term.as_str(), step.matched, step.lookups)).collect();
    assert_eq!(steps, [("a", false, 1), ("include:_spf.other.example", true, 2)]);
    let (behind, verdict) = pass.trace.steps[1].behind.as_ref().unwrap();
    assert_eq!(
        (behind.domain.as_str(), *verdict, behind.steps.len()),
        ("_spf.other.example", Verdict::Pass, 2)
    );
    let fail = check(&zone, "2001:db8::1").await;
    assert_eq!((fail.verdict, fail.voids), (Verdict::Fail, 1), "no AAAA of acme.example");
}

#[tokio::test]
async fn circles_and_silence_end_and_silence_is_never_a_missing_record() {
    let circle = zone("acme.example:\n  - TXT: v=spf1 include:acme.example -all\n");
    let checked = check(&circle, "192.0.2.1").await;
    assert_eq!((checked.verdict, checked.lookups), (Verdict::PermError, 11));
    let around = zone("acme.example:\n  - TXT: v=spf1 redirect=acme.example\n");
    assert_eq!(check(&around, "192.0.2.1").await.verdict, Verdict::PermError);
    let silent = zone("acme.example:\n  - TIMEOUT\n");
    assert_eq!(check(&silent, "192.0.2.1").await.verdict, Verdict::TempError);
    let behind = zone("acme.example:\n  - TXT: v=spf1 include:b.example -all\nb.example:\n  - TIMEOUT\n");
    let checked = check(&behind, "192.0.2.1").await;
    assert_eq!(checked.verdict, Verdict::TempError);
    assert!(checked.why.contains("b.example"), "{}", checked.why);
}
