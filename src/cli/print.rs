//! Results as text, JSON, or a Nagios plugin's line.

use std::fmt::Write as _;
use std::io::Write as _;

use owo_colors::{OwoColorize as _, Stream, Style};
use serde::Serialize;

use super::{Failure, Format};
use crate::model::{Finding, Outcome, Severity, StepTime, Verdict};

/// Prints to standard output. A reader that has gone away is no error of ours.
pub fn out(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::own(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints one JSON document.
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::own(error.to_string()))?;
    out(&text)
}

/// The verdict of several runs: the worst. What is known to be broken is worse than what is not
/// known, and that is worse than a warning.
pub fn worst(outcomes: &[Outcome]) -> Verdict {
    let badness = |verdict: &Verdict| match verdict {
        Verdict::Pass => 0,
        Verdict::Warn => 1,
        Verdict::Unknown => 2,
        Verdict::Fail => 3,
    };
    outcomes.iter().map(|outcome| outcome.verdict).max_by_key(badness).unwrap_or(Verdict::Unknown)
}

/// What `--explain` adds to one outcome.
pub struct Explained {
    /// For people.
    pub lines: Vec<String>,
    /// For programs.
    pub json: serde_json::Value,
}

/// Prints the outcomes of `check`, each with its explanation if there are any.
pub fn outcomes(outcomes: &[Outcome], format: Format, explained: &[Explained]) -> Result<(), Failure> {
    match format {
        Format::Json => {
            let mut checks: Vec<_> = outcomes.iter().map(outcome_json).collect();
            for (check, explained) in checks.iter_mut().zip(explained) {
                if let Some(check) = check.as_object_mut() {
                    check.insert("explained".to_owned(), explained.json.clone());
                }
            }
            json(&serde_json::json!({ "verdict": worst(outcomes), "checks": checks }))
        }
        Format::Nagios => {
            let mut text = nagios(outcomes);
            for line in explained.iter().flat_map(|explained| &explained.lines) {
                text.push('\n');
                text.push_str(&plain(line));
            }
            out(&text)
        }
        Format::Text => {
            let mut text = String::new();
            for (index, outcome) in outcomes.iter().enumerate() {
                text_of(&mut text, outcome);
                for line in explained.get(index).into_iter().flat_map(|explained| &explained.lines) {
                    // Writing to a String cannot fail.
                    let _ = writeln!(text, "    {line}");
                }
            }
            text.push_str(&summary(outcomes));
            out(&text)
        }
    }
}

/// Prints one look of `inspect`: `{verdict, findings, observation}` as JSON.
pub fn inspection(outcome: &Outcome, format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => json(&serde_json::json!({
            "verdict": outcome.verdict,
            "cause": outcome.cause,
            "why": outcome.why,
            "findings": outcome.findings,
            "observation": observation(outcome),
        })),
        Format::Nagios => out(&nagios(std::slice::from_ref(outcome))),
        Format::Text => {
            let mut text = String::new();
            text_of(&mut text, outcome);
            facts_of(&mut text, &observation(outcome), 1);
            out(text.trim_end())
        }
    }
}

/// The facts as a JSON value; `null` when nothing was observed.
pub fn observation(outcome: &Outcome) -> serde_json::Value {
    let facts = outcome.facts.as_ref().and_then(|facts| serde_json::from_str(facts.get()).ok());
    facts.unwrap_or(serde_json::Value::Null)
}

fn outcome_json(outcome: &Outcome) -> serde_json::Value {
    serde_json::json!({
        "check": outcome.check,
        "verdict": outcome.verdict,
        "cause": outcome.cause,
        "why": outcome.why,
        "at": outcome.at,
        "took_seconds": outcome.took.as_secs_f64(),
        "status": outcome.status,
        "phases": outcome.timings,
        "steps": outcome.steps.iter().map(step_json).collect::<Vec<_>>(),
        "findings": outcome.findings,
        "observation": observation(outcome),
    })
}

fn step_json(step: &StepTime) -> serde_json::Value {
    serde_json::json!({ "name": step.name, "took_seconds": step.took.as_secs_f64() })
}

