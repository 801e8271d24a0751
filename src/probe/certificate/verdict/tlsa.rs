//! Whether what is served fits the TLSA records that are published (RFC 6698, 7671, 7672).

use super::served_leaf::{ServedLeaf, leaves};
use super::{Case, Note};
use crate::formats::dns::Tlsa;
use crate::formats::starttls::Protocol;
use crate::formats::tlsa::{Match, matches};
use crate::formats::x509::Certificate;
use crate::model::Finding;
use crate::probe::certificate::docs::records as docs;
use crate::probe::certificate::facts::HostFacts;
use crate::probe::certificate::records::{Asked, TlsaSet};

/// What is thought of them.
pub fn notes<'a>(case: &Case<'a>) -> Vec<Note<'a>> {
    let leaves = leaves(case);
    let mut notes = Vec::new();
    for host in &case.facts.hosts {
        let Some(asked) = host.dns.as_ref().and_then(|records| records.tlsa.as_ref()) else { continue };
        let served: Vec<&ServedLeaf<'_, 'a>> =
            leaves.iter().filter(|leaf| std::ptr::eq(leaf.host, host)).collect();
        match asked {
            Asked::Answered(set) if set.records.is_empty() => {}
            Asked::Answered(set) => notes.extend(of_set(host, set, &served)),
            Asked::Unanswered(why) => notes.push(of_host(host, super::unasked("TLSA", why))),
            Asked::Skipped(skipped) => notes.push(of_host(host, super::unasked("TLSA", &skipped.why))),
        }
    }
    notes
}

fn of_host(host: &HostFacts, finding: Finding) -> Note<'_> {
    Note { host, address: None, finding }
}

fn is_smtp(host: &HostFacts) -> bool {
    host.starttls.as_deref() == Some(Protocol::Smtp.as_str())
}

fn of_set<'a>(host: &'a HostFacts, set: &TlsaSet, served: &[&ServedLeaf<'_, 'a>]) -> Vec<Note<'a>> {
    let name = &set.name;
    if !set.authentic {
        let summary = format!("the TLSA records at {name} did not come validated; nobody goes by them");
        return vec![of_host(host, Finding::of(&docs::TLSA_INSECURE, "TLSA", summary))];
    }
    let mut notes = Vec::new();
    let mut usable: Vec<Tlsa> = Vec::new();
    for record in &set.records {
        let record = Tlsa::from(record);
        let why = match matches(&record, &[]) {
            Match::Unusable(why) => Some(why),
            // RFC 7672 section 3.1.3.
            _ if is_smtp(host) && record.wants_pkix() => Some("senders of mail pass its usage over"),
            _ => None,
        };
        match why {
            Some(why) => {
                let summary = format!("the record {} at {name} is of no use: {why}", shown(&record));
                notes.push(of_host(host, Finding::of(&docs::TLSA_UNUSABLE, "TLSA", summary)));
            }
            None => usable.push(record),
        }
    }
    let mut used = vec![false; usable.len()];
    for leaf in served {
        notes.extend(fits(leaf, &usable, &mut used).map(|finding| leaf.note(finding)));
    }
    let judged = served.iter().any(|leaf| !leaf.judged.chain.is_empty());
    if judged && used.contains(&true) {
        for record in usable.iter().zip(&used).filter(|(record, used)| !**used && record.usage == 3) {
            let summary = format!("the record {} at {name} fits nothing that is served", shown(record.0));
            notes.push(of_host(host, Finding::of(&docs::TLSA_UNUSED, "TLSA", summary)));
        }
    }
    notes
}

/// Whether a leaf with its chain fits one of the records; those that it fits are marked.
fn fits(leaf: &ServedLeaf<'_, '_>, usable: &[Tlsa], used: &mut [bool]) -> Option<Finding> {
    if usable.is_empty() {
        return None;
    }
    let chain: Vec<Certificate> = leaf.judged.chain.iter().map(|link| link.certificate.clone()).collect();
    let mut fit = false;
    for (record, used) in usable.iter().zip(used) {
        if matches!(matches(record, &chain), Match::At(_)) {
            (fit, *used) = (true, true);
        }
    }
    if fit {
        return None;
    }
    // Of Mozilla's roots the key alone is known, and a record may be for the root's certificate.
    let has_root = leaf.judged.chain.last().is_some_and(|link| link.role == "root");
    let of_an_authority = usable.iter().any(|record| matches!(record.usage, 0 | 2));
    let records: Vec<String> = usable.iter().map(shown).collect();
    let summary =
        format!("none of the TLSA records ({}) fits {}", records.join(", "), leaf.leaf.short_name());
    let mut finding = Finding::of(&docs::TLSA_MISMATCH, "TLSA", summary);
    if of_an_authority && !has_root {
        finding.measured = false;
        finding.summary.push_str(", as far as its chain was seen; the root may fit");
    }
    // RFC 7672 section 2.2: a sender that sees usable records and no match does not deliver.
    finding.broken = finding.measured && is_smtp(leaf.host);
    Some(finding)
}

/// The record as a zone file has it, its data cut.
fn shown(record: &Tlsa) -> String {
    let hex = crate::formats::x509::hex(record.data.get(..6).unwrap_or(&record.data));
    format!("{} {} {} {hex}…", record.usage, record.selector, record.matching)
}
