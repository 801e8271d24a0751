//! The message that went out and came back, as its receiver judges it.

use super::{Case, Report};
use crate::model::Finding;
use crate::probe::mail::dmarc::Choice;
use crate::probe::mail::dmarc::evaluate::{Authenticated, Evaluation, Identity, Result, evaluate};
use crate::probe::mail::docs::round_trip as docs;
use crate::probe::mail::facts::{Arrived, RoundTrip};
use crate::probe::mail::round_trip::signatures::{Signature, SignatureResult};
use crate::probe::mail::spf::{Checked, Verdict};

const FAMILY: &str = "loop.";

pub(super) fn look(case: &Case<'_>, report: &mut Report) {
    let Some(spec) = &case.spec.round_trip else { return };
    let domain = case.facts.domain.as_str();
    match &case.facts.round_trip {
        // Not run by hand: what stood before still stands.
        None => report.blind.push(FAMILY),
        Some(RoundTrip::Unmeasured(skipped)) => {
            report.blind.push(FAMILY);
            let finding = Finding::of(&docs::UNMEASURED, domain, skipped.why.clone());
            report.findings.push(Finding { measured: false, ..finding });
        }
        Some(RoundTrip::NotSent(why)) => report.find(&docs::NOT_SENT, domain, why.clone()),
        Some(RoundTrip::Lost(waited)) => {
            report.find(&docs::LOST, domain, format!("it did not arrive within {waited:.0} s"));
        }
        Some(RoundTrip::Arrived(arrived)) => {
            authenticated(domain, arrived, report);
            let foreign: Vec<&str> = arrived
                .links
                .iter()
                .map(String::as_str)
                .filter(|host| {
                    let within = |own: &str| *host == own || host.ends_with(&format!(".{own}"));
                    !spec.links.is_empty() && !spec.links.iter().any(|own| within(&own.text()))
                })
                .collect();
            if !foreign.is_empty() {
                report.find(&docs::LINKS, domain, format!("links lead to {}", foreign.join(", ")));
            }
            if case.spec.bulk && !arrived.one_click {
                report.find(
                    &docs::UNSUBSCRIBE,
                    domain,
                    "there is no List-Unsubscribe with List-Unsubscribe-Post",
                );
            }
        }
    }
}

fn of_spf(checked: &Checked) -> Authenticated {
    match checked.verdict {
        Verdict::Pass => Authenticated::Pass,
        Verdict::TempError => Authenticated::Unknown,
        _ => Authenticated::Fail,
    }
}

fn of_signature(signature: &Signature) -> Authenticated {
    match signature.result {
        SignatureResult::Pass => Authenticated::Pass,
        SignatureResult::TempError => Authenticated::Unknown,
        SignatureResult::Fail | SignatureResult::PermError => Authenticated::Fail,
    }
}

/// What a receiver makes of it.
pub(super) fn evaluation(domain: &str, arrived: &Arrived) -> Evaluation {
    let from = arrived.from.first().map_or(domain, String::as_str);
    let signatures: Vec<Identity<'_>> = arrived
        .signatures
        .iter()
        .map(|signature| Identity { domain: &signature.domain, result: of_signature(signature) })
        .collect();
    let sender = arrived.mail_from.rsplit_once('@').map_or(arrived.mail_from.as_str(), |(_, domain)| domain);
    let sender = arrived.spf.as_ref().map(|checked| Identity { domain: sender, result: of_spf(checked) });
    evaluate(from, &signatures, sender.as_ref(), &|at| Choice::at(&arrived.records, at))
}

fn authenticated(domain: &str, arrived: &Arrived, report: &mut Report) {
    let said = evaluation(domain, arrived);
    let spf = match &arrived.spf {
        Some(checked) => {
            format!("SPF {} ({}, for {})", checked.verdict.as_str(), checked.why, arrived.mail_from)
        }
        None => "SPF not known".to_owned(),
    };
    let shown = |signature: &Signature| {
        let result = match signature.result {
            SignatureResult::Pass => "pass".to_owned(),
            _ => format!("does not hold: {}", signature.why),
        };
        format!("DKIM {} of {} {result}", signature.selector, signature.domain)
    };
    let mut signatures: Vec<String> = arrived.signatures.iter().map(shown).collect();
    if signatures.is_empty() {
        signatures.push("no signature".to_owned());
    }
    let all = format!("{spf}; {}", signatures.join("; "));
    if arrived.from.len() != 1 {
        let summary =
            format!("From names {} domains ({}); {all}", arrived.from.len(), arrived.from.join(", "));
        report.find(&docs::DMARC, domain, summary);
        return;
    }
    match said.result {
        Result::Fail => report.find(&docs::DMARC, domain, all),
        Result::TempError => {
            report.blind.push("loop.dmarc");
            let finding = Finding::of(&docs::DMARC, domain, all);
            report.findings.push(Finding { measured: false, ..finding });
        }
        Result::Pass | Result::None => {}
    }
    // Without a record that applies nothing says what is near enough; a part of the name is, then.
    let own = |one: &Signature| {
        let same =
            |a: &str, b: &str| a == b || a.ends_with(&format!(".{b}")) || b.ends_with(&format!(".{a}"));
        one.result == SignatureResult::Pass && same(&one.domain, &arrived.from.concat())
    };
    let recordless = said.walked.policy.is_none();
    let dkim = if recordless && arrived.signatures.iter().any(own) { Authenticated::Pass } else { said.dkim };
    match dkim {
        Authenticated::Pass => {}
        Authenticated::Unknown => report.blind.push("loop.dkim"),
        Authenticated::Fail => report.find(&docs::DKIM, domain, signatures.join("; ")),
    }
    let Some(checked) = &arrived.spf else {
        return report.find(&docs::SKIPPED, domain, "no Received header names an address");
    };
    match if recordless { of_spf(checked) } else { said.spf } {
        Authenticated::Pass => {}
        Authenticated::Unknown => report.blind.push("loop.spf"),
        Authenticated::Fail => report.find(&docs::SPF, domain, spf),
    }
}
