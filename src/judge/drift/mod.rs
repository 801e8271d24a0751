//! Drift: what values are against what they should be. A thing that is watched (a record set, the
//! addresses behind an include) is a key and a set of texts in canonical form; an empty set is "does
//! not exist".
//!
//! [`Expectation`] is what a config declares. What nobody declared is learned: [`step`] is the machine
//! that learns, waits for a person's approval, confirms a change and tells alternation from drift.

mod expectation;
mod machine;

pub use self::expectation::{Expectation, Unexpected};
pub use self::machine::{Announced, Policy, Poll, Seen, Standing, State, step};
