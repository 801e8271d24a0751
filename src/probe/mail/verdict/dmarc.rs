//! DMARC.

use super::{Case, Report};
use crate::formats::dmarc::{Policy, Record, Remark, is_dmarc};
use crate::model::Finding;
use crate::probe::mail::dmarc::align::aligned;
use crate::probe::mail::dmarc::walk::{Walked, walk};
use crate::probe::mail::dmarc::{Choice, authorizes, name_of};
use crate::probe::mail::docs::dmarc as docs;
use crate::probe::mail::facts::{Destination, Dmarc, Looked};

const FAMILY: &str = "dmarc.";

/// How the record of a domain was found.
pub fn walked(dmarc: &Dmarc, domain: &str) -> Walked {
    walk(domain, &|at| Choice::at(dmarc.walk.iter().chain(&dmarc.others), at))
}

pub(super) fn look(case: &Case<'_>, report: &mut Report) {
    let Some(dmarc) = &case.facts.dmarc else { return };
    let domain = case.facts.domain.as_str();
    let walked = walked(dmarc, domain);
    placed(domain, dmarc, &walked, report);
    if walked.failed.is_some() {
        for looked in &dmarc.walk {
            report.blind(FAMILY, looked);
        }
    }
    let Some((at, _, record)) = &walked.policy else {
        if walked.failed.is_none() && walked.several.is_empty() {
            let summary = format!("there is no record at {}, nor above it", name_of(domain));
            let publish =
                format!("{}. TXT \"v=DMARC1; p=none; rua=mailto:postmaster@{domain}\"", name_of(domain));
            let finding = Finding::of(&docs::MISSING, domain, summary).with("publish", publish);
            report.findings.push(finding);
        }
        return;
    };
    form(&name_of(at), record, report);
    policy(domain, at, record, &walked, report);
    reports(record, dmarc, report);
    alignment(case, dmarc, record, report);
}

/// Records where they have no effect.
fn placed(domain: &str, dmarc: &Dmarc, walked: &Walked, report: &mut Report) {
    for several in &walked.several {
        let count = dmarc.walk.iter().find(|looked| looked.name == name_of(several));
        let count = count.map_or(0, |looked| looked.values.iter().filter(|text| is_dmarc(text)).count());
        report.find(&docs::SEVERAL, &name_of(several), format!("there are {count} records"));
    }
    if dmarc.apex.values.iter().any(|text| is_dmarc(text)) {
        let summary =
            format!("a record stands at the domain itself; receivers look at {} alone", name_of(domain));
        report.find(&docs::MISPLACED, domain, summary);
    }
    let Some(own) = dmarc.walk.first() else { return };
    let spaced = |text: &&String| !is_dmarc(text) && is_dmarc(text.trim_start());
    if own.values.iter().any(|text| spaced(&text)) {
        report.find(&docs::MISPLACED, &own.name, "a record begins with a space");
    }
    let strangers: Vec<&String> =
        own.values.iter().filter(|text| !is_dmarc(text) && !is_dmarc(text.trim_start())).collect();
    if let Some(first) = strangers.first() {
        report.find(
            &docs::STRANGERS,
            &own.name,
            format!("{:?} is no record of DMARC", crate::judge::clip(first)),
        );
    }
}

fn form(name: &str, record: &Record, report: &mut Report) {
    if !record.faults.is_empty() {
        let faults: Vec<String> = record.faults.iter().map(ToString::to_string).collect();
        let effect = match record.applied() {
            None => "; receivers apply no policy",
            Some(_) => "",
        };
        report.find(&docs::INVALID, name, format!("{}{effect}", faults.join("; ")));
    } else if record.applied().is_none() {
        report.find(&docs::INVALID, name, "there is neither p nor rua; receivers apply no policy");
    }
    let (mut removed, mut unknown) = (Vec::new(), Vec::new());
    for remark in &record.remarks {
        match remark {
            Remark::Removed(tag) => removed.push(tag.clone()),
            Remark::Size(tag) => removed.push(format!("the limit of size in {tag}")),
            Remark::Unknown(tag) => unknown.push(tag.clone()),
            Remark::PolicyMissing if record.applied().is_some() => {
                report.find(&docs::ORDER, name, "p is missing, so the policy is none");
            }
            Remark::PolicyNotSecond => report.find(&docs::ORDER, name, "p does not follow v=DMARC1"),
            Remark::Scheme(tag) => {
                report.find(
                    &docs::UNUSABLE_ADDRESS,
                    name,
                    format!("{tag} has an address that is no mailto:"),
                );
            }
            Remark::Mailbox(tag) => {
                report.find(&docs::UNUSABLE_ADDRESS, name, format!("{tag} has a mailto: without a mailbox"));
            }
            Remark::PolicyMissing | Remark::FailureOptions => {}
        }
    }
    if !removed.is_empty() {
        report.find(&docs::REMOVED, name, removed.join(", "));
    }
    if !unknown.is_empty() {
        report.find(&docs::UNKNOWN, name, unknown.join(", "));
    }
}

