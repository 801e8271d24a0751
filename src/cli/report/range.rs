//! From when until when a report goes, as it is written.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use crate::model::HumanDuration;

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// From when.
    pub from: Timestamp,
    /// Until when, at most now.
    pub to: Timestamp,
}

impl Range {
    /// What the arguments say. Days and months are those of `zone`.
    pub fn of(
        since: &str,
        until: Option<&str>,
        month: Option<&str>,
        now: Timestamp,
        zone: &TimeZone,
    ) -> Result<Self, String> {
        let (from, to) = match month {
            Some(month) => of_month(month, zone)?,
            None => {
                let to = until.map(|until| instant("--until", until, now, zone)).transpose()?;
                (instant("--since", since, now, zone)?, to.unwrap_or(now))
            }
        };
        let told = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S%:z").to_string();
        if from >= now {
            return Err(format!("{} lies in the future; begin earlier", told(from)));
        }
        if from >= to {
            return Err(format!("nothing lies between {} and {}; begin earlier", told(from), told(to)));
        }
        Ok(Self { from, to: to.min(now) })
    }
}

/// The zone that `--timezone` names, or the usual one.
pub fn zone(named: Option<&str>, usual: &TimeZone) -> Result<TimeZone, String> {
    let Some(name) = named else { return Ok(usual.clone()) };
    let missing = |_| format!("--timezone {name}: no such time zone; write one such as Europe/Amsterdam");
    TimeZone::get(name).map_err(missing)
}

fn of_month(text: &str, zone: &TimeZone) -> Result<(Timestamp, Timestamp), String> {
    let bad = || format!("--month {text}: write a year and a month, as in 2026-10");
    let first: Date = format!("{text}-01").parse().map_err(|_| bad())?;
    let next = first.checked_add(1.months()).map_err(|_| bad())?;
    Ok((day(first, zone).ok_or_else(bad)?, day(next, zone).ok_or_else(bad)?))
}

fn day(date: Date, zone: &TimeZone) -> Option<Timestamp> {
    Some(date.to_zoned(zone.clone()).ok()?.timestamp())
}

/// The beginnings of the calendar months that `to` and the `before` months before it lie in, and the
/// beginning of the month after.
pub fn months(to: Timestamp, before: i64, zone: &TimeZone) -> Vec<Timestamp> {
    let this = to.to_zoned(zone.clone()).date().first_of_month();
    let month = |offset: i64| day(this.checked_add(offset.months()).ok()?, zone);
    (-before..=1).filter_map(month).collect()
}

fn instant(argument: &str, text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    // A day is its midnight.
    if let Ok(local) = text.parse::<DateTime>()
        && let Ok(at) = local.to_zoned(zone.clone())
    {
        return Ok(at.timestamp());
    }
    let looks_like_a_day =
        text.get(4..5) == Some("-") && text.starts_with(|first: char| first.is_ascii_digit());
    let why = match text.parse::<HumanDuration>() {
        Ok(HumanDuration(back)) => match now.checked_sub(back) {
            Ok(at) => return Ok(at),
            Err(_) => "that is before all time".to_owned(),
        },
        Err(_) if looks_like_a_day => "there is no such day or time".to_owned(),
        Err(why) => why.to_string(),
    };
    Err(format!(
        "{argument} {text}: {why}; write a duration back from now (30d), a day (2026-10-01), a time of the zone \
         (2026-10-01T12:00) or an instant (2026-10-01T12:00:00+02:00)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(since: &str, until: Option<&str>, month: Option<&str>) -> Result<(String, String), String> {
        let zone = TimeZone::get("Europe/Amsterdam").unwrap();
        let now = "2026-11-30T12:00:00Z".parse().unwrap();
        Range::of(since, until, month, now, &zone).map(|range| (range.from.to_string(), range.to.to_string()))
    }

    #[test]
    fn days_and_months_are_those_of_the_zone() {
        let told = |from: &str, to: &str| Ok((from.to_owned(), to.to_owned()));
        assert_eq!(of("30d", None, None), told("2026-10-31T12:00:00Z", "2026-11-30T12:00:00Z"));
        assert_eq!(of("", None, Some("2026-10")), told("2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"));
        assert_eq!(of("", None, Some("2026-11")), told("2026-10-31T23:00:00Z", "2026-11-30T12:00:00Z"));
        assert_eq!(
            of("2026-11-01", Some("2026-11-02"), None),
            told("2026-10-31T23:00:00Z", "2026-11-01T23:00:00Z")
        );
        let evening = told("2026-11-29T22:00:00Z", "2026-11-30T12:00:00Z");
        for written in
            ["2026-11-29T23:00", "2026-11-29 23:00", "2026-11-29 23:00:00+01:00", "2026-11-29T22:00:00Z"]
        {
            assert_eq!(of(written, None, None), evening, "{written}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_the_way_out() {
        for (since, until, month) in [
            ("yesterday", None, None),
            ("30d", Some("never"), None),
            ("30d", None, Some("2026-13")),
            ("30d", None, Some("October")),
            ("2027-01-01", None, None),
            ("2026-11-30", Some("2026-11-29"), None),
        ] {
            let refused = of(since, until, month).unwrap_err();
            assert!(refused.contains("write") || refused.contains("begin earlier"), "{refused}");
        }
        let why = |since: &str| of(since, None, None).unwrap_err();
        assert!(why("2026-11-31").contains("no such day"), "{}", why("2026-11-31"));
        assert!(why("2027-01-01").starts_with("2027-01-01 00:00:00+01:00 lies in the future"));
    }

    #[test]
    fn months_follow_each_other() {
        let zone = TimeZone::get("Europe/Amsterdam").unwrap();
        let months = months("2026-11-30T12:00:00Z".parse().unwrap(), 2, &zone);
        let told: Vec<String> = months.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            ["2026-08-31T22:00:00Z", "2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z", "2026-11-30T23:00:00Z"]
        );
    }
}
