//! Sends an HTTP message and tells what the answer means.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::wire::{Broken, Call, Reply, Wire};
use crate::model::{Delivery, HttpMessage};
use crate::net::TlsOptions;
use crate::notify::card::bounded;
use crate::notify::{HttpTarget, webhook};

/// How much of an answer is read.
const MAX_ANSWER: usize = 4096;

/// Sends `message` under `key`; the whole of it takes at most `timeout`.
pub(super) async fn send(
    wire: &dyn Wire,
    target: &HttpTarget,
    tls: &Arc<TlsOptions>,
    message: &HttpMessage,
    key: &str,
    now: Timestamp,
    timeout: Duration,
) -> Delivery {
    let call = match call(target, tls, message, key, now, timeout) {
        Ok(call) => call,
        Err(why) => return Delivery::Dead { why },
    };
    match tokio::time::timeout(timeout, wire.exchange(call)).await {
        Ok(Ok(reply)) => classify(&reply, now),
        Ok(Err(Broken { why, sent })) => Delivery::Retry { after: None, why, unsure: sent },
        Err(_) => {
            let why = format!("no answer within {} s", timeout.as_secs());
            Delivery::Retry { after: None, why, unsure: true }
        }
    }
}

fn call(
    target: &HttpTarget,
    tls: &Arc<TlsOptions>,
    message: &HttpMessage,
    key: &str,
    now: Timestamp,
    timeout: Duration,
) -> Result<Call, String> {
    let url = url::Url::parse(target.url.expose()).map_err(|_| "the channel's url is no URL".to_owned())?;
    let method = http::Method::from_bytes(message.method.as_bytes()).map_err(|error| error.to_string())?;
    let mut headers = http::HeaderMap::new();
    let mut add = |name: &str, value: &str| {
        let name_ok = http::HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
        let value =
            http::HeaderValue::from_str(value).map_err(|_| format!("header {name}: no valid value"))?;
        headers.insert(name_ok, value);
        Ok::<(), String>(())
    };
    for (name, value) in &message.headers {
        add(name, value)?;
    }
    for (name, value) in &target.headers {
        add(name, value.expose())?;
    }
    add("webhook-id", key)?;
    add("webhook-timestamp", &now.as_second().to_string())?;
    if let Some(secret) = &target.signing {
        let signing_key = webhook::signing_key(secret)?;
        add("webhook-signature", &webhook::signature(&signing_key, key, now.as_second(), &message.body))?;
    }
    let body = message.body.clone().into();
    Ok(Call { method, url, headers, body, timeout, max_body: MAX_ANSWER, tls: tls.clone() })
}

/// What an answer means. What a change of the config can mend (401, 403, 404) is tried again, so
/// that a mistyped token costs time and no message.
fn classify(reply: &Reply, now: Timestamp) -> Delivery {
    let text = String::from_utf8_lossy(&reply.body);
    let answer = bounded(format!("HTTP {} {}", reply.status, text.trim()).trim(), 200);
    match reply.status {
        200..=299 => Delivery::Sent { answer },
        300..=399 => {
            let place =
                reply.headers.get("location").and_then(|value| value.to_str().ok()).unwrap_or("nowhere");
            let why = format!(
                "HTTP {}: redirects to {}; redirects are not followed, write the final address as url",
                reply.status,
                bounded(place, 200)
            );
            Delivery::Retry { after: None, why, unsure: false }
        }
        400 | 410 | 413 | 422 => Delivery::Dead { why: answer },
        _ => Delivery::Retry { after: retry_after(reply, now), why: answer, unsure: false },
    }
}

/// `Retry-After` as seconds or as a date (RFC 9110 section 10.2.3), at most a day.
fn retry_after(reply: &Reply, now: Timestamp) -> Option<Duration> {
    let value = reply.headers.get("retry-after")?.to_str().ok()?.trim();
    let seconds = match value.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
            u64::try_from(at.as_second() - now.as_second()).unwrap_or(0)
        }
    };
    Some(Duration::from_secs(seconds.min(86_400)))
}
