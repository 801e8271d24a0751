//! What the servers say against what is declared and against each other, over several runs.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::world::*;
use crate::formats::dns::RecordType;
use crate::model::{Finding, Severity};
use crate::probe::dns::facts::Facts;
use crate::probe::dns::{Dns, Memory, Spec};
use crate::probe::{Kind as _, Past};

/// The zone with these addresses of `www`, and more.
pub(super) fn zone(www: &[&str], more: Vec<Entry>) -> Vec<Entry> {
    let mut records = vec![
        soa(ZONE, 7),
        to(ZONE, RecordType::NS, "ns1.acme.example."),
        to(ZONE, RecordType::NS, "ns2.acme.example."),
        a("ns1.acme.example.", "127.0.0.2"),
        a("ns2.acme.example.", "127.0.0.3"),
        mx(ZONE, "mail.acme.example."),
        a("mail.acme.example.", "192.0.2.25"),
        txt(ZONE, b"v=spf1 mx -all"),
    ];
    records.extend(www.iter().map(|address| a("www.acme.example.", address)));
    records.extend(more);
    records
}

/// What two authorities and a resolver with these zones show.
pub(super) async fn look(
    settings: &Value,
    first: Vec<Entry>,
    second: Vec<Entry>,
    resolver: Vec<Entry>,
) -> (Spec, Facts) {
    let both = refers(ZONE, &[("ns1.acme.example.", Some(ip(2))), ("ns2.acme.example.", Some(ip(3)))]);
    let world = World::of(vec![
        (Reach::Both, both),
        (Reach::Both, from_zone(ZONE, first)),
        (Reach::Both, from_zone(ZONE, second)),
        (Reach::Both, resolves(resolver)),
    ])
    .await;
    let spec = world.spec(settings.clone());
    let facts = world.look(&spec, world.at(4)).await.unwrap().facts;
    (spec, facts)
}

/// The runs of one check.
#[derive(Default)]
pub(super) struct Runs {
    memory: Memory,
}

impl Runs {
    /// The run at this hour: what it finds.
    pub(super) fn at(&mut self, hour: u64, (spec, facts): &(Spec, Facts)) -> Vec<Finding> {
        let now = Timestamp::UNIX_EPOCH + Duration::from_secs(hour * 3_600);
        let written = serde_json::to_string(&self.memory).unwrap();
        let past = Past::of(serde_json::from_str(&written).unwrap());
        let judged = Dns::judge(spec, facts, &past, now);
        self.memory = judged.memory;
        judged.findings
    }
}

pub(super) fn of<'f>(findings: &'f [Finding], id: &str) -> Vec<&'f Finding> {
    findings.iter().filter(|finding| finding.id.as_str() == id).collect()
}

fn alerting(findings: &[Finding]) -> Vec<String> {
    // Everything on loopback is one network.
    let alerts =
        findings.iter().filter(|finding| finding.alerts() && finding.id.as_str() != "dns.one_network");
    alerts.map(|finding| format!("{} {}", finding.id, finding.subject)).collect()
}

fn declared() -> Value {
    json!({ "records": [
        { "name": "@", "type": "MX", "equals": ["10 MAIL.acme.example"] },
        { "name": "@", "type": "TXT", "contains": ["v=spf1 mx -all"] },
        { "name": "www", "type": "A", "subset_of": ["192.0.2.0/24"] },
        { "name": "old", "type": "A", "absent": true },
        { "name": "any", "type": "TXT", "unmanaged": true },
    ] })
}

#[tokio::test]
async fn a_zone_that_is_as_declared_alerts_nobody() {
    let records = || zone(&["192.0.2.1"], vec![]);
    let seen = look(&declared(), records(), records(), records()).await;
    let mut runs = Runs::default();
    assert_eq!(alerting(&runs.at(0, &seen)), Vec::<String>::new());
    let drift = |runs: &Runs| {
        let series = Dns::series(&runs.memory, Timestamp::UNIX_EPOCH);
        let of = series.iter().filter(|one| one.doc.name == "portalwatch_dns_drift");
        of.map(|one| (one.labels[1].1.clone(), one.labels[2].1.clone(), one.value)).collect::<Vec<_>>()
    };
    assert!(drift(&runs).contains(&("www.acme.example".into(), "A".into(), 0.0)));
    assert_eq!(drift(&runs).len(), 4, "what nobody manages is not exposed");

    let moved = || zone(&["198.51.100.9"], vec![]);
    let seen = look(&declared(), moved(), moved(), moved()).await;
    let found = runs.at(1, &seen);
    assert_eq!(alerting(&found), ["dns.unexpected www.acme.example. A"]);
    let finding = of(&found, "dns.unexpected")[0];
    assert_eq!(finding.evidence["diff"], json!(["+ 198.51.100.9"]));
    assert!(!finding.broken && finding.summary.contains("outside the networks"), "{}", finding.summary);
    assert!(drift(&runs).contains(&("www.acme.example".into(), "A".into(), 1.0)));
}

