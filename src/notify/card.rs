//! What a message says, once, for all channels: the subject line and, for each notice, the facts in
//! order. A channel only puts a card into its dialect.
//!
//! Everything on a card is bounded in length, and control characters (line breaks and those that
//! turn the direction of text among them) are escaped, so that no portal can forge a line.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::model::{Closed, Finding, HumanDuration, Incident, Notice, Notification, Reason};

/// The longest subject, in characters.
const SUBJECT: usize = 200;
/// The longest value of a line, in characters.
const LINE: usize = 500;
/// The most findings of one notice that are listed one by one.
const FINDINGS: usize = 10;
/// The most lines of what changed, and of who sees what.
const COMPARED: usize = 8;
/// The most lines of a transcript for each direction.
const TRANSCRIPT: usize = 8;
/// The most notices of one message that are told in full; the rest is named in one line each.
const IN_FULL: usize = 20;

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// `[acme] DOWN sign-in-and-write: dashboard answered 502 (3/3)`
    pub subject: String,
    /// One for each notice, oldest first.
    pub items: Vec<Item>,
    /// The address of the dashboard.
    pub dashboard: String,
}

/// What is said about one incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// `DOWN acme/sign-in-and-write`
    pub headline: String,
    /// One line: what happened.
    pub summary: String,
    /// Label and value, in the order in which they are read.
    pub facts: Vec<(&'static str, String)>,
    /// Commands that reproduce it.
    pub reproduce: Vec<String>,
    /// `portalwatch explain ID` of the worst finding.
    pub explain: Option<String>,
}

impl Card {
    /// The card of a message.
    pub fn of(notification: &Notification) -> Self {
        Self {
            subject: bounded(&subject(notification), SUBJECT),
            items: items(notification),
            dashboard: bounded(&notification.external_url, LINE),
        }
    }

    /// The card as plain text, one fact a line.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for item in &self.items {
            let _ = writeln!(text, "{}\n{}\n", item.headline, item.summary);
            for (label, value) in &item.facts {
                let _ = writeln!(text, "{label}: {value}");
            }
            if !item.reproduce.is_empty() {
                let _ = writeln!(text, "\nTo reproduce:");
                for command in &item.reproduce {
                    let _ = writeln!(text, "  {command}");
                }
            }
            if let Some(explain) = &item.explain {
                let _ = writeln!(text, "\nWhat it means: {explain}");
            }
            text.push('\n');
        }
        let _ = writeln!(text, "Dashboard: {}", self.dashboard);
        text
    }
}

fn items(notification: &Notification) -> Vec<Item> {
    let notices = &notification.notices;
    let short = notices.iter().skip(IN_FULL).map(|notice| Item {
        headline: headline(notice),
        summary: bounded(&summary(notice), LINE),
        facts: Vec::new(),
        reproduce: Vec::new(),
        explain: None,
    });
    notices.iter().take(IN_FULL).map(|notice| item(notification, notice)).chain(short).collect()
}

fn item(notification: &Notification, notice: &Notice) -> Item {
    Item {
        headline: headline(notice),
        summary: bounded(&summary(notice), LINE),
        facts: facts(notification, notice)
            .into_iter()
            .map(|(label, value)| (label, bounded(&value, LINE)))
            .collect(),
        reproduce: commands(notice),
        explain: explain(notice),
    }
}

/// Those of the kind, and the one of the transcript. One that had to be cut could not be run.
fn commands(notice: &Notice) -> Vec<String> {
    let kinds = notice.reproduce.iter().take(5).map(|command| bounded(command, 2 * LINE));
    let first = notice.incident.findings.first();
    let shown = first.into_iter().flat_map(Finding::transcript).filter_map(|line| line.strip_prefix("$ "));
    let whole = shown.filter(|command| command.chars().count() <= 2 * LINE);
    kinds.chain(whole.map(|command| bounded(command, 2 * LINE))).collect()
}

