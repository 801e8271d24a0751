//! Whether the servers can be reached and serve the zone at all.

use std::collections::BTreeMap;

use super::Case;
use crate::formats::dns::{Outcome, RecordType};
use crate::model::Finding;
use crate::probe::Unmeasured;
use crate::probe::dns::docs::reach as docs;
use crate::probe::dns::facts::{Answer, Asked, Authority, Facts, Over, Question, Server};
use crate::probe::dns::memory::Memory;
use crate::probe::web::facts::{Failure, Skipped};
use crate::probe::web::words;

/// So many lines of evidence say enough.
const MOST_LINES: usize = 32;

type Part = fn(&Case<'_>) -> Vec<Finding>;

const PARTS: &[Part] =
    &[parent, all_authorities, each_authority, unasked, left_out, no_route, resolvers, undecodable];

/// Looks.
pub fn look(case: &Case<'_>, _: &mut Memory) -> Vec<Finding> {
    PARTS.iter().flat_map(|part| part(case)).collect()
}

fn unmeasured(mut finding: Finding) -> Finding {
    finding.measured = false;
    finding
}

/// What one server said to a question, in a few words.
pub fn said(asked: &Asked) -> String {
    match (&asked.answer, &asked.failure) {
        (Some(answer), _) => said_in(answer, &asked.question),
        (None, Some(failure)) => no_answer(failure),
        (None, None) => "not asked".to_owned(),
    }
}

fn said_in(answer: &Answer, question: &Question) -> String {
    let what = match answer.outcome(question) {
        Outcome::Records => "answers".to_owned(),
        Outcome::NoData => "NODATA".to_owned(),
        Outcome::NxDomain => "NXDOMAIN".to_owned(),
        Outcome::Referral => return "points to other servers".to_owned(),
        Outcome::ServFail => "SERVFAIL".to_owned(),
        Outcome::Refused => "REFUSED".to_owned(),
        Outcome::Other(rcode) => rcode.to_string(),
    };
    let served = matches!(answer.outcome(question), Outcome::Records | Outcome::NoData | Outcome::NxDomain);
    let without = if served && !answer.authoritative { " without authority (no AA)" } else { "" };
    let errors: String = answer.errors.iter().map(|error| format!("; extended error {error}")).collect();
    format!("{what}{without}{errors}")
}

/// The address stands beside it already.
fn no_answer(failure: &Failure) -> String {
    words::failure(&Failure { address: None, ..failure.clone() }, None)
}

fn lines(lines: impl Iterator<Item = String>) -> Vec<String> {
    lines.take(MOST_LINES).collect()
}

fn parent(case: &Case<'_>) -> Vec<Finding> {
    let (parent, zone) = (&case.facts.parent, &case.facts.zone);
    if case.facts.name_servers.iter().any(|server| server.by_parent) {
        return Vec::new();
    }
    let asked =
        || parent.servers.iter().filter_map(|server| Some((server, server.asked(zone, RecordType::NS)?)));
    let vantages = || lines(asked().map(|(server, asked)| format!("{}: {}", server.place(), said(asked))));
    let name = parent.zone.as_ref().map_or_else(|| "zone".to_owned(), |zone| format!("zone {zone}"));
    let denies = |(_, asked): &(&Server, &Asked)| {
        asked.answer.as_ref().is_some_and(|answer| {
            let outcome = answer.outcome(&asked.question);
            answer.authoritative && matches!(outcome, Outcome::NoData | Outcome::NxDomain)
        })
    };
    if let Some((server, asked)) = asked().find(denies) {
        let summary =
            format!("the parent {name} does not delegate it: {} says {}", server.place(), said(asked));
        return vec![
            Finding::of(&docs::NO_DELEGATION, zone.to_string(), summary).with("vantages", vantages()),
        ];
    }
    let why = parent.failure.clone().or_else(|| {
        let (server, asked) = asked().next()?;
        Some(format!("{}: {}", server.place(), said(asked)))
    });
    let skipped =
        || parent.servers.iter().chain(&parent.passed_over).find_map(|server| server.unmeasured.as_ref());
    let why = why.or_else(|| Some(skipped()?.why.clone()));
    let why = why.unwrap_or_else(|| "no server of it has an address".to_owned());
    let summary = format!("the parent {name} could not be asked: {why}");
    let finding = Finding::of(&docs::PARENT_UNREACHABLE, zone.to_string(), summary);
    vec![unmeasured(finding.with("vantages", vantages()))]
}

/// The SOA decides who is reached and who serves the zone.
fn soa<'c>(case: &'c Case<'_>, authority: &'c Authority, over: Over) -> Option<&'c Asked> {
    authority.server.asked_over(&case.facts.zone, RecordType::SOA, over)
}

