//! What the authorities say against what the settings declare.

use super::Case;
use super::consensus::Votes;
use super::drift::announced;
use super::watched::settled;
use crate::formats::dns::RecordType;
use crate::formats::dns::written::Listed;
use crate::judge::drift::{Expectation, Unexpected};
use crate::model::{Finding, Severity};
use crate::probe::dns::docs::views as docs;
use crate::probe::dns::facts::Question;
use crate::probe::dns::memory::Memory;
use crate::probe::dns::spec::{RecordSpec, Spec};

/// Looks.
pub fn look(case: &Case<'_>, memory: &mut Memory) -> Vec<Finding> {
    memory.exposed.forget_records();
    let mut findings = Vec::new();
    for record in &case.spec.records {
        let Some(question) = question(case.spec, record).filter(|_| record.expect.is_declared()) else {
            continue;
        };
        let finding = judge(case, record, &question);
        let drifted = finding.as_ref().map(|finding| finding.measured);
        // What could not be measured says neither.
        if drifted != Some(false) {
            memory.exposed.record(&question, drifted.is_some());
        }
        findings.extend(finding);
    }
    findings
}

/// What an entry of the settings asks for; names are checked when the settings are read.
pub(super) fn question(spec: &Spec, record: &RecordSpec) -> Option<Question> {
    Some(Question { name: record.name.within(&spec.zone.0).ok()?, kind: record.kind.0 })
}

fn judge(case: &Case<'_>, record: &RecordSpec, question: &Question) -> Option<Finding> {
    let votes = Votes::of(case.facts, question);
    let of = |summary: String| Finding::of(&docs::UNEXPECTED, question.key(), summary);
    if votes.groups.is_empty() {
        let summary = "no authority gave an answer that counts".to_owned();
        let finding = Finding { measured: false, ..of(summary) };
        return Some(finding.with("vantages", votes.vantages()));
    }
    let is_alias = |values: &Vec<String>| values.iter().any(|value| value.starts_with("CNAME "));
    let of_targets = !matches!(record.expect, Expectation::Absent);
    if of_targets && let Some(alias) = votes.groups.keys().find(|values| is_alias(values)) {
        let summary = format!(
            "the name is an alias ({}); what it leads to is not compared, declare the CNAME instead",
            Listed(alias)
        );
        return Some(Finding { measured: false, ..of(summary) }.with("vantages", votes.vantages()));
    }
    let announced = announced(case, question);
    let is_announced = |values: &[String]| {
        let values = settled(question, values);
        announced.iter().any(|announced| announced.is_under_way(case.now) && announced.values == values)
    };
    let unexpected = |values: &[String]| record.expect.unexpected(values).filter(|_| !is_announced(values));
    let judged = votes.groups.iter().map(|(values, servers)| (values, servers, unexpected(values)));
    let (wrong, right): (Vec<_>, Vec<_>) = judged.partition(|(.., unexpected)| unexpected.is_some());
    let (values, servers, unexpected) = wrong.first()?;
    let Unexpected { extra, missing, why } = unexpected.clone()?;
    let everywhere = right.is_empty();
    let mut summary = format!("is {}, which {why}", Listed(values));
    if !missing.is_empty() {
        summary.push_str(&format!("; missing: {}", Listed(&missing)));
    }
    if !everywhere || wrong.len() > 1 {
        summary.push_str(&format!(" (at {})", servers.join(", ")));
    }
    let diff: Vec<String> = missing
        .iter()
        .map(|value| format!("- {value}"))
        .chain(extra.iter().map(|value| format!("+ {value}")))
        .collect();
    let mut finding = of(summary).with("diff", diff).with("vantages", votes.vantages());
    finding.severity = severity(question, values);
    // Of some authorities alone: a change is on its way, or one of them is stale, and most users get the
    // right answer.
    if !everywhere {
        finding.severity = finding.severity.min(Severity::Warning);
    }
    let resolves = matches!(question.kind, RecordType::A | RecordType::AAAA | RecordType::CNAME);
    let gone = wrong.iter().all(|(values, ..)| values.is_empty());
    finding.broken = everywhere && resolves && gone;
    Some(finding)
}

/// By what hangs on the record.
pub(super) fn severity(question: &Question, values: &[String]) -> Severity {
    let name = question.name.to_string().to_lowercase();
    let policy = ["_dmarc.", "_mta-sts.", "_smtp._tls."].iter().any(|prefix| name.starts_with(prefix))
        || name.contains("._domainkey.");
    let spf = values.iter().any(|value| value.starts_with("\"v=spf1"));
    match question.kind {
        RecordType::NS | RecordType::DS => Severity::Critical,
        RecordType::TXT if !policy && !spf => Severity::Warning,
        _ => Severity::Error,
    }
}
