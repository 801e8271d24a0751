//! What a person said a record set, or any other set of values, should be.

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::CheckId;

/// What a person decided about one thing that a check compares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// Which thing, as the check names it: `www.acme.example. A`.
    pub key: String,
    /// The values, sorted; none: it should not exist.
    pub values: Vec<String>,
    /// Whether it should be so, or must not.
    pub decision: Decision,
    /// Who said so.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why, as far as it was said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It is right as it is.
    Approved,
    /// These values are not to be learned or offered for approval again.
    Rejected,
}

impl std::str::FromStr for Decision {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "approved" => Ok(Self::Approved),
            "rejected" => Ok(Self::Rejected),
            _ => Err(format!("{word:?} is no decision; there are approved and rejected")),
        }
    }
}

/// What holds of decisions that stand in the order in which they were made: of each key the last
/// approval, unless its values were rejected since, and every rejection that no approval of the same
/// values lifted.
pub fn holding(decisions: impl IntoIterator<Item = Baseline>) -> Vec<Baseline> {
    let mut holding: Vec<Baseline> = Vec::new();
    for decision in decisions {
        let approves = decision.decision == Decision::Approved;
        holding.retain(|before| {
            let replaced = approves && before.decision == Decision::Approved;
            before.key != decision.key || !(replaced || before.values == decision.values)
        });
        holding.push(decision);
    }
    holding
}

impl Decision {
    /// The word, as in the database and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }
}

/// Why baselines could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the baselines in {place} cannot be used: {why}")]
pub struct BaselineError {
    /// The file or server.
    pub place: String,
    /// What happened, and the way out.
    pub why: String,
}

/// Where decisions are kept. Read by runs, written by people through commands, also beside a running
/// daemon.
pub trait Baselines: Send + Sync {
    /// All that holds for a check ([`holding`]): at most one [`Decision::Approved`] for a key.
    fn of<'a>(&'a self, check: &'a CheckId) -> BoxFuture<'a, Result<Vec<Baseline>, BaselineError>>;

    /// Decides. An approval replaces what was approved for its key before and lifts a rejection of the
    /// same values; a rejection of what is approved lifts the approval. What is replaced stays in the
    /// history.
    fn decide<'a>(
        &'a self,
        check: &'a CheckId,
        baselines: &'a [Baseline],
    ) -> BoxFuture<'a, Result<(), BaselineError>>;

    /// Everything that was ever decided for a check, newest first, at most `limit`.
    fn history<'a>(
        &'a self,
        check: &'a CheckId,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Baseline>, BaselineError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(key: &str, value: &str, decision: Decision) -> Baseline {
        let (by, why) = ("ada".to_owned(), String::new());
        Baseline { key: key.into(), values: vec![value.into()], decision, by, at: Timestamp::UNIX_EPOCH, why }
    }

    fn held(decisions: &[(&str, &str, Decision)]) -> Vec<(String, String, Decision)> {
        let all = decisions.iter().map(|(key, value, decision)| decided(key, value, *decision));
        holding(all).into_iter().map(|one| (one.key, one.values.concat(), one.decision)).collect()
    }

    #[test]
    fn the_last_word_about_a_key_and_its_values_holds() {
        use Decision::{Approved, Rejected};
        let own = |key: &str, value: &str, decision| (key.to_owned(), value.to_owned(), decision);
        assert_eq!(
            held(&[("a", "1", Approved), ("b", "1", Approved), ("a", "2", Approved)]),
            [own("b", "1", Approved), own("a", "2", Approved)]
        );
        assert_eq!(held(&[("a", "1", Approved), ("a", "1", Rejected)]), [own("a", "1", Rejected)]);
        assert_eq!(held(&[("a", "1", Rejected), ("a", "1", Approved)]), [own("a", "1", Approved)]);
        assert_eq!(
            held(&[("a", "1", Rejected), ("a", "2", Approved), ("a", "3", Rejected)]),
            [own("a", "1", Rejected), own("a", "2", Approved), own("a", "3", Rejected)]
        );
    }
}
