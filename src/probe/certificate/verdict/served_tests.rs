//! What is exposed.

use std::collections::BTreeSet;

use super::fixtures::{Authority, DAY, Does, NAME, Story, at, key, shows};
use super::served::series;
use crate::model::Series;
use crate::probe::certificate::facts::{AskedKey, AskedVersions, Facts, Shown, View};

const LIFETIME: i64 = 90 * DAY;
const NOT_AFTER: &str = "portalwatch_certificate_not_after_timestamp_seconds";
const NOT_BEFORE: &str = "portalwatch_certificate_not_before_timestamp_seconds";
const LEFT: &str = "portalwatch_certificate_lifetime_left_ratio";
const INFO: &str = "portalwatch_certificate_info";
const TRUSTED: &str = "portalwatch_certificate_trusted";

fn exposed(story: &Story, on: &str) -> Vec<Series> {
    let all = series(&story.memory.served, at(on));
    let mut known = BTreeSet::new();
    assert!(all.iter().all(|one| known.insert((one.doc.name, one.labels.clone()))), "equal labels");
    assert!(all.iter().flat_map(|one| &one.labels).all(|(_, value)| value.len() <= 128));
    all
}

fn values(all: &[Series], name: &str) -> Vec<f64> {
    all.iter().filter(|one| one.doc.name == name).map(|one| one.value).collect()
}

fn label<'s>(one: &'s Series, name: &str) -> &'s str {
    one.labels.iter().find(|(label, _)| *label == name).map(|(_, value)| value.as_str()).unwrap()
}

fn start() -> (Authority, Story, Vec<u8>) {
    let authority = Authority::new("Acme", "A1");
    let story = Story::new(&[&authority]);
    let leaf = authority.leaf(&key(), at("2026-01-01").as_second(), LIFETIME);
    (authority, story, leaf)
}

#[test]
fn a_certificate_has_its_dates_its_share_and_its_names() {
    let (_, mut story, leaf) = start();
    story.run(at("2026-01-02"), &[(1, shows(&leaf))]);
    let all = exposed(&story, "2026-01-02");
    let first = all.iter().find(|one| one.doc.name == NOT_AFTER).unwrap();
    let labels: Vec<(&str, &str)> =
        first.labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(
        labels,
        [
            ("host", NAME),
            ("port", "443"),
            ("address", "192.0.2.1"),
            ("key_type", "ecdsa"),
            ("sni", NAME),
            ("position", "0")
        ]
    );
    let begun = at("2026-01-01").as_second();
    assert_eq!(values(&all, NOT_BEFORE), [begun as f64]);
    assert_eq!(values(&all, NOT_AFTER), [(begun + LIFETIME - 1) as f64]);
    assert!((values(&all, LEFT)[0] - 89.0 / 90.0).abs() < 1e-6);
    assert_eq!((values(&all, TRUSTED), values(&all, INFO)), (vec![1.0], vec![1.0]));
    let info = all.iter().find(|one| one.doc.name == INFO).unwrap();
    assert_eq!(label(info, "issuer"), "CN=A1,O=Acme");
    assert_eq!(label(info, "fingerprint").len(), 64);
    assert_eq!(label(info, "subject"), format!("CN={NAME}"));
}

#[test]
fn an_expired_or_untrusted_certificate_keeps_its_series() {
    let (_, mut story, leaf) = start();
    let stranger = Authority::new("Stranger", "S1").leaf(&key(), at("2026-01-01").as_second(), LIFETIME);
    story.run(at("2026-07-01"), &[(1, shows(&leaf)), (2, shows(&stranger))]);
    let all = exposed(&story, "2026-07-01");
    assert_eq!(values(&all, NOT_AFTER).len(), 2);
    assert_eq!(values(&all, TRUSTED), [0.0, 0.0]);
    assert!(values(&all, LEFT).iter().all(|left| (-1.1..-1.0).contains(left)), "{all:?}");
}

#[test]
fn a_certificate_that_ran_out_since_the_last_run_is_trusted_no_longer() {
    let (_, mut story, leaf) = start();
    story.run(at("2026-01-02"), &[(1, shows(&leaf))]);
    assert_eq!(values(&exposed(&story, "2026-05-01"), TRUSTED), [0.0]);
}

#[test]
fn an_address_that_does_not_answer_goes_after_three_runs_and_not_before() {
    let (_, mut story, leaf) = start();
    story.run(at("2026-01-02"), &[(1, shows(&leaf)), (2, shows(&leaf))]);
    for (on, left) in [("2026-01-03", 2), ("2026-01-04", 2), ("2026-01-05", 1)] {
        story.run(at(on), &[(1, shows(&leaf)), (2, Does::Fails)]);
        assert_eq!(values(&exposed(&story, on), NOT_AFTER).len(), left, "{on}");
    }
}

#[test]
fn an_address_that_is_back_after_two_runs_has_three_again() {
    let (_, mut story, leaf) = start();
    for does in [shows(&leaf), Does::Fails, Does::Fails, shows(&leaf), Does::Fails, Does::Fails] {
        story.run(at("2026-01-02"), &[(1, does)]);
        assert_eq!(values(&exposed(&story, "2026-01-02"), NOT_AFTER).len(), 1);
    }
}

