use serde_json::Value;

use super::fakes::{GOOD, LATE, at, chain, endpoint, facts, failed, posture, view};
use super::*;

fn json(facts: &Facts, instant: &str) -> Value {
    serde_json::to_value(observation(facts, at(instant))).unwrap()
}

fn good() -> Facts {
    facts(|facts, chain| vec![endpoint(1, vec![view(facts, &chain[..2])])])
}

#[test]
fn whoever_reads_the_json_finds_what_was_promised() {
    let seen = json(&good(), GOOD);
    let endpoint = &seen["endpoints"][0];
    assert_eq!(
        (&endpoint["host"], &endpoint["port"], &endpoint["address"]),
        (&"portal.example".into(), &443.into(), &"192.0.2.1".into())
    );
    assert_eq!((&endpoint["trust"], &endpoint["name_matches"]), (&"trusted".into(), &true.into()));
    assert_eq!((&endpoint["browser"]["accepts"], &endpoint["valid"]), (&true.into(), &true.into()));
    let tls = serde_json::json!({
        "version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384", "group": "X25519MLKEM768", "alpn": "h2",
    });
    assert_eq!(endpoint["tls"], tls);
    let chain = endpoint["chain"].as_array().unwrap();
    let keys = [
        "subject",
        "issuer",
        "serial",
        "sans",
        "not_before",
        "not_after",
        "key",
        "signature",
        "sha256",
        "days_left",
        "share_left",
        "position",
    ];
    for (position, link) in chain.iter().enumerate() {
        // An authority has no alternative names.
        let promised = keys.iter().filter(|key| position == 0 || **key != "sans");
        let missing: Vec<&&str> = promised.filter(|key| link[**key].is_null()).collect();
        assert!(missing.is_empty(), "{missing:?}: {link}");
        assert_eq!(link["position"], position);
    }
    let sent: Vec<&Value> = chain.iter().map(|link| &link["sent"]).collect();
    assert_eq!(sent, [&true, &true, &false], "the root comes from what is trusted");
}

#[test]
fn the_same_facts_are_judged_by_the_instant() {
    let late = json(&good(), LATE);
    let endpoint = &late["endpoints"][0];
    assert_eq!((&endpoint["trust"], &endpoint["chain"][0]["days_left"]), (&"untrusted".into(), &(-3).into()));
    assert_eq!(json(&good(), GOOD)["endpoints"][0]["chain"][0]["days_left"], 59);
}

#[test]
fn a_root_that_is_not_trusted_makes_no_trust() {
    let mut strange = good();
    strange.trusted.clear();
    let seen = json(&strange, GOOD);
    assert_eq!(seen["endpoints"][0]["trust"], "unknown_issuer");
    assert_eq!(seen["endpoints"][0]["chain"].as_array().unwrap().len(), 2);
}

#[test]
fn a_path_that_needs_what_was_fetched_says_what_was_not_sent() {
    let mut short = facts(|facts, chain| {
        let key = facts.keep(chain[1].clone());
        let fetched = FetchedIssuer { at: at(GOOD), certificates: vec![key], failure: None };
        facts.issuers.insert("http://issuer.example/ca.der".into(), fetched);
        vec![endpoint(1, vec![view(facts, &chain[..1])])]
    });
    let sent = |facts: &Facts| -> Vec<bool> {
        let seen = observation(facts, at(GOOD));
        assert_eq!(seen.endpoints[0].usual.trust, Some(Trust::UnknownIssuer), "it was not sent all the same");
        seen.endpoints[0].usual.chain.iter().map(|link| link.sent).collect()
    };
    assert_eq!(sent(&short), [true, false, false]);
    short.issuers.clear();
    assert_eq!(sent(&short), [true]);
}

