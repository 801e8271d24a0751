//! SPF.

use super::{Case, Report};
use crate::formats::spf::is_spf;
use crate::model::Finding;
use crate::probe::mail::docs::spf as docs;
use crate::probe::mail::facts::Spf;
use crate::probe::mail::spf::findings::of_record;

const FAMILY: &str = "spf.";
/// The longest record that surely fits into an answer with others (RFC 7208 section 3.4), in bytes.
const LONG: usize = 450;
/// The longest answer that fits into one packet, in bytes; its frame taken off.
const PACKET: usize = 1232 - 40;
/// More IPv4 addresses than this are a network that others have addresses in.
const WIDE: u64 = 1 << 16;

pub(super) fn look(case: &Case<'_>, report: &mut Report) {
    let Some(spf) = &case.facts.spf else { return };
    let domain = case.facts.domain.as_str();
    if spf.texts.unmeasured.is_some() {
        report.blind(FAMILY, &spf.texts);
        return;
    }
    let mut found = of_record(domain, &spf.v4, &spf.v6);
    if found.iter().any(|finding| !finding.measured) {
        report.blind.push(FAMILY);
    }
    for finding in &mut found {
        if finding.id.as_str() == "spf.missing" {
            *finding = suggested(case, finding.clone());
        }
    }
    report.findings.extend(found);
    form(domain, spf, report);
    for owner in &spf.owners {
        report.blind(FAMILY, owner);
        if owner.unmeasured.is_none() && !owner.exists {
            let summary =
                format!("{} is not registered, and the record leads to a name below it", owner.name);
            report.find(&docs::LAPSED, domain, summary);
        }
    }
    if let Some(count) = spf.authorized.as_ref().map(|all| all.v4_addresses()).filter(|count| *count > WIDE) {
        report.find(&docs::WIDE, domain, format!("{count} IPv4 addresses may send"));
    }
}

/// With the record to publish, as far as the settings know who sends.
fn suggested(case: &Case<'_>, finding: Finding) -> Finding {
    let networks = case.spec.senders.iter().map(|sender| {
        let family = if sender.ip.is_ipv4() { "ip4" } else { "ip6" };
        format!(" {family}:{}", sender.ip)
    });
    let networks: String = networks.collect();
    let networks = if networks.is_empty() { " mx".to_owned() } else { networks };
    finding.with("publish", format!("{}. TXT \"v=spf1{networks} -all\"", case.facts.domain))
}

fn form(domain: &str, spf: &Spf, report: &mut Report) {
    let texts = &spf.texts.values;
    let sender_id = texts.iter().any(|text| text.to_ascii_lowercase().starts_with("spf2.0"));
    match (spf.old.values.is_empty(), sender_id) {
        (false, _) => report.find(&docs::OLD, domain, "there are records of type SPF (99)"),
        (true, true) => report.find(&docs::OLD, domain, "a TXT record begins with spf2.0"),
        (true, false) => {}
    }
    let Some(record) = texts.iter().find(|text| is_spf(text.as_bytes())) else { return };
    if record.len() > LONG {
        report.find(&docs::SIZE, domain, format!("the record has {} bytes", record.len()));
    } else if spf.texts.bytes > PACKET {
        let summary = format!("the TXT records have {} bytes together", spf.texts.bytes);
        report.find(&docs::SIZE, domain, summary);
    }
    let terms: Vec<String> =
        record.split(' ').filter(|term| !term.is_empty()).map(str::to_lowercase).collect();
    let again =
        terms.iter().enumerate().find(|(at, term)| terms.iter().take(*at).any(|before| before == *term));
    if let Some((_, term)) = again {
        report.find(&docs::DUPLICATE, domain, format!("{term} stands there twice"));
    }
}
