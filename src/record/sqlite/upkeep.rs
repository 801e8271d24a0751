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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;

    use super::*;
    use crate::record::Store as _;
    use crate::record::contract::{outcome, ran, time};
    use crate::record::sqlite::{Mode, Sqlite};

    const DAEMON: Mode = Mode::Daemon { full_sync: false };
    const MINUTE: i64 = 60_000;

    #[tokio::test]
    async fn a_backup_beside_a_daemon_is_everything_up_to_some_commit() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join("s.db"), folder.path().join("copy.db"));
        let store = Arc::new(Sqlite::open(&path, DAEMON).await.unwrap());
        let writing = Arc::clone(&store);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let writer = tokio::spawn(async move {
            let mut stopped = stopped;
            let mut minute = 0;
            while stopped.try_recv().is_err() {
                let batch: Vec<_> =
                    (0..20).map(|check| ran(outcome(&format!("p/c{check}"), minute * MINUTE))).collect();
                writing.commit(&batch).await.unwrap();
                minute += 1;
            }
            minute
        });
        let mut before = 0;
        for round in 0..8 {
            backup(&path, &copy, round > 0).await.unwrap();
            let kept = Sqlite::open(&copy, Mode::Reader).await.unwrap();
            let mut batches: BTreeMap<i64, u32> = BTreeMap::new();
            for check in 0..20 {
                let check = format!("p/c{check}").as_str().into();
                for row in kept.history(&check, time(0), time(1 << 47), 1_000_000).await.unwrap() {
                    *batches.entry(row.at.as_millisecond() / MINUTE).or_default() += 1;
                }
            }
            let count = i64::try_from(batches.len()).unwrap();
            assert!(batches.keys().copied().eq(0..count), "no commit is missing in the middle");
            assert!(batches.values().all(|rows| *rows == 20), "no commit is there by half");
            assert!(count >= before);
            before = count;
            kept.close().await;
        }
        stop.send(()).unwrap();
        assert!(writer.await.unwrap() >= before && before > 0);
        let mode = std::fs::metadata(&copy).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let names = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name());
        let left: Vec<_> = names.filter(|name| name.to_string_lossy().contains(".part")).collect();
        assert!(left.is_empty(), "{left:?}");
    }

    #[tokio::test]
    async fn a_backup_replaces_nothing_unless_it_is_told_to() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join("s.db"), folder.path().join("copy.db"));
        Sqlite::open(&path, DAEMON).await.unwrap().close().await;
        std::fs::write(&copy, "precious").unwrap();
        let said = backup(&path, &copy, false).await.unwrap_err().to_string();
        assert!(said.contains("is there already; --force replaces it"), "{said}");
        assert_eq!(std::fs::read_to_string(&copy).unwrap(), "precious");
        let draft = Draft::new(&folder.path().join("late.db"), false).unwrap();
        std::fs::write(folder.path().join("late.db"), "precious").unwrap();
        assert!(draft.finish().is_err(), "neither what came to be there meanwhile");
        assert_eq!(std::fs::read_to_string(folder.path().join("late.db")).unwrap(), "precious");
        backup(&path, &copy, true).await.unwrap();
        Sqlite::open(&copy, DAEMON).await.unwrap();
    }

    #[tokio::test]
    async fn a_file_that_a_daemon_uses_is_not_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        let store = Sqlite::open(&path, DAEMON).await.unwrap();
        let said = vacuum(&path).await.unwrap_err().to_string();
        assert!(said.contains("another portalwatch daemon holds"), "{said}");
        let batch: Vec<_> = (0..20_000).map(|at| ran(outcome("a/b", at))).collect();
        store.commit(&batch).await.unwrap();
        store.prune(&crate::record::contract::figures::before(time(19_000))).await.unwrap();
        store.close().await;
        let (before, after) = vacuum(&path).await.unwrap();
        assert!(after < before / 2, "{before} {after}");
        let none = folder.path().join("none.db");
        assert!(vacuum(&none).await.is_err() && !none.exists());
    }
}