fn headline(notice: &Notice) -> String {
    let what = if notice.incident.check.is_monitor() {
        "portalwatch itself".to_owned()
    } else if notice.incident.check.is_objective() {
        format!("objective {}", notice.incident.check.name())
    } else {
        notice.incident.check.to_string()
    };
    bounded(&format!("{} {what}", word(notice)), LINE)
}

fn explain(notice: &Notice) -> Option<String> {
    if notice.reason == Reason::Test {
        return None;
    }
    let finding = notice.incident.findings.first()?;
    Some(bounded(&format!("portalwatch explain {}", finding.id), LINE))
}

/// The state in capitals: subjects sort by it.
pub fn word(notice: &Notice) -> &'static str {
    let down = is_down(&notice.incident);
    match notice.reason {
        Reason::Opened if down => "DOWN",
        Reason::Opened => "WARN",
        Reason::Updated => "UPDATE",
        Reason::Rose => "WORSE",
        Reason::Fell => "BETTER",
        Reason::Repeated if down => "STILL DOWN",
        Reason::Repeated => "STILL WARN",
        Reason::Flapping => "FLAPPING",
        Reason::Resolved => "RESOLVED",
        Reason::Test => "TEST",
    }
}

/// Whether users cannot do the thing; a certificate that runs out in three days is critical, and
/// the portal is not down.
fn is_down(incident: &Incident) -> bool {
    incident.findings.iter().any(|finding| finding.broken)
}

/// What happened, in one line.
pub fn summary(notice: &Notice) -> String {
    if notice.reason == Reason::Test {
        return "a test message; nothing is wrong".to_owned();
    }
    let findings = &notice.incident.findings;
    let Some(first) = findings.first() else {
        return notice.incident.alertname.clone();
    };
    match findings.len() {
        1 => first.summary.clone(),
        more => format!("{} (and {} more)", first.summary, more - 1),
    }
}

fn subject(notification: &Notification) -> String {
    match notification.notices.as_slice() {
        [] => "[portalwatch]".to_owned(),
        [notice] if notice.reason == Reason::Test => {
            format!("[portalwatch] TEST {}: {}", notification.channel, summary(notice))
        }
        [notice] => single(notice),
        notices => several(notices),
    }
}

fn portal(notice: &Notice) -> &str {
    match &notice.incident.check {
        check if check.is_monitor() => "portalwatch",
        check if check.is_objective() => "objective",
        check => check.portal(),
    }
}

fn single(notice: &Notice) -> String {
    let mut subject = format!(
        "[{}] {} {}: {}",
        portal(notice),
        word(notice),
        notice.incident.check.name(),
        summary(notice)
    );
    let tail = match (notice.reason, down_for(&notice.incident)) {
        (Reason::Resolved, Some(took)) => format!(" (after {took})"),
        _ if notice.confirmed.is_empty() => String::new(),
        _ => format!(" ({})", notice.confirmed),
    };
    // The tail is what tells two subjects apart, so the summary is cut rather than the tail.
    subject = bounded(&subject, SUBJECT.saturating_sub(tail.chars().count()));
    subject + &tail
}

/// `[acme] DOWN 2 checks: home, api` or, where the words differ, `[acme] DOWN 1, RESOLVED 2: …`.
fn several(notices: &[Notice]) -> String {
    let mut portals: Vec<&str> = notices.iter().map(portal).collect();
    portals.sort_unstable();
    portals.dedup();
    let mut words: Vec<(&str, usize)> = Vec::new();
    for notice in notices {
        let word = word(notice);
        match words.iter_mut().find(|(known, _)| *known == word) {
            Some((_, count)) => *count += 1,
            None => words.push((word, 1)),
        }
    }
    let counted = match words.as_slice() {
        [(word, count)] => format!("{word} {count} checks"),
        words => words.iter().map(|(word, count)| format!("{word} {count}")).collect::<Vec<_>>().join(", "),
    };
    let mut names: Vec<&str> = Vec::new();
    for notice in notices {
        if !names.contains(&notice.incident.check.name()) {
            names.push(notice.incident.check.name());
        }
    }
    format!("[{}] {counted}: {}", portals.join(", "), names.join(", "))
}

