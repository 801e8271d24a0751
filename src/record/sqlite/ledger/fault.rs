//! What a fault of the file means to who may not write because of it.

use std::path::Path;

use crate::model::LedgerError;
use crate::record::StoreError;

/// Names the way out of a fault.
pub fn of(path: &Path, fault: StoreError) -> LedgerError {
    let (why, way_out) = match fault {
        StoreError::Newer { found, known, .. } => (
            format!("it was written by a newer portalwatch (schema {found}, this version knows {known})"),
            "run that version, or point storage.url at another file",
        ),
        StoreError::Unfinished { from, .. } => {
            (format!("a migration from {from} is unfinished"), "finish it with portalwatch store migrate")
        }
        StoreError::Full { why, .. } => (format!("the disk is full: {why}"), "make room on it"),
        StoreError::ReadOnly { why, .. } => {
            (why, "let the user of this process write the file and its folder, or change storage.url")
        }
        StoreError::Locked { why, .. } => (
            format!("locked by another process: {why}"),
            "try again; if a daemon of an older version holds it, restart that with this version",
        ),
        fault @ StoreError::Fenced { .. } => (fault.to_string(), "ask the daemon that leads"),
        StoreError::Corrupt { why, .. } => {
            (format!("the file is damaged: {why}"), "move it away to start a new one, or restore a backup")
        }
        StoreError::Rejected { why, .. } | StoreError::Other { why, .. } => {
            (why, "check storage.url and its disk")
        }
    };
    LedgerError::Unusable { file: path.display().to_string(), why, way_out }
}

/// The daemon's store is not open.
pub fn closed(path: &Path) -> LedgerError {
    LedgerError::Unusable {
        file: path.display().to_string(),
        why: "the daemon's store is not open".to_owned(),
        way_out: "the log and /readyz say why",
    }
}
