//! What DNS says against what is served.

use std::net::Ipv4Addr;

use super::fixtures::{Authority, DAY, NAME, Story, at, found, key, shows};
use crate::formats::x509::Certificate;
use crate::model::Finding;
use crate::probe::certificate::facts::Facts;
use crate::probe::certificate::judge::Anchors;
use crate::probe::certificate::records::{
    Asked, CaaRecord, CaaSet, HttpsRecord, HttpsSet, Records, Sent, TlsaRecord, TlsaSet,
};

/// A portal with a certificate of a public authority, and what DNS says of it.
struct World {
    story: Story,
    facts: Facts,
    leaf: Certificate,
}

impl World {
    fn new(organisation: &str) -> Self {
        let authority = Authority::new(organisation, "X1");
        let mut story = Story::new(&[&authority]);
        story.anchors = Anchors::public([Certificate::parse(&authority.der).unwrap()]);
        let leaf = authority.leaf(&key(), at("2026-01-01").as_second(), 90 * DAY);
        let mut facts = story.facts(&[(1, shows(&leaf)), (2, shows(&leaf))]);
        for endpoint in &mut facts.hosts[0].endpoints {
            let shown = endpoint.views[0].shown.as_mut().unwrap();
            (shown.version, shown.alpn) = (Some("TLSv1.3".into()), Some("http/1.1".into()));
        }
        Self { story, facts, leaf: Certificate::parse(&leaf).unwrap() }
    }

    fn says(mut self, records: Records) -> Vec<Finding> {
        self.facts.hosts[0].dns = Some(records);
        let written = serde_json::to_string(&self.facts).unwrap();
        let facts: Facts = serde_json::from_str(&written).unwrap();
        self.story.judge(at("2026-01-02"), &facts)
    }
}

fn caa(records: &[(u8, &str, &str)]) -> Records {
    let records = records.iter().map(|(flags, tag, value)| CaaRecord {
        flags: *flags,
        tag: Sent(tag.as_bytes().to_vec()),
        value: Sent(value.as_bytes().to_vec()),
    });
    let at = Some("example.com".to_owned());
    let set = CaaSet { at, records: records.collect(), ..CaaSet::default() };
    Records { caa: Some(Asked::Answered(set)), ..Records::default() }
}

fn tlsa(authentic: bool, records: Vec<TlsaRecord>) -> Records {
    let name = format!("_443._tcp.{NAME}");
    let set = TlsaSet { name, authentic, records, left_out: 0 };
    Records { tlsa: Some(Asked::Answered(set)), ..Records::default() }
}

fn of_key(digest: &str) -> TlsaRecord {
    let data = (0..64).step_by(2).map(|at| u8::from_str_radix(&digest[at..at + 2], 16).unwrap()).collect();
    TlsaRecord { usage: 3, selector: 1, matching: 1, data }
}

#[test]
fn records_that_name_another_authority_are_told_before_the_renewal_is_refused() {
    let told = World::new("Let's Encrypt").says(caa(&[(0, "issue", "digicert.com")]));
    let finding = found(&told, "cert.caa_forbids").unwrap();
    assert!(finding.alerts() && !finding.broken);
    assert!(
        finding.summary.starts_with(
            "the CAA records at example.com let digicert.com issue, and the certificate is from \
             Let's Encrypt (X1); an issue record for letsencrypt.org is missing"
        ),
        "{}",
        finding.summary
    );
    for good in [
        vec![(0, "issue", "letsencrypt.org")],
        vec![(0, "issue", "digicert.com"), (0, "issue", "letsencrypt.org; validationmethods=dns-01")],
    ] {
        let told = World::new("Let's Encrypt").says(caa(&good));
        assert!(told.iter().all(|finding| !finding.id.as_str().starts_with("cert.caa")), "{told:#?}");
    }
    let told = World::new("Let's Encrypt").says(caa(&[(0, "iodef", "mailto:a@example.com")]));
    assert!(found(&told, "cert.caa_forbids").is_none());
    assert!(found(&told, "cert.caa_missing").unwrap().summary.contains("hold no issue record"));
    let told = World::new("Let's Encrypt").says(caa(&[(0, "issue", ";")]));
    assert!(found(&told, "cert.caa_forbids").unwrap().summary.contains("let nobody issue"));
}

