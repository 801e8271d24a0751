//! What is printed for people.

use super::choose::Choice;
use crate::cli::print::one_line;
use crate::model::{Baseline, CheckId, Decision};
use crate::probe::{Standing, Watched};

/// A check and all it compares; of what is as it should be the values alone.
pub fn check(id: &CheckId, watched: &[Watched], differing: bool) -> String {
    let mut lines = vec![id.to_string()];
    if watched.is_empty() {
        let words = if differing { "all is as it should be" } else { "nothing is compared" };
        lines.push(format!("    {words}"));
    }
    let width = watched.iter().map(|one| one.key.chars().count()).max().unwrap_or_default().min(60);
    for one in watched {
        let since = one.since.map(|since| format!(" since {since:.0}")).unwrap_or_default();
        let note = if one.note.is_empty() { String::new() } else { format!("; {}", one_line(&one.note)) };
        lines.push(format!("    {:<width$}  {}{since}{note}", one_line(&one.key), one.standing.as_str()));
        lines.extend(values(one).into_iter().map(|line| format!("        {}", one_line(&line))));
    }
    lines.join("\n")
}

/// What is, or how it differs from what should be.
fn values(one: &Watched) -> Vec<String> {
    let present = one.present.as_deref();
    match (&one.baseline, present) {
        (Some(before), Some(present)) if !one.declared && before.as_slice() != present => {
            diff(before, present)
        }
        (Some(before), Some(present)) if one.declared && one.standing == Standing::Drifted => {
            let lines = before.iter().map(|line| format!("- {line}"));
            lines.chain(present.iter().map(|line| format!("+ {line}"))).collect()
        }
        (Some(before), None) => listed(before),
        (_, Some(present)) => listed(present),
        (None, None) => Vec::new(),
    }
}

fn listed(values: &[String]) -> Vec<String> {
    if values.is_empty() { vec!["does not exist".to_owned()] } else { values.to_vec() }
}

fn diff(before: &[String], after: &[String]) -> Vec<String> {
    let gone = before.iter().filter(|value| !after.contains(value)).map(|value| format!("- {value}"));
    let new = after.iter().filter(|value| !before.contains(value)).map(|value| format!("+ {value}"));
    gone.chain(new).collect()
}

/// What was decided just now.
pub fn decided(id: &CheckId, choices: &[Choice], decision: Decision) -> String {
    let mut lines = vec![format!("{id}: {} {}", choices.len(), decision.as_str())];
    for choice in choices {
        lines.push(format!("    {}", one_line(&choice.key)));
        let before = choice.before.as_deref().filter(|before| *before != choice.values);
        let values = match (decision, before) {
            (Decision::Approved, Some(before)) => diff(before, &choice.values),
            _ => listed(&choice.values),
        };
        lines.extend(values.iter().map(|line| format!("        {}", one_line(line))));
    }
    lines.join("\n")
}

/// Who decided what.
pub fn history(id: &CheckId, decisions: &[Baseline]) -> String {
    let mut lines = vec![id.to_string()];
    if decisions.is_empty() {
        lines.push("    nobody decided anything".to_owned());
    }
    for one in decisions {
        let why = if one.why.is_empty() { String::new() } else { format!(": {}", one_line(&one.why)) };
        let what = one.decision.as_str();
        lines.push(format!("    {:.0} {} {what} {}{why}", one.at, one_line(&one.by), one_line(&one.key)));
        lines.extend(listed(&one.values).iter().map(|line| format!("        {}", one_line(line))));
    }
    lines.join("\n")
}
