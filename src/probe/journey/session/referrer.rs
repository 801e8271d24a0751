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

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    const PAGE: &str = "https://u:p@a.example:8443/x?q=1#top";

    #[test]
    fn each_policy_tells_what_it_says_and_no_more() {
        let whole = Some("https://a.example:8443/x?q=1");
        let bare = Some("https://a.example:8443/");
        let (same, other, plain) = ("https://a.example:8443/y", "https://b.example/", "http://a.example/");
        for (name, to_same, to_other, to_plain) in [
            ("no-referrer", None, None, None),
            ("no-referrer-when-downgrade", whole, whole, None),
            ("same-origin", whole, None, None),
            ("origin", bare, bare, bare),
            ("strict-origin", bare, bare, None),
            ("origin-when-cross-origin", whole, bare, bare),
            ("strict-origin-when-cross-origin", whole, bare, None),
            ("unsafe-url", whole, whole, whole),
        ] {
            let policy = Policy::named(name).unwrap();
            for (target, expected) in [(same, to_same), (other, to_other), (plain, to_plain)] {
                assert_eq!(referer(policy, &url(PAGE), &url(target)).as_deref(), expected, "{name} {target}");
            }
        }
    }

    #[test]
    fn a_page_that_is_no_web_page_is_not_told() {
        assert_eq!(referer(Policy::UnsafeUrl, &url("data:text/html,x"), &url("https://a.example/")), None);
    }

    #[test]
    fn an_endless_address_is_cut_to_its_origin() {
        let long = url(&format!("https://a.example/{}", "a".repeat(LONGEST)));
        let cut = referer(Policy::default(), &long, &url("https://a.example/"));
        assert_eq!(cut.as_deref(), Some("https://a.example/"));
    }

    #[test]
    fn the_last_known_policy_counts() {
        let mut headers = HeaderMap::new();
        assert_eq!(Policy::of(&headers), None);
        headers.append(REFERRER_POLICY, HeaderValue::from_static("unsafe-url, No-Referrer"));
        headers.append(REFERRER_POLICY, HeaderValue::from_static("origin, odd"));
        assert_eq!(Policy::of(&headers), Some(Policy::Origin));
    }

    #[test]
    fn origin_goes_with_what_changes_something() {
        let origin = |method: &Method, to: &str| origin(Policy::default(), method, &url(PAGE), &[], &url(to));
        for method in [Method::GET, Method::HEAD] {
            assert_eq!(origin(&method, "https://b.example/"), None, "{method}");
        }
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
            let sent = origin(&method, "https://b.example/");
            assert_eq!(sent.as_deref(), Some("https://a.example:8443"), "{method}");
        }
        assert_eq!(origin(&Method::POST, "http://a.example/").as_deref(), Some("null"));
    }

    #[test]
    fn a_strangers_redirect_does_not_speak_in_the_pages_name() {
        let page = url("https://a.example/");
        let sent = |hops: &[&str], to: &str| {
            let hops: Vec<Url> = hops.iter().copied().map(url).collect();
            origin(Policy::default(), &Method::POST, &page, &hops, &url(to)).unwrap()
        };
        assert_eq!(sent(&["https://b.example/1"], "https://a.example/"), "null");
        assert_eq!(sent(&["https://b.example/1"], "https://c.example/"), "null");
        assert_eq!(sent(&["https://a.example/1"], "https://b.example/"), "https://a.example");
        assert_eq!(sent(&["https://b.example/1"], "https://b.example/2"), "https://a.example");
        assert_eq!(sent(&["https://a.example/1", "https://b.example/"], "https://a.example/"), "null");
    }

    #[test]
    fn a_page_that_hides_itself_sends_no_origin() {
        let sent = |name: &str, to: &str| {
            origin(Policy::named(name).unwrap(), &Method::POST, &url(PAGE), &[], &url(to)).unwrap()
        };
        assert_eq!(sent("no-referrer", "https://a.example:8443/"), "null");
        assert_eq!(sent("same-origin", "https://b.example/"), "null");
        assert_eq!(sent("same-origin", "https://a.example:8443/"), "https://a.example:8443");
        assert_eq!(sent("unsafe-url", "http://b.example/"), "https://a.example:8443");
    }
}
