//! Writing: a batch of transitions in one transaction.

use std::collections::HashMap;
use std::sync::LazyLock;

use jiff::Timestamp;
use sqlx::{Connection, SqliteConnection};

use super::{Known, Sqlite, Writer};
use crate::model::{CheckId, Incident, Outcome, Verdict};
use crate::record::rows::{FACTS_AGE, SIGN_OF_LIFE, json};
use crate::record::{Gap, Recorded, StoreError, Transition, pack};

/// Rows per statement. Each execution is a round trip to the connection's thread, which costs more
/// than the row.
const CHUNKS: [usize; 3] = [128, 8, 1];

static INSERTS: LazyLock<[String; 3]> = LazyLock::new(|| {
    CHUNKS.map(|rows| {
        let values = vec!["(?,?,?,?,?,?)"; rows].join(",");
        format!(
            "INSERT OR REPLACE INTO results (at, check_id, verdict, status, times, findings) VALUES {values}"
        )
    })
});

/// A result as it is bound.
struct Row {
    at: i64,
    check: i64,
    verdict: i64,
    status: Option<u16>,
    times: Vec<u8>,
    findings: Option<String>,
}

/// What a batch taught, to be believed once it is committed.
#[derive(Default)]
struct Learned {
    checks: HashMap<CheckId, Known>,
    rows: Vec<Row>,
    newest: i64,
}

impl Sqlite {
    pub(super) async fn write_batch(&self, batch: &[Transition]) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.still_there()?;
        let mut writer = self.seat().await?;
        writer.write(batch).await.map_err(|why| self.fault(&why))
    }

    pub(super) async fn write_gaps(&self, gaps: &[Gap]) -> Result<(), StoreError> {
        let mut writer = self.seat().await?;
        writer.write_gaps(gaps).await.map_err(|why| self.fault(&why))
    }

    pub(super) async fn note_start(&self, now: Timestamp) -> Result<Option<Gap>, StoreError> {
        let mut writer = self.seat().await?;
        writer.note_start(now).await.map_err(|why| self.fault(&why))
    }
}

