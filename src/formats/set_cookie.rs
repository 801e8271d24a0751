//! `Set-Cookie` as browsers read it (draft-ietf-httpbis-rfc6265bis section 5.6, RFC 6265 section
//! 5.2): lenient, the last of several equal attributes wins.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use crate::model::Secret;

/// Longer values of attributes are ignored, in bytes (rfc6265bis section 5.6).
const LONGEST_ATTRIBUTE: usize = 1024;

/// One `Set-Cookie` line. Nothing here is judged yet.
#[derive(Clone, Debug)]
pub struct SetCookie {
    /// The name; empty where the line has no `=` before its first `;`.
    pub name: String,
    /// The value.
    pub value: Secret,
    /// The `Domain` as written; empty counts as absent.
    pub domain: Option<String>,
    /// The `Path` as written, if it is absolute.
    pub path: Option<String>,
    /// `Secure`.
    pub secure: bool,
    /// `HttpOnly`.
    pub http_only: bool,
    /// `SameSite`, if it is one of the three that are defined.
    pub same_site: Option<SameSite>,
    /// `Max-Age` in seconds.
    pub max_age: Option<i64>,
    /// `Expires`.
    pub expires: Option<Timestamp>,
}

/// With which requests a cookie goes along (rfc6265bis section 5.6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// With those that come from its own site.
    Strict,
    /// With those, and when a person follows a link from elsewhere.
    Lax,
    /// With all.
    None,
}

impl SameSite {
    /// As the attribute's value is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

/// Why a line sets no cookie at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCookie {
    /// A control character, where a browser drops the line.
    #[error("the line holds a control character")]
    Control,
    /// Neither a name nor a value.
    #[error("the line has neither a name nor a value")]
    Empty,
}

impl SetCookie {
    /// Reads the value of one `Set-Cookie` header.
    ///
    /// # Errors
    /// The line sets no cookie.
    pub fn parse(line: &str) -> Result<Self, NoCookie> {
        if line.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            return Err(NoCookie::Control);
        }
        let mut parts = line.split(';');
        let pair = parts.next().unwrap_or_default();
        let (name, value) = pair.split_once('=').unwrap_or(("", pair));
        let (name, value) = (trim(name), trim(value));
        if name.is_empty() && value.is_empty() {
            return Err(NoCookie::Empty);
        }
        let mut cookie = Self {
            name: name.to_owned(),
            value: Secret::new(value, &format!("cookie {}", shown(name))),
            domain: None,
            path: None,
            secure: false,
            http_only: false,
            same_site: None,
            max_age: None,
            expires: None,
        };
        for part in parts {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let (key, value) = (trim(key), trim(value));
            if value.len() <= LONGEST_ATTRIBUTE {
                cookie.attribute(&key.to_ascii_lowercase(), value);
            }
        }
        Ok(cookie)
    }

    fn attribute(&mut self, key: &str, value: &str) {
        match key {
            "domain" => self.domain = Some(value.to_owned()).filter(|domain| !domain.is_empty()),
            "path" => self.path = Some(value.to_owned()).filter(|path| path.starts_with('/')),
            "secure" => self.secure = true,
            "httponly" => self.http_only = true,
            "samesite" => {
                let known = [SameSite::Strict, SameSite::Lax, SameSite::None];
                self.same_site = known.into_iter().find(|same| same.as_str().eq_ignore_ascii_case(value));
            }
            "max-age" => self.max_age = max_age(value).or(self.max_age),
            "expires" => self.expires = date(value).or(self.expires),
            _ => {}
        }
    }

    /// When the cookie ends; without an end it lives as long as the session. `Max-Age` counts
    /// before `Expires` (RFC 6265 section 5.3, step 3).
    pub fn ends(&self, now: Timestamp) -> Option<Timestamp> {
        match self.max_age {
            Some(seconds) if seconds <= 0 => Some(Timestamp::MIN),
            Some(seconds) => {
                Some(now.checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX))
            }
            None => self.expires,
        }
    }
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// A name short enough to stand for its value.
fn shown(name: &str) -> &str {
    const LONGEST: usize = 64;
    name.get(..name.floor_char_boundary(LONGEST)).unwrap_or_default()
}

/// RFC 6265 section 5.2.2.
fn max_age(value: &str) -> Option<i64> {
    let (sign, digits) = value.strip_prefix('-').map_or((1, value), |digits| (-1, digits));
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(sign * digits.parse::<i64>().unwrap_or(i64::MAX))
}

