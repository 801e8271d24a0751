//! Whether what is served fits the TLSA records that are published (RFC 6698, 7671, 7672).

use super::served_leaf::{ServedLeaf, leaves};
use super::{Case, Note};
use crate::formats::dns::Tlsa;
use crate::formats::starttls::Protocol;
use crate::formats::tlsa::{Match, matches};
use crate::formats::x509::Certificate;
use crate::model::{Finding, FindingDoc};
use crate::probe::certificate::docs::records as docs;
use crate::probe::certificate::facts::HostFacts;
use crate::probe::certificate::records::{Asked, TlsaSet};

/// What may be open about the records of a host.
const ROWS: &[(&FindingDoc, &str)] = &[(&docs::TLSA_MISMATCH, "TLSA")];

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
            Asked::Answered(set) => notes.extend(of_set(case, host, set, &served)),
            Asked::Unanswered(why) => {
                notes.extend(super::unasked(host, ROWS, &super::no_answer("TLSA", why)))
            }
            Asked::Skipped(skipped) => {
                notes.extend(super::unasked(host, ROWS, &super::no_answer("TLSA", &skipped.why)))
            }
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

fn of_set<'a>(
    case: &Case<'a>,
    host: &'a HostFacts,
    set: &TlsaSet,
    served: &[&ServedLeaf<'_, 'a>],
) -> Vec<Note<'a>> {
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
    if usable.is_empty() {
        return notes;
    }
    let mut used = vec![false; usable.len()];
    let mut misfits = Vec::new();
    for leaf in served {
        if !fits(case, leaf, &usable, &mut used) {
            misfits.push(*leaf);
        }
    }
    let none_fits = !used.contains(&true);
    notes.extend(misfits.into_iter().map(|leaf| leaf.note(mismatch(leaf, set, &usable, none_fits))));
    if !none_fits {
        for record in usable.iter().zip(&used).filter(|(record, used)| !**used && record.usage == 3) {
            let summary = format!("the record {} at {name} fits nothing that is served", shown(record.0));
            notes.push(of_host(host, Finding::of(&docs::TLSA_UNUSED, "TLSA", summary)));
        }
    }
    notes
}

/// Whether a leaf with its chain fits one of the records; those that it fits are marked.
fn fits(case: &Case<'_>, leaf: &ServedLeaf<'_, '_>, usable: &[Tlsa], used: &mut [bool]) -> bool {
    let path: Vec<Certificate> = leaf.judged.chain.iter().map(|link| link.certificate.clone()).collect();
    let sent = leaf.sent(case);
    let mut fit = false;
    for (record, used) in usable.iter().zip(used) {
        // RFC 7671 section 5.2: what a record of usage 2 is about has to be sent.
        let found = match record.usage {
            2 => sent.iter().any(|chain| matches!(matches(record, chain), Match::At(_))),
            _ => matches!(matches(record, &path), Match::At(_)),
        };
        if found {
            (fit, *used) = (true, true);
        }
    }
    fit
}

fn mismatch(leaf: &ServedLeaf<'_, '_>, set: &TlsaSet, usable: &[Tlsa], none_fits: bool) -> Finding {
    let records: Vec<String> = usable.iter().map(shown).collect();
    let summary =
        format!("none of the TLSA records ({}) fits {}", records.join(", "), leaf.leaf.short_name());
    let mut finding = Finding::of(&docs::TLSA_MISMATCH, "TLSA", summary);
    // Of Mozilla's roots the key alone is known, and a record may be for the root's certificate.
    let has_root = leaf.judged.chain.last().is_some_and(|link| link.role == "root");
    if usable.iter().any(|record| record.usage == 0) && !has_root {
        finding.measured = false;
        finding.summary.push_str(", as far as its chain was seen; the root may fit");
    }
    if set.left_out > 0 {
        finding.measured = false;
        finding.summary.push_str("; not all records could be read");
    }
    // RFC 7672 section 2.2: a sender that sees usable records and no match does not deliver, and goes to
    // another address if there is one.
    finding.broken = finding.measured && none_fits && is_smtp(leaf.host);
    finding
}

/// The record as a zone file has it, its data cut.
fn shown(record: &Tlsa) -> String {
    let hex = crate::formats::x509::hex(record.data.get(..6).unwrap_or(&record.data));
    format!("{} {} {} {hex}…", record.usage, record.selector, record.matching)
}
