//! Durations as people write them: `500ms`, `30s`, `5m`, `12h`, `1d`, `1h30m`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The longest duration a config may name: one hundred years of 365 days.
pub const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

const UNITS: [(&str, u64); 7] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
    ("y", 31_536_000_000),
];

/// A duration with the textual form of the config language. Zero is a value; where zero makes no
/// sense (`every`, `timeout`, windows, retention) the reader of the key refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct HumanDuration(pub Duration);

/// Why a text is no duration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DurationError {
    /// Not of the form number + unit.
    #[error("{0:?} is not a duration; write a number and a unit, as in 500ms, 30s, 5m, 12h or 1d")]
    Syntax(String),
    /// Longer than [`LONGEST`].
    #[error("{0:?} is longer than 100 years")]
    TooLong(String),
}

impl FromStr for HumanDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let syntax = || DurationError::Syntax(text.to_owned());
        let too_long = || DurationError::TooLong(text.to_owned());
        let mut rest = text.trim();
        if rest == "0" {
            return Ok(Self(Duration::ZERO));
        }
        if rest.is_empty() {
            return Err(syntax());
        }
        let mut milliseconds: u64 = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(syntax)?;
            let (number, tail) = rest.split_at(digits);
            if number.is_empty() {
                return Err(syntax());
            }
            let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(unit_end);
            let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(syntax)?;
            let number: u64 = number.parse().map_err(|_| too_long())?;
            milliseconds = number
                .checked_mul(*factor)
                .and_then(|part| milliseconds.checked_add(part))
                .ok_or_else(too_long)?;
            rest = tail;
        }
        let duration = Duration::from_millis(milliseconds);
        if duration > LONGEST { Err(too_long()) } else { Ok(Self(duration)) }
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, factor) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
            if rest >= factor {
                write!(f, "{}{unit}", rest / factor)?;
                rest %= factor;
            }
        }
        Ok(())
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for HumanDuration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A duration: 500ms, 30s, 5m, 12h, 1d.",
            "pattern": "^(0|([0-9]+(ms|s|m|h|d|w|y))+)$",
        })
    }
}

/// A duration that cannot be zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let HumanDuration(duration) = HumanDuration::deserialize(deserializer)?;
        if duration.is_zero() {
            return Err(de::Error::custom("zero makes no sense here; write a longer duration, such as 30s"));
        }
        Ok(Self(duration))
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        HumanDuration::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_print() {
        for (text, milliseconds, printed) in [
            ("500ms", 500, "500ms"),
            ("30s", 30_000, "30s"),
            ("5m", 300_000, "5m"),
            ("1h30m", 5_400_000, "1h30m"),
            ("90s", 90_000, "1m30s"),
            ("1d", 86_400_000, "1d"),
            ("0", 0, "0s"),
        ] {
            let parsed: HumanDuration = text.parse().unwrap();
            assert_eq!(parsed.0, Duration::from_millis(milliseconds), "{text}");
            assert_eq!(parsed.to_string(), printed);
        }
    }

    #[test]
    fn nonsense_is_refused_with_the_way_out() {
        for text in ["", "5", "s", "5 minutes", "-3s", "1.5h"] {
            assert!(matches!(text.parse::<HumanDuration>(), Err(DurationError::Syntax(_))), "{text}");
        }
        for text in ["300y", "99999999999999999999s"] {
            assert!(matches!(text.parse::<HumanDuration>(), Err(DurationError::TooLong(_))), "{text}");
        }
    }
}
