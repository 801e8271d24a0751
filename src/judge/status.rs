//! Sets of HTTP status codes as people write them: `200`, `2xx`, `200-299`, and lists of these.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

/// A set of status codes, 100 to 599 (RFC 9110 section 15) and the unregistered rest up to 999.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusSet(Box<[(u16, u16)]>);

impl Default for StatusSet {
    /// 200–299.
    fn default() -> Self {
        Self(Box::new([(200, 299)]))
    }
}

impl StatusSet {
    /// Whether the set names this status.
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|(low, high)| (*low..=*high).contains(&status))
    }

    fn one(text: &str) -> Result<(u16, u16), String> {
        let wrong =
            || format!("{text:?} is no status; write a code (200), a class (2xx) or a range (200-299)");
        let code = |part: &str| {
            part.trim().parse::<u16>().ok().filter(|code| (100..=999).contains(code)).ok_or_else(wrong)
        };
        let text = text.trim();
        if let Some(class) = text.strip_suffix("xx").or_else(|| text.strip_suffix("XX")) {
            let class: u16 = class.parse().ok().filter(|class| (1..=9).contains(class)).ok_or_else(wrong)?;
            return Ok((class * 100, class * 100 + 99));
        }
        let Some((low, high)) = text.split_once('-') else {
            return code(text).map(|code| (code, code));
        };
        let (low, high) = (code(low)?, code(high)?);
        if low > high { Err(wrong()) } else { Ok((low, high)) }
    }
}

impl fmt::Display for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (low, high)) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            if low == high { write!(f, "{low}")? } else { write!(f, "{low}–{high}")? }
        }
        Ok(())
    }
}

/// One element of a set.
struct Element((u16, u16));

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let set = deserializer.deserialize_any(SetVisitor { lists: false })?;
        set.0.first().map(|range| Self(*range)).ok_or_else(|| de::Error::custom("an empty status"))
    }
}

struct SetVisitor {
    lists: bool,
}

impl<'de> Visitor<'de> for SetVisitor {
    type Value = StatusSet;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a status code (200), a class (\"2xx\"), a range (\"200-299\") or a list of these")
    }

    fn visit_u64<E: de::Error>(self, code: u64) -> Result<StatusSet, E> {
        self.visit_str(&code.to_string())
    }

    fn visit_i64<E: de::Error>(self, code: i64) -> Result<StatusSet, E> {
        self.visit_str(&code.to_string())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<StatusSet, E> {
        StatusSet::one(text).map(|range| StatusSet(Box::new([range]))).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<StatusSet, A::Error> {
        if !self.lists {
            return Err(de::Error::custom("a list within a list of statuses; write one list"));
        }
        let mut ranges = Vec::new();
        while let Some(Element(range)) = seq.next_element()? {
            ranges.push(range);
        }
        if ranges.is_empty() {
            return Err(de::Error::custom("an empty list of statuses matches nothing; name at least one"));
        }
        Ok(StatusSet(ranges.into()))
    }
}

impl<'de> Deserialize<'de> for StatusSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SetVisitor { lists: true })
    }
}

impl JsonSchema for StatusSet {
    fn schema_name() -> Cow<'static, str> {
        "StatusSet".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let one = serde_json::json!([
            { "type": "integer", "minimum": 100, "maximum": 999 },
            { "type": "string", "pattern": "^([1-9]xx|[1-9][0-9]{2}(-[1-9][0-9]{2})?)$" },
        ]);
        json_schema!({
            "description": "Status codes: 200, \"2xx\", \"200-299\", or a list of these.",
            "anyOf": [
                one.get(0), one.get(1),
                { "type": "array", "minItems": 1, "items": { "anyOf": one } },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_unnamed_status_is_never_taken_for_a_named_one() {
        let set: StatusSet = serde_json::from_value(json!([204, "3xx", "400-403"])).unwrap();
        for status in [204, 300, 399, 400, 403] {
            assert!(set.contains(status), "{status}");
        }
        for status in [200, 205, 299, 404, 500] {
            assert!(!set.contains(status), "{status}");
        }
        assert_eq!(set.to_string(), "204, 300–399, 400–403");
        assert_eq!(StatusSet::default().to_string(), "200–299");
    }

    #[test]
    fn a_set_that_can_never_match_is_refused_at_load() {
        for value in [json!([]), json!("299-200"), json!(20), json!("2x"), json!([[200]]), json!(true)] {
            assert!(serde_json::from_value::<StatusSet>(value.clone()).is_err(), "{value}");
        }
    }
}
