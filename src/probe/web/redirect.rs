//! Where a redirect leads and whether it may be followed: pure decisions.

use http::Method;
use url::Url;

use super::expect::Redirects;
use super::facts::RedirectProblem;
use super::mask;

/// Where we are on the way.
#[derive(Clone, Debug)]
pub struct Way {
    /// The requests made so far, the one just answered last.
    visited: Vec<(Method, Url)>,
    rules: Redirects,
    secret_body: bool,
}

/// The request a redirect asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where to.
    pub url: Url,
    /// By which method.
    pub method: Method,
    /// The body and the headers that describe it are left out.
    pub drop_body: bool,
    /// Credentials are left out from here on.
    pub other_origin: bool,
}

/// Whether a status is a redirect that is followed (RFC 9110 section 15.4).
pub const fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

impl Way {
    /// A way that starts here. `secret_body` keeps the body from other origins.
    pub fn new(method: Method, url: Url, rules: Redirects, secret_body: bool) -> Self {
        Self { visited: vec![(method, url)], rules, secret_body }
    }

    /// Where the redirect just received leads.
    ///
    /// # Errors
    /// Why it is not followed.
    pub fn step(&mut self, status: u16, locations: &[&[u8]]) -> Result<Step, RedirectProblem> {
        let (Some((method, current)), Some((_, start))) = (self.visited.last(), self.visited.first()) else {
            return Err(RedirectProblem::NoLocation);
        };
        let url = target(current, locations)?;
        if self.visited.len() > usize::from(self.rules.max) {
            return Err(RedirectProblem::TooMany(self.rules.max));
        }
        let shown = || mask::url(&url, &[]);
        if self.rules.https_only && url.scheme() != "https" {
            return Err(RedirectProblem::Insecure(shown()));
        }
        if self.rules.same_site && registrable_domain(start) != registrable_domain(&url) {
            return Err(RedirectProblem::OtherSite(shown()));
        }
        let (method, drop_body) = next_method(status, method);
        let other_origin = current.origin() != url.origin();
        if self.secret_body && !drop_body && other_origin {
            return Err(RedirectProblem::SecretBody(shown()));
        }
        if drop_body {
            self.secret_body = false;
        }
        if self.visited.iter().any(|(was, at)| *was == method && *at == url) {
            return Err(RedirectProblem::Loop(shown()));
        }
        self.visited.push((method.clone(), url.clone()));
        Ok(Step { url, method, drop_body, other_origin })
    }
}

/// RFC 9110 sections 15.4.2 to 15.4.9, as browsers do it: after 301, 302 and 303 a request becomes
/// a GET without a body (HEAD stays), after 307 and 308 it stays what it was.
fn next_method(status: u16, method: &Method) -> (Method, bool) {
    match (status, method) {
        (307 | 308, method) => (method.clone(), false),
        (_, &Method::HEAD) => (Method::HEAD, true),
        _ => (Method::GET, true),
    }
}