fn facts(notification: &Notification, notice: &Notice) -> Vec<(&'static str, String)> {
    if notice.reason == Reason::Test {
        return vec![
            ("Channel", notification.channel.clone()),
            ("Sent", moment(notification.now, &notification.timezone)),
        ];
    }
    let incident = &notice.incident;
    let zone = &notification.timezone;
    let mut facts = vec![("Check", incident.check.to_string()), ("Severity", severity(notice))];
    facts.extend(times(notification, notice));
    for finding in incident.findings.iter().take(FINDINGS) {
        facts.push(("Finding", finding_line(finding)));
        let evidence = evidence(finding);
        if !evidence.is_empty() {
            facts.push(("Evidence", evidence));
        }
        facts.extend(exchange(finding));
        facts.extend(comparison(finding));
        if let Some(reference) = &finding.reference {
            facts.push(("Reference", reference.to_string()));
        }
    }
    if incident.findings.len() > FINDINGS {
        facts.push(("Findings", format!("{} more", incident.findings.len() - FINDINGS)));
    }
    facts.push(match incident.last_good {
        Some(good) => ("Last good", ago(good, notification.now, zone)),
        None => ("Last good", "not known".to_owned()),
    });
    if !notice.confirmed.is_empty() {
        facts.push(("Confirmed", notice.confirmed.clone()));
    }
    facts.extend(circumstances(notification, notice));
    facts
}

fn severity(notice: &Notice) -> String {
    let severity = notice.incident.severity;
    match notice.severity_before {
        Some(before) if before != severity => format!("{severity} (was {before})"),
        _ => severity.to_string(),
    }
}

fn times(notification: &Notification, notice: &Notice) -> Vec<(&'static str, String)> {
    let incident = &notice.incident;
    let zone = &notification.timezone;
    let Some(ended) = incident.ended else {
        return vec![("Since", ago(incident.started, notification.now, zone))];
    };
    let state = if is_down(incident) { "was down" } else { "was not well" };
    let whole = format!("{state} from {} to {}", moment(incident.started, zone), moment(ended, zone));
    let mut facts = vec![("Time", whole)];
    if let Some(took) = down_for(incident) {
        facts.push(("Duration", took));
    }
    facts
}

/// What else the reader must know: shared causes, flapping, removal, gaps in what is kept.
fn circumstances(notification: &Notification, notice: &Notice) -> Vec<(&'static str, String)> {
    let incident = &notice.incident;
    let mut facts = Vec::new();
    if notification.notices.len() > 1 {
        let mut group: Vec<String> =
            notification.group_labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        group.push(format!("{} notices in this message", notification.notices.len()));
        facts.push(("Together with", group.join(", ")));
        if let Some(shares) = &notification.shares {
            facts.push(("Shared cause", shares.clone()));
        }
    }
    if notice.collapsed {
        facts.push((
            "Note",
            "earlier messages about this could not be delivered in time; this one tells it all".into(),
        ));
    }
    if incident.flapping && incident.is_open() {
        facts.push(("Note", "it goes up and down; turns are not told one by one until it settles".into()));
    }
    if incident.closed == Some(Closed::Removed) {
        facts.push((
            "Note",
            "closed because the check is no longer in the config, not because it is well".into(),
        ));
    }
    if incident.not_recorded {
        facts.push(("Note", "not recorded: the store could not be written".into()));
    }
    facts
}

fn finding_line(finding: &Finding) -> String {
    let unmeasured = if finding.measured { "" } else { " (could not be measured now)" };
    format!("{} [{}] {}: {}{unmeasured}", finding.id, finding.severity, finding.subject, finding.summary)
}

/// A text as it is, a list of texts by commas, anything else as JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => {
            let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
            texts.map_or_else(|| value.to_string(), |texts| texts.join(", "))
        }
        other => other.to_string(),
    }
}

