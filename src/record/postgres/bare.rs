//! The database as rows of plain cells: see [`copy`](crate::record::copy).

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Connection as _, PgConnection, Row as _};

use super::days::{self, DAY};
use super::guard::Guard;
use super::link::{Link, Purpose, part, within};
use super::session::{lock, migrate, refuse_newer, refuse_older, refuse_unfinished, schema, unfinished};
use super::{error, upkeep};
use crate::model::database::Access;
use crate::record::copy::tables::{Column, Kind, TABLES, Table};
use crate::record::copy::{Cell, Integrity, Row, Side, UNFINISHED};
use crate::record::rows::without_nul;
use crate::record::{NO_STORE, StoreError};

/// How long one step may take: a day of results may have to be sorted first.
const STEP: Duration = Duration::from_secs(15 * 60);

/// The database, read and written as it is.
#[derive(Debug)]
pub struct Bare {
    link: Link,
    connection: PgConnection,
    /// The table that is read, what is still to be asked for, and whether a question is open.
    open: Option<(&'static Table, VecDeque<String>, bool)>,
    /// The days that have a partition.
    days: BTreeSet<i64>,
    /// Everything is read as it was at one instant.
    frozen: bool,
    /// Keeps daemons from leading.
    guard: Option<Guard>,
}

impl Bare {
    /// A database that is there, as nobody else's: no daemon may use it meanwhile.
    ///
    /// # Errors
    /// As for a daemon, and if it holds no store.
    pub async fn source(access: Access) -> Result<Self, StoreError> {
        let mut bare = Self::connected(access).await?;
        refuse_unfinished(&bare.link, &mut bare.connection).await?;
        if schema(&bare.link, &mut bare.connection).await? == 0 {
            return Err(error::other(&bare.link.access, NO_STORE));
        }
        bare.prepared().await
    }

    /// A database that is to be filled.
    ///
    /// # Errors
    /// As for a daemon.
    pub async fn target(access: Access) -> Result<Self, StoreError> {
        Self::connected(access).await?.prepared().await
    }

    /// A database as it is, beside whoever uses it.
    ///
    /// # Errors
    /// As for a reader.
    pub async fn reader(access: Access) -> Result<Self, StoreError> {
        let mut bare = Self::connected(access).await?;
        refuse_older(&bare.link, &mut bare.connection).await?;
        Ok(bare)
    }

    async fn connected(access: Access) -> Result<Self, StoreError> {
        let link = Link::new(access);
        let mut connection = link.connect(Purpose::Copy).await?;
        refuse_newer(&link, &mut connection).await?;
        Ok(Self { link, connection, open: None, days: BTreeSet::new(), frozen: false, guard: None })
    }

    async fn prepared(mut self) -> Result<Self, StoreError> {
        migrate(&self.link, &mut self.connection).await?;
        lock(&self.link, &mut self.connection).await?;
        self.guard = Some(Guard::take(&self.link).await?);
        // What a migration sets back is the limit of the session.
        self.days =
            within(STEP, days::attached(&mut self.connection)).await.map_err(|why| self.link.fault(&why))?;
        Ok(self)
    }

    async fn run(&mut self, sql: String) -> Result<(), StoreError> {
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut self.connection);
        within(STEP, done).await.map(drop).map_err(|why| self.link.fault(&why))
    }

    /// The questions that bring all rows of a table: a day at a time for results, whose order is not that
    /// of their key.
    async fn ask(&mut self, table: &'static Table, behind: Option<Row>) -> Result<(), sqlx::Error> {
        let names: Vec<String> = table.columns.iter().map(selected).collect();
        let key: Vec<String> = table.key_columns().map(|column| ordered(&column)).collect();
        let key = key.join(", ");
        let mut question = format!("SELECT {} FROM {} WHERE ", names.join(", "), table.name);
        match &behind {
            // A key is never null.
            Some(cells) => {
                let cells: Vec<String> = cells.iter().map(literal).collect();
                write!(question, "({key}) > ({}) ", cells.join(", ")).ok();
            }
            None => question.push_str("TRUE "),
        }
        let order = format!("ORDER BY {key}");
        let questions = if table.name == "results" {
            let from = match behind.as_deref() {
                Some([Cell::Int(at), ..]) => days::of(*at),
                _ => i64::MIN,
            };
            let days = days::attached(&mut self.connection).await?;
            days.range(from..)
                .map(|day| {
                    let begin = day.saturating_mul(DAY);
                    format!("{question} AND at >= {begin} AND at < {} {order}", begin.saturating_add(DAY))
                })
                .collect()
        } else {
            VecDeque::from([format!("{question} {order}")])
        };
        self.open = Some((table, questions, false));
        Ok(())
    }

