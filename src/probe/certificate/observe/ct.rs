//! Asks the service that searches public logs what was issued for the hosts' domains.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::Instant;

use crate::judge::clip;
use crate::net::{Origin, Request, Response, TlsOptions, Via};
use crate::probe::Ctx;
use crate::probe::certificate::ct::{Cursor, Issuance, Settings, Watched};
use crate::probe::certificate::memory::Memory;
use crate::probe::certificate::text::one_line;

/// So many pages are read of one domain in a run; more are read the next time.
const MOST_PAGES: usize = 8;
/// So many certificates of one domain are taken in.
const MOST_ISSUANCES: usize = 1_000;
/// So many names of one certificate.
const MOST_NAMES: usize = 12;
/// The longest page, in bytes.
const LONGEST_PAGE: usize = 4 << 20;
/// The longest name, in bytes.
const LONGEST_TEXT: usize = 256;
/// Nobody is asked to come back later than this.
const LONGEST_WAIT: i64 = 7 * 86_400;
/// How long to leave a service alone that asks for it and does not say for how long, in seconds.
const USUAL_WAIT: i64 = 3_600;

/// Asks for each of `hosts`' domains that is due, in at most the time that is `left`. Empty where
/// nobody is to be asked.
pub async fn look<'h>(
    settings: Option<&Settings>,
    ctx: &Ctx<'_>,
    hosts: impl IntoIterator<Item = &'h str>,
    memory: &Memory,
    left: Duration,
) -> Vec<Watched> {
    let Some(settings) = settings else { return Vec::new() };
    let asking =
        Asking { settings, ctx, until: Instant::now() + left.min(ctx.scope.timeout.saturating_mul(2)) };
    let mut all = Vec::new();
    for domain in memory.ct.due(settings, hosts, ctx.at) {
        let watched = asking.domain(&domain, memory.ct.cursor(settings, &domain)).await;
        let stop = watched.retry_at.is_some() || asking.is_over();
        all.push(watched);
        if stop {
            break;
        }
    }
    all
}

struct Asking<'a> {
    settings: &'a Settings,
    ctx: &'a Ctx<'a>,
    /// A slow service must not cost the run.
    until: Instant,
}

impl Asking<'_> {
    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    async fn domain(&self, domain: &str, cursor: Cursor<'_>) -> Watched {
        let mut watched = Watched {
            domain: domain.to_owned(),
            last: cursor.after.map(str::to_owned),
            ..Watched::default()
        };
        for _ in 0..MOST_PAGES {
            if watched.issuances.len() >= MOST_ISSUANCES || self.is_over() {
                break;
            }
            match self.page(domain, watched.last.as_deref()).await {
                Ok(page) => {
                    let Some(last) = page.last().map(|raw| clip(&raw.id)) else {
                        watched.finished = true;
                        break;
                    };
                    if watched.last.as_deref() == Some(last.as_str()) {
                        watched.failure = Some("it gives the same page again and again".to_owned());
                        break;
                    }
                    watched.last = Some(last);
                    watched.issuances.extend(page.into_iter().map(|raw| raw.issuance(cursor.learned)));
                }
                Err(unread) => {
                    watched.failure = Some(unread.why);
                    watched.retry_at = unread.retry_at;
                    break;
                }
            }
        }
        watched
    }

    async fn page(&self, domain: &str, after: Option<&str>) -> Result<Vec<Raw>, Unread> {
        let request = self.request(domain, after)?;
        // A client certificate and another name are for the hosts, not for this service.
        let tls = TlsOptions { ca_pem: self.ctx.scope.tls.ca_pem.clone(), ..TlsOptions::default() };
        let via = Via {
            origin: Origin::Portal { private: self.ctx.scope.portal.private },
            resolvers: Arc::clone(&self.ctx.scope.resolvers),
            ..Via::to_operators_choice(Arc::new(tls))
        };
        let response = self.ctx.net.exchange(&request, &via).await;
        read(&response.map_err(|error| Unread::because(clip(&error.to_string())))?, self.ctx.at)
    }

    fn request(&self, domain: &str, after: Option<&str>) -> Result<Request, Unread> {
        let mut url = self.settings.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["v1", "issuances"]);
        }
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("domain", domain);
            query.append_pair("include_subdomains", &self.settings.include_subdomains.to_string());
            query.append_pair("expand", "dns_names").append_pair("expand", "issuer");
            if let Some(after) = after {
                query.append_pair("after", after);
            }
        }
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(token) = &self.settings.token {
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose()))
                .map_err(|_| Unread::because(format!("{} holds what no header may hold", token.shown())))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(Request {
            method: http::Method::GET,
            url,
            headers,
            body: bytes::Bytes::new(),
            timeout: self
                .ctx
                .scope
                .timeout
                .min(self.until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))),
            max_body: LONGEST_PAGE,
        })
    }
}

