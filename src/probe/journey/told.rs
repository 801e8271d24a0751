//! What a run saw, in lines for people.

use super::cookies::CookieSeen;
use super::facts::{Facts, NotWritten, StepFacts, SweepEnd, Written};
use super::verdict::sentence;

/// What a run saw, step by step.
pub fn lines(facts: &Facts) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(held) = &facts.held {
        lines.push(format!("nothing was sent before {}: {}", held.until, held.why));
    }
    if !facts.run.is_empty() {
        lines.push(format!("run {}", facts.run));
    }
    if let Some(seen) = &facts.authorize {
        step(&mut lines, "before the first step", seen);
    }
    for (index, seen) in facts.steps.iter().enumerate() {
        step(&mut lines, &format!("step {}", index + 1), seen);
    }
    for seen in &facts.cleanup {
        step(&mut lines, "removal", seen);
    }
    lines.extend(facts.written.iter().map(written));
    lines.extend(facts.not_written.iter().map(not_written));
    for swept in &facts.swept {
        lines.push(format!("run {} of {}: {}", swept.run, swept.entered, sweep(&swept.end)));
    }
    if let Some(out) = &facts.sign_out {
        step(&mut lines, "at the end", &out.step);
        lines.extend(
            out.still_opens
                .iter()
                .map(|(page, status)| format!("    the old session still opens {page} (status {status})")),
        );
        lines.extend(
            out.unproven.iter().map(|why| format!("    not known whether the session is dead: {why}")),
        );
    }
    lines.extend(facts.cookies.iter().map(cookie));
    lines.extend(facts.refused.iter().map(|refused| format!("refused at {}: {}", refused.step, refused.why)));
    lines.extend(facts.blocked.iter().map(|blocked| format!("blocked at {}: {}", blocked.step, blocked.why)));
    lines.extend(facts.our_side.iter().map(|skipped| format!("our own side failed: {}", skipped.why)));
    lines
}

/// `step 2, sign in: submit login, 200 in 12 ms, 152 bytes from https://…; captured csrf`
fn step(lines: &mut Vec<String>, place: &str, seen: &StepFacts) {
    let mut line = format!("{place}, {}: {}", seen.name, seen.request);
    if let Some(why) = &seen.left_out {
        lines.push(format!("{line}, left out ({why})"));
        return;
    }
    if seen.requests > 0 {
        let status = seen.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        line.push_str(&format!(", {status} in {:.0} ms", seen.took * 1_000.0));
    }
    if seen.requests > 1 {
        line.push_str(&format!(" and {} requests", seen.requests));
    }
    if let Some(size) = seen.size {
        line.push_str(&format!(", {size} bytes"));
    }
    if !seen.final_url.is_empty() {
        line.push_str(&format!(" from {}", seen.final_url));
    }
    if !seen.captured.is_empty() {
        line.push_str(&format!("; captured {}", seen.captured.join(", ")));
    }
    lines.push(line);
    lines.extend(seen.redirects.iter().map(|hop| format!("    redirected by {} to {}", hop.status, hop.to)));
    if let Some(trouble) = &seen.trouble {
        let word = if seen.optional { "failed, which the journey bears" } else { "failed" };
        lines.push(format!("    {word}: {}", sentence(trouble, seen)));
    }
}

fn written(written: &Written) -> String {
    match written {
        Written::Cleaned => "what the run wrote is cleaned up".to_owned(),
        Written::LeftBehind(why) => format!("what the run wrote may still be there: {why}"),
        Written::NotNoted(why) => format!("what the run wrote is cleaned up, but that is not noted: {why}"),
    }
}

fn not_written(why: &NotWritten) -> String {
    let why = match why {
        NotWritten::ByHand => "a run by hand writes only with --write".to_owned(),
        NotWritten::NoLedger(why) => format!("there is no ledger of writes: {why}"),
        NotWritten::Spent { written } => format!("{written} writes in 24 hours are all that may be"),
        NotWritten::Unswept { run } => format!("what run {run} wrote has to be swept first"),
        NotWritten::Busy { run } => format!("run {run} is writing or being swept"),
    };
    format!("nothing was written: {why}")
}

fn sweep(end: &SweepEnd) -> String {
    match end {
        SweepEnd::Removed(count) => format!("{count} found and removed"),
        SweepEnd::Absent => "nothing of it was there".to_owned(),
        SweepEnd::Waiting => "the next try has to wait".to_owned(),
        SweepEnd::Failed(why) => format!("the sweep failed: {why}"),
        SweepEnd::NotTried(why) | SweepEnd::Later(why) => format!("not swept: {why}"),
    }
}

/// `cookie sid of h.example, path /: HttpOnly, no Secure, no SameSite`
fn cookie(seen: &CookieSeen) -> String {
    let mut line = format!("cookie {} of {}", seen.name, seen.host);
    if !seen.path.is_empty() {
        line.push_str(&format!(", path {}", seen.path));
    }
    let flag = |set: bool, name: &str| if set { name.to_owned() } else { format!("no {name}") };
    let same_site =
        seen.same_site.as_ref().map_or_else(|| "no SameSite".to_owned(), |site| format!("SameSite={site}"));
    line.push_str(&format!(
        ": {}, {}, {same_site}",
        flag(seen.secure, "Secure"),
        flag(seen.http_only, "HttpOnly")
    ));
    for (holds, word) in [(seen.persistent, "persistent"), (seen.deleted, "deleted")] {
        if holds {
            line.push_str(&format!(", {word}"));
        }
    }
    if let Some(why) = &seen.refused {
        line.push_str(&format!(", refused: {why}"));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::journey::facts::Trouble;
    use crate::probe::web::facts::Hop;

    #[test]
    fn a_run_reads_as_one_line_a_step_with_what_went_wrong_below_it() {
        let hop = Hop { status: 302, to: "https://h.example/dashboard".to_owned() };
        let good = StepFacts {
            name: "sign in".to_owned(),
            request: "submit login".to_owned(),
            status: Some(200),
            final_url: "https://h.example/dashboard".to_owned(),
            redirects: vec![hop],
            took: 0.0124,
            requests: 1,
            size: Some(18),
            captured: vec!["csrf".to_owned()],
            ..StepFacts::default()
        };
        let bad = StepFacts {
            name: "look".to_owned(),
            request: "GET /work".to_owned(),
            status: Some(502),
            took: 1.0,
            requests: 2,
            trouble: Some(Trouble::Status { expected: "200".to_owned() }),
            ..StepFacts::default()
        };
        let facts = Facts { run: "pw-x".to_owned(), steps: vec![good, bad], ..Facts::default() };
        assert_eq!(
            lines(&facts),
            [
                "run pw-x",
                "step 1, sign in: submit login, 200 in 12 ms, 18 bytes from https://h.example/dashboard; captured csrf",
                "    redirected by 302 to https://h.example/dashboard",
                "step 2, look: GET /work, 502 in 1000 ms and 2 requests",
                "    failed: answered 502, expected 200",
            ]
        );
    }
}