/// A cookie date (RFC 6265 section 5.1.1): its parts in any order, between any delimiters.
fn date(text: &str) -> Option<Timestamp> {
    let delimiter = |c: char| matches!(c, '\t' | ' '..='/' | ';'..='@' | '['..='`' | '{'..='~');
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in text.split(delimiter).filter(|token| !token.is_empty()) {
        if time.is_none() && set(&mut time, clock(token)) {
            continue;
        }
        if day.is_none() && set(&mut day, number(token, 1, 2)) {
            continue;
        }
        if month.is_none() && set(&mut month, month_of(token)) {
            continue;
        }
        if year.is_none() {
            set(&mut year, number(token, 2, 4));
        }
    }
    let year = match year? {
        year @ 70..=99 => year + 1900,
        year @ 0..=69 => year + 2000,
        year => year,
    };
    if year < 1601 {
        return None;
    }
    let (hour, minute, second) = time?;
    let date = Date::new(year, month?, i8::try_from(day?).ok()?).ok()?;
    let time = Time::new(hour, minute, second, 0).ok()?;
    Some(date.to_datetime(time).to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn set<T>(slot: &mut Option<T>, found: Option<T>) -> bool {
    *slot = found;
    slot.is_some()
}

/// The number at the start of a token, if it has so many digits.
fn number(token: &str, least: usize, most: usize) -> Option<i16> {
    let digits = token.bytes().take_while(u8::is_ascii_digit).count();
    if !(least..=most).contains(&digits) {
        return None;
    }
    token.get(..digits)?.parse().ok()
}

fn clock(token: &str) -> Option<(i8, i8, i8)> {
    let mut parts = token.splitn(3, ':');
    let mut part = |last: bool| {
        let text = parts.next()?;
        let whole = text.bytes().all(|byte| byte.is_ascii_digit());
        i8::try_from(number(text, 1, 2).filter(|_| whole || last)?).ok()
    };
    Some((part(false)?, part(false)?, part(true)?))
}

fn month_of(token: &str) -> Option<i8> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let start = token.get(..3)?;
    let index = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(start))?;
    i8::try_from(index + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> SetCookie {
        SetCookie::parse(line).unwrap()
    }

    #[test]
    fn a_line_is_read_as_browsers_read_it() {
        let cookie =
            parse(" sid =\ta=b c ; PATH=/x ;secure=no; HttpOnly;Domain=.acme.example; samesite=lax; x=y");
        assert_eq!((cookie.name.as_str(), cookie.value.expose()), ("sid", "a=b c"));
        assert_eq!((cookie.path.as_deref(), cookie.domain.as_deref()), (Some("/x"), Some(".acme.example")));
        assert!(cookie.secure && cookie.http_only);
        assert_eq!(cookie.same_site, Some(SameSite::Lax));
        let plain = parse("sid=1");
        assert!(!plain.secure && !plain.http_only);
        assert_eq!((plain.same_site, plain.max_age, plain.expires), (None, None, None));
    }

    #[test]
    fn the_last_attribute_counts() {
        let cookie = parse("a=1; Path=/x; Path=y; Domain=a.example; Domain=; SameSite=Strict; SameSite=odd");
        assert_eq!((cookie.path, cookie.domain, cookie.same_site), (None, None, None));
        let cookie = parse("a=1; Path=y; Path=/x; SameSite=odd; SameSite=none");
        assert_eq!((cookie.path.as_deref(), cookie.same_site), (Some("/x"), Some(SameSite::None)));
    }

    #[test]
    fn a_line_that_sets_nothing_is_refused() {
        assert_eq!(SetCookie::parse("a=b\u{1}c").unwrap_err(), NoCookie::Control);
        assert_eq!(SetCookie::parse(" = ; Path=/").unwrap_err(), NoCookie::Empty);
        assert_eq!(SetCookie::parse("").unwrap_err(), NoCookie::Empty);
        let nameless = parse("just a value");
        assert_eq!((nameless.name.as_str(), nameless.value.expose()), ("", "just a value"));
        assert_eq!(parse("a=b\tc").value.expose(), "b\tc");
    }

    #[test]
    fn an_attribute_of_absurd_length_is_ignored() {
        let long = format!("/{}", "a".repeat(LONGEST_ATTRIBUTE));
        assert_eq!(parse(&format!("a=1; Path={long}")).path, None);
        let longest = &long[..LONGEST_ATTRIBUTE];
        assert_eq!(parse(&format!("a=1; Path={longest}")).path.as_deref(), Some(longest));
    }

    #[test]
    fn max_age_is_read_to_the_letter() {
        for (text, seconds) in [
            ("60", Some(60)),
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("99999999999999999999", Some(i64::MAX)),
            ("-99999999999999999999", Some(-i64::MAX)),
            ("", None),
            ("-", None),
            ("+60", None),
            ("6e1", None),
            ("60 s", None),
        ] {
            assert_eq!(parse(&format!("a=1; Max-Age={text}")).max_age, seconds, "{text}");
        }
    }

    #[test]
    fn dates_are_read_in_every_form_that_servers_write() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 6 Nov 1994 08:49:37 +0000",
            "06-november-1994 8:49:37",
            "1994 6 nov 08:49:37",
        ] {
            let expires = parse(&format!("a=1; Expires={text}")).expires;
            assert_eq!(expires, Some("1994-11-06T08:49:37Z".parse().unwrap()), "{text}");
        }
        for (text, year) in [("69", 2069), ("70", 1970), ("99", 1999), ("00", 2000)] {
            let read = date(&format!("1 Jan {text} 00:00:00")).unwrap();
            assert_eq!(i32::from(read.to_zoned(TimeZone::UTC).year()), year, "{text}");
        }
    }

    #[test]
    fn what_is_no_date_ends_nothing() {
        for text in [
            "0",
            "-1",
            "never",
            "Sun, 06 Nov 1994",
            "06 Nov 1600 08:49:37",
            "31 Feb 2030 00:00:00",
            "00 Jan 2030 00:00:00",
            "06 Nov 1994 24:00:00",
            "06 Nov 1994 08:60:00",
            "06 Nov 19940 08:49:37",
            "06 ñov 1994 08:49:37",
        ] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn max_age_counts_before_expires() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let cookie = parse("a=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(cookie.ends(now), Some("2026-01-01T00:01:00Z".parse().unwrap()));
        assert_eq!(
            parse("a=1; Max-Age=0; Expires=Thu, 01 Jan 2099 00:00:00 GMT").ends(now),
            Some(Timestamp::MIN)
        );
        assert_eq!(parse("a=1; Max-Age=9223372036854775807").ends(now), Some(Timestamp::MAX));
        assert_eq!(
            parse("a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT").ends(now),
            Some(Timestamp::UNIX_EPOCH)
        );
        assert_eq!(parse("a=1").ends(now), None);
    }
}
