//! Whether the authority that the present certificate comes from may issue the next one (RFC 8659).

use std::collections::BTreeSet;

use super::authorities;
use super::issuer::spoken;
use super::served_leaf::{ServedLeaf, leaves};
use super::{Case, Note};
use crate::formats::caa::{Property, UNKNOWN_WAY, Verdict, allows};
use crate::formats::dns::Caa;
use crate::formats::x509::GeneralName;
use crate::formats::x509::name::COMMON_NAME;
use crate::model::{Finding, FindingDoc, Severity};
use crate::probe::certificate::docs::records as docs;
use crate::probe::certificate::facts::HostFacts;
use crate::probe::certificate::judge::{Wanted, covering};
use crate::probe::certificate::records::{Asked, CaaSet};
use crate::probe::certificate::text::one_line;

const ORGANISATION: &str = "2.5.4.10";
/// What may be open about the records of a host.
const ROWS: &[(&FindingDoc, &str)] =
    &[(&docs::CAA_FORBIDS, "CAA"), (&docs::CAA_SYNTAX, "CAA"), (&docs::CAA_CRITICAL, "CAA")];

/// The longest value that is shown, in bytes.
const SHOWN: usize = 200;

/// What is thought of the records of who may issue.
pub fn notes<'a>(case: &Case<'a>) -> Vec<Note<'a>> {
    let mut notes = Vec::new();
    let leaves = leaves(case);
    for host in &case.facts.hosts {
        let Some(asked) = host.dns.as_ref().and_then(|records| records.caa.as_ref()) else { continue };
        let served: Vec<&ServedLeaf<'_, 'a>> =
            leaves.iter().filter(|leaf| std::ptr::eq(leaf.host, host)).collect();
        match asked {
            Asked::Answered(set) => {
                notes.extend(syntax(host, set));
                if served.iter().any(|leaf| leaf.judged.public)
                    && let Some(summary) = unrestricted(set)
                {
                    notes.push(of_host(host, Finding::of(&docs::CAA_MISSING, "CAA", summary)));
                }
            }
            Asked::Unanswered(why) => notes.extend(super::unasked(host, ROWS, &super::no_answer("CAA", why))),
            Asked::Skipped(skipped) => {
                notes.extend(super::unasked(host, ROWS, &super::no_answer("CAA", &skipped.why)))
            }
        }
        notes.extend(served.into_iter().filter_map(issuer));
    }
    notes
}

fn of_host(host: &HostFacts, finding: Finding) -> Note<'_> {
    Note { host, address: None, finding }
}

/// Why any authority may issue.
fn unrestricted(set: &CaaSet) -> Option<String> {
    let Some(at) = &set.at else {
        return Some("no CAA record stands at the name or above it; any authority may issue".to_owned());
    };
    let issues = |tag: &[u8]| tag.eq_ignore_ascii_case(b"issue") || tag.eq_ignore_ascii_case(b"issuewild");
    let any = set.left_out > 0 || set.records.iter().any(|record| issues(&record.tag.0));
    (!any).then(|| format!("the CAA records at {at} hold no issue record; any authority may issue"))
}

/// What of a set cannot be read.
fn syntax<'a>(host: &'a HostFacts, set: &CaaSet) -> Vec<Note<'a>> {
    let place = set.at.as_deref().unwrap_or_default();
    let mut notes = Vec::new();
    for record in &set.records {
        let record = Caa::from(record);
        let shown = one_line(&String::from_utf8_lossy(&record.value), SHOWN);
        match Property::parse(&record) {
            Err(fault) => {
                let summary = format!(
                    "the CAA record `{} \"{shown}\"` at {place} is wrong at byte {}: {}",
                    fault.tag, fault.at, fault.why
                );
                let mut finding = Finding::of(&docs::CAA_SYNTAX, "CAA", summary);
                if fault.why == UNKNOWN_WAY {
                    // The authority may know it.
                    finding.severity = Severity::Notice;
                }
                notes.push(of_host(host, finding));
            }
            Ok(property)
                if property.critical && matches!(property.kind, crate::formats::caa::Kind::Unknown(_)) =>
            {
                let summary =
                    format!("the CAA record `{}` at {place} is critical and nobody knows it", property.tag);
                notes.push(of_host(host, Finding::of(&docs::CAA_CRITICAL, "CAA", summary)));
            }
            Ok(property) if property.reserved != 0 => {
                let flags = record.flags;
                let summary = format!(
                    "the CAA record `{} \"{shown}\"` at {place} has flags {flags}, which mean nothing; 128 is critical",
                    property.tag
                );
                let finding = Finding::of(&docs::CAA_SYNTAX, "CAA", summary);
                let finding = Finding { severity: Severity::Notice, ..finding };
                notes.push(of_host(host, finding));
            }
            Ok(_) => {}
        }
    }
    notes
}

