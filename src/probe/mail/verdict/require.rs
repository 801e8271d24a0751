//! What the settings require.

use super::{Case, Report, bimi, dane, dmarc, mta_sts, tls_rpt};
use crate::formats::dmarc::Policy;
use crate::model::Finding;
use crate::probe::Unmeasured;
use crate::probe::mail::docs::whole as docs;
use crate::probe::mail::facts::{Fetched, Looked};
use crate::probe::mail::spec::StsMode;
use crate::probe::web::facts::Skipped;

/// What came of a requirement.
enum Held {
    Yes,
    /// Why not.
    No(String),
    Unknown(Skipped),
}

pub(super) fn look(case: &Case<'_>, report: &mut Report) {
    let wanted = &case.spec.require;
    if let Some(policy) = wanted.dmarc {
        held(case, "dmarc", dmarc_is(case, policy.into()), report);
    }
    if let Some(mode) = wanted.mta_sts {
        held(case, "mta_sts", sts_is(case, mode), report);
    }
    if wanted.tls_rpt {
        held(case, "tls_rpt", rpt_is_there(case), report);
    }
    if wanted.dane {
        held(case, "dane", dane_is_there(case), report);
    }
    if wanted.bimi {
        held(case, "bimi", bimi_is_there(case), report);
    }
}

fn held(case: &Case<'_>, what: &str, held: Held, report: &mut Report) {
    let subject = format!("{} {what}", case.facts.domain);
    match held {
        Held::Yes => {}
        Held::No(why) => report.find(&docs::REQUIRED, &subject, why),
        Held::Unknown(skipped) => {
            let finding = Finding::of(&docs::REQUIRED, subject, skipped.why.clone());
            report.findings.push(Finding { measured: false, ..finding });
            let why = format!("{what} is required, and could not be looked at: {}", skipped.why);
            report.required.get_or_insert(Unmeasured { cause: skipped.cause, why });
        }
    }
}

fn unknown(looked: &[Looked]) -> Option<Held> {
    looked.iter().find_map(|looked| looked.unmeasured.clone()).map(Held::Unknown)
}

fn dmarc_is(case: &Case<'_>, wanted: Policy) -> Held {
    let Some(facts) = &case.facts.dmarc else { return Held::Yes };
    let walked = dmarc::walked(facts, &case.facts.domain);
    match walked.applied(&case.facts.domain, true) {
        Some(policy) if policy >= wanted => Held::Yes,
        Some(policy) => {
            Held::No(format!("the policy is {}, and {} is required", policy.as_str(), wanted.as_str()))
        }
        None if walked.failed.is_some() => unknown(&facts.walk).unwrap_or(Held::Yes),
        None => Held::No(format!("there is no policy, and {} is required", wanted.as_str())),
    }
}

fn sts_is(case: &Case<'_>, wanted: StsMode) -> Held {
    let Some(facts) = &case.facts.mta_sts else { return Held::Yes };
    let mode = mta_sts::applied(facts).map(|(_, policy, _)| policy.mode.clone());
    let fine = match wanted {
        StsMode::Testing => matches!(mode.as_deref(), Some("testing" | "enforce")),
        StsMode::Enforce => mode.as_deref() == Some("enforce"),
    };
    let wanted = match wanted {
        StsMode::Testing => "testing",
        StsMode::Enforce => "enforce",
    };
    match (&facts.record.unmeasured, &facts.policy, mode) {
        _ if fine => Held::Yes,
        (Some(skipped), ..) | (None, Some(Fetched::Unmeasured(skipped)), _) => Held::Unknown(skipped.clone()),
        (.., Some(mode)) => Held::No(format!("the mode is {mode}, and {wanted} is required")),
        (.., None) => Held::No(format!("there is no policy that can be used, and {wanted} is required")),
    }
}

fn rpt_is_there(case: &Case<'_>) -> Held {
    let Some(looked) = &case.facts.tls_rpt else { return Held::Yes };
    match (&looked.unmeasured, tls_rpt::record(looked)) {
        (Some(skipped), _) => Held::Unknown(skipped.clone()),
        (None, Some(Ok(_))) => Held::Yes,
        (None, _) => Held::No("there is no record at _smtp._tls that can be used".to_owned()),
    }
}

fn dane_is_there(case: &Case<'_>) -> Held {
    let Some(mx) = &case.facts.mx else { return Held::Yes };
    let asked = || std::iter::once(&mx.records).chain(mx.hosts.iter().map(|host| &host.tlsa));
    if let Some(skipped) = asked().find_map(|looked| looked.unmeasured.clone()) {
        return Held::Unknown(skipped);
    }
    let without: Vec<&str> =
        mx.hosts.iter().filter(|host| !dane::counts(mx, host)).map(|host| host.name.as_str()).collect();
    match (mx.hosts.is_empty(), without.is_empty()) {
        (false, true) => Held::Yes,
        (true, _) => Held::No("there is no mail exchange".to_owned()),
        (false, false) => Held::No(format!("no signed TLSA records for {}", without.join(", "))),
    }
}

fn bimi_is_there(case: &Case<'_>) -> Held {
    let Some(facts) = &case.facts.bimi else { return Held::Yes };
    match (&facts.record.unmeasured, bimi::record(facts)) {
        (Some(skipped), _) => Held::Unknown(skipped.clone()),
        (None, Some(Ok(record))) if record.logo.is_some() => Held::Yes,
        (None, _) => Held::No("there is no record at default._bimi that names a logo".to_owned()),
    }
}
