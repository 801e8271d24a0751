//! `portalwatch inspect mail`, `dmarc`, `dkim` and `mta-sts`: a domain's mail, or a part of it, once.

use std::fmt::Write as _;
use std::net::IpAddr;

use clap::Args;
use owo_colors::{OwoColorize as _, Stream};
use serde::Serialize;
use serde_json::value::to_raw_value;

use super::super::{Answer, Failure, Format, Overrides, print};
use super::{TIMEOUT, tree};
use crate::app;
use crate::formats::dmarc::Policy;
use crate::formats::dns::Name;
use crate::model::{CheckId, Outcome, Verdict};
use crate::probe::mail::rows::rows;
use crate::probe::mail::spec::{Domain, MailFrom, Part, Ports, Selector, SenderSpec};
use crate::probe::mail::verdict::dmarc_walked;
use crate::probe::mail::{Facts, Mail, Spec, tell};
use crate::probe::probe;

#[derive(Args)]
pub struct MailArgs {
    /// The domain in the addresses
    domain: Name,
    /// A selector of its DKIM keys, s= of its signatures (repeatable); none is guessed
    #[arg(long, value_name = "SELECTOR")]
    dkim_selector: Vec<Selector>,
    /// An address that sends for it (repeatable)
    #[arg(long, value_name = "IP")]
    sender: Vec<IpAddr>,
    /// A block list that senders must not be on (repeatable)
    #[arg(long, value_name = "LIST", requires = "sender")]
    dnsbl: Vec<Name>,
    /// It neither sends nor takes mail, and its records have to say so
    #[arg(long, conflicts_with_all = ["dkim_selector", "sender"])]
    parked: bool,
    #[command(flatten)]
    ports: PortArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub struct DmarcArgs {
    /// The domain in the addresses
    domain: Name,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub struct DkimArgs {
    /// The domain that signs
    domain: Name,
    /// A selector, s= of its signatures (repeatable); none is guessed
    #[arg(long = "selector", visible_alias = "dkim-selector", value_name = "SELECTOR", required = true)]
    selectors: Vec<Selector>,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub struct MtaStsArgs {
    /// The domain in the addresses
    domain: Name,
    #[command(flatten)]
    ports: PortArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct PortArgs {
    /// The port of mail exchanges
    #[arg(long, value_name = "PORT", default_value_t = 25, value_parser = clap::value_parser!(u16).range(1..))]
    smtp_port: u16,
    /// The port of the server that has the MTA-STS policy
    #[arg(long, value_name = "PORT", default_value_t = 443, value_parser = clap::value_parser!(u16).range(1..))]
    https_port: u16,
}

#[derive(Args)]
struct Common {
    #[command(flatten)]
    overrides: Overrides,
    /// How to print it
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

impl From<&PortArgs> for Ports {
    fn from(ports: &PortArgs) -> Self {
        Self { smtp: ports.smtp_port, https: ports.https_port }
    }
}

pub async fn mail(args: MailArgs) -> Answer {
    let sender = |ip: &IpAddr| SenderSpec {
        ip: *ip,
        mail_from: MailFrom(format!("postmaster@{}", args.domain.without_dot())),
        helo: None,
        dkim: (!args.dkim_selector.is_empty()).then(|| Domain(args.domain.clone())),
        from: None,
    };
    let spec = Spec {
        dkim_selectors: args.dkim_selector.clone(),
        senders: args.sender.iter().map(sender).collect(),
        dnsbl: args.dnsbl.iter().cloned().map(Domain).collect(),
        parked: args.parked,
        ports: (&args.ports).into(),
        ..Spec::of_domain(args.domain.clone())
    };
    look("mail", spec, args.common, None).await
}

pub async fn dkim(args: DkimArgs) -> Answer {
    let spec =
        Spec { dkim_selectors: args.selectors, only: Some(Part::Dkim), ..Spec::of_domain(args.domain) };
    look("dkim", spec, args.common, None).await
}

pub async fn mta_sts(args: MtaStsArgs) -> Answer {
    let spec = Spec { ports: (&args.ports).into(), only: Some(Part::MtaSts), ..Spec::of_domain(args.domain) };
    look("mta-sts", spec, args.common, None).await
}

pub async fn dmarc(args: DmarcArgs) -> Answer {
    let spec = Spec { only: Some(Part::Dmarc), ..Spec::of_domain(args.domain) };
    look("dmarc", spec, args.common, Some(dmarc_observation)).await
}

/// Shapes what was seen as the observation of its command.
type Shape = fn(&Facts) -> Result<Box<serde_json::value::RawValue>, serde_json::Error>;

async fn look(what: &'static str, spec: Spec, common: Common, shape: Option<Shape>) -> Answer {
    let domain = spec.name();
    let (mut outcome, facts) = pass(what, spec, &common.overrides).await?;
    match common.format {
        Format::Text => print::out(&text(&domain, facts.as_ref(), &outcome))?,
        format => {
            if let (Some(shape), Some(facts)) = (shape, &facts) {
                let shaped = shape(facts).map_err(|error| Failure::own(error.to_string()))?;
                outcome.facts = Some(shaped);
            }
            print::inspection(&outcome, format)?;
        }
    }
    Ok(outcome.verdict.exit_code())
}

/// One look, and what was seen.
pub(super) async fn pass(
    what: &'static str,
    spec: Spec,
    overrides: &Overrides,
) -> Result<(Outcome, Option<Facts>), Failure> {
    let domain = spec.name();
    let target = app::Target {
        timeout: overrides.timeout.unwrap_or(TIMEOUT),
        resolvers: overrides.resolver.clone(),
        ca_pem: overrides.ca_pem()?,
    };
    let check = app::lone_check(probe::<Mail>(spec), target);
    if let Some(problem) = check.probe.validate(&check.scope).first() {
        return Err(Failure::usage(format!("{domain}: {}", problem.message)));
    }
    let around = app::lone_surroundings();
    let mut outcome = crate::run::pass(&check, &None, &around, true).await.outcome;
    outcome.check = CheckId::new("inspect", what);
    let facts = outcome.facts.as_ref().and_then(|facts| serde_json::from_str::<Facts>(facts.get()).ok());
    Ok((outcome, facts))
}

/// What receivers know of a domain's policy.
#[derive(Serialize)]
struct DmarcObservation<'a> {
    domain: &'a str,
    policy_domain: Option<&'a str>,
    organizational_domain: &'a str,
    policy: Option<&'static str>,
    subdomain_policy: Option<&'static str>,
    np: Option<&'static str>,
    testing: Option<bool>,
    /// What is done with mail of the domain itself that fails.
    applied_policy: Option<&'static str>,
    record: Option<&'a str>,
    /// The names that were asked for, in their order.
    asked: Vec<String>,
    facts: &'a Facts,
}

fn dmarc_observation(facts: &Facts) -> Result<Box<serde_json::value::RawValue>, serde_json::Error> {
    let Some(dmarc) = &facts.dmarc else { return to_raw_value(facts) };
    let walked = dmarc_walked(dmarc, &facts.domain);
    let found = walked.policy.as_ref();
    let policies = found.and_then(|(_, _, record)| record.applied());
    let observation = DmarcObservation {
        domain: &facts.domain,
        policy_domain: found.map(|(at, ..)| at.as_str()),
        organizational_domain: &walked.organizational,
        policy: policies.map(|all| all.domain.as_str()),
        subdomain_policy: policies.map(|all| all.subdomain.as_str()),
        np: policies.map(|all| all.nonexistent.as_str()),
        testing: found.map(|(_, _, record)| record.testing),
        applied_policy: walked.applied(&facts.domain, true).map(Policy::as_str),
        record: found.map(|(_, text, _)| text.as_str()),
        asked: walked.asked.iter().map(|at| format!("_dmarc.{at}")).collect(),
        facts,
    };
    to_raw_value(&observation)
}

/// A report: the verdict, a line for each part, what to change, and all that was seen.
fn text(domain: &str, facts: Option<&Facts>, outcome: &Outcome) -> String {
    let mut text = String::new();
    tree::verdict(&mut text, outcome, &format!("{domain}  "));
    // Writing to a String cannot fail.
    if let (Some(cause), Some(why)) = (outcome.cause, &outcome.why) {
        let _ = writeln!(text, "    {cause}: {}", print::one_line(why));
    }
    let Some(facts) = facts else { return text.trim_end().to_owned() };
    for row in rows(facts, &outcome.findings) {
        let word = match row.verdict {
            Some(verdict) => shown(verdict),
            None => "-      ".to_owned(),
        };
        let _ = writeln!(text, "    {word} {:<8} {}", row.part, print::one_line(&row.line));
    }
    tree::findings(&mut text, &outcome.findings);
    let _ = writeln!(text, "\nSeen:");
    for line in tell::lines(facts) {
        let _ = writeln!(text, "    {}", print::one_line(&line));
    }
    text.trim_end().to_owned()
}

/// A verdict in its colour, as wide as the longest.
fn shown(verdict: Verdict) -> String {
    let word = format!("{:<7}", verdict.as_str());
    word.if_supports_color(Stream::Stdout, |word| word.style(print::style(verdict))).to_string()
}
