//! What concerns the monitor itself rather than one check: impaired network, resolver, descriptors
//! or store; a channel that keeps failing.
//!
//! One incident at a time, under [`CheckId::monitor`], made by the same machine as every other: the
//! summary is judged into findings, and those are one result. [`daemon_step`] is called every
//! [`EVALUATE_EVERY`], and at once when the store or a channel changes. `monitor.impaired` must hold
//! for four evaluations, so that one unknown run is no incident as long as the next is known, and a
//! dead resolver is told within a minute of its first unknown run.

use std::time::Duration;

use jiff::Timestamp;

use super::{Effect, Event, Policy, Route, Seen, State, step};
use crate::model::{Cause, CheckId, Confirm, Finding, FindingDoc, Matcher, Severity, Verdict};

/// The time between two evaluations.
pub const EVALUATE_EVERY: Duration = Duration::from_secs(15);
/// A channel that failed this often in a row is failing.
pub const CHANNEL_FAILURES: u32 = 3;
/// The kind of the monitor's own incident.
pub const KIND: &str = "monitor";

const AT_ONCE: Confirm = Confirm { failures: 1, successes: 1, recheck: None };

/// What the monitor finds about itself.
pub const FINDINGS: &[FindingDoc] = &[
    FindingDoc {
        id: "monitor.impaired",
        severity: Severity::Critical,
        broken: true,
        meaning: "More than half of the checks, or one check for longer than its unknown_after, could not be measured.",
        why: "What cannot be measured cannot be reported: the portals may be down and nobody would know.",
        fix: "Follow the cause: local_network is this host's way out, local_dns its resolver, overload its descriptors, memory or processor, local_storage its store, config the check's own settings, blocked the target's throttle.",
        reference: None,
        confirm: Some(Confirm { failures: 4, successes: 2, recheck: None }),
    },
    FindingDoc {
        id: "monitor.store",
        severity: Severity::Critical,
        broken: true,
        meaning: "The store cannot be written. Results, incidents and messages go on from memory.",
        why: "A restart would lose what was not written, and what does not fit in memory is a gap in coverage.",
        fix: "Free space, make the database of storage.url reachable and writable, or stop the process that locks it. What is held in memory is then written.",
        reference: None,
        confirm: Some(AT_ONCE),
    },
    FindingDoc {
        id: "notify.channel_failing",
        severity: Severity::Critical,
        broken: false,
        meaning: "A channel failed three times in a row, or refused a message for good. What it did not refuse waits and is tried again for 24 hours.",
        why: "Whoever is told through this channel alone is not told.",
        fix: "Run `portalwatch notify test CHANNEL` and correct what it says. Give the channel a fallback.",
        reference: None,
        confirm: Some(AT_ONCE),
    },
];

/// One check that has been unknown for long.
#[derive(Clone, Debug, PartialEq)]
pub struct LongUnknown {
    /// Which.
    pub check: CheckId,
    /// For how long.
    pub lasted: Duration,
    /// Its `unknown_after`.
    pub limit: Duration,
    /// Why it is unknown.
    pub cause: Option<Cause>,
}

/// A channel and how it fares.
#[derive(Clone, Debug, PartialEq)]
pub struct FailingChannel {
    /// Its name.
    pub channel: String,
    /// Failures in a row.
    pub failures: u32,
    /// The last one, masked, one line.
    pub why: String,
}

/// The monitor at one instant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// How many checks there are.
    pub checks: usize,
    /// How many are unknown at their last run, by cause.
    pub unknown: Vec<(Cause, usize)>,
    /// The check that is furthest beyond its `unknown_after`, or closest to it.
    pub longest_unknown: Option<LongUnknown>,
    /// Why the store does not work; `None` when it works and all is committed.
    pub store: Option<String>,
    /// Channels whose last attempt failed.
    pub channels: Vec<FailingChannel>,
}

fn impaired(summary: &Summary) -> Option<Finding> {
    let doc = FINDINGS.iter().find(|doc| doc.id == "monitor.impaired")?;
    let unknown: usize = summary.unknown.iter().map(|(_, count)| count).sum();
    if unknown * 2 > summary.checks {
        let most = summary.unknown.iter().max_by_key(|(_, count)| *count).map(|(cause, _)| cause.as_str());
        let cause = most.unwrap_or("unknown");
        let text = format!("{unknown} of {} checks cannot be measured: {cause}", summary.checks);
        return Some(Finding::of(doc, "monitor", text).with("cause", cause).with("unknown", unknown));
    }
    let long = summary.longest_unknown.as_ref().filter(|long| long.lasted > long.limit)?;
    let cause = long.cause.map_or("unknown", Cause::as_str);
    let text = format!("{} could not be measured for {} s: {cause}", long.check, long.lasted.as_secs());
    Some(Finding::of(doc, "monitor", text).with("cause", cause).with("check", long.check.as_str()))
}

/// The summary as findings.
pub fn findings(summary: &Summary) -> Vec<Finding> {
    let doc = |id: &str| FINDINGS.iter().find(|doc| doc.id == id);
    let mut found: Vec<Finding> = impaired(summary).into_iter().collect();
    if let (Some(why), Some(doc)) = (&summary.store, doc("monitor.store")) {
        found.push(Finding::of(doc, "store", format!("the store cannot be written: {why}")));
    }
    if let Some(doc) = doc("notify.channel_failing") {
        found.extend(summary.channels.iter().filter(|c| c.failures >= CHANNEL_FAILURES).map(|c| {
            let text = format!("channel {} does not deliver: {}", c.channel, c.why);
            Finding::of(doc, c.channel.clone(), text)
                .with("channel", c.channel.as_str())
                .with("why", c.why.as_str())
        }));
    }
    found
}

