//! What logs hold: what is told of it, and what is not.

use super::fixtures::{Authority, DAY, Story, at, found, key, shows};
use crate::formats::x509::Certificate;
use crate::model::Finding;
use crate::probe::certificate::ct::{Issuance, Settings, Watched};

const LIFETIME: i64 = 90 * DAY;
const ID: &str = "cert.unexpected_issuance";

fn digest(number: u32) -> String {
    format!("{number:08x}{}", "ab".repeat(28))
}

fn issuance(number: u32) -> Issuance {
    Issuance {
        tbs_sha256: digest(number),
        pubkey_sha256: digest(number + 0xabc000),
        names: vec!["login.example.com".into()],
        issuer: "Mallory".into(),
        not_before: Some(at("2026-01-05").as_second()),
        not_after: Some(at("2026-04-05").as_second()),
        ..Issuance::default()
    }
}

fn answer(issuances: Vec<Issuance>) -> Vec<Watched> {
    vec![Watched {
        domain: "example.com".into(),
        issuances,
        last: Some("7".into()),
        finished: true,
        ..Watched::default()
    }]
}

/// A host and its leaf; the logs were read once, and one certificate was in them.
struct Watch {
    story: Story,
    authority: Authority,
    leaf: Vec<u8>,
}

impl Watch {
    fn new() -> Self {
        let authority = Authority::new("Acme", "A1");
        let mut story = Story::new(&[&authority]);
        story.spec.ct = Some(Settings::default());
        let leaf = authority.leaf(&key(), at("2026-01-01").as_second(), LIFETIME);
        let mut watch = Self { story, authority, leaf };
        let first = watch.run("2026-01-02", vec![issuance(1)]);
        assert!(found(&first, ID).is_none(), "what is there at first is known: {first:?}");
        watch
    }

    fn run(&mut self, on: &str, issuances: Vec<Issuance>) -> Vec<Finding> {
        self.story.ct = answer(issuances);
        self.story.run(at(on), &[(1, shows(&self.leaf))])
    }

    fn quiet_run(&mut self, on: &str) -> Vec<Finding> {
        self.story.ct.clear();
        self.story.run(at(on), &[(1, shows(&self.leaf))])
    }
}

#[test]
fn a_certificate_that_nobody_here_shows_is_told_for_a_week() {
    let mut watch = Watch::new();
    let told = watch.run("2026-01-06", vec![issuance(2)]);
    let finding = found(&told, ID).unwrap();
    assert!(finding.alerts() && !finding.broken);
    assert_eq!(finding.subject, "portal.example.com issuance 00000002abababab");
    assert_eq!(
        finding.summary,
        "Mallory issued a certificate for login.example.com, valid from 2026-01-05T12:00:00Z to 2026-04-05T12:00:00Z, whose key (SHA-256 00abc002abab…) was never seen on these hosts"
    );
    assert!(found(&watch.quiet_run("2026-01-12"), ID).is_some());
    assert!(found(&watch.quiet_run("2026-01-13"), ID).is_none());
}

#[test]
fn what_was_there_at_first_and_what_was_told_before_are_not_told_again() {
    let mut watch = Watch::new();
    assert!(found(&watch.run("2026-01-06", vec![issuance(1)]), ID).is_none());
    watch.run("2026-01-06", vec![issuance(2), issuance(2)]);
    watch.quiet_run("2026-01-20");
    assert!(found(&watch.run("2026-01-21", vec![issuance(2)]), ID).is_none());
}

#[test]
fn a_first_look_that_is_not_finished_is_still_the_first() {
    let authority = Authority::new("Acme", "A1");
    let mut story = Story::new(&[&authority]);
    story.spec.ct = Some(Settings::default());
    let leaf = authority.leaf(&key(), at("2026-01-01").as_second(), LIFETIME);
    for (on, number, finished, told) in
        [("2026-01-02", 1, false, false), ("2026-01-03", 2, true, false), ("2026-01-04", 3, true, true)]
    {
        story.ct = answer(vec![issuance(number)]);
        story.ct[0].finished = finished;
        let findings = story.run(at(on), &[(1, shows(&leaf))]);
        assert_eq!(found(&findings, ID).is_some(), told, "{on}");
    }
}

