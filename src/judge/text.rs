//! Rules for texts: header values, URLs and bodies.

use std::borrow::Cow;
use std::fmt;

use regex::{Regex, RegexBuilder};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer};

use super::Unmet;

/// A regular expression, compiled when the config is read.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles a pattern; what it may take of memory is bounded.
    ///
    /// # Errors
    /// Why it does not compile, in one line.
    pub fn new(text: &str) -> Result<Self, String> {
        RegexBuilder::new(text).size_limit(1 << 20).build().map(Self).map_err(|error| {
            let error = error.to_string();
            let cause = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("the regular expression {text:?} does not compile: {cause}")
        })
    }

    /// Whether it matches somewhere in the text.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// The matches in the text: what each captured (its group `value`, else its first group, else
    /// all of it; `None` if that group took no part) and where it ends.
    pub fn captures<'t>(&'t self, text: &'t str) -> impl Iterator<Item = (Option<&'t str>, usize)> {
        self.0.captures_iter(text).map(|found| {
            let value = match found.name("value") {
                None if self.0.capture_names().flatten().any(|name| name == "value") => None,
                None => found.get(usize::from(found.len() > 1)),
                named => named,
            };
            (value.map(|value| value.as_str()), found.get(0).map_or(0, |all| all.end()))
        })
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl JsonSchema for Pattern {
    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "A regular expression (Rust regex syntax); it may match anywhere." })
    }
}

/// One text or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Texts(pub Box<[String]>);

struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Texts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of texts")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Texts, E> {
        Ok(Texts(Box::new([text.to_owned()])))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Texts, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Texts, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Texts, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Texts, E> {
        self.visit_str(if value { "true" } else { "false" })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Texts, A::Error> {
        let mut texts = Vec::new();
        while let Some(Texts(one)) = seq.next_element()? {
            texts.extend(one);
        }
        if texts.is_empty() {
            return Err(de::Error::custom("an empty list asks for nothing; name at least one text"));
        }
        Ok(Texts(texts.into()))
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextsVisitor)
    }
}

impl JsonSchema for Texts {
    fn schema_name() -> Cow<'static, str> {
        "Texts".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A text or a list of texts.",
            "anyOf": [
                { "type": ["string", "number", "boolean"] },
                { "type": "array", "minItems": 1, "items": { "type": ["string", "number", "boolean"] } },
            ],
        })
    }
}

/// Operators on a header's values or a URL. All that are given must hold.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TextRule {
    /// A text: some value is equal to it. A list: the values are these, in this order.
    pub equals: Option<Texts>,
    /// Some value contains each of these.
    pub contains: Option<Texts>,
    /// No value contains any of these.
    pub not_contains: Option<Texts>,
    /// Some value matches this regular expression.
    pub matches: Option<Pattern>,
    /// No value matches this regular expression.
    pub not_matches: Option<Pattern>,
    /// `true`: there is no value; `false`: there is one.
    pub absent: Option<bool>,
    /// `true`: there is a value; `false`: there is none.
    pub exists: Option<bool>,
    /// The value is a number below this.
    pub lt: Option<f64>,
    /// The value is a number not above this.
    pub lte: Option<f64>,
    /// The value is a number above this.
    pub gt: Option<f64>,
    /// The value is a number not below this.
    pub gte: Option<f64>,
}

impl TextRule {
    /// Judges all values of one name.
    ///
    /// # Errors
    /// The first operator that does not hold.
    pub fn judge(&self, values: &[&str]) -> Result<(), Unmet> {
        self.presence(values)?;
        if let Some(Texts(wanted)) = &self.equals {
            let held = match &**wanted {
                [one] => values.contains(&one.as_str()),
                list => list.iter().map(String::as_str).eq(values.iter().copied()),
            };
            ensure(held, || format!("equals {}", quoted(wanted)))?;
        }
        for text in list(&self.contains) {
            ensure(values.iter().any(|value| value.contains(text)), || format!("contains {text:?}"))?;
        }
        for text in list(&self.not_contains) {
            ensure(!values.iter().any(|value| value.contains(text)), || format!("not_contains {text:?}"))?;
        }
        if let Some(pattern) = &self.matches {
            ensure(values.iter().any(|value| pattern.is_match(value)), || {
                format!("matches {:?}", pattern.as_str())
            })?;
        }
        if let Some(pattern) = &self.not_matches {
            ensure(!values.iter().any(|value| pattern.is_match(value)), || {
                format!("not_matches {:?}", pattern.as_str())
            })?;
        }
        let number = |holds: &dyn Fn(f64) -> bool| {
            values.iter().any(|value| value.trim().parse::<f64>().is_ok_and(holds))
        };
        compare(self.lt, self.lte, self.gt, self.gte, number)
    }

    /// The texts compared with, for whoever fills in what is known only at the time of a run.
    pub fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let lists = [&mut self.equals, &mut self.contains, &mut self.not_contains];
        lists.into_iter().flatten().flat_map(|Texts(texts)| texts.iter_mut())
    }

    fn presence(&self, values: &[&str]) -> Result<(), Unmet> {
        if let Some(absent) = self.absent {
            ensure(values.is_empty() == absent, || format!("absent {absent}"))?;
        }
        if let Some(exists) = self.exists {
            ensure(values.is_empty() != exists, || format!("exists {exists}"))?;
        }
        Ok(())
    }
}

