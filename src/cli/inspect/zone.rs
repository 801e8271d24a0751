//! `portalwatch inspect zone`: a zone at its parent, at every authority and at the resolvers, once.

use std::fmt::Write as _;
use std::net::SocketAddr;

use clap::Args;

use super::super::{Answer, Failure, Format, Overrides, print};
use super::{TIMEOUT, tree};
use crate::app;
use crate::formats::dns::Name;
use crate::model::Outcome;
use crate::probe::dns::{Dns, Facts, Spec, tell};
use crate::probe::probe;

#[derive(Args)]
pub struct ZoneArgs {
    /// The zone
    zone: Name,
    /// A server of the parent zone, instead of walking down from the root (repeatable)
    #[arg(long, value_name = "IP:PORT")]
    parent: Vec<SocketAddr>,
    /// A server of the root, instead of the usual (repeatable)
    #[arg(long, value_name = "IP:PORT")]
    root: Vec<SocketAddr>,
    /// The port of name servers that are found by name
    #[arg(long, value_name = "PORT", default_value_t = 53, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    #[command(flatten)]
    overrides: Overrides,
    /// How to print it
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub async fn inspect(args: ZoneArgs) -> Answer {
    let spec = Spec::of_zone(args.zone.clone(), args.parent, args.root, args.port);
    let target = app::Target {
        timeout: args.overrides.timeout.unwrap_or(TIMEOUT),
        resolvers: args.overrides.resolver.clone(),
        ca_pem: args.overrides.ca_pem()?,
    };
    let check = app::lone_check(probe::<Dns>(spec), target);
    if let Some(problem) = check.probe.validate(&check.scope).first() {
        return Err(Failure::usage(format!("{}: {}", args.zone, problem.message)));
    }
    let around = app::lone_surroundings();
    let outcome = crate::run::pass(&check, &None, &around, true).await.outcome;
    match args.format {
        Format::Text => print::out(&text(&args.zone, &outcome))?,
        format => print::inspection(&outcome, format)?,
    }
    Ok(outcome.verdict.exit_code())
}

fn text(zone: &Name, outcome: &Outcome) -> String {
    let mut text = String::new();
    tree::verdict(&mut text, outcome, &format!("{}  ", zone.without_dot()));
    // Writing to a String cannot fail.
    if let (Some(cause), Some(why)) = (outcome.cause, &outcome.why) {
        let _ = writeln!(text, "    {cause}: {}", print::one_line(why));
    }
    let facts = outcome.facts.as_ref().and_then(|facts| serde_json::from_str::<Facts>(facts.get()).ok());
    for line in facts.iter().flat_map(tell::lines) {
        let _ = writeln!(text, "    {}", print::one_line(&line));
    }
    tree::findings(&mut text, &outcome.findings);
    text.trim_end().to_owned()
}