    async fn page(&mut self) -> Result<Vec<Row>, sqlx::Error> {
        let Some((table, mut questions, mut is_open)) = self.open.take() else { return Ok(Vec::new()) };
        loop {
            if is_open {
                let fetch =
                    sqlx::AssertSqlSafe(format!("FETCH FORWARD {} FROM portalwatch_copy", table.chunk));
                let rows = sqlx::query(fetch).persistent(false).fetch_all(&mut self.connection).await?;
                if !rows.is_empty() {
                    self.open = Some((table, questions, is_open));
                    return rows.iter().map(|row| cells(row, table.columns)).collect();
                }
                sqlx::raw_sql("CLOSE portalwatch_copy").execute(&mut self.connection).await?;
            }
            let Some(question) = questions.pop_front() else { return Ok(Vec::new()) };
            let declare = format!("DECLARE portalwatch_copy NO SCROLL CURSOR FOR {question}");
            sqlx::raw_sql(sqlx::AssertSqlSafe(declare)).execute(&mut self.connection).await?;
            is_open = true;
        }
    }

    async fn insert(&mut self, table: &'static Table, rows: Vec<Row>) -> Result<(), sqlx::Error> {
        if table.name == "results" {
            let wanted = rows.iter().filter_map(|row| match row.first() {
                Some(Cell::Int(at)) => Some(days::of(*at)),
                _ => None,
            });
            let wanted: BTreeSet<i64> = wanted.collect();
            for day in wanted {
                if !self.days.contains(&day) {
                    days::make(&mut self.connection, day).await?;
                    self.days.insert(day);
                }
            }
        }
        let (mut arrays, mut values) = (Vec::new(), Vec::new());
        for (position, column) in table.columns.iter().enumerate() {
            let (array, value) = match column.kind {
                Kind::Big => ("bigint", String::new()),
                Kind::Small => ("bigint", "::smallint".into()),
                Kind::Medium => ("bigint", "::integer".into()),
                Kind::Flag => ("bigint", " <> 0".into()),
                Kind::Text => ("text", String::new()),
                Kind::Bytes => ("bytea", String::new()),
            };
            arrays.push(format!("${}::{array}[]", position + 1));
            values.push(format!("c{position}{value}"));
        }
        let names: Vec<String> = (0..table.columns.len()).map(|position| format!("c{position}")).collect();
        let sql = format!(
            "INSERT INTO {} ({}) SELECT {} FROM UNNEST({}) AS n ({})",
            table.name,
            table.names(),
            values.join(", "),
            arrays.join(", "),
            names.join(", ")
        );
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
        for (position, column) in table.columns.iter().enumerate() {
            query = bound(query, column.kind, rows.iter().map(|row| row.get(position)));
        }
        query.execute(&mut self.connection).await?;
        Ok(())
    }

    async fn last(&mut self, table: &'static Table) -> Result<Option<Row>, sqlx::Error> {
        let columns: Vec<Column> = table.key_columns().collect();
        let names: Vec<String> = columns.iter().map(selected).collect();
        let order: Vec<String> = columns.iter().map(|column| format!("{} DESC", ordered(column))).collect();
        let ask = |of: &str| {
            format!(
                "SELECT {} FROM {} {of} ORDER BY {} LIMIT 1",
                names.join(", "),
                table.name,
                order.join(", ")
            )
        };
        let mut questions = vec![ask("")];
        if table.name == "results" {
            // The newest day that has any: a day was made before its first row.
            let days = days::attached(&mut self.connection).await?;
            let day = |day: &i64| {
                let begin = day.saturating_mul(DAY);
                ask(&format!("WHERE at >= {begin} AND at < {}", begin.saturating_add(DAY)))
            };
            questions = days.iter().rev().map(day).collect();
        }
        for question in questions {
            let row = sqlx::query(sqlx::AssertSqlSafe(question)).fetch_optional(&mut self.connection).await?;
            if let Some(row) = row {
                return Ok(Some(cells(&row, &columns)?));
            }
        }
        Ok(None)
    }

    /// What counts up goes on behind what is there.
    async fn count_on(&mut self) -> Result<(), StoreError> {
        for table in TABLES.iter().filter(|table| table.counts_up) {
            if let Some(column) = table.columns.first() {
                let (name, column) = (table.name, column.name);
                self.run(format!(
                    "SELECT setval(pg_get_serial_sequence('{name}', '{column}'), greatest(1, max({column})), \
                     count(*) > 0) FROM {name}"
                ))
                .await?;
            }
        }
        Ok(())
    }
}

fn selected(column: &Column) -> String {
    match column.kind {
        Kind::Small | Kind::Medium => format!("{}::bigint", column.name),
        Kind::Flag => format!("{}::integer::bigint", column.name),
        Kind::Big | Kind::Text | Kind::Bytes => column.name.to_owned(),
    }
}

/// Byte by byte, as SQLite orders.
fn ordered(column: &Column) -> String {
    match column.kind {
        Kind::Text => format!("{} COLLATE \"C\"", column.name),
        _ => column.name.to_owned(),
    }
}

