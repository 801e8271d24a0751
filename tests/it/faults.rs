//! Our own faults are never the target's downtime, and are told once.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and their peers speak to the daemon directly"
)]

pub mod bench;
mod disk;
mod dns;
mod end;
mod hook;
mod ledger;
mod locked;
mod machine;
mod resolver;
