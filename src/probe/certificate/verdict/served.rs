//! What each address serves: remembered, so that it is exposed right after a restart and while an
//! address does not answer; one unseen for three runs goes.

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Case, leaves};
use crate::formats::x509::Certificate;
use crate::model::{Series, SeriesDoc};
use crate::probe::certificate::facts::{AskedKey, Endpoint, HostFacts, View};
use crate::probe::certificate::text::one_line;

/// So many addresses, over all hosts, have series.
const MOST_ADDRESSES: usize = 64;
/// So many certificates of a chain have them.
const MOST_POSITIONS: usize = 12;
/// Runs in a row that looked for a chain in vain until it goes.
const RUNS: u8 = 3;
/// The longest value of a label, in bytes.
const LONGEST: usize = 128;
/// 1950, before which no certificate can have a date (RFC 5280 section 4.1.2.5.1): what lies before it
/// is a nought of some clock.
const EARLIEST: i64 = -631_152_000;

const NOT_AFTER: SeriesDoc = SeriesDoc {
    name: "portalwatch_certificate_not_after_timestamp_seconds",
    help: "End of validity of each certificate as sent, the leaf at position 0, since the epoch.",
};
const NOT_BEFORE: SeriesDoc = SeriesDoc {
    name: "portalwatch_certificate_not_before_timestamp_seconds",
    help: "Beginning of validity of each certificate as sent, since the epoch.",
};
const LEFT: SeriesDoc = SeriesDoc {
    name: "portalwatch_certificate_lifetime_left_ratio",
    help: "Share of its lifetime that a certificate has left: 1 at its beginning, 0 at its end, negative after it.",
};
const INFO: SeriesDoc = SeriesDoc {
    name: "portalwatch_certificate_info",
    help: "Always 1: fingerprint (SHA-256), issuer, serial number and subject of each certificate as sent.",
};
const TRUSTED: SeriesDoc = SeriesDoc {
    name: "portalwatch_certificate_trusted",
    help: "1 if common clients accept the chain and the name, 0 if not.",
};

/// What each address served last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Served {
    rows: Vec<Row>,
}

/// One chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Row {
    #[serde(flatten)]
    key: Key,
    /// As it was sent, the leaf first.
    chain: Vec<Link>,
    /// Whether common clients accepted it; unknown where no name was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trusted: Option<bool>,
    /// In how many runs, up to the last, it was looked for in vain.
    #[serde(default, skip_serializing_if = "is_zero")]
    unseen: u8,
}

fn is_zero(number: &u8) -> bool {
    *number == 0
}

/// Where and how a chain is served.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Key {
    host: String,
    port: u16,
    address: IpAddr,
    key_type: String,
    /// The name asked for; empty where none was.
    sni: String,
}

/// What is exposed of a certificate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Link {
    sha256: String,
    subject: String,
    issuer: String,
    serial: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_before: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_after: Option<i64>,
}

impl Link {
    fn of(certificate: &Certificate) -> Self {
        let date = |seconds: Option<i64>| seconds.filter(|seconds| *seconds >= EARLIEST);
        Self {
            sha256: certificate.sha256.clone(),
            subject: clean(&certificate.subject.to_string()),
            issuer: clean(&certificate.issuer.to_string()),
            serial: certificate.serial.clone(),
            not_before: date(certificate.not_before.seconds),
            not_after: date(certificate.not_after.seconds),
        }
    }
}

/// Takes in what a run saw.
pub fn remember(case: &Case<'_>, served: &mut Served) {
    *served = after(case);
}

/// What is served with this run in it.
pub fn after(case: &Case<'_>) -> Served {
    let mut rows: Vec<Row> = Vec::new();
    for (host, endpoint) in case.endpoints() {
        for row in endpoint.views.iter().filter_map(|view| seen(case, host, endpoint, view)) {
            // The usual handshake comes first, and stands.
            if !rows.iter().any(|known| known.key == row.key) {
                rows.push(row);
            }
        }
    }
    for old in &case.memory.served.rows {
        if !rows.iter().any(|row| row.key == old.key) {
            rows.extend(missed(case, old));
        }
    }
    rows.sort_by(|one, other| one.key.cmp(&other.key));
    let mut addresses = BTreeSet::new();
    rows.retain(|row| {
        let place = (row.key.host.clone(), row.key.port, row.key.address);
        addresses.contains(&place) || (addresses.len() < MOST_ADDRESSES && addresses.insert(place))
    });
    Served { rows }
}

fn seen(case: &Case<'_>, host: &HostFacts, endpoint: &Endpoint, view: &View) -> Option<Row> {
    let leaf = leaves::leaf(case, view)?;
    let chain = view.shown.as_ref()?.chain.iter().take(MOST_POSITIONS);
    Some(Row {
        key: Key {
            host: host.host.clone(),
            port: host.port,
            address: endpoint.address.ip(),
            key_type: leaves::kind(leaf).to_owned(),
            sni: asked(host, view.sni),
        },
        chain: chain.map_while(|key| case.certificate(key).map(Link::of)).collect(),
        trusted: leaves::is_accepted(case, view),
        unseen: 0,
    })
}

