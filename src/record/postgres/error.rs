//! What PostgreSQL's answers mean to an operator.

use std::io::ErrorKind;

use sqlx::migrate::MigrateError;

use super::StoreError;
use crate::model::database::{Access, Encryption};

/// A transaction of who does not lead any more; `by` leads now.
#[derive(Debug, thiserror::Error)]
#[error("another daemon took over: {by}")]
struct Fenced {
    by: String,
}

/// The fault of a transaction of who does not lead any more.
pub fn fenced(by: String) -> sqlx::Error {
    sqlx::Error::AnyDriverError(Box::new(Fenced { by }))
}

/// Names the fault of a statement.
pub fn of(access: &Access, fault: &sqlx::Error) -> StoreError {
    let path = access.place();
    if let sqlx::Error::AnyDriverError(why) = fault
        && let Some(Fenced { by }) = why.downcast_ref::<Fenced>()
    {
        return StoreError::Fenced { path, by: by.clone() };
    }
    let code = fault.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let why = words(fault);
    match code.as_deref() {
        Some("53100") => StoreError::Full { path, why },
        Some("25006" | "42501") => StoreError::ReadOnly { path, why },
        Some("55P03" | "57014" | "40P01" | "40001") => StoreError::Locked { path, why },
        Some("XX001" | "XX002") => StoreError::Corrupt { path, why },
        // Data exceptions, integrity constraints, and what exceeds a limit.
        Some(code) if ["22", "23", "54"].iter().any(|class| code.starts_with(class)) => {
            StoreError::Rejected { path, why }
        }
        Some(code) => StoreError::Other { path, why: with_way_out(access, code, why) },
        None => StoreError::Other { path, why: of_connection(access, fault, "the connection was lost") },
    }
}

/// Names the fault of connecting.
pub fn connecting(access: &Access, fault: &sqlx::Error) -> StoreError {
    match fault {
        sqlx::Error::Database(_) => of(access, fault),
        _ => {
            let what = format!("connect to {}", access.server.address());
            other(access, &of_connection(access, fault, &what))
        }
    }
}

/// Names the fault of a migration.
pub fn migrate(access: &Access, fault: MigrateError) -> StoreError {
    match fault {
        MigrateError::Execute(fault) | MigrateError::ExecuteMigration(fault, _) => of(access, &fault),
        fault => other(access, &fault.to_string()),
    }
}

/// A fault without a code.
pub fn other(access: &Access, why: &str) -> StoreError {
    StoreError::Other { path: access.place(), why: why.to_owned() }
}

/// A fault, and what helps, for those who depend on the database.
pub fn way_out(fault: StoreError) -> (String, &'static str) {
    match fault {
        StoreError::Newer { found, known, .. } => (
            format!("it was written by a newer portalwatch (schema {found}, this version knows {known})"),
            "run that version, or point storage.url at another database",
        ),
        StoreError::Unfinished { from, .. } => {
            (format!("a migration from {from} is unfinished"), "finish it with portalwatch store migrate")
        }
        StoreError::Full { why, .. } => (format!("the disk is full: {why}"), "make room on the server"),
        StoreError::ReadOnly { why, .. } => {
            (why, "let the role of storage.url own its tables, on a server that takes writes")
        }
        StoreError::Locked { why, .. } => (
            format!("locked by another process: {why}"),
            "try again; if a daemon of an older version holds it, restart that with this version",
        ),
        StoreError::Fenced { by, .. } => {
            (format!("another daemon took over: {by}"), "nothing is to be done: this one stands by")
        }
        StoreError::Corrupt { why, .. } => (format!("the database is damaged: {why}"), "restore a backup"),
        StoreError::Rejected { why, .. } => (
            format!("it does not take a row: {why}"),
            "report it, with the log: this is a fault of portalwatch",
        ),
        StoreError::Other { why, .. } => (why, "check storage.url and its server"),
    }
}

/// What the server said, or else what the library says.
fn words(fault: &sqlx::Error) -> String {
    match fault {
        sqlx::Error::Database(said) => said.message().to_owned(),
        fault => fault.to_string(),
    }
}

fn with_way_out(access: &Access, code: &str, why: String) -> String {
    match code {
        "28P01" | "28000" => {
            format!("{why}; check the user in storage.url, storage.password and pg_hba.conf")
        }
        "3D000" => format!("{why}; make it: createdb -O {} {}", access.user, access.database),
        "3F000" => match &access.schema {
            Some(schema) => format!("{why}; make it: CREATE SCHEMA {schema} AUTHORIZATION {}", access.user),
            None => {
                format!("{why}; make one that the role may use, and name it: storage.url …?search_path=NAME")
            }
        },
        "53300" => format!("{why}; raise max_connections, or close what else is connected"),
        "42P01" | "42703" => {
            format!("{why}; this is no database of portalwatch, or a part of it was dropped")
        }
        _ => why,
    }
}

fn of_connection(access: &Access, fault: &sqlx::Error, what: &str) -> String {
    let sqlx::Error::Io(io) = fault else {
        return match fault {
            sqlx::Error::Tls(why) => format!("{what}: TLS: {why}{}", tls_way_out(access)),
            fault => fault.to_string(),
        };
    };
    match io.kind() {
        ErrorKind::ConnectionRefused => format!("{what}: connection refused; is PostgreSQL running there?"),
        ErrorKind::NotFound => format!("{what}: no such socket; is PostgreSQL running there?"),
        ErrorKind::TimedOut => format!("{what}: no answer in time; is the way there open?"),
        ErrorKind::InvalidData => format!("{what}: TLS: {io}{}", tls_way_out(access)),
        _ => format!("{what}: {io}"),
    }
}

fn tls_way_out(access: &Access) -> &'static str {
    match &access.encryption {
        Encryption::Verified { ca_pem: None } => {
            "; if its certificate is of an authority of your own, write storage.tls.ca_file"
        }
        Encryption::Verified { ca_pem: Some(_) } => {
            "; storage.tls.ca_file has to hold the authority of its certificate, which has to name the host"
        }
        Encryption::Off => "",
    }
}
