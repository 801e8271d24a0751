//! Filling an empty database from another, so that it can be broken off anywhere and gone on with.
//!
//! Rows go over in the order of their keys, a chunk in each transaction, so that what is there is always
//! the beginning of a table and its last key says where to go on. Until everything was compared the target
//! holds a mark that keeps a daemon away.

use aws_lc_rs::digest::{Context, SHA256};

use super::tables::{TABLES, Table};
use super::{Cell, Side};
use crate::record::StoreError;

/// Why nothing, or not everything, was copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A database says no.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// There is something already.
    #[error("{place}: not empty ({counts}); everything is copied into an empty database alone")]
    NotEmpty {
        /// The target.
        place: String,
        /// Its rows, by table.
        counts: String,
    },
    /// It is half filled from elsewhere.
    #[error("{place}: an unfinished migration from {from}; finish that one, or begin with an empty database")]
    Other {
        /// The target.
        place: String,
        /// The other source.
        from: String,
    },
    /// What was copied is not what is there to copy.
    #[error(
        "{to}: {table} differs from {from} ({copied} rows of {rows}); if {from} was written to since the migration began, empty {to} and begin anew"
    )]
    Differs {
        /// The source.
        from: String,
        /// The target.
        to: String,
        /// The table.
        table: &'static str,
        /// Rows of the source.
        rows: u64,
        /// Rows of the target.
        copied: u64,
    },
}

/// How far it got.
#[derive(Clone, Debug)]
pub enum Progress {
    /// It goes on from where it was broken off.
    Continued,
    /// So many rows of a table were copied.
    Copied {
        /// The table.
        table: &'static str,
        /// Rows, in this run.
        rows: u64,
    },
    /// A table is the same on both sides.
    Same(Sum),
}

/// What a table comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// The table.
    pub table: &'static str,
    /// Its rows.
    pub rows: u64,
    /// SHA-256 of its rows in the order of their keys.
    pub digest: String,
}

/// Copies everything, and makes sure of it.
///
/// # Errors
/// See [`CopyError`]. Whatever happened, the same call goes on from there.
pub async fn fill(
    from: &mut dyn Side,
    to: &mut dyn Side,
    tell: &mut (dyn FnMut(Progress) + Send),
) -> Result<Vec<Sum>, CopyError> {
    if let Some(elsewhere) = from.unfinished().await? {
        return Err(CopyError::Other { place: from.place(), from: elsewhere });
    }
    begin(&from.place(), to, tell).await?;
    from.freeze().await?;
    for table in &TABLES {
        copy(from, to, table, tell).await?;
    }
    to.freeze().await?;
    let mut sums = Vec::with_capacity(TABLES.len());
    for table in &TABLES {
        let (expected, found) = (sum(from, table).await?, sum(to, table).await?);
        if expected != found {
            let (rows, copied) = (expected.rows, found.rows);
            return Err(CopyError::Differs {
                from: from.place(),
                to: to.place(),
                table: table.name,
                rows,
                copied,
            });
        }
        tell(Progress::Same(found.clone()));
        sums.push(found);
    }
    to.end_filling().await?;
    Ok(sums)
}

async fn begin(
    from: &str,
    to: &mut dyn Side,
    tell: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), CopyError> {
    match to.unfinished().await? {
        Some(source) if source == from => {
            tell(Progress::Continued);
            return Ok(());
        }
        Some(source) => return Err(CopyError::Other { place: to.place(), from: source }),
        None => {}
    }
    let mut counts = Vec::new();
    for table in &TABLES {
        let count = to.count(table).await?;
        if count > 0 {
            counts.push(format!("{} {count}", table.name));
        }
    }
    if !counts.is_empty() {
        return Err(CopyError::NotEmpty { place: to.place(), counts: counts.join(", ") });
    }
    Ok(to.begin_filling(from).await?)
}

async fn copy(
    from: &mut dyn Side,
    to: &mut dyn Side,
    table: &'static Table,
    tell: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), CopyError> {
    let behind = to.last_key(table).await?;
    from.open(table, behind).await?;
    let mut copied = 0;
    loop {
        let rows = from.next().await?;
        if rows.is_empty() {
            return Ok(());
        }
        copied += rows.len() as u64;
        to.write(table, rows).await?;
        tell(Progress::Copied { table: table.name, rows: copied });
    }
}

/// What a table comes to, whichever database holds it.
///
/// # Errors
/// What the database says.
pub async fn sum(side: &mut dyn Side, table: &'static Table) -> Result<Sum, StoreError> {
    let mut digest = Context::new(&SHA256);
    let mut count = 0;
    side.open(table, None).await?;
    loop {
        let rows = side.next().await?;
        if rows.is_empty() {
            break;
        }
        count += rows.len() as u64;
        rows.iter().flatten().for_each(|cell| add(&mut digest, cell));
    }
    let digest = digest.finish();
    let digest = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Sum { table: table.name, rows: count, digest })
}

fn add(digest: &mut Context, cell: &Cell) {
    let mut part = |kind: u8, bytes: &[u8]| {
        digest.update(&[kind]);
        digest.update(&(bytes.len() as u64).to_be_bytes());
        digest.update(bytes);
    };
    match cell {
        Cell::Null => part(0, &[]),
        Cell::Int(number) => part(1, &number.to_be_bytes()),
        // A PostgreSQL takes no NUL.
        Cell::Text(text) => part(2, super::super::rows::without_nul(text).as_bytes()),
        Cell::Bytes(bytes) => part(3, bytes),
    }
}

#[cfg(test)]
mod tests;
