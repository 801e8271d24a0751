//! `portalwatch inspect`: one look at anything, no config needed.

mod cert;
mod chain;
mod dns;
mod mail;
mod spf;
mod tree;
mod zone;

use std::time::Duration;

use clap::{Args, Subcommand};

use super::{Answer, Failure, Format, Overrides, print};
use crate::app;
use crate::probe::{http, probe};

#[derive(Subcommand)]
pub enum InspectCommand {
    /// Fetch a URL and show status, redirects, phases, headers and peer
    #[command(after_help = super::JUDGED)]
    Http(HttpArgs),
    /// Look at every address of a host: its certificates, and the TLS around them
    #[command(after_help = super::JUDGED)]
    Cert(Box<cert::CertArgs>),
    /// Ask servers for a record set, each by itself
    #[command(after_help = super::JUDGED)]
    Dns(dns::DnsArgs),
    /// Look at a zone once: its delegation, every authority, the resolvers
    #[command(after_help = super::JUDGED)]
    Zone(zone::ZoneArgs),
    /// Judge a domain's SPF record, or what it says of one sender
    #[command(after_help = super::JUDGED)]
    Spf(spf::SpfArgs),
    /// Look at everything about a domain's mail: SPF, DKIM, DMARC, MX, MTA-STS, TLS-RPT, DANE, BIMI
    #[command(after_help = super::JUDGED)]
    Mail(mail::MailArgs),
    /// Find the DMARC policy of a domain as receivers do, and judge it
    #[command(after_help = super::JUDGED)]
    Dmarc(mail::DmarcArgs),
    /// Judge the keys under a domain's DKIM selectors
    #[command(after_help = super::JUDGED)]
    Dkim(mail::DkimArgs),
    /// Fetch a domain's MTA-STS policy, and hold its mail exchanges to it
    #[command(after_help = super::JUDGED)]
    MtaSts(mail::MtaStsArgs),
    /// Judge a chain of certificates from files, at any instant
    #[command(after_help = super::JUDGED)]
    Chain(chain::ChainArgs),
}

#[derive(Args)]
pub struct HttpArgs {
    /// The URL
    url: String,
    #[command(flatten)]
    overrides: Overrides,
    /// How to print it
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// How long one operation may take unless --timeout says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

pub async fn inspect(command: InspectCommand) -> Answer {
    match command {
        InspectCommand::Http(args) => inspect_http(args).await,
        InspectCommand::Cert(args) => cert::inspect(*args).await,
        InspectCommand::Dns(args) => dns::inspect(args).await,
        InspectCommand::Zone(args) => zone::inspect(args).await,
        InspectCommand::Spf(args) => spf::inspect(args).await,
        InspectCommand::Mail(args) => mail::mail(args).await,
        InspectCommand::Dmarc(args) => mail::dmarc(args).await,
        InspectCommand::Dkim(args) => mail::dkim(args).await,
        InspectCommand::MtaSts(args) => mail::mta_sts(args).await,
        InspectCommand::Chain(args) => chain::inspect(&args),
    }
}

async fn inspect_http(args: HttpArgs) -> Answer {
    let spec = http::inspect_spec(&args.url).map_err(|error| Failure::usage(error.to_string()))?;
    let target = app::Target {
        timeout: args.overrides.timeout.unwrap_or(TIMEOUT),
        resolvers: args.overrides.resolver.clone(),
        ca_pem: args.overrides.ca_pem()?,
    };
    let check = app::lone_check(probe::<http::Http>(spec), target);
    let problems = check.probe.validate(&check.scope);
    if let Some(problem) = problems.first() {
        return Err(Failure::usage(format!("{}: {}", args.url, problem.message)));
    }
    let around = app::lone_surroundings();
    let outcome = crate::run::pass(&check, &None, &around, true).await.outcome;
    print::inspection(&outcome, args.format)?;
    Ok(outcome.verdict.exit_code())
}
