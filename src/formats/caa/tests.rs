use std::future::ready;

use futures_util::FutureExt as _;

use super::*;
use crate::formats::dns::Name;

fn record(flags: u8, tag: &str, value: &str) -> Caa {
    Caa { flags, tag: tag.into(), value: value.into() }
}

fn issuer(value: &str) -> Result<Issuer, Fault> {
    match Property::parse(&record(0, "issue", value))?.kind {
        Kind::Issue(issuer) => Ok(issuer),
        kind => panic!("{kind:?}"),
    }
}

#[test]
fn authorities_are_read_with_their_parameters() {
    for (value, domain, parameters) in [
        (";", None, 0),
        ("", None, 0),
        (" \t; ", None, 0),
        ("letsencrypt.org", Some("letsencrypt.org"), 0),
        ("  ca.example ;", Some("ca.example"), 0),
        ("ca.example; a=b; c-d = e", Some("ca.example"), 2),
        ("ca.example;a=", Some("ca.example"), 1),
        ("; a=b", None, 1),
        ("ca", Some("ca"), 0),
    ] {
        let issuer = issuer(value).unwrap();
        assert_eq!((issuer.domain.as_deref(), issuer.parameters.len()), (domain, parameters), "{value}");
    }
    let read =
        issuer("ca.example; accounturi=https://ca.example/a/1; ValidationMethods=dns-01,ca-own").unwrap();
    assert_eq!(read.account_uri(), Some("https://ca.example/a/1"));
    assert_eq!(read.validation_methods(), Some(vec!["dns-01", "ca-own"]));
}

#[test]
fn what_breaks_the_grammar_is_told_with_its_place() {
    for (value, at) in [
        ("%", 0),
        ("ca.example other.example", 11),
        ("ca..example", 0),
        ("-ca.example", 0),
        ("ca.example.", 0),
        ("ca.example; a", 13),
        ("ca.example; a=b;", 16),
        ("ca.example; =b", 12),
        ("ca.example; a=b c", 16),
        ("ca.example; account=\u{1f4a9}", 20),
        ("ca.example; accounturi=here", 12),
        ("ca.example; accounturi=https://a; accounturi=https://b", 34),
        ("ca.example; validationmethods=dns-01,own", 12),
    ] {
        let fault = issuer(value).unwrap_err();
        assert_eq!(fault.at, at, "{value}: {fault}");
    }
}

#[test]
fn contacts_and_reports_are_read() {
    let parse = |tag: &str, value: &str| Property::parse(&record(0, tag, value));
    for (tag, value) in [
        ("iodef", "mailto:security@portal.example"),
        ("iodef", "https://report.example"),
        ("contactemail", "security@portal.example"),
        ("contactemail", "büro@bücher.example"),
        ("contactphone", "+31-85.123(456)"),
        ("x9", "anything \u{1f4a9}"),
    ] {
        assert!(parse(tag, value).is_ok(), "{tag} {value}: {:?}", parse(tag, value));
    }
    for (tag, value) in [
        ("iodef", "security@portal.example"),
        ("iodef", "ftp://report.example"),
        ("iodef", "mailto:"),
        ("contactemail", "not-an-email"),
        ("contactemail", "a@"),
        ("contactemail", "a b@portal.example"),
        ("contactphone", "0851234"),
        ("contactphone", "+"),
        ("contactphone", "+31 85"),
        ("", "x"),
        ("is sue", ";"),
    ] {
        assert!(parse(tag, value).is_err(), "{tag} {value}");
    }
    let critical = parse("x", "").unwrap();
    assert!(!critical.critical && critical.reserved == 0);
    let odd = Property::parse(&record(0x81, "x", "")).unwrap();
    assert!(odd.critical && odd.reserved == 1);
}

const OURS: &[&str] = &["ca.example", "CA2.example."];

#[test]
fn an_authority_may_issue_if_a_record_names_it() {
    let one = |value: &str| allows(&[record(0, "ISSUE", value)], OURS, false);
    assert_eq!(one("CA.example"), Verdict::Allowed { by: 0, conditions: Vec::new() });
    assert!(one("ca2.example").allowed());
    assert_eq!(one("other.example"), Verdict::Forbidden { by: vec![0] });
    assert!(!one("sub.ca.example").allowed());
    assert!(!one(";").allowed());
    // RFC 8659 section 4.2: what cannot be read names nobody.
    assert!(!one("%%%%%").allowed());
    assert!(allows(&[], OURS, false).allowed());

    let both = [record(0, "issue", "other.example"), record(0, "issue", "ca.example; accounturi=https://a")];
    let Verdict::Allowed { by, conditions } = allows(&both, OURS, false) else { panic!() };
    assert_eq!((by, conditions[0].tag.as_str()), (1, "accounturi"));
    let free = [both[1].clone(), record(0, "issue", "ca.example")];
    assert_eq!(allows(&free, OURS, false), Verdict::Allowed { by: 1, conditions: Vec::new() });
}

#[test]
fn wildcards_have_records_of_their_own() {
    let plain = record(0, "issue", "ca.example");
    let nobody = record(0, "issuewild", ";");
    let both = [plain.clone(), nobody.clone()];
    assert!(allows(&both, OURS, false).allowed());
    assert_eq!(allows(&both, OURS, true), Verdict::Forbidden { by: vec![1] });
    assert!(allows(std::slice::from_ref(&plain), OURS, true).allowed());
    // Without `issue`, only wildcards are restricted.
    assert_eq!(allows(std::slice::from_ref(&nobody), OURS, false), Verdict::Unrestricted);
    let mail = [record(0, "issuemail", ";"), record(0, "iodef", "mailto:a@b.example")];
    assert_eq!(allows(&mail, OURS, false), Verdict::Unrestricted);
}

#[test]
fn a_critical_property_that_nobody_knows_stops_everyone() {
    let named = record(0, "issue", "ca.example");
    let stopped = allows(&[named.clone(), record(128, "future", "x")], OURS, false);
    assert_eq!(stopped, Verdict::UnknownCritical { by: 1, tag: "future".into() });
    assert!(allows(&[named.clone(), record(0, "future", "x")], OURS, false).allowed());
    assert!(allows(&[named, record(128, "IssueMail", ";")], OURS, false).allowed());
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

#[test]
fn the_nearest_records_above_a_name_count() {
    let climbed = |from: &str, has: &'static str| {
        let mut asked = Vec::new();
        let from = name(from);
        let found = climb(&from, |name: Name| {
            asked.push(name.without_dot());
            ready(Ok::<_, ()>(if name.without_dot() == has { vec!["record"] } else { Vec::new() }))
        });
        let found = found.now_or_never().unwrap().unwrap();
        (found.at.map(|name| name.without_dot()), found.records.len(), asked.join(" "))
    };
    let asked = |names: &str| names.to_owned();
    assert_eq!(
        climbed("a.b.example", "b.example"),
        (Some("b.example".into()), 1, asked("a.b.example b.example"))
    );
    assert_eq!(climbed("*.b.example", "nowhere"), (None, 0, asked("b.example example")));
    assert_eq!(climbed(".", "nowhere"), (None, 0, asked("")));
}

#[test]
fn a_name_that_cannot_be_looked_up_ends_the_climb() {
    let from = name("a.b.example");
    let found = climb(&from, |name: Name| {
        ready(if name == "b.example".parse().unwrap() { Err("SERVFAIL") } else { Ok(Vec::<Caa>::new()) })
    });
    assert_eq!(found.now_or_never().unwrap(), Err((name("b.example"), "SERVFAIL")));
}
