//! Uptime and coverage, by check and portal, with the time of incidents beside.

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde_json::{Value, json};

use super::chart;
use super::incidents::within;
use super::range::{Range, months};
use super::{Basis, Report, length, percent, table};
use crate::model::{CheckId, Finding, Incident};
use crate::record::reading::Stretch;
use crate::record::{StoreError, UptimeRow};
use crate::stats::uptime::Uptime;

/// The windows of `--windows`, in hours.
const WINDOWS: [(&str, i64); 6] =
    [("1h", 1), ("24h", 24), ("7d", 168), ("30d", 720), ("90d", 2_160), ("365d", 8_760)];
const HOUR: i64 = 3_600_000;
const NOTE: &str = "Uptime is the share of the known time; coverage is the share of the watched time that is known. \
A check is watched from its first result on. Times and counts of a portal are sums over its checks.";

/// What the colours of a strip mean.
const LEGEND: &str = "Strips go from the beginning to the end of the report: green is up, yellow down for up to \
5 % of the known time, red for more, grey not known.";

/// One line of a report: a check, or a portal.
struct Row {
    name: String,
    uptime: Uptime,
    /// The time in which something could be known.
    total: u64,
    runs: u64,
    failed: u64,
    /// Incidents, and the exact time of those that broke something.
    incidents: usize,
    broken: u64,
    /// Of a portal: its worst check.
    worst: Option<(CheckId, f64)>,
}

pub async fn report(basis: &Basis<'_>, range: Range, charts: bool) -> Result<Report, StoreError> {
    let stretch = basis.reading.stretch(range.from, range.to);
    let checks = checks(basis, &stretch).await?;
    let portals = portals(basis, &checks);
    let mut strips: BTreeMap<String, Markup> = BTreeMap::new();
    if charts {
        for check in &basis.checks {
            let bounds = chart::bounds(&stretch);
            let slices = basis.reading.slices(&check.id, &stretch, &bounds).await?;
            let bars: Vec<_> =
                bounds.iter().zip(&slices).map(|(from, slice)| (basis.told(*from), slice.uptime)).collect();
            strips.insert(check.id.to_string(), chart::strip(&bars));
        }
    }
    let heading = format!(
        "Uptime from {} to {} ({})",
        basis.told(stretch.from),
        basis.told(stretch.to),
        length(stretch.length())
    );
    let of_portals = match portals.as_slice() {
        [] => String::new(),
        some => format!("{}\n\n", table(&text_rows("portal", some))),
    };
    let text = format!("{heading}\n\n{of_portals}{}\n\n{NOTE}", table(&text_rows("check", &checks)));
    let json = json!({
        "from": basis.exact(stamp(stretch.from)),
        "to": basis.exact(stamp(stretch.to)),
        "portals": portals.iter().map(json_row).collect::<Vec<_>>(),
        "checks": checks.iter().map(json_row).collect::<Vec<_>>(),
    });
    let page = html! {
        p { (heading) }
        @if !portals.is_empty() {
            h2 { "Portals" }
            (html_table(&portals, &BTreeMap::new()))
        }
        h2 { "Checks" }
        (html_table(&checks, &strips))
        @if charts { p { (LEGEND) } }
        p { (NOTE) }
    };
    Ok(Report { text, json, csv: csv_rows(&portals, &checks), title: "Uptime", page })
}

