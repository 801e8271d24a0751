//! `portalwatch store`: looking after the database.

mod migrate;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Answer, ConfigPath, DONE, Failure, print};
use crate::app::{self, UpkeepError};
use crate::record::copy::check::{Found, Wrong};

/// Exit codes of looking.
const FOUND: &str = "Exit codes: 0 nothing is wrong, 2 something is; 64 usage error; 78 bad config; 70 the store cannot be read";

#[derive(Subcommand)]
pub enum StoreCommand {
    /// Look for damage, and for what cannot be right; beside a running daemon
    #[command(after_help = FOUND)]
    Check(StoreArgs),
    /// Give back the room of what was deleted; a file only while no daemon uses it
    #[command(after_help = DONE)]
    Vacuum(StoreArgs),
    /// Copy the store as it is now into a file; beside a running daemon
    #[command(after_help = DONE)]
    Backup(BackupArgs),
    /// Copy everything from one database to an empty one, while no daemon uses either
    #[command(after_help = DONE)]
    Migrate(migrate::MigrateArgs),
}

#[derive(Args)]
pub struct StoreArgs {
    #[command(flatten)]
    config: ConfigPath,
}

#[derive(Args)]
pub struct BackupArgs {
    /// The copy: an SQLite file, whichever database the store is in
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace a file of that name
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    config: ConfigPath,
}

pub async fn store(command: StoreCommand) -> Answer {
    match command {
        StoreCommand::Check(args) => check(args).await,
        StoreCommand::Vacuum(args) => vacuum(args).await,
        StoreCommand::Backup(args) => backup(args).await,
        StoreCommand::Migrate(args) => migrate::migrate(args).await,
    }
}

fn failed(error: UpkeepError) -> Failure {
    match error {
        UpkeepError::Config(faults) => Failure::config(&faults),
        UpkeepError::Copy(why) => Failure::own(why.to_string()),
    }
}

async fn check(args: StoreArgs) -> Answer {
    let database = app::database(&args.config.config).map_err(failed)?;
    let found = app::check_store(&database).await.map_err(failed)?;
    print::out(&told(&app::place(&database), &found))?;
    Ok(if found.wrong.is_empty() { 0 } else { 2 })
}

fn told(place: &str, found: &Found) -> String {
    let mut lines = Vec::new();
    for (table, rows) in &found.rows {
        lines.push(format!("{table}: {rows} rows"));
        let wrong = found.wrong.iter().filter(|wrong| wrong.table == Some(*table));
        lines.extend(wrong.map(|wrong| format!("  {}", sentence(wrong))));
    }
    let whole = found.wrong.iter().filter(|wrong| wrong.table.is_none());
    lines.extend(whole.map(sentence));
    lines.extend(found.left_out.clone());
    lines.push(match found.wrong.len() {
        0 => format!("{place}: nothing is wrong"),
        1 => format!("{place}: 1 thing is wrong"),
        many => format!("{place}: {many} things are wrong"),
    });
    lines.join("\n")
}

fn sentence(wrong: &Wrong) -> String {
    match (wrong.first.as_str(), wrong.rows) {
        ("", _) => wrong.what.clone(),
        (first, 1) => format!("{}: 1 row ({first})", wrong.what),
        (first, rows) => format!("{}: {rows} rows (the first is {first})", wrong.what),
    }
}

async fn vacuum(args: StoreArgs) -> Answer {
    let database = app::database(&args.config.config).map_err(failed)?;
    let (before, after) = app::vacuum_store(&database).await.map_err(failed)?;
    let place = app::place(&database);
    print::out(&format!("{place}: {} before, {} after", size(before), size(after)))?;
    Ok(0)
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} bytes"),
        10_240..10_485_760 => format!("{} KiB", bytes / 1_024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}

async fn backup(args: BackupArgs) -> Answer {
    let database = app::database(&args.config.config).map_err(failed)?;
    let mut tell = migrate::teller();
    let counts = app::back_up(&database, &args.file, args.force, &mut tell).await.map_err(failed)?;
    let counts: Vec<String> = counts.iter().map(|(table, rows)| format!("{table}: {rows} rows")).collect();
    print::out(&format!("{}\n{}: complete", counts.join("\n"), args.file.display()))?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_stands_below_its_table_with_how_often_and_where() {
        let wrong = |table, what: &str, rows, first: &str| Wrong {
            table,
            what: what.into(),
            rows,
            first: first.into(),
        };
        let found = Found {
            rows: vec![("checks", 2), ("latencies", 9)],
            wrong: vec![
                wrong(Some("latencies"), "sketches do not read back", 3, "3600 1 7200000"),
                wrong(None, "page 4 is gone", 1, ""),
            ],
            left_out: None,
        };
        let expected = "checks: 2 rows\nlatencies: 9 rows\n  sketches do not read back: 3 rows (the first is 3600 1 7200000)\n\
            page 4 is gone\nsqlite://x: 2 things are wrong";
        assert_eq!(told("sqlite://x", &found), expected);
    }
}
