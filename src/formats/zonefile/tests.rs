use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Vec<String> {
    let origin: Name = "acme.example.".parse().unwrap();
    let records = parse(text, Some(&origin)).unwrap();
    records.iter().map(|one| format!("{} {} {} {}", one.line, one.name, one.kind, one.value)).collect()
}

fn faults(text: &str) -> Vec<String> {
    let faults = parse(text, None).unwrap_err();
    faults.iter().map(|fault| format!("{}: {}", fault.line, fault.why)).collect()
}

#[test]
fn a_zone_file_is_read_as_name_servers_read_it() {
    let text = r#"
$TTL 1h ; of all
@   IN SOA ns1 hostmaster (
        2026112501 ; serial
        7200 900 1209600 60 )
    3600 IN NS ns1
    IN 3600 NS ns2.other.example.
ns1 A 192.0.2.1
    AAAA 2001:DB8:0:0::1
@   MX 10 mail
    TXT "v=spf1 " "mx -all"
txt TXT unquoted words;comment
    TXT "semi;colon (not a comment)" "quo\"te"
$ORIGIN sub
www CNAME @
_sip._tcp SRV 1 2 5060 host
*   300 TYPE65280 \# 2 0A 1B
svc HTTPS 1 . alpn=h2
"#;
    assert_eq!(
        read(text),
        [
            "3 acme.example. SOA ns1 hostmaster 2026112501 7200 900 1209600 60",
            "6 acme.example. NS ns1.acme.example.",
            "7 acme.example. NS ns2.other.example.",
            "8 ns1.acme.example. A 192.0.2.1",
            "9 ns1.acme.example. AAAA 2001:db8::1",
            "10 acme.example. MX 10 mail.acme.example.",
            "11 acme.example. TXT \"v=spf1 mx -all\"",
            "12 txt.acme.example. TXT \"unquotedwords\"",
            "13 txt.acme.example. TXT \"semi;colon (not a comment)quo\\\"te\"",
            "15 www.sub.acme.example. CNAME sub.acme.example.",
            "16 _sip._tcp.sub.acme.example. SRV 1 2 5060 host.sub.acme.example.",
            "17 *.sub.acme.example. TYPE65280 \\# 2 0a1b",
            "18 svc.sub.acme.example. HTTPS 1 . alpn=h2",
        ]
    );
}

#[test]
fn every_fault_is_told_with_its_line_and_nothing_is_half_read() {
    let text = "$INCLUDE other\nwww A 192.0.2.1\na.example. A 192.0.2.300\nb.example. IN\n  \n\
                c.example. NOPE x\nd.example. TXT \"open\ne.example. A )\n$WHAT\n\
                f.example. A \\# 4 c0000201\ng.example. TYPE9 \\# 3 00\nh.example. CH TXT x\n\
                i.example. MX (10\n mail.example.";
    let found = faults(text);
    for (expected, at) in [
        ("1: $INCLUDE is not followed", 0),
        ("2: www is relative, and there is no $ORIGIN", 1),
        ("3: \"192.0.2.300\" is no data of a A record", 2),
        ("4: a record has a type", 3),
        ("6: `NOPE` is no record type", 4),
        ("7: a quotation mark is never closed", 5),
        ("8: a closing parenthesis without", 6),
        ("9: $WHAT is no directive", 7),
        ("10: A records are known", 8),
        ("11: after \\# stand", 9),
        ("12: records of class CH", 10),
        ("13: an opening parenthesis is never closed", 11),
    ] {
        assert!(found[at].starts_with(expected), "{expected}: {found:#?}");
    }
    assert_eq!(found.len(), 12, "{found:#?}");
}

#[test]
fn a_record_before_any_name_and_long_lines_are_refused_and_faults_are_bounded() {
    assert!(faults("  A 192.0.2.1")[0].contains("before any with one"));
    assert!(faults(&format!("a.example. TXT {}", "x ".repeat(20_000)))[0].contains("too long"));
    assert_eq!(faults(&"x\n".repeat(1_000)).len(), MOST_FAULTS);
    let long = format!("a.example. TXT \"{}\"", "x".repeat(1 << 20));
    assert!(parse(&long, None).is_ok(), "a value is compared however long it is");
}

proptest! {
    #[test]
    fn no_text_panics(text in "[ \\t\\n;()\"\\\\$@a-zA-Z0-9.#ü\\x00]{0,200}") {
        let _ = parse(&text, None);
        let _ = parse(&text, Some(&"acme.example.".parse().unwrap()));
    }
}
