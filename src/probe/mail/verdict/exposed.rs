//! What is exposed as metrics.

use super::{Case, Report, bimi, dane, mta_sts, tls_rpt};
use crate::model::{Finding, Series, SeriesDoc};
use crate::probe::mail::memory::Memory;

const POLICY: SeriesDoc = SeriesDoc {
    name: "portalwatch_mail_policy_ok",
    help: "1 if nothing about this part of the domain's mail alerts, 0 if something does; absent where it is not set up or was never looked at.",
};

/// The parts, by the beginning of their findings' ids.
const POLICIES: [(&str, &str); 8] = [
    ("spf", "spf."),
    ("dkim", "dkim."),
    ("dmarc", "dmarc."),
    ("mx", "mx."),
    ("mta_sts", "mta_sts."),
    ("tls_rpt", "tls_rpt."),
    ("dane", "dane."),
    ("bimi", "bimi."),
];

/// Keeps what is known; what could not be looked at stays as it was.
pub(super) fn keep(case: &Case<'_>, report: &mut Report) {
    for (policy, family) in POLICIES {
        if !is_set_up(case, policy) {
            report.memory.exposed.remove(policy);
            continue;
        }
        let own = |finding: &&Finding| finding.id.as_str().starts_with(family);
        let alerts = report.findings.iter().filter(own).any(Finding::alerts);
        if alerts || !report.blind.iter().any(|blind| blind.starts_with(family)) {
            report.memory.exposed.insert(policy.to_owned(), !alerts);
        }
    }
}

/// Whether there is anything to be right or wrong. A policy that everybody should have is.
fn is_set_up(case: &Case<'_>, policy: &str) -> bool {
    let facts = case.facts;
    if case.spec.parked {
        return false;
    }
    match policy {
        "spf" => facts.spf.is_some(),
        "dmarc" => facts.dmarc.is_some(),
        "mx" => facts.mx.is_some(),
        "dkim" => facts.dkim.as_ref().is_some_and(|dkim| !dkim.selectors.is_empty()),
        "mta_sts" => facts.mta_sts.as_ref().is_some_and(|one| {
            one.record.unmeasured.is_some()
                || !one.record.values.is_empty()
                || mta_sts::applied(one).is_some()
        }),
        "tls_rpt" => facts
            .tls_rpt
            .as_ref()
            .is_some_and(|one| one.unmeasured.is_some() || tls_rpt::record(one).is_some()),
        "dane" => facts.mx.as_ref().is_some_and(dane::is_used),
        _ => facts
            .bimi
            .as_ref()
            .is_some_and(|one| one.record.unmeasured.is_some() || bimi::record(one).is_some()),
    }
}

/// The series.
pub fn series(memory: &Memory) -> Vec<Series> {
    let of = |(policy, fine): (&String, &bool)| Series {
        doc: &POLICY,
        labels: vec![("domain", memory.domain.clone()), ("policy", policy.clone())],
        value: f64::from(u8::from(*fine)),
    };
    memory.exposed.iter().map(of).collect()
}
