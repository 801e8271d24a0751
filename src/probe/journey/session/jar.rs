//! The cookies of a run: what is kept and what goes along (RFC 6265 sections 5.3 and 5.4, as
//! draft-ietf-httpbis-rfc6265bis sections 5.7 and 5.8 have it). Domains and paths are matched by
//! `cookie_store`. Its store is not used: that one ends cookies by the system's clock, knows
//! neither order nor limits nor name prefixes, and holds a host's own cookie and the domain's of
//! the same name for one.

use std::cmp::Reverse;

use cookie_store::{CookieDomain, CookiePath};
use jiff::Timestamp;
use url::{Host, Url};

use crate::formats::set_cookie::{SameSite, SetCookie};
use crate::judge::clip;
use crate::model::Secret;

/// Cookies of one domain; Chromium's limit.
pub const MOST_OF_A_DOMAIN: usize = 180;
/// Cookies in all; the number rfc6265bis section 6.1 asks of browsers.
pub const MOST: usize = 3000;
/// Name and value together, in bytes (rfc6265bis section 5.6).
pub const LONGEST: usize = 4096;

/// A cookie that is kept.
#[derive(Clone, Debug)]
pub struct Held {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Secret,
    /// Scripts do not see it.
    pub http_only: bool,
    /// With which requests it goes along.
    pub same_site: Option<SameSite>,
    /// Its place in the order of creation; setting it again leaves it.
    pub created: u64,
    /// Its place in the order of setting.
    set: u64,
    domain: CookieDomain,
    /// Where the domain is only the host: the port that set it, none for the scheme's own.
    port: Option<u16>,
    path: CookiePath,
    secure: bool,
    ends: Option<Timestamp>,
}

/// Why a browser refuses a cookie.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is too long.
    #[error("its name and value have {0} bytes; browsers take {LONGEST}")]
    Long(usize),
    /// Its domain cannot be one.
    #[error("its Domain {0:?} is no domain name")]
    NoDomain(String),
    /// Its domain would share it among strangers.
    #[error("its Domain {0:?} is a public suffix (RFC 6265 section 5.3)")]
    PublicSuffix(String),
    /// Its domain is not that of the host that sets it.
    #[error("its Domain {0:?} does not cover the host that sets it (RFC 6265 section 5.3)")]
    OtherDomain(String),
    /// It is Secure, the connection is not.
    #[error("it is Secure but was set over plain http")]
    Insecure,
    /// `SameSite=None` needs `Secure`.
    #[error("it has SameSite=None without Secure")]
    NoneWithoutSecure,
    /// A prefix promises what the attributes do not keep.
    #[error("its name starts with __Secure-, which asks for Secure")]
    SecurePrefix,
    /// Likewise.
    #[error("its name starts with __Host-, which asks for Secure, Path=/ and no Domain")]
    HostPrefix,
    /// It has no name and its value looks like a name with a prefix.
    #[error("it has no name and its value starts like a name with a prefix")]
    DisguisedPrefix,
    /// It would hide a Secure one.
    #[error("it was set over plain http and would hide a Secure cookie of the same name")]
    HidesSecure,
}

/// All cookies of a run.
#[derive(Clone, Debug, Default)]
pub struct Jar {
    held: Vec<Held>,
    next: u64,
}

impl Jar {
    /// Takes in a cookie that an answer from `url` set. One that has ended deletes the one it names.
    ///
    /// # Errors
    /// Why a browser would not take it.
    pub fn store(&mut self, url: &Url, set: &SetCookie, now: Timestamp) -> Result<(), Refused> {
        let mut cookie = Held::new(url, set, now)?;
        if !trustworthy(url) && !cookie.secure && self.held.iter().any(|old| old.is_hidden_by(&cookie)) {
            return Err(Refused::HidesSecure);
        }
        let place = self.next;
        self.next += 1;
        (cookie.created, cookie.set) = (place, place);
        if let Some(index) = self.held.iter().position(|old| old.is_replaced_by(&cookie)) {
            cookie.created = self.held.swap_remove(index).created;
        }
        if !cookie.has_ended(now) {
            self.evict(&cookie.domain);
            self.held.push(cookie);
        }
        Ok(())
    }

    /// Makes room for one more cookie of this domain: those go that were set longest ago.
    fn evict(&mut self, domain: &CookieDomain) {
        let alike = |held: &Held| held.domain.as_cow() == domain.as_cow();
        if self.held.iter().filter(|held| alike(held)).count() >= MOST_OF_A_DOMAIN {
            self.drop_oldest(alike);
        } else if self.held.len() >= MOST {
            self.drop_oldest(|_| true);
        }
    }

    fn drop_oldest(&mut self, among: impl Fn(&Held) -> bool) {
        let candidates = self.held.iter().enumerate().filter(|(_, held)| among(held));
        if let Some((index, _)) = candidates.min_by_key(|(_, held)| held.set) {
            self.held.swap_remove(index);
        }
    }

    /// Forgets the cookies that have ended by now.
    pub fn forget(&mut self, now: Timestamp) {
        self.held.retain(|held| !held.has_ended(now));
    }

    /// The cookies an address is meant to get, longer paths first, then the earlier created (RFC
    /// 6265 section 5.4).
    pub fn matching(&self, url: &Url) -> Vec<&Held> {
        let mut found: Vec<&Held> = self.held.iter().filter(|held| held.matches(url)).collect();
        found.sort_by_key(|held| (Reverse(held.path.len()), held.created));
        found
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.held.len()
    }
}

