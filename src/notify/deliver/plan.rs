//! Which claimed rows become which messages, and when a failed one is tried again. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::model::{IncidentId, OutboxRow, Reason};

/// The first wait after a failure.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// How long a message is tried, in seconds.
const GIVE_UP: i64 = 86_400;
/// The longest wait after a failure.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// What to do with claimed rows.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// Messages to send, oldest first.
    pub send: Vec<Batch>,
    /// (row, the row it is merged into)
    pub collapse: Vec<(String, String)>,
    /// (row, when to look again)
    pub later: Vec<(String, Timestamp)>,
}

/// Rows that become one message.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Batch {
    /// The message's idempotency key.
    pub key: String,
    /// The rows, oldest first; all of one channel and group.
    pub rows: Vec<OutboxRow>,
    /// What its incidents have in common.
    pub shares: Option<String>,
}

/// Makes messages of rows (each with the instant at which its group was last sent something), given
/// in the order in which they were written.
///
/// Rows that were tried together stay together, under their key. Of the others, those due of one
/// (channel, group) become one message. An incident whose first waiting row is not due waits with
/// all its rows, so that order is kept; one that is over before anything was delivered is told
/// in one message.
pub(super) fn plan_batches(rows: &[(OutboxRow, Option<Timestamp>)], now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let mut waiting: BTreeMap<(String, IncidentId), Timestamp> = BTreeMap::new();
    let mut begun: BTreeSet<(String, IncidentId)> = BTreeSet::new();
    let rows: Vec<OutboxRow> = collapse(rows.iter().map(|(row, _)| row.clone()).collect(), &mut plan);
    for row in rows {
        let line = (row.channel.clone(), row.incident.clone());
        let until = waiting.get(&line).copied();
        if let Some(until) = until.or((row.not_before > now).then_some(row.not_before)) {
            waiting.entry(line).or_insert(until);
            plan.later.push((row.key, until));
            continue;
        }
        let fits = plan.send.iter_mut().find(|batch| {
            batch.rows.first().is_some_and(|first| {
                first.channel == row.channel
                    && match (&first.batch, &row.batch) {
                        (None, None) => first.group_key == row.group_key,
                        (first, own) => first == own,
                    }
            })
        });
        match fits {
            Some(batch) => batch.rows.push(row),
            // What was tried goes first and alone; what follows it for the same incident must not
            // overtake it, and is looked at again once it is through.
            None if begun.contains(&line) => {
                waiting.insert(line, now);
                plan.later.push((row.key, now));
                continue;
            }
            None => plan.send.push(Batch {
                key: row.batch.clone().unwrap_or(row.key.clone()),
                rows: vec![row],
                shares: None,
            }),
        }
        begun.insert(line);
    }
    plan
}

/// Marked before an attempt whose end is not known: it may have been delivered.
fn is_unsure(row: &OutboxRow) -> bool {
    row.batch.is_some() && row.attempts == 0
}

/// An incident that is over and of which nothing was delivered is told by its resolution alone.
fn collapse(rows: Vec<OutboxRow>, plan: &mut Plan) -> Vec<OutboxRow> {
    let mut kept: Vec<OutboxRow> = Vec::new();
    for mut row in rows {
        let mine = |other: &OutboxRow| other.channel == row.channel && other.incident == row.incident;
        if row.notice.reason == Reason::Resolved
            && row.batch.is_none()
            && kept.iter().any(mine)
            && !kept.iter().any(|other| mine(other) && is_unsure(other))
        {
            plan.collapse.extend(
                kept.iter().filter(|other| mine(other)).map(|other| (other.key.clone(), row.key.clone())),
            );
            let (channel, incident) = (row.channel.clone(), row.incident.clone());
            kept.retain(|other| !(other.channel == channel && other.incident == incident));
            row.notice.collapsed = true;
        }
        kept.push(row);
    }
    kept
}

/// Whether a row is too old to be tried again.
pub(super) fn given_up(row: &OutboxRow, now: Timestamp) -> bool {
    now.duration_since(row.notice.at).as_secs() >= GIVE_UP
}

/// How long to wait after the given number of failed attempts: 5 s, doubled each time up to 10 min,
/// less up to a quarter that depends on the key, so that messages do not all come back at once. The
/// other side's wish counts where it is longer.
pub(super) fn backoff(key: &str, attempts: u32, wish: Option<Duration>) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1).min(16)));
    let whole = doubled.min(LONGEST_WAIT);
    let hash = key.bytes().chain(attempts.to_le_bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let share = u32::try_from(hash % 1000).unwrap_or(0);
    let jittered = (whole - whole / 4 * share / 1000).max(FIRST_WAIT);
    wish.map_or(jittered, |wish| jittered.max(wish))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_from_five_seconds_to_ten_minutes_and_differ_by_message() {
        assert_eq!(backoff("k", 1, None), FIRST_WAIT);
        let waits: Vec<_> = (1..40).map(|attempts| backoff("k", attempts, None)).collect();
        assert!(waits.iter().all(|wait| (FIRST_WAIT..=LONGEST_WAIT).contains(wait)), "{waits:?}");
        assert!(waits[20] >= LONGEST_WAIT * 3 / 4, "{waits:?}");
        assert_ne!(backoff("k", 9, None), backoff("other", 9, None));
    }

    #[test]
    fn the_other_sides_wish_counts_where_it_is_longer() {
        assert_eq!(backoff("k", 1, Some(Duration::from_secs(3_600))), Duration::from_secs(3_600));
        assert_eq!(backoff("k", 1, Some(Duration::ZERO)), FIRST_WAIT);
    }
}
