//! When the domain expires, and who says so.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{docs, unmeasured};
use crate::model::{Finding, Severity};
use crate::probe::registration::facts::{Facts, Registration, Said};
use crate::probe::registration::spec::Spec;

const CRITICAL: SignedDuration = SignedDuration::from_hours(7 * 24);
const ERROR: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Dates that are no further apart are the same in different time zones.
const SAME_DATE: SignedDuration = SignedDuration::from_hours(24);

/// A date of expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// The registry says so.
    Registry(Timestamp),
    /// The registry said so when it was last asked.
    Told {
        /// The date.
        at: Timestamp,
        /// When it was told.
        told: Timestamp,
    },
    /// The config says so.
    Declared(Timestamp),
}

impl Due {
    /// The date.
    pub const fn at(self) -> Timestamp {
        match self {
            Self::Registry(at) | Self::Told { at, .. } | Self::Declared(at) => at,
        }
    }

    fn source(self) -> String {
        match self {
            Self::Registry(_) => "by the registry".to_owned(),
            Self::Told { told, .. } => format!("by the registry, as of {}", day(told)),
            Self::Declared(_) => "as declared".to_owned(),
        }
    }
}

/// What a date of expiry means at `now`.
pub fn finding(spec: &Spec, due: Due, now: Timestamp) -> Option<Finding> {
    let left = due.at().duration_since(now);
    let (name, date, source) = (&spec.domain.shown, day(due.at()), due.source());
    let found = if left <= SignedDuration::ZERO {
        let summary = match due {
            Due::Declared(_) => format!(
                "{name} expired on {date} ({}) {source}; renew it, or declare the new day",
                ago(left.abs())
            ),
            _ => format!("{name} expired on {date} ({}) {source}", ago(left.abs())),
        };
        let mut found = super::finding(&docs::EXPIRED, spec, summary);
        // A declaration may be older than the last renewal.
        found.broken = !matches!(due, Due::Declared(_));
        found
    } else if left < ERROR {
        let summary = format!("{name} expires on {date}, in {}, {source}", in_words(left));
        let mut found = super::finding(&docs::EXPIRING, spec, summary);
        if left < CRITICAL {
            found.severity = Severity::Critical;
        }
        found
    } else {
        return None;
    };
    let found = found.with("expires", due.at().to_string()).with("seconds_left", left.as_secs());
    Some(found.with("source", due.source()))
}

/// Who gives another date than the registry, and a registrar that was asked in vain.
pub fn disagreements(spec: &Spec, facts: &Facts, registry: &Registration) -> Vec<Finding> {
    let mut findings = Vec::new();
    let asked = facts.registrar.as_ref().map(|look| &look.said);
    let silent = match asked {
        Some(Said::Nothing(silence)) => Some(silence.why.clone()),
        Some(Said::NotFound(_)) => Some("it does not know the domain".to_owned()),
        Some(Said::Registration(_)) | None => None,
    };
    findings.extend(silent.map(|why| {
        unmeasured(super::finding(
            &docs::REGISTRAR_SILENT,
            spec,
            format!("the registrar was asked in vain: {why}"),
        ))
    }));
    let Some(expires) = registry.expires else { return findings };
    let by_registrar = match asked {
        Some(Said::Registration(own)) => own.registrar_expires.or(own.expires),
        _ => None,
    };
    let others = [
        ("registrar", "the registrar", by_registrar.or(registry.registrar_expires)),
        ("declared", "the config", spec.expires.map(|day| day.begins())),
    ];
    for (key, who, other) in others {
        let Some(other) = other.filter(|other| expires.duration_since(*other).abs() > SAME_DATE) else {
            continue;
        };
        let summary = format!(
            "the registry says that {} expires on {}, {who} says {}; the registry's date is judged",
            spec.domain.shown,
            day(expires),
            day(other)
        );
        let subject = format!("{} {key}", spec.domain.ascii);
        let found = Finding::of(&docs::DATE_DISAGREES, subject, summary)
            .with("registry", expires.to_string())
            .with(key, other.to_string());
        findings.push(found);
    }
    findings
}

/// The day in UTC.
pub fn day(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).date().to_string()
}

fn ago(past: SignedDuration) -> String {
    format!("{} ago", in_words(past))
}

fn in_words(span: SignedDuration) -> String {
    let hours = span.as_hours();
    match hours {
        0 => "less than an hour".to_owned(),
        1 => "1 hour".to_owned(),
        2..48 => format!("{hours} hours"),
        _ => format!("{} days", hours / 24),
    }
}
