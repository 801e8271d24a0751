//! Rules for bodies, of which only the beginning may be known.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};

use super::text::{Pattern, Texts, list};
use super::{Unmet, lossy};

/// What a body should be. All operators that are given must hold.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BodyRule {
    /// The whole body is this text.
    pub equals: Option<String>,
    /// It contains each of these.
    pub contains: Option<Texts>,
    /// It contains none of these.
    pub not_contains: Option<Texts>,
    /// It matches this regular expression.
    pub matches: Option<Pattern>,
    /// It does not match this regular expression.
    pub not_matches: Option<Pattern>,
    /// Its SHA-256, in hex.
    pub sha256: Option<Sha256>,
    /// It has at most this many bytes (decoded).
    pub max_size: Option<u64>,
    /// It has at least this many bytes (decoded).
    pub min_size: Option<u64>,
}

impl BodyRule {
    /// The texts compared with, for whoever fills in what is known only at the time of a run.
    pub fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let lists = [&mut self.contains, &mut self.not_contains];
        let lists = lists.into_iter().flatten().flat_map(|Texts(texts)| texts.iter_mut());
        self.equals.iter_mut().chain(lists)
    }

    /// Judges what was read of a body; `whole` says whether that is all of it, `digest` is asked
    /// for the SHA-256 in lower-case hex only where the rule names one.
    ///
    /// # Errors
    /// The first operator that does not hold, else the first that cannot be decided.
    pub fn judge(&self, body: &[u8], whole: bool, digest: impl FnOnce() -> String) -> Result<(), Unmet> {
        let mut undecided = None;
        let text = lossy(body);
        let size = body.len() as u64;
        let mut ask = |found: bool, wanted: bool, rule: &dyn Fn() -> String| {
            if found != wanted && (found || whole) {
                return Err(Unmet::No(rule()));
            }
            if !found && !whole && undecided.is_none() {
                undecided = Some(rule());
            }
            Ok(())
        };
        if let Some(max) = self.max_size {
            ask(size > max, false, &|| format!("max_size {max}"))?;
        }
        if let Some(min) = self.min_size {
            ask(size >= min, true, &|| format!("min_size {min}"))?;
        }
        if let Some(wanted) = &self.equals {
            let rule = || "equals the given text".to_owned();
            if size > wanted.len() as u64 {
                return Err(Unmet::No(rule()));
            }
            ask(whole && body == wanted.as_bytes(), true, &rule)?;
        }
        for wanted in list(&self.contains) {
            ask(text.contains(wanted), true, &|| format!("contains {wanted:?}"))?;
        }
        for unwanted in list(&self.not_contains) {
            ask(text.contains(unwanted), false, &|| format!("not_contains {unwanted:?}"))?;
        }
        if let Some(pattern) = &self.matches {
            ask(pattern.is_match(&text), true, &|| format!("matches {:?}", pattern.as_str()))?;
        }
        if let Some(pattern) = &self.not_matches {
            ask(pattern.is_match(&text), false, &|| format!("not_matches {:?}", pattern.as_str()))?;
        }
        if let Some(Sha256(wanted)) = &self.sha256 {
            ask(whole && digest() == *wanted, true, &|| format!("sha256 {wanted}"))?;
        }
        undecided.map_or(Ok(()), |rule| Err(Unmet::Undecided(rule)))
    }
}

/// A SHA-256 in lower-case hex.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
pub struct Sha256(String);

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?.to_ascii_lowercase();
        if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Self(text));
        }
        Err(de::Error::custom("a SHA-256 is 64 hexadecimal digits, as `sha256sum` prints it"))
    }
}

struct BodyVisitor;

impl<'de> Visitor<'de> for BodyVisitor {
    type Value = BodyRule;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text (equals) or a map of operators such as {contains: …}")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<BodyRule, E> {
        Ok(BodyRule { equals: Some(text.to_owned()), ..BodyRule::default() })
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<BodyRule, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<BodyRule, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<BodyRule, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<BodyRule, E> {
        self.visit_str(if value { "true" } else { "false" })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<BodyRule, A::Error> {
        BodyRule::deserialize(MapAccessDeserializer::new(map))
    }
}

/// Reads a scalar as `equals` and a map as operators; for `deserialize_with`.
pub(crate) fn body_rule<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Box<BodyRule>>, D::Error> {
    deserializer.deserialize_any(BodyVisitor).map(|rule| Some(Box::new(rule)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(value: serde_json::Value) -> BodyRule {
        *body_rule(value).unwrap().unwrap()
    }

    fn held(rule: &BodyRule, bytes: &[u8], whole: bool) -> Result<(), Unmet> {
        rule.judge(bytes, whole, || "ab".repeat(32))
    }

    #[test]
    fn a_digest_that_no_body_can_have_is_refused_at_load() {
        assert!(body_rule(json!({ "sha256": "abc" })).is_err());
        assert!(body_rule(json!({ "contans": "abc" })).is_err());
    }

    #[test]
    fn beyond_the_limit_only_what_cannot_be_decided_fails() {
        let rule = body(json!({ "contains": "ok" }));
        assert_eq!(held(&rule, b"ok and mo", false), Ok(()));
        assert!(matches!(held(&rule, b"and mo", false), Err(Unmet::Undecided(_))));
        assert!(matches!(held(&rule, b"and mo", true), Err(Unmet::No(_))));
        let rule = body(json!({ "not_contains": "error" }));
        assert!(matches!(held(&rule, b"an error", false), Err(Unmet::No(_))));
        assert!(matches!(held(&rule, b"fine so far", false), Err(Unmet::Undecided(_))));
        assert_eq!(held(&body(json!({ "min_size": 3 })), b"abcd", false), Ok(()));
        assert!(matches!(held(&body(json!({ "max_size": 3 })), b"abcd", false), Err(Unmet::No(_))));
    }

    #[test]
    fn bodies_that_are_no_text_are_judged_all_the_same() {
        assert_eq!(held(&body(json!({ "contains": "ok" })), b"\xff\xfeok", true), Ok(()));
        assert!(held(&body(json!("ok")), b"\xffok", true).is_err());
        assert_eq!(held(&body(json!({ "sha256": "AB".repeat(32) })), b"x", true), Ok(()));
        assert!(held(&body(json!({ "sha256": "0".repeat(64) })), b"x", true).is_err());
    }
}