fn asked(host: &HostFacts, sni: bool) -> String {
    host.server_name.clone().filter(|_| sni).unwrap_or_default()
}

/// What becomes of a chain that no handshake of this run showed.
fn missed(case: &Case<'_>, old: &Row) -> Option<Row> {
    let host = case.facts.hosts.iter().find(|host| host.host == old.key.host && host.port == old.key.port)?;
    let mut row = old.clone();
    if was_looked_for(host, &old.key) {
        row.unseen = row.unseen.saturating_add(1);
    }
    (row.unseen < RUNS).then_some(row)
}

/// Whether a run could have seen it: not where our own side failed, and not where the name gave no
/// addresses. An address that the name no longer has was looked for.
fn was_looked_for(host: &HostFacts, key: &Key) -> bool {
    if host.unmeasured.is_some() || host.failure.is_some() || host.left_out.contains(&key.address) {
        return false;
    }
    let Some(endpoint) = host.endpoints.iter().find(|endpoint| endpoint.address.ip() == key.address) else {
        return true;
    };
    let mut views = endpoint.views.iter().filter(|view| asked(host, view.sni) == key.sni);
    endpoint.unmeasured.is_none() && views.any(|view| asks_for_kind(view, &key.key_type))
}

/// A handshake that takes any key says of one kind that it is gone only where it showed nothing, or
/// where that kind is never asked for by itself.
fn asks_for_kind(view: &View, kind: &str) -> bool {
    match view.key_type {
        AskedKey::Rsa => kind == "rsa",
        AskedKey::Ecdsa => kind == "ecdsa",
        AskedKey::Any => view.shown.is_none() || !view.sni || !matches!(kind, "rsa" | "ecdsa"),
    }
}

impl Served {
    /// Whether clients of a host were last shown this leaf at any of its addresses.
    pub fn shows(&self, host: &HostFacts, sha256: &str) -> bool {
        let of_host = |row: &&Row| row.key.host == host.host && row.key.port == host.port;
        let mut rows = self.rows.iter().filter(of_host).filter(|row| row.key.sni == asked(host, true));
        rows.any(|row| row.chain.first().is_some_and(|leaf| leaf.sha256 == sha256))
    }
}

/// What is exposed. Leaves come first: of what is too much for a page, the ends of chains go.
pub fn series(served: &Served, now: Timestamp) -> Vec<Series> {
    let mut all = Vec::new();
    for row in &served.rows {
        let end = row.chain.first().and_then(|leaf| leaf.not_after);
        let ended = end.is_some_and(|end| end < now.as_second());
        let value = row.trusted.map(|trusted| f64::from(u8::from(trusted && !ended)));
        all.extend(value.map(|value| Series { doc: &TRUSTED, labels: row.key.labels(), value }));
    }
    for position in 0..MOST_POSITIONS {
        for row in &served.rows {
            if let Some(link) = row.chain.get(position) {
                link.series(&row.key, position, now, &mut all);
            }
        }
    }
    // Values that were cut may have become equal.
    let mut known = BTreeSet::new();
    all.retain(|one| known.insert((one.doc.name, one.labels.clone())));
    all
}

impl Key {
    fn labels(&self) -> Vec<(&'static str, String)> {
        vec![
            ("host", clean(&self.host)),
            ("port", self.port.to_string()),
            ("address", self.address.to_string()),
            ("key_type", self.key_type.clone()),
            ("sni", clean(&self.sni)),
        ]
    }
}

impl Link {
    fn series(&self, key: &Key, position: usize, now: Timestamp, all: &mut Vec<Series>) {
        let mut labels = key.labels();
        labels.push(("position", position.to_string()));
        let mut add = |doc, value| all.push(Series { doc, labels: labels.clone(), value });
        if let Some(end) = self.not_after {
            add(&NOT_AFTER, float(end));
        }
        if let Some(beginning) = self.not_before {
            add(&NOT_BEFORE, float(beginning));
        }
        if let (Some(beginning), Some(end)) = (self.not_before, self.not_after)
            && end > beginning
        {
            add(&LEFT, float(end.saturating_sub(now.as_second())) / float(end.saturating_sub(beginning)));
        }
        labels.push(("fingerprint", self.sha256.clone()));
        labels.push(("issuer", self.issuer.clone()));
        labels.push(("serial", self.serial.clone()));
        labels.push(("subject", self.subject.clone()));
        all.push(Series { doc: &INFO, labels, value: 1.0 });
    }
}

#[expect(clippy::cast_precision_loss, reason = "whole seconds fit a float for aeons")]
const fn float(seconds: i64) -> f64 {
    seconds as f64
}

fn clean(text: &str) -> String {
    one_line(text, LONGEST)
}
