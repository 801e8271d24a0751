use serde_json::Value;

use super::*;
use crate::formats::vectors::{cases, expected};

#[test]
fn records_are_read_as_those_who_report_do() {
    for case in cases("tls-rpt/records.json", "records_are_read_as_those_who_report_do") {
        let text = case["record"].as_str().unwrap();
        let read = Record::parse(text);
        let said = match &read {
            _ if !is_tls_rpt(text) => "ignored",
            Ok(_) => "valid",
            Err(_) => "invalid",
        };
        assert!(expected(&case, said), "{}: {said} {read:?}", case["id"]);
        let Ok(record) = read else { continue };
        if case["rua"].is_array() {
            assert_eq!(Value::from(record.rua), case["rua"], "{}", case["id"]);
        }
        if let Some(wanted) = case["extensions"].as_array() {
            let mine = record.extensions.into_iter().map(|(name, value)| Value::from(vec![name, value]));
            assert_eq!(mine.collect::<Vec<_>>(), *wanted, "{}", case["id"]);
        }
    }
}

#[test]
fn faults_say_where_they_are() {
    for (text, at) in [
        ("v=TLSRPTv1; rua=http://a.example/", 16),
        ("v=TLSRPTv1; rua=mailto:a@b.example,mailto:", 35),
        ("v=TLSRPTv1", 10),
    ] {
        assert_eq!(Record::parse(text).unwrap_err().at, at, "{text}");
    }
}
