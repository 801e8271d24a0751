//! Writing: a batch of transitions in one transaction, and as few statements as there are tables.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use sqlx::PgConnection;

use super::link::patiently;
use super::{Known, Postgres, Writer, days, figures, lease, write};
use crate::model::{CheckId, Incident, OutboxRow, Outcome, Verdict};
use crate::record::rows::{FACTS_AGE, SIGN_OF_LIFE, json};
use crate::record::{Gap, Recorded, StoreError, Transition, pack};

/// A result as it is bound.
pub struct Row {
    pub at: i64,
    pub check: i64,
    pub verdict: i16,
    pub status: Option<i32>,
    pub times: Vec<u8>,
    pub findings: Option<String>,
}

/// What becomes of a check's row.
#[derive(Default)]
pub struct Edit {
    /// What the row holds is forgotten before anything is set.
    pub anew: bool,
    pub removed: bool,
    pub state: Option<String>,
    pub memory: Option<String>,
    pub facts: Option<(i64, String)>,
    pub noted: Option<i64>,
    /// The first result of which the row knows.
    pub since: Option<i64>,
}

/// Facts as they are bound.
pub struct KeptRow {
    pub at: i64,
    pub check: i64,
    pub facts: Vec<u8>,
}

/// A gap as it is bound; the check 0 is all of them.
pub struct GapRow {
    pub at: i64,
    pub check: i64,
    pub until: i64,
    pub why: String,
}

/// A batch, taken apart by table. Of what has one key the last stays, as if row after row were written.
#[derive(Default)]
struct Parts<'b> {
    learned: HashMap<CheckId, Known>,
    edits: HashMap<i64, Edit>,
    rows: Vec<Row>,
    facts: Vec<KeptRow>,
    gaps: Vec<GapRow>,
    incidents: Vec<&'b Incident>,
    outbox: Vec<&'b OutboxRow>,
    newest: i64,
}

impl Postgres {
    pub(super) async fn write_batch(&self, batch: &[Transition]) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut sitting = self.sit().await?;
        let days = batch.iter().filter_map(|one| match &one.result {
            Some(Recorded::Ran { outcome, .. }) => Some(days::of(outcome.at.as_millisecond())),
            _ => None,
        });
        let days: BTreeSet<i64> = days.collect();
        let done = patiently(async {
            let going = self.make_days(&mut sitting.writer.connection, days).await?;
            sitting.writer.write(batch, &going).await
        });
        let done = done.await;
        sitting.done(done)
    }

    pub(super) async fn write_gaps(&self, gaps: &[Gap]) -> Result<(), StoreError> {
        let mut sitting = self.sit().await?;
        let done = patiently(sitting.writer.write_gaps(gaps)).await;
        sitting.done(done)
    }

    pub(super) async fn note_start(&self, now: Timestamp) -> Result<Option<Gap>, StoreError> {
        let mut sitting = self.sit().await?;
        let done = patiently(sitting.writer.note_start(now)).await;
        sitting.done(done)
    }
}

impl Writer {
    async fn write(&mut self, batch: &[Transition], going: &BTreeSet<i64>) -> Result<(), sqlx::Error> {
        let mut transaction = lease::begin(&mut self.connection, self.tenure.token()).await?;
        let wanted = batch.iter().map(|transition| &transition.check);
        let mut parts =
            Parts { learned: make(&mut transaction, &self.checks, wanted).await?, ..Parts::default() };
        for transition in batch {
            parts.take(&self.checks, transition)?;
        }
        parts.rows.retain(|row| !going.contains(&days::of(row.at)));
        parts.facts.retain(|row| !going.contains(&days::of(row.at)));
        let oldest = parts.rows.iter().map(|row| row.at).min();
        write::results(&mut transaction, parts.rows).await?;
        write::facts(&mut transaction, parts.facts).await?;
        write::gaps(&mut transaction, parts.gaps).await?;
        write::edits(&mut transaction, parts.edits).await?;
        write::incidents(&mut transaction, &parts.incidents).await?;
        write::outbox(&mut transaction, &parts.outbox).await?;
        if let Some(oldest) = oldest {
            figures::take_back(&mut transaction, oldest).await?;
        }
        let alive = self.run.filter(|(_, seen)| parts.newest >= seen + SIGN_OF_LIFE);
        if let Some((started, _)) = alive {
            let seen = sqlx::query("UPDATE runs SET seen = $1 WHERE started = $2");
            seen.bind(parts.newest).bind(started).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        self.checks.extend(parts.learned);
        if let Some((started, _)) = alive {
            self.run = Some((started, parts.newest));
        }
        Ok(())
    }

    async fn write_gaps(&mut self, gaps: &[Gap]) -> Result<(), sqlx::Error> {
        let mut transaction = lease::begin(&mut self.connection, self.tenure.token()).await?;
        let wanted = gaps.iter().filter_map(|gap| gap.check.as_ref());
        let learned = make(&mut transaction, &self.checks, wanted).await?;
        let row = |gap: &Gap| GapRow {
            at: gap.from.as_millisecond(),
            check: gap.check.as_ref().map_or(0, |check| {
                learned.get(check).or_else(|| self.checks.get(check)).map_or(0, |known| known.id)
            }),
            until: gap.to.as_millisecond(),
            why: gap.why.clone(),
        };
        write::gaps(&mut transaction, gaps.iter().map(row).collect()).await?;
        transaction.commit().await?;
        self.checks.extend(learned);
        Ok(())
    }

    async fn note_start(&mut self, now: Timestamp) -> Result<Option<Gap>, sqlx::Error> {
        let started = now.as_millisecond();
        let mut transaction = lease::begin(&mut self.connection, self.tenure.token()).await?;
        let before = sqlx::query_scalar::<_, Option<i64>>("SELECT max(seen) FROM runs");
        let before = before.fetch_one(&mut *transaction).await?.filter(|before| *before < started);
        if let Some(before) = before {
            let gap = GapRow { at: before, check: 0, until: started, why: "not_running".into() };
            write::gaps(&mut transaction, vec![gap]).await?;
        }
        let run = "INSERT INTO runs (started, seen) VALUES ($1, $1) \
                   ON CONFLICT (started) DO UPDATE SET seen = excluded.seen";
        sqlx::query(run).bind(started).execute(&mut *transaction).await?;
        transaction.commit().await?;
        self.run = Some((started, started));
        let gap = |before: Timestamp| Gap { check: None, from: before, to: now, why: "not_running".into() };
        Ok(before.and_then(|before| Timestamp::from_millisecond(before).ok()).map(gap))
    }
}

/// The rows of checks that have none, or that were removed and are back.
async fn make<'c>(
    connection: &mut PgConnection,
    checks: &HashMap<CheckId, Known>,
    wanted: impl Iterator<Item = &'c CheckId>,
) -> Result<HashMap<CheckId, Known>, sqlx::Error> {
    let missing = wanted.filter(|check| checks.get(*check).is_none_or(|known| known.removed));
    let missing: BTreeSet<&str> = missing.map(CheckId::as_str).collect();
    if missing.is_empty() {
        return Ok(HashMap::new());
    }
    let missing: Vec<&str> = missing.into_iter().collect();
    let sql = "INSERT INTO checks (name) SELECT name FROM UNNEST($1::text[]) AS new (name) \
               ON CONFLICT (name) DO UPDATE SET removed = FALSE RETURNING id, name";
    let made = sqlx::query_as::<_, (i64, String)>(sql).bind(missing).fetch_all(connection).await?;
    let made = made
        .into_iter()
        .map(|(id, name)| (CheckId::from(name.as_str()), Known { id, removed: false, noted: None }));
    Ok(made.collect())
}

