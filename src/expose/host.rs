//! The check of the `Host` header: a page elsewhere may make a browser resolve its own name to our
//! address (DNS rebinding), but it cannot make the browser send another name.

use std::net::IpAddr;

use axum::http::{HeaderMap, Uri, header, uri::Authority};
use url::Url;

/// Whether the request names this daemon: a loopback name or address, or the host of
/// `external_url`. The port is not compared: proxies and port mappings change it, and rebinding
/// needs a foreign name.
pub fn is_ours(uri: &Uri, headers: &HeaderMap, external_url: &Url) -> bool {
    let Some(host) = requested(uri, headers) else { return false };
    is_loopback(&host) || external_url.host_str().is_some_and(|ours| normal(ours) == host)
}

/// The host that is asked for; the target's authority wins over the header (RFC 9112 section 3.2.2).
/// `None` if it is absent, doubled or malformed.
fn requested(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    if let Some(authority) = uri.authority() {
        return Some(normal(authority.host()));
    }
    let mut values = headers.get_all(header::HOST).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() || value.contains('@') {
        return None;
    }
    Some(normal(value.parse::<Authority>().ok()?.host()))
}

fn normal(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
