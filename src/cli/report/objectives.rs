//! What is promised of checks together, and what is left of it.

use maud::html;
use serde_json::json;

use super::{Basis, Report, percent, table};
use crate::model::{CheckId, HumanDuration};
use crate::record::StoreError;
use crate::stats::objective::{Promise, Seen};

/// The window of each objective up to now.
pub async fn report(basis: &Basis<'_>, globs: &[String]) -> Result<Report, StoreError> {
    let headings = ["objective", "window", "target", "good", "budget left", "of"];
    let mut rows = vec![headings.map(str::to_owned).to_vec()];
    let mut csv = vec![
        ["objective", "kind", "window_seconds", "target", "good", "budget_left", "part", "threshold_seconds"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let mut all = Vec::new();
    for (objective, checks) in &basis.recorded.objectives {
        let is_of = |check: &CheckId| basis.checks.iter().any(|wanted| wanted.id == *check);
        if !globs.is_empty() && !globs.contains(&objective.name) && !checks.iter().any(is_of) {
            continue;
        }
        let from = basis.now.saturating_sub(objective.window).unwrap_or(jiff::Timestamp::MIN);
        let spent = basis.reading.spent(&objective.of, checks, from, basis.now).await?;
        let left = objective.left(&Seen { window: Some(spent), ..Seen::default() });
        let (kind, part, threshold) = match &objective.of {
            Promise::Availability => ("availability", None, None),
            Promise::Latency { part, threshold } => ("latency", Some(part.to_string()), Some(*threshold)),
        };
        let of = match (&part, threshold) {
            (Some(part), Some(threshold)) => {
                format!("latency of the {part} within {}", HumanDuration(threshold))
            }
            _ => kind.to_owned(),
        };
        let share = |share: Option<f64>| share.map_or("unknown".to_owned(), percent);
        let number = |share: Option<f64>| share.map_or(String::new(), |share| share.to_string());
        rows.push(vec![
            objective.name.clone(),
            HumanDuration(objective.window).to_string(),
            percent(objective.target),
            share(spent.good()),
            match objective.watched(&spent) {
                Some(watched) => format!("{} ({watched})", share(left)),
                None => share(left),
            },
            format!("{of}, {} {}", checks.len(), if checks.len() == 1 { "check" } else { "checks" }),
        ]);
        csv.push(vec![
            objective.name.clone(),
            kind.to_owned(),
            objective.window.as_secs().to_string(),
            objective.target.to_string(),
            number(spent.good()),
            number(left),
            part.clone().unwrap_or_default(),
            threshold.map_or(String::new(), |threshold| threshold.as_secs_f64().to_string()),
        ]);
        all.push(json!({
            "name": objective.name,
            "kind": kind,
            "part": part,
            "threshold_seconds": threshold.map(|threshold| threshold.as_secs_f64()),
            "window_seconds": objective.window.as_secs(),
            "target": objective.target,
            "good": spent.good(),
            "budget_left": left,
            "checks": checks,
        }));
    }
    let heading = format!("Objectives up to {}", basis.told(basis.now.as_millisecond()));
    let body = if all.is_empty() { "none in the config".to_owned() } else { table(&rows) };
    let page = html! {
        p { (heading) }
        table {
            thead { tr { @for title in headings { th { (title) } } } }
            tbody { @for row in rows.iter().skip(1) { tr { @for cell in row { td { (cell) } } } } }
        }
    };
    let json = json!({"at": basis.exact(basis.now), "objectives": all});
    Ok(Report { text: format!("{heading}\n\n{body}"), json, csv, title: "Objectives", page })
}
