//! Figures over time: rows of hours and days, and the results they are made of.
//!
//! Until when everything is rolled up stands in the database alone, and is compared and set there:
//! whoever else writes may have taken it back.

use std::collections::{BTreeMap, HashMap};

use futures_util::TryStreamExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use sqlx::PgConnection;
use sqlx::postgres::{PgArguments, Postgres as Db};
use sqlx::query::QueryScalar;

use super::link::{patiently, reading};
use super::{Postgres, Writer};
use crate::model::CheckId;
use crate::record::rows::figures::{
    KnownColumns, RolledColumns, StandingColumns, SumColumns, judged, kept, known, millis, ran, rolled, span,
    standing, stored, sum,
};
use crate::record::rows::time;
use crate::record::{Figures, Judgements, KeptFacts, KnownCheck, Ran, RolledRow, StoreError, UptimeRow};
use crate::stats::rollup::Grain;
use crate::stats::samples::Rules;
use crate::stats::uptime::Standing;

/// Takes the marks back to before a result that is written.
pub async fn take_back(connection: &mut PgConnection, written: i64) -> Result<(), sqlx::Error> {
    let sql = "UPDATE marks m SET until = LEAST(m.until, b.until) \
               FROM (VALUES ($1::bigint, $2::bigint), ($3::bigint, $4::bigint)) AS b (span, until) \
               WHERE m.span = b.span AND m.until > b.until";
    let back = sqlx::query(sql).bind(span(Grain::Hour)).bind(Grain::Hour.floor(written));
    let back = back.bind(span(Grain::Day)).bind(Grain::Day.floor(written));
    back.execute(connection).await?;
    Ok(())
}

/// Minutes go with their hours.
fn marked(grain: Grain) -> i64 {
    span(if grain == Grain::Day { Grain::Day } else { Grain::Hour })
}

/// Moves a mark from where it is expected; false if it is elsewhere.
async fn advance(
    connection: &mut PgConnection,
    grain: Grain,
    expected: Option<i64>,
    until: i64,
) -> Result<bool, sqlx::Error> {
    let query = match expected {
        Some(expected) => {
            let sql = "UPDATE marks SET until = $2 WHERE span = $1 AND until = $3";
            sqlx::query(sql).bind(marked(grain)).bind(until).bind(expected)
        }
        None => {
            let sql = "INSERT INTO marks (span, until) VALUES ($1, $2) ON CONFLICT (span) DO NOTHING";
            sqlx::query(sql).bind(marked(grain)).bind(until)
        }
    };
    Ok(query.execute(connection).await?.rows_affected() == 1)
}