/// Whether the present authority is let.
fn issuer<'a>(served: &ServedLeaf<'_, 'a>) -> Option<Note<'a>> {
    if !served.judged.public {
        return None;
    }
    let host = served.host;
    let name = Wanted::parse(host.server_name.as_deref().unwrap_or(&host.host)).ok()?;
    let wildcard =
        matches!(covering(served.leaf, &name), Ok(GeneralName::Dns(san)) if san.shown().starts_with("*."));
    let records = host.dns.as_ref()?;
    let asked =
        if wildcard { records.caa_above.as_ref().or(records.caa.as_ref()) } else { records.caa.as_ref() };
    let unmeasured =
        |summary: String| Finding { measured: false, ..Finding::of(&docs::CAA_FORBIDS, "CAA", summary) };
    let set = match asked? {
        Asked::Answered(set) => set,
        // That of the name itself is told by the host.
        _ if !wildcard || records.caa_above.is_none() => return None,
        Asked::Unanswered(_) | Asked::Skipped(_) => {
            let summary = "the CAA records that count for wildcards could not be asked for".to_owned();
            return Some(served.note(unmeasured(summary)));
        }
    };
    let at = set.at.as_deref()?;
    let all: Vec<Caa> = set.records.iter().map(Caa::from).collect();
    let by = spoken(&served.leaf.issuer);
    let names = served.judged.chain.iter().flat_map(|link| {
        let issuer = &link.certificate.issuer;
        issuer.values(ORGANISATION).chain(issuer.values(COMMON_NAME))
    });
    let finding = match authorities::domains(names) {
        // Records that restrict nobody let everybody, whoever it is.
        None if allows(&all, &[], wildcard) == Verdict::Unrestricted && set.left_out == 0 => return None,
        None => unmeasured(format!("whether the CAA records at {at} let {by} issue is not known here")),
        Some(domains) => match allows(&all, domains, wildcard) {
            Verdict::Forbidden { .. } if set.left_out > 0 || all.iter().any(unreadable) => unmeasured(
                format!("not all CAA records at {at} could be read; one of them may let {by} issue"),
            ),
            Verdict::Forbidden { by: which } => {
                let tag = if wildcard { "issuewild or issue" } else { "issue" };
                let domain = domains.first().copied().unwrap_or_default();
                let summary = format!(
                    "the CAA records at {at} let {} issue, and the certificate is from {by}; an {tag} record for {domain} is missing",
                    listed(&all, &which)
                );
                Finding::of(&docs::CAA_FORBIDS, "CAA", summary)
            }
            Verdict::Unrestricted | Verdict::Allowed { .. } | Verdict::UnknownCritical { .. } => return None,
        },
    };
    Some(served.note(finding))
}

/// Whether a record cannot be read for a way of validation that is not known here: it may name the
/// authority all the same.
fn unreadable(record: &Caa) -> bool {
    matches!(Property::parse(record), Err(fault) if fault.why == UNKNOWN_WAY)
}

/// The authorities that records name.
fn listed(all: &[Caa], which: &[usize]) -> String {
    let values = which.iter().filter_map(|index| all.get(*index));
    let named: BTreeSet<String> = values
        .map(|record| one_line(&String::from_utf8_lossy(&record.value), SHOWN))
        .map(|value| if matches!(value.trim(), "" | ";") { "nobody".to_owned() } else { value })
        .collect();
    named.into_iter().collect::<Vec<_>>().join(", ")
}
