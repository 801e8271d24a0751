//! `portalwatch inspect spf`: a domain's record as receivers read it, or what they say of one sender.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Instant;

use clap::Args;
use serde::Serialize;

use super::super::{Answer, Failure, Format, Overrides, print};
use super::{TIMEOUT, tree};
use crate::app;
use crate::clock::{Clock as _, SystemClock};
use crate::formats::dns::Name;
use crate::model::{Cause, CheckId, Finding, Outcome, Timings, Verdict};
use crate::probe::mail::spf::findings::{lines, of_record, of_sender};
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

/// Addresses that no record names: for documentation, of either family.
const NOBODY: [&str; 2] = ["203.0.113.254", "2001:db8:ffff:ffff:ffff:ffff:ffff:fffe"];

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
    let begun = Instant::now();
    let domain = args.domain.without_dot();
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
    let check = async |ip: IpAddr| {
        let from = args.mail_from.clone().unwrap_or_else(|| format!("postmaster@{domain}"));
        let helo = args.helo.as_deref().unwrap_or(&domain);
        let sender = Sender { ip, mail_from: &from, helo, receiver: "unknown", time };
        check_host(&resolver, &sender).await
    };
    let (checked, findings) = match args.ip {
        Some(ip) => {
            let checked = check(ip).await;
            let findings = of_sender(&domain, &ip.to_string(), &checked);
            (checked, findings)
        }
        None => {
            let [v4, v6] = NOBODY.map(|text| text.parse::<IpAddr>());
            let (Ok(v4), Ok(v6)) = (v4, v6) else { return Err(Failure::own("an address of ours is none")) };
            let (v4, v6) = (check(v4).await, check(v6).await);
            let findings = of_record(&domain, &v4, &v6);
            let worse = if v6.lookups > v4.lookups || v6.voids > v4.voids { v6 } else { v4 };
            (worse, findings)
        }
    };
    let outcome = outcome(&domain, &checked, findings, begun)?;
    match args.format {
        Format::Text => print::out(&text(&domain, &checked, &outcome))?,
        format => print::inspection(&outcome, format)?,
    }
    Ok(outcome.verdict.exit_code())
}

fn outcome(
    domain: &str,
    checked: &Checked,
    findings: Vec<Finding>,
    begun: Instant,
) -> Result<Outcome, Failure> {
    let observation = Observation {
        domain,
        result: checked.verdict.as_str(),
        explanation: checked.explanation.as_deref(),
        why: &checked.why,
        lookups: checked.lookups,
        void_lookups: checked.voids,
        trace: vec![&checked.trace],
    };
    let facts =
        serde_json::value::to_raw_value(&observation).map_err(|error| Failure::own(error.to_string()))?;
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
