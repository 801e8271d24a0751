//! What the sender does with the rows it claimed: which become one message, which have lost their
//! meaning, which wait. And how long it waits after a failure.
//!
//! A row whose `batch` is set while `attempts` is zero was marked before an attempt whose end is not
//! known. It may have been delivered, so it is sent again under the same key before anything else of
//! its incident, and is never collapsed. Counted attempts are failures the other side told us of.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::route::after;
use crate::model::{OutboxRow, Reason};

/// How long a message is tried for.
pub const GIVE_UP: Duration = Duration::from_secs(24 * 3600);
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(600);
/// How soon a row is looked at again that waits for another of its incident.
const BEHIND: Duration = Duration::from_secs(1);

/// The rows of one message.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The idempotency key: that of the first attempt.
    pub key: String,
    /// The rows, in order; never empty.
    pub rows: Vec<OutboxRow>,
    /// What its incidents have in common, such as `connect to 192.0.2.7`.
    pub shares: Option<String>,
}

/// What to do with the claimed rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// To send, at most one message for each incident and channel.
    pub send: Vec<Batch>,
    /// Rows merged into another row: (key, into). Settle them with the row they went into.
    pub collapse: Vec<(String, String)>,
    /// Rows to release until an instant.
    pub later: Vec<(String, Timestamp)>,
}

type Row = (OutboxRow, Option<Timestamp>);

fn unsure(row: &OutboxRow) -> bool {
    row.batch.is_some() && row.attempts == 0
}

fn due_at((row, group_sent): &Row) -> Timestamp {
    match (row.paced, group_sent) {
        (Some(paced), Some(sent)) => row.not_before.max(after(*sent, paced)),
        _ => row.not_before,
    }
}

/// Takes out what a later row of the same incident makes pointless.
fn collapse(rows: Vec<Row>, plan: &mut Plan) -> Vec<Row> {
    let end = rows.iter().rposition(|(row, _)| row.notice.reason == Reason::Resolved);
    // An incident may begin as flapping; only its first notice is then an opening.
    let opens = |(row, _): &Row| row.notice.reason == Reason::Opened || row.key.contains("#1:");
    if let Some(end) = end
        && let Some((earlier, [(last, sent), ..])) = rows.split_at_checked(end)
        && earlier.iter().any(opens)
        && !earlier.iter().any(|(row, _)| unsure(row))
    {
        plan.collapse.extend(earlier.iter().map(|(row, _)| (row.key.clone(), last.key.clone())));
        let mut last = last.clone();
        last.notice.collapsed = true;
        // Nobody was told of this incident, so its end replaces the opening and is not paced.
        last.paced = None;
        let mut kept = vec![(last, *sent)];
        kept.extend(rows.into_iter().skip(end + 1));
        return kept;
    }
    let mut kept: Vec<Row> = Vec::new();
    let mut newer: Option<String> = None;
    for (row, sent) in rows.into_iter().rev() {
        let passing = matches!(row.notice.reason, Reason::Updated | Reason::Repeated);
        match &newer {
            Some(into) if passing && !unsure(&row) => plan.collapse.push((row.key, into.clone())),
            _ => {
                newer = Some(row.key.clone());
                kept.push((row, sent));
            }
        }
    }
    kept.reverse();
    kept
}

/// What a row's worst finding says it has in common with others.
fn cause(row: &OutboxRow) -> Option<String> {
    let evidence = &row.notice.incident.findings.first()?.evidence;
    let text =
        |key: &str| evidence.get(key).and_then(serde_json::Value::as_str).filter(|text| !text.is_empty());
    if let (Some(phase), Some(address)) = (text("phase"), text("address")) {
        return Some(format!("{phase} to {address}"));
    }
    ["issuer", "resolver"].into_iter().find_map(|key| text(key).map(|value| format!("{key} {value}")))
}

fn shares(rows: &[OutboxRow]) -> Option<String> {
    let (first, rest) = rows.split_first()?;
    let shared = cause(first)?;
    let all = first.notice.reason == Reason::Opened
        && rest.iter().any(|row| row.incident != first.incident)
        && rest.iter().all(|row| row.notice.reason == Reason::Opened && cause(row).as_ref() == Some(&shared));
    all.then_some(shared)
}

