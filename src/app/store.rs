//! The database of a config, by its kind: a file or a PostgreSQL.

use std::sync::Arc;

use crate::config::settings::Database;
use crate::model::{Baselines, Ledger};
use crate::record::postgres::baselines::PostgresBaselines;
use crate::record::postgres::ledger::PostgresLedger;
use crate::record::postgres::{self, Postgres};
use crate::record::sqlite::baselines::SqliteBaselines;
use crate::record::sqlite::ledger::SqliteLedger;
use crate::record::sqlite::{self, Sqlite};
use crate::record::tenure::Tenure;
use crate::record::{Figures, StoreError};

/// What the store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By the one daemon that writes.
    Daemon {
        /// `storage.synchronous: full`.
        full_sync: bool,
    },
    /// By who only reads.
    Reader,
}

/// Opens the store.
///
/// # Errors
/// Whatever the database says.
///
/// Of a database that several daemons share the one that writes has a tenure.
pub async fn open(
    database: &Database,
    mode: Mode,
    tenure: Option<Arc<Tenure>>,
) -> Result<Arc<dyn Figures>, StoreError> {
    Ok(match database {
        Database::Sqlite(path) => {
            let mode = match mode {
                Mode::Daemon { full_sync } => sqlite::Mode::Daemon { full_sync },
                Mode::Reader => sqlite::Mode::Reader,
            };
            Arc::new(Sqlite::open(path, mode).await?)
        }
        Database::Postgres(access) => {
            let access = (**access).clone();
            match (mode, tenure) {
                (Mode::Daemon { full_sync }, Some(tenure)) => {
                    Arc::new(Postgres::lead(access, full_sync, tenure).await?)
                }
                (Mode::Daemon { full_sync }, None) => {
                    Arc::new(Postgres::open(access, postgres::Mode::Daemon { full_sync }).await?)
                }
                (Mode::Reader, _) => Arc::new(Postgres::open(access, postgres::Mode::Reader).await?),
            }
        }
    })
}

/// What people decided.
pub fn baselines(database: &Database) -> Arc<dyn Baselines> {
    match database {
        Database::Sqlite(path) => Arc::new(SqliteBaselines::new(path)),
        Database::Postgres(access) => Arc::new(PostgresBaselines::new((**access).clone())),
    }
}

/// The ledger of writes in the store. The daemon's works once its store is open.
#[derive(Clone, Debug)]
pub enum StoreLedger {
    /// In the file.
    Sqlite(Arc<SqliteLedger>),
    /// In the PostgreSQL.
    Postgres(Arc<PostgresLedger>),
}

impl StoreLedger {
    /// The daemon's.
    pub fn of_daemon(database: &Database) -> Self {
        match database {
            Database::Sqlite(path) => Self::Sqlite(Arc::new(SqliteLedger::of_daemon(path))),
            Database::Postgres(access) => {
                Self::Postgres(Arc::new(PostgresLedger::of_daemon((**access).clone())))
            }
        }
    }

    /// A command's.
    pub fn of_command(database: &Database) -> Self {
        match database {
            Database::Sqlite(path) => Self::Sqlite(Arc::new(SqliteLedger::of_command(path))),
            Database::Postgres(access) => {
                Self::Postgres(Arc::new(PostgresLedger::of_command((**access).clone())))
            }
        }
    }

    /// For who writes.
    pub fn shared(&self) -> Arc<dyn Ledger> {
        match self {
            Self::Sqlite(ledger) => Arc::clone(ledger) as Arc<dyn Ledger>,
            Self::Postgres(ledger) => Arc::clone(ledger) as Arc<dyn Ledger>,
        }
    }

    /// The store is open; with a PostgreSQL, under this tenure.
    pub async fn allow(&self, tenure: Option<Arc<Tenure>>) {
        match self {
            Self::Sqlite(ledger) => ledger.allow().await,
            Self::Postgres(ledger) => {
                if let Some(tenure) = tenure {
                    ledger.allow(tenure).await;
                }
            }
        }
    }

    /// Closes its connection.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(ledger) => ledger.close().await,
            Self::Postgres(ledger) => ledger.close().await,
        }
    }
}
