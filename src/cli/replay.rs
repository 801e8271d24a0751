//! `portalwatch replay`: what is recorded, judged by the rules of a config.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::report::range::{self, Range};
use super::{Answer, ConfigPath, Failure, PlainFormat, print};
use crate::app::{self, Recorded, RecordedError};
use crate::clock::{Clock as _, SystemClock};
use crate::model::glob::matches;
use crate::model::{CheckId, Incident};
use crate::plan::PlannedCheck;
use crate::record::StoreError;
use crate::run::replay::{Replay, Replayed};

/// Results read at a time.
const AT_ONCE: usize = 20_000;
/// Facts of one check at most.
const FACTS: usize = 100_000;

#[derive(Args)]
pub struct ReplayArgs {
    /// Checks by id, `portal/check`; globs as for `check`. Without any: all
    #[arg(value_name = "NAME-GLOB")]
    globs: Vec<String>,
    #[command(flatten)]
    config: ConfigPath,
    /// The config whose store holds the record, if that is another one
    #[arg(long, value_name = "PATH")]
    record: Option<PathBuf>,
    /// From when: a duration back from now (30d), a day (2026-10-01), a time of the zone
    /// (2026-10-01T12:00) or an instant
    #[arg(long, value_name = "TIME", default_value = "30d", allow_hyphen_values = true)]
    since: String,
    /// Until when, as --since; a day is not part of it any more; now if not given
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// The time zone of days and times; notify.timezone if not given
    #[arg(long, value_name = "IANA")]
    timezone: Option<String>,
    /// How to print it
    #[arg(long, value_enum, default_value = "text")]
    format: PlainFormat,
}

/// Where an incident stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Both,
    Would,
    Did,
}

/// An incident by the rules at hand, and what was recorded of it.
struct Row {
    would: Option<Incident>,
    did: Option<Incident>,
}

impl Row {
    fn side(&self) -> Side {
        match (&self.would, &self.did) {
            (Some(_), Some(_)) => Side::Both,
            (Some(_), None) => Side::Would,
            (None, _) => Side::Did,
        }
    }

    fn shown(&self) -> Option<&Incident> {
        self.would.as_ref().or(self.did.as_ref())
    }
}

/// What became of one check.
struct Outcome {
    check: CheckId,
    replayed: Replayed,
    rows: Vec<Row>,
    /// Rules that could not be applied, in words.
    unreplayable: Vec<String>,
}

pub async fn replay(args: ReplayArgs) -> Answer {
    let wanted = |id: &CheckId| args.globs.is_empty() || args.globs.iter().any(|glob| matches(glob, id));
    let plan =
        app::plan_for_replay(&args.config.config, &wanted).map_err(|faults| Failure::config(&faults))?;
    let means = |glob: &&String| plan.checks.iter().any(|check| matches(glob, &check.scope.check));
    if let Some(glob) = args.globs.iter().find(|glob| !means(glob)) {
        return Err(Failure::usage(format!("no check of the config matches {glob}")));
    }
    let record = args.record.as_ref().unwrap_or(&args.config.config);
    let recorded = app::recorded(record).await.map_err(|error| match error {
        RecordedError::Config(faults) => Failure::config(&faults),
        RecordedError::Store(error) => Failure::own(format!("nothing to replay: {error}")),
    })?;
    let zone = range::zone(args.timezone.as_deref(), &plan.timezone).map_err(Failure::usage)?;
    let range = Range::of(&args.since, args.until.as_deref(), None, SystemClock.now(), &zone)
        .map_err(Failure::usage)?;
    let mut outcomes = Vec::new();
    for check in &plan.checks {
        let outcome = one(check, &recorded, range).await;
        outcomes.push(outcome.map_err(|error| Failure::own(error.to_string()))?);
    }
    match args.format {
        PlainFormat::Text => print::out(&text(&outcomes, range, &zone))?,
        PlainFormat::Json => print::json(&as_json(&outcomes, range))?,
    }
    Ok(0)
}

