//! Deciding who is told what, as functions that cannot act: results go in, states, incidents and
//! outbox rows come out.

pub mod daemon;
pub mod machine;
pub mod outbox;
pub mod policy;
pub mod route;

pub use machine::{Effect, Event, Seen, State, step};
pub use policy::Policy;
pub use route::{Route, Told};