/// The colour of a verdict.
pub fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Pass => Style::new().green(),
        Verdict::Warn => Style::new().yellow(),
        Verdict::Fail => Style::new().red().bold(),
        Verdict::Unknown => Style::new().magenta(),
    }
}

fn text_of(text: &mut String, outcome: &Outcome) {
    let word = format!("{:7}", outcome.verdict.as_str());
    let word = word.if_supports_color(Stream::Stdout, |word| word.style(style(outcome.verdict))).to_string();
    let took = outcome.took.as_secs_f64() * 1_000.0;
    let status = outcome.status.map(|status| format!("  {status}")).unwrap_or_default();
    let _ = writeln!(text, "{word} {}{status}  {took:.0} ms", outcome.check);
    if let (Some(cause), Some(why)) = (outcome.cause, &outcome.why) {
        let _ = writeln!(text, "    {cause}: {why}");
    }
    for finding in &outcome.findings {
        let _ = writeln!(text, "    {}", finding_line(finding));
        for line in finding.transcript() {
            let _ = writeln!(text, "        {}", one_line(line));
        }
    }
    for step in &outcome.steps {
        let _ = writeln!(text, "    step {}  {:.0} ms", step.name, step.took.as_secs_f64() * 1_000.0);
    }
}

/// What comes from a portal or a config, without what would start another line or move the cursor.
pub fn one_line(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut line, char| {
        if char.is_control() {
            line.extend(char.escape_default())
        } else {
            line.push(char)
        }
        line
    })
}

/// One finding as a line for people.
pub fn finding_line(finding: &Finding) -> String {
    let unmeasured = if finding.measured { "" } else { " (not measured)" };
    format!("{} {} [{}]: {}{unmeasured}", finding.severity, finding.id, finding.subject, finding.summary)
}

fn summary(outcomes: &[Outcome]) -> String {
    let parts: Vec<String> = Verdict::ALL
        .into_iter()
        .map(|verdict| (verdict, outcomes.iter().filter(|outcome| outcome.verdict == verdict).count()))
        .filter(|(_, count)| *count > 0)
        .map(|(verdict, count)| format!("{count} {verdict}"))
        .collect();
    format!("{} checks: {}", outcomes.len(), parts.join(", "))
}

/// Facts as an indented list, nested maps below their key.
pub fn facts_of(text: &mut String, value: &serde_json::Value, depth: usize) {
    let indent = "    ".repeat(depth);
    let serde_json::Value::Object(map) = value else {
        let _ = writeln!(text, "{indent}{}", scalar(value));
        return;
    };
    for (key, value) in map {
        match value {
            serde_json::Value::Null => {}
            serde_json::Value::Object(inner) if inner.is_empty() => {}
            serde_json::Value::Array(inner) if inner.is_empty() => {}
            serde_json::Value::Object(_) => {
                let _ = writeln!(text, "{indent}{key}:");
                facts_of(text, value, depth + 1);
            }
            serde_json::Value::Array(items) => {
                let _ = writeln!(text, "{indent}{key}:");
                for item in items {
                    let _ = writeln!(text, "{indent}  - {}", scalar(item));
                }
            }
            _ => {
                let _ = writeln!(text, "{indent}{key}: {}", scalar(value));
            }
        }
    }
}

fn scalar(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.escape_debug().to_string(),
        other => other.to_string(),
    }
}

/// A Nagios plugin's output (monitoring-plugins guidelines): a status line with performance data,
/// then one line per finding.
fn nagios(outcomes: &[Outcome]) -> String {
    let verdict = worst(outcomes);
    let word = match verdict {
        Verdict::Pass => "OK",
        Verdict::Warn => "WARNING",
        Verdict::Fail => "CRITICAL",
        Verdict::Unknown => "UNKNOWN",
    };
    let said = match outcomes {
        [only] => first_words(only),
        many => summary(many),
    };
    let perfdata: Vec<String> = outcomes.iter().flat_map(perfdata).collect();
    let mut text = format!("PORTALWATCH {word}: {} | {}", plain(&said), perfdata.join(" "));
    for outcome in outcomes.iter().filter(|_| outcomes.len() > 1) {
        let _ = write!(text, "\n{} {}: {}", outcome.verdict, outcome.check, plain(&first_words(outcome)));
    }
    for finding in outcomes.iter().flat_map(|outcome| &outcome.findings) {
        if finding.severity >= Severity::Notice {
            let _ = write!(text, "\n{}", plain(&finding_line(finding)));
        }
    }
    text
}

