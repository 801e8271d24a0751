//! All that a database holds, as rows of plain cells: to copy it from one database to another, to
//! compare the two, and to look for what is wrong in one.
//!
//! [`tables`] lists what there is. [`Side`] is one database, read and written table by table in the order
//! of their keys, so that what was copied so far is always the beginning of each table.

pub mod check;
pub mod fill;
pub mod tables;

use futures_util::future::BoxFuture;

use self::tables::Table;
use super::StoreError;

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// A number, or whether something is so (1, 0).
    Int(i64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// One row: the cells of its columns.
pub type Row = Vec<Cell>;

/// The table that says that a database is not filled yet, and from where it is to be.
pub const UNFINISHED: &str = "unfinished_migration";

/// What a database says of its own files.
#[derive(Clone, Debug, Default)]
pub struct Integrity {
    /// What is wrong.
    pub wrong: Vec<String>,
    /// What was not looked at, and what helps.
    pub left_out: Option<String>,
}

/// One database.
pub trait Side: Send {
    /// How messages name it.
    fn place(&self) -> String;
    /// From here on everything is read as it is now.
    fn freeze(&mut self) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Begins to read a table, behind a key or from its beginning.
    fn open(&mut self, table: &'static Table, behind: Option<Row>) -> BoxFuture<'_, Result<(), StoreError>>;
    /// The next rows of the table, in the order of their keys; none at its end.
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Row>, StoreError>>;
    /// The last key of a table.
    fn last_key(&mut self, table: &'static Table) -> BoxFuture<'_, Result<Option<Row>, StoreError>>;
    /// How many rows a table has.
    fn count(&mut self, table: &'static Table) -> BoxFuture<'_, Result<u64, StoreError>>;
    /// Writes rows in one transaction.
    fn write(&mut self, table: &'static Table, rows: Vec<Row>) -> BoxFuture<'_, Result<(), StoreError>>;
    /// From where it is to be filled, if that began and did not end.
    fn unfinished(&mut self) -> BoxFuture<'_, Result<Option<String>, StoreError>>;
    /// Notes that it is to be filled.
    fn begin_filling<'a>(&'a mut self, from: &'a str) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Notes that all is there: a daemon may use it.
    fn end_filling(&mut self) -> BoxFuture<'_, Result<(), StoreError>>;
    /// What it says of its own files.
    fn integrity(&mut self) -> BoxFuture<'_, Result<Integrity, StoreError>>;
    /// Closes it.
    fn close(self: Box<Self>) -> BoxFuture<'static, ()>;
}
