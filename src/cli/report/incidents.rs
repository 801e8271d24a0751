//! What was wrong, and for how long.

use maud::html;
use serde_json::json;

use super::range::Range;
use super::{Basis, Report, length, table};
use crate::model::Incident;
use crate::model::glob::matches;
use crate::record::StoreError;

/// How long an incident lasted within `from..to`, in milliseconds.
pub fn within(incident: &Incident, from: i64, to: i64) -> u64 {
    let ended = incident.ended.map_or(to, |ended| ended.as_millisecond());
    let lasted = ended.min(to) - incident.started.as_millisecond().max(from);
    u64::try_from(lasted).unwrap_or(0)
}

/// Those of the checks that are asked for; without any every one that is recorded, those of checks that
/// were removed, of objectives and of the monitor too.
pub async fn report(basis: &Basis<'_>, range: Range, globs: &[String]) -> Result<Report, StoreError> {
    let (from, to) = (range.from.as_millisecond(), range.to.as_millisecond());
    let mut incidents = basis.recorded.store.incidents(range.from, range.to).await?;
    incidents.retain(|one| globs.is_empty() || globs.iter().any(|glob| matches(glob, &one.check)));
    let heading = format!("Incidents from {} to {}: {}", basis.told(from), basis.told(to), incidents.len());
    let headings = ["started", "lasted", "severity", "check", "ended", "what"];
    let mut rows = vec![headings.map(str::to_owned).to_vec()];
    let mut csv = vec![
        ["id", "check", "severity", "started", "ended", "lasted_seconds", "broken", "finding", "summary"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let mut all = Vec::new();
    for incident in &incidents {
        let ended = incident.ended;
        let lasted = within(incident, i64::MIN, basis.now.as_millisecond());
        let worst = incident.worst();
        let summary = worst.map(|finding| super::print::one_line(&finding.summary)).unwrap_or_default();
        let broken = worst.is_some_and(|finding| finding.broken);
        let (severity, id) = (incident.worst_severity(), incident.worst_id());
        rows.push(vec![
            basis.told(incident.started.as_millisecond()),
            length(lasted),
            severity.to_string(),
            incident.check.to_string(),
            ended.map_or("open".to_owned(), |ended| basis.told(ended.as_millisecond())),
            format!("{id}: {summary}"),
        ]);
        let seconds = std::time::Duration::from_millis(lasted).as_secs_f64();
        csv.push(vec![
            incident.id.to_string(),
            incident.check.to_string(),
            severity.to_string(),
            basis.exact(incident.started),
            ended.map_or(String::new(), |ended| basis.exact(ended)),
            seconds.to_string(),
            broken.to_string(),
            id.to_owned(),
            summary.clone(),
        ]);
        all.push(json!({
            "id": incident.id,
            "check": incident.check,
            "severity": severity,
            "started": basis.exact(incident.started),
            "ended": ended.map(|ended| basis.exact(ended)),
            "lasted_seconds": seconds,
            "broken": broken,
            "closed": incident.closed,
            "findings": incident.findings.iter().map(|finding| json!({
                "id": finding.id, "subject": finding.subject, "severity": finding.severity,
                "broken": finding.broken, "summary": finding.summary,
            })).collect::<Vec<_>>(),
        }));
    }
    let text = if incidents.is_empty() { heading.clone() } else { format!("{heading}\n\n{}", left(&rows)) };
    let page = html! {
        p { (heading) }
        table {
            thead { tr { @for title in headings { th { (title) } } } }
            tbody { @for row in rows.iter().skip(1) { tr { @for cell in row { td { (cell) } } } } }
        }
    };
    let json = json!({
        "from": basis.exact(range.from),
        "to": basis.exact(range.to),
        "incidents": all,
    });
    Ok(Report { text, json, csv, title: "Incidents", page })
}

/// A table whose last column, which is text, ends the line.
fn left(rows: &[Vec<String>]) -> String {
    let figures: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().take(row.len().saturating_sub(1)).cloned().collect()).collect();
    let lines: Vec<String> = table(&figures).lines().map(str::to_owned).collect();
    let width = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    let texts = rows.iter().map(|row| row.last().map_or("", String::as_str));
    lines
        .iter()
        .zip(texts)
        .map(|(line, text)| format!("{line:width$}  {text}"))
        .collect::<Vec<_>>()
        .join("\n")
}