fn policy(domain: &str, at: &str, record: &Record, walked: &Walked, report: &mut Report) {
    let Some(policies) = record.applied() else { return };
    let name = name_of(at);
    let own = if at == domain { policies.domain } else { policies.subdomain };
    if own == Policy::None {
        let tag = if at == domain { "p" } else { "sp" };
        report.find(&docs::NOT_ENFORCED, &name, format!("the policy for {domain} ({tag}) is none"));
    } else {
        let below = policies.subdomain.min(policies.nonexistent);
        if at == domain && below < own {
            let summary = format!(
                "p is {}, for names below it sp is {} and np {}",
                own.as_str(),
                policies.subdomain.as_str(),
                policies.nonexistent.as_str()
            );
            report.find(&docs::WEAKER_BELOW, &name, summary);
        }
        if record.testing {
            let applied = walked.applied(domain, true).map_or("none", Policy::as_str);
            report.find(&docs::TESTING, &name, format!("{} is applied as {applied} (t=y)", own.as_str()));
        }
    }
}

fn reports(record: &Record, dmarc: &Dmarc, report: &mut Report) {
    if !record.asks_for_reports {
        let name = dmarc.walk.first().map(|looked| looked.name.clone()).unwrap_or_default();
        report.find(&docs::NO_REPORTS, &name, "rua is missing");
    }
    for destination in &dmarc.destinations {
        destination_of(destination, report);
    }
}

fn destination_of(destination: &Destination, report: &mut Report) {
    let Destination { domain, tag, authorization, receives } = destination;
    if let Some(looked) = authorization {
        report.blind("dmarc.report", looked);
        let refuses = looked.known().is_some_and(|texts| !authorizes(texts.iter().map(String::as_str)));
        if refuses {
            let summary = format!("{tag} sends reports to {domain}, and {} does not exist", looked.name);
            let finding = Finding::of(&docs::UNAUTHORIZED, domain.clone(), summary);
            report.findings.push(finding.with("publish", format!("{}. TXT \"v=DMARC1\"", looked.name)));
        }
    }
    for looked in receives {
        report.blind("dmarc.report", looked);
    }
    let known = receives.iter().all(|looked| looked.unmeasured.is_none());
    let values = |looked: &Looked| looked.values.clone();
    let all: Vec<String> = receives.iter().flat_map(values).collect();
    let null = all.iter().all(|value| value.ends_with(" ."));
    if known && null {
        let summary = format!("{tag} sends reports to {domain}, which receives no mail");
        report.find(&docs::UNUSABLE_ADDRESS, domain, summary);
    }
}

/// Whether each declared sender authenticates something near enough.
fn alignment(case: &Case<'_>, dmarc: &Dmarc, record: &Record, report: &mut Report) {
    let organizational = |domain: &str| walked(dmarc, domain).organizational;
    for sender in &case.spec.senders {
        let from = sender.from.as_ref().map_or_else(|| case.facts.domain.clone(), |from| from.text());
        let by_spf = aligned(&from, &sender.mail_from.domain(), record.spf, &organizational);
        let by_dkim =
            sender.dkim.as_ref().map(|signer| aligned(&from, &signer.text(), record.dkim, &organizational));
        if by_spf || by_dkim == Some(true) {
            continue;
        }
        if dmarc.others.iter().any(|looked| looked.unmeasured.is_some()) {
            report.blind.push("dmarc.alignment");
            continue;
        }
        let signs = match &sender.dkim {
            Some(signer) => format!("signs for {}", signer.text()),
            None => "is not known to sign (dkim)".to_owned(),
        };
        let summary = format!("sends as {} for {from} and {signs}", sender.mail_from.domain());
        report.find(&docs::ALIGNMENT, &sender.shown(), summary);
    }
}
