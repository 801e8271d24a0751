//! A domain that neither sends nor takes mail says so.

use super::{Case, Report, dmarc};
use crate::formats::dmarc::Policy;
use crate::formats::spf::is_spf;
use crate::model::Finding;
use crate::probe::mail::docs::whole as docs;

pub(super) fn look(case: &Case<'_>, report: &mut Report) {
    let domain = case.facts.domain.as_str();
    let lacks = |what: &str, summary: String, publish: String, report: &mut Report| {
        let finding = Finding::of(&docs::PARKED, format!("{domain} {what}"), summary);
        report.findings.push(finding.with("publish", publish));
    };
    if let Some(spf) = &case.facts.spf {
        report.blind("parked.", &spf.texts);
        if let Some(texts) = spf.texts.known() {
            let own: Vec<String> =
                texts.iter().filter(|text| is_spf(text.as_bytes())).map(|text| tidy(text)).collect();
            if own != ["v=spf1 -all"] {
                let has = if own.is_empty() {
                    "there is no SPF record".to_owned()
                } else {
                    format!("SPF says {}", own.join("; "))
                };
                lacks("SPF", has, format!("{domain}. TXT \"v=spf1 -all\""), report);
            }
        }
    }
    if let Some(facts) = &case.facts.dmarc {
        let walked = dmarc::walked(facts, domain);
        let strict =
            walked.policy.as_ref().and_then(|(_, _, record)| record.applied()).is_some_and(|policies| {
                policies.subdomain == Policy::Reject && policies.nonexistent == Policy::Reject
            }) && walked.applied(domain, true) == Some(Policy::Reject);
        if walked.failed.is_some() {
            facts.walk.iter().for_each(|looked| report.blind("parked.", looked));
        } else if !strict {
            let has = match &walked.policy {
                Some((at, text, _)) => format!("DMARC at {at} says {text}"),
                None => "there is no DMARC record".to_owned(),
            };
            lacks("DMARC", has, format!("_dmarc.{domain}. TXT \"v=DMARC1; p=reject\""), report);
        }
    }
    if let Some(mx) = &case.facts.mx {
        report.blind("parked.", &mx.records);
        if let Some(values) = mx.records.known().filter(|values| *values != ["0 ."]) {
            let has = if values.is_empty() {
                "there is no MX record".to_owned()
            } else {
                format!("MX says {}", values.join(", "))
            };
            lacks("MX", has, format!("{domain}. MX 0 ."), report);
        }
    }
}

/// In lower case, with one space between its terms.
fn tidy(text: &str) -> String {
    text.split_ascii_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase()
}
