//! The `journey` kind: a real identity signs in, looks, writes one thing and reads it back.

pub mod template;
