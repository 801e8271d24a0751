//! What of a response becomes facts: what the spec names, and nothing of the body's text.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName};
use url::Url;

use super::expect::Expect;
use super::facts::{Facts, Held, Match, Part, Tls};
use super::mask;
use crate::judge::{Unmet, clip};
use crate::net::{Response, TlsInfo};

/// The most header lines that are kept for `inspect`.
const MOST_HEADERS: usize = 64;

/// Notes the judged response. `everything` keeps all headers and the body's digest.
pub fn response(facts: &mut Facts, expect: &Expect, response: &Response, url: &Url, everything: bool) {
    facts.size = Some(response.body.len() as u64);
    facts.truncated = response.truncated;
    facts.headers = headers(expect, &response.headers, everything);
    let wants_digest = expect.body.as_ref().is_some_and(|body| body.sha256.is_some());
    if wants_digest || everything {
        facts.sha256 = Some(sha256(&response.body));
    }
    header_matches(facts, expect, &response.headers);
    final_url(facts, expect, url);
    if expect.wants_body() {
        body(facts, expect, &response.body, !response.truncated && response.body_error.is_none());
    }
}

/// Notes which connection answered.
pub fn session(facts: &mut Facts, response: &Response) {
    facts.status = Some(response.status);
    facts.version = Some(format!("{:?}", response.version).replace("/2.0", "/2"));
    facts.peer = Some(response.peer);
    facts.tls = response.tls.as_ref().map(tls);
}

fn tls(info: &TlsInfo) -> Tls {
    Tls {
        version: info.version.clone(),
        cipher: info.cipher.clone(),
        alpn: info.alpn.clone(),
        not_after: info.not_after,
    }
}

fn sha256(body: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn values(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}

fn headers(expect: &Expect, headers: &HeaderMap, everything: bool) -> BTreeMap<String, Vec<String>> {
    let mut kept: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let named = |name: &HeaderName| {
        expect.headers.iter().any(|rules| rules.0.iter().any(|(wanted, _)| wanted == name))
    };
    if !everything && expect.headers.is_none() {
        return kept;
    }
    for (name, value) in headers.iter().filter(|(name, _)| everything || named(name)).take(MOST_HEADERS) {
        let shown = mask::header(name, &String::from_utf8_lossy(value.as_bytes()));
        kept.entry(name.as_str().to_owned()).or_default().push(shown);
    }
    kept
}

fn outcome(part: Part, key: &str, value: Option<String>, held: Result<(), Unmet>) -> Match {
    let (held, rule) = match held {
        Ok(()) => (Held::Yes, None),
        Err(Unmet::No(rule)) => (Held::No, Some(clip(&rule))),
        Err(Unmet::Undecided(rule)) => (Held::Undecided, Some(clip(&rule))),
    };
    Match { part, key: key.to_owned(), held, rule, value: value.map(|value| clip(&value)) }
}

fn header_matches(facts: &mut Facts, expect: &Expect, headers: &HeaderMap) {
    for (name, rule) in expect.headers.iter().flat_map(|rules| rules.0.iter()) {
        let seen = values(headers, name);
        let texts: Vec<&str> = seen.iter().map(String::as_str).collect();
        let shown = seen.iter().map(|value| mask::header(name, value)).collect::<Vec<_>>().join(", ");
        let value = (!seen.is_empty()).then_some(shown);
        facts.matches.push(outcome(Part::Header, name.as_str(), value, rule.judge(&texts)));
    }
}

fn final_url(facts: &mut Facts, expect: &Expect, url: &Url) {
    if let Some(rule) = &expect.final_url {
        facts.matches.push(outcome(Part::FinalUrl, "", None, rule.judge(&[url.as_str()])));
    }
}

fn body(facts: &mut Facts, expect: &Expect, body: &[u8], whole: bool) {
    if let Some(rule) = &expect.body {
        let digest = facts.sha256.clone().unwrap_or_default();
        facts.matches.push(outcome(Part::Body, "", None, rule.judge(body, whole, || digest)));
    }
    let Some(rules) = &expect.json else {
        return;
    };
    if !whole {
        let undecided =
            |path| outcome(Part::Json, path, None, Err(Unmet::Undecided("can be read".to_owned())));
        facts.matches.extend(rules.paths().map(undecided));
        return;
    }
    match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(document) => facts
            .matches
            .extend(rules.judge(&document).map(|(path, value, held)| outcome(Part::Json, path, value, held))),
        Err(error) => {
            let rule = format!("is JSON ({error})");
            facts.matches.push(outcome(Part::Json, "", None, Err(Unmet::No(rule))));
        }
    }
}
