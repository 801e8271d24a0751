//! Drift: what the domain publishes, against what was learned and approved.

use std::collections::BTreeMap;
use std::time::Duration;

use super::watched::{Seen, seen};
use super::{Case, Report};
use crate::formats::dns::written::Listed;
use crate::judge::drift::{Changed, Decided, Given, Policy, Poll, Stand, step};
use crate::model::{Baseline, Finding, Severity};
use crate::probe::mail::docs::drift as docs;
use crate::probe::standing::diff;

pub(super) fn look(case: &Case<'_>, report: &mut Report) {
    if case.spec.only.is_some() {
        return;
    }
    let baselines = match case.baselines {
        Ok(baselines) => baselines.as_slice(),
        Err(why) => {
            report.blind.push("mail.drift");
            let finding = Finding::of(&docs::UNREAD, case.facts.domain.clone(), why.clone());
            report.findings.push(Finding { measured: false, ..finding });
            return;
        }
    };
    let mut before = std::mem::take(&mut report.memory.sets);
    let mut provisional = 0;
    for seen in seen(case.facts) {
        let decided = Decided::about(baselines, &seen.key);
        let mut said: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
        if let Some(values) = &seen.values {
            let mut values = values.clone();
            values.sort_unstable();
            said.insert(values, vec!["the resolvers".to_owned()]);
        }
        let poll =
            Poll { at: case.now, said: &said, silent: 0, ttl: Duration::from_secs(u64::from(seen.ttl)) };
        let polls = if case.spec.learn { case.spec.learn_polls } else { 0 };
        let policy = Policy { polls, turns: false, holds: !seen.foreign };
        let state = before.remove(&seen.key).unwrap_or_default();
        let given = Given { poll, decided, announced: &[], policy };
        let (after, stand) = step(&state, &given);
        provisional += usize::from(stand == Stand::Provisional);
        match &stand {
            Stand::Changed(changed) => report.findings.push(of_change(&seen, changed, baselines)),
            Stand::Unmeasured if state.drifted => {
                let finding = Finding::of(&docs::DRIFT, seen.key.clone(), "it could not be looked at again");
                report.findings.push(Finding { measured: false, ..finding });
            }
            _ => {}
        }
        report.memory.sets.insert(seen.key, after);
    }
    // What is not there to be looked at any more, such as the TLSA records of a host that went, is kept
    // only if a person approved it.
    before.retain(|key, _| baselines.iter().any(|baseline| baseline.key == *key));
    report.memory.sets.append(&mut before);
    if provisional > 0 {
        let what = if provisional == 1 { "record or policy was" } else { "records and policies were" };
        let summary = format!("{provisional} {what} learned and can be approved");
        report.find(&docs::TO_APPROVE, &case.facts.domain.clone(), summary);
    }
}

fn of_change(seen: &Seen, changed: &Changed, baselines: &[Baseline]) -> Finding {
    let doc = match (changed.decided, changed.certain) {
        (true, true) => &docs::DRIFT,
        (true, false) => &docs::SUSPECTED,
        (false, _) => &docs::UNAPPROVED,
    };
    let from = changed.from.clone().unwrap_or_default();
    let since = changed.since.round(jiff::Unit::Second).unwrap_or(changed.since);
    let decided = Decided::about(baselines, &seen.key);
    let was = match (decided.rejects(&changed.to), decided.approved) {
        (Some(rejected), _) => format!(", which {} rejected", rejected.by),
        (None, Some(approved)) if changed.decided => format!("; {} approved {}", approved.by, Listed(&from)),
        _ => format!("; it was {}", Listed(&from)),
    };
    let summary = format!("it is {} since {since}{was}", Listed(&changed.to));
    let mut finding = Finding::of(doc, seen.key.clone(), summary)
        .with(Finding::DIFF, diff(&from, &changed.to))
        .with("first_seen", changed.since.to_string());
    if changed.decided && changed.certain && seen.foreign {
        finding.severity = Severity::Warning;
    }
    finding
}
