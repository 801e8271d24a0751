//! `portalwatch inspect chain`: a chain of certificates from files, judged at any instant.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use jiff::Timestamp;

use super::super::{Answer, Failure, Format, print};
use super::tree;
use crate::clock::{Clock as _, SystemClock};
use crate::formats::x509::pem::{self, Block};
use crate::formats::x509::{Certificate, Crl};
use crate::model::{CheckId, Outcome, Timings, Verdict};
use crate::probe::certificate::judge::{Anchors, Judged, Purpose, Question, Wanted, judge_encoded};

#[derive(Args)]
pub struct ChainArgs {
    /// The certificate; what follows it in the file counts as sent with it
    #[arg(long, value_name = "PEM")]
    leaf: PathBuf,
    /// Certificates sent with it, in their order (repeatable)
    #[arg(long, value_name = "PEM")]
    intermediate: Vec<PathBuf>,
    /// Trusted roots; nothing else is trusted (repeatable)
    #[arg(long, value_name = "PEM", required = true)]
    root: Vec<PathBuf>,
    /// Revocation lists; without one of its authority a certificate is not looked up (repeatable)
    #[arg(long, value_name = "PEM")]
    crl: Vec<PathBuf>,
    /// The host name or IP address it must be for; with --client a mailbox, too. Without it the name
    /// is not judged
    #[arg(long, value_name = "HOST", value_parser = Wanted::parse)]
    name: Option<Wanted>,
    /// Judge it as the certificate of a TLS client, not of a server
    #[arg(long)]
    client: bool,
    /// At most so many intermediate certificates, self-issued ones not counted
    #[arg(long, value_name = "N")]
    max_depth: Option<usize>,
    /// Judge as of this instant
    #[arg(long, value_name = "RFC3339")]
    at: Option<Timestamp>,
    /// How to print it
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub fn inspect(args: &ChainArgs) -> Answer {
    let begun = Instant::now();
    if !args.client
        && let Some(Wanted::Mailbox(mailbox)) = &args.name
    {
        return Err(Failure::usage(format!(
            "--name {mailbox}: a server is no mailbox; --client judges a client"
        )));
    }
    let at = args.at.unwrap_or_else(|| SystemClock.now());
    let mut leaf = certificates("--leaf", &args.leaf)?.into_iter().map(|block| block.bytes);
    let Some(first) = leaf.next() else {
        return Err(Failure::usage(format!("--leaf {}: holds no PEM certificate", args.leaf.display())));
    };
    let mut sent: Vec<Vec<u8>> = leaf.collect();
    for path in &args.intermediate {
        sent.extend(certificates("--intermediate", path)?.into_iter().map(|block| block.bytes));
    }
    let (anchors, crls) = (anchors(&args.root)?, crls(&args.crl)?);
    let judged = judge_encoded(&Question {
        leaf: &first,
        sent: &sent,
        anchors: &anchors,
        crls: &crls,
        purpose: if args.client { Purpose::Client } else { Purpose::Server },
        name: args.name.as_ref(),
        at: at.as_second(),
        max_depth: args.max_depth,
    });
    let outcome = outcome(&judged, at, begun)?;
    match args.format {
        Format::Text => print::out(&text(&judged, &outcome, args.name.as_ref()))?,
        format => print::inspection(&outcome, format)?,
    }
    Ok(outcome.verdict.exit_code())
}

/// The longest file that is read, in bytes.
const LONGEST: u64 = 128 << 20;

fn blocks(option: &str, path: &Path, label: &str) -> Result<Vec<Block>, Failure> {
    let fault = |why: String| Failure::usage(format!("{option} {}: {why}", path.display()));
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| fault(error.to_string()))?;
    let read = file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(|error| fault(error.to_string()))?;
    if read as u64 > LONGEST {
        return Err(fault("is longer than 128 MiB".to_owned()));
    }
    let text = String::from_utf8_lossy(&bytes);
    let mut blocks = pem::blocks(&text).map_err(|error| fault(error.to_string()))?;
    blocks.retain(|block| block.label == label);
    if blocks.is_empty() {
        return Err(fault(format!("holds no PEM block {label:?}")));
    }
    Ok(blocks)
}

fn certificates(option: &str, path: &Path) -> Result<Vec<Block>, Failure> {
    blocks(option, path, "CERTIFICATE")
}

fn anchors(paths: &[PathBuf]) -> Result<Anchors, Failure> {
    let mut roots = Vec::new();
    for path in paths {
        for block in certificates("--root", path)? {
            roots.push(
                Certificate::parse(&block.bytes).map_err(|error| at_block("--root", path, &block, &error))?,
            );
        }
    }
    Ok(Anchors::of(roots))
}

fn crls(paths: &[PathBuf]) -> Result<Vec<Crl>, Failure> {
    let mut crls = Vec::new();
    for path in paths {
        for block in blocks("--crl", path, "X509 CRL")? {
            crls.push(Crl::parse(&block.bytes).map_err(|error| at_block("--crl", path, &block, &error))?);
        }
    }
    Ok(crls)
}

fn at_block(option: &str, path: &Path, block: &Block, error: &dyn std::error::Error) -> Failure {
    Failure::usage(format!("{option} {}: line {}: {error}", path.display(), block.line))
}

fn outcome(judged: &Judged, at: Timestamp, begun: Instant) -> Result<Outcome, Failure> {
    let facts = serde_json::value::to_raw_value(judged).map_err(|error| Failure::own(error.to_string()))?;
    Ok(Outcome {
        check: CheckId::new("inspect", "chain"),
        at,
        took: begun.elapsed(),
        verdict: Verdict::of(&judged.findings),
        cause: None,
        why: None,
        findings: judged.findings.clone(),
        status: None,
        timings: Timings::default(),
        steps: Vec::new(),
        facts: Some(facts),
        transport: false,
        recheck: false,
    })
}

/// The verdict, the chain as a tree, what is wrong and what to do.
fn text(judged: &Judged, outcome: &Outcome, name: Option<&Wanted>) -> String {
    let mut text = String::new();
    tree::verdict(&mut text, outcome, "");
    let name = name.map(ToString::to_string);
    // Writing to a String cannot fail.
    let _ = writeln!(text, "    trust: {}", tree::trust(judged.trust));
    let _ = writeln!(text, "    name: {}", tree::name(judged.name_matches, name.as_deref()));
    let _ = writeln!(text, "    browsers: {}", tree::accepts(judged.browser.accepts));
    let _ = writeln!(text, "    strict clients: {}", tree::accepts(judged.valid));
    for link in &judged.chain {
        tree::link(&mut text, link, "");
    }
    tree::findings(&mut text, &judged.findings);
    text.trim_end().to_owned()
}
