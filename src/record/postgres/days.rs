//! The partitions of `results`: one for each day (UTC) that has any.
//!
//! A day is made as a plain table and attached, which takes no lock that readers or writers of other
//! days would wait for. Neither does letting go of one (`prune`), which has two steps: for as long as
//! the second is due, the day takes no more rows.

use std::collections::BTreeSet;
use std::sync::{MutexGuard, PoisonError};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use sqlx::{Connection, PgConnection};

use super::Postgres;

/// Milliseconds of a day.
pub const DAY: i64 = 24 * 60 * 60 * 1000;

/// The day of an instant, counted from the epoch.
pub const fn of(at: i64) -> i64 {
    at.div_euclid(DAY)
}

/// The name of a day's table.
pub fn name(day: i64) -> String {
    let begin = Timestamp::from_millisecond(day.saturating_mul(DAY)).unwrap_or(Timestamp::MIN);
    let date = begin.to_zoned(TimeZone::UTC).date();
    format!("results_{:04}{:02}{:02}", date.year(), date.month(), date.day())
}

/// A partition, and whether it is about to go.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Partition {
    pub name: String,
    /// Its first instant.
    pub begin: i64,
    /// It was let go of, and the server has still to see to it.
    pub pending: bool,
}

/// The partitions there are, oldest first.
pub async fn partitions(connection: &mut PgConnection) -> Result<Vec<Partition>, sqlx::Error> {
    let sql = "SELECT * FROM (SELECT c.relname::text AS name, i.inhdetachpending AS pending, \
               substring(pg_get_expr(c.relpartbound, c.oid) FROM '\\(''?(-?[0-9]+)')::bigint AS begin \
               FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
               WHERE i.inhparent = 'results'::regclass) p WHERE begin IS NOT NULL ORDER BY begin";
    sqlx::query_as::<_, Partition>(sql).fetch_all(connection).await
}

/// The days that take rows.
pub async fn attached(connection: &mut PgConnection) -> Result<BTreeSet<i64>, sqlx::Error> {
    let all = partitions(connection).await?;
    Ok(all.iter().filter(|one| !one.pending).map(|one| of(one.begin)).collect())
}

impl Postgres {
    pub(super) fn days(&self) -> MutexGuard<'_, BTreeSet<i64>> {
        self.days.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the days that are wanted and missing. Returned are those that are about to go, and take
    /// no rows any more: they are past the retention.
    pub(super) async fn make_days(
        &self,
        connection: &mut PgConnection,
        wanted: BTreeSet<i64>,
    ) -> Result<BTreeSet<i64>, sqlx::Error> {
        let missing: Vec<i64> = wanted.difference(&self.days()).copied().collect();
        if missing.is_empty() {
            return Ok(BTreeSet::new());
        }
        let there = partitions(connection).await?;
        let mut going = BTreeSet::new();
        for day in missing {
            match there.iter().find(|one| of(one.begin) == day) {
                Some(one) if one.pending => {
                    going.insert(day);
                    continue;
                }
                // Another session was faster.
                Some(_) => {}
                None => make(connection, day).await?,
            }
            self.days().insert(day);
        }
        Ok(going)
    }
}

pub async fn make(connection: &mut PgConnection, day: i64) -> Result<(), sqlx::Error> {
    let (name, begin) = (name(day), day.saturating_mul(DAY));
    let end = begin.saturating_add(DAY);
    let mut transaction = connection.begin().await?;
    // A table of that name which is no partition was let go of and not dropped yet; it has the bounds
    // of this day, and goes on to be it.
    let sql = format!("CREATE TABLE IF NOT EXISTS \"{name}\" (LIKE results INCLUDING ALL)");
    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut *transaction).await?;
    let sql = format!("ALTER TABLE results ATTACH PARTITION \"{name}\" FOR VALUES FROM ({begin}) TO ({end})");
    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut *transaction).await?;
    transaction.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_named_by_its_date_wherever_it_lies() {
        assert_eq!((of(0), of(DAY - 1), of(DAY), of(-1)), (0, 0, 1, -1));
        assert_eq!(name(0), "results_19700101");
        assert_eq!(name(of(1_790_000_000_000)), "results_20260921");
        assert_eq!(name(-1), "results_19691231");
    }
}