/// `|` starts performance data and a newline starts a new line: neither may come from outside.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c == '|' {
                '¦'
            } else if c.is_control() {
                ' '
            } else {
                c
            }
        })
        .collect()
}

fn first_words(outcome: &Outcome) -> String {
    if let (Some(cause), Some(why)) = (outcome.cause, &outcome.why) {
        return format!("{cause}: {why}");
    }
    match outcome.findings.iter().find(|finding| finding.alerts()) {
        Some(finding) => finding.summary.clone(),
        None => match outcome.status {
            Some(status) => format!("answered {status} in {:.0} ms", outcome.took.as_secs_f64() * 1_000.0),
            None => "well".to_owned(),
        },
    }
}

fn perfdata(outcome: &Outcome) -> Vec<String> {
    let label = |name: &str| format!("'{}'", format!("{} {name}", outcome.check).replace('\'', "''"));
    let mut data = vec![format!("{}={:.6}s;;;0", label("time"), outcome.took.as_secs_f64())];
    data.extend(
        outcome
            .timings
            .iter()
            .map(|(phase, took)| format!("{}={:.6}s;;;0", label(phase.as_str()), took.as_secs_f64())),
    );
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CheckId, Phase, Timings};

    fn outcome(verdict: Verdict, summary: &str) -> Outcome {
        const DOC: crate::model::FindingDoc = crate::model::FindingDoc {
            id: "http.status",
            severity: Severity::Critical,
            broken: true,
            meaning: "",
            why: "",
            fix: "",
            reference: None,
            confirm: None,
        };
        let mut timings = Timings::default();
        timings.add(Phase::Connect, std::time::Duration::from_millis(2));
        Outcome {
            check: CheckId::from("acme/it's"),
            at: jiff::Timestamp::UNIX_EPOCH,
            took: std::time::Duration::from_millis(12),
            verdict,
            cause: None,
            why: None,
            findings: if summary.is_empty() { vec![] } else { vec![Finding::of(&DOC, "/", summary)] },
            status: Some(502),
            timings,
            steps: Vec::new(),
            facts: None,
            transport: false,
            recheck: false,
        }
    }

    #[test]
    fn each_step_that_was_begun_has_its_line_and_its_time() {
        let took = std::time::Duration::from_millis(1_250);
        let steps = vec![StepTime { name: "sign in".into(), took }];
        let with = Outcome { steps, ..outcome(Verdict::Pass, "") };
        let mut text = String::new();
        text_of(&mut text, &with);
        assert_eq!(text.lines().nth(1), Some("    step sign in  1250 ms"), "{text}");
        let steps = serde_json::json!([{ "name": "sign in", "took_seconds": 1.25 }]);
        assert_eq!(outcome_json(&with)["steps"], steps);
        assert_eq!(outcome_json(&outcome(Verdict::Pass, ""))["steps"], serde_json::json!([]));
    }

    #[test]
    fn a_page_cannot_forge_performance_data() {
        let text = nagios(&[outcome(Verdict::Fail, "answered 502 | 'time'=0s\nOK")]);
        let first = text.lines().next().unwrap();
        assert_eq!(
            first,
            "PORTALWATCH CRITICAL: answered 502 ¦ 'time'=0s OK | 'acme/it''s time'=0.012000s;;;0 'acme/it''s connect'=0.002000s;;;0"
        );
        assert_eq!(text.lines().count(), 2);
    }

    #[test]
    fn what_could_not_be_measured_does_not_hide_what_is_broken() {
        let all = [outcome(Verdict::Fail, "x"), outcome(Verdict::Unknown, ""), outcome(Verdict::Pass, "")];
        assert_eq!(worst(&all), Verdict::Fail);
        assert_eq!(worst(&all[1..]), Verdict::Unknown);
    }
}
