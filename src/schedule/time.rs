//! The scheduler's own time: the wall clock's at the start, monotonic from there, and running on
//! while the host is suspended.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::due::Tick;
use crate::clock::Clock;

/// Tells for how long the host has been suspended since it booted.
pub type Suspended = Box<dyn Fn() -> Duration + Send + Sync>;

/// The kernel's account of it: `CLOCK_BOOTTIME` runs through a suspend, `CLOCK_MONOTONIC` stops.
pub fn suspended_by_kernel() -> Suspended {
    Box::new(|| {
        let read = |clock| {
            let time = rustix::time::clock_gettime(clock);
            Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
        };
        let monotonic = read(rustix::time::ClockId::Monotonic);
        let gap = read(rustix::time::ClockId::Boottime).saturating_sub(monotonic);
        // The two readings are not one instant; less than a second between them is no suspend.
        if gap < Duration::from_secs(1) { Duration::ZERO } else { gap }
    })
}

/// The scheduler's time.
pub struct Time {
    start: Instant,
    start_tick: Tick,
    suspended: Suspended,
    suspended_at_start: Duration,
}

impl Time {
    /// Starts now.
    pub fn start(clock: &dyn Clock, suspended: Suspended) -> Self {
        let suspended_at_start = suspended();
        Self {
            start: Instant::now(),
            start_tick: u64::try_from(clock.now().as_millisecond()).unwrap_or(0),
            suspended,
            suspended_at_start,
        }
    }

    fn slept(&self) -> u64 {
        let slept = (self.suspended)().saturating_sub(self.suspended_at_start);
        // A pause shorter than this is noise of the two clocks.
        if slept < Duration::from_secs(2) { 0 } else { super::due::millis(slept) }
    }

    /// The present tick.
    pub fn now(&self) -> Tick {
        let running = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.start_tick.saturating_add(running).saturating_add(self.slept())
    }

    /// The instant at which `tick` comes, if the host is not suspended until then.
    pub fn instant(&self, tick: Tick) -> Instant {
        let ahead = tick.saturating_sub(self.start_tick).saturating_sub(self.slept());
        self.start + Duration::from_millis(ahead)
    }

    /// The tick that comes as long after now as `at` comes after `wall_now`.
    pub fn tick_of(&self, at: Timestamp, wall_now: Timestamp) -> Tick {
        let ahead = at.duration_since(wall_now).as_millis();
        self.now().saturating_add(u64::try_from(ahead).unwrap_or(0))
    }
}

/// A tick as an instant to store.
pub fn timestamp(tick: Tick) -> Timestamp {
    i64::try_from(tick)
        .ok()
        .and_then(|millis| Timestamp::from_millisecond(millis).ok())
        .unwrap_or(Timestamp::MAX)
}
