//! What SQLite's result codes mean to an operator.

use std::io::ErrorKind;
use std::path::Path;

use sqlx::migrate::MigrateError;

use super::StoreError;

/// Names the fault of a statement by its primary result code.
pub fn of(path: &Path, fault: &sqlx::Error) -> StoreError {
    let code = fault.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let code = code.and_then(|code| code.parse::<i32>().ok());
    let (path, why) = (path.display().to_string(), fault.to_string());
    match code.map(|code| code & 0xff) {
        Some(13) => StoreError::Full { path, why },
        Some(3 | 8 | 14 | 23) => StoreError::ReadOnly { path, why },
        Some(5 | 6) => StoreError::Locked { path, why },
        Some(11 | 26) => StoreError::Corrupt { path, why },
        Some(18..=20) => StoreError::Rejected { path, why },
        _ => StoreError::Other { path, why },
    }
}

/// Names the fault of a migration.
pub fn migrate(path: &Path, fault: MigrateError) -> StoreError {
    match fault {
        MigrateError::Execute(fault) | MigrateError::ExecuteMigration(fault, _) => of(path, &fault),
        fault => other(path, &fault.to_string()),
    }
}

/// Names the fault of a file.
pub fn io(path: &Path, fault: &std::io::Error) -> StoreError {
    let (path, why) = (path.display().to_string(), fault.to_string());
    match fault.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full { path, why },
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly { path, why },
        _ => StoreError::Other { path, why },
    }
}

/// A fault without a code.
pub fn other(path: &Path, why: &str) -> StoreError {
    StoreError::Other { path: path.display().to_string(), why: why.to_owned() }
}
