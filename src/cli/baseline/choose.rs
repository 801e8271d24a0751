//! What a decision is about.

use jiff::Timestamp;
use serde::Serialize;

use crate::model::{Baseline, CheckId, Decision};
use crate::probe::{Standing, Watched};

/// One thing that is decided about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// Its name.
    pub key: String,
    /// What it was to be.
    pub before: Option<Vec<String>>,
    /// The values that are decided about.
    pub values: Vec<String>,
}

impl Choice {
    /// The decision.
    pub fn decided(&self, decision: Decision, by: &str, why: &str, at: Timestamp) -> Baseline {
        Baseline {
            key: self.key.clone(),
            values: self.values.clone(),
            decision,
            by: by.to_owned(),
            at,
            why: why.to_owned(),
        }
    }
}

/// Why something cannot be decided.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing is called so.
    #[error("no check that matches compares {key:?}; `portalwatch baseline list` shows the names")]
    Unknown {
        /// What was asked for.
        key: String,
    },
    /// It is not known what it is.
    #[error("{check}: {key}: nobody knows what it is yet; wait for a run of the check that can ask")]
    NotSeen {
        /// Of which check.
        check: CheckId,
        /// What.
        key: String,
    },
    /// The settings say what it should be.
    #[error("{check}: {key} is declared in the config; change it there")]
    Declared {
        /// Of which check.
        check: CheckId,
        /// What.
        key: String,
    },
    /// There is nothing.
    #[error("nothing differs or waits for a decision")]
    Nothing,
}

/// What is decided about: these keys, or all that waits for a decision.
///
/// # Errors
/// Everything that stands in the way; then nothing is decided.
pub fn chosen(
    all: &[(&CheckId, &[Watched])],
    keys: Option<&[String]>,
    decision: Decision,
) -> Result<Vec<(CheckId, Vec<Choice>)>, Vec<Fault>> {
    let mut faults = Vec::new();
    let chosen: Vec<(CheckId, Vec<Choice>)> = match keys {
        None => all.iter().map(|(check, watched)| ((*check).clone(), waiting(watched, decision))).collect(),
        Some(keys) => {
            let known = |key: &&String| !all.iter().any(|(_, watched)| find(watched, key).is_some());
            faults.extend(keys.iter().filter(known).map(|key| Fault::Unknown { key: key.clone() }));
            let of = |(check, watched): &(&CheckId, &[Watched])| {
                let own = keys.iter().filter_map(|key| find(watched, key));
                let choices =
                    own.filter_map(|one| choice(check, one).map_err(|fault| faults.push(fault)).ok());
                ((*check).clone(), choices.collect())
            };
            all.iter().map(of).collect()
        }
    };
    if faults.is_empty() && chosen.iter().all(|(_, choices)| choices.is_empty()) {
        faults.push(Fault::Nothing);
    }
    if faults.is_empty() { Ok(chosen) } else { Err(faults) }
}

/// All that is something else than it should be; to approve, also what nobody approved yet.
fn waiting(watched: &[Watched], decision: Decision) -> Vec<Choice> {
    let waits = |one: &&Watched| match one.standing {
        Standing::Drifted | Standing::Suspected => true,
        Standing::Provisional => decision == Decision::Approved,
        Standing::Same | Standing::Announced | Standing::Learning | Standing::Unmeasured => false,
    };
    let of = |one: &Watched| {
        of_present(one).filter(|choice| one.baseline.as_ref() != Some(&choice.values) || waits_for_word(one))
    };
    watched.iter().filter(|one| !one.declared).filter(waits).filter_map(of).collect()
}

/// It is as it was learned, and nobody said a word about it.
fn waits_for_word(one: &Watched) -> bool {
    one.standing == Standing::Provisional
}

fn choice(check: &CheckId, one: &Watched) -> Result<Choice, Fault> {
    let (check, key) = (check.clone(), one.key.clone());
    if one.declared {
        return Err(Fault::Declared { check, key });
    }
    of_present(one).ok_or(Fault::NotSeen { check, key })
}

fn of_present(one: &Watched) -> Option<Choice> {
    let (key, before) = (one.key.clone(), one.baseline.clone());
    Some(Choice { key, before, values: one.present.clone()? })
}

/// By name, whatever its case, with or without the dot that ends a domain name.
pub fn find<'a>(watched: &'a [Watched], key: &str) -> Option<&'a Watched> {
    watched.iter().find(|one| plain(&one.key) == plain(key))
}

fn plain(key: &str) -> String {
    let words = key
        .split_whitespace()
        .map(|word| word.strip_suffix('.').filter(|rest| !rest.is_empty()).unwrap_or(word));
    words.collect::<Vec<_>>().join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(key: &str, standing: Standing, present: Option<&str>) -> Watched {
        let list = |value: &str| vec![value.to_owned()];
        Watched {
            key: key.to_owned(),
            standing,
            baseline: Some(list("old")),
            present: present.map(list),
            declared: key.starts_with("declared"),
            since: None,
            note: String::new(),
        }
    }

    fn keys(chosen: &[(CheckId, Vec<Choice>)]) -> Vec<&str> {
        chosen.iter().flat_map(|(_, choices)| choices).map(|choice| choice.key.as_str()).collect()
    }

    #[test]
    fn a_name_is_found_however_it_is_written_and_what_is_not_there_is_said() {
        let check = CheckId::new("acme", "dns");
        let sets = [watched("www.acme.example. A", Standing::Drifted, Some("new"))];
        let all = [(&check, &sets[..])];
        let chosen_by = |key: &str| chosen(&all, Some(&[key.to_owned()]), Decision::Approved);
        for key in ["www.acme.example. A", "WWW.acme.example a"] {
            assert_eq!(chosen_by(key).unwrap()[0].1[0].values, ["new"]);
        }
        assert_eq!(
            chosen_by("mail.acme.example A"),
            Err(vec![Fault::Unknown { key: "mail.acme.example A".into() }])
        );
    }

    #[test]
    fn what_is_declared_or_was_never_seen_cannot_be_approved_and_then_nothing_is() {
        let check = CheckId::new("acme", "dns");
        let sets = [
            watched("a. A", Standing::Drifted, Some("new")),
            watched("b. A", Standing::Unmeasured, None),
            watched("declared. A", Standing::Drifted, Some("new")),
        ];
        let all = [(&check, &sets[..])];
        let wanted: Vec<String> = sets.iter().map(|one| one.key.clone()).collect();
        let faults = chosen(&all, Some(&wanted), Decision::Approved).unwrap_err();
        assert!(matches!(&faults[..], [Fault::NotSeen { .. }, Fault::Declared { .. }]), "{faults:?}");
    }

    #[test]
    fn all_is_what_differs_and_to_approve_also_what_was_only_learned() {
        let check = CheckId::new("acme", "dns");
        let sets = [
            watched("a. A", Standing::Drifted, Some("new")),
            watched("b. A", Standing::Provisional, Some("old")),
            watched("c. A", Standing::Same, Some("old")),
            watched("d. A", Standing::Learning, Some("new")),
            watched("e. A", Standing::Suspected, Some("old")),
            watched("declared. A", Standing::Drifted, Some("new")),
        ];
        let all = [(&check, &sets[..])];
        assert_eq!(keys(&chosen(&all, None, Decision::Approved).unwrap()), ["a. A", "b. A"]);
        assert_eq!(keys(&chosen(&all, None, Decision::Rejected).unwrap()), ["a. A"]);
        let same = [watched("c. A", Standing::Same, Some("old"))];
        assert_eq!(chosen(&[(&check, &same[..])], None, Decision::Approved), Err(vec![Fault::Nothing]));
    }
}
