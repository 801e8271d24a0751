//! What a request says of the page it comes from: `Referer` (Referrer Policy) and `Origin` (Fetch).

use http::header::REFERRER_POLICY;
use http::{HeaderMap, Method};
use url::{Position, Url};

use super::jar::trustworthy;

/// A longer `Referer` is cut to its origin, in bytes (Referrer Policy section 8.3).
const LONGEST: usize = 4096;

/// How much of a page's address its requests may tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Policy {
    /// `no-referrer`
    NoReferrer,
    /// `no-referrer-when-downgrade`
    NoReferrerWhenDowngrade,
    /// `same-origin`
    SameOrigin,
    /// `origin`
    Origin,
    /// `strict-origin`
    StrictOrigin,
    /// `origin-when-cross-origin`
    OriginWhenCrossOrigin,
    /// `strict-origin-when-cross-origin`
    #[default]
    StrictOriginWhenCrossOrigin,
    /// `unsafe-url`
    UnsafeUrl,
}

impl Policy {
    /// The policy an answer states: the last one that is known (Referrer Policy section 8.1).
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(REFERRER_POLICY).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).filter_map(|token| Self::named(token.trim())).next_back()
    }

    fn named(token: &str) -> Option<Self> {
        Some(match token.to_ascii_lowercase().as_str() {
            "no-referrer" => Self::NoReferrer,
            "no-referrer-when-downgrade" => Self::NoReferrerWhenDowngrade,
            "same-origin" => Self::SameOrigin,
            "origin" => Self::Origin,
            "strict-origin" => Self::StrictOrigin,
            "origin-when-cross-origin" => Self::OriginWhenCrossOrigin,
            "strict-origin-when-cross-origin" => Self::StrictOriginWhenCrossOrigin,
            "unsafe-url" => Self::UnsafeUrl,
            _ => return None,
        })
    }
}

/// The `Referer` of a request for `url` from the page `from` (Referrer Policy section 8.3).
pub fn referer(policy: Policy, from: &Url, url: &Url) -> Option<String> {
    if !matches!(from.scheme(), "http" | "https") {
        return None;
    }
    let same = from.origin() == url.origin();
    let downgrade = trustworthy(from) && !trustworthy(url);
    let whole = match policy {
        Policy::NoReferrer => return None,
        Policy::NoReferrerWhenDowngrade if downgrade => return None,
        Policy::NoReferrerWhenDowngrade | Policy::UnsafeUrl => true,
        Policy::SameOrigin if !same => return None,
        Policy::SameOrigin => true,
        Policy::StrictOrigin if downgrade => return None,
        Policy::Origin | Policy::StrictOrigin => false,
        Policy::StrictOriginWhenCrossOrigin if downgrade && !same => return None,
        Policy::OriginWhenCrossOrigin | Policy::StrictOriginWhenCrossOrigin => same,
    };
    let origin = || format!("{}/", from.origin().ascii_serialization());
    let address = || {
        let scheme = from.scheme();
        format!("{scheme}://{}", &from[Position::BeforeHost..Position::AfterQuery])
    };
    Some(if whole {
        Some(address()).filter(|text| text.len() <= LONGEST).unwrap_or_else(origin)
    } else {
        origin()
    })
}

/// The `Origin` of a request (Fetch, "append a request `Origin` header"): all but GET and HEAD carry
/// it. `hops` are the addresses the request was redirected from, in order.
pub fn origin(policy: Policy, method: &Method, from: &Url, hops: &[Url], url: &Url) -> Option<String> {
    if matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    let same = from.origin() == url.origin();
    let downgrade = from.scheme() == "https" && url.scheme() != "https";
    let hidden = match policy {
        Policy::NoReferrer => true,
        Policy::NoReferrerWhenDowngrade | Policy::StrictOrigin | Policy::StrictOriginWhenCrossOrigin => {
            downgrade
        }
        Policy::SameOrigin => !same,
        Policy::Origin | Policy::OriginWhenCrossOrigin | Policy::UnsafeUrl => false,
    };
    if hidden || tainted(from, hops, url) {
        return Some("null".to_owned());
    }
    Some(from.origin().ascii_serialization())
}

/// Whether another origin than the page's sent the request on to yet another one (Fetch,
/// "redirect-tainted origin").
fn tainted(from: &Url, hops: &[Url], url: &Url) -> bool {
    let next = hops.iter().skip(1).chain([url]);
    hops.iter()
        .zip(next)
        .any(|(left, right)| left.origin() != right.origin() && left.origin() != from.origin())
}
