//! What the sender does with the rows it claimed: which become one message, which have lost their
//! meaning, which wait. And how long it waits after a failure.
//!
//! A row that is `unsure` was in an attempt whose end is not known. It may have been delivered, so it
//! is sent again under the same key before anything else of its incident, and is never collapsed.

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
    /// Rows of the same incidents that the message stands for, because their time has passed. They
    /// wait beside it, and end with it: until it is delivered, nobody was told.
    pub absorbed: Vec<OutboxRow>,
}

/// What to do with the claimed rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// To send, at most one message for each incident and channel.
    pub send: Vec<Batch>,
    /// Rows of which a later row that waits says all and more: (key, into).
    pub collapse: Vec<(String, String)>,
    /// Rows to release until an instant.
    pub later: Vec<(String, Timestamp)>,
}

type Row = (OutboxRow, Option<Timestamp>);

/// Rows that another row stands for, by its key.
type Absorbed = BTreeMap<String, Vec<OutboxRow>>;

fn due_at((row, group_sent): &Row) -> Timestamp {
    match (row.paced, group_sent) {
        (Some(paced), Some(sent)) => row.not_before.max(after(*sent, paced)),
        _ => row.not_before,
    }
}

/// Takes out what a later row of the same incident makes pointless.
fn collapse(rows: Vec<Row>, plan: &mut Plan, absorbed: &mut Absorbed) -> Vec<Row> {
    let end = rows.iter().rposition(|(row, _)| row.notice.reason == Reason::Resolved);
    // An incident may begin as flapping; only its first notice is then an opening.
    let opens = |(row, _): &Row| row.notice.reason == Reason::Opened || row.key.contains("#1:");
    if let Some(end) = end
        && let Some((earlier, [(last, sent), ..])) = rows.split_at_checked(end)
        && earlier.iter().any(opens)
        && !earlier.iter().any(|(row, _)| row.unsure)
    {
        absorbed.insert(last.key.clone(), earlier.iter().map(|(row, _)| row.clone()).collect());
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
            Some(into) if passing && !row.unsure => plan.collapse.push((row.key, into.clone())),
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

/// The rows of one incident that go out in one message, from the oldest on.
struct Lead {
    rows: Vec<OutboxRow>,
    /// When it is due; before that it only joins what others send.
    due: Timestamp,
}

/// The lead of one incident. An opening that still waits for company leads too.
fn leading(rows: Vec<Row>, now: Timestamp, plan: &mut Plan) -> Option<Lead> {
    if let Some((first, _)) = rows.first()
        && first.not_before > now
        && first.notice.reason == Reason::Opened
        && first.batch.is_none()
    {
        let due = first.not_before;
        let mut rows = rows.into_iter().map(|(row, _)| row);
        let lead = rows.next()?;
        plan.later.extend(rows.map(|row| (row.key, row.not_before.max(due))));
        return Some(Lead { rows: vec![lead], due });
    }

    // What only keeps the pace of its group goes ahead of a later one that is not to wait.
    let urgent = rows.iter().rposition(|(row, _)| row.paced.is_none() && row.not_before <= now);
    let mut lead: Vec<OutboxRow> = Vec::new();
    let mut wait: Option<Timestamp> = None;
    for (place, row) in rows.into_iter().enumerate() {
        let untried = row.0.attempts == 0 && row.0.batch.is_none();
        let hurried = row.0.paced.is_some() && untried && urgent.is_some_and(|urgent| place < urgent);
        let due = if hurried { row.0.notice.at } else { due_at(&row) };
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
    (!lead.is_empty()).then_some(Lead { rows: lead, due: now })
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
    let mut absorbed = Absorbed::new();
    for (_, thread) in threads {
        let kept = collapse(thread, &mut plan, &mut absorbed);
        leads.extend(leading(kept, now, &mut plan));
    }
    let (due, early): (Vec<_>, Vec<_>) =
        gather(leads).into_iter().partition(|leads| leads.iter().any(|lead| lead.due <= now));
    for lead in early.into_iter().flatten() {
        plan.later.extend(lead.rows.into_iter().map(|row| (row.key, lead.due)));
    }
    plan.send = due.into_iter().filter_map(|leads| message(leads, &mut absorbed)).collect();
    let waiting = plan.later.iter().filter_map(|(key, until)| Some((absorbed.remove(key)?, *until)));
    let waiting: Vec<_> =
        waiting.flat_map(|(rows, until)| rows.into_iter().map(move |row| (row.key, until))).collect();
    plan.later.extend(waiting);
    plan
}

/// Joins what belongs to one message: the same earlier attempt, the same group, or a shared cause.
fn gather(leads: Vec<Lead>) -> Vec<Vec<Lead>> {
    let mut causes: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    let shared = |lead: &Lead| match lead.rows.as_slice() {
        [row] if row.notice.reason == Reason::Opened && row.batch.is_none() => {
            cause(row).map(|cause| (row.channel.clone(), cause))
        }
        _ => None,
    };
    for lead in &leads {
        if let (Some(name), [row, ..]) = (shared(lead), lead.rows.as_slice()) {
            causes.entry(name).or_default().insert(row.incident.to_string());
        }
    }
    let mut messages: Vec<((u8, String, String), Vec<Lead>)> = Vec::new();
    for lead in leads {
        let Some(first) = lead.rows.first() else { continue };
        let together = shared(&lead).filter(|name| causes.get(name).is_some_and(|all| all.len() > 1));
        let name = match (&first.batch, together) {
            (Some(batch), _) => (0, first.channel.clone(), batch.clone()),
            (None, Some((channel, cause))) => (1, channel, cause),
            (None, None) => (2, first.channel.clone(), first.group_key.clone()),
        };
        match messages.iter_mut().find(|(known, _)| *known == name) {
            Some((_, leads)) => leads.push(lead),
            None => messages.push((name, vec![lead])),
        }
    }
    messages.into_iter().map(|(_, leads)| leads).collect()
}

fn message(leads: Vec<Lead>, absorbed: &mut Absorbed) -> Option<Batch> {
    let rows: Vec<_> = leads.into_iter().flat_map(|lead| lead.rows).collect();
    let first = rows.first()?;
    let key = first.batch.clone().unwrap_or_else(|| first.key.clone());
    let absorbed = rows.iter().filter_map(|row| absorbed.remove(&row.key)).flatten().collect();
    Some(Batch { key, shares: shares(&rows), rows, absorbed })
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

#[cfg(test)]
mod tests {
    use super::super::machine::tests::{policy, route};
    use super::super::{Effect, daemon};
    use super::*;
    use crate::model::{CheckId, IncidentId};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    /// A row of incident `check`, made by the machine so that it is whole.
    fn row(check: &str, seq: u32, reason: Reason, not_before: i64) -> OutboxRow {
        let policy = policy(vec![route(&[], &["mail"])]);
        let summary = daemon::Summary { store: Some("full".into()), ..daemon::Summary::default() };
        let mut policy = policy;
        policy.findings = daemon::FINDINGS;
        let (_, effects) = daemon::daemon_step(Default::default(), &summary, &policy, at(0));
        let mut row = effects
            .into_iter()
            .find_map(|effect| match effect {
                Effect::Tell(row) => Some(row),
                _ => None,
            })
            .unwrap();
        row.incident = IncidentId::new(&CheckId::new("acme", check), at(0));
        row.notice.incident.id = row.incident.clone();
        row.group_key = row.incident.to_string();
        row.key = format!("{}#{seq}:mail", row.incident);
        row.notice.reason = reason;
        row.not_before = at(not_before);
        row
    }

    fn plan(rows: &[OutboxRow], now: i64) -> Plan {
        let rows: Vec<_> = rows.iter().map(|row| (row.clone(), None)).collect();
        plan_batches(&rows, at(now))
    }

    #[test]
    fn an_opening_nobody_got_is_told_with_its_end_in_one_message() {
        let rows = [row("a", 1, Reason::Opened, 30), row("a", 2, Reason::Resolved, 20)];
        let plan = plan(&rows, 20);
        assert_eq!(plan.send.len(), 1);
        assert!(plan.send[0].rows[0].notice.collapsed);
        assert_eq!(plan.send[0].key, rows[1].key);
        assert_eq!(plan.send[0].absorbed, rows[..1]);
    }

    #[test]
    fn what_a_refused_end_stands_for_waits_beside_it_and_the_end_keeps_its_note() {
        let mut rows = [row("a", 1, Reason::Opened, 0), row("a", 2, Reason::Resolved, 50)];
        (rows[1].batch, rows[1].attempts) = (Some(rows[1].key.clone()), 1);
        let early = plan(&rows, 20);
        assert_eq!((early.send.len(), early.collapse.len()), (0, 0));
        assert_eq!(early.later, [(rows[1].key.clone(), at(50)), (rows[0].key.clone(), at(50))]);
        let retried = plan(&rows, 50);
        assert!(retried.send[0].rows[0].notice.collapsed);
        assert_eq!(retried.send[0].absorbed, rows[..1]);
    }

    #[test]
    fn an_opening_that_may_have_arrived_is_sent_again_under_its_key_first() {
        let mut rows = [row("a", 1, Reason::Opened, 0), row("a", 2, Reason::Resolved, 20)];
        (rows[0].batch, rows[0].unsure, rows[0].attempts) = (Some("first".into()), true, 3);
        let uncertain = plan(&rows, 20);
        assert!(uncertain.send[0].absorbed.is_empty());
        assert_eq!((uncertain.send[0].key.as_str(), uncertain.send[0].rows.len()), ("first", 1));
        assert_eq!(uncertain.later[0].0, rows[1].key);
        rows[0].unsure = false;
        assert_eq!(plan(&rows, 20).send[0].absorbed.len(), 1, "a failure we were told of is certain");
    }

    #[test]
    fn a_later_row_never_overtakes_an_earlier_one() {
        let rows = [row("a", 1, Reason::Opened, 30), row("a", 2, Reason::Rose, 10)];
        let mut plan = plan(&rows, 10);
        assert_eq!(plan.send, []);
        plan.later.sort();
        assert_eq!(plan.later, [(rows[0].key.clone(), at(30)), (rows[1].key.clone(), at(30))]);
    }

    #[test]
    fn an_update_waits_for_its_group_and_gives_way_to_a_newer_one() {
        let mut rows = [row("a", 2, Reason::Updated, 0), row("a", 3, Reason::Updated, 0)];
        rows[1].paced = Some(Duration::from_secs(300));
        let sent: Vec<_> = rows.iter().map(|row| (row.clone(), Some(at(0)))).collect();
        let plan = plan_batches(&sent, at(10));
        assert_eq!(plan.collapse, [(rows[0].key.clone(), rows[1].key.clone())]);
        assert_eq!((plan.send.len(), plan.later), (0, vec![(rows[1].key.clone(), at(300))]));
        assert_eq!(plan_batches(&sent, at(300)).send.len(), 1);
    }

    #[test]
    fn a_resolution_does_not_wait_for_the_pace_of_a_fall_before_it() {
        let paced = |seq, reason, at| OutboxRow {
            paced: Some(Duration::from_secs(300)),
            ..row("a", seq, reason, at)
        };
        let plan = |rows: &[OutboxRow], now| {
            let sent: Vec<_> = rows.iter().map(|row| (row.clone(), Some(at(0)))).collect();
            plan_batches(&sent, at(now))
        };
        let mut fell = paced(2, Reason::Fell, 10);
        assert_eq!(plan(std::slice::from_ref(&fell), 10).later, [(fell.key.clone(), at(300))]);
        // As it was given back then.
        fell.not_before = at(300);
        let over = row("a", 3, Reason::Resolved, 20);
        let told = plan(&[fell.clone(), over.clone()], 20);
        assert_eq!((told.send[0].rows.len(), told.later.len()), (2, 0), "{told:?}");
        let shared = paced(3, Reason::Resolved, 20);
        assert_eq!(plan(&[fell.clone(), shared], 20).send, [], "in a group with others it is paced, too");
        (fell.attempts, fell.batch) = (1, Some("first".into()));
        assert_eq!(plan(&[fell, over], 20).send, [], "an attempt that failed waits, and keeps its place");
    }

    #[test]
    fn what_shares_a_cause_is_one_message_and_a_retry_takes_no_newcomer() {
        let mut rows =
            [row("a", 1, Reason::Opened, 0), row("b", 1, Reason::Opened, 0), row("c", 1, Reason::Opened, 0)];
        for row in rows.iter_mut() {
            let finding = row.notice.incident.findings.first_mut().unwrap();
            *finding = finding.clone().with("phase", "connect").with("address", "192.0.2.7");
        }
        let together = plan(&rows, 0);
        assert_eq!((together.send.len(), together.send[0].rows.len()), (1, 3));
        assert_eq!(together.send[0].shares.as_deref(), Some("connect to 192.0.2.7"));
        for row in &mut rows[..2] {
            (row.batch, row.attempts) = (Some("first".into()), 1);
        }
        let retried = plan(&rows, 0);
        assert_eq!(retried.send.len(), 2);
        assert_eq!((retried.send[0].key.as_str(), retried.send[0].rows.len()), ("first", 2));
        assert!(retried.send[0].shares.is_some());
    }

    #[test]
    fn an_opening_that_still_waits_joins_what_shares_its_cause_or_group_and_nothing_else() {
        let with = |check: &str, due: i64, address: &str, group: Option<&str>| {
            let mut row = row(check, 1, Reason::Opened, due);
            let finding = row.notice.incident.findings.first_mut().unwrap();
            *finding = finding.clone().with("phase", "connect").with("address", address);
            if let Some(group) = group {
                row.group_key = group.into();
            }
            row
        };
        let rows = [
            with("a", 0, "192.0.2.7", None),
            with("b", 3, "192.0.2.7", None),
            with("c", 3, "192.0.2.8", None),
            with("d", 0, "192.0.2.9", Some("group")),
            with("e", 4, "192.0.2.10", Some("group")),
        ];
        let plan = plan(&rows, 0);
        let sent: Vec<_> = plan.send.iter().map(|batch| batch.rows.len()).collect();
        assert_eq!(sent, [2, 2]);
        assert_eq!(plan.send[0].shares.as_deref(), Some("connect to 192.0.2.7"));
        assert_eq!(plan.later, [(rows[2].key.clone(), at(3))]);
    }

    #[test]
    fn incidents_with_nothing_in_common_are_messages_of_their_own() {
        let plan = plan(&[row("a", 1, Reason::Opened, 0), row("b", 1, Reason::Opened, 0)], 0);
        assert_eq!(plan.send.len(), 2);
        assert!(plan.send.iter().all(|batch| batch.shares.is_none()));
    }

    #[test]
    fn waiting_grows_to_ten_minutes_and_is_the_same_for_the_same_attempt() {
        for attempt in 1..200 {
            let wait = backoff("key", attempt, None);
            assert!((FIRST..=LONGEST).contains(&wait), "{attempt}: {wait:?}");
            assert_eq!(wait, backoff("key", attempt, None));
        }
        assert!(backoff("key", 10, None) >= Duration::from_secs(450));
        assert_ne!(backoff("a", 10, None), backoff("b", 10, None));
        assert_eq!(backoff("a", 1, Some(Duration::from_secs(900))), Duration::from_secs(900));
        let row = row("a", 1, Reason::Opened, 0);
        assert!(!given_up(&row, at(86_399)) && given_up(&row, at(86_400)));
    }
}
