//! The x509-limbo suite (C2SP): hundreds of chains, each with what a strict client thinks of it.

use std::path::Path;

use portalwatch::clock::{Clock as _, SystemClock};
use portalwatch::formats::x509::{Certificate, Crl, pem};
use portalwatch::probe::certificate::judge::{Anchors, Judged, Purpose, Question, Wanted, judge_encoded};
use serde::Deserialize;

use crate::command::{Said, portalwatch_with};
use crate::vectors;

/// Cases whose outcome differs, and why. Each was read; a case that comes to agree must leave.
/// The suite marks both as readings that conflict with another case of its own.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("rfc5280::ca-as-leaf", "the Web PKI's reading is taken: BR 7.1.2.7.8 forbids it (webpki::ca-as-leaf)"),
    (
        "rfc5280::nc::permitted-dns-match-noncritical",
        "the Web PKI's reading is taken: BR 7.1.2.5.2 allows it (webpki::nc::permitted-dns-match-noncritical)",
    ),
];

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

/// `None`, told, where the suites are not there.
fn suite(test: &str) -> Option<Suite> {
    let text = std::fs::read_to_string(vectors::folder(test)?.join("x509-limbo/limbo.json")).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

fn ders(pems: &[String]) -> Vec<Vec<u8>> {
    pems.iter().flat_map(|text| pem::blocks(text).unwrap()).map(|block| block.bytes).collect()
}

impl Case {
    fn at(&self) -> i64 {
        let at = self.validation_time.as_ref().map(|text| text.parse::<jiff::Timestamp>().unwrap());
        at.unwrap_or_else(|| SystemClock.now()).as_second()
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
    assert!(suite.testcases.len() >= 50, "only {} cases", suite.testcases.len());
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

/// Browsers accept much that the suite does not: told, but no outage.
#[test]
fn what_browsers_accept_is_told_and_is_no_downtime() {
    let Some(suite) = suite("what_browsers_accept_is_told_and_is_no_downtime") else { return };
    let mut lenient = 0;
    for case in suite.testcases.iter().filter(|case| case.expected_result == "FAILURE") {
        let judged = case.judged();
        let revoked = judged.findings.iter().any(|finding| finding.id.as_str() == "cert.revoked");
        if !judged.browser.accepts || judged.valid || revoked {
            continue;
        }
        lenient += 1;
        assert!(judged.findings.iter().any(|finding| finding.evidence["strict"] == true), "{}", case.id);
        let broken: Vec<_> = judged.findings.iter().filter(|finding| finding.broken).collect();
        assert!(broken.is_empty(), "{}: {broken:?}", case.id);
    }
    assert!(lenient > 5, "only {lenient}");
}

impl Case {
    /// The same through the command.
    fn inspected(&self, folder: &Path) -> Said {
        let mut arguments: Vec<String> = ["inspect", "chain", "--format", "json"].map(str::to_owned).into();
        let mut file = |option: &str, number: usize, text: &str| {
            let name = format!("{}-{number}.pem", option.trim_start_matches('-'));
            std::fs::write(folder.join(&name), text).unwrap();
            arguments.extend([option.to_owned(), name]);
        };
        file("--leaf", 0, &self.peer_certificate);
        for (option, texts) in [
            ("--intermediate", &self.untrusted_intermediates),
            ("--root", &self.trusted_certs),
            ("--crl", &self.crls),
        ] {
            for (number, text) in texts.iter().enumerate() {
                file(option, number, text);
            }
        }
        if let Some(at) = &self.validation_time {
            arguments.extend(["--at".to_owned(), at.clone()]);
        }
        if let Some(name) = self.expected_peer_name.iter().chain(&self.expected_peer_names).next() {
            arguments.extend(["--name".to_owned(), name.value.clone()]);
        }
        if let Some(depth) = self.max_chain_depth {
            arguments.extend(["--max-depth".to_owned(), depth.to_string()]);
        }
        if self.validation_kind == "CLIENT" {
            arguments.push("--client".to_owned());
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        portalwatch_with(folder, &[], &arguments)
    }
}

#[test]
fn the_command_says_what_the_judge_does() {
    let Some(suite) = suite("the_command_says_what_the_judge_does") else { return };
    let mut shown = 0;
    for case in suite.testcases.iter().filter(|case| case.untrusted_intermediates.len() < 10).step_by(9) {
        let folder = tempfile::tempdir().unwrap();
        let said = case.inspected(folder.path());
        let (json, judged) = (said.json(), case.judged());
        assert_eq!(json["observation"]["valid"], judged.valid, "{}: {said:#?}", case.id);
        let ids = |findings: &serde_json::Value| -> Vec<String> {
            findings
                .as_array()
                .unwrap()
                .iter()
                .map(|finding| finding["id"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(
            ids(&json["findings"]),
            ids(&serde_json::to_value(&judged.findings).unwrap()),
            "{}",
            case.id
        );
        let verdict = match said.code {
            0 => "pass",
            1 => "warn",
            2 => "fail",
            code => panic!("{}: {code}", case.id),
        };
        assert_eq!(json["verdict"], verdict, "{}", case.id);
        shown += 1;
    }
    assert!(shown > 5, "only {shown}");
}