/// What a transcript says was sent and what came, without the headers of the answer, which
/// `portalwatch check` shows.
fn exchange(finding: &Finding) -> Vec<(&'static str, String)> {
    let lines: Vec<&str> = finding.transcript().collect();
    let sent = lines.iter().filter_map(|line| line.strip_prefix("> ")).take(TRANSCRIPT);
    let status = lines.iter().filter_map(|line| line.strip_prefix("< ")).take(1);
    let body = lines.iter().skip_while(|line| **line != "<").filter_map(|line| line.strip_prefix("< "));
    let came = status.chain(body.take(TRANSCRIPT));
    let labelled = |label: &'static str| move |line: &str| (label, line.to_owned());
    sent.map(labelled("Sent")).chain(came.map(labelled("Answer"))).collect()
}

/// What changed, and who sees what.
pub fn comparison(finding: &Finding) -> Vec<(&'static str, String)> {
    let lines = |label: &'static str, key: &str| {
        let all = finding.lines(key).map(|line| bounded(line, LINE)).collect::<Vec<_>>();
        let more = all.len().saturating_sub(COMPARED);
        let rest = (more > 0).then(|| (label, format!("and {more} more")));
        all.into_iter().take(COMPARED).map(move |line| (label, line)).chain(rest).collect::<Vec<_>>()
    };
    [lines("Change", Finding::DIFF), lines("Seen", Finding::VANTAGES)].concat()
}

/// The facts behind a finding in one line, in the order of the judge.
pub fn evidence(finding: &Finding) -> String {
    let parts: Vec<String> = finding
        .evidence
        .iter()
        .filter(|(key, _)| ![Finding::TRANSCRIPT, Finding::DIFF, Finding::VANTAGES].contains(&key.as_str()))
        .take(12)
        .map(|(key, value)| format!("{key} {}", bounded(&plain(value), 120)))
        .collect();
    parts.join(", ")
}

/// How long a closed incident lasted.
fn down_for(incident: &Incident) -> Option<String> {
    Some(length(incident.started, incident.ended?))
}

/// `2026-11-24 22:41:05 +01:00`
pub fn moment(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}

fn ago(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    format!("{} ({} ago)", moment(at, zone), length(at, now))
}

/// The two largest units of a stretch of time; less than a second is `0s`.
fn length(from: Timestamp, to: Timestamp) -> String {
    let seconds = u64::try_from(to.as_second().saturating_sub(from.as_second())).unwrap_or(0);
    let rounded = match seconds {
        0..3_600 => seconds,
        3_600..86_400 => seconds - seconds % 60,
        _ => seconds - seconds % 3_600,
    };
    HumanDuration(Duration::from_secs(rounded)).to_string()
}

/// One line of at most `limit` characters, control characters escaped.
pub fn bounded(text: &str, limit: usize) -> String {
    let mut out = String::new();
    let mut length = 0;
    for character in text.chars() {
        let escaped: String =
            if is_control(character) { character.escape_default().collect() } else { character.into() };
        length += escaped.chars().count();
        if length > limit {
            while out.chars().count() >= limit.max(1) {
                out.pop();
            }
            out.push('…');
            break;
        }
        out.push_str(&escaped);
    }
    out
}

