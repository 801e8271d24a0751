//! What was recorded and must not be written: the last door before the draft.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use url::form_urlencoded::byte_serialize;

/// What stands where a secret stood.
pub const REMOVED: &str = "REMOVED";

/// Shorter secrets are only taken out where they are the whole value: as parts they would be in any
/// word.
const SHORTEST_PART: usize = 4;

/// The recorded secrets in every form in which they are looked for.
#[derive(Default)]
pub struct Secrets {
    whole: HashSet<String>,
    /// By their first bytes: a recording can hold tens of thousands.
    parts: HashMap<[u8; SHORTEST_PART], Vec<Vec<u8>>>,
}

impl Secrets {
    /// Never to be written.
    pub fn add(&mut self, secret: &str) {
        let secret = secret.trim();
        if secret.is_empty() || !self.whole.insert(secret.to_owned()) || secret.len() < SHORTEST_PART {
            return;
        }
        let forms = if is_word(secret) { base64_parts(secret.as_bytes()) } else { forms(secret) };
        for form in forms {
            let Some(first) = form.as_bytes().first_chunk() else { continue };
            let alike = self.parts.entry(*first).or_default();
            if alike.len() > 8 || !alike.iter().any(|known| known == form.as_bytes()) {
                alike.push(form.into_bytes());
            }
        }
    }

    /// A value without secrets.
    pub fn scrub(&self, value: &str) -> String {
        if self.whole.contains(value) { REMOVED.to_owned() } else { self.scrub_name(value) }
    }

    /// A name (of a field, a header, a step) without secrets. A field called `password` is no secret, even
    /// if that is the password.
    pub fn scrub_name(&self, text: &str) -> String {
        let mut clean = String::with_capacity(text.len());
        let mut from = 0;
        // Of secrets that overlap none leaves a half.
        for (start, end) in self.places(text.as_bytes()) {
            clean.push_str(text.get(from..start).unwrap_or_default());
            clean.push_str(REMOVED);
            from = end;
        }
        clean.push_str(text.get(from..).unwrap_or_default());
        clean
    }

    /// Where secrets stand, in order; overlapping ones are one place.
    fn places(&self, text: &[u8]) -> Vec<(usize, usize)> {
        let mut places: Vec<(usize, usize)> = Vec::new();
        for (start, first) in text.array_windows().enumerate() {
            let Some(alike) = self.parts.get(first) else { continue };
            let rest = text.get(start..).unwrap_or_default();
            let Some(longest) = alike.iter().filter(|part| rest.starts_with(part)).map(Vec::len).max() else {
                continue;
            };
            match places.last_mut() {
                Some((_, end)) if start < *end => *end = (*end).max(start + longest),
                _ => places.push((start, start + longest)),
            }
        }
        places
    }
}

/// Whether a secret is a plain word such as `admin`: as a part of a text it is a word, and tells nothing.
fn is_word(secret: &str) -> bool {
    secret.len() <= 8 && secret.bytes().all(|byte| byte.is_ascii_lowercase())
}

fn forms(secret: &str) -> Vec<String> {
    let form: String = byte_serialize(secret.as_bytes()).collect();
    let percent: String = secret
        .bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect();
    let json = serde_json::Value::from(secret).to_string();
    let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let mut forms = vec![
        secret.to_owned(),
        lower_hex(&form),
        form,
        lower_hex(&percent),
        percent,
        json.trim_matches('"').to_owned(),
        html.replace('\'', "&#39;"),
        html.replace('\'', "&#x27;"),
        html,
    ];
    forms.extend(base64_parts(secret.as_bytes()));
    forms
}

fn lower_hex(text: &str) -> String {
    let mut lower = String::with_capacity(text.len());
    let mut left = 0_u8;
    for c in text.chars() {
        left = if c == '%' { 3 } else { left };
        lower.push(if left > 0 { c.to_ascii_lowercase() } else { c });
        left = left.saturating_sub(1);
    }
    lower
}

/// The characters of base64 that the secret alone decides, at each of the three places where it may
/// begin. Too few of them would be in any text.
fn base64_parts(secret: &[u8]) -> Vec<String> {
    let mut parts = Vec::new();
    for offset in 0..3_usize {
        let mut bytes = vec![0; offset];
        bytes.extend_from_slice(secret);
        let first = (offset * 8).div_ceil(6);
        let last = bytes.len() * 8 / 6;
        for text in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            if let Some(part) = text.get(first..last).filter(|part| part.len() >= SHORTEST_PART) {
                parts.push(part.to_owned());
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn a_secret_is_found_in_every_form() {
        let mut secrets = Secrets::default();
        secrets.add("p&s \"w'ö/d");
        for text in [
            "x p&s \"w'ö/d y".to_owned(),
            "q=p%26s+%22w%27%C3%B6%2Fd".to_owned(),
            "q=p%26s%20%22w%27%c3%b6%2fd".to_owned(),
            "{\"a\": \"p&s \\\"w'ö/d\"}".to_owned(),
            "<p>p&amp;s &quot;w&#39;ö/d</p>".to_owned(),
            format!("Basic {}", STANDARD.encode("u:p&s \"w'ö/d")),
            format!("Basic {}", STANDARD.encode("us:p&s \"w'ö/d")),
            format!("Basic {}", STANDARD.encode("use:p&s \"w'ö/d")),
        ] {
            let clean = secrets.scrub(&text);
            assert!(clean != text && clean.contains(REMOVED), "{text}: {clean}");
        }
        assert_eq!(secrets.scrub("nothing of it"), "nothing of it");
    }

    #[test]
    fn a_short_secret_goes_where_it_is_the_whole_value() {
        let mut secrets = Secrets::default();
        secrets.add("abc");
        assert_eq!(secrets.scrub("abc"), REMOVED);
        assert_eq!(secrets.scrub("abcissa"), "abcissa");
    }

    #[test]
    fn a_password_that_is_a_word_does_not_take_the_word_away() {
        let mut secrets = Secrets::default();
        secrets.add("password");
        assert_eq!(secrets.scrub("password"), REMOVED);
        assert_eq!(secrets.scrub_name("password"), "password");
        assert_eq!(secrets.scrub("input[type=password]"), "input[type=password]");
        assert!(!secrets.scrub(&STANDARD.encode("u:password")).contains("c3dvcm"));
    }

    #[test]
    fn secrets_within_and_across_others_leave_no_half() {
        let mut secrets = Secrets::default();
        secrets.add("hunter2");
        secrets.add("hunter2-and-more");
        secrets.add("and-more-to-come");
        assert_eq!(secrets.scrub("<hunter2-and-more-to-come>"), "<REMOVED>");
        assert_eq!(secrets.scrub("hunter2-and-more"), REMOVED);
    }
}
