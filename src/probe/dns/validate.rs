//! What of the settings can only be judged together.

use super::observe::questions::MOST_QUESTIONS;
use super::spec::Spec;
use crate::formats::dns::RecordType;
use crate::judge::drift::Expectation;
use crate::probe::Problem;

fn problem(path: &[&str], message: impl Into<String>) -> Problem {
    Problem { path: path.iter().map(|key| (*key).to_owned()).collect(), message: message.into() }
}

type Rule = fn(&Spec) -> Vec<Problem>;

const RULES: &[Rule] = &[root, outside, repeated, uncomparable, too_many, ports, learning];

/// What is wrong with the settings.
pub fn problems(spec: &Spec) -> Vec<Problem> {
    RULES.iter().flat_map(|rule| rule(spec)).collect()
}

fn root(spec: &Spec) -> Vec<Problem> {
    let message = "the root has no parent that delegates it; write a zone such as acme.example";
    spec.zone.0.is_root().then(|| problem(&["zone"], message)).into_iter().collect()
}

/// Names that are no names below the zone.
fn outside(spec: &Spec) -> Vec<Problem> {
    let zone = &spec.zone.0;
    let records = spec.records.iter().map(|record| ("records", &record.name));
    let announced = spec.announced.iter().map(|announced| ("announced", &announced.name));
    let fault = |(key, owner): (&str, &super::values::Owner)| match owner.within(zone) {
        Ok(name) if name.is_within(zone) => None,
        Ok(name) => {
            let message = format!(
                "{name} is not within {zone}; leave out the dot at its end, or give its zone a check of its own"
            );
            Some(problem(&[key], message))
        }
        Err(why) => Some(problem(&[key], why)),
    };
    records.chain(announced).filter_map(fault).collect()
}

fn repeated(spec: &Spec) -> Vec<Problem> {
    let key = |record: &super::spec::RecordSpec| Some((record.name.within(&spec.zone.0).ok()?, record.kind));
    let again = |(index, record): (usize, &super::spec::RecordSpec)| {
        let own = key(record)?;
        spec.records.iter().take(index).find(|before| key(before).as_ref() == Some(&own))?;
        let message = format!("{} {} is named twice; leave one of them out", own.0, own.1.0);
        Some(problem(&["records"], message))
    };
    spec.records.iter().enumerate().filter_map(again).collect()
}

fn uncomparable(spec: &Spec) -> Vec<Problem> {
    let records = spec.records.iter().map(|record| ("records", record.kind.0));
    let announced = spec.announced.iter().map(|announced| ("announced", announced.kind.0));
    let fault = |(key, kind): (&str, RecordType)| {
        let why = match kind {
            RecordType::SOA => "changes with every change of the zone; it is looked at by itself",
            RecordType::RRSIG | RecordType::NSEC | RecordType::NSEC3 => {
                "is made anew by whoever signs the zone; signatures are looked at by themselves"
            }
            RecordType::ANY | RecordType::AXFR | RecordType::OPT => "is no type of records",
            _ => return None,
        };
        Some(problem(&[key], format!("{kind} {why}; leave it out")))
    };
    records.chain(announced).filter_map(fault).collect()
}

fn too_many(spec: &Spec) -> Vec<Problem> {
    // What every zone is asked for takes its part.
    let most = MOST_QUESTIONS - 8;
    let count = spec.records.len() + spec.announced.len();
    let message = format!(
        "{count} record sets are more than the {most} of one check; share them out among several checks"
    );
    (count > most).then(|| problem(&["records"], message)).into_iter().collect()
}

/// What cannot be learned.
fn learning(spec: &Spec) -> Vec<Problem> {
    let few = "fewer than 3 equal runs, or more than 100, make nothing certain; write 3 to 100";
    let polls = (!(3..=100).contains(&spec.learn_polls)).then(|| problem(&["learn_polls"], few.to_owned()));
    let wanted = spec.records.iter().any(|record| matches!(record.expect, Expectation::Learned));
    let contradiction =
        "a record set is to be learned, and `learn: false` says that none is; leave one of them out";
    let off = (wanted && !spec.learn).then(|| problem(&["learn"], contradiction.to_owned()));
    polls.into_iter().chain(off).collect()
}

