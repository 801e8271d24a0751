//! The mail exchanges.

use std::net::IpAddr;

use super::{Case, Report};
use crate::model::{Finding, Phase, Severity};
use crate::probe::mail::docs::transport as docs;
use crate::probe::mail::facts::{Came, Exchange, Mx, Reached};
use crate::probe::web::facts::{Failure, FailureKind};

const FAMILY: &str = "mx.";

pub(super) fn look(case: &Case<'_>, report: &mut Report) {
    let Some(mx) = &case.facts.mx else { return };
    let domain = case.facts.domain.as_str();
    if mx.records.unmeasured.is_some() {
        report.blind(FAMILY, &mx.records);
        return;
    }
    let values = &mx.records.values;
    let null = values.iter().filter(|value| value.ends_with(" .")).count();
    match values.as_slice() {
        [] => {
            let finding = Finding::of(&docs::MX_MISSING, domain, "there is no MX record");
            report.findings.push(finding.with("publish", format!("{domain}. MX 10 mail.{domain}.")));
        }
        [one] if null == 1 && one != "0 ." => {
            report.find(&docs::MX_NULL, domain, format!("the null MX is {one:?}, and not \"0 .\""));
        }
        several if null > 0 && several.len() > 1 => {
            report.find(&docs::MX_NULL, domain, format!("the records are {}", several.join(", ")));
        }
        _ => {}
    }
    for host in &mx.hosts {
        target(host, report);
    }
    reach(mx, report);
}

/// Whether a host is one.
fn target(host: &Exchange, report: &mut Report) {
    for looked in &host.addresses {
        report.blind("mx.target", looked);
    }
    if host.name.parse::<IpAddr>().is_ok() {
        report.find(&docs::MX_TARGET, &host.name, "an address stands where a name has to");
        return;
    }
    if let Some(alias) = host.addresses.iter().find_map(|looked| looked.aliases.first()) {
        report.find(&docs::MX_TARGET, &host.name, format!("it is an alias of {alias}"));
    }
    let none = host.addresses.iter().all(|looked| looked.known().is_some_and(<[String]>::is_empty));
    if none {
        report.find(&docs::MX_TARGET, &host.name, "it has no address");
    }
}

/// Nothing came back at all: the server may be down, or the network lets nothing out.
fn is_silence(failure: &Failure) -> bool {
    let silent = matches!(failure.kind, FailureKind::Timeout | FailureKind::Unreachable);
    silent && failure.phase == Phase::Connect
}

/// Whether an address spoke, or at least refused to: then what others keep to themselves is theirs.
fn answered(reached: &Reached) -> bool {
    match &reached.came {
        Came::Shown(_) => true,
        Came::Failed(failure) => !is_silence(failure),
        Came::Unmeasured(_) => false,
    }
}

/// Whether silence of a mail exchange says something of it: another one answered.
pub(super) fn is_open(mx: &Mx) -> bool {
    mx.hosts.iter().flat_map(|host| &host.reached).any(answered)
}

fn reach(mx: &Mx, report: &mut Report) {
    let all: Vec<&Reached> = mx.hosts.iter().flat_map(|host| &host.reached).collect();
    if all.is_empty() {
        return;
    }
    if !is_open(mx) {
        let port = all.first().map_or(25, |reached| reached.address.port());
        let why = all.iter().find_map(|reached| match &reached.came {
            Came::Failed(failure) => {
                Some(format!("no mail exchange answers at port {port} ({})", words(failure)))
            }
            Came::Unmeasured(skipped) if !skipped.no_route => Some(skipped.why.clone()),
            _ => None,
        });
        let why = why.unwrap_or_else(|| "this host has no route to any of them".to_owned());
        for family in ["mx.", "dane.", "mta_sts.mx"] {
            report.blind.push(family);
        }
        let finding = Finding::of(&docs::MX_BLOCKED, mx.records.name.clone(), why);
        report.findings.push(Finding { measured: false, ..finding });
        return;
    }
    let down = |host: &&Exchange| {
        let tried = host.reached.iter().filter(|reached| !matches!(reached.came, Came::Unmeasured(_)));
        let mut tried = tried.peekable();
        tried.peek().is_some() && tried.all(|reached| is_down(&reached.came))
    };
    let alone = mx.hosts.iter().filter(|host| !host.reached.is_empty()).all(|host| down(&host));
    for host in &mx.hosts {
        for reached in &host.reached {
            of_address(host, reached, alone, report);
        }
    }
}

/// Whether no mail gets in there.
fn is_down(came: &Came) -> bool {
    matches!(came, Came::Failed(failure) if failure.phase == Phase::Connect || failure.kind == FailureKind::Protocol)
}

fn of_address(host: &Exchange, reached: &Reached, alone: bool, report: &mut Report) {
    let subject = format!("{} at {}", host.name, reached.address.ip());
    match &reached.came {
        Came::Unmeasured(skipped) if skipped.no_route => {}
        Came::Unmeasured(skipped) => {
            for family in ["mx.", "dane.", "mta_sts.mx"] {
                report.unanswered(family, &subject, skipped);
            }
        }
        came @ Came::Failed(failure) if is_down(came) => {
            let mut finding = Finding::of(&docs::MX_UNREACHABLE, subject, words(failure));
            if alone {
                finding.severity = Severity::Critical;
                finding.broken = true;
            }
            report.findings.push(finding);
        }
        Came::Failed(failure) => report.find(&docs::MX_STARTTLS, &subject, words(failure)),
        Came::Shown(shown) => {
            if let Some(why) = &shown.invalid {
                report.find(&docs::MX_CERTIFICATE, &subject, format!("its certificate is {why}"));
            }
        }
    }
}

/// A failure in words.
pub fn words(failure: &Failure) -> String {
    let what = match failure.kind {
        FailureKind::Unresolvable => "its name does not resolve",
        FailureKind::Refused => "the connection is refused",
        FailureKind::Reset => "the connection is reset",
        FailureKind::Closed => "the connection is closed early",
        FailureKind::Timeout => "the time ran out",
        FailureKind::Unreachable => "it cannot be reached",
        FailureKind::Tls => "TLS ends with an alert",
        FailureKind::Certificate => "the certificate does not verify",
        FailureKind::Protocol => "what answers does not keep to the protocol",
        FailureKind::NoStarttls => "there is no STARTTLS",
    };
    if failure.detail.is_empty() { what.to_owned() } else { format!("{what}: {}", failure.detail) }
}
