//! What an operator does with the file now and then: make it smaller, and keep a copy.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use super::bare::Bare;
use super::{BUSY, error, identity, lock, reading, refuse_newer, refuse_unfinished};
use crate::record::StoreError;
use crate::record::copy::Side as _;
use crate::record::copy::tables::TABLES;

/// What SQLite keeps beside a file, and reads as a part of it.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];
/// Drafts of one name.
const DRAFTS: u32 = 100;

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
        if let Some(left) = BESIDE.iter().map(|end| with_end(file, end)).find(|left| left.exists())
            && !replaces
        {
            let left = left.display();
            let why =
                format!("{left} is there, which SQLite would take for a part of it; --force removes it");
            return Err(error::other(file, &why));
        }
        if with_end(file, ".lock").exists() {
            drop(lock(file)?);
        }
        // A process that was killed leaves its own, and may have had the same number.
        let mut turn = 0;
        loop {
            let path = with_end(file, &format!(".{}.{turn}.part", std::process::id()));
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Ok(_) => return Ok(Self { path, file: file.to_owned(), replaces }),
                Err(why) if why.kind() == ErrorKind::AlreadyExists && turn < DRAFTS => turn += 1,
                Err(why) => return Err(error::io(file, &why)),
            }
        }
    }

    /// Puts it on the disk, under its name.
    ///
    /// # Errors
    /// What the disk says, or a file that came to be there meanwhile.
    pub fn finish(self) -> Result<(), StoreError> {
        let put = || {
            File::open(&self.path)?.sync_all()?;
            if self.replaces {
                // The log of another file under this name would be taken for a part of this one.
                for end in BESIDE {
                    match std::fs::remove_file(with_end(&self.file, end)) {
                        Err(why) if why.kind() != ErrorKind::NotFound => return Err(why),
                        _ => {}
                    }
                }
                std::fs::rename(&self.path, &self.file)?;
            } else {
                name_new(&self.path, &self.file)?;
            }
            let folder = self.file.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        };
        put().map_err(|why| error::io(&self.file, &why))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        for end in BESIDE.iter().chain(&["", ".lock"]) {
            std::fs::remove_file(with_end(&self.path, end)).ok();
        }
    }
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// Renames without ever replacing anything; a link does that too where the file system knows no other way.
fn name_new(path: &Path, file: &Path) -> std::io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, path, CWD, file, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => std::fs::hard_link(path, file),
        done => Ok(done?),
    }
}

/// Rows by table.
pub type Counts = Vec<(&'static str, u64)>;

/// Copies the file as it is at one instant, whoever writes meanwhile. Returns what is in the copy.
///
/// # Errors
/// What the disk says, or a copy that is not sound.
pub async fn backup(path: &Path, file: &Path, replaces: bool) -> Result<Counts, StoreError> {
    if let (Ok(store), Ok(copy)) = (identity(path), identity(file))
        && store == copy
    {
        return Err(error::other(file, "is the store itself"));
    }
    let draft = Draft::new(file, replaces)?;
    let mut connection = reading(path).connect().await.map_err(|why| error::of(path, &why))?;
    refuse_newer(path, &mut connection).await?;
    refuse_unfinished(path, &mut connection).await?;
    let copied = sqlx::query("VACUUM INTO ?").bind(draft.path.display().to_string());
    copied.execute(&mut connection).await.map_err(|why| error::of(&draft.path, &why))?;
    connection.close().await.ok();
    let mut copy = Bare::reader(&draft.path).await?;
    let wrong = copy.integrity().await?.wrong;
    if let Some(first) = wrong.first() {
        let why = format!("the copy is not sound, and was not kept: {first}");
        return Err(error::other(path, &why));
    }
    Box::new(copy).close().await;
    let found = counts(&draft.path).await?;
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
    async fn a_backup_does_not_take_the_place_of_a_store_in_use_or_of_a_part_of_one() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("s.db"), folder.path().join("other.db"));
        let store = Sqlite::open(&path, DAEMON).await.unwrap();
        store.commit(&[ran(outcome("a/b", 1_000))]).await.unwrap();
        let said = backup(&path, &path, true).await.unwrap_err().to_string();
        assert!(said.contains("is the store itself"), "{said}");
        let used = Sqlite::open(&other, DAEMON).await.unwrap();
        used.commit(&[ran(outcome("c/d", 1_000)), ran(outcome("c/d", 2_000))]).await.unwrap();
        let said = backup(&path, &other, true).await.unwrap_err().to_string();
        assert!(said.contains("another portalwatch daemon holds"), "{said}");
        // What a kill leaves of it: rows in the log that are not in the file.
        for name in ["other.db", "other.db-wal"] {
            std::fs::copy(folder.path().join(name), folder.path().join(name.replace("other", "killed")))
                .unwrap();
        }
        let killed = folder.path().join("killed.db");
        backup(&path, &killed, true).await.unwrap();
        let restored = Sqlite::open(&killed, DAEMON).await.unwrap();
        assert_eq!(restored.history(&"a/b".into(), time(0), time(9_000), 9).await.unwrap().len(), 1);
        assert!(restored.history(&"c/d".into(), time(0), time(9_000), 9).await.unwrap().is_empty());
        restored.close().await;
        let gone = folder.path().join("gone.db");
        std::fs::copy(folder.path().join("other.db-wal"), folder.path().join("gone.db-wal")).unwrap();
        let said = backup(&path, &gone, false).await.unwrap_err().to_string();
        assert!(said.contains("gone.db-wal is there"), "{said}");
        backup(&path, &gone, true).await.unwrap();
        assert!(!folder.path().join("gone.db-wal").exists());
    }

    #[tokio::test]
    async fn a_draft_that_a_killed_process_left_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("copy.db");
        let left = Draft::new(&file, false).unwrap();
        let again = Draft::new(&file, false).unwrap();
        assert_ne!(left.path, again.path);
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
