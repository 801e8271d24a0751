//! What resolvers make of the zone's signatures.

use std::collections::BTreeMap;

use crate::formats::dns::{Outcome, Rcode};
use crate::model::Finding;
use crate::probe::dns::docs::dnssec as docs;
use crate::probe::dns::facts::{Asked, Facts, Question, Resolver};

/// Extended errors that say that no authority could be reached: those are told elsewhere (RFC 8914
/// sections 4.23 and 4.24).
const UNREACHED: [u16; 2] = [22, 23];

/// Names that fail at resolvers only because they validate.
pub fn bogus(facts: &Facts) -> Option<Finding> {
    let mut failing: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for resolver in &facts.resolvers {
        for question in &facts.questions {
            if let Some(why) = why_bogus(resolver, question) {
                failing.entry(&resolver.server).or_default().push(format!("{}: {why}", question.key()));
            }
        }
    }
    let (first, names) = failing.first_key_value()?;
    let measured = facts.resolvers.iter().filter(|resolver| resolver.unmeasured.is_none()).count();
    let everywhere = failing.len() >= measured;
    let more = if failing.len() > 1 { format!(" and {} more", failing.len() - 1) } else { String::new() };
    let one = names.first().cloned().unwrap_or_default();
    let summary = format!("{first}{more} takes {} of the record sets for forged: {one}", names.len());
    let mut finding = Finding::of(&docs::RESOLVER_BOGUS, facts.zone.to_string(), summary);
    finding.broken = everywhere;
    let vantages: Vec<String> = failing
        .iter()
        .flat_map(|(server, names)| names.iter().map(move |name| format!("{server}: {name}")))
        .collect();
    Some(finding.with("vantages", vantages.into_iter().take(32).collect::<Vec<_>>()))
}

/// SERVFAIL, and an answer where it was told not to check.
fn why_bogus(resolver: &Resolver, question: &Question) -> Option<String> {
    let failed = resolver.asked(&question.name, question.kind)?.answer.as_ref()?;
    if failed.rcode != Rcode::SERVFAIL || failed.errors.iter().any(|error| UNREACHED.contains(&error.code)) {
        return None;
    }
    let unchecked = resolver.unchecked(&question.name, question.kind)?.answer.as_ref()?;
    let answers =
        matches!(unchecked.outcome(question), Outcome::Records | Outcome::NoData | Outcome::NxDomain);
    let reasons: Vec<String> = failed.errors.iter().map(ToString::to_string).collect();
    let reasons = if reasons.is_empty() { "it gives no reason".to_owned() } else { reasons.join(", ") };
    answers.then(|| format!("SERVFAIL ({reasons}), without checking there is an answer"))
}

/// Resolvers that answer for the zone and never say that they checked it.
pub fn not_validated(facts: &Facts) -> Vec<Finding> {
    let answered = |asked: &&Asked| {
        let own = facts.questions.contains(&asked.question) && !asked.unchecked;
        own && asked.answer.as_ref().is_some_and(|answer| answer.outcome(&asked.question) == Outcome::Records)
    };
    let checked = |asked: &Asked| asked.answer.as_ref().is_some_and(|answer| answer.authentic_data);
    let unchecking = |resolver: &&Resolver| {
        let mut own = resolver.asked.iter().filter(answered).peekable();
        own.peek().is_some() && !own.any(checked)
    };
    let of = |resolver: &Resolver| {
        Finding::of(
            &docs::NOT_VALIDATED,
            resolver.server.clone(),
            "answers without saying that it checked the signatures",
        )
    };
    facts.resolvers.iter().filter(unchecking).map(of).collect()
}
