//! `portalwatch report`: percentiles, uptime and incidents, from the store.

mod chart;
mod csv;
mod incidents;
mod latency;
mod objectives;
mod page;
pub mod range;
mod uptime;

use std::collections::HashMap;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use self::range::Range;
use super::{Answer, ConfigPath, Failure, print};
use crate::app::{self, ConfiguredCheck, Recorded, RecordedError};
use crate::clock::{Clock as _, SystemClock};
use crate::model::CheckId;
use crate::model::glob::matches;
use crate::record::reading::Reading;
use crate::record::{KnownCheck, StoreError};
use crate::stats::samples::Rules;

#[derive(Args)]
pub struct ReportArgs {
    /// What to report
    #[arg(value_enum)]
    what: What,
    /// Checks by id, `portal/check`; globs as for `check`. They find checks that were removed too, while
    /// their record is kept. Objectives by name, or by their checks. Without any: all of the config, and
    /// every incident
    #[arg(value_name = "NAME-GLOB")]
    globs: Vec<String>,
    #[command(flatten)]
    config: ConfigPath,
    /// From when: a duration back from now (30d, the default), a day (2026-10-01), a time of the zone
    /// (2026-10-01T12:00) or an instant
    #[arg(long, value_name = "TIME", conflicts_with = "month", allow_hyphen_values = true)]
    since: Option<String>,
    /// Until when, as --since; a day is not part of it any more; now if not given
    #[arg(long, value_name = "TIME", conflicts_with = "month", allow_hyphen_values = true)]
    until: Option<String>,
    /// A calendar month
    #[arg(long, value_name = "YYYY-MM")]
    month: Option<String>,
    /// Of uptime: the last hour, day, week, month (30d), quarter (90d) and year (365d), and the
    /// calendar months within the year
    #[arg(long, conflicts_with_all = ["since", "until", "month"])]
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
    /// What is left of the error budgets, each over its own window
    Objectives,
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

    /// An instant as RFC 3339, to the millisecond.
    fn exact(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
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
    let zone = range::zone(args.timezone.as_deref(), &recorded.timezone).map_err(Failure::usage)?;
    unused(&args).map_err(Failure::usage)?;
    let now = SystemClock.now();
    let range = Range::of(
        args.since.as_deref().unwrap_or("30d"),
        args.until.as_deref(),
        args.month.as_deref(),
        now,
        &zone,
    )
    .map_err(Failure::usage)?;
    let rules: HashMap<CheckId, Rules> =
        recorded.checks.iter().map(|check| (check.id.clone(), check.rules)).collect();
    let reading = Reading::new(&*recorded.store, rules).await.map_err(own)?;
    let removed = removed(&recorded, reading.known());
    let checks = wanted(&args, &recorded, &removed, reading.known()).map_err(Failure::usage)?;
    let basis = Basis { recorded: &recorded, reading, checks, zone, now };
    let charts = args.format == ReportFormat::Html;
    let report = match args.what {
        What::Latency => latency::report(&basis, range, charts).await,
        What::Uptime if args.windows => uptime::windows(&basis).await,
        What::Uptime => uptime::report(&basis, range, charts).await,
        What::Incidents => incidents::report(&basis, range, &args.globs).await,
        What::Objectives => objectives::report(&basis, &args.globs).await,
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

/// Refuses what would change nothing.
fn unused(args: &ReportArgs) -> Result<(), String> {
    if args.windows && args.what != What::Uptime {
        return Err("--windows is for `report uptime`; leave it out, or write --since or --month".to_owned());
    }
    let has_range = args.since.is_some() || args.until.is_some() || args.month.is_some();
    if has_range && args.what == What::Objectives {
        let way_out = "leave --since, --until and --month out, or look at the same time with `report uptime`";
        return Err(format!("objectives are of their own windows up to now; {way_out}"));
    }
    Ok(())
}

/// The checks that are recorded and not in the config, as they ran last.
fn removed(recorded: &Recorded, known: &[KnownCheck]) -> Vec<ConfiguredCheck> {
    let is_gone = |known: &&KnownCheck| recorded.checks.iter().all(|check| check.id != known.check);
    let check = |known: &KnownCheck| {
        Some(ConfiguredCheck { id: known.check.clone(), counts: false, rules: known.rules? })
    };
    known.iter().filter(is_gone).filter_map(check).collect()
}

/// What a glob may mean.
fn names(what: What, recorded: &Recorded, removed: &[ConfiguredCheck], known: &[KnownCheck]) -> Vec<CheckId> {
    let mut names: Vec<CheckId> = recorded.checks.iter().map(|check| check.id.clone()).collect();
    match what {
        What::Objectives => {}
        What::Latency | What::Uptime => names.extend(removed.iter().map(|check| check.id.clone())),
        What::Incidents => {
            names.push(CheckId::monitor());
            names.extend(recorded.objectives.iter().map(|(one, _)| CheckId::objective(&one.name)));
            names.extend(known.iter().map(|known| known.check.clone()));
        }
    }
    names
}

/// The checks that are asked for; each word has to mean something.
fn wanted<'r>(
    args: &ReportArgs,
    recorded: &'r Recorded,
    removed: &'r [ConfiguredCheck],
    known: &[KnownCheck],
) -> Result<Vec<&'r ConfiguredCheck>, String> {
    let of_objectives = args.what == What::Objectives;
    let names = names(args.what, recorded, removed, known);
    let means = |glob: &String| {
        names.iter().any(|name| matches(glob, name))
            || of_objectives && recorded.objectives.iter().any(|(objective, _)| objective.name == *glob)
    };
    if let Some(glob) = args.globs.iter().find(|glob| !means(glob)) {
        return Err(if of_objectives {
            format!("no objective and no check of the config matches {glob}")
        } else {
            format!("no check of the config matches {glob}, and none that was recorded")
        });
    }
    if args.globs.is_empty() {
        return Ok(recorded.checks.iter().collect());
    }
    let is_wanted = |check: &&ConfiguredCheck| args.globs.iter().any(|glob| matches(glob, &check.id));
    Ok(recorded.checks.iter().chain(removed).filter(is_wanted).collect())
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
