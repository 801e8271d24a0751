//! MTA-STS.

use jiff::SignedDuration;

use super::exchanges::{is_open, words};
use super::{Case, Report};
use crate::formats::mta_sts::{Record, is_mta_sts, matches};
use crate::model::{Finding, FindingDoc, Severity};
use crate::probe::mail::docs::transport as docs;
use crate::probe::mail::facts::{Answered, Came, Exchange, Fetched, MtaSts, Mx, Says, StsPolicy};
use crate::probe::mail::memory::PolicySeen;

const FAMILY: &str = "mta_sts.";
/// For so long a policy may be tried out.
const TRIED: SignedDuration = SignedDuration::from_hours(24 * 90);
/// A policy should be kept for a week at least, in seconds.
const WEEK: u64 = 604_800;

/// The policy that senders apply, where there is one: record and policy can be used.
pub(super) fn applied(mta_sts: &MtaSts) -> Option<(Record, &StsPolicy, &Answered)> {
    let record = record(mta_sts)?.ok()?;
    match &mta_sts.policy {
        Some(Fetched::Answer(answer)) => match &answer.says {
            Says::Policy(policy) if is_plain(answer) => Some((record, policy, answer)),
            _ => None,
        },
        _ => None,
    }
}

/// The one record, or why it cannot be used; none if there is none.
fn record(mta_sts: &MtaSts) -> Option<Result<Record, String>> {
    let own: Vec<&String> = mta_sts.record.values.iter().filter(|text| is_mta_sts(text)).collect();
    match own.as_slice() {
        [] => None,
        [one] => Some(Record::parse(one).map_err(|fault| fault.to_string())),
        several => Some(Err(format!("there are {} records", several.len()))),
    }
}

fn is_plain(answer: &Answered) -> bool {
    let kind = answer.content_type.as_deref().unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("text/plain")
}

pub(super) fn look(case: &Case<'_>, report: &mut Report) {
    let Some(mta_sts) = &case.facts.mta_sts else { return };
    let domain = case.facts.domain.as_str();
    if mta_sts.record.unmeasured.is_some() {
        report.blind(FAMILY, &mta_sts.record);
        return;
    }
    match record(mta_sts) {
        Some(Err(why)) => {
            let finding = Finding::of(&docs::STS_RECORD, mta_sts.record.name.clone(), why);
            let id = case.now.strftime("%Y%m%dT%H%M%S");
            let publish = format!("{}. TXT \"v=STSv1; id={id}\"", mta_sts.record.name);
            report.findings.push(finding.with("publish", publish));
        }
        Some(Ok(_)) => policy(&format!("mta-sts.{domain}"), mta_sts, report),
        None => {
            let there = matches!(&mta_sts.policy, Some(Fetched::Answer(answer)) if matches!(answer.says, Says::Policy(_)));
            if there {
                let id = case.now.strftime("%Y%m%dT%H%M%S");
                let finding =
                    Finding::of(&docs::STS_NO_RECORD, domain, "there is a policy, and no record at _mta-sts");
                let publish = format!("{}. TXT \"v=STSv1; id={id}\"", mta_sts.record.name);
                report.findings.push(finding.with("publish", publish));
            }
            report.memory.policy = None;
        }
    }
    if let Some((record, policy, answer)) = applied(mta_sts) {
        over_time(case, &record, policy, answer, report);
        mode(domain, policy, report);
        if let Some(mx) = &case.facts.mx {
            exchanges(policy, mx, report);
        }
    }
}

