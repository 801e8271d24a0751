//! Figures over time: rows of hours and days, and the results they are made of.

use std::collections::HashMap;

use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{Sqlite, Writer};
use crate::model::CheckId;
use crate::record::rows::figures::{
    KnownColumns, RolledColumns, StandingColumns, SumColumns, judged, kept, known, millis, ran, rolled, span,
    standing, stored, sum,
};
use crate::record::rows::{parsed, time};
use crate::record::{Judgements, KeptFacts, KnownCheck, Ran, RolledRow, StoreError, UptimeRow};
use crate::stats::rollup::{Grain, Rolled};
use crate::stats::samples::Rules;
use crate::stats::uptime::Standing;

type RanColumns = (i64, i64, i64, Vec<u8>);

/// Until when everything is rolled up, by grain; minutes go with their hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    hours: Option<i64>,
    days: Option<i64>,
}

impl Marks {
    pub(super) async fn read(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let rows = sqlx::query_as::<_, (i64, i64)>("SELECT span, until FROM marks").fetch_all(connection);
        let rows: HashMap<i64, i64> = rows.await?.into_iter().collect();
        let of = |grain| rows.get(&span(grain)).copied();
        Ok(Self { hours: of(Grain::Hour), days: of(Grain::Day) })
    }

    fn of(&self, grain: Grain) -> Option<i64> {
        if grain == Grain::Day { self.days } else { self.hours }
    }

    fn with(self, grain: Grain, until: i64) -> Self {
        match grain {
            Grain::Day => Self { days: Some(until), ..self },
            Grain::Minute | Grain::Hour => Self { hours: Some(until), ..self },
        }
    }

    /// What is still rolled up once a result of this time is written.
    pub(super) fn taken_back(self, written: Option<i64>) -> Self {
        let Some(written) = written else { return self };
        let back = |mark: Option<i64>, grain: Grain| mark.map(|mark| mark.min(grain.floor(written)));
        Self { hours: back(self.hours, Grain::Hour), days: back(self.days, Grain::Day) }
    }

    /// Writes what differs from `before`.
    pub(super) async fn write(
        self,
        connection: &mut SqliteConnection,
        before: &Self,
    ) -> Result<(), sqlx::Error> {
        for grain in [Grain::Hour, Grain::Day] {
            if let Some(until) = self.of(grain).filter(|until| before.of(grain) != Some(*until)) {
                let sql = "INSERT OR REPLACE INTO marks (span, until) VALUES (?, ?)";
                sqlx::query(sql).bind(span(grain)).bind(until).execute(&mut *connection).await?;
            }
        }
        Ok(())
    }
}

// `CROSS JOIN` keeps the order: rows are found check by check. The other way round SQLite, which knows
// nothing of how many there are, reads all rows of a span.

const STANDINGS: &str = "SELECT c.name, u.standing_at, u.standing FROM checks c CROSS JOIN uptimes u \
     ON u.span = ?1 AND u.check_id = c.id AND u.at = (SELECT max(at) FROM uptimes \
     WHERE span = ?1 AND check_id = c.id AND at < ?2 AND standing_at IS NOT NULL)";

const UPTIMES: &str = "SELECT c.name, sum(u.up), sum(u.down), sum(u.planned), sum(u.runs), sum(u.failed) \
     FROM checks c CROSS JOIN uptimes u ON u.span = ?1 AND u.check_id = c.id \
     AND u.at >= ?2 AND u.at < ?3 GROUP BY c.id ORDER BY c.name";

const FIRST: &str =
    "SELECT min((SELECT min(at) FROM uptimes WHERE span = ? AND check_id = c.id)) FROM checks c";

/// Rows of a table before a time.
macro_rules! drop_sql {
    ($table:literal, $span:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE (span, check_id, at) IN (SELECT t.span, t.check_id, t.at FROM checks c CROSS JOIN ",
            $table,
            " t ON t.span = ",
            $span,
            " AND t.check_id = c.id AND t.at < ? LIMIT ?)"
        )
    };
}

impl Writer {
    async fn put_rolled(
        &mut self,
        grain: Grain,
        rows: &[RolledRow],
        expected: Option<i64>,
        until: i64,
    ) -> Result<bool, sqlx::Error> {
        if self.marks.of(grain) != expected {
            return Ok(false);
        }
        use sqlx::Connection as _;
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        for row in rows {
            let Some(known) = self.checks.get(&row.check) else { continue };
            put(&mut transaction, known.id, row).await?;
        }
        let marks = self.marks.with(grain, until);
        marks.write(&mut transaction, &self.marks).await?;
        transaction.commit().await?;
        self.marks = marks;
        Ok(true)
    }
}

