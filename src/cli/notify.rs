//! `portalwatch notify test CHANNEL`

use clap::{Args, Subcommand};

use super::{Answer, ConfigPath, Failure, PlainFormat, print};
use crate::app;
use crate::model::Delivery;

#[derive(Subcommand)]
pub enum NotifyCommand {
    /// Send a real test message through one channel
    #[command(
        after_help = "Exit codes: 0 sent, 2 not sent; 64 usage error, or no such channel; 78 bad config"
    )]
    Test(TestArgs),
}

#[derive(Args)]
pub struct TestArgs {
    /// The channel's name in the config
    channel: String,
    #[command(flatten)]
    config: ConfigPath,
    /// How to print it
    #[arg(long, value_enum, default_value = "text")]
    format: PlainFormat,
}

pub async fn notify(command: NotifyCommand) -> Answer {
    let NotifyCommand::Test(args) = command;
    let delivery = match app::notify_test(&args.config.config, &args.channel).await {
        Ok(delivery) => delivery,
        Err(app::TestError::Config(faults)) => return Err(Failure::config(&faults)),
        Err(error @ app::TestError::NoChannel { .. }) => return Err(Failure::usage(error.to_string())),
    };
    let (sent, said) = match delivery {
        Delivery::Sent { answer } => (true, answer),
        Delivery::Retry { why, .. } | Delivery::Dead { why } => (false, why),
    };
    match args.format {
        PlainFormat::Json => {
            print::json(&serde_json::json!({ "channel": args.channel, "sent": sent, "answer": said }))?;
        }
        PlainFormat::Text => {
            let word = if sent { "sent" } else { "NOT sent" };
            print::out(&format!("{}: {word}: {said}", args.channel))?;
        }
    }
    Ok(if sent { 0 } else { 2 })
}
