//! The leaves of each host over time. It is written to disk when it changes, so nothing in it ticks:
//! it says when a leaf was first seen and when it was first missed, not when it was last seen.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::{Case, issuer, leaves, served};
use crate::formats::x509::Certificate;
use crate::probe::certificate::facts::HostFacts;

/// So many leaves of one host and kind of key are kept.
pub const MOST: usize = 8;
/// So many hosts.
const MOST_HOSTS: usize = 1_000;

/// Each host's certificates over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// By host (and the name asked for, where that is another), then by kind of key.
    pub hosts: BTreeMap<String, Lines>,
}

/// The leaves of one host by kind of key, each list in the order in which they were first seen.
pub type Lines = BTreeMap<String, Vec<Seen>>;

/// One leaf.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// SHA-256 of the certificate.
    pub sha256: String,
    /// SHA-256 of its public key.
    pub spki: String,
    /// Its serial number.
    pub serial: String,
    /// Who issued it, as it is told.
    pub issuer: String,
    /// Who issued it, as it is compared.
    pub authority: String,
    /// The beginning of its validity, in seconds since 1970.
    pub not_before: i64,
    /// The end of it.
    pub not_after: i64,
    /// The first run that saw it.
    pub first_seen: Timestamp,
    /// The first run that saw another in its place at every address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<Timestamp>,
}

impl History {
    /// The leaves of one kind of key that a host showed.
    pub fn of(&self, host: &HostFacts, kind: &str) -> &[Seen] {
        let line = self.hosts.get(&name(host)).and_then(|lines| lines.get(kind));
        line.map(Vec::as_slice).unwrap_or_default()
    }

    /// The public keys that were ever seen on any host: SHA-256 of each.
    pub fn keys(&self) -> BTreeSet<&str> {
        let all = self.hosts.values().flat_map(|lines| lines.values().flatten());
        all.map(|seen| seen.spki.as_str()).collect()
    }
}

impl Seen {
    /// A leaf; `None` where its dates cannot be read: nothing can be said of its renewal.
    fn of(leaf: &Certificate, now: Timestamp) -> Option<Self> {
        Some(Self {
            sha256: leaf.sha256.clone(),
            spki: leaf.spki_sha256.clone(),
            serial: leaf.serial.clone(),
            issuer: issuer::spoken(&leaf.issuer),
            authority: issuer::authority(&leaf.issuer),
            not_before: leaf.not_before.seconds?,
            not_after: leaf.not_after.seconds?,
            first_seen: now,
            gone: None,
        })
    }

    /// The length of its validity in seconds, at least one.
    pub fn lifetime(&self) -> i64 {
        self.not_after.saturating_sub(self.not_before).max(1)
    }

    /// The share of its lifetime that is left at an instant, from 0 to 1.
    pub fn share_left(&self, at: Timestamp) -> f64 {
        let left = self.not_after.saturating_sub(at.as_second()).clamp(0, self.lifetime());
        #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
        let share = left as f64 / self.lifetime() as f64;
        share
    }

    fn was_there_at(&self, at: Timestamp) -> bool {
        self.gone.is_none_or(|gone| gone >= at)
    }
}

/// How the history names a host.
pub fn name(host: &HostFacts) -> String {
    match &host.server_name {
        Some(asked) if *asked != host.host => format!("{} as {asked}", host.subject()),
        _ => host.subject(),
    }
}

/// The history with this run in it.
pub fn after(case: &Case<'_>) -> History {
    let mut history = case.memory.history.clone();
    let names: Vec<String> = case.facts.hosts.iter().map(name).collect();
    history.hosts.retain(|name, _| names.contains(name));
    let served = served::after(case);
    for (host, name) in case.facts.hosts.iter().zip(names) {
        let leaves = leaves::of_host(case, host);
        if leaves.is_empty() || (history.hosts.len() >= MOST_HOSTS && !history.hosts.contains_key(&name)) {
            continue;
        }
        let lines = history.hosts.entry(name).or_default();
        for (kind, leaves) in leaves {
            let present: Vec<&Certificate> = leaves.iter().map(|leaf| leaf.certificate).collect();
            let line = lines.entry(kind.to_owned()).or_default();
            take_in(line, &present, case.now, |sha256| served.shows(host, sha256));
        }
    }
    history
}

/// Adds new leaves and marks those that another took the place of. Where more are there at once than
/// are kept, the ones beyond are not taken in: they would push each other out in every run.
fn take_in(
    line: &mut Vec<Seen>,
    present: &[&Certificate],
    now: Timestamp,
    still_there: impl Fn(&str) -> bool,
) {
    let is_present = |seen: &Seen| present.iter().any(|leaf| leaf.sha256 == seen.sha256);
    for seen in line.iter_mut().filter(|seen| !is_present(seen) && !still_there(&seen.sha256)) {
        seen.gone.get_or_insert(now);
    }
    for leaf in present {
        if line.iter().any(|seen| seen.sha256 == leaf.sha256) {
            continue;
        }
        let Some(new) = Seen::of(leaf, now) else { continue };
        if line.len() >= MOST {
            let Some(oldest) = line.iter().position(|seen| seen.gone.is_some() && !is_present(seen)) else {
                continue;
            };
            line.remove(oldest);
        }
        line.push(new);
    }
}

/// What a leaf came after: of the same kind of key if there was one. Of several that were there, the
/// one that it is most like.
pub fn before<'h>(lines: &'h Lines, kind: &str, new: &Seen) -> Option<(&'h str, &'h Seen)> {
    let earlier = |same: bool| {
        let of_kind = lines.iter().filter(move |(name, _)| (*name == kind) == same);
        let all = of_kind.flat_map(|(name, line)| line.iter().map(move |seen| (name.as_str(), seen)));
        let candidates = all.filter(|(_, seen)| seen.first_seen < new.first_seen);
        candidates.max_by_key(|(_, seen)| {
            let alike = (seen.spki == new.spki, seen.authority == new.authority);
            (seen.was_there_at(new.first_seen), alike, seen.not_before)
        })
    };
    earlier(true).or_else(|| earlier(false))
}

/// The share of its lifetime that each leaf of a kind had left when another was seen in its place,
/// oldest first. A leaf that is older than the one before it is no renewal.
pub fn shares_at_renewal(lines: &Lines, kind: &str) -> Vec<f64> {
    let line = lines.get(kind).map(Vec::as_slice).unwrap_or_default();
    let of = |new: &Seen| {
        let (old_kind, old) = before(lines, kind, new)?;
        let renews = old_kind == kind && new.not_before > old.not_before && old.authority == new.authority;
        renews.then(|| old.share_left(new.first_seen))
    };
    line.iter().filter_map(of).collect()
}