async fn put(connection: &mut SqliteConnection, check: i64, row: &RolledRow) -> Result<(), sqlx::Error> {
    let Rolled { uptime, runs, failed, standing, latencies } = &row.rolled;
    let sql = "INSERT OR REPLACE INTO uptimes \
               (span, check_id, at, up, down, planned, runs, failed, standing_at, standing) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    sqlx::query(sql)
        .bind(span(row.grain))
        .bind(check)
        .bind(row.at)
        .bind(stored(uptime.up))
        .bind(stored(uptime.down))
        .bind(stored(uptime.planned))
        .bind(stored(*runs))
        .bind(stored(*failed))
        .bind(standing.map(|standing| standing.at))
        .bind(standing.and_then(|standing| standing.up).map(i64::from))
        .execute(&mut *connection)
        .await?;
    let sql = if latencies.is_empty() {
        "DELETE FROM latencies WHERE span = ? AND check_id = ? AND at = ?"
    } else {
        "INSERT OR REPLACE INTO latencies (span, check_id, at, sketches) VALUES (?, ?, ?, ?)"
    };
    let mut query = sqlx::query(sql).bind(span(row.grain)).bind(check).bind(row.at);
    if !latencies.is_empty() {
        query = query.bind(latencies.to_bytes());
    }
    query.execute(connection).await?;
    Ok(())
}

impl Sqlite {
    pub(super) async fn write_rolled(
        &self,
        grain: Grain,
        rows: &[RolledRow],
        expected: Option<Timestamp>,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        self.still_there()?;
        let mut writer = self.seat().await?;
        let expected = expected.map(Timestamp::as_millisecond);
        let written = writer.put_rolled(grain, rows, expected, until.as_millisecond()).await;
        written.map_err(|why| self.fault(&why))
    }

    pub(super) async fn write_rules(&self, rules: &[(CheckId, Rules)]) -> Result<(), StoreError> {
        use sqlx::Connection as _;
        self.still_there()?;
        let mut writer = self.seat().await?;
        let written = async {
            let mut transaction = writer.connection.begin_with("BEGIN IMMEDIATE").await?;
            for (check, rules) in rules {
                // Of checks without a row nothing was ever recorded.
                let sql = "UPDATE checks SET every = ?1, timeout = ?2 \
                           WHERE name = ?3 AND (every IS NOT ?1 OR timeout IS NOT ?2)";
                let noted = sqlx::query(sql).bind(millis(rules.every)).bind(millis(rules.timeout));
                noted.bind(check.as_str()).execute(&mut *transaction).await?;
            }
            transaction.commit().await
        };
        written.await.map_err(|why| self.fault(&why))
    }

    pub(super) async fn read_known_checks(&self) -> Result<Vec<KnownCheck>, StoreError> {
        let sql = "SELECT name, since, every, timeout, removed FROM checks ORDER BY name";
        let rows = sqlx::query_as::<_, KnownColumns>(sql).fetch_all(&self.readers).await;
        Ok(rows.map_err(|why| self.fault(&why))?.into_iter().map(known).collect())
    }

    async fn names(&self) -> Result<HashMap<i64, CheckId>, sqlx::Error> {
        let rows = sqlx::query_as::<_, (i64, String)>("SELECT id, name FROM checks");
        let rows = rows.fetch_all(&self.readers).await?;
        Ok(rows.into_iter().map(|(id, name)| (id, CheckId::from(name.as_str()))).collect())
    }

