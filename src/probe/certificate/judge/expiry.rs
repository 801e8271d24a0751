//! Expiry by share of lifetime: a fixed number of days says nothing of certificates that live six
//! days or 47.

use super::docs;
use super::fault::Fault;
use super::rules::span;
use crate::formats::x509::Certificate;
use crate::model::Severity;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
/// Certificates of at most this lifetime are "short-lived" (CA/Browser Forum BR 1.6.1): they are
/// renewed every few days, and told of in their last day alone.
pub const SHORT_LIVED: i64 = 10 * DAY;

/// How urgent what is left of a lifetime is, both in seconds; `None` while all is well, and after the
/// end, which is another finding.
pub fn urgency(left: i64, lifetime: i64) -> Option<Severity> {
    if left < 0 || lifetime <= 0 {
        return None;
    }
    if lifetime <= SHORT_LIVED {
        // A certificate that lives a day is renewed within it.
        return (left < DAY.min(lifetime / 3)).then_some(Severity::Critical);
    }
    if left < DAY.max(lifetime / 20) {
        Some(Severity::Critical)
    } else if left < lifetime / 6 {
        Some(Severity::Error)
    } else if left < lifetime / 3 {
        Some(Severity::Warning)
    } else {
        None
    }
}

/// The certificates of a path, leaf first, that run out soon. An authority's is measured by the
/// leaf's lifetime: it is replaced with the leaf, and must outlive that renewal; by its own of ten
/// years it would be told of for years.
pub fn faults(path: &[&Certificate], at: i64) -> Vec<Fault> {
    let Some(of_leaf) = path.first().and_then(|leaf| leaf.lifetime()) else {
        return Vec::new();
    };
    let of = |(position, certificate): (usize, &&Certificate)| {
        let until = certificate.not_after.seconds?;
        let lifetime = certificate.lifetime()?.min(of_leaf);
        let severity = urgency(until.checked_sub(at)?, lifetime)?;
        let share = certificate.share_left(at)? * 100.0;
        let summary = format!(
            "expires in {}, at {} ({share:.0} % of its lifetime left)",
            span(until, Some(at)),
            certificate.not_after
        );
        Some(Fault { severity, ..Fault::note(&docs::EXPIRING, position, summary) })
    };
    path.iter().enumerate().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Severity::{Critical, Error, Warning};

    #[test]
    fn the_share_decides_and_not_a_number_of_days() {
        for (days, left, expected) in [
            (90, 31, None),
            (90, 29, Some(Warning)),
            (90, 14, Some(Error)),
            (90, 4, Some(Critical)),
            (47, 16, None),
            (47, 15, Some(Warning)),
            (47, 7, Some(Error)),
            (398, 133, None),
            (398, 132, Some(Warning)),
            (398, 60, Some(Error)),
            (398, 19, Some(Critical)),
        ] {
            assert_eq!(urgency(left * DAY, days * DAY), expected, "{left} of {days} days");
        }
    }

    #[test]
    fn a_short_lived_certificate_is_told_of_in_its_last_day_alone() {
        assert_eq!(urgency(DAY, 6 * DAY), None);
        assert_eq!(urgency(DAY - 1, 6 * DAY), Some(Critical));
        assert_eq!(urgency(20 * HOUR, DAY), None);
        assert_eq!(urgency(7 * HOUR, DAY), Some(Critical));
    }

    #[test]
    fn what_has_ended_is_not_also_about_to_end() {
        assert_eq!(urgency(-1, 90 * DAY), None);
        assert_eq!(urgency(0, 90 * DAY), Some(Critical));
    }
}
