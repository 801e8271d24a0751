//! What was recorded and must not be written: the last door before the draft.

use std::collections::HashSet;

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
    parts: Vec<String>,
}

impl Secrets {
    /// Never to be written.
    pub fn add(&mut self, secret: &str) {
        let secret = secret.trim();
        if secret.is_empty() || !self.whole.insert(secret.to_owned()) {
            return;
        }
        if secret.len() >= SHORTEST_PART {
            self.parts.extend(forms(secret));
        }
    }

    /// The text without secrets, and whether there were any.
    pub fn scrub(&self, text: &str) -> (String, bool) {
        if self.whole.contains(text) {
            return (REMOVED.to_owned(), true);
        }
        let mut clean = text.to_owned();
        let mut found = false;
        for part in &self.parts {
            if clean.contains(part.as_str()) {
                clean = clean.replace(part.as_str(), REMOVED);
                found = true;
            }
        }
        (clean, found)
    }

    /// Longest first, so that no secret is cut by a shorter one inside it and left in halves.
    pub fn seal(&mut self) {
        self.parts.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.parts.dedup();
    }
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
        secrets.seal();
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
            let (clean, found) = secrets.scrub(&text);
            assert!(found && clean.contains(REMOVED), "{text}: {clean}");
        }
        assert_eq!(secrets.scrub("nothing of it"), ("nothing of it".to_owned(), false));
    }

    #[test]
    fn a_short_secret_goes_where_it_is_the_whole_value() {
        let mut secrets = Secrets::default();
        secrets.add("abc");
        assert_eq!(secrets.scrub("abc").0, REMOVED);
        assert_eq!(secrets.scrub("abcissa").0, "abcissa");
    }

    #[test]
    fn the_longer_of_two_secrets_goes_whole() {
        let mut secrets = Secrets::default();
        secrets.add("hunter2");
        secrets.add("hunter2-and-more");
        secrets.seal();
        assert_eq!(secrets.scrub("hunter2-and-more").0, REMOVED);
    }
}
