//! One line for each part of a domain's mail, for people: how it stands, and what is there.

use super::facts::{Came, Facts, Fetched, Looked, Says};
use super::verdict::dmarc_walked;
use crate::model::{Finding, Verdict};

/// One part.
pub struct Row {
    /// Its name, as people know it.
    pub part: &'static str,
    /// How it stands; `None` where it is not set up, and need not be.
    pub verdict: Option<Verdict>,
    /// What is there.
    pub line: String,
}

/// All parts that were looked at.
pub fn rows(facts: &Facts, findings: &[Finding]) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row =
        |part: &'static str, families: &[&str], absent: bool, unknown: Option<String>, line: String| {
            let own =
                |finding: &&Finding| families.iter().any(|family| finding.id.as_str().starts_with(family));
            let own: Vec<Finding> = findings.iter().filter(own).cloned().collect();
            let worst = Verdict::of(&own);
            let unmeasured = own.iter().any(|finding| !finding.measured);
            let verdict = match (worst, unknown.is_some() || unmeasured) {
                (Verdict::Pass, true) => Some(Verdict::Unknown),
                (Verdict::Pass, false) if absent => None,
                (worst, _) => Some(worst),
            };
            rows.push(Row { part, verdict, line: unknown.unwrap_or(line) });
        };
    if let Some(spf) = &facts.spf {
        let line = spf.v4.trace.record.clone().unwrap_or_else(|| "no record that can be used".to_owned());
        row("SPF", &["spf."], false, spf.texts.why(), line);
    }
    if let Some(dkim) = &facts.dkim {
        let unknown = dkim.selectors.iter().find_map(|key| key.texts.why());
        let names: Vec<&str> = dkim.selectors.iter().map(|key| key.selector.as_str()).collect();
        let line = match names.is_empty() {
            true => "no selector was named, so no key was looked at".to_owned(),
            false => {
                format!("{} {}", if names.len() == 1 { "selector" } else { "selectors" }, names.join(", "))
            }
        };
        row("DKIM", &["dkim."], false, unknown, line);
    }
    if let Some(dmarc) = &facts.dmarc {
        let walked = dmarc_walked(dmarc, &facts.domain);
        let line = match &walked.policy {
            Some((at, text, _)) => format!("{text} (at {at})"),
            None => "no record".to_owned(),
        };
        row("DMARC", &["dmarc."], false, walked.failed.filter(|_| walked.policy.is_none()), line);
    }
    if let Some(mx) = &facts.mx {
        row("MX", &["mx."], false, mx.records.why(), values(&mx.records));
    }
    if let Some(mta_sts) = &facts.mta_sts {
        let line = match &mta_sts.policy {
            Some(Fetched::Answer(answer)) => match &answer.says {
                Says::Policy(policy) => format!("mode {}, mx {}", policy.mode, policy.mx.join(", ")),
                Says::Unreadable(why) => why.clone(),
                _ => values(&mta_sts.record),
            },
            _ => values(&mta_sts.record),
        };
        let absent = mta_sts.record.values.is_empty();
        row("MTA-STS", &["mta_sts."], absent, mta_sts.record.why(), line);
    }
    if let Some(looked) = &facts.tls_rpt {
        row("TLS-RPT", &["tls_rpt."], looked.values.is_empty(), looked.why(), values(looked));
    }
    if let Some(mx) = &facts.mx {
        let sets: Vec<&Looked> = mx.hosts.iter().map(|host| &host.tlsa).collect();
        let unknown = sets.iter().find_map(|looked| looked.why());
        let count: usize = sets.iter().map(|looked| looked.values.len()).sum();
        let seen = mx
            .hosts
            .iter()
            .flat_map(|host| &host.reached)
            .any(|reached| matches!(reached.came, Came::Shown(_)));
        let blind = (count > 0 && !seen).then(|| "no certificate was seen".to_owned());
        row("DANE", &["dane."], count == 0, unknown.or(blind), format!("{count} TLSA records"));
    }
    if let Some(bimi) = &facts.bimi {
        row("BIMI", &["bimi."], bimi.record.values.is_empty(), bimi.record.why(), values(&bimi.record));
    }
    if !facts.senders.is_empty() {
        let all: Vec<String> = facts
            .senders
            .iter()
            .map(|sender| format!("{} {}", sender.ip, sender.spf.verdict.as_str()))
            .collect();
        row("senders", &["sender.", "spf.sender"], false, None, all.join(", "));
    }
    rows
}

fn values(looked: &Looked) -> String {
    if looked.values.is_empty() { "none".to_owned() } else { looked.values.join(" | ") }
}
