//! What was seen, in lines for people: who serves the zone, and what they say.

use super::facts::{Authority, Facts, Over, Server};
use super::verdict::consensus::Votes;
use super::verdict::reach::said;
use crate::formats::dns::written::Listed;
use crate::formats::dns::{Data, RecordType};

/// The lines.
pub fn lines(facts: &Facts) -> Vec<String> {
    let mut lines = Vec::new();
    let parent = facts.parent.zone.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string);
    lines.push(format!("parent {parent}"));
    for server in &facts.parent.servers {
        let asked = server.asked(&facts.zone, RecordType::NS).map_or_else(|| unasked(server), said);
        lines.push(format!("    {}: {asked}", server.place()));
    }
    if let Some(why) = &facts.parent.failure {
        lines.push(format!("    not asked: {why}"));
    }
    lines.push(format!("zone {}", facts.zone));
    lines.extend(facts.authorities.iter().map(|authority| format!("    {}", of_authority(facts, authority))));
    for server in &facts.name_servers {
        if let Some(failure) = &server.failure {
            lines.push(format!("    {}: has no address: {}", server.name, failure.detail));
        }
    }
    for question in &facts.questions {
        let votes = Votes::of(facts, question);
        match votes.agreed() {
            Some(values) if !values.is_empty() => {
                lines.push(format!("{}: {}", question.key(), Listed(values)))
            }
            Some(_) => {}
            None if votes.groups.is_empty() && votes.silent.is_empty() => {}
            None => {
                lines.push(format!("{}:", question.key()));
                lines.extend(votes.vantages().into_iter().map(|line| format!("    {line}")));
            }
        }
    }
    lines.extend(facts.resolvers.iter().map(|resolver| match &resolver.unmeasured {
        Some(skipped) => format!("resolver {}: {}", resolver.server, skipped.why),
        None => {
            let answered = resolver.asked.iter().filter(|asked| asked.answer.is_some()).count();
            format!("resolver {}: {answered} of {} questions answered", resolver.server, resolver.asked.len())
        }
    }));
    lines
}

fn unasked(server: &Server) -> String {
    server.unmeasured.as_ref().map_or_else(|| "not asked".to_owned(), |skipped| skipped.why.clone())
}

/// Serial, transports and time of one address.
fn of_authority(facts: &Facts, authority: &Authority) -> String {
    let server = &authority.server;
    let place = server.place();
    if let Some(skipped) = &server.unmeasured {
        return format!("{place}: not asked: {}", skipped.why);
    }
    let over = |over: Over| server.asked_over(&facts.zone, RecordType::SOA, over);
    let soa = server.answer(&facts.zone, RecordType::SOA).and_then(|answer| {
        answer.answers.iter().find_map(|record| match &record.data {
            Ok(Data::Soa(soa)) => Some(soa.serial),
            _ => None,
        })
    });
    let serial = soa.map_or_else(|| "no SOA".to_owned(), |serial| format!("serial {serial}"));
    let ways: Vec<String> = [(Over::Udp, "UDP"), (Over::Tcp, "TCP")]
        .into_iter()
        .filter_map(|(way, name)| {
            let asked = over(way)?;
            let took = asked.took * 1_000.0;
            Some(match asked.answer {
                Some(_) => format!("{name} {took:.0} ms"),
                None => format!("{name}: {}", said(asked)),
            })
        })
        .collect();
    let named = match (authority.by_parent, authority.by_child) {
        (true, true) => "",
        (true, false) => ", named by the parent alone",
        (false, _) => ", named by the zone alone",
    };
    let serves = if authority.is_authoritative(&facts.zone) { "" } else { ", does not serve the zone" };
    format!("{place}: {serial}, {}{named}{serves}", ways.join(", "))
}
