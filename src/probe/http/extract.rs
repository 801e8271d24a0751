//! What of a response becomes facts: what the spec names, and nothing of the body's text.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName};
use url::Url;

use super::facts::Facts;
use crate::net::Response;
use crate::probe::web::expect::Expect;
use crate::probe::web::facts::Tls;
use crate::probe::web::{mask, matches};

/// The most header lines that are kept for `inspect`.
const MOST_HEADERS: usize = 64;

/// Notes the judged response. `everything` keeps all headers and the body's digest.
pub fn response(facts: &mut Facts, expect: &Expect, response: &Response, url: &Url, everything: bool) {
    facts.size = Some(response.body.len() as u64);
    facts.truncated = response.truncated;
    facts.headers = headers(expect, &response.headers, everything);
    let wants_digest = expect.body.as_ref().is_some_and(|body| body.sha256.is_some());
    if wants_digest || everything {
        facts.sha256 = Some(matches::digest(&response.body));
    }
    facts.matches = matches::matches(expect, response, url, facts.sha256.as_deref());
}

/// Notes which connection answered.
pub fn session(facts: &mut Facts, response: &Response) {
    facts.status = Some(response.status);
    facts.version = Some(format!("{:?}", response.version).replace("/2.0", "/2"));
    facts.peer = Some(response.peer);
    facts.tls = response.tls.as_ref().map(Tls::from);
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