#[test]
fn an_authority_that_is_not_known_here_is_not_accused() {
    let told = World::new("Acme Trust").says(caa(&[(0, "issue", "digicert.com")]));
    let finding = found(&told, "cert.caa_forbids").unwrap();
    assert!(!finding.measured && finding.summary.contains("is not known here"), "{}", finding.summary);
}

#[test]
fn what_cannot_be_read_and_what_nobody_knows_is_told() {
    let told = World::new("Let's Encrypt").says(caa(&[
        (0, "issue", "letsencrypt.org"),
        (0, "issuewild", "%%%"),
        (128, "tbs", "Unknown"),
        (1, "issue", "letsencrypt.org"),
    ]));
    let syntax = found(&told, "cert.caa_syntax").unwrap();
    assert!(syntax.alerts() && syntax.summary.contains("is wrong at byte 0"), "{}", syntax.summary);
    assert!(syntax.summary.contains("has flags 1, which mean nothing"), "{}", syntax.summary);
    let critical = found(&told, "cert.caa_critical").unwrap();
    assert!(critical.alerts() && critical.summary.contains("`tbs`"), "{}", critical.summary);
    let set = CaaSet::default();
    let none = Records { caa: Some(Asked::Answered(set)), ..Records::default() };
    let told = World::new("Let's Encrypt").says(none);
    assert!(!found(&told, "cert.caa_missing").unwrap().alerts());
}

#[test]
fn records_that_fit_say_nothing_and_those_that_do_not_are_an_error() {
    let world = World::new("Let's Encrypt");
    let good = of_key(&world.leaf.spki_sha256);
    let other = of_key(&"0b".repeat(32));
    let told = world.says(tlsa(true, vec![good.clone()]));
    assert!(told.iter().all(|finding| !finding.id.as_str().starts_with("cert.tlsa")), "{told:#?}");

    let world = World::new("Let's Encrypt");
    let told = world.says(tlsa(true, vec![other.clone()]));
    let finding = found(&told, "cert.tlsa_mismatch").unwrap();
    assert!(finding.alerts() && !finding.broken, "{finding:#?}");
    assert!(finding.summary.ends_with("(at 192.0.2.1, 192.0.2.2)"), "{}", finding.summary);

    let mut world = World::new("Let's Encrypt");
    world.facts.hosts[0].starttls = Some("smtp".into());
    let told = world.says(tlsa(true, vec![other.clone()]));
    assert!(found(&told, "cert.tlsa_mismatch").unwrap().broken, "mail is not delivered");

    let world = World::new("Let's Encrypt");
    let good = of_key(&world.leaf.spki_sha256);
    let told = world.says(tlsa(true, vec![good, other]));
    assert!(
        !found(&told, "cert.tlsa_unused").unwrap().alerts() && found(&told, "cert.tlsa_mismatch").is_none()
    );
}

#[test]
fn records_that_nobody_goes_by_are_a_remark() {
    let told = World::new("Let's Encrypt").says(tlsa(false, vec![of_key(&"0b".repeat(32))]));
    assert!(found(&told, "cert.tlsa_mismatch").is_none());
    assert!(!found(&told, "cert.tlsa_insecure").unwrap().alerts());
    let short = TlsaRecord { data: vec![1], ..of_key(&"0b".repeat(32)) };
    let told = World::new("Let's Encrypt").says(tlsa(true, vec![short]));
    assert!(found(&told, "cert.tlsa_unusable").unwrap().summary.contains("32 bytes"));
    assert!(found(&told, "cert.tlsa_mismatch").is_none());
}

#[test]
fn a_promise_of_the_https_record_that_the_server_does_not_keep_is_told() {
    let record = |alpn: &[&str], hint: [u8; 4]| {
        let record = HttpsRecord {
            priority: 1,
            alpn: alpn.iter().map(|one| (*one).to_owned()).collect(),
            ipv4hint: vec![Ipv4Addr::from(hint)],
            ..HttpsRecord::default()
        };
        let set = HttpsSet { name: NAME.into(), records: vec![record], ..HttpsSet::default() };
        Records { https: Some(Asked::Answered(set)), ..Records::default() }
    };
    let told = World::new("Let's Encrypt").says(record(&["h2", "h3"], [192, 0, 2, 9]));
    let of = |part: &str| told.iter().find(|one| one.subject.ends_with(part)).unwrap();
    assert!(of("HTTPS record").alerts(), "{told:#?}");
    assert!(of("HTTPS record").summary.contains("promises h2, the server agrees on http/1.1"));
    assert!(!of("HTTPS record: hints").alerts() && of("HTTPS record: hints").summary.contains("192.0.2.9"));
    assert!(!of("HTTPS record: h3").measured);
    let told = World::new("Let's Encrypt").says(record(&["http/1.1"], [192, 0, 2, 1]));
    assert!(found(&told, "tls.https_record").is_none(), "{told:#?}");
}