/// The failing channel that a finding of an earlier run of the daemon tells of.
pub fn failing_channel(finding: &Finding) -> Option<FailingChannel> {
    let why = finding.evidence.get("why").and_then(serde_json::Value::as_str).unwrap_or_default();
    (finding.id.as_str() == "notify.channel_failing").then(|| FailingChannel {
        channel: finding.subject.clone(),
        failures: CHANNEL_FAILURES,
        why: why.to_owned(),
    })
}

/// The routes that take a failing channel to its fallback; they go before the config's routes.
/// `pairs` are (channel, fallback).
pub fn fallback_routes<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Route> {
    pairs
        .into_iter()
        .map(|(channel, fallback)| Route {
            matchers: vec![
                Matcher::equal("finding", "notify.channel_failing"),
                Matcher::equal("subject", channel),
            ],
            to: vec![fallback.to_owned()],
            go_on: true,
            group_by: Vec::new(),
            group_wait: None,
            group_interval: Duration::from_secs(300),
            repeat: None,
        })
        .collect()
}

/// One step of the monitor's own incident. `policy` is that of [`CheckId::monitor`], with
/// [`FINDINGS`] and `every` = [`EVALUATE_EVERY`]. Timers of the state come as [`Event::Due`] through
/// [`step`] like those of any check.
pub fn daemon_step(state: State, summary: &Summary, policy: &Policy, now: Timestamp) -> (State, Vec<Effect>) {
    let findings = findings(summary);
    let seen = Seen {
        at: now,
        ended: now,
        verdict: if findings.is_empty() { Verdict::Pass } else { Verdict::Fail },
        cause: None,
        findings,
        reproduce: Vec::new(),
        not_recorded: summary.store.is_some(),
        previous_good: None,
    };
    step(state, &Event::Result(seen), policy, now)
}

#[cfg(test)]
mod tests {
    use super::super::machine::tests::{policy, route};
    use super::*;
    use crate::model::Reason;

    fn monitor() -> Policy {
        let mut routes = fallback_routes([("mail", "pager")]);
        routes.push(route(&[], &["chat"]));
        let mut policy = policy(routes);
        policy.check = CheckId::monitor();
        policy.findings = FINDINGS;
        policy.every = EVALUATE_EVERY;
        policy
    }

    /// Evaluates each summary 15 s after the one before.
    fn told(summaries: &[Summary]) -> Vec<(usize, Reason, String)> {
        let (mut state, mut told) = (State::default(), Vec::new());
        for (index, summary) in summaries.iter().enumerate() {
            let now = Timestamp::from_second(1_700_000_000 + i64::try_from(index).unwrap() * 15).unwrap();
            let (next, effects) = daemon_step(state, summary, &monitor(), now);
            state = next;
            told.extend(effects.into_iter().filter_map(|effect| match effect {
                Effect::Tell(row) => Some((index, row.notice.reason, row.channel)),
                _ => None,
            }));
        }
        told
    }

    fn dns(unknown: usize, checks: usize) -> Summary {
        Summary { checks, unknown: vec![(Cause::LocalDns, unknown)], ..Summary::default() }
    }

    #[test]
    fn a_dead_resolver_is_one_incident_about_the_monitor_within_a_minute() {
        let all = [vec![dns(3, 3); 8], vec![dns(0, 3); 3]].concat();
        assert_eq!(told(&all), [(3, Reason::Opened, "chat".into()), (9, Reason::Resolved, "chat".into())]);
    }

    #[test]
    fn one_unknown_run_or_half_of_the_checks_is_no_incident() {
        assert_eq!(told(&[dns(2, 2), dns(2, 2), dns(2, 2), dns(0, 2)]), []);
        assert_eq!(told(&vec![dns(1, 2); 20]), []);
        assert_eq!(told(&vec![Summary::default(); 5]), []);
    }

    #[test]
    fn one_check_unknown_for_too_long_is_told() {
        let long = |lasted| Summary {
            longest_unknown: Some(LongUnknown {
                check: CheckId::new("acme", "front"),
                lasted: Duration::from_secs(lasted),
                limit: Duration::from_secs(600),
                cause: Some(Cause::Blocked),
            }),
            ..dns(1, 9)
        };
        assert_eq!(told(&vec![long(600); 9]), []);
        assert_eq!(told(&vec![long(601); 9]).len(), 1);
    }

    #[test]
    fn a_failing_store_is_told_at_once_and_ends_when_it_is_well() {
        let full = Summary { store: Some("the disk is full".into()), ..dns(0, 3) };
        let told = told(&[full, dns(0, 3)]);
        assert_eq!(told, [(0, Reason::Opened, "chat".into()), (1, Reason::Resolved, "chat".into())]);
    }

    #[test]
    fn a_failing_channel_is_told_through_its_fallback() {
        let failing = |channel: &str, failures| Summary {
            channels: vec![FailingChannel { channel: channel.into(), failures, why: "refused".into() }],
            ..dns(0, 3)
        };
        assert_eq!(told(&[failing("mail", 2)]), []);
        let mail = told(&[failing("mail", 3)]);
        assert_eq!(mail, [(0, Reason::Opened, "pager".into()), (0, Reason::Opened, "chat".into())]);
        assert_eq!(told(&[failing("sms", 3)]), [(0, Reason::Opened, "chat".into())]);
    }
}