fn soas<'c>(case: &'c Case<'_>, authority: &'c Authority) -> impl Iterator<Item = &'c Asked> {
    [Over::Udp, Over::Tcp].into_iter().filter_map(move |over| soa(case, authority, over))
}

fn all_authorities(case: &Case<'_>) -> Vec<Finding> {
    let facts = case.facts;
    let serves = |authority: &&Authority| authority.is_authoritative(&facts.zone);
    // Of one that could not be asked nothing is known; a family without a route hides no server, for
    // each has to be there in both.
    let open = facts
        .authorities
        .iter()
        .any(|authority| authority.server.unmeasured.as_ref().is_some_and(|skipped| !skipped.no_route));
    let unresolved = facts.name_servers.iter().any(|server| server.unmeasured.is_some());
    let asked = facts.authorities.iter().any(|authority| !authority.server.asked.is_empty());
    let nameless = facts.authorities.is_empty() && !facts.name_servers.is_empty();
    if facts.authorities.iter().any(|authority| serves(&authority))
        || open
        || unresolved
        || !(asked || nameless)
    {
        return Vec::new();
    }
    let vantages = facts.authorities.iter().filter_map(|authority| {
        let said = soas(case, authority).map(said).reduce(|udp, tcp| format!("{udp}; over TCP {tcp}"))?;
        Some(format!("{}: {said}", authority.server.place()))
    });
    let vantages = lines(vantages);
    let summary = match vantages.first() {
        Some(first) => {
            format!("none of its {} addresses answers with authority; {first}", facts.authorities.len())
        }
        None => "none of its name servers has an address".to_owned(),
    };
    vec![Finding::of(&docs::NO_AUTHORITY_ANSWERS, facts.zone.to_string(), summary).with("vantages", vantages)]
}

fn each_authority(case: &Case<'_>) -> Vec<Finding> {
    case.facts.authorities.iter().filter_map(|authority| one_authority(case, authority)).collect()
}

fn one_authority(case: &Case<'_>, authority: &Authority) -> Option<Finding> {
    let place = authority.server.place();
    let failed = |over| soa(case, authority, over).and_then(|asked| asked.failure.as_ref());
    match (failed(Over::Udp), failed(Over::Tcp)) {
        (Some(udp), Some(tcp)) => {
            let summary =
                format!("it answers neither over UDP ({}) nor over TCP ({})", no_answer(udp), no_answer(tcp));
            return Some(Finding::of(&docs::AUTHORITY_UNREACHABLE, place, summary));
        }
        (Some(udp), None) => {
            let tcp = if authority.server.answered() { "; it answers over TCP" } else { "" };
            let summary = format!("it does not answer over UDP: {}{tcp}", no_answer(udp));
            return Some(Finding::of(&docs::AUTHORITY_UNREACHABLE, place, summary));
        }
        _ if authority.server.answered() && !authority.is_authoritative(&case.facts.zone) => {}
        (None, Some(tcp)) => {
            let summary = format!("it answers over UDP and not over TCP: {}", no_answer(tcp));
            return Some(Finding::of(&docs::TCP_FAILS, place, summary));
        }
        (None, None) => return None,
    }
    let asked = soas(case, authority).find(|asked| asked.answer.is_some())?;
    let named = match (authority.by_parent, authority.by_child) {
        (true, true) => "the delegation and the zone name it",
        (true, false) => "the delegation names it",
        _ => "the zone names it",
    };
    let summary = format!("{named}, and it does not serve the zone: {}", said(asked));
    Some(Finding::of(&docs::LAME, place, summary))
}

fn unasked(case: &Case<'_>) -> Vec<Finding> {
    let servers = case.facts.authorities.iter().filter_map(|authority| {
        let skipped = authority.server.unmeasured.as_ref().filter(|skipped| !skipped.no_route)?;
        Some((authority.server.place(), skipped))
    });
    let names = case.facts.name_servers.iter();
    let names = names.filter_map(|server| Some((server.name.to_string(), server.unmeasured.as_ref()?)));
    let found = servers.chain(names).map(|(place, skipped)| {
        unmeasured(Finding::of(&docs::NOT_ASKED, place, format!("it was not asked: {}", skipped.why)))
    });
    found.collect()
}

