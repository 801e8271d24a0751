//! Which channels a notice goes to, in which group, and when.
//!
//! An opening waits `group_wait`, so that what opens together is told together. A rise to critical
//! waits the wait of a critical opening and no longer. Everything else that is told of an open
//! incident is paced by `group_interval` since the last message of its group. A resolution waits
//! for nothing when the incident is a group of its own, and is paced like the rest in a shared one.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{Incident, Labels, Matcher, Notice, OutboxRow, Reason, Severity};

/// A route, ready to match.
#[derive(Clone, Debug)]
pub struct Route {
    /// All of these; empty matches everything.
    pub matchers: Vec<Matcher>,
    /// The channels.
    pub to: Vec<String>,
    /// Also look at the routes after this one.
    pub go_on: bool,
    /// Labels that make a group; empty: each incident is a group of its own.
    pub group_by: Vec<String>,
    /// How long the first message of a group waits; `None`: 5 s for critical, 30 s else.
    pub group_wait: Option<Duration>,
    /// The least time between two messages of a group.
    pub group_interval: Duration,
    /// `None`: 4 h for critical, 7 d for warning.
    pub repeat: Option<Duration>,
}

/// A channel that was told of an incident, kept with the incident so that its resolution goes to
/// the same channel whatever the routes say by then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The channel.
    pub channel: String,
    /// The group it was told in.
    pub group_key: String,
    /// The labels of that group.
    pub group_labels: Labels,
    /// The group is shared with other incidents.
    #[serde(default)]
    pub shared: bool,
    /// How long openings wait; `None` by severity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_wait: Option<Duration>,
    /// The least time between two messages of the group.
    pub group_interval: Duration,
    /// How often it is reminded; `None` by severity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Duration>,
    /// When it is reminded next.
    pub next: Timestamp,
}

/// `at + wait`, or the last instant there is.
pub(super) fn after(at: Timestamp, wait: Duration) -> Timestamp {
    at.checked_add(wait).unwrap_or(Timestamp::MAX)
}

impl Told {
    fn wait(&self, severity: Severity) -> Duration {
        self.group_wait.unwrap_or(Duration::from_secs(if severity >= Severity::Critical { 5 } else { 30 }))
    }

    /// How often an incident of this severity is repeated here.
    pub fn repeat(&self, severity: Severity) -> Duration {
        let usual = if severity >= Severity::Critical { 4 * 3600 } else { 7 * 86_400 };
        // Zero would repeat without end.
        self.repeat.unwrap_or(Duration::from_secs(usual)).max(Duration::from_secs(1))
    }
}

/// The label sets routes are matched against: one for each finding held, with `finding` and
/// `subject` added. A route matches when one of them satisfies all its matchers.
fn label_sets(incident: &Incident) -> Vec<Labels> {
    let with = |finding: &str, subject: &str| {
        let mut labels = incident.outgoing_labels();
        labels.insert("finding".into(), finding.into());
        labels.insert("subject".into(), subject.into());
        labels
    };
    if incident.findings.is_empty() {
        return vec![with(&incident.alertname, "")];
    }
    incident.findings.iter().map(|finding| with(finding.id.as_str(), &finding.subject)).collect()
}

fn group(index: usize, route: &Route, incident: &Incident, labels: &Labels) -> (String, Labels) {
    let names: Vec<&str> = if route.group_by.is_empty() {
        vec!["alertname", "portal", "check"]
    } else {
        route.group_by.iter().map(String::as_str).collect()
    };
    let made_by: Labels = names
        .into_iter()
        .filter_map(|name| labels.get(name).map(|value| (name.to_owned(), value.clone())))
        .collect();
    if route.group_by.is_empty() {
        return (incident.id.to_string(), made_by);
    }
    let mut key = format!("route{index}");
    for (name, value) in &made_by {
        key.push_str(&format!("/{name}={value:?}"));
    }
    (key, made_by)
}

/// The channels the routes name for an incident: the first route that matches, and those after it
/// while they say `continue`. A channel named twice is told once, in the group of the first.
pub fn targets(routes: &[Route], incident: &Incident) -> Vec<Told> {
    let sets = label_sets(incident);
    let mut targets: Vec<Told> = Vec::new();
    for (index, route) in routes.iter().enumerate() {
        let Some(labels) = sets.iter().find(|set| route.matchers.iter().all(|m| m.matches(set))) else {
            continue;
        };
        let (group_key, group_labels) = group(index, route, incident, labels);
        for channel in &route.to {
            if targets.iter().all(|told| told.channel != *channel) {
                targets.push(Told {
                    channel: channel.clone(),
                    group_key: group_key.clone(),
                    group_labels: group_labels.clone(),
                    shared: !route.group_by.is_empty(),
                    group_wait: route.group_wait,
                    group_interval: route.group_interval,
                    repeat: route.repeat,
                    next: Timestamp::MAX,
                });
            }
        }
        if !route.go_on {
            break;
        }
    }
    targets
}

/// Who hears a notice. `told` gains the channels that hear of the incident for the first time.
fn audience(routes: &[Route], notice: &Notice, told: &mut Vec<Told>) -> Vec<Told> {
    match notice.reason {
        Reason::Resolved => return told.clone(),
        Reason::Repeated => return told.iter().filter(|told| told.next <= notice.at).cloned().collect(),
        _ => {}
    }
    let matched = targets(routes, &notice.incident);
    for target in &matched {
        if told.iter().all(|known| known.channel != target.channel) {
            told.push(target.clone());
        }
    }
    // A change of severity replaces the label set, so whoever fires the old one must hear it.
    let all = matches!(notice.reason, Reason::Rose | Reason::Fell);
    told.iter()
        .filter(|known| all || matched.iter().any(|target| target.channel == known.channel))
        .cloned()
        .collect()
}

