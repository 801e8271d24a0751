//! Percentiles of durations, by check and part.

use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::chart::{self, Line};
use super::range::Range;
use super::{Basis, Report, length, table};
use crate::model::{CheckId, Part};
use crate::record::StoreError;
use crate::record::reading::Stretch;
use crate::stats::budget::{name, told};
use crate::stats::rollup::{Grain, Rolled};
use crate::stats::sketch::{Quantile, Sketch};

/// The quantiles that are told; the longest is exact, the others within one percent.
const QUANTILES: [f64; 5] = [0.5, 0.9, 0.95, 0.99, 1.0];
/// The lines of a chart.
const LINES: [f64; 3] = [0.5, 0.95, 0.99];

const NOTE: &str = "A run that ended at its time limit is cut off: it counts as at least so long, and a percentile \
that lies among such runs is marked with ≥. What failed sooner is no sample.";

pub async fn report(basis: &Basis<'_>, range: Range, charts: bool) -> Result<Report, StoreError> {
    let stretch = basis.reading.stretch(range.from, range.to);
    let mut all = Vec::new();
    for check in &basis.checks {
        let whole = basis.reading.whole(&check.id, &stretch).await?;
        let chart = if charts { Some(chart(basis, &check.id, &stretch).await?) } else { None };
        all.push((&check.id, whole, chart));
    }
    let heading = format!(
        "Latency from {} to {} ({})",
        basis.told(stretch.from),
        basis.told(stretch.to),
        length(stretch.length())
    );
    let mut rows =
        vec![["", "samples", "cut off"].map(str::to_owned).into_iter().chain(QUANTILES.map(name)).collect()];
    let mut csv = vec![
        ["check", "part", "samples", "cut_off"]
            .map(str::to_owned)
            .into_iter()
            .chain(QUANTILES.iter().map(|q| format!("{}_seconds", name(*q))))
            .collect(),
    ];
    let mut json_checks = Vec::new();
    for (check, whole, _) in &all {
        rows.push(vec![check.to_string()]);
        let mut parts = Vec::new();
        for (part, sketch) in whole.latencies.iter() {
            rows.push(text_row(part, sketch));
            csv.push(csv_row(check, part, sketch));
            parts.push(json_part(part, sketch));
        }
        if parts.is_empty() {
            rows.push(vec!["  no samples".to_owned()]);
        }
        json_checks.push(json!({"check": check, "parts": parts}));
    }
    let page = html! {
        p { (heading) }
        @for (check, whole, chart) in &all { (section(check, whole, chart.as_ref())) }
        p { (NOTE) }
    };
    let json = json!({
        "from": basis.exact(stamp(stretch.from)),
        "to": basis.exact(stamp(stretch.to)),
        "relative_error": crate::stats::sketch::ACCURACY,
        "checks": json_checks,
    });
    Ok(Report { text: format!("{heading}\n\n{}\n\n{NOTE}", table(&rows)), json, csv, title: "Latency", page })
}

fn stamp(millis: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

fn written(quantile: Option<Quantile>) -> String {
    match quantile {
        Some(Quantile { value, at_least: true }) => format!("≥ {}", told(value)),
        Some(Quantile { value, .. }) => told(value),
        None => "-".to_owned(),
    }
}

fn text_row(part: &Part, sketch: &Sketch) -> Vec<String> {
    let counts = [format!("  {part}"), sketch.count().to_string(), sketch.censored().to_string()];
    counts.into_iter().chain(QUANTILES.map(|q| written(sketch.quantile(q)))).collect()
}

fn csv_row(check: &CheckId, part: &Part, sketch: &Sketch) -> Vec<String> {
    let seconds = |q: &f64| sketch.quantile(*q).map_or(String::new(), |q| q.value.as_secs_f64().to_string());
    let counts = [check.to_string(), key(part), sketch.count().to_string(), sketch.censored().to_string()];
    counts.into_iter().chain(QUANTILES.iter().map(seconds)).collect()
}

/// A part for programs: `whole`, `phase:dns`, `step:sign in`.
fn key(part: &Part) -> String {
    match part {
        Part::Whole => "whole".to_owned(),
        Part::Phase(phase) => format!("phase:{phase}"),
        Part::Step(step) => format!("step:{step}"),
    }
}

fn json_part(part: &Part, sketch: &Sketch) -> Value {
    let (mut seconds, mut at_least) = (Map::new(), Vec::new());
    for q in QUANTILES {
        if let Some(found) = sketch.quantile(q) {
            seconds.insert(name(q), json!(found.value.as_secs_f64()));
            if found.at_least {
                at_least.push(name(q));
            }
        }
    }
    json!({
        "part": key(part),
        "samples": sketch.count(),
        "cut_off": sketch.censored(),
        "seconds": seconds,
        "at_least": at_least,
    })
}

async fn chart(basis: &Basis<'_>, check: &CheckId, stretch: &Stretch) -> Result<Markup, StoreError> {
    let bounds = chart::bounds(stretch);
    let slices = basis.reading.slices(check, stretch, &bounds).await?;
    let point = |slice: &Rolled, q: f64| {
        let found = slice.latencies.get(&Part::Whole)?.quantile(q)?;
        Some(found.value.as_secs_f64())
    };
    let lines: Vec<Line> = LINES
        .iter()
        .map(|q| Line { name: name(*q), points: slices.iter().map(|slice| point(slice, *q)).collect() })
        .collect();
    let from = bounds.first().copied().unwrap_or(stretch.from);
    Ok(chart::lines(&lines, &basis.told(Grain::Minute.floor(from)), &basis.told(stretch.to)))
}

fn section(check: &CheckId, whole: &Rolled, chart: Option<&Markup>) -> Markup {
    html! {
        h2 { (check) }
        @if whole.latencies.is_empty() {
            p { "No samples." }
        } @else {
            @if let Some(chart) = chart { (chart) }
            table {
                thead { tr {
                    th { "Part" } th { "Samples" } th { "Cut off" }
                    @for q in QUANTILES { th { (name(q)) } }
                } }
                tbody {
                    @for (part, sketch) in whole.latencies.iter() {
                        tr {
                            td { (part) } td { (sketch.count()) } td { (sketch.censored()) }
                            @for q in QUANTILES { td { (written(sketch.quantile(q))) } }
                        }
                    }
                }
            }
        }
    }
}
