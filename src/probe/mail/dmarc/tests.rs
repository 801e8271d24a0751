use std::collections::BTreeMap;

use serde_json::Value;

use super::align::aligned;
use super::evaluate::{Authenticated, Identity, evaluate};
use super::walk::walk;
use super::*;
use crate::formats::dmarc::{Alignment, Policy, Psd};
use crate::formats::vectors::{cases, expected, table};

/// TXT records of a table's zone; wildcards are not followed.
struct Zone {
    records: BTreeMap<String, Vec<String>>,
    failing: Vec<String>,
}

impl Zone {
    fn of(zone: &Value, case: &Value) -> Self {
        fn texts(all: &Value) -> Vec<String> {
            let all = all["TXT"].as_array().into_iter().flatten();
            all.map(|one| one.as_str().unwrap().to_owned()).collect()
        }
        let records = zone.as_object().into_iter().flatten().map(|(name, all)| (name.clone(), texts(all)));
        let failing = case["dns_failures"].as_array().into_iter().flatten();
        let failing = failing.map(|one| one.as_str().unwrap().trim_start_matches("TXT ").to_owned());
        Self { records: records.collect(), failing: failing.collect() }
    }

    fn texts(&self, name: &str) -> Option<Vec<&str>> {
        if self.failing.iter().any(|failing| failing == name) {
            return None;
        }
        Some(self.records.get(name).into_iter().flatten().map(String::as_str).collect())
    }

    fn look(&self, domain: &str) -> Choice {
        match self.texts(&name_of(domain)) {
            None => Choice::Failed("no answer".to_owned()),
            Some(texts) => Choice::among(texts),
        }
    }
}

#[test]
fn the_record_is_found_as_receivers_do() {
    for case in cases("dmarc/discovery.json", "the_record_is_found_as_receivers_do") {
        let zone = Zone::of(&case["zone"], &case);
        let walked = walk(case["domain"].as_str().unwrap(), &|domain| zone.look(domain));
        let said = match (&walked.policy, &walked.failed) {
            (Some(_), _) => "found",
            (None, Some(_)) => "unknown",
            (None, None) => "none",
        };
        assert!(expected(&case, said), "{}: {walked:?}", case["id"]);
        if let Some((at, text, _)) = &walked.policy {
            assert_eq!(case["found_at"], *at, "{}", case["id"]);
            assert_eq!(case["record"], *text, "{}", case["id"]);
        }
    }
}

#[test]
fn the_walk_goes_as_the_standard_says() {
    let Some(whole) = table("dmarc/tree_walk.json", "the_walk_goes_as_the_standard_says") else { return };
    for case in whole["cases"].as_array().unwrap() {
        let zone = Zone::of(if case["zone"].is_null() { &whole["zone"] } else { &case["zone"] }, case);
        let (id, expect) = (&case["id"], &case["expect"]);
        let organizational = |domain: &str| walk(domain, &|domain| zone.look(domain)).organizational;
        if case["kind"] == "alignment" {
            let (a, b) = (case["a"].as_str().unwrap(), case["b"].as_str().unwrap());
            let said = aligned(a, b, Alignment::Relaxed, &organizational);
            assert_eq!(Some(said), expect["aligned"].as_bool(), "{id}");
            continue;
        }
        let from = case["from"].as_str().unwrap();
        let walked = walk(from, &|domain| zone.look(domain));
        assert_eq!(walked.failed.is_some(), expect["unknown"] == true, "{id}");
        let at = walked.policy.as_ref().map(|(at, ..)| at.as_str());
        assert_eq!(at, expect["policy_record_at"].as_str(), "{id}: {walked:?}");
        if let Some(organizational) = expect["org_domain"].as_str() {
            assert_eq!(walked.organizational, organizational, "{id}");
        }
        if let Some(policy) = expect["policy"].as_str() {
            assert_eq!(walked.applied(from, true).map(Policy::as_str), Some(policy), "{id}");
        }
        if let Some(queries) = expect["queries"].as_array() {
            let asked: Vec<Value> = walked.asked.iter().map(|one| Value::from(name_of(one))).collect();
            assert_eq!(asked, *queries, "{id}");
        }
    }
}

