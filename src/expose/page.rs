//! The page at `/`, rendered here, without scripts.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::HeaderValue;
use base64::Engine as _;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::health::{Role, StoreState, Vitals};
use crate::model::{CheckId, Finding, Incident, Severity, StepTime, Verdict};
use crate::record::live::Present;

/// Rows of checks on the page.
const MAX_CHECKS: usize = 500;
/// Rows of incidents on the page.
const MAX_INCIDENTS: usize = 200;
/// Findings shown per check.
const MAX_FINDINGS: usize = 5;
/// Steps shown per check.
const MAX_STEPS: usize = 50;
/// Characters of one summary, subject or explanation.
const MAX_TEXT: usize = 400;

const STYLE: &str = include_str!("page.css");

/// The `Content-Security-Policy` of every answer: nothing but the style sheet of this page.
pub fn policy() -> &'static HeaderValue {
    static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
        let hash = base64::engine::general_purpose::STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
    });
    &POLICY
}

/// What the page shows.
pub struct View<'v> {
    /// The present.
    pub now: Timestamp,
    /// The zone of absolute times.
    pub timezone: &'v TimeZone,
    /// How the daemon is.
    pub vitals: &'v Vitals,
    /// The open incidents, oldest first.
    pub incidents: &'v [Incident],
    /// The checks.
    pub checks: Checks,
}

/// The checks to show, and counts of all of them.
pub struct Checks {
    shown: Vec<(CheckId, Present)>,
    hidden: [usize; 5],
    counts: [usize; 5],
    causes: Vec<(&'static str, usize)>,
}

impl Checks {
    /// Copies what is shown: every check up to 500, in order of name, else the 500 worst.
    pub fn of(checks: &HashMap<CheckId, Present>) -> Self {
        let mut all: Vec<_> = checks.iter().collect();
        if all.len() > MAX_CHECKS {
            let worst_first = |(a, one): &(&CheckId, &Present), (b, other): &(&CheckId, &Present)| {
                (rank(one.verdict), *a).cmp(&(rank(other.verdict), *b))
            };
            // The engine waits meanwhile, so that only what is shown is put in order.
            all.select_nth_unstable_by(MAX_CHECKS, worst_first);
            all[..MAX_CHECKS].sort_unstable_by(worst_first);
        } else {
            all.sort_unstable_by_key(|(id, _)| *id);
        }
        let hidden = count(all.iter().skip(MAX_CHECKS).map(|(_, present)| *present));
        let counts = count(checks.values());
        let mut causes: HashMap<&'static str, usize> = HashMap::new();
        for cause in checks.values().filter_map(|present| present.cause) {
            *causes.entry(cause.as_str()).or_default() += 1;
        }
        let mut causes: Vec<_> = causes.into_iter().collect();
        causes.sort_unstable();
        let shown = all.into_iter().take(MAX_CHECKS).map(|(id, now)| (id.clone(), now.clone())).collect();
        Self { shown, hidden, counts, causes }
    }
}

const NAMES: [&str; 5] = ["failing", "unknown", "warning", "not run yet", "passing"];

/// The place of a verdict in [`NAMES`], worst first.
const fn rank(verdict: Option<Verdict>) -> usize {
    match verdict {
        Some(Verdict::Fail) => 0,
        Some(Verdict::Unknown) => 1,
        Some(Verdict::Warn) => 2,
        None => 3,
        Some(Verdict::Pass) => 4,
    }
}

fn count<'p>(presents: impl Iterator<Item = &'p Present>) -> [usize; 5] {
    let mut counts = [0; 5];
    for present in presents {
        if let Some(count) = counts.get_mut(rank(present.verdict)) {
            *count += 1;
        }
    }
    counts
}

/// `2 failing, 40 passing`; empty if all are zero.
fn listed(counts: &[usize; 5]) -> String {
    let parts = counts.iter().zip(NAMES).filter(|(count, _)| **count > 0);
    parts.map(|(count, name)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
}

/// The page.
pub fn render(view: &View<'_>) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="refresh" content="30";
                title { "portalwatch" @if !view.incidents.is_empty() { " (" (view.incidents.len()) " open)" } }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { "portalwatch" }
                    p { "As of " (time(view, view.now)) ". " (listed(&view.checks.counts)) }
                    (incidents(view))
                    (checks(view))
                    (monitor(view))
                }
            }
        }
    }
}

