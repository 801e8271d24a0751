//! Thinks: facts in, findings out.

use super::docs;
use super::facts::Facts;
use super::spec::Spec;
use crate::model::{Finding, FindingDoc};
use crate::probe::web::facts::{FailureKind, Held, Match, Part};
use crate::probe::web::words;

/// What is thought of one look. Each judges one thing.
const JUDGES: [fn(&Spec, &Facts) -> Vec<Finding>; 5] = [auth, transport, redirect, status, expectations];

/// All findings of a run.
pub fn findings(spec: &Spec, facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for look in facts.looks() {
        if look.unmeasured.is_none() {
            findings.extend(JUDGES.iter().flat_map(|judge| judge(spec, look)));
            findings.extend(truncated(spec, look));
        }
    }
    findings.extend(skipped(facts));
    findings.extend(left_out(facts));
    findings
}

fn auth(_: &Spec, look: &Facts) -> Vec<Finding> {
    let finding =
        |why: &String| Finding::of(&docs::AUTH, look.subject.as_str(), format!("no access token: {why}"));
    look.auth.iter().map(finding).collect()
}

fn transport(_: &Spec, look: &Facts) -> Vec<Finding> {
    let Some(failure) = &look.failure else {
        return Vec::new();
    };
    let doc: &'static FindingDoc = match failure.kind {
        FailureKind::Unresolvable => &docs::UNRESOLVABLE,
        FailureKind::Refused => &docs::REFUSED,
        FailureKind::Reset => &docs::RESET,
        FailureKind::Closed => &docs::CLOSED,
        FailureKind::Timeout => &docs::TIMEOUT,
        FailureKind::Unreachable => &docs::UNREACHABLE,
        FailureKind::Tls => &docs::TLS,
        FailureKind::Certificate => &docs::CERTIFICATE,
        FailureKind::Protocol | FailureKind::NoStarttls => &docs::PROTOCOL,
    };
    let summary = words::failure(failure, look.status);
    let mut finding = Finding::of(doc, look.subject.as_str(), summary).with("phase", failure.phase.as_str());
    if let Some(address) = failure.address {
        finding = finding.with("address", address.to_string());
    }
    if !failure.detail.is_empty() {
        finding = finding.with("detail", failure.detail.as_str());
    }
    vec![on_the_way(finding, look)]
}

/// Adds where the look ended, and the redirects to there.
fn on_the_way(mut finding: Finding, look: &Facts) -> Finding {
    if !look.final_url.is_empty() {
        finding = finding.with("url", look.final_url.as_str());
    }
    if !look.redirects.is_empty() {
        let hops: Vec<String> =
            look.redirects.iter().map(|hop| format!("{} {}", hop.status, hop.to)).collect();
        finding = finding.with("redirects", hops);
    }
    finding
}

fn redirect(_: &Spec, look: &Facts) -> Vec<Finding> {
    let Some(problem) = &look.redirect else {
        return Vec::new();
    };
    let summary = words::redirect(problem, look.status);
    let finding = Finding::of(&docs::REDIRECT, look.subject.as_str(), summary);
    vec![on_the_way(finding, look)]
}

fn status(spec: &Spec, look: &Facts) -> Vec<Finding> {
    let expected = &spec.expect.status;
    match look.status {
        Some(status) if look.redirect.is_none() && !expected.contains(status) => {
            let summary = format!("answered {status}, expected {expected}");
            let finding = Finding::of(&docs::STATUS, look.subject.as_str(), summary)
                .with("status", status)
                .with("expected", expected.to_string());
            vec![on_the_way(finding, look)]
        }
        _ => Vec::new(),
    }
}

/// Expectations on content are judged where the status is right and the answer is whole as far as
/// it was asked for: an error page is one finding, not one for every expectation.
fn expectations(spec: &Spec, look: &Facts) -> Vec<Finding> {
    if !look.status.is_some_and(|status| spec.expect.status.contains(status)) {
        return Vec::new();
    }
    let unmet = |found: &&Match| match found.held {
        Held::Yes => false,
        Held::No => true,
        Held::Undecided => look.failure.is_none(),
    };
    look.matches.iter().filter(unmet).map(|found| expectation(look, found)).collect()
}

fn expectation(look: &Facts, found: &Match) -> Finding {
    let subject =
        |key: &str| if key.is_empty() { look.subject.clone() } else { format!("{} {key}", look.subject) };
    let doc: &'static FindingDoc = match found.part {
        Part::Header => &docs::HEADER,
        Part::FinalUrl => &docs::FINAL_URL,
        Part::Body => &docs::BODY,
        Part::Json => &docs::JSON,
    };
    let summary = words::unmet(found, look.size.unwrap_or_default(), &look.final_url);
    let rule = found.rule.as_deref().unwrap_or("holds");
    let mut finding = Finding::of(doc, subject(&found.key), summary).with("expected", rule);
    if let Some(value) = &found.value {
        finding = finding.with("seen", value.as_str());
    }
    if found.part == Part::Body
        && let Some(sha256) = &look.sha256
    {
        finding = finding.with("sha256", sha256.as_str());
    }
    on_the_way(finding, look)
}

fn truncated(spec: &Spec, look: &Facts) -> Option<Finding> {
    let judged = look.truncated && spec.expect.wants_body();
    judged.then(|| {
        let size = look.size.unwrap_or_default();
        let summary = format!("the body is longer than max_body; {size} bytes were read");
        Finding::of(&docs::TRUNCATED, look.subject.as_str(), summary).with("size", size)
    })
}

fn skipped(facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for row in &facts.rows {
        let Some(skipped) = &row.unmeasured else {
            continue;
        };
        let mut finding = if skipped.no_route {
            let family = if row.subject.contains(':') { "IPv6" } else { "IPv4" };
            let summary = format!("this host has no route for {family}; its addresses were not looked at");
            Finding::of(&docs::FAMILY_SKIPPED, family, summary)
        } else {
            let summary = format!("not looked at: {}", skipped.why);
            Finding::of(&docs::ADDRESS_SKIPPED, row.subject.as_str(), summary)
        };
        finding.measured = false;
        if !findings.iter().any(|known| known.key() == finding.key()) {
            findings.push(finding);
        }
    }
    findings
}

fn left_out(facts: &Facts) -> Option<Finding> {
    let names: Vec<String> = facts.left_out.iter().take(32).map(ToString::to_string).collect();
    (!names.is_empty()).then(|| {
        let summary = format!(
            "{} addresses were looked at, {} more were left out: {}",
            facts.rows.len(),
            facts.left_out.len(),
            names.join(", ")
        );
        Finding::of(&docs::ADDRESSES_LEFT_OUT, facts.subject.as_str(), summary).with("left_out", names)
    })
}
