//! Certificates that public logs show and no host does.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::change::{History, short};
use super::{Case, Note, change, issuer};
use crate::formats::x509::{Certificate, Moment};
use crate::model::Finding;
use crate::probe::certificate::ct::{Cursor, Issuance, Settings, Watched, domain, domains};
use crate::probe::certificate::docs::change as docs;
use crate::probe::certificate::facts::HostFacts;

/// A domain is asked for at most so often.
const EVERY: SignedDuration = SignedDuration::from_hours(6);
/// How long a certificate is told of, in seconds.
const TOLD: i64 = 7 * 86_400;
/// How long a renewal has to arrive on the host.
const GRACE: i64 = 86_400;
/// So many certificates are remembered, the latest.
const MOST_KNOWN: usize = 1_000;
/// So many are told of.
const MOST_PENDING: usize = 32;
/// Of a digest so many characters are remembered: 128 bits.
const REMEMBERED: usize = 32;

/// What is remembered of the logs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ct {
    /// The service that was asked: its numbers mean nothing to another.
    service: String,
    domains: BTreeMap<String, Domain>,
    /// Digests of what was seen, the latest last.
    known: Vec<String>,
    pending: Vec<Pending>,
    /// The service asked not to be asked before.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_at: Option<Timestamp>,
}

/// One domain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Domain {
    /// Where the next question goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    /// What there was at first is known.
    learned: bool,
    /// The next question.
    next: Timestamp,
    /// Why the last question was not answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

/// A certificate whose key no host has shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Pending {
    domain: String,
    first_seen: Timestamp,
    /// It looks like the renewal of one that a host shows.
    renews: bool,
    issuance: Issuance,
}

impl Ct {
    /// The domains that are to be asked for at an instant.
    pub fn due<'h>(
        &self,
        settings: &Settings,
        hosts: impl IntoIterator<Item = &'h str>,
        now: Timestamp,
    ) -> Vec<String> {
        let mut all = domains(hosts);
        if self.service != settings.url.as_str() {
            return all;
        }
        if self.retry_at.is_some_and(|at| at > now) {
            return Vec::new();
        }
        all.retain(|domain| self.domains.get(domain).is_none_or(|domain| domain.next <= now));
        all
    }

    /// Where a domain's next question goes on.
    pub fn cursor(&self, settings: &Settings, domain: &str) -> Cursor<'_> {
        let known = self.domains.get(domain).filter(|_| self.service == settings.url.as_str());
        Cursor {
            after: known.and_then(|known| known.after.as_deref()),
            learned: known.is_some_and(|known| known.learned),
        }
    }

    fn take_in(&mut self, case: &Case<'_>, watched: &Watched, keys: &BTreeSet<&str>) {
        let before = self.domains.get(&watched.domain);
        let learned = before.is_some_and(|before| before.learned);
        for issuance in &watched.issuances {
            let digest = issuance.tbs_sha256.get(..REMEMBERED).unwrap_or_default();
            if self.known.iter().any(|known| known == digest) {
                continue;
            }
            self.known.push(digest.to_owned());
            let over = issuance.not_after.is_some_and(|end| end < case.now.as_second());
            if learned && !over && !keys.contains(issuance.pubkey_sha256.as_str()) {
                self.pending.push(Pending {
                    domain: watched.domain.clone(),
                    first_seen: case.now,
                    renews: renews(case, issuance),
                    issuance: issuance.clone(),
                });
            }
        }
        let next = case.now.checked_add(EVERY).unwrap_or(case.now);
        let state = Domain {
            after: watched.last.clone(),
            learned: learned || watched.finished,
            next: watched.retry_at.map_or(next, |at| at.max(next)),
            failure: watched.failure.clone(),
        };
        self.domains.insert(watched.domain.clone(), state);
        self.retry_at = watched.retry_at.or(self.retry_at);
    }

    fn bound(&mut self) {
        self.known.drain(..self.known.len().saturating_sub(MOST_KNOWN));
        self.pending.drain(..self.pending.len().saturating_sub(MOST_PENDING));
    }
}