struct Unread {
    why: String,
    retry_at: Option<Timestamp>,
}

impl Unread {
    const fn because(why: String) -> Self {
        Self { why, retry_at: None }
    }
}

fn read(response: &Response, now: Timestamp) -> Result<Vec<Raw>, Unread> {
    let why = match response.status {
        200 => return page(response),
        401 | 403 => "it refuses the token".to_owned(),
        429 => "it asks not to be asked so often".to_owned(),
        status => format!("it answers with status {status}"),
    };
    let busy = matches!(response.status, 429 | 503);
    Err(Unread { why, retry_at: busy.then(|| retry_at(&response.headers, now)) })
}

fn page(response: &Response) -> Result<Vec<Raw>, Unread> {
    if response.truncated || response.body_error.is_some() {
        return Err(Unread::because("its answer is too long or breaks off".to_owned()));
    }
    let page: Vec<Raw> = serde_json::from_slice(&response.body).map_err(|error| {
        Unread::because(format!("its answer cannot be read: {}", clip(&error.to_string())))
    })?;
    if let Some(odd) = page.iter().find(|raw| !is_digest(&raw.tbs_sha256) || !is_digest(&raw.pubkey_sha256)) {
        return Err(Unread::because(format!("the digests of issuance {:?} are none", clip(&odd.id))));
    }
    Ok(page)
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// When a service may be asked again: seconds or a date (RFC 9110 section 10.2.3).
fn retry_at(headers: &HeaderMap, now: Timestamp) -> Timestamp {
    let text = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::trim);
    let seconds = text.and_then(|text| {
        let date = || jiff::fmt::rfc2822::parse(text).ok().map(|date| date.timestamp().as_second());
        text.parse().ok().or_else(|| Some(date()?.saturating_sub(now.as_second())))
    });
    let wait = seconds.unwrap_or(USUAL_WAIT).clamp(60, LONGEST_WAIT);
    now.checked_add(jiff::SignedDuration::from_secs(wait)).unwrap_or(now)
}

/// An issuance as the service writes it.
#[derive(Deserialize)]
struct Raw {
    id: String,
    tbs_sha256: String,
    pubkey_sha256: String,
    #[serde(default)]
    dns_names: Vec<String>,
    #[serde(default)]
    issuer: Option<RawIssuer>,
    #[serde(default)]
    not_before: Option<String>,
    #[serde(default)]
    not_after: Option<String>,
}

#[derive(Deserialize)]
struct RawIssuer {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    friendly_name: Option<String>,
}

impl Raw {
    /// Of what is taken as known, the digests are enough.
    fn issuance(self, learned: bool) -> Issuance {
        let bare = Issuance {
            tbs_sha256: self.tbs_sha256.to_ascii_lowercase(),
            pubkey_sha256: self.pubkey_sha256.to_ascii_lowercase(),
            ..Issuance::default()
        };
        if !learned {
            return bare;
        }
        let seconds = |text: Option<String>| text?.parse::<Timestamp>().ok().map(Timestamp::as_second);
        let left_out = self.dns_names.len().saturating_sub(MOST_NAMES);
        Issuance {
            names: self.dns_names.iter().take(MOST_NAMES).map(|name| plain(name)).collect(),
            left_out,
            issuer: self.issuer.and_then(RawIssuer::organisation).unwrap_or_default(),
            not_before: seconds(self.not_before),
            not_after: seconds(self.not_after),
            ..bare
        }
    }
}

impl RawIssuer {
    fn organisation(self) -> Option<String> {
        let written = self.name.as_deref();
        let organisation = written.and_then(|name| name.split(", ").find_map(|part| part.strip_prefix("O=")));
        let text = organisation.or(self.friendly_name.as_deref()).or(written)?;
        Some(plain(text))
    }
}

fn plain(text: &str) -> String {
    one_line(text, LONGEST_TEXT)
}

#[cfg(test)]
#[path = "ct_tests.rs"]
mod tests;
