use serde_json::Value;

use super::*;
use crate::formats::vectors::{cases, expected};

/// What of a table's notices follows from the record alone.
fn flags(record: &Record) -> Vec<String> {
    let of = |remark: &Remark| match remark {
        Remark::Removed(tag) => format!("removed-tag:{tag}"),
        Remark::Unknown(tag) => format!("unknown-tag:{tag}"),
        Remark::PolicyMissing => "p-missing".to_owned(),
        Remark::PolicyNotSecond => "p-not-second".to_owned(),
        Remark::Size(tag) => format!("obsolete-size:{tag}"),
        Remark::Scheme(tag) => format!("unsupported-scheme:{tag}"),
        Remark::Mailbox(tag) => format!("unusable-address:{tag}"),
        Remark::FailureOptions => "fo-0-and-1".to_owned(),
    };
    record.remarks.iter().map(of).collect()
}

const OURS: [&str; 8] = [
    "removed-tag",
    "unknown-tag",
    "p-missing",
    "p-not-second",
    "obsolete-size",
    "unsupported-scheme",
    "unusable-address",
    "fo-0-and-1",
];

fn tags(record: &Record, policies: &Policies) -> Vec<(&'static str, String)> {
    let letter = |alignment| if alignment == Alignment::Strict { "s" } else { "r" };
    let psd = match record.psd {
        Psd::Yes => "y",
        Psd::No => "n",
        Psd::Unknown => "u",
    };
    let options: Vec<String> = record.failure_options.iter().map(char::to_string).collect();
    vec![
        ("p", policies.domain.as_str().to_owned()),
        ("sp", policies.subdomain.as_str().to_owned()),
        ("np", policies.nonexistent.as_str().to_owned()),
        ("adkim", letter(record.dkim).to_owned()),
        ("aspf", letter(record.spf).to_owned()),
        ("psd", psd.to_owned()),
        ("t", if record.testing { "y" } else { "n" }.to_owned()),
        ("fo", if options.is_empty() { "0".to_owned() } else { options.join(":") }),
    ]
}

#[test]
fn records_are_read_as_receivers_do() {
    for case in cases("dmarc/records.json", "records_are_read_as_receivers_do") {
        let id = &case["id"];
        let record = Record::parse(case["record"].as_str().unwrap());
        let said = match &record {
            None => "ignored",
            Some(record) if record.faults.is_empty() => "valid",
            Some(_) => "invalid",
        };
        assert!(expected(&case, said), "{id}: {said} {record:?}");
        let Some(record) = record else { continue };
        let applied = record.applied();
        match case["receiver"].as_str().unwrap() {
            "apply" => {
                let tags = tags(&record, &applied.unwrap_or_else(|| panic!("{id}: {record:?}")));
                for (name, value) in case["tags"].as_object().unwrap() {
                    let own = |uris: &[ReportUri]| {
                        let texts = uris.iter().map(|uri| Value::from(uri.text.clone()));
                        Value::Array(texts.collect())
                    };
                    let known = tags.iter().find(|(known, _)| known == name);
                    let mine = match (name.as_str(), known) {
                        ("rua", _) => own(&record.aggregate_reports),
                        ("ruf", _) => own(&record.failure_reports),
                        ("fo", Some((_, mine))) if value.is_array() => {
                            mine.split(':').map(Value::from).collect()
                        }
                        (_, Some((_, mine))) => Value::from(mine.clone()),
                        (name, None) => panic!("{id}: {name}"),
                    };
                    assert_eq!(&mine, value, "{id}: {name}");
                }
            }
            "none" => assert_eq!(applied, None, "{id}"),
            "unclear" => {}
            other => panic!("{id}: {other}"),
        }
        let wanted: Vec<&str> =
            case["flags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let wanted = wanted.into_iter().filter(|flag| OURS.iter().any(|ours| flag.starts_with(ours)));
        let (mut wanted, mut mine): (Vec<_>, Vec<_>) = (wanted.map(str::to_owned).collect(), flags(&record));
        wanted.sort_unstable();
        mine.sort_unstable();
        mine.dedup();
        assert_eq!(mine, wanted, "{id}");
    }
}

#[test]
fn addresses_of_reports_are_read() {
    for case in cases("dmarc/report_uris.json", "addresses_of_reports_are_read") {
        let read = ReportUri::parse(0, case["uri"].as_str().unwrap());
        assert!(expected(&case, if read.is_ok() { "valid" } else { "invalid" }), "{}: {read:?}", case["id"]);
        if let Ok(uri) = read {
            assert_eq!(Some(uri.scheme.as_str()), case["scheme"].as_str(), "{}", case["id"]);
            assert_eq!(uri.mailbox.as_deref(), case["address"].as_str(), "{}", case["id"]);
            assert_eq!(uri.size.as_deref(), case["size"].as_str(), "{}", case["id"]);
        }
    }
}

#[test]
fn faults_say_where_they_are() {
    for (text, at) in [
        ("v=DMARC1; p=rejct", 12),
        ("v=DMARC1; p=none; rua=mailto:a@b.example,c@d.example", 41),
        ("v=DMARC1; p=none; p=none", 18),
        ("v=DMARC1; p=none;; sp=none", 17),
        ("v=DMARC1; p=\u{fc}", 12),
    ] {
        let record = Record::parse(text).unwrap();
        assert_eq!(record.faults.iter().map(|fault| fault.at).collect::<Vec<_>>(), [at], "{text}");
    }
}
