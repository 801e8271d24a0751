//! Whatever happens to a run or to the portal in the middle of it, what a journey wrote is found,
//! removed and counted, and nothing else is.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod bounds;
mod crashes;
mod leftovers;
mod scene;
