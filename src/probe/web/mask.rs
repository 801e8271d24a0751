//! What of an address or a header may be shown.

use http::HeaderName;
use http::header;
use url::Url;

/// Parts of parameter names that give away a secret.
const TELLTALE: [&str; 9] = ["token", "key", "secret", "pass", "sig", "auth", "session", "credential", "jwt"];

/// The address without user name, password and fragment, and without the values of query
/// parameters that are secrets by `names` or by the look of their name.
pub fn url(url: &Url, names: &[&str]) -> String {
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if plain && url.query().is_none() {
        return url.as_str().to_owned();
    }
    let mut shown = url.clone();
    // These fail only for addresses without a host, which have no credentials.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_fragment(None);
    if url.query_pairs().any(|(name, _)| is_secret(&name, names)) {
        let query: Vec<String> = url
            .query()
            .unwrap_or_default()
            .split('&')
            .map(|pair| {
                let name = pair.split('=').next().unwrap_or_default();
                let decoded = url::form_urlencoded::parse(name.as_bytes()).next();
                let secret = decoded.is_some_and(|(decoded, _)| is_secret(&decoded, names));
                if secret { format!("{name}=***") } else { pair.to_owned() }
            })
            .collect();
        shown.set_query(Some(&query.join("&")));
    }
    shown.into()
}

fn is_secret(name: &str, names: &[&str]) -> bool {
    let lower = name.to_ascii_lowercase();
    names.contains(&name) || lower == "code" || TELLTALE.iter().any(|part| lower.contains(part))
}

/// Whether a name looks like that of a secret.
pub fn looks_secret(name: &str) -> bool {
    is_secret(name, &[])
}

/// A response header's value as it may be kept: cookies lose their values, addresses theirs.
pub fn header(name: &HeaderName, value: &str) -> String {
    let shown = match *name {
        header::SET_COOKIE => {
            let (cookie, attributes) =
                value.split_once(';').map_or((value, ""), |(cookie, rest)| (cookie, rest));
            let cookie = cookie.split('=').next().unwrap_or_default();
            let separator = if attributes.is_empty() { "" } else { ";" };
            format!("{cookie}=***{separator}{attributes}")
        }
        header::AUTHORIZATION | header::PROXY_AUTHORIZATION | header::COOKIE => "***".to_owned(),
        header::LOCATION | header::CONTENT_LOCATION => {
            Url::parse(value).map_or_else(|_| relative(value), |parsed| url(&parsed, &[]))
        }
        _ if is_secret(name.as_str(), &[]) && *name != header::WWW_AUTHENTICATE => "***".to_owned(),
        _ => value.to_owned(),
    };
    crate::judge::clip(&shown)
}

fn relative(value: &str) -> String {
    value.split_once('?').map_or_else(|| value.to_owned(), |(path, _)| format!("{path}?***"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_that_is_shown_gives_a_secret_away() {
        let parsed = Url::parse("https://me:pw@h.example/a?id=1&access_token=s3cr3t&pin=42#top").unwrap();
        assert_eq!(url(&parsed, &["pin"]), "https://h.example/a?id=1&access_token=***&pin=***");
        let plain = Url::parse("https://h.example/a?id=1").unwrap();
        assert_eq!(url(&plain, &[]), "https://h.example/a?id=1");
    }

    #[test]
    fn cookies_keep_their_attributes_and_lose_their_values() {
        assert_eq!(header(&header::SET_COOKIE, "sid=abc123; Secure; HttpOnly"), "sid=***; Secure; HttpOnly");
        assert_eq!(header(&HeaderName::from_static("x-api-key"), "abc"), "***");
        assert_eq!(header(&header::CONTENT_TYPE, "text/html"), "text/html");
    }
}