#[test]
fn an_address_that_left_the_name_goes_too_and_one_that_we_cannot_reach_stays() {
    let (_, mut story, leaf) = start();
    story.run(at("2026-01-02"), &[(1, shows(&leaf)), (2, shows(&leaf)), (3, shows(&leaf))]);
    for _ in 0..5 {
        story.run(at("2026-01-02"), &[(1, shows(&leaf)), (2, Does::Unmeasured)]);
    }
    let all = exposed(&story, "2026-01-02");
    let addresses: Vec<&str> =
        all.iter().filter(|one| one.doc.name == NOT_AFTER).map(|one| label(one, "address")).collect();
    assert_eq!(addresses, ["192.0.2.1", "192.0.2.2"]);
}

#[test]
fn a_name_that_does_not_resolve_says_nothing_of_its_addresses() {
    let (_, mut story, leaf) = start();
    story.run(at("2026-01-02"), &[(1, shows(&leaf))]);
    let mut facts = story.facts(&[]);
    facts.hosts[0].unmeasured = Some(crate::probe::web::facts::Skipped {
        cause: crate::model::Cause::LocalDns,
        why: "no resolver".into(),
        no_route: false,
    });
    for _ in 0..5 {
        story.judge(at("2026-01-02"), &facts);
    }
    assert_eq!(values(&exposed(&story, "2026-01-02"), NOT_AFTER).len(), 1);
}

fn add(facts: &mut Facts, sni: bool, key_type: AskedKey, chain: &[&[u8]]) {
    let chain = chain.iter().map(|der| facts.keep(der.to_vec())).collect();
    let view = View {
        sni,
        key_type,
        versions: AskedVersions::Both,
        shown: Some(Shown { chain, ..Shown::default() }),
        failure: None,
    };
    facts.hosts[0].endpoints[0].views.push(view);
}

#[test]
fn many_handshakes_that_show_one_chain_make_one_row_and_each_position_its_own() {
    let (authority, mut story, leaf) = start();
    let mut facts = story.facts(&[(1, Does::Shows(Vec::new()))]);
    for (sni, key_type) in [(true, AskedKey::Any), (true, AskedKey::Ecdsa), (false, AskedKey::Any)] {
        // The root is sent twice: positions tell the two apart.
        add(&mut facts, sni, key_type, &[&leaf, &authority.der, &authority.der]);
    }
    story.judge(at("2026-01-02"), &facts);
    let all = exposed(&story, "2026-01-02");
    let of = |sni: &str| -> Vec<&str> {
        let rows = all.iter().filter(|one| one.doc.name == NOT_AFTER && label(one, "sni") == sni);
        rows.map(|one| label(one, "position")).collect()
    };
    assert_eq!((of(NAME), of("")), (vec!["0", "1", "2"], vec!["0", "1", "2"]));
    // Whether it is trusted is only known of those who asked for the name.
    assert_eq!(values(&all, TRUSTED), [1.0]);
}

#[test]
fn dates_that_cannot_be_read_are_left_out_and_the_rest_stays() {
    let (_, mut story, leaf) = start();
    let digits = b"260101120000Z";
    let place = leaf.windows(digits.len()).position(|window| window == digits).unwrap();
    let mut broken = leaf;
    broken[place..place + 6].copy_from_slice(b"xx01!!");
    story.run(at("2026-01-02"), &[(1, shows(&broken))]);
    let all = exposed(&story, "2026-01-02");
    assert!(values(&all, NOT_BEFORE).is_empty() && values(&all, LEFT).is_empty());
    assert_eq!((values(&all, NOT_AFTER).len(), values(&all, INFO).len()), (1, 1));
}

#[test]
fn long_and_odd_names_stay_within_a_label() {
    let common = format!("A\n\"\\\u{202e}{}", "é".repeat(200));
    let authority = Authority::new("Acme", &common);
    let mut story = Story::new(&[&authority]);
    let leaf = authority.leaf(&key(), at("2026-01-01").as_second(), LIFETIME);
    story.run(at("2026-01-02"), &[(1, shows(&leaf))]);
    let all = exposed(&story, "2026-01-02");
    let info = all.iter().find(|one| one.doc.name == INFO).unwrap();
    assert!(!label(info, "issuer").contains(['\n', '\u{202e}']), "{:?}", label(info, "issuer"));
}

#[test]
fn a_page_is_bounded_and_leaves_come_first() {
    let (authority, mut story, leaf) = start();
    let everything: Vec<(u8, Does)> = (1..=100).map(|last| (last, shows(&leaf))).collect();
    let mut facts = story.facts(&everything);
    let root = facts.keep(authority.der.clone());
    for endpoint in &mut facts.hosts[0].endpoints {
        let chain = &mut endpoint.views[0].shown.as_mut().unwrap().chain;
        chain.extend(vec![root.clone(); 40]);
    }
    story.judge(at("2026-01-02"), &facts);
    let all = exposed(&story, "2026-01-02");
    assert_eq!(values(&all, TRUSTED).len(), 64);
    assert_eq!(values(&all, INFO).len(), 64 * 12);
    let first = all.iter().position(|one| one.doc.name == INFO && label(one, "position") == "1").unwrap();
    let last = all.iter().rposition(|one| one.doc.name == INFO && label(one, "position") == "0").unwrap();
    assert!(last < first && last < 1_000);
}
