//! `portalwatch store migrate`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;

use super::failed;
use crate::app;
use crate::cli::{Answer, Failure, print};
use crate::config;
use crate::config::settings::Database;
use crate::model::Secret;
use crate::model::database::Encryption;
use crate::record::copy::fill::Progress;

/// How often progress is told.
const TELL: Duration = Duration::from_secs(2);

#[derive(Args)]
pub struct MigrateArgs {
    /// What is copied, as in storage.url
    #[arg(long, value_name = "URL")]
    from: String,
    /// Where it goes: an empty database, or a file that is not there yet
    #[arg(long, value_name = "URL")]
    to: String,
    /// The password of --from, in a file
    #[arg(long, value_name = "FILE")]
    from_password_file: Option<PathBuf>,
    /// The password of --to, in a file
    #[arg(long, value_name = "FILE")]
    to_password_file: Option<PathBuf>,
    /// The authority of the certificate of --from
    #[arg(long, value_name = "PEM")]
    from_ca_file: Option<PathBuf>,
    /// The authority of the certificate of --to
    #[arg(long, value_name = "PEM")]
    to_ca_file: Option<PathBuf>,
    /// A config whose storage.url is one of the two: its password and authority are taken from there
    #[arg(short, long, value_name = "PATH")]
    config: Option<PathBuf>,
}

pub async fn migrate(args: MigrateArgs) -> Answer {
    let configured = args.config.as_deref().map(app::database).transpose().map_err(failed)?;
    let configured = configured.as_ref();
    let from = database("--from", &args.from, args.from_password_file, args.from_ca_file, configured)?;
    let to = database("--to", &args.to, args.to_password_file, args.to_ca_file, configured)?;
    if app::place(&from) == app::place(&to) && args.from == args.to {
        return Err(Failure::usage("--from and --to are the same database"));
    }
    let mut tell = teller();
    let sums = app::migrate(&from, &to, &mut tell).await.map_err(failed)?;
    let lines: Vec<String> =
        sums.iter().map(|sum| format!("{}: {} rows, sha256 {}", sum.table, sum.rows, sum.digest)).collect();
    let (from, to) = (app::place(&from), app::place(&to));
    print::out(&format!("{}\n{to}: holds all of {from}; point storage.url at it", lines.join("\n")))?;
    Ok(0)
}

fn database(
    option: &str,
    url: &str,
    password_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    configured: Option<&Database>,
) -> Result<Database, Failure> {
    let read = |kind: &str, path: PathBuf| {
        std::fs::read_to_string(&path)
            .map_err(|why| Failure::usage(format!("{option}-{kind}-file {}: {why}", path.display())))
    };
    let is_alone = password_file.is_none() && ca_file.is_none();
    let password = password_file.map(|path| read("password", path)).transpose()?;
    let password = password.map(|text| Secret::new(text.trim_end_matches(['\r', '\n']), "password file"));
    let ca_pem = ca_file.map(|path| read("ca", path)).transpose()?.map(Arc::from);
    let database =
        config::database(url, password, ca_pem).map_err(|why| Failure::usage(format!("{option}: {why}")))?;
    match configured {
        Some(configured) if is_alone && is_same(configured, &database) => Ok(configured.clone()),
        _ => Ok(database),
    }
}

/// Whether the URL means the database of the config, and says nothing of its own about the way there.
fn is_same(configured: &Database, named: &Database) -> bool {
    match (configured, named) {
        (Database::Postgres(one), Database::Postgres(other)) => {
            let protected = [one, other].map(|access| access.encryption != Encryption::Off);
            other.password.is_none()
                && protected[0] == protected[1]
                && one.server == other.server
                && (&one.user, &one.database, &one.schema) == (&other.user, &other.database, &other.schema)
        }
        (Database::Sqlite(one), Database::Sqlite(other)) => one == other,
        _ => false,
    }
}

/// Tells on standard error how far it got.
pub fn teller() -> impl FnMut(Progress) + Send {
    let mut told = Instant::now();
    move |progress| match progress {
        Progress::Continued => eprintln!("going on from where it was broken off"),
        Progress::Copied { table, rows } if told.elapsed() >= TELL => {
            told = Instant::now();
            eprintln!("{table}: {rows} rows copied");
        }
        Progress::Copied { .. } => {}
        Progress::Same(sum) => eprintln!("{}: {} rows, the same on both sides", sum.table, sum.rows),
    }
}
