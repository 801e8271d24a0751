//! The file as rows of plain cells: see [`copy`](crate::record::copy).

use std::fs::File;
use std::path::{Path, PathBuf};

use futures_util::future::BoxFuture;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};

use super::{BUSY, error, lock, prepared, reading, refuse_newer, refuse_unfinished, unfinished};
use crate::record::copy::tables::{Column, Kind, Table};
use crate::record::copy::{Cell, Integrity, Row, Side, UNFINISHED};
use crate::record::{NO_STORE, StoreError};

/// Cells of one statement; SQLite takes 32,766.
const CELLS: usize = 2_000;
/// Faults of the file that are told.
const TOLD: usize = 100;

/// The file, read and written as it is.
#[derive(Debug)]
pub struct Bare {
    path: PathBuf,
    connection: SqliteConnection,
    open: Option<(&'static Table, Option<Row>)>,
    _lock: Option<File>,
}

impl Bare {
    /// A file that is there, as nobody else's: no daemon may use it meanwhile.
    ///
    /// # Errors
    /// As for a daemon, and if there is no such file.
    pub async fn source(path: &Path) -> Result<Self, StoreError> {
        let path = path.canonicalize().map_err(|why| error::io(path, &why))?;
        let lock = lock(&path)?;
        let mut connection = reading(&path).connect().await.map_err(|why| error::of(&path, &why))?;
        refuse_newer(&path, &mut connection).await?;
        refuse_unfinished(&path, &mut connection).await?;
        if super::schema(&path, &mut connection).await? == 0 {
            return Err(error::other(&path, NO_STORE));
        }
        connection.close().await.map_err(|why| error::of(&path, &why))?;
        let (connection, _) = prepared(&path, true).await?;
        Ok(Self { path, connection, open: None, _lock: Some(lock) })
    }

    /// A file that is to be filled; made if there is none.
    ///
    /// # Errors
    /// As for a daemon.
    pub async fn target(path: &Path) -> Result<Self, StoreError> {
        let lock = lock(path)?;
        super::create(path).map_err(|why| error::io(path, &why))?;
        let path = path.canonicalize().map_err(|why| error::io(path, &why))?;
        // Whatever is cut off is copied again.
        let (connection, _) = prepared(&path, false).await?;
        Ok(Self { path, connection, open: None, _lock: Some(lock) })
    }

    /// A file as it is, beside whoever uses it.
    ///
    /// # Errors
    /// As for a reader.
    pub async fn reader(path: &Path) -> Result<Self, StoreError> {
        let mut connection = reading(path).connect().await.map_err(|why| error::of(path, &why))?;
        refuse_newer(path, &mut connection).await?;
        super::refuse_older(path, &mut connection).await?;
        Ok(Self { path: path.to_owned(), connection, open: None, _lock: None })
    }

    /// Leaves one file, without a log beside it.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn alone(&mut self) -> Result<(), StoreError> {
        self.run("PRAGMA journal_mode = DELETE").await
    }

    async fn run(&mut self, sql: &'static str) -> Result<(), StoreError> {
        let done = sqlx::raw_sql(sql).execute(&mut self.connection).await;
        done.map(drop).map_err(|why| error::of(&self.path, &why))
    }

    async fn page(&mut self) -> Result<Vec<Row>, StoreError> {
        let Some((table, behind)) = self.open.take() else { return Ok(Vec::new()) };
        let key: Vec<&str> = table.key_columns().map(|column| column.name).collect();
        let key = key.join(", ");
        let beyond = match &behind {
            Some(cells) => format!("WHERE ({key}) > ({}) ", places(cells.len())),
            None => String::new(),
        };
        let sql = format!(
            "SELECT {} FROM {} {beyond}ORDER BY {key} LIMIT {}",
            table.names(),
            table.name,
            table.chunk
        );
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
        for cell in behind.into_iter().flatten() {
            query = bound(query, cell);
        }
        let rows = query.fetch_all(&mut self.connection).await;
        let rows = rows.and_then(|rows| rows.iter().map(|row| cells(row, table.columns)).collect());
        let rows: Vec<Row> = rows.map_err(|why| error::of(&self.path, &why))?;
        if let Some(last) = rows.last() {
            self.open =
                Some((table, Some(table.key.iter().filter_map(|at| last.get(*at)).cloned().collect())));
        }
        Ok(rows)
    }

    async fn insert(&mut self, table: &'static Table, rows: Vec<Row>) -> Result<(), sqlx::Error> {
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        let at_once = (CELLS / table.columns.len()).max(1);
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let some: Vec<Row> = rows.by_ref().take(at_once).collect();
            let row = format!("({})", places(table.columns.len()));
            let values = vec![row; some.len()].join(", ");
            let sql = format!("INSERT INTO {} ({}) VALUES {values}", table.name, table.names());
            let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
            for cell in some.into_iter().flatten() {
                query = bound(query, cell);
            }
            query.execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }

