//! BIMI.

use super::exchanges::words;
use super::{Case, Report, dmarc};
use crate::formats::bimi::{Record, is_bimi};
use crate::formats::dmarc::Policy;
use crate::model::FindingDoc;
use crate::probe::mail::docs::transport as docs;
use crate::probe::mail::facts::{Answered, Bimi, Fetched, Mark, Says};

const FAMILY: &str = "bimi.";

/// The one record, or why it cannot be used; none if there is none.
pub(super) fn record(bimi: &Bimi) -> Option<Result<Record, String>> {
    let own: Vec<&String> = bimi.record.values.iter().filter(|text| is_bimi(text)).collect();
    match own.as_slice() {
        [] => None,
        [one] => Some(Record::parse(one).map_err(|fault| fault.to_string())),
        several => Some(Err(format!("there are {} records", several.len()))),
    }
}

pub(super) fn look(case: &Case<'_>, report: &mut Report) {
    let Some(bimi) = &case.facts.bimi else { return };
    let name = bimi.record.name.as_str();
    if bimi.record.unmeasured.is_some() {
        report.blind(FAMILY, &bimi.record);
        return;
    }
    match record(bimi) {
        None => return,
        Some(Err(why)) => return report.find(&docs::BIMI_RECORD, name, why),
        Some(Ok(record)) if record.declines() => return,
        Some(Ok(_)) => {}
    }
    if let Some(facts) = &case.facts.dmarc {
        let walked = dmarc::walked(facts, &case.facts.domain);
        let policies = walked.policy.as_ref().and_then(|(_, _, record)| record.applied());
        let enforced = policies.is_some_and(|all| all.domain.min(all.subdomain) > Policy::None);
        if walked.failed.is_some() {
            report.blind.push("bimi.policy");
        } else if !enforced {
            report.find(&docs::BIMI_POLICY, name, "DMARC does not enforce a policy");
        }
    }
    let logo = fetched(name, &docs::BIMI_LOGO, bimi.logo.as_ref(), report);
    if let Some(Says::Logo(flaws)) = logo.map(|answer| &answer.says)
        && !flaws.is_empty()
    {
        let words: Vec<&str> = flaws.iter().map(|(words, _)| words.as_str()).collect();
        report.find(&docs::BIMI_LOGO, name, words.join("; "));
    }
    let evidence = fetched(name, &docs::BIMI_EVIDENCE, bimi.evidence.as_ref(), report);
    if let Some(Says::Mark(mark)) = evidence.map(|answer| &answer.says)
        && let Some(why) = unfit(case, mark, logo)
    {
        report.find(&docs::BIMI_EVIDENCE, name, why);
    }
}

/// What was fetched, if it can be used; else a finding.
fn fetched<'f>(
    name: &str,
    doc: &'static FindingDoc,
    fetched: Option<&'f Fetched>,
    report: &mut Report,
) -> Option<&'f Answered> {
    match fetched? {
        Fetched::Unmeasured(skipped) => report.unanswered(doc.id, name, skipped),
        Fetched::Failed(failure) => report.find(doc, name, words(failure)),
        Fetched::Answer(answer) => match &answer.says {
            Says::Unreadable(why) => report.find(doc, name, why.clone()),
            _ => return Some(answer),
        },
    }
    None
}

/// Why a mark certificate does not vouch for the logo.
fn unfit(case: &Case<'_>, mark: &Mark, logo: Option<&Answered>) -> Option<String> {
    let domain = &case.facts.domain;
    if !mark.for_marks {
        return Some("the certificate is not one for marks (extended key usage)".to_owned());
    }
    if mark.not_after.is_some_and(|until| until < case.now.as_second()) {
        return Some("the certificate has expired".to_owned());
    }
    let covers = |name: &String| {
        name == domain || domain.ends_with(&format!(".{name}")) || *name == format!("default._bimi.{domain}")
    };
    if !mark.names.iter().any(covers) {
        return Some(format!("the certificate is for {}", mark.names.join(", ")));
    }
    match (&mark.logo, logo) {
        (Some(own), Some(logo)) if *own != logo.sha256 => {
            Some("the certificate is about another logo".to_owned())
        }
        _ => None,
    }
}
