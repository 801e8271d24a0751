//! Thinks: facts in, findings out.

use super::docs;
use super::facts::{Facts, NotWritten, StepFacts, SweepEnd, Trouble, Written};
use super::spec::Spec;
use super::step::Shown;
use super::{cookies, transcript};
use crate::model::{Cause, Finding, FindingDoc};
use crate::probe::Unmeasured;
use crate::probe::web::words;

/// Sweeps that fail before a person is told.
const TRIES: u32 = 3;

/// All findings of a run. The first step that fails is the one that is told; what follows from it is
/// not.
pub fn findings(spec: &Spec, facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(refused(spec, facts));
    if facts.blocked.is_none() && findings.is_empty() {
        findings
            .extend(facts.authorize.iter().filter_map(|seen| failing(spec, "before the first step", seen)));
        let failed = facts.steps.iter().enumerate().find(|(_, step)| failed(step) && !step.optional);
        let place = |index| format!("step {} of {}", index + 1, spec.steps.len());
        findings.extend(failed.and_then(|(index, seen)| failing(spec, &place(index), seen)));
    }
    findings.extend(optional(spec, facts));
    findings.extend(left_behind(facts));
    findings.extend(swept(facts));
    findings.extend(not_written(facts));
    findings.extend(signed_out(facts));
    findings.extend(cookies::judge(&facts.cookies, &spec.session_cookies));
    if facts.token_rotated {
        let summary = "the token endpoint gave a new refresh token, which is not kept";
        findings.push(Finding::of(&docs::TOKEN_ROTATED, "access token", summary));
    }
    findings
}

/// Whether the portal failed a step.
const fn failed(seen: &StepFacts) -> bool {
    !matches!(seen.trouble, None | Some(Trouble::OurSide(_)))
}

/// Why the run says nothing of the portal, if so.
pub fn unknown(facts: &Facts) -> Option<Unmeasured> {
    if let Some(skipped) = &facts.our_side {
        return Some(Unmeasured { cause: skipped.cause, why: skipped.why.clone() });
    }
    if let Some(why) = no_ledger(facts) {
        return Some(Unmeasured { cause: Cause::LocalStorage, why });
    }
    if let Some(held) = facts.held.as_ref().filter(|held| !held.refused) {
        let why = format!("not asked again before {}: {}", held.until, held.why);
        return Some(Unmeasured { cause: Cause::Blocked, why });
    }
    let blocked = facts.blocked.as_ref()?;
    Some(Unmeasured { cause: Cause::Blocked, why: format!("{}: {}", blocked.step, blocked.why) })
}

/// What our own ledger did not do, where that is all that went wrong: a step that failed is known.
fn no_ledger(facts: &Facts) -> Option<String> {
    if facts.steps.iter().any(|step| step.trouble.is_some() && !step.optional) {
        return None;
    }
    match (&facts.not_written, &facts.written) {
        (Some(NotWritten::NoLedger(why)), _) => {
            Some(format!("nothing is written without the ledger of writes: {why}"))
        }
        (_, Some(Written::NotNoted(why))) => {
            Some(format!("that the write was cleaned up could not be noted: {why}"))
        }
        _ => None,
    }
}

/// A credential that was refused, in this run or in the one whose guard still holds.
fn refused(spec: &Spec, facts: &Facts) -> Option<Finding> {
    if let Some(held) = facts.held.as_ref().filter(|held| held.refused) {
        let summary = format!("{}; not shown again before {} (lockout_guard)", held.why, held.until);
        let finding = Finding::of(&docs::REFUSED, held.step.as_str(), summary);
        return Some(finding.with("since", held.since.to_string()));
    }
    let (step, why) = refusal(spec, facts)?;
    let mut finding = Finding::of(&docs::REFUSED, step, why);
    let failed = facts.steps.iter().find(|seen| seen.name == step).filter(|seen| seen.trouble.is_some());
    if let Some(seen) = failed {
        finding = with_evidence(finding, spec, seen);
    }
    Some(finding)
}

/// Which step showed a credential that the portal refused, and how it said so. Only an answer refuses;
/// a server error or a silence does not.
pub fn refusal<'a>(spec: &Spec, facts: &'a Facts) -> Option<(&'a str, String)> {
    if let Some(refused) = &facts.refused {
        return Some((&refused.step, format!("the credential was refused: {}", refused.why)));
    }
    if facts.blocked.is_some() {
        return None;
    }
    let (_, seen) =
        facts.steps.iter().enumerate().find(|(index, seen)| refuses(spec, facts, *index, seen))?;
    let trouble = seen.trouble.as_ref()?;
    Some((seen.name.as_str(), format!("the sign-in was refused: {}", sentence(trouble, seen))))
}

