//! The integration tests: one binary, against real peers on loopback.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod contracts;
mod layers;
mod peers;
mod plans;
mod resume;
mod telling;
