//! TLS-RPT.

use super::{Case, Report, dane, mta_sts};
use crate::formats::tls_rpt::{Record, is_tls_rpt};
use crate::model::Finding;
use crate::probe::mail::docs::transport as docs;
use crate::probe::mail::facts::Looked;

/// The one record, or why it cannot be used; none if there is none.
pub(super) fn record(looked: &Looked) -> Option<Result<Record, String>> {
    let own: Vec<&String> = looked.values.iter().filter(|text| is_tls_rpt(text)).collect();
    match own.as_slice() {
        [] => None,
        [one] => Some(Record::parse(one).map_err(|fault| fault.to_string())),
        several => Some(Err(format!("there are {} records", several.len()))),
    }
}

pub(super) fn look(case: &Case<'_>, report: &mut Report) {
    let Some(looked) = &case.facts.tls_rpt else { return };
    if looked.unmeasured.is_some() {
        report.blind("tls_rpt.", looked);
        return;
    }
    match record(looked) {
        Some(Ok(_)) => {}
        Some(Err(why)) => report.find(&docs::RPT_INVALID, &looked.name, why),
        None => {
            let sts = case.facts.mta_sts.as_ref().is_some_and(|one| mta_sts::applied(one).is_some());
            let danes = case.facts.mx.as_ref().is_some_and(dane::is_used);
            if sts || danes {
                let what = if sts { "MTA-STS" } else { "DANE" };
                let domain = &case.facts.domain;
                let publish = format!("{}. TXT \"v=TLSRPTv1; rua=mailto:postmaster@{domain}\"", looked.name);
                let finding = Finding::of(
                    &docs::RPT_MISSING,
                    domain.clone(),
                    format!("there is {what}, and no record"),
                );
                report.findings.push(finding.with("publish", publish));
            }
        }
    }
}