#[tokio::test]
async fn a_name_that_is_gone_is_broken_and_one_that_should_be_gone_is_told() {
    let records = || zone(&[], vec![a("old.acme.example.", "192.0.2.9")]);
    let seen = look(&declared(), records(), records(), records()).await;
    let found = Runs::default().at(0, &seen);
    let unexpected = of(&found, "dns.unexpected");
    let about = |key: &str| *unexpected.iter().find(|finding| finding.subject == key).unwrap();
    assert!(about("www.acme.example. A").broken);
    assert!(!about("old.acme.example. A").broken && about("old.acme.example. A").alerts());
}

#[tokio::test]
async fn a_change_on_its_way_alerts_nobody_and_a_secondary_that_stays_behind_is_named() {
    let (old, new) = (|| zone(&["192.0.2.1"], vec![]), || zone(&["192.0.2.2"], vec![]));
    let seen = look(&declared(), new(), old(), old()).await;
    let mut runs = Runs::default();
    let first = runs.at(0, &seen);
    assert_eq!(alerting(&first), Vec::<String>::new());
    assert_eq!(of(&first, "dns.propagating").len(), 1);
    let later = runs.at(240, &seen);
    assert_eq!(alerting(&later), ["dns.split www.acme.example. A"]);
    let summary = &of(&later, "dns.split")[0].summary;
    assert!(summary.contains("192.0.2.2 at ns1.acme.example. 127.0.0.2"), "{summary}");
    assert!(summary.contains("192.0.2.1 at ns2.acme.example. 127.0.0.3"), "{summary}");
    let seen = look(&declared(), new(), new(), new()).await;
    assert_eq!(alerting(&runs.at(241, &seen)), Vec::<String>::new());
}

#[tokio::test]
async fn a_pool_that_is_served_in_turns_is_never_split() {
    let mut runs = Runs::default();
    for turn in 0..12_u64 {
        let of = |from: u64| {
            let some: Vec<String> = (0..3).map(|n| format!("192.0.2.{}", 1 + (from + n) % 8)).collect();
            zone(&some.iter().map(String::as_str).collect::<Vec<_>>(), vec![])
        };
        let seen = look(&declared(), of(turn), of(turn * 3 + 1), of(turn * 5 + 2)).await;
        assert_eq!(alerting(&runs.at(turn * 100, &seen)), Vec::<String>::new(), "turn {turn}");
    }
}

#[tokio::test]
async fn a_change_at_one_authority_alone_is_a_warning_that_names_it() {
    let bad = zone(&["192.0.2.1"], vec![]).into_iter().filter(|entry| entry.1 != RecordType::MX).collect();
    let good = || zone(&["192.0.2.1"], vec![]);
    let seen = look(&declared(), good(), bad, good()).await;
    let found = Runs::default().at(0, &seen);
    let unexpected = of(&found, "dns.unexpected");
    assert_eq!(unexpected.len(), 1);
    assert_eq!(unexpected[0].severity, Severity::Warning);
    assert!(unexpected[0].summary.contains("(at ns2.acme.example. 127.0.0.3"), "{}", unexpected[0].summary);
}

#[tokio::test]
async fn a_resolver_that_keeps_an_old_copy_has_time_and_is_then_a_remark() {
    let records = || zone(&["192.0.2.1"], vec![]);
    let stale: Vec<Entry> = zone(&["192.0.2.1"], vec![])
        .into_iter()
        .filter(|entry| entry.1 != RecordType::MX)
        .chain([mx(ZONE, "old.acme.example.")])
        .collect();
    let seen = look(&declared(), records(), records(), stale).await;
    let mut runs = Runs::default();
    assert!(of(&runs.at(0, &seen), "dns.resolver_differs").is_empty());
    let later = runs.at(48, &seen);
    let remark = of(&later, "dns.resolver_differs");
    assert_eq!(remark.len(), 1);
    assert!(!remark[0].alerts() && remark[0].summary.contains("old.acme.example."), "{}", remark[0].summary);
}

#[tokio::test]
async fn name_servers_that_only_one_side_names_are_told() {
    let more = vec![to(ZONE, RecordType::NS, "ns3.acme.example."), a("ns3.acme.example.", "127.0.0.3")];
    let records = || zone(&["192.0.2.1"], more.clone());
    let seen = look(&declared(), records(), records(), records()).await;
    let found = Runs::default().at(0, &seen);
    let differs = of(&found, "dns.delegation_differs");
    assert_eq!(differs[0].summary, "only the zone names ns3.acme.example.");
    assert_eq!(differs[0].evidence["diff"], json!(["+ ns3.acme.example."]));
}