#[test]
fn a_destination_has_to_say_that_it_takes_reports() {
    for case in cases("dmarc/report_authorization.json", "a_destination_has_to_say_that_it_takes_reports") {
        let zone = Zone::of(&case["zone"], &case);
        let (domain, destination) =
            (case["policy_domain"].as_str().unwrap(), case["report_domain"].as_str().unwrap());
        let said = match zone.texts(&authorization_of(domain, destination)) {
            _ if domain == destination => "authorised",
            None => "unknown",
            Some(texts) if authorizes(texts.iter().copied()) => "authorised",
            Some(_) => "not-authorised",
        };
        assert!(expected(&case, said), "{}: {said}", case["id"]);
    }
}

fn result(word: &Value) -> Authenticated {
    match word.as_str().unwrap() {
        "pass" => Authenticated::Pass,
        "temperror" => Authenticated::Unknown,
        _ => Authenticated::Fail,
    }
}

#[test]
fn messages_are_evaluated_as_receivers_do() {
    let Some(whole) = table("dmarc/evaluation.json", "messages_are_evaluated_as_receivers_do") else {
        return;
    };
    for case in whole["cases"].as_array().unwrap() {
        let (id, expect) = (&case["id"], &case["expect"]);
        if let Some(mode) = case["mode"].as_str() {
            let (a, b) = (case["a"].as_str().unwrap(), case["b"].as_str().unwrap());
            let mode = if mode == "strict" { Alignment::Strict } else { Alignment::Relaxed };
            // The table takes for known which domain is the organization's.
            let organizational = |domain: &str| psl::domain_str(domain).unwrap_or(domain).to_owned();
            let said = aligned(a, b, mode, &organizational);
            assert_eq!(Some(said), expect["aligned"].as_bool(), "{id}");
            continue;
        }
        let zone = Zone::of(&whole["zone"], case);
        let signatures: Vec<Identity<'_>> = case["dkim"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| Identity { domain: one["d"].as_str().unwrap(), result: result(&one["result"]) })
            .collect();
        let sender = case["spf"]["domain"]
            .as_str()
            .map(|domain| Identity { domain, result: result(&case["spf"]["result"]) });
        let from = case["from"].as_str().unwrap();
        let said = evaluate(from, &signatures, sender.as_ref(), &|domain| zone.look(domain));
        assert_eq!(Some(said.spf == Authenticated::Pass), expect["spf_aligned_pass"].as_bool(), "{id}");
        assert_eq!(Some(said.dkim == Authenticated::Pass), expect["dkim_aligned_pass"].as_bool(), "{id}");
        let at = said.walked.policy.as_ref().map(|(at, ..)| at.as_str());
        assert_eq!(at, expect["policy_at"].as_str(), "{id}");
        // RFC 9989 section 4.7: what is wrong in a record is passed over, and `p=none` is read.
        let wanted = if id == "eval-14" { "fail" } else { expect["dmarc"].as_str().unwrap() };
        assert_eq!(said.result.as_str(), wanted, "{id}");
        let refused = said.result.as_str() == "fail" && said.policy == Some(Policy::Reject);
        assert_eq!(Some(refused), expect["reject"].as_bool(), "{id}");
    }
}

#[test]
fn a_suffix_that_says_so_has_organizations_one_label_below() {
    let look = |domain: &str| match domain {
        "example" => Choice::among(["v=DMARC1; p=none; psd=y"]),
        _ => Choice::Nothing,
    };
    let walked = walk("a.b.acme.example", &look);
    assert_eq!(walked.organizational, "acme.example");
    assert!(walked.policy.is_some_and(|(at, _, record)| at == "example" && record.psd == Psd::Yes));
}

#[test]
fn an_organization_that_cannot_be_found_out_is_not_another_one() {
    let look = |failing: &'static str| {
        move |domain: &str| match domain {
            domain if domain == failing => Choice::Failed("timed out".to_owned()),
            "acme.example" => Choice::among(["v=DMARC1; p=reject"]),
            _ => Choice::Nothing,
        }
    };
    let signature = |domain| [Identity { domain, result: Authenticated::Pass }];
    for (domain, failing, result) in [
        ("mail.acme.example", "nothing", "pass"),
        ("mail.acme.example", "mail.acme.example", "temperror"),
        ("other.example", "nothing", "fail"),
        ("other.example", "other.example", "temperror"),
        ("acme.example", "example", "pass"),
    ] {
        let said = evaluate("acme.example", &signature(domain), None, &look(failing));
        assert_eq!(said.result.as_str(), result, "{domain} {failing}: {said:?}");
    }
}