fn pacing(notice: &Notice, told: &Told, first: bool) -> (Timestamp, Option<Duration>) {
    let severity = notice.incident.severity;
    let urgent = notice.reason == Reason::Rose && severity >= Severity::Critical;
    if first || urgent {
        return (after(notice.at, told.wait(severity)), None);
    }
    if notice.reason == Reason::Resolved && !told.shared {
        return (notice.at, None);
    }
    (notice.at, Some(told.group_interval))
}

/// The outbox rows of one notice: one for each channel it goes to. `seq` numbers the notices of the
/// incident. `told` are the channels that heard of it so far, and is brought up to date.
pub fn rows(routes: &[Route], notice: &Notice, seq: u32, told: &mut Vec<Told>) -> Vec<OutboxRow> {
    let before: Vec<String> = told.iter().map(|told| told.channel.clone()).collect();
    let severity = notice.incident.severity;
    let hearing = audience(routes, notice, told);
    for known in told.iter_mut() {
        if hearing.iter().any(|heard| heard.channel == known.channel) {
            known.next = after(notice.at, known.repeat(severity));
        }
    }
    hearing
        .into_iter()
        .map(|heard| {
            let (not_before, paced) = pacing(notice, &heard, !before.contains(&heard.channel));
            OutboxRow {
                key: format!("{}#{seq}:{}", notice.incident.id, heard.channel),
                channel: heard.channel,
                group_key: heard.group_key,
                group_labels: heard.group_labels,
                incident: notice.incident.id.clone(),
                not_before,
                notice: notice.clone(),
                attempts: 0,
                batch: None,
                paced,
                unsure: false,
                root: None,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::machine::tests::{policy, route};
    use super::super::{Effect, daemon};
    use super::*;

    fn notice(reason: Reason, severity: Severity) -> Notice {
        let mut policy = policy(vec![route(&[], &["any"])]);
        policy.findings = daemon::FINDINGS;
        let summary = daemon::Summary { store: Some("full".into()), ..daemon::Summary::default() };
        let at = Timestamp::from_second(1_700_000_000).unwrap();
        let (_, effects) = daemon::daemon_step(Default::default(), &summary, &policy, at);
        let row = effects.into_iter().find_map(|effect| match effect {
            Effect::Tell(row) => Some(row),
            _ => None,
        });
        let mut notice = row.unwrap().notice;
        notice.reason = reason;
        notice.incident.severity = severity;
        notice
    }

    fn channels(routes: &[Route]) -> Vec<String> {
        let opened = notice(Reason::Opened, Severity::Critical);
        rows(routes, &opened, 1, &mut Vec::new()).into_iter().map(|row| row.channel).collect()
    }

    #[test]
    fn the_first_route_that_matches_wins_unless_it_continues() {
        let mut routes = vec![
            route(&["check=other"], &["never"]),
            route(&["finding=monitor.store", "portal=acme"], &["a"]),
            route(&[], &["a", "b"]),
        ];
        assert_eq!(channels(&routes), ["a"]);
        routes[1].go_on = true;
        assert_eq!(channels(&routes), ["a", "b"], "a channel named twice is told once");
        assert_eq!(channels(&[]), [""; 0]);
    }

    #[test]
    fn an_opening_waits_by_severity_and_a_resolution_of_its_own_group_does_not() {
        let wait = |reason, severity, routes: &[Route]| {
            let notice = notice(reason, severity);
            let mut told =
                if reason == Reason::Opened { Vec::new() } else { targets(routes, &notice.incident) };
            let row = rows(routes, &notice, 1, &mut told).remove(0);
            (row.not_before.as_second() - notice.at.as_second(), row.paced.map(|paced| paced.as_secs()))
        };
        let mut routes = vec![route(&[], &["a"])];
        assert_eq!(wait(Reason::Opened, Severity::Critical, &routes), (5, None));
        assert_eq!(wait(Reason::Opened, Severity::Warning, &routes), (30, None));
        assert_eq!(wait(Reason::Rose, Severity::Critical, &routes), (5, None));
        assert_eq!(wait(Reason::Updated, Severity::Critical, &routes), (0, Some(300)));
        assert_eq!(wait(Reason::Resolved, Severity::Critical, &routes), (0, None));
        routes[0].group_by = vec!["portal".into()];
        assert_eq!(wait(Reason::Resolved, Severity::Critical, &routes), (0, Some(300)));
        routes[0].group_wait = Some(Duration::from_secs(1));
        assert_eq!(wait(Reason::Opened, Severity::Warning, &routes), (1, None));
    }

    #[test]
    fn incidents_of_one_portal_share_a_group_only_when_asked_to() {
        let key = |group_by: &[&str], check: &str| {
            let mut routes = vec![route(&[], &["a"])];
            routes[0].group_by = group_by.iter().map(|name| (*name).to_owned()).collect();
            let mut opened = notice(Reason::Opened, Severity::Critical);
            opened.incident.check = crate::model::CheckId::new("acme", check);
            opened.incident.id = crate::model::IncidentId::new(&opened.incident.check, opened.at);
            rows(&routes, &opened, 1, &mut Vec::new()).remove(0).group_key
        };
        assert_eq!(key(&["portal"], "x"), key(&["portal"], "y"));
        assert_ne!(key(&[], "x"), key(&[], "y"));
    }
}
