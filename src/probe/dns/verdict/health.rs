//! How a zone is kept: its servers, what they do when asked unusually, and where its records lead.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use super::Case;
use super::takeover::{self, Service};
use super::views::{Views, soa};
use crate::formats::dns::{Data, Outcome, Rcode, RecordType};
use crate::model::{Finding, Severity};
use crate::probe::dns::docs::health as docs;
use crate::probe::dns::facts::{Answer, Authority, Facts, Question, Trial};
use crate::probe::dns::memory::Memory;

/// Looks.
pub fn look(case: &Case<'_>, memory: &mut Memory) -> Vec<Finding> {
    let facts = case.facts;
    let mut findings = servers(facts);
    findings.extend(serials(case, &mut memory.views));
    findings.extend(facts.authorities.iter().flat_map(unusual));
    findings.extend(targets(facts));
    findings.extend(apex(facts));
    findings
}

/// Number and places of the servers.
fn servers(facts: &Facts) -> Vec<Finding> {
    let zone = facts.zone.to_string();
    let mut findings = Vec::new();
    // As long as an address is missing for a reason of ours, their number is not known.
    let open = facts.name_servers.iter().any(|server| server.unmeasured.is_some());
    let addresses: BTreeSet<IpAddr> =
        facts.authorities.iter().map(|authority| authority.server.address.ip()).collect();
    if !open && !facts.authorities.is_empty() {
        if facts.name_servers.len() < 2 || addresses.len() < 2 {
            let plural = |count: usize, one: &str, more: &str| match count {
                1 => format!("one {one}"),
                count => format!("{count} {more}"),
            };
            let summary = format!(
                "it has {} with {}",
                plural(facts.name_servers.len(), "name server", "name servers"),
                plural(addresses.len(), "address", "addresses")
            );
            findings.push(Finding::of(&docs::FEW_SERVERS, zone.clone(), summary));
        } else if one_network(&addresses) {
            let all: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            let summary = format!("all its name servers stand in one network: {}", all.join(", "));
            findings.push(Finding::of(&docs::ONE_NETWORK, zone, summary));
        }
    }
    for server in facts.name_servers.iter().filter(|server| server.glue.is_empty()) {
        if let Some(failure) = &server.failure {
            let summary = format!("has no address: {}", failure.detail);
            findings.push(Finding::of(&docs::SERVER_UNRESOLVABLE, server.name.to_string(), summary));
        }
    }
    findings
}

/// One /24, and one /48.
fn one_network(addresses: &BTreeSet<IpAddr>) -> bool {
    let network = |ip: &IpAddr| match ip {
        IpAddr::V4(v4) => v4.octets().get(..3).map(<[u8]>::to_vec),
        IpAddr::V6(v6) => v6.octets().get(..6).map(<[u8]>::to_vec),
    };
    let of = |v4: bool| -> BTreeSet<_> {
        addresses.iter().filter(|ip| ip.is_ipv4() == v4).filter_map(network).collect()
    };
    of(true).len() <= 1 && of(false).len() <= 1
}

/// Serials of the authorities against each other.
fn serials(case: &Case<'_>, views: &mut Views) -> Option<Finding> {
    let facts = case.facts;
    let mut serials: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for authority in facts.authorities.iter().filter(|authority| authority.is_authoritative(&facts.zone)) {
        let answer = authority.server.answer(&facts.zone, RecordType::SOA);
        let of = |answer: &Answer| {
            answer.answers.iter().find_map(|record| match &record.data {
                Ok(Data::Soa(soa)) => Some(soa.serial),
                _ => None,
            })
        };
        if let Some(serial) = answer.and_then(of) {
            serials.entry(serial).or_default().push(authority.server.place());
        }
    }
    if serials.len() < 2 {
        return None;
    }
    let parts: Vec<String> =
        serials.iter().map(|(serial, servers)| format!("{serial} at {}", servers.join(", "))).collect();
    let key = format!("{} serial", facts.zone);
    // Who is behind, not by how much: a busy zone has another serial at every look.
    let newest = serials.keys().next_back();
    let behind: Vec<&str> = serials
        .iter()
        .filter(|(serial, _)| Some(*serial) != newest)
        .flat_map(|(_, servers)| servers.iter().map(String::as_str))
        .collect();
    let lasting = case.lasting(views, key, behind.join(" "));
    let refresh = soa(facts).map_or(0, |soa| u64::from(soa.refresh));
    let mut finding = Finding::of(
        &docs::SERIAL_DIFFERS,
        facts.zone.to_string(),
        format!("serials differ: {}", parts.join("; ")),
    );
    if lasting > Duration::from_secs(refresh.max(3_600)) {
        finding.severity = Severity::Error;
    }
    Some(finding)
}

