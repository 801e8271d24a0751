//! When a check is due: pure, in milliseconds of the scheduler's own time.
//!
//! # The rules
//! - The scheduler's time starts at the wall clock's and then follows the monotonic clock, so a step
//!   of the wall clock moves no due time.
//! - Every check has a grid: the instants whose remainder by `every` is the check's phase. The phase
//!   is a hash of the check's name, so starts are spread, and the grid is the same after a restart.
//!   Due times are absolute: how long a run takes moves none of them.
//! - After start each check first runs within `min(every, 30 s)`, spread by the same hash, and joins
//!   its grid from there: at the first point at least half an interval away.
//! - A due time noticed too late ([`TOO_LATE`]: the host was suspended, the process stopped) is not
//!   made up in a burst. Checks of a minute or less go on at their next grid point, and what was
//!   passed over is counted as missed; slower checks run once, spread over 30 s.

use std::time::Duration;

/// Milliseconds of the scheduler's time: since the Unix epoch, as of the start, then monotonic.
pub type Tick = u64;

/// The longest wait of a check's first run, and the spread after a standstill.
pub const FIRST_WITHIN: Duration = Duration::from_secs(30);

/// Lateness beyond which a due time counts as noticed too late, in milliseconds.
pub const TOO_LATE: u64 = 5_000;

/// Checks up to this interval wait for their next grid point after a standstill, in milliseconds.
const SHORT_INTERVAL: u64 = 60_000;

/// A stable hash of a check's name (FNV-1a, 64 bit): the same in every version and on every host.
pub fn hash(name: &str) -> u64 {
    let fnv = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // FNV's low bits of names that differ in the last letter are close; finish as MurmurHash3 does.
    let mixed = (fnv ^ (fnv >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 33)
}

/// An interval in milliseconds, at least one.
pub fn millis(interval: Duration) -> u64 {
    u64::try_from(interval.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// The first due time of a check that the scheduler learns of at `now`.
pub fn first(hash: u64, every: Duration, now: Tick) -> Tick {
    now + hash % millis(every.min(FIRST_WITHIN))
}

/// The first grid point after `after`.
pub fn grid_after(hash: u64, every: Duration, after: Tick) -> Tick {
    let every = millis(every);
    let phase = hash % every;
    let passed = (after + every - phase) / every;
    passed * every + phase
}

/// The due time after the one at `due`, for a run that started at `now` in good time.
pub fn next(hash: u64, every: Duration, due: Tick, now: Tick) -> Tick {
    let half = millis(every) / 2;
    grid_after(hash, every, (due + half).max(now))
}

/// What becomes of a due time that is noticed at `now`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noticed {
    /// In good time: run now.
    Run,
    /// Too late: due again at `again`; `missed` due times have no run.
    Missed {
        /// The new due time.
        again: Tick,
        /// How many due times have no run.
        missed: u64,
    },
}

/// Decides what becomes of the due time `due`, noticed at `now`.
pub fn notice(hash: u64, every: Duration, due: Tick, now: Tick) -> Noticed {
    if now.saturating_sub(due) <= TOO_LATE {
        return Noticed::Run;
    }
    let interval = millis(every);
    let passed = (now - due) / interval;
    if interval <= SHORT_INTERVAL {
        Noticed::Missed { again: grid_after(hash, every, now), missed: passed + 1 }
    } else {
        Noticed::Missed { again: now + hash % millis(FIRST_WITHIN), missed: passed }
    }
}

/// Moves a due time by up to `jitter` either way, by a hash of the check and the due time.
pub fn jittered(hash: u64, jitter: Duration, due: Tick) -> Tick {
    if jitter.is_zero() {
        return due;
    }
    let jitter = millis(jitter);
    let mixed = (hash ^ due).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (due + (mixed ^ (mixed >> 29)) % (2 * jitter + 1)).saturating_sub(jitter)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn an_interval_stays_an_interval_whatever_a_run_takes() {
        let hash = hash("acme/health");
        let mut due = grid_after(hash, MINUTE, 1_000_000);
        for late in [0, 3, 900, 4_999] {
            let after = next(hash, MINUTE, due, due + late);
            assert_eq!(after - due, 60_000);
            due = after;
        }
    }

    #[test]
    fn a_standstill_is_missed_and_makes_no_burst() {
        let hash = hash("acme/health");
        let due = grid_after(hash, MINUTE, 1_000_000);
        let now = due + 10 * 60_000 + 1_000;
        let Noticed::Missed { again, missed } = notice(hash, MINUTE, due, now) else {
            panic!("ran in a burst")
        };
        assert_eq!(missed, 11);
        assert!(again > now && again <= now + 60_000);
    }

    #[test]
    fn a_slow_check_is_made_up_once_after_a_standstill() {
        let every = Duration::from_secs(12 * 3_600);
        let hash = hash("acme/registration");
        let due = grid_after(hash, every, 1_000_000_000);
        let Noticed::Missed { again, missed } = notice(hash, every, due, due + 10_000) else { panic!() };
        assert_eq!(missed, 0);
        assert!(again <= due + 10_000 + 30_000);
    }

    #[test]
    fn a_thousand_checks_do_not_fire_together() {
        let mut per_second = [0_u32; 60];
        for index in 0..6_000 {
            let due = grid_after(hash(&format!("portal/check-{index}")), MINUTE, 0);
            per_second[usize::try_from(due / 1_000 % 60).unwrap()] += 1;
        }
        assert!(per_second.iter().all(|count| (60..=140).contains(count)), "{per_second:?}");
    }

    proptest! {
        #[test]
        fn the_next_due_time_is_ahead_and_on_the_grid(
            name in "[a-z]{1,12}", seconds in 1_u64..100_000, now in 0_u64..4_000_000_000_000, late in 0_u64..TOO_LATE,
        ) {
            let (hash, every) = (hash(&name), Duration::from_secs(seconds));
            let due = first(hash, every, now);
            prop_assert!(due >= now && due <= now + 30_000);
            let after = next(hash, every, due, due + late);
            prop_assert!(after > due + late);
            prop_assert!(after - due <= millis(every) * 3 / 2 + TOO_LATE);
            prop_assert_eq!(after % millis(every), hash % millis(every));
        }

        #[test]
        fn jitter_keeps_its_bound(hash: u64, seconds in 0_u64..100, due in 1_000_000_u64..1_000_000_000) {
            let moved = jittered(hash, Duration::from_secs(seconds), due);
            prop_assert!(moved.abs_diff(due) <= seconds * 1_000);
        }
    }
}
