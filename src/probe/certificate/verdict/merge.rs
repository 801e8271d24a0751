//! Many addresses, one finding. What is wrong at four addresses of a host is one thing to be told, and
//! where a host's addresses change from hour to hour it stays the same thing: findings are kept by
//! host, and say at which addresses they hold.

use std::net::SocketAddr;

use super::Note;
use crate::model::Finding;

/// At most this many addresses are written out.
const NAMED: usize = 4;

/// What was said of one subject.
struct Group {
    finding: Finding,
    /// Each thing that was said, and where it holds.
    said: Vec<(String, Vec<SocketAddr>)>,
}

/// Notes of one id and subject become one finding, as bad as the worst of them.
pub fn merge(notes: Vec<Note<'_>>) -> Vec<Finding> {
    let mut groups: Vec<Group> = Vec::new();
    for Note { host, address, mut finding } in notes {
        finding.subject = format!("{} {}", host.subject(), finding.subject);
        let summary = std::mem::take(&mut finding.summary);
        let known = groups.iter().position(|group| group.finding.key() == finding.key());
        let position = known.unwrap_or_else(|| {
            groups.push(Group { finding: finding.clone(), said: Vec::new() });
            groups.len() - 1
        });
        let Some(group) = groups.get_mut(position) else { continue };
        let worse = |of: &Finding| (of.measured, of.broken, of.severity);
        if worse(&finding) > worse(&group.finding) {
            group.finding = finding;
        }
        match group.said.iter_mut().find(|(said, _)| *said == summary) {
            Some((_, addresses)) => addresses.extend(address.filter(|address| !addresses.contains(address))),
            None => group.said.push((summary, address.into_iter().collect())),
        }
    }
    groups.into_iter().map(Group::finding).collect()
}

impl Group {
    fn finding(self) -> Finding {
        let Self { mut finding, said } = self;
        let mut all: Vec<SocketAddr> = said.iter().flat_map(|(_, addresses)| addresses).copied().collect();
        all.sort();
        all.dedup();
        let lines: Vec<String> = said.iter().map(|(said, addresses)| line(said, addresses)).collect();
        finding.summary = lines.join("; ");
        if !all.is_empty() {
            let all: Vec<String> = all.iter().map(|address| address.ip().to_string()).collect();
            finding = finding.with("addresses", all);
        }
        finding
    }
}

fn line(said: &str, addresses: &[SocketAddr]) -> String {
    if addresses.is_empty() {
        return said.to_owned();
    }
    let mut sorted: Vec<_> = addresses.iter().map(SocketAddr::ip).collect();
    sorted.sort_unstable();
    let mut named: Vec<String> = sorted.iter().take(NAMED).map(ToString::to_string).collect();
    if sorted.len() > NAMED {
        named.push(format!("{} more", sorted.len() - NAMED));
    }
    format!("{said} (at {})", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FindingDoc, Severity};
    use crate::probe::certificate::facts::HostFacts;

    const DOC: FindingDoc = FindingDoc {
        id: "cert.test",
        severity: Severity::Warning,
        broken: false,
        meaning: "",
        why: "",
        fix: "",
        reference: None,
        confirm: None,
    };

    fn merged(notes: &[(&str, u8, Severity)]) -> Vec<Finding> {
        let host = HostFacts { host: "portal.example".into(), port: 443, ..HostFacts::default() };
        let note = |(said, last, severity): &(&str, u8, Severity)| {
            let mut finding = Finding::of(&DOC, "leaf", *said);
            finding.severity = *severity;
            Note { host: &host, address: Some(([192, 0, 2, *last], 443).into()), finding }
        };
        merge(notes.iter().map(note).collect())
    }

    #[test]
    fn one_thing_at_two_addresses_is_one_finding_that_names_both() {
        let found = merged(&[("is old", 2, Severity::Warning), ("is old", 1, Severity::Warning)]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].subject, "portal.example leaf");
        assert_eq!(found[0].summary, "is old (at 192.0.2.1, 192.0.2.2)");
    }

    #[test]
    fn the_worst_of_two_different_things_counts_and_both_are_told() {
        let found = merged(&[("is old", 1, Severity::Warning), ("is very old", 2, Severity::Critical)]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].severity, Severity::Critical);
        assert_eq!(found[0].summary, "is old (at 192.0.2.1); is very old (at 192.0.2.2)");
    }

    #[test]
    fn thirty_addresses_do_not_fill_a_mail() {
        let notes: Vec<_> = (1..=30).map(|last| ("is old", last, Severity::Warning)).collect();
        let found = merged(&notes);
        assert!(found[0].summary.ends_with("192.0.2.4, 26 more)"), "{}", found[0].summary);
        assert_eq!(found[0].evidence["addresses"].as_array().map(Vec::len), Some(30));
    }
}
