//! Whether files changed, by content: bind mounts and symlink swaps keep times and inodes to
//! themselves, content does not lie.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, Digest, SHA256};

/// What the files held at one moment. Two are equal when nothing changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint(Vec<(PathBuf, State)>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Unreadable(std::io::ErrorKind),
    Folder(Vec<PathBuf>),
    File(Vec<u8>),
}

impl Fingerprint {
    /// Looks at each path; links are followed, and a folder is its listing.
    pub fn take<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Self {
        let look = |path: P| {
            let path = path.as_ref();
            (path.to_owned(), state(path).unwrap_or_else(|error| State::Unreadable(error.kind())))
        };
        Self(paths.into_iter().map(look).collect())
    }

    /// These paths, as an earlier look saw them where it did: what changed between the two looks
    /// still counts as a change.
    #[must_use]
    pub fn as_seen_before(mut self, earlier: &Self) -> Self {
        for (path, state) in &mut self.0 {
            if let Some((_, before)) = earlier.0.iter().find(|(known, _)| known == path) {
                state.clone_from(before);
            }
        }
        self
    }
}

fn state(path: &Path) -> std::io::Result<State> {
    if std::fs::metadata(path)?.is_dir() {
        let mut names = std::fs::read_dir(path)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<std::io::Result<Vec<_>>>()?;
        names.sort();
        return Ok(State::Folder(names));
    }
    let mut file = std::fs::File::open(path)?;
    let mut hash = Context::new(&SHA256);
    let mut buffer = [0_u8; 8192];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hash.update(buffer.get(..read).unwrap_or_default()),
        }
    }
    let digest: Digest = hash.finish();
    Ok(State::File(digest.as_ref().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swapped_link_is_a_change_and_a_touch_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b, link) = (folder.path().join("a"), folder.path().join("b"), folder.path().join("link"));
        std::fs::write(&a, "1").unwrap();
        std::fs::write(&b, "2").unwrap();
        let missing = Fingerprint::take([&link]);
        std::os::unix::fs::symlink(&a, &link).unwrap();
        let first = Fingerprint::take([&link]);
        assert_ne!(missing, first);
        std::fs::write(&a, "1").unwrap();
        assert_eq!(first, Fingerprint::take([&link]));
        std::fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(&b, &link).unwrap();
        assert_ne!(first, Fingerprint::take([&link]));
    }

    #[test]
    fn a_change_while_the_files_are_read_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&a, "1").unwrap();
        std::fs::write(&b, "1").unwrap();
        let before = Fingerprint::take([&a]);
        std::fs::write(&a, "2").unwrap();
        let seen = Fingerprint::take([&a, &b]).as_seen_before(&before);
        assert_ne!(seen, Fingerprint::take([&a, &b]));
        std::fs::write(&a, "1").unwrap();
        assert_eq!(seen, Fingerprint::take([&a, &b]));
    }

    #[test]
    fn a_new_file_in_a_folder_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let before = Fingerprint::take([folder.path()]);
        std::fs::write(folder.path().join("new.yaml"), "").unwrap();
        assert_ne!(before, Fingerprint::take([folder.path()]));
    }
}
