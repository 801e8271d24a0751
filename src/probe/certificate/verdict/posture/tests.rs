use std::net::SocketAddr;

use jiff::{Timestamp, ToSpan as _};

use super::*;
use crate::model::Severity;
use crate::probe::certificate::facts::Facts;
use crate::probe::certificate::judge::Anchors;
use crate::probe::certificate::memory::Memory;
use crate::probe::certificate::posture::tests::{entry, good, posture};
use crate::probe::certificate::spec::{Profile, Spec};

/// Facts of portal.example at these addresses, and what is remembered of them.
#[derive(Default)]
pub(in super::super) struct World {
    pub(in super::super) spec: Spec,
    pub(in super::super) facts: Facts,
    pub(in super::super) memory: Memory,
}

impl World {
    pub(in super::super) fn of(endpoints: Vec<(&str, Option<Posture>)>) -> Self {
        let endpoint = |(address, posture): (&str, Option<Posture>)| Endpoint {
            address: socket(address),
            unmeasured: None,
            views: Vec::new(),
            posture,
        };
        let host = HostFacts {
            host: "portal.example".into(),
            port: 443,
            server_name: Some("portal.example".into()),
            endpoints: endpoints.into_iter().map(endpoint).collect(),
            ..HostFacts::default()
        };
        let facts = Facts { hosts: vec![host], ..Facts::default() };
        Self { facts, ..Self::default() }
    }

    pub(in super::super) fn by(mut self, profile: Profile) -> Self {
        self.spec.profile = profile;
        self
    }

    pub(in super::super) fn look(&self, look: impl FnOnce(&Case<'_>) -> Vec<Finding>) -> Vec<Finding> {
        self.look_at(Timestamp::UNIX_EPOCH, look)
    }

    fn look_at<T>(&self, now: Timestamp, look: impl FnOnce(&Case<'_>) -> T) -> T {
        let anchors = Anchors::of(std::iter::empty::<crate::formats::x509::Certificate>());
        look(&Case {
            spec: &self.spec,
            facts: &self.facts,
            memory: &self.memory,
            now,
            certificates: self.facts.parsed(),
            anchors: &anchors,
            judged: Vec::new(),
        })
    }
}

pub(in super::super) fn socket(address: &str) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), 443)
}

pub(in super::super) fn merged(notes: Vec<Note<'_>>) -> Vec<Finding> {
    super::super::merge::merge(notes)
}

/// The findings about one address, by id: those that every server gets are left out.
fn judged(posture: Posture, profile: Profile) -> Vec<(String, Severity)> {
    let world = World::of(vec![("192.0.2.1", Some(posture))]).by(profile);
    let found = world.look(|case| merged(notes(case)));
    assert!(found.iter().all(|finding| !finding.broken));
    found
        .into_iter()
        .filter(|finding| finding.id.as_str() != "tls.post_quantum")
        .map(|finding| (finding.id.as_str().to_owned(), finding.severity))
        .collect()
}

/// A server with one thing changed is told of that alone, and a good one of nothing.
fn change(make: impl FnOnce(&mut Posture), profile: Profile, expected: &[(&str, Severity)]) {
    let mut posture = good();
    make(&mut posture);
    let expected: Vec<_> = expected.iter().map(|(id, severity)| ((*id).to_owned(), *severity)).collect();
    assert_eq!(judged(posture, profile), expected);
}

fn accept(posture: &mut Posture, version: Version) {
    let entry = entry(posture, version);
    entry.accepted = Some(true);
    entry.secure_renegotiation = Some(true);
    entry.extended_master_secret = (version > Version::Ssl3).then_some(true);
}

const USUAL: Profile = Profile::Intermediate;

#[test]
fn a_good_server_is_told_of_nothing() {
    change(|_| {}, USUAL, &[]);
}

#[test]
fn old_versions_are_told_by_how_bad_they_are() {
    change(|it| accept(it, Version::Ssl3), USUAL, &[("tls.version_insecure", Severity::Critical)]);
    change(|it| accept(it, Version::Tls10), USUAL, &[("tls.version_old", Severity::Error)]);
    change(|it| accept(it, Version::Tls11), USUAL, &[("tls.version_old", Severity::Error)]);
    change(|it| entry(it, Version::Tls10).accepted = None, USUAL, &[]);
}