fn left_out(case: &Case<'_>) -> Vec<Finding> {
    let (facts, count) = (case.facts, case.facts.left_out.len());
    if count == 0 {
        return Vec::new();
    }
    let summary = format!(
        "{} addresses of its name servers were asked, {count} more were not",
        facts.authorities.len()
    );
    let addresses = lines(facts.left_out.iter().map(ToString::to_string));
    vec![Finding::of(&docs::LEFT_OUT, facts.zone.to_string(), summary).with("left_out", addresses)]
}

fn no_route(case: &Case<'_>) -> Vec<Finding> {
    let mut families: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let of_parent = case.facts.parent.servers.iter();
    for server in of_parent.chain(case.facts.authorities.iter().map(|authority| &authority.server)) {
        if server.unmeasured.as_ref().is_some_and(|skipped| skipped.no_route) {
            let family = if server.address.is_ipv6() { "IPv6" } else { "IPv4" };
            families.entry(family).or_default().push(server.place());
        }
    }
    let found = families.into_iter().map(|(family, places)| {
        let summary = format!(
            "the monitoring host has no route for {family}; {} addresses were not asked",
            places.len()
        );
        unmeasured(Finding::of(&docs::NO_ROUTE, family, summary).with("servers", lines(places.into_iter())))
    });
    found.collect()
}

fn resolvers(case: &Case<'_>) -> Vec<Finding> {
    let dead = case.facts.resolvers.iter().filter_map(|resolver| {
        let skipped = resolver.unmeasured.as_ref()?;
        let summary = format!("what it would say is not known: {}", skipped.why);
        Some(unmeasured(Finding::of(&docs::RESOLVER_UNMEASURED, &*resolver.server, summary)))
    });
    dead.collect()
}

