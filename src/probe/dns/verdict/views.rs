//! Who says what: the parent against the zone, authority against authority, resolvers against the
//! authorities. A difference is given time: changes take a while to arrive everywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Case;
use super::consensus::Votes;
use crate::formats::dns::written::Listed;
use crate::formats::dns::{Data, Outcome, RecordType, Soa};
use crate::model::Finding;
use crate::probe::dns::docs::views as docs;
use crate::probe::dns::facts::{Facts, NameServer, Question};
use crate::probe::dns::memory::Memory;

/// The least time that authorities may differ.
const LEAST: Duration = Duration::from_secs(3_600);
/// Beyond a record's time to live, for clocks and queues.
const SLACK: Duration = Duration::from_secs(60);

/// What differed, and since when.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Views {
    /// By what differs.
    differing: BTreeMap<String, Difference>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Difference {
    /// Who says what. Where that changes, time starts anew: sets that are served in turns never settle.
    who: String,
    since: Timestamp,
}

/// Looks.
pub fn look(case: &Case<'_>, memory: &mut Memory) -> Vec<Finding> {
    let mut views = Views::default();
    let mut findings = delegation(case.facts);
    findings.extend(authorities(case, &mut views));
    findings.extend(resolvers(case, &mut views));
    memory.views = views;
    findings
}

impl Case<'_> {
    /// For how long something has been as it is; kept in the new memory.
    pub fn lasting(&self, views: &mut Views, key: String, who: String) -> Duration {
        let before = self.memory.views.differing.get(&key).filter(|before| before.who == who);
        let since = before.map_or(self.now, |before| before.since);
        let lasting = Duration::try_from(self.now.duration_since(since)).unwrap_or_default();
        views.differing.insert(key, Difference { who, since });
        lasting
    }
}

/// The registry's side against the zone's own.
fn delegation(facts: &Facts) -> Vec<Finding> {
    let servers = &facts.name_servers;
    let mut findings = Vec::new();
    let known = servers.iter().any(|server| server.by_parent) && servers.iter().any(|server| server.by_child);
    let names = |which: fn(&NameServer) -> bool| -> Vec<String> {
        servers
            .iter()
            .filter(|server| which(server))
            .map(|server| server.name.to_string().to_lowercase())
            .collect()
    };
    let (parent, child) = (
        names(|server| server.by_parent && !server.by_child),
        names(|server| server.by_child && !server.by_parent),
    );
    if known && !(parent.is_empty() && child.is_empty()) {
        let part = |who: &str, names: &[String]| {
            (!names.is_empty()).then(|| format!("only the {who} names {}", names.join(", ")))
        };
        let parts: Vec<String> =
            [part("parent", &parent), part("zone", &child)].into_iter().flatten().collect();
        let diff: Vec<String> = parent
            .iter()
            .map(|name| format!("- {name}"))
            .chain(child.iter().map(|name| format!("+ {name}")))
            .collect();
        let finding = Finding::of(&docs::DELEGATION_DIFFERS, facts.zone.to_string(), parts.join("; "))
            .with("diff", diff);
        findings.push(finding);
    }
    for server in servers.iter().filter(|server| !server.glue.is_empty() && !server.resolved.is_empty()) {
        let (glue, own): (BTreeSet<_>, BTreeSet<_>) =
            (server.glue.iter().collect(), server.resolved.iter().collect());
        if glue != own {
            let list = |all: &BTreeSet<&std::net::IpAddr>| {
                Listed(&all.iter().map(ToString::to_string).collect::<Vec<_>>()).to_string()
            };
            let summary = format!("the parent has {} as its address, the zone {}", list(&glue), list(&own));
            findings.push(Finding::of(&docs::DELEGATION_DIFFERS, server.name.to_string(), summary));
        }
    }
    findings
}

/// The zone's SOA as any authority has it.
pub fn soa(facts: &Facts) -> Option<Soa> {
    let of = |authority: &crate::probe::dns::facts::Authority| {
        let answer = authority.server.answer(&facts.zone, RecordType::SOA)?;
        answer.answers.iter().find_map(|record| match &record.data {
            Ok(Data::Soa(soa)) => Some(soa.clone()),
            _ => None,
        })
    };
    facts.authorities.iter().find_map(of)
}

/// Authority against authority.
fn authorities(case: &Case<'_>, views: &mut Views) -> Vec<Finding> {
    let refresh = soa(case.facts).map_or(0, |soa| u64::from(soa.refresh));
    let grace = Duration::from_secs(refresh.saturating_mul(2)).max(LEAST);
    let mut findings = Vec::new();
    for question in &case.facts.questions {
        // The SOA differs with every change; its records are what matters.
        if question.kind == RecordType::SOA {
            continue;
        }
        let votes = Votes::of(case.facts, question);
        if votes.groups.len() < 2 {
            continue;
        }
        let who = votes.vantages().join("\n");
        let lasting = case.lasting(views, question.key(), digest(&who));
        let doc = if lasting > grace { &docs::SPLIT } else { &docs::PROPAGATING };
        let parts: Vec<String> = votes
            .groups
            .iter()
            .map(|(values, servers)| format!("{} at {}", Listed(values), servers.join(", ")))
            .collect();
        let summary = format!("the authorities differ: {}", parts.join("; "));
        findings.push(Finding::of(doc, question.key(), summary).with("vantages", votes.vantages()));
    }
    findings
}

/// Resolvers against what the authorities agree on.
fn resolvers(case: &Case<'_>, views: &mut Views) -> Vec<Finding> {
    let mut findings = Vec::new();
    for question in &case.facts.questions {
        let votes = Votes::of(case.facts, question);
        let Some(agreed) = votes.agreed().filter(|_| !in_turns(question)) else { continue };
        // By what they say instead.
        let mut others: BTreeMap<Vec<String>, Vec<&str>> = BTreeMap::new();
        for resolver in &case.facts.resolvers {
            let Some(answer) =
                resolver.asked(&question.name, question.kind).and_then(|asked| asked.answer.as_ref())
            else {
                continue;
            };
            let counts =
                matches!(answer.outcome(question), Outcome::Records | Outcome::NoData | Outcome::NxDomain);
            let values = answer.values(question);
            if !counts || answer.is_partial() || values == *agreed {
                continue;
            }
            let ttl = answer.answers.iter().map(|record| record.ttl).max().unwrap_or_default();
            let key = format!("{} {}", resolver.server, question.key());
            let lasting = case.lasting(views, key, digest(&values.join("\n")));
            if lasting > Duration::from_secs(u64::from(ttl)) + SLACK {
                others.entry(values).or_default().push(&resolver.server);
            }
        }
        for (values, servers) in others {
            let doc = if servers.len() > 1 { &docs::PUBLIC_VIEW_DIFFERS } else { &docs::RESOLVER_DIFFERS };
            let summary = format!(
                "{} says {}, every authority {}",
                servers.join(", "),
                Listed(&values),
                Listed(agreed)
            );
            findings.push(Finding::of(doc, question.key(), summary).with("vantages", votes.vantages()));
        }
    }
    findings
}

/// Addresses are served in turns and by region; aliases of them too. The zone's own serial and its
/// signatures' keys change with the zone.
fn in_turns(question: &Question) -> bool {
    matches!(question.kind, RecordType::A | RecordType::AAAA | RecordType::SOA | RecordType::DNSKEY)
}

/// Short, and the same for the same text.
fn digest(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    crate::formats::x509::hex(digest.as_ref().get(..8).unwrap_or_default())
}
