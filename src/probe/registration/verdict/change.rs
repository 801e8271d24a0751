//! What is not as it was.

use jiff::Timestamp;

use super::expiry::day;
use super::{docs, finding, unmeasured};
use crate::model::{Finding, FindingDoc};
use crate::probe::registration::facts::Registration;
use crate::probe::registration::memory::{Memory, Watched};
use crate::probe::registration::spec::Spec;

/// The findings of what changed; `memory` is that after this run.
pub fn findings(spec: &Spec, seen: &Registration, memory: &Memory) -> Vec<Finding> {
    let nameservers = sets(
        &docs::NAMESERVERS_CHANGED,
        "name servers",
        spec,
        memory.nameservers.as_ref(),
        seen.nameservers.is_some(),
    );
    let ds = sets(&docs::DS_CHANGED, "DS records", spec, memory.ds.as_ref(), seen.ds.is_some());
    registrar(spec, seen, memory).into_iter().chain(nameservers).chain(ds).collect()
}

/// A registrar that the config names is what counts, else the one that was seen before.
fn registrar(spec: &Spec, seen: &Registration, memory: &Memory) -> Option<Finding> {
    let name = &spec.domain.shown;
    if let Some(wanted) = &spec.registrar {
        let Some(registrar) = &seen.registrar else {
            let summary = format!("the registry does not tell the registrar of {name}, expected {wanted}");
            return Some(unmeasured(finding(&docs::REGISTRAR_CHANGED, spec, summary)));
        };
        return (!registrar.is_called(wanted)).then(|| {
            let summary = format!("{name} is with the registrar {registrar}, expected {wanted}");
            let found = finding(&docs::REGISTRAR_CHANGED, spec, summary);
            found.with("expected", &**wanted).with("seen", registrar.to_string())
        });
    }
    let watched = memory.registrar.as_ref()?;
    let change = watched.changed.as_ref()?;
    let (old, new) = (watched.expected.to_string(), change.to.to_string());
    let difference = Difference { gone: vec![&old], come: vec![&new], since: change.since };
    let found = difference.finding(&docs::REGISTRAR_CHANGED, "registrar", spec);
    Some(if seen.registrar.is_some() { found } else { unmeasured(found) })
}

fn sets(
    doc: &'static FindingDoc,
    what: &str,
    spec: &Spec,
    watched: Option<&Watched<Vec<String>>>,
    told: bool,
) -> Option<Finding> {
    let watched = watched?;
    let change = watched.changed.as_ref()?;
    let without = |all: &'_ [String], others: &[String]| -> Vec<String> {
        all.iter().filter(|one| !others.contains(one)).cloned().collect()
    };
    let (gone, come) = (without(&watched.expected, &change.to), without(&change.to, &watched.expected));
    let difference = Difference {
        gone: gone.iter().map(String::as_str).collect(),
        come: come.iter().map(String::as_str).collect(),
        since: change.since,
    };
    let found = difference.finding(doc, what, spec);
    Some(if told { found } else { unmeasured(found) })
}

struct Difference<'a> {
    gone: Vec<&'a str>,
    come: Vec<&'a str>,
    since: Timestamp,
}

impl Difference<'_> {
    fn finding(&self, doc: &'static FindingDoc, what: &str, spec: &Spec) -> Finding {
        let gone = self.gone.iter().map(|old| format!("- {old}"));
        let lines: Vec<String> = gone.chain(self.come.iter().map(|new| format!("+ {new}"))).collect();
        let summary = format!(
            "{what} of {} at the registry since {}: {}",
            spec.domain.shown,
            day(self.since),
            lines.join(" ")
        );
        finding(doc, spec, summary).with("diff", lines).with("since", self.since.to_string())
    }
}
