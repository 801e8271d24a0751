//! `Strict-Transport-Security` (RFC 6797 section 6.1), strict as browsers have to be: a header with any
//! fault in it says nothing at all (section 6.1, rules 2 and 4). And what the browsers' built-in list
//! (hstspreload.org) asks of it.

/// A year in seconds: what is advised, and the least that the built-in list takes.
pub const YEAR: u64 = 31_536_000;

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// For so many seconds a browser uses HTTPS alone; 0 makes it forget.
    pub max_age: u64,
    /// Subdomains too.
    pub include_subdomains: bool,
    /// It asks to be built into browsers. Not of the standard.
    pub preload: bool,
}

/// Why a header says nothing. `at` is the byte where the directive begins, spaces included.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Invalid {
    #[error("byte {at}: {name:?} is no directive's name")]
    Name { at: usize, name: String },
    #[error("byte {at}: the value of {name} is neither a token nor a quoted string")]
    Value { at: usize, name: String },
    #[error("byte {at}: {name} stands there twice")]
    Twice { at: usize, name: String },
    #[error("byte {at}: max-age needs a number of seconds")]
    MaxAge { at: usize },
    #[error("byte {at}: includeSubDomains takes no value")]
    Valued { at: usize },
    #[error("max-age is missing")]
    NoMaxAge,
}

/// A rule of the built-in list that a policy breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum NotPreloadable {
    #[error("max-age is {0}, under a year ({YEAR})")]
    Short(u64),
    #[error("includeSubDomains is missing")]
    NoSubdomains,
    #[error("preload is missing")]
    NotAsked,
}

/// What a response says: the first header alone counts (RFC 6797 section 8.1). `None` without any.
pub fn of_response<'a>(headers: impl IntoIterator<Item = &'a str>) -> Option<Result<Policy, Invalid>> {
    headers.into_iter().next().map(parse)
}

/// Reads one header's value.
///
/// # Errors
/// The first fault.
pub fn parse(text: &str) -> Result<Policy, Invalid> {
    let (mut max_age, mut include_subdomains, mut preload) = (None, false, false);
    let mut seen: Vec<String> = Vec::new();
    for (at, part) in split(text) {
        let (written, value) = part.split_once('=').map_or((part, None), |(name, value)| (name, Some(value)));
        let written = trim(written);
        let name = written.to_ascii_lowercase();
        if written.is_empty() && value.is_none() {
            continue;
        }
        if !is_token(written) {
            return Err(Invalid::Name { at, name: clipped(written) });
        }
        let value = match value.map(|value| unquoted(trim(value))) {
            Some(None) => return Err(Invalid::Value { at, name: clipped(written) }),
            Some(value) => value,
            None => None,
        };
        if seen.contains(&name) {
            return Err(Invalid::Twice { at, name: clipped(written) });
        }
        match (name.as_str(), &value) {
            ("max-age", value) => max_age = Some(seconds(value.as_deref()).ok_or(Invalid::MaxAge { at })?),
            ("includesubdomains", None) => include_subdomains = true,
            ("includesubdomains", Some(_)) => return Err(Invalid::Valued { at }),
            ("preload", None) => preload = true,
            _ => {}
        }
        seen.push(name);
    }
    let max_age = max_age.ok_or(Invalid::NoMaxAge)?;
    Ok(Policy { max_age, include_subdomains, preload })
}

impl Policy {
    /// Which of the built-in list's rules about the header it breaks; none: it may be submitted.
    pub fn not_preloadable(&self) -> Vec<NotPreloadable> {
        let short = (self.max_age < YEAR).then_some(NotPreloadable::Short(self.max_age));
        let narrow = (!self.include_subdomains).then_some(NotPreloadable::NoSubdomains);
        let unasked = (!self.preload).then_some(NotPreloadable::NotAsked);
        [short, narrow, unasked].into_iter().flatten().collect()
    }
}

/// The parts between semicolons, but for those in quotes, and where each begins.
fn split(text: &str) -> Vec<(usize, &str)> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' if !quoted => {
                parts.push((start, text.get(start..at).unwrap_or_default()));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push((start, text.get(start..).unwrap_or_default()));
    parts
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    let tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(tchar)
}

