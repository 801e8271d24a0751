//! The policy file (RFC 8461 section 3.2).

use super::VERSION;
use crate::formats::Fault;
use crate::formats::tag_list::trimmed;

/// What senders do if no host can be verified (section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They do not deliver.
    Enforce,
    /// They deliver and report.
    Testing,
    /// As if there were no policy.
    None,
}

impl Mode {
    /// As in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        }
    }
}

/// What is worth a remark though senders cope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// A key stands there again; the first one counts.
    Again(String),
    /// A key that the standard does not know.
    Unknown(String),
}

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What senders do.
    pub mode: Mode,
    /// Names of mail exchanges, in lower case; `*.` stands for exactly one label.
    pub mx: Vec<String>,
    /// How long senders keep it, in seconds.
    pub max_age: u64,
    /// Keys of later versions.
    pub extensions: Vec<(String, String)>,
    /// What is worth a remark.
    pub remarks: Vec<Remark>,
}

/// The longest that a policy may be kept, in seconds: a year.
const LONGEST: u64 = 31_557_600;

impl Policy {
    /// Reads a file; lines end with CRLF or LF.
    ///
    /// # Errors
    /// The first thing that is wrong; senders take such a policy for none.
    pub fn parse(body: &str) -> Result<Self, Fault> {
        let (mut version, mut mode, mut max_age) = (None, None, None);
        let (mut mx, mut extensions, mut remarks) = (Vec::new(), Vec::new(), Vec::new());
        let mut at = 0;
        for line in body.split('\n') {
            let begin = at;
            at += line.len() + 1;
            let (begin, line) = trimmed(begin, line);
            if line.is_empty() {
                continue;
            }
            let Some((key, value)) = line.split_once(':') else {
                return Err(Fault::new(begin, format!("{line:?} has no colon; write key: value")));
            };
            let (value_at, value) = trimmed(begin + key.len() + 1, value);
            let again = match key {
                "version" => !first(&mut version, value.to_owned()),
                "mode" => !first(&mut mode, (value_at, value)),
                "max_age" => !first(&mut max_age, (value_at, value)),
                "mx" => {
                    mx.push(pattern(value_at, value)?);
                    false
                }
                _ => {
                    extensions.push(other(begin, key, value_at, value)?);
                    remarks.push(Remark::Unknown(key.to_owned()));
                    false
                }
            };
            if again {
                remarks.push(Remark::Again(key.to_owned()));
            }
        }
        let end = body.len();
        match version.as_deref() {
            Some(VERSION) => {}
            Some(other) => return Err(Fault::new(0, format!("version {other:?} is not STSv1"))),
            None => return Err(Fault::new(end, "version is missing; write version: STSv1")),
        }
        let mode = match mode {
            Some((_, "enforce")) => Mode::Enforce,
            Some((_, "testing")) => Mode::Testing,
            Some((_, "none")) => Mode::None,
            Some((at, other)) => {
                return Err(Fault::new(at, format!("mode {other:?} is not enforce, testing or none")));
            }
            None => return Err(Fault::new(end, "mode is missing; write mode: testing")),
        };
        let (age_at, age) =
            max_age.ok_or_else(|| Fault::new(end, "max_age is missing; write max_age: 1209600"))?;
        let digits = !age.is_empty() && age.len() <= 10 && age.bytes().all(|byte| byte.is_ascii_digit());
        let max_age = age.parse().ok().filter(|age| digits && *age <= LONGEST).ok_or_else(|| {
            Fault::new(age_at, format!("max_age {age:?} is no number of seconds up to {LONGEST}"))
        })?;
        if mx.is_empty() && mode != Mode::None {
            return Err(Fault::new(end, "no mx; write one for each mail exchange"));
        }
        Ok(Self { mode, mx, max_age, extensions, remarks })
    }
}

/// Whether it is the first.
fn first<T>(slot: &mut Option<T>, value: T) -> bool {
    let empty = slot.is_none();
    slot.get_or_insert(value);
    empty
}

fn pattern(at: usize, text: &str) -> Result<String, Fault> {
    let domain = text.strip_prefix("*.").unwrap_or(text);
    let label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let ends = label.starts_with('-') || label.ends_with('-');
        !label.is_empty() && label.len() <= 63 && label.bytes().all(plain) && !ends
    };
    if domain.split('.').all(label) {
        return Ok(text.to_ascii_lowercase());
    }
    let why = format!("mx {text:?} is no name of a host, with *. at most before it, as A-labels");
    Err(Fault::new(at, why))
}

fn other(at: usize, key: &str, value_at: usize, value: &str) -> Result<(String, String), Fault> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let named = key.starts_with(|first: char| first.is_ascii_alphanumeric()) && key.bytes().all(plain);
    if !named || key.len() > 32 {
        return Err(Fault::new(at, format!("{key:?} is no key; it has 1 to 32 letters and digits")));
    }
    if value.is_empty() {
        return Err(Fault::new(value_at, format!("{key} has no value")));
    }
    if let Some((offset, _)) = value.char_indices().find(|(_, char)| char.is_control()) {
        return Err(Fault::new(value_at + offset, format!("the value of {key} holds a control character")));
    }
    Ok((key.to_owned(), value.to_owned()))
}

/// Whether a mail exchange is one of those of a policy (section 4.1).
pub fn matches(host: &str, patterns: &[String]) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    patterns.iter().any(|pattern| match pattern.strip_prefix("*.") {
        Some(domain) => host.split_once('.').is_some_and(|(first, rest)| !first.is_empty() && rest == domain),
        None => host == *pattern,
    })
}