fn ports(spec: &Spec) -> Vec<Problem> {
    let message = "no server listens on port 0; write 1 to 65535";
    let of = |key: &'static str, zero: bool| zero.then(|| problem(&[key], message));
    let parent = of("parent", spec.parent.iter().any(|server| server.port() == 0));
    let roots = of("roots", spec.roots.iter().any(|server| server.port() == 0));
    [parent, roots, of("port", spec.port == 0)].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn faults(settings: Value) -> Vec<(String, String)> {
        let spec: Spec = serde_json::from_value(settings).unwrap();
        problems(&spec).into_iter().map(|fault| (fault.path.join("."), fault.message)).collect()
    }

    #[test]
    fn each_fault_of_the_settings_is_told_at_its_key() {
        for (more, key, words) in [
            (json!({ "zone": "." }), "zone", "no parent"),
            (
                json!({ "records": [{ "name": "www.other.example.", "type": "A", "unmanaged": true }] }),
                "records",
                "not within",
            ),
            (
                json!({ "records": [{ "name": "a..b", "type": "A", "unmanaged": true }] }),
                "records",
                "no name",
            ),
            (
                json!({ "records": [{ "name": "www", "type": "A", "unmanaged": true }, { "name": "WWW.acme.example.", "type": "a", "unmanaged": true }] }),
                "records",
                "twice",
            ),
            (
                json!({ "records": [{ "name": "@", "type": "SOA", "unmanaged": true }] }),
                "records",
                "by itself",
            ),
            (json!({ "records": [{ "name": "@", "type": "ANY", "unmanaged": true }] }), "records", "no type"),
            (json!({ "learn_polls": 2 }), "learn_polls", "3 to 100"),
            (
                json!({ "learn": false, "records": [{ "name": "www", "type": "A", "learned": true }] }),
                "learn",
                "leave one of them out",
            ),
            (
                json!({ "announced": [{ "name": "www.other.example.", "type": "A", "values": [], "from": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z" }] }),
                "announced",
                "not within",
            ),
            (json!({ "port": 0 }), "port", "port 0"),
            (json!({ "parent": ["192.0.2.1:0"] }), "parent", "port 0"),
            (json!({ "roots": ["[2001:db8::1]:0"] }), "roots", "port 0"),
            (
                json!({ "records": (0..57).map(|n| json!({ "name": format!("a{n}"), "type": "A", "unmanaged": true })).collect::<Vec<_>>() }),
                "records",
                "more than",
            ),
        ] {
            let mut settings = json!({ "zone": "acme.example" });
            settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let found = faults(settings.clone());
            assert!(
                matches!(&found[..], [(at, why)] if at == key && why.contains(words)),
                "{settings}: {found:?}"
            );
        }
    }

    #[test]
    fn what_is_twice_or_nothing_is_refused() {
        for (more, words) in [
            (
                json!({ "announced": [{ "name": "@", "type": "A", "values": ["192.0.2.1"], "from": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z" }] }),
                "is not after",
            ),
            (
                json!({ "announced": [{ "name": "@", "type": "A", "values": ["x"], "from": "2026-01-02T00:00:00Z", "until": "2026-01-03T00:00:00Z" }] }),
                "write it as 192.0.2.1",
            ),
            (json!({ "records": [{ "name": "@", "type": "A" }] }), "one expectation"),
            (
                json!({ "records": [{ "name": "@", "type": "A", "absent": true, "unmanaged": true }] }),
                "one expectation",
            ),
            (
                json!({ "records": [{ "name": "@", "type": "A", "equals": ["nonsense"] }] }),
                "write it as 192.0.2.1",
            ),
            (
                json!({ "records": [{ "name": "@", "type": "A", "subset_of": ["nonsense"] }] }),
                "is no network",
            ),
        ] {
            let mut settings = json!({ "zone": "acme.example" });
            settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let why = serde_json::from_value::<Spec>(settings).unwrap_err().to_string();
            assert!(why.contains(words), "{why}");
        }
    }

    #[test]
    fn what_is_fine_is_not_complained_about() {
        for settings in [
            json!({ "zone": "acme.example" }),
            json!({ "zone": "bücher.example." }),
            json!({ "zone": "acme.example", "parent": ["127.0.0.1:53"], "roots": [], "port": 5300,
                "records": [{ "name": "@", "type": "A", "unmanaged": true }, { "name": "@", "type": "AAAA", "absent": true },
                    { "name": "*.wild", "type": "TXT", "unmanaged": true }] }),
        ] {
            assert_eq!(faults(settings.clone()), [], "{settings}");
        }
    }
}
