//! Internet.nl's CAA properties.

use portalwatch::formats::caa::Property;
use portalwatch::formats::dns::Caa;
use serde::Deserialize;

use crate::vectors;

#[derive(Deserialize)]
struct Suite {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    flags: u8,
    tag: String,
    value: String,
    expect: String,
}

#[test]
fn properties_are_read_as_the_suite_expects() {
    let Some(folder) = vectors::folder("properties_are_read_as_the_suite_expects") else { return };
    let text = std::fs::read_to_string(folder.join("caa/properties.json")).unwrap();
    let suite: Suite = serde_json::from_str(&text).unwrap();
    assert!(suite.cases.len() > 10, "only {} cases", suite.cases.len());
    for case in suite.cases {
        let Case { id, flags, tag, value, expect } = case;
        let read = Property::parse(&Caa { flags, tag: tag.into(), value: value.into() });
        let flawless = read.as_ref().is_ok_and(|property| property.reserved == 0);
        assert_eq!(flawless, expect == "valid", "{id}: {read:?}");
    }
}