    async fn last(&mut self, table: &'static Table) -> Result<Option<Row>, sqlx::Error> {
        let columns: Vec<Column> = table.key_columns().collect();
        let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
        let order: Vec<String> = names.iter().map(|name| format!("{name} DESC")).collect();
        let sql =
            format!("SELECT {} FROM {} ORDER BY {} LIMIT 1", names.join(", "), table.name, order.join(", "));
        let mut rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&mut self.connection).await?;
        rows.pop().map(|row| cells(&row, &columns)).transpose()
    }

    async fn examine(&mut self) -> Result<Integrity, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!("PRAGMA integrity_check({TOLD})"));
        let said = sqlx::query_scalar::<_, String>(sql).fetch_all(&mut self.connection).await;
        let wrong = match said.map_err(|why| error::of(&self.path, &why)) {
            Ok(said) => said.into_iter().filter(|line| line != "ok").collect(),
            // So damaged that not even that can be said.
            Err(StoreError::Corrupt { why, .. }) => vec![why],
            Err(why) => return Err(why),
        };
        Ok(Integrity { wrong, left_out: None })
    }
}

fn places(count: usize) -> String {
    vec!["?"; count].join(", ")
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, SqliteArguments>;

fn bound(query: Query<'_>, cell: Cell) -> Query<'_> {
    match cell {
        Cell::Null => query.bind(None::<i64>),
        Cell::Int(number) => query.bind(number),
        Cell::Text(text) => query.bind(text),
        Cell::Bytes(bytes) => query.bind(bytes),
    }
}

fn cells(row: &SqliteRow, columns: &[Column]) -> Result<Row, sqlx::Error> {
    let cell = |(position, column): (usize, &Column)| {
        Ok(match column.kind {
            Kind::Text => row.try_get_unchecked::<Option<String>, _>(position)?.map(Cell::Text),
            Kind::Bytes => row.try_get_unchecked::<Option<Vec<u8>>, _>(position)?.map(Cell::Bytes),
            Kind::Big | Kind::Small | Kind::Medium | Kind::Flag => {
                row.try_get_unchecked::<Option<i64>, _>(position)?.map(Cell::Int)
            }
        }
        .unwrap_or(Cell::Null))
    };
    columns.iter().enumerate().map(cell).collect()
}

impl Side for Bare {
    fn place(&self) -> String {
        format!("sqlite://{}", self.path.display())
    }

    fn freeze(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        // A transaction begins to read with its first statement.
        Box::pin(self.run("BEGIN; SELECT count(*) FROM marks"))
    }

    fn open(&mut self, table: &'static Table, behind: Option<Row>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.open = Some((table, behind));
        Box::pin(async { Ok(()) })
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Row>, StoreError>> {
        Box::pin(self.page())
    }

    fn last_key(&mut self, table: &'static Table) -> BoxFuture<'_, Result<Option<Row>, StoreError>> {
        Box::pin(async move { self.last(table).await.map_err(|why| error::of(&self.path, &why)) })
    }

    fn count(&mut self, table: &'static Table) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async {
            let sql = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {}", table.name));
            let count = sqlx::query_scalar::<_, i64>(sql).fetch_all(&mut self.connection).await;
            let count = count.map(|count| count.first().and_then(|count| u64::try_from(*count).ok()));
            count.map(Option::unwrap_or_default).map_err(|why| error::of(&self.path, &why))
        })
    }

    fn write(&mut self, table: &'static Table, rows: Vec<Row>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { self.insert(table, rows).await.map_err(|why| error::of(&self.path, &why)) })
    }

    fn unfinished(&mut self) -> BoxFuture<'_, Result<Option<String>, StoreError>> {
        Box::pin(unfinished(&self.path, &mut self.connection))
    }

    fn begin_filling<'a>(&'a mut self, from: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let begun = async {
                let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
                let sql = format!("CREATE TABLE {UNFINISHED} (source TEXT NOT NULL)");
                sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut *transaction).await?;
                let sql = format!("INSERT INTO {UNFINISHED} (source) VALUES (?)");
                sqlx::query(sqlx::AssertSqlSafe(sql)).bind(from).execute(&mut *transaction).await?;
                transaction.commit().await
            };
            begun.await.map_err(|why| error::of(&self.path, &why))
        })
    }

    fn end_filling(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async {
            // A connection that begins nothing but this: no table goes while a statement of its own
            // connection is in the middle of anything.
            let options = SqliteConnectOptions::new().filename(&self.path).busy_timeout(BUSY);
            let options = options.synchronous(SqliteSynchronous::Full).disable_statement_logging();
            let fresh = options.connect().await.map_err(|why| error::of(&self.path, &why))?;
            std::mem::replace(&mut self.connection, fresh).close().await.ok();
            self.open = None;
            // All of it is on the disk before it says so.
            self.run("PRAGMA wal_checkpoint(FULL)").await?;
            self.run("DROP TABLE unfinished_migration").await
        })
    }

    fn integrity(&mut self) -> BoxFuture<'_, Result<Integrity, StoreError>> {
        Box::pin(self.examine())
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            // The lock goes last.
            let Self { connection, _lock, .. } = *self;
            connection.close().await.ok();
        })
    }
}