fn literal(cell: &Cell) -> String {
    match cell {
        Cell::Int(number) => number.to_string(),
        Cell::Text(text) => format!("'{}'", without_nul(text).replace('\'', "''")),
        Cell::Null | Cell::Bytes(_) => "NULL".into(),
    }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, PgArguments>;

fn bound<'q, 'r>(query: Query<'q>, kind: Kind, cells: impl Iterator<Item = Option<&'r Cell>>) -> Query<'q> {
    match kind {
        Kind::Text => {
            let text = |cell: Option<&Cell>| match cell {
                Some(Cell::Text(text)) => Some(without_nul(text).into_owned()),
                _ => None,
            };
            query.bind(cells.map(text).collect::<Vec<Option<String>>>())
        }
        Kind::Bytes => {
            let bytes = |cell: Option<&Cell>| match cell {
                Some(Cell::Bytes(bytes)) => Some(bytes.clone()),
                _ => None,
            };
            query.bind(cells.map(bytes).collect::<Vec<Option<Vec<u8>>>>())
        }
        Kind::Big | Kind::Small | Kind::Medium | Kind::Flag => {
            let number = |cell: Option<&Cell>| match cell {
                Some(Cell::Int(number)) => Some(*number),
                _ => None,
            };
            query.bind(cells.map(number).collect::<Vec<Option<i64>>>())
        }
    }
}

fn cells(row: &PgRow, columns: &[Column]) -> Result<Row, sqlx::Error> {
    let cell = |(position, column): (usize, &Column)| {
        Ok(match column.kind {
            Kind::Text => row.try_get::<Option<String>, _>(position)?.map(Cell::Text),
            Kind::Bytes => row.try_get::<Option<Vec<u8>>, _>(position)?.map(Cell::Bytes),
            Kind::Big | Kind::Small | Kind::Medium | Kind::Flag => {
                row.try_get::<Option<i64>, _>(position)?.map(Cell::Int)
            }
        }
        .unwrap_or(Cell::Null))
    };
    columns.iter().enumerate().map(cell).collect()
}

impl Side for Bare {
    fn place(&self) -> String {
        let place = self.link.access.place();
        match &self.link.access.schema {
            Some(schema) if place.contains('?') => format!("{place}&search_path={schema}"),
            Some(schema) => format!("{place}?search_path={schema}"),
            None => place,
        }
    }

    fn freeze(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.frozen = true;
        Box::pin(self.run("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SELECT 1".into()))
    }

    fn open(&mut self, table: &'static Table, behind: Option<Row>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let asked = within(STEP, self.ask(table, behind)).await;
            asked.map_err(|why| self.link.fault(&why))
        })
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Row>, StoreError>> {
        Box::pin(async {
            let page = within(STEP, self.page()).await.map_err(|why| self.link.fault(&why));
            if let Err(StoreError::Corrupt { .. }) = &page
                && self.frozen
            {
                // The fault ended the transaction, and the other tables are still to be read.
                self.run("ROLLBACK; BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY".into()).await?;
            }
            page
        })
    }

    fn last_key(&mut self, table: &'static Table) -> BoxFuture<'_, Result<Option<Row>, StoreError>> {
        Box::pin(async move {
            let last = within(STEP, self.last(table)).await;
            last.map_err(|why| self.link.fault(&why))
        })
    }

    fn count(&mut self, table: &'static Table) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async {
            let sql = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {}", table.name));
            let count = sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut self.connection);
            let count = within(STEP, count).await.map_err(|why| self.link.fault(&why))?;
            Ok(u64::try_from(count).unwrap_or(0))
        })
    }

    fn write(&mut self, table: &'static Table, rows: Vec<Row>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let written = within(STEP, self.insert(table, rows)).await;
            written.map_err(|why| self.link.fault(&why))
        })
    }

    fn unfinished(&mut self) -> BoxFuture<'_, Result<Option<String>, StoreError>> {
        Box::pin(unfinished(&self.link, &mut self.connection))
    }

    fn begin_filling<'a>(&'a mut self, from: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        let from = literal(&Cell::Text(from.to_owned()));
        Box::pin(self.run(format!("CREATE TABLE {UNFINISHED} AS SELECT {from}::text AS source")))
    }

    fn end_filling(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async {
            self.run("COMMIT".into()).await?;
            self.count_on().await?;
            self.run("ANALYZE results, facts, uptimes, latencies".into()).await?;
            // Waits for the disk, and so for all before it.
            self.run(format!("SET synchronous_commit = on; DROP TABLE {UNFINISHED}")).await
        })
    }

    fn integrity(&mut self) -> BoxFuture<'_, Result<Integrity, StoreError>> {
        Box::pin(async {
            let examined = within(STEP, upkeep::examine(&mut self.connection)).await;
            examined.map_err(|why| self.link.fault(&why))
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            if let Some(guard) = self.guard {
                guard.free().await;
            }
            part(self.connection).await;
        })
    }
}

/// Begins a transaction to undo it: for statements whose failing must not end one that is open.
pub async fn tried(connection: &mut PgConnection, sql: String) -> Result<(), sqlx::Error> {
    let mut inner = connection.begin().await?;
    let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *inner).await;
    inner.rollback().await?;
    done.map(drop)
}
