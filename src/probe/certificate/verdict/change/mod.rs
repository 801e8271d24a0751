//! Certificates over time: what took the place of what, and whether that is a renewal.

mod history;
pub mod pins;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;

use self::history::Lines;
pub use self::history::{History, Seen, after};
pub use self::pins::digest;
use super::{Case, Note, leaves};
use crate::model::{Finding, FindingDoc, Severity};
use crate::probe::certificate::docs::change as docs;
use crate::probe::certificate::judge::expiry;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
/// How long a change is told: long enough that a run after a restart tells it too.
const TOLD: i64 = DAY;
/// Renewals come with at most so much of a lifetime left; tools aim at a third.
const WINDOW: f64 = 0.5;
/// The same of certificates that live a few days, which some renew every other day.
const WINDOW_SHORT: f64 = 2.0 / 3.0;
const SHORT_LIVED: i64 = 10 * DAY;
/// By so much of a lifetime renewals vary from one to the next.
const SLACK: f64 = 0.05;
/// Past the usual time by so much of the lifetime, a renewal is late.
const LATE: f64 = 0.10;
/// By so much, it is a warning.
const VERY_LATE: f64 = 0.15;

/// What changed, and what should have.
pub fn notes<'a>(case: &Case<'a>) -> Vec<Note<'a>> {
    let history = history::after(case);
    let mut notes = pins::notes(case);
    for host in &case.facts.hosts {
        let Some(lines) = history.hosts.get(&history::name(host)) else { continue };
        let look = Look { case, lines, present: leaves::of_host(case, host) };
        for (kind, line) in lines {
            let changed = line.iter().filter_map(|new| look.change(kind, new));
            let late = line.iter().filter(|seen| look.is_present(seen)).max_by_key(|seen| seen.not_before);
            let findings = changed.chain(late.and_then(|newest| look.late(kind, newest)));
            notes.extend(findings.map(|finding| Note { host, address: None, finding }));
        }
    }
    notes
}

/// Takes what was seen into the history.
pub fn remember(case: &Case<'_>, history: &mut History) {
    *history = history::after(case);
}

struct Look<'l, 'a> {
    case: &'l Case<'a>,
    lines: &'l Lines,
    present: BTreeMap<&'static str, Vec<leaves::Leaf<'l>>>,
}

impl Look<'_, '_> {
    fn is_present(&self, seen: &Seen) -> bool {
        self.present.values().flatten().any(|leaf| leaf.certificate.sha256 == seen.sha256)
    }

    fn finding(&self, doc: &'static FindingDoc, kind: &str, summary: String) -> Finding {
        Finding::of(doc, leaves::part(kind, self.lines.len()), summary)
    }

    /// The change that brought this leaf, while it is told.
    fn change(&self, kind: &str, new: &Seen) -> Option<Finding> {
        let (old_kind, old) = history::before(self.lines, kind, new)?;
        // Where the old one was there for longer, the change was over when it went.
        let still_there = self.is_present(old) || old.gone.is_none();
        let over = old.gone.map_or(new.first_seen, |gone| gone.max(new.first_seen));
        if !is_recent(over, self.case.now) {
            return None;
        }
        let other_kind = old_kind != kind;
        if other_kind && self.is_present(old) {
            return None;
        }
        let (doc, what) = judged(self.lines, kind, old, new);
        let (doc, what) = if still_there && !other_kind && doc.severity > Severity::Info {
            (&docs::RENEWED, format!("{what}; the old one is still there"))
        } else {
            (doc, what)
        };
        let mut summary = format!("{what}: serial {} {}", short(&new.serial), validity(new));
        if other_kind {
            let (from, to) = (leaves::spoken(old_kind), leaves::spoken(kind));
            summary = format!("{summary}, with a key of another kind ({to} instead of {from})");
        }
        Some(
            self.finding(doc, kind, summary)
                .with("old", evidence(old))
                .with("new", evidence(new))
                .with("share_left", hundredths(old.share_left(new.first_seen))),
        )
    }

