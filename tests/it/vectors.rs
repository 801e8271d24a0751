//! The suites of others.

use std::path::{Path, PathBuf};

/// Where they are; `None`, told, where they are not there.
#[expect(clippy::disallowed_methods, reason = "tests find their vectors by the environment")]
pub fn folder(test: &str) -> Option<PathBuf> {
    let named = std::env::var_os("PORTALWATCH_VECTORS").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"));
    if !folder.is_dir() {
        println!("skipped: {test}: no folder {}", folder.display());
        return None;
    }
    Some(folder)
}