#[test]
fn an_address_that_shows_nothing_says_why_and_hides_no_other() {
    let seen = json(
        &facts(|facts, chain| {
            let seen = vec![view(facts, &chain[..2])];
            vec![endpoint(1, vec![failed("connection refused")]), endpoint(2, seen)]
        }),
        GOOD,
    );
    let silent = &seen["endpoints"][0];
    assert_eq!((&silent["trust"], &silent["tls"]), (&Value::Null, &Value::Null));
    assert_eq!((&silent["chain"], &silent["failure"]["kind"]), (&serde_json::json!([]), &"refused".into()));
    assert_eq!(seen["endpoints"][1]["trust"], "trusted");
}

#[test]
fn an_old_server_is_seen_in_the_clear_and_that_browsers_get_nothing_is_told() {
    let seen = json(
        &facts(|facts, chain| {
            let clear = View { versions: AskedVersions::Old, ..view(facts, &chain[..2]) };
            vec![endpoint(1, vec![failed("protocol_version"), clear])]
        }),
        GOOD,
    );
    let endpoint = &seen["endpoints"][0];
    assert_eq!((&endpoint["trust"], &endpoint["views"]), (&"trusted".into(), &serde_json::json!([])));
    assert_eq!(endpoint["failure"]["detail"], "protocol_version");
    assert_eq!(endpoint["in_the_clear"], true);
}

#[test]
fn without_a_name_another_certificate_may_come_and_does_not_speak_for_the_address() {
    let seen = json(
        &facts(|facts, chain_| {
            let other = chain(&["default.example"]);
            let nameless = View { sni: false, ..view(facts, &other[..1]) };
            let rsa = View { key_type: AskedKey::Rsa, ..view(facts, &chain_[..2]) };
            vec![endpoint(1, vec![failed("handshake_failure"), nameless, rsa])]
        }),
        GOOD,
    );
    let endpoint = &seen["endpoints"][0];
    assert_eq!(endpoint["chain"][0]["sans"], serde_json::json!(["portal.example"]));
    let views = endpoint["views"].as_array().unwrap();
    let nameless = views.iter().find(|view| view["sni"] == false).unwrap();
    assert_eq!((&nameless["same_chain"], &nameless["name_matches"]), (&false.into(), &false.into()));
    assert_eq!(nameless["trust"], "unknown_issuer");
    assert_eq!(nameless["chain"][0]["subject"], "CN=default.example");
}

#[test]
fn what_is_accepted_is_named_and_sorted_by_worth() {
    let with = facts(|facts, chain| {
        vec![Endpoint { posture: Some(posture()), ..endpoint(1, vec![view(facts, &chain[..2])]) }]
    });
    let seen = observation(&with, at(GOOD));
    let posture = seen.endpoints[0].posture.as_ref().unwrap();
    assert_eq!(posture.post_quantum, Some(true));
    assert_eq!(
        posture.classes(),
        [
            (SuiteClass::Modern, 3),
            (SuiteClass::Cbc, 1),
            (SuiteClass::NoForwardSecrecy, 1),
            (SuiteClass::Broken, 1)
        ]
    );
    assert_eq!(posture.groups(), ["X25519MLKEM768", "x25519", "secp256r1"]);
    assert_eq!(posture.versions[3].suites[0].name, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
}

#[test]
fn suites_that_no_one_may_read_are_told_from_those_that_anyone_can() {
    for (suite, class) in [
        (0x1301, SuiteClass::Modern),
        (0xcca8, SuiteClass::Modern),
        (0xc027, SuiteClass::Cbc),
        (0x0033, SuiteClass::Cbc),
        (0x002f, SuiteClass::NoForwardSecrecy),
        (0xc004, SuiteClass::NoForwardSecrecy),
        (0x0018, SuiteClass::Broken),
        (0x000a, SuiteClass::Broken),
        (0x0008, SuiteClass::Broken),
        (0xc007, SuiteClass::Broken),
        (0xc010, SuiteClass::Broken),
        (0x0a0a, SuiteClass::Unknown),
    ] {
        assert_eq!(SuiteClass::of(suite), class, "{suite:04x}");
    }
}
