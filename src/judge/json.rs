//! Rules for JSON documents, addressed by JSONPath (RFC 9535).

use std::borrow::Cow;
use std::fmt;

use jsonpath_rust::parser::model::{JpQuery, Segment, Selector};
use jsonpath_rust::parser::parse_json_path;
use jsonpath_rust::query::js_path_process;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{
    self, Deserializer, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer,
    value::SeqAccessDeserializer,
};
use serde_json::Value;

use super::Unmet;
use super::text::{Pattern, compare, ensure};

/// Operators on what a path selects. All that are given must hold, for every selected value.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JsonRule {
    /// The value is this. A list also equals a path that selects these values, in this order.
    #[serde(deserialize_with = "present")]
    pub equals: Option<Value>,
    /// The value is not this.
    #[serde(deserialize_with = "present")]
    pub not_equals: Option<Value>,
    /// A string contains this string, or a list this element.
    pub contains: Option<Value>,
    /// A string does not contain this string, or a list this element.
    pub not_contains: Option<Value>,
    /// The value, as text, matches this regular expression.
    pub matches: Option<Pattern>,
    /// The value, as text, does not match this regular expression.
    pub not_matches: Option<Pattern>,
    /// `true`: the path selects something; `false`: nothing.
    pub exists: Option<bool>,
    /// `true`: the path selects nothing; `false`: something.
    pub absent: Option<bool>,
    /// The value is a number below this.
    pub lt: Option<f64>,
    /// The value is a number not above this.
    pub lte: Option<f64>,
    /// The value is a number above this.
    pub gt: Option<f64>,
    /// The value is a number not below this.
    pub gte: Option<f64>,
}

/// Keeps an explicit `null` apart from a missing key.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl JsonRule {
    fn of_value(value: Value) -> Self {
        Self { equals: Some(value), ..Self::default() }
    }

    fn values_mut(&mut self) -> impl Iterator<Item = &mut Value> {
        [&mut self.equals, &mut self.not_equals, &mut self.contains, &mut self.not_contains]
            .into_iter()
            .flatten()
    }

    /// Judges the values a path selected.
    ///
    /// # Errors
    /// The first operator that does not hold.
    pub fn judge(&self, values: &[&Value]) -> Result<(), Unmet> {
        if let Some(exists) = self.exists {
            ensure(values.is_empty() != exists, || format!("exists {exists}"))?;
        }
        if let Some(absent) = self.absent {
            ensure(values.is_empty() == absent, || format!("absent {absent}"))?;
        }
        if let Some(wanted) = &self.equals {
            ensure(selects(values, wanted), || format!("equals {wanted}"))?;
        }
        if let Some(unwanted) = &self.not_equals {
            ensure(!selects(values, unwanted), || format!("not_equals {unwanted}"))?;
        }
        let every =
            |holds: &dyn Fn(&Value) -> bool| !values.is_empty() && values.iter().all(|value| holds(value));
        if let Some(wanted) = &self.contains {
            ensure(every(&|value| contains(value, wanted)), || format!("contains {wanted}"))?;
        }
        if let Some(unwanted) = &self.not_contains {
            ensure(!values.iter().any(|value| contains(value, unwanted)), || {
                format!("not_contains {unwanted}")
            })?;
        }
        if let Some(pattern) = &self.matches {
            ensure(every(&|value| pattern.is_match(&text(value))), || {
                format!("matches {:?}", pattern.as_str())
            })?;
        }
        if let Some(pattern) = &self.not_matches {
            ensure(!values.iter().any(|value| pattern.is_match(&text(value))), || {
                format!("not_matches {:?}", pattern.as_str())
            })?;
        }
        compare(self.lt, self.lte, self.gt, self.gte, |holds| {
            every(&|value| value.as_f64().is_some_and(holds))
        })
    }
}

fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

fn selects(values: &[&Value], wanted: &Value) -> bool {
    match (values, wanted) {
        ([one], wanted) if same(one, wanted) => true,
        (values, Value::Array(list)) => {
            values.len() == list.len() && values.iter().zip(list).all(|(value, wanted)| same(value, wanted))
        }
        _ => false,
    }
}

/// Equality as JSON means it: `1` and `1.0` are the same number, members have no order.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            left == right || left.as_f64() == right.as_f64() && (left.is_f64() || right.is_f64())
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| same(value, other)))
        }
        (left, right) => left == right,
    }
}

fn contains(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::Array(list), wanted) => list.iter().any(|element| same(element, wanted)),
        (Value::String(value), wanted) => value.contains(&*text(wanted)),
        _ => false,
    }
}

/// The bytes of member names and indices that one query may write down: the library notes the
/// place of every value it passes, and a hostile document can have a long name above many values.
const LONGEST_PLACES: usize = 128 << 20;

