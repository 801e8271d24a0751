//! `portalwatch inspect cert`: the certificates and the TLS of one host, at every address.

mod text;

use std::io::IsTerminal as _;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde_json::value::RawValue;

use super::super::{Answer, Failure, Format, Overrides, print};
use super::TIMEOUT;
use crate::app;
use crate::model::{Host, Outcome, Verdict};
use crate::plan::PlannedCheck;
use crate::probe::certificate::report::{Observation, observation};
use crate::probe::certificate::spec::{Profile, Spec, Starttls};
use crate::probe::certificate::{CertificateKind, Facts};
use crate::probe::probe;
use crate::probe::web::scalars::Connect;

#[derive(Args)]
pub struct CertArgs {
    /// The host; or a URL, of which host and port are taken. The port is 443, or that of --starttls,
    /// unless it is given
    #[arg(value_name = "HOST[:PORT]", value_parser = target)]
    target: Host,
    /// Connect there instead of where the name resolves to
    #[arg(long, value_name = "IP:PORT", value_parser = Connect::new)]
    connect: Option<Connect>,
    /// What is spoken before TLS begins
    #[arg(long, value_name = "PROTOCOL", value_enum)]
    starttls: Option<StarttlsArg>,
    /// Ask for this name and verify it, instead of the host's
    #[arg(long, value_name = "NAME", value_parser = server_name)]
    server_name: Option<Host>,
    /// Mozilla's guideline that versions, suites and groups are held to; off: do not find out which
    /// are accepted, which takes 40 to 80 connections for each address
    #[arg(long, value_enum, default_value = "intermediate")]
    profile: ProfileArg,
    /// Do not fetch revocation lists and missing issuers from where certificates say
    #[arg(long)]
    no_fetch: bool,
    /// Do not look at redirects from plain HTTP, HSTS and pages
    #[arg(long)]
    no_web: bool,
    /// Do not look at CAA, TLSA and HTTPS records
    #[arg(long)]
    no_dns: bool,
    #[command(flatten)]
    overrides: Overrides,
    /// Judge what is seen now as of this instant
    #[arg(long, value_name = "RFC3339")]
    at: Option<Timestamp>,
    /// How to print it
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum StarttlsArg {
    Smtp,
    Imap,
    Pop3,
    Ftp,
    Postgres,
    Ldap,
    Xmpp,
    Mysql,
}

impl From<StarttlsArg> for Starttls {
    fn from(arg: StarttlsArg) -> Self {
        match arg {
            StarttlsArg::Smtp => Self::Smtp,
            StarttlsArg::Imap => Self::Imap,
            StarttlsArg::Pop3 => Self::Pop3,
            StarttlsArg::Ftp => Self::Ftp,
            StarttlsArg::Postgres => Self::Postgres,
            StarttlsArg::Ldap => Self::Ldap,
            StarttlsArg::Xmpp => Self::Xmpp,
            StarttlsArg::Mysql => Self::Mysql,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum ProfileArg {
    /// TLS 1.3 alone
    Modern,
    /// TLS 1.3 and 1.2
    Intermediate,
    /// Down to TLS 1.0, for very old clients
    Old,
    /// None
    Off,
}

impl From<ProfileArg> for Profile {
    fn from(arg: ProfileArg) -> Self {
        match arg {
            ProfileArg::Modern => Self::Modern,
            ProfileArg::Intermediate => Self::Intermediate,
            ProfileArg::Old => Self::Old,
            ProfileArg::Off => Self::Off,
        }
    }
}

/// Schemes of which TLS begins with the connection, and their ports.
const SCHEMES: &[(&str, u16)] = &[
    ("https", 443),
    ("http", 443),
    ("wss", 443),
    ("smtps", 465),
    ("ldaps", 636),
    ("ftps", 990),
    ("imaps", 993),
    ("pop3s", 995),
];

fn target(text: &str) -> Result<Host, String> {
    if !text.contains("://") {
        return Host::parse(text);
    }
    let url = url::Url::parse(text).map_err(|error| error.to_string())?;
    let mut host = Host::parse(url.host_str().ok_or("the URL names no host")?)?;
    let usual = SCHEMES.iter().find(|(scheme, _)| *scheme == url.scheme()).map(|(_, port)| *port);
    host.port = url.port().or(usual.filter(|port| *port != 443));
    if host.port.is_none() && usual.is_none() {
        return Err(format!("the port of {}:// is not known; write HOST:PORT", url.scheme()));
    }
    Ok(host)
}

fn server_name(text: &str) -> Result<Host, String> {
    let host = Host::parse(text)?;
    if host.port.is_some() { Err("a name has no port here".to_owned()) } else { Ok(host) }
}

impl CertArgs {
    fn spec(&self) -> Spec {
        Spec {
            hosts: vec![self.target.clone()],
            starttls: self.starttls.map(Starttls::from),
            server_name: self.server_name.clone(),
            connect_to: self.connect.clone(),
            profile: self.profile.into(),
            fetch: !self.no_fetch,
            dns: !self.no_dns,
            web: !self.no_web,
            ..Spec::default()
        }
    }
}

pub async fn inspect(args: CertArgs) -> Answer {
    let target = app::Target {
        timeout: args.overrides.timeout.unwrap_or(TIMEOUT),
        resolvers: args.overrides.resolver.clone(),
        ca_pem: args.overrides.ca_pem()?,
    };
    let check = app::lone_check(probe::<CertificateKind>(args.spec()), target);
    if let Some(problem) = check.probe.validate(&check.scope).first() {
        return Err(Failure::usage(format!("{}: {}", args.target, problem.message)));
    }
    let around = app::lone_surroundings();
    let progress = progress(&args.target);
    let mut outcome = crate::run::pass(&check, &None, &around, true).await.outcome;
    progress.finish_and_clear();
    if let Some(at) = args.at {
        judge_as_of(&mut outcome, &check, at)?;
    }
    let seen = seen(&outcome)?;
    match args.format {
        Format::Text => print::out(&text::text(&outcome, seen.as_ref(), &args.target))?,
        format => {
            outcome.facts = seen.map(|seen| written(&seen)).transpose()?;
            print::inspection(&outcome, format)?;
        }
    }
    Ok(outcome.verdict.exit_code())
}

/// To find out what a far server accepts takes some seconds; on a terminal something moves meanwhile.
fn progress(target: &Host) -> indicatif::ProgressBar {
    if !std::io::stderr().is_terminal() {
        return indicatif::ProgressBar::hidden();
    }
    let progress = indicatif::ProgressBar::new_spinner().with_message(format!("looking at {target}"));
    progress.enable_steady_tick(std::time::Duration::from_millis(100));
    progress
}

/// Only what is thought is of another instant; what was seen keeps its time.
fn judge_as_of(outcome: &mut Outcome, check: &PlannedCheck, at: Timestamp) -> Result<(), Failure> {
    outcome.at = at;
    let Some(facts) = outcome.facts.as_ref().filter(|facts| !is_null(facts)) else { return Ok(()) };
    let findings = check.probe.rejudge(facts, &None, at);
    outcome.findings = findings.map_err(|error| Failure::own(error.to_string()))?;
    outcome
        .findings
        .sort_by_key(|finding| std::cmp::Reverse((finding.measured, finding.broken, finding.severity)));
    if outcome.cause.is_none() {
        outcome.verdict = Verdict::of(&outcome.findings);
    }
    Ok(())
}

/// A run that was cut off has no facts.
fn is_null(facts: &RawValue) -> bool {
    facts.get() == RawValue::NULL.get()
}

fn seen(outcome: &Outcome) -> Result<Option<Observation>, Failure> {
    let Some(facts) = outcome.facts.as_ref().filter(|facts| !is_null(facts)) else { return Ok(None) };
    let facts: Facts = serde_json::from_str(facts.get()).map_err(|error| Failure::own(error.to_string()))?;
    Ok(Some(observation(&facts, outcome.at)))
}

fn written(seen: &Observation) -> Result<Box<RawValue>, Failure> {
    serde_json::value::to_raw_value(seen).map_err(|error| Failure::own(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        target(text).map_or_else(|error| format!("wrong: {error}"), |host| host.to_string())
    }

    #[test]
    fn a_target_is_a_host_or_what_stands_in_the_address_bar() {
        for (text, expected) in [
            ("portal.example", "portal.example"),
            ("portal.example:8443", "portal.example:8443"),
            ("[2001:db8::1]:8443", "[2001:db8::1]:8443"),
            ("https://portal.example/login?next=/", "portal.example"),
            ("https://portal.example:8443/", "portal.example:8443"),
            ("http://portal.example/", "portal.example"),
            ("https://[2001:db8::1]/", "2001:db8::1"),
            ("smtps://mail.example", "mail.example:465"),
            ("imaps://mail.example:1993", "mail.example:1993"),
            ("amqps://mq.example:5671", "mq.example:5671"),
            ("amqps://mq.example", "wrong: the port of amqps:// is not known; write HOST:PORT"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        for text in ["", "a b", "https://", "portal.example/login", "mailto://"] {
            assert!(read(text).starts_with("wrong: "), "{text}");
        }
    }
}
