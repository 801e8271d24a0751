//! Whether a host does what its HTTPS record promises (RFC 9460).

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::alpn::agreed;
use super::{Case, Note};
use crate::model::{Finding, FindingDoc, Severity};
use crate::probe::certificate::docs::records as docs;
use crate::probe::certificate::facts::HostFacts;
use crate::probe::certificate::records::{Asked, HttpsRecord, HttpsSet};

/// What may be open about the records of a host.
const ROWS: &[(&FindingDoc, &str)] = &[(&docs::HTTPS_RECORD, "HTTPS record")];

/// What is thought of them.
pub fn notes<'a>(case: &Case<'a>) -> Vec<Note<'a>> {
    let mut notes = Vec::new();
    for host in &case.facts.hosts {
        match host.dns.as_ref().and_then(|records| records.https.as_ref()) {
            None => {}
            Some(Asked::Answered(set)) => notes.extend(of_set(case, host, set)),
            Some(Asked::Unanswered(why)) => {
                notes.extend(super::unasked(host, ROWS, &super::no_answer("HTTPS", why)))
            }
            Some(Asked::Skipped(skipped)) => {
                notes.extend(super::unasked(host, ROWS, &super::no_answer("HTTPS", &skipped.why)))
            }
        }
    }
    notes
}

fn of_host(host: &HostFacts, finding: Finding) -> Note<'_> {
    Note { host, address: None, finding }
}

fn of_set<'a>(case: &Case<'a>, host: &'a HostFacts, set: &HttpsSet) -> Vec<Note<'a>> {
    // Those that lead to another server or port say nothing of this one.
    let here = |record: &&HttpsRecord| {
        record.target.is_none() && record.port.is_none_or(|port| port == host.port) && set.alias.is_none()
    };
    let here: Vec<&HttpsRecord> = set.records.iter().filter(here).collect();
    if here.is_empty() && !set.records.is_empty() {
        return super::unasked(
            host,
            ROWS,
            "the HTTPS record leads to another name or port, where nobody looked",
        );
    }
    let mut notes = protocols(host, &here);
    // Somewhere else was looked than where the name leads.
    if case.spec.connect_to.is_none() {
        notes.extend(hints(host, &here));
    }
    notes
}

/// Protocols that are promised and not agreed on.
fn protocols<'a>(host: &'a HostFacts, here: &[&HttpsRecord]) -> Vec<Note<'a>> {
    let promised: BTreeSet<&str> = here.iter().flat_map(|record| &record.alpn).map(String::as_str).collect();
    let mut notes = Vec::new();
    // We offer h2 before http/1.1, so a server that has h2 agrees on it.
    let without = agreed(host).filter(|(_, protocol)| *protocol != Some("h2"));
    for (address, protocol) in without.filter(|_| promised.contains("h2")) {
        let summary =
            format!("the HTTPS record promises h2, the server agrees on {}", protocol.unwrap_or("nothing"));
        notes.push(Note {
            host,
            address: Some(address),
            finding: Finding::of(&docs::HTTPS_RECORD, "HTTPS record", summary),
        });
    }
    if promised.contains("h3") {
        let summary = "whether the server does HTTP/3, as the HTTPS record promises, was not tried";
        let finding = Finding::of(&docs::HTTPS_RECORD, "HTTPS record: h3", summary);
        notes.push(of_host(host, Finding { measured: false, severity: Severity::Info, ..finding }));
    }
    notes
}

/// Hints that the name does not have as addresses.
fn hints<'a>(host: &'a HostFacts, here: &[&HttpsRecord]) -> Option<Note<'a>> {
    let known: BTreeSet<IpAddr> = host
        .endpoints
        .iter()
        .map(|endpoint| endpoint.address.ip())
        .chain(host.left_out.iter().copied())
        .collect();
    let hinted = here.iter().flat_map(|record| {
        let v4 = record.ipv4hint.iter().copied().map(IpAddr::from);
        v4.chain(record.ipv6hint.iter().copied().map(IpAddr::from))
    });
    // A family that does not resolve here is not held against the hints.
    let families: BTreeSet<bool> = known.iter().map(IpAddr::is_ipv4).collect();
    let strange: BTreeSet<IpAddr> =
        hinted.filter(|ip| families.contains(&ip.is_ipv4()) && !known.contains(ip)).collect();
    if strange.is_empty() {
        return None;
    }
    let strange: Vec<String> = strange.iter().map(ToString::to_string).collect();
    let summary = format!(
        "the HTTPS record hints at {}, which the name does not have",
        super::posture::listed(&strange)
    );
    let finding = Finding::of(&docs::HTTPS_RECORD, "HTTPS record: hints", summary);
    Some(of_host(host, Finding { severity: Severity::Notice, ..finding }))
}