/// A token as it is, a quoted string without its quotes (RFC 9110 section 5.6.4).
fn unquoted(text: &str) -> Option<String> {
    let Some(rest) = text.strip_prefix('"') else {
        return is_token(text).then(|| text.to_owned());
    };
    let mut value = String::new();
    let mut rest = rest.chars();
    loop {
        match rest.next()? {
            '"' => return rest.as_str().is_empty().then_some(value),
            '\\' => value.push(rest.next().filter(|c| *c == '\t' || !c.is_control())?),
            c if c != '\t' && c.is_control() => return None,
            c => value.push(c),
        }
    }
}

/// More than fits is as good as for ever.
fn seconds(text: Option<&str>) -> Option<u64> {
    let text = text.filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some(text.parse().unwrap_or(u64::MAX))
}

fn clipped(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(max_age: u64, include_subdomains: bool, preload: bool) -> Policy {
        Policy { max_age, include_subdomains, preload }
    }

    #[test]
    fn headers_as_servers_write_them_are_understood() {
        for (text, wanted) in [
            ("max-age=31536000", policy(YEAR, false, false)),
            ("max-age=31536000; includeSubDomains; preload", policy(YEAR, true, true)),
            ("MAX-AGE=1;INCLUDESUBDOMAINS;", policy(1, true, false)),
            (" ; max-age = \"15768000\" ;; includeSubDomains\t", policy(15_768_000, true, false)),
            ("preload; max-age=0", policy(0, false, true)),
            ("max-age=\"\\31\"", policy(31, false, false)),
            ("max-age=99999999999999999999999", policy(u64::MAX, false, false)),
        ] {
            assert_eq!(parse(text), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn what_the_standard_does_not_know_is_passed_over() {
        let text = "report-uri=\"https://a.example/;includeSubDomains\"; max-age=5; new; preload=yes";
        assert_eq!(parse(text), Ok(policy(5, false, false)));
    }

    #[test]
    fn a_fault_anywhere_makes_the_whole_header_say_nothing() {
        use Invalid::*;
        let name = || "max-age".to_owned();
        for (text, wanted) in [
            ("", NoMaxAge),
            ("includeSubDomains; preload", NoMaxAge),
            ("max-age", MaxAge { at: 0 }),
            ("max-age=", Value { at: 0, name: name() }),
            ("max-age=\"\"", MaxAge { at: 0 }),
            ("max-age=-1", MaxAge { at: 0 }),
            ("max-age=1.5", MaxAge { at: 0 }),
            ("max-age=1 2", Value { at: 0, name: name() }),
            ("max-age=\"1", Value { at: 0, name: name() }),
            ("max-age=\"1\"2", Value { at: 0, name: name() }),
            ("max-age=1; max-age=1", Twice { at: 10, name: name() }),
            ("max-age=1; a; A", Twice { at: 13, name: "A".into() }),
            ("max-age=1;includeSubDomains=1", Valued { at: 10 }),
            ("max-age=1; include SubDomains", Name { at: 10, name: "include SubDomains".into() }),
            ("max-age=1;=1", Name { at: 10, name: String::new() }),
            ("max-age=1; ünder", Name { at: 10, name: "ünder".into() }),
            (
                "max-age=1; includeSubDomains, max-age=1",
                Name { at: 10, name: "includeSubDomains, max-age".into() },
            ),
        ] {
            assert_eq!(parse(text), Err(wanted), "{text}");
        }
    }

    #[test]
    fn the_first_header_alone_counts() {
        assert_eq!(of_response([]), None);
        assert_eq!(of_response(["max-age=1", "max-age=2"]), Some(Ok(policy(1, false, false))));
        assert_eq!(of_response(["preload", "max-age=2"]), Some(Err(Invalid::NoMaxAge)));
    }

    #[test]
    fn the_built_in_list_takes_a_year_with_subdomains_that_asks_for_it() {
        use NotPreloadable::*;
        assert_eq!(policy(YEAR, true, true).not_preloadable(), []);
        assert_eq!(policy(YEAR - 1, true, true).not_preloadable(), [Short(YEAR - 1)]);
        assert_eq!(policy(YEAR, false, true).not_preloadable(), [NoSubdomains]);
        assert_eq!(policy(0, false, false).not_preloadable(), [Short(0), NoSubdomains, NotAsked]);
    }
}