    /// Whether the leaf should have been replaced, by how earlier ones were.
    fn late(&self, kind: &str, newest: &Seen) -> Option<Finding> {
        let mut shares = history::shares_at_renewal(self.lines, kind);
        if shares.len() < 2 {
            return None;
        }
        let renewals = shares.len();
        let usual = median(&mut shares)?;
        let mut apart: Vec<f64> = shares.iter().map(|share| (share - usual).abs()).collect();
        let spread = median(&mut apart)?;
        let (share, left) = (newest.share_left(self.case.now), newest.not_after - self.case.now.as_second());
        let past = usual - share;
        if past <= LATE.max(spread) || left <= 0 || expiry::urgency(left, newest.lifetime()).is_some() {
            return None;
        }
        let summary = format!(
            "the last {renewals} were renewed with {} of their lifetime left, which is {} for this one; it has {} ({}), and no renewal came",
            percent(usual),
            span(part_of(newest.lifetime(), usual)),
            span(left),
            percent(share),
        );
        let mut finding = self.finding(&docs::RENEWAL_LATE, kind, summary);
        if past > VERY_LATE.max(spread) {
            finding.severity = Severity::Warning;
        }
        Some(finding.with("usual_share", hundredths(usual)).with("share_left", hundredths(share)))
    }
}

/// What the change from one leaf to another is.
fn judged(lines: &Lines, kind: &str, old: &Seen, new: &Seen) -> (&'static FindingDoc, String) {
    if new.authority != old.authority {
        let what = format!("is issued by {} and no longer by {}", new.issuer, old.issuer);
        return (&docs::ISSUER_CHANGED, what);
    }
    if new.spki == old.spki {
        return (&docs::RENEWED, "was renewed with the same key".to_owned());
    }
    let share = old.share_left(new.first_seen);
    // The renewal in question is itself the last in the history.
    let earlier = history::shares_at_renewal(lines, kind);
    let others = earlier.iter().filter(|other| (*other - share).abs() > f64::EPSILON);
    let window = if old.lifetime() <= SHORT_LIVED { WINDOW_SHORT } else { WINDOW };
    let window = others.fold(window, |window, other| window.max(other + SLACK));
    if share <= window {
        return (
            &docs::RENEWED,
            format!("was renewed with a new key, with {} of the old one's lifetime left", percent(share)),
        );
    }
    let what = format!(
        "has a new key, though the certificate before it had {} of its lifetime left (until {})",
        percent(share),
        crate::formats::x509::Moment::at(old.not_after)
    );
    (&docs::REPLACED_EARLY, what)
}

fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    now.as_second().saturating_sub(at.as_second()) < TOLD
}

fn evidence(seen: &Seen) -> serde_json::Value {
    serde_json::json!({
        "sha256": seen.sha256,
        "spki_sha256": seen.spki,
        "serial": seen.serial,
        "issuer": seen.issuer,
        "not_before": crate::formats::x509::Moment::at(seen.not_before).to_string(),
        "not_after": crate::formats::x509::Moment::at(seen.not_after).to_string(),
    })
}

fn validity(seen: &Seen) -> String {
    format!("until {}", crate::formats::x509::Moment::at(seen.not_after))
}

/// Enough of a serial number or digest to tell it from another.
pub fn short(hex: &str) -> String {
    const ENOUGH: usize = 12;
    match hex.get(..ENOUGH) {
        Some(beginning) if hex.len() > ENOUGH => format!("{beginning}…"),
        _ => hex.to_owned(),
    }
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    let lower = if values.len().is_multiple_of(2) { *values.get(middle.checked_sub(1)?)? } else { upper };
    Some(f64::midpoint(lower, upper))
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn hundredths(share: f64) -> f64 {
    (share * 100.0).round() / 100.0
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a part of a lifetime is a smaller number, and told in days"
)]
fn part_of(lifetime: i64, share: f64) -> i64 {
    (lifetime as f64 * share) as i64
}

fn span(seconds: i64) -> String {
    match seconds {
        ..7_200 => format!("{} minutes", seconds / 60),
        7_200..172_800 => format!("{} hours", seconds / HOUR),
        _ => format!("{} days", seconds / DAY),
    }
}