#[test]
fn records_that_could_not_be_asked_for_are_neither_there_nor_missing() {
    let failed = || Records {
        caa: Some(Asked::Unanswered("SERVFAIL".into())),
        tlsa: Some(Asked::Unanswered("SERVFAIL".into())),
        https: Some(Asked::Unanswered("SERVFAIL".into())),
        ..Records::default()
    };
    let told = World::new("Let's Encrypt").says(failed());
    // What is open under one of these ids and subjects stays open.
    for (id, part) in [
        ("cert.caa_forbids", "CAA"),
        ("cert.caa_syntax", "CAA"),
        ("cert.caa_critical", "CAA"),
        ("cert.tlsa_mismatch", "TLSA"),
        ("tls.https_record", "HTTPS record"),
    ] {
        let finding = found(&told, id).unwrap();
        assert!(!finding.measured && !finding.alerts(), "{id}");
        assert_eq!(finding.subject, format!("{NAME} {part}"));
    }
    assert!(found(&told, "cert.caa_missing").is_none());
}

#[test]
fn what_was_not_read_may_be_what_fits() {
    let mut records = caa(&[(0, "issue", "digicert.com")]);
    if let Some(Asked::Answered(set)) = &mut records.caa {
        set.left_out = 1;
    }
    let told = World::new("Let's Encrypt").says(records);
    assert!(!found(&told, "cert.caa_forbids").unwrap().measured);
    let told =
        World::new("Let's Encrypt").says(caa(&[(0, "issue", "letsencrypt.org; validationmethods=new-09")]));
    assert!(!found(&told, "cert.caa_forbids").unwrap().measured);
    assert!(!found(&told, "cert.caa_syntax").unwrap().alerts());
    let mut records = tlsa(true, vec![of_key(&"0b".repeat(32))]);
    if let Some(Asked::Answered(set)) = &mut records.tlsa {
        set.left_out = 1;
    }
    let mut world = World::new("Let's Encrypt");
    world.facts.hosts[0].starttls = Some("smtp".into());
    let told = world.says(records);
    let finding = found(&told, "cert.tlsa_mismatch").unwrap();
    assert!(!finding.measured && !finding.broken);
}

#[test]
fn a_record_for_an_authority_that_is_not_sent_fits_nobody() {
    let authority = |world: &World| {
        let root = world.story.anchors.iter().next().unwrap().certificate.clone().unwrap();
        TlsaRecord { usage: 2, ..of_key(&root.spki_sha256) }
    };
    let world = World::new("Let's Encrypt");
    let record = authority(&world);
    assert!(found(&world.says(tlsa(true, vec![record])), "cert.tlsa_mismatch").is_some());
    let mut world = World::new("Let's Encrypt");
    let record = authority(&world);
    let root = world.story.anchors.iter().next().unwrap().certificate.clone().unwrap();
    let key = world.facts.keep(root.der().to_vec());
    for endpoint in &mut world.facts.hosts[0].endpoints {
        endpoint.views[0].shown.as_mut().unwrap().chain.push(key.clone());
    }
    assert!(found(&world.says(tlsa(true, vec![record])), "cert.tlsa_mismatch").is_none());
}

#[test]
fn mail_still_comes_while_one_of_two_addresses_fits() {
    let authority = Authority::new("Let's Encrypt", "X1");
    let story = Story::new(&[&authority]);
    let from = at("2026-01-01").as_second();
    let (one, other) = (authority.leaf(&key(), from, 90 * DAY), authority.leaf(&key(), from, 90 * DAY));
    let mut facts = story.facts(&[(1, shows(&one)), (2, shows(&other))]);
    facts.hosts[0].starttls = Some("smtp".into());
    let leaf = Certificate::parse(&one).unwrap();
    let world = World { story, facts, leaf };
    let good = of_key(&world.leaf.spki_sha256);
    let told = world.says(tlsa(true, vec![good]));
    let finding = found(&told, "cert.tlsa_mismatch").unwrap();
    assert!(finding.alerts() && !finding.broken && finding.summary.contains("192.0.2.2"), "{finding:#?}");
}