#[test]
fn a_key_that_a_host_shows_or_showed_is_our_own() {
    let mut watch = Watch::new();
    let spki = Certificate::parse(&watch.leaf).unwrap().spki_sha256;
    let own = Issuance { pubkey_sha256: spki, ..issuance(2) };
    assert!(found(&watch.run("2026-01-06", vec![own.clone()]), ID).is_none());
    watch.leaf = watch.authority.leaf(&key(), at("2026-03-01").as_second(), LIFETIME);
    let later = Issuance { tbs_sha256: digest(3), ..own };
    assert!(found(&watch.run("2026-03-01", vec![later]), ID).is_none());
}

#[test]
fn it_is_over_when_the_key_arrives_on_the_host() {
    let mut watch = Watch::new();
    let key = key();
    let new = watch.authority.leaf(&key, at("2026-01-06").as_second(), LIFETIME);
    let spki = Certificate::parse(&new).unwrap().spki_sha256;
    assert!(
        found(&watch.run("2026-01-06", vec![Issuance { pubkey_sha256: spki, ..issuance(2) }]), ID).is_some()
    );
    watch.leaf = new;
    assert!(found(&watch.quiet_run("2026-01-07"), ID).is_none());
}

#[test]
fn a_renewal_on_its_way_has_a_day_to_arrive() {
    let mut watch = Watch::new();
    let renewal =
        Issuance { names: vec!["portal.example.com".into()], issuer: "ACME, Inc.".into(), ..issuance(2) };
    assert!(found(&watch.run("2026-01-06", vec![renewal.clone()]), ID).is_none());
    assert!(found(&watch.quiet_run("2026-01-07"), ID).is_some());
    // Others' certificates for the same names have not.
    let theirs = Issuance { issuer: "Mallory".into(), ..renewal };
    let theirs = Issuance { tbs_sha256: digest(9), ..theirs };
    assert!(found(&Watch::new().run("2026-01-06", vec![theirs]), ID).is_some());
}

#[test]
fn a_service_that_does_not_answer_is_said_and_wakes_nobody_and_changes_no_finding() {
    let mut watch = Watch::new();
    watch.run("2026-01-06", vec![issuance(2)]);
    watch.story.ct = vec![Watched {
        domain: "example.com".into(),
        last: Some("7".into()),
        failure: Some("it answers with status 500".into()),
        ..Watched::default()
    }];
    let leaf = watch.leaf.clone();
    let told = watch.story.run(at("2026-01-07"), &[(1, shows(&leaf))]);
    let unread = found(&told, "cert.ct_unread").unwrap();
    assert!(!unread.measured && !unread.alerts());
    assert!(found(&told, ID).is_some());
    // It is said until there is an answer again.
    assert!(found(&watch.quiet_run("2026-01-08"), "cert.ct_unread").is_some());
    assert!(found(&watch.run("2026-01-09", Vec::new()), "cert.ct_unread").is_none());
}

#[test]
fn what_is_remembered_is_bounded_and_does_not_change_by_itself() {
    let mut watch = Watch::new();
    let told = watch.run("2026-01-06", (100..2_000).map(issuance).collect());
    assert_eq!(told.iter().filter(|finding| finding.id.as_str() == ID).count(), 32);
    let memory = watch.story.memory.clone();
    watch.quiet_run("2026-01-07");
    assert_eq!(watch.story.memory, memory);
    let size = serde_json::to_string(&memory.ct).unwrap().len();
    assert!(size < 100_000, "{size}");
}

#[test]
fn without_the_setting_nothing_is_remembered() {
    let mut watch = Watch::new();
    watch.run("2026-01-06", vec![issuance(2)]);
    watch.story.spec.ct = None;
    assert!(found(&watch.quiet_run("2026-01-07"), ID).is_none());
    assert_eq!(watch.story.memory.ct, Default::default());
}