async fn one(check: &PlannedCheck, recorded: &Recorded, range: Range) -> Result<Outcome, StoreError> {
    let (id, store) = (&check.scope.check, &recorded.store);
    let facts = store.facts(id, range.from, range.to, FACTS).await?;
    let mut replay = Replay::new(check, facts);
    let mut from = range.from;
    loop {
        let rows = store.history(id, from, range.to, AT_ONCE).await?;
        rows.iter().for_each(|row| replay.take(row));
        match rows.last() {
            // Results are kept to the millisecond.
            Some(last) if rows.len() == AT_ONCE => {
                from = last.at.saturating_add(std::time::Duration::from_millis(1)).unwrap_or(range.to);
            }
            _ => break,
        }
    }
    let replayed = replay.finish(range.to);
    let did = store.incidents(range.from, range.to).await?;
    let did: Vec<Incident> = did.into_iter().filter(|incident| incident.check == *id).collect();
    let rows = compare(replayed.incidents.values().cloned().collect(), did);
    Ok(Outcome { check: id.clone(), unreplayable: unreplayable(check, &replayed), replayed, rows })
}

/// Puts the incidents of both sides beside each other: those that overlap are the same.
fn compare(would: Vec<Incident>, did: Vec<Incident>) -> Vec<Row> {
    let overlap = |a: &Incident, b: &Incident| {
        let end = |one: &Incident| one.ended.unwrap_or(Timestamp::MAX);
        a.started <= end(b) && b.started <= end(a)
    };
    let alone = did.iter().filter(|did| !would.iter().any(|would| overlap(would, did)));
    let mut rows: Vec<_> = alone.map(|did| Row { would: None, did: Some(did.clone()) }).collect();
    for incident in would {
        let did = did.iter().find(|did| overlap(&incident, did)).cloned();
        rows.push(Row { would: Some(incident), did });
    }
    rows.sort_by_key(|row| row.shown().map(|incident| incident.started));
    rows
}

fn unreplayable(check: &PlannedCheck, replayed: &Replayed) -> Vec<String> {
    let mut all = Vec::new();
    if replayed.results == 0 {
        all.push("nothing is recorded of it in this time".to_owned());
        return all;
    }
    let Replayed { results, taken, unreadable, .. } = replayed;
    if !check.probe.replays() {
        all.push(format!(
            "rules of the kind {}: it judges by what it remembers; what {results} runs found stands",
            check.kind
        ));
    } else if *taken > 0 {
        let rules = check.probe.unrecorded();
        if !rules.is_empty() {
            all.push(format!(
                "{}: what was seen is not recorded of {taken} of {results} runs; whether it was right stands",
                rules.join(", ")
            ));
        }
    }
    if *unreadable > 0 {
        all.push(format!("{unreadable} runs whose facts another version recorded; what they found stands"));
    }
    all
}

fn told(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S%:z").to_string()
}