impl Held {
    fn new(url: &Url, set: &SetCookie, now: Timestamp) -> Result<Self, Refused> {
        let length = set.name.len() + set.value.expose().len();
        if length > LONGEST {
            return Err(Refused::Long(length));
        }
        let domain = domain(url, set.domain.as_deref())?;
        if set.secure && !trustworthy(url) {
            return Err(Refused::Insecure);
        }
        if set.same_site == Some(SameSite::None) && !set.secure {
            return Err(Refused::NoneWithoutSecure);
        }
        prefixes(set, &domain)?;
        let port = if matches!(domain, CookieDomain::Suffix(_)) { None } else { url.port() };
        Ok(Self {
            name: set.name.clone(),
            value: set.value.clone(),
            http_only: set.http_only,
            same_site: set.same_site,
            created: 0,
            set: 0,
            domain,
            port,
            path: path(url, set),
            secure: set.secure,
            ends: set.ends(now),
        })
    }

    fn has_ended(&self, now: Timestamp) -> bool {
        self.ends.is_some_and(|ends| ends <= now)
    }

    /// rfc6265bis section 5.7: a cookie is known by its name, domain, host-only flag and path.
    fn is_replaced_by(&self, new: &Self) -> bool {
        self.name == new.name && self.domain == new.domain && self.port == new.port && *self.path == *new.path
    }

    /// rfc6265bis section 5.7, "leave Secure cookies alone": whether a Secure cookie would be hidden
    /// by a new one that came over plain http.
    fn is_hidden_by(&self, new: &Self) -> bool {
        let covers = |wide: &CookieDomain, narrow: &CookieDomain| {
            let (Some(wide), Some(narrow)) = (wide.as_cow(), narrow.as_cow()) else { return false };
            narrow == wide || narrow.strip_suffix(&*wide).is_some_and(|rest| rest.ends_with('.'))
        };
        let below = new.path.strip_prefix(&*self.path);
        self.secure
            && self.name == new.name
            && (covers(&self.domain, &new.domain) || covers(&new.domain, &self.domain))
            && below.is_some_and(|rest| rest.is_empty() || self.path.ends_with('/') || rest.starts_with('/'))
    }

    /// To browsers a port is no border (RFC 6265 section 8.5), so that a redirect to another service of
    /// the host would be handed the session. As in Chromium's origin-bound cookies only a `Domain` makes
    /// it one for all ports.
    fn matches(&self, url: &Url) -> bool {
        let port = matches!(self.domain, CookieDomain::Suffix(_)) || self.port == url.port();
        port && self.domain.matches(url) && self.path.matches(url) && (!self.secure || trustworthy(url))
    }
}

/// The path a cookie is for (RFC 6265 section 5.1.4).
pub fn path(url: &Url, set: &SetCookie) -> CookiePath {
    CookiePath::new(set.path.as_deref().unwrap_or_default(), url)
}

/// The domain a cookie is for. A host that is itself a public suffix may name itself and keeps the
/// cookie to itself. Names below an unlisted top level count as if it were listed, as in Chromium.
fn domain(url: &Url, written: Option<&str>) -> Result<CookieDomain, Refused> {
    let Some(written) = written else {
        return CookieDomain::host_only(url).map_err(|_| Refused::OtherDomain(String::new()));
    };
    let domain = CookieDomain::try_from(written).map_err(|_| Refused::NoDomain(clip(written)))?;
    let name = match &domain {
        CookieDomain::Suffix(name) => name.trim_end_matches('.'),
        _ => return Err(Refused::NoDomain(clip(written))),
    };
    if psl::suffix_str(name) == Some(name) {
        return match domain.host_is_identical(url) {
            true => CookieDomain::host_only(url).map_err(|_| Refused::OtherDomain(clip(written))),
            false => Err(Refused::PublicSuffix(clip(written))),
        };
    }
    if domain.matches(url) { Ok(domain) } else { Err(Refused::OtherDomain(clip(written))) }
}

/// What the prefix of a name promises (rfc6265bis section 4.1.3).
fn prefixes(set: &SetCookie, domain: &CookieDomain) -> Result<(), Refused> {
    let starts = |text: &str, prefix: &str| {
        text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    let value = set.value.expose();
    if set.name.is_empty() && (starts(value, "__secure-") || starts(value, "__host-")) {
        return Err(Refused::DisguisedPrefix);
    }
    if starts(&set.name, "__secure-") && !set.secure {
        return Err(Refused::SecurePrefix);
    }
    let host_only = matches!(domain, CookieDomain::HostOnly(_));
    let kept = set.secure && host_only && set.path.as_deref() == Some("/");
    if starts(&set.name, "__host-") && !kept {
        return Err(Refused::HostPrefix);
    }
    Ok(())
}

/// Whether cookies that are `Secure` go to an address and may come from it: by https, and to the
/// own machine. Chromium (since 89) and Firefox (since 75) do so for origins that are potentially
/// trustworthy (Secure Contexts section 3.1), which rfc6265bis section 5.8.3 allows.
pub fn trustworthy(url: &Url) -> bool {
    url.scheme() == "https"
        || match url.host() {
            Some(Host::Domain(name)) => {
                let name = name.trim_end_matches('.');
                name == "localhost" || name.ends_with(".localhost")
            }
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        }
}

#[cfg(test)]
mod tests;