/// Judges the four comparisons; `number` says whether the value is a number for which a test holds.
pub(super) fn compare(
    lt: Option<f64>,
    lte: Option<f64>,
    gt: Option<f64>,
    gte: Option<f64>,
    number: impl Fn(&dyn Fn(f64) -> bool) -> bool,
) -> Result<(), Unmet> {
    if let Some(bound) = lt {
        ensure(number(&|value| value < bound), || format!("lt {bound}"))?;
    }
    if let Some(bound) = lte {
        ensure(number(&|value| value <= bound), || format!("lte {bound}"))?;
    }
    if let Some(bound) = gt {
        ensure(number(&|value| value > bound), || format!("gt {bound}"))?;
    }
    if let Some(bound) = gte {
        ensure(number(&|value| value >= bound), || format!("gte {bound}"))?;
    }
    Ok(())
}

pub(super) fn ensure(held: bool, rule: impl FnOnce() -> String) -> Result<(), Unmet> {
    if held { Ok(()) } else { Err(Unmet::No(rule())) }
}

pub(super) fn list(texts: &Option<Texts>) -> impl Iterator<Item = &str> {
    texts.iter().flat_map(|Texts(texts)| texts.iter().map(String::as_str))
}

fn quoted(texts: &[String]) -> String {
    match texts {
        [one] => format!("{one:?}"),
        list => format!("{list:?}"),
    }
}

/// The operators of [`TextRule`], as a type of their own so that a map can be told from a scalar.
#[derive(Deserialize)]
#[serde(transparent)]
struct Operators(TextRule);

struct RuleVisitor;

impl<'de> Visitor<'de> for RuleVisitor {
    type Value = TextRule;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list (equals), or a map of operators such as {contains: …}")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<TextRule, E> {
        Ok(TextRule { equals: Some(TextsVisitor.visit_str(text)?), ..TextRule::default() })
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<TextRule, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<TextRule, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<TextRule, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<TextRule, E> {
        self.visit_str(if value { "true" } else { "false" })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<TextRule, A::Error> {
        Ok(TextRule { equals: Some(TextsVisitor.visit_seq(seq)?), ..TextRule::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TextRule, A::Error> {
        Operators::deserialize(MapAccessDeserializer::new(map)).map(|operators| operators.0)
    }
}

/// Reads a scalar or list as `equals` and a map as operators; for `deserialize_with`.
pub(crate) fn rule<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TextRule, D::Error> {
    deserializer.deserialize_any(RuleVisitor)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(value: serde_json::Value) -> TextRule {
        rule(value).unwrap()
    }

    #[test]
    fn every_operator_of_a_map_must_hold() {
        let rule = text(json!({ "contains": "json", "not_contains": "html" }));
        assert_eq!(rule.judge(&["application/json"]), Ok(()));
        assert!(rule.judge(&["application/json; html"]).is_err());
        assert!(rule.judge(&[]).is_err());
    }

    #[test]
    fn a_scalar_means_equals_and_not_contains() {
        assert_eq!(text(json!("nosniff")).judge(&["nosniff"]), Ok(()));
        assert!(text(json!("nosniff")).judge(&["nosniff, x"]).is_err());
        assert_eq!(text(json!(5)).judge(&["5"]), Ok(()));
        assert!(text(json!(["a", "b"])).judge(&["b", "a"]).is_err());
        assert_eq!(text(json!({ "lte": 10 })).judge(&["10"]), Ok(()));
        assert!(text(json!({ "lt": 10 })).judge(&["ten"]).is_err());
    }

    #[test]
    fn a_header_that_must_not_be_there_is_missed_when_it_is() {
        assert_eq!(text(json!({ "absent": true })).judge(&[]), Ok(()));
        assert!(text(json!({ "absent": true })).judge(&["x"]).is_err());
        assert!(text(json!({ "exists": true })).judge(&[]).is_err());
    }

    #[test]
    fn a_pattern_that_does_not_compile_is_refused_at_load() {
        let error = rule(json!({ "matches": "(" })).unwrap_err().to_string();
        assert!(error.contains("does not compile"), "{error}");
        assert!(rule(json!({ "contians": "x" })).is_err());
    }

    #[test]
    fn a_pattern_captures_its_named_group_else_its_first_else_all() {
        let taken = |pattern: &str, text: &str| {
            let pattern = Pattern::new(pattern).unwrap();
            let taken: Vec<_> =
                pattern.captures(text).map(|(value, end)| (value.map(str::to_owned), end)).collect();
            taken
        };
        let some = |text: &str, end| (Some(text.to_owned()), end);
        assert_eq!(taken("a=.", "a=1 a=2"), [some("a=1", 3), some("a=2", 7)]);
        assert_eq!(taken("(.)=(.)", "a=1"), [some("a", 3)]);
        assert_eq!(taken("(.)=(?<value>.)", "a=1"), [some("1", 3)]);
        assert_eq!(taken("a(?<value>x)?(.)", "a1"), [(None, 2)]);
        assert_eq!(taken("a", "b"), []);
    }
}