fn incidents(view: &View<'_>) -> Markup {
    let hidden = view.incidents.len().saturating_sub(MAX_INCIDENTS);
    html! {
        h2 id="incidents" { "Open incidents" }
        @if view.incidents.is_empty() && view.vitals.stands_by() {
            p { "Not known here: this daemon stands by. Look at the page of the one that leads." }
        } @else if view.incidents.is_empty() {
            p { "None." }
        } @else {
            table aria-labelledby="incidents" {
                thead { tr { th scope="col" { "Check" } th scope="col" { "Severity" } th scope="col" { "Since" } th scope="col" { "What" } } }
                tbody {
                    @for incident in view.incidents.iter().take(MAX_INCIDENTS) {
                        tr {
                            th scope="row" { (incident.check.as_str()) }
                            td class=(format!("verdict {}", severity_class(incident.severity))) { (incident.severity.as_str()) }
                            td { (since(view, incident.started)) }
                            td {
                                (findings(&incident.findings))
                                @if incident.flapping { small { "Flapping: it goes up and down." } }
                                @if incident.not_recorded { small { "Not written to the store." } }
                            }
                        }
                    }
                }
            }
            @if hidden > 0 { p { "and " (hidden) " more open incidents" } }
        }
    }
}

fn checks(view: &View<'_>) -> Markup {
    let hidden = listed(&view.checks.hidden);
    html! {
        h2 id="checks" { "Checks" }
        @if view.checks.shown.is_empty() {
            @if view.vitals.stands_by() {
                p { "None are run here." }
            } @else {
                p { "No checks are configured." }
            }
        } @else {
            table aria-labelledby="checks" {
                thead { tr { th scope="col" { "Portal" } th scope="col" { "Check" } th scope="col" { "Verdict" } th scope="col" { "Since" } th scope="col" { "Last run" } th scope="col" { "Findings" } } }
                tbody { @for (id, present) in &view.checks.shown { (check(view, id, present)) } }
            }
            @if !hidden.is_empty() { p { "and more: " (hidden) } }
        }
    }
}

fn check(view: &View<'_>, id: &CheckId, present: &Present) -> Markup {
    let (class, symbol, word) = shown(present.verdict);
    html! {
        tr {
            td { (id.portal()) }
            th scope="row" { (id.name()) " " small { (present.kind) } }
            td class=(format!("verdict {class}")) { span aria-hidden="true" { (symbol) } " " (word) }
            td { @if let Some(at) = present.since { (since(view, at)) } }
            td {
                @if let Some(at) = present.at { (since(view, at)) ", took " (milliseconds(present.took)) }
                @if let Some(status) = present.status { ", status " (status) }
                (steps(&present.steps))
            }
            td {
                @if let Some(cause) = present.cause { p { "Cause: " (cause.as_str()) } }
                @if let Some(why) = &present.why { p { (cut(why)) } }
                (findings(&present.findings))
            }
        }
    }
}

fn steps(steps: &[StepTime]) -> Markup {
    let hidden = steps.len().saturating_sub(MAX_STEPS);
    html! {
        @if !steps.is_empty() {
            details {
                summary { "steps: " (steps.len()) }
                ol {
                    @for step in steps.iter().take(MAX_STEPS) { li { (cut(&step.name)) ", " (milliseconds(step.took)) } }
                }
                @if hidden > 0 { p { "and " (hidden) " more" } }
            }
        }
    }
}

fn findings(findings: &[Finding]) -> Markup {
    let hidden = findings.len().saturating_sub(MAX_FINDINGS);
    html! {
        @if !findings.is_empty() {
            ul {
                @for finding in findings.iter().take(MAX_FINDINGS) {
                    li {
                        span class=(severity_class(finding.severity)) { (finding.severity.as_str()) }
                        @if !finding.measured { " (not measured)" }
                        ": " (cut(&finding.summary))
                        @if !finding.subject.is_empty() { " (" (cut(&finding.subject)) ")" }
                        " " small { code { "portalwatch explain " (finding.id.as_str()) } }
                    }
                }
                @if hidden > 0 { li { "and " (hidden) " more" } }
            }
        }
    }
}

