//! The `journey` kind: signs in with a real identity, looks at what it should see, writes one thing
//! and reads it back.

pub mod blocked;
pub mod capture;
mod form;
pub mod html;
mod sink;
mod source;
