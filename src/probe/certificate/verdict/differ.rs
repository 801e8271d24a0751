//! Different certificates at the addresses of one host: mostly a renewal that did not reach them all.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::change::{History, Seen, short};
use super::leaves::Leaf;
use super::{Case, Note, change, issuer, leaves};
use crate::formats::x509::Certificate;
use crate::model::{Finding, Severity};
use crate::probe::certificate::docs::change as docs;
use crate::probe::certificate::facts::HostFacts;

const DAY: i64 = 86_400;
/// A difference without a new certificate for so long is how the host is built.
const SETTLED: i64 = DAY;
/// So long after a certificate came beside others, it may be a renewal that got stuck.
const STUCK: i64 = 7 * DAY;
/// At most this many groups, and addresses of one, are written out.
const NAMED: usize = 4;

/// One certificate, and where it is shown.
struct Group<'c> {
    certificate: &'c Certificate,
    addresses: Vec<SocketAddr>,
    accepted: bool,
}

/// Where addresses differ.
pub fn notes<'a>(case: &Case<'a>) -> Vec<Note<'a>> {
    let mut notes = Vec::new();
    let mut history = None;
    for host in &case.facts.hosts {
        let by_kind = leaves::of_host(case, host);
        for (kind, shown) in &by_kind {
            let groups = groups(case, shown);
            if groups.len() > 1 {
                let history = history.get_or_insert_with(|| change::after(case));
                let part = leaves::part(kind, by_kind.len());
                let finding = finding(case, history, host, kind, part, &groups);
                notes.push(Note { host, address: None, finding });
            }
        }
    }
    notes
}

/// The newest certificate first.
fn groups<'c>(case: &Case<'_>, shown: &[Leaf<'c>]) -> Vec<Group<'c>> {
    let mut groups: Vec<Group<'c>> = Vec::new();
    for leaf in shown {
        let accepted = leaves::is_accepted(case, leaf.view) == Some(true);
        match groups.iter_mut().find(|group| group.certificate.sha256 == leaf.certificate.sha256) {
            Some(group) => {
                group.addresses.push(leaf.address);
                group.accepted &= accepted;
            }
            None => {
                groups.push(Group { certificate: leaf.certificate, addresses: vec![leaf.address], accepted })
            }
        }
    }
    let age = |group: &Group<'_>| {
        std::cmp::Reverse((group.certificate.not_before.seconds, group.certificate.not_after.seconds))
    };
    groups.sort_by_key(age);
    groups
}

fn finding(
    case: &Case<'_>,
    history: &History,
    host: &HostFacts,
    kind: &str,
    part: String,
    groups: &[Group<'_>],
) -> Finding {
    let said: Vec<String> =
        groups.iter().take(NAMED).enumerate().map(|(at, group)| group.said(at > 0)).collect();
    let mut summary = format!("addresses show different certificates: {}", said.join(", "));
    if groups.len() > NAMED {
        summary = format!("{summary}, and {} more", groups.len() - NAMED);
    }
    let both = shared(groups);
    if !both.is_empty() {
        summary = format!("{summary}; {} show now one, now another", listed(&both));
    }
    let mut finding = Finding::of(&docs::ADDRESSES_DIFFER, part, summary)
        .with("certificates", groups.iter().map(Group::evidence).collect::<Vec<_>>());
    if is_settled(history.of(host, kind), groups, case.now.as_second()) {
        finding.severity = Severity::Notice;
    }
    finding
}

/// Whether this is how the host is built: nothing is wrong with any of them, one organisation issued
/// them, and each has been there for long enough.
fn is_settled(history: &[Seen], groups: &[Group<'_>], now: i64) -> bool {
    let authorities: BTreeSet<String> =
        groups.iter().map(|group| issuer::authority(&group.certificate.issuer)).collect();
    let current = || groups.iter().filter_map(|group| find(history, group));
    let settled = |new: &Seen| {
        let since = new.first_seen.as_second();
        let first = current().all(|other| other.first_seen >= new.first_seen);
        let replaces = history
            .iter()
            .filter_map(|seen| seen.gone)
            .any(|gone| (since..=since.saturating_add(DAY)).contains(&gone.as_second()));
        let wait = if first || replaces { SETTLED } else { STUCK };
        now.saturating_sub(since) >= wait
    };
    authorities.len() == 1
        && groups.iter().all(|group| group.accepted && find(history, group).is_some_and(settled))
}

fn find<'h>(history: &'h [Seen], group: &Group<'_>) -> Option<&'h Seen> {
    history.iter().find(|seen| seen.sha256 == group.certificate.sha256)
}

/// Addresses that show several.
fn shared(groups: &[Group<'_>]) -> Vec<SocketAddr> {
    let mut known = BTreeSet::new();
    let all = groups.iter().flat_map(|group| &group.addresses);
    let mut twice: Vec<SocketAddr> = all.filter(|address| !known.insert(**address)).copied().collect();
    twice.sort();
    twice.dedup();
    twice
}

fn listed(addresses: &[SocketAddr]) -> String {
    let mut named: Vec<String> =
        addresses.iter().take(NAMED).map(|address| address.ip().to_string()).collect();
    if addresses.len() > NAMED {
        named.push(format!("{} more", addresses.len() - NAMED));
    }
    named.join(" and ")
}

impl Group<'_> {
    fn said(&self, older: bool) -> String {
        let has = match (older, self.addresses.len()) {
            (false, 1) => "has",
            (false, _) => "have",
            (true, 1) => "still has",
            (true, _) => "still have",
        };
        format!(
            "{} {has} {} of {} until {} (SHA-256 {})",
            listed(&self.addresses),
            short(&self.certificate.serial),
            issuer::spoken(&self.certificate.issuer),
            self.certificate.not_after,
            short(&self.certificate.sha256),
        )
    }

    fn evidence(&self) -> serde_json::Value {
        let addresses: Vec<String> = self.addresses.iter().map(|address| address.ip().to_string()).collect();
        serde_json::json!({
            "addresses": addresses,
            "sha256": self.certificate.sha256,
            "serial": self.certificate.serial,
            "issuer": self.certificate.issuer.to_string(),
            "not_after": self.certificate.not_after.to_string(),
        })
    }
}
