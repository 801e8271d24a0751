//! What sets of values are against what they should be. A thing that is watched (a record set, the
//! addresses behind an include) is a set of texts in canonical form; an empty one is "does not exist".

mod expectation;

pub use self::expectation::{Expectation, Unexpected};
