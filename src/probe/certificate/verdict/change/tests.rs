//! Stories of renewals: what each run tells, and what it must not.

use rcgen::{KeyPair, PKCS_ED25519};

use super::super::fixtures::{Authority, DAY, Does, Story, alerting, at, found, key, shows};
use super::*;

const LIFETIME: i64 = 90 * DAY;

fn day(text: &str) -> i64 {
    at(text).as_second() - 3_600
}

/// A run at an address that shows one leaf.
fn run(story: &mut Story, on: &str, leaf: &[u8]) -> Vec<Finding> {
    story.run(at(on), &[(1, shows(leaf))])
}

#[test]
fn the_first_look_at_a_host_is_no_change() {
    let authority = Authority::new("Acme", "A1");
    let mut story = Story::new(&[&authority]);
    let found = run(&mut story, "2026-01-02", &authority.leaf(&key(), day("2026-01-01"), LIFETIME));
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_renewal_in_time_is_told_and_wakes_nobody_and_is_over_after_a_day() {
    let authority = Authority::new("Acme", "A1");
    let mut story = Story::new(&[&authority]);
    run(&mut story, "2026-01-02", &authority.leaf(&key(), day("2026-01-01"), LIFETIME));
    let new = authority.leaf(&key(), day("2026-03-01"), LIFETIME);
    let first = run(&mut story, "2026-03-01", &new);
    let renewed = found(&first, "cert.renewed").unwrap();
    assert!(renewed.summary.starts_with("was renewed with a new key, with 34 %"), "{}", renewed.summary);
    assert_eq!(renewed.subject, "portal.example.com leaf");
    assert!(alerting(&first).is_empty(), "{first:?}");
    let again = story.run("2026-03-02T11:59:59Z".parse().unwrap(), &[(1, shows(&new))]);
    assert!(found(&again, "cert.renewed").is_some());
    assert!(run(&mut story, "2026-03-02", &new).is_empty());
}

#[test]
fn the_same_key_is_a_renewal_at_any_time() {
    let (authority, key) = (Authority::new("Acme", "A1"), key());
    let mut story = Story::new(&[&authority]);
    run(&mut story, "2026-01-02", &authority.leaf(&key, day("2026-01-01"), LIFETIME));
    let found = run(&mut story, "2026-01-05", &authority.leaf(&key, day("2026-01-05"), LIFETIME));
    assert!(found[0].summary.starts_with("was renewed with the same key"), "{found:?}");
    assert!(alerting(&found).is_empty());
}

#[test]
fn a_new_key_early_in_the_lifetime_is_told() {
    let authority = Authority::new("Acme", "A1");
    let mut story = Story::new(&[&authority]);
    run(&mut story, "2026-01-02", &authority.leaf(&key(), day("2026-01-01"), LIFETIME));
    let new = authority.leaf(&key(), day("2026-01-20"), LIFETIME);
    let found = run(&mut story, "2026-01-20", &new);
    assert_eq!(alerting(&found), ["cert.replaced_early"]);
    assert!(found[0].summary.contains("79 % of its lifetime left"), "{}", found[0].summary);
    assert!(!found[0].broken);
}

#[test]
fn who_always_renews_early_is_not_told_of_it_again_and_again() {
    let authority = Authority::new("Acme", "A1");
    let mut story = Story::new(&[&authority]);
    run(&mut story, "2026-01-02", &authority.leaf(&key(), day("2026-01-01"), LIFETIME));
    for (on, told) in [("2026-01-20", 1), ("2026-02-10", 0), ("2026-03-02", 0)] {
        let found = run(&mut story, on, &authority.leaf(&key(), day(on), LIFETIME));
        assert_eq!(alerting(&found).len(), told, "{on}: {found:?}");
    }
}

#[test]
fn another_intermediate_of_the_authority_is_no_new_issuer_and_another_authority_is() {
    let [r10, r11] = ["R10", "R11"].map(|name| Authority::new("Let's Encrypt", name));
    let other = Authority::new("ZeroSSL", "R12");
    let mut story = Story::new(&[&r10, &r11, &other]);
    run(&mut story, "2026-01-02", &r10.leaf(&key(), day("2026-01-01"), LIFETIME));
    let same = run(&mut story, "2026-03-02", &r11.leaf(&key(), day("2026-03-02"), LIFETIME));
    assert!(found(&same, "cert.renewed").is_some() && alerting(&same).is_empty(), "{same:?}");
    let changed = run(&mut story, "2026-05-02", &other.leaf(&key(), day("2026-05-02"), LIFETIME));
    assert_eq!(alerting(&changed), ["cert.issuer_changed"]);
    let summary = &changed[0].summary;
    assert!(
        summary.starts_with("is issued by ZeroSSL (R12) and no longer by Let's Encrypt (R11)"),
        "{summary}"
    );
}

#[test]
fn a_certificate_that_lives_six_days_may_be_renewed_every_other_day() {
    let authority = Authority::new("Acme", "A1");
    let mut story = Story::new(&[&authority]);
    run(&mut story, "2026-01-01", &authority.leaf(&key(), day("2026-01-01"), 6 * DAY));
    let in_time = run(&mut story, "2026-01-03", &authority.leaf(&key(), day("2026-01-03"), 6 * DAY));
    assert!(found(&in_time, "cert.renewed").is_some() && alerting(&in_time).is_empty(), "{in_time:?}");
    let early = run(&mut story, "2026-01-04", &authority.leaf(&key(), day("2026-01-04"), 6 * DAY));
    assert_eq!(alerting(&early), ["cert.replaced_early"]);
}

#[test]
fn another_kind_of_key_in_place_of_the_old_one_is_a_renewal_too() {
    let authority = Authority::new("Acme", "A1");
    let mut story = Story::new(&[&authority]);
    run(&mut story, "2026-01-02", &authority.leaf(&key(), day("2026-01-01"), LIFETIME));
    let ed25519 = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let new = authority.leaf(&ed25519, day("2026-03-02"), LIFETIME);
    let changed = run(&mut story, "2026-03-02", &new);
    let renewed = found(&changed, "cert.renewed").unwrap();
    assert!(renewed.summary.ends_with("(Ed25519 instead of ECDSA)"), "{}", renewed.summary);
}

#[test]
fn a_second_certificate_with_another_kind_of_key_is_no_change() {
    let authority = Authority::new("Acme", "A1");
    let mut story = Story::new(&[&authority]);
    let first = authority.leaf(&key(), day("2026-01-01"), LIFETIME);
    run(&mut story, "2026-01-02", &first);
    let second = authority.leaf(&KeyPair::generate_for(&PKCS_ED25519).unwrap(), day("2026-01-03"), LIFETIME);
    let both = Does::Shows(vec![first, second]);
    let found = story.run(at("2026-01-04"), &[(1, both)]);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_renewal_at_both_addresses_at_once_is_told_once_and_wakes_nobody() {
    let authority = Authority::new("Acme", "A1");
    let mut story = Story::new(&[&authority]);
    let old = authority.leaf(&key(), day("2026-01-01"), LIFETIME);
    let new = authority.leaf(&key(), day("2026-03-02"), LIFETIME);
    story.run(at("2026-01-02"), &[(1, shows(&old)), (2, shows(&old))]);
    let found = story.run(at("2026-03-02"), &[(1, shows(&new)), (2, shows(&new))]);
    let ids: Vec<&str> = found.iter().map(|finding| finding.id.as_str()).collect();
    assert_eq!(ids, ["cert.renewed"]);
}

#[test]
fn a_change_that_is_no_renewal_is_told_when_it_reached_every_address() {
    let (authority, other) = (Authority::new("Acme", "A1"), Authority::new("Mallory", "M1"));
    let mut story = Story::new(&[&authority, &other]);
    let old = authority.leaf(&key(), day("2026-01-01"), LIFETIME);
    let new = other.leaf(&key(), day("2026-01-10"), LIFETIME);
    story.run(at("2026-01-02"), &[(1, shows(&old)), (2, shows(&old))]);
    let half = story.run(at("2026-01-10"), &[(1, shows(&new)), (2, shows(&old))]);
    assert_eq!(alerting(&half), ["cert.addresses_differ"]);
    // The second address is only silent: the old one was not replaced there.
    let silent = story.run(at("2026-01-11"), &[(1, shows(&new)), (2, Does::Fails)]);
    assert!(found(&silent, "cert.issuer_changed").is_none(), "{silent:?}");
    let whole = story.run(at("2026-01-13"), &[(1, shows(&new)), (2, shows(&new))]);
    assert_eq!(alerting(&whole), ["cert.issuer_changed"]);
}

#[test]
fn a_key_that_is_none_of_the_pins_is_told_in_every_run() {
    use base64::Engine as _;

    let authority = Authority::new("Acme", "A1");
    let leaf = authority.leaf(&key(), day("2026-01-01"), LIFETIME);
    let spki = crate::formats::x509::Certificate::parse(&leaf).unwrap().spki_sha256;
    let bytes: Vec<u8> =
        (0..32).map(|at| u8::from_str_radix(&spki[at * 2..at * 2 + 2], 16).unwrap()).collect();
    let base64 = base64::engine::general_purpose::STANDARD.encode(bytes);
    let other = "00".repeat(32);
    for (pins, told) in
        [(vec![other.clone()], true), (vec![other.clone(), spki], false), (vec![base64], false)]
    {
        let mut story = Story::new(&[&authority]);
        story.spec.pins = pins.clone();
        for on in ["2026-01-02", "2026-01-09"] {
            let found = run(&mut story, on, &leaf);
            assert_eq!(alerting(&found), if told { vec!["cert.pin"] } else { vec![] }, "{pins:?}");
            assert!(found.iter().all(|finding| !finding.broken));
        }
    }
}

#[test]
fn a_pin_is_hex_or_base64_of_32_bytes_and_nothing_else() {
    let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let base64 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    assert_eq!(digest(hex).unwrap(), hex);
    assert_eq!(digest(&hex.to_uppercase()).unwrap(), hex);
    assert_eq!(digest(base64).unwrap(), hex);
    assert_eq!(digest(&format!("sha256/{base64}")).unwrap(), hex);
    for wrong in ["", "e3b0", "sha1/2jmj7l5rSw0yVb/vlWAYkK/YBwk=", &hex[1..], "not a pin"] {
        assert!(digest(wrong).is_err(), "{wrong}");
    }
}

/// A host whose certificates were renewed with half of their lifetime left, three times.
fn punctual(lifetime: i64) -> (Story, Vec<u8>, i64) {
    let authority = Authority::new("Acme", "A1");
    let mut story = Story::new(&[&authority]);
    let begun = day("2026-01-01");
    let mut leaf = Vec::new();
    for number in 0..4 {
        let from = begun + number * lifetime / 2;
        leaf = authority.leaf(&key(), from, lifetime);
        story.run(Timestamp::from_second(from + 60).unwrap(), &[(1, shows(&leaf))]);
    }
    (story, leaf, begun + 3 * lifetime / 2)
}

#[test]
fn a_renewal_that_always_came_and_does_not_come_is_told_before_the_certificate_runs_out() {
    for lifetime in [LIFETIME, 6 * DAY] {
        let (mut story, leaf, from) = punctual(lifetime);
        let mut at = |share: i64| {
            let now = Timestamp::from_second(from + lifetime * share / 100).unwrap();
            let told = story.run(now, &[(1, shows(&leaf))]);
            found(&told, "cert.renewal_late").cloned()
        };
        assert_eq!(at(30), None);
        assert_eq!(at(59), None);
        let late = at(61).unwrap();
        assert_eq!(late.severity, Severity::Notice, "{late:?}");
        assert_eq!(at(66).unwrap().severity, Severity::Warning);
        // From there on the expiry itself is told.
        assert_eq!(at(99), None);
    }
}

#[test]
fn a_late_renewal_is_told_with_what_was_usual_and_what_is_left() {
    let (mut story, leaf, from) = punctual(LIFETIME);
    let told = story.run(Timestamp::from_second(from + 56 * DAY).unwrap(), &[(1, shows(&leaf))]);
    assert_eq!(
        found(&told, "cert.renewal_late").unwrap().summary,
        "the last 3 were renewed with 50 % of their lifetime left, which is 44 days for this one; it has 33 days (38 %), and no renewal came"
    );
}

#[test]
fn renewals_that_never_were_punctual_are_not_held_to_a_time() {
    let authority = Authority::new("Acme", "A1");
    let mut story = Story::new(&[&authority]);
    let begun = day("2026-01-01");
    let mut leaf = Vec::new();
    // Renewed with 90, 40 and 70 % left.
    for days in [0, 9, 63, 90] {
        leaf = authority.leaf(&key(), begun + days * DAY, LIFETIME);
        story.run(Timestamp::from_second(begun + days * DAY).unwrap(), &[(1, shows(&leaf))]);
    }
    let told = story.run(Timestamp::from_second(begun + (90 + 44) * DAY).unwrap(), &[(1, shows(&leaf))]);
    let told = found(&told, "cert.renewal_late");
    assert!(told.is_none_or(|told| told.severity == Severity::Notice), "{told:?}");
}

#[test]
fn nothing_is_written_while_nothing_changes() {
    let authority = Authority::new("Acme", "A1");
    let mut story = Story::new(&[&authority]);
    let leaf = authority.leaf(&key(), day("2026-01-01"), LIFETIME);
    run(&mut story, "2026-01-02", &leaf);
    let memory = story.memory.clone();
    assert!(!memory.history.hosts.is_empty());
    for on in ["2026-01-03", "2026-02-03", "2026-03-25"] {
        run(&mut story, on, &leaf);
        assert_eq!(story.memory, memory, "{on}");
    }
    run(&mut story, "2026-03-26", &authority.leaf(&key(), day("2026-03-26"), LIFETIME));
    assert_ne!(story.memory, memory);
}

#[test]
fn a_host_with_more_certificates_than_are_kept_does_not_change_in_every_run() {
    let authority = Authority::new("Acme", "A1");
    let mut story = Story::new(&[&authority]);
    let leaves: Vec<Does> =
        (0..12).map(|_| shows(&authority.leaf(&key(), day("2026-01-01"), LIFETIME))).collect();
    let all: Vec<(u8, Does)> = (1..).zip(leaves).collect();
    story.run(at("2026-01-02"), &all);
    let memory = story.memory.clone();
    let later = story.run(at("2026-01-20"), &all);
    assert_eq!(story.memory, memory);
    assert!(found(&later, "cert.replaced_early").is_none());
    let kept = story.memory.history.hosts["portal.example.com"]["ecdsa"].len();
    assert_eq!(kept, history::MOST);
}

#[test]
fn a_history_is_bounded_and_its_oldest_goes_first() {
    let authority = Authority::new("Acme", "A1");
    let mut story = Story::new(&[&authority]);
    let begun = day("2026-01-01");
    for number in 0..20 {
        let from = begun + number * 3 * DAY;
        let leaf = authority.leaf(&key(), from, 6 * DAY);
        story.run(Timestamp::from_second(from).unwrap(), &[(1, shows(&leaf))]);
    }
    let line = &story.memory.history.hosts["portal.example.com"]["ecdsa"];
    assert_eq!(line.len(), history::MOST);
    assert_eq!(line[0].not_before, begun + 12 * 3 * DAY);
}

#[test]
fn a_host_that_is_no_longer_looked_at_is_forgotten() {
    let authority = Authority::new("Acme", "A1");
    let mut story = Story::new(&[&authority]);
    run(&mut story, "2026-01-02", &authority.leaf(&key(), day("2026-01-01"), LIFETIME));
    story.judge(at("2026-01-03"), &crate::probe::certificate::facts::Facts::default());
    assert!(story.memory.history.hosts.is_empty());
    assert_eq!(story.memory.served, Default::default());
}
