//! Label matchers, Alertmanager's way: `team="ops"`, `portal!="lab"`, `team=~"ops|web"`.

use std::fmt;
use std::str::FromStr;

use super::Labels;

/// One matcher over one label. A missing label is the empty string, as in Alertmanager.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// The label's name.
    pub label: String,
    /// What its value must be.
    pub test: Test,
}

/// What a matcher asks of the label's value.
#[derive(Clone, Debug)]
pub enum Test {
    /// `=`
    Equal(String),
    /// `!=`
    NotEqual(String),
    /// `=~`, anchored at both ends.
    Matches(regex::Regex),
    /// `!~`, anchored at both ends.
    MatchesNot(regex::Regex),
}

/// Why a text is no matcher.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatcherError {
    /// No operator, or none known.
    #[error(
        "{0:?} is not a matcher; write a label, one of = != =~ !~ and a value, as in team=\"ops\" or team=~\"ops|web\""
    )]
    Syntax(String),
    /// The name before the operator.
    #[error("{text:?}: {label:?} is not a label name; use letters, digits and _, not starting with a digit")]
    Label {
        /// The whole text.
        text: String,
        /// The name.
        label: String,
    },
    /// Quotes that do not pair, or an escape that does not exist.
    #[error("{0:?}: the value is not quoted correctly; close the quotes, and escape with \\\", \\\\ or \\n")]
    Quotes(String),
    /// The expression does not compile.
    #[error("{text:?}: the regular expression is not valid: {why}; correct it, or compare with = instead")]
    Regex {
        /// The whole text.
        text: String,
        /// The library's words, on one line.
        why: String,
    },
}

impl Matcher {
    /// `label="value"`.
    pub fn equal(label: impl Into<String>, value: impl Into<String>) -> Self {
        Self { label: label.into(), test: Test::Equal(value.into()) }
    }

    /// Whether the labels satisfy it.
    pub fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.label).map_or("", String::as_str);
        match &self.test {
            Test::Equal(wanted) => value == wanted,
            Test::NotEqual(wanted) => value != wanted,
            Test::Matches(regex) => regex.is_match(value),
            Test::MatchesNot(regex) => !regex.is_match(value),
        }
    }
}

/// The prefix and suffix that anchor an expression; taken off again for display.
const ANCHORS: (&str, &str) = ("^(?s:", ")$");

fn anchored(text: &str, pattern: &str) -> Result<regex::Regex, MatcherError> {
    let wrong = |error: regex::Error| MatcherError::Regex {
        text: text.to_owned(),
        why: error.to_string().split_whitespace().collect::<Vec<_>>().join(" "),
    };
    // Compiled alone first, so that `a)(b` cannot close the group that anchors it.
    regex::Regex::new(pattern).map_err(wrong)?;
    regex::Regex::new(&format!("{}{pattern}{}", ANCHORS.0, ANCHORS.1)).map_err(wrong)
}

fn unquoted(text: &str, value: &str) -> Result<String, MatcherError> {
    let wrong = || MatcherError::Quotes(text.to_owned());
    let Some(rest) = value.strip_prefix('"') else {
        return if value.contains('"') { Err(wrong()) } else { Ok(value.to_owned()) };
    };
    let mut out = String::with_capacity(rest.len());
    let mut chars = rest.chars();
    loop {
        match chars.next().ok_or_else(wrong)? {
            '"' => break,
            '\\' => match chars.next().ok_or_else(wrong)? {
                'n' => out.push('\n'),
                c @ ('"' | '\\') => out.push(c),
                // Alertmanager keeps an unknown escape as it stands, so that `\d` is an expression.
                c => out.extend(['\\', c]),
            },
            c => out.push(c),
        }
    }
    if chars.as_str().is_empty() { Ok(out) } else { Err(wrong()) }
}

impl FromStr for Matcher {
    type Err = MatcherError;

    fn from_str(text: &str) -> Result<Self, MatcherError> {
        let syntax = || MatcherError::Syntax(text.to_owned());
        let at = text.find(['=', '!']).ok_or_else(syntax)?;
        let (label, rest) = text.split_at(at);
        let label = label.trim();
        let first = label.chars().next().ok_or_else(syntax)?;
        if first.is_ascii_digit() || !label.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(MatcherError::Label { text: text.to_owned(), label: label.to_owned() });
        }
        let operator =
            ["=~", "!~", "!=", "="].into_iter().find(|op| rest.starts_with(op)).ok_or_else(syntax)?;
        let value = unquoted(text, rest[operator.len()..].trim())?;
        let test = match operator {
            "=~" => Test::Matches(anchored(text, &value)?),
            "!~" => Test::MatchesNot(anchored(text, &value)?),
            "!=" => Test::NotEqual(value),
            _ => Test::Equal(value),
        };
        Ok(Self { label: label.to_owned(), test })
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (operator, value) = match &self.test {
            Test::Equal(value) => ("=", value.as_str()),
            Test::NotEqual(value) => ("!=", value.as_str()),
            Test::Matches(regex) => ("=~", regex.as_str()),
            Test::MatchesNot(regex) => ("!~", regex.as_str()),
        };
        let bare = match &self.test {
            Test::Matches(_) | Test::MatchesNot(_) => {
                value.strip_prefix(ANCHORS.0).and_then(|v| v.strip_suffix(ANCHORS.1)).unwrap_or(value)
            }
            Test::Equal(_) | Test::NotEqual(_) => value,
        };
        let escaped = bare.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        write!(f, "{}{operator}\"{escaped}\"", self.label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn a_matcher_means_what_alertmanager_means() {
        let ops = labels(&[("team", "ops")]);
        for (text, wanted) in [
            (r#"team="ops""#, true),
            ("team=ops", true),
            (" team = ops ", true),
            ("team=op", false),
            ("team!=ops", false),
            ("team!=web", true),
            (r#"team=~"ops|web""#, true),
            ("team=~op", false),
            ("team=~o.*", true),
            ("team!~op", true),
            ("team!~ops", false),
            ("missing=", true),
            ("missing!=x", true),
        ] {
            assert_eq!(text.parse::<Matcher>().unwrap().matches(&ops), wanted, "{text}");
        }
    }

    #[test]
    fn a_displayed_matcher_reads_back_as_itself() {
        for text in [r#"a="x\"y\\z\n""#, r#"a=~"\d+|b""#, r#"a!~"x""#, "a!=b"] {
            let once = text.parse::<Matcher>().unwrap().to_string();
            assert_eq!(once.parse::<Matcher>().unwrap().to_string(), once, "{text}");
        }
    }

    #[test]
    fn a_wrong_matcher_is_named_with_the_way_out() {
        for (text, part) in [
            ("team", "is not a matcher"),
            ("=ops", "is not a matcher"),
            ("team!ops", "is not a matcher"),
            ("1a=b", "is not a label name"),
            (r#"a="b"#, "close the quotes"),
            (r#"a="b"c"#, "close the quotes"),
            ("a=~(", "regular expression"),
            ("a=~a)(b", "regular expression"),
        ] {
            let error = text.parse::<Matcher>().unwrap_err().to_string();
            assert!(error.contains(part) && error.contains(&format!("{text:?}")), "{text}: {error}");
        }
    }
}
