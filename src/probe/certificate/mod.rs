//! Certificates: what is thought of a chain. No kind of check; it looks at nothing by itself.

pub mod judge;