/// The rows of one incident that go out at once: those of one message, from the oldest on.
fn leading(rows: Vec<Row>, now: Timestamp, plan: &mut Plan) -> Vec<OutboxRow> {
    let mut lead: Vec<OutboxRow> = Vec::new();
    let mut wait: Option<Timestamp> = None;
    for row in rows {
        let due = due_at(&row);
        let joins = wait.is_none()
            && due <= now
            && lead.last().is_none_or(|last| last.batch == row.0.batch && last.group_key == row.0.group_key);
        if joins {
            lead.push(row.0);
            continue;
        }
        // Never before the row in front of it: order is kept.
        let until =
            due.max(wait.unwrap_or(after(now, if lead.is_empty() { Duration::ZERO } else { BEHIND })));
        wait = Some(until);
        plan.later.push((row.0.key, until));
    }
    lead
}

/// Sorts the claimed rows into messages. Each row comes with the instant its group was last sent
/// something. Order per (incident, channel) is kept: what cannot be sent in the same message as the
/// row before it waits.
pub fn plan_batches(rows: &[Row], now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let mut threads: Vec<((String, String), Vec<Row>)> = Vec::new();
    let mut places: BTreeMap<(String, String), usize> = BTreeMap::new();
    for row in rows {
        let name = (row.0.channel.clone(), row.0.incident.to_string());
        let place = *places.entry(name.clone()).or_insert(threads.len());
        if place == threads.len() {
            threads.push((name, Vec::new()));
        }
        if let Some((_, thread)) = threads.get_mut(place) {
            thread.push(row.clone());
        }
    }
    let mut leads = Vec::new();
    for (_, thread) in threads {
        let kept = collapse(thread, &mut plan);
        let lead = leading(kept, now, &mut plan);
        if !lead.is_empty() {
            leads.push(lead);
        }
    }
    plan.send = gather(leads);
    plan
}

/// Joins what belongs to one message: the same earlier attempt, the same group, or a shared cause.
fn gather(leads: Vec<Vec<OutboxRow>>) -> Vec<Batch> {
    let mut causes: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    let shared = |lead: &[OutboxRow]| match lead {
        [row] if row.notice.reason == Reason::Opened && row.batch.is_none() => {
            cause(row).map(|cause| (row.channel.clone(), cause))
        }
        _ => None,
    };
    for lead in &leads {
        if let (Some(name), [row, ..]) = (shared(lead), lead.as_slice()) {
            causes.entry(name).or_default().insert(row.incident.to_string());
        }
    }
    let mut batches: Vec<((u8, String, String), Vec<OutboxRow>)> = Vec::new();
    for lead in leads {
        let Some(first) = lead.first() else { continue };
        let together = shared(&lead).filter(|name| causes.get(name).is_some_and(|all| all.len() > 1));
        let name = match (&first.batch, together) {
            (Some(batch), _) => (0, first.channel.clone(), batch.clone()),
            (None, Some((channel, cause))) => (1, channel, cause),
            (None, None) => (2, first.channel.clone(), first.group_key.clone()),
        };
        match batches.iter_mut().find(|(known, _)| *known == name) {
            Some((_, rows)) => rows.extend(lead),
            None => batches.push((name, lead)),
        }
    }
    batches
        .into_iter()
        .filter_map(|(_, rows)| {
            let first = rows.first()?;
            let key = first.batch.clone().unwrap_or_else(|| first.key.clone());
            Some(Batch { key, shares: shares(&rows), rows })
        })
        .collect()
}

/// How long to wait after the `attempt`th failure (from 1): 5 s, doubled up to 10 min, with up to a
/// quarter less so that many rows do not come back at once. Never less than 5 s, nor than what the
/// other side asked for. The same key and attempt always wait equally long.
pub fn backoff(key: &str, attempt: u32, asked: Option<Duration>) -> Duration {
    let doubled = FIRST.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1).min(16)));
    let base = doubled.min(LONGEST);
    // FNV-1a: stable over restarts and versions of the compiler.
    let hash = key.bytes().chain(attempt.to_le_bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let less = base.saturating_mul(u32::try_from(hash >> 32 & 0xff).unwrap_or(0)) / 1024;
    base.saturating_sub(less).max(FIRST).max(asked.unwrap_or_default().min(GIVE_UP))
}

/// Whether a row is too old to be tried again.
pub fn given_up(row: &OutboxRow, now: Timestamp) -> bool {
    now >= after(row.notice.at, GIVE_UP)
}