impl Writer {
    async fn write(&mut self, batch: &[Transition]) -> Result<(), sqlx::Error> {
        let mut learned = Learned::default();
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        for transition in batch {
            one(&mut transaction, &self.checks, &mut learned, transition).await?;
        }
        let oldest = learned.rows.iter().map(|row| row.at).min();
        insert(&mut transaction, &mut learned.rows).await?;
        let marks = self.marks.taken_back(oldest);
        marks.write(&mut transaction, &self.marks).await?;
        let alive = self.run.filter(|(_, seen)| learned.newest >= seen + SIGN_OF_LIFE);
        if let Some((started, _)) = alive {
            let seen = sqlx::query("UPDATE runs SET seen = ? WHERE started = ?");
            seen.bind(learned.newest).bind(started).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        self.marks = marks;
        self.checks.extend(learned.checks);
        if let Some((started, _)) = alive {
            self.run = Some((started, learned.newest));
        }
        Ok(())
    }

    async fn write_gaps(&mut self, gaps: &[Gap]) -> Result<(), sqlx::Error> {
        let mut learned = Learned::default();
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        for gap in gaps {
            let check = match &gap.check {
                Some(check) => known(&mut transaction, &self.checks, &mut learned, check).await?.id,
                None => 0,
            };
            let (from, to) = (gap.from.as_millisecond(), gap.to.as_millisecond());
            write_gap(&mut transaction, check, from, to, &gap.why).await?;
        }
        transaction.commit().await?;
        self.checks.extend(learned.checks);
        Ok(())
    }

    async fn note_start(&mut self, now: Timestamp) -> Result<Option<Gap>, sqlx::Error> {
        let started = now.as_millisecond();
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        let before = sqlx::query_scalar::<_, Option<i64>>("SELECT max(seen) FROM runs");
        let before = before.fetch_one(&mut *transaction).await?.filter(|before| *before < started);
        if let Some(before) = before {
            write_gap(&mut transaction, 0, before, started, "not_running").await?;
        }
        let run = sqlx::query("INSERT OR REPLACE INTO runs (started, seen) VALUES (?1, ?1)");
        run.bind(started).execute(&mut *transaction).await?;
        transaction.commit().await?;
        self.run = Some((started, started));
        let gap = |before: Timestamp| Gap { check: None, from: before, to: now, why: "not_running".into() };
        Ok(before.and_then(|before| Timestamp::from_millisecond(before).ok()).map(gap))
    }
}

async fn one(
    connection: &mut SqliteConnection,
    checks: &HashMap<CheckId, Known>,
    learned: &mut Learned,
    transition: &Transition,
) -> Result<(), sqlx::Error> {
    let check = known(connection, checks, learned, &transition.check).await?;
    match &transition.result {
        Some(Recorded::Ran { outcome, in_full }) => {
            let at = outcome.at.as_millisecond();
            learned.newest = learned.newest.max(at);
            learned.rows.push(row(check.id, outcome, *in_full));
            if *in_full || check.noted.is_none_or(|noted| at.abs_diff(noted) >= FACTS_AGE) {
                write_facts(connection, check.id, outcome).await?;
                learned.checks.insert(transition.check.clone(), Known { noted: Some(at), ..check });
            }
            if let (true, Some(facts)) = (*in_full, &outcome.facts) {
                keep_facts(connection, check.id, at, facts.get()).await?;
            }
        }
        Some(Recorded::NotCovered { at, why }) => {
            let at = at.as_millisecond();
            write_gap(connection, check.id, at, at, why).await?;
        }
        None => {}
    }
    write_check(connection, check, transition).await?;
    for incident in &transition.incidents {
        write_incident(connection, incident).await?;
    }
    for row in &transition.outbox {
        super::outbox::insert(connection, row).await?;
    }
    if transition.removed {
        let forget = "UPDATE checks SET removed = 1, state = NULL, memory = NULL, facts = NULL, facts_at = NULL \
                      WHERE id = ?";
        sqlx::query(forget).bind(check.id).execute(connection).await?;
        let forgotten = Known { removed: true, noted: None, ..check };
        learned.checks.insert(transition.check.clone(), forgotten);
    }
    Ok(())
}

/// The check's row, made if there is none. A check that was removed and is seen again is back.
async fn known(
    connection: &mut SqliteConnection,
    checks: &HashMap<CheckId, Known>,
    learned: &mut Learned,
    check: &CheckId,
) -> Result<Known, sqlx::Error> {
    let found = learned.checks.get(check).or_else(|| checks.get(check)).copied();
    if let Some(found) = found.filter(|found| !found.removed) {
        return Ok(found);
    }
    let made =
        "INSERT INTO checks (name) VALUES (?) ON CONFLICT (name) DO UPDATE SET removed = 0 RETURNING id";
    let id = sqlx::query_scalar::<_, i64>(made).bind(check.as_str()).fetch_one(connection).await?;
    let made = Known { id, removed: false, noted: None };
    learned.checks.insert(check.clone(), made);
    Ok(made)
}

fn row(check: i64, outcome: &Outcome, in_full: bool) -> Row {
    let findings = pack::findings(outcome, in_full || outcome.verdict != Verdict::Pass);
    Row {
        at: outcome.at.as_millisecond(),
        check,
        verdict: pack::verdict(outcome.verdict, outcome.cause, pack::Marks::of(outcome)),
        status: outcome.status,
        times: pack::times(outcome.took, &outcome.timings, &outcome.steps),
        findings: if findings.is_empty() { None } else { json(&findings).ok() },
    }
}

/// Key order, so that pages fill up; of two results with one key the later one stays.
async fn insert(connection: &mut SqliteConnection, rows: &mut Vec<Row>) -> Result<(), sqlx::Error> {
    rows.sort_by_key(|row| (row.at, row.check));
    let mut rows = rows.drain(..).peekable();
    while rows.peek().is_some() {
        for (size, sql) in CHUNKS.into_iter().zip(INSERTS.iter()) {
            while rows.len() >= size {
                let mut query = sqlx::query(sql.as_str());
                for row in rows.by_ref().take(size) {
                    query = query.bind(row.at).bind(row.check).bind(row.verdict);
                    query = query.bind(row.status).bind(row.times).bind(row.findings);
                }
                query.execute(&mut *connection).await?;
            }
        }
    }
    Ok(())
}

async fn write_facts(
    connection: &mut SqliteConnection,
    check: i64,
    outcome: &Outcome,
) -> Result<(), sqlx::Error> {
    let at = outcome.at.as_millisecond();
    let sql = "UPDATE checks SET last_at = ?1, since = coalesce(since, ?1), facts = coalesce(?2, facts), \
               facts_at = iif(?2 IS NULL, facts_at, ?1) WHERE id = ?3";
    let facts = outcome.facts.as_ref().map(|facts| facts.get());
    sqlx::query(sql).bind(at).bind(facts).bind(check).execute(connection).await?;
    Ok(())
}

async fn keep_facts(
    connection: &mut SqliteConnection,
    check: i64,
    at: i64,
    facts: &str,
) -> Result<(), sqlx::Error> {
    let sql = "INSERT OR REPLACE INTO facts (at, check_id, facts) VALUES (?, ?, ?)";
    sqlx::query(sql).bind(at).bind(check).bind(pack::text(facts)).execute(connection).await?;
    Ok(())
}

async fn write_check(
    connection: &mut SqliteConnection,
    check: Known,
    transition: &Transition,
) -> Result<(), sqlx::Error> {
    if transition.state.is_none() && transition.memory.is_none() {
        return Ok(());
    }
    let state = transition.state.as_ref().map(json).transpose()?;
    let memory = transition.memory.as_ref().map(|memory| memory.get());
    let sql = "UPDATE checks SET state = coalesce(?, state), memory = coalesce(?, memory) WHERE id = ?";
    sqlx::query(sql).bind(state).bind(memory).bind(check.id).execute(connection).await?;
    Ok(())
}

async fn write_incident(connection: &mut SqliteConnection, incident: &Incident) -> Result<(), sqlx::Error> {
    let sql = "INSERT OR REPLACE INTO incidents (id, started, ended, body) VALUES (?, ?, ?, ?)";
    sqlx::query(sql)
        .bind(incident.id.as_str())
        .bind(incident.started.as_millisecond())
        .bind(incident.ended.map(Timestamp::as_millisecond))
        .bind(json(incident)?)
        .execute(connection)
        .await?;
    Ok(())
}

async fn write_gap(
    connection: &mut SqliteConnection,
    check: i64,
    from: i64,
    to: i64,
    why: &str,
) -> Result<(), sqlx::Error> {
    let sql = "INSERT OR REPLACE INTO gaps (at, check_id, until, why) VALUES (?, ?, ?, ?)";
    sqlx::query(sql).bind(from).bind(check).bind(to).bind(why).execute(connection).await?;
    Ok(())
}
