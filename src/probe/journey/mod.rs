//! The `journey` kind: signs in with a real identity, looks at what it should see, writes one thing
//! and reads it back. Its pure pieces.

pub mod blocked;
pub mod capture;
pub mod cookies;
mod form;
pub mod html;
pub mod session;
mod sink;
mod source;
pub mod template;