    pub(super) async fn read_ran(
        &self,
        check: Option<&CheckId>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Ran>, StoreError> {
        self.ran_in(check, from, to).await.map_err(|why| self.fault(&why))
    }

    async fn ran_in(
        &self,
        check: Option<&CheckId>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Ran>, sqlx::Error> {
        let names = self.names().await?;
        let wanted = match check {
            Some(check) => match names.iter().find(|(_, name)| *name == check) {
                Some((id, _)) => Some(*id),
                None => return Ok(Vec::new()),
            },
            None => None,
        };
        let sql = "SELECT at, check_id, verdict, times FROM results \
                   WHERE at >= ?1 AND at < ?2 AND (?3 IS NULL OR check_id = ?3) ORDER BY at, check_id";
        let rows = sqlx::query_as::<_, RanColumns>(sql).bind(from.as_millisecond());
        let mut rows = rows.bind(to.as_millisecond()).bind(wanted).fetch(&self.readers);
        let mut all = Vec::new();
        while let Some((at, id, packed, times)) = rows.try_next().await? {
            let Some(check) = names.get(&id) else { continue };
            all.push(ran(check, at, packed, &times));
        }
        Ok(all)
    }

    pub(super) async fn read_judged(&self, from: Timestamp, to: Timestamp) -> Result<Judgements, StoreError> {
        self.judged_in(from, to).await.map_err(|why| self.fault(&why))
    }

    /// One row for each check: what a row costs on its way here is more than what is in it.
    async fn judged_in(&self, from: Timestamp, to: Timestamp) -> Result<Judgements, sqlx::Error> {
        let names = self.names().await?;
        let sql = "SELECT check_id, json_group_array(at), json_group_array(verdict) FROM results \
                   WHERE at >= ? AND at < ? GROUP BY check_id";
        let rows = sqlx::query_as::<_, (i64, String, String)>(sql).bind(from.as_millisecond());
        let rows = rows.bind(to.as_millisecond()).fetch_all(&self.readers).await?;
        let mut all = Judgements::new();
        for (id, starts, packed) in rows {
            let Some(check) = names.get(&id) else { continue };
            let (starts, packed) = (parsed::<Vec<i64>>(&starts)?, parsed::<Vec<i64>>(&packed)?);
            all.insert(check.clone(), judged(&starts, packed));
        }
        Ok(all)
    }

    pub(super) async fn read_next_result(&self, from: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT min(at) FROM results WHERE at >= ?";
        let found = sqlx::query_scalar::<_, Option<i64>>(sql).bind(from.as_millisecond());
        let found = found.fetch_one(&self.readers).await;
        Ok(found.map_err(|why| self.fault(&why))?.map(time))
    }

    pub(super) async fn read_rolled_from(&self, grain: Grain) -> Result<Option<Timestamp>, StoreError> {
        let found = sqlx::query_scalar::<_, Option<i64>>(FIRST).bind(span(grain));
        let found = found.fetch_one(&self.readers).await;
        Ok(found.map_err(|why| self.fault(&why))?.map(time))
    }

    pub(super) async fn read_mark(&self, grain: Grain) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT until FROM marks WHERE span = ?";
        let found = sqlx::query_scalar::<_, i64>(sql).bind(span(grain)).fetch_optional(&self.readers).await;
        Ok(found.map_err(|why| self.fault(&why))?.map(time))
    }

    pub(super) async fn read_standings(
        &self,
        before: Timestamp,
    ) -> Result<Vec<(CheckId, Standing)>, StoreError> {
        let rows = sqlx::query_as::<_, StandingColumns>(STANDINGS)
            .bind(span(Grain::Hour))
            .bind(before.as_millisecond());
        let rows = rows.fetch_all(&self.readers).await.map_err(|why| self.fault(&why))?;
        Ok(rows.into_iter().map(standing).collect())
    }

    pub(super) async fn read_rolled(
        &self,
        grain: Grain,
        check: &CheckId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<RolledRow>, StoreError> {
        let sql = "SELECT u.at, u.up, u.down, u.planned, u.runs, u.failed, u.standing_at, u.standing, l.sketches \
                   FROM uptimes u LEFT JOIN latencies l \
                   ON l.span = u.span AND l.check_id = u.check_id AND l.at = u.at \
                   WHERE u.span = ? AND u.check_id = (SELECT id FROM checks WHERE name = ?) \
                   AND u.at >= ? AND u.at < ? ORDER BY u.at";
        let rows = sqlx::query_as::<_, RolledColumns>(sql)
            .bind(span(grain))
            .bind(check.as_str())
            .bind(from.as_millisecond())
            .bind(to.as_millisecond())
            .fetch_all(&self.readers)
            .await
            .map_err(|why| self.fault(&why))?;
        Ok(rows.into_iter().map(|row| rolled(grain, check, row)).collect())
    }

    pub(super) async fn read_uptimes(
        &self,
        grain: Grain,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<UptimeRow>, StoreError> {
        let rows = sqlx::query_as::<_, SumColumns>(UPTIMES).bind(span(grain)).bind(from.as_millisecond());
        let rows = rows.bind(to.as_millisecond()).fetch_all(&self.readers).await;
        Ok(rows.map_err(|why| self.fault(&why))?.into_iter().map(sum).collect())
    }

    pub(super) async fn read_kept_facts(
        &self,
        check: &CheckId,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<KeptFacts, StoreError> {
        let sql = "SELECT at, facts FROM facts WHERE at >= ? AND at < ? \
                   AND check_id = (SELECT id FROM checks WHERE name = ?) ORDER BY at LIMIT ?";
        let rows = sqlx::query_as::<_, (i64, Vec<u8>)>(sql)
            .bind(from.as_millisecond())
            .bind(to.as_millisecond())
            .bind(check.as_str())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.readers)
            .await
            .map_err(|why| self.fault(&why))?;
        Ok(rows.into_iter().filter_map(kept).collect())
    }

    /// Drops old rows of figures: minutes with the results.
    pub(super) async fn drop_rolled(&self, minutes: i64, hours: i64, days: i64) -> Result<u64, StoreError> {
        let mut dropped = 0;
        for (uptimes, latencies, before) in [
            (drop_sql!("uptimes", 60), drop_sql!("latencies", 60), minutes),
            (drop_sql!("uptimes", 3600), drop_sql!("latencies", 3600), hours),
            (drop_sql!("uptimes", 86400), drop_sql!("latencies", 86400), days),
        ] {
            dropped += self.drop_some(latencies, before).await?;
            dropped += self.drop_some(uptimes, before).await?;
        }
        Ok(dropped)
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Row as _;

    use super::*;
    use crate::record::sqlite::Mode;

    #[tokio::test]
    async fn rows_of_a_year_are_found_check_by_check() {
        let folder = tempfile::tempdir().unwrap();
        let mode = Mode::Daemon { full_sync: false };
        let store = Sqlite::open(&folder.path().join("record.db"), mode).await.unwrap();
        let within = "check_id=? AND at";
        for (sql, found_by) in [
            (STANDINGS, within),
            (UPTIMES, within),
            (FIRST, "check_id=?)"),
            (drop_sql!("uptimes", 3600), within),
            (drop_sql!("latencies", 3600), within),
        ] {
            let plan = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
            let plan = sqlx::query(plan).fetch_all(&store.readers).await.unwrap();
            let steps: Vec<String> = plan.iter().map(|step| step.get("detail")).collect();
            let of_spans: Vec<_> = steps.iter().filter(|step| step.contains("(span=?")).collect();
            assert!(!of_spans.is_empty(), "{sql}: {steps:?}");
            assert!(of_spans.iter().all(|step| step.contains(found_by)), "{sql}: {steps:?}");
        }
    }

    #[tokio::test]
    async fn damaged_sketches_hide_no_other_figures() {
        use crate::model::Part;
        use crate::record::contract::figures::rolled;
        use crate::record::contract::{outcome, ran, time};
        use crate::record::{Figures as _, Store as _};

        let folder = tempfile::tempdir().unwrap();
        let mode = Mode::Daemon { full_sync: false };
        let store = Sqlite::open(&folder.path().join("record.db"), mode).await.unwrap();
        let check = CheckId::from("a/b");
        store.commit(&[ran(outcome("a/b", 5))]).await.unwrap();
        let hour = Grain::Hour.millis();
        let row = |at| RolledRow { check: check.clone(), grain: Grain::Hour, at, rolled: rolled(1_000, 5) };
        assert!(store.put_rolled(Grain::Hour, &[row(0), row(hour)], None, time(2 * hour)).await.unwrap());
        let damage = "UPDATE latencies SET sketches = x'0102' WHERE at = 0";
        sqlx::query(damage).execute(&mut store.seat().await.unwrap().connection).await.unwrap();
        let rows = store.rolled(Grain::Hour, &check, time(0), time(2 * hour)).await.unwrap();
        let count = |row: &RolledRow| row.rolled.latencies.get(&Part::Whole).map(|sketch| sketch.count());
        assert_eq!(rows.iter().map(count).collect::<Vec<_>>(), [None, Some(5)]);
        assert_eq!(rows[0].rolled.uptime.up, 1_000);
    }
}
