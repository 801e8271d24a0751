//! `portalwatch inspect spf`: a domain's record as receivers read it, or what they say of one sender.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Instant;

use clap::Args;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::super::{Answer, Failure, Format, Overrides, print};
use super::{TIMEOUT, mail, tree};
use crate::app;
use crate::clock::{Clock as _, SystemClock};
use crate::formats::dns::Name;
use crate::model::{Cause, CheckId, Finding, Outcome, Timings, Verdict};
use crate::probe::mail::Spec;
use crate::probe::mail::spec::Part;
use crate::probe::mail::spf::findings::{lines, of_sender};
use crate::probe::mail::spf::{Checked, Node, OfNet, Sender, Verdict as Spf, check_host};

#[derive(Args)]
pub struct SpfArgs {
    /// The domain
    domain: Name,
    /// What receivers say of mail from this address; without it, the record itself is judged
    #[arg(long, value_name = "IP")]
    ip: Option<IpAddr>,
    /// The sender; postmaster of the domain by default
    #[arg(long, value_name = "ADDRESS", requires = "ip")]
    mail_from: Option<String>,
    /// What the host says in HELO; the domain by default
    #[arg(long, value_name = "NAME", requires = "ip")]
    helo: Option<String>,
    #[command(flatten)]
    overrides: Overrides,
    /// How to print it
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Serialize)]
struct Observation<'a> {
    domain: &'a str,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<&'a str>,
    why: &'a str,
    lookups: usize,
    void_lookups: usize,
    trace: Vec<&'a Node>,
}

pub async fn inspect(args: SpfArgs) -> Answer {
    let domain = args.domain.without_dot();
    let (checked, outcome) = match args.ip {
        Some(ip) => sender(&args, &domain, ip).await?,
        None => record(&args, &domain).await?,
    };
    match args.format {
        Format::Text => print::out(&text(&domain, &checked, &outcome))?,
        format => print::inspection(&outcome, format)?,
    }
    Ok(outcome.verdict.exit_code())
}

/// The record itself, as the check of the domain's mail judges it.
async fn record(args: &SpfArgs, domain: &str) -> Result<(Checked, Outcome), Failure> {
    let spec = Spec { only: Some(Part::Spf), ..Spec::of_domain(args.domain.clone()) };
    let (mut outcome, facts) = mail::pass("spf", spec, &args.overrides).await?;
    let Some(spf) = facts.and_then(|facts| facts.spf) else {
        let why = outcome.why.unwrap_or_else(|| "nothing was looked at".to_owned());
        return Err(Failure::own(why));
    };
    let worse = spf.v6.lookups > spf.v4.lookups || spf.v6.voids > spf.v4.voids;
    let checked = if worse { spf.v6 } else { spf.v4 };
    outcome.facts = Some(observed(domain, &checked)?);
    Ok((checked, outcome))
}

/// What receivers say of one sender.
async fn sender(args: &SpfArgs, domain: &str, ip: IpAddr) -> Result<(Checked, Outcome), Failure> {
    let begun = Instant::now();
    let net = app::plain_net();
    let resolver = OfNet {
        net: &net,
        resolvers: match args.overrides.resolver.as_slice() {
            [] => vec!["system".to_owned()],
            some => some.to_vec(),
        },
        timeout: args.overrides.timeout.unwrap_or(TIMEOUT),
    };
    let time = SystemClock.now().as_second();
    let from = args.mail_from.clone().unwrap_or_else(|| format!("postmaster@{domain}"));
    let helo = args.helo.as_deref().unwrap_or(domain);
    let sender = Sender { ip, mail_from: &from, helo, receiver: "unknown", time };
    let checked = check_host(&resolver, &sender).await;
    let findings = of_sender(domain, &ip.to_string(), &checked);
    let outcome = outcome(domain, &checked, findings, begun)?;
    Ok((checked, outcome))
}

fn observed(domain: &str, checked: &Checked) -> Result<Box<RawValue>, Failure> {
    let observation = Observation {
        domain,
        result: checked.verdict.as_str(),
        explanation: checked.explanation.as_deref(),
        why: &checked.why,
        lookups: checked.lookups,
        void_lookups: checked.voids,
        trace: vec![&checked.trace],
    };
    to_raw_value(&observation).map_err(|error| Failure::own(error.to_string()))
}

fn outcome(
    domain: &str,
    checked: &Checked,
    findings: Vec<Finding>,
    begun: Instant,
) -> Result<Outcome, Failure> {
    let facts = observed(domain, checked)?;
    let unknown = checked.verdict == Spf::TempError;
    Ok(Outcome {
        check: CheckId::new("inspect", "spf"),
        at: SystemClock.now(),
        took: begun.elapsed(),
        verdict: if unknown { Verdict::Unknown } else { Verdict::of(&findings) },
        cause: unknown.then_some(Cause::LocalDns),
        why: unknown.then(|| checked.why.clone()),
        findings,
        status: None,
        timings: Timings::default(),
        steps: Vec::new(),
        facts: Some(facts),
        transport: false,
        recheck: false,
    })
}

fn text(domain: &str, checked: &Checked, outcome: &Outcome) -> String {
    let mut text = String::new();
    tree::verdict(&mut text, outcome, &format!("{domain}  "));
    // Writing to a String cannot fail.
    let _ = writeln!(text, "    {}: {}", checked.verdict.as_str(), print::one_line(&checked.why));
    let _ = writeln!(text, "    {} of 10 lookups, {} of 2 without an answer", checked.lookups, checked.voids);
    if let Some(explanation) = &checked.explanation {
        let _ = writeln!(text, "    explained as: {}", print::one_line(explanation));
    }
    for line in lines(&checked.trace) {
        let _ = writeln!(text, "    {}", print::one_line(&line));
    }
    tree::findings(&mut text, &outcome.findings);
    text.trim_end().to_owned()
}
