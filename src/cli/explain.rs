//! `portalwatch explain FINDING-ID`

use clap::Args;

use super::{Answer, Failure, PlainFormat, print};
use crate::model::FindingDoc;
use crate::{alert, probe, run, stats};

#[derive(Args)]
pub struct ExplainArgs {
    /// The finding, such as http.status; without it, all are listed
    id: Option<String>,
    /// How to print it
    #[arg(long, value_enum, default_value = "text")]
    format: PlainFormat,
}

/// Every finding the program can make, in the order of the docs.
pub fn catalogue() -> impl Iterator<Item = &'static FindingDoc> {
    let kinds = probe::kinds().iter().flat_map(|kind| kind.findings);
    kinds.chain(run::FINDINGS).chain(stats::budget::FINDINGS).chain(alert::daemon::FINDINGS)
}

pub fn explain(args: &ExplainArgs) -> Answer {
    let Some(id) = &args.id else {
        return list(args.format);
    };
    let Some(doc) = catalogue().find(|doc| doc.id == id) else {
        let near = catalogue()
            .map(|doc| (strsim::jaro_winkler(doc.id, id), doc.id))
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .filter(|(likeness, _)| *likeness > 0.8)
            .map(|(_, near)| format!(", did you mean {near:?}"))
            .unwrap_or_default();
        return Err(Failure::usage(format!(
            "no finding is called {id:?}{near}? `portalwatch explain` lists them all"
        )));
    };
    match args.format {
        PlainFormat::Json => print::json(&as_json(doc))?,
        PlainFormat::Text => print::out(&as_text(doc))?,
    }
    Ok(0)
}

fn list(format: PlainFormat) -> Answer {
    match format {
        PlainFormat::Json => print::json(&catalogue().map(as_json).collect::<Vec<_>>())?,
        PlainFormat::Text => {
            let lines: Vec<String> =
                catalogue().map(|doc| format!("{:28} {:9} {}", doc.id, doc.severity, doc.meaning)).collect();
            print::out(&lines.join("\n"))?;
        }
    }
    Ok(0)
}

/// A finding's documentation as JSON.
pub fn as_json(doc: &FindingDoc) -> serde_json::Value {
    serde_json::json!({
        "id": doc.id,
        "severity": doc.severity,
        "broken": doc.broken,
        "meaning": doc.meaning,
        "why": doc.why,
        "fix": doc.fix,
        "reference": doc.reference,
    })
}

fn as_text(doc: &FindingDoc) -> String {
    let broken =
        if doc.broken { "users cannot do the thing while it lasts" } else { "users can go on for now" };
    let mut text = format!(
        "{}\n  severity  {} ({broken})\n\nWhat it means\n  {}\n\nWhy it matters\n  {}\n\nHow to fix it\n  {}",
        doc.id, doc.severity, doc.meaning, doc.why, doc.fix
    );
    if let Some(reference) = doc.reference {
        text.push_str("\n\nReference\n  ");
        text.push_str(reference);
    }
    text
}
