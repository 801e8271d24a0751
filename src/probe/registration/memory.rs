//! What is kept from run to run.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use url::Url;

use super::facts::{Bootstrap, Facts, Registrar};

/// How long a new value must stand until it is the one that is expected.
pub const SETTLES_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long a bootstrap file is used before it is fetched again.
pub const BOOTSTRAP_LASTS: SignedDuration = SignedDuration::from_hours(24);

/// What is remembered of a domain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Of which domain, in A-labels.
    pub domain: String,
    /// When it expires: by the registry, else as declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// When the registry said so; absent where it is declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told: Option<Timestamp>,
    /// Its registrar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registrar: Option<Watched<Registrar>>,
    /// Its name servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nameservers: Option<Watched<Vec<String>>>,
    /// Its DS records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ds: Option<Watched<Vec<String>>>,
    /// The findings of the last answer that alert, by their names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub standing: Vec<String>,
    /// Servers that asked to be left alone, by origin, and until when.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub held: BTreeMap<String, Timestamp>,
    /// What the bootstrap file says of the domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<Bootstrapped>,
}

/// What a bootstrap file says of the domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bootstrapped {
    /// The file's address.
    pub file: String,
    /// When it was fetched.
    pub fetched: Timestamp,
    /// When it was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publication: Option<Timestamp>,
    /// The server of the domain, if the file has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<Url>,
}

/// A value that should stay: learned at first sight, and a new one once it has stood long enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched<T> {
    /// The value expected.
    pub expected: T,
    /// Another value, seen last.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub changed: Option<Change<T>>,
}

fn none<T>() -> Option<T> {
    None
}

/// Another value than expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change<T> {
    /// The value.
    pub to: T,
    /// Since when it is seen without a break.
    pub since: Timestamp,
}

impl<T: Clone> Watched<T> {
    /// What is remembered after a look. A look that did not tell the value changes nothing.
    pub fn after(
        past: Option<&Self>,
        seen: Option<&T>,
        same: fn(&T, &T) -> bool,
        at: Timestamp,
    ) -> Option<Self> {
        let Some(seen) = seen else { return past.cloned() };
        let Some(past) = past else { return Some(Self { expected: seen.clone(), changed: None }) };
        if same(&past.expected, seen) {
            return Some(Self { expected: seen.clone(), changed: None });
        }
        let since = past
            .changed
            .as_ref()
            .filter(|change| same(&change.to, seen))
            .map_or(at, |change| change.since.min(at));
        if at.duration_since(since) >= SETTLES_AFTER {
            return Some(Self { expected: seen.clone(), changed: None });
        }
        let changed = Some(Change { to: seen.clone(), since });
        Some(Self { expected: past.expected.clone(), changed })
    }
}

impl Memory {
    /// The same where it is about this domain, else nothing.
    pub fn of(&self, domain: &str) -> Self {
        if self.domain == domain {
            return self.clone();
        }
        Self { domain: domain.to_owned(), ..Self::default() }
    }

    /// Until when the server of an address wants to be left alone.
    pub fn held_until(&self, url: &Url, at: Timestamp) -> Option<Timestamp> {
        self.held.get(&origin(url)).copied().filter(|until| *until > at)
    }

    /// The bootstrap file's word, as old as it may be.
    pub fn bootstrapped(&self, file: &Url) -> Option<&Bootstrapped> {
        self.bootstrap.as_ref().filter(|known| known.file == file.as_str())
    }

    /// Takes over what does not depend on what a server said.
    pub fn note(&mut self, facts: &Facts, at: Timestamp) {
        self.held.retain(|_, until| *until > at);
        self.held.extend(facts.held.iter().map(|(origin, until)| (origin.clone(), *until)));
        if let Some(Bootstrap::Fetched(fetched)) = &facts.bootstrap {
            self.bootstrap = Some(fetched.clone());
        }
    }
}

/// The key of a server that is held back.
pub fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn see(past: Option<&Watched<u8>>, seen: u8, when: &str) -> Watched<u8> {
        Watched::after(past, Some(&seen), |a, b| a == b, at(when)).unwrap()
    }

    #[test]
    fn the_first_value_is_learned_and_a_new_one_stands_out_for_a_week() {
        let first = see(None, 1, "2026-11-01T00:00:00Z");
        assert_eq!(first, Watched { expected: 1, changed: None });
        let changed = see(Some(&first), 2, "2026-11-02T00:00:00Z");
        assert_eq!(changed.changed, Some(Change { to: 2, since: at("2026-11-02T00:00:00Z") }));
        let still = see(Some(&changed), 2, "2026-11-08T23:59:59Z");
        assert_eq!(still, changed);
        assert_eq!(see(Some(&still), 2, "2026-11-09T00:00:00Z"), Watched { expected: 2, changed: None });
    }

    #[test]
    fn a_value_that_returns_is_no_change_and_a_third_one_starts_anew() {
        let changed = see(Some(&Watched { expected: 1, changed: None }), 2, "2026-11-02T00:00:00Z");
        assert_eq!(see(Some(&changed), 1, "2026-11-03T00:00:00Z").changed, None);
        let third = see(Some(&changed), 3, "2026-11-08T00:00:00Z");
        assert_eq!(third.changed, Some(Change { to: 3, since: at("2026-11-08T00:00:00Z") }));
        assert_eq!(third.expected, 1);
    }

    #[test]
    fn what_is_not_told_changes_nothing() {
        let changed = see(Some(&Watched { expected: 1, changed: None }), 2, "2026-11-02T00:00:00Z");
        let later = at("2026-12-02T00:00:00Z");
        assert_eq!(Watched::after(Some(&changed), None, |a, b| a == b, later), Some(changed));
        assert_eq!(Watched::<u8>::after(None, None, |a, b| a == b, later), None);
    }

    #[test]
    fn another_domain_remembers_nothing_of_the_last_one() {
        let memory =
            Memory { domain: "a.example".into(), told: Some(Timestamp::UNIX_EPOCH), ..Memory::default() };
        assert_eq!(memory.of("a.example"), memory);
        assert_eq!(memory.of("b.example"), Memory { domain: "b.example".into(), ..Memory::default() });
    }
}
