//! What an operator does with the store: looking at it, making it smaller, keeping copies, moving it.

use std::path::Path;

use super::load;
use crate::clock::{Clock as _, SystemClock};
use crate::config::settings::Database;
use crate::formats::yaml::Fault;
use crate::record::copy::Side;
use crate::record::copy::check::{self, Found};
use crate::record::copy::fill::{self, CopyError, Progress};
use crate::record::sqlite::upkeep::Counts;
use crate::record::{StoreError, postgres, sqlite};

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum UpkeepError {
    /// The config is bad.
    #[error("the config has faults")]
    Config(Vec<Fault>),
    /// A database says no.
    #[error("{0}")]
    Copy(#[from] CopyError),
}

impl From<StoreError> for UpkeepError {
    fn from(why: StoreError) -> Self {
        Self::Copy(why.into())
    }
}

/// The store of a config.
///
/// # Errors
/// Everything that is wrong with the config.
pub fn database(config: &Path) -> Result<Database, UpkeepError> {
    load::database(config).map_err(UpkeepError::Config)
}

/// How messages name a database.
pub fn place(database: &Database) -> String {
    match database {
        Database::Sqlite(path) => format!("sqlite://{}", path.display()),
        Database::Postgres(access) => access.place(),
    }
}

/// Looks for what is wrong with a store, beside the daemon that uses it.
///
/// # Errors
/// A store that cannot be read.
pub async fn check_store(database: &Database) -> Result<Found, UpkeepError> {
    let mut side = reader(database).await?;
    let found = check::check(&mut *side, SystemClock.now()).await;
    side.close().await;
    Ok(found?)
}

async fn reader(database: &Database) -> Result<Box<dyn Side>, StoreError> {
    Ok(match database {
        Database::Sqlite(path) => Box::new(sqlite::bare::Bare::reader(path).await?),
        Database::Postgres(access) => Box::new(postgres::bare::Bare::reader((**access).clone()).await?),
    })
}

/// Makes a store smaller; returns its size before and after.
///
/// # Errors
/// A daemon that uses the file, or what the database says.
pub async fn vacuum_store(database: &Database) -> Result<(u64, u64), UpkeepError> {
    Ok(match database {
        Database::Sqlite(path) => sqlite::upkeep::vacuum(path).await?,
        Database::Postgres(access) => postgres::upkeep::vacuum((**access).clone()).await?,
    })
}

/// Copies a store as it is at one instant into a file, whoever uses it. Returns what is in the copy.
///
/// # Errors
/// What the database or the disk says, or a copy that is not sound.
pub async fn back_up(
    database: &Database,
    file: &Path,
    replaces: bool,
    tell: &mut (dyn FnMut(Progress) + Send),
) -> Result<Counts, UpkeepError> {
    match database {
        Database::Sqlite(path) => Ok(sqlite::upkeep::backup(path, file, replaces).await?),
        Database::Postgres(_) => {
            let mut from = reader(database).await?;
            let counts = into_file(&mut *from, file, replaces, tell).await;
            from.close().await;
            Ok(counts?)
        }
    }
}

/// Copies everything from one database to an empty one, which may be used afterwards. Called again after
/// it was broken off, it goes on.
///
/// # Errors
/// See [`CopyError`].
pub async fn migrate(
    from: &Database,
    to: &Database,
    tell: &mut (dyn FnMut(Progress) + Send),
) -> Result<Vec<fill::Sum>, UpkeepError> {
    let mut source: Box<dyn Side> = match from {
        Database::Sqlite(path) => Box::new(sqlite::bare::Bare::source(path).await?),
        Database::Postgres(access) => Box::new(postgres::bare::Bare::source((**access).clone()).await?),
    };
    let mut target: Box<dyn Side> = match to {
        Database::Sqlite(path) => Box::new(sqlite::bare::Bare::target(path).await?),
        Database::Postgres(access) => Box::new(postgres::bare::Bare::target((**access).clone()).await?),
    };
    let sums = fill::fill(&mut *source, &mut *target, tell).await;
    target.close().await;
    source.close().await;
    Ok(sums?)
}

async fn into_file(
    from: &mut dyn Side,
    file: &Path,
    replaces: bool,
    tell: &mut (dyn FnMut(Progress) + Send),
) -> Result<Counts, CopyError> {
    let draft = sqlite::upkeep::Draft::new(file, replaces)?;
    let mut target = sqlite::bare::Bare::target(&draft.path).await?;
    let sums = fill::fill(from, &mut target, tell).await?;
    target.alone().await?;
    Box::new(target).close().await;
    draft.finish()?;
    Ok(sums.into_iter().map(|sum| (sum.table, sum.rows)).collect())
}
