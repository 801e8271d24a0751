//! `portalwatch run`: the daemon.

use std::io::IsTerminal as _;

use clap::Args;

use super::{Answer, ConfigPath, Failure, logs};
use crate::app;

#[derive(Args)]
pub struct RunArgs {
    #[command(flatten)]
    config: ConfigPath,
    /// Log as text or as JSON lines; text on a terminal, JSON otherwise
    #[arg(long, value_enum)]
    log_format: Option<LogFormat>,
    /// How much to log: error, warn, info, debug
    #[arg(long, default_value = "info")]
    log_level: String,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

pub fn run(args: RunArgs) -> Answer {
    let text = match args.log_format {
        Some(format) => matches!(format, LogFormat::Text),
        None => std::io::stderr().is_terminal(),
    };
    logs::start(&args.log_level, text);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::own(format!("cannot start: {error}")))?;
    let ended = runtime.block_on(app::run(&args.config.config));
    runtime.shutdown_background();
    match ended {
        Ok(()) => Ok(0),
        Err(app::RunError::Config(faults)) => Err(Failure::config(&faults)),
        Err(error) => Err(Failure::own(error.to_string())),
    }
}
