//! What names and values look like: the guesses of the import, in one place.

/// A field's own name in lower case without punctuation: `user[email_address]` is `emailaddress`.
fn own(name: &str) -> String {
    let name = name.trim_end_matches(']');
    let last = name.rsplit(['[', '.', ':']).find(|part| !part.is_empty()).unwrap_or(name);
    last.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether a password is typed into a field of this name.
pub fn is_password(name: &str) -> bool {
    let own = own(name);
    ["password", "passwd", "passwort", "passphrase", "motdepasse"].iter().any(|word| own.contains(word))
        || ["pwd", "pass", "pw", "passw", "jpassword", "userpass", "loginpass"].contains(&own.as_str())
}

/// Whether a user name is typed into a field of this name.
pub fn is_username(name: &str) -> bool {
    let own = own(name);
    ["username", "useremail", "emailaddress", "loginname", "loginid"].iter().any(|word| own.contains(word))
        || ["user", "email", "mail", "login", "userid", "account", "identifier", "uid", "loginfmt", "upn"]
            .contains(&own.as_str())
}

/// Whether this is a one-time code: named like one, and six to eight digits.
pub fn is_code(name: &str, value: &str) -> bool {
    let own = own(name);
    let named =
        ["otp", "totp", "mfa", "2fa", "twofactor", "passcode", "onetime", "authenticator", "verification"]
            .iter()
            .any(|word| own.contains(word))
            || ["code", "token", "pin", "answer", "authcode", "securitycode", "twostepcode"]
                .contains(&own.as_str());
    let digits: String = value.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    named && (6..=8).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a field or header of this name guards against forged requests.
pub fn is_csrf(name: &str) -> bool {
    let own = own(name);
    ["csrf", "xsrf", "authenticitytoken", "requestverificationtoken", "formtoken", "formkey", "antiforgery"]
        .iter()
        .any(|word| own.contains(word))
        || own == "nonce"
        || own == "wpnonce"
}

/// Whether what stands under this name is a secret whatever it looks like.
pub fn is_secret(name: &str) -> bool {
    let own = own(name);
    let words = ["secret", "token", "apikey", "password", "session", "credential", "jwt", "assertion"];
    words.iter().any(|word| own.contains(word))
        || ["sid", "code", "key", "auth", "authorization", "signature", "sig", "codeverifier"]
            .contains(&own.as_str())
        || is_csrf(name)
}

/// Whether a person types a title or a text into a field of this name.
pub fn is_prose(name: &str) -> bool {
    let own = own(name);
    ["title", "subject", "summary", "description"].iter().any(|word| own.contains(word))
        || ["name", "body", "content", "text", "message", "note", "notes", "comment", "label"]
            .contains(&own.as_str())
}

/// Whether a path signs out.
pub fn is_sign_out(path: &str) -> bool {
    let words = ["logout", "signout", "logoff", "signoff", "endsession"];
    path.to_ascii_lowercase().split('/').any(|part| {
        let part: String = part.chars().filter(char::is_ascii_alphanumeric).collect();
        words.iter().any(|word| part.starts_with(word))
    })
}

/// Whether a path only counts people.
pub fn is_counting(path: &str) -> bool {
    let words = [
        "analytics",
        "beacon",
        "collect",
        "telemetry",
        "rum",
        "metrics",
        "csp-report",
        "envelope",
        "pageview",
    ];
    path.to_ascii_lowercase().split('/').any(|part| words.contains(&part))
}

/// Whether this is a UUID (RFC 9562).
pub fn is_uuid(value: &str) -> bool {
    value.len() == 36
        && value.char_indices().all(|(at, c)| match at {
            8 | 13 | 18 | 23 => c == '-',
            _ => c.is_ascii_hexdigit(),
        })
}

/// Whether this is a signed token (RFC 7519).
pub fn is_jwt(value: &str) -> bool {
    value.starts_with("eyJ") && value.split('.').count() >= 3
}

/// Whether a value looks made by a machine: long, of few kinds of character, and no words.
pub fn looks_random(value: &str) -> bool {
    if is_uuid(value) || is_jwt(value) {
        return true;
    }
    let fits = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '/' | '=' | '.' | '~' | ':' | '|')
    };
    if value.len() < 16 || !value.chars().all(fits) || value.starts_with('/') || value.contains("://") {
        return false;
    }
    // A word, a number, a date, a path of words.
    let worded = |part: &str| {
        part.len() < 16
            && (part.bytes().all(|b| b.is_ascii_digit()) || part.bytes().all(|b| b.is_ascii_alphabetic()))
    };
    if value.split(['-', '_', '/', '.', ':', '+', 'T', '|']).all(worded) {
        return false;
    }
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let (upper, lower) =
        (value.bytes().any(|b| b.is_ascii_uppercase()), value.bytes().any(|b| b.is_ascii_lowercase()));
    (digits >= 2 && (upper || lower)) || (upper && lower && value.len() >= 20)
}

