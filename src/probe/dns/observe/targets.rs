//! Where the records of the zone lead.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::Look;
use super::resolvers::look_up_once;
use crate::formats::dns::{Data, Name, Query, Record, RecordType};
use crate::probe::dns::facts::{Facts, Question, Resolver, Target};

/// The most names that are looked up.
const MOST_TARGETS: usize = 32;
/// The most names they are chosen from: the first by name, which are the same in each run.
const MOST_NAMED: usize = 1_000;

/// The names that aliases, MX, NS and SRV records of the authorities' answers lead to, each looked up by
/// the first resolver that answers.
pub(super) async fn targets(look: &Look<'_>, facts: &Facts) -> Vec<Target> {
    let works = |resolver: &&Resolver| resolver.asked.iter().any(|asked| asked.answer.is_some());
    let resolver = facts.resolvers.iter().find(works);
    let named = named(facts).into_iter().take(MOST_TARGETS);
    join_all(named.map(|(name, of)| async move {
        let query = Query::to_resolver(name.clone(), RecordType::A);
        let asked = match resolver {
            Some(resolver) => look_up_once(look, &resolver.server, &query).await.ok(),
            None => None,
        };
        Target { name, of, asked }
    }))
    .await
}

fn named(facts: &Facts) -> BTreeMap<Name, Vec<Question>> {
    let mut named: BTreeMap<Name, Vec<Question>> = BTreeMap::new();
    let delegation = facts.name_servers.iter().map(|server| (&server.name, RecordType::NS, &facts.zone));
    let asked = facts.authorities.iter().flat_map(|authority| &authority.server.asked);
    let records = asked.filter_map(|asked| asked.answer.as_ref()).flat_map(|answer| &answer.answers);
    let led = records.filter_map(|record| Some((target(record)?, record.kind, &record.name)));
    for (name, kind, owner) in delegation.chain(led) {
        if named.len() == MOST_NAMED && !named.contains_key(name) {
            continue;
        }
        let of = named.entry(name.clone()).or_default();
        let question = Question { name: owner.clone(), kind };
        if !of.contains(&question) {
            of.push(question);
        }
    }
    named
}

/// The root stands for "none" (RFC 7505, RFC 2782).
fn target(record: &Record) -> Option<&Name> {
    let name = match (&record.data, record.kind) {
        (Ok(Data::Name(name)), RecordType::CNAME | RecordType::NS) => name,
        (Ok(Data::Mx { exchange, .. }), _) => exchange,
        (Ok(Data::Srv(srv)), _) => &srv.target,
        _ => return None,
    };
    (!name.is_root()).then_some(name)
}