#[test]
fn who_chose_to_serve_old_clients_is_not_alarmed_about_their_versions() {
    change(|it| accept(it, Version::Tls10), Profile::Old, &[("tls.version_old", Severity::Notice)]);
    change(|it| accept(it, Version::Ssl3), Profile::Old, &[("tls.version_insecure", Severity::Critical)]);
}

#[test]
fn a_server_without_the_newest_version_is_told_so_and_one_that_is_unknown_is_not() {
    let refuse = |it: &mut Posture| entry(it, Version::Tls13).accepted = Some(false);
    change(refuse, USUAL, &[("tls.no_tls13", Severity::Notice)]);
    change(|it| entry(it, Version::Tls13).accepted = None, USUAL, &[]);
    assert_eq!(judged(posture(&[]), USUAL), []);
}

#[test]
fn each_mark_of_a_safe_handshake_is_missed() {
    let tls12 = |it: &mut Posture| entry(it, Version::Tls12).clone();
    let set = |it: &mut Posture, new| *entry(it, Version::Tls12) = new;
    change(
        |it| {
            let new = VersionPosture { compression: Some(true), ..tls12(it) };
            set(it, new);
        },
        USUAL,
        &[("tls.compression", Severity::Warning)],
    );
    change(
        |it| {
            let new = VersionPosture { secure_renegotiation: Some(false), ..tls12(it) };
            set(it, new);
        },
        USUAL,
        &[("tls.renegotiation", Severity::Warning)],
    );
    change(
        |it| {
            let new = VersionPosture { extended_master_secret: Some(false), ..tls12(it) };
            set(it, new);
        },
        USUAL,
        &[("tls.extended_master_secret", Severity::Notice)],
    );
    change(
        |it| {
            let new = VersionPosture {
                compression: None,
                secure_renegotiation: None,
                extended_master_secret: None,
                ..tls12(it)
            };
            set(it, new);
        },
        USUAL,
        &[],
    );
}

#[test]
fn a_needless_fallback_matters_where_there_is_an_old_version_to_fall_to() {
    change(|it| it.fallback_scsv = Some(false), USUAL, &[]);
    let two = |scsv| {
        move |it: &mut Posture| {
            accept(it, Version::Tls11);
            it.fallback_scsv = scsv;
        }
    };
    let old = ("tls.version_old", Severity::Error);
    change(two(Some(false)), USUAL, &[old, ("tls.fallback", Severity::Warning)]);
    change(two(Some(true)), USUAL, &[old]);
    change(two(None), USUAL, &[old]);
}

#[test]
fn a_scan_that_broke_off_says_why_and_neither_opens_nor_closes() {
    let mut broken_off = good();
    broken_off.incomplete = Some("250 connections are used up".into());
    let world = World::of(vec![("192.0.2.1", Some(broken_off))]);
    let found = world.look(|case| merged(notes(case)));
    let row = found.iter().find(|finding| finding.id.as_str() == "tls.scan_incomplete").unwrap();
    assert!(!row.measured && !row.alerts());
    assert!(row.summary.contains("250 connections are used up"), "{}", row.summary);
}

#[test]
fn nothing_is_said_without_a_scan_or_without_a_profile() {
    let mut weak = good();
    accept(&mut weak, Version::Ssl3);
    let unscanned = World::of(vec![("192.0.2.1", None)]);
    assert_eq!(unscanned.look(|case| merged(notes(case))), []);
    let off = World::of(vec![("192.0.2.1", Some(weak))]).by(Profile::Off);
    assert_eq!(off.look(|case| merged(notes(case))), []);
}

#[test]
fn between_scans_a_weakness_stays_told() {
    let mut weak = good();
    accept(&mut weak, Version::Tls10);
    let mut world = World::of(vec![("192.0.2.1", Some(weak))]);
    let scanned = world.look(|case| merged(notes(case)));
    world.memory = world.look_at(Timestamp::UNIX_EPOCH, super::super::remember);
    world.facts.hosts[0].endpoints[0].posture = None;
    assert!(scanned.iter().any(|finding| finding.id.as_str() == "tls.version_old"));
    assert_eq!(world.look(|case| merged(notes(case))), scanned);
}

