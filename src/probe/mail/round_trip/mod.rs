//! A real message: what a receiver reads of it, and whether its signatures hold.

pub mod message;
pub mod signatures;
pub mod spec;

#[cfg(test)]
mod tests;
