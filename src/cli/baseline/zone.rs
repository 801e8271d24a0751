//! What a zone file says of what a check compares.

use std::collections::BTreeMap;
use std::path::Path;

use super::choose::{Choice, find};
use crate::cli::Failure;
use crate::formats::dns::{Name, RecordType};
use crate::formats::zonefile;
use crate::probe::Watched;

/// The largest file that is read.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// What was found.
pub struct Found {
    /// The sets that the check compares.
    pub chosen: Vec<Choice>,
    /// The others, by name and type.
    pub unwatched: Vec<String>,
}

/// The file's text.
pub fn read(path: &Path) -> Result<String, Failure> {
    let fault = |why: String| Failure::usage(format!("{}: {why}", path.display()));
    let size = std::fs::metadata(path).map_err(|why| fault(why.to_string()))?.len();
    if size > MOST_BYTES {
        return Err(fault(format!("is {size} bytes long, and {MOST_BYTES} are the most that are read")));
    }
    let bytes = std::fs::read(path).map_err(|why| fault(why.to_string()))?;
    String::from_utf8(bytes).map_err(|_| fault("is no text in UTF-8".to_owned()))
}

/// The record sets of a file.
///
/// # Errors
/// Everything that is wrong with the file, by its lines.
pub fn sets(path: &Path, text: &str, origin: Option<&str>, watched: &[Watched]) -> Result<Found, Failure> {
    let origin = origin.map(str::parse::<Name>).transpose();
    let origin = origin.map_err(|why| Failure::usage(format!("--origin: {why}")))?;
    let records = zonefile::parse(text, origin.as_ref()).map_err(|faults| {
        let lines = faults.iter().map(|fault| format!("{}:{}: {}", path.display(), fault.line, fault.why));
        Failure::usage(format!("nothing was approved:\n{}", lines.collect::<Vec<_>>().join("\n")))
    })?;
    let mut sets: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in records.iter().filter(|record| is_compared(record.kind)) {
        let key = format!("{} {}", record.name.to_lowercase(), record.kind);
        sets.entry(key).or_default().push(record.value.clone());
    }
    let mut found = Found { chosen: Vec::new(), unwatched: Vec::new() };
    for (key, mut values) in sets {
        values.sort_unstable();
        values.dedup();
        match find(watched, &key) {
            Some(one) if !one.declared => {
                found.chosen.push(Choice { key: one.key.clone(), before: one.baseline.clone(), values });
            }
            Some(_) => {}
            None => found.unwatched.push(key),
        }
    }
    Ok(found)
}

/// Whoever signs the zone makes these, and the serial changes by itself.
fn is_compared(kind: RecordType) -> bool {
    !matches!(
        kind,
        RecordType::SOA
            | RecordType::RRSIG
            | RecordType::NSEC
            | RecordType::NSEC3
            | RecordType::NSEC3PARAM
            | RecordType::DNSKEY
    )
}
