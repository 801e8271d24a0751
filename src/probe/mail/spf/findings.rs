//! What is found about a record, and about one sender.

use super::{Checked, Node, Step, Verdict};
use crate::formats::spf::{Mechanism, Qualifier, Record};
use crate::model::finding::{doc, remark};
use crate::model::{Finding, FindingDoc, Severity};
use Severity::{Critical, Error, Notice, Warning};

const MISSING: FindingDoc = remark(
    "spf.missing",
    Warning,
    [
        "The domain has no SPF record.",
        "Receivers cannot tell its mail from forged mail; large ones refuse or file it as spam.",
        "Publish a TXT record at the domain: \"v=spf1 mx -all\" with the hosts and services that send for it, or \"v=spf1 -all\" if none does.",
    ],
    "RFC 7208 section 3",
);
const INVALID: FindingDoc = remark(
    "spf.invalid",
    Critical,
    [
        "Receivers cannot use the domain's SPF record: there are several, one cannot be read, or it leads to one that cannot be used.",
        "It protects from nothing, and DMARC cannot pass by SPF.",
        "Correct what the summary names; there must be exactly one record that begins with v=spf1.",
    ],
    "RFC 7208 section 4",
);
const TOO_MANY: FindingDoc = remark(
    "spf.too_many_lookups",
    Critical,
    [
        "The record and what it includes need more than ten lookups, or nearly as many (nine or ten are a warning).",
        "Beyond ten, receivers give up and take the record for invalid.",
        "Drop includes that are no longer needed, or give their networks as ip4 and ip6.",
    ],
    "RFC 7208 section 4.6.4",
);
const VOIDS: FindingDoc = remark(
    "spf.void_lookups",
    Error,
    [
        "More than two lookups of the record find nothing, for senders of one address family.",
        "Receivers give up and take the record for invalid.",
        "Remove the terms whose names do not exist or have no address of that family.",
    ],
    "RFC 7208 section 4.6.4",
);
const PERMISSIVE: FindingDoc = remark(
    "spf.permissive",
    Critical,
    [
        "The record says nothing against hosts it does not name (or, with +all, allows all of them).",
        "Everybody may send in the domain's name.",
        "End the record with -all or ~all.",
    ],
    "RFC 7208 section 5.1",
);
const PTR: FindingDoc = remark(
    "spf.ptr",
    Warning,
    [
        "The record uses the mechanism ptr.",
        "It is slow and unreliable; some receivers skip it.",
        "Name the hosts by a, mx, ip4 or ip6.",
    ],
    "RFC 7208 section 5.5",
);
const AFTER_ALL: FindingDoc = remark(
    "spf.after_all",
    Notice,
    [
        "Terms or a redirect stand beside `all`, where nobody looks at them.",
        "Whoever wrote them meant something else to happen.",
        "Put `all` last, and drop the redirect.",
    ],
    "RFC 7208 section 5.1",
);
const REFUSED: FindingDoc = doc(
    "spf.sender_refused",
    Critical,
    true,
    [
        "The host that was asked for may not send for the domain.",
        "Receivers refuse its mail or file it as spam.",
        "If it is to send, add it or the service it belongs to to the record.",
    ],
    "RFC 7208 section 2.6",
);
const UNSURE: FindingDoc = remark(
    "spf.sender_unsure",
    Warning,
    [
        "The record does not say that the host may send (softfail or neutral).",
        "Its mail counts as unauthenticated.",
        "If it is to send, add it or the service it belongs to to the record.",
    ],
    "RFC 7208 section 2.6",
);

/// All of them.
pub const FINDINGS: &[FindingDoc] =
    &[MISSING, INVALID, TOO_MANY, VOIDS, PERMISSIVE, PTR, AFTER_ALL, REFUSED, UNSURE];

/// What is found about a record, looked at as for a sender of IPv4 and for one of IPv6 that nothing but
/// `all` matches.
pub fn of_record(domain: &str, v4: &Checked, v6: &Checked) -> Vec<Finding> {
    let of = |doc: &'static FindingDoc, summary: String| Finding::of(doc, domain, summary);
    if let Some(failed) = [v4, v6].into_iter().find(|checked| checked.verdict == Verdict::TempError) {
        return vec![Finding { measured: false, ..of(&INVALID, failed.why.clone()) }];
    }
    if v4.verdict == Verdict::None {
        return vec![of(&MISSING, v4.why.clone())];
    }
    let mut findings = Vec::new();
    findings.extend(lookups(domain, v4.lookups.max(v6.lookups)));
    findings.extend(voids(domain, &[("IPv4", v4), ("IPv6", v6)]));
    let told = !findings.is_empty();
    let invalid = [v4, v6].into_iter().find(|checked| checked.verdict == Verdict::PermError);
    findings.extend(invalid.filter(|_| !told).map(|checked| of(&INVALID, checked.why.clone())));
    if let Some(record) = v4.trace.record.as_ref().and_then(|text| Record::parse(text.as_bytes()).ok()) {
        findings.extend(ends(domain, &record, v4));
        findings.extend(form(domain, &record));
    }
    findings
}

