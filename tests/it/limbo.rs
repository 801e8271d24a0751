//! The x509-limbo suite (C2SP): hundreds of chains, each with what a strict client thinks of it.

use std::path::PathBuf;

use portalwatch::formats::x509::{Certificate, Crl, pem};
use portalwatch::probe::certificate::judge::{Anchors, Judged, Purpose, Question, Wanted, judge_encoded};
use serde::Deserialize;

/// Cases whose outcome differs, and why. Each was read; a case that comes to agree must leave.
const EXCEPTIONS: &[(&str, &str)] = &[];

#[derive(Deserialize)]
struct Suite {
    testcases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    validation_kind: String,
    trusted_certs: Vec<String>,
    untrusted_intermediates: Vec<String>,
    peer_certificate: String,
    #[serde(default)]
    crls: Vec<String>,
    validation_time: Option<String>,
    expected_peer_name: Option<Name>,
    #[serde(default)]
    expected_peer_names: Vec<Name>,
    max_chain_depth: Option<usize>,
    expected_result: String,
}

#[derive(Deserialize)]
struct Name {
    value: String,
}

/// Where the suites are; `None`, told, where they are not there.
fn suite(test: &str) -> Option<Suite> {
    let named = std::env::var_os("PORTALWATCH_VECTORS").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"));
    if !folder.is_dir() {
        println!("skipped: {test}: no folder {}", folder.display());
        return None;
    }
    let text = std::fs::read_to_string(folder.join("x509-limbo/limbo.json")).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

fn ders(pems: &[String]) -> Vec<Vec<u8>> {
    pems.iter().flat_map(|text| pem::blocks(text).unwrap()).map(|block| block.bytes).collect()
}

impl Case {
    fn at(&self) -> i64 {
        let at = self.validation_time.as_ref().map(|text| text.parse::<jiff::Timestamp>().unwrap());
        at.unwrap_or_else(jiff::Timestamp::now).as_second()
    }

    fn judged(&self) -> Judged {
        let roots = ders(&self.trusted_certs);
        let anchors = Anchors::of(roots.iter().filter_map(|der| Certificate::parse(der).ok()));
        let crls: Vec<Crl> = ders(&self.crls).iter().map(|der| Crl::parse(der).unwrap()).collect();
        let leaf = ders(std::slice::from_ref(&self.peer_certificate)).remove(0);
        let name = self.expected_peer_name.iter().chain(&self.expected_peer_names).next();
        let name = name.map(|name| Wanted::parse(&name.value).unwrap());
        judge_encoded(&Question {
            leaf: &leaf,
            sent: &ders(&self.untrusted_intermediates),
            anchors: &anchors,
            crls: &crls,
            purpose: if self.validation_kind == "CLIENT" { Purpose::Client } else { Purpose::Server },
            name: name.as_ref(),
            at: self.at(),
            max_depth: self.max_chain_depth,
        })
    }
}

#[test]
fn every_chain_is_judged_as_the_suite_expects() {
    let Some(suite) = suite("every_chain_is_judged_as_the_suite_expects") else { return };
    assert!(suite.testcases.len() >= 60, "only {} cases", suite.testcases.len());
    let mut wrong = Vec::new();
    for case in &suite.testcases {
        assert!(case.expected_peer_names.len() <= 1, "{}: several names", case.id);
        let judged = case.judged();
        let agrees = judged.valid == (case.expected_result == "SUCCESS");
        let excepted = EXCEPTIONS.iter().any(|(id, _)| *id == case.id);
        if agrees == excepted {
            let why: Vec<String> = judged
                .findings
                .iter()
                .map(|f| format!("    {} [{}] {}", f.id, f.subject, f.summary))
                .collect();
            let valid = judged.valid;
            wrong.push(format!(
                "{}: expected {}, valid {valid}\n{}",
                case.id,
                case.expected_result,
                why.join("\n")
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), suite.testcases.len(), wrong.join("\n"));
}
