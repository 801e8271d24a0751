//! The config language: from YAML files and the environment to [`Settings`], with every fault
//! reported at once. What a check's kind or a channel means by its own keys is left as raw,
//! positioned subtrees: the plan reads those.
//!
//! This is the only module that reads the environment and secret files.

pub mod settings;

pub use settings::Settings;