fn target(current: &Url, locations: &[&[u8]]) -> Result<Url, RedirectProblem> {
    let Some((first, others)) = locations.split_first() else {
        return Err(RedirectProblem::NoLocation);
    };
    if others.iter().any(|other| other != first) {
        return Err(RedirectProblem::BadLocation("several different Location headers".to_owned()));
    }
    let bad = |what: &str| RedirectProblem::BadLocation(what.to_owned());
    let text = std::str::from_utf8(first).map_err(|_| bad("not UTF-8"))?.trim();
    if text.is_empty() {
        return Err(RedirectProblem::NoLocation);
    }
    let mut url = current.join(text).map_err(|error| bad(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(RedirectProblem::Scheme(url.scheme().to_owned()));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(bad("it names no host"));
    }
    // A server must not choose the credentials we send.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    Ok(url)
}

/// The registrable domain of an address by the public suffix list; the host where it has none
/// (addresses, single labels).
pub fn registrable_domain(url: &Url) -> &str {
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    match url.host() {
        Some(url::Host::Domain(_)) => psl::domain_str(host).unwrap_or(host),
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(url: &str, rules: Redirects) -> Way {
        Way::new(Method::POST, Url::parse(url).unwrap(), rules, false)
    }

    fn step(way: &mut Way, status: u16, location: &str) -> Result<Step, RedirectProblem> {
        way.step(status, &[location.as_bytes()])
    }

    #[test]
    fn a_post_is_not_repeated_where_browsers_would_get() {
        for (status, method, drop_body) in [
            (301, Method::GET, true),
            (303, Method::GET, true),
            (307, Method::POST, false),
            (308, Method::POST, false),
        ] {
            let next =
                step(&mut way("https://a.example/x/y", Redirects::default()), status, "../z?q#f").unwrap();
            assert_eq!((next.method, next.drop_body), (method, drop_body), "{status}");
            assert_eq!(next.url.as_str(), "https://a.example/z?q");
            assert!(!next.other_origin);
        }
        let mut head =
            Way::new(Method::HEAD, Url::parse("https://a.example/").unwrap(), Redirects::default(), false);
        assert_eq!(step(&mut head, 302, "/b").unwrap().method, Method::HEAD);
    }

    #[test]
    fn another_scheme_port_or_host_is_another_origin() {
        for to in ["http://a.example/", "https://a.example:8443/", "https://b.example/", "//b.example/"] {
            assert!(
                step(&mut way("https://a.example/", Redirects::default()), 302, to).unwrap().other_origin,
                "{to}"
            );
        }
        let next = step(&mut way("https://a.example/", Redirects::default()), 302, "https://u:p@a.example/b")
            .unwrap();
        assert_eq!(next.url.as_str(), "https://a.example/b");
    }

    #[test]
    fn a_redirect_that_leads_nowhere_is_named() {
        let mut here = way("https://a.example/", Redirects::default());
        assert_eq!(here.step(302, &[]), Err(RedirectProblem::NoLocation));
        assert_eq!(step(&mut here, 302, " "), Err(RedirectProblem::NoLocation));
        assert!(matches!(step(&mut here, 302, "https://"), Err(RedirectProblem::BadLocation(_))));
        assert!(matches!(here.step(302, &[b"\xff"]), Err(RedirectProblem::BadLocation(_))));
        assert!(matches!(here.step(302, &[b"/a", b"/b"]), Err(RedirectProblem::BadLocation(_))));
        for scheme in ["ftp", "file", "javascript", "gopher"] {
            let location = format!("{scheme}://x/");
            assert_eq!(step(&mut here, 302, &location), Err(RedirectProblem::Scheme(scheme.into())));
        }
    }

    #[test]
    fn loops_and_endless_chains_end() {
        let mut here = way("https://a.example/", Redirects::default());
        step(&mut here, 302, "/b").unwrap();
        step(&mut here, 302, "/c").unwrap();
        assert!(matches!(step(&mut here, 302, "/b"), Err(RedirectProblem::Loop(_))));
        let mut here = way("https://a.example/", Redirects::default());
        for number in 0..10 {
            step(&mut here, 302, &format!("/{number}")).unwrap();
        }
        assert_eq!(step(&mut here, 302, "/more"), Err(RedirectProblem::TooMany(10)));
        let none = Redirects { max: 0, ..Redirects::default() };
        assert_eq!(step(&mut way("https://a.example/", none), 302, "/b"), Err(RedirectProblem::TooMany(0)));
    }

    #[test]
    fn rules_for_redirects_hold_on_every_hop() {
        let rules = Redirects { https_only: true, same_site: true, ..Redirects::default() };
        let start = "http://www.acme.co.uk/";
        assert!(step(&mut way(start, rules), 301, "https://portal.acme.co.uk/").is_ok());
        assert!(matches!(
            step(&mut way(start, rules), 301, "http://acme.co.uk/"),
            Err(RedirectProblem::Insecure(_))
        ));
        assert!(matches!(
            step(&mut way(start, rules), 301, "https://other.co.uk/"),
            Err(RedirectProblem::OtherSite(_))
        ));
    }

    #[test]
    fn a_body_with_secrets_does_not_go_to_another_origin() {
        let start = Url::parse("https://a.example/").unwrap();
        let mut here = Way::new(Method::POST, start, Redirects::default(), true);
        assert!(matches!(step(&mut here, 307, "https://b.example/"), Err(RedirectProblem::SecretBody(_))));
        assert!(step(&mut here, 307, "/same").is_ok());
        assert!(step(&mut here, 303, "https://b.example/").is_ok());
    }
}
