//! Checks of certificates as the daemon runs them, and chains of every bad sort as a person looks at
//! them.

mod bad_chains;
mod renewals;
mod series;
mod server;