/// Whether the answer to a step refuses a credential: one that it shows and no step before showed with
/// success, by anything that is a verdict; one that was accepted before, by 401; the session that a
/// sign-in should have opened, by 401, 403 or the sign-in page.
fn refuses(spec: &Spec, facts: &Facts, index: usize, seen: &StepFacts) -> bool {
    let (Some(trouble), Some(status), Some(step)) = (&seen.trouble, seen.status, spec.steps.get(index))
    else {
        return false;
    };
    let by_status = match trouble {
        Trouble::Status { .. } => true,
        Trouble::Unmet(_) | Trouble::Capture { .. } => false,
        _ => return false,
    };
    if status >= 500 || seen.about_csrf {
        return false;
    }
    let before = spec.steps.iter().zip(&facts.steps).take(index);
    let accepted = before
        .filter(|(_, seen)| seen.requests > 0 && seen.trouble.is_none())
        .fold(Shown::default(), |all, (step, _)| all.and(step.shown()));
    let shown = step.shown();
    if shown.without(accepted).signs_in() {
        return !(by_status && is_of_the_request(status));
    }
    let unauthorized = by_status && status == 401;
    if shown.any() {
        return unauthorized;
    }
    if unauthorized && facts.token_shown {
        return true;
    }
    let no_session =
        matches!(status, 401 | 403) || seen.asks_for_password || returns_to_sign_in(spec, facts, seen);
    no_session && is_first_after_sign_in(spec, facts, index)
}

/// Statuses that are about how the request is made, and say nothing of what it shows.
const fn is_of_the_request(status: u16) -> bool {
    matches!(status, 404..=406 | 408 | 410 | 411 | 413..=415 | 419 | 421 | 425 | 426 | 431)
}

/// Whether nothing between the sign-in and this step was answered as it should be.
fn is_first_after_sign_in(spec: &Spec, facts: &Facts, index: usize) -> bool {
    let Some((_, last)) = spec.signing_in() else { return false };
    let between = facts.steps.get(last + 1..index);
    between.is_some_and(|between| between.iter().all(|seen| seen.requests == 0 || seen.trouble.is_some()))
}

/// Whether a step ended on the page that the sign-in began from.
fn returns_to_sign_in(spec: &Spec, facts: &Facts, seen: &StepFacts) -> bool {
    let path = |url: &str| url::Url::parse(url).ok().map(|url| url.path().to_owned());
    let before = spec.signing_in().and_then(|(first, _)| facts.steps.get(first.checked_sub(1)?));
    let page = before.and_then(|page| path(&page.final_url));
    page.is_some() && page == path(&seen.final_url)
}

fn failing(spec: &Spec, place: &str, seen: &StepFacts) -> Option<Finding> {
    let trouble = seen.trouble.as_ref()?;
    let doc: &'static FindingDoc = match trouble {
        Trouble::Transport(_) => &docs::UNREACHABLE,
        Trouble::Redirect(_) => &docs::REDIRECT,
        Trouble::Status { .. } => &docs::STATUS,
        Trouble::Unmet(_) => &docs::EXPECTATION,
        Trouble::Capture { .. } => &docs::CAPTURE,
        Trouble::NotSent(_) => &docs::NOT_SENT,
        Trouble::Until(_) => &docs::UNTIL,
        Trouble::NoToken(_) => &docs::NO_TOKEN,
        Trouble::OutOfTime => &docs::OUT_OF_TIME,
        Trouble::OurSide(_) => return None,
    };
    let summary = format!("{place}, {}: {}", seen.request, sentence(trouble, seen));
    Some(with_evidence(Finding::of(doc, seen.name.as_str(), summary), spec, seen))
}

/// What went wrong with a step, in one sentence.
pub fn sentence(trouble: &Trouble, seen: &StepFacts) -> String {
    match trouble {
        Trouble::Transport(failure) => words::failure(failure, seen.status),
        Trouble::Redirect(problem) => words::redirect(problem, seen.status),
        Trouble::Status { expected } => {
            let status = seen.status.map_or_else(|| "nothing".to_owned(), |status| status.to_string());
            format!("answered {status}, expected {expected}")
        }
        Trouble::Unmet(unmet) => {
            let size = seen.size.unwrap_or_default();
            let sentences = unmet.iter().map(|found| words::unmet(found, size, &seen.final_url));
            sentences.collect::<Vec<_>>().join("; ")
        }
        Trouble::Capture { name, why } => format!("nothing to capture as {name}: {why}"),
        Trouble::NotSent(why) | Trouble::NoToken(why) | Trouble::Until(why) => why.clone(),
        Trouble::OurSide(skipped) => skipped.why.clone(),
        Trouble::OutOfTime if seen.requests > 0 => {
            "the time of the journey was up before the step was done".to_owned()
        }
        Trouble::OutOfTime => "the time of the journey was up".to_owned(),
    }
}