/// Whether a query parameter only keeps caches from answering.
pub fn is_cache_buster(name: &str, value: &str) -> bool {
    ["_", "t", "ts", "cb", "_t", "timestamp", "nocache", "rnd"].contains(&name)
        && value.len() >= 10
        && value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// A text that means itself where a template is read.
pub fn literal(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = ["{{", "{%", "{#"].iter().filter_map(|mark| rest.find(mark)).min() {
        let (before, after) = rest.split_at(at);
        let (mark, after) = after.split_at(2);
        safe.push_str(before);
        safe.push_str(&format!("{{{{ '{mark}' }}}}"));
        rest = after;
    }
    safe.push_str(rest);
    safe
}

/// A name that templates can use, from any text.
pub fn identifier(text: &str) -> String {
    let mut name: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    while name.contains("__") {
        name = name.replace("__", "_");
    }
    let name: String = name.trim_matches('_').chars().take(32).collect();
    let reserved = [
        "identity", "run", "repeat", "item", "uuid", "totp", "now", "range", "dict", "loop", "self", "true",
        "false", "none", "not", "and", "or", "in", "is", "if", "else",
    ];
    match name.chars().next() {
        None => "value".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("v{name}"),
        _ if reserved.contains(&name.as_str()) => format!("the_{name}"),
        _ => name,
    }
}

/// One of what a collection holds: `tickets` is `ticket`.
pub fn singular(word: &str) -> String {
    let word = identifier(word);
    if let Some(stem) = word.strip_suffix("ies").filter(|stem| stem.len() > 1) {
        return format!("{stem}y");
    }
    match word.strip_suffix('s') {
        Some(stem) if stem.len() > 2 && !stem.ends_with(['s', 'u', 'i']) => stem.to_owned(),
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_fields_are_known_by_name_through_their_wrapping() {
        for name in ["password", "user[password]", "j_password", "Passwd", "login.pwd", "pass"] {
            assert!(is_password(name), "{name}");
        }
        for name in ["username", "user[email]", "session[username_or_email]", "Login", "j_username", "e-mail"]
        {
            assert!(is_username(name), "{name}");
        }
        assert!(is_code("otp_token", "123 456") && is_code("code", "12345678"));
        assert!(!is_code("code", "ABC123") && !is_code("postcode", "123456") && !is_code("code", "12345"));
        assert!(!is_password("compass_direction") && !is_username("users_per_page"));
    }

    #[test]
    fn machine_made_values_are_told_from_words_and_dates() {
        for value in [
            "9f86d081884c7d659a2feaa0c55ad015",
            "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
            "eyJhbGciOi.J9.sig",
            "kT3vPzQm8Lw2XyBnRdFs",
        ] {
            assert!(looks_random(value), "{value}");
        }
        for value in [
            "release-notes-for-2024",
            "2026-11-25T01:16:34",
            "/dashboard/overview/2026",
            "Europe/Amsterdam",
            "administrators",
            "1234567890",
        ] {
            assert!(!looks_random(value), "{value}");
        }
    }

    #[test]
    fn recorded_braces_are_no_template() {
        assert_eq!(literal("a {{ b }} {% c"), "a {{ '{{' }} b }} {{ '{%' }} c");
        assert_eq!(literal("plain } }}"), "plain } }}");
    }

    #[test]
    fn capture_names_are_identifiers() {
        assert_eq!(identifier("user[authenticity-token]"), "user_authenticity_token");
        assert_eq!(
            (identifier("run"), identifier("2fa"), identifier("__")),
            ("the_run".into(), "v2fa".into(), "value".into())
        );
    }

    #[test]
    fn signing_out_and_counting_are_known_by_path() {
        assert!(is_sign_out("/users/sign_out") && is_sign_out("/api/logout") && is_sign_out("/Logout.aspx"));
        assert!(!is_sign_out("/catalogue") && is_counting("/api/collect") && !is_counting("/collections"));
    }
}
