//! `portalwatch import har FILE`: a recorded sign-in becomes a draft of a journey.

mod body;
mod build;
mod draft;
mod html;
mod pick;
mod secrets;
mod session;
mod sources;
#[cfg(test)]
mod tests;
mod typed;
mod value;
mod words;
mod write;
mod writes;

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use url::Url;

use super::{Answer, Failure, print};
use crate::formats::har::{self, Har};

/// Exit codes of the import.
const IMPORTED: &str = "Exit codes: 0 done; 64 usage error, or the file is no recording that can be used; 70 an error of portalwatch's own";

#[derive(Subcommand)]
pub enum ImportCommand {
    /// Turn what a browser recorded (HAR) into a draft of a journey
    ///
    /// Record in a private window, from before the sign-in: open the network tab, keep the log, sign in,
    /// do what should be watched, sign out, "Save all as HAR" (in Chrome with sensitive data). The file
    /// holds your password and your session: delete it afterwards. The draft holds neither.
    #[command(after_help = IMPORTED)]
    Har(HarArgs),
}

#[derive(Args)]
pub struct HarArgs {
    /// The recording
    file: PathBuf,
    /// What to call the portal; made of its host if not given
    #[arg(long, value_parser = name)]
    portal: Option<String>,
    /// What to call the check
    #[arg(long, value_name = "CHECK", value_parser = name)]
    name: Option<String>,
    /// The portal's address; the first page's if not given
    #[arg(long, value_name = "URL", value_parser = origin)]
    origin: Option<Url>,
    /// Write the draft into a new file instead of standard output
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
}

fn name(text: &str) -> Result<String, String> {
    let first = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if first && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
        return Ok(text.to_owned());
    }
    Err("names are lower-case letters, digits and dashes, and start with a letter or digit".to_owned())
}

fn origin(text: &str) -> Result<Url, String> {
    let url =
        Url::parse(text).map_err(|error| format!("{error}; write it as in https://portal.acme.example"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must start with https:// or http://".to_owned());
    }
    Ok(pick::only_origin(&url))
}

pub fn import(command: ImportCommand) -> Answer {
    let ImportCommand::Har(args) = command;
    let about = |error: &dyn std::fmt::Display| Failure::usage(format!("{}: {error}", args.file.display()));
    let bytes = read(&args.file).map_err(|error| about(&error))?;
    let har = har::parse(&bytes).map_err(|error| about(&error))?;
    let names = build::Names { portal: args.portal, check: args.name };
    let made = draft(&har, args.origin.as_ref(), names).ok_or_else(|| {
        about(&"holds no page and no JSON that was answered; record a sign-in with the network tab open from the start")
    })?;
    match &args.output {
        None => print::out(made.yaml.trim_end())?,
        Some(path) => save(path, &made.yaml)?,
    }
    eprintln!("{}", made.summary);
    Ok(0)
}

/// Reads at most one byte more than a recording may have.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(har::LARGEST as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn save(path: &Path, yaml: &str) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = file.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::usage(format!("{} is there already; name a new file, or remove it", path.display()))
        }
        _ => Failure::usage(format!("{}: {error}", path.display())),
    })?;
    file.write_all(yaml.as_bytes()).map_err(|error| Failure::own(format!("{}: {error}", path.display())))
}

/// What came of a recording.
struct Made {
    yaml: String,
    /// For the terminal.
    summary: String,
}

/// The whole way from a recording to the text; pure.
fn draft(har: &Har, origin: Option<&Url>, names: build::Names) -> Option<Made> {
    let picked = pick::pick(har, origin)?;
    let typed = typed::Typed::find(&picked.steps);
    let secrets = typed::secrets(har, &typed);
    let draft = build::draft(&picked, typed, names);
    let yaml = write::write(&draft, &secrets, &about(&picked, har.log.entries.len()));
    let looks = yaml.matches("# look at this: ").count();
    let summary = format!(
        "{} steps from {} requests; {looks} places say \"look at this\". The recording holds your password and session: delete it.",
        draft.steps.len(),
        har.log.entries.len()
    );
    Some(Made { yaml, summary })
}

/// What stands on top of the draft.
fn about(picked: &pick::Picked<'_>, requests: usize) -> Vec<String> {
    let mut lines = vec![
        "Draft of a journey, made from a recording by `portalwatch import har`. What was guessed says \"look at this\"; try it with `portalwatch check`.".to_owned(),
        format!("{} of {requests} requests are steps or parts of one.", picked.steps.len()),
    ];
    for (reason, count) in &picked.dropped {
        lines.push(format!("Left out: {count} × {}", reason.what()));
    }
    if !picked.third_parties.is_empty() {
        let hosts: Vec<&str> = picked.third_parties.iter().take(8).map(String::as_str).collect();
        let more = picked.third_parties.len().saturating_sub(hosts.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        lines.push(format!("Other sites: {}{more}", hosts.join(", ")));
    }
    lines
}
