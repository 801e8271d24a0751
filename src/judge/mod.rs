//! Judging texts, JSON values and status codes against what a config expects. Pure: nothing here
//! knows where a value came from.

mod body;
pub mod drift;
mod json;
mod status;
mod text;

use std::borrow::Cow;

pub use body::BodyRule;
pub(crate) use body::body_rule;
pub use json::{JsonPath, JsonRule, JsonRules};
pub use status::StatusSet;
pub(crate) use text::rule;
pub use text::{Pattern, TextRule, Texts};

/// Why an expectation is not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// It does not hold: which part of it, in words, such as `contains "ok"`.
    No(String),
    /// What was read does not suffice to tell: which part of it.
    Undecided(String),
}

/// At most this many bytes of a value are kept or shown.
pub const LONGEST_VALUE: usize = 256;

/// A body as text; what is no UTF-8 is replaced.
pub fn lossy(body: &[u8]) -> Cow<'_, str> {
    // Most bodies are UTF-8, and to know that is much cheaper than to look for what is not.
    std::str::from_utf8(body).map_or_else(|_| String::from_utf8_lossy(body), Cow::Borrowed)
}

/// The text, cut to [`LONGEST_VALUE`] bytes at a character.
pub fn clip(text: &str) -> String {
    if text.len() <= LONGEST_VALUE {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(LONGEST_VALUE - '…'.len_utf8());
    format!("{}…", text.get(..end).unwrap_or_default())
}
