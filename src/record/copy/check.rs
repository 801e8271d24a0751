//! Looking for what is wrong with what is stored: damage, and what no version would have written.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::de::IgnoredAny;

use super::tables::{TABLES, Table};
use super::{Cell, Integrity, Row, Side};
use crate::alert;
use crate::model::{Decision, Finding, Incident, OutboxRow, Verdict};
use crate::record::{StoreError, pack};
use crate::stats::rollup::{Grain, Latencies};

/// How far ahead of now a result may be: clocks differ.
const AHEAD: i64 = 24 * 60 * 60 * 1_000;
/// How far the figures may be behind the results.
const BEHIND: i64 = 26 * 60 * 60 * 1_000;

/// Something wrong with a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The table; none for the database as a whole.
    pub table: Option<&'static str>,
    /// What.
    pub what: String,
    /// In how many rows.
    pub rows: u64,
    /// The key of the first of them.
    pub first: String,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Rows by table.
    pub rows: Vec<(&'static str, u64)>,
    /// What is wrong.
    pub wrong: Vec<Wrong>,
    /// What was not looked at, and what helps.
    pub left_out: Option<String>,
}

/// What rows are compared with.
struct Known {
    now: i64,
    checks: HashSet<i64>,
    marks: HashMap<i64, i64>,
    /// The start of the newest result.
    newest: Option<i64>,
}

/// Looks at everything.
///
/// # Errors
/// A database that cannot be read at all. What cannot be read of it is a finding.
pub async fn check(side: &mut dyn Side, now: Timestamp) -> Result<Found, StoreError> {
    let Integrity { wrong, left_out } = side.integrity().await?;
    let whole = |what: String| Wrong { table: None, what, rows: 1, first: String::new() };
    let mut found = Found { wrong: wrong.into_iter().map(whole).collect(), left_out, ..Found::default() };
    // What cannot be read of it is said by the tables.
    if let Ok(Some(from)) = side.unfinished().await {
        found.wrong.push(whole(format!("a migration from {from} is unfinished")));
    }
    match side.freeze().await {
        // Said already, or else by the tables.
        Ok(()) | Err(StoreError::Corrupt { .. }) => {}
        Err(why) => return Err(why),
    }
    let (checks, marks) = (HashSet::new(), HashMap::new());
    let mut known = Known { now: now.as_millisecond(), checks, marks, newest: None };
    for table in &TABLES {
        look_at(side, table, &mut known, &mut found).await?;
    }
    found.wrong.extend(of_marks(&known));
    Ok(found)
}

async fn look_at(
    side: &mut dyn Side,
    table: &'static Table,
    known: &mut Known,
    found: &mut Found,
) -> Result<(), StoreError> {
    let mut wrong: BTreeMap<&'static str, (u64, String)> = BTreeMap::new();
    let mut rows = 0;
    let read = async {
        side.open(table, None).await?;
        loop {
            let some = side.next().await?;
            if some.is_empty() {
                return Ok(());
            }
            rows += some.len() as u64;
            for row in &some {
                known.learn(table, row);
                for what in faults(table, row, known) {
                    wrong.entry(what).or_insert_with(|| (0, key(table, row))).0 += 1;
                }
            }
        }
    };
    let read: Result<(), StoreError> = read.await;
    let told = |(what, (rows, first)): (&str, (u64, String))| Wrong {
        table: Some(table.name),
        what: what.to_owned(),
        rows,
        first,
    };
    found.wrong.extend(wrong.into_iter().map(told));
    found.rows.push((table.name, rows));
    match read {
        Ok(()) => Ok(()),
        Err(StoreError::Corrupt { why, .. }) => {
            let what = format!("cannot be read to its end: {why}");
            found.wrong.push(Wrong { table: Some(table.name), what, rows: 1, first: String::new() });
            Ok(())
        }
        Err(why) => Err(why),
    }
}

fn key(table: &Table, row: &Row) -> String {
    let cell = |position: &usize| match row.get(*position) {
        Some(Cell::Int(number)) => number.to_string(),
        Some(Cell::Text(text)) => text.clone(),
        _ => "?".to_owned(),
    };
    table.key.iter().map(cell).collect::<Vec<_>>().join(" ")
}

/// A row by the names of its columns.
struct Named<'r> {
    table: &'r Table,
    row: &'r Row,
}