fn monitor(view: &View<'_>) -> Markup {
    let vitals = view.vitals;
    html! {
        h2 id="monitor" { "This monitor" }
        table aria-labelledby="monitor" {
            tbody {
                tr { th scope="row" { "Scheduler" } td {
                    @if vitals.alive() { span class="pass" { "✓ running" } } @else { span class="fail" { "✗ stalled" } }
                    @if let Some(lateness) = vitals.lateness { ", last run " (milliseconds(lateness)) " late" }
                } }
                @match &vitals.role {
                    Role::Alone => {},
                    Role::Leads(name) => tr { th scope="row" { "Daemons" } td {
                        span class="pass" { "✓ leads" } " as " (cut(name))
                    } },
                    Role::StandsBy(leader) => tr { th scope="row" { "Daemons" } td {
                        span class="unknown" { "? stands by" } ": "
                        @match leader {
                            Some(name) => { "checks are run, and shown, by " (cut(name)) },
                            None => "nobody is known to lead",
                        }
                    } },
                }
                tr { th scope="row" { "Store" } td {
                    @match &vitals.store {
                        StoreState::Open => span class="pass" { "✓ open" },
                        StoreState::Opening => span class="unknown" { "? opening" },
                        StoreState::Degraded { why } => { span class="fail" { "✗ degraded" } ": " (cut(why)) },
                    }
                } }
                tr { th scope="row" { "Messages" } td {
                    (vitals.outbox_pending) " waiting"
                    @if let Some(age) = vitals.outbox_age(view.now) { ", the oldest for " (span(age)) }
                } }
                tr { th scope="row" { "Config" } td {
                    @match &vitals.reload {
                        None => "not loaded",
                        Some(reload) => @match &reload.error {
                            None => { span class="pass" { "✓ loaded" } " " (since(view, reload.at)) },
                            Some(error) => { span class="fail" { "✗ refused" } " " (since(view, reload.at)) ": " (cut(error)) },
                        },
                    }
                } }
                tr { th scope="row" { "Unknown results" } td {
                    @if view.checks.causes.is_empty() { "none" }
                    @for (place, (cause, count)) in view.checks.causes.iter().enumerate() {
                        @if place > 0 { ", " } (cause) ": " (count)
                    }
                } }
                tr { th scope="row" { "Version" } td { (env!("CARGO_PKG_VERSION")) ", started " (since(view, vitals.started_at)) } }
            }
        }
    }
}

/// Class, symbol and word of a verdict; the symbol is for those who do not see the colour.
const fn shown(verdict: Option<Verdict>) -> (&'static str, &'static str, &'static str) {
    match verdict {
        Some(Verdict::Pass) => ("pass", "✓", "pass"),
        Some(Verdict::Warn) => ("warn", "!", "warn"),
        Some(Verdict::Fail) => ("fail", "✗", "fail"),
        Some(Verdict::Unknown) => ("unknown", "?", "unknown"),
        None => ("unknown", "…", "not run yet"),
    }
}

const fn severity_class(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::Error => "fail",
        Severity::Warning => "warn",
        Severity::Notice | Severity::Info => "unknown",
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// An absolute time with its offset.
fn time(view: &View<'_>, at: Timestamp) -> Markup {
    let zoned = at.to_zoned(view.timezone.clone());
    html! { time datetime=(at.to_string()) { (zoned.strftime("%Y-%m-%d %H:%M:%S %:z").to_string()) } }
}

/// An absolute time, and how long ago it was.
fn since(view: &View<'_>, at: Timestamp) -> Markup {
    let ago = Duration::try_from(view.now.duration_since(at)).unwrap_or_default();
    html! { (time(view, at)) " (" (span(ago)) " ago)" }
}

fn milliseconds(took: Duration) -> String {
    format!("{} ms", took.as_millis())
}

/// A length of time for people, in its two largest units.
fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}
