//! Figures over time: percentiles of durations, uptime and coverage, what is clear and what is chance.
//!
//! Pure: results and instants go in, figures come out. [`samples`] says what of a run counts,
//! [`sketch`] keeps many durations small, [`uptime`] weighs verdicts by time, [`rollup`] folds both
//! into hours and days, [`chance`] says when a budget is exceeded beyond doubt.

pub mod budget;
pub mod chance;
pub mod coverage;
pub mod objective;
pub mod recent;
pub mod rollup;
pub mod samples;
pub mod sketch;
pub mod track;
pub mod uptime;
pub mod window;