/// A compiled JSONPath (RFC 9535) and how it was written.
#[derive(Clone, Debug)]
pub struct JsonPath {
    written: Box<str>,
    query: JpQuery,
}

impl JsonPath {
    /// Compiles a path.
    ///
    /// # Errors
    /// What is wrong with it and the way out.
    pub fn new(written: &str) -> Result<Self, String> {
        let query = parse_json_path(written).map_err(|error| {
            let error = error.to_string();
            let cause = error.lines().last().unwrap_or_default().trim();
            format!(
                "{written:?} is no JSONPath (RFC 9535), write for example $.status or $.items[0].id: {cause}"
            )
        })?;
        Ok(Self { written: written.into(), query })
    }

    /// The path as written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The values it selects.
    ///
    /// # Errors
    /// Why it cannot be asked of this document; names no value.
    pub fn select<'a>(&self, document: &'a Value) -> Result<Vec<&'a Value>, &'static str> {
        let mut left = LONGEST_PLACES;
        if !self.query.segments.iter().all(is_one_step) && !fits(document, 0, &mut left) {
            return Err("the names in the document are too long for a path that selects many values");
        }
        match js_path_process(&self.query, document) {
            Ok(found) => Ok(found.into_iter().map(|found| found.val()).collect()),
            Err(_) => Err("the path selects no values of the document"),
        }
    }

    /// How far the document has what the path names: the place and the value there.
    pub fn nearest<'a>(&self, document: &'a Value) -> (String, &'a Value) {
        let mut place = String::from("$");
        let mut value = document;
        for segment in &self.query.segments {
            let (step, next) = match segment {
                Segment::Selector(Selector::Name(name)) => (format!(".{name}"), value.get(name.as_str())),
                Segment::Selector(Selector::Index(index)) => {
                    let at = usize::try_from(*index).ok();
                    (format!("[{index}]"), at.and_then(|at| value.get(at)))
                }
                _ => break,
            };
            let Some(next) = next else { break };
            place.push_str(&step);
            value = next;
        }
        (place, value)
    }
}

/// Whether a segment selects at most one value of each.
fn is_one_step(segment: &Segment) -> bool {
    matches!(segment, Segment::Selector(Selector::Name(_) | Selector::Index(_)))
}

/// Whether the places of all values, written out, fit. `above` is the length of this one's.
fn fits(value: &Value, above: usize, left: &mut usize) -> bool {
    const PUNCTUATION: usize = 8;
    match left.checked_sub(above + PUNCTUATION) {
        Some(rest) => *left = rest,
        None => return false,
    }
    match value {
        Value::Array(list) => list.iter().all(|value| fits(value, above + PUNCTUATION, left)),
        Value::Object(members) => {
            members.iter().all(|(name, value)| fits(value, above + name.len() + PUNCTUATION, left))
        }
        _ => true,
    }
}

impl<'de> Deserialize<'de> for JsonPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl JsonSchema for JsonPath {
    fn schema_name() -> Cow<'static, str> {
        "JsonPath".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "A JSONPath (RFC 9535) such as $.items[0].id." })
    }
}

/// What a JSON document should say: paths and their rules.
#[derive(Clone, Debug)]
pub struct JsonRules(Box<[(JsonPath, JsonRule)]>);

impl JsonRules {
    /// The values compared with, for whoever fills in what is known only at the time of a run.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Value> {
        self.0.iter_mut().flat_map(|(_, rule)| rule.values_mut())
    }

    /// The paths, as written.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(path, _)| &*path.written)
    }

    /// Judges a document: for each path, what it selects (as compact text) and whether its rule
    /// holds.
    pub fn judge<'a>(
        &'a self,
        document: &'a Value,
    ) -> impl Iterator<Item = (&'a str, Option<String>, Result<(), Unmet>)> {
        self.0.iter().map(move |(path, rule)| {
            let values = match path.select(document) {
                Ok(values) => values,
                Err(error) => return (&*path.written, None, Err(Unmet::No(format!("can be read: {error}")))),
            };
            let shown = match &*values {
                [] => None,
                [one] => Some(one.to_string()),
                many => Some(format!(
                    "{} values, first {}",
                    many.len(),
                    many.first().map_or(String::new(), ToString::to_string)
                )),
            };
            (&*path.written, shown, rule.judge(&values))
        })
    }
}

struct RuleSeed;