/// What a server did when it was asked unusually.
fn unusual(authority: &Authority) -> Vec<Finding> {
    let place = authority.server.place();
    let mut faults = Vec::new();
    let mut findings = Vec::new();
    for tried in &authority.tried {
        let Some(answer) = &tried.asked.answer else { continue };
        let outcome = answer.outcome(&tried.asked.question);
        match tried.trial {
            Trial::EdnsVersion if answer.edns && answer.rcode != Rcode::BADVERS => {
                faults.push(format!("EDNS version 1 is answered with {}, not BADVERS", answer.rcode));
            }
            Trial::EdnsOption if !matches!(outcome, Outcome::Records) => {
                faults.push(format!("an unknown EDNS option is answered with {}", answer.rcode));
            }
            Trial::Case if !matches!(outcome, Outcome::Records) => {
                faults.push(format!("the zone's name in other letters is answered with {}", answer.rcode));
            }
            Trial::Recursion if answer.recursion_available && matches!(outcome, Outcome::Records) => {
                let summary = format!("finds out {} for anybody", tried.asked.question.name);
                findings.push(Finding::of(&docs::OPEN_RECURSOR, place.clone(), summary));
            }
            Trial::Transfer if answer.answers.iter().any(|record| record.kind == RecordType::SOA) => {
                let summary = "gives the whole zone to anybody (AXFR)";
                findings.push(Finding::of(&docs::TRANSFER_OPEN, place.clone(), summary));
            }
            _ => {}
        }
    }
    if !faults.is_empty() {
        findings.push(Finding::of(&docs::EDNS, place, faults.join("; ")));
    }
    findings
}

/// Where records lead.
fn targets(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for target in &facts.targets {
        let Some((asked, answer)) =
            target.asked.as_ref().and_then(|asked| Some((asked, asked.answer.as_ref()?)))
        else {
            continue;
        };
        let keys: Vec<String> = target.of.iter().map(Question::key).collect();
        let subject = format!("{} -> {}", keys.join(", "), target.name);
        if matches!(answer.outcome(&asked.question), Outcome::NxDomain) {
            let service = takeover::service(&target.name);
            let door = match service {
                Some(Service { name, claimable: true }) => format!("; anybody can have that name at {name}"),
                Some(Service { name, claimable: false }) => format!("; {name} gives no name away twice"),
                None => String::new(),
            };
            let summary = format!("{} leads to {}, which does not exist{door}", keys.join(", "), target.name);
            let mut finding = Finding::of(&docs::DANGLING, subject, summary);
            // An alias or a server is taken over with the name; mail is lost.
            finding.severity =
                target.of.iter().map(|of| of_target(of.kind)).max().unwrap_or(finding.severity);
            if service.is_some_and(|service| !service.claimable) {
                finding.severity = finding.severity.min(Severity::Warning);
            }
            findings.push(finding);
            continue;
        }
        let strict: Vec<&Question> =
            target.of.iter().filter(|of| matches!(of.kind, RecordType::NS | RecordType::MX)).collect();
        let alias = answer
            .answers
            .iter()
            .any(|record| record.kind == RecordType::CNAME && record.name == target.name);
        if alias && !strict.is_empty() {
            let keys: Vec<String> = strict.iter().map(|of| of.key()).collect();
            let summary = format!("{} leads to {}, which is an alias", keys.join(", "), target.name);
            findings.push(Finding::of(&docs::POINTS_TO_ALIAS, subject, summary));
        }
    }
    findings
}

fn of_target(kind: RecordType) -> Severity {
    match kind {
        RecordType::SRV => Severity::Warning,
        RecordType::MX => Severity::Error,
        _ => Severity::Critical,
    }
}

/// An alias at the zone's own name.
fn apex(facts: &Facts) -> Option<Finding> {
    let question = Question { name: facts.zone.clone(), kind: RecordType::A };
    let alias = facts.knowing(&question).into_iter().find(|server| {
        server.answer(&question.name, question.kind).is_some_and(|answer| {
            answer.answers.iter().any(|record| record.kind == RecordType::CNAME && record.name == facts.zone)
        })
    })?;
    let summary = format!("the zone's own name is an alias, says {}", alias.place());
    Some(Finding::of(&docs::ALIAS_AT_APEX, facts.zone.to_string(), summary))
}
