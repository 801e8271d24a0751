//! Times of certificates (RFC 5280 section 4.1.2.5): whatever the bytes say, one comes out.
//!
//! Certificates with years before 1970, with years that no calendar type holds and without a time
//! zone exist, and each must stay visible rather than make its certificate unreadable.

use std::fmt;

use serde::{Serialize, Serializer};

use super::der::{Element, GENERALIZED_TIME, UTC_TIME};

/// A moment of a certificate's validity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Seconds since 1970-01-01T00:00:00Z, leap seconds not counted; `None` where the bytes are no
    /// time at all.
    pub seconds: Option<i64>,
    /// What of the encoding breaks RFC 5280 section 4.1.2.5, if anything does.
    pub irregular: Option<&'static str>,
    text: String,
}

/// The longest text that is looked at.
const LONGEST: usize = 32;
const DAY: i64 = 86_400;
/// From 2050 on a GeneralizedTime is asked for, before that a UTCTime.
const YEAR_2050: i64 = 2_524_608_000;

impl Moment {
    /// A moment by its seconds since 1970, as [`Moment::seconds`] counts.
    pub fn at(seconds: i64) -> Self {
        Self { seconds: Some(seconds), irregular: None, text: written(seconds) }
    }

    pub(super) fn read(element: &Element<'_>) -> Self {
        let raw = element.value.get(..LONGEST.min(element.value.len())).unwrap_or_default();
        let shown = || raw.escape_ascii().to_string();
        let Some((seconds, mut irregular)) = parse(element.tag, element.value) else {
            return Self { seconds: None, irregular: Some("it is no time"), text: shown() };
        };
        if irregular.is_none() && (element.tag == GENERALIZED_TIME) != (seconds >= YEAR_2050) {
            irregular = Some("its type is not the one that its year asks for");
        }
        Self { seconds: Some(seconds), irregular, text: written(seconds) }
    }
}

impl fmt::Display for Moment {
    /// As RFC 3339 where the year has four digits, else with as many as it needs; the escaped bytes
    /// where they are no time.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// The seconds, and what is irregular about the form.
fn parse(tag: u8, bytes: &[u8]) -> Option<(i64, Option<&'static str>)> {
    if bytes.len() > LONGEST {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let (clock, offset, mut irregular) = zone(text)?;
    let (clock, fraction) = clock.split_once(['.', ',']).unwrap_or((clock, ""));
    if !clock.bytes().all(|byte| byte.is_ascii_digit()) || !fraction.bytes().all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    if !fraction.is_empty() {
        irregular = irregular.or(Some("it has a fraction of a second"));
    }
    let year_digits = match tag {
        UTC_TIME => 2,
        // Ten digits follow the year where the seconds are there. A year of five digits has no
        // encoding, but what was meant is plain.
        GENERALIZED_TIME => {
            clock.len().checked_sub(10).filter(|digits| (4..=9).contains(digits)).unwrap_or(4)
        }
        _ => return None,
    };
    let (year, rest) = clock.split_at_checked(year_digits)?;
    let mut year: i64 = year.parse().ok()?;
    if tag == UTC_TIME {
        year += if year < 50 { 2000 } else { 1900 };
    } else if year_digits > 4 {
        irregular = irregular.or(Some("its year has more than four digits"));
    }
    let two = |at: usize| rest.get(at..at + 2)?.parse::<i64>().ok();
    let second = if rest.len() == 8 {
        irregular = irregular.or(Some("it has no seconds"));
        0
    } else if rest.len() == 10 {
        two(8)?
    } else {
        return None;
    };
    let (month, day, hour, minute) = (two(0)?, two(2)?, two(4)?, two(6)?);
    let fits = (1..=12).contains(&month)
        && (1..=month_days(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !fits {
        return None;
    }
    let seconds = days(year, month, day) * DAY + hour * 3_600 + minute * 60 + second - offset;
    Some((seconds, irregular))
}

/// The text without its zone, the zone's seconds east of UTC, and what is irregular about it.
fn zone(text: &str) -> Option<(&str, i64, Option<&'static str>)> {
    if let Some(clock) = text.strip_suffix('Z') {
        return Some((clock, 0, None));
    }
    let Some(at) = text.find(['+', '-']) else {
        return Some((text, 0, Some("it has no time zone; read as UTC")));
    };
    let (clock, offset) = text.split_at(at);
    let digits = offset.get(1..)?;
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = (digits.get(..2)?.parse::<i64>().ok()?, digits.get(2..)?.parse::<i64>().ok()?);
    let east = hours * 3_600 + minutes * 60;
    let east = if offset.starts_with('-') { -east } else { east };
    Some((clock, east, Some("its time zone is not Z")))
}

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar; the year may have up to nine
/// digits.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The reverse of [`days`].
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

fn written(seconds: i64) -> String {
    let (year, month, day) = date(seconds.div_euclid(DAY));
    let of_day = seconds.rem_euclid(DAY);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tag: u8, text: &str) -> Moment {
        Moment::read(&Element { tag, value: text.as_bytes(), whole: &[] })
    }

    #[test]
    fn no_date_is_too_old_or_too_far_away_to_be_read() {
        for (tag, text, shown, seconds) in [
            (UTC_TIME, "500101000000Z", "1950-01-01T00:00:00Z", -631_152_000),
            (UTC_TIME, "491231235959Z", "2049-12-31T23:59:59Z", 2_524_607_999),
            (GENERALIZED_TIME, "99991231235959Z", "9999-12-31T23:59:59Z", 253_402_300_799),
            (GENERALIZED_TIME, "00010101000000Z", "0001-01-01T00:00:00Z", -62_135_596_800),
            (GENERALIZED_TIME, "120000101000000Z", "12000-01-01T00:00:00Z", 316_516_204_800),
            (GENERALIZED_TIME, "20240229120000Z", "2024-02-29T12:00:00Z", 1_709_208_000),
        ] {
            let moment = read(tag, text);
            assert_eq!((moment.to_string().as_str(), moment.seconds), (shown, Some(seconds)), "{text}");
        }
    }

    #[test]
    fn a_missing_zone_is_told_and_not_fatal() {
        let moment = read(UTC_TIME, "240101000000");
        assert_eq!(moment.to_string(), "2024-01-01T00:00:00Z");
        assert!(moment.irregular.unwrap().contains("no time zone"));
        assert_eq!(read(UTC_TIME, "240101010000+0100").to_string(), "2024-01-01T00:00:00Z");
        assert_eq!(read(UTC_TIME, "2401010000Z").irregular, Some("it has no seconds"));
        assert_eq!(read(UTC_TIME, "240101000000Z").irregular, None);
        assert!(read(GENERALIZED_TIME, "20240101000000Z").irregular.is_some());
    }

    #[test]
    fn what_is_no_time_keeps_its_bytes_for_people() {
        for text in ["", "Z", "241301000000Z", "240230000000Z", "24010100000\u{e9}Z", "+", "2401010000001Z"] {
            let moment = read(UTC_TIME, text);
            assert_eq!(moment.seconds, None, "{text:?}");
            assert_eq!(moment.to_string(), text.as_bytes().escape_ascii().to_string());
        }
    }
}