fn with_evidence(mut finding: Finding, spec: &Spec, seen: &StepFacts) -> Finding {
    finding = finding.with("request", seen.request.as_str());
    if let Some(status) = seen.status {
        finding = finding.with("status", status);
    }
    if seen.requests > 1 {
        finding = finding.with("requests", seen.requests);
    }
    if !seen.final_url.is_empty() {
        finding = finding.with("url", seen.final_url.as_str());
    }
    if !seen.redirects.is_empty() {
        let hops = seen.redirects.iter().map(|hop| format!("{} {}", hop.status, hop.to));
        finding = finding.with("redirects", hops.collect::<Vec<_>>());
    }
    if let Some(transcript) = transcript::of(spec, seen) {
        finding = finding.with(Finding::TRANSCRIPT, transcript);
    }
    finding
}

fn optional<'a>(spec: &'a Spec, facts: &'a Facts) -> impl Iterator<Item = Finding> + 'a {
    // A refusal is told as one.
    let refused = refusal(spec, facts).map(|(step, _)| step);
    let noted = move |step: &&StepFacts| step.optional && failed(step) && Some(step.name.as_str()) != refused;
    facts.steps.iter().filter(noted).filter_map(|seen| {
        let summary = format!("{}: {}", seen.request, sentence(seen.trouble.as_ref()?, seen));
        Some(with_evidence(Finding::of(&docs::OPTIONAL, seen.name.as_str(), summary), spec, seen))
    })
}

fn left_behind(facts: &Facts) -> Option<Finding> {
    let Some(Written::LeftBehind(why)) = &facts.written else { return None };
    let summary = format!("what run {} wrote may still be there: {why}", facts.run);
    Some(Finding::of(&docs::LEFT_BEHIND, "clean-up", summary).with("run", facts.run.as_str()))
}

fn swept(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let gone = |end: &SweepEnd| matches!(end, SweepEnd::Removed(_) | SweepEnd::Absent);
    let done: Vec<_> = facts.swept.iter().filter(|swept| gone(&swept.end)).collect();
    if !done.is_empty() {
        let told = done.iter().map(|swept| match swept.end {
            SweepEnd::Removed(1) => format!("1 thing of run {} was found and removed", swept.run),
            SweepEnd::Removed(count) => format!("{count} things of run {} were found and removed", swept.run),
            _ => format!("nothing of run {} was there", swept.run),
        });
        let summary = told.collect::<Vec<_>>().join("; ");
        findings.push(Finding::of(&docs::SWEPT, "sweep", summary).with("canaries", done.len()));
    }
    for swept in &facts.swept {
        let why = match &swept.end {
            SweepEnd::Failed(why) => why.as_str(),
            SweepEnd::Waiting => "the next try has to wait",
            SweepEnd::NotTried(why) => why.as_str(),
            SweepEnd::Removed(_) | SweepEnd::Absent | SweepEnd::Later(_) => continue,
        };
        let (doc, tries) =
            (if swept.attempts >= TRIES { &docs::ORPHAN } else { &docs::LEFT_BEHIND }, swept.attempts);
        let summary = format!(
            "what run {} wrote at {} may still be there after {tries} {}: {why}",
            swept.run,
            swept.entered,
            if tries == 1 { "try" } else { "tries" }
        );
        findings.push(Finding::of(doc, "sweep", summary).with("run", swept.run.as_str()));
    }
    findings
}

fn not_written(facts: &Facts) -> Option<Finding> {
    let why = match facts.not_written.as_ref()? {
        // The whole run is unknown then, with its cause.
        NotWritten::NoLedger(_) => return None,
        NotWritten::ByHand => "a run by hand writes only with --write".to_owned(),
        NotWritten::Spent { written } => {
            format!("{written} writes in 24 hours are all that daily_writes allows")
        }
        NotWritten::Unswept { run } => format!("what run {run} wrote has to be swept first"),
        NotWritten::Busy { run } => format!("run {run} of this check is writing or being swept"),
    };
    let mut finding = Finding::of(&docs::NOT_WRITTEN, "write", format!("nothing was written: {why}"));
    finding.measured = false;
    Some(finding)
}

fn signed_out(facts: &Facts) -> Option<Finding> {
    let signed_out = facts.sign_out.as_ref()?;
    if let Some((page, status)) = &signed_out.still_opens {
        let summary = format!("after the sign-out the old session still opens {page} (status {status})");
        return Some(Finding::of(&docs::SESSION_OUTLIVES, "sign out", summary));
    }
    let why = match &signed_out.step.trouble {
        Some(trouble) => sentence(trouble, &signed_out.step),
        None => format!("whether the session is dead is not known: {}", signed_out.unproven.as_ref()?),
    };
    Some(Finding::of(&docs::SIGN_OUT, "sign out", format!("{}: {why}", signed_out.step.request)))
}

#[cfg(test)]
mod tests;
