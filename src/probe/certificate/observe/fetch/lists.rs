//! Revocation lists (RFC 5280 section 4.2.1.13) of the leaves and of the authorities above them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::FutureExt as _;

use super::{AGAIN, AT_ONCE, MOST_URLS, climb, fetchable, get};
use crate::formats::x509::Certificate;
use crate::net::aside;
use crate::probe::certificate::facts::{Facts, FetchFailure, FetchedCrl};
use crate::probe::certificate::judge::Anchors;
use crate::probe::certificate::observe::{Look, some_at_once};
use crate::probe::certificate::revocation::{self, Condensed};

/// The longest list, in bytes.
const LONGEST: usize = 32 << 20;
/// How long a list is good that says of itself that it is longer, in seconds.
const KEPT: i64 = 6 * 3600;
/// So many places are tried for one certificate.
const PLACES: usize = 3;

/// What is asked of lists, shared with the threads that read them.
struct Asked {
    certificates: Vec<Certificate>,
    issuers: Vec<Certificate>,
    anchors: Arc<Anchors>,
}

/// Fetches the lists, and for what its first place does not give, the next.
pub(super) async fn fetch(look: &Look<'_>, facts: &mut Facts, anchors: &Arc<Anchors>) {
    let mut certificates: BTreeMap<String, Certificate> = BTreeMap::new();
    for climbed in climb::all(facts, anchors) {
        let below_root = climbed.certificates.into_iter().filter(|certificate| !certificate.self_issued);
        certificates.extend(below_root.map(|certificate| (certificate.sha256.clone(), certificate)));
    }
    let issuers = facts.parsed().into_values().flatten().collect();
    let certificates: Vec<Certificate> = certificates.into_values().collect();
    let asked = Arc::new(Asked { certificates, issuers, anchors: Arc::clone(anchors) });
    for place in 0..PLACES {
        let urls = wanted(facts, &asked.certificates, place);
        let all = urls.into_iter().map(|url| one(look, url, &asked).boxed()).collect();
        facts.crls.extend(some_at_once(all, AT_ONCE).await);
    }
}

/// The places of that number, of certificates of which no list has come so far.
fn wanted(facts: &Facts, certificates: &[Certificate], place: usize) -> Vec<String> {
    let mut urls = BTreeSet::new();
    for certificate in certificates {
        let all = fetchable(&certificate.extensions.crl_urls);
        let came = |url: &&String| facts.crls.get(*url).is_some_and(|crl| crl.list.is_some());
        if !all.iter().any(came) {
            urls.extend(all.get(place).filter(|url| !facts.crls.contains_key(**url)).copied().cloned());
        }
    }
    urls.into_iter().take(MOST_URLS.saturating_sub(facts.crls.len())).collect()
}

async fn one(look: &Look<'_>, url: String, asked: &Arc<Asked>) -> (String, FetchedCrl) {
    if let Some(known) = look.memory.fetched.crls.get(&url).filter(|known| is_fresh(look, known, &url, asked))
    {
        return (url, known.clone());
    }
    let list = match get(look, &url, LONGEST).await {
        Ok(bytes) => condensed(bytes, &url, asked).await,
        Err(failure) => Err(failure),
    };
    let (list, failure) = match list {
        Ok(list) => (Some(list), None),
        Err(failure) => (None, Some(failure)),
    };
    (url, FetchedCrl { at: look.ctx.at, failure, list })
}

/// Whether what is remembered will do: it is young, the next list is not due, and it answers for every
/// certificate that is asked about.
fn is_fresh(look: &Look<'_>, known: &FetchedCrl, url: &str, asked: &Asked) -> bool {
    let now = look.ctx.at.as_second();
    let age = now.saturating_sub(known.at.as_second());
    let Some(list) = &known.list else { return (0..AGAIN).contains(&age) };
    let due = list.next_update.is_some_and(|due| due <= now);
    let answered = |certificate: &Certificate| list.answers.contains_key(&certificate.sha256);
    (0..KEPT).contains(&age) && !due && asked.naming(url).all(answered)
}

impl Asked {
    fn naming<'a>(&'a self, url: &'a str) -> impl Iterator<Item = &'a Certificate> {
        let names =
            move |certificate: &&Certificate| certificate.extensions.crl_urls.iter().any(|own| own == url);
        self.certificates.iter().filter(names)
    }
}

/// Large lists take a while to read; other checks go on meanwhile.
async fn condensed(bytes: bytes::Bytes, url: &str, asked: &Arc<Asked>) -> Result<Condensed, FetchFailure> {
    let (url, asked) = (url.to_owned(), Arc::clone(asked));
    let read = move || {
        let certificates: Vec<&Certificate> = asked.naming(&url).collect();
        let issuers: Vec<&Certificate> = asked.issuers.iter().collect();
        revocation::condense(&bytes, &certificates, &issuers, &asked.anchors)
    };
    match aside(tokio::task::spawn_blocking(read)).await {
        Ok(list) => list.map_err(FetchFailure::Malformed),
        Err(error) => Err(FetchFailure::OurSide(format!("the list could not be read: {error}"))),
    }
}
