//! The certificates of issuers that were not sent (RFC 5280 section 4.2.2.1).

use std::collections::BTreeSet;

use futures_util::FutureExt as _;

use super::{AGAIN, AT_ONCE, MOST_URLS, climb, fetchable, get};
use crate::formats::x509::{Certificate, pem, pkcs7};
use crate::probe::certificate::facts::{Facts, FetchFailure, FetchedIssuer};
use crate::probe::certificate::judge::Anchors;
use crate::probe::certificate::observe::{Look, some_at_once};

/// So many steps up a chain are fetched.
const STEPS: usize = 4;
/// The longest answer, in bytes.
const LONGEST: usize = 1 << 20;
/// How long what was fetched is good, in seconds.
const KEPT: i64 = 86_400;

/// Fetches, step by step, what the chains lack.
pub(super) async fn fetch(look: &Look<'_>, facts: &mut Facts, anchors: &Anchors) {
    for _ in 0..STEPS {
        let urls = wanted(facts, anchors);
        if urls.is_empty() {
            return;
        }
        let all = urls.into_iter().map(|url| one(look, url).boxed()).collect();
        for (url, (issuer, ders)) in some_at_once(all, AT_ONCE).await {
            let certificates = ders.into_iter().map(|der| facts.keep(der)).collect();
            facts.issuers.insert(url, FetchedIssuer { certificates, ..issuer });
        }
    }
}

/// The URLs that the open ends of chains name and that have not been fetched.
fn wanted(facts: &Facts, anchors: &Anchors) -> Vec<String> {
    let open = climb::all(facts, anchors).into_iter().filter(|climbed| !climbed.whole);
    let mut urls = BTreeSet::new();
    for climbed in open {
        let Some(last) = climbed.certificates.last().filter(|last| !last.self_issued) else { continue };
        let all = fetchable(&last.extensions.ca_issuers);
        urls.extend(all.into_iter().filter(|url| !facts.issuers.contains_key(*url)).cloned());
    }
    urls.into_iter().take(MOST_URLS.saturating_sub(facts.issuers.len())).collect()
}

type Fetched = (FetchedIssuer, Vec<Vec<u8>>);

async fn one(look: &Look<'_>, url: String) -> (String, Fetched) {
    if let Some(remembered) = remembered(look, &url) {
        return (url, remembered);
    }
    let found = get(look, &url, LONGEST).await.and_then(|bytes| read(&bytes));
    let issuer = |failure| FetchedIssuer { at: look.ctx.at, certificates: Vec::new(), failure };
    let fetched = match found {
        Ok(ders) => (issuer(None), ders),
        Err(failure) => (issuer(Some(failure)), Vec::new()),
    };
    (url, fetched)
}

fn remembered(look: &Look<'_>, url: &str) -> Option<Fetched> {
    let known = look.memory.fetched.issuers.get(url)?;
    let age = look.ctx.at.as_second().saturating_sub(known.at.as_second());
    let kept = if known.failure.is_some() { AGAIN } else { KEPT };
    let ders: Option<Vec<Vec<u8>>> = known
        .certificates
        .iter()
        .map(|key| look.memory.fetched.certificates.get(key).map(|der| der.0.clone()))
        .collect();
    Some((known.clone(), ders.filter(|_| (0..kept).contains(&age))?))
}

/// The certificates in an answer: one in DER, PEM, or a bag.
fn read(bytes: &[u8]) -> Result<Vec<Vec<u8>>, FetchFailure> {
    let malformed = |why: String| FetchFailure::Malformed(why);
    let found: Vec<Vec<u8>> = if bytes.trim_ascii_start().starts_with(b"-----BEGIN ") {
        let text =
            std::str::from_utf8(bytes).map_err(|_| malformed("the PEM text is no UTF-8".to_owned()))?;
        let blocks = pem::blocks(text).map_err(|why| malformed(why.to_string()))?;
        blocks.into_iter().flat_map(|block| block_content(&block)).collect()
    } else {
        content(bytes).map_err(malformed)?
    };
    let readable = found.iter().all(|der| Certificate::parse(der).is_ok());
    if found.is_empty() || found.len() > MOST || !readable {
        return Err(malformed("it holds no certificate that can be read, or too many".to_owned()));
    }
    Ok(found)
}

/// So many certificates are taken from one answer.
const MOST: usize = 32;

fn block_content(block: &pem::Block) -> Vec<Vec<u8>> {
    match block.label.as_str() {
        "PKCS7" | "CMS" => content(&block.bytes).unwrap_or_default(),
        _ => vec![block.bytes.clone()],
    }
}

fn content(bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    match Certificate::parse(bytes) {
        Ok(_) => Ok(vec![bytes.to_vec()]),
        Err(why) => {
            let bag = pkcs7::certificates(bytes).map_err(|_| why.to_string())?;
            Ok(bag.into_iter().map(<[u8]>::to_vec).collect())
        }
    }
}
