//! One thing seen about one subject, and what is documented about it.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The stable name of a kind of finding, such as `http.status`. Documented by a [`FindingDoc`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FindingId(Cow<'static, str>);

impl FindingId {
    /// Names a finding of the catalogue.
    pub const fn new(id: &'static str) -> Self {
        Self(Cow::Borrowed(id))
    }

    /// The name, as `explain` takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&'static str> for FindingId {
    fn from(id: &'static str) -> Self {
        Self::new(id)
    }
}

/// How bad a finding is. Ordered: `Info < Notice < Warning < Error < Critical`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing, nothing to do.
    Info,
    /// Worth tidying up.
    Notice,
    /// Will hurt if left alone.
    Warning,
    /// Hurts some users or soon all.
    Error,
    /// Hurts now or very soon.
    Critical,
}

impl Severity {
    /// The lower-case name, as in JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing seen about one subject (an address, a host, a record, a step).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What kind of thing.
    pub id: FindingId,
    /// What it is about. With `id` it is the key under which an incident holds the finding, so it
    /// must not change from run to run while the thing stays the same.
    pub subject: String,
    /// How bad it is.
    pub severity: Severity,
    /// Users cannot do the thing now.
    pub broken: bool,
    /// False for a row that could not be measured; such a finding neither opens nor closes.
    pub measured: bool,
    /// One line for people: what was seen, with the figures.
    pub summary: String,
    /// The facts the summary rests on, masked and without bodies.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub evidence: Map<String, Value>,
    /// The clause that makes this a finding, such as `RFC 9110 section 15.6`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Cow<'static, str>>,
}

impl Finding {
    /// The key of evidence that [`Finding::transcript`] reads.
    pub const TRANSCRIPT: &'static str = "transcript";
    /// The key of evidence whose lines say what is gone (`- `) and what is there instead (`+ `).
    pub const DIFF: &'static str = "diff";
    /// The key of evidence whose lines say who sees what.
    pub const VANTAGES: &'static str = "vantages";

    /// A measured finding with the severity, `broken` and reference its documentation states.
    pub fn of(doc: &'static FindingDoc, subject: impl Into<String>, summary: impl Into<String>) -> Self {
        Self {
            id: FindingId::new(doc.id),
            subject: subject.into(),
            severity: doc.severity,
            broken: doc.broken,
            measured: true,
            summary: summary.into(),
            evidence: Map::new(),
            reference: doc.reference.map(Cow::Borrowed),
        }
    }

    /// Adds one fact the summary rests on.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.evidence.insert(key.to_owned(), value.into());
        self
    }

    /// What was sent (`> `), what came (`< `) and a command that repeats it (`$ `), a line each, where
    /// the evidence holds them.
    pub fn transcript(&self) -> impl Iterator<Item = &str> {
        self.lines(Self::TRANSCRIPT)
    }

    /// The lines that the evidence holds under a key.
    pub fn lines(&self, key: &str) -> impl Iterator<Item = &str> {
        let lines = self.evidence.get(key).and_then(Value::as_array);
        lines.into_iter().flatten().filter_map(Value::as_str)
    }

    /// The key under which an incident holds this finding.
    pub fn key(&self) -> (&str, &str) {
        (self.id.as_str(), &self.subject)
    }

    /// Whether it pages: measured, and of severity warning or worse or broken.
    pub fn alerts(&self) -> bool {
        self.measured && (self.broken || self.severity >= Severity::Warning)
    }
}

/// How many results in a row confirm a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirm {
    /// Bad results in a row that open.
    pub failures: u32,
    /// Good results in a row that close.
    pub successes: u32,
    /// From the end of a bad result to the next run while not confirmed; `None` keeps the normal
    /// interval.
    pub recheck: Option<Duration>,
}

/// The documentation of a kind of finding; `portalwatch explain ID` prints it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FindingDoc {
    /// Stable name, `family.thing`.
    pub id: &'static str,
    /// Usual severity.
    pub severity: Severity,
    /// Whether users usually cannot do the thing now.
    pub broken: bool,
    /// What it means, one or two sentences.
    pub meaning: &'static str,
    /// Why it matters to users.
    pub why: &'static str,
    /// How to fix it.
    pub fix: &'static str,
    /// The clause behind it, if there is one.
    pub reference: Option<&'static str>,
    /// Confirmation, where it differs from the kind's.
    pub confirm: Option<Confirm>,
}

/// The documentation of a finding with a clause behind it: what it means, why it
/// matters, how to fix it.
pub const fn doc(
    id: &'static str,
    severity: Severity,
    broken: bool,
    [meaning, why, fix]: [&'static str; 3],
    reference: &'static str,
) -> FindingDoc {
    FindingDoc { id, severity, broken, meaning, why, fix, reference: Some(reference), confirm: None }
}

/// The same of one that cuts nobody off.
pub const fn remark(
    id: &'static str,
    severity: Severity,
    texts: [&'static str; 3],
    reference: &'static str,
) -> FindingDoc {
    doc(id, severity, false, texts, reference)
}

/// How many documentations several lists hold in all.
pub const fn count(lists: &[&[FindingDoc]]) -> usize {
    let (mut all, mut list) = (0, 0);
    while list < lists.len() {
        all += lists[list].len();
        list += 1;
    }
    all
}

/// Several lists as one, in their order, while compiling. `N` is their [`count`].
pub const fn join<const N: usize>(lists: &[&[FindingDoc]]) -> [FindingDoc; N] {
    const NONE: FindingDoc = FindingDoc {
        id: "",
        severity: Severity::Info,
        broken: false,
        meaning: "",
        why: "",
        fix: "",
        reference: None,
        confirm: None,
    };
    let mut all = [NONE; N];
    let (mut at, mut list) = (0, 0);
    while list < lists.len() {
        let mut one = 0;
        while one < lists[list].len() {
            all[at] = lists[list][one];
            (at, one) = (at + 1, one + 1);
        }
        list += 1;
    }
    all
}
