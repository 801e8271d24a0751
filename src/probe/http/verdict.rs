//! Thinks: facts in, findings out.

use super::docs;
use super::facts::{Facts, FailureKind, Held, Match, Part, RedirectProblem};
use super::spec::Spec;
use crate::model::{Finding, FindingDoc};

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
    let (doc, what): (&'static FindingDoc, &str) = match failure.kind {
        FailureKind::Unresolvable => (&docs::UNRESOLVABLE, "the name does not resolve"),
        FailureKind::Refused => (&docs::REFUSED, "connection refused"),
        FailureKind::Reset => (&docs::RESET, "connection reset"),
        FailureKind::Closed => (&docs::CLOSED, "connection closed early"),
        FailureKind::Timeout => (&docs::TIMEOUT, "timed out"),
        FailureKind::Unreachable => (&docs::UNREACHABLE, "unreachable"),
        FailureKind::Tls => (&docs::TLS, "TLS alert"),
        FailureKind::Certificate => (&docs::CERTIFICATE, "certificate does not verify"),
        FailureKind::Protocol => (&docs::PROTOCOL, "protocol error"),
    };
    let mut summary = format!("{what} in the {} phase", failure.phase);
    if let Some(address) = failure.address {
        summary.push_str(&format!(" at {address}"));
    }
    if let Some(status) = look.status {
        summary.push_str(&format!(" after status {status}"));
    }
    if !failure.detail.is_empty() {
        summary.push_str(&format!(": {}", failure.detail));
    }
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
    let what = match problem {
        RedirectProblem::NoLocation => "has no Location".to_owned(),
        RedirectProblem::BadLocation(why) => format!("has a Location that is no address ({why})"),
        RedirectProblem::Scheme(scheme) => format!("leads to the scheme {scheme}, expected http or https"),
        RedirectProblem::Loop(to) => format!("leads back to {to}"),
        RedirectProblem::TooMany(max) => format!("is one more than the {max} allowed"),
        RedirectProblem::Insecure(to) => format!("leads to {to}, expected https only"),
        RedirectProblem::OtherSite(to) => format!("leads to {to}, expected the same site"),
        RedirectProblem::SecretBody(to) => format!("would carry the body's secrets to another origin, {to}"),
        RedirectProblem::Guarded { to, address } => {
            format!("leads to {to} at {address}, which the address guard refuses")
        }
    };
    let status = look.status.map(|status| format!(" {status}")).unwrap_or_default();
    let finding = Finding::of(&docs::REDIRECT, look.subject.as_str(), format!("redirect{status} {what}"));
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
    let rule = found.rule.as_deref().unwrap_or("holds");
    let subject =
        |key: &str| if key.is_empty() { look.subject.clone() } else { format!("{} {key}", look.subject) };
    let size = look.size.unwrap_or_default();
    let seen = found.value.as_deref().map_or_else(|| "absent".to_owned(), |value| format!("{value:?}"));
    let (doc, summary): (&'static FindingDoc, String) = match (found.part, found.held) {
        (Part::Header, _) => (&docs::HEADER, format!("header {} is {seen}, expected {rule}", found.key)),
        (Part::FinalUrl, _) => (&docs::FINAL_URL, format!("ended at {}, expected {rule}", look.final_url)),
        (Part::Body, Held::Undecided) => {
            (&docs::BODY, format!("{rule} is undecided after the first {size} bytes of the body"))
        }
        (Part::Body, _) => (&docs::BODY, format!("body of {size} bytes does not hold: {rule}")),
        (Part::Json, Held::Undecided) => {
            (&docs::JSON, format!("{} is undecided: the body is longer than {size} bytes", found.key))
        }
        (Part::Json, _) if found.key.is_empty() => {
            (&docs::JSON, format!("body of {size} bytes, expected that it {rule}"))
        }
        (Part::Json, _) => {
            let seen = found.value.as_deref().unwrap_or("absent");
            (&docs::JSON, format!("{} is {seen}, expected {rule}", found.key))
        }
    };
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
