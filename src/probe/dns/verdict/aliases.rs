//! Chains of aliases: how long, and whether they ever end.

use std::collections::BTreeMap;

use super::Case;
use crate::formats::dns::{Data, Name, RecordType};
use crate::model::Finding;
use crate::probe::dns::docs::health as docs;
use crate::probe::dns::facts::{Answer, Facts, Question};
use crate::probe::dns::memory::Memory;

/// Longer chains than this are given up by some resolvers.
const LONG: usize = 8;

/// Looks.
pub fn look(case: &Case<'_>, _: &mut Memory) -> Vec<Finding> {
    let aliases = aliases(case.facts);
    let mut names: Vec<&Name> =
        case.facts.questions.iter().map(|question: &Question| &question.name).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().filter_map(|name| of_name(name, &aliases)).collect()
}

/// Every alias that anybody told of.
fn aliases(facts: &Facts) -> BTreeMap<Name, Name> {
    let authorities = facts.authorities.iter().flat_map(|authority| &authority.server.asked);
    let resolvers = facts.resolvers.iter().flat_map(|resolver| &resolver.asked);
    let targets = facts.targets.iter().filter_map(|target| target.asked.as_ref());
    let answers = authorities.chain(resolvers).chain(targets).filter_map(|asked| asked.answer.as_ref());
    let alias = |record: &crate::formats::dns::Record| match (&record.data, record.kind) {
        (Ok(Data::Name(target)), RecordType::CNAME) => {
            Some((record.name.to_lowercase(), target.to_lowercase()))
        }
        _ => None,
    };
    answers.flat_map(|answer: &Answer| &answer.answers).filter_map(alias).collect()
}

fn of_name(name: &Name, aliases: &BTreeMap<Name, Name>) -> Option<Finding> {
    let mut way = vec![name.to_lowercase()];
    while let Some(next) = way.last().and_then(|last| aliases.get(last)) {
        let round = way.contains(next);
        way.push(next.clone());
        if round {
            let summary = format!("its aliases lead in a circle: {}", written(&way));
            return Some(Finding::of(&docs::ALIAS_LOOP, name.to_string(), summary));
        }
    }
    let count = way.len() - 1;
    let summary = || format!("it is reached over {count} aliases: {}", written(&way));
    (count > LONG).then(|| Finding::of(&docs::ALIAS_CHAIN, name.to_string(), summary()))
}

fn written(way: &[Name]) -> String {
    way.iter().take(32).map(ToString::to_string).collect::<Vec<_>>().join(" -> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn circles_are_broken_and_long_ways_a_warning() {
        let chain = |count: usize| {
            (0..count).map(|n| (name(&format!("a{n}.")), name(&format!("a{}.", n + 1)))).collect()
        };
        assert_eq!(of_name(&name("A0."), &chain(LONG)), None);
        let long = of_name(&name("a0."), &chain(20)).unwrap();
        assert!(
            long.id.as_str() == "dns.alias_chain" && !long.broken && long.summary.contains("over 20 aliases")
        );
        let mut circle: BTreeMap<Name, Name> = chain(3);
        circle.insert(name("a3."), name("a1."));
        let found = of_name(&name("a0."), &circle).unwrap();
        assert!(found.id.as_str() == "dns.alias_loop" && found.broken, "{found:?}");
        assert!(found.summary.ends_with("a0. -> a1. -> a2. -> a3. -> a1."), "{}", found.summary);
    }
}