fn text(outcomes: &[Outcome], range: Range, zone: &TimeZone) -> String {
    let mut lines =
        vec![format!("Replay from {} to {}", told(range.from, zone), told(range.to, zone)), String::new()];
    for Outcome { check, replayed, rows, .. } in outcomes {
        lines.push(format!(
            "{check}: {} results, {} judged anew from their facts, {} by what is kept of every run",
            replayed.results, replayed.judged, replayed.taken
        ));
        for row in rows {
            let Some(incident) = row.shown() else { continue };
            let (mark, note) = match (row.side(), &row.did) {
                (Side::Both, Some(did)) if line(did, zone) != line(incident, zone) => {
                    ("~", format!("then {}", line(did, zone)))
                }
                (Side::Both, _) => ("=", "as it was".to_owned()),
                (Side::Would, _) => ("+", "would have opened".to_owned()),
                (Side::Did, _) => ("-", "opened then, and would not now".to_owned()),
            };
            let telling = telling(replayed, incident, zone);
            lines.push(format!("  {mark} {}  ({note}{telling})", line(incident, zone)));
        }
    }
    lines.push(String::new());
    let count = |wanted: fn(Side) -> bool| {
        outcomes.iter().flat_map(|outcome| &outcome.rows).filter(|row| wanted(row.side())).count()
    };
    let notices: usize = outcomes.iter().map(|outcome| outcome.replayed.notices.len()).sum();
    lines.push(format!(
        "{} incidents and {notices} notices by these rules; {} incidents then, {} of them in both",
        count(|side| side != Side::Did),
        count(|side| side != Side::Would),
        count(|side| side == Side::Both)
    ));
    let unreplayable: Vec<String> = outcomes
        .iter()
        .flat_map(|outcome| outcome.unreplayable.iter().map(|rule| format!("  {}: {rule}", outcome.check)))
        .collect();
    if !unreplayable.is_empty() {
        lines.extend([String::new(), "Not replayable:".to_owned()]);
        lines.extend(unreplayable);
    }
    lines.push(String::new());
    lines.push(
        "Re-checks came as they did then; objectives are not replayed; groups and their waits are left out."
            .to_owned(),
    );
    lines.join("\n")
}

/// From when until when, how bad at its worst, and what.
fn line(incident: &Incident, zone: &TimeZone) -> String {
    let until = incident.ended.map_or("open".to_owned(), |ended| told(ended, zone));
    let (severity, id) = (incident.worst_severity(), incident.worst_id());
    format!("{} to {until}  {severity} {id}", told(incident.started, zone))
}

/// The channels that would have heard of an incident, and from when on; empty for none.
fn telling(replayed: &Replayed, incident: &Incident, zone: &TimeZone) -> String {
    let own = || replayed.notices.iter().filter(|notice| notice.incident == incident.id.as_str());
    let channels: BTreeSet<&str> =
        own().flat_map(|notice| notice.channels.iter().map(String::as_str)).collect();
    let channels: Vec<&str> = channels.into_iter().collect();
    match own().filter(|notice| !notice.channels.is_empty()).map(|notice| notice.at).min() {
        Some(first) => format!(", tells {} from {} on", channels.join(", "), told(first, zone)),
        None => String::new(),
    }
}

fn as_json(outcomes: &[Outcome], range: Range) -> Value {
    let one = |incident: &Incident| {
        json!({
            "id": incident.id,
            "started": incident.started,
            "opened": incident.opened,
            "ended": incident.ended,
            "severity": incident.worst_severity(),
            "finding": incident.worst_id(),
        })
    };
    let incident = |row: &Row| {
        let mut value = row.shown().map(one).unwrap_or_default();
        if let Some(map) = value.as_object_mut() {
            map.insert("would".to_owned(), Value::Bool(row.would.is_some()));
            map.insert("did".to_owned(), Value::Bool(row.did.is_some()));
            if let (Some(_), Some(did)) = (&row.would, &row.did) {
                map.insert("then".to_owned(), one(did));
            }
        }
        value
    };
    let outcome = |outcome: &Outcome| {
        let notices: Vec<Value> = outcome
            .replayed
            .notices
            .iter()
            .map(|notice| {
                json!({
                    "at": notice.at,
                    "incident": notice.incident,
                    "reason": notice.reason,
                    "channels": notice.channels,
                })
            })
            .collect();
        json!({
            "check": outcome.check,
            "results": outcome.replayed.results,
            "judged_anew": outcome.replayed.judged,
            "as_recorded": outcome.replayed.taken,
            "incidents": outcome.rows.iter().map(incident).collect::<Vec<_>>(),
            "notices": notices,
            "not_replayable": outcome.unreplayable,
        })
    };
    json!({
        "from": range.from,
        "to": range.to,
        "checks": outcomes.iter().map(outcome).collect::<Vec<_>>(),
    })
}