impl<'de> Visitor<'de> for RuleSeed {
    type Value = JsonRule;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value (equals) or a map of operators such as {gte: 1}")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<JsonRule, E> {
        Ok(JsonRule::of_value(value.into()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<JsonRule, E> {
        Ok(JsonRule::of_value(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<JsonRule, E> {
        Ok(JsonRule::of_value(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<JsonRule, E> {
        Ok(JsonRule::of_value(value.into()))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<JsonRule, E> {
        Ok(JsonRule::of_value(value.into()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<JsonRule, E> {
        Ok(JsonRule::of_value(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<JsonRule, A::Error> {
        Value::deserialize(SeqAccessDeserializer::new(seq)).map(JsonRule::of_value)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<JsonRule, A::Error> {
        JsonRule::deserialize(MapAccessDeserializer::new(map))
    }
}

struct Rule(JsonRule);

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RuleSeed).map(Self)
    }
}

struct RulesVisitor;

impl<'de> Visitor<'de> for RulesVisitor {
    type Value = JsonRules;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map from JSONPath to what it should select, such as {\"$.ok\": true}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsonRules, A::Error> {
        let mut rules = Vec::new();
        while let Some(path) = map.next_key::<JsonPath>()? {
            rules.push((path, map.next_value::<Rule>()?.0));
        }
        Ok(JsonRules(rules.into()))
    }
}

impl<'de> Deserialize<'de> for JsonRules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RulesVisitor)
    }
}

impl JsonSchema for JsonRules {
    fn schema_name() -> Cow<'static, str> {
        "JsonRules".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let operators = generator.subschema_for::<JsonRule>();
        json_schema!({
            "type": "object",
            "description": "JSONPath (RFC 9535) to a value (equals) or a map of operators.",
            "additionalProperties": {
                "anyOf": [
                    { "type": ["string", "number", "boolean", "null", "array"] },
                    operators,
                ],
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(rules: Value, document: &Value) -> bool {
        let rules: JsonRules = serde_json::from_value(rules).unwrap();
        rules.judge(document).all(|(_, _, held)| held.is_ok())
    }

    #[test]
    fn a_document_that_says_otherwise_is_noticed() {
        let document = json!({ "ok": true, "n": 3, "list": [1, 2], "name": "portal", "none": null,
            "items": [{ "id": 1 }, { "id": 2 }] });
        for (rules, expected) in [
            (json!({ "$.ok": true }), true),
            (json!({ "$.ok": false }), false),
            (json!({ "$.ok": "true" }), false),
            (json!({ "$.n": 3.0 }), true),
            (json!({ "$.n": { "gte": 3, "lt": 4 } }), true),
            (json!({ "$.n": { "gt": 3 } }), false),
            (json!({ "$.name": { "gt": 3 } }), false),
            (json!({ "$.list": [1, 2] }), true),
            (json!({ "$.list": [2, 1] }), false),
            (json!({ "$.list": { "contains": 2 } }), true),
            (json!({ "$.items[*].id": [1, 2] }), true),
            (json!({ "$.items[?@.id == 2].id": 2 }), true),
            (json!({ "$.name": { "matches": "^por", "not_contains": "x" } }), true),
            (json!({ "$.missing": { "absent": true } }), true),
            (json!({ "$.missing": { "exists": true } }), false),
            (json!({ "$.missing": { "contains": "x" } }), false),
            (json!({ "$.none": null }), true),
            (json!({ "$.none": { "equals": null } }), true),
            (json!({ "$.ok": { "equals": null } }), false),
        ] {
            assert_eq!(holds(rules.clone(), &document), expected, "{rules}");
        }
    }

    #[test]
    fn a_path_that_does_not_compile_is_refused_at_load() {
        for path in ["ok", "$.[", "$..[?", ""] {
            let error = serde_json::from_value::<JsonRules>(json!({ path: 1 })).unwrap_err().to_string();
            assert!(error.contains("JSONPath"), "{path}: {error}");
        }
        assert!(serde_json::from_value::<JsonRules>(json!({ "$.a": { "grater": 1 } })).is_err());
    }
    #[test]
    fn how_far_a_document_has_what_a_path_names_is_known() {
        let document = json!({ "data": { "items": [{ "id": 1 }] } });
        for (path, selected, place) in [
            ("$.data.items[0].id", 1, "$.data.items[0].id"),
            ("$.data.items[0].name", 0, "$.data.items[0]"),
            ("$.data.items[-1].id", 1, "$.data.items"),
            ("$.data.items[1]", 0, "$.data.items"),
            ("$..id", 1, "$"),
            ("$.error", 0, "$"),
        ] {
            let read = JsonPath::new(path).unwrap();
            assert_eq!(read.select(&document).unwrap().len(), selected, "{path}");
            assert_eq!(read.nearest(&document).0, place, "{path}");
        }
    }

    #[test]
    fn a_long_name_above_many_values_is_not_written_down_for_each() {
        let document = json!({ "k".repeat(60_000): vec![0; 5_000] });
        assert!(JsonPath::new("$.*[*]").unwrap().select(&document).is_err());
        assert!(JsonPath::new("$.id").unwrap().select(&document).unwrap().is_empty());
        let document = json!({ "k": vec![0; 5_000] });
        assert_eq!(JsonPath::new("$.*[*]").unwrap().select(&document).unwrap().len(), 5_000);
    }
}
