//! What the registry's statuses mean.

use super::{docs, finding};
use crate::model::{Finding, Severity};
use crate::probe::registration::facts::Registration;
use crate::probe::registration::spec::{Lock, Spec};

const HOLDS: [&str; 2] = ["client hold", "server hold"];
const LOCKS: [&str; 4] =
    ["client transfer prohibited", "server transfer prohibited", "transfer prohibited", "locked"];
const REDEMPTION: [&str; 2] = ["redemption period", "pending restore"];
const DELETE: &str = "pending delete";

/// The findings of the statuses.
pub fn findings(spec: &Spec, seen: &Registration) -> Vec<Finding> {
    let name = &spec.domain.shown;
    let mut findings = Vec::new();
    let held: Vec<&str> = HOLDS.into_iter().filter(|hold| seen.is(hold)).collect();
    if !held.is_empty() {
        let summary = format!("{name} is kept out of the DNS: {}", held.join(", "));
        findings.push(finding(&docs::HOLD, spec, summary));
    }
    // Registries set "pending delete" during the redemption period, too.
    let leaving = if REDEMPTION.iter().any(|status| seen.is(status)) {
        let summary = format!("{name} was deleted and can still be restored by its registrar");
        Some(finding(&docs::REDEMPTION, spec, summary))
    } else if seen.is(DELETE) {
        Some(finding(&docs::PENDING_DELETE, spec, format!("{name} is about to be deleted")))
    } else {
        None
    };
    let locked = LOCKS.iter().any(|lock| seen.is(lock));
    if leaving.is_none() && !locked {
        findings.extend(unlocked(spec));
    }
    findings.extend(leaving);
    findings.into_iter().map(|found| found.with("status", seen.status.clone())).collect()
}

fn unlocked(spec: &Spec) -> Option<Finding> {
    let mut found = finding(
        &docs::UNLOCKED,
        spec,
        format!("{} has no lock against transfers to another registrar", spec.domain.shown),
    );
    match spec.lock {
        Lock::Required => found.severity = Severity::Warning,
        Lock::Noticed => {}
        Lock::Ignored => return None,
    }
    Some(found)
}
