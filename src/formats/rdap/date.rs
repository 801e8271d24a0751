//! Dates of events: RFC 3339, and what servers write instead.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// Reads a date. Without an offset it is UTC, without a time the day's beginning.
pub(super) fn read(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    // No date is longer; what is, is not worth a look.
    if text.len() > 64 {
        return None;
    }
    let civil = || {
        let time = text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(DateTime::from)).ok()?;
        time.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    };
    text.parse::<Timestamp>().ok().or_else(civil)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_the_same_instant_however_it_is_written() {
        let noon: Timestamp = "2027-08-13T12:00:00Z".parse().unwrap();
        for text in [
            "2027-08-13T12:00:00Z",
            "2027-08-13T14:00:00+02:00",
            "2027-08-13T04:00:00.000-0800",
            "2027-08-13T12:00:00.0Z",
            " 2027-08-13t12:00:00z ",
            "2027-08-13T12:00:00",
            "2027-08-13 12:00:00",
        ] {
            assert_eq!(read(text), Some(noon), "{text}");
        }
        assert_eq!(read("2027-08-13").map(|date| date.to_string()), Some("2027-08-13T00:00:00Z".into()));
    }

    #[test]
    fn what_is_no_date_is_none() {
        let long = "2027-08-13T12:00:00Z".repeat(1000);
        for text in ["", "never", "13.08.2027", "2027-13-01", "0000-00-00T00:00:00Z", &long] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
