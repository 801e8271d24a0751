//! The log's account of incidents: one line each time one opens, changes its severity, or is over,
//! whoever is told.

use crate::model::{Incident, Severity};

/// Logs what became of a check's incident.
pub fn log(before: Option<&Incident>, after: Option<&Incident>) {
    match (before, after) {
        (None, Some(new)) => opened(new),
        (Some(old), None) => over(old),
        (Some(old), Some(new)) if old.id != new.id => {
            over(old);
            opened(new);
        }
        (Some(old), Some(new)) if old.severity != new.severity => {
            tracing::warn!(check = %new.check, incident = %new.id, from = %old.severity, to = %new.severity, "the incident's severity changed");
        }
        _ => {}
    }
}

fn opened(incident: &Incident) {
    let worst = incident.findings.first();
    let finding = worst.map_or("", |finding| finding.id.as_str());
    let summary = worst.map_or("", |finding| finding.summary.as_str());
    if incident.severity == Severity::Critical {
        tracing::error!(check = %incident.check, incident = %incident.id, since = %incident.started, finding, summary, "an incident opened");
    } else {
        tracing::warn!(check = %incident.check, incident = %incident.id, since = %incident.started, finding, summary, "an incident opened");
    }
}

fn over(incident: &Incident) {
    tracing::info!(check = %incident.check, incident = %incident.id, since = %incident.started, "the incident is over");
}
