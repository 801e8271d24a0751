//! Addresses that differ.

use super::fixtures::{Authority, DAY, Does, Story, alerting, at, found, key, shows};
use crate::model::Severity;

const LIFETIME: i64 = 90 * DAY;
const ID: &str = "cert.addresses_differ";

/// A host with two addresses and one certificate, looked at once.
fn story() -> (Authority, Story, Vec<u8>, Vec<u8>) {
    let authority = Authority::new("Acme", "A1");
    let mut story = Story::new(&[&authority]);
    // Long enough that its renewal is not late yet.
    let old = authority.leaf(&key(), at("2026-01-01").as_second(), LIFETIME + 10 * DAY);
    let new = authority.leaf(&key(), at("2026-03-01").as_second(), LIFETIME);
    story.run(at("2026-01-02"), &[(1, shows(&old)), (2, shows(&old))]);
    (authority, story, old, new)
}

#[test]
fn a_renewal_that_reached_one_of_two_addresses_is_one_alert_that_names_both() {
    let (_, mut story, old, new) = story();
    let told = story.run(at("2026-03-02"), &[(1, shows(&new)), (2, shows(&old))]);
    assert_eq!(alerting(&told), [ID]);
    let differ = found(&told, ID).unwrap();
    assert_eq!((differ.subject.as_str(), differ.severity), ("portal.example.com leaf", Severity::Error));
    assert!(!differ.broken);
    let summary = &differ.summary;
    assert!(summary.starts_with("addresses show different certificates: 192.0.2.1 has "), "{summary}");
    assert!(summary.contains("of Acme (A1) until 2026-05-30T11:59:59Z"), "{summary}");
    assert!(summary.contains(", 192.0.2.2 still has "), "{summary}");
}

#[test]
fn a_renewal_just_after_another_that_reached_one_address_is_that_one_alert_too() {
    let (authority, mut story, old, _) = story();
    let new = authority.leaf(&key(), at("2026-01-03").as_second(), LIFETIME);
    let told = story.run(at("2026-01-03"), &[(1, shows(&new)), (2, shows(&old))]);
    assert_eq!(alerting(&told), [ID]);
}

#[test]
fn addresses_that_show_the_same_or_nothing_do_not_differ() {
    let (_, mut story, old, _) = story();
    for second in [shows(&old), Does::Fails, Does::Unmeasured] {
        let told = story.run(at("2026-01-03"), &[(1, shows(&old)), (2, second)]);
        assert!(found(&told, ID).is_none(), "{told:?}");
    }
}

#[test]
fn an_address_that_shows_now_one_now_the_other_is_told() {
    let (_, mut story, old, new) = story();
    let told = story.run(at("2026-03-02"), &[(1, Does::Shows(vec![new, old]))]);
    let summary = &found(&told, ID).unwrap().summary;
    assert!(summary.ends_with("; 192.0.2.1 show now one, now another"), "{summary}");
}

#[test]
fn one_certificate_for_each_kind_of_key_is_no_difference_and_each_kind_is_told_by_itself() {
    let (authority, mut story, old, new) = story();
    let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let other = authority.leaf(&other, at("2026-01-01").as_second(), LIFETIME);
    let both = |leaf: &[u8]| Does::Shows(vec![leaf.to_vec(), other.clone()]);
    let told = story.run(at("2026-01-03"), &[(1, both(&old)), (2, both(&old))]);
    assert!(found(&told, ID).is_none(), "{told:?}");
    let told = story.run(at("2026-03-02"), &[(1, both(&new)), (2, both(&old))]);
    assert_eq!(found(&told, ID).unwrap().subject, "portal.example.com leaf (ECDSA)");
}

#[test]
fn a_host_built_with_a_certificate_for_each_address_is_a_notice_after_a_day() {
    let (authority, _, old, new) = story();
    let mut story = Story::new(&[&authority]);
    let both = [(1, shows(&new)), (2, shows(&old))];
    assert_eq!(alerting(&story.run(at("2026-03-02"), &both)), [ID]);
    let settled = story.run(at("2026-03-03"), &both);
    assert_eq!(found(&settled, ID).unwrap().severity, Severity::Notice);
    assert!(alerting(&settled).is_empty());
    // One of them is renewed in its place: nothing new but for a day.
    let renewed = authority.leaf(&key(), at("2026-03-05").as_second(), LIFETIME);
    let both = [(1, shows(&new)), (2, shows(&renewed))];
    assert_eq!(alerting(&story.run(at("2026-03-05"), &both)), [ID]);
    assert!(alerting(&story.run(at("2026-03-06"), &both)).is_empty());
}

#[test]
fn a_renewal_that_got_stuck_half_way_stays_an_error_for_a_week() {
    let (_, mut story, old, new) = story();
    let both = [(1, shows(&new)), (2, shows(&old))];
    story.run(at("2026-02-28"), &both);
    // Later the old one runs out, which is told by itself.
    for (on, severity) in
        [("2026-03-02", Severity::Error), ("2026-03-06", Severity::Error), ("2026-03-07", Severity::Notice)]
    {
        assert_eq!(found(&story.run(at(on), &both), ID).unwrap().severity, severity, "{on}");
    }
}

#[test]
fn different_authorities_or_a_certificate_that_clients_refuse_never_settle() {
    let (authority, _, old, _) = story();
    let stranger = Authority::new("Stranger", "S1");
    let other = Authority::new("Acme", "A9");
    let theirs = stranger.leaf(&key(), at("2026-01-01").as_second(), LIFETIME);
    let refused = other.leaf(&key(), at("2026-01-01").as_second(), LIFETIME);
    for second in [theirs, refused] {
        let mut story = Story::new(&[&authority, &stranger]);
        let both = [(1, shows(&old)), (2, shows(&second))];
        story.run(at("2026-01-02"), &both);
        let told = story.run(at("2026-02-02"), &both);
        assert_eq!(found(&told, ID).unwrap().severity, Severity::Error);
    }
}

#[test]
fn an_old_certificate_that_comes_back_at_one_address_is_told() {
    let (_, mut story, old, new) = story();
    story.run(at("2026-03-01"), &[(1, shows(&new)), (2, shows(&new))]);
    let told = story.run(at("2026-03-20"), &[(1, shows(&new)), (2, shows(&old))]);
    assert!(found(&told, ID).is_some(), "{told:?}");
}
