//! A chain as a tree, what is thought of it, and what to do, in text.

use std::fmt::Write as _;

use owo_colors::{OwoColorize as _, Stream};

use super::super::{explain, print};
use crate::formats::x509::Certificate;
use crate::model::{Finding, Outcome, Verdict};
use crate::probe::certificate::judge::{Link, Trust};

/// The first line: the verdict, and the instant it is for.
pub fn verdict(text: &mut String, outcome: &Outcome, about: &str) {
    let word = outcome.verdict.as_str();
    let word = word.if_supports_color(Stream::Stdout, |word| word.style(print::style(outcome.verdict)));
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{word}  {about}as of {:.0}", outcome.at);
}

/// Words in the colour of what is well or of what is broken.
pub fn coloured(words: &str, well: bool) -> String {
    let style = print::style(if well { Verdict::Pass } else { Verdict::Fail });
    words.if_supports_color(Stream::Stdout, |words| words.style(style)).to_string()
}

/// Trust, in words.
pub fn trust(trust: Trust) -> String {
    let words = match trust {
        Trust::Trusted => "trusted",
        Trust::SelfSigned => "signed by itself, not trusted",
        Trust::UnknownIssuer => "no trusted root",
        Trust::Incomplete => "incomplete: an intermediate certificate is missing",
        Trust::Untrusted => "ends at a trusted root, but breaks a rule",
        Trust::BadSignature => "a signature does not hold",
        Trust::TooComplex => "too many possible paths",
        Trust::Unreadable => "no certificate",
    };
    coloured(words, trust == Trust::Trusted)
}

/// Whether it is for the name, in words.
pub fn name(matches: Option<bool>, name: Option<&str>) -> String {
    match (matches, name) {
        (Some(true), Some(name)) => coloured(&format!("is for {name}"), true),
        (Some(false), Some(name)) => coloured(&format!("is not for {name}"), false),
        _ => "not judged".to_owned(),
    }
}

/// Whether clients accept it, in words.
pub fn accepts(accepts: bool) -> String {
    coloured(if accepts { "accept it" } else { "refuse it" }, accepts)
}

/// One certificate of the tree; `remark` stands behind its name.
pub fn link(text: &mut String, link: &Link, remark: &str) {
    let certificate = &link.certificate;
    let indent = "   ".repeat(link.position.saturating_sub(1));
    let branch = if link.position == 0 { "" } else { "└─ " };
    let deeper = if link.position == 0 { "" } else { "   " };
    let _ = writeln!(text, "    {indent}{branch}{}: {}{remark}", link.role, certificate.subject);
    if link.position == 0 && !certificate.sans().is_empty() {
        let _ = writeln!(text, "    {indent}{deeper}  for {}", names(certificate));
    }
    let signature = &certificate.signature.name;
    let _ = writeln!(text, "    {indent}{deeper}  key {}, signed by {signature}", certificate.key.words());
    let left = match (link.days_left, link.share_left) {
        (Some(days), Some(share)) if days >= 0 => format!("{days} days, {:.0} % left", share * 100.0),
        (Some(days), _) => coloured(&format!("{} days past its end", -days), false),
        (None, _) => "its end is no time".to_owned(),
    };
    let _ = writeln!(
        text,
        "    {indent}{deeper}  {} to {}: {left}",
        certificate.not_before, certificate.not_after
    );
}

fn names(certificate: &Certificate) -> String {
    const LISTED: usize = 8;
    let all = certificate.sans();
    let mut names: Vec<String> = all.iter().take(LISTED).map(ToString::to_string).collect();
    if all.len() > LISTED {
        names.push(format!("{} more", all.len() - LISTED));
    }
    names.join(", ")
}

/// Each finding, and what to do about it.
pub fn findings(text: &mut String, findings: &[Finding]) {
    for finding in findings {
        let _ = writeln!(text, "\n{}", print::one_line(&print::finding_line(finding)));
        if let Some(doc) = explain::catalogue().find(|doc| doc.id == finding.id.as_str()) {
            let _ = writeln!(text, "    {}", doc.fix);
        }
        if let Some(record) = finding.evidence.get("publish").and_then(serde_json::Value::as_str) {
            let _ = writeln!(text, "    publish: {}", print::one_line(record));
        }
    }
}