#[test]
fn a_weakness_stays_told_through_scans_that_broke_off() {
    let mut weak = good();
    accept(&mut weak, Version::Tls10);
    let mut world = World::of(vec![("192.0.2.1", Some(weak))]);
    world.memory = world.look_at(Timestamp::UNIX_EPOCH, super::super::remember);
    let mut broken_off = good();
    entry(&mut broken_off, Version::Tls10).accepted = None;
    broken_off.incomplete = Some("timed out".into());
    world.facts.hosts[0].endpoints[0].posture = Some(broken_off);
    for _ in 0..2 {
        world.memory = world.look_at(Timestamp::UNIX_EPOCH, super::super::remember);
        let found = world.look(|case| merged(notes(case)));
        assert!(found.iter().any(|finding| finding.id.as_str() == "tls.version_old"));
    }
}

#[test]
fn an_address_that_is_gone_is_forgotten_in_time_and_memory_is_bounded() {
    let mut world = World::of(vec![("192.0.2.1", Some(good()))]);
    world.memory.postures.insert("portal.example 192.0.2.9:443".into(), good());
    let now = Timestamp::UNIX_EPOCH;
    let kept = world.look_at(now + 23.hours(), super::super::remember).postures;
    assert_eq!(kept.len(), 2);
    let kept = world.look_at(now + 25.hours(), super::super::remember).postures;
    assert_eq!(kept.keys().collect::<Vec<_>>(), ["portal.example 192.0.2.1:443"]);
    for number in 0..1000 {
        world.memory.postures.insert(format!("portal.example {number}"), good());
    }
    assert_eq!(world.look_at(now, super::super::remember).postures.len(), REMEMBERED);
    let off = world.by(Profile::Off);
    assert!(off.look_at(now, super::super::remember).postures.is_empty());
}

#[test]
fn a_whole_run_tells_of_each_address_of_the_profile_and_of_differences() {
    let mut old = good();
    accept(&mut old, Version::Tls10);
    let world = World::of(vec![("192.0.2.1", Some(good())), ("192.0.2.2", Some(old))]);
    let found = world.look(super::super::findings);
    let about = |id: &str| found.iter().find(|finding| finding.id.as_str() == id).unwrap();
    let version = about("tls.version_old");
    assert_eq!(version.subject, "portal.example server");
    assert_eq!(version.summary, "accepts TLSv1.0 (at 192.0.2.2)");
    assert_eq!(about("tls.profile").subject, "portal.example versions");
    assert_eq!(about("tls.addresses_differ").subject, "portal.example addresses");
}

#[test]
fn whatever_can_be_said_is_explained_and_none_of_it_cuts_users_off() {
    use crate::probe::certificate::docs;
    let about_tls: Vec<_> = docs::ALL.iter().filter(|doc| doc.id.starts_with("tls.")).collect();
    for doc in docs::posture::FINDINGS {
        assert!(!doc.broken && about_tls.contains(&doc), "{}", doc.id);
    }
}

async fn scanned(address: SocketAddr) -> Posture {
    use crate::net::{Net, NetOptions, Origin, ScanOptions, TlsTarget};
    let net = Net::new(NetOptions {
        per_host: 100,
        global: 100,
        user_agent: "portalwatch/test".into(),
        hosts: std::collections::BTreeMap::new(),
    });
    let target = TlsTarget {
        host: "portal.example".into(),
        address,
        origin: Origin::Operator,
        server_name: Some("portal.example".into()),
        starttls: None,
        timeout: std::time::Duration::from_secs(10),
    };
    let scan = net.scan_tls(&target, ScanOptions::default()).await.unwrap();
    Posture::of(&scan, Timestamp::UNIX_EPOCH)
}

#[tokio::test]
async fn a_real_server_of_today_is_told_of_nothing() {
    use crate::net::fakes::{Authority, tls_server};
    let authority = Authority::new();
    let issued = authority.issue("portal.example", |_| {});
    let posture = scanned(tls_server(authority.server(&issued, &[], false)).await).await;
    assert_eq!(judged(posture.clone(), USUAL), []);
    let world = World::of(vec![("192.0.2.1", Some(posture))]);
    let found = world.look(super::super::findings);
    let ids: Vec<&str> = found.iter().map(|finding| finding.id.as_str()).collect();
    assert_eq!(ids, ["tls.post_quantum"]);
}