/// Whether the policy can be fetched and read.
fn policy(host: &str, mta_sts: &MtaSts, report: &mut Report) {
    let answer = match &mta_sts.policy {
        None => return,
        Some(Fetched::Unmeasured(skipped)) => return report.unanswered(FAMILY, host, skipped),
        Some(Fetched::Failed(failure)) => return report.find(&docs::STS_UNREACHABLE, host, words(failure)),
        Some(Fetched::Answer(answer)) => answer,
    };
    match (answer.status, &answer.location) {
        (200, _) => {}
        (300..=399, Some(to)) => {
            let summary = format!("it redirects to {to}, which senders do not follow");
            return report.find(&docs::STS_UNREACHABLE, host, summary);
        }
        (status, _) => return report.find(&docs::STS_UNREACHABLE, host, format!("the status is {status}")),
    }
    if !is_plain(answer) {
        let kind = answer.content_type.as_deref().unwrap_or("not given");
        report.find(&docs::STS_POLICY, host, format!("its type is {kind}, and has to be text/plain"));
        return;
    }
    match &answer.says {
        Says::Policy(policy) if !policy.again.is_empty() => {
            report.find(&docs::STS_AGAIN, host, policy.again.join(", "));
        }
        Says::Unreadable(why) => report.find(&docs::STS_POLICY, host, why.clone()),
        _ => {}
    }
}

/// What changed without the other.
fn over_time(case: &Case<'_>, record: &Record, policy: &StsPolicy, answer: &Answered, report: &mut Report) {
    let name = format!("_mta-sts.{}", case.facts.domain);
    let before = report.memory.policy.take();
    let since =
        before.as_ref().filter(|before| before.mode == policy.mode).map_or(case.now, |before| before.since);
    let mut sha256 = answer.sha256.clone();
    if let Some(before) = before {
        match (before.id == record.id, before.sha256 == sha256) {
            (true, false) => {
                report.find(&docs::STS_SAME_ID, &name, format!("another policy has the id {}", record.id));
                // It stands until there is another id.
                sha256 = before.sha256;
            }
            (false, true) => {
                let summary =
                    format!("the id was {} and is {}; the policy is the same", before.id, record.id);
                report.find(&docs::STS_NEW_ID, &name, summary);
            }
            _ => {}
        }
    }
    let tried = policy.mode == "testing" && case.now.duration_since(since) > TRIED;
    if tried || policy.mode == "none" {
        let summary = format!("its mode has been {} since {since:.0}", policy.mode);
        report.find(&docs::STS_TESTING, &format!("mta-sts.{}", case.facts.domain), summary);
    }
    report.memory.policy =
        Some(PolicySeen { id: record.id.clone(), sha256, mode: policy.mode.clone(), since });
}

fn mode(domain: &str, policy: &StsPolicy, report: &mut Report) {
    if policy.mode != "none" && policy.max_age < WEEK {
        let summary = format!("max_age is {} seconds", policy.max_age);
        report.find(&docs::STS_MAX_AGE, &format!("mta-sts.{domain}"), summary);
    }
}

/// Whether senders that keep to the policy still deliver.
fn exchanges(policy: &StsPolicy, mx: &Mx, report: &mut Report) {
    if policy.mode == "none" {
        return;
    }
    let open = is_open(mx);
    // Why mail is not delivered to a host; `None` where it is, or where that is not known.
    let refused = |host: &Exchange| -> Option<(&'static FindingDoc, String)> {
        if !matches(&host.name, &policy.mx) {
            return Some((&docs::STS_MX, format!("the policy has {}", policy.mx.join(", "))));
        }
        let bad = host.reached.iter().find_map(|reached| match &reached.came {
            Came::Shown(shown) => shown.invalid.as_ref().map(|why| format!("its certificate is {why}")),
            Came::Failed(failure) if open => Some(words(failure)),
            _ => None,
        });
        bad.map(|why| (&docs::STS_CERTIFICATE, why))
    };
    let all: Vec<_> = mx.hosts.iter().map(refused).collect();
    let every = !all.is_empty() && all.iter().all(Option::is_some);
    for (host, refused) in mx.hosts.iter().zip(all) {
        let Some((doc, why)) = refused else { continue };
        let mut finding = Finding::of(doc, host.name.clone(), format!("{why} (mode {})", policy.mode));
        if policy.mode == "enforce" {
            finding.severity = Severity::Critical;
            finding.broken = every;
        }
        report.findings.push(finding);
    }
}
