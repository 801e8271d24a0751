//! Figures over time.

pub mod coverage;
