//! Whether a set of values is what it should be: [`expectation`] is what a config declares of it,
//! [`machine`] is what was seen of it over time against what a person approved, [`ttl`] is how long it may be kept, [`turns`] is for sets of
//! which every answer is a part.

pub mod decided;
pub mod expectation;
pub mod machine;
pub mod ttl;
pub mod turns;

pub use self::decided::{Announced, Decided};
pub use self::expectation::{Expectation, Unexpected};
pub use self::machine::{Changed, Given, Last, Policy, Poll, Stand, State, step};
pub use self::ttl::{Moved, Ttl};
