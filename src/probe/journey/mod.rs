//! The `journey` kind: a real identity signs in, sees what it should and writes one thing, as a
//! person with a browser would.

pub mod cookies;
pub mod session;