/// One finding for each record set, whoever sends it.
fn undecodable(case: &Case<'_>) -> Vec<Finding> {
    let authorities =
        case.facts.authorities.iter().map(|authority| (authority.server.place(), &authority.server.asked));
    let parent = case.facts.parent.servers.iter().map(|server| (server.place(), &server.asked));
    let resolvers = case.facts.resolvers.iter().map(|resolver| (resolver.server.clone(), &resolver.asked));
    let mut by_key: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (place, asked) in parent.chain(authorities).chain(resolvers) {
        for asked in asked {
            let Some(why) = asked.answer.as_ref().and_then(unread) else { continue };
            let line = format!("{place}: {why}");
            let lines = by_key.entry(asked.question.key()).or_default();
            if lines.len() < MOST_LINES && !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    let found = by_key.into_iter().map(|(key, lines)| {
        let summary =
            format!("a part of the answer cannot be read; {}", lines.first().map_or("", String::as_str));
        Finding::of(&docs::UNDECODABLE, key, summary).with("vantages", lines)
    });
    found.collect()
}

fn unread(answer: &Answer) -> Option<String> {
    if answer.left_out > 0 {
        return Some(format!("{} records are more than is kept", answer.left_out));
    }
    let records = answer.answers.iter().chain(&answer.authorities);
    let bad = |record: &crate::formats::dns::Record| {
        record.data.as_ref().err().map(|why| format!("{} {}: {why}", record.name, record.kind))
    };
    answer.faults.first().cloned().or_else(|| records.filter_map(bad).next())
}

/// Every resolver of ours is dead: how users see the zone is not known.
pub fn blind(facts: &Facts) -> Option<Unmeasured> {
    let dead: Option<Vec<&Skipped>> =
        facts.resolvers.iter().map(|resolver| resolver.unmeasured.as_ref()).collect();
    let first = dead?.first().copied()?;
    Some(Unmeasured { cause: first.cause, why: first.why.clone() })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::probe::dns::{Facts, Spec};

    const ZONE: &str = "acme.example.";

    fn asked(over: &str, rcode: &str, aa: bool) -> Value {
        let soa = json!({ "name": ZONE, "kind": "SOA", "class": 1, "ttl": 60,
            "rdata": "AAAAAAABAAAAAQAAAAEAAAABAAAAAQ==" });
        let answers = if rcode == "NOERROR" { vec![soa] } else { Vec::new() };
        json!({ "name": ZONE, "kind": "SOA", "over": over, "took": 0.1,
            "answer": { "rcode": rcode, "authoritative": aa, "answers": answers } })
    }

    fn failed(over: &str) -> Value {
        json!({ "name": ZONE, "kind": "SOA", "over": over, "took": 3.0,
            "failure": { "phase": "ttfb", "kind": "timeout", "detail": "" } })
    }

    fn skipped(cause: &str, no_route: bool) -> Value {
        json!({ "cause": cause, "why": "words", "no_route": no_route })
    }

    fn authority(address: &str, asked: &[Value], unmeasured: Value) -> Value {
        json!({ "name": "ns.acme.example.", "address": address, "asked": asked, "unmeasured": unmeasured,
            "by_parent": true, "by_child": false })
    }

    fn found(authorities: &[Value], more: Value) -> Vec<Finding> {
        let mut facts = json!({ "zone": ZONE, "parent": { "zone": "example.", "servers": [] },
            "name_servers": [{ "name": "ns.acme.example.", "by_parent": true, "by_child": true }],
            "authorities": authorities, "resolvers": [], "questions": [] });
        facts.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let facts: Facts = serde_json::from_value(facts).unwrap();
        let spec: Spec = serde_json::from_value(json!({ "zone": ZONE })).unwrap();
        let memory = Memory::default();
        let now = jiff::Timestamp::UNIX_EPOCH;
        let case = Case { spec: &spec, facts: &facts, memory: &memory, baselines: &Ok(Vec::new()), now };
        look(&case, &mut Memory::default())
    }

    fn ids(findings: &[Finding]) -> Vec<&str> {
        findings.iter().map(|finding| finding.id.as_str()).collect()
    }

    fn good(address: &str) -> Value {
        authority(address, &[asked("udp", "NOERROR", true), asked("tcp", "NOERROR", true)], Value::Null)
    }

    #[test]
    fn a_host_without_ipv6_is_told_once_and_blames_no_server() {
        let unrouted = |address| authority(address, &[], skipped("local_network", true));
        let all = [good("192.0.2.1:53"), unrouted("[2001:db8::1]:53"), unrouted("[2001:db8::2]:53")];
        let findings = found(&all, json!({}));
        assert_eq!(ids(&findings), ["dns.no_route"]);
        assert_eq!((findings[0].subject.as_str(), findings[0].measured), ("IPv6", false));
        assert_eq!(findings[0].evidence["servers"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn dead_servers_break_the_zone_though_others_have_no_route_but_not_while_one_is_unknown() {
        let dead = authority("192.0.2.1:53", &[failed("udp"), failed("tcp")], Value::Null);
        let unrouted = authority("[2001:db8::1]:53", &[], skipped("local_network", true));
        let unknown = authority("192.0.2.2:53", &[], skipped("overload", false));
        let broken = |all: &[Value]| found(all, json!({})).iter().any(|finding| finding.broken);
        assert!(broken(&[dead.clone(), unrouted.clone()]));
        assert!(!broken(&[dead.clone(), unknown]));
        assert!(!broken(&[dead, good("192.0.2.3:53")]));
        assert!(!broken(&[unrouted]), "nothing is known");
    }

    #[test]
    fn name_servers_that_have_no_address_at_all_break_the_zone_unless_our_resolver_is_to_blame() {
        let server = |more: Value| {
            let mut server = json!({ "name": "ns.gone.example.", "by_parent": true, "by_child": false });
            server.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({ "name_servers": [server] })
        };
        let gone = server(json!({ "failure": { "phase": "dns", "kind": "unresolvable", "detail": "" } }));
        assert_eq!(ids(&found(&[], gone)), ["dns.no_authority_answers"]);
        let ours = server(json!({ "unmeasured": skipped("local_dns", false) }));
        assert_eq!(ids(&found(&[], ours)), ["dns.not_asked"]);
    }

    #[test]
    fn a_transport_that_was_not_tried_is_no_failure() {
        let only_udp = authority("192.0.2.1:53", &[asked("udp", "NOERROR", true)], Value::Null);
        assert_eq!(ids(&found(&[only_udp], json!({}))), [] as [&str; 0]);
        let no_tcp = authority("192.0.2.1:53", &[asked("udp", "NOERROR", true), failed("tcp")], Value::Null);
        assert_eq!(ids(&found(&[no_tcp], json!({}))), ["dns.tcp_fails"]);
    }

    #[test]
    fn a_lame_server_is_named_with_who_names_it() {
        let lame = authority("192.0.2.2:53", &[asked("udp", "REFUSED", false)], Value::Null);
        let findings = found(&[good("192.0.2.1:53"), lame], json!({}));
        assert_eq!(ids(&findings), ["dns.lame"]);
        assert_eq!(findings[0].subject, "ns.acme.example. 192.0.2.2");
        assert!(
            findings[0].summary.contains("the delegation names it")
                && findings[0].summary.contains("REFUSED")
        );
    }
}