impl<'r> Named<'r> {
    fn cell(&self, name: &str) -> Option<&'r Cell> {
        let position = self.table.columns.iter().position(|column| column.name == name)?;
        self.row.get(position)
    }

    fn number(&self, name: &str) -> Option<i64> {
        match self.cell(name) {
            Some(Cell::Int(number)) => Some(*number),
            _ => None,
        }
    }

    fn text(&self, name: &str) -> Option<&'r str> {
        match self.cell(name) {
            Some(Cell::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn bytes(&self, name: &str) -> Option<&'r [u8]> {
        match self.cell(name) {
            Some(Cell::Bytes(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// Whether a text, if there is one, does not read back.
    fn is_broken<T: DeserializeOwned>(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| serde_json::from_str::<T>(text).is_err())
    }
}

impl Known {
    fn learn(&mut self, table: &Table, row: &Row) {
        let row = Named { table, row };
        match table.name {
            "checks" => self.checks.extend(row.number("id")),
            "results" => self.newest = self.newest.max(row.number("at")),
            "marks" => self.marks.extend(row.number("span").zip(row.number("until"))),
            _ => {}
        }
    }

    fn is_unknown(&self, row: &Named<'_>) -> bool {
        row.number("check_id").is_none_or(|check| !self.checks.contains(&check))
    }

    fn is_ahead(&self, at: Option<i64>) -> bool {
        at.is_some_and(|at| at > self.now.saturating_add(AHEAD))
    }
}

const UNKNOWN: &str = "of no known check";
const FUTURE: &str = "more than a day in the future";

/// What is wrong with a row.
fn faults(table: &Table, row: &Row, known: &Known) -> Vec<&'static str> {
    let row = Named { table, row };
    let said: Vec<(bool, &'static str)> = match table.name {
        "checks" => vec![
            (row.is_broken::<alert::State>("state"), "state does not read back"),
            (row.is_broken::<IgnoredAny>("memory"), "memory is no JSON"),
            (row.is_broken::<IgnoredAny>("facts"), "facts are no JSON"),
        ],
        "results" => vec![
            (known.is_unknown(&row), UNKNOWN),
            (known.is_ahead(row.number("at")), FUTURE),
            (row.number("verdict").is_none_or(|packed| !is_verdict(packed)), "no known verdict"),
            (row.is_broken::<Vec<Finding>>("findings"), "findings do not read back"),
        ],
        "facts" => {
            let text = row.bytes("facts").and_then(pack::unpack_text);
            let is_json = text.is_some_and(|text| serde_json::from_str::<IgnoredAny>(&text).is_ok());
            vec![
                (known.is_unknown(&row), UNKNOWN),
                (known.is_ahead(row.number("at")), FUTURE),
                (!is_json, "facts are no JSON"),
            ]
        }
        "gaps" => vec![
            (row.number("check_id") != Some(0) && known.is_unknown(&row), UNKNOWN),
            (row.number("until") < row.number("at"), "ends before it begins"),
        ],
        "runs" => vec![(row.number("seen") < row.number("started"), "ends before it begins")],
        "incidents" => vec![(row.is_broken::<Incident>("body"), "does not read back")],
        "outbox" => vec![(row.is_broken::<OutboxRow>("body"), "does not read back")],
        "decisions" => vec![
            (row.is_broken::<Vec<String>>("entries"), "entries do not read back"),
            (row.text("decision").is_none_or(|text| text.parse::<Decision>().is_err()), "no known decision"),
        ],
        "uptimes" => vec![(known.is_unknown(&row), UNKNOWN), (!is_aligned(&row), "of no hour or day")],
        "latencies" => vec![
            (known.is_unknown(&row), UNKNOWN),
            (!is_aligned(&row), "of no hour or day"),
            (
                row.bytes("sketches").is_none_or(|bytes| Latencies::from_bytes(bytes).is_err()),
                "sketches do not read back",
            ),
        ],
        _ => Vec::new(),
    };
    said.into_iter().filter(|(is_so, _)| *is_so).map(|(_, what)| what).collect()
}

fn is_verdict(packed: i64) -> bool {
    usize::try_from(packed).is_ok_and(|packed| packed & 7 < Verdict::ALL.len())
}

fn is_aligned(row: &Named<'_>) -> bool {
    let grains = [Grain::Minute, Grain::Hour, Grain::Day];
    let grain = grains.into_iter().find(|grain| Some(grain.millis() / 1_000) == row.number("span"));
    grain.zip(row.number("at")).is_some_and(|(grain, at)| grain.floor(at) == at)
}

/// How far everything is said to be rolled up.
fn of_marks(known: &Known) -> Vec<Wrong> {
    let mark = |grain: Grain| known.marks.get(&(grain.millis() / 1_000)).copied();
    let (hours, days) = (mark(Grain::Hour), mark(Grain::Day));
    let told = |at: i64| Timestamp::from_millisecond(at).map_or_else(|_| at.to_string(), |at| at.to_string());
    let mut said = Vec::new();
    for (name, mark, grain) in [("hours", hours, Grain::Hour), ("days", days, Grain::Day)] {
        let Some(mark) = mark else { continue };
        if mark > known.now {
            said.push(format!("{name} are rolled up until {}, which is in the future", told(mark)));
        }
        if grain.floor(mark) != mark {
            said.push(format!("{name} are rolled up until {}, in the middle of one", told(mark)));
        }
    }
    if let Some(days) = days.filter(|days| Some(*days) > hours) {
        said.push(format!("days are rolled up until {}, further than hours", told(days)));
    }
    if let Some((hours, newest)) = hours.zip(known.newest.filter(|newest| *newest <= known.now))
        && newest.saturating_sub(hours) > BEHIND
    {
        said.push(format!(
            "hours are rolled up until {}, and results go on until {}; a daemon goes on with it",
            told(hours),
            told(newest)
        ));
    }
    let wrong = |what| Wrong { table: Some("marks"), what, rows: 1, first: String::new() };
    said.into_iter().map(wrong).collect()
}

#[cfg(test)]
mod tests;
