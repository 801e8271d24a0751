//! How what a kind compares over time stands to what people decided about it, for kinds that learn.

use super::{Standing, Watched};
use crate::judge::drift::{Decided, Last, State};
use crate::model::Baseline;

/// How a set stands of which nothing is declared. `learns` says whether the settings let it be learned.
pub fn of_state(key: String, state: &State, decided: &Decided<'_>, learns: bool) -> Watched {
    let present = state.present.as_ref();
    let values = present.map(|present| present.values.as_slice());
    let expected = state.expected(decided);
    let rejected = values.and_then(|values| decided.rejects(values));
    let standing = match (values, &expected) {
        (None, _) => Standing::Unmeasured,
        _ if state.last == Last::Silent => Standing::Unmeasured,
        (Some(values), Some((expected, true))) if values == expected => match state.last {
            Last::Differing => Standing::Suspected,
            _ => Standing::Same,
        },
        (Some(_), Some((_, true))) if state.drifted => Standing::Drifted,
        (Some(_), Some((_, true))) => Standing::Suspected,
        _ if rejected.is_some() => Standing::Drifted,
        (Some(values), Some((expected, false))) if values == expected => Standing::Provisional,
        _ => Standing::Learning,
    };
    let by = |what: &str, baseline: &Baseline| {
        let why = if baseline.why.is_empty() { String::new() } else { format!(": {}", baseline.why) };
        format!("{what} by {} at {:.0}{why}", baseline.by, baseline.at)
    };
    let note = match (rejected, decided.approved) {
        (Some(rejected), _) => by("rejected", rejected),
        (None, Some(approved)) if expected.as_ref().is_some_and(|(values, _)| *values == approved.values) => {
            by("approved", approved)
        }
        _ if matches!(expected, Some((_, true))) => "announced in the config".to_owned(),
        _ if !learns => "not learned, since the config says `learn: false`".to_owned(),
        _ => String::new(),
    };
    Watched {
        key,
        standing,
        baseline: expected.map(|(values, _)| values),
        present: values.map(<[String]>::to_vec),
        since: present.map(|present| present.since),
        declared: false,
        note,
    }
}

/// What is gone, then what is there instead, as lines of [`Finding::DIFF`](crate::model::Finding::DIFF).
pub fn diff(from: &[String], to: &[String]) -> Vec<String> {
    let gone = from.iter().filter(|value| !to.contains(value)).map(|value| format!("- {value}"));
    let new = to.iter().filter(|value| !from.contains(value)).map(|value| format!("+ {value}"));
    gone.chain(new).collect()
}
