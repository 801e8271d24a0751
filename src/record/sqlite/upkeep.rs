//! What an operator does with the file now and then: make it smaller, and keep a copy.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use super::bare::Bare;
use super::{BUSY, error, lock, reading, refuse_newer, refuse_unfinished};
use crate::record::StoreError;
use crate::record::copy::Side as _;
use crate::record::copy::tables::TABLES;

/// Writes the file anew without what was deleted; returns its size before and after. No daemon may use it.
///
/// # Errors
/// [`StoreError::Locked`] while a daemon uses it, and what the disk says.
pub async fn vacuum(path: &Path) -> Result<(u64, u64), StoreError> {
    // Nothing is made where there is nothing.
    let size = |path: &Path| std::fs::metadata(path).map(|found| found.len());
    size(path).map_err(|why| error::io(path, &why))?;
    let _lock = lock(path)?;
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY).disable_statement_logging();
    let mut connection = options.connect().await.map_err(|why| error::of(path, &why))?;
    refuse_newer(path, &mut connection).await?;
    refuse_unfinished(path, &mut connection).await?;
    let fold = "PRAGMA wal_checkpoint(TRUNCATE)";
    let fault = |why: sqlx::Error| error::of(path, &why);
    sqlx::raw_sql(fold).execute(&mut connection).await.map_err(fault)?;
    let before = size(path).map_err(|why| error::io(path, &why))?;
    sqlx::raw_sql("VACUUM").execute(&mut connection).await.map_err(fault)?;
    sqlx::raw_sql(fold).execute(&mut connection).await.map_err(fault)?;
    connection.close().await.map_err(fault)?;
    Ok((before, size(path).map_err(|why| error::io(path, &why))?))
}

/// A copy that gets its name once it is complete, and goes away if it never is.
#[derive(Debug)]
pub struct Draft {
    /// Where it is written.
    pub path: PathBuf,
    file: PathBuf,
    replaces: bool,
}

impl Draft {
    /// A copy that will be called `file`.
    ///
    /// # Errors
    /// If there is such a file and it may not be replaced, or none can be made.
    pub fn new(file: &Path, replaces: bool) -> Result<Self, StoreError> {
        if !replaces && std::fs::symlink_metadata(file).is_ok() {
            return Err(error::other(file, "is there already; --force replaces it"));
        }
        let mut name = file.as_os_str().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let path = PathBuf::from(name);
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        made.map_err(|why| error::io(&path, &why))?;
        Ok(Self { path, file: file.to_owned(), replaces })
    }

    /// Puts it on the disk, under its name.
    ///
    /// # Errors
    /// What the disk says, or a file that came to be there meanwhile.
    pub fn finish(self) -> Result<(), StoreError> {
        let put = || {
            File::open(&self.path)?.sync_all()?;
            if self.replaces {
                std::fs::rename(&self.path, &self.file)?;
            } else {
                // Unlike a renaming, a link never replaces anything.
                std::fs::hard_link(&self.path, &self.file)?;
            }
            let folder = self.file.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        };
        put().map_err(|why| error::io(&self.file, &why))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        for more in ["", "-journal", "-wal", "-shm", ".lock"] {
            let mut name = self.path.as_os_str().to_owned();
            name.push(more);
            std::fs::remove_file(PathBuf::from(name)).ok();
        }
    }
}

/// Rows by table.
pub type Counts = Vec<(&'static str, u64)>;

/// Copies the file as it is at one instant, whoever writes meanwhile. Returns what is in the copy.
///
/// # Errors
/// What the disk says, or a copy that is not sound.
pub async fn backup(path: &Path, file: &Path, replaces: bool) -> Result<Counts, StoreError> {
    let before = counts(path).await?;
    let draft = Draft::new(file, replaces)?;
    let mut connection = reading(path).connect().await.map_err(|why| error::of(path, &why))?;
    refuse_newer(path, &mut connection).await?;
    refuse_unfinished(path, &mut connection).await?;
    let copied = sqlx::query("VACUUM INTO ?").bind(draft.path.display().to_string());
    copied.execute(&mut connection).await.map_err(|why| error::of(&draft.path, &why))?;
    connection.close().await.ok();
    let after = counts(path).await?;
    let mut copy = Bare::reader(&draft.path).await?;
    let wrong = copy.integrity().await?.wrong;
    if let Some(first) = wrong.first() {
        let why = format!("the copy is not sound, and was not kept: {first}");
        return Err(error::other(path, &why));
    }
    Box::new(copy).close().await;
    let found = counts(&draft.path).await?;
    for (((table, before), (_, after)), (_, found)) in before.iter().zip(&after).zip(&found) {
        if !(before.min(after)..=before.max(after)).contains(&found) {
            let why = format!(
                "the copy has {found} rows of {table}, and the store had {before} before and {after} after; \
                 it was not kept, try again"
            );
            return Err(error::other(path, &why));
        }
    }
    draft.finish()?;
    Ok(found)
}

async fn counts(path: &Path) -> Result<Counts, StoreError> {
    let mut side = Bare::reader(path).await?;
    let mut counts = Vec::with_capacity(TABLES.len());
    for table in &TABLES {
        counts.push((table.name, side.count(table).await?));
    }
    Box::new(side).close().await;
    Ok(counts)
}
