use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;
use crate::model::{HumanDuration, Secret};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    status: u16,
    #[serde(default)]
    within: Option<HumanDuration>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    token: Option<Secret>,
    #[serde(default)]
    more: Vec<Spec>,
}

fn messages<T: serde::de::DeserializeOwned + std::fmt::Debug>(text: &str) -> Vec<String> {
    from_str::<T>("m.yaml", text).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn every_fault_of_a_document_is_reported_at_once() {
    let text = "status: x\nwithin: 300y\nnam: a\nmore:\n  - status: 1\n    name: 5\n  - {}\n";
    assert_eq!(
        messages::<Spec>(text),
        [
            "m.yaml:1: status: expected u16, found the text \"x\"",
            "m.yaml:2: within: \"300y\" is longer than 100 years",
            "m.yaml:3: unknown key \"nam\", did you mean \"name\"?",
            "m.yaml:6: more[0].name: expected a string, found the number 5",
            "m.yaml:7: more[1]: missing key \"status\"",
        ]
    );
}

#[test]
fn a_misspelt_required_key_is_one_fault_not_two() {
    assert_eq!(messages::<Spec>("staus: 200"), ["m.yaml:1: unknown key \"staus\", did you mean \"status\"?"]);
}

#[test]
fn a_good_document_reads() {
    let spec: Spec = from_str("m.yaml", "status: 200\nname: \"200\"\ntoken: {insecure_literal: s}").unwrap();
    assert_eq!((spec.status, spec.name.as_deref()), (200, Some("200")));
    assert_eq!(spec.token.unwrap().expose(), "s");
    assert!(spec.within.is_none() && spec.more.is_empty());
}

#[test]
fn a_duplicate_key_names_both_lines() {
    assert_eq!(
        messages::<Spec>("status: 1\nstatus: 2"),
        ["m.yaml:2: duplicate key \"status\": line 1 and line 2; remove one"]
    );
}

#[test]
fn a_syntax_error_names_its_line() {
    assert!(messages::<Spec>("status: 1\nname: [a").remove(0).starts_with("m.yaml:"));
}

#[test]
fn merge_keys_fill_in_what_is_not_written() {
    let text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}";
    let read: BTreeMap<String, BTreeMap<String, u8>> = from_str("m.yaml", text).unwrap();
    assert_eq!((read["b"]["x"], read["b"]["y"]), (1, 3));
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..9 {
        let many = vec![format!("*a{}", n - 1); 10].join(", ");
        text.push_str(&format!("a{n}: &a{n} [{many}]\n"));
    }
    let fault = parse("m.yaml", &text).unwrap_err().remove(0).to_string();
    assert!(fault.contains("more than 100000 nodes"), "{fault}");
}

#[test]
fn endless_nesting_is_refused() {
    let fault = parse("m.yaml", &"[".repeat(10_000)).unwrap_err().remove(0).to_string();
    assert!(fault.starts_with("m.yaml:1:"), "{fault}");
}
