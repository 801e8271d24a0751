//! Certificate timestamps, of what public authorities issued: browsers ask them of nobody else.

use super::served_leaf::{ServedLeaf, leaves};
use super::staple::opinions;
use super::{Case, Note};
use crate::formats::x509::ocsp::Response;
use crate::formats::x509::sct::{self, Stamp};
use crate::model::Finding;
use crate::probe::certificate::docs::staple::{SCT_FEW, SCT_INVALID};
use crate::probe::certificate::judge::staple::Opinion as OfStaple;
use crate::probe::certificate::judge::timestamps::{Logs, Opinion, Question, judge};
use crate::probe::certificate::revocation::issuers_of;

/// What is thought of timestamps.
pub fn notes<'a>(case: &Case<'a>) -> Vec<Note<'a>> {
    by_logs(case, Logs::known())
}

/// The same, by these logs.
pub fn by_logs<'a>(case: &Case<'a>, logs: &Logs) -> Vec<Note<'a>> {
    let public = |served: &ServedLeaf<'_, 'a>| served.judged.public;
    let of = |served: ServedLeaf<'_, 'a>| Some(served.note(of_leaf(case, &served, logs)?));
    leaves(case).into_iter().filter(public).filter_map(of).collect()
}

fn of_leaf(case: &Case<'_>, served: &ServedLeaf<'_, '_>, logs: &Logs) -> Option<Finding> {
    let leaf = served.leaf;
    let known: Vec<_> = case.readable().collect();
    let issuer = issuers_of(leaf, &known, case.anchors).into_iter().next()?;
    let beside = beside(case, served);
    let question =
        Question { logs, leaf, issuer_spki: issuer.spki, beside: &beside, at: case.now.as_second() };
    let name = leaf.short_name();
    match judge(&question) {
        Ok(mut opinion) => {
            if served.timestamps().iter().any(|bytes| sct::list(bytes).is_err()) {
                opinion.bad.push(("the TLS extension".to_owned(), "its list cannot be read"));
            }
            // A server that was not asked for the extension may have them there.
            let seen = served.timestamps_were_asked_for() || !beside.is_empty();
            told(&opinion, &name, seen)
        }
        Err(why) => {
            Some(Finding::of(&SCT_FEW, "leaf", format!("{name}: its timestamps cannot be read: {why}")))
        }
    }
}

/// Those of the TLS extension and of staples that hold.
fn beside(case: &Case<'_>, served: &ServedLeaf<'_, '_>) -> Vec<Stamp> {
    let lists = served.timestamps().into_iter().filter_map(|bytes| sct::list(bytes).ok());
    let staples = served.staples();
    let good = opinions(case, served, &staples).into_iter().zip(&staples);
    let good = good.filter(|(opinion, _)| *opinion == Some(OfStaple::Good));
    let stapled = good.filter_map(|(_, staple)| match Response::parse(staple).ok()? {
        Response::Answered(basic) => Some(basic),
        Response::Refused(_) => None,
    });
    let stapled = stapled.flat_map(|basic| {
        let own = basic.singles.into_iter();
        own.filter(|single| *single.certificate.serial == *served.leaf.serial_bytes())
            .filter_map(|single| sct::wrapped_list(&single.timestamps?).ok())
            .collect::<Vec<_>>()
    });
    lists.chain(stapled).flatten().collect()
}

fn told(opinion: &Opinion, name: &str, seen: bool) -> Option<Finding> {
    let bad: Vec<String> =
        opinion.bad.iter().map(|(log, why)| format!("that of {log} does not count: {why}")).collect();
    let bad = if bad.is_empty() { String::new() } else { format!("; {}", bad.join(", ")) };
    if opinion.enough == Some(true) {
        let summary = format!("{name}: has enough timestamps of logs{bad}");
        return (!opinion.bad.is_empty()).then(|| Finding::of(&SCT_INVALID, "leaf", summary));
    }
    let (logs, operators) = (opinion.good.len(), opinion.operators.len());
    let mut summary = format!(
        "{name}: has valid timestamps of {logs} logs of {operators} operators; browsers want {} of 2",
        opinion.needed
    );
    summary.push_str(&bad);
    if opinion.unknown > 0 {
        summary.push_str(&format!("; {} are of logs that this version does not know", opinion.unknown));
    }
    if !seen {
        summary.push_str("; whether the server sends more in the handshake was not seen");
    }
    let mut finding = Finding::of(&SCT_FEW, "leaf", summary);
    finding.measured = opinion.enough.is_some() && seen;
    let none = logs == 0 && opinion.unknown == 0;
    finding.broken = finding.measured && none;
    Some(finding)
}
