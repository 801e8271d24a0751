//! `portalwatch report`: percentiles, uptime and incidents, from the store.

mod chart;
mod csv;
mod incidents;
mod latency;
mod page;
mod range;
mod uptime;

use std::collections::HashMap;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use self::range::Range;
use super::{Answer, ConfigPath, Failure, check, print};
use crate::app::{self, ConfiguredCheck, Recorded, RecordedError};
use crate::clock::{Clock as _, SystemClock};
use crate::model::CheckId;
use crate::record::StoreError;
use crate::record::reading::Reading;
use crate::stats::samples::Rules;

#[derive(Args)]
pub struct ReportArgs {
    /// What to report
    #[arg(value_enum)]
    what: What,
    /// Checks by id, `portal/check`; globs as for `check`. Without any: all
    #[arg(value_name = "NAME-GLOB")]
    globs: Vec<String>,
    #[command(flatten)]
    config: ConfigPath,
    /// From when: a duration back from now (30d), a day (2026-10-01) or an instant
    #[arg(long, value_name = "TIME", default_value = "30d", conflicts_with = "month")]
    since: String,
    /// Until when: a day, which is not part of it any more, or an instant; now if not given
    #[arg(long, value_name = "TIME", conflicts_with = "month")]
    until: Option<String>,
    /// A calendar month
    #[arg(long, value_name = "YYYY-MM")]
    month: Option<String>,
    /// Uptime of the last hour, day, week, month (30d), quarter (90d) and year (365d), and of the
    /// calendar months within the year
    #[arg(long)]
    windows: bool,
    /// The time zone of days, months and times; notify.timezone if not given
    #[arg(long, value_name = "IANA")]
    timezone: Option<String>,
    /// How to print it
    #[arg(long, value_enum, default_value = "text")]
    format: ReportFormat,
}

/// What there is to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Percentiles of durations, by check, step and phase
    Latency,
    /// Uptime and coverage, by check and portal
    Uptime,
    /// What was wrong, and for how long
    Incidents,
}

/// How reports are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    /// For people
    Text,
    /// One JSON document
    Json,
    /// Comma-separated values (RFC 4180) with a heading
    Csv,
    /// A page with charts, in one file
    Html,
}

/// What a report is made from.
struct Basis<'b> {
    recorded: &'b Recorded,
    reading: Reading<'b>,
    checks: Vec<&'b ConfiguredCheck>,
    zone: TimeZone,
    now: Timestamp,
}

impl Basis<'_> {
    /// An instant for people, with its offset.
    fn told(&self, millis: i64) -> String {
        let at = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH);
        at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S%:z").to_string()
    }

    /// An instant as RFC 3339.
    fn exact(&self, at: Timestamp) -> String {
        at.display_with_offset(self.zone.to_offset(at)).to_string()
    }
}

/// A report, ready to be printed.
struct Report {
    text: String,
    json: serde_json::Value,
    csv: Vec<Vec<String>>,
    title: &'static str,
    /// What stands on the page below its title.
    page: maud::Markup,
}

pub async fn report(args: ReportArgs) -> Answer {
    let recorded = app::recorded(&args.config.config).await.map_err(|error| match error {
        RecordedError::Config(faults) => Failure::config(&faults),
        RecordedError::Store(error) => Failure::own(format!("nothing to report from: {error}")),
    })?;
    let zone = match &args.timezone {
        Some(name) => TimeZone::get(name).map_err(|_| {
            Failure::usage(format!(
                "--timezone {name}: no such time zone; write one such as Europe/Amsterdam"
            ))
        })?,
        None => recorded.timezone.clone(),
    };
    let now = SystemClock.now();
    let range = Range::of(&args.since, args.until.as_deref(), args.month.as_deref(), now, &zone)
        .map_err(Failure::usage)?;
    let wanted =
        |id: &CheckId| args.globs.is_empty() || args.globs.iter().any(|glob| check::matches(glob, id));
    let checks: Vec<&ConfiguredCheck> = recorded.checks.iter().filter(|check| wanted(&check.id)).collect();
    if checks.is_empty() {
        return Err(Failure::usage(format!("no check matches {}", args.globs.join(" "))));
    }
    let rules: HashMap<CheckId, Rules> =
        recorded.checks.iter().map(|check| (check.id.clone(), check.rules)).collect();
    let reading = Reading::new(&*recorded.store, rules).await.map_err(own)?;
    let basis = Basis { recorded: &recorded, reading, checks, zone, now };
    let charts = args.format == ReportFormat::Html;
    let report = match args.what {
        What::Latency => latency::report(&basis, range, charts).await,
        What::Uptime if args.windows => uptime::windows(&basis).await,
        What::Uptime => uptime::report(&basis, range, charts).await,
        What::Incidents => incidents::report(&basis, range).await,
    };
    let report = report.map_err(own)?;
    match args.format {
        ReportFormat::Text => print::out(&report.text)?,
        ReportFormat::Json => print::json(&report.json)?,
        ReportFormat::Csv => print::out(csv::text(&report.csv).trim_end())?,
        ReportFormat::Html => print::out(&page::page(&report, &basis).into_string())?,
    }
    Ok(0)
}

fn own(error: StoreError) -> Failure {
    Failure::own(error.to_string())
}

/// A table of text: the first column to the left, the others to the right.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cell = |(column, cell): (usize, &String)| {
            let width = widths.get(column).copied().unwrap_or(0);
            if column == 0 { format!("{cell:width$}") } else { format!("{cell:>width$}") }
        };
        let cells: Vec<String> = row.iter().enumerate().map(cell).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A share in percent, cut and not rounded: what is not whole is never shown as 100.
fn percent(share: f64) -> String {
    let cut = (share * 100_000.0 + 1e-6).floor() / 1_000.0;
    format!("{cut:.3} %")
}

/// A length of time in milliseconds, for people.
fn length(millis: u64) -> String {
    let rounded = if millis >= 1_000 { millis / 1_000 * 1_000 } else { millis };
    crate::model::HumanDuration(std::time::Duration::from_millis(rounded)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_down_for_a_moment_is_never_a_hundred_percent() {
        let all = [1.0, 0.999_999_9, 0.999_543_2, 0.5, 0.0].map(percent);
        assert_eq!(all, ["100.000 %", "99.999 %", "99.954 %", "50.000 %", "0.000 %"]);
    }

    #[test]
    fn columns_stand_below_each_other() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let text = table(&[row(["check", "p50", "p95"]), row(["acme/health", "1 ms", "1200 ms"])]);
        assert_eq!(text, "check         p50      p95\nacme/health  1 ms  1200 ms");
    }
}
