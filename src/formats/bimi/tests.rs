use serde_json::Value;

use super::svg::{Flaw, LONGEST, flaws};
use super::*;
use crate::formats::vectors::{cases, expected};

#[test]
fn records_are_read_as_the_draft_says() {
    for case in cases("bimi/records.json", "records_are_read_as_the_draft_says") {
        let text = case["record"].as_str().unwrap();
        let read = Record::parse(text);
        let said = match &read {
            _ if !is_bimi(text) => "ignored",
            Ok(_) => "valid",
            Err(_) => "invalid",
        };
        assert!(expected(&case, said), "{}: {said} {read:?}", case["id"]);
        let Ok(record) = read else { continue };
        for (key, mine) in [("l", &record.logo), ("a", &record.evidence)] {
            if let Some(wanted) = case[key].as_str() {
                assert_eq!(mine.as_deref(), Some(wanted), "{}", case["id"]);
            }
        }
        if let Some(wanted) = case["declined"].as_bool() {
            assert_eq!(record.declines(), wanted, "{}", case["id"]);
        }
        if case["lps"].is_array() {
            assert_eq!(Value::from(record.local_parts), case["lps"], "{}", case["id"]);
        }
    }
}

fn word(flaw: &Flaw) -> String {
    match flaw {
        Flaw::NoSvg(_) => "not-svg".to_owned(),
        Flaw::Version => "version".to_owned(),
        Flaw::Profile => "base-profile".to_owned(),
        Flaw::Position(name) => format!("root-{name}"),
        Flaw::NotSquare => "not-square".to_owned(),
        Flaw::Placeholder(_) => "placeholder-title".to_owned(),
        other => format!("{other:?}"),
    }
}

#[test]
fn logos_are_judged_as_mail_clients_do() {
    for case in cases("bimi/svg.json", "logos_are_judged_as_mail_clients_do") {
        let flaws = flaws(case["svg"].as_str().unwrap());
        let said = match flaws.iter().any(Flaw::refused) {
            true => "error",
            false if flaws.is_empty() => "ok",
            false => "warning",
        };
        assert!(expected(&case, said), "{}: {flaws:?}", case["id"]);
        let words: Vec<Value> = flaws.iter().map(|flaw| Value::from(word(flaw))).collect();
        assert_eq!(Value::from(words), case["findings"], "{}", case["id"]);
    }
}

#[test]
fn what_could_run_or_load_is_refused() {
    let logo = |inside: &str| {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" version=\"1.2\" baseProfile=\"tiny-ps\" \
             viewBox=\"0 0 8 8\"><title>Acme</title>{inside}</svg>"
        )
    };
    assert_eq!(flaws(&logo("<path d=\"M0 0\"/>")), []);
    for (inside, flaw) in [
        ("<script>x()</script>", Flaw::Forbidden("script".to_owned())),
        ("<g onclick=\"x()\"/>", Flaw::Forbidden("onclick".to_owned())),
        ("<use xlink:href=\"https://a.example/x\"/>", Flaw::External("https://a.example/x".to_owned())),
    ] {
        assert_eq!(flaws(&logo(inside)), [flaw], "{inside}");
    }
    assert_eq!(flaws(&logo(&" ".repeat(LONGEST))).len(), 1);
    assert!(matches!(&flaws(&logo("<g>"))[..], [Flaw::NoSvg(_)]));
    assert!(matches!(&flaws(&"<g>".repeat(200))[..], [Flaw::NoSvg(_)]));
}