/// What is remembered with this run in it.
pub fn after(case: &Case<'_>, history: &History) -> Ct {
    let Some(settings) = &case.spec.ct else { return Ct::default() };
    let service = settings.url.to_string();
    let mut ct = if case.memory.ct.service == service { case.memory.ct.clone() } else { Ct::default() };
    ct.service = service;
    ct.retry_at = ct.retry_at.filter(|at| *at > case.now);
    let watched = domains(case.facts.hosts.iter().map(|host| host.host.as_str()));
    ct.domains.retain(|domain, _| watched.contains(domain));
    let mut keys = history.keys();
    keys.extend(shown(case).map(|certificate| certificate.spki_sha256.as_str()));
    for watched in &case.facts.ct {
        ct.take_in(case, watched, &keys);
    }
    ct.pending.retain(|pending| {
        let age = case.now.as_second().saturating_sub(pending.first_seen.as_second());
        age < TOLD
            && watched.contains(&pending.domain)
            && !keys.contains(pending.issuance.pubkey_sha256.as_str())
    });
    ct.bound();
    ct
}

/// Every certificate that can be read.
fn shown<'c>(case: &'c Case<'_>) -> impl Iterator<Item = &'c Certificate> {
    case.certificates.values().filter_map(|certificate| certificate.as_ref().ok())
}

/// Whether a certificate is for the names, and from the organisation, of one that a host shows.
fn renews(case: &Case<'_>, issuance: &Issuance) -> bool {
    let authority = issuer::of_organisation(&issuance.issuer);
    let names: BTreeSet<String> = issuance.names.iter().map(|name| name.to_ascii_lowercase()).collect();
    shown(case).any(|leaf| {
        let own: BTreeSet<String> =
            leaf.sans().iter().map(|san| san.to_string().to_ascii_lowercase()).collect();
        // Of long lists the end is left out.
        let same = own.is_superset(&names) && own.len() == names.len() + issuance.left_out;
        !names.is_empty() && same && issuer::authority(&leaf.issuer) == authority
    })
}

/// What is told of the logs.
pub fn notes<'a>(case: &Case<'a>) -> Vec<Note<'a>> {
    if case.spec.ct.is_none() {
        return Vec::new();
    }
    let ct = after(case, &change::after(case));
    let host = |wanted: &str| -> Option<&'a HostFacts> {
        case.facts.hosts.iter().find(|host| domain(&host.host).as_deref() == Some(wanted))
    };
    let mut notes = Vec::new();
    for (domain, state) in &ct.domains {
        if let (Some(host), Some(why)) = (host(domain), &state.failure) {
            let summary = format!("the service that searches public logs was asked about {domain}: {why}");
            let mut finding = Finding::of(&docs::CT_UNREAD, format!("log of {domain}"), summary);
            finding.measured = false;
            notes.push(Note { host, address: None, finding });
        }
    }
    let told = ct.pending.iter().filter(|pending| {
        let age = case.now.as_second().saturating_sub(pending.first_seen.as_second());
        !pending.renews || age >= GRACE
    });
    for pending in told {
        if let Some(host) = host(&pending.domain) {
            notes.push(Note { host, address: None, finding: pending.finding() });
        }
    }
    notes
}

impl Pending {
    fn finding(&self) -> Finding {
        let Issuance { tbs_sha256, pubkey_sha256, names, left_out, issuer, not_before, not_after } =
            &self.issuance;
        let date = |seconds: &Option<i64>| {
            seconds.map_or_else(|| "an unknown date".to_owned(), |seconds| Moment::at(seconds).to_string())
        };
        const NAMED: usize = 4;
        let more = names.len().saturating_sub(NAMED) + left_out;
        let mut listed = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        if more > 0 {
            listed = format!("{listed} and {more} more");
        }
        let by = if issuer.is_empty() { "an unknown authority" } else { issuer };
        let summary = format!(
            "{by} issued a certificate for {listed}, valid from {} to {}, whose key (SHA-256 {}) was never seen on these hosts",
            date(not_before),
            date(not_after),
            short(pubkey_sha256),
        );
        let part = format!("issuance {}", tbs_sha256.get(..16).unwrap_or(tbs_sha256));
        Finding::of(&docs::UNEXPECTED_ISSUANCE, part, summary)
            .with("tbs_sha256", tbs_sha256.as_str())
            .with("pubkey_sha256", pubkey_sha256.as_str())
            .with("names", names.clone())
            .with("issuer", issuer.as_str())
            .with("not_before", date(not_before))
            .with("not_after", date(not_after))
    }
}
