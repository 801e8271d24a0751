//! The statements of a commit: each writes all that a batch has for one table.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use sqlx::PgConnection;

use super::commit::{Edit, GapRow, KeptRow, Row};
use super::without_nul;
use crate::model::{Incident, OutboxRow};
use crate::record::rows::json;

/// Of two results with one key the later one stays; a statement may write a row only once.
pub async fn results(connection: &mut PgConnection, rows: Vec<Row>) -> Result<(), sqlx::Error> {
    let rows: BTreeMap<(i64, i64), Row> = rows.into_iter().map(|row| ((row.at, row.check), row)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let count = rows.len();
    let (mut at, mut check) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let (mut verdict, mut status) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let (mut times, mut findings) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for row in rows.into_values() {
        at.push(row.at);
        check.push(row.check);
        verdict.push(row.verdict);
        status.push(row.status);
        times.push(row.times);
        findings.push(row.findings);
    }
    let sql = "INSERT INTO results (at, check_id, verdict, status, times, findings) \
               SELECT * FROM UNNEST($1::bigint[], $2::bigint[], $3::smallint[], $4::integer[], $5::bytea[], $6::text[]) \
               ON CONFLICT (check_id, at) DO UPDATE SET verdict = excluded.verdict, status = excluded.status, \
               times = excluded.times, findings = excluded.findings";
    let insert = sqlx::query(sql).bind(at).bind(check).bind(verdict).bind(status).bind(times).bind(findings);
    insert.execute(connection).await?;
    Ok(())
}

/// Of what was seen in one run the later word stays.
pub async fn facts(connection: &mut PgConnection, rows: Vec<KeptRow>) -> Result<(), sqlx::Error> {
    let rows: BTreeMap<(i64, i64), KeptRow> =
        rows.into_iter().map(|row| ((row.at, row.check), row)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let (mut at, mut check, mut facts) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows.into_values() {
        at.push(row.at);
        check.push(row.check);
        facts.push(row.facts);
    }
    let sql = "INSERT INTO facts (at, check_id, facts) \
               SELECT * FROM UNNEST($1::bigint[], $2::bigint[], $3::bytea[]) \
               ON CONFLICT (check_id, at) DO UPDATE SET facts = excluded.facts";
    sqlx::query(sql).bind(at).bind(check).bind(facts).execute(connection).await?;
    Ok(())
}

pub async fn gaps(connection: &mut PgConnection, gaps: Vec<GapRow>) -> Result<(), sqlx::Error> {
    let gaps: BTreeMap<(i64, i64), GapRow> = gaps.into_iter().map(|gap| ((gap.at, gap.check), gap)).collect();
    if gaps.is_empty() {
        return Ok(());
    }
    let (mut at, mut check, mut until, mut why) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for gap in gaps.into_values() {
        at.push(gap.at);
        check.push(gap.check);
        until.push(gap.until);
        why.push(without_nul(&gap.why).into_owned());
    }
    let sql = "INSERT INTO gaps (at, check_id, until, why) \
               SELECT * FROM UNNEST($1::bigint[], $2::bigint[], $3::bigint[], $4::text[]) \
               ON CONFLICT (at, check_id) DO UPDATE SET until = excluded.until, why = excluded.why";
    sqlx::query(sql).bind(at).bind(check).bind(until).bind(why).execute(connection).await?;
    Ok(())
}

pub async fn edits(connection: &mut PgConnection, edits: HashMap<i64, Edit>) -> Result<(), sqlx::Error> {
    if edits.is_empty() {
        return Ok(());
    }
    let (mut id, mut anew, mut removed) = (Vec::new(), Vec::new(), Vec::new());
    let (mut state, mut memory) = (Vec::new(), Vec::new());
    let (mut facts_at, mut facts) = (Vec::new(), Vec::new());
    let (mut noted, mut since) = (Vec::new(), Vec::new());
    for (check, edit) in edits {
        id.push(check);
        anew.push(edit.anew);
        removed.push(edit.removed);
        state.push(edit.state);
        memory.push(edit.memory);
        let (at, text) = edit.facts.unzip();
        facts_at.push(at);
        facts.push(text);
        noted.push(edit.noted);
        since.push(edit.since);
    }
    let sql = "UPDATE checks c SET removed = e.removed, \
               state = CASE WHEN e.anew THEN e.state ELSE coalesce(e.state, c.state) END, \
               memory = CASE WHEN e.anew THEN e.memory ELSE coalesce(e.memory, c.memory) END, \
               facts = CASE WHEN e.anew THEN e.facts ELSE coalesce(e.facts, c.facts) END, \
               facts_at = CASE WHEN e.anew THEN e.facts_at ELSE coalesce(e.facts_at, c.facts_at) END, \
               last_at = coalesce(e.noted, c.last_at), since = coalesce(c.since, e.since) \
               FROM UNNEST($1::bigint[], $2::boolean[], $3::boolean[], $4::text[], $5::text[], $6::text[], \
               $7::bigint[], $8::bigint[], $9::bigint[]) \
               AS e (id, anew, removed, state, memory, facts, facts_at, noted, since) \
               WHERE c.id = e.id";
    let update = sqlx::query(sql).bind(id).bind(anew).bind(removed).bind(state).bind(memory);
    update.bind(facts).bind(facts_at).bind(noted).bind(since).execute(connection).await?;
    Ok(())
}

pub async fn incidents(connection: &mut PgConnection, incidents: &[&Incident]) -> Result<(), sqlx::Error> {
    let last: BTreeMap<&str, &Incident> = incidents.iter().map(|one| (one.id.as_str(), *one)).collect();
    if last.is_empty() {
        return Ok(());
    }
    let (mut id, mut started, mut ended, mut body) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for incident in last.into_values() {
        id.push(incident.id.as_str());
        started.push(incident.started.as_millisecond());
        ended.push(incident.ended.map(Timestamp::as_millisecond));
        body.push(json(incident)?);
    }
    let sql = "INSERT INTO incidents (id, started, ended, body) \
               SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $4::text[]) \
               ON CONFLICT (id) DO UPDATE SET started = excluded.started, ended = excluded.ended, \
               body = excluded.body";
    sqlx::query(sql).bind(id).bind(started).bind(ended).bind(body).execute(connection).await?;
    Ok(())
}

/// In their order, which is that of `seq`. A key that is there stays as it is.
pub async fn outbox(connection: &mut PgConnection, rows: &[&OutboxRow]) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let (mut key, mut channel, mut group, mut incident) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut at, mut not_before, mut attempts) = (Vec::new(), Vec::new(), Vec::new());
    let (mut batch, mut unsure, mut body) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        key.push(row.key.as_str());
        channel.push(row.channel.as_str());
        group.push(row.group_key.as_str());
        incident.push(row.incident.as_str());
        at.push(row.notice.at.as_millisecond());
        not_before.push(row.not_before.as_millisecond());
        attempts.push(i64::from(row.attempts));
        batch.push(row.batch.as_deref());
        unsure.push(row.unsure);
        body.push(json(row)?);
    }
    let sql = "INSERT INTO outbox (key, channel, group_key, incident, at, not_before, attempts, batch, unsure, body) \
               SELECT key, channel, group_key, incident, at, not_before, attempts, batch, unsure, body \
               FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], \
               $7::bigint[], $8::text[], $9::boolean[], $10::text[]) WITH ORDINALITY \
               AS new (key, channel, group_key, incident, at, not_before, attempts, batch, unsure, body, place) \
               ORDER BY place ON CONFLICT (key) DO NOTHING";
    let insert = sqlx::query(sql).bind(key).bind(channel).bind(group).bind(incident).bind(at);
    let insert = insert.bind(not_before).bind(attempts).bind(batch).bind(unsure).bind(body);
    insert.execute(connection).await?;
    Ok(())
}
