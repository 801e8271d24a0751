//! What the large receivers ask of those who send to many.

use super::{Case, Report, dkim, dmarc, senders};
use crate::probe::mail::docs::whole as docs;
use crate::probe::mail::spf::Verdict;

pub(super) fn look(case: &Case<'_>, report: &mut Report) {
    let facts = case.facts;
    let (Some(spf), Some(keys), Some(policy)) = (&facts.spf, &facts.dkim, &facts.dmarc) else { return };
    if !case.spec.receiver_rules {
        return;
    }
    if report.is_blind("spf.missing") || report.is_blind("dkim.missing") || report.is_blind("dmarc.missing") {
        report.blind.push("receivers.");
    }
    let mut lacks: Vec<String> = Vec::new();
    match spf.v4.verdict {
        Verdict::None => lacks.push("SPF".to_owned()),
        Verdict::PermError => lacks.push("an SPF record that can be used".to_owned()),
        _ => {}
    }
    let signs = |key| dkim::usable(key).is_some_and(|record| record.may_verify().is_ok());
    let measured = keys.selectors.iter().all(|key| key.texts.unmeasured.is_none());
    if measured && !keys.selectors.is_empty() && !keys.selectors.iter().any(signs) {
        lacks.push("a DKIM key that can be used".to_owned());
    }
    let walked = dmarc::walked(policy, &facts.domain);
    let applied = walked.policy.as_ref().and_then(|(_, _, record)| record.applied());
    if walked.failed.is_none() && applied.is_none() {
        lacks.push("DMARC".to_owned());
    }
    let unnamed = facts.senders.iter().filter(|sender| senders::unnamed(sender).is_some());
    lacks.extend(unnamed.map(|sender| format!("a name of {} that leads back to it", sender.ip)));
    if !lacks.is_empty() {
        let summary = format!("Gmail, Yahoo and Microsoft ask for {}", lacks.join(", "));
        report.find(&docs::RULES, &facts.domain, summary);
    }
}
