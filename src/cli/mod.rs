//! The command line: one file per command.
//!
//! Standard output carries what was asked for and nothing else; logs and progress go to standard
//! error. Exit codes: the verdict's (0 pass, 1 warn, 2 fail, 3 unknown) where a command judges, 64
//! for a usage error, 78 for a bad config, 70 for an error of our own.

mod baseline;
mod check;
mod completions;
mod config;
mod explain;
mod healthcheck;
mod import;
mod inspect;
mod logs;
mod notify;
mod print;
mod replay;
mod report;
mod run;
mod store;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::formats::yaml::Fault;
use crate::model::HumanDuration;
use crate::net::check_resolver;

/// A usage error, and a glob that matches nothing (sysexits `EX_USAGE`).
pub const USAGE: u8 = 64;
/// An error of our own (sysexits `EX_SOFTWARE`).
pub const SOFTWARE: u8 = 70;
/// A bad config (sysexits `EX_CONFIG`).
pub const BAD_CONFIG: u8 = 78;

/// Exit codes of commands that judge.
const JUDGED: &str = "Exit codes: 0 pass, 1 warn, 2 fail, 3 unknown (of several the worst; fail is worse than unknown);\n\
    64 usage error, or nothing matches; 78 bad config; 70 an error of portalwatch's own";
/// Exit codes of the others.
const DONE: &str = "Exit codes: 0 done; 64 usage error; 78 bad config; 70 an error of portalwatch's own";

/// Keeps a client portal provably in working order.
#[derive(Parser)]
#[command(name = "portalwatch", version, about, max_term_width = 100, after_help = JUDGED)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the daemon
    #[command(after_help = DONE)]
    Run(run::RunArgs),
    /// Run the matching checks once, now, and exit with the worst verdict
    #[command(after_help = JUDGED)]
    Check(check::CheckArgs),
    /// Take one look at anything; needs no config
    #[command(subcommand)]
    Inspect(inspect::InspectCommand),
    /// Say what a finding means and how to fix it
    #[command(after_help = DONE)]
    Explain(explain::ExplainArgs),
    /// Check, show or describe the config
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Decide what checks are compared with
    #[command(subcommand)]
    Baseline(baseline::BaselineCommand),
    /// Make a draft of a config from what other programs recorded
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Tell percentiles, uptime or incidents from the store
    #[command(after_help = DONE)]
    Report(report::ReportArgs),
    /// Judge what is recorded by other rules: what would have been told when, against what was
    #[command(after_help = DONE)]
    Replay(replay::ReplayArgs),
    /// Look after the database: check it, make it smaller, copy or move it
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Try the ways to tell people
    #[command(subcommand)]
    Notify(notify::NotifyCommand),
    /// Ask a running daemon's /healthz; for containers
    #[command(after_help = "Exit codes: 0 healthy, 1 not; 64 usage error; 78 bad config")]
    Healthcheck(healthcheck::HealthcheckArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
}

/// Where the config is.
#[derive(Args, Clone)]
struct ConfigPath {
    /// The config: a YAML file, or a folder of them
    #[arg(short, long, value_name = "PATH", default_value = "monitor.yaml", global = true)]
    config: PathBuf,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON document
    Json,
    /// A Nagios plugin's line with performance data
    Nagios,
}

/// How plain answers are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PlainFormat {
    /// For people
    Text,
    /// One JSON document
    Json,
}

/// What lets anything be tried on loopback.
#[derive(Args, Clone)]
struct Overrides {
    /// Ask this resolver instead of the configured ones (repeatable)
    #[arg(long, value_name = "IP:PORT", value_parser = resolver)]
    resolver: Vec<String>,
    /// Trust these certificates beside the system's
    #[arg(long, value_name = "PEM")]
    ca_file: Option<PathBuf>,
    /// Bound one operation (a request, an address, a query)
    #[arg(long, value_name = "DURATION", value_parser = positive_duration)]
    timeout: Option<Duration>,
}

impl Overrides {
    fn ca_pem(&self) -> Result<Option<std::sync::Arc<str>>, Failure> {
        let Some(path) = &self.ca_file else { return Ok(None) };
        let pem = std::fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("--ca-file {}: {error}", path.display())))?;
        if !pem.contains("-----BEGIN CERTIFICATE-----") {
            return Err(Failure::usage(format!("--ca-file {}: holds no PEM certificate", path.display())));
        }
        Ok(Some(pem.into()))
    }
}

fn resolver(text: &str) -> Result<String, String> {
    check_resolver(text).map(|()| text.to_owned())
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    let HumanDuration(duration) = text.parse().map_err(|error| format!("{error}"))?;
    if duration.is_zero() { Err("must be longer than zero".to_owned()) } else { Ok(duration) }
}

/// Why a command could not do what was asked.
struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    fn usage(message: impl Into<String>) -> Self {
        Self { code: USAGE, message: message.into() }
    }

    fn own(message: impl Into<String>) -> Self {
        Self { code: SOFTWARE, message: message.into() }
    }

    fn config(faults: &[Fault]) -> Self {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Self { code: BAD_CONFIG, message: lines.join("\n") }
    }
}

type Answer = Result<u8, Failure>;

/// Reads the arguments, does what they say, and returns the exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing is left to do when the terminal is gone.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    match dispatch(cli.command) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("{}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

fn dispatch(command: Command) -> Answer {
    match command {
        Command::Run(args) => run::run(args),
        Command::Check(args) => block_on(check::check(args)),
        Command::Inspect(command) => block_on(inspect::inspect(command)),
        Command::Explain(args) => explain::explain(&args),
        Command::Config(command) => config::config(command),
        Command::Baseline(command) => block_on(baseline::baseline(command)),
        Command::Import(command) => import::import(command),
        Command::Replay(args) => block_on(replay::replay(args)),
        Command::Report(args) => block_on(report::report(args)),
        Command::Store(command) => block_on(store::store(command)),
        Command::Notify(command) => block_on(notify::notify(command)),
        Command::Healthcheck(args) => block_on(healthcheck::healthcheck(args)),
        Command::Completions(args) => completions::completions(&args),
    }
}

/// Runs a short-lived command: logs only what goes wrong, on standard error.
fn block_on(command: impl Future<Output = Answer>) -> Answer {
    logs::start("warn", std::io::stderr().is_terminal());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::own(format!("cannot start: {error}")))?;
    runtime.block_on(command)
}