impl<'b> Parts<'b> {
    fn take(
        &mut self,
        checks: &HashMap<CheckId, Known>,
        transition: &'b Transition,
    ) -> Result<(), sqlx::Error> {
        let found = self.learned.get(&transition.check).or_else(|| checks.get(&transition.check));
        let Some(mut check) = found.copied() else {
            return Err(sqlx::Error::Protocol(format!("{} got no row", transition.check)));
        };
        if check.removed {
            // Removed further up in this batch, and seen again.
            check = Known { removed: false, noted: None, ..check };
            self.edits.entry(check.id).or_default().removed = false;
            self.learned.insert(transition.check.clone(), check);
        }
        match &transition.result {
            Some(Recorded::Ran { outcome, in_full }) => {
                let at = outcome.at.as_millisecond();
                self.newest = self.newest.max(at);
                self.rows.push(row(check.id, outcome, *in_full)?);
                if *in_full || check.noted.is_none_or(|noted| at.abs_diff(noted) >= FACTS_AGE) {
                    let edit = self.edits.entry(check.id).or_default();
                    edit.noted = Some(at);
                    edit.since = edit.since.or(Some(at));
                    if let Some(facts) = &outcome.facts {
                        edit.facts = Some((at, facts.get().to_owned()));
                    }
                    check.noted = Some(at);
                    self.learned.insert(transition.check.clone(), check);
                }
                if let (true, Some(facts)) = (*in_full, &outcome.facts) {
                    self.facts.push(KeptRow { at, check: check.id, facts: pack::text(facts.get()) });
                }
            }
            Some(Recorded::NotCovered { at, why }) => {
                let at = at.as_millisecond();
                self.gaps.push(GapRow { at, check: check.id, until: at, why: why.to_string() });
            }
            None => {}
        }
        if let Some(state) = &transition.state {
            self.edits.entry(check.id).or_default().state = Some(json(state)?);
        }
        if let Some(memory) = &transition.memory {
            self.edits.entry(check.id).or_default().memory = Some(memory.get().to_owned());
        }
        self.incidents.extend(&transition.incidents);
        self.outbox.extend(&transition.outbox);
        if transition.removed {
            let (noted, since) =
                self.edits.get(&check.id).map_or((None, None), |edit| (edit.noted, edit.since));
            let forgotten = Edit { anew: true, removed: true, noted, since, ..Edit::default() };
            self.edits.insert(check.id, forgotten);
            self.learned.insert(transition.check.clone(), Known { removed: true, noted: None, ..check });
        }
        Ok(())
    }
}

fn row(check: i64, outcome: &Outcome, in_full: bool) -> Result<Row, sqlx::Error> {
    let findings = pack::findings(outcome, in_full || outcome.verdict != Verdict::Pass);
    let verdict = pack::verdict(outcome.verdict, outcome.cause, pack::Marks::of(outcome));
    Ok(Row {
        at: outcome.at.as_millisecond(),
        check,
        verdict: i16::try_from(verdict).map_err(|why| sqlx::Error::Encode(why.into()))?,
        status: outcome.status.map(i32::from),
        times: pack::times(outcome.took, &outcome.timings, &outcome.steps),
        findings: if findings.is_empty() { None } else { json(&findings).ok() },
    })
}
