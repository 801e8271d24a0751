//! What comes of expectations on an answer: yes, no, or undecided; and nothing of the body's text.

use http::{HeaderMap, HeaderName};
use url::Url;

use super::expect::Expect;
use super::facts::{Held, Match, Part};
use super::mask;
use crate::judge::{Unmet, clip};
use crate::net::Response;

/// What came of each expectation on headers, address and body. `sha256` is the body's digest where
/// it is known; else it is computed if an expectation asks for it.
pub fn matches(expect: &Expect, response: &Response, url: &Url, sha256: Option<&str>) -> Vec<Match> {
    let mut matches = Vec::new();
    header_matches(&mut matches, expect, &response.headers);
    if let Some(rule) = &expect.final_url {
        matches.push(outcome(Part::FinalUrl, "", None, rule.judge(&[url.as_str()])));
    }
    let whole = !response.truncated && response.body_error.is_none();
    if let Some(rule) = &expect.body {
        let digest = || sha256.map_or_else(|| digest(&response.body), str::to_owned);
        matches.push(outcome(Part::Body, "", None, rule.judge(&response.body, whole, digest)));
    }
    json_matches(&mut matches, expect, &response.body, whole);
    matches
}

/// The SHA-256 of a body, in hexadecimal.
pub fn digest(body: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn values(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}

fn outcome(part: Part, key: &str, value: Option<String>, held: Result<(), Unmet>) -> Match {
    let (held, rule) = match held {
        Ok(()) => (Held::Yes, None),
        Err(Unmet::No(rule)) => (Held::No, Some(clip(&rule))),
        Err(Unmet::Undecided(rule)) => (Held::Undecided, Some(clip(&rule))),
    };
    Match { part, key: key.to_owned(), held, rule, value: value.map(|value| clip(&value)) }
}

fn header_matches(matches: &mut Vec<Match>, expect: &Expect, headers: &HeaderMap) {
    for (name, rule) in expect.headers.iter().flat_map(|rules| rules.0.iter()) {
        let seen = values(headers, name);
        let texts: Vec<&str> = seen.iter().map(String::as_str).collect();
        let shown = seen.iter().map(|value| mask::header(name, value)).collect::<Vec<_>>().join(", ");
        let value = (!seen.is_empty()).then_some(shown);
        matches.push(outcome(Part::Header, name.as_str(), value, rule.judge(&texts)));
    }
}

fn json_matches(matches: &mut Vec<Match>, expect: &Expect, body: &[u8], whole: bool) {
    let Some(rules) = &expect.json else {
        return;
    };
    if !whole {
        let undecided =
            |path| outcome(Part::Json, path, None, Err(Unmet::Undecided("can be read".to_owned())));
        matches.extend(rules.paths().map(undecided));
        return;
    }
    match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(document) => matches
            .extend(rules.judge(&document).map(|(path, value, held)| outcome(Part::Json, path, value, held))),
        Err(error) => {
            let rule = format!("is JSON ({error})");
            matches.push(outcome(Part::Json, "", None, Err(Unmet::No(rule))));
        }
    }
}