fn lookups(domain: &str, count: usize) -> Option<Finding> {
    let (severity, words) = match count {
        0..=8 => return None,
        9 | 10 => (Severity::Warning, format!("needs {count} of 10 lookups")),
        _ => (Severity::Critical, "needs more than 10 lookups".to_owned()),
    };
    let mut finding = Finding::of(&TOO_MANY, domain, words);
    finding.severity = severity;
    Some(finding)
}

fn voids(domain: &str, families: &[(&str, &Checked)]) -> Option<Finding> {
    let over: Vec<&str> =
        families.iter().filter(|(_, checked)| checked.voids > 2).map(|(family, _)| *family).collect();
    let summary = format!("more than 2 lookups find nothing for senders of {}", over.join(" and "));
    (!over.is_empty()).then(|| Finding::of(&VOIDS, domain, summary))
}

/// What it says of those it does not name.
fn ends(domain: &str, record: &Record, seen: &Checked) -> Option<Finding> {
    let all = record.directives.iter().find(|one| one.mechanism == Mechanism::All);
    let (severity, summary) = match (all.map(|all| all.qualifier), seen.verdict) {
        (Some(Qualifier::Pass), _) => (Severity::Critical, "+all allows everybody to send".to_owned()),
        // Nobody named that address: an include or a network lets everybody in.
        (_, Verdict::Pass) => (Severity::Critical, format!("it allows everybody to send: {}", seen.why)),
        (Some(Qualifier::Neutral), _) => (Severity::Warning, "?all says nothing of other hosts".to_owned()),
        (None, Verdict::Neutral) if record.redirect.is_none() => {
            (Severity::Warning, "it has neither `all` nor a redirect".to_owned())
        }
        _ => return None,
    };
    let mut finding = Finding::of(&PERMISSIVE, domain, summary);
    finding.severity = severity;
    Some(finding)
}

fn form(domain: &str, record: &Record) -> Vec<Finding> {
    let mut findings = Vec::new();
    let ptr = record.directives.iter().find(|one| matches!(one.mechanism, Mechanism::Ptr(_)));
    findings.extend(ptr.map(|ptr| Finding::of(&PTR, domain, format!("{} at byte {}", ptr.text, ptr.at))));
    let at = record.directives.iter().position(|one| one.mechanism == Mechanism::All);
    let after: Vec<&str> = match at {
        Some(at) => record.directives.iter().skip(at + 1).map(|one| one.text.as_str()).collect(),
        None => Vec::new(),
    };
    let redirect = record.redirect.as_ref().filter(|_| at.is_some()).map(|_| "the redirect");
    let idle: Vec<&str> = after.into_iter().chain(redirect).collect();
    if !idle.is_empty() {
        let summary = format!("nobody looks at {}, since `all` matches first", idle.join(" "));
        findings.push(Finding::of(&AFTER_ALL, domain, summary));
    }
    findings
}

/// What is found about one sender.
pub fn of_sender(domain: &str, who: &str, checked: &Checked) -> Vec<Finding> {
    let subject = format!("{domain} from {who}");
    let of = |doc: &'static FindingDoc| {
        let summary = format!("{}: {}", checked.verdict.as_str(), checked.why);
        Finding::of(doc, subject.clone(), summary)
    };
    match checked.verdict {
        Verdict::Pass => Vec::new(),
        Verdict::Fail => vec![of(&REFUSED)],
        Verdict::SoftFail | Verdict::Neutral => vec![of(&UNSURE)],
        Verdict::None => vec![of(&MISSING)],
        Verdict::PermError => vec![of(&INVALID)],
        Verdict::TempError => vec![Finding { measured: false, ..of(&REFUSED) }],
    }
}

/// The way as lines, deeper ones indented: each term, what it cost, and what it came to.
pub fn lines(node: &Node) -> Vec<String> {
    let record = node.record.as_deref().unwrap_or("no record");
    let mut lines = vec![format!("{}: {record}", node.domain)];
    for Step { term, matched, lookups, behind } in &node.steps {
        let cost = match lookups {
            0 => String::new(),
            1 => "  1 lookup".to_owned(),
            many => format!("  {many} lookups"),
        };
        let came = match behind {
            Some((_, verdict)) => format!("  {}", verdict.as_str()),
            None if *matched => "  matches".to_owned(),
            None => String::new(),
        };
        lines.push(format!("    {term}{cost}{came}"));
        let deeper = behind.iter().flat_map(|(node, _)| self::lines(node));
        lines.extend(deeper.map(|line| format!("        {line}")));
    }
    lines
}
