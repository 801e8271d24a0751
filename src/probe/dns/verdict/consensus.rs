//! What those who know a record set say of it.

use std::collections::BTreeMap;

use crate::formats::dns::Outcome;
use crate::probe::dns::facts::{Answer, Facts, Question};

/// What the servers say of one record set, by what they say.
pub struct Votes {
    /// The values, sorted, and who says so; none is "does not exist".
    pub groups: BTreeMap<Vec<String>, Vec<String>>,
    /// Those whose word does not count, and why: no answer, SERVFAIL, no authority, an answer that
    /// could not be read to its end.
    pub silent: Vec<String>,
}

impl Votes {
    /// Counts them. The servers stand as `ns1.example. 192.0.2.1`.
    pub fn of(facts: &Facts, question: &Question) -> Self {
        let mut votes = Self { groups: BTreeMap::new(), silent: Vec::new() };
        for server in facts.knowing(question) {
            let Some(asked) = server.asked(&question.name, question.kind) else { continue };
            match asked.answer.as_ref().and_then(|answer| values(answer, question)) {
                Some(values) => votes.groups.entry(values).or_default().push(server.place()),
                None => votes.silent.push(format!("{}: {}", server.place(), super::reach::said(asked))),
            }
        }
        votes
    }

    /// What all who count say, if they agree.
    pub fn agreed(&self) -> Option<&Vec<String>> {
        let mut all = self.groups.keys();
        all.next().filter(|_| all.next().is_none())
    }

    /// A line for each server, for the evidence.
    pub fn vantages(&self) -> Vec<String> {
        let of = |(values, servers): (&Vec<String>, &Vec<String>)| {
            let said = crate::formats::dns::written::Listed(values).to_string();
            servers.iter().map(move |server| format!("{server}: {said}")).collect::<Vec<_>>()
        };
        self.groups.iter().flat_map(of).chain(self.silent.iter().cloned()).take(32).collect()
    }
}

/// The values of an answer that counts.
fn values(answer: &Answer, question: &Question) -> Option<Vec<String>> {
    let counts = matches!(answer.outcome(question), Outcome::Records | Outcome::NoData | Outcome::NxDomain);
    (counts && answer.authoritative && !answer.is_partial()).then(|| answer.values(question))
}
