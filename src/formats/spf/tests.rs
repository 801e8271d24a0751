use proptest::prelude::*;

use super::*;

fn fault(text: &str) -> (usize, String) {
    let Fault { at, why } = Record::parse(text.as_bytes()).unwrap_err();
    (at, why)
}

#[test]
fn a_record_is_known_by_its_version_alone() {
    for (text, known) in
        [("v=spf1", true), ("V=SPF1 -all", true), ("v=spf10 -all", false), ("v=spf1-all", false), ("", false)]
    {
        assert_eq!(is_spf(text.as_bytes()), known, "{text}");
    }
}

#[test]
fn terms_are_read_with_their_qualifiers_and_places() {
    let text = b"v=spf1  a:mail.acme.example/24//64 -ip4:192.0.2.0/24 ~include:%{d2r}._spf.%{d} ?mx redirect=_spf.acme.example moo=x";
    let record = Record::parse(text).unwrap();
    let places: Vec<usize> = record.directives.iter().map(|one| one.at).collect();
    assert_eq!(places, [8, 35, 53, 79]);
    assert_eq!(record.directives[1].qualifier, Qualifier::Fail);
    assert!(matches!(record.directives[0].mechanism, Mechanism::A { cidr: DualCidr { v4: 24, v6: 64 }, .. }));
    assert_eq!(record.redirect.unwrap().at, 83);
    assert_eq!(record.unknown, ["moo=x"]);
}

#[test]
fn a_name_may_end_with_any_macro_the_escapes_among_them() {
    for name in ["%%", "%_", "%-", "x.%-", "%{d}%%", "a.example%%%_", "a.b-%{d1}"] {
        let text = format!("v=spf1 a:{name} include:{name} exists:{name}/ redirect={name}");
        let whole = Record::parse(text.replace(&format!("{name}/"), name).as_bytes());
        assert!(whole.is_ok(), "{name}: {whole:?}");
        assert!(Record::parse(text.as_bytes()).is_err(), "{name}/");
    }
    // Here it is the literal that ends it.
    for name in ["%%_", "a.example%%-", "%%%", "a.example%"] {
        assert!(Record::parse(format!("v=spf1 a:{name}").as_bytes()).is_err(), "{name}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (text, at, words) in [
        ("v=spf1 a:", 8, "a colon and a value"),
        ("v=spf1 ip4:192.0.2.0/33", 11, "prefix length"),
        ("v=spf1 ip4:192.0.2.0/024", 11, "prefix length"),
        ("v=spf1 ip4:192.0.2.256", 11, "no such address"),
        ("v=spf1 allow", 7, "no mechanism"),
        ("v=spf1 all:x", 10, "nothing may follow"),
        ("v=spf1 include:acme", 15, "no domain name"),
        ("v=spf1 include:acme.123", 15, "no domain name"),
        ("v=spf1 a:%{x}.acme.example", 9, "no macro"),
        ("v=spf1 a:%{d", 9, "never closed"),
        ("v=spf1 a:%d.acme.example", 9, "stands alone"),
        ("v=spf1 exists:%{t}.acme.example", 14, "explanations alone"),
        ("v=spf1 moo=%{r}", 11, "explanations alone"),
        ("v=spf1 exp=a.example exp=b.example", 21, "twice"),
        ("v=spf1 a//129", 8, "prefix length"),
        ("v=spf1 ü", 7, "no ASCII"),
        ("spf", 0, "v=spf1"),
    ] {
        let (place, why) = fault(text);
        assert!(place == at && why.contains(words), "{text}: {place}: {why}");
    }
}

proptest! {
    #[test]
    fn no_record_panics(text in "(v=spf1 )?[ -~ü]{0,80}") {
        let _ = Record::parse(text.as_bytes());
    }
}
