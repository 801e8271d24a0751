use serde_json::Value;

use super::*;
use crate::formats::vectors::{cases, expected};

fn pairs(case: &Value, extensions: &[(String, String)]) {
    if let Some(wanted) = case["extensions"].as_array() {
        let pair = |one: &Value| (one[0].as_str().unwrap().to_owned(), one[1].as_str().unwrap().to_owned());
        assert_eq!(extensions, wanted.iter().map(pair).collect::<Vec<_>>(), "{}", case["id"]);
    }
}

#[test]
fn records_are_read_as_senders_do() {
    for case in cases("mta-sts/records.json", "records_are_read_as_senders_do") {
        let text = case["record"].as_str().unwrap();
        let read = Record::parse(text);
        let said = match &read {
            _ if !is_mta_sts(text) => "ignored",
            Ok(_) => "valid",
            Err(_) => "invalid",
        };
        assert!(expected(&case, said), "{}: {said} {read:?}", case["id"]);
        if let Ok(record) = read {
            assert_eq!(Some(record.id.as_str()), case["policy_id"].as_str(), "{}", case["id"]);
            pairs(&case, &record.extensions);
        }
    }
}

#[test]
fn policies_are_read_as_senders_do() {
    for case in cases("mta-sts/policies.json", "policies_are_read_as_senders_do") {
        let read = Policy::parse(case["body"].as_str().unwrap());
        assert!(expected(&case, if read.is_ok() { "valid" } else { "invalid" }), "{}: {read:?}", case["id"]);
        let Ok(policy) = read else { continue };
        if let Some(mode) = case["mode"].as_str() {
            assert_eq!(policy.mode.as_str(), mode, "{}", case["id"]);
            assert_eq!(Some(policy.max_age), case["max_age"].as_u64(), "{}", case["id"]);
            assert_eq!(Value::from(policy.mx), case["mx"], "{}", case["id"]);
            pairs(&case, &policy.extensions);
        }
        let flags = policy.remarks.iter().map(|remark| match remark {
            Remark::Again(key) => format!("duplicate-key:{key}"),
            Remark::Unknown(key) => format!("unknown-key:{key}"),
        });
        if let Some(wanted) = case["flags"].as_array() {
            assert_eq!(flags.map(Value::from).collect::<Vec<_>>(), *wanted, "{}", case["id"]);
        }
    }
}

#[test]
fn an_asterisk_stands_for_one_label() {
    for case in cases("mta-sts/mx_match.json", "an_asterisk_stands_for_one_label") {
        let patterns =
            case["patterns"].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned());
        let said = matches(case["mx"].as_str().unwrap(), &patterns.collect::<Vec<_>>());
        assert_eq!(Some(said), case["expect"].as_bool(), "{}", case["id"]);
    }
}

#[test]
fn faults_say_where_they_are() {
    for (text, at) in [("v=STSv1; id=a-b", 12), ("v=STSv1; id=a; id=b", 15), ("v=STSv1;", 8)] {
        assert_eq!(Record::parse(text).unwrap_err().at, at, "{text}");
    }
    for (text, at) in [
        ("version: STSv1\nmode: enforced\nmax_age: 1\nmx: a.example", 21),
        ("version: STSv1\nmode: none\nmax_age: 31557601", 35),
        ("version: STSv1\n<html>", 15),
    ] {
        assert_eq!(Policy::parse(text).unwrap_err().at, at, "{text}");
    }
}
