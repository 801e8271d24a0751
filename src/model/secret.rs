//! A value that must never be printed, and the masker that takes such values out of any text.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

/// A secret, resolved. In a config it is a reference, `{env: X}`, `{file: P}`, `{credential: NAME}`
/// or `{insecure_literal: S}`; the config's deserializer resolves the reference wherever this type
/// stands (it knows it by [`Secret::TOKEN`]) and hands the value over. It has no `Display` and no
/// `Serialize`, and `Debug` shows no value.
#[derive(Clone)]
pub struct Secret {
    value: Arc<SecretString>,
    shown: Arc<str>,
}

impl Secret {
    /// The newtype name by which the config's deserializer knows that a secret is asked for.
    pub const TOKEN: &'static str = "$portalwatch::Secret";

    /// Wraps a value; `shown` is what may be printed in its stead, such as `env:SMTP_PASSWORD`.
    pub fn new(value: impl Into<String>, shown: &str) -> Self {
        Self { value: Arc::new(SecretString::from(value.into())), shown: shown.into() }
    }

    /// The value. Call it where the value leaves for its purpose, nowhere else.
    pub fn expose(&self) -> &str {
        self.value.expose_secret()
    }

    /// What may be printed in its stead: the reference it came from.
    pub fn shown(&self) -> &str {
        &self.shown
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.shown)
    }
}

/// What the config's deserializer hands over for a resolved reference.
#[derive(Deserialize)]
struct Resolved {
    value: String,
    shown: String,
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Secret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a secret: {env: X}, {file: P}, {credential: NAME} or {insecure_literal: S}")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Secret, D::Error> {
                let resolved = Resolved::deserialize(deserializer)?;
                Ok(Secret::new(resolved.value, &resolved.shown))
            }
        }
        deserializer.deserialize_newtype_struct(Self::TOKEN, Visitor)
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let one = |key: &str, what: &str| {
            serde_json::json!({
                "type": "object",
                "properties": { key: { "type": "string", "description": what } },
                "required": [key],
                "additionalProperties": false,
            })
        };
        json_schema!({
            "description": "A secret, by reference.",
            "oneOf": [
                one("env", "The environment variable that holds it."),
                one("file", "The file that holds it; one trailing newline is dropped."),
                one("credential", "The file of that name in $CREDENTIALS_DIRECTORY."),
                one("insecure_literal", "The value itself, readable to whoever reads this file."),
            ],
        })
    }
}

/// Takes known secrets out of texts before they go anywhere, in each form in which a library or a
/// server may give them back: raw, percent-encoded, form-encoded, base64, JSON- and HTML-escaped.
#[derive(Clone, Default)]
pub struct Masker {
    /// (form, what is shown in its stead), longest form first.
    forms: Arc<Vec<(String, String)>>,
}

impl Masker {
    /// What stands in the place of a secret.
    fn mark(shown: &str) -> String {
        format!("<{shown}>")
    }

    /// Knows the given secrets. Values shorter than four bytes are left out: masking them would
    /// garble every text and hide nothing.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        use base64::Engine as _;
        let mut forms = Vec::new();
        for secret in secrets {
            let value = secret.expose();
            if value.len() < 4 {
                continue;
            }
            let mark = Self::mark(secret.shown());
            let form: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
            let percent = form.replace('+', "%20");
            let json = serde_json::to_string(value).unwrap_or_default();
            let html =
                value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
            let base64 = base64::engine::general_purpose::STANDARD_NO_PAD.encode(value);
            let base64_url = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value);
            let plain = [
                value.to_owned(),
                percent,
                form,
                json.trim_matches('"').to_owned(),
                html,
                base64,
                base64_url,
            ];
            for text in plain.into_iter().chain(inside_base64(value.as_bytes())) {
                if !text.is_empty() {
                    forms.push((text, mark.clone()));
                }
            }
        }
        // Of one form the first keeps its mark.
        forms.sort_by(|(left, _): &(String, String), (right, _)| {
            right.len().cmp(&left.len()).then_with(|| left.cmp(right))
        });
        forms.dedup_by(|(later, _), (first, _)| later == first);
        Self { forms: Arc::new(forms) }
    }

    /// Whether there is nothing to take out of any text.
    pub fn is_empty(&self) -> bool {
        self.forms.is_empty()
    }

    /// The text without the secrets.
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut masked = Cow::Borrowed(text);
        for (form, mark) in self.forms.iter() {
            if masked.contains(form.as_str()) {
                masked = Cow::Owned(masked.replace(form.as_str(), mark));
            }
        }
        match self.cut_off(&masked) {
            Some((kept, mark)) => Cow::Owned(format!("{}{mark}…", &masked[..kept])),
            None => masked,
        }
    }

    /// Where the beginning of a secret stands at the end of a text that was clipped (`…`), and its
    /// mark. Beginnings shorter than four bytes are chance.
    fn cut_off(&self, text: &str) -> Option<(usize, &str)> {
        let clipped = text.strip_suffix('…')?;
        self.forms
            .iter()
            .filter_map(|(form, mark)| {
                let lengths = (4..form.len()).rev();
                let tail = lengths.filter(|&length| form.is_char_boundary(length));
                let length = tail.into_iter().find(|&length| clipped.ends_with(&form[..length]))?;
                Some((clipped.len() - length, mark.as_str()))
            })
            .min_by_key(|(kept, _)| *kept)
    }
}

/// What a value looks like in the midst of something longer that is encoded as base64, such as
/// `user:password` of HTTP Basic: at each of the three alignments, without the characters that
/// depend on its neighbours.
fn inside_base64(value: &[u8]) -> Vec<String> {
    use base64::Engine as _;
    /// Shorter ones would be found by chance.
    const SHORTEST: usize = 6;
    let alphabets = [
        &base64::engine::general_purpose::STANDARD_NO_PAD,
        &base64::engine::general_purpose::URL_SAFE_NO_PAD,
    ];
    let mut forms = Vec::new();
    for (before, mixed) in [(0, 0), (1, 2), (2, 3)] {
        let bytes = [&[0; 2][..before], value].concat();
        let tail = usize::from(bytes.len() % 3 != 0);
        for alphabet in alphabets {
            let text = alphabet.encode(&bytes);
            let inner = text.get(mixed..text.len() - tail).unwrap_or_default();
            if inner.len() >= SHORTEST {
                forms.push(inner.to_owned());
            }
        }
    }
    forms
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Masker({} forms)", self.forms.len())
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::*;

    #[test]
    fn a_password_inside_basic_credentials_is_found_whatever_the_user_is_called() {
        let masker = Masker::new(&[Secret::new("hunter2+hunter2", "env:P")]);
        for user in ["a", "ab", "abc", "abcd"] {
            for after in ["", "!", "!!"] {
                let encoded = base64::engine::general_purpose::STANDARD
                    .encode(format!("{user}:hunter2+hunter2{after}"));
                let masked = masker.mask(&encoded);
                assert!(masked.contains("<env:P>"), "{user} {after}: {masked}");
            }
        }
        assert_eq!(masker.mask("hunter3+hunter3"), "hunter3+hunter3");
    }
}