/// Control characters, and the invisible ones that reorder or hide text.
fn is_control(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::{CheckId, Finding, IncidentId, Labels, Severity};

    fn at(text: &str) -> Timestamp {
        format!("2026-11-24T{text}Z").parse().unwrap()
    }

    fn finding() -> Finding {
        Finding {
            id: "http.status".into(),
            subject: "https://portal.acme.example/".into(),
            severity: Severity::Critical,
            broken: true,
            measured: true,
            summary: "dashboard answered 502".into(),
            evidence: serde_json::Map::new(),
            reference: Some("RFC 9110 section 15.6".into()),
        }
        .with("status", 502)
        .with("phase", "ttfb")
        .with("address", "192.0.2.7:443")
    }

    fn notice(reason: Reason) -> Notice {
        let check = CheckId::new("acme", "sign-in-and-write");
        let mut incident = Incident {
            id: IncidentId::new(&check, at("21:41:05")),
            check,
            kind: "http".into(),
            labels: Labels::new(),
            alertname: "http.status".into(),
            severity: Severity::Critical,
            started: at("21:41:05"),
            opened: at("21:41:25"),
            last_good: Some(at("21:40:05")),
            findings: vec![finding()],
            worst: None,
            ended: None,
            closed: None,
            flapping: false,
            not_recorded: false,
        };
        if reason == Reason::Resolved {
            incident.ended = Some(at("22:53:47"));
            incident.closed = Some(Closed::Recovered);
        }
        Notice {
            reason,
            incident,
            severity_before: None,
            at: at("21:41:25"),
            confirmed: if reason == Reason::Resolved { String::new() } else { "3/3".into() },
            reproduce: vec!["portalwatch check acme/sign-in-and-write".into()],
            collapsed: false,
        }
    }

    fn card(notices: Vec<Notice>) -> Card {
        Card::of(&Notification {
            key: "key".into(),
            channel: "oncall".into(),
            group_key: "group".into(),
            group_labels: BTreeMap::from([("team".into(), "ops".into())]),
            notices,
            shares: Some("connect to 192.0.2.7:443".into()),
            replies_to: None,
            external_url: "https://status.acme.example".into(),
            timezone: TimeZone::get("Europe/Amsterdam").unwrap(),
            now: at("22:55:00"),
        })
    }

    #[test]
    fn an_opening_says_all_there_is_to_know() {
        let card = card(vec![notice(Reason::Opened)]);
        insta::assert_snapshot!(card.subject, @"[acme] DOWN sign-in-and-write: dashboard answered 502 (3/3)");
        insta::assert_snapshot!(card.text(), @r#"
        DOWN acme/sign-in-and-write
        dashboard answered 502

        Check: acme/sign-in-and-write
        Severity: critical
        Since: 2026-11-24 22:41:05 +01:00 (1h13m ago)
        Finding: http.status [critical] https://portal.acme.example/: dashboard answered 502
        Evidence: status 502, phase ttfb, address 192.0.2.7:443
        Reference: RFC 9110 section 15.6
        Last good: 2026-11-24 22:40:05 +01:00 (1h14m ago)
        Confirmed: 3/3

        To reproduce:
          portalwatch check acme/sign-in-and-write

        What it means: portalwatch explain http.status

        Dashboard: https://status.acme.example
        "#);
    }

    #[test]
    fn what_changed_and_who_sees_it_stand_in_lines_of_their_own() {
        let mut opened = notice(Reason::Opened);
        let seen: Vec<String> = (0..10).map(|n| format!("ns{n} 192.0.2.{n}: 192.0.2.2")).collect();
        opened.incident.findings =
            vec![finding().with("diff", vec!["- 192.0.2.1", "+ 192.0.2.2"]).with("vantages", seen)];
        let card = card(vec![opened]);
        let of = |label: &str| {
            let own = card.items[0].facts.iter().filter(|(known, _)| *known == label);
            own.map(|(_, line)| line.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(of("Change"), ["- 192.0.2.1", "+ 192.0.2.2"]);
        assert_eq!((of("Seen").len(), of("Seen")[8]), (9, "and 2 more"));
        assert_eq!(of("Evidence"), ["status 502, phase ttfb, address 192.0.2.7:443"]);
    }

    #[test]
    fn a_collapsed_resolution_says_from_when_to_when() {
        let mut over = notice(Reason::Resolved);
        over.collapsed = true;
        over.incident.not_recorded = true;
        let card = card(vec![over]);
        insta::assert_snapshot!(card.subject, @"[acme] RESOLVED sign-in-and-write: dashboard answered 502 (after 1h12m)");
        insta::assert_snapshot!(card.text(), @r#"
        RESOLVED acme/sign-in-and-write
        dashboard answered 502

        Check: acme/sign-in-and-write
        Severity: critical
        Time: was down from 2026-11-24 22:41:05 +01:00 to 2026-11-24 23:53:47 +01:00
        Duration: 1h12m
        Finding: http.status [critical] https://portal.acme.example/: dashboard answered 502
        Evidence: status 502, phase ttfb, address 192.0.2.7:443
        Reference: RFC 9110 section 15.6
        Last good: 2026-11-24 22:40:05 +01:00 (1h14m ago)
        Note: earlier messages about this could not be delivered in time; this one tells it all
        Note: not recorded: the store could not be written

        To reproduce:
          portalwatch check acme/sign-in-and-write

        What it means: portalwatch explain http.status

        Dashboard: https://status.acme.example
        "#);
    }

    #[test]
    fn every_reason_has_its_word_in_the_subject() {
        let mut subjects = Vec::new();
        for reason in [
            Reason::Opened,
            Reason::Updated,
            Reason::Rose,
            Reason::Fell,
            Reason::Repeated,
            Reason::Flapping,
            Reason::Resolved,
            Reason::Test,
        ] {
            subjects.push(card(vec![notice(reason)]).subject);
        }
        let mut soon = notice(Reason::Opened);
        soon.incident.findings[0].broken = false;
        subjects.push(card(vec![soon.clone()]).subject);
        soon.reason = Reason::Repeated;
        subjects.push(card(vec![soon]).subject);
        insta::assert_snapshot!(subjects.join("\n"), @r#"
        [acme] DOWN sign-in-and-write: dashboard answered 502 (3/3)
        [acme] UPDATE sign-in-and-write: dashboard answered 502 (3/3)
        [acme] WORSE sign-in-and-write: dashboard answered 502 (3/3)
        [acme] BETTER sign-in-and-write: dashboard answered 502 (3/3)
        [acme] STILL DOWN sign-in-and-write: dashboard answered 502 (3/3)
        [acme] FLAPPING sign-in-and-write: dashboard answered 502 (3/3)
        [acme] RESOLVED sign-in-and-write: dashboard answered 502 (after 1h12m)
        [portalwatch] TEST oncall: a test message; nothing is wrong
        [acme] WARN sign-in-and-write: dashboard answered 502 (3/3)
        [acme] STILL WARN sign-in-and-write: dashboard answered 502 (3/3)
        "#);
    }

    #[test]
    fn several_notices_share_one_subject_and_name_their_group() {
        let mut other = notice(Reason::Opened);
        other.incident.check = CheckId::new("beta", "home");
        let same = card(vec![notice(Reason::Opened), other.clone()]);
        assert_eq!(same.subject, "[acme, beta] DOWN 2 checks: sign-in-and-write, home");
        assert!(same.text().contains("Together with: team=ops, 2 notices in this message"));
        assert!(same.text().contains("Shared cause: connect to 192.0.2.7:443"));
        let mixed = card(vec![notice(Reason::Resolved), other]);
        assert_eq!(mixed.subject, "[acme, beta] RESOLVED 1, DOWN 1: sign-in-and-write, home");
    }

    #[test]
    fn a_rise_names_both_severities() {
        let mut rose = notice(Reason::Rose);
        rose.severity_before = Some(Severity::Warning);
        assert!(card(vec![rose]).text().contains("Severity: critical (was warning)"));
    }

    #[test]
    fn a_portal_cannot_forge_a_line_or_flood_a_message() {
        let mut forged = notice(Reason::Opened);
        forged.incident.findings[0].summary =
            format!("x\r\nBcc: everyone@acme.example\u{202e}{}", "y".repeat(100_000));
        let card = card(vec![forged]);
        assert!(card.subject.contains("x\\r\\nBcc: everyone@acme.example\\u{202e}y"), "{}", card.subject);
        assert!(card.subject.ends_with("… (3/3)"), "{}", card.subject);
        assert!(card.subject.chars().count() <= SUBJECT);
        assert!(card.text().len() < 4_000);
        assert!(!card.text().contains('\r'));
    }

    #[test]
    fn a_hundred_incidents_fit_into_one_message() {
        let card = card(vec![notice(Reason::Opened); 100]);
        assert_eq!(card.items.len(), 100);
        assert!(card.items[99].facts.is_empty() && !card.items[19].facts.is_empty());
    }

    #[test]
    fn texts_are_cut_at_the_limit_and_not_before() {
        assert_eq!(bounded("abcd", 4), "abcd");
        assert_eq!(bounded("abcde", 4), "abc…");
        assert_eq!(bounded("a\n", 3), "a\\n");
    }
}