/// Writes rows; those of checks that were never recorded go nowhere.
async fn put(connection: &mut PgConnection, rows: &[RolledRow]) -> Result<(), sqlx::Error> {
    // A statement may write a row only once.
    let rows: BTreeMap<_, _> = rows.iter().map(|row| ((&row.check, span(row.grain), row.at), row)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let (mut name, mut spans, mut at) = (Vec::new(), Vec::new(), Vec::new());
    let (mut up, mut down, mut planned) = (Vec::new(), Vec::new(), Vec::new());
    let (mut runs, mut failed) = (Vec::new(), Vec::new());
    let (mut standing_at, mut standing, mut sketches) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows.into_values() {
        let rolled = &row.rolled;
        name.push(row.check.as_str());
        spans.push(span(row.grain));
        at.push(row.at);
        up.push(stored(rolled.uptime.up));
        down.push(stored(rolled.uptime.down));
        planned.push(stored(rolled.uptime.planned));
        runs.push(stored(rolled.runs));
        failed.push(stored(rolled.failed));
        standing_at.push(rolled.standing.map(|standing| standing.at));
        standing.push(rolled.standing.and_then(|standing| standing.up).map(i64::from));
        sketches.push((!rolled.latencies.is_empty()).then(|| rolled.latencies.to_bytes()));
    }
    let sql = "INSERT INTO uptimes (span, check_id, at, up, down, planned, runs, failed, standing_at, standing) \
               SELECT n.span, c.id, n.at, n.up, n.down, n.planned, n.runs, n.failed, n.standing_at, n.standing \
               FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], \
               $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[]) \
               AS n (name, span, at, up, down, planned, runs, failed, standing_at, standing) \
               JOIN checks c ON c.name = n.name ON CONFLICT (span, check_id, at) DO UPDATE \
               SET up = excluded.up, down = excluded.down, planned = excluded.planned, runs = excluded.runs, \
               failed = excluded.failed, standing_at = excluded.standing_at, standing = excluded.standing";
    let insert = sqlx::query(sql).bind(&name).bind(&spans).bind(&at).bind(up).bind(down).bind(planned);
    let insert = insert.bind(runs).bind(failed).bind(standing_at).bind(standing);
    insert.execute(&mut *connection).await?;
    let sql = "WITH n AS (SELECT c.id, n.span, n.at, n.sketches \
               FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $4::bytea[]) AS n (name, span, at, sketches) \
               JOIN checks c ON c.name = n.name), \
               gone AS (DELETE FROM latencies l USING n WHERE n.sketches IS NULL \
               AND l.span = n.span AND l.check_id = n.id AND l.at = n.at) \
               INSERT INTO latencies (span, check_id, at, sketches) \
               SELECT span, id, at, sketches FROM n WHERE sketches IS NOT NULL \
               ON CONFLICT (span, check_id, at) DO UPDATE SET sketches = excluded.sketches";
    sqlx::query(sql).bind(name).bind(spans).bind(at).bind(sketches).execute(connection).await?;
    Ok(())
}

impl Writer {
    async fn note_rules(&mut self, rules: &[(CheckId, Rules)]) -> Result<(), sqlx::Error> {
        let rules: BTreeMap<&CheckId, &Rules> = rules.iter().map(|(check, rules)| (check, rules)).collect();
        let name: Vec<&str> = rules.keys().map(|check| check.as_str()).collect();
        let every: Vec<i64> = rules.values().map(|rules| millis(rules.every)).collect();
        let timeout: Vec<i64> = rules.values().map(|rules| millis(rules.timeout)).collect();
        // Of checks without a row nothing was ever recorded.
        let sql = "UPDATE checks c SET every = n.every, timeout = n.timeout \
                   FROM UNNEST($1::text[], $2::bigint[], $3::bigint[]) AS n (name, every, timeout) \
                   WHERE c.name = n.name AND (c.every, c.timeout) IS DISTINCT FROM (n.every, n.timeout)";
        let noted = sqlx::query(sql).bind(name).bind(every).bind(timeout);
        let mut transaction = self.begin().await?;
        noted.execute(&mut *transaction).await?;
        transaction.commit().await
    }

    async fn put_rolled(
        &mut self,
        grain: Grain,
        rows: &[RolledRow],
        expected: Option<i64>,
        until: i64,
    ) -> Result<bool, sqlx::Error> {
        let mut transaction = self.begin().await?;
        // First, so that whoever takes it back at the same time waits for this.
        if !advance(&mut transaction, grain, expected, until).await? {
            transaction.rollback().await?;
            return Ok(false);
        }
        put(&mut transaction, rows).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

impl Postgres {
    async fn write_rolled(
        &self,
        grain: Grain,
        rows: &[RolledRow],
        expected: Option<Timestamp>,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut sitting = self.sit().await?;
        let expected = expected.map(Timestamp::as_millisecond);
        let done = patiently(sitting.writer.put_rolled(grain, rows, expected, until.as_millisecond())).await;
        sitting.done(done)
    }

    async fn write_rules(&self, rules: &[(CheckId, Rules)]) -> Result<(), StoreError> {
        let mut sitting = self.sit().await?;
        let done = patiently(sitting.writer.note_rules(rules)).await;
        sitting.done(done)
    }

    async fn read_known_checks(&self) -> Result<Vec<KnownCheck>, StoreError> {
        let mut reader = self.readers.take().await?;
        let sql = "SELECT name, since, every, timeout, removed FROM checks ORDER BY name COLLATE \"C\"";
        let rows = sqlx::query_as::<_, KnownColumns>(sql).fetch_all(&mut reader.connection);
        let rows = reading(rows).await;
        Ok(reader.done(rows)?.into_iter().map(known).collect())
    }

    async fn read_ran(
        &self,
        check: Option<&CheckId>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Ran>, StoreError> {
        let mut reader = self.readers.take().await?;
        let read = reading(ran_in(&mut reader.connection, check, from, to)).await;
        reader.done(read)
    }

    async fn read_judged(&self, from: Timestamp, to: Timestamp) -> Result<Judgements, StoreError> {
        let mut reader = self.readers.take().await?;
        let sql = "SELECT c.name, array_agg(r.at), array_agg(r.verdict) FROM results r \
                   JOIN checks c ON c.id = r.check_id WHERE r.at >= $1 AND r.at < $2 GROUP BY c.name";
        let rows = sqlx::query_as::<_, (String, Vec<i64>, Vec<i16>)>(sql).bind(from.as_millisecond());
        let rows = reading(rows.bind(to.as_millisecond()).fetch_all(&mut reader.connection)).await;
        let one = |(name, starts, packed): (String, Vec<i64>, Vec<i16>)| {
            (CheckId::from(name.as_str()), judged(&starts, packed.into_iter().map(i64::from)))
        };
        Ok(reader.done(rows)?.into_iter().map(one).collect())
    }

    async fn read_next_result(&self, from: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        // By the key of each check: the index by time tells of pages, which would have to be read.
        let sql = "SELECT min(r.at) FROM checks c CROSS JOIN LATERAL \
                   (SELECT at FROM results WHERE check_id = c.id AND at >= $1 ORDER BY at LIMIT 1) r";
        self.read_instant(sqlx::query_scalar(sql).bind(from.as_millisecond())).await
    }

    async fn read_rolled_from(&self, grain: Grain) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT min(u.at) FROM checks c CROSS JOIN LATERAL \
                   (SELECT at FROM uptimes WHERE span = $1 AND check_id = c.id ORDER BY at LIMIT 1) u";
        self.read_instant(sqlx::query_scalar(sql).bind(span(grain))).await
    }

    async fn read_instant(
        &self,
        query: QueryScalar<'_, Db, Option<i64>, PgArguments>,
    ) -> Result<Option<Timestamp>, StoreError> {
        let mut reader = self.readers.take().await?;
        let found = reading(query.fetch_one(&mut reader.connection)).await;
        Ok(reader.done(found)?.map(time))
    }

    async fn read_mark(&self, grain: Grain) -> Result<Option<Timestamp>, StoreError> {
        let mut reader = self.readers.take().await?;
        let found = sqlx::query_scalar::<_, i64>("SELECT until FROM marks WHERE span = $1").bind(span(grain));
        let found = reading(found.fetch_optional(&mut reader.connection)).await;
        Ok(reader.done(found)?.map(time))
    }

    async fn read_standings(&self, before: Timestamp) -> Result<Vec<(CheckId, Standing)>, StoreError> {
        let mut reader = self.readers.take().await?;
        let sql = "SELECT c.name, u.standing_at, u.standing FROM checks c CROSS JOIN LATERAL \
                   (SELECT standing_at, standing FROM uptimes WHERE span = $1 AND check_id = c.id \
                   AND at < $2 AND standing_at IS NOT NULL ORDER BY at DESC LIMIT 1) u";
        let rows = sqlx::query_as::<_, StandingColumns>(sql).bind(span(Grain::Hour));
        let rows = rows.bind(before.as_millisecond()).fetch_all(&mut reader.connection);
        let rows = reading(rows).await;
        Ok(reader.done(rows)?.into_iter().map(standing).collect())
    }

    async fn read_rolled(
        &self,
        grain: Grain,
        check: &CheckId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<RolledRow>, StoreError> {
        let mut reader = self.readers.take().await?;
        let rows = sqlx::query_as::<_, RolledColumns>(ROLLED)
            .bind(span(grain))
            .bind(check.as_str())
            .bind(from.as_millisecond())
            .bind(to.as_millisecond())
            .fetch_all(&mut reader.connection);
        let rows = reading(rows).await;
        Ok(reader.done(rows)?.into_iter().map(|row| rolled(grain, check, row)).collect())
    }

    async fn read_uptimes(
        &self,
        grain: Grain,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<UptimeRow>, StoreError> {
        let mut reader = self.readers.take().await?;
        let rows = sqlx::query_as::<_, SumColumns>(UPTIMES).bind(span(grain)).bind(from.as_millisecond());
        let rows = rows.bind(to.as_millisecond()).fetch_all(&mut reader.connection);
        let rows = reading(rows).await;
        Ok(reader.done(rows)?.into_iter().map(sum).collect())
    }

    async fn read_kept_facts(
        &self,
        check: &CheckId,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<KeptFacts, StoreError> {
        let mut reader = self.readers.take().await?;
        let sql = "SELECT at, facts FROM facts WHERE check_id = (SELECT id FROM checks WHERE name = $1) \
                   AND at >= $2 AND at < $3 ORDER BY at LIMIT $4";
        let rows = sqlx::query_as::<_, (i64, Vec<u8>)>(sql)
            .bind(check.as_str())
            .bind(from.as_millisecond())
            .bind(to.as_millisecond())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&mut reader.connection);
        let rows = reading(rows).await;
        Ok(reader.done(rows)?.into_iter().filter_map(kept).collect())
    }
}

/// The rows of one check: a stretch of the key.
pub const ROLLED: &str = "SELECT u.at, u.up, u.down, u.planned, u.runs, u.failed, u.standing_at, u.standing, l.sketches \
     FROM uptimes u LEFT JOIN latencies l ON l.span = u.span AND l.check_id = u.check_id AND l.at = u.at \
     WHERE u.span = $1 AND u.check_id = (SELECT id FROM checks WHERE name = $2) \
     AND u.at >= $3 AND u.at < $4 ORDER BY u.at";

/// The sums of all checks: a stretch of the key for each of them.
pub const UPTIMES: &str = "SELECT c.name, u.up::bigint, u.down::bigint, u.planned::bigint, u.runs::bigint, u.failed::bigint \
     FROM checks c CROSS JOIN LATERAL (SELECT sum(up) AS up, sum(down) AS down, sum(planned) AS planned, \
     sum(runs) AS runs, sum(failed) AS failed FROM uptimes \
     WHERE span = $1 AND check_id = c.id AND at >= $2 AND at < $3) u \
     WHERE u.up IS NOT NULL ORDER BY c.name COLLATE \"C\"";

async fn ran_in(
    connection: &mut PgConnection,
    check: Option<&CheckId>,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<Ran>, sqlx::Error> {
    let names =
        sqlx::query_as::<_, (i64, String)>("SELECT id, name FROM checks WHERE $1 IS NULL OR name = $1");
    let names = names.bind(check.map(CheckId::as_str)).fetch_all(&mut *connection).await?;
    let names: HashMap<i64, CheckId> =
        names.into_iter().map(|(id, name)| (id, CheckId::from(name.as_str()))).collect();
    // Two statements: one of a single check goes by the key.
    let sql = match check {
        Some(_) => {
            "SELECT at, check_id, verdict, times FROM results \
             WHERE at >= $1 AND at < $2 AND check_id = $3 ORDER BY at"
        }
        None => {
            "SELECT at, check_id, verdict, times FROM results \
             WHERE at >= $1 AND at < $2 ORDER BY at, check_id"
        }
    };
    let rows = sqlx::query_as::<_, (i64, i64, i16, Vec<u8>)>(sql);
    let mut rows = rows.bind(from.as_millisecond()).bind(to.as_millisecond());
    if check.is_some() {
        let Some(id) = names.keys().next() else { return Ok(Vec::new()) };
        rows = rows.bind(*id);
    }
    let mut rows = rows.fetch(connection);
    let mut all = Vec::new();
    while let Some((at, id, packed, times)) = rows.try_next().await? {
        let Some(check) = names.get(&id) else { continue };
        all.push(ran(check, at, packed.into(), &times));
    }
    Ok(all)
}

impl Figures for Postgres {
    fn facts<'a>(
        &'a self,
        check: &'a CheckId,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> BoxFuture<'a, Result<KeptFacts, StoreError>> {
        Box::pin(self.read_kept_facts(check, from, to, limit))
    }

    fn note_rules<'a>(&'a self, rules: &'a [(CheckId, Rules)]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.write_rules(rules))
    }

    fn known_checks(&self) -> BoxFuture<'_, Result<Vec<KnownCheck>, StoreError>> {
        Box::pin(self.read_known_checks())
    }

    fn ran<'a>(
        &'a self,
        check: Option<&'a CheckId>,
        from: Timestamp,
        to: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<Ran>, StoreError>> {
        Box::pin(self.read_ran(check, from, to))
    }

    fn judged(&self, from: Timestamp, to: Timestamp) -> BoxFuture<'_, Result<Judgements, StoreError>> {
        Box::pin(self.read_judged(from, to))
    }

    fn next_result(&self, from: Timestamp) -> BoxFuture<'_, Result<Option<Timestamp>, StoreError>> {
        Box::pin(self.read_next_result(from))
    }

    fn rolled_from(&self, grain: Grain) -> BoxFuture<'_, Result<Option<Timestamp>, StoreError>> {
        Box::pin(self.read_rolled_from(grain))
    }

    fn rolled_until(&self, grain: Grain) -> BoxFuture<'_, Result<Option<Timestamp>, StoreError>> {
        Box::pin(self.read_mark(grain))
    }

    fn standings(&self, before: Timestamp) -> BoxFuture<'_, Result<Vec<(CheckId, Standing)>, StoreError>> {
        Box::pin(self.read_standings(before))
    }

    fn put_rolled<'a>(
        &'a self,
        grain: Grain,
        rows: &'a [RolledRow],
        expected: Option<Timestamp>,
        until: Timestamp,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(self.write_rolled(grain, rows, expected, until))
    }

    fn rolled<'a>(
        &'a self,
        grain: Grain,
        check: &'a CheckId,
        from: Timestamp,
        to: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<RolledRow>, StoreError>> {
        Box::pin(self.read_rolled(grain, check, from, to))
    }

    fn uptimes(
        &self,
        grain: Grain,
        from: Timestamp,
        to: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<UptimeRow>, StoreError>> {
        Box::pin(self.read_uptimes(grain, from, to))
    }
}
