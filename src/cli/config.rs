//! `portalwatch config validate | show | schema`

use clap::{Args, Subcommand};

use super::{Answer, BAD_CONFIG, ConfigPath, Failure, PlainFormat, print};
use crate::app;

#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Report everything that is wrong with the config
    #[command(after_help = super::DONE)]
    Validate(PrintArgs),
    /// Print the effective config, secrets masked
    #[command(after_help = super::DONE)]
    Show(PrintArgs),
    /// Print the JSON Schema of the config, for editors
    Schema,
}

#[derive(Args)]
pub struct PrintArgs {
    #[command(flatten)]
    config: ConfigPath,
    /// How to print it
    #[arg(long, value_enum, default_value = "text")]
    format: PlainFormat,
}

pub fn config(command: ConfigCommand) -> Answer {
    match command {
        ConfigCommand::Validate(args) => validate(&args),
        ConfigCommand::Show(args) => {
            let path = &args.config.config;
            match args.format {
                PlainFormat::Text => {
                    let shown = app::show(path).map_err(|faults| Failure::config(&faults))?;
                    print::out(shown.trim_end())?;
                }
                PlainFormat::Json => {
                    print::json(&app::show_json(path).map_err(|faults| Failure::config(&faults))?)?;
                }
            }
            Ok(0)
        }
        ConfigCommand::Schema => {
            print::json(&app::schema())?;
            Ok(0)
        }
    }
}

fn validate(args: &PrintArgs) -> Answer {
    let built = app::plan(&args.config.config);
    let (faults, warnings, checks) = match &built {
        Ok((plan, ..)) => (Vec::new(), plan.warnings.clone(), plan.checks.len()),
        Err(faults) => (faults.iter().map(ToString::to_string).collect(), Vec::new(), 0),
    };
    match args.format {
        PlainFormat::Json => print::json(
            &serde_json::json!({ "valid": faults.is_empty(), "faults": faults, "warnings": warnings, "checks": checks }),
        )?,
        PlainFormat::Text => {
            for line in faults.iter().chain(&warnings) {
                let word = if faults.is_empty() { "warning: " } else { "" };
                print::out(&format!("{word}{line}"))?;
            }
            if faults.is_empty() {
                print::out(&format!("{}: {checks} checks, no faults", args.config.config.display()))?;
            }
        }
    }
    Ok(if faults.is_empty() { 0 } else { BAD_CONFIG })
}