fn stamp(millis: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

async fn checks(basis: &Basis<'_>, stretch: &Stretch) -> Result<Vec<Row>, StoreError> {
    let uptimes = basis.reading.uptimes(stretch).await?;
    let (from, to) = (stamp(stretch.from), stamp(stretch.to));
    let incidents = basis.recorded.store.incidents(from, to).await?;
    let known = basis.reading.known();
    let row = |id: &CheckId| {
        let own: Vec<_> = incidents.iter().filter(|incident| incident.check == *id).collect();
        let since = known.iter().find(|known| known.check == *id).and_then(|known| known.since);
        let since = since.map_or(stretch.from, |since| since.as_millisecond());
        let found = uptimes.iter().find(|row| row.check == *id);
        let empty = UptimeRow { check: id.clone(), uptime: Uptime::default(), runs: 0, failed: 0 };
        let UptimeRow { uptime, runs, failed, .. } = found.cloned().unwrap_or(empty);
        Row {
            name: id.to_string(),
            uptime,
            total: u64::try_from(stretch.to - since.max(stretch.from)).unwrap_or(0),
            runs,
            failed,
            incidents: own.len(),
            broken: 0,
            worst: None,
        }
    };
    let mut rows: Vec<Row> = basis.checks.iter().map(|check| row(&check.id)).collect();
    for incident in &incidents {
        if let Some(place) = basis.checks.iter().position(|check| check.id == incident.check)
            && let Some(row) = rows.get_mut(place)
        {
            row.broken += broken(basis, incident, stretch).await?;
        }
    }
    Ok(rows)
}

/// For how long something was broken in an incident, within a stretch. One that was of no other kind was
/// broken from its first result to its end, whether or not anybody looked; of one that was also a warning
/// it is the time for which its results failed.
async fn broken(basis: &Basis<'_>, incident: &Incident, stretch: &Stretch) -> Result<u64, StoreError> {
    let lasted = within(incident, stretch.from, stretch.to);
    let is_broken = |finding: &Finding| finding.broken;
    if lasted == 0 || !incident.worst().is_some_and(is_broken) {
        return Ok(0);
    }
    let from = incident.started.as_millisecond().max(stretch.from);
    let to = from + i64::try_from(lasted).unwrap_or(i64::MAX);
    let own = basis.reading.stretch(stamp(from), stamp(to));
    let whole = basis.reading.whole(&incident.check, &own).await?;
    // Where all that is known of it is bad, what is not known lies between bad results.
    Ok(if whole.uptime.up == 0 { lasted } else { whole.uptime.down.min(lasted) })
}

/// The portals: their checks that count, weighed by time, and the worst of them. Only those of which all
/// such checks are looked at.
fn portals(basis: &Basis<'_>, checks: &[Row]) -> Vec<Row> {
    let mut portals: Vec<Row> = Vec::new();
    let is_whole = |portal: &str| {
        let mut all =
            basis.recorded.checks.iter().filter(|check| check.counts && check.id.portal() == portal);
        all.all(|one| basis.checks.iter().any(|check| check.id == one.id))
    };
    for (check, row) in basis.checks.iter().zip(checks).filter(|(check, _)| check.counts) {
        let name = check.id.portal();
        if !is_whole(name) {
            continue;
        }
        let position = portals.iter().position(|portal| portal.name == name).unwrap_or_else(|| {
            portals.push(Row {
                name: name.to_owned(),
                uptime: Uptime::default(),
                total: 0,
                runs: 0,
                failed: 0,
                incidents: 0,
                broken: 0,
                worst: None,
            });
            portals.len() - 1
        });
        let Some(portal) = portals.get_mut(position) else { continue };
        portal.uptime.add(row.uptime);
        portal.total += row.total;
        portal.runs += row.runs;
        portal.failed += row.failed;
        portal.incidents += row.incidents;
        portal.broken += row.broken;
        if let Some(ratio) = row.uptime.ratio()
            && portal.worst.as_ref().is_none_or(|(_, worst)| ratio < *worst)
        {
            portal.worst = Some((check.id.clone(), ratio));
        }
    }
    portals
}

fn share(ratio: Option<f64>) -> String {
    ratio.map_or("unknown".to_owned(), percent)
}

fn text_rows(first: &str, rows: &[Row]) -> Vec<Vec<String>> {
    let worst = rows.iter().any(|row| row.worst.is_some());
    let heading =
        [first, "uptime", "down", "coverage", "watched", "runs", "failed", "incidents", "broken for"];
    let mut all = vec![heading.map(str::to_owned).to_vec()];
    if worst && let Some(heading) = all.first_mut() {
        heading.push("worst check".to_owned());
    }
    for row in rows {
        let mut cells = vec![
            row.name.clone(),
            share(row.uptime.ratio()),
            length(row.uptime.down),
            percent(row.uptime.coverage(row.total)),
            length(row.total),
            row.runs.to_string(),
            row.failed.to_string(),
            row.incidents.to_string(),
            length(row.broken),
        ];
        if let Some((check, ratio)) = &row.worst {
            cells.push(format!("{} {}", check.name(), percent(*ratio)));
        }
        all.push(cells);
    }
    all
}

fn json_row(row: &Row) -> Value {
    let mut value = json!({
        "name": row.name,
        "uptime": row.uptime.ratio(),
        "coverage": row.uptime.coverage(row.total),
        "up_seconds": seconds(row.uptime.up),
        "down_seconds": seconds(row.uptime.down),
        "planned_seconds": seconds(row.uptime.planned),
        "watched_seconds": seconds(row.total),
        "runs": row.runs,
        "failed": row.failed,
        "incidents": row.incidents,
        "broken_seconds": seconds(row.broken),
    });
    if let (Some((check, ratio)), Some(map)) = (&row.worst, value.as_object_mut()) {
        map.insert("worst".to_owned(), json!({"check": check, "uptime": ratio}));
    }
    value
}

#[expect(clippy::cast_precision_loss, reason = "centuries in milliseconds fit a float")]
fn seconds(millis: u64) -> f64 {
    millis as f64 / 1_000.0
}

fn csv_rows(portals: &[Row], checks: &[Row]) -> Vec<Vec<String>> {
    let heading = [
        "of",
        "name",
        "uptime",
        "coverage",
        "up_seconds",
        "down_seconds",
        "planned_seconds",
        "runs",
        "failed",
        "incidents",
        "broken_seconds",
        "watched_seconds",
    ];
    let row = |of: &str, row: &Row| {
        vec![
            of.to_owned(),
            row.name.clone(),
            row.uptime.ratio().map_or(String::new(), |ratio| ratio.to_string()),
            row.uptime.coverage(row.total).to_string(),
            seconds(row.uptime.up).to_string(),
            seconds(row.uptime.down).to_string(),
            seconds(row.uptime.planned).to_string(),
            row.runs.to_string(),
            row.failed.to_string(),
            row.incidents.to_string(),
            seconds(row.broken).to_string(),
            seconds(row.total).to_string(),
        ]
    };
    let portals = portals.iter().map(|one| row("portal", one));
    let rows = portals.chain(checks.iter().map(|one| row("check", one)));
    std::iter::once(heading.map(str::to_owned).to_vec()).chain(rows).collect()
}

fn html_table(rows: &[Row], strips: &BTreeMap<String, Markup>) -> Markup {
    html! {
        table {
            thead { tr {
                @for title in ["", "Uptime", "Down", "Coverage", "Watched", "Runs", "Failed", "Incidents", "Broken for"] {
                    th { (title) }
                }
            } }
            tbody {
                @for row in rows {
                    tr {
                        td {
                            (row.name)
                            @if let Some((check, ratio)) = &row.worst {
                                small { " worst: " (check.name()) " " (percent(*ratio)) }
                            }
                        }
                        td { (share(row.uptime.ratio())) }
                        td { (length(row.uptime.down)) }
                        td { (percent(row.uptime.coverage(row.total))) }
                        td { (length(row.total)) }
                        td { (row.runs) } td { (row.failed) } td { (row.incidents) }
                        td { (length(row.broken)) }
                    }
                    @if let Some(strip) = strips.get(&row.name) {
                        tr { td colspan="9" { (strip) } }
                    }
                }
            }
        }
    }
}

/// The usual windows up to now, and the calendar months of the last year.
pub async fn windows(basis: &Basis<'_>) -> Result<Report, StoreError> {
    let now = basis.now.as_millisecond();
    let mut stretches: Vec<(String, Stretch)> = WINDOWS
        .iter()
        .map(|(name, hours)| {
            let from = stamp(now - hours * HOUR);
            ((*name).to_owned(), basis.reading.stretch(from, basis.now))
        })
        .collect();
    for month in months(basis.now, 12, &basis.zone).windows(2) {
        let [from, to] = month else { continue };
        let name = from.to_zoned(basis.zone.clone()).strftime("%Y-%m").to_string();
        stretches.push((name, basis.reading.stretch(*from, (*to).min(basis.now))));
    }
    let mut columns = Vec::new();
    for (name, stretch) in &stretches {
        let checks = checks(basis, stretch).await?;
        let rows: Vec<Row> = portals(basis, &checks).into_iter().chain(checks).collect();
        columns.push((name.clone(), rows));
    }
    // What was not there yet in a month has no cell to fill.
    columns.retain(|(_, rows)| rows.iter().any(|row| row.runs > 0 || row.uptime != Uptime::default()));
    let names: Vec<String> = columns
        .iter()
        .flat_map(|(_, rows)| rows.iter().map(|row| row.name.clone()))
        .fold(Vec::new(), |mut names, name| {
            if !names.contains(&name) {
                names.push(name);
            }
            names
        });
    let mut text =
        vec![std::iter::once(String::new()).chain(columns.iter().map(|(name, _)| name.clone())).collect()];
    let mut csv =
        vec![["name", "window", "uptime", "coverage", "watched_seconds"].map(str::to_owned).to_vec()];
    let mut json_rows = Vec::new();
    for name in &names {
        let mut row = vec![name.clone()];
        for (window, rows) in &columns {
            let found = rows.iter().find(|row| row.name == *name);
            let found = found.map(|row| (row.uptime.ratio(), row.uptime.coverage(row.total), row));
            let whole = stretches.iter().find(|(name, _)| name == window).map_or(0, |(_, one)| one.length());
            row.push(found.map_or("-".to_owned(), |(ratio, coverage, row)| {
                let short = row.worst.is_none() && row.total < whole;
                let watched = if short { format!(", watched {}", length(row.total)) } else { String::new() };
                format!("{} ({} known{watched})", share(ratio), percent(coverage))
            }));
            if let Some((ratio, coverage, found)) = found {
                let ratio_text = ratio.map_or(String::new(), |ratio| ratio.to_string());
                let watched = seconds(found.total);
                csv.push(vec![
                    name.clone(),
                    window.clone(),
                    ratio_text,
                    coverage.to_string(),
                    watched.to_string(),
                ]);
                json_rows.push(json!({
                    "name": name, "window": window, "uptime": ratio, "coverage": coverage,
                    "watched_seconds": watched,
                }));
            }
        }
        text.push(row);
    }
    // Windows below each other are easier to read than beside each other.
    let turned: Vec<Vec<String>> = (0..columns.len() + 1)
        .map(|column| {
            text.iter().map(|row: &Vec<String>| row.get(column).cloned().unwrap_or_default()).collect()
        })
        .collect();
    let page = html! {
        table {
            @for row in &turned { tr { @for cell in row { td { (cell) } } } }
        }
    };
    let json = json!({"at": basis.exact(basis.now), "windows": json_rows});
    let text = format!("Uptime up to {}\n\n{}", basis.told(now), table(&turned));
    Ok(Report { text, json, csv, title: "Uptime", page })
}
