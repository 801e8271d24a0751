//! Label matchers, Alertmanager's way: `team="ops"`, `portal!="lab"`, `team=~"ops|web"`.

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
