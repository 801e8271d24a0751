//! What certificates point at: their issuers' certificates and revocation lists. Whoever made a
//! certificate wrote these URLs, so the address guard judges where they lead.

mod climb;
mod issuers;
mod lists;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};
use url::Url;

use super::Look;
use crate::judge::{StatusSet, clip};
use crate::model::Cause;
use crate::net::{Family, HttpVersion, Origin, Request, TlsOptions, Via};
use crate::probe::certificate::facts::{Facts, FetchFailure};
use crate::probe::certificate::judge::Anchors;
use crate::probe::web::expect::Redirects;
use crate::probe::web::facts::{RedirectProblem, Skipped};
use crate::probe::web::walk::{End, Trip, walk};
use crate::probe::web::words;

/// So many URLs are fetched at a time.
const AT_ONCE: usize = 4;
/// So many are fetched in a run, of issuers and of lists each.
const MOST_URLS: usize = 32;
const LONGEST_URL: usize = 2048;
const MOST_REDIRECTS: u8 = 3;
/// Until a URL that failed is tried again, in seconds.
const AGAIN: i64 = 900;

/// Fetches what is missing of the chains, then the revocation lists of what they are made of.
pub(super) async fn fetch(look: &Look<'_>, facts: &mut Facts) {
    let trusted = facts.trusted.iter().filter_map(|key| facts.certificates.get(key)?.read());
    let anchors = Arc::new(Anchors::mozilla_and(trusted));
    issuers::fetch(look, facts, &anchors).await;
    lists::fetch(look, facts, &anchors).await;
}

/// The URLs that are fetched, in their order; where there are only others, the first, to be refused.
fn fetchable(urls: &[String]) -> Vec<&String> {
    let web = |url: &&String| {
        let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        matches!(scheme.as_deref(), Some("http" | "https"))
    };
    let mut found: Vec<&String> = urls.iter().filter(web).collect();
    if found.is_empty() {
        found.extend(urls.first());
    }
    found
}

/// Fetches one URL.
async fn get(look: &Look<'_>, text: &str, most: usize) -> Result<Bytes, FetchFailure> {
    let refused = |why: String| FetchFailure::Refused(why);
    if text.len() > LONGEST_URL {
        return Err(refused(format!("the URL is longer than {LONGEST_URL} bytes")));
    }
    let url = Url::parse(text).map_err(|why| refused(format!("it is no URL: {why}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refused(format!("{} is not fetched, only http and https", clip(url.scheme()))));
    }
    if look.patience().is_none() {
        return Err(FetchFailure::OurSide(super::out_of_time().why));
    }
    let private = look.ctx.scope.portal.private;
    let request = Request {
        method: Method::GET,
        url,
        headers: HeaderMap::new(),
        body: Bytes::new(),
        timeout: look.ctx.scope.timeout,
        max_body: most,
    };
    let via = Via {
        origin: Origin::Answer { private },
        resolvers: Arc::clone(&look.ctx.scope.resolvers),
        tls: Arc::new(TlsOptions { ca_pem: look.ctx.scope.tls.ca_pem.clone(), ..TlsOptions::default() }),
        family: Family::Any,
        connect_to: None,
        proxy: None,
        version: HttpVersion::Auto,
    };
    let trip = Trip {
        net: look.ctx.net,
        ends: look.ends,
        timeout: look.ctx.scope.timeout,
        private,
        wanted: &StatusSet::default(),
        rules: Redirects { max: MOST_REDIRECTS, ..Redirects::default() },
        private_headers: &[],
        secret_body: false,
        secret_parameters: &[],
    };
    content(walk(request, via, &trip, &mut (), None).await.end, most)
}

fn content(end: End, most: usize) -> Result<Bytes, FetchFailure> {
    let failed = |why: String| Err(FetchFailure::Failed(clip(&why)));
    match end {
        End::Answer(response) if response.status != 200 => failed(format!("answered {}", response.status)),
        End::Answer(response) if response.truncated => failed(format!("it is longer than {most} bytes")),
        End::Answer(response) => match response.body_error {
            Some(error) => failed(error.to_string()),
            None => Ok(response.body),
        },
        End::Astray(_, problem @ (RedirectProblem::Guarded { .. } | RedirectProblem::Scheme(_))) => {
            Err(FetchFailure::Refused(clip(&words::redirect(&problem, None))))
        }
        End::Astray(_, problem) => failed(words::redirect(&problem, None)),
        End::Failed(failure) => failed(words::failure(&failure, None)),
        // What the guard refuses is the config's, were it not the certificate that wrote the URL.
        End::Skipped(Skipped { cause: Cause::Config, why, .. }) => Err(FetchFailure::Refused(why)),
        End::Skipped(skipped) => Err(FetchFailure::OurSide(skipped.why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_asked_by_nobody_and_a_web_address_beside_it_is() {
        let urls = |urls: &[&str]| urls.iter().map(|url| (*url).to_owned()).collect::<Vec<_>>();
        let both = urls(&["ldap:///cn=x", "HTTP://a.example/x", "https://b.example/x"]);
        assert_eq!(fetchable(&both), [&both[1], &both[2]]);
        let alone = urls(&["ldap:///cn=x", "ldap:///cn=y"]);
        assert_eq!(fetchable(&alone), [&alone[0]]);
        assert!(fetchable(&[]).is_empty());
    }
}
